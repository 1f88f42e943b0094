// SPDX-License-Identifier: Apache-2.0
// Columns from a JSON Schema.
//
// The walk over a schema calls `member` for each property of the object at hand, in order, whether
// it stands in `properties` or in a branch of allOf, anyOf or oneOf. References that lead in a
// circle end at a depth.
#include "core/schema_columns.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define JSON_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(16))
#define REF_MAX    16
#define BRANCH_MAX 8
#define STEPS_MAX  100000 // of a walk: branches may double at each level

struct column {
    char *name;
    char **keys;
    size_t key_count;
};

struct schema_columns {
    const char *const *taken;
    struct column *items;
    size_t count;
};

// ------------------------------------------------------------------------------- the schema

// Where "#/a/b" leads; NULL for what leads nowhere or out of the schema.
static const json_t *follow(const json_t *root, const char *ref)
{
    if (ref[0] != '#')
        return NULL;
    const json_t *at = root;
    for (const char *part = ref + 1; *part == '/' && at;) {
        size_t len = strcspn(++part, "/");
        struct buf key OWN_BUF;
        buf_init(&key, 0);
        for (size_t i = 0; i < len; i++) {
            bool escaped = part[i] == '~' && i + 1 < len;
            char c = escaped ? (part[i + 1] == '1' ? '/' : '~') : part[i];
            buf_add_char(&key, c);
            i += escaped;
        }
        at = json_is_array(at) ? json_array_get(at, strtoul(buf_str(&key), NULL, 10))
                               : json_object_get(at, buf_str(&key));
        part += len;
    }
    return at;
}

static const json_t *resolve(const json_t *root, const json_t *schema)
{
    for (int i = 0; i < REF_MAX; i++) {
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        if (!ref)
            return schema;
        schema = follow(root, ref);
    }
    return NULL;
}

static const char *const branches[] = {"allOf", "anyOf", "oneOf"};

typedef void member_fn(void *context, const char *key, const json_t *schema);

struct walk {
    const json_t *root;
    member_fn *member;
    void *context;
    size_t *steps; // counts, over walks within walks
};

// The number of properties.
static size_t each_member(const struct walk *walk, const json_t *schema, int depth)
{
    size_t found = 0;
    schema = resolve(walk->root, schema);
    if (depth > BRANCH_MAX || ++*walk->steps > STEPS_MAX)
        return 0;
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(schema, "properties"), key, value)
    {
        found++;
        if (walk->member)
            walk->member(walk->context, key, value);
    }
    for (size_t b = 0; b < sizeof(branches) / sizeof(branches[0]); b++) {
        size_t i;
        json_array_foreach(json_object_get(schema, branches[b]), i, value) found +=
            each_member(walk, value, depth + 1);
    }
    return found;
}

static bool has_members(const json_t *root, const json_t *schema, size_t *steps)
{
    return each_member(&(struct walk){.root = root, .steps = steps}, schema, 0) > 0;
}

// ------------------------------------------------------------------------------- columns

struct schema_columns *schema_columns_new(const char *const *taken)
{
    struct schema_columns *columns = own_alloc(sizeof(*columns));
    columns->taken = taken;
    columns->items = own_array(SCHEMA_COLUMNS_MAX, sizeof(struct column));
    return columns;
}

static void column_deinit(struct column *column)
{
    for (size_t i = 0; i < column->key_count; i++)
        free(column->keys[i]);
    free(column->keys);
    free(column->name);
}

void schema_columns_free(struct schema_columns *columns)
{
    if (!columns)
        return;
    for (size_t i = 0; i < columns->count; i++)
        column_deinit(&columns->items[i]);
    free(columns->items);
    free(columns);
}

struct path {
    const char *keys[SCHEMA_COLUMNS_DEPTH];
    size_t count;
};

static bool is_at(const struct column *column, const struct path *path)
{
    if (column->key_count != path->count)
        return false;
    for (size_t i = 0; i < path->count; i++)
        if (strcmp(column->keys[i], path->keys[i]) != 0)
            return false;
    return true;
}

static bool is_taken(const struct schema_columns *columns, const char *name)
{
    for (const char *const *taken = columns->taken; taken && *taken; taken++)
        if (strcmp(*taken, name) == 0)
            return true;
    for (size_t i = 0; i < columns->count; i++)
        if (strcmp(columns->items[i].name, name) == 0)
            return true;
    return false;
}

static char *name_of(const struct schema_columns *columns, const struct path *path)
{
    struct buf name;
    buf_init(&name, 0);
    buf_add_str(&name, path->count == 0 ? "output" : path->keys[0]);
    for (size_t i = 1; i < path->count; i++)
        buf_printf(&name, ".%s", path->keys[i]);
    while (is_taken(columns, buf_str(&name))) {
        char *plain OWN_FREE = buf_take(&name);
        buf_printf(&name, "output.%s", plain);
    }
    return buf_take(&name);
}

static void add_column(struct schema_columns *columns, const struct path *path)
{
    if (columns->count == SCHEMA_COLUMNS_MAX)
        return;
    for (size_t i = 0; i < columns->count; i++)
        if (is_at(&columns->items[i], path))
            return;
    struct column column = {.name = name_of(columns, path), .key_count = path->count};
    column.keys = own_array(path->count + 1, sizeof(char *));
    for (size_t i = 0; i < path->count; i++)
        column.keys[i] = own_strdup(path->keys[i]);
    columns->items[columns->count++] = column;
}

struct adding {
    struct schema_columns *columns;
    const json_t *root;
    struct path path;
    size_t steps;
};

