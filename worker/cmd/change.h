// SPDX-License-Identifier: Apache-2.0
// One transaction of a command that changes something. Workers change the same rows all the time:
// where PostgreSQL ends the transaction for a deadlock, it runs again from its beginning.
#ifndef PRECIS_CMD_CHANGE_H
#define PRECIS_CMD_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/command.h"
#include "io/pg_query.h"

// Runs its statements; false with the error of the one that failed. May be called again: it sets
// what it counts, and adds to nothing.
typedef bool change_fn(struct pg_session *session, void *context, struct pg_error *out_error);

// EXIT_DONE when it was committed; else it was said why, and nothing has changed.
int change_apply(struct invocation *invocation, change_fn *fn, void *context);

// The error in words on stderr, with what to do about it.
void change_say(const struct pg_error *error);

// A statement of one row of numbers into `out_numbers` (NULL is 0). No row: all are 0.
struct change_ask {
    const char *sql;
    const char *const *params;
    size_t param_count;
};
bool change_numbers(struct pg_session *session, const struct change_ask *ask, int64_t *out_numbers,
                    size_t count, struct pg_error *out_error);

#endif
