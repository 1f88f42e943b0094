// SPDX-License-Identifier: Apache-2.0
// One job in the HTML report.
//
// Quotes are printed below what they stand for: a key point, or a leaf of the user's own form, by
// its JSON Pointer. What is left over (a quote for a point that is not there) comes at the end, so
// that none is lost. Which ones were printed is marked in the row.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/html.h"
#include "cmd/results_page.h"
#include "cmd/screen.h"
#include "core/visible.h"

#define NEST_MAX    8   // tables within tables; deeper values are JSON
#define COLUMNS_MAX 6   // of a table made of an array of objects
#define LEAD_BYTES  400 // of the line under a closed document's name

static bool is_done(const json_t *row)
{
    return strcmp(results_text(row, "state"), "done") == 0;
}

// ------------------------------------------------------------------------------- quotes

static void add_quote(struct buf *out, json_t *citation)
{
    bool found = json_is_true(json_object_get(citation, "found"));
    struct buf place OWN_BUF;
    buf_init(&place, 0);
    results_add_place(&place, citation);
    buf_printf(out, "<blockquote%s dir=\"auto\">\u201c", found ? "" : " class=\"missing\"");
    html_add(out, results_text(citation, "quote"));
    buf_add_str(out, "\u201d <span class=\"at\" dir=\"ltr\">");
    html_add(out, buf_str(&place));
    buf_add_str(out, "</span></blockquote>");
    json_object_set_new(citation, "printed", json_true());
}

static bool is_of(const json_t *citation, json_int_t point, const char *path)
{
    const char *of = results_text(citation, "path");
    return path ? of && strcmp(of, path) == 0 : results_number(citation, "point") == point;
}

static void add_quotes(struct buf *out, const json_t *row, json_int_t point, const char *path)
{
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(row, "citations"), i, citation)
    {
        if (!json_object_get(citation, "printed") && is_of(citation, point, path))
            add_quote(out, citation);
    }
}

static void add_other_quotes(struct buf *out, const json_t *row)
{
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(row, "citations"), i, citation)
    {
        if (json_object_get(citation, "printed"))
            continue;
        const char *path = results_text(citation, "path");
        buf_add_str(out, "<div>");
        if (path)
            html_add_element(out, "code", path);
        add_quote(out, citation);
        buf_add_str(out, "</div>\n");
    }
}

// ------------------------------------------------------------------------------- own forms

struct form {
    struct buf *out;
    const json_t *row;
    struct buf path; // JSON Pointer of the value at hand
    int depth;
};

static void add_value(struct form *form, const json_t *value);

// The pointer's next part; the length to go back to.
static size_t go_to(struct form *form, const char *key)
{
    size_t before = form->path.len;
    buf_add_char(&form->path, '/');
    for (; *key; key++) {
        if (*key == '~' || *key == '/')
            buf_add_str(&form->path, *key == '~' ? "~0" : "~1");
        else
            buf_add_char(&form->path, *key);
    }
    return before;
}

static void go_back(struct form *form, size_t before)
{
    form->path.len = before;
    if (form->path.data)
        form->path.data[before] = '\0';
}

static void add_member(struct form *form, const char *key, const json_t *value)
{
    size_t before = go_to(form, key);
    add_value(form, value);
    go_back(form, before);
}

static void add_at(struct form *form, size_t i, const json_t *value)
{
    char key[24];
    snprintf(key, sizeof(key), "%zu", i);
    add_member(form, key, value);
}

