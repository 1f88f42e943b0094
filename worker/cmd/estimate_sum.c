// SPDX-License-Identifier: Apache-2.0
// Calls by model, their tokens, money and time.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "core/price.h"
#include "core/text.h"
#include "core/tokens.h"

#define FIRST_ROOM 64

// ------------------------------------------------------------------------------- adding

static int64_t price_of(const struct config_model *model, const struct usage *usage)
{
    int64_t picousd;
    return price_of_usage(&model->price, usage, &picousd) ? picousd : 0;
}

static void add_call(struct estimate_sum *sum, const struct estimate_model *model,
                     const struct estimate_call *call, bool follows)
{
    struct usage usage = estimate_usage(&model->learned, call);
    struct usage most = {.known = true,
                         .input_tokens = call->at_most_input_tokens,
                         .output_tokens = call->at_most_output_tokens};
    if (sum->count == sum->room) {
        sum->room = sum->room ? 2 * sum->room : FIRST_ROOM;
        sum->calls = own_grow(sum->calls, sum->room, sizeof(*sum->calls));
    }
    sum->calls[sum->count++] = (struct plan_time_call){
        .input_tokens = usage.input_tokens,
        .output_tokens = usage.output_tokens,
        .duration_ms = estimate_duration_ms(&model->learned, &usage),
        .follows = follows,
    };
    sum->form_tokens += estimate_input(&model->learned, call->form_tokens);
    sum->input_tokens += usage.input_tokens;
    sum->cached_tokens += usage.cached_tokens;
    sum->output_tokens += usage.output_tokens;
    sum->cost_picousd += price_of(model->model, &usage);
    sum->at_most_picousd += price_of(model->model, &most);
}

static void add_job(struct estimate_sum *sum, const struct estimate_model *model,
                    const struct estimate *estimate)
{
    sum->jobs++;
    for (size_t i = 0; i < estimate->count; i++)
        add_call(sum, model, &estimate->calls[i], i > 0);
}

static void add_to_model(struct estimating *estimating, struct estimate_model *model,
                         const struct estimate_order *order)
{
    struct estimate estimate;
    struct failure failure;
    bool own = config_find_model(estimating->submit.config, order->spec->model, 0) == model->model;
    bool good = estimate_job(order, &estimate, &failure);
    bool is_long = good && (estimate.count > 1 || estimate.truncated);
    estimating->longer += own && (!good || is_long);
    if (!good) {
        model->refused++;
        return;
    }
    model->split += estimate.count > 1;
    model->truncated += estimate.truncated;
    add_job(&model->all, model, &estimate);
    if (own)
        add_job(&model->own, model, &estimate);
    estimate_deinit(&estimate);
}

void estimate_add(struct estimating *estimating, const struct job_spec *spec, const char *text,
                  size_t len)
{
    if (text_is_blank(text, len)) {
        estimating->blank++;
        return;
    }
    struct estimate_order order = {
        .spec = spec, .text = text, .text_len = len, .text_tokens = tokens_estimate(text, len)};
    estimating->documents++;
    for (size_t i = 0; i < estimating->model_count; i++) {
        order.model = estimating->models[i].model;
        add_to_model(estimating, &estimating->models[i], &order);
    }
}

void estimate_sums_free(struct estimating *estimating)
{
    for (size_t i = 0; i < estimating->model_count; i++) {
        free(estimating->models[i].all.calls);
        free(estimating->models[i].own.calls);
    }
    free(estimating->models);
}

// ------------------------------------------------------------------------------- limits

static const struct {
    const char *word, *per;
} limit_words[] = {
    [PLAN_TIME_REQUESTS] = {"requests", "a minute"},
    [PLAN_TIME_TOKENS] = {"tokens", "a minute"},
    [PLAN_TIME_INPUT] = {"input tokens", "a minute"},
    [PLAN_TIME_OUTPUT] = {"output tokens", "a minute"},
    [PLAN_TIME_REQUESTS_DAY] = {"requests", "a day"},
    [PLAN_TIME_TOKENS_DAY] = {"tokens", "a day"},
    [PLAN_TIME_SLOTS] = {"calls", "at once"},
    [PLAN_TIME_LIMITS] = {"the calls' own time", ""},
};

const char *estimate_limit_word(enum plan_time_limit limit)
{
    return limit_words[limit].word;
}

const char *estimate_limit_per(enum plan_time_limit limit)
{
    return limit_words[limit].per;
}

// The limits of one key: its own, else its model's.
static void limits_of_key(const struct config_model *model, const struct config_key *key,
                          plan_time_limits out)
{
    out[PLAN_TIME_REQUESTS] = key->rpm ? key->rpm : model->rpm;
    out[PLAN_TIME_TOKENS] = key->tpm ? key->tpm : model->tpm;
    out[PLAN_TIME_INPUT] = model->itpm;
    out[PLAN_TIME_OUTPUT] = model->otpm;
    out[PLAN_TIME_REQUESTS_DAY] = model->rpd;
    out[PLAN_TIME_TOKENS_DAY] = model->tpd;
    out[PLAN_TIME_SLOTS] = key->in_flight ? key->in_flight : model->in_flight;
}

// Calls that one worker has under way at most, whatever the keys allow.
static int64_t worker_calls(const struct config *config, const struct config_model *model)
{
    const struct config_provider *provider = model->provider;
    int64_t most = config->worker.in_flight;
    bool one_each = strncmp(provider->base_url, "http:", 5) == 0; // a connection a call
    return one_each && provider->connections_max < most ? provider->connections_max : most;
}

void estimate_limits(const struct config *config, const struct config_model *model, int64_t workers,
                     plan_time_limits out)
{
    const struct config_keys *keys = &model->provider->keys;
    for (int limit = 0; limit < PLAN_TIME_LIMITS; limit++)
        out[limit] = 0;
    for (size_t i = 0; i < keys->len; i++) {
        plan_time_limits one;
        limits_of_key(model, &keys->items[i], one);
        // One key without a limit, and there is none for all of them.
        for (int limit = 0; limit < PLAN_TIME_LIMITS; limit++)
            out[limit] = one[limit] > 0 && (i == 0 || out[limit] > 0) ? out[limit] + one[limit] : 0;
    }
    int64_t most = workers * worker_calls(config, model);
    if (out[PLAN_TIME_SLOTS] == 0 || out[PLAN_TIME_SLOTS] > most)
        out[PLAN_TIME_SLOTS] = most;
}
