// SPDX-License-Identifier: Apache-2.0
// precis workers: who works, where, and who was lost.
#include <stdio.h>
#include <string.h>

#include "cmd/ask.h"
#include "cmd/command.h"
#include "cmd/table.h"

#define DAY_OR_ALL                                                                                 \
    " where $1::boolean or w.state <> 'ended' and (w.state = 'live'"                               \
    "  or w.lease_until > clock_timestamp() - interval '1 day')"

// The view's columns, for --json.
static const char view_sql[] =
    "select w.* from precis.workers w" DAY_OR_ALL " order by w.started_at";
// What a person wants to know, in the order in which it is printed.
static const char people_sql[] =
    "select w.worker, w.state, w.host, w.pid, w.version, w.consumer_group, w.http_listen,"
    " (extract(epoch from coalesce(w.ended_at, case when w.state = 'lost' then w.lease_until end,"
    "  clock_timestamp()) - w.started_at) * 1000)::bigint,"
    " (extract(epoch from clock_timestamp() - coalesce(w.ended_at, w.lease_until)) * 1000)::bigint"
    " from precis.workers w" DAY_OR_ALL " order by w.started_at";

static const struct table_column columns[] = {
    {"WORKER", TABLE_LEFT},    {"STATE", TABLE_LEFT}, {"HOST", TABLE_LEFT}, {"PID", TABLE_RIGHT},
    {"VERSION", TABLE_LEFT},   {"GROUP", TABLE_LEFT}, {"HTTP", TABLE_LEFT}, {"UP", TABLE_RIGHT},
    {"GONE FOR", TABLE_RIGHT}, {NULL, TABLE_LEFT},
};

static enum screen_style style_of(const char *state)
{
    if (strcmp(state, "live") == 0)
        return SCREEN_GOOD;
    return strcmp(state, "lost") == 0 ? SCREEN_BAD : SCREEN_DIM;
}

static void add_duration(struct table *table, const char *ms)
{
    struct buf cell;
    buf_init(&cell, 0);
    screen_add_duration(&cell, ms);
    table_take(table, &cell);
}

static void add_row(struct table *table, const struct pg_rows *rows, size_t i)
{
    const char *state = pg_rows_get(rows, i, 1);
    table_add(table, pg_rows_get(rows, i, 0));
    table_add_styled(table, state, style_of(state));
    for (size_t c = 2; c < 7; c++)
        table_add(table, pg_rows_get(rows, i, c));
    add_duration(table, pg_rows_get(rows, i, 7));
    add_duration(table, strcmp(state, "live") == 0 ? NULL : pg_rows_get(rows, i, 8));
}

static void print_people(const struct pg_rows *rows)
{
    if (pg_rows_count(rows) == 0) {
        puts("No worker is running. `precis worker` starts one.");
        return;
    }
    struct table *table = table_new(columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        add_row(table, rows, i);
    table_print(table, stdout);
    table_free(table);
}

static int run(struct invocation *invocation)
{
    int code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    const char *all = invocation_flag(invocation, "all") ? "true" : "false";
    struct ask ask = {.sql = view_sql, .params = {all}, .param_count = 1};
    if (invocation_json(invocation))
        return ask_print_json(invocation, &ask, stdout);
    ask.sql = people_sql;
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    print_people(rows);
    pg_rows_free(rows);
    return EXIT_DONE;
}

static const struct option_row options[] = {
    {"all", NULL, "also those that have ended, and those lost more than a day ago"},
    {0},
};

const struct command command_workers = {
    .name = "workers",
    .summary = "List the workers: live, and lost within a day",
    .details = "live   its lease runs: it is alive and reaches PostgreSQL\n"
               "lost   its lease ended without a good-bye; others take its jobs over\n"
               "ended  it has left as it should (with --all)",
    .options = options,
    .prints_data = true,
    .run = run,
};
