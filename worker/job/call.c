// SPDX-License-Identifier: Apache-2.0
// One request to a model API: how it is built, its three clocks, and how its answer comes in.
//
// Time limits: the first byte, then the time since the last content (keep-alive comments do not
// count), then the whole answer. The whole follows from the output limit and the model's measured
// speed, since an answer that is cut short is paid and bought again.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/money.h"
#include "core/tokens.h"
#include "job/parts.h"

#define DEFAULT_TOKENS_PER_SECOND 50
#define LEAST_TOKENS_PER_SECOND   10
#define ROUNDING_TOKENS           8
#define REPAIR_BYTES              1000 // of a repair's own words

void call_deinit(struct call *call)
{
    reader_free(call->reader);
    buf_deinit(&call->body);
    free(call->bad_answer);
    free(call->bad_reason);
    if (call->has_answer)
        model_answer_deinit(&call->answer);
    *call = (struct call){0};
}

static void restore_attempt(struct call *call, const struct saved_attempt *saved)
{
    if (saved->attempt_no > call->last_attempt_no)
        call->last_attempt_no = saved->attempt_no;
    if (saved->reopened)
        return;
    enum err_code code = saved->code ? err_from_text(saved->code) : ERR_NONE;
    enum err_class class = err_class(code);
    if (saved->outcome == ATTEMPT_IN_DOUBT)
        call->doubtful++;
    call->alone = call->alone || saved->outcome == ATTEMPT_IN_DOUBT || code == ERR_PACKED_ANSWER;
    if (saved->outcome != ATTEMPT_FAILED)
        return;
    if (class == ERR_CLASS_TRANSIENT)
        call->attempts_used++;
    if (class == ERR_CLASS_CUT_OFF)
        call->widened = true;
    if (class != ERR_CLASS_BAD_OUTPUT || !saved->answer)
        return;
    call->repaired = true;
    free(call->bad_answer);
    call->bad_answer = own_strdup(saved->answer);
    free(call->bad_reason);
    call->bad_reason = own_strdup("it was not the JSON that was asked for");
}

void call_restore(struct job *job)
{
    call_deinit(&job->call);
    buf_init(&job->call.body, 0);
    job->need_tokens = -1;
    for (size_t i = 0; i < job->saved.attempt_count; i++) {
        const struct saved_attempt *saved = &job->saved.attempts[i];
        if (saved->plan_no == job->plan.no && saved->call_no == (int32_t)job->plan.cursor + 1)
            restore_attempt(&job->call, saved);
    }
}

// At the slowest speed that is accepted, and half as long again.
int64_t call_total_ms(const struct job *job, int64_t max_output_tokens, const struct job_now *now)
{
    int64_t speed = now->tokens_per_second ? now->tokens_per_second : DEFAULT_TOKENS_PER_SECOND;
    if (speed > DEFAULT_TOKENS_PER_SECOND)
        speed = DEFAULT_TOKENS_PER_SECOND;
    if (speed < LEAST_TOKENS_PER_SECOND)
        speed = LEAST_TOKENS_PER_SECOND;
    return job->plan.model->provider->first_byte_ms + max_output_tokens * 1500 / speed;
}

enum prompt_kind call_prompt_kind(enum plan_call_kind kind)
{
    return kind == PLAN_WHOLE ? PROMPT_WHOLE : kind == PLAN_PART ? PROMPT_PART : PROMPT_COMBINE;
}

static int count_parts(const struct plan *plan)
{
    int parts = 0;
    for (size_t i = 0; i < plan->count; i++)
        parts += plan->calls[i].kind == PLAN_PART;
    return parts;
}

static void build_prompt(struct job *job, const struct job_now *now, struct prompt *prompt)
{
    struct buf joined;
    buf_init(&joined, 0);
    struct prompt_order order = {
        .spec = job->spec,
        .kind = call_prompt_kind(job->plan.calls[job->plan.cursor].kind),
        .part = (int)job->plan.cursor + 1,
        .parts = count_parts(&job->plan),
        .fence_random = now->random,
        .document_name = job->spec->document_name,
        .bad_answer = job->call.bad_answer,
        .bad_reason = job->call.bad_reason,
    };
    plan_call_text(job, &joined, &order.text, &order.text_len);
    prompt_build(prompt, &order);
    buf_deinit(&joined);
}

// Of the text that the call is about, and of the bad answer that it repairs.
static void count_text(struct job *job)
{
    struct buf joined OWN_BUF;
    const char *text;
    size_t len;
    buf_init(&joined, 0);
    plan_call_text(job, &joined, &text, &len);
    int64_t tokens = text == job->text && len == job->text_len ? plan_text_tokens(job)
                                                               : tokens_estimate(text, len);
    job->need_bytes = (int64_t)len;
    if (job->call.bad_answer) {
        size_t bad_len = strlen(job->call.bad_answer);
        tokens += tokens_estimate(job->call.bad_answer, bad_len);
        job->need_bytes += (int64_t)(bad_len + strlen(job->call.bad_reason)) + REPAIR_BYTES;
    }
    job->need_tokens = tokens;
}

