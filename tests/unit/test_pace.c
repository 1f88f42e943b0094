// SPDX-License-Identifier: Apache-2.0
// Pacing: the rate that comes out over a minute, the burst, and what is given back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/pace.h"

#define NOW 1000000

static void no_limit_never_waits(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 0, 1000);
    for (int i = 0; i < 1000; i++) {
        pace_take(&pace, INT64_MAX, NOW);
        pace_give_back(&pace, -INT64_MAX);
        assert_int_equal(pace_wait_ms(&pace, NOW), 0);
    }
}

// How many of `amount` go from NOW until `ms` later, when whoever may go, goes.
static int64_t count_within(struct pace *pace, int64_t amount, int64_t ms)
{
    int64_t count = 0;
    int64_t now_ms = NOW;
    for (;;) {
        int64_t wait_ms = pace_wait_ms(pace, now_ms);
        now_ms += wait_ms;
        if (now_ms >= NOW + ms)
            return count;
        pace_take(pace, amount, now_ms);
        count += amount;
    }
}

static void keeps_the_rate_over_a_minute(void **state)
{
    (void)state;
    static const struct {
        int64_t per_minute, burst_ms, amount;
    } rows[] = {
        {60, 0, 1},           {60, 1000, 1},    {600, 1000, 1},
        {1000, 250, 1},       {7, 1000, 1},     {2000000, 1000, 9000},
        {100000, 3000, 1500}, {480000, 0, 400}, {60000, 0, 100},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pace pace;
        pace_init(&pace, rows[i].per_minute, rows[i].burst_ms);
        int64_t gone = count_within(&pace, rows[i].amount, 10 * 60000);
        int64_t due = rows[i].per_minute * 10;
        int64_t burst = rows[i].per_minute * rows[i].burst_ms / 60000;
        assert_in_range(gone, due - due / 50, due + burst + rows[i].amount);
    }
}

static void a_burst_goes_at_once_and_no_more(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 600, 1000); // ten a second
    assert_in_range(count_within(&pace, 1, 1), 10, 11);
    assert_in_range(pace_wait_ms(&pace, NOW), 1, 101);
    // A pause earns one burst, not one for each second.
    assert_int_equal(pace_wait_ms(&pace, NOW + 3600000), 0);
    pace_take(&pace, 1, NOW + 3600000);
    assert_int_equal(pace.ready_us, (int64_t)(NOW + 3600000) * 1000 + 100000);
}

static void what_is_larger_than_the_burst_goes_when_nothing_is_owed(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 60000, 1000); // a thousand a second
    assert_int_equal(pace_wait_ms(&pace, NOW), 0);
    pace_take(&pace, 30000, NOW);
    assert_in_range(pace_wait_ms(&pace, NOW), 29000, 29001);
    assert_int_equal(pace_wait_ms(&pace, NOW + 29001), 0);
}

static void gives_back_what_was_not_used(void **state)
{
    (void)state;
    struct pace pace;
    pace_init(&pace, 60000, 1000);
    pace_take(&pace, 30000, NOW);
    pace_give_back(&pace, 29500);
    assert_int_equal(pace_wait_ms(&pace, NOW), 0);
    pace_give_back(&pace, -10000); // it was more than was taken
    assert_in_range(pace_wait_ms(&pace, NOW), 9500, 9501);
    pace_give_back(&pace, 1000000); // never a credit for later
    pace_take(&pace, 2000, NOW);
    assert_in_range(pace_wait_ms(&pace, NOW), 1000, 1001);
}

static void room_is_what_is_left_of_the_burst(void **state)
{
    (void)state;
    struct pace none, small, large;
    pace_init(&none, 0, 2000);
    pace_init(&small, 60, 2000);   // one a second
    pace_init(&large, 6000, 2000); // a hundred a second
    assert_int_equal(pace_room_us(&none, NOW), INT64_MAX);
    assert_int_equal(pace_room_us(&small, NOW), 2000000);
    pace_take(&small, 1, NOW);
    pace_take(&large, 1, NOW);
    assert_int_equal(pace_room_us(&small, NOW), 1000000);
    assert_int_equal(pace_room_us(&large, NOW), 1990000);
    pace_take(&small, 3, NOW);
    assert_int_equal(pace_room_us(&small, NOW), -2000000);
    assert_int_equal(pace_room_us(&small, NOW + 60000), 2000000); // no more than the burst
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_never_waits),
        cmocka_unit_test(keeps_the_rate_over_a_minute),
        cmocka_unit_test(a_burst_goes_at_once_and_no_more),
        cmocka_unit_test(what_is_larger_than_the_burst_goes_when_nothing_is_owed),
        cmocka_unit_test(gives_back_what_was_not_used),
        cmocka_unit_test(room_is_what_is_left_of_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
