// SPDX-License-Identifier: Apache-2.0
// JSON Schema: the public test suite of draft 2020-12 where it is at hand (PRECIS_TEST_DATA, a
// folder with json-schema-suite/), older drafts, what is refused and how, the texts of problems,
// and bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/json_schema.h"
#include "core/json_value.h"
#include "core/uri_reference.h"

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    if (!value)
        fail_msg("%s: %s", text, error.text);
    return value;
}

// ---- the suite

// Files in which schemas refer to what is not inside them, and how many such schemas there are.
static const struct {
    const char *file;
    size_t refused;
} remote[] = {
    {"refRemote.json", 15}, {"vocabulary.json", 2}, {"dynamicRef.json", 5},
    {"ref.json", 1},        {"defs.json", 1},
};

static size_t expected_refusals(const char *file)
{
    for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
        if (strcmp(remote[i].file, file) == 0)
            return remote[i].refused;
    return 0;
}

struct tally {
    size_t groups, refused, tests, wrong;
};

static void run_group(const char *file, const json_t *group, struct tally *tally)
{
    struct failure failure;
    const char *title = json_string_value(json_object_get(group, "description"));
    struct json_schema *schema = json_schema_new(json_object_get(group, "schema"), &failure);
    tally->groups++;
    if (!schema) {
        if (!strstr(failure.detail, "leads nowhere") && !strstr(failure.detail, "dialect"))
            fail_msg("%s, %s: %s", file, title, failure.detail);
        tally->refused++;
        return;
    }
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        struct buf problems OWN_BUF;
        buf_init(&problems, 0);
        bool valid = json_is_true(json_object_get(test, "valid"));
        bool answer = json_schema_check(schema, json_object_get(test, "data"), &problems);
        tally->tests++;
        if (answer == valid && valid == (problems.len == 0))
            continue;
        tally->wrong++;
        print_error("%s, %s, %s: %s\n", file, title,
                    json_string_value(json_object_get(test, "description")), buf_str(&problems));
    }
    json_schema_free(schema);
}

static void run_file(const char *folder, const char *file, struct tally *total)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, file);
    json_t *groups = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(groups);
    struct tally tally = {0};
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group)
    {
        run_group(file, group, &tally);
    }
    json_decref(groups);
    if (tally.refused != expected_refusals(file)) {
        print_error("%s: %zu of %zu schemas refused\n", file, tally.refused, tally.groups);
        total->wrong++;
    }
    total->groups += tally.groups;
    total->refused += tally.refused;
    total->tests += tally.tests;
    total->wrong += tally.wrong;
}

static void the_public_suite(void **state)
{
    (void)state;
    const char *data = getenv("PRECIS_TEST_DATA");
    char folder[2048];
    snprintf(folder, sizeof(folder), "%s/json-schema-suite",
             data ? data : PRECIS_SOURCE_DIR "/../shared/data");
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("the_public_suite: no json-schema-suite in PRECIS_TEST_DATA\n");
        skip();
    }
    struct tally total = {0};
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot && strcmp(dot, ".json") == 0)
            run_file(folder, entry->d_name, &total);
    }
    closedir(dir);
    print_message("%zu tests, %zu of %zu schemas refused\n", total.tests, total.refused,
                  total.groups);
    assert_true(total.tests > 1000);
    assert_int_equal(total.wrong, 0);
}

// ---- tables of our own

struct row {
    const char *schema;
    const char *instance;
    bool valid;
};

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct failure failure;
        json_t *source = parse(rows[i].schema), *instance = parse(rows[i].instance);
        struct json_schema *schema = json_schema_new(source, &failure);
        if (!schema)
            fail_msg("%s: %s", rows[i].schema, failure.detail);
        if (json_schema_check(schema, instance, NULL) != rows[i].valid)
            fail_msg("%s on %s is not %d", rows[i].schema, rows[i].instance, rows[i].valid);
        json_schema_free(schema);
        json_decref(source);
        json_decref(instance);
    }
}

