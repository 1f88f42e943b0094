// SPDX-License-Identifier: Apache-2.0
// What answers taught is told to the fleet, and what the fleet learned is taken over: at the start,
// while there is news every ten seconds, else every minute. Nothing waits for it; without the
// database a worker goes on with what it knows.
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

#define TELL_MS  10000
#define LEAVE_MS 1000 // in a worker that leaves
#define READ_MS  60000

static bool has_news(const struct engine *engine)
{
    for (size_t i = 0; i < engine->config->model_count; i++)
        if (engine->gates[i].calibrate.untold > 0)
            return true;
    return false;
}

static size_t take_news(struct engine *engine, struct calibration_row *out)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->config->model_count; i++) {
        const struct config_model *model = &engine->config->models[i];
        struct calibrate *calibrate = &engine->gates[i].calibrate;
        for (int32_t subject = 0; subject < CALIBRATE_SUBJECTS && calibrate->untold > 0; subject++)
            if (calibrate_tell(calibrate, subject, &out[count].learned)) {
                out[count].provider = model->provider->name;
                out[count].model = model->name;
                out[count++].subject = subject;
            }
    }
    return count;
}

static void ask(struct engine *engine)
{
    size_t models = engine->config->model_count;
    struct calibration_row *told = own_array(models * CALIBRATE_SUBJECTS + 1, sizeof(*told));
    const char **names = own_array(2 * models + 1, sizeof(*names));
    for (size_t i = 0; i < models; i++) {
        names[i] = engine->config->models[i].provider->name;
        names[models + i] = engine->config->models[i].name;
    }
    struct calibrate_request request = {.told = told,
                                        .told_count = take_news(engine, told),
                                        .providers = names,
                                        .models = names + models,
                                        .model_count = models};
    engine->learning.begun = engine->learning.asking = true;
    engine->learning.asked_ms = engine_now(engine);
    engine->edges.store_ops->calibrate(engine->edges.store, &request);
    free(names);
    free(told);
}

int64_t learn_pump(struct engine *engine)
{
    struct learning *learning = &engine->learning;
    if (!engine->store_up || learning->asking)
        return INT64_MAX; // the answer is what is waited for
    int64_t every_ms = !has_news(engine) ? READ_MS : engine->draining ? LEAVE_MS : TELL_MS;
    int64_t at_ms = learning->asked_ms + every_ms;
    if (learning->begun && at_ms > engine_now(engine))
        return at_ms;
    ask(engine);
    return INT64_MAX;
}

static const struct config_model *model_of(const struct config *config,
                                           const struct calibration_row *row)
{
    for (size_t i = 0; i < config->model_count; i++) {
        const struct config_model *model = &config->models[i];
        if (strcmp(model->name, row->model) == 0 &&
            strcmp(model->provider->name, row->provider) == 0)
            return model;
    }
    return NULL;
}

void learn_answered(struct engine *engine, const struct store_event *event)
{
    engine->learning.asking = false;
    for (size_t i = 0; i < event->u.calibrated.count; i++) {
        const struct calibration_row *row = &event->u.calibrated.rows[i];
        const struct config_model *model = model_of(engine->config, row);
        if (model && row->subject >= 0 && row->subject < CALIBRATE_SUBJECTS)
            calibrate_adopt(&engine->gates[model->index].calibrate, row->subject, &row->learned);
    }
}
