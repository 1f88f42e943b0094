// SPDX-License-Identifier: Apache-2.0
// Which files that hold secrets others on this machine can read: the ${file:} of secret values and
// of `database`, and an --env-file. It looks at rights only, never into a file.
//
// A file counts as exposed where others may read or write it and may enter every folder above it.
// What lies in /run/secrets was put there for this container alone, and does not count.
#ifndef PRECIS_IO_SECRET_FILES_H
#define PRECIS_IO_SECRET_FILES_H

#include "core/config.h"

typedef void secret_files_tell(void *context, const char *path, const char *how);

// Calls `tell` for each exposed file with how it is exposed ("can be read by every user of this
// machine"). env_file: NULL where none is used.
void secret_files_check(const struct config *config, const char *env_file, secret_files_tell *tell,
                        void *context);

#endif
