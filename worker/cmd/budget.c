// SPDX-License-Identifier: Apache-2.0
// precis budget: what was set aside for whom, what is left of it, and setting it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/change.h"
#include "cmd/command.h"
#include "cmd/table.h"
#include "core/budget.h"
#include "core/money.h"

// ------------------------------------------------------------------------------- show

static const char view_sql[] = "select b.* from precis.budgets b order by b.scope, b.name,"
                               " array_position(array['day', 'month', 'life'], b.period)";

static const struct table_column columns[] = {
    {"BUDGET OF", TABLE_LEFT},    {"A", TABLE_LEFT},           {"LIMIT", TABLE_MONEY},
    {"SPENT", TABLE_MONEY},       {"UNDER WAY", TABLE_MONEY},  {"IN DOUBT", TABLE_MONEY},
    {"LEFT", TABLE_MONEY},        {"AT THE WALL", TABLE_LEFT}, {"SET BY", TABLE_LEFT},
    {"NEW AT (UTC)", TABLE_LEFT}, {NULL, TABLE_LEFT},
};

static void add_money(struct table *table, const char *usd)
{
    struct buf cell;
    buf_init(&cell, 0);
    screen_add_money(&cell, usd);
    table_take(table, &cell);
}

static void add_row(struct table *table, const struct pg_rows *rows, size_t i)
{
    const char *name = ask_value(rows, i, "name"), *ends = ask_value(rows, i, "ends_at");
    const char *limit = ask_value(rows, i, "limit_usd");
    struct buf cell;
    buf_init(&cell, 0);
    buf_printf(&cell, "%s%s%s", ask_value(rows, i, "scope"), name[0] ? " " : "", name);
    table_take(table, &cell);
    table_add(table, ask_value(rows, i, "period"));
    if (limit)
        add_money(table, limit);
    else
        table_add(table, "none");
    static const char *const amounts[] = {"spent_usd", "reserved_usd", "in_doubt_usd"};
    for (size_t a = 0; a < sizeof(amounts) / sizeof(amounts[0]); a++)
        add_money(table, ask_value(rows, i, amounts[a]));
    if (limit)
        add_money(table, ask_value(rows, i, "left_usd"));
    else
        table_add(table, NULL);
    table_add(table, ask_value(rows, i, "at_wall"));
    table_add(table, ask_value(rows, i, "set_by"));
    buf_printf(&cell, "%.16s", ends ? ends : "-");
    table_take(table, &cell);
}

// Below the table: budgets on which the workers' configurations do not agree.
static void tell_differences(const struct pg_rows *rows)
{
    bool any = false;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        const char *name = ask_value(rows, i, "name"), *period = ask_value(rows, i, "period");
        const char *differ = ask_value(rows, i, "workers_differ");
        if (!differ)
            continue;
        struct buf line;
        buf_init(&line, 0);
        screen_add_line(&line, differ);
        printf("%sWorkers differ on %s%s%s, %s: %s\n", any ? "" : "\n", ask_value(rows, i, "scope"),
               name[0] ? " " : "", name, period, buf_str(&line));
        buf_deinit(&line);
        any = true;
    }
    if (any)
        puts("The lowest limit holds. Give all workers one configuration (HUP takes new budgets),\n"
             "or use `precis budget set`, which wins.");
}

static int show(struct invocation *invocation)
{
    const struct ask ask = {.sql = view_sql};
    if (invocation_json(invocation))
        return ask_print_json(invocation, &ask, stdout);
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    if (pg_rows_count(rows) == 0) {
        puts(
            "There are no budgets. `precis budget set --tenant NAME --month 500` makes one; so do\n"
            "`budget` in the configuration and `precis submit --budget`.");
    } else {
        struct table *table = table_new(columns);
        for (size_t i = 0; i < pg_rows_count(rows); i++)
            add_row(table, rows, i);
        table_print(table, stdout);
        table_free(table);
        tell_differences(rows);
    }
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- set: for whom

struct setting {
    enum budget_scope scope;
    char name[BUDGET_NAME_BYTES];
    const char *at_wall;                 // NULL: as it is
    const char *amounts[BUDGET_PERIODS]; // as they were given; NULL: not given
    int64_t changed;
};

static void no_such_key(const struct config *config, const char *given)
{
    fprintf(stderr, "error: no key `%s` is configured. Known:", given);
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t k = 0; k < config->providers[i].keys.len; k++)
            fprintf(stderr, " %s/%s", config->providers[i].name,
                    config->providers[i].keys.items[k].name);
    fputc('\n', stderr);
}

