# SPDX-License-Identifier: Apache-2.0
"""submit of every format, a second time, with labels, on a terminal; what it sends is read from the topic."""
import base64
import datetime
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from rig.common import PATIENCE, wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. " * 120
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def sent(precis):
    """id -> document, of the messages on the jobs topic."""
    return {message["id"]: message for message in
            (json.loads(record["value"]) for record in precis.kafka.read_all(precis.topics["jobs"]))}


def documents(precis):
    return {row["sha256"]: row for row in precis.rows(
        "select sha256, text, encode(bytes, 'hex') as hex, media_type, size from precis_data.documents")}


def sha(data):
    return hashlib.sha256(data).hexdigest()


# ------------------------------------------------------------------------------- formats

# name -> (bytes, media type, whether it goes as text)
FILES = {
    "a.txt": (TEXT.encode(), "text/plain", True),
    "b.md": (("# Terms\n\n" + TEXT).encode(), "text/markdown", True),
    "c.html": (("<!doctype html><p>" + TEXT).encode(), "text/html", False),
    "d.HTM": (("<html><p>" + TEXT).encode(), "text/html", False),
    "e.pdf": (b"%PDF-1.7\n" + bytes(range(256)) * 20, "application/pdf", False),
    "f.docx": (b"PK\x03\x04" + b"word/document.xml" + bytes(5000), DOCX, False),
    "g.umlaut.txt": (("Müller zahlt 10 € an Äpfelhändler. " * 200).encode("cp1252"), "text/plain", False),
    "h.utf16.txt": (TEXT.encode("utf-16"), "text/plain", False),
    "i-without-ending": (TEXT.encode(), "text/plain", True),
    "j.really-a-pdf.txt": (b"%PDF-1.4\n" + bytes(range(256)) * 20, "application/pdf", False),
    "k.contract": (b"PK\x03\x04" + b"xx word/document.xml" + bytes(5000), DOCX, False),
    "l.rfc822": (("Subject: the lease\n\n" + TEXT).encode(), "text/plain", True),
    "m.csv": (("party;amount\n" + "Alder;10\n" * 800).encode(), "text/csv", True),
}


def test_every_format_goes_by_folder(precis, case_dir):
    folder = case_dir / "all"
    folder.mkdir()
    for name, (data, _, _) in FILES.items():
        (folder / name).write_bytes(data)
    answer = precis.json("submit", folder)
    assert answer["jobs"] == len(FILES) and answer["not_submitted"] == []
    messages, stored = sent(precis), documents(precis)
    for name, (data, media_type, is_text) in FILES.items():
        assert messages[name]["document"] == {"stored": sha(data), "media_type": media_type, "name": name}, name
        row = stored[sha(data)]
        assert row["media_type"] == media_type and row["size"] == len(data), name
        assert (row["text"], row["hex"]) == ((data.decode(), None) if is_text else (None, data.hex())), name


def test_small_ones_go_in_the_message(precis, case_dir):
    folder = case_dir / "small"
    folder.mkdir()
    files = {"a.txt": b"\xef\xbb\xbfTen dollars.", "b.html": b"<html><p>Ten dollars.</p>", "c.txt": "Müller".encode("cp1252"),
             "d.pdf": b"%PDF-1.7 tiny", "empty.txt": b""}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert precis.json("submit", folder)["documents_stored"] == 0
    messages = {name: message["document"] for name, message in sent(precis).items()}
    assert messages["a.txt"] == {"text": "Ten dollars.", "name": "a.txt"}
    assert messages["empty.txt"] == {"text": "", "name": "empty.txt"}
    for name, media_type in (("b.html", "text/html"), ("c.txt", "text/plain"), ("d.pdf", "application/pdf")):
        assert messages[name] == {"data": base64.b64encode(files[name]).decode(), "media_type": media_type, "name": name}


def test_a_line_with_bytes_over_4_kb_is_stored(precis):
    data = b"%PDF-1.7\n" + bytes(range(256)) * 20
    line = {"id": "p", "document": {"data": base64.b64encode(data).decode(), "media_type": "application/pdf", "name": "p.pdf"}}
    precis.json("submit", "-", stdin=json.dumps(line))
    assert sent(precis)["p"]["document"] == {"stored": sha(data), "media_type": "application/pdf", "name": "p.pdf"}
    assert documents(precis)[sha(data)]["hex"] == data.hex()


