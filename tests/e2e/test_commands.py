# SPDX-License-Identifier: Apache-2.0
"""submit, status, results, jobs, show and costs, against a real database and broker.

Most tests need no worker: what workers would have written is put into the tables by hand, so that every state can be
shown, and what submit sends is read from the topic."""
import csv
import decimal
import hashlib
import io
import json
import os
import pty
import re
import signal
import subprocess
import termios

import pytest

from rig.common import BUILD, PATIENCE, Process, clean_env, free_port, wait_until

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
    assert value_of(messages["long.text"])["document"] == {
        "stored": digest, "name": "long.text", "media_type": "text/plain"}
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


def test_what_cannot_be_read_is_named_and_the_rest_goes(precis, folder):
    (folder / "old.doc").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    (folder / "blob.bin").write_bytes(bytes(range(256)) * 8)
    done = precis.run("submit", folder, check=False)
    assert done.returncode == 3
    assert "old.doc: it is an old Word document (DOC): convert it, or name what reads it under documents.extractors" \
        in done.stderr
    assert "blob.bin: its format is not known, and it is no text" in done.stderr
    assert "4 jobs submitted" in done.stdout and "2 not submitted" in done.stdout
    assert precis.rows("select total from precis.batches") == [{"total": 4}]
    assert precis.run("submit", folder, "--max-failed", "2", check=False).returncode == 0
    assert precis.run("submit", folder, "--max-failed", "30%", check=False).returncode == 3
    assert precis.run("submit", folder, "--max-failed", "34%", check=False).returncode == 0
    done = precis.run("submit", folder / "blob.bin", check=False)
    assert done.returncode == 1
    precis.configure(documents={"extractors": {"application/msword": ["antiword", "{in}"]}})
    assert precis.json("submit", folder, "--max-failed", "1")["jobs"] == 5


