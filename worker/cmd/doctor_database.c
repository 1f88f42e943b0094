// SPDX-License-Identifier: Apache-2.0
// precis doctor: PostgreSQL, its settings, the schema, the rights and the clock.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/doctor.h"
#include "io/migrate.h"
#include "io/pg_query.h"

#define OLDEST_SERVER   130000 // pg_current_xact_id, trim_scale
#define MOST_CLOCK_MS   1000
#define NAME_SCHEMA     "schema"
#define NAME_POSTGRESQL "postgresql"

static int64_t host_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct pg_rows *ask(struct doctor *doctor, struct pg_session *session, const char *sql)
{
    struct pg_rows *rows;
    struct pg_error error;
    if (pg_query(session, sql, NULL, 0, &rows, &error))
        return rows;
    doctor_add(doctor, DOCTOR_FAIL, NAME_POSTGRESQL, "Look into the server's log.", "%s",
               error.text);
    return NULL;
}

static bool is_true(const struct pg_rows *rows, size_t column)
{
    const char *text = pg_rows_get(rows, 0, column);
    return text && text[0] == 't';
}

// ------------------------------------------------------------------------------- the server

static const char server_sql[] =
    "select current_setting('server_version'), current_setting('server_version_num')::integer,"
    " pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on',"
    " current_setting('server_encoding') = 'UTF8', current_setting('fsync') = 'on'"
    " and current_setting('full_page_writes') = 'on',"
    " current_setting('synchronous_commit') <> 'off', current_database(), current_user";

static void judge_server(struct doctor *doctor, const struct pg_rows *rows)
{
    const char *version = pg_rows_get(rows, 0, 0);
    doctor_add(doctor, DOCTOR_OK, NAME_POSTGRESQL, NULL, "%s answers: database %s, user %s",
               version, pg_rows_get(rows, 0, 6), pg_rows_get(rows, 0, 7));
    if (strtol(pg_rows_get(rows, 0, 1), NULL, 10) < OLDEST_SERVER)
        doctor_add(doctor, DOCTOR_FAIL, NAME_POSTGRESQL, "Use PostgreSQL 15 or later.",
                   "version %s is too old", version);
    if (is_true(rows, 2))
        doctor_add(doctor, DOCTOR_FAIL, NAME_POSTGRESQL, "Point `database` at the primary.",
                   "the server takes no writes: it is a standby, or read only");
    if (!is_true(rows, 3))
        doctor_add(doctor, DOCTOR_FAIL, NAME_POSTGRESQL,
                   "Make the database with `encoding 'UTF8' template template0`.",
                   "the database is not in UTF-8");
    if (!is_true(rows, 4) || !is_true(rows, 5))
        doctor_add(doctor, DOCTOR_WARN, NAME_POSTGRESQL,
                   "Set fsync, full_page_writes and synchronous_commit to on.",
                   "a crash of its machine may lose results that were paid for: %s is off",
                   is_true(rows, 4) ? "synchronous_commit" : "fsync or full_page_writes");
}

static void check_clock(struct doctor *doctor, struct pg_session *session)
{
    int64_t before = host_ms();
    struct pg_rows *rows =
        ask(doctor, session, "select (extract(epoch from clock_timestamp()) * 1000)::bigint");
    if (!rows)
        return;
    int64_t there = strtoll(pg_rows_get(rows, 0, 0), NULL, 10), after = host_ms();
    pg_rows_free(rows);
    // What lies within the question's own time is no difference.
    int64_t off = there > after ? there - after : there < before ? there - before : 0;
    if (off > MOST_CLOCK_MS || off < -MOST_CLOCK_MS)
        doctor_add(doctor, DOCTOR_WARN, "clock",
                   "Run NTP on both machines. precis goes by the database's clock, but TLS and "
                   "logs go by this one.",
                   "PostgreSQL's clock is %.1f s %s of this machine's",
                   (double)(off < 0 ? -off : off) / 1000, off > 0 ? "ahead" : "behind");
    else
        doctor_add(doctor, DOCTOR_OK, "clock", NULL, "PostgreSQL's and this machine's agree");
}

// ------------------------------------------------------------------------------- the schema

