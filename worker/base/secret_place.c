// SPDX-License-Identifier: Apache-2.0
// Places where secrets stand: behind a name, behind "Bearer", before the @ of a URL.
#include <string.h>

#include "base/redact.h"
#include "base/secret_inner.h"
#include "base/secret_scan.h"

#define NAME_BYTES 64

static const struct {
    const char *word;
    enum secret_place place;
    bool glued;
} names[] = {
#define SECRET_NAME(word, place, glued) {word, place, glued},
#include "base/secret_formats.def"
#undef SECRET_NAME
};

static const char *const harmless[] = {
#define HARMLESS_NAME(ending) ending,
#include "base/secret_formats.def"
#undef HARMLESS_NAME
};

static const char *const prose[] = {
#define PROSE_WORD(word) word,
#include "base/secret_formats.def"
#undef PROSE_WORD
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// True if the name ends in `word`, in any case; - and . count as _.
static bool ends_in(const char *name, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    if (word_len > len)
        return false;
    for (size_t i = 0; i < word_len; i++) {
        char c = scan_lower(name[len - word_len + i]);
        if ((c == '-' || c == '.' ? '_' : c) != word[i])
            return false;
    }
    return true;
}

// True if a word begins at `at`: api_key, apiKey, x-api-key, 2key; not monkey, not MONKEY.
static bool word_begins(const char *name, size_t at)
{
    bool capital = name[at] >= 'A' && name[at] <= 'Z';
    return at == 0 || !scan_is_letter(name[at - 1]) ||
           (capital && name[at - 1] >= 'a' && name[at - 1] <= 'z');
}

enum secret_place secret_place_of(const char *name, size_t len)
{
    while (len && (scan_is_digit(name[len - 1]) || name[len - 1] == '_')) // OPENAI_API_KEY_2
        len--;
    for (size_t i = 0; i < COUNT(harmless); i++)
        if (ends_in(name, len, harmless[i]))
            return SECRET_NOT;
    for (size_t i = 0; i < COUNT(names); i++) {
        size_t word_len = strlen(names[i].word);
        if (!ends_in(name, len, names[i].word) ||
            (!names[i].glued && !word_begins(name, len - word_len)))
            continue;
        bool alone = word_len == len && names[i].place == SECRET_KEY && word_len <= 5;
        return alone ? SECRET_BARE : names[i].place;
    }
    return SECRET_NOT;
}

// A name and what stands around it and its value.
struct named {
    size_t from; // the name
    size_t to;
    size_t separator;
    bool quoted; // the name ends in a quotation mark
    enum secret_place place;
};

static bool is_quote(char c)
{
    return c == '"' || c == '\'';
}

static bool is_name_byte(char c)
{
    return scan_is_word(c) || c == '_' || c == '-' || c == '.';
}

// Looks back from the separator: blanks, a quotation mark with its backslashes or a bracket, name.
static struct named find_name(const struct scan_text *text, size_t separator)
{
    size_t to = separator;
    while (separator - to < 8 && scan_at(text, to - 1) == ' ')
        to--;
    bool quoted = is_quote(scan_at(text, to - 1));
    if (quoted || scan_at(text, to - 1) == ']')
        to--;
    for (int i = 0; quoted && i < 8 && scan_at(text, to - 1) == '\\'; i++)
        to--;
    size_t from = to;
    while (to - from < NAME_BYTES && is_name_byte(scan_at(text, from - 1)))
        from--;
    if (from < to && scan_at(text, from - 1) == '\\' && strchr("nrt", text->in[from]))
        from++;
    else if (to - from > 2 && scan_at(text, from - 1) == '%')
        from += 2;
    enum secret_place place = secret_place_of(text->in + from, to - from);
    return (struct named){from, to, separator, quoted, place};
}

static bool in_query(const struct scan_text *text, const struct named *name)
{
    char before = scan_at(text, name->from - 1);
    return text->in[name->separator] == '=' &&
           (before == '?' || before == '&' ||
            (before != '\0' && scan_at(text, name->from - 3) == '%'));
}

static bool starts_with(const struct scan_text *text, size_t at, const char *what)
{
    size_t len = strlen(what);
    return at <= text->len && text->len - at >= len && memcmp(text->in + at, what, len) == 0;
}

static bool is_reference(const struct scan_text *text, size_t at)
{
    return starts_with(text, at, "${env:") || starts_with(text, at, "${file:") ||
           starts_with(text, at, "${exec:") || starts_with(text, at, REDACTED_MARK);
}

static bool is_small_number(const struct scan_text *text, size_t from, size_t to)
{
    size_t i = from;
    while (i < to && i < from + 10 && (scan_is_digit(text->in[i]) || text->in[i] == '.'))
        i++;
    return i > from && i < from + 10 && (i == to || strchr(",;)}]", text->in[i]));
}

static bool is_nothing(const struct scan_text *text, size_t at)
{
    return scan_has_word(text, at, "null") || scan_has_word(text, at, "none") ||
           scan_has_word(text, at, "true") || scan_has_word(text, at, "false");
}

// A quotation mark with its backslashes at `at`: its index, or SIZE_MAX.
static size_t quote_at(const struct scan_text *text, size_t at)
{
    size_t i = at;
    while (i - at < 8 && scan_at(text, i) == '\\')
        i++;
    return is_quote(scan_at(text, i)) ? i : SIZE_MAX;
}

static enum stop quote_stop(const struct scan_text *text, size_t quote)
{
    size_t level = scan_quote_level(text, quote);
    size_t kind = (text->in[quote] == '"' ? 0u : 4u) + (level < 3 ? level : 3);
    return (enum stop)(STOP_QUOTE + kind);
}

static void mark_quoted(struct scan_text *text, size_t quote)
{
    size_t end = scan_stop(text, quote_stop(text, quote), quote + 1);
    size_t slashes = ((size_t)1 << scan_quote_level(text, quote)) - 1;
    if (end < text->len && end >= quote + 1 + slashes)
        end -= slashes;
    spans_add(text->spans, quote + 1, end);
}

// A header's value runs to the line's end, or to the quotation mark that opened before its name.
static size_t line_end(struct scan_text *text, const struct named *name, size_t from)
{
    size_t before = name->from - 1;
    size_t end = scan_stop(text, STOP_LINE, from);
    if (name->quoted || !is_quote(scan_at(text, before)))
        return end;
    size_t quote = scan_stop(text, quote_stop(text, before), from);
    return quote < end ? quote : end;
}

static bool spares(const struct scan_text *text, const struct named *name, size_t from, size_t to)
{
    bool key = name->place == SECRET_KEY || name->place == SECRET_BARE;
    if (from >= to || text->in[from] == '{' || is_reference(text, from))
        return true;
    if (is_nothing(text, from) && (to - from <= 6))
        return true;
    if (key && is_small_number(text, from, to))
        return true;
    return name->place == SECRET_BARE && text->in[name->separator] == ':' &&
           !scan_looks_random(text, from, to);
}

static void mark_unquoted(struct scan_text *text, const struct named *name, size_t from)
{
    size_t to;
    if (in_query(text, name))
        to = scan_stop(text, STOP_QUERY, from);
    else if (name->place == SECRET_LINE)
        to = line_end(text, name, from);
    else
        to = scan_stop(text, STOP_BLANK, from);
    if (!spares(text, name, from, to))
        spans_add(text->spans, from, to);
}

void place_named(struct scan_text *text, size_t separator)
{
    if (starts_with(text, separator, "://"))
        return;
    struct named name = find_name(text, separator);
    if (name.place == SECRET_NOT || (name.place == SECRET_QUERY && !in_query(text, &name)))
        return;
    size_t at = separator + 1;
    while (at - separator < 3 && (scan_at(text, at) == '=' || scan_at(text, at) == '>'))
        at++;
    at += scan_blanks(text, at);
    if (scan_at(text, at) == '[' && !is_reference(text, at))
        at++;
    if ((scan_at(text, at) == 'b' || scan_at(text, at) == 'u') && scan_at(text, at + 1) == '\'')
        at++;
    size_t quote = quote_at(text, at);
    if (quote == SIZE_MAX)
        mark_unquoted(text, &name, at);
    else if (!is_reference(text, quote + 1))
        mark_quoted(text, quote);
}

// The word at [from, to) without the punctuation behind it is one that follows in prose.
static bool is_prose(const struct scan_text *text, size_t from, size_t to)
{
    while (to > from && strchr(".,;:!?)'", text->in[to - 1]))
        to--;
    for (size_t i = 0; i < COUNT(prose); i++)
        if (to - from == strlen(prose[i]) && scan_has_word(text, from, prose[i]))
            return true;
    return false;
}

// Separators behind a scheme's name; 0: the word goes on.
static size_t scheme_gap(const struct scan_text *text, size_t at)
{
    size_t from = at;
    for (size_t i = 0; i < 4; i++) {
        size_t blanks = scan_blanks(text, at);
        at += blanks;
        if (blanks == 0 && at < text->len && strchr(":=+\"'<", text->in[at]))
            at++;
        else if (blanks == 0)
            break;
    }
    return at - from;
}

static void mark_bearer(struct scan_text *text, size_t from)
{
    size_t to = scan_stop(text, STOP_TOKEN, from);
    if (!is_prose(text, from, to)) {
        spans_add(text->spans, from, to);
        return;
    }
    from = to + scheme_gap(text, to);
    to = scan_stop(text, STOP_TOKEN, from);
    if (scan_looks_random(text, from, to))
        spans_add(text->spans, from, to);
}

// Base64 of user:password, not "basic understanding": a capital, digit or = past the first letter.
static bool looks_basic(const struct scan_text *text, size_t from, size_t to)
{
    bool odd = false;
    size_t i = from;
    for (; i < to && i < from + NAME_BYTES; i++) {
        char c = text->in[i];
        if (!scan_is_word(c) && !strchr("+/=-_", c))
            break;
        odd |= i > from && !(c >= 'a' && c <= 'z') && c != '-';
    }
    return odd && i - from >= 6;
}

void place_scheme(struct scan_text *text, size_t at)
{
    static const char *const schemes[] = {"bearer", "basic", "token", "apikey"};
    if (!scan_is_border(text, at))
        return;
    size_t which = 0;
    while (which < COUNT(schemes) && !scan_has_word(text, at, schemes[which]))
        which++;
    if (which == COUNT(schemes))
        return;
    size_t end = at + strlen(schemes[which]);
    size_t from = end + scheme_gap(text, end);
    if (from == end || from >= text->len)
        return;
    if (which == 0) {
        mark_bearer(text, from);
        return;
    }
    size_t to = scan_stop(text, STOP_TOKEN, from);
    if (which == 1 ? looks_basic(text, from, to) : scan_looks_random(text, from, to))
        spans_add(text->spans, from, to);
}

// scheme://user:password@host: the password, which may hold unescaped @ and :. A user without a
// password is marked where it looks like a token.
void place_user_info(struct scan_text *text, size_t colon)
{
    if (!starts_with(text, colon, "://"))
        return;
    size_t from = colon + 3;
    size_t end = scan_stop(text, STOP_AUTHORITY, from);
    text->authority_end = end;
    const char *at_sign = memrchr(text->in + from, '@', end - from);
    if (!at_sign)
        return;
    size_t to = (size_t)(at_sign - text->in);
    const char *second = memchr(text->in + from, ':', to - from);
    if (second)
        spans_add(text->spans, (size_t)(second - text->in) + 1, to);
    else if (scan_looks_random(text, from, to))
        spans_add(text->spans, from, to);
}
