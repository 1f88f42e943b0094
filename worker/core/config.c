// SPDX-License-Identifier: Apache-2.0
// A finished configuration: finding models in it, the secrets that it holds, its end.
#include "core/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_error.h"
#include "core/config_table.h"
#include "core/config_value.h"

#define SECRET_LEAST_BYTES 4

static const struct config_model *find_model(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

const struct config_model *config_find_model(const struct config *config,
                                             const char *route_or_model, size_t nth)
{
    const char *name = route_or_model ? route_or_model : "default";
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        if (strcmp(route->name, name) == 0)
            return nth < route->model_count ? route->models[nth] : NULL;
    }
    return nth == 0 ? find_model(config, name) : NULL;
}

// ------------------------------------------------------------------------------------- secrets

struct telling {
    void (*tell)(void *context, const char *secret);
    void *context;
};

static void tell_one(const struct telling *telling, const char *secret)
{
    if (secret && strlen(secret) >= SECRET_LEAST_BYTES)
        telling->tell(telling->context, secret);
}

static void tell_pairs(const struct telling *telling, const struct config_pair *pairs)
{
    for (size_t i = 0; pairs && pairs[i].name; i++)
        if (config_name_is_secret(pairs[i].name))
            tell_one(telling, pairs[i].value);
}

// A header "Bearer abc" is told whole and without its scheme, which is how it may turn up
// elsewhere.
static void tell_headers(const struct telling *telling, const struct config_pair *pairs)
{
    tell_pairs(telling, pairs);
    for (size_t i = 0; pairs && pairs[i].name; i++) {
        const char *space = strchr(pairs[i].value, ' ');
        if (space && config_name_is_secret(pairs[i].name))
            tell_one(telling, space + 1);
    }
}

static void tell_keys(const struct telling *telling, const struct config_provider *provider)
{
    if (provider->keys.len == 0)
        tell_one(telling, provider->key); // config_finish did not come so far
    for (size_t i = 0; i < provider->keys.len; i++)
        tell_one(telling, provider->keys.items[i].key);
}

void config_secrets(const struct config *config, void (*tell)(void *context, const char *secret),
                    void *context)
{
    struct telling telling = {tell, context};
    tell_one(&telling, config->database);
    tell_one(&telling, config->database_password);
    for (size_t i = 0; config->http.tokens && config->http.tokens[i]; i++)
        tell_one(&telling, config->http.tokens[i]);
    for (size_t i = 0; i < config->provider_count; i++)
        tell_keys(&telling, &config->providers[i]);
    tell_pairs(&telling, config->kafka.properties);
    for (size_t i = 0; i < config->tool_count; i++)
        tell_headers(&telling, config->tools[i].headers);
}

// ------------------------------------------------------------------------------------- freeing

static void free_fields(void *object, enum config_section section)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    for (size_t i = 0; i < count; i++)
        config_clear(object, &fields[i]);
}

static void free_entries(struct config *config, enum config_section section)
{
    const struct config_section_info *info = config_section_info(section);
    char *entries = *(char **)(void *)((char *)config + info->offset);
    size_t count = *(size_t *)(void *)((char *)config + info->count_offset);
    for (size_t i = 0; i < count; i++) {
        char *entry = entries + i * info->size;
        free_fields(entry, section);
        free(*(char **)(void *)entry); // every entry begins with its name
    }
    free(entries);
}

static void free_routes(struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        free(config->routes[i].name);
        free(config->routes[i].models);
    }
    free(config->routes);
}

static void free_origins(struct config_origins *origins)
{
    for (size_t i = 0; origins && i < origins->len; i++)
        free(origins->items[i].from);
    if (origins) {
        free(origins->items);
        free(origins->file);
    }
    free(origins);
}

void config_free(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->model_count; i++)
        free(config->models[i].price_version);
    for (enum config_section i = 0; i < CONFIG_SECTION_COUNT; i++) {
        const struct config_section_info *info = config_section_info(i);
        if (info->many)
            free_entries(config, i);
        else
            free_fields((char *)config + info->offset, i);
    }
    free_routes(config);
    for (size_t i = 0; i < config->kafka.job_topic_count; i++)
        free(config->kafka.job_topics[i].name);
    free(config->kafka.job_topics);
    free_origins(config->origins);
    config_wipe(config->database_password);
    free(config);
}
