// SPDX-License-Identifier: Apache-2.0
// How long an answer by a JSON Schema can be: a bound for what is sent as the output limit, and
// reserved. Where the schema itself sets no end (a string without maxLength, a list without
// maxItems) a usual one is taken and `open` says so: such an answer may be longer, and what is cut
// off is asked again with more room.
//
// Counted are the values, names and punctuation, in characters of compact JSON. Of alternatives the
// longest; of a `$ref` what it points at within the schema. Optional members count: a model writes
// them. Nothing is checked here (core/json_schema.h does that).
#ifndef PRECIS_CORE_SCHEMA_SIZE_H
#define PRECIS_CORE_SCHEMA_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

// What is taken where the schema sets no end.
#define SCHEMA_SIZE_STRING 400
#define SCHEMA_SIZE_ITEMS  12

struct schema_size {
    int64_t chars;  // at most SCHEMA_SIZE_MOST
    int64_t leaves; // values that are no objects or lists; likewise
    bool open;      // there are strings or lists without an end
    bool shapeless; // some part may be anything: the numbers say nothing
};

#define SCHEMA_SIZE_MOST 100000000

// The schema's depth must be bounded (core/json_scan.h). References that go round are shapeless.
void schema_size_of(const json_t *schema, struct schema_size *out);

#endif
