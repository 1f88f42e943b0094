// SPDX-License-Identifier: Apache-2.0
// Questions of commands to PostgreSQL: asked, and where they fail said on stderr. Names that users
// type (a batch, a job) are looked up here too, so that every command answers a wrong one alike.
// Only the views of schema `precis` are read, so that a reader's role is enough.
#ifndef PRECIS_CMD_ASK_H
#define PRECIS_CMD_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "cmd/command.h"
#include "io/pg_query.h"

// A statement with its parameters.
struct ask {
    const char *sql;
    const char *params[6];
    size_t param_count;
};

// Every command that asks begins with it: connects, and looks whether the schema is there. 0, or
// the exit code to return: it was said why.
int ask_open(struct invocation *invocation);
// NULL: it was said why, return EXIT_FAILED. The caller frees the rows.
struct pg_rows *ask_rows(struct invocation *invocation, const struct ask *ask);
// The same, but a failure is silent: for what only some users may read.
struct pg_rows *ask_try(struct invocation *invocation, const struct ask *ask);
// The value of a row by column name; NULL for SQL NULL, no row or no such column.
const char *ask_value(const struct pg_rows *rows, size_t row, const char *column);
int64_t ask_number(const struct pg_rows *rows, size_t row, const char *column);

// Runs it through a cursor and calls `each` with groups of rows until there are no more or `each`
// answers false. False where something failed, which was said.
bool ask_each(struct invocation *invocation, const struct ask *ask,
              bool (*each)(void *context, const struct pg_rows *rows), void *context);
// Prints the rows as a JSON array of objects, one a line, members in the order of the columns.
int ask_print_json(struct invocation *invocation, const struct ask *ask, FILE *file);

struct batch_name {
    char *tenant, *batch;
};
// A batch by "batch" or "tenant/batch" (and --tenant, where the command has it). Else: says what
// is near, and returns an exit code. 0: found; free it with batch_name_deinit.
int ask_batch(struct invocation *invocation, const char *given, struct batch_name *out);
void batch_name_deinit(struct batch_name *name);
// How a user names the batch in a command: without the tenant where that is `default`.
void ask_add_batch(struct buf *out, const char *tenant, const char *batch);

#endif