static void older_drafts(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}", "[\"a\"]", true},
        {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":false}", "[\"a\",1]", false},
        {"{\"items\":[{\"type\":\"string\"}]}", "[1]", false},
        {"{\"items\":{},\"additionalItems\":false}", "[1,2]", true},
        {"{\"additionalItems\":false}", "[1,2]", true},
        {"{\"dependencies\":{\"a\":[\"b\"]}}", "{\"a\":1}", false},
        {"{\"dependencies\":{\"a\":[\"b\"]}}", "{\"a\":1,\"b\":1}", true},
        {"{\"dependencies\":{\"a\":{\"minProperties\":2},\"c\":[]}}", "{\"a\":1}", false},
        {"{\"dependencies\":{\"a\":{\"minProperties\":2},\"c\":[]}}", "{\"c\":1}", true},
        {"{\"minimum\":3,\"exclusiveMinimum\":true}", "3", false},
        {"{\"minimum\":3,\"exclusiveMinimum\":false}", "3", true},
        {"{\"maximum\":3,\"exclusiveMaximum\":true}", "3", false},
        {"{\"exclusiveMaximum\":true}", "3", true},
        {"{\"definitions\":{\"n\":{\"type\":\"number\"}},\"$ref\":\"#/definitions/n\"}", "1", true},
        {"{\"definitions\":{\"n\":{\"$id\":\"#n\",\"type\":\"null\"}},\"$ref\":\"#n\"}", "1",
         false},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"$ref\":\"#/definitions/n\","
         "\"maximum\":0,\"definitions\":{\"n\":{\"type\":\"number\"}}}",
         "1", true},
        {"{\"$schema\":\"https://json-schema.org/draft/2019-09/schema\",\"$ref\":"
         "\"#/definitions/n\",\"maximum\":0,\"definitions\":{\"n\":{\"type\":\"number\"}}}",
         "1", false},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void patterns(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"pattern\":\"^[a-z]$\"}", "\"a\\n\"", false}, // $ is the end, not a last line's
        {"{\"pattern\":\"^\\\\d+$\"}", "\"\\u0663\"", false},
        {"{\"pattern\":\"^\\\\w$\"}", "\"\\u00e9\"", false},
        {"{\"pattern\":\"^\\\\p{Lu}\\\\p{Uppercase_Letter}$\"}", "\"\\u00c9A\"", true},
        {"{\"pattern\":\"^\\\\p{gc=Number}[\\\\p{Letter}]$\"}", "\"5a\"", true},
        {"{\"pattern\":\"^\\\\P{Letter}$\"}", "\"5\"", true},
        {"{\"pattern\":\"^\\\\p{Script=Greek}$\"}", "\"\\u03b1\"", true},
        {"{\"pattern\":\"^\\\\u0041$\"}", "\"A\"", true},
        {"{\"pattern\":\"^[^]$\"}", "\"\\n\"", true},
        {"{\"pattern\":\"[]\"}", "\"a\"", false},
        {"{\"pattern\":\"^(a)\\\\1$\"}", "\"aa\"", true},
        {"{\"pattern\":\"^.$\"}", "\"\\ud83d\\ude00\"", true},
        {"{\"pattern\":\"a\"}", "1", true},
        {"{\"pattern\":\"(*LIMIT_MATCH=5)(?C1)a\"}", "\"b\"", false},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

