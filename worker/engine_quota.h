// SPDX-License-Identifier: Apache-2.0
// Lanes: one key with one model, as this worker sees it. What the fleet's quota (core/quota.h)
// gave to it, what its calls use of that, and what the store is to be told.
//
// The engine asks for all lanes that are due in one request, and has one request under way at a
// time. A lane is due when jobs are ready that its grants do not cover, a little before a grant is
// used up, when something happened that others should know (a 429, a probe), and now and then
// while it is in use. So a busy worker asks about twice a second for each lane, however many calls
// it makes; an idle one never.
#ifndef PRECIS_ENGINE_QUOTA_H
#define PRECIS_ENGINE_QUOTA_H

#include "core/adapt.h"
#include "core/breaker.h"
#include "core/calibrate.h"
#include "core/config.h"
#include "core/forecast.h"
#include "core/quota.h"
#include "core/seams.h"
#include "core/spend.h"
#include "core/throttle.h"

struct engine;
struct job_share;
struct gate;
struct job;
struct key_state;

struct lane {
    const struct config_model *model;
    size_t key;                                       // its place in its provider
    int64_t limits[QUOTA_DIMENSIONS], in_flight_most; // configured; 0: none
    struct spend spend;
    struct adapt adapt; // where there is no limit at all
    struct throttle throttle;
    struct breaker breaker;
    bool adapts;
    size_t in_flight;
    int64_t slots;  // calls that it may have in flight
    uint64_t taken; // calls that ever went here

    // What the store said last.
    bool known;                     // it has said something
    int64_t rate[QUOTA_DIMENSIONS]; // effective, a minute or a day; 0: none
    int32_t askers;
    int64_t wait_until_ms; // nothing was to be had: ask again then
    enum quota_dimension short_of;
    bool broken; // the breaker is open, in the fleet
    int64_t broken_until_ms;
    bool may_probe; // closed, and this worker's next call may try it
    bool probing;   // that call is under way

    // What it is to be told.
    int64_t asked_ms; // 0: never
    bool urgent;      // at once
    bool opened;      // the breaker opened here
    bool told_key;    // the ask under way tells of its key
    int32_t refusals;
    enum quota_probe probe;
    int64_t seen_limit[QUOTA_DIMENSIONS], seen_left[QUOTA_DIMENSIONS];
    int64_t reset_at_ms[QUOTA_DIMENSIONS]; // as the provider told; -1: not told
};

struct quota_link { // the engine's request under way
    bool asking;
    int64_t asked_ms;
    struct lane **asked; // in the order of the asks
    struct quota_ask *asks;
    size_t count, room;
};

void quota_lane_init(struct lane *lane, const struct config_model *model, size_t key,
                     int64_t in_flight_ceiling);
bool lane_has_slot(const struct lane *lane);
// Milliseconds until the lane's grants let `need` go; 0: now; INT64_MAX: not before a grant.
int64_t lane_wait_ms(const struct lane *lane, const int64_t need[QUOTA_DIMENSIONS], int64_t now_ms,
                     enum quota_dimension *out_short);
// How long its grants last, in microseconds of its limit: comparable between lanes.
int64_t lane_room_ms(const struct lane *lane, int64_t now_ms);

void quota_deinit(struct engine *engine);
// A job was queued for admission: demand for the forecast.
void quota_wanted(struct engine *engine, const struct job *job);
// The job goes: its need is reserved in the lane; after call_prepare the estimate is corrected.
void quota_reserve(struct engine *engine, struct job *job, struct lane *lane);
void quota_prepared(struct engine *engine, struct job *job);
// The job's call is over, whatever came of it, or it never began.
void quota_settle(struct engine *engine, struct job *job);
// The headers of the job's answer are there, its body may take long: they are told now.
void quota_headers(struct engine *engine, const struct job *job);
// The answer's counts teach.
void quota_answered(struct engine *engine, const struct job *job);
// The same of a shared request, before its members get their shares: the whole of it teaches how
// the model counts, each part of the answer how long parts are. The leader is the first.
void quota_shared(struct engine *engine, struct job *const *members, const struct job_share *shares,
                  size_t count);
// Asks for what is due. Returns when to look again.
int64_t quota_pump(struct engine *engine);
void quota_granted(struct engine *engine, const struct store_event *event);
// "key" or "quota": what the store knows has changed.
void quota_noticed(struct engine *engine, const char *what);
// The store is back: what was noticed meanwhile was missed.
void quota_store_up(struct engine *engine);
// With this model, requests are what is short, rather than tokens: what the packing of several
// short documents into one request is decided by.
bool quota_scarce_requests(const struct engine *engine, const struct config_model *model);

#endif
