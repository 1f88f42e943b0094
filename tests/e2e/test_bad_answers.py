# SPDX-License-Identifier: Apache-2.0
"""Every bad answer of a provider, by its number in the list of bad inputs, through one real worker.

Each case is sent in three ways: `once` (the first answer is spoiled), `always`, and `plain` (once, not streamed).
Each job has a provider of its own, since a closed key is closed for all that use it. What has to come of a case
is a row of CASES; what the ledger says is held against the simulator's bill at the end.
"""
import re
import signal
import subprocess

import pytest

from rig.common import ROOT, Process, clean_env, wait_until
from rig.program import FINAL, KEY
from rig.promises import Promises
from rig.servers import ModelSim
from rig.standing import standing

BODY = "SECRET BODY pays 700 dollars for the licence. The term is two years. Either party may end it."
OK = ("ok", "exact", None)


class Case:
    """The attempts of a job that meets the fault once, and always; a number in them repeats the one before."""

    def __init__(self, once, always=None, state="done", code=None, plain=None):
        self.once, self.always, self.state, self.code = once, once if always is None else always, state, code
        self.plain = plain or once


def fine(source="exact"):
    """Taken as it is."""
    return Case([("ok", source, None)])


def doubt(code, plain=None):
    """Nobody knows whether it was paid: at most two times."""
    def bad(word):
        return ("in_doubt", "in_doubt", word)
    return Case([bad(code), OK], [bad(code)] * 2, "failed", "in_doubt",
                [OK] if plain == "fine" else [bad(plain or code), OK])


def again(code, source="exact"):
    """Retried, as often as the configuration says."""
    bad = ("failed", source, code)
    return Case([bad, OK], [bad] * 6, "failed", code)


def repaired(code):
    """Told to the model, once."""
    bad = ("failed", "exact", code)
    return Case([bad, OK], [bad] * 2, "failed", code)


def last(code):
    """Not bought again."""
    bad = ("failed", "exact", code)
    return Case([bad], [bad], "failed", code, [bad])


def throttled(code):
    """The key waits, no attempt is used up."""
    return Case([("throttled", "none", code), OK], [])


def closes(code, outcome="failed", source="exact"):
    """The key closes for long, and the job waits for it."""
    return Case([(outcome, source, code), OK], [])


