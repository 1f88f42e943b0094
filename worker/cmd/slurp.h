// SPDX-License-Identifier: Apache-2.0
// Reads a file whole, into a buffer with a cap.
#ifndef PRECIS_CMD_SLURP_H
#define PRECIS_CMD_SLURP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

// Appends the file's bytes. False with a sentence in `problem`: it cannot be read, or it does not
// fit the buffer's cap.
bool slurp_file(struct buf *out, const char *path, char *problem, size_t problem_bytes);

#endif
