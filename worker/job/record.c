// SPDX-License-Identifier: Apache-2.0
// What is written of a call and of the job's end, and what follows when it is durable.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/price.h"
#include "core/tokens.h"
#include "job/parts.h"

void draft_clear(struct record_draft *draft)
{
    trust_clear(draft);
    free(draft->output_json);
    free(draft->prompt_version);
    *draft = (struct record_draft){0};
}

// Tokens of an answer whose server said nothing of usage.
static void estimate_usage(const struct job *job, struct usage *out)
{
    const struct model_answer *answer = &job->call.answer;
    *out = (struct usage){.known = true, .input_tokens = job->call.input_tokens_estimate};
    if (answer->content)
        out->output_tokens = tokens_estimate(answer->content, answer->content_len);
}

// The cost as the outcome says: known usage is exact, a whole answer without usage or with one that
// contradicts itself is estimated, no whole answer is in doubt, what was refused is free.
static void price_attempt(const struct job *job, struct attempt_result *attempt)
{
    const struct model_answer *answer = &job->call.answer;
    attempt->cost_picousd = 0;
    attempt->cost_source = COST_NONE;
    if (attempt->outcome == ATTEMPT_IN_DOUBT) {
        attempt->cost_picousd = -1;
        attempt->at_most_picousd = job->call.at_most_picousd;
        attempt->cost_source = COST_IN_DOUBT;
        return;
    }
    if (attempt->outcome == ATTEMPT_THROTTLED || attempt->outcome == ATTEMPT_CANCELLED)
        return;
    attempt->usage = answer->usage;
    attempt->cost_source = answer->usage_alarm ? COST_ESTIMATED : COST_EXACT;
    if (!answer->usage.known) {
        if (answer->content_bytes_seen == 0) // an error answer: nothing was made, nothing is paid
            return;
        estimate_usage(job, &attempt->usage);
        attempt->cost_source = COST_ESTIMATED;
    }
    if (!price_of_usage(&job->plan.model->price, &attempt->usage, &attempt->cost_picousd)) {
        attempt->cost_picousd = job->call.at_most_picousd;
        attempt->cost_source = COST_ESTIMATED;
    }
}

static const char *if_any(const char *text)
{
    return text[0] ? text : NULL;
}

static void describe_failure(struct job *job, const struct failure *failure)
{
    struct record_draft *draft = &job->draft;
    if (failure->code == ERR_NONE)
        return;
    struct buf sentence;
    buf_init(&sentence, sizeof(draft->error) - 1);
    provider_sentence(&sentence, job->plan.model->provider->name, failure);
    snprintf(draft->error, sizeof(draft->error), "%s", buf_str(&sentence));
    buf_deinit(&sentence);
    draft->attempt.error_code = failure_code(failure, draft->code, sizeof(draft->code));
    draft->attempt.error = draft->error;
}

void draft_attempt(struct job *job, enum attempt_outcome outcome, const struct job_now *now)
{
    struct call *call = &job->call;
    struct record_draft *draft = &job->draft;
    draft_clear(draft);
    draft->has_attempt = true;
    draft->attempt = (struct attempt_result){
        .plan_no = job->plan.no,
        .call_no = (int32_t)job->plan.cursor + 1,
        .attempt_no = call->last_attempt_no,
        .outcome = outcome,
        .cost_source = COST_NONE,
        .cost_reported_picousd = -1,
        .started_at_ms = call->started_unix_ms ? call->started_unix_ms : now->db_now_ms,
        .ttft_ms = -1,
    };
    if (outcome == ATTEMPT_CANCELLED) // it never left
        return;
    const struct model_answer *answer = &call->answer;
    draft->attempt.http_status = answer->http_status;
    draft->attempt.cost_reported_picousd = answer->cost_reported_picousd;
    draft->attempt.response_model = if_any(answer->response_model);
    draft->attempt.request_id = if_any(answer->request_id);
    draft->attempt.finish_reason = if_any(answer->finish_reason);
    draft->attempt.duration_ms = now->now_ms - call->begun_ms;
    if (call->first_token_ms >= 0)
        draft->attempt.ttft_ms = call->first_token_ms - call->begun_ms;
    price_attempt(job, &draft->attempt);
    job->spent_picousd += draft->attempt.cost_picousd >= 0 ? draft->attempt.cost_picousd
                                                           : draft->attempt.at_most_picousd;
    describe_failure(job, &answer->failure);
}

void draft_part(struct job *job, const char *answer)
{
    const struct plan_call *call = &job->plan.calls[job->plan.cursor];
    job->draft.has_part = true;
    job->draft.part = (struct part_row){
        .plan_no = job->plan.no,
        .call_no = (int32_t)job->plan.cursor + 1,
        .model = job->plan.model->name,
        .from = call->from,
        .to = call->to,
        .answer = answer,
    };
}

