// SPDX-License-Identifier: Apache-2.0
// Dates in figures, with names of months, and as Chinese and Japanese write them.
//
// Figures whose order is open ("4/7/20") have both readings. Several dates may share a month and a
// year ("1. bis 31. Juli 2024"). A date without a year is one too; facts.c gives it the year of a
// date beside it.
#include "core/facts_inner.h"

#include <string.h>

// A date that no calendar has ("31.11.2017") is a date too: a claimed one is found nowhere.
static bool is_date(int64_t month, int64_t day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

static struct fact_date date_of(int64_t year, int64_t month, int64_t day)
{
    return (struct fact_date){(int16_t)year, (int8_t)month, (int8_t)day};
}

// Of two figures: those of contracts lie around now.
static int64_t full_year(int64_t year, size_t figures)
{
    if (figures != 2)
        return year;
    return year < 50 ? 2000 + year : 1900 + year;
}

static bool is_year(int64_t year)
{
    return year >= 1800 && year < 2200;
}

// ------------------------------------------------------------------------------------- figures

struct date_figures {
    int64_t value[3];
    size_t len[3];
    size_t count, used;
    char sign;
};

static bool is_figure(char c)
{
    return c >= '0' && c <= '9';
}

// One to four figures; the bytes read.
static size_t read_part(const char *text, size_t len, struct date_figures *out)
{
    size_t at = 0;
    int64_t value = 0;
    while (at < len && at < 5 && is_figure(text[at]))
        value = value * 10 + (text[at++] - '0');
    if (at == 0 || at > 4)
        return 0;
    out->value[out->count] = value;
    out->len[out->count++] = at;
    return at;
}

// The bytes of the sign between two parts: "." may have a blank behind it, the others have none.
static size_t read_sign(const char *text, size_t len, struct date_figures *out)
{
    if (len < 2 || !strchr("./-", *text) || (out->sign && *text != out->sign))
        return 0;
    out->sign = *text;
    size_t used = 1;
    if (*text == '.' && text[1] == ' ')
        used = 2;
    return used < len && is_figure(text[used]) ? used : 0;
}

static void split_date(const char *text, size_t len, struct date_figures *out)
{
    *out = (struct date_figures){.count = 0};
    size_t at = 0;
    while (out->count < 3) {
        size_t sign = out->count ? read_sign(text + at, len - at, out) : 0;
        if (out->count && !sign)
            return;
        size_t part = read_part(text + at + sign, len - at - sign, out);
        if (!part)
            return;
        at += sign + part;
        out->used = at;
    }
}

static void add_reading(struct token *out, int64_t year, int64_t month, int64_t day)
{
    if (!is_year(year) || !is_date(month, day) || out->count == 2)
        return;
    struct fact_date date = date_of(year, month, day);
    if (out->count && memcmp(&out->dates[0], &date, sizeof(date)) == 0)
        return;
    out->dates[out->count++] = date;
}

// Month and year; 12/2024, 2024-12.
static void read_two(const struct date_figures *date, struct token *out)
{
    bool behind = date->len[1] == 4 && date->len[0] <= 2 && date->sign != '-';
    bool before = date->len[0] == 4 && date->len[1] == 2 && date->sign != '.';
    int64_t year = before ? date->value[0] : date->value[1];
    int64_t month = before ? date->value[1] : date->value[0];
    if ((!behind && !before) || !is_year(year) || month < 1 || month > 12)
        return;
    out->dates[out->count++] = date_of(year, month, 0);
}

static void read_three(const struct date_figures *date, struct token *out)
{
    const int64_t *value = date->value;
    if (date->len[0] == 4) {
        if (date->len[1] <= 2 && date->len[2] <= 2)
            add_reading(out, value[0], value[1], value[2]);
        return;
    }
    bool year = date->len[2] == 4 || (date->len[2] == 2 && date->sign != '.') ||
                (date->len[2] == 2 && date->len[0] == 2 && date->len[1] == 2);
    if (!year || date->len[0] > 2 || date->len[1] > 2)
        return;
    int64_t full = full_year(value[2], date->len[2]);
    add_reading(out, full, value[1], value[0]);
    if (date->sign == '.')
        return;
    uint8_t day_first = out->count;
    add_reading(out, full, value[0], value[1]);
    if (out->count == 2)
        out->order = ORDER_OPEN;
    else if (value[0] != value[1] && out->count)
        out->order = day_first ? ORDER_DAY_FIRST : ORDER_MONTH_FIRST;
}

size_t fact_figure_date(const char *text, size_t len, struct token *out)
{
    struct date_figures date;
    if (len < 6)
        return 0;
    split_date(text, len, &date);
    bool longer = date.used < len && is_figure(text[date.used]);
    out->count = 0;
    if (date.count == 3 && !longer)
        read_three(&date, out);
    else if (date.count == 2 && !longer)
        read_two(&date, out);
    return out->count ? date.used : 0;
}

// ------------------------------------------------------------------------- around a month's name

// A place in the tokens ahead.
struct path {
    const struct fact_scan *scan;
    int at;
};

static const struct token *here(const struct path *path)
{
    return fact_token(path->scan, path->at);
}

static bool skip_sign(struct path *path, uint32_t sign)
{
    bool is = fact_token_is(here(path), sign);
    path->at += is;
    return is;
}

static bool skip_meaning(struct path *path, enum meaning meaning)
{
    bool is = fact_word_as(here(path), meaning) != NULL;
    path->at += is;
    return is;
}

// "th", ".", "day of", "de": what stands between a day and its month.
static void skip_between(struct path *path)
{
    const struct fact_word *unit;
    if (here(path)->glued)
        skip_meaning(path, MEANS_SUFFIX);
    skip_sign(path, '.');
    if (fact_token_is(here(path), ')')) // "the first (1st) day"
        path->at++;
    if ((unit = fact_word_as(here(path), MEANS_UNIT)) && unit->value == UNIT_DAY)
        path->at++;
    if (here(path)->glued)
        skip_sign(path, '-');
    while (skip_meaning(path, MEANS_OF))
        continue;
}

// A day of a month; 0: there is none.
static int64_t read_day(struct path *path)
{
    const struct token *token = here(path);
    const struct fact_word *word = fact_word_as(token, MEANS_ORDINAL);
    struct figure figure = {.count = 0};
    if (word) {
        path->at++;
        return word->value;
    }
    if (token->kind == TOKEN_NUMBER && token->figures > 2)
        return 0;
    if (token->kind == TOKEN_NUMBER || fact_word_as(token, MEANS_NUMBER))
        figure = fact_figure_at(path->scan, path->at);
    int64_t day = figure.count ? decimal_whole(figure.values[0]) : 0;
    if (day < 1 || day > 31)
        return 0;
    if (figure.tokens == 1 && word == NULL && day >= 20 && day <= 30) { // "twenty-first"
        struct path ahead = *path;
        ahead.at++;
        skip_sign(&ahead, '-');
        word = fact_word_as(here(&ahead), MEANS_ORDINAL);
        if (word && word->value < 10 && token->kind == TOKEN_WORD) {
            *path = ahead;
            path->at++;
            return day + word->value;
        }
    }
    path->at += figure.tokens;
    return day;
}

static int64_t read_month(struct path *path)
{
    const struct token *token = here(path);
    const struct fact_word *word = fact_word_as(token, MEANS_MONTH);
    if (!word)
        return 0;
    path->at++;
    if (word->len <= 5 && fact_token_is(here(path), '.') && here(path)->glued)
        path->at++;
    return word->value;
}

// A blank in a form: "February ____, 2017".
static void skip_blank(struct path *path)
{
    int begun = path->at;
    while (path->at < begun + 8 &&
           (fact_token_is(here(path), '_') || fact_token_is(here(path), '[') ||
            fact_token_is(here(path), ']')))
        path->at++;
}

// The year behind a month, with what stands between; 0: there is none, and the path stays.
static int64_t read_year(struct path *path)
{
    struct path ahead = *path;
    skip_blank(&ahead);
    bool comma = skip_sign(&ahead, ',');
    while (skip_meaning(&ahead, MEANS_OF))
        continue;
    bool dash = here(&ahead)->glued && skip_sign(&ahead, '-');
    bool short_year = skip_sign(&ahead, '\'') || (dash && !comma);
    const struct token *token = here(&ahead);
    struct figure figure = {.count = 0};
    if (token->kind == TOKEN_NUMBER && (token->figures == 4 || (short_year && token->figures == 2)))
        figure = fact_figure_at(path->scan, ahead.at);
    else if (token->kind == TOKEN_WORD && fact_word_as(token, MEANS_NUMBER))
        figure = fact_figure_at(path->scan, ahead.at); // "two thousand sixteen"
    int64_t year = figure.count ? decimal_whole(figure.values[0]) : 0;
    year = full_year(year, token->figures == 2 ? 2 : 4);
    if (!is_year(year))
        return 0;
    ahead.at += token->kind == TOKEN_NUMBER ? 1 : figure.tokens;
    *path = ahead;
    return year;
}

static void add_date(struct fact_dates *out, int64_t year, int64_t month, int64_t day)
{
    if (out->count < 4 && (day == 0 || is_date(month, day)))
        out->dates[out->count++] = date_of(year, month, day);
}

static void add_days(struct fact_dates *out, const struct path *path, int64_t year, int64_t month,
                     const int64_t days[2])
{
    add_date(out, year, month, days[0]);
    if (days[1])
        add_date(out, year, month, days[1]);
    out->tokens = out->count ? path->at : 0;
}

static bool skip_range(struct path *path)
{
    bool is = skip_meaning(path, MEANS_RANGE) || skip_sign(path, ',');
    while (is && skip_meaning(path, MEANS_OF))
        continue;
    return is;
}

// "Section 5 may", "the first 10 march": English verbs in small letters.
static bool is_verb(const struct token *month)
{
    return month->word && !month->capital &&
           (strcmp(month->word->text, "may") == 0 || strcmp(month->word->text, "march") == 0);
}

// "4th day of March, 2016", "1. bis 31. Juli 2024", "1er octobre"
static void day_first(const struct fact_scan *scan, struct fact_dates *out)
{
    struct path path = {scan, 0};
    int64_t days[2] = {read_day(&path), 0};
    if (!days[0])
        return;
    skip_between(&path);
    if (!fact_word_as(here(&path), MEANS_MONTH)) {
        if (!skip_range(&path) || (days[1] = read_day(&path)) == 0)
            return;
        skip_between(&path);
    }
    bool verb = is_verb(here(&path));
    int64_t month = read_month(&path);
    int64_t year = month ? read_year(&path) : 0;
    if (month && (year || !verb))
        add_days(out, &path, year, month, days);
}

// "March 4, 2016", "July 1-31, 2024", "May 2014"; "may" and "march" in small letters are verbs.
static void month_first(const struct fact_scan *scan, struct fact_dates *out)
{
    struct path path = {scan, 0};
    bool capital = here(&path)->capital;
    int64_t month = read_month(&path), year = 0;
    struct path behind = path;
    skip_blank(&behind);
    int64_t days[2] = {read_day(&behind), 0};
    if (days[0]) {
        path = behind;
        if (here(&path)->glued)
            skip_meaning(&path, MEANS_SUFFIX);
        struct path range = path;
        if (skip_range(&range) && (days[1] = read_day(&range)) != 0) {
            if (here(&range)->glued)
                skip_meaning(&range, MEANS_SUFFIX);
            path = range;
        }
    }
    year = read_year(&path);
    if ((!days[0] && !year) || (!capital && !year))
        return;
    add_days(out, &path, year, month, days);
}

// ---------------------------------------------------------------------------- Chinese, Japanese

// A number below 10000 and the mark behind it; -1: not there, and the path stays.
static int64_t read_marked(struct path *path, enum meaning mark)
{
    const struct token *token = here(path);
    if (token->kind != TOKEN_NUMBER || token->count == 0 || token->unit)
        return -1;
    int64_t value = decimal_whole(token->values[0]);
    if (value < 0 || value > 9999 || !fact_word_as(fact_token(path->scan, path->at + 1), mark))
        return -1;
    path->at += 2;
    return value;
}

// The year with its era: 2024年, 令和6年, 平成元年; 0: there is none.
static int64_t read_han_year(struct path *path)
{
    struct path ahead = *path;
    const struct fact_word *era = fact_word_as(here(&ahead), MEANS_ERA);
    ahead.at += era != NULL;
    int64_t year = -1;
    if (era && here(&ahead)->kind == TOKEN_HAN && here(&ahead)->sign == 0x5143 && // 元: the first
        fact_word_as(fact_token(path->scan, ahead.at + 1), MEANS_YEAR_MARK)) {
        ahead.at += 2;
        year = 1;
    } else {
        year = read_marked(&ahead, MEANS_YEAR_MARK);
    }
    if (year < 0 || (era && year > 200))
        return 0;
    year += era ? era->value : 0;
    if (!is_year(year))
        return 0;
    *path = ahead;
    return year;
}

static void han_date(const struct fact_scan *scan, struct fact_dates *out)
{
    struct path path = {scan, 0};
    int64_t year = read_han_year(&path);
    int64_t month = read_marked(&path, MEANS_MONTH_MARK);
    if (month < 1 || month > 12) {
        if (year)
            add_date(out, year, 0, 0);
        out->tokens = year ? path.at : 0;
        return;
    }
    int64_t day = read_marked(&path, MEANS_DAY_MARK);
    if (day < 1) {
        if (year)
            add_date(out, year, month, 0);
        out->tokens = year ? path.at : 0;
        return;
    }
    add_date(out, year, month, day);
    struct path range = path;
    if (skip_meaning(&range, MEANS_RANGE) && (day = read_marked(&range, MEANS_DAY_MARK)) > 0) {
        add_date(out, year, month, day);
        path = range;
    }
    out->tokens = out->count ? path.at : 0;
}

// ------------------------------------------------------------------------------------- public

struct fact_dates fact_dates_at(const struct fact_scan *scan)
{
    struct fact_dates out = {.count = 0};
    const struct token *token = fact_token(scan, 0);
    if (token->kind == TOKEN_DATE) {
        out.count = token->count;
        memcpy(out.dates, token->dates, sizeof(token->dates));
        out.tokens = 1;
        out.readings = true;
        out.order = token->order;
    } else if (fact_word_as(token, MEANS_MONTH)) {
        month_first(scan, &out);
    } else if (fact_word_as(token, MEANS_ERA)) {
        han_date(scan, &out);
    } else if (token->kind == TOKEN_NUMBER) {
        const struct token *mark = fact_token(scan, 1);
        if (mark->kind == TOKEN_HAN)
            han_date(scan, &out);
        else
            day_first(scan, &out);
    } else if (fact_word_as(token, MEANS_ORDINAL) || fact_word_as(token, MEANS_NUMBER)) {
        day_first(scan, &out);
    }
    return out;
}