// By "key" or "provider/key".
static bool find_key(const struct config *config, const char *given, struct setting *out)
{
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t k = 0; k < config->providers[i].keys.len; k++) {
            const char *provider = config->providers[i].name;
            const char *key = config->providers[i].keys.items[k].name;
            snprintf(out->name, sizeof(out->name), "%.200s/%.200s", provider, key);
            if (strcmp(given, key) == 0 || strcmp(given, out->name) == 0)
                return true;
        }
    no_such_key(config, given);
    return false;
}

static int find_provider(struct invocation *invocation, const char *given, struct setting *out)
{
    const struct config *config = invocation_config(invocation);
    if (!config)
        return EXIT_USAGE;
    for (size_t i = 0; i < config->provider_count; i++)
        if (strcmp(config->providers[i].name, given) == 0) {
            snprintf(out->name, sizeof(out->name), "%s", given);
            return EXIT_DONE;
        }
    return invocation_misuse(invocation, "no provider `%s` is configured", given);
}

static int find_batch(struct invocation *invocation, const char *given, struct setting *out)
{
    struct batch_name batch;
    int code = ask_batch(invocation, given, &batch);
    if (code != EXIT_DONE)
        return code;
    snprintf(out->name, sizeof(out->name), "%.200s/%.200s", batch.tenant, batch.batch);
    batch_name_deinit(&batch);
    return EXIT_DONE;
}

// One of --all --tenant --batch --provider --key; --tenant may also stand beside --batch.
static int find_scope(struct invocation *invocation, struct setting *out)
{
    const char *tenant = invocation_value(invocation, "tenant");
    const char *batch = invocation_value(invocation, "batch");
    const char *provider = invocation_value(invocation, "provider");
    const char *key = invocation_value(invocation, "key");
    bool all = invocation_flag(invocation, "all");
    if (all + (provider != NULL) + (key != NULL) + (tenant != NULL || batch != NULL) != 1)
        return invocation_misuse(
            invocation, "whose budget? Give one of --tenant, --batch, --provider, --key and --all");
    const struct config *config;
    out->scope = all        ? BUDGET_ALL
                 : batch    ? BUDGET_BATCH
                 : tenant   ? BUDGET_TENANT
                 : provider ? BUDGET_PROVIDER
                            : BUDGET_KEY;
    switch (out->scope) {
    case BUDGET_ALL:
        return EXIT_DONE;
    case BUDGET_TENANT:
        snprintf(out->name, sizeof(out->name), "%s", tenant);
        return EXIT_DONE;
    case BUDGET_BATCH:
        return find_batch(invocation, batch, out);
    case BUDGET_PROVIDER:
        return find_provider(invocation, provider, out);
    case BUDGET_KEY:
        config = invocation_config(invocation);
        return config && find_key(config, key, out) ? EXIT_DONE : EXIT_USAGE;
    }
    return EXIT_USAGE;
}

// ------------------------------------------------------------------------------- set: how much

static bool valid_amount(const char *text)
{
    int64_t picousd;
    return !text || strcmp(text, "none") == 0 || strcmp(text, "default") == 0 ||
           money_parse_usd(text, &picousd);
}

static int read_amounts(struct invocation *invocation, struct setting *out)
{
    int given = 0;
    for (int period = 0; period < BUDGET_PERIODS; period++) {
        const char *text =
            invocation_value(invocation, budget_period_text((enum budget_period)period));
        out->amounts[period] = text;
        given += text != NULL;
        if (!valid_amount(text))
            return invocation_misuse(invocation,
                                     "--%s takes an amount in USD such as 12.50, none or default",
                                     budget_period_text((enum budget_period)period));
    }
    enum budget_at_wall wall;
    out->at_wall = invocation_value(invocation, "at-wall");
    if (out->at_wall && !budget_at_wall_from(out->at_wall, &wall))
        return invocation_misuse(invocation, "--at-wall takes wait, cheaper or fail");
    if (given == 0 && !out->at_wall)
        return invocation_misuse(invocation, "how much? Give --day, --month or --life");
    return EXIT_DONE;
}

