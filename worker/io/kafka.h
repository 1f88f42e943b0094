// SPDX-License-Identifier: Apache-2.0
// The broker edge as the engine sees it: intake and producer behind one broker_ops.
#ifndef PRECIS_IO_KAFKA_H
#define PRECIS_IO_KAFKA_H

#include <uv.h>

#include "base/log.h"
#include "core/config.h"
#include "core/seams.h"
#include "io/kafka_in.h"

struct kafka;

// NULL with a sentence in `problem`. Producing works at once; BROKER_UP comes when the first broker
// has answered.
struct kafka *kafka_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                        size_t problem_bytes);
// Joins the group; partitions are offered from now on. False with a sentence in `problem`.
bool kafka_join(struct kafka *kafka, char *problem, size_t problem_bytes);
// With the struct kafka as their first argument.
const struct broker_ops *kafka_broker_ops(void);

struct kafka_stats {
    struct kafka_in_stats in;
    int64_t unreported; // produced, and without a delivery report yet
};
void kafka_stats(const struct kafka *kafka, struct kafka_stats *out);

// Leaves the group and flushes the producer, side by side. Events (BROKER_REVOKED, _DELIVERED) go
// on until `closed`.
void kafka_close(struct kafka *kafka, uint64_t deadline_ms,
                 void (*closed)(void *context, bool clean), void *context);
// After `closed`, or in place of it where the process ends at once (kafka_in.h); its handles close
// in the loop's next turns. NULL is fine.
void kafka_free(struct kafka *kafka);

#endif
