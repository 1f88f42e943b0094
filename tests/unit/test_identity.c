// SPDX-License-Identifier: Apache-2.0
// Names, the canonical form, and what counts as the same content.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "core/identity.h"
#include "core/text.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SHA         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void test_names(void **state)
{
    (void)state;
    char longest[202];
    memset(longest, 'a', sizeof(longest));
    assert_true(identity_name_ok("Az09._:@-", 9));
    assert_true(identity_name_ok(longest, 200));
    assert_false(identity_name_ok(longest, 201));
    static const char *const bad[] = {"", "a/b", "../x", "a b", "a\nb", "a\"b", "a'b", "é", "a\\b"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(identity_name_ok(bad[i], strlen(bad[i])));
    assert_false(identity_name_ok("a\0b", 3));
}

static void test_full_name(void **state)
{
    (void)state;
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    identity_full_name(&name, "legal", "q3", "job-42");
    assert_string_equal(buf_str(&name), "legal/q3/job-42");
    char *tenant OWN_FREE = NULL, *batch OWN_FREE = NULL, *id OWN_FREE = NULL;
    assert_true(identity_split(name.data, name.len, &tenant, &batch, &id));
    assert_string_equal(tenant, "legal");
    assert_string_equal(batch, "q3");
    assert_string_equal(id, "job-42");
    static const char *const bad[] = {"", "a", "a/b", "a/b/", "/b/c", "a//c", "a/b/c/d", "a/b/c d"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(identity_split(bad[i], strlen(bad[i]), &tenant, &batch, &id));
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {0.2, "0.2"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1.5, "1.5"},
        {100, "100"},
        {-2.25, "-2.25"},
        {1e300, "1e+300"},
        {1e-7, "1e-07"},
        {0.7, "0.7"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[IDENTITY_NUMBER_BYTES];
        identity_number(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_canonical(void **state)
{
    (void)state;
    static const struct {
        const char *in, *sorted, *kept;
    } rows[] = {
        {"{}", "{}", "{}"},
        {"[ ]", "[]", "[]"},
        {"{\"b\": 1, \"a\": [true, false, null], \"B\": {\"z\": 1.0, \"y\": 0.2}}",
         "{\"B\":{\"y\":0.2,\"z\":1},\"a\":[true,false,null],\"b\":1}",
         "{\"b\":1,\"a\":[true,false,null],\"B\":{\"z\":1,\"y\":0.2}}"},
        {"[\"q\\\"\\\\\\/\\n\\u0001\\u00e9\\ud83d\\ude00\"]", "[\"q\\\"\\\\/\\u000a\\u0001é😀\"]",
         "[\"q\\\"\\\\/\\u000a\\u0001é😀\"]"},
        {"[-9223372036854775808]", "[-9223372036854775808]", "[-9223372036854775808]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *value = json_loads(rows[i].in, 0, NULL);
        assert_non_null(value);
        struct buf sorted OWN_BUF, kept OWN_BUF;
        buf_init(&sorted, 0);
        buf_init(&kept, 0);
        identity_write_json(&sorted, value, true);
        identity_write_json(&kept, value, false);
        assert_string_equal(buf_str(&sorted), rows[i].sorted);
        assert_string_equal(buf_str(&kept), rows[i].kept);
        json_t *again = json_loads(buf_str(&kept), 0, NULL);
        assert_non_null(again);
        json_decref(again);
        json_decref(value);
    }
}

static void hash_of(const char *parameters, unsigned char out[32])
{
    json_t *value = parameters ? json_loads(parameters, 0, NULL) : NULL;
    assert_int_equal(parameters != NULL, value != NULL);
    const struct identity_content content = {
        .kind = "summarize", .parameters = value, .document_sha256 = SHA};
    identity_hash(&content, out);
    json_decref(value);
}

// The hash is what other versions of the program find for the same job: it never changes.
static void test_hash_is_pinned(void **state)
{
    (void)state;
    static const char canonical[] =
        "{\"document\":\"" SHA "\",\"kind\":\"summarize\",\"parameters\":"
        "{\"key_points\":{\"max\":7},\"language\":\"German\",\"temperature\":0.2}}";
    unsigned char hash[32];
    char expected[65], found[65];
    hash_of("{\"temperature\": 0.2, \"language\": \"German\", \"key_points\": {\"max\": 7}}", hash);
    text_sha256_hex(canonical, sizeof(canonical) - 1, expected);
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(found + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(found, expected);
}

static void test_same_content(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other; // parameters, NULL where none
        bool same;
    } rows[] = {
        {NULL, "{}", true},
        {NULL, "{\"model\": \"default\", \"max_chars\": 300, \"evidence\": \"quotes\"}", true},
        {NULL, "{\"key_points\": {\"min\": 3, \"max\": 5}, \"pack\": \"auto\"}", true},
        {NULL, "{\"x-note\": \"mine\"}", true},
        {NULL, "{\"template\": \"lease@2\"}", true},
        {"{\"template\": \"a@1\"}", "{\"template\": \"b@1\"}", true},
        {"{\"key_points\": {\"max\": 4}}", "{\"key_points\": {\"max\": 4, \"min\": 3}}", true},
        {"{\"temperature\": 1}", "{\"temperature\": 1.0}", true},
        {"{\"output_schema\": {\"a\": 1, \"b\": 2}}", "{\"output_schema\": {\"b\": 2, \"a\": 1}}",
         true},
        {NULL, "{\"max_chars\": 301}", false},
        {NULL, "{\"evidence\": \"none\"}", false},
        {NULL, "{\"model\": \"grok-4.3\"}", false},
        {NULL, "{\"temperature\": 0}", false},
        {"{\"instructions\": \"a\"}", "{\"instructions\": \"b\"}", false},
        {"{\"language\": \"a\"}", "{\"instructions\": \"a\"}", false},
        {"{\"output_schema\": {\"a\": 1}}", "{\"output_schema\": {\"a\": 2}}", false},
        {"{\"output_schema\": {\"a\": [1, 2]}}", "{\"output_schema\": {\"a\": [2, 1]}}", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned char one[32], other[32];
        hash_of(rows[i].one, one);
        hash_of(rows[i].other, other);
        assert_int_equal(memcmp(one, other, sizeof(one)) == 0, rows[i].same);
    }
}

static void test_url_is_not_a_hash(void **state)
{
    (void)state;
    const struct identity_content stored = {.kind = "summarize", .document_sha256 = SHA};
    const struct identity_content url = {.kind = "summarize", .document_url = SHA};
    unsigned char one[32], other[32];
    identity_hash(&stored, one);
    identity_hash(&url, other);
    assert_memory_not_equal(one, other, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_full_name),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_hash_is_pinned),
        cmocka_unit_test(test_same_content),
        cmocka_unit_test(test_url_is_not_a_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
