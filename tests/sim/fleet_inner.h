// SPDX-License-Identifier: Apache-2.0
// What the runs of the fleet have in common: its workers, their Kafka and the provider.
#ifndef PRECIS_SIM_FLEET_INNER_H
#define PRECIS_SIM_FLEET_INNER_H

#include "core/config.h"
#include "db.h"
#include "fleet.h"
#include "world.h"

#define WORKERS_MOST 50
#define TENANTS_MOST 8

struct fleet_tenant { // its place is part of its jobs' texts, so that the provider knows whose call
                      // it is
    int64_t text_bytes;        // of each document, about
    int64_t least_ms, most_ms; // that its calls last
    int64_t jobs;              // that were sent
    int64_t tokens;            // of its calls, since counting began
};

struct fleet_limits {            // that the configuration names
    int64_t rpm, tpm, in_flight; // 0: none
    int64_t burst_percent;
};

struct fleet_worker {
    struct fleet *fleet;
    bool dead;
    int number;
    struct engine *engine;
    struct sim_store *store;
    int64_t run_at_ms;
    int depth;
    bool begun, paused, pumping;
    int64_t sent, read;   // messages of its partition
    bool wants;           // its partition never runs empty
    signed char *tenants; // of each message that was sent; NULL: of none
    int64_t accepted;     // requests in this period
};

struct fleet {
    struct world world;
    struct db db;
    struct config *config;
    struct fleet_worker workers[WORKERS_MOST];
    int count;
    struct fleet_tenant tenants[TENANTS_MOST];
    struct limiter requests, tokens;
    int64_t surge_percent, surge_ms, surge_from_ms; // -1: none is under way
    int64_t closed_until_ms;
    int foreign_per_thousand; // of the limit, that another program takes
    int64_t tokens_used;
    bool counts_asked;             // tokens that a call may write, not those that it writes
    int64_t at_once, at_once_most; // calls; most 0: any number
    int64_t at_once_ms;            // their sum over time, in call milliseconds
    int64_t jobs, accepted, refused, asks;
    int64_t from_ms; // accepted and refused are counted from here on
    int64_t *minute; // accepted, by second
    size_t seconds;
    double worst_fairness;
};

struct fleet *fleet_new(uint64_t seed, int workers, int64_t rpm, int64_t tpm);
struct fleet *fleet_new_of(uint64_t seed, int workers, const struct fleet_limits *limits);
void fleet_free(struct fleet *fleet);
void fleet_run_until(struct fleet *fleet, int64_t at_ms);
// Figures are of what comes from here on.
void fleet_begin_counting(struct fleet *fleet);
void fleet_take_figures(const struct fleet *fleet, struct fleet_figures *out);
// The worker's partition has messages, or soon will.
void fleet_pump_soon(struct fleet_worker *worker, int64_t delay_ms);
void fleet_kill_worker(struct fleet_worker *worker);
// A call at the provider. False: it is refused.
bool fleet_take(struct fleet *fleet, int64_t tokens);

#endif
