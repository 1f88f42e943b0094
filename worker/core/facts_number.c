// SPDX-License-Identifier: Apache-2.0
// Numbers in figures, in words and in Han numerals.
//
// A separator before exactly three figures may group them or begin decimals: both readings are
// kept, the group first. Figures that a blank parts into groups are one number ("1 950"); the
// source is also asked for its pieces (facts.c), since two numbers may stand side by side.
#include "core/facts_inner.h"

#include <string.h>

#define MAX_FIGURES 18

// ------------------------------------------------------------------------------------ decimals

bool decimal_add_figure(struct decimal *decimal, unsigned figure)
{
    if (decimal->digits > UINT64_C(99999999999999999)) // MAX_FIGURES are there
        return false;
    decimal->digits = decimal->digits * 10 + figure;
    return true;
}

void decimal_trim(struct decimal *decimal)
{
    if (decimal->digits == 0)
        decimal->exponent = 0;
    while (decimal->digits && decimal->digits % 10 == 0) {
        decimal->digits /= 10;
        decimal->exponent++;
    }
}

struct decimal decimal_of(uint64_t value)
{
    struct decimal decimal = {.digits = value};
    decimal_trim(&decimal);
    return decimal;
}

struct decimal decimal_shift(struct decimal decimal, int power)
{
    if (decimal.digits)
        decimal.exponent += power;
    return decimal;
}

bool decimal_add(struct decimal *a, struct decimal b)
{
    struct decimal high = a->exponent > b.exponent ? *a : b;
    struct decimal low = a->exponent > b.exponent ? b : *a;
    if (high.digits == 0 || low.digits == 0)
        return *a = high.digits ? high : low, true;
    for (; high.exponent > low.exponent; high.exponent--)
        if (!decimal_add_figure(&high, 0))
            return false;
    if (high.digits + low.digits > UINT64_C(999999999999999999))
        return false;
    *a = (struct decimal){high.digits + low.digits, low.exponent};
    decimal_trim(a);
    return true;
}

int64_t decimal_whole(struct decimal decimal)
{
    if (decimal.exponent < 0)
        return -1;
    for (; decimal.exponent > 0; decimal.exponent--)
        if (!decimal_add_figure(&decimal, 0))
            return -1;
    return (int64_t)decimal.digits;
}

bool decimal_is_small(struct decimal decimal, uint64_t max)
{
    int64_t whole = decimal_whole(decimal);
    return whole >= 0 && (uint64_t)whole <= max;
}

// ------------------------------------------------------------------------------------- figures

static bool is_figure(char c)
{
    return c >= '0' && c <= '9';
}

static size_t run_of_figures(const char *text, size_t len)
{
    size_t run = 0;
    while (run < len && is_figure(text[run]))
        run++;
    return run;
}

#define MAX_GROUPS 8

// Figures in groups, and the separator before each but the first.
struct groups {
    const char *text[MAX_GROUPS];
    size_t len[MAX_GROUPS];
    char separator[MAX_GROUPS];
    size_t count;
    size_t used; // bytes
};

static bool is_separator(char c)
{
    return c == '.' || c == ',' || c == '\'' || c == ' ';
}

static void split_groups(const char *text, size_t len, struct groups *out)
{
    *out = (struct groups){.count = 0};
    size_t at = 0;
    char separator = '\0';
    while (out->count < MAX_GROUPS) {
        size_t run = run_of_figures(text + at, len - at);
        bool point = out->count == 0 && run == 0; // ".05"
        if (run == 0 && !point)
            return;
        bool blank = separator == ' ' || separator == '\'';
        if (blank && (run != 3 || out->len[0] > 3 || out->len[0] == 0))
            return;
        out->text[out->count] = text + at;
        out->len[out->count] = run;
        out->separator[out->count++] = separator;
        at += run;
        out->used = at;
        if (at + 1 >= len || !is_separator(text[at]))
            return;
        separator = text[at++];
    }
}

// The last `drop` groups are left to the next token.
static void drop_groups(struct groups *groups, size_t keep)
{
    groups->count = keep;
    groups->used = (size_t)(groups->text[keep - 1] - groups->text[0]) + groups->len[keep - 1];
}

// All separators but the last are alike and part groups of three (or, as in India, of two).
static bool is_grouped(const struct groups *groups, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        bool last = i + 1 == count;
        size_t len = groups->len[i];
        if (groups->separator[i] != groups->separator[1] ||
            (last ? len != 3 : len != 3 && len != 2))
            return false;
    }
    return groups->len[0] >= 1 && groups->len[0] <= 3;
}

