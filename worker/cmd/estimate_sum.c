// SPDX-License-Identifier: Apache-2.0
// Calls by model, their tokens, money and time.
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "core/price.h"
#include "core/text.h"
#include "core/tokens.h"

#define FIRST_ROOM 64
// Samples with which the ledger says what jobs are like.
#define SEEN_SAMPLES 5

// ------------------------------------------------------------------------------- adding

static int64_t price_of(const struct config_model *model, const struct usage *usage)
{
    int64_t picousd;
    return price_of_usage(&model->price, usage, &picousd) ? picousd : 0;
}

static void add_call(struct estimate_sum *sum, const struct estimate_model *model,
                     const struct estimate *estimate, size_t place)
{
    const struct estimate_call *call = &estimate->calls[place];
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
        .form_tokens = estimate_input(&model->learned, call->form_tokens),
        .first_ms = estimate_first_token_ms(&model->learned),
        .need = estimate->need,
        .pack_hash = estimate->pack_hash,
        .follows = place > 0,
    };
    sum->at_most_picousd += price_of(model->model, &most);
}

static void add_job(struct estimate_sum *sum, const struct estimate_model *model,
                    const struct estimate *estimate)
{
    sum->jobs++;
    for (size_t i = 0; i < estimate->count; i++)
        add_call(sum, model, estimate, i);
}

static void add_to_model(struct estimating *estimating, struct estimate_model *model,
                         const struct estimate_order *order)
{
    struct estimate estimate;
    struct failure failure;
    bool own = config_find_model(estimating->submit.config, order->spec->model, 0) == model->model;
    bool good = estimate_job(order, &estimate, &failure);
    bool never = good && estimate_never_fits(&model->limits, &estimate);
    model->over_limit += never || (!good && failure.code == ERR_OVER_LIMIT);
    if (never)
        estimate_deinit(&estimate);
    good = good && !never;
    bool is_long = good && (estimate.count > 1 || estimate.truncated);
    estimating->longer += own && (!good || is_long);
    if (!good) {
        model->refused++;
        estimating->refused += own;
        estimating->never += own && never;
        return;
    }
    model->split += estimate.count > 1;
    model->truncated += estimate.truncated;
    add_job(&model->all, model, &estimate);
    if (own)
        add_job(&model->own, model, &estimate);
    estimate_deinit(&estimate);
}

// ------------------------------------------------------------------------------- twins

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, ANSWER_KEY_BYTES);
}

static bool is_answered(struct estimating *estimating, const unsigned char *key)
{
    char text[2 * ANSWER_KEY_BYTES + 1];
    if (estimating->no_answers || estimating->submit.order.offline)
        return false;
    for (size_t i = 0; i < ANSWER_KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    struct ask ask = {
        "select 1 from precis_data.answers a join precis_data.outcomes o"
        " on o.job_no = a.job_no and o.state = 'done' where a.key = decode($1, 'hex')",
        {text},
        1};
    struct pg_rows *rows = ask_try(estimating->submit.invocation, &ask);
    estimating->no_answers = rows == NULL;
    bool found = rows && pg_rows_count(rows) > 0;
    pg_rows_free(rows);
    return found;
}

// Whether somebody else's answer is taken over: nothing is paid.
static bool is_free(struct estimating *estimating, const struct estimate_order *order)
{
    unsigned char *key = own_alloc(ANSWER_KEY_BYTES);
    bool has_key = estimate_answer_key(order, estimating->submit.config, key);
    void **found = has_key ? tsearch(key, &estimating->keys, by_key) : NULL;
    bool twin = found && *found != key;
    bool answered = has_key && !twin && is_answered(estimating, key);
    estimating->twins += twin;
    estimating->answered += answered;
    if (!has_key || twin)
        free(key);
    return twin || answered;
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
    if (is_free(estimating, &order))
        return;
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
        free(estimating->models[i].closed);
    }
    free(estimating->models);
    tdestroy(estimating->keys, free);
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

// --------------------------------------------------------------------------- what becomes of it

// Tokens that there are for each request, as engine_pack.c has it; 0: requests have no limit.
static int64_t tokens_a_request(const plan_time_limits limits)
{
    bool daily = limits[PLAN_TIME_REQUESTS] == 0;
    int64_t requests = limits[daily ? PLAN_TIME_REQUESTS_DAY : PLAN_TIME_REQUESTS];
    int64_t tokens = limits[daily ? PLAN_TIME_TOKENS_DAY : PLAN_TIME_TOKENS];
    int64_t input = daily ? 0 : limits[PLAN_TIME_INPUT];
    if (input > 0 && (tokens == 0 || input < tokens))
        tokens = input;
    if (requests == 0)
        return 0;
    return tokens ? tokens / requests : INT64_MAX;
}

// The jobs in front are taken to be as those of the ledger were, else as these are, and to share
// requests as these do.
static struct plan_time_ahead ahead_of(const struct estimate_model *model,
                                       const struct estimate_sum *sum,
                                       const struct plan_time_work *work)
{
    const struct estimate_learned *learned = &model->learned;
    struct plan_time_ahead ahead = {0};
    int64_t duration_ms = 0, jobs = (int64_t)sum->jobs, before = model->jobs_before;
    if (before == 0 || jobs == 0)
        return ahead;
    struct plan_time own = plan_time_of(work, model->limits.at);
    for (size_t i = 0; i < sum->count; i++)
        duration_ms += sum->calls[i].duration_ms;
    bool seen = learned->samples >= SEEN_SAMPLES;
    int64_t input = seen ? learned->input_counted / learned->samples : own.input_tokens / jobs;
    int64_t output = seen ? learned->output_counted / learned->samples : own.output_tokens / jobs;
    ahead.requests = before * (int64_t)own.requests / jobs;
    ahead.input_tokens = before * input;
    ahead.output_tokens = before * output;
    ahead.duration_ms = before * (duration_ms / jobs);
    return ahead;
}

struct plan_time_work estimate_work(const struct estimating *estimating,
                                    const struct estimate_model *model,
                                    const struct estimate_sum *sum, int64_t pack_size)
{
    const struct config *config = estimating->submit.config;
    int64_t scarce = tokens_a_request(model->limits.at);
    int64_t context = model->model->context_tokens - model->model->context_tokens / 100;
    struct plan_time_work work = {.calls = sum->calls, .count = sum->count};
    work.room = (struct pack_room){
        .documents = pack_size ? pack_size : config->packing.size,
        .tokens = config->packing.tokens < scarce ? config->packing.tokens : scarce,
        .output_tokens = model->model->max_output_tokens,
        .doubt_picousd = config->packing.doubt_picousd,
    };
    if (context < work.room.tokens)
        work.room.tokens = context;
    if (scarce == 0)
        work.room.documents = 0;
    work.ahead = ahead_of(model, sum, &work);
    return work;
}

struct estimate_run estimate_run(const struct estimating *estimating,
                                 const struct estimate_model *model, const struct estimate_sum *sum)
{
    const struct estimate_learned *learned = &model->learned;
    struct plan_time_work work = estimate_work(estimating, model, sum, 0);
    struct estimate_run run = {.time = plan_time_of(&work, model->limits.at)};
    struct usage usage = {.known = true,
                          .input_tokens = run.time.input_tokens,
                          .output_tokens = run.time.output_tokens};
    if (learned->input_counted > 0)
        usage.cached_tokens =
            (int64_t)((double)usage.input_tokens * (double)learned->cached_counted /
                      (double)learned->input_counted);
    run.cost_picousd = price_of(model->model, &usage);
    return run;
}
