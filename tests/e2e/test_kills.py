# SPDX-License-Identifier: Apache-2.0
"""kill -9 of workers under load, at chosen points of the way of a job and at any moment."""
import hashlib
import random
import signal

import pytest

from rig.common import LONG, wait_until
from rig.promises import Promises

IN_FLIGHT = 6
SLOW = ("--latency", "100-200ms")
# A job that is hit again and again would rightly end as in_doubt; here each has to come to its end.
OFTEN = {"doubtful": 10}

# Each round two workers run, and each dies at its point; the number says at which passing.
ROUNDS = [("after_intent:3", "after_claim:4"), ("first_byte:3", "after_fetch:2"), ("parse:9", "last_byte:4"),
          ("before_send:3", "after_record:4"), ("before_record:3", "after_delivery:2"),
          ("before_store_offset:2", "after_bury:1")]
MORE_ROUNDS = [("after_intent:1", "after_claim:1"), ("first_byte:1", "after_fetch:5"), ("before_send:9", "last_byte:1"),
               ("before_record:12", "after_record:1"), ("before_store_offset:9", "after_delivery:9")]


def store_document(precis, text):
    sha = hashlib.sha256(text.encode()).hexdigest()
    with precis.session() as session:
        session.execute("""insert into precis_data.documents (sha256, text, size) values (%s, %s, %s)
                           on conflict do nothing""", sha, text, len(text.encode()))
    return sha


def send_some(precis, promises, tag, count=16):
    """Jobs of every sort: with their text, with a stored document, and one that is no job at all."""
    promises.send([f"{tag}-text-{n}" for n in range(count)])
    names = [f"{tag}-stored-{n}" for n in range(count // 2)]
    messages = []
    for name in names:
        sha = store_document(precis, f"{name} leases the hall. The rent is 900 dollars. It ends in May.")
        messages.append(precis.job(name, "", document={"stored": sha}))
    promises.places.update(zip(names, precis.send(messages)))
    precis.send([{"value": b'{"no": "job"', "key": f"{tag}-bad-{n}".encode()} for n in range(4)])


def die(precis, promises, victims, tag):
    """Sends jobs until each of the victims has come to its point."""
    sent = 0

    def all_dead():
        nonlocal sent
        if any(worker.running for worker in victims) and sent < 12:
            sent += 1
            send_some(precis, promises, f"{tag}-{sent}", 8)
        promises.offsets_hold()
        return not any(worker.running for worker in victims)

    wait_until("the workers to come to their points", all_dead, timeout=60, every=1)
    for worker in victims:
        assert worker.wait() == -signal.SIGKILL, worker.log()[-3000:]
        promises.died(worker)


def start_victim(precis, point):
    worker = precis.start_worker(env={"PRECIS_CRASH_AT": point}, ready=False)
    worker.may_crash = True
    return worker


@pytest.mark.timeout(600 if LONG else 300)
@pytest.mark.modelsim(*SLOW)
@pytest.mark.parametrize("rounds", [ROUNDS + MORE_ROUNDS if LONG else ROUNDS],
                         ids=lambda rounds: f"{2 * len(rounds)}_points")
def test_killed_at_each_point(precis, rounds):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": IN_FLIGHT}}}, retry=OFTEN)
    promises = Promises(precis)
    for number, points in enumerate(rounds):
        victims = [start_victim(precis, point) for point in points]
        send_some(precis, promises, f"round-{number}")
        die(precis, promises, victims, f"round-{number}")
    for _ in range(2):
        precis.start_worker()
    jobs = precis.wait_final(promises.places, timeout=120)
    assert {row["state"] for row in jobs.values()} == {"done"}
    promises.check()
    assert all(len(attempts) <= IN_FLIGHT for attempts in promises.under_way.values())
    bad = precis.rows("select error_code, count(*) as n, count(distinct (kafka_partition, kafka_offset)) as places"
                      " from precis.dead_letters group by 1")
    assert [row["error_code"] for row in bad] == ["bad_message"] and bad[0]["n"] == bad[0]["places"]


@pytest.mark.modelsim(*SLOW)
def test_killed_at_any_moment(precis):
    """Two workers, one of them killed from outside and replaced, again and again."""
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": IN_FLIGHT}}}, retry=OFTEN)
    chance = random.Random(3)
    promises = Promises(precis)
    workers = [precis.start_worker(), precis.start_worker()]
    for kill in range(6 if LONG else 2):
        promises.send([f"job-{kill}-{n}" for n in range(60)])
        until = len(promises.places) - chance.randrange(20, 55)
        wait_until("work under way", lambda: len(precis.rows("select 1 from precis.summaries")) >= until, every=0.02)
        victim = workers.pop(0)
        victim.kill()
        promises.died(victim)
        promises.offsets_hold()
        workers.append(precis.start_worker())
    jobs = precis.wait_final(promises.places, timeout=120)
    promises.check()
    assert {row["state"] for row in jobs.values()} == {"done"}
