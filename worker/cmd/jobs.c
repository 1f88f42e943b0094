// SPDX-License-Identifier: Apache-2.0
// precis jobs: a list of jobs, newest first.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/screen.h"
#include "cmd/status_waiting.h"
#include "cmd/table.h"
#include "core/text.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX     1000000

#define COLUMNS                                                                                    \
    "select v.tenant, v.batch, v.job_id, v.revision, v.kind, v.state, v.waiting_for,"              \
    " v.earliest_start_at, v.priority, v.deadline, v.attempts, v.error_code, v.error,"             \
    " v.suggestion, v.labels, v.submitted_at, v.started_at, v.finished_at, v.worker,"              \
    " v.kafka_topic, v.kafka_partition, v.kafka_offset, v.cost_usd::text"

// $1 tenant, $2 batch, $3 limit. The names first, by an index; then only those jobs are looked at.
static const char newest_sql[] = COLUMNS
    " from (select r.tenant, r.batch, r.job_id, r.revision, r.job_no from precis.requests r"
    "  where ($1::text is null or r.tenant = $1) and ($2::text is null or r.batch = $2)"
    "  order by r.job_no desc nulls first limit $3::bigint) p"
    " cross join lateral (select * from precis.jobs j where j.tenant = p.tenant"
    "  and j.batch = p.batch and j.job_id = p.job_id and j.revision = p.revision offset 0) v"
    " order by p.job_no desc nulls first";

// $4 state, $5 error code or reason.
static const char chosen_sql[] =
    COLUMNS " from precis.jobs v where ($1::text is null or v.tenant = $1)"
            " and ($2::text is null or v.batch = $2) and v.state = coalesce($4, v.state)"
            " and ($5::text is null or v.error_code = $5 or v.waiting_for = $5)"
            " order by v.submitted_at desc nulls last, v.tenant, v.batch, v.job_id, v.revision desc"
            " limit $3::bigint";

static const struct table_column columns[] = {
    {"JOB", TABLE_FOLD},    {"STATE", TABLE_LEFT}, {"SUBMITTED (UTC)", TABLE_LEFT},
    {"CALLS", TABLE_RIGHT}, {"COST", TABLE_MONEY}, {"WHY", TABLE_WRAP},
    {NULL, TABLE_LEFT},
};

// As long as it has to be: the batch only where not asked for one, a revision where there are any.
static void add_name(struct table *table, const struct pg_rows *rows, size_t row, bool in_batch)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *tenant = ask_value(rows, row, "tenant");
    if (strcmp(tenant, "default") != 0 && !in_batch)
        buf_printf(&text, "%s/", tenant);
    if (!in_batch || strcmp(tenant, "default") != 0)
        buf_printf(&text, "%s/", ask_value(rows, row, "batch"));
    buf_add_str(&text, ask_value(rows, row, "job_id"));
    if (ask_number(rows, row, "revision") > 0)
        buf_printf(&text, " (revision %s)", ask_value(rows, row, "revision"));
    table_take(table, &text);
}

static void add_why(struct table *table, const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *waiting_for = ask_value(rows, row, "waiting_for");
    const char *code = ask_value(rows, row, "error_code");
    if (waiting_for)
        buf_printf(&text, "waits %s", status_reason(waiting_for));
    else if (code)
        buf_printf(&text, "%s: %s", code, ask_value(rows, row, "error"));
    table_add(table, buf_str(&text));
}

static void add_row(struct table *table, const struct pg_rows *rows, size_t row, bool in_batch)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *state = ask_value(rows, row, "state");
    const char *submitted = ask_value(rows, row, "submitted_at");
    add_name(table, rows, row, in_batch);
    table_add_styled(table, state, screen_style_of_state(state));
    buf_printf(&text, "%.19s", submitted ? submitted : "-");
    table_take(table, &text);
    screen_add_count(&text, ask_value(rows, row, "attempts"));
    table_take(table, &text);
    screen_add_money(&text, ask_value(rows, row, "cost_usd"));
    table_take(table, &text);
    add_why(table, rows, row);
}

