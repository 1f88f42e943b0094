// SPDX-License-Identifier: Apache-2.0
// How long an answer by a JSON Schema can be.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/schema_size.h"

static struct schema_size size_of(const char *text)
{
    struct schema_size size;
    json_t *schema = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(schema);
    schema_size_of(schema, &size);
    json_decref(schema);
    return size;
}

#define OBJECT(members) "{\"type\":\"object\",\"properties\":{" members "}}"

static void each_form_has_its_size(void **state)
{
    (void)state;
    static const struct {
        const char *schema;
        int64_t chars, leaves;
        bool open, shapeless;
    } rows[] = {
        {"{\"type\":\"string\",\"maxLength\":30}", 32, 1, false, false},
        {"{\"type\":\"string\"}", 402, 1, true, false},
        {"{\"type\":\"string\",\"format\":\"date\"}", 100, 1, false, false},
        {"{\"type\":\"integer\"}", 24, 1, false, false},
        {"{\"enum\":[\"yes\",\"perhaps\",null]}", 9, 1, false, false},
        {"{\"const\":17}", 2, 1, false, false},
        {"{\"type\":[\"string\",\"null\"],\"maxLength\":8}", 24, 1, false, false},
        {"{\"type\":\"array\",\"maxItems\":5,\"items\":{\"type\":\"number\"}}", 127, 5, false,
         false},
        {"{\"type\":\"array\",\"items\":{\"type\":\"number\"}}", 302, 12, true, false},
        {"{\"prefixItems\":[{\"type\":\"null\"}],\"items\":false}", 26, 1, false, false},
        {OBJECT("\"ab\":{\"type\":\"boolean\"},\"c\":{\"const\":1}"), 42, 2, false, false},
        {"{\"properties\":{\"ab\":{\"type\":\"boolean\"}}}", 34, 1, false, false},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", 402, 1, true, false},
        {"{\"allOf\":[" OBJECT("\"a\":{\"const\":1}") ",{\"type\":\"null\"}]}", 34, 2, false,
         false},
        {"{\"$defs\":{\"d\":{\"type\":\"null\"}},\"$ref\":\"#/$defs/d\"}", 24, 1, false, false},
        // What may be anything.
        {"{}", 0, 0, false, true},
        {"{\"type\":\"object\"}", 2, 0, false, true},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}},\"additionalProperties\":{}}",
         10, 1, false, true},
        {"{\"$ref\":\"#/$defs/gone\"}", 0, 0, false, true},
        {"{\"$ref\":\"other.json\"}", 0, 0, false, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct schema_size size = size_of(rows[i].schema);
        if (size.chars != rows[i].chars || size.leaves != rows[i].leaves)
            fail_msg("%s: %lld chars, %lld leaves", rows[i].schema, (long long)size.chars,
                     (long long)size.leaves);
        assert_int_equal(size.open, rows[i].open);
        assert_int_equal(size.shapeless, rows[i].shapeless);
    }
}

// Neither what goes round nor what multiplies takes long or overflows.
static void hostile_schemas_end(void **state)
{
    (void)state;
    struct schema_size size = size_of("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}");
    assert_true(size.shapeless && size.chars <= SCHEMA_SIZE_MOST);
    size =
        size_of("{\"$defs\":{\"d\":{\"anyOf\":[{\"$ref\":\"#/$defs/d\"},{\"$ref\":\"#/$defs/d\"},"
                "{\"$ref\":\"#/$defs/d\"}]}},\"$ref\":\"#/$defs/d\"}");
    assert_true(size.shapeless);
    size =
        size_of("{\"type\":\"array\",\"maxItems\":1e300,\"items\":{\"type\":\"array\",\"maxItems\":"
                "9000000000000000000,\"items\":{\"type\":\"string\",\"maxLength\":1e18}}}");
    assert_int_equal(size.chars, SCHEMA_SIZE_MOST);
    assert_false(size.open || size.shapeless);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_has_its_size),
        cmocka_unit_test(hostile_schemas_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
