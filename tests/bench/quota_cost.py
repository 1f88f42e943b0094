# SPDX-License-Identifier: Apache-2.0
"""What the fleet's quota costs: the same jobs by the same workers, with limits that never bind and with none."""
import statistics
import time

import measure
from rig.common import wait_until

# Far above what any machine does, so that only the asking costs.
LIMITS = {"rpm": 100_000_000, "tpm": 1_000_000_000}


def figures(run, workers, with_quota):
    """Of one run: jobs a second, CPU of the workers and of PostgreSQL a job, and how often the quota was asked."""
    limits = {**LIMITS, "in_flight": run.case.in_flight * workers} if with_quota else {"rpm": None, "tpm": None, "in_flight": None}
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
        rate = run._rate(session, "precis_data.outcomes")
    for worker in fleet:
        assert worker.terminate() == 0, worker.log()[-2000:]
    with run.precis.session() as session:
        asked = session.rows("""select coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(total_time), 0)::float8 as ms
                                from pg_stat_user_functions where funcname = 'quota_ask'""")[0]
    run.precis.check_bill()
    return {"jobs_per_second": rate, "seconds": seconds, "worker_cpu_us_per_job": cpu / run.jobs * 1e6,
            "postgres_cpu_us_per_job": postgres / run.jobs * 1e6, "round_trips_per_job": asked["calls"] / run.jobs,
            "quota_us_per_job": asked["ms"] / run.jobs * 1000}


def compare(make_run, workers, rounds):
    """{"with": [figures], "without": [figures]}, in turns first."""
    found = {"with": [], "without": []}
    for number in range(rounds):
        for how in ("with", "without") if number % 2 == 0 else ("without", "with"):
            with make_run() as run:
                found[how].append(figures(run, workers, how == "with"))
    return found


ROWS = [("jobs a second", "jobs_per_second", 0), ("workers: CPU a job, us", "worker_cpu_us_per_job", 0),
        ("PostgreSQL: CPU a job, us", "postgres_cpu_us_per_job", 0), ("quota asked, times a job", "round_trips_per_job", 3),
        ("  of it in PostgreSQL's function, us a job", "quota_us_per_job", 1)]


def print_comparison(found, workers, case):
    print(f"{workers} workers, {case}, medians of {len(found['with'])} rounds")
    print(f"{'':44}{'with quota':>12}{'without':>12}")
    for title, name, digits in ROWS:
        values = [statistics.median(one[name] for one in found[how]) for how in ("with", "without")]
        print(f"{title:44}" + "".join(f"{value:12.{digits}f}" for value in values))
    ratio = statistics.median(a["jobs_per_second"] / b["jobs_per_second"] for a, b in zip(found["with"], found["without"]))
    print(f"throughput with the quota: {ratio:.3f} of that without")
