# SPDX-License-Identifier: Apache-2.0
"""Cancelling while calls are under way: they are finished or cut, what is paid is kept, counts always add up."""
import collections
import decimal
import json
import subprocess

import pytest

from rig.common import PATIENCE, wait_until

TEXT = "Order {}. The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. "
STATES = ("queued", "waiting", "running", "done", "failed", "cancelled")


def counts(precis):
    """The batch's counts, which have to add up whenever they are read."""
    row = precis.rows("select * from precis.batches where batch = 'pile'")[0]
    assert sum(row[state] for state in STATES) == row["total"], row
    return row


def start(precis, count):
    """Jobs of a batch, some of them under way."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 4}}}, packing={"size": 1})
    precis.start_worker()
    names = [f"job-{n}" for n in range(count)]
    precis.send([precis.job(name, TEXT.format(name) * 4, batch="pile") for name in names])
    wait_until("some to be done and some to run",
               lambda: counts(precis)["done"] >= 4 and counts(precis)["running"] >= 1, timeout=60, every=0.1)
    return names


def ended(precis, count):
    def all_ended():
        row = counts(precis)
        assert row["done"] + row["cancelled"] == count, row
        return row
    return wait_until("the batch to end", all_ended, timeout=60, every=0.1)


@pytest.mark.timeout(120)
@pytest.mark.modelsim("--latency", "1s")
def test_calls_under_way_are_finished(precis):
    names = start(precis, 40)
    answer = precis.json("cancel", "--batch", "pile")
    assert answer["held"] + answer["unheld"] > 20
    row = ended(precis, len(names))
    assert 4 <= row["done"] < 20 and row["failed"] == 0
    assert {cost["outcome"] for cost in precis.rows("select outcome from precis.costs")} == {"ok"}
    assert len(precis.modelsim.bill()["calls"]) == row["done"], "a call was paid whose answer was not kept"
    precis.check_bill()
    again = precis.json("retry", "--batch", "pile", "--failed")
    assert again["reopened"] == 0
    precis.run("retry", "--batch", "pile")
    wait_until("all to be done", lambda: counts(precis)["done"] == len(names), timeout=90, every=0.2)
    assert len(precis.modelsim.bill()["calls"]) == len(names)
    precis.check_bill()


@pytest.mark.timeout(120)
@pytest.mark.modelsim("--latency", "4s")
def test_calls_under_way_are_cut(precis):
    names = start(precis, 12)
    done = counts(precis)["done"]
    wait_until("calls under way", lambda: counts(precis)["running"] >= 3, timeout=30, every=0.1)
    answer = precis.run("cancel", "--batch", "pile", "--running", "stop").stdout
    assert "cut, and may be paid for nothing" in answer
    row = wait_until("the batch to end", lambda: counts(precis)["running"] == 0 and ended(precis, len(names)), timeout=3)
    assert row["done"] <= done + 4
    doubts = precis.rows("select at_most_usd, cost_usd from precis.costs where outcome = 'in_doubt'")
    assert 1 <= len(doubts) <= 4 and all(doubt["cost_usd"] is None for doubt in doubts)
    assert row["in_doubt_usd"] == sum((doubt["at_most_usd"] for doubt in doubts), decimal.Decimal(0))
    precis.check_bill()
    misuse = precis.run("cancel", "--all", "--running", "soon", check=False)
    assert misuse.returncode == 2 and "finish or stop" in misuse.stderr


@pytest.mark.timeout(120)
@pytest.mark.modelsim("--latency", "300ms", "--fault", "http_400:0.5")
def test_too_many_failed_end_the_batch(precis, tmp_path):
    """`submit --wait --max-failed`: the rest is cancelled, what was done is kept, and the exit code is 3."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 2}}}, packing={"size": 1})
    precis.start_worker()
    folder = tmp_path / "pile"
    folder.mkdir()
    for n in range(60):
        (folder / f"{n}.txt").write_text(TEXT.format(n) * 4)
    done = precis.run("submit", folder, "--wait", "--max-failed", "3", check=False, timeout=90)
    assert done.returncode == 3, done
    assert "more than --max-failed allows" in done.stderr and "precis retry" in done.stderr, done.stderr
    row = counts(precis)
    assert row["state"] == "ended" and row["failed"] >= 4 and row["cancelled"] >= 20 and row["total"] == 60, row
    assert row["done"] == precis.rows("select count(*) from precis.summaries")[0]["count"]
    precis.check_bill()
    # Fewer than are allowed: nothing is cancelled, and the exit code is 0.
    precis.modelsim.script(fault={"http_400": 0})
    precis.run("retry", "--batch", "pile")
    wait_until("all to be done", lambda: counts(precis)["done"] == 60, timeout=90, every=0.2)
    assert precis.run("submit", folder, "--wait", "--max-failed", "3", timeout=60).returncode == 0


