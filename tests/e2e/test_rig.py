# SPDX-License-Identifier: Apache-2.0
"""The rig itself: servers that stop, die and come back with what they had, and waits that end."""
import decimal
import json
import os
import urllib.request

import psycopg2
import pytest

from rig.common import SANITIZER, Process, clean_env, wait_until
from rig.program import merged


def value_of(postgres, database):
    with postgres.connect(database) as session:
        return session.value("select sum(n) from kept")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_comes_back_with_its_data(postgres, case_name, mode):
    dsn = postgres.create_database(case_name)
    with postgres.connect(case_name) as session:
        session.execute("create table kept as select generate_series(1, 100) as n")
    postgres.stop(mode)
    with pytest.raises(psycopg2.OperationalError):
        postgres.connect(case_name)
    postgres.start()
    assert postgres.dsn_of(case_name) == dsn
    assert value_of(postgres, case_name) == 5050


def test_postgres_log_does_not_quote_rows(postgres, case_name):
    postgres.create_database(case_name)
    with postgres.connect(case_name) as session:
        session.execute("create table kept (n int primary key, word text)")
        session.execute("insert into kept values (1, %s)", "quoted-in-a-row")
        with pytest.raises(psycopg2.errors.UniqueViolation):
            session.execute("insert into kept values (1, %s)", "quoted-in-a-row")
    log = (postgres.folder / "data" / "server.log").read_text()
    assert "duplicate key value" in log
    assert "quoted-in-a-row" not in log
    assert "(n)=(1)" not in log


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_kafka_comes_back_with_its_data(kafka, case_name, way):
    kafka.create_topic(case_name, 2)
    kafka.produce(case_name, [{"value": str(n).encode(), "partition": n % 2} for n in range(10)])
    address = kafka.address
    getattr(kafka, way)()
    kafka.start()
    assert kafka.address == address
    kafka.produce(case_name, [{"value": b"after", "key": b"k", "headers": [("h", b"v")], "partition": 0}])
    messages = kafka.read_all(case_name)
    assert [int(m["value"]) for m in messages if m["partition"] == 1] == [1, 3, 5, 7, 9]
    assert messages[5]["value"] == b"after"
    assert messages[5]["headers"] == {"h": b"v"}
    assert kafka.ends(case_name) == {0: 6, 1: 5}
    assert kafka.committed(case_name, case_name) == {}


def test_kafka_topic_takes_large_messages(kafka, case_name):
    kafka.create_topic(case_name, 1, max_message_bytes=8388608)
    kafka.produce(case_name, [{"value": b"x" * 5_000_000}])
    assert len(kafka.read_all(case_name)[0]["value"]) == 5_000_000


def test_kafka_pauses_and_grows(kafka, case_name):
    kafka.create_topic(case_name, 1)
    assert kafka.answers()
    kafka.pause()
    assert not kafka.answers()
    kafka.resume()
    wait_until("the broker to answer", kafka.answers)
    kafka.produce(case_name, [{"value": b"x"}])
    kafka.add_partitions(case_name, 3)
    wait_until("three partitions", lambda: kafka.partitions(case_name) == [0, 1, 2])


def chat(modelsim, text):
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": f"<document>\n{text}\n</document>"}]}
    request = urllib.request.Request(modelsim.base_url + "/chat/completions", json.dumps(body).encode(),
                                     {"content-type": "application/json", "x-client-request-id": "one"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)


def test_modelsim_answers_and_bills(modelsim):
    answer = chat(modelsim, "The fee is five dollars. The term is two years.")
    assert "fee" in answer["choices"][0]["message"]["content"]
    bill = modelsim.bill()
    assert [call["id"] for call in bill["calls"]] == ["one"]
    assert decimal.Decimal(bill["cost_usd"]) > 0
    modelsim.script(next=["http_503"])
    with pytest.raises(urllib.error.HTTPError):
        chat(modelsim, "Again.")
    modelsim.reset()
    assert decimal.Decimal(modelsim.bill()["cost_usd"]) == 0


def test_a_wait_ends_and_says_for_what():
    with pytest.raises(AssertionError, match="waited .* for the moon"):
        wait_until("the moon", lambda: None, timeout=0.1)


def test_a_process_leaves_its_output_and_status(case_dir):
    process = Process("child", ["sh", "-c", "echo out; echo log >&2; exit 3"], case_dir, clean_env())
    assert process.wait(10) == 3
    assert (process.out(), process.log()) == ("out\n", "log\n")


def test_the_environment_of_programs_is_clean(monkeypatch):
    for name in ("PGHOST", "https_proxy", "PRECIS_CONFIG", "GROK_API_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in clean_env().values()
    assert clean_env(PRECIS_TEST_KEY="k")["PRECIS_TEST_KEY"] == "k"
    assert clean_env()["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("line, found", [
    ("==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x1", True),
    ("==12==ERROR: LeakSanitizer: detected memory leaks", True),
    ("worker/a.c:3:4: runtime error: signed integer overflow", True),
    ('{"level":"error","event":"runtime error"}', False),
])
def test_sanitizer_reports_are_seen(line, found):
    assert bool(SANITIZER.search(f"before\n{line}\nafter\n")) is found


def test_configurations_are_laid_over_each_other():
    base = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert merged(base, {"a": {"b": None, "e": 3}}) == {"a": {"c": [1], "e": 3}, "d": 2}
    assert base == {"a": {"b": 1, "c": [1]}, "d": 2}
