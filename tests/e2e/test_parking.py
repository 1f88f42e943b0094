# SPDX-License-Identifier: Apache-2.0
"""Jobs that wait in PostgreSQL: for a time, for whoever paused them, and when their worker leaves."""
import datetime
import signal
import time

import pytest

from rig.common import wait_until

TEXT = "The buyer pays 100 dollars a month. The term is two years. Either party may end it in May."
SLOW = ("--latency", "200-300ms")


def in_seconds(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parked(precis):
    return precis.rows("select count(*) as n from precis_data.requeued")[0]["n"]


@pytest.mark.timeout(240)
@pytest.mark.partitions(1)
def test_a_job_for_later_holds_nobody_and_survives_its_worker(precis):
    first = precis.start_worker()
    began = time.monotonic()
    precis.send([precis.job("later", TEXT, not_before=in_seconds(36))])
    others = [f"job-{n}" for n in range(20)]
    precis.send([precis.job(name, f"{name}: {TEXT}") for name in others])
    precis.wait_final(others)
    precis.wait_committed()
    row = precis.jobs()["later"]
    assert (row["state"], row["waiting_for"], row["attempts"]) == ("waiting", "not_before", 0)
    assert 20 < (row["earliest_start_at"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() < 40
    first.kill()
    precis.start_worker()
    precis.wait_final(["later"], timeout=90)
    assert time.monotonic() - began > 35
    precis.check_promises(["later", *others])


@pytest.mark.timeout(240)
@pytest.mark.modelsim(*SLOW)
def test_term_parks_what_it_has_not_begun(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 2}}})
    names = [f"job-{n}" for n in range(60)]
    first = precis.start_worker()
    precis.send([precis.job(name, f"{name}: {TEXT}") for name in names])
    wait_until("some to be done", lambda: sum(row["state"] == "done" for row in precis.jobs().values()) >= 3)
    assert first.terminate() == 0
    left = [row for row in precis.jobs().values() if row["state"] != "done"]
    assert len(left) > 20 and {row["state"] for row in left} == {"waiting"}
    assert parked(precis) == len(left)
    precis.wait_committed(timeout=5)  # nobody runs: it was committed when the worker left
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 50}}})
    precis.start_worker()
    precis.wait_final(names)
    assert parked(precis) == 0
    assert all(row["attempts"] == 1 for row in precis.jobs().values())
    precis.check_promises(names)


@pytest.mark.timeout(240)
@pytest.mark.modelsim(*SLOW)
def test_a_pause_is_known_at_once_and_its_end_too(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 4}}})
    precis.start_worker()
    mine = [f"mine-{n}" for n in range(40)]
    precis.send([precis.job(name, f"{name}: {TEXT}", tenant="mine") for name in mine])
    wait_until("some to be done", lambda: sum(row["state"] == "done" for row in precis.jobs().values()) >= 3)
    with precis.session() as session:
        session.execute("insert into precis_data.pauses (scope, name) values ('tenant', 'mine')")
    wait_until("all others to wait", lambda: {(row["state"], row["waiting_for"]) for row in precis.jobs().values()}
               == {("done", None), ("waiting", "paused")}, timeout=10)
    calls = precis.modelsim.bill()["requests"] if "requests" in precis.modelsim.bill() else None
    other = [f"other-{n}" for n in range(5)]
    precis.send([precis.job(name, f"{name}: {TEXT}", tenant="other") for name in other])
    precis.wait_final(other, timeout=30)
    waiting = sum(row["waiting_for"] == "paused" for row in precis.jobs().values())
    assert waiting > 10, f"{waiting} wait after {calls} calls"
    with precis.session() as session:
        session.execute("delete from precis_data.pauses")
    precis.wait_final(mine, timeout=40)
    assert parked(precis) == 0
    precis.check_promises(mine + other)


@pytest.mark.timeout(240)
def test_a_parked_job_can_be_cancelled_retried_and_runs_out_of_time(precis):
    precis.start_worker()
    precis.send([precis.job("gone", TEXT, not_before=in_seconds(3600)),
                 precis.job("over", TEXT, not_before=in_seconds(3600), deadline=in_seconds(3), on_deadline="fail"),
                 precis.job("again", TEXT, not_before=in_seconds(3600))])
    wait_until("them to be parked", lambda: parked(precis) == 3)
    precis.run("cancel", "gone", "again")
    jobs = precis.wait_final(["gone", "over", "again"], timeout=30)
    assert (jobs["gone"]["state"], jobs["again"]["state"]) == ("cancelled", "cancelled")
    assert (jobs["over"]["state"], jobs["over"]["error_code"]) == ("failed", "expired")
    assert parked(precis) == 0
    precis.run("retry", "again")
    wait_until("it to wait again", lambda: precis.jobs()["again"]["waiting_for"] == "not_before", timeout=20)
    precis.run("cancel", "again")
    precis.wait_final(["again"], timeout=20)
    precis.check_promises(["gone", "over", "again"])


@pytest.mark.timeout(300)
@pytest.mark.modelsim(*SLOW)
def test_workers_that_die_lose_nothing_that_is_parked(precis):
    """Small windows, so that most is parked; two deaths with -9 while jobs come and go."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 8}}}, worker={"in_flight": 10},
                     retry={"doubtful": 10})
    names = [f"job-{n}" for n in range(150)]
    workers = [precis.start_worker() for _ in range(2)]
    precis.send([precis.job(name, f"{name}: {TEXT}", priority=n % 10, tenant=f"t{n % 3}") for n, name in enumerate(names)])
    for worker in workers:
        wait_until("jobs to be parked", lambda: parked(precis) > 5, timeout=20)
        time.sleep(1.5)
        worker.signal(signal.SIGKILL)
        worker.killed = True
        worker.wait()
        precis.start_worker()
    precis.wait_final(names, timeout=120)
    assert parked(precis) == 0
    precis.wait_committed()
    precis.check_promises(names)
