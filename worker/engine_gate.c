// SPDX-License-Identifier: Apache-2.0
// Admission: a ready job waits here until its model's slots, its key and its pace let a call pass.
// Higher priorities first; within one, first come, first served.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

#define BURST_MS 2000

void gate_init(struct engine *engine)
{
    const struct config *config = engine->config;
    engine->gates = own_array(config->model_count, sizeof(struct gate));
    engine->keys = own_array(config->provider_count, sizeof(struct key_state));
    for (size_t i = 0; i < config->model_count; i++) {
        struct gate *gate = &engine->gates[i];
        for (int p = 0; p < PRIORITIES; p++)
            list_init(&gate->ready[p]);
        pace_init(&gate->requests, config->models[i].rpm, BURST_MS);
        pace_init(&gate->tokens, config->models[i].tpm, BURST_MS);
    }
}

void gate_deinit(struct engine *engine)
{
    free(engine->gates);
    free(engine->keys);
}

static void give_slot_back(struct engine *engine, struct job *job)
{
    struct key_state *state = &engine->keys[job->slot_model->provider_index];
    struct gate *gate = &engine->gates[job->slot_model->index];
    job->holds_slot = false;
    gate->in_flight--;
    if (job->call.has_answer && job->call.answer.usage.known) {
        const struct usage *usage = &job->call.answer.usage;
        pace_give_back(&gate->tokens,
                       job->reserved_tokens - usage->input_tokens - usage->output_tokens);
    }
    if (--state->in_flight == 0 && state->key.probing)
        key_probe_ended(&state->key);
}

// The key is refused: a 403 that a waiting job got was the key's, not the job's.
static void forgive(const struct engine *engine, struct job *job)
{
    if (!job->forbidden || engine->keys[job->plan.model->provider_index].key.cause != KEY_REFUSED)
        return;
    job->forbidden = false;
    job->failure = (struct failure){0};
}

void gate_update(struct engine *engine, struct job *job)
{
    bool wants = job->step == STEP_INTENT || job->step == STEP_CALL;
    if (job->holds_slot && !wants)
        give_slot_back(engine, job);
    if (job->in_queue.in != NULL || !job_is_ready(job, engine_now(engine)))
        return;
    forgive(engine, job);
    list_append(&engine->gates[job->plan.model->index].ready[job->spec->priority], &job->in_queue);
}

static struct job *first_ready(struct gate *gate)
{
    for (int p = PRIORITIES - 1; p >= 0; p--) {
        struct list_node *node = list_first(&gate->ready[p]);
        if (node)
            return list_item(node, struct job, in_queue);
    }
    return NULL;
}

static bool slots_left(const struct engine *engine, const struct config_model *model)
{
    const struct gate *gate = &engine->gates[model->index];
    return model->in_flight <= 0 || gate->in_flight < (size_t)model->in_flight;
}

static int64_t pace_wait(const struct gate *gate, int64_t now_ms)
{
    int64_t requests_ms = pace_wait_ms(&gate->requests, now_ms);
    int64_t tokens_ms = pace_wait_ms(&gate->tokens, now_ms);
    return requests_ms > tokens_ms ? requests_ms : tokens_ms;
}

static void admit(struct engine *engine, const struct config_model *model, struct job *job)
{
    struct gate *gate = &engine->gates[model->index];
    gate->in_flight++;
    engine->keys[model->provider_index].in_flight++;
    job->holds_slot = true;
    job->slot_model = model;
    int64_t now_ms = engine_now(engine);
    pace_take(&gate->requests, 1, now_ms);
    struct slot_id id = job->id;
    engine_step(engine, job, &(struct job_event){.kind = JOB_ADMITTED});
    job = slots_get(&engine->jobs, id);
    if (!job || !job->holds_slot) { // it failed before its call: the request was not used
        pace_give_back(&gate->requests, 1);
        return;
    }
    job->reserved_tokens = job->call.input_tokens_estimate + job->call.max_output_tokens;
    pace_take(&gate->tokens, job->reserved_tokens, now_ms);
}

