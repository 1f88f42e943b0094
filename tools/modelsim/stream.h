// SPDX-License-Identifier: Apache-2.0
// Writes a finished answer as OpenAI does: one JSON object, or a stream of chunks as server-sent
// events. Faults bend it. Result is a body: bytes, and marks where an event (an HTTP chunk) ends.
#ifndef MODELSIM_STREAM_H
#define MODELSIM_STREAM_H

#include "faults.h"
#include "money.h"

struct body_mark {
    size_t end;       // of the bytes that belong together
    uint64_t wait_ms; // before them
};

struct body {
    struct buf bytes;
    struct body_mark *marks;
    size_t mark_count, mark_cap;
};

struct completion {
    uint64_t number; // makes the id
    uint64_t created;
    const char *model; // as the answer names it, JSON-safe
    const char *content;
    size_t content_len;
    const char *finish; // JSON
    struct usage usage;
    bool reasoning_beside;
    bool include_usage;
    uint64_t chunk_tokens, factor_milli;
    uint64_t tokens_per_second; // 0 is at once
    const struct fault *fault;  // never NULL
};

void completion_plain(const struct completion *completion, struct body *out);
void completion_stream(const struct completion *completion, struct body *out);

// One event that carries 16 KB of text, or for a plain answer the text alone.
void completion_filler(const struct completion *completion, bool stream, struct buf *out);

// Ends a run of bytes that belong together.
void body_mark(struct body *body, uint64_t wait_ms);

void body_clear(struct body *body);
void body_free(struct body *body);

#endif
