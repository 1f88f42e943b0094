// SPDX-License-Identifier: Apache-2.0
// What reported counts teach: the estimate's factor by script, and how long answers are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/calibrate.h"

static void texts_have_a_script(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum calibrate_script script;
    } rows[] = {
        {"The tenant pays the rent on the first day of each month.", SCRIPT_LATIN},
        {"Der Mieter trägt die Kosten für größere Schäden, § 5 Abs. 2.", SCRIPT_LATIN},
        {"承租人应于每月一日支付租金。", SCRIPT_CJK},
        {"賃借人は毎月一日に賃料を支払う。", SCRIPT_CJK},
        {"Арендатор платит арендную плату первого числа.", SCRIPT_OTHER},
        {"2026-11-22;17;3.1415;0x7f;998;12:40:01;77;[1,2,3]", SCRIPT_DENSE},
        {"", SCRIPT_LATIN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(calibrate_script_of(rows[i].text, strlen(rows[i].text)), rows[i].script);
}

static void nothing_learned_is_the_worst_case(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_LATIN, 1000), 1320, 1321);
    assert_in_range(calibrate_input_upper(NULL, SCRIPT_LATIN, 1000), 1320, 1321);
    assert_int_equal(calibrate_input_upper(&calibrate, SCRIPT_CJK, 0), 0);
    assert_true(calibrate_input_upper(&calibrate, SCRIPT_CJK, INT64_MAX) == INT64_MAX);
    assert_int_equal(calibrate_output_limit(&calibrate, 0, 3600), 3600);
    assert_int_equal(calibrate_output_limit(NULL, 0, 3600), 3600);
}

static void the_factor_is_found_for_each_script(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    for (int i = 0; i < 200; i++) {
        calibrate_input_told(&calibrate, SCRIPT_LATIN, 1000, i % 2 ? 930 : 970);
        calibrate_input_told(&calibrate, SCRIPT_CJK, 1000, i % 2 ? 1380 : 1420);
    }
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_LATIN, 1000), 970, 1010);
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_CJK, 1000), 1420, 1470);
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_OTHER, 1000), 1320, 1321);
}

// The few first samples already help: a fleet is not short of tokens for an hour.
static void ten_samples_go_far(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    for (int i = 0; i < 10; i++)
        calibrate_input_told(&calibrate, SCRIPT_LATIN, 1000, 900);
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_LATIN, 1000), 900, 1150);
}

// Money is reserved by bytes until enough is known, and by more than was ever seen after that.
static void money_is_reserved_by_what_cannot_be_passed(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    assert_int_equal(calibrate_input_most(NULL, SCRIPT_LATIN, 1000, 5000), 5000);
    for (int i = 0; i < 19; i++)
        calibrate_input_told(&calibrate, SCRIPT_LATIN, 1000, 900 + i);
    assert_int_equal(calibrate_input_most(&calibrate, SCRIPT_LATIN, 1000, 5000), 5000);
    calibrate_input_told(&calibrate, SCRIPT_LATIN, 1000, 2000);
    assert_in_range(calibrate_input_most(&calibrate, SCRIPT_LATIN, 1000, 5000), 2990, 3000);
    assert_int_equal(calibrate_input_most(&calibrate, SCRIPT_LATIN, 1000, 2500), 2500);
    assert_int_equal(calibrate_input_most(&calibrate, SCRIPT_CJK, 1000, 2500), 2500);
    for (int i = 0; i < 100; i++)
        calibrate_input_told(&calibrate, SCRIPT_LATIN, 1000, 1000);
    assert_in_range(calibrate_input_most(&calibrate, SCRIPT_LATIN, 1000, 5000), 2500, 3000);
}

static void samples_that_say_nothing_change_nothing(void **state)
{
    (void)state;
    static const struct {
        int64_t estimate, reported;
    } rows[] = {{199, 199}, {1000, 299}, {1000, 4001}, {1000, 0}, {1000, -5}, {0, 100}};
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        calibrate_input_told(&calibrate, SCRIPT_LATIN, rows[i].estimate, rows[i].reported);
    assert_int_equal(calibrate.input[SCRIPT_LATIN].samples, 0);
}

