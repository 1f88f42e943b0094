# SPDX-License-Identifier: Apache-2.0
"""Jobs that ask the same are paid once: over workers, through kills, and not where a fresh answer is wanted."""
import collections
import json
import random

import pytest

from rig.common import LONG, wait_until
from rig.promises import Promises

TEXT = "Lease {}. Northwind rents the hall from Contoso. The rent is 900 dollars a month. It ends on 1 May 2027. "
JOBS, WORKERS = (10000, 8) if LONG else (400, 2)


def paid(precis):
    """job_id -> how many of its calls the provider has answered and billed."""
    calls = collections.Counter()
    for call in precis.modelsim.bill()["calls"]:
        if call["billed"]:
            calls[call["id"].split("/")[2]] += 1
    return calls


def some_twins(count, share=0.3):
    """Names with the number of their document: so many have the document of another one."""
    chance = random.Random(20261122)
    distinct = count - int(count * share)
    numbers = list(range(distinct)) + [chance.randrange(distinct) for _ in range(count - distinct)]
    chance.shuffle(numbers)
    return {f"job-{place}": number for place, number in enumerate(numbers)}


def leaders(precis, documents):
    """document -> the job that its answer was bought for."""
    found = collections.defaultdict(list)
    for row in precis.rows("select job_id, cached_from, cost_usd from precis.summaries"):
        if row["cached_from"] is None:
            found[documents[row["job_id"]]].append(row["job_id"])
        else:
            assert row["cost_usd"] == 0, row
    return found


@pytest.mark.timeout(1800 if LONG else 240)
@pytest.mark.modelsim("--latency", "20-200ms")
def test_twins_are_paid_once(precis):
    documents = some_twins(JOBS)
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 50}}})
    for _ in range(WORKERS):
        precis.start_worker()
    precis.send([precis.job(name, TEXT.format(number) * 4) for name, number in documents.items()])
    jobs = precis.wait_final(documents, timeout=1200 if LONG else 120)
    assert {job["state"] for job in jobs.values()} == {"done"}
    precis.wait_committed()
    found = leaders(precis, documents)
    distinct = set(documents.values())
    assert set(found) == distinct and all(len(names) == 1 for names in found.values())
    assert len(precis.modelsim.bill()["calls"]) == len(distinct)
    precis.check_promises(documents)
    rows = precis.rows("""select s.job_id, s.summary, s.output::text as output, s.cached_from, s.document_sha256,
        (select count(*) from precis.citations c where c.job_id = s.job_id) as quotes from precis.summaries s""")
    by_name = {row["job_id"]: row for row in rows}
    for name, number in documents.items():
        own, of = by_name[name], by_name[found[number][0]]
        assert own["cached_from"] in (None, f"default/default/{of['job_id']}")
        assert [own[column] for column in ("summary", "output", "document_sha256", "quotes")] == \
            [of[column] for column in ("summary", "output", "document_sha256", "quotes")]
        assert own["quotes"] > 0


@pytest.mark.timeout(600 if LONG else 240)
@pytest.mark.modelsim("--latency", "100-300ms")
def test_twins_through_kills(precis):
    """Workers die all the time: what is bought twice was in doubt, and is counted as that."""
    documents = some_twins(600 if LONG else 160, 0.5)
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 2}}}, retry={"doubtful": 10})
    promises = Promises(precis)
    workers = [precis.start_worker() for _ in range(2)]
    places = precis.send([precis.job(name, TEXT.format(number) * 4) for name, number in documents.items()])
    promises.places.update(zip(documents, places))
    for _ in range(4 if LONG else 2):
        worker = workers.pop(0)
        done = precis.rows("select count(*) as n from precis.summaries")[0]["n"]
        wait_until("some answers", lambda before=done: precis.rows(
            "select count(*) as n from precis.summaries")[0]["n"] > before + 5, timeout=60)
        worker.kill()
        promises.died(worker)
        workers.append(precis.start_worker())
    jobs = precis.wait_final(documents, timeout=240)
    assert {job["state"] for job in jobs.values()} == {"done"}
    promises.check()
    found = leaders(precis, documents)
    assert all(len(names) == 1 for names in found.values())
    complete = precis.rows("select count(*) as n from precis.costs where outcome = 'ok'")[0]["n"]
    assert complete == len(set(documents.values())), "an answer that was there was bought again"


@pytest.mark.timeout(120)
def test_fresh_other_tenants_and_other_questions_are_asked_themselves(precis):
    precis.start_worker()
    text = TEXT.format("one") * 4
    precis.send([precis.job("first", text)])
    precis.wait_final(["first"])
    more = [precis.job("copy", text), precis.job("fresh", text, fresh=True),
            precis.job("other-tenant", text, tenant="other"),
            precis.job("shorter", text, summarize={"max_chars": 200}),
            precis.job("other-model", text, summarize={"model": "gemini-3.5-flash"}),
            precis.job("explicit-default", text, summarize={"max_chars": 300, "model": "default"}, priority=9)]
    precis.send(more)
    names = ["first", "copy", "fresh", "other-tenant", "shorter", "other-model", "explicit-default"]
    precis.wait_final(names)
    rows = {row["job_id"]: row["cached_from"] for row in precis.rows("select job_id, cached_from from precis.summaries")}
    copies = {name for name, of in rows.items() if of == "default/default/first"}
    assert copies == {"copy", "explicit-default"}
    assert paid(precis) == {name: 1 for name in names if name not in copies}
    story = precis.run("show", "default/default/copy").stdout
    assert "the answer of default/default/first" in story
    precis.wait_committed()
    results = {}
    for record in precis.kafka.read_all(precis.topics["results"]):
        result = json.loads(record["value"])
        results[result["id"]] = result
    assert results["copy"]["state"] == "done" and results["copy"]["summary"] == results["first"]["summary"]
    assert float(results["copy"]["cost_usd"]) == 0


@pytest.mark.timeout(120)
def test_the_next_one_asks_where_the_first_failed(precis):
    """A failed job has no answer: its twin asks itself. Asked anew means anew."""
    precis.configure(retry={"attempts": 1})
    precis.start_worker()
    text = TEXT.format("two") * 4
    precis.modelsim.script(next=["http_400"])
    precis.send([precis.job("first", text)])
    assert precis.wait_final(["first"])["first"]["state"] == "failed"
    precis.send([precis.job("second", text)])
    assert precis.wait_final(["second"])["second"]["state"] == "done"
    precis.run("retry", "default/default/first")
    assert precis.wait_final(["first"])["first"]["state"] == "done"
    assert precis.rows("select cached_from from precis.summaries where job_id = 'first'")[0]["cached_from"] == \
        "default/default/second"
    calls = len(precis.modelsim.bill()["calls"])
    assert calls == 2
    precis.run("retry", "--done", "default/default/first")
    wait_until("a third call", lambda: len(precis.modelsim.bill()["calls"]) == 3, timeout=30)
    precis.wait_final(["first"])
    assert precis.rows("select cached_from from precis.summaries where job_id = 'first'")[0]["cached_from"] is None


@pytest.mark.timeout(120)
@pytest.mark.modelsim("--latency", "1500ms")
def test_a_twin_waits_for_the_call_under_way(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 1}}})
    for _ in range(2):
        precis.start_worker()
    text = TEXT.format("three") * 4
    names = [f"twin-{n}" for n in range(12)]
    precis.send([dict(precis.job(name, text), partition=n % 4) for n, name in enumerate(names)])
    precis.wait_final(names)
    assert len(precis.modelsim.bill()["calls"]) == 1
    assert sum(row["cached_from"] is None for row in precis.rows("select cached_from from precis.summaries")) == 1
