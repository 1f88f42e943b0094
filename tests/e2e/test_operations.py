# SPDX-License-Identifier: Apache-2.0
"""migrate, workers, cancel, retry and dlq, as an operator uses them."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from rig.common import free_port, wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8


def jobs_of(precis, count, **members):
    return [precis.job(f"job-{n}", f"Contract {n}. {TEXT}", **members) for n in range(count)]


def states(precis):
    return {name: job["state"] for name, job in precis.jobs().items()}


# ------------------------------------------------------------------------------- migrate


@pytest.mark.unmigrated
def test_migrate_brings_an_empty_database_up(precis):
    before = precis.run("migrate", "status", check=False)
    assert before.returncode == 1 and "pending" in before.stdout and "precis migrate" in before.stderr
    for command in (["workers"], ["cancel", "x"], ["retry", "x"], ["dlq", "list"]):
        refused = precis.run(*command, check=False)
        assert refused.returncode == 2 and "precis migrate" in refused.stderr, command

    # Ten at once: each of them succeeds, and each migration is applied once.
    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(lambda _: precis.run("migrate"), range(10)))
    applied = [line for one in done for line in one.stdout.splitlines() if line.startswith("applied ")]
    assert len(applied) == len(set(applied)) > 0

    rows = precis.json("migrate", "status")
    assert {row["state"] for row in rows} == {"applied"}
    assert [f"applied {row['version']:04d}_{row['name']}" for row in rows] == sorted(applied)
    assert precis.json("migrate", "up") == {"applied": [], "version": len(rows)}
    assert precis.run("migrate", "sideways", check=False).returncode == 2


def test_roles_may_do_what_they_are_for(precis):
    precis.run("migrate", "roles")
    precis.run("migrate", "roles")
    with precis.session() as session:
        rights = session.rows("""select has_table_privilege('precis_worker', 'precis_data.jobs', 'insert') as works,
            has_table_privilege('precis_worker', 'precis_data.migrations', 'insert') as migrates,
            has_table_privilege('precis_reader', 'precis.jobs', 'select') as reads,
            has_table_privilege('precis_reader', 'precis_data.jobs', 'select') as peeps""")[0]
    assert rights == {"works": True, "migrates": False, "reads": True, "peeps": False}


# ------------------------------------------------------------------------------- workers


def test_workers_come_and_go(precis):
    assert precis.json("workers") == []
    assert "No worker" in precis.run("workers").stdout
    worker = precis.start_worker()
    live = precis.json("workers")
    assert [one["state"] for one in live] == ["live"] and live[0]["pid"] == worker.pid
    assert live[0]["consumer_group"] == precis.group and worker.url.endswith(live[0]["http_listen"])
    assert worker.terminate() == 0
    assert precis.json("workers") == []
    assert [one["state"] for one in precis.json("workers", "--all")] == ["ended"]


# ------------------------------------------------------------------------------- cancel


@pytest.mark.partitions(1)
def test_a_batch_is_cancelled_under_way_and_opened_again(precis):
    precis.configure(models={"grok-4.3": {"limits": {"in_flight": 1}}})
    precis.modelsim.script(latency="500ms")
    names = [f"job-{n}" for n in range(8)]
    precis.send(jobs_of(precis, 8, batch="b"))
    precis.start_worker()
    wait_until("one to be done", lambda: "done" in states(precis).values())
    answer = precis.json("cancel", "--batch", "b")
    assert answer["held"] > 0 and answer["finished_before"]["done"] > 0 and answer["batches_marked"] == 1
    jobs = precis.wait_final(names)
    ended = sorted(job["state"] for job in jobs.values())
    assert set(ended) == {"cancelled", "done"}
    assert all(job["error_code"] == "cancelled" for job in jobs.values() if job["state"] == "cancelled")

    # What comes into the batch afterwards is cancelled too, until it is opened again.
    precis.send([precis.job("late", TEXT, batch="b")])
    assert precis.wait_final(["late"])["late"]["state"] == "cancelled"
    precis.modelsim.script(latency="0ms")
    cancelled = ended.count("cancelled") + 1
    answer = precis.json("retry", "--batch", "b")
    assert answer["reopened"] == answer["from"]["cancelled"] == cancelled
    wait_until("all to be done", lambda: set(states(precis).values()) == {"done"})
    precis.send([precis.job("later", TEXT, batch="b")])
    assert precis.wait_final(["later"])["later"]["state"] == "done"
    precis.wait_committed()
    precis.check_promises(names + ["late", "later"])


@pytest.mark.partitions(1)
def test_jobs_that_wait_for_a_limit_or_a_time_are_cancelled_at_once(precis):
    precis.configure(models={"grok-4.3": {"limits": {"rpm": 2}}})
    names = [f"job-{n}" for n in range(20)] + ["next-year"]
    precis.send(jobs_of(precis, 20) + [precis.job("next-year", TEXT, not_before="2036-01-01T00:00:00Z")])
    precis.start_worker()
    wait_until("one to be done", lambda: "done" in states(precis).values())
    precis.run("cancel", "--all")
    ended = precis.wait_final(names, timeout=20)
    assert ended["next-year"]["state"] == "cancelled"
    assert [job["state"] for job in ended.values()].count("cancelled") > 15
    precis.wait_committed()
    precis.check_promises(names)


def test_jobs_are_cancelled_before_they_are_read(precis):
    said = precis.run("cancel", "default/b/job-1", "job-2", "--batch", "b")
    assert said.stdout.count("not known yet") == 2
    precis.send(jobs_of(precis, 4, batch="b"))
    precis.start_worker()
    precis.wait_final([f"job-{n}" for n in range(4)])
    assert states(precis) == {"job-0": "done", "job-1": "cancelled", "job-2": "cancelled", "job-3": "done"}
    precis.wait_committed()
    precis.check_promises(["job-0", "job-3"])


@pytest.mark.partitions(1)
def test_a_job_that_nobody_holds_ends_when_it_is_taken_up(precis):
    precis.modelsim.script(latency="60s")
    precis.send(jobs_of(precis, 1))
    worker = precis.start_worker(worker={"drain_timeout": "0s"})
    wait_until("the job to be claimed", lambda: "job-0" in precis.jobs())
    worker.terminate()
    # TERM parks what waits, and releases what was under way.
    assert states(precis)["job-0"] in ("queued", "waiting")
    said = precis.run("cancel", "job-0").stdout
    assert "1 held by nobody" in said
    assert states(precis)["job-0"] in ("queued", "waiting")
    precis.modelsim.script(latency="0ms")
    precis.start_worker()
    assert precis.wait_final(["job-0"])["job-0"]["state"] == "cancelled"
    precis.wait_committed()


def test_names_that_fit_several_jobs_or_none(precis):
    precis.send([precis.job("same", TEXT, batch="one"), precis.job("same", TEXT, batch="two")])
    precis.start_worker()
    wait_until("both", lambda: len(precis.rows("select 1 from precis.jobs where state = 'done'")) == 2)
    for command in ("cancel", "retry"):
        unclear = precis.run(command, "same", check=False)
        assert unclear.returncode == 2
        assert "default/one/same" in unclear.stderr and "default/two/same" in unclear.stderr
        assert precis.run(command, "other", check=False).returncode == 1
        assert precis.run(command, check=False).returncode == 2
        assert precis.run(command, "same", "--all", check=False).returncode == 2
        assert precis.run(command, "--batch", "ona", check=False).returncode == 1
        assert precis.run(command, "--tenant", "nobody", check=False).returncode == 1
        escape = precis.run(command, "a\x1b[31mb", check=False)
        assert escape.returncode == 2 and "\x1b" not in escape.stderr
    assert "1 done" in precis.run("cancel", "same", "--batch", "one").stdout
    assert set(job["state"] for job in precis.jobs().values()) == {"done"}


# ------------------------------------------------------------------------------- retry


def test_failed_jobs_run_again_with_all_their_tries(precis):
    precis.configure(retry={"attempts": 2})
    precis.modelsim.script(fault={"http_500": 1})
    names = ["job-0", "job-1"]
    precis.send(jobs_of(precis, 2, batch="b"))
    precis.start_worker()
    jobs = precis.wait_final(names)
    assert {job["state"] for job in jobs.values()} == {"failed"}
    assert len(precis.json("dlq", "list")) == 2

    assert precis.json("retry", "--batch", "b", "--code", "no_such_code")["reopened"] == 0
    precis.modelsim.script(fault={"http_500": 0})
    assert precis.json("retry", "--batch", "b", "--failed")["reopened"] == 2
    wait_until("both to be done", lambda: set(states(precis).values()) == {"done"})
    attempts = precis.rows("select job_id, attempt, outcome from precis.costs order by 1, 2")
    for name in names:
        assert [(row["attempt"], row["outcome"]) for row in attempts if row["job_id"] == name] == \
            [(1, "failed"), (2, "failed"), (3, "ok")]
    history = precis.rows("select job_id, state, error_code from precis.earlier_outcomes order by 1")
    assert [(row["job_id"], row["state"]) for row in history] == [(name, "failed") for name in names]
    assert precis.json("dlq", "list") == []
    precis.wait_committed()
    precis.check_promises(names)


def test_jobs_that_fail_again_have_a_letter_each(precis):
    names = [f"job-{n}" for n in range(60)]
    precis.send([precis.job(name, f"{name}. {TEXT}", batch="b", summarize={"model": "no-such-model"}) for name in names])
    precis.start_worker()
    precis.wait_final(names)
    query = "select job_id, value, kafka_partition, kafka_offset from precis.dead_letters where replayed_at is null"
    before = sorted(precis.rows(query), key=lambda row: row["job_id"])
    assert [row["job_id"] for row in before] == sorted(names)
    assert precis.json("retry", "--batch", "b", "--failed")["reopened"] == len(names)
    wait_until("all to have failed again", lambda: len(precis.rows(
        "select 1 from precis.earlier_outcomes")) == len(names) and set(states(precis).values()) == {"failed"})
    assert sorted(precis.rows(query), key=lambda row: row["job_id"]) == before
    precis.wait_committed()


def test_done_jobs_are_asked_again_only_on_request(precis):
    precis.send(jobs_of(precis, 1))
    precis.start_worker()
    precis.wait_final(["job-0"])
    refused = precis.run("retry", "job-0", check=False)
    assert refused.returncode == 1 and "--done" in refused.stdout
    first = precis.rows("select summary from precis.summaries")[0]["summary"]
    assert precis.json("retry", "job-0", "--done")["from"] == {"failed": 0, "cancelled": 0, "done": 1}
    wait_until("the second call", lambda: len(precis.rows("select 1 from precis.costs where outcome = 'ok'")) == 2)
    precis.wait_final(["job-0"])
    kept = precis.rows("select result from precis.earlier_outcomes")
    assert [row["result"]["summary"] for row in kept] == [first]
    precis.check_promises(["job-0"])


def test_retry_of_what_still_runs_changes_nothing(precis):
    precis.modelsim.script(latency="2s")
    precis.send(jobs_of(precis, 1))
    precis.start_worker()
    wait_until("a call", lambda: precis.rows("select 1 from precis.costs"))
    said = precis.run("retry", "job-0", check=False)
    assert said.returncode == 1 and "not ended" in said.stdout
    assert precis.wait_final(["job-0"])["job-0"]["state"] == "done"
    assert len(precis.rows("select 1 from precis.costs")) == 1


# ------------------------------------------------------------------------------- dlq


def bad(number, **members):
    return {"key": b"k", "value": b"{\x1b[31mnot JSON \xff" + str(number).encode(), **members}


def letters(precis, count):
    return wait_until(f"{count} dead letters", lambda: [row for row in [precis.rows(
        "select * from precis.dead_letters order by id")] if len(row) >= count])[0]


def test_a_bad_message_is_shown_sent_again_and_dropped(precis):
    precis.send([bad(1, headers=[("traceparent", b"00-1"), ("precis-error", b"old"), ("own", None)])])
    precis.start_worker()
    letters(precis, 1)
    listed = precis.json("dlq", "list", "--since", "1h", "--topic", precis.topics["jobs"])
    assert [(row["error_code"], row["state"], row["job_id"]) for row in listed] == [("bad_message", "open", None)]
    number = str(listed[0]["id"])
    assert precis.json("dlq", "list", "--since", "2999-01-01") == []
    shown = precis.run("dlq", "show", number)
    assert "sends the message again" in shown.stdout and "not JSON" not in shown.stdout.split("value")[-1]
    shown = precis.run("dlq", "show", number, "--value").stdout
    assert "{\\x1b[31mnot JSON \\xff1" in shown and "\x1b" not in shown
    assert "traceparent: 00-1" in shown

    assert precis.run("dlq", "replay", check=False).returncode == 2
    assert precis.json("dlq", "replay", "--all") == {"reopened": 0, "sent": 1, "not_sent": 0, "left": 0}
    letters(precis, 2)
    again = precis.kafka.read_all(precis.topics["jobs"])[-1] if precis.partitions == 1 else \
        [m for m in precis.kafka.read_all(precis.topics["jobs"]) if "precis-replayed" in m["headers"]][0]
    assert again["key"] == b"k" and again["value"] == bad(1)["value"]
    assert again["headers"] == {"traceparent": b"00-1", "own": None, "precis-replayed": b"1"}
    open_now = precis.json("dlq", "list")
    assert len(open_now) == 1 and str(open_now[0]["id"]) != number
    precis.run("dlq", "replay", str(open_now[0]["id"]))
    letters(precis, 3)
    counts = sorted(m["headers"].get("precis-replayed", b"0") for m in precis.kafka.read_all(precis.topics["jobs"]))
    assert counts == [b"0", b"1", b"2"]

    assert precis.run("dlq", "drop", "--all", check=False).returncode == 2
    assert precis.run("dlq", "drop", "--all", "--yes").stdout == "1 dropped.\n"
    assert precis.json("dlq", "list") == []
    assert sorted(row["state"] for row in precis.json("dlq", "list", "--all")) == ["dropped", "replayed", "replayed"]


def test_replay_is_capped_and_mends_jobs(precis):
    precis.configure(retry={"attempts": 1})
    precis.modelsim.script(fault={"http_400": 1})
    precis.send(jobs_of(precis, 3, batch="b") + [bad(n) for n in range(2)])
    precis.start_worker()
    letters(precis, 5)
    precis.modelsim.script(fault={"http_400": 0})
    first = precis.json("dlq", "replay", "--batch", "b", "--max", "2")
    assert first == {"reopened": 2, "sent": 0, "not_sent": 0, "left": 1}
    assert precis.json("dlq", "replay", "--batch", "b")["reopened"] == 1
    precis.wait_final([f"job-{n}" for n in range(3)])
    wait_until("all to be done", lambda: set(states(precis).values()) == {"done"})
    assert precis.json("dlq", "replay", "--batch", "b") == {"reopened": 0, "sent": 0, "not_sent": 0, "left": 0}
    done = [row["id"] for row in precis.json("dlq", "list", "--all", "--batch", "b")]
    assert "reopened before" in precis.run("dlq", "replay", *map(str, done)).stdout
    assert {row["error_code"] for row in precis.json("dlq", "list")} == {"bad_message"}
    precis.wait_committed()
    precis.check_promises([f"job-{n}" for n in range(3)])


def test_replay_without_a_broker_leaves_the_letters_open(precis):
    precis.send([bad(1)])
    worker = precis.start_worker()
    letters(precis, 1)
    precis.wait_committed()
    worker.terminate()
    precis.configure(kafka={"brokers": f"127.0.0.1:{free_port()}",
                            "properties": {"message.timeout.ms": "2000"}})
    failed = precis.run("dlq", "replay", "--all", check=False)
    assert failed.returncode == 1 and "still open" in failed.stderr
    assert [row["state"] for row in precis.json("dlq", "list")] == ["open"]


# ------------------------------------------------------------------------------- later


@pytest.mark.unmigrated
def test_what_comes_later_is_refused_by_name(precis):
    for name in ("answer", "export", "replay", "tools", "serve"):
        refused = precis.run(name, "--batch", "b", check=False)
        assert refused.returncode == 2 and refused.stderr == f"error: precis {name} is not in this version yet\n"
