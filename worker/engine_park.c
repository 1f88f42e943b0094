// SPDX-License-Identifier: Apache-2.0
// Order beyond the window: what waits in PostgreSQL.
//
// The window (worker.in_flight jobs) is what a worker holds in memory. While it is full of jobs
// that have to wait, messages are read on, and parked with their claim; who comes next into the
// window is then for PostgreSQL to say, which knows all that is parked by all workers: the highest
// priority first, some of each tenant. So an urgent message is seen, however many lie before it.
//
//   messages ─▶ window full of waiting jobs? ─ no ─▶ claimed, runs here
//                         │ yes                         ▲          │ long wait, pause, TERM
//                         ▼                             │          ▼
//                  parked with the claim ─▶ PostgreSQL ─┴─ parked (job/park.c)
//
// Into a full window comes what is more urgent than something in it, or of a tenant that has little
// there; as many of those that have not begun leave it, the least urgent first.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "engine_parts.h"

#define FULL_MS 300 // so long a window is full of waiting jobs before messages are read on
// Jobs of a closed key, or at a budget's wall, that stay in the window to be there when it opens.
#define STAY_FOR_KEY 16
// How long jobs at a budget's wall are parked, and up to as long again.
#define BUDGET_LOOK_MS 300000
// How long jobs of a closed key are parked at most: it may be opened sooner than was said.
#define KEY_LOOK_MS 60000

struct pause {
    char *scope, *name;
};

static void free_pauses(struct parking *parking)
{
    for (size_t i = 0; i < parking->pause_count; i++) {
        free(parking->pauses[i].scope);
        free(parking->pauses[i].name);
    }
    free(parking->pauses);
    parking->pauses = NULL;
    parking->pause_count = 0;
}

void parking_init(struct engine *engine)
{
    engine->parking.lowest = -1;
    engine->parking.full_since_ms = INT64_MAX;
}

void parking_deinit(struct engine *engine)
{
    free_pauses(&engine->parking);
    free(engine->parking.after_tenant);
}

bool parking_has_room(const struct engine *engine)
{
    const struct config_worker *worker = &engine->config->worker;
    return engine->parking.rows < worker->park_rows && engine->parking.bytes < worker->park_bytes;
}

bool parking_reads_on(const struct engine *engine)
{
    return engine->parking.reads_on && parking_has_room(engine);
}

// ------------------------------------------------------------------------------- pauses

static bool names(const struct pause *pause, const char *scope, const char *name)
{
    return strcmp(pause->scope, scope) == 0 && strcmp(pause->name, name) == 0;
}

bool parking_is_key_paused(const struct engine *engine, const char *key_name)
{
    for (size_t i = 0; i < engine->parking.pause_count; i++)
        if (names(&engine->parking.pauses[i], "key", key_name))
            return true;
    return false;
}

// All the keys that its calls could go with.
static bool keys_are_paused(const struct engine *engine, const struct config_model *model)
{
    const struct config_keys *keys = &model->provider->keys;
    for (size_t i = 0; i < keys->len; i++)
        if (!parking_is_key_paused(engine, keys->items[i].name))
            return false;
    return keys->len > 0;
}

// "tenant", "tenant/batch", "tenant/batch/id" of the job: is that what the pause names?
static bool covers(const struct pause *pause, const struct job_spec *spec)
{
    const char *parts[] = {spec->tenant, spec->batch, spec->id};
    size_t count = strcmp(pause->scope, "tenant") == 0  ? 1
                   : strcmp(pause->scope, "batch") == 0 ? 2
                   : strcmp(pause->scope, "job") == 0   ? 3
                                                        : 0;
    const char *at = pause->name;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(parts[i]);
        if (strncmp(at, parts[i], len) != 0 || at[len] != (i + 1 < count ? '/' : '\0'))
            return false;
        at += len + 1;
    }
    return count > 0 || strcmp(pause->scope, "all") == 0;
}

