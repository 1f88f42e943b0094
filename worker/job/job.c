// SPDX-License-Identifier: Apache-2.0
// The machine that runs a job's steps, and the job's life.
#include "job/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/json_schema.h"
#include "job/parts.h"

#define EVENT(name) (1u << JOB_##name)
#define TO(name)    (1u << STEP_##name)

struct step_row {
    const char *name;
    enum step_result (*run)(struct job *, const struct job_event *, const struct step_context *);
    unsigned handles, ignores, follow;
};

static const struct step_row rows[] = {
#define STEP(name, text, function, handles, ignores, follow)                                       \
    {text, function, handles, ignores, follow},
#include "job/steps.def"
#undef STEP
};

const char *step_name(enum step step)
{
    CHECK((unsigned)step < STEP_COUNT);
    return rows[step].name;
}

unsigned step_handles(enum step step)
{
    CHECK((unsigned)step < STEP_COUNT);
    return rows[step].handles;
}

unsigned step_ignores(enum step step)
{
    CHECK((unsigned)step < STEP_COUNT);
    return rows[step].ignores;
}

// ------------------------------------------------------------------------------- life

struct raw_message *raw_message_copy(const struct message *from)
{
    size_t bytes = sizeof(struct raw_message) + from->header_count * sizeof(struct header) +
                   strlen(from->topic) + 1 + from->key_len + from->value_len + 2;
    for (size_t i = 0; i < from->header_count; i++)
        bytes += strlen(from->headers[i].name) + 1 + from->headers[i].value_len;
    struct raw_message *raw = own_alloc(bytes);
    raw->message = *from;
    raw->bytes = bytes;
    struct header *headers = (struct header *)(void *)(raw + 1);
    char *at = (char *)(headers + from->header_count);
#define PLACE(data, len) (memcpy(at, (data), (len)), at += (len), at - (len))
    raw->message.topic = PLACE(from->topic, strlen(from->topic) + 1);
    if (from->key)
        raw->message.key = PLACE(from->key, from->key_len);
    if (from->value)
        raw->message.value = PLACE(from->value, from->value_len);
    for (size_t i = 0; i < from->header_count; i++) {
        const struct header *header = &from->headers[i];
        headers[i] = *header;
        headers[i].name = PLACE(header->name, strlen(header->name) + 1);
        if (header->value)
            headers[i].value = PLACE(header->value, header->value_len);
    }
#undef PLACE
    raw->message.headers = headers;
    return raw;
}

static struct job *job_alloc(struct raw_message *raw, int64_t now_ms)
{
    struct job *job = own_alloc(sizeof(*job));
    job->raw = raw;
    job->step = STEP_NEW;
    job->wake_ms = INT64_MAX;
    job->script = -1;
    job->need_tokens = -1;
    job->born_ms = job->step_since_ms = now_ms;
    buf_init(&job->call.body, 0);
    return job;
}

struct job *job_new(struct raw_message *raw, struct job_spec *spec, int64_t now_ms)
{
    struct job *job = job_alloc(raw, now_ms);
    job->spec = spec;
    return job;
}

struct job *job_new_bury(struct raw_message *raw, enum bury_kind kind,
                         const struct failure *failure, int64_t now_ms)
{
    struct job *job = job_alloc(raw, now_ms);
    job->bury = kind;
    job->failure = *failure;
    return job;
}

struct job *job_new_seal(struct raw_message *raw, const char *tenant, const char *batch,
                         int64_t total, int64_t now_ms)
{
    struct job *job = job_alloc(raw, now_ms);
    job->seal_tenant = own_strdup(tenant);
    job->seal_batch = own_strdup(batch);
    job->seal_total = total;
    job->is_seal = true;
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    draft_clear(&job->draft);
    call_deinit(&job->call);
    plan_deinit(&job->plan);
    summary_deinit(&job->summary);
    json_schema_free(job->schema);
    claim_reply_deinit(&job->saved);
    if (!job->spec || job->text != job->spec->text)
        free(job->text);
    document_deinit(&job->document);
    if (job->spec)
        job_spec_deinit(job->spec);
    free(job->spec);
    free(job->seal_tenant);
    free(job->seal_batch);
    free(job->bad_id);
    free(job->route_why);
    free(job->raw);
    free(job);
}

