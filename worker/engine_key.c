// SPDX-License-Identifier: Apache-2.0
// Keys: which one a call goes with, and what answers say of it.
//
// Each key is open or closed by itself, for the whole fleet: a 429, 401, 402 or 403 stops the calls
// of that key and of no other, here at once, elsewhere as soon as the store has told. When its time
// is over, the store lets one worker send one call, and a 200 opens it for all. Within an open key
// every model has a lane of its own, since providers count requests and tokens for each key and
// model; a model that only fails there has a breaker. A call takes the lane with most room left,
// measured in time, so that a key with twice the limit gets twice the calls.
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

static struct key_state *state_of(const struct engine *engine, const struct lane *lane)
{
    return &engine->keys[lane->model->provider->first_key + lane->key];
}

static bool is_open(const struct engine *engine, const struct lane *lane)
{
    return !lane->broken && state_of(engine, lane)->key.cause == KEY_FINE;
}

static int64_t closed_until_ms(const struct engine *engine, const struct lane *lane)
{
    int64_t until_ms = state_of(engine, lane)->key.closed_until_ms;
    return lane->broken && lane->broken_until_ms > until_ms ? lane->broken_until_ms : until_ms;
}

// Whether a call may go now, as far as the key is concerned: the probe is the fleet's to give.
static bool lets_pass(const struct engine *engine, const struct lane *lane)
{
    return is_open(engine, lane) ||
           (lane->may_probe && state_of(engine, lane)->key.cause != KEY_DOUBTED);
}

// 0: a call may go; INT64_MAX: not before something happens.
static int64_t opens_ms(const struct engine *engine, const struct lane *lane,
                        const int64_t need[QUOTA_DIMENSIONS], int64_t now_ms)
{
    enum quota_dimension lacks;
    if (!lets_pass(engine, lane) || !lane_has_slot(lane) ||
        parking_is_key_paused(engine, state_of(engine, lane)->config->name))
        return INT64_MAX;
    int64_t wait_ms = lane_wait_ms(lane, need, now_ms, &lacks);
    return wait_ms == 0 || wait_ms == INT64_MAX ? wait_ms : now_ms + wait_ms;
}

static size_t free_slots(const struct lane *lane)
{
    return (lane->slots == INT64_MAX ? SIZE_MAX : (size_t)lane->slots) - lane->in_flight;
}

// Where the grants last equally long, free slots decide; where they are equal too, whose turn it
// is.
static bool has_more_room(const struct lane *lane, const struct lane *other, int64_t now_ms)
{
    int64_t room = lane_room_ms(lane, now_ms), others = lane_room_ms(other, now_ms);
    if (room != others)
        return room > others;
    if (free_slots(lane) != free_slots(other))
        return free_slots(lane) > free_slots(other);
    return lane->taken < other->taken;
}

size_t keys_choose(const struct engine *engine, const struct config_model *model,
                   const int64_t need[QUOTA_DIMENSIONS], int64_t *out_next_ms)
{
    const struct gate *gate = &engine->gates[model->index];
    int64_t now_ms = engine_now(engine);
    size_t best = KEYS_NONE;
    *out_next_ms = INT64_MAX;
    for (size_t i = 0; i < model->provider->keys.len; i++) {
        const struct lane *lane = &gate->lanes[i];
        int64_t at_ms = opens_ms(engine, lane, need, now_ms);
        if (at_ms > 0 && at_ms < *out_next_ms)
            *out_next_ms = at_ms;
        if (at_ms > 0)
            continue;
        if (!is_open(engine, lane))
            return i; // one call tries it, or it would stay closed while others have room
        if (best == KEYS_NONE || has_more_room(lane, &gate->lanes[best], now_ms))
            best = i;
    }
    return best;
}

static const char *name_of_short(enum quota_dimension dimension)
{
    return dimension == QUOTA_REQUESTS || dimension == QUOTA_REQUESTS_DAY ? "requests" : "tokens";
}

// What an open lane is short of, and until when, as far as that is known. NULL: of nothing.
static const char *lane_reason(const struct lane *lane, const int64_t need[QUOTA_DIMENSIONS],
                               int64_t now_ms, int64_t *out_start_ms)
{
    enum quota_dimension lacks;
    int64_t wait_ms = lane_wait_ms(lane, need, now_ms, &lacks);
    if (lane->known && wait_ms != 0) {
        bool told = wait_ms == INT64_MAX && lane->wait_until_ms > now_ms;
        *out_start_ms = told ? lane->wait_until_ms : now_ms + (wait_ms == INT64_MAX ? 1 : wait_ms);
        return name_of_short(told ? lane->short_of : lacks);
    }
    return lane->known && !lane_has_slot(lane) ? "slots" : NULL;
}

