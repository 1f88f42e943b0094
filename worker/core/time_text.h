// SPDX-License-Identifier: Apache-2.0
// Times as text (RFC 3339), as milliseconds since 1970-01-01T00:00:00Z. Calendar arithmetic only:
// no clock, no time zone of the machine.
#ifndef PRECIS_CORE_TIME_TEXT_H
#define PRECIS_CORE_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#define TIME_TEXT_BYTES 25 // "2026-11-22T07:00:00.000Z" and its NUL

// "2026-11-22T07:00:00Z", "2026-11-22t08:00:00.25+01:00"; years 0001 to 9999, digits past the
// millisecond are cut off, a leap second counts as the second after it. False: anything else, a
// day that the month does not have, and a time without a zone.
bool time_text_parse(const char *text, int64_t *out_unix_ms);
// Days from 1970-01-01 to that day of the Gregorian calendar (before it: negative). False: there is
// no such day; years begin with 1.
bool time_text_days(int64_t year, int64_t month, int64_t day, int64_t *out_days);
// In UTC; the fraction is left out where it is zero. Times outside the years 0001 to 9999 are
// written as the nearest one inside. Returns out.
char *time_text_format(int64_t unix_ms, char out[TIME_TEXT_BYTES]);

#endif
