# SPDX-License-Identifier: Apache-2.0
"""`precis reconcile`: the ledger against the simulator's usage export, line by line."""
import csv
import decimal
import io
import json
import urllib.request

import pytest

from rig.common import wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8


def export(precis, form):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://127.0.0.1:{precis.modelsim.port}/sim/usage" + ("?format=csv" if form == "csv" else "")
    with opener.open(url, timeout=30) as answer:
        return answer.read().decode()


def run_jobs(precis, texts):
    names = [f"job-{n}" for n in range(len(texts))]
    precis.send([precis.job(name, text) for name, text in zip(names, texts)])
    precis.start_worker()
    return precis.wait_final(names)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_line_is_the_same_to_the_last_digit(precis, tmp_path, form):
    run_jobs(precis, [f"Contract {n}. {TEXT}" for n in range(12)])
    path = tmp_path / f"usage.{form}"
    path.write_text(export(precis, form))
    said = precis.json("reconcile", path)
    assert said["lines"] == said["same"] == 12 and said["differing"] == []
    bill = decimal.Decimal(precis.modelsim.bill()["cost_usd"])
    assert decimal.Decimal(said["file_usd"]) == decimal.Decimal(said["ledger_usd"]) == bill > 0
    assert "12 are the same in the ledger" in precis.run("reconcile", path).stdout
    # An export of another kind: other titles, no ids of ours, unix time, and no money: our price.
    rows = [json.loads(line) for line in export(precis, "jsonl").splitlines()]
    other = tmp_path / "other.csv"
    with other.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Request", "Model", "When", "prompt_tokens", "completion_tokens"])
        for row in rows:
            writer.writerow([row["request_id"], row["model"], 1790000000, row["input_tokens"], row["output_tokens"]])
    options = ("--column", "request_id=request", "--from", "2026-01-01", "--to", "2100-01-01")
    said = precis.json("reconcile", other, *options, "--column", "created_at=none")
    assert said["lines"] == said["same"] == 12
    # Nested, as answers have it, in one array.
    nested = tmp_path / "nested.json"
    nested.write_text(json.dumps([{"id": row["request_id"], "cost": float(row["cost_usd"]),
                                   "usage": {"prompt_tokens": row["input_tokens"],
                                             "completion_tokens": row["output_tokens"]}} for row in rows]))
    assert precis.json("reconcile", nested)["same"] == 12


@pytest.mark.modelsim("--latency", "300ms")
def test_calls_that_share_a_request_are_one_line(precis, tmp_path):
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 60}}})
    run_jobs(precis, [f"Contract {n}. {TEXT}" for n in range(20)])
    packs = precis.rows("select count(*) as calls, count(distinct coalesce(pack, call_id)) as requests from precis.costs")[0]
    assert packs["requests"] < packs["calls"] == 20
    rows = [json.loads(line) for line in export(precis, "jsonl").splitlines()]
    for row in rows[::2]:
        del row["request_id"]  # found by the name that we sent
    path = tmp_path / "usage.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    said = precis.json("reconcile", path)
    assert said["lines"] == said["same"] == packs["requests"] and said["missing"] == 0
    assert decimal.Decimal(said["ledger_usd"]) == decimal.Decimal(precis.modelsim.bill()["cost_usd"])


def test_what_differs_is_named(precis, tmp_path):
    run_jobs(precis, [f"Contract {n}. {TEXT}" for n in range(6)])
    rows = sorted((json.loads(line) for line in export(precis, "jsonl").splitlines()), key=lambda row: row["created_at"])
    rows[1]["cost_usd"] = "0.5"
    rows[2]["output_tokens"] += 1
    stranger = {**rows[0], "request_id": "req_x", "client_request_id": "of/another/program", "cost_usd": "0.25"}
    path = tmp_path / "usage.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows[:3] + rows[4:] + [stranger]))
    done = precis.run("reconcile", path, "--json", check=False)
    said = json.loads(done.stdout)
    assert done.returncode == 3
    assert {name: said[name] for name in ("lines", "same", "differs", "unknown", "missing", "in_doubt")} == \
        {"lines": 6, "same": 3, "differs": 2, "unknown": 1, "missing": 1, "in_doubt": 0}
    assert said["unknown_usd"] == "0.25"
    verdicts = sorted(row["verdict"] for row in said["differing"])
    assert verdicts == ["differs", "differs", "missing", "unknown"]
    text = precis.run("reconcile", path, check=False).stdout
    assert "2 differ" in text and "1 call of the ledger is not in the file" in text
    # Files that are none.
    for name, content in (("empty.csv", "request_id,cost\n"), ("titles.csv", "a,b\n1,2\n"), ("broken.jsonl", "{\n"),
                          ("words.csv", "request_id,cost\nreq_1,much\n")):
        (tmp_path / name).write_text(content)
        assert precis.run("reconcile", tmp_path / name, check=False).returncode == 1, name


