// SPDX-License-Identifier: Apache-2.0
// Admission: a ready job waits here until a key of its model's provider has room for a call. Who
// goes first is for core/order to say.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

#define CREDIT_SECONDS 10 // of the limit, that a tenant is let off at most

static void lanes_init(struct gate *gate, const struct config_model *model, int64_t ceiling)
{
    size_t count = model->provider->keys.len;
    gate->lanes = own_array(count, sizeof(struct lane));
    for (size_t i = 0; i < count; i++)
        quota_lane_init(&gate->lanes[i], model, i, ceiling);
}

void gate_init(struct engine *engine)
{
    const struct config *config = engine->config;
    engine->gates = own_array(config->model_count, sizeof(struct gate));
    keys_init(engine);
    for (size_t i = 0; i < config->model_count; i++) {
        struct gate *gate = &engine->gates[i];
        gate->order = order_new();
        calibrate_init(&gate->calibrate);
        lanes_init(gate, &config->models[i], config->worker.in_flight);
    }
}

void gate_deinit(struct engine *engine)
{
    for (size_t i = 0; i < engine->config->model_count; i++) {
        order_free(engine->gates[i].order);
        free(engine->gates[i].lanes);
    }
    free(engine->gates);
    quota_deinit(engine);
    keys_deinit(engine);
}

// ------------------------------------------------------------------------------- order

int64_t gate_weight(const struct engine *engine, const char *tenant)
{
    const struct config *config = engine->config;
    for (size_t i = 0; i < config->tenant_count; i++)
        if (strcmp(config->tenants[i].name, tenant) == 0)
            return config->tenants[i].weight;
    return 1;
}

// What the lane's limits bring the fleet in a minute, where calls are as they are now.
static int64_t tokens_a_minute(const struct gate *gate, const struct lane *lane)
{
    int64_t least = INT32_MAX;
    for (int d = 0; d < QUOTA_MINUTES; d++) {
        if (lane->rate[d] <= 0 || gate->usual[d] <= 0)
            continue;
        int64_t tokens = lane->rate[d] * gate->usual[QUOTA_TOKENS] / gate->usual[d];
        least = tokens < least ? tokens : least;
    }
    return least;
}

// It is let off in each worker that it comes to, so each lets off a part of it.
int64_t gate_credit(const struct engine *engine, size_t model)
{
    const struct gate *gate = &engine->gates[model];
    int64_t tokens = 0, askers = 1;
    for (size_t i = 0; i < engine->config->models[model].provider->keys.len; i++) {
        const struct lane *lane = &gate->lanes[i];
        tokens += tokens_a_minute(gate, lane) / (60 / CREDIT_SECONDS);
        askers = lane->askers > askers ? lane->askers : askers;
    }
    return tokens / askers < ORDER_CREDIT_TOKENS ? tokens / askers : ORDER_CREDIT_TOKENS;
}

static void queue(struct engine *engine, struct job *job)
{
    const struct job_spec *spec = job->spec;
    int64_t need[QUOTA_DIMENSIONS]; // as learned; the bound of a short answer is many times more
    gate_need(engine, job, need);
    const struct order_ask ask = {
        .tenant = spec->tenant,
        .weight = gate_weight(engine, spec->tenant),
        .priority = spec->priority,
        .deadline_ms = spec->deadline_ms,
        .tokens = need[QUOTA_TOKENS],
        .came = job->came,
        .prefix = job_prefix(job),
    };
    order_set_credit(engine->gates[job->plan.model->index].order,
                     gate_credit(engine, job->plan.model->index));
    order_push(engine->gates[job->plan.model->index].order, &job->in_order, &ask);
    quota_wanted(engine, job);
}

// The tenant was charged what the call was thought to need.
static void correct_charge(struct engine *engine, const struct job *job)
{
    const struct model_answer *answer = &job->call.answer;
    if (!job->call.has_answer || (!answer->usage.known && answer->failure.doubtful))
        return; // nobody knows: the estimate stands
    int64_t used =
        answer->usage.known ? answer->usage.input_tokens + answer->usage.output_tokens : 0;
    order_charge(engine->gates[job->slot_model->index].order, job->spec->tenant,
                 used - job->charged_tokens);
    parking_served(engine, job->spec->tenant, used - job->charged_tokens);
}

static void give_slot_back(struct engine *engine, struct job *job)
{
    correct_charge(engine, job);
    job->holds_slot = false;
    quota_settle(engine, job);
}

// The key is refused: a 403 that a waiting job got was the key's, not the job's.
static void forgive(const struct engine *engine, struct job *job)
{
    if (!job->forbidden || keys_of_job(engine, job)->key.cause != KEY_REFUSED)
        return;
    job->forbidden = false;
    job->failure = (struct failure){0};
}

// Its key is asked whether it or the job is refused: the job waits for the answer outside the
// queue, where other keys' jobs pass.
static bool is_in_question(const struct engine *engine, const struct job *job)
{
    return job->forbidden && keys_of_job(engine, job)->key.cause == KEY_DOUBTED;
}

void gate_update(struct engine *engine, struct job *job)
{
    bool wants = job->step == STEP_INTENT || job->step == STEP_CALL || packs_keeps_slot(job);
    if (job->holds_slot && !wants)
        give_slot_back(engine, job);
    if (job->in_order.in && parking_is_paused(engine, job))
        order_remove(&job->in_order);
    if (job->in_order.in != NULL || !job_is_ready(job, engine_now(engine)) ||
        is_in_question(engine, job) || parking_is_paused(engine, job))
        return;
    forgive(engine, job);
    queue(engine, job);
}

