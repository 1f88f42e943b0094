// SPDX-License-Identifier: Apache-2.0
// Results as a table, JSON, CSV, Markdown and HTML.
#include "cmd/results_write.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/csv.h"
#include "cmd/screen.h"
#include "cmd/table.h"

struct form {
    const char *name;
    void (*begin)(struct results_writer *writer);
    void (*row)(struct results_writer *writer, const struct pg_rows *rows, size_t row);
    void (*end)(struct results_writer *writer);
};

struct results_writer {
    struct results_order order;
    const struct form *form;
    struct table *table;
    struct buf text; // of the group, written after it
    size_t count;
};

// ------------------------------------------------------------------------------- table

static const struct table_column summary_columns[] = {
    {"JOB", TABLE_FOLD},  {"SUMMARY", TABLE_WRAP}, {"TOKENS IN", TABLE_RIGHT},
    {"OUT", TABLE_RIGHT}, {"COST", TABLE_RIGHT},   {NULL, TABLE_LEFT},
};

static const struct table_column failed_columns[] = {
    {"JOB", TABLE_FOLD},   {"STATE", TABLE_LEFT}, {"CODE", TABLE_LEFT},
    {"ERROR", TABLE_WRAP}, {"COST", TABLE_RIGHT}, {NULL, TABLE_LEFT},
};

static void table_begin(struct results_writer *writer)
{
    writer->table = table_new(writer->order.failed ? failed_columns : summary_columns);
}

static void add_job(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, ask_value(rows, row, "job_id"));
    if (ask_number(rows, row, "revision") > 0)
        buf_printf(&text, " (revision %s)", ask_value(rows, row, "revision"));
    table_take(writer->table, &text);
}

static const char *summary_or_output(const struct pg_rows *rows, size_t row)
{
    const char *summary = ask_value(rows, row, "summary");
    return summary ? summary : ask_value(rows, row, "output");
}

static void add_money(struct table *table, const char *usd)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_money(&text, usd);
    table_take(table, &text);
}

static void add_count(struct table *table, const char *digits)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    screen_add_count(&text, digits);
    table_take(table, &text);
}

static void table_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    struct table *table = writer->table;
    add_job(writer, rows, row);
    if (writer->order.failed) {
        const char *state = ask_value(rows, row, "state");
        table_add_styled(table, state, screen_style_of_state(state));
        table_add(table, ask_value(rows, row, "error_code"));
        table_add(table, ask_value(rows, row, "error"));
    } else {
        table_add(table, summary_or_output(rows, row));
        add_count(table, ask_value(rows, row, "input_tokens"));
        add_count(table, ask_value(rows, row, "output_tokens"));
    }
    add_money(table, ask_value(rows, row, "cost_usd"));
}

static void table_end(struct results_writer *writer)
{
    if (writer->count > 0)
        table_print(writer->table, writer->order.file);
    table_free(writer->table);
}

// ------------------------------------------------------------------------------- JSON

static void jsonl_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    screen_add_json(&writer->text, pg_rows_get(rows, row, 0));
    buf_add_char(&writer->text, '\n');
}

static void json_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    buf_add_str(&writer->text, writer->count > 0 ? ",\n" : "[\n");
    screen_add_json(&writer->text, pg_rows_get(rows, row, 0));
}

static void json_end(struct results_writer *writer)
{
    buf_add_str(&writer->text, writer->count > 0 ? "\n]\n" : "[]\n");
}

// ------------------------------------------------------------------------------- CSV

static const char *const summary_cells[] = {
    "tenant",      "batch",      "job_id",       "revision",      "document_name",
    "summary",     "key_points", "output",       "warnings",      "labels",
    "language",    "model",      "input_tokens", "output_tokens", "cost_usd",
    "finished_at", NULL};
static const char *const failed_cells[] = {
    "tenant",     "batch",    "job_id", "revision", "state",       "error_code", "error",
    "suggestion", "attempts", "labels", "cost_usd", "finished_at", NULL};

static void csv_begin(struct results_writer *writer)
{
    const char *const *names = writer->order.failed ? failed_cells : summary_cells;
    for (size_t i = 0; names[i]; i++)
        csv_add_cell(&writer->text, names[i], names[i + 1] != NULL);
}

