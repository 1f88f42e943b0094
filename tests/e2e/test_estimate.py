# SPDX-License-Identifier: Apache-2.0
"""`precis estimate` against what then happened: the shared contracts, submitted, run and paid for."""
import json
import shutil

import pytest

from rig.common import wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. "


def chosen(estimate):
    models = [model for model in estimate["models"] if model["chosen"]]
    assert len(models) == 1, models
    return models[0]


def contracts(data_dir, folder):
    """Copies: the shared folder is read-only, and half of it is enough for a first look."""
    shutil.copytree(data_dir / "contracts", folder, ignore=shutil.ignore_patterns("nasty", "*.json", "README.md"))
    return sorted(path for path in folder.rglob("*") if path.is_file())


def spent(precis, batch):
    row = precis.rows("""select sum(cost_usd) as cost, count(distinct coalesce(pack, call_id || attempt)) as calls, sum(input_tokens) as input,
                         sum(output_tokens) as output,
                         extract(epoch from max(started_at + duration_ms * interval '1 ms') - min(started_at)) as seconds
                         from precis.costs where batch = %s""", batch)[0]
    return {name: float(value) for name, value in row.items()}


@pytest.mark.modelsim("--latency", "100-700ms", "--tokens-per-second", "200", "--rpm", "100", "--burst-seconds", "20")
@pytest.mark.timeout(240)
def test_the_run_costs_and_takes_what_was_estimated(precis, data_dir, tmp_path):
    files = contracts(data_dir, tmp_path / "contracts")
    # Alone in their requests: a machine that is busy with other tests packs more of them, later.
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 100}}}, packing={"size": 1})
    precis.start_worker()
    unseen = chosen(precis.json("estimate", tmp_path / "contracts", "--batch", "all"))
    # Ten documents first, so that it is known how the model counts and how fast it is.
    precis.run("submit", *files[::6], "--batch", "first", "--wait", "--max-failed", "100%", timeout=120)
    before = precis.json("estimate", tmp_path / "contracts", "--batch", "all")
    guess = chosen(before)
    assert guess["samples"] >= 5 and not before["unreadable"]
    assert before["answered_before"] == 10 and before["twins"] == 2
    precis.run("submit", tmp_path / "contracts", "--batch", "all", "--wait", "--max-failed", "100%", timeout=200)
    run = spent(precis, "all")
    said = (f"calls {guess['calls']} -> {run['calls']:.0f}, cost {guess['cost_usd']} -> {run['cost']:.6f},"
            f" input {guess['input_tokens']} -> {run['input']:.0f}, output {guess['output_tokens']} -> {run['output']:.0f},"
            f" seconds {guess['seconds']} -> {run['seconds']:.1f}")
    print(said)
    assert abs(run["calls"] - guess["calls"]) <= 6, said  # repairs are not foreseen
    assert abs(float(guess["cost_usd"]) / run["cost"] - 1) < 0.10, said
    assert abs(guess["seconds"] / run["seconds"] - 1) < 0.15, said
    assert float(guess["cost_low_usd"]) < run["cost"] < float(guess["cost_high_usd"]), said
    assert float(guess["reserved_usd"]) > run["cost"], said
    # What was said before anything was known of the model was a wider range, and true.
    assert unseen["samples"] == 0
    paid = run["cost"] + spent(precis, "first")["cost"]
    assert float(unseen["cost_low_usd"]) < paid < float(unseen["cost_high_usd"]), (unseen, paid)
    # All of it is there now: nothing more would be paid.
    again = precis.json("estimate", tmp_path / "contracts", "--batch", "all")
    assert again["documents"] == 0 and again["ended_before"] == len(files)


