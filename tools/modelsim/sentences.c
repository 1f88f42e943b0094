// SPDX-License-Identifier: Apache-2.0
// Finds where sentences end, and weighs them by what contracts and reports are read for.
#include "sentences.h"

#include "buf.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_CHARS = 120 };

size_t utf8_chars(const char *text, size_t len)
{
    size_t chars = 0;
    for (size_t i = 0; i < len; i++)
        chars += ((unsigned char)text[i] & 0xC0) != 0x80;
    return chars;
}

size_t utf8_prefix(const char *text, size_t len, size_t chars)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80 && chars-- == 0)
            return i;
    return len;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts(const char *at, const char *end, const char *with)
{
    size_t len = strlen(with);
    return (size_t)(end - at) >= len && memcmp(at, with, len) == 0;
}

static bool any_of(const char *at, const char *end, const char *const *list)
{
    for (; *list; list++)
        if (starts(at, end, *list))
            return true;
    return false;
}

// --- where a sentence ends

// "Inc." and "e.g." and "J." end no sentence; nor does the number of a list item.
static bool is_abbreviation(const char *from, const char *dot)
{
    static const char *const shorts[] = {"Inc", "No", "Mr",     "Mrs", "Ms",  "Dr",
                                         "Ltd", "Co", "Corp",   "vs",  "Art", "Sec",
                                         "St",  "al", "approx", "cf",  NULL};
    const char *word = dot;
    while (word > from && !is_space(word[-1]) && word[-1] != '(' && word[-1] != '"')
        word--;
    size_t len = (size_t)(dot - word);
    if (len <= 1 || memchr(word, '.', len))
        return true;
    bool number = true;
    for (size_t i = 0; i < len; i++)
        number = number && is_digit(word[i]);
    if (number && word == from)
        return true;
    for (const char *const *s = shorts; *s; s++)
        if (strlen(*s) == len && memcmp(*s, word, len) == 0)
            return true;
    return false;
}

static const char *skip_closers(const char *at, const char *end)
{
    static const char *const closers[] = {"\"", "'",  ")",  "]",  "”", "’",
                                          "」", "』", "）", "》", NULL};
    while (at < end && any_of(at, end, closers))
        at += (unsigned char)*at < 0x80 ? 1 : 3;
    return at;
}

// A new line ends a sentence when the next one is empty or begins a list item or heading.
static bool line_breaks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    if (at >= end || *at == '\n' || *at == '#' || *at == '*' || *at == '|')
        return true;
    if (*at == '-' || starts(at, end, "•"))
        return true;
    if (*at == '(' && end - at > 2 && at[2] == ')')
        return true;
    const char *digit = at;
    while (digit < end && (is_digit(*digit) || *digit == '.'))
        digit++;
    return digit > at && digit < end && (*digit == ' ' || *digit == ')') && digit[-1] == '.';
}

// Where the sentence ends that runs through `at`, or NULL when it goes on.
static const char *end_here(const char *from, const char *at, const char *end, bool clauses)
{
    static const char *const wide[] = {"。", "！", "？", NULL};
    static const char *const wide_clauses[] = {"，", "；", "：", NULL};
    char c = *at;
    if (c == '\n')
        return line_breaks(at + 1, end) ? at : NULL;
    if (c == '.' || c == '!' || c == '?') {
        const char *after = skip_closers(at + 1, end);
        bool stops = after >= end || is_space(*after);
        return stops && !(c == '.' && is_abbreviation(from, at)) ? after : NULL;
    }
    if ((c == ',' || c == ';') && clauses)
        return at + 1 < end && is_space(at[1]) ? at : NULL;
    if ((unsigned char)c != 0xE3 && (unsigned char)c != 0xEF)
        return NULL;
    if (any_of(at, end, wide))
        return skip_closers(at + 3, end);
    return clauses && any_of(at, end, wide_clauses) ? at : NULL;
}

// --- what a sentence is worth

static bool is_keyword(const char *at, const char *end)
{
    static const char *const words[] = {
        "shall",     "must",      "agree",    "terminat", "pay",     "fee",    "liab",
        "confiden",  "effective", "notice",   "warrant",  "indemn",  "renew",  "deliver",
        "penalt",    "law",       "increase", "decrease", "revenue", "profit", "because",
        "therefore", "result",    "found",    "total",    "require", "oblig",  "breach",
        "price",     "term ",     "percent",  "govern",   NULL};
    static const char *const *const end_of_words = words + sizeof words / sizeof words[0] - 1;
    for (const char *const *w = words; w < end_of_words; w++)
        if (**w == *at && starts(at, end, *w))
            return true;
    return false;
}

