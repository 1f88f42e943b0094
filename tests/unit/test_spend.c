// SPDX-License-Identifier: Apache-2.0
// What a worker may spend: pace, the ends of grants, and what is told to the store.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/spend.h"

#define NOW 1000000

static const int64_t both[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1200, [QUOTA_TOKENS] = 400000};
static const int64_t one_call[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1};

static void give(struct spend *spend, int64_t requests, int64_t tokens, int64_t start_in_ms,
                 int64_t now_ms)
{
    struct quota_grant grant = {
        .given = {[QUOTA_REQUESTS] = requests, [QUOTA_TOKENS] = tokens},
        .start_in_ms = start_in_ms,
        .spread_ms = 1000,
        .valid_ms = 1500,
    };
    memcpy(grant.rate, both, sizeof(grant.rate));
    spend_add(spend, &grant, now_ms, now_ms);
}

static int64_t wait_for(const struct spend *spend, int64_t requests, int64_t tokens, int64_t now_ms)
{
    const int64_t need[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = requests, [QUOTA_TOKENS] = tokens};
    enum quota_dimension lacks;
    return spend_wait_ms(spend, need, now_ms, &lacks);
}

static void take(struct spend *spend, int64_t requests, int64_t tokens)
{
    const int64_t need[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = requests, [QUOTA_TOKENS] = tokens};
    spend_take(spend, need);
}

static void without_a_limit_nothing_is_short(void **state)
{
    (void)state;
    static const int64_t none[QUOTA_DIMENSIONS] = {0};
    struct spend spend;
    spend_init(&spend, none);
    assert_false(spend.any);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(wait_for(&spend, 1, INT64_MAX, NOW), 0);
        take(&spend, 1, 5000);
    }
    assert_false(spend_has_news(&spend));
}

static void nothing_goes_before_a_grant(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    enum quota_dimension lacks;
    assert_true(spend_wait_ms(&spend, one_call, NOW, &lacks) == INT64_MAX);
    assert_int_equal(lacks, QUOTA_REQUESTS);
    give(&spend, 5, 100, 0, NOW);
    assert_true(wait_for(&spend, 1, 101, NOW) == INT64_MAX);
    assert_int_equal(wait_for(&spend, 1, 100, NOW), 0);
}

// In each ms whoever may go, goes: how many went until then.
static int64_t spend_until(struct spend *spend, int64_t from_ms, int64_t to_ms, int64_t tokens)
{
    int64_t gone = 0;
    for (int64_t ms = from_ms; ms < to_ms; ms++)
        for (; wait_for(spend, 1, tokens, ms) == 0; gone++)
            take(spend, 1, tokens);
    return gone;
}

static void a_grant_is_used_evenly_from_its_start_on(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 20, 20000, 300, NOW);
    assert_int_equal(wait_for(&spend, 1, 1000, NOW), 300);
    assert_int_equal(spend_until(&spend, NOW, NOW + 300, 1000), 0);
    assert_int_equal(spend_until(&spend, NOW + 300, NOW + 800, 1000), 10);
    assert_int_equal(spend_until(&spend, NOW + 800, NOW + 1300, 1000), 10);
    assert_int_equal(spend_until(&spend, NOW + 1300, NOW + 1800, 1000), 0);
}

static void the_scarcer_dimension_sets_the_pace(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 20, 5000, 0, NOW);
    assert_int_equal(spend_until(&spend, NOW, NOW + 1000, 1000), 5);
    assert_int_equal(spend_in_hand(&spend, QUOTA_REQUESTS), 15);
    assert_int_equal(spend_in_hand(&spend, QUOTA_TOKENS), 0);
}

static void what_a_late_loop_missed_is_caught_up_within_the_grant(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 20, 20000, 0, NOW);
    give(&spend, 20, 20000, 1000, NOW);
    assert_int_equal(spend_until(&spend, NOW + 500, NOW + 501, 1000), 11);
    assert_int_equal(spend_until(&spend, NOW + 501, NOW + 1000, 1000), 9);
    assert_int_equal(spend_until(&spend, NOW + 1000, NOW + 1001, 1000), 1);
}