@pytest.mark.modelsim("--latency", "100-700ms", "--tokens-per-second", "200", "--rpm", "100", "--burst-seconds", "20")
@pytest.mark.parametrize("documents", ["contracts", "letters"])
@pytest.mark.timeout(240)
def test_the_packed_run_costs_and_takes_what_was_estimated(precis, data_dir, tmp_path, documents):
    """Requests are scarce, so that short documents share them: fewer calls, a lower price and a shorter time are foreseen."""
    folder = tmp_path / "papers"
    if documents == "contracts":
        contracts(data_dir, folder)
    else:
        folder.mkdir()
        for n in range(210):  # every 21st is sampled: of each length
            (folder / f"{n:03}.txt").write_text(f"Letter {n}. " + TEXT.replace("12", str(n)) * (2 + n % 5))
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 100}}})
    precis.start_worker()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    precis.run("submit", *files[::len(files) // 10], "--batch", "first", "--wait", "--max-failed", "100%", timeout=120)
    guess = chosen(precis.json("estimate", folder, "--batch", "all"))
    precis.run("submit", folder, "--batch", "all", "--wait", "--max-failed", "100%", timeout=200)
    run = spent(precis, "all")
    said = (f"{documents}: calls {guess['calls']} -> {run['calls']:.0f}, cost {guess['cost_usd']} -> {run['cost']:.6f},"
            f" input {guess['input_tokens']} -> {run['input']:.0f}, output {guess['output_tokens']} -> {run['output']:.0f},"
            f" seconds {guess['seconds']} -> {run['seconds']:.1f}")
    print(said)
    assert guess["calls"] < guess["jobs"] and run["calls"] < guess["jobs"], said
    assert abs(float(guess["cost_usd"]) / run["cost"] - 1) < 0.10, said
    assert abs(guess["seconds"] / run["seconds"] - 1) < 0.15, said


def test_what_stands_in_a_folder(precis, data_dir, tmp_path):
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "short.txt").write_text(TEXT)
    (folder / "copy.txt").write_text(TEXT)
    (folder / "empty.txt").write_text("  \n")
    (folder / "long.txt").write_text(TEXT * 400)
    (folder / "table.json").write_text("{}")
    (folder / "page.html").write_text(f"<html><body><p>{TEXT}</p></body></html>")
    (folder / "lines.jsonl").write_text("\n".join(json.dumps(line) for line in [
        {"id": "one", "kind": "summarize", "document": {"text": f"One. {TEXT}"}},
        {"id": "one", "kind": "summarize", "document": {"text": f"One. {TEXT}"}},
        {"id": "gone", "kind": "summarize", "document": {"stored": "0" * 64}},
    ]))
    precis.configure(packing={"size": 1}, models={"small": {"provider": "sim", "context_tokens": 6000, "max_output_tokens": 2048,
                                       "limits": {"rpm": 10}, "price": {"per_1m": {"input": 1, "output": 1}}}})
    said = precis.json("estimate", folder, "--model", "small")
    assert (said["documents"], said["without_text"], said["given_twice"], said["over_long"]) == (5, 1, 1, 1)
    assert said["twins"] == 1  # the copy
    assert len(said["copies"]) == 1 and len(said["unreadable"]) == 2
    model = chosen(said)
    assert model["split"] == 1 and model["calls"] > 4
    assert 0 < float(model["cost_usd"]) < float(model["reserved_usd"])
    # Nothing was written, and nothing is needed of PostgreSQL.
    assert precis.rows("select 1 from precis.batches") == []
    precis.configure(database="postgresql://nobody@127.0.0.1:1/none")
    failed = precis.run("estimate", folder, check=False)
    assert failed.returncode == 1 and "--offline" in failed.stderr
    offline = precis.json("estimate", folder, "--model", "small", "--offline")
    assert chosen(offline)["calls"] == model["calls"]
    text = precis.run("estimate", folder, "--offline").stdout
    assert "small" in text and "grok-4.3" in text and "HELD UP BY" in text


def test_what_would_be_needed_to_end_in_time(precis, tmp_path):
    lines = tmp_path / "many.jsonl"
    lines.write_text("\n".join(json.dumps({"id": f"n-{n}", "kind": "summarize", "document": {"text": f"{n}. {TEXT}"}})
                               for n in range(840)))
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 10}, "max_output_tokens": 32000}},
                     packing={"size": 1, "tokens": 60000})
    options = ("--batch", "b", "--model", "grok-4.3")
    finish = chosen(precis.json("estimate", lines, *options, "--finish-by", "10m"))["finish_by"]
    assert not finish["met"] and finish["limit"] == "rpm" and finish["have"] == 10
    # 840 in ten minutes, less what the last one takes to be written.
    assert 84 <= finish["need"] <= 90 and finish["packed"] in (9, 10)
    text = precis.run("estimate", lines, *options, "--finish-by", "10m").stdout
    assert f"no at 10 requests a minute; yes at {finish['need']}, or packed by {finish['packed']}." in text
    assert chosen(precis.json("estimate", lines, *options, "--finish-by", "2h"))["finish_by"]["met"]
    for wrong in ("2020-01-01T00:00:00Z", "soon", "10"):
        assert precis.run("estimate", lines, *options, "--finish-by", wrong, check=False).returncode == 2


