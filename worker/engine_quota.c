// SPDX-License-Identifier: Apache-2.0
// The worker's side of the fleet's quota: what each lane asks for, and when.
#include "engine_quota.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "engine_parts.h"

#define LEAD_MS     400  // a grant is asked for so long before the one in hand is used up
#define BEGIN_MS    50   // but not while the last one is still further away than this
#define LEAST_MS    20   // between two asks of a lane that got nothing
#define NEWS_MS     500  // what is to be told waits so long at most
#define KEEP_MS     2000 // a lane in use asks at least so often
#define AHEAD_MS    500  // of the forecast: calls that will be wanted before the next ask
#define FORECAST_MS 10000
#define BACKLOG_MS  10000 // jobs that wait are expected to be called within
#define UNLIMITED   1000000

// What the jobs that are ready want of one model's lanes.
struct demand {
    int64_t calls;                   // ready, and expected before the next ask where any is
    int64_t ready;                   // of them
    int64_t first[QUOTA_DIMENSIONS]; // the need of the one whose turn it is
    int64_t usual[QUOTA_DIMENSIONS]; // of a call
    int64_t uncovered;               // calls that no grant in hand covers
    int64_t weight;                  // of all lanes that may be asked
};

// ------------------------------------------------------------------------------- lanes

static int64_t limit_of(int64_t of_key, int64_t of_model)
{
    return of_key > 0 ? of_key : of_model;
}

static void forget_words(struct lane *lane)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        lane->seen_limit[d] = lane->seen_left[d] = lane->reset_at_ms[d] = -1;
}

void quota_lane_init(struct lane *lane, const struct config_model *model, size_t key,
                     int64_t in_flight_ceiling)
{
    const struct config_key *config = &model->provider->keys.items[key];
    *lane = (struct lane){.model = model, .key = key, .askers = 1};
    lane->limits[QUOTA_REQUESTS] = limit_of(config->rpm, model->rpm);
    lane->limits[QUOTA_TOKENS] = limit_of(config->tpm, model->tpm);
    lane->limits[QUOTA_INPUT] = model->itpm;
    lane->limits[QUOTA_OUTPUT] = model->otpm;
    lane->limits[QUOTA_REQUESTS_DAY] = model->rpd;
    lane->limits[QUOTA_TOKENS_DAY] = model->tpd;
    lane->in_flight_most = limit_of(config->in_flight, model->in_flight);
    memcpy(lane->rate, lane->limits, sizeof(lane->rate));
    spend_init(&lane->spend, lane->limits);
    lane->adapts = !lane->spend.any && lane->in_flight_most == 0;
    adapt_init(&lane->adapt, in_flight_ceiling > 0 ? in_flight_ceiling : INT32_MAX);
    throttle_init(&lane->throttle, model->provider->burst_percent, model->provider->burst_seconds);
    forget_words(lane);
}

static int64_t slots_of(const struct lane *lane)
{
    int64_t adapted = lane->adapts ? adapt_most(&lane->adapt) : INT64_MAX;
    return lane->slots < adapted ? lane->slots : adapted;
}

bool lane_has_slot(const struct lane *lane)
{
    return lane->known && (int64_t)lane->in_flight < slots_of(lane);
}

int64_t lane_wait_ms(const struct lane *lane, const int64_t need[QUOTA_DIMENSIONS], int64_t now_ms,
                     enum quota_dimension *out_short)
{
    return lane->known ? spend_wait_ms(&lane->spend, need, now_ms, out_short) : INT64_MAX;
}

int64_t lane_room_ms(const struct lane *lane, int64_t now_ms)
{
    return lane->spend.any ? spend_last_ms(&lane->spend, now_ms) - now_ms : INT64_MAX;
}

static struct lane *lane_of(const struct engine *engine, const struct config_model *model,
                            size_t key)
{
    return &engine->gates[model->index].lanes[key];
}

