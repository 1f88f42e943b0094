# SPDX-License-Identifier: Apache-2.0
"""submit, status, results, jobs, show and costs, against a real database and broker.

Most tests need no worker: what workers would have written is put into the tables by hand, so that every state can be
shown, and what submit sends is read from the topic."""
import csv
import hashlib
import io
import json

import pytest

from rig.common import wait_until

LONG_TEXT = "The supplier delivers 12 machines by 1 March 2027. " * 200


def sent(precis):
    """The messages on the jobs topic, by id."""
    messages = precis.kafka.read_all(precis.topics["jobs"])
    return {json.loads(message["value"])["id"]: message for message in messages}


def value_of(message):
    return json.loads(message["value"])


@pytest.fixture
def folder(case_dir):
    """contracts/ with files of every sort."""
    root = case_dir / "contracts"
    (root / "legal" / "2024").mkdir(parents=True)
    (root / "a.txt").write_text("The fee is 10 dollars. It is due on 1 May.")
    (root / "legal" / "2024" / "nda.md").write_text("Both sides keep silent for 5 years.")
    (root / "合同 1.txt").write_text("甲方支付乙方一万元。", encoding="utf-8")
    (root / "long.text").write_text(LONG_TEXT)
    (root / ".hidden.txt").write_text("no")
    (root / ".git").mkdir()
    (root / ".git" / "b.txt").write_text("no")
    return root


# ------------------------------------------------------------------------------- submit


def test_a_folder_is_submitted(precis, folder):
    done = precis.run("submit", folder, "--label", "team=legal", "--priority", "7", "--max-chars", "200")
    assert "4 jobs submitted to batch default/contracts" in done.stdout
    messages = sent(precis)
    plain = [name for name in messages if name in ("a.txt", "legal:2024:nda.md", "long.text")]
    assert len(plain) == 3 and len(messages) == 4
    chinese = (set(messages) - set(plain)).pop()
    assert chinese.startswith("_1.txt-") and len(chinese) == len("_1.txt-") + 8

    message = messages["a.txt"]
    assert message["key"] == b"default/contracts/a.txt"
    assert value_of(message) == {
        "v": 1, "id": "a.txt", "kind": "summarize", "batch": "contracts", "priority": 7,
        "document": {"name": "a.txt", "text": "The fee is 10 dollars. It is due on 1 May."},
        "summarize": {"max_chars": 200}, "labels": {"team": "legal"}}
    assert value_of(messages[chinese])["document"]["name"] == "合同 1.txt"

    # Over 4 KB: in PostgreSQL, and only named in the message.
    digest = hashlib.sha256(LONG_TEXT.encode()).hexdigest()
    assert value_of(messages["long.text"])["document"] == {"stored": digest, "name": "long.text"}
    assert precis.rows("select sha256, text, size from precis_data.documents") == [
        {"sha256": digest, "text": LONG_TEXT, "size": len(LONG_TEXT)}]
    assert precis.rows("select state, total, queued from precis.batches") == [
        {"state": "sealed", "total": 4, "queued": 4}]


def test_store_all_stores_all(precis, folder):
    answer = precis.json("submit", folder, "--store-all", "--batch", "b", "--tenant", "acme")
    assert answer["documents_stored"] == answer["jobs"] == 4
    assert answer["batches"] == [{"tenant": "acme", "batch": "b", "jobs": 4}]
    assert all("stored" in value_of(message)["document"] for message in sent(precis).values())
    assert precis.rows("select count(*) as n from precis_data.documents") == [{"n": 4}]


def test_the_same_folder_again_is_the_same_jobs(precis, folder):
    precis.run("submit", folder)
    precis.run("submit", folder)
    messages = precis.kafka.read_all(precis.topics["jobs"])
    assert len(messages) == 8
    assert len({(message["key"], message["value"]) for message in messages}) == 4
    assert precis.rows("select total from precis.batches") == [{"total": 4}]


def test_two_folders_with_files_of_one_name(precis, case_dir):
    for name in ("first", "second"):
        (case_dir / name).mkdir()
        (case_dir / name / "same.txt").write_text("The same in both.")
        (case_dir / name / "terms.txt").write_text(f"The terms of the {name} one.")
    answer = precis.json("submit", case_dir / "first", case_dir / "second")
    assert (answer["jobs"], answer["given_twice"]) == (3, 1)
    names = set(sent(precis))
    assert {"same.txt", "terms.txt"} < names
    assert [name for name in names if name.startswith("terms.txt-")]
    assert precis.rows("select batch, total from precis.batches") == [{"batch": "first", "total": 3}]


def test_what_is_no_text_is_named_and_the_rest_goes(precis, folder):
    (folder / "scan.pdf").write_bytes(b"%PDF-1.7")
    (folder / "old.txt").write_bytes("Müller zahlt 10 €.".encode("utf-16"))
    done = precis.run("submit", folder, check=False)
    assert done.returncode == 3
    assert "scan.pdf: .pdf files are not supported yet: convert it to text" in done.stderr
    assert "old.txt: it is not UTF-8 but seems to be UTF-16" in done.stderr
    assert "4 jobs submitted" in done.stdout and "2 not submitted" in done.stdout
    assert precis.rows("select total from precis.batches") == [{"total": 4}]
    assert precis.run("submit", folder, "--max-failed", "2", check=False).returncode == 0
    assert precis.run("submit", folder, "--max-failed", "30%", check=False).returncode == 3
    assert precis.run("submit", folder, "--max-failed", "34%", check=False).returncode == 0
    done = precis.run("submit", folder / "scan.pdf", check=False)
    assert done.returncode == 1


