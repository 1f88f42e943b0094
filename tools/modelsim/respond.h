// SPDX-License-Identifier: Apache-2.0
// Puts a status line, headers and a body into a reply, framed by length or in chunks, and cut,
// stalled or repeated where a fault wants it.
#ifndef MODELSIM_RESPOND_H
#define MODELSIM_RESPOND_H

#include "faults.h"
#include "stream.h"

struct head {
    unsigned status;
    const char *content_type;
    const char *headers; // more lines, each with CR LF
    uint64_t request_number;
    uint64_t processing_ms;
    uint64_t wall_ms;
    bool chunked_ok;     // the client speaks HTTP/1.1
    uint64_t latency_ms; // before the first byte
    uint64_t headers_ms; // between headers and body
};

// A healthy response with a length: for everything but completions.
void respond_simple(const struct head *head, const char *body, size_t len, struct reply *reply);

// Any response. With `chunked`, a chunk for each mark of the body. `repeat` is what a fault sends
// again and again, NULL for the fault's own text.
void respond_body(const struct head *head, const struct body *body, bool chunked,
                  const struct fault *fault, const struct buf *repeat, struct reply *reply);

// A fault's written-out response.
void respond_raw(const struct head *head, const struct fault *fault, struct reply *reply);

// A block of deflated zeros that can be sent again and again after the first ten bytes, which are
// gzip's header.
void gzip_bomb(struct buf *out);

#endif
