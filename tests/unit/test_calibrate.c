// SPDX-License-Identifier: Apache-2.0
// What reported counts teach: the estimate's factor by script, and how long answers are.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
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

// ------------------------------------------------------------------------------- the fleet

// All that `from` has to tell is added to the fleet's rows.
static void tell(struct calibrate *from, struct calibration rows[CALIBRATE_SUBJECTS])
{
    struct calibration told;
    for (int subject = 0; subject < CALIBRATE_SUBJECTS; subject++)
        if (calibrate_tell(from, subject, &told))
            calibrate_merge(&rows[subject], &told, 0);
    assert_int_equal(from->untold, 0);
}

static void adopt(struct calibrate *to, const struct calibration rows[CALIBRATE_SUBJECTS])
{
    for (int subject = 0; subject < CALIBRATE_SUBJECTS; subject++)
        calibrate_adopt(to, subject, &rows[subject]);
}

static void assert_near(double real, double expected)
{
    assert_true(real - expected < 1e-9 && expected - real < 1e-9);
}

// Who starts reserves what the others would, money and output limit included.
static void who_starts_goes_on_where_the_fleet_is(void **state)
{
    (void)state;
    struct calibrate old, new;
    struct calibration rows[CALIBRATE_SUBJECTS] = {{0}};
    calibrate_init(&old);
    calibrate_init(&new);
    for (int i = 0; i < 40; i++) {
        calibrate_input_told(&old, SCRIPT_LATIN, 1000, i % 2 ? 880 : 900);
        calibrate_output_told(&old, 2, 2000, 300 + i % 10);
    }
    tell(&old, rows);
    adopt(&new, rows);
    int64_t upper = calibrate_input_upper(&old, SCRIPT_LATIN, 1000);
    assert_in_range(upper, 900, 980);
    assert_in_range(calibrate_input_upper(&new, SCRIPT_LATIN, 1000), upper - 2, upper + 2);
    assert_in_range(calibrate_output_expected(&new, 2, 2000), 300, 360);
    assert_in_range(calibrate_output_limit(&new, 2, 2000), 350, 450);
    // What nobody has seen stays the worst case.
    assert_in_range(calibrate_input_upper(&new, SCRIPT_CJK, 1000), 1320, 1321);
    assert_int_equal(calibrate_output_limit(&new, 3, 2000), 2000);
    assert_int_equal(new.untold, 0); // it is not told as its own
}

// Three samples of the fleet weigh as much as three of its own.
static void a_few_samples_are_not_believed_at_once(void **state)
{
    (void)state;
    struct calibrate old, new;
    struct calibration rows[CALIBRATE_SUBJECTS] = {{0}};
    calibrate_init(&old);
    calibrate_init(&new);
    for (int i = 0; i < 3; i++) {
        calibrate_input_told(&old, SCRIPT_LATIN, 1000, 500);
        calibrate_output_told(&old, 1, 2000, 700);
    }
    tell(&old, rows);
    adopt(&new, rows);
    assert_near(new.input[SCRIPT_LATIN].mean, old.input[SCRIPT_LATIN].mean);
    assert_near(new.input[SCRIPT_LATIN].variance, old.input[SCRIPT_LATIN].variance);
    assert_near(new.output[1].mean, old.output[1].mean);
    assert_near(new.output[1].variance, old.output[1].variance);
    assert_int_equal(new.output[1].samples, 3);
}

static void tellings_add_up(void **state)
{
    (void)state;
    struct calibration row = {0};
    const struct calibration tens = {.samples = 10, .mean = 1, .square = 1, .most = 1.2};
    const struct calibration thirty = {.samples = 30, .mean = 2, .square = 4.5, .most = 3};
    calibrate_merge(&row, &tens, 0);
    calibrate_merge(&row, &thirty, 0);
    assert_near(row.samples, 40);
    assert_near(row.mean, 1.75);
    assert_near(row.square, 3.625);
    assert_near(row.most, 3);
    // In whichever order.
    struct calibration other = {0};
    calibrate_merge(&other, &thirty, 0);
    calibrate_merge(&other, &tens, 0);
    assert_near(other.mean, row.mean);
    assert_near(other.square, row.square);
}

