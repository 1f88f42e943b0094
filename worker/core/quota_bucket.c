// SPDX-License-Identifier: Apache-2.0
// One bucket: what is learned of its rate, and what its time is worth.
#include "core/quota_inner.h"

#define MINUTE_US      (60 * QUOTA_SECOND_US)
#define FACTOR_LEAST   (QUOTA_WHOLE_PPM / 10)
#define FACTOR_BACK_US 50 // so many microseconds bring one millionth back: 2 % a second
#define MOST_LEFT_MS   INT64_C(21600000) // what was left most is forgotten in so long
#define FEW_MILLI      4000  // thousandths of a unit: a call more or less is nobody else's
#define WINDOW_SLACK   15000 // millionths: of a limit that may be a sliding window
#define SINGLE_SLACK   20000 // of one that never allowed two calls at once
#define RESET_MOST_MS  120000
#define RESET_SAME_US  1500000 // resets that are told in whole seconds differ by so much
#define RESET_SURE_US  (5 * QUOTA_SECOND_US)
#define RESET_LATE_US  100000
#define REFUSED_US     QUOTA_HOUR_US
#define SAVED_REFUSED  100000 // of time, where a 429 came lately; less than a unit is nothing
#define BURST_REST_US  (30 * QUOTA_SECOND_US)
#define RAISE_US       (5 * QUOTA_SECOND_US)
#define LIMIT_MOST     INT64_C(1000000000000)

int64_t quota_cost_us(int64_t amount, int64_t per_minute)
{
    bool back = amount < 0;
    int64_t size = back ? -amount : amount;
    if (size > QUOTA_MOST)
        size = QUOTA_MOST;
    int64_t time_us = (size * MINUTE_US + (back ? 0 : per_minute - 1)) / per_minute;
    return back ? -time_us : time_us;
}

int64_t quota_units(int64_t time_us, int64_t per_minute)
{
    return time_us > 0 ? time_us * per_minute / MINUTE_US : 0;
}

// ------------------------------------------------------------------------------- days

static int64_t hour_of(int64_t now_us)
{
    return now_us / QUOTA_HOUR_US;
}

// Of the hour with that number, where it is not over for 24 hours.
static int64_t used_in(const struct quota_hours *hours, int64_t hour)
{
    int64_t place = hour % QUOTA_HOURS;
    return hours->hour[place] == hour ? hours->used[place] : 0;
}

int64_t quota_hours_used(const struct quota_hours *hours, int64_t now_us)
{
    int64_t used = 0;
    for (int64_t hour = hour_of(now_us) - QUOTA_HOURS + 1; hour <= hour_of(now_us); hour++)
        used += used_in(hours, hour);
    return used;
}

void quota_hours_add(struct quota_hours *hours, int64_t amount, int64_t now_us)
{
    int64_t hour = hour_of(now_us), used = used_in(hours, hour) + amount;
    hours->hour[hour % QUOTA_HOURS] = hour;
    hours->used[hour % QUOTA_HOURS] = used > 0 ? used : 0;
}

int64_t quota_hours_wait_us(const struct quota_hours *hours, int64_t limit, int64_t amount,
                            int64_t now_us)
{
    int64_t left = limit - quota_hours_used(hours, now_us);
    if (left >= amount)
        return 0;
    for (int64_t hour = hour_of(now_us) - QUOTA_HOURS + 1; hour <= hour_of(now_us); hour++) {
        left += used_in(hours, hour);
        if (left >= amount)
            return (hour + QUOTA_HOURS) * QUOTA_HOUR_US - now_us;
    }
    return QUOTA_HOURS * QUOTA_HOUR_US;
}

// ------------------------------------------------------------------------------- the provider's
// word

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

static int64_t factor_now(const struct quota_bucket *bucket, int64_t now_us)
{
    int64_t since_us = at_least(now_us - bucket->factor_at_us, 0);
    return at_most(bucket->factor_ppm + since_us / FACTOR_BACK_US, QUOTA_WHOLE_PPM);
}

static void set_factor(struct quota_bucket *bucket, int64_t factor_ppm, int64_t now_us)
{
    bucket->factor_ppm = at_most(at_least(factor_ppm, FACTOR_LEAST), QUOTA_WHOLE_PPM);
    bucket->factor_at_us = now_us;
}

// The smaller of ours and the provider's, without the factor.
static int64_t nominal_rate(const struct quota_case *c, enum quota_dimension d)
{
    int64_t ours = at_most(quota_limit(c->fleet, c->ask, d), LIMIT_MOST);
    int64_t theirs = c->lane->buckets[d].seen_limit;
    return ours > 0 && theirs > 0 ? at_most(ours, theirs) : at_least(ours, theirs);
}

