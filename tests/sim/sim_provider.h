// SPDX-License-Identifier: Apache-2.0
// A simulated model API: answers in the real wire format, keeps a bill of its own, and fails in
// the ways that real ones do.
#ifndef PRECIS_SIM_PROVIDER_H
#define PRECIS_SIM_PROVIDER_H

#include "core/seams.h"
#include "world.h"

#define SIM_INPUT_PICOUSD  250000
#define SIM_OUTPUT_PICOUSD 1000000

struct bill {
    char *request_id; // "tenant/batch/id/revision/call/plan/attempt"
    int64_t cost_picousd;
    bool whole; // the worker was given everything
};

#define SIM_KEYS 2

// What it makes of a key; its secret is its name in the configuration.
struct sim_key {
    int64_t closed_until_ms; // 429 until then
    int refused_with;        // 401, 402 or 403; 0: it is taken
};

#define SIM_PACK_MOST 20

struct sim_provider {
    struct world *world;
    int fault_per_thousand;
    struct bill *bills;
    size_t bill_count;
    size_t packed;                 // requests for several documents
    size_t unusual;                // answers that were cut, dropped or delayed past a limit
    struct sim_key keys[SIM_KEYS]; // "a" and "b"
    // A request came, with this key: promises look at it.
    void (*on_request)(void *context, const char *request_id, const char *key);
    // A request for several documents: for each of them, "id/revision".
    void (*on_packed)(void *context, const char *request_id, const char *document);
    void *context;
};

void sim_provider_init(struct sim_provider *provider, struct world *world);
void sim_provider_deinit(struct sim_provider *provider);

// One worker's way to it.
struct sim_http;
struct sim_http *sim_http_new(struct sim_provider *provider,
                              void (*on_event)(void *context, const struct http_event *event),
                              void *context);
void sim_http_kill(struct sim_http *http);
void sim_http_mute(struct sim_http *http);
// Requests that were sent and are not over.
size_t sim_http_under_way(const struct sim_http *http);

extern const struct http_ops sim_http_ops;

#endif