static void exact_numbers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"{\"multipleOf\":0.1}", "0.3", true},
        {"{\"multipleOf\":0.01}", "19.99", true},
        {"{\"multipleOf\":0.01}", "19.999", false},
        {"{\"multipleOf\":0.01}", "9007199254740993", true},
        {"{\"multipleOf\":3}", "9007199254740993", true},
        {"{\"multipleOf\":2}", "9007199254740993", false},
        {"{\"multipleOf\":7}", "1e308", false},
        {"{\"multipleOf\":4}", "1e308", true},
        {"{\"multipleOf\":1e300}", "5", false},
        {"{\"multipleOf\":1e300}", "0", true},
        {"{\"multipleOf\":10}", "-20", true},
        {"{\"multipleOf\":1e-300}", "1", true},
        {"{\"maximum\":9007199254740992.0}", "9007199254740993", false},
        {"{\"exclusiveMinimum\":9007199254740992.0}", "9007199254740993", true},
        {"{\"const\":9007199254740992.0}", "9007199254740993", false},
        {"{\"const\":1}", "1.0", true},
        {"{\"enum\":[{\"a\":[1,true]}]}", "{\"a\":[1.0,true]}", true},
        {"{\"const\":0}", "-0.0", true},
        {"{\"const\":1}", "true", false},
        {"{\"type\":\"integer\"}", "1e300", true},
        {"{\"type\":\"integer\"}", "1.5", false},
        {"{\"minLength\":2.0}", "\"a\"", false},
        {"{\"uniqueItems\":true}", "[1,2,{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]", false},
        {"{\"uniqueItems\":true}", "[1,\"1\",[1],true,{\"a\":1},{\"a\":2},null,0]", true},
    };
    run_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

// ---- refusals

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *detail;
    } rows[] = {
        {"{\"properties\":{\"x\":{\"minLenght\":2}}}",
         "#/properties/x: unknown keyword \"minLenght\""},
        {"{\"nullable\":true}", "#: unknown keyword \"nullable\""},
        {"{\"$recursiveRef\":\"#\"}", "#: unknown keyword \"$recursiveRef\""},
        {"{\"not\":{\"foo\":1}}", "#/not: unknown keyword \"foo\""},
        {"[]", "#: expected a schema: an object, true or false"},
        {"{\"items\":5}", "#/items: expected a schema: an object, true or false"},
        {"{\"allOf\":{}}", "#/allOf: expected an array of schemas"},
        {"{\"properties\":[]}", "#/properties: expected an object of schemas"},
        {"{\"required\":\"a\"}", "#/required: expected an array of names"},
        {"{\"required\":[1]}", "#/required: expected an array of names"},
        {"{\"maxLength\":-1}", "#/maxLength: expected a whole number, 0 or more"},
        {"{\"maxLength\":1.5}", "#/maxLength: expected a whole number, 0 or more"},
        {"{\"maxLength\":\"5\"}", "#/maxLength: expected a whole number, 0 or more"},
        {"{\"multipleOf\":0}", "#/multipleOf: expected a number over 0"},
        {"{\"minimum\":\"5\"}", "#/minimum: expected a number"},
        {"{\"uniqueItems\":1}", "#/uniqueItems: expected true or false"},
        {"{\"enum\":5}", "#/enum: expected an array"},
        {"{\"pattern\":5}", "#/pattern: expected a pattern"},
        {"{\"dependentRequired\":{\"a\":1}}",
         "#/dependentRequired: expected an array of names for \"a\""},
        {"{\"$ref\":\"http://127.0.0.1/x.json\"}",
         "#: $ref \"http://127.0.0.1/x.json\" leads nowhere inside the schema, and nothing is "
         "fetched"},
        {"{\"$ref\":\"#/$defs/x\"}",
         "#: $ref \"#/$defs/x\" leads nowhere inside the schema, and nothing is fetched"},
        {"{\"$ref\":\"#/items/00000000000000001\",\"items\":[{},{}]}",
         "#: $ref \"#/items/00000000000000001\" leads nowhere inside the schema, and nothing is "
         "fetched"},
        {"{\"$ref\":5}", "#/$ref: expected a string"},
        {"{\"$schema\":\"https://example.com/mine\"}",
         "#: unknown dialect: $schema \"https://example.com/mine\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure failure;
        json_t *source = parse(rows[i].schema);
        struct json_schema *schema = json_schema_new(source, &failure);
        if (schema)
            fail_msg("%s passed", rows[i].schema);
        assert_int_equal(failure.code, ERR_BAD_FIELD);
        assert_string_equal(failure.detail, rows[i].detail);
        json_decref(source);
    }
}

