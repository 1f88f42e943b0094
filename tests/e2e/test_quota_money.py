# SPDX-License-Identifier: Apache-2.0
"""Money as a wall, by the provider's own bill: a fleet spends what a budget allows, nearly all of it, and never a cent more."""
import decimal

import pytest

from rig.common import wait_until
from rig.meter import contract, long_or

WORKERS = long_or(2, 4)
JOBS, PAID = 200, 50


def spent(precis, tenant):
    """What the tenant's calls cost, and what those of them in doubt may have."""
    row = precis.rows("""select coalesce(sum(cost_usd), 0) as cost, coalesce(sum(at_most_usd), 0) as at_most
                         from precis.costs where tenant = %s and outcome <> 'cancelled'""", tenant)[0]
    return row["cost"], row["at_most"]


def one_price(precis):
    """What a job of this kind costs: the dearest of a few."""
    names = [f"first-{number}" for number in range(8)]
    precis.send([precis.job(name, contract(name), tenant="before") for name in names])
    precis.wait_final(names)
    return max(row["cost"] for row in precis.rows(
        "select sum(cost_usd) as cost from precis.costs where tenant = 'before' group by job_id"))


def start_fleet(precis):
    """Workers that know how long answers are: they reserve by that, once each has seen 30, and not by the worst case."""
    workers = [precis.start_worker() for _ in range(WORKERS)]
    rounds = 0

    def all_have_learned():
        nonlocal rounds
        rounds += 1
        names = [f"learn-{rounds}-{number}" for number in range(48)]
        precis.send([precis.job(name, contract(name), tenant="before") for name in names])
        precis.wait_final(names)
        return len(precis.rows("select 1 from precis_data.attempts where outcome = 'ok' and worker_id in ("
                               " select id from precis_data.workers where pid = any(%s))"
                               " group by worker_id having count(*) >= 35", [worker.pid for worker in workers])) >= WORKERS

    wait_until("every worker to learn", all_have_learned, timeout=120, every=0.2)
    return workers


def send_walled(precis, **members):
    names = [f"job-{number:03}" for number in range(JOBS)]
    precis.send([precis.job(name, contract(name), tenant="walled", **members) for name in names])
    return names


@pytest.mark.partitions(8)
@pytest.mark.modelsim("--latency", "50-200ms")
@pytest.mark.timeout(300)
def test_parallel_jobs_stop_at_the_budget(precis):
    """A budget for 50 of 200 jobs that start together on several workers."""
    first = precis.start_worker()
    price = one_price(precis)
    first.terminate()
    budget = price * PAID
    precis.configure(tenants={"walled": {"budget": {"life": format(budget, "f"), "at_wall": "fail"}}})
    workers = start_fleet(precis)
    names = send_walled(precis)
    jobs = precis.wait_final(names, timeout=120)
    for worker in workers:
        worker.terminate()
    cost, at_most = spent(precis, "walled")
    done = [name for name in names if jobs[name]["state"] == "done"]
    failed = {jobs[name]["error_code"] for name in names if jobs[name]["state"] == "failed"}
    print(f"{len(done)} done for {cost} of {budget}, {at_most} in doubt")
    assert failed == {"over_budget"}, failed
    assert cost + at_most <= budget, f"{cost} and at most {at_most} more, of {budget}"
    assert cost >= budget * decimal.Decimal("0.9"), f"only {cost} of {budget} was used: {len(done)} jobs"
    precis.check_promises(names)


@pytest.mark.partitions(8)
@pytest.mark.modelsim("--latency", "50-200ms")
@pytest.mark.timeout(300)
def test_jobs_at_the_wall_wait_for_more_money(precis):
    """`wait`: nothing fails and nothing is paid past the wall; a raised budget lets the rest go on."""
    first = precis.start_worker()
    price = one_price(precis)
    first.terminate()
    precis.configure(tenants={"walled": {"budget": {"life": format(price * PAID, "f"), "at_wall": "wait"}}})
    workers = start_fleet(precis)
    names = send_walled(precis)

    def at_the_wall():
        waiting = precis.rows("select count(*) as n from precis.jobs where tenant = 'walled' and waiting_for = 'budget'")
        running = precis.rows("select count(*) as n from precis.costs where outcome = 'sent'")
        return waiting[0]["n"] > 0 and running[0]["n"] == 0 and spent(precis, "walled")[0] >= price * PAID * \
            decimal.Decimal("0.9")

    wait_until("the jobs to be at the wall", at_the_wall, timeout=90)
    cost, at_most = spent(precis, "walled")
    assert cost + at_most <= price * PAID
    assert not [row for row in precis.jobs().values() if row["state"] == "failed"]
    for worker in workers:
        worker.terminate()
    precis.configure(tenants={"walled": {"budget": {"life": format(price * JOBS * 2, "f")}}})
    workers = [precis.start_worker(ready=False) for _ in range(WORKERS)]
    jobs = precis.wait_final(names, timeout=120)
    assert {jobs[name]["state"] for name in names} == {"done"}
    for worker in workers:
        worker.terminate()
    precis.check_promises(names)
