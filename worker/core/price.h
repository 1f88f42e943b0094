// SPDX-License-Identifier: Apache-2.0
// What a model's tokens cost. A price is a whole number of picousd per token; a cost is exact.
// No price means no call: a model of the configuration either has prices or says `price: none`
// (free: an own server).
#ifndef PRECIS_CORE_PRICE_H
#define PRECIS_CORE_PRICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/usage.h"

struct price {
    bool known; // false: nothing is configured, and no call may be made
    bool free;  // `price: none`: every call costs 0; known as well
    int64_t input_picousd;
    int64_t cached_picousd; // an input token read from the provider's cache; where the
                            // configuration has none, it is input_picousd
    int64_t output_picousd; // reasoning tokens are output tokens
};

// Reads a configured price: dollars for `per_tokens` (1000 or 1000000) tokens. False: not a
// decimal number of dollars, or not a whole number of picousd per token.
bool price_per_token(const char *decimal, int64_t per_tokens, int64_t *out_picousd);

// (input - cached) · input price + cached · cached price + output · output price, after
// usage_bounded: what is negative counts as 0, more cached than input tokens as all of the input.
// An estimated usage is priced like a reported one; the caller marks the result. False, and nothing
// written: the price is unknown, or the amount passes an int64 (a nonsensical usage).
bool price_of_usage(const struct price *price, const struct usage *usage, int64_t *out_picousd);

#endif
