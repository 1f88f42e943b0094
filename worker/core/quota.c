// SPDX-License-Identifier: Apache-2.0
// The rule that shares a lane's limits among the workers of the fleet.
//
// A timeline of 20 requests a second, three workers that ask for more than there is:
//
//      saved      now                                           now + 1 s
//        ├─────────┼──────────────┬──────────────┬──────────────┤
//                  │ A: 6 of them │ B: 6         │ C: 6         │   A asks again: too far ahead, it
//                  is └ free_at goes on to here ──────────────────▶│   told to wait for its quarter
//
// Pieces are handed out in the order of asking, ahead of time, so that nobody has to ask in the
// right moment; who finds no room waits in a queue, and what those before it need is kept for them,
// also from one who would need less. So a large call is not passed by small ones for ever.
#include "core/quota_inner.h"

#define REACH_US      QUOTA_SECOND_US
#define ASKING_US     (2 * QUOTA_SECOND_US)  // who asked within counts as an asker
#define PLACE_US      (10 * QUOTA_SECOND_US) // a place in the queue is kept so long without an ask
#define LATE_US       (QUOTA_SECOND_US / 2)
#define LATE_MS       500
#define WAIT_MIN_US   10000
#define EASED_WAIT_US 500000

struct part { // of one dimension
    int64_t wanted, least;
    int64_t given;
    int64_t wait_us; // > 0: there is no room yet
};

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static bool is_live(const struct quota_case *c, const struct quota_row *row)
{
    return row == c->row || c->asker->is_live(c->asker->context, row->worker);
}

static bool keeps_place(const struct quota_row *row, int64_t now_us)
{
    return row->waiting_since_us != 0 && row->due_at_us > now_us - LATE_US;
}

// Counts the askers, and what those want who come first.
static void look_around(struct quota_case *c)
{
    int64_t mine = keeps_place(c->row, c->now_us) ? c->row->waiting_since_us : c->now_us;
    for (size_t i = 0; i < c->lane->row_count; i++) {
        const struct quota_row *row = &c->lane->rows[i];
        if (!is_live(c, row))
            continue;
        if (row->wants && row->asked_at_us > c->now_us - ASKING_US)
            c->out->askers++;
        bool before = row->waiting_since_us < mine ||
                      (row->waiting_since_us == mine && row->worker < c->row->worker);
        if (row == c->row || !keeps_place(row, c->now_us) || !before)
            continue;
        for (int d = 0; d < QUOTA_MINUTES; d++)
            c->ahead_us[d] += row->need_us[d];
    }
}

// The least piece of a timeline that is worth an ask, and no more than can be ahead.
static int64_t need_us(const struct quota_case *c, const struct part *part, int d)
{
    int64_t share_us = REACH_US / c->out->askers;
    int64_t quarter =
        larger(part->least, smaller(part->wanted, quota_units(share_us / 4, c->rate[d])));
    return smaller(quota_cost_us(quarter, c->rate[d]), REACH_US);
}

static void part_of_minute(struct quota_case *c, int d, struct part *part)
{
    int64_t end_us = c->now_us + REACH_US - c->ahead_us[d];
    c->base_us[d] =
        larger(larger(c->lane->buckets[d].free_at_us, c->now_us - quota_saved_us(c, d)),
               larger(c->fleet->since_us + REACH_US, quota_window_us(c, d, part->least)));
    part->wait_us = c->base_us[d] + need_us(c, part, d) - end_us;
    int64_t share = quota_units(REACH_US / c->out->askers, c->rate[d]);
    int64_t room = quota_units(end_us - c->base_us[d], c->rate[d]);
    part->given = larger(part->least, smaller(part->wanted, smaller(share, room)));
}

static void part_of_day(const struct quota_case *c, int d, struct part *part)
{
    const struct quota_hours *hours = &c->lane->days[d - QUOTA_MINUTES];
    int64_t room = c->rate[d] - quota_hours_used(hours, c->now_us);
    part->wait_us = quota_hours_wait_us(hours, c->rate[d], part->least, c->now_us);
    part->given = larger(part->least, smaller(part->wanted, room / c->out->askers));
}

// What each dimension could give. Those that an ask does not want, or that have no limit, give all.
static void make_parts(struct quota_case *c, struct part parts[QUOTA_DIMENSIONS])
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        struct part *part = &parts[d];
        part->least = smaller(larger(c->ask->least[d], c->ask->wanted[d] > 0), QUOTA_MOST);
        part->wanted = smaller(larger(c->ask->wanted[d], part->least), QUOTA_MOST);
        part->given = part->wanted;
        if (c->rate[d] <= 0 || part->wanted == 0)
            continue;
        if (d < QUOTA_MINUTES)
            part_of_minute(c, d, part);
        else
            part_of_day(c, d, part);
    }
}

