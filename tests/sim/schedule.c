// SPDX-License-Identifier: Apache-2.0
// A schedule: at least 20 jobs over 4 partitions, 2 workers, 1 crash and 3 other faults.
#include "schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/money.h"
#include "core/text.h"
#include "core/time_text.h"

#define FAULTS_END_MS  60000
#define LIMIT_MS       3600000
#define LEAST_MESSAGES 24

// ------------------------------------------------------------------------------- configuration

// One key, or two with limits of their own, of which one may be refused until the end of faults.
static void make_keys(struct schedule *schedule, struct config_provider *provider)
{
    struct world *world = &schedule->world;
    size_t count = world_chance(world, 400) ? 2 : 1;
    provider->keys = (struct config_keys){own_array(count, sizeof(struct config_key)), count};
    for (size_t i = 0; i < count; i++) {
        struct config_key *key = &provider->keys.items[i];
        key->name = own_strdup(i == 0 ? "a" : "b");
        key->key = own_strdup(key->name);
        if (count == 2 && world_chance(world, 500)) {
            key->rpm = world_range(world, 30, 600);
            key->in_flight = world_range(world, 1, 8);
        }
    }
    static const int refusals[] = {401, 402, 403};
    if (count == 2 && world_chance(world, 500))
        schedule->provider.keys[world_range(world, 0, 1)].refused_with =
            refusals[world_range(world, 0, 2)];
}

static struct config_provider a_provider(const char *name)
{
    return (struct config_provider){
        .name = own_strdup(name),
        .api = own_strdup("openai"),
        .base_url = own_strdup("http://sim/v1"),
        .key_name = own_strdup(name),
        .first_byte_ms = 30000,
        .idle_ms = 30000,
    };
}

static void make_model(struct config *config, size_t index, const char *name)
{
    struct config_model *model = &config->models[index];
    *model = (struct config_model){
        .index = index,
        .name = own_strdup(name),
        .served_name = own_strdup(name),
        .provider = &config->providers[index],
        .provider_index = index,
        .context_tokens = 3600,
        .max_output_tokens = 1100,
        .stream = true,
        .in_flight = 8,
        .reasoning = REASONING_NONE,
        .price = {.known = true,
                  .input_picousd = SIM_INPUT_PICOUSD,
                  .cached_picousd = SIM_INPUT_PICOUSD,
                  .output_picousd = SIM_OUTPUT_PICOUSD},
        .price_version = own_strdup("sim"),
    };
    struct config_route *route = &config->routes[0];
    route->models[route->model_count++] = model;
}

// A route of two: the second model is another provider's, with a key of its own.
static void add_second(struct schedule *schedule, struct config *config)
{
    struct world *world = &schedule->world;
    struct config_provider *provider = &config->providers[1];
    *provider = a_provider("other");
    provider->index = provider->first_key = 1;
    provider->keys = (struct config_keys){own_array(1, sizeof(struct config_key)), 1};
    provider->keys.items[0].name = own_strdup("b");
    provider->keys.items[0].key = own_strdup("b");
    config->provider_count = config->model_count = 2;
    make_model(config, 1, "second");
    config->worker.route_patience_ms = world_range(world, 0, 8000);
    if (world_chance(world, 500))
        schedule->provider.keys[world_range(world, 0, 1)].refused_with =
            world_chance(world, 500) ? 401 : 402;
}

static struct config *make_config(struct schedule *schedule)
{
    struct config *config = own_alloc(sizeof(*config));
    config->kafka.topic_jobs = own_strdup(SIM_TOPIC);
    config->kafka.topic_results = own_strdup("results");
    config->kafka.start = own_strdup("earliest");
    config->worker.in_flight = 12;
    config->worker.memory_bytes = 1 << 28;
    if (world_chance(&schedule->world, 850)) { // else nothing may be parked
        config->worker.park_rows = world_chance(&schedule->world, 200) ? 5 : 1000;
        config->worker.park_bytes = 1 << 28;
    }
    config->documents.max_bytes = 1 << 20;
    config->retry = (struct backoff){.attempts = 6,
                                     .base_ms = 500,
                                     .factor_milli = 2000,
                                     .max_ms = 60000,
                                     .jitter = BACKOFF_FULL,
                                     .doubtful = 2};
    config->providers = own_array(2, sizeof(*config->providers));
    config->provider_count = 1;
    config->providers[0] = a_provider("sim");
    make_keys(schedule, &config->providers[0]);
    config->models = own_array(2, sizeof(*config->models));
    config->model_count = 1;
    config->routes = own_array(1, sizeof(*config->routes));
    config->route_count = 1;
    config->routes[0].name = own_strdup("default");
    config->routes[0].models = own_array(2, sizeof(struct config_model *));
    make_model(config, 0, "sim");
    if (config->providers[0].keys.len == 1 && world_chance(&schedule->world, 400))
        add_second(schedule, config);
    return config;
}

