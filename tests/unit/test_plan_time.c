// SPDX-License-Identifier: Apache-2.0
// Time under limits: each limit alone, calls that follow each other, what would be needed, packing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/own.h"
#include "core/plan_time.h"

#define CALLS 600

// Calls of 900 tokens in, 100 out and two seconds.
static struct plan_time_call *make_calls(size_t count)
{
    struct plan_time_call *calls = own_array(count + 1, sizeof(*calls));
    for (size_t i = 0; i < count; i++)
        calls[i] =
            (struct plan_time_call){.input_tokens = 900, .output_tokens = 100, .duration_ms = 2000};
    return calls;
}

static void each_limit_alone(void **state)
{
    (void)state;
    static const struct {
        plan_time_limits limits;
        enum plan_time_limit bound;
        int64_t ms; // of the last call's start, about
    } rows[] = {
        {{0}, PLAN_TIME_NONE, 0},
        {{[PLAN_TIME_REQUESTS] = 60}, PLAN_TIME_REQUESTS, 600000},
        {{[PLAN_TIME_REQUESTS] = 1200}, PLAN_TIME_REQUESTS, 30000},
        {{[PLAN_TIME_TOKENS] = 60000}, PLAN_TIME_TOKENS, 600000},
        {{[PLAN_TIME_INPUT] = 54000}, PLAN_TIME_INPUT, 600000},
        {{[PLAN_TIME_OUTPUT] = 6000}, PLAN_TIME_OUTPUT, 600000},
        {{[PLAN_TIME_REQUESTS_DAY] = 86400}, PLAN_TIME_REQUESTS_DAY, 600000},
        {{[PLAN_TIME_TOKENS_DAY] = 86400000}, PLAN_TIME_TOKENS_DAY, 600000},
        {{[PLAN_TIME_SLOTS] = 10}, PLAN_TIME_SLOTS, 118000},
        {{[PLAN_TIME_SLOTS] = CALLS}, PLAN_TIME_NONE, 0},
        {{[PLAN_TIME_REQUESTS] = 600, [PLAN_TIME_TOKENS] = 60000, [PLAN_TIME_SLOTS] = 100},
         PLAN_TIME_TOKENS,
         600000},
    };
    struct plan_time_call *calls = make_calls(CALLS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct plan_time time = plan_time_of(calls, CALLS, rows[i].limits);
        assert_int_equal(time.bound, rows[i].bound);
        // One second's worth is saved up at first.
        assert_in_range(time.total_ms, rows[i].ms + 2000 - 2000 * (rows[i].ms > 0),
                        rows[i].ms + 2000);
    }
    free(calls);
}

static void of_nothing(void **state)
{
    (void)state;
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 1};
    assert_int_equal(plan_time_of(NULL, 0, limits).total_ms, 0);
    assert_int_equal(plan_time_needed(NULL, 0, limits, PLAN_TIME_REQUESTS, 0), 1);
}

// A larger call than a minute's worth passes, and is paid for by who comes next.
static void large_calls_leave_debt(void **state)
{
    (void)state;
    struct plan_time_call calls[] = {{.input_tokens = 120000, .duration_ms = 1000},
                                     {.input_tokens = 1000, .duration_ms = 1000}};
    plan_time_limits limits = {[PLAN_TIME_TOKENS] = 60000};
    assert_int_equal(plan_time_of(calls, 2, limits).total_ms, 120000 - 1000 + 1000);
}

// The calls of a job wait for each other; others use the time between.
static void calls_of_a_job_follow_each_other(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(10);
    plan_time_limits none = {0}, one_slot = {[PLAN_TIME_SLOTS] = 1}, two = {[PLAN_TIME_SLOTS] = 2};
    for (size_t i = 1; i < 5; i++)
        calls[i].follows = true;
    assert_int_equal(plan_time_of(calls, 10, none).total_ms, 5 * 2000);
    assert_int_equal(plan_time_of(calls, 10, one_slot).total_ms, 10 * 2000);
    assert_int_equal(plan_time_of(calls, 10, two).total_ms, 5 * 2000);
    free(calls);
}

// Who came first goes on first: a long job is not left for the end.
static void long_jobs_are_not_left_for_the_end(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(65);
    for (size_t i = 1; i < 5; i++)
        calls[i].follows = true;
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 60};
    assert_in_range(plan_time_of(calls, 65, limits).total_ms, 64000, 66000);
    free(calls);
}

static void what_is_needed(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(CALLS);
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 10, [PLAN_TIME_TOKENS] = 600000};
    // 599 requests in 10 minutes less the two seconds of the last one.
    int64_t need = plan_time_needed(calls, CALLS, limits, PLAN_TIME_REQUESTS, 600000);
    assert_in_range(need, 59, 61);
    limits[PLAN_TIME_REQUESTS] = need;
    assert_true(plan_time_of(calls, CALLS, limits).total_ms <= 600000);
    limits[PLAN_TIME_REQUESTS] = need - 1;
    assert_true(plan_time_of(calls, CALLS, limits).total_ms > 600000);
    // What is there is enough; another limit stands in the way; none is asked of.
    limits[PLAN_TIME_REQUESTS] = 100;
    assert_int_equal(plan_time_needed(calls, CALLS, limits, PLAN_TIME_REQUESTS, 600000), 100);
    assert_int_equal(plan_time_needed(calls, CALLS, limits, PLAN_TIME_REQUESTS, 30000), 0);
    assert_int_equal(plan_time_needed(calls, CALLS, limits, PLAN_TIME_OUTPUT, 600000), 0);
    assert_int_equal(plan_time_needed(calls, CALLS, limits, PLAN_TIME_TOKENS, 1999), 0);
    free(calls);
}

static void packing(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(12), packed[12];
    struct plan_time_shared shared = {.input_tokens = 300, .duration_ms = 500};
    calls[3].follows = true; // 2 and 3 are one job
    size_t count = plan_time_pack(calls, 12, 5, &shared, 1000000, packed);
    // 0 1 | 2 3 | 4 to 8 | 9 to 11
    assert_int_equal(count, 5);
    assert_int_equal(packed[0].input_tokens, 900 + 600);
    assert_true(packed[2].follows);
    assert_int_equal(packed[3].input_tokens, 900 + 4 * 600);
    assert_int_equal(packed[3].output_tokens, 500);
    assert_int_equal(packed[3].duration_ms, 2000 + 4 * 1500);
    assert_int_equal(packed[4].output_tokens, 300);
    // Bounded by tokens.
    assert_int_equal(plan_time_pack(calls, 12, 5, &shared, 1500, packed), 7);
    assert_int_equal(plan_time_pack(calls, 12, 1, &shared, 1000000, packed), 12);
    free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_alone),
        cmocka_unit_test(of_nothing),
        cmocka_unit_test(large_calls_leave_debt),
        cmocka_unit_test(calls_of_a_job_follow_each_other),
        cmocka_unit_test(long_jobs_are_not_left_for_the_end),
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
