// SPDX-License-Identifier: Apache-2.0
// What the parts of secret_scan share: the text under way and its remembered stops. A rule that
// looks back does so over a fixed number of bytes; a rule that looks ahead without bound asks
// scan_stop, which remembers, so that rules that overlap walk over each byte once.
#ifndef PRECIS_BASE_SECRET_INNER_H
#define PRECIS_BASE_SECRET_INNER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/spans.h"

// Where something ends. QUOTE_…: at that quotation mark when 0, 1, 2 or 3 levels of JSON escapes
// stand before it.
enum stop {
    STOP_LINE,      // line end, also an escaped one
    STOP_BLANK,     // white space, ", an escaped \n \r \t \"
    STOP_TOKEN,     // as blank, also ' < >
    STOP_QUERY,     // as blank, also & # ' < > ;
    STOP_AUTHORITY, // as blank, also / ? # ' < > ,
    STOP_KEY,       // not of the alphabet KEY
    STOP_BASE64,    // not A-Z a-z 0-9 + /
    STOP_PEM,       // "-----END"
    STOP_QUOTE,     // + level, " then '
    STOP_COUNT = STOP_QUOTE + 8
};

struct scan_text {
    const char *in;
    size_t len;
    struct spans *spans;
    size_t authority_end; // of the URL met last
    struct {
        size_t from;
        size_t to;
        bool known;
    } stops[STOP_COUNT];
};

static inline bool scan_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool scan_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool scan_is_word(char c)
{
    return scan_is_letter(c) || scan_is_digit(c);
}

static inline bool scan_is_key(char c)
{
    return scan_is_word(c) || c == '_' || c == '-' || c == '.' || c == '*' || c == '~';
}

static inline char scan_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

// The byte at `at`, '\0' past either end (SIZE_MAX is before the beginning).
static inline char scan_at(const struct scan_text *text, size_t at)
{
    return at < text->len ? text->in[at] : '\0';
}

// The first place at or after `from` where `stop` holds, or the text's length.
size_t scan_stop(struct scan_text *text, enum stop stop, size_t from);
// True if a word can begin at `at`: nothing, no letter or digit, or an escape stands before it.
bool scan_is_border(const struct scan_text *text, size_t at);
// True for 16 or more letters, digits and -_+/=.~:* with both letters and digits.
bool scan_looks_random(const struct scan_text *text, size_t from, size_t to);
// Length of the run of white space (also %20 and \t) at `at`, at most 64.
size_t scan_blanks(const struct scan_text *text, size_t at);
// How many levels of JSON escapes the backslashes before the quotation mark at `at` mean.
size_t scan_quote_level(const struct scan_text *text, size_t at);

// True if `word` (lower case) stands at `at`, in any case.
bool scan_has_word(const struct scan_text *text, size_t at, const char *word);

// Each looks at one place, whose byte is of the right kind, and marks what it finds.
void place_named(struct scan_text *text, size_t separator); // : =
void place_scheme(struct scan_text *text, size_t at);       // b B t T a A
void place_user_info(struct scan_text *text, size_t colon); // :
void personal_digits(struct scan_text *text, size_t at);    // 0-9
void personal_iban(struct scan_text *text, size_t at);      // A-Z
void personal_mail(struct scan_text *text, size_t at_sign); // @
void personal_telephone(struct scan_text *text, size_t at); // +

#endif