// What a plain call of these schedules costs, roughly.
#define CALL_PICOUSD (INT64_C(700) * SIM_INPUT_PICOUSD + INT64_C(80) * SIM_OUTPUT_PICOUSD)

// Half of the schedules have budgets for some of their calls, one or several.
static void make_budgets(struct schedule *schedule)
{
    static const struct {
        enum budget_scope scope;
        const char *name;
    } scopes[] = {{BUDGET_TENANT, "default"},
                  {BUDGET_BATCH, "default/default"},
                  {BUDGET_PROVIDER, "sim"},
                  {BUDGET_KEY, "sim/a"},
                  {BUDGET_ALL, ""}};
    struct world *world = &schedule->world;
    schedule->db.unix_ms = SIM_START_UNIX_MS;
    if (world_chance(world, 300)) // a day ends among the faults
        schedule->db.unix_ms =
            budget_period_end_ms(BUDGET_DAY, SIM_START_UNIX_MS) - world_range(world, 1000, 50000);
    for (int i = 0; i < 3 && world_chance(world, 500); i++) {
        size_t which = (size_t)world_range(world, 0, 4);
        struct budget budget = {
            .scope = scopes[which].scope,
            .name = scopes[which].name,
            .period = (enum budget_period)world_range(world, 0, 2),
            .at_wall = world_chance(world, 200)   ? BUDGET_FAIL
                       : world_chance(world, 300) ? BUDGET_CHEAPER
                                                  : BUDGET_WAIT,
            .limit_picousd = world_range(world, 0, 30) * CALL_PICOUSD,
        };
        db_set_budget(&schedule->db, &budget, world->now_ms);
    }
}

// Raised at the end of faults, so that what waits can end.
static void raise_budgets(struct schedule *schedule)
{
    promise_budgets(schedule);
    for (size_t i = 0; i < schedule->db.budgets_count; i++) {
        struct budget budget = schedule->db.budgets[i];
        budget.limit_picousd = INT64_C(1000) * PICOUSD_PER_USD;
        db_set_budget(&schedule->db, &budget, schedule->world.now_ms);
    }
}

// Short documents share requests then.
static void make_requests_scarce(struct schedule *schedule)
{
    struct world *world = &schedule->world;
    struct config *config = schedule->config;
    config->models[0].rpm = world_range(world, 6, 120);
    config->models[0].context_tokens = 16000;
    config->models[0].max_output_tokens = 4000;
    config->packing.size = world_range(world, 2, 6);
    config->packing.tokens = 16000;
    config->packing.doubt_picousd = INT64_C(1000000000000);
    schedule->packs = true;
    if (world_chance(world, 300))
        schedule->share_cuts = world_chance(world, 500) ? 1000 : (int)world_range(world, 100, 700);
}

// ------------------------------------------------------------------------------- messages

static void add_text(struct buf *value, int content)
{
    int lines = content % 12 == 11 ? 160 : 3;
    for (int i = 0; i < lines; i++)
        buf_printf(value,
                   "Clause %d of %d. Party one serves party two, which pays one hundred; it ends "
                   "in May.\\n\\n",
                   i, content);
}

static void send_message(struct schedule *schedule, const struct sent_job *sent, const char *value)
{
    schedule->sent = own_grow(schedule->sent, schedule->sent_count + 1, sizeof(*schedule->sent));
    struct sent_job *kept = &schedule->sent[schedule->sent_count++];
    *kept = *sent;
    kept->place = schedule->broker.partitions[sent->partition].log_len;
    sim_broker_append(&schedule->broker, sent->partition, sent->id, value);
}

static void add_base64(struct buf *out, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += 3) {
        uint32_t bits = 0;
        size_t bytes = len - at < 3 ? len - at : 3;
        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < bytes ? (unsigned char)text[at + i] : 0);
        for (size_t i = 0; i <= bytes; i++)
            buf_add_char(out, digits[bits >> (18 - 6 * i) & 63]);
    }
}

