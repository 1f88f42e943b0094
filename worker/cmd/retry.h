// SPDX-License-Identifier: Apache-2.0
// Reopening jobs that have ended: what `precis retry` and `precis dlq replay` share.
#ifndef PRECIS_CMD_RETRY_H
#define PRECIS_CMD_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "io/pg_query.h"

// The statement's parameters: PICK_PARAMS, then those of RETRY_*.
enum {
    RETRY_FAILED_ONLY = 4, // "true": not the cancelled ones
    RETRY_DONE,            // "true": the done ones too
    RETRY_CODE,            // only with this error code; NULL: any
    RETRY_PARAMS
};

struct retry_counts {
    int64_t failed, cancelled, done; // reopened, by what they had ended as
};

// Within the caller's transaction.
bool retry_reopen(struct pg_session *session, const char *const params[RETRY_PARAMS],
                  struct retry_counts *out_counts, struct pg_error *out_error);

#endif