static struct job *first_ready(struct gate *gate)
{
    struct order_entry *entry = order_first(gate->order);
    return entry ? list_item(entry, struct job, in_order) : NULL;
}

size_t gate_ready(struct gate *gate, struct job **out_first)
{
    *out_first = first_ready(gate);
    return order_len(gate->order);
}

static void admit(struct engine *engine, const struct config_model *model, struct job *job,
                  size_t key)
{
    job->holds_slot = true;
    job->slot_model = model;
    job->charged_tokens = job->in_order.tokens;
    order_take(&job->in_order);
    job->key = key;
    quota_reserve(engine, job, &engine->gates[model->index].lanes[key]);
    struct slot_id id = job->id;
    packs_form(engine, job);
    engine->parking.begun++;
    parking_served(engine, job->spec->tenant, job->charged_tokens);
    engine_step(engine, job, &(struct job_event){.kind = JOB_ADMITTED});
    job = slots_get(&engine->jobs, id);
    if (job && job->holds_slot)
        quota_prepared(engine, job);
}

static int64_t pump_model(struct engine *engine, const struct config_model *model)
{
    struct gate *gate = &engine->gates[model->index];
    struct job *job;
    while ((job = first_ready(gate))) {
        int64_t next_ms;
        if (job->forbidden) { // it only fails, with what its own key said
            engine_step(engine, job, &(struct job_event){.kind = JOB_ADMITTED});
            continue;
        }
        int64_t need[QUOTA_DIMENSIONS];
        gate_need(engine, job, need);
        size_t key = keys_choose(engine, model, need, &next_ms);
        if (key == KEYS_NONE)
            return next_ms;
        admit(engine, model, job, key);
    }
    return INT64_MAX;
}

int64_t gate_pump(struct engine *engine)
{
    if (!engine->store_up || !engine_lease_valid(engine))
        return INT64_MAX; // renewing is what is waited for
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < engine->config->model_count; i++) {
        int64_t at_ms = pump_model(engine, &engine->config->models[i]);
        if (at_ms < next_ms)
            next_ms = at_ms;
    }
    return next_ms;
}

void gate_budget_changed(struct engine *engine)
{
    struct list *waiting = &engine->steps[STEP_ADMIT];
    for (struct list_node *node = list_first(waiting); node; node = list_next(waiting, node)) {
        struct job *job = engine_job_of(node);
        if (!job->walled)
            continue;
        job->not_before_ms = engine_now(engine);
        gate_update(engine, job);
    }
}

const char *gate_reason(const struct engine *engine, const struct job *job, int64_t *out_start_ms)
{
    int64_t now_ms = engine_now(engine);
    *out_start_ms = 0;
    if (job->not_before_ms > now_ms && job->walled) {
        // When it looks again says nothing; what is known is when the next period begins.
        if (job->wall_ends_ms != INT64_MAX)
            *out_start_ms = job->wall_ends_ms - engine->db_offset_ms;
        return "budget";
    }
    if (job->not_before_ms > now_ms) {
        *out_start_ms = job->not_before_ms;
        return job->call.last_attempt_no > 0 ? "retry" : "not_before";
    }
    if (parking_is_paused(engine, job))
        return "paused";
    if (!engine->store_up || !engine_lease_valid(engine))
        return "database";
    if (is_in_question(engine, job))
        return "key_closed";
    struct job *first; // what it waits for is what those behind it wait for
    int64_t need[QUOTA_DIMENSIONS];
    if (gate_ready(&engine->gates[job->plan.model->index], &first) == 0)
        return "order";
    gate_need(engine, first, need);
    const char *reason = keys_reason(engine, job->plan.model, need, out_start_ms);
    return reason ? reason : "order";
}

// ------------------------------------------------------------------------------- answers

static void measure_speed(struct engine *engine, const struct job *job)
{
    struct gate *gate = &engine->gates[job->plan.model->index];
    const struct model_answer *answer = &job->call.answer;
    int64_t took_ms = engine_now(engine) - job->call.begun_ms;
    if (!answer->usage.known || answer->usage.output_tokens < 20 || took_ms <= 0)
        return;
    int64_t speed = answer->usage.output_tokens * 1000 / took_ms;
    if (speed < 1)
        speed = 1;
    gate->tokens_per_second =
        gate->tokens_per_second ? (gate->tokens_per_second * 7 + speed) / 8 : speed;
}

// Answers that make the bill uncertain: told once for each model, since all of its answers may be
// so.
static void tell_oddities(struct engine *engine, const struct job *job)
{
    const struct config_model *model = job->plan.model;
    struct gate *gate = &engine->gates[model->index];
    const struct model_answer *answer = &job->call.answer;
    if (answer->usage_alarm && !gate->told_usage) {
        gate->told_usage = true;
        log_event(engine->options.log, LOG_LEVEL_ERROR, "usage_contradicts_itself",
                  LOG_TEXT("model", model->name), LOG_TEXT("job", job->spec->id),
                  LOG_TEXT("suggestion", "costs of such answers are estimates; compare them with "
                                         "the provider's bill"));
    }
    if (answer->model_alarm && !gate->told_model) {
        gate->told_model = true;
        log_event(engine->options.log, LOG_LEVEL_ERROR, "answer_of_another_model",
                  LOG_TEXT("model", model->name), LOG_TEXT("answered", answer->response_model),
                  LOG_TEXT("job", job->spec->id),
                  LOG_TEXT("suggestion", "costs are booked at the asked model's price; check "
                                         "`model` and `price` in the configuration"));
    }
}

void gate_answered(struct engine *engine, const struct job *job)
{
    measure_speed(engine, job);
    tell_oddities(engine, job);
    quota_answered(engine, job);
}
