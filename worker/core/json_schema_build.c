// SPDX-License-Identifier: Apache-2.0
// Makes the compiled form of a JSON Schema.
//
// First the schema is walked along its keywords: every subschema becomes a node, every `$id` a
// resource, every anchor a row. Then the references are resolved against those. A pointer may lead
// where no keyword leads (into an unknown place of $defs' kind); what it finds is compiled then,
// and its own references join the end of the queue.
#include "core/json_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/json_schema_inner.h"
#include "core/json_value.h"
#include "core/uri_reference.h"

#define NODES_MOST     10000
#define DEPTH_MOST     100
#define MESSAGE_BYTES  200
#define MAX_SAFE_COUNT 9007199254740991.0

enum shape {
    SHAPE_ANY,
    SHAPE_BOOL,
    SHAPE_COUNT,
    SHAPE_NUMBER,
    SHAPE_NUMBER_OR_BOOL,
    SHAPE_POSITIVE,
    SHAPE_STRING,
    SHAPE_REFERENCE,
    SHAPE_PATTERN,
    SHAPE_TYPE,
    SHAPE_LIST,
    SHAPE_NAMES,
    SHAPE_NAMES_BY_NAME,
    SHAPE_SCHEMA,
    SHAPE_SCHEMAS,
    SHAPE_ITEMS,
    SHAPE_SCHEMAS_BY_NAME,
    SHAPE_SCHEMAS_BY_PATTERN,
    SHAPE_DEPENDENCIES,
};

struct word_row {
    const char *keyword;
    enum shape shape;
};

static const struct word_row words[] = {
#define RULE(name, keyword, shape) {keyword, SHAPE_##shape},
#define WORD(name, keyword, shape) {keyword, SHAPE_##shape},
#include "core/json_schema.def"
#undef RULE
#undef WORD
};

// A `$ref` whose target is still to be found.
struct reference {
    const struct schema_node *from;
    struct schema_rule *rule;
};

struct builder {
    struct json_schema *schema;
    struct failure *out;
    struct buf path; // where the walk stands, for messages
    size_t depth;
    struct reference *references;
    size_t reference_count;
};

static struct schema_node *build_node(struct builder *builder, json_t *source, size_t resource);

// Appends to one of the schema's arrays of pointers or rows: room doubles at powers of two.
static void *grown(void *items, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0; // also 0
    return full ? own_grow(items, count ? count * 2 : 1, size) : items;
}

// ---- messages

static bool refuse(struct builder *builder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct builder *builder, const char *format, ...)
{
    char words_of_it[MESSAGE_BYTES * 2];
    va_list args;
    va_start(args, format);
    vsnprintf(words_of_it, sizeof(words_of_it), format, args);
    va_end(args);
    if (builder->out->code == ERR_NONE)
        failure_set(builder->out, ERR_BAD_FIELD, "#%.*s: %s", MESSAGE_BYTES,
                    buf_str(&builder->path), words_of_it);
    return false;
}

static size_t enter(struct builder *builder, const char *step)
{
    size_t before = builder->path.len;
    buf_printf(&builder->path, "/%s", step);
    return before;
}

static void leave(struct builder *builder, size_t before)
{
    builder->path.len = before;
    if (builder->path.data)
        builder->path.data[before] = '\0';
}

// ---- subschemas of a rule

static bool add_child(struct builder *builder, struct schema_rule *rule, const char *step,
                      json_t *source, size_t resource)
{
    size_t before = enter(builder, step);
    struct schema_node *node = build_node(builder, source, resource);
    leave(builder, before);
    rule->nodes = grown(rule->nodes, rule->count, sizeof(struct schema_node *));
    rule->nodes[rule->count++] = node;
    return node != NULL;
}

static bool build_array(struct builder *builder, struct schema_rule *rule, size_t resource)
{
    if (!json_is_array(rule->value))
        return refuse(builder, "expected an array of schemas");
    for (size_t i = 0; i < json_array_size(rule->value); i++) {
        char step[24];
        snprintf(step, sizeof(step), "%zu", i);
        if (!add_child(builder, rule, step, json_array_get(rule->value, i), resource))
            return false;
    }
    return true;
}

