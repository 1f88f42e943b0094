// SPDX-License-Identifier: Apache-2.0
// The rules of JSON Schema that look at one value and apply no other schema to it.
#include "core/json_schema_inner.h"

#include <string.h>

#include "base/own.h"
#include "core/json_value.h"

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static bool has_type(const json_t *value, const char *type)
{
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "integer") == 0)
        return json_is_number(value) && json_value_is_integer(value);
    return strcmp(type, type_name(value)) == 0;
}

bool schema_rule_type(struct schema_check *check, const struct schema_rule *rule,
                      const struct schema_place *place)
{
    const json_t *types = rule->value;
    if (json_is_string(types))
        return has_type(place->value, json_string_value(types)) ||
               schema_problem(check, place->value, NULL, "%s", json_string_value(types));
    struct buf names OWN_BUF;
    buf_init(&names, 0);
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        if (has_type(place->value, type))
            return true;
        buf_printf(&names, "%s%s", i ? " or " : "", type);
    }
    return schema_problem(check, place->value, NULL, "%s", buf_str(&names));
}

bool schema_rule_const(struct schema_check *check, const struct schema_rule *rule,
                       const struct schema_place *place)
{
    if (json_value_equal(rule->value, place->value))
        return true;
    char *text OWN_FREE = schema_text_of(rule->value);
    return schema_problem(check, place->value, NULL, "%s", text);
}

bool schema_rule_enum(struct schema_check *check, const struct schema_rule *rule,
                      const struct schema_place *place)
{
    for (size_t i = 0; i < json_array_size(rule->value); i++)
        if (json_value_equal(json_array_get(rule->value, i), place->value))
            return true;
    char *text OWN_FREE = schema_text_of(rule->value);
    return schema_problem(check, place->value, NULL, "one of %s", text);
}

// ---- numbers

bool schema_rule_multiple_of(struct schema_check *check, const struct schema_rule *rule,
                             const struct schema_place *place)
{
    if (!json_is_number(place->value) || json_value_is_multiple(place->value, rule->value))
        return true;
    char *text OWN_FREE = schema_text_of(rule->value);
    return schema_problem(check, place->value, NULL, "a multiple of %s", text);
}

// Whether the number stands to the rule's as `sign` says: 1 at least, -1 at most; without equality
// where the bound is exclusive.
static bool check_bound(struct schema_check *check, const json_t *bound,
                        const struct schema_place *place, int sign, bool exclusive)
{
    if (!json_is_number(place->value))
        return true;
    int order = json_value_compare(place->value, bound) * sign;
    if (order > 0 || (order == 0 && !exclusive))
        return true;
    char *text OWN_FREE = schema_text_of(bound);
    const char *relation =
        sign > 0 ? (exclusive ? "over" : "at least") : (exclusive ? "under" : "at most");
    return schema_problem(check, place->value, NULL, "a number %s %s", relation, text);
}

// Draft-04: `exclusiveMinimum: true` changes `minimum`.
static bool is_exclusive(const struct schema_place *place, enum schema_word word)
{
    const struct schema_rule *rule = schema_rule_of(place->node, word);
    return rule && json_is_true(rule->value);
}

bool schema_rule_minimum(struct schema_check *check, const struct schema_rule *rule,
                         const struct schema_place *place)
{
    return check_bound(check, rule->value, place, 1, is_exclusive(place, SCHEMA_exclusive_minimum));
}

bool schema_rule_maximum(struct schema_check *check, const struct schema_rule *rule,
                         const struct schema_place *place)
{
    return check_bound(check, rule->value, place, -1,
                       is_exclusive(place, SCHEMA_exclusive_maximum));
}

bool schema_rule_exclusive_minimum(struct schema_check *check, const struct schema_rule *rule,
                                   const struct schema_place *place)
{
    return json_is_boolean(rule->value) || check_bound(check, rule->value, place, 1, true);
}

