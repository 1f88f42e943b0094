# SPDX-License-Identifier: Apache-2.0
"""`precis pause` and `resume`: no call begins for what is paused, and all of it goes on afterwards."""
import time

import pytest

from rig.common import wait_until

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8


def send(precis, count, **members):
    names = [f"{members.get('batch', 'b')}-{n}" for n in range(count)]
    precis.send([precis.job(name, f"Contract {name}. {TEXT}", **members) for name in names])
    return names


def states(precis, names):
    jobs = precis.jobs()
    return [jobs[name]["state"] if name in jobs else "unread" for name in names]


def waits(precis, names, reason):
    """All of them wait for this."""
    jobs = precis.jobs()
    assert all(name in jobs and jobs[name]["waiting_for"] == reason for name in names), \
        {name: (jobs.get(name) or {}).get("waiting_for") for name in names}
    return True


@pytest.mark.parametrize("scope", [["--batch", "held"], ["--all"], ["--model", "grok-4.3"],
                                   ["--key", "sim"]])
def test_what_is_paused_begins_no_call(precis, scope):
    precis.start_worker()
    first = send(precis, 1, batch="held", tenant="t")
    precis.wait_final(first)
    precis.run("pause", *scope)
    assert [row["scope"] for row in precis.json("pause")] == [scope[0].lstrip("-")]
    names = send(precis, 6, batch="held", tenant="t")[1:]
    calls = precis.modelsim.bill()["calls"]
    wait_until("the jobs to wait", lambda: waits(precis, names, "paused"))
    assert precis.modelsim.bill()["calls"] == calls
    said = " ".join(precis.run("status", "t/held").stdout.split())
    assert f"{len(names)} wait because of a pause" in said and " left" not in said
    if scope[0] == "--batch":
        free = send(precis, 2, batch="free")
        assert {job["state"] for name, job in precis.wait_final(free).items() if name in free} == {"done"}
    precis.run("resume", *scope)
    precis.wait_final(names)
    assert set(states(precis, names)) == {"done"}
    assert "Nothing is paused" in precis.run("pause").stdout
    assert "nothing of it was paused" in precis.run("resume", *scope).stdout


def test_jobs_are_paused_by_name_before_they_are_read(precis):
    precis.run("pause", "t/b/b-1", "t/b/b-2")
    names = send(precis, 4, batch="b", tenant="t")
    precis.start_worker()
    precis.wait_final(["b-0", "b-3"])
    wait_until("the others to wait", lambda: waits(precis, ["b-1", "b-2"], "paused"))
    precis.run("pause", "--batch", "t/b")
    precis.run("resume", "b-1", "--batch", "t/b")
    time.sleep(1)
    assert states(precis, names) == ["done", "waiting", "waiting", "done"]
    assert "2 pauses have ended" in precis.run("resume", "--all").stdout
    precis.wait_final(names)
    precis.wait_committed()
    precis.check_promises(names)


def test_what_cannot_be_paused_is_refused(precis):
    for words in (["pause", "--model", "x"], ["pause", "--key", "x"], ["pause", "--all", "--batch", "b"],
                  ["pause", "job", "--all"], ["resume"]):
        assert precis.run(*words, check=False).returncode == 2, words
    for words in (["pause", "--batch", "none"], ["pause", "none"]):
        assert precis.run(*words, check=False).returncode == 1, words
    assert precis.rows("select 1 from precis.pauses") == []
