// SPDX-License-Identifier: Apache-2.0
// Cuts a text into words, numbers, dates in figures, Han characters and signs.
//
// Words are folded: small letters, no marks, full-width forms as plain ones, "S.A." as one word, a
// word that is broken over two lines joined. The hash of a word is that of its stem, so that
// "Stadtwerken" is "Stadtwerke" and "Mueller" is "Müller". Han and Kana stand alone, except where
// several make a word of the table, or a numeral. Only a window of tokens is held.
#include "core/facts_inner.h"

#include <string.h>

#include <utf8proc.h>

#include "core/visible.h"

#define WORD_BYTES   96 // of a folded word; the rest of a longer one counts for nothing
#define FIGURE_BYTES 40 // of a number or a date

static bool in_range(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

bool fact_is_han(uint32_t c)
{
    return in_range(c, 0x2E80, 0x2FDF) || in_range(c, 0x3005, 0x3007) ||
           in_range(c, 0x3040, 0x30FF) || in_range(c, 0x3400, 0x9FFF) ||
           in_range(c, 0xF900, 0xFAFF) || in_range(c, 0x20000, 0x3FFFF);
}

static bool is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || in_range(c, '\t', '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || in_range(c, 0x2000, 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

static bool is_line_end(uint32_t c)
{
    return c == '\n' || c == '\r' || c == '\f' || c == 0x2028;
}

static bool is_ignored(uint32_t c)
{
    return c == 0xAD || c == 0x200C || c == 0x200D || in_range(c, 0xFE00, 0xFE0F) ||
           visible_is_hidden(c);
}

static bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2018 || c == 0x2019 || c == 0x02BC;
}

// Dashes, full-width forms and other variants as one plain sign.
static uint32_t plain(uint32_t c)
{
    if (c < 0x80)
        return c;
    if (in_range(c, 0xFF01, 0xFF5E))
        return c - 0xFEE0;
    if (in_range(c, 0x2010, 0x2015) || c == 0x2212)
        return '-';
    if (is_apostrophe(c))
        return '\'';
    return c == 0xFFE5 ? 0xA5 : c == 0xFFE0 ? 0xA2 : c;
}

static uint32_t peek(const struct fact_scan *scan, size_t at, size_t *out_bytes)
{
    *out_bytes = 0;
    if (at >= scan->len)
        return 0;
    unsigned char c = (unsigned char)scan->text[at];
    if (c < 0x80) {
        *out_bytes = 1;
        return c;
    }
    return plain(visible_decode(scan->text + at, scan->len - at, out_bytes));
}

static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return in_range(c | 0x20, 'a', 'z');
    if (fact_is_han(c))
        return false;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MC;
}

static bool is_figure(uint32_t c)
{
    return in_range(c, '0', '9');
}

// ------------------------------------------------------------------------------------- words

struct folded {
    char text[WORD_BYTES];
    size_t len;
    size_t letters;
    bool capital;
    bool dotted;       // "U.S"
    size_t apostrophe; // where one was, 0: nowhere
};

static void fold_other(struct folded *out, uint32_t c)
{
    utf8proc_int32_t parts[18];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)c, parts, 18,
                                (utf8proc_option_t)(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT |
                                                    UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK),
                                &boundary);
    for (utf8proc_ssize_t i = 0; i < count && count <= 18; i++) {
        unsigned char bytes[4];
        size_t len = (size_t)utf8proc_encode_char(parts[i], bytes);
        if (out->len + len > sizeof(out->text))
            return;
        memcpy(out->text + out->len, bytes, len);
        out->len += len;
    }
}

static void fold(struct folded *out, uint32_t c)
{
    if (out->letters++ == 0)
        out->capital = c < 0x80 ? in_range(c, 'A', 'Z')
                                : utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LU;
    if (c >= 0x80)
        fold_other(out, c);
    else if (out->len < sizeof(out->text))
        out->text[out->len++] = (char)(in_range(c, 'A', 'Z') ? c | 0x20 : c);
}

// A word broken over two lines goes on in small letters: where it does, else 0.
static size_t rest_of_word(const struct fact_scan *scan, size_t at)
{
    size_t bytes;
    bool line = false;
    uint32_t c = peek(scan, at, &bytes);
    while (bytes && (is_space(c) || is_ignored(c))) {
        line |= is_line_end(c);
        at += bytes;
        c = peek(scan, at, &bytes);
    }
    bool small = c < 0x80 ? in_range(c, 'a', 'z')
                          : utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LL;
    return line && bytes && small ? at : 0;
}

