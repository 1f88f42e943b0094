// SPDX-License-Identifier: Apache-2.0
// What the forms of `precis results` share: the writer, a row as JSON, and the schemas that the
// batch's jobs asked for.
//
// table, json and jsonl hold the summaries, or with --failed what failed. csv, markdown and html
// hold every job that has ended (with --failed only what failed): people look for a document in
// them, whatever came of it.
#ifndef PRECIS_CMD_RESULTS_FORMS_H
#define PRECIS_CMD_RESULTS_FORMS_H

#include <jansson.h>

#include "cmd/results_write.h"
#include "core/schema_columns.h"

struct results_writer {
    struct results_order order;
    const struct results_form *form;
    struct results_schemas *schemas;
    struct table *table;
    struct schema_columns *columns;
    struct buf text;     // written after each group of rows
    bool open, in_parts; // of the HTML report
    size_t count;
};

struct results_form {
    const char *name;
    bool (*begin)(struct results_writer *writer); // may be NULL; false: it was said why
    // Exactly one of these. `row` is what the database says; `object` is the row as JSON.
    void (*row)(struct results_writer *writer, const struct pg_rows *rows, size_t row);
    void (*json)(struct results_writer *writer, const char *json);
    void (*object)(struct results_writer *writer, const json_t *row);
    void (*end)(struct results_writer *writer); // may be NULL
};

extern const struct results_form results_csv, results_markdown, results_html;

// Members of a row: NULL and 0 where they are null or not there.
const char *results_text(const json_t *row, const char *name);
json_int_t results_number(const json_t *row, const char *name);
// The document's name, else the job's id.
const char *results_title(const json_t *row);
// The summary is an object of the user's own form.
bool results_has_own_form(const json_t *row);
// Its output with the members in the order of the job's schema. A new reference.
json_t *results_output(const struct results_writer *writer, const json_t *row);
// How many of a row's quotes stand in its document, and how many do not.
void results_count_quotes(const json_t *row, size_t *out_found, size_t *out_missing);
// "page 3, characters 120 to 180", or "not found in the document".
void results_add_place(struct buf *out, const json_t *citation);

// The schemas of the batch, the most frequent first; at most 200, the outputs of others keep
// PostgreSQL's order. NULL: it was said why.
struct results_schemas *results_schemas_load(const struct results_order *order);
void results_schemas_free(struct results_schemas *schemas);
size_t results_schemas_count(const struct results_schemas *schemas);
const json_t *results_schemas_get(const struct results_schemas *schemas, size_t i);

#endif
