# SPDX-License-Identifier: Apache-2.0
"""An independent look at what the promises were worth: PostgreSQL, Kafka and the provider's bill, held against each other.

Nothing is asked of the program. `Promises(precis, places).check()` when all work has ended; before that,
`died(worker)` after each death (what was under way is then known), and `offsets_hold()` at any moment.
"""
import decimal
import json

from .common import wait_until
from .program import FINAL

# What the simulator calls an answer that nobody got whole.
LOST = ("pending", "cut", "dropped", "vanished")

ATTEMPTS = """
    select j.tenant || '/' || j.batch || '/' || j.id || '/' || j.revision || '/' || a.call_no || '/' || a.plan_no
             || '/' || a.attempt_no as id,
           j.tenant || '/' || j.batch || '/' || j.id as job, j.revision, a.outcome, a.cost_source, w.pid,
           a.error_code, a.http_status, a.sent_at, o.finished_at, o.state,
           trim_scale(a.cost_picousd * 0.000000000001) as cost_usd,
           trim_scale(a.at_most_picousd * 0.000000000001) as at_most_usd
    from precis_data.attempts a
    join precis_data.jobs j on j.job_no = a.job_no
    join precis_data.workers w on w.id = a.worker_id
    left join precis_data.outcomes o on o.job_no = a.job_no"""