static bool build_map(struct builder *builder, struct schema_rule *rule, size_t resource)
{
    if (!json_is_object(rule->value))
        return refuse(builder, "expected an object of schemas");
    const char *name;
    json_t *member;
    json_object_foreach(rule->value, name, member)
    {
        if (!add_child(builder, rule, name, member, resource))
            return false;
    }
    return true;
}

static bool all_strings(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_string(json_array_get(array, i)))
            return false;
    return json_is_array(array);
}

static bool check_names_by_name(struct builder *builder, json_t *value)
{
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        if (!all_strings(member))
            return refuse(builder, "expected an array of names for \"%s\"", name);
    }
    return json_is_object(value) || refuse(builder, "expected an object of arrays of names");
}

// Members are arrays of names, or schemas; an array's node is NULL.
static bool build_dependencies(struct builder *builder, struct schema_rule *rule, size_t resource)
{
    if (!json_is_object(rule->value))
        return refuse(builder, "expected an object");
    const char *name;
    json_t *member;
    json_object_foreach(rule->value, name, member)
    {
        if (!json_is_array(member)) {
            if (!add_child(builder, rule, name, member, resource))
                return false;
            continue;
        }
        if (!all_strings(member))
            return refuse(builder, "expected an array of names for \"%s\"", name);
        rule->nodes = grown(rule->nodes, rule->count, sizeof(struct schema_node *));
        rule->nodes[rule->count++] = NULL;
    }
    return true;
}

// ---- values that are no schemas

static bool add_pattern(struct builder *builder, struct schema_rule *rule, size_t place,
                        const char *text, size_t len)
{
    char why[MESSAGE_BYTES];
    if (!rule->patterns)
        rule->patterns = own_array(rule->count, sizeof(struct schema_pattern *));
    rule->patterns[place] = schema_pattern_new(text, len, why, sizeof(why));
    return rule->patterns[place] ||
           refuse(builder, "\"%.100s\" can't be used as a pattern: %s", text, why);
}

static bool build_patterns(struct builder *builder, struct schema_rule *rule)
{
    size_t place = 0;
    const char *name;
    json_t *member;
    json_object_foreach(rule->value, name, member)
    {
        if (!add_pattern(builder, rule, place++, name, strlen(name)))
            return false;
    }
    return true;
}

static bool build_pattern(struct builder *builder, struct schema_rule *rule)
{
    if (!json_is_string(rule->value))
        return refuse(builder, "expected a pattern");
    rule->count = 1;
    return add_pattern(builder, rule, 0, json_string_value(rule->value),
                       json_string_length(rule->value));
}

static bool build_count(struct builder *builder, struct schema_rule *rule)
{
    double number = json_number_value(rule->value);
    if (!json_is_number(rule->value) || !json_value_is_integer(rule->value) || number < 0)
        return refuse(builder, "expected a whole number, 0 or more");
    rule->count = number > MAX_SAFE_COUNT ? (size_t)MAX_SAFE_COUNT : (size_t)number;
    return true;
}

static bool is_type_name(const json_t *value)
{
    static const char *const names[] = {"string", "number", "integer", "boolean",
                                        "object", "array",  "null"};
    for (size_t i = 0; json_is_string(value) && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], json_string_value(value)) == 0)
            return true;
    return false;
}

static bool check_type(struct builder *builder, const json_t *value)
{
    bool good = json_is_array(value) ? json_array_size(value) > 0 : is_type_name(value);
    for (size_t i = 0; i < json_array_size(value); i++)
        good = good && is_type_name(json_array_get(value, i));
    return good || refuse(builder, "expected string, number, integer, boolean, object, array, "
                                   "null, or an array of those");
}

static bool check_plain(struct builder *builder, enum shape shape, const json_t *value)
{
    switch ((int)shape) {
    case SHAPE_BOOL:
        return json_is_boolean(value) || refuse(builder, "expected true or false");
    case SHAPE_NUMBER:
        return json_is_number(value) || refuse(builder, "expected a number");
    case SHAPE_NUMBER_OR_BOOL:
        return json_is_number(value) || json_is_boolean(value) ||
               refuse(builder, "expected a number");
    case SHAPE_POSITIVE:
        return json_number_value(value) > 0 || refuse(builder, "expected a number over 0");
    case SHAPE_STRING:
    case SHAPE_REFERENCE:
        return json_is_string(value) || refuse(builder, "expected a string");
    case SHAPE_TYPE:
        return check_type(builder, value);
    case SHAPE_LIST:
        return json_is_array(value) || refuse(builder, "expected an array");
    case SHAPE_NAMES:
        return all_strings(value) || refuse(builder, "expected an array of names");
    default:
        return true;
    }
}