// A document that an extractor has to read: with the message, in PostgreSQL, or in a file.
static void add_document(struct schedule *schedule, struct buf *value, const struct sent_job *sent)
{
    char document[80], sha256[65];
    static const char *const bad[] = {"scan", "locked"};
    snprintf(document, sizeof(document), "%s-%d",
             sent->unreadable ? bad[sent->content % 2] : "good", sent->content);
    switch (sent->content % 3) {
    case 0:
        buf_add_str(value, "\"media_type\":\"application/pdf\",\"data\":\"");
        add_base64(value, document);
        break;
    case 1:
        text_sha256_hex(document, strlen(document), sha256);
        db_add_document(&schedule->db, sha256, NULL, document, strlen(document), "application/pdf");
        buf_printf(value, "\"stored\":\"%s", sha256);
        break;
    default:
        buf_printf(value, "\"url\":\"file:///%s", document);
        break;
    }
}

// Now and then a job may not begin yet, for longer than the wait that parks it or for less.
static void add_times(struct schedule *schedule, struct buf *value)
{
    char text[TIME_TEXT_BYTES];
    int64_t now_ms = SIM_START_UNIX_MS + schedule->world.now_ms;
    if (world_chance(&schedule->world, 120))
        buf_printf(value, "\"not_before\":\"%s\",",
                   time_text_format(now_ms + world_range(&schedule->world, 0, 90000), text));
    if (world_chance(&schedule->world, 120))
        buf_printf(value, "\"deadline\":\"%s\",\"on_deadline\":\"%s\",",
                   time_text_format(now_ms + world_range(&schedule->world, 0, 120000), text),
                   world_chance(&schedule->world, 500) ? "late" : "fail");
    if (world_chance(&schedule->world, 100))
        buf_add_str(value, "\"after\":{\"batch\":\"" SIM_GATE "\"},");
}

static void send_job(struct schedule *schedule, const struct sent_job *sent)
{
    struct buf value;
    buf_init(&value, 0);
    buf_printf(&value,
               "{\"v\":1,\"id\":\"%s\",\"revision\":%d,\"kind\":\"summarize\",\"priority\":%d,",
               sent->id, (int)sent->revision, (int)world_range(&schedule->world, 0, 9));
    if (sent->fresh)
        buf_add_str(&value, "\"fresh\":true,");
    add_times(schedule, &value);
    buf_printf(&value, "\"document\":{\"name\":\"%s/%d\",", sent->id, (int)sent->revision);
    if (sent->foreign) {
        add_document(schedule, &value, sent);
    } else {
        buf_add_str(&value, "\"text\":\"");
        add_text(&value, sent->content);
    }
    buf_add_str(&value, "\"}}");
    send_message(schedule, sent, buf_str(&value));
    buf_deinit(&value);
}

// An earlier message again: the same job, another content, or a newer revision.
static void send_again(struct schedule *schedule)
{
    const struct sent_job *earlier =
        &schedule->sent[world_range(&schedule->world, 0, (int64_t)schedule->sent_count - 1)];
    struct sent_job sent = *earlier;
    if (!sent.is_job)
        return;
    sent.partition = (int)world_range(&schedule->world, 0, SIM_PARTITIONS - 1);
    int what = (int)world_range(&schedule->world, 0, 2);
    const char *value = schedule->broker.partitions[earlier->partition].log[earlier->place].value;
    if (what == 0) {
        char *copy = own_strdup(value);
        send_message(schedule, &sent, copy);
        free(copy);
        return;
    }
    sent.content += 1000;
    sent.revision += what - 1;
    send_job(schedule, &sent);
}

// Another job with the document of an earlier one.
static bool send_twin(struct schedule *schedule, int number)
{
    const struct sent_job *earlier =
        &schedule->sent[world_range(&schedule->world, 0, (int64_t)schedule->sent_count - 1)];
    struct sent_job sent = *earlier;
    if (!sent.is_job || strncmp(sent.id, "odd-", 4) == 0)
        return false;
    sent.partition = (int)world_range(&schedule->world, 0, SIM_PARTITIONS - 1);
    sent.revision = 0;
    sent.fresh = world_chance(&schedule->world, 150);
    snprintf(sent.id, sizeof(sent.id), "%s-%d", sent.unreadable ? "bad" : "job", number);
    send_job(schedule, &sent);
    return true;
}