static int64_t pump_model(struct engine *engine, const struct config_model *model)
{
    struct gate *gate = &engine->gates[model->index];
    struct key *key = &engine->keys[model->provider_index].key;
    struct job *job;
    while ((job = first_ready(gate))) {
        int64_t now_ms = engine_now(engine);
        if (!slots_left(engine, model))
            return INT64_MAX;
        if (!key_is_open(key, now_ms))
            return key->closed_until_ms > now_ms ? key->closed_until_ms : INT64_MAX;
        int64_t wait_ms = pace_wait(gate, now_ms);
        if (wait_ms > 0)
            return now_ms + wait_ms;
        if (!job->forbidden && !key_admit(key, now_ms))
            return INT64_MAX;
        admit(engine, model, job);
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

const char *gate_reason(const struct engine *engine, const struct job *job, int64_t *out_start_ms)
{
    int64_t now_ms = engine_now(engine);
    const struct config_model *model = job->plan.model;
    const struct key *key = &engine->keys[model->provider_index].key;
    const struct gate *gate = &engine->gates[model->index];
    *out_start_ms = 0;
    if (job->not_before_ms > now_ms) {
        *out_start_ms = job->not_before_ms;
        return job->call.last_attempt_no > 0 ? "retry" : "not_before";
    }
    if (!engine->store_up || !engine_lease_valid(engine))
        return "database";
    if (!key_is_open(key, now_ms)) {
        *out_start_ms = key->closed_until_ms;
        return "key_closed";
    }
    if (!slots_left(engine, model))
        return "slots";
    if (pace_wait_ms(&gate->tokens, now_ms) > pace_wait_ms(&gate->requests, now_ms))
        return "tokens";
    return pace_wait_ms(&gate->requests, now_ms) > 0 ? "requests" : "order";
}

// ------------------------------------------------------------------------------- keys

static struct slot_id check_owner(size_t provider_index)
{
    return (struct slot_id){UINT32_MAX, (uint32_t)provider_index + 1};
}

// GET /models with the key, once at a time: is it the key that is refused, or only the job?
static void start_check(struct engine *engine, const struct config_provider *provider)
{
    struct key_state *state = &engine->keys[provider->index];
    struct buf url, bearer;
    buf_init(&url, 0);
    buf_init(&bearer, 0);
    buf_printf(&url, "%s/models", provider->base_url);
    buf_printf(&bearer, "Bearer %s", provider->key ? provider->key : "");
    struct header header = {"Authorization", bearer.data, bearer.len};
    struct http_request request = {
        .owner = check_owner(provider->index),
        .serial = 1,
        .provider = provider,
        .url = buf_str(&url),
        .headers = &header,
        .header_count = provider->key ? 1 : 0,
    };
    state->checking = true;
    state->check_status = 0;
    state->check_until_ms = engine_now(engine) + provider->connect_ms + provider->first_byte_ms;
    engine->edges.http_ops->start(engine->edges.http, &request);
    buf_deinit(&url);
    buf_deinit(&bearer);
}

void gate_key_failed(struct engine *engine, struct job *job)
{
    const struct config_provider *provider = job->plan.model->provider;
    struct key_state *state = &engine->keys[provider->index];
    const struct failure *failure = &job->call.answer.failure;
    enum key_cause before = state->key.cause;
    bool ask = key_failed(&state->key, failure, &engine->config->retry, engine_now(engine),
                          engine->edges.random(engine->edges.world));
    if (ask && engine_now(engine) < state->good_until_ms)
        key_checked(&state->key, true, engine_now(engine)); // asked just now: it is the job
    else if (ask && !state->checking)
        start_check(engine, provider);
    if (before != state->key.cause)
        log_event(engine->options.log,
                  state->key.cause == KEY_THROTTLED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
                  "key_closed", LOG_TEXT("key", provider->key_name),
                  LOG_TEXT("cause", key_cause_name(state->key.cause)),
                  LOG_TEXT("error", failure->detail),
                  LOG_TEXT("suggestion", failure_suggestion(failure)),
                  LOG_NUMBER("closed_for_ms", state->key.closed_until_ms - engine_now(engine)));
}

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

void gate_key_succeeded(struct engine *engine, struct job *job)
{
    struct key_state *state = &engine->keys[job->plan.model->provider_index];
    enum key_cause before = state->key.cause;
    key_succeeded(&state->key);
    if (before != KEY_FINE && state->key.cause == KEY_FINE)
        log_event(engine->options.log, LOG_LEVEL_INFO, "key_open",
                  LOG_TEXT("key", job->plan.model->provider->key_name));
    measure_speed(engine, job);
    tell_oddities(engine, job);
}

static void forgive_list(const struct engine *engine, const struct list *list)
{
    for (struct list_node *node = list_first(list); node; node = list_next(list, node))
        forgive(engine, list_item(node, struct job, in_queue));
}

static void forgive_waiting(struct engine *engine, size_t provider_index)
{
    for (size_t i = 0; i < engine->config->model_count; i++)
        for (int p = 0; p < PRIORITIES; p++)
            if (engine->config->models[i].provider_index == provider_index)
                forgive_list(engine, &engine->gates[i].ready[p]);
}

static void end_check(struct engine *engine, size_t provider_index)
{
    struct key_state *state = &engine->keys[provider_index];
    state->checking = false;
    bool refused = state->check_status == 401 || state->check_status == 403;
    if (!refused && state->check_status != 0)
        state->good_until_ms = engine_now(engine) + KEY_GOOD_MS;
    key_checked(&state->key, !refused, engine_now(engine));
    forgive_waiting(engine, provider_index);
}

void gate_on_check(struct engine *engine, const struct http_event *event)
{
    if (event->kind == HTTP_STATUS)
        engine->keys[event->owner.generation - 1].check_status = event->status;
    if (event->kind == HTTP_END)
        end_check(engine, event->owner.generation - 1);
}

// A server that takes the question and never answers must not keep the key closed.
int64_t gate_limit_checks(struct engine *engine)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < engine->config->provider_count; i++) {
        const struct key_state *state = &engine->keys[i];
        if (state->checking && engine_now(engine) >= state->check_until_ms) {
            engine->edges.http_ops->cancel(engine->edges.http, check_owner(i), 1);
            end_check(engine, i);
        } else if (state->checking && state->check_until_ms < next_ms) {
            next_ms = state->check_until_ms;
        }
    }
    return next_ms;
}
