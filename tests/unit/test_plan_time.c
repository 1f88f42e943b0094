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
        {{[PLAN_TIME_REQUESTS_DAY] = 300}, PLAN_TIME_REQUESTS_DAY, 90000000},
        {{[PLAN_TIME_TOKENS_DAY] = 400000}, PLAN_TIME_TOKENS_DAY, 90000000},
        {{[PLAN_TIME_SLOTS] = 10}, PLAN_TIME_SLOTS, 118000},
        {{[PLAN_TIME_SLOTS] = CALLS}, PLAN_TIME_NONE, 0},
        {{[PLAN_TIME_REQUESTS] = 600, [PLAN_TIME_TOKENS] = 60000, [PLAN_TIME_SLOTS] = 100},
         PLAN_TIME_TOKENS,
         600000},
    };
    struct plan_time_call *calls = make_calls(CALLS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct plan_time time =
            plan_time_of(&(struct plan_time_work){.calls = calls, .count = CALLS}, rows[i].limits);
        assert_int_equal(time.bound, rows[i].bound);
        // One second's worth is saved up at first.
        assert_in_range(time.total_ms, rows[i].ms + 2000 - 2000 * (rows[i].ms > 0),
                        rows[i].ms + 2000);
    }
    free(calls);
}

// Others' 300 calls go first: each limit alone takes their time as well.
static void behind_others(void **state)
{
    (void)state;
    static const struct {
        plan_time_limits limits;
        enum plan_time_limit bound;
        int64_t ms;
    } rows[] = {
        {{0}, PLAN_TIME_NONE, 2000},
        {{[PLAN_TIME_REQUESTS] = 60}, PLAN_TIME_REQUESTS, 900000},
        {{[PLAN_TIME_TOKENS] = 60000}, PLAN_TIME_TOKENS, 900000},
        {{[PLAN_TIME_INPUT] = 54000}, PLAN_TIME_INPUT, 900000},
        {{[PLAN_TIME_OUTPUT] = 6000}, PLAN_TIME_OUTPUT, 900000},
        {{[PLAN_TIME_REQUESTS_DAY] = 600}, PLAN_TIME_REQUESTS_DAY, 90000000},
        {{[PLAN_TIME_REQUESTS_DAY] = 200}, PLAN_TIME_REQUESTS_DAY, 360000000},
        {{[PLAN_TIME_TOKENS_DAY] = 1000000}, PLAN_TIME_NONE, 2000},
        {{[PLAN_TIME_SLOTS] = 10}, PLAN_TIME_SLOTS, 180000},
        {{[PLAN_TIME_SLOTS] = 1200}, PLAN_TIME_NONE, 2500},
        {{[PLAN_TIME_REQUESTS] = 600, [PLAN_TIME_SLOTS] = 100}, PLAN_TIME_REQUESTS, 90000},
    };
    struct plan_time_call *calls = make_calls(CALLS);
    struct plan_time_work work = {.calls = calls,
                                  .count = CALLS,
                                  .ahead = {.requests = 300,
                                            .input_tokens = 270000,
                                            .output_tokens = 30000,
                                            .duration_ms = 600000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct plan_time time = plan_time_of(&work, rows[i].limits);
        assert_int_equal(time.requests, CALLS); // theirs are not ours
        assert_int_equal(time.bound, rows[i].bound);
        assert_in_range(time.total_ms, rows[i].ms - 1000, rows[i].ms + 2000);
    }
    // More than any limit can count: late, and no overflow.
    work.ahead = (struct plan_time_ahead){INT64_MAX / 4, INT64_MAX / 4, INT64_MAX / 4, INT64_MAX};
    plan_time_limits slow = {[PLAN_TIME_REQUESTS] = 1, [PLAN_TIME_SLOTS] = 1};
    assert_true(plan_time_of(&work, slow).total_ms > INT64_C(1000000000000));
    free(calls);
}

static void of_nothing(void **state)
{
    (void)state;
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 1};
    assert_int_equal(plan_time_of(&(struct plan_time_work){.count = 0}, limits).total_ms, 0);
    assert_int_equal(
        plan_time_needed(&(struct plan_time_work){.count = 0}, limits, PLAN_TIME_REQUESTS, 0), 1);
}

// A larger call than a minute's worth passes, and is paid for by who comes next.
static void large_calls_leave_debt(void **state)
{
    (void)state;
    struct plan_time_call calls[] = {{.input_tokens = 120000, .duration_ms = 1000},
                                     {.input_tokens = 1000, .duration_ms = 1000}};
    plan_time_limits limits = {[PLAN_TIME_TOKENS] = 60000};
    assert_int_equal(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = 2}, limits).total_ms,
        120000 - 1000 + 1000);
}

