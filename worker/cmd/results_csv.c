// SPDX-License-Identifier: Apache-2.0
// Results as CSV: a row a job that has ended. Beside the fixed columns there is one for each field
// of the schemas that the batch's jobs asked for (core/schema_columns.h), and `other` for what the
// schemas do not name.
#include <string.h>

#include "base/own.h"
#include "cmd/csv.h"
#include "cmd/results_forms.h"
#include "cmd/screen.h"

// The fixed columns; the fields stand after the first eight.
static const char *const fixed[] = {
    "tenant",         "batch",          "job_id",          "revision",
    "state",          "document_name",  "summary",         "key_points",
    "other",          "warning_count",  "warnings",        "quotes_found",
    "quotes_missing", "labels",         "language",        "pages",
    "model",          "prompt_version", "input_tokens",    "output_tokens",
    "cost_usd",       "finished_at",    "error_code",      "error",
    "suggestion",     "document_uri",   "document_sha256", NULL};
#define BEFORE 8

// Empties `cell`.
static void add_cell(struct buf *out, struct buf *cell, bool more)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    screen_add_text(&clean, buf_str(cell));
    csv_add_cell(out, buf_str(&clean), more);
    buf_clear(cell);
}

static bool csv_begin(struct results_writer *writer)
{
    struct buf *out = &writer->text;
    writer->columns = schema_columns_new(fixed);
    for (size_t i = 0; i < results_schemas_count(writer->schemas); i++)
        schema_columns_add(writer->columns,
                           json_object_get(results_schemas_get(writer->schemas, i), "schema"));
    if (writer->order.bom)
        buf_add_str(out, "\xef\xbb\xbf");
    for (size_t i = 0; i < BEFORE; i++)
        csv_add_cell(out, fixed[i], true);
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    for (size_t i = 0; i < schema_columns_count(writer->columns); i++) {
        buf_add_str(&name, schema_columns_name(writer->columns, i));
        add_cell(out, &name, true);
    }
    for (size_t i = BEFORE; fixed[i]; i++)
        csv_add_cell(out, fixed[i], fixed[i + 1] != NULL);
    return true;
}

// Sentences of an array, each on a line of its own within the cell.
static void add_lines(struct buf *cell, const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        buf_add_str(cell, i > 0 ? "\n" : "");
        schema_add_value(item, cell);
    }
}

static void add_fixed(struct buf *cell, const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    size_t found, missing;
    results_count_quotes(row, &found, &missing);
    if (strcmp(name, "warning_count") == 0)
        buf_printf(cell, "%zu", json_array_size(json_object_get(row, "warnings")));
    else if (strcmp(name, "quotes_found") == 0)
        buf_printf(cell, "%zu", found);
    else if (strcmp(name, "quotes_missing") == 0)
        buf_printf(cell, "%zu", missing);
    else if (json_is_array(value))
        add_lines(cell, value);
    else
        schema_add_value(value, cell);
}

static void csv_row(struct results_writer *writer, const json_t *row)
{
    struct buf cell OWN_BUF;
    buf_init(&cell, 0);
    json_t *output = results_has_own_form(row) ? results_output(writer, row) : NULL;
    for (size_t i = 0; fixed[i]; i++) {
        for (size_t f = 0; i == BEFORE && f < schema_columns_count(writer->columns); f++) {
            schema_columns_add_cell(writer->columns, f, output, &cell);
            add_cell(&writer->text, &cell, true);
        }
        if (i == BEFORE)
            schema_columns_add_rest(writer->columns, output, &cell);
        else
            add_fixed(&cell, row, fixed[i]);
        add_cell(&writer->text, &cell, fixed[i + 1] != NULL);
    }
    json_decref(output);
}

const struct results_form results_csv = {.name = "csv", .begin = csv_begin, .object = csv_row};
