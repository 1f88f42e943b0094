# SPDX-License-Identifier: Apache-2.0
"""The model simulator itself: answers, streams, limits, bill, and every fault on the wire.

MODELSIM names the program; else the newest one under build/ is taken.
"""
import concurrent.futures
import csv
import glob
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (
    "MASTER SERVICES AGREEMENT\n\n"
    "This agreement is made between Acme Corp. and Widget Ltd. on 1 March 2026 in London. "
    "The Supplier shall deliver the services of Schedule A within 30 days.\n\n"
    "1. Payment. The Customer must pay each invoice within 45 days of receipt. "
    "Late payments bear interest of 1.5 percent per month.\n"
    "2. Termination. Either party may terminate this agreement with 90 days' written notice. "
    "Confidentiality survives the end of this agreement for five years.\n\n"
    "This agreement is governed by the law of England and Wales."
)
CHINESE = "本合同自双方签字之日起生效。甲方应当在三十日内支付全部货款！乙方不得向第三方披露保密信息。违约方应当承担赔偿责任，期限为两年。"


def program():
    named = os.environ.get("MODELSIM")
    if named:
        return named
    found = glob.glob(str(ROOT / "build/*/tools/modelsim/modelsim"))
    if not found:
        pytest.fail("no modelsim under build/: cmake --build --preset asan --target modelsim")
    return max(found, key=os.path.getmtime)


class Simulator:
    def __init__(self, *options):
        self.process = subprocess.Popen([program(), *options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def call(self, method, path, body=None, headers=None):
        connection = self.connect()
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, payload, headers or {})
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response, data

    def chat(self, text=TEXT, headers=None, **fields):
        return self.call("POST", "/v1/chat/completions", chat_body(text, **fields), headers)

    def answer(self, text=TEXT, **fields):
        response, data = self.chat(text, **fields)
        assert response.status == 200, data
        return json.loads(data)

    def content(self, text=TEXT, **fields):
        return json.loads(self.answer(text, **fields)["choices"][0]["message"]["content"])

    def script(self, **options):
        response, data = self.call("POST", "/sim/script", options)
        assert response.status == 200, data

    def reset(self):
        self.call("POST", "/sim/reset", {})

    def bill(self):
        return json.loads(self.call("GET", "/sim/bill?calls=1")[1])

    def stats(self):
        return json.loads(self.call("GET", "/sim/stats")[1])

    def wait_entry(self, outcome):
        for _ in range(100):
            entry = self.bill()["calls"][-1]
            if entry["outcome"] == outcome:
                return entry
            time.sleep(0.02)
        raise AssertionError(f"the last entry is {entry}, not {outcome}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


def summary_schema(max_chars=300, quotes=True, points="3 to 5"):
    item = {"type": "string"}
    if quotes:
        item = {"type": "object", "properties": {"point": item, "quote": item}}
    return {
        "type": "object",
        "properties": {
            "summary": {"type": "string", "description": f"at most {max_chars} characters"},
            "key_points": {"type": "array", "description": f"{points} entries", "items": item},
        },
    }


def schema_format(schema):
    return {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": schema}}


def chat_body(text=TEXT, schema=None, system="Answer with one JSON object.", **fields):
    body = {
        "model": "grok-4.3",
        "messages": [
            {"role": "system", "content": system},
            {"role": "user", "content": f'<document-k3f9 name="a">\n{text}\n</document-k3f9>\nGo on.'},
        ],
        "response_format": schema_format(schema or summary_schema()),
    }
    body.update(fields)
    return {name: value for name, value in body.items() if value is not None}


def events(data):
    """The data of the server-sent events, by the letter of the specification."""
    text = data.decode("utf-8").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)
    out, current = [], []
    for line in lines:
        if line == "" and current:
            out.append("\n".join(current))
            current = []
        elif line.startswith("data:"):
            current.append(line[5:].removeprefix(" "))
    return out


def chunks(data):
    return [json.loads(event) for event in events(data) if event != "[DONE]"]


def stream_text(data):
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks(data)
        for choice in chunk.get("choices", [])
        if choice["index"] == 0
    )


def raw_request(port, body, wait=1.5, limit=4 << 20):
    """All bytes until the connection ends, `wait` seconds pass or `limit` is read; then how it ended."""
    payload = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(payload) + payload
        )
        got, until = b"", time.monotonic() + wait
        while time.monotonic() < until and len(got) < limit:
            if not select.select([sock], [], [], 0.05)[0]:
                continue
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                return got, "reset"
            if not piece:
                return got, "closed"
            got += piece
        return got, "open"


@pytest.fixture(scope="module")
def sim():
    simulator = Simulator()
    yield simulator
    simulator.stop()


@pytest.fixture(autouse=True)
def fresh(request):
    if "sim" in request.fixturenames:
        request.getfixturevalue("sim").reset()
    yield


# --- the program


def test_help_version_and_mistakes():
    def run(*args):
        return subprocess.run([program(), *args], capture_output=True, text=True, timeout=10)

    assert "--tokens-per-second" in run("--help").stdout
    assert re.match(r"modelsim \d+\.\d+\.\d+\n", run("--version").stdout)
    assert "die_mid_body" in run("--list-faults").stdout
    for wrong in (["--nonsense", "1"], ["--latency", "soon"], ["--latency", "500-100ms"], ["--rpm"], ["extra"],
                  ["--fault", "no_such:0.5"], ["--fault", "http_500:2"], ["--model", "m:in=0.0000000001"],
                  ["--model", "m:colour=red"], ["--listen", "nowhere"]):
        result = run(*wrong)
        assert result.returncode == 2 and result.stderr.startswith("modelsim: "), wrong


def test_a_taken_port_is_an_error(sim):
    result = subprocess.run([program(), "--listen", f"127.0.0.1:{sim.port}"], capture_output=True, text=True, timeout=10)
    assert result.returncode == 1 and "address already in use" in result.stderr


def test_every_name_in_the_table_is_unique():
    names = fault_names()
    assert len(names) > 130 and len(set(names)) == len(names)


def test_term_ends_it_while_answers_wait():
    simulator = Simulator("--latency", "30s")
    connection = simulator.connect()
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body()))
    time.sleep(0.1)
    simulator.stop()
    connection.close()


# --- answers


@pytest.mark.parametrize("text", [TEXT, CHINESE, TEXT.replace("\n", "\r\n")])
@pytest.mark.parametrize("max_chars", [60, 120, 300, 1500])
def test_summary_and_quotes(sim, text, max_chars):
    content = sim.content(text, schema=summary_schema(max_chars))
    assert set(content) == {"summary", "key_points"}
    assert 0 < len(content["summary"]) <= max_chars
    assert 3 <= len(content["key_points"]) <= 5
    for point in content["key_points"]:
        assert set(point) == {"point", "quote"} and point["point"]
        assert point["quote"] in text and point["quote"]


