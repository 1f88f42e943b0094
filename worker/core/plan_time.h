// SPDX-License-Identifier: Apache-2.0
// How long calls take under limits, before any of them is made: a walk through all of them in
// virtual time, first come first served, as the fleet's quota lets them pass.
//
// Limits are timelines: a call passes when what was given before is earned, but for one second's
// worth that may have been saved up; what is larger than that passes too, and leaves the timeline
// in debt. What a day's limit allows may go at once; then nothing until 25 hours after the first.
// A slot is taken from a call's start to its end. Calls of one job follow each other. What others
// have in front of the queue is a debt that all timelines and slots begin with.
// Everything is an expectation: nothing fails, nothing else uses the key. No clock, no float.
#ifndef PRECIS_CORE_PLAN_TIME_H
#define PRECIS_CORE_PLAN_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/pack.h"

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
    // Of these, what several calls in one request have once: the instructions, and the time before
    // the first token.
    int64_t form_tokens, first_ms;
    struct pack_room need; // of a request for several; no documents: it goes alone
    uint64_t pack_hash;    // calls with the same one may go together
    bool follows;          // it begins when the call before it in the list has ended
};

struct plan_time {
    int64_t total_ms;           // until the last call has ended
    enum plan_time_limit bound; // what is waited for longest
    size_t requests;            // calls that share one are one
    int64_t input_tokens, output_tokens;
};

// 0: there is no such limit. At most 1e15 of each.
typedef int64_t plan_time_limits[PLAN_TIME_LIMITS];

// What is let through before the first of the calls.
struct plan_time_ahead {
    int64_t requests, input_tokens, output_tokens;
    int64_t duration_ms; // of all of them, one after the other
};

struct plan_time_work {
    const struct plan_time_call *calls;
    size_t count;
    struct plan_time_ahead ahead;
    // What a request for several may hold (core/pack.h): calls that had to wait go together with
    // those behind them, as in engine_pack.c. No documents, or one: each goes alone.
    struct pack_room room;
};

// Of no calls: 0 ms. Limits that are negative count as none.
struct plan_time plan_time_of(const struct plan_time_work *work, const plan_time_limits limits);

// The least limit of that kind (the others stay as they are) with which all calls have ended within
// so many milliseconds: what is there, where that is enough. 0: none suffices, however large, or
// there is no such limit.
int64_t plan_time_needed(const struct plan_time_work *work, const plan_time_limits limits,
                         enum plan_time_limit which, int64_t within_ms);

#endif
