// SPDX-License-Identifier: Apache-2.0
// Reasons in words.
#include "cmd/status_waiting.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/screen.h"

static const struct reason {
    const char *name, *words;
    bool normal; // nothing is wrong: it is as it was ordered
} reasons[] = {
    {"requests", "for room in the requests per minute", true},
    {"tokens", "for room in the tokens per minute", true},
    {"slots", "for one of the calls under way to end", true},
    {"key_closed", "for the provider's key, which is closed since it refused a call", false},
    {"breaker", "for the provider, which failed too often", false},
    {"budget", "because the budget is used up", false},
    {"order", "for a turn: others come first", true},
    {"retry", "for the next try after a failure", false},
    {"not_before", "for the time that the message names (not_before)", true},
    {"deadline_lane", "for a cheaper hour before the deadline", true},
    {"conversation", "for the turn before", true},
    {"batch", "for the batch that comes first (after)", true},
    {"paused", "because of a pause; `precis resume` ends it", true},
    {"claimed", "for a worker that does not answer; another takes over", false},
    {"database", "for PostgreSQL", false},
    {"version", "for a newer worker", false},
};

static const struct reason *reason_of(const char *waiting_for)
{
    for (size_t i = 0; waiting_for && i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (strcmp(reasons[i].name, waiting_for) == 0)
            return &reasons[i];
    return NULL;
}

const char *status_reason(const char *waiting_for)
{
    const struct reason *reason = reason_of(waiting_for);
    return reason ? reason->words : "for a reason that this version does not know";
}

const char *status_key_cause(const char *cause)
{
    static const char *const words[][2] = {
        {"throttled", "it asked to slow down (429)"},
        {"refused", "it is not accepted (401)"},
        {"exhausted", "its money is used up (insufficient_quota)"},
        {"doubted", "it refused calls (403)"},
        {"broken", "the provider failed too often"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i][0], cause) == 0)
            return words[i][1];
    return cause;
}

// ------------------------------------------------------------------------------- how they stand

// The tightest of each kind first: only lanes that somebody asks of now.
static const char limits_sql[] =
    "select case l.dimension when 'requests' then 'requests' when 'requests_day' then 'requests'"
    "  else 'tokens' end as reason, l.provider || '/' || l.key_name as key, l.model, l.effective,"
    " case l.dimension when 'input' then 'input tokens' when 'output' then 'output tokens'"
    "  when 'requests_day' then 'requests' when 'tokens_day' then 'tokens'"
    "  else l.dimension end || ' a ' || l.per as unit,"
    " extract(epoch from l.free_at - clock_timestamp()) * 1000 as free_in_ms"
    " from precis.quota_limits l join precis.quota q on q.provider = l.provider"
    "  and q.key_name = l.key_name and q.model = l.model and q.workers_waiting > 0"
    " where l.effective > 0 order by l.used * 1.0 / l.effective desc nulls last";

static const char keys_sql[] =
    "select case q.closed_by when 'broken' then 'breaker' else 'key_closed' end as reason,"
    " q.provider || '/' || q.key_name as key, q.model, q.closed_by,"
    " extract(epoch from q.closed_until - clock_timestamp()) * 1000 as opens_in_ms,"
    " q.in_flight_limit from precis.quota q"
    " where q.closed_by <> 'fine' or q.in_flight >= q.in_flight_limit"
    " order by q.closed_until desc nulls last";

static const char budgets_sql[] =
    "select b.scope, b.name, b.period, b.limit_usd::text,"
    " greatest(b.left_usd, 0)::text as left_usd,"
    " extract(epoch from b.ends_at - clock_timestamp()) * 1000 as ends_in_ms"
    " from precis.budgets b where b.limit_usd is not null and ($1::text is null"
    "  or b.scope in ('all', 'provider', 'key') or (b.scope = 'tenant' and b.name = $1)"
    "  or (b.scope = 'batch' and b.name = $1 || '/' || $2))"
    " order by b.left_usd / nullif(b.limit_usd, 0) nulls first limit 1";

void status_lanes_load(struct status_lanes *lanes, struct invocation *invocation,
                       const struct batch_name *batch)
{
    struct ask ask = {limits_sql, {NULL}, 0};
    lanes->limits = ask_try(invocation, &ask);
    ask.sql = keys_sql;
    lanes->keys = ask_try(invocation, &ask);
    ask = (struct ask){budgets_sql, {batch ? batch->tenant : NULL, batch ? batch->batch : NULL}, 2};
    lanes->budgets = ask_try(invocation, &ask);
}

