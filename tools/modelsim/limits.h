// SPDX-License-Identifier: Apache-2.0
// Requests and tokens per minute, as providers enforce them: a bucket for each key, model and kind,
// which holds some seconds' worth and fills evenly. A call that wants more than a bucket can hold
// passes when the bucket is full, and leaves it in debt. Integers throughout: a unit is kept as
// 60,000 parts, of which `per_minute` come in each millisecond.
#ifndef MODELSIM_LIMITS_H
#define MODELSIM_LIMITS_H

#include "buf.h"

#include <stdbool.h>

struct bucket {
    int64_t level; // parts; below zero is debt
    uint64_t at_ms;
    bool begun;
};

struct limit_pair {
    struct bucket requests, tokens;
};

struct limits {
    struct limit_pair *pairs; // one for each slot (key and model)
    size_t count;
};

struct limit_rule {
    uint64_t rpm, tpm;  // 0 is no limit
    uint64_t burst_ms;  // what a bucket holds
    bool count_refused; // a refused request uses up a request all the same
};

struct limit_state { // after a decision
    bool allowed;
    bool tokens_short; // which of the two refused
    uint64_t wait_ms;  // until it would have been allowed
    int64_t left_requests, left_tokens;
    uint64_t full_requests_ms, full_tokens_ms;
};

// Takes one request and `tokens` tokens from a slot's buckets, or nothing.
void limits_take(struct limits *limits, size_t slot, const struct limit_rule *rule, uint64_t tokens,
                 uint64_t now_ms, struct limit_state *out_state);

// Appends the x-ratelimit-* header lines; none where there is no limit.
void limits_headers(const struct limit_rule *rule, const struct limit_state *state,
                    struct buf *out);

// A time as Go writes durations: 420ms, 1.5s, 6m0s.
void duration_write(uint64_t ms, struct buf *out);

void limits_reset(struct limits *limits);

#endif
