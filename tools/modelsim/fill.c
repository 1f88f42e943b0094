// SPDX-License-Identifier: Apache-2.0
// Walks a JSON Schema and writes a value for it.
#include "fill.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 12, OUT_MAX_BYTES = 1 << 20, STRING_CHARS = 200, CITED_MAX = 8 };

struct filler {
    const json_t *root;
    const struct sentences *sentences;
    size_t next;
    struct buf *out;
    struct {
        const char *name; // of a member of the outermost object
        size_t sentence;
    } cited[CITED_MAX];
    size_t cited_count;
};

static void fill(struct filler *filler, const json_t *schema, int depth);

static void fill_string(struct filler *filler, const json_t *schema)
{
    struct buf *out = filler->out;
    const json_t *max = json_object_get(schema, "maxLength");
    size_t chars = json_is_integer(max) ? (size_t)json_integer_value(max) : STRING_CHARS;
    buf_add_text(out, "\"");
    if (filler->sentences->count > 0) {
        const struct sentence *s =
            &filler->sentences->items[filler->next++ % filler->sentences->count];
        buf_add_json(out, s->at, utf8_prefix(s->at, s->len, chars));
    }
    buf_add_text(out, "\"");
}

static const char *type_of(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    if (json_is_array(type))
        type = json_array_get(type, 0);
    if (json_is_string(type))
        return json_string_value(type);
    return json_object_get(schema, "properties") ? "object" : "string";
}

static void fill_object(struct filler *filler, const json_t *schema, int depth)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *property;
    const char *comma = "";
    buf_add_text(filler->out, "{");
    json_object_foreach(properties, name, property)
    {
        buf_add_text(filler->out, comma);
        buf_add_text(filler->out, "\"");
        buf_add_json(filler->out, name, strlen(name));
        buf_add_text(filler->out, "\":");
        size_t before = filler->next;
        const char *type = type_of(property);
        fill(filler, property, depth + 1);
        if (depth == 0 && strcmp(type, "string") == 0 && filler->next == before + 1 &&
            filler->cited_count < CITED_MAX) {
            filler->cited[filler->cited_count].name = name;
            filler->cited[filler->cited_count++].sentence = before;
        }
        comma = ",";
    }
    buf_add_text(filler->out, "}");
}

static void fill_array(struct filler *filler, const json_t *schema, int depth)
{
    const json_t *items = json_object_get(schema, "items");
    json_int_t count = json_integer_value(json_object_get(schema, "minItems"));
    if (count > 20)
        count = 20;
    buf_add_text(filler->out, "[");
    for (json_int_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_text(filler->out, ",");
        fill(filler, items, depth + 1);
    }
    buf_add_text(filler->out, "]");
}

static void fill_number(struct filler *filler, const json_t *schema)
{
    const json_t *least = json_object_get(schema, "minimum");
    if (json_is_integer(least) && json_integer_value(least) > 0)
        buf_add_number(filler->out, (uint64_t)json_integer_value(least));
    else
        buf_add_text(filler->out, "0");
}

static void fill_constant(struct filler *filler, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_add_text(filler->out, text ? text : "null");
    free(text);
}

// Walks "#/$defs/name" and the like from the root.
static const json_t *follow(const json_t *root, const char *pointer)
{
    char name[128];
    while (root && *pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        if (len >= sizeof name)
            return NULL;
        memcpy(name, pointer, len);
        name[len] = '\0';
        root = json_is_array(root) ? json_array_get(root, strtoul(name, NULL, 10))
                                   : json_object_get(root, name);
        pointer += len;
    }
    return root;
}

// Follows a reference, or takes the first of anyOf, oneOf, allOf.
static const json_t *resolve(const struct filler *filler, const json_t *schema)
{
    static const char *const lists[] = {"anyOf", "oneOf", "allOf"};
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference && *reference == '#')
        return follow(filler->root, reference + 1);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(schema, lists[i]);
        if (json_array_size(list) > 0)
            return json_array_get(list, 0);
    }
    return schema;
}

static void fill(struct filler *filler, const json_t *schema, int depth)
{
    schema = resolve(filler, schema);
    const json_t *constant = json_object_get(schema, "const");
    const json_t *choices = json_object_get(schema, "enum");
    const char *type = type_of(schema);
    if (depth > DEPTH_MAX || filler->out->len > OUT_MAX_BYTES)
        buf_add_text(filler->out, "null");
    else if (constant)
        fill_constant(filler, constant);
    else if (json_array_size(choices) > 0)
        fill_constant(filler, json_array_get(choices, 0));
    else if (strcmp(type, "object") == 0)
        fill_object(filler, schema, depth);
    else if (strcmp(type, "array") == 0)
        fill_array(filler, schema, depth);
    else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        fill_number(filler, schema);
    else if (strcmp(type, "boolean") == 0)
        buf_add_text(filler->out, "false");
    else if (strcmp(type, "null") == 0)
        buf_add_text(filler->out, "null");
    else
        fill_string(filler, schema);
}

void fill_schema(const json_t *schema, const struct sentences *sentences, struct buf *out)
{
    struct filler filler = {.root = schema, .sentences = sentences, .out = out};
    fill(&filler, schema, 0);
}

// A quote for each text of the outermost object: the sentence that it was filled with.
static void add_quotes(const struct filler *filler)
{
    struct buf *out = filler->out;
    buf_add_text(out, "[");
    for (size_t i = 0; i < filler->cited_count; i++) {
        const char *name = filler->cited[i].name;
        const struct sentence *s =
            &filler->sentences->items[filler->cited[i].sentence % filler->sentences->count];
        buf_add_text(out, i > 0 ? ",{\"path\":\"/" : "{\"path\":\"/");
        for (; *name; name++)
            if (*name == '~' || *name == '/')
                buf_add_text(out, *name == '~' ? "~0" : "~1");
            else
                buf_add_json(out, name, 1);
        buf_add_text(out, "\",\"quote\":\"");
        buf_add_json(out, s->at, utf8_prefix(s->at, s->len, STRING_CHARS));
        buf_add_text(out, "\"}");
    }
    buf_add_text(out, "]");
}

void fill_cited(const json_t *output, const json_t *root, const struct sentences *sentences,
                struct buf *out)
{
    struct filler filler = {.root = root, .sentences = sentences, .out = out};
    buf_add_text(out, "{\"output\":");
    fill(&filler, output, 0);
    buf_add_text(out, ",\"quotes\":");
    add_quotes(&filler);
    buf_add_text(out, "}");
}
