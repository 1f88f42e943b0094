// SPDX-License-Identifier: Apache-2.0
// Personal data with a form of its own: cards, IBANs, social security numbers, mail, telephone.
#include <string.h>

#include "base/secret_inner.h"

// True if a number may begin or end beside this byte: it is no part of an id.
static bool is_edge(char c)
{
    return !scan_is_word(c) && c != '_' && c != '-' && c != '/' && c != '.' && c != '+';
}

static bool begins_well(const struct scan_text *text, size_t at)
{
    char before = scan_at(text, at - 1);
    return is_edge(before) || (scan_is_word(before) && scan_is_border(text, at));
}

static bool ends_well(const struct scan_text *text, size_t end)
{
    char c = scan_at(text, end);
    return is_edge(c) || (c == '.' && !scan_is_word(scan_at(text, end + 1)));
}

static bool luhn(const char *digits, size_t count)
{
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = digits[count - 1 - i] - '0';
        if (i % 2 == 1)
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return sum % 10 == 0;
}

// The number of the first four digits, which name the issuer.
static bool is_issuer(const char *digits, size_t count)
{
    int four = (digits[0] - '0') * 1000 + (digits[1] - '0') * 100 + (digits[2] - '0') * 10 +
               (digits[3] - '0');
    if (count == 15)
        return four / 100 == 34 || four / 100 == 37;
    return count == 16 &&
           (four / 1000 == 4 || (four >= 5100 && four <= 5599) || (four >= 2221 && four <= 2720) ||
            four == 6011 || four / 100 == 65 || (four >= 3528 && four <= 3589));
}

// Digits in one run or with single blanks or hyphens between groups; where it ends, or 0.
static size_t card_end(const struct scan_text *text, size_t at)
{
    char digits[16];
    size_t count = 0;
    size_t best = 0;
    for (size_t i = at; i < text->len && count < sizeof(digits); i++) {
        char c = text->in[i];
        if (!scan_is_digit(c) && ((c != ' ' && c != '-') || !scan_is_digit(scan_at(text, i + 1))))
            break;
        if (!scan_is_digit(c))
            continue;
        digits[count++] = c;
        if (count >= 15 && ends_well(text, i + 1) && is_issuer(digits, count) &&
            luhn(digits, count))
            best = i + 1;
    }
    return best;
}

// ddd-dd-dddd
static bool is_social_security(const struct scan_text *text, size_t at)
{
    if (text->len - at < 11 || !ends_well(text, at + 11))
        return false;
    for (size_t i = 0; i < 11; i++) {
        char c = text->in[at + i];
        if (i == 3 || i == 6 ? c != '-' : !scan_is_digit(c))
            return false;
    }
    return memcmp(text->in + at, "000", 3) != 0 && text->in[at] != '9';
}

void personal_digits(struct scan_text *text, size_t at)
{
    if (!begins_well(text, at))
        return;
    size_t end = card_end(text, at);
    if (end)
        spans_add(text->spans, at, end);
    if (is_social_security(text, at))
        spans_add(text->spans, at, at + 11);
}

static unsigned mod97(unsigned rest, char c)
{
    if (scan_is_digit(c))
        return (rest * 10 + (unsigned)(c - '0')) % 97;
    return (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
}

static bool is_iban_byte(char c)
{
    return scan_is_digit(c) || (c >= 'A' && c <= 'Z');
}

// ISO 13616: the first four characters behind the others, letters as two digits, mod 97 is 1. A
// word may follow the last blank, so each end that fits is tried.
void personal_iban(struct scan_text *text, size_t at)
{
    if (text->len - at < 15 || !scan_is_digit(text->in[at + 2]) ||
        !scan_is_digit(text->in[at + 3]) || !is_iban_byte(text->in[at + 1]) ||
        !begins_well(text, at))
        return;
    unsigned rest = 0;
    size_t count = 4;
    size_t best = 0;
    for (size_t i = at + 4; i < text->len && count < 34; i++) {
        if (text->in[i] == ' ' && is_iban_byte(scan_at(text, i + 1)))
            continue;
        if (!is_iban_byte(text->in[i]))
            break;
        rest = mod97(rest, text->in[i]);
        count++;
        unsigned whole = rest;
        for (size_t k = 0; k < 4; k++)
            whole = mod97(whole, text->in[at + k]);
        if (count >= 15 && whole == 1 && ends_well(text, i + 1))
            best = i + 1;
    }
    spans_add(text->spans, at, best > at ? best : at);
}

static bool is_local_byte(char c)
{
    return scan_is_word(c) || (c != '\0' && strchr("._%+-", c) != NULL);
}

// Where a domain with a dot and a last label of letters ends; 0: it is none.
static size_t domain_end(const struct scan_text *text, size_t from)
{
    size_t dot = 0;
    size_t i = from;
    for (; i < from + 255; i++) {
        char c = scan_at(text, i);
        if (c == '.' && scan_is_word(scan_at(text, i + 1)))
            dot = i;
        else if (!scan_is_word(c) && c != '-')
            break;
    }
    if (dot <= from || i - dot < 3)
        return 0;
    for (size_t k = dot + 1; k < i; k++)
        if (!scan_is_letter(text->in[k]))
            return 0;
    return i;
}

// The host behind the @ of a URL is no secret, and operators need it.
void personal_mail(struct scan_text *text, size_t at_sign)
{
    size_t from = at_sign;
    while (at_sign - from < 64 && is_local_byte(scan_at(text, from - 1)))
        from--;
    if (from == at_sign || at_sign < text->authority_end)
        return;
    size_t end = domain_end(text, at_sign + 1);
    spans_add(text->spans, from, end > from ? end : from);
}

// + and 8 to 15 digits with single separators between them.
void personal_telephone(struct scan_text *text, size_t at)
{
    if (!begins_well(text, at) || !scan_is_digit(scan_at(text, at + 1)) || text->in[at + 1] == '0')
        return;
    size_t count = 0;
    size_t end = at;
    for (size_t i = at + 1; i < at + 26; i++) {
        char c = scan_at(text, i);
        if (scan_is_digit(c)) {
            count++;
            end = i + 1;
        } else if (c == '\0' || !strchr(" ()-.", c)) {
            break;
        }
    }
    if (count >= 8 && count <= 15 && ends_well(text, end))
        spans_add(text->spans, at, end);
}
