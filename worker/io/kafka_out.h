// SPDX-License-Identifier: Apache-2.0
// The producer of results and dead letters, on the loop. A message is out when the brokers have
// acknowledged it (acks=all); until then PostgreSQL has it as not announced. Nothing is sent twice
// by this module except a dead letter that the topic is too small for: that goes once more without
// its value and with the header `precis-stored`, which says where the value is.
#ifndef PRECIS_IO_KAFKA_OUT_H
#define PRECIS_IO_KAFKA_OUT_H

#include <librdkafka/rdkafka.h>
#include <uv.h>

#include "base/log.h"
#include "core/config.h"
#include "core/seams.h"
#include "io/kafka_in.h"

// What `precis-stored` says: the view that has the row, found by the letter's other headers.
#define KAFKA_STORED_IN "precis.dead_letters"

struct kafka_out;

// NULL with a sentence in `problem`.
struct kafka_out *kafka_out_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                                size_t problem_bytes);
// As broker_ops says. False: the queue is full. What can never be sent is reported by
// BROKER_DELIVERED with ok = false, like what was not acknowledged; `reason` says why.
bool kafka_out_produce(struct kafka_out *out, enum broker_topic topic,
                       const struct message *message, uint64_t token);
// Messages without a report yet.
int64_t kafka_out_waiting(const struct kafka_out *out);

// Waits for the reports of what is queued, at most `deadline_ms`, then destroys the client.
// `closed` as in kafka_in.h.
void kafka_out_close(struct kafka_out *out, uint64_t deadline_ms,
                     void (*closed)(void *context, bool clean), void *context);
// As kafka_in_free: without a close, what is queued is dropped.
void kafka_out_free(struct kafka_out *out);

// One message into a client's queue: the part that the worker and the commands share. Headers and
// all are copied. `without_value` sends it empty, with the header `precis-stored`.
rd_kafka_resp_err_t kafka_out_push(rd_kafka_t *client, const char *topic,
                                   const struct message *message, bool without_value, void *opaque);

#endif
