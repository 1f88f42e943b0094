// SPDX-License-Identifier: Apache-2.0
// Prints a configuration, by the rows of config.def.
#include "core/config_show.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_error.h"
#include "core/config_value.h"

#define SOURCE_COLUMN 60

static json_t *set_or_unset(const void *value)
{
    return json_string(value ? "set" : "unset");
}

static json_t *list_value(char *const *list)
{
    json_t *array = json_array();
    for (size_t i = 0; list && list[i]; i++)
        json_array_append_new(array, json_string(list[i]));
    return array;
}

static json_t *pairs_value(const struct config_pair *pairs)
{
    json_t *object = json_object();
    for (size_t i = 0; pairs && pairs[i].name; i++) {
        bool secret = config_name_is_secret(pairs[i].name);
        json_object_set_new(object, pairs[i].name, json_string(secret ? "set" : pairs[i].value));
    }
    return object;
}

static json_t *commands_value(const struct config_command *commands)
{
    json_t *object = json_object();
    for (size_t i = 0; commands && commands[i].name; i++)
        json_object_set_new(object, commands[i].name, list_value(commands[i].argv));
    return object;
}

static json_t *enum_value(const struct config_field *field, unsigned value)
{
    size_t len = 0;
    bool later;
    const char *choice = config_choice(field->unit, value, &len, &later);
    return json_stringn(choice ? choice : "", len);
}

static json_t *amount_value(const struct config_field *field, int64_t amount)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    if (field->kind == CONFIG_INTEGER)
        return (field->flags & CONFIG_NONE) && amount == 0 ? json_string("none")
                                                           : json_integer(amount);
    if (field->kind == CONFIG_DURATION)
        config_duration_text(amount, &text);
    else
        config_size_text(amount, &text);
    return json_string(buf_str(&text));
}

static json_t *text_value(const struct config_field *field, const char *text)
{
    if (field->section == CONFIG_ROOT && strcmp(field->path, "database") == 0)
        return set_or_unset(text); // it may hold a password
    return json_string(text ? text : "none");
}

// Several topics of jobs stand as the file has them; one is its name.
static json_t *topics_value(const struct config_kafka *kafka)
{
    json_t *array = json_array();
    for (size_t i = 0; i < kafka->job_topic_count; i++)
        json_array_append_new(array, json_pack("{s:s, s:I}", "name", kafka->job_topics[i].name,
                                               "weight", (json_int_t)kafka->job_topics[i].weight));
    return array;
}

static bool is_several_topics(const struct config_field *field, const struct config_kafka *kafka)
{
    return field->section == CONFIG_KAFKA && strcmp(field->path, "topics.jobs") == 0 &&
           kafka->job_topic_count > 1;
}

static json_t *value_of(const void *object, const struct config_field *field)
{
    const void *member = config_member_const(object, field);
    if (is_several_topics(field, object))
        return topics_value(object);
    switch (field->kind) {
    case CONFIG_TEXT:
    case CONFIG_WORD:
    case CONFIG_DECIMAL:
    case CONFIG_DATE:
    case CONFIG_JSON:
        return text_value(field, *(char *const *)member);
    case CONFIG_SECRET:
    case CONFIG_SECRETS:
        return set_or_unset(*(void *const *)member);
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return amount_value(field, *(const int64_t *)member);
    case CONFIG_FLAG:
        return json_boolean(*(const bool *)member);
    case CONFIG_LIST:
        return list_value(*(char **const *)member);
    case CONFIG_PAIRS:
        return pairs_value(*(struct config_pair *const *)member);
    case CONFIG_COMMANDS:
        return commands_value(*(struct config_command *const *)member);
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        return enum_value(field, *(const unsigned *)member);
    case CONFIG_KEYS: // shown one by one
    case CONFIG_LATER:
        break;
    }
    return json_null();
}

static void add_shown(json_t *shown, const char *key, json_t *value, const char *source, int line)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "value", value);
    json_object_set_new(entry, "source", json_string(source));
    if (line > 0)
        json_object_set_new(entry, "line", json_integer(line));
    json_object_set_new(shown, key, entry);
}

// A preset's numbers stand where the file has none.
static const char *source_of(const struct config *config, const struct config_field *field,
                             const struct config_origin *origin)
{
    bool by_preset = field->section == CONFIG_RETRY && config->retry_keys.preset && origin &&
                     strcmp(origin->from, "default") == 0;
    return by_preset ? "retry.preset" : origin ? origin->from : "default";
}

// Whether the provider's keys stand in `keys`: its `key` says nothing then.
static bool has_keys(const struct config *config, enum config_section section, const void *object)
{
    return section == CONFIG_PROVIDER &&
           config_origin_of(config, object, config_field_find(section, "keys"));
}

