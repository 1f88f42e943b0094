# SPDX-License-Identifier: Apache-2.0
"""Every bad record that a topic may hold, by its number in the list of bad inputs, through one real worker.

All records are sent first and read together; each case is then looked at by its place. Nothing may crash, no
body may be logged, the offsets have to reach the ends.
"""
import json

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from rig.common import PATIENCE, wait_until
from rig.program import FINAL, KEY
from rig.promises import Promises
from rig.standing import standing

BODY = "SECRET BODY pays 700 dollars for the licence. The term is two years. Either party may end it."


def job(name, **members):
    """The value of a good job, with members laid over it; None takes one away."""
    message = {"v": 1, "id": name, "kind": "summarize", "document": {"text": f"{name}: {BODY}"}, **members}
    return json.dumps({key: value for key, value in message.items() if value is not None}).encode()


def raw(name, members):
    """A job whose further members are written as they are."""
    return job(name)[:-1] + b", " + members + b"}"


def text_job(name, text):
    """A job whose document is the JSON string `text`, as it is."""
    return b'{"id": "%s", "kind": "summarize", "document": {"text": "%s: %s"}}' % (
        name.encode(), name.encode(), text)


def dead(code, says=""):
    return {"dead": code, "says": says}


def ends(state, code=None, calls=None):
    return {"state": state, "code": code, "calls": calls}


SKIPPED = {"skipped": True}
DONE = ends("done")

