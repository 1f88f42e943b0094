// SPDX-License-Identifier: Apache-2.0
// The rules between keys, and what is made of several keys.
#include "core/config_check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/own.h"
#include "core/config_value.h"
#include "core/money.h"

#define NAME_MAX_BYTES 200

_Static_assert(offsetof(struct config_provider, name) == 0, "entries begin with their name");
_Static_assert(offsetof(struct config_model, name) == 0, "entries begin with their name");
_Static_assert(offsetof(struct config_agent, name) == 0, "entries begin with their name");
_Static_assert(offsetof(struct config_tool, name) == 0, "entries begin with their name");
_Static_assert(offsetof(struct config_tenant, name) == 0, "entries begin with their name");
_Static_assert(offsetof(struct config_rule, name) == 0, "entries begin with their name");

// What the rules need to speak: the configuration for places, and the list.
struct check {
    struct config *config;
    struct config_errors *errors;
};

static struct config_place place_of(const struct check *check, const void *object,
                                    enum config_section section, const char *path)
{
    return config_place_of(check->config, object, config_field_find(section, path));
}

static bool is_set(const struct check *check, const void *object, enum config_section section,
                   const char *path)
{
    const struct config_origin *origin =
        config_origin_of(check->config, object, config_field_find(section, path));
    return origin != NULL && strcmp(origin->from, "default") != 0;
}

// ------------------------------------------------------------------------------------- names

static const char *entry_name(const struct config *config, enum config_section section, size_t i)
{
    const struct config_section_info *info = config_section_info(section);
    const char *entries = *(char *const *)(const void *)((const char *)config + info->offset);
    size_t count = *(const size_t *)(const void *)((const char *)config + info->count_offset);
    return i < count ? *(char *const *)(const void *)(entries + i * info->size) : NULL;
}

