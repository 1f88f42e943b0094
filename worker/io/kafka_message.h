// SPDX-License-Identifier: Apache-2.0
// librdkafka's messages as ours.
#ifndef PRECIS_IO_KAFKA_MESSAGE_H
#define PRECIS_IO_KAFKA_MESSAGE_H

#include <librdkafka/rdkafka.h>

#include "core/seams.h"

#define KAFKA_HEADERS_MAX 1000 // of one message; further ones are not seen

// Room for one message's headers, used again for the next. All zero is empty.
struct kafka_headers {
    struct header *items;
    size_t room;
};

// Everything in `out` is borrowed from `from` and from `headers`, until either is used again.
void kafka_message_read(struct kafka_headers *headers, const rd_kafka_message_t *from,
                        struct message *out);
void kafka_headers_deinit(struct kafka_headers *headers);

#endif
