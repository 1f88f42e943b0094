// SPDX-License-Identifier: Apache-2.0
// When a server that only fails is left alone, and for how long.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/breaker.h"

#define NOW 1000000

static void only_the_servers_own_failures_count(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        bool counts;
    } rows[] = {
        {ERR_HTTP_TRANSIENT, true},     {ERR_CONNECT_FAILED, true},
        {ERR_TIMEOUT_FIRST_BYTE, true}, {ERR_CONNECTION_LOST, true},
        {ERR_ANSWER_CUT, true},         {ERR_RATE_LIMITED, false},
        {ERR_UNAUTHORIZED, false},      {ERR_PAYMENT_REQUIRED, false},
        {ERR_NOT_JSON, false},          {ERR_HTTP_FATAL, false},
        {ERR_CANCELLED, false},         {ERR_EXTRACTOR_LOST, false},
        {ERR_CONTEXT_LENGTH, false},    {ERR_NONE, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct failure failure;
        failure_set(&failure, rows[i].code, "x");
        assert_int_equal(breaker_counts(&failure), rows[i].counts);
    }
}

static int64_t fail_row(struct breaker *breaker, int64_t begun_ms, int64_t now_ms)
{
    for (int i = 1; i < BREAKER_ROW; i++)
        assert_int_equal(breaker_failed(breaker, begun_ms, false, now_ms), 0);
    return breaker_failed(breaker, begun_ms, false, now_ms);
}

static void it_opens_after_a_row_of_failures(void **state)
{
    (void)state;
    struct breaker breaker = {0};
    assert_int_equal(fail_row(&breaker, NOW - 10, NOW), BREAKER_FIRST_MS);
    for (int i = 0; i < 3 * BREAKER_ROW; i++) // they were under way: nothing new
        assert_int_equal(breaker_failed(&breaker, NOW - 10, false, NOW + 5), 0);
}

static void one_success_begins_the_count_again(void **state)
{
    (void)state;
    struct breaker breaker = {0};
    for (int round = 0; round < 5; round++) {
        for (int i = 1; i < BREAKER_ROW; i++)
            assert_int_equal(breaker_failed(&breaker, NOW, false, NOW), 0);
        breaker_succeeded(&breaker);
    }
}

static void each_probe_that_fails_doubles_the_wait(void **state)
{
    (void)state;
    struct breaker breaker = {0};
    int64_t now_ms = NOW, wait_ms = fail_row(&breaker, NOW, NOW);
    static const int64_t expected[] = {2000, 4000, 8000, 16000, 30000, 30000};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        now_ms += wait_ms;
        wait_ms = breaker_failed(&breaker, now_ms, true, now_ms);
        assert_int_equal(wait_ms, expected[i]);
    }
    breaker_succeeded(&breaker);
    assert_int_equal(fail_row(&breaker, now_ms, now_ms), BREAKER_FIRST_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_servers_own_failures_count),
        cmocka_unit_test(it_opens_after_a_row_of_failures),
        cmocka_unit_test(one_success_begins_the_count_again),
        cmocka_unit_test(each_probe_that_fails_doubles_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
