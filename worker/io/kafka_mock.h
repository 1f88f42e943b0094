// SPDX-License-Identifier: Apache-2.0
// A Kafka in this process's memory, for `precis dev` and for tests: librdkafka's mock cluster.
// It keeps about 5 MB a partition and drops the oldest messages in silence, acknowledged or not;
// it never answers DescribeConfigs; everything is gone when it stops.
#ifndef PRECIS_IO_KAFKA_MOCK_H
#define PRECIS_IO_KAFKA_MOCK_H

#include <stddef.h>

struct kafka_mock;

#define KAFKA_MOCK_PARTITIONS 8

// One broker with these topics (NULL ends the list). NULL with a sentence in `problem`.
struct kafka_mock *kafka_mock_start(const char *const *topics, char *problem, size_t problem_bytes);
// "127.0.0.1:PORT", for any process of this machine; owned by the mock.
const char *kafka_mock_brokers(const struct kafka_mock *mock);
// librdkafka's own handle (rd_kafka_mock_cluster_t), for tests that break it.
void *kafka_mock_cluster(const struct kafka_mock *mock);
void kafka_mock_stop(struct kafka_mock *mock);

#endif
