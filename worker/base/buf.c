// SPDX-License-Identifier: Apache-2.0
// The capped byte buffer.
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

void buf_init(struct buf *buf, size_t cap)
{
    *buf = (struct buf){.cap = cap};
}

void buf_deinit(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->cap);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->data)
        buf->data[0] = '\0';
}

// Room for `more` bytes and the NUL; false where the cap forbids it.
static bool buf_reserve(struct buf *buf, size_t more)
{
    CHECK(more < SIZE_MAX / 4 && buf->len < SIZE_MAX / 4);
    size_t need = buf->len + more;
    if (buf->cap && need > buf->cap) {
        buf->overflow = true;
        return false;
    }
    if (need + 1 <= buf->room)
        return true;
    size_t room = buf->room ? buf->room : 64;
    while (room < need + 1)
        room *= 2;
    buf->data = own_grow(buf->data, room, 1);
    buf->room = room;
    return true;
}

bool buf_add(struct buf *buf, const void *data, size_t len)
{
    if (!buf_reserve(buf, len))
        return false;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_add_str(struct buf *buf, const char *text)
{
    return buf_add(buf, text, strlen(text));
}

bool buf_add_char(struct buf *buf, char c)
{
    return buf_add(buf, &c, 1);
}

bool buf_add_int(struct buf *buf, int64_t number)
{
    char digits[20], *at = digits + sizeof(digits);
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--at = '-';
    return buf_add(buf, at, (size_t)(digits + sizeof(digits) - at));
}

bool buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t spare = buf->data ? buf->room - buf->len : 0;
    char *end = spare ? buf->data + buf->len : NULL;
    int len = vsnprintf(end, spare, format, args); // mostly it fits at once
    bool ok = len >= 0 && buf_reserve(buf, (size_t)len);
    if (ok && (size_t)len >= spare)
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
    if (ok)
        buf->len += (size_t)len;
    else if (end)
        *end = '\0';
    va_end(again);
    return ok;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool ok = buf_vprintf(buf, format, args);
    va_end(args);
    return ok;
}

void buf_consume(struct buf *buf, size_t len)
{
    CHECK(len <= buf->len);
    if (len == 0)
        return;
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
    buf->data[buf->len] = '\0';
}

const char *buf_str(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

char *buf_take(struct buf *buf)
{
    char *text = buf->data ? buf->data : own_strdup("");
    buf->data = NULL;
    buf_deinit(buf);
    return text;
}
