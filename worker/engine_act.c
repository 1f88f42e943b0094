// SPDX-License-Identifier: Apache-2.0
// What a job asks for, carried out: its fields become requests of the edges.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "base/redact.h"
#include "engine_parts.h"

static void act_claim(struct engine *engine, struct job *job)
{
    const struct message *message = &job->raw->message;
    job->serial = ++engine->next_serial;
    struct claim_request request = {
        .owner = job->id,
        .serial = job->serial,
        .spec = job->spec,
        .topic = job->raw->requeued ? NULL : message->topic,
        .partition = message->partition,
        .offset = message->offset,
        .submitted_at_ms = message->timestamp_ms,
        .park = parking_of_new(engine, job) ? &job->place : NULL,
        .answer_key = twin_key(job, engine->config),
    };
    engine->edges.store_ops->claim(engine->edges.store, &request);
}

static void act_intend(struct engine *engine, struct job *job)
{
    const struct plan *plan = &job->plan;
    char *version OWN_FREE = plan->stored ? NULL : prompt_version(job->spec);
    const unsigned char *answer_key = twin_key(job, engine->config);
    struct plan_row row = {
        .plan_no = plan->no,
        .model = plan->model->name,
        .prompt_version = version,
        .text_sha256 = job->text_sha256,
        .calls_json = plan->calls_json,
        .reasoning_mode = job->reasoning_ruled ? reasoning_mode_text(job->reasoning) : NULL,
        .why = plan->why,
        .answer_key = plan->no > 1 ? answer_key : NULL,
    };
    struct intent_request request = {
        .owner = job->id,
        .job_no = job->job_no,
        .epoch = job->epoch,
        .plan_no = plan->no,
        .call_no = (int32_t)plan->cursor + 1,
        .attempt_no = job->call.last_attempt_no + 1,
        .provider = plan->model->provider->name,
        .model = plan->model->name,
        .key_name = keys_of_job(engine, job)->config->name,
        .reasoning_mode = reasoning_mode_text(job_reasoning(job)),
        .price_version = plan->model->price_version,
        .at_most_picousd = job->call.at_most_picousd,
        .pack = packs_name(job),
        .plan = plan->stored ? NULL : &row,
        .answer_key = answer_key,
        .fresh = twin_is_fresh(job),
        .was_twin = job->was_twin,
    };
    engine->edges.store_ops->intend(engine->edges.store, &request);
}

void engine_name_call(const struct job *job, struct buf *out)
{
    buf_printf(out, "%s/%s/%s/%" PRId64 "/%zu", job->spec->tenant, job->spec->batch, job->spec->id,
               job->spec->revision, job->plan.cursor + 1);
}

static void act_call(struct engine *engine, struct job *job)
{
    const struct config_provider *provider = job->plan.model->provider;
    const char *secret = keys_of_job(engine, job)->config->key;
    struct buf bearer, key, request_id;
    CHECK(!engine->stopping);
    buf_init(&bearer, 0);
    buf_init(&key, 0);
    buf_init(&request_id, 0);
    engine_name_call(job, &key);
    buf_printf(&key, "/%d/%d", job->plan.no, job->call.repaired + 2 * job->call.widened);
    if (job->pack) // the same documents are never packed again
        buf_printf(&key, "/pack/%d", job->call.last_attempt_no);
    engine_name_call(job, &request_id);
    buf_printf(&request_id, "/%d/%d", job->plan.no, job->call.last_attempt_no);
    struct header headers[5];
    size_t count = 0;
#define HEADER(header_name, text)                                                                  \
    headers[count++] = (struct header){(header_name), (text), strlen(text)}
    HEADER("Content-Type", "application/json");
    HEADER("Accept", job->plan.model->stream ? "text/event-stream" : "application/json");
    HEADER("Idempotency-Key", buf_str(&key));
    HEADER("X-Client-Request-Id", buf_str(&request_id));
    if (secret) {
        buf_printf(&bearer, "Bearer %s", secret);
        HEADER("Authorization", buf_str(&bearer));
    }
#undef HEADER
    struct http_request request = {
        .owner = job->id,
        .serial = job->call.serial,
        .provider = provider,
        .url = job->call.url,
        .headers = headers,
        .header_count = count,
        .body = job->call.body.data,
        .body_len = job->call.body.len,
    };
    engine->edges.at_point(engine->edges.world, "before_send");
    engine->edges.http_ops->start(engine->edges.http, &request);
    buf_deinit(&job->call.body);
    buf_deinit(&bearer);
    buf_deinit(&key);
    buf_deinit(&request_id);
}

