// SPDX-License-Identifier: Apache-2.0
// Waits that servers ask for. The calendar is computed here, because the core includes no time.h
// and the answer must not depend on a locale or a time zone.
#include "core/retry_after.h"

#include <stddef.h>
#include <string.h>

#include "core/time_text.h"

#define NS_PER_MS   INT64_C(1000000)
#define NS_PER_S    INT64_C(1000000000)
#define MS_PER_DAY  INT64_C(86400000)
#define MS_PER_YEAR (365 * MS_PER_DAY)
// Numbers are cut off here; a million hours is beyond every cap.
#define MOST_WHOLE INT64_C(1000000000000)

__extension__ typedef __int128 wide; // a trillion hours in ns pass an int64

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void skip_spaces(const char **cursor)
{
    while (**cursor == ' ' || **cursor == '\t')
        (*cursor)++;
}

static bool at_end(const char *cursor)
{
    skip_spaces(&cursor);
    return *cursor == '\0';
}

// A decimal number without sign or exponent: its whole part, and its fraction in billionths rounded
// up. False: no digit.
static bool read_number(const char **cursor, int64_t *out_whole, int64_t *out_billionths)
{
    const char *at = *cursor;
    int64_t whole = 0, billionths = 0, place = NS_PER_S, digits = 0;
    bool more = false;
    for (; is_digit(*at); at++, digits++)
        whole = whole < MOST_WHOLE ? whole * 10 + (*at - '0') : MOST_WHOLE;
    if (*at == '.')
        for (at++; is_digit(*at); at++, digits++) {
            place /= 10;
            billionths += (*at - '0') * place;
            more = more || (place == 0 && *at != '0');
        }
    if (digits == 0)
        return false;
    *out_whole = whole;
    *out_billionths = billionths + (more ? 1 : 0);
    *cursor = at;
    return true;
}

static wide in_ns(int64_t whole, int64_t billionths, int64_t unit_ns)
{
    return (wide)whole * unit_ns + ((wide)billionths * unit_ns + NS_PER_S - 1) / NS_PER_S;
}

// Whole milliseconds, rounded up, at most most_ms.
static int64_t ns_to_ms(wide ns, int64_t most_ms)
{
    wide ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms > most_ms ? most_ms : (int64_t)ms;
}

// A bare number of units in ms; -1: something else.
static int64_t plain_number_ms(const char *text, int64_t unit_ns)
{
    int64_t whole, billionths;
    skip_spaces(&text);
    if (!read_number(&text, &whole, &billionths) || !at_end(text))
        return -1;
    return ns_to_ms(in_ns(whole, billionths, unit_ns), RETRY_AFTER_MAX_MS);
}

struct unit {
    const char *name;
    int64_t ns;
};

// The unit at the cursor; 0: none. "ms" stands before "m".
static int64_t read_unit(const char **cursor)
{
    static const struct unit units[] = {
        {"ns", 1},       {"us", 1000},    {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
        {"ms", 1000000}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
    };
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*cursor, units[i].name, len) == 0) {
            *cursor += len;
            return units[i].ns;
        }
    }
    return 0;
}

int64_t go_duration_ms(const char *text)
{
    if (!text)
        return -1;
    skip_spaces(&text);
    if (text[0] == '0' && at_end(text + 1))
        return 0;
    wide sum = 0;
    do {
        int64_t whole, billionths;
        if (!read_number(&text, &whole, &billionths))
            return -1;
        int64_t unit_ns = read_unit(&text);
        if (unit_ns == 0)
            return -1;
        sum += in_ns(whole, billionths, unit_ns);
        if (sum > (wide)GO_DURATION_MAX_MS * NS_PER_MS)
            sum = (wide)GO_DURATION_MAX_MS * NS_PER_MS;
    } while (!at_end(text));
    return ns_to_ms(sum, GO_DURATION_MAX_MS);
}

// The parts of a date; year as written.
struct date {
    int64_t year, month, day, hour, minute, second;
    bool short_year;
};

static bool take_char(const char **cursor, char c)
{
    if (**cursor != c)
        return false;
    (*cursor)++;
    return true;
}

// A number of exactly `digits` digits between low and high.
static bool take_number(const char **cursor, int digits, int64_t low, int64_t high, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit((*cursor)[i]))
            return false;
        value = value * 10 + ((*cursor)[i] - '0');
    }
    *cursor += digits;
    *out = value;
    return value >= low && value <= high;
}

