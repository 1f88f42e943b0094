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
#include "core/facts.h"

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
    engine->words = fact_words_new();
    prompt_overhead_init(&engine->overhead);
    gate_init(engine);
    documents_init(engine);
    packs_init(engine);
    parking_init(engine);
    intake_init(engine);
    config_budgets_init(&engine->budgets, engine->config);
    return engine;
}

struct job *engine_job_of(struct list_node *node)
{
    return list_item(node, struct job, in_step);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    for (int i = 0; i < STEP_COUNT; i++)
        for (struct list_node *node; (node = list_first(&engine->steps[i]));) {
            struct job *job = engine_job_of(node);
            list_remove(&job->in_queue);
            order_remove(&job->in_order);
            list_remove(&job->in_pack);
            list_remove(node);
            job_free(job);
        }
    config_budgets_deinit(&engine->budgets);
    gate_deinit(engine);
    packs_deinit(engine);
    parking_deinit(engine);
    fact_words_free(engine->words);
    prompt_overhead_deinit(&engine->overhead);
    intake_deinit(engine);
    heap_deinit(&engine->wakes);
    slots_deinit(&engine->jobs);
    slots_deinit(&engine->partitions);
    free(engine);
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
              LOG_TEXT("error", job->draft.outcome.error ? job->draft.outcome.error
                                : failed                 ? job->failure.detail
                                                         : ""),
              LOG_NUMBER("ms", engine_now(engine) - job->born_ms));
}

