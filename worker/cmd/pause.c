// SPDX-License-Identifier: Apache-2.0
// precis pause, precis resume: holding jobs back, and letting them go.
//
// A pause is a row (scope, name) in PostgreSQL, and so holds for jobs that are there and for those
// that come later. Triggers of the table tell the workers: no new call begins for what is covered
// from then on; calls under way end, and what they answer is kept. A job that is covered by several
// pauses goes on when the last of them has ended.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/change.h"
#include "cmd/pick.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "io/pg_array.h"

static const char list_sql[] =
    "select p.scope, p.name, p.paused_at,"
    " (extract(epoch from clock_timestamp() - p.paused_at) * 1000)::bigint as for_ms"
    " from precis.pauses p order by p.paused_at, p.scope, p.name";

// What jobs are called, by their numbers.
static const char names_sql[] = "select tenant || '/' || batch || '/' || id from precis_data.jobs"
                                " where job_no = any($1::bigint[]) order by 1";

static const char pause_sql[] =
    "with done as (insert into precis_data.pauses (scope, name) select $1, name"
    "  from unnest($2::text[]) u(name) on conflict do nothing returning 1)"
    " select count(*) from done";

static const char resume_sql[] =
    "with done as (delete from precis_data.pauses where $1 = 'all' or (scope = $1"
    "  and name = any($2::text[])) returning 1) select count(*) from done";

struct pausing {
    struct invocation *invocation;
    bool resume;
    const char *scope;
    struct pg_array names;
    int64_t changed;
};

// ------------------------------------------------------------------------------- whom

// Of the configuration: workers know no other models and keys. False: there is none of this name.
static bool is_model(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return true;
    return false;
}

static bool is_key(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t k = 0; k < config->providers[i].keys.len; k++)
            if (strcmp(config->providers[i].keys.items[k].name, name) == 0)
                return true;
    return false;
}

static int take_jobs(struct pausing *pausing)
{
    struct pick pick;
    int code = pick_read(pausing->invocation, true, &pick);
    struct ask ask = {names_sql, {pick.params[0]}, 1};
    struct pg_rows *rows =
        code == EXIT_DONE && pick.named > 0 ? ask_rows(pausing->invocation, &ask) : NULL;
    if (code == EXIT_DONE && pick.named > 0 && !rows)
        code = EXIT_FAILED;
    for (size_t i = 0; rows && i < pg_rows_count(rows); i++)
        pg_array_add_text(&pausing->names, pg_rows_get(rows, i, 0));
    for (size_t i = 0; code == EXIT_DONE && i < pick.unread_count; i++) {
        struct buf name OWN_BUF;
        buf_init(&name, 0);
        buf_printf(&name, "%s/%s/%s", pick.unread[i].tenant, pick.unread[i].batch,
                   pick.unread[i].id);
        pg_array_add_text(&pausing->names, buf_str(&name));
    }
    pausing->scope = "job";
    pg_rows_free(rows);
    pick_deinit(&pick);
    return code;
}

static int take_batch(struct pausing *pausing, const char *given)
{
    struct batch_name batch = {0};
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    int code = ask_batch(pausing->invocation, given, &batch);
    if (code == EXIT_DONE) {
        buf_printf(&name, "%s/%s", batch.tenant, batch.batch);
        pg_array_add_text(&pausing->names, buf_str(&name));
        pausing->scope = "batch";
    }
    batch_name_deinit(&batch);
    return code;
}

static int take_scope(struct pausing *pausing)
{
    struct invocation *invocation = pausing->invocation;
    const struct config *config = invocation_config(invocation);
    const char *batch = invocation_value(invocation, "batch");
    static const char *const scopes[] = {"tenant", "model", "key"};
    if (batch)
        return take_batch(pausing, batch);
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
        const char *name = invocation_value(invocation, scopes[i]);
        if (!name)
            continue;
        if ((i == 1 && !is_model(config, name)) || (i == 2 && !is_key(config, name)))
            return invocation_misuse(invocation, "the configuration has no %s \"%s\"", scopes[i],
                                     name);
        pausing->scope = scopes[i];
        pg_array_add_text(&pausing->names, name);
    }
    if (!pausing->scope) {
        pausing->scope = "all";
        pg_array_add_text(&pausing->names, "");
    }
    return EXIT_DONE;
}

