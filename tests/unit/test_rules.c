// SPDX-License-Identifier: Apache-2.0
// Rules of the configuration: which hold for a job, and which of them decides.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rules.h"

#define S(text) ((char *)(uintptr_t)(text))

static void test_choices(void **state)
{
    (void)state;
    struct config_rule rules[] = {
        {.name = S("vip"), .when_tier = S("vip"), .reasoning_mode = S("reasoning")},
        {.name = S("busy"), .when_load_over = 80, .reasoning_mode = S("non-reasoning")},
        {.name = S("long"), .when_tokens_over = 1000, .route = S("wide")},
        {.name = S("short"), .when_tokens_under = 100, .route = S("cheap")},
        {.name = S("idle"), .when_load_under = 10, .reasoning_mode = S("reasoning")},
        {.name = S("plain"), .when_kind = S("summarize"), .reasoning_mode = S("auto")},
    };
    struct config_tenant tenants[] = {{.name = S("legal"), .tier = S("vip")},
                                      {.name = S("sales"), .tier = S("std")}};
    struct config config = {.rules = rules, .rule_count = 6, .tenants = tenants, .tenant_count = 2};
    static const struct {
        const char *tenant, *kind;
        int64_t tokens;
        int load;
        const char *reasoning_by, *route_by;
        enum reasoning_mode reasoning;
    } rows[] = {
        {"legal", "summarize", 500, 50, "vip", NULL, REASONING_ON},
        {"legal", "summarize", 1001, 95, "vip", "long", REASONING_ON}, // the first that holds
        {"sales", "summarize", 1000, 81, "busy", NULL, REASONING_OFF},
        {"sales", "summarize", 99, 80, "plain", "short", REASONING_AUTO},
        {"nobody", "summarize", 100, 9, "idle", NULL, REASONING_ON},
        {"nobody", "agent", 100, 10, NULL, NULL, REASONING_AUTO},
        {"nobody", "agent", 100, -1, NULL, NULL, REASONING_AUTO}, // no load is known
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct rule_facts facts = {rows[i].tenant, rows[i].kind, rows[i].tokens,
                                         rows[i].load};
        struct rule_choice choice;
        rules_choose(&config, &facts, &choice);
        assert_int_equal(choice.reasoning_by != NULL, rows[i].reasoning_by != NULL);
        assert_int_equal(choice.route_by != NULL, rows[i].route_by != NULL);
        if (choice.reasoning_by)
            assert_string_equal(choice.reasoning_by->name, rows[i].reasoning_by);
        if (choice.route_by) {
            assert_string_equal(choice.route_by->name, rows[i].route_by);
            assert_string_equal(choice.route, choice.route_by->route);
        }
        assert_int_equal(choice.reasoning, rows[i].reasoning);
    }
}

// What is not known yet makes unsure what it might decide, and nothing else.
static void test_what_is_not_known(void **state)
{
    (void)state;
    static const struct {
        struct config_rule first, second;
        bool reasoning_unsure, route_unsure;
        const char *route;
    } rows[] = {
        {{.when_load_over = 80, .reasoning_mode = S("reasoning")},
         {.route = S("r")},
         true,
         false,
         "r"},
        {{.route = S("r")}, {.when_tokens_over = 1, .route = S("q")}, false, false, "r"},
        {{.when_tokens_over = 1, .route = S("q")}, {.route = S("r")}, false, true, "r"},
        {{.when_kind = S("agent"), .when_load_under = 9, .route = S("q")}, {0}, false, false, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_rule rules[] = {rows[i].first, rows[i].second};
        struct config config = {.rules = rules, .rule_count = 2};
        const struct rule_facts facts = {"t", "summarize", -1, -1};
        struct rule_choice choice;
        rules_choose(&config, &facts, &choice);
        assert_int_equal(choice.reasoning_unsure, rows[i].reasoning_unsure);
        assert_int_equal(choice.route_unsure, rows[i].route_unsure);
        assert_int_equal(choice.route != NULL, rows[i].route != NULL);
        if (choice.route)
            assert_string_equal(choice.route, rows[i].route);
    }
}

static void test_without_rules(void **state)
{
    (void)state;
    struct config config = {0};
    const struct rule_facts facts = {"t", "summarize", 1, 1};
    struct rule_choice choice;
    rules_choose(&config, &facts, &choice);
    assert_null(choice.reasoning_by);
    assert_null(choice.route_by);
    assert_null(choice.route);
    enum reasoning_mode mode = REASONING_ON;
    assert_false(rules_reasoning_from(NULL, &mode));
    assert_false(rules_reasoning_from("slow", &mode));
    assert_int_equal(mode, REASONING_ON);
    assert_true(rules_reasoning_from("non-reasoning", &mode));
    assert_int_equal(mode, REASONING_OFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_what_is_not_known),
        cmocka_unit_test(test_without_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
