// SPDX-License-Identifier: Apache-2.0
// Counters, gauges and histograms, and their Prometheus text. Labels hold model, key and tool names
// of the configuration and words of ours, never tenants, jobs or text.
#ifndef PRECIS_CORE_METRICS_H
#define PRECIS_CORE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

enum metric {
#define METRIC(name, text, kind, label, second, help) METRIC_##name,
#include "core/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

// Labels that the metric does not have are NULL. A NULL `metrics` counts nothing.
// Units: COUNTER and GAUGE whole numbers, COUNTER_PICO 1e-12, GAUGE_MILLI 1e-3.
void metrics_add(struct metrics *metrics, enum metric metric, const char *label, const char *second,
                 int64_t amount);
void metrics_set(struct metrics *metrics, enum metric metric, const char *label, const char *second,
                 int64_t value);
// Histograms, in milliseconds.
void metrics_observe_ms(struct metrics *metrics, enum metric metric, const char *label,
                        int64_t value_ms);
// The value of one series; 0 where there is none yet.
int64_t metrics_value(const struct metrics *metrics, enum metric metric, const char *label,
                      const char *second);
// The exposition format, version 0.0.4.
void metrics_print(const struct metrics *metrics, struct buf *out);

#endif