static void no_worker_drowns_the_others(void **state)
{
    (void)state;
    struct calibration row = {0};
    const struct calibration many = {.samples = 1e6, .mean = 1, .square = 1, .most = 1};
    const struct calibration strange = {.samples = 1e6, .mean = 2, .square = 4, .most = 2};
    for (int i = 0; i < 10; i++)
        calibrate_merge(&row, &many, 0);
    assert_near(row.samples, 200);
    calibrate_merge(&row, &strange, 0);
    assert_near(row.samples, 200);
    assert_near(row.mean, 1.25);
    for (int i = 0; i < 12; i++) // but what has changed for all is believed soon
        calibrate_merge(&row, &strange, 0);
    assert_true(row.mean > 1.95);
}

static void rows_fade_with_time(void **state)
{
    (void)state;
    const int64_t week_ms = INT64_C(7) * 24 * 3600 * 1000;
    struct calibration row = {.samples = 40, .mean = 1, .square = 1, .most = 1};
    const struct calibration told = {.samples = 20, .mean = 2, .square = 4, .most = 2};
    assert_near(calibrate_worth(40, week_ms), 20);
    assert_near(calibrate_worth(40, -5), 40);
    assert_near(calibrate_worth(40, INT64_MAX), 0);
    calibrate_merge(&row, &told, week_ms);
    assert_near(row.samples, 40);
    assert_near(row.mean, 1.5);
}

// An answer that was cut off voids what all have learned of its kind's length.
static void a_cut_is_told(void **state)
{
    (void)state;
    struct calibrate one, other;
    struct calibration rows[CALIBRATE_SUBJECTS] = {{0}};
    calibrate_init(&one);
    calibrate_init(&other);
    for (int i = 0; i < 60; i++)
        calibrate_output_told(&one, 2, 2000, 300);
    tell(&one, rows);
    adopt(&other, rows);
    assert_in_range(calibrate_output_limit(&other, 2, 2000), 350, 450);
    calibrate_output_cut(&one, 2, 2000, 400);
    tell(&one, rows);
    adopt(&other, rows);
    assert_int_equal(calibrate_output_limit(&other, 2, 2000), 2000);
    calibrate_output_cut(&one, 2, 2000, 2000);
    tell(&one, rows);
    adopt(&other, rows);
    assert_int_equal(calibrate_output_limit(&other, 2, 2000), 4000);
    // One that was cut here is not forgotten for an answer that was on its way.
    calibrate_output_cut(&other, 5, 1000, 1000);
    rows[SCRIPTS + 5] =
        (struct calibration){.samples = 50, .mean = 0.2, .square = 0.04, .most = 0.2};
    adopt(&other, rows);
    assert_int_equal(calibrate_output_limit(&other, 5, 1000), 2000);
}

// Who sees enough himself is not made to forget it; the largest counts all the same.
static void own_eyes_come_first(void **state)
{
    (void)state;
    struct calibrate busy;
    const struct calibration row = {.samples = 200, .mean = 1.5, .square = 2.25, .most = 2.5};
    calibrate_init(&busy);
    for (int i = 0; i < 100; i++)
        calibrate_input_told(&busy, SCRIPT_LATIN, 1000, 900);
    calibrate_adopt(&busy, SCRIPT_LATIN, &row);
    assert_in_range(calibrate_input_upper(&busy, SCRIPT_LATIN, 1000), 900, 930);
    struct calibration told;
    assert_true(calibrate_tell(&busy, SCRIPT_LATIN, &told));
    calibrate_adopt(&busy, SCRIPT_LATIN, &row); // nothing since the last time
    assert_in_range(calibrate_input_upper(&busy, SCRIPT_LATIN, 1000), 1500, 1510);
}

