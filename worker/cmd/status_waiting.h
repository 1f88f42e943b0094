// SPDX-License-Identifier: Apache-2.0
// Why jobs wait, in words: which limit of which key, how long still, and whether anything is wrong.
// The reason itself comes from one field, `waiting_for`, that workers write; what stands around it
// (the limit's size, when the key opens) from the views quota, quota_limits and budgets.
#ifndef PRECIS_CMD_STATUS_WAITING_H
#define PRECIS_CMD_STATUS_WAITING_H

#include "cmd/ask.h"

// How keys, limits and budgets stand. All NULL: not known, and the words do without.
struct status_lanes {
    struct pg_rows *limits, *keys, *budgets;
};

// Never fails: what cannot be read is left out. `batch` NULL: of all.
void status_lanes_load(struct status_lanes *lanes, struct invocation *invocation,
                       const struct batch_name *batch);
void status_lanes_free(struct status_lanes *lanes);

// What stands behind "waits": "for the next try after a failure".
const char *status_reason(const char *waiting_for);
// The same with all that is known: "for the limit of 10 requests a minute of xai/main with
// grok-4.3; the next may start in 4 s; nothing is wrong". `in_ms` NULL or below 0: not known.
void status_add_reason(struct buf *out, const char *waiting_for, const char *in_ms,
                       const struct status_lanes *lanes);
// Why a key is closed: "it asked to slow down (429)".
const char *status_key_cause(const char *cause);

#endif
