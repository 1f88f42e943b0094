# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and its checks hold; what it measures here is nobody's figure."""
import json
import os
import shutil
import subprocess

import pytest

from rig.common import BUILD, LONG, PATIENCE, ROOT, wait_until


def bench(*words, timeout=300):
    return subprocess.run([ROOT / "tests" / "bench" / "run", *map(str, words)], check=False, stdin=subprocess.DEVNULL,
                          env={**os.environ, "PRECIS_BUILD": str(BUILD)}, capture_output=True, text=True,
                          timeout=timeout * PATIENCE)


@pytest.mark.timeout(500)
def test_the_benchmark_runs_and_checks_its_jobs(case_dir):
    figures = case_dir / "figures.json"
    # The Go worker's modules come over the network, which is for the night.
    alone = [] if LONG and shutil.which("go") else ["--no-go"]
    done = bench("--jobs", 300, "--rounds", 1, "--case", "tls:100:50ms", "--case", "plain:100:50ms", *alone,
                 "--json", figures)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job done once; ledger = bill" in done.stdout
    rounds = json.loads(figures.read_text())["found"]
    assert set(rounds) == {"tls:100:50ms", "plain:100:50ms"}
    for case in rounds.values():
        assert len(case) == 1 and set(case[0]) == ({"precis"} if alone else {"precis", "go"})
        ours = case[0]["precis"]
        assert 1 <= ours["calls_at_once"] <= 100 and ours["start_to_first_claim_ms"] > 0
        for figures_of in case[0].values():
            for name in ("worker_cpu_us_per_job", "postgres_cpu_us_per_job", "peak_resident_mib", "jobs_per_second"):
                assert figures_of[name] > 0, name


@pytest.mark.timeout(300)
def test_the_quota_is_asked_seldom(case_dir):
    """Where no limit binds, a grant is for many calls: far fewer round trips than calls."""
    figures = case_dir / "figures.json"
    done = bench("--quota", "--workers", 2, "--jobs", 400, "--rounds", 1, "--case", "plain:200:50ms", "--json", figures)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(figures.read_text())["found"]
    assert "throughput with the quota" in done.stdout
    assert 0 < found["with"][0]["round_trips_per_job"] < 1, found
    assert found["without"][0]["round_trips_per_job"] < found["at a limit"][0]["round_trips_per_job"] < 3, found
    assert 0 < found["at a limit"][0]["cpu_us_per_ask"] < 20_000, found


@pytest.mark.parametrize("words,problem", [
    (["--jobs", "0"], "at least 1"),
    (["--case", "tls:many:200ms"], "a case is"),
    (["--case", "quic:10:0ms"], "a case is"),
])
def test_the_benchmark_refuses_what_it_cannot_run(words, problem):
    done = bench(*words, timeout=60)
    assert done.returncode == 2 and problem in done.stderr


@pytest.mark.modelsim("--canned")
def test_postgresql_looks_up_by_key(precis):
    """Not every row of a table for each group, in a database that nobody has analyzed yet."""
    precis.configure(worker={"in_flight": 500}, models={"grok-4.3": {"limits": {"in_flight": 500}}})
    names = [f"job-{number}" for number in range(1500)]
    precis.send([precis.job(name, f"The {name} ends in two years. It costs 300 dollars.") for name in names])
    worker = precis.start_worker()
    with precis.session() as session:
        # Not by the outcomes: this looking would be among what is counted below.
        wait_until("the jobs to end",
                   lambda: session.value("select count(*) from precis_data.summaries") == len(names), timeout=60)
    assert worker.terminate() == 0
    reads = precis.rows("""select i.relname, sum(i.idx_tup_read)::float8 / %s as by_key,
                                  max(t.seq_tup_read)::float8 / %s as in_turn
                           from pg_stat_user_indexes i join pg_stat_user_tables t using (relid)
                           where i.relname in ('jobs', 'claims', 'outcomes', 'outbox') group by 1""", len(names), len(names))
    by_key = {row["relname"]: row["by_key"] for row in reads}
    # 18, 8, 4 and 2; on a slow machine jobs wait, which is written and looks them up again.
    assert by_key["jobs"] <= 36 and by_key["claims"] <= 20, reads
    assert by_key["outcomes"] <= 6 and by_key["outbox"] <= 4, reads
    assert max(row["in_turn"] for row in reads) <= 1, reads


@pytest.mark.modelsim("--canned", "--latency", "200ms")
def test_parked_jobs_are_looked_up_by_key(precis):
    """A worker whose window is full parks the rest and takes it up in pieces: each costs its piece, and not all that is parked
    for every row of it."""
    precis.configure(worker={"in_flight": 100}, models={"grok-4.3": {"limits": {"in_flight": 40}}})
    names = [f"job-{number}" for number in range(1500)]
    precis.send([precis.job(name, f"The {name} ends in two years. It costs 300 dollars.", summarize={"pack": "never"})
                 for name in names])
    workers = [precis.start_worker() for _ in range(2)]
    with precis.session() as session:
        wait_until("the jobs to end",
                   lambda: session.value("select count(*) from precis_data.outcomes") == len(names), timeout=90)
    for worker in workers:
        assert worker.terminate() == 0
    reads = precis.rows("""select coalesce(sum(i.idx_tup_read), 0)::float8 / %s as a_job, max(t.n_tup_ins) as parked
                           from pg_stat_user_indexes i join pg_stat_user_tables t using (relid)
                           where i.relname = 'requeued'""", len(names))[0]
    assert reads["parked"] > 0, "nothing was parked; nothing was shown"
    assert reads["a_job"] <= 100, reads
