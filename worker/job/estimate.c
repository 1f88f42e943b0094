// SPDX-License-Identifier: Apache-2.0
// A job's calls before they are made.
//
// A job object is made as a worker's would be when its text is there, and gets its plan by the same
// function. Then each of its calls is counted: the prompt of its kind with an empty text, built for
// real, and the text of its range. What a call that combines answers gets is what the calls below
// it are guessed to answer.
//
// The guess of an answer's length: as many characters as were asked for, give or take, in the
// tokens per character of the document, since a summary is written in its language.
#include "job/estimate.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/prompt.h"
#include "core/text.h"
#include "core/tokens.h"
#include "job/parts.h"

// Characters of an answer: of a summary so much of its limit; points and quotes as measured on
// contracts.
#define SUMMARY_PERCENT 85
#define POINT_CHARS     110
#define QUOTE_CHARS     150
#define FRAME_TOKENS    16 // of the answer's JSON
#define FIELD_TOKENS    10 // of the JSON of a point, or a field
#define TOKEN_BYTES     4  // of an answer, about
// An answer of so many times the document's characters, at most.
#define SHORT_TEXT_TIMES 3
// What a model thinks beside its answer, where it may.
#define REASONING_TOKENS 600
// A model's first factor (core/tokens.h), until it was seen.
#define FIRST_PERCENT 110
// Where no call was timed: DESIGN's slow server.
#define FIRST_TOKEN_MS    800
#define TOKENS_PER_SECOND 50

// ------------------------------------------------------------------------------- the job

static bool job_of(const struct estimate_order *order, struct job *job, struct failure *out)
{
    *job = (struct job){
        // Only read: a job that has a spec of its own is never made here.
        .spec = (struct job_spec *)(uintptr_t)order->spec,
        .text = (char *)(uintptr_t)order->text,
        .text_len = order->text_len,
        .text_chars = (int64_t)text_code_points(order->text, order->text_len),
        .text_tokens = order->text_tokens,
        .need_tokens = -1,
        .reasoning = order->spec->reasoning_mode,
    };
    if (!text_is_blank(order->text, order->text_len))
        return true;
    failure_set(out, ERR_NO_TEXT, "the document has no text");
    return false;
}

static void job_drop(struct job *job)
{
    plan_deinit(&job->plan);
}

// ------------------------------------------------------------------------------- a call

// A prompt of this kind without a text.
static int64_t form_tokens(const struct job *job, const struct plan_call *call)
{
    struct prompt prompt;
    struct prompt_order order = {
        .spec = job->spec,
        .kind = call_prompt_kind(call->kind),
        .text = "",
        .part = 1,
        .parts = (int)job->plan.count,
        .document_name = job->spec->document_name,
    };
    prompt_build(&prompt, &order);
    int64_t tokens = prompt_tokens(&prompt);
    if (job->plan.model->answer != ANSWER_JSON_SCHEMA) // not sent
        tokens -= tokens_estimate(prompt.schema_json, strlen(prompt.schema_json));
    prompt_deinit(&prompt);
    return tokens;
}

static int64_t points_of(const struct job_spec *spec, enum plan_call_kind kind)
{
    if (kind == PLAN_PART)
        return (PART_POINTS_MIN + prompt_part_points(spec)) / 2;
    return (spec->points_min + spec->points_max + 1) / 2;
}

static size_t count_of(const char *text, const char *word)
{
    size_t count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        count++;
    return count;
}

// Characters that the values of an answer have.
static int64_t answer_chars(const struct job_spec *spec, enum plan_call_kind kind,
                            int64_t *out_fields)
{
    int64_t quote = spec->evidence_quotes ? QUOTE_CHARS : 0;
    if (prompt_own_schema(spec, call_prompt_kind(kind))) {
        *out_fields = (int64_t)count_of(spec->output_schema_json, "\"type\"");
        return *out_fields * (POINT_CHARS / 2 + quote / 2);
    }
    *out_fields = points_of(spec, kind);
    int64_t most = kind == PLAN_PART ? PART_SUMMARY_CHARS : spec->max_chars;
    return most * SUMMARY_PERCENT / 100 + *out_fields * (POINT_CHARS + quote);
}

static bool may_reason(const struct job *job)
{
    return job->plan.model->reasoning != REASONING_NONE &&
           job->spec->reasoning_mode != REASONING_OFF;
}

