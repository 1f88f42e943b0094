// SPDX-License-Identifier: Apache-2.0
// A job that has to wait long, or whose worker leaves, goes back to PostgreSQL and ends here.
//
// It takes nothing along: plans, paid answers and attempts are there already, and whoever takes it
// up finds them with its claim. Its message is not needed any more, so its offset is finished.
#include "job/parts.h"

enum step_result job_park(struct job *job, const struct park_place *place,
                          const struct step_context *context)
{
    job->place = *place;
    if (job->in_order.in)
        job->place.tokens = job->in_order.tokens;
    else
        job->place.tokens = job->plan.count > job->plan.cursor ? job_need_tokens(job) : 0;
    job->place.bytes = (int64_t)(job->raw->bytes + job->text_len);
    job->place.fails = job->spec->fail_on_deadline;
    job_move(job, STEP_PARK, context->now);
    job_act(context, ACTION_PARK);
    return STEP_WAIT;
}

// Its backoff and its `not_before` go with it.
enum step_result job_leave(struct job *job, const struct step_context *context)
{
    const struct job_now *now = context->now;
    struct park_place place = {.reason = "order"};
    if (!now->can_park) {
        job->dropped = true;
        job_move(job, STEP_END, now);
        return STEP_DONE;
    }
    if (job->not_before_ms > now->now_ms) {
        place.reason = job->walled                     ? "budget"
                       : job->call.last_attempt_no > 0 ? "retry"
                                                       : "not_before";
        place.due_ms = place.start_ms = now->db_now_ms + job->not_before_ms - now->now_ms;
        if (job->walled) // it looks again then; the next period begins at its end
            place.start_ms = job->wall_ends_ms == INT64_MAX ? 0 : job->wall_ends_ms;
    }
    return job_park(job, &place, context);
}

enum step_result step_park(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->store->u.parked.verdict == PARK_FENCED) {
        job_move(job, STEP_HELD, context->now);
        job_wake_at(job, context->now->now_ms + JOB_HELD_MS);
        return STEP_WAIT;
    }
    job->had_outcome = true;
    job->parked = true;
    job_move(job, STEP_END, context->now);
    return STEP_DONE;
}
