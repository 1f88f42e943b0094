// SPDX-License-Identifier: Apache-2.0
// precis status: what a batch has done, costs, waits for and still needs.
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/ask.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/status_show.h"
#include "cmd/table.h"

static const char list_sql[] =
    "select tenant, batch, state, total, queued, waiting, running, done, failed, cancelled,"
    " cost_usd::text, in_doubt_usd::text, submitted_at, finished_at from precis.batches"
    " where tenant = coalesce($1, tenant)"
    " order by state = 'ended', submitted_at desc nulls last, tenant, batch limit 50";

static const struct table_column list_columns[] = {
    {"BATCH", TABLE_LEFT},   {"STATE", TABLE_LEFT},     {"TOTAL", TABLE_RIGHT},
    {"QUEUED", TABLE_RIGHT}, {"WAITING", TABLE_RIGHT},  {"RUNNING", TABLE_RIGHT},
    {"DONE", TABLE_RIGHT},   {"FAILED", TABLE_RIGHT},   {"CANCELLED", TABLE_RIGHT},
    {"COST", TABLE_RIGHT},   {"IN DOUBT", TABLE_RIGHT}, {NULL, TABLE_LEFT},
};

static void add_batch(struct table *table, const struct pg_rows *rows, size_t row)
{
    static const char *const counts[] = {"total", "queued", "waiting",  "running",
                                         "done",  "failed", "cancelled"};
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    ask_add_batch(&text, ask_value(rows, row, "tenant"), ask_value(rows, row, "batch"));
    table_take(table, &text);
    const char *state = ask_value(rows, row, "state");
    table_add_styled(table, state, screen_style_of_state(state));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        screen_add_count(&text, ask_value(rows, row, counts[i]));
        table_take(table, &text);
    }
    screen_add_money(&text, ask_value(rows, row, "cost_usd"));
    table_take(table, &text);
    screen_add_money(&text, ask_value(rows, row, "in_doubt_usd"));
    table_take(table, &text);
}

static int show_list(struct invocation *invocation)
{
    struct ask ask = {list_sql, {invocation_value(invocation, "tenant")}, 1};
    if (invocation_json(invocation))
        return ask_print_json(invocation, &ask, stdout);
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    struct table *table = table_new(list_columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        add_batch(table, rows, i);
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else
        printf("There are no batches yet; `precis submit PATH` makes one.\n");
    int code = status_show_workers(invocation, table_rows(table) > 0);
    table_free(table);
    pg_rows_free(rows);
    return code;
}

static int show_once(struct invocation *invocation, const struct batch_name *name)
{
    return name->batch ? status_show_batch(invocation, name) : show_list(invocation);
}

static int watch(struct invocation *invocation, const struct batch_name *name)
{
    interrupt_watch();
    for (;;) {
        fputs("\x1b[H\x1b[2J", stdout);
        int code = show_once(invocation, name);
        fflush(stdout);
        if (code != EXIT_DONE)
            return code;
        interrupt_sleep_ms(1000);
        if (interrupt_came())
            return EXIT_INTERRUPTED;
    }
}

static int run(struct invocation *invocation)
{
    bool watched = invocation_flag(invocation, "watch");
    if (invocation_argument_count(invocation) > 1)
        return invocation_misuse(invocation, "`status` takes one batch");
    if (watched && invocation_json(invocation))
        return invocation_misuse(invocation, "--watch and --json exclude each other");
    if (watched && !screen_is_terminal(stdout))
        return invocation_misuse(invocation, "--watch needs a terminal");
    int code = ask_open(invocation);
    struct batch_name name = {0};
    const char *given = invocation_argument(invocation, 0);
    if (code == EXIT_DONE && given)
        code = ask_batch(invocation, given, &name);
    if (code == EXIT_DONE)
        code = watched ? watch(invocation, &name) : show_once(invocation, &name);
    batch_name_deinit(&name);
    return code;
}

static const struct option_row options[] = {
    {"tenant", "NAME", "only batches of this tenant"},
    {"watch", NULL, "again every second, on a terminal, until Ctrl-C"},
    {0},
};

const struct command command_status = {
    .name = "status",
    .arguments = "[BATCH]",
    .summary = "Show batches: counts, speed, money, and what is being waited for",
    .details = "BATCH is a name, or tenant/batch. Without one: all open batches and the newest "
               "that ended.\n"
               "Durations are those of successful calls; \"in doubt\" is what calls without a\n"
               "complete answer may have cost at most, beside the known cost.",
    .options = options,
    .prints_data = true,
    .run = run,
};
