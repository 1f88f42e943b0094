// SPDX-License-Identifier: Apache-2.0
// Borrowing: how much over the limit, how smoothly, how long, how often.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/throttle.h"

#define NOW   1000000
#define LIMIT 420

static int64_t ask(struct throttle *throttle, int64_t expected, int64_t now_ms)
{
    int64_t left_ms;
    int64_t percent = throttle_extra_percent(throttle, LIMIT, expected, now_ms, &left_ms);
    assert_true((percent == 0 || left_ms > 0) && percent <= throttle->percent);
    return percent;
}

static void below_the_limit_nothing_is_borrowed(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 20, 3);
    for (int ms = 0; ms < 60000; ms += 100)
        assert_int_equal(ask(&throttle, LIMIT, NOW + ms), 0);
}

static void a_rise_borrows_smoothly_and_ends_hard(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 20, 3);
    int64_t before = 0, most = 0, sum = 0;
    for (int ms = 0; ms < 3000; ms += 50) {
        int64_t percent = ask(&throttle, 600, NOW + ms);
        assert_true(percent - before <= 2 && before - percent <= 2);
        before = percent;
        most = percent > most ? percent : most;
        sum += percent * 50;
    }
    assert_int_equal(most, 20);
    assert_in_range(sum, 20 * 1500, 20 * 2000); // of 20 percent for 3,000 ms
    for (int ms = 3000; ms < 120000; ms += 100)
        assert_int_equal(ask(&throttle, 600, NOW + ms), 0);
}

static void no_more_than_is_expected_is_borrowed(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 20, 3);
    ask(&throttle, LIMIT + 21, NOW);
    assert_int_equal(ask(&throttle, LIMIT + 21, NOW + 1300), 5);
}

static void a_calm_time_comes_before_the_next(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 20, 3);
    ask(&throttle, 600, NOW);
    ask(&throttle, 600, NOW + 5000);
    ask(&throttle, 100, NOW + 10000);
    assert_int_equal(ask(&throttle, 600, NOW + 10000 + THROTTLE_CALM_MS - 1), 0);
    ask(&throttle, 100, NOW + 40000);
    ask(&throttle, 100, NOW + 40000 + THROTTLE_CALM_MS);
    ask(&throttle, 600, NOW + 100000);
    assert_int_equal(ask(&throttle, 600, NOW + 101300), 20);
}

static void a_refusal_ends_it_at_once(void **state)
{
    (void)state;
    struct throttle throttle;
    throttle_init(&throttle, 20, 3);
    ask(&throttle, 600, NOW);
    assert_true(ask(&throttle, 600, NOW + 1000) > 0);
    throttle_refused(&throttle);
    assert_int_equal(ask(&throttle, 600, NOW + 1001), 0);
}

static void without_a_limit_or_an_allowance_there_is_nothing(void **state)
{
    (void)state;
    struct throttle throttle;
    int64_t left_ms;
    throttle_init(&throttle, 20, 3);
    assert_int_equal(throttle_extra_percent(&throttle, 0, 600, NOW, &left_ms), 0);
    throttle_init(&throttle, 0, 3);
    assert_int_equal(ask(&throttle, 600, NOW), 0);
    assert_int_equal(ask(&throttle, 600, NOW + 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_limit_nothing_is_borrowed),
        cmocka_unit_test(a_rise_borrows_smoothly_and_ends_hard),
        cmocka_unit_test(no_more_than_is_expected_is_borrowed),
        cmocka_unit_test(a_calm_time_comes_before_the_next),
        cmocka_unit_test(a_refusal_ends_it_at_once),
        cmocka_unit_test(without_a_limit_or_an_allowance_there_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
