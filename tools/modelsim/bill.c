// SPDX-License-Identifier: Apache-2.0
// Keeps the entries and their sums, and writes them as JSON.
#include "bill.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {"pending",  "answered", "cut",      "dropped",
                                                "vanished", "refused",  "throttled"};
    return names[outcome];
}

static struct bill_total *total_of(struct bill *bill, const char *model)
{
    for (size_t i = 0; i < bill->total_count; i++)
        if (strcmp(bill->totals[i].model, model) == 0)
            return &bill->totals[i];
    size_t bytes = (bill->total_count + 1) * sizeof *bill->totals;
    bill->totals = must_realloc(bill->totals, bytes);
    struct bill_total *total = &bill->totals[bill->total_count++];
    *total = (struct bill_total){.model = model};
    return total;
}

static void add_to_total(struct bill *bill, const struct bill_entry *entry)
{
    struct bill_total *total = total_of(bill, entry->model);
    total->calls++;
    if (!entry->billed)
        return;
    total->billed_calls++;
    total->prompt_tokens += entry->usage.prompt_tokens;
    total->cached_tokens += entry->usage.cached_tokens;
    total->completion_tokens += entry->usage.visible_tokens + entry->usage.reasoning_tokens;
    total->reasoning_tokens += entry->usage.reasoning_tokens;
    total->picousd += entry->picousd;
}

reply_call bill_add(struct bill *bill, const struct bill_entry *entry)
{
    add_to_total(bill, entry);
    if (bill->count == bill->most_entries) {
        bill->unlisted++;
        return 0;
    }
    if (bill->count == bill->cap) {
        bill->cap = bill->cap ? bill->cap * 2 : 256;
        bill->entries = must_realloc(bill->entries, bill->cap * sizeof *bill->entries);
    }
    struct bill_entry *kept = &bill->entries[bill->count++];
    *kept = *entry;
    const char *id = entry->client_request_id;
    const char *key = entry->idempotency_key;
    kept->client_request_id = *id ? must_copy(id, strlen(id)) : NULL;
    kept->idempotency_key = *key ? must_copy(key, strlen(key)) : NULL;
    return (reply_call)bill->generation << 32 | bill->count;
}

void bill_settle(struct bill *bill, reply_call call, bool complete)
{
    if (call >> 32 != bill->generation)
        return;
    struct bill_entry *entry = &bill->entries[(call & UINT32_MAX) - 1];
    if (entry->outcome != OUTCOME_PENDING)
        return;
    entry->outcome = complete ? entry->after : OUTCOME_VANISHED;
    entry->delivered = entry->outcome == OUTCOME_ANSWERED;
    if (entry->delivered)
        total_of(bill, entry->model)->delivered_calls++;
}

static void write_text(struct buf *out, const char *name, const char *text)
{
    buf_add_format(out, "\"%s\":", name);
    if (!text) {
        buf_add_text(out, "null,");
        return;
    }
    buf_add_text(out, "\"");
    buf_add_json(out, text, strlen(text));
    buf_add_text(out, "\",");
}

static void write_tokens(struct buf *out, uint64_t prompt, uint64_t cached, uint64_t completion,
                         uint64_t reasoning, uint64_t picousd)
{
    char cost[MONEY_TEXT_BYTES];
    money_format(picousd, cost);
    buf_add_format(out,
                   "\"prompt_tokens\":%" PRIu64 ",\"cached_tokens\":%" PRIu64
                   ",\"completion_tokens\":%" PRIu64 ",\"reasoning_tokens\":%" PRIu64
                   ",\"cost_usd\":\"%s\"",
                   prompt, cached, completion, reasoning, cost);
}

static void write_total(struct buf *out, const struct bill_total *total)
{
    buf_add_text(out, "{");
    write_text(out, "model", total->model);
    buf_add_format(
        out, "\"calls\":%" PRIu64 ",\"billed_calls\":%" PRIu64 ",\"delivered_calls\":%" PRIu64 ",",
        total->calls, total->billed_calls, total->delivered_calls);
    write_tokens(out, total->prompt_tokens, total->cached_tokens, total->completion_tokens,
                 total->reasoning_tokens, total->picousd);
    buf_add_text(out, "}");
}

