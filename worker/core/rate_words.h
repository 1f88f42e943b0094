// SPDX-License-Identifier: Apache-2.0
// What a provider's headers say of the rate: how much a minute it allows, and how much of that is
// left now. Foreign text: what is absent, negative, no whole number or absurdly large says nothing.
// Known names, for each of requests, tokens, input-tokens and output-tokens:
//   x-ratelimit-limit-*          x-ratelimit-remaining-*          x-ratelimit-reset-*
//   anthropic-ratelimit-*-limit  anthropic-ratelimit-*-remaining  anthropic-ratelimit-*-reset
// Resets are durations ("6m0s") there, times ("2026-11-23T02:00:07Z") here.
#ifndef PRECIS_CORE_RATE_WORDS_H
#define PRECIS_CORE_RATE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/quota.h"

#define RATE_WORDS_MAX INT64_C(1000000000000)

struct rate_words {
    bool any;
    int64_t limit[QUOTA_DIMENSIONS], left[QUOTA_DIMENSIONS]; // -1: not told
    // After the answer; or, where it was told as a time, unix ms. -1: not told
    int64_t reset_ms[QUOTA_DIMENSIONS], reset_unix_ms[QUOTA_DIMENSIONS];
};

void rate_words_init(struct rate_words *words);
// A header of an answer. True: it was one of these, and its value a number.
bool rate_words_header(struct rate_words *words, const char *name, const char *value);

#endif
