// SPDX-License-Identifier: Apache-2.0
// precis costs: money by model, tenant, batch, day or label. Sums are PostgreSQL's numeric, exact.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/csv.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "core/time_text.h"

// What to group by; $1 is the name of a label.
static const struct grouping {
    const char *name, *title, *sql;
} groupings[] = {
    {"model", "MODEL", "coalesce(c.model, '-')"},
    {"provider", "PROVIDER", "coalesce(c.provider, '-')"},
    {"key", "KEY", "coalesce(c.provider || '/' || c.key_name, c.provider, '-')"},
    {"tenant", "TENANT", "c.tenant"},
    {"batch", "BATCH", "c.tenant || '/' || c.batch"},
    {"day", "DAY (UTC)", "to_char(c.started_at at time zone 'UTC', 'YYYY-MM-DD')"},
    {"label.", "LABEL", "coalesce(c.labels ->> $1::text, '(none)')"},
};

// %s: the grouping. $2 tenant, $3 batch, $4 since, $5 a length of time before now.
static const char costs_sql[] =
    "select k.key, k.is_total, k.calls, k.input_tokens, k.cached_input_tokens, k.output_tokens,"
    " k.reasoning_tokens, k.cost_usd, k.estimated_usd, k.in_doubt_calls, k.in_doubt_at_most_usd,"
    " k.under_way from (select %s as key, grouping(%s) = 1 as is_total, count(*) as calls,"
    "  coalesce(sum(c.input_tokens), 0)::bigint as input_tokens,"
    "  coalesce(sum(c.cached_input_tokens), 0)::bigint as cached_input_tokens,"
    "  coalesce(sum(c.output_tokens), 0)::bigint as output_tokens,"
    "  coalesce(sum(c.reasoning_tokens), 0)::bigint as reasoning_tokens,"
    "  trim_scale(coalesce(sum(c.cost_usd), 0))::text as cost_usd,"
    "  trim_scale(coalesce(sum(c.cost_usd) filter (where c.cost_source = 'estimated'), 0))::text"
    "   as estimated_usd,"
    "  count(*) filter (where c.outcome = 'in_doubt') as in_doubt_calls,"
    "  trim_scale(coalesce(sum(c.at_most_usd) filter (where c.outcome = 'in_doubt'), 0))::text"
    "   as in_doubt_at_most_usd,"
    "  count(*) filter (where c.outcome = 'sent') as under_way"
    "  from precis.costs c where ($1::text is null or true)"
    "   and c.tenant = coalesce($2, c.tenant) and c.batch = coalesce($3, c.batch)"
    "   and c.started_at >= coalesce($4::timestamptz, clock_timestamp() - $5::interval,"
    "    '-infinity') group by grouping sets ((%s), ())) k"
    " where k.calls > 0 order by k.is_total, %s";

static const struct table_column money_columns[] = {
    {"", TABLE_FOLD},        {"CALLS", TABLE_RIGHT},    {"TOKENS IN", TABLE_RIGHT},
    {"CACHED", TABLE_RIGHT}, {"OUT", TABLE_RIGHT},      {"REASONING", TABLE_RIGHT},
    {"COST", TABLE_MONEY},   {"IN DOUBT", TABLE_RIGHT}, {"AT MOST", TABLE_MONEY},
    {NULL, TABLE_LEFT},
};

static const struct grouping *find_grouping(const char *by)
{
    for (size_t i = 0; i < sizeof(groupings) / sizeof(groupings[0]); i++) {
        size_t len = strlen(groupings[i].name);
        bool label = groupings[i].name[len - 1] == '.';
        if (label ? strncmp(by, groupings[i].name, len) == 0 && by[len]
                  : strcmp(by, groupings[i].name) == 0)
            return &groupings[i];
    }
    return NULL;
}

// ------------------------------------------------------------------------------- --since

// A day, a time, or a length of time before now ("7d", "24h", "30m"): one of the two is set.
static bool read_since(const char *text, char time[40], char ago[40])
{
    static const struct {
        char letter;
        const char *unit;
    } units[] = {{'d', "days"}, {'h', "hours"}, {'m', "minutes"}};
    int64_t ms;
    snprintf(time, 40, "%.25s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (time_text_parse(time, &ms)) {
        time_text_format(ms, time);
        return true;
    }
    time[0] = '\0';
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; digits > 0 && digits < 7 && i < sizeof(units) / sizeof(units[0]); i++)
        if (text[digits] == units[i].letter && text[digits + 1] == '\0') {
            snprintf(ago, 40, "%.*s %s", (int)digits, text, units[i].unit);
            return true;
        }
    return false;
}

// ------------------------------------------------------------------------------- text

static void add_row(struct table *table, const struct pg_rows *rows, size_t row)
{
    static const char *const tokens[] = {"calls", "input_tokens", "cached_input_tokens",
                                         "output_tokens", "reasoning_tokens"};
    bool total = strcmp(ask_value(rows, row, "is_total"), "t") == 0;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    table_add_styled(table, total ? "total" : ask_value(rows, row, "key"),
                     total ? SCREEN_BOLD : SCREEN_PLAIN);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        screen_add_count(&text, ask_value(rows, row, tokens[i]));
        table_take(table, &text);
    }
    screen_add_money(&text, ask_value(rows, row, "cost_usd"));
    table_take(table, &text);
    screen_add_count(&text, ask_value(rows, row, "in_doubt_calls"));
    table_take(table, &text);
    screen_add_money(&text, ask_value(rows, row, "in_doubt_at_most_usd"));
    table_take(table, &text);
}

