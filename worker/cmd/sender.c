// SPDX-License-Identifier: Apache-2.0
// A producer of jobs for commands.
//
// What is unread is told in messages (ends minus committed) and counted in bytes by the mean size
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
#include "io/kafka_conf.h"
#include "io/kafka_send.h"

#define CONNECT_TIMEOUT_MS   5000
#define TOPIC_TRIES          8
#define TOPIC_PAUSE_MS       250
#define FLUSH_MS             600000 // librdkafka gives a message up after five minutes
#define INTERRUPTED_FLUSH_MS 5000
#define RECORD_BYTES         70  // of a record beside key and value
#define MEAN_GUESS_BYTES     700 // of a message, before any was sent
#define HELD_LOOK_MS         100
#define HELD_SAY_LOOKS       30

struct sender {
    const struct config_kafka *config;
    struct kafka_send *send;
    bool in_memory;
    int64_t sent, sent_bytes;
    int64_t hold_back_bytes, unasked_bytes; // unasked: sent since the backlog was last asked
};

// ------------------------------------------------------------------------------- start

static bool has_topic(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0 && !metadata->topics[i].err)
            return metadata->topics[i].partition_cnt > 0;
    return false;
}

// All topics are asked for: a question for one could create it. One that was made a moment ago is
// not yet known to every broker.
static bool look_for_topic(rd_kafka_t *client, const struct config_kafka *config, char *problem,
                           size_t problem_bytes)
{
    for (int tries = 0; tries < TOPIC_TRIES && !interrupt_came(); tries++) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t err = rd_kafka_metadata(client, 1, NULL, &metadata, CONNECT_TIMEOUT_MS);
        if (err) {
            snprintf(problem, problem_bytes,
                     "Kafka at %s does not answer (%s).\nCheck `kafka.brokers` in the "
                     "configuration.",
                     config->brokers, rd_kafka_err2str(err));
            return false;
        }
        bool found = has_topic(metadata, config->topic_jobs);
        rd_kafka_metadata_destroy(metadata);
        if (found)
            return true;
        interrupt_sleep_ms(TOPIC_PAUSE_MS);
    }
    snprintf(problem, problem_bytes,
             "Kafka at %s has no topic \"%s\".\nCreate it, or set `kafka.topics.jobs`.",
             config->brokers, config->topic_jobs);
    return false;
}

// librdkafka's broker in memory names its cluster so.
static bool is_in_memory(rd_kafka_t *client)
{
    char *cluster = rd_kafka_clusterid(client, CONNECT_TIMEOUT_MS);
    bool in_memory = cluster && strncmp(cluster, "mockCluster", strlen("mockCluster")) == 0;
    rd_kafka_mem_free(client, cluster);
    return in_memory;
}

static bool look(struct sender *sender, char *problem, size_t problem_bytes)
{
    rd_kafka_conf_t *conf =
        kafka_conf_new(sender->config, KAFKA_ROLE_PRODUCER, problem, problem_bytes);
    if (!conf)
        return false;
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_LOG);
    rd_kafka_t *client = kafka_conf_client(RD_KAFKA_PRODUCER, conf, problem, problem_bytes);
    if (!client)
        return false;
    bool found = look_for_topic(client, sender->config, problem, problem_bytes);
    sender->in_memory = found && is_in_memory(client);
    rd_kafka_destroy(client);
    return found;
}

static bool go_on(void *context)
{
    (void)context;
    return !interrupt_came();
}

struct sender *sender_new(const struct config *config, int64_t hold_back_bytes, char *problem,
                          size_t problem_bytes)
{
    struct sender *sender = own_alloc(sizeof(*sender));
    sender->config = &config->kafka;
    struct kafka_send_options options = {.wait = go_on};
    if (look(sender, problem, problem_bytes))
        sender->send = kafka_send_open(sender->config, &options, problem, problem_bytes);
    if (!sender->send) {
        free(sender);
        return NULL;
    }
    bool unlimited = hold_back_bytes == 0 && !sender->in_memory;
    sender->hold_back_bytes = hold_back_bytes > 0 ? hold_back_bytes : SENDER_HOLD_BACK_BYTES;
    sender->hold_back_bytes = unlimited ? INT64_MAX : sender->hold_back_bytes;
    sender->unasked_bytes = unlimited ? 0 : sender->hold_back_bytes; // asked before the first
    return sender;
}

void sender_free(struct sender *sender)
{
    if (!sender)
        return;
    kafka_send_close(sender->send);
    free(sender);
}

bool sender_is_in_memory(const struct sender *sender)
{
    return sender->in_memory;
}

// ------------------------------------------------------------------------------- sending

bool sender_flush(struct sender *sender)
{
    // `wait` gives up at once after Ctrl-C: then what is on its way gets a last chance.
    bool good = kafka_send_flush(sender->send, FLUSH_MS);
    for (int waited = 0; !good && interrupt_came() && waited < INTERRUPTED_FLUSH_MS; waited += 100)
        good = kafka_send_flush(sender->send, 0);
    return good;
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

// Bytes that the fullest partition has unread; -1 where the brokers do not say.
static int64_t most_unread(struct sender *sender)
{
    struct kafka_backlog backlog;
    if (!kafka_send_backlog(sender->send, sender->config->topic_jobs, &backlog))
        return -1;
    int64_t mean = sender->sent > 0 ? sender->sent_bytes / sender->sent : MEAN_GUESS_BYTES;
    return backlog.most * mean;
}

// Waits until there is room; false: interrupted.
static bool hold_back(struct sender *sender)
{
    if (sender->unasked_bytes < sender->hold_back_bytes / 4)
        return true;
    sender->unasked_bytes = 0;
    for (int looks = 0; !interrupt_came(); looks++) {
        kafka_send_flush(sender->send, FLUSH_MS);
        int64_t unread = most_unread(sender);
        if (unread >= 0 && unread < sender->hold_back_bytes)
            return true;
        say_held(unread, looks);
        interrupt_sleep_ms(HELD_LOOK_MS);
    }
    return false;
}

bool sender_send(struct sender *sender, const char *key, const char *value, size_t value_len)
{
    struct message message = {
        .key = key, .key_len = strlen(key), .value = value, .value_len = value_len};
    if (!hold_back(sender) ||
        !kafka_send_push(sender->send, sender->config->topic_jobs, &message, 0))
        return false;
    int64_t bytes = (int64_t)(message.key_len + value_len) + RECORD_BYTES;
    sender->sent++;
    sender->sent_bytes += bytes;
    sender->unasked_bytes += bytes;
    return true;
}

int64_t sender_acknowledged(const struct sender *sender)
{
    struct kafka_send_stats stats;
    kafka_send_stats(sender->send, &stats);
    return stats.delivered;
}

const char *sender_problem(const struct sender *sender)
{
    return kafka_send_problem(sender->send);
}
