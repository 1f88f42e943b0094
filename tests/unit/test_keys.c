// SPDX-License-Identifier: Apache-2.0
// A key that closes and opens again: what closes it for how long, and who may try it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "core/keys.h"

#define NOW 1000000

static const struct backoff rule = {
    .base_ms = 1000, .max_ms = 60000, .factor_milli = 2000, .jitter = BACKOFF_NONE};

static bool fail_at(struct key *key, enum err_code code, int64_t retry_after_ms, int64_t now_ms)
{
    struct failure failure;
    failure_set(&failure, code, "x");
    failure.retry_after_ms = retry_after_ms;
    return key_failed(key, &failure, &rule, now_ms, 1);
}

static void a_fine_key_lets_all_through(void **state)
{
    (void)state;
    struct key key = {0};
    for (int i = 0; i < 5; i++)
        assert_true(key_admit(&key, NOW));
    assert_false(key.probing);
}

static void closes_as_long_as_told(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        int64_t retry_after_ms, closed_ms;
        enum key_cause cause;
        const char *name;
    } rows[] = {
        {ERR_RATE_LIMITED, 7000, 7000, KEY_THROTTLED, "throttled"},
        {ERR_RATE_LIMITED, -1, 1000, KEY_THROTTLED, "throttled"},
        {ERR_RATE_LIMITED, 0, 1, KEY_THROTTLED, "throttled"},
        {ERR_OVERLOADED, 3000, 3000, KEY_THROTTLED, "throttled"},
        {ERR_UNAUTHORIZED, -1, KEY_REFUSED_MS, KEY_REFUSED, "refused"},
        {ERR_PAYMENT_REQUIRED, -1, KEY_EXHAUSTED_MS, KEY_EXHAUSTED, "exhausted"},
        {ERR_INSUFFICIENT_QUOTA, 5, KEY_EXHAUSTED_MS, KEY_EXHAUSTED, "exhausted"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct key key = {0};
        assert_false(fail_at(&key, rows[i].code, rows[i].retry_after_ms, NOW));
        assert_int_equal(key.cause, rows[i].cause);
        assert_string_equal(key_cause_name(key.cause), rows[i].name);
        assert_false(key_is_open(&key, NOW + rows[i].closed_ms - 1));
        assert_true(key_is_open(&key, NOW + rows[i].closed_ms));
    }
}

static void one_probe_goes_first(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_RATE_LIMITED, 1000, NOW);
    assert_false(key_admit(&key, NOW + 999));
    assert_true(key_admit(&key, NOW + 1000));
    assert_false(key_admit(&key, NOW + 1000));
    assert_false(key_is_open(&key, NOW + 9000));
    key_probe_ended(&key); // a time-out says nothing of the key
    assert_true(key_admit(&key, NOW + 9000));
    key_succeeded(&key);
    assert_int_equal(key.cause, KEY_FINE);
    assert_true(key_admit(&key, NOW + 9000) && key_admit(&key, NOW + 9000));
}

static void throttles_in_a_row_wait_longer(void **state)
{
    (void)state;
    struct key key = {0};
    int64_t now_ms = NOW;
    for (int64_t wait_ms = 1000; wait_ms <= 60000; wait_ms *= 2) {
        fail_at(&key, ERR_RATE_LIMITED, -1, now_ms);
        assert_int_equal(key.closed_until_ms, now_ms + wait_ms);
        now_ms += wait_ms;
        assert_true(key_admit(&key, now_ms));
    }
    key_succeeded(&key);
    fail_at(&key, ERR_RATE_LIMITED, -1, now_ms);
    assert_int_equal(key.closed_until_ms, now_ms + 1000);
}

// A hundred calls that were under way when the limit was met are one refusal, not a hundred.
static void throttles_at_once_count_as_one(void **state)
{
    (void)state;
    struct key key = {0};
    for (int i = 0; i < 100; i++)
        fail_at(&key, ERR_RATE_LIMITED, -1, NOW + i);
    assert_int_equal(key.closed_until_ms, NOW + 99 + 1000);
    assert_int_equal(key.throttles, 1);
}

// Calls that were under way when the key closed come back later.
static void late_answers_neither_open_nor_shorten(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_RATE_LIMITED, 10000, NOW);
    key_succeeded(&key);
    assert_false(key_is_open(&key, NOW + 9999));
    fail_at(&key, ERR_RATE_LIMITED, 500, NOW + 100);
    assert_int_equal(key.closed_until_ms, NOW + 10000);
    fail_at(&key, ERR_UNAUTHORIZED, -1, NOW + 200);
    assert_int_equal(key.cause, KEY_REFUSED);
    fail_at(&key, ERR_RATE_LIMITED, 1, NOW + 300);
    assert_int_equal(key.cause, KEY_REFUSED);
    assert_int_equal(key.closed_until_ms, NOW + 200 + KEY_REFUSED_MS);
}