def lines_of(path, count, name="n"):
    path.write_text("\n".join(json.dumps({"id": f"{name}-{n}", "kind": "summarize", "document": {"text": f"{name} {n}. {TEXT}"}})
                              for n in range(count)))
    return path


@pytest.mark.modelsim("--rpm", "240")
@pytest.mark.timeout(120)
def test_what_the_fleet_knows_is_heeded(precis, tmp_path):
    """Limits that were set or that the provider tells, jobs in front, and what is assumed is said."""
    lines = lines_of(tmp_path / "ours.jsonl", 60)
    options = ("--batch", "ours", "--model", "grok-4.3")
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 600, "tpm": 9000000}}}, packing={"size": 1})
    before = chosen(precis.json("estimate", lines, *options))
    assert before["limits"]["rpm"] == {"value": 600, "from": "configuration"} and before["jobs_before"] == 0
    assert before["limits"]["in_flight"]["from"] == "workers"
    # The provider's word: 240 a minute, seen in its answers.
    worker = precis.start_worker()
    precis.run("submit", lines_of(tmp_path / "first.jsonl", 6, "first"), "--batch", "first", "--wait", timeout=60)
    wait_until("the provider's limit", lambda: chosen(precis.json("estimate", lines, *options))["limits"]["rpm"]
               == {"value": 240, "from": "provider"})
    # What is set holds before the configuration, and the smaller of it and the provider's.
    precis.run("quota", "set", "--model", "grok-4.3", "--rpm", "60", "--in-flight", "7")
    slow = precis.json("estimate", lines, *options, "--finish-by", "30s")
    model = chosen(slow)
    assert model["limits"]["rpm"] == {"value": 60, "from": "set"} and model["limits"]["in_flight"] == {"value": 7, "from": "set"}
    assert 58 <= model["seconds"] <= 64 and slow["jobs_before"] == 0
    assert model["finish_by"]["have"] == 60 and 110 <= model["finish_by"]["need"] <= 140
    offline = chosen(precis.json("estimate", lines, *options, "--offline"))
    assert offline["limits"]["rpm"] == {"value": 600, "from": "configuration"}
    # Others' jobs go first; what waits for a time does not, and ours of before are not in front of themselves.
    worker.terminate()
    precis.run("submit", lines_of(tmp_path / "front.jsonl", 120, "front"), "--batch", "front", "--model", "grok-4.3")
    precis.run("submit", lines, *options, "--open")
    behind = precis.json("estimate", lines, *options)
    assert behind["jobs_before"] == chosen(behind)["jobs_before"] == 120
    assert 178 <= chosen(behind)["seconds"] <= 186, behind
    text = precis.run("estimate", lines, *options).stdout
    assert "60 requests a minute (set by `precis quota set`)" in text and "120 jobs that are there already go first; 1 worker." in text
    precis.run("submit", lines_of(tmp_path / "later.jsonl", 30, "later"), "--batch", "later", "--not-before", "1h")
    precis.run("pause", "--batch", "front")
    precis.start_worker()
    wait_until("them to be parked", lambda: precis.json("estimate", lines, *options)["jobs_resting"] == 150, timeout=40)
    rested = precis.json("estimate", lines, *options)
    assert rested["jobs_before"] == 0 and 0 < chosen(rested)["seconds"] <= 64
    assert "150 jobs wait for a time, a batch, a budget or a person" in precis.run("estimate", lines, *options).stdout


