// SPDX-License-Identifier: Apache-2.0
// JSON from outside, made safe for jansson.
// A parser that builds a tree can be made to take 78 times its input in memory, and one that
// recurses can be made to overflow its stack: both are decided here first, in one pass that
// allocates nothing. Errors say where (a byte offset) and what kind, never what the text was.
#ifndef PRECIS_CORE_JSON_SCAN_H
#define PRECIS_CORE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

struct json_limits {
    size_t bytes; // of the input
    size_t depth; // objects and arrays inside each other
    size_t nodes; // about: objects, arrays, members and items
};

// False: a limit is passed; *out has ERR_TOO_LARGE for bytes, ERR_BAD_MESSAGE for depth and nodes.
// Does not check that the input is JSON.
bool json_scan_check(const char *data, size_t len, const struct json_limits *limits,
                     struct failure *out);
// Rewrites, in place and in the same length, every escape of half a surrogate pair and \u0000 as
// \ufffd. jansson refuses the first under every flag, jsonb refuses both; a document should not
// fail for them. *len stays as it is.
void json_scan_mend_surrogates(char *data, size_t *len);
// json_scan_check, then json_tree_read or jansson with these flags (JSON_REJECT_DUPLICATES for what
// must be strict). NULL: *out says why; its code is ERR_TOO_LARGE or ERR_BAD_MESSAGE, which callers
// that read something else than a job message may replace. The caller owns the value (json_decref).
json_t *json_load_checked(const char *data, size_t len, const struct json_limits *limits,
                          unsigned jansson_flags, struct failure *out);

#endif