// Optional keys that nobody set are left out, secrets are not.
static void show_object(json_t *shown, const struct config *config, enum config_section section,
                        const void *object, const char *label)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    for (size_t i = 0; i < count; i++) {
        const struct config_origin *origin = config_origin_of(config, object, &fields[i]);
        bool secret = fields[i].kind == CONFIG_SECRET || fields[i].kind == CONFIG_SECRETS;
        if (fields[i].kind == CONFIG_LATER || fields[i].kind == CONFIG_KEYS)
            continue;
        if (origin == NULL && (!secret || has_keys(config, section, object)))
            continue;
        struct buf key OWN_BUF;
        buf_init(&key, 0);
        buf_printf(&key, "%s%s%s", label, label[0] ? "." : "", fields[i].path);
        add_shown(shown, buf_str(&key), value_of(object, &fields[i]),
                  source_of(config, &fields[i], origin), origin ? origin->line : 0);
    }
}

static void show_keys(json_t *shown, const struct config *config,
                      const struct config_provider *provider)
{
    if (!has_keys(config, CONFIG_PROVIDER, provider))
        return;
    for (size_t i = 0; i < provider->keys.len; i++) {
        struct buf label OWN_BUF;
        buf_init(&label, 0);
        buf_printf(&label, "providers.%s.keys.%s", provider->name, provider->keys.items[i].name);
        show_object(shown, config, CONFIG_KEY, &provider->keys.items[i], buf_str(&label));
    }
}

static void show_entries(json_t *shown, const struct config *config, enum config_section section)
{
    const struct config_section_info *info = config_section_info(section);
    const char *entries = *(char *const *)(const void *)((const char *)config + info->offset);
    size_t count = *(const size_t *)(const void *)((const char *)config + info->count_offset);
    for (size_t i = 0; i < count; i++) {
        const char *entry = entries + i * info->size;
        struct buf label OWN_BUF;
        buf_init(&label, 0);
        buf_printf(&label, "%s.%s", info->key, *(char *const *)(const void *)entry);
        show_object(shown, config, section, entry, buf_str(&label));
        if (section == CONFIG_PROVIDER)
            show_keys(shown, config, &config->providers[i]);
    }
}

static void show_price_versions(json_t *shown, const struct config *config)
{
    for (size_t i = 0; i < config->model_count; i++) {
        struct buf key OWN_BUF;
        buf_init(&key, 0);
        buf_printf(&key, "models.%s.price.version", config->models[i].name);
        add_shown(shown, buf_str(&key), json_string(config->models[i].price_version),
                  "made of the numbers", 0);
    }
}

static void show_routes(json_t *shown, const struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        struct buf key OWN_BUF;
        buf_init(&key, 0);
        buf_printf(&key, "routes.%s", route->name);
        json_t *models = json_array();
        for (size_t j = 0; j < route->model_count; j++)
            json_array_append_new(models, json_string(route->models[j]->name));
        add_shown(shown, buf_str(&key), models, route->line > 0 ? "file" : "the only model",
                  route->line);
    }
}

static json_t *show(const struct config *config)
{
    json_t *shown = json_object();
    for (enum config_section i = CONFIG_ROOT; i < CONFIG_SECTION_COUNT; i++) {
        const struct config_section_info *info = config_section_info(i);
        if (info->many)
            show_entries(shown, config, i);
        else
            show_object(shown, config, i, (const char *)config + info->offset, info->key);
    }
    show_price_versions(shown, config);
    show_routes(shown, config);
    return shown;
}

static void add_line(struct buf *out, const char *key, const json_t *entry)
{
    const json_t *value = json_object_get(entry, "value");
    size_t start = out->len;
    buf_printf(out, "%s: ", key);
    if (json_is_string(value)) {
        buf_add_str(out, json_string_value(value));
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buf_add_str(out, text ? text : "");
        free(text);
    }
    do
        buf_add_char(out, ' ');
    while (out->len - start < SOURCE_COLUMN);
    json_int_t line = json_integer_value(json_object_get(entry, "line"));
    buf_printf(out, "# %s", json_string_value(json_object_get(entry, "source")));
    if (line > 0)
        buf_printf(out, ", line %lld", (long long)line);
    buf_add_char(out, '\n');
}

void config_show_text(const struct config *config, struct buf *out)
{
    json_t *shown = show(config);
    const char *key;
    json_t *entry;
    json_object_foreach(shown, key, entry) add_line(out, key, entry);
    json_decref(shown);
}

char *config_show_json(const struct config *config)
{
    json_t *shown = show(config);
    char *text = json_dumps(shown, JSON_INDENT(2));
    json_decref(shown);
    return text;
}
