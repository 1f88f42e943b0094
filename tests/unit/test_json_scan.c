// SPDX-License-Identifier: Apache-2.0
// The look at JSON before it is parsed: limits, mending, errors without content.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "core/json_scan.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static const struct json_limits limits = {.bytes = 200, .depth = 3, .nodes = 12};

static void test_check(void **state)
{
    (void)state;
    static const struct {
        const char *in, *detail; // NULL: accepted
    } rows[] = {
        {"", NULL},
        {"{\"a\": [[1]]}", NULL},
        {"[[[[1]]]]", "the JSON is nested deeper than 3 levels at byte 3"},
        {"\"[[[[[[[\"", NULL},
        {"\"\\\"[[[[[[[\"", NULL},
        {"\"\\\\\"[[[[", "the JSON is nested deeper than 3 levels at byte 7"},
        {"]]]][[[", NULL},
        {"\"no end [[[[[", NULL},
        {"\"no end\\\"", NULL},
        {"[1,2,3,4,5,6,7,8,9,0,1,2]", NULL},
        {"[1,2,3,4,5,6,7,8,9,0,1,2,3]", "the JSON has more than 12 values at byte 24"},
        {"[{},{},{},{},{},{},{}]", "the JSON has more than 12 values at byte 18"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct failure failure = {0};
        bool ok = json_scan_check(rows[i].in, strlen(rows[i].in), &limits, &failure);
        assert_int_equal(ok, rows[i].detail == NULL);
        if (rows[i].detail) {
            assert_string_equal(failure.detail, rows[i].detail);
            assert_int_equal(failure.code, ERR_BAD_MESSAGE);
        }
    }
}

static void test_size_and_depth_bombs(void **state)
{
    (void)state;
    struct buf bomb OWN_BUF;
    buf_init(&bomb, 0);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&bomb, '[');
    struct failure failure = {0};
    assert_false(json_scan_check(bomb.data, bomb.len, &limits, &failure));
    assert_int_equal(failure.code, ERR_TOO_LARGE);
    const struct json_limits wide = {.bytes = 1 << 20, .depth = 64, .nodes = 1 << 20};
    assert_false(json_scan_check(bomb.data, bomb.len, &wide, &failure));
    assert_int_equal(failure.code, ERR_BAD_MESSAGE);
}

static void test_mend(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"\\ud83d\\ude00", "\\ud83d\\ude00"},
        {"\\uD83D\\uDE00", "\\uD83D\\uDE00"},
        {"\\ud83d", "\\ufffd"},
        {"\\ude00", "\\ufffd"},
        {"\\ude00\\ud83d", "\\ufffd\\ufffd"},
        {"\\ud83d\\ud83d\\ude00", "\\ufffd\\ud83d\\ude00"},
        {"\\ud83dx\\ude00", "\\ufffdx\\ufffd"},
        {"a\\u0000b", "a\\ufffdb"},
        {"\\u0041\\n", "\\u0041\\n"},
        {"\\\\ud83d", "\\\\ud83d"},
        {"\\\\\\ud83d", "\\\\\\ufffd"},
        {"\\ud83", "\\ud83"},
        {"\\ud83d\\ude0", "\\ufffd\\ude0"},
        {"\\u", "\\u"},
        {"\\", "\\"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        // An exact copy on the heap, so that the sanitizer sees one byte too many.
        size_t len = strlen(rows[i].in);
        char *text = malloc(len ? len : 1);
        assert_non_null(text);
        memcpy(text, rows[i].in, len);
        json_scan_mend_surrogates(text, &len);
        assert_int_equal(len, strlen(rows[i].in));
        assert_memory_equal(text, rows[i].out, len);
        free(text);
    }
}

