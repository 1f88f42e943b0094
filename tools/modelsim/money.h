// SPDX-License-Identifier: Apache-2.0
// Money as integers of 1e-12 USD ("picousd"). This is the simulator's own arithmetic; nothing is
// shared with the program under test, so that a mistake of one shows in the other.
#ifndef MODELSIM_MONEY_H
#define MODELSIM_MONEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct price {
    uint64_t input_picousd;  // for one token
    uint64_t cached_picousd; // for one prompt token that was found in the cache
    uint64_t output_picousd; // for one token, reasoning included
};

struct usage {
    uint64_t prompt_tokens;    // with the cached ones
    uint64_t cached_tokens;    // part of prompt_tokens
    uint64_t visible_tokens;   // of the answer's text
    uint64_t reasoning_tokens; // beside the visible ones
};

enum { MONEY_TEXT_BYTES = 40 };

// Reads a decimal such as "0.00025" as an integer of 10^-places. False when it is not one, has more
// places than that, or does not fit.
bool decimal_parse(const char *text, unsigned places, uint64_t *out_value);

// A price in USD for 1,000 tokens, as picousd for one token: exact up to nine decimal places.
bool money_parse_per_1k(const char *text, uint64_t *out_picousd);

// What a call costs. Aborts on overflow (18 million USD for one call).
uint64_t money_of_call(const struct price *price, const struct usage *usage);

// A plain decimal in USD without trailing zeros, "0" for nothing.
void money_format(uint64_t picousd, char out[MONEY_TEXT_BYTES]);

#endif