def test_a_file_with_controls_is_shown_without_them(precis, case_dir):
    path = case_dir / "evil\x1b[31m.bin"
    path.write_bytes(bytes(99))
    done = precis.run("submit", path, check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr and "evil[31m.bin" in done.stderr


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
    '{"custom_id": "x", "method": "POST", "url": "/v1/chat/completions", "body": {}}': "body.messages is no array",
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
    assert f'{table}: line 5: no document "gone.txt" was given' in done.stderr
    assert f"{table} has no line for 2 documents: long.text, 合同 1.txt" in done.stderr
    messages = sent(precis)
    assert value_of(messages["a.txt"])["labels"] == {"team": "legal", "year": "2024", "note; long": "two\r\nlines"}
    assert value_of(messages["legal:2024:nda.md"])["labels"] == {"team": "sales", "year": "2024"}
    assert value_of(messages["long.text"])["labels"] == {"team": "none", "year": "2024"}


WRONG_OPTIONS = [
    (["--budget", "much"], "--budget is an amount of USD"),
    (["--canary", "0"], "--canary is a number of jobs"),
    (["--kind", "agent"], "agent"),
    (["--priority", "12"], "priority"),
    (["--priority", "high"], "--priority needs a whole number"),
    (["--deadline", "tomorrow"], "--deadline is a time"),
    (["--not-before", "2h30"], "--not-before is a time"),
    (["--on-deadline", "fail"], "there is none"),
    (["--deadline", "1h", "--on-deadline", "never"], "on_deadline"),
    (["--deadline", "1h", "--not-before", "2h"], "no job could be in time"),
    (["--after", "a/b"], "after.batch"),
    (["--max-cost", "five"], "max_cost_usd"),
    (["--batch", "b", "--after", "b"], "would wait for itself"),
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


def test_variables_of_libpq_change_nothing(precis, folder):
    lead_elsewhere = {"PGHOST": "127.0.0.2", "PGPORT": "9", "PGUSER": "nobody", "PGDATABASE": "elsewhere",
                      "PGSERVICE": "elsewhere", "PGOPTIONS": "-c statement_timeout=1", "PGSSLMODE": "verify-full"}
    assert precis.run("submit", folder, env=lead_elsewhere).stdout.startswith("4 jobs submitted")
    for words in (["status"], ["doctor"], ["migrate", "status"]):
        precis.run(*words, env=lead_elsewhere)


# ------------------------------------------------------------------------------- what workers leave

STORY = """
insert into precis_data.workers (nonce, name, host, pid, version, consumer_group, lease_until)
  values ('n', 'host:1', 'host', 1, '0.1.0', 'g', clock_timestamp() + interval '1 hour');
insert into precis_data.batches (tenant, name, sealed_total) values ('default', 'deals', 6), ('acme', 'deals', 1);
insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec, document_name,
  model, submitted_at, topic, partition, kafka_offset, waiting_for)
  select t, b, i, r, 'summarize', decode(h, 'hex'), 5, l::jsonb, '{}', i, 'default',
    clock_timestamp() - interval '10 seconds', 'jobs', 1, 7, w
  from (values ('default', 'deals', 'good.txt', 0, '{"team": "legal"}', '01', null),
    ('default', 'deals', 'good.txt', 1, '{"team": "legal"}', '02', null),
    ('default', 'deals', 'evil.txt', 0, '{"team": "sales"}', '03', null),
    ('default', 'deals', 'bad.txt', 0, '{}', '04', null),
    ('default', 'deals', 'doubt.txt', 0, '{}', '05', null),
    ('default', 'deals', 'waits.txt', 0, '{}', '06', 'tokens'),
    ('acme', 'deals', 'good.txt', 0, '{}', '07', null)) v(t, b, i, r, l, h, w);
insert into precis_data.claims (job_no, worker_id, serial, epoch) select job_no, 1, job_no, 1 from precis_data.jobs;
insert into precis_data.outcomes (tenant, batch, id, revision, job_no, state, error_code, error, suggestion, epoch,
  worker_id)
  select tenant, batch, id, revision, job_no, case when id in ('bad.txt', 'doubt.txt') then 'failed' else 'done' end,
    case id when 'bad.txt' then 'http_400' when 'doubt.txt' then 'in_doubt' end,
    case id when 'bad.txt' then E'Sim API error 400: no \\x1b[31mred\\x1b[0m words.' when 'doubt.txt' then 'Cut off.' end,
    case when id in ('bad.txt', 'doubt.txt') then 'Do better.' end, 1, 1
  from precis_data.jobs where id <> 'waits.txt';
insert into precis_data.summaries (job_no, summary, key_points, output, warnings, document_name, model, response_model,
  prompt_version, month)
  select job_no, s, k, jsonb_build_object('summary', s, 'key_points', k), '{}', id, 'grok-4.3', 'grok-4.3',
    'summary-1', current_date
  from precis_data.jobs j, lateral (select case when id = 'evil.txt' then E'=HYPERLINK("x") <b>\\x1b[2J, "q"'
      else 'Revision ' || revision || ' of a deal. ' || repeat('It is long. ', 20) end as s,
    array['The fee is 10 dollars.', '付款一万元。'] as k) v
  where id in ('good.txt', 'evil.txt');
insert into precis_data.citations (job_no, n, point, quote, found, char_start, char_end, month)
  select job_no, 1, 1, 'fee is 10', true, 4, 13, current_date from precis_data.jobs where id = 'good.txt';
insert into precis_data.plans (job_no, plan_no, model, prompt_version, text_sha256, calls, month)
  select job_no, 1, 'grok-4.3', 'summary-1', 'x', '[{"kind": "part", "from": 0, "to": 12000},
    {"kind": "part", "from": 12000, "to": 20000}, {"kind": "combine", "from": 0, "to": 2}]', current_date
  from precis_data.jobs where id = 'good.txt';
insert into precis_data.attempts (job_no, plan_no, call_no, attempt_no, epoch, worker_id, month, outcome, provider,
  model, at_most_picousd, cost_picousd, cost_source, input_tokens, cached_input_tokens, output_tokens,
  reasoning_tokens, http_status, error_code, error, sent_at, started_at, ttft_ms, duration_ms)
  select job_no, 1, 1, 1, 1, 1, current_date,
    case id when 'bad.txt' then 'failed' when 'doubt.txt' then 'in_doubt' else 'ok' end, 'sim',
    case id when 'evil.txt' then 'claude-opus-4.8' else 'grok-4.3' end, 5000000001,
    case id when 'doubt.txt' then null when 'bad.txt' then 0 else 3750000001 end,
    case id when 'doubt.txt' then 'in_doubt' when 'bad.txt' then 'none' else 'exact' end, 12500, 500, 625, 25,
    case id when 'bad.txt' then 400 else 200 end, case id when 'bad.txt' then 'http_400' end,
    case id when 'bad.txt' then 'Sim API error 400: no.' end,
    clock_timestamp() - interval '5 seconds', clock_timestamp() - interval '5 seconds', 350, 1400
  from precis_data.jobs where id <> 'waits.txt';
insert into precis_data.dead_letters (tenant, batch, job_id, revision, code, error, suggestion, topic, partition,
  kafka_offset) values ('default', 'deals', 'bad.txt', 0, 'http_400', 'Sim API error 400: no.', 'Do better.', 'jobs', 1, 7),
  ('default', 'deals', 'never.txt', 0, 'bad_field', 'A field is bad.', 'Mend it.', 'jobs', 1, 9);
"""


@pytest.fixture
def story(precis):
    """precis with the rows of STORY: batches default/deals and acme/deals."""
    with precis.session() as session:
        session.execute(STORY)
    return precis


def test_status(story):
    text = story.run("status", "default/deals").stdout
    assert "Batch default/deals is sealed" in text
    assert "6 jobs: 2 done, 2 failed, 1 waiting, 1 queued" in text
    assert "half within 1.4 s, 95 % within 1.4 s; first token: half within 350 ms" in text
    assert "Cost     $0.011250000003, and up to $0.005000000001 more in calls in doubt" in text
    assert "Waiting  1 waits for room in the tokens per minute" in text
    assert "Failed   1 http_400: Do better." in text and "1 in_doubt: Do better." in text
    assert "left" in text and "\x1b" not in text

    one = story.json("status", "deals", "--tenant", "default")
    assert (one["total"], one["done"], one["failed"], one["queued"]) == (6, 2, 2, 1)
    assert one["cost_usd"] == "0.011250000003" and one["p50_ttft_ms"] == 350
    assert [row["waiting_for"] for row in one["waiting_for"]] == ["tokens"]
    assert {row["error_code"]: row["jobs"] for row in one["failed_by_code"]} == {"http_400": 1, "in_doubt": 1}

    text = story.run("status").stdout
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["BATCH", "STATE", "TOTAL"]
    assert {line.split()[0] for line in lines[1:3]} == {"deals", "acme/deals"}
    assert "1 worker is live" in text
    assert [row["tenant"] for row in story.json("status", "--tenant", "acme")] == ["acme"]
    assert "--watch needs a batch, or a terminal" in story.run("status", "--watch", check=False).stderr
    for words in (["--interval", "1"], ["--watch", "--json"], ["--watch", "--interval", "0"], ["--watch", "--interval", "x"]):
        assert story.run("status", "default/deals", *words, check=False).returncode == 2


def on_a_terminal(precis, *words, env=None, interrupts=1):
    """What a command shows on a terminal of 80 columns, which it leaves by Ctrl-C if it does not end by itself."""
    interrupted = 0
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    argv = [str(precis.program()), words[0], "--config", str(precis.config_path), *words[1:]]
    with subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=precis.env(TERM="xterm", **(env or {})),
                          cwd=precis.folder) as process:
        os.close(slave)
        text = b""
        try:
            while piece := os.read(master, 65536):
                text += piece
                while text.count(b"\x1b[H") >= 2 and interrupted < interrupts:  # a second look
                    interrupted += 1
                    process.send_signal(signal.SIGINT)
        except OSError:  # the other end is closed
            pass
        os.close(master)
    return text.decode().replace("\r\n", "\n"), process.returncode


def test_a_terminal_gets_colour(story):
    text, code = on_a_terminal(story, "status", "default/deals")
    assert code == 0 and "\x1b[32m2 done\x1b[0m" in text and "\x1b[31m2 failed\x1b[0m" in text
    text, code = on_a_terminal(story, "status", "default/deals", env={"NO_COLOR": "1"})
    assert code == 0 and "\x1b" not in text
    text, code = on_a_terminal(story, "status", "default/deals", "--watch")
    assert code == 130
    # On the other screen, without a cursor, each look over the one before; at the end all is as it was.
    begin, end = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
    assert text.startswith(begin + "\x1b[H") and text.count(begin) == text.count(end) == 1
    assert "\x1b[2J" not in text
    looks, last = text.split(end)
    for look in looks.removeprefix(begin).split("\x1b[H")[1:]:
        assert "Batch default/deals" in look and look.endswith("\x1b[J")
        lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in look.split("\x1b[K\n")]
        assert len(lines) <= 24 and max(len(line) for line in lines) <= 80
    assert last.replace("^C", "").lstrip().startswith("\x1b[1mBatch default/deals") and "Cost" in last
    text, code = on_a_terminal(story, "results", "acme/deals", env={"NO_COLOR": "1"})
    assert code == 0
    assert max(len(line) for line in text.splitlines()) <= 80