def test_points_as_texts_and_their_number(sim):
    content = sim.content(schema=summary_schema(quotes=False))
    assert all(isinstance(point, str) for point in content["key_points"])
    assert len(sim.content(schema=summary_schema(points="2 to 2"))["key_points"]) == 2
    schema = summary_schema()
    schema["properties"]["key_points"].update(minItems=1, maxItems=1)
    assert len(sim.content(schema=schema)["key_points"]) == 1


def test_the_instruction_is_read_where_there_is_no_schema(sim):
    system = (
        'Answer with one JSON object. Its form: {"summary": "…", "key_points": [{"point": "…", "quote": "…"}]}\n'
        "- summary: plain text, at most 100 characters, spaces included.\n- key_points: exactly 4 entries"
    )
    for form in ({"type": "json_object"}, None):
        content = sim.content(system=system, response_format=form)
        assert len(content["summary"]) <= 100 and len(content["key_points"]) == 4
        assert content["key_points"][0]["quote"] in TEXT


def test_without_a_wish_for_json_it_is_prose(sim):
    message = sim.answer(system="Say something.", response_format=None)["choices"][0]["message"]["content"]
    assert message and not message.startswith("{")


def test_a_tiny_document_has_fewer_points(sim):
    content = sim.content("Rent is due on Monday.")
    assert content["summary"] == "Rent is due on Monday." and len(content["key_points"]) == 1


def test_an_empty_document(sim):
    assert sim.content("") == {"summary": "", "key_points": []}


def test_own_schema_is_filled(sim):
    schema = {
        "type": "object",
        "properties": {
            "title": {"type": "string"}, "pages": {"type": "integer"}, "signed": {"type": "boolean"},
            "parties": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "risk": {"enum": ["low", "high"]}, "note": {"type": ["string", "null"]},
            "money": {"$ref": "#/$defs/money"}, "tags": {"type": "array"},
        },
        "$defs": {"money": {"type": "object", "properties": {"amount": {"type": "number", "minimum": 3}}}},
    }
    content = sim.content(schema=schema)
    assert content["title"] in TEXT and content["pages"] == 0 and content["signed"] is False
    assert len(content["parties"]) == 2 and content["risk"] == "low" and content["tags"] == []
    assert content["money"] == {"amount": 3} and isinstance(content["note"], str)


def test_own_schema_with_quotes(sim):
    own = {"type": "object", "properties": {"fee": {"type": "string"}, "a/b": {"type": "string"}}}
    path = {"type": "object", "properties": {"path": {"type": "string"}, "quote": {"type": "string"}}}
    schema = {"type": "object", "properties": {"output": own, "quotes": {"type": "array", "items": path}}}
    content = sim.content(schema=schema)
    assert [quote["path"] for quote in content["quotes"]] == ["/fee", "/a~1b"]
    assert all(quote["quote"] in TEXT for quote in content["quotes"])
    system = 'JSON, the form: {"output": …, "quotes": [{"path": "…", "quote": "…"}]}\nThe schema of output:\n' + json.dumps(own)
    assert set(sim.content(system=system, response_format=None)["output"]) == {"fee", "a/b"}


FACTS = (
    "LEASE\n\nThis lease is made on 1 March 2026 and begins on April 15, 2026. The monthly rent is EUR 1.250,00 and the "
    "deposit US$ 2.5 million. Die Frist endet am 31.12.2027 oder am 5. März 2028; fällig sind 300,50 Euro. "
    "Le bail est signé le 1er juillet 2029. El plazo vence el 2 de mayo de 2030. 期限は2031年4月1日まで、賃料は50,000円。"
)


def test_own_schema_with_dates_and_amounts(sim):
    text = {"type": ["string", "null"]}
    dates = {f"d{n}": dict(text, description="begin, ISO 8601") for n in range(8)}
    own = {"type": "object", "properties": {
        **dates, "late": dict(text, description="ISO 8601"), "time": dict(text, description="HH:MM"),
        "sums": {"type": "array", "items": {"type": "object", "properties": {
            "what": text, "amount": {"type": "string", "description": "amount, as written"}}}},
        "more": dict(text, description="amount"), "signed": {"type": ["boolean", "null"]},
        "names": {"type": "array", "items": {"type": "string"}}}}
    path = {"type": "object", "properties": {"path": {"type": "string"}, "quote": {"type": "string"}}}
    schema = {"type": "object", "properties": {"output": own, "quotes": {"type": "array", "items": path}}}
    content = sim.content(FACTS, schema=schema)
    output = content["output"]
    assert [output[f"d{n}"] for n in range(8)] == [
        "2026-03-01", "2026-04-15", "2027-12-31", "2028-03-05", "2029-07-01", "2030-05-02", "2031-04-01", None]
    assert output["late"] is None and output["time"] is None and output["signed"] is None and output["more"] is None
    assert [item["amount"] for item in output["sums"]] == ["EUR 1.250,00", "US$ 2.5 million", "300,50 Euro", "50,000円"]
    assert len(output["names"]) == 2
    quotes = {quote["path"]: quote["quote"] for quote in content["quotes"]}
    assert {"/d0", "/sums/1/amount", "/names/0"} <= set(quotes) and "/d7" not in quotes
    assert all(quote in FACTS for quote in quotes.values())
    assert "1 March 2026" in quotes["/d0"] and "2.5 million" in quotes["/sums/1/amount"]
    bare = sim.content("Nothing is said.", schema=schema)["output"]
    assert bare["sums"] == [] and bare["d0"] is None


def test_part_summaries_are_combined(sim):
    parts = [sim.content(TEXT), sim.content(TEXT.replace("45 days", "60 days"))]
    joined = "\n".join(json.dumps(part) for part in parts)
    content = sim.content(joined)
    quotes = [point["quote"] for part in parts for point in part["key_points"]]
    assert content["key_points"] and '"' not in content["summary"]
    for point in content["key_points"]:
        assert any(point["quote"] in quote for quote in quotes) or point["quote"] in parts[0]["summary"]


def test_several_messages_and_parts(sim):
    body = chat_body()
    body["messages"][1]["content"] = [{"type": "text", "text": body["messages"][1]["content"]}]
    body["messages"] += [{"role": "assistant", "content": "{}"}, {"role": "user", "content": "That cannot be used."}]
    response, data = sim.call("POST", "/v1/chat/completions", body)
    content = json.loads(json.loads(data)["choices"][0]["message"]["content"])
    assert all(point["quote"] in TEXT for point in content["key_points"])


