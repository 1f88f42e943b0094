// SPDX-License-Identifier: Apache-2.0
// Plain JSON made into jansson's tree.
#include "core/json_tree.h"

#include <string.h>

#include <utf8proc.h>

#include "base/buf.h"
#include "core/json_pull.h"

#define INTEGER_DIGITS 18 // any of so many fits into 63 bits

struct reader {
    const char *at, *end;
    struct buf unescaped; // of the last string with escapes
};

static json_t *read_value(struct reader *reader);

static char peek(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\n' ||
                                        *reader->at == '\r' || *reader->at == '\t'))
        reader->at++;
    return reader->at < reader->end ? *reader->at : '\0';
}

static bool take(struct reader *reader, char c)
{
    if (peek(reader) != c)
        return false;
    reader->at++;
    return true;
}

// ------------------------------------------------------------------------------------- strings

// A byte from 0x80 on is negative.
static bool is_plain(char c)
{
    return c >= ' ' && c != '"' && c != '\\';
}

// Over the characters that stand for themselves; NULL where one must not stand in a string.
static const char *skip_plain(const char *at, const char *end)
{
    for (;;) {
        while (at < end && is_plain(*at))
            at++;
        if (at == end || *at == '"' || *at == '\\')
            return at < end ? at : NULL;
        utf8proc_int32_t c;
        utf8proc_ssize_t bytes = -1;
        if ((unsigned char)*at >= 0x80)
            bytes = utf8proc_iterate((const utf8proc_uint8_t *)at, end - at < 4 ? end - at : 4, &c);
        if (bytes <= 0)
            return NULL;
        at += bytes;
    }
}

// U+FFFD may stand for what jansson refuses, so jansson decides about it.
static size_t add_escape(struct buf *out, const char *at, const char *end)
{
    size_t used = json_pull_escape(out, at, end);
    bool replaced = used > 0 && at[1] == 'u' && out->len >= 3 &&
                    memcmp(out->data + out->len - 3, "\xef\xbf\xbd", 3) == 0;
    return replaced ? 0 : used;
}

// The rest of a string whose first escape is at `at`.
static bool read_escaped(struct reader *reader, const char *at, struct json_span *out)
{
    struct buf *text = &reader->unescaped;
    buf_clear(text);
    buf_add(text, reader->at, (size_t)(at - reader->at));
    while (*at == '\\') {
        size_t used = add_escape(text, at, reader->end);
        const char *from = at + used;
        if (used == 0 || !(at = skip_plain(from, reader->end)))
            return false;
        buf_add(text, from, (size_t)(at - from));
    }
    *out = (struct json_span){buf_str(text), text->len};
    reader->at = at + 1;
    return true;
}

// Behind its opening quote. Into the text where there is no escape, else into `unescaped`.
static bool read_string(struct reader *reader, struct json_span *out)
{
    const char *at = skip_plain(reader->at, reader->end);
    if (!at)
        return false;
    if (*at == '\\')
        return read_escaped(reader, at, out);
    *out = (struct json_span){reader->at, (size_t)(at - reader->at)};
    reader->at = at + 1;
    return true;
}

// -------------------------------------------------------------------------------------- values

static bool read_member(struct reader *reader, json_t *object)
{
    struct json_span name;
    if (!take(reader, '"') || !read_string(reader, &name) || name.data == reader->unescaped.data ||
        json_object_getn(object, name.data, name.len) || !take(reader, ':'))
        return false;
    json_t *value = read_value(reader);
    return value && json_object_setn_new_nocheck(object, name.data, name.len, value) == 0;
}

static bool read_item(struct reader *reader, json_t *array)
{
    json_t *value = read_value(reader);
    return value && json_array_append_new(array, value) == 0;
}

// Behind the opening bracket. The container is freed where it cannot be read.
static json_t *read_container(struct reader *reader, json_t *container, char close,
                              bool (*read_one)(struct reader *reader, json_t *container))
{
    if (take(reader, close))
        return container;
    do {
        if (!read_one(reader, container)) {
            json_decref(container);
            return NULL;
        }
    } while (take(reader, ','));
    if (take(reader, close))
        return container;
    json_decref(container);
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static json_t *read_integer(struct reader *reader)
{
    bool minus = *reader->at == '-';
    const char *from = reader->at + minus, *at = from;
    json_int_t value = 0;
    while (at < reader->end && is_digit(*at) && at - from < INTEGER_DIGITS)
        value = value * 10 + (*at++ - '0');
    bool whole = at > from && (*from != '0' || at - from == 1);
    if (!whole || at == reader->end || is_digit(*at) || *at == '.' || *at == 'e' || *at == 'E')
        return NULL;
    reader->at = at;
    return json_integer(minus ? -value : value);
}

static json_t *read_word(struct reader *reader, const char *word, json_t *value)
{
    size_t len = strlen(word);
    if ((size_t)(reader->end - reader->at) <= len || memcmp(reader->at, word, len) != 0)
        return NULL;
    reader->at += len;
    return value;
}

static json_t *read_value(struct reader *reader)
{
    struct json_span text;
    switch (peek(reader)) {
    case '{':
        reader->at++;
        return read_container(reader, json_object(), '}', read_member);
    case '[':
        reader->at++;
        return read_container(reader, json_array(), ']', read_item);
    case '"':
        reader->at++;
        return read_string(reader, &text) ? json_stringn_nocheck(text.data, text.len) : NULL;
    case 't':
        return read_word(reader, "true", json_true());
    case 'f':
        return read_word(reader, "false", json_false());
    case 'n':
        return read_word(reader, "null", json_null());
    default:
        return reader->at < reader->end ? read_integer(reader) : NULL;
    }
}

json_t *json_tree_read(const char *data, size_t len)
{
    struct reader reader = {.at = data, .end = data + len};
    buf_init(&reader.unescaped, 0);
    char first = peek(&reader);
    json_t *value = first == '{' || first == '[' ? read_value(&reader) : NULL;
    if (value && (peek(&reader) != '\0' || reader.at < reader.end)) {
        json_decref(value);
        value = NULL;
    }
    buf_deinit(&reader.unescaped);
    return value;
}
