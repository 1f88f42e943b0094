// SPDX-License-Identifier: Apache-2.0
// Inside the quota's rule: the fleet's state as rows, each of which is a row in PostgreSQL too.
// Nobody else includes this.
#ifndef PRECIS_CORE_QUOTA_INNER_H
#define PRECIS_CORE_QUOTA_INNER_H

#include "core/quota.h"

#define QUOTA_SECOND_US INT64_C(1000000)
#define QUOTA_HOUR_US   (3600 * QUOTA_SECOND_US)
#define QUOTA_WHOLE_PPM INT64_C(1000000)
#define QUOTA_MOST      INT64_C(100000000000) // larger amounts count as this much: no overflow
#define QUOTA_HOURS     25                    // the one that runs, and 24 before it

struct quota_bucket { // of a minute
    int64_t free_at_us;
    int64_t seen_limit;                 // the provider's last word; 0: none
    int64_t seen_limit_at_us;           // when it was seen last
    int64_t left;                       // the provider's last word
    int64_t most_left, most_left_at_us; // 0 µs: never seen
    int64_t reset_at_us;                // the moment that the provider named
    int64_t reset_since_us;             // when it was first named
    int64_t window_until_us;            // it is the end of a window; in the past: nothing is known
    int64_t factor_ppm, factor_at_us;   // as it was then
};

struct quota_hours { // of a day: what was used by the hour; place: hour number modulo QUOTA_HOURS
    int64_t hour[QUOTA_HOURS], used[QUOTA_HOURS];
};

struct quota_row { // a worker in a lane
    int64_t worker, serial;
    int64_t asked_at_us;
    bool wants;
    int64_t waiting_since_us, due_at_us; // 0: it does not wait
    int64_t need_us[QUOTA_MINUTES];      // of each timeline, while it waits
    int64_t slots_held, slots_wanted, slots_given;
    int64_t slots_at_us; // when it was last seen with one
};

struct quota_lane {
    char *provider, *key_name, *model;
    struct quota_bucket buckets[QUOTA_MINUTES];
    struct quota_hours days[QUOTA_DIMENSIONS - QUOTA_MINUTES];
    int64_t cut_at_us; // for a 429 without headers
    int64_t burst_until_us, burst_percent;
    struct quota_row *rows;
    size_t row_count;
};

struct quota_key { // closed, for one model or (NULL) for all
    char *provider, *key_name, *model;
    enum key_cause cause; // KEY_FINE: open
    int64_t closed_until_us;
    int64_t prober, probe_until_us; // 0: nobody probes
};

struct quota_setting {
    char *provider, *key_name, *model;
    enum quota_dimension dimension; // QUOTA_DIMENSIONS: calls in flight
    int64_t most;
};

struct quota_fleet {
    struct quota_lane *lanes;
    size_t lane_count;
    struct quota_key *keys;
    size_t key_count;
    struct quota_setting *settings;
    size_t setting_count;
    int64_t since_us; // nothing that was given before this is known
};

// One ask while it is answered.
struct quota_case {
    struct quota_fleet *fleet;
    const struct quota_asker *asker;
    const struct quota_ask *ask;
    struct quota_grant *out;
    struct quota_lane *lane;
    struct quota_row *row;
    bool repeated; // this ask was answered before
    int64_t now_us;
    int64_t nominal[QUOTA_MINUTES];  // without the factor
    int64_t rate[QUOTA_DIMENSIONS];  // effective; 0: none
    bool eased;                      // one of them is below what is configured, for a while
    int64_t base_us[QUOTA_MINUTES];  // where the next grant begins
    int64_t ahead_us[QUOTA_MINUTES]; // what those wait for who come first
};

// quota_fleet.c
struct quota_lane *quota_find_lane(struct quota_fleet *fleet, const struct quota_ask *ask,
                                   int64_t now_us);
// NULL: it was never closed, and `make` is false.
struct quota_key *quota_find_key(struct quota_fleet *fleet, const struct quota_ask *ask,
                                 bool of_model, bool make);
struct quota_row *quota_find_row(struct quota_lane *lane, const struct quota_asker *asker);
// What holds of a limit: `quota set`, else what the ask says. QUOTA_DIMENSIONS: calls in flight.
int64_t quota_limit(const struct quota_fleet *fleet, const struct quota_ask *ask,
                    enum quota_dimension dimension);

// quota_bucket.c
// Headers and refusals, then the effective rates, then what was given back and settled.
void quota_learn(struct quota_case *c);
// Time of the rate that so much takes, rounded up; negative amounts give less.
int64_t quota_cost_us(int64_t amount, int64_t per_minute);
// The same, and what stays unused of the limit.
int64_t quota_time_us(const struct quota_case *c, int d, int64_t amount, int64_t per_minute);
// What an idle bucket may save up, and the moment before which so much is not to be had.
int64_t quota_saved_us(const struct quota_case *c, int d);
int64_t quota_window_us(const struct quota_case *c, int d, int64_t least);
int64_t quota_units(int64_t time_us, int64_t per_minute);
int64_t quota_hours_used(const struct quota_hours *hours, int64_t now_us);
void quota_hours_add(struct quota_hours *hours, int64_t amount, int64_t now_us);
// Until so much fits under the limit; 25 h where it never does.
int64_t quota_hours_wait_us(const struct quota_hours *hours, int64_t limit, int64_t amount,
                            int64_t now_us);

// quota_key.c
// What the ask tells of its key. True: it was closed or opened.
bool quota_key_report(struct quota_case *c);
// Fills cause, closed_ms and probe. True: grants may be given, or the one for the probe.
bool quota_key_admit(struct quota_case *c);

// quota_slots.c
void quota_share_slots(struct quota_case *c);

#endif
