// SPDX-License-Identifier: Apache-2.0
// Applies the migrations, says what is applied, and grants to the roles.
#include "io/migrate.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

// Any number that no other program in the same database is likely to take: "precis" in ASCII.
#define LOCK_SQL "select pg_advisory_xact_lock(123636629596531)"

static const char begin_sql[] =
    "begin; set local lock_timeout = '60s'; " LOCK_SQL "; set local client_min_messages = warning; "
    "create schema if not exists precis_data; "
    "create table if not exists precis_data.migrations ("
    " version integer primary key, name text not null, sha256 text not null,"
    " oldest_program text not null, applied_at timestamptz not null default clock_timestamp()); "
    "set local lock_timeout = '5s'";

const char *const migrate_judge_sql =
    "select max(version)::text, (select m.oldest_program from precis_data.migrations m"
    " order by string_to_array(m.oldest_program, '.')::integer[] desc limit 1)"
    " from precis_data.migrations";

static void sha256_hex(const struct migration *migration, char out[65])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(migration->sql, migration->sql_len, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

// -1, 0 or 1, as a is lower than, equal to or higher than b.
static int compare_programs(const char *a, const char *b)
{
    for (int i = 0; i < 3; i++) {
        char *a_end, *b_end;
        unsigned long left = strtoul(a, &a_end, 10), right = strtoul(b, &b_end, 10);
        if (left != right)
            return left < right ? -1 : 1;
        a = *a_end == '.' ? a_end + 1 : a_end;
        b = *b_end == '.' ? b_end + 1 : b_end;
    }
    return 0;
}

enum migrate_verdict migrate_judge(const char *version, const char *oldest_program)
{
    long applied = version ? strtol(version, NULL, 10) : 0;
    if (applied < (long)migrate_count)
        return MIGRATE_TOO_OLD;
    if (oldest_program && compare_programs(oldest_program, PRECIS_VERSION) > 0)
        return MIGRATE_TOO_NEW;
    return MIGRATE_FITS;
}

static bool fail(struct pg_error *out_error, const char *format, int version, const char *name)
{
    *out_error = (struct pg_error){0};
    char text[sizeof(out_error->text)];
    snprintf(text, sizeof(text), "migration %d (%s) %s", version, name, format);
    memcpy(out_error->text, text, sizeof(text));
    return false;
}

enum applied { APPLIED_NO, APPLIED_YES, APPLIED_OTHERWISE, APPLIED_ERROR };

static enum applied look_up(struct pg_session *session, const struct migration *migration,
                            struct pg_error *out_error)
{
    char number[12], digest[65];
    snprintf(number, sizeof(number), "%d", migration->version);
    sha256_hex(migration, digest);
    const char *params[] = {number};
    struct pg_rows *rows;
    if (!pg_query(session, "select sha256 from precis_data.migrations where version = $1", params,
                  1, &rows, out_error))
        return APPLIED_ERROR;
    enum applied answer = APPLIED_NO;
    if (pg_rows_count(rows) == 1)
        answer = strcmp(pg_rows_get(rows, 0, 0), digest) == 0 ? APPLIED_YES : APPLIED_OTHERWISE;
    pg_rows_free(rows);
    return answer;
}

static bool apply(struct pg_session *session, const struct migration *migration,
                  struct pg_error *out_error)
{
    char number[12], digest[65];
    snprintf(number, sizeof(number), "%d", migration->version);
    sha256_hex(migration, digest);
    const char *params[] = {number, migration->name, digest, migration->oldest_program};
    return pg_script(session, (const char *)migration->sql, out_error) &&
           pg_query(session,
                    "insert into precis_data.migrations (version, name, sha256, oldest_program)"
                    " values ($1, $2, $3, $4)",
                    params, 4, NULL, out_error);
}

// One migration in one transaction; the caller rolls back where it is false.
static bool step(struct pg_session *session, const struct migration *migration, bool *out_applied,
                 struct pg_error *out_error)
{
    *out_applied = false;
    if (!pg_script(session, begin_sql, out_error))
        return false;
    switch (look_up(session, migration, out_error)) {
    case APPLIED_ERROR:
        return false;
    case APPLIED_OTHERWISE:
        return fail(out_error,
                    "was applied in another form; this program does not fit the database",
                    migration->version, migration->name);
    case APPLIED_YES:
        break;
    case APPLIED_NO:
        if (!apply(session, migration, out_error))
            return false;
        *out_applied = true;
        break;
    }
    return pg_script(session, "commit", out_error);
}

static bool check_newer(struct pg_session *session, struct pg_error *out_error)
{
    struct pg_rows *rows;
    if (!pg_query(session, migrate_judge_sql, NULL, 0, &rows, out_error))
        return false;
    bool fits = migrate_judge(pg_rows_get(rows, 0, 0), pg_rows_get(rows, 0, 1)) == MIGRATE_FITS;
    if (!fits) {
        *out_error = (struct pg_error){0};
        snprintf(out_error->text, sizeof(out_error->text),
                 "the database's schema is for precis %s or later; this is %s",
                 pg_rows_get(rows, 0, 1), PRECIS_VERSION);
    }
    pg_rows_free(rows);
    return fits;
}

static const char grant_sql[] =
    "begin; set local lock_timeout = '60s'; " LOCK_SQL ";"
    "do $$ begin"
    " if exists (select from pg_roles where rolname = 'precis_worker') then"
    "  grant usage on schema precis_data, precis to precis_worker;"
    "  grant select, insert, update, delete on all tables in schema precis_data to precis_worker;"
    "  grant usage on all sequences in schema precis_data to precis_worker;"
    "  revoke insert, update, delete on precis_data.migrations from precis_worker;"
    "  grant select on all tables in schema precis to precis_worker;"
    " end if;"
    " if exists (select from pg_roles where rolname = 'precis_reader') then"
    "  grant usage on schema precis to precis_reader;"
    "  grant select on all tables in schema precis to precis_reader;"
    " end if;"
    "end $$; commit";

// The migrator owns everything, since only owners can change tables and views: so any of its
// members can apply a later migration, whoever applied the earlier ones. Who runs this becomes a
// member, and keeps what it could do.
static const char roles_sql[] =
    "begin; set local lock_timeout = '60s'; " LOCK_SQL ";"
    "do $$ declare r text; n text; begin"
    " foreach r in array array['precis_migrator', 'precis_worker', 'precis_reader'] loop"
    "  if not exists (select from pg_roles where rolname = r) then"
    "   execute format('create role %I nologin', r);"
    "  end if;"
    " end loop;"
    " if not pg_has_role(current_user, 'precis_migrator', 'member') then"
    "  execute format('grant precis_migrator to %I', current_user);"
    " end if;"
    " execute format('grant create, connect on database %I to precis_migrator', "
    "current_database());"
    " for n in select nspname from pg_namespace"
    "  where nspname in ('precis_data', 'precis')"
    "   and nspowner <> (select oid from pg_roles where rolname = 'precis_migrator') loop"
    "  execute format('alter schema %I owner to precis_migrator', n);"
    " end loop;"
    " for n in select c.oid::regclass::text from pg_class c join pg_namespace s"
    "   on s.oid = c.relnamespace"
    "  where s.nspname in ('precis_data', 'precis') and c.relkind in ('r', 'p', 'v')"
    "   and c.relowner <> (select oid from pg_roles where rolname = 'precis_migrator') loop"
    "  execute format('alter table %s owner to precis_migrator', n);"
    " end loop;"
    " for n in select p.oid::regprocedure::text from pg_proc p join pg_namespace s"
    "   on s.oid = p.pronamespace"
    "  where s.nspname in ('precis_data', 'precis')"
    "   and p.proowner <> (select oid from pg_roles where rolname = 'precis_migrator') loop"
    "  execute format('alter function %s owner to precis_migrator', n);"
    " end loop;"
    "end $$; commit";

// A member of the migrator acts as it where the schema is the migrator's, or may become so; what
// it makes is then the migrator's, too. Where the role is of another database's making, nothing
// changes.
static const char become_sql[] = "do $$ begin"
                                 " if (select pg_has_role(current_user, r.oid, 'member')"
                                 "   and coalesce((select n.nspowner = r.oid from pg_namespace n "
                                 "where n.nspname = 'precis_data'),"
                                 "    has_database_privilege(r.oid, current_database(), 'create'))"
                                 "  from pg_roles r where r.rolname = 'precis_migrator') then"
                                 "  set role precis_migrator;"
                                 " end if;"
                                 "end $$";

// Everybody waits for the lock, so a granter never meets another one.
static bool grant(struct pg_session *session, struct pg_error *out_error)
{
    return pg_script(session, grant_sql, out_error);
}

// The schema may not be there yet: then `up` grants.
static bool grant_where_made(struct pg_session *session, struct pg_error *out_error)
{
    struct pg_rows *rows;
    if (!pg_query(session, "select from pg_namespace where nspname = 'precis_data'", NULL, 0, &rows,
                  out_error))
        return false;
    bool made = pg_rows_count(rows) > 0;
    pg_rows_free(rows);
    return !made || grant(session, out_error);
}

static bool up(struct pg_session *session, void (*tell)(void *, const char *), void *context,
               struct pg_error *out_error)
{
    bool any = false;
    if (!pg_script(session, become_sql, out_error))
        return false;
    for (size_t i = 0; i < migrate_count; i++) {
        bool applied;
        if (!step(session, &migrate_list[i], &applied, out_error))
            return false;
        any = any || applied;
        char line[160];
        snprintf(line, sizeof(line), "applied %04d_%s", migrate_list[i].version,
                 migrate_list[i].name);
        if (applied)
            tell(context, line);
    }
    return check_newer(session, out_error) && (!any || grant(session, out_error));
}

bool migrate_up(const char *conninfo, void (*tell)(void *context, const char *line), void *context,
                struct pg_error *out_error)
{
    struct pg_session *session = pg_session_open(conninfo, "migrate", out_error);
    if (session == NULL)
        return false;
    bool ok = up(session, tell, context, out_error);
    pg_session_close(session); // rolls back what did not end well
    return ok;
}

bool migrate_roles(const char *conninfo, struct pg_error *out_error)
{
    struct pg_session *session = pg_session_open(conninfo, "migrate", out_error);
    if (session == NULL)
        return false;
    bool ok = pg_script(session, roles_sql, out_error) &&
              pg_script(session, become_sql, out_error) && grant_where_made(session, out_error);
    pg_session_close(session);
    return ok;
}

static void describe(struct migrate_row *row, const struct migration *migration)
{
    *row = (struct migrate_row){.version = migration->version, .state = MIGRATE_PENDING};
    snprintf(row->name, sizeof(row->name), "%s", migration->name);
}

// Fills in what the database says of one version; columns version, name, sha256, applied_at.
static void mark(struct migrate_row *row, const struct migration *migration,
                 const struct pg_rows *rows, size_t i)
{
    char digest[65] = "";
    if (migration)
        sha256_hex(migration, digest);
    row->version = (int)strtol(pg_rows_get(rows, i, 0), NULL, 10);
    snprintf(row->name, sizeof(row->name), "%s", pg_rows_get(rows, i, 1));
    snprintf(row->applied_at, sizeof(row->applied_at), "%s", pg_rows_get(rows, i, 3));
    if (migration == NULL)
        row->state = MIGRATE_UNKNOWN;
    else if (strcmp(pg_rows_get(rows, i, 2), digest) == 0)
        row->state = MIGRATE_APPLIED;
    else
        row->state = MIGRATE_CHANGED;
}

static struct migrate_row *merge(const struct pg_rows *applied, size_t *out_count)
{
    size_t room = migrate_count + (applied ? pg_rows_count(applied) : 0), count = migrate_count;
    struct migrate_row *list = own_array(room, sizeof(*list));
    for (size_t i = 0; i < migrate_count; i++)
        describe(&list[i], &migrate_list[i]);
    for (size_t i = 0; applied && i < pg_rows_count(applied); i++) {
        size_t version = strtoul(pg_rows_get(applied, i, 0), NULL, 10);
        if (version >= 1 && version <= migrate_count)
            mark(&list[version - 1], &migrate_list[version - 1], applied, i);
        else
            mark(&list[count++], NULL, applied, i);
    }
    *out_count = count;
    return list;
}

bool migrate_status(const char *conninfo, struct migrate_row **out_rows, size_t *out_count,
                    struct pg_error *out_error)
{
    struct pg_session *session = pg_session_open(conninfo, "migrate", out_error);
    if (session == NULL)
        return false;
    struct pg_rows *rows = NULL;
    bool ok = pg_query(session,
                       "select version, name, sha256, to_char(applied_at at time zone 'UTC',"
                       " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') from precis_data.migrations order by 1",
                       NULL, 0, &rows, out_error);
    // 42P01, 3F000: nothing was ever applied here
    bool empty = !ok && (strcmp(out_error->sqlstate, "42P01") == 0 ||
                         strcmp(out_error->sqlstate, "3F000") == 0);
    if (ok || empty)
        *out_rows = merge(rows, out_count);
    pg_rows_free(rows);
    pg_session_close(session);
    return ok || empty;
}
