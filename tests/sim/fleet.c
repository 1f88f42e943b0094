// SPDX-License-Identifier: Apache-2.0
// Many workers, one limit. Each worker has a partition of its own, so that its demand can be set.
#include "fleet_inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"
#include "engine.h"
#include "sim_store.h"

#define WINDOW   40   // jobs that a worker holds
#define BURST_MS 2000 // of the limit, that the provider's bucket holds

// ------------------------------------------------------------------------------- the provider

// A rise may have more for a while, from the first call that needs it.
bool fleet_take(struct fleet *fleet, int64_t tokens)
{
    int64_t now_ms = fleet->world.now_ms;
    if (now_ms < fleet->closed_until_ms)
        return false;
    if (fleet->requests.per_minute == 0)
        return true;
    bool surge = fleet->surge_from_ms >= 0 && now_ms < fleet->surge_from_ms + fleet->surge_ms;
    int64_t percent = surge ? fleet->surge_percent : 0;
    bool full = limiter_fill(&fleet->requests, percent, now_ms);
    if (limiter_fill(&fleet->tokens, percent, now_ms) || full)
        fleet->surge_from_ms = -1;
    bool fits = limiter_fits(&fleet->requests, 1) && limiter_fits(&fleet->tokens, tokens);
    if (!fits && fleet->surge_ms > 0 && fleet->surge_from_ms < 0)
        fleet->surge_from_ms = now_ms;
    if (!fits)
        return false;
    limiter_take(&fleet->requests, 1, now_ms);
    limiter_take(&fleet->tokens, tokens, now_ms);
    return true;
}

struct exchange {
    struct fleet_worker *worker;
    struct slot_id owner;
    uint32_t serial;
    int tenant; // -1: of none
    int64_t tokens_in, tokens_out, tokens_asked;
    int64_t left_requests, left_tokens;
    int64_t reset_requests_ms, reset_tokens_ms;
    bool refused;
    bool too_many; // at once
};

static void after_event(struct fleet_worker *worker);

static void emit(const struct exchange *exchange, struct http_event *event)
{
    event->owner = exchange->owner;
    event->serial = exchange->serial;
    if (exchange->worker->dead)
        return;
    exchange->worker->depth++;
    engine_on_http(exchange->worker->engine, event);
    exchange->worker->depth--;
}

static void emit_header(const struct exchange *exchange, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    struct http_event event = {.kind = HTTP_HEADER, .name = name, .value = text};
    emit(exchange, &event);
}

static void emit_reset(const struct exchange *exchange, const char *name, int64_t reset_ms)
{
    char text[24];
    snprintf(text, sizeof(text), "%.3fs", (double)reset_ms / 1000);
    struct http_event event = {.kind = HTTP_HEADER, .name = name, .value = text};
    emit(exchange, &event);
}

static int status_of(const struct exchange *exchange)
{
    return exchange->too_many ? 503 : exchange->refused ? 429 : 200;
}

static void emit_head(const struct exchange *exchange)
{
    const struct fleet *fleet = exchange->worker->fleet;
    struct http_event status = {.kind = HTTP_STATUS, .status = status_of(exchange)};
    struct http_event type = {
        .kind = HTTP_HEADER, .name = "content-type", .value = "application/json"};
    emit(exchange, &status);
    emit(exchange, &type);
    if (fleet->at_once_most > 0 || fleet->requests.silent)
        return;
    if (fleet->requests.tells_reset) {
        emit_reset(exchange, "x-ratelimit-reset-requests", exchange->reset_requests_ms);
        emit_reset(exchange, "x-ratelimit-reset-tokens", exchange->reset_tokens_ms);
    }
    emit_header(exchange, "x-ratelimit-limit-requests", fleet->requests.per_minute);
    emit_header(exchange, "x-ratelimit-limit-tokens", fleet->tokens.per_minute);
    emit_header(exchange, "x-ratelimit-remaining-requests", exchange->left_requests);
    emit_header(exchange, "x-ratelimit-remaining-tokens", exchange->left_tokens);
    int64_t closed_ms = fleet->closed_until_ms - fleet->world.now_ms;
    if (exchange->refused)
        emit_header(exchange, "retry-after-ms", closed_ms > 0 ? closed_ms : 100);
}

