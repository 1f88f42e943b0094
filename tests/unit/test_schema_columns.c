// SPDX-License-Identifier: Apache-2.0
// Columns, cells and order by a JSON Schema.
#include "core/schema_columns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

// The names with '|' between.
static char *names_of(const struct schema_columns *columns)
{
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < schema_columns_count(columns); i++)
        buf_printf(&out, "%s%s", i ? "|" : "", schema_columns_name(columns, i));
    return buf_take(&out);
}

static char *cells_of(const struct schema_columns *columns, const json_t *output)
{
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < schema_columns_count(columns); i++) {
        buf_add_str(&out, i ? "|" : "");
        schema_columns_add_cell(columns, i, output, &out);
    }
    buf_add_str(&out, "||");
    schema_columns_add_rest(columns, output, &out);
    return buf_take(&out);
}

#define OBJECT(properties) "{\"type\": \"object\", \"properties\": {" properties "}}"

static const struct row {
    const char *name, *schemas[2], *columns, *output, *cells;
} rows[] = {
    {"in the order of the schema",
     {OBJECT("\"zeta\": {}, \"alpha\": {\"type\": \"string\"}, \"m\": {}")},
     "zeta|alpha|m",
     "{\"alpha\": \"a\", \"m\": 2.5, \"zeta\": true}",
     "true|a|2.5||"},
    {"objects are dotted",
     {OBJECT("\"rent\": " OBJECT("\"net\": {}, \"per\": " OBJECT("\"unit\": {}")) ", \"end\": {}")},
     "rent.net|rent.per.unit|end",
     "{\"rent\": {\"net\": 1200, \"per\": {\"unit\": \"month\"}}, \"end\": null}",
     "1200|month|||"},
    {"arrays",
     {OBJECT("\"names\": {\"type\": \"array\", \"items\": {\"type\": \"string\"}},"
             " \"parties\": {\"items\": " OBJECT("\"name\": {}") "}")},
     "names|parties",
     "{\"names\": [\"A; B\", 2, null, \"C\"], \"parties\": [{\"name\": \"x\"}]}",
     "A; B; 2; ; C|[{\"name\":\"x\"}]||"},
    {"references",
     {"{\"$ref\": \"#/$defs/lease\", \"$defs\": {\"lease\": {\"properties\": {\"a\": {\"$ref\":"
      " \"#/$defs/m~0o~1n\"}}}, \"m~o/n\": {\"properties\": {\"x\": {}, \"y\": {}}}}}"},
     "a.x|a.y",
     "{\"a\": {\"y\": 2, \"x\": 1}}",
     "1|2||"},
    {"a reference to itself ends",
     {"{\"properties\": {\"v\": {}, \"next\": {\"$ref\": \"#\"}}}"},
     "v|next.v|next.next.v|next.next.next.v|next.next.next.next.v|next.next.next.next.next.v|"
     "next.next.next.next.next.next.v|next.next.next.next.next.next.next.v|"
     "next.next.next.next.next.next.next.next",
     "{\"v\": 1, \"next\": {\"v\": 2}}",
     "1|2|||||||||"},
    {"a reference into nothing is one column",
     {OBJECT("\"a\": {\"$ref\": \"#/nowhere\"}, \"b\": {\"$ref\": \"other.json\"}")},
     "a|b",
     "{\"a\": {\"x\": 1}}",
     "{\"x\":1}|||"},
    {"branches",
     {"{\"allOf\": [{\"properties\": {\"a\": {}}}, {\"properties\": {\"b\": {\"anyOf\": [{\"type\":"
      " \"null\"}, {\"properties\": {\"c\": {}}}]}}}]}"},
     "a|b.c",
     "{\"a\": 1, \"b\": null}",
     "1|||"},
    {"what the schema does not name",
     {OBJECT("\"a\": {}, \"o\": " OBJECT("\"b\": {}"))},
     "a|o.b",
     "{\"a\": 1, \"o\": {\"b\": 2, \"c\": 3}, \"d\": [4], \"e\": {}}",
     "1|2||{\"o\":{\"c\":3},\"d\":[4]}"},
    {"two schemas",
     {OBJECT("\"a\": {}, \"b\": {}"), OBJECT("\"b\": {}, \"c\": {}, \"a\": {}")},
     "a|b|c",
     "{\"c\": 0.1}",
     "||0.1||"},
    {"names that are taken",
     {OBJECT("\"state\": {}, \"error\": " OBJECT("\"code\": {}") ", \"output.state\": {}"),
      OBJECT("\"error.code\": {}")},
     "output.state|output.error.code|output.output.state|output.output.error.code",
     "{\"state\": \"NY\", \"error\": {\"code\": 1}, \"output.state\": 2, \"error.code\": 3}",
     "NY|1|2|3||"},
    {"no properties", {"{\"type\": \"string\"}"}, "output", "\"text\"", "text||"},
    {"true", {"true"}, "output", "{\"a\": 1}", "{\"a\":1}||"},
};

