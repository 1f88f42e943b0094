// SPDX-License-Identifier: Apache-2.0
// Looks at each byte of each sentence: does a date or an amount begin here?
#include "facts.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// What is left of a sentence.
struct text {
    const char *at, *end;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static void skip_blanks(struct text *text)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' || *text->at == '\t'))
        text->at++;
    if (text->end - text->at >= 2 && memcmp(text->at, "\xc2\xa0", 2) == 0)
        text->at += 2;
}

// Takes `word`, in whatever case, if it is next.
static bool take(struct text *text, const char *word)
{
    size_t len = strlen(word);
    if ((size_t)(text->end - text->at) < len || strncasecmp(text->at, word, len) != 0)
        return false;
    text->at += len;
    return true;
}

// Takes a number of `least` to `most` digits.
static bool take_number(struct text *text, int least, int most, int *out)
{
    int digits = 0, value = 0;
    while (text->at + digits < text->end && is_digit(text->at[digits]) && digits <= most)
        value = value * 10 + (text->at[digits++] - '0');
    if (digits < least || digits > most)
        return false;
    text->at += digits;
    *out = value;
    return true;
}

// --- dates

static const struct {
    const char *word;
    int month;
} months[] = {
    {"january", 1},   {"february", 2},   {"march", 3},      {"april", 4},     {"may", 5},
    {"june", 6},      {"july", 7},       {"august", 8},     {"september", 9}, {"october", 10},
    {"november", 11}, {"december", 12},  {"januar", 1},     {"februar", 2},   {"märz", 3},
    {"mai", 5},       {"juni", 6},       {"juli", 7},       {"oktober", 10},  {"dezember", 12},
    {"janvier", 1},   {"février", 2},    {"mars", 3},       {"avril", 4},     {"juin", 6},
    {"juillet", 7},   {"août", 8},       {"septembre", 9},  {"octobre", 10},  {"novembre", 11},
    {"décembre", 12}, {"enero", 1},      {"febrero", 2},    {"marzo", 3},     {"abril", 4},
    {"mayo", 5},      {"junio", 6},      {"julio", 7},      {"agosto", 8},    {"septiembre", 9},
    {"octubre", 10},  {"noviembre", 11}, {"diciembre", 12},
};

// The longest name wins: "mayo" before "may".
static bool take_month(struct text *text, int *out)
{
    struct text best = *text;
    for (size_t i = 0; i < sizeof months / sizeof months[0]; i++) {
        struct text after = *text;
        if (!take(&after, months[i].word) || after.at <= best.at)
            continue;
        best = after;
        *out = months[i].month;
    }
    bool found = best.at > text->at && (best.at == best.end || !is_letter(*best.at));
    if (found)
        *text = best;
    return found;
}

struct day {
    int year, month, day;
};

// 2026-03-01, 2026年3月1日
static bool year_first(struct text *text, struct day *out)
{
    if (!take_number(text, 4, 4, &out->year))
        return false;
    bool ideographs = take(text, "年");
    if (!ideographs && !take(text, "-"))
        return false;
    if (!take_number(text, ideographs ? 1 : 2, 2, &out->month) ||
        !take(text, ideographs ? "月" : "-") ||
        !take_number(text, ideographs ? 1 : 2, 2, &out->day))
        return false;
    return !ideographs || take(text, "日");
}

// 1 March 2026, 1st day of March, 2026, 1. März 2026, 1er mars 2026, 1 de marzo de 2026, 01.03.2026
static bool day_first(struct text *text, struct day *out)
{
    static const char *const behind[] = {"st", "nd", "rd", "th", "er", "."};
    if (!take_number(text, 1, 2, &out->day))
        return false;
    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++)
        if (take(text, behind[i]))
            break;
    if (text->at[-1] == '.' && take_number(text, 2, 2, &out->month))
        return take(text, ".") && take_number(text, 4, 4, &out->year);
    skip_blanks(text);
    take(text, "day ");
    skip_blanks(text);
    if (take(text, "of ") || take(text, "de "))
        skip_blanks(text);
    if (!take_month(text, &out->month))
        return false;
    take(text, ",");
    skip_blanks(text);
    if (take(text, "de ") || take(text, "of "))
        skip_blanks(text);
    return take_number(text, 4, 4, &out->year);
}