// So much of a minute's worth is only left where the provider counts by the minute.
static bool counts_minutes(const struct quota_bucket *bucket, int64_t per_minute)
{
    return bucket->most_left_at_us > 0 && bucket->most_left * 4 >= per_minute;
}

static bool was_refused(const struct quota_case *c)
{
    return c->now_us - c->lane->cut_at_us < REFUSED_US;
}

// What stays unused, so that calls that come a little early do not meet those before them.
static int64_t slack_ppm(const struct quota_case *c, int d)
{
    const struct quota_bucket *bucket = &c->lane->buckets[d];
    if (bucket->most_left_at_us == 0)
        return was_refused(c) ? SINGLE_SLACK : 0;
    if (bucket->most_left == 0)
        return SINGLE_SLACK;
    return counts_minutes(bucket, c->nominal[d]) ? WINDOW_SLACK : 0;
}

int64_t quota_time_us(const struct quota_case *c, int d, int64_t amount, int64_t per_minute)
{
    int64_t cost_us = quota_cost_us(amount, per_minute);
    return cost_us + cost_us / 1000000 * slack_ppm(c, d) +
           cost_us % 1000000 * slack_ppm(c, d) / 1000000;
}

int64_t quota_saved_us(const struct quota_case *c, int d)
{
    const struct quota_bucket *bucket = &c->lane->buckets[d];
    int64_t saved_us = QUOTA_SECOND_US;
    if (was_refused(c))
        saved_us = quota_units(SAVED_REFUSED, c->nominal[d]) > 0 ? SAVED_REFUSED : 0;
    if (bucket->most_left_at_us == 0)
        return saved_us;
    if (counts_minutes(bucket, c->nominal[d]))
        return at_most(saved_us, QUOTA_SECOND_US / 2);
    return at_most(saved_us, quota_cost_us(bucket->most_left, c->nominal[d]) / 2);
}

int64_t quota_window_us(const struct quota_case *c, int d, int64_t least)
{
    const struct quota_bucket *bucket = &c->lane->buckets[d];
    bool waits = bucket->window_until_us > c->now_us && bucket->left < least;
    return waits ? bucket->window_until_us + RESET_LATE_US : INT64_MIN;
}

// The same moment, told over a while: the end of a window.
static void see_reset(struct quota_bucket *bucket, int64_t reset_ms, int64_t now_us)
{
    if (reset_ms < 0 || reset_ms > RESET_MOST_MS)
        return;
    int64_t at_us = now_us + reset_ms * 1000, away_us = at_us - bucket->reset_at_us;
    if (away_us > RESET_SAME_US || away_us < -RESET_SAME_US) {
        bucket->reset_at_us = at_us;
        bucket->reset_since_us = now_us;
        bucket->window_until_us = 0;
    } else if (now_us - bucket->reset_since_us >= RESET_SURE_US) {
        bucket->window_until_us = bucket->reset_at_us;
    }
}

// What is left, of what there should be.
static int64_t told_ppm(const struct quota_case *c, const struct quota_bucket *bucket, int64_t most,
                        int64_t per_minute)
{
    int64_t now_us = c->now_us;
    int64_t divisor = was_refused(c) ? 30 : 60; // others are here: more has to be left
    int64_t left_milli = bucket->left * 1000;
    int64_t want_milli =
        at_least(at_most(most * 500, at_most(per_minute, QUOTA_MOST) * 1000 / divisor), 1);
    if (want_milli < FEW_MILLI)
        left_milli += 1000;
    if (bucket->window_until_us > now_us) {
        left_milli = bucket->left + 1;
        want_milli = at_least(per_minute * ((bucket->window_until_us - now_us) / 1000) / 60000, 1);
    }
    return left_milli >= want_milli ? QUOTA_WHOLE_PPM : left_milli * QUOTA_WHOLE_PPM / want_milli;
}

// What was seen left most, which fades. Another limit means another bucket.
static void see_left(const struct quota_case *c, struct quota_bucket *bucket, int64_t left,
                     int64_t per_minute)
{
    int64_t now_us = c->now_us;
    int64_t since_ms = at_least((now_us - bucket->most_left_at_us) / 1000, 0);
    int64_t most =
        bucket->most_left - bucket->most_left * at_most(since_ms, MOST_LEFT_MS) / MOST_LEFT_MS;
    if (left >= most) {
        bucket->most_left = left;
        bucket->most_left_at_us = now_us;
        most = left;
    }
    bucket->left = left;
    int64_t told = told_ppm(c, bucket, most, per_minute);
    set_factor(bucket, (factor_now(bucket, now_us) + told) / 2,
               now_us); // answers come out of order
}