static void end_job(struct engine *engine, struct job *job)
{
    if (job->had_outcome)
        intake_finished(engine, job);
    if (job->parked)
        parking_parked(engine, job);
    if (!job->dropped && !job->parked) {
        log_end(engine, job);
        const char *outcome = job->copied ? "done"
                              : job->spec && job->draft.has_outcome
                                  ? (job->draft.outcome.state == JOB_DONE     ? "done"
                                     : job->draft.outcome.state == JOB_FAILED ? "failed"
                                                                              : "cancelled")
                              : job->spec ? "elsewhere"
                                          : "none";
        metrics_add(engine->options.metrics, METRIC_JOBS, "summarize", outcome, 1);
        if (job->draft.has_outcome && job->draft.outcome.state == JOB_FAILED)
            metrics_add(engine->options.metrics, METRIC_DEAD_LETTERS, job->draft.outcome_code, NULL,
                        1);
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
    struct job_now now = {
        .config = engine->config,
        .now_ms = engine_now(engine),
        .db_now_ms = engine_db_now(engine),
        .random = engine->edges.random(engine->edges.world),
        .lease_valid = engine_lease_valid(engine) && !engine->stopping,
        .can_extract = engine->edges.extract_ops != NULL,
        .can_park = engine->store_up && parking_has_room(engine),
        .tokens_per_second = gate ? gate->tokens_per_second : 0,
        .words = engine->words,
        .overhead = &engine->overhead,
        .calibrate = gate ? &gate->calibrate : NULL,
    };
    route_tell(engine, &now);
    return now;
}

static void keep_in_order(struct engine *engine, struct job *job)
{
    if (job->in_step.in != &engine->steps[job->step]) {
        list_remove(&job->in_step);
        list_append(&engine->steps[job->step], &job->in_step);
    }
    size_t bytes = job->step == STEP_TWIN ? 0 : job_bytes(job); // see jobs_in_window
    engine->bytes += bytes - job->counted_bytes;
    job->counted_bytes = bytes;
    if (job->wake_ms == INT64_MAX)
        heap_remove(&engine->wakes, &job->wake);
    else if (job->wake.place == 0 || job->wake.key != job->wake_ms)
        heap_set(&engine->wakes, &job->wake, job->wake_ms);
}

// It has paid for nothing yet, or is another's: a worker that leaves leaves it to others.
static bool is_idle(const struct job *job)
{
    bool begun = job->plan.cursor > 0 || job->call.last_attempt_no > 0;
    return job->step == STEP_HELD || job->step == STEP_TWIN || job->step == STEP_DOCUMENT ||
           job->step == STEP_EXTRACT || (job->step == STEP_ADMIT && !begun);
}

void engine_step(struct engine *engine, struct job *job, const struct job_event *event)
{
    struct job_now now = now_for(engine, job);
    struct job_actions actions = {0};
    enum job_verdict verdict = job_step(job, event, &now, &actions);
    for (size_t i = 0; i < actions.count; i++)
        engine_act(engine, job, actions.kinds[i]);
    gate_update(engine, job);
    packs_update(engine, job);
    documents_update(engine, job);
    if (verdict == JOB_ENDED) {
        end_job(engine, job);
        return;
    }
    keep_in_order(engine, job);
    bool leave = is_idle(job) || (engine->stopping && job->step == STEP_ADMIT);
    if (engine->draining && leave)
        engine_step(engine, job, &(struct job_event){.kind = JOB_STOP});
}

void engine_add(struct engine *engine, struct job *job, struct slot_id partition)
{
    job->id = slots_add(&engine->jobs, job);
    job->partition = partition;
    job->came = engine->came++;
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
        log_event(engine->options.log, engine->broker_up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
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

// Before the first claim, and again now and then: workers whose lease has ended unseen are found
// so, and this one's wants are back after its own has.
static void tell_budgets(struct engine *engine)
{
    engine->next_budgets_ms = engine_now(engine) + BUDGETS_MS;
    engine->edges.store_ops->budgets(engine->edges.store, engine->budgets.items,
                                     engine->budgets.count);
}

void engine_take_budgets(struct engine *engine, const struct config *fresh)
{
    config_budgets_deinit(&engine->budgets);
    config_budgets_init(&engine->budgets, fresh);
    if (engine->ever_up)
        tell_budgets(engine);
}

static void on_renewed(struct engine *engine, const struct store_event *event)
{
    engine->renewing = false;
    engine->lease_until_ms = engine->renew_sent_ms + LEASE_MS;
    engine->db_offset_ms = event->u.renewed.db_now_ms - engine_now(engine);
    if (event->u.renewed.broken)
        log_event(engine->options.log, LOG_LEVEL_WARN, "lease_renewed_late",
                  LOG_NUMBER("db_now_ms", event->u.renewed.db_now_ms));
    if (event->u.renewed.broken || engine_now(engine) >= engine->next_budgets_ms)
        tell_budgets(engine);
}

static void on_store_state(struct engine *engine, bool up)
{
    if (up && !engine->ever_up)
        tell_budgets(engine);
    engine->store_up = up;
    engine->ever_up |= up;
    if (up) {
        engine->next_renew_ms = 0;
        quota_store_up(engine);
    }
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
        {STORE_SEALED, JOB_SEALED},     {STORE_KEPT, JOB_KEPT},
        {STORE_PARKED, JOB_PARKED},     {STORE_REUSED, JOB_REUSED},
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
        [JOB_SEALED] = "after_seal",       [JOB_KEPT] = "after_keep",
        [JOB_PARKED] = "after_park",       [JOB_REUSED] = "after_reuse",
    };
    if (points[kind])
        engine->edges.at_point(engine->edges.world, points[kind]);
    if (event->kind == STORE_RECORDED)
        engine_announce(engine, event->u.recorded.announcements,
                        event->u.recorded.announcement_count);
    if (event->kind == STORE_REUSED && event->u.reused.announcement)
        engine_announce(engine, event->u.reused.announcement, 1);
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

// Jobs were cancelled whose calls are not to be waited for.
static void look_at_calls(struct engine *engine, enum step step)
{
    struct list *calls = &engine->steps[step];
    for (struct list_node *node = list_first(calls); node; node = list_next(calls, node)) {
        struct job *job = engine_job_of(node);
        job->looked_ms = engine_now(engine);
        engine->edges.store_ops->look_up(engine->edges.store, job->id, job->job_no);
    }
}

static void on_notice(struct engine *engine, const char *what)
{
    if (strcmp(what, "pause") == 0)
        engine->next_take_ms = 0; // its answer says what is paused
    if (strcmp(what, "budget") == 0)
        gate_budget_changed(engine);
    quota_noticed(engine, what);
    if (strcmp(what, "cancel") == 0) {
        look_at_calls(engine, STEP_CALL);
        look_at_calls(engine, STEP_PACKED);
    }
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
        parking_answered(engine, event);
    else if (event->kind == STORE_QUOTA)
        quota_granted(engine, event);
    else if (event->kind == STORE_CALIBRATED)
        learn_answered(engine, event);
    else if (event->kind == STORE_NOTICE)
        on_notice(engine, event->u.notice.what);
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
        keys_on_check(engine, event);
        return;
    }
    struct job *job = slots_get(&engine->jobs, event->owner);
    if (!job || job->call.serial != event->serial) {
        metrics_add(engine->options.metrics, METRIC_LATE_ANSWERS, NULL, NULL, 1);
        return;
    }
    if (event->kind == HTTP_STATUS && event->status == 200 && job->probes)
        keys_probe_answered(engine, job);
    if ((event->kind == HTTP_END || event->kind == HTTP_DATA) && job->call.first_byte_ms < 0)
        quota_headers(engine, job);
    if (event->kind == HTTP_DATA && job->call.first_byte_ms < 0)
        engine->edges.at_point(engine->edges.world, "first_byte");
    if (event->kind == HTTP_END)
        engine->edges.at_point(engine->edges.world, "last_byte");
    engine_step(engine, job, &(struct job_event){.kind = JOB_HTTP, .http = event});
}

void engine_on_extract(struct engine *engine, const struct extract_event *event)
{
    documents_extracted(engine, event);
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

const char *engine_waiting_reason(const struct engine *engine, const struct job *job,
                                  int64_t *out_start_ms)
{
    *out_start_ms = 0;
    if (job->step == STEP_HELD)
        return "claimed";
    if (job->step == STEP_TWIN)
        return "order"; // its twin goes first
    if (job->step != STEP_ADMIT)
        return documents_reason(engine, job, out_start_ms);
    return gate_reason(engine, job, out_start_ms);
}

// Reasons are written for jobs that have waited for a second, and only when they change. Not for
// HELD: the row is its holder's, who knows what it waits for.
static void scan_waiting(struct engine *engine, enum step step)
{
    int64_t now_ms = engine_now(engine);
    for (struct list_node *node = list_first(&engine->steps[step]); node;
         node = list_next(&engine->steps[step], node)) {
        struct job *job = engine_job_of(node);
        if (now_ms - job->step_since_ms < SCAN_MS || job->job_no == 0)
            continue;
        int64_t start_ms;
        const char *reason = engine_waiting_reason(engine, job, &start_ms);
        if (start_ms)
            start_ms += engine->db_offset_ms;
        int64_t later_ms = start_ms - job->waiting_until;
        if (strcmp(reason, job->waiting_for) == 0 && later_ms > -SCAN_MS && later_ms < SCAN_MS)
            continue;
        snprintf(job->waiting_for, sizeof(job->waiting_for), "%s", reason);
        job->waiting_until = start_ms;
        engine->edges.store_ops->waiting(engine->edges.store, job->job_no, reason, start_ms);
    }
}

// A job that waits for a time, a quota, a key or a child has no intent that would tell it of its
// stop.
static void look_for_stops(struct engine *engine, enum step step)
{
    int64_t now_ms = engine_now(engine);
    size_t left = LOOK_BATCH;
    struct list *waiting = &engine->steps[step];
    for (struct list_node *node = list_first(waiting); node && left > 0;
         node = list_next(waiting, node)) {
        struct job *job = engine_job_of(node);
        bool calls = step == STEP_CALL || step == STEP_PACKED;
        int64_t every_ms = calls ? LOOK_CALL_MS : LOOK_MS;
        if (now_ms - job->step_since_ms < every_ms || now_ms - job->looked_ms < every_ms)
            continue;
        job->looked_ms = now_ms;
        left--;
        engine->edges.store_ops->look_up(engine->edges.store, job->id, job->job_no);
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
    if (!engine->taking && !engine->draining && is_due(&engine->next_take_ms, REQUEUED_MS, now_ms))
        parking_ask(engine);
    if (is_due(&engine->next_scan_ms, SCAN_MS, now_ms)) {
        static const enum step waiting[] = {STEP_ADMIT, STEP_DOCUMENT, STEP_EXTRACT, STEP_TWIN};
        route_scan(engine);
        for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
            scan_waiting(engine, waiting[i]);
            if (waiting[i] != STEP_TWIN) // those ask by themselves
                look_for_stops(engine, waiting[i]);
        }
        look_for_stops(engine, STEP_CALL);
        look_for_stops(engine, STEP_PACKED);
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
    documents_pump(engine);
    packs_pump(engine);
    int64_t next_ms = keys_limit_checks(engine);
    next_ms = sooner(next_ms, gate_pump(engine));
    next_ms = sooner(next_ms, quota_pump(engine));
    next_ms = sooner(next_ms, learn_pump(engine));
    parking_send_away(engine);
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

static void leave_idle_jobs(struct engine *engine, enum step step)
{
    struct list_node *next;
    for (struct list_node *node = list_first(&engine->steps[step]); node; node = next) {
        next = list_next(&engine->steps[step], node);
        struct job *job = engine_job_of(node);
        if (is_idle(job))
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
    static const enum step steps[] = {STEP_ADMIT, STEP_HELD, STEP_DOCUMENT, STEP_EXTRACT,
                                      STEP_TWIN};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        leave_idle_jobs(engine, steps[i]);
    intake_adjust(engine);
    learn_pump(engine);
}

void engine_stop_jobs(struct engine *engine)
{
    engine_drain(engine);
    engine->stopping = true;
    for (int step = 0; step < STEP_COUNT; step++) {
        struct list_node *next;
        for (struct list_node *node = list_first(&engine->steps[step]); node; node = next) {
            next = list_next(&engine->steps[step], node);
            engine_step(engine, engine_job_of(node), &(struct job_event){.kind = JOB_STOP});
        }
    }
}

bool engine_is_empty(const struct engine *engine)
{
    return engine->jobs.len == 0 && engine->announcing == 0;
}