def test_stream_equals_plain(sim):
    for text in (TEXT, CHINESE):
        plain = sim.answer(text)
        response, data = sim.chat(text, stream=True, stream_options={"include_usage": True})
        assert response.getheader("content-type") == "text/event-stream"
        assert stream_text(data) == plain["choices"][0]["message"]["content"]
        assert events(data)[-1] == "[DONE]"
        last = chunks(data)[-1]
        assert last["choices"] == [] and last["usage"] == plain["usage"]
        assert [c["choices"][0]["finish_reason"] for c in chunks(data)[:-1]][-1] == "stop"
        assert all(c["usage"] is None for c in chunks(data)[:-1])


def test_without_include_usage_no_usage(sim):
    data = sim.chat(stream=True)[1]
    assert all("usage" not in chunk for chunk in chunks(data))


def test_output_limit_cuts(sim):
    for field in ("max_tokens", "max_completion_tokens"):
        answer = sim.answer(**{field: 20})
        assert answer["choices"][0]["finish_reason"] == "length"
        assert answer["usage"]["completion_tokens"] <= 20
    answer = sim.answer(CHINESE, max_tokens=7)
    assert answer["usage"]["completion_tokens"] <= 7


# --- refusals


def error_of(result, status):
    response, data = result
    assert response.status == status, data
    return json.loads(data)["error"]


def test_bad_requests(sim):
    assert error_of(sim.call("POST", "/v1/chat/completions", b"{"), 400)["type"] == "invalid_request_error"
    assert error_of(sim.call("POST", "/v1/chat/completions", b"[1]"), 400)
    assert error_of(sim.chat(messages=[]), 400)["param"] == "messages"
    assert error_of(sim.chat(messages=None), 400)["param"] == "messages"
    assert error_of(sim.chat(max_tokens=0), 400)["param"] == "max_tokens"
    assert error_of(sim.chat(max_tokens=9000), 400)["param"] == "max_tokens"
    assert error_of(sim.chat(stream_options={}), 400)["param"] == "stream_options"
    assert error_of(sim.chat(response_format={"type": "xml"}), 400)["param"] == "response_format"
    assert error_of(sim.chat(model="gpt-0"), 404)["code"] == "model_not_found"
    assert error_of(sim.call("GET", "/v1/chat/completions"), 405)
    assert error_of(sim.call("GET", "/nowhere"), 404)


def test_reasoning_parameters(sim):
    sim.answer(reasoning_effort="low")
    sim.answer(reasoning_mode="non-reasoning")
    sim.answer(reasoning_effort="low", reasoning_mode="auto")
    for fields in ({"reasoning_mode": "reasoning"}, {"thinking": {"type": "disabled"}}):
        error = error_of(sim.chat(reasoning_effort="low", **fields), 400)
        assert error["message"] == "thinking options type cannot be disabled when reasoning_effort"
        assert error["suggestion"]


def test_context(sim):
    sim.script(model="tiny:context=100,in=0.001,out=0.002")
    error = error_of(sim.chat(model="tiny"), 400)
    assert error["code"] == "context_length_exceeded"
    assert re.search(r"maximum context length is 100 tokens.*resulted in \d{3} tokens", error["message"])


def test_keys():
    simulator = Simulator("--key", "sk-one", "--key", "sk-two")
    try:
        assert error_of(simulator.chat(), 401)["code"] == "invalid_api_key"
        assert error_of(simulator.call("GET", "/v1/models"), 401)
        for key in ("sk-one", "sk-two"):
            assert simulator.chat(headers={"Authorization": f"Bearer {key}"})[0].status == 200
        assert simulator.call("GET", "/health")[0].status == 200
        assert simulator.bill()["models"][0]["calls"] == 2
    finally:
        simulator.stop()


# --- money


def test_bill_by_hand(sim):
    sim.script(model="priced:in=0.00025,cached=0.00006,out=0.001,factor=1.1", cached_percent=40)
    sim.reset()
    headers = {"x-client-request-id": "t/b/j/1", "Idempotency-Key": "key-1"}
    response, data = sim.chat(model="priced", headers=headers)
    sim.script(cached_percent=0)
    usage = json.loads(data)["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert cached == usage["prompt_tokens"] * 40 // 100 > 0
    pico = (usage["prompt_tokens"] - cached) * 250000 + cached * 60000 + usage["completion_tokens"] * 1000000
    bill = sim.bill()
    (entry,) = bill["calls"]
    assert entry["id"] == "t/b/j/1" and entry["idempotency_key"] == "key-1"
    assert entry["outcome"] == "answered" and entry["billed"] and entry["delivered"]
    assert re.fullmatch(r"0\.\d{1,12}", entry["cost_usd"])
    whole, part = entry["cost_usd"].split(".")
    assert int(whole) * 10**12 + int(part.ljust(12, "0")) == pico
    assert bill["cost_usd"] == entry["cost_usd"] == bill["models"][0]["cost_usd"]
    assert bill["models"][0]["completion_tokens"] == usage["completion_tokens"]


@pytest.mark.parametrize("text,tokens", [("", 0), ("abcd", 1), ("abcde", 2), ("a.", 1), ("你好", 2), ("é", 1)])
def test_own_token_rule(sim, text, tokens):
    body = {"model": "grok-4.3", "messages": [{"role": "user", "content": text}]}
    usage = json.loads(sim.call("POST", "/v1/chat/completions", body)[1])["usage"]
    assert usage["prompt_tokens"] == 7 + tokens  # three before the answer, four around the message
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_factor(sim):
    sim.script(model="wide:factor=2.5,in=0,out=0")
    narrow = sim.answer()["usage"]["prompt_tokens"]
    wide = sim.answer(model="wide")["usage"]["prompt_tokens"]
    assert 2.5 * (narrow - 1) <= wide <= 2.5 * narrow + 1


def test_a_client_that_leaves_is_billed(sim):
    sim.script(latency="5s")
    connection = sim.connect()
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body()))
    time.sleep(0.1)
    assert sim.stats()["in_flight"] == 1
    connection.close()
    entry = sim.wait_entry("vanished")
    sim.script(latency="0ms")
    assert entry["billed"] and not entry["delivered"] and float(entry["cost_usd"]) > 0


def test_reasoning_tokens(sim):
    sim.script(reasoning_tokens=100)
    inside = sim.answer()["usage"]
    sim.script(reasoning_beside=True)
    beside = sim.answer()["usage"]
    sim.script(reasoning_tokens=0, reasoning_beside=False)
    assert inside["completion_tokens_details"]["reasoning_tokens"] == 100
    assert inside["completion_tokens"] == beside["completion_tokens"] + 100
    assert inside["total_tokens"] == beside["total_tokens"]
    first, second = sim.bill()["calls"]
    assert first["completion_tokens"] == second["completion_tokens"] == inside["completion_tokens"]
    assert first["cost_usd"] == second["cost_usd"] and first["reasoning_tokens"] == 100


