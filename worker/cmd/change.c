// SPDX-License-Identifier: Apache-2.0
// Transactions of commands.
#include "cmd/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/ask.h"

#define TRIES 5

static bool is_conflict(const struct pg_error *error)
{
    return strcmp(error->sqlstate, "40P01") == 0 || strcmp(error->sqlstate, "40001") == 0;
}

void change_say(const struct pg_error *error)
{
    fprintf(stderr, "error: PostgreSQL: %s\n", error->text);
    if (strcmp(error->sqlstate, "3F000") == 0 || strcmp(error->sqlstate, "42P01") == 0)
        fprintf(stderr,
                "The database has no precis schema, or an old one: run `precis migrate`.\n");
    else if (strcmp(error->sqlstate, "42501") == 0)
        fprintf(stderr, "This user may not change precis' tables: grant it precis_worker.\n");
}

int change_apply(struct invocation *invocation, change_fn *fn, void *context)
{
    struct pg_session *session = invocation_database(invocation);
    if (!session)
        return EXIT_FAILED;
    struct pg_error error, ignored;
    for (int i = 0; i < TRIES; i++) {
        if (pg_script(session, "begin", &error) && fn(session, context, &error) &&
            pg_script(session, "commit", &error))
            return EXIT_DONE;
        pg_script(session, "rollback", &ignored);
        if (!is_conflict(&error))
            break;
    }
    change_say(&error);
    return EXIT_FAILED;
}

bool change_numbers(struct pg_session *session, const struct change_ask *ask, int64_t *out_numbers,
                    size_t count, struct pg_error *out_error)
{
    struct pg_rows *rows;
    if (!pg_query(session, ask->sql, ask->params, ask->param_count, &rows, out_error))
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *text = pg_rows_count(rows) > 0 ? pg_rows_get(rows, 0, i) : NULL;
        out_numbers[i] = text ? strtoll(text, NULL, 10) : 0;
    }
    pg_rows_free(rows);
    return true;
}