// Samples between the asking and the answer are in both: what was told, and what is still to be.
static void what_comes_meanwhile_is_kept(void **state)
{
    (void)state;
    struct calibrate calibrate;
    struct calibration told, row = {0};
    calibrate_init(&calibrate);
    calibrate_output_told(&calibrate, 0, 1000, 100);
    assert_true(calibrate_tell(&calibrate, SCRIPTS, &told));
    assert_false(calibrate_tell(&calibrate, SCRIPTS, &told));
    calibrate_merge(&row, &told, 0);
    for (int i = 0; i < 6; i++)
        calibrate_output_told(&calibrate, 0, 1000, 500);
    calibrate_adopt(&calibrate, SCRIPTS, &row);
    assert_int_equal(calibrate.output[0].samples, 7);
    assert_true(calibrate.output[0].mean > 0.3);
    assert_true(calibrate_tell(&calibrate, SCRIPTS, &told));
    assert_near(told.samples, 6);
    assert_near(told.mean, 0.5);
    assert_near(told.square, 0.25);
    // Also where the fleet knows nothing yet.
    const struct calibration nothing = {0};
    calibrate_output_told(&calibrate, 1, 1000, 500);
    calibrate_adopt(&calibrate, SCRIPTS + 1, &nothing);
    assert_near(calibrate.output[1].mean, 0.5);
    assert_int_equal(calibrate.output[1].samples, 1);
}

static void rows_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    const struct calibration rows[] = {
        {.samples = (double)NAN, .mean = 1, .square = 1, .most = 1},
        {.samples = -1, .mean = 1, .square = 1, .most = 1},
        {.samples = 201, .mean = 1, .square = 1, .most = 1},
        {.samples = 50, .mean = (double)INFINITY, .square = 1, .most = 1},
        {.samples = 50, .mean = 0.1, .square = 1, .most = 1},
        {.samples = 50, .mean = 1, .square = (double)NAN, .most = 1},
        {.samples = 50, .mean = 1, .square = 1, .most = 7},
        {.samples = 50, .mean = 1, .square = 1, .most = -1},
    };
    struct calibrate before, calibrate;
    calibrate_init(&before);
    for (int i = 0; i < 5; i++)
        calibrate_input_told(&before, SCRIPT_LATIN, 1000, 900);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        calibrate = before;
        calibrate_adopt(&calibrate, SCRIPT_LATIN, &rows[i]);
        assert_near(calibrate.input[SCRIPT_LATIN].mean, before.input[SCRIPT_LATIN].mean);
        assert_int_equal(calibrate.input[SCRIPT_LATIN].samples, 5);
        assert_near(calibrate.input[SCRIPT_LATIN].most, before.input[SCRIPT_LATIN].most);
    }
    // The square of a mean that was rounded: no variance below nothing.
    calibrate_init(&calibrate);
    const struct calibration rounded = {.samples = 50, .mean = 1, .square = 0.9999999, .most = 1};
    calibrate_adopt(&calibrate, SCRIPT_LATIN, &rounded);
    assert_in_range(calibrate_input_upper(&calibrate, SCRIPT_LATIN, 1000), 1000, 1070);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_have_a_script),
        cmocka_unit_test(nothing_learned_is_the_worst_case),
        cmocka_unit_test(the_factor_is_found_for_each_script),
        cmocka_unit_test(ten_samples_go_far),
        cmocka_unit_test(samples_that_say_nothing_change_nothing),
        cmocka_unit_test(answers_that_are_short_get_a_smaller_limit),
        cmocka_unit_test(what_is_expected_is_less_than_what_is_allowed),
        cmocka_unit_test(an_answer_that_is_cut_off_gives_room_again),
        cmocka_unit_test(a_bound_that_cuts_answers_off_is_raised),
        cmocka_unit_test(each_kind_is_its_own),
        cmocka_unit_test(who_starts_goes_on_where_the_fleet_is),
        cmocka_unit_test(a_few_samples_are_not_believed_at_once),
        cmocka_unit_test(tellings_add_up),
        cmocka_unit_test(no_worker_drowns_the_others),
        cmocka_unit_test(rows_fade_with_time),
        cmocka_unit_test(a_cut_is_told),
        cmocka_unit_test(own_eyes_come_first),
        cmocka_unit_test(what_comes_meanwhile_is_kept),
        cmocka_unit_test(rows_that_make_no_sense_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
