// SPDX-License-Identifier: Apache-2.0
// Server-sent events as a push parser: bytes in, events out (WHATWG HTML, "server-sent events").
//
// Lines end with LF, CR or CRLF; a leading byte order mark is skipped; lines that begin with a
// colon are comments; one space after the colon of a field is dropped; several data lines are
// joined with LF; an empty line dispatches; an event without data is dropped. Bytes may be split
// anywhere, also inside a UTF-8 sequence or between CR and LF: pushing one byte at a time gives the
// same events as pushing all at once. `id` and `retry` are ignored. Nothing here looks into the
// data.
#ifndef PRECIS_CORE_SSE_H
#define PRECIS_CORE_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

struct sse_event {
    const char *name; // the `event:` field, "" where there was none
    const char *data; // the joined data lines, followed by a NUL that does not count
    size_t data_len;
};

// Called for each event; the event's memory is the parser's and ends with the call. False: stop
// here, the rest of the pushed bytes is dropped.
typedef bool (*sse_event_fn)(void *ctx, const struct sse_event *event);

enum sse_result {
    SSE_OK,
    SSE_STOPPED,         // the function answered false
    SSE_LINE_TOO_LONG,   // a line passed max_line; the parser must not be used any more
    SSE_EVENT_TOO_LARGE, // the data of one event passed max_event; likewise
};

struct sse {
    struct buf line, data; // an unfinished line; the data of an unfinished event
    char name[64];         // longer event names are cut
    size_t max_line, max_event;
    bool has_data;
    bool after_cr;     // a LF that comes next belongs to the line end before it
    bool begun;        // the first line has been seen, so that no mark can come any more
    size_t comments;   // comment lines so far: keep-alives
    size_t dispatched; // events so far
};

// Both limits in bytes, positive.
void sse_init(struct sse *sse, size_t max_line, size_t max_event);
void sse_deinit(struct sse *sse);
enum sse_result sse_push(struct sse *sse, const char *data, size_t len, sse_event_fn, void *ctx);
// At the end of the stream: the data of an event that no empty line has dispatched, its last line
// possibly without a line end. The standard drops it; the caller decides. False: there is none.
bool sse_rest(struct sse *sse, struct sse_event *out_event);

#endif
