# SPDX-License-Identifier: Apache-2.0
"""Budgets are walls: for any number of workers and whatever dies, never a cent over, and nearly all of it used."""
import decimal
import os
import signal
import time

import pytest

from rig.common import wait_until

WORKERS = 4 if os.environ.get("PRECIS_LONG") else 2


def text_of(number):
    """A letter of some 2,500 bytes, not two of the same length."""
    clause = (f"Clause {{}} of letter {number}. The supplier delivers {number + 3} machines by 1 March 2027; the buyer pays "
              f"{number * 100 + 4000} dollars within thirty days of delivery. ")
    return "".join(clause.format(n + 1) for n in range(15 + number % 7))


def submit(precis, tenant, names, **members):
    precis.send([precis.job(name, text_of(n), tenant=tenant, **members) for n, name in enumerate(names)])


def spent(precis, tenant):
    """What the ledger has of a tenant, with what may have been spent."""
    return precis.rows("select coalesce(sum(cost_usd), 0) as cost, coalesce(sum(at_most_usd), 0) as at_most"
                       " from precis.costs where tenant = %s", tenant)[0]


def billed(precis):
    return decimal.Decimal(precis.modelsim.bill()["cost_usd"])


def mean_cost(precis, jobs=20):
    """Of one of these jobs: some are paid for by another tenant."""
    names = [f"sample-{n}" for n in range(jobs)]
    submit(precis, "sample", names)
    precis.wait_final(names)
    return billed(precis) / jobs


def set_budget(precis, *words):
    precis.run("budget", "set", *words)


def shown(precis):
    return {(row["scope"], row["name"], row["period"]): row for row in precis.json("budget")}


def states(precis, tenant):
    rows = precis.rows("select coalesce(waiting_for, state) as state, count(*) from precis.jobs where tenant = %s"
                       " group by 1", tenant)
    return {row["state"]: row["count"] for row in rows}


def all_at_the_wall(precis, tenant, jobs):
    """Nothing is under way any more, and what is not done waits for money."""
    seen = states(precis, tenant)
    assert set(seen) <= {"done", "budget"} and sum(seen.values()) == jobs, seen
    return seen


@pytest.mark.modelsim("--latency", "50-250ms")
def test_a_budget_for_50_of_200_jobs(precis):
    for _ in range(WORKERS):
        precis.start_worker()
    one = mean_cost(precis)
    before = billed(precis)
    budget = (one * 50).quantize(decimal.Decimal("0.000001"))
    set_budget(precis, "--tenant", "legal", "--month", str(budget))
    names = [f"legal-{n}" for n in range(200)]
    submit(precis, "legal", names)
    seen = wait_until("the money to be spent", lambda: all_at_the_wall(precis, "legal", 200), 120, every=0.5)
    time.sleep(3)  # they go on asking
    used = billed(precis) - before
    ledger = spent(precis, "legal")
    print(f"{used / budget:.1%} of the budget used by {WORKERS} workers: {seen}")
    assert used <= budget and ledger["cost"] + ledger["at_most"] <= budget, (used, ledger, budget)
    assert used >= budget * decimal.Decimal("0.9"), f"{used} of {budget} used, {seen}"
    row = shown(precis)["tenant", "legal", "month"]
    assert decimal.Decimal(str(row["spent_usd"])) == ledger["cost"] == used
    assert row["at_wall"] == "wait" and row["set_by"] == "command" and row["reserved_usd"] == 0
    # More money: they go on within seconds, and the rest of the jobs ends.
    set_budget(precis, "--tenant", "legal", "--month", str(budget * 5))
    precis.wait_final(names)
    for worker in precis.workers:
        worker.terminate()
    precis.check_promises(names)