# --- time and limits


def test_latency_and_pace(sim):
    def seconds(**fields):
        begin = time.monotonic()
        data = sim.chat(**fields)[1]
        return time.monotonic() - begin, data

    sim.script(latency="200ms")
    assert 0.19 <= seconds()[0] < 1  # libuv counts whole milliseconds
    sim.script(latency="0ms", tokens_per_second=500)
    for stream in (False, True):
        took, data = seconds(stream=stream, stream_options={"include_usage": True} if stream else None)
        usage = chunks(data)[-1]["usage"] if stream else json.loads(data)["usage"]
        assert usage["completion_tokens"] / 500 * 0.9 <= took < usage["completion_tokens"] / 500 + 1
    sim.script(tokens_per_second=0, first_token="150ms")
    assert 0.14 <= seconds(stream=True)[0] < 1
    sim.script(first_token="0ms")


def test_canned_ignores_the_document(sim):
    sim.script(canned=True)
    content = sim.content("Something else entirely.")
    sim.script(canned=False)
    assert "canned" in content["summary"] and len(content["key_points"]) == 3


def test_requests_per_minute(sim):
    sim.script(rpm=60, burst_seconds=2)
    try:
        results = [sim.chat()[0] for _ in range(4)]
        assert [r.status for r in results] == [200, 200, 429, 429]
        assert results[0].getheader("x-ratelimit-limit-requests") == "60"
        assert results[0].getheader("x-ratelimit-remaining-requests") == "1"
        assert re.fullmatch(r"\d+(\.\d+)?(ms|s)", results[0].getheader("x-ratelimit-reset-requests"))
        wait = int(results[2].getheader("retry-after-ms"))
        assert 0 < wait <= 1000 and results[2].getheader("retry-after") == "1"
        assert sim.bill()["calls"][-1]["outcome"] == "throttled" and not sim.bill()["calls"][-1]["billed"]
        time.sleep(wait / 1000 + 0.1)
        assert sim.chat()[0].status == 200
        assert sim.chat(model="claude-opus-4.8")[0].status == 200  # a bucket of its own
    finally:
        sim.script(rpm=0)


def test_tokens_per_minute(sim):
    sim.script(tpm=6000, burst_seconds=2)
    try:
        statuses = [sim.chat()[0].status for _ in range(3)]
        assert statuses == [200, 429, 429]  # the bucket holds 200 tokens: full lets one pass, into debt
        error = error_of(sim.chat(), 429)
        assert error["code"] == "rate_limit_exceeded" and error["type"] == "tokens"
        assert "tokens per min (TPM): Limit 6000" in error["message"]
    finally:
        sim.script(tpm=0)


def test_input_and_output_tokens_apart(sim):
    sim.script(itpm=6000, otpm=60000, burst_seconds=2)
    try:
        first = sim.chat()[0]
        assert first.getheader("x-ratelimit-limit-input-tokens") == "6000"
        assert first.getheader("x-ratelimit-limit-output-tokens") == "60000"
        assert first.getheader("x-ratelimit-limit-requests") is None
        error = error_of(sim.chat(), 429)
        assert error["type"] == "tokens" and "input tokens per min (ITPM): Limit 6000" in error["message"]
    finally:
        sim.script(itpm=0, otpm=0)


def test_limits_change_while_it_runs(sim):
    sim.script(rpm=600, burst_seconds=1)
    try:
        assert sim.chat()[0].getheader("x-ratelimit-remaining-requests") == "9"
        sim.script(rpm=60)
        answer = sim.chat()[0]
        assert (answer.status, answer.getheader("x-ratelimit-limit-requests"),
                answer.getheader("x-ratelimit-remaining-requests")) == (200, "60", "0")
        assert sim.chat()[0].status == 429
    finally:
        sim.script(rpm=0)


def test_three_kinds_of_headers(sim):
    sim.script(rpm=600, burst_seconds=1, headers="minute")
    try:
        left = [sim.chat()[0].getheader("x-ratelimit-remaining-requests") for _ in range(3)]
        assert left == ["599", "598", "597"]
        sim.script(headers="none")
        answer = sim.chat()[0]
        assert answer.status == 200 and not [name for name, _ in answer.getheaders() if "ratelimit" in name.lower()]
        assert sim.call("POST", "/sim/script", {"headers": "some"})[0].status == 400
    finally:
        sim.script(rpm=0, headers="bucket")


def test_somebody_else_uses_the_key(sim):
    """The bucket has 100 a second; somebody else asks for 90 % of that, and is refused where we were first."""
    sim.script(rpm=6000, burst_seconds=1, foreign_percent=90)
    try:
        for _ in range(3):
            time.sleep(0.4)
            while sim.chat()[0].status == 200:
                pass
        stats = sim.stats()
        calls = sim.bill()["calls"]
        ours = sum(call["outcome"] == "answered" for call in calls)
        seconds = (calls[-1]["at_ms"] - calls[0]["at_ms"]) / 1000
        theirs = stats["foreign_calls"] - stats["foreign_refused"]
        # Together never over what the bucket held and what came since, whoever was faster.
        assert ours + theirs <= 100 + 100 * (seconds + 0.1) + 1
        assert 0.5 * 90 * seconds < stats["foreign_calls"] < 1.7 * 90 * seconds + 5
    finally:
        sim.script(rpm=0, foreign_percent=0)


def test_a_rise_gets_more_for_a_while(sim):
    """2 at once and 1 a second; a rise gets half as much again for 2 s, and one call at once."""
    sim.script(rpm=60, burst_seconds=2, surge_percent=50, surge_seconds=2)
    try:
        assert [sim.chat()[0].status for _ in range(4)] == [200, 200, 200, 429]
        assert sim.stats()["surge_calls"] == 1
        time.sleep(2.1)
        # The bucket has two again, but was never full with the allowance used: no more beyond it.
        statuses = [sim.chat()[0].status for _ in range(4)]
        assert statuses[:2] == [200, 200] and 429 in statuses
        sim.reset()
        assert [sim.chat()[0].status for _ in range(4)] == [200, 200, 200, 429]
    finally:
        sim.script(rpm=0, surge_percent=0, surge_seconds=3)


def test_a_key_closes_for_a_while():
    sim = Simulator("--key", "sk-one", "--key", "sk-two")

    def ask(key):
        return sim.chat(headers={"authorization": f"Bearer {key}"})[0]

    sim.script(close="sk-one:1.5s")
    refused = ask("sk-one")
    assert refused.status == 429 and refused.getheader("retry-after") == "2"
    assert 0 < int(refused.getheader("retry-after-ms")) <= 1500
    entry = sim.bill()["calls"][-1]
    assert (entry["outcome"], entry["fault"], entry["billed"], entry["key"]) == ("throttled", "closed", False, 0)
    assert ask("sk-two").status == 200 and sim.bill()["calls"][-1]["key"] == 1
    time.sleep(1.6)
    assert ask("sk-one").status == 200
    sim.script(close=["*:1m"])
    assert [ask("sk-one").status, ask("sk-two").status] == [429, 429]
    sim.reset()
    assert ask("sk-one").status == 200
    assert sim.call("POST", "/sim/script", {"close": "sk-one"})[0].status == 400
    sim.stop()


