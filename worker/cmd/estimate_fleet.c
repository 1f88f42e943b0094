// SPDX-License-Identifier: Apache-2.0
// What the fleet knows that is of use to an estimate: the limits that hold now, the keys that are
// closed, and the jobs that are in front.
//
// Of a limit the provider's word and the configured (or set) one are there; the smaller holds, as
// in core/quota.h. Its factor is left out: it follows the last seconds, and an estimate is about
// the next hours.
//
// In front is what was submitted and has no outcome, of other batches than these. What waits for a
// time, a batch, a budget or a person is not: it may go behind. Which model a job goes to stands in
// its message; those that PostgreSQL has tell how the others are likely to be.
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "cmd/estimate_parts.h"
#include "cmd/status_waiting.h"

const char *estimate_source_word(enum estimate_source source)
{
    static const char *const words[] = {
        [ESTIMATE_CONFIGURED] = "configuration",
        [ESTIMATE_SET] = "set",
        [ESTIMATE_SEEN] = "provider",
        [ESTIMATE_WORKERS] = "workers",
    };
    return words[source];
}

// ------------------------------------------------------------------------------- limits

// By the names of PostgreSQL.
static const struct {
    const char *name;
    enum plan_time_limit limit;
} dimensions[] = {
    {"requests", PLAN_TIME_REQUESTS},
    {"tokens", PLAN_TIME_TOKENS},
    {"input", PLAN_TIME_INPUT},
    {"output", PLAN_TIME_OUTPUT},
    {"requests_day", PLAN_TIME_REQUESTS_DAY},
    {"tokens_day", PLAN_TIME_TOKENS_DAY},
    {"in_flight", PLAN_TIME_SLOTS},
};
#define DIMENSIONS (sizeof(dimensions) / sizeof(dimensions[0]))

static const char limits_sql[] =
    "select s.key_name, s.dimension, s.most, true as is_set from precis_data.quota_settings s"
    " where s.provider = $1 and s.model = $2"
    " union all select l.key_name, l.dimension, l.provider_limit, false from precis.quota_limits l"
    " where l.provider = $1 and l.model = $2 and l.provider_limit is not null"
    " order by 4 desc, 1"; // settings of all keys, of one, then what was seen

static enum plan_time_limit dimension_of(const struct pg_rows *rows, size_t row)
{
    const char *name = ask_value(rows, row, "dimension");
    for (size_t i = 0; i < DIMENSIONS; i++)
        if (strcmp(dimensions[i].name, name) == 0)
            return dimensions[i].limit;
    return PLAN_TIME_NONE;
}

static void configured(const struct config_model *model, const struct config_key *key,
                       struct estimate_limits *out)
{
    *out = (struct estimate_limits){0};
    out->at[PLAN_TIME_REQUESTS] = key->rpm ? key->rpm : model->rpm;
    out->at[PLAN_TIME_TOKENS] = key->tpm ? key->tpm : model->tpm;
    out->at[PLAN_TIME_INPUT] = model->itpm;
    out->at[PLAN_TIME_OUTPUT] = model->otpm;
    out->at[PLAN_TIME_REQUESTS_DAY] = model->rpd;
    out->at[PLAN_TIME_TOKENS_DAY] = model->tpd;
    out->at[PLAN_TIME_SLOTS] = key->in_flight ? key->in_flight : model->in_flight;
}

static void apply_row(const struct pg_rows *rows, size_t row, struct estimate_limits *limits)
{
    enum plan_time_limit limit = dimension_of(rows, row);
    int64_t most = ask_number(rows, row, "most");
    bool is_set = ask_value(rows, row, "is_set")[0] == 't';
    if (limit == PLAN_TIME_NONE)
        return;
    if (!is_set)
        limits->told[limit] = most;
    if (!is_set && limits->at[limit] > 0 && limits->at[limit] <= most)
        return;
    limits->at[limit] = most;
    limits->from[limit] = is_set ? ESTIMATE_SET : ESTIMATE_SEEN;
}