static struct key_state *key_of(const struct engine *engine, const struct lane *lane)
{
    return &engine->keys[lane->model->provider->first_key + lane->key];
}

static bool is_closed(const struct engine *engine, const struct lane *lane)
{
    return lane->broken || key_of(engine, lane)->key.cause != KEY_FINE;
}

static int64_t closed_until_ms(const struct engine *engine, const struct lane *lane)
{
    int64_t key_ms = key_of(engine, lane)->key.closed_until_ms;
    return lane->broken && lane->broken_until_ms > key_ms ? lane->broken_until_ms : key_ms;
}

void quota_deinit(struct engine *engine)
{
    free(engine->quota.asked);
    free(engine->quota.asks);
}

// ------------------------------------------------------------------------------- one job's part

static void set_need(int64_t out[QUOTA_DIMENSIONS], int64_t input, int64_t output)
{
    out[QUOTA_REQUESTS] = out[QUOTA_REQUESTS_DAY] = 1;
    out[QUOTA_INPUT] = input;
    out[QUOTA_OUTPUT] = output;
    out[QUOTA_TOKENS] = out[QUOTA_TOKENS_DAY] = input + output;
}

void gate_need(const struct engine *engine, struct job *job, int64_t out[QUOTA_DIMENSIONS])
{
    int64_t input, output;
    call_need(job, &engine->gates[job->plan.model->index].calibrate, &input, &output);
    set_need(out, input, output);
}

void quota_wanted(struct engine *engine, const struct job *job)
{
    forecast_add(&engine->gates[job->plan.model->index].forecast, 1, engine_now(engine));
}

void quota_reserve(struct engine *engine, struct job *job, struct lane *lane)
{
    gate_need(engine, job, job->reserved);
    spend_take(&lane->spend, job->reserved);
    lane->in_flight++;
    lane->taken++;
    job->reserved_calls = job->calls_begun;
    if (lane->may_probe && is_closed(engine, lane)) {
        lane->may_probe = false;
        lane->probing = job->probes = true;
    }
}

// The usual need follows what calls really reserve.
static void move_usual(struct gate *gate, const int64_t need[QUOTA_DIMENSIONS])
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        int64_t *usual = &gate->usual[d];
        *usual = *usual == 0 ? need[d] : *usual + (need[d] - *usual) / 8;
    }
}

void quota_prepared(struct engine *engine, struct job *job)
{
    struct lane *lane = lane_of(engine, job->slot_model, job->key);
    int64_t need[QUOTA_DIMENSIONS];
    int64_t input = job->call.reserve_input_tokens, output = job->call.reserve_output_tokens;
    packs_admit(engine, job, &input, &output); // who goes with it
    set_need(need, input, output);
    spend_settle(&lane->spend, job->reserved, need);
    memcpy(job->reserved, need, sizeof(need));
    move_usual(&engine->gates[job->slot_model->index], need);
}

// What a call that has begun used: as reported; of one that ended without an answer what was
// reserved for it, since nobody knows; of one that was refused no tokens.
static void set_used(const struct job *job, int64_t used[QUOTA_DIMENSIONS])
{
    const struct call *call = &job->call;
    memcpy(used, job->reserved, sizeof(job->reserved));
    if (!call->has_answer)
        return;
    int64_t output = job->slot_model->counts_asked ? job->reserved[QUOTA_OUTPUT]
                                                   : call->answer.usage.output_tokens;
    if (call->answer.usage.known)
        set_need(used, call->answer.usage.input_tokens, output);
    else if (call->answer.http_status >= 300)
        set_need(used, 0, 0);
}

