// SPDX-License-Identifier: Apache-2.0
// What the columns of a table are when a user's JSON Schema says what a result looks like, and what
// stands in its cells.
//
// Objects become dotted columns (`rent.amount`), in the order in which the schema names them;
// arrays and everything else are one column. $ref within the schema, allOf, anyOf and oneOf are
// followed. Schemas are added one after the other, so that a batch with several has the columns of
// all of them; a column that is there already is not added again. The JSON texts keep no more than
// 16 digits of a number that is no integer.
#ifndef PRECIS_CORE_SCHEMA_COLUMNS_H
#define PRECIS_CORE_SCHEMA_COLUMNS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SCHEMA_COLUMNS_MAX   1000 // fields beyond it are in schema_columns_add_rest
#define SCHEMA_COLUMNS_DEPTH 8    // objects deeper than it are one column

struct schema_columns;

// A column whose name is among `taken` (NULL-ended, borrowed) is called "output.<name>".
struct schema_columns *schema_columns_new(const char *const *taken);
void schema_columns_free(struct schema_columns *columns);
// A schema without properties is the one column "output".
void schema_columns_add(struct schema_columns *columns, const json_t *schema);

size_t schema_columns_count(const struct schema_columns *columns);
const char *schema_columns_name(const struct schema_columns *columns, size_t column);
// Appends the cell: strings and numbers as they are, arrays of those joined with "; ", other things
// as JSON, nothing for null and for what is not there.
void schema_columns_add_cell(const struct schema_columns *columns, size_t column,
                             const json_t *output, struct buf *out);
// Appends as JSON what no column shows; nothing where every field has one.
void schema_columns_add_rest(const struct schema_columns *columns, const json_t *output,
                             struct buf *out);

// The same value, with the members of its objects in the order of the schema (NULL: as they are).
// A new reference.
json_t *schema_ordered(const json_t *output, const json_t *schema);
// Appends a value as schema_columns_add_cell does.
void schema_add_value(const json_t *value, struct buf *out);

#endif
