// SPDX-License-Identifier: Apache-2.0
// One batch for people, and for programs.
#include "cmd/status_show.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/screen.h"
#include "cmd/status_waiting.h"
#include "cmd/table.h"

#define BAR_MAX     50
#define CODES_SHOWN 8

// rate: jobs that ended in the last minute, per second of it (or since the batch began). How long
// the rest takes follows from it only while some of it goes on: not from a pause, or a budget's
// wall.
static const char batch_sql[] =
    "select b.tenant, b.batch, b.state, b.total, b.queued, b.waiting, b.running, b.done, b.failed,"
    " b.cancelled, b.cost_usd::text, b.in_doubt_usd::text, b.budget_usd::text, b.submitted_at,"
    " b.finished_at, r.per_minute, c.calls, c.p50_duration_ms, c.p95_duration_ms, c.p50_ttft_ms,"
    " c.p95_ttft_ms, case when b.state <> 'ended' and r.per_minute > 0 and exists (select"
    "   from precis.jobs m where m.tenant = b.tenant and m.batch = b.batch and m.finished_at is "
    "null"
    "   and (m.state <> 'waiting'"
    "    or m.waiting_for in ('requests', 'tokens', 'slots', 'order', 'retry'))) then"
    "  ceil((b.total - b.done - b.failed - b.cancelled) * 60 / r.per_minute)::bigint"
    " end as seconds_left, w.live as live_workers,"
    " extract(epoch from coalesce(b.finished_at, clock_timestamp()) - b.submitted_at) * 1000"
    "  as age_ms, to_char(clock_timestamp(), 'HH24:MI:SS') as clock"
    " from precis.batches b"
    " cross join lateral (select round(count(*) * 60 / least(60, greatest(1, extract(epoch from"
    "   clock_timestamp() - min(j.started_at)))), 1) as per_minute"
    "  from precis.jobs j where j.tenant = b.tenant and j.batch = b.batch"
    "   and j.finished_at > clock_timestamp() - interval '1 minute') r"
    " cross join lateral (select count(*) as calls,"
    "   round(percentile_cont(0.5) within group (order by k.duration_ms)) as p50_duration_ms,"
    "   round(percentile_cont(0.95) within group (order by k.duration_ms)) as p95_duration_ms,"
    "   round(percentile_cont(0.5) within group (order by k.ttft_ms)) as p50_ttft_ms,"
    "   round(percentile_cont(0.95) within group (order by k.ttft_ms)) as p95_ttft_ms"
    "  from precis.costs k where k.tenant = b.tenant and k.batch = b.batch and k.outcome = 'ok') c"
    " cross join (select count(*) as live from precis.workers where state = 'live') w"
    " where b.tenant = $1 and b.batch = $2";

static const char waiting_sql[] =
    "select waiting_for, count(*) as jobs, min(earliest_start_at) as earliest_start_at,"
    " extract(epoch from min(earliest_start_at) - clock_timestamp()) * 1000 as in_ms"
    " from precis.jobs where tenant = $1 and batch = $2 and finished_at is null"
    " and state = 'waiting' group by 1 order by 2 desc, 1";

static const char failed_sql[] =
    "select error_code, count(*) as jobs, suggestion"
    " from precis.jobs where tenant = $1 and batch = $2 and finished_at is not null"
    " and state = 'failed' group by 1, 3 order by 2 desc, 1, 3";

// ------------------------------------------------------------------------------- words

static void add_counts(struct buf *out, const struct pg_rows *rows, FILE *file)
{
    static const char *const states[] = {"done",    "failed",  "cancelled",
                                         "running", "waiting", "queued"};
    screen_add_count(out, ask_value(rows, 0, "total"));
    buf_add_str(out, ask_number(rows, 0, "total") == 1 ? " job: " : " jobs: ");
    const char *comma = "";
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        int64_t count = ask_number(rows, 0, states[i]);
        if (count == 0 && i > 0)
            continue;
        enum screen_style style = count > 0 ? screen_style_of_state(states[i]) : SCREEN_PLAIN;
        buf_printf(out, "%s%s", comma, screen_on(file, style));
        screen_add_count(out, ask_value(rows, 0, states[i]));
        buf_printf(out, " %s%s", states[i], screen_off(file, style));
        comma = ", ";
    }
}

// "[#####.....] 52 %": of the jobs that have ended, in colour what failed.
static void add_bar(struct buf *out, const struct pg_rows *rows, FILE *file)
{
    int64_t total = ask_number(rows, 0, "total"), done = ask_number(rows, 0, "done");
    int64_t bad = ask_number(rows, 0, "failed") + ask_number(rows, 0, "cancelled");
    int64_t width = (int64_t)screen_columns(file) - 8;
    width = width > BAR_MAX ? BAR_MAX : width;
    if (!screen_is_terminal(file) || total <= 0)
        return;
    // What failed is seen, however little it is.
    int64_t red = bad > 0 && bad * width / total == 0 ? 1 : bad * width / total;
    int64_t green = done * width / total;
    green = green + red > width ? width - red : green;
    buf_printf(out, "[%s", screen_on(file, SCREEN_GOOD));
    for (int64_t i = 0; i < width; i++) {
        if (i == green)
            buf_printf(out, "%s%s", screen_off(file, SCREEN_GOOD), screen_on(file, SCREEN_BAD));
        if (i == green + red)
            buf_add_str(out, screen_off(file, SCREEN_BAD));
        buf_add_char(out, i < green + red ? '#' : '.');
    }
    buf_printf(out, "%s] %" PRId64 " %%\n", screen_off(file, SCREEN_BAD),
               (done + bad) * 100 / total);
}

