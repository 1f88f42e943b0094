// SPDX-License-Identifier: Apache-2.0
// The account of assigned partitions.
#include "io/kafka_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static int compare(const void *left, const void *right)
{
    const struct kafka_part *a = left, *b = right;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return strcmp(a->topic, b->topic);
}

void kafka_map_fill(struct kafka_map *map, const rd_kafka_topic_partition_list_t *list)
{
    kafka_map_clear(map);
    map->len = (size_t)list->cnt;
    map->parts = own_array(map->len, sizeof(*map->parts));
    for (size_t i = 0; i < map->len; i++)
        map->parts[i] = (struct kafka_part){
            .topic = own_strdup(list->elems[i].topic),
            .partition = list->elems[i].partition,
            .place = KAFKA_ASKED,
            .committed = -1,
            .next = -1,
            .end = -1,
        };
    if (map->len > 1)
        qsort(map->parts, map->len, sizeof(*map->parts), compare);
}

void kafka_map_clear(struct kafka_map *map)
{
    for (size_t i = 0; i < map->len; i++)
        free(map->parts[i].topic);
    free(map->parts);
    *map = (struct kafka_map){0};
}

struct kafka_part *kafka_map_find(const struct kafka_map *map, const char *topic, int32_t partition)
{
    size_t from = 0, to = map->len;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        struct kafka_part *part = &map->parts[middle];
        int order = part->partition != partition ? (part->partition < partition ? -1 : 1)
                                                 : strcmp(part->topic, topic);
        if (order == 0)
            return part;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

bool kafka_map_reached(const struct kafka_map *map, enum kafka_place place)
{
    for (size_t i = 0; i < map->len; i++)
        if (map->parts[i].place < place)
            return false;
    return true;
}

static int64_t begin_of(const struct kafka_part *part)
{
    if (part->start == BROKER_START_FIRST)
        return RD_KAFKA_OFFSET_BEGINNING;
    if (part->start == BROKER_START_LAST)
        return RD_KAFKA_OFFSET_END;
    return part->offset;
}

rd_kafka_topic_partition_list_t *kafka_map_list(const struct kafka_map *map, enum kafka_place place)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)map->len);
    for (size_t i = 0; i < map->len; i++) {
        struct kafka_part *part = &map->parts[i];
        if (part->place != place)
            continue;
        rd_kafka_topic_partition_t *to =
            rd_kafka_topic_partition_list_add(list, part->topic, part->partition);
        to->offset = begin_of(part);
        to->opaque = part->start == BROKER_START_GAP ? list : NULL;
    }
    return list;
}