static void a_large_call_goes_when_nothing_is_owed_and_leaves_a_wait(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 10, 6000, 0, NOW);
    give(&spend, 10, 6000, 1000, NOW);
    assert_int_equal(wait_for(&spend, 1, 9000, NOW), 0);
    take(&spend, 1, 9000);
    assert_int_equal(wait_for(&spend, 1, 1000, NOW), 1450); // a second, 3,000 at 400,000
    assert_true(wait_for(&spend, 1, 3001, NOW + 1500) == INT64_MAX);
}

// Tokens that are reserved, and never used, slow no requests down.
static void a_dimension_is_no_slower_than_its_own_limit(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 16, 6666, 0, NOW);
    take(&spend, 4, 0);
    assert_int_equal(wait_for(&spend, 1, 0, NOW), 200);
}

static void what_is_left_at_the_end_goes_back(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 20, 20000, 0, NOW);
    take(&spend, 3, 2500);
    assert_int_equal(spend_expire(&spend, NOW + 1499), NOW + 1500);
    assert_false(spend_has_news(&spend));
    assert_true(spend_expire(&spend, NOW + 1500) == INT64_MAX);
    assert_int_equal(spend.back[QUOTA_REQUESTS], 17);
    assert_int_equal(spend.back[QUOTA_TOKENS], 17500);
    assert_true(spend_has_news(&spend));
    spend_told(&spend);
    assert_false(spend_has_news(&spend));
    assert_true(wait_for(&spend, 1, 1, NOW + 1500) == INT64_MAX);
    give(&spend, 4, 100, 0, NOW + 1600);
    spend_give_up(&spend);
    assert_int_equal(spend.back[QUOTA_REQUESTS], 4);
    assert_int_equal(spend_in_hand(&spend, QUOTA_REQUESTS), 0);
}

static void an_answer_that_was_long_on_its_way_is_void(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    struct quota_grant grant = {
        .given = {[QUOTA_REQUESTS] = 7, [QUOTA_TOKENS] = 70}, .spread_ms = 1000, .valid_ms = 1500};
    spend_add(&spend, &grant, NOW - 20000, NOW);
    assert_true(wait_for(&spend, 1, 1, NOW) == INT64_MAX);
    assert_int_equal(spend.back[QUOTA_REQUESTS], 7);
}

static void calls_are_settled_either_way(void **state)
{
    (void)state;
    static const int64_t taken[QUOTA_DIMENSIONS] = {
        [QUOTA_REQUESTS] = 1, [QUOTA_INPUT] = 900, [QUOTA_TOKENS] = 1000};
    static const int64_t used[QUOTA_DIMENSIONS] = {
        [QUOTA_REQUESTS] = 1, [QUOTA_INPUT] = 100, [QUOTA_TOKENS] = 1200};
    struct spend spend;
    spend_init(&spend, both);
    spend_settle(&spend, taken, used);
    assert_int_equal(spend.settled[QUOTA_TOKENS], 200);
    assert_int_equal(spend.settled[QUOTA_REQUESTS], 0);
    assert_int_equal(spend.settled[QUOTA_INPUT], 0); // no such limit
    spend_settle(&spend, used, taken);
    assert_false(spend_has_news(&spend));
}

// A worker that is alone and reserves twice what it uses: its pace is that of what it uses.
static void what_was_not_used_gives_its_time_back(void **state)
{
    (void)state;
    static const int64_t taken[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1, [QUOTA_TOKENS] = 5000};
    static const int64_t used[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1, [QUOTA_TOKENS] = 2500};
    struct spend spend;
    spend_init(&spend, both);
    give(&spend, 20, 20000, 0, NOW);
    spend_take(&spend, taken);
    assert_int_equal(wait_for(&spend, 1, 5000, NOW), 250);
    spend_settle(&spend, taken, used);
    assert_int_equal(wait_for(&spend, 1, 5000, NOW), 125);
    spend_settle(&spend, used, taken); // used more: what is granted next comes later
    assert_int_equal(wait_for(&spend, 1, 5000, NOW), 125);
}