static bool judge_schema(struct doctor *doctor, const char *version, const char *oldest)
{
    switch (migrate_judge(version, oldest)) {
    case MIGRATE_TOO_OLD:
        doctor_add(doctor, DOCTOR_FAIL, NAME_SCHEMA, "Run `precis migrate`.",
                   "is at version %s, this program needs %zu", version ? version : "0",
                   migrate_count);
        return false;
    case MIGRATE_TOO_NEW:
        doctor_add(doctor, DOCTOR_FAIL, NAME_SCHEMA, "Install that version or a later one.",
                   "is for precis %s or later; this is %s", oldest, PRECIS_VERSION);
        return false;
    case MIGRATE_FITS:
        break;
    }
    return true;
}

static bool check_changed(struct doctor *doctor, const char *database)
{
    struct migrate_row *rows;
    size_t count, changed = 0;
    struct pg_error error;
    if (!migrate_status(database, &rows, &count, &error))
        return true; // may not read the list; a worker does not either
    for (size_t i = 0; i < count; i++)
        changed += rows[i].state == MIGRATE_CHANGED;
    free(rows);
    if (changed > 0)
        doctor_add(doctor, DOCTOR_FAIL, NAME_SCHEMA,
                   "Use the database's own version of precis, or another database.",
                   "%zu migrations were applied in another form", changed);
    return changed == 0;
}

// False where there is no schema to look further into.
static bool check_schema(struct doctor *doctor, struct pg_session *session, const char *database)
{
    struct pg_rows *rows;
    struct pg_error error;
    if (!pg_query(session, migrate_judge_sql, NULL, 0, &rows, &error)) {
        bool none = strcmp(error.sqlstate, "42P01") == 0 || strcmp(error.sqlstate, "3F000") == 0;
        doctor_add(doctor, DOCTOR_FAIL, NAME_SCHEMA,
                   none ? "Run `precis migrate`."
                        : "Grant this user precis_worker; `precis migrate roles` makes the role.",
                   "%s", none ? "the database has no precis schema" : error.text);
        return false;
    }
    bool fits = judge_schema(doctor, pg_rows_get(rows, 0, 0), pg_rows_get(rows, 0, 1));
    pg_rows_free(rows);
    fits = fits && check_changed(doctor, database);
    if (fits)
        doctor_add(doctor, DOCTOR_OK, NAME_SCHEMA, NULL, "is at version %zu", migrate_count);
    return fits;
}

// The tables that this user may not read, or not write; `migrations` is only read.
static const char rights_sql[] =
    "select (select count(*) from pg_roles where rolname in"
    "  ('precis_migrator', 'precis_worker', 'precis_reader')),"
    " (select string_agg(c.relname || ' (' || missing || ')', ', ' order by c.relname)"
    "  from pg_class c cross join lateral (select string_agg(p, ', ') as missing"
    "    from unnest(case when c.relname = 'migrations' then array['select']"
    "     else array['select', 'insert', 'update', 'delete'] end) p"
    "    where not has_table_privilege(c.oid, p)) lacking"
    "  where c.relnamespace = 'precis_data'::regnamespace and c.relkind = 'r'"
    "   and missing is not null),"
    " (select rolsuper from pg_roles where rolname = current_user)";

static void check_rights(struct doctor *doctor, struct pg_session *session)
{
    struct pg_rows *rows = ask(doctor, session, rights_sql);
    if (!rows)
        return;
    long roles = strtol(pg_rows_get(rows, 0, 0), NULL, 10);
    if (pg_rows_get(rows, 0, 1))
        doctor_add(doctor, DOCTOR_FAIL, "rights",
                   "Grant this user precis_worker; `precis migrate roles` makes the role.",
                   "this user lacks rights that a worker needs: %.300s%s", pg_rows_get(rows, 0, 1),
                   strlen(pg_rows_get(rows, 0, 1)) > 300 ? " …" : "");
    else if (roles < 3)
        doctor_add(doctor, DOCTOR_WARN, "rights",
                   "`precis migrate roles` makes precis_migrator, precis_worker and "
                   "precis_reader.",
                   "everything works as one user: who reads results could change them");
    else if (is_true(rows, 2))
        doctor_add(doctor, DOCTOR_WARN, "rights",
                   "Give the worker a user of its own with the role precis_worker.",
                   "this user is a superuser of PostgreSQL");
    else
        doctor_add(doctor, DOCTOR_OK, "rights", NULL, "the roles are there");
    pg_rows_free(rows);
}

// ------------------------------------------------------------------------------- all of it

static const char workers_sql[] =
    "select count(*) filter (where state = 'live'), count(*) filter (where state = 'lost' and"
    "  lease_until > clock_timestamp() - interval '1 hour'),"
    " string_agg(distinct version, ', ') filter (where state = 'live' and version <> $1)"
    " from precis.workers";

