// SPDX-License-Identifier: Apache-2.0
// precis reconcile: the ledger against a provider's usage export, line by line.
//
// A line is one request. Its calls in the ledger are found by the provider's id for it, which the
// ledger has where an answer came, else by ours (X-Client-Request-Id), which it always has. Several
// calls under one request (packed documents) are compared by their sums. The comparison is made in
// PostgreSQL, on the view that everyone may read; only --settle changes anything.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/reconcile_parts.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "core/time_text.h"

#define LINES_SHOWN 20

static const char tables_sql[] =
    "create temporary table precis_usage_ledger (client_id text, sent_as text, request_id text,"
    "  call_id text,"
    "  outcome text, cost_usd numeric, at_most_usd numeric, input bigint, output bigint,"
    "  started_at timestamptz, provider text, key_name text);"
    "create temporary table precis_usage_verdict (line bigint, request text, call_id text,"
    "  verdict text, file_usd numeric, ledger_usd numeric, at_most_usd numeric, file_input bigint,"
    "  ledger_input bigint, file_output bigint, ledger_output bigint, started_at timestamptz,"
    "  provider text, key_name text, at timestamptz);"
    "create temporary table precis_usage_missing (client_id text, call_id text, outcome text,"
    "  cost_usd numeric, at_most_usd numeric)";

// $1 provider, $2 key, $3 and $4 what the file covers (NULL: as its lines). client_id names a call:
// tenant/batch/id/revision/call/plan/attempt; sent_as is what went with its request, which is the
// leader's name where several calls share one.
static const char ledger_sql[] =
    "insert into precis_usage_ledger select n.client_id, coalesce(c.pack, n.client_id),"
    "  c.request_id, c.call_id, c.outcome, c.cost_usd, c.at_most_usd, c.input_tokens,"
    "  c.output_tokens, c.started_at, c.provider, c.key_name"
    " from precis.costs c cross join lateral (select substring(c.call_id from '^(.*)/[^/]*$')"
    "   || '/' || c.step || '/' || coalesce(substring(c.call_id from '/([0-9]+)\\.[0-9]+$'), '1')"
    "   || '/' || c.attempt as client_id) n, (select coalesce(least(min(at), $3::timestamptz), "
    "'-infinity') as since,"
    "   coalesce(greatest(max(at), $4::timestamptz), 'infinity') as until from precis_usage) r"
    " where c.provider = coalesce($1, c.provider) and c.key_name = coalesce($2, c.key_name)"
    "  and c.started_at >= r.since - interval '1 day'"
    "  and c.started_at <= r.until + interval '1 day'";

static const char match_sql[] =
    "analyze precis_usage_ledger; analyze precis_usage;"
    "insert into precis_usage_match select u.line, l.client_id from precis_usage u"
    " join precis_usage_ledger l on l.request_id = u.request_id;"
    "insert into precis_usage_match select u.line, l.client_id from precis_usage u"
    " join precis_usage_ledger l on l.sent_as = u.client_id"
    " where u.line not in (select line from precis_usage_match);"
    "analyze precis_usage_match";

static const char verdict_sql[] =
    "insert into precis_usage_verdict"
    " select u.line, coalesce(u.request_id, u.client_id), min(l.call_id),"
    "  case when count(l.call_id) = 0 then 'unknown'"
    "   when bool_or(l.outcome = 'in_doubt') then 'in_doubt'"
    "   when u.cost * 0.000000000001 <> sum(coalesce(l.cost_usd, 0))"
    "    or u.input <> sum(coalesce(l.input, 0)) or u.output <> sum(coalesce(l.output, 0))"
    "    then 'differs' else 'same' end,"
    "  u.cost * 0.000000000001, sum(coalesce(l.cost_usd, 0)), sum(coalesce(l.at_most_usd, 0)),"
    "  u.input, sum(l.input)::bigint, u.output, sum(l.output)::bigint, min(l.started_at),"
    "  min(l.provider), min(l.key_name), u.at"
    " from precis_usage u left join precis_usage_match m on m.line = u.line"
    " left join precis_usage_ledger l on l.client_id = m.client_id"
    " group by u.line, u.request_id, u.client_id, u.cost, u.input, u.output, u.at";