static void add_time_left(struct buf *out, const struct pg_rows *rows)
{
    const char *left = ask_value(rows, 0, "seconds_left");
    if (!left)
        return;
    buf_add_str(out, "; about ");
    screen_add_duration_ms(out, strtoll(left, NULL, 10) * 1000);
    buf_add_str(out, " left");
}

static void add_rate(struct buf *out, const struct pg_rows *rows)
{
    const char *rate = ask_value(rows, 0, "per_minute");
    double jobs = rate ? strtod(rate, NULL) : 0;
    char whole[32];
    snprintf(whole, sizeof(whole), "%.0f", jobs);
    screen_add_count(out, jobs < 100 && rate ? rate : whole);
    buf_add_str(out, " jobs a minute");
}

static bool has_ended(const struct pg_rows *rows)
{
    return strcmp(ask_value(rows, 0, "state"), "ended") == 0;
}

static void add_speed(struct table *table, const struct pg_rows *rows)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_duration(&text, ask_value(rows, 0, "age_ms"));
    if (!has_ended(rows)) {
        buf_add_str(&text, "; ");
        add_rate(&text, rows);
        buf_add_str(&text, " in the last minute");
    }
    add_time_left(&text, rows);
    table_add(table, has_ended(rows) ? "Took" : "Running");
    table_add(table, buf_str(&text));
}

static void add_calls(struct table *table, const struct pg_rows *rows)
{
    if (ask_number(rows, 0, "calls") == 0)
        return;
    static const struct {
        const char *label, *column;
    } parts[] = {
        {"half within ", "p50_duration_ms"},
        {", 95 % within ", "p95_duration_ms"},
        {"; first token: half within ", "p50_ttft_ms"},
        {", 95 % within ", "p95_ttft_ms"},
    };
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    size_t count = ask_value(rows, 0, "p50_ttft_ms") ? 4 : 2;
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&text, parts[i].label);
        screen_add_duration(&text, ask_value(rows, 0, parts[i].column));
    }
    table_add(table, "Calls");
    table_add(table, buf_str(&text));
}

static void add_money(struct buf *out, const struct pg_rows *rows)
{
    buf_printf(out, "$%s", ask_value(rows, 0, "cost_usd"));
    const char *doubt = ask_value(rows, 0, "in_doubt_usd");
    if (doubt && strcmp(doubt, "0") != 0)
        buf_printf(out, ", and up to $%s more in calls in doubt", doubt);
    if (ask_value(rows, 0, "budget_usd"))
        buf_printf(out, ", of a budget of $%s", ask_value(rows, 0, "budget_usd"));
}

static void add_cost(struct table *table, const struct pg_rows *rows)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    add_money(&text, rows);
    table_add(table, "Cost");
    table_add(table, buf_str(&text));
}

static void add_waiting(struct table *table, const struct pg_rows *rows,
                        const struct status_lanes *lanes)
{
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        screen_add_count(&text, ask_value(rows, i, "jobs"));
        buf_printf(&text, " %s ", ask_number(rows, i, "jobs") == 1 ? "waits" : "wait");
        status_add_reason(&text, ask_value(rows, i, "waiting_for"), ask_value(rows, i, "in_ms"),
                          lanes);
        table_add_styled(table, i == 0 ? "Waiting" : "", SCREEN_WARN);
        table_add(table, buf_str(&text));
    }
}

static void add_failed(struct table *table, const struct pg_rows *rows)
{
    size_t count = pg_rows_count(rows);
    for (size_t i = 0; i < count && i < CODES_SHOWN; i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        screen_add_count(&text, ask_value(rows, i, "jobs"));
        buf_printf(&text, " %s: %s", ask_value(rows, i, "error_code"),
                   ask_value(rows, i, "suggestion"));
        table_add_styled(table, i == 0 ? "Failed" : "", SCREEN_BAD);
        table_add(table, buf_str(&text));
    }
    if (count > CODES_SHOWN) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        buf_printf(&text, "and for %zu other reasons", count - CODES_SHOWN);
        table_add(table, "");
        table_add(table, buf_str(&text));
    }
}

static void add_hints(struct buf *out, const struct pg_rows *rows)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    ask_add_batch(&name, ask_value(rows, 0, "tenant"), ask_value(rows, 0, "batch"));
    if (!has_ended(rows) && ask_number(rows, 0, "live_workers") == 0)
        buf_add_str(out, "No worker is live: start `precis worker`.\n");
    if (strcmp(ask_value(rows, 0, "state"), "open") == 0)
        buf_add_str(out, "The batch is open: more jobs may come, and it does not end by itself.\n");
    if (ask_number(rows, 0, "failed") > 0)
        buf_printf(out, "Why jobs failed: `precis results %s --failed`.\n", buf_str(&name));
    if (has_ended(rows) && ask_number(rows, 0, "done") > 0)
        buf_printf(out, "The summaries: `precis results %s`.\n", buf_str(&name));
}