static int64_t answer_tokens(struct job *job, enum plan_call_kind kind)
{
    int64_t fields, chars = answer_chars(job->spec, kind, &fields);
    int64_t most = plan_output_tokens(job, kind);
    if (chars > SHORT_TEXT_TIMES * job->text_chars) // little to be said of a few words
        chars = SHORT_TEXT_TIMES * job->text_chars;
    int64_t per_1000 = plan_text_tokens(job) * 1000 / (job->text_chars > 0 ? job->text_chars : 1);
    int64_t tokens =
        chars * (per_1000 > 100 ? per_1000 : 100) / 1000 + FRAME_TOKENS + fields * FIELD_TOKENS;
    tokens += may_reason(job) ? REASONING_TOKENS : 0;
    return tokens < most ? tokens : most;
}

// The part of the document that the call reads.
static int64_t range_tokens(struct job *job, const struct plan_call *call, int64_t *out_bytes)
{
    const char *text;
    size_t len;
    plan_call_text(job, NULL, &text, &len); // of the call at the cursor
    *out_bytes = (int64_t)len;
    if (call->from == 0 && call->to == job->text_chars)
        return plan_text_tokens(job);
    return tokens_estimate(text, len);
}

// Counts the call at the plan's cursor. `before`: those that were counted.
static struct estimate_call count_call(struct job *job, const struct estimate_call *before)
{
    const struct plan_call *call = &job->plan.calls[job->plan.cursor];
    CHECK(before || call->kind != PLAN_COMBINE);
    struct estimate_call out = {.kind = call->kind,
                                .form_tokens = form_tokens(job, call),
                                .script = calibrate_script_of(job->text, job->text_len)};
    int64_t text_tokens = 0, text_bytes = 0;
    if (call->kind != PLAN_COMBINE)
        text_tokens = range_tokens(job, call, &text_bytes);
    else
        for (int64_t i = call->from; i < call->to; i++)
            text_tokens += before[i].output_tokens + FIELD_TOKENS;
    if (call->kind == PLAN_COMBINE)
        text_bytes = text_tokens * TOKEN_BYTES;
    out.input_tokens = out.form_tokens + text_tokens;
    out.output_tokens = answer_tokens(job, call->kind);
    out.at_most_input_tokens = plan_overhead_tokens(job) + tokens_upper(text_tokens);
    if (out.at_most_input_tokens < job->overhead_bytes + text_bytes) // as in call.c
        out.at_most_input_tokens = job->overhead_bytes + text_bytes;
    out.at_most_output_tokens = plan_output_tokens(job, call->kind);
    return out;
}

// ------------------------------------------------------------------------------- the calls

bool estimate_job(const struct estimate_order *order, struct estimate *out,
                  struct failure *out_failure)
{
    struct job job;
    struct calibrate unlearned;
    calibrate_init(&unlearned);
    *out = (struct estimate){0};
    if (!job_of(order, &job, out_failure))
        return false;
    if (!order->model->price.known && !order->model->price.free) {
        failure_set(out_failure, ERR_NO_PRICE, "model \"%s\" has no price", order->model->name);
        return false;
    }
    if (!plan_make(&job, order->model, 1, 0)) {
        *out_failure = job.failure;
        job_drop(&job);
        return false;
    }
    out->calls = own_array(job.plan.count, sizeof(*out->calls));
    for (job.plan.cursor = 0; job.plan.cursor < job.plan.count; job.plan.cursor++)
        out->calls[out->count++] = count_call(&job, out->calls);
    job.plan.cursor = 0; // the largest; those that combine are not there to be counted
    if (!admit_fits(&job, &unlearned, out_failure)) {
        estimate_deinit(out);
        job_drop(&job);
        return false;
    }
    out->truncated = job.plan.truncated;
    if (job_can_pack(&job)) {
        out->need = job_pack_need(&job);
        out->pack_hash = pack_hash(job.spec);
    }
    job_drop(&job);
    return true;
}

bool estimate_answer_key(const struct estimate_order *order, const struct config *config,
                         unsigned char out[ANSWER_KEY_BYTES])
{
    struct job job;
    struct failure failure;
    if (order->spec->fresh || !job_of(order, &job, &failure))
        return false;
    const unsigned char *key = twin_key(&job, config);
    if (key)
        memcpy(out, key, ANSWER_KEY_BYTES);
    return key != NULL;
}

