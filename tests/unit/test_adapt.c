// SPDX-License-Identifier: Apache-2.0
// The number in flight where no limit is known.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/adapt.h"

#define NOW 1000000

static void it_doubles_until_the_first_trouble(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 1000);
    assert_int_equal(adapt_most(&adapt), ADAPT_FIRST);
    for (int i = 0; i < ADAPT_FIRST; i++)
        adapt_succeeded(&adapt, 10000);
    assert_int_equal(adapt_most(&adapt), 2 * ADAPT_FIRST);
    for (int i = 0; i < 5000; i++)
        adapt_succeeded(&adapt, 10000);
    assert_int_equal(adapt_most(&adapt), 1000);
}

static void calls_that_would_not_be_made_raise_nothing(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 1000);
    for (int i = 0; i < 500; i++)
        adapt_succeeded(&adapt, ADAPT_FIRST - 1);
    assert_int_equal(adapt_most(&adapt), ADAPT_FIRST);
}

// So many windows of successes, at the number that there is.
static void succeed(struct adapt *adapt, int windows)
{
    for (int w = 0; w < windows; w++)
        for (int64_t i = 0, most = adapt_most(adapt); i < most; i++)
            adapt_succeeded(adapt, 1000);
}

static void the_first_trouble_takes_three_tenths_once_for_all_that_were_under_way(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 100);
    for (int i = 0; i < 100; i++)
        adapt_succeeded(&adapt, 100);
    for (int i = 0; i < 30; i++)
        assert_false(adapt_failed(&adapt, NOW - 500, NOW + i));
    assert_int_equal(adapt_most(&adapt), 70);
    assert_false(adapt_failed(&adapt, NOW + 1, NOW + 100)); // soon after: it falls on
    assert_int_equal(adapt_most(&adapt), 49);
    for (int i = 0; i < 100; i++)
        adapt_failed(&adapt, NOW + 1000 * (i + 1), NOW + 1000 * (i + 1));
    assert_int_equal(adapt_most(&adapt), ADAPT_LEAST);
}

static void later_trouble_takes_a_tenth(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 100);
    adapt_failed(&adapt, NOW, NOW);
    int64_t before = adapt_most(&adapt);
    succeed(&adapt, 3);
    assert_true(adapt_failed(&adapt, NOW + 10, NOW + 20));
    assert_true(adapt_failed(&adapt, NOW + 10, NOW + 21)); // of the same moment
    assert_in_range(adapt_most(&adapt), before * 9 / 10, before * 9 / 10 + 1);
    assert_false(adapt_failed(&adapt, NOW + 30, NOW + 40));
    assert_in_range(adapt_most(&adapt), before * 63 / 100, before * 63 / 100 + 1);
}

static void afterwards_it_grows_by_an_eighth_a_window_and_faster_when_it_is_calm(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 1000);
    adapt_failed(&adapt, NOW, NOW);
    int64_t before = adapt_most(&adapt);
    succeed(&adapt, 16);
    assert_in_range(adapt_most(&adapt), before + 1, before + 3);
    succeed(&adapt, 40); // a larger server is found in a while
    assert_true(adapt_most(&adapt) > before + 12);
    succeed(&adapt, 80);
    assert_int_equal(adapt_most(&adapt), 1000);
}

static void the_ceiling_holds_from_the_start(void **state)
{
    (void)state;
    struct adapt adapt;
    adapt_init(&adapt, 5);
    assert_int_equal(adapt_most(&adapt), 5);
    adapt_succeeded(&adapt, 5);
    assert_int_equal(adapt_most(&adapt), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_doubles_until_the_first_trouble),
        cmocka_unit_test(calls_that_would_not_be_made_raise_nothing),
        cmocka_unit_test(the_first_trouble_takes_three_tenths_once_for_all_that_were_under_way),
        cmocka_unit_test(later_trouble_takes_a_tenth),
        cmocka_unit_test(afterwards_it_grows_by_an_eighth_a_window_and_faster_when_it_is_calm),
        cmocka_unit_test(the_ceiling_holds_from_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