static int64_t check_workers(struct doctor *doctor, struct pg_session *session)
{
    struct pg_rows *rows;
    struct pg_error error;
    const char *const own[] = {PRECIS_VERSION};
    if (!pg_query(session, workers_sql, own, 1, &rows, &error)) {
        doctor_add(doctor, DOCTOR_FAIL, "workers", "Look into the server's log.", "%s", error.text);
        return 0;
    }
    long live = strtol(pg_rows_get(rows, 0, 0), NULL, 10);
    long lost = strtol(pg_rows_get(rows, 0, 1), NULL, 10);
    if (lost > 0)
        doctor_add(doctor, DOCTOR_WARN, "workers",
                   "`precis workers` has them; look into their logs.",
                   "%ld worker%s lost within the last hour", lost, lost == 1 ? " was" : "s were");
    if (pg_rows_get(rows, 0, 2))
        doctor_add(doctor, DOCTOR_WARN, "workers",
                   "That is right while a fleet is updated; else bring them to one version.",
                   "live workers have another version: %s; this is %s", pg_rows_get(rows, 0, 2),
                   PRECIS_VERSION);
    if (live > 0)
        doctor_add(doctor, DOCTOR_OK, "workers", NULL, "%ld %s live", live,
                   live == 1 ? "is" : "are");
    pg_rows_free(rows);
    return live;
}

static const char budgets_sql[] =
    "select scope || case when name = '' then '' else ' ' || name end || ', ' || period,"
    " workers_differ from precis.budgets where workers_differ is not null order by scope, name,"
    " period limit 10";

static void check_budgets(struct doctor *doctor, struct pg_session *session)
{
    struct pg_rows *rows = ask(doctor, session, budgets_sql);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        doctor_add(doctor, DOCTOR_WARN, "budgets",
                   "That is right while a fleet is updated; else give all workers one "
                   "configuration (HUP takes new budgets), or use `precis budget set`, which wins.",
                   "live workers differ on %s: %s; the lowest limit holds", pg_rows_get(rows, i, 0),
                   pg_rows_get(rows, i, 1));
    pg_rows_free(rows);
}

// What to do by the words of the server or the system.
static const char *advice_for(const char *words)
{
    static const struct {
        const char *part, *advice;
    } rows[] = {
        {"password authentication failed",
         "The password of `database` is wrong, or the user does not exist: check the URL, or "
         "${env:…} in it."},
        {"no password supplied", "Add the password to `database`, behind ${env:…} or ${file:…}."},
        {"no pg_hba.conf entry", "Let this user and host in by pg_hba.conf of the server."},
        {"database \"", "Make it: createdb NAME; then `precis migrate`."},
        {"role \"", "Make the user, or name another in `database`."},
        {"certificate verify failed",
         "The server's certificate is not signed by an authority that this machine knows: add "
         "sslrootcert=FILE to `database`."},
        {"does not support SSL",
         "Off this machine TLS is expected: turn it on in the server, or add sslmode=disable to "
         "`database` where the network is trusted."},
        {"too many clients", "Raise max_connections of the server, or end other sessions."},
        {"remaining connection slots",
         "Raise max_connections of the server, or end other sessions."},
        {"could not translate host name", "Check the host's name in `database`."},
        {"refused", "Check host and port in `database`, and that the server runs."},
        {"timeout expired", "Check host and port in `database`, and the firewalls between."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strstr(words, rows[i].part))
            return rows[i].advice;
    return "Check `database` in the configuration, and that the server runs and lets this user in.";
}

int64_t doctor_database(struct doctor *doctor, const struct config *config)
{
    struct pg_error error;
    int64_t live = 0;
    struct pg_session *session = pg_session_open(config->database, "doctor", &error);
    if (!session) {
        doctor_add(doctor, DOCTOR_FAIL, NAME_POSTGRESQL, advice_for(error.text), "%s", error.text);
        return 0;
    }
    struct pg_rows *rows = ask(doctor, session, server_sql);
    if (rows)
        judge_server(doctor, rows);
    pg_rows_free(rows);
    check_clock(doctor, session);
    if (check_schema(doctor, session, config->database)) {
        check_rights(doctor, session);
        live = check_workers(doctor, session);
        check_budgets(doctor, session);
    }
    pg_session_close(session);
    return live;
}
