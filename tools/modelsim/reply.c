// SPDX-License-Identifier: Apache-2.0
// Bytes and the pauses between them.
#include "reply.h"

#include <stdlib.h>

void reply_clear(struct reply *reply)
{
    buf_clear(&reply->bytes);
    reply->pause_count = 0;
    reply->end = REPLY_KEEP;
    reply->repeat_from = 0;
    reply->repeat_ms = 0;
    reply->call = 0;
}

void reply_pause(struct reply *reply, uint64_t ms)
{
    if (ms == 0)
        return;
    if (reply->pause_count == reply->pause_cap) {
        reply->pause_cap = reply->pause_cap ? reply->pause_cap * 2 : 8;
        reply->pauses = must_realloc(reply->pauses, reply->pause_cap * sizeof *reply->pauses);
    }
    reply->pauses[reply->pause_count++] = (struct reply_pause){reply->bytes.len, ms};
}

void reply_free(struct reply *reply)
{
    buf_free(&reply->bytes);
    free(reply->pauses);
    *reply = (struct reply){0};
}