// March 1, 2026
static bool month_first(struct text *text, struct day *out)
{
    if (!take_month(text, &out->month))
        return false;
    skip_blanks(text);
    if (!take_number(text, 1, 2, &out->day) || !take(text, ","))
        return false;
    skip_blanks(text);
    return take_number(text, 4, 4, &out->year);
}

static bool is_day(const struct day *day)
{
    return day->year >= 1900 && day->year < 2200 && day->month >= 1 && day->month <= 12 &&
           day->day >= 1 && day->day <= 31;
}

static bool take_date(struct text *text, char iso[11])
{
    static bool (*const ways[])(struct text *, struct day *) = {year_first, day_first, month_first};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct text after = *text;
        struct day day = {0, 0, 0};
        if (!ways[i](&after, &day) || !is_day(&day))
            continue;
        if (after.at < after.end && is_digit(*after.at))
            continue;
        snprintf(iso, 11, "%04u-%02u-%02u", (unsigned)day.year % 10000, (unsigned)day.month % 100,
                 (unsigned)day.day % 100);
        *text = after;
        return true;
    }
    return false;
}

// --- amounts

static bool take_one_of(struct text *text, const char *const *words)
{
    for (; *words; words++)
        if (take(text, *words))
            return true;
    return false;
}

// 1,250,000.00 and 1.250.000,00: digits with marks between them.
static bool take_figure(struct text *text)
{
    const char *begin = text->at;
    while (text->at < text->end) {
        bool mark = strchr(".,'", *text->at) && text->at > begin && text->at + 1 < text->end &&
                    is_digit(text->at[1]);
        if (!is_digit(*text->at) && !mark)
            break;
        text->at++;
    }
    return text->at > begin;
}

static bool take_amount(struct text *text)
{
    static const char *const before[] = {"US$",    "USD", "EUR", "GBP", "CHF", "RMB", "JPY", "CNY",
                                         "人民币", "$",   "€",   "£",   "¥",   "￥",  NULL};
    static const char *const after[] = {"euros",   "euro", "EUR",  "€",    "US dollars",
                                        "dollars", "USD",  "万元", "万円", "元",
                                        "円",      "CHF",  "GBP",  NULL};
    static const char *const scale[] = {"million", "billion", "万元", "元", "万円", "円", NULL};
    bool named = take_one_of(text, before);
    if (named)
        skip_blanks(text);
    if (!take_figure(text))
        return false;
    struct text rest = *text;
    skip_blanks(&rest);
    if (!take_one_of(&rest, named ? scale : after))
        return named;
    if (rest.at < rest.end && is_letter(*rest.at) && (unsigned char)rest.at[-1] < 0x80)
        return named;
    *text = rest;
    return true;
}

// --- sentences

static struct fact *add(struct fact_list *list, const char *at, const char *end, size_t sentence)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].len == (size_t)(end - at) &&
            memcmp(list->items[i].at, at, (size_t)(end - at)) == 0)
            return NULL;
    if (list->count == FACTS_MAX)
        return NULL;
    struct fact *fact = &list->items[list->count++];
    *fact = (struct fact){.at = at, .len = (size_t)(end - at), .sentence = sentence};
    return fact;
}

static void look(struct text *text, size_t sentence, struct facts *out)
{
    const char *begin = text->at;
    struct text after = *text;
    char iso[11];
    if (take_date(&after, iso)) {
        struct fact *fact = add(&out->dates, begin, after.at, sentence);
        if (fact)
            memcpy(fact->iso, iso, sizeof iso);
        *text = after;
        return;
    }
    after = *text;
    if (take_amount(&after)) {
        add(&out->amounts, begin, after.at, sentence);
        *text = after;
        return;
    }
    text->at++;
}

void facts_find(const struct sentences *sentences, struct facts *out)
{
    out->dates.count = out->amounts.count = 0;
    for (size_t i = 0; i < sentences->count; i++) {
        const struct sentence *s = &sentences->items[i];
        struct text text = {s->at, s->at + s->len};
        bool word = false; // inside a word or number nothing begins
        while (text.at < text.end) {
            const char *at = text.at;
            if (word)
                text.at++;
            else
                look(&text, i, out);
            char last = text.at[-1];
            bool plain = (unsigned char)last < 0x80;
            word = plain && (is_digit(last) || is_letter(last)) && text.at == at + 1;
        }
    }
}
