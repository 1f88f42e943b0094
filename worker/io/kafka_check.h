// SPDX-License-Identifier: Apache-2.0
// What has to be true of the brokers before a worker starts: they answer, the topics are there, and
// no message of any job topic can be larger than what this consumer takes (librdkafka would stop in
// silence at the first such record). Used by `worker` and by `doctor`.
#ifndef PRECIS_IO_KAFKA_CHECK_H
#define PRECIS_IO_KAFKA_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"

struct kafka_check {
    bool answered; // a broker did; else the problem may pass by itself
    int jobs_partitions;
    int missing; // topics
    // max.message.bytes, the largest of all job topics; -1: the broker does not say.
    int64_t jobs_max_bytes, dlq_max_bytes, results_max_bytes;
    char problem[1200];    // one sentence; "" where all is well
    char suggestion[2000]; // what to do about it; commands on lines of their own
    char warning[1200];    // "" where there is none
};

// Blocks for some milliseconds; up to 10 s where nobody answers. False where `problem` is set.
bool kafka_check(const struct config_kafka *config, struct kafka_check *out);

#endif
