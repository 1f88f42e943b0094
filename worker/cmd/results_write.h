// SPDX-License-Identifier: Apache-2.0
// The forms of `precis results`. Rows come from PostgreSQL in groups, so that a batch of half a
// million results needs no more memory than a group (a table keeps them all, to align them).
// Text in them is a model's or a document's: it is cleaned, escaped for the form, and in CSV kept
// from being a formula.
#ifndef PRECIS_CMD_RESULTS_WRITE_H
#define PRECIS_CMD_RESULTS_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/ask.h"

#define RESULTS_FORMATS "table, jsonl, csv, markdown, html"

struct results_writer;

struct results_order {
    const char *format; // one of RESULTS_FORMATS, or "json": an array
    bool failed;        // rows are failed jobs, not summaries
    const char *batch;  // for titles
    FILE *file;
};

bool results_format_ok(const char *format);
// The order is copied, what it points at borrowed.
struct results_writer *results_writer_new(const struct results_order *order);
// Whether rows are to be one JSON object each.
bool results_writer_wants_json(const struct results_writer *writer);
// Of the shape that ask_each wants; the context is the writer.
bool results_writer_rows(void *writer, const struct pg_rows *rows);
// Writes what is left and frees; the number of rows.
size_t results_writer_end(struct results_writer *writer);

#endif
