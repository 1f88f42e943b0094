// SPDX-License-Identifier: Apache-2.0
// From a document to the list of calls: one, or many parts and the calls that combine them.
//
// The whole list is made at once and stored with the first attempt, so that a job that is taken
// over goes on with the same cuts. Parts come first, in order; then, level by level, calls that
// combine the answers of earlier calls, until one is left. A later plan (the provider said
// "too long", or another model takes over) keeps the answers whose range and model are the same.
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/chunk.h"
#include "core/json_schema.h"
#include "core/text.h"
#include "core/tokens.h"
#include "job/parts.h"

// What one answer of a part takes in the call that combines it, at most, for each of its points.
#define PART_POINT_TOKENS 312
// The least room for text that makes a call worth its price.
#define LEAST_TEXT_TOKENS 200
// The output limit of a summary call where the job names none: summary, points and quotes.
#define OUTPUT_FLOOR_TOKENS 1024
// Characters of a key point at most, and of the quote that the prompt asks for.
#define POINT_CHARS 200
#define QUOTE_CHARS 300
// JSON around one value.
#define FIELD_TOKENS 20
// Tokens of a thousand characters.
#define LEAST_DENSITY 350
#define OTHER_DENSITY 700
#define MOST_DENSITY  1500

void plan_deinit(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        free(plan->calls[i].answer);
    free(plan->calls);
    free(plan->calls_json);
    free(plan->why);
    *plan = (struct plan){0};
}

// Tokens of a thousand characters of the answer: as many as the document has, since quotes are
// copied from it; before it is counted, or where the answer is in a language that is named, as many
// as most scripts take.
static int64_t tokens_of_1000_chars(const struct job *job)
{
    int64_t density = job->spec->language ? OTHER_DENSITY : LEAST_DENSITY;
    if (job->text_tokens == 0 || job->text_chars == 0)
        return OTHER_DENSITY;
    int64_t own = job->text_tokens * 1000 / job->text_chars;
    own = own < MOST_DENSITY ? own : MOST_DENSITY;
    return own > density ? own : density;
}

// Our own form at its longest: models write up to twice the summary that was asked for.
static int64_t form_tokens(const struct job *job, enum plan_call_kind kind)
{
    const struct job_spec *spec = job->spec;
    int64_t points = kind == PLAN_PART ? prompt_part_points(spec) : spec->points_max;
    int64_t point_chars = POINT_CHARS + (spec->evidence_quotes ? QUOTE_CHARS : 0);
    int64_t chars =
        2 * (kind == PLAN_PART ? PART_SUMMARY_CHARS : spec->max_chars) + points * point_chars;
    return tokens_upper(chars * tokens_of_1000_chars(job) / 1000) + (points + 2) * FIELD_TOKENS;
}

// The user's own form at its longest, as far as it has an end, with a quote for each value.
static int64_t own_form_tokens(const struct job *job)
{
    const struct schema_size *size = &job->spec->schema_size;
    int64_t most = job->plan.model->max_output_tokens;
    int64_t quotes = job->spec->evidence_quotes ? size->leaves * QUOTE_CHARS : 0;
    if (size->shapeless)
        return most;
    return tokens_upper((size->chars + quotes) * tokens_of_1000_chars(job) / 1000) +
           (size->leaves + 2) * FIELD_TOKENS;
}

int64_t plan_form_tokens(const struct job *job, enum plan_call_kind kind)
{
    int64_t most = job->plan.model->max_output_tokens;
    int64_t want = prompt_own_schema(job->spec, call_prompt_kind(kind)) ? own_form_tokens(job)
                                                                        : form_tokens(job, kind);
    if (want < OUTPUT_FLOOR_TOKENS)
        want = OUTPUT_FLOOR_TOKENS;
    return want < most ? want : most;
}

bool plan_form_is_open(const struct job *job, enum plan_call_kind kind)
{
    return prompt_own_schema(job->spec, call_prompt_kind(kind)) && job->spec->schema_size.open;
}

// A model that may reason gets its whole limit, since reasoning counts as output.
int64_t plan_output_tokens(const struct job *job, enum plan_call_kind kind)
{
    const struct job_spec *spec = job->spec;
    int64_t most = job->plan.model->max_output_tokens;
    if (spec->max_output_tokens > 0)
        return spec->max_output_tokens < most ? spec->max_output_tokens : most;
    bool may_reason = job->plan.model->reasoning != REASONING_NONE &&
                      (job->reasoning != REASONING_OFF || spec->reasoning_effort);
    return may_reason ? most : plan_form_tokens(job, kind);
}

