// SPDX-License-Identifier: Apache-2.0
// What happened to a job: events of several tables, put in the order of time.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/own.h"
#include "cmd/screen.h"
#include "cmd/show_story.h"
#include "cmd/table.h"
#include "core/time_text.h"

struct event {
    int64_t at_ms; // 0: not known
    size_t place;  // among events of one time
    char *text;
    enum screen_style style;
};

struct events {
    struct event *items;
    size_t count;
};

// `text` is taken; NULL time: with the event before it.
static void add_event(struct events *events, const char *at_ms, struct buf *text,
                      enum screen_style style)
{
    int64_t before = events->count > 0 ? events->items[events->count - 1].at_ms : 0;
    events->items = own_grow(events->items, events->count + 1, sizeof(struct event));
    struct event *event = &events->items[events->count];
    *event = (struct event){.at_ms = at_ms ? strtoll(at_ms, NULL, 10) : before,
                            .place = events->count++,
                            .text = buf_take(text),
                            .style = style};
}

static int compare(const void *one, const void *other)
{
    const struct event *a = one, *b = other;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

// ------------------------------------------------------------------------------- the message

static void add_message(struct events *events, const struct pg_rows *job)
{
    struct buf text;
    buf_init(&text, 0);
    buf_add_str(&text, "message sent");
    if (ask_value(job, 0, "kafka_topic"))
        buf_printf(&text, " to %s, partition %s, offset %s", ask_value(job, 0, "kafka_topic"),
                   ask_value(job, 0, "kafka_partition"), ask_value(job, 0, "kafka_offset"));
    add_event(events, ask_value(job, 0, "submitted_ms"), &text, SCREEN_PLAIN);
}

static void add_outcome(struct events *events, const char *at_ms, const char *state,
                        const char *code)
{
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%s%s%s", state, code ? ": " : "", code ? code : "");
    add_event(events, at_ms, &text, screen_style_of_state(state));
}

// How it ended before `retry` or `dlq replay` reopened it.
static void add_earlier(struct events *events, const struct pg_rows *rows)
{
    for (size_t i = 0; rows && i < pg_rows_count(rows); i++) {
        struct buf text;
        buf_init(&text, 0);
        add_outcome(events, ask_value(rows, i, "at_ms"), ask_value(rows, i, "state"),
                    ask_value(rows, i, "error_code"));
        buf_add_str(&text, "reopened");
        add_event(events, ask_value(rows, i, "reopened_ms"), &text, SCREEN_BOLD);
    }
}

// ------------------------------------------------------------------------------- its plans

struct plan {
    size_t parts, combining;
    json_int_t characters;
};

static struct plan read_plan(const char *json)
{
    struct plan plan = {0};
    json_t *calls = json_loads(json, 0, NULL), *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        const char *kind = json_string_value(json_object_get(call, "kind"));
        json_int_t to = json_integer_value(json_object_get(call, "to"));
        bool combines = kind && strcmp(kind, "combine") == 0;
        plan.combining += combines;
        plan.parts += !combines;
        plan.characters = !combines && to > plan.characters ? to : plan.characters;
    }
    json_decref(calls);
    return plan;
}

static void add_plans(struct events *events, const struct pg_rows *rows)
{
    for (size_t i = 0; rows && i < pg_rows_count(rows); i++) {
        struct plan plan = read_plan(ask_value(rows, i, "calls"));
        struct buf text;
        char digits[24];
        buf_init(&text, 0);
        snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, plan.characters);
        buf_printf(&text, "plan %s: %s, prompt %s: ", ask_value(rows, i, "plan_no"),
                   ask_value(rows, i, "model"), ask_value(rows, i, "prompt_version"));
        screen_add_count(&text, digits);
        if (plan.parts == 1)
            buf_add_str(&text, " characters in one call");
        else
            buf_printf(&text, " characters in %zu parts, and %zu call%s to combine them",
                       plan.parts, plan.combining, plan.combining == 1 ? "" : "s");
        if (ask_value(rows, i, "why"))
            buf_printf(&text, " (%s)", ask_value(rows, i, "why"));
        add_event(events, ask_value(rows, i, "at_ms"), &text, SCREEN_PLAIN);
    }
}