// The calls of a job wait for each other; others use the time between.
static void calls_of_a_job_follow_each_other(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(10);
    plan_time_limits none = {0}, one_slot = {[PLAN_TIME_SLOTS] = 1}, two = {[PLAN_TIME_SLOTS] = 2};
    for (size_t i = 1; i < 5; i++)
        calls[i].follows = true;
    assert_int_equal(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = 10}, none).total_ms,
        5 * 2000);
    assert_int_equal(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = 10}, one_slot).total_ms,
        10 * 2000);
    assert_int_equal(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = 10}, two).total_ms,
        5 * 2000);
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
    assert_in_range(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = 65}, limits).total_ms, 64000,
        66000);
    free(calls);
}

static void what_is_needed(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(CALLS);
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 10, [PLAN_TIME_TOKENS] = 600000};
    // 599 requests in 10 minutes less the two seconds of the last one.
    int64_t need = plan_time_needed(&(struct plan_time_work){.calls = calls, .count = CALLS},
                                    limits, PLAN_TIME_REQUESTS, 600000);
    assert_in_range(need, 59, 61);
    limits[PLAN_TIME_REQUESTS] = need;
    assert_true(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = CALLS}, limits).total_ms <=
        600000);
    limits[PLAN_TIME_REQUESTS] = need - 1;
    assert_true(
        plan_time_of(&(struct plan_time_work){.calls = calls, .count = CALLS}, limits).total_ms >
        600000);
    // What is there is enough; another limit stands in the way; none is asked of.
    limits[PLAN_TIME_REQUESTS] = 100;
    assert_int_equal(plan_time_needed(&(struct plan_time_work){.calls = calls, .count = CALLS},
                                      limits, PLAN_TIME_REQUESTS, 600000),
                     100);
    assert_int_equal(plan_time_needed(&(struct plan_time_work){.calls = calls, .count = CALLS},
                                      limits, PLAN_TIME_REQUESTS, 30000),
                     0);
    assert_int_equal(plan_time_needed(&(struct plan_time_work){.calls = calls, .count = CALLS},
                                      limits, PLAN_TIME_OUTPUT, 600000),
                     0);
    assert_int_equal(plan_time_needed(&(struct plan_time_work){.calls = calls, .count = CALLS},
                                      limits, PLAN_TIME_TOKENS, 1999),
                     0);
    free(calls);
}

// Calls that had to wait go together, those of one kind, within what a request holds.
static void waiting_calls_share_requests(void **state)
{
    (void)state;
    struct plan_time_call *calls = make_calls(101);
    struct plan_time_work work = {
        .calls = calls, .count = 101, .room = {5, 1000000, 1000000, 1000000}};
    plan_time_limits limits = {[PLAN_TIME_REQUESTS] = 60}, none = {0};
    for (size_t i = 0; i < 101; i++) {
        calls[i].form_tokens = 300;
        calls[i].first_ms = 500;
        calls[i].need = (struct pack_room){1, 1000, 100, 10};
        calls[i].pack_hash = 7;
    }
    // The first two do not wait: one second's worth is saved up, and so it is the third that does.
    struct plan_time time = plan_time_of(&work, limits);
    assert_in_range(time.requests, 21, 22);
    assert_int_equal(time.output_tokens, 101 * 100);
    assert_int_equal(time.input_tokens, 101 * 600 + (int64_t)time.requests * 300);
    assert_in_range(time.total_ms, 20000, 30000);
    assert_int_equal(plan_time_of(&work, none).requests, 101);
    work.room.tokens = 2000; // two of them
    assert_in_range(plan_time_of(&work, limits).requests, 51, 52);
    work.room.tokens = 1000000;
    work.room.documents = 1;
    assert_int_equal(plan_time_of(&work, limits).requests, 101);
    work.room.documents = 5;
    for (size_t i = 0; i < 101; i++)
        calls[i].pack_hash = i % 2; // five of the same kind are found behind others
    assert_in_range(plan_time_of(&work, limits).requests, 21, 24);
    for (size_t i = 0; i < 101; i++)
        calls[i].need.documents = i % 2; // every other one goes alone
    assert_in_range(plan_time_of(&work, limits).requests, 60, 63);
    free(calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_limit_alone),
        cmocka_unit_test(behind_others),
        cmocka_unit_test(of_nothing),
        cmocka_unit_test(large_calls_leave_debt),
        cmocka_unit_test(calls_of_a_job_follow_each_other),
        cmocka_unit_test(long_jobs_are_not_left_for_the_end),
        cmocka_unit_test(what_is_needed),
        cmocka_unit_test(waiting_calls_share_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
