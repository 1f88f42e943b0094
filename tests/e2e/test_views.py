# SPDX-License-Identifier: Apache-2.0
"""What reads or changes a whole batch costs what the batch has, whatever PostgreSQL believes about its tables. No
worker: the jobs are written as workers leave them. Counted are the rows that were read, not the time."""
import pytest

from rig.common import wait_until

CROWD = 4_000
TABLES = ("jobs", "claims", "requeued", "outcomes", "attempts", "summaries", "citations", "workers")

PARK = """
with j as (insert into precis_data.jobs (tenant, batch, id, revision, kind, content_hash, priority, labels, spec,
    document_sha256, model, submitted_at, topic, partition, kafka_offset)
  select 'default', %(batch)s, 'job-' || n, 0, 'summarize', sha256(n::text::bytea), 3, '{}', '{}', md5(n::text),
    'default', now(), 'jobs', 0, n from generate_series(1, %(count)s) n returning job_no),
  c as (insert into precis_data.claims (job_no, serial, epoch) select j.job_no, j.job_no, 1 from j)
insert into precis_data.requeued (job_no, reason, ready) select j.job_no, 'order', true from j
"""

END = """
with j as (select * from precis_data.jobs where batch = %(batch)s),
  a as (insert into precis_data.attempts (job_no, plan_no, call_no, attempt_no, epoch, worker_id, month, outcome,
      provider, model, key_name, at_most_picousd, cost_picousd, cost_source, input_tokens, output_tokens)
    select j.job_no, 1, 1, 1, 1, 1, j.month, 'ok', 'xai', 'grok-4.3', 'default', 100, 50, 'exact', 300, 100 from j),
  s as (insert into precis_data.summaries (job_no, summary, output, warnings, month)
    select j.job_no, 'It ends.', '{}', '{}', j.month from j where j.job_no %% 2 = 0),
  t as (insert into precis_data.citations (job_no, n, point, quote, found, month)
    select j.job_no, 1, 1, 'It ends.', true, j.month from j where j.job_no %% 2 = 0),
  d as (delete from precis_data.requeued q using j where q.job_no = j.job_no)
insert into precis_data.outcomes (tenant, batch, id, revision, job_no, state, error_code, error, suggestion, epoch,
    worker_id)
  select j.tenant, j.batch, j.id, j.revision, j.job_no, case when j.job_no %% 2 = 0 then 'done' else 'failed' end,
    'http_400', 'It failed.', 'Mend it.', 1, 1 from j
"""


def run(precis, sql, **values):
    with precis.session() as session, session.connection.cursor() as cursor:
        cursor.execute(sql, values)


def rows_read(precis):
    """By table: in turn, and by key. Sessions tell what they read when they end."""
    wait_until("the sessions to end", lambda: precis.rows(
        """select count(*) as n from pg_stat_activity where datname = current_database()
           and backend_type = 'client backend' and pid <> pg_backend_pid()""")[0]["n"] == 0)
    rows = precis.rows("""select t.relname, t.seq_tup_read as in_turn, (select sum(i.idx_tup_read)::bigint
                            from pg_stat_user_indexes i where i.relid = t.relid) as by_key
                          from pg_stat_user_tables t where t.schemaname = 'precis_data' and t.relname = any(%s)""",
                       list(TABLES))
    return {row["relname"]: (row["in_turn"], row["by_key"]) for row in rows}


def reads_of(precis, *words, sql=None):
    before = rows_read(precis)
    if sql:
        run(precis, sql)
    else:
        precis.run(*words, timeout=120)
    return {table: tuple(now - then for now, then in zip(counts, before[table]))
            for table, counts in rows_read(precis).items()}


@pytest.fixture(params=["never analyzed", "analyzed when they were small", "analyzed when one was empty"])
def crowded(precis, request):
    """A batch of which PostgreSQL does not know that it is large."""
    for table in TABLES:
        run(precis, f"alter table precis_data.{table} set (autovacuum_enabled = false)")
    run(precis, "insert into precis_data.batches (tenant, name) values ('default', 'crowd'), ('default', 'few')")
    run(precis, PARK, batch="few", count=5)
    run(precis, END, batch="few")
    if request.param == "analyzed when they were small":
        run(precis, "analyze")
    run(precis, PARK, batch="crowd", count=CROWD)
    if request.param == "analyzed when one was empty":
        run(precis, "analyze")
        run(precis, "update pg_class set reltuples = 0, relpages = 1 where oid = 'precis_data.requeued'::regclass")
    return precis


@pytest.mark.timeout(240)
def test_a_crowd_is_cancelled_counted_and_shown_by_its_size(crowded):
    stopped = reads_of(crowded, "cancel", "--batch", "default/crowd")
    assert crowded.rows("select count(*) as n from precis_data.requeued where urgency = -1")[0]["n"] == CROWD
    # By its key each, and not all of them for each.
    assert stopped["requeued"][0] == 0 and stopped["requeued"][1] <= 4 * CROWD, stopped
    waiting = {"status of what waits": reads_of(crowded, "status", "default/crowd")}
    run(crowded, END, batch="crowd")
    ended = {" ".join(words): reads_of(crowded, *words) for words in (
        ("status", "default/crowd"), ("status",), ("results", "default/crowd", "--format", "jsonl"),
        ("results", "default/crowd", "--format", "html"), ("results", "default/crowd", "--failed"),
        ("jobs", "--batch", "default/crowd", "--state", "failed"), ("costs", "--batch", "default/crowd"),
        ("retry", "--batch", "default/crowd", "--failed"))}
    for name, reads in {"cancel": stopped, **waiting, **ended}.items():
        for table, (in_turn, by_key) in reads.items():
            assert in_turn + by_key <= 30 * CROWD, (name, table, in_turn / CROWD, by_key / CROWD)
    names = reads_of(crowded, sql="select tenant, batch from precis.batches")
    assert names["jobs"] == names["outcomes"] == (0, 0), "names alone need no counting"
