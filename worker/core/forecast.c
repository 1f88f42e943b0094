// SPDX-License-Identifier: Apache-2.0
// A weighted least-squares line over the seconds.
#include "core/forecast.h"

#include <math.h>

static int32_t *cell(struct forecast *forecast, int64_t second)
{
    return &forecast->calls[second % FORECAST_SECONDS];
}

// Seconds in which nothing came are seconds too.
static void move_to(struct forecast *forecast, int64_t second)
{
    if (forecast->second == 0) {
        forecast->second = forecast->first = second;
        *cell(forecast, second) = 0;
        return;
    }
    if (second - forecast->second >= FORECAST_SECONDS)
        forecast->second = second - FORECAST_SECONDS;
    while (forecast->second < second)
        *cell(forecast, ++forecast->second) = 0;
    if (forecast->first <= second - FORECAST_SECONDS)
        forecast->first = second - FORECAST_SECONDS + 1;
}

void forecast_add(struct forecast *forecast, int32_t calls, int64_t now_ms)
{
    move_to(forecast, now_ms / 1000);
    int32_t *count = cell(forecast, forecast->second);
    if (__builtin_add_overflow(*count, calls, count))
        *count = INT32_MAX;
}

// x is the middle of a second, measured from the beginning of the one that is under way.
static struct forecast_line fit(struct forecast *forecast)
{
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0, most = 0, weight = 1;
    const double fade = exp2(-1.0 / FORECAST_HALF_LIFE);
    for (int64_t s = forecast->second - 1; s >= forecast->first; s--) {
        double x = (double)(s - forecast->second) + 0.5, y = *cell(forecast, s);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
        most = y > most ? y : most;
        weight *= fade;
    }
    double spread = w * wxx - wx * wx;
    struct forecast_line line = {.most = most};
    line.slope = spread > 1e-9 ? (w * wxy - wx * wy) / spread : 0;
    line.at_zero = w > 0 ? (wy - line.slope * wx) / w : 0;
    return line;
}

int64_t forecast_per_minute(struct forecast *forecast, int64_t ahead_ms, int64_t now_ms)
{
    move_to(forecast, now_ms / 1000);
    if (forecast->fitted != forecast->second) { // once a second: it is asked for much more often
        forecast->line = fit(forecast);
        forecast->fitted = forecast->second;
    }
    const struct forecast_line line = forecast->line;
    double expected = line.at_zero + line.slope * (double)ahead_ms / 2000.0;
    if (expected > 2 * line.most)
        expected = 2 * line.most;
    return expected > 0 ? llround(expected * 60) : 0;
}