static void answers_that_are_short_get_a_smaller_limit(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    int kind = calibrate_kind(0, false, false);
    for (int i = 0; i < 29; i++)
        calibrate_output_told(&calibrate, kind, 3600, 280 + i);
    assert_int_equal(calibrate_output_limit(&calibrate, kind, 3600), 3600);
    for (int i = 0; i < 200; i++)
        calibrate_output_told(&calibrate, kind, 3600, 280 + i % 29);
    int64_t limit = calibrate_output_limit(&calibrate, kind, 3600);
    assert_in_range(limit, 308 * 5 / 4 - 30, 800);
    assert_int_equal(calibrate_output_limit(&calibrate, calibrate_kind(0, true, false), 3600),
                     3600);
    assert_int_equal(calibrate_output_limit(&calibrate, kind, 100), 100);
}

static void what_is_expected_is_less_than_what_is_allowed(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    assert_int_equal(calibrate_output_expected(NULL, 0, 3600), 900);
    assert_int_equal(calibrate_output_expected(&calibrate, 0, 3600), 900);
    assert_int_equal(calibrate_output_expected(&calibrate, 0, 400), CALIBRATE_OUTPUT_LEAST);
    assert_int_equal(calibrate_output_expected(&calibrate, 0, 100), 100);
    for (int i = 0; i < 100; i++)
        calibrate_output_told(&calibrate, 0, 3600, 1000 + i % 3 * 100);
    assert_in_range(calibrate_output_expected(&calibrate, 0, 3600), 1200, 1400);
    assert_true(calibrate_output_expected(&calibrate, 0, 3600) <
                calibrate_output_limit(&calibrate, 0, 3600));
}

static void an_answer_that_is_cut_off_gives_room_again(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    int kind = calibrate_kind(2, true, true);
    for (int i = 0; i < 300; i++)
        calibrate_output_told(&calibrate, kind, 4000, 400);
    int64_t before = calibrate_output_limit(&calibrate, kind, 4000);
    assert_true(before < 1000);
    calibrate_output_cut(&calibrate, kind, 4000, before);
    assert_int_equal(calibrate_output_limit(&calibrate, kind, 4000), 4000);
    for (int i = 0; i < 60; i++)
        calibrate_output_told(&calibrate, kind, 4000, 400);
    assert_true(calibrate_output_limit(&calibrate, kind, 4000) > 2 * before);
}

// A bound that answers pass is only a guess: those of its kind get what they need.
static void a_bound_that_cuts_answers_off_is_raised(void **state)
{
    (void)state;
    struct calibrate calibrate;
    calibrate_init(&calibrate);
    int kind = calibrate_kind(0, false, true);
    calibrate_output_cut(&calibrate, kind, 1000, 1000);
    assert_int_equal(calibrate_output_limit(&calibrate, kind, 1000), 2000);
    for (int i = 0; i < 60; i++)
        calibrate_output_told(&calibrate, kind, 1000, 1300);
    assert_in_range(calibrate_output_limit(&calibrate, kind, 1000), 1600, 2000);
    assert_in_range(calibrate_output_limit(&calibrate, kind, 600), 900, 1200);
}

static void each_kind_is_its_own(void **state)
{
    (void)state;
    bool seen[CALIBRATE_KINDS] = {false};
    for (int prompt = 0; prompt < 3; prompt++)
        for (int flags = 0; flags < 4; flags++) {
            int kind = calibrate_kind(prompt, flags & 1, flags & 2);
            assert_in_range(kind, 0, CALIBRATE_KINDS - 1);
            assert_false(seen[kind]);
            seen[kind] = true;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_a_script),
        cmocka_unit_test(nothing_learned_is_the_worst_case),
        cmocka_unit_test(the_factor_is_found_for_each_script),
        cmocka_unit_test(ten_samples_go_far),
        cmocka_unit_test(money_is_reserved_by_what_cannot_be_passed),
        cmocka_unit_test(samples_that_say_nothing_change_nothing),
        cmocka_unit_test(answers_that_are_short_get_a_smaller_limit),
        cmocka_unit_test(what_is_expected_is_less_than_what_is_allowed),
        cmocka_unit_test(an_answer_that_is_cut_off_gives_room_again),
        cmocka_unit_test(a_bound_that_cuts_answers_off_is_raised),
        cmocka_unit_test(each_kind_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
