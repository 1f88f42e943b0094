// SPDX-License-Identifier: Apache-2.0
// The JSON Schema that a call's answer is asked for with.
//
// Ours keeps to the smallest subset that every provider takes: all properties required, nothing
// additional, limits only in descriptions (they are checked here afterwards). A user's schema is
// sent as strict only where it keeps to the strict rules itself; otherwise it is sent as it is, as
// a wish, and checked here all the same. It is not rewritten into a strict one: nulls would then
// stand for what is absent, and the user's schema did not ask for nulls.
#include "core/prompt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"

#define QUOTE_TEXT                                                                                 \
    "one passage of the document that supports it, copied word for word, at most 300 characters"
#define MAX_SCHEMA_DEPTH 64

bool prompt_own_schema(const struct job_spec *spec, enum prompt_kind kind)
{
    return spec->output_schema_json && kind != PROMPT_PART;
}

int64_t prompt_part_points(const struct job_spec *spec)
{
    return spec->output_schema_json ? PART_POINTS_MAX_OWN : PART_POINTS_MAX;
}

static char *default_schema(const struct job_spec *spec, enum prompt_kind kind)
{
    bool part = kind == PROMPT_PART;
    struct buf out;
    buf_init(&out, 0);
    buf_printf(
        &out,
        "{\"type\":\"object\",\"properties\":{\"summary\":{\"type\":\"string\","
        "\"description\":\"at most %" PRId64 " characters\"},\"key_points\":"
        "{\"type\":\"array\",\"description\":\"%" PRId64 " to %" PRId64 " entries\",\"items\":",
        part ? PART_SUMMARY_CHARS : spec->max_chars, part ? PART_POINTS_MIN : spec->points_min,
        part ? prompt_part_points(spec) : spec->points_max);
    if (spec->evidence_quotes)
        buf_add_str(&out, "{\"type\":\"object\",\"properties\":{\"point\":{\"type\":\"string\"},"
                          "\"quote\":{\"type\":\"string\",\"description\":\"" QUOTE_TEXT
                          "\"}},\"required\":[\"point\",\"quote\"],"
                          "\"additionalProperties\":false}");
    else
        buf_add_str(&out, "{\"type\":\"string\"}");
    buf_add_str(&out, "}},\"required\":[\"summary\",\"key_points\"],"
                      "\"additionalProperties\":false}");
    return buf_take(&out);
}

// ------------------------------------------------------------------------- strict or not

static bool strict_schema(const json_t *schema, int depth);

static bool strict_each(const json_t *schemas, int depth)
{
    if (json_is_array(schemas)) {
        for (size_t i = 0; i < json_array_size(schemas); i++)
            if (!strict_schema(json_array_get(schemas, i), depth))
                return false;
        return true;
    }
    json_t *members = (json_t *)(uintptr_t)schemas; // jansson's iterators take no const
    for (void *i = json_object_iter(members); i; i = json_object_iter_next(members, i))
        if (!strict_schema(json_object_iter_value(i), depth))
            return false;
    return json_is_object(schemas);
}

static bool array_has(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *value = json_string_value(json_array_get(array, i));
        if (value && strcmp(value, text) == 0)
            return true;
    }
    return false;
}

// An object: nothing additional, everything required.
static bool strict_object(const json_t *schema)
{
    if (!json_is_false(json_object_get(schema, "additionalProperties")))
        return false;
    const json_t *required = json_object_get(schema, "required");
    json_t *properties = json_object_get(schema, "properties");
    for (void *i = json_object_iter(properties); i; i = json_object_iter_next(properties, i))
        if (!array_has(required, json_object_iter_key(i)))
            return false;
    return true;
}

enum keyword { KEYWORD_VALUE, KEYWORD_SCHEMA, KEYWORD_SCHEMAS, KEYWORD_REFUSED };

