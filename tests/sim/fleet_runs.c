// SPDX-License-Identifier: Apache-2.0
// How well the limit is used: by workers with demand that moves, in a surge, through trouble, and
// with providers of all kinds.
#include "base/check.h"
#include "fleet_inner.h"
#include "sim_store.h"

#define PERIOD_MS 30000
#define WARM_MS   10000

// ------------------------------------------------------------------------------- demand that moves

static void end_period(struct fleet *fleet)
{
    double sum = 0, squares = 0;
    int wanting = 0;
    for (int i = 0; i < fleet->count; i++) {
        const struct fleet_worker *worker = &fleet->workers[i];
        if (!worker->wants)
            continue;
        wanting++;
        sum += (double)worker->accepted;
        squares += (double)worker->accepted * (double)worker->accepted;
    }
    double fairness = wanting > 0 && squares > 0 ? sum * sum / (wanting * squares) : 0;
    if (fairness < fleet->worst_fairness)
        fleet->worst_fairness = fairness;
}

static void begin_period(struct fleet *fleet)
{
    bool any = false;
    for (int i = 0; i < fleet->count; i++) {
        struct fleet_worker *worker = &fleet->workers[i];
        worker->wants = world_chance(&fleet->world, 400) || (i == fleet->count - 1 && !any);
        any = any || worker->wants;
        if (worker->wants)
            fleet_pump_soon(worker, 1);
    }
}

static void forget_counts(struct fleet *fleet)
{
    for (int i = 0; i < fleet->count; i++)
        fleet->workers[i].accepted = 0;
}

void fleet_moving(uint64_t seed, int workers, int seconds, struct fleet_figures *out)
{
    struct fleet *fleet = fleet_new(seed, workers, 1200, 4000000);
    begin_period(fleet);
    fleet_run_until(fleet, WARM_MS);
    fleet_begin_counting(fleet);
    int64_t end_ms = WARM_MS + seconds * INT64_C(1000);
    while (fleet->world.now_ms < end_ms) {
        int64_t start_ms = fleet->world.now_ms;
        begin_period(fleet);
        fleet_run_until(fleet, start_ms + 3000); // who has nothing new still works off its window
        forget_counts(fleet);
        fleet_run_until(fleet, start_ms + PERIOD_MS);
        end_period(fleet);
    }
    fleet_take_figures(fleet, out);
    fleet_free(fleet);
}

// ------------------------------------------------------------------------------- the surge

static int64_t surge_demand(int64_t at_ms)
{
    int64_t in_wave_ms = at_ms % 150000;
    if (in_wave_ms < 30000)
        return 100;
    if (in_wave_ms < 60000)
        return 100 + 400 * (in_wave_ms - 30000) / 30000;
    return in_wave_ms < 120000 ? 500 : 100;
}

static void send_surge(struct fleet *fleet, int64_t jobs)
{
    int64_t start_ms = fleet->world.now_ms;
    double owed = 0;
    for (int64_t sent = 0; sent < jobs;) {
        fleet_run_until(fleet, fleet->world.now_ms + 10);
        int64_t at_ms = fleet->world.now_ms - start_ms;
        double share = (double)surge_demand(at_ms) / 6000;
        for (owed += share; owed >= 1 && sent < jobs; owed -= 1, sent++) {
            struct fleet_worker *worker =
                &fleet->workers[world_range(&fleet->world, 0, fleet->count - 1)];
            worker->sent++;
            fleet->jobs++;
            fleet_pump_soon(worker, 1);
        }
    }
}

void fleet_surge(uint64_t seed, int workers, struct fleet_figures *out)
{
    struct fleet *fleet = fleet_new(seed, workers, 420, 4000000);
    fleet->surge_percent = 20;
    fleet->surge_ms = 3000;
    fleet_run_until(fleet, 1000);
    fleet_begin_counting(fleet);
    send_surge(fleet, 5000);
    fleet_run_until(fleet, fleet->world.now_ms + 180000);
    fleet_take_figures(fleet, out);
    fleet_free(fleet);
}

// ------------------------------------------------------------------------------- disturbances

static void take_foreign(void *context, void *data)
{
    (void)data;
    struct fleet *fleet = context;
    if (fleet->world.closing)
        return;
    int64_t every_ms = 60000000 / (fleet->requests.per_minute * fleet->foreign_per_thousand);
    fleet_take(fleet, 700);
    // Between two of them as long as chance says: the sum of two is less even than one.
    int64_t half_ms = world_range(&fleet->world, 0, every_ms);
    world_after(&fleet->world, half_ms + world_range(&fleet->world, 0, every_ms), take_foreign,
                fleet, NULL);
}

