// SPDX-License-Identifier: Apache-2.0
// precis results: the summaries of a batch, or what failed in it, in the form that is wanted.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/results_write.h"
#include "cmd/screen.h"

// $3: all revisions, not only the newest of each job.
static const char summaries_sql[] =
    "select s.tenant, s.batch, s.job_id, s.revision, 'done' as state, s.labels, s.summary,"
    " s.key_points, s.output, s.warnings, s.document_name, s.document_uri, s.document_sha256,"
    " s.language, s.model, s.response_model, s.prompt_version, s.cached_from, s.input_tokens,"
    " s.output_tokens, s.cost_usd::text, s.finished_at,"
    " coalesce((select json_agg(json_build_object('point', c.point, 'path', c.path, 'quote',"
    "  c.quote, 'found', c.found, 'page', c.page, 'char_start', c.char_start, 'char_end',"
    "  c.char_end) order by c.point, c.path, c.char_start) from precis.citations c"
    "  where c.tenant = s.tenant and c.batch = s.batch and c.job_id = s.job_id"
    "   and c.revision = s.revision), '[]') as citations"
    " from precis.summaries s where s.tenant = $1 and s.batch = $2"
    " and ($3::boolean or not exists (select from precis.jobs n where n.tenant = s.tenant"
    "  and n.batch = s.batch and n.job_id = s.job_id and n.revision > s.revision))"
    " order by s.job_id, s.revision";

static const char failed_sql[] =
    "select j.tenant, j.batch, j.job_id, j.revision, j.state, j.labels, j.error_code, j.error,"
    " j.suggestion, j.attempts, j.cost_usd::text, j.finished_at"
    " from precis.jobs j where j.tenant = $1 and j.batch = $2 and j.state in ('failed', "
    "'cancelled')"
    " and ($3::boolean or not exists (select from precis.jobs n where n.tenant = j.tenant"
    "  and n.batch = j.batch and n.job_id = j.job_id and n.revision > j.revision))"
    " order by j.job_id, j.revision";

// ------------------------------------------------------------------------------- where to

// The file that is written first and renamed when it is whole; NULL and a sentence where not.
struct target {
    FILE *file;
    char *path, *partial;
};

static bool target_open(struct target *target, const char *path)
{
    *target = (struct target){.file = stdout};
    if (!path)
        return true;
    struct buf partial;
    buf_init(&partial, 0);
    buf_printf(&partial, "%s.%ld.part", path, (long)getpid());
    target->path = own_strdup(path);
    target->partial = buf_take(&partial);
    target->file = fopen(target->partial, "wxe");
    if (!target->file)
        fprintf(stderr, "error: cannot write %s: %s\n", path, strerror(errno));
    return target->file != NULL;
}

// Keeps the file where `code` is 0. The exit code.
static int target_close(struct target *target, int code)
{
    bool good = target->file && fflush(target->file) == 0 && !ferror(target->file);
    if (target->path && target->file)
        good = fclose(target->file) == 0 && good;
    if (target->path && target->file && good && code == EXIT_DONE)
        good = rename(target->partial, target->path) == 0;
    else if (target->path && target->file)
        unlink(target->partial);
    if (!good && code == EXIT_DONE) {
        fprintf(stderr, "error: cannot write %s: %s\n", target->path ? target->path : "the output",
                strerror(errno));
        code = EXIT_FAILED;
    }
    free(target->path);
    free(target->partial);
    return code;
}

// ------------------------------------------------------------------------------- the command

static void say_empty(const struct batch_name *name, bool failed)
{
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    ask_add_batch(&shown, name->tenant, name->batch);
    if (failed)
        fprintf(stderr, "No job of %s has failed.\n", buf_str(&shown));
    else
        fprintf(stderr, "No summary of %s is there yet; `precis status %s` says why.\n",
                buf_str(&shown), buf_str(&shown));
}

static int write_rows(struct invocation *invocation, const struct batch_name *name,
                      struct results_writer *writer, bool failed)
{
    struct ask ask = {.sql = failed ? failed_sql : summaries_sql, .param_count = 3};
    ask.params[0] = name->tenant;
    ask.params[1] = name->batch;
    ask.params[2] = invocation_flag(invocation, "all-revisions") ? "true" : "false";
    if (results_writer_wants_json(writer)) {
        struct buf sql OWN_BUF;
        buf_init(&sql, 0);
        buf_printf(&sql, "select row_to_json(q) from (%s) q", ask.sql);
        ask.sql = buf_str(&sql);
        return ask_each(invocation, &ask, results_writer_rows, writer) ? EXIT_DONE : EXIT_FAILED;
    }
    return ask_each(invocation, &ask, results_writer_rows, writer) ? EXIT_DONE : EXIT_FAILED;
}

static int print_results(struct invocation *invocation, const struct batch_name *name,
                         const char *format)
{
    struct target target;
    if (!target_open(&target, invocation_value(invocation, "out")))
        return target_close(&target, EXIT_FAILED);
    bool failed = invocation_flag(invocation, "failed");
    struct results_order order = {format, failed, name->batch, target.file};
    struct results_writer *writer = results_writer_new(&order);
    int code = write_rows(invocation, name, writer, failed);
    if (results_writer_end(writer) == 0 && code == EXIT_DONE)
        say_empty(name, failed);
    return target_close(&target, code);
}

static int run(struct invocation *invocation)
{
    if (invocation_argument_count(invocation) != 1)
        return invocation_misuse(invocation, "`results` takes one batch");
    const char *format = invocation_value(invocation, "format");
    if (invocation_json(invocation) && format)
        return invocation_misuse(invocation, "--json and --format exclude each other");
    format = invocation_json(invocation) ? "json" : format ? format : "table";
    if (!results_format_ok(format) || (strcmp(format, "json") == 0 && !invocation_json(invocation)))
        return invocation_misuse(invocation, "--format is one of " RESULTS_FORMATS);
    int code = ask_open(invocation);
    struct batch_name name = {0};
    if (code == EXIT_DONE)
        code = ask_batch(invocation, invocation_argument(invocation, 0), &name);
    if (code == EXIT_DONE)
        code = print_results(invocation, &name, format);
    batch_name_deinit(&name);
    return code;
}

static const struct option_row options[] = {
    {"format", "NAME", "table (the default), jsonl, csv, markdown or html"},
    {"out", "FILE", "write there; the file appears when it is whole"},
    {"failed", NULL, "the jobs that failed or were cancelled, and why"},
    {"all-revisions", NULL, "also results of older revisions"},
    {"tenant", "NAME", "whose batch it is"},
    {0},
};

const struct command command_results = {
    .name = "results",
    .arguments = "BATCH",
    .summary = "Print the summaries of a batch, or what failed in it",
    .details =
        "BATCH is a name, or tenant/batch.\n"
        "jsonl   one object a line with everything: summary, key points, citations, tokens, cost\n"
        "csv     for spreadsheets; a cell that a spreadsheet would run begins with a '\n"
        "html    one page without scripts",
    .options = options,
    .prints_data = true,
    .run = run,
};