// Strings of a JSON array with a line feed between, for a cell.
static void join_strings(struct buf *out, const json_t *array, const char *between)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        if (i > 0)
            buf_add_str(out, between);
        screen_add_text(out, json_string_value(item) ? json_string_value(item) : "");
    }
}

static void csv_value(struct buf *out, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value))
        screen_add_text(out, json_string_value(value));
    else if (json_is_array(value))
        join_strings(out, value, "\n");
    else {
        char *text OWN_FREE = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        screen_add_text(out, text);
    }
}

static void csv_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    json_t *object = json_loads(pg_rows_get(rows, row, 0), 0, NULL);
    const char *const *names = writer->order.failed ? failed_cells : summary_cells;
    for (size_t i = 0; names[i]; i++) {
        struct buf cell OWN_BUF;
        buf_init(&cell, 0);
        csv_value(&cell, json_object_get(object, names[i]));
        csv_add_cell(&writer->text, buf_str(&cell), names[i + 1] != NULL);
    }
    json_decref(object);
}

// ------------------------------------------------------------------------------- documents

// Markdown and HTML differ in how text is escaped and what stands around it.
struct marks {
    void (*text)(struct buf *out, const char *text);
    const char *title[2], *job[2], *paragraph[2], *list[2], *item[2], *quote[2], *note[2];
};

static void add_markdown(struct buf *out, const char *text)
{
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    screen_add_line(&line, text);
    for (size_t i = 0; i < line.len; i++) {
        if (strchr("\\`*_[]<>#|~", line.data[i]))
            buf_add_char(out, '\\');
        buf_add_char(out, line.data[i]);
    }
}

static void add_html(struct buf *out, const char *text)
{
    struct buf line OWN_BUF;
    buf_init(&line, 0);
    screen_add_line(&line, text);
    for (size_t i = 0; i < line.len; i++) {
        char c = line.data[i];
        if (strchr("&<>\"'", c))
            buf_printf(out, "&#%d;", c);
        else
            buf_add_char(out, c);
    }
}

static const struct marks markdown = {
    .text = add_markdown,
    .title = {"# ", "\n"},
    .job = {"\n## ", "\n\n"},
    .paragraph = {"", "\n"},
    .list = {"\n", ""},
    .item = {"- ", "\n"},
    .quote = {"\n  > ", ""},
    .note = {"\n*", "*\n"},
};

static const struct marks html = {
    .text = add_html,
    .title =
        {"<!doctype html>\n<meta charset=\"utf-8\">\n"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'\">\n<style>body{font:16px/1.5 sans-serif;max-width:50em;margin:2em "
         "auto;padding:0 1em}blockquote{color:#555;margin:.2em 1em}small{color:#555}"
         "</style>\n<h1>",
         "</h1>\n"},
    .job = {"<h2>", "</h2>\n"},
    .paragraph = {"<p>", "</p>\n"},
    .list = {"<ul>\n", "</ul>\n"},
    .item = {"<li>", "</li>\n"},
    .quote = {"<blockquote>", "</blockquote>"},
    .note = {"<p><small>", "</small></p>\n"},
};

static void add_marked(struct buf *out, const struct marks *marks, const char *const around[2],
                       const char *text)
{
    buf_add_str(out, around[0]);
    marks->text(out, text);
    buf_add_str(out, around[1]);
}

static void add_quote(struct buf *out, const struct marks *marks, const json_t *citation)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_printf(&text, "\u201c%s\u201d%s", json_string_value(json_object_get(citation, "quote")),
               json_is_true(json_object_get(citation, "found")) ? ""
                                                                : " (not found in the document)");
    add_marked(out, marks, marks->quote, buf_str(&text));
}

// A key point with its quotes.
static void add_point(struct buf *out, const struct marks *marks, const json_t *object, size_t n)
{
    buf_add_str(out, marks->item[0]);
    marks->text(out, json_string_value(json_array_get(json_object_get(object, "key_points"), n)));
    size_t i;
    json_t *citation;
    json_array_foreach(json_object_get(object, "citations"), i, citation)
    {
        if (json_integer_value(json_object_get(citation, "point")) == (json_int_t)n + 1)
            add_quote(out, marks, citation);
    }
    buf_add_str(out, marks->item[1]);
}

