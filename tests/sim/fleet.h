// SPDX-License-Identifier: Apache-2.0
// The fleet's quota in virtual time: many real engines on one simulated database, and a provider
// that enforces its limits. Nothing fails here; what is measured is how well the limit is used.
#ifndef PRECIS_SIM_FLEET_H
#define PRECIS_SIM_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "fleet_limits.h"

struct fleet_figures {
    double used;         // accepted requests, of what the limit allows in that time
    double fairness;     // Jain's index of workers with the same demand, the worst 30 s
    int64_t accepted;    // requests
    int64_t refused;     // by a 429
    int64_t done, jobs;  // that ended well, that were sent
    double asks_a_call;  // round trips to the quota's store
    int64_t meanwhile;   // refused between the trouble and those 30 s
    int64_t over_minute; // most requests in any minute, less the limit and the provider's bucket
};

// `workers` with demand that moves every 30 s: each time, others of them have more than enough to
// do. `seconds` are measured, after ten that are not.
void fleet_moving(uint64_t seed, int workers, int seconds, struct fleet_figures *out);
// The surge of the seed: 420 a minute and 20 % more for 3 s; 5,000 jobs that come at 100 a minute,
// rising to 500 within 30 s, four times.
void fleet_surge(uint64_t seed, int workers, struct fleet_figures *out);

enum fleet_trouble {
    FLEET_TOKENS,  // none, but tokens are what is short
    FLEET_HALVED,  // the provider halves the limit; its headers say so
    FLEET_FOREIGN, // another program takes 30 % of the key, at random
    FLEET_CLOSED,  // the key is closed for 30 s by a 429
    FLEET_KILLED,  // a worker of them dies
    FLEET_AWAY,    // the database is away for 5 s
    FLEET_ASKED,   // none, but the provider counts what a call may write (limits.counts_asked)
    FLEET_UNKNOWN, // none, but nobody knows the limit: the server takes 60 calls at once
    FLEET_TROUBLES
};
// All want more than there is; the trouble comes after 20 s. Figures are of the 30 s that begin
// when the provider should have been understood: 3 s after it, 5 s after the end of what ends.
void fleet_disturbed(uint64_t seed, int workers, enum fleet_trouble trouble,
                     struct fleet_figures *out);

// With a provider of that kind (fleet_limits.h) and its headers; small limits get more
// seconds, since a minute of them is few calls.
// Of what another program leaves, that takes so many thousandths of the limit at random.
void fleet_kind(uint64_t seed, int workers, const struct limiter *kind, int foreign_per_thousand,
                struct fleet_figures *out);

struct fleet_tenant_figures {
    double fairness; // Jain's index of tokens by weight
    double used;     // tokens, of what the limit allows
    double parts[4]; // of the tokens, each tenant's
    int64_t refused;
    int64_t left; // jobs that the tenant has which has fewest: all had work all the time
};
// Tenants of weights 1, 1, 2 and 4, with jobs of all sizes, that all have more to do than the limit
// allows; the third's lie in one partition. Of the second minute.
void fleet_shared(uint64_t seed, int workers, struct fleet_tenant_figures *out);

struct fleet_beside_figures {
    int64_t small_alone_ms, small_beside_ms; // from sending to the last outcome
    int64_t large_alone_ms, large_beside_ms;
    int64_t small_work_ms; // what the small one's tokens take of the limit
    int64_t refused;
};
// A large tenant with long jobs, and a small one with short ones that come when the large one has
// been at work for a while; to all partitions, or to one.
void fleet_beside(uint64_t seed, int workers, bool one_partition, struct fleet_beside_figures *out);

// Runs them over some seeds, prints the figures. False: one is below its aim.
bool fleet_prove(uint64_t first_seed, int seeds);

#endif