static const char missing_sql[] =
    "insert into precis_usage_missing select l.client_id, l.call_id, l.outcome, l.cost_usd,"
    "  l.at_most_usd from precis_usage_ledger l,"
    "  (select coalesce($3::timestamptz, min(least(started_at, at))) as since,"
    "   coalesce($4::timestamptz, max(greatest(started_at, at))) as until"
    "   from precis_usage_verdict where verdict <> 'unknown') r"
    " where l.started_at between r.since and r.until"
    "  and (l.outcome = 'in_doubt' or l.cost_usd > 0)"
    "  and ($1::text is not null or $2::text is not null or (l.provider, l.key_name) in"
    "   (select provider, key_name from precis_usage_verdict where provider is not null))"
    "  and not exists (select from precis_usage_match m where m.client_id = l.client_id)";

static const char sums_sql[] =
    "select count(*) as lines, count(*) filter (where verdict = 'same') as same,"
    " count(*) filter (where verdict = 'differs') as differs,"
    " count(*) filter (where verdict = 'in_doubt') as in_doubt,"
    " count(*) filter (where verdict = 'unknown') as unknown,"
    " trim_scale(coalesce(sum(file_usd), 0))::text as file_usd,"
    " trim_scale(coalesce(sum(ledger_usd), 0))::text as ledger_usd,"
    " trim_scale(coalesce(sum(file_usd) filter (where verdict = 'in_doubt'), 0))::text"
    "  as in_doubt_usd,"
    " trim_scale(coalesce(sum(at_most_usd) filter (where verdict = 'in_doubt'), 0))::text"
    "  as in_doubt_at_most_usd,"
    " trim_scale(coalesce(sum(file_usd) filter (where verdict = 'unknown'), 0))::text"
    "  as unknown_usd, max(m.missing) as missing, max(m.missing_usd) as missing_usd,"
    " max(m.missing_in_doubt) as missing_in_doubt,"
    " max(m.missing_in_doubt_usd) as missing_in_doubt_usd"
    " from precis_usage_verdict cross join (select"
    "  count(*) filter (where outcome <> 'in_doubt') as missing,"
    "  trim_scale(coalesce(sum(cost_usd) filter (where outcome <> 'in_doubt'), 0))::text"
    "   as missing_usd,"
    "  count(*) filter (where outcome = 'in_doubt') as missing_in_doubt,"
    "  trim_scale(coalesce(sum(at_most_usd) filter (where outcome = 'in_doubt'), 0))::text"
    "   as missing_in_doubt_usd from precis_usage_missing) m";

static const char lines_sql[] =
    "select line, verdict, request, call_id, trim_scale(file_usd)::text as file_usd,"
    " trim_scale(case when verdict <> 'unknown' then ledger_usd end)::text as ledger_usd,"
    " trim_scale(nullif(at_most_usd, 0))::text as at_most_usd, file_input, ledger_input,"
    " file_output, ledger_output from precis_usage_verdict where verdict <> 'same'"
    " union all select null, case outcome when 'in_doubt' then 'missing_in_doubt' else 'missing'"
    "  end, null, call_id, null, trim_scale(cost_usd)::text, trim_scale(at_most_usd)::text, null,"
    "  null, null, null from precis_usage_missing order by 2, 1, 4";

// ------------------------------------------------------------------------------- comparing

struct covering {
    const char *provider, *key;
    char since[TIME_TEXT_BYTES], until[TIME_TEXT_BYTES]; // "": as the file's own lines
};

static bool step(struct invocation *invocation, const char *sql, const struct covering *covering,
                 size_t param_count)
{
    struct ask ask = {sql,
                      {covering->provider, covering->key,
                       covering->since[0] ? covering->since : NULL,
                       covering->until[0] ? covering->until : NULL},
                      param_count};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    pg_rows_free(rows);
    return rows != NULL;
}

static bool script(struct invocation *invocation, const char *sql)
{
    struct pg_error error;
    if (pg_script(invocation_database(invocation), sql, &error))
        return true;
    fprintf(stderr, "error: PostgreSQL: %s\n", error.text);
    return false;
}

static bool compare(struct invocation *invocation, const struct covering *covering)
{
    return script(invocation, tables_sql) && step(invocation, ledger_sql, covering, 4) &&
           script(invocation, match_sql) && step(invocation, verdict_sql, covering, 0) &&
           step(invocation, missing_sql, covering, 4);
}

// ------------------------------------------------------------------------------- text

static void print_part(const struct pg_rows *sums, const char *column, const char *one,
                       const char *many, const char *usd)
{
    struct buf count OWN_BUF;
    buf_init(&count, 0);
    int64_t number = ask_number(sums, 0, column);
    if (number == 0)
        return;
    screen_add_count(&count, ask_value(sums, 0, column));
    printf("  %s %s", buf_str(&count), number == 1 ? one : many);
    if (usd)
        printf(": $%s", ask_value(sums, 0, usd));
    putchar('\n');
}