static void count_attempt(struct engine *engine, const struct job *job)
{
    const struct attempt_result *attempt = &job->draft.attempt;
    struct metrics *metrics = engine->options.metrics;
    const char *model = job->plan.model->name;
    bool leads = packs_leads(engine, job); // a shared call counts once
    if (leads)
        metrics_add(metrics, METRIC_CALLS, model, attempt_outcome_name(attempt->outcome), 1);
    metrics_add(metrics, METRIC_TOKENS, model, "input", attempt->usage.input_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "cached", attempt->usage.cached_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "output", attempt->usage.output_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "reasoning", attempt->usage.reasoning_tokens);
    if (attempt->cost_picousd > 0)
        metrics_add(metrics, METRIC_COST, model, NULL, attempt->cost_picousd);
    if (attempt->outcome == ATTEMPT_IN_DOUBT && leads)
        metrics_add(metrics, METRIC_CALLS_IN_DOUBT, NULL, NULL, 1);
    if (!leads)
        return;
    if (attempt->outcome == ATTEMPT_OK)
        metrics_observe_ms(metrics, METRIC_CALL_SECONDS, model, attempt->duration_ms);
    else if (attempt->outcome != ATTEMPT_CANCELLED)
        metrics_add(metrics, METRIC_RETRIES,
                    err_class_name(err_class(job->call.answer.failure.code)), NULL, 1);
    if (attempt->ttft_ms >= 0)
        metrics_observe_ms(metrics, METRIC_FIRST_TOKEN_SECONDS, model, attempt->ttft_ms);
}

// What a provider says may quote a key or the document: it is redacted before it is stored.
static void redact(const struct engine *engine, char *text, size_t bytes)
{
    if (!engine->options.redactor || !text[0])
        return;
    struct buf out;
    buf_init(&out, 0);
    redactor_text(engine->options.redactor, text, strlen(text), &out);
    snprintf(text, bytes, "%s", buf_str(&out));
    buf_deinit(&out);
}

static void act_record(struct engine *engine, struct job *job)
{
    struct record_draft *draft = &job->draft;
    redact(engine, draft->error, sizeof(draft->error));
    redact(engine, draft->outcome_error, sizeof(draft->outcome_error));
    redact(engine, draft->outcome_suggestion, sizeof(draft->outcome_suggestion));
    draft->outcome.announce = engine->config->kafka.topic_results != NULL;
    struct record_request request = {
        .owner = job->id,
        .job_no = job->job_no,
        .epoch = job->epoch,
        .attempt = draft->has_attempt ? &draft->attempt : NULL,
        .part = draft->has_part ? &draft->part : NULL,
        .outcome = draft->has_outcome ? &draft->outcome : NULL,
    };
    if (draft->has_attempt && !draft->counted)
        count_attempt(engine, job);
    draft->counted = true; // what PostgreSQL refuses is recorded again
    engine->edges.at_point(engine->edges.world, "before_record");
    engine->edges.store_ops->record(engine->edges.store, &request);
}

static void act_park(struct engine *engine, struct job *job)
{
    struct park_request request = {
        .owner = job->id, .job_no = job->job_no, .epoch = job->epoch, .place = job->place};
    engine->edges.at_point(engine->edges.world, "before_park");
    engine->edges.store_ops->park(engine->edges.store, &request);
}

static void act_reuse(struct engine *engine, struct job *job)
{
    struct reuse_request request = {
        .owner = job->id,
        .job_no = job->job_no,
        .epoch = job->epoch,
        .answer_key = job->answer_key,
        .document_uri = job->document.uri,
        .announce = engine->config->kafka.topic_results != NULL,
    };
    engine->edges.store_ops->reuse(engine->edges.store, &request);
}

