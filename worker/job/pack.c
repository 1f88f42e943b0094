// SPDX-License-Identifier: Apache-2.0
// A call that several jobs share (core/pack.h): who may, the one request, and each member's share
// of its answer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/tokens.h"
#include "job/parts.h"

// One with a ceiling goes alone: where others' texts turn out longer than they looked, their rest
// would be shared out to it.
bool job_can_pack(const struct job *job)
{
    const struct plan *plan = &job->plan;
    const struct call *call = &job->call;
    return plan->count == 1 && plan->calls[0].kind == PLAN_WHOLE && !plan->truncated &&
           !call->alone && !call->repaired && !call->widened && call->doubtful == 0 &&
           !job->forbidden && job->spec->max_cost_picousd < 0 &&
           job_reasoning(job) != REASONING_ON && pack_allowed(job->spec);
}

struct pack_room job_pack_need(struct job *job)
{
    int64_t text_tokens = plan_text_tokens(job), alone = plan_output_tokens(job, PLAN_WHOLE);
    int64_t output = pack_output_tokens(job->spec, text_tokens, job->text_chars, alone);
    if (job->spec->output_schema_json && !job->spec->schema_size.shapeless)
        output =
            plan_form_tokens(job, PLAN_WHOLE) < alone ? plan_form_tokens(job, PLAN_WHOLE) : alone;
    int64_t input = plan_overhead_tokens(job) + tokens_upper(text_tokens);
    struct pack_room need = {.documents = 1, .tokens = input + output, .output_tokens = output};
    const struct usage most = {.known = true, .input_tokens = input, .output_tokens = output};
    if (!price_of_usage(&job->plan.model->price, &most, &need.doubt_picousd))
        need.doubt_picousd = INT64_MAX;
    return need;
}

// ------------------------------------------------------------------------------- the request

// Of what is sent.
static int64_t plain_tokens(const struct config_model *model, const struct prompt *prompt)
{
    int64_t tokens = prompt_tokens(prompt);
    if (model->answer != ANSWER_JSON_SCHEMA)
        tokens -= tokens_estimate(prompt->schema_json, strlen(prompt->schema_json));
    return tokens;
}

static bool build_packed(struct job *leader, const struct job_pack *pack, const struct job_now *now)
{
    struct prompt_document documents[PACK_MOST];
    struct prompt prompt = {0};
    struct failure failure;
    int64_t output_tokens = 0;
    for (size_t i = 0; i < pack->count; i++) {
        const struct job *member = pack->members[i];
        documents[i] = (struct prompt_document){.text = member->text,
                                                .text_len = member->text_len,
                                                .name = member->spec->document_name};
        output_tokens += member->call.max_output_tokens;
    }
    prompt_build_pack(&prompt, leader->spec, documents, pack->count, now->random);
    for (size_t i = 0; i < pack->count; i++)
        memcpy(pack->ids[i], documents[i].id, PROMPT_ID_BYTES);
    leader->call.pack_tokens = plain_tokens(leader->plan.model, &prompt);
    bool ok = call_write(leader, &prompt, output_tokens, &failure);
    leader->call.total_ms = call_total_ms(leader, output_tokens, now);
    prompt_deinit(&prompt);
    return ok;
}

static enum step_result send(struct job *job, const struct job_pack *pack,
                             const struct step_context *context)
{
    struct failure failure;
    if (!context->now->lease_valid)
        return admit_take_back(job, context);
    bool ok = pack->count > 1 ? build_packed(job, pack, context->now)
                              : call_build(job, context->now, &failure);
    if (!ok) { // its parameters were found good before: alone it fails with what is wrong
        job->call.alone = true;
        return admit_take_back(job, context);
    }
    return admit_send(job, context);
}

// ------------------------------------------------------------------------------- the shares

enum step_result pack_end_call(struct job *job, const struct step_context *context)
{
    job_move(job, STEP_PACKED, context->now);
    job_act(context, ACTION_SHARE);
    return STEP_WAIT;
}

// The same end for each; what differs is content and tokens.
static void share_whole(const struct job *leader, size_t count, struct job_share *out)
{
    const struct call *call = &leader->call;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct job_share){.answer = call->answer,
                                    .begun_ms = call->begun_ms,
                                    .first_token_ms = call->first_token_ms,
                                    .started_unix_ms = call->started_unix_ms};
        out[i].answer.content = own_strdup("");
        out[i].answer.content_len = 0;
    }
}