// The groups as one number whose last `decimals` groups are behind the point.
static bool join(const struct groups *groups, size_t decimals, struct decimal *out)
{
    struct decimal decimal = {0, 0};
    for (size_t i = 0; i < groups->count; i++)
        for (size_t k = 0; k < groups->len[i]; k++) {
            if (!decimal_add_figure(&decimal, (unsigned)(groups->text[i][k] - '0')))
                return false;
            decimal.exponent -= i + decimals >= groups->count;
        }
    decimal_trim(&decimal);
    *out = decimal;
    return true;
}

// How many readings the groups have: 1, or 2 where one separator stands before three figures; 0:
// they are no number but a section's ("4.2.1").
static size_t read_groups(const struct groups *groups, struct decimal out[2])
{
    size_t count = groups->count;
    if (count == 1)
        return join(groups, 0, &out[0]);
    char last = groups->separator[count - 1];
    bool decimals = last == '.' || last == ',';
    bool whole = is_grouped(groups, count);
    if (count == 2 && decimals && whole && groups->text[0][0] != '0')
        return join(groups, 0, &out[0]) && join(groups, 1, &out[1]) ? 2 : 0;
    if (whole && groups->text[0][0] != '0')
        return join(groups, 0, &out[0]);
    if (decimals && (count == 2 || (last != groups->separator[1] && is_grouped(groups, count - 1))))
        return join(groups, 1, &out[0]);
    return 0;
}

size_t fact_figures(const char *text, size_t len, struct token *out)
{
    struct groups groups;
    split_groups(text, len, &groups);
    size_t count = read_groups(&groups, out->values);
    // "see 5, 12" and "3 400.5.1": what is no number as a whole begins with one
    while (!count && groups.count > 1 && groups.separator[groups.count - 1] != '.') {
        drop_groups(&groups, groups.count - 1);
        count = read_groups(&groups, out->values);
    }
    out->count = (uint8_t)count;
    out->figures = groups.count == 1 ? (uint8_t)groups.len[0] : 0;
    return groups.used;
}

// --------------------------------------------------------------------------------- German words

static const char *const german_ones[] = {
    "zwei",      "drei",     "vier",     "funf",     "fuenf",    "sechs",    "sieben",   "acht",
    "neun",      "zehn",     "elf",      "zwolf",    "zwoelf",   "dreizehn", "vierzehn", "funfzehn",
    "fuenfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn", "zwanzig",  "dreissig", "vierzig",
    "funfzig",   "fuenfzig", "sechzig",  "siebzig",  "achtzig",  "neunzig",  "ein"};
static const uint8_t german_values[] = {2,  3,  4,  5,  5,  6,  7,  8,  9,  10, 11,
                                        12, 12, 13, 14, 15, 15, 16, 17, 18, 19, 20,
                                        30, 40, 50, 50, 60, 70, 80, 90, 1};

static bool take_text(const char **word, size_t *len, const char *text)
{
    size_t size = strlen(text);
    if (*len < size || memcmp(*word, text, size) != 0)
        return false;
    *word += size;
    *len -= size;
    return true;
}

// The longest of the words below a hundred; 0: none.
static uint64_t take_german_one(const char **word, size_t *len)
{
    size_t best = 0, best_len = 0;
    for (size_t i = 0; i < sizeof(german_values); i++) {
        size_t size = strlen(german_ones[i]);
        if (size > best_len && *len >= size && memcmp(*word, german_ones[i], size) == 0) {
            best = i;
            best_len = size;
        }
    }
    *word += best_len;
    *len -= best_len;
    return best_len ? german_values[best] : 0;
}

// "einundzwanzig", "zwolf"; 0: none.
static uint64_t take_german_tens(const char **word, size_t *len)
{
    uint64_t value = take_german_one(word, len);
    const char *rest = *word;
    size_t rest_len = *len;
    if (value == 0 || value > 9 || !take_text(&rest, &rest_len, "und"))
        return value;
    uint64_t tens = take_german_one(&rest, &rest_len);
    if (tens < 20)
        return value;
    *word = rest;
    *len = rest_len;
    return tens + value;
}

