// SPDX-License-Identifier: Apache-2.0
// Questions to the brokers that librdkafka only answers by blocking. They are asked on a thread of
// the loop's pool; the answer comes back on the loop.
//
// The client must not be destroyed while a question is under way: its owner counts them.
#ifndef PRECIS_IO_KAFKA_ASK_H
#define PRECIS_IO_KAFKA_ASK_H

#include <stdint.h>

#include <librdkafka/rdkafka.h>
#include <uv.h>

enum kafka_question {
    KAFKA_ASK_COMMITTED, // the group's committed offset of each partition of the list
    // Offsets of the list that are RD_KAFKA_OFFSET_BEGINNING or _END become the concrete ones, and
    // these are committed; the others stay as they are.
    KAFKA_ASK_BEGINNINGS,
    KAFKA_ASK_CONCRETE, // the same without the commit; all of the list have to be logical
    KAFKA_ASK_ENDS,     // the end offset of each partition of the list
    KAFKA_ASK_ALIVE,    // does any broker answer
    KAFKA_ASK_DESTROY,  // rd_kafka_destroy, which blocks too
};

struct kafka_ask;
typedef void kafka_ask_fn(void *context, const struct kafka_ask *ask);

struct kafka_ask {
    uv_work_t work;
    enum kafka_question question;
    rd_kafka_t *client;
    rd_kafka_topic_partition_list_t *list; // NULL where the question has none
    uint64_t epoch;                        // the asker's, given back
    rd_kafka_resp_err_t err;               // of the whole or of the first partition that failed
    kafka_ask_fn *fn;
    void *context;
};

// Takes the list of `order`; the other members are copied. The answer is borrowed during `fn`.
void kafka_ask(uv_loop_t *loop, const struct kafka_ask *order);

// The same, blocking, for commands that have no loop.
void kafka_ask_now(struct kafka_ask *ask);

#endif
