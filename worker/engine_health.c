// SPDX-License-Identifier: Apache-2.0
// What the engine tells of itself: /health and the gauges of /metrics.
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

static void print_check(struct buf *out, const char *name, const char *trouble)
{
    buf_printf(out, ",\"%s\":{\"ok\":%s,\"reason\":\"%s\"}", name, trouble ? "false" : "true",
               trouble ? trouble : "");
}

// A closed key makes its jobs wait; the worker itself is well, so it does not count as unready.
static const char *key_trouble(const struct engine *engine, char *out, size_t out_bytes)
{
    for (size_t i = 0; i < engine->key_count; i++) {
        const struct key_state *state = &engine->keys[i];
        if (state->key.cause == KEY_FINE)
            continue;
        snprintf(out, out_bytes, "key %s is %s", state->config->name,
                 key_cause_name(state->key.cause));
        return out;
    }
    return NULL;
}

bool engine_health(const struct engine *engine, struct buf *out)
{
    const char *partitions = intake_trouble(engine);
    const char *database = engine->store_up  ? NULL
                           : engine->ever_up ? "PostgreSQL is away; work goes on when it is back"
                                             : "not connected to PostgreSQL yet";
    const char *lease = engine_lease_valid(engine) ? NULL : "the lease is not renewed";
    const char *kafka = engine->fatal       ? engine->fatal_reason
                        : engine->broker_up ? NULL
                                            : "Kafka is out of reach";
    bool ready = !partitions && !database && !lease && !kafka && !engine->draining;
    buf_printf(out, "{\"status\":\"%s\",\"agent\":\"%s\",\"checks\":{\"jobs_in_flight\":%zu",
               ready ? "ok" : "unavailable",
               engine->draining ? "draining"
               : ready          ? "ready"
                                : "not ready",
               engine->jobs.len);
    print_check(out, "database", database);
    print_check(out, "lease", lease);
    print_check(out, "kafka", kafka);
    print_check(out, "partitions", partitions);
    char text[300];
    print_check(out, "keys", key_trouble(engine, text, sizeof(text)));
    buf_add_str(out, "}}\n");
    return ready;
}

static void measure_waiting(struct engine *engine)
{
    static const char *const reasons[] = {
        "slots",    "key_closed", "requests", "tokens", "retry",   "not_before", "claimed",
        "database", "order",      "paused",   "budget", "breaker", "batch"};
    int64_t counts[sizeof(reasons) / sizeof(reasons[0])] = {0};
    static const enum step steps[] = {STEP_ADMIT, STEP_HELD, STEP_DOCUMENT, STEP_EXTRACT};
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++)
        for (struct list_node *node = list_first(&engine->steps[steps[s]]); node;
             node = list_next(&engine->steps[steps[s]], node)) {
            int64_t start_ms;
            const char *reason = engine_waiting_reason(engine, engine_job_of(node), &start_ms);
            for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
                counts[i] += strcmp(reason, reasons[i]) == 0;
        }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        metrics_set(engine->options.metrics, METRIC_JOBS_WAITING, reasons[i], NULL, counts[i]);
}

void engine_measure(struct engine *engine)
{
    struct metrics *metrics = engine->options.metrics;
    int64_t oldest_ms = engine_now(engine);
    for (int step = 0; step < STEP_COUNT; step++) {
        metrics_set(metrics, METRIC_JOBS_STEP, step_name((enum step)step), NULL,
                    (int64_t)engine->steps[step].len);
        for (struct list_node *node = list_first(&engine->steps[step]); node;
             node = list_next(&engine->steps[step], node))
            if (engine_job_of(node)->born_ms < oldest_ms)
                oldest_ms = engine_job_of(node)->born_ms;
    }
    metrics_set(metrics, METRIC_JOBS_IN_FLIGHT, NULL, NULL, (int64_t)engine->jobs.len);
    metrics_set(metrics, METRIC_OLDEST_UNFINISHED, NULL, NULL,
                (engine_now(engine) - oldest_ms) / 1000);
    metrics_set(metrics, METRIC_PARKED_ROWS, NULL, NULL, engine->parking.rows);
    metrics_set(metrics, METRIC_DATABASE_UP, NULL, NULL, engine->store_up);
    measure_waiting(engine);
    for (size_t i = 0; i < engine->key_count; i++) {
        const struct key *key = &engine->keys[i].key;
        int64_t until_ms = key->cause == KEY_FINE ? 0 : key->closed_until_ms + engine->db_offset_ms;
        metrics_set(metrics, METRIC_KEY_CLOSED_UNTIL, engine->keys[i].config->name, NULL,
                    until_ms / 1000);
    }
}