// Behind the sign at `at`, which may stand inside a word: where the word goes on, else 0.
static size_t after_inner_sign(const struct fact_scan *scan, size_t at, uint32_t sign,
                               size_t sign_bytes, const struct folded *word)
{
    size_t bytes, next = at + sign_bytes;
    uint32_t c = peek(scan, next, &bytes);
    if (is_ignored(sign))
        return next;
    if (sign == '\'') // "John's" is one word, "l'accord" two
        return word->letters > 1 && bytes && is_letter(c) ? next : 0;
    if (sign == '-')
        return rest_of_word(scan, next);
    if (sign != '.' || !bytes || !is_letter(c))
        return 0;
    // "S.A.", "e.V.", "U.S.": single letters with full stops between
    bool single = word->letters == 1 || (at > 1 && scan->text[at - 2] == '.');
    size_t more;
    uint32_t after = peek(scan, next + bytes, &more);
    return single && !(more && is_letter(after)) ? next : 0;
}

// ASCII letters and figures, which most words are made of.
static void fold_plain(struct fact_scan *scan, struct folded *out)
{
    if (out->letters == 0 && scan->at < scan->len)
        out->capital = in_range((unsigned char)scan->text[scan->at], 'A', 'Z');
    for (; scan->at < scan->len; scan->at++) {
        unsigned char c = (unsigned char)scan->text[scan->at];
        bool upper = in_range(c, 'A', 'Z');
        if (!upper && !in_range(c, 'a', 'z') && !is_figure(c))
            return;
        if (out->len < sizeof(out->text))
            out->text[out->len++] = (char)(upper ? c | 0x20 : c);
        out->letters++;
    }
}

static void read_word(struct fact_scan *scan, struct folded *out)
{
    out->len = out->letters = out->apostrophe = 0;
    out->capital = out->dotted = false;
    for (;;) {
        fold_plain(scan, out);
        size_t bytes;
        uint32_t c = peek(scan, scan->at, &bytes);
        size_t next = scan->at + bytes;
        if (!bytes || is_space(c))
            return;
        if (is_letter(c) || is_figure(c)) {
            fold(out, c);
        } else {
            next = after_inner_sign(scan, scan->at, c, bytes, out);
            out->dotted |= next && c == '.';
            if (next && c == '\'')
                out->apostrophe = out->len;
            if (!next) {
                scan->at += out->dotted && c == '.' ? bytes : 0;
                return;
            }
        }
        scan->at = next;
    }
}

// Without the endings that cases and plurals add.
static size_t stem_len(const struct folded *word)
{
    size_t len = word->len;
    const char *text = word->text;
    if (len > 4 && text[len - 1] == 's')
        len--;
    if (len > 4 && text[len - 1] == 'n')
        len--;
    if (len > 4 && text[len - 1] == 'e')
        len--;
    return len;
}

static bool is_transcribed(const char *text, size_t at)
{
    return at > 0 && text[at] == 'e' &&
           (text[at - 1] == 'a' || text[at - 1] == 'o' || text[at - 1] == 'u');
}

