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
// Into a full window comes what is more urgent than something in it, or of a tenant that was given
// less, for its weight, than those that stand there (core/share.h); as many of those that have not
// begun leave it, the least urgent first. A tenant of which nothing stands there gets a foot in the
// door, whatever its priority: so that the floor of core/order is one for all that waits.
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
// What a prompt and an answer add to a text, about.
#define PROMPT_TOKENS 300
// So soon after the last one comes the next question, where the window empties.
#define ASK_MS 50
// And where it is full.
#define ASK_FULL_MS 200
// Jobs that were cancelled while they were parked, and come to be ended.
#define ENDS_BATCH 500
// How long jobs of a closed key are parked at most: it may be opened sooner than was said.
#define KEY_LOOK_MS 60000

// Jobs that are begun in so much time come into a full window at once, so many at least.
#define PACE_MS    2000
#define PACE_LEAST 8

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
    engine->parking.shares = shares_new();
    engine->parking.pace = EXCHANGE_BATCH;
}

void parking_deinit(struct engine *engine)
{
    shares_free(engine->parking.shares);
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

// What it will use, as far as one knows.
static int64_t tokens_of(const struct job *job)
{
    const struct job_spec *spec = job->spec;
    if (job->in_order.in)
        return job->in_order.tokens;
    if (job->plan.count > job->plan.cursor)
        return job_need_tokens(job);
    if (job->text_len == 0 && spec->text_len == 0 && spec->data_len == 0)
        return TAKE_TOKENS;
    size_t bytes = job->text_len > 0 ? job->text_len : spec->text_len + spec->data_len;
    return (int64_t)bytes / 4 + PROMPT_TOKENS;
}

// Jobs in the window that wait and have not begun, and the virtual time at which each would begin.
struct idle_job {
    struct job *job;
    int64_t begins;
    bool foremost; // of its tenant
};

// A tenant's jobs one after the other, in the order in which they go.
static int by_tenant(const void *left, const void *right)
{
    const struct job *a = ((const struct idle_job *)left)->job,
                     *b = ((const struct idle_job *)right)->job;
    int order = strcmp(a->spec->tenant, b->spec->tenant);
    if (order != 0)
        return order;
    if (a->spec->priority != b->spec->priority)
        return a->spec->priority > b->spec->priority ? -1 : 1;
    if (a->spec->deadline_ms != b->spec->deadline_ms)
        return a->spec->deadline_ms < b->spec->deadline_ms ? -1 : 1;
    return a->came < b->came ? -1 : 1;
}

// The least urgent first; of them the one whose turn comes last. A tenant's foremost stays, while
// tenants are few.
static int by_leaving(const void *left, const void *right)
{
    const struct idle_job *a = left, *b = right;
    int a_priority = a->job->spec->priority, b_priority = b->job->spec->priority;
    if (a->foremost != b->foremost)
        return a->foremost ? 1 : -1;
    if (a_priority != b_priority)
        return a_priority < b_priority ? -1 : 1;
    if (a->begins != b->begins)
        return a->begins > b->begins ? -1 : 1;
    return a->job->came > b->job->came ? -1 : 1;
}

static void add_idle(struct engine *engine, enum step step, struct idle_job *list, size_t *count)
{
    for (struct list_node *node = list_first(&engine->steps[step]); node;
         node = list_next(&engine->steps[step], node))
        if (!has_begun(engine_job_of(node)))
            list[(*count)++].job = engine_job_of(node);
}

// What is being claimed will stand there, too.
static void count_coming(struct engine *engine)
{
    for (struct list_node *node = list_first(&engine->steps[STEP_CLAIM]); node;
         node = list_next(&engine->steps[STEP_CLAIM], node)) {
        const struct job *job = engine_job_of(node);
        const char *tenant = job->spec->tenant;
        if (!job->place.reason)
            shares_stand(engine->parking.shares, tenant, gate_weight(engine, tenant),
                         tokens_of(job));
    }
}

// Of the models that jobs wait for.
static int64_t largest_credit(const struct engine *engine)
{
    int64_t largest = -1;
    for (size_t i = 0; i < engine->config->model_count; i++)
        if (order_len(engine->gates[i].order) > 0 && gate_credit(engine, i) > largest)
            largest = gate_credit(engine, i);
    return largest < 0 ? ORDER_CREDIT_TOKENS : largest;
}

// Counts what stands in the window. Tenants are few where each two of those jobs have one.
static size_t gather_idle(struct engine *engine, struct idle_job **out)
{
    struct idle_job *list = own_array(
        engine->steps[STEP_ADMIT].len + engine->steps[STEP_DOCUMENT].len + 1, sizeof(*list));
    size_t count = 0, tenants = 0;
    int64_t weight = 1;
    add_idle(engine, STEP_ADMIT, list, &count);
    add_idle(engine, STEP_DOCUMENT, list, &count);
    qsort(list, count, sizeof(*list), by_tenant);
    shares_set_credit(engine->parking.shares, largest_credit(engine));
    shares_recount(engine->parking.shares);
    for (size_t i = 0; i < count; i++) {
        const char *tenant = list[i].job->spec->tenant;
        list[i].foremost = i == 0 || strcmp(list[i - 1].job->spec->tenant, tenant) != 0;
        tenants += list[i].foremost;
        if (list[i].foremost)
            weight = gate_weight(engine, tenant);
        list[i].begins =
            shares_stand(engine->parking.shares, tenant, weight, tokens_of(list[i].job));
    }
    if (tenants * 2 > count)
        for (size_t i = 0; i < count; i++)
            list[i].foremost = false;
    count_coming(engine);
    *out = list;
    return count;
}

// ------------------------------------------------------------------------------- taking up

void parking_served(struct engine *engine, const char *tenant, int64_t tokens)
{
    shares_serve(engine->parking.shares, tenant, gate_weight(engine, tenant), tokens);
}

static struct take_share share_to_tell(const struct engine *engine, const char *tenant,
                                       int64_t weight, bool stands)
{
    const struct shares *shares = engine->parking.shares;
    return (struct take_share){
        .tenant = tenant,
        .weight = weight,
        .time = shares_first(shares, tenant, weight) - shares_now(shares),
        .stands = stands,
    };
}

// All tenants of which this worker knows more than that they are new.
static struct take_share *list_shares(const struct engine *engine, size_t *out_count)
{
    const struct config *config = engine->config;
    const struct share *known;
    size_t count = shares_list(engine->parking.shares, &known), len = 0;
    struct take_share *list = own_array(count + config->tenant_count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        list[len++] = share_to_tell(engine, known[i].tenant, known[i].weight, known[i].stands);
    for (size_t i = 0; i < config->tenant_count; i++)
        if (!shares_knows(engine->parking.shares, config->tenants[i].name))
            list[len++] =
                share_to_tell(engine, config->tenants[i].name, config->tenants[i].weight, false);
    *out_count = len;
    return list;
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

// How many may come into a full window at once: twice what is begun until the next question. A
// small tenant's jobs are for all workers to take, each at its pace: whoever asked first would else
// take them all, and have them wait for its own part of the limit.
static size_t pace(struct engine *engine)
{
    struct parking *parking = &engine->parking;
    int64_t took_ms = engine_now(engine) - parking->paced_ms;
    if (took_ms >= REQUEUED_MS) {
        int64_t most = (int64_t)(parking->begun - parking->paced) * PACE_MS / took_ms;
        parking->pace = most < PACE_LEAST ? PACE_LEAST : (size_t)most;
        parking->paced_ms = engine_now(engine);
        parking->paced = parking->begun;
    }
    return parking->pace < EXCHANGE_BATCH ? parking->pace : EXCHANGE_BATCH;
}

// Who may come into a full window: what is more urgent than the least urgent that may leave it, or
// as urgent, and begins well before the last of those. Less would only change places to and fro.
static void bound_exchange(struct engine *engine, const struct idle_job *idle, size_t count)
{
    struct parking *parking = &engine->parking;
    int64_t now = shares_now(parking->shares), last = now;
    size_t leave = 0, most = pace(engine);
    parking->lowest = -1;
    for (size_t i = 0; i < count; i++) {
        int priority = idle[i].job->spec->priority;
        if (idle[i].foremost)
            continue;
        leave++;
        if (parking->lowest < 0 || priority < parking->lowest) {
            parking->lowest = priority;
            last = now;
        }
        if (priority == parking->lowest && idle[i].begins > last)
            last = idle[i].begins;
    }
    parking->before = now + (last - now) / 4 * 3;
    parking->straight = parking->asked = leave < most ? leave : most;
}

static bool are_few(const struct idle_job *idle, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (idle[i].foremost)
            return true;
    return false;
}

void parking_ask(struct engine *engine)
{
    struct parking *parking = &engine->parking;
    size_t most = (size_t)engine->config->worker.in_flight, len = window_len(engine);
    bool has_memory = engine->bytes < (size_t)engine->config->worker.memory_bytes / 2;
    if (taken_under_way(engine) > 2 * EXCHANGE_BATCH)
        return; // what came has not been dealt with yet
    struct idle_job *idle;
    size_t count = gather_idle(engine, &idle);
    struct take_request request = {
        .limit = most - len < REQUEUED_BATCH ? most - len : REQUEUED_BATCH,
        .ends = ENDS_BATCH,
        .least_priority = -1,
        .time_of_others = shares_first(parking->shares, "", 1) - shares_now(parking->shares),
        .after_tenant = parking->after_tenant,
    };
    bound_exchange(engine, idle, count);
    parking->exchanging = len >= most || !has_memory;
    if (parking->exchanging) {
        request.limit = parking->asked > 0 ? parking->asked : 1;
        request.least_priority = parking->lowest >= 0 ? parking->lowest : 9;
        request.before =
            parking->lowest >= 0 ? parking->before - shares_now(parking->shares) : INT64_MIN;
    }
    bool may_come = !parking->exchanging || parking->asked > 0;
    if (may_come && (count == 0 || are_few(idle, count)))
        request.doors = request.limit / ORDER_FLOOR + 1;
    struct take_share *shares = list_shares(engine, &request.share_count);
    request.shares = shares;
    engine->taking = true;
    parking->asked_ms = engine_now(engine);
    engine->edges.store_ops->take_requeued(engine->edges.store, &request);
    free(shares);
    free(idle);
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
    if (parking->exchanging && count <= parking->asked) // more are a crowd that is only to be ended
        parking->to_leave += count;
    parking->newcomers = count;
    parking->begun_before = parking->begun;
    bool crowd = count > parking->asked; // of those that are only to be ended
    if (count > 0 && parking->more && (!parking->exchanging || crowd))
        engine->next_take_ms = 0;
    for (size_t i = 0; i < count; i++)
        intake_take(engine, &event->u.requeued.jobs[i]);
}

// ------------------------------------------------------------------------------- going there

static bool is_far(const struct engine *engine, int64_t unix_ms)
{
    return unix_ms - engine_db_now(engine) > JOB_PARK_MS;
}

// Read past a full window: somebody leaves it for this job.
static bool comes_straight(struct engine *engine, const struct job *job)
{
    struct parking *parking = &engine->parking;
    const struct job_spec *spec = job->spec;
    int64_t weight = gate_weight(engine, spec->tenant);
    if (parking->lowest < 0 || spec->priority < parking->lowest)
        return false;
    if (spec->priority > parking->lowest)
        return true;
    if (parking->straight == 0 ||
        shares_first(parking->shares, spec->tenant, weight) >= parking->before)
        return false;
    parking->straight--;
    shares_stand(parking->shares, spec->tenant, weight, tokens_of(job));
    return true;
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
    if (comes_straight(engine, job)) {
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
    job->place.tokens = tokens_of(job);
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

// As many as the last question brought to a full window have been begun, or more.
static bool newcomers_began(const struct parking *parking)
{
    return parking->exchanging && parking->newcomers > 0 &&
           parking->begun - parking->begun_before >= parking->newcomers;
}

// A full window waits a second until it asks again; one that has emptied since does not, nor one
// whose newcomers go at once.
static void hurry(struct engine *engine)
{
    const struct parking *parking = &engine->parking;
    size_t most = (size_t)engine->config->worker.in_flight;
    bool began = newcomers_began(parking);
    int64_t soon_ms = parking->asked_ms + (began ? ASK_FULL_MS : ASK_MS);
    if (parking->more && !engine->taking && engine->next_take_ms > soon_ms &&
        (began || window_len(engine) <= most * 7 / 8))
        engine->next_take_ms = soon_ms;
}

void parking_send_away(struct engine *engine)
{
    if (!engine->store_up || engine->draining)
        return;
    look_at_window(engine);
    hurry(engine);
    send_in_exchange(engine);
    if (engine_now(engine) < engine->next_park_ms)
        return;
    engine->next_park_ms = engine_now(engine) + SCAN_MS;
    if (!parking_has_room(engine))
        return;
    send_long_waiting(engine, STEP_ADMIT);
    send_long_waiting(engine, STEP_DOCUMENT);
}
