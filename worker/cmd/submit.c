// SPDX-License-Identifier: Apache-2.0
// precis submit: documents and job messages onto Kafka.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"
#include "core/identity.h"

#define COPIES_SHOWN 3

void submit_problem(struct submit *submit, const char *path, const char *format, ...)
{
    struct buf words OWN_BUF, shown OWN_BUF;
    buf_init(&words, 0);
    buf_init(&shown, 0);
    va_list args;
    va_start(args, format);
    buf_vprintf(&words, format, args);
    va_end(args);
    if (path) {
        screen_add_line(&shown, path);
        buf_add_str(&shown, ": ");
    }
    size_t name_len = shown.len;
    screen_add_line(&shown, buf_str(&words));
    screen_progress_end();
    fprintf(stderr, "%s: %s\n", submit->take ? "left out" : "not submitted", buf_str(&shown));
    json_t *name = path ? json_stringn(buf_str(&shown), name_len - 2) : json_null();
    json_array_append_new(submit->problems, json_pack("{s:o, s:s}", "path", name, "error",
                                                      buf_str(&shown) + name_len));
}

// ------------------------------------------------------------------------------- the batch's name

static bool is_folder_or_lines(const char *name)
{
    const char *dot = strrchr(name, '.');
    return !dot || dot == name;
}

// The name of the first path, without what files have behind their dot.
void submit_name_batch(struct submit *submit)
{
    const char *given = invocation_argument(submit->invocation, 0);
    if (submit->order.batch || strcmp(given, "-") == 0)
        return;
    char *path OWN_FREE = realpath(given, NULL);
    if (!path)
        return; // it is reported where it is read
    const char *slash = strrchr(path, '/');
    char *name OWN_FREE = own_strdup(slash && slash[1] ? slash + 1 : "root");
    if (!is_folder_or_lines(name) && access(path, X_OK) != 0)
        *strrchr(name, '.') = '\0';
    char batch[SPEC_NAME_BYTES + 1];
    submit_job_name(batch, name, NULL);
    submit->order.batch = own_strdup(batch);
}

// ------------------------------------------------------------------------------- the report

// What came of the jobs that were waited for; all -1 where nobody waited.
struct waited {
    int64_t total, failed;
};

static json_t *report_json(const struct submit *submit, const struct waited *waited)
{
    json_t *batches = json_array();
    for (size_t i = 0; i < submit->batch_count; i++)
        json_array_append_new(batches,
                              json_pack("{s:s, s:s, s:I}", "tenant", submit->batches[i].tenant,
                                        "batch", submit->batches[i].name, "jobs",
                                        (json_int_t)submit->batches[i].sent_count));
    json_t *json =
        json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O}", "batches", batches, "jobs",
                  (json_int_t)submit->jobs, "repeated", (json_int_t)submit->repeated, "revised",
                  (json_int_t)submit->revised, "ended_before", (json_int_t)submit->ended,
                  "given_twice", (json_int_t)submit->twice, "documents_stored",
                  (json_int_t)submit->stored, "passed_over", (json_int_t)submit->passed_over,
                  "copies", submit->copies, "not_submitted", submit->problems);
    if (submit->order.dry_run)
        json_object_set_new(json, "dry_run", json_true());
    if (submit->held)
        json_object_set_new(
            json, submit->too_many_failed ? "stopped_after_failures" : "stopped_after_canary",
            json_true());
    if (waited->total >= 0) {
        json_object_set_new(json, "done", json_integer(waited->total - waited->failed));
        json_object_set_new(json, "failed", json_integer(waited->failed));
    }
    return json;
}

static void print_report_json(const struct submit *submit, const struct waited *waited)
{
    json_t *json = report_json(submit, waited);
    char *text OWN_FREE = json_dumps(json, JSON_COMPACT);
    struct buf safe OWN_BUF;
    buf_init(&safe, 0);
    screen_add_json(&safe, text);
    printf("%s\n", buf_str(&safe));
    json_decref(json);
}