static void send_odd(struct schedule *schedule, int number)
{
    static const char *const values[] = {NULL, "{", "{\"v\":1,\"kind\":\"summarize\",\"id\":\"x\"}",
                                         "[]", "{\"v\":9,\"kind\":\"summarize\"}"};
    struct sent_job sent = {.partition = (int)world_range(&schedule->world, 0, SIM_PARTITIONS - 1)};
    int which = (int)world_range(&schedule->world, 0, 4);
    snprintf(sent.id, sizeof(sent.id), "odd-%d", number);
    sent.is_job = which != 0; // a tombstone has no end; the others end as dead letters
    send_message(schedule, &sent, values[which]);
}

static void send_one(void *context, void *data)
{
    struct schedule *schedule = context;
    int number = *(int *)data;
    if (schedule->sent_count > 3 && world_chance(&schedule->world, 150)) {
        send_again(schedule);
        return;
    }
    if (schedule->sent_count > 3 && world_chance(&schedule->world, 300) &&
        send_twin(schedule, number))
        return;
    if (world_chance(&schedule->world, 60)) {
        send_odd(schedule, number);
        return;
    }
    struct sent_job sent = {.partition = (int)world_range(&schedule->world, 0, SIM_PARTITIONS - 1),
                            .is_job = true,
                            .content = number};
    sent.foreign = world_chance(&schedule->world, 350);
    sent.unreadable = sent.foreign && world_chance(&schedule->world, 200);
    snprintf(sent.id, sizeof(sent.id), "%s-%d", sent.unreadable ? "bad" : "job", number);
    send_job(schedule, &sent);
}

// The batch that others wait for has nothing in it, and ends when it is sealed.
static void seal_gate(void *context, void *data)
{
    (void)data;
    struct schedule *schedule = context;
    struct sent_job sent = {.partition = (int)world_range(&schedule->world, 0, SIM_PARTITIONS - 1)};
    snprintf(sent.id, sizeof(sent.id), "odd-seal");
    schedule->gate_opens = true;
    send_message(schedule, &sent,
                 "{\"v\":1,\"kind\":\"seal\",\"batch\":\"" SIM_GATE "\",\"total\":0}");
}

// ------------------------------------------------------------------------------- pauses

static const char *const pauses[][2] = {
    {"all", ""},
    {"tenant", "default"},
    {"batch", "default/default"},
    {"job", "default/default/job-3"},
    {"model", "sim"},
    {"key", "a"},
};
#define PAUSES (sizeof(pauses) / sizeof(pauses[0]))

static void resume(void *context, void *data)
{
    struct schedule *schedule = context;
    const char *const *which = pauses[*(int *)data];
    db_resume(&schedule->db, which[0], which[1], schedule->world.now_ms);
}

static void pause(void *context, void *data)
{
    struct schedule *schedule = context;
    const char *const *which = pauses[*(int *)data];
    if (!schedule->healed)
        db_pause(&schedule->db, which[0], which[1]);
}

// ------------------------------------------------------------------------------- faults

static void start_worker(void *context, void *data)
{
    (void)data;
    struct sim_worker *worker = context;
    if (!worker->alive && !worker->world->closing)
        sim_worker_start(worker);
}

static void restart_soon(struct schedule *schedule, struct sim_worker *worker)
{
    world_after(&schedule->world, world_range(&schedule->world, 100, 20000), start_worker, worker,
                NULL);
}

static void crash(void *context, void *data)
{
    struct schedule *schedule = context;
    struct sim_worker *worker = &schedule->workers[*(int *)data % SIM_WORKERS];
    if (!worker->alive)
        return;
    static const char *const points[] = {
        "parse",       "after_claim",   "after_intent",   "before_send",         "first_byte",
        "last_byte",   "before_record", "after_record",   "before_store_offset", "after_delivery",
        "after_fetch", "after_bury",    "before_extract", "after_extract",       "after_keep",
        "before_park", "after_park",    "after_reuse",
    };
    if (world_chance(&schedule->world, 600)) {
        size_t count = sizeof(points) / sizeof(points[0]);
        worker->die_at = points[world_range(&schedule->world, 0, (int64_t)count - 1)];
        worker->die_after = (int)world_range(&schedule->world, 0, 5);
    } else {
        sim_worker_kill(worker);
    }
    restart_soon(schedule, worker);
}

