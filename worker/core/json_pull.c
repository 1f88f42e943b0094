// SPDX-License-Identifier: Apache-2.0
// The walk over JSON.
#include "core/json_pull.h"

#include <stdint.h>
#include <string.h>

struct json_pull json_pull_of(const char *data, size_t len)
{
    const char *from = data ? data : "";
    return (struct json_pull){.at = from, .end = from + len};
}

static bool fault(struct json_pull *pull)
{
    pull->bad = true;
    pull->at = pull->end;
    return false;
}

static void skip_space(struct json_pull *pull)
{
    while (pull->at < pull->end &&
           (*pull->at == ' ' || *pull->at == '\n' || *pull->at == '\r' || *pull->at == '\t'))
        pull->at++;
}

char json_pull_peek(struct json_pull *pull)
{
    skip_space(pull);
    return pull->at < pull->end ? *pull->at : '\0';
}

bool json_pull_enter(struct json_pull *pull, char bracket)
{
    if (json_pull_peek(pull) != bracket)
        return false;
    pull->at++;
    pull->first = true;
    return true;
}

// Before the next member or item: the comma, or the end. False at the end.
static bool pull_next(struct json_pull *pull, char close)
{
    char c = json_pull_peek(pull);
    bool first = pull->first;
    pull->first = false;
    if (c == close) {
        pull->at++;
        return false;
    }
    if (first)
        return c != '\0' || fault(pull);
    if (c != ',')
        return fault(pull);
    pull->at++;
    c = json_pull_peek(pull);
    return (c != '\0' && c != close) || fault(pull);
}

// From behind the opening quote to the closing one, which is left; NULL where there is none.
static const char *string_close(const char *at, const char *end)
{
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        const char *slash = memchr(at, '\\', quote ? (size_t)(quote - at) : 0);
        if (!slash)
            return quote;
        at = slash + 2;
    }
    return NULL;
}

static bool pull_raw_string(struct json_pull *pull, struct json_span *out)
{
    if (json_pull_peek(pull) != '"')
        return fault(pull);
    const char *close = string_close(pull->at + 1, pull->end);
    if (!close)
        return fault(pull);
    *out = (struct json_span){pull->at + 1, (size_t)(close - pull->at - 1)};
    pull->at = close + 1;
    return true;
}

bool json_pull_member(struct json_pull *pull, struct json_span *out_name)
{
    if (!pull_next(pull, '}') || !pull_raw_string(pull, out_name))
        return false;
    if (json_pull_peek(pull) != ':')
        return fault(pull);
    pull->at++;
    return true;
}

bool json_pull_item(struct json_pull *pull)
{
    return pull_next(pull, ']');
}

// ------------------------------------------------------------------------------------ strings

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The unit of a \uXXXX at `at`; -1 where there is none.
static int32_t unit_at(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    int32_t unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool add_utf8(struct buf *out, uint32_t c)
{
    char bytes[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = len; i-- > 1; c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)(lead[len] | c);
    return buf_add(out, bytes, len);
}

// A \u escape, or two that are a pair; the bytes read, 0 for a fault.
static size_t add_unit(struct buf *out, const char *at, const char *end)
{
    int32_t unit = unit_at(at, end);
    if (unit < 0)
        return 0;
    size_t used = 6;
    uint32_t c = (uint32_t)unit;
    if (c >= 0xD800 && c < 0xDC00) {
        int32_t low = unit_at(at + 6, end);
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
            used = 12;
        }
    }
    if (c == 0 || (c >= 0xD800 && c < 0xE000))
        c = 0xFFFD;
    add_utf8(out, c);
    return used;
}

size_t json_pull_escape(struct buf *out, const char *at, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return 0;
    if (at[1] == 'u')
        return add_unit(out, at, end);
    const char *known = memchr(from, at[1], sizeof(from) - 1);
    if (!known)
        return 0;
    buf_add_char(out, to[known - from]);
    return 2;
}

bool json_pull_string(struct json_pull *pull, struct buf *out)
{
    struct json_span raw;
    if (json_pull_peek(pull) != '"' || !pull_raw_string(pull, &raw))
        return false;
    if (!out)
        return true;
    const char *at = raw.data, *end = raw.data + raw.len;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        buf_add(out, at, (size_t)(stop - at));
        at = stop;
        if (slash) {
            size_t used = json_pull_escape(out, at, end);
            if (!used)
                return fault(pull);
            at += used;
        }
    }
    return !out->overflow;
}

// ------------------------------------------------------------------------------------ skipping

static bool is_word_character(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

// true, false, null, a number; NaN and Infinity, which some servers write.
static bool skip_word(struct json_pull *pull)
{
    static const char *const words[] = {"null", "true", "false", "NaN", "Infinity", "-Infinity"};
    struct json_span word = {pull->at, 0};
    while (pull->at < pull->end && is_word_character(*pull->at))
        pull->at++;
    word.len = (size_t)(pull->at - word.data);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (json_span_is(&word, words[i]))
            return true;
    size_t sign = word.len && *word.data == '-';
    bool number = word.len > sign && word.data[sign] >= '0' && word.data[sign] <= '9';
    return number || fault(pull);
}

static bool skip_plain(struct json_pull *pull)
{
    struct json_span ignored;
    return json_pull_peek(pull) == '"' ? pull_raw_string(pull, &ignored) : skip_word(pull);
}

// Over an object or list: a bit for each level says which of the two it is.
static bool skip_nested(struct json_pull *pull)
{
    uint64_t objects = 0;
    int depth = 0;
    do {
        char c = json_pull_peek(pull);
        if (c == '{' || c == '[') {
            if (++depth > JSON_PULL_DEPTH)
                return fault(pull);
            objects = objects << 1 | (c == '{');
            json_pull_enter(pull, c);
        } else if (!skip_plain(pull)) {
            return false;
        }
        // On to the next value inside, closing what ends here.
        struct json_span name;
        while (depth && !((objects & 1) ? json_pull_member(pull, &name) : json_pull_item(pull))) {
            if (pull->bad)
                return false;
            depth--;
            objects >>= 1;
        }
    } while (depth);
    return true;
}

bool json_pull_skip(struct json_pull *pull, struct json_span *out_raw)
{
    char c = json_pull_peek(pull);
    const char *from = pull->at;
    bool nested = c == '{' || c == '[';
    if (!(nested ? skip_nested(pull) : skip_plain(pull)))
        return false;
    pull->first = false;
    if (out_raw)
        *out_raw = (struct json_span){from, (size_t)(pull->at - from)};
    return true;
}

bool json_pull_end(struct json_pull *pull)
{
    return json_pull_peek(pull) == '\0' && pull->at == pull->end && !pull->bad;
}

bool json_span_is(const struct json_span *span, const char *text)
{
    return span->len == strlen(text) && memcmp(span->data, text, span->len) == 0;
}
