// SPDX-License-Identifier: Apache-2.0
// Jobs in the engine: an event is given to a job, its actions become calls of the edges.
#include "engine_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "base/redact.h"

int64_t engine_now(const struct engine *engine)
{
    return engine->edges.now_ms(engine->edges.world);
}

int64_t engine_db_now(const struct engine *engine)
{
    return engine_now(engine) + engine->db_offset_ms;
}

bool engine_lease_valid(const struct engine *engine)
{
    return engine_now(engine) < engine->lease_until_ms - LEASE_MARGIN_MS;
}

// ------------------------------------------------------------------------------- life

struct engine *engine_new(const struct engine_options *options, const struct edges *edges)
{
    struct engine *engine = own_alloc(sizeof(*engine));
    engine->options = *options;
    engine->config = options->config;
    engine->edges = *edges;
    slots_init(&engine->jobs);
    slots_init(&engine->partitions);
    heap_init(&engine->wakes);
    for (int i = 0; i < STEP_COUNT; i++)
        list_init(&engine->steps[i]);
    gate_init(engine);
    return engine;
}

static struct job *job_of_step(struct list_node *node)
{
    return list_item(node, struct job, in_step);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    for (int i = 0; i < STEP_COUNT; i++)
        for (struct list_node *node; (node = list_first(&engine->steps[i]));) {
            struct job *job = job_of_step(node);
            list_remove(&job->in_queue);
            list_remove(node);
            job_free(job);
        }
    gate_deinit(engine);
    intake_deinit(engine);
    heap_deinit(&engine->wakes);
    slots_deinit(&engine->jobs);
    slots_deinit(&engine->partitions);
    free(engine);
}

// ------------------------------------------------------------------------------- actions

static void act_claim(struct engine *engine, struct job *job)
{
    const struct message *message = &job->raw->message;
    bool requeued = message->partition < 0;
    job->serial = ++engine->next_serial;
    struct claim_request request = {
        .owner = job->id,
        .serial = job->serial,
        .spec = job->spec,
        .topic = requeued ? NULL : message->topic,
        .partition = message->partition,
        .offset = message->offset,
        .submitted_at_ms = message->timestamp_ms,
    };
    engine->edges.store_ops->claim(engine->edges.store, &request);
}

static void act_intend(struct engine *engine, struct job *job)
{
    const struct plan *plan = &job->plan;
    struct plan_row row = {
        .plan_no = plan->no,
        .model = plan->model->name,
        .prompt_version = PROMPT_VERSION,
        .text_sha256 = job->text_sha256,
        .calls_json = plan->calls_json,
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
        .key_name = plan->model->provider->key_name,
        .reasoning_mode = reasoning_mode_text(job->spec->reasoning_mode),
        .price_version = plan->model->price_version,
        .at_most_picousd = job->call.at_most_picousd,
        .plan = plan->stored ? NULL : &row,
    };
    engine->edges.store_ops->intend(engine->edges.store, &request);
}

// "tenant/batch/id/revision/n": the call's name for the provider's support and for gateways that
// know idempotency keys.
static void name_call(const struct job *job, struct buf *out)
{
    buf_printf(out, "%s/%s/%s/%" PRId64 "/%zu", job->spec->tenant, job->spec->batch, job->spec->id,
               job->spec->revision, job->plan.cursor + 1);
}

