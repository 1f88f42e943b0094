// SPDX-License-Identifier: Apache-2.0
// A breaker of one key with one model: a server that only fails is left alone for a while, instead
// of being sent every waiting job's next attempt.
//
// It opens when BREAKER_ROW calls failed in a row, on the server's side and without its word on
// the rate: 5xx, no connection, time-outs, answers that break off. One success in between, and the
// count begins again: a server that answers some calls is worth its retries. Open, it waits
// 1, 2, 4 … BREAKER_MAX_MS; then it is half open: one call tries, in the whole fleet (the store
// says whose, as for a key). What closes a key (429, 401, 402) is no matter of the breaker.
#ifndef PRECIS_CORE_BREAKER_H
#define PRECIS_CORE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BREAKER_ROW      20
#define BREAKER_FIRST_MS 1000
#define BREAKER_MAX_MS   30000

struct breaker {
    int failures; // in a row
    int openings; // in a row, without a success between them
    int64_t open_until_ms;
};

// Whether the failure speaks of the server (a call that was cancelled or refused does not).
bool breaker_counts(const struct failure *failure);
// A call that began at begun_ms failed so that it counts; `probe`: it was the one that tried.
// Returns for how long the breaker opens now; 0: it does not.
int64_t breaker_failed(struct breaker *breaker, int64_t begun_ms, bool probe, int64_t now_ms);
void breaker_succeeded(struct breaker *breaker);

#endif