static void refuses_what_has_no_bounds(void **state)
{
    (void)state;
    struct failure failure;
    json_t *deep = json_object(), *wide = json_array();
    for (int i = 0; i < 200; i++)
        deep = json_pack("{s:o}", "not", deep);
    for (int i = 0; i < 20000; i++)
        json_array_append_new(wide, json_true());
    wide = json_pack("{s:o}", "anyOf", wide);
    assert_null(json_schema_new(deep, &failure));
    assert_non_null(strstr(failure.detail, "too many subschemas"));
    assert_null(json_schema_new(wide, &failure));
    assert_non_null(strstr(failure.detail, "too many subschemas"));
    json_decref(deep);
    json_decref(wide);

    static const char *const bad_patterns[] = {"{\"pattern\":\"(\"}", "{\"pattern\":\"\\\\C\"}",
                                               "{\"pattern\":\"((a{1,900}){1,900}){1,900}\"}",
                                               "{\"patternProperties\":{\"[\":{}}}"};
    for (size_t i = 0; i < sizeof(bad_patterns) / sizeof(bad_patterns[0]); i++) {
        json_t *source = parse(bad_patterns[i]);
        assert_null(json_schema_new(source, &failure));
        assert_non_null(strstr(failure.detail, "can't be used as a pattern"));
        json_decref(source);
    }
}

// ---- problems

static void problems_say_where_and_what(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *instance, *problems;
    } rows[] = {
        {"{\"properties\":{\"order_id\":{\"type\":\"integer\"}},\"required\":[\"region\"]}",
         "{\"order_id\":\"7\"}",
         "[{\"path\":\"\",\"expected\":\"required property\",\"name\":\"region\"},"
         "{\"path\":\"/order_id\",\"expected\":\"integer\",\"got\":\"string\"}]"},
        {"{\"additionalProperties\":false,\"properties\":{\"a\":true}}", "{\"a\":1,\"b/c~d\":2}",
         "[{\"path\":\"/b~1c~0d\",\"expected\":\"no property of this name\",\"got\":\"2\"}]"},
        {"{\"items\":{\"maxLength\":2}}", "[\"ab\",\"abc\"]",
         "[{\"path\":\"/1\",\"expected\":\"at most 2 characters\",\"got\":\"\\\"abc\\\"\"}]"},
        {"{\"type\":[\"string\",\"null\"]}", "[1]",
         "[{\"path\":\"\",\"expected\":\"string or null\",\"got\":\"array\"}]"},
        {"{\"enum\":[\"a\",1]}", "0.1",
         "[{\"path\":\"\",\"expected\":\"one of [\\\"a\\\",1]\",\"got\":\"0.1\"}]"},
        {"{\"minimum\":3}", "2",
         "[{\"path\":\"\",\"expected\":\"a number at least 3\",\"got\":\"2\"}]"},
        {"{\"exclusiveMaximum\":3}", "3",
         "[{\"path\":\"\",\"expected\":\"a number under 3\",\"got\":\"3\"}]"},
        {"{\"minItems\":2}", "[1]",
         "[{\"path\":\"\",\"expected\":\"at least 2 items\",\"got\":\"array of 1 items\"}]"},
        {"{\"pattern\":\"^a\"}", "\"b\"",
         "[{\"path\":\"\",\"expected\":\"text that matches ^a\",\"got\":\"\\\"b\\\"\"}]"},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\"}]}", "1",
         "[{\"path\":\"\",\"expected\":\"one of 2 alternatives (anyOf)\",\"got\":\"1\"}]"},
        {"{\"oneOf\":[{},{}]}", "1",
         "[{\"path\":\"\",\"expected\":\"exactly one of 2 alternatives (oneOf): more than one "
         "matches\",\"got\":\"1\"}]"},
        {"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}",
         "[{\"path\":\"\",\"expected\":\"required property beside \\\"a\\\"\",\"name\":\"b\"}]"},
        {"{\"if\":{\"minimum\":5},\"then\":{\"multipleOf\":2}}", "7",
         "[{\"path\":\"\",\"expected\":\"a multiple of 2\",\"got\":\"7\"}]"},
        {"{\"propertyNames\":{\"maxLength\":1}}", "{\"ab\":1}",
         "[{\"path\":\"\",\"expected\":\"another property name "
         "(propertyNames)\",\"name\":\"ab\"}]"},
        {"false", "1", "[{\"path\":\"\",\"expected\":\"nothing here\",\"got\":\"1\"}]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure failure;
        struct buf problems OWN_BUF;
        buf_init(&problems, 0);
        json_t *source = parse(rows[i].schema), *instance = parse(rows[i].instance);
        struct json_schema *schema = json_schema_new(source, &failure);
        assert_non_null(schema);
        assert_false(json_schema_check(schema, instance, &problems));
        assert_string_equal(buf_str(&problems), rows[i].problems);
        json_schema_free(schema);
        json_decref(source);
        json_decref(instance);
    }
}

