// SPDX-License-Identifier: Apache-2.0
// Which jobs a command means: names (JOB…), or one of --batch, --tenant, --model, --all.
//
// A name is `id`, `batch/id` or `tenant/batch/id`; --batch and --tenant narrow it down. A name that
// fits several jobs is answered with them. Names mean the newest revision of a job.
#ifndef PRECIS_CMD_PICK_H
#define PRECIS_CMD_PICK_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/command.h"

// The options, for the tables of commands.
#define PICK_OPTIONS                                                                               \
    {"batch", "NAME", "all jobs of a batch; with JOB: the batch that it is in"},                   \
        {"tenant", "NAME", "all jobs of a tenant; with JOB or --batch: whose they are"},           \
        {"model", "NAME", "all jobs that name this model or route"},                               \
    {                                                                                              \
        "all", NULL, "all jobs"                                                                    \
    }

// The first four parameters of a statement about picked jobs, and their condition on jobs `j`.
#define PICK_PARAMS 4
#define PICK_WHERE                                                                                 \
    " ($1::bigint[] is null or j.job_no = any($1::bigint[]))"                                      \
    " and ($2::text is null or j.tenant = $2) and ($3::text is null or j.batch = $3)"              \
    " and ($4::text is null or j.model = $4)"
// Only the newest revision of each. Newer ones are above 0: there is a small index of those. Looked
// up for each job (`limit`), not joined: how many there are PostgreSQL may not know.
#define PICK_NEWEST                                                                                \
    " and (select true from precis_data.jobs newer where newer.tenant = j.tenant"                  \
    "  and newer.batch = j.batch and newer.id = j.id and newer.revision > j.revision"              \
    "  and newer.revision > 0 limit 1) is null"

// A job that no worker has read yet, by its full name.
struct pick_unread {
    char *tenant, *batch, *id;
};

struct pick {
    const char *params[PICK_PARAMS];
    bool by_name; // JOB…
    bool all;
    size_t named; // jobs that were found by name
    struct pick_unread *unread;
    size_t unread_count;
    char *numbers, *tenant, *batch; // what params point at
};

// 0, or an exit code after it was said what is wrong. With `may_be_unread`, a name that is not
// known but complete goes to `unread`; else it is an error. The caller calls pick_deinit in any
// case.
int pick_read(struct invocation *invocation, bool may_be_unread, struct pick *out);
void pick_deinit(struct pick *pick);

#endif
