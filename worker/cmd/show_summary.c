// SPDX-License-Identifier: Apache-2.0
// What came of a job: warnings, summary, key points and their quotes.
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cmd/screen.h"
#include "cmd/show_output.h"
#include "cmd/show_story.h"
#include "cmd/table.h"

// A paragraph within the terminal's width, with something before its first line.
static void print_wrapped(const char *first, const char *text, enum screen_style style)
{
    static const struct table_column columns[] = {
        {"", TABLE_LEFT}, {"", TABLE_WRAP}, {NULL, TABLE_LEFT}};
    struct table *table = table_new(columns);
    struct buf cell OWN_BUF;
    buf_init(&cell, 0);
    buf_add_str(&cell, first);
    table_take(table, &cell);
    table_add_styled(table, text, style);
    table_print_rows(table, stdout);
    table_free(table);
}

static void print_quotes(const struct pg_rows *citations, int64_t point)
{
    for (size_t i = 0; citations && i < pg_rows_count(citations); i++)
        if (ask_number(citations, i, "point") == point)
            show_quote("   ", citations, i, false);
}

static void print_points(const struct pg_rows *summary, const struct pg_rows *citations)
{
    const char *json = ask_value(summary, 0, "key_points");
    json_t *points = json_loads(json ? json : "[]", 0, NULL), *point;
    size_t i;
    json_array_foreach(points, i, point)
    {
        print_wrapped(" -", json_string_value(point), SCREEN_PLAIN);
        print_quotes(citations, (int64_t)i + 1);
    }
    json_decref(points);
}

static void print_warnings(const char *json)
{
    json_t *warnings = json_loads(json ? json : "[]", 0, NULL), *warning;
    size_t i;
    json_array_foreach(warnings, i, warning)
        print_wrapped("Warning:", json_string_value(warning), SCREEN_WARN);
    json_decref(warnings);
}

// "grok-4.3, prompt summary-2; 1,234 tokens in, 56 out".
static void print_origin(const struct pg_rows *summary)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *model = ask_value(summary, 0, "response_model");
    buf_printf(&text, "By %s, prompt %s; ", model ? model : ask_value(summary, 0, "model"),
               ask_value(summary, 0, "prompt_version"));
    screen_add_count(&text, ask_value(summary, 0, "input_tokens"));
    buf_add_str(&text, " tokens in, ");
    screen_add_count(&text, ask_value(summary, 0, "output_tokens"));
    buf_add_str(&text, " out");
    if (ask_value(summary, 0, "language"))
        buf_printf(&text, "; language %s", ask_value(summary, 0, "language"));
    if (ask_value(summary, 0, "cached_from"))
        buf_printf(&text, "; the answer of %s", ask_value(summary, 0, "cached_from"));
    print_wrapped("", buf_str(&text), SCREEN_DIM);
}

void show_summary(struct invocation *invocation, const struct job_name *name)
{
    struct pg_rows *summary = show_rows(invocation, show_summary_sql, name);
    if (!summary)
        return;
    struct pg_rows *citations = show_rows(invocation, show_citations_sql, name);
    const char *text = ask_value(summary, 0, "summary");
    show_title("Summary");
    print_warnings(ask_value(summary, 0, "warnings"));
    if (text)
        print_wrapped("", text, SCREEN_PLAIN);
    else
        show_output(ask_value(summary, 0, "output"), ask_value(summary, 0, "schema"), citations);
    print_points(summary, citations);
    print_origin(summary);
    pg_rows_free(citations);
    pg_rows_free(summary);
}
