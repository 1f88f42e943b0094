// SPDX-License-Identifier: Apache-2.0
// The job that a user means by a name.
#ifndef PRECIS_CMD_SHOW_FIND_H
#define PRECIS_CMD_SHOW_FIND_H

#include <stddef.h>

#include "cmd/ask.h"

struct job_name {
    char *tenant, *batch, *id;
    char *revision; // digits
};

// By "id", "batch/id" or "tenant/batch/id", and --tenant, --batch and --revision where given; the
// newest revision of it. Else says what is near or which it could be, and returns an exit code. 0:
// found; free it with job_name_deinit.
int show_find(struct invocation *invocation, const char *given, struct job_name *out);
void job_name_deinit(struct job_name *name);

#endif
