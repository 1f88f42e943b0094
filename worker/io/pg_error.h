// SPDX-License-Identifier: Apache-2.0
// What may be said of a PostgreSQL error. Its message and detail quote rows ("Failing row contains
// (…)"), and rows are people's contracts: SQLSTATE, constraint and table are all that leaves here.
#ifndef PRECIS_IO_PG_ERROR_H
#define PRECIS_IO_PG_ERROR_H

#include <libpq-fe.h>

#include "io/pg_params.h"
#include "io/pg_query.h"

// What to do with a unit of work that failed.
enum pg_class {
    PG_CLASS_DATA,      // a row of it cannot be stored as it is (classes 22, 23, 54; 21000)
    PG_CLASS_AGAIN,     // run it once more (deadlock, serialization, lock or statement timeout)
    PG_CLASS_RECONNECT, // the connection, the server or the schema is at fault
};

enum pg_class pg_error_class(const char *sqlstate);
void pg_error_of_result(struct pg_error *out, PGconn *connection, const PGresult *result);
// Of a connection that could not be made: the server's or the system's own words, which hold no
// data; one line.
void pg_error_of_connection(struct pg_error *out, PGconn *connection,
                            const struct pg_params *params);
void pg_error_of_conninfo(struct pg_error *out);
// A notice processor that says nothing; libpq's own prints to stderr.
void pg_error_ignore_notice(void *context, const char *message);

#endif
