// SPDX-License-Identifier: Apache-2.0
// Decimal dollars to exact integers and back.
#include "core/money.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define DECIMALS 12
// Exponents past this have no exact int64 either way, and clamping keeps the arithmetic small.
#define MOST_EXPONENT 9999

// A decimal number as mantissa · 10^exponent, without trailing zeros in the mantissa.
struct decimal {
    int64_t mantissa;
    int64_t exponent;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Takes one digit. Zeros are only counted, until a digit behind them needs them: so "0.500000…"
// and "1000000…" don't fill the mantissa. False: more digits than an int64 of them is exact.
static bool take_digit(struct decimal *number, char c)
{
    if (c == '0') {
        number->exponent++;
        return true;
    }
    for (; number->mantissa != 0 && number->exponent > 0; number->exponent--)
        if (__builtin_mul_overflow(number->mantissa, 10, &number->mantissa))
            return false;
    number->exponent = 0;
    return !__builtin_mul_overflow(number->mantissa, 10, &number->mantissa) &&
           !__builtin_add_overflow(number->mantissa, c - '0', &number->mantissa);
}

static bool read_exponent(const char **cursor, int64_t *out)
{
    const char *at = *cursor;
    bool negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    if (!is_digit(*at))
        return false;
    int64_t value = 0;
    for (; is_digit(*at); at++)
        if (value < MOST_EXPONENT)
            value = value * 10 + (*at - '0');
    *cursor = at;
    *out = negative ? -value : value;
    return true;
}

static bool read_decimal(const char *at, struct decimal *out)
{
    struct decimal number = {0};
    int64_t fraction_digits = 0, exponent = 0, digits = 0;
    for (; is_digit(*at); at++, digits++)
        if (!take_digit(&number, *at))
            return false;
    if (*at == '.')
        for (at++; is_digit(*at); at++, digits++, fraction_digits++)
            if (!take_digit(&number, *at))
                return false;
    if (digits == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        if (!read_exponent(&at, &exponent))
            return false;
    }
    if (*at != '\0')
        return false;
    number.exponent += exponent - fraction_digits;
    *out = number;
    return true;
}

bool money_parse_usd(const char *decimal, int64_t *out_picousd)
{
    struct decimal number;
    if (!decimal || !read_decimal(decimal, &number))
        return false;
    int64_t value = number.mantissa;
    int64_t exponent = number.exponent + DECIMALS;
    if (value != 0 && exponent < 0)
        return false;
    for (; value != 0 && exponent > 0; exponent--)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    *out_picousd = value;
    return true;
}

char *money_format_usd(int64_t picousd, char *out, size_t out_bytes)
{
    CHECK(out_bytes >= MONEY_TEXT_BYTES);
    const char *sign = picousd < 0 ? "-" : "";
    uint64_t amount = picousd < 0 ? -(uint64_t)picousd : (uint64_t)picousd;
    uint64_t whole = amount / (uint64_t)PICOUSD_PER_USD;
    uint64_t rest = amount % (uint64_t)PICOUSD_PER_USD;
    if (rest == 0) {
        snprintf(out, out_bytes, "%s%llu", sign, (unsigned long long)whole);
        return out;
    }
    int len = snprintf(out, out_bytes, "%s%llu.%012llu", sign, (unsigned long long)whole,
                       (unsigned long long)rest);
    while (out[len - 1] == '0')
        out[--len] = '\0';
    return out;
}
