// SPDX-License-Identifier: Apache-2.0
// JSON strings, written in runs of bytes that need no escape.
#include "core/json_write.h"

#include <string.h>

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && c != 0xe2;
}

static const char *short_escape(unsigned char c)
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

// Writes what begins at `text`, whose first byte is not plain; the bytes used.
static size_t write_special(struct buf *out, const char *text, size_t len)
{
    unsigned char c = (unsigned char)*text;
    const char *escape = short_escape(c);
    if (escape) {
        buf_add(out, escape, 2);
        return 1;
    }
    if (c == 0xe2) {
        bool separator = len >= 3 && text[1] == '\x80' && (text[2] == '\xa8' || text[2] == '\xa9');
        if (!separator) {
            buf_add_char(out, (char)c);
            return 1;
        }
        buf_add_str(out, text[2] == '\xa8' ? "\\u2028" : "\\u2029");
        return 3;
    }
    buf_printf(out, "\\u%04x", c);
    return 1;
}

bool json_write_string(struct buf *out, const char *text, size_t len)
{
    buf_add_char(out, '"');
    size_t at = 0;
    while (at < len) {
        size_t run = at;
        while (run < len && is_plain((unsigned char)text[run]))
            run++;
        buf_add(out, text + at, run - at);
        at = run;
        if (at < len)
            at += write_special(out, text + at, len - at);
    }
    buf_add_char(out, '"');
    return !out->overflow;
}

bool json_write_member(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return true;
    buf_printf(out, ",\"%s\":", name);
    return json_write_string(out, text, strlen(text));
}
