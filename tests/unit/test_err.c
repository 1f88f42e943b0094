// SPDX-License-Identifier: Apache-2.0
// The error table: what users see is there for every row, and codes are found again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/err.h"

static bool has_status(enum err_code code)
{
    return strcmp(err_code_text(code), "http_*") == 0;
}

static void every_row_is_whole(void **state)
{
    (void)state;
    for (enum err_code code = ERR_NONE + 1; code < ERR_COUNT; code++) {
        assert_true(strlen(err_code_text(code)) > 0);
        assert_true(strlen(err_code_text(code)) < 40);
        assert_true(strlen(err_suggestion(code)) > 10);
        assert_int_not_equal(err_class(code), ERR_CLASS_NONE);
        for (enum err_code other = ERR_NONE; other < code; other++)
            if (!has_status(code) && strcmp(err_code_text(code), err_code_text(other)) == 0)
                fail_msg("%s is there twice", err_code_text(code));
    }
    assert_int_equal(err_class(ERR_NONE), ERR_CLASS_NONE);
}

static void codes_are_found_again(void **state)
{
    (void)state;
    for (enum err_code code = ERR_NONE; code < ERR_COUNT; code++)
        if (!has_status(code))
            assert_int_equal(err_from_text(err_code_text(code)), code);
    static const struct {
        const char *text;
        enum err_code code;
    } rows[] = {
        {"http_408", ERR_HTTP_TRANSIENT},
        {"http_409", ERR_HTTP_TRANSIENT},
        {"http_412", ERR_HTTP_TRANSIENT},
        {"http_425", ERR_HTTP_TRANSIENT},
        {"http_500", ERR_HTTP_TRANSIENT},
        {"http_503", ERR_HTTP_TRANSIENT},
        {"http_529", ERR_HTTP_TRANSIENT},
        {"http_400", ERR_HTTP_FATAL},
        {"http_404", ERR_HTTP_FATAL},
        {"http_422", ERR_HTTP_FATAL},
        {"http_401", ERR_UNAUTHORIZED},
        {"http_402", ERR_PAYMENT_REQUIRED},
        {"http_413", ERR_PAYLOAD_TOO_LARGE},
        {"no such code", ERR_NONE},
        {"", ERR_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (err_from_text(rows[i].text) != rows[i].code)
            fail_msg("%s: %s", rows[i].text, err_code_text(err_from_text(rows[i].text)));
}

static void codes_carry_their_status(void **state)
{
    (void)state;
    char text[40];
    struct failure failure;
    failure_set(&failure, ERR_HTTP_TRANSIENT, "busy");
    failure.http_status = 503;
    assert_string_equal(failure_code(&failure, text, sizeof(text)), "http_503");
    assert_int_equal(err_class(err_from_text(text)), ERR_CLASS_TRANSIENT);
    failure_set(&failure, ERR_TIMEOUT_IDLE, "%s", "");
    assert_string_equal(failure_code(&failure, text, sizeof(text)), "timeout_idle");
}

static void a_failure_begins_with_nothing_said(void **state)
{
    (void)state;
    struct failure failure;
    memset(&failure, 0x5a, sizeof(failure));
    failure_set(&failure, ERR_CONTEXT_LENGTH, "%d tokens of %s", 9000, "8192");
    assert_int_equal(failure.code, ERR_CONTEXT_LENGTH);
    assert_string_equal(failure.detail, "9000 tokens of 8192");
    assert_int_equal(failure.retry_after_ms, -1);
    assert_int_equal(failure.http_status, 0);
    assert_false(failure.doubtful || failure.say_retry || failure.say_no_retry);
    assert_string_equal(failure_suggestion(&failure), err_suggestion(ERR_CONTEXT_LENGTH));
    strncpy(failure.suggestion, "Ask for less.", sizeof(failure.suggestion) - 1);
    assert_string_equal(failure_suggestion(&failure), "Ask for less.");
}

static void long_details_are_cut(void **state)
{
    (void)state;
    char detail[3000];
    memset(detail, 'x', sizeof(detail) - 1);
    detail[sizeof(detail) - 1] = '\0';
    struct failure failure;
    failure_set(&failure, ERR_BAD_MESSAGE, "%s", detail);
    assert_int_equal(strlen(failure.detail), FAILURE_DETAIL_BYTES - 1);
}

static void classes_have_names(void **state)
{
    (void)state;
    assert_string_equal(err_class_name(ERR_CLASS_NONE), "none");
    assert_string_equal(err_class_name(ERR_CLASS_THROTTLED), "throttled");
    assert_string_equal(err_class_name(ERR_CLASS_BAD_OUTPUT), "bad_output");
    assert_string_equal(err_class_name(ERR_CLASS_CANCELLED), "cancelled");
    assert_string_equal(err_class_name(ERR_CLASS_INPUT), "input");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_whole),
        cmocka_unit_test(codes_are_found_again),
        cmocka_unit_test(codes_carry_their_status),
        cmocka_unit_test(a_failure_begins_with_nothing_said),
        cmocka_unit_test(long_details_are_cut),
        cmocka_unit_test(classes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
