// SPDX-License-Identifier: Apache-2.0
// The forecast: steady demand, a rise, an end, gaps.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/forecast.h"

#define START 5000

// Demand in calls a minute, spread over each second.
static int64_t feed(struct forecast *forecast, int64_t now_ms, int64_t from, int64_t to,
                    int64_t seconds)
{
    double owed = 0;
    for (int64_t s = 0; s < seconds; s++, now_ms += 1000) {
        owed += ((double)from + (double)(to - from) * ((double)s + 0.5) / (double)seconds) / 60;
        forecast_add(forecast, (int32_t)owed, now_ms);
        owed -= (int32_t)owed;
    }
    return now_ms;
}

static void nothing_known_expects_nothing(void **state)
{
    (void)state;
    struct forecast forecast = {0};
    assert_int_equal(forecast_per_minute(&forecast, 10000, START), 0);
    assert_int_equal(forecast_per_minute(&forecast, 10000, START + 900000), 0);
}

static void what_is_steady_stays(void **state)
{
    (void)state;
    static const int64_t rates[] = {60, 420, 1200, 60000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct forecast forecast = {0};
        int64_t now_ms = feed(&forecast, START, rates[i], rates[i], 400);
        int64_t expected = forecast_per_minute(&forecast, 10000, now_ms);
        assert_in_range(expected, rates[i] * 93 / 100, rates[i] * 107 / 100);
    }
}

// 100 to 500 a minute within 30 s: that 420 will be passed is seen before it happens.
static void a_rise_is_seen_while_it_happens(void **state)
{
    (void)state;
    struct forecast forecast = {0};
    int64_t now_ms = feed(&forecast, START, 100, 100, 120);
    now_ms = feed(&forecast, now_ms, 100, 380, 21);
    int64_t expected = forecast_per_minute(&forecast, 10000, now_ms);
    assert_in_range(expected, 380, 520);
}

static void a_rise_is_not_followed_into_the_sky(void **state)
{
    (void)state;
    struct forecast forecast = {0};
    forecast_add(&forecast, 0, START);
    forecast_add(&forecast, 10, START + 1000);
    assert_in_range(forecast_per_minute(&forecast, 600000, START + 2000), 1, 20 * 60);
}

static void what_has_ended_is_forgotten(void **state)
{
    (void)state;
    struct forecast forecast = {0};
    int64_t now_ms = feed(&forecast, START, 1200, 1200, 300);
    assert_in_range(forecast_per_minute(&forecast, 10000, now_ms + 60000), 0, 120);
    assert_int_equal(forecast_per_minute(&forecast, 10000, now_ms + 400000), 0);
    now_ms = feed(&forecast, now_ms + 5000000, 60, 60, 60);
    assert_in_range(forecast_per_minute(&forecast, 10000, now_ms), 50, 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_known_expects_nothing),
        cmocka_unit_test(what_is_steady_stays),
        cmocka_unit_test(a_rise_is_seen_while_it_happens),
        cmocka_unit_test(a_rise_is_not_followed_into_the_sky),
        cmocka_unit_test(what_has_ended_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
