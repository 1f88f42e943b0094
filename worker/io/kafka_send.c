// SPDX-License-Identifier: Apache-2.0
// The blocking producer of commands.
#include "io/kafka_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#include "base/own.h"
#include "io/kafka_ask.h"
#include "io/kafka_conf.h"
#include "io/kafka_out.h"

#define WAIT_MS             100
#define METADATA_TIMEOUT_MS 5000
#define ASK_TRIES           10
#define ASK_PAUSE_MS        200

struct kafka_send {
    const struct config_kafka *config;
    struct kafka_send_options options;
    rd_kafka_t *client;
    rd_kafka_t *query; // made when first asked
    struct kafka_send_stats stats;
    char problem[400];
};

static void on_delivered(rd_kafka_t *client, const rd_kafka_message_t *report, void *context)
{
    (void)client;
    struct kafka_send *send = context;
    const char *reason = report->err ? rd_kafka_err2str(report->err) : NULL;
    if (reason) {
        send->stats.failed++;
        snprintf(send->problem, sizeof(send->problem), "%s", reason);
    } else {
        send->stats.delivered++;
    }
    if (send->options.delivered)
        send->options.delivered(send->options.context, (uint64_t)(uintptr_t)report->_private,
                                reason);
}

static void on_error(rd_kafka_t *client, int err, const char *reason, void *context)
{
    (void)client;
    struct kafka_send *send = context;
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !send->problem[0])
        snprintf(send->problem, sizeof(send->problem), "%s", reason);
}

// What the client logs is said by on_error, too; commands print one sentence.
static void ignore_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

struct kafka_send *kafka_send_open(const struct config_kafka *config,
                                   const struct kafka_send_options *options, char *problem,
                                   size_t problem_bytes)
{
    rd_kafka_conf_t *conf = kafka_conf_new(config, KAFKA_ROLE_PRODUCER, problem, problem_bytes);
    if (!conf)
        return NULL;
    struct kafka_send *send = own_alloc(sizeof(*send));
    send->config = config;
    send->options = *options;
    rd_kafka_conf_set_opaque(conf, send);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    send->client = kafka_conf_client(RD_KAFKA_PRODUCER, conf, problem, problem_bytes);
    if (send->client)
        return send;
    free(send);
    return NULL;
}

static bool go_on(struct kafka_send *send)
{
    return !send->options.wait || send->options.wait(send->options.context);
}