def test_doubt_is_settled_by_what_was_billed(precis, tmp_path):
    precis.configure(retry={"doubtful": 2}, budget={"life": 100})
    jobs = run_jobs(precis, [f"Contract {n}. {TEXT} [[sim:die_mid_body*1]]" for n in range(4)])
    assert {job["state"] for job in jobs.values()} == {"done"}
    path = tmp_path / "usage.csv"
    path.write_text(export(precis, "csv"))
    before = precis.json("costs")
    assert before[0]["in_doubt_calls"] == 4
    done = precis.run("reconcile", path, "--json", check=False)
    said = json.loads(done.stdout)
    assert done.returncode == 3 and (said["in_doubt"], said["same"]) == (4, 4)
    said = precis.json("reconcile", path, "--settle")
    assert said["settled"] == 4
    bill = decimal.Decimal(precis.modelsim.bill()["cost_usd"])
    rows = precis.rows("select outcome, cost_source, cost_usd, at_most_usd from precis.costs")
    assert sum(row["cost_usd"] for row in rows) == bill
    assert sorted(row["outcome"] for row in rows) == ["failed"] * 4 + ["ok"] * 4
    assert {row["cost_source"] for row in rows} == {"exact"} and not any(row["at_most_usd"] for row in rows)
    used = precis.rows("select spent_picousd, reserved_picousd, doubt_picousd from precis_data.budget_use")
    assert [(row["spent_picousd"], row["doubt_picousd"]) for row in used] == [(bill * 10 ** 12, 0)]
    again = precis.json("reconcile", path, "--settle")
    assert (again["same"], again["settled"]) == (8, 0)
    precis.check_promises(jobs)


def requests_of(precis):
    """name of a request -> the rows of the ledger that it was made for."""
    found = {}
    for row in precis.rows("select * from precis.costs where outcome <> 'cancelled'"):
        found.setdefault(row["pack"] or f"{row['call_id']} {row['attempt']}", []).append(row)
    return found


def check_settled_packs(precis, path, budget_usd):
    """Doubt of shared requests: bounds before, then shares that are the bill to the last unit, and budgets that know."""
    doubtful = {name: rows for name, rows in requests_of(precis).items() if rows[0]["outcome"] == "in_doubt"}
    shared = [rows for rows in doubtful.values() if len(rows) > 1]
    assert shared and all({row["outcome"] for row in rows} == {"in_doubt"} for rows in doubtful.values()), doubtful
    lines = [json.loads(line) for line in export(precis, "jsonl").splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)))
    said = precis.json("reconcile", path, "--settle")
    assert said["settled"] == len(doubtful) and said["lines"] == len(lines)
    billed = {line["client_request_id"]: line for line in lines}
    for name, rows in requests_of(precis).items():
        if name not in doubtful or len(rows) == 1:
            continue
        line = billed[name]
        assert sum(row["cost_usd"] for row in rows) == decimal.Decimal(line["cost_usd"]) > 0
        assert sum(row["input_tokens"] for row in rows) == line["input_tokens"]
        assert sum(row["output_tokens"] for row in rows) == line["output_tokens"]
        before = {row["call_id"]: row["at_most_usd"] for row in doubtful[name]}
        for row in rows:  # each has a share that is its bound's part of all bounds
            part = before[row["call_id"]] / sum(before.values()) * decimal.Decimal(line["cost_usd"])
            assert abs(row["cost_usd"] - part) < decimal.Decimal("2e-12"), (row, part)
            assert (row["outcome"], row["cost_source"], row["at_most_usd"]) == ("failed", "exact", None), row
    bill = decimal.Decimal(precis.modelsim.bill()["cost_usd"])
    assert precis.rows("select sum(cost_usd) as cost from precis.costs")[0]["cost"] == bill
    used = precis.rows("select spent_picousd, reserved_picousd, doubt_picousd from precis_data.budget_use")
    assert [(row["spent_picousd"], row["reserved_picousd"], row["doubt_picousd"]) for row in used] == [(bill * 10 ** 12, 0, 0)]
    assert precis.json("budget")[0]["left_usd"] == float(budget_usd - bill) or \
        decimal.Decimal(str(precis.json("budget")[0]["left_usd"])) == budget_usd - bill
    again = precis.json("reconcile", path, "--settle")
    assert (again["same"], again["settled"], again["differing"]) == (len(lines), 0, [])


