// SPDX-License-Identifier: Apache-2.0
// What the fleet has to reach, and what it does.
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>

static bool prove_trouble(uint64_t seed, enum fleet_trouble trouble)
{
    static const struct {
        const char *name;
        double used;
        int64_t refused, meanwhile;
    } aims[FLEET_TROUBLES] = {
        [FLEET_TOKENS] = {"tokens", 0.97, 1, 1},    [FLEET_HALVED] = {"halved", 0.88, 0, 60},
        [FLEET_FOREIGN] = {"foreign", 0.93, 4, 60}, [FLEET_CLOSED] = {"closed", 0.95, 0, 30},
        [FLEET_ASKED] = {"asked", 0.90, 4, 60},     [FLEET_UNKNOWN] = {"unknown", 0.90, 20, 20},
        [FLEET_KILLED] = {"killed", 0.95, 0, 0},    [FLEET_AWAY] = {"away", 0.95, 0, 0},
    };
    struct fleet_figures f;
    fleet_disturbed(seed, 4, trouble, &f);
    bool good = f.used >= aims[trouble].used && f.refused <= aims[trouble].refused &&
                f.meanwhile <= aims[trouble].meanwhile;
    printf("%-7s  4 workers, seed %" PRIu64 ": %.1f %% used, %" PRId64 " of %" PRId64
           " refused, %" PRId64 " before, %.2f asks a call%s\n",
           aims[trouble].name, seed, f.used * 100, f.refused, f.refused + f.accepted, f.meanwhile,
           f.asks_a_call, good ? "" : "  BELOW ITS AIM");
    return good;
}

static bool show(const char *name, int workers, uint64_t seed, const struct fleet_figures *f,
                 bool good)
{
    printf("%-7s %2d workers, seed %" PRIu64 ": %.1f %% used, fairness %.3f, %" PRId64
           " calls, %" PRId64 " refused, %" PRId64 " of %" PRId64
           " jobs done, %.2f asks a call, a minute's most %+" PRId64 "%s\n",
           name, workers, seed, f->used * 100, f->fairness, f->accepted, f->refused, f->done,
           f->jobs, f->asks_a_call, f->over_minute, good ? "" : "  BELOW ITS AIM");
    return good;
}

static bool prove_foreign(uint64_t seed)
{
    static const struct {
        const char *name;
        struct limiter limiter;
    } kinds[] = {
        {"minute", {.burst_ms = 60000, .tells_reset = true}},
        {"fixed", {.kind = LIMITER_FIXED, .tells_reset = true}},
        {"sliding", {.kind = LIMITER_SLIDING, .tells_reset = true}},
    };
    bool all = true;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct limiter limiter = kinds[k].limiter;
        struct fleet_figures f;
        limiter.per_minute = 1200;
        fleet_kind(seed, 4, &limiter, 300, &f);
        bool good = f.used >= 0.93 && f.refused * 200 <= f.accepted * 3;
        printf("%-8s with 30 %% foreign, seed %" PRIu64 ": %.1f %% used, %" PRId64 " of %" PRId64
               " refused, %" PRId64 " before%s\n",
               kinds[k].name, seed, f.used * 100, f.refused, f.refused + f.accepted, f.meanwhile,
               good ? "" : "  BELOW ITS AIM");
        all = all && good;
    }
    return all;
}

static bool prove_kinds(uint64_t seed)
{
    static const struct {
        const char *name;
        struct limiter limiter;
    } kinds[] = {
        {"2 s", {.burst_ms = 2000, .tells_reset = true}},
        {"2 s, no reset", {.burst_ms = 2000}},
        {"2 s, silent", {.burst_ms = 2000, .silent = true}},
        {"1 s", {.burst_ms = 1000, .tells_reset = true}},
        {"1 s, silent", {.burst_ms = 1000, .silent = true}},
        {"minute", {.burst_ms = 60000, .tells_reset = true}},
        {"fixed", {.kind = LIMITER_FIXED, .tells_reset = true}},
        {"fixed, no reset", {.kind = LIMITER_FIXED}},
        {"sliding", {.kind = LIMITER_SLIDING, .tells_reset = true}},
        {"sliding to full", {.kind = LIMITER_SLIDING, .tells_reset = true, .until_full = true}},
        {"sliding, silent", {.kind = LIMITER_SLIDING, .silent = true}},
    };
    static const int64_t limits[] = {10, 60, 100, 420, 1200};
    bool all = true;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
            struct limiter limiter = kinds[k].limiter;
            struct fleet_figures f;
            limiter.per_minute = limits[i];
            fleet_kind(seed, 4, &limiter, 0, &f);
            double used = f.used * (double)(f.accepted + 1) / (double)f.accepted; // whole calls
            bool good =
                limiter.silent ? used >= 0.93 && f.refused <= 1 : used >= 0.97 && f.refused == 0;
            printf("%-15s %4" PRId64 " a minute, seed %" PRIu64 ": %.1f %% used, %" PRId64
                   " of %" PRId64 " refused, %" PRId64 " before, %.2f asks a call%s\n",
                   kinds[k].name, limits[i], seed, f.used * 100, f.refused, f.refused + f.accepted,
                   f.meanwhile, f.asks_a_call, good ? "" : "  BELOW ITS AIM");
            all = all && good;
        }
    return all;
}