static void count_failure(struct engine *engine, struct job *job, struct lane *lane)
{
    const struct call *call = &job->call;
    const struct failure *failure = &call->answer.failure;
    if (failure->code == ERR_NONE || !breaker_counts(failure))
        return;
    int64_t now_ms = engine_now(engine);
    bool probe = job->probes && lane->broken;
    if (lane->adapts)
        adapt_failed(&lane->adapt, call->begun_ms, now_ms);
    int64_t open_ms = breaker_failed(&lane->breaker, call->begun_ms, probe, now_ms);
    if (open_ms == 0)
        return;
    lane->broken = lane->opened = lane->urgent = true;
    lane->broken_until_ms = now_ms + open_ms;
    if (probe) {
        lane->probe = QUOTA_PROBE_FAILED;
        job->probes = lane->probing = false;
    }
    log_event(engine->options.log, LOG_LEVEL_WARN, "breaker_open",
              LOG_TEXT("model", lane->model->name),
              LOG_TEXT("key", key_of(engine, lane)->config->name),
              LOG_TEXT("error", failure->detail), LOG_NUMBER("open_for_ms", open_ms));
}

void quota_settle(struct engine *engine, struct job *job)
{
    struct lane *lane = lane_of(engine, job->slot_model, job->key);
    int64_t used[QUOTA_DIMENSIONS] = {0};
    bool begun = job->calls_begun != job->reserved_calls;
    CHECK(lane->in_flight > 0);
    lane->in_flight--;
    if (begun && (job->call.sent_ms >= 0 || job->call.answer.http_status > 0))
        set_used(job, used);
    spend_settle(&lane->spend, job->reserved, used);
    if (begun && job->call.has_answer)
        count_failure(engine, job, lane);
    if (job->probes) { // it said nothing of what is closed
        lane->probe = QUOTA_PROBE_ENDED;
        lane->urgent = true;
        job->probes = lane->probing = false;
    }
}

// When the reset is; -1: it was not told.
static int64_t reset_at_ms(const struct engine *engine, const struct rate_words *words, int d)
{
    int64_t in_ms = words->reset_ms[d];
    if (in_ms < 0 && words->reset_unix_ms[d] >= 0) {
        in_ms = words->reset_unix_ms[d] - engine_db_now(engine);
        in_ms = in_ms > 0 ? in_ms : 0; // clocks differ
    }
    return in_ms < 0 ? -1 : engine_now(engine) + in_ms;
}

void quota_headers(struct engine *engine, const struct job *job)
{
    struct lane *lane = lane_of(engine, job->plan.model, job->key);
    const struct rate_words *words = job->call.reader ? reader_rate(job->call.reader) : NULL;
    if (!words || !words->any)
        return;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        lane->seen_limit[d] = words->limit[d];
        lane->seen_left[d] = words->left[d];
        lane->reset_at_ms[d] = reset_at_ms(engine, words, d);
    }
}

void quota_answered(struct engine *engine, const struct job *job)
{
    struct gate *gate = &engine->gates[job->plan.model->index];
    const struct call *call = &job->call;
    const struct model_answer *answer = &call->answer;
    // A shared request teaches when it is shared out (quota_shared).
    if (!answer->usage.known || answer->usage_alarm || job->pack)
        return;
    calibrate_input_told(&gate->calibrate, call->script, call->plain_tokens,
                         answer->usage.input_tokens);
    if (answer->failure.code == ERR_NONE)
        calibrate_output_told(&gate->calibrate, call->answer_kind, call->output_bound,
                              answer->usage.output_tokens);
    else if (answer->failure.code == ERR_OUTPUT_LIMIT)
        calibrate_output_cut(&gate->calibrate, call->answer_kind, call->output_bound,
                             call->max_output_tokens);
}

void quota_shared(struct engine *engine, struct job *const *members, const struct job_share *shares,
                  size_t count)
{
    const struct job *leader = members[0];
    const struct model_answer *whole = &leader->call.answer;
    struct calibrate *calibrate = &engine->gates[leader->plan.model->index].calibrate;
    bool alike = true;
    if (!whole->usage.known || whole->usage_alarm)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct call *call = &members[i]->call;
        alike = alike && call->script == leader->call.script;
        if (shares[i].answer.failure.code == ERR_NONE)
            calibrate_output_told(calibrate, call->answer_kind, call->output_bound,
                                  shares[i].answer.usage.output_tokens);
    }
    if (alike)
        calibrate_input_told(calibrate, leader->call.script, leader->call.pack_tokens,
                             whole->usage.input_tokens);
}

