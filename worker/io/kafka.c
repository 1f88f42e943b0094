// SPDX-License-Identifier: Apache-2.0
// Intake and producer as one edge.
#include "io/kafka.h"

#include <stdlib.h>

#include "base/own.h"
#include "io/kafka_out.h"

struct kafka {
    struct kafka_in *in;
    struct kafka_out *out;
    int open; // of the two
    bool clean;
    void (*closed)(void *context, bool clean);
    void *closed_context;
};

static void op_begin(void *broker, const char *topic, int32_t partition, enum broker_start start,
                     int64_t offset)
{
    kafka_in_begin(((struct kafka *)broker)->in, topic, partition, start, offset);
}

static void op_pause(void *broker, const char *topic, int32_t partition)
{
    kafka_in_pause(((struct kafka *)broker)->in, topic, partition);
}

static void op_resume(void *broker, const char *topic, int32_t partition)
{
    kafka_in_resume(((struct kafka *)broker)->in, topic, partition);
}

static void op_store_offset(void *broker, const char *topic, int32_t partition, int64_t next)
{
    kafka_in_store(((struct kafka *)broker)->in, topic, partition, next);
}

static bool op_produce(void *broker, enum broker_topic topic, const struct message *message,
                       uint64_t token)
{
    return kafka_out_produce(((struct kafka *)broker)->out, topic, message, token);
}

const struct broker_ops *kafka_broker_ops(void)
{
    static const struct broker_ops ops = {op_begin, op_pause, op_resume, op_store_offset,
                                          op_produce};
    return &ops;
}

static void forget_out(void *context, bool clean)
{
    (void)clean;
    kafka_out_free(context);
}

struct kafka *kafka_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                        size_t problem_bytes)
{
    struct kafka_out *out = kafka_out_new(loop, options, problem, problem_bytes);
    if (!out)
        return NULL;
    struct kafka_in *in = kafka_in_new(loop, options, problem, problem_bytes);
    if (!in) {
        kafka_out_close(out, 0, forget_out, out);
        return NULL;
    }
    struct kafka *kafka = own_alloc(sizeof(*kafka));
    kafka->in = in;
    kafka->out = out;
    return kafka;
}

bool kafka_join(struct kafka *kafka, char *problem, size_t problem_bytes)
{
    return kafka_in_join(kafka->in, problem, problem_bytes);
}

void kafka_stats(const struct kafka *kafka, struct kafka_stats *out)
{
    kafka_in_stats(kafka->in, &out->in);
    out->unreported = kafka_out_waiting(kafka->out);
}

static void on_closed(void *context, bool clean)
{
    struct kafka *kafka = context;
    kafka->clean = kafka->clean && clean;
    if (--kafka->open == 0)
        kafka->closed(kafka->closed_context, kafka->clean);
}

void kafka_close(struct kafka *kafka, uint64_t deadline_ms,
                 void (*closed)(void *context, bool clean), void *context)
{
    kafka->open = 2;
    kafka->clean = true;
    kafka->closed = closed;
    kafka->closed_context = context;
    kafka_in_close(kafka->in, deadline_ms, on_closed, kafka);
    kafka_out_close(kafka->out, deadline_ms, on_closed, kafka);
}

void kafka_free(struct kafka *kafka)
{
    if (!kafka)
        return;
    kafka_in_free(kafka->in);
    kafka_out_free(kafka->out);
    free(kafka);
}