static enum keyword keyword_of(const char *name)
{
    static const char *const values[] = {"type",
                                         "required",
                                         "enum",
                                         "const",
                                         "$ref",
                                         "description",
                                         "title",
                                         "pattern",
                                         "format",
                                         "minimum",
                                         "maximum",
                                         "minItems",
                                         "exclusiveMinimum",
                                         "maxItems",
                                         "exclusiveMaximum",
                                         "multipleOf",
                                         "additionalProperties"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (strcmp(name, values[i]) == 0)
            return KEYWORD_VALUE;
    if (strcmp(name, "items") == 0)
        return KEYWORD_SCHEMA;
    if (strcmp(name, "properties") == 0 || strcmp(name, "anyOf") == 0 || strcmp(name, "$defs") == 0)
        return KEYWORD_SCHEMAS;
    return KEYWORD_REFUSED;
}

static bool strict_keyword(const char *name, const json_t *value, int depth)
{
    switch (keyword_of(name)) {
    case KEYWORD_VALUE:
        return true;
    case KEYWORD_SCHEMA:
        return strict_schema(value, depth + 1);
    case KEYWORD_SCHEMAS:
        return strict_each(value, depth + 1);
    case KEYWORD_REFUSED:
        break;
    }
    return false;
}

static bool is_object_schema(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    const char *text = json_string_value(type);
    return (text && strcmp(text, "object") == 0) || array_has(type, "object") ||
           json_object_get(schema, "properties");
}

static bool strict_schema(const json_t *schema, int depth)
{
    if (!json_is_object(schema) || depth > MAX_SCHEMA_DEPTH)
        return false;
    if (is_object_schema(schema) && !strict_object(schema))
        return false;
    json_t *members = (json_t *)(uintptr_t)schema;
    for (void *i = json_object_iter(members); i; i = json_object_iter_next(members, i))
        if (!strict_keyword(json_object_iter_key(i), json_object_iter_value(i), depth))
            return false;
    return true;
}

static bool strict_root(const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    return type && strcmp(type, "object") == 0 && !json_object_get(schema, "anyOf") &&
           strict_schema(schema, 0);
}

// ------------------------------------------------------------------------- the user's own

// A reference of a schema, seen from the root of the one that holds it at `place`. Its definitions
// have been moved to that root, where all providers look for them.
static void move_reference(json_t *schema, json_t *reference, const char *place)
{
    const char *target = json_string_value(reference);
    if (!target || *target != '#' || strncmp(target, "#/$defs/", 8) == 0)
        return;
    if (target[1] != '\0' && target[1] != '/')
        return; // an anchor
    struct buf moved OWN_BUF;
    buf_init(&moved, 0);
    buf_printf(&moved, "#%s%s", place, target + 1);
    json_object_set_new(schema, "$ref", json_string(buf_str(&moved)));
}

static void move_references(json_t *schema, const char *place, int depth)
{
    if (depth > MAX_SCHEMA_DEPTH)
        return;
    for (size_t i = 0; i < json_array_size(schema); i++)
        move_references(json_array_get(schema, i), place, depth + 1);
    for (void *i = json_object_iter(schema); i; i = json_object_iter_next(schema, i))
        move_references(json_object_iter_value(i), place, depth + 1);
    move_reference(schema, json_object_get(schema, "$ref"), place);
}

// Prepares a schema for its place in another one, whose definitions its own become.
static json_t *move_out(json_t *schema, const char *place)
{
    move_references(schema, place, 0);
    json_t *definitions = json_incref(json_object_get(schema, "$defs"));
    json_object_del(schema, "$defs");
    return definitions;
}

// {output, quotes} around the user's schema, which is taken.
static json_t *with_quotes(json_t *own)
{
    json_t *definitions = move_out(own, "/properties/output");
    json_t *wrapped = json_pack(
        "{s:s, s:{s:o, s:{s:s, s:{s:s, s:{s:{s:s, s:s}, s:{s:s, s:s}}, s:[s,s], s:b}}}, s:[s,s], "
        "s:b}",
        "type", "object", "properties", "output", own, "quotes", "type", "array", "items", "type",
        "object", "properties", "path", "type", "string", "description",
        "JSON Pointer of a value inside output, for instance /parties/0", "quote", "type", "string",
        "description", QUOTE_TEXT, "required", "path", "quote", "additionalProperties", 0,
        "required", "output", "quotes", "additionalProperties", 0);
    CHECK(wrapped);
    if (definitions)
        json_object_set_new(wrapped, "$defs", definitions);
    return wrapped;
}

char *prompt_schema(const struct job_spec *spec, enum prompt_kind kind, bool *out_strict)
{
    *out_strict = true;
    if (!prompt_own_schema(spec, kind))
        return default_schema(spec, kind);
    json_t *schema = json_loads(spec->output_schema_json, 0, NULL);
    if (!json_is_object(schema)) { // `true` is a schema too
        json_decref(schema);
        schema = json_pack("{s:s}", "type", "object");
    }
    json_object_del(schema, "$schema");
    if (spec->evidence_quotes)
        schema = with_quotes(schema);
    *out_strict = strict_root(schema);
    char *text = json_dumps(schema, JSON_COMPACT);
    CHECK(text);
    json_decref(schema);
    return text;
}

char *prompt_pack_schema(const struct job_spec *spec, bool *out_strict)
{
    char *one OWN_FREE = prompt_schema(spec, PROMPT_WHOLE, out_strict);
    json_t *answer = json_loads(one, 0, NULL);
    CHECK(answer);
    json_t *definitions = move_out(answer, "/properties/documents/items/properties/answer");
    json_t *packed = json_pack(
        "{s:s, s:{s:{s:s, s:{s:s, s:{s:{s:s}, s:o}, s:[s,s], s:b}}}, s:[s], s:b}", "type", "object",
        "properties", "documents", "type", "array", "items", "type", "object", "properties", "id",
        "type", "string", "answer", answer, "required", "id", "answer", "additionalProperties", 0,
        "required", "documents", "additionalProperties", 0);
    CHECK(packed);
    if (definitions)
        json_object_set_new(packed, "$defs", definitions);
    char *text = json_dumps(packed, JSON_COMPACT);
    CHECK(text);
    json_decref(packed);
    return text;
}
