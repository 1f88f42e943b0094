// SPDX-License-Identifier: Apache-2.0
// Bounds of token counts.
#include "core/usage.h"

static int64_t between(int64_t value, int64_t most)
{
    if (value < 0)
        return 0;
    return value > most ? most : value;
}

struct usage usage_bounded(const struct usage *usage)
{
    struct usage bounded = *usage;
    bounded.input_tokens = between(usage->input_tokens, INT64_MAX);
    bounded.cached_tokens = between(usage->cached_tokens, bounded.input_tokens);
    bounded.output_tokens = between(usage->output_tokens, INT64_MAX);
    bounded.reasoning_tokens = between(usage->reasoning_tokens, bounded.output_tokens);
    return bounded;
}
