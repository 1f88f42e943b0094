// SPDX-License-Identifier: Apache-2.0
// The fleet's quota: what a worker asks for, what it is granted, and the rule that decides. The
// rule lives twice: in SQL (migration `quota`, where the fleet's state is) and here, for the
// simulation and for tests; the differential test holds the two together, to the microsecond.
//
// A *lane* is one key with one model. It has a bucket for each dimension with a limit. A bucket of
// a minute is a timeline (GCRA): `free_at` is when all that was given is earned. A grant takes the
// next piece of the timeline; it is to be used evenly over `spread_ms` from `start_in_ms` on.
//   - A grant ends at most one second ahead of now, and is at most the asker's part of a second:
//     a second's worth divided by the workers that asked in the last two seconds. One call is the
//     least. A call that is worth more than a second goes when nothing is owed, and leaves a debt.
//   - An idle bucket saves up one second's worth, or half of what the provider's own bucket was
//     seen to hold; a tenth of a second for an hour after a 429. The rest is our safety.
//   - Who is told to wait has a place in a queue, by the time of its first vain ask. It keeps the
//     place by asking again within half a second of `wait_ms`, or of 10 s where that is longer.
//     An ask that wants nothing gives the place up.
// A bucket of a day counts by the hour over the last 24 to 25: never over the limit in any 24
// hours.
//
// The effective limit is the smaller of the configured one (or what `quota set` says, which counts
// before it) and the provider's own, times a factor. The factor follows what the provider says is
// left, whatever kind of limit it has:
//   - left / (half of the most that was left lately, or a second's worth if that is less; two
//     seconds' for an hour after a 429, since others use the key, or the bucket is small). Where
//     that is less than four units, one more counts as left: a bucket of two requests that has 0
//     or 1 left after each call is as it should be.
//   - Where the reset stays at one moment for five seconds while calls are made, there is a window
//     that ends then: (left + 1) / (what the limit gives until then), and nothing before its end
//     once less is left than a call needs. A bucket that refills tells another moment each time.
//   - Where a quarter of a minute's worth or more was ever left, it may be a window that slides:
//     1.5 % stay unused, since the last call of a minute must not meet its first one; 2 % where
//     no two calls at once were ever allowed, and for an hour after a 429 without such words.
// It moves by half of the way, to at most 1 and at least 0.1. Without such a word a 429 takes 30 %
// away, once a second. Time gives 2 % a second back.
//
// Slots (calls in flight) are shared by wants, max-min fair; who had none for longest comes first.
// A worker's slots are its own until its next ask or until its lease ends.
//
// Keys close for the whole fleet: KEY_BROKEN (the breaker) for one model, everything else for all
// models of the key. After `closed_until` one worker has the probe, for a minute or until its lease
// ends. Nothing else is granted before the probe has succeeded.
//
// Rules for who asks:
//   - One ask for a lane at a time. Take the times from when the ask was sent, not from when its
//     answer was read; a grant whose `start_in_ms` + `valid_ms` is over when it is read is void.
//   - `back` is what is left of grants (unused at the end of `valid_ms`, or not wanted any more);
//     `settled` is used minus reserved of calls that have ended. Both are applied whatever the
//     answer.
//   - Whoever stops working asks once more, wanting nothing, so that slots and places are free.
#ifndef PRECIS_CORE_QUOTA_H
#define PRECIS_CORE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/keys.h"

enum quota_dimension {
    QUOTA_REQUESTS,
    QUOTA_INPUT,  // tokens
    QUOTA_OUTPUT, // tokens
    QUOTA_TOKENS, // input and output together
    QUOTA_REQUESTS_DAY,
    QUOTA_TOKENS_DAY,
    QUOTA_DIMENSIONS
};

#define QUOTA_MINUTES 4 // the first dimensions are a minute's

enum quota_probe {
    QUOTA_PROBE_NONE,
    QUOTA_PROBE_OK,     // the key opens
    QUOTA_PROBE_FAILED, // it stays closed; `close_cause` and `close_ms` say how
    QUOTA_PROBE_ENDED,  // without a word on the key: somebody else may probe
};

// Of one key with one model.
struct quota_ask {
    const char *provider, *key_name, *model;
    int64_t limits[QUOTA_DIMENSIONS]; // configured; 0: none
    int64_t in_flight_most;           // configured; 0: none
    int64_t wanted[QUOTA_DIMENSIONS]; // for about the next second; no requests: nothing is wanted
    int64_t least[QUOTA_DIMENSIONS];  // less is of no use: the first call's need
    int64_t back[QUOTA_DIMENSIONS], settled[QUOTA_DIMENSIONS];
    int64_t slots_held;   // calls in flight
    int64_t slots_wanted; // calls that it would have in flight, with those it has
    // The provider's newest headers; -1: not told. What makes no sense changes nothing.
    int64_t seen_limit[QUOTA_DIMENSIONS], seen_left[QUOTA_DIMENSIONS];
    int64_t seen_reset_ms[QUOTA_DIMENSIONS]; // from now on; the past counts as now
    int32_t refusals;                        // 429 since the last ask
    enum key_cause close_cause;              // KEY_FINE: nothing to tell
    int64_t close_ms;
    enum quota_probe probe;
    bool key_changed; // its secret is another one: a closed key may be probed now
    // So much more than the limit, for so long, may be given to a sudden rise; 0: none. It begins
    // where nothing was owed, and not again for half a minute after its end.
    int64_t extra_percent, extra_ms;
};

struct quota_grant {
    // Where a dimension has no limit: as wanted. All 0: nothing was given.
    int64_t given[QUOTA_DIMENSIONS];
    int64_t start_in_ms, spread_ms; // use evenly over spread_ms from start_in_ms on
    int64_t valid_ms;               // after the start; then give the rest back
    int64_t slots;   // calls that this worker may have in flight now; INT64_MAX: no limit
    int64_t wait_ms; // nothing was given, though wanted: ask again then. Else 0
    enum quota_dimension short_of;  // with wait_ms and an open key
    int32_t askers;                 // workers that wanted something in the last 2 s, with this one
    enum key_cause cause;           // KEY_FINE: open
    int64_t closed_ms;              // so long it stays closed at least
    bool probe;                     // closed, and this grant is for the one call that tries it
    int64_t rate[QUOTA_DIMENSIONS]; // effective limits, a minute or a day; 0: none
};

// -------------------------------------------------------------------------- the rule

struct quota_fleet; // all lanes and keys, as PostgreSQL holds them

// Who asks, and when.
struct quota_asker {
    int64_t worker;
    int64_t serial; // of the ask: one that comes again is answered, but nothing of it counts twice
    int64_t now_us; // unix microseconds, the database's clock
    const void *context;
    bool (*is_live)(const void *context, int64_t worker); // its lease runs
};

struct quota_fleet *quota_fleet_new(void);
void quota_fleet_free(struct quota_fleet *fleet);
// True: a key was closed or opened, and others should be told.
bool quota_fleet_ask(struct quota_fleet *fleet, const struct quota_asker *asker,
                     const struct quota_ask *ask, struct quota_grant *out);
// `quota set`: in place of every worker's configured limit. 0: that again. `key_name` "": all keys.
void quota_fleet_set(struct quota_fleet *fleet, const struct quota_ask *lane,
                     enum quota_dimension dimension, int64_t most);
// The server crashed: up to 0.6 s of what was given last is forgotten. A second passes before more
// is given.
void quota_fleet_crashed(struct quota_fleet *fleet, int64_t now_us);

// "requests", "input", "output", "tokens", "requests_day", "tokens_day"
const char *quota_dimension_name(enum quota_dimension dimension);

#endif
