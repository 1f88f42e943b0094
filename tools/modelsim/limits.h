// SPDX-License-Identifier: Apache-2.0
// Requests and tokens per minute, as providers enforce them: a bucket for each key, model and kind,
// which holds some seconds' worth and fills evenly. A call that wants more than a bucket can hold
// passes when the bucket is full, and leaves it in debt. Integers throughout: a unit is kept as
// 60,000 parts, of which `per_minute` come in each millisecond.
//
// Somebody else may use the same key: that load comes by chance (Poisson), asks the same buckets
// and is refused by them like any other.
//
// A provider may let a rise pass (`surge`): beyond the buckets, so many percent of the limit more
// are given, for so many milliseconds from the first call that needed it; then it refuses. The
// allowance is there again when the buckets have been full.
#ifndef MODELSIM_LIMITS_H
#define MODELSIM_LIMITS_H

#include "buf.h"

#include <stdbool.h>

enum limit_kind { LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_INPUT, LIMIT_OUTPUT, LIMIT_KINDS };

enum limit_headers {
    HEADERS_BUCKET, // what is left is what the bucket holds now
    HEADERS_MINUTE, // what is left is the limit less what the last 60 seconds took
    HEADERS_NONE,
};

struct limit_rule {
    uint64_t per_minute[LIMIT_KINDS]; // 0 is no limit
    uint64_t burst_ms;                // what a bucket holds
    uint64_t surge_percent, surge_ms;
    uint64_t foreign_percent; // of the limits, that somebody else asks for
    bool count_refused;       // a refused request uses up a request all the same
    enum limit_headers headers;
};

struct limit_state { // after a decision
    bool allowed;
    enum limit_kind short_of; // which refused
    uint64_t wait_ms;         // until it would have been allowed
    int64_t left[LIMIT_KINDS];
    uint64_t full_ms[LIMIT_KINDS];
};

struct limits {
    struct limit_slot *slots; // one for each key and model
    size_t count;
    uint64_t foreign_calls, foreign_refused;
    uint64_t surge_calls; // that only the allowance let pass
};

// Takes `want` from a slot's buckets, or nothing.
void limits_take(struct limits *limits, size_t slot, const struct limit_rule *rule,
                 const uint64_t want[LIMIT_KINDS], uint64_t now_ms, struct limit_state *out_state);

// Appends the x-ratelimit-* header lines; none where there is no limit.
void limits_headers(const struct limit_rule *rule, const struct limit_state *state,
                    struct buf *out);

// "requests", "tokens", "input-tokens", "output-tokens"
const char *limit_kind_name(enum limit_kind kind);

// A time as Go writes durations: 420ms, 1.5s, 6m0s.
void duration_write(uint64_t ms, struct buf *out);

void limits_reset(struct limits *limits);

#endif
