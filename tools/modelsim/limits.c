// SPDX-License-Identifier: Apache-2.0
// Token buckets in integers.
#include "limits.h"

#include <inttypes.h>
#include <stdlib.h>

enum { PARTS = 60000 }; // of one request or token

static int64_t capacity(uint64_t per_minute, uint64_t burst_ms)
{
    int64_t parts = (int64_t)(per_minute * burst_ms);
    return parts < PARTS ? PARTS : parts;
}

static void refill(struct bucket *bucket, uint64_t per_minute, uint64_t burst_ms, uint64_t now_ms)
{
    int64_t full = capacity(per_minute, burst_ms);
    uint64_t passed = bucket->begun ? now_ms - bucket->at_ms : UINT32_MAX;
    if (passed > UINT32_MAX)
        passed = UINT32_MAX;
    int64_t gained;
    if (!bucket->begun || __builtin_mul_overflow((int64_t)passed, (int64_t)per_minute, &gained) ||
        __builtin_add_overflow(bucket->level, gained, &bucket->level) || bucket->level > full)
        bucket->level = full;
    bucket->begun = true;
    bucket->at_ms = now_ms;
}

// Milliseconds until the bucket lets `want` units pass; 0 is now.
static uint64_t wait_for(const struct bucket *bucket, uint64_t per_minute, uint64_t burst_ms,
                         uint64_t want)
{
    if (per_minute == 0)
        return 0;
    int64_t full = capacity(per_minute, burst_ms);
    int64_t parts = want > (uint64_t)(full / PARTS) ? full : (int64_t)want * PARTS;
    if (bucket->level >= parts)
        return 0;
    return ((uint64_t)(parts - bucket->level) + per_minute - 1) / per_minute;
}

static uint64_t until_full(const struct bucket *bucket, uint64_t per_minute, uint64_t burst_ms)
{
    if (per_minute == 0)
        return 0;
    return (uint64_t)(capacity(per_minute, burst_ms) - bucket->level) / per_minute;
}

static struct limit_pair *pair_of(struct limits *limits, size_t slot)
{
    if (slot >= limits->count) {
        limits->pairs = must_realloc(limits->pairs, (slot + 1) * sizeof *limits->pairs);
        for (; limits->count <= slot; limits->count++)
            limits->pairs[limits->count] = (struct limit_pair){0};
    }
    return &limits->pairs[slot];
}

static int64_t whole(const struct bucket *bucket)
{
    return bucket->level > 0 ? bucket->level / PARTS : 0;
}

void limits_take(struct limits *limits, size_t slot, const struct limit_rule *rule, uint64_t tokens,
                 uint64_t now_ms, struct limit_state *out_state)
{
    struct limit_pair *pair = pair_of(limits, slot);
    struct bucket *requests = &pair->requests;
    refill(requests, rule->rpm, rule->burst_ms, now_ms);
    refill(&pair->tokens, rule->tpm, rule->burst_ms, now_ms);
    uint64_t for_request = wait_for(requests, rule->rpm, rule->burst_ms, 1);
    uint64_t for_tokens = wait_for(&pair->tokens, rule->tpm, rule->burst_ms, tokens);
    bool allowed = for_request == 0 && for_tokens == 0;
    if (allowed)
        pair->tokens.level -= rule->tpm ? (int64_t)tokens * PARTS : 0;
    bool counts = allowed || (rule->count_refused && requests->level >= PARTS);
    if (counts && rule->rpm)
        requests->level -= PARTS;
    *out_state = (struct limit_state){
        .allowed = allowed,
        .tokens_short = for_tokens > for_request,
        .wait_ms = for_tokens > for_request ? for_tokens : for_request,
        .left_requests = whole(requests),
        .left_tokens = whole(&pair->tokens),
        .full_requests_ms = until_full(requests, rule->rpm, rule->burst_ms),
        .full_tokens_ms = until_full(&pair->tokens, rule->tpm, rule->burst_ms),
    };
}

void duration_write(uint64_t ms, struct buf *out)
{
    if (ms < 1000) {
        buf_add_format(out, "%" PRIu64 "ms", ms);
        return;
    }
    if (ms >= 60000)
        buf_add_format(out, "%" PRIu64 "m", ms / 60000);
    ms %= 60000;
    if (ms % 1000 == 0)
        buf_add_format(out, "%" PRIu64 "s", ms / 1000);
    else
        buf_add_format(out, "%" PRIu64 ".%03" PRIu64 "s", ms / 1000, ms % 1000);
}

static void header_group(const char *kind, uint64_t limit, int64_t left, uint64_t full_ms,
                         struct buf *out)
{
    if (limit == 0)
        return;
    buf_add_format(out,
                   "x-ratelimit-limit-%s: %" PRIu64 "\r\nx-ratelimit-remaining-%s: %" PRId64
                   "\r\nx-ratelimit-reset-%s: ",
                   kind, limit, kind, left, kind);
    duration_write(full_ms, out);
    buf_add_text(out, "\r\n");
}

void limits_headers(const struct limit_rule *rule, const struct limit_state *state, struct buf *out)
{
    header_group("requests", rule->rpm, state->left_requests, state->full_requests_ms, out);
    header_group("tokens", rule->tpm, state->left_tokens, state->full_tokens_ms, out);
}

void limits_reset(struct limits *limits)
{
    free(limits->pairs);
    *limits = (struct limits){0};
}