int64_t plan_overhead_tokens(struct job *job)
{
    if (job->overhead_tokens == 0)
        job->overhead_tokens = prompt_overhead_tokens(job->spec, NULL, &job->overhead_bytes);
    return job->overhead_tokens;
}

int64_t plan_text_tokens(struct job *job)
{
    if (job->text_tokens == 0)
        job->text_tokens = tokens_estimate(job->text, job->text_len);
    return job->text_tokens;
}

// Tokens that are left for the text of one call; may be negative.
static int64_t room_for_text(struct job *job)
{
    const struct config_model *model = job->plan.model;
    plan_text_tokens(job); // the answer's length follows from the text's script
    int64_t whole = plan_output_tokens(job, PLAN_WHOLE), part = plan_output_tokens(job, PLAN_PART);
    return model->context_tokens - model->context_tokens / 100 - (whole > part ? whole : part) -
           plan_overhead_tokens(job);
}

static void add_call(struct plan *plan, enum plan_call_kind kind, int64_t from, int64_t to)
{
    plan->calls = own_grow(plan->calls, plan->count + 1, sizeof(struct plan_call));
    plan->calls[plan->count++] = (struct plan_call){.kind = kind, .from = from, .to = to};
}

// Levels of combining above `first`..`count`, until one call is left.
static void add_combining(struct plan *plan, int64_t room, int64_t answer_tokens)
{
    size_t fan = room > 2 * answer_tokens ? (size_t)(room / answer_tokens) : 2;
    size_t first = 0;
    while (plan->count - first > 1) {
        size_t end = plan->count;
        for (size_t from = first; from < end; from += fan) {
            size_t to = from + fan < end ? from + fan : end;
            add_call(plan, PLAN_COMBINE, (int64_t)from, (int64_t)to);
        }
        first = end;
    }
}

static const char *kind_name(enum plan_call_kind kind)
{
    return kind == PLAN_WHOLE ? "whole" : kind == PLAN_PART ? "part" : "combine";
}

static char *calls_to_json(const struct plan *plan)
{
    struct buf out;
    buf_init(&out, 0);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < plan->count; i++)
        buf_printf(&out, "%s{\"kind\":\"%s\",\"from\":%" PRId64 ",\"to\":%" PRId64 "}",
                   i ? "," : "", kind_name(plan->calls[i].kind), plan->calls[i].from,
                   plan->calls[i].to);
    buf_add_char(&out, ']');
    return buf_take(&out);
}

static bool kind_from_name(const char *name, enum plan_call_kind *out)
{
    for (int kind = PLAN_WHOLE; kind <= PLAN_COMBINE; kind++)
        if (name && strcmp(name, kind_name((enum plan_call_kind)kind)) == 0) {
            *out = (enum plan_call_kind)kind;
            return true;
        }
    return false;
}

// Range checks: a stored plan that does not fit the text is not used.
static bool call_fits(const struct plan *plan, const struct plan_call *call, int64_t text_chars)
{
    if (call->from < 0 || call->from >= call->to)
        return false;
    return call->to <= (call->kind == PLAN_COMBINE ? (int64_t)plan->count : text_chars);
}

static bool calls_from_json(struct plan *plan, const char *text, int64_t text_chars)
{
    json_t *list = json_loads(text, 0, NULL);
    bool ok = json_is_array(list) && json_array_size(list) > 0;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        struct plan_call call = {0};
        ok = ok && kind_from_name(json_string_value(json_object_get(item, "kind")), &call.kind);
        call.from = json_integer_value(json_object_get(item, "from"));
        call.to = json_integer_value(json_object_get(item, "to"));
        ok = ok && call_fits(plan, &call, text_chars);
        if (ok)
            add_call(plan, call.kind, call.from, call.to);
    }
    json_decref(list);
    return ok;
}

static void advance(struct plan *plan)
{
    while (plan->cursor < plan->count && plan->calls[plan->cursor].answer)
        plan->cursor++;
}

