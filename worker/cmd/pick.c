// SPDX-License-Identifier: Apache-2.0
// Finding the jobs that a command line names.
#include "cmd/pick.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/screen.h"
#include "core/identity.h"

#define MOST_CANDIDATES 10

void pick_deinit(struct pick *pick)
{
    for (size_t i = 0; i < pick->unread_count; i++) {
        free(pick->unread[i].tenant);
        free(pick->unread[i].batch);
        free(pick->unread[i].id);
    }
    free(pick->unread);
    free(pick->numbers);
    free(pick->tenant);
    free(pick->batch);
    *pick = (struct pick){0};
}

// ------------------------------------------------------------------------------- names

// A name in its parts; tenant and batch are NULL where nothing says them.
struct job_name {
    char *tenant, *batch, *id;
};

static void name_deinit(struct job_name *name)
{
    free(name->tenant);
    free(name->batch);
    free(name->id);
}

// The part before the last slash of *text, which is cut off; NULL: no slash.
static char *cut_tail(char *text)
{
    char *slash = strrchr(text, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return own_strdup(slash + 1);
}

// "tenant/batch/id" from its end; what is left out comes from the options.
static void name_split(struct invocation *invocation, const char *given, struct job_name *out)
{
    char *rest = own_strdup(given);
    char *id = cut_tail(rest);
    out->id = id ? id : own_strdup(rest);
    const char *option = invocation_value(invocation, "batch");
    char *place = id ? own_strdup(rest) : own_strdup(option);
    free(rest);
    char *batch = place ? cut_tail(place) : NULL;
    out->batch = batch ? batch : own_strdup(place);
    out->tenant = batch ? own_strdup(place) : own_strdup(invocation_value(invocation, "tenant"));
    free(place);
}

static bool part_ok(const char *part)
{
    return !part || identity_name_ok(part, strlen(part));
}

static void print_candidates(const struct pg_rows *rows, const char *id)
{
    fprintf(stderr, "error: several jobs are called \"%s\"; say which:\n", id);
    for (size_t i = 0; i < pg_rows_count(rows) && i < MOST_CANDIDATES; i++)
        fprintf(stderr, "  %s/%s/%s\n", pg_rows_get(rows, i, 1), pg_rows_get(rows, i, 2), id);
    if (pg_rows_count(rows) > MOST_CANDIDATES)
        fprintf(stderr, "  … and more\n");
}

// ------------------------------------------------------------------------------- not known

static int say_unknown(const struct job_name *name, bool may_be_unread)
{
    fprintf(stderr, "error: there is no job \"%s\"%s%s.\n", name->id,
            name->batch ? " in batch " : "", name->batch ? name->batch : "");
    if (may_be_unread)
        fprintf(stderr, "Where it was sent and no worker has read it yet, name it in full "
                        "(tenant/batch/id, or --batch): it is recorded then.\n");
    else
        fprintf(stderr, "`precis jobs` lists those that are known; a message that never became a "
                        "job is in `precis dlq list`.\n");
    return EXIT_FAILED;
}

// The tenant of a batch where only one has it; `default` where none has.
static int find_tenant(struct invocation *invocation, struct job_name *name)
{
    struct pg_rows *rows = ask_rows(
        invocation,
        &(struct ask){.sql = "select tenant from precis_data.batches where name = $1 order by 1",
                      .params = {name->batch},
                      .param_count = 1});
    if (!rows)
        return EXIT_FAILED;
    int code = EXIT_DONE;
    if (pg_rows_count(rows) > 1) {
        fprintf(stderr, "error: several tenants have a batch \"%s\"; say which with --tenant:\n",
                name->batch);
        for (size_t i = 0; i < pg_rows_count(rows) && i < MOST_CANDIDATES; i++)
            fprintf(stderr, "  %s\n", pg_rows_get(rows, i, 0));
        code = EXIT_USAGE;
    } else {
        name->tenant = own_strdup(pg_rows_count(rows) ? pg_rows_get(rows, 0, 0) : "default");
    }
    pg_rows_free(rows);
    return code;
}

// Takes the name's parts.
static void add_unread(struct pick *pick, struct job_name *name)
{
    pick->unread = own_grow(pick->unread, pick->unread_count + 1, sizeof(*pick->unread));
    pick->unread[pick->unread_count++] = (struct pick_unread){name->tenant, name->batch, name->id};
    *name = (struct job_name){0};
}

static int take_unknown(struct invocation *invocation, bool may_be_unread, struct job_name *name,
                        struct pick *out)
{
    if (!may_be_unread || !name->batch)
        return say_unknown(name, may_be_unread);
    int code = name->tenant ? EXIT_DONE : find_tenant(invocation, name);
    if (code == EXIT_DONE)
        add_unread(out, name);
    return code;
}

// ------------------------------------------------------------------------------- known

static struct pg_rows *look_up(struct invocation *invocation, const struct job_name *name)
{
    return ask_rows(invocation,
                    &(struct ask){.sql = "select j.job_no, j.tenant, j.batch"
                                         " from precis_data.jobs j where j.id = $1"
                                         "  and ($2::text is null or j.tenant = $2)"
                                         "  and ($3::text is null or j.batch = $3)" PICK_NEWEST
                                         " order by 2, 3 limit 11",
                                  .params = {name->id, name->tenant, name->batch},
                                  .param_count = 3});
}

static int pick_name(struct invocation *invocation, bool may_be_unread, struct job_name *name,
                     struct pick *out, struct buf *numbers)
{
    struct pg_rows *rows = look_up(invocation, name);
    if (!rows)
        return EXIT_FAILED;
    int code = EXIT_DONE;
    if (pg_rows_count(rows) == 0) {
        code = take_unknown(invocation, may_be_unread, name, out);
    } else if (pg_rows_count(rows) > 1) {
        print_candidates(rows, name->id);
        code = EXIT_USAGE;
    } else {
        buf_printf(numbers, "%s%s", out->named++ ? "," : "", pg_rows_get(rows, 0, 0));
    }
    pg_rows_free(rows);
    return code;
}

static int pick_argument(struct invocation *invocation, const char *given, bool may_be_unread,
                         struct pick *out, struct buf *numbers)
{
    struct job_name name = {0};
    name_split(invocation, given, &name);
    int code;
    if (part_ok(name.tenant) && part_ok(name.batch) && part_ok(name.id)) {
        code = pick_name(invocation, may_be_unread, &name, out, numbers);
    } else {
        struct buf shown OWN_BUF;
        buf_init(&shown, 300);
        screen_add_line(&shown, given);
        code = invocation_misuse(invocation,
                                 "\"%s\" is no name of a job: id, batch/id or tenant/batch/id, "
                                 "each of A-Z a-z 0-9 . _ : @ -",
                                 buf_str(&shown));
    }
    name_deinit(&name);
    return code;
}

static int pick_names(struct invocation *invocation, bool may_be_unread, struct pick *out)
{
    struct buf numbers OWN_BUF;
    buf_init(&numbers, 0);
    buf_add_char(&numbers, '{');
    out->by_name = true;
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < invocation_argument_count(invocation); i++)
        code = pick_argument(invocation, invocation_argument(invocation, i), may_be_unread, out,
                             &numbers);
    buf_add_char(&numbers, '}');
    out->numbers = buf_take(&numbers);
    out->params[0] = out->numbers;
    return code;
}

