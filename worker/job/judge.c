// SPDX-License-Identifier: Apache-2.0
// What follows from an answer: the one place of retry policy (CONTRACT.md, section 9).
//
//   class        attempt is       then
//   none         ok               next call, or the outcome
//   throttled    throttled        the key waits; no attempt used
//   transient    failed/in_doubt  again after a backoff, `retry.attempts` and `retry.doubtful`
//   times exhausted    failed           the key closes; the job waits key          failed the key
//   closes, or (403) is probed; the job waits too_long     failed           a new plan with smaller
//   parts bad_output   failed           one repair cut_off      failed           once with more
//   room all others   failed           the job fails
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/backoff.h"
#include "job/parts.h"

static enum step_result record_then(struct job *job, enum step next,
                                    const struct step_context *context)
{
    job->after_record = job->dropped ? STEP_END : next;
    job_move(job, STEP_RECORD, context->now);
    job_act(context, ACTION_RECORD);
    return STEP_WAIT;
}

static struct summary_rule rule_of_call(const struct job *job, size_t call_index, bool final)
{
    const struct plan_call *call = &job->plan.calls[call_index];
    int64_t chars = call->kind == PLAN_COMBINE ? job->text_chars : call->to - call->from;
    return summary_rule_of(job->spec, call_prompt_kind(call->kind), job->schema, (size_t)chars,
                           final);
}

static void add_warning(struct summary *summary, const char *text)
{
    if (summary->warning_count < SUMMARY_WARNINGS)
        summary->warnings[summary->warning_count++] = own_strdup(text);
}

// job->summary is what the last call answered.
static enum step_result conclude(struct job *job, const struct job_now *now)
{
    for (size_t i = 0; i < job->document.warning_count; i++)
        add_warning(&job->summary, job->document.warnings[i]);
    if (job->plan.truncated)
        add_warning(&job->summary, "the document was cut to fit the model's context");
    draft_done(job, now->words);
    job_move(job, STEP_FINISH, now);
    return STEP_AGAIN;
}

enum step_result judge_conclude(struct job *job, const struct job_now *now)
{
    const char *answer = job->plan.calls[job->plan.count - 1].answer;
    struct summary_rule rule = rule_of_call(job, job->plan.count - 1, true);
    struct failure failure;
    summary_deinit(&job->summary);
    if (!summary_parse(&job->summary, &rule, answer, strlen(answer), &failure))
        return job_fail(job, &failure, now);
    return conclude(job, now);
}

// The answer is whole and of the right shape; `take` is what was read of it.
static enum step_result accept(struct job *job, struct summary *take,
                               const struct step_context *context)
{
    struct plan *plan = &job->plan;
    draft_attempt(job, ATTEMPT_OK, context->now);
    plan->calls[plan->cursor].answer =
        own_strndup(job->call.answer.content, job->call.answer.content_len);
    draft_part(job, plan->calls[plan->cursor].answer);
    if (job->cut) { // `retry` finds the answer
        summary_deinit(take);
        return job_stopped(job, context->now);
    }
    if (plan->cursor + 1 == plan->count) {
        summary_deinit(&job->summary);
        job->summary = *take;
        return conclude(job, context->now);
    }
    summary_deinit(take);
    return record_then(job, STEP_ADMIT, context);
}

// This attempt ends the job.
static enum step_result fail_with(struct job *job, const struct failure *failure,
                                  enum attempt_outcome outcome, const struct step_context *context)
{
    draft_attempt(job, outcome, context->now);
    if (job->cut)
        return job_stopped(job, context->now);
    if (job->dropped) // the worker leaves: another one decides
        return record_then(job, STEP_END, context);
    return job_fail(job, failure, context->now);
}

