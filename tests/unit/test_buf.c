// SPDX-License-Identifier: Apache-2.0
// The buffer: appends, the cap, and what it hands out.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void appends_and_ends_with_nul(void **state)
{
    (void)state;
    struct buf buf OWN_BUF;
    buf_init(&buf, 0);
    assert_null(buf.data);
    assert_string_equal(buf_str(&buf), "");
    assert_true(buf_add_str(&buf, "job "));
    assert_true(buf_add(&buf, "a\0b", 3));
    assert_true(buf_add_char(&buf, '-'));
    assert_true(buf_printf(&buf, "%d/%s", 7, "x"));
    assert_int_equal(buf.len, 11);
    assert_memory_equal(buf_str(&buf), "job a\0b-7/x", 12);
    assert_true(buf_add(&buf, NULL, 0));
    assert_int_equal(buf.len, 11);
}

static void grows_over_many_appends(void **state)
{
    (void)state;
    struct buf buf OWN_BUF;
    buf_init(&buf, 0);
    for (int i = 0; i < 10000; i++)
        assert_true(buf_printf(&buf, "%04d ", i));
    assert_int_equal(buf.len, 50000);
    assert_true(buf.room > buf.len);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(atoll(buf.data + (size_t)i * 5), i);
}

static void the_cap_refuses_whole_appends(void **state)
{
    (void)state;
    struct buf buf OWN_BUF;
    buf_init(&buf, 8);
    assert_true(buf_add_str(&buf, "12345"));
    assert_false(buf_add_str(&buf, "6789"));
    assert_true(buf.overflow);
    assert_string_equal(buf_str(&buf), "12345");
    assert_false(buf_printf(&buf, "%d", 6789));
    assert_string_equal(buf_str(&buf), "12345");
    assert_true(buf_add_str(&buf, "678")); // up to the cap
    assert_true(buf.overflow);             // and the flag stays
    assert_false(buf_add_char(&buf, '9'));
    buf_clear(&buf);
    assert_false(buf.overflow);
    assert_int_equal(buf.len, 0);
    assert_true(buf_add_str(&buf, "12345678"));
}

static void an_append_refused_at_first_leaves_nothing(void **state)
{
    (void)state;
    struct buf buf OWN_BUF;
    buf_init(&buf, 3);
    assert_false(buf_add_str(&buf, "1234"));
    assert_true(buf.overflow);
    assert_string_equal(buf_str(&buf), "");
}

static void prints_into_whatever_room_is_left(void **state)
{
    (void)state;
    for (size_t before = 0; before < 70; before++)
        for (int width = 1; width < 70; width++) {
            struct buf buf OWN_BUF;
            buf_init(&buf, 100);
            for (size_t i = 0; i < before; i++)
                assert_true(buf_add_char(&buf, 'x'));
            bool fits = before + (size_t)width <= 100;
            assert_true(buf_printf(&buf, "%*d", width, 7) == fits);
            assert_int_equal(buf.len, fits ? before + (size_t)width : before);
            assert_int_equal(strlen(buf_str(&buf)), buf.len);
            assert_true(buf.len == before || buf.data[buf.len - 1] == '7');
        }
}

static void consumes_from_the_front(void **state)
{
    (void)state;
    static const struct {
        size_t take;
        const char *rest;
    } rows[] = {{0, "abcdef"}, {2, "cdef"}, {3, "f"}, {1, ""}, {0, ""}};
    struct buf buf OWN_BUF;
    buf_init(&buf, 0);
    buf_add_str(&buf, "abcdef");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_consume(&buf, rows[i].take);
        assert_string_equal(buf_str(&buf), rows[i].rest);
        assert_int_equal(buf.len, strlen(rows[i].rest));
    }
}

static void take_empties_it(void **state)
{
    (void)state;
    struct buf buf OWN_BUF;
    buf_init(&buf, 4);
    char *nothing = buf_take(&buf);
    assert_string_equal(nothing, "");
    free(nothing);
    buf_add_str(&buf, "abcd");
    char *text = buf_take(&buf);
    assert_string_equal(text, "abcd");
    free(text);
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.cap, 4);
    assert_false(buf_add_str(&buf, "abcde"));
}

static void test_add_int(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 7, -7, 10, 1234567890, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct buf buf OWN_BUF, printed OWN_BUF;
        buf_init(&buf, 0);
        buf_init(&printed, 0);
        assert_true(buf_add_int(&buf, numbers[i]));
        buf_printf(&printed, "%" PRId64, numbers[i]);
        assert_string_equal(buf_str(&buf), buf_str(&printed));
    }
    struct buf small OWN_BUF;
    buf_init(&small, 2);
    assert_false(buf_add_int(&small, 123));
    assert_true(small.overflow && small.len == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_int),
        cmocka_unit_test(appends_and_ends_with_nul),
        cmocka_unit_test(grows_over_many_appends),
        cmocka_unit_test(the_cap_refuses_whole_appends),
        cmocka_unit_test(an_append_refused_at_first_leaves_nothing),
        cmocka_unit_test(prints_into_whatever_room_is_left),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(take_empties_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