static enum calibrate_script script_of(struct job *job)
{
    if (job->script < 0)
        job->script = (int)calibrate_script_of(job->text, job->text_len);
    return (enum calibrate_script)job->script;
}

static int answer_kind(const struct job *job)
{
    const struct config_model *model = job->plan.model;
    bool reasoning = job->spec->reasoning_effort || job_reasoning(job) == REASONING_ON ||
                     (model->reasoning != REASONING_NONE && job_reasoning(job) != REASONING_OFF);
    int prompt = job->pack ? CALIBRATE_SHARED : (int)job->plan.calls[job->plan.cursor].kind;
    return calibrate_kind(prompt, reasoning, job->spec->output_schema_json != NULL);
}

// As it follows from the form of the answer, and whether it is part of a shared one.
static int64_t output_bound(struct job *job)
{
    return job->pack ? job_pack_need(job).output_tokens
                     : plan_output_tokens(job, job->plan.calls[job->plan.cursor].kind);
}

// What is sent as the output limit: the job's own word, else what follows from the form of the
// answer, less where the model's answers were shorter. After one that was cut off, which is tried
// once more and not again: twice as much, or all where the form has no end.
static int64_t output_limit(const struct job *job, const struct calibrate *calibrate, int64_t bound)
{
    int64_t most = job->plan.model->max_output_tokens, limit = bound;
    if (job->spec->max_output_tokens == 0)
        limit = calibrate_output_limit(calibrate, answer_kind(job), bound);
    if (job->call.widened && limit < bound)
        limit = bound;
    if (job->call.widened)
        limit = plan_form_is_open(job, job->plan.calls[job->plan.cursor].kind) ? most : limit * 2;
    return limit < most ? limit : most;
}

int64_t call_output_limit(const struct job *job, const struct calibrate *calibrate)
{
    return output_limit(job, calibrate,
                        plan_output_tokens(job, job->plan.calls[job->plan.cursor].kind));
}

int64_t call_plain_tokens(struct job *job)
{
    if (job->need_tokens < 0)
        count_text(job);
    return tokens_within(plan_overhead_tokens(job)) + job->need_tokens;
}

void call_need(struct job *job, const struct calibrate *calibrate, int64_t *out_input,
               int64_t *out_output)
{
    *out_input = calibrate_input_upper(calibrate, script_of(job), call_plain_tokens(job));
    int64_t bound = output_bound(job);
    int64_t limit = job->pack ? bound : output_limit(job, calibrate, bound);
    int64_t expected = calibrate_output_expected(calibrate, answer_kind(job), bound);
    bool whole = job->plan.model->counts_asked || job->call.widened || expected > limit;
    *out_output = whole ? limit : expected;
}

static void too_dear(int64_t at_most_picousd, int64_t left_picousd, struct failure *out)
{
    char most[MONEY_TEXT_BYTES], left[MONEY_TEXT_BYTES];
    failure_set(out, ERR_TOO_DEAR,
                "the next call may cost up to %s USD, and max_cost_usd leaves %s USD",
                money_format_usd(at_most_picousd, most, sizeof(most)),
                money_format_usd(left_picousd > 0 ? left_picousd : 0, left, sizeof(left)));
}

// What the attempt may cost at most, which budgets reserve, and which the job's own ceiling has to
// have left.
static bool cost_bound(struct job *job, struct failure *out)
{
    struct call *call = &job->call;
    const struct price *price = &job->plan.model->price;
    const struct usage most = {.known = true,
                               .input_tokens = call->input_tokens_most,
                               .output_tokens = call->max_output_tokens};
    if (!price_of_usage(price, &most, &call->at_most_picousd)) {
        failure_set(out, ERR_NO_PRICE, "the cost of a call passes the largest number");
        return false;
    }
    int64_t ceiling = job->spec->max_cost_picousd;
    if (ceiling < 0 || call->at_most_picousd <= ceiling - job->spent_picousd)
        return true;
    too_dear(call->at_most_picousd, ceiling - job->spent_picousd, out);
    return false;
}

// No vocabulary has more tokens than there are bytes. What other texts were like is no proof, and
// budgets and ceilings are never passed.
static int64_t input_bound(const struct job *job)
{
    int64_t most = job->overhead_bytes + job->need_bytes;
    int64_t estimate = job->call.input_tokens_estimate;
    return most > estimate ? most : estimate;
}

