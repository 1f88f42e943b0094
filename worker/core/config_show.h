// SPDX-License-Identifier: Apache-2.0
// A configuration as `precis config show` prints it: each value with where it came from. Secrets
// are "set" or "unset", whatever the caller does.
#ifndef PRECIS_CORE_CONFIG_SHOW_H
#define PRECIS_CORE_CONFIG_SHOW_H

#include "base/buf.h"
#include "core/config.h"

// Lines `kafka.brokers: 127.0.0.1:9092  # default`.
void config_show_text(const struct config *config, struct buf *out);
// {"kafka.brokers": {"value": "127.0.0.1:9092", "source": "default", "line": 3}, …}; heap.
char *config_show_json(const struct config *config);

#endif
