// SPDX-License-Identifier: Apache-2.0
// --finish-by: whether the limits that are there suffice, else of which one so much more does, or
// how many documents a request would have to carry.
#include "cmd/estimate_parts.h"

// The least number of documents in a request, over what is configured; 0: no number helps.
static int64_t needed_pack(const struct estimating *estimating, const struct estimate_model *model,
                           int64_t within_ms)
{
    for (int64_t size = estimating->submit.config->packing.size + 1; size <= PACK_MOST; size++) {
        struct plan_time_work work = estimate_work(estimating, model, &model->own, size);
        if (plan_time_of(&work, model->limits.at).total_ms <= within_ms)
            return size;
    }
    return 0;
}

// The limit that stands in the way: the bound one first, then any that alone would do.
static void find_limit(const struct plan_time_work *work, const plan_time_limits limits,
                       enum plan_time_limit bound, struct estimate_finish *out)
{
    out->limit = PLAN_TIME_NONE;
    for (int i = -1; i < PLAN_TIME_LIMITS && out->limit == PLAN_TIME_NONE; i++) {
        enum plan_time_limit limit = i < 0 ? bound : (enum plan_time_limit)i;
        if (limit == PLAN_TIME_NONE)
            continue;
        int64_t need = plan_time_needed(work, limits, limit, out->within_ms);
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
    struct plan_time_work work = estimate_work(estimating, model, &model->own, 0);
    struct plan_time time = plan_time_of(&work, model->limits.at);
    out->within_ms = estimating->finish_by_ms - estimating->now_ms;
    out->met = time.total_ms <= out->within_ms;
    if (out->met)
        return;
    find_limit(&work, model->limits.at, time.bound, out);
    if (time.bound == PLAN_TIME_REQUESTS || time.bound == PLAN_TIME_REQUESTS_DAY)
        out->packed = needed_pack(estimating, model, out->within_ms);
}
