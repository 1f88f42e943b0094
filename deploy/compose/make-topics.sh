#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The three topics, where they are not there yet. BROKERS says where; PARTITIONS is the most workers
# that can ever share the jobs. A dead letter carries its message and 16 KB of headers.
set -euo pipefail

make() { # TOPIC PARTITIONS MAX_MESSAGE_BYTES
    kafka-topics.sh --bootstrap-server "$BROKERS" --create --if-not-exists --topic "$1" --partitions "$2" \
        --replication-factor "${REPLICATION:-1}" --config "max.message.bytes=$3"
}

make precis.jobs "${PARTITIONS:-12}" 1048588
make precis.jobs.dlq 1 1064972
make precis.results 3 1048588
