# SPDX-License-Identifier: Apache-2.0
"""Kafka and PostgreSQL go away under load and come back. Work goes on by itself, and nothing is paid twice."""
import json
import time

import pytest

from rig.common import LONG, wait_until
from rig.promises import Promises

SLOW = ("--latency", "100-300ms")


def some_summaries(precis, more_than):
    wait_until("work under way", lambda: len(precis.rows("select 1 from precis.summaries")) > more_than)


def checks_of(worker):
    return json.loads(worker.get("/health")[1])["checks"]


def wait_away(workers, what):
    for worker in workers:
        wait_until(f"{worker.name} to see that {what} is away", lambda: not checks_of(worker)[what]["ok"])


def calls(precis):
    return precis.modelsim.bill()["calls"]


def start_two(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 4}}})
    return [precis.start_worker(), precis.start_worker()]


def check_nothing_twice(precis, promises):
    precis.wait_final(promises.places, timeout=120)
    promises.check()
    assert {row["state"] for row in promises.jobs.values()} == {"done"}
    assert len(promises.calls) == len(promises.places), "a call was bought again"
    # An intent that came back too late to be sent (its lease had gone meanwhile) is "cancelled", and never left.
    wrong = {name: row["outcome"] for name, row in promises.attempts.items()
             if row["outcome"] != ("ok" if name in promises.calls else "cancelled")}
    assert not wrong, wrong


@pytest.mark.modelsim(*SLOW)
@pytest.mark.parametrize("way", ["stop", "kill"] if LONG else ["stop"])
def test_kafka_away(precis, way):
    workers = start_two(precis)
    promises = Promises(precis)
    promises.send([f"before-{n}" for n in range(120)])
    some_summaries(precis, 20)
    getattr(precis.kafka, way)()
    # What was claimed is finished and recorded without Kafka.
    wait_until("claimed jobs to end", lambda: not precis.rows(
        "select 1 from precis.jobs where state not in ('done', 'failed', 'cancelled')"), timeout=60)
    wait_away(workers, "kafka")
    precis.kafka.start()
    promises.send([f"after-{n}" for n in range(40)])
    check_nothing_twice(precis, promises)
    wait_until("both workers to be ready again", lambda: all(worker.is_ready() for worker in workers))


@pytest.mark.modelsim(*SLOW)
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_away(precis, mode):
    workers = start_two(precis)
    promises = Promises(precis)
    promises.send([f"before-{n}" for n in range(150)])
    some_summaries(precis, 20)
    precis.postgres.stop(mode)
    wait_away(workers, "database")
    wait_until("the calls under way to end", lambda: all(call["outcome"] != "pending" for call in calls(precis)))
    paid = len(calls(precis))
    assert paid < 150, "everything was paid before the outage began"
    promises.send([f"while-{n}" for n in range(40)])
    since = time.monotonic()
    wait_until("ten seconds", lambda: time.monotonic() - since > 10)
    assert len(calls(precis)) == paid, "something new was bought while nobody could write it down"
    assert all(worker.get("/health/live")[0] == 200 for worker in workers)
    precis.postgres.start()
    check_nothing_twice(precis, promises)


@pytest.mark.modelsim(*SLOW)
def test_sessions_ended_by_the_administrator(precis):
    workers = start_two(precis)
    promises = Promises(precis)
    promises.send([f"job-{n}" for n in range(120)])
    for done in (5, 25, 45, 65, 85, 105):
        some_summaries(precis, done)
        precis.rows("""select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and application_name like 'precis:%'""")
    check_nothing_twice(precis, promises)
    for worker in workers:
        assert len([line for line in worker.log_lines() if line.get("event") == "store_lost"]) >= 6
