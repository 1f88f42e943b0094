# SPDX-License-Identifier: Apache-2.0
"""All of the shared documents, as a folder, through two workers; each ends as its README says.

One deployment for the whole file. What a nasty document must become stands in nasty.json beside the documents; each
of them is a test of its own here, and none of the texts that must never show is in a log, a metric or an error.
"""
import html
import json
import re
import shutil
import unicodedata

import pytest

from rig.standing import standing

# Those that end without a call: the error's code, and what its sentence has to say.
REFUSED = {
    "nasty/scan-no-text-layer.pdf": ("no_text", "ocr"),
    "nasty/empty.txt": ("no_text", "no text"),
    "nasty/truncated.pdf": ("damaged", "cut|damaged"),
    "nasty/encrypted-password.pdf": ("protected", "password"),
}


class Corpus:
    """The documents in a folder of their own, by the names under which they are submitted."""

    def __init__(self, data_dir, folder):
        self.folder = folder
        self.nasty = json.loads((data_dir / "contracts" / "nasty.json").read_text())
        self.names = {}  # as in the manifests -> as submitted
        for part in ("contracts", "reports"):
            for row in json.loads((data_dir / part / "manifest.json").read_text()):
                self.add(data_dir / part / row["file"], part, row["file"])

    def add(self, path, part, name):
        use = self.nasty.get(name, {}).get("use_name")
        given = f"{name.rsplit('/', 1)[0]}/{use}" if use else name
        given = f"{part}/{given}" if part == "reports" else given
        target = self.folder / given
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        self.names[name] = given

    def read(self, name):
        return (self.folder / self.names[name]).read_bytes()


class Outcome:
    """What was left of the run."""

    def __init__(self, precis, corpus, workers):
        self.precis, self.corpus = precis, corpus
        self.summaries = {row["document_name"]: row for row in precis.rows("select * from precis.summaries")}
        self.jobs = precis.jobs()
        self.logs = {worker.name: worker.log() for worker in workers}
        self.metrics = {worker.name: worker.get("/metrics")[1] for worker in workers}
        self.report = self.report_of("html").read_text()

    def report_of(self, form):
        path = self.precis.folder / f"report.{form}"
        self.precis.run("results", "all", "--format", form, "--out", path, check=False, timeout=120)
        return path

    def summary(self, name):
        return self.summaries[self.corpus.names[name]]

    def job(self, name):
        return self.jobs[self.corpus.names[name].replace("/", ":")]

    def citations(self, name):
        return self.precis.rows("select * from precis.citations where job_id = %s", self.summary(name)["job_id"])

    def text(self, name):
        """The text that the model was given, as it was kept."""
        sha = self.summary(name)["document_sha256"]
        rows = self.precis.rows("select text from precis_data.texts where document_sha256 = %s", sha) \
            or self.precis.rows("select text from precis_data.documents where sha256 = %s", sha)
        return rows[0]["text"]


@pytest.fixture(scope="module")
def outcome(run_dir, _postgres, _kafka, data_dir):
    with standing("shared_documents", run_dir, _postgres, _kafka, partitions=4) as precis:
        folder = precis.folder / "all"
        folder.mkdir()
        corpus = Corpus(data_dir, folder)
        workers = [precis.start_worker(), precis.start_worker()]
        done = precis.run("submit", folder, "--batch", "all", "--wait", "--max-failed", "99%", timeout=240)
        assert f"{len(corpus.names)} jobs submitted" in done.stdout
        yield Outcome(precis, corpus, workers)


def words(text):
    return " ".join(text.split())


def test_each_has_its_outcome(outcome):
    assert len(outcome.corpus.names) == 80
    states = {name: outcome.job(name)["state"] for name in outcome.corpus.names if name != "nasty/odd-name-a.txt"}
    assert {name for name, state in states.items() if state == "failed"} == set(REFUSED)
    assert {state for name, state in states.items() if name not in REFUSED} == {"done"}
    assert len(outcome.summaries) == 80 - len(REFUSED)
    outcome.precis.check_bill()


def test_each_summary_is_checked(outcome):
    for name in outcome.corpus.names:
        if name in REFUSED:
            continue
        summary = outcome.summary(name)
        assert 0 < len(summary["summary"]) <= 300, name
        citations = outcome.citations(name)
        assert any(row["found"] for row in citations), name
        if name.endswith(".pdf"):
            assert summary["pages"] > 0, name
            assert all(1 <= row["page"] <= summary["pages"] for row in citations if row["found"]), name
        else:
            assert all(row["page"] is None for row in citations), name