def test_a_full_server_takes_no_more_calls(sim):
    sim.script(in_flight=2, latency="700ms")
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = [future.result() for future in [pool.submit(sim.chat) for _ in range(5)]]
    assert sorted(answer[0].status for answer in answers) == [200, 200, 503, 503, 503]
    assert sim.stats()["in_flight_most"] == 2
    assert [call["billed"] for call in sim.bill()["calls"]].count(True) == 2
    assert sim.chat()[0].status == 200


def test_beginnings_of_prompts_are_cached(sim):
    sim.script(prefix_cache="1m", prefix_tokens=64)
    system = "Summarise what stands between the fences. " * 20
    try:
        first = sim.answer(TEXT, system=system)["usage"]
        second = sim.answer(TEXT + " More.", system=system)["usage"]
        other = sim.answer(TEXT, system="Something else. " + system)["usage"]
        another_model = sim.answer(TEXT, system=system, model="claude-opus-4.8")["usage"]
        assert first["prompt_tokens_details"]["cached_tokens"] == 0
        assert 200 < second["prompt_tokens_details"]["cached_tokens"] < second["prompt_tokens"]
        assert other["prompt_tokens_details"]["cached_tokens"] == 0
        assert another_model["prompt_tokens_details"]["cached_tokens"] == 0
        entry = sim.bill()["calls"][1]
        assert entry["cached_tokens"] == second["prompt_tokens_details"]["cached_tokens"]
        plain = entry["prompt_tokens"] - entry["cached_tokens"]
        owed = (plain * 250000 + entry["cached_tokens"] * 60000 + entry["completion_tokens"] * 1000000) / 10**12
        assert abs(float(entry["cost_usd"]) - owed) < 1e-12
        sim.script(prefix_tokens=100000)
        assert sim.answer(TEXT, system=system)["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    finally:
        sim.script(prefix_cache=0, prefix_tokens=1024)


def test_usage_export(sim):
    sim.chat(headers={"x-client-request-id": "one,two"})
    sim.chat("[[sim:http_503*1]]")
    rows = [json.loads(line) for line in sim.call("GET", "/sim/usage")[1].splitlines()]
    calls = [call for call in sim.bill()["calls"] if call["billed"]]
    assert [row["request_id"] for row in rows] == [call["request_id"] for call in calls] and len(rows) == 1
    assert rows[0]["client_request_id"] == "one,two"
    assert rows[0]["input_tokens"] == calls[0]["prompt_tokens"]
    assert rows[0]["output_tokens"] == calls[0]["completion_tokens"]
    assert rows[0]["cost_usd"] == calls[0]["cost_usd"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rows[0]["created_at"])
    lines = list(csv.DictReader(sim.call("GET", "/sim/usage?format=csv")[1].decode().splitlines()))
    assert lines == [{name: str(value) for name, value in row.items()} for row in rows]


# --- connections


def test_keep_alive_and_pipelining(sim):
    payload = json.dumps(chat_body()).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload
    health = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    for pause in (0, 1):
        sim.script(latency=f"{pause * 20}ms")
        with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
            sock.sendall(request + health + request + health.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            got = b""
            while piece := sock.recv(65536):
                got += piece
        assert re.findall(rb'HTTP/1.1 200 OK|chat.completion"|{"status":"ok"}', got) == [
            b"HTTP/1.1 200 OK", b'chat.completion"', b"HTTP/1.1 200 OK", b'{"status":"ok"}'] * 2
    sim.script(latency="0ms")


def test_many_small_pipelined_requests(sim):
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
        got = b""
        while got.count(b'{"status":"ok"}') < 5000:
            piece = sock.recv(1 << 20)
            assert piece
            got += piece


def test_byte_by_byte_and_chunked_requests(sim):
    payload = json.dumps(chat_body("Short. " * 3)).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Client-Request-Id: slow\r\n"
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head + b"Content-Length: %d\r\n\r\n" % len(payload) + payload:
            sock.sendall(bytes([byte]))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        sock.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(payload), 50):
            piece = payload[at:at + 50]
            sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        sock.sendall(b"0\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    assert [entry["id"] for entry in sim.bill()["calls"]] == ["slow", "slow"]


def test_expect_is_answered(sim):
    payload = json.dumps(chat_body()).encode()
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(payload))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(payload)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_garbage_is_refused(sim):
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
        assert sock.recv(100) == b""


def test_old_clients_get_no_chunks(sim):
    payload = json.dumps(chat_body(stream=True)).encode()
    with socket.create_connection(("127.0.0.1", sim.port), timeout=10) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload)
        got = b""
        while piece := sock.recv(65536):
            got += piece
    assert b"chunked" not in got and got.endswith(b"data: [DONE]\n\n")


# --- choosing faults


def test_markers_count_attempts(sim):
    text = TEXT + "\n\nNote [[sim:http_503*2]] [[sim:die_mid_body@claude-opus-4.8*9]] [[sim:http_500*1]] here."
    assert [sim.chat(text)[0].status for _ in range(5)] == [503, 503, 500, 200, 200]
    content = json.dumps(sim.content(text))
    assert "sim:" not in content
    assert [entry["fault"] for entry in sim.bill()["calls"]][:4] == ["http_503", "http_503", "http_500", None]
    repair = chat_body(TEXT + "[[sim:prose*1]]")
    assert sim.call("POST", "/v1/chat/completions", repair)[0].status == 200
    assert sim.bill()["calls"][-1]["fault"] == "prose"
    repair["messages"] += [{"role": "assistant", "content": "x"}, {"role": "user", "content": "Again."}]
    sim.call("POST", "/v1/chat/completions", repair)
    assert sim.bill()["calls"][-1]["fault"] is None