static void share_piece(struct pack_piece *piece, struct model_answer *out)
{
    if (piece->fault != PACK_WHOLE) {
        failure_set(&out->failure, ERR_PACKED_ANSWER, "%s", pack_fault_text(piece->fault));
        out->failure.http_status = out->http_status;
        return;
    }
    free(out->content);
    out->content = piece->content;
    out->content_len = piece->len;
    piece->content = NULL; // taken
}

// False: the whole has no pieces, and every member gets the same failure.
static bool share_content(struct job *const *members, size_t count, char (*ids)[PROMPT_ID_BYTES],
                          struct job_share *out)
{
    const struct model_answer *whole = &members[0]->call.answer;
    struct prompt_document documents[PACK_MOST];
    struct pack_piece pieces[PACK_MOST];
    struct failure failure;
    for (size_t i = 0; i < count; i++) {
        documents[i] =
            (struct prompt_document){.text = members[i]->text, .text_len = members[i]->text_len};
        memcpy(documents[i].id, ids[i], PROMPT_ID_BYTES);
    }
    bool ok = whole->failure.code == ERR_NONE && !whole->length_limited;
    if (!ok)
        return false;
    ok = pack_split(documents, count, whole->content, whole->content_len, pieces, &failure);
    for (size_t i = 0; i < count; i++) {
        if (ok)
            share_piece(&pieces[i], &out[i].answer);
        else
            out[i].answer.failure = failure;
    }
    if (ok)
        pack_pieces_deinit(pieces, count);
    return ok;
}

static int64_t split_number(int64_t total, const int64_t *weights, size_t count, size_t which)
{
    int64_t caps[PACK_MOST], shares[PACK_MOST];
    for (size_t i = 0; i < count; i++)
        caps[i] = INT64_MAX / PACK_MOST;
    pack_share(total, weights, caps, count, shares);
    return shares[which];
}

void job_share_answer(struct job *const *members, size_t count, char (*ids)[PROMPT_ID_BYTES],
                      struct job_share *out)
{
    const struct model_answer *whole = &members[0]->call.answer;
    struct pack_weight weights[PACK_MOST];
    struct usage usage[PACK_MOST];
    int64_t tokens[PACK_MOST];
    CHECK(count > 1 && count <= PACK_MOST);
    share_whole(members[0], count, out);
    share_content(members, count, ids, out);
    for (size_t i = 0; i < count; i++) {
        const struct call *call = &members[i]->call;
        const struct model_answer *answer = &out[i].answer;
        weights[i] = (struct pack_weight){
            .input_tokens = tokens_upper(plan_text_tokens(members[i])),
            .output_tokens = tokens_estimate(answer->content, answer->content_len),
            .input_most = call->input_tokens_most,
            .output_most = call->max_output_tokens,
        };
    }
    pack_share_usage(&whole->usage, weights, count, usage);
    for (size_t i = 0; i < count; i++)
        tokens[i] = usage[i].input_tokens + usage[i].output_tokens;
    for (size_t i = 0; i < count; i++) {
        out[i].answer.usage = usage[i];
        if (whole->cost_reported_picousd >= 0)
            out[i].answer.cost_reported_picousd =
                split_number(whole->cost_reported_picousd, tokens, count, i);
    }
}

enum step_result pack_cut(struct job *job, const struct store_event *event)
{
    if (event->u.looked_up.cut) {
        job->cut = true;
        job->stop = event->u.looked_up.stop;
    }
    return STEP_WAIT;
}

static enum step_result take_share(struct job *job, struct job_share *share,
                                   const struct step_context *context)
{
    struct call *call = &job->call;
    if (call->has_answer)
        model_answer_deinit(&call->answer);
    call->answer = share->answer;
    call->has_answer = true;
    call->begun_ms = share->begun_ms;
    call->first_token_ms = share->first_token_ms;
    call->started_unix_ms = share->started_unix_ms;
    const struct failure *failure = &call->answer.failure;
    if (failure->code == ERR_CANCELLED) { // the whole call was cut
        draft_attempt(job, failure->doubtful ? ATTEMPT_IN_DOUBT : ATTEMPT_CANCELLED, context->now);
        return job_stopped(job, context->now);
    }
    return judge_answer(job, context);
}

enum step_result step_packed(struct job *job, const struct job_event *event,
                             const struct step_context *context)
{
    if (event->kind == JOB_SEND)
        return send(job, event->pack, context);
    if (event->kind == JOB_SHARE)
        return take_share(job, event->share, context);
    if (event->kind == JOB_UNPACK)
        return admit_take_back(job, context);
    if (event->kind == JOB_LOOKED_UP)
        return pack_cut(job, event->store);
    job->dropped = true; // JOB_STOP: the pack's call is ended by its leader
    return STEP_WAIT;
}