@pytest.mark.modelsim("--latency", "50-250ms", "--model", "grok-4.3:in=0.00025,cached=0.00006,out=0.001,factor=2.2")
def test_a_provider_that_counts_more_tokens_than_we_do(precis):
    """Twice what was estimated: the wall stands from the first call on, before anything could be learned."""
    for _ in range(2):
        precis.start_worker()
    budget = decimal.Decimal("0.025")
    set_budget(precis, "--tenant", "legal", "--life", str(budget))
    names = [f"counted-{n}" for n in range(120)]
    submit(precis, "legal", names)
    wait_until("the money to be spent", lambda: all_at_the_wall(precis, "legal", 120), 120, every=0.5)
    used = billed(precis)
    rows = precis.rows("select input_tokens from precis.costs where tenant = 'legal' and outcome = 'ok'")
    print(f"{used / budget:.1%} of the budget used, {len(rows)} calls, {max(row['input_tokens'] for row in rows)} input tokens")
    assert used <= budget, (used, budget)
    assert used >= budget * decimal.Decimal("0.8"), (used, budget)
    for worker in precis.workers:
        worker.terminate()
    precis.check_bill()


@pytest.mark.modelsim("--latency", "100-400ms", "--fault", "die_mid_body:0.03")
def test_workers_that_die_spend_no_more(precis):
    """A call whose worker was killed keeps its money: it may have been paid."""
    for _ in range(2):
        precis.start_worker()
    one = mean_cost(precis, 10)
    before = billed(precis)
    budget = (one * 30).quantize(decimal.Decimal("0.000001"))
    set_budget(precis, "--key", "sim", "--life", str(before + budget))
    names = [f"killed-{n}" for n in range(120)]
    submit(precis, "legal", names)
    for _ in range(2):
        wait_until("some calls", lambda: billed(precis) > before)
        victim = next(worker for worker in precis.workers if worker.running)
        victim.kill()
        precis.start_worker()
    wait_until("the money to be spent", lambda: set(states(precis, "legal")) <= {"done", "budget", "failed"}, 120, every=0.5)
    row = shown(precis)["key", "sim/sim", "life"]
    assert billed(precis) <= before + budget, (billed(precis), before + budget)
    taken = sum(decimal.Decimal(str(row[name])) for name in ("spent_usd", "reserved_usd", "in_doubt_usd"))
    assert billed(precis) <= taken <= before + budget
    # The triggers' sum is the ledger's.
    ledger = precis.rows("select coalesce(sum(coalesce(cost_usd, at_most_usd)), 0) as all from precis.costs")[0]
    assert taken == ledger["all"]
    set_budget(precis, "--key", "sim", "--life", "none")
    precis.wait_final(names, 90)
    for worker in precis.workers:
        if worker.running:
            worker.terminate()
    precis.check_bill()


def test_what_happens_at_the_wall(precis):
    precis.configure(routes={"two": ["claude-opus-4.8", "grok-4.3"]},
                     tenants={"strict": {"budget": {"life": 0, "at_wall": "fail"}},
                              "thrifty": {"budget": {"day": 0.02, "at_wall": "cheaper"}}})
    precis.start_worker()
    submit(precis, "strict", ["strict-1"])
    failed = precis.wait_final(["strict-1"])["strict-1"]
    assert failed["state"] == "failed" and failed["error_code"] == "over_budget" and failed["cost_usd"] == 0
    assert "budget of 0 USD (tenant strict, life)" in failed["error"]
    # One call of the dear model may fit, the cheap one goes on where it does not.
    names = [f"thrifty-{n}" for n in range(4)]
    submit(precis, "thrifty", names, summarize={"model": "two"})
    precis.wait_final(names)
    models = {row["model"] for row in precis.rows("select model from precis.costs where tenant = 'thrifty'")}
    assert "grok-4.3" in models, models
    why = precis.rows("select distinct p.why from precis_data.plans p join precis_data.jobs j using (job_no)"
                      " where j.tenant = 'thrifty' and p.model = 'grok-4.3'")
    assert all("budget" in row["why"] for row in why), why
    rows = shown(precis)
    assert rows["tenant", "strict", "life"]["set_by"] == "configuration"
    assert rows["tenant", "thrifty", "day"]["left_usd"] >= 0