class Promises:
    """places: name -> (partition, offset) of every job that was sent; ids are unique within the test."""

    def __init__(self, precis, places=None):
        self.precis = precis
        self.places = dict(places or {})
        self.under_way = {}  # pid of a dead worker -> ids of its attempts that were `sent` when it died

    def send(self, names, text="{name} pays 100 dollars for the licence. The term is two years. Either may end it.",
             **members):
        """Sends a job for each name; text and members may hold {name}."""
        messages = [self.precis.job(name, text.replace("{name}", name), **members) for name in names]
        self.places.update(zip(names, self.precis.send(messages)))
        return names

    def died(self, worker):
        """Notes what a worker that has just died was paying for, once PostgreSQL has read its last words."""
        wait_until("its sessions to end", lambda: not self.precis.rows(
            "select 1 from pg_stat_activity where datname = current_database() and application_name like %s",
            f"precis:%:{worker.pid}"))
        rows = self.precis.rows(ATTEMPTS + " where a.outcome = 'sent' and w.pid = %s", worker.pid)
        self.under_way.setdefault(worker.pid, set()).update(row["id"] for row in rows)
        return len(rows)

    # During the run.

    def offsets_hold(self):
        """No committed offset is past a message without an outcome or a place in PostgreSQL. The offsets are
        read first."""
        committed = self.precis.kafka.committed(self.precis.group, self.precis.topics["jobs"])
        ended = {name for name, row in self.precis.jobs().items() if row["state"] in FINAL}
        ended |= {row["job_id"] for row in self.precis.rows("select job_id from precis.dead_letters")}
        ended |= {row["id"] for row in self.precis.rows("""select j.id from precis_data.requeued q
                                                        join precis_data.jobs j using (job_no)""")}
        past = [name for name, (partition, offset) in self.places.items()
                if offset < committed.get(partition, 0) and name not in ended]
        assert not past, f"the offsets {committed} are past unfinished jobs: {past[:5]}"

    # After it.

    def check(self, doubts=0, announce=60):
        """All of it. doubts: how many attempts may be in doubt beside those that deaths and faults explain."""
        self.precis.wait_committed()
        self.jobs = self.precis.jobs()
        self.attempts = {row["id"]: row for row in self.precis.rows(ATTEMPTS)}
        self.bill = self.precis.modelsim.bill()
        self.calls = {call["id"]: call for call in self.bill["calls"]}
        self._each_job_ended_once()
        self._every_request_has_its_row()
        self._costs_are_the_bill()
        self._nothing_was_bought_after_the_end()
        self._doubts_are_explained(doubts)
        self.offsets_hold()
        self._everybody_was_told(announce)

    def _each_job_ended_once(self):
        missing = set(self.places) - set(self.jobs)
        assert not missing, f"lost: {sorted(missing)[:5]}"
        left = [name for name in self.places if self.jobs[name]["state"] not in FINAL]
        assert not left, f"without an outcome: {left[:5]}"
        counts = self.precis.rows("""
            select j.job_id, j.state,
              (select count(*) from precis_data.outcomes o where (o.tenant, o.batch, o.id, o.revision)
                 = (j.tenant, j.batch, j.job_id, j.revision)) as outcomes,
              (select count(*) from precis.summaries s where (s.tenant, s.batch, s.job_id, s.revision)
                 = (j.tenant, j.batch, j.job_id, j.revision)) as summaries
            from precis.jobs j where j.state in ('done', 'failed', 'cancelled')""")
        wrong = [row for row in counts if row["outcomes"] != 1 or row["summaries"] != (row["state"] == "done")]
        assert not wrong, f"outcomes and summaries: {wrong[:5]}"

    def _every_request_has_its_row(self):
        assert self.bill["unlisted_calls"] == 0
        assert len(self.calls) == len(self.bill["calls"]), "one attempt came to the provider as two requests"
        unknown = [name for name in self.calls if name not in self.attempts]
        assert not unknown, f"requests without a row in the ledger: {unknown[:5]}"
        open_rows = [row["id"] for row in self.attempts.values() if row["outcome"] == "sent"]
        assert not open_rows, f"attempts that never ended: {open_rows[:5]}"

    def _owed(self, name):
        call = self.calls.get(name)
        return decimal.Decimal(call["cost_usd"]) if call and call["billed"] else decimal.Decimal(0)

    def _costs_are_the_bill(self):
        known = at_most = owed = decimal.Decimal(0)
        for name, row in self.attempts.items():
            if row["cost_source"] in ("exact", "none"):
                assert row["cost_usd"] == self._owed(name), (row, self.calls.get(name))
            if row["cost_source"] == "estimated":
                continue  # its true price is in no answer
            known += row["cost_usd"] or 0
            at_most += row["at_most_usd"] if row["outcome"] == "in_doubt" else 0
            owed += self._owed(name)
            if row["outcome"] == "in_doubt":
                assert row["cost_usd"] is None and row["cost_source"] == "in_doubt", row
        assert known <= owed <= known + at_most, f"owed {owed}, the ledger says {known} and at most {at_most} more"

    def _nothing_was_bought_after_the_end(self):
        late = [row["id"] for row in self.attempts.values()
                if row["finished_at"] and row["sent_at"] > row["finished_at"]]
        late += [name for name, row in self.attempts.items() if row["finished_at"] and self._owed(name)
                 and self.calls[name]["at_ms"] > row["finished_at"].timestamp() * 1000 + 1]
        assert not late, f"paid after the job's outcome: {late[:5]}"

    def _doubts_are_explained(self, doubts):
        unexplained = []
        for name, row in self.attempts.items():
            if row["outcome"] != "in_doubt":
                continue
            lost = name in self.calls and self.calls[name]["outcome"] in LOST
            if not lost and name not in self.under_way.get(row["pid"], ()):
                unexplained.append(row)
        assert len(unexplained) <= doubts, f"in doubt without a reason: {unexplained[:5]}"

    # Messages.

    def letters(self):
        """The dead-letter topic: full job name, or topic:partition:offset, -> code."""
        found = {}
        for message in self.precis.dead_letters():
            headers = {name: value and value.decode() for name, value in message["headers"].items()}
            place = f"{headers['precis-topic']}:{headers['precis-partition']}:{headers['precis-offset']}"
            found[headers.get("precis-job") or place] = headers["precis-error-code"]
        return found

    def results(self):
        """The results topic: full job name and revision -> the states that were told."""
        found = {}
        for message in self.precis.kafka.read_all(self.precis.topics["results"]):
            told = json.loads(message["value"])
            full = f"{told['tenant']}/{told['batch']}/{told['id']}"
            assert message["key"].decode() == full
            found.setdefault((full, told["revision"]), set()).add(told["state"])
        return found

    def _everybody_was_told(self, timeout):
        """What a dead worker left unannounced is swept by others after 10 s."""
        rows = self.precis.rows("select * from precis.jobs")
        ends = {(f"{row['tenant']}/{row['batch']}/{row['job_id']}", row["revision"]): {row["state"]} for row in rows
                if row["state"] in FINAL}
        failed = {full: row["error_code"] for row in rows for full in [f"{row['tenant']}/{row['batch']}/{row['job_id']}"]
                  if row["state"] == "failed"}
        kept = {f"{row['tenant']}/{row['batch']}/{row['job_id']}" for row in
                self.precis.rows("select tenant, batch, job_id from precis.dead_letters where job_id is not null")}
        assert set(failed) <= kept, f"failed without a dead letter: {sorted(set(failed) - kept)[:5]}"

        def told():
            results, letters = self.results(), self.letters()
            wrong = [(job, results.get(job), state) for job, state in ends.items() if results.get(job) != state]
            assert not wrong, f"results told and true: {len(wrong)}, e.g. {wrong[:3]}"
            wrong = [(job, letters.get(job), code) for job, code in failed.items() if letters.get(job) != code]
            assert not wrong, f"dead letters told and true: {wrong[:3]}"
            return True

        wait_until("every end to be announced", told, timeout, every=1)