static bool build_rule(struct builder *builder, struct schema_rule *rule, size_t resource)
{
    enum shape shape = words[rule->word].shape;
    switch ((int)shape) {
    case SHAPE_COUNT:
        return build_count(builder, rule);
    case SHAPE_PATTERN:
        return build_pattern(builder, rule);
    case SHAPE_NAMES_BY_NAME:
        return check_names_by_name(builder, rule->value);
    case SHAPE_SCHEMAS:
        return build_array(builder, rule, resource);
    case SHAPE_SCHEMAS_BY_NAME:
        return build_map(builder, rule, resource);
    case SHAPE_SCHEMAS_BY_PATTERN:
        return build_map(builder, rule, resource) && build_patterns(builder, rule);
    case SHAPE_DEPENDENCIES:
        return build_dependencies(builder, rule, resource);
    case SHAPE_ITEMS:
        if (json_is_array(rule->value))
            return build_array(builder, rule, resource);
        // fall through
    case SHAPE_SCHEMA: {
        rule->nodes = own_alloc(sizeof(struct schema_node *));
        rule->nodes[0] = build_node(builder, rule->value, resource);
        rule->count = 1;
        return rule->nodes[0] != NULL;
    }
    default:
        return check_plain(builder, shape, rule->value);
    }
}

// ---- nodes

static int word_of(const char *keyword)
{
    for (int word = 0; word < SCHEMA_WORD_COUNT; word++)
        if (strcmp(words[word].keyword, keyword) == 0)
            return word;
    return -1;
}

static bool known_words_only(struct builder *builder, json_t *source)
{
    const char *keyword;
    json_t *value;
    json_object_foreach(source, keyword, value)
    {
        if (word_of(keyword) < 0 && strncmp(keyword, "x-", 2) != 0)
            return refuse(builder, "unknown keyword \"%.100s\"", keyword);
    }
    return true;
}

static size_t add_resource(struct json_schema *schema, char *take_uri)
{
    schema->resources =
        grown(schema->resources, schema->resource_count, sizeof(struct schema_resource));
    schema->resources[schema->resource_count] = (struct schema_resource){.uri = take_uri};
    return schema->resource_count++;
}

static void add_anchor(struct json_schema *schema, struct schema_node *node, const char *name,
                       bool dynamic)
{
    schema->anchors = grown(schema->anchors, schema->anchor_count, sizeof(struct schema_anchor));
    schema->anchors[schema->anchor_count++] = (struct schema_anchor){
        .resource = node->resource, .name = name, .node = node, .dynamic = dynamic};
    if (dynamic)
        node->dynamic_anchor = name;
}

// What `$id` and the anchors say of the node. A resource begins at an `$id`; its own node stands
// under the empty anchor name.
static void name_node(struct json_schema *schema, struct schema_node *node, bool is_root)
{
    const char *id = json_string_value(json_object_get(node->source, "$id"));
    const char *anchor = json_string_value(json_object_get(node->source, "$anchor"));
    const char *dynamic = json_string_value(json_object_get(node->source, "$dynamicAnchor"));
    bool old_anchor = id && id[0] == '#';
    if (id && !old_anchor) {
        struct buf uri;
        buf_init(&uri, 0);
        uri_reference_resolve(&uri, is_root ? "" : schema->resources[node->resource].uri, id);
        node->resource = add_resource(schema, buf_take(&uri));
    } else if (is_root) {
        node->resource = add_resource(schema, own_strdup(""));
    }
    if (is_root || (id && !old_anchor))
        add_anchor(schema, node, "", false);
    if (old_anchor)
        add_anchor(schema, node, id + 1, false);
    if (anchor)
        add_anchor(schema, node, anchor, false);
    if (dynamic)
        add_anchor(schema, node, dynamic, true);
}

static void queue_reference(struct builder *builder, struct schema_node *node)
{
    builder->references =
        grown(builder->references, builder->reference_count, sizeof(struct reference));
    builder->references[builder->reference_count++] =
        (struct reference){.from = node, .rule = &node->rules[node->rule_count - 1]};
}