static void test_columns(void **state)
{
    (void)state;
    static const char *const taken[] = {"state", "error.code", NULL};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schema_columns *columns = schema_columns_new(taken);
        for (size_t s = 0; s < 2 && rows[i].schemas[s]; s++) {
            json_t *schema = parse(rows[i].schemas[s]);
            schema_columns_add(columns, schema);
            json_decref(schema); // names are kept
        }
        char *names = names_of(columns);
        json_t *output = parse(rows[i].output);
        char *cells = cells_of(columns, output);
        if (strcmp(names, rows[i].columns) != 0 || strcmp(cells, rows[i].cells) != 0)
            fail_msg("%s: %s: %s", rows[i].name, names, cells);
        free(names);
        free(cells);
        json_decref(output);
        schema_columns_free(columns);
    }
}

// References that double at each level: 2^40 paths, but no more columns than there may be.
static void test_many(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    buf_add_str(&text, "{\"$ref\": \"#/d/0\", \"d\": {");
    for (int i = 0; i < 40; i++) {
        buf_printf(&text, "\"%d\": {\"properties\": {", i);
        for (int k = 0; k < 20; k++)
            buf_printf(&text, "%s\"k%d\": {\"$ref\": \"#/d/%d\"}", k ? ", " : "", k, i + 1);
        buf_add_str(&text, "}}, ");
    }
    buf_add_str(&text, "\"40\": {}}}");
    json_t *schema = parse(buf_str(&text));
    struct schema_columns *columns = schema_columns_new(NULL);
    schema_columns_add(columns, schema);
    assert_int_equal(schema_columns_count(columns), SCHEMA_COLUMNS_MAX);
    json_t *output = parse("{\"k19\": 1}");
    char *cells = cells_of(columns, output);
    assert_string_equal(cells + strlen(cells) - strlen("||{\"k19\":1}"), "||{\"k19\":1}");
    free(cells);
    json_decref(output);
    json_decref(schema);
    schema_columns_free(columns);
    buf_deinit(&text);
}

// Branches that lead back: 20^8 ways, and no column.
static void test_branches_end(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 0);
    buf_add_str(&text, "{\"properties\": {\"a\": {\"$ref\": \"#\"}}, \"allOf\": [{}");
    for (int i = 0; i < 20; i++)
        buf_add_str(&text, ", {\"$ref\": \"#\"}");
    buf_add_str(&text, "]}");
    json_t *schema = parse(buf_str(&text)), *output = parse("{\"a\": {\"a\": 1}}");
    struct schema_columns *columns = schema_columns_new(NULL);
    schema_columns_add(columns, schema);
    assert_true(schema_columns_count(columns) <= SCHEMA_COLUMNS_DEPTH);
    json_t *same = schema_ordered(output, schema);
    assert_true(json_equal(output, same));
    json_decref(same);
    json_decref(output);
    json_decref(schema);
    schema_columns_free(columns);
    buf_deinit(&text);
}

static const struct {
    const char *schema, *value, *ordered;
} orders[] = {
    {OBJECT("\"b\": {}, \"a\": {}"), "{\"a\": 1, \"x\": 2, \"b\": 3}", "{\"b\":3,\"a\":1,\"x\":2}"},
    {"{\"$ref\": \"#/d/l\", \"d\": {\"l\": {\"items\": {\"$ref\": \"#/d/o\"}}, \"o\": " OBJECT(
         "\"z\": {}, \"a\": {}") "}}",
     "[{\"a\": 1, \"z\": 2}, 3]", "[{\"z\":2,\"a\":1},3]"},
    {"{\"anyOf\": [{\"type\": \"null\"}, {\"items\": " OBJECT("\"z\": {}, \"a\": {}") "}]}",
     "[{\"a\": 1, \"z\": 2}]", "[{\"z\":2,\"a\":1}]"},
    {"{}", "{\"a\": [1, {\"b\": null}]}", "{\"a\":[1,{\"b\":null}]}"},
    {"{\"properties\": {\"n\": {\"$ref\": \"#\"}}}",
     "{\"n\": {\"n\": {\"n\": {\"n\": {\"n\": {\"n\": 1}}}}}}",
     "{\"n\":{\"n\":{\"n\":{\"n\":{\"n\":{\"n\":1}}}}}}"},
};

static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        json_t *schema = parse(orders[i].schema), *value = parse(orders[i].value);
        json_t *ordered = schema_ordered(value, schema);
        char *text = json_dumps(ordered, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(text, orders[i].ordered);
        free(text);
        json_decref(ordered);
        json_decref(value);
        json_decref(schema);
    }
    json_t *value = parse("{\"b\": 1, \"a\": 2}");
    json_t *same = schema_ordered(value, NULL);
    assert_true(json_equal(value, same));
    json_decref(same);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns), cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_branches_end),
                                       cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
