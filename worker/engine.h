// SPDX-License-Identifier: Apache-2.0
// The engine: the one place where jobs meet I/O. Events come in, jobs are stepped, their actions
// are carried out through the edges, and one time says when the engine wants to be run again.
// It knows no library; the simulation runs this very code on simulated edges in virtual time.
#ifndef PRECIS_ENGINE_H
#define PRECIS_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "core/config.h"
#include "core/metrics.h"
#include "core/seams.h"

struct engine_options {
    const struct config *config;     // borrowed until engine_free or engine_reconfigure
    struct log *log;                 // may be NULL
    struct metrics *metrics;         // may be NULL
    const struct redactor *redactor; // for errors that are stored and sent; may be NULL
    const char *program_version;
    size_t extractors; // documents that are read at once; 0: four
    bool accept_gap;   // go on where a known partition's offset is gone
};

struct engine;
// The edges' calls may be used from now on; nothing happens before the first event or run.
struct engine *engine_new(const struct engine_options *options, const struct edges *edges);
// Forgets every job. What was under way is found again by its claim.
void engine_free(struct engine *engine);

void engine_on_broker(struct engine *engine, const struct broker_event *event);
void engine_on_store(struct engine *engine, const struct store_event *event);
void engine_on_http(struct engine *engine, const struct http_event *event);
void engine_on_extract(struct engine *engine, const struct extract_event *event);
// Runs what is due. Returns the monotonic time at which it wants to be called again.
int64_t engine_run(struct engine *engine);

// Stop taking; what is under way ends. Calling it again changes nothing.
void engine_drain(struct engine *engine);
// drain_timeout is over: calls under way are cut (and stay in doubt), the rest is left behind.
void engine_stop_jobs(struct engine *engine);
// Nothing is left in memory and nothing waits to be announced.
bool engine_is_empty(const struct engine *engine);
// HUP: keys may be new, and closed ones are tried again.
void engine_keys_reread(struct engine *engine);
// HUP: the budgets of the configuration as it is now.
void engine_take_budgets(struct engine *engine, const struct config *fresh);
// That key (a provider's first_key, and its place) has another secret: it is tried again.
void engine_key_changed(struct engine *engine, size_t key);
// A provider refuses its key.
bool engine_key_is_refused(const struct engine *engine);

// Readiness and why not: {"status": "ok", "agent": "ready", "checks": {...}}. True: ready.
bool engine_health(const struct engine *engine, struct buf *out);
// Brings the gauges up to date.
void engine_measure(struct engine *engine);

#endif