static void add_member(void *context, const char *key, const json_t *schema)
{
    struct adding *adding = context;
    struct path *path = &adding->path;
    if (adding->columns->count == SCHEMA_COLUMNS_MAX)
        return;
    path->keys[path->count++] = key;
    struct walk walk = {adding->root, add_member, adding, &adding->steps};
    if (path->count == SCHEMA_COLUMNS_DEPTH || !has_members(adding->root, schema, &adding->steps))
        add_column(adding->columns, path);
    else
        each_member(&walk, schema, 0);
    path->count--;
}

void schema_columns_add(struct schema_columns *columns, const json_t *schema)
{
    struct adding adding = {.columns = columns, .root = schema};
    if (each_member(&(struct walk){schema, add_member, &adding, &adding.steps}, schema, 0) == 0)
        add_column(columns, &adding.path);
}

size_t schema_columns_count(const struct schema_columns *columns)
{
    return columns->count;
}

const char *schema_columns_name(const struct schema_columns *columns, size_t column)
{
    return columns->items[column].name;
}

// ------------------------------------------------------------------------------- cells

static void add_json(const json_t *value, struct buf *out)
{
    char *text OWN_FREE = json_dumps(value, JSON_FLAGS);
    buf_add_str(out, text ? text : "");
}

static bool is_scalar(const json_t *value)
{
    return !json_is_object(value) && !json_is_array(value);
}

static bool all_scalars(const json_t *array)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        if (!is_scalar(item))
            return false;
    }
    return true;
}

void schema_add_value(const json_t *value, struct buf *out)
{
    size_t i;
    json_t *item;
    if (!value || json_is_null(value))
        return;
    if (json_is_string(value))
        buf_add_str(out, json_string_value(value));
    else if (!json_is_array(value) || !all_scalars(value))
        add_json(value, out);
    else
        json_array_foreach(value, i, item)
        {
            buf_add_str(out, i > 0 ? "; " : "");
            schema_add_value(item, out);
        }
}

void schema_columns_add_cell(const struct schema_columns *columns, size_t column,
                             const json_t *output, struct buf *out)
{
    const struct column *at = &columns->items[column];
    for (size_t i = 0; output && i < at->key_count; i++)
        output = json_object_get(output, at->keys[i]);
    schema_add_value(output, out);
}

// A copy of an object without what the columns show and without what is empty then; NULL: nothing
// is left.
static json_t *rest_of(const struct schema_columns *columns, const json_t *value, struct path *path)
{
    for (size_t i = 0; i < columns->count; i++)
        if (is_at(&columns->items[i], path))
            return NULL;
    if (json_is_null(value))
        return NULL;
    if (!json_is_object(value) || path->count == SCHEMA_COLUMNS_DEPTH)
        return json_deep_copy(value);
    json_t *rest = json_object(), *member;
    const char *key;
    json_object_foreach((json_t *)value, key, member)
    {
        path->keys[path->count++] = key;
        json_t *left = rest_of(columns, member, path);
        path->count--;
        if (left)
            json_object_set_new(rest, key, left);
    }
    if (json_object_size(rest) > 0)
        return rest;
    json_decref(rest);
    return NULL;
}

void schema_columns_add_rest(const struct schema_columns *columns, const json_t *output,
                             struct buf *out)
{
    struct path path = {.count = 0};
    json_t *rest = output ? rest_of(columns, output, &path) : NULL;
    if (rest)
        add_json(rest, out);
    json_decref(rest);
}

// ------------------------------------------------------------------------------- order

struct ordering {
    const json_t *root, *from;
    json_t *to;
    int depth;
};

static json_t *ordered(const json_t *root, const json_t *schema, const json_t *value, int depth);

static void order_member(void *context, const char *key, const json_t *schema)
{
    struct ordering *ordering = context;
    const json_t *value = json_object_get(ordering->from, key);
    if (value && !json_object_get(ordering->to, key))
        json_object_set_new(ordering->to, key,
                            ordered(ordering->root, schema, value, ordering->depth + 1));
}

// The schema of an array's items, where it is found.
static const json_t *items_of(const json_t *root, const json_t *schema)
{
    schema = resolve(root, schema);
    const json_t *items = json_object_get(schema, "items");
    for (size_t b = 0; !items && b < sizeof(branches) / sizeof(branches[0]); b++) {
        size_t i;
        json_t *branch;
        json_array_foreach(json_object_get(schema, branches[b]), i, branch)
        {
            const json_t *found = json_object_get(resolve(root, branch), "items");
            items = items ? items : found;
        }
    }
    return items;
}

static json_t *ordered_array(const json_t *root, const json_t *schema, const json_t *value,
                             int depth)
{
    const json_t *items = items_of(root, schema);
    json_t *array = json_array(), *item;
    size_t i;
    json_array_foreach(value, i, item)
        json_array_append_new(array, ordered(root, items, item, depth + 1));
    return array;
}

static json_t *ordered(const json_t *root, const json_t *schema, const json_t *value, int depth)
{
    if (!schema || depth > 2 * SCHEMA_COLUMNS_DEPTH || is_scalar(value))
        return json_deep_copy(value);
    if (json_is_array(value))
        return ordered_array(root, schema, value, depth);
    struct ordering ordering = {root, value, json_object(), depth};
    size_t steps = 0;
    each_member(&(struct walk){root, order_member, &ordering, &steps}, schema, 0);
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)value, key, member)
    {
        if (!json_object_get(ordering.to, key))
            json_object_set_new(ordering.to, key, json_deep_copy(member));
    }
    return ordering.to;
}

json_t *schema_ordered(const json_t *output, const json_t *schema)
{
    return ordered(schema, schema, output, 0);
}