CASES = {
    # connections that die or stall
    "35_die_before_first_byte": doubt("connection_lost"),
    "35_reset_before_first_byte": doubt("connection_lost"),
    "36_die_after_headers": doubt("connection_lost"),
    "36_die_mid_body": doubt("connection_lost"),
    "36_reset_mid_body": doubt("connection_lost"),
    "37_stall_first_byte": doubt("timeout_first_byte", plain="timeout_total"),
    "37_slow_first_byte": fine(),
    "38_stall_after_headers": doubt("timeout_first_byte", plain="timeout_total"),
    "38_stall_mid_stream": doubt("timeout_idle", plain="timeout_total"),
    "39_comments_forever": doubt("timeout_idle", plain="timeout_total"),
    "39_comments_mid_stream": doubt("timeout_idle", plain="timeout_total"),
    # errors inside 200, pages, statuses
    "40_error_in_200": again("http_500"),
    "40_overloaded_in_200": throttled("rate_limit_exceeded"),
    "41_error_event": doubt("http_500", plain="fine"),
    "41_error_event_no_done": doubt("http_500", plain="fine"),
    "42_html_200": doubt("bad_answer"),
    "42_html_502": again("http_502"),
    "43_no_content_204": doubt("bad_answer"),
    "43_empty_200": doubt("bad_answer"),
    "43_empty_stream": doubt("answer_cut", plain="fine"),
    "43_not_json_200": doubt("bad_answer"),
    "44_redirect_301": last("http_301"),
    "44_redirect_307": last("http_307"),
    "45_interim_100": fine(),
    "45_interim_103": fine(),
    "46_status_999": doubt("bad_answer"),
    "46_status_two_digit": doubt("bad_answer"),
    "46_not_http": doubt("bad_answer"),
    # how a stream ends, and its form
    "47_no_finish_no_done": doubt("answer_cut", plain="bad_answer"),
    "48_finish_no_done": fine(),
    "48_finish_no_done_open": fine(),
    "48_done_open": fine(),
    "49_done_no_finish": doubt("answer_cut", plain="bad_answer"),
    "50_data_after_done": fine(),
    "51_split_bytes": fine(),
    "51_cr_only": fine(),
    "51_crlf": fine(),
    "51_long_line": doubt("answer_too_large", plain="fine"),
    "51_comments": fine(),
    "51_named_events": fine(),
    "51_bom": fine(),
    "51_garbage_event": doubt("bad_answer", plain="fine"),
    "51_blank_lines": fine(),
    # choices and finish reasons
    "52_choices_empty": doubt("answer_cut", plain="bad_answer"),
    "52_choices_missing": doubt("answer_cut", plain="bad_answer"),
    "52_choices_two": fine(),
    "53_content_null": repaired("not_json"),
    "53_content_empty": repaired("not_json"),
    "54_finish_length": repaired("output_limit"),
    "54_text_with_finish": fine(),
    "55_content_filter": last("content_filter"),
    "55_refusal": last("refusal"),
    "56_finish_unknown": again("answer_cut"),
    "56_finish_null": doubt("answer_cut", plain="bad_answer"),
    "56_finish_empty": doubt("answer_cut", plain="bad_answer"),
    "57_other_model": fine(),
    "57_dated_model": fine(),
    # usage
    "58_usage_missing": fine("estimated"),
    "58_usage_null": fine("estimated"),
    "59_usage_negative": fine("estimated"),
    "59_usage_float": fine("estimated"),
    "59_usage_huge": fine("estimated"),
    "59_usage_text": fine("estimated"),
    "59_usage_nan": fine("estimated"),
    "59_usage_mismatch": fine("estimated"),
    "59_usage_zero": fine("estimated"),
    "60_usage_each_chunk": fine(),
    "60_usage_twice": fine(),
    "61_usage_details_null": fine(),
    "61_usage_cached_too_many": fine("estimated"),
    "61_usage_reasoning_too_many": fine("estimated"),
    "61_reasoning_inside": fine(),
    "61_reasoning_beside": fine(),
    "61_reasoning_text": fine(),
    # without end
    "62_endless_body": doubt("answer_too_large"),
    "62_endless_headers": doubt("bad_answer"),
    "62_gzip_bomb": doubt("answer_too_large"),
    # throttling and keys
    **{f"63_retry_after_{word}": throttled("rate_limit_exceeded")
       for word in ("0", "1", "negative", "soon", "past", "date", "none", "fraction", "ms")},
    "63_retry_after_huge": closes("rate_limit_exceeded", "throttled", "none"),
    "63_slow_down": throttled("rate_limit_exceeded"),
    "63_error_array": throttled("rate_limit_exceeded"),
    "63_error_flat": throttled("rate_limit_exceeded"),
    "63_overloaded": throttled("overloaded"),
    "64_insufficient_quota": closes("insufficient_quota"),
    "64_http_402": closes("insufficient_quota"),
    "65_http_401": closes("http_401"),
    "65_http_403": last("http_403"),
    # the other statuses
    "66_context_length": repaired("context_length_exceeded"),
    "66_error_integer_code": repaired("context_length_exceeded"),
    "66_seed_context": repaired("context_length_exceeded"),
    "67_http_400": last("http_400"),
    "67_seed_thinking": last("parameter_conflict"),
    "67_seed_output": repaired("output_limit"),
    "67_error_text": last("http_400"),
    "67_http_404": last("http_404"),
    "67_model_not_found": last("model_not_found"),
    "67_http_413": repaired("http_413"),
    "67_http_422": last("http_422"),
    "67_http_500_empty": again("http_500"),
    "67_http_500_text": again("http_500"),
    **{f"67_http_{status}": again(f"http_{status}")
       for status in (408, 409, 412, 425, 500, 502, 503, 504, *range(520, 529))},
    "67_http_529": throttled("overloaded"),
    "68_should_retry_true": again("http_400"),
    "68_should_retry_false": last("http_500"),
    "69_ratelimit_garbage": fine(),
    "69_ratelimit_exhausted": fine(),
    "70_wrong_date": fine(),
    "71_duplicate_content_length": fine(),
    "71_obs_fold": fine(),
    # content
    "72_prose": repaired("not_json"),
    "72_fenced": fine(),
    "72_two_objects": repaired("not_json"),
    "72_single_quotes": repaired("not_json"),
    "73_wrong_shape": repaired("schema_mismatch"),
    "73_points_string": repaired("schema_mismatch"),
    "73_many_points": repaired("schema_mismatch"),
    "73_too_long": Case([("failed", "exact", "schema_mismatch"), OK], state="done"),
    "73_few_points": fine(),
    "73_false_quotes": fine(),
    "73_false_amounts": fine(),
    "73_false_dates": fine(),
    "73_false_names": fine(),
    "74_text_nul": fine(),
    "74_text_surrogate": fine(),
    "74_text_escape": fine(),
    "74_text_tags": fine(),
    "74_envelope_surrogate": fine(),
    "74_invalid_utf8": fine(),
}
# Other tests have them: of a connection that was used before, and of requests for several documents (test_pack.py).
ELSEWHERE = {"die_reused", "pack_missing", "pack_doubled", "pack_swapped", "pack_obeys"}
TLS = ["good", "expired", "wrong-host", "self-signed"]
SEED_SENTENCES = {
    "67_seed_thinking": "thinking options type cannot be disabled when reasoning_effort. Suggestion: "
                        "Send either reasoning_effort or reasoning_mode, not both.",
    "66_seed_context": "the model has reached its context window limit. Suggestion: "
                       "Shorten the document or split it into parts.",
    "67_seed_output": "claude's response exceeded the 32000 output token maximum. Suggestion: "
                      "Ask for fewer output tokens.",
}


