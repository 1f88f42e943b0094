# SPDX-License-Identifier: Apache-2.0
"""The three roles of the database: the migrator applies whatever comes later, the worker does its work and
changes no table, the reader sees the views and nothing else."""
import hashlib
import json

import psycopg2
import pytest

from rig.common import ROOT, wait_until
from rig.program import KEY
from rig.servers import Session

TEXT = "The supplier delivers 12 machines by 1 March 2027. The fee is 40,000 dollars, due on delivery. " * 8
DENIED = psycopg2.errors.InsufficientPrivilege


@pytest.fixture(name="people")
def logins(precis):
    """people(role, role…): the DSN of a new user that has these roles."""
    made = []

    def login(*roles):
        name = f"{precis.name}_u{len(made)}"
        made.append(name)
        with precis.session() as session:
            session.execute(f'create role "{name}" login' + (f" in role {', '.join(roles)}" if roles else ""))
        return precis.dsn.replace("postgres@", f"{name}@")

    yield login
    for worker in precis.workers: # before their users go
        if worker.running:
            worker.terminate()
    with precis.session() as session:
        for name in made:
            session.execute(f'drop owned by "{name}"; drop role "{name}"')


def relations(precis, schema, kinds):
    with precis.session() as session:
        rows = session.rows("""select c.oid::regclass::text as name, pg_get_userbyid(c.relowner) as owner from pg_class c
                               where c.relnamespace = %s::regnamespace and c.relkind = any(%s) order by 1""", schema, kinds)
    assert rows
    return rows


def as_user(precis, dsn, *words, **options):
    kept = precis.config["database"]
    precis.configure(database=dsn)
    try:
        return precis.run(*words, **options)
    finally:
        precis.configure(database=kept)


def denied(session, sql):
    with pytest.raises(DENIED):
        session.execute(sql)


def apply_by_hand(session, count):
    """The first migrations, as an earlier version of the program would have."""
    session.execute("""create schema precis_data; create table precis_data.migrations (version integer primary key, name text not null,
        sha256 text not null, oldest_program text not null, applied_at timestamptz not null default clock_timestamp())""")
    for path in sorted((ROOT / "migrations").glob("0*.sql"))[:count]:
        sql = path.read_text()
        oldest = sql.splitlines()[0].rsplit(" ", 1)[1]
        session.execute(sql)
        session.execute("insert into precis_data.migrations (version, name, sha256, oldest_program) values (%s, %s, %s, %s)",
                        int(path.name[:4]), path.stem[5:], hashlib.sha256(path.read_bytes()).hexdigest(), oldest)


# ------------------------------------------------------------------------------- the migrator


@pytest.mark.unmigrated
def test_roles_before_the_schema(precis, people):
    """The administrator makes the roles in an empty database, and never comes back."""
    precis.run("migrate", "roles")
    first = people("precis_migrator")
    said = as_user(precis, first, "migrate", "up").stdout
    assert "applied 0001_spine" in said
    owners = {row["owner"] for schema in ("precis", "precis_data") for row in relations(precis, schema, ["r", "v"])}
    assert owners == {"precis_migrator"}
    assert as_user(precis, people("precis_migrator"), "migrate", "up").returncode == 0


@pytest.mark.unmigrated
@pytest.mark.parametrize("earlier", [1, 2, 3])
def test_a_later_migration_by_another_migrator(precis, people, earlier):
    """What one user began alone, another goes on with, after `migrate roles`."""
    with precis.session() as session:
        apply_by_hand(session, earlier)
    denied_text = as_user(precis, people(), "migrate", "up", check=False)
    assert denied_text.returncode == 1 and "precis_migrator" in denied_text.stderr
    precis.run("migrate", "roles")
    said = as_user(precis, people("precis_migrator"), "migrate", "up").stdout
    assert f"applied {earlier + 1:04d}_" in said
    for schema in ("precis", "precis_data"):
        assert {row["owner"] for row in relations(precis, schema, ["r", "v"])} == {"precis_migrator"}
    status = as_user(precis, people("precis_migrator"), "migrate", "status", "--json")
    assert {row["state"] for row in json.loads(status.stdout)} == {"applied"}
    # And the new tables and views are granted to the two others.
    with precis.session() as session:
        assert not session.rows("""select c.oid::regclass from pg_class c where c.relnamespace = 'precis_data'::regnamespace
            and c.relkind = 'r' and c.relname <> 'migrations' and not has_table_privilege('precis_worker', c.oid, 'insert')""")
        assert not session.rows("""select c.oid::regclass from pg_class c where c.relnamespace = 'precis'::regnamespace
            and c.relkind = 'v' and not has_table_privilege('precis_reader', c.oid, 'select')""")


def test_roles_of_another_database_change_nothing(precis):
    """Roles are the whole cluster's: a database that never saw `migrate roles` stays its owner's."""
    with precis.session() as session:
        session.execute("do $$ begin if not exists (select from pg_roles where rolname = 'precis_migrator')"
                        " then create role precis_migrator nologin; end if; end $$")
    precis.migrate()
    assert {row["owner"] for row in relations(precis, "precis_data", ["r"])} == {"postgres"}


# ------------------------------------------------------------------------------- the worker


