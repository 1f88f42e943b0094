// SPDX-License-Identifier: Apache-2.0
// Bytes as PostgreSQL writes a bytea ("\x6162"), or without its mark.
#ifndef PRECIS_CMD_HEX_H
#define PRECIS_CMD_HEX_H

#include <stdbool.h>

#include "base/buf.h"

// Appends the bytes; false where the text is no hex.
bool hex_read(struct buf *out, const char *text);

#endif
