// SPDX-License-Identifier: Apache-2.0
// What precis asks of librdkafka, as properties.
#include "io/kafka_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct property {
    const char *name, *value;
};

static const struct property common[] = {
    {"client.id", "precis"},
    {"log.queue", "true"},
    {"log.connection.close", "false"},
    {"socket.keepalive.enable", "true"},
    {"reconnect.backoff.max.ms", "5000"},
    // Larger than brokers allow by default, so that a dead letter that wraps a message of the
    // largest size is the broker's to judge.
    {"message.max.bytes", "20000000"},
    {NULL, NULL},
};

// Below queued.min.messages librdkafka 2.0.2 fetches on; past it, or past the kilobytes, it leaves
// the partition alone for a whole second.
static const struct property consumer[] = {
    {"enable.auto.commit", "true"},
    {"enable.auto.offset.store", "false"},
    {"auto.commit.interval.ms", "1000"},
    {"auto.offset.reset", "error"},
    {"partition.assignment.strategy", "range"},
    {"session.timeout.ms", "6000"},
    {"heartbeat.interval.ms", "1000"},
    {"max.poll.interval.ms", "60000"},
    {"check.crcs", "true"},
    {"queued.min.messages", "100000"},
    {"queued.max.messages.kbytes", "16384"},
    {"allow.auto.create.topics", "false"},
    {"topic.metadata.refresh.interval.ms", "30000"},
    {"enable.partition.eof", "false"},
    {NULL, NULL},
};

static const struct property producer[] = {
    {"acks", "all"},
    {"enable.idempotence", "false"},
    {"linger.ms", "5"},
    {"queue.buffering.max.messages", "100000"},
    {"queue.buffering.max.kbytes", "65536"},
    {NULL, NULL},
};

static const struct property query[] = {
    {"enable.auto.commit", "false"},
    {"allow.auto.create.topics", "false"},
    {NULL, NULL},
};

static bool set_one(rd_kafka_conf_t *conf, const char *name, const char *value, char *problem,
                    size_t problem_bytes)
{
    return rd_kafka_conf_set(conf, name, value, problem, problem_bytes) == RD_KAFKA_CONF_OK;
}

static bool set_all(rd_kafka_conf_t *conf, const struct property *list, char *problem,
                    size_t problem_bytes)
{
    for (; list->name; list++)
        if (!set_one(conf, list->name, list->value, problem, problem_bytes))
            return false;
    return true;
}

static bool set_own(rd_kafka_conf_t *conf, const struct config_kafka *config, enum kafka_role role,
                    char *problem, size_t problem_bytes)
{
    const struct property *own = role == KAFKA_ROLE_CONSUMER   ? consumer
                                 : role == KAFKA_ROLE_PRODUCER ? producer
                                                               : query;
    return set_one(conf, "bootstrap.servers", config->brokers, problem, problem_bytes) &&
           set_all(conf, common, problem, problem_bytes) &&
           set_all(conf, own, problem, problem_bytes) &&
           (role == KAFKA_ROLE_PRODUCER ||
            set_one(conf, "group.id", config->group, problem, problem_bytes));
}

rd_kafka_conf_t *kafka_conf_new(const struct config_kafka *config, enum kafka_role role,
                                char *problem, size_t problem_bytes)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool good = set_own(conf, config, role, problem, problem_bytes);
    for (size_t i = 0; good && i < config->property_count; i++)
        good = set_one(conf, config->properties[i].name, config->properties[i].value, problem,
                       problem_bytes);
    if (good)
        return conf;
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *problem,
                              size_t problem_bytes)
{
    rd_kafka_t *client = rd_kafka_new(type, conf, problem, problem_bytes);
    if (!client) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_set_log_queue(client, NULL);
    return client;
}

int64_t kafka_conf_number(const rd_kafka_conf_t *conf, const char *name)
{
    char value[32];
    size_t size = sizeof(value);
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        return -1;
    return strtoll(value, NULL, 10);
}
