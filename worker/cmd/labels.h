// SPDX-License-Identifier: Apache-2.0
// Labels of jobs to submit: the same ones for all (--label k=v), and a table with a row for each
// document (--labels-from). The table's first line has the names; the column called id, file, path,
// name or document says which document a row is about, by its path below the folder, its last part
// or its job id; the others are labels. Empty cells are none. Backslashes count as slashes.
#ifndef PRECIS_CMD_LABELS_H
#define PRECIS_CMD_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct labels;

struct labels *labels_new(void);
void labels_free(struct labels *labels);
// "k=v". False: no such form.
bool labels_add(struct labels *labels, const char *pair);
// Reads the table. False with a sentence in `problem`.
bool labels_load(struct labels *labels, const char *path, char *problem, size_t problem_bytes);
// Those of a document, a new reference: the row's win over those for all. `name` may be NULL.
json_t *labels_of(struct labels *labels, const char *id, const char *name);
// Says on stderr which lines of the table no document asked for, and which documents have none.
void labels_tell(const struct labels *labels);

#endif
