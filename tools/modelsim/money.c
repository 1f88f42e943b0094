// SPDX-License-Identifier: Apache-2.0
// Decimal text to integers, tokens to money, money to decimal text.
#include "money.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool add_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10U, value) &&
           !__builtin_add_overflow(*value, digit, value);
}

bool decimal_parse(const char *text, unsigned places, uint64_t *out_value)
{
    uint64_t value = 0;
    unsigned seen = 0;
    unsigned after = 0;
    bool point = false;
    for (; *text; text++) {
        if (*text == '.' && !point) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9' || (point && after == places))
            return false;
        if (!add_digit(&value, (unsigned)(*text - '0')))
            return false;
        seen++;
        after += point;
    }
    for (; after < places; after++)
        if (!add_digit(&value, 0))
            return false;
    if (seen == 0)
        return false;
    *out_value = value;
    return true;
}

bool money_parse_per_1k(const char *text, uint64_t *out_picousd)
{
    return decimal_parse(text, 9, out_picousd); // 1e12 for a dollar, shared by 1e3 tokens
}

static void add_product(uint64_t *sum, uint64_t tokens, uint64_t picousd)
{
    uint64_t product;
    if (__builtin_mul_overflow(tokens, picousd, &product) ||
        __builtin_add_overflow(*sum, product, sum)) {
        fputs("modelsim: a call's cost does not fit\n", stderr);
        abort();
    }
}

uint64_t money_of_call(const struct price *price, const struct usage *usage)
{
    uint64_t sum = 0;
    add_product(&sum, usage->prompt_tokens - usage->cached_tokens, price->input_picousd);
    add_product(&sum, usage->cached_tokens, price->cached_picousd);
    add_product(&sum, usage->visible_tokens + usage->reasoning_tokens, price->output_picousd);
    return sum;
}

void money_format(uint64_t picousd, char out[MONEY_TEXT_BYTES])
{
    const uint64_t dollar = 1000000000000U;
    int len = snprintf(out, MONEY_TEXT_BYTES, "%" PRIu64 ".%012" PRIu64, picousd / dollar,
                       picousd % dollar);
    while (len > 0 && out[len - 1] == '0')
        out[--len] = '\0';
    if (len > 0 && out[len - 1] == '.')
        out[len - 1] = '\0';
}