def test_a_file_with_controls_is_shown_without_them(precis, case_dir):
    path = case_dir / "evil\x1b[31m.pdf"
    path.write_text("x")
    done = precis.run("submit", path, check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr and "evil[31m.pdf" in done.stderr


def test_a_missing_path(precis, case_dir):
    done = precis.run("submit", case_dir / "nowhere", check=False)
    assert done.returncode == 1
    assert "nowhere: No such file or directory" in done.stderr


def test_json_lines(precis):
    lines = [
        {"id": "one", "kind": "summarize", "document": {"text": "First."}, "labels": {"a": "1"}, "x-own": [1]},
        {"kind": "summarize", "batch": "other", "document": {"text": "Second."}, "summarize": {"max_chars": 99}},
        {"id": "three", "document": {"text": LONG_TEXT, "name": "long"}},
    ]
    text = "\ufeff" + "\n\n".join(json.dumps(line) for line in lines) + "\n"
    answer = precis.json("submit", "-", "--label", "a=2", "--label", "b=3", "--model", "grok-4.3", stdin=text)
    assert answer["jobs"] == 3 and answer["not_submitted"] == []
    messages = {name: value_of(message) for name, message in sent(precis).items()}
    assert messages["one"]["labels"] == {"a": "1", "b": "3"}
    assert messages["one"]["x-own"] == [1]
    line = next(name for name in messages if name.startswith("line-"))
    assert messages[line]["summarize"] == {"max_chars": 99, "model": "grok-4.3"}
    assert messages["three"]["document"] == {"stored": hashlib.sha256(LONG_TEXT.encode()).hexdigest(), "name": "long"}
    assert precis.rows("select batch, state, total from precis.batches order by 1") == [
        {"batch": "default", "state": "sealed", "total": 2}, {"batch": "other", "state": "sealed", "total": 1}]


BAD_LINES = {
    '{"id": "x", "document": {"text": "x"}, "sumarize": {}}': "bad_field",
    '{"id": "x y", "document": {"text": "x"}}': "bad_field",
    '{"id": "x"': "line 3: ",
    '{"kind": "seal", "total": 3}': "a seal is no job",
    '{"kind": "agent", "document": {"text": "x"}}': "kind_not_supported",
    "[1]": "it is no JSON object",
    '{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": {}}': "OpenAI-batch lines",
}


def test_bad_lines_are_told_and_not_sent(precis):
    done = precis.run("submit", "-", stdin="\n".join(BAD_LINES), check=False)
    assert done.returncode == 1
    told = done.stderr.splitlines()
    for number, (words, line) in enumerate(zip(BAD_LINES.values(), told, strict=True), 1):
        assert line.startswith(f"not submitted: standard input: line {number}: ") and words in line
    assert sent(precis) == {}


def test_one_id_with_two_contents(precis):
    lines = "".join(json.dumps({"id": "x", "document": {"text": text}}) + "\n" for text in ("a", "b", "a"))
    done = precis.run("submit", "-", stdin=lines, check=False)
    assert done.returncode == 3
    assert "line 2: its id was there before, with other content" in done.stderr
    assert len(precis.kafka.read_all(precis.topics["jobs"])) == 1


def test_labels_from_a_table(precis, folder, case_dir):
    table = case_dir / "labels.csv"
    table.write_text('\ufeffFile;team;"note; long"\r\na.txt;legal;"two\r\nlines"\r\nnda.md;sales;\r\ngone.txt;x;y\r\n',
                     encoding="utf-8")
    done = precis.run("submit", folder, "--labels-from", table, "--label", "team=none", "--label", "year=2024")
    assert "1 row of --labels-from is about no document" in done.stderr
    messages = sent(precis)
    assert value_of(messages["a.txt"])["labels"] == {"team": "legal", "year": "2024", "note; long": "two\r\nlines"}
    assert value_of(messages["legal:2024:nda.md"])["labels"] == {"team": "sales", "year": "2024"}
    assert value_of(messages["long.text"])["labels"] == {"team": "none", "year": "2024"}


WRONG_OPTIONS = [
    (["--budget", "5"], "--budget is not supported yet"),
    (["--canary", "5"], "--canary is not supported yet"),
    (["--kind", "agent"], "agent"),
    (["--priority", "12"], "priority"),
    (["--priority", "high"], "--priority needs a whole number"),
    (["--deadline", "tomorrow"], "deadline"),
    (["--model", "grok-4"], 'did you mean "grok-4.3"?'),
    (["--label", "x"], "name=value"),
    (["--batch", "a b"], "batch"),
    (["--reasoning-mode", "reasoning", "--reasoning-effort", "low"], "reasoning"),
    (["--max-failed", "many"], "--max-failed"),
    (["--open", "--wait"], "exclude each other"),
    (["--hold-back", "3 apples"], "--hold-back"),
]


def test_wrong_options_are_wrong_usage(precis, folder):
    for options, said in WRONG_OPTIONS:
        done = precis.run("submit", folder, *options, check=False)
        assert done.returncode == 2, (options, done.stderr)
        assert said in done.stderr
    assert sent(precis) == {}


def test_no_topic_and_no_broker(precis, folder):
    precis.configure(kafka={"topics": {"jobs": "not.there"}})
    done = precis.run("submit", folder, check=False)
    assert done.returncode == 1
    assert 'has no topic "not.there"' in done.stderr
    precis.configure(kafka={"brokers": "127.0.0.1:1"})
    done = precis.run("submit", folder, check=False)
    assert done.returncode == 1
    assert "does not answer" in done.stderr


@pytest.mark.unmigrated
def test_no_schema(precis, folder):
    for words in (["submit", folder], ["status"], ["results", "x"]):
        done = precis.run(*words, check=False)
        assert done.returncode == 2
        assert "Run `precis migrate`" in done.stderr
