// SPDX-License-Identifier: Apache-2.0
// How long a server asks us to wait, from the headers `retry-after-ms` and `retry-after`, and
// durations as `x-ratelimit-reset-*` has them. Everything here is foreign text: what is absent, 0,
// negative, in the past or no number at all says nothing, and the caller's own backoff holds.
#ifndef PRECIS_CORE_RETRY_AFTER_H
#define PRECIS_CORE_RETRY_AFTER_H

#include <stdbool.h>
#include <stdint.h>

// A server that asks for more (values of days, and 10^9, occur) is asked again after this.
#define RETRY_AFTER_MAX_MS INT64_C(900000)
// No reset time is taken to be further away.
#define GO_DURATION_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)

// The wait in ms, 1 to RETRY_AFTER_MAX_MS, rounded up; -1: nothing usable was said. Each header may
// be NULL. `retry-after-ms` is a number of ms and wins where it is usable; `retry-after` is seconds
// with or without a fraction, an HTTP date (by unix_now_ms), or a duration such as "20s".
int64_t retry_after_ms(const char *retry_after, const char *ms_header, int64_t unix_now_ms);

// A Go duration: one or more pairs of number and unit (ns us µs ms s m h), "6m0s", "1h2m3.5s",
// "12ms", or a bare "0". Rounded up to ms, at most GO_DURATION_MAX_MS; -1: anything else ("",
// "-1").
int64_t go_duration_ms(const char *text);

// An HTTP date (RFC 9110, 5.6.7) in any of its three forms: "Sun, 06 Nov 1994 08:49:37 GMT",
// "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994". A two-digit year is the one nearest
// below now + 50 years. The name of the day is not checked against the date.
bool http_date_parse(const char *text, int64_t unix_now_ms, int64_t *out_unix_ms);

#endif
