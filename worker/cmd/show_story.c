// SPDX-License-Identifier: Apache-2.0
// The head and the frame of a job's story.
#include "cmd/show_story.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/screen.h"
#include "cmd/status_waiting.h"
#include "cmd/table.h"

void show_title(const char *title)
{
    printf("\n%s%s%s\n", screen_on(stdout, SCREEN_BOLD), title, screen_off(stdout, SCREEN_BOLD));
}

// A label and its text, where there is one.
static void add_fact(struct table *table, const char *label, const char *text,
                     enum screen_style style)
{
    if (!text || !*text)
        return;
    table_add(table, label);
    table_add_styled(table, text, style);
}

// ------------------------------------------------------------------------------- what it is

static void add_document(struct table *table, const struct pg_rows *request)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *name = ask_value(request, 0, "document_name");
    const char *url = ask_value(request, 0, "document_url");
    buf_add_str(&text, name ? name : url ? url : "without a name");
    if (ask_number(request, 0, "pages") > 0)
        buf_printf(&text, ", %s page%s", ask_value(request, 0, "pages"),
                   ask_number(request, 0, "pages") == 1 ? "" : "s");
    if (ask_value(request, 0, "document_bytes")) {
        buf_add_str(&text, ", ");
        screen_add_bytes(&text, ask_number(request, 0, "document_bytes"));
    }
    if (ask_value(request, 0, "media_type"))
        buf_printf(&text, ", %s", ask_value(request, 0, "media_type"));
    if (name && url)
        buf_printf(&text, ", from %s", url);
    add_fact(table, "Document", buf_str(&text), SCREEN_PLAIN);
}

static void add_request(struct table *table, const struct pg_rows *request,
                        const struct pg_rows *job)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *kind = ask_value(job, 0, "kind"), *model = ask_value(request, 0, "model");
    const char *template = ask_value(request, 0, "template");
    const char *language = ask_value(request, 0, "language");
    buf_add_str(&text, kind ? kind : "not known yet");
    if (template)
        buf_printf(&text, ", template %s", template);
    if (ask_value(request, 0, "has_schema") &&
        strcmp(ask_value(request, 0, "has_schema"), "t") == 0)
        buf_add_str(&text, ", in a form of its own");
    if (language)
        buf_printf(&text, ", in %s", language);
    if (model)
        buf_printf(&text, ", by %s", model);
    buf_printf(&text, ", priority %s", ask_value(job, 0, "priority"));
    if (ask_value(job, 0, "deadline"))
        buf_printf(&text, ", until %.19s UTC", ask_value(job, 0, "deadline"));
    add_fact(table, "Asked for", buf_str(&text), SCREEN_PLAIN);
}

static void add_labels(struct table *table, const char *json)
{
    json_t *labels = json_loads(json ? json : "{}", 0, NULL);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    for (void *at = json_object_iter(labels); at; at = json_object_iter_next(labels, at))
        buf_printf(&text, "%s%s=%s", text.len ? ", " : "", json_object_iter_key(at),
                   json_string_value(json_object_iter_value(at)));
    add_fact(table, "Labels", buf_str(&text), SCREEN_PLAIN);
    json_decref(labels);
}

// ------------------------------------------------------------------------------- how it stands

static void add_waiting(struct invocation *invocation, struct table *table,
                        const struct pg_rows *job)
{
    const char *waiting_for = ask_value(job, 0, "waiting_for");
    struct batch_name batch = {(char *)(uintptr_t)ask_value(job, 0, "tenant"),
                               (char *)(uintptr_t)ask_value(job, 0, "batch")};
    struct status_lanes lanes = {0};
    if (!waiting_for)
        return;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    status_lanes_load(&lanes, invocation, &batch);
    status_add_reason(&text, waiting_for, ask_value(job, 0, "starts_in_ms"), &lanes);
    add_fact(table, "Waits", buf_str(&text), SCREEN_WARN);
    status_lanes_free(&lanes);
}

static void add_cost(struct table *table, const struct pg_rows *job)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    int64_t calls = ask_number(job, 0, "attempts");
    screen_add_money(&text, ask_value(job, 0, "cost_usd"));
    buf_printf(&text, " for %lld call%s", (long long)calls, calls == 1 ? "" : "s");
    if (ask_value(job, 0, "in_doubt_usd"))
        buf_printf(&text, ", and up to $%s more in doubt", ask_value(job, 0, "in_doubt_usd"));
    if (ask_value(job, 0, "took_ms")) {
        buf_add_str(&text, "; ");
        screen_add_duration(&text, ask_value(job, 0, "took_ms"));
        buf_add_str(&text, " from the message to the end");
    }
    if (ask_value(job, 0, "worker"))
        buf_printf(&text, "; worker %s", ask_value(job, 0, "worker"));
    add_fact(table, "Cost", buf_str(&text), SCREEN_PLAIN);
}