static uint64_t hash_of(const struct folded *word)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t len = stem_len(word);
    for (size_t i = 0; i < len; i++)
        if (!is_transcribed(word->text, i))
            hash = (hash ^ (unsigned char)word->text[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 29;
}

static void take_word(struct fact_scan *scan, struct token *token)
{
    struct folded word;
    read_word(scan, &word);
    if (word.apostrophe && word.len == word.apostrophe + 1 && word.text[word.len - 1] == 's')
        word.len--; // "the Seller's"
    token->kind = TOKEN_WORD;
    token->capital = word.capital;
    fact_words_find(scan->words, word.text, word.len, token);
    token->hash = hash_of(&word);
    if (!token->word && fact_german_number(word.text, word.len, token))
        token->kind = TOKEN_NUMBER;
}

// ------------------------------------------------------------------------------- Han and Kana

// The longest word of the table, of two characters or more, that begins here; the bytes, 0: none.
static size_t take_long_word(const struct fact_scan *scan, struct token *token)
{
    size_t ends[8], count = 0, at = scan->at, bytes;
    for (uint32_t c = peek(scan, at, &bytes); bytes && count < 8; c = peek(scan, at, &bytes)) {
        if (!fact_is_han(c))
            break;
        at += bytes;
        ends[count++] = at;
    }
    for (; count > 1; count--) {
        size_t len = ends[count - 1] - scan->at;
        fact_words_find(scan->words, scan->text + scan->at, len, token);
        if (token->word)
            return len;
    }
    return 0;
}

static void take_han(struct fact_scan *scan, struct token *token, uint32_t c, size_t bytes)
{
    const char *text = scan->text + scan->at;
    token->kind = TOKEN_HAN;
    token->sign = c;
    bool known = fact_words_may_begin(scan->words, c);
    size_t used = known ? take_long_word(scan, token) : 0;
    if (!used && known)
        fact_words_find(scan->words, text, bytes, token);
    bool scale = scan->after_number && token->glued && fact_word_as(token, MEANS_SCALE);
    size_t numeral = used || scale ? 0 : fact_han_number(text, scan->len - scan->at, token);
    if (numeral) {
        token->kind = TOKEN_NUMBER;
        token->word = NULL;
        token->meanings = 0;
        used = numeral;
    }
    scan->at += used ? used : bytes;
}

// ------------------------------------------------------------------------------------- tokens

// Figures with all that may be among them, in plain ASCII, and where each character began.
struct plain_figures {
    char text[FIGURE_BYTES + 1];
    size_t at[FIGURE_BYTES + 1];
    size_t len;
};

static void copy_figures(const struct fact_scan *scan, struct plain_figures *out)
{
    size_t at = scan->at, bytes;
    for (out->len = 0; out->len < FIGURE_BYTES; at += bytes) {
        uint32_t c = peek(scan, at, &bytes);
        if (bytes && c >= 0x80 && is_space(c) && !is_line_end(c))
            c = ' ';
        if (!bytes || c >= 0x80)
            break;
        out->at[out->len] = at;
        out->text[out->len++] = (char)c;
    }
    out->at[out->len] = at;
    out->text[out->len] = '\0';
}

static void take_figures(struct fact_scan *scan, struct token *token)
{
    struct plain_figures figures;
    copy_figures(scan, &figures);
    size_t used = fact_figure_date(figures.text, figures.len, token);
    token->kind = used ? TOKEN_DATE : TOKEN_NUMBER;
    if (!used)
        used = fact_figures(figures.text, figures.len, token);
    scan->at = figures.at[used];
}

static void take_sign(struct fact_scan *scan, struct token *token, uint32_t c, size_t bytes)
{
    token->kind = TOKEN_SIGN;
    token->sign = c;
    char plain_text[4];
    size_t len = (size_t)utf8proc_encode_char((utf8proc_int32_t)c, (utf8proc_uint8_t *)plain_text);
    fact_words_find(scan->words, plain_text, len, token);
    scan->at += bytes;
}

// A number may begin with its decimal point: "$.05".
static bool begins_number(const struct fact_scan *scan, uint32_t c, bool glued, size_t bytes)
{
    if (is_figure(c))
        return true;
    size_t more;
    if (c != '.' || !is_figure(peek(scan, scan->at + bytes, &more)))
        return false;
    return !glued || (scan->at > 0 && scan->text[scan->at - 1] == '$');
}

// False at the end of the text.
static bool next_token(struct fact_scan *scan, struct token *token)
{
    size_t bytes;
    *token = (struct token){.glued = true, .line = scan->at == 0};
    uint32_t c = peek(scan, scan->at, &bytes);
    for (; bytes && (is_space(c) || is_ignored(c)); c = peek(scan, scan->at, &bytes)) {
        token->glued &= !is_space(c);
        token->line |= is_line_end(c);
        scan->at += bytes;
    }
    if (!bytes)
        return false;
    token->at = scan->at;
    if (begins_number(scan, c, token->glued, bytes))
        take_figures(scan, token);
    else if (fact_is_han(c))
        take_han(scan, token, c, bytes);
    else if (is_letter(c))
        take_word(scan, token);
    else
        take_sign(scan, token, c, bytes);
    token->end = scan->at;
    bool scale = fact_word_as(token, MEANS_SCALE) && scan->after_number && token->glued;
    scan->after_number = (token->kind == TOKEN_NUMBER && !token->worded) || scale;
    return true;
}

// ------------------------------------------------------------------------------------- window

void fact_scan_init(struct fact_scan *scan, const struct fact_words *words, const char *text,
                    size_t len)
{
    scan->words = words;
    scan->text = text;
    scan->len = len;
    scan->at = scan->first = scan->count = 0;
    scan->after_number = false;
}

bool fact_scan_ready(struct fact_scan *scan)
{
    if (scan->first + FACTS_AHEAD < scan->count)
        return true;
    if (scan->at < scan->len) {
        size_t keep = scan->first > FACTS_BEHIND ? scan->first - FACTS_BEHIND : 0;
        memmove(scan->tokens, scan->tokens + keep, (scan->count - keep) * sizeof(struct token));
        scan->first -= keep;
        scan->count -= keep;
        while (scan->count < FACTS_WINDOW && next_token(scan, &scan->tokens[scan->count]))
            scan->count++;
    }
    return scan->first < scan->count;
}

void fact_scan_skip(struct fact_scan *scan, size_t tokens)
{
    size_t left = scan->count - scan->first;
    scan->first += tokens < left ? tokens : left;
}

const struct token *fact_token(const struct fact_scan *scan, int ahead)
{
    static const struct token none = {.kind = TOKEN_END};
    size_t back = ahead < 0 ? (size_t)-ahead : 0, forward = ahead > 0 ? (size_t)ahead : 0;
    if (back > scan->first || scan->first + forward - back >= scan->count)
        return &none;
    return &scan->tokens[scan->first + forward - back];
}

bool fact_token_is(const struct token *token, uint32_t sign)
{
    return token->kind == TOKEN_SIGN && token->sign == sign;
}

bool fact_is_cut(const struct fact_scan *scan, int ahead)
{
    const struct token *token = fact_token(scan, ahead);
    if (!token->glued)
        return false;
    return fact_token_is(token, 0x2026) ||
           (fact_token_is(token, '.') && fact_token_is(fact_token(scan, ahead + 1), '.'));
}
