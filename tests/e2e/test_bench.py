# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and its checks hold; what it measures here is nobody's figure."""
import json
import os
import subprocess

import pytest

from rig.common import BUILD, PATIENCE, ROOT


@pytest.mark.timeout(400)
def test_the_benchmark_runs_and_checks_its_jobs(case_dir):
    figures = case_dir / "figures.json"
    done = subprocess.run([ROOT / "tests" / "bench" / "run", "--jobs", "300", "--in-flight", "100", "--latency", "50ms",
                           "--json", figures], env={**os.environ, "PRECIS_BUILD": str(BUILD)}, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job done once; ledger = bill" in done.stdout
    found = json.loads(figures.read_text())
    assert found["jobs"] == 300 and 1 <= found["calls_at_once"] <= 100
    assert found["worker_cpu_us_per_job"] > 0 and found["postgres_cpu_us_per_job"] > 0
    assert 0 < found["start_to_first_claim_ms"] and found["peak_resident_mib"] > 1


def test_the_benchmark_refuses_what_it_cannot_run():
    done = subprocess.run([ROOT / "tests" / "bench" / "run", "--jobs", "0"], check=False, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60 * PATIENCE)
    assert done.returncode == 2 and "at least 1" in done.stderr
