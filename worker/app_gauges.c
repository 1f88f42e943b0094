// SPDX-License-Identifier: Apache-2.0
// Numbers of the whole fleet.
#include "app_gauges.h"

#include <string.h>

int64_t app_calls_most(const struct config *config)
{
    int64_t calls = 0;
    for (size_t i = 0; i < config->provider_count; i++)
        calls += config->providers[i].connections_max;
    return calls < config->worker.in_flight ? calls : config->worker.in_flight;
}

int64_t app_unread(struct kafka *kafka)
{
    struct kafka_stats stats;
    kafka_stats(kafka, &stats);
    return stats.in.lag;
}

void app_gauge_take(struct metrics *metrics, const struct store_gauge *gauge)
{
    static const struct {
        const char *name;
        enum metric metric;
        int64_t per_unit; // thousandths
    } gauges[] = {
        {"precis_quota_used_ratio", METRIC_QUOTA_USED, 1},
        {"precis_budget_left_ratio", METRIC_BUDGET_LEFT, 1},
        {"precis_drain_seconds", METRIC_DRAIN_SECONDS, 1},
        {"precis_workers_wanted", METRIC_WORKERS_WANTED, 1000},
        {"precis_retention_removed_rows", METRIC_RETENTION_REMOVED, 1000},
    };
    for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++)
        if (strcmp(gauges[i].name, gauge->name) == 0)
            metrics_set(metrics, gauges[i].metric, gauge->label, gauge->second,
                        gauge->milli / gauges[i].per_unit);
}
