// SPDX-License-Identifier: Apache-2.0
// What the files of the job layer share: the step functions of steps.def and their helpers.
#ifndef PRECIS_JOB_PARTS_H
#define PRECIS_JOB_PARTS_H

#include "job/job.h"

// What a step function answers.
enum step_result {
    STEP_AGAIN, // the job moved: run the new step with JOB_GO
    STEP_WAIT,
    STEP_DONE, // the job has ended
};

struct step_context {
    const struct job_now *now;
    struct job_actions *actions;
};

#define STEP(name, text, function, handles, ignores, follow)                                       \
    enum step_result function(struct job *job, const struct job_event *event,                      \
                              const struct step_context *context);
#include "job/steps.def"
#undef STEP

// Writes the step; checks steps.def and the job's invariant.
void job_move(struct job *job, enum step to, const struct job_now *now);
void job_act(const struct step_context *context, enum action_kind kind);
void job_wake_at(struct job *job, int64_t at_ms);

// The job fails with this; moves to FINISH.
enum step_result job_fail(struct job *job, const struct failure *failure,
                          const struct job_now *now);
// Ends it as cancelled or superseded; moves to FINISH.
enum step_result job_stopped(struct job *job, const struct job_now *now);

// document.c
void document_deinit(struct document *document);
// The claimed job gets its text, at once or by and by; moves to PLAN, FETCH or DOCUMENT.
enum step_result document_begin(struct job *job, const struct step_context *context);
// Pages, hash and address of the document, for its summary; the strings are the job's.
void document_describe(struct job *job, struct summary_row *row);
// The page of each quote that was found, where the document has pages.
void document_number_pages(const struct job *job, struct citation_row *rows, size_t count);

// twin.c: another job makes the answer; moves to TWIN.
enum step_result twin_enter(struct job *job, const struct step_context *context);

// plan.c
void plan_deinit(struct plan *plan);
// Makes plan `no` for the text: parts of at most `part_tokens` (0: as the context allows). Keeps
// answers of equal range and model from the saved parts. False: job->failure says why not.
bool plan_make(struct job *job, const struct config_model *model, int32_t no, int64_t part_tokens);
// The calls of a stored plan, for the text whose hash is job->text_sha256, without their answers.
// False: it is of another text, another program, or no model of the configuration.
bool plan_read(struct job *job, const struct config_model *model, const struct plan_row *row);
// The saved plan of the highest number, with its answers. False: there is none that can be used.
bool plan_restore(struct job *job, const struct job_now *now);
// The text that the call at the cursor is about: borrowed from the job, or built into `out`.
void plan_call_text(const struct job *job, struct buf *out, const char **text, size_t *len);
// The most that an answer of this kind of call needs: what is sent as its limit.
int64_t plan_output_tokens(const struct job *job, enum plan_call_kind kind);
// The same of its form alone, without reasoning. Open: where the user's schema sets no end, so that
// an answer may be longer all the same.
int64_t plan_form_tokens(const struct job *job, enum plan_call_kind kind);
bool plan_form_is_open(const struct job *job, enum plan_call_kind kind);
// Estimates that every plan and attempt needs, made once: the whole text's, and those of a prompt
// without its text (an upper bound).
int64_t plan_text_tokens(struct job *job);
int64_t plan_overhead_tokens(struct job *job);

// route.c
// The model of the next plan; *out_why on the heap, NULL where there was nothing to choose. NULL:
// none is left.
const struct config_model *route_choose(struct job *job, const struct job_now *now, char **out_why);
// The model that a job without a plan will ask first, and in which mode, where nothing is closed or
// too small. NULL: there is none, or it depends on what is not known before the plan.
const struct config_model *route_expected(struct job *job, const struct config *config,
                                          enum reasoning_mode *out_reasoning);
// What a restored plan had chosen.
void route_restore(struct job *job, const struct saved_plan *saved, const struct job_now *now);
// The plan's model cannot have this job. False: no other can, or paid answers keep it there.
bool route_leave(struct job *job, const struct config *config, const char *reason);
// The same for a budget that has no room: every model that is not cheaper is out.
bool route_leave_for_cheaper(struct job *job, const struct config *config,
                             const struct budget_refusal *refusal);

// call.c
void call_deinit(struct call *call);
enum prompt_kind call_prompt_kind(enum plan_call_kind kind);
// Counts what saved attempts say of the call at the cursor.
void call_restore(struct job *job);
// The output limit that it will be sent with.
int64_t call_output_limit(const struct job *job, const struct calibrate *calibrate);
// The estimate of its input, without any margin.
int64_t call_plain_tokens(struct job *job);
// Builds body, limits and the bound of the cost for the next attempt. False: *out says why not.
// Of a job that shares its call only the limits and the bound of its share.
bool call_prepare(struct job *job, const struct job_now *now, struct failure *out);
// The request's body for the job alone.
bool call_build(struct job *job, const struct job_now *now, struct failure *out);
// The body of a prompt, and where it is posted to.
bool call_write(struct job *job, const struct prompt *prompt, int64_t max_output_tokens,
                struct failure *out);
// Time that an answer of so many tokens may take.
int64_t call_total_ms(const struct job *job, int64_t max_output_tokens, const struct job_now *now);
// The next moment at which a clock of the call under way may run out.
int64_t call_deadline_ms(const struct job *job);

// park.c: the job waits in PostgreSQL from now on; moves to PARK.
enum step_result job_park(struct job *job, const struct park_place *place,
                          const struct step_context *context);
// A worker that leaves gives the job to others: parked, or where that is not possible dropped.
enum step_result job_leave(struct job *job, const struct step_context *context);

// admit.c: the job waits for the limits, and for its backoff where it has one.
enum step_result admit_enter(struct job *job, const struct job_now *now);
// False: the call at the cursor is larger than what a whole minute or day allows.
bool admit_fits(struct job *job, const struct calibrate *calibrate, struct failure *out);
// The row says `sent`, but nothing leaves: it is recorded so, and the job waits again.
enum step_result admit_take_back(struct job *job, const struct step_context *context);
// The request in call.body leaves.
enum step_result admit_send(struct job *job, const struct step_context *context);

// judge.c: what follows from an answer.
enum step_result judge_answer(struct job *job, const struct step_context *context);
// What the whole answer says of the key that it was asked with.
void judge_key(struct job *job, const struct step_context *context);
// Every call has its answer: the outcome is made of the last one. Moves to FINISH.
enum step_result judge_conclude(struct job *job, const struct job_now *now);

// pack.c: the pack's call is over; moves to PACKED.
enum step_result pack_end_call(struct job *job, const struct step_context *context);
// LOOKED_UP of a job that shares a call: it is told whether it still waits for it.
enum step_result pack_cut(struct job *job, const struct store_event *event);

// record.c
void draft_clear(struct record_draft *draft);
void draft_attempt(struct job *job, enum attempt_outcome outcome, const struct job_now *now);
void draft_part(struct job *job, const char *answer);
void draft_done(struct job *job, const struct fact_words *words);
void draft_outcome(struct job *job, enum job_state state); // any other than done

// trust.c: looks up the summary's quotes and facts in the source: sets the row's citations and adds
// to its warnings. What it makes belongs to the job's draft.
void trust_check(struct job *job, struct summary_row *row, const struct fact_words *words);
void trust_clear(struct record_draft *draft);

#endif
