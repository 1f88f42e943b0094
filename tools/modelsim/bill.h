// SPDX-License-Identifier: Apache-2.0
// What the provider charges: totals a model, and an entry a request. Money is owed as soon as the
// model has worked, whether or not the answer reached anybody; a refusal costs nothing.
#ifndef MODELSIM_BILL_H
#define MODELSIM_BILL_H

#include "buf.h"
#include "money.h"
#include "reply.h"

#include <stdbool.h>

enum outcome {
    OUTCOME_PENDING,   // being written
    OUTCOME_ANSWERED,  // written whole
    OUTCOME_CUT,       // began, did not end as it should
    OUTCOME_DROPPED,   // worked out, and not a byte written
    OUTCOME_VANISHED,  // the client left first
    OUTCOME_REFUSED,   // an error, nothing worked out
    OUTCOME_THROTTLED, // 429
    OUTCOMES
};

struct bill_entry {
    char *client_request_id; // "" for none; these two are owned by the bill
    char *idempotency_key;
    const char *model; // owned by the settings, which keep every name
    const char *fault; // static, NULL for none
    struct usage usage;
    uint64_t picousd;
    uint64_t at_ms;  // Unix time
    uint64_t number; // of the request: x-request-id is req_sim_<number>
    uint32_t key;    // which, from 0
    uint16_t status;
    uint8_t outcome; // enum outcome
    uint8_t after;   // the outcome when the reply has been written to its end
    bool billed, delivered;
};

struct bill_total {
    const char *model;
    uint64_t calls, billed_calls, delivered_calls;
    uint64_t prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens;
    uint64_t picousd;
};

struct bill {
    struct bill_entry *entries;
    size_t count, cap;
    size_t most_entries; // later calls are only in the totals
    uint64_t unlisted;
    struct bill_total *totals;
    size_t total_count;
    uint32_t generation; // grows at each reset, so that replies under way then are forgotten
};

// Adds an entry (copying its two texts) and returns a name for it. The entry's outcome is what it
// is until bill_settle, its `after` what a fully written reply makes of it.
reply_call bill_add(struct bill *bill, const struct bill_entry *entry);

// The reply was written to its end, or the client left before.
void bill_settle(struct bill *bill, reply_call call, bool complete);

// Appends the bill as JSON.
void bill_write(const struct bill *bill, bool with_calls, struct buf *out);

// Appends what a provider lets its customers export: a JSON object a line, or CSV, for each call
// that is owed. Who left before the end finds its calls there, too.
void bill_write_usage(const struct bill *bill, bool csv, struct buf *out);

void bill_reset(struct bill *bill);
void bill_free(struct bill *bill);

const char *outcome_name(enum outcome outcome);

#endif
