# SPDX-License-Identifier: Apache-2.0
"""`results` for readers: columns of a schema, the HTML report, what cannot break out of it, and many of them."""
import csv
import html.parser
import io
import json
import re
import subprocess
import sys

import pytest

SCHEMA = {"type": "object", "properties": {
    "title": {"type": "string"},
    "state": {"type": "string"},
    "rent": {"type": "object", "properties": {"amount": {"type": "number"}, "currency": {"type": "string"}}},
    "risks": {"type": "array", "items": {"type": "string"}},
    "parties": {"type": "array", "items": {"type": "object", "properties": {"role": {}, "name": {}}}},
}}
OTHER = {"type": "object", "properties": {"law": {"type": "string"}, "title": {"type": "string"}}}
BREAKERS = ["<script>alert(1)</script>", "</details></main><img src=x onerror=alert(1)>", "\" onclick=\"x", "' a='",
            "`x`", "{{script}}", "]]>", "<!--", "\u202egpj.exe\u202c", "\x1b[2J", "\u200bzero", "&lt;b&gt;"]
EVIL = " ".join(BREAKERS)

JOB = """
with j as (insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec,
    document_name, model, submitted_at)
  values ('default', %s, %s, 0, 'summarize', '\\x01', 5, %s::jsonb, %s, %s, 'default', clock_timestamp() - interval '5 s')
  returning *),
 o as (insert into precis_data.outcomes (tenant, batch, id, revision, job_no, state, error_code, error, suggestion, epoch,
    worker_id) select tenant, batch, id, revision, job_no, case when %s::text is null then 'done' else 'failed' end, %s, %s,
    %s, 1, 1 from j),
 s as (insert into precis_data.summaries (job_no, summary, key_points, output, warnings, model, response_model,
    prompt_version, language, month) select job_no, %s, %s::text[], %s::jsonb, %s::text[], 'grok-4.3', 'grok-4.3',
    'contract@1 summary-2', %s, current_date from j where %s::text is null)
insert into precis_data.citations (job_no, n, point, path, quote, found, page, char_start, char_end, month)
 select j.job_no, c.n, (c.c ->> 'point')::int, c.c ->> 'path', c.c ->> 'quote', (c.c ->> 'found')::boolean,
   (c.c ->> 'page')::int, (c.c ->> 'from')::int, (c.c ->> 'to')::int, current_date
 from j, jsonb_array_elements(%s::jsonb) with ordinality c(c, n)"""


@pytest.fixture
def batch(precis):
    """precis with add(): a job of batch `b` that has ended."""
    with precis.session() as session:
        session.execute("insert into precis_data.batches (tenant, name, sealed_total) values ('default', 'b', 1)")

    def add(name, *, document=None, schema=None, output=None, summary=None, points=None, warnings=(), labels=None,
            quotes=(), code=None, error=None, suggestion=None, language=None):
        spec = {"v": 1, "id": name, "kind": "summarize", "summarize": {"output_schema": schema} if schema else {}}
        if output is None:
            output = {"summary": summary, "key_points": points}
        with precis.session() as session:
            session.execute(JOB, "b", name, json.dumps(labels or {}), json.dumps(spec), document, code, code, error,
                            suggestion, summary, points, json.dumps(output), list(warnings), language, code,
                            json.dumps(list(quotes)))

    precis.add = add
    return precis


def table(precis, *words):
    return list(csv.DictReader(io.StringIO(precis.run("results", "b", "--format", "csv", *words).stdout)))


