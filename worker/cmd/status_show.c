// SPDX-License-Identifier: Apache-2.0
// One batch for people, and for programs.
#include "cmd/status_show.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/screen.h"

// rate: jobs that ended in the last minute, per second of it (or since the batch began).
static const char batch_sql[] =
    "select b.tenant, b.batch, b.state, b.total, b.queued, b.waiting, b.running, b.done, b.failed,"
    " b.cancelled, b.cost_usd::text, b.in_doubt_usd::text, b.budget_usd::text, b.submitted_at,"
    " b.finished_at, r.per_minute, c.calls, c.p50_duration_ms, c.p95_duration_ms, c.p50_ttft_ms,"
    " c.p95_ttft_ms, case when b.state <> 'ended' and r.per_minute > 0 then"
    "  ceil((b.total - b.done - b.failed - b.cancelled) * 60 / r.per_minute)::bigint"
    " end as seconds_left, w.live as live_workers,"
    " extract(epoch from coalesce(b.finished_at, clock_timestamp()) - b.submitted_at) * 1000"
    "  as age_ms"
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
    " from precis.jobs where tenant = $1 and batch = $2 and state = 'waiting'"
    " group by 1 order by 2 desc, 1";

const char *status_reason(const char *waiting_for)
{
    static const struct {
        const char *name, *words;
    } reasons[] = {
        {"requests", "for room in the requests per minute"},
        {"tokens", "for room in the tokens per minute"},
        {"slots", "for one of the calls under way to end"},
        {"key_closed", "for the provider's key, which is closed since it refused a call"},
        {"breaker", "for the provider, which failed too often"},
        {"budget", "because the budget is used up"},
        {"order", "for a turn"},
        {"retry", "for the next try after a failure"},
        {"not_before", "for the time that the message names (not_before)"},
        {"deadline_lane", "for a cheaper hour before the deadline"},
        {"conversation", "for the turn before"},
        {"batch", "for the batch that comes first (after)"},
        {"paused", "because of a pause; `precis resume` ends it"},
        {"claimed", "for a worker that does not answer; another takes over"},
        {"database", "for PostgreSQL"},
        {"version", "for a newer worker"},
    };
    for (size_t i = 0; waiting_for && i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reasons[i].name, waiting_for) == 0)
            return reasons[i].words;
    return "for a reason that this version does not know";
}

// ------------------------------------------------------------------------------- text

static void print_counts(const struct pg_rows *rows)
{
    static const char *const states[] = {"done",    "failed",  "cancelled",
                                         "running", "waiting", "queued"};
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_count(&text, ask_value(rows, 0, "total"));
    buf_add_str(&text, strcmp(buf_str(&text), "1") == 0 ? " job: " : " jobs: ");
    const char *comma = "";
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        int64_t count = ask_number(rows, 0, states[i]);
        if (count == 0 && i > 0)
            continue;
        enum screen_style style = count > 0 ? screen_style_of_state(states[i]) : SCREEN_PLAIN;
        buf_printf(&text, "%s%s", comma, screen_on(stdout, style));
        screen_add_count(&text, ask_value(rows, 0, states[i]));
        buf_printf(&text, " %s%s", states[i], screen_off(stdout, style));
        comma = ", ";
    }
    printf("%s\n", buf_str(&text));
}

static void print_speed(const struct pg_rows *rows)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    bool ended = strcmp(ask_value(rows, 0, "state"), "ended") == 0;
    buf_printf(&text, "%s", ended ? "Took       " : "Running    ");
    screen_add_duration(&text, ask_value(rows, 0, "age_ms"));
    if (!ended)
        buf_printf(&text, "; %s jobs a minute in the last minute",
                   ask_value(rows, 0, "per_minute") ? ask_value(rows, 0, "per_minute") : "0");
    const char *left = ask_value(rows, 0, "seconds_left");
    if (left) {
        buf_add_str(&text, "; about ");
        screen_add_duration_ms(&text, strtoll(left, NULL, 10) * 1000);
        buf_add_str(&text, " left");
    }
    printf("%s\n", buf_str(&text));
}