static bool set_one(struct pg_session *session, const struct setting *setting,
                    enum budget_period period, struct pg_error *out_error)
{
    const char *amount = setting->amounts[period];
    char limit[24];
    int64_t picousd = 0;
    bool none = !money_parse_usd(amount, &picousd);
    snprintf(limit, sizeof(limit), "%" PRId64, picousd);
    const char *params[] = {budget_scope_text(setting->scope), setting->name,
                            budget_period_text(period), none ? NULL : limit, setting->at_wall};
    if (strcmp(amount, "default") == 0)
        return pg_query(session, "select precis_data.budget_forget($1, $2, $3)", params, 3, NULL,
                        out_error) &&
               pg_query(session, "select precis_data.budget_apply()", NULL, 0, NULL, out_error);
    return pg_query(session, "select precis_data.budget_set($1, $2, $3, $4::bigint, $5, false)",
                    params, 5, NULL, out_error);
}

// Only what happens at the wall is new.
static bool set_wall(struct pg_session *session, struct setting *setting,
                     struct pg_error *out_error)
{
    static const char sql[] =
        "select count(*), count(precis_data.budget_set(k.scope, k.name, k.period, k.limit_picousd,"
        " $3, false)::text) from (select * from precis_data.budgets where scope = $1 and name = $2"
        " offset 0) k";
    const char *params[] = {budget_scope_text(setting->scope), setting->name, setting->at_wall};
    return change_numbers(session, &(struct change_ask){sql, params, 3}, &setting->changed, 1,
                          out_error);
}

static bool apply(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct setting *setting = context;
    bool any = false;
    setting->changed = 0;
    for (int period = 0; period < BUDGET_PERIODS; period++) {
        if (!setting->amounts[period])
            continue;
        any = true;
        setting->changed++;
        if (!set_one(session, setting, (enum budget_period)period, out_error))
            return false;
    }
    return any || set_wall(session, setting, out_error);
}

static int set(struct invocation *invocation)
{
    struct setting setting = {.scope = BUDGET_ALL};
    int code = read_amounts(invocation, &setting);
    if (code == EXIT_DONE)
        code = find_scope(invocation, &setting);
    if (code == EXIT_DONE)
        code = change_apply(invocation, apply, &setting);
    if (code != EXIT_DONE)
        return code;
    if (setting.changed == 0) {
        fprintf(stderr, "error: %s %s has no budget yet: give --day, --month or --life too\n",
                budget_scope_text(setting.scope), setting.name);
        return EXIT_FAILED;
    }
    return show(invocation);
}

static int run(struct invocation *invocation)
{
    const char *what =
        invocation_argument_count(invocation) > 0 ? invocation_argument(invocation, 0) : "show";
    if (invocation_argument_count(invocation) > 1 ||
        (strcmp(what, "show") != 0 && strcmp(what, "set") != 0))
        return invocation_misuse(invocation, "budget takes `show` or `set`");
    int code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    return strcmp(what, "set") == 0 ? set(invocation) : show(invocation);
}

static const struct option_row options[] = {
    {"tenant", "NAME", "of a tenant; with --batch, the tenant of the batch"},
    {"batch", "NAME", "of a batch"},
    {"provider", "NAME", "of a provider of the configuration"},
    {"key", "NAME", "of a provider's key: its name, or provider/name"},
    {"all", NULL, "of all calls together"},
    {"day", "USD", "money a day (UTC); none: no limit; default: what the configuration says"},
    {"month", "USD", "money a month (UTC)"},
    {"life", "USD", "money ever: a batch's, or a credit"},
    {"at-wall", "wait|cheaper|fail", "what a job does whose next call does not fit; wait, if new"},
    {0},
};

const struct command command_budget = {
    .name = "budget",
    .arguments = "[show|set]",
    .summary = "Show or set what tenants, batches, keys or all may cost",
    .details =
        "A call goes only where the most that it can cost fits into every budget that covers it,\n"
        "beside what was spent and what is under way or in doubt. So no budget is ever exceeded.\n"
        "What was spent before a budget was set counts, if it was in the same day, month or life.\n"
        "A configuration's budgets are set when a worker starts, and on HUP; where workers have\n"
        "different ones the lowest holds. What is set here wins.\n"
        "wait     the job waits for the next day or month, or until the budget is raised\n"
        "cheaper  it takes the next cheaper model of its route; where there is none, it waits\n"
        "fail     it fails with over_budget",
    .options = options,
    .prints_data = true,
    .run = run,
};