def test_a_column_for_each_field(batch):
    batch.add("1", document="lease.pdf", schema=SCHEMA, labels={"matter": "M-1"}, warnings=["A.", "B."], output={
        "title": "Lease", "state": "NY", "rent": {"currency": "GBP", "amount": 1200.5}, "risks": ["a; b", "c"],
        "parties": [{"name": "X", "role": "landlord"}], "extra": {"x": 1}}, quotes=[
            {"path": "/title", "quote": "Lease", "found": True, "from": 0, "to": 5},
            {"path": "/state", "quote": "NY", "found": False}])
    batch.add("2", schema=OTHER, output={"law": "=cmd()", "title": None})
    batch.add("3", schema=SCHEMA, output={"title": "T", "state": "-5", "rent": None, "risks": [], "parties": []})
    batch.add("4", summary="Plain.", points=["One.", "Two."])
    batch.add("5", schema=SCHEMA, code="no_text", error="No text. Suggestion: OCR.", suggestion="OCR.")
    rows = table(batch)
    assert list(rows[0]) == [
        "tenant", "batch", "job_id", "revision", "state", "document_name", "summary", "key_points",
        "title", "output.state", "rent.amount", "rent.currency", "risks", "parties", "law",
        "other", "warning_count", "warnings", "quotes_found", "quotes_missing", "labels", "language", "pages", "model",
        "prompt_version", "input_tokens", "output_tokens", "cost_usd", "finished_at", "error_code", "error", "suggestion",
        "document_uri", "document_sha256"]
    by = {row["job_id"]: row for row in rows}
    one = by["1"]
    assert (one["title"], one["output.state"], one["rent.amount"], one["rent.currency"], one["risks"]) == (
        "Lease", "NY", "1200.5", "GBP", "a; b; c")
    assert one["parties"] == '[{"role":"landlord","name":"X"}]' and one["other"] == '{"extra":{"x":1}}'
    assert (one["state"], one["document_name"], one["prompt_version"]) == ("done", "lease.pdf", "contract@1 summary-2")
    assert (one["warning_count"], one["warnings"], one["quotes_found"], one["quotes_missing"]) == ("2", "A.\nB.", "1", "1")
    assert by["2"]["law"] == "'=cmd()" and by["2"]["title"] == "" and by["2"]["other"] == ""
    assert by["3"]["output.state"] == "-5"
    assert (by["4"]["summary"], by["4"]["key_points"], by["4"]["title"]) == ("Plain.", "One.\nTwo.", "")
    assert (by["5"]["state"], by["5"]["error_code"], by["5"]["error"]) == ("failed", "no_text", "No text. Suggestion: OCR.")
    # The columns are the batch's, whatever is asked for.
    assert list(table(batch, "--failed")[0]) == list(rows[0])