static bool has_entry(const struct config *config, enum config_section section, const char *name)
{
    const char *known;
    for (size_t i = 0; (known = entry_name(config, section, i)) != NULL; i++)
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

const char *config_entry_nearest(const struct config *config, enum config_section section,
                                 const char *name)
{
    const char *best = "", *known;
    int best_distance = -1;
    for (size_t i = 0; (known = entry_name(config, section, i)) != NULL; i++) {
        int distance = config_distance(name, known);
        if (distance >= 0 && (best_distance < 0 || distance < best_distance)) {
            best = known;
            best_distance = distance;
        }
    }
    return best;
}

bool config_name_valid(enum config_section section, const char *name)
{
    static const char tenant[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@-";
    size_t len = strlen(name);
    if (len < 1 || len > NAME_MAX_BYTES || !config_text_valid(name, false))
        return false;
    return section != CONFIG_TENANT || name[strspn(name, tenant)] == '\0';
}

// "Did you mean `x`?", or the names there are; for a reference to an entry that is not there.
static void hint_entries(const struct config *config, enum config_section section, const char *name,
                         struct buf *out)
{
    const char *nearest = config_entry_nearest(config, section, name), *known;
    if (nearest[0] != '\0') {
        buf_printf(out, "Did you mean `%s`?", nearest);
        return;
    }
    for (size_t i = 0; i < 10 && (known = entry_name(config, section, i)) != NULL; i++)
        buf_printf(out, "%s`%s`", i ? ", " : "Known: ", known);
    if (out->len > 0)
        buf_add_char(out, '.');
}

bool config_route_add(const struct config *config, struct config_route *route, const char *name,
                      struct buf *why)
{
    const struct config_model *model = NULL;
    for (size_t i = 0; i < config->model_count && model == NULL; i++)
        if (strcmp(config->models[i].name, name) == 0)
            model = &config->models[i];
    buf_clear(why);
    if (model == NULL) {
        buf_printf(why, "no model `%s` is configured", name);
        return false;
    }
    for (size_t i = 0; i < route->model_count; i++)
        if (route->models[i] == model) {
            buf_printf(why, "`%s` is in this route twice", name);
            return false;
        }
    route->models = own_grow(route->models, route->model_count + 1, sizeof(struct config_model *));
    route->models[route->model_count++] = model;
    return true;
}

// ------------------------------------------------------------------------------------- Kafka

const char *config_kafka_owned(const char *property)
{
    static const char *const owned[][2] = {
        {"enable.auto.commit", "precis commits what has an outcome, and nothing else"},
        {"enable.auto.offset.store", "precis stores offsets by its own watermark"},
        {"auto.commit.enable", "precis commits what has an outcome, and nothing else"},
        {"offset.store.method", "precis stores offsets by its own watermark"},
        {"auto.offset.reset", "a known group whose offsets are gone must stop; use `kafka.start`"},
        {"partition.assignment.strategy", "only the range assignor is safe here"},
        {"group.protocol", "only the classic protocol is safe here"},
        {"group.remote.assignor", "only the classic protocol is safe here"},
        {"group.id", "use `kafka.group`"},
        {"bootstrap.servers", "use `kafka.brokers`"},
        {"metadata.broker.list", "use `kafka.brokers`"},
        {"enable.idempotence", "precis announces from its own outbox"},
        {"transactional.id", "precis announces from its own outbox"},
        {"acks", "dead letters and results wait for all replicas"},
        {"request.required.acks", "dead letters and results wait for all replicas"},
        {"isolation.level", "uncommitted messages must not become jobs"},
        {"log.queue", "precis reads librdkafka's logs on its own loop"},
        {"enable.partition.eof", "precis decides which events it takes"},
        {"allow.auto.create.topics", "a topic made by a misspelt name would hide jobs"},
    };
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (strcasecmp(owned[i][0], property) == 0)
            return owned[i][1];
    return NULL;
}

bool config_name_is_secret(const char *name)
{
    static const char *const ends[] = {
        "password", "secret",      "token", "api-key",       "api_key", "apikey",
        "cookie",   "jaas.config", "jwt",   "authorization", "key.pem", "oauthbearer.config"};
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t end = strlen(ends[i]);
        if (len >= end && strcasecmp(name + len - end, ends[i]) == 0)
            return strcasecmp(name, "enable.sasl.oauthbearer.unsecure.jwt") != 0;
    }
    return false;
}

static void check_kafka(const struct check *check)
{
    struct config_kafka *kafka = &check->config->kafka;
    while (kafka->properties && kafka->properties[kafka->property_count].name)
        kafka->property_count++;
    config_split_topics(kafka);
    const char *dlq = kafka->topic_dlq, *results = kafka->topic_results;
    bool same = config_topics_clash(kafka) || (results && dlq && strcmp(dlq, results) == 0);
    for (size_t i = 0; i < kafka->job_topic_count; i++)
        if (strlen(kafka->job_topics[i].name) > 249 || kafka->job_topics[i].weight < 1)
            config_errors_add(check->errors, place_of(check, kafka, CONFIG_KAFKA, "topics.jobs"),
                              NULL, "`kafka.topics.jobs` takes names of 1 to 249 bytes");
    if (same)
        config_errors_add(check->errors, place_of(check, kafka, CONFIG_KAFKA, "topics.jobs"),
                          "Give each its own: a worker would read its own dead letters as jobs.",
                          "`kafka.topics` names one topic twice");
}

// ------------------------------------------------------------------------------------- HTTP

bool config_host_is_loopback(const char *host, size_t len)
{
    static const char *const names[] = {"localhost", "::1", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == len && strncasecmp(host, names[i], len) == 0)
            return true;
    if (len < 7 || strncmp(host, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < len; i++)
        if (strchr("0123456789.", host[i]) == NULL)
            return false;
    return true;
}

// A port of 0 to 65535.
static bool valid_port(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len <= 5 && strspn(text, "0123456789") == len &&
           strtol(text, NULL, 10) <= 65535;
}

static void check_http(const struct check *check)
{
    const struct config_http *http = &check->config->http;
    if (http->listen) {
        struct config_place place = place_of(check, http, CONFIG_HTTP, "listen");
        const char *colon = strrchr(http->listen, ':');
        if (colon == NULL || colon == http->listen || !valid_port(colon + 1))
            config_errors_add(check->errors, place, "Write 127.0.0.1:8000 or [::1]:8000.",
                              "`http.listen` is not an address and port");
        else if (!config_host_is_loopback(http->listen, (size_t)(colon - http->listen)) &&
                 http->tokens == NULL)
            config_errors_add(check->errors, place,
                              "Set `http.tokens`, or listen on 127.0.0.1 behind a proxy.",
                              "`http.listen` is not loopback, and there is no token");
    }
    if (http->summary && !has_entry(check->config, CONFIG_AGENT, http->summary))
        config_errors_add(check->errors, place_of(check, http, CONFIG_HTTP, "summary"),
                          "Name an entry of `agents`, or leave the key out.",
                          "`http.summary` names no agent");
}

// ------------------------------------------------------------------------------------- documents

// "name", "*.name", either with ":port".
static bool valid_host(const char *host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    host += strncmp(host, "*.", 2) == 0 ? 2 : 0;
    size_t len = strspn(host, letters);
    return len > 0 && host[0] != '.' &&
           (host[len] == '\0' || (host[len] == ':' && valid_port(host + len + 1)));
}

static bool valid_extractor(const struct config_command *command)
{
    const char *slash = strchr(command->name, '/');
    bool fine = slash && slash != command->name && slash[1] && !strpbrk(command->name, "; ");
    bool reads = false;
    for (size_t i = 0; command->argv && command->argv[i]; i++)
        reads |= strstr(command->argv[i], "{in}") != NULL;
    return fine && reads;
}

static void check_documents(const struct check *check)
{
    const struct config_documents *documents = &check->config->documents;
    for (size_t i = 0; documents->hosts && documents->hosts[i]; i++)
        if (!valid_host(documents->hosts[i]))
            config_errors_add(check->errors, place_of(check, documents, CONFIG_DOCUMENTS, "hosts"),
                              "Write docs.example.com, *.example.com or docs.example.com:8443: no "
                              "scheme and no path.",
                              "`documents.hosts` has what is no host");
    const struct config_command *command = documents->extractors;
    for (; command && command->name; command++)
        if (!valid_extractor(command))
            config_errors_add(
                check->errors, place_of(check, documents, CONFIG_DOCUMENTS, "extractors"),
                "Write the bare media type and a command with {in} in it, as in "
                "application/msword: [antiword, \"{in}\"].",
                "`documents.extractors` has an entry that cannot be used: `%s`", command->name);
}

// ------------------------------------------------------------------------------------- retry

// What the preset decides goes back to the keys, so that `config show` tells the truth.
static void keys_from_preset(const struct check *check, const struct backoff *preset)
{
    struct config_retry *keys = &check->config->retry_keys;
    static const char *const jitters[] = {
        [BACKOFF_FULL] = "full", [BACKOFF_EQUAL] = "equal", [BACKOFF_NONE] = "none"};
    const struct {
        const char *path;
        int64_t *key, value;
    } numbers[] = {
        {"attempts", &keys->attempts, preset->attempts}, {"base", &keys->base_ms, preset->base_ms},
        {"min", &keys->min_ms, preset->min_ms},          {"max", &keys->max_ms, preset->max_ms},
        {"doubtful", &keys->doubtful, preset->doubtful},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (!is_set(check, keys, CONFIG_RETRY, numbers[i].path))
            *numbers[i].key = numbers[i].value;
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    char factor[MONEY_TEXT_BYTES];
    money_format_usd(preset->factor_milli * (PICOUSD_PER_USD / 1000), factor, sizeof(factor));
    if (!is_set(check, keys, CONFIG_RETRY, "factor"))
        config_set(keys, config_field_find(CONFIG_RETRY, "factor"), factor, &why);
    if (!is_set(check, keys, CONFIG_RETRY, "jitter"))
        config_set(keys, config_field_find(CONFIG_RETRY, "jitter"), jitters[preset->jitter], &why);
}

static void check_retry(const struct check *check)
{
    struct config_retry *keys = &check->config->retry_keys;
    struct backoff *retry = &check->config->retry;
    backoff_default(retry);
    if (keys->preset && backoff_preset(keys->preset, retry))
        keys_from_preset(check, retry);
    retry->attempts = (int)keys->attempts;
    retry->base_ms = keys->base_ms;
    retry->min_ms = keys->min_ms;
    retry->max_ms = keys->max_ms;
    retry->doubtful = (int)keys->doubtful;
    if (keys->jitter)
        backoff_jitter_named(keys->jitter, &retry->jitter);
    int64_t factor = 0, milli = PICOUSD_PER_USD / 1000;
    if (keys->factor && (!money_parse_usd(keys->factor, &factor) || factor % milli != 0))
        config_errors_add(check->errors, place_of(check, keys, CONFIG_RETRY, "factor"), NULL,
                          "`retry.factor` takes at most three decimals");
    retry->factor_milli = factor / milli;
    if (keys->min_ms > keys->max_ms)
        config_errors_add(check->errors, place_of(check, keys, CONFIG_RETRY, "min"), NULL,
                          "`retry.min` is more than `retry.max`");
}

// ------------------------------------------------------------------------------------- providers

// Length of the host of "https://host:port/path" from `after` on.
static size_t host_len(const char *after)
{
    size_t authority = strcspn(after, "/?#");
    const char *bracket = after[0] == '[' ? memchr(after, ']', authority) : NULL;
    return bracket ? (size_t)(bracket - after) + 1 : strcspn(after, ":/?#");
}

// NULL, or what is wrong with the URL.
static const char *base_url_fault(const struct config_provider *provider)
{
    const char *url = provider->base_url;
    bool https = strncasecmp(url, "https://", 8) == 0;
    bool http = strncasecmp(url, "http://", 7) == 0;
    if (!https && !http)
        return "must begin with https://";
    const char *after = url + (https ? 8 : 7);
    if (memchr(after, '@', strcspn(after, "/?#")))
        return "must not hold a user or password: the key belongs into `key`";
    if (host_len(after) == 0 || strpbrk(url, " \"<>\\^`{}|?#"))
        return "must be a plain URL such as https://api.x.ai/v1, without a query";
    if (http && !provider->allow_http && !config_host_is_loopback(after, host_len(after)))
        return "must be https, since the key would travel readable";
    return NULL;
}

static void trim_slashes(char *url)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
}

static void say_key(const struct check *check, const struct config_key *key, const char *path,
                    const char *fault)
{
    config_errors_add(check->errors, place_of(check, key, CONFIG_KEY, path), NULL, "%s", fault);
}

// Each key of the list with a name and a value of its own: one key twice is not twice the room.
static void check_key_list(const struct check *check, const struct config_provider *provider)
{
    for (size_t i = 0; i < provider->keys.len; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_key *key = &provider->keys.items[i];
            const struct config_key *other = &provider->keys.items[j];
            struct buf fault OWN_BUF;
            buf_init(&fault, 0);
            buf_printf(&fault, "provider `%s` has ", provider->name);
            if (key->name && other->name && strcmp(key->name, other->name) == 0) {
                buf_printf(&fault, "two keys of the name `%s`", key->name);
                say_key(check, key, "name", buf_str(&fault));
            } else if (key->key && other->key && strcmp(key->key, other->key) == 0) {
                buf_printf(&fault, "one and the same key as `%s` and `%s`",
                           other->name ? other->name : "?", key->name ? key->name : "?");
                say_key(check, key, "key", buf_str(&fault));
            }
        }
}

// Health, logs and metrics call a key by its name alone.
static void check_key_names(const struct check *check)
{
    const struct config *config = check->config;
    for (size_t i = 0; i < config->provider_count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_keys *one = &config->providers[i].keys;
            const struct config_keys *other = &config->providers[j].keys;
            bool listed = one->len > 1 || other->len > 1;
            for (size_t k = 0; listed && k < one->len * other->len; k++) {
                const struct config_key *key = &one->items[k / other->len];
                const char *name = other->items[k % other->len].name;
                if (key->name && name && strcmp(key->name, name) == 0)
                    config_errors_add(check->errors, place_of(check, key, CONFIG_KEY, "name"), NULL,
                                      "providers `%s` and `%s` both have a key of the name `%s`",
                                      config->providers[j].name, config->providers[i].name, name);
            }
        }
}

// `keys` as they are, or made of `key`.
static void check_keys(const struct check *check, struct config_provider *provider)
{
    bool listed = is_set(check, provider, CONFIG_PROVIDER, "keys");
    const char *lone = is_set(check, provider, CONFIG_PROVIDER, "key")        ? "key"
                       : is_set(check, provider, CONFIG_PROVIDER, "key_name") ? "key_name"
                                                                              : NULL;
    if (listed && lone)
        config_errors_add(check->errors, place_of(check, provider, CONFIG_PROVIDER, lone),
                          "Keep `keys`, where each has its `name`; or `key` alone.",
                          "`%s` of provider `%s` stands beside `keys`", lone, provider->name);
    check_key_list(check, provider);
    if (provider->key_name == NULL)
        provider->key_name = own_strdup(provider->name);
    if (provider->keys.len > 0)
        return;
    provider->keys = (struct config_keys){own_array(1, sizeof(struct config_key)), 1};
    provider->keys.items[0].name = own_strdup(provider->key_name);
    provider->keys.items[0].key = provider->key ? own_strdup(provider->key) : NULL;
}

static void check_provider(const struct check *check, struct config_provider *provider)
{
    check_keys(check, provider);
    const char *fault = provider->base_url ? base_url_fault(provider) : NULL;
    if (fault)
        config_errors_add(check->errors, place_of(check, provider, CONFIG_PROVIDER, "base_url"),
                          "`allow_http: true` takes plain http where the network is trusted.",
                          "`base_url` of provider `%s` %s", provider->name, fault);
    else if (provider->base_url)
        trim_slashes(provider->base_url);
    if (provider->connections_idle > provider->connections_max)
        provider->connections_idle = provider->connections_max;
}

// ------------------------------------------------------------------------------------- models

static void link_provider(const struct check *check, struct config_model *model)
{
    struct config *config = check->config;
    for (size_t i = 0; i < config->provider_count; i++)
        if (model->provider_name && strcmp(config->providers[i].name, model->provider_name) == 0) {
            model->provider = &config->providers[i];
            model->provider_index = i;
            return;
        }
    if (model->provider_name == NULL)
        return; // reported as missing
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    hint_entries(config, CONFIG_PROVIDER, model->provider_name, &hint);
    config_errors_add(check->errors, place_of(check, model, CONFIG_MODEL, "provider"),
                      buf_str(&hint), "model `%s` names no provider that is configured",
                      model->name);
}

struct price_texts {
    const char *path; // of the input price, for the place
    const char *input, *cached, *output;
    int64_t per_tokens;
};

// NULL, or what is wrong.
static const char *make_price(const struct price_texts *texts, struct price *out)
{
    struct price price = {.known = true};
    const char *cached = texts->cached ? texts->cached : texts->input;
    if (texts->input == NULL || texts->output == NULL)
        return "needs both `input` and `output`";
    if (!price_per_token(texts->input, texts->per_tokens, &price.input_picousd) ||
        !price_per_token(cached, texts->per_tokens, &price.cached_picousd) ||
        !price_per_token(texts->output, texts->per_tokens, &price.output_picousd))
        return "is finer than 1e-12 USD a token";
    if (price.cached_picousd > price.input_picousd)
        return "has cached input dearer than other input";
    *out = price;
    return NULL;
}

// Whether a number of the price stands in the file and was refused already.
static bool price_refused(const struct check *check, const struct config_model *model)
{
    const struct {
        const char *path, *text;
    } numbers[] = {
        {"price.per_1k.input", model->price_1k_input},
        {"price.per_1k.cached", model->price_1k_cached},
        {"price.per_1k.output", model->price_1k_output},
        {"price.per_1m.input", model->price_1m_input},
        {"price.per_1m.cached", model->price_1m_cached},
        {"price.per_1m.output", model->price_1m_output},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].text == NULL && is_set(check, model, CONFIG_MODEL, numbers[i].path))
            return true;
    return false;
}

static void check_price(const struct check *check, struct config_model *model)
{
    if (price_refused(check, model))
        return;
    bool per_1k = model->price_1k_input || model->price_1k_cached || model->price_1k_output;
    bool per_1m = model->price_1m_input || model->price_1m_cached || model->price_1m_output;
    struct price_texts texts = {"price.per_1k.input", model->price_1k_input, model->price_1k_cached,
                                model->price_1k_output, 1000};
    if (per_1m)
        texts = (struct price_texts){"price.per_1m.input", model->price_1m_input,
                                     model->price_1m_cached, model->price_1m_output, 1000000};
    const char *fault = NULL;
    if (per_1k && per_1m)
        fault = "is given twice, by `per_1k` and `per_1m`";
    else if (per_1k || per_1m)
        fault = make_price(&texts, &model->price);
    else if (model->price_since)
        fault = "has a day and no numbers";
    if (fault)
        config_errors_add(check->errors, place_of(check, model, CONFIG_MODEL, texts.path),
                          "Write `price: {per_1m: {input: 2, output: 6}, since: 2026-11-01}`, or "
                          "`price: none` for an own server.",
                          "`price` of model `%s` %s", model->name, fault);
}

// The day and a hash of the numbers: other numbers are another version, whatever the day says.
static void name_price(struct config_model *model)
{
    struct buf version OWN_BUF;
    buf_init(&version, 0);
    const struct price *price = &model->price;
    if (!price->known || price->free) {
        buf_add_str(&version, price->free ? "free" : "unknown");
    } else {
        struct buf numbers OWN_BUF;
        buf_init(&numbers, 0);
        buf_printf(&numbers, "%" PRId64 " %" PRId64 " %" PRId64, price->input_picousd,
                   price->cached_picousd, price->output_picousd);
        buf_printf(&version, "%s-%08" PRIx32, model->price_since ? model->price_since : "undated",
                   (uint32_t)XXH64(numbers.data, numbers.len, 0));
    }
    free(model->price_version);
    model->price_version = buf_take(&version);
}

static void check_reasoning(const struct check *check, const struct config_model *model)
{
    struct config_place place = place_of(check, model, CONFIG_MODEL, "reasoning.map");
    if (model->effort_map && model->reasoning != REASONING_EFFORT)
        config_errors_add(check->errors, place, NULL,
                          "`reasoning.map` of model `%s` goes only with `parameter: "
                          "reasoning_effort`",
                          model->name);
    for (size_t i = 0; model->effort_map && model->effort_map[i].name; i++)
        if (strcmp(model->effort_map[i].name, "reasoning") != 0 &&
            strcmp(model->effort_map[i].name, "non-reasoning") != 0)
            config_errors_add(check->errors, place, "It maps `reasoning` and `non-reasoning`.",
                              "`reasoning.map` of model `%s` has the unknown mode `%s`",
                              model->name, model->effort_map[i].name);
}

static void check_model(const struct check *check, struct config_model *model)
{
    if (model->served_name == NULL)
        model->served_name = own_strdup(model->name);
    link_provider(check, model);
    check_price(check, model);
    name_price(model);
    check_reasoning(check, model);
    if (model->context_tokens > 0 && model->max_output_tokens >= model->context_tokens)
        config_errors_add(check->errors, place_of(check, model, CONFIG_MODEL, "max_output_tokens"),
                          "Prompt and answer share the context.",
                          "`max_output_tokens` of model `%s` leaves no room in `context_tokens`",
                          model->name);
}

static bool has_route(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0)
            return true;
    return false;
}

