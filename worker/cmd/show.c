// SPDX-License-Identifier: Apache-2.0
// precis show: one job's whole story.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/screen.h"
#include "cmd/show_find.h"
#include "cmd/show_output.h"
#include "cmd/status_show.h"
#include "cmd/table.h"

#define NAMED "tenant = $1 and batch = $2 and job_id = $3 and revision = $4"

static const char job_sql[] =
    "select tenant, batch, job_id, revision, labels, kind, state, waiting_for, earliest_start_at,"
    " priority, deadline, attempts, error_code, error, suggestion, submitted_at, started_at,"
    " finished_at, worker, kafka_topic, kafka_partition, kafka_offset, cost_usd::text,"
    " extract(epoch from finished_at - submitted_at) * 1000 as took_ms,"
    " extract(epoch from earliest_start_at - clock_timestamp()) * 1000 as starts_in_ms"
    " from precis.jobs where " NAMED;

static const char summary_sql[] =
    "select summary, to_json(key_points) as key_points, output, to_json(warnings) as warnings,"
    " document_name, document_sha256, language, model, response_model, prompt_version, cached_from,"
    " input_tokens, output_tokens, cost_usd::text,"
    " (select r.parameters -> 'output_schema' from precis.requests r where r.tenant = s.tenant"
    "  and r.batch = s.batch and r.job_id = s.job_id and r.revision = s.revision) as schema"
    " from precis.summaries s where " NAMED;

static const char citations_sql[] =
    "select point, path, quote, found, page, char_start, char_end from precis.citations "
    "where " NAMED " order by point, path, char_start";

static const char costs_sql[] =
    "select call_id, step, attempt, provider, model, response_model, key_name, reasoning_mode,"
    " outcome, http_status, error_code, input_tokens, cached_input_tokens, output_tokens,"
    " reasoning_tokens, cost_usd::text, at_most_usd::text, cost_source, price_version,"
    " cost_reported_usd::text, request_id, finish_reason, started_at, ttft_ms, duration_ms"
    " from precis.costs where " NAMED " order by started_at, call_id, attempt";

static const char letters_sql[] =
    "select id, error_code, error, suggestion, kafka_topic, kafka_partition, kafka_offset,"
    " failed_at, replayed_at, dropped_at from precis.dead_letters"
    " where tenant is not distinct from $1 and batch is not distinct from $2 and job_id = $3"
    " and coalesce(revision, 0) = $4 order by id";

static const char earlier_sql[] =
    "select epoch, state, error_code, error, suggestion, worker, finished_at, reopened_at"
    " from precis.earlier_outcomes where " NAMED " order by epoch";

// Not of the views: for those who may read the tables.
static const char plans_sql[] =
    "select p.plan_no, p.model, p.prompt_version, p.calls::json as calls from precis_data.plans p"
    " join precis_data.jobs j on j.job_no = p.job_no where j.tenant = $1 and j.batch = $2"
    " and j.id = $3 and j.revision = $4::bigint order by p.plan_no";

static const char errors_sql[] =
    "select a.call_no as step, a.plan_no, a.attempt_no as attempt, a.error"
    " from precis_data.attempts a join precis_data.jobs j on j.job_no = a.job_no"
    " where j.tenant = $1 and j.batch = $2 and j.id = $3 and j.revision = $4::bigint"
    " and a.error is not null order by a.sent_at, a.plan_no, a.call_no, a.attempt_no";

static struct ask ask_about(const char *sql, const struct job_name *name)
{
    return (struct ask){sql, {name->tenant, name->batch, name->id, name->revision}, 4};
}

// Rows of one of the statements; NULL where there are none, or nobody may know.
static struct pg_rows *rows_of(struct invocation *invocation, const char *sql,
                               const struct job_name *name)
{
    struct ask ask = ask_about(sql, name);
    struct pg_rows *rows = ask_try(invocation, &ask);
    if (rows && pg_rows_count(rows) > 0)
        return rows;
    pg_rows_free(rows);
    return NULL;
}

// ------------------------------------------------------------------------------- lines

static void print_title(const char *title)
{
    printf("\n%s%s%s\n", screen_on(stdout, SCREEN_BOLD), title, screen_off(stdout, SCREEN_BOLD));
}

// "Worker      name", where there is a value.
static void print_field(const char *label, const char *value)
{
    if (!value)
        return;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_line(&text, value);
    printf("%-12s%s\n", label, buf_str(&text));
}

static void print_time(const char *label, const char *time)
{
    if (time)
        printf("%-12s%.19s UTC\n", label, time);
}

