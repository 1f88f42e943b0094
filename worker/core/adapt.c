// SPDX-License-Identifier: Apache-2.0
// Additive increase, multiplicative decrease, in thousandths of a call.
#include "core/adapt.h"

#define MILLI       1000
#define KEEP_TENTHS 7

void adapt_init(struct adapt *adapt, int64_t ceiling)
{
    int64_t first = ceiling < ADAPT_FIRST ? ceiling : ADAPT_FIRST;
    *adapt = (struct adapt){
        .most_milli = (first > ADAPT_LEAST ? first : ADAPT_LEAST) * MILLI,
        .ceiling = ceiling > ADAPT_LEAST ? ceiling : ADAPT_LEAST,
        .cut_ms = INT64_MIN,
    };
}

int64_t adapt_most(const struct adapt *adapt)
{
    return adapt->most_milli / MILLI;
}

void adapt_succeeded(struct adapt *adapt, int64_t in_flight)
{
    if (in_flight < adapt_most(adapt)) // more room would not have been used
        return;
    adapt->most_milli += adapt->steady ? MILLI / adapt_most(adapt) + 1 : MILLI;
    if (adapt->most_milli > adapt->ceiling * MILLI)
        adapt->most_milli = adapt->ceiling * MILLI;
}

void adapt_failed(struct adapt *adapt, int64_t begun_ms, int64_t now_ms)
{
    if (begun_ms < adapt->cut_ms)
        return;
    adapt->steady = true;
    adapt->cut_ms = now_ms;
    adapt->most_milli = adapt->most_milli / 10 * KEEP_TENTHS;
    if (adapt->most_milli < ADAPT_LEAST * MILLI)
        adapt->most_milli = ADAPT_LEAST * MILLI;
}