static const char answer[] =
    "{\\\"summary\\\":\\\"The parties agree on services and a price.\\\",\\\"key_points\\\":["
    "{\\\"point\\\":\\\"Services\\\",\\\"quote\\\":\\\"Party one serves party two\\\"},"
    "{\\\"point\\\":\\\"Price\\\",\\\"quote\\\":\\\"pays one hundred\\\"},"
    "{\\\"point\\\":\\\"End\\\",\\\"quote\\\":\\\"ends in May\\\"}]}";

static void answer_call(void *context, void *data)
{
    (void)context;
    const struct exchange *exchange = data;
    struct buf body;
    buf_init(&body, 0);
    if (!exchange->too_many)
        exchange->worker->fleet->at_once--;
    if (exchange->refused)
        buf_add_str(&body, "{\"error\":{\"message\":\"slow\",\"code\":\"rate_limit_exceeded\"}}");
    else
        buf_printf(&body,
                   "{\"id\":\"c\",\"model\":\"sim\",\"choices\":[{\"index\":0,\"message\":"
                   "{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],"
                   "\"usage\":{\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
                   ",\"total_tokens\":%" PRId64 "}}",
                   answer, exchange->tokens_in, exchange->tokens_out,
                   exchange->tokens_in + exchange->tokens_out);
    struct http_event bytes = {.kind = HTTP_DATA, .data = body.data, .data_len = body.len};
    struct http_event end = {.kind = HTTP_END};
    emit_head(exchange);
    emit(exchange, &bytes);
    emit(exchange, &end);
    buf_deinit(&body);
    after_event(exchange->worker);
}

static int64_t tokens_of(const struct fleet *fleet, const struct exchange *exchange)
{
    return exchange->tokens_in +
           (fleet->counts_asked ? exchange->tokens_asked : exchange->tokens_out);
}

static int64_t asked_of(const struct http_request *request)
{
    static const char name[] = "\"max_tokens\":";
    const char *at = memmem(request->body, request->body_len, name, sizeof(name) - 1);
    CHECK(at);
    return strtoll(at + sizeof(name) - 1, NULL, 10);
}

// What its document says (deliver); -1: nothing.
static int tenant_of(const struct http_request *request)
{
    static const char name[] = "Tenant ";
    const char *at = memmem(request->body, request->body_len, name, sizeof(name) - 1);
    return at ? (int)strtol(at + sizeof(name) - 1, NULL, 10) : -1;
}

static void count_call(struct fleet *fleet, struct exchange *exchange)
{
    exchange->too_many = fleet->at_once_most > 0 && fleet->at_once >= fleet->at_once_most;
    exchange->refused = exchange->too_many || !fleet_take(fleet, tokens_of(fleet, exchange));
    fleet->at_once += !exchange->too_many;
    exchange->left_requests = limiter_left(&fleet->requests);
    exchange->left_tokens = limiter_left(&fleet->tokens);
    exchange->reset_requests_ms = limiter_reset_ms(&fleet->requests, fleet->world.now_ms);
    exchange->reset_tokens_ms = limiter_reset_ms(&fleet->tokens, fleet->world.now_ms);
    if (!exchange->refused)
        exchange->worker->accepted++;
    size_t second = (size_t)(fleet->world.now_ms / 1000);
    if (second >= fleet->seconds) {
        fleet->minute = own_grow(fleet->minute, second + 1, sizeof(*fleet->minute));
        while (fleet->seconds <= second)
            fleet->minute[fleet->seconds++] = 0;
    }
    if (!exchange->refused)
        fleet->minute[second]++;
    if (fleet->world.now_ms >= fleet->from_ms) {
        fleet->accepted += !exchange->refused;
        fleet->refused += exchange->refused;
        fleet->tokens_used += exchange->refused ? 0 : tokens_of(fleet, exchange);
        if (exchange->tenant >= 0 && !exchange->refused)
            fleet->tenants[exchange->tenant].tokens += tokens_of(fleet, exchange);
    }
}

