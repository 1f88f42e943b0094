// SPDX-License-Identifier: Apache-2.0
// The database schema. The files of migrations/ are in the program; each is applied once, in its
// own transaction, in order, forward only. Ten processes may start `migrate` at once: an advisory
// lock lets them through one by one, and the rest find the work done.
//
// The first line of a file, `-- oldest-program: X.Y.Z`, states the oldest program that works on
// the schema from then on. A worker checks on connecting (migrate_judge) and never migrates.
//
// All functions here are synchronous and for commands.
#ifndef PRECIS_IO_MIGRATE_H
#define PRECIS_IO_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/pg_query.h"

struct migration {
    int version; // from 1, without gaps
    const char *name;
    const char *oldest_program;
    const unsigned char *sql; // NUL-terminated
    size_t sql_len;
};

extern const struct migration migrate_list[]; // made from migrations/ at build time
extern const size_t migrate_count;

enum migrate_state {
    MIGRATE_PENDING,
    MIGRATE_APPLIED,
    MIGRATE_CHANGED, // applied, but the file was another one then
    MIGRATE_UNKNOWN, // applied by a newer program
};

struct migrate_row {
    int version;
    char name[80];
    enum migrate_state state;
    char applied_at[40]; // "" where pending
};

// Applies what is pending, and grants to those of the three roles that exist. `tell` gets a line
// for each migration applied. False: `out_error`.
bool migrate_up(const char *conninfo, void (*tell)(void *context, const char *line), void *context,
                struct pg_error *out_error);
// The rows are the caller's to free().
bool migrate_status(const char *conninfo, struct migrate_row **out_rows, size_t *out_count,
                    struct pg_error *out_error);
// Creates precis_migrator, precis_worker and precis_reader (without login) where they are missing,
// and grants to them. All that is there becomes precis_migrator's; who calls becomes a member of
// it. From then on migrate_up acts as precis_migrator, whoever of its members calls.
bool migrate_roles(const char *conninfo, struct pg_error *out_error);

// The query that a worker runs on connecting: one row of two columns for migrate_judge.
extern const char *const migrate_judge_sql;
enum migrate_verdict { MIGRATE_FITS, MIGRATE_TOO_OLD, MIGRATE_TOO_NEW };
// `version`: the newest applied; NULL where there is none. `oldest_program`: the newest one that
// is asked for, "0.0.0" form.
enum migrate_verdict migrate_judge(const char *version, const char *oldest_program);

#endif
