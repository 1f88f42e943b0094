// SPDX-License-Identifier: Apache-2.0
// Escapes undone with a map back to the original.
#include "base/unescape.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

// What an escape stands for: up to four bytes of UTF-8, and its own length.
struct escape {
    char bytes[4];
    size_t count;
    size_t len;
};

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// `digits` hex digits, or -1.
static long hex_number(const char *at, const char *end, int digits)
{
    long number = 0;
    if (end - at < digits)
        return -1;
    for (int i = 0; i < digits; i++) {
        int digit = hex_digit((unsigned char)at[i]);
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static struct escape utf8_escape(long code, size_t len)
{
    if (code < 0x80)
        return (struct escape){{(char)code}, 1, len};
    if (code < 0x800)
        return (struct escape){{(char)(0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))}, 2, len};
    if (code < 0x10000)
        return (struct escape){{(char)(0xe0 | code >> 12), (char)(0x80 | (code >> 6 & 0x3f)),
                                (char)(0x80 | (code & 0x3f))},
                               3,
                               len};
    return (struct escape){{(char)(0xf0 | code >> 18), (char)(0x80 | (code >> 12 & 0x3f)),
                            (char)(0x80 | (code >> 6 & 0x3f)), (char)(0x80 | (code & 0x3f))},
                           4,
                           len};
}

static struct escape unicode_escape(const char *at, const char *end)
{
    long code = hex_number(at + 2, end, 4);
    if (code < 0)
        return (struct escape){.count = 0};
    bool high = code >= 0xd800 && code < 0xdc00;
    if (high && end - at >= 12 && at[6] == '\\' && at[7] == 'u') {
        long low = hex_number(at + 8, end, 4);
        if (low >= 0xdc00 && low < 0xe000)
            return utf8_escape(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00), 12);
    }
    return utf8_escape(code, 6);
}

static struct escape backslash_escape(const char *at, const char *end)
{
    static const char letters[] = "nrtbf\"'/\\";
    static const char meanings[] = "\n\r\t\b\f\"'/\\";
    if (end - at < 2)
        return (struct escape){.count = 0};
    if (at[1] == 'u')
        return unicode_escape(at, end);
    if (at[1] == 'x') {
        long byte = hex_number(at + 2, end, 2);
        return (struct escape){{(char)byte}, byte >= 0, 4};
    }
    const char *letter = memchr(letters, at[1], sizeof(letters) - 1);
    if (!letter)
        return (struct escape){.count = 0};
    return (struct escape){{meanings[letter - letters]}, 1, 2};
}

static struct escape read_escape(const char *at, const char *end)
{
    if (*at == '\\')
        return backslash_escape(at, end);
    long byte = *at == '%' ? hex_number(at + 1, end, 2) : -1;
    return (struct escape){{(char)byte}, byte >= 0, 3};
}

static bool has_escape(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((text[i] == '%' || text[i] == '\\') && read_escape(text + i, text + len).count)
            return true;
    return false;
}

static void put(struct unescaped *out, char byte, uint32_t from, uint32_t to)
{
    out->bytes[out->len] = byte;
    out->from[out->len] = from;
    out->to[out->len++] = to;
}

bool unescape(const char *text, size_t len, const struct unescaped *in, struct unescaped *out)
{
    if (!has_escape(text, len))
        return false;
    *out = (struct unescaped){.bytes = own_array(len, 1),
                              .from = own_array(len, sizeof(*out->from)),
                              .to = own_array(len, sizeof(*out->to))};
    for (size_t i = 0; i < len;) {
        struct escape escape = read_escape(text + i, text + len);
        if (!escape.count)
            escape = (struct escape){{text[i]}, 1, 1};
        size_t last = i + escape.len - 1;
        for (size_t k = 0; k < escape.count; k++)
            put(out, escape.bytes[k], in ? in->from[i] : (uint32_t)i,
                in ? in->to[last] : (uint32_t)(last + 1));
        i += escape.len;
    }
    return true;
}

void unescaped_deinit(struct unescaped *text)
{
    free(text->bytes);
    free(text->from);
    free(text->to);
    *text = (struct unescaped){.bytes = NULL};
}
