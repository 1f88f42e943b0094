// SPDX-License-Identifier: Apache-2.0
// --finish-by: whether the limits that are there suffice, else of which one so much more does, or
// how many documents a request would have to carry.
#include <stdlib.h>

#include "base/own.h"
#include "cmd/estimate_parts.h"

// Tokens of a packed request: the model's context without the room for its answer, which grows with
// the documents; half of it, so that both fit.
static int64_t pack_input_tokens(const struct config_model *model)
{
    return model->context_tokens / 2;
}

// The least number of documents in a request; 0: no number helps.
static int64_t needed_pack(const struct estimate_model *model, const plan_time_limits limits,
                           int64_t within_ms)
{
    const struct estimate_sum *own = &model->own;
    struct plan_time_call *packed = own_array(own->count + 1, sizeof(*packed));
    struct plan_time_shared shared = {
        .input_tokens = own->form_tokens / (int64_t)own->count,
        .duration_ms = estimate_first_token_ms(&model->learned),
    };
    size_t before = own->count;
    int64_t found = 0;
    for (size_t size = 2; size <= PACK_MOST && found == 0; size++) {
        size_t count = plan_time_pack(own->calls, own->count, size, &shared,
                                      pack_input_tokens(model->model), packed);
        if (count == before && size > 2)
            break; // they are too long for more
        before = count;
        if (plan_time_of(packed, count, limits).total_ms <= within_ms)
            found = (int64_t)size;
    }
    free(packed);
    return found;
}

// The limit that stands in the way: the bound one first, then any that alone would do.
static void find_limit(const struct estimate_model *model, const plan_time_limits limits,
                       enum plan_time_limit bound, struct estimate_finish *out)
{
    out->limit = PLAN_TIME_NONE;
    for (int i = -1; i < PLAN_TIME_LIMITS && out->limit == PLAN_TIME_NONE; i++) {
        enum plan_time_limit limit = i < 0 ? bound : (enum plan_time_limit)i;
        if (limit == PLAN_TIME_NONE)
            continue;
        int64_t need =
            plan_time_needed(model->own.calls, model->own.count, limits, limit, out->within_ms);
        if (need == 0)
            continue;
        out->limit = limit;
        out->have = limits[limit];
        out->need = need;
    }
}

void estimate_finish(const struct estimating *estimating, const struct estimate_model *model,
                     struct estimate_finish *out)
{
    *out = (struct estimate_finish){.asked = estimating->finish_by_ms > 0, .limit = PLAN_TIME_NONE};
    if (!out->asked || model->own.count == 0)
        return;
    plan_time_limits limits;
    estimate_limits(estimating->submit.config, model->model, estimating->workers, limits);
    struct plan_time time = plan_time_of(model->own.calls, model->own.count, limits);
    out->within_ms = estimating->finish_by_ms - estimating->now_ms;
    out->met = time.total_ms <= out->within_ms;
    if (out->met)
        return;
    find_limit(model, limits, time.bound, out);
    if (time.bound == PLAN_TIME_REQUESTS || time.bound == PLAN_TIME_REQUESTS_DAY)
        out->packed = needed_pack(model, limits, out->within_ms);
}
