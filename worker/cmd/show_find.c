// SPDX-License-Identifier: Apache-2.0
// Names of jobs.
#include "cmd/show_find.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/screen.h"
#include "core/text.h"

#define CANDIDATES_SHOWN 10

// Messages that never became a job are found by their dead letter.
static const char find_sql[] =
    "select tenant, batch, job_id, max(revision) as revision, max(at) as at from ("
    " select tenant, batch, job_id, revision, submitted_at as at from precis.jobs where job_id = $3"
    " union all"
    " select tenant, batch, job_id, coalesce(revision, 0), failed_at from precis.dead_letters"
    "  where job_id = $3) k"
    " where coalesce($1, tenant) is not distinct from tenant"
    "  and coalesce($2, batch) is not distinct from batch"
    "  and ($4::bigint is null or revision = $4)"
    " group by 1, 2, 3 order by max(at) desc nulls last, 1, 2 limit 11";

static const char near_sql[] =
    "select job_id from precis.jobs where tenant = coalesce($1, tenant)"
    " and batch = coalesce($2, batch) group by 1 order by max(submitted_at) desc nulls last"
    " limit 5000";

// "tenant/batch/id" from behind; what is not there comes from the options.
struct parts {
    char *text; // that the others point into
    const char *tenant, *batch, *id;
};

static void split(struct parts *parts, struct invocation *invocation, const char *given)
{
    parts->text = own_strdup(given);
    parts->tenant = invocation_value(invocation, "tenant");
    parts->batch = invocation_value(invocation, "batch");
    parts->id = parts->text;
    char *slash = strrchr(parts->text, '/');
    if (!slash)
        return;
    *slash = '\0';
    parts->id = slash + 1;
    parts->batch = parts->text;
    slash = strrchr(parts->text, '/');
    if (!slash)
        return;
    *slash = '\0';
    parts->tenant = parts->text;
    parts->batch = slash + 1;
}

static void say_near(struct invocation *invocation, const struct parts *parts)
{
    struct ask ask = {near_sql, {parts->tenant, parts->batch}, 2};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return;
    size_t count = pg_rows_count(rows);
    const char **names = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        names[i] = pg_rows_get(rows, i, 0);
    const char *near = text_nearest(parts->id, names, count);
    if (near)
        fprintf(stderr, "Did you mean \"%s\"?\n", near);
    else
        fprintf(stderr,
                "`precis jobs` lists them; one that no worker has read yet is not known.\n");
    free(names);
    pg_rows_free(rows);
}

static int say_ambiguous(const struct pg_rows *rows, const char *given)
{
    fprintf(stderr, "error: several jobs are called \"%s\"; say which:\n", given);
    for (size_t i = 0; i < pg_rows_count(rows) && i < CANDIDATES_SHOWN; i++)
        fprintf(stderr, "  %s/%s/%s\n", ask_value(rows, i, "tenant"), ask_value(rows, i, "batch"),
                ask_value(rows, i, "job_id"));
    if (pg_rows_count(rows) > CANDIDATES_SHOWN)
        fprintf(stderr, "  and more\n");
    return EXIT_USAGE;
}

static int judge(struct invocation *invocation, const struct parts *parts, const char *given,
                 struct job_name *out)
{
    const char *revision = invocation_value(invocation, "revision");
    struct ask ask = {find_sql, {parts->tenant, parts->batch, parts->id, revision}, 4};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    screen_add_line(&shown, given);
    int code = EXIT_DONE;
    if (pg_rows_count(rows) == 0) {
        fprintf(stderr, "error: there is no job \"%s\"%s%s.\n", buf_str(&shown),
                revision ? " of revision " : "", revision ? revision : "");
        say_near(invocation, parts);
        code = EXIT_FAILED;
    } else if (pg_rows_count(rows) > 1) {
        code = say_ambiguous(rows, buf_str(&shown));
    } else {
        *out = (struct job_name){
            own_strdup(ask_value(rows, 0, "tenant")), own_strdup(ask_value(rows, 0, "batch")),
            own_strdup(ask_value(rows, 0, "job_id")), own_strdup(ask_value(rows, 0, "revision"))};
    }
    pg_rows_free(rows);
    return code;
}

int show_find(struct invocation *invocation, const char *given, struct job_name *out)
{
    struct parts parts;
    *out = (struct job_name){0};
    split(&parts, invocation, given);
    int code = judge(invocation, &parts, given, out);
    free(parts.text);
    return code;
}

void job_name_deinit(struct job_name *name)
{
    free(name->tenant);
    free(name->batch);
    free(name->id);
    free(name->revision);
    *name = (struct job_name){0};
}