// The problems of a check that must fail, as JSON; the caller frees.
static json_t *problems_of(const char *schema_text, const json_t *instance)
{
    struct failure failure;
    struct buf problems OWN_BUF;
    buf_init(&problems, 0);
    json_t *source = parse(schema_text);
    struct json_schema *schema = json_schema_new(source, &failure);
    assert_non_null(schema);
    assert_false(json_schema_check(schema, instance, &problems));
    json_schema_free(schema);
    json_decref(source);
    return parse(buf_str(&problems));
}

static void at_most_ten_short_problems(void **state)
{
    (void)state;
    char *text = own_alloc(100001);
    for (size_t i = 0; i + 3 <= 100000; i += 3)
        memcpy(text + i, "\xe4\xb8\xad", 3);
    json_t *instance = json_array();
    for (int i = 0; i < 100; i++)
        json_array_append_new(instance, json_string(text));
    json_t *problems = problems_of("{\"items\":{\"maxLength\":3}}", instance);
    assert_int_equal(json_array_size(problems), JSON_SCHEMA_PROBLEMS_MOST);
    const json_t *got = json_object_get(json_array_get(problems, 9), "got");
    assert_in_range(json_string_length(got), 100, 200);
    json_decref(problems);
    json_decref(instance);
    free(text);
}

// ---- bounds

static void endless_work_ends(void **state)
{
    (void)state;
    static const char *const schemas[] = {
        "{\"$ref\":\"#\"}",
        "{\"$defs\":{\"a\":{\"allOf\":[{\"$ref\":\"#\"}]}},\"$ref\":\"#/$defs/a\"}",
        "{\"not\":{\"$ref\":\"#\"}}",
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}",
        "{\"items\":{\"pattern\":\"^(a+)+$\"}}",
        "{\"items\":{\"not\":{\"pattern\":\"^(a|a)*$\"}}}",
        "{\"items\":{\"pattern\":\"(.*,){11}P\"}}",
        "{\"items\":{\"oneOf\":[{\"pattern\":\"(x+x+)+y\"},{}]}}",
    };
    char hostile[5001];
    memset(hostile, 'a', sizeof(hostile) - 1);
    memset(hostile + 2500, 'x', 2000);
    memset(hostile + 4500, ',', 490);
    memcpy(hostile + 4990, "ayaP", 4); // what the patterns ask for is there, in the wrong place
    hostile[sizeof(hostile) - 1] = '\0';
    json_t *instance = json_array();
    json_array_append_new(instance, json_string(hostile + 4000));
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        bool refers = strstr(schemas[i], "$ref") != NULL;
        if (!refers) {
            json_array_clear(instance);
            json_array_append_new(instance, json_string(hostile));
        }
        json_t *problems = problems_of(schemas[i], instance);
        const json_t *last = json_array_get(problems, json_array_size(problems) - 1);
        assert_string_equal(json_string_value(json_object_get(last, "got")),
                            "more than a check may take");
        json_decref(problems);
    }
    json_decref(instance);
}

