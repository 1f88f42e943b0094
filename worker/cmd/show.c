// SPDX-License-Identifier: Apache-2.0
// precis show: one job's whole story, as text or JSON.
#include <stdio.h>
#include <string.h>

#include "cmd/screen.h"
#include "cmd/show_story.h"

#define ALL_OF() "(select coalesce(json_agg(row_to_json(r)), '[]') from (%s) r)"
#define ONE_OF() "(select row_to_json(r) from (%s) r)"

// clang-format off
static const char json_sql[] =
    "select row_to_json(s) from (select " ONE_OF() " as job, " ONE_OF() " as request, "
    ALL_OF() " as calls, " ONE_OF() " as summary, " ALL_OF() " as citations, "
    ALL_OF() " as earlier, " ALL_OF() " as dead_letters) s";
// clang-format on

static int show_json(struct invocation *invocation, const struct job_name *name)
{
    const char *rest = json_sql;
    static const char *const parts[] = {show_job_sql,     show_request_sql,   show_calls_sql,
                                        show_summary_sql, show_citations_sql, show_earlier_sql,
                                        show_letters_sql};
    struct buf sql OWN_BUF, text OWN_BUF;
    buf_init(&sql, 0);
    buf_init(&text, 0);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const char *place = strstr(rest, "%s");
        buf_add(&sql, rest, (size_t)(place - rest));
        buf_add_str(&sql, parts[i]);
        rest = place + 2;
    }
    buf_add_str(&sql, rest);
    struct ask ask = show_ask(buf_str(&sql), name);
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    screen_add_json(&text, pg_rows_get(rows, 0, 0));
    printf("%s\n", buf_str(&text));
    pg_rows_free(rows);
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    if (invocation_argument_count(invocation) != 1)
        return invocation_misuse(invocation, "`show` takes one job");
    const char *revision = invocation_value(invocation, "revision");
    if (revision &&
        (!*revision || strspn(revision, "0123456789") != strlen(revision) || strlen(revision) > 16))
        return invocation_misuse(invocation, "--revision is a number");
    int code = ask_open(invocation);
    struct job_name name = {0};
    if (code == EXIT_DONE)
        code = show_find(invocation, invocation_argument(invocation, 0), &name);
    if (code == EXIT_DONE)
        code = invocation_json(invocation) ? show_json(invocation, &name)
                                           : show_story(invocation, &name);
    job_name_deinit(&name);
    return code;
}

static const struct option_row options[] = {
    {"tenant", "NAME", "whose job it is"},
    {"batch", "NAME", "the batch that it is in"},
    {"revision", "N", "of this revision; else of the newest"},
    {0},
};

const struct command command_show = {
    .name = "show",
    .arguments = "JOB",
    .summary = "Show one job's whole story: document, calls, costs, errors, summary, dead letter",
    .details =
        "JOB is an id, batch/id or tenant/batch/id. Where several jobs have the id, they are\n"
        "listed and the exit code is 2.",
    .options = options,
    .prints_data = true,
    .run = run,
};
