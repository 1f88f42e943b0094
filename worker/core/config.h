// SPDX-License-Identifier: Apache-2.0
// What precis.yaml says, checked: the structs, made from config.def, and the rules about values.
//
// Pure: texts come in, a struct config or mistakes go out. Files, ${env:…} and YAML are
// io/config_yaml. A finished config is never changed; a reload makes another one. Pointers into it
// (models, providers, names) live as long as it does, so a reload keeps the old one until the last
// call that uses it has ended.
//
// Texts are NULL where nothing was given and nothing is the default. Numbers that are limits are 0
// where there is none. Times are milliseconds, INT64_MAX is forever; sizes are bytes.
#ifndef PRECIS_CORE_CONFIG_H
#define PRECIS_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "core/backoff.h"
#include "core/price.h"

struct config_pair {
    char *name; // NULL ends an array of pairs
    char *value;
};

struct config_command {
    char *name;  // NULL ends an array of commands
    char **argv; // ended by NULL
};

// How a model is asked for JSON.
enum answer_mode { ANSWER_JSON_SCHEMA, ANSWER_JSON_OBJECT, ANSWER_TEXT };
// The request's field for the output limit.
enum limit_field { LIMIT_MAX_TOKENS, LIMIT_MAX_COMPLETION_TOKENS };
// The request's field that reasoning is chosen with.
enum reasoning_parameter { REASONING_MODE, REASONING_EFFORT, REASONING_NONE };

#define CONFIG_MEMBER_TEXT(member)        char *member;
#define CONFIG_MEMBER_WORD(member)        char *member;
#define CONFIG_MEMBER_DECIMAL(member)     char *member;
#define CONFIG_MEMBER_DATE(member)        char *member;
#define CONFIG_MEMBER_JSON(member)        char *member;
#define CONFIG_MEMBER_SECRET(member)      char *member;
#define CONFIG_MEMBER_INTEGER(member)     int64_t member;
#define CONFIG_MEMBER_DURATION(member)    int64_t member;
#define CONFIG_MEMBER_SIZE(member)        int64_t member;
#define CONFIG_MEMBER_FLAG(member)        bool member;
#define CONFIG_MEMBER_LIST(member)        char **member;
#define CONFIG_MEMBER_SECRETS(member)     char **member;
#define CONFIG_MEMBER_PAIRS(member)       struct config_pair *member;
#define CONFIG_MEMBER_COMMANDS(member)    struct config_command *member;
#define CONFIG_MEMBER_KEYS(member)        struct config_keys member;
#define CONFIG_MEMBER_LEVEL(member)       enum log_level member;
#define CONFIG_MEMBER_ANSWER(member)      enum answer_mode member;
#define CONFIG_MEMBER_LIMIT_FIELD(member) enum limit_field member;
#define CONFIG_MEMBER_REASONING(member)   enum reasoning_parameter member;
#define CONFIG_MEMBER_LATER(member)
#define CONFIG_MEMBER(kind, member, ...) CONFIG_MEMBER_##kind(member)

struct config_topic {
    char *name;
    int64_t weight; // 1 and more
};

// `topic_jobs` is the first of `job_topics`.
struct config_kafka {
#define KAFKA CONFIG_MEMBER
#include "core/config.def"
    size_t property_count; // of `properties`
    struct config_topic *job_topics;
    size_t job_topic_count;
};

struct config_http {
#define HTTP CONFIG_MEMBER
#include "core/config.def"
};

struct config_log {
#define LOG CONFIG_MEMBER
#include "core/config.def"
};

struct config_worker {
#define WORKER CONFIG_MEMBER
#include "core/config.def"
};

struct config_documents {
#define DOCUMENTS CONFIG_MEMBER
#include "core/config.def"
};

struct config_packing {
#define PACKING CONFIG_MEMBER
#include "core/config.def"
    int64_t doubt_picousd; // of `doubt_usd`
};

// As written; struct config has the result as `retry`.
struct config_retry {
#define RETRY CONFIG_MEMBER
#include "core/config.def"
};

struct config_retention {
#define RETENTION CONFIG_MEMBER
#include "core/config.def"
};

// A key of a provider. Its limits are 0 where the models' own hold.
struct config_key {
#define KEY CONFIG_MEMBER
#include "core/config.def"
};

struct config_keys {
    struct config_key *items;
    size_t len;
};

// `keys` has what calls go with: those of the file, or the one `key` under its `key_name`, or one
// without a secret where the server is open. So there is always one.
struct config_provider {
    char *name;
    size_t index;     // in struct config's providers
    size_t first_key; // the number of its first key among those of all providers
#define PROVIDER CONFIG_MEMBER
#include "core/config.def"
};

// `served_name` is what is sent as `model`, never NULL. `effort_map` is NULL or a map from
// `reasoning` and `non-reasoning` to what is sent.
struct config_model {
    char *name;
    size_t index; // in struct config's models
    const struct config_provider *provider;
    size_t provider_index;
    struct price price;  // price.known is false where no price was given: no call is made
    char *price_version; // "2026-11-01-1f0c9a2b": the day, and a hash of the numbers; never NULL
#define MODEL CONFIG_MEMBER
#include "core/config.def"
};

struct config_route {
    char *name;
    const struct config_model **models; // the first that can, then the next
    size_t model_count;
    int line; // in the file; 0 where precis made it of the only model
};

struct config_agent {
    char *name;
#define AGENT CONFIG_MEMBER
#include "core/config.def"
};

struct config_tool {
    char *name;
#define TOOL CONFIG_MEMBER
#include "core/config.def"
};

struct config_tenant {
    char *name;
#define TENANT CONFIG_MEMBER
#include "core/config.def"
};

// For jobs that leave the choice open; in the order of the file, the first that holds decides.
struct config_rule {
    char *name;
#define RULE CONFIG_MEMBER
#include "core/config.def"
};

struct config {
#define ROOT CONFIG_MEMBER
#include "core/config.def"
    struct config_kafka kafka;
    struct config_http http;
    struct config_log log;
    struct config_worker worker;
    struct config_documents documents;
    struct config_packing packing;
    struct config_retry retry_keys;
    struct backoff retry; // made of retry_keys and its preset
    struct config_retention retention;
    struct config_provider *providers;
    size_t provider_count;
    struct config_model *models;
    size_t model_count;
    struct config_route *routes; // `default` is there whenever there is exactly one model
    size_t route_count;
    struct config_agent *agents;
    size_t agent_count;
    struct config_tool *tools;
    size_t tool_count;
    struct config_tenant *tenants;
    size_t tenant_count;
    struct config_rule *rules;
    size_t rule_count;
    char *database_password;        // of `database`, NULL where it has none
    struct config_origins *origins; // where each value came from (core/config_value.h)
};

// The nth model (from 0) that a job naming `route_or_model` may use: of the route of that name,
// else the model itself at n = 0. NULL: past the last, or no such name. A NULL name is "default".
const struct config_model *config_find_model(const struct config *config,
                                             const char *route_or_model, size_t nth);

// Calls `tell` with every secret value that the config holds: keys, tokens, the database's
// conninfo and password, secret-looking Kafka properties, and what ${…} put into tool headers.
// For the log sink's redaction; values of fewer than 4 bytes are left out.
void config_secrets(const struct config *config, void (*tell)(void *context, const char *secret),
                    void *context);

// NULL and half-filled ones are fine. Secrets are wiped.
void config_free(struct config *config);

#endif