size_t job_bytes(const struct job *job)
{
    size_t bytes = sizeof(*job) + job->raw->bytes + job->call.body.room;
    if (job->text)
        bytes += job->text_len;
    else if (job->spec)
        bytes += job->spec->text_len + job->spec->data_len;
    if (job->step == STEP_EXTRACT)
        bytes += (size_t)job->document.size;
    return bytes;
}

// ------------------------------------------------------------------------------- steps

static void check_invariant(const struct job *job)
{
    CHECK(job->in_queue.in == NULL || job->step == STEP_DOCUMENT);
    CHECK(job->in_order.in == NULL || job->step == STEP_ADMIT);
    CHECK(!job->document.under_way || job->step == STEP_EXTRACT);
    CHECK(job->step != STEP_PLAN || job->text != NULL);
    CHECK((job->call.serial != 0) == (job->step == STEP_CALL));
    CHECK(job->step != STEP_CALL || job->call.reader != NULL);
    CHECK(job->step != STEP_PACKED || job->pack != NULL);
    CHECK(job->step != STEP_ADMIT || job->plan.cursor < job->plan.count);
}

void job_move(struct job *job, enum step to, const struct job_now *now)
{
    CHECK(rows[job->step].follow & (1u << to));
    list_remove(&job->in_queue);
    order_remove(&job->in_order);
    list_remove(&job->in_pack);
    job->step = to;
    job->step_since_ms = now->now_ms;
    job->wake_ms = INT64_MAX;
    check_invariant(job);
}

void job_act(const struct step_context *context, enum action_kind kind)
{
    CHECK(context->actions->count < JOB_ACTIONS_MAX);
    context->actions->kinds[context->actions->count++] = kind;
}

void job_wake_at(struct job *job, int64_t at_ms)
{
    job->wake_ms = at_ms;
}

enum job_verdict job_step(struct job *job, const struct job_event *event, const struct job_now *now,
                          struct job_actions *actions)
{
    struct step_context context = {now, actions};
    unsigned bit = 1u << event->kind;
    if (rows[job->step].ignores & bit)
        return job->step == STEP_END ? JOB_ENDED : JOB_WAITS;
    CHECK(rows[job->step].handles & bit);
    enum step_result result = rows[job->step].run(job, event, &context);
    const struct job_event go = {.kind = JOB_GO};
    while (result == STEP_AGAIN) {
        if (!(rows[job->step].handles & EVENT(GO)))
            return JOB_WAITS;
        result = rows[job->step].run(job, &go, &context);
    }
    CHECK((result == STEP_DONE) == (job->step == STEP_END));
    return result == STEP_DONE ? JOB_ENDED : JOB_WAITS;
}

enum step_result job_fail(struct job *job, const struct failure *failure, const struct job_now *now)
{
    job->failure = *failure;
    draft_outcome(job, JOB_FAILED);
    job_move(job, STEP_FINISH, now);
    return STEP_AGAIN;
}

enum step_result job_stopped(struct job *job, const struct job_now *now)
{
    bool superseded = job->stop == STOP_SUPERSEDED;
    failure_set(&job->failure, superseded ? ERR_SUPERSEDED : ERR_CANCELLED, "%s",
                superseded ? "a higher revision of this job came" : "cancelled on request");
    draft_outcome(job, JOB_CANCELLED);
    job_move(job, STEP_FINISH, now);
    return STEP_AGAIN;
}

enum step_result step_new(struct job *job, const struct job_event *event,
                          const struct step_context *context)
{
    (void)event;
    if (job->is_seal) {
        job_move(job, STEP_SEAL, context->now);
        return STEP_AGAIN;
    }
    if (!job->spec) {
        job_move(job, STEP_BURY, context->now);
        return STEP_AGAIN;
    }
    job_move(job, STEP_CLAIM, context->now);
    job_act(context, ACTION_CLAIM);
    return STEP_WAIT;
}

enum step_result step_bury(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->kind == JOB_GO) {
        job_act(context, ACTION_BURY);
        return STEP_WAIT;
    }
    job->had_outcome = true;
    job_move(job, STEP_END, context->now);
    return STEP_DONE;
}

enum step_result step_seal(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->kind == JOB_GO) {
        job_act(context, ACTION_SEAL);
        return STEP_WAIT;
    }
    job->had_outcome = true;
    job_move(job, STEP_END, context->now);
    return STEP_DONE;
}

enum step_result step_end(struct job *job, const struct job_event *event,
                          const struct step_context *context)
{
    (void)job;
    (void)event;
    (void)context;
    return STEP_DONE;
}
