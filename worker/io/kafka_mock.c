// SPDX-License-Identifier: Apache-2.0
// The in-memory Kafka.
#include "io/kafka_mock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/own.h"

struct kafka_mock {
    rd_kafka_t *client; // what the cluster lives in
    rd_kafka_mock_cluster_t *cluster;
};

static void ignore_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

static bool create_topics(struct kafka_mock *mock, const char *const *topics, char *problem,
                          size_t problem_bytes)
{
    for (; *topics; topics++) {
        rd_kafka_resp_err_t err =
            rd_kafka_mock_topic_create(mock->cluster, *topics, KAFKA_MOCK_PARTITIONS, 1);
        if (err) {
            snprintf(problem, problem_bytes, "topic %s: %s", *topics, rd_kafka_err2str(err));
            return false;
        }
    }
    return true;
}

struct kafka_mock *kafka_mock_start(const char *const *topics, char *problem, size_t problem_bytes)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, ignore_log);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, problem, problem_bytes);
    if (!client) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    struct kafka_mock *mock = own_alloc(sizeof(*mock));
    mock->client = client;
    mock->cluster = rd_kafka_mock_cluster_new(client, 1);
    if (mock->cluster && create_topics(mock, topics, problem, problem_bytes))
        return mock;
    if (!mock->cluster)
        snprintf(problem, problem_bytes, "the in-memory Kafka does not start");
    kafka_mock_stop(mock);
    return NULL;
}

const char *kafka_mock_brokers(const struct kafka_mock *mock)
{
    return rd_kafka_mock_cluster_bootstraps(mock->cluster);
}

void *kafka_mock_cluster(const struct kafka_mock *mock)
{
    return mock->cluster;
}

void kafka_mock_stop(struct kafka_mock *mock)
{
    if (!mock)
        return;
    if (mock->cluster)
        rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->client);
    free(mock);
}
