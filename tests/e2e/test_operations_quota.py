# SPDX-License-Identifier: Apache-2.0
"""`precis quota`: limits and their use, set while workers run; and why jobs wait, in words. The asks are made here,
in a worker's place, so that what is shown does not depend on how fast a machine is."""
import pytest

ASK = """select answer, closed_by from precis_data.quota_ask(1, %s, '{sim}', '{sim}', '{grok-4.3}', %s, %s)"""
WAITING = """
insert into precis_data.batches (tenant, name, sealed_total) values ('default', 'b', 2);
insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec, waiting_for)
  values ('default', 'b', 'one', 0, 'summarize', '', 5, '{}', '{}', 'requests'),
    ('default', 'b', 'two', 0, 'summarize', '', 5, '{}', '{}', 'key_closed');
insert into precis_data.claims (job_no, worker_id, serial, epoch) select job_no, 1, job_no, 1 from precis_data.jobs;
"""


class Fleet:
    """One worker, as far as PostgreSQL can tell."""

    def __init__(self, precis):
        self.precis, self.serial = precis, 0
        precis.rows("""insert into precis_data.workers (nonce, name, host, pid, version, consumer_group, lease_until)
                       values ('n', 'w', 'h', 1, '0', 'g', clock_timestamp() + interval '1 hour') returning id""")

    def ask(self, rpm, wanted, cause="fine", close_ms=0):
        """wanted calls of a lane with so many a minute; what was given, and whether the worker has to wait."""
        numbers = [0] * 51
        numbers[0], numbers[6], numbers[7], numbers[13] = rpm, 100, wanted, min(wanted, 1)
        numbers[33:39] = numbers[39:45] = [-1] * 6
        numbers[46] = close_ms
        self.serial += 1
        row = self.precis.rows(ASK, self.serial, [cause], numbers)[0]
        return row["answer"][0], row["answer"][10]


@pytest.fixture
def fleet(precis):
    return Fleet(precis)


def limit(precis, dimension):
    lanes = precis.json("quota")
    assert len(lanes) == 1
    found = [row for row in lanes[0]["limits"] if row["dimension"] == dimension]
    return found[0] if found else None


def test_limits_are_shown_and_set(precis, fleet):
    assert "No limit is known" in precis.run("quota").stdout
    fleet.ask(10, 1)
    assert limit(precis, "requests") == {**limit(precis, "requests"), "configured": 10, "effective": 10, "is_set": False}
    text = precis.run("quota", "show").stdout
    assert "sim/sim" in text and "10 requests a minute" in text and "100 calls at once" in text

    precis.run("quota", "set", "--model", "grok-4.3", "--rpm", "84", "--tpm", "9000", "--in-flight", "7")
    fleet.ask(10, 1)
    assert (limit(precis, "requests")["configured"], limit(precis, "requests")["effective"]) == (84, 84)
    assert limit(precis, "requests")["is_set"] and limit(precis, "tokens")["effective"] == 9000
    assert precis.json("quota")[0]["in_flight_limit"] == 7
    assert "84 requests a minute (set)" in precis.run("quota", "--model", "grok-4.3").stdout
    assert precis.json("quota", "--model", "claude-opus-4.8") == []

    # Of one key, which counts before that of all; and back to what is configured.
    precis.run("quota", "set", "--model", "grok-4.3", "--key", "sim", "--rpm", "5")
    assert (limit(precis, "requests")["configured"], limit(precis, "requests")["effective"]) == (5, 5)
    precis.run("quota", "set", "--model", "grok-4.3", "--key", "sim", "--rpm", "default")
    precis.run("quota", "set", "--model", "grok-4.3", "--rpm", "default", "--tpm", "default", "--in-flight", "default")
    fleet.ask(10, 1)
    assert limit(precis, "requests")["effective"] == 10 and limit(precis, "tokens") is None


def test_what_cannot_be_set_is_refused(precis):
    for words in (["set"], ["set", "--rpm", "5"], ["set", "--model", "grok-4.3"], ["set", "--model", "x", "--rpm", "5"],
                  ["set", "--model", "grok-4.3", "--rpm", "0"], ["set", "--model", "grok-4.3", "--rpm", "many"],
                  ["set", "--model", "grok-4.3", "--key", "x", "--rpm", "5"], ["--rpm", "5"], ["get"], ["show", "set"]):
        assert precis.run("quota", *words, check=False).returncode == 2, words
    assert precis.rows("select 1 from precis_data.quota_settings") == []


def test_why_jobs_wait_in_words(precis, fleet):
    with precis.session() as session:
        session.execute(WAITING)
    given = [fleet.ask(10, 1) for _ in range(4)]
    assert given[0][0] == 1 and given[-1][0] == 0 and given[-1][1] > 0
    text = " ".join(precis.run("status", "b").stdout.split())
    assert "1 waits for the limit of 10 requests a minute of sim/sim with grok-4.3; the next may start in" in text
    assert "nothing is wrong" in text
    assert "waits for the provider's key, which is closed since it refused a call" in text
    fleet.ask(10, 1, "throttled", 30000)
    text = " ".join(precis.run("status", "b").stdout.split())
    assert "1 waits for sim/sim, which is closed: it asked to slow down (429); the next may start in 29" in text \
        or "it asked to slow down (429); the next may start in 28" in text, text
    shown = " ".join(precis.run("show", "two").stdout.split())
    assert "Waits for sim/sim, which is closed: it asked to slow down (429)" in shown
    assert "sim/sim (grok-4.3) is closed: it asked to slow down (429); one call tries it in 2" in precis.run("quota").stdout