// How to name what was submitted to in another command.
static void add_batches(struct buf *out, const struct submit *submit)
{
    if (submit->batch_count == 1)
        ask_add_batch(out, submit->batches[0].tenant, submit->batches[0].name);
}

static void add_part(struct buf *text, size_t count, const char *words)
{
    if (count > 0)
        buf_printf(text, ", %zu %s", count, words);
}

// The first of them by name; the rest is in --json.
static void report_copies(const struct submit *submit)
{
    size_t count = json_array_size(submit->copies);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (size_t i = 0; i < count && i < COPIES_SHOWN; i++) {
        const json_t *copy = json_array_get(submit->copies, i);
        buf_add_str(&text, i > 0 ? ", " : "");
        screen_add_line(&text, json_string_value(json_object_get(copy, "document")));
        buf_add_str(&text, " of ");
        screen_add_line(&text, json_string_value(json_object_get(copy, "copy_of")));
    }
    if (count > 0)
        printf("%zu document%s of others: %s%s.\n", count,
               count == 1 ? " is a copy" : "s are copies", buf_str(&text),
               count > COPIES_SHOWN ? ", …" : "");
}

static void report(const struct submit *submit)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_printf(&text, "%zu job%s %s", submit->jobs, submit->jobs == 1 ? "" : "s",
               submit->order.dry_run ? "would be submitted" : "submitted");
    if (submit->batch_count == 0)
        buf_add_str(&text, " at all");
    else if (submit->batch_count == 1)
        buf_printf(&text, " to batch %s/%s", submit->batches[0].tenant, submit->batches[0].name);
    else
        buf_printf(&text, " to %zu batches", submit->batch_count);
    add_part(&text, submit->repeated, "of them known already (not paid again)");
    add_part(&text, submit->revised, "of them as new revisions");
    add_part(&text, submit->ended, "ended already (not sent again)");
    add_part(&text, submit->twice, "given twice");
    add_part(&text, json_array_size(submit->problems), "not submitted (see above)");
    printf("%s.\n", buf_str(&text));
    report_copies(submit);
    if (submit->passed_over > 0)
        printf("%zu hidden or system file%s left out.\n", submit->passed_over,
               submit->passed_over == 1 ? " was" : "s were");
    buf_clear(&text);
    add_batches(&text, submit);
    if (submit->batch_count > 0 && !submit->order.wait && !submit->order.dry_run)
        printf("How it goes: `precis status%s%s`.\n", text.len ? " " : "", buf_str(&text));
    fflush(stdout);
}

void submit_show_job(struct submit *submit, const struct job_spec *spec, const char *name)
{
    if (invocation_json(submit->invocation))
        return;
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    screen_add_line(&line, name);
    buf_printf(&line, "  ->  %s/%s/%s", spec->tenant, spec->batch, spec->id);
    screen_progress_end();
    printf("%s\n", buf_str(&line));
}

// ------------------------------------------------------------------------------- the command

static int finish_interrupted(struct submit *submit)
{
    if (submit->sender)
        sender_flush(submit->sender);
    screen_progress_end();
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    add_batches(&name, submit);
    fprintf(stderr,
            "Interrupted: %" PRId64 " jobs are submitted%s%s; the batch stays open. The same "
            "command again goes on, and what is there already is not paid again.\n",
            submit->sender ? sender_acknowledged(submit->sender) : 0, name.len ? " to batch " : "",
            buf_str(&name));
    return EXIT_INTERRUPTED;
}