def test_workers_of_different_configurations(precis):
    """A rolling deploy: the lowest of the live workers' budgets holds, nobody overwrites another's, and the user is told."""
    tenants = {"legal": {"budget": {"month": 3, "life": 40}}}
    old = precis.start_worker(tenants=tenants)
    new = precis.start_worker(tenants={"legal": {"budget": {"month": 5, "at_wall": "fail"}}, "sales": {"budget": {"day": 1}}})

    def limits():
        return {key[1:]: (row["limit_usd"], row["at_wall"]) for key, row in shown(precis).items()}

    def changed():
        return precis.rows("select max(changed_at) as at from precis.budgets")[0]["at"]

    both = {("legal", "month"): (3, "wait"), ("legal", "life"): (40, "wait"), ("sales", "day"): (1, "wait")}
    wait_until("both to have told", lambda: limits() == both)
    precis.start_worker(tenants=tenants).terminate()
    before = changed()
    text = precis.run("budget", "show").stdout
    assert "Workers differ on tenant legal, month: 3 USD, wait (" in text and "5 USD, fail (" in text, text
    assert "The lowest limit holds." in text and "sales, day: 1 USD, wait (" in text and "none (" in text, text
    done = precis.run("doctor", check=False).stdout
    told = " ".join(done.split())
    assert "live workers differ on tenant legal, month: 3 USD, wait" in told and "give all workers one configuration" in told, done
    assert changed() == before and limits() == both
    # What a command says comes before them, and goes back to the lowest.
    set_budget(precis, "--tenant", "legal", "--month", "7")
    assert "legal, month" not in precis.run("budget", "show").stdout
    assert limits()["legal", "month"] == (7, "wait")
    set_budget(precis, "--tenant", "legal", "--month", "default")
    assert limits()["legal", "month"] == (3, "wait")
    # HUP with the new file: they agree, and what nobody wants any more is gone.
    path = precis.folder / f"{old.name}.yaml"
    path.write_text((precis.folder / f"{new.name}.yaml").read_text())
    old.signal(signal.SIGHUP)
    agreed = {("legal", "month"): (5, "fail"), ("sales", "day"): (1, "wait")}
    wait_until("the old one to have the new budgets", lambda: limits() == agreed)
    assert "Workers differ" not in precis.run("budget", "show").stdout
    assert "workers differ" not in precis.run("doctor", check=False).stdout
    # A worker that dies takes what it wanted with it, once its lease has ended.
    lower = precis.start_worker(tenants={"legal": {"budget": {"month": 2}}})
    wait_until("the lower one to hold", lambda: limits()["legal", "month"] == (2, "wait"))
    lower.kill()
    wait_until("its lease to end", lambda: limits() == agreed, 90, every=0.5)


def test_the_command(precis):
    def refused(*words):
        done = precis.run("budget", *words, check=False)
        assert done.returncode == 2, done
        return done.stderr

    assert "There are no budgets" in precis.run("budget").stdout
    assert "whose budget?" in refused("set", "--day", "5")
    assert "how much?" in refused("set", "--tenant", "a")
    assert "--day takes an amount" in refused("set", "--tenant", "a", "--day", "much")
    assert "no key `x` is configured. Known: sim/sim" in refused("set", "--key", "x", "--day", "5")
    assert "no provider `x` is configured" in refused("set", "--provider", "x", "--day", "5")
    precis.run("budget", "set", "--tenant", "a", "--day", "5", "--life", "300", "--at-wall", "fail")
    precis.run("budget", "set", "--all", "--month", "0.50")
    text = precis.run("budget", "show").stdout
    assert "tenant a" in text and "fail" in text and "command" in text, text
    rows = shown(precis)
    assert rows["tenant", "a", "life"]["limit_usd"] == 300 and rows["tenant", "a", "life"]["ends_at"] is None
    assert rows["all", "", "month"]["limit_usd"] == 0.5 and rows["all", "", "month"]["at_wall"] == "wait"
    precis.run("budget", "set", "--tenant", "a", "--at-wall", "cheaper")
    precis.run("budget", "set", "--tenant", "a", "--day", "none", "--life", "default")
    rows = shown(precis)
    assert rows["tenant", "a", "day"]["limit_usd"] is None and rows["tenant", "a", "day"]["at_wall"] == "cheaper"
    assert ("tenant", "a", "life") not in rows
    nothing = precis.run("budget", "set", "--tenant", "b", "--at-wall", "fail", check=False)
    assert nothing.returncode == 1 and "has no budget yet" in nothing.stderr