bool kafka_send_push(struct kafka_send *send, const char *topic, const struct message *message,
                     uint64_t token)
{
    rd_kafka_poll(send->client, 0);
    for (;;) {
        rd_kafka_resp_err_t err =
            kafka_out_push(send->client, topic, message, false, (void *)(uintptr_t)token);
        if (!err) {
            send->stats.sent++;
            return true;
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            snprintf(send->problem, sizeof(send->problem), "%s", rd_kafka_err2str(err));
            return false;
        }
        rd_kafka_poll(send->client, WAIT_MS);
        if (!go_on(send))
            return false;
    }
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool kafka_send_flush(struct kafka_send *send, int64_t timeout_ms)
{
    int64_t deadline = clock_ms() + timeout_ms;
    while (rd_kafka_flush(send->client, WAIT_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT)
        if (clock_ms() >= deadline || !go_on(send)) {
            if (!send->problem[0])
                snprintf(send->problem, sizeof(send->problem),
                         "the brokers did not acknowledge everything in time");
            return false;
        }
    return send->stats.failed == 0;
}

void kafka_send_stats(const struct kafka_send *send, struct kafka_send_stats *out)
{
    *out = send->stats;
}

const char *kafka_send_problem(const struct kafka_send *send)
{
    return send->problem;
}

// ---------------------------------------------------------------------------- backlog

static bool open_query(struct kafka_send *send)
{
    if (send->query)
        return true;
    rd_kafka_conf_t *conf =
        kafka_conf_new(send->config, KAFKA_ROLE_QUERY, send->problem, sizeof(send->problem));
    if (!conf)
        return false;
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    send->query = kafka_conf_client(RD_KAFKA_CONSUMER, conf, send->problem, sizeof(send->problem));
    return send->query != NULL;
}

static rd_kafka_topic_partition_list_t *partitions_of(rd_kafka_t *client, const char *topic)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(client, 0, handle, &metadata, METADATA_TIMEOUT_MS) ==
        RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (metadata->topic_cnt == 1)
            rd_kafka_topic_partition_list_add_range(list, topic, 0,
                                                    metadata->topics[0].partition_cnt - 1);
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_topic_destroy(handle);
    return list;
}

// As after the creation of a topic or a restart of a broker.
static bool is_passing(rd_kafka_resp_err_t err)
{
    return err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
           err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           err == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           err == RD_KAFKA_RESP_ERR_NOT_COORDINATOR || err == RD_KAFKA_RESP_ERR__WAIT_COORD;
}

static bool ask(struct kafka_send *send, enum kafka_question question,
                rd_kafka_topic_partition_list_t *list)
{
    struct kafka_ask ask = {.question = question, .client = send->query};
    for (int tries = 0; tries < ASK_TRIES; tries++) {
        ask.list = rd_kafka_topic_partition_list_copy(list);
        kafka_ask_now(&ask);
        for (int i = 0; !ask.err && i < list->cnt; i++)
            list->elems[i].offset = ask.list->elems[i].offset;
        rd_kafka_topic_partition_list_destroy(ask.list);
        if (!is_passing(ask.err))
            break;
        nanosleep(&(struct timespec){.tv_nsec = ASK_PAUSE_MS * 1000000L}, NULL);
    }
    if (ask.err)
        snprintf(send->problem, sizeof(send->problem), "%s", rd_kafka_err2str(ask.err));
    return !ask.err;
}

// Where nothing is committed, all that is there counts.
static bool ask_done(struct kafka_send *send, rd_kafka_topic_partition_list_t *done)
{
    if (!ask(send, KAFKA_ASK_COMMITTED, done))
        return false;
    rd_kafka_topic_partition_list_t *begins = rd_kafka_topic_partition_list_new(done->cnt);
    for (int i = 0; i < done->cnt; i++)
        if (done->elems[i].offset < 0)
            rd_kafka_topic_partition_list_add(begins, done->elems[i].topic,
                                              done->elems[i].partition)
                ->offset = RD_KAFKA_OFFSET_BEGINNING;
    bool good = ask(send, KAFKA_ASK_CONCRETE, begins);
    for (int i = 0; good && i < begins->cnt; i++)
        rd_kafka_topic_partition_list_set_offset(
            done, begins->elems[i].topic, begins->elems[i].partition, begins->elems[i].offset);
    rd_kafka_topic_partition_list_destroy(begins);
    return good;
}

static void add_up(const rd_kafka_topic_partition_list_t *done,
                   const rd_kafka_topic_partition_list_t *ends, struct kafka_backlog *out)
{
    *out = (struct kafka_backlog){.partitions = done->cnt};
    for (int i = 0; i < ends->cnt; i++) {
        const rd_kafka_topic_partition_t *end = &ends->elems[i];
        int at = 0;
        while (at < done->cnt && done->elems[at].partition != end->partition)
            at++;
        if (at == done->cnt || end->offset <= done->elems[at].offset)
            continue;
        int64_t unread = end->offset - done->elems[at].offset;
        out->total += unread;
        if (unread > out->most)
            out->most = unread;
    }
}

bool kafka_send_backlog(struct kafka_send *send, const char *topic, struct kafka_backlog *out)
{
    if (!open_query(send))
        return false;
    rd_kafka_topic_partition_list_t *done = partitions_of(send->query, topic);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(done);
    bool good = done->cnt > 0 && ask_done(send, done) && ask(send, KAFKA_ASK_ENDS, ends);
    if (good)
        add_up(done, ends, out);
    rd_kafka_topic_partition_list_destroy(done);
    rd_kafka_topic_partition_list_destroy(ends);
    return good;
}

void kafka_send_close(struct kafka_send *send)
{
    if (!send)
        return;
    if (send->query)
        rd_kafka_destroy(send->query);
    rd_kafka_purge(send->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy(send->client);
    free(send);
}