// ------------------------------------------------------------------------------- demand

// Calls that the lane's grants cover.
static int64_t covered(const struct lane *lane, const struct demand *demand)
{
    int64_t least = INT64_MAX;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        if (!lane->spend.limited[d] || demand->usual[d] <= 0)
            continue;
        int64_t calls = spend_in_hand(&lane->spend, (enum quota_dimension)d) / demand->usual[d];
        least = calls < least ? calls : least;
    }
    return least == INT64_MAX ? 0 : least;
}

// Calls a minute that the lane allows in the whole fleet.
static int64_t calls_per_minute(const struct lane *lane, const struct demand *demand)
{
    int64_t least = UNLIMITED;
    for (int d = 0; d < QUOTA_MINUTES; d++)
        if (lane->rate[d] > 0 && demand->usual[d] > 0 && lane->rate[d] / demand->usual[d] < least)
            least = lane->rate[d] / demand->usual[d];
    return least > 0 ? least : 1;
}

static void measure_demand(struct engine *engine, struct gate *gate, size_t lanes,
                           struct demand *out)
{
    struct job *first;
    *out = (struct demand){.ready = (int64_t)gate_ready(gate, &first)};
    if (!first)
        return;
    gate_need(engine, first, out->first);
    memcpy(out->usual, gate->usual[QUOTA_REQUESTS] ? gate->usual : out->first, sizeof(out->usual));
    int64_t a_minute = forecast_per_minute(&gate->forecast, AHEAD_MS, engine_now(engine));
    out->calls = out->ready + a_minute * AHEAD_MS / 60000;
    out->uncovered = out->calls;
    for (size_t i = 0; i < lanes; i++) {
        const struct lane *lane = &gate->lanes[i];
        if (is_closed(engine, lane))
            continue;
        out->uncovered -= covered(lane, out);
        out->weight += calls_per_minute(lane, out);
    }
}

// The lane's part of what is not covered. Of a closed lane, the one call that tries it.
static int64_t part_of(const struct engine *engine, const struct lane *lane,
                       const struct demand *demand)
{
    if (demand->ready == 0)
        return 0;
    if (is_closed(engine, lane))
        return lane->may_probe ? 0 : 1;
    if (demand->uncovered <= 0 || demand->weight == 0)
        return 0;
    int64_t weight = calls_per_minute(lane, demand);
    int64_t part = (demand->uncovered * weight + demand->weight - 1) / demand->weight;
    bool capped = lane->in_flight_most > 0 && part > lane->in_flight_most;
    return capped ? lane->in_flight_most : part;
}

static bool is_short_for(const struct lane *lane, const int64_t need[QUOTA_DIMENSIONS])
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        if (lane->spend.limited[d] &&
            spend_in_hand(&lane->spend, (enum quota_dimension)d) < need[d])
            return true;
    return false;
}

// ------------------------------------------------------------------------------- when to ask

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

// When a lane that wants more should ask for it.
static int64_t wants_at_ms(const struct engine *engine, const struct lane *lane,
                           const struct demand *demand, int64_t now_ms)
{
    const struct key_state *state = key_of(engine, lane);
    if (is_closed(engine, lane)) {
        if (state->key.cause == KEY_DOUBTED || lane->probing || lane->may_probe)
            return INT64_MAX;
        return later(closed_until_ms(engine, lane), lane->asked_ms + LEAST_MS);
    }
    int64_t at_ms = INT64_MAX;
    if (lane->in_flight_most > 0 && (int64_t)lane->in_flight >= lane->slots)
        at_ms = lane->asked_ms + NEWS_MS; // slots are short
    else if (lane->spend.any && is_short_for(lane, demand->first))
        at_ms = 0;
    else if (lane->spend.any)
        at_ms = later(spend_last_ms(&lane->spend, now_ms) - LEAD_MS,
                      spend_begin_ms(&lane->spend) - BEGIN_MS);
    else if (lane->in_flight_most > 0 && lane->slots < lane->in_flight_most)
        at_ms = lane->asked_ms + NEWS_MS;
    if (at_ms == INT64_MAX)
        return at_ms;
    return later(later(at_ms, lane->wait_until_ms), lane->asked_ms + LEAST_MS);
}

