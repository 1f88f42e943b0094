// SPDX-License-Identifier: Apache-2.0
// What is taken out of a text before a model or a person reads it.
#include "core/visible.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *name, *in, *out;
    size_t changed;
};

static const struct row rows[] = {
    {"plain", "a\tb\r\nc \xc3\xa9\xe6\xb3\x95\xf0\x9f\x98\x80",
     "a\tb\r\nc \xc3\xa9\xe6\xb3\x95\xf0\x9f\x98\x80", 0},
    {"escape", "a\x1b[31mb\x7f", "a[31mb", 2},
    {"C1",
     "a\xc2\x9b"
     "b",
     "ab", 1},
    {"tags", "a\xf3\xa0\x81\x81\xf3\xa0\x81\x82z", "az", 2},
    {"bidi",
     "a\xe2\x80\xae"
     "b\xe2\x81\xa6",
     "ab", 2},
    {"zero width",
     "a\xe2\x80\x8b"
     "b\xef\xbb\xbf\xe2\x81\xa0",
     "ab", 3},
    {"joiner in Latin",
     "a\xe2\x80\x8d"
     "b",
     "ab", 1},
    {"joiner in Persian", "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb4\xd9\x88\xd8\xaf",
     "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xb4\xd9\x88\xd8\xaf", 0},
    {"joiner in an emoji", "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
     "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", 0},
    {"joiner at the end", "\xf0\x9f\x91\xa9\xe2\x80\x8d", "\xf0\x9f\x91\xa9", 1},
    {"two joiners", "\xd9\x85\xe2\x80\x8c\xe2\x80\x8c\xd8\xb4", "\xd9\x85\xe2\x80\x8c\xd8\xb4", 1},
    {"selector run", "x\xef\xb8\x8f\xef\xb8\x8e\xef\xb8\x8f", "x\xef\xb8\x8f", 2},
    {"invalid", "a\xff\xc3", "a\xef\xbf\xbd\xef\xbf\xbd", 2},
    {"empty", "", "", 0},
};

static void test_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out;
        buf_init(&out, 0);
        size_t changed = visible_copy(&out, rows[i].in, strlen(rows[i].in));
        if (strcmp(buf_str(&out), rows[i].out) != 0 || changed != rows[i].changed)
            fail_msg("%s: \"%s\", %zu changed", rows[i].name, buf_str(&out), changed);
        buf_deinit(&out);
    }
}

static void test_line(void **state)
{
    (void)state;
    char out[8];
    static const char *const cases[][2] = {
        {" a \n\t b ", "a b"},
        {"", ""},
        {"\x1b\x07", ""},
        {"abcdefghij", "abcdefg"},
        {"abcde\xe6\xb3\x95", "abcde"},
        {"abcd\xe6\xb3\x95", "abcd\xe6\xb3\x95"},
        {"a\xff", "a\xef\xbf\xbd"},
        {"a\xc2\x85"
         "b",
         "a b"},
        {"a\xe2\x80\xa8\xe2\x80\xa9"
         "b",
         "a b"}, // Unicode ends of line and paragraph
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        visible_line(out, sizeof(out), cases[i][0], strlen(cases[i][0]));
        assert_string_equal(out, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_copy), cmocka_unit_test(test_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