def test_the_worker_changes_no_table(precis, people):
    precis.run("migrate", "roles")
    session = Session(people("precis_worker"))
    for row in relations(precis, "precis_data", ["r"]):
        if row["name"] != "precis_data.migrations":
            session.execute(f"select * from {row['name']} limit 0")
            session.execute(f"update {row['name']} set {first_column(precis, row['name'])} = null where false")
            session.execute(f"delete from {row['name']} where false")
        denied(session, f"truncate {row['name']}")
        denied(session, f"alter table {row['name']} add column extra int")
        denied(session, f"drop table {row['name']}")
    for sql in ("create table precis_data.extra (a int)", "create table precis.extra (a int)", "create table public.extra (a int)",
                "create schema extra", "create or replace view precis.jobs as select 1 as a", "drop view precis.jobs",
                "create role extra", "insert into precis_data.migrations values (99, 'x', 'x', '0.0.1')",
                "delete from precis_data.migrations", "set role precis_migrator"):
        denied(session, sql)
    refused_grant(session, "grant select on precis_data.jobs to public", precis)
    session.close()


def first_column(precis, table):
    return precis.rows("select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attidentity = ''"
                       " and attgenerated = '' and not attisdropped order by attnum limit 1", table)[0]["attname"]


def refused_grant(session, sql, precis):
    """PostgreSQL only warns where there is nothing that one could grant."""
    try:
        session.execute(sql)
    except DENIED:
        pass
    assert precis.rows("select has_table_privilege('public', 'precis_data.jobs', 'select') as it") == [{"it": False}]


@pytest.mark.partitions(4)
def test_all_of_a_worker_s_work_as_the_worker(precis, people):
    """Documents by reference, split and failing ones, bad messages, a crash and its takeover, cancel, retry and
    replay: with the rights of precis_worker alone."""
    precis.run("migrate", "roles")
    precis.configure(database=people("precis_worker"))
    assert precis.json("doctor", check=False)["ok"]
    folder = precis.folder / "documents"
    folder.mkdir()
    (folder / "short.txt").write_text(TEXT)
    (folder / "stored.txt").write_text(TEXT * 20)
    (folder / "long.txt").write_text("".join(f"Clause {n}. {TEXT}\n\n" for n in range(700)))
    (folder / "page.html").write_text(f"<html><body><h1>Order</h1><p>{TEXT}</p></body></html>") # read by a child, its text kept
    (folder / "empty.txt").write_text(" \n")
    precis.configure(models={"grok-4.3": {"context_tokens": 32000, "max_output_tokens": 2048}})
    first = precis.start_worker()
    done = precis.run("submit", folder, "--batch", "b", "--wait", check=False, timeout=180)
    assert done.returncode == 3, done.stdout + done.stderr
    precis.send([{"key": b"x", "value": b'{"v": 1, "kind": "summarize", "documnt": {}}'}])
    wait_until("the bad message to be buried", lambda: precis.dead_letters())

    # A worker that dies: the other waits out its lease and takes over.
    precis.modelsim.script(latency="30s")
    names = [f"job-{n}" for n in range(6)]
    precis.send([precis.job(name, f"{name}. {TEXT}") for name in names])
    wait_until("calls to be under way", lambda: precis.rows("select 1 from precis.costs where outcome = 'sent'"))
    first.kill()
    precis.modelsim.script(latency="0ms")
    second = precis.start_worker()
    jobs = precis.wait_final(names, timeout=120)
    assert {jobs[name]["state"] for name in names} == {"done"}

    # What operators do.
    precis.run("cancel", "later", check=False)
    precis.modelsim.script(next=["http_400"])
    precis.send([precis.job("refused", f"Refused. {TEXT}")])
    assert precis.wait_final(["refused"])["refused"]["state"] == "failed"
    precis.run("retry", "refused")
    wait_until("the retried job", lambda: precis.jobs()["refused"]["state"] == "done")
    letters = precis.json("dlq", "list")
    assert letters
    precis.run("dlq", "list")
    for words in (["status", "b"], ["results", "b"], ["jobs"], ["workers"], ["costs"], ["show", "refused"]):
        precis.run(*words)
    precis.wait_committed()
    assert second.terminate() == 0
    precis.check_promises(names + ["refused"])
    for worker in (first, second):
        assert "42501" not in worker.log() and "permission denied" not in worker.log() and KEY not in worker.log()
    with precis.session() as session: # nothing went out of the reader's sight
        assert session.value("select count(*) from precis.summaries") >= len(names) + 3


# ------------------------------------------------------------------------------- the reader


def test_the_reader_sees_the_views_and_nothing_else(precis, people):
    precis.run("migrate", "roles")
    worker = precis.start_worker()
    precis.send([precis.job("one", TEXT)])
    precis.wait_final(["one"])
    assert worker.terminate() == 0
    dsn = people("precis_reader")
    session = Session(dsn)
    views = relations(precis, "precis", ["v"])
    for row in views:
        session.rows(f"select * from {row['name']}")
        column = precis.rows("select attname from pg_attribute where attrelid = %s::regclass and attnum = 1", row["name"])[0]["attname"]
        with pytest.raises((DENIED, psycopg2.errors.ObjectNotInPrerequisiteState, psycopg2.errors.FeatureNotSupported)):
            session.execute(f'update {row["name"]} set "{column}" = null')
        with pytest.raises((DENIED, psycopg2.errors.ObjectNotInPrerequisiteState, psycopg2.errors.FeatureNotSupported)):
            session.execute(f"delete from {row['name']}")
    assert session.value("select count(*) from precis.summaries") == 1
    for row in relations(precis, "precis_data", ["r"]):
        denied(session, f"select * from {row['name']}")
    for sql in ("create table precis.extra (a int)", "create table public.extra (a int)", "create table precis_data.extra (a int)",
                "create view precis.extra as select 1 as a", "set role precis_worker", "set role precis_migrator"):
        denied(session, sql)
    session.close()
    for words in (["status"], ["results", "default"], ["jobs"], ["show", "one"], ["costs"], ["workers"]):
        as_user(precis, dsn, *words)
    done = as_user(precis, dsn, "cancel", "one", check=False)
    assert done.returncode == 1 and "precis_worker" in done.stderr