static void honest_patterns_pass_on_long_texts(void **state)
{
    (void)state;
    static const char *const patterns_of_words[] = {"^(\\w+ ?)+$", "^[a-z ]*$", "(\\w+\\s+){3}",
                                                    "word$|^never", "^(?=.*word)[^A-Z]*$"};
    char *text = own_alloc(50001);
    for (size_t i = 0; i < 50000; i += 5)
        memcpy(text + i, "word ", 5);
    text[49999] = '\0';
    json_t *instance = json_string(text);
    for (size_t i = 0; i < sizeof(patterns_of_words) / sizeof(patterns_of_words[0]); i++) {
        struct failure failure;
        json_t *source = json_pack("{s:s}", "pattern", patterns_of_words[i]);
        struct json_schema *schema = json_schema_new(source, &failure);
        assert_non_null(schema);
        if (!json_schema_check(schema, instance, NULL))
            fail_msg("%s", patterns_of_words[i]);
        json_schema_free(schema);
        json_decref(source);
    }
    json_decref(instance);
    free(text);
}

static void too_many_branches_end(void **state)
{
    (void)state;
    // each level asks the next one twice: 2^40 applications
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{\"d40\":false");
    for (int i = 0; i < 40; i++)
        buf_printf(&text,
                   ",\"d%d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d%d\"},{\"$ref\":\"#/$defs/d%d\"}]}",
                   i, i + 1, i + 1);
    buf_add_str(&text, "}}");
    json_t *instance = json_integer(1);
    json_t *problems = problems_of(buf_str(&text), instance);
    assert_true(json_array_size(problems) > 0);
    json_decref(problems);
    json_decref(instance);
}

static void many_items_are_compared_quickly(void **state)
{
    (void)state;
    json_t *array = json_array();
    for (int i = 0; i < 50000; i++)
        json_array_append_new(array, json_pack("[i]", i));
    assert_false(json_value_has_twins(array));
    json_array_append_new(array, json_pack("[f]", 777.0));
    assert_true(json_value_has_twins(array));
    json_decref(array);
}

// ---- references to names

static void resolves_as_rfc_3986(void **state)
{
    (void)state;
    static const struct {
        const char *base, *reference, *whole;
    } rows[] = {
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
        {"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
        {"http://a/b/c/d;p?q", "g:h", "g:h"},
        {"http://a", "g", "http://a/g"},
        {"urn:uuid:1", "#/a", "urn:uuid:1"},
        {"", "#/a", ""},
        {"", "x.json", "x.json"},
        {"a/b", "../c", "c"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf whole OWN_BUF;
        buf_init(&whole, 0);
        uri_reference_resolve(&whole, rows[i].base, rows[i].reference);
        if (strcmp(buf_str(&whole), rows[i].whole) != 0)
            fail_msg("%s + %s: %s", rows[i].base, rows[i].reference, buf_str(&whole));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_suite),
        cmocka_unit_test(older_drafts),
        cmocka_unit_test(patterns),
        cmocka_unit_test(exact_numbers),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(refuses_what_has_no_bounds),
        cmocka_unit_test(problems_say_where_and_what),
        cmocka_unit_test(at_most_ten_short_problems),
        cmocka_unit_test(endless_work_ends),
        cmocka_unit_test(honest_patterns_pass_on_long_texts),
        cmocka_unit_test(too_many_branches_end),
        cmocka_unit_test(many_items_are_compared_quickly),
        cmocka_unit_test(resolves_as_rfc_3986),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
