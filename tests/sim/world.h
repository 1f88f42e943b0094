// SPDX-License-Identifier: Apache-2.0
// Virtual time: a queue of things that will happen, and one seeded random source for everything
// that chance decides. Nothing in a schedule looks at a real clock, so a seed replays exactly.
#ifndef PRECIS_SIM_WORLD_H
#define PRECIS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/rng.h"

#define SIM_START_UNIX_MS INT64_C(1795000000000)

struct world {
    int64_t now_ms;
    struct rng rng;
    struct heap queue;
    uint64_t events; // that have happened
    bool trace;      // print what happens
    bool closing;    // the schedule is over: nothing new is begun
};

typedef void world_fn(void *context, void *data);

void world_init(struct world *world, uint64_t seed);
// What is still to come is dropped; `data` is freed with free().
void world_deinit(struct world *world);
// `fn(context, data)` happens in `delay_ms`; `data` (heap or NULL) is freed afterwards.
void world_after(struct world *world, int64_t delay_ms, world_fn *fn, void *context, void *data);
// Lets the next thing happen; false where nothing is left.
bool world_next(struct world *world);
// A number from low to high.
int64_t world_range(struct world *world, int64_t low, int64_t high);
// True so many times in a thousand.
bool world_chance(struct world *world, int per_thousand);
void world_trace(const struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