static int show(struct invocation *invocation, const struct ask *ask, size_t limit)
{
    struct pg_rows *rows = ask_rows(invocation, ask);
    if (!rows)
        return EXIT_FAILED;
    size_t count = pg_rows_count(rows) < limit ? pg_rows_count(rows) : limit;
    struct table *table = table_new(columns);
    for (size_t i = 0; i < count; i++)
        add_row(table, rows, i, ask->params[1] != NULL);
    if (count > 0)
        table_print(table, stdout);
    else
        fprintf(stderr, "No such jobs.\n");
    if (pg_rows_count(rows) > limit)
        printf("There are more; --limit shows more than %zu.\n", limit);
    table_free(table);
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- options

static int read_state(struct invocation *invocation, const char **out)
{
    static const char *const states[] = {"queued", "waiting", "running",
                                         "done",   "failed",  "cancelled"};
    const size_t count = sizeof(states) / sizeof(states[0]);
    *out = invocation_value(invocation, "state");
    for (size_t i = 0; *out && i < count; i++)
        if (strcmp(states[i], *out) == 0)
            return EXIT_DONE;
    if (!*out)
        return EXIT_DONE;
    return invocation_misuse(invocation, "--state is one of queued, waiting, running, done, "
                                         "failed, cancelled");
}

static int read_limit(struct invocation *invocation, size_t *out)
{
    const char *value = invocation_value(invocation, "limit");
    *out = LIMIT_DEFAULT;
    if (!value)
        return EXIT_DONE;
    char *end;
    errno = 0;
    long number = strtol(value, &end, 10);
    if (end == value || *end || errno || number < 1 || number > LIMIT_MAX)
        return invocation_misuse(invocation, "--limit is a number from 1 to %d", LIMIT_MAX);
    *out = (size_t)number;
    return EXIT_DONE;
}

static int ask_jobs(struct invocation *invocation, const char *state, size_t limit)
{
    struct batch_name name = {0};
    const char *batch = invocation_value(invocation, "batch");
    int code = ask_open(invocation);
    if (code == EXIT_DONE && batch)
        code = ask_batch(invocation, batch, &name);
    if (code != EXIT_DONE)
        return code;
    char rows[24];
    bool json = invocation_json(invocation);
    snprintf(rows, sizeof(rows), "%zu", json ? limit : limit + 1);
    const char *cause = invocation_value(invocation, "code");
    struct ask ask = {state || cause ? chosen_sql : newest_sql,
                      {name.batch ? name.tenant : invocation_value(invocation, "tenant"),
                       name.batch, rows, state, cause},
                      state || cause ? 5 : 3};
    code = json ? ask_print_json(invocation, &ask, stdout) : show(invocation, &ask, limit);
    batch_name_deinit(&name);
    return code;
}

static int run(struct invocation *invocation)
{
    const char *state;
    size_t limit;
    int code = read_state(invocation, &state);
    code = code ? code : read_limit(invocation, &limit);
    return code ? code : ask_jobs(invocation, state, limit);
}

static const struct option_row options[] = {
    {"batch", "NAME", "jobs of this batch (or tenant/batch)"},
    {"tenant", "NAME", "jobs of this tenant"},
    {"state", "queued|waiting|running|done|failed|cancelled", "only those in this state"},
    {"code", "CODE", "with this error code, or waiting for this reason"},
    {"limit", "N", "at most so many (50)"},
    {0},
};

const struct command command_jobs = {
    .name = "jobs",
    .summary = "List jobs, the newest first",
    .details =
        "The newest is the one that a worker took up last. All revisions are listed. Jobs that no\n"
        "worker has read yet are not: `precis status` counts them as queued.",
    .options = options,
    .prints_data = true,
    .run = run,
};