// Adds a key's limits to those of the keys before it; one without a limit, and there is none.
static void add_key(struct estimate_limits *all, const struct estimate_limits *key, bool first)
{
    for (int i = 0; i < PLAN_TIME_LIMITS; i++) {
        bool both = key->at[i] > 0 && (first || all->at[i] > 0);
        all->at[i] = both ? all->at[i] + key->at[i] : 0;
        bool told = key->told[i] > 0 && (first || all->told[i] > 0);
        if (!told || key->told[i] > all->told[i])
            all->told[i] = told ? key->told[i] : 0;
        if (key->from[i] != ESTIMATE_CONFIGURED)
            all->from[i] = key->from[i];
    }
}

// Calls that one worker has under way at most, whatever the keys allow.
static int64_t worker_calls(const struct config *config, const struct config_model *model)
{
    const struct config_provider *provider = model->provider;
    int64_t most = config->worker.in_flight;
    bool one_each = strncmp(provider->base_url, "http:", 5) == 0; // a connection a call
    return one_each && provider->connections_max < most ? provider->connections_max : most;
}

static void limit_model(const struct estimating *estimating, struct estimate_model *model,
                        const struct pg_rows *rows)
{
    const struct config_keys *keys = &model->model->provider->keys;
    struct estimate_limits *limits = &model->limits;
    *limits = (struct estimate_limits){0};
    for (size_t i = 0; i < keys->len; i++) {
        struct estimate_limits one;
        configured(model->model, &keys->items[i], &one);
        for (size_t row = 0; rows && row < pg_rows_count(rows); row++) {
            const char *name = ask_value(rows, row, "key_name");
            if (name[0] == '\0' || strcmp(name, keys->items[i].name) == 0)
                apply_row(rows, row, &one);
        }
        add_key(limits, &one, i == 0);
    }
    int64_t most = estimating->workers * worker_calls(estimating->submit.config, model->model);
    if (limits->at[PLAN_TIME_SLOTS] > 0 && limits->at[PLAN_TIME_SLOTS] <= most)
        return;
    limits->at[PLAN_TIME_SLOTS] = most;
    limits->from[PLAN_TIME_SLOTS] = ESTIMATE_WORKERS;
}

// As job/admit.c counts it: the input as it is likely, the output as it is sent.
static bool is_over(const struct estimate_call *call, const plan_time_limits limits)
{
    int64_t input = call->input_tokens, output = call->at_most_output_tokens;
    const int64_t needs[PLAN_TIME_LIMITS] = {
        [PLAN_TIME_TOKENS] = input + output,
        [PLAN_TIME_INPUT] = input,
        [PLAN_TIME_OUTPUT] = output,
        [PLAN_TIME_TOKENS_DAY] = input + output,
    };
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        if (limits[i] > 0 && needs[i] > limits[i])
            return true;
    return false;
}

bool estimate_never_fits(const struct estimate_limits *limits, const struct estimate *estimate)
{
    for (size_t i = 0; i < estimate->count; i++)
        if (is_over(&estimate->calls[i], limits->told))
            return true;
    return false;
}

// ------------------------------------------------------------------------------- closed keys

static const char closed_sql[] =
    "select q.key_name, q.closed_by from precis.quota q where q.provider = $1 and q.model = $2"
    " and q.closed_by <> 'fine' order by 1";

static void note_closed(struct estimating *estimating, struct estimate_model *model)
{
    struct ask ask = {closed_sql, {model->model->provider->name, model->model->name}, 2};
    struct pg_rows *rows = ask_try(estimating->submit.invocation, &ask);
    if (rows && pg_rows_count(rows) > 0) {
        struct buf text;
        buf_init(&text, 0);
        buf_printf(&text, "key %s is closed: %s", ask_value(rows, 0, "key_name"),
                   status_key_cause(ask_value(rows, 0, "closed_by")));
        model->closed = buf_take(&text);
    }
    pg_rows_free(rows);
}

