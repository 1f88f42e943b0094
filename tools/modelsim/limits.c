// SPDX-License-Identifier: Apache-2.0
// Token buckets in integers.
#include "limits.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    PARTS = 60000,         // of one request or token
    FOREIGN_TOKENS = 1000, // of a call of somebody else, where no limit on requests says otherwise
    SECONDS = 60,          // that a minute's use is kept by
};

struct bucket {
    int64_t level; // parts; below zero is debt
    uint64_t at_ms;
    bool begun;
};

struct surge {
    bool under_way;
    uint64_t began_ms;
    int64_t used[LIMIT_KINDS]; // parts
};

struct limit_slot {
    struct bucket buckets[LIMIT_KINDS];
    struct surge surge;
    double foreign_at_ms; // when somebody else asks next; 0: not known
    uint64_t foreign_random;
    uint64_t second;                     // the last one that `used` holds
    uint64_t used[LIMIT_KINDS][SECONDS]; // by second
};

const char *limit_kind_name(enum limit_kind kind)
{
    static const char *const names[LIMIT_KINDS] = {"requests", "tokens", "input-tokens",
                                                   "output-tokens"};
    return names[kind];
}

// ---------------------------------------------------------------------------- buckets

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

static void refill_all(struct limit_slot *slot, const struct limit_rule *rule, uint64_t now_ms)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        refill(&slot->buckets[k], rule->per_minute[k], rule->burst_ms, now_ms);
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

static struct limit_slot *slot_of(struct limits *limits, size_t slot)
{
    if (slot >= limits->count) {
        limits->slots = must_realloc(limits->slots, (slot + 1) * sizeof *limits->slots);
        for (; limits->count <= slot; limits->count++)
            limits->slots[limits->count] = (struct limit_slot){.foreign_random = limits->count + 1};
    }
    return &limits->slots[slot];
}

static int64_t whole(const struct bucket *bucket)
{
    return bucket->level > 0 ? bucket->level / PARTS : 0;
}

// The longest wait of all kinds, and whose it is.
static uint64_t longest_wait(const struct limit_slot *slot, const struct limit_rule *rule,
                             const uint64_t want[LIMIT_KINDS], enum limit_kind *out_kind)
{
    uint64_t longest = 0;
    *out_kind = LIMIT_REQUESTS;
    for (size_t k = 0; k < LIMIT_KINDS; k++) {
        uint64_t wait = wait_for(&slot->buckets[k], rule->per_minute[k], rule->burst_ms, want[k]);
        if (wait > longest) {
            longest = wait;
            *out_kind = (enum limit_kind)k;
        }
    }
    return longest;
}

// ---------------------------------------------------------------------------- a minute's use

static void forget_seconds(struct limit_slot *slot, uint64_t now_ms)
{
    uint64_t second = now_ms / 1000;
    if (second - slot->second >= SECONDS)
        slot->second = second - SECONDS;
    while (slot->second < second) {
        slot->second++;
        for (size_t k = 0; k < LIMIT_KINDS; k++)
            slot->used[k][slot->second % SECONDS] = 0;
    }
}

static void note_use(struct limit_slot *slot, const uint64_t want[LIMIT_KINDS], uint64_t now_ms)
{
    forget_seconds(slot, now_ms);
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        slot->used[k][slot->second % SECONDS] += want[k];
}

static uint64_t used_in_a_minute(const struct limit_slot *slot, size_t kind)
{
    uint64_t used = 0;
    for (size_t i = 0; i < SECONDS; i++)
        used += slot->used[kind][i];
    return used;
}

static void take(struct limit_slot *slot, const struct limit_rule *rule,
                 const uint64_t want[LIMIT_KINDS], uint64_t now_ms)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (rule->per_minute[k] > 0)
            slot->buckets[k].level -= (int64_t)want[k] * PARTS;
    note_use(slot, want, now_ms);
}

// ---------------------------------------------------------------------------- somebody else

static double draw_gap_ms(struct limit_slot *slot, double mean_ms)
{
    uint64_t x = slot->foreign_random += 0x9E3779B97F4A7C15U; // splitmix64
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    double chance = (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0; // 2^53
    return -log(1.0 - chance) * mean_ms;
}

// A call of somebody else: as large as the limits are to each other.
static double foreign_wants(const struct limit_rule *rule, uint64_t want[LIMIT_KINDS])
{
    uint64_t calls = rule->per_minute[LIMIT_REQUESTS];
    for (size_t k = 1; k < LIMIT_KINDS && calls == 0; k++)
        calls = rule->per_minute[k] / FOREIGN_TOKENS;
    calls = calls > 0 ? calls : 1;
    want[LIMIT_REQUESTS] = 1;
    for (size_t k = 1; k < LIMIT_KINDS; k++)
        want[k] = rule->per_minute[k] / calls;
    return 60000.0 * 100.0 / ((double)calls * (double)rule->foreign_percent);
}

static void play_foreign(struct limits *limits, struct limit_slot *slot,
                         const struct limit_rule *rule, uint64_t now_ms)
{
    if (rule->foreign_percent == 0) {
        slot->foreign_at_ms = 0;
        return;
    }
    uint64_t want[LIMIT_KINDS];
    double mean_ms = foreign_wants(rule, want);
    if (slot->foreign_at_ms <= 0)
        slot->foreign_at_ms = (double)now_ms + draw_gap_ms(slot, mean_ms);
    while (slot->foreign_at_ms <= (double)now_ms) {
        uint64_t at_ms = (uint64_t)slot->foreign_at_ms;
        enum limit_kind kind;
        refill_all(slot, rule, at_ms > slot->buckets[0].at_ms ? at_ms : slot->buckets[0].at_ms);
        bool refused = longest_wait(slot, rule, want, &kind) > 0;
        limits->foreign_calls++;
        limits->foreign_refused += refused;
        if (!refused)
            take(slot, rule, want, at_ms);
        slot->foreign_at_ms += draw_gap_ms(slot, mean_ms);
    }
}

// ---------------------------------------------------------------------------- a rise

static void rearm_surge(struct limit_slot *slot, const struct limit_rule *rule)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (rule->per_minute[k] > 0 &&
            slot->buckets[k].level < capacity(rule->per_minute[k], rule->burst_ms))
            return;
    slot->surge = (struct surge){0};
}