void status_lanes_free(struct status_lanes *lanes)
{
    pg_rows_free(lanes->limits);
    pg_rows_free(lanes->keys);
    pg_rows_free(lanes->budgets);
    *lanes = (struct status_lanes){0};
}

// ------------------------------------------------------------------------------- words

// The first row for this reason; the number of rows where there is none.
static size_t row_for(const struct pg_rows *rows, const char *reason)
{
    size_t i = 0, count = rows ? pg_rows_count(rows) : 0;
    while (i < count && strcmp(ask_value(rows, i, "reason"), reason) != 0)
        i++;
    return i;
}

static bool has_row(const struct pg_rows *rows, size_t row)
{
    return rows && row < pg_rows_count(rows);
}

static void add_limit(struct buf *out, const struct pg_rows *limits, size_t row)
{
    buf_add_str(out, "for the limit of ");
    screen_add_count(out, ask_value(limits, row, "effective"));
    buf_printf(out, " %s of %s with %s", ask_value(limits, row, "unit"),
               ask_value(limits, row, "key"), ask_value(limits, row, "model"));
}

static void add_slots(struct buf *out, const struct pg_rows *keys, size_t row)
{
    buf_add_str(out, "for one of the ");
    screen_add_count(out, ask_value(keys, row, "in_flight_limit"));
    buf_printf(out, " calls that %s may have under way with %s to end", ask_value(keys, row, "key"),
               ask_value(keys, row, "model"));
}

static void add_key(struct buf *out, const struct pg_rows *keys, size_t row)
{
    buf_printf(out, "for %s, which is closed: %s", ask_value(keys, row, "key"),
               status_key_cause(ask_value(keys, row, "closed_by")));
}

static void add_budget(struct buf *out, const struct pg_rows *budgets)
{
    const char *name = ask_value(budgets, 0, "name"), *period = ask_value(budgets, 0, "period");
    bool life = strcmp(period, "life") == 0;
    buf_printf(out, "for money: of the $%s%s%s of %s%s%s, $%s are left",
               ask_value(budgets, 0, "limit_usd"), life ? "" : " a ", life ? "" : period,
               ask_value(budgets, 0, "scope"), *name ? " " : "", name,
               ask_value(budgets, 0, "left_usd"));
}

// The words; *out_ms: when it goes on by what the lanes say, "" where they do not say it.
static const char *add_words(struct buf *out, const char *waiting_for,
                             const struct status_lanes *lanes)
{
    size_t limit = row_for(lanes->limits, waiting_for), key = row_for(lanes->keys, waiting_for);
    size_t first = 0;
    while (has_row(lanes->keys, first) && !ask_value(lanes->keys, first, "in_flight_limit"))
        first++;
    if (has_row(lanes->limits, limit)) {
        add_limit(out, lanes->limits, limit);
        return ask_value(lanes->limits, limit, "free_in_ms");
    }
    if (has_row(lanes->keys, key)) {
        add_key(out, lanes->keys, key);
        return ask_value(lanes->keys, key, "opens_in_ms");
    }
    if (strcmp(waiting_for, "slots") == 0 && has_row(lanes->keys, first)) {
        add_slots(out, lanes->keys, first);
        return NULL;
    }
    if (strcmp(waiting_for, "budget") == 0 && has_row(lanes->budgets, 0)) {
        add_budget(out, lanes->budgets);
        return ask_value(lanes->budgets, 0, "ends_in_ms");
    }
    buf_add_str(out, status_reason(waiting_for));
    return NULL;
}

static bool is_ahead(const char *in_ms)
{
    return in_ms && strtod(in_ms, NULL) > 0;
}

void status_add_reason(struct buf *out, const char *waiting_for, const char *in_ms,
                       const struct status_lanes *lanes)
{
    const struct reason *reason = reason_of(waiting_for);
    const char *lane_ms = add_words(out, waiting_for ? waiting_for : "", lanes);
    in_ms = is_ahead(in_ms) ? in_ms : lane_ms;
    if (is_ahead(in_ms)) {
        buf_add_str(out, "; the next may start in ");
        screen_add_duration(out, in_ms);
    }
    if (reason && reason->normal)
        buf_add_str(out, "; nothing is wrong");
}
