// SPDX-License-Identifier: Apache-2.0
// precis quota: the limits of keys and models, what is used of them, and new ones while workers
// run.
//
// What is set counts in place of what workers have configured, until it is given back with
// `default`. A trigger of the table tells the workers, so that it holds at their next ask: within
// the second.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ask.h"
#include "cmd/change.h"
#include "cmd/screen.h"
#include "cmd/status_waiting.h"
#include "cmd/table.h"
#include "core/config.h"

static const char limits_sql[] =
    "select l.provider || '/' || l.key_name as key, l.model, l.dimension, l.per, l.configured,"
    " l.is_set, l.provider_limit, l.effective, l.used,"
    " round(l.used * 100.0 / nullif(l.effective, 0)) as used_percent,"
    " greatest(extract(epoch from l.free_at - clock_timestamp()) * 1000, 0)::bigint as free_in_ms"
    " from precis.quota_limits l where ($1::text is null or l.model = $1)"
    "  and ($2::text is null or l.key_name = $2)"
    " union all select q.provider || '/' || q.key_name, q.model, 'in_flight', 'at once',"
    "  q.in_flight_limit, false, null, q.in_flight_limit, q.in_flight,"
    "  round(q.in_flight * 100.0 / q.in_flight_limit), null from precis.quota q"
    "  where q.in_flight_limit is not null and ($1::text is null or q.model = $1)"
    "   and ($2::text is null or q.key_name = $2)"
    " order by 1, 2, 4 desc, 3";

static const char keys_sql[] =
    "select q.provider || '/' || q.key_name as key, q.model, q.requests, q.in_flight, q.throttled,"
    " q.closed_by, greatest(extract(epoch from q.closed_until - clock_timestamp()) * 1000, "
    "0)::bigint"
    "  as closed_for_ms, q.workers_asking, q.workers_waiting from precis.quota q"
    " where ($1::text is null or q.model = $1) and ($2::text is null or q.key_name = $2)"
    " order by 1, 2";

static const char json_sql[] =
    "select q.provider, q.key_name, q.model, q.requests, q.in_flight, q.throttled, q.input_tokens,"
    " q.output_tokens, nullif(q.closed_by, 'fine') as closed_by, q.closed_until, q.workers_asking,"
    " q.workers_waiting, q.in_flight_limit, (select coalesce(json_agg(json_build_object("
    "  'dimension', l.dimension, 'per', l.per, 'configured', l.configured, 'is_set', l.is_set,"
    "  'provider_limit', l.provider_limit, 'effective', l.effective, 'used', l.used,"
    "  'free_at', l.free_at)), '[]') from precis.quota_limits l where l.provider = q.provider"
    "   and l.key_name = q.key_name and l.model = q.model) as limits from precis.quota q"
    " where ($1::text is null or q.model = $1) and ($2::text is null or q.key_name = $2)"
    " order by q.provider, q.key_name, q.model";

// By the names of the configuration.
static const struct dimension {
    const char *option, *name, *words;
} dimensions[] = {
    {"rpm", "requests", "requests"},     {"tpm", "tokens", "tokens"},
    {"itpm", "input", "input tokens"},   {"otpm", "output", "output tokens"},
    {"rpd", "requests_day", "requests"}, {"tpd", "tokens_day", "tokens"},
    {"in-flight", "in_flight", "calls"},
};
#define DIMENSIONS (sizeof(dimensions) / sizeof(dimensions[0]))

// ------------------------------------------------------------------------------- show

static const char *words_of(const char *dimension)
{
    for (size_t i = 0; i < DIMENSIONS; i++)
        if (strcmp(dimensions[i].name, dimension) == 0)
            return dimensions[i].words;
    return dimension;
}

// "10 requests a minute"
static void add_limit(struct buf *out, const struct pg_rows *rows, size_t row, const char *column)
{
    const char *per = ask_value(rows, row, "per");
    screen_add_count(out, ask_value(rows, row, column));
    buf_printf(out, " %s %s%s", words_of(ask_value(rows, row, "dimension")),
               strcmp(per, "at once") == 0 ? "" : "a ", per);
}

