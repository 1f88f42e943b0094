// SPDX-License-Identifier: Apache-2.0
// The simulator's whole state, passed to every handler; there is one, and one thread.
#ifndef MODELSIM_SIM_H
#define MODELSIM_SIM_H

#include "answer.h"
#include "bill.h"
#include "faults.h"
#include "http.h"
#include "limits.h"
#include "prefix.h"
#include "request.h"
#include "settings.h"
#include "stream.h"

struct sim {
    uv_loop_t loop;
    struct http_server server;
    struct settings settings;
    struct bill bill;
    struct limits limits;
    struct prefix_cache prefixes;
    uint64_t *closed_until_ms; // by key
    size_t closed_count;
    struct attempts attempts;
    uint64_t random;      // state of the random source
    size_t next_fault;    // index into settings.next
    uint64_t requests;    // of any kind
    uint64_t completions; // requests to /v1/chat/completions
    uint64_t in_flight;   // replies of these under way
    uint64_t in_flight_most;
    uint64_t by_status[6];
    // Memory used again from call to call.
    struct chat_request request;
    struct answer_scratch answer;
    struct buf content, headers;
    struct body body;
};

// One answer of /v1/chat/completions.
void chat_answer(struct sim *sim, const struct http_request *request, struct reply *reply);

// True when the caller's key is accepted; else the reply is a 401.
bool chat_admit(struct sim *sim, const struct http_request *request, struct reply *reply,
                size_t *out_key);

// /health, /v1/models and /sim/…; false for a path that is none of these.
bool control_answer(struct sim *sim, const struct http_request *request, struct reply *reply);

// Begins the closures that the settings ask for.
void sim_close_keys(struct sim *sim);

// Everything back to the beginning, the settings excepted.
void sim_reset(struct sim *sim);

// 0 up to `below`, not included; 0 for 0.
uint64_t sim_random(struct sim *sim, uint64_t below);

// Unix time.
uint64_t sim_wall_ms(void);

#endif