static int64_t latency_of(struct fleet *fleet, const struct exchange *exchange)
{
    if (exchange->refused)
        return 5;
    if (exchange->tenant < 0)
        return world_range(&fleet->world, 300, 1500);
    const struct fleet_tenant *tenant = &fleet->tenants[exchange->tenant];
    return world_range(&fleet->world, tenant->least_ms, tenant->most_ms);
}

static void arrive(void *context, void *data)
{
    struct fleet *fleet = context;
    struct exchange *exchange = own_alloc(sizeof(*exchange));
    *exchange = *(const struct exchange *)data;
    struct http_event sent = {.kind = HTTP_SENT};
    count_call(fleet, exchange);
    emit(exchange, &sent);
    int64_t latency_ms = latency_of(fleet, exchange);
    if (!exchange->refused && fleet->world.now_ms >= fleet->from_ms)
        fleet->at_once_ms += latency_ms;
    world_after(&fleet->world, latency_ms, answer_call, fleet, exchange);
    after_event(exchange->worker);
}

static void http_start(void *context, const struct http_request *request)
{
    struct fleet_worker *worker = context;
    struct world *world = &worker->fleet->world;
    struct exchange *exchange = own_alloc(sizeof(*exchange));
    *exchange = (struct exchange){
        .worker = worker,
        .owner = request->owner,
        .serial = request->serial,
        .tenant = tenant_of(request),
        .tokens_in = (int64_t)request->body_len / 5 + 1,
        .tokens_out = world_range(world, 60, 120),
        .tokens_asked = asked_of(request),
    };
    world_after(world, world_range(world, 1, 20), arrive, worker->fleet, exchange);
}

static void http_cancel(void *context, struct slot_id owner, uint32_t serial)
{
    (void)context;
    (void)owner;
    (void)serial;
    CHECK(false); // no call lasts so long here
}

static const struct http_ops http_ops = {.start = http_start, .cancel = http_cancel};

// ------------------------------------------------------------------------------- its Kafka

static void pump(void *context, void *data);

void fleet_pump_soon(struct fleet_worker *worker, int64_t delay_ms)
{
    if (worker->pumping)
        return;
    worker->pumping = true;
    world_after(&worker->fleet->world, delay_ms, pump, worker, NULL);
}

// A document of its own: as long as its tenant's are.
static void add_text(const struct fleet_worker *worker, int tenant, const char *id, struct buf *out)
{
    if (tenant >= 0)
        buf_printf(out, "Tenant %d. ", tenant);
    buf_printf(out, "%s. Party one serves party two, which pays one hundred; it ends in May.", id);
    int64_t bytes = tenant >= 0 ? worker->fleet->tenants[tenant].text_bytes : 0;
    for (int clause = 1; (int64_t)out->len < bytes; clause++)
        buf_printf(out, " Clause %d of this contract says nothing of its own.", clause);
}

static void add_value(const struct fleet_worker *worker, int tenant, const char *id,
                      struct buf *out)
{
    buf_printf(out, "{\"v\":1,\"kind\":\"summarize\",\"id\":\"%s\",", id);
    if (tenant >= 0)
        buf_printf(out, "\"tenant\":\"%s\",", worker->fleet->config->tenants[tenant].name);
    buf_add_str(out, "\"document\":{\"text\":\"");
    add_text(worker, tenant, id, out);
    buf_add_str(out, "\"}}");
}

