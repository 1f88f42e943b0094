// SPDX-License-Identifier: Apache-2.0
// A text with one level of percent and backslash escapes undone, and where each byte came from.
// Lenient: what is no escape stays as it is. For looking things up, not for reading data.
#ifndef PRECIS_BASE_UNESCAPE_H
#define PRECIS_BASE_UNESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// bytes[i] stands for [from[i], to[i]) of the text that was unescaped first.
struct unescaped {
    char *bytes;
    uint32_t *from;
    uint32_t *to;
    size_t len;
};

// Undoes %41 \n \t \" \/ \\ \x41 and \u0041 (as UTF-8). False: nothing to undo, and `out` is
// untouched. `in`, where given, tells where `text` itself came from.
bool unescape(const char *text, size_t len, const struct unescaped *in, struct unescaped *out);
void unescaped_deinit(struct unescaped *text);

#endif
