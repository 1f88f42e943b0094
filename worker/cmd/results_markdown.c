// SPDX-License-Identifier: Apache-2.0
// Results as Markdown: a section a job that has ended.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/results_forms.h"
#include "cmd/screen.h"

#define NEST_MAX 6 // lists within lists; deeper values are JSON

static void add_escaped(struct buf *out, const char *text)
{
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    screen_add_line(&line, text ? text : "");
    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        bool number =
            i > 0 && (c == '.' || c == ')') && i < 4 && strspn(line.data, "0123456789") == i;
        if ((c && strchr("\\`*_[]<>#|~&", c)) || number || (i == 0 && strchr("+-=", c)))
            buf_add_char(out, '\\');
        buf_add_char(out, c);
    }
}

static void add_around(struct buf *out, const char *before, const char *text, const char *behind)
{
    buf_add_str(out, before);
    add_escaped(out, text);
    buf_add_str(out, behind);
}

static bool markdown_begin(struct results_writer *writer)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    ask_add_batch(&name, writer->order.name->tenant, writer->order.name->batch);
    add_around(&writer->text, "# ", buf_str(&name), "\n");
    return true;
}

// ------------------------------------------------------------------------------- a summary

static void add_quote(struct buf *out, const json_t *citation)
{
    add_around(out, "  > \u201c", results_text(citation, "quote"), "\u201d (");
    bool found = json_is_true(json_object_get(citation, "found"));
    struct buf place OWN_BUF;
    buf_init(&place, 0);
    results_add_place(&place, citation);
    buf_printf(out, found ? "%s)\n" : "**%s**)\n", buf_str(&place));
}

static void add_point(struct buf *out, const json_t *row, size_t n)
{
    const json_t *points = json_object_get(row, "key_points");
    add_around(out, "- ", json_string_value(json_array_get(points, n)), "\n");
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(row, "citations"), i, citation)
    {
        if (results_number(citation, "point") == (json_int_t)n + 1)
            add_quote(out, citation);
    }
}

// Members of an object or items of an array as a list, each `depth` deep.
static void add_list(struct buf *out, const json_t *value, int depth);

static void add_item(struct buf *out, const char *key, const json_t *value, int depth)
{
    buf_printf(out, "%*s- ", 2 * depth, "");
    if (key)
        add_around(out, "**", key, ":** ");
    bool nests = (json_is_object(value) || json_is_array(value)) && depth < NEST_MAX;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (!nests)
        schema_add_value(value, &text);
    add_around(out, "", buf_str(&text), "\n");
    if (nests)
        add_list(out, value, depth + 1);
}

static void add_list(struct buf *out, const json_t *value, int depth)
{
    const char *key;
    size_t i;
    json_t *item;
    json_object_foreach((json_t *)value, key, item) add_item(out, key, item, depth);
    json_array_foreach(value, i, item) add_item(out, NULL, item, depth);
}

static void add_own_form(struct results_writer *writer, const json_t *row)
{
    struct buf *out = &writer->text;
    json_t *output = results_output(writer, row);
    if (json_is_object(output) || json_is_array(output))
        add_list(out, output, 0);
    else
        add_item(out, NULL, output, 0);
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(row, "citations"), i, citation)
    {
        add_around(out, i ? "- " : "\nQuotes:\n\n- ", results_text(citation, "path"), "\n");
        add_quote(out, citation);
    }
    json_decref(output);
}

static void add_summary(struct results_writer *writer, const json_t *row)
{
    struct buf *out = &writer->text;
    size_t i, points = json_array_size(json_object_get(row, "key_points"));
    json_t *warning;
    json_array_foreach(json_object_get(row, "warnings"), i, warning)
        add_around(out, "> **Warning:** ", json_string_value(warning), "\n");
    buf_add_str(out, i > 0 ? "\n" : "");
    if (results_has_own_form(row)) {
        add_own_form(writer, row);
        return;
    }
    add_around(out, "", results_text(row, "summary"), "\n");
    buf_add_str(out, points > 0 ? "\n" : "");
    for (i = 0; i < points; i++)
        add_point(out, row, i);
}

// ------------------------------------------------------------------------------- a section

static void add_failure(struct buf *out, const json_t *row)
{
    const char *error = results_text(row, "error");
    const char *advice = screen_suggestion(error, results_text(row, "suggestion"));
    struct buf head OWN_BUF;
    buf_init(&head, 0);
    buf_printf(&head, "%s%s%s", results_text(row, "state"),
               results_text(row, "error_code") ? ", " : "",
               results_text(row, "error_code") ? results_text(row, "error_code") : "");
    add_around(out, "**", buf_str(&head), "**: ");
    add_around(out, "", error ? error : "no reason was given", advice ? " " : "\n");
    if (advice)
        add_around(out, "", advice, "\n");
}

static void add_labels(struct buf *out, const json_t *labels)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)labels, key, value)
        buf_printf(out, "; %s=%s", key, json_string_value(value));
}

static void add_note(struct buf *out, const json_t *row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_printf(&text, "job %s", results_text(row, "job_id"));
    if (results_number(row, "revision") > 0)
        buf_printf(&text, ", revision %" JSON_INTEGER_FORMAT, results_number(row, "revision"));
    if (results_text(row, "model"))
        buf_printf(&text,
                   "; %s, prompt %s; %" JSON_INTEGER_FORMAT " tokens in, %" JSON_INTEGER_FORMAT
                   " out",
                   results_text(row, "model"), results_text(row, "prompt_version"),
                   results_number(row, "input_tokens"), results_number(row, "output_tokens"));
    buf_printf(&text, "; $%s", results_text(row, "cost_usd"));
    add_labels(&text, json_object_get(row, "labels"));
    add_around(out, "\n*", buf_str(&text), "*\n");
}

static void markdown_row(struct results_writer *writer, const json_t *row)
{
    add_around(&writer->text, "\n## ", results_title(row), "\n\n");
    if (strcmp(results_text(row, "state"), "done") == 0)
        add_summary(writer, row);
    else
        add_failure(&writer->text, row);
    add_note(&writer->text, row);
}

const struct results_form results_markdown = {
    .name = "markdown", .begin = markdown_begin, .object = markdown_row};
