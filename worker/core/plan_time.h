// SPDX-License-Identifier: Apache-2.0
// How long calls take under limits, before any of them is made: a walk through all of them in
// virtual time, first come first served, as the fleet's quota lets them pass.
//
// Limits are timelines: a call passes when what was given before is earned, but for one second's
// worth that may have been saved up; what is larger than that passes too, and leaves the timeline
// in debt. A slot is taken from a call's start to its end. Calls of one job follow each other.
// Everything is an expectation: nothing fails, nothing else uses the key. No clock, no float.
#ifndef PRECIS_CORE_PLAN_TIME_H
#define PRECIS_CORE_PLAN_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum plan_time_limit {
    PLAN_TIME_REQUESTS, // a minute, as the next three
    PLAN_TIME_TOKENS,   // input and output together
    PLAN_TIME_INPUT,
    PLAN_TIME_OUTPUT,
    PLAN_TIME_REQUESTS_DAY,
    PLAN_TIME_TOKENS_DAY,
    PLAN_TIME_SLOTS, // calls at once
    PLAN_TIME_LIMITS,
    PLAN_TIME_NONE = PLAN_TIME_LIMITS, // nothing but how long calls take
};

struct plan_time_call {
    int64_t input_tokens, output_tokens, duration_ms;
    bool follows; // it begins when the call before it in the list has ended
};

struct plan_time {
    int64_t total_ms;           // until the last call has ended
    enum plan_time_limit bound; // what is waited for longest
};

// 0: there is no such limit. At most 1e15 of each.
typedef int64_t plan_time_limits[PLAN_TIME_LIMITS];

// Of no calls: 0 ms. Limits that are negative count as none.
struct plan_time plan_time_of(const struct plan_time_call *calls, size_t count,
                              const plan_time_limits limits);

// The least limit of that kind (the others stay as they are) with which all calls have ended within
// so many milliseconds: what is there, where that is enough. 0: none suffices, however large, or
// there is no such limit.
int64_t plan_time_needed(const struct plan_time_call *calls, size_t count,
                         const plan_time_limits limits, enum plan_time_limit which,
                         int64_t within_ms);

// The calls with up to `size` neighbours in one: those that stand alone (no call follows them, they
// follow none), as long as their input and `shared` together stay within `most_input_tokens`.
// `shared` is what each of them has and a packed call has once: the input of the instructions, and
// of a duration what passes before the first token. Writes at most `count` calls to `out`; returns
// their number.
struct plan_time_shared {
    int64_t input_tokens, duration_ms;
};
size_t plan_time_pack(const struct plan_time_call *calls, size_t count, size_t size,
                      const struct plan_time_shared *shared, int64_t most_input_tokens,
                      struct plan_time_call *out);

#endif
