// SPDX-License-Identifier: Apache-2.0
// Cancelling a whole batch from another command.
#ifndef PRECIS_CMD_CANCEL_H
#define PRECIS_CMD_CANCEL_H

#include <stdint.h>

#include "cmd/command.h"

// What has not begun ends as cancelled, and so does what is still to come; calls under way are
// finished and kept. *out_jobs: those of which it is so now. May be said again while more come.
// An exit code, after it was said what is wrong.
int cancel_batch(struct invocation *invocation, const char *tenant, const char *batch,
                 int64_t *out_jobs);

#endif
