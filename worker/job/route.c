// SPDX-License-Identifier: Apache-2.0
// Which model a plan goes to: what the job names, or a rule of the configuration; of a route the
// first model that can.
//
// A model is passed over for now where its keys are closed for longer than worker.route_patience,
// and for good where it cannot have this job: its context is too small, it is too dear for
// max_cost_usd or for a budget, its server does not know it. A job that has paid answers of a plan
// stays with the plan's model: the answers would have to be bought again.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/rules.h"
#include "job/parts.h"

#define PLACES 64 // of a route that can be ruled out; those behind them never are

static const struct config_model *model_at(const struct job *job, const struct config *config,
                                           size_t place)
{
    return config_find_model(config, job->route, place);
}

static bool is_out(const struct job *job, size_t place)
{
    return place < PLACES && (job->route_out >> place & 1);
}

static bool has_price(const struct config_model *model)
{
    return model->price.known || model->price.free;
}

static bool has_answers(const struct job *job)
{
    for (size_t i = 0; i < job->plan.count; i++)
        if (job->plan.calls[i].answer)
            return true;
    return false;
}

static const char *closed_why(const struct job_now *now, const struct config_model *model)
{
    struct model_outlook outlook = {0};
    if (now->outlook)
        now->outlook(now->outlook_context, model, &outlook);
    return outlook.closed_ms > now->config->worker.route_patience_ms ? outlook.why : NULL;
}

// ------------------------------------------------------------------------------- rules

// Where the job says nothing of the matter itself.
static bool leaves_route(const struct job_spec *spec)
{
    return !spec->model || strcmp(spec->model, "default") == 0;
}

static bool leaves_reasoning(const struct job_spec *spec)
{
    return spec->reasoning_mode == REASONING_AUTO && !spec->reasoning_effort;
}

static void ask_rules(const struct job *job, const struct config *config, int64_t document_tokens,
                      int load_percent, struct rule_choice *out)
{
    const struct rule_facts facts = {.tenant = job->spec->tenant,
                                     .kind = "summarize",
                                     .document_tokens = document_tokens,
                                     .load_percent = load_percent};
    rules_choose(config, &facts, out);
}

static void apply_rules(struct job *job, const struct job_now *now, struct buf *why)
{
    const struct job_spec *spec = job->spec;
    job->route = spec->model;
    job->reasoning = spec->reasoning_mode;
    job->reasoning_ruled = false;
    if (now->config->rule_count == 0)
        return;
    struct rule_choice choice;
    ask_rules(job, now->config, plan_text_tokens(job), now->load_percent, &choice);
    if (choice.route_by && leaves_route(spec)) {
        job->route = choice.route;
        buf_printf(why, "rule %s: route %s; ", choice.route_by->name, choice.route);
    }
    if (choice.reasoning_by && leaves_reasoning(spec)) {
        job->reasoning = choice.reasoning;
        job->reasoning_ruled = true;
        buf_printf(why, "rule %s: reasoning_mode %s; ", choice.reasoning_by->name,
                   reasoning_mode_text(choice.reasoning));
    }
}

// A rule's choice is no demand: a model that takes none is asked without.
static enum reasoning_mode asked_reasoning(const struct config_model *model,
                                           enum reasoning_mode mode, bool ruled)
{
    return ruled && model->reasoning == REASONING_NONE ? REASONING_AUTO : mode;
}

const struct config_model *route_expected(struct job *job, const struct config *config,
                                          enum reasoning_mode *out_reasoning)
{
    const struct job_spec *spec = job->spec;
    struct rule_choice choice;
    ask_rules(job, config, job->text ? plan_text_tokens(job) : -1, -1, &choice);
    bool ruled = leaves_reasoning(spec) && choice.reasoning_by;
    if ((leaves_route(spec) && choice.route_unsure) ||
        (leaves_reasoning(spec) && choice.reasoning_unsure))
        return NULL;
    const char *route = leaves_route(spec) && choice.route_by ? choice.route : spec->model;
    const struct config_model *model = config_find_model(config, route, 0);
    if (model)
        *out_reasoning =
            asked_reasoning(model, ruled ? choice.reasoning : spec->reasoning_mode, ruled);
    return model;
}

void route_restore(struct job *job, const struct saved_plan *saved, const struct job_now *now)
{
    struct buf ignored;
    buf_init(&ignored, 0);
    apply_rules(job, now, &ignored);
    buf_deinit(&ignored);
    job->reasoning = job->spec->reasoning_mode;
    job->reasoning_ruled = rules_reasoning_from(saved->reasoning_mode, &job->reasoning);
    const struct config_model *model;
    for (size_t place = 0; (model = model_at(job, now->config, place)); place++)
        if (strcmp(model->name, saved->model) == 0) {
            job->route_place = place;
            return;
        }
}

// ------------------------------------------------------------------------------- choosing

