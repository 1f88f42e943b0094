// SPDX-License-Identifier: Apache-2.0
// Counting failures in a row.
#include "core/breaker.h"

bool breaker_counts(const struct failure *failure)
{
    return err_class(failure->code) == ERR_CLASS_TRANSIENT && failure->code != ERR_EXTRACTOR_LOST;
}

static int64_t open_ms(int openings)
{
    int64_t wait_ms = BREAKER_FIRST_MS;
    for (int i = 1; i < openings && wait_ms < BREAKER_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < BREAKER_MAX_MS ? wait_ms : BREAKER_MAX_MS;
}

int64_t breaker_failed(struct breaker *breaker, int64_t begun_ms, bool probe, int64_t now_ms)
{
    if (breaker->openings > 0 && begun_ms < breaker->open_until_ms && !probe)
        return 0; // it was under way when the breaker opened
    breaker->failures++;
    if (breaker->failures < BREAKER_ROW && !probe)
        return 0;
    breaker->openings++;
    breaker->failures = 0;
    int64_t wait_ms = open_ms(breaker->openings);
    breaker->open_until_ms = now_ms + wait_ms;
    return wait_ms;
}

void breaker_succeeded(struct breaker *breaker)
{
    *breaker = (struct breaker){0};
}
