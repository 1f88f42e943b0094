// SPDX-License-Identifier: Apache-2.0
// librdkafka's configuration for each use that precis makes of it. Ours come first, the user's
// kafka.properties on top; those that carry promises were refused when the configuration was read.
#ifndef PRECIS_IO_KAFKA_CONF_H
#define PRECIS_IO_KAFKA_CONF_H

#include <stddef.h>

#include <librdkafka/rdkafka.h>

#include "core/config.h"

enum kafka_role {
    KAFKA_ROLE_CONSUMER, // the worker's intake
    KAFKA_ROLE_PRODUCER, // acks=all, no idempotence: one lost connection would make it fatal
    KAFKA_ROLE_QUERY,    // asks the brokers, in the group's name but without joining it
};

// The room that a dead letter's headers take beside the message that it wraps.
#define KAFKA_HEADER_ROOM_BYTES 16384

// NULL with a sentence in `problem` where librdkafka refuses a property. The caller hands the
// result to rd_kafka_new or destroys it.
rd_kafka_conf_t *kafka_conf_new(const struct config_kafka *config, enum kafka_role role,
                                char *problem, size_t problem_bytes);
// A client with its logs in its main queue, where the conf asks for it. Takes `conf`, always.
rd_kafka_t *kafka_conf_client(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *problem,
                              size_t problem_bytes);
// The value of a numeric property, -1 where it has none.
int64_t kafka_conf_number(const rd_kafka_conf_t *conf, const char *name);

#endif
