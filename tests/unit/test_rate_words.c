// SPDX-License-Identifier: Apache-2.0
// Rate headers, and all that is not one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rate_words.h"

static void headers_of_both_kinds_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        enum quota_dimension dimension;
        bool limit;
        int64_t number;
    } rows[] = {
        {"x-ratelimit-limit-requests", "1200", QUOTA_REQUESTS, true, 1200},
        {"X-RateLimit-Remaining-Requests", "0", QUOTA_REQUESTS, false, 0},
        {"x-ratelimit-limit-tokens", " 400000 ", QUOTA_TOKENS, true, 400000},
        {"x-ratelimit-remaining-tokens", "399000", QUOTA_TOKENS, false, 399000},
        {"anthropic-ratelimit-input-tokens-limit", "50000", QUOTA_INPUT, true, 50000},
        {"anthropic-ratelimit-output-tokens-remaining", "7", QUOTA_OUTPUT, false, 7},
        {"anthropic-ratelimit-tokens-limit", "9", QUOTA_TOKENS, true, 9},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rate_words words;
        rate_words_init(&words);
        assert_true(rate_words_header(&words, rows[i].name, rows[i].value));
        for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
            bool here = d == (int)rows[i].dimension;
            assert_int_equal(words.limit[d], here && rows[i].limit ? rows[i].number : -1);
            assert_int_equal(words.left[d], here && !rows[i].limit ? rows[i].number : -1);
        }
        assert_true(words.any);
    }
}

static void what_makes_no_sense_says_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"x-ratelimit-limit-requests", ""},
        {"x-ratelimit-limit-requests", "-1"},
        {"x-ratelimit-limit-requests", "6m0s"},
        {"x-ratelimit-limit-requests", "12.5"},
        {"x-ratelimit-limit-requests", "1e9"},
        {"x-ratelimit-limit-requests", "10, 20"},
        {"x-ratelimit-limit-tokens", "99999999999999999999999"},
        {"x-ratelimit-reset-requests", "12"},
        {"x-ratelimit-reset-requests", "-1s"},
        {"x-ratelimit-reset-images", "1s"},
        {"anthropic-ratelimit-tokens-reset", "1s"},
        {"anthropic-ratelimit-tokens-reset", "yesterday"},
        {"x-ratelimit-limit-", "12"},
        {"x-ratelimit-limit-images", "12"},
        {"x-ratelimit-limit", "12"},
        {"anthropic-ratelimit-tokens-reset", "1"},
        {"anthropic-ratelimit--limit", "1"},
        {"anthropic-ratelimit-limit", "1"},
        {"", "1"},
        {"content-type", "1"},
    };
    struct rate_words words;
    rate_words_init(&words);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_false(rate_words_header(&words, rows[i].name, rows[i].value));
    assert_false(words.any);
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        assert_true(words.limit[d] == -1 && words.left[d] == -1 && words.reset_ms[d] == -1 &&
                    words.reset_unix_ms[d] == -1);
}

static void resets_are_durations_or_times(void **state)
{
    (void)state;
    struct rate_words words;
    rate_words_init(&words);
    assert_true(rate_words_header(&words, "x-ratelimit-reset-requests", "1m0.5s"));
    assert_true(
        rate_words_header(&words, "Anthropic-Ratelimit-Tokens-Reset", "1970-01-01T00:00:07Z"));
    assert_false(words.any); // without what is left they say nothing
    assert_int_equal(words.reset_ms[QUOTA_REQUESTS], 60500);
    assert_int_equal(words.reset_unix_ms[QUOTA_TOKENS], 7000);
    assert_int_equal(words.reset_unix_ms[QUOTA_REQUESTS], -1);
    assert_int_equal(words.reset_ms[QUOTA_TOKENS], -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_both_kinds_are_read),
        cmocka_unit_test(what_makes_no_sense_says_nothing),
        cmocka_unit_test(resets_are_durations_or_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