// Answers of earlier plans for the same cut by the same model, or of this very plan.
static void keep_answers(struct job *job, const struct plan *before)
{
    struct plan *plan = &job->plan;
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_call *call = &plan->calls[i];
        for (size_t j = 0; before && j < before->count && !call->answer; j++) {
            const struct plan_call *old = &before->calls[j];
            if (old->answer && old->kind == call->kind && call->kind != PLAN_COMBINE &&
                old->from == call->from && old->to == call->to && before->model == plan->model)
                call->answer = own_strdup(old->answer);
        }
    }
    advance(plan);
}

static bool no_room(struct job *job, int64_t room)
{
    failure_set(&job->failure, ERR_CONTEXT_TOO_SMALL,
                "the prompt leaves %" PRId64 " of the model's %" PRId64 " context tokens for text",
                room > 0 ? room : 0, job->plan.model->context_tokens);
    return false;
}

static void plan_split(struct job *job, int64_t room)
{
    struct chunk_list chunks = {0};
    chunk_split(job->text, job->text_len, room, &chunks);
    for (size_t i = 0; i < chunks.len; i++)
        add_call(&job->plan, PLAN_PART, (int64_t)chunks.items[i].from, (int64_t)chunks.items[i].to);
    chunk_list_deinit(&chunks);
    add_combining(&job->plan, room, PART_POINT_TOKENS * prompt_part_points(job->spec));
}

static void plan_truncate(struct job *job, int64_t room)
{
    struct chunk_list chunks = {0};
    chunk_split(job->text, job->text_len, room, &chunks);
    add_call(&job->plan, PLAN_WHOLE, 0, (int64_t)chunks.items[0].to);
    job->plan.truncated = true;
    chunk_list_deinit(&chunks);
}

bool plan_make(struct job *job, const struct config_model *model, int32_t no, int64_t part_tokens)
{
    struct plan before = job->plan;
    job->plan = (struct plan){.no = no, .model = model};
    int64_t room = room_for_text(job);
    if (part_tokens > 0 && part_tokens < room)
        room = part_tokens;
    int64_t tokens = tokens_upper(plan_text_tokens(job));
    bool ok = true;
    if (room < LEAST_TEXT_TOKENS && tokens > room) {
        ok = no_room(job, room);
    } else if (tokens <= room) {
        add_call(&job->plan, PLAN_WHOLE, 0, job->text_chars);
    } else if (job->spec->on_too_long == TOO_LONG_FAIL) {
        failure_set(&job->failure, ERR_CONTEXT_LENGTH,
                    "about %" PRId64 " tokens, and the model has room for %" PRId64, tokens, room);
        ok = false;
    } else if (job->spec->on_too_long == TOO_LONG_TRUNCATE) {
        plan_truncate(job, room);
    } else {
        plan_split(job, room);
    }
    job->plan.part_tokens = room;
    job->plan.calls_json = calls_to_json(&job->plan);
    keep_answers(job, &before);
    plan_deinit(&before);
    return ok;
}

