// SPDX-License-Identifier: Apache-2.0
// Keys: which one a call goes with, and what answers say of it.
//
// Each key is open or closed by itself: a 429, 401, 402 or 403 stops the calls of that key and of
// no other. Within an open key every model has a lane of its own, since providers count requests
// and tokens for each key and model. A call takes the lane with most room left, measured in time,
// so that a key with twice the limit gets twice the calls.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

void keys_init(struct engine *engine)
{
    const struct config *config = engine->config;
    for (size_t i = 0; i < config->provider_count; i++)
        engine->key_count += config->providers[i].keys.len;
    engine->keys = own_array(engine->key_count, sizeof(struct key_state));
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        for (size_t k = 0; k < provider->keys.len; k++)
            engine->keys[provider->first_key + k] =
                (struct key_state){.provider = provider, .config = &provider->keys.items[k]};
    }
}

void keys_deinit(struct engine *engine)
{
    free(engine->keys);
}

struct key_state *keys_of_job(const struct engine *engine, const struct job *job)
{
    return &engine->keys[job->plan.model->provider->first_key + job->key];
}

// ------------------------------------------------------------------------------- choosing

static bool has_slot(const struct lane *lane)
{
    return lane->in_flight_most == 0 || lane->in_flight < lane->in_flight_most;
}

static int64_t pace_wait(const struct lane *lane, int64_t now_ms)
{
    int64_t requests_ms = pace_wait_ms(&lane->requests, now_ms);
    int64_t tokens_ms = pace_wait_ms(&lane->tokens, now_ms);
    return requests_ms > tokens_ms ? requests_ms : tokens_ms;
}

// 0: a call may go; INT64_MAX: not before something happens.
static int64_t opens_ms(const struct lane *lane, const struct key *key, int64_t now_ms)
{
    if (!has_slot(lane))
        return INT64_MAX;
    if (!key_is_open(key, now_ms))
        return key->closed_until_ms > now_ms ? key->closed_until_ms : INT64_MAX;
    int64_t wait_ms = pace_wait(lane, now_ms);
    return wait_ms > 0 ? now_ms + wait_ms : 0;
}

static int64_t room_us(const struct lane *lane, int64_t now_ms)
{
    int64_t requests_us = pace_room_us(&lane->requests, now_ms);
    int64_t tokens_us = pace_room_us(&lane->tokens, now_ms);
    return requests_us < tokens_us ? requests_us : tokens_us;
}

static size_t free_slots(const struct lane *lane)
{
    return (lane->in_flight_most ? lane->in_flight_most : SIZE_MAX) - lane->in_flight;
}

// Where the paces are equal, free slots decide; where they are too, whose turn it is.
static bool has_more_room(const struct lane *lane, const struct lane *other, int64_t now_ms)
{
    int64_t room = room_us(lane, now_ms), others = room_us(other, now_ms);
    if (room != others)
        return room > others;
    if (free_slots(lane) != free_slots(other))
        return free_slots(lane) > free_slots(other);
    return lane->taken < other->taken;
}

size_t keys_choose(const struct engine *engine, const struct config_model *model,
                   int64_t *out_next_ms)
{
    const struct gate *gate = &engine->gates[model->index];
    int64_t now_ms = engine_now(engine);
    size_t best = KEYS_NONE;
    *out_next_ms = INT64_MAX;
    for (size_t i = 0; i < model->provider->keys.len; i++) {
        const struct key *key = &engine->keys[model->provider->first_key + i].key;
        int64_t at_ms = opens_ms(&gate->lanes[i], key, now_ms);
        if (at_ms > 0 && at_ms < *out_next_ms)
            *out_next_ms = at_ms;
        if (at_ms > 0)
            continue;
        if (key->cause != KEY_FINE)
            return i; // one call tries it, or it would stay closed while others have room
        if (best == KEYS_NONE || has_more_room(&gate->lanes[i], &gate->lanes[best], now_ms))
            best = i;
    }
    return best;
}

// Of the open keys with a slot, the one that waits least says for what.
static const char *pace_reason(const struct lane *lane, int64_t now_ms)
{
    if (pace_wait(lane, now_ms) == 0)
        return NULL;
    bool tokens = pace_wait_ms(&lane->tokens, now_ms) > pace_wait_ms(&lane->requests, now_ms);
    return tokens ? "tokens" : "requests";
}

const char *keys_reason(const struct engine *engine, const struct config_model *model,
                        int64_t *out_start_ms)
{
    const struct gate *gate = &engine->gates[model->index];
    const struct lane *least = NULL;
    int64_t now_ms = engine_now(engine), opens = INT64_MAX;
    bool any_open = false;
    for (size_t i = 0; i < model->provider->keys.len; i++) {
        const struct lane *lane = &gate->lanes[i];
        const struct key *key = &engine->keys[model->provider->first_key + i].key;
        bool open = key_is_open(key, now_ms);
        any_open = any_open || open;
        if (!open && key->closed_until_ms < opens)
            opens = key->closed_until_ms;
        if (open && has_slot(lane) &&
            (!least || pace_wait(lane, now_ms) < pace_wait(least, now_ms)))
            least = lane;
    }
    if (!any_open) {
        *out_start_ms = opens;
        return "key_closed";
    }
    return least ? pace_reason(least, now_ms) : "slots";
}

