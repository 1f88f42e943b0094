// SPDX-License-Identifier: Apache-2.0
// Reads from a schema and an instruction what a summary should be like.
#include "wish.h"

#include <stdlib.h>
#include <string.h>

// The number after `before` when `after` follows it: "at most " 300 " characters".
static bool number_between(const char *text, const char *before, const char *after, size_t *out)
{
    for (const char *at = strstr(text, before); at; at = strstr(at + 1, before)) {
        const char *digits = at + strlen(before);
        char *end;
        unsigned long number = strtoul(digits, &end, 10);
        if (end == digits || number == 0 || number > 1000000)
            continue;
        if (strncmp(end, after, strlen(after)) == 0) {
            *out = number;
            return true;
        }
    }
    return false;
}

static bool names_points(const char *text)
{
    return strncmp(text, " entries", 8) == 0 || strncmp(text, " key points", 11) == 0 ||
           strncmp(text, " points", 7) == 0;
}

// "3 to 5 key points", "3-5 points", "exactly 4 entries", "key_points: an empty list".
static void points_in_text(const char *text, struct summary_wish *wish)
{
    size_t number;
    if (strstr(text, "key_points: an empty list"))
        wish->min_points = wish->max_points = 0;
    if (number_between(text, "exactly ", " entries", &number))
        wish->min_points = wish->max_points = number;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || (at > text && at[-1] >= '0' && at[-1] <= '9'))
            continue;
        char *end;
        unsigned long least = strtoul(at, &end, 10);
        if (strncmp(end, " to ", 4) == 0)
            end += 4;
        else if (*end == '-')
            end += 1;
        else
            continue;
        unsigned long most = strtoul(end, &end, 10);
        if (names_points(end) && least <= most && most < 100) {
            wish->min_points = least;
            wish->max_points = most;
            return;
        }
    }
}

static void points_in_schema(const json_t *points, struct summary_wish *wish)
{
    const char *text = json_string_value(json_object_get(points, "description"));
    if (text)
        points_in_text(text, wish);
    json_int_t least = json_integer_value(json_object_get(points, "minItems"));
    json_int_t most = json_integer_value(json_object_get(points, "maxItems"));
    if (least > 0)
        wish->min_points = (size_t)least;
    if (most > 0)
        wish->max_points = (size_t)most;
    if (wish->max_points < wish->min_points)
        wish->max_points = wish->min_points;
}

static void summary_in_schema(const json_t *summary, struct summary_wish *wish)
{
    const char *text = json_string_value(json_object_get(summary, "description"));
    if (text)
        number_between(text, "t most ", " characters", &wish->max_chars);
    json_int_t most = json_integer_value(json_object_get(summary, "maxLength"));
    if (most > 0)
        wish->max_chars = (size_t)most;
}

bool wish_is_summary(const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties");
    return json_object_get(properties, "summary") && json_object_get(properties, "key_points") &&
           json_object_size(properties) == 2;
}

bool wish_is_cited(const json_t *schema)
{
    const json_t *properties = json_object_get(schema, "properties");
    return json_object_get(properties, "output") && json_object_get(properties, "quotes") &&
           json_object_size(properties) == 2;
}

void wish_read(const json_t *schema, const char *system, struct summary_wish *out_wish)
{
    struct summary_wish wish = {.max_chars = 300, .min_points = 3, .max_points = 5};
    number_between(system, "t most ", " characters", &wish.max_chars);
    points_in_text(system, &wish);
    wish.quotes = strstr(system, "\"quote\"") != NULL;
    if (schema) {
        const json_t *properties = json_object_get(schema, "properties");
        const json_t *points = json_object_get(properties, "key_points");
        summary_in_schema(json_object_get(properties, "summary"), &wish);
        points_in_schema(points, &wish);
        const json_t *items = json_object_get(points, "items");
        wish.quotes = json_object_get(json_object_get(items, "properties"), "quote") != NULL;
    }
    *out_wish = wish;
}

json_t *wish_schema_in_text(const char *text, size_t len)
{
    const char *end = text + len;
    for (int tries = 0; tries < 8; tries++) {
        const char *brace = memchr(text, '{', (size_t)(end - text));
        if (!brace)
            return NULL;
        json_t *value = json_loadb(brace, (size_t)(end - brace), JSON_DISABLE_EOF_CHECK, NULL);
        if (json_is_object(json_object_get(value, "properties")))
            return value;
        json_decref(value);
        text = brace + 1;
    }
    return NULL;
}
