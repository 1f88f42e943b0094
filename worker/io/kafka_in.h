// SPDX-License-Identifier: Apache-2.0
// The intake: a member of the consumer group, on the loop.
//
// It joins, tells the engine what it was given (BROKER_OFFERED, with the committed offset) and
// reads a partition only when the engine has said where to begin. It decides nothing: what is
// stored, paused and begun is the engine's word. Essay in the .c.
//
// All events come from the loop, never from inside a call.
#ifndef PRECIS_IO_KAFKA_IN_H
#define PRECIS_IO_KAFKA_IN_H

#include <uv.h>

#include "base/log.h"
#include "core/config.h"
#include "core/seams.h"

typedef void kafka_event_fn(void *context, const struct broker_event *event);

// All of it is borrowed for the life of what is made with it.
struct kafka_options {
    const struct config_kafka *config;
    struct log *log; // NULL: none
    kafka_event_fn *on_event;
    void *context;
};

struct kafka_in;

// A client that has not joined yet. NULL with a sentence in `problem` where librdkafka refuses.
struct kafka_in *kafka_in_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                              size_t problem_bytes);
// Joins the group. False with a sentence in `problem`.
bool kafka_in_join(struct kafka_in *in, char *problem, size_t problem_bytes);

// As broker_ops says; calls for a partition that is not ours any more do nothing.
void kafka_in_begin(struct kafka_in *in, const char *topic, int32_t partition,
                    enum broker_start start, int64_t offset);
void kafka_in_pause(struct kafka_in *in, const char *topic, int32_t partition);
void kafka_in_resume(struct kafka_in *in, const char *topic, int32_t partition);
void kafka_in_store(struct kafka_in *in, const char *topic, int32_t partition, int64_t next);

struct kafka_in_stats {
    int64_t lag;        // messages between what is stored and the ends, as last asked (every 10 s)
    int64_t partitions; // that are read
    int64_t stopped;
    int64_t missed;      // wakes that only the safety timer found
    int64_t unwanted;    // messages that came for a partition that is not read
    int64_t unstored;    // offsets that librdkafka did not take
    int64_t uncommitted; // commits that failed: a redelivery may follow
};
void kafka_in_stats(const struct kafka_in *in, struct kafka_in_stats *out);

// Leaves the group: BROKER_REVOKED for what is held, the stored offsets committed, the client
// destroyed. `closed` is called once, at the latest after `deadline_ms`; then `clean` says whether
// all that was done.
void kafka_in_close(struct kafka_in *in, uint64_t deadline_ms,
                    void (*closed)(void *context, bool clean), void *context);
// For a process that ends. Without a clean close the group is not left (it finds out by the session
// timeout) and stored offsets are not committed; what a thread still works at is left behind. No
// event follows. Not from inside an event. NULL is fine.
void kafka_in_free(struct kafka_in *in);

#endif
