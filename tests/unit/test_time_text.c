// SPDX-License-Identifier: Apache-2.0
// RFC 3339 times. The expected numbers come from GNU date.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/time_text.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2026-11-22T07:00:00Z", 1795330800000},
        {"2026-11-22t08:30:00.25+01:30", 1795330800250},
        {"2026-11-22T06:59:59.9999-00:00", 1795330799999},
        {"2000-02-29T12:00:00Z", 951825600000},
        {"2024-02-29T00:00:00z", 1709164800000},
        {"1900-03-01T00:00:00Z", -2203891200000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"9999-12-31T23:59:59Z", 253402300799000},
        {"0001-01-01T00:00:00Z", -62135596800000},
        {"2026-11-21T23:00:00-08:00", 1795330800000},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms = 12345;
        assert_true(time_text_parse(rows[i].text, &ms));
        assert_int_equal(ms, rows[i].ms);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "tomorrow",
        "2026-11-22",
        "2026-11-22T07:00Z",
        "2026-11-22T07:00:00",
        "2026-11-22 07:00:00Z",
        "2026-11-22T07:00:00.Z",
        "2026-11-22T07:00:00ZZ",
        "2026-11-22T07:00:00+1:00",
        "2026-11-22T07:00:00+0100",
        "2026-11-22T07:00:00+24:00",
        "2026-11-22T07:00:00+01:60",
        "2026-11-22T24:00:00Z",
        "2026-11-22T07:60:00Z",
        "2026-11-22T07:00:61Z",
        "2026-02-29T07:00:00Z",
        "1900-02-29T07:00:00Z",
        "2026-04-31T07:00:00Z",
        "2026-13-01T07:00:00Z",
        "2026-00-01T07:00:00Z",
        "2026-01-00T07:00:00Z",
        "0000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "12026-11-22T07:00:00Z",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms = 12345;
        assert_false(time_text_parse(rows[i], &ms));
        assert_int_equal(ms, 12345);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1795330800007, "2026-11-22T07:00:00.007Z"},
        {951825600000, "2000-02-29T12:00:00Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {INT64_MIN, "0001-01-01T00:00:00Z"},
    };
    char text[TIME_TEXT_BYTES];
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_string_equal(time_text_format(rows[i].ms, text), rows[i].text);
}

// Every day of 4,000 years comes back, and each is one day after the one before.
static void test_round_trip(void **state)
{
    (void)state;
    char text[TIME_TEXT_BYTES];
    const int64_t day_ms = 86400000;
    for (int64_t day = -719162; day < 741837; day++) {
        int64_t ms = -1, expected = day * day_ms + 43200001;
        assert_true(time_text_parse(time_text_format(expected, text), &ms));
        assert_int_equal(ms, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
