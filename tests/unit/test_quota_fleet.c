// SPDX-License-Identifier: Apache-2.0
// A fleet on one key: the rule, workers that spend what they are granted (core/spend), and a
// provider that enforces its limit with a bucket of two seconds' worth and tells in headers what is
// left. Other programs use the same key, and the limit changes. What is used, and what is refused?
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/rng.h"
#include "core/quota.h"
#include "core/spend.h"

#define START_US INT64_C(1795000000000000)

enum { WORKERS_MOST = 16, CALLS_MOST = 4000, LEAD_MS = 400, LEAST_MS = 20, MANY = 1200 };

struct worker {
    struct spend spend;
    struct quota_grant grant; // on its way
    int64_t asked_ms, answer_ms, wait_until_ms;
    bool asking;
    int64_t seen_limit, seen_left;
    int32_t refusals;
};

struct call {
    int worker;
    int64_t end_ms, limit, left;
    bool refused;
};

struct scene {
    int workers;
    int64_t answer_from_ms, answer_to_ms; // a call's headers come so long after it was sent
    int foreign_percent;                  // of the limit, Poisson
    int64_t halved_at_ms;                 // 0: never
    int64_t killed_at_ms;                 // the first worker; 0: never
    bool headers;
    int64_t run_ms;
};

struct fleet {
    const struct scene *scene;
    struct rng rng;
    struct quota_fleet *quota;
    struct worker workers[WORKERS_MOST];
    struct call calls[CALLS_MOST];
    size_t call_count;
    int64_t now_ms, serial;
    int64_t per_minute, level_ppm; // the provider's bucket, in millionths of a request
    int64_t sent, refused, foreign, last_refused_ms;
    double allowed; // requests, in the time that sent, refused and foreign are of
};

static int64_t between(struct fleet *fleet, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&fleet->rng, (uint64_t)(high - low + 1));
}

// ------------------------------------------------------------------------------- the provider

static void refill(struct fleet *fleet)
{
    int64_t most = fleet->per_minute * 1000000 / 30; // two seconds' worth
    fleet->level_ppm += fleet->per_minute * 1000 / 60;
    if (fleet->level_ppm > most)
        fleet->level_ppm = most;
}

static bool admit(struct fleet *fleet)
{
    if (fleet->level_ppm < 1000000)
        return false;
    fleet->level_ppm -= 1000000;
    return true;
}

static void others_call(struct fleet *fleet)
{
    int64_t chance = fleet->per_minute * fleet->scene->foreign_percent / 100;
    if ((int64_t)rng_below(&fleet->rng, 60000) < chance && admit(fleet))
        fleet->foreign++;
}

static void call(struct fleet *fleet, int worker)
{
    const struct scene *scene = fleet->scene;
    assert_true(fleet->call_count < CALLS_MOST);
    struct call *out = &fleet->calls[fleet->call_count++];
    *out = (struct call){.worker = worker, .refused = !admit(fleet)};
    out->limit = scene->headers ? fleet->per_minute : -1;
    out->left = scene->headers ? fleet->level_ppm / 1000000 : -1;
    out->end_ms = fleet->now_ms +
                  (out->refused ? 5 : between(fleet, scene->answer_from_ms, scene->answer_to_ms));
    fleet->sent += !out->refused;
    fleet->refused += out->refused;
    if (out->refused)
        fleet->last_refused_ms = fleet->now_ms;
}

static void answers_come(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->call_count;) {
        const struct call *call = &fleet->calls[i];
        struct worker *worker = &fleet->workers[call->worker];
        if (call->end_ms > fleet->now_ms) {
            i++;
            continue;
        }
        worker->seen_limit = call->limit;
        worker->seen_left = call->left;
        worker->refusals += call->refused;
        fleet->calls[i] = fleet->calls[--fleet->call_count];
    }
}

// ------------------------------------------------------------------------------- a worker

static bool is_live(const void *context, int64_t worker)
{
    (void)context;
    (void)worker;
    return true;
}

static void ask(struct fleet *fleet, int index)
{
    struct worker *worker = &fleet->workers[index];
    struct quota_ask ask = {.provider = "p", .key_name = "k", .model = "m"};
    ask.limits[QUOTA_REQUESTS] = MANY;
    ask.wanted[QUOTA_REQUESTS] = 40;
    ask.least[QUOTA_REQUESTS] = 1;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        ask.seen_limit[d] = ask.seen_left[d] = ask.seen_reset_ms[d] = -1;
    ask.seen_limit[QUOTA_REQUESTS] = worker->seen_limit;
    ask.seen_left[QUOTA_REQUESTS] = worker->seen_left;
    worker->seen_limit = worker->seen_left = -1;
    ask.refusals = worker->refusals;
    worker->refusals = 0;
    memcpy(ask.back, worker->spend.back, sizeof(ask.back));
    memcpy(ask.settled, worker->spend.settled, sizeof(ask.settled));
    spend_told(&worker->spend);
    struct quota_asker asker = {.worker = index + 1,
                                .serial = ++fleet->serial,
                                .now_us = START_US + fleet->now_ms * 1000,
                                .is_live = is_live};
    quota_fleet_ask(fleet->quota, &asker, &ask, &worker->grant);
    worker->asking = true;
    worker->asked_ms = fleet->now_ms;
    worker->answer_ms = fleet->now_ms + between(fleet, 1, 8);
}