static uint64_t take_german_hundreds(const char **word, size_t *len)
{
    uint64_t value = take_german_tens(word, len);
    if (!take_text(word, len, "hundert"))
        return value;
    take_text(word, len, "und");
    uint64_t rest = take_german_tens(word, len);
    return (value ? value : 1) * 100 + rest;
}

static uint8_t german_unit(const char *ending, size_t len)
{
    static const struct {
        const char *stem;
        uint8_t unit;
    } stems[] = {{"jahr", UNIT_YEAR}, {"monat", UNIT_MONTH}, {"woch", UNIT_WEEK},
                 {"tag", UNIT_DAY},   {"stund", UNIT_HOUR},  {"minut", UNIT_MINUTE}};
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++)
        if (take_text(&ending, &len, stems[i].stem))
            return stems[i].unit;
    return 0;
}

// By its first two letters, since every unknown word is asked for.
static bool may_be_german(const char *word)
{
    static const char pairs[] = "zw dr vi fu se si ac ne ze el ei hu ta";
    for (const char *pair = pairs;; pair += 3) {
        if (pair[0] == word[0] && pair[1] == word[1])
            return true;
        if (pair[2] == '\0')
            return false;
    }
}

bool fact_german_number(const char *word, size_t len, struct token *out)
{
    if (len < 5 || !may_be_german(word))
        return false;
    uint64_t value = take_german_hundreds(&word, &len);
    const char *rest = word;
    if (take_text(&word, &len, "tausend")) {
        take_text(&word, &len, "und");
        value = (value ? value : 1) * 1000 + take_german_hundreds(&word, &len);
    } else if (value == 0 || rest != word) {
        return false;
    }
    out->unit = len ? german_unit(word, len) : 0;
    if (len && !out->unit)
        return false;
    out->values[0] = decimal_of(value);
    out->count = 1;
    out->worded = true;
    return true;
}

// --------------------------------------------------------------------------------- Han numerals

// 0 to 9, or 10 plus the power of ten; -1: no numeral.
static int han_figure(uint32_t c)
{
    static const struct {
        uint32_t c;
        int8_t value;
    } figures[] = {
        {0x3007, 0},  {0x96F6, 0},  {0x4E00, 1},  {0x58F9, 1},  {0x58F1, 1},  {0x4E8C, 2},
        {0x8D30, 2},  {0x5F10, 2},  {0x4E24, 2},  {0x5169, 2},  {0x8CB3, 2},  {0x4E09, 3},
        {0x53C1, 3},  {0x53C2, 3},  {0x53C4, 3},  {0x56DB, 4},  {0x8086, 4},  {0x4E94, 5},
        {0x4F0D, 5},  {0x516D, 6},  {0x9646, 6},  {0x9678, 6},  {0x4E03, 7},  {0x67D2, 7},
        {0x6F06, 7},  {0x516B, 8},  {0x634C, 8},  {0x4E5D, 9},  {0x7396, 9},  {0x5341, 11},
        {0x62FE, 11}, {0x767E, 12}, {0x4F70, 12}, {0x5343, 13}, {0x4EDF, 13}, {0x9621, 13},
        {0x4E07, 14}, {0x842C, 14}, {0x4EBF, 18}, {0x5104, 18}, {0x5146, 22}};
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        if (figures[i].c == c)
            return figures[i].value;
    return -1;
}

static uint64_t power_of_ten(int power)
{
    uint64_t value = 1;
    for (; power > 0; power--)
        value *= 10;
    return value;
}

// A numeral as it is read: 二十五万三千 is section 25, then total 250000 and section 3000.
struct han_number {
    uint64_t total, section, figure;
    size_t figures, length; // figures in a row; characters
    bool scaled, begun, ended;
};

static void han_scale(struct han_number *number, int power)
{
    uint64_t scale = power_of_ten(power);
    uint64_t one = number->begun ? number->figure : 1;
    number->scaled = true;
    if (power < 4) {
        number->section += (one ? one : 1) * scale;
    } else {
        uint64_t section = number->section + number->figure;
        number->ended = section == 0 || section > 100000000 || number->total > 100000000;
        if (!number->ended)
            number->total =
                (power == 8 ? (number->total + section) * scale : number->total + section * scale);
        number->section = 0;
    }
    number->figure = 0;
    number->figures = 0;
    number->begun = false;
}

static void han_one(struct han_number *number, int value)
{
    number->figure = number->figure * 10 + (unsigned)value;
    number->figures++;
    number->begun = value > 0 || number->figures > 1;
    number->ended = number->figures > 9 || (number->scaled && number->figures > 2);
}