void estimate_limits(struct estimating *estimating)
{
    bool online = !estimating->submit.order.offline;
    for (size_t i = 0; i < estimating->model_count; i++) {
        struct estimate_model *model = &estimating->models[i];
        struct ask ask = {limits_sql, {model->model->provider->name, model->model->name}, 2};
        struct pg_rows *rows = online ? ask_try(estimating->submit.invocation, &ask) : NULL;
        limit_model(estimating, model, rows);
        pg_rows_free(rows);
        if (online)
            note_closed(estimating, model);
    }
}

// ------------------------------------------------------------------------------- the queue

#define RESTING_SQL                                                                                \
    "from precis_data.requeued q where q.reason in ('not_before', 'batch', 'budget', 'paused',"    \
    " 'conversation', 'deadline_lane')"                                                            \
    " and not exists (select from unnest($1::text[], $2::text[]) o (tenant, batch)"                \
    "  where o.tenant = q.tenant and o.batch = q.batch)"

static const char counts_sql[] =
    "select (select coalesce(sum(b.queued + b.waiting + b.running), 0) from precis.batches b"
    "  where not exists (select from unnest($1::text[], $2::text[]) o (tenant, batch)"
    "   where o.tenant = b.tenant and o.batch = b.batch))::bigint as open,"
    " (select count(*) " RESTING_SQL ") as resting";

// The newest of the jobs that are known.
static const char models_sql[] =
    "select coalesce(j.spec::json -> 'summarize' ->> 'model', 'default') as model, count(*) as jobs"
    " from (select k.job_no, k.spec from precis_data.jobs k where not exists ("
    "   select from unnest($1::text[], $2::text[]) o (tenant, batch)"
    "   where o.tenant = k.tenant and o.batch = k.batch)"
    "  order by k.job_no desc limit 20000) j"
    " where not exists (select from precis_data.outcomes u where u.job_no = j.job_no)"
    " group by 1 order by 2 desc limit 100";

static void share_out(struct estimating *estimating, const char *name, int64_t jobs)
{
    const struct config_model *model = config_find_model(estimating->submit.config, name, 0);
    for (size_t i = 0; i < estimating->model_count; i++)
        if (estimating->models[i].model == model)
            estimating->models[i].jobs_before += jobs;
}

static void share_by_model(struct estimating *estimating, const struct pg_rows *rows)
{
    int64_t known = 0;
    for (size_t i = 0; rows && i < pg_rows_count(rows); i++)
        known += ask_number(rows, i, "jobs");
    if (known == 0)
        share_out(estimating, "default", estimating->before);
    for (size_t i = 0; known > 0 && i < pg_rows_count(rows); i++)
        share_out(estimating, ask_value(rows, i, "model"),
                  estimating->before * ask_number(rows, i, "jobs") / known);
}

void estimate_queue(struct estimating *estimating)
{
    const struct submit *submit = &estimating->submit;
    struct pg_array tenants, batches;
    pg_array_init(&tenants);
    pg_array_init(&batches);
    for (size_t i = 0; i < submit->batch_count; i++) {
        pg_array_add_text(&tenants, submit->batches[i].tenant);
        pg_array_add_text(&batches, submit->batches[i].name);
    }
    struct ask ask = {counts_sql, {pg_array_str(&tenants), pg_array_str(&batches)}, 2};
    struct pg_rows *counts = ask_try(submit->invocation, &ask);
    estimating->resting = ask_number(counts, 0, "resting");
    estimating->before = ask_number(counts, 0, "open") - estimating->resting;
    if (estimating->before < 0)
        estimating->before = 0;
    ask.sql = models_sql;
    struct pg_rows *models = estimating->before > 0 ? ask_try(submit->invocation, &ask) : NULL;
    share_by_model(estimating, models);
    pg_rows_free(models);
    pg_rows_free(counts);
    pg_array_deinit(&tenants);
    pg_array_deinit(&batches);
}