def test_names_stay_as_they_are(precis, case_dir, data_dir):
    nasty = json.loads((data_dir / "contracts" / "nasty.json").read_text())
    name = nasty["nasty/odd-name-a.txt"]["use_name"]
    folder = case_dir / "odd ones [1]"
    folder.mkdir()
    shutil.copy(data_dir / "contracts" / "nasty" / "odd-name-a.txt", folder / name)
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("Latin 1 in the name.")
    (folder / ("long-" + "x" * 240 + ".txt")).write_text("Long.")
    precis.run("submit", folder)
    names = {message["document"]["name"] for message in sent(precis).values()}
    assert name in names
    assert "caf\ufffd.txt" in names
    assert all(re.fullmatch(r"[A-Za-z0-9._:@-]{1,200}", job) for job in sent(precis))


def test_hidden_and_system_files_are_left_out_and_counted(precis, case_dir):
    folder = case_dir / "mixed"
    (folder / ".git").mkdir(parents=True)
    (folder / "__MACOSX").mkdir()
    for name in (".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "~$lock.docx", ".git/config", "__MACOSX/x.txt", "a.txt"):
        (folder / name).write_text("The fee is 10 dollars.")
    done = precis.run("submit", folder)
    assert done.stdout.startswith("1 job submitted")
    assert "7 hidden or system files were left out." in done.stdout
    # One that is named is meant.
    assert precis.json("submit", folder / ".DS_Store", "--batch", "b")["jobs"] == 1


def test_what_cannot_be_read_is_listed_and_counted(precis, case_dir):
    folder = case_dir / "bad"
    folder.mkdir()
    (folder / "a.txt").write_text("The fee is 10 dollars.")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.txt")
    (folder / "large.txt").write_text("x" * 2000)
    (folder / "data.json").write_text("{}")
    (folder / "all.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    (folder / "scan.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    precis.configure(documents={"max_bytes": "1000B"})
    answer = json.loads(precis.run("submit", folder, "--json", check=False).stdout)
    told = {os.path.basename(problem["path"]): problem["error"] for problem in answer["not_submitted"]}
    assert told == {
        "gone.txt": "the link leads nowhere", "pipe.txt": "it is neither a file nor a folder",
        "large.txt": "it has more than 1000 bytes (documents.max_bytes in the configuration)",
        "data.json": "JSON is no document; job messages stand in .jsonl files, one a line",
        "all.zip": "it is a ZIP archive: unpack it, and submit the folder",
        "scan.png": "it is a picture (PNG): convert it, or name what reads it under documents.extractors in the "
                    "configuration (for instance tesseract)"}
    assert precis.run("submit", folder, check=False).returncode == 3
    assert precis.run("submit", folder, "--max-failed", "6", check=False).returncode == 0


def test_the_shared_documents(precis, data_dir):
    folder = data_dir / "contracts"
    answer = json.loads(precis.run("submit", folder, "--json", check=False, timeout=120).stdout)
    assert sorted(os.path.basename(problem["path"]) for problem in answer["not_submitted"]) == [
        "gold.json", "manifest.json", "nasty.json"]
    manifest = json.loads((folder / "manifest.json").read_text())
    count = len(manifest["files"] if isinstance(manifest, dict) else manifest)
    assert answer["jobs"] == count + 1 == 71  # and the README
    assert {(copy["document"], copy["copy_of"]) for copy in answer["copies"]} == {
        ("cuad/cuad-179-consulting-agreement.txt", "cuad/cuad-175-consulting-agreement.txt"),
        ("nasty/odd-name-a.txt", "cuad/cuad-485-sponsorship-agreement.txt"),
        ("edgar/credit-dup-b.txt", "edgar/credit-dup-a.txt"),
        # The same text: the byte order mark, with which it began, is none of it.
        ("nasty/utf8-bom.txt", "cuad/cuad-078-transportation-service-agreement-c.txt")}


# ------------------------------------------------------------------------------- again


def test_copies_are_told(precis, case_dir):
    folder = case_dir / "f"
    folder.mkdir()
    for name in "abcde":
        (folder / f"{name}.txt").write_text("The same." if name != "e" else "Another.")
    done = precis.run("submit", folder)
    assert "5 jobs submitted" in done.stdout
    assert "3 documents are copies of others: b.txt of a.txt, c.txt of a.txt, d.txt of a.txt." in done.stdout


def test_a_second_run_continues(precis, case_dir):
    folder = case_dir / "deals"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"The fee of deal {number} is 10 dollars.")
    worker = precis.start_worker()
    assert precis.json("submit", folder, "--wait")["done"] == 3
    before = len(precis.kafka.read_all(precis.topics["jobs"]))
    (folder / "1.txt").write_text("The fee of deal 1 is 11 dollars.")
    (folder / "3.txt").write_text("The fee of deal 3 is 10 dollars.")
    done = precis.run("submit", folder, check=False)
    assert done.returncode == 3
    assert "1.txt: it has changed since it was submitted; --revise" in done.stderr
    assert done.stdout.startswith("1 job submitted to batch default/deals, 2 ended already (not sent again), 1 not submitted")
    assert len(precis.kafka.read_all(precis.topics["jobs"])) == before + 1
    answer = precis.json("submit", folder, "--revise", "--wait")
    assert (answer["jobs"], answer["revised"], answer["done"], answer["failed"]) == (1, 1, 4, 0) or \
        (answer["jobs"], answer["revised"], answer["repeated"]) == (2, 1, 1)  # the new one had not ended yet
    assert len(precis.modelsim.bill()["calls"]) == 5
    assert worker.terminate() == 0


def test_a_dry_run_does_nothing(precis, case_dir):
    folder = case_dir / "deals"
    folder.mkdir()
    (folder / "a.txt").write_text(TEXT)
    (folder / "b.bin").write_bytes(bytes(99))
    done = precis.run("submit", folder, "--dry-run", check=False)
    assert done.returncode == 3
    assert "a.txt  ->  default/deals/a.txt\n1 job would be submitted to batch default/deals, 1 not submitted" in done.stdout
    answer = precis.json("submit", folder, "--dry-run", "--max-failed", "1")
    assert (answer["dry_run"], answer["jobs"], len(answer["not_submitted"])) == (True, 1, 1)
    assert sent(precis) == {} and documents(precis) == {}
    assert precis.rows("select count(*) as n from precis_data.batches") == [{"n": 0}]


# ------------------------------------------------------------------------------- times and order


def seconds_from_now(text):
    return (datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_when_and_after_what(precis, case_dir):
    folder = case_dir / "deals"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.txt").write_text(f"The fee of deal {number} is 10 dollars.")
    (folder / "own.jsonl").write_text(json.dumps({
        "id": "own", "document": {"text": "Ten."}, "priority": 1, "on_deadline": "late", "after": {"batch": "other"}}) + "\n")
    done = precis.run("submit", folder, "--priority", "8", "--deadline", "3h", "--on-deadline", "fail", "--not-before", "90m",
                      "--after", "first", "--max-cost", "0.05")
    assert "warning: there is no batch default/first yet" in done.stderr
    messages = sent(precis)
    for name in ("0.txt", "1.txt"):
        message = messages[name]
        assert (message["priority"], message["on_deadline"], message["after"]) == (8, "fail", {"batch": "first"})
        assert message["max_cost_usd"] == "0.05"
        assert 10790 < seconds_from_now(message["deadline"]) <= 10800
        assert 5390 < seconds_from_now(message["not_before"]) <= 5400
    # What a line says itself counts more.
    own = messages["own"]
    assert (own["priority"], own["on_deadline"], own["after"]) == (1, "late", {"batch": "other"}) and own["deadline"]
    precis.run("submit", folder, "--batch", "b", "--deadline", "2030-01-02T04:04:05+01:00", "--open")
    records = [json.loads(record["value"]) for record in precis.kafka.read_all(precis.topics["jobs"])]
    assert {record["deadline"] for record in records if record["batch"] == "b"} == {"2030-01-02T03:04:05Z"}
    assert "default/b is open" in precis.run("submit", folder, "--batch", "c", "--after", "b").stderr


def test_what_comes_after_a_batch_and_before_its_time(precis, case_dir):
    folder = case_dir / "deals"
    folder.mkdir()
    (folder / "0.txt").write_text("The fee of this deal is 10 dollars.")
    precis.start_worker()
    precis.run("submit", folder, "--batch", "second", "--after", "first")
    precis.run("submit", folder, "--batch", "late", "--not-before", "1h", "--fresh")
    precis.run("submit", folder, "--batch", "missed", "--deadline", "2001-01-01T00:00:00Z", "--on-deadline", "fail")

    def reasons():
        return {row["batch"]: (row["state"], row["waiting_for"] or row["error_code"])
                for row in precis.rows("select batch, state, waiting_for, error_code from precis.jobs")}
    wait_until("reasons", lambda: reasons() == {
        "second": ("waiting", "batch"), "late": ("waiting", "not_before"), "missed": ("failed", "expired")})
    precis.run("submit", folder, "--batch", "first")
    wait_until("the second batch", lambda: reasons()["second"][0] == "done")
    assert reasons()["late"] == ("waiting", "not_before")


# ------------------------------------------------------------------------------- labels

TABLES = {
    "comma": '\ufeffpath,team,note\nsub/a.txt,legal,"one, two"\n',
    "semicolon": 'path;team;note\r\nsub/a.txt;legal;one, two\r\n',
    "commas in a title": 'path;team;note\n"sub/a.txt";legal;"one, two"\n',
    "a quoted separator in the titles": '"path";"team";"note"\nsub\\a.txt;legal;one, two\n',
    "excel says which": 'sep=;\r\npath;team;note\r\nsub/a.txt;legal;one, two\r\n',
    "tabs": "path\tteam\tnote\n./sub/a.txt\tlegal\tone, two\n\t\t\n",
    "by its last part": "File,team,note\na.txt,legal,\"one, two\"\n",
    "by id": "id,team,note\nsub:a.txt,legal,\"one, two\"\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_labels(precis, case_dir, name):
    (case_dir / "d" / "sub").mkdir(parents=True)
    (case_dir / "d" / "sub" / "a.txt").write_text("Ten.")
    table = case_dir / "d" / "labels.csv"  # in the folder itself: it is no document
    table.write_text(TABLES[name], newline="")
    done = precis.run("submit", case_dir / "d", "--labels-from", table)
    assert done.stderr == ""
    assert {job: message["labels"] for job, message in sent(precis).items()} == {
        "sub:a.txt": {"team": "legal", "note": "one, two"}}


BAD_TABLES = {
    "name,team\na.txt,x,y\n": "line 2 has more cells than line 1 has names",
    "name,team\n\na.txt,x\n\"b\n.txt\",z\na.txt,y\n": "line 6 is about the same document as an earlier one",
    "name,team\na.txt,\"x\n": "the quote in line 2 does not end",
    "team,client\nx,y\n": "its first line has to name the columns",
}


def test_tables_that_cannot_be_used(precis, case_dir):
    table = case_dir / "labels.csv"
    (case_dir / "a.txt").write_text("Ten.")
    for text, said in BAD_TABLES.items():
        table.write_text(text)
        done = precis.run("submit", case_dir / "a.txt", "--labels-from", table, check=False)
        assert done.returncode == 2 and said in done.stderr, done.stderr
    table.write_bytes("name;stadt\na.txt;München und Köln\n".encode("cp1252"))
    done = precis.run("submit", case_dir / "a.txt", "--labels-from", table, check=False)
    assert done.returncode == 2 and 'in Excel, save it as "CSV UTF-8"' in done.stderr


def test_names_of_a_mac_meet_what_people_type(precis, case_dir):
    (case_dir / "d").mkdir()
    (case_dir / "d" / "Vertra\u0308ge.txt").write_text("Ten.")  # decomposed, as a Mac writes it
    table = case_dir / "labels.csv"
    table.write_text("name,team\nVertr\u00e4ge.txt,legal\n", encoding="utf-8")
    assert precis.run("submit", case_dir / "d", "--labels-from", table).stderr == ""
    assert [message["labels"] for message in sent(precis).values()] == [{"team": "legal"}]


# ------------------------------------------------------------------------------- OpenAI's lines


def openai(custom_id, *messages, **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "grok-4.3", "messages": list(messages), **body}}


SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": [{"type": "text", "text": "Summarise:"}, {"type": "text", "text": "The fee is 10."}]}
SCHEMA = {"type": "object", "properties": {"fee": {"type": "string"}}, "required": ["fee"], "additionalProperties": False}


def test_lines_of_openais_batch_api(precis):
    lines = [openai("job-1", SYSTEM, USER, max_completion_tokens=400, temperature=0, metadata={"matter": "7"}, seed=1),
             openai("job 2!", {"role": "user", "content": TEXT}, n=1, tools=[],
                    response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}})]
    done = precis.run("submit", "-", "--batch", "b", stdin="\n".join(map(json.dumps, lines)))
    assert "these are left out, here and in later lines: seed" in done.stderr
    messages = sent(precis)
    assert messages["job-1"] == {
        "v": 1, "id": "job-1", "kind": "summarize", "batch": "b", "labels": {"matter": "7"},
        "document": {"text": "Summarise:\n\nThe fee is 10."},
        "summarize": {"model": "grok-4.3", "instructions": "Be brief.", "max_output_tokens": 400, "temperature": 0}}
    other = next(message for name, message in messages.items() if name != "job-1")
    assert other["id"].startswith("job_2_-") and other["summarize"]["output_schema"] == SCHEMA
    assert other["document"] == {"stored": sha(TEXT.encode())}


