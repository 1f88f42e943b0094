// SPDX-License-Identifier: Apache-2.0
// Sends job messages to Kafka from a command: waits where librdkafka's queue is full, counts what
// the brokers acknowledged, and on request holds back while a partition has more unread bytes than
// a broker in memory keeps (it drops the oldest without a word).
#ifndef PRECIS_CMD_SENDER_H
#define PRECIS_CMD_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

struct sender;

// Connects, and looks whether the jobs topic is there. `hold_back_bytes` 0: none is held back.
// NULL with one or two sentences in `problem`.
struct sender *sender_new(const struct config *config, int64_t hold_back_bytes, char *problem,
                          size_t problem_bytes);
// Sends nothing more; what was not acknowledged may still arrive or not.
void sender_free(struct sender *sender);
// Into the queue. False: interrupted while it waited, or the message cannot be sent at all
// (sender_problem).
bool sender_send(struct sender *sender, const char *key, const char *value, size_t value_len);
// Waits until all is acknowledged or given up, at most `timeout_ms` (-1: until then), or until
// Ctrl-C. True: all was acknowledged.
bool sender_flush(struct sender *sender, int64_t timeout_ms);
int64_t sender_acknowledged(const struct sender *sender);
// The last thing that went wrong; "" where nothing did.
const char *sender_problem(const struct sender *sender);

#endif