def test_a_watch_in_a_file(story, case_dir):
    watching = Process("watch", [story.program(), "status", "default/deals", "--watch", "--interval", "0.1", "--config",
                                 story.config_path], case_dir, story.env())
    wait_until("three looks", lambda: watching.out().count("\n") >= 3)
    line = watching.out().splitlines()[1]
    assert re.match(r"\d\d:\d\d:\d\d UTC  6 jobs: 2 done, 2 failed, 1 waiting, 1 queued; [0-9.]+ jobs a minute; \$0\.01125",
                    line), line
    with story.session() as session:  # the two that had not ended end
        session.execute("""update precis_data.batches set sealed_total = 5 where tenant = 'default';
            insert into precis_data.outcomes (tenant, batch, id, revision, job_no, state, epoch, worker_id)
            select tenant, batch, id, revision, job_no, 'done', 1, 1 from precis_data.jobs where id = 'waits.txt'""")
    assert watching.wait() == 3  # with failed jobs
    assert "5 jobs: 3 done, 2 failed; $0.01125" in watching.out().splitlines()[-1] and "\x1b" not in watching.out()
    assert story.run("status", "acme/deals", "--watch", check=False).returncode == 0


def test_a_batch_that_postgresql_has_not_looked_at_yet(precis):
    """Without statistics PostgreSQL takes tables for tiny, and joined these jobs one by one for minutes."""
    with precis.session() as session:
        for table in ("jobs", "claims", "outcomes", "attempts"):
            session.execute(f"alter table precis_data.{table} set (autovacuum_enabled = false)")
        session.execute("""
            insert into precis_data.workers (nonce, name, host, pid, version, consumer_group, lease_until)
              values ('n', 'host:1', 'host', 1, '0.1.0', 'g', clock_timestamp() + interval '1 hour');
            insert into precis_data.batches (tenant, name, sealed_total) values ('default', 'many', 9000);
            insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec)
              select 'default', 'many', 'j' || n, 0, 'summarize', '', 5, '{}', '{}' from generate_series(1, 9000) n;
            insert into precis_data.claims (job_no, worker_id, serial, epoch)
              select job_no, 1, job_no, 1 from precis_data.jobs""")
    assert "9,000 waiting" in precis.run("status", "many", timeout=20).stdout
    assert precis.json("jobs", "--batch", "many", "--limit", "9", timeout=20)[0]["batch"] == "many"