static void print_calls(const struct pg_rows *rows)
{
    if (ask_number(rows, 0, "calls") == 0)
        return;
    static const struct {
        const char *label, *column;
    } parts[] = {
        {"Calls      half within ", "p50_duration_ms"},
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
    printf("%s\n", buf_str(&text));
}

static void print_money(const struct pg_rows *rows)
{
    printf("Cost       $%s", ask_value(rows, 0, "cost_usd"));
    const char *doubt = ask_value(rows, 0, "in_doubt_usd");
    if (doubt && strcmp(doubt, "0") != 0)
        printf(", and up to $%s more in calls in doubt", doubt);
    if (ask_value(rows, 0, "budget_usd"))
        printf(", of a budget of $%s", ask_value(rows, 0, "budget_usd"));
    printf("\n");
}

static void print_waiting(const struct pg_rows *rows)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        buf_add_str(&text, "  ");
        screen_add_count(&text, ask_value(rows, i, "jobs"));
        buf_printf(&text, " %s %s", ask_number(rows, i, "jobs") == 1 ? "waits" : "wait",
                   status_reason(ask_value(rows, i, "waiting_for")));
        const char *in_ms = ask_value(rows, i, "in_ms");
        if (in_ms && strtod(in_ms, NULL) > 0) {
            buf_add_str(&text, "; the first may start in ");
            screen_add_duration(&text, in_ms);
        }
        buf_add_char(&text, '\n');
    }
    if (text.len > 0)
        fputs(buf_str(&text), stdout);
}

static void print_hints(const struct pg_rows *rows)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    ask_add_batch(&name, ask_value(rows, 0, "tenant"), ask_value(rows, 0, "batch"));
    bool ended = strcmp(ask_value(rows, 0, "state"), "ended") == 0;
    if (!ended && ask_number(rows, 0, "live_workers") == 0)
        printf("No worker is live: start `precis worker`.\n");
    if (strcmp(ask_value(rows, 0, "state"), "open") == 0)
        printf("The batch is open: more jobs may come, and it does not end by itself.\n");
    if (ask_number(rows, 0, "failed") > 0)
        printf("Why jobs failed: `precis results %s --failed`.\n", buf_str(&name));
    if (ended && ask_number(rows, 0, "done") > 0)
        printf("The summaries: `precis results %s`.\n", buf_str(&name));
}

static void print_batch(const struct pg_rows *rows, const struct pg_rows *waiting)
{
    const char *state = ask_value(rows, 0, "state");
    enum screen_style style = screen_style_of_state(state);
    printf("%sBatch %s/%s%s is %s%s%s\n", screen_on(stdout, SCREEN_BOLD),
           ask_value(rows, 0, "tenant"), ask_value(rows, 0, "batch"),
           screen_off(stdout, SCREEN_BOLD), screen_on(stdout, style), state,
           screen_off(stdout, style));
    print_counts(rows);
    print_speed(rows);
    print_calls(rows);
    print_money(rows);
    print_waiting(waiting);
    print_hints(rows);
}

// ------------------------------------------------------------------------------- JSON

static int print_json(struct invocation *invocation, const struct batch_name *name)
{
    struct buf sql OWN_BUF;
    buf_init(&sql, 0);
    buf_printf(&sql,
               "select row_to_json(q) from (select b.*, (select coalesce(json_agg(row_to_json(w)),"
               " '[]') from (%s) w) as waiting_for from (%s) b) q",
               waiting_sql, batch_sql);
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

int status_show_batch(struct invocation *invocation, const struct batch_name *name)
{
    if (invocation_json(invocation))
        return print_json(invocation, name);
    struct ask ask = {batch_sql, {name->tenant, name->batch}, 2};
    struct pg_rows *rows = ask_rows(invocation, &ask);
    ask.sql = waiting_sql;
    struct pg_rows *waiting = rows ? ask_rows(invocation, &ask) : NULL;
    if (waiting && pg_rows_count(rows) > 0)
        print_batch(rows, waiting);
    int code = waiting ? EXIT_DONE : EXIT_FAILED;
    pg_rows_free(waiting);
    pg_rows_free(rows);
    return code;
}

int status_show_workers(struct invocation *invocation, bool needed)
{
    struct pg_rows *rows =
        ask_rows(invocation, &(struct ask){.sql = "select count(*) as live from precis.workers"
                                                  " where state = 'live'"});
    if (!rows)
        return EXIT_FAILED;
    int64_t live = ask_number(rows, 0, "live");
    pg_rows_free(rows);
    if (live > 0)
        printf("%" PRId64 " worker%s.\n", live, live == 1 ? " is live" : "s are live");
    else if (needed)
        printf("No worker is live: start `precis worker`.\n");
    return EXIT_DONE;
}
