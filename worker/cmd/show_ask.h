// SPDX-License-Identifier: Apache-2.0
// What `precis show` asks about one job: statements with the parameters tenant, batch, id,
// revision.
#ifndef PRECIS_CMD_SHOW_ASK_H
#define PRECIS_CMD_SHOW_ASK_H

#include "cmd/show_find.h"

extern const char show_job_sql[], show_request_sql[], show_calls_sql[], show_summary_sql[],
    show_citations_sql[], show_letters_sql[], show_earlier_sql[];
// Of the tables, not of the views: for those who may read them.
extern const char show_plans_sql[], show_errors_sql[];

struct ask show_ask(const char *sql, const struct job_name *name);
// Its rows; NULL where there are none, or nobody may know.
struct pg_rows *show_rows(struct invocation *invocation, const char *sql,
                          const struct job_name *name);

#endif