static void write_entry(struct buf *out, const struct bill_entry *entry)
{
    const struct usage *usage = &entry->usage;
    buf_add_text(out, "{");
    write_text(out, "id", entry->client_request_id);
    write_text(out, "idempotency_key", entry->idempotency_key);
    write_text(out, "model", entry->model);
    write_text(out, "fault", entry->fault);
    write_text(out, "outcome", outcome_name((enum outcome)entry->outcome));
    buf_add_format(out, "\"request_id\":\"req_sim_%" PRIu64 "\",\"key\":%" PRIu32 ",",
                   entry->number, entry->key);
    buf_add_format(out, "\"status\":%u,\"billed\":%s,\"delivered\":%s,\"at_ms\":%" PRIu64 ",",
                   entry->status, entry->billed ? "true" : "false",
                   entry->delivered ? "true" : "false", entry->at_ms);
    write_tokens(out, usage->prompt_tokens, usage->cached_tokens,
                 usage->visible_tokens + usage->reasoning_tokens, usage->reasoning_tokens,
                 entry->picousd);
    buf_add_text(out, "}");
}

void bill_write(const struct bill *bill, bool with_calls, struct buf *out)
{
    uint64_t picousd = 0;
    for (size_t i = 0; i < bill->total_count; i++)
        picousd += bill->totals[i].picousd;
    char cost[MONEY_TEXT_BYTES];
    money_format(picousd, cost);
    buf_add_format(out, "{\"cost_usd\":\"%s\",\"models\":[", cost);
    for (size_t i = 0; i < bill->total_count; i++) {
        buf_add_text(out, i > 0 ? "," : "");
        write_total(out, &bill->totals[i]);
    }
    buf_add_text(out, "]");
    if (with_calls) {
        buf_add_format(out, ",\"unlisted_calls\":%" PRIu64 ",\"calls\":[", bill->unlisted);
        for (size_t i = 0; i < bill->count; i++) {
            buf_add_text(out, i > 0 ? ",\n" : "");
            write_entry(out, &bill->entries[i]);
        }
        buf_add_text(out, "]");
    }
    buf_add_text(out, "}\n");
}

static void write_usage_time(struct buf *out, uint64_t at_ms)
{
    char text[32];
    struct tm utc;
    time_t at = (time_t)(at_ms / 1000);
    gmtime_r(&at, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_add_format(out, "%s.%03uZ", text, (unsigned)(at_ms % 1000));
}

// input, cached and output tokens, and the price
static void write_usage_numbers(struct buf *out, const struct bill_entry *entry, bool csv)
{
    const struct usage *usage = &entry->usage;
    uint64_t written = usage->visible_tokens + usage->reasoning_tokens;
    char cost[MONEY_TEXT_BYTES];
    money_format(entry->picousd, cost);
    if (csv)
        buf_add_format(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n", usage->prompt_tokens,
                       usage->cached_tokens, written, cost);
    else
        buf_add_format(out,
                       "\"input_tokens\":%" PRIu64 ",\"cached_input_tokens\":%" PRIu64
                       ",\"output_tokens\":%" PRIu64 ",\"cost_usd\":\"%s\"}\n",
                       usage->prompt_tokens, usage->cached_tokens, written, cost);
}

static void write_usage_json(struct buf *out, const struct bill_entry *entry)
{
    buf_add_format(out, "{\"request_id\":\"req_sim_%" PRIu64 "\",", entry->number);
    write_text(out, "client_request_id", entry->client_request_id);
    buf_add_text(out, "\"created_at\":\"");
    write_usage_time(out, entry->at_ms);
    buf_add_text(out, "\",");
    write_text(out, "model", entry->model);
    write_usage_numbers(out, entry, false);
}

static void write_csv_text(struct buf *out, const char *text)
{
    buf_add_text(out, "\"");
    for (; text && *text; text++) {
        buf_add(out, text, 1);
        if (*text == '"')
            buf_add(out, text, 1);
    }
    buf_add_text(out, "\",");
}

static void write_usage_csv(struct buf *out, const struct bill_entry *entry)
{
    buf_add_format(out, "req_sim_%" PRIu64 ",", entry->number);
    write_csv_text(out, entry->client_request_id);
    write_usage_time(out, entry->at_ms);
    buf_add_text(out, ",");
    write_csv_text(out, entry->model);
    write_usage_numbers(out, entry, true);
}

void bill_write_usage(const struct bill *bill, bool csv, struct buf *out)
{
    if (csv)
        buf_add_text(out, "request_id,client_request_id,created_at,model,input_tokens,"
                          "cached_input_tokens,output_tokens,cost_usd\n");
    for (size_t i = 0; i < bill->count; i++)
        if (bill->entries[i].billed)
            (csv ? write_usage_csv : write_usage_json)(out, &bill->entries[i]);
}

void bill_reset(struct bill *bill)
{
    for (size_t i = 0; i < bill->count; i++) {
        free(bill->entries[i].client_request_id);
        free(bill->entries[i].idempotency_key);
    }
    bill->count = 0;
    bill->total_count = 0;
    bill->unlisted = 0;
    bill->generation++;
}

void bill_free(struct bill *bill)
{
    bill_reset(bill);
    free(bill->entries);
    free(bill->totals);
    *bill = (struct bill){0};
}
