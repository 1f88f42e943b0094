// SPDX-License-Identifier: Apache-2.0
// Asking PostgreSQL for commands.
#include "cmd/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "cmd/screen.h"
#include "core/text.h"

#define GROUP_SQL "fetch 500 from precis_rows"

static bool schema_is_missing(const struct pg_error *error)
{
    return strcmp(error->sqlstate, "3F000") == 0 || strcmp(error->sqlstate, "42P01") == 0;
}

static void say(const struct pg_error *error)
{
    screen_progress_end();
    if (schema_is_missing(error))
        fprintf(stderr, "error: the database has no precis schema, or an old one.\n"
                        "Run `precis migrate`.\n");
    else if (strcmp(error->sqlstate, "42501") == 0)
        fprintf(stderr,
                "error: PostgreSQL: this user may not read precis' tables (%s).\n"
                "Grant it the role precis_reader, or precis_worker to submit.\n",
                error->text);
    else
        fprintf(stderr, "error: PostgreSQL: %s\n", error->text);
}

static bool run(struct pg_session *session, const struct ask *ask, struct pg_rows **out_rows)
{
    struct pg_error error;
    if (pg_query(session, ask->sql, ask->params, ask->param_count, out_rows, &error))
        return true;
    say(&error);
    return false;
}

int ask_open(struct invocation *invocation)
{
    if (!invocation_config(invocation))
        return EXIT_USAGE;
    struct pg_session *session = invocation_database(invocation);
    struct pg_rows *rows;
    struct pg_error error;
    // Compiling a statement of these takes longer than what it saves.
    if (!session || !pg_script(session, "set jit = off", &error) ||
        !run(session, &(struct ask){.sql = "select to_regclass('precis.jobs')"}, &rows))
        return EXIT_FAILED;
    bool there = pg_rows_get(rows, 0, 0) != NULL;
    pg_rows_free(rows);
    if (!there)
        say(&(struct pg_error){.sqlstate = "3F000"});
    return there ? EXIT_DONE : EXIT_USAGE;
}

struct pg_rows *ask_rows(struct invocation *invocation, const struct ask *ask)
{
    struct pg_session *session = invocation_database(invocation);
    struct pg_rows *rows;
    return session && run(session, ask, &rows) ? rows : NULL;
}

struct pg_rows *ask_try(struct invocation *invocation, const struct ask *ask)
{
    struct pg_session *session = invocation_database(invocation);
    struct pg_rows *rows;
    struct pg_error error;
    return session && pg_query(session, ask->sql, ask->params, ask->param_count, &rows, &error)
               ? rows
               : NULL;
}

const char *ask_value(const struct pg_rows *rows, size_t row, const char *column)
{
    for (size_t c = 0; row < pg_rows_count(rows) && c < pg_rows_columns(rows); c++)
        if (strcmp(pg_rows_name(rows, c), column) == 0)
            return pg_rows_get(rows, row, c);
    return NULL;
}

int64_t ask_number(const struct pg_rows *rows, size_t row, const char *column)
{
    const char *text = ask_value(rows, row, column);
    return text ? strtoll(text, NULL, 10) : 0;
}

// ------------------------------------------------------------------------------- many rows

static bool each_group(struct pg_session *session,
                       bool (*each)(void *context, const struct pg_rows *rows), void *context)
{
    for (;;) {
        struct pg_rows *rows;
        if (!run(session, &(struct ask){.sql = GROUP_SQL}, &rows))
            return false;
        bool more = pg_rows_count(rows) > 0 && each(context, rows);
        pg_rows_free(rows);
        if (!more)
            return true;
    }
}

bool ask_each(struct invocation *invocation, const struct ask *ask,
              bool (*each)(void *context, const struct pg_rows *rows), void *context)
{
    struct pg_session *session = invocation_database(invocation);
    if (!session)
        return false;
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    buf_printf(&sql, "declare precis_rows cursor for %s", ask->sql);
    struct ask declare = *ask;
    declare.sql = buf_str(&sql);
    struct pg_error error;
    bool good = run(session, &(struct ask){.sql = "begin read only"}, NULL) &&
                run(session, &declare, NULL) && each_group(session, each, context);
    return pg_script(session, "rollback", &error) && good;
}

struct json_out {
    FILE *file;
    bool any;
};