static void check_default_route(const struct check *check)
{
    struct config *config = check->config;
    if (config->model_count == 0 || has_route(config, "default"))
        return;
    if (config->model_count > 1) {
        struct config_place place = {config->origins ? config->origins->file : NULL, 0, 0};
        config_errors_add(check->errors, place, "Add `routes: {default: [MODEL, …]}`.",
                          "there are several models and no route `default`");
        return;
    }
    config->routes = own_grow(config->routes, config->route_count + 1, sizeof(struct config_route));
    struct config_route *route = &config->routes[config->route_count++];
    *route = (struct config_route){own_strdup("default"), own_alloc(sizeof(void *)), 1, 0};
    route->models[0] = &config->models[0];
}

// ------------------------------------------------------------------------------------- agents

static void check_agent(const struct check *check, const struct config_agent *agent)
{
    const struct config *config = check->config;
    if (agent->model && config->model_count > 0 &&
        config_find_model(config, agent->model, 0) == NULL)
        config_errors_add(check->errors, place_of(check, agent, CONFIG_AGENT, "model"),
                          "Name an entry of `routes` or `models`.",
                          "agent `%s` names no route or model that is configured", agent->name);
    for (size_t i = 0; agent->tools && agent->tools[i]; i++) {
        if (has_entry(config, CONFIG_TOOL, agent->tools[i]))
            continue;
        struct buf hint OWN_BUF;
        buf_init(&hint, 0);
        hint_entries(config, CONFIG_TOOL, agent->tools[i], &hint);
        config_errors_add(check->errors, place_of(check, agent, CONFIG_AGENT, "tools"),
                          buf_str(&hint), "agent `%s` names the tool `%s`, which is not configured",
                          agent->name, agent->tools[i]);
    }
}

