// SPDX-License-Identifier: Apache-2.0
// A job's answer for a person: paragraphs, quotes with their places, and an answer in a form of its
// own as a line a value, in the order of its schema, with what the document does not say at the
// end.
#ifndef PRECIS_CMD_SHOW_OUTPUT_H
#define PRECIS_CMD_SHOW_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "io/pg_query.h"

// A paragraph within the terminal's width, behind `first`, which is text of ours.
void show_wrapped(const char *first, const char *text);
// The quote of that row of the citations, and where it stands; its path before it where `path`.
void show_quote(const char *first, const struct pg_rows *citations, size_t row, bool path);
// `output` and `schema` are JSON texts; without a schema (NULL) the members are in the order that
// they have. `citations` may be NULL.
void show_output(const char *output, const char *schema, const struct pg_rows *citations);

#endif