static void test_load(void **state)
{
    (void)state;
    static const struct {
        const char *in, *words; // NULL: loaded
    } rows[] = {
        {"{\"a\": 1}", NULL},
        {"", "ends early"},
        {"{\"a\": SECRET}", "is malformed"},
        {"{\"a\": \"SECRET", "ends early"},
        {"{} SECRET", "goes on after its end"},
        {"{\"a\": 1, \"\\u0061\": 2}", "has the same member twice"},
        {"[1e400]", "has a number out of range"},
        {"[92233720368547758070]", "has a number out of range"},
        {"[\"\377\"]", "is not valid UTF-8"},
        {"[NaN]", "is malformed"},
        {"[\"a\nb\"]", "is malformed"},
        {"[\"\\u0000\"]", "has a NUL character"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct failure failure = {0};
        json_t *value = json_load_checked(rows[i].in, strlen(rows[i].in), &limits,
                                          JSON_REJECT_DUPLICATES, &failure);
        assert_int_equal(value != NULL, rows[i].words == NULL);
        json_decref(value);
        if (!rows[i].words)
            continue;
        assert_int_equal(failure.code, ERR_BAD_MESSAGE);
        assert_non_null(strstr(failure.detail, rows[i].words));
        assert_non_null(strstr(failure.detail, "at byte "));
        assert_null(strstr(failure.detail, "SECRET"));
    }
}

// What json_load_checked makes of a text is what jansson makes of it: the same tree, or none.
static void check_same(const char *text, size_t len)
{
    static const struct json_limits wide = {.bytes = 1000, .depth = 1000, .nodes = 1000};
    struct failure failure;
    static const unsigned each[] = {0, JSON_REJECT_DUPLICATES, JSON_DECODE_ANY};
    for (size_t i = 0; i < COUNT(each); i++) {
        unsigned flags = each[i];
        json_t *ours = json_load_checked(text, len, &wide, flags, &failure);
        json_t *theirs = json_loadb(text, len, flags, NULL);
        char *our_text = ours ? json_dumps(ours, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        char *their_text = theirs ? json_dumps(theirs, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (!our_text != !their_text || (our_text && strcmp(our_text, their_text) != 0))
            fail_msg("%.*s: %s, jansson says %s", (int)len, text, our_text, their_text);
        free(our_text);
        free(their_text);
        json_decref(ours);
        json_decref(theirs);
    }
}

static void test_same_as_jansson(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "{}",
        "[]",
        " { \"a\" : [ 1 , -2 , 0 , -0 , 123456789012345678 , 1234567890123456789 ] } \n",
        "{\"a\":1.5,\"b\":1e3,\"c\":9223372036854775808}",
        "[01]",
        "[1",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"\\n\":1}",
        "{\"\":null}",
        "[true,false,null,tru,nul]",
        "[true,false,null]",
        "[truex]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
        "[\"\\x\"]",
        "[\"\\u00e4\\ufffd\\ud83d\\ude00 \\u4e2d\"]",
        "[\"\\ud83d\"]",
        "[\"\\u0000\"]",
        "[\"\\u12\"]",
        "[\"\xc3\xa4 \xe4\xb8\xad \xf0\x9f\x98\x80\"]",
        "{\"\xc3\xa4\":\"\xc3\xa4\\n\xc3\xa4\"}",
        "[\"\xc3\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xc0\x80\"]",
        "[\"a\tb\"]",
        "[\"\x7f\"]",
        "[\"abc",
        "[\"abc\\",
        "\"abc\"",
        "12",
        "[] []",
        "[]\0",
        "",
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_same(rows[i], strlen(rows[i]));
    check_same("[]\0", 3);
}

// One or two bytes of a message are others, or are gone.
static void test_same_as_jansson_when_damaged(void **state)
{
    (void)state;
    static const char message[] =
        "{\"v\": 1, \"id\": \"a-1\", \"labels\": {\"m\": \"\xc3\xa4\\u00e4\\ud83d\\ude00\"},"
        "\"document\": {\"text\": \"One.\\nTwo \\\"q\\\".\"}, \"n\": [true, null, -12, 0.5, {}]}";
    static const char bytes[] = "\"\\{}[],:0 1e.-u\x80\xc3\xe4\n\0tfn";
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        size_t len = sizeof(message) - 1;
        char *text = malloc(len);
        assert_non_null(text);
        memcpy(text, message, len);
        for (int change = 0; change <= round % 2; change++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % len] = bytes[(random >> 20) % (sizeof(bytes) - 1)];
        }
        check_same(text, round % 5 ? len : (random >> 4) % len);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_size_and_depth_bombs),
        cmocka_unit_test(test_mend),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_same_as_jansson),
        cmocka_unit_test(test_same_as_jansson_when_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
