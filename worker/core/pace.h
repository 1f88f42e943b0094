// SPDX-License-Identifier: Apache-2.0
// A limit a minute, paced: the generic cell rate algorithm. One process's own view; a fleet shares
// the limit by giving each worker its part.
#ifndef PRECIS_CORE_PACE_H
#define PRECIS_CORE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    int64_t per_minute; // 0: no limit
    int64_t burst_ms;   // so much of the limit may go at once
    int64_t ready_us;   // monotonic: when all that was taken has been earned
};

void pace_init(struct pace *pace, int64_t per_minute, int64_t burst_ms);
// Milliseconds until `amount` may go; 0: now. More than the whole burst goes when nothing is owed.
int64_t pace_wait_ms(const struct pace *pace, int64_t now_ms);
// How much of the burst may go before something waits, in microseconds of the limit: comparable
// between limits of any size. INT64_MAX without a limit; below zero where something waits.
int64_t pace_room_us(const struct pace *pace, int64_t now_ms);
void pace_take(struct pace *pace, int64_t amount, int64_t now_ms);
// Gives back what was taken and not used (or takes what was used beyond: negative).
void pace_give_back(struct pace *pace, int64_t amount);

#endif
