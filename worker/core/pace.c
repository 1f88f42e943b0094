// SPDX-License-Identifier: Apache-2.0
// The generic cell rate algorithm in microseconds.
#include "core/pace.h"

void pace_init(struct pace *pace, int64_t per_minute, int64_t burst_ms)
{
    *pace = (struct pace){.per_minute = per_minute, .burst_ms = burst_ms};
}

static int64_t cost_us(const struct pace *pace, int64_t amount)
{
    return amount * 60000000 / pace->per_minute;
}

int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms)
{
    if (pace->per_minute <= 0)
        return 0;
    int64_t ahead_us = pace->ready_us - now_ms * 1000;
    int64_t over_us = ahead_us - pace->burst_ms * 1000;
    return over_us < 0 ? 0 : over_us / 1000 + 1;
}

int64_t pace_room_us(const struct pace *pace, int64_t now_ms)
{
    if (pace->per_minute <= 0)
        return INT64_MAX;
    int64_t ahead_us = pace->ready_us - now_ms * 1000;
    return pace->burst_ms * 1000 - (ahead_us > 0 ? ahead_us : 0);
}

void pace_take(struct pace *pace, int64_t amount, int64_t now_ms)
{
    if (pace->per_minute <= 0)
        return;
    if (pace->ready_us < now_ms * 1000)
        pace->ready_us = now_ms * 1000;
    pace->ready_us += cost_us(pace, amount);
}

void pace_give_back(struct pace *pace, int64_t amount)
{
    if (pace->per_minute > 0)
        pace->ready_us -= cost_us(pace, amount);
}
