// SPDX-License-Identifier: Apache-2.0
// Never buy twice: a job whose question another one asks waits for that one's answer and copies it.
//
// Who leads is decided with the intent, not with the claim (io/store.h): the first whose request is
// about to leave. A job that merely waits, for a quota, a time or a budget, holds up nobody who
// could go sooner. Its twins learn of it with their claims, or with their own intents, and come
// here; they hold no slot, and ask every half second. Where the leader fails or is cancelled, or
// has stood still without having paid for anything, they go on by themselves, and the next one
// whose request leaves leads. A job that comes here by its intent has its plan, and goes back to
// ADMIT.
#include <jansson.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/identity.h"
#include "job/parts.h"

// So long a twin waits in memory, and then so long in PostgreSQL each time.
#define STAY_MS 10000
#define AWAY_MS 5000

bool twin_is_fresh(const struct job *job)
{
    return job->spec->fresh || job->saved.anew;
}

// The content of a job whose URL came without a hash, now that the document is known: that of a job
// that names the hash.
static void hash_with_document(const struct job *job, const char *sha256, unsigned char out[32])
{
    json_t *root = json_loads(job->spec->spec_json, 0, NULL);
    const char *kind = job_kind_text(job->spec->kind);
    struct identity_content content = {
        .kind = kind, .parameters = json_object_get(root, kind), .document_sha256 = sha256};
    identity_hash(&content, out);
    json_decref(root);
}

// What is asked, by the plan; before there is one what it will be, as far as that is certain.
struct asked {
    const struct config_model *model; // NULL: not known yet
    enum reasoning_mode reasoning;
};

static struct asked asked_of(struct job *job, const struct config *config)
{
    struct asked asked = {.model = job->plan.count > 0 ? job->plan.model : NULL};
    if (asked.model)
        asked.reasoning = job_reasoning(job);
    else
        asked.model = route_expected(job, config, &asked.reasoning);
    return asked;
}

static void make_key(struct job *job, const struct config *config, const struct asked *asked,
                     const char *document_sha256)
{
    unsigned char content[32];
    char *version OWN_FREE = prompt_version(job->spec);
    memcpy(content, job->spec->content_hash, sizeof(content));
    if (!job->spec->document_sha256[0])
        hash_with_document(job, document_sha256, content);
    const struct identity_question question = {
        .tenant = job->spec->tenant,
        .content = content,
        .media_type = document_is_plain(job, config) ? "" : job->spec->media_type,
        .model = asked->model->name,
        .reasoning = reasoning_mode_text(asked->reasoning),
        .prompt_version = version,
    };
    identity_answer_key(&question, job->answer_key);
    job->answer_model = asked->model;
    job->answer_reasoning = asked->reasoning;
}

const unsigned char *twin_key(struct job *job, const struct config *config)
{
    const char *sha256 = job->spec->document_sha256;
    if (!sha256[0])
        sha256 = job->document.sha256[0] ? job->document.sha256 : job->saved.document_sha256;
    const struct asked asked = asked_of(job, config);
    if (!sha256[0] || !asked.model)
        return NULL;
    if (job->answer_model != asked.model || job->answer_reasoning != asked.reasoning)
        make_key(job, config, &asked, sha256);
    return job->answer_key;
}

enum step_result twin_enter(struct job *job, const struct step_context *context)
{
    job->was_twin = true;
    struct summary_row row; // for the document's address, which belongs to the job
    document_describe(job, &row);
    job_move(job, STEP_TWIN, context->now);
    job_act(context, ACTION_REUSE);
    return STEP_WAIT;
}

static enum step_result end_here(struct job *job, const struct job_now *now)
{
    job->copied = job->had_outcome = true;
    job_move(job, STEP_END, now);
    return STEP_DONE;
}

static enum step_result on_clock(struct job *job, const struct step_context *context)
{
    const struct job_now *now = context->now;
    if (job->spec->fail_on_deadline && now->db_now_ms >= job->spec->deadline_ms) {
        struct failure failure;
        failure_set(&failure, ERR_EXPIRED, "the deadline passed while the job waited");
        return job_fail(job, &failure, now);
    }
    job_wake_at(job, INT64_MAX);
    job_act(context, ACTION_REUSE);
    return STEP_WAIT;
}

static enum step_result hold(struct job *job, const struct job_now *now)
{
    job_move(job, STEP_HELD, now);
    job_wake_at(job, now->now_ms + JOB_HELD_MS);
    return STEP_WAIT;
}

// What takes long is not waited for in memory: nor can a window full of twins keep out the job that
// they wait for, where that has to be read again after its worker ended.
static enum step_result wait_elsewhere(struct job *job, const struct step_context *context)
{
    const struct park_place place = {.reason = "order",
                                     .due_ms = context->now->db_now_ms + AWAY_MS};
    return job_park(job, &place, context);
}

enum step_result step_twin(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    const struct job_now *now = context->now;
    if (event->kind == JOB_STOP)
        return job_leave(job, context);
    if (event->kind == JOB_WAKE)
        return on_clock(job, context);
    switch (event->store->u.reused.verdict) {
    case REUSE_COPIED:
        return end_here(job, now);
    case REUSE_WAIT:
        if (now->can_park && now->now_ms - job->step_since_ms >= STAY_MS)
            return wait_elsewhere(job, context);
        job_wake_at(job, now->now_ms + JOB_TWIN_MS);
        return STEP_WAIT;
    case REUSE_FREE:
        return job->plan.count > 0 ? admit_enter(job, now) : document_begin(job, context);
    case REUSE_STOPPED:
        job->stop = event->store->u.reused.stop;
        return job_stopped(job, now);
    case REUSE_FENCED:
        return hold(job, now);
    }
    CHECK(false);
    return STEP_DONE;
}