static bool build_rules(struct builder *builder, struct schema_node *node)
{
    node->rules = own_array(json_object_size(node->source), sizeof(struct schema_rule));
    bool ref_alone =
        builder->schema->ref_alone && json_is_string(json_object_get(node->source, "$ref"));
    for (int word = 0; word < (ref_alone ? 1 : SCHEMA_WORD_COUNT); word++) {
        json_t *value = json_object_get(node->source, words[word].keyword);
        if (!value)
            continue;
        struct schema_rule *rule = &node->rules[node->rule_count++];
        *rule = (struct schema_rule){.word = (enum schema_word)word, .value = value};
        size_t before = enter(builder, words[word].keyword);
        bool good = build_rule(builder, rule, node->resource);
        leave(builder, before);
        if (!good)
            return false;
        if (words[word].shape == SHAPE_REFERENCE)
            queue_reference(builder, node);
        if (word == SCHEMA_unevaluated_items || word == SCHEMA_unevaluated_properties)
            builder->schema->tracks = true;
    }
    return true;
}

static struct schema_node *new_node(struct json_schema *schema, json_t *source, size_t resource)
{
    struct schema_node *node = own_alloc(sizeof(*node));
    node->source = source;
    node->resource = resource;
    schema->nodes = grown(schema->nodes, schema->node_count, sizeof(struct schema_node *));
    schema->nodes[schema->node_count++] = node;
    return node;
}

// NULL: refused. The node belongs to the schema in any case.
static struct schema_node *build_node(struct builder *builder, json_t *source, size_t resource)
{
    struct json_schema *schema = builder->schema;
    bool is_root = schema->node_count == 0;
    if (!json_is_object(source) && !json_is_boolean(source)) {
        refuse(builder, "expected a schema: an object, true or false");
        return NULL;
    }
    if (schema->node_count >= NODES_MOST || builder->depth >= DEPTH_MOST) {
        refuse(builder, "too many subschemas (at most %d, %d inside each other)", NODES_MOST,
               DEPTH_MOST);
        return NULL;
    }
    struct schema_node *node = new_node(schema, source, resource);
    node->never = json_is_false(source);
    name_node(schema, node, is_root);
    builder->depth++;
    bool good = known_words_only(builder, source) && build_rules(builder, node);
    builder->depth--;
    return good ? node : NULL;
}

// ---- references

