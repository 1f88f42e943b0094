// SPDX-License-Identifier: Apache-2.0
// Routes in the engine: what a job may know of models when it chooses one, and jobs that leave a
// model that is closed for long.
#include "engine_parts.h"

// How much of the window is taken: what arrives faster than the models take it fills it up.
static int load_percent(const struct engine *engine)
{
    size_t most = (size_t)engine->config->worker.in_flight;
    size_t percent = most > 0 ? engine->jobs.len * 100 / most : 0;
    return percent < 100 ? (int)percent : 100;
}

static void outlook_of(const void *context, const struct config_model *model,
                       struct model_outlook *out)
{
    keys_outlook(context, model, out);
}

void route_tell(const struct engine *engine, struct job_now *now)
{
    now->load_percent = load_percent(engine);
    now->outlook = outlook_of;
    now->outlook_context = engine;
}

void route_scan(struct engine *engine)
{
    struct job_now now = {.config = engine->config};
    route_tell(engine, &now);
    struct list *waiting = &engine->steps[STEP_ADMIT];
    for (struct list_node *node = list_first(waiting), *next; node; node = next) {
        next = list_next(waiting, node);
        struct job *job = engine_job_of(node);
        if (job_wants_other_model(job, &now))
            engine_step(engine, job, &(struct job_event){.kind = JOB_REROUTE});
    }
}