static void print_notes(const struct pg_rows *rows)
{
    size_t last = pg_rows_count(rows) - 1; // the total
    const char *estimated = ask_value(rows, last, "estimated_usd");
    if (strcmp(estimated, "0") != 0)
        printf("$%s of the cost is estimated: the provider did not report what was used.\n",
               estimated);
    if (ask_number(rows, last, "in_doubt_calls") > 0)
        printf("What calls in doubt cost is not known and not part of COST: the bill lies between\n"
               "COST and COST plus AT MOST.\n");
    if (ask_number(rows, last, "under_way") > 0)
        printf("%s calls are under way.\n", ask_value(rows, last, "under_way"));
}

static int show(struct invocation *invocation, const struct ask *ask, const char *title)
{
    struct pg_rows *rows = ask_rows(invocation, ask);
    if (!rows)
        return EXIT_FAILED;
    struct table_column columns[sizeof(money_columns) / sizeof(money_columns[0])];
    memcpy(columns, money_columns, sizeof(columns));
    columns[0].title = title;
    struct table *table = table_new(columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        add_row(table, rows, i);
    if (table_rows(table) > 0) {
        table_print(table, stdout);
        print_notes(rows);
    } else {
        fprintf(stderr, "No calls have been made.\n");
    }
    table_free(table);
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- CSV

static bool wants_csv(const struct invocation *invocation)
{
    const char *format = invocation_value(invocation, "format");
    return format && strcmp(format, "csv") == 0;
}

// The columns of --json, without the total: spreadsheets add up themselves.
static int print_csv(struct invocation *invocation, const struct ask *ask)
{
    struct pg_rows *rows = ask_rows(invocation, ask);
    if (!rows)
        return EXIT_FAILED;
    struct buf out OWN_BUF, cell OWN_BUF;
    buf_init(&out, 0);
    buf_init(&cell, 0);
    size_t columns = pg_rows_columns(rows);
    for (size_t c = 0; c < columns; c++)
        csv_add_cell(&out, pg_rows_name(rows, c), c + 1 < columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++)
        for (size_t c = 0; c < columns; c++) {
            const char *value = pg_rows_get(rows, i, c);
            screen_add_text(&cell, value ? value : "");
            csv_add_cell(&out, buf_str(&cell), c + 1 < columns);
            buf_clear(&cell);
        }
    fwrite(buf_str(&out), 1, out.len, stdout);
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the command

static int ask_costs(struct invocation *invocation, const struct grouping *by, struct ask *ask)
{
    bool csv = wants_csv(invocation);
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    buf_printf(&sql, costs_sql, by->sql, by->sql, by->sql,
               strcmp(by->name, "day") == 0 ? "k.key" : "k.cost_usd::numeric desc, k.key");
    ask->sql = buf_str(&sql);
    if (!csv && !invocation_json(invocation))
        return show(invocation, ask, by->title);
    struct buf rows OWN_BUF;
    buf_init(&rows, 0);
    buf_printf(&rows,
               "select key as \"%s\", calls, input_tokens, cached_input_tokens, output_tokens,"
               " reasoning_tokens, cost_usd, estimated_usd, in_doubt_calls, in_doubt_at_most_usd,"
               " under_way from (%s) r where not is_total",
               strcmp(by->name, "label.") == 0 ? "label" : by->name, ask->sql);
    ask->sql = buf_str(&rows);
    return csv ? print_csv(invocation, ask) : ask_print_json(invocation, ask, stdout);
}

static int run(struct invocation *invocation)
{
    const char *by = invocation_value(invocation, "by");
    const char *since = invocation_value(invocation, "since");
    const char *batch = invocation_value(invocation, "batch");
    const struct grouping *grouping = find_grouping(by ? by : "model");
    char time[40] = "", ago[40] = "";
    if (!grouping)
        return invocation_misuse(invocation, "--by is model, provider, key, tenant, batch, day or "
                                             "label.NAME");
    const char *format = invocation_value(invocation, "format");
    if (format && strcmp(format, "table") != 0 && strcmp(format, "csv") != 0)
        return invocation_misuse(invocation, "--format is table or csv");
    if (format && invocation_json(invocation))
        return invocation_misuse(invocation, "--json and --format exclude each other");
    if (since && !read_since(since, time, ago))
        return invocation_misuse(invocation, "--since is a day (2026-11-22), a time "
                                             "(2026-11-22T07:00:00Z) or a length (7d, 24h, 30m)");
    struct batch_name name = {0};
    int code = ask_open(invocation);
    if (code == EXIT_DONE && batch)
        code = ask_batch(invocation, batch, &name);
    bool label = strcmp(grouping->name, "label.") == 0;
    struct ask ask = {NULL,
                      {label ? by + strlen("label.") : NULL,
                       name.batch ? name.tenant : invocation_value(invocation, "tenant"),
                       name.batch, time[0] ? time : NULL, ago[0] ? ago : NULL},
                      5};
    if (code == EXIT_DONE)
        code = ask_costs(invocation, grouping, &ask);
    batch_name_deinit(&name);
    return code;
}

static const struct option_row options[] = {
    {"by", "WHAT", "model (the default), provider, key, tenant, batch, day or label.NAME"},
    {"format", "NAME", "table (the default) or csv"},
    {"since", "WHEN", "calls begun since then: 2026-11-22, 2026-11-22T07:00:00Z, 7d, 24h, 30m"},
    {"tenant", "NAME", "only of this tenant"},
    {"batch", "NAME", "only of this batch (or tenant/batch)"},
    {0},
};

const struct command command_costs = {
    .name = "costs",
    .summary = "Show what calls cost, to the last digit",
    .details =
        "A call is in doubt where no complete answer came (a crash, a time-out): it may have been\n"
        "paid. Its cost is not part of COST; AT MOST says how much it can be.",
    .options = options,
    .prints_data = true,
    .run = run,
};