def test_keys_have_limits_and_faults_of_their_own():
    sim = Simulator("--key", "sk-one:rpm=60", "--key", "sk-two:fault=http_402", "--key", "sk-three", "--rpm", "6000")
    heard = {name: sim.chat(headers={"authorization": f"Bearer {name}"})[0] for name in ("sk-one", "sk-two", "sk-three", "sk-no")}
    assert {name: response.status for name, response in heard.items()} == {
        "sk-one": 200, "sk-two": 402, "sk-three": 200, "sk-no": 401}
    assert heard["sk-one"].getheader("x-ratelimit-limit-requests") == "60"
    assert heard["sk-three"].getheader("x-ratelimit-limit-requests") == "6000"
    assert [sim.chat(headers={"authorization": "Bearer sk-one"})[0].status for _ in range(2)] == [200, 429]
    for name in ("sk-two", "sk-three"):
        assert sim.call("GET", "/v1/models", headers={"authorization": f"Bearer {name}"})[0].status == 200
    assert sim.call("POST", "/sim/script", {"key": ["a:b"]})[0].status == 400
    assert sim.call("POST", "/sim/script", {"key": ["a:fault=nothing"]})[0].status == 400
    sim.stop()


def test_unknown_markers_are_text(sim):
    assert sim.chat("See [[sim:no_such_fault]] and [[sim: and [[sim:http_500")[0].status == 200


def test_next_and_chance(sim):
    sim.script(next=["http_500", "none", "http_503"])
    assert [sim.chat()[0].status for _ in range(4)] == [500, 200, 503, 200]
    sim.script(fault={"http_502": 0.5}, seed=7)
    first = [sim.chat()[0].status for _ in range(40)]
    sim.script(seed=7)
    assert first == [sim.chat()[0].status for _ in range(40)]
    assert 8 < first.count(502) < 32
    sim.script(fault=[])
    assert {sim.chat()[0].status for _ in range(20)} == {200}
    response, data = sim.call("POST", "/sim/script", {"fault": {"nonsense": 1}})
    assert response.status == 400 and "unknown fault" in json.loads(data)["error"]


# --- every fault


def fault_names():
    listed = subprocess.run([program(), "--list-faults"], capture_output=True, text=True, check=True, timeout=10).stdout
    return [line.split()[0] for line in listed.splitlines()]


def marked(name, text=TEXT):
    return f"{text}\n\n[[sim:{name}]]"


NO_ENTRY = {"die_reused"}
REFUSING = re.compile(
    r"(http_\d|error_(text|array|flat|integer|in_200)|retry_after|slow_down|overloaded|insufficient|model_not|context_len|should_|seed_|"
    r"html_|no_content|empty_200|not_json_200|redirect|status_|not_http)"
)


@pytest.mark.parametrize("stream", [False, True])
def test_each_fault_is_billed_once_and_survived(sim, stream):
    """All of them, one after the other: one entry each, money only where the model worked, and it lives on."""
    for name in fault_names():
        sim.reset()
        body = chat_body(marked(name), stream=stream)
        wait = 0.6 if re.search("stall|open|forever|endless|bomb|comments_mid", name) else 5
        _, how = raw_request(sim.port, body, wait=0.05 if wait == 5 else wait, limit=1 << 20)
        assert sim.call("GET", "/health")[0].status == 200, name
        entries = sim.bill()["calls"]
        assert len(entries) == 1, name
        if name in NO_ENTRY:
            assert entries[0]["fault"] is None
            continue
        assert entries[0]["fault"] == name
        assert entries[0]["billed"] != bool(REFUSING.match(name)), name
        assert (entries[0]["cost_usd"] == "0") == bool(REFUSING.match(name)), name