bool parking_is_paused(const struct engine *engine, const struct job *job)
{
    const struct config_model *model = job->plan.model;
    for (size_t i = 0; i < engine->parking.pause_count; i++) {
        const struct pause *pause = &engine->parking.pauses[i];
        if (covers(pause, job->spec) || (model && names(pause, "model", model->name)))
            return true;
    }
    return engine->parking.pause_count > 0 && model && keys_are_paused(engine, model);
}

static bool same_pauses(const struct parking *parking, const struct store_event *event)
{
    if (parking->pause_count != event->u.requeued.pause_count)
        return false;
    for (size_t i = 0; i < parking->pause_count; i++)
        if (!names(&parking->pauses[i], event->u.requeued.pauses[i].scope,
                   event->u.requeued.pauses[i].name))
            return false;
    return true;
}

static void take_pauses(struct engine *engine, const struct store_event *event)
{
    struct parking *parking = &engine->parking;
    if (same_pauses(parking, event))
        return;
    free_pauses(parking);
    parking->pauses = own_array(event->u.requeued.pause_count + 1, sizeof(*parking->pauses));
    for (size_t i = 0; i < event->u.requeued.pause_count; i++)
        parking->pauses[parking->pause_count++] =
            (struct pause){own_strdup(event->u.requeued.pauses[i].scope),
                           own_strdup(event->u.requeued.pauses[i].name)};
    struct list *waiting = &engine->steps[STEP_ADMIT];
    for (struct list_node *node = list_first(waiting); node; node = list_next(waiting, node))
        gate_update(engine, engine_job_of(node)); // out of the order, or into it
    engine->next_park_ms = 0;
}

// ------------------------------------------------------------------------------- the window

// Without those that are on their way to PostgreSQL, and those that wait for a twin.
static size_t window_len(const struct engine *engine)
{
    size_t gone = engine->steps[STEP_PARK].len;
    if (engine->parking.reads_on)
        for (struct list_node *node = list_first(&engine->steps[STEP_CLAIM]); node;
             node = list_next(&engine->steps[STEP_CLAIM], node))
            gone += engine_job_of(node)->place.reason != NULL;
    return engine->jobs.len - engine->steps[STEP_TWIN].len - gone;
}

static bool has_begun(const struct job *job)
{
    return job->plan.cursor > 0 || job->call.last_attempt_no > 0;
}

// Jobs in the window that wait and have not begun, and how many there are of each one's tenant.
struct idle_job {
    struct job *job;
    size_t of_tenant;
};

static int by_tenant(const void *left, const void *right)
{
    return strcmp(((const struct idle_job *)left)->job->spec->tenant,
                  ((const struct idle_job *)right)->job->spec->tenant);
}

// The least urgent first; of them those of the largest tenant, the last that came.
static int by_leaving(const void *left, const void *right)
{
    const struct idle_job *a = left, *b = right;
    int a_priority = a->job->spec->priority, b_priority = b->job->spec->priority;
    if (a_priority != b_priority)
        return a_priority < b_priority ? -1 : 1;
    if (a->of_tenant != b->of_tenant)
        return a->of_tenant > b->of_tenant ? -1 : 1;
    return a->job->came > b->job->came ? -1 : 1;
}

static size_t gather_idle(struct engine *engine, struct idle_job **out)
{
    static const enum step steps[] = {STEP_ADMIT, STEP_DOCUMENT};
    size_t count = 0, begin = 0;
    *out = own_array(engine->steps[STEP_ADMIT].len + engine->steps[STEP_DOCUMENT].len + 1,
                     sizeof(**out));
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
        for (struct list_node *node = list_first(&engine->steps[steps[s]]); node;
             node = list_next(&engine->steps[steps[s]], node))
            if (!has_begun(engine_job_of(node)))
                (*out)[count++].job = engine_job_of(node);
    qsort(*out, count, sizeof(**out), by_tenant);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && by_tenant(&(*out)[i], &(*out)[i + 1]) == 0)
            continue;
        for (size_t k = begin; k <= i; k++)
            (*out)[k].of_tenant = i + 1 - begin;
        begin = i + 1;
    }
    return count;
}

