// SPDX-License-Identifier: Apache-2.0
// The fleet's numbers on a worker's /metrics: what it tells of itself, and what it is told.
#ifndef PRECIS_APP_GAUGES_H
#define PRECIS_APP_GAUGES_H

#include <stdint.h>

#include "core/config.h"
#include "core/metrics.h"
#include "io/kafka.h"
#include "io/store.h"

// Calls that a worker of this configuration can have under way.
int64_t app_calls_most(const struct config *config);
// Messages of its partitions without an outcome, as far as offsets tell.
int64_t app_unread(struct kafka *kafka);
// Sets the metric of the gauge's name; a name that this program does not know is passed over.
void app_gauge_take(struct metrics *metrics, const struct store_gauge *gauge);

#endif