REFUSED = [
    (openai("x", USER, tools=[{"type": "function"}]), "body.tools is not supported"),
    (openai("x", USER, n=2), "body.n is more than 1"),
    (openai("x", USER, {"role": "assistant", "content": "Yes."}), "body.messages[1] is neither"),
    (openai("x", {"role": "user", "content": [{"type": "image_url", "image_url": {}}]}), "has a part that is no text"),
    (openai("x", SYSTEM), "no words of the user"),
    (openai("x", USER, response_format={"type": "json_object"}), "only text and json_schema"),
    ({**openai("x", USER), "url": "/v1/embeddings"}, 'url is "/v1/embeddings"'),
    (openai("x", USER, model="gpt-9"), 'no model "gpt-9"; --model takes another'),
]


def test_other_questions_are_refused(precis):
    done = precis.run("submit", "-", stdin="\n".join(json.dumps(line) for line, _ in REFUSED), check=False)
    assert done.returncode == 1
    for number, ((_, said), line) in enumerate(zip(REFUSED, done.stderr.splitlines(), strict=True), 1):
        assert f"line {number}: " in line and said in line
    precis.run("submit", "-", "--model", "grok-4.3", stdin=json.dumps(REFUSED[-1][0]))
    assert sent(precis)["x"]["summarize"]["model"] == "grok-4.3"


