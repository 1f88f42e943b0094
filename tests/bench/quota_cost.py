# SPDX-License-Identifier: Apache-2.0
"""What the fleet's quota costs: the same jobs by the same workers with no limit, with limits that never bind, and at a limit.

Throughput is held against that without; how often PostgreSQL is asked is counted by its own statistics of functions; what an ask
costs it is the time of a backend's processor over a thousand of them, as workers send them, which the machine's load does not change.
"""
import statistics
import time

import measure
from rig.common import wait_until

# Far above what any machine does, so that only the asking costs.
UNBOUND = {"rpm": 100_000_000, "tpm": 1_000_000_000}
# What the proofs of tests/e2e/test_quota.py use: here a grant is for few calls.
BOUND = {"rpm": 1200, "tpm": 100_000_000}
BOUND_JOBS = 400
ASKS = 1000


def cpu_per_ask(session):
    """us of a backend's processor for one ask in a unit of its own, with its commit: of the last lane that workers asked for."""
    lane = session.rows("select provider, key_name, model, configured from precis_data.quota_lanes limit 1")
    if not lane:
        return 0.0
    numbers = lane[0]["configured"] + [1, 0, 0, 500, 1, 500] + [1, 0, 0, 500, 0, 0] + [0] * 12 + [1, 1] + [-1] * 12 + [0] * 6
    ask = """select * from precis_data.quota_ask(-1, %s, array[%s], array[%s], array[%s], array['fine'], %s::bigint[])"""
    pid = session.value("select pg_backend_pid()")
    before = measure.cpu_seconds(pid)
    for number in range(ASKS):
        session.rows(ask, number + 1, lane[0]["provider"], lane[0]["key_name"], lane[0]["model"], numbers)
    return (measure.cpu_seconds(pid) - before) / ASKS * 1e6


def figures(run, workers, limits):
    """Of one run: jobs a second, CPU of the workers and of PostgreSQL a job, and how often the quota was asked."""
    most = run.case.in_flight * workers
    limits = {"rpm": None, "tpm": None, "in_flight": None} if limits is None else {**limits, "in_flight": most}
    run.precis.configure(worker={"in_flight": run.case.in_flight}, models={"grok-4.3": {"limits": limits}})
    with run.precis.session() as session:
        session.execute(f"alter database \"{run.precis.name}\" set track_functions = 'all'")
    with run.precis.session() as session:
        database = measure.Database(session, run.precis.postgres.folder)
        fleet = [run.precis.start_worker(ready=False) for _ in range(workers)]
        wait_until("the workers to be in the group", lambda: session.value(
            "select count(*) from precis_data.workers") >= workers, timeout=60)
        before, began = database.cpu_seconds(), time.monotonic()
        count = "select count(*) from precis_data.outcomes"
        wait_until("the jobs to end", lambda: session.value(count) >= run.jobs, timeout=600, every=0.2)
        seconds = time.monotonic() - began
        cpu = sum(measure.cpu_seconds(worker.pid) for worker in fleet)
        postgres = database.cpu_seconds() - before
        rate = run.rate(session, "precis_data.outcomes")
    for worker in fleet:
        assert worker.terminate() == 0, worker.log()[-2000:]
    with run.precis.session() as session:
        asked, ms = session.rows("""select coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(total_time), 0)::float8 as ms
                                    from pg_stat_user_functions where funcname = 'quota_ask'""")[0].values()
        each = cpu_per_ask(session)
    run.precis.check_bill()
    return {"jobs_per_second": rate, "seconds": seconds, "worker_cpu_us_per_job": cpu / run.jobs * 1e6,
            "postgres_cpu_us_per_job": postgres / run.jobs * 1e6, "round_trips_per_job": asked / run.jobs,
            "quota_us_per_job": ms / run.jobs * 1000, "cpu_us_per_ask": each,
            "quota_cpu_us_per_job": each * asked / run.jobs}


def compare(make_run, workers, rounds):
    """{"with": [figures], "without": [figures], "at a limit": [figures]}; the first two in turns first. make_run(jobs)."""
    found = {"with": [], "without": [], "at a limit": []}
    for number in range(rounds):
        for how in ("with", "without") if number % 2 == 0 else ("without", "with"):
            with make_run(None) as run:
                found[how].append(figures(run, workers, UNBOUND if how == "with" else None))
    with make_run(BOUND_JOBS) as run:
        found["at a limit"].append(figures(run, workers, BOUND))
    return found


def throughput(found):
    """With the quota, of that without: the median of each round's own ratio."""
    return statistics.median(a["jobs_per_second"] / b["jobs_per_second"] for a, b in zip(found["with"], found["without"]))


# title, name, digits
ROWS = [("jobs a second", "jobs_per_second", 0), ("workers: CPU a job, us", "worker_cpu_us_per_job", 0),
        ("PostgreSQL: CPU a job, us", "postgres_cpu_us_per_job", 0),
        ("quota: round trips a call", "round_trips_per_job", 3),
        ("quota: PostgreSQL's CPU a round trip, us", "cpu_us_per_ask", 0),
        ("quota: PostgreSQL's CPU a call, us", "quota_cpu_us_per_job", 1)]


def print_comparison(found, workers, case):
    columns = ("without", "with", "at a limit")
    print(f"{workers} workers, {case}, medians of {len(found['with'])} rounds; a call a job. \"With\": a limit that never binds. "
          f"\"At a limit\": of {BOUND['rpm']:,} requests a minute.")
    print(f"{'':44}" + "".join(f"{how:>12}" for how in columns))
    for title, name, digits in ROWS:
        print(f"{title:44}" + "".join(f"{statistics.median(one[name] for one in found[how]):12,.{digits}f}" for how in columns))
    print(f"throughput with the quota: {throughput(found):.3f} of that without")
