// SPDX-License-Identifier: Apache-2.0
// The predictive throttle: a sudden rise may borrow what the provider tolerates over the limit
// (`burst: {percent, seconds}`), smoothly, and then stands at the limit, hard.
//
//   percent   ____________
//            /            .
//   ________/              .__________________  the limit, until a calm time is over
//           |--- seconds ---|
//
// It begins when the forecast passes the limit after a calm time. What is borrowed grows over the
// first third of the time and shrinks over the last, never passes what is expected to be wanted,
// and ends a tenth of the time early, since the provider's clock began when its first call came.
#ifndef PRECIS_CORE_THROTTLE_H
#define PRECIS_CORE_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

// So long the demand must stay below the limit before it may borrow again.
#define THROTTLE_CALM_MS 20000

enum throttle_state { THROTTLE_CALM, THROTTLE_BORROWS, THROTTLE_HARD };

struct throttle {
    int64_t percent, most_ms; // as configured; 0: nothing is ever borrowed
    enum throttle_state state;
    int64_t begun_ms;      // of the borrowing
    int64_t quiet_from_ms; // below the limit since; -1: above it
};

void throttle_init(struct throttle *throttle, int64_t percent, int64_t seconds);
// What may be borrowed now, in percent of the limit (0: nothing), where so much is expected. Until
// when that holds goes into *out_ms, in ms from now. Without a limit (0) nothing is borrowed.
int64_t throttle_extra_percent(struct throttle *throttle, int64_t limit_per_minute,
                               int64_t expected_per_minute, int64_t now_ms, int64_t *out_ms);
// A 429 came: the provider tolerates no more.
void throttle_refused(struct throttle *throttle);

#endif