// ------------------------------------------------------------------------------- asking

// Questions about keys have owners that no job has.
static struct slot_id check_owner(const struct engine *engine, const struct key_state *state)
{
    return (struct slot_id){UINT32_MAX, (uint32_t)(state - engine->keys) + 1};
}

// GET /models with the key, once at a time: is it the key that is refused, or only the job?
static void start_check(struct engine *engine, struct key_state *state)
{
    const struct config_provider *provider = state->provider;
    const char *secret = state->config->key;
    struct buf url, bearer;
    buf_init(&url, 0);
    buf_init(&bearer, 0);
    buf_printf(&url, "%s/models", provider->base_url);
    buf_printf(&bearer, "Bearer %s", secret ? secret : "");
    struct header header = {"Authorization", bearer.data, bearer.len};
    struct http_request request = {
        .owner = check_owner(engine, state),
        .serial = 1,
        .provider = provider,
        .url = buf_str(&url),
        .headers = &header,
        .header_count = secret ? 1 : 0,
    };
    state->checking = true;
    state->check_status = 0;
    state->check_until_ms = engine_now(engine) + provider->connect_ms + provider->first_byte_ms;
    engine->edges.http_ops->start(engine->edges.http, &request);
    buf_deinit(&url);
    buf_deinit(&bearer);
}

// Jobs that got a 403 with this key go back into their queues, to fail or to be forgiven.
static void settle_forbidden(struct engine *engine, const struct key_state *state)
{
    struct list *waiting = &engine->steps[STEP_ADMIT];
    for (struct list_node *node = list_first(waiting); node; node = list_next(waiting, node)) {
        struct job *job = engine_job_of(node);
        if (job->forbidden && keys_of_job(engine, job) == state)
            gate_update(engine, job);
    }
}

static void end_check(struct engine *engine, struct key_state *state)
{
    state->checking = false;
    bool refused = state->check_status == 401 || state->check_status == 403;
    if (!refused && state->check_status != 0)
        state->good_until_ms = engine_now(engine) + KEY_GOOD_MS;
    key_checked(&state->key, !refused, engine_now(engine));
    settle_forbidden(engine, state);
}

void keys_on_check(struct engine *engine, const struct http_event *event)
{
    struct key_state *state = &engine->keys[event->owner.generation - 1];
    if (event->kind == HTTP_STATUS)
        state->check_status = event->status;
    if (event->kind == HTTP_END)
        end_check(engine, state);
}

// A server that takes the question and never answers must not keep the key closed.
int64_t keys_limit_checks(struct engine *engine)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < engine->key_count; i++) {
        struct key_state *state = &engine->keys[i];
        if (state->checking && engine_now(engine) >= state->check_until_ms) {
            engine->edges.http_ops->cancel(engine->edges.http, check_owner(engine, state), 1);
            end_check(engine, state);
        } else if (state->checking && state->check_until_ms < next_ms) {
            next_ms = state->check_until_ms;
        }
    }
    return next_ms;
}

// ------------------------------------------------------------------------------- answers

void keys_failed(struct engine *engine, struct job *job)
{
    struct key_state *state = keys_of_job(engine, job);
    const struct failure *failure = &job->call.answer.failure;
    enum key_cause before = state->key.cause;
    bool ask = key_failed(&state->key, failure, &engine->config->retry, engine_now(engine),
                          engine->edges.random(engine->edges.world));
    if (ask && engine_now(engine) < state->good_until_ms)
        key_checked(&state->key, true, engine_now(engine)); // asked just now: it is the job
    else if (ask && !state->checking)
        start_check(engine, state);
    if (before != state->key.cause)
        log_event(engine->options.log,
                  state->key.cause == KEY_THROTTLED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
                  "key_closed", LOG_TEXT("key", state->config->name),
                  LOG_TEXT("cause", key_cause_name(state->key.cause)),
                  LOG_TEXT("error", failure->detail),
                  LOG_TEXT("suggestion", failure_suggestion(failure)),
                  LOG_NUMBER("closed_for_ms", state->key.closed_until_ms - engine_now(engine)));
}

void keys_succeeded(struct engine *engine, struct job *job)
{
    struct key_state *state = keys_of_job(engine, job);
    enum key_cause before = state->key.cause;
    key_succeeded(&state->key);
    if (before != KEY_FINE && state->key.cause == KEY_FINE)
        log_event(engine->options.log, LOG_LEVEL_INFO, "key_open",
                  LOG_TEXT("key", state->config->name));
}

// ------------------------------------------------------------------------------- outside

void engine_key_changed(struct engine *engine, size_t key)
{
    engine->keys[key].good_until_ms = 0;
    key_reopen(&engine->keys[key].key);
}

void engine_keys_reread(struct engine *engine)
{
    for (size_t i = 0; i < engine->key_count; i++)
        engine_key_changed(engine, i);
}

bool engine_key_is_refused(const struct engine *engine)
{
    for (size_t i = 0; i < engine->key_count; i++)
        if (engine->keys[i].key.cause == KEY_REFUSED)
            return true;
    return false;
}