// ------------------------------------------------------------------------------- scopes

static int pick_batch(struct invocation *invocation, const char *given, struct pick *out)
{
    struct batch_name name = {0};
    int code = ask_batch(invocation, given, &name);
    if (code != EXIT_DONE)
        return code;
    out->tenant = name.tenant;
    out->batch = name.batch;
    return EXIT_DONE;
}

static int pick_tenant(struct invocation *invocation, const char *given, struct pick *out)
{
    struct pg_rows *rows =
        ask_rows(invocation,
                 &(struct ask){.sql = "select from precis_data.batches where tenant = $1 limit 1",
                               .params = {given},
                               .param_count = 1});
    if (!rows)
        return EXIT_FAILED;
    bool known = pg_rows_count(rows) > 0;
    pg_rows_free(rows);
    if (!known) {
        struct buf shown OWN_BUF;
        buf_init(&shown, 300);
        screen_add_line(&shown, given);
        fprintf(stderr, "error: there is no tenant \"%s\".\n", buf_str(&shown));
        return EXIT_FAILED;
    }
    out->tenant = own_strdup(given);
    return EXIT_DONE;
}

static int pick_scope(struct invocation *invocation, struct pick *out)
{
    const char *batch = invocation_value(invocation, "batch");
    const char *tenant = invocation_value(invocation, "tenant");
    int code = batch    ? pick_batch(invocation, batch, out)
               : tenant ? pick_tenant(invocation, tenant, out)
                        : EXIT_DONE;
    out->all = invocation_flag(invocation, "all");
    out->params[1] = out->tenant;
    out->params[2] = out->batch;
    out->params[3] = invocation_value(invocation, "model");
    return code;
}

int pick_read(struct invocation *invocation, bool may_be_unread, struct pick *out)
{
    *out = (struct pick){0};
    bool names = invocation_argument_count(invocation) > 0;
    bool all = invocation_flag(invocation, "all"), model = invocation_flag(invocation, "model");
    bool place =
        invocation_flag(invocation, "batch") || invocation_flag(invocation, "tenant") || model;
    if (!names && !all && !place)
        return invocation_misuse(invocation,
                                 "name jobs, or one of --batch, --tenant, --model and --all");
    if (all && (names || place))
        return invocation_misuse(invocation, "--all goes alone");
    if (names && model)
        return invocation_misuse(invocation, "--model does not go with names of jobs");
    int code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    return names ? pick_names(invocation, may_be_unread, out) : pick_scope(invocation, out);
}