static bool is_wide_keyword(const char *at, const char *end)
{
    static const char *const words[] = {"应当", "支付", "终止", "违约", "责任", "期限",
                                        "保密", "金额", "费用", "必须", "不得", "交付",
                                        "价格", "增长", "合同", "通知", NULL};
    return any_of(at, end, words);
}

// Fragments, list leftovers and markup are worth less.
static int form_points(const struct sentence *s)
{
    static const char *const ends[] = {".", "!", "?", "\"", ")", "”", "。", "！", "？", NULL};
    const char *last = s->at + s->len - 1;
    while (last > s->at && ((unsigned char)*last & 0xC0) == 0x80)
        last--;
    int points = any_of(last, s->at + s->len, ends) ? 0 : -5;
    if (*s->at >= 'a' && *s->at <= 'z')
        points -= 5;
    if (memchr(s->at, '<', s->len) || memchr(s->at, '|', s->len) || memchr(s->at, '_', s->len))
        points -= 4;
    return points;
}

static int score(const struct sentence *s)
{
    const char *end = s->at + s->len;
    int keywords = 0, digits = 0, lower = 0, wide = 0;
    for (const char *at = s->at; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        digits += is_digit(*at);
        lower += *at >= 'a' && *at <= 'z';
        wide += c >= 0xE4 && c <= 0xE9;
        if (c >= 'a' && (at == s->at || !is_letter(at[-1])))
            keywords += c < 0x80 ? is_keyword(at, end) : c >= 0xE4 && is_wide_keyword(at, end);
    }
    int points = 3 * (keywords > 4 ? 4 : keywords) + (digits > 0 ? 3 : 0) + form_points(s);
    if (s->chars > 240)
        points -= 6;
    if (s->chars < (wide > 4 ? 10U : 35U))
        points -= 10;
    if (lower * 2 < (int)s->chars && wide < 4)
        points -= 10; // a heading, a table, a row of numbers
    return points;
}

// --- taking them

// Leaves out "1.2 ", "(a) ", "- ", "## " in front.
static const char *skip_item_mark(const char *at, const char *end)
{
    const char *p = at;
    while (p < end &&
           (*p == '#' || *p == '*' || *p == '-' || *p == '>' || *p == '|' || is_space(*p)))
        p++;
    const char *number = p;
    while (p < end && (is_digit(*p) || *p == '.'))
        p++;
    if (p > number && p < end && *p == ' ' && p[-1] == '.')
        return p + 1;
    if (end - number > 3 && number[0] == '(' && number[2] == ')' && number[3] == ' ')
        return number + 4;
    return number;
}

static const char *skip_separators(const char *at, const char *end)
{
    static const char *const wide[] = {"，", "；", "：", NULL};
    while (at < end) {
        if (is_space(*at) || *at == ',' || *at == ';')
            at++;
        else if (any_of(at, end, wide))
            at += 3;
        else
            break;
    }
    return at;
}

static void take(struct sentences *list, const char *from, const char *to)
{
    from = skip_item_mark(from, to);
    while (from < to && is_space(*from))
        from++;
    while (to > from && is_space(to[-1]))
        to--;
    size_t len = (size_t)(to - from);
    if (len < 2 || memmem(from, len, "[[sim:", 6))
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = must_realloc(list->items, list->cap * sizeof *list->items);
    }
    struct sentence *s = &list->items[list->count++];
    *s = (struct sentence){.at = from, .len = len, .chars = utf8_chars(from, len)};
    s->score = score(s);
}

static void add_pieces(struct sentences *sentences, const char *text, size_t len)
{
    while (len > 0) {
        size_t piece = utf8_prefix(text, len, PIECE_CHARS);
        size_t back = piece;
        while (piece < len && back > piece / 2 && !is_space(text[back]))
            back--;
        if (piece < len && back > piece / 2)
            piece = back;
        take(sentences, text, text + piece);
        text += piece;
        len -= piece;
    }
}

void sentences_add(struct sentences *sentences, const char *text, size_t len, enum grain grain)
{
    const char *end = text + len;
    const char *from = text;
    if (grain == GRAIN_PIECES) {
        add_pieces(sentences, text, len);
        return;
    }
    for (const char *at = text; at < end; at++) {
        if (is_letter(*at) || *at == ' ')
            continue;
        const char *stop = end_here(from, at, end, grain == GRAIN_CLAUSES);
        if (!stop)
            continue;
        take(sentences, from, stop);
        from = skip_separators(stop, end);
        if (from > at)
            at = from - 1;
    }
    take(sentences, from, end);
}

void sentences_clear(struct sentences *sentences)
{
    sentences->count = 0;
}

void sentences_free(struct sentences *sentences)
{
    free(sentences->items);
    *sentences = (struct sentences){0};
}
