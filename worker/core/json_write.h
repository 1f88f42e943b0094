// SPDX-License-Identifier: Apache-2.0
// Writes JSON text straight into a buffer, without building a tree first.
#ifndef PRECIS_CORE_JSON_WRITE_H
#define PRECIS_CORE_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

// Appends `text` (valid UTF-8) as a JSON string with its quotes. Escaped are the quote, the
// backslash and everything below U+0020; DEL, U+2028 and U+2029 are escaped too, since not every
// reader takes them. False: the buffer's cap.
bool json_write_string(struct buf *out, const char *text, size_t len);
// Appends `,"name":` and the string; nothing for a NULL text.
bool json_write_member(struct buf *out, const char *name, const char *text);

#endif