static void it_is_known_how_long_the_hand_lasts(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    assert_int_equal(spend_last_ms(&spend, NOW), NOW);
    give(&spend, 20, 20000, 0, NOW);
    assert_int_equal(spend_last_ms(&spend, NOW), NOW + 1000);
    take(&spend, 10, 100);
    assert_int_equal(spend_last_ms(&spend, NOW + 500), NOW + 1000);
    give(&spend, 20, 20000, 1000, NOW);
    assert_int_equal(spend_begin_ms(&spend), NOW + 1000);
    assert_int_equal(spend_last_ms(&spend, NOW + 500), NOW + 2000);
    take(&spend, 0, 39000);
    assert_int_equal(spend_last_ms(&spend, NOW + 500), NOW + 2000);
    take(&spend, 0, 900);
    assert_int_equal(spend_last_ms(&spend, NOW + 3000), NOW + 3000);
}

// More grants than are kept apart: nothing is lost, nothing comes too soon.
static void many_grants_join(void **state)
{
    (void)state;
    struct spend spend;
    spend_init(&spend, both);
    for (int i = 0; i < 7; i++)
        give(&spend, 10, 10000, i * 1000, NOW);
    assert_int_equal(spend.count, SPEND_GRANTS);
    assert_int_equal(spend_in_hand(&spend, QUOTA_REQUESTS), 70);
    assert_int_equal(spend_until(&spend, NOW, NOW + 1000, 1), 10);
    assert_int_equal(spend_until(&spend, NOW + 1000, NOW + 7000, 1), 60);
}

static void days_are_counted_and_not_paced(void **state)
{
    (void)state;
    static const int64_t limits[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS_DAY] = 100};
    static const int64_t need[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1, [QUOTA_REQUESTS_DAY] = 1};
    struct spend spend;
    spend_init(&spend, limits);
    struct quota_grant grant = {
        .given = {[QUOTA_REQUESTS_DAY] = 5}, .spread_ms = 1000, .valid_ms = 1000};
    spend_add(&spend, &grant, NOW, NOW);
    enum quota_dimension lacks;
    assert_int_equal(spend_last_ms(&spend, NOW), NOW + 1000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(spend_wait_ms(&spend, need, NOW, &lacks), 0);
        spend_take(&spend, need);
    }
    assert_true(spend_wait_ms(&spend, need, NOW, &lacks) == INT64_MAX);
    assert_int_equal(lacks, QUOTA_REQUESTS_DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_nothing_is_short),
        cmocka_unit_test(nothing_goes_before_a_grant),
        cmocka_unit_test(a_grant_is_used_evenly_from_its_start_on),
        cmocka_unit_test(the_scarcer_dimension_sets_the_pace),
        cmocka_unit_test(what_a_late_loop_missed_is_caught_up_within_the_grant),
        cmocka_unit_test(a_large_call_goes_when_nothing_is_owed_and_leaves_a_wait),
        cmocka_unit_test(a_dimension_is_no_slower_than_its_own_limit),
        cmocka_unit_test(what_is_left_at_the_end_goes_back),
        cmocka_unit_test(an_answer_that_was_long_on_its_way_is_void),
        cmocka_unit_test(calls_are_settled_either_way),
        cmocka_unit_test(what_was_not_used_gives_its_time_back),
        cmocka_unit_test(it_is_known_how_long_the_hand_lasts),
        cmocka_unit_test(many_grants_join),
        cmocka_unit_test(days_are_counted_and_not_paced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
