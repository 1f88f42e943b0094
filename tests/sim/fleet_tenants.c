// SPDX-License-Identifier: Apache-2.0
// What tenants get of one limit, beside each other and alone.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "fleet_inner.h"

#define RPM       3000
#define TPM       1000000
#define STEP_MS   20
#define PARK_ROWS 1000000

#define WARM_MS        5000  // until then there is nothing
#define SMALL_COMES_MS 25000 // then the large one is well at work
#define LARGE_JOBS     1000
#define SMALL_JOBS     200
#define CREDIT_MS      60000 // by then what tenants were let off when they came has been worked off

static const struct fleet_limits limits = {.rpm = RPM, .tpm = TPM};

// ------------------------------------------------------------------------------- their jobs

static void add_tenant(struct fleet *fleet, int64_t weight, const struct fleet_tenant *tenant)
{
    struct config *config = fleet->config;
    size_t place = config->tenant_count;
    char name[20];
    CHECK(place < TENANTS_MOST);
    snprintf(name, sizeof(name), "tenant-%zu", place);
    config->tenants = own_grow(config->tenants, place + 1, sizeof(*config->tenants));
    config->tenants[place] = (struct config_tenant){.name = own_strdup(name), .weight = weight};
    config->tenant_count++;
    fleet->tenants[place] = *tenant;
    config->worker.park_rows = PARK_ROWS;
    config->worker.park_bytes = INT64_MAX;
}

static void send_one(struct fleet_worker *worker, int tenant)
{
    worker->tenants = own_grow(worker->tenants, (size_t)worker->sent + 1, 1);
    worker->tenants[worker->sent++] = (signed char)tenant;
    worker->fleet->tenants[tenant].jobs++;
    worker->fleet->jobs++;
}

// To so many partitions, in turn.
static void send_jobs(struct fleet *fleet, int tenant, int64_t count, int partitions)
{
    for (int64_t i = 0; i < count; i++)
        send_one(&fleet->workers[i % partitions], tenant);
    for (int i = 0; i < partitions; i++)
        fleet_pump_soon(&fleet->workers[i], 1);
}

static int64_t count_ended(const struct fleet *fleet, int tenant)
{
    const char *name = fleet->config->tenants[tenant].name;
    int64_t ended = 0;
    for (size_t i = 0; i < fleet->db.jobs_count; i++) {
        const struct db_job *job = &fleet->db.jobs[i];
        ended += job->outcomes > 0 && job->state == JOB_DONE && strcmp(job->tenant, name) == 0;
    }
    return ended;
}

// Milliseconds until all that were sent are done.
static int64_t finish(struct fleet *fleet, int tenant, int64_t from_ms)
{
    int64_t step_ms = STEP_MS;
    while (count_ended(fleet, tenant) < fleet->tenants[tenant].jobs) {
        fleet_run_until(fleet, fleet->world.now_ms + step_ms);
        CHECK(fleet->world.now_ms - from_ms < 3600000);
    }
    return fleet->world.now_ms - from_ms;
}

// ------------------------------------------------------------------------------- in proportion

static double jain(const struct fleet *fleet)
{
    double sum = 0, squares = 0;
    size_t count = fleet->config->tenant_count;
    for (size_t i = 0; i < count; i++) {
        double part = (double)fleet->tenants[i].tokens / (double)fleet->config->tenants[i].weight;
        sum += part;
        squares += part * part;
    }
    return squares > 0 ? sum * sum / ((double)count * squares) : 0;
}

static int64_t calls_left(const struct fleet *fleet)
{
    int64_t least = INT64_MAX;
    for (int i = 0; i < (int)fleet->config->tenant_count; i++) {
        int64_t left = fleet->tenants[i].jobs - count_ended(fleet, i);
        least = left < least ? left : least;
    }
    return least;
}

void fleet_shared(uint64_t seed, int workers, struct fleet_tenant_figures *out)
{
    static const struct {
        int64_t weight, jobs;
        bool one_partition;
        struct fleet_tenant tenant;
    } all[] = {
        {1, 500, false, {.text_bytes = 4000, .least_ms = 1000, .most_ms = 6000}},
        {1, 900, false, {.text_bytes = 400, .least_ms = 300, .most_ms = 900}},
        {2, 900, true, {.text_bytes = 4000, .least_ms = 500, .most_ms = 3000}},
        {4, 2400, false, {.text_bytes = 400, .least_ms = 300, .most_ms = 900}},
    };
    struct fleet *fleet = fleet_new_of(seed, workers, &limits);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        add_tenant(fleet, all[i].weight, &all[i].tenant);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        send_jobs(fleet, (int)i, all[i].jobs, all[i].one_partition ? 1 : workers);
    fleet_run_until(fleet, CREDIT_MS);
    fleet_begin_counting(fleet);
    fleet_run_until(fleet, CREDIT_MS + 60000);
    *out = (struct fleet_tenant_figures){
        .fairness = jain(fleet),
        .used = (double)fleet->tokens_used / TPM,
        .refused = fleet->refused,
        .left = calls_left(fleet),
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        out->parts[i] = (double)fleet->tenants[i].tokens / (double)fleet->tokens_used;
    fleet_free(fleet);
}

// ------------------------------------------------------------------------------- beside

enum { LARGE, SMALL };

static struct fleet *new_pair(uint64_t seed, int workers)
{
    static const struct fleet_tenant large = {
        .text_bytes = 4000, .least_ms = 1000, .most_ms = 6000};
    static const struct fleet_tenant small = {.text_bytes = 400, .least_ms = 300, .most_ms = 900};
    struct fleet *fleet = fleet_new_of(seed, workers, &limits);
    add_tenant(fleet, 1, &large);
    add_tenant(fleet, 1, &small);
    fleet_run_until(fleet, WARM_MS);
    fleet_begin_counting(fleet);
    return fleet;
}

static int64_t alone_ms(uint64_t seed, int workers, int tenant, int64_t jobs)
{
    struct fleet *fleet = new_pair(seed, workers);
    send_jobs(fleet, tenant, jobs, workers);
    int64_t took_ms = finish(fleet, tenant, WARM_MS);
    fleet_free(fleet);
    return took_ms;
}

void fleet_beside(uint64_t seed, int workers, bool one_partition, struct fleet_beside_figures *out)
{
    *out = (struct fleet_beside_figures){
        .small_alone_ms = alone_ms(seed, workers, SMALL, SMALL_JOBS),
        .large_alone_ms = alone_ms(seed, workers, LARGE, LARGE_JOBS),
    };
    struct fleet *fleet = new_pair(seed, workers);
    send_jobs(fleet, LARGE, LARGE_JOBS, workers);
    fleet_run_until(fleet, SMALL_COMES_MS);
    send_jobs(fleet, SMALL, SMALL_JOBS, one_partition ? 1 : workers);
    out->small_beside_ms = finish(fleet, SMALL, SMALL_COMES_MS);
    out->large_beside_ms = finish(fleet, LARGE, WARM_MS);
    out->small_work_ms = fleet->tenants[SMALL].tokens * 60000 / TPM;
    out->refused = fleet->refused;
    fleet_free(fleet);
}
