// SPDX-License-Identifier: Apache-2.0
// RFC 3339 times from and to milliseconds since 1970.
#include "core/time_text.h"

#include <stddef.h>
#include <stdio.h>

#define DAY_MS ((int64_t)86400 * 1000)

static const int days_before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

// Days from 1970-01-01 to the first of January of a year from 1 on.
static int64_t days_to_year(int64_t year)
{
    int64_t before = year - 1;
    int64_t leap_days = before / 4 - before / 100 + before / 400;
    int64_t leap_days_to_1970 = 1969 / 4 - 1969 / 100 + 1969 / 400;
    return 365 * (year - 1970) + leap_days - leap_days_to_1970;
}

// Days of the year that lie before the month (1..13).
static int64_t days_to_month(int64_t year, int64_t month)
{
    return days_before_month[month - 1] + (month > 2 && is_leap(year));
}

bool time_text_days(int64_t year, int64_t month, int64_t day, int64_t *out_days)
{
    if (year < 1 || month < 1 || month > 12)
        return false;
    if (day < 1 || day > days_to_month(year, month + 1) - days_to_month(year, month))
        return false;
    *out_days = days_to_year(year) + days_to_month(year, month) + day - 1;
    return true;
}

// Takes `count` digits; -1 where there are fewer.
static int64_t take_digits(const char **at, int count)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool take_char(const char **at, char c, char other)
{
    if (**at != c && **at != other)
        return false;
    (*at)++;
    return true;
}

static bool take_date(const char **at, int64_t *out_days)
{
    int64_t year = take_digits(at, 4);
    if (year < 0 || !take_char(at, '-', '-'))
        return false;
    int64_t month = take_digits(at, 2);
    if (month < 0 || !take_char(at, '-', '-'))
        return false;
    int64_t day = take_digits(at, 2);
    return time_text_days(year, month, day, out_days);
}

// An optional fraction, cut to milliseconds; false: a point without a digit.
static bool take_fraction(const char **at, int64_t *out_ms)
{
    *out_ms = 0;
    if (!take_char(at, '.', '.'))
        return true;
    int64_t scale = 100, ms = 0;
    const char *from = *at;
    for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
        ms += scale * (**at - '0');
    *out_ms = ms;
    return *at > from;
}

static bool take_clock(const char **at, int64_t *out_ms)
{
    int64_t hour = take_digits(at, 2);
    if (hour < 0 || hour > 23 || !take_char(at, ':', ':'))
        return false;
    int64_t minute = take_digits(at, 2);
    if (minute < 0 || minute > 59 || !take_char(at, ':', ':'))
        return false;
    int64_t second = take_digits(at, 2), ms;
    if (second < 0 || second > 60 || !take_fraction(at, &ms))
        return false;
    *out_ms = second == 60 ? (hour * 3600 + minute * 60 + 60) * 1000
                           : (hour * 3600 + minute * 60 + second) * 1000 + ms;
    return true;
}

static bool take_zone(const char **at, int64_t *out_ms)
{
    *out_ms = 0;
    if (take_char(at, 'Z', 'z'))
        return true;
    int64_t sign = **at == '-' ? -1 : 1;
    if (!take_char(at, '+', '-'))
        return false;
    int64_t hours = take_digits(at, 2);
    if (hours < 0 || hours > 23 || !take_char(at, ':', ':'))
        return false;
    int64_t minutes = take_digits(at, 2);
    if (minutes < 0 || minutes > 59)
        return false;
    *out_ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

bool time_text_parse(const char *text, int64_t *out_unix_ms)
{
    int64_t days, clock_ms, zone_ms;
    if (!take_date(&text, &days) || !take_char(&text, 'T', 't') || !take_clock(&text, &clock_ms) ||
        !take_zone(&text, &zone_ms) || *text)
        return false;
    *out_unix_ms = days * DAY_MS + clock_ms - zone_ms;
    return true;
}

char *time_text_format(int64_t unix_ms, char out[TIME_TEXT_BYTES])
{
    int64_t first = days_to_year(1) * DAY_MS, last = days_to_year(10000) * DAY_MS - 1;
    unix_ms = unix_ms < first ? first : unix_ms > last ? last : unix_ms;
    int64_t of_first = unix_ms - first; // never negative, so that / and % are floor and remainder
    int64_t days = of_first / DAY_MS + days_to_year(1), ms = of_first % DAY_MS;
    int64_t year = 1970 + days / 366; // never too late after 1970; the loops below settle it
    while (days < days_to_year(year))
        year--;
    while (days >= days_to_year(year + 1))
        year++;
    int64_t of_year = days - days_to_year(year), month = 1;
    while (of_year >= days_to_month(year, month + 1))
        month++;
    int len = snprintf(out, TIME_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, (int)month,
                       (int)(of_year - days_to_month(year, month)) + 1, (int)(ms / 3600000),
                       (int)(ms / 60000 % 60), (int)(ms / 1000 % 60));
    if (ms % 1000)
        snprintf(out + len, TIME_TEXT_BYTES - (size_t)len, ".%03dZ", (int)(ms % 1000));
    else
        snprintf(out + len, TIME_TEXT_BYTES - (size_t)len, "Z");
    return out;
}