def fault_of(case):
    return case.split("_", 1)[1]


def ways_of(case):
    """name of the job -> (marker, streamed)"""
    fault = fault_of(case)
    ways = {f"{case}.once": (f"[[sim:{fault}*1]]", True), f"{case}.plain": (f"[[sim:{fault}*1]]", False)}
    if CASES[case].always:
        ways[f"{case}.always"] = (f"[[sim:{fault}]]", True)
    return ways


class Setup:
    """Providers, models and jobs, as they add up."""

    def __init__(self, precis):
        self.precis = precis
        self.provider = {**precis.config["providers"]["sim"],
                         "timeouts": {"connect": "10s", "first_byte": "20s", "idle": "20s"}}
        self.model = {**precis.config["models"]["grok-4.3"], "max_output_tokens": 4000}
        self.providers, self.models, self.routes, self.messages = {}, {}, {}, {}

    def add(self, name, marker="", provider=None, **model):
        slug = name.replace(".", "-")
        self.providers[slug] = {**self.provider, **(provider or {})}
        self.models[slug] = {**self.model, "provider": slug, "model": "grok-4.3", **model}
        self.send(name, marker, slug)

    def send(self, name, marker, model):
        self.messages[name] = self.precis.job(name, f"{name}: {BODY}\n\n{marker}", summarize={"model": model})


def add_odd_ones(setup, tls_ports, ca):
    """34: nobody there, no such name, TLS; 35: a connection that was used before; 67: the route's next model."""
    setup.add("34_refused", provider={"base_url": "http://127.0.0.1:9/v1"})
    setup.add("34_no_such_name", provider={"base_url": "https://no-such-host.invalid/v1"})
    setup.add("34_no_tls", provider={"base_url": setup.provider["base_url"].replace("http:", "https:")})
    for kind, port in tls_ports.items():
        setup.add(f"34_tls_{kind}", provider={"base_url": f"https://127.0.0.1:{port}/v1", "ca": str(ca)})
    setup.add("34_tls_unknown_ca", provider={"base_url": f"https://127.0.0.1:{tls_ports['good']}/v1"})
    setup.add("35_first")
    setup.add("67_next_model", "[[sim:model_not_found@grok-4.3]]")
    setup.models["67_other"] = {**setup.models["67_next_model"], "model": "claude-opus-4.8",
                                "price": setup.precis.config["models"]["claude-opus-4.8"]["price"]}
    setup.routes["67_route"] = ["67_next_model", "67_other"]
    setup.send("67_next_model", "[[sim:model_not_found@grok-4.3]]", "67_route")


