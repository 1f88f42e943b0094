// SPDX-License-Identifier: Apache-2.0
// Three states: calm, borrowing, hard.
#include "core/throttle.h"

void throttle_init(struct throttle *throttle, int64_t percent, int64_t seconds)
{
    *throttle = (struct throttle){
        .percent = percent,
        .most_ms = seconds * 900,
        .quiet_from_ms = INT64_MIN,
    };
}

static void change(struct throttle *throttle, bool above, int64_t now_ms)
{
    if (above)
        throttle->quiet_from_ms = -1;
    else if (throttle->quiet_from_ms == -1)
        throttle->quiet_from_ms = now_ms;
    bool calm = !above && (throttle->quiet_from_ms == INT64_MIN ||
                           now_ms - throttle->quiet_from_ms >= THROTTLE_CALM_MS);
    if (throttle->state == THROTTLE_CALM && above) {
        throttle->state = THROTTLE_BORROWS;
        throttle->begun_ms = now_ms;
    } else if (throttle->state == THROTTLE_BORROWS &&
               now_ms - throttle->begun_ms >= throttle->most_ms) {
        throttle->state = THROTTLE_HARD;
    } else if (throttle->state == THROTTLE_HARD && calm) {
        throttle->state = THROTTLE_CALM;
    }
}

// Up over the first third, down over the last.
static int64_t shape_percent(const struct throttle *throttle, int64_t now_ms)
{
    int64_t gone_ms = now_ms - throttle->begun_ms, left_ms = throttle->most_ms - gone_ms;
    int64_t third_ms = throttle->most_ms / 3 + 1;
    int64_t nearer_ms = gone_ms < left_ms ? gone_ms : left_ms;
    return nearer_ms >= third_ms ? throttle->percent : throttle->percent * nearer_ms / third_ms;
}

int64_t throttle_extra_percent(struct throttle *throttle, int64_t limit_per_minute,
                               int64_t expected_per_minute, int64_t now_ms, int64_t *out_ms)
{
    *out_ms = 0;
    if (throttle->percent <= 0 || limit_per_minute <= 0)
        return 0;
    change(throttle, expected_per_minute > limit_per_minute, now_ms);
    if (throttle->state != THROTTLE_BORROWS)
        return 0;
    *out_ms = throttle->begun_ms + throttle->most_ms - now_ms;
    int64_t over = (expected_per_minute - limit_per_minute) * 100 / limit_per_minute;
    int64_t may = shape_percent(throttle, now_ms);
    return over < may ? (over > 0 ? over : 0) : may;
}

void throttle_refused(struct throttle *throttle)
{
    throttle->state = THROTTLE_HARD;
    throttle->quiet_from_ms = -1;
}