static int64_t due_at_ms(const struct engine *engine, const struct lane *lane,
                         const struct demand *demand, int64_t now_ms)
{
    bool in_use = lane->in_flight > 0 || demand->ready > 0;
    if (lane->urgent || (in_use && !lane->known))
        return 0;
    int64_t at_ms = INT64_MAX;
    if (part_of(engine, lane, demand) > 0)
        at_ms = wants_at_ms(engine, lane, demand, now_ms);
    bool spare = lane->in_flight_most > 0 && lane->slots > (int64_t)lane->in_flight + demand->ready;
    if (at_ms == INT64_MAX && (spare || spend_has_news(&lane->spend)))
        at_ms = lane->asked_ms + NEWS_MS; // else it goes with what is asked for anyway
    if (in_use)
        at_ms = sooner(at_ms, lane->asked_ms + KEEP_MS);
    return at_ms;
}

// ------------------------------------------------------------------------------- asking

// What the throttle would borrow for this worker's part of the limit.
static void set_extra(struct engine *engine, struct lane *lane, const struct demand *demand,
                      struct quota_ask *ask)
{
    struct gate *gate = &engine->gates[lane->model->index];
    int64_t now_ms = engine_now(engine);
    int64_t limit = calls_per_minute(lane, demand) / (lane->askers > 0 ? lane->askers : 1);
    if (!lane->spend.any || demand->ready == 0 || limit <= 0)
        return;
    int64_t expected = forecast_per_minute(&gate->forecast, FORECAST_MS, now_ms) +
                       demand->ready * 60000 / BACKLOG_MS;
    ask->extra_percent =
        throttle_extra_percent(&lane->throttle, limit, expected, now_ms, &ask->extra_ms);
    if (ask->extra_percent == 0)
        ask->extra_ms = 0;
}

// Only what is due: a lane that asks for another reason would else take more of the timeline than
// its part. Who waits in the store's queue keeps its place by wanting.
static bool wants_now(const struct engine *engine, const struct lane *lane,
                      const struct demand *demand, int64_t now_ms)
{
    return part_of(engine, lane, demand) > 0 &&
           (lane->wait_until_ms > now_ms || wants_at_ms(engine, lane, demand, now_ms) <= now_ms);
}

static void set_wants(struct engine *engine, struct lane *lane, const struct demand *demand,
                      struct quota_ask *ask)
{
    int64_t calls = part_of(engine, lane, demand);
    ask->slots_held = (int64_t)lane->in_flight;
    ask->slots_wanted = ask->slots_held + demand->ready;
    if (!wants_now(engine, lane, demand, engine_now(engine)))
        return;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        int64_t lacks = demand->first[d];
        if (lane->spend.limited[d])
            lacks -= spend_in_hand(&lane->spend, (enum quota_dimension)d);
        ask->least[d] = lacks > 0 ? lacks : 0;
        ask->wanted[d] = later(calls * demand->usual[d], ask->least[d]);
    }
    ask->least[QUOTA_REQUESTS] = 1;
    set_extra(engine, lane, demand, ask);
}

