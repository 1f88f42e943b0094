// SPDX-License-Identifier: Apache-2.0
// Walks a compiled schema over an instance.
//
// Each application of a node to a value runs the node's rules in the order of json_schema.def.
// Where the schema has an unevaluated… rule, each application keeps marks of what it evaluated, and
// hands them to the one that applied it if it passed: so a branch that failed leaves none, and the
// unevaluated… rules, which come last, see what all others left. In branches that may fail without
// harm (anyOf, if, not …) no problems are written; the rule that owns them writes one of its own.
#include "core/json_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/json_schema_inner.h"

#define STEPS_MOST 4000000
#define RULE_STEPS 4
#define DEPTH_MOST 300
#define TEXT_BYTES 160 // of expected, got and path each

static bool apply(struct schema_check *check, const struct schema_node *node, json_t *value,
                  struct schema_marks *into);

// ---- problems

// Where to cut the text to at most `most` bytes, between characters.
static size_t cut_at(const char *text, size_t len, size_t most)
{
    if (len <= most)
        return len;
    while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

// A string of at most TEXT_BYTES, and "..." where it was cut.
static json_t *bounded(const char *text, size_t len)
{
    size_t keep = cut_at(text, len, TEXT_BYTES);
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    buf_add(&out, text, keep);
    if (keep < len)
        buf_add_str(&out, "...");
    return json_stringn(buf_str(&out), out.len);
}

char *schema_text_of(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    CHECK(text != NULL);
    text[cut_at(text, strlen(text), TEXT_BYTES * 4)] = '\0';
    return text;
}

// What the value is, for a message: a scalar itself, of the others their kind and size.
static json_t *got_text(const json_t *value, bool kind_only)
{
    char text[64];
    if (json_is_object(value))
        snprintf(text, sizeof(text), kind_only ? "object" : "object with %zu properties",
                 json_object_size(value));
    else if (json_is_array(value))
        snprintf(text, sizeof(text), kind_only ? "array" : "array of %zu items",
                 json_array_size(value));
    else if (json_is_string(value) && kind_only)
        snprintf(text, sizeof(text), "string");
    else {
        char *scalar OWN_FREE = schema_text_of(value);
        return bounded(scalar, strlen(scalar));
    }
    return json_string(text);
}

static bool wants_problems(const struct schema_check *check)
{
    return check->problems && check->quiet == 0 && !check->stopped &&
           json_array_size(check->problems) < JSON_SCHEMA_PROBLEMS_MOST;
}

static void add_problem(struct schema_check *check, const char *expected, const char *name,
                        json_t *take_got)
{
    json_t *problem = json_object();
    json_object_set_new(problem, "path", bounded(buf_str(&check->path), check->path.len));
    json_object_set_new(problem, "expected", bounded(expected, strlen(expected)));
    if (name)
        json_object_set_new(problem, "name", bounded(name, strlen(name)));
    else if (take_got)
        json_object_set_new(problem, "got", take_got);
    json_array_append_new(check->problems, problem);
}

bool schema_problem(struct schema_check *check, const json_t *value, const char *name,
                    const char *expected, ...)
{
    if (!wants_problems(check))
        return false;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    va_list args;
    va_start(args, expected);
    buf_vprintf(&text, expected, args);
    va_end(args);
    bool about_type = strcmp(expected, "%s") == 0;
    add_problem(check, buf_str(&text), name, name ? NULL : got_text(value, about_type));
    return false;
}

bool schema_stop(struct schema_check *check, const char *bound)
{
    if (!check->stopped && check->problems &&
        json_array_size(check->problems) < JSON_SCHEMA_PROBLEMS_MOST)
        add_problem(check, bound, NULL, json_string("more than a check may take"));
    check->stopped = true;
    return false;
}

// ---- where the walk stands in the instance

static size_t enter_name(struct schema_check *check, const char *name)
{
    size_t before = check->path.len;
    buf_add_char(&check->path, '/');
    for (; *name; name++) {
        if (*name == '~' || *name == '/')
            buf_add_str(&check->path, *name == '~' ? "~0" : "~1");
        else
            buf_add_char(&check->path, *name);
    }
    return before;
}

static size_t enter_item(struct schema_check *check, size_t item)
{
    size_t before = check->path.len;
    buf_printf(&check->path, "/%zu", item);
    return before;
}

static void leave(struct schema_check *check, size_t before)
{
    check->path.len = before;
    check->path.data[before] = '\0';
}

static bool apply_to_member(struct schema_check *check, const struct schema_node *node,
                            const char *name, json_t *member)
{
    size_t before = enter_name(check, name);
    bool good = apply(check, node, member, NULL);
    leave(check, before);
    return good;
}

static bool apply_to_item(struct schema_check *check, const struct schema_node *node,
                          const struct schema_place *place, size_t item)
{
    size_t before = enter_item(check, item);
    bool good = apply(check, node, json_array_get(place->value, item), NULL);
    leave(check, before);
    return good;
}

// ---- marks

static void mark_name(const struct schema_place *place, const char *name)
{
    if (!place->marks)
        return;
    if (!place->marks->names)
        place->marks->names = json_object();
    json_object_set_new(place->marks->names, name, json_true());
}

static void mark_item(const struct schema_place *place, size_t item)
{
    if (!place->marks)
        return;
    if (!place->marks->items)
        place->marks->items = own_array(json_array_size(place->value), 1);
    place->marks->items[item] = 1;
}

static void merge_marks(struct schema_marks *into, const struct schema_marks *from, json_t *value)
{
    const struct schema_place place = {.value = value, .marks = into};
    const char *name;
    json_t *flag;
    json_object_foreach(from->names, name, flag)
    {
        mark_name(&place, name);
    }
    for (size_t i = 0; from->items && i < json_array_size(value); i++)
        if (from->items[i])
            mark_item(&place, i);
}

static void drop_marks(struct schema_marks *marks)
{
    json_decref(marks->names);
    free(marks->items);
}

// ---- applying a node

static schema_rule_function *const functions[SCHEMA_WORD_COUNT] = {
#define RULE(name, keyword, shape) [SCHEMA_##name] = schema_rule_##name,
#define WORD(name, keyword, shape)
#include "core/json_schema.def"
#undef RULE
#undef WORD
};

static bool run_rules(struct schema_check *check, const struct schema_place *place)
{
    bool good = true;
    for (size_t i = 0; i < place->node->rule_count && !check->stopped; i++) {
        const struct schema_rule *rule = &place->node->rules[i];
        if (!good && (rule->word >= SCHEMA_unevaluated_items || !wants_problems(check)))
            break;
        check->steps_left -= RULE_STEPS;
        if (check->steps_left < 0)
            return schema_stop(check, "an instance that can be checked with bounded work");
        if (functions[rule->word] && !functions[rule->word](check, rule, place))
            good = false;
    }
    return good && !check->stopped;
}

static bool apply(struct schema_check *check, const struct schema_node *node, json_t *value,
                  struct schema_marks *into)
{
    if (node->never)
        return schema_problem(check, value, NULL, "nothing here");
    if (check->depth >= DEPTH_MOST)
        return schema_stop(check, "schemas that end: this one refers to itself without end, or "
                                  "goes too deep");
    const struct schema_scope scope = {.resource = node->resource, .outer = check->scope};
    struct schema_marks marks = {0};
    const struct schema_place place = {
        .node = node, .value = value, .marks = check->schema->tracks ? &marks : NULL};
    check->scope = &scope;
    check->depth++;
    bool good = run_rules(check, &place);
    check->depth--;
    check->scope = scope.outer;
    if (good && into)
        merge_marks(into, &marks, value);
    drop_marks(&marks);
    return good;
}

// The same without problems.
static bool apply_quietly(struct schema_check *check, const struct schema_node *node, json_t *value,
                          struct schema_marks *into)
{
    check->quiet++;
    bool good = apply(check, node, value, into);
    check->quiet--;
    return good;
}

// ---- references

bool schema_rule_ref(struct schema_check *check, const struct schema_rule *rule,
                     const struct schema_place *place)
{
    return apply(check, rule->nodes[0], place->value, place->marks);
}

static const struct schema_node *dynamic_anchor_in(const struct json_schema *schema,
                                                   size_t resource, const char *name)
{
    for (size_t i = 0; i < schema->anchor_count; i++) {
        const struct schema_anchor *anchor = &schema->anchors[i];
        if (anchor->dynamic && anchor->resource == resource && strcmp(anchor->name, name) == 0)
            return anchor->node;
    }
    return NULL;
}

// Where the plain target is a dynamic anchor of the name asked for, the outermost resource on the
// way here that has such an anchor decides.
bool schema_rule_dynamic_ref(struct schema_check *check, const struct schema_rule *rule,
                             const struct schema_place *place)
{
    const struct schema_node *target = rule->nodes[0];
    const char *fragment = strchr(json_string_value(rule->value), '#');
    const char *name = target->dynamic_anchor;
    if (name && fragment && strcmp(fragment + 1, name) == 0) {
        for (const struct schema_scope *at = check->scope; at; at = at->outer) {
            const struct schema_node *found = dynamic_anchor_in(check->schema, at->resource, name);
            target = found ? found : target;
        }
    }
    return apply(check, target, place->value, place->marks);
}

// ---- combining

bool schema_rule_all_of(struct schema_check *check, const struct schema_rule *rule,
                        const struct schema_place *place)
{
    bool good = true;
    for (size_t i = 0; i < rule->count; i++)
        if (!apply(check, rule->nodes[i], place->value, place->marks))
            good = false;
    return good;
}

// How many branches pass. Stops at `enough`, unless each one's marks are needed.
static size_t passing(struct schema_check *check, const struct schema_rule *rule,
                      const struct schema_place *place, size_t enough)
{
    size_t passed = 0;
    for (size_t i = 0; i < rule->count && (place->marks || passed < enough); i++)
        passed += apply_quietly(check, rule->nodes[i], place->value, place->marks);
    return passed;
}

bool schema_rule_any_of(struct schema_check *check, const struct schema_rule *rule,
                        const struct schema_place *place)
{
    if (rule->count == 1)
        return apply(check, rule->nodes[0], place->value, place->marks);
    return passing(check, rule, place, 1) > 0 ||
           schema_problem(check, place->value, NULL, "one of %zu alternatives (anyOf)",
                          rule->count);
}

bool schema_rule_one_of(struct schema_check *check, const struct schema_rule *rule,
                        const struct schema_place *place)
{
    size_t passed = passing(check, rule, place, 2);
    if (passed == 1)
        return true;
    return schema_problem(check, place->value, NULL, "exactly one of %zu alternatives (oneOf)%s",
                          rule->count, passed ? ": more than one matches" : "");
}

bool schema_rule_not(struct schema_check *check, const struct schema_rule *rule,
                     const struct schema_place *place)
{
    if (!apply_quietly(check, rule->nodes[0], place->value, NULL))
        return !check->stopped;
    char *text OWN_FREE = schema_text_of(rule->value);
    return schema_problem(check, place->value, NULL, "anything but %s", text);
}

bool schema_rule_if(struct schema_check *check, const struct schema_rule *rule,
                    const struct schema_place *place)
{
    bool holds = apply_quietly(check, rule->nodes[0], place->value, place->marks);
    const struct schema_rule *branch =
        schema_rule_of(place->node, holds ? SCHEMA_then : SCHEMA_else);
    return !branch || apply(check, branch->nodes[0], place->value, place->marks);
}

// ---- objects

bool schema_rule_dependent_schemas(struct schema_check *check, const struct schema_rule *rule,
                                   const struct schema_place *place)
{
    bool good = true;
    size_t i = 0;
    const char *name;
    json_t *unused;
    json_object_foreach(rule->value, name, unused)
    {
        const struct schema_node *node = rule->nodes[i++];
        if (json_object_get(place->value, name) && !apply(check, node, place->value, place->marks))
            good = false;
    }
    return good;
}

// Before 2019-09 names and schemas shared one keyword.
bool schema_rule_dependencies(struct schema_check *check, const struct schema_rule *rule,
                              const struct schema_place *place)
{
    bool good = true;
    size_t i = 0;
    const char *name;
    json_t *member;
    json_object_foreach(rule->value, name, member)
    {
        const struct schema_node *node = rule->nodes[i++];
        if (!json_object_get(place->value, name))
            continue;
        if (node && !apply(check, node, place->value, place->marks))
            good = false;
        for (size_t j = 0; !node && j < json_array_size(member); j++) {
            const char *needed = json_string_value(json_array_get(member, j));
            if (!json_object_get(place->value, needed))
                good = schema_problem(check, place->value, needed,
                                      "required property beside \"%s\"", name);
        }
    }
    return good;
}

bool schema_rule_property_names(struct schema_check *check, const struct schema_rule *rule,
                                const struct schema_place *place)
{
    bool good = true;
    const char *name;
    json_t *member;
    json_object_foreach(place->value, name, member)
    {
        json_t *text = json_string(name);
        if (!apply_quietly(check, rule->nodes[0], text, NULL))
            good = schema_problem(check, text, name, "another property name (propertyNames)");
        json_decref(text);
    }
    return good;
}

bool schema_rule_properties(struct schema_check *check, const struct schema_rule *rule,
                            const struct schema_place *place)
{
    bool good = true;
    size_t i = 0;
    const char *name;
    json_t *unused;
    json_object_foreach(rule->value, name, unused)
    {
        const struct schema_node *node = rule->nodes[i++];
        json_t *member = json_object_get(place->value, name);
        if (!member)
            continue;
        if (!apply_to_member(check, node, name, member))
            good = false;
        mark_name(place, name);
    }
    return good;
}

static bool name_matches(struct schema_check *check, const struct schema_pattern *pattern,
                         const char *name)
{
    check->steps_left -= RULE_STEPS;
    enum schema_match match = schema_pattern_match(pattern, name, strlen(name), &check->steps_left);
    if (match == SCHEMA_MATCH_TOO_MUCH || check->steps_left < 0)
        return schema_stop(check, "a name that patternProperties can be tried on with bounded "
                                  "work");
    return match == SCHEMA_MATCHES;
}

bool schema_rule_pattern_properties(struct schema_check *check, const struct schema_rule *rule,
                                    const struct schema_place *place)
{
    bool good = true;
    const char *name;
    json_t *member;
    json_object_foreach(place->value, name, member)
    {
        for (size_t i = 0; i < rule->count && !check->stopped; i++) {
            if (!name_matches(check, rule->patterns[i], name))
                continue;
            if (!apply_to_member(check, rule->nodes[i], name, member))
                good = false;
            mark_name(place, name);
        }
    }
    return good;
}

// Whether `properties` or `patternProperties` beside it speak of the name.
static bool is_named(struct schema_check *check, const struct schema_place *place, const char *name)
{
    const struct schema_rule *properties = schema_rule_of(place->node, SCHEMA_properties);
    const struct schema_rule *patterns = schema_rule_of(place->node, SCHEMA_pattern_properties);
    if (properties && json_object_get(properties->value, name))
        return true;
    for (size_t i = 0; patterns && i < patterns->count; i++)
        if (name_matches(check, patterns->patterns[i], name))
            return true;
    return false;
}

static bool apply_to_rest(struct schema_check *check, const struct schema_rule *rule,
                          const struct schema_place *place, const char *name, json_t *member)
{
    mark_name(place, name);
    if (!rule->nodes[0]->never)
        return apply_to_member(check, rule->nodes[0], name, member);
    size_t before = enter_name(check, name);
    schema_problem(check, member, NULL, "no property of this name");
    leave(check, before);
    return false;
}

bool schema_rule_additional_properties(struct schema_check *check, const struct schema_rule *rule,
                                       const struct schema_place *place)
{
    bool good = true;
    const char *name;
    json_t *member;
    json_object_foreach(place->value, name, member)
    {
        if (!is_named(check, place, name) && !apply_to_rest(check, rule, place, name, member))
            good = false;
    }
    return good;
}

bool schema_rule_unevaluated_properties(struct schema_check *check, const struct schema_rule *rule,
                                        const struct schema_place *place)
{
    bool good = true;
    const char *name;
    json_t *member;
    json_object_foreach(place->value, name, member)
    {
        if (!json_object_get(place->marks->names, name) &&
            !apply_to_rest(check, rule, place, name, member))
            good = false;
    }
    return good;
}

// ---- arrays

// Node i for item i, as far as there are both.
static bool apply_in_order(struct schema_check *check, const struct schema_rule *rule,
                           const struct schema_place *place)
{
    bool good = true;
    for (size_t i = 0; i < rule->count && i < json_array_size(place->value); i++) {
        if (!apply_to_item(check, rule->nodes[i], place, i))
            good = false;
        mark_item(place, i);
    }
    return good;
}

static bool apply_from(struct schema_check *check, const struct schema_node *node,
                       const struct schema_place *place, size_t first)
{
    bool good = true;
    for (size_t i = first; i < json_array_size(place->value) && !check->stopped; i++) {
        if (!apply_to_item(check, node, place, i))
            good = false;
        mark_item(place, i);
    }
    return good;
}

bool schema_rule_prefix_items(struct schema_check *check, const struct schema_rule *rule,
                              const struct schema_place *place)
{
    return apply_in_order(check, rule, place);
}

bool schema_rule_items(struct schema_check *check, const struct schema_rule *rule,
                       const struct schema_place *place)
{
    if (json_is_array(rule->value))
        return apply_in_order(check, rule, place);
    const struct schema_rule *prefix = schema_rule_of(place->node, SCHEMA_prefix_items);
    return apply_from(check, rule->nodes[0], place, prefix ? prefix->count : 0);
}

// Only beside an array of `items`, as the drafts that have it say.
bool schema_rule_additional_items(struct schema_check *check, const struct schema_rule *rule,
                                  const struct schema_place *place)
{
    const struct schema_rule *items = schema_rule_of(place->node, SCHEMA_items);
    if (!items || !json_is_array(items->value))
        return true;
    return apply_from(check, rule->nodes[0], place, items->count);
}

bool schema_rule_contains(struct schema_check *check, const struct schema_rule *rule,
                          const struct schema_place *place)
{
    if (!json_is_array(place->value))
        return true;
    const struct schema_rule *least = schema_rule_of(place->node, SCHEMA_min_contains);
    const struct schema_rule *most = schema_rule_of(place->node, SCHEMA_max_contains);
    size_t found = 0;
    for (size_t i = 0; i < json_array_size(place->value); i++) {
        if (!apply_quietly(check, rule->nodes[0], json_array_get(place->value, i), NULL))
            continue;
        found++;
        mark_item(place, i);
    }
    if (found < (least ? least->count : 1))
        return schema_problem(check, place->value, NULL,
                              "at least %zu items that match `contains`, found %zu",
                              least ? least->count : 1, found);
    if (most && found > most->count)
        return schema_problem(check, place->value, NULL,
                              "at most %zu items that match `contains`, found %zu", most->count,
                              found);
    return true;
}

bool schema_rule_unevaluated_items(struct schema_check *check, const struct schema_rule *rule,
                                   const struct schema_place *place)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(place->value); i++) {
        if (place->marks->items && place->marks->items[i])
            continue;
        if (!apply_to_item(check, rule->nodes[0], place, i))
            good = false;
        mark_item(place, i);
    }
    return good;
}

// ---- the whole

bool json_schema_check(const struct json_schema *schema, const json_t *instance,
                       struct buf *out_problems)
{
    struct schema_check check = {.schema = schema, .steps_left = STEPS_MOST};
    buf_init(&check.path, 0);
    if (out_problems)
        check.problems = json_array();
    bool good = apply(&check, schema->nodes[0], (json_t *)instance, NULL) && !check.stopped;
    if (!good && out_problems) {
        char *text OWN_FREE = json_dumps(check.problems, JSON_COMPACT);
        CHECK(text != NULL);
        buf_add_str(out_problems, text);
    }
    json_decref(check.problems);
    buf_deinit(&check.path);
    return good;
}
