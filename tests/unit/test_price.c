// SPDX-License-Identifier: Apache-2.0
// Prices and costs: the three golden sums, and usages that providers should not send.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "core/money.h"
#include "core/price.h"

static struct price price_of(const char *input, const char *cached, const char *output)
{
    struct price price = {.known = true};
    assert_true(price_per_token(input, 1000, &price.input_picousd));
    assert_true(price_per_token(cached, 1000, &price.cached_picousd));
    assert_true(price_per_token(output, 1000, &price.output_picousd));
    return price;
}

static void golden_sums(void **state)
{
    (void)state;
    static const struct {
        const char *input, *output, *usd;
    } rows[] = {
        {"0.00025", "0.001", "0.00375"},   // Grok 4.3
        {"0.005", "0.015", "0.071875"},    // Claude Opus 4.8
        {"0.00035", "0.0012", "0.005125"}, // Gemini 3.5 Flash
    };
    const struct usage usage = {.known = true, .input_tokens = 12500, .output_tokens = 625};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct price price = price_of(rows[i].input, rows[i].input, rows[i].output);
        int64_t picousd = -1;
        char text[MONEY_TEXT_BYTES];
        assert_true(price_of_usage(&price, &usage, &picousd));
        assert_string_equal(money_format_usd(picousd, text, sizeof(text)), rows[i].usd);
    }
}

static void reads_prices_per_token(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t per_tokens, picousd; // -1: refused
    } rows[] = {
        {"0.00025", 1000, 250000},  {"0.25", 1000000, 250000},
        {"0.000001", 1000000, 1},   {"0", 1000, 0},
        {"0.0000001", 1000000, -1}, {"0.000000000001", 1000, -1},
        {"-0.1", 1000, -1},         {"free", 1000, -1},
        {"1e9", 1000, -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t picousd = -1;
        bool ok = price_per_token(rows[i].text, rows[i].per_tokens, &picousd);
        if (ok != (rows[i].picousd >= 0) || picousd != rows[i].picousd)
            fail_msg("%s per %lld: %lld", rows[i].text, (long long)rows[i].per_tokens,
                     (long long)picousd);
    }
}

static void bounds_odd_usages(void **state)
{
    (void)state;
    static const struct {
        struct usage usage;
        int64_t picousd;
    } rows[] = {
        {{.input_tokens = 10, .cached_tokens = 4, .output_tokens = 2}, 6 * 100 + 4 * 10 + 2 * 1000},
        {{.input_tokens = 10, .cached_tokens = 99, .output_tokens = 0}, 10 * 10},
        {{.input_tokens = 10, .cached_tokens = -5, .output_tokens = 0}, 10 * 100},
        {{.input_tokens = -3, .cached_tokens = 5, .output_tokens = -1}, 0},
        {{.output_tokens = 3, .reasoning_tokens = 500}, 3 * 1000},
        {{.known = false, .input_tokens = 1}, 100},
        {{.input_tokens = INT64_MIN, .output_tokens = INT64_MIN}, 0},
    };
    const struct price price = {
        .known = true, .input_picousd = 100, .cached_picousd = 10, .output_picousd = 1000};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t picousd = -1;
        assert_true(price_of_usage(&price, &rows[i].usage, &picousd));
        assert_int_equal(picousd, rows[i].picousd);
    }
}

static void bounded_usage_keeps_its_order(void **state)
{
    (void)state;
    const struct usage odd = {.known = true,
                              .input_tokens = 5,
                              .cached_tokens = 6,
                              .output_tokens = 7,
                              .reasoning_tokens = 8};
    struct usage bounded = usage_bounded(&odd);
    assert_true(bounded.known);
    assert_int_equal(bounded.input_tokens, 5);
    assert_int_equal(bounded.cached_tokens, 5);
    assert_int_equal(bounded.output_tokens, 7);
    assert_int_equal(bounded.reasoning_tokens, 7);
}

static void refuses_overflow_and_unknown_prices(void **state)
{
    (void)state;
    const struct usage usage = {.input_tokens = INT64_MAX, .output_tokens = 1};
    const struct usage both = {.input_tokens = INT64_MAX / 2, .output_tokens = INT64_MAX / 2 + 2};
    const struct price dear = {.known = true, .input_picousd = 2};
    const struct price one = {.known = true, .input_picousd = 1, .output_picousd = 1};
    const struct price unknown = {.known = false, .input_picousd = 1};
    const struct price free_of_charge = {.known = true, .free = true, .input_picousd = 2};
    int64_t picousd = 77;
    assert_false(price_of_usage(&dear, &usage, &picousd));
    assert_false(price_of_usage(&one, &both, &picousd));
    assert_false(price_of_usage(&unknown, &usage, &picousd));
    assert_int_equal(picousd, 77);
    assert_true(price_of_usage(&free_of_charge, &usage, &picousd));
    assert_int_equal(picousd, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_sums),
        cmocka_unit_test(reads_prices_per_token),
        cmocka_unit_test(bounds_odd_usages),
        cmocka_unit_test(bounded_usage_keeps_its_order),
        cmocka_unit_test(refuses_overflow_and_unknown_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
