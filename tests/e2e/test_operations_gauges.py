# SPDX-License-Identifier: Apache-2.0
"""What /metrics says of the whole fleet: use of limits, budgets, time to drain, workers that could be fed."""
from rig.common import wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8
USED = 'precis_quota_used_ratio{model="grok-4.3",dimension="requests"}'


def test_the_fleet_is_measured(precis):
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 120}}}, packing={"size": 1}, budget={"life": 100})
    precis.modelsim.script(latency="200ms")
    precis.send([precis.job(f"job-{n}", f"Contract {n}. {TEXT}") for n in range(300)])
    first = precis.start_worker()
    second = precis.start_worker()

    def measured():
        seen = [worker.metrics() for worker in (first, second)]
        assert all(USED in one and one[USED] > 0.3 for one in seen), seen[0].get(USED)
        assert all(one["precis_drain_seconds"] > 0 for one in seen)
        return seen

    for values in wait_until("the fleet to be measured", measured, timeout=60):
        assert values[USED] < 1.3
        # Some 250 are left at 2 a second; nobody has to be quicker than a minute behind.
        assert 30 < values["precis_drain_seconds"] < 160
        # 120 calls a minute of a fifth of a second feed one worker.
        assert values["precis_workers_wanted"] == 1
        assert 0.99 < values['precis_budget_left_ratio{scope="all"}'] <= 1
    precis.run("cancel", "--all")
