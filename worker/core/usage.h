// SPDX-License-Identifier: Apache-2.0
// Tokens of one call, as every provider's usage is brought to.
#ifndef PRECIS_CORE_USAGE_H
#define PRECIS_CORE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
    bool known;
    int64_t input_tokens; // includes cached_tokens
    int64_t cached_tokens;
    int64_t output_tokens; // includes reasoning_tokens
    int64_t reasoning_tokens;
};

#endif