static void run_worker(struct fleet *fleet, int index)
{
    static const int64_t need[QUOTA_DIMENSIONS] = {1, 0, 0, 0, 0, 0};
    struct worker *worker = &fleet->workers[index];
    enum quota_dimension which;
    if (worker->asking && worker->answer_ms <= fleet->now_ms) {
        worker->asking = false;
        spend_add(&worker->spend, &worker->grant, worker->asked_ms, fleet->now_ms);
        worker->wait_until_ms = worker->asked_ms + worker->grant.wait_ms;
    }
    spend_expire(&worker->spend, fleet->now_ms);
    while (spend_wait_ms(&worker->spend, need, fleet->now_ms, &which) == 0) {
        spend_take(&worker->spend, need);
        call(fleet, index);
    }
    if (!worker->asking && worker->wait_until_ms <= fleet->now_ms &&
        worker->asked_ms + LEAST_MS <= fleet->now_ms &&
        spend_last_ms(&worker->spend, fleet->now_ms) - LEAD_MS <= fleet->now_ms)
        ask(fleet, index);
}

// ------------------------------------------------------------------------------- scenes

struct figures {
    double used;            // of what others left
    double refused;         // of what was sent
    int64_t refused_for_ms; // after the disturbance
};

// What is counted begins with the disturbance; without one when the fleet has warmed up.
static int64_t counted_from_ms(const struct scene *scene)
{
    int64_t disturbed_ms = scene->halved_at_ms + scene->killed_at_ms;
    return disturbed_ms > 0 ? disturbed_ms : 5000;
}

static void tick(struct fleet *fleet)
{
    const struct scene *scene = fleet->scene;
    if (scene->halved_at_ms > 0 && fleet->now_ms == scene->halved_at_ms)
        fleet->per_minute /= 2;
    if (fleet->now_ms == counted_from_ms(scene)) {
        fleet->sent = fleet->refused = fleet->foreign = 0;
        fleet->allowed = 0;
    }
    fleet->allowed += (double)fleet->per_minute / 60000;
    refill(fleet);
    others_call(fleet);
    answers_come(fleet);
    bool killed = scene->killed_at_ms > 0 && fleet->now_ms >= scene->killed_at_ms;
    for (int w = killed ? 1 : 0; w < scene->workers; w++)
        run_worker(fleet, w);
}

static struct figures play(const struct scene *scene, uint64_t seed)
{
    static const int64_t limits[QUOTA_DIMENSIONS] = {MANY, 0, 0, 0, 0, 0};
    struct fleet *fleet = own_alloc(sizeof(*fleet));
    fleet->scene = scene;
    fleet->quota = quota_fleet_new();
    rng_init(&fleet->rng, seed);
    fleet->per_minute = MANY;
    fleet->level_ppm = MANY / 30 * 1000000;
    for (int w = 0; w < scene->workers; w++) {
        spend_init(&fleet->workers[w].spend, limits);
        fleet->workers[w].seen_limit = fleet->workers[w].seen_left = -1;
    }
    for (fleet->now_ms = 0; fleet->now_ms < scene->run_ms; fleet->now_ms++)
        tick(fleet);
    int64_t asked = fleet->sent + fleet->refused;
    struct figures figures = {.used =
                                  (double)fleet->sent / (fleet->allowed - (double)fleet->foreign),
                              .refused = (double)fleet->refused / (double)asked,
                              .refused_for_ms = fleet->last_refused_ms - counted_from_ms(scene)};
    quota_fleet_free(fleet->quota);
    free(fleet);
    return figures;
}

static void expect(const struct scene *scene, double used, double refused, int64_t refused_for_ms)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct figures got = play(scene, seed);
        if (got.used < used || got.refused > refused || got.refused_for_ms > refused_for_ms)
            fail_msg("%d workers, headers after %d to %d ms, seed %" PRIu64
                     ": %.1f %% used, %.2f %% refused, for %d ms",
                     scene->workers, (int)scene->answer_from_ms, (int)scene->answer_to_ms, seed,
                     got.used * 100, got.refused * 100, (int)got.refused_for_ms);
    }
}

// With 1, 2, 4 and 8 workers; headers come at once, and late and out of order.
static void play_all(const struct scene *like, double used, double refused, int64_t refused_for_ms)
{
    for (int workers = 1; workers <= 8; workers *= 2)
        for (int slow = 0; slow <= 1; slow++) {
            struct scene scene = *like;
            scene.workers = workers;
            scene.answer_from_ms = slow ? 500 : 20;
            scene.answer_to_ms = slow ? 2500 : 60;
            if (workers > 1 || scene.killed_at_ms == 0)
                expect(&scene, used, refused, refused_for_ms);
        }
}

static void undisturbed(void **state)
{
    (void)state;
    play_all(&(struct scene){.headers = true, .run_ms = 65000}, 0.97, 0.002, INT64_MAX);
    play_all(&(struct scene){.headers = false, .run_ms = 65000}, 0.97, 0.002, INT64_MAX);
}

static void others_use_the_key(void **state)
{
    (void)state;
    play_all(&(struct scene){.foreign_percent = 30, .headers = true, .run_ms = 125000}, 0.93, 0.01,
             INT64_MAX);
}

static void the_limit_is_halved(void **state)
{
    (void)state;
    play_all(&(struct scene){.halved_at_ms = 30000, .headers = true, .run_ms = 60000}, 0.85, 0.04,
             3000);
}

static void a_worker_is_killed(void **state)
{
    (void)state;
    play_all(&(struct scene){.killed_at_ms = 30000, .headers = true, .run_ms = 60000}, 0.95, 0.002,
             INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(undisturbed),
        cmocka_unit_test(others_use_the_key),
        cmocka_unit_test(the_limit_is_halved),
        cmocka_unit_test(a_worker_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