// Jain's index of tokens by weight: 0.95 is where one of four tenants has half as much again as its
// part, or half of it. A tenant's calls are a hundredth of a minute and more, and what tenants were
// let off when they came takes its time to be worked off; what is left is for chance.
static bool prove_shared(uint64_t seed, int workers)
{
    struct fleet_tenant_figures f;
    fleet_shared(seed, workers, &f);
    bool good = f.fairness >= 0.95 && f.used >= 0.97 && f.refused == 0 && f.left > 0;
    printf("shared  %2d workers, seed %" PRIu64 ": weights 1, 1, 2, 4 had %.1f, %.1f, %.1f, "
           "%.1f %%, fairness %.3f, %.1f %% used, %" PRId64 " refused%s\n",
           workers, seed, f.parts[0] * 100, f.parts[1] * 100, f.parts[2] * 100, f.parts[3] * 100,
           f.fairness, f.used * 100, f.refused, good ? "" : "  BELOW ITS AIM");
    return good;
}

static bool prove_beside(uint64_t seed, int workers, bool one_partition)
{
    struct fleet_beside_figures f;
    fleet_beside(seed, workers, one_partition, &f);
    double small = (double)f.small_beside_ms / (double)f.small_alone_ms;
    int64_t lost_ms = f.large_beside_ms - f.small_work_ms - f.large_alone_ms;
    double lost = (double)lost_ms / (double)f.large_alone_ms;
    bool good = small < 2 && lost < 0.05 && f.refused == 0;
    printf("beside  %2d workers, seed %" PRIu64
           "%s: the small tenant %.1f s alone, %.2f times that "
           "beside the large one, which loses %.1f %% of %.1f s; %" PRId64 " refused%s\n",
           workers, seed, one_partition ? ", one partition" : "", (double)f.small_alone_ms / 1000,
           small, lost * 100, (double)f.large_alone_ms / 1000, f.refused,
           good ? "" : "  BELOW ITS AIM");
    return good;
}

static bool prove_tenants(uint64_t seed)
{
    static const int sizes[] = {1, 4, 8};
    bool good = true;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        good &= prove_shared(seed, sizes[s]);
        good &= prove_beside(seed, sizes[s], true);
        good = (sizes[s] == 1 || prove_beside(seed, sizes[s], false)) && good;
    }
    return good;
}

bool fleet_prove(uint64_t first_seed, int seeds)
{
    static const int sizes[] = {1, 2, 8, 50};
    bool good = true;
    for (int i = 0; i < seeds; i++) {
        struct fleet_figures f;
        uint64_t seed = first_seed + (uint64_t)i;
        for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
            fleet_moving(seed, sizes[s], 120, &f);
            good &=
                show("moving", sizes[s], seed, &f,
                     f.used >= 0.97 && f.refused == 0 && f.fairness >= 0.95 && f.over_minute <= 0);
        }
        for (int t = 0; t < FLEET_TROUBLES; t++)
            good &= prove_trouble(seed, (enum fleet_trouble)t);
        good = (i > 0 || prove_tenants(seed)) && good;
        good = (i > 0 || (prove_kinds(seed) && prove_foreign(seed))) && good;
        fleet_surge(seed, 4, &f);
        good &= show("surge", 4, seed, &f, f.done == f.jobs && f.refused <= 1);
    }
    return good;
}