static void print_sums(const struct pg_rows *sums, const char *path)
{
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    screen_add_count(&shown, ask_value(sums, 0, "lines"));
    buf_printf(&shown, " request%s in ", ask_number(sums, 0, "lines") == 1 ? "" : "s");
    screen_add_line(&shown, path);
    printf("%s:\n", buf_str(&shown));
    print_part(sums, "same", "is the same in the ledger, to the last digit",
               "are the same in the ledger, to the last digit", NULL);
    print_part(sums, "differs", "differs", "differ", NULL);
    print_part(sums, "in_doubt", "was in doubt, and is told now", "were in doubt, and are told now",
               "in_doubt_usd");
    print_part(sums, "unknown", "is not in the ledger", "are not in the ledger", "unknown_usd");
    print_part(sums, "missing", "call of the ledger is not in the file",
               "calls of the ledger are not in the file", "missing_usd");
    print_part(sums, "missing_in_doubt", "call in doubt is not in the file; at most",
               "calls in doubt are not in the file; at most", "missing_in_doubt_usd");
    printf("The file says $%s; the ledger has $%s for these requests.\n",
           ask_value(sums, 0, "file_usd"), ask_value(sums, 0, "ledger_usd"));
}

// "120 + 30", or "-".
static void add_tokens(struct table *table, const char *input, const char *output)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (input || output)
        buf_printf(&text, "%s + %s", input ? input : "?", output ? output : "?");
    table_add(table, input || output ? buf_str(&text) : NULL);
}

static void print_lines(struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"LINE", TABLE_RIGHT},   {"VERDICT", TABLE_LEFT}, {"CALL", TABLE_FOLD},
        {"FILE", TABLE_MONEY},   {"LEDGER", TABLE_MONEY}, {"TOKENS IN FILE", TABLE_RIGHT},
        {"LEDGER", TABLE_RIGHT}, {NULL, TABLE_LEFT},
    };
    struct pg_rows *rows = ask_rows(invocation, &(struct ask){.sql = lines_sql});
    struct table *table = table_new(columns);
    size_t count = rows ? pg_rows_count(rows) : 0;
    for (size_t i = 0; i < count && i < LINES_SHOWN; i++) {
        const char *call = ask_value(rows, i, "call_id");
        struct buf money OWN_BUF;
        buf_init(&money, 0);
        table_add(table, ask_value(rows, i, "line"));
        table_add(table, ask_value(rows, i, "verdict"));
        table_add(table, call ? call : ask_value(rows, i, "request"));
        screen_add_money(&money, ask_value(rows, i, "file_usd"));
        table_take(table, &money);
        screen_add_money(&money, ask_value(rows, i, "ledger_usd"));
        table_take(table, &money);
        add_tokens(table, ask_value(rows, i, "file_input"), ask_value(rows, i, "file_output"));
        add_tokens(table, ask_value(rows, i, "ledger_input"), ask_value(rows, i, "ledger_output"));
    }
    if (count > 0) {
        putchar('\n');
        table_print(table, stdout);
    }
    if (count > LINES_SHOWN)
        printf("… and %zu more: --json has all.\n", count - LINES_SHOWN);
    table_free(table);
    pg_rows_free(rows);
}

static void print_settled(const struct pg_rows *sums, const struct reconcile_settled *settled)
{
    if (settled) {
        printf("%" PRId64 " call%s in doubt %s settled by what the file says", settled->told,
               settled->told == 1 ? "" : "s", settled->told == 1 ? "is" : "are");
        if (settled->unpaid > 0)
            printf(", %" PRId64 " as not paid", settled->unpaid);
        puts(".");
    } else if (ask_number(sums, 0, "in_doubt") > 0) {
        puts("`--settle` takes over what the file says of calls in doubt; budgets get back what "
             "they held for them.");
    }
}

// ------------------------------------------------------------------------------- JSON

