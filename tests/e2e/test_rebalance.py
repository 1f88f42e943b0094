# SPDX-License-Identifier: Apache-2.0
"""Workers that come and go in good order: nothing is paid twice, nothing is in doubt."""
import pytest

from rig.common import LONG, wait_until
from rig.promises import Promises

SLOW = ("--latency", "200-400ms")


def ended(precis):
    return len(precis.rows("select 1 from precis.summaries"))


def owners(precis):
    """Names of the live workers that have finished something."""
    return {row["worker"] for row in precis.rows("select distinct worker from precis.jobs where state = 'done'")}


def check_nothing_twice(precis, promises):
    precis.wait_final(promises.places, timeout=120)
    promises.check()
    assert {row["state"] for row in promises.jobs.values()} == {"done"}
    assert {row["outcome"] for row in promises.attempts.values()} <= {"ok", "cancelled"}
    assert len(promises.calls) == len(promises.places), "a call was bought again"


@pytest.mark.partitions(6)
@pytest.mark.modelsim(*SLOW)
def test_a_third_worker_joins_and_leaves(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 4}}})
    promises = Promises(precis)
    workers = [precis.start_worker(), precis.start_worker()]
    for turn in range(6 if LONG else 3):
        promises.send([f"job-{turn}-{n}" for n in range(90)])
        third = precis.start_worker()

        def has_worked(turn=turn, third=third):
            # What the others hold is theirs: only what comes now can be the third's.
            promises.send([f"more-{turn}-{len(promises.places)}-{n}" for n in range(6)])
            return any(owner.endswith(f":{third.pid}") for owner in owners(precis))

        wait_until("the third to finish something", has_worked, every=0.5)
        promises.offsets_hold()
        assert third.terminate() == 0, third.log()[-3000:]
    check_nothing_twice(precis, promises)
    assert all(worker.running for worker in workers)


@pytest.mark.modelsim(*SLOW)
def test_a_rolling_restart(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 4}}})
    promises = Promises(precis)
    workers = [precis.start_worker(), precis.start_worker()]
    for turn in range(4 if LONG else 2):
        promises.send([f"job-{turn}-{n}" for n in range(80)])
        before = ended(precis)
        wait_until("work under way", lambda: ended(precis) > before + 15)
        old = workers.pop(0)
        assert old.terminate() == 0, old.log()[-3000:]
        workers.append(precis.start_worker())
    check_nothing_twice(precis, promises)
    states = {row["pid"]: row["state"] for row in precis.rows("select pid, state from precis.workers")}
    assert sorted(states.values()) == ["ended"] * (len(precis.workers) - 2) + ["live"] * 2


@pytest.mark.modelsim("--latency", "8s")
def test_what_the_drain_leaves_is_taken_at_once(precis):
    """drain_timeout ends before the calls do: they are in doubt, and another worker has the jobs without a lease's wait."""
    precis.configure(worker={"drain_timeout": "1s"}, models={"grok-4.3": {"limits": {"in_flight": 2}}})
    promises = Promises(precis)
    first = precis.start_worker()
    promises.send(["one", "two", "three"])
    wait_until("two calls", lambda: len(precis.modelsim.bill()["calls"]) == 2)
    assert first.terminate() == 0, first.log()[-3000:]
    # Those whose calls were cut are free; the one that had not begun is parked.
    assert sorted(row["state"] for row in precis.jobs().values()) == ["queued", "queued", "waiting"]
    assert {row["waiting_for"] for row in precis.jobs().values()} == {None, "order"}
    promises.died(first)
    precis.modelsim.script(latency="0ms")
    precis.start_worker()
    precis.wait_final(promises.places, timeout=14)
    promises.check()
    assert sorted(row["outcome"] for row in promises.attempts.values()) == ["in_doubt", "in_doubt", "ok", "ok", "ok"]
