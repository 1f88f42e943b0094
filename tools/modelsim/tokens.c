// SPDX-License-Identifier: Apache-2.0
// Weighs each byte by a table; continuation bytes weigh nothing.
#include "tokens.h"

static unsigned weight(unsigned char c)
{
    if (c >= 0x80)
        return c < 0xC0 ? 0 : c < 0xE0 ? 2 : 4;
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ')
        return 1;
    return 2;
}

uint64_t tokens_quarters(const char *text, size_t len)
{
    unsigned char table[256];
    for (unsigned c = 0; c < 256; c++)
        table[c] = (unsigned char)weight((unsigned char)c);
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += table[(unsigned char)text[i]];
    return sum;
}

uint64_t tokens_from_quarters(uint64_t quarters, uint64_t factor_milli)
{
    return (quarters * factor_milli + 3999) / 4000;
}

size_t tokens_prefix(const char *text, size_t len, uint64_t factor_milli, uint64_t limit)
{
    uint64_t quarters = 0;
    for (size_t i = 0; i < len; i++) {
        quarters += weight((unsigned char)text[i]);
        if (tokens_from_quarters(quarters, factor_milli) > limit)
            return i;
    }
    return len;
}