def attempts_of(precis, name):
    return precis.rows("select * from precis.costs where job_id = %s order by step, attempt", name)


def wait_key_closed(precis, names):
    def all_wait():
        rows = precis.jobs()
        left = [name for name in names if rows.get(name, {}).get("waiting_for") != "key_closed"]
        assert not left, left
        return True

    wait_until("the jobs of closed keys to wait", all_wait, timeout=60, every=0.3)


@pytest.fixture(scope="module")
def tls(run_dir):
    """nghttpx with each sort of certificate, once the simulator's port is known: start(port) -> {kind: port}, CA."""
    folder = run_dir / "bad_answers_tls"
    folder.mkdir()
    fronts = {}

    def start(backend):
        ports = {}
        for kind in TLS:
            env = clean_env(TLS_CERT=kind)
            argv = [ROOT / "tools" / "modelsim" / "tls", backend, folder]
            front = fronts[kind] = Process(f"tls-{kind}", argv, folder, env)
            found = wait_until(f"nghttpx ({kind})", lambda f=front: re.search(r"port (\d+)", f.out()))
            ports[kind] = int(found.group(1))
        return ports, folder / "ca.pem"

    yield start
    for front in fronts.values():
        front.signal(signal.SIGTERM)
        front.wait(10)


@pytest.fixture(scope="module")
def asked(run_dir, _postgres, _kafka, tls):
    """The deployment after every case has ended. Jobs of closed keys waited until HUP."""
    with standing("bad_answers", run_dir, _postgres, _kafka, partitions=2) as precis:
        setup = Setup(precis)
        for case in CASES:
            for name, (marker, streamed) in ways_of(case).items():
                provider, model = {}, {}
                if case[:2] in ("37", "38", "39"):  # these have to run out, the others must not on a slow machine
                    provider = {"timeouts": {"connect": "10s", "first_byte": "4s", "idle": "4s"}}
                    # A plain answer has only the total, which follows from the most that may be written.
                    model = {"max_output_tokens": 4000 if streamed else 240}
                setup.add(name, marker, provider, stream=streamed, **model)
        add_odd_ones(setup, *tls(precis.modelsim.port))
        precis.configure(providers=setup.providers, models=setup.models, routes=setup.routes,
                         worker={"drain_timeout": "2s", "in_flight": 120}, retry={"base": "10ms", "max": "100ms"})
        precis.send(list(setup.messages.values()))
        worker = precis.start_worker()
        closed = [name for case in CASES if CASES[case].once[0][2] in ("http_401", "insufficient_quota")
                  or case == "63_retry_after_huge" for name in ways_of(case)]
        wait_key_closed(precis, closed)
        precis.closed_after = {name: len(attempts_of(precis, name)) for name in closed}
        precis.wait_final(set(setup.messages) - set(closed), timeout=120)
        setup.send("35_second", "[[sim:die_reused*1]]", "35_first")  # its connection is idle now
        precis.send([setup.messages["35_second"]])
        worker.signal(signal.SIGHUP)
        precis.wait_final(setup.messages, timeout=60)
        yield precis


def seen(rows):
    return [(row["outcome"], row["cost_source"], row["error_code"]) for row in rows]


def check(precis, name, attempts, state, code):
    row, rows = precis.jobs()[name], attempts_of(precis, name)
    assert seen(rows) == attempts
    assert (row["state"], row["error_code"]) == (state, code)
    if state == "failed":
        assert re.search(r"\. Suggestion: \S", row["error"]) and row["suggestion"]
    for attempt in rows:
        assert (attempt["cost_usd"] is None) == (attempt["outcome"] == "in_doubt")
        assert (attempt["at_most_usd"] is None) == (attempt["outcome"] != "in_doubt")


@pytest.mark.parametrize("case", CASES)
def test_answer(asked, case):
    expected = CASES[case]
    failed_at_once = expected.once[-1] != OK and expected.once[-1][0] != "ok"
    check(asked, f"{case}.once", expected.once, *(("failed", expected.code) if failed_at_once else ("done", None)))
    if expected.always:
        check(asked, f"{case}.always", expected.always, expected.state, expected.code)
    check(asked, f"{case}.plain", expected.plain, *(("failed", expected.code) if failed_at_once else ("done", None)))


