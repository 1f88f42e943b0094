// SPDX-License-Identifier: Apache-2.0
// A plain, synchronous way to ask PostgreSQL, for commands (`status`, `costs`, `migrate`, …). The
// worker never uses it: there the store speaks on the loop.
// An error carries SQLSTATE, constraint and table, and never PostgreSQL's own text of a statement's
// failure, which may quote a row; only a connection that cannot be made is told in its words.
#ifndef PRECIS_IO_PG_QUERY_H
#define PRECIS_IO_PG_QUERY_H

#include <stdbool.h>
#include <stddef.h>

struct pg_session;
struct pg_rows;

struct pg_error {
    char sqlstate[6]; // "" where there is none (no connection)
    bool connection;  // the connection could not be made, or was lost
    char text[500];   // one sentence, fit for users and logs
};

// NULL: `out_error` says why. `name` goes into application_name.
struct pg_session *pg_session_open(const char *conninfo, const char *name,
                                   struct pg_error *out_error);
void pg_session_close(struct pg_session *session);

// One statement with text parameters (NULL: SQL NULL). False: `out_error`. `out_rows` may be NULL;
// else the caller frees them.
bool pg_query(struct pg_session *session, const char *sql, const char *const *params,
              size_t param_count, struct pg_rows **out_rows, struct pg_error *out_error);
// Several statements in one text, without parameters; they are one transaction.
bool pg_script(struct pg_session *session, const char *sql, struct pg_error *out_error);

size_t pg_rows_count(const struct pg_rows *rows);
size_t pg_rows_columns(const struct pg_rows *rows);
const char *pg_rows_name(const struct pg_rows *rows, size_t column);
// NULL: SQL NULL.
const char *pg_rows_get(const struct pg_rows *rows, size_t row, size_t column);
// Rows inserted, updated or deleted.
long pg_rows_affected(const struct pg_rows *rows);
void pg_rows_free(struct pg_rows *rows);

#endif