// Requests without their tokens, or tokens without their requests, are of no use: all are cut to
// the smallest part.
static void level(const struct quota_case *c, struct part parts[QUOTA_DIMENSIONS])
{
    int64_t ppm = QUOTA_WHOLE_PPM;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (c->rate[d] > 0 && parts[d].wanted > 0)
            ppm = smaller(ppm, parts[d].given * QUOTA_WHOLE_PPM / parts[d].wanted);
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        parts[d].given =
            larger(parts[d].least, (parts[d].wanted * ppm + QUOTA_WHOLE_PPM - 1) / QUOTA_WHOLE_PPM);
}

static int64_t burst_rate(const struct quota_case *c, int d)
{
    bool bursts = c->now_us < c->lane->burst_until_us;
    return bursts ? c->rate[d] * (100 + c->lane->burst_percent) / 100 : c->rate[d];
}

static void give(struct quota_case *c, const struct part parts[QUOTA_DIMENSIONS])
{
    int64_t start_us = c->now_us, end_us = c->now_us;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        c->out->given[d] = parts[d].given;
        if (c->rate[d] <= 0 || parts[d].given == 0)
            continue;
        if (d >= QUOTA_MINUTES) {
            quota_hours_add(&c->lane->days[d - QUOTA_MINUTES], parts[d].given, c->now_us);
            continue;
        }
        start_us = larger(start_us, c->base_us[d]);
        c->lane->buckets[d].free_at_us =
            c->base_us[d] + quota_time_us(c, d, parts[d].given, burst_rate(c, d));
        end_us = larger(end_us, c->lane->buckets[d].free_at_us);
    }
    c->out->start_in_ms = (start_us - c->now_us + 999) / 1000;
    c->out->spread_ms = end_us > start_us ? (end_us - start_us) / 1000 : 0;
    c->out->valid_ms = smaller(c->out->spread_ms, REACH_US / 1000) + LATE_MS;
}

static void wait_in_queue(struct quota_case *c, const struct part parts[QUOTA_DIMENSIONS])
{
    struct quota_row *row = c->row;
    int64_t longest_us = 0;
    for (enum quota_dimension d = 0; d < QUOTA_DIMENSIONS; d++) {
        if (parts[d].wait_us <= longest_us)
            continue;
        longest_us = parts[d].wait_us;
        c->out->short_of = d;
    }
    if (c->eased) // the rate may be another one soon
        longest_us = smaller(longest_us, EASED_WAIT_US);
    longest_us = larger(longest_us, WAIT_MIN_US);
    c->out->wait_ms = (longest_us + 999) / 1000;
    if (!keeps_place(row, c->now_us))
        row->waiting_since_us = c->now_us;
    row->due_at_us = c->now_us + smaller(c->out->wait_ms * 1000, PLACE_US);
    for (int d = 0; d < QUOTA_MINUTES; d++)
        row->need_us[d] = c->rate[d] > 0 && parts[d].wanted > 0 ? need_us(c, &parts[d], d) : 0;
}

static void grant(struct quota_case *c)
{
    struct part parts[QUOTA_DIMENSIONS] = {0};
    bool room = true;
    make_parts(c, parts);
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        room = room && parts[d].wait_us <= 0;
        if (c->out->probe)
            parts[d].given = parts[d].wanted = parts[d].least;
    }
    if (room || c->out->probe) {
        level(c, parts);
        give(c, parts);
        c->row->waiting_since_us = 0;
    } else {
        wait_in_queue(c, parts);
    }
}

bool quota_fleet_ask(struct quota_fleet *fleet, const struct quota_asker *asker,
                     const struct quota_ask *ask, struct quota_grant *out)
{
    struct quota_case c = {
        .fleet = fleet, .asker = asker, .ask = ask, .out = out, .now_us = asker->now_us};
    *out = (struct quota_grant){0};
    c.lane = quota_find_lane(fleet, ask, c.now_us);
    c.row = quota_find_row(c.lane, asker);
    c.repeated = c.row->serial == asker->serial;
    c.row->serial = asker->serial;
    c.row->asked_at_us = c.now_us;
    c.row->wants = ask->wanted[QUOTA_REQUESTS] > 0;
    quota_learn(&c);
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        out->rate[d] = c.rate[d];
    bool news = quota_key_report(&c);
    quota_share_slots(&c);
    look_around(&c);
    bool open = quota_key_admit(&c);
    if (!open)
        out->wait_ms = c.row->wants ? out->closed_ms : 0;
    if (!open || !c.row->wants)
        c.row->waiting_since_us = 0;
    else
        grant(&c);
    return news;
}
