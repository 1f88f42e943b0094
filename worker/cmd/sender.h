// SPDX-License-Identifier: Apache-2.0
// Sends job messages to Kafka from a command: waits where the queue is full, and holds back while a
// partition has more unread bytes than a broker in memory keeps (it drops the oldest without a
// word). Ctrl-C (cmd/interrupt.h) ends every wait.
#ifndef PRECIS_CMD_SENDER_H
#define PRECIS_CMD_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config.h"

// Below the 5 MB of a partition of Kafka in memory.
#define SENDER_HOLD_BACK_BYTES 3000000

struct sender;

// Connects, and looks whether the jobs topic is there. `hold_back_bytes` 0: nothing is held back,
// except for a broker in memory. NULL with one or two sentences in `problem`.
struct sender *sender_new(const struct config *config, int64_t hold_back_bytes, char *problem,
                          size_t problem_bytes);
// Sends nothing more; what was not acknowledged may still arrive or not.
void sender_free(struct sender *sender);
// Whether the broker is one in memory, as `precis dev` has it.
bool sender_is_in_memory(const struct sender *sender);
// Into the queue. False: interrupted while it waited, or the message cannot be sent at all
// (sender_problem).
bool sender_send(struct sender *sender, const char *key, const char *value, size_t value_len);
// Waits until all is acknowledged or given up; after Ctrl-C at most five seconds. True: all was
// acknowledged.
bool sender_flush(struct sender *sender);
int64_t sender_acknowledged(const struct sender *sender);
// The last thing that went wrong; "" where nothing did.
const char *sender_problem(const struct sender *sender);

#endif