// What is left of the limit while the trouble lasts, and how long it takes until then.
static double strike(struct fleet *fleet, enum fleet_trouble trouble, int64_t *out_wait_ms)
{
    *out_wait_ms = 3000;
    switch (trouble) {
    case FLEET_HALVED:
        fleet->requests.per_minute /= 2;
        fleet->tokens.per_minute /= 2;
        return 1;
    case FLEET_FOREIGN:
        fleet->foreign_per_thousand = 300;
        world_after(&fleet->world, 1, take_foreign, fleet, NULL);
        *out_wait_ms = 5000;
        return 0.7;
    case FLEET_CLOSED:
        fleet->closed_until_ms = fleet->world.now_ms + 30000;
        *out_wait_ms = 35000;
        return 1;
    case FLEET_KILLED:
        fleet_kill_worker(&fleet->workers[0]);
        *out_wait_ms = 1;
        return 1;
    case FLEET_AWAY:
        for (int i = 0; i < fleet->count; i++)
            sim_store_away(fleet->workers[i].store, 5000);
        *out_wait_ms = 10000;
        return 1;
    case FLEET_TOKENS:
    case FLEET_ASKED:
    case FLEET_UNKNOWN:
    case FLEET_TROUBLES:
        break;
    }
    return 1;
}

void fleet_disturbed(uint64_t seed, int workers, enum fleet_trouble trouble,
                     struct fleet_figures *out)
{
    int64_t wait_ms, tpm = 4000000;
    bool tokens = trouble == FLEET_TOKENS || trouble == FLEET_ASKED;
    if (tokens)
        tpm = 400000;
    bool unknown = trouble == FLEET_UNKNOWN;
    struct fleet *fleet = fleet_new(seed, workers, unknown ? 0 : 1200, unknown ? 0 : tpm);
    fleet->at_once_most = unknown ? 60 : 0;
    fleet->counts_asked = fleet->config->models[0].counts_asked = trouble == FLEET_ASKED;
    for (int i = 0; i < workers; i++)
        fleet->workers[i].wants = true;
    fleet_run_until(fleet, 20000);
    fleet_begin_counting(fleet);
    double left = strike(fleet, trouble, &wait_ms);
    fleet_run_until(fleet, fleet->world.now_ms + wait_ms);
    int64_t meanwhile = fleet->refused;
    fleet_begin_counting(fleet);
    fleet_run_until(fleet, fleet->world.now_ms + 30000);
    fleet_take_figures(fleet, out);
    out->used /= left;
    out->meanwhile = meanwhile;
    if (tokens)
        out->used = (double)fleet->tokens_used / ((double)tpm / 2);
    if (unknown)
        out->used = (double)fleet->at_once_ms / (60.0 * 30000);
    fleet_free(fleet);
}

// ------------------------------------------------------------------------------- kinds of limit

// A minute of a small limit is few calls.
static int64_t run_ms_of(int64_t per_minute)
{
    if (per_minute <= 10)
        return 600000;
    return per_minute <= 100 ? 200000 : 60000;
}

void fleet_kind(uint64_t seed, int workers, const struct limiter *kind, int foreign_per_thousand,
                struct fleet_figures *out)
{
    struct fleet *fleet = fleet_new(seed, workers, kind->per_minute, 4000000);
    limiter_deinit(&fleet->requests);
    limiter_init(&fleet->requests, kind);
    for (int i = 0; i < workers; i++)
        fleet->workers[i].wants = true;
    fleet->foreign_per_thousand = foreign_per_thousand;
    if (foreign_per_thousand > 0)
        world_after(&fleet->world, 1, take_foreign, fleet, NULL);
    fleet_run_until(fleet, WARM_MS);
    int64_t warm = fleet->refused;
    fleet_begin_counting(fleet);
    fleet_run_until(fleet,
                    WARM_MS + run_ms_of(kind->per_minute) * (foreign_per_thousand > 0 ? 4 : 1));
    fleet_take_figures(fleet, out);
    out->used /= 1 - foreign_per_thousand / 1000.0;
    out->meanwhile = warm;
    fleet_free(fleet);
}