static const struct config_model *model_by_name(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

static void place_saved_parts(struct job *job)
{
    for (size_t i = 0; i < job->saved.part_count; i++) {
        struct saved_part *part = &job->saved.parts[i];
        if (part->plan_no != job->plan.no || part->call_no < 1 ||
            (size_t)part->call_no > job->plan.count)
            continue;
        struct plan_call *call = &job->plan.calls[part->call_no - 1];
        if (!call->answer) {
            call->answer = part->answer;
            part->answer = NULL;
        }
    }
    advance(&job->plan);
}

bool plan_read(struct job *job, const struct config_model *model, const struct plan_row *row)
{
    job->plan = (struct plan){.no = row->plan_no, .model = model};
    return model && prompt_version_is_current(row->prompt_version) &&
           strcmp(row->text_sha256, job->text_sha256) == 0 &&
           calls_from_json(&job->plan, row->calls_json, job->text_chars);
}

bool plan_restore(struct job *job, const struct job_now *now)
{
    const struct saved_plan *last = NULL;
    for (size_t i = 0; i < job->saved.plan_count; i++)
        if (!last || job->saved.plans[i].plan_no > last->plan_no)
            last = &job->saved.plans[i];
    if (!last)
        return false;
    struct plan_row row = {.plan_no = last->plan_no,
                           .model = last->model,
                           .prompt_version = last->prompt_version,
                           .text_sha256 = last->text_sha256,
                           .calls_json = last->calls_json};
    if (!plan_read(job, model_by_name(now->config, last->model), &row)) {
        // Its number is taken: the next plan gets the one after it.
        int32_t no = last->plan_no;
        plan_deinit(&job->plan);
        job->plan.no = no;
        job->plan.asked = true;
        return false;
    }
    job->plan.stored = job->plan.asked = true;
    job->plan.calls_json = own_strdup(last->calls_json);
    job->plan.why = own_strdup(last->why);
    route_restore(job, last, now);
    const struct plan_call *first = &job->plan.calls[0];
    job->plan.truncated = first->kind == PLAN_WHOLE && first->to < job->text_chars;
    place_saved_parts(job);
    return true;
}

void plan_call_text(const struct job *job, struct buf *out, const char **text, size_t *len)
{
    const struct plan_call *call = &job->plan.calls[job->plan.cursor];
    if (call->kind != PLAN_COMBINE) {
        size_t from = text_offset(job->text, job->text_len, (size_t)call->from);
        size_t to = call->to == job->text_chars
                        ? job->text_len
                        : text_offset(job->text, job->text_len, (size_t)call->to);
        *text = job->text + from;
        *len = to - from;
        return;
    }
    for (int64_t i = call->from; i < call->to; i++)
        buf_printf(out, "Part %" PRId64 " of %" PRId64 ":\n%s\n\n", i - call->from + 1,
                   call->to - call->from, job->plan.calls[i].answer);
    *text = buf_str(out);
    *len = out->len;
}

static enum step_result plan_ready(struct job *job, const struct job_now *now)
{
    call_restore(job);
    if (job->plan.cursor == job->plan.count) // all answers were paid before: only the end is left
        return judge_conclude(job, now);
    return admit_enter(job, now);
}

// The user's own form of the answer, as a validator.
static bool make_schema(struct job *job)
{
    if (!job->spec->output_schema_json || job->schema)
        return true;
    json_t *schema = json_loads(job->spec->output_schema_json, 0, NULL);
    job->schema = json_schema_new(schema, &job->failure);
    json_decref(schema);
    return job->schema != NULL;
}

static bool has_price(struct job *job, const struct config_model *model)
{
    if (model->price.known || model->price.free)
        return true;
    failure_set(&job->failure, ERR_NO_PRICE, "model \"%s\" has no price", model->name);
    return false;
}

// Of the route's models the first that can have the job. False: job->failure says why none can.
static bool make_plan(struct job *job, const struct job_now *now, int32_t no)
{
    int64_t part_tokens = job->plan.part_tokens;
    for (;;) {
        char *why = NULL;
        const struct config_model *model = route_choose(job, now, &why);
        if (!model) {
            failure_set(&job->failure, ERR_UNKNOWN_MODEL, "no model or route \"%s\"",
                        job->route ? job->route : "default");
            return false;
        }
        bool ok = has_price(job, model) && plan_make(job, model, no, part_tokens);
        free(job->plan.why);
        job->plan.why = why;
        if (ok)
            return true;
        char code[40];
        if (!route_leave(job, now->config, failure_code(&job->failure, code, sizeof(code))))
            return false;
        part_tokens = 0;
    }
}

enum step_result step_plan(struct job *job, const struct job_event *event,
                           const struct step_context *context)
{
    (void)event;
    const struct job_now *now = context->now;
    struct failure failure;
    if (now->db_now_ms >= job->spec->deadline_ms && job->spec->fail_on_deadline) {
        failure_set(&failure, ERR_EXPIRED, "the deadline has passed");
        return job_fail(job, &failure, now);
    }
    if (job->overhead_tokens == 0)
        job->overhead_tokens =
            prompt_overhead_tokens(job->spec, now->overhead, &job->overhead_bytes);
    if (job->plan.count == 0 && make_schema(job) && plan_restore(job, now))
        return plan_ready(job, now);
    // A number that no intent has named is free to be used again.
    int32_t no = job->plan.no > 0 && !job->plan.asked ? job->plan.no : job->plan.no + 1;
    if (no > JOB_PLANS_MAX) {
        failure_set(&failure, ERR_CONTEXT_LENGTH, "too long for the model after %d plans",
                    JOB_PLANS_MAX);
        return job_fail(job, &failure, now);
    }
    if (!make_plan(job, now, no)) {
        failure = job->failure;
        return job_fail(job, &failure, now);
    }
    job->failure = (struct failure){0};
    return plan_ready(job, now);
}