static enum step_result retry(struct job *job, const struct failure *failure,
                              const struct step_context *context)
{
    const struct backoff *rule = &context->now->config->retry;
    struct call *call = &job->call;
    enum attempt_outcome outcome = failure->doubtful ? ATTEMPT_IN_DOUBT : ATTEMPT_FAILED;
    if (failure->doubtful)
        call->doubtful++;
    else
        call->attempts_used++;
    if (failure->doubtful && call->doubtful >= rule->doubtful) {
        struct failure doubt;
        char code[40];
        failure_set(&doubt, ERR_IN_DOUBT, "%d attempts left no complete answer (the last: %s, %s)",
                    call->doubtful, failure_code(failure, code, sizeof(code)), failure->detail);
        return fail_with(job, &doubt, outcome, context);
    }
    if (failure->say_no_retry || call->attempts_used >= rule->attempts)
        return fail_with(job, failure, outcome, context);
    int64_t delay_ms =
        backoff_delay_ms(rule, call->attempts_used + call->doubtful, context->now->random);
    if (failure->retry_after_ms > delay_ms)
        delay_ms = failure->retry_after_ms;
    job->not_before_ms = context->now->now_ms + delay_ms;
    draft_attempt(job, outcome, context->now);
    return record_then(job, STEP_ADMIT, context);
}

static enum step_result repair(struct job *job, const struct failure *failure,
                               const struct step_context *context)
{
    struct call *call = &job->call;
    if (call->repaired)
        return fail_with(job, failure, ATTEMPT_FAILED, context);
    draft_attempt(job, ATTEMPT_FAILED, context->now);
    call->repaired = true;
    free(call->bad_answer);
    call->bad_answer = own_strndup(call->answer.content, call->answer.content_len);
    free(call->bad_reason);
    call->bad_reason = own_strdup(failure->detail);
    job->draft.attempt.answer = call->bad_answer;
    return record_then(job, STEP_ADMIT, context);
}

static enum step_result widen(struct job *job, const struct failure *failure,
                              const struct step_context *context)
{
    struct call *call = &job->call;
    if (call->widened || call->max_output_tokens >= job->plan.model->max_output_tokens)
        return fail_with(job, failure, ATTEMPT_FAILED, context);
    call->widened = true;
    draft_attempt(job, ATTEMPT_FAILED, context->now);
    return record_then(job, STEP_ADMIT, context);
}

static enum step_result replan(struct job *job, const struct failure *failure,
                               const struct step_context *context)
{
    if (job->spec->on_too_long == TOO_LONG_FAIL || job->plan.no >= JOB_PLANS_MAX ||
        job->plan.part_tokens < 400)
        return fail_with(job, failure, ATTEMPT_FAILED, context);
    int64_t tried = job->call.input_tokens_estimate;
    int64_t less = (job->plan.part_tokens < tried ? job->plan.part_tokens : tried) / 2;
    job->plan.part_tokens = less > 200 ? less : 200;
    draft_attempt(job, ATTEMPT_FAILED, context->now);
    return record_then(job, STEP_PLAN, context);
}

static enum step_result wait_for_key(struct job *job, const struct failure *failure,
                                     enum attempt_outcome outcome,
                                     const struct step_context *context)
{
    if (failure->code == ERR_FORBIDDEN) {
        job->failure = *failure;
        job->forbidden = true;
    }
    job->not_before_ms = 0;
    draft_attempt(job, outcome, context->now);
    return record_then(job, STEP_ADMIT, context);
}

static enum step_result fatal(struct job *job, const struct failure *failure,
                              const struct step_context *context)
{
    if (failure->say_retry)
        return retry(job, failure, context);
    bool next = failure->code == ERR_MODEL_NOT_FOUND &&
                route_leave(job, context->now->config, "model_not_found");
    if (!next)
        return fail_with(job, failure, ATTEMPT_FAILED, context);
    draft_attempt(job, ATTEMPT_FAILED, context->now);
    return record_then(job, STEP_PLAN, context);
}

// One of a packed call's documents may be what the provider or the model did not take: each is
// asked for by itself, which uses up no attempt.
static enum step_result ask_alone(struct job *job, const struct failure *failure,
                                  const struct step_context *context)
{
    job->call.alone = true;
    if (failure->code != ERR_PACKED_ANSWER)
        failure_set(&job->call.answer.failure, ERR_PACKED_ANSWER,
                    "the answer to several documents could not be used: %s", failure->detail);
    draft_attempt(job, ATTEMPT_FAILED, context->now);
    return record_then(job, STEP_ADMIT, context);
}