// ------------------------------------------------------------------------------- taking up

// Tenants that have enough in the window. The list is sorted by tenant.
static size_t list_present(const struct idle_job *idle, size_t count, const char **out)
{
    size_t tenants = 0, present = 0;
    for (size_t i = 0; i < count; i++)
        tenants += i == 0 || by_tenant(&idle[i - 1], &idle[i]) != 0;
    for (size_t i = 0; i < count; i++) {
        size_t enough = count / (2 * tenants);
        if (enough > EXCHANGE_BATCH)
            enough = EXCHANGE_BATCH;
        if ((i == 0 || by_tenant(&idle[i - 1], &idle[i]) != 0) && idle[i].of_tenant >= enough)
            out[present++] = idle[i].job->spec->tenant;
    }
    return present;
}

// Jobs that PostgreSQL gave and that are being claimed, or ended without a call.
static size_t taken_under_way(const struct engine *engine)
{
    static const enum step steps[] = {STEP_CLAIM, STEP_FINISH};
    size_t count = 0;
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
        for (struct list_node *node = list_first(&engine->steps[steps[s]]); node;
             node = list_next(&engine->steps[steps[s]], node))
            count += engine_job_of(node)->raw->requeued;
    return count;
}

// Of a full window: what is worth an exchange.
static void ask_for_exchange(struct engine *engine)
{
    struct idle_job *idle;
    size_t count = gather_idle(engine, &idle);
    const char **present = own_array(count + 1, sizeof(*present));
    int lowest = 9;
    for (size_t i = 0; i < count; i++)
        if (idle[i].job->spec->priority < lowest)
            lowest = idle[i].job->spec->priority;
    engine->parking.lowest = count > 0 ? lowest : -1;
    struct take_request request = {
        .limit = count > 0 && count < EXCHANGE_BATCH ? count : EXCHANGE_BATCH,
        .least_priority = lowest,
        .present = present,
        .present_count = list_present(idle, count, present),
        .after_tenant = engine->parking.after_tenant,
    };
    engine->parking.asked = request.limit;
    engine->edges.store_ops->take_requeued(engine->edges.store, &request);
    free(present);
    free(idle);
}

void parking_ask(struct engine *engine)
{
    size_t most = (size_t)engine->config->worker.in_flight, len = window_len(engine);
    bool has_memory = engine->bytes < (size_t)engine->config->worker.memory_bytes / 2;
    if (taken_under_way(engine) > 2 * EXCHANGE_BATCH)
        return; // what came has not been dealt with yet
    engine->taking = true;
    engine->parking.exchanging = len >= most || !has_memory;
    if (engine->parking.exchanging) {
        ask_for_exchange(engine);
        return;
    }
    struct take_request request = {
        .limit = most - len < REQUEUED_BATCH ? most - len : REQUEUED_BATCH,
        .least_priority = -1,
        .after_tenant = engine->parking.after_tenant,
    };
    engine->edges.store_ops->take_requeued(engine->edges.store, &request);
}

// Keys are tenant/batch/id.
static void remember_turn(struct parking *parking, const struct message *message)
{
    const char *end = message->key ? memchr(message->key, '/', message->key_len) : NULL;
    if (!end)
        return;
    free(parking->after_tenant);
    parking->after_tenant = own_strndup(message->key, (size_t)(end - (const char *)message->key));
}

