// SPDX-License-Identifier: Apache-2.0
// What `status` shows of one batch, and in words what jobs wait for.
#ifndef PRECIS_CMD_STATUS_SHOW_H
#define PRECIS_CMD_STATUS_SHOW_H

#include <stdbool.h>

#include "cmd/ask.h"

// As text, or as JSON where asked for; an exit code.
int status_show_batch(struct invocation *invocation, const struct batch_name *name);
// "2 workers are live.", or what to start where none is and `needed`; an exit code.
int status_show_workers(struct invocation *invocation, bool needed);
// What stands behind "waits": "for the next try after a failure".
const char *status_reason(const char *waiting_for);

#endif
