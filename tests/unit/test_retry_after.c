// SPDX-License-Identifier: Apache-2.0
// Waits that servers ask for, in all their forms, and the calendar behind HTTP dates.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "core/retry_after.h"

#define NOW INT64_C(784111777000) // Sun, 06 Nov 1994 08:49:37 GMT

static void waits(void **state)
{
    (void)state;
    static const struct {
        const char *retry_after, *ms_header;
        int64_t wait_ms;
    } rows[] = {
        {NULL, NULL, -1},
        {"", NULL, -1},
        {"2", NULL, 2000},
        {" 2 ", NULL, 2000},
        {"1.5", NULL, 1500},
        {"0.0001", NULL, 1},
        {"0.0000000000000001", NULL, 1},
        {".25", NULL, 250},
        {"0", NULL, -1},
        {"0.0", NULL, -1},
        {"-1", NULL, -1},
        {"+1", NULL, -1},
        {"soon", NULL, -1},
        {"2 seconds", NULL, -1},
        {"1e3", NULL, -1},
        {"0x10", NULL, -1},
        {"NaN", NULL, -1},
        {"900", NULL, RETRY_AFTER_MAX_MS},
        {"901", NULL, RETRY_AFTER_MAX_MS},
        {"1000000000", NULL, RETRY_AFTER_MAX_MS},
        {"99999999999999999999999999999999", NULL, RETRY_AFTER_MAX_MS},
        {"2", "420", 420},
        {"2", "0.5", 1},
        {"2", "0", 2000},
        {"2", "-1", 2000},
        {"2", "soon", 2000},
        {NULL, "420", 420},
        {"0", "420", 420},
        {NULL, "99999999999999999999", RETRY_AFTER_MAX_MS},
        {"Sun, 06 Nov 1994 08:49:47 GMT", NULL, 10000},
        {"Sunday, 06-Nov-94 08:49:47 GMT", NULL, 10000},
        {"Sun Nov  6 08:49:47 1994", NULL, 10000},
        {"Sun, 06 Nov 1994 08:49:37 GMT", NULL, -1},
        {"Sun, 06 Nov 1994 08:49:36 GMT", NULL, -1},
        {"Thu, 01 Jan 1970 00:00:00 GMT", NULL, -1},
        {"Fri, 31 Dec 9999 23:59:59 GMT", NULL, RETRY_AFTER_MAX_MS},
        {"20s", NULL, 20000},
        {"6m0s", NULL, 360000},
        {"24h", NULL, RETRY_AFTER_MAX_MS},
        {"0s", NULL, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t wait_ms = retry_after_ms(rows[i].retry_after, rows[i].ms_header, NOW);
        if (wait_ms != rows[i].wait_ms)
            fail_msg("row %zu: \"%s\": %lld", i, rows[i].retry_after ? rows[i].retry_after : "-",
                     (long long)wait_ms);
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"6ms", 6},
        {"1s", 1000},
        {"6m0s", 360000},
        {"1h2m3.5s", 3723500},
        {"12ms", 12},
        {"0", 0},
        {"0s", 0},
        {" 0 ", 0},
        {"1ns", 1},
        {"1500us", 2},
        {"1\xc2\xb5s", 1},
        {"1.0000001ms", 2},
        {"999999999999999999h", GO_DURATION_MAX_MS},
        {"9999999999h9999999999h", GO_DURATION_MAX_MS},
        {"1m1h", 3660000},
        {NULL, -1},
        {"", -1},
        {" ", -1},
        {"-1", -1},
        {"-1s", -1},
        {"1", -1},
        {"1.5", -1},
        {"s", -1},
        {"1d", -1},
        {"1s2", -1},
        {"1 s", -1},
        {"1m 1s", -1},
        {"1sec", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (go_duration_ms(rows[i].text) != rows[i].ms)
            fail_msg("\"%s\": %lld", rows[i].text ? rows[i].text : "-",
                     (long long)go_duration_ms(rows[i].text));
}

static void http_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_s; // INT64_MIN: refused
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
        {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
        {"Thu, 29 Feb 2024 00:00:00 GMT", 1709164800},
        {"Tue, 31 Dec 2030 23:59:60 GMT", 1924992000},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Saturday, 06-Nov-43 08:49:37 GMT", 2330412577}, // 49 years ahead of 1994
        {"Monday, 06-Nov-45 08:49:37 GMT", -762189023},   // 51 years ahead: 1945
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed Nov 16 08:49:37 1994", 784975777},
        {"Fri, 29 Feb 2019 00:00:00 GMT", INT64_MIN},
        {"Mon, 29 Feb 1900 00:00:00 GMT", INT64_MIN},
        {"Mon, 31 Apr 2026 00:00:00 GMT", INT64_MIN},
        {"Mon, 00 Apr 2026 00:00:00 GMT", INT64_MIN},
        {"Mon, 01 Apr 2026 24:00:00 GMT", INT64_MIN},
        {"Mon, 01 Apr 2026 23:60:00 GMT", INT64_MIN},
        {"Mon, 01 Apr 2026 23:00:00", INT64_MIN},
        {"Mon, 01 Apr 2026 23:00:00 CET", INT64_MIN},
        {"Mon, 01 Apr 2026 23:00:00 GMT+1", INT64_MIN},
        {"Mon, 1 Apr 2026 23:00:00 GMT", INT64_MIN},
        {"Mon, 01 apr 2026 23:00:00 GMT", INT64_MIN},
        {"Mon, 01-Apr-2026 23:00:00 GMT", INT64_MIN},
        {"Mon, 01 Apr 26 23:00:00 GMT", INT64_MIN},
        {"01 Apr 2026 23:00:00 GMT", INT64_MIN},
        {"Sun Nov 6 08:49:37 1994", INT64_MIN},
        {"Sun Nov  6 08:49:37 94", INT64_MIN},
        {"Sun", INT64_MIN},
        {"", INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t unix_ms = -77;
        bool ok = http_date_parse(rows[i].text, NOW, &unix_ms);
        if (ok != (rows[i].unix_s != INT64_MIN) || (ok && unix_ms != rows[i].unix_s * 1000))
            fail_msg("\"%s\": %d, %lld", rows[i].text, ok, (long long)unix_ms);
        if (!ok)
            assert_int_equal(unix_ms, -77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),
        cmocka_unit_test(durations),
        cmocka_unit_test(http_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