// A smaller limit counts at once. A larger one does when the smaller one was not seen for a while:
// answers to calls from before come late.
// True: it is the one that holds.
static bool see_limit(struct quota_bucket *bucket, int64_t limit, int64_t now_us)
{
    limit = at_most(limit, LIMIT_MOST);
    if (bucket->seen_limit > 0 && limit > bucket->seen_limit &&
        now_us - bucket->seen_limit_at_us < RAISE_US)
        return false;
    if (limit != bucket->seen_limit)
        bucket->most_left = bucket->most_left_at_us = 0;
    bucket->seen_limit = limit;
    bucket->seen_limit_at_us = now_us;
    return true;
}

static void see_headers(struct quota_case *c, enum quota_dimension d)
{
    struct quota_bucket *bucket = &c->lane->buckets[d];
    int64_t limit = c->ask->seen_limit[d], left = c->ask->seen_left[d];
    if (limit > 0 && !see_limit(bucket, limit, c->now_us))
        return;
    if (left < 0 || (limit > 0 && left > limit))
        return;
    see_reset(bucket, c->ask->seen_reset_ms[d], c->now_us);
    see_left(c, bucket, at_most(left, QUOTA_MOST), nominal_rate(c, d));
}

static void cut(struct quota_case *c)
{
    struct quota_lane *lane = c->lane;
    if (c->ask->refusals <= 0 || c->now_us - lane->cut_at_us < QUOTA_SECOND_US)
        return;
    lane->cut_at_us = c->now_us;
    for (int d = 0; d < QUOTA_MINUTES; d++)
        if (c->ask->seen_left[d] < 0)
            set_factor(&lane->buckets[d], factor_now(&lane->buckets[d], c->now_us) * 7 / 10,
                       c->now_us);
}

// A sudden rise may have more than the limit for a while, where nothing was owed.
static void begin_burst(struct quota_case *c)
{
    struct quota_lane *lane = c->lane;
    if (c->ask->extra_percent <= 0 || c->ask->extra_ms <= 0 ||
        c->now_us < lane->burst_until_us + BURST_REST_US)
        return;
    for (int d = 0; d < QUOTA_MINUTES; d++)
        if (c->rate[d] > 0 && lane->buckets[d].free_at_us > c->now_us)
            return;
    lane->burst_until_us = c->now_us + at_most(c->ask->extra_ms, 60000) * 1000;
    lane->burst_percent = at_most(c->ask->extra_percent, 100);
}

// What was reserved counted at the rate of its time; what comes back counts at today's.
static void settle(struct quota_case *c)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        int64_t used =
            at_most(at_least(c->ask->settled[d] - c->ask->back[d], -QUOTA_MOST), QUOTA_MOST);
        if (c->rate[d] <= 0 || used == 0)
            continue;
        if (d >= QUOTA_MINUTES) {
            quota_hours_add(&c->lane->days[d - QUOTA_MINUTES], used, c->now_us);
            continue;
        }
        int64_t *free_at_us = &c->lane->buckets[d].free_at_us;
        *free_at_us = at_least(*free_at_us, c->now_us - QUOTA_SECOND_US) +
                      quota_time_us(c, (int)d, used, c->rate[d]);
    }
}

void quota_learn(struct quota_case *c)
{
    struct quota_lane *lane = c->lane;
    if (!c->repeated) {
        for (enum quota_dimension d = 0; d < QUOTA_MINUTES; d++)
            see_headers(c, d);
        cut(c);
    }
    for (enum quota_dimension d = 0; d < QUOTA_DIMENSIONS; d++) {
        c->rate[d] = d < QUOTA_MINUTES ? nominal_rate(c, d) : quota_limit(c->fleet, c->ask, d);
        if (c->rate[d] <= 0 || d >= QUOTA_MINUTES)
            continue;
        c->nominal[d] = c->rate[d];
        int64_t factor_ppm = factor_now(&lane->buckets[d], c->now_us);
        c->eased = c->eased || factor_ppm < QUOTA_WHOLE_PPM;
        c->rate[d] = at_least(c->rate[d] * factor_ppm / QUOTA_WHOLE_PPM, 1);
    }
    if (!c->repeated)
        settle(c);
    begin_burst(c);
}