@pytest.mark.modelsim("--latency", "300ms")
def test_the_doubt_of_a_shared_call_is_settled_to_the_last_unit(precis, tmp_path):
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 60}}}, budget={"life": 100}, retry={"doubtful": 3})
    names = [f"job-{n}" for n in range(14)]
    texts = [f"Contract {n}. {TEXT * (1 + n % 3)}" + ("[[sim:die_mid_body*1]]" if n in (7, 12) else "") for n in range(14)]
    precis.send([{**precis.job(name, text), "partition": 0} for name, text in zip(names, texts)])
    precis.start_worker()
    jobs = precis.wait_final(names, timeout=90)
    assert {job["state"] for job in jobs.values()} == {"done"}
    check_settled_packs(precis, tmp_path / "usage.jsonl", 100)
    precis.check_promises(names)


@pytest.mark.modelsim("--latency", "300ms")
def test_a_killed_workers_shared_call_is_settled(precis, tmp_path):
    """The rows of a shared call whose worker was killed are in doubt each by itself, and settled together."""
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 60}}}, budget={"life": 100}, retry={"doubtful": 3},
                     providers={"sim": {"timeouts": {"idle": "8s"}}})
    names = [f"job-{n}" for n in range(14)]
    precis.send([{**precis.job(name, f"Contract {n}. {TEXT}" + ("[[sim:stall_mid_stream*1]]" if n == 7 else "")), "partition": 0}
                 for n, name in enumerate(names)])
    worker = precis.start_worker()
    sent = "select count(*) as n from precis.costs where outcome = 'sent' and pack is not null"
    wait_until("a shared call that stands still",
               lambda: precis.rows(sent + " and started_at < clock_timestamp() - interval '1500 ms'")[0]["n"] > 1, timeout=40)
    worker.kill()
    precis.start_worker()
    jobs = precis.wait_final(names, timeout=120)
    assert {job["state"] for job in jobs.values()} == {"done"}
    check_settled_packs(precis, tmp_path / "usage.jsonl", 100)
    precis.check_promises(names)


def test_what_a_complete_export_does_not_have_was_not_paid(precis, tmp_path):
    precis.configure(retry={"doubtful": 2})
    jobs = run_jobs(precis, [f"Contract {n}. {TEXT} [[sim:die_mid_body*1]]" for n in range(3)])
    rows = list(csv.reader(io.StringIO(export(precis, "csv"))))
    doubtful = {row["call_id"] for row in precis.rows("select call_id from precis.costs where outcome = 'in_doubt'")}
    assert len(doubtful) == 3
    # The provider let one of the cut answers go.
    known = {row["request_id"] for row in precis.rows("select request_id from precis.costs where outcome = 'ok'")}
    cut = [row for row in rows[1:] if row[0] not in known]
    kept = [row for row in rows if row != cut[0]]
    path = tmp_path / "usage.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(kept)
    assert precis.run("reconcile", path, "--complete", check=False).returncode == 2
    said = precis.json("reconcile", path, "--settle", "--complete", "--from", "2026-01-01", "--to", "2100-01-01")
    assert (said["settled"], said["settled_unpaid"], said["missing_in_doubt"]) == (2, 1, 1)
    rows = precis.rows("select outcome, cost_source, cost_usd from precis.costs order by cost_usd")
    assert [row["cost_source"] for row in rows].count("none") == 1 and rows[0]["cost_usd"] == 0
    assert precis.rows("select in_doubt_usd from precis.batches")[0]["in_doubt_usd"] == 0
    assert {job["state"] for job in jobs.values()} == {"done"}
