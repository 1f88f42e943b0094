// SPDX-License-Identifier: Apache-2.0
// Messages to Kafka from commands (`submit`, `dlq replay`), which have no loop: blocking, with the
// same producer settings as the worker. Everything happens inside the calls.
#ifndef PRECIS_IO_KAFKA_SEND_H
#define PRECIS_IO_KAFKA_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"
#include "core/seams.h"

struct kafka_send;

struct kafka_send_options {
    // Of each message, once; `reason` is NULL where the brokers have it. May be NULL.
    void (*delivered)(void *context, uint64_t token, const char *reason);
    // Called every 100 ms while a call waits; false gives up. May be NULL.
    bool (*wait)(void *context);
    void *context;
};

struct kafka_send_stats {
    int64_t sent, delivered, failed; // sent: taken into the queue
};

// `config` is borrowed for its life. NULL with a sentence in `problem`.
struct kafka_send *kafka_send_open(const struct config_kafka *config,
                                   const struct kafka_send_options *options, char *problem,
                                   size_t problem_bytes);
// Waits while the queue is full. Topic, partition and offset of `message` are not used. False
// where `wait` gave up or the message can never be sent (kafka_send_problem says why).
bool kafka_send_push(struct kafka_send *send, const char *topic, const struct message *message,
                     uint64_t token);
// Waits for all reports. False where some failed, `wait` gave up or `timeout_ms` has passed.
bool kafka_send_flush(struct kafka_send *send, int64_t timeout_ms);
void kafka_send_stats(const struct kafka_send *send, struct kafka_send_stats *out);
// The last fault in words; "" where there was none.
const char *kafka_send_problem(const struct kafka_send *send);

// What the group has not finished of a topic, in messages.
struct kafka_backlog {
    int partitions;
    int64_t total, most; // of all partitions, and of the fullest one
};
// False where the brokers do not say. The in-memory Kafka drops what is unread beyond 5 MB a
// partition, so `submit` holds back by this in `dev`.
bool kafka_send_backlog(struct kafka_send *send, const char *topic, struct kafka_backlog *out);

// Drops what was not reported. NULL is fine.
void kafka_send_close(struct kafka_send *send);

#endif
