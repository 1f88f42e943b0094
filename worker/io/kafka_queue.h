// SPDX-License-Identifier: Apache-2.0
// One librdkafka queue on the loop. librdkafka's threads write to an eventfd; everything they have
// to say is handled here, on the loop's thread, in turns of at most KAFKA_QUEUE_BUDGET events.
//
// The signal is like an edge: none comes for a queue that was not empty when it was enabled, and
// none after a drain that stopped before the end (essay in the .c). A safety timer looks in every
// KAFKA_QUEUE_SAFETY_MS and counts what the signal missed; that count should stay 0.
#ifndef PRECIS_IO_KAFKA_QUEUE_H
#define PRECIS_IO_KAFKA_QUEUE_H

#include <stdint.h>

#include <librdkafka/rdkafka.h>
#include <uv.h>

#include "base/log.h"

#define KAFKA_QUEUE_BUDGET    256
#define KAFKA_QUEUE_SAFETY_MS 200

struct kafka_queue;

// The event is borrowed: it is destroyed when the handler returns.
typedef void kafka_queue_fn(void *context, rd_kafka_event_t *event);

// Takes `queue`. NULL where no eventfd can be had.
struct kafka_queue *kafka_queue_new(uv_loop_t *loop, rd_kafka_queue_t *queue, kafka_queue_fn *fn,
                                    void *context);
rd_kafka_queue_t *kafka_queue_handle(struct kafka_queue *queue);
// Events that the safety timer found although no signal had come.
int64_t kafka_queue_missed(const struct kafka_queue *queue);
// Gives librdkafka's queue back and, in a later turn of the loop, frees `queue`. No event follows.
// Allowed from inside the handler; NULL is fine.
void kafka_queue_close(struct kafka_queue *queue);

// Writes a log event of librdkafka to our log; false where the event is another.
bool kafka_queue_log(struct log *log, rd_kafka_event_t *event);

#endif