// Documents and messages are on their way: everything durable, sealed and said.
static int finish(struct submit *submit)
{
    bool sent = submit->order.dry_run
                    ? !submit->stopped
                    : submit_stage_flush(submit->stage) && sender_flush(submit->sender);
    if (interrupt_came())
        return finish_interrupted(submit);
    screen_progress_end();
    if (submit->held) // what was handed over before that is on its way
        return sender_flush(submit->sender) ? submit->canary_code : EXIT_FAILED;
    if (!sent) {
        if (submit->sender && sender_problem(submit->sender)[0] && !submit->stopped)
            fprintf(stderr, "error: %s.\n", sender_problem(submit->sender));
        fprintf(stderr, "The batch is not complete: the same command again goes on, and what is "
                        "there already is not paid again.\n");
        return EXIT_FAILED;
    }
    if (!submit->order.open && !submit->order.dry_run && !submit_batches_seal(submit))
        return EXIT_FAILED;
    if (submit->order.canary > 0 && !submit->canary_done && !submit->order.dry_run)
        fprintf(stderr, "The canary of %" PRId64 " holds nothing back: there are %zu jobs.\n",
                submit->order.canary, submit->jobs);
    labels_tell(submit->order.labels);
    if (!invocation_json(submit->invocation))
        report(submit);
    return EXIT_DONE;
}

bool submit_too_many_failed(const struct submit_order *order, int64_t failed, int64_t total)
{
    if (order->failed_percent)
        return failed * 100 > order->max_failed * total;
    return failed > order->max_failed;
}

static void report_waited(const struct submit *submit, const struct waited *waited)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    add_batches(&name, submit);
    printf("%" PRId64 " of %" PRId64 " jobs are done, %" PRId64 " failed. The summaries: "
           "`precis results %s`.\n",
           waited->total - waited->failed, waited->total, waited->failed,
           name.len ? buf_str(&name) : "BATCH");
}

// Waits where asked to. What was not submitted counts as failed.
static int judge(struct submit *submit)
{
    bool json = invocation_json(submit->invocation);
    int64_t unread = (int64_t)json_array_size(submit->problems);
    int64_t total = (int64_t)(submit->jobs + submit->twice + submit->ended);
    struct waited waited = {-1, -1};
    int code = EXIT_DONE;
    if (submit->order.wait && total > 0)
        code = submit_wait(submit, &waited.failed, &waited.total);
    if (json)
        print_report_json(submit, &waited);
    else if (waited.total >= 0)
        report_waited(submit, &waited);
    if (code != EXIT_DONE)
        return code;
    if (unread > 0 && total == 0)
        return EXIT_FAILED;
    int64_t failed = waited.total >= 0 ? waited.failed : 0;
    total = waited.total >= 0 ? waited.total : total;
    return submit_too_many_failed(&submit->order, failed + unread, total + unread)
               ? EXIT_JOBS_FAILED
               : EXIT_DONE;
}

static bool open_sender(struct submit *submit)
{
    char problem[400];
    submit->sender =
        sender_new(submit->config, submit->order.hold_back_bytes, problem, sizeof(problem));
    if (!submit->sender) {
        fprintf(stderr, "error: %s\n", problem);
        return false;
    }
    // A broker in memory keeps little: messages refer to documents instead of having them.
    submit->order.store_all |= sender_is_in_memory(submit->sender);
    submit->stage = submit_stage_new(submit);
    return true;
}

static int send_all(struct submit *submit)
{
    interrupt_watch();
    if (!submit->order.dry_run && !open_sender(submit))
        return EXIT_FAILED;
    submit_paths(submit);
    int code = finish(submit);
    if (submit->held && invocation_json(submit->invocation))
        print_report_json(submit, &(struct waited){-1, -1});
    return code == EXIT_DONE && !submit->held ? judge(submit) : code;
}

static int run(struct invocation *invocation)
{
    if (invocation_argument_count(invocation) == 0)
        return invocation_misuse(invocation, "`submit` needs a file, a folder, or -");
    struct submit submit = {
        .invocation = invocation, .problems = json_array(), .copies = json_array()};
    int code = submit_order_read(&submit.order, invocation);
    if (code == EXIT_DONE)
        code = ask_open(invocation);
    if (code == EXIT_DONE) {
        submit.config = invocation_config(invocation);
        submit_name_batch(&submit);
        code = submit_order_check_batch(&submit.order, invocation);
        code = code ? code : send_all(&submit);
    }
    submit_stage_free(submit.stage);
    sender_free(submit.sender);
    submit_batches_free(&submit);
    submit_copies_free(&submit);
    submit_order_deinit(&submit.order);
    json_decref(submit.problems);
    return code;
}