@pytest.mark.parametrize("name,how,begins,outcome", [
    ("die_before_first_byte", "closed", b"", "dropped"),
    ("reset_before_first_byte", "reset", b"", "dropped"),
    ("die_after_headers", "closed", b"HTTP/1.1 200", "cut"),
    ("die_mid_body", "closed", b"HTTP/1.1 200", "cut"),
    ("reset_mid_body", "reset", b"", "cut"),
    ("stall_first_byte", "open", b"", "dropped"),
    ("stall_after_headers", "open", b"HTTP/1.1 200", "cut"),
    ("stall_mid_stream", "open", b"HTTP/1.1 200", "cut"),
    ("status_999", "open", b"HTTP/1.1 999", "refused"),
    ("status_two_digit", "closed", b"HTTP/1.1 99 ", "refused"),
    ("not_http", "closed", b"SSH-", "refused"),
    ("interim_100", "open", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200", "answered"),
    ("interim_103", "open", b"HTTP/1.1 103", "answered"),
    ("no_content_204", "open", b"HTTP/1.1 204", "refused"),
    ("redirect_307", "open", b"HTTP/1.1 307", "refused"),
    ("html_502", "open", b"HTTP/1.1 502", "refused"),
])
@pytest.mark.parametrize("stream", [False, True])
def test_connection_faults(sim, name, how, begins, outcome, stream):
    got, ended = raw_request(sim.port, chat_body(marked(name), stream=stream), wait=0.3)
    assert ended == how and got.startswith(begins)
    if begins == b"" and "mid" not in name:
        assert got == b""
    assert sim.wait_entry(outcome)["billed"] == (outcome != "refused")
    whole, _ = raw_request(sim.port, chat_body(stream=stream), wait=0.3)
    if "mid" in name:
        assert len(got) < len(whole) * 0.8
        assert not got.endswith(b"0\r\n\r\n")


def test_reused_connections_die(sim):
    connection = sim.connect()
    for status in (200, 200):
        connection.request("GET", "/health")
        assert connection.getresponse().read() and status
    connection.request("POST", "/v1/chat/completions", json.dumps(chat_body(marked("die_reused"))))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()
    assert sim.bill()["calls"][-1]["outcome"] == "dropped"


@pytest.mark.parametrize("name", ["comments_forever", "comments_mid_stream"])
def test_comments_for_ever(sim, name):
    got, ended = raw_request(sim.port, chat_body(marked(name), stream=True), wait=1)
    assert ended == "open" and 3 <= got.count(b": keep-alive") <= 6
    assert (b"data: " in got) == (name == "comments_mid_stream") and b"[DONE]" not in got


def test_endless_body_headers_and_gzip(sim):
    for stream in (False, True):
        got, ended = raw_request(sim.port, chat_body(marked("endless_body"), stream=stream), limit=8 << 20, wait=10)
        assert len(got) >= 8 << 20 and b"\r\n\r\n" in got
    got, _ = raw_request(sim.port, chat_body(marked("endless_headers")), limit=1 << 20, wait=10)
    assert len(got) >= 1 << 20 and b"\r\n\r\n" not in got
    got, _ = raw_request(sim.port, chat_body(marked("gzip_bomb")), limit=1 << 20, wait=10)
    head, body = got.split(b"\r\n\r\n", 1)
    assert b"Content-Encoding: gzip" in head
    packed = dechunk(body)
    plain = zlib.decompressobj(31).decompress(packed, 64 << 20)
    assert len(plain) > 100 * len(packed) or len(plain) == 64 << 20


def dechunk(data):
    out = b""
    while True:
        line, _, rest = data.partition(b"\r\n")
        if not line or not rest or int(line, 16) == 0 or len(rest) < int(line, 16):
            return out
        out += rest[:int(line, 16)]
        data = rest[int(line, 16) + 2:]


def streamed(sim, name, text=TEXT, **fields):
    response, data = sim.chat(marked(name, text), stream=True, stream_options={"include_usage": True}, **fields)
    assert response.status == 200
    return data


def finishes(data):
    return [c["finish_reason"] for chunk in chunks(data) for c in chunk.get("choices", []) if c["finish_reason"]]


def test_streams_without_their_ends(sim):
    assert finishes(streamed(sim, "no_finish_no_done")) == []
    assert b"[DONE]" not in streamed(sim, "no_finish_no_done")
    assert finishes(streamed(sim, "done_no_finish")) == [] and events(streamed(sim, "done_no_finish"))[-1] == "[DONE]"
    data = streamed(sim, "finish_no_done")
    assert finishes(data) == ["stop"] and b"[DONE]" not in data
    assert events(streamed(sim, "data_after_done"))[-2] == "[DONE]"
    assert streamed(sim, "empty_stream") == b""
    for name, done in (("error_event", True), ("error_event_no_done", False)):
        found = events(streamed(sim, name))
        assert (found[-1] == "[DONE]") == done
        assert json.loads(found[-2 if done else -1])["error"]["code"] == "server_error"


def test_faults_of_streams_leave_plain_answers(sim):
    for name in ("error_event", "empty_stream", "crlf", "done_open"):
        assert sim.content(marked(name))["summary"] and sim.bill()["calls"][-1]["outcome"] == "answered"
    choice = choice_of(sim, "done_no_finish")
    assert choice["finish_reason"] is None and sim.bill()["calls"][-1]["outcome"] == "cut"


@pytest.mark.parametrize("name", ["finish_no_done_open", "done_open"])
def test_streams_that_stay_open(sim, name):
    got, ended = raw_request(sim.port, chat_body(marked(name), stream=True), wait=0.3)
    assert ended == "open" and b'"finish_reason":"stop"' in got and not got.endswith(b"0\r\n\r\n")
    assert (b"[DONE]" in got) == (name == "done_open")
    assert sim.wait_entry("answered")["delivered"]
    assert sim.answer(marked(name))["choices"][0]["finish_reason"] == "stop"  # plain answers are not concerned


@pytest.mark.parametrize("name", ["split_bytes", "cr_only", "crlf", "long_line", "comments", "named_events", "bom",
                                  "text_with_finish", "usage_each_chunk", "usage_twice", "slow_first_byte"])
def test_odd_but_right_streams(sim, name):
    for text in (TEXT, CHINESE):
        plain = sim.answer(text)["choices"][0]["message"]["content"]
        data = streamed(sim, name, text)
        assert stream_text(data) == plain and finishes(data) == ["stop"] and events(data)[-1] == "[DONE]"
    if name == "cr_only":
        assert b"\n" not in data
    if name == "long_line":
        assert max(len(event) for event in events(data)) > 1 << 20
    if name.startswith("usage"):
        assert sum(1 for chunk in chunks(data) if chunk.get("usage")) >= 2


def test_a_character_is_split(sim):
    got, _ = raw_request(sim.port, chat_body(marked("split_bytes", CHINESE), stream=True))
    assert b"\r\n1\r\n\xe6\r\n1\r\n\x9c\r\n1\r\n\xac\r\n" in got


def test_garbage_event(sim):
    bad = [event for event in events(streamed(sim, "garbage_event")) if not event.endswith("}")]
    assert len(bad) == 2 and bad[-1] == "[DONE]"


def choice_of(sim, name):
    return sim.answer(marked(name))["choices"][0]


def test_answers_of_odd_forms(sim):
    assert sim.answer(marked("choices_empty"))["choices"] == []
    assert "choices" not in sim.answer(marked("choices_missing"))
    assert [c["index"] for c in sim.answer(marked("choices_two"))["choices"]] == [0, 1]
    assert choice_of(sim, "content_null")["message"]["content"] is None
    assert choice_of(sim, "content_empty")["message"]["content"] == ""
    refusal = choice_of(sim, "refusal")["message"]
    assert refusal["content"] is None and refusal["refusal"].startswith("I'm sorry")
    assert "".join(c["choices"][0]["delta"].get("refusal") or "" for c in chunks(streamed(sim, "refusal"))[:-1]) == refusal["refusal"]
    assert stream_text(streamed(sim, "content_null")) == ""
    for name, finish in (("finish_length", "length"), ("content_filter", "content_filter"), ("finish_null", None), ("finish_empty", ""),
                         ("finish_unknown", "insufficient_system_resource")):
        assert choice_of(sim, name)["finish_reason"] == finish
    with pytest.raises(ValueError):
        json.loads(choice_of(sim, "finish_length")["message"]["content"])
    assert sim.answer(marked("other_model"))["model"] == "mystery-model-1"
    assert sim.answer(marked("dated_model"))["model"] == "grok-4.3-2026-11-01"
    assert sim.chat(marked("blank_lines"))[1].startswith(b"\n\n")


def test_usage_faults(sim):
    def usage(name):
        return sim.answer(marked(name)).get("usage", "absent")

    assert usage("usage_missing") == "absent" and usage("usage_null") is None
    assert usage("usage_negative")["prompt_tokens"] < 0
    assert isinstance(usage("usage_float")["prompt_tokens"], float)
    assert usage("usage_huge")["prompt_tokens"] == 2**63
    assert isinstance(usage("usage_text")["prompt_tokens"], str)
    assert b"NaN" in sim.chat(marked("usage_nan"))[1]
    wrong = usage("usage_mismatch")
    assert wrong["total_tokens"] != wrong["prompt_tokens"] + wrong["completion_tokens"]
    many = usage("usage_cached_too_many")
    assert many["prompt_tokens_details"]["cached_tokens"] > many["prompt_tokens"]
    many = usage("usage_reasoning_too_many")
    assert many["completion_tokens_details"]["reasoning_tokens"] > many["completion_tokens"]
    inside, beside = usage("reasoning_inside"), usage("reasoning_beside")
    assert inside["total_tokens"] == inside["prompt_tokens"] + inside["completion_tokens"]
    assert beside["total_tokens"] == beside["prompt_tokens"] + beside["completion_tokens"] + 64
    bills = sim.bill()["calls"]
    assert all(entry["billed"] and entry["prompt_tokens"] > 0 for entry in bills)


def test_usage_in_streams(sim):
    assert not any(chunk.get("usage") for chunk in chunks(streamed(sim, "usage_missing")))
    assert chunks(streamed(sim, "reasoning_beside"))[-1]["usage"]["completion_tokens_details"]["reasoning_tokens"] == 64
    deltas = [c["delta"] for chunk in chunks(streamed(sim, "reasoning_text")) for c in chunk["choices"]]
    assert any("reasoning_content" in delta for delta in deltas)


@pytest.mark.parametrize("name,value", [
    ("retry_after_0", "0"), ("retry_after_1", "1"), ("retry_after_negative", "-1"), ("retry_after_soon", "soon"),
    ("retry_after_huge", "1000000000"), ("retry_after_none", None), ("retry_after_fraction", "0.25"), ("retry_after_ms", "1"),
])
def test_retry_after(sim, name, value):
    response, data = sim.chat(marked(name))
    assert response.status == 429 and response.getheader("retry-after") == value
    assert json.loads(data)["error"]["code"] == "rate_limit_exceeded"
    assert sim.bill()["calls"][-1]["outcome"] == "throttled"


def test_retry_after_dates(sim):
    from email.utils import parsedate_to_datetime
    now = time.time()
    past = parsedate_to_datetime(sim.chat(marked("retry_after_past"))[0].getheader("retry-after")).timestamp()
    soon = parsedate_to_datetime(sim.chat(marked("retry_after_date"))[0].getheader("retry-after")).timestamp()
    assert past < now - 86000 and now < soon < now + 4
    dates = [value for name, value in sim.chat(marked("wrong_date"))[0].getheaders() if name.lower() == "date"]
    assert len(dates) == 1 and parsedate_to_datetime(dates[0]).timestamp() < now - 86000


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 412, 413, 422, 425, 500, 502, 503, 504, *range(520, 530)])
def test_statuses(sim, status):
    assert sim.chat(marked(f"http_{status}"))[0].status == status
    entry = sim.bill()["calls"][-1]
    assert entry["outcome"] == "refused" and entry["status"] == status and not entry["billed"]