static int print_json(struct invocation *invocation, const struct reconcile_settled *settled)
{
    struct buf sql OWN_BUF, text OWN_BUF;
    buf_init(&sql, 0);
    buf_init(&text, 0);
    buf_printf(&sql,
               "select row_to_json(q) from (select s.*, %" PRId64 " as settled, %" PRId64
               " as settled_unpaid, (select coalesce(json_agg(row_to_json(l)), '[]') from (%s) l)"
               " as differing from (%s) s) q",
               settled ? settled->told : 0, settled ? settled->unpaid : 0, lines_sql, sums_sql);
    struct pg_rows *rows = ask_rows(invocation, &(struct ask){.sql = buf_str(&sql)});
    if (!rows)
        return EXIT_FAILED;
    screen_add_json(&text, pg_rows_get(rows, 0, 0));
    printf("%s\n", buf_str(&text));
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the command

// What differs, after --settle took over what it could.
static bool is_clean(const struct pg_rows *sums, const struct reconcile_settled *settled)
{
    int64_t told = settled ? settled->told : 0, unpaid = settled ? settled->unpaid : 0;
    return ask_number(sums, 0, "differs") == 0 && ask_number(sums, 0, "unknown") == 0 &&
           ask_number(sums, 0, "missing") == 0 && ask_number(sums, 0, "in_doubt") <= told &&
           ask_number(sums, 0, "missing_in_doubt") <= unpaid;
}

static int report(struct invocation *invocation, const char *path)
{
    struct pg_rows *sums = ask_rows(invocation, &(struct ask){.sql = sums_sql});
    struct reconcile_settled done = {0}, *settled = NULL;
    if (!sums)
        return EXIT_FAILED;
    int code = EXIT_DONE;
    if (invocation_flag(invocation, "settle")) {
        settled = &done;
        code = reconcile_settle(invocation, invocation_flag(invocation, "complete"), settled);
    }
    if (code == EXIT_DONE && invocation_json(invocation)) {
        code = print_json(invocation, settled);
    } else if (code == EXIT_DONE) {
        print_sums(sums, path);
        print_lines(invocation);
        print_settled(sums, settled);
    }
    if (code == EXIT_DONE && !is_clean(sums, settled))
        code = EXIT_JOBS_FAILED;
    pg_rows_free(sums);
    return code;
}

static int read_time(struct invocation *invocation, const char *option, char out[TIME_TEXT_BYTES])
{
    const char *text = invocation_value(invocation, option);
    char whole[64];
    int64_t ms;
    if (!text)
        return EXIT_DONE;
    snprintf(whole, sizeof(whole), "%.40s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (!time_text_parse(whole, &ms))
        return invocation_misuse(invocation,
                                 "--%s is a day (2026-11-22) or a time "
                                 "(2026-11-22T07:00:00Z)",
                                 option);
    time_text_format(ms, out);
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    const char *path = invocation_argument(invocation, 0);
    struct covering covering = {.provider = invocation_value(invocation, "provider"),
                                .key = invocation_value(invocation, "key")};
    size_t lines = 0;
    if (invocation_argument_count(invocation) != 1)
        return invocation_misuse(invocation, "`reconcile` needs one file");
    if (invocation_flag(invocation, "complete") && !invocation_flag(invocation, "settle"))
        return invocation_misuse(invocation, "--complete goes with --settle");
    int code = read_time(invocation, "from", covering.since);
    if (code == EXIT_DONE)
        code = read_time(invocation, "to", covering.until);
    if (code == EXIT_DONE)
        code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    if (!reconcile_read(invocation, path, &lines))
        return EXIT_FAILED;
    if (lines == 0) {
        fprintf(stderr, "error: %s names no request.\n", path);
        return EXIT_FAILED;
    }
    return compare(invocation, &covering) ? report(invocation, path) : EXIT_FAILED;
}

static const struct option_row options[] = {
    {"settle", NULL, "take over what the file says of calls in doubt"},
    {"complete", NULL, "with --settle: calls in doubt that the file has not were not paid"},
    {"from", "TIME", "what the file covers: a day or a time; else from its first line"},
    {"to", "TIME", "until when it does; else to its last line"},
    {"provider", "NAME", "only calls of this provider"},
    {"key", "NAME", "only calls with this key, as `costs --by key` names it"},
    {"column", "NAME=TITLE", "which column of the file has what; may be repeated"},
    {0},
};

const struct command command_reconcile = {
    .name = "reconcile",
    .arguments = "FILE",
    .summary = "Compare the ledger with a provider's usage export, line by line",
    .details =
        "FILE is CSV with titles, or JSON lines: a request each, with the provider's id for it\n"
        "(request_id) or ours (client_request_id, as sent in X-Client-Request-Id), tokens, and\n"
        "cost in USD where it has one, else our price is taken. --column names titles that are\n"
        "not known: request_id client_request_id created_at model input_tokens\n"
        "cached_input_tokens output_tokens cost_usd.\n"
        "A call in doubt was sent, and no complete answer came: the file tells whether it was\n"
        "paid, and --settle writes that into the ledger, so that budgets get back what they held.\n"
        "Exit codes: 0 all is the same (or settled); 3 something differs.",
    .options = options,
    .prints_data = true,
    .run = run,
};