// The probe's own word counts, also where its cause is the smaller one.
static void a_probe_that_fails_closes_again(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_UNAUTHORIZED, -1, NOW);
    int64_t now_ms = NOW + KEY_REFUSED_MS;
    assert_true(key_admit(&key, now_ms));
    fail_at(&key, ERR_RATE_LIMITED, 4000, now_ms);
    assert_int_equal(key.cause, KEY_THROTTLED);
    assert_false(key_admit(&key, now_ms + 3999));
    assert_true(key_admit(&key, now_ms + 4000));
    fail_at(&key, ERR_UNAUTHORIZED, -1, now_ms + 4000);
    assert_false(key_admit(&key, now_ms + 4000 + KEY_REFUSED_MS - 1));
}

static void forbidden_is_asked_about_once(void **state)
{
    (void)state;
    struct key key = {0};
    assert_true(fail_at(&key, ERR_FORBIDDEN, -1, NOW));
    assert_int_equal(key.cause, KEY_DOUBTED);
    assert_false(key_is_open(&key, INT64_MAX));
    assert_false(fail_at(&key, ERR_FORBIDDEN, -1, NOW));
    key_succeeded(&key); // of an older call: the question stands
    assert_int_equal(key.cause, KEY_DOUBTED);
    key_checked(&key, true, NOW + 50);
    assert_true(key_is_open(&key, NOW + 50));
    key_checked(&key, false, NOW + 60); // a second answer to no question
    assert_true(key_is_open(&key, NOW + 60));
}

static void a_key_that_proves_bad_is_refused(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_FORBIDDEN, -1, NOW);
    key_checked(&key, false, NOW);
    assert_int_equal(key.cause, KEY_REFUSED);
    assert_false(key_admit(&key, NOW + KEY_REFUSED_MS - 1));
    assert_true(key_admit(&key, NOW + KEY_REFUSED_MS));
}

static void a_throttle_meanwhile_is_not_forgotten(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_FORBIDDEN, -1, NOW);
    fail_at(&key, ERR_RATE_LIMITED, 8000, NOW);
    key_checked(&key, true, NOW + 100);
    assert_int_equal(key.cause, KEY_THROTTLED);
    assert_false(key_is_open(&key, NOW + 7999));
    assert_true(key_is_open(&key, NOW + 8000));
}

static void ten_forbidden_in_a_row_refuse_the_key(void **state)
{
    (void)state;
    struct key key = {0};
    for (int i = 1; i < KEY_FORBIDDEN_MAX; i++) {
        assert_true(fail_at(&key, ERR_FORBIDDEN, -1, NOW));
        key_checked(&key, true, NOW);
        assert_true(key_is_open(&key, NOW));
    }
    assert_false(fail_at(&key, ERR_FORBIDDEN, -1, NOW));
    assert_int_equal(key.cause, KEY_REFUSED);
    struct key other = {0};
    for (int i = 0; i < 2 * KEY_FORBIDDEN_MAX; i++) {
        fail_at(&other, ERR_FORBIDDEN, -1, NOW);
        key_checked(&other, true, NOW);
        key_succeeded(&other);
    }
    assert_int_equal(other.cause, KEY_FINE);
}

static void a_new_key_is_tried_at_once(void **state)
{
    (void)state;
    struct key key = {0};
    fail_at(&key, ERR_UNAUTHORIZED, -1, NOW);
    key_reopen(&key);
    assert_true(key_admit(&key, NOW));
    assert_false(key_admit(&key, NOW)); // the first one is the probe
    key_succeeded(&key);
    assert_true(key_admit(&key, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fine_key_lets_all_through),
        cmocka_unit_test(closes_as_long_as_told),
        cmocka_unit_test(one_probe_goes_first),
        cmocka_unit_test(throttles_in_a_row_wait_longer),
        cmocka_unit_test(throttles_at_once_count_as_one),
        cmocka_unit_test(late_answers_neither_open_nor_shorten),
        cmocka_unit_test(a_probe_that_fails_closes_again),
        cmocka_unit_test(forbidden_is_asked_about_once),
        cmocka_unit_test(a_key_that_proves_bad_is_refused),
        cmocka_unit_test(a_throttle_meanwhile_is_not_forgotten),
        cmocka_unit_test(ten_forbidden_in_a_row_refuse_the_key),
        cmocka_unit_test(a_new_key_is_tried_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
