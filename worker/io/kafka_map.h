// SPDX-License-Identifier: Apache-2.0
// Our own account of the partitions that the group gave us. librdkafka 2.0.2 cannot be asked what
// it has paused, and punishes a guess: a resume of a partition that is not paused reads it again
// from where its fetching began, and a pause outlives a rebalance.
#ifndef PRECIS_IO_KAFKA_MAP_H
#define PRECIS_IO_KAFKA_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#include "core/seams.h"

enum kafka_place {
    KAFKA_ASKED,    // what is committed for it is being asked
    KAFKA_OFFERED,  // the engine was told and has not answered
    KAFKA_ANSWERED, // the engine said where to begin; others are still to be answered
    KAFKA_READING,
    KAFKA_STOPPED, // ours, and nothing is read
};

struct kafka_part {
    char *topic;
    int32_t partition;
    enum kafka_place place;
    bool paused;
    enum broker_start start;
    int64_t committed; // -1: none
    int64_t offset;    // where to begin, when it was answered
    int64_t next;      // what was last stored, or the begin
    int64_t end;       // as last seen; -1 unknown
};

// Sorted by partition, then topic. All zero is an empty map.
struct kafka_map {
    struct kafka_part *parts;
    size_t len;
};

// Replaces the contents by the partitions of a list, all KAFKA_ASKED.
void kafka_map_fill(struct kafka_map *map, const rd_kafka_topic_partition_list_t *list);
// Also what a map is freed by.
void kafka_map_clear(struct kafka_map *map);
// NULL: not ours.
struct kafka_part *kafka_map_find(const struct kafka_map *map, const char *topic,
                                  int32_t partition);
// Whether all are at `place` or past it.
bool kafka_map_reached(const struct kafka_map *map, enum kafka_place place);
// A new list of those at `place`, with their begin as offset; `opaque` is not NULL for those that
// may begin at the earliest message where their offset is gone. The caller destroys it.
rd_kafka_topic_partition_list_t *kafka_map_list(const struct kafka_map *map,
                                                enum kafka_place place);

#endif