def test_named_errors(sim):
    seeds = {
        "seed_thinking": "thinking options type cannot be disabled when reasoning_effort",
        "seed_context": "the model has reached its context window limit.",
        "seed_output": "claude's response exceeded the 32000 output token maximum.",
    }
    for name, message in seeds.items():
        response, data = sim.chat(marked(name))
        body = json.loads(data)
        assert response.status == 400 and body["error"]["message"] == message
        assert body.get("suggestion") or body["error"]["suggestion"]
    assert error_of(sim.chat(marked("insufficient_quota")), 429)["code"] == "insufficient_quota"
    assert error_of(sim.chat(marked("model_not_found")), 404)["code"] == "model_not_found"
    assert re.search(r"128000 tokens.* \d\d\d tokens", error_of(sim.chat(marked("context_length")), 400)["message"])
    assert error_of(sim.chat(marked("error_in_200")), 200)["code"] == "server_error"
    assert sim.chat(marked("should_retry_true"))[0].getheader("x-should-retry") == "true"
    assert sim.chat(marked("should_retry_false"))[0].getheader("x-should-retry") == "false"
    assert isinstance(json.loads(sim.chat(marked("error_text"))[1])["error"], str)
    assert isinstance(json.loads(sim.chat(marked("error_array"))[1]), list)
    assert sim.chat(marked("http_500_empty"))[1] == b""


def test_header_faults(sim):
    got, _ = raw_request(sim.port, chat_body(marked("duplicate_content_length")), wait=0.3)
    lengths = re.findall(rb"Content-Length: (\d+)", got)
    assert len(lengths) == 2 and lengths[0] != lengths[1]
    got, _ = raw_request(sim.port, chat_body(marked("obs_fold")), wait=0.3)
    assert b"X-Folded: one\r\n two\r\n" in got
    assert sim.chat(marked("ratelimit_garbage"))[0].getheader("x-ratelimit-limit-requests") == "many"


def content_text(sim, name):
    return sim.answer(marked(name))["choices"][0]["message"]["content"]


def test_content_faults(sim):
    assert not content_text(sim, "prose").startswith("{")
    fenced = content_text(sim, "fenced")
    assert json.loads(fenced.split("```json\n")[1].split("\n```")[0])["summary"]
    assert set(json.loads(content_text(sim, "wrong_shape"))) == {"result", "bullets"}
    assert isinstance(json.loads(content_text(sim, "points_string"))["key_points"], str)
    assert len(json.loads(content_text(sim, "too_long"))["summary"]) > 300
    assert len(json.loads(content_text(sim, "few_points"))["key_points"]) == 1
    assert all(p["quote"] not in TEXT for p in json.loads(content_text(sim, "false_quotes"))["key_points"])
    for name in ("two_objects", "single_quotes"):
        with pytest.raises(ValueError):
            json.loads(content_text(sim, name))
    assert len(json.loads(content_text(sim, "many_points"))["key_points"]) == 10000


def test_characters_in_content(sim):
    assert "\0" in json.loads(content_text(sim, "text_nul"))["summary"]
    assert "\x1b[31m" in json.loads(content_text(sim, "text_escape"))["summary"]
    assert "\ud800" in json.loads(content_text(sim, "text_surrogate"))["summary"]
    assert "<script>" in json.loads(content_text(sim, "text_tags"))["summary"]
    assert b"lone:\\ud800." in sim.chat(marked("envelope_surrogate"))[1]
    assert b"bad:\xff\xfe." in sim.chat(marked("invalid_utf8"))[1]


# --- TLS and HTTP/2 in front


def have(tool):
    return any(os.access(os.path.join(d, tool), os.X_OK) for d in os.environ["PATH"].split(":"))


@pytest.mark.skipif(not (have("nghttpx") and have("curl")), reason="nghttpx and curl are needed")
def test_tls_in_front(sim, tmp_path):
    front = subprocess.Popen([ROOT / "tools/modelsim/tls", str(sim.port), tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        ca = front.stdout.readline().split()[1]
        port = front.stdout.readline().split()[1]

        def curl(*args):
            return subprocess.run(["curl", "-sS", "--cacert", ca, *args], capture_output=True, text=True, timeout=20)

        url = f"https://localhost:{port}"
        assert curl("-w", "%{http_version}", "-o", "/dev/null", f"{url}/health").stdout == "2"
        assert curl("--http1.1", "-w", "%{http_version}", "-o", "/dev/null", f"{url}/health").stdout == "1.1"
        data = curl("-d", json.dumps(chat_body(stream=True)), f"{url}/v1/chat/completions").stdout
        assert data.endswith("data: [DONE]\n\n")
        assert curl("-d", json.dumps(chat_body(marked("die_mid_body"), stream=True)), f"{url}/v1/chat/completions").returncode == 92
        plain = subprocess.run(["curl", "-sS", f"{url}/health"], capture_output=True, text=True, timeout=20)
        assert plain.returncode == 60
    finally:
        front.terminate()
        assert front.wait(10) == 0