// Limits, and the bound of the cost. The overhead is that of a call of its own, also where it is
// shared: together they are more than what the shared one takes.
static bool set_bounds(struct job *job, const struct job_now *now, struct failure *out)
{
    struct call *call = &job->call;
    call->plain_tokens = call_plain_tokens(job);
    call->script = script_of(job);
    call->answer_kind = answer_kind(job);
    call->output_bound = output_bound(job);
    call->max_output_tokens =
        job->pack ? call->output_bound : output_limit(job, now->calibrate, call->output_bound);
    call_need(job, now->calibrate, &call->reserve_input_tokens, &call->reserve_output_tokens);
    call->input_tokens_estimate = plan_overhead_tokens(job) + tokens_upper(job->need_tokens);
    if (call->input_tokens_estimate < call->reserve_input_tokens - ROUNDING_TOKENS)
        call->input_tokens_estimate = call->reserve_input_tokens;
    call->input_tokens_most = input_bound(job);
    call->total_ms = call_total_ms(job, call->max_output_tokens, now);
    return cost_bound(job, out);
}

static struct model_order order_of(const struct job *job, const struct prompt *prompt,
                                   int64_t max_output_tokens)
{
    return (struct model_order){
        .model = job->plan.model,
        .prompt = prompt,
        .max_output_tokens = max_output_tokens,
        .temperature = job->spec->temperature,
        .reasoning_mode = job_reasoning(job),
        .reasoning_effort = job->spec->reasoning_effort,
        .stream = job->plan.model->stream,
    };
}

bool call_write(struct job *job, const struct prompt *prompt, int64_t max_output_tokens,
                struct failure *out)
{
    struct call *call = &job->call;
    struct model_order order = order_of(job, prompt, max_output_tokens);
    struct buf url OWN_BUF;
    buf_clear(&call->body);
    buf_init(&url, sizeof(call->url) - 1);
    if (!provider_request(&call->body, &order, out) || !provider_path(&url, job->plan.model))
        return false;
    memcpy(call->url, buf_str(&url), url.len + 1);
    return true;
}

bool call_build(struct job *job, const struct job_now *now, struct failure *out)
{
    struct prompt prompt = {0};
    build_prompt(job, now, &prompt);
    bool ok = call_write(job, &prompt, job->call.max_output_tokens, out);
    prompt_deinit(&prompt);
    return ok;
}

bool call_prepare(struct job *job, const struct job_now *now, struct failure *out)
{
    struct model_order order = order_of(job, NULL, 0);
    if (!set_bounds(job, now, out))
        return false;
    return job->pack ? provider_check(&order, out) : call_build(job, now, out);
}

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

int64_t call_deadline_ms(const struct job *job)
{
    const struct call *call = &job->call;
    const struct config_provider *provider = job->plan.model->provider;
    if (call->sent_ms < 0) // name and connection are the edge's, with limits of its own
        return call->begun_ms + 2 * provider->connect_ms + provider->first_byte_ms;
    int64_t total = call->sent_ms + call->total_ms;
    if (call->finished_ms >= 0)
        return sooner(total, call->finished_ms + JOB_GRACE_MS);
    if (!job->plan.model->stream)
        return total;
    if (call->first_byte_ms < 0)
        return sooner(total, call->sent_ms + provider->first_byte_ms);
    int64_t since = call->content_ms >= 0 ? call->content_ms : call->first_byte_ms;
    return sooner(total, since + provider->idle_ms);
}

// Takes the answer out of the reader; the request is over.
static void take_answer(struct job *job, enum reader_end_cause cause,
                        const struct failure *transport, const struct job_now *now)
{
    struct call *call = &job->call;
    if (call->has_answer)
        model_answer_deinit(&call->answer);
    reader_end(call->reader, cause, transport, now->db_now_ms, &call->answer);
    call->has_answer = true;
    reader_free(call->reader);
    call->reader = NULL;
    job->cancel_serial = call->serial;
    call->serial = 0;
    buf_deinit(&call->body);
}

static enum step_result end_call(struct job *job, enum reader_end_cause cause,
                                 const struct failure *transport,
                                 const struct step_context *context)
{
    take_answer(job, cause, transport, context->now);
    judge_key(job, context);
    return job->pack ? pack_end_call(job, context) : judge_answer(job, context);
}

// In doubt, once the request may have reached the server.
static enum step_result give_up(struct job *job, enum err_code code, const char *why,
                                const struct step_context *context)
{
    struct failure failure;
    failure_set(&failure, code, "%s", why);
    failure.doubtful = job->call.sent_ms >= 0;
    job_act(context, ACTION_CANCEL_CALL);
    return end_call(job, READER_END_BROKEN, &failure, context);
}

