// SPDX-License-Identifier: Apache-2.0
// The look at JSON before it is parsed.
#include "core/json_scan.h"

#include <string.h>

#include "core/json_tree.h"

// The offset just after the string whose opening quote is at `at`; `len` where it does not end.
// A quote ends it when an even number of backslashes stands before it.
static size_t string_end(const char *data, size_t len, size_t at)
{
    size_t from = at + 1;
    while (from < len) {
        const char *quote = memchr(data + from, '"', len - from);
        if (!quote)
            return len;
        size_t end = (size_t)(quote - data), slashes = 0;
        while (data[end - 1 - slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return end + 1;
        from = end + 1;
    }
    return len;
}

bool json_scan_check(const char *data, size_t len, const struct json_limits *limits,
                     struct failure *out)
{
    if (len > limits->bytes) {
        failure_set(out, ERR_TOO_LARGE, "%zu bytes of JSON; at most %zu are read", len,
                    limits->bytes);
        return false;
    }
    size_t depth = 0, nodes = 0;
    for (size_t at = 0; at < len;) {
        char c = data[at];
        if (c == '"') {
            at = string_end(data, len, at);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        nodes += c == '{' || c == '[' || c == ',' || c == ':';
        if (depth > limits->depth || nodes > limits->nodes) {
            failure_set(out, ERR_BAD_MESSAGE, "the JSON %s %zu %s at byte %zu",
                        depth > limits->depth ? "is nested deeper than" : "has more than",
                        depth > limits->depth ? limits->depth : limits->nodes,
                        depth > limits->depth ? "levels" : "values", at);
            return false;
        }
        at++;
    }
    return true;
}

// The value of a \uXXXX escape that begins at `escape`; -1 where there is none.
static long escape_unit(const char *escape, size_t left)
{
    if (left < 6 || escape[0] != '\\' || escape[1] != 'u')
        return -1;
    long unit = 0;
    for (size_t i = 2; i < 6; i++) {
        char c = escape[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(long unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(long unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

void json_scan_mend_surrogates(char *data, size_t *len)
{
    char *end = data + *len, *at = data;
    while (at < end && (at = memchr(at, '\\', (size_t)(end - at)))) {
        size_t left = (size_t)(end - at);
        long unit = escape_unit(at, left);
        if (unit < 0) {
            at += left < 2 ? left : 2;
            continue;
        }
        if (is_high(unit) && is_low(escape_unit(at + 6, left - 6))) {
            at += 12;
            continue;
        }
        if (unit == 0 || is_high(unit) || is_low(unit))
            memcpy(at, "\\ufffd", 6);
        at += 6;
    }
}

// What went wrong, without jansson's own words, which quote the input.
static const char *error_words(enum json_error_code code)
{
    switch ((int)code) {
    case json_error_invalid_utf8:
        return "is not valid UTF-8";
    case json_error_premature_end_of_input:
        return "ends early";
    case json_error_end_of_input_expected:
        return "goes on after its end";
    case json_error_duplicate_key:
        return "has the same member twice";
    case json_error_numeric_overflow:
        return "has a number out of range";
    case json_error_null_byte_in_key:
    case json_error_null_character:
        return "has a NUL character";
    case json_error_stack_overflow:
        return "is nested too deeply";
    default:
        return "is malformed";
    }
}

json_t *json_load_checked(const char *data, size_t len, const struct json_limits *limits,
                          unsigned jansson_flags, struct failure *out)
{
    if (!json_scan_check(data, len, limits, out))
        return NULL;
    const unsigned known = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    json_t *tree = jansson_flags & ~known ? NULL : json_tree_read(data, len);
    if (tree)
        return tree;
    json_error_t error;
    json_t *value = json_loadb(data, len, jansson_flags, &error);
    if (!value)
        failure_set(out, ERR_BAD_MESSAGE, "the JSON %s at byte %d",
                    error_words(json_error_code(&error)), error.position);
    return value;
}
