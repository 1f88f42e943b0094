// SPDX-License-Identifier: Apache-2.0
// One walk over the text: each byte's value says which rules may begin there, and forms of keys are
// compared at once. A rule never consumes: what it marks is looked at by the other rules, too.
#include "base/secret_scan.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/secret_inner.h"

enum alphabet { KEY, UPPER, HEX };
enum where { SURE, WORD, BORDER };

struct format {
    const char *prefix;
    enum alphabet alphabet;
    size_t least;
    enum where where;
};

static const struct format formats[] = {
#define SECRET_FORMAT(prefix, alphabet, least, where) {prefix, alphabet, least, where},
#include "base/secret_formats.def"
#undef SECRET_FORMAT
};

#define FORMAT_COUNT (sizeof(formats) / sizeof(formats[0]))
_Static_assert(FORMAT_COUNT <= 64, "a byte's formats are bits of one word");

struct secret_scan {
    uint64_t by_first[256]; // formats whose prefix begins with this byte
};

struct secret_scan *secret_scan_new(void)
{
    struct secret_scan *scan = own_alloc(sizeof(*scan));
    for (size_t i = 0; i < FORMAT_COUNT; i++)
        scan->by_first[(unsigned char)formats[i].prefix[0]] |= (uint64_t)1 << i;
    return scan;
}

void secret_scan_free(struct secret_scan *scan)
{
    free(scan);
}

static bool in_alphabet(enum alphabet alphabet, char c)
{
    if (alphabet == UPPER)
        return scan_is_digit(c) || (c >= 'A' && c <= 'Z');
    return scan_is_digit(c) || (c >= 'a' && c <= 'f');
}

static size_t run_end(struct scan_text *text, enum alphabet alphabet, size_t from)
{
    if (alphabet == KEY)
        return scan_stop(text, STOP_KEY, from);
    size_t to = from;
    while (to < text->len && to < from + 64 && in_alphabet(alphabet, text->in[to]))
        to++;
    return to;
}

// A capital, digit or mask, and 12 letters and digits in a row or 40 bytes in all.
static bool is_random(const struct scan_text *text, size_t from, size_t to)
{
    bool odd = false;
    bool long_row = to - from >= 40;
    size_t row = 0;
    for (size_t i = from; i < to && i < from + 64; i++) {
        char c = text->in[i];
        row = scan_is_word(c) || c == '*' ? row + 1 : 0;
        long_row |= row >= 12;
        odd |= !(c >= 'a' && c <= 'z') && c != '-' && c != '_' && c != '.';
    }
    return odd && long_row;
}

static void mark_format(struct scan_text *text, const struct format *format, size_t at)
{
    size_t len = strlen(format->prefix);
    if (text->len - at < len || memcmp(text->in + at, format->prefix, len) != 0)
        return;
    size_t end = run_end(text, format->alphabet, at + len);
    if (end - at - len < format->least)
        return;
    if (format->where != SURE && !scan_is_border(text, at))
        return;
    if (format->where != BORDER || is_random(text, at + len, end))
        spans_add(text->spans, at, end);
}

static void mark_formats(struct scan_text *text, uint64_t candidates, size_t at)
{
    for (; candidates; candidates &= candidates - 1)
        mark_format(text, &formats[__builtin_ctzll(candidates)], at);
}

// eyJ….eyJ….signature: the base64 of {" and a dot behind at least 8 characters. Cut ones, too.
static void mark_jwt(struct scan_text *text, size_t at)
{
    if (text->len - at < 12 || memcmp(text->in + at, "eyJ", 3) != 0 || !scan_is_border(text, at))
        return;
    size_t end = scan_stop(text, STOP_KEY, at);
    size_t look = end < at + 1024 ? end : at + 1024;
    const char *dot = memchr(text->in + at, '.', look - at);
    if (dot && (size_t)(dot - text->in) >= at + 11 && (size_t)(dot - text->in) + 4 < end)
        spans_add(text->spans, at, end);
}