def test_a_line_of_openai_is_summarised(precis):
    precis.start_worker()
    answer = precis.json("submit", "-", "--wait", stdin=json.dumps(openai("job-1", SYSTEM, {"role": "user", "content": TEXT})))
    assert (answer["done"], answer["failed"]) == (1, 0)


# ------------------------------------------------------------------------------- on a terminal


class Terminal:
    """precis on a terminal of 100 columns."""

    def __init__(self, precis, *words, **env):
        argv = [str(precis.program()), words[0], "--config", str(precis.config_path), *map(str, words[1:])]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(precis.folder)
            os.execvpe(argv[0], argv, precis.env(TERM="xterm", COLUMNS="100", **env))
        self.out, self.code = b"", None

    def read(self, seconds=0.1):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                more = b""
            self.out += more
            return bool(more)
        return True

    def finish(self):
        limit = time.monotonic() + 60 * PATIENCE
        while self.read():
            assert time.monotonic() < limit, self.out
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return self.out.decode()


@pytest.fixture
def many(case_dir):
    folder = case_dir / "many"
    folder.mkdir()
    for number in range(6000):
        (folder / f"{number}.txt").write_text(f"The fee of deal {number} is 10 dollars. " * 20)
    return folder


def test_a_terminal_gets_a_progress_line(precis, many):
    started = time.monotonic()
    terminal = Terminal(precis, "submit", many)
    out = terminal.finish()
    assert terminal.code == 0, out
    lines = re.findall(r"\r([^\r\n]*? of 6,000 files, [0-9.]+ \w+ of [0-9.]+ MB[^\r\n]*?)\x1b\[K", out)
    assert lines and re.match(r"\[#*\.*\] ", lines[0])
    assert len(lines) <= (time.monotonic() - started) * 10 + 2
    # The last one is gone before the report is written.
    assert "\r\x1b[K6000 jobs submitted to batch default/many.\r\n" in out
    assert "\x1b[3" not in out.split("jobs submitted")[0]


def test_nothing_but_the_report_goes_into_a_file(precis, many):
    done = precis.run("submit", many)
    assert done.stderr == ""
    assert done.stdout == "6000 jobs submitted to batch default/many.\nHow it goes: `precis status many`.\n"


def test_ctrl_c_says_what_was_sent_and_how_to_go_on(precis, many):
    terminal = Terminal(precis, "submit", many)
    wait_until("some progress", lambda: terminal.read() and b" of 6,000 files" in terminal.out, every=0)
    os.kill(terminal.pid, signal.SIGINT)
    out = terminal.finish()
    assert terminal.code == 130
    count = int(re.search(r"Interrupted: (\d+) jobs are submitted to batch many; the batch stays open\.", out)[1])
    assert count == len(sent(precis)) < 6000
    assert precis.rows("select state from precis.batches") == [{"state": "open"}]
    # The same command again: all are there, and the batch has its total.
    done = subprocess.run([precis.program(), "submit", many, "--config", precis.config_path], env=precis.env(),
                          capture_output=True, text=True, check=True)
    assert "6000 jobs submitted" in done.stdout
    assert len(sent(precis)) == 6000
    assert precis.rows("select state, total from precis.batches") == [{"state": "sealed", "total": 6000}]