// What happened since the last ask; it is told once.
static void set_news(struct engine *engine, struct lane *lane, struct quota_ask *ask)
{
    struct key_state *state = key_of(engine, lane);
    int64_t now_ms = engine_now(engine);
    memcpy(ask->back, lane->spend.back, sizeof(ask->back));
    memcpy(ask->settled, lane->spend.settled, sizeof(ask->settled));
    memcpy(ask->seen_limit, lane->seen_limit, sizeof(ask->seen_limit));
    memcpy(ask->seen_left, lane->seen_left, sizeof(ask->seen_left));
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        ask->seen_reset_ms[d] =
            lane->reset_at_ms[d] < 0 ? -1 : later(lane->reset_at_ms[d] - now_ms, 0);
    ask->refusals = lane->refusals;
    ask->probe = lane->probe;
    ask->key_changed = state->changed;
    lane->told_key = lane->probe != QUOTA_PROBE_NONE || state->changed || state->untold;
    if (state->untold) {
        ask->close_cause = state->key.cause;
        ask->close_ms = state->key.closed_until_ms - now_ms;
    } else if (lane->opened) {
        ask->close_cause = KEY_BROKEN;
        ask->close_ms = lane->broken_until_ms - now_ms;
    }
    lane->urgent = state->untold && lane->opened; // one closing at a time
    lane->opened = lane->urgent;
    state->untold = state->changed = false;
    lane->refusals = 0;
    lane->probe = QUOTA_PROBE_NONE;
    forget_words(lane);
    spend_told(&lane->spend);
}

static void add_ask(struct engine *engine, struct lane *lane, const struct demand *demand)
{
    struct quota_link *link = &engine->quota;
    if (link->count == link->room) {
        link->room = link->room ? 2 * link->room : 8;
        link->asked = own_grow(link->asked, link->room, sizeof(*link->asked));
        link->asks = own_grow(link->asks, link->room, sizeof(*link->asks));
    }
    struct quota_ask *ask = &link->asks[link->count];
    *ask = (struct quota_ask){
        .provider = lane->model->provider->name,
        .key_name = key_of(engine, lane)->config->name,
        .model = lane->model->name,
        .in_flight_most = lane->in_flight_most,
    };
    memcpy(ask->limits, lane->limits, sizeof(ask->limits));
    if (is_closed(engine, lane) && !lane->may_probe)
        spend_give_up(&lane->spend);
    set_wants(engine, lane, demand, ask);
    set_news(engine, lane, ask);
    lane->asked_ms = engine_now(engine);
    link->asked[link->count++] = lane;
}

// A probe that cannot be used: no job is left for it, or its grant is over.
static void let_probe_go(struct lane *lane, const struct demand *demand)
{
    if (!lane->may_probe || (demand->ready > 0 && !is_short_for(lane, demand->first)))
        return;
    lane->may_probe = false;
    lane->probe = QUOTA_PROBE_ENDED;
    lane->urgent = true;
}

static int64_t look_at_model(struct engine *engine, const struct config_model *model,
                             int64_t now_ms)
{
    struct gate *gate = &engine->gates[model->index];
    size_t lanes = model->provider->keys.len;
    struct demand demand;
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < lanes; i++)
        next_ms = sooner(next_ms, spend_expire(&gate->lanes[i].spend, now_ms));
    measure_demand(engine, gate, lanes, &demand);
    for (size_t i = 0; i < lanes; i++) {
        struct lane *lane = &gate->lanes[i];
        if (engine->draining && demand.ready == 0)
            spend_give_up(&lane->spend);
        let_probe_go(lane, &demand);
        int64_t at_ms = due_at_ms(engine, lane, &demand, now_ms);
        if (at_ms <= now_ms)
            add_ask(engine, lane, &demand);
        else
            next_ms = sooner(next_ms, at_ms);
    }
    return next_ms;
}

int64_t quota_pump(struct engine *engine)
{
    struct quota_link *link = &engine->quota;
    int64_t now_ms = engine_now(engine), next_ms = INT64_MAX;
    if (!engine->store_up || link->asking)
        return INT64_MAX; // the answer is what is waited for
    link->count = 0;
    for (size_t i = 0; i < engine->config->model_count; i++)
        next_ms = sooner(next_ms, look_at_model(engine, &engine->config->models[i], now_ms));
    if (link->count > 0) {
        link->asking = true;
        link->asked_ms = now_ms;
        engine->edges.store_ops->quota(engine->edges.store, (struct slot_id){0}, link->asks,
                                       link->count);
    }
    return next_ms;
}