// ------------------------------------------------------------------------------- a batch

struct batch_rows {
    struct pg_rows *batch, *waiting, *failed;
    struct status_lanes lanes;
};

static bool load(struct invocation *invocation, const struct batch_name *name,
                 struct batch_rows *out)
{
    struct ask ask = {batch_sql, {name->tenant, name->batch}, 2};
    *out = (struct batch_rows){0};
    out->batch = ask_rows(invocation, &ask);
    ask.sql = waiting_sql;
    out->waiting = out->batch ? ask_rows(invocation, &ask) : NULL;
    ask.sql = failed_sql;
    out->failed = out->waiting ? ask_rows(invocation, &ask) : NULL;
    if (out->failed && pg_rows_count(out->waiting) > 0)
        status_lanes_load(&out->lanes, invocation, name);
    return out->failed != NULL;
}

static void unload(struct batch_rows *rows)
{
    pg_rows_free(rows->batch);
    pg_rows_free(rows->waiting);
    pg_rows_free(rows->failed);
    status_lanes_free(&rows->lanes);
}

static void add_text(const struct batch_rows *rows, FILE *file, struct buf *out)
{
    static const struct table_column columns[] = {
        {"", TABLE_LEFT}, {"", TABLE_WRAP}, {NULL, TABLE_LEFT}};
    const char *state = ask_value(rows->batch, 0, "state");
    enum screen_style style = screen_style_of_state(state);
    buf_printf(out, "%sBatch %s/%s%s is %s%s%s\n", screen_on(file, SCREEN_BOLD),
               ask_value(rows->batch, 0, "tenant"), ask_value(rows->batch, 0, "batch"),
               screen_off(file, SCREEN_BOLD), screen_on(file, style), state,
               screen_off(file, style));
    add_bar(out, rows->batch, file);
    add_counts(out, rows->batch, file);
    buf_add_char(out, '\n');
    struct table *table = table_new(columns);
    add_speed(table, rows->batch);
    add_calls(table, rows->batch);
    add_cost(table, rows->batch);
    add_waiting(table, rows->waiting, &rows->lanes);
    add_failed(table, rows->failed);
    table_write_rows(table, file, out);
    table_free(table);
    add_hints(out, rows->batch);
}

static void judge(const struct pg_rows *batch, struct status_facts *out)
{
    bool there = pg_rows_count(batch) > 0;
    *out = (struct status_facts){.ended = !there || has_ended(batch)};
    if (there)
        out->failed = ask_number(batch, 0, "failed") + ask_number(batch, 0, "cancelled");
}

bool status_add_batch(struct invocation *invocation, const struct batch_name *name, FILE *file,
                      struct buf *out, struct status_facts *out_facts)
{
    struct batch_rows rows;
    bool good = load(invocation, name, &rows);
    if (good && pg_rows_count(rows.batch) > 0)
        add_text(&rows, file, out);
    if (good)
        judge(rows.batch, out_facts);
    unload(&rows);
    return good;
}

static void add_line(struct buf *out, const struct pg_rows *batch)
{
    buf_printf(out, "%s UTC  ", ask_value(batch, 0, "clock"));
    add_counts(out, batch, NULL);
    buf_add_str(out, "; ");
    if (!has_ended(batch)) {
        add_rate(out, batch);
        buf_add_str(out, "; ");
    }
    add_money(out, batch);
    add_time_left(out, batch);
    buf_add_char(out, '\n');
}

bool status_add_line(struct invocation *invocation, const struct batch_name *name, struct buf *out,
                     struct status_facts *out_facts)
{
    struct ask ask = {batch_sql, {name->tenant, name->batch}, 2};
    struct pg_rows *batch = ask_rows(invocation, &ask);
    if (!batch)
        return false;
    if (pg_rows_count(batch) > 0)
        add_line(out, batch);
    judge(batch, out_facts);
    pg_rows_free(batch);
    return true;
}

// ------------------------------------------------------------------------------- JSON

int status_print_json(struct invocation *invocation, const struct batch_name *name)
{
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    buf_printf(&sql,
               "select row_to_json(q) from (select b.*, (select coalesce(json_agg(row_to_json(w)),"
               " '[]') from (%s) w) as waiting_for, (select coalesce(json_agg(row_to_json(f)),"
               " '[]') from (%s) f) as failed_by_code from (%s) b) q",
               waiting_sql, failed_sql, batch_sql);
    struct ask ask = {buf_str(&sql), {name->tenant, name->batch}, 2};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_json(&text, pg_rows_count(rows) > 0 ? pg_rows_get(rows, 0, 0) : "null");
    printf("%s\n", buf_str(&text));
    pg_rows_free(rows);
    return EXIT_DONE;
}