// ------------------------------------------------------------------------------- its calls

// ", 1,234 tokens in (500 cached)", where there are any.
static void add_tokens(struct buf *text, const struct pg_rows *rows, size_t row)
{
    static const struct {
        const char *all, *words, *some, *some_words;
    } kinds[] = {{"input_tokens", "tokens in", "cached_input_tokens", "cached"},
                 {"output_tokens", "out", "reasoning_tokens", "of them reasoning"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!ask_value(rows, row, kinds[i].all))
            continue;
        buf_add_str(text, ", ");
        screen_add_count(text, ask_value(rows, row, kinds[i].all));
        buf_printf(text, " %s", kinds[i].words);
        if (ask_number(rows, row, kinds[i].some) == 0)
            continue;
        buf_add_str(text, " (");
        screen_add_count(text, ask_value(rows, row, kinds[i].some));
        buf_printf(text, " %s)", kinds[i].some_words);
    }
}

static void add_price(struct buf *text, const struct pg_rows *rows, size_t row)
{
    if (ask_value(rows, row, "at_most_usd"))
        buf_printf(text, "; at most $%s", ask_value(rows, row, "at_most_usd"));
    else if (ask_value(rows, row, "cost_usd"))
        buf_printf(text, "; $%s%s", ask_value(rows, row, "cost_usd"),
                   strcmp(ask_value(rows, row, "cost_source"), "estimated") == 0 ? ", estimated"
                                                                                 : "");
}

static void add_durations(struct buf *text, const struct pg_rows *rows, size_t row)
{
    if (ask_value(rows, row, "ttft_ms")) {
        buf_add_str(text, "; first token after ");
        screen_add_duration(text, ask_value(rows, row, "ttft_ms"));
    }
    if (ask_value(rows, row, "duration_ms")) {
        buf_add_str(text, "; took ");
        screen_add_duration(text, ask_value(rows, row, "duration_ms"));
    }
}

static const char *words_of(const char *outcome)
{
    return strcmp(outcome, "sent") == 0       ? "under way"
           : strcmp(outcome, "in_doubt") == 0 ? "in doubt"
                                              : outcome;
}

static void add_call(struct buf *text, const struct pg_rows *rows, size_t row)
{
    buf_printf(text, "call %s, try %s", ask_value(rows, row, "step"),
               ask_value(rows, row, "attempt"));
    if (ask_value(rows, row, "model"))
        buf_printf(text, ", %s", ask_value(rows, row, "model"));
    if (ask_value(rows, row, "provider"))
        buf_printf(text, " at %s", ask_value(rows, row, "provider"));
    if (ask_value(rows, row, "key_name"))
        buf_printf(text, ", key %s", ask_value(rows, row, "key_name"));
    if (ask_value(rows, row, "pack"))
        buf_add_str(text, ", in one request with other documents");
    buf_printf(text, ": %s", words_of(ask_value(rows, row, "outcome")));
    if (ask_value(rows, row, "http_status"))
        buf_printf(text, ", HTTP %s", ask_value(rows, row, "http_status"));
    add_tokens(text, rows, row);
    add_price(text, rows, row);
    add_durations(text, rows, row);
}

// The words of the attempt's failure, or where only the views may be read, of its code.
static void add_failure(struct events *events, const struct pg_rows *calls, size_t row,
                        const struct pg_rows *errors)
{
    struct buf text;
    buf_init(&text, 0);
    const char *code = ask_value(calls, row, "error_code");
    for (size_t i = 0; errors && i < pg_rows_count(errors); i++)
        if (strcmp(ask_value(errors, i, "step"), ask_value(calls, row, "step")) == 0 &&
            strcmp(ask_value(errors, i, "attempt"), ask_value(calls, row, "attempt")) == 0)
            buf_add_str(&text, text.len == 0 ? ask_value(errors, i, "error") : "");
    if (code && text.len == 0)
        buf_printf(&text, "%s. %s", code, err_suggestion(err_from_text(code)));
    else if (code && err_suggestion(err_from_text(code)) && !strstr(buf_str(&text), "Suggestion: "))
        buf_printf(&text, " Suggestion: %s", err_suggestion(err_from_text(code)));
    if (text.len > 0)
        add_event(events, NULL, &text, SCREEN_BAD);
    buf_deinit(&text);
}