static void print_labels(const char *json)
{
    json_t *labels = json_loads(json ? json : "{}", 0, NULL);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (void *at = json_object_iter(labels); at; at = json_object_iter_next(labels, at))
        buf_printf(&text, "%s%s=%s", text.len ? ", " : "", json_object_iter_key(at),
                   json_string_value(json_object_iter_value(at)));
    if (text.len > 0)
        print_field("Labels", buf_str(&text));
    json_decref(labels);
}

// ------------------------------------------------------------------------------- the job

static void print_waiting(const struct pg_rows *job)
{
    const char *waiting_for = ask_value(job, 0, "waiting_for");
    if (!waiting_for)
        return;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, status_reason(waiting_for));
    const char *in_ms = ask_value(job, 0, "starts_in_ms");
    if (in_ms && strtod(in_ms, NULL) > 0) {
        buf_add_str(&text, "; not before ");
        screen_add_duration(&text, in_ms);
        buf_add_str(&text, " from now");
    }
    print_field("Waits", buf_str(&text));
}

static void print_end(const struct pg_rows *job)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *finished = ask_value(job, 0, "finished_at");
    if (finished) {
        buf_printf(&text, "%.19s UTC", finished);
        if (ask_value(job, 0, "took_ms")) {
            buf_add_str(&text, ", after ");
            screen_add_duration(&text, ask_value(job, 0, "took_ms"));
        }
        print_field("Finished", buf_str(&text));
    }
    buf_clear(&text);
    screen_add_money(&text, ask_value(job, 0, "cost_usd"));
    buf_printf(&text, " in %s attempts", ask_value(job, 0, "attempts"));
    if (ask_value(job, 0, "attempts"))
        print_field("Cost", buf_str(&text));
    print_field("Error", ask_value(job, 0, "error"));
    print_field("Code", ask_value(job, 0, "error_code"));
    print_field("Suggestion", ask_value(job, 0, "suggestion"));
}

static void print_job(const struct pg_rows *job)
{
    const char *state = ask_value(job, 0, "state");
    enum screen_style style = screen_style_of_state(state);
    printf("%s%s/%s/%s%s", screen_on(stdout, SCREEN_BOLD), ask_value(job, 0, "tenant"),
           ask_value(job, 0, "batch"), ask_value(job, 0, "job_id"),
           screen_off(stdout, SCREEN_BOLD));
    if (ask_number(job, 0, "revision") > 0)
        printf(", revision %s", ask_value(job, 0, "revision"));
    printf(": %s%s%s\n", screen_on(stdout, style), state, screen_off(stdout, style));
    print_time("Submitted", ask_value(job, 0, "submitted_at"));
    if (ask_value(job, 0, "kafka_topic"))
        printf("%-12s%s, partition %s, offset %s\n", "Message", ask_value(job, 0, "kafka_topic"),
               ask_value(job, 0, "kafka_partition"), ask_value(job, 0, "kafka_offset"));
    print_field("Kind", ask_value(job, 0, "kind"));
    print_field("Priority", ask_value(job, 0, "priority"));
    print_time("Deadline", ask_value(job, 0, "deadline"));
    print_labels(ask_value(job, 0, "labels"));
    print_field("Worker", ask_value(job, 0, "worker"));
    print_waiting(job);
    print_time("Started", ask_value(job, 0, "started_at"));
    print_end(job);
}

static void print_earlier(const struct pg_rows *rows)
{
    print_title("Earlier, before `precis retry`");
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        screen_add_line(&text, ask_value(rows, i, "error") ? ask_value(rows, i, "error") : "");
        printf("  %s %.19s UTC, reopened %.19s UTC%s%s\n", ask_value(rows, i, "state"),
               ask_value(rows, i, "finished_at"), ask_value(rows, i, "reopened_at"),
               text.len ? ": " : "", buf_str(&text));
    }
}

// ------------------------------------------------------------------------------- its calls