static void deliver(struct fleet_worker *worker)
{
    struct buf value;
    char id[40], key[80];
    int tenant = worker->tenants ? worker->tenants[worker->read] : -1;
    snprintf(id, sizeof(id), "job-%d-%" PRId64, worker->number, worker->read);
    snprintf(key, sizeof(key), "%s/default/%s",
             tenant >= 0 ? worker->fleet->config->tenants[tenant].name : "default", id);
    buf_init(&value, 0);
    add_value(worker, tenant, id, &value);
    struct message message = {
        .topic = "jobs",
        .partition = worker->number,
        .offset = worker->read++,
        .timestamp_ms = SIM_START_UNIX_MS + worker->fleet->world.now_ms,
        .key = key,
        .key_len = strlen(key),
        .value = value.data,
        .value_len = value.len,
    };
    struct broker_event event = {
        .kind = BROKER_MESSAGE, .topic = "jobs", .partition = worker->number, .message = &message};
    worker->depth++;
    engine_on_broker(worker->engine, &event);
    worker->depth--;
    buf_deinit(&value);
    after_event(worker);
}

// Who has more than enough to do always has a message more.
static bool has_message(struct fleet_worker *worker)
{
    if (worker->read < worker->sent)
        return true;
    if (!worker->wants)
        return false;
    worker->sent++;
    worker->fleet->jobs++;
    return true;
}

static void pump(void *context, void *data)
{
    (void)data;
    struct fleet_worker *worker = context;
    worker->pumping = false;
    if (worker->dead)
        return;
    for (int i = 0; i < 5 && worker->begun && !worker->paused && has_message(worker); i++)
        deliver(worker);
    if (worker->begun && !worker->paused && (worker->wants || worker->read < worker->sent))
        fleet_pump_soon(worker, 1);
}

static void broker_begin(void *context, const char *topic, int32_t partition,
                         enum broker_start start, int64_t offset)
{
    (void)topic;
    (void)partition;
    (void)start;
    (void)offset;
    struct fleet_worker *worker = context;
    worker->begun = true;
    fleet_pump_soon(worker, 1);
}

static void broker_pause(void *context, const char *topic, int32_t partition)
{
    (void)topic;
    (void)partition;
    ((struct fleet_worker *)context)->paused = true;
}

static void broker_resume(void *context, const char *topic, int32_t partition)
{
    (void)topic;
    (void)partition;
    struct fleet_worker *worker = context;
    worker->paused = false;
    fleet_pump_soon(worker, 1);
}

static void broker_store_offset(void *context, const char *topic, int32_t partition, int64_t next)
{
    (void)context;
    (void)topic;
    (void)partition;
    (void)next;
}

struct delivery {
    uint64_t token;
};

static void delivered(void *context, void *data)
{
    struct fleet_worker *worker = context;
    if (worker->dead)
        return;
    struct broker_event event = {
        .kind = BROKER_DELIVERED, .token = ((struct delivery *)data)->token, .ok = true};
    worker->depth++;
    engine_on_broker(worker->engine, &event);
    worker->depth--;
    after_event(worker);
}

static bool broker_produce(void *context, enum broker_topic topic, const struct message *message,
                           uint64_t token)
{
    (void)topic;
    (void)message;
    struct fleet_worker *worker = context;
    struct delivery *delivery = own_alloc(sizeof(*delivery));
    delivery->token = token;
    world_after(&worker->fleet->world, 2, delivered, worker, delivery);
    return true;
}

static const struct broker_ops broker_ops = {
    .begin = broker_begin,
    .pause = broker_pause,
    .resume = broker_resume,
    .store_offset = broker_store_offset,
    .produce = broker_produce,
};

// ------------------------------------------------------------------------------- a worker

static void run(void *context, void *data)
{
    struct fleet_worker *worker = context;
    int64_t now_ms = worker->fleet->world.now_ms;
    if (worker->dead || *(const int64_t *)data != worker->run_at_ms)
        return;
    worker->run_at_ms = INT64_MAX;
    worker->depth++;
    int64_t next_ms = engine_run(worker->engine);
    worker->depth--;
    if (next_ms >= worker->run_at_ms)
        return;
    int64_t *at_ms = own_alloc(sizeof(*at_ms));
    *at_ms = worker->run_at_ms = next_ms > now_ms ? next_ms : now_ms + 1;
    world_after(&worker->fleet->world, *at_ms - now_ms, run, worker, at_ms);
}

