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
    struct invocation *invocation; // what a form needs beside the rows is asked by it
    const struct batch_name *name;
    const char *format; // one of RESULTS_FORMATS, or "json": an array
    bool failed;        // only what failed or was cancelled
    bool all_revisions;
    bool bom; // CSV begins with a byte order mark
    FILE *file;
};

bool results_format_ok(const char *format);
// Writes everything; an exit code. *out_count: the rows.
int results_write(const struct results_order *order, size_t *out_count);

#endif
