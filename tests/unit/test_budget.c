// SPDX-License-Identifier: Apache-2.0
// Budgets: who is covered, when periods end, what fits, and how long the wall is left alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/config_budget.h"
#include "core/money.h"

static void test_covers(void **state)
{
    (void)state;
    const struct budget_call call = {"legal", "q3", "xai", "main"};
    static const struct {
        enum budget_scope scope;
        const char *name;
        bool covers;
    } rows[] = {
        {BUDGET_ALL, "", true},
        {BUDGET_TENANT, "legal", true},
        {BUDGET_TENANT, "lega", false},
        {BUDGET_TENANT, "legal2", false},
        {BUDGET_BATCH, "legal/q3", true},
        {BUDGET_BATCH, "legal/q", false},
        {BUDGET_BATCH, "legal/q33", false},
        {BUDGET_BATCH, "egal/q3", false},
        {BUDGET_BATCH, "legal", false},
        {BUDGET_PROVIDER, "xai", true},
        {BUDGET_PROVIDER, "main", false},
        {BUDGET_KEY, "xai/main", true},
        {BUDGET_KEY, "xai/other", false},
        {BUDGET_KEY, "xa/main", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct budget budget = {.scope = rows[i].scope, .name = rows[i].name};
        assert_int_equal(budget_covers(&budget, &call), rows[i].covers);
    }
}

// Beginnings of days, in unix seconds: counted with `date -u -d ... +%s`.
static void test_periods(void **state)
{
    (void)state;
    static const struct {
        int64_t at_s, day_end_s, month_end_s;
    } rows[] = {
        {0, 86400, 2678400},                                             // 1970-01-01
        {86399, 86400, 2678400},                                         //
        {951782400, 951868800, 951868800},                               // 2000-02-29
        {1709164800, 1709251200, 1709251200},                            // 2024-02-29
        {1740700800, 1740787200, 1740787200},                            // 2025-02-28
        {1795305600, 1795392000, 1796083200},                            // 2026-11-22
        {1798675200, 1798761600, 1798761600},                            // 2026-12-31
        {INT64_C(4107456000), INT64_C(4107542400), INT64_C(4107542400)}, // 2100-02-28
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t at_ms = rows[i].at_s * 1000;
        assert_int_equal(budget_period_end_ms(BUDGET_DAY, at_ms), rows[i].day_end_s * 1000);
        assert_int_equal(budget_period_end_ms(BUDGET_MONTH, at_ms), rows[i].month_end_s * 1000);
        assert_true(budget_period_end_ms(BUDGET_LIFE, at_ms) == INT64_MAX);
        assert_false(budget_same_period(BUDGET_DAY, at_ms, rows[i].day_end_s * 1000));
        assert_true(budget_same_period(BUDGET_DAY, at_ms, rows[i].day_end_s * 1000 - 1));
        assert_true(budget_same_period(BUDGET_LIFE, at_ms, 0));
    }
}

static void test_fits(void **state)
{
    (void)state;
    assert_true(budget_fits(10, 0, 10));
    assert_false(budget_fits(10, 0, 11));
    assert_true(budget_fits(10, 7, 3));
    assert_false(budget_fits(10, 7, 4));
    assert_false(budget_fits(10, 11, 0)); // the limit was lowered
    assert_true(budget_fits(-1, INT64_MAX, INT64_MAX));
    assert_false(budget_fits(INT64_MAX, INT64_MAX, 1));
    assert_false(budget_fits(INT64_MAX, 1, INT64_MAX));
    assert_true(budget_fits(0, 0, 0)); // what is free goes through a budget of nothing
}

static void test_stricter(void **state)
{
    (void)state;
    const struct budget wait = {BUDGET_ALL, "", BUDGET_DAY, BUDGET_WAIT, 1};
    const struct budget cheaper = {BUDGET_KEY, "p/k", BUDGET_DAY, BUDGET_CHEAPER, 1};
    const struct budget fail = {BUDGET_TENANT, "t", BUDGET_DAY, BUDGET_FAIL, 1};
    const struct budget month = {BUDGET_TENANT, "t", BUDGET_MONTH, BUDGET_FAIL, 1};
    assert_true(budget_is_stricter(&fail, &cheaper));
    assert_true(budget_is_stricter(&cheaper, &wait));
    assert_false(budget_is_stricter(&wait, &fail));
    assert_true(budget_is_stricter(&fail, &month));
    assert_false(budget_is_stricter(&fail, &fail));
}

static void test_look_again(void **state)
{
    (void)state;
    struct budget_refusal refusal = {.may_free = true, .ends_ms = INT64_MAX};
    for (uint64_t random = 0; random < 5000; random += 7) {
        int64_t soon_ms = budget_look_again_ms(&refusal, 1000, random);
        assert_in_range(soon_ms, 250, 499);
    }
    refusal.may_free = false;
    assert_in_range(budget_look_again_ms(&refusal, 1000, 123456), 5000, 9999);
    refusal.ends_ms = 1600; // the next day brings more
    assert_int_equal(budget_look_again_ms(&refusal, 1000, 9), 600);
    assert_int_equal(budget_look_again_ms(&refusal, 9000, 9), 1);
}

static void test_words(void **state)
{
    (void)state;
    enum budget_scope scope = BUDGET_ALL;
    enum budget_period period = BUDGET_DAY;
    enum budget_at_wall wall = BUDGET_WAIT;
    assert_true(budget_scope_from("key", &scope));
    assert_int_equal(scope, BUDGET_KEY);
    assert_true(budget_period_from("life", &period));
    assert_int_equal(period, BUDGET_LIFE);
    assert_true(budget_at_wall_from("cheaper", &wall));
    assert_int_equal(wall, BUDGET_CHEAPER);
    assert_false(budget_scope_from("keys", &scope));
    assert_false(budget_period_from(NULL, &period));
    assert_false(budget_at_wall_from("", &wall));
}

static void test_of_a_configuration(void **state)
{
    (void)state;
    struct config_key keys[2] = {{.name = (char[]){"one"}, .budget_life = (char[]){"300"}},
                                 {.name = (char[]){"two"}}};
    struct config_provider provider = {.name = (char[]){"xai"}, .keys = {keys, 2}};
    struct config_tenant tenant = {.name = (char[]){"legal"},
                                   .budget_day = (char[]){"1.5"},
                                   .budget_month = (char[]){"20"},
                                   .budget_at_wall = (char[]){"fail"}};
    struct config config = {.providers = &provider,
                            .provider_count = 1,
                            .tenants = &tenant,
                            .tenant_count = 1,
                            .budget_month = (char[]){"0"}};
    struct config_budgets budgets;
    config_budgets_init(&budgets, &config);
    assert_int_equal(budgets.count, 4);
    assert_int_equal(budgets.items[0].scope, BUDGET_ALL);
    assert_int_equal(budgets.items[0].limit_picousd, 0);
    assert_string_equal(budgets.items[1].name, "legal");
    assert_int_equal(budgets.items[1].period, BUDGET_DAY);
    assert_int_equal(budgets.items[1].at_wall, BUDGET_FAIL);
    assert_int_equal(budgets.items[1].limit_picousd, PICOUSD_PER_USD * 3 / 2);
    assert_int_equal(budgets.items[2].period, BUDGET_MONTH);
    assert_string_equal(budgets.items[3].name, "xai/one");
    assert_int_equal(budgets.items[3].scope, BUDGET_KEY);
    assert_int_equal(budgets.items[3].at_wall, BUDGET_WAIT);
    config_budgets_deinit(&budgets);
    assert_int_equal(budgets.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covers),
        cmocka_unit_test(test_periods),
        cmocka_unit_test(test_fits),
        cmocka_unit_test(test_stricter),
        cmocka_unit_test(test_look_again),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_of_a_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