def test_names_of_batches(story):
    done = story.run("status", "deals", check=False)
    assert done.returncode == 2
    assert "acme/deals" in done.stderr and "default/deals" in done.stderr
    done = story.run("results", "daels", check=False)
    assert done.returncode == 1
    assert 'there is no batch "daels"' in done.stderr and 'Did you mean "deals"?' in done.stderr
    done = story.run("status", "something-else", check=False)
    assert done.returncode == 1
    assert '"deals"' in done.stderr
    done = story.run("status", "x\x1b[2Jy'; drop table precis_data.jobs; --", check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stderr


def test_results(story, case_dir):
    def results(*words):
        return story.run("results", "default/deals", *words).stdout

    table = results()
    assert "\x1b" not in table
    assert "good.txt (revision 1)" in table and "Revision 1 of a deal." in table and "Revision 0" not in table
    assert "12,500" in table and "$0.003750000001" in table
    assert max(len(line) for line in table.splitlines()) <= 100
    assert "Revision 0" in results("--all-revisions")

    lines = [json.loads(line) for line in results("--format", "jsonl").splitlines()]
    assert [(line["job_id"], line["revision"]) for line in lines] == [("evil.txt", 0), ("good.txt", 1)]
    assert lines[1]["cost_usd"] == "0.003750000001"
    assert lines[1]["key_points"] == ["The fee is 10 dollars.", "付款一万元。"]
    assert lines[1]["citations"] == [{"point": 1, "path": None, "quote": "fee is 10", "found": True, "page": None,
                                      "char_start": 4, "char_end": 13}]
    assert story.json("results", "default/deals") == lines

    rows = list(csv.DictReader(io.StringIO(results("--format", "csv"))))
    assert [(row["job_id"], row["state"], row["error_code"]) for row in rows] == [
        ("bad.txt", "failed", "http_400"), ("doubt.txt", "failed", "in_doubt"), ("evil.txt", "done", ""),
        ("good.txt", "done", "")]
    assert rows[2]["summary"] == "'=HYPERLINK(\"x\") <b>[2J, \"q\""
    assert rows[3]["key_points"] == "The fee is 10 dollars.\n付款一万元。"
    assert rows[3]["cost_usd"] == "0.003750000001" and json.loads(rows[3]["labels"]) == {"team": "legal"}
    assert [row["job_id"] for row in csv.DictReader(io.StringIO(results("--format", "csv", "--failed")))] == [
        "bad.txt", "doubt.txt"]
    assert results("--format", "csv", "--bom").startswith("\ufefftenant,batch,")
    assert story.run("results", "default/deals", "--bom", check=False).returncode == 2

    markdown = results("--format", "markdown")
    assert "## good.txt" in markdown and "- The fee is 10 dollars.\n  > “fee is 10” (characters 4 to 13)" in markdown
    assert "\\<b\\>" in markdown and "\x1b" not in markdown and "**failed, http\\_400**" in markdown

    page = results("--format", "html")
    assert "<b>\x1b" not in page and "&#60;b&#62;" in page and page.count("<script") == 1

    assert results("--out", case_dir / "out.csv", "--format", "csv") == ""
    assert (case_dir / "out.csv").read_text(encoding="utf-8") == results("--format", "csv")
    assert list(case_dir.glob("*.part")) == []
    assert story.run("results", "default/deals", "--out", case_dir / "no" / "x", check=False).returncode == 1
    assert story.run("results", "default/deals", "--format", "xls", check=False).returncode == 2


def test_failed_results(story):
    text = story.run("results", "default/deals", "--failed").stdout
    assert "bad.txt" in text and "http_400" in text and "doubt.txt" in text and "good.txt" not in text
    assert "\x1b" not in text and "[31mred" in text
    lines = story.json("results", "default/deals", "--failed")
    assert [(line["job_id"], line["error_code"], line["suggestion"]) for line in lines] == [
        ("bad.txt", "http_400", "Do better."), ("doubt.txt", "in_doubt", "Do better.")]
    done = story.run("results", "acme/deals", "--failed")
    assert done.stdout == "" and "No job of acme/deals has failed" in done.stderr


def test_jobs(story):
    def names(*words):
        return {(row["tenant"], row["job_id"], row["revision"]) for row in story.json("jobs", *words)}

    assert len(names()) == 7
    assert names("--state", "failed") == {("default", "bad.txt", 0), ("default", "doubt.txt", 0)}
    assert names("--code", "http_400") == names("--code", "http_400", "--batch", "default/deals") == {
        ("default", "bad.txt", 0)}
    assert names("--tenant", "acme") == {("acme", "good.txt", 0)}
    assert len(story.json("jobs", "--limit", "2")) == 2
    text = " ".join(story.run("jobs", "--batch", "default/deals").stdout.split())
    assert "waits for room in the tokens per minute" in text and "\x1b" not in text
    assert "There are more" in story.run("jobs", "--limit", "2").stdout
    for words in (["--state", "lost"], ["--limit", "0"], ["--limit", "x"]):
        assert story.run("jobs", *words, check=False).returncode == 2


def test_show(story):
    done = story.run("show", "good.txt", check=False)
    assert done.returncode == 2
    assert "acme/deals/good.txt" in done.stderr and "default/deals/good.txt" in done.stderr
    done = story.run("show", "god.txt", check=False)
    assert done.returncode == 1
    assert 'Did you mean "good.txt"?' in done.stderr

    text = " ".join(story.run("show", "default/deals/good.txt").stdout.split())
    for words in ("default/deals/good.txt, revision 1: done", "Document good.txt", "jobs, partition 1, offset 7", "team=legal",
                  "host:1", "plan 1: grok-4.3, prompt summary-1: 20,000 characters in 2 parts, and 1 call to combine them",
                  "call 1, try 1, grok-4.3 at sim: ok, HTTP 200, 12,500 tokens in (500 cached), 625 out (25 of them reasoning); "
                  "$0.003750000001; first token after 350 ms; took 1.4 s", "Revision 1 of a deal.",
                  "“fee is 10” (characters 4 to 13)"):
        assert words in text, words
    assert text.index("message sent") < text.index("plan 1") < text.index("call 1, try 1") < text.index("Summary")
    assert "Revision 0 of a deal." in story.run("show", "default/deals/good.txt", "--revision", "0").stdout
    assert story.run("show", "default/deals/good.txt", "--revision", "9", check=False).returncode == 1

    text = story.run("show", "bad.txt").stdout
    assert "Sim API error 400: no." in text and "\x1b" not in text and "Dead letters" in text
    assert text.count("Do better.") == 2  # of the job and of the letter, whose sentences do not hold it
    with story.session() as session:
        session.execute("update precis_data.outcomes set error = 'It failed. Suggestion: Do better.' where id = 'bad.txt';"
                        "update precis_data.dead_letters set error = 'It failed. Suggestion: Do better.' where job_id = 'bad.txt'")
    text = story.run("show", "bad.txt").stdout
    assert text.count("Do better.") == 1 and "`precis dlq replay 1` tries again" in " ".join(text.split())
    text = story.run("show", "doubt.txt").stdout
    assert "and up to $0.005000000001 more in doubt" in text and "in doubt, HTTP 200" in text
    assert "never became a job" in story.run("show", "never.txt").stdout
    assert "Waits      for room in the tokens" in story.run("show", "waits.txt").stdout

    told = story.json("show", "bad.txt", "--tenant", "default", "--batch", "deals")
    assert told["job"]["error_code"] == "http_400" and told["summary"] is None
    assert [call["http_status"] for call in told["calls"]] == [400]
    assert [letter["error_code"] for letter in told["dead_letters"]] == ["http_400"]


def test_costs(story):
    def costs(*words):
        rows = story.json("costs", *words)
        return {next(iter(row.values())): (row["calls"], row["cost_usd"], row["in_doubt_calls"],
                                           row["in_doubt_at_most_usd"]) for row in rows}

    assert costs() == {"grok-4.3": (5, "0.011250000003", 1, "0.005000000001"),
                       "claude-opus-4.8": (1, "0.003750000001", 0, "0")}
    assert costs("--by", "tenant", "--since", "7d") == {"default": (5, "0.011250000003", 1, "0.005000000001"),
                                                        "acme": (1, "0.003750000001", 0, "0")}
    assert set(costs("--by", "batch")) == {"default/deals", "acme/deals"}
    assert len(costs("--by", "day")) in (1, 2)
    assert costs("--by", "label.team", "--batch", "default/deals") == {
        "legal": (2, "0.007500000002", 0, "0"), "sales": (1, "0.003750000001", 0, "0"),
        "(none)": (2, "0", 1, "0.005000000001")}
    assert costs("--since", "2099-01-01") == {}
    assert costs("--by", "provider") == {"sim": (6, "0.015000000004", 1, "0.005000000001")}
    assert set(costs("--by", "key")) == {"sim"}
    rows = list(csv.DictReader(io.StringIO(story.run("costs", "--format", "csv").stdout)))
    assert [(row["model"], row["cost_usd"], row["in_doubt_at_most_usd"]) for row in rows] == [
        ("grok-4.3", "0.011250000003", "0.005000000001"), ("claude-opus-4.8", "0.003750000001", "0")]
    assert story.run("costs", "--format", "csv", "--json", check=False).returncode == 2
    text = story.run("costs", "--by", "label.team'; --").stdout
    assert "(none)" in text and "total" in text and "$0.015000000004" in text and "75,000" in text
    assert "bill lies between" in text
    for words in (["--by", "colour"], ["--by", "label."], ["--since", "yesterday"], ["--format", "html"]):
        assert story.run("costs", *words, check=False).returncode == 2


def test_a_reader_may_ask(story):
    story.run("migrate", "roles")
    with story.session() as session:
        session.execute("create role some_reader login in role precis_reader")
    try:
        story.configure(database=story.dsn.replace("postgres@", "some_reader@"))
        for words in (["status"], ["status", "default/deals"], ["results", "default/deals"], ["jobs"],
                      ["show", "bad.txt"], ["costs"]):
            story.run(*words)
        done = story.run("submit", story.config_path.with_suffix(".txt"), check=False)
        assert done.returncode == 1
    finally:
        with story.session() as session:
            session.execute("drop role some_reader")


# ------------------------------------------------------------------------------- again


def known(precis, message, revision=0):
    """As if a worker had read the message: the row of its job."""
    spec = value_of(message)
    with precis.session() as session:
        session.execute("""insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority,
                           labels, spec) select tenant, batch, id, %s, kind, %s, 5, '{}', '' from (values
                           ('default', %s, %s, 'summarize')) v(tenant, batch, id, kind)""",
                        revision, b"\x01" * 32, spec["batch"], spec["id"])


def test_a_changed_document_needs_revise(precis, case_dir):
    path = case_dir / "deal.txt"
    path.write_text("The fee is 10 dollars.")
    precis.run("submit", path)
    known(precis, sent(precis)["deal.txt"], revision=4)
    done = precis.run("submit", path, check=False)
    assert done.returncode == 1
    assert "it has changed since it was submitted; --revise" in done.stderr
    answer = precis.json("submit", path, "--revise")
    assert (answer["jobs"], answer["revised"], answer["repeated"]) == (1, 1, 0)
    assert value_of(sent(precis)["deal.txt"])["revision"] == 5
    assert precis.rows("select batch, total from precis.batches") == [{"batch": "deal", "total": 1}]


def test_an_open_batch_stays_open(precis, case_dir):
    path = case_dir / "deal.txt"
    path.write_text("The fee is 10 dollars.")
    precis.run("submit", path, "--open", "--batch", "b")
    assert precis.rows("select state from precis.batches") == [{"state": "open"}]
    precis.run("submit", path, "--batch", "b")
    assert precis.rows("select state, total from precis.batches") == [{"state": "sealed", "total": 1}]


def test_a_cancelled_batch_takes_nothing(precis, case_dir):
    path = case_dir / "deal.txt"
    path.write_text("The fee is 10 dollars.")
    with precis.session() as session:
        session.execute("insert into precis_data.batches (tenant, name, cancelled_at)"
                        " values ('default', 'b', clock_timestamp())")
    done = precis.run("submit", path, "--batch", "b", check=False)
    assert done.returncode == 1
    assert "was cancelled" in done.stderr
    assert sent(precis) == {}


# ------------------------------------------------------------------------------- with workers


def test_from_a_folder_to_summaries(precis, folder):
    (folder / "empty.txt").write_text(" \n")
    precis.start_worker()
    done = precis.run("submit", folder, "--wait", "--label", "team=legal", check=False, timeout=120)
    assert done.returncode == 3
    assert "5 jobs submitted" in done.stdout
    assert "4 of 5 jobs are done, 1 failed. The summaries: `precis results contracts`." in done.stdout

    told = precis.json("status", "contracts")
    assert (told["state"], told["total"], told["done"], told["failed"]) == ("ended", 5, 4, 1)
    assert told["p50_duration_ms"] is not None
    assert "is ended" in precis.run("status", "contracts").stdout
    summaries = {line["job_id"]: line for line in precis.json("results", "contracts")}
    assert set(summaries) >= {"a.txt", "legal:2024:nda.md", "long.text"} and len(summaries) == 4
    assert summaries["long.text"]["document_name"] == "long.text"
    assert summaries["a.txt"]["labels"] == {"team": "legal"}
    assert "empty.txt" in precis.run("results", "contracts", "--failed").stdout
    assert "no_text" in precis.run("show", "empty.txt").stdout
    assert "Summary" in precis.run("show", "a.txt").stdout
    paid = sum(decimal.Decimal(row["cost_usd"]) for row in precis.json("costs", "--by", "label.team"))
    assert paid == decimal.Decimal(precis.modelsim.bill()["cost_usd"]) > 0

    # Again: the same jobs, nothing paid; a changed one only with --revise.
    assert precis.run("submit", folder, "--wait", "--max-failed", "1", timeout=120).returncode == 0
    (folder / "a.txt").write_text("The fee is 11 dollars. It is due on 1 June.")
    assert "--revise" in precis.run("submit", folder, check=False).stderr
    assert paid == decimal.Decimal(precis.modelsim.bill()["cost_usd"])
    answer = precis.json("submit", folder, "--revise", "--wait", "--max-failed", "20%", timeout=120)
    assert (answer["jobs"], answer["revised"], answer["ended_before"]) == (1, 1, 4)
    assert (answer["done"], answer["failed"]) == (4, 1)
    summaries = {line["job_id"]: line for line in precis.json("results", "contracts")}
    assert summaries["a.txt"]["revision"] == 1 and "11" in json.dumps(summaries["a.txt"])
    assert len(precis.json("results", "contracts", "--all-revisions")) == 5
    precis.check_bill()


def test_ctrl_c_leaves_the_jobs(precis, folder, case_dir):
    waiting = Process("submit", [precis.program(), "submit", folder, "--wait", "--config", precis.config_path],
                      case_dir, precis.env())
    wait_until("the batch to be sealed", lambda: precis.rows("select 1 from precis.batches where state = 'sealed'"))
    wait_until("its report", waiting.out)
    waiting.signal(signal.SIGINT)
    assert waiting.wait() == 130
    assert "the jobs go on. `precis status contracts` shows them." in waiting.log()
    assert len(sent(precis)) == 4


def test_many_documents_go_in_groups(precis, case_dir):
    lines = "".join(json.dumps({"id": f"job-{n}", "document": {"text": f"Deal {n}. " + "Clause. " * 600}}) + "\n"
                    for n in range(1500))
    answer = precis.json("submit", "-", "--batch", "many", stdin=lines)
    assert answer["jobs"] == answer["documents_stored"] == 1500
    assert len(sent(precis)) == 1500
    assert precis.rows("select count(*) as n from precis_data.documents") == [{"n": 1500}]
    assert precis.rows("select total from precis.batches") == [{"total": 1500}]


def test_what_is_unread_is_held_back(precis, case_dir):
    """Without a worker nothing is read: what goes beyond the limit waits until Ctrl-C."""
    path = case_dir / "jobs.jsonl"
    path.write_text("".join(json.dumps({"id": f"job-{n}", "document": {"text": "The fee is 5. " * 100}}) + "\n"
                            for n in range(2000)))
    held = Process("submit", [precis.program(), "submit", path, "--hold-back", "100kB", "--config",
                              precis.config_path], case_dir, precis.env())
    wait_until("the first messages", lambda: len(precis.kafka.read_all(precis.topics["jobs"])) > 50)
    wait_until("the note", lambda: "Held back" in held.log(), timeout=60)
    assert held.running
    messages = precis.kafka.read_all(precis.topics["jobs"])
    fullest = max(sum(len(message["value"]) for message in messages if message["partition"] == partition)
                  for partition in range(4))
    assert fullest < 130_000
    held.signal(signal.SIGINT)
    assert held.wait() == 130
    assert "The same command again goes on" in held.log()
    assert precis.rows("select state from precis.batches") == [{"state": "open"}]


def test_a_revised_batch_has_not_ended_before_it_is_read(precis, case_dir):
    path = case_dir / "deal.txt"
    path.write_text("The fee is 10 dollars.")
    worker = precis.start_worker()
    precis.run("submit", path, "--wait", timeout=120)
    worker.terminate()
    path.write_text("The fee is 11 dollars.")
    waiting = Process("submit", [precis.program(), "submit", path, "--revise", "--wait", "--config", precis.config_path],
                      case_dir, precis.env())
    wait_until("its report", waiting.out)
    assert precis.rows("select state from precis.batches") == [{"state": "ended"}]  # as far as PostgreSQL knows
    with pytest.raises(AssertionError):
        wait_until("its end", lambda: not waiting.running, timeout=2)
    precis.start_worker()
    assert waiting.wait(120) == 0
    assert precis.json("results", "deal")[0]["revision"] == 1


def test_dev_started_again_goes_on(case_dir):
    """The broker in memory begins empty, the database does not: a job that was not done is submitted again."""
    env = clean_env(PRECIS_MODELSIM=BUILD / "tools" / "modelsim" / "modelsim", PRECIS_CONFIG=case_dir / "dev" / "precis.yaml")
    (case_dir / "deals").mkdir()
    program = BUILD / "worker" / "precis"

    def submit():
        done = subprocess.run([program, "submit", case_dir / "deals", "--wait", "--json"], env=env, capture_output=True,
                              text=True, check=False, timeout=120 * PATIENCE)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    for turn in (1, 2):
        (case_dir / "deals" / f"{turn}.txt").write_text(f"The fee of deal {turn} is 10 dollars.")
        dev = Process(f"dev-{turn}", [program, "dev", "--dir", case_dir / "dev", "--listen", f"127.0.0.1:{free_port()}"],
                      case_dir, env)
        wait_until("dev to be up", lambda: "everything is up" in dev.out(), timeout=60)
        assert "kafka_assigned" in dev.log()  # said when the worker has joined, not before
        answer = submit()
        assert (answer["jobs"], answer["ended_before"], answer["done"]) == (1, turn - 1, turn)
        assert answer["documents_stored"] == 1  # a broker in memory gets references only
        dev.signal(signal.SIGTERM)
        assert dev.wait() == 0
        assert '"level":"warn"' not in dev.log()
