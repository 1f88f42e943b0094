// SPDX-License-Identifier: Apache-2.0
// librdkafka's messages as ours.
#include "io/kafka_message.h"

#include <stdlib.h>

#include "base/own.h"

static size_t read_headers(struct kafka_headers *headers, const rd_kafka_message_t *from)
{
    rd_kafka_headers_t *list;
    if (rd_kafka_message_headers(from, &list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    size_t count = 0;
    for (; count < KAFKA_HEADERS_MAX; count++) {
        struct header header;
        if (rd_kafka_header_get_all(list, count, &header.name, &header.value, &header.value_len))
            break;
        if (count == headers->room) {
            headers->room = headers->room ? headers->room * 2 : 16;
            headers->items = own_grow(headers->items, headers->room, sizeof(*headers->items));
        }
        headers->items[count] = header;
    }
    return count;
}

void kafka_message_read(struct kafka_headers *headers, const rd_kafka_message_t *from,
                        struct message *out)
{
    size_t count = read_headers(headers, from);
    *out = (struct message){
        .topic = rd_kafka_topic_name(from->rkt),
        .partition = from->partition,
        .offset = from->offset,
        .timestamp_ms = rd_kafka_message_timestamp(from, NULL),
        .key = from->key,
        .key_len = from->key_len,
        .value = from->payload,
        .value_len = from->len,
        .headers = headers->items,
        .header_count = count,
    };
}

void kafka_headers_deinit(struct kafka_headers *headers)
{
    free(headers->items);
    *headers = (struct kafka_headers){0};
}
