// SPDX-License-Identifier: Apache-2.0
// Grants in the order in which they begin, and a clock for each dimension.
//
//   grant      |--------- 20 over 1 s ---------|------ 12 over 1 s ------|
//   next_us             ^ eight of them are spent: the ninth is earned here
//
// The clock of a dimension moves by what is spent, at the rate of the grant it is spent from, and
// never stands before the start of that grant. It is not pulled forward to now: a worker that was
// late catches up, by no more than what the grant holds.
#include "core/spend.h"

#include <string.h>

static bool is_paced(enum quota_dimension dimension)
{
    return dimension != QUOTA_REQUESTS_DAY && dimension != QUOTA_TOKENS_DAY;
}

void spend_init(struct spend *spend, const int64_t limits[QUOTA_DIMENSIONS])
{
    *spend = (struct spend){0};
    spend_limit(spend, limits);
}

void spend_limit(struct spend *spend, const int64_t limits[QUOTA_DIMENSIONS])
{
    spend->any = false;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        spend->limited[d] = limits[d] > 0;
        spend->any = spend->any || spend->limited[d];
    }
}

static bool is_empty(const struct spend *spend, const struct spend_grant *grant)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (spend->limited[d] && grant->left[d] > 0)
            return false;
    return true;
}

static void give_back(struct spend *spend, const struct spend_grant *grant)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (spend->limited[d])
            spend->back[d] += grant->left[d];
}

static void drop(struct spend *spend, size_t place)
{
    spend->count--;
    memmove(&spend->grants[place], &spend->grants[place + 1],
            (spend->count - place) * sizeof(spend->grants[0]));
}

int64_t spend_expire(struct spend *spend, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < spend->count;) {
        struct spend_grant *grant = &spend->grants[i];
        if (grant->until_ms <= now_ms || is_empty(spend, grant)) {
            give_back(spend, grant);
            drop(spend, i);
            continue;
        }
        if (grant->until_ms < next_ms)
            next_ms = grant->until_ms;
        i++;
    }
    return next_ms;
}

void spend_give_up(struct spend *spend)
{
    for (size_t i = 0; i < spend->count; i++)
        give_back(spend, &spend->grants[i]);
    spend->count = 0;
}

// The last grant takes up another: together they last until both are over.
static void join(struct spend_grant *last, const struct spend_grant *next)
{
    int64_t end_us = next->start_us + next->spread_us;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        last->rate[d] = next->rate[d];
        last->given[d] += next->given[d];
        last->left[d] += next->left[d];
    }
    if (end_us > last->start_us + last->spread_us)
        last->spread_us = end_us - last->start_us;
    if (next->until_ms > last->until_ms)
        last->until_ms = next->until_ms;
}

void spend_add(struct spend *spend, const struct quota_grant *grant, int64_t asked_ms,
               int64_t now_ms)
{
    struct spend_grant next = {
        .start_us = (asked_ms + grant->start_in_ms) * 1000,
        .spread_us = grant->spread_ms > 0 ? grant->spread_ms * 1000 : 0,
        .until_ms = asked_ms + grant->start_in_ms + grant->valid_ms,
    };
    memcpy(next.rate, grant->rate, sizeof(next.rate));
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (spend->limited[d] && grant->given[d] > 0)
            next.given[d] = next.left[d] = grant->given[d];
    if (is_empty(spend, &next))
        return;
    spend_expire(spend, now_ms);
    if (next.until_ms <= now_ms) { // it was too long on its way
        give_back(spend, &next);
        return;
    }
    if (spend->count == SPEND_GRANTS)
        join(&spend->grants[SPEND_GRANTS - 1], &next);
    else
        spend->grants[spend->count++] = next;
}

int64_t spend_in_hand(const struct spend *spend, enum quota_dimension dimension)
{
    int64_t sum = 0;
    for (size_t i = 0; i < spend->count; i++)
        sum += spend->grants[i].left[dimension];
    return sum;
}

// When the dimension lets the next go: its clock, and the start of the grant that it comes from.
static int64_t earned_us(const struct spend *spend, enum quota_dimension dimension)
{
    int64_t at_us = is_paced(dimension) ? spend->next_us[dimension] : 0;
    for (size_t i = 0; i < spend->count; i++)
        if (spend->grants[i].left[dimension] > 0) {
            int64_t start_us = spend->grants[i].start_us;
            return start_us > at_us ? start_us : at_us;
        }
    return at_us;
}

