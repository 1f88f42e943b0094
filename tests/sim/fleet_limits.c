// SPDX-License-Identifier: Apache-2.0
// Buckets and windows, exact to the millisecond.
#include "fleet_limits.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define MINUTE_MS INT64_C(60000)
#define OFFSET_MS INT64_C(17000) // a fixed window does not begin when the fleet does

static int64_t full_level(const struct limiter *limiter)
{
    int64_t full = limiter->per_minute * limiter->burst_ms / 60;
    return full > 1000 ? full : 1000;
}

void limiter_init(struct limiter *limiter, const struct limiter *kind)
{
    *limiter = *kind;
    limiter->level = full_level(limiter);
    limiter->window_ms = -OFFSET_MS;
    if (limiter->kind == LIMITER_SLIDING)
        limiter->times = own_array((size_t)limiter->per_minute, sizeof(*limiter->times));
}

void limiter_deinit(struct limiter *limiter)
{
    free(limiter->times);
    limiter->times = NULL;
}

static void forget_old(struct limiter *limiter, int64_t now_ms)
{
    size_t old = 0;
    while (old < limiter->count && limiter->times[old] <= now_ms - MINUTE_MS)
        old++;
    if (old == 0)
        return;
    limiter->count -= old;
    memmove(limiter->times, limiter->times + old, limiter->count * sizeof(*limiter->times));
}

bool limiter_fill(struct limiter *limiter, int64_t extra_percent, int64_t now_ms)
{
    int64_t passed_ms = now_ms - limiter->at_ms;
    limiter->at_ms = now_ms;
    if (limiter->kind == LIMITER_SLIDING)
        forget_old(limiter, now_ms);
    if (limiter->kind == LIMITER_FIXED && now_ms >= limiter->window_ms + MINUTE_MS) {
        limiter->window_ms += (now_ms - limiter->window_ms) / MINUTE_MS * MINUTE_MS;
        limiter->taken = 0;
    }
    if (limiter->kind != LIMITER_BUCKET)
        return false;
    limiter->level += passed_ms * limiter->per_minute * (100 + extra_percent) / 6000;
    if (limiter->level < full_level(limiter))
        return false;
    limiter->level = full_level(limiter);
    return true;
}

int64_t limiter_left(const struct limiter *limiter)
{
    switch (limiter->kind) {
    case LIMITER_BUCKET:
        return limiter->level / 1000;
    case LIMITER_FIXED:
        return limiter->per_minute - limiter->taken;
    case LIMITER_SLIDING:
        return limiter->per_minute - (int64_t)limiter->count;
    }
    CHECK(false);
    return 0;
}

bool limiter_fits(const struct limiter *limiter, int64_t amount)
{
    return limiter_left(limiter) >= amount;
}

void limiter_take(struct limiter *limiter, int64_t amount, int64_t now_ms)
{
    limiter->level -= amount * 1000;
    limiter->taken += amount;
    for (int64_t i = 0; i < amount && limiter->kind == LIMITER_SLIDING; i++)
        limiter->times[limiter->count++] = now_ms;
}

int64_t limiter_reset_ms(const struct limiter *limiter, int64_t now_ms)
{
    if (limiter->per_minute == 0)
        return 0;
    switch (limiter->kind) {
    case LIMITER_BUCKET:
        return (full_level(limiter) - limiter->level) * 60 / limiter->per_minute;
    case LIMITER_FIXED:
        return limiter->window_ms + MINUTE_MS - now_ms;
    case LIMITER_SLIDING:
        if (limiter->count == 0)
            return 0;
        return limiter->times[limiter->until_full ? limiter->count - 1 : 0] + MINUTE_MS - now_ms;
    }
    CHECK(false);
    return 0;
}