@pytest.mark.timeout(180)
@pytest.mark.modelsim("--latency", "100ms")
def test_too_many_failed_while_it_is_still_sending(precis):
    """`submit --wait --max-failed` stops in the middle: nothing more is sent, and what was sent is cancelled."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 2}}}, packing={"size": 1})
    precis.start_worker()
    sent = 1000  # that many go at once

    def line(number):
        text = TEXT.format(number) + "[[sim:http_400]]"
        return json.dumps({"v": 1, "id": f"job-{number}", "kind": "summarize", "batch": "pile", "document": {"text": text}}) + "\n"

    submit = subprocess.Popen([str(precis.program()), "submit", "--config", str(precis.config_path), "-", "--json",
                               "--wait", "--max-failed", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=precis.env(), cwd=precis.folder)
    try:
        submit.stdin.write("".join(line(n) for n in range(sent)))
        submit.stdin.flush()
        wait_until("more to have failed than may", lambda: counts(precis)["failed"] > 3, timeout=60, every=0.2)
        number = sent

        def stopped():
            nonlocal number
            try:
                submit.stdin.write(line(number))
                submit.stdin.flush()
                number += 1
            except BrokenPipeError:
                pass
            return submit.poll() is not None

        wait_until("it to stop", stopped, timeout=60, every=0.2)
        assert submit.returncode == 3, submit.stderr.read()
        told, answer = submit.stderr.read(), json.loads(submit.stdout.read())
    finally:
        submit.kill()
        submit.stdout.close()
        submit.stderr.close()
        try:
            submit.stdin.close()
        except BrokenPipeError:
            pass
        submit.wait(30 * PATIENCE)
    assert "more than --max-failed allows" in told and "The rest is not sent." in told, told
    assert answer["stopped_after_failures"] is True and answer["jobs"] == answer["batches"][0]["jobs"] == sent, answer
    assert sum(precis.kafka.ends(precis.topics["jobs"]).values()) == sent, "something went out after the stop"
    row = wait_until("what was sent to end", lambda: ended_with_failed(precis, sent), timeout=90, every=0.2)
    assert row["done"] == 0 and row["failed"] >= 4 and row["cancelled"] >= 1, row
    refused = precis.run("submit", "-", "--batch", "pile", stdin=line(0), check=False)
    assert refused.returncode == 1 and "was cancelled" in refused.stderr
    precis.check_bill()


def ended_with_failed(precis, count):
    row = counts(precis)
    assert row["done"] + row["failed"] + row["cancelled"] == row["total"] == count, row
    return row


def check_calls(precis):
    """Each call's rows in the ledger are its entries of the bill, but for those in doubt; then the sums."""
    ledger, bill = collections.Counter(), collections.Counter()
    doubts = set()
    for row in precis.rows("select call_id, outcome, cost_usd from precis.costs"):
        ledger[row["call_id"]] += row["cost_usd"] or 0
        doubts |= {row["call_id"]} if row["outcome"] in ("in_doubt", "sent") else set()
    for call in precis.modelsim.bill()["calls"]:
        bill[call["id"].rsplit("/", 2)[0]] += decimal.Decimal(call["cost_usd"])
    odd = {name: (ledger[name], bill[name]) for name in ledger.keys() | bill.keys()
           if name not in doubts and ledger[name] != bill[name]}
    assert not odd, odd
    precis.check_bill()


@pytest.mark.timeout(180)
@pytest.mark.modelsim("--latency", "1s", "--fault", "http_400:0.3")
def test_counts_and_money_through_a_whole_life(precis):
    """Cancelled, retried, replayed and cancelled again: the counts add up and the ledger is the bill after each step."""
    names = start(precis, 48)

    def step(what, *, running=False):
        row = wait_until(what, lambda: counts(precis) if running else ended_with_failed(precis, len(names)), timeout=60, every=0.2)
        assert row["total"] == len(names), row
        states = collections.Counter(job["state"] for job in precis.jobs().values())
        assert sum(states.values()) == len(names), states
        if not running:
            assert {state: row[state] for state in states} == states, (row, states)
            check_calls(precis)
        status = precis.json("status", "pile")
        status = status[0] if isinstance(status, list) else status
        assert sum(status[state] for state in STATES) == status["total"] == len(names), status
        return row

    precis.run("cancel", "--batch", "pile", "--running", "stop")
    cut = step("all to be cancelled")
    assert cut["cancelled"] >= 1 and cut["running"] == 0
    precis.modelsim.script(latency="100ms")
    # What was cancelled comes back, what failed stays; a third of the calls is refused.
    precis.run("retry", "--batch", "pile")
    step("it to go on", running=True)
    again = step("the second round to end")
    assert again["cancelled"] == 0
    precis.modelsim.script(fault={"http_400": 1.0})
    failed = again["failed"]
    if failed:
        assert precis.json("retry", "--batch", "pile", "--failed")["reopened"] == failed
        assert step("the failed ones to fail again")["failed"] == failed
    # New ones come into the batch and fail too: now there are dead letters in any case.
    precis.send([precis.job(f"more-{n}", TEXT.format(n) * 3, batch="pile") for n in range(5)])
    names.extend(f"more-{n}" for n in range(5))
    wait_until("the new ones to be known", lambda: counts(precis)["total"] == len(names), timeout=60)
    row = step("the new ones to fail")
    assert row["failed"] == failed + 5
    # Some by dead letter, with a cap, cancelled at once; then all.
    precis.modelsim.script(fault={"http_400": 0}, latency="2s")
    assert precis.json("dlq", "replay", "--batch", "pile", "--max", "3")["reopened"] == 3
    step("three to be open", running=True)
    precis.run("cancel", "--batch", "pile")
    row = step("those to be done or cancelled")
    assert row["failed"] == failed + 2, row
    precis.modelsim.script(latency="100ms")
    assert precis.json("dlq", "replay", "--batch", "pile")["reopened"] == failed + 2
    row = step("the failed ones to be done")
    assert row["failed"] == 0, row
    precis.run("retry", "--batch", "pile")
    row = step("all to be done")
    assert row["done"] == len(names), row
    precis.wait_committed()
    for worker in precis.workers:
        worker.terminate()
    precis.check_promises(names)