bool schema_rule_exclusive_maximum(struct schema_check *check, const struct schema_rule *rule,
                                   const struct schema_place *place)
{
    return json_is_boolean(rule->value) || check_bound(check, rule->value, place, -1, true);
}

// ---- strings

static size_t code_points(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t points = 0;
    for (size_t i = 0; i < json_string_length(string); i++)
        points += ((unsigned char)text[i] & 0xc0) != 0x80;
    return points;
}

bool schema_rule_min_length(struct schema_check *check, const struct schema_rule *rule,
                            const struct schema_place *place)
{
    if (!json_is_string(place->value) || code_points(place->value) >= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at least %zu characters", rule->count);
}

bool schema_rule_max_length(struct schema_check *check, const struct schema_rule *rule,
                            const struct schema_place *place)
{
    if (!json_is_string(place->value) || code_points(place->value) <= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at most %zu characters", rule->count);
}

bool schema_rule_pattern(struct schema_check *check, const struct schema_rule *rule,
                         const struct schema_place *place)
{
    if (!json_is_string(place->value))
        return true;
    enum schema_match match =
        schema_pattern_match(rule->patterns[0], json_string_value(place->value),
                             json_string_length(place->value), &check->steps_left);
    if (match == SCHEMA_MATCH_TOO_MUCH)
        return schema_stop(check, "a text that its pattern can be tried on with bounded work");
    return match == SCHEMA_MATCHES ||
           schema_problem(check, place->value, NULL, "text that matches %s",
                          json_string_value(rule->value));
}

// ---- arrays

bool schema_rule_min_items(struct schema_check *check, const struct schema_rule *rule,
                           const struct schema_place *place)
{
    if (!json_is_array(place->value) || json_array_size(place->value) >= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at least %zu items", rule->count);
}

bool schema_rule_max_items(struct schema_check *check, const struct schema_rule *rule,
                           const struct schema_place *place)
{
    if (!json_is_array(place->value) || json_array_size(place->value) <= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at most %zu items", rule->count);
}

bool schema_rule_unique_items(struct schema_check *check, const struct schema_rule *rule,
                              const struct schema_place *place)
{
    if (!json_is_array(place->value) || !json_is_true(rule->value) ||
        !json_value_has_twins(place->value))
        return true;
    return schema_problem(check, place->value, NULL, "items that all differ");
}

// ---- objects

bool schema_rule_min_properties(struct schema_check *check, const struct schema_rule *rule,
                                const struct schema_place *place)
{
    if (!json_is_object(place->value) || json_object_size(place->value) >= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at least %zu properties", rule->count);
}

bool schema_rule_max_properties(struct schema_check *check, const struct schema_rule *rule,
                                const struct schema_place *place)
{
    if (!json_is_object(place->value) || json_object_size(place->value) <= rule->count)
        return true;
    return schema_problem(check, place->value, NULL, "at most %zu properties", rule->count);
}

// Each of the names is a member. `because` is the member that asks for them; NULL: none.
static bool check_required(struct schema_check *check, const json_t *names,
                           const struct schema_place *place, const char *because)
{
    bool good = true;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (json_object_get(place->value, name))
            continue;
        good = because ? schema_problem(check, place->value, name,
                                        "required property beside \"%s\"", because)
                       : schema_problem(check, place->value, name, "required property");
    }
    return good;
}

bool schema_rule_required(struct schema_check *check, const struct schema_rule *rule,
                          const struct schema_place *place)
{
    return !json_is_object(place->value) || check_required(check, rule->value, place, NULL);
}

bool schema_rule_dependent_required(struct schema_check *check, const struct schema_rule *rule,
                                    const struct schema_place *place)
{
    bool good = true;
    const char *name;
    json_t *names;
    json_object_foreach(rule->value, name, names)
    {
        if (json_object_get(place->value, name) && !check_required(check, names, place, name))
            good = false;
    }
    return good;
}
