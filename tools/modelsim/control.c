// SPDX-License-Identifier: Apache-2.0
// The paths beside completions: models, health, and the simulator's own /sim/.
#include "respond.h"
#include "sim.h"

#include <inttypes.h>
#include <string.h>

static void respond(struct sim *sim, const struct http_request *request, unsigned status,
                    const struct buf *body, struct reply *reply)
{
    struct head head = {.status = status,
                        .content_type = "application/json",
                        .request_number = sim->requests,
                        .wall_ms = sim_wall_ms(),
                        .chunked_ok = request->chunked_ok};
    respond_simple(&head, body->data, body->len, reply);
}

static void write_models(const struct sim *sim, struct buf *out)
{
    buf_add_text(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < sim->settings.model_count; i++) {
        const struct model *model = &sim->settings.models[i];
        buf_add_text(out, i > 0 ? ",{\"id\":\"" : "{\"id\":\"");
        buf_add_json(out, model->name, strlen(model->name));
        buf_add_format(out,
                       "\",\"object\":\"model\",\"created\":1795000000,\"owned_by\":\"modelsim\","
                       "\"max_model_len\":%" PRIu64 "}",
                       model->context_tokens);
    }
    buf_add_text(out, "]}\n");
}

static void write_stats(const struct sim *sim, struct buf *out)
{
    buf_add_format(out,
                   "{\"requests\":%" PRIu64 ",\"completions\":%" PRIu64 ",\"in_flight\":%" PRIu64
                   ",\"connections\":%" PRIu64,
                   sim->requests, sim->completions, sim->in_flight, sim->server.connections);
    buf_add_format(out,
                   ",\"in_flight_most\":%" PRIu64 ",\"foreign_calls\":%" PRIu64
                   ",\"foreign_refused\":%" PRIu64 ",\"surge_calls\":%" PRIu64
                   ",\"now_ms\":%" PRIu64,
                   sim->in_flight_most, sim->limits.foreign_calls, sim->limits.foreign_refused,
                   sim->limits.surge_calls, sim_wall_ms());
    for (unsigned i = 2; i < 6; i++)
        buf_add_format(out, ",\"answers_%uxx\":%" PRIu64, i, sim->by_status[i]);
    buf_add_text(out, "}\n");
}

// True when the settings were changed; else the body says why not.
static bool script(struct sim *sim, const struct http_request *request, struct buf *out)
{
    char why[WHY_BYTES] = "not JSON";
    json_t *root = json_loadb(request->body, request->body_len, 0, NULL);
    bool good = root && settings_script(&sim->settings, root, why);
    if (json_object_get(root, "next"))
        sim->next_fault = 0;
    if (json_object_get(root, "seed"))
        sim->random = sim->settings.seed;
    sim_close_keys(sim);
    json_decref(root);
    if (good) {
        buf_add_text(out, "{\"ok\":true}\n");
        return true;
    }
    buf_add_text(out, "{\"error\":\"");
    buf_add_json(out, why, strlen(why));
    buf_add_text(out, "\"}\n");
    return false;
}

static unsigned answer_sim(struct sim *sim, const struct http_request *request, const char *name,
                           struct buf *out)
{
    bool post = strcmp(request->method, "POST") == 0;
    if (strcmp(name, "bill") == 0 && !post) {
        bill_write(&sim->bill, strstr(request->query, "calls=1") != NULL, out);
        return 200;
    }
    if (strcmp(name, "usage") == 0 && !post) {
        bill_write_usage(&sim->bill, strstr(request->query, "format=csv") != NULL, out);
        return 200;
    }
    if (strcmp(name, "stats") == 0 && !post) {
        write_stats(sim, out);
        return 200;
    }
    if (strcmp(name, "reset") == 0 && post) {
        sim_reset(sim);
        buf_add_text(out, "{\"ok\":true}\n");
        return 200;
    }
    if (strcmp(name, "script") == 0 && post)
        return script(sim, request, out) ? 200 : 400;
    buf_add_text(out, "{\"error\":\"GET /sim/bill, GET /sim/usage, GET /sim/stats, POST "
                      "/sim/script, POST /sim/reset\"}\n");
    return 404;
}

bool control_answer(struct sim *sim, const struct http_request *request, struct reply *reply)
{
    struct buf out = {0};
    size_t key;
    unsigned status = 200;
    if (strcmp(request->path, "/health") == 0)
        buf_add_text(&out, "{\"status\":\"ok\"}\n");
    else if (strcmp(request->path, "/v1/models") == 0)
        write_models(sim, &out);
    else if (strncmp(request->path, "/sim/", 5) == 0)
        status = answer_sim(sim, request, request->path + 5, &out);
    else
        return false;
    if (strcmp(request->path, "/v1/models") != 0 || chat_admit(sim, request, reply, &key))
        respond(sim, request, status, &out, reply);
    buf_free(&out);
    return true;
}
