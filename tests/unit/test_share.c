// SPDX-License-Identifier: Apache-2.0
// Who comes into the window next: virtual times by what was given and by what stands.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/order.h"
#include "core/share.h"

#define CREDIT (ORDER_CREDIT_TOKENS * TAKE_TOKEN_TIME)

static int64_t first_of(const struct shares *shares, const char *tenant)
{
    return shares_first(shares, tenant, 1) - shares_now(shares);
}

static void what_stands_counts_by_weight(void **state)
{
    (void)state;
    struct shares *shares = shares_new();
    shares_recount(shares);
    int64_t begin = shares_stand(shares, "light", 1, 600);
    assert_int_equal(begin, -CREDIT);
    assert_int_equal(shares_stand(shares, "light", 1, 600), begin + 600 * TAKE_TOKEN_TIME);
    begin = shares_stand(shares, "heavy", 3, 600);
    assert_int_equal(shares_stand(shares, "heavy", 3, 600), begin + 200 * TAKE_TOKEN_TIME);
    assert_int_equal(shares_first(shares, "heavy", 3), begin + 400 * TAKE_TOKEN_TIME);
    const struct share *list;
    assert_int_equal(shares_list(shares, &list), 2);
    assert_string_equal(list[0].tenant, "heavy");
    assert_true(list[0].stands && list[1].stands);
    shares_recount(shares);
    assert_int_equal(first_of(shares, "light"), -CREDIT);
    shares_free(shares);
}

static void what_was_given_counts_when_nothing_stands_any_more(void **state)
{
    (void)state;
    struct shares *shares = shares_new();
    shares_recount(shares);
    shares_stand(shares, "waits", 1, 100);
    shares_serve(shares, "ran", 2, 50000);
    shares_recount(shares);
    shares_stand(shares, "waits", 1, 100);
    // The time is that of the one that stands, who was given nothing beyond its credit.
    int64_t ahead = shares_first(shares, "ran", 2) - shares_first(shares, "new", 1);
    assert_int_equal(ahead, 25000 * TAKE_TOKEN_TIME + CREDIT / 2);
    assert_int_equal(shares_first(shares, "new", 1), shares_now(shares) - CREDIT);
    shares_serve(shares, "ran", 2, -50000); // nothing of it was used
    assert_int_equal(shares_first(shares, "ran", 2) - shares_first(shares, "new", 1), CREDIT / 2);
    shares_free(shares);
}

// A ran for long and stands; who is new begins where A is, less the credit, and not at nothing.
static void who_is_new_begins_at_the_least_of_those_that_stand(void **state)
{
    (void)state;
    struct shares *shares = shares_new();
    shares_recount(shares);
    for (int i = 0; i < 100; i++)
        shares_serve(shares, "a", 1, 10000);
    shares_stand(shares, "a", 1, 4000);
    shares_recount(shares);
    assert_int_equal(shares_now(shares), 1000000 * TAKE_TOKEN_TIME - CREDIT);
    assert_int_equal(first_of(shares, "b"), -CREDIT);
    assert_int_equal(first_of(shares, "a"), 0);
    shares_set_credit(shares, 300);
    assert_int_equal(first_of(shares, "c"), -300 * TAKE_TOKEN_TIME);
    shares_free(shares);
}

static void nobody_stands_and_what_was_is_forgotten(void **state)
{
    (void)state;
    struct shares *shares = shares_new();
    shares_recount(shares);
    for (int i = 0; i < 1000; i++) {
        char name[20];
        snprintf(name, sizeof(name), "t%d", i);
        shares_serve(shares, name, 1, 100 + i);
    }
    const struct share *list;
    assert_int_equal(shares_list(shares, &list), 1000);
    shares_recount(shares);
    shares_serve(shares, "busy", 1, 10 * ORDER_CREDIT_TOKENS);
    shares_recount(shares);
    assert_int_equal(shares_list(shares, &list), 1);
    assert_true(shares_knows(shares, "busy"));
    assert_false(shares_knows(shares, "t999"));
    assert_int_equal(first_of(shares, "t999"), -CREDIT);
    shares_free(shares);
    shares_free(NULL);
}

// A window of 20 that is filled from two crowds, always by whoever begins first, and served by
// turns of what stands: each gets its share of the tokens, whatever the size of its jobs.
static void two_crowds_share_a_window(void **state)
{
    (void)state;
    static const struct {
        int64_t weight, tokens;
    } crowd[2] = {{3, 5000}, {1, 200}};
    static const char *const names[2] = {"a", "b"};
    int64_t got[2] = {0};
    size_t stands[2] = {0};
    struct shares *shares = shares_new();
    for (int round = 0; round < 20000; round++) {
        shares_recount(shares);
        for (size_t i = 0; i < 2; i++)
            for (size_t k = 0; k < stands[i]; k++)
                shares_stand(shares, names[i], crowd[i].weight, crowd[i].tokens);
        while (stands[0] + stands[1] < 20) {
            size_t next = shares_first(shares, "b", 1) < shares_first(shares, "a", 3);
            shares_stand(shares, names[next], crowd[next].weight, crowd[next].tokens);
            stands[next]++;
        }
        // The window's own order is fair, too: who was given least for its weight goes.
        size_t goes = stands[0] == 0 || (stands[1] > 0 && got[1] * 3 < got[0]);
        shares_serve(shares, names[goes], crowd[goes].weight, crowd[goes].tokens);
        got[goes] += crowd[goes].tokens;
        stands[goes]--;
    }
    double share = (double)got[0] / (double)(got[0] + got[1]);
    if (share < 0.74 || share > 0.76)
        fail_msg("three parts of four are %.3f", share);
    shares_free(shares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_counts_by_weight),
        cmocka_unit_test(what_was_given_counts_when_nothing_stands_any_more),
        cmocka_unit_test(who_is_new_begins_at_the_least_of_those_that_stand),
        cmocka_unit_test(nobody_stands_and_what_was_is_forgotten),
        cmocka_unit_test(two_crowds_share_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
