// SPDX-License-Identifier: Apache-2.0
// A producer for commands, without a loop.
//
// What is unread is asked in messages (ends minus committed) and counted in bytes by the mean size
// of what was sent here. It is asked again after a quarter of the limit was sent, all of which may
// have gone to one partition; so a partition never holds more than a quarter above the limit.
#include "cmd/sender.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "io/kafka_ask.h"
#include "io/kafka_conf.h"
#include "io/kafka_out.h"

#define CONNECT_TIMEOUT_MS 10000
#define POLL_MS            50
#define RECORD_BYTES       70  // of a record beside key and value
#define MEAN_GUESS_BYTES   700 // of a message, before any was sent
#define HELD_LOOK_MS       100
#define HELD_SAY_LOOKS     100

struct sender {
    const struct config_kafka *config;
    rd_kafka_t *client, *query; // query: only where something is to be held back
    rd_kafka_queue_t *queue;
    int32_t partitions;
    int64_t waiting, acknowledged, sent, sent_bytes;
    int64_t hold_back_bytes, unasked_bytes;
    char problem[300];
};

// ------------------------------------------------------------------------------- start

static int32_t count_partitions(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0 && !metadata->topics[i].err)
            return metadata->topics[i].partition_cnt;
    return 0;
}

// All topics are asked for: a question for one could create it.
static bool look_for_topic(struct sender *sender, char *problem, size_t problem_bytes)
{
    const struct rd_kafka_metadata *metadata;
    const char *topic = sender->config->topic_jobs;
    rd_kafka_resp_err_t err =
        rd_kafka_metadata(sender->client, 1, NULL, &metadata, CONNECT_TIMEOUT_MS);
    if (err) {
        snprintf(problem, problem_bytes,
                 "Kafka at %s does not answer (%s).\nCheck `kafka.brokers` in the configuration.",
                 sender->config->brokers, rd_kafka_err2str(err));
        return false;
    }
    sender->partitions = count_partitions(metadata, topic);
    rd_kafka_metadata_destroy(metadata);
    if (sender->partitions == 0)
        snprintf(problem, problem_bytes,
                 "Kafka at %s has no topic \"%s\".\nCreate it, or set `kafka.topics.jobs`.",
                 sender->config->brokers, topic);
    return sender->partitions > 0;
}

static rd_kafka_t *open_client(const struct config_kafka *config, enum kafka_role role,
                               char *problem, size_t problem_bytes)
{
    rd_kafka_conf_t *conf = kafka_conf_new(config, role, problem, problem_bytes);
    if (!conf)
        return NULL;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    return kafka_conf_client(role == KAFKA_ROLE_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER,
                             conf, problem, problem_bytes);
}