// A wait that has nothing to do with what was asked.
static bool is_of_key(const struct failure *failure)
{
    enum err_class class = err_class(failure->code);
    return class == ERR_CLASS_THROTTLED || class == ERR_CLASS_EXHAUSTED || class == ERR_CLASS_KEY;
}

static bool is_of_content(const struct failure *failure)
{
    switch (err_class(failure->code)) {
    case ERR_CLASS_TOO_LONG:
    case ERR_CLASS_BAD_OUTPUT:
    case ERR_CLASS_CUT_OFF:
    case ERR_CLASS_FATAL:
    case ERR_CLASS_REFUSED:
    case ERR_CLASS_FILTERED:
        return !failure->say_retry;
    case ERR_CLASS_KEY:
        return failure->code == ERR_FORBIDDEN;
    case ERR_CLASS_THROTTLED:
    case ERR_CLASS_EXHAUSTED:
    case ERR_CLASS_TRANSIENT:
    case ERR_CLASS_CANCELLED:
    case ERR_CLASS_INPUT:
    case ERR_CLASS_NONE:
        break;
    }
    return false;
}

static enum step_result judge_failure(struct job *job, const struct failure *failure,
                                      const struct step_context *context)
{
    if (job->pack && is_of_content(failure))
        return ask_alone(job, failure, context);
    if (job->pack && !is_of_key(failure))
        job->call.alone = true;
    switch (err_class(failure->code)) {
    case ERR_CLASS_THROTTLED:
        return wait_for_key(job, failure, ATTEMPT_THROTTLED, context);
    case ERR_CLASS_EXHAUSTED:
    case ERR_CLASS_KEY:
        return wait_for_key(job, failure, ATTEMPT_FAILED, context);
    case ERR_CLASS_TRANSIENT:
        return retry(job, failure, context);
    case ERR_CLASS_TOO_LONG:
        return replan(job, failure, context);
    case ERR_CLASS_BAD_OUTPUT:
        return repair(job, failure, context);
    case ERR_CLASS_CUT_OFF:
        return widen(job, failure, context);
    case ERR_CLASS_FATAL:
        return fatal(job, failure, context);
    case ERR_CLASS_REFUSED:
    case ERR_CLASS_FILTERED:
    case ERR_CLASS_CANCELLED:
    case ERR_CLASS_INPUT:
    case ERR_CLASS_NONE:
        return fail_with(job, failure, ATTEMPT_FAILED, context);
    }
    CHECK(false);
    return STEP_DONE;
}

void judge_key(struct job *job, const struct step_context *context)
{
    const struct failure *failure = &job->call.answer.failure;
    if (failure->code == ERR_NONE || failure->code == ERR_OUTPUT_LIMIT)
        job_act(context, ACTION_KEY_SUCCEEDED);
    // 403 to several documents may be about one of them: it is asked for what each gets alone.
    bool unclear = job->pack && failure->code == ERR_FORBIDDEN;
    if (is_of_key(failure) && !unclear)
        job_act(context, ACTION_KEY_FAILED);
}

enum step_result judge_answer(struct job *job, const struct step_context *context)
{
    struct model_answer *answer = &job->call.answer;
    struct failure failure = answer->failure;
    if (failure.code == ERR_NONE && answer->length_limited)
        failure_set(&failure, ERR_OUTPUT_LIMIT, "the answer reached its limit of %lld tokens",
                    (long long)job->call.max_output_tokens);
    if (failure.code == ERR_NONE) {
        struct summary_rule rule = rule_of_call(job, job->plan.cursor, job->call.repaired);
        struct summary parsed = {0};
        if (summary_parse(&parsed, &rule, answer->content, answer->content_len, &failure))
            return accept(job, &parsed, context);
        summary_deinit(&parsed);
    }
    answer->failure = failure;
    return judge_failure(job, &failure, context);
}