// The first that can; where none can now, the first that is not ruled out.
static bool find_place(const struct job *job, const struct job_now *now, size_t *out_place)
{
    const struct config_model *model;
    bool found = false;
    for (size_t place = 0; (model = model_at(job, now->config, place)); place++) {
        if (is_out(job, place))
            continue;
        bool open = has_price(model) && closed_why(now, model) == NULL;
        if (open || !found)
            *out_place = place;
        found = true;
        if (open)
            break;
    }
    return found;
}

static void tell_passed_over(const struct job *job, const struct job_now *now, struct buf *why)
{
    if (job->route_why)
        buf_add_str(why, job->route_why);
    for (size_t place = 0; place < job->route_place; place++) {
        const struct config_model *model = model_at(job, now->config, place);
        const char *closed = is_out(job, place) ? NULL : closed_why(now, model);
        if (closed)
            buf_printf(why, "%s: %s; ", model->name, closed);
    }
}

const struct config_model *route_choose(struct job *job, const struct job_now *now, char **out_why)
{
    struct buf why;
    buf_init(&why, 2000);
    apply_rules(job, now, &why);
    size_t place = 0;
    if (has_answers(job)) { // a plan of other cuts
        buf_deinit(&why);
        *out_why = own_strdup(job->plan.why);
        return job->plan.model;
    }
    if (!find_place(job, now, &place)) {
        buf_deinit(&why);
        return NULL;
    }
    job->route_place = place;
    tell_passed_over(job, now, &why);
    *out_why = why.len > 2 ? own_strndup(buf_str(&why), why.len - 2) : NULL; // without "; "
    buf_deinit(&why);
    return model_at(job, now->config, place);
}

// ------------------------------------------------------------------------------- leaving

static void rule_out(struct job *job, const struct config *config, size_t place, const char *reason)
{
    struct buf why;
    buf_init(&why, 2000);
    buf_printf(&why, "%s%s: %s; ", job->route_why ? job->route_why : "",
               model_at(job, config, place)->name, reason);
    free(job->route_why);
    job->route_why = buf_take(&why);
    if (place < PLACES)
        job->route_out |= UINT64_C(1) << place;
}

// Whether another place may have the job; `cheaper_than` NULL: any.
static bool has_other(const struct job *job, const struct config *config,
                      bool (*takes)(const struct config_model *, const struct config_model *))
{
    const struct config_model *model, *mine = model_at(job, config, job->route_place);
    for (size_t place = 0; mine && (model = model_at(job, config, place)); place++)
        if (place != job->route_place && !is_out(job, place) && has_price(model) &&
            (!takes || takes(model, mine)))
            return true;
    return false;
}

bool route_leave(struct job *job, const struct config *config, const char *reason)
{
    bool listed = model_at(job, config, job->route_place) != NULL && job->route_place < PLACES;
    if (!listed || has_answers(job) || !has_other(job, config, NULL))
        return false;
    rule_out(job, config, job->route_place, reason);
    job->plan.part_tokens = 0;
    return true;
}

static bool is_cheaper(const struct config_model *model, const struct config_model *than)
{
    const struct price *a = &model->price, *b = &than->price;
    if (a->free || b->free)
        return a->free && !b->free;
    return a->known && a->input_picousd <= b->input_picousd &&
           a->output_picousd <= b->output_picousd &&
           (a->input_picousd < b->input_picousd || a->output_picousd < b->output_picousd);
}

static bool is_elsewhere(const struct config_model *model, const struct config_model *than)
{
    return model->provider != than->provider || is_cheaper(model, than);
}

bool route_leave_for_cheaper(struct job *job, const struct config *config,
                             const struct budget_refusal *refusal)
{
    bool of_provider = refusal->scope == BUDGET_PROVIDER || refusal->scope == BUDGET_KEY;
    bool (*takes)(const struct config_model *, const struct config_model *) =
        of_provider ? is_elsewhere : is_cheaper;
    if (has_answers(job) || !has_other(job, config, takes))
        return false;
    char reason[BUDGET_NAME_BYTES + 60];
    snprintf(reason, sizeof(reason), "the budget of %s%s%s, %s, has no room",
             budget_scope_text(refusal->scope), refusal->name[0] ? " " : "", refusal->name,
             budget_period_text(refusal->period));
    const struct config_model *model, *mine = model_at(job, config, job->route_place);
    for (size_t place = 0; (model = model_at(job, config, place)); place++)
        if (!is_out(job, place) && place < PLACES && (model == mine || !takes(model, mine)))
            rule_out(job, config, place, reason);
    job->plan.part_tokens = 0;
    return true;
}

enum reasoning_mode job_reasoning(const struct job *job)
{
    return asked_reasoning(job->plan.model, job->reasoning, job->reasoning_ruled);
}

bool job_wants_other_model(const struct job *job, const struct job_now *now)
{
    if (job->step != STEP_ADMIT || job->forbidden || has_answers(job) ||
        job->plan.no >= JOB_PLANS_MAX - 2 || !closed_why(now, job->plan.model))
        return false;
    const struct config_model *model;
    for (size_t place = 0; (model = model_at(job, now->config, place)); place++)
        if (model != job->plan.model && !is_out(job, place) && has_price(model) &&
            !closed_why(now, model))
            return true;
    return false;
}
