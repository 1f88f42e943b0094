// SPDX-License-Identifier: Apache-2.0
// What `status` shows: one batch, the list of batches, or a line for a log; and in words what jobs
// wait for. Everything is appended to a buffer, with the width and colours of a file, so that a
// terminal can be redrawn in one write.
#ifndef PRECIS_CMD_STATUS_SHOW_H
#define PRECIS_CMD_STATUS_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "cmd/ask.h"

// What is left to the caller: is there more to come?
struct status_facts {
    bool ended;
    int64_t failed; // or cancelled
};

// One batch. False: it was said why. A batch that is not there any more has ended.
bool status_add_batch(struct invocation *invocation, const struct batch_name *name, FILE *file,
                      struct buf *out, struct status_facts *out_facts);
// The same in one line: "12:00:01 UTC  34 of 80 done, 2 failed, …".
bool status_add_line(struct invocation *invocation, const struct batch_name *name, struct buf *out,
                     struct status_facts *out_facts);
// One batch as JSON, on stdout; an exit code.
int status_print_json(struct invocation *invocation, const struct batch_name *name);

#endif