// ------------------------------------------------------------------------------- answers

// What the fleet knows of the key counts, but for a closing that it was not told yet.
static void take_key_word(struct engine *engine, struct lane *lane, const struct quota_grant *grant,
                          int64_t now_ms)
{
    struct key_state *state = key_of(engine, lane);
    bool broken = grant->cause == KEY_BROKEN;
    int64_t until_ms = now_ms + (grant->probe ? 0 : grant->closed_ms);
    if (!lane->opened) {
        lane->broken = broken;
        lane->broken_until_ms = broken ? until_ms : 0;
    }
    if (!state->untold)
        keys_told(engine, state, broken ? KEY_FINE : grant->cause, until_ms);
    if (grant->probe && !lane->probing)
        lane->may_probe = true;
    if (grant->cause == KEY_FINE)
        lane->may_probe = false;
}

static void take_grant(struct engine *engine, struct lane *lane, const struct quota_grant *grant)
{
    int64_t now_ms = engine_now(engine), asked_ms = engine->quota.asked_ms;
    lane->known = true;
    memcpy(lane->rate, grant->rate, sizeof(lane->rate));
    spend_limit(&lane->spend, grant->rate);
    lane->slots = grant->slots;
    lane->adapts = !lane->spend.any && lane->slots == INT64_MAX;
    lane->askers = grant->askers;
    lane->wait_until_ms = grant->wait_ms > 0 ? later(asked_ms + grant->wait_ms, now_ms + 1) : 0;
    lane->short_of = grant->short_of;
    spend_add(&lane->spend, grant, asked_ms, now_ms);
    take_key_word(engine, lane, grant, now_ms);
}

void quota_granted(struct engine *engine, const struct store_event *event)
{
    struct quota_link *link = &engine->quota;
    CHECK(link->asking && event->u.quota.count == link->count);
    link->asking = false;
    // The store takes the asks in an order of its own: of one key's lanes, the one that told of the
    // key has the last word on it.
    for (int told = 0; told <= 1; told++)
        for (size_t i = 0; i < link->count; i++)
            if (link->asked[i]->told_key == (told == 1))
                take_grant(engine, link->asked[i], &event->u.quota.grants[i]);
}

// Lanes that nobody uses learn it when they are used again.
static void ask_again(struct engine *engine)
{
    for (size_t i = 0; i < engine->config->model_count; i++) {
        struct gate *gate = &engine->gates[i];
        for (size_t k = 0; k < engine->config->models[i].provider->keys.len; k++) {
            struct lane *lane = &gate->lanes[k];
            struct job *first;
            if (lane->in_flight > 0 || gate_ready(gate, &first) > 0)
                lane->urgent = true;
            else
                lane->known = false;
        }
    }
}

void quota_noticed(struct engine *engine, const char *what)
{
    if (strcmp(what, "key") == 0 || strcmp(what, "quota") == 0)
        ask_again(engine);
}

void quota_store_up(struct engine *engine)
{
    ask_again(engine);
}

bool quota_scarce_requests(const struct engine *engine, const struct config_model *model)
{
    const struct gate *gate = &engine->gates[model->index];
    int64_t requests = 0, tokens = 0, usual = gate->usual[QUOTA_TOKENS];
    for (size_t i = 0; i < model->provider->keys.len; i++) {
        const struct lane *lane = &gate->lanes[i];
        if (lane->rate[QUOTA_REQUESTS] <= 0)
            return false;
        requests += lane->rate[QUOTA_REQUESTS];
        tokens += lane->rate[QUOTA_TOKENS] > 0 ? lane->rate[QUOTA_TOKENS] : INT32_MAX;
    }
    return requests < tokens / (usual > 0 ? usual : 1);
}