void parking_answered(struct engine *engine, const struct store_event *event)
{
    struct parking *parking = &engine->parking;
    size_t count = event->u.requeued.job_count;
    engine->taking = false;
    parking->more = event->u.requeued.more;
    parking->rows = event->u.requeued.parked_rows;
    parking->bytes = event->u.requeued.parked_bytes;
    take_pauses(engine, event);
    if (count > 0)
        remember_turn(parking, &event->u.requeued.jobs[count - 1].message);
    if (parking->exchanging)
        parking->to_leave += count;
    if (count > 0 && parking->more && (!parking->exchanging || count >= parking->asked))
        engine->next_take_ms = 0;
    for (size_t i = 0; i < count; i++)
        intake_take(engine, &event->u.requeued.jobs[i]);
}

// ------------------------------------------------------------------------------- going there

static bool is_far(const struct engine *engine, int64_t unix_ms)
{
    return unix_ms - engine_db_now(engine) > JOB_PARK_MS;
}

// Where the job has to wait, whoever holds it; no reason: nowhere.
static struct park_place place_of_new(struct engine *engine, const struct job *job)
{
    const struct job_spec *spec = job->spec;
    if (spec->after_batch)
        return (struct park_place){
            .reason = "batch", .due_ms = INT64_MAX, .after_batch = spec->after_batch};
    if (!parking_has_room(engine))
        return (struct park_place){0};
    if (is_far(engine, spec->not_before_ms))
        return (struct park_place){
            .reason = "not_before", .due_ms = spec->not_before_ms, .start_ms = spec->not_before_ms};
    if (parking_is_paused(engine, job))
        return (struct park_place){.reason = "paused", .due_ms = INT64_MAX};
    if (!engine->parking.reads_on)
        return (struct park_place){0};
    if (engine->parking.lowest >= 0 && spec->priority > engine->parking.lowest) {
        engine->parking.to_leave++;
        return (struct park_place){0};
    }
    return (struct park_place){.reason = "order"};
}

bool parking_of_new(struct engine *engine, struct job *job)
{
    job->place = (struct park_place){0};
    if (job->raw->requeued || job->job_no != 0)
        return false; // it was its turn; or another worker had it, whose claim is to be taken over
    job->place = place_of_new(engine, job);
    if (!job->place.reason)
        return false;
    job->place.tokens = (int64_t)job->spec->text_len / 4;
    job->place.bytes = (int64_t)(job->raw->bytes + job->spec->text_len + job->spec->data_len);
    job->place.fails = job->spec->fail_on_deadline;
    return true;
}

void parking_parked(struct engine *engine, const struct job *job)
{
    struct parking *parking = &engine->parking;
    if (!job->place.reason)
        return; // a message of a job that was there
    parking->rows++;
    parking->bytes += job->place.bytes;
    parking->more = parking->more || job->place.due_ms == 0;
    metrics_add(engine->options.metrics, METRIC_JOBS_PARKED, job->place.reason, NULL, 1);
}

static void send_away(struct engine *engine, struct job *job, const struct park_place *place)
{
    engine_step(engine, job, &(struct job_event){.kind = JOB_PARK, .park = place});
}

// Jobs whose key stays closed for long, but for some that are there when it opens.
static bool waits_for_key(struct engine *engine, const struct job *job, struct park_place *out)
{
    int64_t start_ms = 0;
    const char *reason = gate_reason(engine, job, &start_ms);
    if (strcmp(reason, "key_closed") != 0 || job->forbidden ||
        start_ms - engine_now(engine) < JOB_PARK_MS || start_ms == INT64_MAX)
        return false;
    int64_t look_ms = engine_now(engine) + KEY_LOOK_MS;
    *out = (struct park_place){
        .reason = "key_closed",
        .due_ms = (start_ms < look_ms ? start_ms : look_ms) + engine->db_offset_ms,
        .start_ms = start_ms + engine->db_offset_ms,
    };
    return true;
}

