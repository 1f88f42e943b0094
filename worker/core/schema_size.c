// SPDX-License-Identifier: Apache-2.0
// A walk through a JSON Schema that adds up what the longest answer by it would hold.
#include "core/schema_size.h"

#include <string.h>

#include "base/own.h"

#define DEEPEST      40
#define MOST_VISITS  5000
#define NUMBER_CHARS 24
#define LEAST_MEMBER 6 // ": and , and two quotes, and a space

struct walk {
    const json_t *root;
    int visits;
};

static void size_of(struct walk *walk, const json_t *schema, int depth, struct schema_size *out);

static int64_t most(int64_t number)
{
    return number < SCHEMA_SIZE_MOST ? number : SCHEMA_SIZE_MOST;
}

static void add(struct schema_size *sum, const struct schema_size *part, int64_t times)
{
    sum->chars = most(sum->chars + most(part->chars) * most(times));
    sum->leaves = most(sum->leaves + most(part->leaves) * most(times));
    sum->open |= part->open;
    sum->shapeless |= part->shapeless;
}

static void take_longer(struct schema_size *longest, const struct schema_size *other)
{
    bool open = longest->open || other->open, shapeless = longest->shapeless || other->shapeless;
    if (other->chars > longest->chars)
        *longest = *other;
    longest->open = open;
    longest->shapeless = shapeless;
}

static int64_t limit_of(const json_t *schema, const char *name, int64_t usual, bool *out_open)
{
    const json_t *limit = json_object_get(schema, name);
    double value = json_number_value(limit);
    if (!json_is_number(limit) || value < 0) {
        *out_open = true;
        return usual;
    }
    return value < SCHEMA_SIZE_MOST ? (int64_t)value : SCHEMA_SIZE_MOST;
}

// ------------------------------------------------------------------------------- values

static int64_t json_chars(const json_t *value)
{
    char *text OWN_FREE = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    return text ? most((int64_t)strlen(text)) : 0;
}

// `enum` and `const`: as long as the longest. False: the schema has neither.
static bool listed_values(const json_t *schema, struct schema_size *out)
{
    const json_t *one = json_object_get(schema, "const"), *list = json_object_get(schema, "enum");
    if (!one && !json_is_array(list))
        return false;
    struct schema_size size = {.chars = one ? json_chars(one) : 0, .leaves = 1};
    for (size_t i = 0; !one && i < json_array_size(list); i++) {
        int64_t chars = json_chars(json_array_get(list, i));
        size.chars = chars > size.chars ? chars : size.chars;
    }
    add(out, &size, 1);
    return true;
}

static void add_string(const json_t *schema, struct schema_size *out)
{
    struct schema_size size = {.leaves = 1};
    size.chars = 2 + limit_of(schema, "maxLength", SCHEMA_SIZE_STRING, &size.open);
    if (json_object_get(schema, "format") && size.open)
        size = (struct schema_size){.chars = 100, .leaves = 1}; // dates, addresses
    add(out, &size, 1);
}

static void add_list(struct walk *walk, const json_t *schema, int depth, struct schema_size *out)
{
    const json_t *first = json_object_get(schema, "prefixItems");
    const json_t *items = json_object_get(schema, "items");
    struct schema_size frame = {.chars = 2}, item = {0};
    for (size_t i = 0; i < json_array_size(first); i++)
        size_of(walk, json_array_get(first, i), depth + 1, &frame);
    add(out, &frame, 1);
    if (json_is_false(items))
        return;
    bool open = false;
    int64_t count = limit_of(schema, "maxItems", SCHEMA_SIZE_ITEMS, &open);
    size_of(walk, items, depth + 1, &item);
    item.chars++;
    item.open |= open;
    add(out, &item, count);
}

