// SPDX-License-Identifier: Apache-2.0
// What must hold between the keys of a configuration, once all are set: names that others refer to,
// prices, the retry preset, addresses.
#ifndef PRECIS_CORE_CONFIG_CHECK_H
#define PRECIS_CORE_CONFIG_CHECK_H

#include <stdbool.h>

#include "core/config.h"
#include "core/config_error.h"

// Links models to providers, makes prices, price versions, the retry policy and a default route
// where one model makes it plain, counts lists, and adds a mistake for each rule that is broken.
void config_finish(struct config *config, struct config_errors *errors);

// Adds a model to a route; false where there is no such model, or it is in the route already: `why`
// is a whole message.
bool config_route_add(const struct config *config, struct config_route *route, const char *model,
                      struct buf *why);
// The nearest entry of a section of names, "" where none is near: for hints.
const char *config_entry_nearest(const struct config *config, enum config_section section,
                                 const char *name);
// 1 to 200 bytes, valid UTF-8, no control characters; a tenant's only of A-Z a-z 0-9 . _ : @ -
bool config_name_valid(enum config_section section, const char *name);
// What precis itself decides, because promises rest on it: NULL, or the reason.
const char *config_kafka_owned(const char *property);
// Whether a property or header of this name is a secret ("sasl.password", "authorization").
bool config_name_is_secret(const char *name);
// "127.0.0.1", "localhost", "::1", "[::1]": of `len` bytes.
bool config_host_is_loopback(const char *host, size_t len);

// `topics.jobs` as io/config_node.c gives it, "name" or "name=weight,name=weight", becomes
// `job_topics`; the first name stays in `topic_jobs`.
void config_split_topics(struct config_kafka *kafka);
// Whether a topic of jobs is listed twice, or is that of dead letters or results.
bool config_topics_clash(const struct config_kafka *kafka);

// What is wrong with a rule by itself, and routes that are not there.
void config_check_rules(const struct config *config, struct config_errors *errors);

#endif