// Jobs whose budget is used up, but for some that see it when money comes back.
static bool waits_for_money(struct engine *engine, const struct job *job, struct park_place *out)
{
    int64_t now_ms = engine_db_now(engine);
    if (!job->walled || job->wall_frees || job->not_before_ms <= engine_now(engine) ||
        job->wall_ends_ms - now_ms < JOB_PARK_MS)
        return false;
    // Whoever sets a budget makes them due; what else frees money is found by looking.
    int64_t look_ms = now_ms + BUDGET_LOOK_MS + job->job_no * 997 % BUDGET_LOOK_MS;
    *out = (struct park_place){
        .reason = "budget",
        .due_ms = job->wall_ends_ms < look_ms ? job->wall_ends_ms : look_ms,
        .start_ms = job->wall_ends_ms != INT64_MAX ? job->wall_ends_ms : 0,
    };
    return true;
}

static void send_long_waiting(struct engine *engine, enum step step)
{
    struct list_node *next;
    size_t stay = STAY_FOR_KEY;
    for (struct list_node *node = list_first(&engine->steps[step]); node; node = next) {
        struct job *job = engine_job_of(node);
        struct park_place place = {.reason = "paused", .due_ms = INT64_MAX};
        next = list_next(&engine->steps[step], node);
        if (parking_is_paused(engine, job))
            send_away(engine, job, &place);
        else if (step != STEP_ADMIT ||
                 (!waits_for_key(engine, job, &place) && !waits_for_money(engine, job, &place)))
            continue;
        else if (stay > 0)
            stay--;
        else
            send_away(engine, job, &place);
    }
}

static void send_in_exchange(struct engine *engine)
{
    size_t most = (size_t)engine->config->worker.in_flight, len = window_len(engine);
    struct parking *parking = &engine->parking;
    if (parking->to_leave == 0 || len <= most)
        return;
    struct idle_job *idle;
    size_t count = gather_idle(engine, &idle);
    const struct park_place place = {.reason = "order"};
    qsort(idle, count, sizeof(*idle), by_leaving);
    for (size_t i = 0; i < count && parking->to_leave > 0 && len > most; i++) {
        send_away(engine, idle[i].job, &place);
        parking->to_leave--;
        len--;
    }
    parking->to_leave = 0;
    free(idle);
}

static void look_at_window(struct engine *engine)
{
    struct parking *parking = &engine->parking;
    int64_t now_ms = engine_now(engine);
    size_t waiting = engine->steps[STEP_ADMIT].len + engine->steps[STEP_DOCUMENT].len +
                     engine->steps[STEP_HELD].len + engine->steps[STEP_TWIN].len;
    bool is_full = !intake_has_room(engine) && waiting * 2 >= window_len(engine);
    bool before = parking->reads_on;
    if (!is_full)
        parking->full_since_ms = INT64_MAX;
    else if (parking->full_since_ms == INT64_MAX)
        parking->full_since_ms = now_ms;
    if (is_full && now_ms - parking->full_since_ms >= FULL_MS && parking_has_room(engine)) {
        size_t most = (size_t)engine->config->worker.in_flight;
        if (!before && window_len(engine) > most) // what came at once, before it could be held back
            parking->to_leave += window_len(engine) - most;
        parking->reads_on = true;
    } else if (!is_full && !parking->more && intake_has_room(engine))
        parking->reads_on = false;
    if (before != parking->reads_on)
        log_event(engine->options.log, LOG_LEVEL_INFO,
                  parking->reads_on ? "window_full_reading_on" : "window_has_room",
                  LOG_NUMBER("jobs_in_flight", engine->jobs.len),
                  LOG_NUMBER("parked", parking->rows));
}

void parking_send_away(struct engine *engine)
{
    if (!engine->store_up || engine->draining)
        return;
    look_at_window(engine);
    send_in_exchange(engine);
    if (engine_now(engine) < engine->next_park_ms)
        return;
    engine->next_park_ms = engine_now(engine) + SCAN_MS;
    if (!parking_has_room(engine))
        return;
    send_long_waiting(engine, STEP_ADMIT);
    send_long_waiting(engine, STEP_DOCUMENT);
}