static void add_object(struct walk *walk, const json_t *schema, int depth, struct schema_size *out)
{
    json_t *properties = json_object_get(schema, "properties");
    struct schema_size all = {.chars = 2};
    const char *name;
    json_t *property;
    json_object_foreach(properties, name, property)
    {
        struct schema_size size = {.chars = LEAST_MEMBER + (int64_t)strlen(name)};
        size_of(walk, property, depth + 1, &size);
        add(&all, &size, 1);
    }
    const json_t *more = json_object_get(schema, "additionalProperties");
    if (json_object_get(schema, "patternProperties") || json_is_object(more) ||
        json_object_size(properties) == 0)
        all.shapeless = true;
    add(out, &all, 1);
}

static void add_type(struct walk *walk, const json_t *schema, const char *type, int depth,
                     struct schema_size *out)
{
    struct schema_size size = {.chars = NUMBER_CHARS, .leaves = 1};
    if (strcmp(type, "object") == 0)
        add_object(walk, schema, depth, out);
    else if (strcmp(type, "array") == 0)
        add_list(walk, schema, depth, out);
    else if (strcmp(type, "string") == 0)
        add_string(schema, out);
    else
        add(out, &size, 1);
}

// ------------------------------------------------------------------------------- schemas

// Whether the schema's own words say what kind of value it is.
static bool add_types(struct walk *walk, const json_t *schema, int depth, struct schema_size *out)
{
    const json_t *type = json_object_get(schema, "type");
    struct schema_size longest = {0};
    if (json_is_string(type)) {
        add_type(walk, schema, json_string_value(type), depth, out);
        return true;
    }
    for (size_t i = 0; i < json_array_size(type); i++) {
        struct schema_size size = {0};
        const char *one = json_string_value(json_array_get(type, i));
        add_type(walk, schema, one ? one : "", depth, &size);
        take_longer(&longest, &size);
    }
    bool known = json_array_size(type) > 0;
    if (!known && json_object_get(schema, "properties")) {
        add_object(walk, schema, depth, &longest);
        known = true;
    } else if (!known &&
               (json_object_get(schema, "items") || json_object_get(schema, "prefixItems"))) {
        add_list(walk, schema, depth, &longest);
        known = true;
    }
    add(out, &longest, 1);
    return known;
}

static bool add_alternatives(struct walk *walk, const json_t *schema, int depth,
                             struct schema_size *out)
{
    static const char *const names[] = {"anyOf", "oneOf"};
    bool any = false;
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        const json_t *list = json_object_get(schema, names[n]);
        struct schema_size longest = {0};
        for (size_t i = 0; i < json_array_size(list); i++) {
            struct schema_size size = {0};
            size_of(walk, json_array_get(list, i), depth + 1, &size);
            take_longer(&longest, &size);
            any = true;
        }
        add(out, &longest, 1);
    }
    const json_t *all = json_object_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all); i++) {
        size_of(walk, json_array_get(all, i), depth + 1, out);
        any = true;
    }
    return any;
}

// "#", "#/a/b" without escapes; others are not looked for.
static const json_t *find_ref(const json_t *root, const char *ref)
{
    if (ref[0] != '#' || (ref[1] && ref[1] != '/') || strpbrk(ref, "~%"))
        return NULL;
    const json_t *at = root;
    for (const char *name = ref + 1; *name && at;) {
        size_t len = strcspn(++name, "/");
        char *member OWN_FREE = own_strndup(name, len);
        at = json_object_get(at, member);
        name += len;
    }
    return at;
}

static void size_of(struct walk *walk, const json_t *schema, int depth, struct schema_size *out)
{
    if (!json_is_object(schema) || depth > DEEPEST || ++walk->visits > MOST_VISITS) {
        out->shapeless = true;
        return;
    }
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref) {
        size_of(walk, find_ref(walk->root, ref), depth + 1, out);
        return;
    }
    if (listed_values(schema, out))
        return;
    bool typed = add_types(walk, schema, depth, out);
    bool alternatives = add_alternatives(walk, schema, depth, out);
    if (!typed && !alternatives)
        out->shapeless = true;
}

void schema_size_of(const json_t *schema, struct schema_size *out)
{
    struct walk walk = {.root = schema};
    *out = (struct schema_size){0};
    size_of(&walk, schema, 0, out);
}
