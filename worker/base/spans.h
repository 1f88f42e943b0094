// SPDX-License-Identifier: Apache-2.0
// Stretches of a text, marked in any order and overlapping as they like; marking costs the same
// however long a stretch is, so that rules which overlap stay linear. No memory before the first.
#ifndef PRECIS_BASE_SPANS_H
#define PRECIS_BASE_SPANS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct spans {
    uint32_t *reach; // where the longest stretch that begins here ends; NULL: none marked
    size_t len;      // of the text, below SPANS_TEXT_BYTES
};

#define SPANS_TEXT_BYTES UINT32_MAX

void spans_init(struct spans *spans, size_t len);
void spans_deinit(struct spans *spans);
// Marks [from, to); an empty one is none.
void spans_add(struct spans *spans, size_t from, size_t to);
// Appends the text with `mark` in place of each marked stretch; those that touch are one.
void spans_write(const struct spans *spans, const char *text, const char *mark, struct buf *out);

#endif