struct sender *sender_new(const struct config *config, int64_t hold_back_bytes, char *problem,
                          size_t problem_bytes)
{
    struct sender *sender = own_alloc(sizeof(*sender));
    sender->config = &config->kafka;
    sender->hold_back_bytes = sender->unasked_bytes = hold_back_bytes;
    sender->client = open_client(sender->config, KAFKA_ROLE_PRODUCER, problem, problem_bytes);
    if (sender->client)
        sender->queue = rd_kafka_queue_get_main(sender->client);
    bool good = sender->client && look_for_topic(sender, problem, problem_bytes);
    if (good && hold_back_bytes > 0) {
        sender->query = open_client(sender->config, KAFKA_ROLE_QUERY, problem, problem_bytes);
        good = sender->query != NULL;
    }
    if (good)
        return sender;
    sender_free(sender);
    return NULL;
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    if (sender->query)
        rd_kafka_destroy_flags(sender->query, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (sender->queue)
        rd_kafka_queue_destroy(sender->queue);
    if (sender->client) {
        rd_kafka_purge(sender->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(sender->client);
    }
    free(sender);
}

// ------------------------------------------------------------------------------- reports

static void take_reports(struct sender *sender, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *report;
    while ((report = rd_kafka_event_message_next(event))) {
        sender->waiting--;
        if (report->err)
            snprintf(sender->problem, sizeof(sender->problem), "Kafka did not take a message: %s",
                     rd_kafka_err2str(report->err));
        else
            sender->acknowledged++;
    }
}

static void serve(struct sender *sender, int timeout_ms)
{
    rd_kafka_event_t *event;
    while ((event = rd_kafka_queue_poll(sender->queue, timeout_ms))) {
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
            take_reports(sender, event);
        rd_kafka_event_destroy(event);
        timeout_ms = 0;
    }
}

bool sender_flush(struct sender *sender, int64_t timeout_ms)
{
    while (sender->waiting > 0 && timeout_ms != 0) {
        serve(sender, POLL_MS);
        if (sender->waiting > 0)
            screen_progress("%" PRId64 " messages wait for Kafka", sender->waiting);
        if (timeout_ms < 0 && interrupt_came())
            break;
        if (timeout_ms > 0)
            timeout_ms = timeout_ms > POLL_MS ? timeout_ms - POLL_MS : 0;
    }
    screen_progress_end();
    return sender->waiting == 0 && sender->problem[0] == '\0';
}

// ------------------------------------------------------------------------------- holding back

static rd_kafka_topic_partition_list_t *ask(struct sender *sender, enum kafka_question question)
{
    struct kafka_ask order = {.question = question, .client = sender->query};
    order.list = rd_kafka_topic_partition_list_new(sender->partitions);
    rd_kafka_topic_partition_list_add_range(order.list, sender->config->topic_jobs, 0,
                                            sender->partitions - 1);
    kafka_ask_now(&order);
    if (!order.err)
        return order.list;
    rd_kafka_topic_partition_list_destroy(order.list);
    return NULL;
}

// Bytes that the worst partition has unread; -1 where it cannot be told.
static int64_t most_unread(struct sender *sender)
{
    rd_kafka_topic_partition_list_t *ends = ask(sender, KAFKA_ASK_ENDS);
    rd_kafka_topic_partition_list_t *done = ends ? ask(sender, KAFKA_ASK_COMMITTED) : NULL;
    int64_t most = done ? 0 : -1;
    for (int i = 0; done && i < ends->cnt; i++) {
        int64_t from = done->elems[i].offset > 0 ? done->elems[i].offset : 0;
        if (ends->elems[i].offset - from > most)
            most = ends->elems[i].offset - from;
    }
    if (ends)
        rd_kafka_topic_partition_list_destroy(ends);
    if (done)
        rd_kafka_topic_partition_list_destroy(done);
    int64_t mean = sender->sent > 0 ? sender->sent_bytes / sender->sent : MEAN_GUESS_BYTES;
    return most < 0 ? -1 : most * mean;
}

static void say_held(int64_t unread, int looks)
{
    if (unread >= 0)
        screen_progress("held back: %.1f MB of a partition are still to be read",
                        (double)unread / 1e6);
    else
        screen_progress("held back: Kafka does not say what is still to be read");
    if (looks == HELD_SAY_LOOKS && !screen_is_terminal(stderr))
        fprintf(stderr, "Held back until workers have read what is there; is one running?\n");
}

// Waits until there is room; false: interrupted.
static bool hold_back(struct sender *sender)
{
    if (!sender->query || sender->unasked_bytes < sender->hold_back_bytes / 4)
        return true;
    sender->unasked_bytes = 0;
    for (int looks = 0;; looks++) {
        sender_flush(sender, -1);
        int64_t unread = most_unread(sender);
        if (interrupt_came())
            return false;
        if (unread >= 0 && unread < sender->hold_back_bytes)
            return true;
        say_held(unread, looks);
        interrupt_sleep_ms(HELD_LOOK_MS);
    }
}

bool sender_send(struct sender *sender, const char *key, const char *value, size_t value_len)
{
    struct message message = {
        .key = key, .key_len = strlen(key), .value = value, .value_len = value_len};
    while (hold_back(sender) && !interrupt_came()) {
        rd_kafka_resp_err_t err =
            kafka_out_push(sender->client, sender->config->topic_jobs, &message, false, NULL);
        serve(sender, err == RD_KAFKA_RESP_ERR__QUEUE_FULL ? POLL_MS : 0);
        if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
            continue;
        if (err) {
            snprintf(sender->problem, sizeof(sender->problem), "Kafka does not take it: %s",
                     rd_kafka_err2str(err));
            return false;
        }
        int64_t bytes = (int64_t)(message.key_len + value_len) + RECORD_BYTES;
        sender->waiting++;
        sender->sent++;
        sender->sent_bytes += bytes;
        sender->unasked_bytes += bytes;
        return true;
    }
    return false;
}

int64_t sender_acknowledged(const struct sender *sender)
{
    return sender->acknowledged;
}

const char *sender_problem(const struct sender *sender)
{
    return sender->problem;
}