# number and name -> (value, or members of the record, what has to come of it). A job's id is the case's name.
CASES = {
    "01_empty_value": (b"", dead("bad_message", "empty")),
    "02_tombstone": (None, SKIPPED),
    "03_not_utf8": (text_job("03_not_utf8", b"\xff\xfe"), dead("bad_message")),
    "03_utf16": (job("03_utf16").decode().encode("utf-16"), dead("bad_message")),
    "04_byte_order_mark": (b"\xef\xbb\xbf" + job("04_byte_order_mark"), DONE),
    "05_malformed": (b'{"id": "05_malformed", "document" "%s"}' % BODY.encode(), dead("bad_message")),
    "05_truncated": (job("05_truncated")[:-20], dead("bad_message")),
    "06_two_values": (job("06_two_values") + job("06_two_values"), dead("bad_message")),
    "06_trailing_garbage": (job("06_trailing_garbage") + b" \x00x", dead("bad_message")),
    "07_array": (b"[" + job("07_array") + b"]", dead("bad_message", "array")),
    "07_string": (json.dumps(BODY).encode(), dead("bad_message")),
    "08_duplicate_keys": (raw("08_duplicate_keys", b'"tenant": "a", "tenant": "b"'), dead("bad_message")),
    "09_depth": (b'{"id": "09_depth", "x-deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", dead("bad_message")),
    "10_bomb": (b'{"id": "10_bomb", "x-bomb": [' + b"{}," * 1_000_000 + b"{}]}", dead("bad_message")),
    "11_nul_in_id": (b'{"id": "11\\u0000nul", "document": {"text": "a"}, "kind": "summarize"}', dead("bad_field", "id")),
    "11_nul_in_text": (text_job("11_nul_in_text", b"nul \\u0000 " + BODY.encode()), DONE),
    "11_raw_nul_in_text": (text_job("11_raw_nul_in_text", b"\x00"), dead("bad_message")),
    "12_lone_surrogate_in_id": (b'{"id": "12\\ud800", "document": {"text": "a"}}', dead("bad_field", "id")),
    "12_lone_surrogate_in_text": (text_job("12_lone_surrogate_in_text", b"\\ud800 \\udc00\\ud800 " + BODY.encode()),
                                  DONE),
    "13_version_higher": (job("13_version_higher", v=2, novel={"shape": 1}), {"later": True}),
    "13_version_missing": (job("13_version_missing", v=None), DONE),
    "13_version_text": (job("13_version_text", v="1"), dead("bad_field", "v")),
    "13_version_zero": (job("13_version_zero", v=0), dead("bad_field", "v")),
    "14_unknown_field": (job("14_unknown_field", priorty=3), dead("bad_field", "priority")),
    "14_field_of_your_own": (job("14_field_of_your_own", **{"x-trace": {"any": [1]}}), DONE),
    "15_text_for_number": (job("15_text_for_number", summarize={"max_chars": "12"}), dead("bad_field", "max_chars")),
    "15_negative": (job("15_negative", summarize={"max_chars": -1}), dead("bad_field", "max_chars")),
    "15_zero": (job("15_zero", summarize={"max_output_tokens": 0}), dead("bad_field", "max_output_tokens")),
    "15_huge": (job("15_huge", summarize={"max_chars": 1_000_000_000}), dead("bad_field", "max_chars")),
    "15_fraction": (job("15_fraction", summarize={"max_chars": 1.5}), dead("bad_field", "max_chars")),
    "15_beyond_double": (raw("15_beyond_double", b'"summarize": {"max_chars": 1e400}'), dead("bad_message")),
    "15_priority": (job("15_priority", priority=10), dead("bad_field", "priority")),
    "16_id_empty": (job(""), dead("bad_field", "id")),
    "16_id_10_kb": (job("x" * 10_000), dead("bad_field", "id")),
    "16_id_path": (job("../../etc"), dead("bad_field", "id")),
    "16_id_lines": (job("a\r\nb"), dead("bad_field", "id")),
    "16_id_quote": (job("a'b\"c"), dead("bad_field", "id")),
    "16_tenant_quote": (job("16_tenant_quote", tenant="a'; drop"), dead("bad_field", "tenant")),
    "17_first": (job("17"), ends("done", calls=1)),
    "17_again": (job("17"), SKIPPED),
    "17_other_labels": (job("17", labels={"a": "b"}), SKIPPED),
    "18_first": (job("18"), ends("done", calls=1)),
    "18_other_content": (job("18", document={"text": "Something quite different."}), dead("conflict", "18")),
    "19_tenant_a": (job("19", tenant="a"), ends("done", calls=1)),
    "19_tenant_b": (job("19", tenant="b", document={"text": "The other tenant's own. It is theirs. It stays there."}),
                    ends("done", calls=1)),
    "20_over_the_cap": (job("20_over_the_cap", document={"text": BODY * 100_000}), dead("too_large", "SHA-256")),
    "22_empty_document": (job("22_empty_document", document={"text": ""}), ends("failed", "no_text", 0)),
    "22_blank_document": (job("22_blank_document", document={"text": " \n\t\u00a0\u200b "}),
                          ends("failed", "no_text", 0)),
    "23_over_the_context": (job("23_over_the_context", document={"text": BODY * 900},
                                summarize={"model": "gemini-3.5-flash", "on_too_long": "fail"}),
                            ends("failed", "context_length_exceeded", 0)),
    "23_split": (job("23_split", document={"text": "\n\n".join(f"Clause {n}. {BODY}" for n in range(300))},
                     summarize={"model": "gemini-3.5-flash"}), DONE),
    "24_unknown_model": (job("24_unknown_model", summarize={"model": "grok-9"}), ends("failed", "unknown_model", 0)),
    "25_agent": (job("25_agent", kind="agent", agent={"goal": BODY, "tools": ["none"]}), dead("kind_not_supported")),
    "28_expired": (job("28_expired", deadline="2001-01-01T00:00:00Z", on_deadline="fail"),
                   ends("failed", "expired", 0)),
    "28_late": (job("28_late", deadline="2001-01-01T00:00:00Z"), DONE),
    "29_year_1970": ({"value": job("29_year_1970"), "timestamp": 1}, DONE),
    "29_year_9999": ({"value": job("29_year_9999"), "timestamp": 253402300799000}, DONE),
    "29_deadline_9999": (job("29_deadline_9999", deadline="9999-12-31T23:59:59Z", not_before="1970-01-01T00:00:00Z"),
                         DONE),
    "30_headers": ({"value": job("30_headers"), "headers": [
        ("traceparent", b"\xff\x00"), ("traceparent", None), ("", b""), ("big", b"x" * 1_000_000), ("tenant", b"evil"),
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("traceparent", b"00-11111111111111111111111111111111-2222222222222222-01")]}, DONE),
    "33_endpoint": (job("33_endpoint", base_url="http://127.0.0.1:1/"), dead("bad_field", "base_url")),
    "33_webhook": (job("33_webhook", summarize={"webhook": "http://127.0.0.1:1/"}), dead("bad_field", "webhook")),
    "33_file": (job("33_file", document={"url": "file:///etc/passwd"}), ends("failed", "forbidden_url", calls=0)),
    "33_metadata_service": (job("33_metadata_service", document={"url": "http://169.254.169.254/latest"}),
                            dead("forbidden_url")),
}


def record_of(case):
    value = CASES[case][0]
    return {"key": f"default/default/{case}".encode(), **(value if isinstance(value, dict) else {"value": value})}


def produce_with_holes(kafka, topic):
    """31: an aborted and a committed transaction around jobs; their markers take offsets that are no messages."""
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topic})
    producer.init_transactions(30 * PATIENCE)
    for name, finish in [("31_aborted", producer.abort_transaction), ("31_committed", producer.commit_transaction)]:
        producer.begin_transaction()
        for n in range(3):
            producer.produce(topic, job(f"{name}_{n}"))
        producer.flush(30 * PATIENCE)
        finish(30 * PATIENCE)


@pytest.fixture(scope="module")
def read(run_dir, _postgres, _kafka):
    """The deployment after everything was read; .places says where each case's record lies."""
    with standing("bad_records", run_dir, _postgres, _kafka) as precis:
        tiny = {"context_tokens": 6000, "max_output_tokens": 1000}
        precis.configure(models={"gemini-3.5-flash": tiny}, kafka={"properties": {"receive.message.max.bytes": "100000000"}})
        topic = precis.topics["jobs"]
        entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in
                   {"max.message.bytes": "20000000", "message.timestamp.after.max.ms": str(2**63 - 1)}.items()]
        settings = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=entries)
        admin = AdminClient({"bootstrap.servers": _kafka.address})  # the future fails if its client goes first
        admin.incremental_alter_configs([settings])[settings].result(30 * PATIENCE)
        precis.places = dict(zip(CASES, precis.send([record_of(case) for case in CASES])))
        produce_with_holes(_kafka, topic)
        precis.send([{"value": job("last")}])
        precis.start_worker()
        precis.wait_final(["last", "23_split", "30_headers"], timeout=120)
        precis.wait_committed()
        yield precis


