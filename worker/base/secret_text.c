// SPDX-License-Identifier: Apache-2.0
// Letters, borders and stops of a text that is searched for secrets.
#include <string.h>

#include "base/secret_inner.h"

#define LOOK_BYTES 64 // how far any rule looks without remembering

bool scan_has_word(const struct scan_text *text, size_t at, const char *word)
{
    for (; *word; word++, at++)
        if (scan_lower(scan_at(text, at)) != *word)
            return false;
    return true;
}

static bool is_hex(char c)
{
    return scan_is_digit(c) || (scan_lower(c) >= 'a' && scan_lower(c) <= 'f');
}

bool scan_is_border(const struct scan_text *text, size_t at)
{
    if (!scan_is_word(scan_at(text, at - 1)))
        return true;
    if (scan_at(text, at - 2) == '\\')
        return strchr("nrtbf", text->in[at - 1]) != NULL;
    if (!is_hex(text->in[at - 1]) || !is_hex(scan_at(text, at - 2)))
        return false;
    return scan_at(text, at - 3) == '%' ||
           (scan_at(text, at - 5) == 'u' && scan_at(text, at - 6) == '\\');
}

bool scan_looks_random(const struct scan_text *text, size_t from, size_t to)
{
    if (to < from + 16)
        return false;
    bool letter = false;
    bool digit = false;
    for (size_t i = from; i < to && i < from + LOOK_BYTES; i++) {
        char c = text->in[i];
        letter |= scan_is_letter(c);
        digit |= scan_is_digit(c);
        if (!scan_is_key(c) && (c == '\0' || !strchr("+/=:", c)))
            return false;
    }
    return letter && digit;
}

size_t scan_blanks(const struct scan_text *text, size_t at)
{
    size_t from = at;
    while (at < text->len && at < from + LOOK_BYTES) {
        char c = text->in[at];
        if (c == ' ' || c == '\t')
            at++;
        else if (c == '\\' && scan_at(text, at + 1) == 't')
            at += 2;
        else if (c == '%' && scan_at(text, at + 1) == '2' && scan_at(text, at + 2) == '0')
            at += 3;
        else
            break;
    }
    return at - from;
}

// JSON in JSON writes a quotation mark of level n with 2^n - 1 backslashes before it, and each
// backslash that belongs to the value adds 2^(n+1): so the low ones of the run's length count.
size_t scan_quote_level(const struct scan_text *text, size_t at)
{
    size_t run = 0;
    while (run < LOOK_BYTES && scan_at(text, at - 1 - run) == '\\')
        run++;
    size_t level = 0;
    for (; run & 1; run >>= 1)
        level++;
    return level;
}

static bool is_line_end(const struct scan_text *text, size_t at)
{
    char c = text->in[at];
    if (c == '\\')
        return scan_at(text, at + 1) == 'n' || scan_at(text, at + 1) == 'r';
    return c == '\n' || c == '\r';
}

static bool is_blank(const struct scan_text *text, size_t at)
{
    char c = text->in[at];
    if (c == '\\') {
        char next = scan_at(text, at + 1);
        return next == 't' || next == '"' || is_line_end(text, at);
    }
    return c == ' ' || c == '\t' || c == '"' || is_line_end(text, at);
}

static bool is_quote_end(const struct scan_text *text, size_t at, enum stop stop)
{
    size_t kind = (size_t)(stop - STOP_QUOTE);
    return text->in[at] == (kind < 4 ? '"' : '\'') && scan_quote_level(text, at) <= kind % 4;
}

static bool holds(const struct scan_text *text, enum stop stop, size_t at)
{
    char c = text->in[at];
    if (stop >= STOP_QUOTE)
        return is_quote_end(text, at, stop);
    if (stop == STOP_LINE)
        return is_line_end(text, at);
    if (stop == STOP_KEY)
        return !scan_is_key(c);
    if (stop == STOP_BASE64)
        return !scan_is_word(c) && c != '+' && c != '/';
    if (stop == STOP_PEM)
        return c == '-' && text->len - at >= 8 && memcmp(text->in + at, "-----END", 8) == 0;
    if (is_blank(text, at))
        return true;
    if (stop == STOP_BLANK || c == '\0')
        return false;
    if (stop == STOP_TOKEN)
        return c == '\'' || c == '<' || c == '>';
    return strchr(stop == STOP_QUERY ? "&#'<>;" : "/?#'<>,", c) != NULL;
}

size_t scan_stop(struct scan_text *text, enum stop stop, size_t from)
{
    if (text->stops[stop].known && from >= text->stops[stop].from && from <= text->stops[stop].to)
        return text->stops[stop].to;
    size_t to = from;
    while (to < text->len && !holds(text, stop, to))
        to++;
    text->stops[stop].known = true;
    text->stops[stop].from = from;
    text->stops[stop].to = to;
    return to;
}
