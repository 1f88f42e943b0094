// SPDX-License-Identifier: Apache-2.0
// The report's head: the batch in numbers, what failed, what was paid.
#include "cmd/results_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/html.h"
#include "cmd/screen.h"

static const char batch_sql[] =
    "select b.tenant, b.batch, b.state, b.total, b.done, b.failed, b.cancelled,"
    " b.total - b.done - b.failed - b.cancelled as unfinished, b.cost_usd::text,"
    " b.in_doubt_usd::text, b.submitted_at, b.finished_at, extract(epoch from"
    "  coalesce(b.finished_at, clock_timestamp()) - b.submitted_at) * 1000 as took_ms,"
    " clock_timestamp() as now, q.found, q.missing, q.documents_missing, w.warnings,"
    " w.documents_warned from precis.batches b"
    " cross join lateral (select count(*) filter (where c.found) as found,"
    "   count(*) filter (where not c.found) as missing,"
    "   count(distinct (c.job_id, c.revision)) filter (where not c.found) as documents_missing"
    "  from precis.citations c where c.tenant = b.tenant and c.batch = b.batch) q"
    " cross join lateral (select coalesce(sum(cardinality(s.warnings)), 0) as warnings,"
    "   count(*) filter (where cardinality(s.warnings) > 0) as documents_warned"
    "  from precis.summaries s where s.tenant = b.tenant and s.batch = b.batch) w"
    " where b.tenant = $1 and b.batch = $2";

static const char models_sql[] =
    "select coalesce(m.model, '-') as model, m.is_total, m.calls, m.input_tokens,"
    " m.cached_input_tokens, m.output_tokens, m.reasoning_tokens, m.cost_usd, m.in_doubt_calls,"
    " m.in_doubt_usd from (select c.model, grouping(c.model) = 1 as is_total, count(*) as calls,"
    "  coalesce(sum(c.input_tokens), 0)::bigint as input_tokens,"
    "  coalesce(sum(c.cached_input_tokens), 0)::bigint as cached_input_tokens,"
    "  coalesce(sum(c.output_tokens), 0)::bigint as output_tokens,"
    "  coalesce(sum(c.reasoning_tokens), 0)::bigint as reasoning_tokens,"
    "  trim_scale(coalesce(sum(c.cost_usd), 0))::text as cost_usd,"
    "  count(*) filter (where c.outcome = 'in_doubt') as in_doubt_calls,"
    "  trim_scale(coalesce(sum(c.at_most_usd) filter (where c.outcome = 'in_doubt'), 0))::text"
    "   as in_doubt_usd from precis.costs c where c.tenant = $1 and c.batch = $2"
    "  group by grouping sets ((c.model), ())) m where m.calls > 0"
    " order by m.is_total, m.cost_usd::numeric desc, m.model";

static const char codes_sql[] =
    "select j.state, j.error_code, count(*) as jobs, j.suggestion"
    " from precis.jobs j where j.tenant = $1 and j.batch = $2"
    " and j.state in ('failed', 'cancelled') group by 1, 2, 4 order by 3 desc, 2, 4";

bool results_totals_load(const struct results_order *order, struct results_totals *out)
{
    struct ask ask = {batch_sql, {order->name->tenant, order->name->batch}, 2};
    struct results_totals totals = {0};
    totals.batch = ask_rows(order->invocation, &ask);
    ask.sql = models_sql;
    totals.models = totals.batch ? ask_rows(order->invocation, &ask) : NULL;
    ask.sql = codes_sql;
    totals.codes = totals.models ? ask_rows(order->invocation, &ask) : NULL;
    if (totals.codes) {
        *out = totals;
        return true;
    }
    results_totals_deinit(&totals);
    return false;
}

void results_totals_deinit(struct results_totals *totals)
{
    pg_rows_free(totals->batch);
    pg_rows_free(totals->models);
    pg_rows_free(totals->codes);
    *totals = (struct results_totals){0};
}

// ------------------------------------------------------------------------------- the head

static void add_name(struct buf *out, const struct pg_rows *batch)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    ask_add_batch(&name, ask_value(batch, 0, "tenant"), ask_value(batch, 0, "batch"));
    html_add_element(out, "h1", buf_str(&name));
}