class Page(html.parser.HTMLParser):
    """Elements with their attributes, and the text of each class."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.pieces, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.pieces.append(data)

    @property
    def text(self):
        return "".join(self.pieces)


def report(precis, *words):
    return precis.run("results", "b", "--format", "html", *words).stdout


def test_nothing_breaks_out_of_the_report(batch):
    batch.add("1", document=EVIL, summary=EVIL, points=[EVIL], warnings=[EVIL], labels={EVIL: EVIL}, language='en" x="',
              quotes=[{"point": 1, "quote": EVIL, "found": True, "from": 1, "to": 2}, {"point": 9, "quote": EVIL, "found": False}])
    batch.add("2", schema={"properties": {EVIL: {}}}, output={EVIL: [EVIL, {EVIL: EVIL}]}, document=EVIL, quotes=[
        {"path": "/" + EVIL, "quote": EVIL, "found": False}])
    batch.add("3", document=EVIL, code="http_400", error=EVIL, suggestion=EVIL)
    text = report(batch)
    page = Page(text)
    assert page.open == []
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not {"img", "a", "link", "iframe", "object", "base"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("style", "src", "href")]
    for breaker in BREAKERS[:8]:
        assert breaker in page.text
    for hidden in "\u202e\u202c\x1b\u200b":
        assert hidden not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert "://" not in text
    for words in (["--format", "markdown"], ["--format", "csv"], ["--format", "jsonl"], []):
        shown = batch.run("results", "b", *words).stdout
        assert not [hidden for hidden in "\u202e\x1b\u200b" if hidden in shown], words


def test_the_report_says_what_matters(batch):
    batch.add("1", document="lease.pdf", summary="A lease.", points=["Rent 1,200.", "Five years."], language="en",
              warnings=["The amount 99 is not in the document."], labels={"matter": "M-1"}, quotes=[
                  {"point": 1, "quote": "twelve hundred", "found": True, "page": 3, "from": 120, "to": 134},
                  {"point": 2, "quote": "never said", "found": False}])
    batch.add("2", schema=SCHEMA, output={"title": "Lease", "state": "NY", "parties": [
        {"name": "X", "role": "landlord"}, {"name": "Y", "role": "tenant"}]})
    batch.add("3", document="scan.pdf", code="no_text", error="No text. Suggestion: Use OCR.", suggestion="Use OCR.")
    page = Page(report(batch))
    words = " ".join(page.text.split())
    for part in ("lease.pdf", "A lease.", "“twelve hundred” page 3, characters 120 to 134", "“never said” not found in the document",
                 "The amount 99 is not in the document.", "matter: M-1", "contract@1 summary-2", "1 of 2 quotes found in their documents",
                 "1 warning, in 1 document", "2 documents summarised", "1 failed", "no_text"):
        assert part in words or part.replace(" ", "") in words.replace(" ", ""), part
    assert words.count("Use OCR.") == 3  # by code, in the closed line, in the document; not twice in one
    assert page.tags.count("blockquote") == 2 and page.tags.count("details") == 3
    assert [value for name, value in page.attributes if name == "data-missing"] == ["0", "1", "0"]
    assert "No job has ended yet" not in words
    failed = Page(report(batch, "--failed"))
    assert failed.tags.count("details") == 1


PEAK = """import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)"""


def test_many_results_need_little_memory(precis, case_dir):
    with precis.session() as session:
        session.execute("""insert into precis_data.batches (tenant, name, sealed_total) values ('default', 'b', 20000);
          insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec, document_name)
            select 'default', 'b', 'job-' || i, 0, 'summarize', '\\x01', 5, '{}', '{}', 'document-' || i || '.pdf'
            from generate_series(1, 20000) i;
          insert into precis_data.outcomes (tenant, batch, id, revision, job_no, state, epoch, worker_id)
            select tenant, batch, id, revision, job_no, 'done', 1, 1 from precis_data.jobs;
          insert into precis_data.summaries (job_no, summary, key_points, output, warnings, month)
            select job_no, repeat('A sentence about the rent. ', 20), array['One.', 'Two.'], '{}', '{}', current_date
            from precis_data.jobs;
          analyze""")
    for words in (["html"], ["csv"], ["jsonl"]):
        path = case_dir / f"out.{words[0]}"
        argv = [precis.program(), "results", "b", "--config", precis.config_path, "--format", *words, "--out", path]
        # By a small process, since the peak of this one would count as its child's. What a sanitizer keeps of freed
        # memory is not what the program needs.
        done = subprocess.run([sys.executable, "-c", PEAK, *map(str, argv)], capture_output=True, text=True, check=False,
                              env=precis.env(ASAN_OPTIONS="quarantine_size_mb=4"), timeout=280)
        assert done.returncode == 0, done.stderr
        assert "20000 jobs of b written to" in done.stderr
        assert int(done.stdout) < 80_000  # kB, of which a sanitizer's build needs some 30,000 for nothing
        text = path.read_text(encoding="utf-8")
        assert text.count("job-") >= 20000 and len(text) > 10_000_000
    assert (case_dir / "out.html").read_text(encoding="utf-8").count("<details ") == 20000


def test_a_device_is_written_to(batch):
    batch.add("1", summary="Short.", points=[])
    batch.run("results", "b", "--out", "/dev/stdout")
    batch.run("results", "b", "--out", "/dev/full", check=False)
    assert batch.run("results", "b", "--out", "/dev/full", check=False).returncode == 1
    assert "Short." in batch.run("results", "b", "--out", "/dev/stdout").stdout


TEXT = ("Contract {}. The fee is 10 dollars a month. It is due on 1 May of each year. The contract ends after two years. "
        "Notice is three months. The deposit is 30 dollars. [[sim:refusal*1]]")


def test_letters_by_code_and_again(precis):
    """Failed, the cause mended, replayed by code with a cap, done."""
    jobs = [precis.job(f"job-{n}", TEXT.format(n)) for n in range(3)]
    precis.send(jobs + [precis.job("empty", " ")])
    precis.start_worker()
    precis.wait_final([f"job-{n}" for n in range(3)] + ["empty"])
    listed = precis.run("dlq", "list").stdout
    assert re.search(r"^refusal +3 .*The model declined", listed, re.M) and re.search(r"^no_text +1 ", listed, re.M)
    assert precis.json("dlq", "replay", "--code", "refusal", "--max", "2") == {"reopened": 2, "sent": 0, "not_sent": 0, "left": 1}
    precis.wait_final([f"job-{n}" for n in range(3)])
    assert precis.json("dlq", "replay", "--code", "refusal")["reopened"] == 1
    precis.wait_final([f"job-{n}" for n in range(3)])
    assert sorted((row["job_id"], row["state"]) for row in precis.json("jobs")) == [
        ("empty", "failed"), ("job-0", "done"), ("job-1", "done"), ("job-2", "done")]
    story = " ".join(precis.run("show", "job-0").stdout.split())
    assert story.index("failed: refusal") < story.index("reopened") < story.index(" ok, HTTP 200")
    assert "refusal, replayed" in story
