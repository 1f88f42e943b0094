# SPDX-License-Identifier: Apache-2.0
"""Who goes next: an urgent job behind a crowd, tenants, and batches that wait for others."""
import time

import pytest

from rig.common import LONG, wait_until

CROWD = 100_000 if LONG else 2_000
TEXT = "The buyer pays 100 dollars a month. The term is two years. Either party may end it in May."
SLOW = ("--latency", "200-300ms")


def few_at_once(precis, calls=4, window=40):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": calls}}}, worker={"in_flight": window})


def state_of(precis, batch, name):
    """By its whole name: looking through a crowd for it would take more of PostgreSQL than reading the crowd does."""
    found = precis.rows("""select state from precis.jobs where tenant = 'default' and batch = %s and job_id = %s""", batch, name)
    return found[0]["state"] if found else None


def counts(precis, batch):
    return precis.rows("""select total, queued, waiting, running, done, failed, cancelled from precis.batches
                          where batch = %s""", batch)[0]


@pytest.mark.timeout(900 if LONG else 240)
@pytest.mark.partitions(1)
@pytest.mark.modelsim(*SLOW)
def test_an_urgent_job_behind_a_crowd_in_its_partition(precis):
    few_at_once(precis)
    precis.send([precis.job(f"bulk-{n}", f"{n}: {TEXT}", batch="bulk", priority=3) for n in range(CROWD)])
    precis.start_worker()
    wait_until("work to go on", lambda: counts(precis, "bulk")["done"] > 0, timeout=60)
    precis.send([precis.job("urgent", TEXT, batch="now", priority=9)])
    sent = time.monotonic()
    wait_until("the urgent job to be done", lambda: state_of(precis, "now", "urgent") == "done", timeout=120 if LONG else 15)
    took = time.monotonic() - sent
    bulk = counts(precis, "bulk")
    print(f"{CROWD} lay before it; done {took:.1f} s after it was sent, when {bulk['done']} of them were")
    assert bulk["done"] < CROWD / 2, "it should have overtaken them"
    wait_until("the crowd to be read", lambda: counts(precis, "bulk")["total"] == CROWD,
               timeout=120 if LONG else 30)
    precis.run("cancel", "--batch", "default/bulk", timeout=120)
    wait_until("the crowd to be ended", lambda: sum(counts(precis, "bulk")[state] for state in
                                                    ("done", "cancelled")) == CROWD, timeout=300 if LONG else 60)
    bulk = counts(precis, "bulk")
    assert sum(bulk[state] for state in bulk if state != "total") == bulk["total"] == CROWD
    precis.wait_committed()
    precis.check_bill()


@pytest.mark.timeout(240)
@pytest.mark.partitions(1)
@pytest.mark.modelsim(*SLOW)
def test_a_small_tenant_beside_a_large_one(precis):
    """B has 30 short jobs, A has hundreds of long ones before them: B ends in less than twice its time alone."""
    few_at_once(precis)
    long_text = " ".join(f"{n}. {TEXT}" for n in range(150))
    alone = [f"alone-{n}" for n in range(30)]
    worker = precis.start_worker()
    began = time.monotonic()
    precis.send([precis.job(name, f"{name}: {TEXT}", tenant="b") for name in alone])
    precis.wait_final(alone)
    time_alone = time.monotonic() - began
    large = [precis.job(f"a-{n}", f"{n}: {long_text}", tenant="a", batch="large") for n in range(600)]
    precis.send(large)
    wait_until("a's work to go on", lambda: counts(precis, "large")["done"] > 3, timeout=60)
    beside = [f"beside-{n}" for n in range(30)]
    began = time.monotonic()
    precis.send([precis.job(name, f"{name}: {TEXT}", tenant="b") for name in beside])
    precis.wait_final(beside)
    time_beside = time.monotonic() - began
    done = counts(precis, "large")["done"]
    print(f"b alone {time_alone:.1f} s, beside a {time_beside:.1f} s; a had {done} of 600 done by then")
    assert done < 600
    # The first of them has to be read, parked and taken up: a second each at most.
    assert time_beside < 2 * time_alone + 3
    worker.kill()
    precis.check_bill()


