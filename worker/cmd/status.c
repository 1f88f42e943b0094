// SPDX-License-Identifier: Apache-2.0
// precis status: what a batch has done, costs, waits for and still needs.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ask.h"
#include "cmd/screen.h"
#include "cmd/status_show.h"
#include "cmd/status_watch.h"
#include "cmd/table.h"

struct shown {
    struct invocation *invocation;
    const struct batch_name *name; // batch NULL: the list
};

static const char list_sql[] =
    "select tenant, batch, state, total, queued, waiting, running, done, failed, cancelled,"
    " cost_usd::text, in_doubt_usd::text, submitted_at, finished_at from precis.batches"
    " where tenant = coalesce($1, tenant)"
    " order by state = 'ended', submitted_at desc nulls last, tenant, batch limit 50";

static const struct table_column list_columns[] = {
    {"BATCH", TABLE_FOLD},   {"STATE", TABLE_LEFT},     {"TOTAL", TABLE_RIGHT},
    {"QUEUED", TABLE_RIGHT}, {"WAITING", TABLE_RIGHT},  {"RUNNING", TABLE_RIGHT},
    {"DONE", TABLE_RIGHT},   {"FAILED", TABLE_RIGHT},   {"CANCELLED", TABLE_RIGHT},
    {"COST", TABLE_MONEY},   {"IN DOUBT", TABLE_MONEY}, {NULL, TABLE_LEFT},
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

// "2 workers are live.", or what to start where none is and one is needed.
static bool add_workers(struct invocation *invocation, struct buf *out, bool needed)
{
    struct pg_rows *rows =
        ask_rows(invocation, &(struct ask){.sql = "select count(*) as live from precis.workers"
                                                  " where state = 'live'"});
    if (!rows)
        return false;
    int64_t live = ask_number(rows, 0, "live");
    pg_rows_free(rows);
    if (live > 0)
        buf_printf(out, "%lld worker%s.\n", (long long)live, live == 1 ? " is live" : "s are live");
    else if (needed)
        buf_add_str(out, "No worker is live: start `precis worker`.\n");
    return true;
}

static bool add_list(struct invocation *invocation, FILE *file, struct buf *out)
{
    struct ask ask = {list_sql, {invocation_value(invocation, "tenant")}, 1};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return false;
    struct table *table = table_new(list_columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        add_batch(table, rows, i);
    if (table_rows(table) > 0)
        table_write(table, file, out);
    else
        buf_add_str(out, "There are no batches yet; `precis submit PATH` makes one.\n");
    bool good = add_workers(invocation, out, table_rows(table) > 0);
    table_free(table);
    pg_rows_free(rows);
    return good;
}

static bool add_look(void *context, FILE *file, struct buf *out, struct status_facts *out_facts)
{
    const struct shown *shown = context;
    *out_facts = (struct status_facts){0};
    if (!shown->name->batch)
        return add_list(shown->invocation, file, out);
    if (file)
        return status_add_batch(shown->invocation, shown->name, file, out, out_facts);
    return status_add_line(shown->invocation, shown->name, out, out_facts);
}

static int show_json(const struct shown *shown)
{
    struct ask ask = {list_sql, {invocation_value(shown->invocation, "tenant")}, 1};
    return shown->name->batch ? status_print_json(shown->invocation, shown->name)
                              : ask_print_json(shown->invocation, &ask, stdout);
}

static int show(struct shown *shown, int64_t interval_ms)
{
    struct status_facts facts;
    if (invocation_json(shown->invocation))
        return show_json(shown);
    if (invocation_flag(shown->invocation, "watch"))
        return status_watch(add_look, shown, interval_ms);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (!add_look(shown, stdout, &text, &facts))
        return EXIT_FAILED;
    fwrite(buf_str(&text), 1, text.len, stdout);
    return EXIT_DONE;
}

// "2" or "0.5"; -1: it was said that it is no such thing.
static int64_t read_interval(struct invocation *invocation)
{
    const char *text = invocation_value(invocation, "interval");
    char *end = NULL;
    double seconds = text ? strtod(text, &end) : 0;
    if (!text)
        return screen_is_terminal(stdout) ? 1000 : 10000;
    if (end != text && *end == '\0' && seconds >= 0.1 && seconds <= 86400)
        return (int64_t)(seconds * 1000);
    invocation_misuse(invocation, "--interval is seconds, from 0.1 to 86400");
    return -1;
}

// 0, or the exit code: it was said why.
static int check_options(struct invocation *invocation)
{
    bool watched = invocation_flag(invocation, "watch");
    if (invocation_argument_count(invocation) > 1)
        return invocation_misuse(invocation, "`status` takes one batch");
    if (watched && invocation_json(invocation))
        return invocation_misuse(invocation, "--watch and --json exclude each other");
    if (invocation_flag(invocation, "interval") && !watched)
        return invocation_misuse(invocation, "--interval goes with --watch");
    if (watched && invocation_argument_count(invocation) == 0 && !screen_is_terminal(stdout))
        return invocation_misuse(invocation, "--watch needs a batch, or a terminal");
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    int code = check_options(invocation);
    int64_t interval_ms = code == EXIT_DONE ? read_interval(invocation) : -1;
    if (interval_ms < 0)
        return EXIT_USAGE;
    const char *given = invocation_argument(invocation, 0);
    struct batch_name name = {0};
    struct shown shown = {invocation, &name};
    code = ask_open(invocation);
    if (code == EXIT_DONE && given)
        code = ask_batch(invocation, given, &name);
    if (code == EXIT_DONE)
        code = show(&shown, interval_ms);
    batch_name_deinit(&name);
    return code;
}

static const struct option_row options[] = {
    {"tenant", "NAME", "only batches of this tenant"},
    {"watch", NULL, "again and again, until the batch has ended or Ctrl-C"},
    {"interval", "SECONDS", "between two looks (1 on a terminal, else 10)"},
    {0},
};

const struct command command_status = {
    .name = "status",
    .arguments = "[BATCH]",
    .summary = "Show batches: counts, speed, money, and what is being waited for",
    .details =
        "BATCH is a name, or tenant/batch. Without one: open batches and the newest that ended.\n"
        "Durations are those of successful calls; \"in doubt\" is what calls without a complete\n"
        "answer may have cost at most, beside the known cost.\n"
        "--watch redraws a terminal, and writes a line a look into a file or pipe. It ends with "
        "the\n"
        "batch: exit code 0, or 3 where jobs failed or were cancelled; 130 after Ctrl-C.",
    .options = options,
    .prints_data = true,
    .run = run,
};
