// SPDX-License-Identifier: Apache-2.0
// One connection to PostgreSQL in pipeline mode on the loop, for ever: it connects, prepares its
// statements, sends units of work, and connects again when it breaks.
//
// A unit is a few prepared statements and one Sync: one transaction. Only the Sync's own answer
// counts as success; a statement's "OK" before it does not. Units run in the order in which they
// were pushed. A unit whose Sync was not answered when the connection broke is unknown, not failed:
// it is sent again, in the old order, on the next connection, so every unit has to be idempotent.
//
// A unit that fails
// - on its data (pg_error_class) is given back by `failed`;
// - on a lock, a deadlock or a timeout runs again after 50 ms, behind those already sent;
// - on anything else ends the connection, and runs again on the next one. Where PostgreSQL
//   answers with an internal error three times, that counts as its data.
// At most PG_LINK_UNITS units and PG_LINK_BYTES of them are under way; the rest wait here.
#ifndef PRECIS_IO_PG_LINK_H
#define PRECIS_IO_PG_LINK_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/log.h"
#include "io/pg_query.h"

#define PG_LINK_UNITS 8
#define PG_LINK_BYTES ((size_t)16 << 20)
#define PG_UNIT_STEPS 16 // most statements of one unit

struct pg_link;
struct pg_unit;

struct pg_unit_ops {
    // Calls pg_link_run, 1 to PG_UNIT_STEPS times; again for each time that the unit is sent.
    void (*send)(struct pg_unit *unit, struct pg_link *link);
    // Committed. The results are the link's. The unit is its owner's again.
    void (*done)(struct pg_unit *unit, PGresult *const *results, size_t count);
    // Rolled back, on its data. The unit is its owner's again.
    void (*failed)(struct pg_unit *unit, const struct pg_error *error);
};

// Embedded in the owner's struct. `bytes`: about how much it sends.
struct pg_unit {
    struct list_node node;
    const struct pg_unit_ops *ops;
    size_t bytes;
    int64_t sent_at_ms; // the link's
    int faults;         // the link's
};

struct pg_statement {
    const char *name, *sql;
    bool binary; // its columns come in binary form
};

struct pg_link_options {
    uv_loop_t *loop;
    const char *conninfo, *name; // copied
    const struct pg_statement *statements;
    size_t statement_count;
    // Sent first on each connection; nothing else is sent before its `done`.
    struct pg_unit *hello;
    void (*up)(void *context);   // after each hello
    void (*down)(void *context); // an established connection was lost
    // The schema does not fit this program, which has to end (exit 2). `text`: one sentence with
    // the command to run. Nothing is sent any more.
    void (*refused)(void *context, const char *text);
    // NULL, or a channel to LISTEN on; `notice` gets what others send. What is sent while the
    // connection is away is lost.
    const char *channel;
    void (*notice)(void *context, const char *payload);
    void *context;
    struct log *log;
};

struct pg_link *pg_link_new(const struct pg_link_options *options);
// Closes at once; units that were not answered are forgotten (their memory is their owner's).
void pg_link_free(struct pg_link *link);
void pg_link_push(struct pg_link *link, struct pg_unit *unit);
// Before all that are not sent yet.
void pg_link_push_first(struct pg_link *link, struct pg_unit *unit);
// Only from `send`. Text parameters, copied; NULL is SQL NULL.
void pg_link_run(struct pg_link *link, size_t statement, const char *const *values, size_t count);
// Only from `send`: makes this unit's commit asynchronous.
void pg_link_run_lazily(struct pg_link *link);
// Drops the connection and makes a new one, hello first. Not from `send`.
void pg_link_restart(struct pg_link *link);
bool pg_link_is_up(const struct pg_link *link);
// Units that are waiting or under way.
size_t pg_link_load(const struct pg_link *link);

#endif