@pytest.mark.timeout(180)
def test_a_batch_that_waits_for_another(precis):
    precis.start_worker()
    later = [f"later-{n}" for n in range(5)]
    precis.send([precis.job(name, f"{name}: {TEXT}", batch="second", after={"batch": "first"}) for name in later])
    wait_until("them to be parked", lambda: counts(precis, "second")["waiting"] == 5)
    precis.wait_committed()
    assert {row["waiting_for"] for row in precis.jobs().values()} == {"batch"}
    first = [f"first-{n}" for n in range(5)]
    precis.send([precis.job(name, f"{name}: {TEXT}", batch="first") for name in first])
    precis.wait_final(first)
    time.sleep(3)
    assert counts(precis, "second")["waiting"] == 5, "the first batch is open"
    precis.send([{"key": b"default/first", "value": b'{"v": 1, "kind": "seal", "batch": "first", "total": 5}'}])
    precis.wait_final(later, timeout=30)
    precis.check_promises(first + later)


@pytest.mark.timeout(180)
@pytest.mark.modelsim(*SLOW)
def test_priorities_and_deadlines_within_a_window(precis):
    few_at_once(precis, calls=1, window=100)
    worker = precis.start_worker()
    precis.run("pause", "--all", check=False)
    with precis.session() as session:
        session.execute("insert into precis_data.pauses (scope) values ('all') on conflict do nothing")
    time.sleep(1.5)
    ways = {"p3": {"priority": 3}, "p9": {"priority": 9}, "late": {"deadline": "2031-01-01T00:00:00Z"},
            "soon": {"deadline": "2030-01-01T00:00:00Z"}, "plain": {}}
    precis.send([precis.job(name, f"{name}: {TEXT}", **way) for name, way in ways.items()])
    wait_until("them to wait", lambda: {row["waiting_for"] for row in precis.jobs().values()} == {"paused"}
               and len(precis.jobs()) == 5)
    with precis.session() as session:
        session.execute("delete from precis_data.pauses")
    precis.wait_final(list(ways))
    started = precis.rows("select job_id from precis.jobs order by started_at")
    assert [row["job_id"] for row in started] == ["p9", "soon", "late", "plain", "p3"]
    assert worker.running
    precis.check_promises(list(ways))


@pytest.mark.timeout(240)
@pytest.mark.modelsim("--latency", "20-40ms")
def test_topics_are_read_by_their_weights(precis):
    """Nothing may be parked here, so that what is read is what runs. A thousand of one topic may come at first, before
    the other is read at all: that one catches up, so there are enough for three times as many."""
    urgent = precis.topics["jobs"] + ".urgent"
    precis.kafka.create_topic(urgent, 4)
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 8}}},
                     worker={"in_flight": 300, "park": {"rows": 0}},
                     kafka={"topics": {**precis.topics, "jobs": [{"name": urgent, "weight": 3},
                                                                 {"name": precis.topics["jobs"]}]}})
    precis.kafka.produce(urgent, [precis.job(f"urgent-{n}", f"urgent {n}: {TEXT}", batch="urgent")
                                  for n in range(6000)])
    precis.send([precis.job(f"plain-{n}", f"plain {n}: {TEXT}", batch="plain") for n in range(3000)])
    worker = precis.start_worker()

    def done():
        rows = precis.rows("select batch, done from precis.batches")
        found = {row["batch"]: row["done"] for row in rows}
        return found if len(found) == 2 else {"urgent": 0, "plain": 0}

    wait_until("a part to be done", lambda: sum(done().values()) >= 4800, timeout=120, every=0.5)
    found = done()
    worker.kill()
    share = found["urgent"] / sum(found.values())
    print(f"weights 3 and 1: {found}: {share:.2f}")
    assert 0.58 < share < 0.85  # without weights it is a half