static void add_when(struct buf *out, const struct pg_rows *batch)
{
    const char *submitted = ask_value(batch, 0, "submitted_at");
    buf_add_str(out, "\n<p class=\"when\">");
    if (submitted)
        buf_printf(out, "Submitted %.16s UTC", submitted);
    buf_add_str(out, ask_value(batch, 0, "finished_at") ? ", ended after " : ", running for ");
    screen_add_duration(out, ask_value(batch, 0, "took_ms"));
    buf_printf(out, ". This page was made %.16s UTC.</p>\n", ask_value(batch, 0, "now"));
}

// A number with its words below it; `style` is a class or "".
static void add_tile(struct buf *out, const char *style, const struct buf *number,
                     const char *words)
{
    buf_printf(out, "<li%s%s%s>", *style ? " class=\"" : "", style, *style ? "\"" : "");
    html_add_element(out, "b", buf_str(number));
    html_add_element(out, "span", words);
    buf_add_str(out, "</li>\n");
}

static void add_count_tile(struct buf *out, const char *style, const struct pg_rows *batch,
                           const char *column, const char *one, const char *many)
{
    struct buf number OWN_BUF;
    buf_init(&number, 0);
    screen_add_count(&number, ask_value(batch, 0, column));
    add_tile(out, style, &number, ask_number(batch, 0, column) == 1 ? one : many);
}

static void add_money_tile(struct buf *out, const struct pg_rows *batch)
{
    struct buf number OWN_BUF, words OWN_BUF;
    buf_init(&number, 0);
    buf_init(&words, 0);
    screen_add_money(&number, ask_value(batch, 0, "cost_usd"));
    const char *doubt = ask_value(batch, 0, "in_doubt_usd");
    if (doubt && strcmp(doubt, "0") != 0)
        buf_printf(&words, "paid, and at most $%s more for calls in doubt", doubt);
    else
        buf_add_str(&words, "paid, to the last digit");
    add_tile(out, "", &number, buf_str(&words));
}

static void add_token_tile(struct buf *out, const struct pg_rows *models)
{
    size_t last = pg_rows_count(models) - 1; // the total
    struct buf number OWN_BUF, words OWN_BUF;
    buf_init(&number, 0);
    buf_init(&words, 0);
    screen_add_count(&number, ask_value(models, last, "input_tokens"));
    buf_add_str(&words, "tokens in, ");
    screen_add_count(&words, ask_value(models, last, "output_tokens"));
    buf_add_str(&words, " out");
    add_tile(out, "", &number, buf_str(&words));
}

// Of the quotes: how many were found; of the warnings: how many there are.
static void add_trust_tiles(struct buf *out, const struct pg_rows *batch)
{
    struct buf number OWN_BUF, words OWN_BUF;
    buf_init(&number, 0);
    buf_init(&words, 0);
    int64_t found = ask_number(batch, 0, "found"), missing = ask_number(batch, 0, "missing");
    if (found + missing > 0) {
        char all[24];
        snprintf(all, sizeof(all), "%" PRId64, found + missing);
        screen_add_count(&number, ask_value(batch, 0, "found"));
        buf_add_str(&number, " of ");
        screen_add_count(&number, all);
        add_tile(out, missing > 0 ? "warn" : "", &number, "quotes found in their documents");
    }
    buf_clear(&number);
    if (ask_number(batch, 0, "warnings") == 0)
        return;
    screen_add_count(&number, ask_value(batch, 0, "warnings"));
    buf_printf(&words, "warning%s, in %s document%s",
               ask_number(batch, 0, "warnings") == 1 ? "" : "s",
               ask_value(batch, 0, "documents_warned"),
               ask_number(batch, 0, "documents_warned") == 1 ? "" : "s");
    add_tile(out, "warn", &number, buf_str(&words));
}

void results_page_head(struct buf *out, const struct results_totals *totals)
{
    const struct pg_rows *batch = totals->batch;
    buf_add_str(out, "<header>\n");
    add_name(out, batch);
    add_when(out, batch);
    if (ask_number(batch, 0, "unfinished") > 0) {
        buf_add_str(out, "<p class=\"alert\">");
        screen_add_count(out, ask_value(batch, 0, "unfinished"));
        buf_add_str(out, ask_number(batch, 0, "unfinished") == 1
                             ? " job has not ended yet, and is not on this page.</p>\n"
                             : " jobs have not ended yet, and are not on this page.</p>\n");
    }
    buf_add_str(out, "<ul class=\"tiles\">\n");
    add_count_tile(out, "", batch, "done", "document summarised", "documents summarised");
    if (ask_number(batch, 0, "failed") > 0)
        add_count_tile(out, "bad", batch, "failed", "failed", "failed");
    if (ask_number(batch, 0, "cancelled") > 0)
        add_count_tile(out, "", batch, "cancelled", "cancelled", "cancelled");
    add_trust_tiles(out, batch);
    add_money_tile(out, batch);
    if (pg_rows_count(totals->models) > 0)
        add_token_tile(out, totals->models);
    buf_add_str(out, "</ul>\n</header>");
}

