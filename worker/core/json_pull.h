// SPDX-License-Identifier: Apache-2.0
// Reads JSON by walking over it: no tree, no allocation, no recursion.
//
// For documents of which a few members are wanted, such as the hundreds of small ones in a stream.
// It checks the structure (brackets match, strings end, commas and colons are where they belong,
// words and numbers are made of the right characters) and a depth of JSON_PULL_DEPTH. It does not
// check that every skipped number or escape is well formed, nor UTF-8; NaN and Infinity, which are
// no JSON and yet occur, are values to skip.
//
//     struct json_pull pull = json_pull_of(data, len);
//     struct json_span name;
//     if (json_pull_enter(&pull, '{'))
//         while (json_pull_member(&pull, &name))
//             if (json_span_is(&name, "id")) … json_pull_string(&pull, &out) …
//             else json_pull_skip(&pull, NULL);
//     ok = json_pull_end(&pull);
//
// After the first fault every call answers false, and json_pull_end tells.
#ifndef PRECIS_CORE_JSON_PULL_H
#define PRECIS_CORE_JSON_PULL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define JSON_PULL_DEPTH 64

struct json_span {
    const char *data;
    size_t len;
};

struct json_pull {
    const char *at, *end;
    bool bad;
    bool first; // no member or item of the object or list just entered has been read
};

// NULL and 0: an empty text.
struct json_pull json_pull_of(const char *data, size_t len);
// The first character of the next value: { [ " t f n, a digit or -; 0 at the end or after a fault.
char json_pull_peek(struct json_pull *pull);
// Goes into the object ('{') or list ('['). False: the next value is none; nothing was read.
bool json_pull_enter(struct json_pull *pull, char bracket);
// The next member's name (as written, escapes unread; no quotes) and on to its value, which must
// then be read or skipped. False: the object has ended.
bool json_pull_member(struct json_pull *pull, struct json_span *out_name);
// On to the next item. False: the list has ended.
bool json_pull_item(struct json_pull *pull);
// Appends the string, its escapes read; \u0000 and half surrogate pairs become U+FFFD. `out` may be
// NULL. False: the next value is no string (nothing was read), a fault, or the buffer's cap
// (out->overflow).
bool json_pull_string(struct json_pull *pull, struct buf *out);
// Over the next value, whatever it is; its text as it stands in *out_raw unless NULL.
bool json_pull_skip(struct json_pull *pull, struct json_span *out_raw);
// True: no fault, and nothing but white space follows.
bool json_pull_end(struct json_pull *pull);

// Appends what the escape at `at` (a backslash) stands for, as json_pull_string does. The bytes
// that were read, two escapes for a surrogate pair; 0: it is malformed.
size_t json_pull_escape(struct buf *out, const char *at, const char *end);

bool json_span_is(const struct json_span *span, const char *text);

#endif
