// SPDX-License-Identifier: Apache-2.0
// precis estimate: what a submission would be, cost and take, before anything of it is paid.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/when.h"

// ------------------------------------------------------------------------------- options

static int read_finish_by(struct estimating *estimating)
{
    struct invocation *invocation = estimating->submit.invocation;
    const char *text = invocation_value(invocation, "finish-by");
    if (!text)
        return EXIT_DONE;
    if (!when_read(text, estimating->now_ms, &estimating->finish_by_ms))
        return invocation_misuse(invocation, "--finish-by is " WHEN_FORMS);
    if (estimating->finish_by_ms > estimating->now_ms)
        return EXIT_DONE;
    return invocation_misuse(invocation, "--finish-by %s has passed", text);
}

static int read_workers(struct estimating *estimating)
{
    struct invocation *invocation = estimating->submit.invocation;
    const char *text = invocation_value(invocation, "workers");
    char *end;
    if (!text)
        return EXIT_DONE;
    estimating->workers = strtoll(text, &end, 10);
    if (end != text && *end == '\0' && estimating->workers >= 1 && estimating->workers <= 100000)
        return EXIT_DONE;
    return invocation_misuse(invocation, "--workers is a number, at least 1");
}

// ------------------------------------------------------------------------------- what is there

// Workers that are live, and the database's clock.
static bool look_around(struct estimating *estimating)
{
    struct pg_rows *rows =
        ask_rows(estimating->submit.invocation,
                 &(struct ask){
                     .sql = "select (extract(epoch from clock_timestamp()) * 1000)::bigint as now,"
                            " (select count(*) from precis.workers where state = 'live') as live"});
    if (!rows)
        return false;
    estimating->now_ms = ask_number(rows, 0, "now");
    estimating->workers = ask_number(rows, 0, "live");
    pg_rows_free(rows);
    return true;
}

static int open_database(struct estimating *estimating)
{
    struct invocation *invocation = estimating->submit.invocation;
    estimating->now_ms = when_now_ms();
    if (estimating->submit.order.offline)
        return EXIT_DONE;
    int code = ask_open(invocation);
    if (code == EXIT_DONE && !look_around(estimating))
        code = EXIT_FAILED;
    if (code == EXIT_FAILED)
        fprintf(stderr, "`precis estimate --offline` does without PostgreSQL.\n");
    return code;
}

static void list_models(struct estimating *estimating)
{
    const struct config *config = estimating->submit.config;
    estimating->models = own_array(config->model_count + 1, sizeof(*estimating->models));
    for (size_t i = 0; i < config->model_count; i++)
        if (config->models[i].price.known)
            estimating->models[estimating->model_count++].model = &config->models[i];
    if (!estimating->submit.order.offline)
        estimate_learn_models(estimating);
    estimate_limits(estimating);
}

// ------------------------------------------------------------------------------- the command

static int estimate(struct estimating *estimating)
{
    struct submit *submit = &estimating->submit;
    int code = read_finish_by(estimating);
    if (code == EXIT_DONE)
        code = read_workers(estimating);
    if (code != EXIT_DONE)
        return code;
    if (estimating->workers == 0)
        estimating->workers = 1;
    interrupt_watch();
    list_models(estimating);
    estimating->reader = estimate_reader_new(estimating);
    submit_name_batch(submit);
    submit_paths(submit);
    estimate_reader_finish(estimating->reader);
    if (!estimating->submit.order.offline)
        estimate_queue(estimating);
    screen_progress_end();
    if (interrupt_came())
        return EXIT_INTERRUPTED;
    if (submit->stopped)
        return EXIT_FAILED;
    code = estimate_show(estimating);
    return estimating->documents + submit->ended == 0 ? EXIT_FAILED : code;
}

static int run(struct invocation *invocation)
{
    if (invocation_argument_count(invocation) == 0)
        return invocation_misuse(invocation, "`estimate` needs a file, a folder, or -");
    struct estimating estimating = {.submit = {.invocation = invocation,
                                               .problems = json_array(),
                                               .copies = json_array(),
                                               .take = estimate_take}};
    struct submit *submit = &estimating.submit;
    submit->take_context = &estimating;
    int code = submit_order_read(&submit->order, invocation);
    submit->order.dry_run = true;
    submit->order.offline = invocation_flag(invocation, "offline");
    submit->config = code == EXIT_DONE ? invocation_config(invocation) : NULL;
    if (code == EXIT_DONE)
        code = open_database(&estimating);
    if (code == EXIT_DONE)
        code = estimate(&estimating);
    estimate_reader_free(estimating.reader);
    estimate_sums_free(&estimating);
    submit_batches_free(submit);
    submit_copies_free(submit);
    submit_order_deinit(&submit->order);
    json_decref(submit->problems);
    return code;
}

static const struct option_row options[] = {
    {"finish-by", "TIME", "what would be needed to end by then: 2026-11-23T09:00:00Z, 2h, 90m"},
    {"workers", "N", "workers that will be there; else those that are live, or one"},
    {"offline", NULL, "without PostgreSQL: nothing is known of earlier jobs and calls"},
    {"batch", "NAME", "the batch; else the name of the first file or folder"},
    {"tenant", "NAME", "whose jobs they are (default)"},
    {"model", "NAME", "only this route or model; else all of the configuration are compared"},
    {"template", "NAME|FILE",
     "contract, nda, lease, filing, minutes, or a file such as ./mine.yaml"},
    {"max-chars", "N", "most characters of a summary (300)"},
    {"instructions", "TEXT", "what else a summary has to heed; comes after a template's"},
    {"language", "NAME", "of the summaries; else each document's own"},
    {"on-too-long", "split|truncate|fail", "where a document does not fit the model (split)"},
    {"reasoning-mode", "auto|reasoning|non-reasoning", "how the model thinks (auto)"},
    {"reasoning-effort", "EFFORT", "as the model takes it; excludes --reasoning-mode"},
    {"fresh", NULL, "no answers from the cache"},
    {"revise", NULL, "documents that changed since they were submitted count too"},
    {0},
};

const struct command command_estimate = {
    .name = "estimate",
    .arguments = "PATH… | -",
    .summary = "Tell what a submission would cost, and how long it would take",
    .details =
        "Takes what `submit` takes, and reads it the same way: the texts, the plan of calls and "
        "the\n"
        "prompts are those that a worker would make. Nothing is sent, stored or paid.\n"
        "TIME is at the limits that the fleet keeps to (configured, set by `quota set`, or told "
        "by\n"
        "the provider), behind the jobs that are there already, and HELD UP BY what most calls "
        "wait\n"
        "for; what was assumed is said. COST is likely; RESERVED is what all calls can cost at "
        "most, "
        "as\n"
        "a budget has to hold it at once. A model that was called before counts as it counted "
        "then;\n"
        "else the numbers are guesses: submit ten documents first, and ask again.\n"
        "--finish-by says which limit would have to be how large, or how many documents a request\n"
        "would have to carry.",
    .options = options,
    .prints_data = true,
    .run = run,
};