def letter_at(precis, place):
    rows = precis.rows("select * from precis.dead_letters where kafka_partition = %s and kafka_offset = %s", *place)
    assert len(rows) <= 1
    return rows[0] if rows else None


def calls_of(precis, row):
    full = f"{row['tenant']}/{row['batch']}/{row['job_id']}/{row['revision']}/"
    return [call for call in precis.modelsim.bill()["calls"] if call["id"].startswith(full)]


def check_job(precis, place, expected):
    (row,) = precis.rows("select * from precis.jobs where kafka_partition = %s and kafka_offset = %s", *place)
    assert (row["state"], row["error_code"]) == (expected["state"], expected["code"])
    if expected["calls"] is not None:
        assert len(calls_of(precis, row)) == expected["calls"]
    letter = letter_at(precis, place)
    assert (letter["error_code"] if letter else None) == expected["code"]


def check_dead(precis, place, expected, case):
    letter = letter_at(precis, place)
    assert letter, "no dead letter"
    assert letter["error_code"] == expected["dead"], letter["error"]
    assert expected["says"] in letter["error"]
    assert letter["suggestion"]
    assert BODY not in letter["error"] and "SECRET" not in letter["error"]
    assert bytes(letter["value"] or b"") == (record_of(case)["value"] or b"")
    assert not precis.rows("select 1 from precis.jobs where kafka_partition = %s and kafka_offset = %s", *place)


@pytest.mark.parametrize("case", CASES)
def test_record(read, case):
    place, expected = read.places[case], CASES[case][1]
    if "dead" in expected:
        check_dead(read, place, expected, case)
    elif "state" in expected:
        check_job(read, place, expected)
    elif "later" in expected:
        (row,) = read.rows("select * from precis.jobs where kafka_partition = %s and kafka_offset = %s", *place)
        assert (row["state"], row["waiting_for"]) == ("waiting", "version")
        assert row["job_id"] == f"{read.topics['jobs']}:{place[0]}:{place[1]}"
    else:
        assert letter_at(read, place) is None
        assert not read.rows("select 1 from precis.jobs where kafka_partition = %s and kafka_offset = %s", *place)


def test_texts_are_cleaned(read):
    """11, 12: what PostgreSQL and a model cannot take is replaced, the rest stays."""
    texts = [row["text"] for row in read.rows("select text from precis_data.documents")]
    assert any(text.startswith("11_nul_in_text: nul ") and BODY in text for text in texts)
    assert any(text.startswith("12_lone_surrogate_in_text: \ufffd") and BODY in text for text in texts)


def test_first_valid_header(read):
    """30"""
    (row,) = read.rows("select traceparent, tenant from precis_data.jobs where id = '30_headers'")
    assert row == {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tenant": "default"}


def test_holes_in_the_offsets(read):
    """31: aborted messages are no jobs, committed ones are, and the offset got past the markers."""
    jobs = read.jobs()
    assert sorted(name for name in jobs if name.startswith("31_")) == [f"31_committed_{n}" for n in range(3)]
    assert all(jobs[f"31_committed_{n}"]["state"] == "done" for n in range(3))


def test_nothing_else_happened(read):
    """Every job ended once, every cent is in the ledger, dead letters reached their topic."""
    promises = Promises(read)
    wait_until("all jobs to end", lambda: all(
        row["state"] in FINAL or row["waiting_for"] == "version" for row in read.jobs().values()))
    promises.check()
    letters = {row["kafka_offset"] for row in read.rows("select kafka_offset from precis.dead_letters")}
    told = wait_until("the topic to have all", lambda: (
        lambda found: found if len(found) >= len(letters) else None)(
            {int(message["headers"]["precis-offset"]): message for message in read.dead_letters()}), timeout=40)
    assert set(told) == letters


def test_no_body_in_the_log(read):
    (worker,) = read.workers
    log = worker.log()
    assert "SECRET BODY" not in log and "SECRET" not in log and KEY not in log
    assert log.count('"event":"job_ended"') > len(CASES) / 2


def test_21_a_topic_whose_messages_cannot_be_fetched(precis):
    """21: the start-up check refuses, before anything waits for ever."""
    precis.configure(kafka={"properties": {"receive.message.max.bytes": "1000000", "fetch.max.bytes": "900000",
                                           "message.max.bytes": "800000"}})
    worker = precis.start_worker(ready=False)
    assert worker.wait() == 2
    assert "max.message.bytes" in worker.log() and "receive.message.max.bytes" in worker.log()
