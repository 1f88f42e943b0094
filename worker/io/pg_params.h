// SPDX-License-Identifier: Apache-2.0
// How precis connects to PostgreSQL, the same for the worker's connection and for commands: the
// user's conninfo (URL or key=value), what precis adds where the user said nothing, and what it
// insists on.
// - PG* variables of the environment and service files do not count: pg_params_forget_environment.
// - Off loopback, TLS is verified (sslmode=verify-full against the system's certificates) unless
//   the conninfo names an sslmode. GSS encryption is off. Only a server that takes writes will do.
// - Keepalives and tcp_user_timeout end a dead connection within 30 s.
#ifndef PRECIS_IO_PG_PARAMS_H
#define PRECIS_IO_PG_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#define PG_PARAMS_MAX 64

struct pg_params {
    const char *keys[PG_PARAMS_MAX + 1]; // NULL-terminated, for PQconnectStartParams
    const char *values[PG_PARAMS_MAX + 1];
    size_t len;
    char *owned[PG_PARAMS_MAX]; // values that were made here
    size_t owned_len;
    void *parsed; // PQconninfoOption *
};

// False: the conninfo cannot be read (it is not quoted in any message: it may hold a password).
// `name` is what the server shows as application_name, after "precis:".
bool pg_params_init(struct pg_params *params, const char *conninfo, const char *name);
void pg_params_deinit(struct pg_params *params);
// NULL where it is not set.
const char *pg_params_get(const struct pg_params *params, const char *key);
// Replaces or adds; the value is copied.
void pg_params_set(struct pg_params *params, const char *key, const char *value);
// "host:port/database" for messages; no user, no password. Into `out`.
void pg_params_where(const struct pg_params *params, char *out, size_t out_bytes);
// Removes libpq's variables from the process's environment. Call it once, before any connection.
void pg_params_forget_environment(void);

// One statement that sets a session up: limits, UTC, an empty search path, durable commits, and
// plans that do not depend on what PostgreSQL believes of a table. Every statement of the worker
// takes a few hundred rows from its parameters and looks others up by their keys, so joins are made
// in the order in which they are written, by index, row for row. Left to itself the planner, which
// knows nothing of tables that were empty a moment ago, reads all claims and outcomes of this
// worker for each group, and goes on doing so until somebody analyzes them.
extern const char *const pg_params_session_sql;

#endif
