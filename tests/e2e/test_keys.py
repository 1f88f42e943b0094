# SPDX-License-Identifier: Apache-2.0
"""Several keys of one provider: calls spread by the room that each has, and one key's trouble is its own."""
import collections
import json
import signal

import pytest

from rig.common import wait_until

FAST, SLOW, BAD = "sk-fast-0011223344556677", "sk-slow-7766554433221100", "sk-bad-aabbccddeeff0011"
TEXT = "Letter {}. The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. "


def keys_of(precis, **secrets):
    """Configures the provider with these keys, each in a file of its own; returns the files by name."""
    files = {name: precis.folder / f"{name}.key" for name in secrets}
    for name, (secret, _) in secrets.items():
        files[name].write_text(secret + "\n")
    keys = [{"name": name, "key": f"${{file:{files[name]}}}", "limits": limits} for name, (_, limits) in secrets.items()]
    precis.configure(providers={"sim": {"key": None, "keys": keys}}, models={"grok-4.3": {"limits": {"in_flight": 4}}})
    return files


def submit(precis, prefix, count):
    names = [f"{prefix}-{n}" for n in range(count)]
    precis.send([precis.job(name, TEXT.format(name) * 6) for name in names])
    return names


def attempts(precis):
    """(key, outcome, HTTP status) -> how many."""
    rows = precis.rows("select key_name, outcome, http_status from precis.costs")
    return collections.Counter((row["key_name"], row["outcome"], row["http_status"]) for row in rows)


def keys_check(worker):
    return json.loads(worker.get("/health")[1])["checks"]["keys"]


@pytest.mark.modelsim("--key", f"{FAST}:rpm=600", "--key", f"{SLOW}:rpm=120", "--burst-seconds", "3")
def test_calls_go_where_there_is_room(precis):
    keys_of(precis, fast=(FAST, {"rpm": 600, "in_flight": 50}), slow=(SLOW, {"rpm": 120, "in_flight": 5}))
    worker = precis.start_worker()
    names = submit(precis, "job", 90)
    precis.wait_final(names)
    precis.wait_committed()
    seen = attempts(precis)
    assert set(seen) == {("fast", "ok", 200), ("slow", "ok", 200)}, seen
    # Each key was used up to its own limit, and none past it: no 429 came.
    # The slow one has five slots: while the machine stands still, the other one saves up more than it.
    assert 3 <= seen["slow", "ok", 200] <= 25, seen
    assert seen["fast", "ok", 200] == 90 - seen["slow", "ok", 200]
    closed = {name: value for name, value in worker.metrics().items() if "key_closed_until" in name}
    assert closed == {'precis_key_closed_until_timestamp_seconds{key="fast"}': 0.0,
                      'precis_key_closed_until_timestamp_seconds{key="slow"}': 0.0}
    worker.terminate()
    precis.check_promises(names)


@pytest.mark.modelsim("--key", FAST, "--key", SLOW)
def test_a_bad_key_closes_alone_and_a_new_one_is_taken(precis):
    files = keys_of(precis, good=(FAST, {}), bad=(BAD, {}))
    said = precis.run("doctor", check=False).stdout
    assert "sim, key good" in said and "sim, key bad" in said and "refuses the key (401)" in said
    worker = precis.start_worker()
    names = submit(precis, "first", 40)
    precis.wait_final(names)
    seen = attempts(precis)
    assert seen["good", "ok", 200] == 40
    # The four that were on their way with it, and a probe when the file was read again, or two.
    assert 1 <= seen["bad", "failed", 401] <= 6, seen
    assert keys_check(worker) == {"ok": False, "reason": "key bad is refused"}
    closed = worker.metrics()
    assert closed['precis_key_closed_until_timestamp_seconds{key="bad"}'] > 0
    assert closed['precis_key_closed_until_timestamp_seconds{key="good"}'] == 0
    files["bad"].write_text(SLOW + "\n")
    worker.signal(signal.SIGHUP)
    wait_until("the new key to be read", lambda: "configuration_reread" in worker.log())
    more = submit(precis, "second", 40)
    precis.wait_final(more)
    seen = attempts(precis)
    assert seen["bad", "ok", 200] >= 1, "the probe"
    assert seen["bad", "ok", 200] + seen["good", "ok", 200] == 80
    wait_until("the key to be open", lambda: keys_check(worker)["ok"])
    precis.wait_committed()
    worker.terminate()
    for path in precis.folder.glob("*.log"):
        text = path.read_text(errors="replace")
        assert not any(secret in text for secret in (FAST, SLOW, BAD)), path
    precis.check_promises(names + more)


@pytest.mark.modelsim("--key", FAST, "--key", f"{SLOW}:fault=insufficient_quota")
def test_a_key_without_money_closes_alone(precis):
    keys_of(precis, good=(FAST, {}), broke=(SLOW, {}))
    worker = precis.start_worker()
    names = submit(precis, "job", 40)
    precis.wait_final(names)
    seen = attempts(precis)
    assert seen["good", "ok", 200] == 40
    assert 1 <= sum(count for (key, _, _), count in seen.items() if key == "broke") <= 4, seen
    assert keys_check(worker)["reason"] == "key broke is exhausted"
    assert all(job["state"] == "done" for job in precis.jobs().values())
    worker.terminate()
    precis.check_promises(names)


@pytest.mark.modelsim("--key", "sk-nobody-has-this-one")
def test_jobs_wait_only_when_all_keys_are_closed(precis):
    keys_of(precis, one=(FAST, {}), two=(SLOW, {}))
    worker = precis.start_worker()
    names = submit(precis, "job", 10)

    def all_wait():
        reasons = {job["waiting_for"] for job in precis.jobs().values()}
        assert reasons == {"key_closed"}, reasons
        return len(precis.jobs()) == 10

    wait_until("the jobs to wait for a key", all_wait, timeout=60)
    assert all(code == 401 for _, _, code in attempts(precis))
    precis.modelsim.script(key=[SLOW])
    worker.signal(signal.SIGHUP)  # nobody waits for the next probe
    precis.wait_final(names)
    assert attempts(precis)["two", "ok", 200] == 10
    worker.terminate()
    precis.check_promises(names)
