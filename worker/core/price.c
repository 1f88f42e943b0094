// SPDX-License-Identifier: Apache-2.0
// Tokens times prices, exactly.
#include "core/price.h"

#include "base/check.h"
#include "core/money.h"

bool price_per_token(const char *decimal, int64_t per_tokens, int64_t *out_picousd)
{
    CHECK(per_tokens > 0);
    int64_t picousd;
    if (!money_parse_usd(decimal, &picousd) || picousd % per_tokens != 0)
        return false;
    *out_picousd = picousd / per_tokens;
    return true;
}

// Adds tokens · price to *sum; false where it does not fit.
static bool add_cost(int64_t *sum, int64_t tokens, int64_t picousd)
{
    int64_t cost;
    return !__builtin_mul_overflow(tokens, picousd, &cost) &&
           !__builtin_add_overflow(*sum, cost, sum);
}

bool price_of_usage(const struct price *price, const struct usage *usage, int64_t *out_picousd)
{
    if (!price->known)
        return false;
    struct usage counts = usage_bounded(usage);
    int64_t sum = 0;
    if (!price->free &&
        (!add_cost(&sum, counts.input_tokens - counts.cached_tokens, price->input_picousd) ||
         !add_cost(&sum, counts.cached_tokens, price->cached_picousd) ||
         !add_cost(&sum, counts.output_tokens, price->output_picousd)))
        return false;
    *out_picousd = sum;
    return true;
}