static bool print_group(void *context, const struct pg_rows *rows)
{
    struct json_out *out = context;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        buf_add_str(&text, out->any ? ",\n" : "[\n");
        out->any = true;
        screen_add_json(&text, pg_rows_get(rows, i, 0));
    }
    return fwrite(buf_str(&text), 1, text.len, out->file) == text.len;
}

int ask_print_json(struct invocation *invocation, const struct ask *ask, FILE *file)
{
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    buf_printf(&sql, "select row_to_json(q) from (%s) q", ask->sql);
    struct ask wrapped = *ask;
    wrapped.sql = buf_str(&sql);
    struct json_out out = {.file = file};
    if (!ask_each(invocation, &wrapped, print_group, &out))
        return EXIT_FAILED;
    fputs(out.any ? "\n]\n" : "[]\n", file);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- batches

void batch_name_deinit(struct batch_name *name)
{
    free(name->tenant);
    free(name->batch);
    *name = (struct batch_name){0};
}

void ask_add_batch(struct buf *out, const char *tenant, const char *batch)
{
    if (strcmp(tenant, "default") != 0)
        buf_printf(out, "%s/", tenant);
    buf_add_str(out, batch);
}

static void say_nearest(struct invocation *invocation, const char *given)
{
    struct pg_rows *rows = ask_rows(
        invocation, &(struct ask){.sql = "select batch from precis.batches"
                                         " group by 1 order by max(submitted_at) desc nulls last"
                                         " limit 2000"});
    if (!rows)
        return;
    size_t count = pg_rows_count(rows);
    const char **names = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        names[i] = pg_rows_get(rows, i, 0);
    const char *near = text_nearest(given, names, count);
    if (near)
        fprintf(stderr, "Did you mean \"%s\"?\n", near);
    else if (count == 0)
        fprintf(stderr, "There are no batches yet; `precis submit PATH` makes one.\n");
    else
        fprintf(stderr, "The newest are:");
    for (size_t i = 0; !near && i < count && i < 5; i++)
        fprintf(stderr, "%s \"%s\"", i ? "," : "", names[i]);
    if (!near && count > 0)
        fprintf(stderr, ".\n");
    free(names);
    pg_rows_free(rows);
}

// "tenant/batch" has one slash; names have none.
static char *tenant_of(struct invocation *invocation, const char *given, const char **out_batch)
{
    const char *slash = strchr(given, '/');
    *out_batch = slash ? slash + 1 : given;
    return slash ? own_strndup(given, (size_t)(slash - given))
                 : own_strdup(invocation_value(invocation, "tenant"));
}

static int judge_batch(struct invocation *invocation, const struct pg_rows *rows, const char *given,
                       struct batch_name *out)
{
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    screen_add_line(&shown, given);
    if (pg_rows_count(rows) == 0) {
        fprintf(stderr, "error: there is no batch \"%s\".\n", buf_str(&shown));
        say_nearest(invocation, strchr(given, '/') ? strchr(given, '/') + 1 : given);
        return EXIT_FAILED;
    }
    if (pg_rows_count(rows) > 1) {
        fprintf(stderr, "error: several tenants have a batch \"%s\"; say which:\n",
                buf_str(&shown));
        for (size_t i = 0; i < pg_rows_count(rows); i++)
            fprintf(stderr, "  %s/%s\n", pg_rows_get(rows, i, 0), pg_rows_get(rows, i, 1));
        return EXIT_USAGE;
    }
    out->tenant = own_strdup(pg_rows_get(rows, 0, 0));
    out->batch = own_strdup(pg_rows_get(rows, 0, 1));
    return EXIT_DONE;
}

int ask_batch(struct invocation *invocation, const char *given, struct batch_name *out)
{
    const char *batch;
    char *tenant OWN_FREE = tenant_of(invocation, given, &batch);
    struct pg_rows *rows = ask_rows(
        invocation, &(struct ask){.sql = "select tenant, batch from precis.batches"
                                         " where batch = $1 and tenant = coalesce($2, tenant)"
                                         " order by tenant limit 20",
                                  .params = {batch, tenant},
                                  .param_count = 2});
    if (!rows)
        return EXIT_FAILED;
    int code = judge_batch(invocation, rows, given, out);
    pg_rows_free(rows);
    return code;
}
