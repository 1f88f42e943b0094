# SPDX-License-Identifier: Apache-2.0
"""Cancelling while calls are under way: they are finished or cut, what is paid is kept, counts always add up."""
import decimal

import pytest

from rig.common import wait_until

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