void estimate_deinit(struct estimate *estimate)
{
    free(estimate->calls);
    *estimate = (struct estimate){0};
}

bool estimate_saved_call(const struct estimate_order *order, const struct plan_row *plan,
                         int32_t call_no, struct estimate_call *out)
{
    struct job job;
    struct failure failure;
    if (!job_of(order, &job, &failure))
        return false;
    text_sha256_hex(job.text, job.text_len, job.text_sha256);
    bool good = plan_read(&job, order->model, plan) && call_no >= 1 &&
                (size_t)call_no <= job.plan.count &&
                job.plan.calls[call_no - 1].kind != PLAN_COMBINE;
    if (good) {
        job.plan.cursor = (size_t)call_no - 1;
        *out = count_call(&job, NULL);
    }
    job_drop(&job);
    return good;
}

// ------------------------------------------------------------------------------- learning

static bool is_sane(int64_t counted, int64_t estimated)
{
    return counted > 0 && counted * 10 >= estimated * 3 && counted <= estimated * 4;
}

void estimate_learn(struct estimate_learned *learned, const struct estimate_sample *sample)
{
    const struct usage *usage = &sample->usage;
    const struct estimate_call *call = &sample->call;
    int64_t members = sample->members > 1 ? sample->members : 1;
    // A share has its part of what stands in the request once.
    int64_t input = call->input_tokens - call->form_tokens + call->form_tokens / members;
    if (!usage->known || !is_sane(usage->input_tokens, input))
        return;
    learned->samples++;
    learned->input_estimated += input;
    learned->input_counted += usage->input_tokens;
    learned->cached_counted += usage->cached_tokens;
    learned->output_estimated += call->output_tokens;
    learned->output_counted += usage->output_tokens;
    learned->script_estimated[call->script] += call->output_tokens;
    learned->script_counted[call->script] += usage->output_tokens;
    int64_t first_ms = sample->ttft_ms >= 0 ? sample->ttft_ms : 0;
    learned->ttft_samples += sample->ttft_ms >= 0;
    learned->ttft_ms += first_ms;
    learned->writing_ms +=
        sample->duration_ms > first_ms ? (sample->duration_ms - first_ms) / members : 0;
}

// amount · counted / estimated, to the nearest.
static int64_t scaled(int64_t amount, int64_t counted, int64_t estimated)
{
    if (estimated <= 0)
        return amount;
    return (int64_t)((double)amount * ((double)counted / (double)estimated) + 0.5);
}

int64_t estimate_input(const struct estimate_learned *learned, int64_t input_tokens)
{
    if (learned->samples == 0)
        return scaled(input_tokens, FIRST_PERCENT, 100);
    return scaled(input_tokens, learned->input_counted, learned->input_estimated);
}

// As answers to such texts were; where there was none, as all were.
static int64_t likely_output(const struct estimate_learned *learned,
                             const struct estimate_call *call)
{
    if (learned->samples == 0)
        return scaled(call->output_tokens, FIRST_PERCENT, 100);
    if (learned->script_counted[call->script] == 0)
        return scaled(call->output_tokens, learned->output_counted, learned->output_estimated);
    return scaled(call->output_tokens, learned->script_counted[call->script],
                  learned->script_estimated[call->script]);
}

struct usage estimate_usage(const struct estimate_learned *learned,
                            const struct estimate_call *call)
{
    struct usage usage = {.known = true};
    usage.input_tokens = estimate_input(learned, call->input_tokens);
    usage.cached_tokens =
        learned->samples == 0
            ? 0
            : scaled(usage.input_tokens, learned->cached_counted, learned->input_counted);
    usage.output_tokens = likely_output(learned, call);
    return usage;
}

int64_t estimate_first_token_ms(const struct estimate_learned *learned)
{
    return learned->ttft_samples > 0 ? learned->ttft_ms / learned->ttft_samples : FIRST_TOKEN_MS;
}

int64_t estimate_duration_ms(const struct estimate_learned *learned, const struct usage *usage)
{
    int64_t writing_ms = learned->samples > 0 ? scaled(usage->output_tokens, learned->writing_ms,
                                                       learned->output_counted)
                                              : usage->output_tokens * 1000 / TOKENS_PER_SECOND;
    if (learned->samples > 0 && learned->ttft_samples == 0)
        return writing_ms;
    return estimate_first_token_ms(learned) + writing_ms;
}
