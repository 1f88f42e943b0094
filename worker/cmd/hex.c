// SPDX-License-Identifier: Apache-2.0
// Reads hexadecimal text.
#include "cmd/hex.h"

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_read(struct buf *out, const char *text)
{
    if (text[0] == '\\' && text[1] == 'x')
        text += 2;
    for (; text[0]; text += 2) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return false;
        buf_add_char(out, (char)(high * 16 + low));
    }
    return true;
}