static void add_calls(struct events *events, const struct pg_rows *calls,
                      const struct pg_rows *errors)
{
    for (size_t i = 0; calls && i < pg_rows_count(calls); i++) {
        struct buf text;
        buf_init(&text, 0);
        add_call(&text, calls, i);
        add_event(events, ask_value(calls, i, "at_ms"), &text,
                  screen_style_of_state(ask_value(calls, i, "outcome")));
        add_failure(events, calls, i, errors);
    }
}

// ------------------------------------------------------------------------------- printing

static const struct table_column columns[] = {
    {"", TABLE_LEFT}, {"", TABLE_RIGHT}, {"", TABLE_WRAP}, {NULL, TABLE_LEFT}};

// The time of day, and the day where it is another one than before.
static void add_time(struct table *table, const struct event *event, const struct event *before)
{
    char now[TIME_TEXT_BYTES], last[TIME_TEXT_BYTES];
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    time_text_format(event->at_ms, now);
    time_text_format(before ? before->at_ms : event->at_ms, last);
    bool same = before && event->at_ms == before->at_ms;
    if (strncmp(now, last, 10) != 0)
        buf_printf(&text, "%.10s ", now);
    if (!same && event->at_ms > 0)
        buf_printf(&text, "%.8s", now + 11);
    table_add(table, event->at_ms > 0 ? buf_str(&text) : "");
}

static void add_after(struct table *table, const struct event *event, const struct event *before,
                      int64_t begin_ms)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (before && event->at_ms > before->at_ms) {
        buf_add_char(&text, '+');
        screen_add_duration_ms(&text, event->at_ms - begin_ms);
    }
    table_add(table, buf_str(&text));
}

static void print_events(struct events *events)
{
    if (events->count > 1)
        qsort(events->items, events->count, sizeof(struct event), compare);
    struct table *table = table_new(columns);
    for (size_t i = 0; i < events->count; i++) {
        const struct event *event = &events->items[i], *before = i > 0 ? event - 1 : NULL;
        add_time(table, event, before);
        add_after(table, event, before, events->items[0].at_ms);
        table_add_styled(table, event->text, event->style);
    }
    char day[TIME_TEXT_BYTES], title[80];
    snprintf(title, sizeof(title), "What happened (%.10s UTC, and after the message)",
             time_text_format(events->items[0].at_ms, day));
    show_title(title);
    table_print_rows(table, stdout);
    table_free(table);
}

void show_events(struct invocation *invocation, const struct job_name *name,
                 const struct pg_rows *job)
{
    struct pg_rows *earlier = show_rows(invocation, show_earlier_sql, name);
    struct pg_rows *plans = show_rows(invocation, show_plans_sql, name);
    struct pg_rows *calls = show_rows(invocation, show_calls_sql, name);
    struct pg_rows *errors = show_rows(invocation, show_errors_sql, name);
    struct events events = {0};
    add_message(&events, job);
    add_earlier(&events, earlier);
    add_plans(&events, plans);
    add_calls(&events, calls, errors);
    if (ask_value(job, 0, "finished_ms"))
        add_outcome(&events, ask_value(job, 0, "finished_ms"), ask_value(job, 0, "state"),
                    ask_value(job, 0, "error_code"));
    print_events(&events);
    for (size_t i = 0; i < events.count; i++)
        free(events.items[i].text);
    free(events.items);
    pg_rows_free(earlier);
    pg_rows_free(plans);
    pg_rows_free(calls);
    pg_rows_free(errors);
}