static void add_row(struct table *table, const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    table_add(table, ask_value(rows, row, "key"));
    table_add(table, ask_value(rows, row, "model"));
    if (ask_value(rows, row, "configured"))
        add_limit(&text, rows, row, "configured");
    else
        buf_printf(&text, "%s, as the provider says", words_of(ask_value(rows, row, "dimension")));
    if (strcmp(ask_value(rows, row, "is_set"), "t") == 0)
        buf_add_str(&text, " (set)");
    table_take(table, &text);
    screen_add_count(&text, ask_value(rows, row, "provider_limit"));
    table_take(table, &text);
    screen_add_count(&text, ask_value(rows, row, "effective"));
    table_take(table, &text);
    screen_add_count(&text, ask_value(rows, row, "used"));
    table_take(table, &text);
    if (ask_value(rows, row, "used_percent"))
        buf_printf(&text, "%s %%", ask_value(rows, row, "used_percent"));
    else
        buf_add_char(&text, '-');
    table_take(table, &text);
}

// What a person has to know of a key: closed, or asked for more than it gives.
static void print_key(const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    const char *key = ask_value(rows, row, "key"), *cause = ask_value(rows, row, "closed_by");
    int64_t waiting = ask_number(rows, row, "workers_waiting");
    int64_t throttled = ask_number(rows, row, "throttled");
    buf_init(&text, 0);
    if (cause && strcmp(cause, "fine") != 0) {
        buf_printf(&text, "%s (%s) is closed: %s", key, ask_value(rows, row, "model"),
                   status_key_cause(cause));
        if (ask_number(rows, row, "closed_for_ms") > 0) {
            buf_add_str(&text, "; one call tries it in ");
            screen_add_duration_ms(&text, ask_number(rows, row, "closed_for_ms"));
        } else {
            buf_add_str(&text, "; one call tries it now");
        }
        printf("%s.\n", buf_str(&text));
    }
    if (throttled > 0)
        printf("%s (%s) refused %lld calls in the last minute (429).\n", key,
               ask_value(rows, row, "model"), (long long)throttled);
    if (waiting > 0)
        printf("%s (%s): %lld of %s workers that ask have to wait; that is what a limit is for.\n",
               key, ask_value(rows, row, "model"), (long long)waiting,
               ask_value(rows, row, "workers_asking"));
}

static int show_text(struct invocation *invocation, struct ask *ask)
{
    static const struct table_column columns[] = {
        {"KEY", TABLE_FOLD},         {"MODEL", TABLE_FOLD}, {"LIMIT", TABLE_LEFT},
        {"PROVIDER'S", TABLE_RIGHT}, {"NOW", TABLE_RIGHT},  {"USED", TABLE_RIGHT},
        {"", TABLE_RIGHT},           {NULL, TABLE_LEFT},
    };
    ask->sql = limits_sql;
    struct pg_rows *limits = ask_rows(invocation, ask);
    ask->sql = keys_sql;
    struct pg_rows *keys = limits ? ask_rows(invocation, ask) : NULL;
    struct table *table = table_new(columns);
    for (size_t i = 0; keys && i < pg_rows_count(limits); i++)
        add_row(table, limits, i);
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else if (keys)
        puts("No limit is known: none is configured, or no worker has asked yet.");
    for (size_t i = 0; keys && i < pg_rows_count(keys); i++)
        print_key(keys, i);
    int code = keys ? EXIT_DONE : EXIT_FAILED;
    table_free(table);
    pg_rows_free(limits);
    pg_rows_free(keys);
    return code;
}

static int show(struct invocation *invocation)
{
    struct ask ask = {
        json_sql, {invocation_value(invocation, "model"), invocation_value(invocation, "key")}, 2};
    return invocation_json(invocation) ? ask_print_json(invocation, &ask, stdout)
                                       : show_text(invocation, &ask);
}

// ------------------------------------------------------------------------------- set

static const char set_sql[] =
    "insert into precis_data.quota_settings (provider, key_name, model, dimension, most)"
    " values ($1, $2, $3, $4, $5::bigint)"
    " on conflict (provider, model, key_name, dimension)"
    " do update set most = excluded.most, set_at = clock_timestamp()";

static const char unset_sql[] =
    "delete from precis_data.quota_settings where provider = $1 and key_name = $2 and model = $3"
    " and dimension = $4";

struct setting {
    struct invocation *invocation;
    const struct config_model *model;
    const char *key; // "": every key
};

static bool apply(struct pg_session *session, void *context, struct pg_error *out_error)
{
    const struct setting *setting = context;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        const char *value = invocation_value(setting->invocation, dimensions[i].option);
        if (!value)
            continue;
        bool unset = strcmp(value, "default") == 0;
        const char *params[] = {setting->model->provider->name, setting->key, setting->model->name,
                                dimensions[i].name, value};
        struct pg_rows *rows;
        if (!pg_query(session, unset ? unset_sql : set_sql, params, unset ? 4 : 5, &rows,
                      out_error))
            return false;
        pg_rows_free(rows);
    }
    return true;
}