def test_every_fault_is_a_case():
    """A fault that the simulator learns is a case here, or this fails."""
    listed = subprocess.run([ModelSim.program(), "--list-faults"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines() if line.strip()}
    assert names - ELSEWHERE == {fault_of(case) for case in CASES}


@pytest.mark.parametrize("name, code", [("34_refused", "connect_failed"), ("34_no_such_name", "connect_failed"),
                                        ("34_no_tls", "tls_failed"), ("34_tls_expired", "tls_failed"),
                                        ("34_tls_wrong-host", "tls_failed"), ("34_tls_self-signed", "tls_failed"),
                                        ("34_tls_unknown_ca", "tls_failed")])
def test_no_connection(asked, name, code):
    """34: nothing left, so nothing is in doubt and nothing is paid."""
    codes = [row["error_code"] for row in attempts_of(asked, name)]
    if name == "34_no_tls":  # the plain server may be quicker to hang up than to be misunderstood
        assert set(codes) <= {code, "connect_failed"} and len(codes) == 6
        return
    check(asked, name, [("failed", "exact", code)] * 6, "failed", code)
    assert all(row["cost_usd"] == 0 for row in attempts_of(asked, name))


def test_34_tls_good(asked):
    check(asked, "34_tls_good", [OK], "done", None)


def test_35_die_on_a_reused_connection(asked):
    """libcurl would send the POST again in silence; here it is an attempt of its own."""
    check(asked, "35_second", [("in_doubt", "in_doubt", "connection_lost"), OK], "done", None)
    calls = [call for call in asked.modelsim.bill()["calls"] if "/35_second/" in call["id"]]
    assert [call["id"].rsplit("/", 1)[1] for call in calls] == ["1", "2"]


def test_67_the_next_model_of_the_route(asked):
    check(asked, "67_next_model", [("failed", "exact", "model_not_found"), OK], "done", None)
    assert [row["model"] for row in attempts_of(asked, "67_next_model")] == ["67_next_model", "67_other"]


def test_closed_keys_are_not_asked(asked):
    """63 to 65: one request, then none until HUP."""
    assert set(asked.closed_after.values()) == {1}, asked.closed_after


@pytest.mark.parametrize("case", SEED_SENTENCES)
def test_known_sentences(asked, case):
    row = asked.jobs()[f"{case}.always"]
    assert row["error"].endswith(f"API error 400: {SEED_SENTENCES[case]}")


def test_contents_are_cleaned(asked):
    """74"""
    rows = asked.rows("select job_id, summary, warnings from precis.summaries where job_id like '74%'")
    assert len(rows) >= 12
    for row in rows:
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", row["summary"])
        assert row["warnings"], row
    quotes = asked.rows("select found from precis.citations where job_id like '73_false_quotes.%'")
    assert quotes and not any(row["found"] for row in quotes)


def test_oddities_are_told(asked):
    """57, 59: once for each model."""
    (worker,) = asked.workers
    told = [(line["event"], line["model"]) for line in worker.log_lines()
            if line.get("event") in ("usage_contradicts_itself", "answer_of_another_model")]
    assert len(told) == len(set(told))
    assert {model for event, model in told if event == "answer_of_another_model"} == {
        f"57_other_model-{way}" for way in ("once", "always", "plain")}
    assert {f"59_usage_{word}-always" for word in ("negative", "float", "huge", "text", "nan", "mismatch", "zero")} <= {
        model for event, model in told if event == "usage_contradicts_itself"}


def test_the_ledger_is_the_bill(asked):
    promises = Promises(asked)
    # Answers that were no answers, and bills that say so: the cases above say which are in doubt.
    promises.check(doubts=10_000)


def test_no_secret_and_no_text_in_the_log(asked):
    (worker,) = asked.workers
    log = worker.log()
    assert KEY not in log and "SECRET" not in log and BODY[:20] not in log
    for table, column in [("jobs", "error"), ("dead_letters", "error")]:
        for row in asked.rows(f"select {column} from precis.{table} where {column} is not null"):
            assert KEY not in row[column] and "SECRET" not in row[column]
    assert all(row["state"] in FINAL for row in asked.jobs().values())
