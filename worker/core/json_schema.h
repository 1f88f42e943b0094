// SPDX-License-Identifier: Apache-2.0
// JSON Schema, draft 2020-12, and what older drafts write differently: definitions, dependencies,
// items as an array with additionalItems, draft-04's boolean exclusiveMinimum, and (under a
// `$schema` of draft-07 or before) a `$ref` whose neighbours don't count.
//
// A schema is foreign too (a job's output_schema, a tool server's inputSchema), so:
//  - nothing is ever fetched: `$ref` finds only what is inside the schema, by pointer, `$anchor` or
//    embedded `$id`;
//  - a keyword that is not known is refused by name, unless it begins with "x-": a misspelt limit
//    must not pass for no limit. Annotations (title, description, default, examples, format,
//    content*, deprecated, readOnly, writeOnly, $comment) are known and check nothing;
//  - its size, its patterns and the work of a check are bounded, so that neither recursion nor a
//    hostile pattern holds the loop: about a million rules a check, 10,000 subschemas, texts of
//    64 KB for a pattern.
//
// Patterns are ECMA-262's as far as PCRE2 has the same (unanchored; \d and \w are ASCII; \s is
// ASCII's white space only; \p{Letter} is known). Lengths are code points. Numbers are exact:
// 1.0 is an integer, 0.3 a multiple of 0.1.
#ifndef PRECIS_CORE_JSON_SCHEMA_H
#define PRECIS_CORE_JSON_SCHEMA_H

#include <stdbool.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define JSON_SCHEMA_PROBLEMS_MOST 10

struct json_schema;

// Copies the schema. NULL: it can't be used; *out is ERR_BAD_FIELD, its detail says where and what
// ("#/properties/x: unknown keyword \"minLenght\"").
struct json_schema *json_schema_new(const json_t *schema, struct failure *out);
void json_schema_free(struct json_schema *schema);

// Whether the instance matches. Where it doesn't, and out_problems is not NULL, a JSON array of at
// most ten problems is appended, each {"path": JSON Pointer, "expected", "got"} and, where a member
// is meant by name, "name"; their texts are bounded and may quote the instance:
//   [{"path":"/order_id","expected":"integer","got":"string"},
//    {"path":"","expected":"required property","name":"region"}]
bool json_schema_check(const struct json_schema *schema, const json_t *instance,
                       struct buf *out_problems);

#endif