static void add_key(struct buf *out, const char *tag, const char *key)
{
    char *words OWN_FREE = own_strdup(key);
    for (char *c = words; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    html_add_element(out, tag, words);
}

static void add_object(struct form *form, const json_t *value)
{
    const char *key;
    json_t *member;
    buf_add_str(form->out, "<table class=\"fields\"><tbody>\n");
    json_object_foreach((json_t *)value, key, member)
    {
        buf_add_str(form->out, "<tr>");
        add_key(form->out, "th", key);
        buf_add_str(form->out, "<td>");
        add_member(form, key, member);
        buf_add_str(form->out, "</td></tr>\n");
    }
    buf_add_str(form->out, "</tbody></table>");
}

// Whether all items are objects of a few members without objects in them.
static bool is_tabular(const json_t *array)
{
    size_t i;
    json_t *item, *member;
    const char *key;
    json_array_foreach(array, i, item)
    {
        if (!json_is_object(item) || json_object_size(item) > COLUMNS_MAX ||
            json_object_size(item) < 2)
            return false;
        json_object_foreach(item, key, member)
        {
            if (json_is_object(member) || json_is_array(member) ||
                !json_object_get(json_array_get(array, 0), key))
                return false;
        }
    }
    return true;
}

static void add_table(struct form *form, const json_t *array)
{
    const char *key;
    size_t i;
    json_t *item, *any;
    buf_add_str(form->out, "<div class=\"wide\"><table class=\"rows\"><thead><tr>");
    json_object_foreach(json_array_get(array, 0), key, any) add_key(form->out, "th", key);
    buf_add_str(form->out, "</tr></thead>\n<tbody>\n");
    json_array_foreach(array, i, item)
    {
        buf_add_str(form->out, "<tr>");
        char number[24];
        snprintf(number, sizeof(number), "%zu", i);
        size_t before = go_to(form, number);
        json_object_foreach(json_array_get(array, 0), key, any)
        {
            buf_add_str(form->out, "<td>");
            add_member(form, key, json_object_get(item, key));
            buf_add_str(form->out, "</td>");
        }
        go_back(form, before);
        buf_add_str(form->out, "</tr>\n");
    }
    buf_add_str(form->out, "</tbody></table></div>");
}

static void add_array(struct form *form, const json_t *array)
{
    size_t i;
    json_t *item;
    if (is_tabular(array)) {
        add_table(form, array);
        return;
    }
    buf_add_str(form->out, "<ul>");
    json_array_foreach(array, i, item)
    {
        buf_add_str(form->out, "<li>");
        add_at(form, i, item);
        buf_add_str(form->out, "</li>\n");
    }
    buf_add_str(form->out, "</ul>");
}

static bool is_empty(const json_t *value)
{
    const char *text = json_string_value(value);
    return !value || json_is_null(value) || (text && !*text) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

static void add_leaf(struct buf *out, const json_t *value)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    schema_add_value(value, &text);
    buf_add_str(out, "<span class=\"text\" dir=\"auto\">");
    html_add_lines(out, buf_str(&text));
    buf_add_str(out, "</span>");
}

static void add_value(struct form *form, const json_t *value)
{
    form->depth++;
    if (is_empty(value))
        buf_add_str(form->out, "<span class=\"none\">\u2013</span>");
    else if (form->depth <= NEST_MAX && json_is_object(value))
        add_object(form, value);
    else if (form->depth <= NEST_MAX && json_is_array(value))
        add_array(form, value);
    else
        add_leaf(form->out, value);
    add_quotes(form->out, form->row, -1, buf_str(&form->path));
    form->depth--;
}

static void add_own_form(struct results_writer *writer, const json_t *row)
{
    struct form form = {.out = &writer->text, .row = row};
    buf_init(&form.path, 0);
    json_t *output = results_output(writer, row);
    add_value(&form, output);
    json_decref(output);
    buf_deinit(&form.path);
}

// ------------------------------------------------------------------------------- summaries

static void add_points(struct buf *out, const json_t *row)
{
    const json_t *points = json_object_get(row, "key_points");
    size_t i;
    json_t *point;
    if (json_array_size(points) == 0)
        return;
    buf_add_str(out, "<ul class=\"points\"");
    html_add_language(out, results_text(row, "language"));
    buf_add_str(out, ">\n");
    json_array_foreach(points, i, point)
    {
        buf_add_str(out, "<li dir=\"auto\">");
        html_add(out, json_string_value(point));
        add_quotes(out, row, (json_int_t)i + 1, NULL);
        buf_add_str(out, "</li>\n");
    }
    buf_add_str(out, "</ul>\n");
}

static void add_summary(struct results_writer *writer, const json_t *row)
{
    struct buf *out = &writer->text;
    if (results_has_own_form(row)) {
        add_own_form(writer, row);
    } else {
        buf_add_str(out, "<p class=\"text\" dir=\"auto\"");
        html_add_language(out, results_text(row, "language"));
        buf_add_str(out, ">");
        html_add_lines(out, results_text(row, "summary"));
        buf_add_str(out, "</p>\n");
        add_points(out, row);
    }
    add_other_quotes(out, row);
}

static void add_warnings(struct buf *out, const json_t *row)
{
    const json_t *warnings = json_object_get(row, "warnings");
    size_t i;
    json_t *warning;
    if (json_array_size(warnings) == 0)
        return;
    buf_add_str(out, "<ul class=\"warnings\">");
    json_array_foreach(warnings, i, warning)
        html_add_element(out, "li dir=\"auto\"", json_string_value(warning));
    buf_add_str(out, "</ul>\n");
}

static void add_failure(struct buf *out, const json_t *row)
{
    const char *error = results_text(row, "error"), *code = results_text(row, "error_code");
    const char *advice = screen_suggestion(error, results_text(row, "suggestion"));
    buf_add_str(out, "<div class=\"error\">");
    html_add_element(out, "code class=\"code\"", code ? code : results_text(row, "state"));
    html_add_element(out, "p", error ? error : "No reason was given.");
    if (advice)
        html_add_element(out, "p", advice);
    buf_add_str(out, "</div>\n");
}

// ------------------------------------------------------------------------------- the rest

static void add_labels(struct buf *out, const json_t *labels)
{
    const char *key;
    json_t *value;
    if (json_object_size(labels) == 0)
        return;
    buf_add_str(out, "<div class=\"labels\">");
    json_object_foreach((json_t *)labels, key, value)
    {
        struct buf label OWN_BUF;
        buf_init(&label, 0);
        buf_printf(&label, "%s: %s", key, json_string_value(value));
        html_add_element(out, "span class=\"chip\"", buf_str(&label));
        buf_add_char(out, ' ');
    }
    buf_add_str(out, "</div>\n");
}

// "<span>words <b>text</b></span>", where there is a text.
static void add_fact(struct buf *out, const char *words, const char *text)
{
    if (!text || !*text)
        return;
    buf_printf(out, "<span>%s ", words);
    html_add_element(out, "b", text);
    buf_add_str(out, "</span>\n");
}

static void add_number_fact(struct buf *out, const char *words, const json_t *row, const char *name)
{
    struct buf digits OWN_BUF, text OWN_BUF;
    buf_init(&digits, 0);
    buf_init(&text, 0);
    if (results_number(row, name) == 0)
        return;
    buf_printf(&digits, "%" JSON_INTEGER_FORMAT, results_number(row, name));
    screen_add_count(&text, buf_str(&digits));
    add_fact(out, words, buf_str(&text));
}

static void add_time_facts(struct buf *out, const json_t *row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *ended = results_text(row, "finished_at");
    if (ended)
        buf_printf(&text, "%.10s %.8s UTC", ended, strlen(ended) > 19 ? ended + 11 : "");
    add_fact(out, "ended", buf_str(&text));
    buf_clear(&text);
    if (results_number(row, "took_ms") > 0)
        screen_add_duration_ms(&text, results_number(row, "took_ms"));
    add_fact(out, "took", buf_str(&text));
}

static void add_cost_fact(struct buf *out, const json_t *row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_money(&text, results_text(row, "cost_usd"));
    add_fact(out, "cost", buf_str(&text));
}

static void add_facts(struct buf *out, const json_t *row)
{
    const char *model = results_text(row, "response_model");
    buf_add_str(out, "<div class=\"meta\">\n");
    add_fact(out, "job", results_text(row, "job_id"));
    add_number_fact(out, "revision", row, "revision");
    add_number_fact(out, "pages", row, "pages");
    add_fact(out, "language", results_text(row, "language"));
    add_fact(out, "model", model ? model : results_text(row, "model"));
    add_fact(out, "prompt", results_text(row, "prompt_version"));
    add_number_fact(out, "tokens in", row, "input_tokens");
    add_number_fact(out, "tokens out", row, "output_tokens");
    add_number_fact(out, "calls", row, "attempts");
    add_cost_fact(out, row);
    add_time_facts(out, row);
    add_fact(out, "answer of", results_text(row, "cached_from"));
    add_fact(out, "from", results_text(row, "document_uri"));
    buf_add_str(out, "</div>\n");
}

// ------------------------------------------------------------------------------- its line

static void add_chip(struct buf *out, const char *style, size_t count, const char *one,
                     const char *many)
{
    if (count > 0)
        buf_printf(out, "<span class=\"chip %s\">%zu %s</span> ", style, count,
                   count == 1 ? one : many);
}

// The beginning of the summary, for the closed document.
static void add_lead(struct results_writer *writer, const json_t *row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *words = results_text(row, "summary");
    if (!is_done(row))
        words = results_text(row, "error");
    if (words) {
        buf_add_str(&text, words);
    } else {
        json_t *output = results_output(writer, row), *member;
        const char *key;
        json_object_foreach(output, key, member)
        {
            if (text.len < LEAD_BYTES && !json_is_object(member) && !is_empty(member)) {
                buf_printf(&text, "%s%s: ", text.len ? " \u00b7 " : "", key);
                schema_add_value(member, &text);
            }
        }
        json_decref(output);
    }
    char lead[LEAD_BYTES];
    visible_line(lead, sizeof(lead), buf_str(&text), text.len);
    html_add_element(&writer->text, "p class=\"lead\" dir=\"auto\"", lead);
}

static void add_line(struct results_writer *writer, const json_t *row)
{
    struct buf *out = &writer->text;
    size_t found, missing;
    results_count_quotes(row, &found, &missing);
    buf_add_str(out, "<summary><div>");
    html_add_element(out, "h3 dir=\"auto\"", results_title(row));
    if (!is_done(row))
        html_add_element(out, "span class=\"chip bad\"", results_text(row, "state"));
    add_chip(out, "warn", json_array_size(json_object_get(row, "warnings")), "warning", "warnings");
    add_chip(out, "bad", missing, "quote not found", "quotes not found");
    buf_add_str(out, "<span class=\"money\">");
    screen_add_money(out, results_text(row, "cost_usd"));
    buf_add_str(out, "</span></div>\n");
    add_lead(writer, row);
    buf_add_str(out, "</summary>\n");
}

// What the page's script orders and chooses by: numbers, and a state of ours.
static void add_data(struct buf *out, const json_t *row)
{
    size_t found, missing;
    results_count_quotes(row, &found, &missing);
    const char *cost = results_text(row, "cost_usd");
    buf_printf(out, " data-state=\"%s\" data-warnings=\"%zu\" data-missing=\"%zu\"",
               is_done(row) ? "done" : "failed", json_array_size(json_object_get(row, "warnings")),
               missing);
    buf_printf(out,
               " data-cost=\"%.12g\" data-took=\"%" JSON_INTEGER_FORMAT
               "\" data-ended=\"%" JSON_INTEGER_FORMAT "\"",
               cost ? strtod(cost, NULL) : 0, results_number(row, "took_ms"),
               results_number(row, "ended_s"));
}

void results_page_document(struct results_writer *writer, const json_t *row, bool open)
{
    struct buf *out = &writer->text;
    buf_add_str(out, "<details class=\"doc\"");
    add_data(out, row);
    buf_add_str(out, open ? " open>\n" : ">\n");
    add_line(writer, row);
    buf_add_str(out, "<div class=\"body\">\n");
    add_warnings(out, row);
    if (is_done(row))
        add_summary(writer, row);
    else
        add_failure(out, row);
    add_labels(out, json_object_get(row, "labels"));
    add_facts(out, row);
    buf_add_str(out, "</div>\n</details>\n");
}