// ------------------------------------------------------------------------------- the overview

static void add_codes(struct buf *out, const struct pg_rows *codes)
{
    if (pg_rows_count(codes) == 0)
        return;
    buf_add_str(out, "<section>\n<h2>What failed</h2>\n<div class=\"wide\"><table class=\"sums\">\n"
                     "<thead><tr><th class=\"n\">Documents</th><th>Why</th><th>What to do</th></tr>"
                     "</thead>\n<tbody>\n");
    for (size_t i = 0; i < pg_rows_count(codes); i++) {
        const char *code = ask_value(codes, i, "error_code");
        buf_add_str(out, "<tr><td class=\"n\">");
        screen_add_count(out, ask_value(codes, i, "jobs"));
        buf_add_str(out, "</td><td>");
        html_add_element(out, "code", code ? code : ask_value(codes, i, "state"));
        buf_add_str(out, "</td>");
        html_add_element(out, "td", ask_value(codes, i, "suggestion"));
        buf_add_str(out, "</tr>\n");
    }
    buf_add_str(out, "</tbody>\n</table></div>\n</section>\n");
}

static const struct {
    const char *column, *title;
    bool money;
} sums[] = {
    {"calls", "Calls", false},
    {"input_tokens", "Tokens in", false},
    {"cached_input_tokens", "cached", false},
    {"output_tokens", "Tokens out", false},
    {"reasoning_tokens", "reasoning", false},
    {"cost_usd", "Cost", true},
    {"in_doubt_calls", "In doubt", false},
    {"in_doubt_usd", "at most", true},
};
#define SUMS (sizeof(sums) / sizeof(sums[0]))

// A column of zeros says nothing.
static bool is_shown(const struct pg_rows *models, size_t sum)
{
    const char *total = ask_value(models, pg_rows_count(models) - 1, sums[sum].column);
    return total && strcmp(total, "0") != 0;
}

static void add_sums(struct buf *out, const struct pg_rows *models, size_t row, bool total)
{
    buf_add_str(out, "<tr>");
    html_add_element(out, "th", total ? "All" : ask_value(models, row, "model"));
    for (size_t i = 0; i < SUMS; i++) {
        if (!is_shown(models, i))
            continue;
        buf_add_str(out, "<td class=\"n\">");
        if (sums[i].money)
            screen_add_money(out, ask_value(models, row, sums[i].column));
        else
            screen_add_count(out, ask_value(models, row, sums[i].column));
        buf_add_str(out, "</td>");
    }
    buf_add_str(out, "</tr>\n");
}

static void add_models(struct buf *out, const struct pg_rows *models)
{
    size_t count = pg_rows_count(models);
    if (count == 0)
        return;
    buf_add_str(out,
                "<section>\n<h2>What it cost</h2>\n<div class=\"wide\"><table class=\"sums\">\n"
                "<thead><tr><th>Model</th>");
    for (size_t i = 0; i < SUMS; i++)
        if (is_shown(models, i))
            html_add_element(out, "th class=\"n\"", sums[i].title);
    buf_add_str(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i + 1 < count; i++)
        add_sums(out, models, i, false);
    buf_add_str(out, "</tbody>\n<tfoot>");
    add_sums(out, models, count - 1, true);
    buf_add_str(out, "</tfoot>\n</table></div>\n");
    if (ask_number(models, count - 1, "in_doubt_calls") > 0)
        buf_add_str(out,
                    "<p class=\"note\">A call is in doubt where no complete answer came (a crash, "
                    "a time-out): it may have been paid. Its cost is not part of Cost; "
                    "\u201cat most\u201d says how much it can be.</p>\n");
    buf_add_str(out, "</section>");
}

void results_page_overview(struct buf *out, const struct results_totals *totals)
{
    add_codes(out, totals->codes);
    add_models(out, totals->models);
}
