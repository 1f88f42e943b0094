// SPDX-License-Identifier: Apache-2.0
// Money: exact decimals in and out, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>

#include "core/money.h"

#define REFUSED (-1)

static const struct {
    const char *text;
    int64_t picousd;
} parses[] = {
    {"0", 0},
    {"0.0", 0},
    {"0e99999999999999999999", 0},
    {"1", INT64_C(1000000000000)},
    {"0.05", INT64_C(50000000000)},
    {".5", INT64_C(500000000000)},
    {"5.", INT64_C(5000000000000)},
    {"1e-7", 100000},
    {"1E-12", 1},
    {"2.5e+1", INT64_C(25000000000000)},
    {"0.00025", INT64_C(250000000)},
    {"0.000000000001", 1},
    {"0.00000000000100000000000000000000000000000000", 1},
    {"00000000000000000000000000000000001.50", INT64_C(1500000000000)},
    {"9223372.036854775807", INT64_MAX},
    {"1000000000000000000000e-18", INT64_C(1000000000000000)},
    {"9223372.036854775808", REFUSED},
    {"9223373", REFUSED},
    {"0.0000000000001", REFUSED},
    {"1e-13", REFUSED},
    {"1.0000000000005", REFUSED},
    {"1e400", REFUSED},
    {"1e-99999999999999999999", REFUSED},
    {"12345678901234567890123", REFUSED},
    {"", REFUSED},
    {".", REFUSED},
    {"e5", REFUSED},
    {"1e", REFUSED},
    {"1e+", REFUSED},
    {"-1", REFUSED},
    {"-0", REFUSED},
    {"+1", REFUSED},
    {" 1", REFUSED},
    {"1 ", REFUSED},
    {"1,5", REFUSED},
    {"1.5.0", REFUSED},
    {"0x10", REFUSED},
    {"NaN", REFUSED},
    {"inf", REFUSED},
    {NULL, REFUSED},
};

static void reads_exact_decimals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
        int64_t picousd = 77;
        bool ok = money_parse_usd(parses[i].text, &picousd);
        if (ok != (parses[i].picousd != REFUSED) || (ok && picousd != parses[i].picousd))
            fail_msg("%s: %d, %lld", parses[i].text, ok, (long long)picousd);
        if (!ok)
            assert_int_equal(picousd, 77);
    }
}

static const struct {
    int64_t picousd;
    const char *text;
} formats[] = {
    {0, "0"},
    {1, "0.000000000001"},
    {INT64_C(3750000000), "0.00375"},
    {INT64_C(71875000000), "0.071875"},
    {INT64_C(1000000000000), "1"},
    {INT64_C(10500000000000), "10.5"},
    {INT64_C(-500000000000), "-0.5"},
    {INT64_MAX, "9223372.036854775807"},
    {INT64_MIN, "-9223372.036854775808"},
};

static void writes_the_shortest_exact_form(void **state)
{
    (void)state;
    char text[MONEY_TEXT_BYTES];
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
        assert_string_equal(money_format_usd(formats[i].picousd, text, sizeof(text)),
                            formats[i].text);
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    for (int64_t picousd = 1; picousd < INT64_MAX / 7; picousd = picousd * 7 - 3) {
        char text[MONEY_TEXT_BYTES];
        int64_t again = -1;
        assert_true(money_parse_usd(money_format_usd(picousd, text, sizeof(text)), &again));
        assert_int_equal(again, picousd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_exact_decimals),
        cmocka_unit_test(writes_the_shortest_exact_form),
        cmocka_unit_test(reads_what_it_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