static void add_note(struct buf *out, const struct marks *marks, const json_t *object)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const json_t *model = json_object_get(object, "model");
    if (json_is_string(model))
        buf_printf(&text, "%s, %" JSON_INTEGER_FORMAT " tokens in, %" JSON_INTEGER_FORMAT " out, ",
                   json_string_value(model),
                   json_integer_value(json_object_get(object, "input_tokens")),
                   json_integer_value(json_object_get(object, "output_tokens")));
    buf_printf(&text, "$%s", json_string_value(json_object_get(object, "cost_usd")));
    if (json_array_size(json_object_get(object, "warnings")) > 0) {
        buf_add_str(&text, "; ");
        join_strings(&text, json_object_get(object, "warnings"), "; ");
    }
    add_marked(out, marks, marks->note, buf_str(&text));
}

static void add_failure(struct buf *out, const struct marks *marks, const json_t *object)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    const char *error = json_string_value(json_object_get(object, "error"));
    buf_printf(&text, "%s: %s", json_string_value(json_object_get(object, "state")),
               error ? error : "no reason was given");
    add_marked(out, marks, marks->paragraph, buf_str(&text));
}

static void add_summary(struct buf *out, const struct marks *marks, const json_t *object)
{
    const char *summary = json_string_value(json_object_get(object, "summary"));
    char *output OWN_FREE =
        summary ? NULL
                : json_dumps(json_object_get(object, "output"), JSON_COMPACT | JSON_ENCODE_ANY);
    add_marked(out, marks, marks->paragraph, summary ? summary : output);
    size_t points = json_array_size(json_object_get(object, "key_points"));
    if (points > 0)
        buf_add_str(out, marks->list[0]);
    for (size_t i = 0; i < points; i++)
        add_point(out, marks, object, i);
    if (points > 0)
        buf_add_str(out, marks->list[1]);
}

static void document_row(struct results_writer *writer, const struct marks *marks, const char *json)
{
    json_t *object = json_loads(json, 0, NULL);
    if (writer->count == 0)
        add_marked(&writer->text, marks, marks->title, writer->order.batch);
    const char *name = json_string_value(json_object_get(object, "document_name"));
    const char *id = json_string_value(json_object_get(object, "job_id"));
    add_marked(&writer->text, marks, marks->job, name ? name : id);
    if (writer->order.failed)
        add_failure(&writer->text, marks, object);
    else
        add_summary(&writer->text, marks, object);
    add_note(&writer->text, marks, object);
    json_decref(object);
}

static void markdown_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    document_row(writer, &markdown, pg_rows_get(rows, row, 0));
}

static void html_row(struct results_writer *writer, const struct pg_rows *rows, size_t row)
{
    document_row(writer, &html, pg_rows_get(rows, row, 0));
}

// ------------------------------------------------------------------------------- the writer

static const struct form forms[] = {
    {"table", table_begin, table_row, table_end},
    {"json", NULL, json_row, json_end},
    {"jsonl", NULL, jsonl_row, NULL},
    {"csv", csv_begin, csv_row, NULL},
    {"markdown", NULL, markdown_row, NULL},
    {"html", NULL, html_row, NULL},
};

static const struct form *find_form(const char *name)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        if (strcmp(forms[i].name, name) == 0)
            return &forms[i];
    return NULL;
}

bool results_format_ok(const char *format)
{
    return find_form(format) != NULL;
}

struct results_writer *results_writer_new(const struct results_order *order)
{
    struct results_writer *writer = own_alloc(sizeof(*writer));
    writer->order = *order;
    writer->form = find_form(order->format);
    buf_init(&writer->text, 0);
    if (writer->form->begin)
        writer->form->begin(writer);
    return writer;
}

bool results_writer_wants_json(const struct results_writer *writer)
{
    return writer->form->row != table_row;
}

static bool write_text(struct results_writer *writer)
{
    size_t len = writer->text.len;
    bool good = len == 0 || fwrite(writer->text.data, 1, len, writer->order.file) == len;
    buf_clear(&writer->text);
    return good;
}

bool results_writer_rows(void *context, const struct pg_rows *rows)
{
    struct results_writer *writer = context;
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        writer->form->row(writer, rows, i);
        writer->count++;
    }
    return write_text(writer);
}

size_t results_writer_end(struct results_writer *writer)
{
    size_t count = writer->count;
    if (writer->form->end)
        writer->form->end(writer);
    write_text(writer);
    buf_deinit(&writer->text);
    free(writer);
    return count;
}