static void other_fault(void *context, void *data)
{
    struct schedule *schedule = context;
    struct world *world = &schedule->world;
    struct sim_worker *worker = &schedule->workers[*(int *)data % SIM_WORKERS];
    switch (world_range(world, 0, 6)) {
    case 0:
        sim_broker_rebalance(&schedule->broker, world_chance(world, 500));
        break;
    case 1:
        sim_broker_away(&schedule->broker, world_range(world, 10, 20000));
        break;
    case 2: // PostgreSQL away for everybody
        for (int w = 0; w < SIM_WORKERS; w++)
            if (schedule->workers[w].alive)
                sim_store_away(schedule->workers[w].store, world_range(world, 10, 25000));
        if (world_chance(world, 500))
            schedule->db.started_ms = world->now_ms;
        break;
    case 3: // one worker is cut off for longer than its lease
        if (worker->alive)
            sim_store_away(worker->store, world_range(world, 10000, 40000));
        break;
    case 4:
    case 5:
        if (worker->alive)
            sim_store_lose_answers(worker->store);
        break;
    case 6: // TERM
        sim_worker_drain(worker);
        restart_soon(schedule, worker);
        break;
    default:
        break;
    }
}

static void at(struct schedule *schedule, int64_t delay_ms, world_fn *fn, int number)
{
    int *data = own_alloc(sizeof(*data));
    *data = number;
    world_after(&schedule->world, delay_ms, fn, schedule, data);
}

// Somebody cancels a job, or all: with the calls that are under way, or without.
static void cancel(void *context, void *data)
{
    struct schedule *schedule = context;
    struct world *world = &schedule->world;
    char id[40];
    bool cut = world_chance(world, 500);
    snprintf(id, sizeof(id), "job-%d", *(int *)data);
    const char *whose = *(int *)data < 0 ? NULL : id;
    world_trace(world, "cancel %s%s", whose ? whose : "the batch", cut ? ", and its calls" : "");
    schedule->calls_cut += db_cancel(&schedule->db, whose, cut, world->now_ms);
}

static void cut_share(void *context, void *data)
{
    struct schedule *schedule = context;
    char id[40];
    snprintf(id, sizeof(id), "job-%d", *(int *)data);
    world_trace(&schedule->world, "cancel %s, and its shared call", id);
    schedule->calls_cut += db_cancel(&schedule->db, id, true, schedule->world.now_ms);
}

// A request for several documents is on its way: some or all of its jobs are cancelled.
static void on_packed(void *context, const char *request_id, const char *document)
{
    struct schedule *schedule = context;
    int number;
    promise_on_packed(schedule, request_id, document);
    if (world_chance(&schedule->world, schedule->share_cuts) &&
        sscanf(document, "job-%d", &number) == 1)
        at(schedule, world_range(&schedule->world, 0, 1500), cut_share, number);
}

static void heal(void *context, void *data)
{
    (void)data;
    struct schedule *schedule = context;
    schedule->healed = true;
    raise_budgets(schedule);
    for (size_t i = 0; i < PAUSES; i++)
        db_resume(&schedule->db, pauses[i][0], pauses[i][1], schedule->world.now_ms);
    schedule->provider.fault_per_thousand = 0;
    for (int k = 0; k < SIM_KEYS; k++)
        schedule->provider.keys[k].refused_with = 0;
    for (int w = 0; w < SIM_WORKERS; w++) {
        schedule->workers[w].die_at = NULL;
        schedule->workers[w].extract_faults = 0;
        if (schedule->workers[w].alive)
            sim_extractor_fault(schedule->workers[w].extractor, 0);
        if (!schedule->workers[w].alive)
            restart_soon(schedule, &schedule->workers[w]);
    }
}

// Restarts whoever ended by a drain or a point of death, as a service manager does.
static void watch(void *context, void *data)
{
    (void)data;
    struct schedule *schedule = context;
    if (schedule->world.closing)
        return;
    for (int w = 0; w < SIM_WORKERS; w++)
        if (!schedule->workers[w].alive)
            restart_soon(schedule, &schedule->workers[w]);
    world_after(&schedule->world, 30000, watch, schedule, NULL);
}

static void plan_cancels(struct schedule *schedule)
{
    struct world *world = &schedule->world;
    int jobs = world_chance(world, 400) ? (int)world_range(world, 1, 4) : 0;
    for (int i = 0; i < jobs; i++)
        at(schedule, world_range(world, 200, 40000), cancel, (int)world_range(world, 0, 30));
    if (world_chance(world, 80))
        at(schedule, world_range(world, 1000, 60000), cancel, -1);
}

