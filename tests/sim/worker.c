// SPDX-License-Identifier: Apache-2.0
// A worker process that lives in virtual time.
#include "sim_worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

#define DRAIN_MS 60000

static void schedule_run(struct sim_worker *worker);
static void end_process(struct sim_worker *worker, bool clean);

struct turn {
    uint64_t life;
    int64_t at_ms;
};

// After each event: the point of death that was hit, else the engine's next run.
static void after_event(struct sim_worker *worker)
{
    if (worker->depth > 0 || !worker->alive)
        return;
    if (worker->dying) {
        sim_worker_kill(worker);
        return;
    }
    schedule_run(worker);
}

static void run(void *context, void *data)
{
    struct sim_worker *worker = context;
    const struct turn *turn = data;
    if (!worker->alive || turn->life != worker->life || turn->at_ms != worker->run_at_ms)
        return;
    worker->run_at_ms = INT64_MAX;
    worker->depth++;
    int64_t next_ms = engine_run(worker->engine);
    worker->depth--;
    if (worker->draining && engine_is_empty(worker->engine) && !worker->dying) {
        end_process(worker, true);
        return;
    }
    if (next_ms < worker->run_at_ms && !worker->dying) {
        struct turn *again = own_alloc(sizeof(*again));
        worker->run_at_ms = next_ms > worker->world->now_ms ? next_ms : worker->world->now_ms + 1;
        *again = (struct turn){worker->life, worker->run_at_ms};
        world_after(worker->world, worker->run_at_ms - worker->world->now_ms, run, worker, again);
    }
    if (worker->dying)
        after_event(worker);
}

static void schedule_run(struct sim_worker *worker)
{
    if (worker->run_at_ms <= worker->world->now_ms)
        return;
    struct turn *turn = own_alloc(sizeof(*turn));
    worker->run_at_ms = worker->world->now_ms;
    *turn = (struct turn){worker->life, worker->run_at_ms};
    world_after(worker->world, 0, run, worker, turn);
}

static void on_store(void *context, const struct store_event *event)
{
    struct sim_worker *worker = context;
    if (!worker->alive || worker->dying)
        return;
    worker->depth++;
    engine_on_store(worker->engine, event);
    worker->depth--;
    after_event(worker);
}

static void on_broker(void *context, const struct broker_event *event)
{
    struct sim_worker *worker = context;
    if (!worker->alive || worker->dying)
        return;
    worker->depth++;
    engine_on_broker(worker->engine, event);
    worker->depth--;
    after_event(worker);
}

static void on_http(void *context, const struct http_event *event)
{
    struct sim_worker *worker = context;
    if (!worker->alive || worker->dying)
        return;
    worker->depth++;
    engine_on_http(worker->engine, event);
    worker->depth--;
    after_event(worker);
}

static void on_extract(void *context, const struct extract_event *event)
{
    struct sim_worker *worker = context;
    if (!worker->alive || worker->dying)
        return;
    worker->depth++;
    engine_on_extract(worker->engine, event);
    worker->depth--;
    after_event(worker);
}

static int64_t now_ms(void *context)
{
    return ((struct sim_worker *)context)->world->now_ms;
}

static uint64_t random_number(void *context)
{
    return rng_next(&((struct sim_worker *)context)->world->rng);
}

// From here on nothing that the process does is heard by anybody.
static void at_point(void *context, const char *name)
{
    struct sim_worker *worker = context;
    if (!worker->die_at || worker->dying || strcmp(worker->die_at, name) != 0 ||
        worker->die_after-- > 0)
        return;
    world_trace(worker->world, "a worker dies at %s", name);
    worker->die_at = NULL;
    worker->dying = true;
    sim_store_mute(worker->store);
    sim_http_mute(worker->http);
    sim_extractor_mute(worker->extractor);
    sim_client_mute(worker->client);
}