// Of the kinds that are short, so many percent of what has come since the rise began, and one call.
static bool surge_allows(struct surge *surge, const struct limit_slot *slot,
                         const struct limit_rule *rule, const uint64_t want[LIMIT_KINDS],
                         uint64_t now_ms)
{
    if (rule->surge_percent == 0)
        return false;
    if (!surge->under_way)
        *surge = (struct surge){.under_way = true, .began_ms = now_ms};
    uint64_t passed_ms = now_ms - surge->began_ms;
    if (passed_ms >= rule->surge_ms)
        return false;
    int64_t used[LIMIT_KINDS];
    for (size_t k = 0; k < LIMIT_KINDS; k++) {
        bool is_short =
            wait_for(&slot->buckets[k], rule->per_minute[k], rule->burst_ms, want[k]) > 0;
        int64_t parts = (int64_t)want[k] * PARTS;
        int64_t most = (int64_t)(rule->per_minute[k] * passed_ms * rule->surge_percent / 100);
        used[k] = surge->used[k] + (is_short ? parts : 0);
        if (used[k] > most + parts)
            return false;
    }
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        surge->used[k] = used[k];
    return true;
}

// A kind that is short is given by the allowance; the others are taken as ever.
static void take_by_surge(struct limit_slot *slot, const struct limit_rule *rule,
                          const uint64_t want[LIMIT_KINDS], uint64_t now_ms)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (rule->per_minute[k] > 0 &&
            wait_for(&slot->buckets[k], rule->per_minute[k], rule->burst_ms, want[k]) == 0)
            slot->buckets[k].level -= (int64_t)want[k] * PARTS;
    note_use(slot, want, now_ms);
}

// ---------------------------------------------------------------------------- a call

static void tell(const struct limit_slot *slot, const struct limit_rule *rule,
                 struct limit_state *out)
{
    for (size_t k = 0; k < LIMIT_KINDS; k++) {
        out->left[k] = whole(&slot->buckets[k]);
        out->full_ms[k] = until_full(&slot->buckets[k], rule->per_minute[k], rule->burst_ms);
        if (rule->headers != HEADERS_MINUTE || rule->per_minute[k] == 0)
            continue;
        uint64_t limit = rule->per_minute[k], used = used_in_a_minute(slot, k);
        out->left[k] = used < limit ? (int64_t)(limit - used) : 0;
        out->full_ms[k] = (used < limit ? used : limit) * 60000 / limit;
    }
}

void limits_take(struct limits *limits, size_t number, const struct limit_rule *rule,
                 const uint64_t want[LIMIT_KINDS], uint64_t now_ms, struct limit_state *out_state)
{
    struct limit_slot *slot = slot_of(limits, number);
    struct bucket *requests = &slot->buckets[LIMIT_REQUESTS];
    play_foreign(limits, slot, rule, now_ms);
    refill_all(slot, rule, now_ms);
    forget_seconds(slot, now_ms);
    rearm_surge(slot, rule);
    *out_state = (struct limit_state){0};
    out_state->wait_ms = longest_wait(slot, rule, want, &out_state->short_of);
    out_state->allowed = out_state->wait_ms == 0;
    if (out_state->allowed) {
        take(slot, rule, want, now_ms);
    } else if (surge_allows(&slot->surge, slot, rule, want, now_ms)) {
        take_by_surge(slot, rule, want, now_ms);
        out_state->allowed = true;
        out_state->wait_ms = 0;
        limits->surge_calls++;
    } else if (rule->count_refused && rule->per_minute[LIMIT_REQUESTS] &&
               requests->level >= PARTS) {
        requests->level -= PARTS;
    }
    tell(slot, rule, out_state);
}

// ---------------------------------------------------------------------------- headers

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
    buf_add_format(out,
                   "x-ratelimit-limit-%s: %" PRIu64 "\r\nx-ratelimit-remaining-%s: %" PRId64
                   "\r\nx-ratelimit-reset-%s: ",
                   kind, limit, kind, left, kind);
    duration_write(full_ms, out);
    buf_add_text(out, "\r\n");
}

void limits_headers(const struct limit_rule *rule, const struct limit_state *state, struct buf *out)
{
    if (rule->headers == HEADERS_NONE)
        return;
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (rule->per_minute[k] > 0)
            header_group(limit_kind_name((enum limit_kind)k), rule->per_minute[k], state->left[k],
                         state->full_ms[k], out);
}

void limits_reset(struct limits *limits)
{
    free(limits->slots);
    *limits = (struct limits){0};
}
