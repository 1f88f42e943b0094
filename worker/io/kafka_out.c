// SPDX-License-Identifier: Apache-2.0
// The producer side of the broker edge.
//
// Messages that never reach librdkafka's queue (too large, unknown topic) still have their
// BROKER_DELIVERED come from the loop: they wait in `refused` for the next turn.
#include "io/kafka_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "base/check.h"
#include "base/list.h"
#include "base/own.h"
#include "io/kafka_ask.h"
#include "io/kafka_conf.h"
#include "io/kafka_message.h"
#include "io/kafka_queue.h"

#define CLOSE_LOOK_MS 20

enum closing { OPEN, FLUSHING, DESTROYING, CLOSED, ABANDONED };

struct refused {
    struct list_node node;
    uint64_t token;
    rd_kafka_resp_err_t err;
};

struct kafka_out {
    uv_loop_t *loop;
    const struct config_kafka *config;
    struct log *log;
    kafka_event_fn *on_event;
    void *context;
    rd_kafka_t *client;
    struct kafka_queue *queue;
    struct list refused;
    uv_idle_t report;
    uv_timer_t closer;
    int handles;
    int64_t waiting;
    enum closing closing;
    uint64_t close_by; // loop time
    void (*closed)(void *context, bool clean);
    void *closed_context;
};

static void add_headers(rd_kafka_headers_t *list, const struct message *message)
{
    for (size_t i = 0; i < message->header_count; i++)
        rd_kafka_header_add(list, message->headers[i].name, -1, message->headers[i].value,
                            (ssize_t)message->headers[i].value_len);
}

rd_kafka_resp_err_t kafka_out_push(rd_kafka_t *client, const char *topic,
                                   const struct message *message, bool without_value, void *opaque)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(message->header_count + 1);
    add_headers(headers, message);
    if (without_value)
        rd_kafka_header_add(headers, "precis-stored", -1, KAFKA_STORED_IN, -1);
    // Copied by librdkafka, which takes the headers only where it takes the message.
    const void *value = without_value ? NULL : message->value;
    size_t value_len = without_value ? 0 : message->value_len;
    // The types are written out: librdkafka's macros for them are no standard C.
    rd_kafka_resp_err_t err = rd_kafka_producev(
        client, RD_KAFKA_VTYPE_TOPIC, topic, RD_KAFKA_VTYPE_MSGFLAGS, (int)RD_KAFKA_MSG_F_COPY,
        RD_KAFKA_VTYPE_KEY, message->key, message->key_len, RD_KAFKA_VTYPE_VALUE, value, value_len,
        RD_KAFKA_VTYPE_HEADERS, headers, RD_KAFKA_VTYPE_OPAQUE, opaque, RD_KAFKA_VTYPE_END);
    if (err)
        rd_kafka_headers_destroy(headers);
    return err;
}

static void deliver(struct kafka_out *out, uint64_t token, rd_kafka_resp_err_t err)
{
    out->waiting--;
    if (err)
        log_event(out->log, LOG_LEVEL_WARN, "kafka_not_delivered",
                  LOG_TEXT("code", rd_kafka_err2name(err)),
                  LOG_TEXT("text", rd_kafka_err2str(err)));
    out->on_event(out->context,
                  &(struct broker_event){.kind = BROKER_DELIVERED,
                                         .offset = -1,
                                         .token = token,
                                         .ok = !err,
                                         .reason = err ? rd_kafka_err2name(err) : NULL});
}

static void on_report(uv_idle_t *idle)
{
    struct kafka_out *out = idle->data;
    for (size_t left = out->refused.len; left > 0; left--) {
        struct refused *refused = list_item(list_first(&out->refused), struct refused, node);
        list_remove(&refused->node);
        deliver(out, refused->token, refused->err);
        free(refused);
    }
    if (out->refused.len == 0)
        uv_idle_stop(&out->report);
}

static void refuse(struct kafka_out *out, uint64_t token, rd_kafka_resp_err_t err)
{
    struct refused *refused = own_alloc(sizeof(*refused));
    refused->token = token;
    refused->err = err;
    list_append(&out->refused, &refused->node);
    uv_idle_start(&out->report, on_report);
}

static const char *topic_name(const struct kafka_out *out, enum broker_topic topic)
{
    return topic == TOPIC_RESULTS ? out->config->topic_results : out->config->topic_dlq;
}

bool kafka_out_produce(struct kafka_out *out, enum broker_topic topic,
                       const struct message *message, uint64_t token)
{
    const char *name = topic_name(out, topic);
    void *opaque = (void *)(uintptr_t)token;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR__DESTROY;
    if (!name)
        err = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    else if (out->closing == OPEN)
        err = kafka_out_push(out->client, name, message, false, opaque);
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && topic == TOPIC_DEAD_LETTERS)
        err = kafka_out_push(out->client, name, message, true, opaque);
    if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return false;
    out->waiting++;
    if (err)
        refuse(out, token, err);
    return true;
}

