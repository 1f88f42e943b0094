// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try: base · factor^(failed attempts - 1), at most max_ms, spread
// by jitter. The one retry policy of the program; `retry:` of the configuration fills it.
#ifndef PRECIS_CORE_BACKOFF_H
#define PRECIS_CORE_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum backoff_jitter {
    BACKOFF_FULL,  // anywhere between the least and the grown delay
    BACKOFF_EQUAL, // anywhere in the upper half of the grown delay
    BACKOFF_NONE,  // exactly the grown delay
};

struct backoff {
    int64_t base_ms; // the delay after the first failure, before jitter
    int64_t min_ms;
    int64_t max_ms;
    int64_t factor_milli; // 2000: twice as long each time; 1000 and less don't grow
    enum backoff_jitter jitter;
    int attempts; // tries in all, the first one counted
    int doubtful; // most tries of a call that may have been paid without an answer
};

// 6 tries, 0.5 s · 2ⁿ, 0 s to 60 s, full jitter, 2 doubtful.
void backoff_default(struct backoff *out);
// The presets, both without jitter: "seed-412" is 3 tries, 0.5 s · 2ⁿ to 60 s; "tenacity" is 3
// tries, 1 s · 2ⁿ, 1 s to 10 s. Doubtful is 2. False: no such preset.
bool backoff_preset(const char *name, struct backoff *out);
// "full", "equal" or "none"; false: another word.
bool backoff_jitter_named(const char *name, enum backoff_jitter *out);

// The wait after `failed_attempts` (1 and more; n of 2ⁿ is one less), never under 1 ms (a timer of
// 0 ms starves the loop) and never over max_ms (or min_ms, where that is more). `random` is any 64
// random bits.
int64_t backoff_delay_ms(const struct backoff *backoff, int failed_attempts, uint64_t random);

#endif