void sim_worker_start(struct sim_worker *worker)
{
    worker->alive = true;
    worker->dying = worker->draining = false;
    worker->life++;
    worker->depth = 0;
    worker->run_at_ms = INT64_MAX;
    int64_t number = db_register(worker->db, worker->world->now_ms);
    world_trace(worker->world, "worker %d starts", (int)number);
    worker->store = sim_store_new(worker->world, worker->db, number, on_store, worker);
    worker->http = sim_http_new(worker->provider, on_http, worker);
    struct sim_extractor_options extracting = {
        .world = worker->world,
        .fault_per_thousand = worker->extract_faults,
        .on_event = on_extract,
        .context = worker,
        .worker = number,
        .on_start = worker->on_extract,
        .watcher = worker->watcher,
    };
    worker->extractor = sim_extractor_new(&extracting);
    struct edges edges = {
        .store = worker->store,
        .store_ops = &sim_store_ops,
        .broker_ops = &sim_broker_ops,
        .http = worker->http,
        .http_ops = &sim_http_ops,
        .extractor = worker->extractor,
        .extract_ops = &sim_extract_ops,
        .world = worker,
        .now_ms = now_ms,
        .random = random_number,
        .at_point = at_point,
    };
    edges.broker = worker->client = sim_client_join(worker->broker, on_broker, worker);
    struct engine_options options = {
        .config = worker->config, .program_version = "0", .extractors = SIM_EXTRACTORS};
    worker->engine = engine_new(&options, &edges);
    struct broker_event up = {.kind = BROKER_UP};
    on_broker(worker, &up);
}

// Calls that were begun and whose end is not durable yet.
static size_t calls_under_way(const struct engine *engine)
{
    static const enum step steps[] = {STEP_INTENT, STEP_PACKED, STEP_CALL, STEP_RECORD,
                                      STEP_FINISH};
    size_t count = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        count += engine->steps[steps[i]].len;
    return count;
}

static void end_process(struct sim_worker *worker, bool clean)
{
    if (!worker->alive)
        return;
    if (!clean)
        worker->under_way_at_crashes += calls_under_way(worker->engine);
    if (clean) {
        sim_client_leave(worker->client, true); // the engine sees its partitions go
        sim_store_ops.release(worker->store);
    }
    worker->alive = false;
    sim_store_kill(worker->store, clean);
    sim_http_kill(worker->http);
    sim_extractor_kill(worker->extractor);
    if (!clean)
        sim_client_leave(worker->client, false);
    engine_free(worker->engine);
    world_trace(worker->world, "a worker is %s", clean ? "gone" : "dead");
}

void sim_worker_kill(struct sim_worker *worker)
{
    end_process(worker, false);
}

// worker.drain_timeout is over.
static void stop_jobs(void *context, void *data)
{
    struct sim_worker *worker = context;
    const struct turn *turn = data;
    if (!worker->alive || turn->life != worker->life)
        return;
    worker->under_way_at_crashes += calls_under_way(worker->engine); // they are cut
    worker->depth++;
    engine_stop_jobs(worker->engine);
    worker->depth--;
    after_event(worker);
}

void sim_worker_drain(struct sim_worker *worker)
{
    if (!worker->alive || worker->draining)
        return;
    worker->draining = true;
    worker->depth++;
    engine_drain(worker->engine);
    worker->depth--;
    struct turn *turn = own_alloc(sizeof(*turn));
    *turn = (struct turn){worker->life, 0};
    world_after(worker->world, DRAIN_MS, stop_jobs, worker, turn);
    schedule_run(worker);
}

void sim_worker_dump(const struct sim_worker *worker)
{
    if (!worker->alive)
        return;
    const struct engine *engine = worker->engine;
    for (uint32_t i = 0; i < engine->jobs.room; i++) {
        const struct job *job = engine->jobs.slots[i].object;
        if (job)
            world_trace(worker->world, "left: %s in step %s since %d",
                        job->spec ? job->spec->id : "", step_name(job->step),
                        (int)job->step_since_ms);
    }
    for (uint32_t i = 0; i < engine->partitions.room; i++) {
        const struct partition *partition = engine->partitions.slots[i].object;
        if (partition)
            world_trace(worker->world,
                        "left: partition %d begun %d paused %d careful %d asking %d held %zu "
                        "unfinished %zu stopped %s",
                        partition->number, partition->begun, partition->paused, partition->careful,
                        partition->asking, partition->held_len,
                        offsets_unfinished(&partition->offsets),
                        partition->stopped ? partition->stopped : "no");
    }
}