static void after_event(struct fleet_worker *worker)
{
    int64_t now_ms = worker->fleet->world.now_ms;
    if (worker->dead || worker->depth > 0 || worker->run_at_ms <= now_ms)
        return;
    int64_t *at_ms = own_alloc(sizeof(*at_ms));
    *at_ms = worker->run_at_ms = now_ms;
    world_after(&worker->fleet->world, 0, run, worker, at_ms);
}

static void on_store(void *context, const struct store_event *event)
{
    struct fleet_worker *worker = context;
    if (!worker->engine) // the connection was up before the engine was built
        return;
    worker->depth++;
    engine_on_store(worker->engine, event);
    worker->depth--;
    after_event(worker);
    worker->fleet->asks += event->kind == STORE_QUOTA;
}

static int64_t now_of(void *context)
{
    return ((struct fleet_worker *)context)->fleet->world.now_ms;
}

static uint64_t random_of(void *context)
{
    return rng_next(&((struct fleet_worker *)context)->fleet->world.rng);
}

static void at_point(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void start_worker(struct fleet *fleet, int number)
{
    struct fleet_worker *worker = &fleet->workers[number];
    *worker = (struct fleet_worker){.fleet = fleet, .number = number, .run_at_ms = INT64_MAX};
    int64_t id = db_register(&fleet->db, fleet->world.now_ms);
    worker->store = sim_store_new(&fleet->world, &fleet->db, id, on_store, worker);
    struct edges edges = {
        .store = worker->store,
        .store_ops = &sim_store_ops,
        .broker = worker,
        .broker_ops = &broker_ops,
        .http = worker,
        .http_ops = &http_ops,
        .world = worker,
        .now_ms = now_of,
        .random = random_of,
        .at_point = at_point,
    };
    struct engine_options options = {.config = fleet->config, .program_version = "0"};
    worker->engine = engine_new(&options, &edges);
    struct broker_event up = {.kind = BROKER_UP};
    struct broker_event offered = {
        .kind = BROKER_OFFERED, .topic = "jobs", .partition = number, .offset = -1};
    engine_on_broker(worker->engine, &up);
    engine_on_broker(worker->engine, &offered);
}

void fleet_kill_worker(struct fleet_worker *worker)
{
    if (worker->dead)
        return;
    worker->dead = true;
    sim_store_kill(worker->store, false);
    engine_free(worker->engine);
}

// ------------------------------------------------------------------------------- life

static struct config *make_config(const struct fleet_limits *limits)
{
    struct config *config = own_alloc(sizeof(*config));
    config->kafka.topic_jobs = own_strdup("jobs");
    config->kafka.topic_results = own_strdup("results");
    config->kafka.start = own_strdup("earliest");
    config->worker.in_flight = WINDOW;
    config->worker.memory_bytes = 1 << 28;
    config->documents.max_bytes = 1 << 20;
    backoff_default(&config->retry);
    config->providers = own_array(1, sizeof(*config->providers));
    config->provider_count = 1;
    struct config_provider *provider = &config->providers[0];
    provider->name = own_strdup("sim");
    provider->api = own_strdup("openai");
    provider->base_url = own_strdup("http://sim/v1");
    provider->keys = (struct config_keys){own_array(1, sizeof(struct config_key)), 1};
    provider->keys.items[0].name = own_strdup("a");
    provider->first_byte_ms = provider->idle_ms = 30000;
    provider->connect_ms = 10000;
    provider->burst_percent = limits->burst_percent;
    provider->burst_seconds = 3;
    config->models = own_array(1, sizeof(*config->models));
    config->model_count = 1;
    struct config_model *model = &config->models[0];
    model->name = own_strdup("sim");
    model->served_name = own_strdup("sim");
    model->provider = provider;
    model->context_tokens = 128000;
    model->max_output_tokens = 8192;
    model->rpm = limits->rpm;
    model->tpm = limits->tpm;
    model->in_flight = limits->in_flight;
    model->reasoning = REASONING_NONE;
    model->price = (struct price){.known = true, .input_picousd = 1, .output_picousd = 1};
    model->price_version = own_strdup("sim");
    config->routes = own_array(1, sizeof(*config->routes));
    config->route_count = 1;
    config->routes[0].name = own_strdup("default");
    config->routes[0].models = own_array(1, sizeof(struct config_model *));
    config->routes[0].models[0] = model;
    config->routes[0].model_count = 1;
    return config;
}

struct fleet *fleet_new(uint64_t seed, int workers, int64_t rpm, int64_t tpm)
{
    const struct fleet_limits limits = {.rpm = rpm, .tpm = tpm, .burst_percent = 20};
    return fleet_new_of(seed, workers, &limits);
}

struct fleet *fleet_new_of(uint64_t seed, int workers, const struct fleet_limits *limits)
{
    struct fleet *fleet = own_alloc(sizeof(*fleet));
    CHECK(workers <= WORKERS_MOST);
    fleet->count = workers;
    fleet->worst_fairness = 1;
    fleet->surge_from_ms = -1;
    limiter_init(&fleet->requests,
                 &(struct limiter){.per_minute = limits->rpm, .burst_ms = BURST_MS});
    limiter_init(&fleet->tokens,
                 &(struct limiter){.per_minute = limits->tpm, .burst_ms = BURST_MS});
    world_init(&fleet->world, seed);
    db_init(&fleet->db, fleet->world.now_ms);
    fleet->config = make_config(limits);
    for (int i = 0; i < workers; i++)
        start_worker(fleet, i);
    return fleet;
}

void fleet_free(struct fleet *fleet)
{
    for (int i = 0; i < fleet->count; i++) {
        fleet_kill_worker(&fleet->workers[i]);
        free(fleet->workers[i].tenants);
    }
    // What is still on its way lets go of what it holds when it happens.
    fleet->world.closing = true;
    while (world_next(&fleet->world))
        continue;
    world_deinit(&fleet->world);
    db_deinit(&fleet->db);
    config_free(fleet->config);
    limiter_deinit(&fleet->requests);
    limiter_deinit(&fleet->tokens);
    free(fleet->minute);
    free(fleet);
}

static void nothing(void *context, void *data)
{
    (void)context;
    (void)data;
}

void fleet_run_until(struct fleet *fleet, int64_t at_ms)
{
    world_after(&fleet->world, at_ms - fleet->world.now_ms, nothing, NULL, NULL);
    while (fleet->world.now_ms < at_ms && world_next(&fleet->world))
        continue;
}

void fleet_begin_counting(struct fleet *fleet)
{
    fleet->from_ms = fleet->world.now_ms;
    fleet->accepted = fleet->refused = fleet->asks = fleet->tokens_used = 0;
    for (int i = 0; i < TENANTS_MOST; i++)
        fleet->tenants[i].tokens = 0;
    fleet->at_once_ms = 0;
}

static int64_t most_in_a_minute(const struct fleet *fleet)
{
    int64_t sum = 0, most = 0;
    for (size_t i = 0; i < fleet->seconds; i++) {
        sum += fleet->minute[i] - (i >= 60 ? fleet->minute[i - 60] : 0);
        most = sum > most ? sum : most;
    }
    return most;
}

static int64_t count_done(const struct db *db)
{
    int64_t done = 0;
    for (size_t i = 0; i < db->jobs_count; i++)
        done += db->jobs[i].outcomes > 0 && db->jobs[i].state == JOB_DONE;
    return done;
}

void fleet_take_figures(const struct fleet *fleet, struct fleet_figures *out)
{
    int64_t rpm = fleet->requests.per_minute, took_ms = fleet->world.now_ms - fleet->from_ms;
    *out = (struct fleet_figures){
        .used = (double)fleet->accepted / ((double)rpm * (double)took_ms / 60000),
        .fairness = fleet->worst_fairness,
        .accepted = fleet->accepted,
        .refused = fleet->refused,
        .done = count_done(&fleet->db),
        .jobs = fleet->jobs,
        .asks_a_call = fleet->accepted > 0 ? (double)fleet->asks / (double)fleet->accepted : 0,
        .over_minute = most_in_a_minute(fleet) - rpm - rpm * BURST_MS / 60000,
    };
}