static void draft_summary(struct job *job, const struct fact_words *words)
{
    const struct summary *summary = &job->summary;
    const struct job_spec *spec = job->spec;
    struct summary_row *row = &job->draft.summary;
    free(job->draft.output_json);
    free(job->draft.prompt_version);
    job->draft.output_json = summary_output(summary);
    job->draft.prompt_version = prompt_version(spec);
    *row = (struct summary_row){
        .summary = summary->summary,
        .key_points = (const char *const *)summary->points,
        .key_point_count = summary->point_count,
        .output_json = job->draft.output_json,
        .warnings = (const char *const *)summary->warnings,
        .warning_count = summary->warning_count,
        .document_name = spec->document_name,
        .language = spec->language,
        .model = job->plan.model->name,
        .response_model = if_any(job->call.answer.response_model),
        .prompt_version = job->draft.prompt_version,
    };
    document_describe(job, row);
    trust_check(job, row, words);
    document_number_pages(job, job->draft.citations, row->citation_count);
    job->draft.outcome.summary = row;
}

static void draft_error(struct job *job)
{
    struct record_draft *draft = &job->draft;
    const struct failure *failure = &job->failure;
    struct buf sentence;
    buf_init(&sentence, sizeof(draft->outcome_error) - 1);
    if (failure->http_status && job->plan.model)
        provider_sentence(&sentence, job->plan.model->provider->name, failure);
    else
        buf_printf(&sentence, "%s. Suggestion: %s", failure->detail, failure_suggestion(failure));
    snprintf(draft->outcome_error, sizeof(draft->outcome_error), "%s", buf_str(&sentence));
    buf_deinit(&sentence);
    snprintf(draft->outcome_suggestion, sizeof(draft->outcome_suggestion), "%s",
             failure_suggestion(failure));
    draft->outcome.error_code =
        failure_code(failure, draft->outcome_code, sizeof(draft->outcome_code));
    draft->outcome.error = draft->outcome_error;
    draft->outcome.suggestion = draft->outcome_suggestion;
}

void draft_done(struct job *job, const struct fact_words *words)
{
    job->draft.has_outcome = true;
    job->draft.outcome = (struct outcome_row){.state = JOB_DONE, .attempts = job->attempts_all};
    draft_summary(job, words);
}

void draft_outcome(struct job *job, enum job_state state)
{
    struct record_draft *draft = &job->draft;
    draft->has_outcome = true;
    draft->outcome = (struct outcome_row){.state = state, .attempts = job->attempts_all};
    draft_error(job);
    if (state == JOB_FAILED)
        draft->outcome.dead_letter = &job->raw->message;
}

// PostgreSQL will not have the data of this job: its failure is recorded without them.
static enum step_result rejected(struct job *job, const char *sqlstate,
                                 const struct step_context *context)
{
    struct record_draft *draft = &job->draft;
    struct failure failure;
    failure_set(&failure, ERR_STORE_REJECTED, "PostgreSQL refused the result (SQLSTATE %s)",
                sqlstate);
    if (draft->has_attempt) { // the ledger keeps its numbers; foreign text is left out
        draft->attempt.answer = NULL;
        draft->attempt.error = NULL;
        draft->attempt.response_model = draft->attempt.request_id = NULL;
        draft->attempt.finish_reason = NULL;
    }
    draft->has_part = false;
    job->failure = failure;
    draft_outcome(job, JOB_FAILED);
    if (job->step != STEP_FINISH)
        job_move(job, STEP_FINISH, context->now);
    job_act(context, ACTION_RECORD);
    return STEP_WAIT;
}

static void next_call(struct job *job)
{
    struct plan *plan = &job->plan;
    size_t before = plan->cursor;
    while (plan->cursor < plan->count && plan->calls[plan->cursor].answer)
        plan->cursor++;
    if (plan->cursor != before)
        call_restore(job);
}

enum step_result step_record(struct job *job, const struct job_event *event,
                             const struct step_context *context)
{
    if (event->store->u.recorded.verdict == RECORD_REJECTED)
        return rejected(job, event->store->u.recorded.sqlstate, context);
    draft_clear(&job->draft);
    if (job->after_record == STEP_END) {
        job_move(job, STEP_END, context->now);
        return STEP_DONE;
    }
    if (job->after_record == STEP_PLAN) {
        job_move(job, STEP_PLAN, context->now);
        return STEP_AGAIN;
    }
    next_call(job);
    return admit_enter(job, context->now);
}

// Even the bare failure was refused: once more without the message; after that the job stays
// unfinished, where it can be seen, and is looked up like another worker's.
static enum step_result rejected_again(struct job *job, const struct step_context *context)
{
    if (job->draft.outcome.dead_letter) {
        job->draft.outcome.dead_letter = NULL;
        job_act(context, ACTION_RECORD);
        return STEP_WAIT;
    }
    job_move(job, STEP_HELD, context->now);
    job_wake_at(job, context->now->now_ms + JOB_HELD_MS);
    return STEP_WAIT;
}

enum step_result step_finish(struct job *job, const struct job_event *event,
                             const struct step_context *context)
{
    if (event->kind == JOB_GO) {
        job_act(context, ACTION_RECORD);
        return STEP_WAIT;
    }
    switch (event->store->u.recorded.verdict) {
    case RECORD_DONE:
        job->had_outcome = true;
        job_move(job, STEP_END, context->now);
        return STEP_DONE;
    case RECORD_FENCED:
        job_move(job, STEP_HELD, context->now);
        job_wake_at(job, context->now->now_ms + JOB_HELD_MS);
        return STEP_WAIT;
    case RECORD_REJECTED:
        if (job->failure.code == ERR_STORE_REJECTED)
            return rejected_again(job, context);
        return rejected(job, event->store->u.recorded.sqlstate, context);
    }
    CHECK(false);
    return STEP_DONE;
}
