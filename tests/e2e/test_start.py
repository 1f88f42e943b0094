# SPDX-License-Identifier: Apache-2.0
"""How a worker refuses to start."""
import pytest


@pytest.mark.unmigrated
def test_a_worker_refuses_a_database_without_the_schema(precis):
    done = precis.run("worker", check=False, timeout=30)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Run: precis migrate" in done.stderr
    precis.migrate()
    worker = precis.start_worker()
    assert worker.terminate() == 0
