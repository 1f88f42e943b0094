// SPDX-License-Identifier: Apache-2.0
// PostgreSQL array literals, built element by element, for `unnest($1::type[], …)`. Elements are
// quoted, so that quotes, backslashes, braces, commas, white space, empty texts and the word NULL
// arrive as they are. Text has to be UTF-8 that was cleaned (core/text.h); a NUL byte is dropped
// here, since libpq would end the parameter at it.
#ifndef PRECIS_IO_PG_ARRAY_H
#define PRECIS_IO_PG_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct pg_array {
    struct buf text;
    size_t len; // elements
};

void pg_array_init(struct pg_array *array);
void pg_array_deinit(struct pg_array *array);
void pg_array_add_null(struct pg_array *array);
// NULL: an SQL NULL.
void pg_array_add_text(struct pg_array *array, const char *text);
void pg_array_add_bytes_as_text(struct pg_array *array, const char *text, size_t len);
void pg_array_add_int(struct pg_array *array, int64_t number);
void pg_array_add_bool(struct pg_array *array, bool value);
// As bytea. NULL: an SQL NULL.
void pg_array_add_bytea(struct pg_array *array, const void *data, size_t len);
// An array as an element of an array of texts; the statement casts it: `keys::text[]`.
void pg_array_add_array(struct pg_array *array, struct pg_array *inner);
// The literal, "{}" where empty; owned by the array and good until the next add.
const char *pg_array_str(struct pg_array *array);

#endif