// A whole number from 1 on, or `default`.
static bool is_limit(const char *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    return strcmp(value, "default") == 0 ||
           (end != value && *end == '\0' && errno == 0 && number > 0 && number <= 1000000000000);
}

static int check_values(struct invocation *invocation)
{
    size_t given = 0;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        const char *value = invocation_value(invocation, dimensions[i].option);
        given += value != NULL;
        if (value && !is_limit(value))
            return invocation_misuse(invocation, "--%s is a whole number from 1 on, or `default`",
                                     dimensions[i].option);
    }
    return given > 0 ? EXIT_DONE
                     : invocation_misuse(invocation, "`quota set` needs a limit, such as --rpm 84");
}

static int find_lane(struct setting *setting, const struct config *config)
{
    const char *name = invocation_value(setting->invocation, "model");
    for (size_t i = 0; name && i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            setting->model = &config->models[i];
    if (!name || !setting->model)
        return invocation_misuse(setting->invocation,
                                 "`quota set` needs --model, a model of the "
                                 "configuration%s%s",
                                 name ? ", and there is none called " : "", name ? name : "");
    const char *key = invocation_value(setting->invocation, "key");
    const struct config_keys *keys = &setting->model->provider->keys;
    setting->key = key ? key : "";
    for (size_t i = 0; key && i < keys->len; i++)
        if (strcmp(keys->items[i].name, key) == 0)
            return EXIT_DONE;
    return key ? invocation_misuse(setting->invocation, "provider %s has no key \"%s\"",
                                   setting->model->provider->name, key)
               : EXIT_DONE;
}

static void print_set(const struct setting *setting)
{
    for (size_t i = 0; i < DIMENSIONS; i++) {
        const char *value = invocation_value(setting->invocation, dimensions[i].option);
        if (value && strcmp(value, "default") == 0)
            printf("%s: %s as configured again.\n", setting->model->name, dimensions[i].option);
        else if (value)
            printf("%s: %s is %s%s%s, for the whole fleet and from now on.\n", setting->model->name,
                   dimensions[i].option, value, *setting->key ? " with key " : "", setting->key);
    }
}

static int set(struct invocation *invocation, const struct config *config)
{
    struct setting setting = {.invocation = invocation};
    int code = check_values(invocation);
    if (code == EXIT_DONE)
        code = find_lane(&setting, config);
    if (code == EXIT_DONE)
        code = change_apply(invocation, apply, &setting);
    if (code != EXIT_DONE || invocation_json(invocation))
        return code == EXIT_DONE ? show(invocation) : code;
    print_set(&setting);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the command

static int run(struct invocation *invocation)
{
    const char *what = invocation_argument(invocation, 0);
    bool sets = what && strcmp(what, "set") == 0;
    if (invocation_argument_count(invocation) > 1 || (what && !sets && strcmp(what, "show") != 0))
        return invocation_misuse(invocation, "`quota` takes show (which is the default) or set");
    int code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    if (sets)
        return set(invocation, invocation_config(invocation));
    for (size_t i = 0; i < DIMENSIONS; i++)
        if (invocation_flag(invocation, dimensions[i].option))
            return invocation_misuse(invocation, "--%s goes with `quota set`",
                                     dimensions[i].option);
    return show(invocation);
}

static const struct option_row options[] = {
    {"model", "NAME", "only of this model; with `set`: whose limits"},
    {"key", "NAME", "only of this key; with `set`: of this key alone, else of each"},
    {"rpm", "N|default", "set: requests a minute"},
    {"tpm", "N|default", "set: tokens a minute, input and output together"},
    {"itpm", "N|default", "set: input tokens a minute"},
    {"otpm", "N|default", "set: output tokens a minute"},
    {"rpd", "N|default", "set: requests a day"},
    {"tpd", "N|default", "set: tokens a day"},
    {"in-flight", "N|default", "set: calls under way at once"},
    {0},
};

const struct command command_quota = {
    .name = "quota",
    .arguments = "[show|set]",
    .summary = "Show the limits of keys and models and their use, or set them while workers run",
    .details =
        "LIMIT is what is configured or set, PROVIDER'S what its answers say, NOW what the fleet\n"
        "keeps to: the smaller of both, and less while others use the key. USED is of the last\n"
        "minute (or day). `quota set --model M --rpm 84` holds for all workers within a second,\n"
        "and until `--rpm default`, whatever their configuration says.",
    .options = options,
    .prints_data = true,
    .run = run,
};
