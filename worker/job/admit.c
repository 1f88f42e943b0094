// SPDX-License-Identifier: Apache-2.0
// Waiting for leave to call, and the row that says a request is about to leave.
#include <inttypes.h>

#include "base/check.h"
#include "core/money.h"
#include "job/parts.h"

// When the job itself may go on, whatever the limits say; monotonic.
static int64_t own_start_ms(const struct job *job, const struct job_now *now)
{
    int64_t start_ms = job->not_before_ms;
    int64_t wait_ms = job->spec->not_before_ms - now->db_now_ms;
    if (job->spec->not_before_ms > 0 && wait_ms > 0 && now->now_ms + wait_ms > start_ms)
        start_ms = now->now_ms + wait_ms;
    return start_ms;
}

static bool expired(const struct job *job, const struct job_now *now)
{
    return job->spec->fail_on_deadline && now->db_now_ms >= job->spec->deadline_ms;
}

static enum step_result expire(struct job *job, const struct job_now *now)
{
    struct failure failure;
    failure_set(&failure, ERR_EXPIRED, "the deadline passed while the job waited");
    return job_fail(job, &failure, now);
}

// At its own start, or at a deadline that is met by no limit, key or pace in time.
static void wake_next(struct job *job, const struct job_now *now)
{
    int64_t at_ms = job->not_before_ms > now->now_ms ? job->not_before_ms : INT64_MAX;
    int64_t left_ms = job->spec->deadline_ms - now->db_now_ms;
    if (job->spec->fail_on_deadline && left_ms < at_ms - now->now_ms)
        at_ms = now->now_ms + (left_ms > 0 ? left_ms : 1);
    job_wake_at(job, at_ms);
}

static int64_t limit_of(int64_t of_key, int64_t of_model)
{
    return of_key > 0 ? of_key : of_model;
}

// The most tokens that any key of the model lets through in a minute.
static int64_t largest_tpm(const struct config_model *model)
{
    const struct config_keys *keys = &model->provider->keys;
    int64_t most = 0;
    for (size_t i = 0; i < keys->len; i++) {
        int64_t limit = limit_of(keys->items[i].tpm, model->tpm);
        if (limit == 0)
            return 0;
        most = limit > most ? limit : most;
    }
    return most;
}

// A call that is larger than what a whole minute or day allows would wait for ever.
bool admit_fits(struct job *job, const struct calibrate *calibrate, struct failure *out)
{
    const struct config_model *model = job->plan.model;
    int64_t input = call_plain_tokens(job); // what is likely, without a margin
    int64_t output = call_output_limit(job, calibrate);
    const struct {
        int64_t need, limit;
        const char *what;
    } rows[] = {
        {input + output, largest_tpm(model), "tokens a minute"},
        {input, model->itpm, "input tokens a minute"},
        {output, model->otpm, "output tokens a minute"},
        {input + output, model->tpd, "tokens a day"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].limit == 0 || rows[i].need <= rows[i].limit)
            continue;
        failure_set(out, ERR_OVER_LIMIT,
                    "the request takes about %" PRId64 " of the model's %" PRId64 " %s",
                    rows[i].need, rows[i].limit, rows[i].what);
        return false;
    }
    return true;
}

enum step_result admit_enter(struct job *job, const struct job_now *now)
{
    struct failure failure;
    job_move(job, STEP_ADMIT, now);
    job->need_tokens = -1;
    if (!admit_fits(job, now->calibrate, &failure))
        return job_fail(job, &failure, now);
    job->not_before_ms = own_start_ms(job, now);
    wake_next(job, now);
    return STEP_AGAIN;
}

bool job_is_ready(const struct job *job, int64_t now_ms)
{
    return job->step == STEP_ADMIT && job->not_before_ms <= now_ms;
}

// A combining call reads answers, which are about as long as the one that it makes.
int64_t job_need_tokens(const struct job *job)
{
    const struct plan_call *call = &job->plan.calls[job->plan.cursor];
    int64_t output = plan_output_tokens(job, call->kind), span = call->to - call->from;
    int64_t text = job->text_tokens > 0 ? job->text_tokens : (int64_t)job->text_len / 4;
    int64_t input = call->kind == PLAN_COMBINE                       ? span * output
                    : call->kind == PLAN_PART && job->text_chars > 0 ? text * span / job->text_chars
                                                                     : text;
    return job->overhead_tokens + input + output;
}

static uint32_t add_to_hash(uint32_t hash, const char *text)
{
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u; // FNV-1a
    return hash * 16777619u;
}

uint32_t job_prefix(const struct job *job)
{
    const struct job_spec *spec = job->spec;
    uint32_t hash = add_to_hash(2166136261u, spec->instructions);
    hash = add_to_hash(hash, spec->output_schema_json);
    return add_to_hash(hash, spec->language);
}

// Earlier workers ended while this call was under way, so often that it is not bought once more.
static bool too_doubtful(const struct job *job, const struct job_now *now, struct failure *out)
{
    if (job->call.doubtful < now->config->retry.doubtful)
        return false;
    failure_set(out, ERR_IN_DOUBT, "%d attempts left no complete answer", job->call.doubtful);
    return true;
}

// With another model: its plan is made anew.
static enum step_result plan_again(struct job *job, const struct job_now *now)
{
    buf_deinit(&job->call.body);
    job_move(job, STEP_PLAN, now);
    return STEP_AGAIN;
}