static bool take_month(const char **cursor, int64_t *out)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (strncmp(*cursor, names + (size_t)i * 3, 3) == 0) {
            *cursor += 3;
            *out = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_clock(const char **cursor, struct date *date)
{
    return take_number(cursor, 2, 0, 23, &date->hour) && take_char(cursor, ':') &&
           take_number(cursor, 2, 0, 59, &date->minute) && take_char(cursor, ':') &&
           take_number(cursor, 2, 0, 60, &date->second);
}

// " 6" or "16".
static bool take_padded_day(const char **cursor, int64_t *out)
{
    if (take_char(cursor, ' '))
        return take_number(cursor, 1, 1, 9, out);
    return take_number(cursor, 2, 1, 31, out);
}

// What follows the name of the day in "Sun Nov  6 08:49:37 1994".
static bool take_asctime(const char *at, struct date *date)
{
    return take_char(&at, ' ') && take_month(&at, &date->month) && take_char(&at, ' ') &&
           take_padded_day(&at, &date->day) && take_char(&at, ' ') && take_clock(&at, date) &&
           take_char(&at, ' ') && take_number(&at, 4, 1, 9999, &date->year) && at_end(at);
}

// What follows it in ", 06 Nov 1994 08:49:37 GMT" and in ", 06-Nov-94 08:49:37 GMT".
static bool take_comma_date(const char *at, struct date *date)
{
    if (!take_char(&at, ',') || !take_char(&at, ' ') || !take_number(&at, 2, 1, 31, &date->day))
        return false;
    date->short_year = *at == '-';
    char between = date->short_year ? '-' : ' ';
    return take_char(&at, between) && take_month(&at, &date->month) && take_char(&at, between) &&
           take_number(&at, date->short_year ? 2 : 4, date->short_year ? 0 : 1, 9999,
                       &date->year) &&
           take_char(&at, ' ') && take_clock(&at, date) && take_char(&at, ' ') &&
           strncmp(at, "GMT", 3) == 0 && at_end(at + 3);
}

// False: there is no such day.
static bool date_unix_ms(const struct date *date, int64_t *out_unix_ms)
{
    int64_t days;
    if (!time_text_days(date->year, date->month, date->day, &days))
        return false;
    *out_unix_ms =
        days * MS_PER_DAY + ((date->hour * 60 + date->minute) * 60 + date->second) * 1000;
    return true;
}

// The year of a date with two digits: the one that is less than fifty years ago.
static void widen_year(struct date *date, int64_t unix_now_ms)
{
    int64_t unix_ms;
    for (date->year += 1900; date->year < 9900; date->year += 100)
        if (date_unix_ms(date, &unix_ms) && unix_ms + 50 * MS_PER_YEAR >= unix_now_ms)
            return;
}

bool http_date_parse(const char *text, int64_t unix_now_ms, int64_t *out_unix_ms)
{
    struct date date = {0};
    skip_spaces(&text);
    const char *name = text;
    while (is_letter(*text))
        text++;
    if (text - name < 3 || !(take_comma_date(text, &date) || take_asctime(text, &date)))
        return false;
    if (date.short_year)
        widen_year(&date, unix_now_ms);
    return date_unix_ms(&date, out_unix_ms);
}

static int64_t until_date_ms(const char *text, int64_t unix_now_ms)
{
    int64_t then_ms;
    if (!http_date_parse(text, unix_now_ms, &then_ms) || then_ms <= unix_now_ms)
        return -1;
    int64_t wait_ms = then_ms - unix_now_ms;
    return wait_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait_ms;
}

int64_t retry_after_ms(const char *retry_after, const char *ms_header, int64_t unix_now_ms)
{
    int64_t wait_ms = ms_header ? plain_number_ms(ms_header, NS_PER_MS) : -1;
    if (wait_ms <= 0 && retry_after) {
        wait_ms = plain_number_ms(retry_after, NS_PER_S);
        if (wait_ms < 0)
            wait_ms = until_date_ms(retry_after, unix_now_ms);
        if (wait_ms < 0)
            wait_ms = go_duration_ms(retry_after);
    }
    if (wait_ms <= 0)
        return -1;
    return wait_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : wait_ms;
}
