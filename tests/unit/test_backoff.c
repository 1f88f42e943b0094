// SPDX-License-Identifier: Apache-2.0
// Backoff: the ladders, the jitters and their bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdbool.h>

#include "base/rng.h"
#include "core/backoff.h"

static struct backoff without_jitter(void)
{
    struct backoff backoff;
    backoff_default(&backoff);
    backoff.jitter = BACKOFF_NONE;
    return backoff;
}

static void default_ladder(void **state)
{
    (void)state;
    static const struct {
        int failed;
        int64_t delay_ms;
    } rows[] = {{1, 500},      {2, 1000},        {3, 2000},  {4, 4000},
                {7, 32000},    {8, 60000},       {9, 60000}, {64, 60000},
                {1000, 60000}, {INT_MAX, 60000}, {0, 500},   {INT_MIN + 1, 500}};
    struct backoff backoff = without_jitter();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(backoff_delay_ms(&backoff, rows[i].failed, 5), rows[i].delay_ms);
    struct backoff shipped;
    backoff_default(&shipped);
    assert_int_equal(shipped.attempts, 6);
    assert_int_equal(shipped.doubtful, 2);
    assert_int_equal(shipped.jitter, BACKOFF_FULL);
}

static void presets(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t delays_ms[5];
    } rows[] = {
        {"seed-412", {500, 1000, 2000, 4000, 8000}},
        {"tenacity", {1000, 2000, 4000, 8000, 10000}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct backoff backoff;
        assert_true(backoff_preset(rows[i].name, &backoff));
        assert_int_equal(backoff.attempts, 3);
        for (int failed = 1; failed <= 5; failed++)
            assert_int_equal(backoff_delay_ms(&backoff, failed, UINT64_MAX),
                             rows[i].delays_ms[failed - 1]);
    }
    struct backoff untouched = {.attempts = 77};
    assert_false(backoff_preset("seed", &untouched));
    assert_int_equal(untouched.attempts, 77);
}

static void jitter_names(void **state)
{
    (void)state;
    enum backoff_jitter jitter = BACKOFF_FULL;
    assert_true(backoff_jitter_named("none", &jitter));
    assert_int_equal(jitter, BACKOFF_NONE);
    assert_true(backoff_jitter_named("equal", &jitter));
    assert_int_equal(jitter, BACKOFF_EQUAL);
    assert_true(backoff_jitter_named("full", &jitter));
    assert_int_equal(jitter, BACKOFF_FULL);
    assert_false(backoff_jitter_named("Full", &jitter));
}

// The least and the most of many draws.
static void draw(const struct backoff *backoff, int failed, int64_t *out_least, int64_t *out_most)
{
    struct rng rng;
    rng_init(&rng, 1);
    *out_least = INT64_MAX;
    *out_most = 0;
    for (int i = 0; i < 20000; i++) {
        int64_t delay = backoff_delay_ms(backoff, failed, rng_next(&rng));
        *out_least = delay < *out_least ? delay : *out_least;
        *out_most = delay > *out_most ? delay : *out_most;
    }
}

static void jitter_fills_its_range(void **state)
{
    (void)state;
    static const struct {
        enum backoff_jitter jitter;
        int64_t min_ms;
        int failed;
        int64_t least, most;
    } rows[] = {
        {BACKOFF_FULL, 0, 1, 1, 500},     {BACKOFF_FULL, 0, 3, 1, 2000},
        {BACKOFF_FULL, 300, 1, 300, 500}, {BACKOFF_FULL, 900, 1, 900, 900},
        {BACKOFF_EQUAL, 0, 1, 250, 500},  {BACKOFF_EQUAL, 400, 1, 400, 500},
        {BACKOFF_NONE, 0, 1, 500, 500},   {BACKOFF_NONE, 90000, 1, 90000, 90000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct backoff backoff = without_jitter();
        backoff.jitter = rows[i].jitter;
        backoff.min_ms = rows[i].min_ms;
        int64_t least, most;
        draw(&backoff, rows[i].failed, &least, &most);
        assert_in_range(least, rows[i].least, rows[i].least + 2);
        assert_in_range(most, rows[i].most - 2, rows[i].most);
    }
}

static void odd_settings_stay_in_bounds(void **state)
{
    (void)state;
    static const struct {
        struct backoff backoff;
        int failed;
        int64_t delay_ms;
    } rows[] = {
        {{.base_ms = 0, .max_ms = 0, .factor_milli = 2000}, 1, 1},
        {{.base_ms = -5, .max_ms = -5, .min_ms = -5, .factor_milli = -1}, 9, 1},
        {{.base_ms = 700, .max_ms = 9000, .factor_milli = 1000}, INT_MAX, 700},
        {{.base_ms = 700, .max_ms = 9000, .factor_milli = 0}, 4, 700},
        {{.base_ms = 1, .max_ms = 60000, .factor_milli = 1001}, 1000, 1000},
        {{.base_ms = 3, .max_ms = INT64_MAX, .factor_milli = INT64_MAX}, 1000, INT64_MAX},
        {{.base_ms = INT64_MAX, .max_ms = INT64_MAX, .factor_milli = 2000}, 2, INT64_MAX},
        {{.base_ms = 1000, .max_ms = 60000, .factor_milli = 1500}, 3, 2250},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct backoff backoff = rows[i].backoff;
        backoff.jitter = BACKOFF_NONE;
        assert_int_equal(backoff_delay_ms(&backoff, rows[i].failed, 0), rows[i].delay_ms);
        backoff.jitter = BACKOFF_FULL;
        for (uint64_t random = 0; random < 9; random++)
            assert_true(backoff_delay_ms(&backoff, rows[i].failed, random - 4) >= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_ladder),
        cmocka_unit_test(presets),
        cmocka_unit_test(jitter_names),
        cmocka_unit_test(jitter_fills_its_range),
        cmocka_unit_test(odd_settings_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
