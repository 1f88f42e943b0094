// SPDX-License-Identifier: Apache-2.0
// A simulated extractor: bytes and URLs become text after a while, or do not. What a document is
// stands in its first bytes (or in its path):
//   good-N   pages of text; a URL's text changes with time, as files do
//   scan-N   has no text
//   locked-N cannot be read
// Children die and web servers fail by chance; such failures pass.
#ifndef PRECIS_SIM_EXTRACTOR_H
#define PRECIS_SIM_EXTRACTOR_H

#include "base/buf.h"
#include "core/seams.h"
#include "world.h"

#define SIM_EXTRACTORS 2 // children of a worker

struct sim_extractor;

struct sim_extractor_options {
    struct world *world;
    int fault_per_thousand;
    void (*on_event)(void *context, const struct extract_event *event);
    void *context;  // of on_event
    int64_t worker; // its number in the database
    // Told of each start; `under_way` with this one.
    void (*on_start)(void *watcher, int64_t worker, const char *name, size_t under_way);
    void *watcher;
};

struct sim_extractor *sim_extractor_new(const struct sim_extractor_options *options);
void sim_extractor_fault(struct sim_extractor *extractor, int per_thousand);
// Nothing that is asked from now on happens.
void sim_extractor_mute(struct sim_extractor *extractor);
void sim_extractor_kill(struct sim_extractor *extractor);
extern const struct extract_ops sim_extract_ops;

#endif