static void check_tool(const struct check *check, const struct config_tool *tool)
{
    if (tool->kind == NULL)
        return; // reported as missing
    const char *fault = NULL;
    if (strcmp(tool->kind, "http") == 0 && (tool->url == NULL || tool->command))
        fault = "takes `url` and no `command`";
    else if (strcmp(tool->kind, "command") == 0 && (tool->url || tool->command == NULL))
        fault = "takes `command` and no `url`";
    else if (strcmp(tool->kind, "mcp") == 0 && (tool->url != NULL) == (tool->command != NULL))
        fault = "takes either `command` or `url`";
    if (fault)
        config_errors_add(check->errors, place_of(check, tool, CONFIG_TOOL, "kind"), NULL,
                          "tool `%s` of kind %s %s", tool->name, tool->kind, fault);
}

// Its bounds were checked when it was read.
static void read_packing(struct config *config)
{
    const char *doubt_usd = config->packing.doubt_usd;
    if (doubt_usd)
        (void)money_parse_usd(doubt_usd, &config->packing.doubt_picousd);
}

void config_finish(struct config *config, struct config_errors *errors)
{
    struct check check = {config, errors};
    check_kafka(&check);
    check_http(&check);
    check_documents(&check);
    check_retry(&check);
    read_packing(config);
    for (size_t i = 0, keys = 0; i < config->provider_count; i++) {
        check_provider(&check, &config->providers[i]);
        config->providers[i].first_key = keys;
        keys += config->providers[i].keys.len;
    }
    check_key_names(&check);
    for (size_t i = 0; i < config->model_count; i++)
        check_model(&check, &config->models[i]);
    check_default_route(&check);
    for (size_t i = 0; i < config->agent_count; i++)
        check_agent(&check, &config->agents[i]);
    for (size_t i = 0; i < config->tool_count; i++)
        check_tool(&check, &config->tools[i]);
    config_check_rules(config, errors);
}
