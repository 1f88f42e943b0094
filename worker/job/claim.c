// SPDX-License-Identifier: Apache-2.0
// Whose job it is: the claim, and the wait for another's claim.
#include "base/check.h"
#include "job/parts.h"

// The job ends here without an outcome of ours: another's is there, or the worker leaves.
static enum step_result end_job(struct job *job, bool had_outcome, const struct job_now *now)
{
    job->had_outcome = had_outcome;
    job->dropped = !had_outcome;
    job_move(job, STEP_END, now);
    return STEP_DONE;
}

static enum step_result hold(struct job *job, const struct job_now *now)
{
    job_move(job, STEP_HELD, now);
    job_wake_at(job, now->now_ms + JOB_HELD_MS);
    return STEP_WAIT;
}

// A claimed job whose message is no use: it has no row of its own, so it is buried.
static enum step_result bury_conflict(struct job *job, const struct job_now *now)
{
    failure_set(&job->failure, ERR_CONFLICT,
                "id \"%s\" revision %lld exists in this batch with other content", job->spec->id,
                (long long)job->spec->revision);
    job->bury = BURY_DEAD;
    job_move(job, STEP_BURY, now);
    return STEP_AGAIN;
}

static enum step_result bury_rejected(struct job *job, const struct job_now *now)
{
    failure_set(&job->failure, ERR_STORE_REJECTED, "PostgreSQL refused the job (SQLSTATE %s)",
                job->saved.sqlstate);
    job->bury = BURY_DEAD;
    job_move(job, STEP_BURY, now);
    return STEP_AGAIN;
}

static enum step_result begin_claimed(struct job *job, const struct step_context *context)
{
    if (job->stop != STOP_NONE)
        return job_stopped(job, context->now);
    struct failure failure;
    if (job->saved.crashes >= JOB_CRASHES_MAX) {
        failure_set(&failure, ERR_CRASHED_WORKERS, "%d workers ended while they held this job",
                    job->saved.crashes);
        return job_fail(job, &failure, context->now);
    }
    bool not_yet = job->spec->not_before_ms > context->now->db_now_ms;
    if (job->saved.twin && !not_yet && !twin_is_fresh(job) && twin_key(job, context->now->config))
        return twin_enter(job, context);
    return document_begin(job, context);
}

static void forget_earlier_run(struct job *job)
{
    claim_reply_deinit(&job->saved);
    plan_deinit(&job->plan);
    call_deinit(&job->call);
    buf_init(&job->call.body, 0);
    summary_deinit(&job->summary);
    draft_clear(&job->draft);
    job->not_before_ms = 0;
    job->forbidden = false;
    job->stop = STOP_NONE;
    job->failure = (struct failure){0};
}

enum step_result step_claim(struct job *job, const struct job_event *event,
                            const struct step_context *context)
{
    struct claim_reply *reply = event->store->u.claimed;
    forget_earlier_run(job);
    job->saved = *reply;
    *reply = (struct claim_reply){0}; // taken
    job->job_no = job->saved.job_no;
    job->epoch = job->saved.epoch;
    job->stop = job->saved.stop;
    job->was_twin = job->saved.twin;
    job->attempts_all = (int32_t)job->saved.attempt_count;
    job->spent_picousd = 0;
    for (size_t i = 0; i < job->saved.attempt_count; i++)
        job->spent_picousd += job->saved.attempts[i].spent_picousd;
    switch (job->saved.verdict) {
    case CLAIM_MINE:
        return begin_claimed(job, context);
    case CLAIM_HELD:
        return hold(job, context->now);
    case CLAIM_PARKED:
        job->parked = true;
        return end_job(job, true, context->now);
    case CLAIM_FINISHED:
    case CLAIM_STALE:
        return end_job(job, true, context->now);
    case CLAIM_CONFLICT:
        return bury_conflict(job, context->now);
    case CLAIM_REJECTED:
        return bury_rejected(job, context->now);
    }
    CHECK(false);
    return STEP_DONE;
}

enum step_result step_held(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->kind == JOB_STOP)
        return end_job(job, false, context->now);
    if (event->kind == JOB_WAKE) {
        job_wake_at(job, INT64_MAX);
        job_act(context, ACTION_LOOK_UP);
        return STEP_WAIT;
    }
    switch (event->store->u.looked_up.verdict) {
    case LOOKUP_FINISHED:
        return end_job(job, true, context->now);
    case LOOKUP_FREE:
        job_move(job, STEP_CLAIM, context->now);
        job_act(context, ACTION_CLAIM);
        return STEP_WAIT;
    case LOOKUP_HELD:
        job_wake_at(job, context->now->now_ms + JOB_HELD_MS);
        return STEP_WAIT;
    }
    CHECK(false);
    return STEP_DONE;
}