// "%25" to "%"; the text only gets shorter.
static void unescape_percents(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        char hex[3] = {from[1], from[1] ? from[2] : '\0', '\0'};
        if (*from == '%' && strspn(hex, "0123456789abcdefABCDEF") == 2) {
            *to++ = (char)strtoul(hex, NULL, 16);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void unescape_tildes(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (from[0] == '~' && (from[1] == '0' || from[1] == '1'))
            *to++ = *++from == '0' ? '~' : '/';
        else
            *to++ = *from;
    }
    *to = '\0';
}

// One step of a JSON Pointer; NULL: there is nothing.
static json_t *pointer_step(const json_t *from, char *token)
{
    unescape_tildes(token);
    if (json_is_object(from))
        return json_object_get(from, token);
    size_t digits = strspn(token, "0123456789");
    if (digits == 0 || digits > 9 || token[digits] != '\0')
        return NULL;
    return json_array_get(from, strtoul(token, NULL, 10));
}

// Follows a pointer that begins with '/'; it is used up.
static json_t *follow_pointer(json_t *from, char *pointer)
{
    while (from && pointer) {
        char *token = pointer + 1;
        pointer = strchr(token, '/');
        if (pointer)
            *pointer = '\0';
        from = pointer_step(from, token);
    }
    return from;
}

static struct schema_node *node_of(const struct json_schema *schema, const json_t *source)
{
    for (size_t i = 0; i < schema->node_count; i++)
        if (schema->nodes[i]->source == source)
            return schema->nodes[i];
    return NULL;
}

static struct schema_node *anchored(const struct json_schema *schema, const char *uri,
                                    const char *name)
{
    for (size_t i = 0; i < schema->anchor_count; i++) {
        const struct schema_anchor *anchor = &schema->anchors[i];
        if (strcmp(anchor->name, name) == 0 &&
            strcmp(schema->resources[anchor->resource].uri, uri) == 0)
            return anchor->node;
    }
    return NULL;
}

// The node that the reference means; NULL: it leads nowhere inside the schema.
static struct schema_node *find_target(struct builder *builder, const char *uri, char *fragment)
{
    struct schema_node *root = anchored(builder->schema, uri, "");
    unescape_percents(fragment);
    if (!root || fragment[0] == '\0')
        return root;
    if (fragment[0] != '/')
        return anchored(builder->schema, uri, fragment);
    json_t *source = follow_pointer(root->source, fragment);
    if (!source)
        return NULL;
    struct schema_node *node = node_of(builder->schema, source);
    return node ? node : build_node(builder, source, root->resource);
}

static bool resolve(struct builder *builder, struct reference reference)
{
    const char *text = json_string_value(reference.rule->value);
    const char *fragment = uri_reference_fragment(text);
    char *own_fragment OWN_FREE = own_strdup(fragment ? fragment : "");
    struct buf uri OWN_BUF;
    buf_init(&uri, 0);
    uri_reference_resolve(&uri, builder->schema->resources[reference.from->resource].uri, text);
    struct schema_node *target = find_target(builder, buf_str(&uri), own_fragment);
    if (!target)
        return refuse(builder,
                      "%s \"%.150s\" leads nowhere inside the schema, and nothing is "
                      "fetched",
                      words[reference.rule->word].keyword, text);
    reference.rule->nodes = own_alloc(sizeof(struct schema_node *));
    reference.rule->nodes[0] = target;
    reference.rule->count = 1;
    return true;
}

// ---- the whole

struct dialect {
    const char *uri;
    bool ref_alone;
};

static bool read_dialect(struct builder *builder)
{
    static const struct dialect dialects[] = {
        {"json-schema.org/draft/2020-12/schema", false},
        {"json-schema.org/draft/2019-09/schema", false},
        {"json-schema.org/draft-07/schema", true},
        {"json-schema.org/draft-06/schema", true},
        {"json-schema.org/draft-04/schema", true},
    };
    const char *uri = json_string_value(json_object_get(builder->schema->source, "$schema"));
    if (!uri)
        return true;
    const char *host = strstr(uri, "://");
    for (size_t i = 0; host && i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        size_t len = strlen(dialects[i].uri);
        if (strncmp(host + 3, dialects[i].uri, len) == 0 &&
            (host[3 + len] == '\0' || strcmp(host + 3 + len, "#") == 0)) {
            builder->schema->ref_alone = dialects[i].ref_alone;
            return true;
        }
    }
    return refuse(builder, "unknown dialect: $schema \"%.150s\"", uri);
}

static bool build(struct builder *builder)
{
    if (!read_dialect(builder) || !build_node(builder, builder->schema->source, 0))
        return false;
    for (size_t i = 0; i < builder->reference_count; i++)
        if (!resolve(builder, builder->references[i]))
            return false;
    return true;
}

struct json_schema *json_schema_new(const json_t *source, struct failure *out)
{
    struct failure failure = {.code = ERR_NONE};
    struct json_schema *schema = own_alloc(sizeof(*schema));
    struct builder builder = {.schema = schema, .out = &failure};
    buf_init(&builder.path, 0);
    schema->source = json_deep_copy(source);
    CHECK(schema->source != NULL);
    if (!build(&builder)) {
        *out = failure;
        json_schema_free(schema);
        schema = NULL;
    }
    buf_deinit(&builder.path);
    free(builder.references);
    return schema;
}

static void free_rule(struct schema_rule *rule)
{
    for (size_t i = 0; rule->patterns && i < rule->count; i++)
        schema_pattern_free(rule->patterns[i]);
    free(rule->patterns);
    free(rule->nodes);
}

void json_schema_free(struct json_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->node_count; i++) {
        for (size_t j = 0; j < schema->nodes[i]->rule_count; j++)
            free_rule(&schema->nodes[i]->rules[j]);
        free(schema->nodes[i]->rules);
        free(schema->nodes[i]);
    }
    for (size_t i = 0; i < schema->resource_count; i++)
        free(schema->resources[i].uri);
    free(schema->nodes);
    free(schema->resources);
    free(schema->anchors);
    json_decref(schema->source);
    free(schema);
}

const struct schema_rule *schema_rule_of(const struct schema_node *node, enum schema_word word)
{
    for (size_t i = 0; i < node->rule_count; i++)
        if (node->rules[i].word == word)
            return &node->rules[i];
    return NULL;
}