size_t fact_han_number(const char *text, size_t len, struct token *out)
{
    struct han_number number = {.total = 0};
    size_t at = 0;
    while (at + 3 <= len && number.length < 24) {
        const unsigned char *c = (const unsigned char *)text + at;
        if ((*c & 0xF0) != 0xE0)
            break;
        int value = han_figure((uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 |
                               (uint32_t)(c[2] & 0x3F));
        if (value < 0 || (value >= 14 && number.length == 0) || value > 18)
            break;
        if (value >= 10)
            han_scale(&number, value - 10);
        else
            han_one(&number, value);
        if (number.ended)
            return 0;
        number.length++;
        at += 3;
    }
    if (number.length == 0)
        return 0;
    out->values[0] = decimal_of(number.total + number.section + number.figure);
    out->count = 1;
    out->worded = true;
    out->figures = number.scaled ? 0 : (uint8_t)number.length;
    return at;
}

// ------------------------------------------------------------------------------ number words

// A number in words as it is read.
struct spelled {
    uint64_t total, current;
    uint64_t room; // the next word below a hundred has to be smaller
    uint64_t last; // scale: the next has to be smaller
    int tokens;
};

static bool spell_small(struct spelled *number, const struct fact_word *word)
{
    // quatre-vingt(s): four twenties
    bool twenties = word->text[0] == 'v' && word->text[1] == 'i' && word->text[2] == 'n' &&
                    number->current % 100 == 4 && number->tokens > 0;
    if (twenties) {
        number->current += 76;
        number->room = 20;
        return true;
    }
    if (number->tokens > 0 && word->value >= number->room)
        return false;
    number->current += word->value;
    bool french_sixty = word->value == 60;
    bool french_ten = word->len == 3 && memcmp(word->text, "dix", 3) == 0; // dix-sept
    number->room = word->value >= 20 ? (french_sixty ? 20 : 10) : french_ten ? 10 : 0;
    return true;
}

static bool spell_hundreds(struct spelled *number, const struct fact_word *word)
{
    uint64_t small = number->current % 1000;
    bool alone = word->value > 100 || small == 0;
    if (alone ? small != 0 : small > 99)
        return false;
    number->current = alone ? number->current + word->value : number->current - small + small * 100;
    number->room = 100;
    return true;
}

static bool spell_scale(struct spelled *number, const struct fact_word *word)
{
    uint64_t scale = power_of_ten(word->value);
    if (scale >= number->last || scale < 1000)
        return false;
    number->total += (number->current ? number->current : 1) * scale;
    number->current = 0;
    number->room = 100;
    number->last = scale;
    return true;
}

static bool spell(struct spelled *number, const struct token *token, bool first)
{
    const struct fact_word *word;
    if (token->kind == TOKEN_NUMBER && token->worded && token->count == 1 && !token->unit) {
        int64_t value = decimal_whole(token->values[0]); // a German word
        if (!first || value < 0)
            return false;
        number->current = (uint64_t)value;
        number->room = 0;
        return true;
    }
    if (token->kind != TOKEN_WORD)
        return false;
    if ((word = fact_word_as(token, MEANS_NUMBER)))
        return spell_small(number, word);
    if (first && (word = fact_word_as(token, MEANS_ONE)) && word->len > 1) {
        number->current = 1;
        number->room = 0;
        return true;
    }
    if ((word = fact_word_as(token, MEANS_HUNDREDS)))
        return spell_hundreds(number, word);
    return (word = fact_word_as(token, MEANS_SCALE)) && spell_scale(number, word);
}

// "and", "et", "y" and hyphens inside a number.
static bool is_joint(const struct token *token)
{
    static const char *const joints[] = {"and", "et", "y", "und"};
    if (fact_token_is(token, '-'))
        return token->glued;
    for (size_t i = 0; token->word && i < sizeof(joints) / sizeof(joints[0]); i++)
        if (strcmp(token->word->text, joints[i]) == 0)
            return true;
    return false;
}

static void spelled_figure(const struct fact_scan *scan, int ahead, struct figure *out)
{
    struct spelled number = {.last = UINT64_MAX, .room = 100};
    bool word_one = false;
    while (number.tokens < 16) {
        const struct token *token = fact_token(scan, ahead + number.tokens);
        int skip = number.tokens > 0 && is_joint(token);
        const struct token *next = fact_token(scan, ahead + number.tokens + skip);
        struct spelled tried = number;
        if (!spell(&tried, next, number.tokens == 0) ||
            (skip && number.room == 0 && token->kind == TOKEN_WORD))
            break;
        if (number.tokens == 0)
            word_one = fact_word_as(next, MEANS_ONE) && !fact_word_as(next, MEANS_NUMBER);
        tried.tokens += 1 + skip;
        number = tried;
    }
    // "a", "ein" alone is an article, except before a unit
    const struct token *behind = fact_token(scan, ahead + number.tokens);
    if (number.tokens == 0 || (word_one && number.tokens == 1 && !fact_word_as(behind, MEANS_UNIT)))
        return;
    out->values[0] = decimal_of(number.total + number.current);
    out->count = 1;
    out->tokens = number.tokens;
    out->worded = true;
}

// ---------------------------------------------------------------------------- number and scale

// Han scales and further figures behind figures: "1億2,000万", "3万5千".
static void add_han_scales(const struct fact_scan *scan, int ahead, struct figure *figure)
{
    struct decimal total = {0, 0};
    int last = 99, tokens = figure->tokens;
    struct decimal part = figure->values[0];
    for (;;) {
        const struct token *scale = fact_token(scan, ahead + tokens);
        const struct fact_word *word =
            scale->kind == TOKEN_HAN && scale->glued ? fact_word_as(scale, MEANS_SCALE) : NULL;
        if (!word || word->value >= last || !decimal_add(&total, decimal_shift(part, word->value)))
            break;
        last = word->value;
        figure->tokens = ++tokens;
        figure->values[0] = total;
        figure->count = 1;
        const struct token *next = fact_token(scan, ahead + tokens);
        struct decimal more = total;
        if (next->kind != TOKEN_NUMBER || !next->glued || next->count == 0)
            break;
        part = next->values[0];
        tokens++;
        bool scaled = fact_word_as(fact_token(scan, ahead + tokens), MEANS_SCALE);
        if (!scaled && decimal_add(&more, part)) {
            figure->values[0] = more;
            figure->tokens = tokens;
            break;
        }
    }
}

static void add_scale(const struct fact_scan *scan, int ahead, struct figure *figure)
{
    const struct token *token = fact_token(scan, ahead + figure->tokens);
    const struct fact_word *word = NULL;
    if (token->kind == TOKEN_HAN) {
        add_han_scales(scan, ahead, figure);
        return;
    }
    if (token->kind == TOKEN_WORD && !figure->worded)
        word = fact_word_as(token, MEANS_SCALE);
    if (!word && token->glued && token->kind == TOKEN_WORD) {
        word = fact_word_as(token, MEANS_LETTER);
        figure->letter = word != NULL;
    }
    if (!word)
        return;
    struct decimal bare = figure->values[0];
    for (size_t i = 0; i < figure->count; i++)
        figure->values[i] = decimal_shift(figure->values[i], word->value);
    if (figure->letter)
        figure->values[figure->count++] = bare;
    figure->tokens++;
    const struct token *point = fact_token(scan, ahead + figure->tokens);
    bool abbreviated = fact_token_is(point, '.') && point->glued && word->len <= 4;
    const struct token *after = fact_token(scan, ahead + figure->tokens + 1);
    if (abbreviated && fact_word_as(after, MEANS_CURRENCY)) // "2,5 Mio. EUR"
        figure->tokens++;
}

struct figure fact_figure_at(const struct fact_scan *scan, int ahead)
{
    struct figure figure = {.count = 0};
    const struct token *token = fact_token(scan, ahead);
    bool german = token->worded && !token->unit && token->sign == 0;
    if (token->kind == TOKEN_NUMBER && !german) {
        figure.count = token->count;
        memcpy(figure.values, token->values, sizeof(token->values));
        figure.tokens = token->count > 0;
        figure.worded = token->worded;
        figure.unit = token->unit;
        int64_t year = token->count ? decimal_whole(token->values[0]) : -1;
        figure.year = token->figures == 4 && year >= 1900 && year < 2200;
    } else if (token->kind == TOKEN_WORD || token->kind == TOKEN_NUMBER) {
        spelled_figure(scan, ahead, &figure);
    }
    if (figure.tokens)
        add_scale(scan, ahead, &figure);
    return figure;
}
