// SPDX-License-Identifier: Apache-2.0
// What the next seconds will ask for, from the last five minutes: calls that became ready, counted
// by the second, and a line through them that trusts what is fresh. Enough to see a rise while it
// happens, and cheap enough to be asked once a second for every model.
#ifndef PRECIS_CORE_FORECAST_H
#define PRECIS_CORE_FORECAST_H

#include <stdint.h>

#define FORECAST_SECONDS 300
// A second counts half as much as one that is so much younger.
#define FORECAST_HALF_LIFE 6

struct forecast_line {     // through the seconds that are over
    double at_zero, slope; // calls a second now, and by how many that grows a second
    double most;           // of one second
};

struct forecast {
    struct forecast_line line;
    int64_t fitted; // the second in which the line was made
    int64_t second; // the newest one, in whole seconds of the clock; 0: nothing came yet
    int64_t first;  // the oldest one that is known
    int32_t calls[FORECAST_SECONDS]; // by second modulo FORECAST_SECONDS
};

// So many more calls are wanted. Time never runs backwards.
void forecast_add(struct forecast *forecast, int32_t calls, int64_t now_ms);
// Calls a minute that are expected on average over the next `ahead_ms`; never below 0. The second
// that is under way is left out. A rise is followed at most to twice the busiest second there was.
int64_t forecast_per_minute(struct forecast *forecast, int64_t ahead_ms, int64_t now_ms);

#endif