static const struct option_row options[] = {
    {"batch", "NAME", "the batch; else the name of the first file or folder"},
    {"tenant", "NAME", "whose jobs they are (default)"},
    {"kind", "summarize", "what to do; the other kinds come later"},
    {"model", "NAME", "a route or a model of the configuration (default)"},
    {"priority", "0-9", "9 goes first (5)"},
    {"deadline", "TIME", "when the results are needed: 2026-11-22T07:00:00Z, 2h, 90m"},
    {"on-deadline", "late|fail", "what happens when that cannot be met (late)"},
    {"not-before", "TIME", "when the jobs may begin, as the deadline"},
    {"after", "BATCH", "begin when that batch of the same tenant has ended"},
    {"label", "NAME=VALUE", "comes back in every view and message; may be repeated"},
    {"labels-from", "CSV", "labels by document: a column id, file, path or name, and one a label"},
    {"template", "NAME|FILE",
     "contract, nda, lease, filing, minutes, or a file such as ./mine.yaml"},
    {"max-chars", "N", "most characters of a summary (300)"},
    {"instructions", "TEXT", "what else a summary has to heed; comes after a template's"},
    {"language", "NAME", "of the summaries; else each document's own"},
    {"on-too-long", "split|truncate|fail", "where a document does not fit the model (split)"},
    {"reasoning-mode", "auto|reasoning|non-reasoning", "how the model thinks (auto)"},
    {"reasoning-effort", "EFFORT", "as the model takes it; excludes --reasoning-mode"},
    {"fresh", NULL, "no answers from the cache"},
    {"revise", NULL, "documents that changed since they were submitted: a new revision"},
    {"open", NULL, "leave the batch open: more jobs will come"},
    {"dry-run", NULL, "only say what would be sent: nothing is sent and nothing stored"},
    {"wait", NULL, "until all jobs have ended; Ctrl-C leaves them going on"},
    {"max-failed", "N|P%",
     "exit code 3 only where more failed or were not submitted (0); with --wait, what has not "
     "begun "
     "is cancelled then"},
    {"store-all", NULL, "put every document into PostgreSQL, not only those over 4 KB"},
    {"hold-back", "SIZE", "while a partition has more than this unread (for brokers in memory)"},
    {"max-cost", "USD", "what each job may cost at most, as 0.05"},
    {"budget", "USD", "what the batch may cost, ever; `precis budget` shows and changes it"},
    {"canary", "N", "so many first: the rest goes when they went well, and you say so"},
    {"yes", NULL, "with --canary: go on without asking when they went well"},
    {0},
};

const struct command command_submit = {
    .name = "submit",
    .arguments = "PATH… | -",
    .summary = "Submit documents from files and folders, or jobs from JSON lines",
    .details =
        "Documents are text in any encoding, Markdown, HTML, PDF, DOCX, and whatever the\n"
        "configuration has an extractor for; their format is told by their first bytes, then by\n"
        "their name. Folders are read with all below them, without hidden and system files.\n"
        ".jsonl files, and - for standard input, have a job message a line (schema/job.v1.json), "
        "in\n"
        "which the options fill what is left out, or a line of OpenAI's batch API.\n"
        "A document's job id is its path below the folder. The same command again goes on where\n"
        "it was: a job that has ended is not sent again, one that is known is not paid again, and\n"
        "a document that has changed is only sent with --revise.\n"
        "--labels-from: comma, semicolon or tab; a column id, file, path, name or document says\n"
        "which document a row is about, by its path below the folder or its last part.\n"
        "Files that cannot be submitted are named, the others go. Exit codes: 1 nothing could be\n"
        "submitted, or PostgreSQL or Kafka failed; 3 more than --max-failed were not submitted or\n"
        "(with --wait) did not end as done; 130 interrupted.",
    .options = options,
    .prints_data = true,
    .run = run,
};