// One of them; --tenant may say whose a batch or a job is.
static int check_options(struct invocation *invocation)
{
    bool batch = invocation_flag(invocation, "batch"),
         tenant = invocation_flag(invocation, "tenant");
    int others = invocation_flag(invocation, "model") + invocation_flag(invocation, "key") +
                 invocation_flag(invocation, "all");
    if (invocation_argument_count(invocation) > 0)
        return others == 0
                   ? EXIT_DONE
                   : invocation_misuse(invocation, "--model, --key and --all do not go with "
                                                   "names of jobs");
    if (others + (batch || tenant) > 1)
        return invocation_misuse(invocation, "one of --batch, --tenant, --model, --key and --all");
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- what is paused

static int list(struct invocation *invocation)
{
    static const struct table_column columns[] = {
        {"PAUSED", TABLE_LEFT}, {"NAME", TABLE_FOLD}, {"FOR", TABLE_RIGHT}, {NULL, TABLE_LEFT}};
    struct ask ask = {.sql = list_sql};
    if (invocation_json(invocation))
        return ask_print_json(invocation, &ask, stdout);
    struct pg_rows *rows = ask_rows(invocation, &ask);
    if (!rows)
        return EXIT_FAILED;
    struct table *table = table_new(columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        table_add(table, ask_value(rows, i, "scope"));
        table_add(table, ask_value(rows, i, "name"));
        screen_add_duration(&text, ask_value(rows, i, "for_ms"));
        table_take(table, &text);
    }
    if (table_rows(table) > 0)
        table_print(table, stdout);
    else
        puts("Nothing is paused.");
    table_free(table);
    pg_rows_free(rows);
    return EXIT_DONE;
}

// ------------------------------------------------------------------------------- the change

static bool apply(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct pausing *pausing = context;
    const char *params[] = {pausing->scope, pg_array_str(&pausing->names)};
    struct change_ask ask = {pausing->resume ? resume_sql : pause_sql, params, 2};
    return change_numbers(session, &ask, &pausing->changed, 1, out_error);
}

static void tell(const struct pausing *pausing)
{
    bool job = strcmp(pausing->scope, "job") == 0, all = strcmp(pausing->scope, "all") == 0;
    size_t asked = pausing->names.len;
    if (pausing->resume && pausing->changed == 0)
        printf("%s: nothing of it was paused. `precis pause` lists what is.\n",
               job ? "These jobs" : pausing->scope);
    else if (pausing->resume)
        printf("%lld pause%s ended; what they held goes on at once.\n", (long long)pausing->changed,
               pausing->changed == 1 ? " has" : "s have");
    else if (job)
        printf("%zu job%s paused%s.\n", asked, asked == 1 ? " is" : "s are",
               pausing->changed < (int64_t)asked ? " (some were before)" : "");
    else
        printf("%s%s paused%s: no call begins until `precis resume`; those under way end.\n",
               all ? "Everything is" : "The ", all ? "" : pausing->scope,
               pausing->changed == 0 ? " (it was before)" : "");
}

static int change(struct invocation *invocation, bool resume)
{
    struct pausing pausing = {.invocation = invocation, .resume = resume};
    pg_array_init(&pausing.names);
    int code =
        invocation_argument_count(invocation) > 0 ? take_jobs(&pausing) : take_scope(&pausing);
    if (code == EXIT_DONE)
        code = change_apply(invocation, apply, &pausing);
    if (code == EXIT_DONE && invocation_json(invocation))
        printf("{\"%s\": %lld}\n", resume ? "resumed" : "paused", (long long)pausing.changed);
    else if (code == EXIT_DONE)
        tell(&pausing);
    pg_array_deinit(&pausing.names);
    return code;
}

static int run(struct invocation *invocation, bool resume)
{
    static const char *const scopes[] = {"batch", "tenant", "model", "key", "all"};
    bool named = invocation_argument_count(invocation) > 0;
    for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
        named = named || invocation_flag(invocation, scopes[i]);
    int code = check_options(invocation);
    if (code == EXIT_DONE && resume && !named)
        code = invocation_misuse(invocation, "name jobs, or one of --batch, --tenant, --model, "
                                             "--key and --all");
    if (code == EXIT_DONE)
        code = ask_open(invocation);
    if (code != EXIT_DONE)
        return code;
    return named ? change(invocation, resume) : list(invocation);
}

static int run_pause(struct invocation *invocation)
{
    return run(invocation, false);
}

static int run_resume(struct invocation *invocation)
{
    return run(invocation, true);
}

static const struct option_row options[] = {
    {"batch", "NAME", "a batch; with JOB: the batch that it is in"},
    {"tenant", "NAME", "a tenant; with JOB or --batch: whose they are"},
    {"model", "NAME", "calls of a model of the configuration"},
    {"key", "NAME", "calls with a key of the configuration"},
    {"all", NULL, "everything; `resume --all` ends every pause there is"},
    {0},
};

const struct command command_pause = {
    .name = "pause",
    .arguments = "[JOB…]",
    .summary = "Hold jobs, a batch, a tenant, a model, a key or all back; alone: list the pauses",
    .details =
        "No call begins for what is paused, in the whole fleet and at once; calls under way end,\n"
        "and their answers are kept. Jobs wait, wherever they are, and cost nothing; what comes\n"
        "later waits too. `precis resume` with the same words lets them go on.",
    .options = options,
    .prints_data = true,
    .run = run_pause,
};

const struct command command_resume = {
    .name = "resume",
    .arguments = "[JOB…]",
    .summary = "Let go what was paused",
    .details = "Takes what `pause` took. A job that several pauses hold goes on when the last of\n"
               "them has ended; --all ends them all.",
    .options = options,
    .prints_data = true,
    .run = run_resume,
};