static void print_plan(const struct pg_rows *rows, size_t row)
{
    json_t *calls = json_loads(ask_value(rows, row, "calls"), 0, NULL);
    size_t parts = 0, combining = 0, i;
    json_int_t end = 0;
    json_t *call;
    json_array_foreach(calls, i, call)
    {
        const char *kind = json_string_value(json_object_get(call, "kind"));
        json_int_t to = json_integer_value(json_object_get(call, "to"));
        bool combines = kind && strcmp(kind, "combine") == 0;
        combining += combines;
        parts += !combines;
        end = !combines && to > end ? to : end;
    }
    struct buf count OWN_BUF;
    buf_init(&count, 0);
    char digits[24];
    snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, end);
    screen_add_count(&count, digits);
    printf("  %s: %s, prompt %s: ", ask_value(rows, row, "plan_no"), ask_value(rows, row, "model"),
           ask_value(rows, row, "prompt_version"));
    if (parts == 1)
        printf("%s characters in one call\n", buf_str(&count));
    else
        printf("%s characters in %zu parts, and %zu call%s to combine them\n", buf_str(&count),
               parts, combining, combining == 1 ? "" : "s");
    json_decref(calls);
}

static const struct table_column attempt_columns[] = {
    {"CALL", TABLE_RIGHT},        {"TRY", TABLE_RIGHT},  {"MODEL", TABLE_LEFT},
    {"OUTCOME", TABLE_LEFT},      {"HTTP", TABLE_RIGHT}, {"TOKENS IN", TABLE_RIGHT},
    {"OUT", TABLE_RIGHT},         {"COST", TABLE_RIGHT}, {"AT MOST", TABLE_RIGHT},
    {"FIRST TOKEN", TABLE_RIGHT}, {"TOOK", TABLE_RIGHT}, {"CODE", TABLE_LEFT},
    {NULL, TABLE_LEFT},
};

static void add_attempt(struct table *table, const struct pg_rows *rows, size_t row)
{
    static const struct {
        const char *column;
        void (*add)(struct buf *out, const char *text);
    } cells[] = {
        {"http_status", screen_add_text},     {"input_tokens", screen_add_count},
        {"output_tokens", screen_add_count},  {"cost_usd", screen_add_money},
        {"at_most_usd", screen_add_money},    {"ttft_ms", screen_add_duration},
        {"duration_ms", screen_add_duration},
    };
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *slash = strrchr(ask_value(rows, row, "call_id"), '/');
    const char *outcome = ask_value(rows, row, "outcome");
    table_add(table, slash ? slash + 1 : ask_value(rows, row, "step"));
    table_add(table, ask_value(rows, row, "attempt"));
    table_add(table, ask_value(rows, row, "model"));
    table_add_styled(table, outcome, screen_style_of_state(outcome));
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        cells[i].add(&text, ask_value(rows, row, cells[i].column));
        table_take(table, &text);
    }
    const char *code = ask_value(rows, row, "error_code");
    table_add(table, code ? code : "");
}

// The words of each failed attempt, or where only the views may be read, the suggestion of its
// code.
static void print_errors(const struct pg_rows *attempts, const struct pg_rows *errors)
{
    for (size_t i = 0; errors && i < pg_rows_count(errors); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        screen_add_line(&text, ask_value(errors, i, "error"));
        printf("  call %s, try %s: %s\n", ask_value(errors, i, "step"),
               ask_value(errors, i, "attempt"), buf_str(&text));
    }
    for (size_t i = 0; !errors && i < pg_rows_count(attempts); i++) {
        const char *code = ask_value(attempts, i, "error_code");
        if (code)
            printf("  call %s, try %s: %s. %s\n", ask_value(attempts, i, "step"),
                   ask_value(attempts, i, "attempt"), code, err_suggestion(err_from_text(code)));
    }
}

static void print_calls(struct invocation *invocation, const struct job_name *name)
{
    struct pg_rows *plans = rows_of(invocation, plans_sql, name);
    if (plans)
        print_title("Plan");
    for (size_t i = 0; plans && i < pg_rows_count(plans); i++)
        print_plan(plans, i);
    pg_rows_free(plans);
    struct pg_rows *attempts = rows_of(invocation, costs_sql, name);
    if (!attempts)
        return;
    print_title("Calls");
    struct table *table = table_new(attempt_columns);
    for (size_t i = 0; i < pg_rows_count(attempts); i++)
        add_attempt(table, attempts, i);
    table_print(table, stdout);
    table_free(table);
    struct pg_rows *errors = rows_of(invocation, errors_sql, name);
    print_errors(attempts, errors);
    pg_rows_free(errors);
    pg_rows_free(attempts);
}

// ------------------------------------------------------------------------------- its summary

static void print_quotes(const struct pg_rows *citations, int64_t point)
{
    for (size_t i = 0; citations && i < pg_rows_count(citations); i++)
        if (ask_number(citations, i, "point") == point)
            show_quote("   ", citations, i, false);
}