// Entra client secrets: three characters, a digit, Q~ and 31 to 34 characters.
static void mark_azure(struct scan_text *text, size_t tilde)
{
    if (tilde < 5 || text->in[tilde - 1] != 'Q' || !scan_is_digit(text->in[tilde - 2]))
        return;
    size_t from = tilde - 5;
    for (size_t i = from; i < tilde; i++)
        if (!scan_is_key(text->in[i]))
            return;
    size_t end = scan_stop(text, STOP_KEY, tilde);
    if (end - tilde > 16)
        spans_add(text->spans, from, end);
}

// -----BEGIN … PRIVATE KEY----- up to the end of its END line, or of the text.
static void mark_pem(struct scan_text *text, size_t at)
{
    static const char begin[] = "-----BEGIN ";
    size_t len = sizeof(begin) - 1;
    if (text->len - at < len || memcmp(text->in + at, begin, len) != 0)
        return;
    size_t look = text->len - at < 64 ? text->len - at : 64;
    if (!memmem(text->in + at, look, "PRIVATE KEY", 11))
        return;
    size_t end = scan_stop(text, STOP_PEM, at);
    look = text->len - end < 64 ? text->len - end : 64;
    const char *dashes = look > 8 ? memmem(text->in + end + 8, look - 8, "-----", 5) : NULL;
    if (dashes)
        end = (size_t)(dashes - text->in) + 5;
    else if (end < text->len)
        end += look;
    spans_add(text->spans, at, end);
}

static bool is_base64(char c)
{
    return scan_is_word(c) || c == '+' || c == '/';
}

// An AWS secret access key has no prefix: exactly 40 characters of base64 in both cases and digits,
// which no hash in hex has.
static void mark_forty(struct scan_text *text, size_t at)
{
    if (scan_at(text, at + 39) == '\0' || scan_is_key(scan_at(text, at - 1)))
        return;
    for (size_t i = at + 12; i < at + 40; i += 9) // most words end before one of these
        if (!is_base64(text->in[i]))
            return;
    if (scan_stop(text, STOP_BASE64, at) - at != 40)
        return;
    char behind = scan_at(text, at + 40);
    if (behind == '-' || behind == '_' || behind == '=' ||
        (behind == '.' && scan_is_key(scan_at(text, at + 41))))
        return;
    bool upper = false;
    bool lower = false;
    bool digit = false;
    for (size_t i = at; i < at + 40; i++) {
        upper |= text->in[i] >= 'A' && text->in[i] <= 'Z';
        lower |= text->in[i] >= 'a' && text->in[i] <= 'z';
        digit |= scan_is_digit(text->in[i]);
    }
    if (upper && lower && digit)
        spans_add(text->spans, at, at + 40);
}

static void mark_places(struct scan_text *text, size_t at)
{
    char c = text->in[at];
    if (c == ':')
        place_user_info(text, at);
    if (c == ':' || c == '=')
        place_named(text, at);
    else if (c == '@')
        personal_mail(text, at);
    else if (c == '+')
        personal_telephone(text, at);
    else if (scan_is_digit(c))
        personal_digits(text, at);
    else if (c >= 'A' && c <= 'Z')
        personal_iban(text, at);
    if (c != '\0' && strchr("bBtTaA", c))
        place_scheme(text, at);
    if (at == 0 || !scan_is_word(text->in[at - 1]))
        mark_forty(text, at);
}

void secret_scan_mark(const struct secret_scan *scan, const char *in, bool is_name,
                      struct spans *spans)
{
    struct scan_text text = {.in = in, .len = spans->len, .spans = spans};
    for (size_t i = 0; i < text.len; i++) {
        char c = in[i];
        mark_formats(&text, scan->by_first[(unsigned char)c], i);
        if (c == 'e')
            mark_jwt(&text, i);
        else if (c == '~')
            mark_azure(&text, i);
        else if (c == '-')
            mark_pem(&text, i);
        if (!is_name)
            mark_places(&text, i);
    }
}