// Users pause something now and then, and let it go on.
static void plan_pauses(struct schedule *schedule)
{
    struct world *world = &schedule->world;
    at(schedule, world_range(world, 0, FAULTS_END_MS), seal_gate, 0);
    while (world_chance(world, 300)) {
        int which = (int)world_range(world, 0, PAUSES - 1);
        int64_t at_ms = world_range(world, 0, 30000);
        at(schedule, at_ms, pause, which);
        at(schedule, at_ms + world_range(world, 100, 40000), resume, which);
    }
}

static void plan_faults(struct schedule *schedule)
{
    struct world *world = &schedule->world;
    schedule->provider.fault_per_thousand = (int)world_range(world, 0, 300);
    int crashes = (int)world_range(world, 1, 3);
    for (int i = 0; i < crashes; i++)
        at(schedule, world_range(world, 500, 30000), crash, (int)world_range(world, 0, 9));
    int others = (int)world_range(world, 3, 6);
    for (int i = 0; i < others; i++)
        at(schedule, world_range(world, 200, 30000), other_fault, (int)world_range(world, 0, 9));
    at(schedule, FAULTS_END_MS, heal, 0);
    at(schedule, FAULTS_END_MS + 100, watch, 0);
}

// ------------------------------------------------------------------------------- running

static bool is_over(const struct schedule *schedule)
{
    for (int w = 0; w < SIM_WORKERS; w++) {
        const struct sim_worker *worker = &schedule->workers[w];
        if (worker->alive && (!engine_is_empty(worker->engine) || !sim_store_idle(worker->store)))
            return false; // a late answer may still change the ledger
    }
    return schedule->healed && promises_all_ended(schedule) &&
           sim_broker_is_done(&schedule->broker);
}

bool schedule_run(struct schedule *schedule, uint64_t seed,
                  const struct schedule_switches *switches)
{
    *schedule = (struct schedule){.seed = seed};
    world_init(&schedule->world, seed);
    schedule->world.trace = switches->trace;
    db_init(&schedule->db, schedule->world.now_ms);
    schedule->db.switches = switches->db;
    sim_broker_init(&schedule->broker, &schedule->world);
    schedule->broker.no_watermark = switches->no_watermark;
    schedule->broker.on_commit = promise_on_commit;
    schedule->broker.context = schedule;
    sim_provider_init(&schedule->provider, &schedule->world);
    schedule->provider.on_request = promise_on_request;
    schedule->provider.on_packed = on_packed;
    schedule->provider.context = schedule;
    schedule->config = make_config(schedule);
    make_budgets(schedule);
    if (world_chance(&schedule->world, 200)) // the memory is what is short
        schedule->config->worker.memory_bytes = world_range(&schedule->world, 1 << 12, 1 << 17);
    if (world_chance(&schedule->world, 400))
        make_requests_scarce(schedule);
    int messages = (int)world_range(&schedule->world, LEAST_MESSAGES, LEAST_MESSAGES + 16);
    for (int i = 0; i < messages; i++)
        at(schedule, world_range(&schedule->world, 0, 20000), send_one, i);
    for (int w = 0; w < SIM_WORKERS; w++) {
        schedule->workers[w] =
            (struct sim_worker){.world = &schedule->world,
                                .db = &schedule->db,
                                .broker = &schedule->broker,
                                .provider = &schedule->provider,
                                .config = schedule->config,
                                .extract_faults = (int)world_range(&schedule->world, 0, 300),
                                .on_extract = promise_on_extract,
                                .watcher = schedule};
        sim_worker_start(&schedule->workers[w]);
    }
    plan_faults(schedule);
    plan_cancels(schedule);
    plan_pauses(schedule);
    while (!schedule->broken[0] && schedule->world.now_ms < LIMIT_MS && !is_over(schedule))
        if (!world_next(&schedule->world))
            break;
    if (!schedule->broken[0])
        promises_at_end(schedule);
    if (schedule->broken[0] && switches->trace)
        for (int w = 0; w < SIM_WORKERS; w++)
            sim_worker_dump(&schedule->workers[w]);
    schedule->hash = schedule->world.rng.state ^ schedule->world.events;
    return !schedule->broken[0];
}

void schedule_deinit(struct schedule *schedule)
{
    for (int w = 0; w < SIM_WORKERS; w++)
        sim_worker_kill(&schedule->workers[w]);
    // What is still on its way lets go of what it holds when it happens.
    schedule->world.closing = true;
    while (world_next(&schedule->world))
        continue;
    world_deinit(&schedule->world);
    sim_broker_deinit(&schedule->broker);
    sim_provider_deinit(&schedule->provider);
    db_deinit(&schedule->db);
    config_free(schedule->config);
    free(schedule->sent);
}