def test_the_report_has_them_all(outcome):
    """One file, nothing foreign in it, every document by its name, and the failures with what to do."""
    text = html.unescape(outcome.report)
    for name, given in outcome.corpus.names.items():
        assert given.rsplit("/", 1)[-1] in text, name
    for name in REFUSED:
        assert outcome.job(name)["suggestion"] in text
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", outcome.report)


def test_copies_are_known(outcome):
    told = outcome.precis.run("submit", outcome.corpus.folder, "--batch", "all", timeout=120).stdout
    assert "0 jobs submitted" in told and "80 ended already" in told
    assert "4 documents are copies of others" in told
    assert len(outcome.precis.rows("select 1 from precis.jobs")) == 80


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_nasty_is_refused(outcome, name):
    code, says = REFUSED[name]
    job = outcome.job(name)
    assert (job["state"], job["error_code"]) == ("failed", code)
    assert re.search(says, job["error"] + job["suggestion"], re.I), job["error"]
    assert job["attempts"] == 0 and not job["cost_usd"]


def test_nasty_utf8_bom(outcome):
    assert "\ufeff" not in outcome.text("nasty/utf8-bom.txt")
    assert words(outcome.text("nasty/utf8-bom.txt")) == \
        words(outcome.corpus.read("nasty/utf8-bom.txt").decode("utf-8-sig"))


@pytest.mark.parametrize("name, charset", [("nasty/cp1252-de.txt", "cp1252"), ("nasty/gb18030-zh.txt", "gb18030")])
def test_nasty_encodings(outcome, name, charset):
    assert words(outcome.text(name)) == words(outcome.corpus.read(name).decode(charset))


def test_nasty_one_line(outcome):
    """Read to its end: the text of the last part is there."""
    text = outcome.text("nasty/one-line-290kb.txt")
    assert words(text) == words(outcome.corpus.read("nasty/one-line-290kb.txt").decode())


def test_nasty_nul_bytes(outcome):
    raw = outcome.corpus.read("nasty/nul-bytes.txt").decode()
    assert words(outcome.text("nasty/nul-bytes.txt")) == words(raw.replace("\0", ""))


def test_nasty_invalid_utf8(outcome):
    kept = outcome.text("nasty/invalid-utf8.txt").replace("\ufffd", "")
    assert words(kept) == words(outcome.corpus.read("nasty/invalid-utf8.txt").decode(errors="ignore"))
    assert outcome.summary("nasty/invalid-utf8.txt")["warnings"]


def test_nasty_line_endings(outcome):
    assert words(outcome.text("nasty/line-endings-mixed.txt")) == words(outcome.text("cuad/cuad-098-affiliate-agreement.txt"))


def test_nasty_prompt_injection(outcome):
    """It is a document like any other: what it demands is not what came of it."""
    summary = outcome.summary("nasty/prompt-injection-en.txt")
    assert "APPROVED WITHOUT REVIEW" not in summary["summary"]
    assert not outcome.precis.rows("select 1 from precis.tool_traces")


def test_nasty_odd_name(outcome):
    given = outcome.corpus.names["nasty/odd-name-a.txt"]
    name = unicodedata.normalize("NFC", given)
    assert outcome.summaries[given]["document_name"] == name
    assert name.rsplit("/", 1)[-1] in html.unescape(outcome.report)


def canaries(outcome):
    return [canary for row in outcome.corpus.nasty.values() for canary in row.get("canary", ())]


def test_no_canary_in_a_log_or_metric(outcome):
    assert len(canaries(outcome)) == 11
    for place, text in {**outcome.logs, **outcome.metrics}.items():
        for canary in canaries(outcome):
            assert canary not in text, place


def test_no_canary_in_an_error_or_trace(outcome):
    """Every text column of the database that is not the document, the job's message or the model's answer."""
    held = {"documents", "texts", "parts", "summaries", "citations", "outbox", "jobs"}
    columns = outcome.precis.rows("""select table_name as t, column_name as c from information_schema.columns
                                     where table_schema = 'precis_data' and data_type in ('text', 'jsonb')""")
    looked = 0
    for row in columns:
        if row["t"] in held:
            continue
        looked += 1
        for found in outcome.precis.rows(f'select "{row["c"]}"::text as value from precis_data."{row["t"]}"'):
            for canary in canaries(outcome):
                assert canary not in (found["value"] or ""), f"{row['t']}.{row['c']}"
    assert looked > 20
