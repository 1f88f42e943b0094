// SPDX-License-Identifier: Apache-2.0
// The redactor: the values it was given in every encoding they are likely to be met in, then the
// forms and places of secret_scan.c, all marked on one text and written out once.
// Escapes are not turned into needles of their own, since "%2F", "%2f" and "/" may be mixed at
// will: the text is unescaped instead, and what is found there is marked in the original.
#include "base/redact.h"

#include <stdlib.h>
#include <string.h>

#include "base/needles.h"
#include "base/own.h"
#include "base/secret_scan.h"
#include "base/spans.h"
#include "base/unescape.h"

#define TELLING_BYTES   8 // so many characters of a secret are a part of it, not an accident
#define ESCAPE_LEVELS   3
#define SWALLOWED_BYTES 4

// A stray "%2" or "\\u" before an escaped secret swallows its first bytes when it is unescaped. So
// there each needle is also looked for without its first 1 to 4 bytes, and what is found counts
// only behind an escape, and with it.
struct redactor {
    struct needles *needles;
    struct needles *tails;
    struct secret_scan *scan;
};

struct redactor *redactor_new(void)
{
    struct redactor *redactor = own_alloc(sizeof(*redactor));
    redactor->needles = needles_new();
    redactor->tails = needles_new();
    redactor->scan = secret_scan_new();
    return redactor;
}

void redactor_free(struct redactor *redactor)
{
    if (!redactor)
        return;
    needles_free(redactor->needles);
    needles_free(redactor->tails);
    secret_scan_free(redactor->scan);
    free(redactor);
}

// The bytes after which a beginning of the value gives something away.
static size_t telling_bytes(const char *value, size_t len)
{
    const char *at;
    if (strncmp(value, "-----BEGIN", 10) == 0)
        return (at = strchr(value, '\n')) ? (size_t)(at - value) + 1 + TELLING_BYTES : len;
    if (value[0] == '{')
        return len;
    if ((at = strstr(value, "password=")))
        return (size_t)(at - value) + strlen("password=") + 4;
    if ((at = strstr(value, "://")))
        return (at = strchr(at + 3, ':')) ? (size_t)(at - value) + 1 + 4 : len;
    return TELLING_BYTES;
}

static void add_needle(struct redactor *redactor, const char *text, size_t len, size_t least)
{
    needles_add(redactor->needles, text, len, least);
    for (size_t i = 1; i <= SWALLOWED_BYTES && i + REDACTOR_SECRET_BYTES <= len; i++)
        needles_add(redactor->tails, text + i, len - i, least);
}

// The base64 characters that `value` alone decides when `skip` bytes stand before it.
static size_t base64_of(const char *value, size_t len, size_t skip, const char *alphabet, char *out)
{
    size_t first = (skip * 8 + 5) / 6;
    size_t end = (skip + len) * 8 / 6;
    for (size_t i = first; i < end; i++) {
        size_t bit = i * 6 - skip * 8;
        unsigned pair = (unsigned)(unsigned char)value[bit / 8] << 8;
        if (bit / 8 + 1 < len)
            pair |= (unsigned char)value[bit / 8 + 1];
        out[i - first] = alphabet[pair >> (10 - bit % 8) & 0x3f];
    }
    return end - first;
}

static void add_base64(struct redactor *redactor, const char *value, size_t len, size_t least)
{
    static const char *const alphabets[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    char *text = own_array(len * 2 + 2, 1);
    for (size_t i = 0; i < 6; i++) {
        size_t count = base64_of(value, len, i / 2, alphabets[i % 2], text);
        size_t telling = least > TELLING_BYTES ? (i / 2 + least) * 8 / 6 : TELLING_BYTES;
        add_needle(redactor, text, count, telling);
    }
    explicit_bzero(text, len * 2 + 2);
    free(text);
}

// A form's blanks are +, and JSON escapes may follow a stray backslash that unescaping takes for
// theirs.
static void add_escaped(struct redactor *redactor, const char *value, size_t len, size_t least)
{
    char *text = own_array(len * 2 + 1, 1);
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        if (value[i] == '"' || value[i] == '\\')
            text[count++] = '\\';
        text[count++] = value[i];
    }
    add_needle(redactor, text, count, least);
    memcpy(text, value, len);
    for (size_t i = 0; i < len; i++)
        if (text[i] == ' ')
            text[i] = '+';
    add_needle(redactor, text, len, least);
    explicit_bzero(text, len * 2 + 1);
    free(text);
}

void redactor_add_secret(struct redactor *redactor, const char *value)
{
    size_t len = value ? strlen(value) : 0;
    while (len && strchr(" \t\r\n", value[len - 1]))
        len--;
    if (len < REDACTOR_SECRET_BYTES)
        return;
    size_t least = telling_bytes(value, len);
    add_needle(redactor, value, len, least);
    add_escaped(redactor, value, len, least);
    add_base64(redactor, value, len, least);
    needles_build(redactor->needles);
    needles_build(redactor->tails);
}

static void mark_plain(const struct redactor *redactor, const char *text, size_t len,
                       struct spans *spans)
{
    uint32_t state = 0;
    for (size_t i = 0; i < len; i++) {
        size_t found = needles_step(redactor->needles, &state, (unsigned char)text[i]);
        spans_add(spans, i + 1 - found, i + 1);
    }
}

static void mark_unescaped(const struct redactor *redactor, const struct unescaped *text,
                           struct spans *spans)
{
    uint32_t state = 0;
    uint32_t tail_state = 0;
    for (size_t i = 0; i < text->len; i++) {
        unsigned char byte = (unsigned char)text->bytes[i];
        size_t found = needles_step(redactor->needles, &state, byte);
        if (found)
            spans_add(spans, text->from[i + 1 - found], text->to[i]);
        found = needles_step(redactor->tails, &tail_state, byte);
        size_t before = i - found;
        if (found && found <= i && text->to[before] - text->from[before] > 1)
            spans_add(spans, text->from[before], text->to[i]);
    }
}

static void mark_escaped(const struct redactor *redactor, const char *text, size_t len,
                         struct spans *spans)
{
    struct unescaped level;
    if (!unescape(text, len, NULL, &level))
        return;
    mark_unescaped(redactor, &level, spans);
    for (int i = 1; i < ESCAPE_LEVELS; i++) {
        struct unescaped next;
        if (!unescape(level.bytes, level.len, &level, &next))
            break;
        unescaped_deinit(&level);
        level = next;
        mark_unescaped(redactor, &level, spans);
    }
    unescaped_deinit(&level);
}

static void redact(const struct redactor *redactor, const char *in, size_t len, bool is_name,
                   struct buf *out)
{
    if (len >= SPANS_TEXT_BYTES) {
        buf_add_str(out, REDACTED_MARK);
        return;
    }
    struct spans spans;
    spans_init(&spans, len);
    mark_plain(redactor, in, len, &spans);
    mark_escaped(redactor, in, len, &spans);
    secret_scan_mark(redactor->scan, in, is_name, &spans);
    spans_write(&spans, in, REDACTED_MARK, out);
    spans_deinit(&spans);
}

void redactor_text(const struct redactor *redactor, const char *in, size_t len, struct buf *out)
{
    redact(redactor, in, len, false, out);
}

void redactor_name(const struct redactor *redactor, const char *in, size_t len, struct buf *out)
{
    redact(redactor, in, len, true, out);
}

bool redactor_is_secret_name(const char *name)
{
    enum secret_place place = secret_place_of(name, strlen(name));
    return place == SECRET_LINE || place == SECRET_ALWAYS || place == SECRET_KEY;
}