const char *keys_reason(const struct engine *engine, const struct config_model *model,
                        const int64_t need[QUOTA_DIMENSIONS], int64_t *out_start_ms)
{
    const struct gate *gate = &engine->gates[model->index];
    const char *open_reason = NULL, *closed_reason = NULL;
    int64_t now_ms = engine_now(engine), opens = INT64_MAX, starts = INT64_MAX;
    for (size_t i = 0; i < model->provider->keys.len; i++) {
        const struct lane *lane = &gate->lanes[i];
        if (!is_open(engine, lane)) {
            bool key = state_of(engine, lane)->key.cause != KEY_FINE;
            if (!closed_reason || closed_until_ms(engine, lane) < opens) {
                opens = closed_until_ms(engine, lane);
                closed_reason = key ? "key_closed" : "breaker";
            }
            continue;
        }
        int64_t start_ms = 0;
        const char *reason = lane_reason(lane, need, now_ms, &start_ms);
        if (!reason)
            return NULL;
        if (!open_reason || start_ms < starts) { // the one that waits least says for what
            open_reason = reason;
            starts = start_ms;
        }
    }
    *out_start_ms = open_reason ? starts : opens;
    return open_reason ? open_reason : closed_reason;
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

// The lanes of all models with that key.
static void ask_of_key(struct engine *engine, const struct key_state *state)
{
    size_t place = (size_t)(state - engine->keys) - state->provider->first_key;
    for (size_t i = 0; i < engine->config->model_count; i++)
        if (engine->config->models[i].provider == state->provider)
            engine->gates[i].lanes[place].urgent = true;
}

static void end_check(struct engine *engine, struct key_state *state)
{
    state->checking = false;
    bool refused = state->check_status == 401 || state->check_status == 403;
    if (!refused && state->check_status != 0)
        state->good_until_ms = engine_now(engine) + KEY_GOOD_MS;
    key_checked(&state->key, !refused, engine_now(engine));
    if (state->key.cause == KEY_REFUSED) {
        state->untold = true;
        ask_of_key(engine, state);
    }
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

// ------------------------------------------------------------------------------- outlook

static const char *cause_in_words(enum key_cause cause)
{
    switch (cause) {
    case KEY_THROTTLED:
        return "its key is closed by the provider's limit";
    case KEY_REFUSED:
        return "its key is refused";
    case KEY_EXHAUSTED:
        return "its key has no money left";
    case KEY_DOUBTED:
        return "its key is in question";
    case KEY_BROKEN:
        return "its calls fail again and again";
    case KEY_FINE:
        break;
    }
    return "its key is closed";
}

// The key that opens first speaks for the model.
void keys_outlook(const struct engine *engine, const struct config_model *model,
                  struct model_outlook *out)
{
    int64_t now_ms = engine_now(engine);
    *out = (struct model_outlook){.closed_ms = INT64_MAX, .why = "it has no key"};
    for (size_t k = 0; k < model->provider->keys.len; k++) {
        const struct lane *lane = &engine->gates[model->index].lanes[k];
        enum key_cause cause = lane->broken ? KEY_BROKEN : state_of(engine, lane)->key.cause;
        int64_t closed_ms = is_open(engine, lane) ? 0 : closed_until_ms(engine, lane) - now_ms;
        // Once its time has come a call has to try it, so that it is known to be open.
        if (closed_ms < 0)
            closed_ms = 0;
        if (closed_ms < out->closed_ms)
            *out = (struct model_outlook){closed_ms, cause_in_words(cause)};
    }
}

// ------------------------------------------------------------------------------- answers

static struct lane *lane_of_job(const struct engine *engine, const struct job *job)
{
    return &engine->gates[job->plan.model->index].lanes[job->key];
}

// The fleet has to be told what happened to the key, with the lane's next ask.
static void tell_closed(struct key_state *state, struct lane *lane)
{
    state->untold = state->key.cause != KEY_FINE && state->key.cause != KEY_DOUBTED;
    lane->urgent = lane->urgent || state->untold;
}

static void end_probe(struct key_state *state, struct lane *lane, struct job *job,
                      enum quota_probe how)
{
    if (!job->probes)
        return;
    job->probes = lane->probing = false;
    lane->probe = how;
    lane->urgent = true;
    key_probe_ended(&state->key);
}

static void log_closed(const struct engine *engine, const struct key_state *state,
                       const struct failure *failure)
{
    log_event(
        engine->options.log, state->key.cause == KEY_THROTTLED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
        "key_closed", LOG_TEXT("key", state->config->name),
        LOG_TEXT("cause", key_cause_name(state->key.cause)), LOG_TEXT("error", failure->detail),
        LOG_TEXT("suggestion", failure_suggestion(failure)),
        LOG_NUMBER("closed_for_ms", state->key.closed_until_ms - engine_now(engine)));
}

// Where no limit is known, a refusal now and then is how it is felt for: fewer calls at once answer
// it. The key closes for one that names a time, or that shows that there is more to it.
static bool is_mild(struct lane *lane, const struct job *job, int64_t now_ms)
{
    const struct failure *failure = &job->call.answer.failure;
    if (!lane->adapts || err_class(failure->code) != ERR_CLASS_THROTTLED)
        return false;
    bool mild = adapt_failed(&lane->adapt, job->call.begun_ms, now_ms);
    return mild && failure->retry_after_ms < 0 && !job->probes;
}

void keys_failed(struct engine *engine, struct job *job)
{
    struct key_state *state = keys_of_job(engine, job);
    struct lane *lane = lane_of_job(engine, job);
    const struct failure *failure = &job->call.answer.failure;
    enum key_cause before = state->key.cause;
    int64_t now_ms = engine_now(engine);
    if (is_mild(lane, job, now_ms)) {
        quota_answered(engine, job);
        return;
    }
    bool ask = key_failed(&state->key, failure, &engine->config->retry, now_ms,
                          engine->edges.random(engine->edges.world));
    if (ask && now_ms < state->good_until_ms)
        key_checked(&state->key, true, now_ms); // asked just now: it is the job
    else if (ask && !state->checking)
        start_check(engine, state);
    if (err_class(failure->code) == ERR_CLASS_THROTTLED) {
        lane->refusals++;
        throttle_refused(&lane->throttle);
    }
    bool closed = failure->code != ERR_FORBIDDEN || state->key.cause == KEY_REFUSED;
    end_probe(state, lane, job, closed ? QUOTA_PROBE_FAILED : QUOTA_PROBE_ENDED);
    if (closed)
        tell_closed(state, lane);
    quota_answered(engine, job);
    if (before != state->key.cause)
        log_closed(engine, state, failure);
}

static void log_open(const struct engine *engine, const struct key_state *state,
                     enum key_cause before)
{
    if (before != KEY_FINE && state->key.cause == KEY_FINE)
        log_event(engine->options.log, LOG_LEVEL_INFO, "key_open",
                  LOG_TEXT("key", state->config->name));
}

void keys_probe_answered(struct engine *engine, struct job *job)
{
    struct key_state *state = keys_of_job(engine, job);
    struct lane *lane = lane_of_job(engine, job);
    enum key_cause before = state->key.cause;
    if (state->key.cause != KEY_FINE)
        state->key.probing = true; // its success opens the key
    key_succeeded(&state->key);
    lane->broken = false;
    breaker_succeeded(&lane->breaker);
    end_probe(state, lane, job, QUOTA_PROBE_OK);
    log_open(engine, state, before);
}

void keys_succeeded(struct engine *engine, struct job *job)
{
    struct key_state *state = keys_of_job(engine, job);
    struct lane *lane = lane_of_job(engine, job);
    if (job->probes)
        keys_probe_answered(engine, job);
    state->key.forbidden = 0;
    breaker_succeeded(&lane->breaker);
    if (lane->adapts)
        adapt_succeeded(&lane->adapt, (int64_t)lane->in_flight);
}

void keys_told(struct engine *engine, struct key_state *state, enum key_cause cause,
               int64_t until_ms)
{
    enum key_cause before = state->key.cause;
    key_told(&state->key, cause, until_ms);
    log_open(engine, state, before);
    if (before == KEY_FINE && state->key.cause != KEY_FINE)
        log_event(engine->options.log, LOG_LEVEL_WARN, "key_closed_by_fleet",
                  LOG_TEXT("key", state->config->name),
                  LOG_TEXT("cause", key_cause_name(state->key.cause)),
                  LOG_NUMBER("closed_for_ms", until_ms - engine_now(engine)));
}

// ------------------------------------------------------------------------------- outside

void engine_key_changed(struct engine *engine, size_t key)
{
    struct key_state *state = &engine->keys[key];
    state->good_until_ms = 0;
    state->changed = true;
    key_reopen(&state->key);
    ask_of_key(engine, state);
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
