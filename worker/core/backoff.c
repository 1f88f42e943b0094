// SPDX-License-Identifier: Apache-2.0
// Exponential backoff with jitter, in whole milliseconds.
#include "core/backoff.h"

#include <stddef.h>
#include <string.h>

struct preset {
    const char *name;
    struct backoff backoff;
};

static const struct preset presets[] = {
    {"seed-412",
     {.base_ms = 500,
      .min_ms = 0,
      .max_ms = 60000,
      .factor_milli = 2000,
      .jitter = BACKOFF_NONE,
      .attempts = 3,
      .doubtful = 2}},
    {"tenacity",
     {.base_ms = 1000,
      .min_ms = 1000,
      .max_ms = 10000,
      .factor_milli = 2000,
      .jitter = BACKOFF_NONE,
      .attempts = 3,
      .doubtful = 2}},
};

void backoff_default(struct backoff *out)
{
    *out = (struct backoff){.base_ms = 500,
                            .min_ms = 0,
                            .max_ms = 60000,
                            .factor_milli = 2000,
                            .jitter = BACKOFF_FULL,
                            .attempts = 6,
                            .doubtful = 2};
}

bool backoff_preset(const char *name, struct backoff *out)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *out = presets[i].backoff;
            return true;
        }
    }
    return false;
}

bool backoff_jitter_named(const char *name, enum backoff_jitter *out)
{
    static const char *const names[] = {
        [BACKOFF_FULL] = "full", [BACKOFF_EQUAL] = "equal", [BACKOFF_NONE] = "none"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (enum backoff_jitter)i;
            return true;
        }
    }
    return false;
}

// base · factor^steps between 1 and most. Rounded up at each step, so that it always grows and the
// loop ends early however many steps there are.
static int64_t grown_delay(const struct backoff *backoff, int steps, int64_t most)
{
    int64_t delay = backoff->base_ms < 1 ? 1 : backoff->base_ms;
    if (backoff->factor_milli <= 1000)
        steps = 0;
    for (; steps > 0 && delay < most; steps--) {
        int64_t scaled;
        if (__builtin_mul_overflow(delay, backoff->factor_milli, &scaled) ||
            __builtin_add_overflow(scaled, 999, &scaled))
            return most;
        delay = scaled / 1000;
    }
    return delay < most ? delay : most;
}

// Anywhere from low to high, both included.
static int64_t spread(int64_t low, int64_t high, uint64_t random)
{
    return low + (int64_t)(random % ((uint64_t)(high - low) + 1));
}

int64_t backoff_delay_ms(const struct backoff *backoff, int failed_attempts, uint64_t random)
{
    int64_t least = backoff->min_ms < 1 ? 1 : backoff->min_ms;
    int64_t most = backoff->max_ms < least ? least : backoff->max_ms;
    int64_t delay = grown_delay(backoff, failed_attempts - 1, most);
    if (delay < least)
        delay = least;
    switch (backoff->jitter) {
    case BACKOFF_FULL:
        return spread(least, delay, random);
    case BACKOFF_EQUAL:
        return spread(delay / 2 < least ? least : delay / 2, delay, random);
    case BACKOFF_NONE:
        break;
    }
    return delay;
}
