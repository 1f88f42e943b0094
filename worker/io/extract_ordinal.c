// SPDX-License-Identifier: Apache-2.0
// Letters, roman numerals, ideographs.
#include "io/extract_ordinal.h"

#define ROMAN_MAX     3999
#define IDEOGRAPH_MAX 99

static void add_letters(struct buf *out, int number, char first)
{
    char digits[8];
    size_t len = 0;
    for (; number > 0 && len < sizeof(digits); number = (number - 1) / 26)
        digits[len++] = (char)(first + (number - 1) % 26);
    while (len > 0)
        buf_add_char(out, digits[--len]);
}

static void add_roman(struct buf *out, int number, bool capital)
{
    static const struct {
        int value;
        const char *small, *large;
    } parts[] = {{1000, "m", "M"}, {900, "cm", "CM"}, {500, "d", "D"}, {400, "cd", "CD"},
                 {100, "c", "C"},  {90, "xc", "XC"},  {50, "l", "L"},  {40, "xl", "XL"},
                 {10, "x", "X"},   {9, "ix", "IX"},   {5, "v", "V"},   {4, "iv", "IV"},
                 {1, "i", "I"}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        for (; number >= parts[i].value; number -= parts[i].value)
            buf_add_str(out, capital ? parts[i].large : parts[i].small);
}

static void add_ideographs(struct buf *out, int number)
{
    static const char *const digits[] = {"",
                                         "\xe4\xb8\x80",
                                         "\xe4\xba\x8c",
                                         "\xe4\xb8\x89",
                                         "\xe5\x9b\x9b",
                                         "\xe4\xba\x94",
                                         "\xe5\x85\xad",
                                         "\xe4\xb8\x83",
                                         "\xe5\x85\xab",
                                         "\xe4\xb9\x9d"};
    if (number >= 20)
        buf_add_str(out, digits[number / 10]);
    if (number >= 10)
        buf_add_str(out, "\xe5\x8d\x81");
    buf_add_str(out, digits[number % 10]);
}

void ordinal_add(struct buf *out, int number, enum ordinal style, bool capital)
{
    if (style == ORDINAL_LETTER && number > 0)
        add_letters(out, number, capital ? 'A' : 'a');
    else if (style == ORDINAL_ROMAN && number > 0 && number <= ROMAN_MAX)
        add_roman(out, number, capital);
    else if (style == ORDINAL_IDEOGRAPH && number > 0 && number <= IDEOGRAPH_MAX)
        add_ideographs(out, number);
    else
        buf_printf(out, "%d", number);
}
