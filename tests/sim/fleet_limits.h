// SPDX-License-Identifier: Apache-2.0
// How providers enforce a limit a minute, and what their headers say of it: a bucket that refills,
// a window of a minute that begins anew, and the last 60 seconds.
#ifndef PRECIS_SIM_FLEET_LIMITS_H
#define PRECIS_SIM_FLEET_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum limiter_kind { LIMITER_BUCKET, LIMITER_FIXED, LIMITER_SLIDING };

struct limiter {
    enum limiter_kind kind;
    int64_t per_minute;
    int64_t burst_ms; // of the limit, that a bucket holds; one unit at least
    bool silent;      // no headers
    bool tells_reset; // until the bucket is full, the window ends, the oldest call is forgotten
    bool until_full;  // or, for a sliding one, until all are forgotten

    int64_t level, at_ms;     // of a bucket, in thousandths of a unit
    int64_t window_ms, taken; // of a fixed window: when it began, what was used
    int64_t *times;           // of a sliding one: when units were taken, the oldest first
    size_t count;
};

// As `kind` says, full.
void limiter_init(struct limiter *limiter, const struct limiter *kind);
void limiter_deinit(struct limiter *limiter);
// Time has passed; a bucket fills by so many percent more. True: it is a bucket, and full.
bool limiter_fill(struct limiter *limiter, int64_t extra_percent, int64_t now_ms);
bool limiter_fits(const struct limiter *limiter, int64_t amount);
void limiter_take(struct limiter *limiter, int64_t amount, int64_t now_ms);
// Whole units.
int64_t limiter_left(const struct limiter *limiter);
int64_t limiter_reset_ms(const struct limiter *limiter, int64_t now_ms);

#endif