static void act_call(struct engine *engine, struct job *job)
{
    const struct config_provider *provider = job->plan.model->provider;
    struct buf bearer, key, request_id;
    buf_init(&bearer, 0);
    buf_init(&key, 0);
    buf_init(&request_id, 0);
    name_call(job, &key);
    buf_printf(&key, "/%d/%d", job->plan.no, job->call.repaired + 2 * job->call.widened);
    name_call(job, &request_id);
    buf_printf(&request_id, "/%d/%d", job->plan.no, job->call.last_attempt_no);
    struct header headers[5];
    size_t count = 0;
#define HEADER(header_name, text)                                                                  \
    headers[count++] = (struct header){(header_name), (text), strlen(text)}
    HEADER("Content-Type", "application/json");
    HEADER("Accept", job->plan.model->stream ? "text/event-stream" : "application/json");
    HEADER("Idempotency-Key", buf_str(&key));
    HEADER("X-Client-Request-Id", buf_str(&request_id));
    if (provider->key) {
        buf_printf(&bearer, "Bearer %s", provider->key);
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
    metrics_add(metrics, METRIC_CALLS, model, attempt_outcome_name(attempt->outcome), 1);
    metrics_add(metrics, METRIC_TOKENS, model, "input", attempt->usage.input_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "cached", attempt->usage.cached_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "output", attempt->usage.output_tokens);
    metrics_add(metrics, METRIC_TOKENS, model, "reasoning", attempt->usage.reasoning_tokens);
    if (attempt->cost_picousd > 0)
        metrics_add(metrics, METRIC_COST, model, NULL, attempt->cost_picousd);
    if (attempt->outcome == ATTEMPT_IN_DOUBT)
        metrics_add(metrics, METRIC_CALLS_IN_DOUBT, NULL, NULL, 1);
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
    if (draft->has_attempt)
        count_attempt(engine, job);
    engine->edges.at_point(engine->edges.world, "before_record");
    engine->edges.store_ops->record(engine->edges.store, &request);
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

static void act(struct engine *engine, struct job *job, enum action_kind kind)
{
    const struct edges *edges = &engine->edges;
    switch (kind) {
    case ACTION_CLAIM:
        act_claim(engine, job);
        break;
    case ACTION_LOOK_UP:
        edges->store_ops->look_up(edges->store, job->id, job->job_no);
        break;
    case ACTION_FETCH:
        edges->store_ops->fetch(edges->store, job->id, job->spec->document_sha256);
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
    case ACTION_RECORD:
        act_record(engine, job);
        break;
    case ACTION_BURY:
        act_bury(engine, job);
        break;
    case ACTION_SEAL:
        act_seal(engine, job);
        break;
    case ACTION_KEY_FAILED:
        gate_key_failed(engine, job);
        break;
    case ACTION_KEY_SUCCEEDED:
        gate_key_succeeded(engine, job);
        break;
    }
}

// ------------------------------------------------------------------------------- stepping

static void log_end(struct engine *engine, const struct job *job)
{
    const struct message *message = &job->raw->message;
    char code[40];
    bool failed = job->failure.code != ERR_NONE;
    log_event(engine->options.log, failed ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "job_ended",
              LOG_TEXT("tenant", job->spec ? job->spec->tenant : ""),
              LOG_TEXT("batch", job->spec ? job->spec->batch : ""),
              LOG_TEXT("job", job->spec ? job->spec->id : ""), LOG_TEXT("topic", message->topic),
              LOG_NUMBER("partition", message->partition), LOG_NUMBER("offset", message->offset),
              LOG_TEXT("code", failed ? failure_code(&job->failure, code, sizeof(code)) : "none"),
              LOG_TEXT("error", failed ? job->failure.detail : ""),
              LOG_NUMBER("ms", engine_now(engine) - job->born_ms));
}

static void end_job(struct engine *engine, struct job *job)
{
    if (job->had_outcome)
        intake_finished(engine, job);
    if (!job->dropped) {
        log_end(engine, job);
        const char *outcome = job->spec && job->draft.has_outcome
                                  ? (job->draft.outcome.state == JOB_DONE     ? "done"
                                     : job->draft.outcome.state == JOB_FAILED ? "failed"
                                                                              : "cancelled")
                              : job->spec ? "elsewhere"
                                          : "none";
        metrics_add(engine->options.metrics, METRIC_JOBS, "summarize", outcome, 1);
    }
    engine->bytes -= job->counted_bytes;
    heap_remove(&engine->wakes, &job->wake);
    list_remove(&job->in_step);
    slots_remove(&engine->jobs, job->id);
    job_free(job);
}

static struct job_now now_for(struct engine *engine, const struct job *job)
{
    const struct gate *gate = job->plan.model ? &engine->gates[job->plan.model->index] : NULL;
    return (struct job_now){
        .config = engine->config,
        .now_ms = engine_now(engine),
        .db_now_ms = engine_db_now(engine),
        .random = engine->edges.random(engine->edges.world),
        .lease_valid = engine_lease_valid(engine),
        .tokens_per_second = gate ? gate->tokens_per_second : 0,
    };
}

static void keep_in_order(struct engine *engine, struct job *job)
{
    if (job->in_step.in != &engine->steps[job->step]) {
        list_remove(&job->in_step);
        list_append(&engine->steps[job->step], &job->in_step);
    }
    size_t bytes = job_bytes(job);
    engine->bytes += bytes - job->counted_bytes;
    job->counted_bytes = bytes;
    if (job->wake_ms == INT64_MAX)
        heap_remove(&engine->wakes, &job->wake);
    else if (job->wake.place == 0 || job->wake.key != job->wake_ms)
        heap_set(&engine->wakes, &job->wake, job->wake_ms);
}

void engine_step(struct engine *engine, struct job *job, const struct job_event *event)
{
    struct job_now now = now_for(engine, job);
    struct job_actions actions = {0};
    enum job_verdict verdict = job_step(job, event, &now, &actions);
    for (size_t i = 0; i < actions.count; i++)
        act(engine, job, actions.kinds[i]);
    gate_update(engine, job);
    if (verdict == JOB_ENDED) {
        end_job(engine, job);
        return;
    }
    keep_in_order(engine, job);
}

void engine_add(struct engine *engine, struct job *job, struct slot_id partition)
{
    job->id = slots_add(&engine->jobs, job);
    job->partition = partition;
    list_append(&engine->steps[job->step], &job->in_step);
    engine_step(engine, job, &(struct job_event){.kind = JOB_START});
}

// ------------------------------------------------------------------------------- events

void engine_announce(struct engine *engine, const struct announcement *list, size_t count)
{
    const struct edges *edges = &engine->edges;
    for (size_t i = 0; i < count; i++) {
        bool result = list[i].kind == ANNOUNCE_RESULT;
        uint64_t token = (uint64_t)list[i].id * 2 + (result ? 0 : 1);
        // A full queue is no loss: the sweep finds what was not announced.
        if (edges->broker_ops->produce(edges->broker, result ? TOPIC_RESULTS : TOPIC_DEAD_LETTERS,
                                       &list[i].message, token))
            engine->announcing++;
    }
}

static void on_delivered(struct engine *engine, const struct broker_event *event)
{
    CHECK(engine->announcing > 0);
    engine->announcing--;
    engine->edges.at_point(engine->edges.world, "after_delivery");
    if (event->ok)
        engine->edges.store_ops->announced(
            engine->edges.store, event->token % 2 ? ANNOUNCE_DEAD_LETTER : ANNOUNCE_RESULT,
            (int64_t)(event->token / 2));
}

void engine_on_broker(struct engine *engine, const struct broker_event *event)
{
    switch (event->kind) {
    case BROKER_DELIVERED:
        on_delivered(engine, event);
        break;
    case BROKER_UP:
    case BROKER_DOWN:
        engine->broker_up = event->kind == BROKER_UP;
        log_event(engine->options.log, LOG_LEVEL_WARN,
                  engine->broker_up ? "kafka_up" : "kafka_down", LOG_TEXT("reason", event->reason));
        break;
    case BROKER_FATAL:
        engine->fatal = true;
        snprintf(engine->fatal_reason, sizeof(engine->fatal_reason), "kafka: %s", event->reason);
        log_event(engine->options.log, LOG_LEVEL_ERROR, "kafka_fatal",
                  LOG_TEXT("reason", event->reason));
        break;
    case BROKER_OFFERED:
    case BROKER_REVOKED:
    case BROKER_MESSAGE:
    case BROKER_STUCK:
        intake_broker(engine, event);
        break;
    }
}

static void on_renewed(struct engine *engine, const struct store_event *event)
{
    engine->renewing = false;
    engine->lease_until_ms = engine->renew_sent_ms + LEASE_MS;
    engine->db_offset_ms = event->u.renewed.db_now_ms - engine_now(engine);
    if (event->u.renewed.broken)
        log_event(engine->options.log, LOG_LEVEL_WARN, "lease_renewed_late",
                  LOG_NUMBER("db_now_ms", event->u.renewed.db_now_ms));
}

static void on_store_state(struct engine *engine, bool up)
{
    engine->store_up = up;
    engine->ever_up |= up;
    if (up)
        engine->next_renew_ms = 0;
    log_event(engine->options.log, up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
              up ? "database_up" : "database_down", LOG_NUMBER("jobs_in_flight", engine->jobs.len));
}

// The kinds that are answers to a job; false for the others.
static bool job_event_of(enum store_event_kind kind, enum job_event_kind *out)
{
    static const struct {
        enum store_event_kind store;
        enum job_event_kind job;
    } pairs[] = {
        {STORE_CLAIMED, JOB_CLAIMED},   {STORE_LOOKED_UP, JOB_LOOKED_UP},
        {STORE_INTENDED, JOB_INTENDED}, {STORE_RECORDED, JOB_RECORDED},
        {STORE_FETCHED, JOB_FETCHED},   {STORE_BURIED, JOB_BURIED},
        {STORE_SEALED, JOB_SEALED},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (pairs[i].store == kind) {
            *out = pairs[i].job;
            return true;
        }
    return false;
}

static void on_job_answer(struct engine *engine, const struct store_event *event,
                          enum job_event_kind kind)
{
    static const char *const points[JOB_EVENT_COUNT] = {
        [JOB_CLAIMED] = "after_claim",     [JOB_INTENDED] = "after_intent",
        [JOB_RECORDED] = "after_record",   [JOB_BURIED] = "after_bury",
        [JOB_LOOKED_UP] = "after_look_up", [JOB_FETCHED] = "after_fetch",
        [JOB_SEALED] = "after_seal",
    };
    if (points[kind])
        engine->edges.at_point(engine->edges.world, points[kind]);
    if (event->kind == STORE_RECORDED)
        engine_announce(engine, event->u.recorded.announcements,
                        event->u.recorded.announcement_count);
    if (event->kind == STORE_BURIED && event->u.buried.announcement)
        engine_announce(engine, event->u.buried.announcement, 1);
    struct job *job = slots_get(&engine->jobs, event->owner);
    if (!job) {
        metrics_add(engine->options.metrics, METRIC_LATE_ANSWERS, NULL, NULL, 1);
        if (event->kind == STORE_CLAIMED)
            claim_reply_deinit(event->u.claimed);
        return;
    }
    engine_step(engine, job, &(struct job_event){.kind = kind, .store = event});
}

static void on_housekeeping(struct engine *engine, const struct store_event *event)
{
    if (event->kind == STORE_UP || event->kind == STORE_DOWN)
        on_store_state(engine, event->kind == STORE_UP);
    else if (event->kind == STORE_RENEWED)
        on_renewed(engine, event);
    else if (event->kind == STORE_PARTITION)
        intake_partition_known(engine, event->u.partition);
    else if (event->kind == STORE_SUSPECTED)
        intake_suspected(engine, event);
    else if (event->kind == STORE_REQUEUED)
        intake_requeued(engine, event);
    else if (event->kind == STORE_SWEPT) {
        engine->sweeping = false;
        engine_announce(engine, event->u.swept.announcements, event->u.swept.announcement_count);
    }
}

void engine_on_store(struct engine *engine, const struct store_event *event)
{
    enum job_event_kind kind;
    if (job_event_of(event->kind, &kind))
        on_job_answer(engine, event, kind);
    else
        on_housekeeping(engine, event);
}

void engine_on_http(struct engine *engine, const struct http_event *event)
{
    if (event->owner.index == UINT32_MAX) {
        gate_on_check(engine, event);
        return;
    }
    struct job *job = slots_get(&engine->jobs, event->owner);
    if (!job || job->call.serial != event->serial) {
        metrics_add(engine->options.metrics, METRIC_LATE_ANSWERS, NULL, NULL, 1);
        return;
    }
    if (event->kind == HTTP_DATA && job->call.first_byte_ms < 0)
        engine->edges.at_point(engine->edges.world, "first_byte");
    if (event->kind == HTTP_END)
        engine->edges.at_point(engine->edges.world, "last_byte");
    engine_step(engine, job, &(struct job_event){.kind = JOB_HTTP, .http = event});
}

// ------------------------------------------------------------------------------- running

static void wake_jobs(struct engine *engine)
{
    int64_t now_ms = engine_now(engine);
    struct heap_node *node;
    while ((node = heap_first(&engine->wakes)) && node->key <= now_ms) {
        struct job *job = list_item(node, struct job, wake);
        heap_remove(&engine->wakes, node);
        engine_step(engine, job, &(struct job_event){.kind = JOB_WAKE});
    }
}

static const char *waiting_reason(const struct engine *engine, const struct job *job,
                                  int64_t *out_start_ms)
{
    *out_start_ms = 0;
    if (job->step == STEP_HELD)
        return "claimed";
    return gate_reason(engine, job, out_start_ms);
}

// Reasons are written for jobs that have waited for a second, and only when they change.
static void scan_waiting(struct engine *engine, enum step step)
{
    int64_t now_ms = engine_now(engine);
    for (struct list_node *node = list_first(&engine->steps[step]); node;
         node = list_next(&engine->steps[step], node)) {
        struct job *job = job_of_step(node);
        if (now_ms - job->step_since_ms < SCAN_MS || job->job_no == 0)
            continue;
        int64_t start_ms;
        const char *reason = waiting_reason(engine, job, &start_ms);
        if (strcmp(reason, job->waiting_for) == 0)
            continue;
        snprintf(job->waiting_for, sizeof(job->waiting_for), "%s", reason);
        engine->edges.store_ops->waiting(engine->edges.store, job->job_no, reason,
                                         start_ms ? start_ms + engine->db_offset_ms : 0);
    }
}

static bool is_due(int64_t *next_ms, int64_t every_ms, int64_t now_ms)
{
    if (now_ms < *next_ms)
        return false;
    *next_ms = now_ms + every_ms;
    return true;
}

static void keep_house(struct engine *engine)
{
    const struct edges *edges = &engine->edges;
    int64_t now_ms = engine_now(engine);
    if (!engine->renewing && is_due(&engine->next_renew_ms, RENEW_MS, now_ms)) {
        engine->renewing = true;
        engine->renew_sent_ms = now_ms;
        edges->store_ops->renew(edges->store);
    }
    if (!engine->sweeping && is_due(&engine->next_sweep_ms, SWEEP_MS, now_ms)) {
        engine->sweeping = true;
        edges->store_ops->sweep(edges->store, ANNOUNCE_BATCH);
    }
    if (!engine->taking && !engine->draining &&
        is_due(&engine->next_take_ms, REQUEUED_MS, now_ms)) {
        engine->taking = true;
        edges->store_ops->take_requeued(edges->store, REQUEUED_BATCH);
    }
    if (is_due(&engine->next_scan_ms, SCAN_MS, now_ms)) {
        scan_waiting(engine, STEP_ADMIT);
        scan_waiting(engine, STEP_HELD);
    }
}

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

int64_t engine_run(struct engine *engine)
{
    if (engine->store_up)
        keep_house(engine);
    wake_jobs(engine);
    int64_t next_ms = gate_pump(engine);
    intake_adjust(engine);
    const struct heap_node *node = heap_first(&engine->wakes);
    if (node)
        next_ms = sooner(next_ms, node->key);
    if (engine->store_up) {
        next_ms = sooner(next_ms, engine->next_scan_ms);
        if (!engine->renewing)
            next_ms = sooner(next_ms, engine->next_renew_ms);
    }
    return next_ms;
}

// ------------------------------------------------------------------------------- the end

// Jobs that have paid for nothing yet are left to others at once; those that have begun go on.
static void leave_idle_jobs(struct engine *engine, enum step step)
{
    struct list_node *next;
    for (struct list_node *node = list_first(&engine->steps[step]); node; node = next) {
        next = list_next(&engine->steps[step], node);
        struct job *job = job_of_step(node);
        bool begun = step == STEP_ADMIT && (job->plan.cursor > 0 || job->call.last_attempt_no > 0);
        if (!begun)
            engine_step(engine, job, &(struct job_event){.kind = JOB_STOP});
    }
}

void engine_drain(struct engine *engine)
{
    if (engine->draining)
        return;
    engine->draining = true;
    log_event(engine->options.log, LOG_LEVEL_INFO, "draining",
              LOG_NUMBER("jobs_in_flight", engine->jobs.len));
    leave_idle_jobs(engine, STEP_ADMIT);
    leave_idle_jobs(engine, STEP_HELD);
    intake_adjust(engine);
}

void engine_stop_jobs(struct engine *engine)
{
    for (int step = 0; step < STEP_COUNT; step++) {
        struct list_node *next;
        for (struct list_node *node = list_first(&engine->steps[step]); node; node = next) {
            next = list_next(&engine->steps[step], node);
            engine_step(engine, job_of_step(node), &(struct job_event){.kind = JOB_STOP});
        }
    }
}

bool engine_is_empty(const struct engine *engine)
{
    return engine->jobs.len == 0 && engine->announcing == 0;
}

void engine_keys_reread(struct engine *engine)
{
    for (size_t i = 0; i < engine->config->provider_count; i++)
        key_reopen(&engine->keys[i].key);
}

bool engine_key_is_refused(const struct engine *engine)
{
    for (size_t i = 0; i < engine->config->provider_count; i++)
        if (engine->keys[i].key.cause == KEY_REFUSED)
            return true;
    return false;
}

// ------------------------------------------------------------------------------- health

static void print_check(struct buf *out, const char *name, const char *trouble)
{
    buf_printf(out, ",\"%s\":{\"ok\":%s,\"reason\":\"%s\"}", name, trouble ? "false" : "true",
               trouble ? trouble : "");
}

bool engine_health(const struct engine *engine, struct buf *out)
{
    const char *partitions = intake_trouble(engine);
    const char *database = engine->store_up  ? NULL
                           : engine->ever_up ? "PostgreSQL is away; work goes on when it is back"
                                             : "not connected to PostgreSQL yet";
    const char *lease = engine_lease_valid(engine) ? NULL : "the lease is not renewed";
    const char *kafka = engine->fatal       ? engine->fatal_reason
                        : engine->broker_up ? NULL
                                            : "Kafka is out of reach";
    bool ready = !partitions && !database && !lease && !kafka && !engine->draining;
    buf_printf(out, "{\"status\":\"%s\",\"agent\":\"%s\",\"checks\":{\"jobs_in_flight\":%zu",
               ready ? "ok" : "unavailable",
               engine->draining ? "draining"
               : ready          ? "ready"
                                : "not ready",
               engine->jobs.len);
    print_check(out, "database", database);
    print_check(out, "lease", lease);
    print_check(out, "kafka", kafka);
    print_check(out, "partitions", partitions);
    buf_add_str(out, "}}\n");
    return ready;
}

static void measure_waiting(struct engine *engine)
{
    static const char *const reasons[] = {"slots", "key_closed", "requests", "tokens",
                                          "retry", "not_before", "claimed",  "database"};
    int64_t counts[sizeof(reasons) / sizeof(reasons[0])] = {0};
    static const enum step steps[] = {STEP_ADMIT, STEP_HELD};
    for (size_t s = 0; s < 2; s++)
        for (struct list_node *node = list_first(&engine->steps[steps[s]]); node;
             node = list_next(&engine->steps[steps[s]], node)) {
            int64_t start_ms;
            const char *reason = waiting_reason(engine, job_of_step(node), &start_ms);
            for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                counts[i] += strcmp(reason, reasons[i]) == 0;
        }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        metrics_set(engine->options.metrics, METRIC_JOBS_WAITING, reasons[i], NULL, counts[i]);
}

void engine_measure(struct engine *engine)
{
    struct metrics *metrics = engine->options.metrics;
    int64_t oldest_ms = engine_now(engine);
    for (int step = 0; step < STEP_COUNT; step++) {
        metrics_set(metrics, METRIC_JOBS_STEP, step_name((enum step)step), NULL,
                    (int64_t)engine->steps[step].len);
        for (struct list_node *node = list_first(&engine->steps[step]); node;
             node = list_next(&engine->steps[step], node))
            oldest_ms = sooner(oldest_ms, job_of_step(node)->born_ms);
    }
    metrics_set(metrics, METRIC_JOBS_IN_FLIGHT, NULL, NULL, (int64_t)engine->jobs.len);
    metrics_set(metrics, METRIC_OLDEST_UNFINISHED, NULL, NULL,
                (engine_now(engine) - oldest_ms) / 1000);
    metrics_set(metrics, METRIC_DATABASE_UP, NULL, NULL, engine->store_up);
    measure_waiting(engine);
    for (size_t i = 0; i < engine->config->provider_count; i++) {
        const struct key *key = &engine->keys[i].key;
        int64_t until_ms = key->cause == KEY_FINE ? 0 : key->closed_until_ms + engine->db_offset_ms;
        metrics_set(metrics, METRIC_KEY_CLOSED_UNTIL, engine->config->providers[i].key_name, NULL,
                    until_ms / 1000);
    }
}
