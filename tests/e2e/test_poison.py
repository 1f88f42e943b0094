# SPDX-License-Identifier: Apache-2.0
"""A message that ends each worker that reads it stops after three of them; its neighbours go on (DESIGN, rule 6)."""
import signal

import pytest

from rig.common import wait_until
from rig.promises import Promises


@pytest.mark.partitions(1)
def test_poison(precis):
    """Three workers die at their second message; the fourth, which is well, finds it marked twice and leaves it unread."""
    promises = Promises(precis)
    promises.send(["first"])
    poison = b'{"id": "poison", "kind": "summarize", "document": {"text": "SECRET BODY"}}'
    (place,) = precis.send([{"value": poison, "key": b"default/default/poison"}])
    promises.send(["third", "fourth"])
    for _ in range(3):
        victim = precis.start_worker(env={"PRECIS_CRASH_AT": "parse:2"}, ready=False)
        victim.may_crash = True
        wait_until("the worker to die of it", lambda worker=victim: not worker.running, timeout=60)
        assert victim.wait() == -signal.SIGKILL, victim.log()[-3000:]
        promises.died(victim)
        assert not precis.rows("select 1 from precis.dead_letters"), "buried too early"
    well = precis.start_worker()
    jobs = precis.wait_final(promises.places, timeout=60)
    assert {row["state"] for row in jobs.values()} == {"done"}
    promises.check()
    (letter,) = precis.rows("select * from precis.dead_letters")
    assert (letter["error_code"], letter["kafka_partition"], letter["kafka_offset"]) == ("poison", *place)
    assert bytes(letter["value"]) == poison
    assert "poison" not in jobs
    wait_until("the dead letter on its topic", lambda: "poison" in promises.letters().values())
    assert "SECRET BODY" not in well.log()
    # Left in good order, the partition is trusted again: no row says otherwise.
    assert well.terminate() == 0
    assert precis.rows("select clean from precis_data.partitions") == [{"clean": True}]