int64_t spend_wait_ms(const struct spend *spend, const int64_t need[QUOTA_DIMENSIONS],
                      int64_t now_ms, enum quota_dimension *out_short)
{
    int64_t longest_ms = 0;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        enum quota_dimension dimension = (enum quota_dimension)d;
        if (!spend->limited[d] || need[d] <= 0)
            continue;
        if (spend_in_hand(spend, dimension) < need[d]) {
            *out_short = dimension;
            return INT64_MAX;
        }
        int64_t wait_us = earned_us(spend, dimension) - now_ms * 1000;
        int64_t wait_ms = wait_us > 0 ? (wait_us + 999) / 1000 : 0;
        if (wait_ms > longest_ms) {
            longest_ms = wait_ms;
            *out_short = dimension;
        }
    }
    return longest_ms;
}

// What one of it costs of the clock. The grant's spread is that of its scarcest dimension; another
// one may go as fast as its own limit at that time, or calls that use less of the scarcest than
// they reserve would be held up by it.
static double each_us(const struct spend_grant *grant, int d)
{
    double by_spread = (double)grant->spread_us / (double)grant->given[d];
    double by_limit = grant->rate[d] > 0 ? 60e6 / (double)grant->rate[d] : by_spread;
    return by_limit < by_spread ? by_limit : by_spread;
}

static void take_of(struct spend *spend, int dimension, int64_t amount)
{
    int64_t at_us = spend->next_us[dimension];
    for (size_t i = 0; i < spend->count && amount > 0; i++) {
        struct spend_grant *grant = &spend->grants[i];
        int64_t part = amount < grant->left[dimension] ? amount : grant->left[dimension];
        if (part <= 0)
            continue;
        if (at_us < grant->start_us)
            at_us = grant->start_us;
        spend->each_us[dimension] = each_us(grant, dimension);
        at_us += (int64_t)((double)part * spend->each_us[dimension]);
        grant->left[dimension] -= part;
        amount -= part;
    }
    spend->next_us[dimension] = at_us;
}

void spend_take(struct spend *spend, const int64_t need[QUOTA_DIMENSIONS])
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (spend->limited[d])
            take_of(spend, d, need[d]);
}

void spend_settle(struct spend *spend, const int64_t taken[QUOTA_DIMENSIONS],
                  const int64_t used[QUOTA_DIMENSIONS])
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        if (!spend->limited[d])
            continue;
        spend->settled[d] += used[d] - taken[d];
        if (used[d] < taken[d])
            spend->next_us[d] -= (int64_t)((double)(taken[d] - used[d]) * spend->each_us[d]);
    }
}

// Of the scarcest dimension: where one of them is used up, the rest is of no use.
int64_t spend_last_ms(const struct spend *spend, int64_t now_ms)
{
    int64_t first_us = INT64_MAX;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        if (!spend->limited[d] || !is_paced((enum quota_dimension)d))
            continue;
        int64_t at_us = spend->next_us[d];
        for (size_t i = 0; i < spend->count; i++) {
            const struct spend_grant *grant = &spend->grants[i];
            if (grant->left[d] <= 0)
                continue;
            at_us = at_us > grant->start_us ? at_us : grant->start_us;
            at_us += (int64_t)((double)grant->left[d] * each_us(grant, d));
        }
        if (at_us < first_us)
            first_us = at_us;
    }
    if (spend->count > 0 && first_us == INT64_MAX) // nothing of it is paced
        return spend->grants[spend->count - 1].until_ms;
    return spend->count == 0 || first_us < now_ms * 1000 ? now_ms : first_us / 1000;
}

int64_t spend_begin_ms(const struct spend *spend)
{
    return spend->count > 0 ? spend->grants[spend->count - 1].start_us / 1000 : 0;
}

bool spend_has_news(const struct spend *spend)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (spend->back[d] != 0 || spend->settled[d] != 0)
            return true;
    return false;
}

void spend_told(struct spend *spend)
{
    memset(spend->back, 0, sizeof(spend->back));
    memset(spend->settled, 0, sizeof(spend->settled));
}
