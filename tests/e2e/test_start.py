# SPDX-License-Identifier: Apache-2.0
"""How a worker refuses to start."""
import json

import pytest

from rig.common import wait_until


@pytest.mark.unmigrated
def test_a_worker_refuses_a_database_without_the_schema(precis):
    done = precis.run("worker", check=False, timeout=30)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Run: precis migrate" in done.stderr
    precis.migrate()
    worker = precis.start_worker()
    assert worker.terminate() == 0


@pytest.mark.partitions(1)
def test_a_gap_stops_a_partition_until_it_is_accepted(precis):
    names = [f"job-{n}" for n in range(8)]
    jobs = [precis.job(name, f"{name}. The supplier delivers 12 machines. The fee is 40,000 dollars.") for name in names]
    precis.send(jobs[:2])
    first = precis.start_worker()
    precis.wait_final(names[:2])
    precis.wait_committed()
    assert first.terminate() == 0
    precis.send(jobs[2:6])
    precis.kafka.delete_before(precis.topics["jobs"], 5)

    stopped = precis.start_worker(ready=False)
    wait_until("its health to tell", lambda: any(line.get("event") == "partition_stopped" for line in stopped.log_lines()))
    status, text = stopped.get("/health")
    assert status == 503 and not json.loads(text)["checks"]["partitions"]["ok"]
    assert set(precis.jobs()) == set(names[:2])
    assert stopped.terminate() == 0

    on = precis.start_worker("--accept-gap")
    precis.wait_final(names[:2] + names[5:6])
    precis.send(jobs[6:])
    there = names[:2] + names[5:]
    precis.wait_final(there)
    precis.wait_committed()
    assert on.terminate() == 0
    precis.check_promises(there)
