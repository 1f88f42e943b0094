// SPDX-License-Identifier: Apache-2.0
// The private directory of one extractor run: a document is a file in it, and what the program
// writes lands there too (its TMPDIR and HOME). The child makes and removes it; where the child was
// killed, the worker removes it.
#ifndef PRECIS_IO_EXTRACT_SCRATCH_H
#define PRECIS_IO_EXTRACT_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

// The directory (mode 0700; it must not be there yet) with the document (mode 0600) in it, whose
// path is written to `out_file`. False: errno says why; nothing is left behind.
bool scratch_make(const char *directory, const char *suffix, const void *bytes, size_t len,
                  char *out_file, size_t out_bytes);
// With all that is in it; follows no link. One that is not there is fine.
void scratch_remove(const char *directory);

#endif