@pytest.mark.modelsim("--rpm", "240", "--burst-seconds", "4", "--latency", "200ms")
@pytest.mark.timeout(150)
def test_the_jobs_in_front_take_their_time(precis, tmp_path):
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 240}}}, packing={"size": 1})
    precis.start_worker()
    precis.run("submit", lines_of(tmp_path / "first.jsonl", 8, "first"), "--batch", "first", "--wait", timeout=60)
    precis.run("submit", lines_of(tmp_path / "front.jsonl", 70, "front"), "--batch", "front")
    ours = lines_of(tmp_path / "ours.jsonl", 30, "ours")
    began = precis.rows("select clock_timestamp() as now")[0]["now"]
    guess = chosen(precis.json("estimate", ours, "--batch", "ours"))
    assert 20 < guess["jobs_before"] <= 70, guess
    precis.run("submit", ours, "--batch", "ours", "--wait", timeout=90)
    took = precis.rows("select extract(epoch from max(finished_at) - %s) as s from precis.jobs where batch = 'ours'", began)[0]["s"]
    said = f"{guess['jobs_before']} jobs in front: seconds {guess['seconds']} -> {float(took):.1f}"
    print(said)
    # What passes between being asked and being submitted is not the limits'.
    assert abs(guess["seconds"] / float(took) - 1) < 0.15 or abs(guess["seconds"] - float(took)) < 4, said


@pytest.mark.modelsim("--latency", "2s")
@pytest.mark.timeout(150)
def test_what_was_learned_outlives_the_worker(precis, tmp_path):
    """A new worker reserves by what the fleet has learned, not by the worst case."""
    def reserved(batch):
        """Of its only call, while that is under way."""
        precis.run("submit", papers(batch, 1), "--batch", batch)
        rows = wait_until("its call", lambda: precis.rows(
            "select a.at_most_picousd as most from precis_data.attempts a join precis_data.jobs j using (job_no)"
            " where j.batch = %s and a.outcome = 'sent'", batch), timeout=60)
        return float(rows[0]["most"])

    def papers(name, count):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("\n".join(json.dumps({"id": f"{name}-{n}", "kind": "summarize", "document": {"text": f"{name} {n}. {TEXT * 20}"}})
                                  for n in range(count)))
        return path

    # Nobody knows anything yet: a token a byte. Fewer than twenty counts are no reason to reserve less.
    precis.configure(packing={"size": 1})
    first = precis.start_worker()
    unlearned = reserved("aaa")
    precis.run("submit", papers("bbb", 40), "--batch", "bbb", "--wait", timeout=90)
    first.terminate()
    rows = precis.rows("select * from precis_data.calibrations where samples >= 20 and mean between 0.05 and 4")
    assert {row["subject"] < 4 for row in rows} == {True, False}, rows  # inputs and answers
    assert {(row["provider"], row["model"]) for row in rows} == {("sim", "grok-4.3")}, rows
    precis.start_worker()
    learned = reserved("ccc")
    assert learned < 0.8 * unlearned, (learned, unlearned)


@pytest.mark.modelsim("--tpm", "6000", "--burst-seconds", "60")
@pytest.mark.timeout(120)
def test_what_the_provider_never_takes_is_told(precis, tmp_path):
    """A request over the provider's own limit of a minute would be refused for ever, whatever is configured."""
    lines = tmp_path / "long.jsonl"
    lines.write_text("\n".join(json.dumps({"id": f"long-{n}", "kind": "summarize", "document": {"text": f"Long {n}. {TEXT * (400 * n + 1)}"}})
                               for n in range(2)))
    precis.configure(models={"grok-4.3": {"limits": {"tpm": 9000000}}}, packing={"size": 1})
    options = ("--batch", "long", "--model", "grok-4.3")
    before = chosen(precis.json("estimate", lines, *options))
    assert (before["over_limit"], before["too_long"], before["jobs"]) == (0, 0, 2)
    precis.start_worker()
    precis.run("submit", lines_of(tmp_path / "first.jsonl", 2, "first"), "--batch", "first", "--wait", timeout=60)
    wait_until("the provider's limit", lambda: chosen(precis.json("estimate", lines, *options))["limits"]["tpm"]
               == {"value": 6000, "from": "provider"})
    now = chosen(precis.json("estimate", lines, *options))
    assert (now["over_limit"], now["too_long"], now["jobs"]) == (1, 1, 1), now
    text = precis.run("estimate", lines, *options).stdout
    assert "1 of these will fail" in text and "is more than the provider allows in a minute or a day" in text, text
    assert chosen(precis.json("estimate", lines, *options, "--offline"))["over_limit"] == 0
    # What is configured so is told without a database, too.
    precis.configure(models={"grok-4.3": {"limits": {"tpm": 6000}}})
    offline = chosen(precis.json("estimate", lines, *options, "--offline"))
    assert (offline["over_limit"], offline["too_long"], offline["jobs"]) == (1, 1, 1), offline
