// SPDX-License-Identifier: Apache-2.0
// Makes one connection to PostgreSQL without ever blocking the loop: libpq resolves names and waits
// for slow servers synchronously, so names are resolved by uv_getaddrinfo here (every address of
// every host of the list is tried in turn; `host` is kept beside `hostaddr` for certificates), and
// the time limit is a timer of our own.
#ifndef PRECIS_IO_PG_CONNECT_H
#define PRECIS_IO_PG_CONNECT_H

#include <libpq-fe.h>
#include <uv.h>

#include "io/pg_query.h"

struct pg_connect;

// `done` is called once, never from inside pg_connect_start: with a non-blocking connection, which
// the callee takes, or with NULL and the error. The object frees itself afterwards.
struct pg_connect *
pg_connect_start(uv_loop_t *loop, const char *conninfo, const char *name, int timeout_ms,
                 void (*done)(void *context, PGconn *connection, const struct pg_error *error),
                 void *context);
// Gives it up; `done` is not called.
void pg_connect_cancel(struct pg_connect *connect);

#endif