static enum step_result on_clock(struct job *job, const struct step_context *context)
{
    const struct call *call = &job->call;
    int64_t now_ms = context->now->now_ms;
    int64_t deadline_ms = call_deadline_ms(job);
    if (now_ms < deadline_ms) {
        job_wake_at(job, deadline_ms);
        return STEP_WAIT;
    }
    if (call->finished_ms >= 0) {
        job_act(context, ACTION_CANCEL_CALL);
        return end_call(job, READER_END_GRACE, NULL, context);
    }
    if (call->sent_ms < 0)
        return give_up(job, ERR_CONNECT_FAILED, "no connection to send the request on", context);
    if (now_ms - call->sent_ms >= call->total_ms)
        return give_up(job, ERR_TIMEOUT_TOTAL, "no end of the answer in time", context);
    if (call->first_byte_ms < 0)
        return give_up(job, ERR_TIMEOUT_FIRST_BYTE, "no first byte in time", context);
    return give_up(job, ERR_TIMEOUT_IDLE, "no further content in time", context);
}

static enum step_result on_data(struct job *job, const struct http_event *http,
                                const struct step_context *context)
{
    struct call *call = &job->call;
    int64_t now_ms = context->now->now_ms;
    enum reader_state state = reader_push(call->reader, http->data, http->data_len);
    if (call->first_byte_ms < 0)
        call->first_byte_ms = now_ms;
    int64_t events = reader_content_events(call->reader);
    if (events > call->content_events) {
        call->content_events = events;
        call->content_ms = now_ms;
        if (call->first_token_ms < 0)
            call->first_token_ms = now_ms;
    }
    if (state == READER_BAD) {
        job_act(context, ACTION_CANCEL_CALL);
        return end_call(job, READER_END_EOF, NULL, context);
    }
    if (state != READER_MORE && call->finished_ms < 0)
        call->finished_ms = now_ms;
    job_wake_at(job, call_deadline_ms(job));
    return STEP_WAIT;
}

static enum step_result on_http(struct job *job, const struct http_event *http,
                                const struct step_context *context)
{
    struct call *call = &job->call;
    switch (http->kind) {
    case HTTP_SENT: // the clocks start here: before it, the edge's connect timeout rules
        if (call->sent_ms < 0)
            call->sent_ms = context->now->now_ms;
        job_wake_at(job, call_deadline_ms(job));
        return STEP_WAIT;
    case HTTP_STATUS:
        reader_status(call->reader, http->status);
        return STEP_WAIT;
    case HTTP_HEADER:
        reader_header(call->reader, http->name, http->value);
        return STEP_WAIT;
    case HTTP_DATA:
        return on_data(job, http, context);
    case HTTP_END:
        return end_call(job, http->failure ? READER_END_BROKEN : READER_END_EOF, http->failure,
                        context);
    }
    CHECK(false);
    return STEP_DONE;
}

// Cancelled, and its call is not waited for. What is whole but for its end marker comes to its end
// all the same, and what others share goes on for them (JOB_CUT: there are none).
static enum step_result on_looked_up(struct job *job, const struct store_event *event,
                                     const struct step_context *context)
{
    const struct job_now *now = context->now;
    if (!event->u.looked_up.cut)
        return STEP_WAIT;
    if (job->pack)
        return pack_cut(job, event);
    job_act(context, ACTION_CANCEL_CALL);
    if (job->call.finished_ms >= 0)
        return end_call(job, READER_END_GRACE, NULL, context);
    struct failure failure;
    failure_set(&failure, ERR_CANCELLED, "cut on request");
    failure.doubtful = job->call.sent_ms >= 0;
    take_answer(job, READER_END_BROKEN, &failure, now);
    draft_attempt(job, failure.doubtful ? ATTEMPT_IN_DOUBT : ATTEMPT_CANCELLED, now);
    job->stop = event->u.looked_up.stop;
    return job_stopped(job, now);
}

enum step_result step_call(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    if (event->kind == JOB_HTTP)
        return on_http(job, event->http, context);
    if (event->kind == JOB_WAKE)
        return on_clock(job, context);
    if (event->kind == JOB_LOOKED_UP)
        return on_looked_up(job, event->store, context);
    bool cut = event->kind == JOB_CUT;
    job->dropped |= !cut;             // JOB_STOP
    if (job->call.finished_ms >= 0) { // whole but for its end marker
        job_act(context, ACTION_CANCEL_CALL);
        return end_call(job, READER_END_GRACE, NULL, context);
    }
    if (cut)
        return give_up(job, ERR_CANCELLED, "cut on request", context);
    return give_up(job, ERR_CONNECTION_LOST, "the worker had to stop", context);
}
