// SPDX-License-Identifier: Apache-2.0
// What a model call used, in tokens, in one shape for all providers: input_tokens include the
// cached ones, output_tokens include the reasoning ones.
#ifndef PRECIS_CORE_USAGE_H
#define PRECIS_CORE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
    bool known; // false: the provider did not say, or said nonsense; the counts are an estimate
    int64_t input_tokens;
    int64_t cached_tokens; // of the input, read from the provider's cache
    int64_t output_tokens;
    int64_t reasoning_tokens; // of the output, thought and not said
};

// The same usage with its counts brought into bounds: nothing negative, cached at most the input,
// reasoning at most the output. Providers leave these members out, or send more than the total.
struct usage usage_bounded(const struct usage *usage);

#endif