static void print_points(const struct pg_rows *summary, const struct pg_rows *citations)
{
    const char *json = ask_value(summary, 0, "key_points");
    json_t *points = json_loads(json ? json : "[]", 0, NULL);
    size_t i;
    json_t *point;
    json_array_foreach(points, i, point)
    {
        show_wrapped(" -", json_string_value(point));
        print_quotes(citations, (int64_t)i + 1);
    }
    json_decref(points);
}

static void print_warnings(const char *json)
{
    json_t *warnings = json_loads(json ? json : "[]", 0, NULL);
    size_t i;
    json_t *warning;
    json_array_foreach(warnings, i, warning) print_field("Warning", json_string_value(warning));
    json_decref(warnings);
}

static void print_summary(struct invocation *invocation, const struct job_name *name)
{
    struct pg_rows *summary = rows_of(invocation, summary_sql, name);
    if (!summary)
        return;
    struct pg_rows *citations = rows_of(invocation, citations_sql, name);
    print_title("Summary");
    print_field("Document", ask_value(summary, 0, "document_name"));
    print_field("SHA-256", ask_value(summary, 0, "document_sha256"));
    print_field("Model", ask_value(summary, 0, "response_model"));
    print_field("Answer of", ask_value(summary, 0, "cached_from"));
    print_warnings(ask_value(summary, 0, "warnings"));
    const char *text = ask_value(summary, 0, "summary");
    if (text)
        show_wrapped("", text);
    else
        show_output(ask_value(summary, 0, "output"), ask_value(summary, 0, "schema"), citations);
    print_points(summary, citations);
    pg_rows_free(citations);
    pg_rows_free(summary);
}

static void print_letters(const struct pg_rows *rows)
{
    print_title("Dead letters");
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        screen_add_line(&text, ask_value(rows, i, "error"));
        buf_add_char(&text, ' ');
        screen_add_line(&text, ask_value(rows, i, "suggestion"));
        printf("  %s (%.19s UTC, %s%s%s): %s\n", ask_value(rows, i, "id"),
               ask_value(rows, i, "failed_at"), ask_value(rows, i, "error_code"),
               ask_value(rows, i, "replayed_at") ? ", replayed" : "",
               ask_value(rows, i, "dropped_at") ? ", dropped" : "", buf_str(&text));
    }
}

// ------------------------------------------------------------------------------- the command

static int show_text(struct invocation *invocation, const struct job_name *name)
{
    struct ask ask = ask_about(job_sql, name);
    struct pg_rows *job = ask_rows(invocation, &ask);
    if (!job)
        return EXIT_FAILED;
    if (pg_rows_count(job) > 0)
        print_job(job);
    else
        printf("%s/%s/%s never became a job: its message was refused.\n", name->tenant, name->batch,
               name->id);
    pg_rows_free(job);
    struct pg_rows *earlier = rows_of(invocation, earlier_sql, name);
    if (earlier)
        print_earlier(earlier);
    pg_rows_free(earlier);
    print_calls(invocation, name);
    print_summary(invocation, name);
    struct pg_rows *letters = rows_of(invocation, letters_sql, name);
    if (letters)
        print_letters(letters);
    pg_rows_free(letters);
    return EXIT_DONE;
}

#define ALL_OF(sql) "(select coalesce(json_agg(row_to_json(r)), '[]') from (%s) r)"
#define ONE_OF(sql) "(select row_to_json(r) from (%s) r)"

static int show_json(struct invocation *invocation, const struct job_name *name)
{
    struct buf sql OWN_BUF, text OWN_BUF;
    buf_init(&sql, 0);
    buf_init(&text, 0);
    buf_printf(
        &sql,
        "select row_to_json(s) from (select " ONE_OF("job") " as job, " ALL_OF(
            "calls") " as calls, " ONE_OF("summary") " as summary, " ALL_OF("citations") " as "
                                                                                         "citations"
                                                                                         ","
                                                                                         " " ALL_OF("earlier") " as earlier, " ALL_OF(
                                                                                             "lette"
                                                                                             "rs") " as dead_letters) s",
        job_sql, costs_sql, summary_sql, citations_sql, earlier_sql, letters_sql);
    struct ask ask = ask_about(buf_str(&sql), name);
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
                                           : show_text(invocation, &name);
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
    .summary = "Show one job's whole story: message, plan, calls, costs, summary, dead letter",
    .details =
        "JOB is an id, batch/id or tenant/batch/id. Where several jobs have the id, they are\n"
        "listed and the exit code is 2.",
    .options = options,
    .prints_data = true,
    .run = run,
};
