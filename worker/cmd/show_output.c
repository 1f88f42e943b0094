// SPDX-License-Identifier: Apache-2.0
// precis show: an answer as lines.
#include "cmd/show_output.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "cmd/ask.h"
#include "cmd/screen.h"
#include "cmd/table.h"
#include "core/schema_columns.h"

#define DEPTH_MAX 32

void show_wrapped(const char *first, const char *text)
{
    static const struct table_column columns[] = {
        {"", TABLE_LEFT}, {"", TABLE_WRAP}, {NULL, TABLE_LEFT}};
    struct table *table = table_new(columns);
    struct buf cell OWN_BUF;
    buf_init(&cell, 0);
    buf_add_str(&cell, first);
    table_take(table, &cell);
    table_add(table, text);
    table_print_rows(table, stdout);
    table_free(table);
}

void show_quote(const char *first, const struct pg_rows *citations, size_t row, bool path)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (path && ask_value(citations, row, "path"))
        buf_printf(&text, "%s: ", ask_value(citations, row, "path"));
    buf_printf(&text, "\u201c%s\u201d ", ask_value(citations, row, "quote"));
    const char *page = ask_value(citations, row, "page");
    bool found = strcmp(ask_value(citations, row, "found"), "t") == 0;
    if (found && ask_value(citations, row, "char_start"))
        buf_printf(&text, "(%s%s%scharacters %s to %s)", page ? "page " : "", page ? page : "",
                   page ? ", " : "", ask_value(citations, row, "char_start"),
                   ask_value(citations, row, "char_end"));
    else
        buf_add_str(&text, found ? "" : "(not found in the document)");
    show_wrapped(first, buf_str(&text));
}

// ------------------------------------------------------------------------------- values

// What is being walked: where in the answer (a JSON Pointer), and which citations were shown.
struct walk {
    const struct pg_rows *citations;
    struct buf path;
    bool *shown;
};

static size_t enter(struct walk *walk, const char *name)
{
    size_t before = walk->path.len;
    buf_add_char(&walk->path, '/');
    for (; *name; name++)
        if (*name == '~' || *name == '/')
            buf_add_str(&walk->path, *name == '~' ? "~0" : "~1");
        else
            buf_add_char(&walk->path, *name);
    return before;
}

static void leave(struct walk *walk, size_t before)
{
    walk->path.len = before;
    walk->path.data[before] = '\0';
}

static void quotes_here(struct walk *walk, int depth)
{
    struct buf first OWN_BUF;
    buf_init(&first, 0);
    buf_printf(&first, "%*s", 2 * depth + 4, "");
    for (size_t i = 0; walk->citations && i < pg_rows_count(walk->citations); i++) {
        const char *path = ask_value(walk->citations, i, "path");
        if (!path || walk->shown[i] || strcmp(path, buf_str(&walk->path)) != 0)
            continue;
        walk->shown[i] = true;
        show_quote(buf_str(&first), walk->citations, i, false);
    }
}

static bool is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static void show_value(struct walk *walk, const char *label, const json_t *value, int depth);

static void show_members(struct walk *walk, const json_t *object, int depth)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t before = enter(walk, name);
        if (!is_empty(value))
            show_value(walk, name, value, depth);
        leave(walk, before);
    }
}

// "rent 1", "rent 2": numbered from 1, as people count; the path counts from 0.
static void show_items(struct walk *walk, const char *label, const json_t *array, int depth)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct buf name OWN_BUF;
        char number[24];
        buf_init(&name, 0);
        snprintf(number, sizeof(number), "%zu", i);
        buf_printf(&name, "%s %zu", label, i + 1);
        size_t before = enter(walk, number);
        show_value(walk, buf_str(&name), json_array_get(array, i), depth);
        leave(walk, before);
    }
}

static void show_value(struct walk *walk, const char *label, const json_t *value, int depth)
{
    struct buf first OWN_BUF, text OWN_BUF;
    buf_init(&first, 0);
    buf_init(&text, 0);
    buf_printf(&first, "%*s", 2 * depth + 2, "");
    screen_add_line(&first, label);
    buf_add_char(&first, ':');
    if (json_is_array(value) && depth < DEPTH_MAX) {
        show_items(walk, label, value, depth);
    } else if (json_is_object(value) && depth < DEPTH_MAX) {
        printf("%s\n", buf_str(&first));
        show_members(walk, value, depth + 1);
    } else {
        schema_add_value(value, &text);
        show_wrapped(buf_str(&first), buf_str(&text));
    }
    quotes_here(walk, depth);
}

// ------------------------------------------------------------------------------- the whole

static void show_empty(const json_t *output)
{
    struct buf names OWN_BUF;
    buf_init(&names, 0);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)output, name, value) if (is_empty(value))
        buf_printf(&names, "%s%s", names.len ? ", " : "", name);
    if (names.len > 0)
        show_wrapped("  Nothing on:", buf_str(&names));
}

void show_output(const char *output, const char *schema, const struct pg_rows *citations)
{
    json_t *given = json_loads(output, JSON_DECODE_ANY, NULL);
    json_t *form = schema ? json_loads(schema, JSON_DECODE_ANY, NULL) : NULL;
    json_t *ordered = schema_ordered(given, form);
    size_t count = citations ? pg_rows_count(citations) : 0;
    struct walk walk = {.citations = citations, .shown = own_array(count + 1, sizeof(bool))};
    buf_init(&walk.path, 0);
    if (json_is_object(ordered)) {
        show_members(&walk, ordered, 0);
        show_empty(ordered);
    } else {
        show_wrapped("", output);
    }
    for (size_t i = 0; i < count; i++) // of what is not there, or the whole
        if (!walk.shown[i] && ask_value(citations, i, "path"))
            show_quote("   ", citations, i, true);
    buf_deinit(&walk.path);
    free(walk.shown);
    json_decref(ordered);
    json_decref(form);
    json_decref(given);
}
