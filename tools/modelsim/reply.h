// SPDX-License-Identifier: Apache-2.0
// What is to be written to one client, and when: bytes with pauses between them, and how it ends.
// A reply knows nothing of sockets; http.c plays it. Everything that a faulty provider does to a
// connection is said here.
#ifndef MODELSIM_REPLY_H
#define MODELSIM_REPLY_H

#include "buf.h"

#include <stdbool.h>

enum reply_end {
    REPLY_KEEP,   // the connection serves the next request
    REPLY_CLOSE,  // closed in order after the last byte
    REPLY_RESET,  // reset (TCP RST) after the last byte
    REPLY_HANG,   // nothing more comes, the connection stays open until the client leaves
    REPLY_REPEAT, // the bytes from repeat_from on are sent again and again until the client leaves
};

struct reply_pause {
    size_t at; // before this byte
    uint64_t ms;
};

// Names an entry of the bill; 0 is none.
typedef uint64_t reply_call;

struct reply {
    struct buf bytes;
    struct reply_pause *pauses;
    size_t pause_count;
    size_t pause_cap;
    enum reply_end end;
    size_t repeat_from;
    uint64_t repeat_ms;
    reply_call call;
};

// Empties a reply for the next use; its memory stays.
void reply_clear(struct reply *reply);

// Holds back what is added from now on. Zero does nothing.
void reply_pause(struct reply *reply, uint64_t ms);

void reply_free(struct reply *reply);

#endif
