// SPDX-License-Identifier: Apache-2.0
// The walk over JSON, and the writer: held against jansson.
#include "core/json_pull.h"
#include "core/json_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static const char *const good[] = {
    "{}",
    "[]",
    " { } ",
    "\"\"",
    "0",
    "-1.5e+3",
    "true",
    "null",
    "\n[1, 2 ,3]\t",
    "{\"a\":{\"b\":[{},[],\"x\"]},\"c\":null}",
    "[[[[]]],{\"\":\"\"}]",
    "\"a\\\"b\\\\\"",
    "{\"a\\\"b\":1}",
    "[\"\\u00e9\",\"\\ud83d\\ude00\"]",
    "[1,{\"a\":[]},false]",
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "[",
    "]",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1 2]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,}",
    "{a:1}",
    "{\"a\":1 \"b\":2}",
    "[}",
    "{]",
    "[{]}",
    "\"a",
    "\"a\\",
    "\"a\\\"",
    "nul",
    "nulll",
    "True",
    "tru",
    "{} {}",
    "1 2",
    "[1]]",
    "{\"a\":[}",
    "'a'",
    "[\"a\",']",
    "\x01",
};

static bool skips(const char *text)
{
    struct json_pull pull = json_pull_of(text, strlen(text));
    return json_pull_skip(&pull, NULL) && json_pull_end(&pull);
}

static void test_structure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        json_t *tree = json_loads(good[i], JSON_DECODE_ANY, NULL);
        if (!tree || !skips(good[i]))
            fail_msg("%s", good[i]);
        json_decref(tree);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (json_loads(bad[i], JSON_DECODE_ANY, NULL) || skips(bad[i]))
            fail_msg("%s", bad[i]);
}

// Not JSON, and skipped all the same: a server's statistics should not spoil its answer.
static void test_words_of_other_languages(void **state)
{
    (void)state;
    assert_true(skips("[NaN,Infinity,-Infinity,1]"));
    assert_false(skips("nan"));
    assert_false(skips("-"));
    assert_false(skips("-x"));
    assert_false(skips("None"));
}

// Every prefix of a document is a fault, never a read past its end.
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,\"\\u00e9\\n\",{\"b\":null}],\"c\":true}";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char exact[sizeof(text)];
        memcpy(exact + sizeof(exact) - len - 1, text, len);
        struct json_pull pull = json_pull_of(exact + sizeof(exact) - len - 1, len);
        assert_false(json_pull_skip(&pull, NULL) && json_pull_end(&pull));
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * JSON_PULL_DEPTH + 3];
    for (size_t depth = JSON_PULL_DEPTH; depth <= JSON_PULL_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct json_pull pull = json_pull_of(text, 2 * depth);
        assert_int_equal(json_pull_skip(&pull, NULL), depth == JSON_PULL_DEPTH);
    }
}

static void test_walk(void **state)
{
    (void)state;
    const char *text = " {\"skip\":[1,{\"x\":2}],\"list\":[\"a\",\"b\"],\"n\" : 12 ,\"s\":\"x\"} ";
    struct json_pull pull = json_pull_of(text, strlen(text));
    struct json_span name, raw;
    struct buf seen OWN_BUF;
    buf_init(&seen, 0);
    assert_false(json_pull_enter(&pull, '['));
    assert_true(json_pull_enter(&pull, '{'));
    while (json_pull_member(&pull, &name)) {
        buf_printf(&seen, "%.*s=", (int)name.len, name.data);
        if (json_span_is(&name, "list")) {
            assert_false(json_pull_string(&pull, &seen)); // nothing is read
            assert_true(json_pull_enter(&pull, '['));
            while (json_pull_item(&pull))
                json_pull_string(&pull, &seen);
        } else if (json_span_is(&name, "s")) {
            assert_true(json_pull_string(&pull, &seen));
        } else {
            assert_true(json_pull_skip(&pull, &raw));
            buf_add(&seen, raw.data, raw.len);
        }
        buf_add_char(&seen, ';');
    }
    assert_true(json_pull_end(&pull));
    assert_string_equal(buf_str(&seen), "skip=[1,{\"x\":2}];list=ab;n=12;s=x;");
}

static const struct {
    const char *json, *text; // NULL: a fault
} strings[] = {
    {"\"\"", ""},
    {"\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz"},
    {"\"\\u0041\\u00e9\\u6cd5\"", "A\xc3\xa9\xe6\xb3\x95"},
    {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
    {"\"\\uD83D\\uDE00\"", "\xf0\x9f\x98\x80"},
    {"\"\\ud83d\"", "\xef\xbf\xbd"},
    {"\"\\ud83dx\"", "\xef\xbf\xbdx"},
    {"\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd"},
    {"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
    {"\"\\u0000\"", "\xef\xbf\xbd"},
    {"\"\xe6\xb3\x95\"", "\xe6\xb3\x95"},
    {"\"\\x\"", NULL},
    {"\"\\u12\"", NULL},
    {"\"\\u12g4\"", NULL},
    {"12", NULL},
    {"\"a", NULL},
};

static void test_strings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        struct buf out OWN_BUF;
        buf_init(&out, 0);
        struct json_pull pull = json_pull_of(strings[i].json, strlen(strings[i].json));
        bool ok = json_pull_string(&pull, &out);
        if (ok != (strings[i].text != NULL) || (ok && strcmp(buf_str(&out), strings[i].text) != 0))
            fail_msg("%s: %s", strings[i].json, buf_str(&out));
    }
    struct buf small OWN_BUF;
    buf_init(&small, 3);
    struct json_pull pull = json_pull_of("\"abcd\"", 6);
    assert_false(json_pull_string(&pull, &small));
    assert_true(small.overflow);
}

// What the writer writes, jansson and the walk read back as it was.
static void test_writer(void **state)
{
    (void)state;
    struct buf text OWN_BUF, json OWN_BUF, back OWN_BUF;
    buf_init(&text, 0);
    buf_init(&json, 0);
    buf_init(&back, 0);
    for (int c = 1; c < 0x80; c++)
        buf_add_char(&text, (char)c);
    buf_add_str(&text, "\xc3\xa9\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x80");
    text.len -= 2; // the last two bytes stand behind the text
    assert_true(json_write_string(&json, text.data, text.len));
    assert_null(strstr(json.data, "\xe2\x80\xa8"));
    assert_null(strchr(json.data, '\n'));
    json_t *string = json_loadb(json.data, json.len, JSON_DECODE_ANY, NULL);
    assert_int_equal(json_string_length(string), text.len);
    assert_memory_equal(json_string_value(string), text.data, text.len);
    struct json_pull pull = json_pull_of(json.data, json.len);
    assert_true(json_pull_string(&pull, &back) && json_pull_end(&pull));
    assert_int_equal(back.len, text.len);
    assert_memory_equal(back.data, text.data, text.len);
    json_decref(string);
    buf_clear(&json);
    assert_true(json_write_member(&json, "a", NULL) && json_write_member(&json, "b", "x\"y"));
    assert_string_equal(json.data, ",\"b\":\"x\\\"y\"");
    struct buf small OWN_BUF;
    buf_init(&small, 5);
    assert_false(json_write_string(&small, "abcdef", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structure), cmocka_unit_test(test_words_of_other_languages),
        cmocka_unit_test(test_prefixes),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_walk),      cmocka_unit_test(test_strings),
        cmocka_unit_test(test_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