// A dead letter that the broker found too large goes again, empty. True where it does.
static bool send_empty(struct kafka_out *out, const rd_kafka_message_t *report)
{
    if (report->err != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || report->len == 0 ||
        strcmp(rd_kafka_topic_name(report->rkt), out->config->topic_dlq) != 0)
        return false;
    struct kafka_headers headers = {0};
    struct message message;
    kafka_message_read(&headers, report, &message);
    rd_kafka_resp_err_t err =
        kafka_out_push(out->client, out->config->topic_dlq, &message, true, report->_private);
    kafka_headers_deinit(&headers);
    return !err;
}

static void on_reports(struct kafka_out *out, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *report;
    while ((report = rd_kafka_event_message_next(event)))
        if (!send_empty(out, report))
            deliver(out, (uint64_t)(uintptr_t)report->_private, report->err);
}

static void on_queue_event(void *context, rd_kafka_event_t *event)
{
    struct kafka_out *out = context;
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    if (type == RD_KAFKA_EVENT_DR)
        on_reports(out, event);
    else if (type == RD_KAFKA_EVENT_ERROR &&
             rd_kafka_event_error(event) !=
                 RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) // the intake says it
        log_event(out->log, LOG_LEVEL_WARN, "kafka_error",
                  LOG_TEXT("code", rd_kafka_err2name(rd_kafka_event_error(event))),
                  LOG_TEXT("text", rd_kafka_event_error_string(event)));
    else
        kafka_queue_log(out->log, event);
}

int64_t kafka_out_waiting(const struct kafka_out *out)
{
    return out->waiting;
}

struct kafka_out *kafka_out_new(uv_loop_t *loop, const struct kafka_options *options, char *problem,
                                size_t problem_bytes)
{
    rd_kafka_conf_t *conf =
        kafka_conf_new(options->config, KAFKA_ROLE_PRODUCER, problem, problem_bytes);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    rd_kafka_t *client = kafka_conf_client(RD_KAFKA_PRODUCER, conf, problem, problem_bytes);
    if (!client)
        return NULL;
    struct kafka_out *out = own_alloc(sizeof(*out));
    *out = (struct kafka_out){.loop = loop,
                              .config = options->config,
                              .log = options->log,
                              .on_event = options->on_event,
                              .context = options->context,
                              .client = client,
                              .handles = 2};
    list_init(&out->refused);
    out->queue = kafka_queue_new(loop, rd_kafka_queue_get_main(client), on_queue_event, out);
    if (!out->queue) {
        snprintf(problem, problem_bytes, "no file descriptor is left for Kafka");
        rd_kafka_destroy(client);
        free(out);
        return NULL;
    }
    uv_idle_init(loop, &out->report);
    uv_timer_init(loop, &out->closer);
    out->report.data = out->closer.data = out;
    return out;
}

static void end_close(struct kafka_out *out, enum closing how)
{
    uv_timer_stop(&out->closer);
    kafka_queue_close(out->queue);
    out->queue = NULL;
    out->closing = how;
    out->closed(out->closed_context, how == CLOSED);
}

static void on_destroyed(void *context, const struct kafka_ask *answer)
{
    (void)answer;
    struct kafka_out *out = context;
    out->client = NULL;
    if (out->closing == DESTROYING)
        end_close(out, CLOSED);
}

static void on_close_look(uv_timer_t *timer)
{
    struct kafka_out *out = timer->data;
    bool late = uv_now(out->loop) >= out->close_by;
    if (out->closing == FLUSHING && (late || out->waiting == 0)) {
        // What is still queued is announced by a later sweep.
        rd_kafka_purge(out->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                        RD_KAFKA_PURGE_F_NON_BLOCKING);
        kafka_queue_close(out->queue);
        out->queue = NULL;
        out->closing = DESTROYING;
        out->close_by += 1000;
        kafka_ask(out->loop, &(struct kafka_ask){.question = KAFKA_ASK_DESTROY,
                                                 .client = out->client,
                                                 .fn = on_destroyed,
                                                 .context = out});
    } else if (out->closing == DESTROYING && late) {
        end_close(out, ABANDONED);
    }
}

void kafka_out_close(struct kafka_out *out, uint64_t deadline_ms,
                     void (*closed)(void *context, bool clean), void *context)
{
    CHECK(out->closing == OPEN);
    out->closing = FLUSHING;
    out->closed = closed;
    out->closed_context = context;
    out->close_by = uv_now(out->loop) + deadline_ms;
    uv_timer_start(&out->closer, on_close_look, 1, CLOSE_LOOK_MS);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct kafka_out *out = handle->data;
    if (--out->handles > 0)
        return;
    while (out->refused.len > 0) {
        struct refused *refused = list_item(list_first(&out->refused), struct refused, node);
        list_remove(&refused->node);
        free(refused);
    }
    free(out);
}

void kafka_out_free(struct kafka_out *out)
{
    if (!out)
        return;
    kafka_queue_close(out->queue);
    out->queue = NULL;
    if (out->closing == OPEN || out->closing == FLUSHING)
        rd_kafka_destroy(out->client);
    else if (out->closing != CLOSED)
        return; // a thread still works for it
    uv_close((uv_handle_t *)&out->report, on_handle_closed);
    uv_close((uv_handle_t *)&out->closer, on_handle_closed);
}
