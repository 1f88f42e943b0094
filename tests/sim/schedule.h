// SPDX-License-Identifier: Apache-2.0
// One schedule: messages, workers, faults and crashes, all from one seed; run until everything is
// done, and the promises checked on the way and at the end.
#ifndef PRECIS_SIM_SCHEDULE_H
#define PRECIS_SIM_SCHEDULE_H

#include "sim_worker.h"

#define SIM_WORKERS 2
#define SIM_GATE    "gate" // a batch that some jobs wait for

// A message that was put into Kafka, and what must become of it.
struct sent_job {
    int partition;
    size_t place;
    bool is_job; // a well-formed job
    char id[40];
    int64_t revision;
    int content;     // jobs of one id and another content conflict
    bool foreign;    // an extractor has to read the document
    bool unreadable; // and cannot
    bool fresh;      // no answer of a twin
};

struct schedule {
    uint64_t seed;
    struct world world;
    struct db db;
    struct sim_broker broker;
    struct sim_provider provider;
    struct config *config;
    struct sim_worker workers[SIM_WORKERS];
    struct sent_job *sent;
    size_t sent_count;
    bool healed;      // no new faults from here on
    char broken[300]; // the promise that was broken; "" none
    bool gate_opens;  // SIM_GATE was sealed, or is about to be
    bool packs;       // requests are scarce, and short documents share them
    size_t calls_cut; // by cancels
    int share_cuts;   // per thousand members of shared requests: they are cancelled with the call
    uint64_t hash;    // of what happened, to compare a replay
};

struct schedule_switches {
    struct db_switches db;
    bool no_watermark;
    bool trace;
};

// True: every promise held. Else `broken` says which did not. The caller deinits it.
bool schedule_run(struct schedule *schedule, uint64_t seed,
                  const struct schedule_switches *switches);
void schedule_deinit(struct schedule *schedule);

// promises.c
void promise_broken(struct schedule *schedule, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void promise_on_commit(void *schedule, int partition, int64_t next);
void promise_on_request(void *schedule, const char *request_id, const char *key);
void promise_on_packed(void *schedule, const char *request_id, const char *document);
void promise_on_extract(void *schedule, int64_t worker, const char *name, size_t under_way);
// A budget is never exceeded: by the provider's own bill.
void promise_budgets(struct schedule *schedule);
void promises_at_end(struct schedule *schedule);
// Whether all that was sent has its end.
bool promises_all_ended(const struct schedule *schedule);

#endif
