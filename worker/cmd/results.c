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

// ------------------------------------------------------------------------------- where to

// The file that is written first and renamed when it is whole; NULL and a sentence where not.
struct target {
    FILE *file;
    char *path, *partial;
};

// A device or a pipe (/dev/null, a named pipe) is written to, not replaced.
static bool is_special(const char *path)
{
    struct stat is;
    return stat(path, &is) == 0 && !S_ISREG(is.st_mode);
}

static bool target_open(struct target *target, const char *path)
{
    *target = (struct target){.file = stdout};
    if (!path)
        return true;
    if (is_special(path)) {
        target->path = own_strdup(path);
        target->file = fopen(path, "we");
        if (!target->file)
            fprintf(stderr, "error: cannot write %s: %s\n", path, strerror(errno));
        return target->file != NULL;
    }
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
    if (target->partial && target->file && good && code == EXIT_DONE)
        good = rename(target->partial, target->path) == 0;
    else if (target->partial && target->file)
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

// What a person wants to know below a table or beside a file: how many, and what else there is.
static const char sums_sql[] =
    "select b.done, b.failed + b.cancelled as failed, b.total - b.done - b.failed - b.cancelled"
    " as unfinished, b.cost_usd::text, b.in_doubt_usd::text from precis.batches b"
    " where b.tenant = $1 and b.batch = $2";

static void say_rest(const struct pg_rows *rows, const char *name, bool with_failed)
{
    int64_t failed = ask_number(rows, 0, "failed"), left = ask_number(rows, 0, "unfinished");
    if (failed > 0 && !with_failed)
        fprintf(stderr, "%lld failed; `precis results %s --failed` says why.\n", (long long)failed,
                name);
    if (left > 0)
        fprintf(stderr, "%lld %s not ended yet; `precis status %s` says why.\n", (long long)left,
                left == 1 ? "has" : "have", name);
}

static void say_sums(struct invocation *invocation, const struct results_order *order, size_t count)
{
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    ask_add_batch(&shown, order->name->tenant, order->name->batch);
    const char *out = invocation_value(invocation, "out");
    struct ask ask = {sums_sql, {order->name->tenant, order->name->batch}, 2};
    struct pg_rows *rows = ask_try(invocation, &ask);
    if (!rows)
        return;
    if (out)
        fprintf(stderr, "%zu job%s of %s written to %s.\n", count, count == 1 ? "" : "s",
                buf_str(&shown), out);
    else
        fputc('\n', stderr);
    bool every = strcmp(order->format, "table") != 0 && strcmp(order->format, "jsonl") != 0;
    say_rest(rows, buf_str(&shown), order->failed || every);
    pg_rows_free(rows);
}

static void say_empty(const struct batch_name *name, bool failed)
{
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    ask_add_batch(&shown, name->tenant, name->batch);
    if (failed)
        fprintf(stderr, "No job of %s has failed.\n", buf_str(&shown));
    else
        fprintf(stderr, "No result of %s is there yet; `precis status %s` says why.\n",
                buf_str(&shown), buf_str(&shown));
}

static int print_results(struct invocation *invocation, const struct batch_name *name,
                         const char *format)
{
    struct target target;
    const char *out = invocation_value(invocation, "out");
    if (!target_open(&target, out))
        return target_close(&target, EXIT_FAILED);
    struct results_order order = {.invocation = invocation,
                                  .name = name,
                                  .format = format,
                                  .failed = invocation_flag(invocation, "failed"),
                                  .all_revisions = invocation_flag(invocation, "all-revisions"),
                                  .bom = invocation_flag(invocation, "bom"),
                                  .file = target.file};
    size_t count;
    int code = results_write(&order, &count);
    if (code == EXIT_DONE && count == 0)
        say_empty(name, order.failed);
    code = target_close(&target, code);
    if (code == EXIT_DONE && count > 0 && (out || screen_is_terminal(stdout)))
        say_sums(invocation, &order, count);
    return code;
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
    if (invocation_flag(invocation, "bom") && strcmp(format, "csv") != 0)
        return invocation_misuse(invocation, "--bom is for --format csv");
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
    {"format", "table|jsonl|csv|markdown|html", "how they are written (table)"},
    {"out", "FILE", "write there; the file appears when it is whole"},
    {"failed", NULL, "the jobs that failed or were cancelled, and why"},
    {"all-revisions", NULL, "also results of older revisions"},
    {"bom", NULL, "csv: begin with a byte order mark, by which Excel knows UTF-8"},
    {"tenant", "NAME", "whose batch it is"},
    {0},
};

const struct command command_results = {
    .name = "results",
    .arguments = "BATCH",
    .summary = "Print the summaries of a batch, or what failed in it",
    .details =
        "BATCH is a name, or tenant/batch.\n"
        "table     the summaries; with --failed what failed, and why\n"
        "jsonl     the same, an object a line with everything: key points, citations, tokens, "
        "cost\n"
        "csv       a row a job that has ended, for spreadsheets; with an output_schema a column a\n"
        "          field (rent.amount), arrays joined by \"; \", what no column shows in `other`.\n"
        "          A cell that a spreadsheet would run begins with a '\n"
        "markdown  a section a job that has ended\n"
        "html      one page for any browser, which needs no network: every job that has ended,\n"
        "          quotes and where they stand, warnings, failures, costs",
    .options = options,
    .prints_data = true,
    .run = run,
};
