// SPDX-License-Identifier: Apache-2.0
// A small seeded random source (splitmix64): one in the program, seeded by the kernel; one in the
// simulation, seeded by the schedule. Not for secrets.
#ifndef PRECIS_BASE_RNG_H
#define PRECIS_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
// 0 to bound - 1; bound must be positive.
uint64_t rng_below(struct rng *rng, uint64_t bound);

#endif