static void act_bury(struct engine *engine, struct job *job)
{
    const struct job_spec *spec = job->spec;
    struct bury_request request = {
        .owner = job->id,
        .kind = job->bury,
        .message = &job->raw->message,
        .tenant = spec ? spec->tenant : job->seal_tenant,
        .batch = spec ? spec->batch : job->seal_batch,
        .job_id = spec ? spec->id : job->bad_id,
        .revision = spec ? spec->revision : job->bad_revision,
        .version = job->version,
        .failure = &job->failure,
    };
    char code[40];
    if (job->bury == BURY_DEAD)
        metrics_add(engine->options.metrics, METRIC_DEAD_LETTERS,
                    failure_code(&job->failure, code, sizeof(code)), NULL, 1);
    engine->edges.store_ops->bury(engine->edges.store, &request);
}

static void act_seal(struct engine *engine, struct job *job)
{
    struct seal_request request = {job->id, job->seal_tenant, job->seal_batch, job->seal_total};
    engine->edges.store_ops->seal(engine->edges.store, &request);
}

static void act_fetch(struct engine *engine, struct job *job, bool bytes)
{
    const struct edges *edges = &engine->edges;
    const struct document *document = &job->document;
    struct fetch_request request = {
        .owner = job->id,
        .document_sha256 = document->sha256,
        .plain = !bytes && document_is_plain(job, engine->config),
        .bytes = bytes,
    };
    if (edges->extract_ops && !bytes)
        request.extractor = edges->extract_ops->version(edges->extractor, document->media_type,
                                                        job->spec->document_name);
    edges->store_ops->fetch(edges->store, &request);
}

static void act_extract(struct engine *engine, struct job *job)
{
    struct document *document = &job->document;
    const struct job_spec *spec = job->spec;
    bool url = spec->document == DOCUMENT_URL;
    struct extract_request request = {
        .owner = job->id,
        .media_type = document->media_type,
        .name = spec->document_name,
        .url = url ? spec->document_url : NULL,
        .sha256 = url && spec->document_sha256[0] ? spec->document_sha256 : NULL,
        .bytes = document->bytes,
        .len = url ? 0 : (size_t)document->size,
    };
    engine->edges.at_point(engine->edges.world, "before_extract");
    engine->edges.extract_ops->start(engine->edges.extractor, &request);
    document->bytes = NULL; // they were the event's
}

static void act_keep_text(struct engine *engine, struct job *job)
{
    const struct document *document = &job->document;
    struct text_row row = {
        .owner = job->id,
        .job_no = job->job_no,
        .epoch = job->epoch,
        .document_sha256 = document->sha256,
        .extractor = document->extractor,
        .text = job->text,
        .text_len = job->text_len,
        .pages = document->pages,
        .media_type = document->media_type,
        .warnings = (const char *const *)document->warnings,
        .warning_count = document->warning_count,
    };
    engine->edges.store_ops->keep_text(engine->edges.store, &row);
}

void engine_act(struct engine *engine, struct job *job, enum action_kind kind)
{
    const struct edges *edges = &engine->edges;
    switch (kind) {
    case ACTION_CLAIM:
        act_claim(engine, job);
        break;
    case ACTION_LOOK_UP:
        edges->store_ops->look_up(edges->store, job->id, job->job_no);
        break;
    case ACTION_REUSE:
        act_reuse(engine, job);
        break;
    case ACTION_FETCH:
        act_fetch(engine, job, false);
        break;
    case ACTION_FETCH_BYTES:
        act_fetch(engine, job, true);
        break;
    case ACTION_EXTRACT:
        act_extract(engine, job);
        break;
    case ACTION_CANCEL_EXTRACT:
        edges->extract_ops->cancel(edges->extractor, job->id);
        break;
    case ACTION_KEEP_TEXT:
        act_keep_text(engine, job);
        break;
    case ACTION_INTEND:
        act_intend(engine, job);
        break;
    case ACTION_CALL:
        act_call(engine, job);
        break;
    case ACTION_CANCEL_CALL:
        edges->http_ops->cancel(edges->http, job->id, job->cancel_serial);
        break;
    case ACTION_SHARE:
        packs_answered(engine, job);
        break;
    case ACTION_RECORD:
        act_record(engine, job);
        break;
    case ACTION_PARK:
        act_park(engine, job);
        break;
    case ACTION_BURY:
        act_bury(engine, job);
        break;
    case ACTION_SEAL:
        act_seal(engine, job);
        break;
    case ACTION_KEY_FAILED:
        keys_failed(engine, job);
        break;
    case ACTION_KEY_SUCCEEDED:
        keys_succeeded(engine, job);
        gate_answered(engine, job);
        break;
    }
}