static enum step_result admitted(struct job *job, const struct step_context *context)
{
    const struct job_now *now = context->now;
    struct failure failure;
    if (expired(job, now))
        return expire(job, now);
    if (job->forbidden) {
        failure = job->failure;
        return job_fail(job, &failure, now);
    }
    if (too_doubtful(job, now, &failure))
        return job_fail(job, &failure, now);
    if (!call_prepare(job, now, &failure)) {
        if (failure.code == ERR_TOO_DEAR && route_leave(job, now->config, "over max_cost_usd"))
            return plan_again(job, now);
        return job_fail(job, &failure, now);
    }
    job->plan.asked = true;
    job_move(job, STEP_INTENT, now);
    job_act(context, ACTION_INTEND);
    return STEP_WAIT;
}

// Just entered: a long wait of its own is not for a worker's memory.
static enum step_result wait_here_or_there(struct job *job, const struct step_context *context)
{
    const struct job_now *now = context->now;
    bool is_long = job->not_before_ms - now->now_ms > JOB_PARK_MS;
    return is_long && now->can_park ? job_leave(job, context) : STEP_WAIT;
}

enum step_result step_admit(struct job *job, const struct job_event *event,
                            const struct step_context *context)
{
    if (event->kind == JOB_ADMITTED)
        return admitted(job, context);
    if (event->kind == JOB_GO)
        return wait_here_or_there(job, context);
    if (event->kind == JOB_PARK)
        return job_park(job, event->park, context);
    if (event->kind == JOB_STOP)
        return job_leave(job, context);
    if (event->kind == JOB_LOOKED_UP) {
        job->stop = event->store->u.looked_up.stop;
        return job->stop == STOP_NONE ? STEP_WAIT : job_stopped(job, context->now);
    }
    if (event->kind == JOB_REROUTE)
        return plan_again(job, context->now);
    if (expired(job, context->now)) // JOB_WAKE
        return expire(job, context->now);
    wake_next(job, context->now); // the engine sees whether it is ready
    return STEP_WAIT;
}

static enum step_result lost_to_another(struct job *job, const struct job_now *now)
{
    buf_deinit(&job->call.body);
    job_move(job, STEP_HELD, now);
    job_wake_at(job, now->now_ms + JOB_HELD_MS);
    return STEP_WAIT;
}

enum step_result admit_take_back(struct job *job, const struct step_context *context)
{
    job->call.started_unix_ms = context->now->db_now_ms;
    draft_attempt(job, ATTEMPT_CANCELLED, context->now);
    job->after_record = job->dropped ? STEP_END : STEP_ADMIT;
    job_move(job, STEP_RECORD, context->now);
    job_act(context, ACTION_RECORD);
    return STEP_WAIT;
}

enum step_result admit_send(struct job *job, const struct step_context *context)
{
    const struct job_now *now = context->now;
    struct call *call = &job->call;
    call->reader = reader_new(job->plan.model, job->plan.model->stream);
    call->serial = ++job->calls_begun;
    call->sent_ms = -1;
    call->begun_ms = now->now_ms;
    call->started_unix_ms = now->db_now_ms;
    call->first_byte_ms = call->first_token_ms = call->content_ms = call->finished_ms = -1;
    call->content_events = 0;
    job_move(job, STEP_CALL, now);
    job_wake_at(job, call_deadline_ms(job));
    job_act(context, ACTION_CALL);
    return STEP_WAIT;
}

// The next call does not fit into a budget: what the budget says for that.
static enum step_result at_the_wall(struct job *job, const struct budget_refusal *refusal,
                                    const struct job_now *now)
{
    struct failure failure;
    char limit[MONEY_TEXT_BYTES];
    buf_deinit(&job->call.body);
    // What calls under way have reserved may come back: the wall is reached when it is spent.
    if (refusal->at_wall == BUDGET_FAIL && !refusal->may_free) {
        money_format_usd(refusal->limit_picousd, limit, sizeof(limit));
        failure_set(&failure, ERR_BUDGET,
                    "the next call might pass the budget of %s USD (%s%s%s, %s)", limit,
                    budget_scope_text(refusal->scope), refusal->name[0] ? " " : "", refusal->name,
                    budget_period_text(refusal->period));
        return job_fail(job, &failure, now);
    }
    if (refusal->at_wall == BUDGET_CHEAPER && route_leave_for_cheaper(job, now->config, refusal))
        return plan_again(job, now);
    job->walled = true;
    job->wall_frees = refusal->may_free;
    job->wall_ends_ms = refusal->ends_ms;
    job->not_before_ms = now->now_ms + budget_look_again_ms(refusal, now->db_now_ms, now->random);
    return admit_enter(job, now);
}

static enum step_result go(struct job *job, const struct step_context *context)
{
    if (job->pack) {
        job_move(job, STEP_PACKED, context->now);
        return STEP_WAIT;
    }
    // The lease may have ended while the row was written.
    return context->now->lease_valid ? admit_send(job, context) : admit_take_back(job, context);
}

enum step_result step_intent(struct job *job, const struct job_event *event,
                             const struct step_context *context)
{
    const struct job_now *now = context->now;
    struct failure failure;
    switch (event->store->u.intended.verdict) {
    case INTENT_GO:
        job->walled = job->cut = false;
        job->call.last_attempt_no++;
        job->attempts_all++;
        job->plan.stored = true;
        return go(job, context);
    case INTENT_FENCED:
        return lost_to_another(job, now);
    case INTENT_STOPPED:
        job->stop = event->store->u.intended.stop;
        return job_stopped(job, now);
    case INTENT_BUDGET:
        return at_the_wall(job, event->store->u.intended.refusal, now);
    case INTENT_TWIN:
        buf_deinit(&job->call.body);
        return twin_enter(job, context);
    case INTENT_NO_LEASE:
        job->not_before_ms = now->now_ms + 1000;
        return admit_enter(job, now);
    case INTENT_REJECTED:
        failure_set(&failure, ERR_STORE_REJECTED, "PostgreSQL refused the attempt's row");
        return job_fail(job, &failure, now);
    }
    CHECK(false);
    return STEP_DONE;
}
