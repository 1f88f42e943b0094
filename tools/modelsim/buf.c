// SPDX-License-Identifier: Apache-2.0
// Growing bytes, and text escaped for JSON.
#include "buf.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_realloc(void *old, size_t bytes)
{
    void *grown = realloc(old, bytes);
    if (!grown) {
        fputs("modelsim: out of memory\n", stderr);
        abort();
    }
    return grown;
}

void *must_alloc(size_t bytes)
{
    return memset(must_realloc(NULL, bytes), 0, bytes);
}

char *must_copy(const char *bytes, size_t len)
{
    char *copy = must_realloc(NULL, len + 1);
    memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

char *buf_reserve(struct buf *buf, size_t more)
{
    size_t need = buf->len + more + 1;
    if (need > buf->cap) {
        size_t cap = buf->cap ? buf->cap * 2 : 512;
        buf->cap = cap < need ? need : cap;
        buf->data = must_realloc(buf->data, buf->cap);
    }
    return buf->data + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t len)
{
    char *at = buf_reserve(buf, len);
    if (len > 0)
        memcpy(at, bytes, len);
    at[len] = '\0';
    buf->len += len;
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_add_number(struct buf *buf, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    buf_add(buf, digits + at, sizeof digits - at);
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len > 0) {
        char *at = buf_reserve(buf, (size_t)len);
        vsnprintf(at, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    va_end(args);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0xED;
}

// One byte that needs care, or a whole lone surrogate. Returns how many bytes it took.
static size_t add_escaped(struct buf *buf, const unsigned char *at, size_t left)
{
    static const char shorts[] = "btn\0fr";
    unsigned char c = at[0];
    if (c == 0xED) {
        if (left < 3 || at[1] < 0xA0) {
            buf_add(buf, at, 1);
            return 1;
        }
        buf_add_format(buf, "\\ud%x%02x", 8U | ((at[1] & 0x1CU) >> 2),
                       ((at[1] & 0x03U) << 6) | (at[2] & 0x3FU));
        return 3;
    }
    if (c == '"' || c == '\\')
        buf_add(buf, (char[]){'\\', (char)c}, 2);
    else if (c >= 8 && c <= 13 && c != 11)
        buf_add(buf, (char[]){'\\', shorts[c - 8]}, 2);
    else
        buf_add_format(buf, "\\u%04x", c);
    return 1;
}

void buf_add_json(struct buf *buf, const char *bytes, size_t len)
{
    const unsigned char *at = (const unsigned char *)bytes;
    const unsigned char *end = at + len;
    buf_reserve(buf, len + 16);
    while (at < end) {
        const unsigned char *plain = at;
        while (plain < end && is_plain(*plain))
            plain++;
        buf_add(buf, at, (size_t)(plain - at));
        at = plain;
        if (at < end)
            at += add_escaped(buf, at, (size_t)(end - at));
    }
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}
