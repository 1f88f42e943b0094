// SPDX-License-Identifier: Apache-2.0
// Additive increase, multiplicative decrease, in thousandths of a call.
#include "core/adapt.h"

#define MILLI        1000
#define KEEP_TENTHS  9
#define FALL_TENTHS  7
#define SOON_MILLI   (2 * MILLI)  // windows after a cut in which another one says: it fell
#define CALM_MILLI   (16 * MILLI) // windows without trouble, after which it looks for more
#define DOUBLE_MILLI (8 * MILLI)
#define SLOW_PARTS   8 // a window adds an eighth of a call
#define FASTEST      30

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

// What one success of a window adds, in thousandths of a call.
static int64_t step_milli(const struct adapt *adapt)
{
    int64_t doublings = (adapt->calm_milli - CALM_MILLI) / DOUBLE_MILLI;
    if (doublings < 0)
        doublings = 0;
    if (doublings > FASTEST)
        doublings = FASTEST;
    int64_t a_window = (INT64_C(1) << doublings) * MILLI / SLOW_PARTS;
    int64_t step = a_window / adapt_most(adapt) + 1;
    return step < MILLI ? step : MILLI;
}

void adapt_succeeded(struct adapt *adapt, int64_t in_flight)
{
    if (in_flight < adapt_most(adapt)) // more room would not have been used
        return;
    adapt->most_milli += adapt->steady ? step_milli(adapt) : MILLI;
    adapt->calm_milli += MILLI / adapt_most(adapt) + 1;
    if (adapt->most_milli > adapt->ceiling * MILLI)
        adapt->most_milli = adapt->ceiling * MILLI;
}

bool adapt_failed(struct adapt *adapt, int64_t begun_ms, int64_t now_ms)
{
    if (begun_ms < adapt->cut_ms)
        return !adapt->fell;
    adapt->fell = !adapt->steady || adapt->calm_milli < SOON_MILLI;
    adapt->steady = true;
    adapt->calm_milli = 0;
    adapt->cut_ms = now_ms;
    adapt->most_milli = adapt->most_milli / 10 * (adapt->fell ? FALL_TENTHS : KEEP_TENTHS);
    if (adapt->most_milli < ADAPT_LEAST * MILLI)
        adapt->most_milli = ADAPT_LEAST * MILLI;
    return !adapt->fell;
}