static void add_error(struct table *table, const struct pg_rows *job)
{
    const char *error = ask_value(job, 0, "error");
    add_fact(table, "Code", ask_value(job, 0, "error_code"), SCREEN_BAD);
    add_fact(table, "Error", error, SCREEN_PLAIN);
    add_fact(table, "Suggestion", screen_suggestion(error, ask_value(job, 0, "suggestion")),
             SCREEN_PLAIN);
}

static const struct table_column fact_columns[] = {
    {"", TABLE_LEFT}, {"", TABLE_WRAP}, {NULL, TABLE_LEFT}};

static void print_head(struct invocation *invocation, const struct pg_rows *job,
                       const struct pg_rows *request)
{
    const char *state = ask_value(job, 0, "state");
    enum screen_style style = screen_style_of_state(state);
    printf("%s%s/%s/%s%s", screen_on(stdout, SCREEN_BOLD), ask_value(job, 0, "tenant"),
           ask_value(job, 0, "batch"), ask_value(job, 0, "job_id"),
           screen_off(stdout, SCREEN_BOLD));
    if (ask_number(job, 0, "revision") > 0)
        printf(", revision %s", ask_value(job, 0, "revision"));
    printf(": %s%s%s\n", screen_on(stdout, style), state, screen_off(stdout, style));
    struct table *table = table_new(fact_columns);
    add_document(table, request);
    add_request(table, request, job);
    add_labels(table, ask_value(job, 0, "labels"));
    add_cost(table, job);
    add_waiting(invocation, table, job);
    add_error(table, job);
    table_print_rows(table, stdout);
    table_free(table);
}

// ------------------------------------------------------------------------------- dead letters

static const char *what_to_do(const struct pg_rows *rows, size_t row)
{
    if (ask_value(rows, row, "dropped_at"))
        return ", dropped";
    return ask_value(rows, row, "replayed_at") ? ", replayed" : "";
}

// `said`: the job's own error, which need not be said again.
static void print_letters(const struct pg_rows *rows, const char *said)
{
    show_title("Dead letters");
    struct table *table = table_new(fact_columns);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        const char *error = ask_value(rows, i, "error"), *id = ask_value(rows, i, "id");
        const char *advice = screen_suggestion(error, ask_value(rows, i, "suggestion"));
        bool open = !*what_to_do(rows, i);
        buf_printf(&text, "%.19s UTC, %s%s", ask_value(rows, i, "failed_at"),
                   ask_value(rows, i, "error_code"), what_to_do(rows, i));
        if (!said || strcmp(said, error) != 0)
            buf_printf(&text, ": %s%s%s", error, advice ? " " : "", advice ? advice : "");
        if (open)
            buf_printf(&text,
                       "%s`precis dlq replay %s` tries again, `precis dlq show %s` shows it.",
                       said && strcmp(said, error) == 0 ? ". " : " ", id, id);
        table_add(table, id);
        table_add(table, buf_str(&text));
    }
    table_print_rows(table, stdout);
    table_free(table);
}

// ------------------------------------------------------------------------------- the frame

int show_story(struct invocation *invocation, const struct job_name *name)
{
    struct ask ask = show_ask(show_job_sql, name);
    struct pg_rows *job = ask_rows(invocation, &ask);
    if (!job)
        return EXIT_FAILED;
    struct pg_rows *request = show_rows(invocation, show_request_sql, name);
    if (pg_rows_count(job) > 0 && request)
        print_head(invocation, job, request);
    else
        printf("%s/%s/%s never became a job: its message was refused.\n", name->tenant, name->batch,
               name->id);
    if (pg_rows_count(job) > 0)
        show_events(invocation, name, job);
    show_summary(invocation, name);
    struct pg_rows *letters = show_rows(invocation, show_letters_sql, name);
    if (letters)
        print_letters(letters, ask_value(job, 0, "error"));
    pg_rows_free(letters);
    pg_rows_free(request);
    pg_rows_free(job);
    return EXIT_DONE;
}
