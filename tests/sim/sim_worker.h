// SPDX-License-Identifier: Apache-2.0
// A simulated worker process: the real engine on simulated edges. It can be killed between two
// events, or at a named point in the middle of one.
#ifndef PRECIS_SIM_WORKER_H
#define PRECIS_SIM_WORKER_H

#include "db.h"
#include "engine.h"
#include "sim_broker.h"
#include "sim_extractor.h"
#include "sim_provider.h"
#include "sim_store.h"
#include "world.h"

struct sim_worker {
    struct world *world;
    struct db *db;
    struct sim_broker *broker;
    struct sim_provider *provider;
    const struct config *config;
    int extract_faults; // per thousand
    void (*on_extract)(void *watcher, int64_t worker, const char *name, size_t under_way);
    void *watcher;
    bool alive;
    bool dying;         // a named point was hit: dead when the event is over
    const char *die_at; // NULL: at no point
    int die_after;      // that many passes of it
    struct engine *engine;
    struct sim_store *store;
    struct sim_http *http;
    struct sim_extractor *extractor;
    struct sim_client *client;
    uint64_t life; // counts: what belongs to an earlier life is not handled
    int depth;     // events being handled
    int64_t run_at_ms;
    bool draining;
    size_t under_way_at_crashes; // and when a drain's time was up
};

void sim_worker_start(struct sim_worker *worker);
void sim_worker_kill(struct sim_worker *worker);
void sim_worker_drain(struct sim_worker *worker);
// For a trace: what it has in memory.
void sim_worker_dump(const struct sim_worker *worker);

#endif
