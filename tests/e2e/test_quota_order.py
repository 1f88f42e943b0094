# SPDX-License-Identifier: Apache-2.0
"""A small tenant beside a large one, where a limit on requests and tokens is what both want."""
import pytest

from rig.common import wait_until
from rig.meter import Meter, contract, long_or

RPM, TPM = 1200, 400_000
LIMITS = ("--rpm", str(RPM), "--tpm", str(TPM), "--burst-seconds", "2", "--latency", "100-300ms")
SMALL = long_or(40, 100)
LARGE = long_or(6_000, 100_000)
WINDOW_MS = long_or(8_000, 30_000)


def send(precis, tenant, count, sentences, **members):
    names = [f"{tenant}-{number}" for number in range(count)]
    precis.send([precis.job(name, contract(name, sentences), tenant=tenant, **members) for name in names])
    return names


def seconds_of(precis, names):
    """From the moment that the first of these was claimed to the last outcome."""
    row = precis.rows("""select extract(epoch from max(o.finished_at) - min(j.first_claimed_at))::float8 as seconds
                         from precis_data.jobs j join precis_data.outcomes o using (job_no)
                         where j.id = any(%s)""", names)[0]
    return row["seconds"]


@pytest.mark.partitions(8)
@pytest.mark.modelsim(*LIMITS)
@pytest.mark.timeout(900)
def test_a_small_tenant_is_not_starved(precis):
    """B, with few short jobs, beside A, with many long ones: less than twice the time that it takes alone. And A loses
    little: with B's tokens it has beside B what it had just before, alone."""
    precis.configure(worker={"drain_timeout": "3s"}, models={"grok-4.3": {"limits": {"rpm": RPM, "tpm": TPM}}})
    workers = [precis.start_worker() for _ in range(2)]
    first = send(precis, "alone", SMALL, 2)
    precis.wait_final(first, timeout=60)
    alone = seconds_of(precis, first)
    send(precis, "large", LARGE, 20)
    meter = Meter(precis.modelsim, RPM, TPM)
    wait_until("the large tenant to be at work", lambda: len(precis.rows(
        "select 1 from precis.costs where tenant = 'large' limit 60")) == 60, timeout=60)
    # Read to the end: how fast a crowd is parked is another question (test_order.py).
    sent = meter.now()
    wait_until("the large tenant's jobs to be known", lambda: precis.rows(
        "select total from precis.batches where tenant = 'large'")[0]["total"] == LARGE, timeout=240, every=0.5)
    print(f"{LARGE} jobs known after {(meter.now() - sent) / 1000:.0f} s")
    alone_from = meter.now()
    start = meter.wait(alone_from + WINDOW_MS, workers)
    second = send(precis, "small", SMALL, 2)
    precis.wait_final(second, timeout=120)
    beside = seconds_of(precis, second)
    end = meter.wait(start + WINDOW_MS, workers)
    for worker in workers:
        worker.terminate()
    share = meter.read().share(start, end)
    before, during = meter.tokens_by_tenant(alone_from, start), meter.tokens_by_tenant(start, end)
    loss = 1 - (during["large"] + during["small"]) / before["large"]
    print(f"the large tenant had {before['large']} tokens alone, then {during['large']} beside {during['small']}: "
          f"loses {loss:.1%}")
    print(f"{alone:.1f} s alone, {beside:.1f} s beside the large tenant; {share:.3f} of the limit used meanwhile")
    # An idle fleet gives a few seconds' worth at once; less than that says nothing.
    assert beside < long_or(3, 2) * max(alone, 3.0), f"{beside:.1f} s beside the large tenant, {alone:.1f} s alone"
    assert "small" not in before
    assert loss < long_or(0.15, 0.05), (before, during)
    assert share >= long_or(0.85, 0.95), meter.by_second(start, end)
