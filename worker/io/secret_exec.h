// SPDX-License-Identifier: Apache-2.0
// Runs a program for its output: the ${exec:…} of the configuration. No shell, no input, its error
// output is thrown away; it gets the environment of precis, since such programs need their own
// variables there.
#ifndef PRECIS_IO_SECRET_EXEC_H
#define PRECIS_IO_SECRET_EXEC_H

#include <stdbool.h>

#include "base/buf.h"

// Blocks at most limit_ms; then, and when the output passes the buffer's cap, the program's process
// group is killed. True only where it ended with status 0 in time, and printed one line, whose end
// is dropped. Else `why` is a message without any of the output.
bool secret_exec(const char *command, int limit_ms, struct buf *out_output, struct buf *why);
// "cat 'a b' c" as an argv ended by NULL, which the caller frees with secret_exec_free; NULL: no
// words, or a quote that is not closed.
char **secret_exec_split(const char *command);
void secret_exec_free(char **argv);

#endif
