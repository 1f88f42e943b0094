// SPDX-License-Identifier: Apache-2.0
// The parts of `precis reconcile`:
//
//   reconcile        the command: options, the comparison in PostgreSQL, the report
//   reconcile_read   a provider's usage export into a temporary table, line by line
//   reconcile_settle --settle: what calls in doubt cost, into the ledger
#ifndef PRECIS_CMD_RECONCILE_PARTS_H
#define PRECIS_CMD_RECONCILE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/ask.h"

// Fills the session's temporary table precis_usage. False: it was said why. *out_lines are those
// that name a call.
bool reconcile_read(struct invocation *invocation, const char *path, size_t *out_lines);

// What was settled.
struct reconcile_settled {
    int64_t told, told_picousd;     // calls in doubt that the file has, and what it says
    int64_t unpaid, unpaid_picousd; // those that it does not have, and what was held for them
};
// An exit code; it was said why. `complete`: what the file does not have was not paid.
int reconcile_settle(struct invocation *invocation, bool complete, struct reconcile_settled *out);

#endif
