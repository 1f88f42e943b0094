// SPDX-License-Identifier: Apache-2.0
// The table of options, and how each kind is read.
#include "settings.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { KIND_RANGE, KIND_COUNT, KIND_SECONDS, KIND_FLAG, KIND_TEXT, KIND_LIST };

typedef bool (*list_adder)(struct settings *settings, const char *value, char why[WHY_BYTES]);
typedef void (*list_clearer)(struct settings *settings);

struct option {
    const char *name;
    const char *argument; // NULL for a flag
    enum kind kind;
    size_t offset;
    const char *help;
    list_adder add;
    list_clearer clear;
};

static bool refuse(char why[WHY_BYTES], const char *what, const char *value)
{
    snprintf(why, WHY_BYTES, "%s: %.100s", what, value);
    return false;
}

static void *at_offset(struct settings *settings, size_t offset)
{
    return (char *)settings + offset;
}

// --- times

// "200ms", "1.5s", "2m"; without a unit, `unit` is taken.
static bool read_duration(const char *text, const char *unit, uint64_t *out_ms)
{
    char number[24];
    size_t len = strspn(text, "0123456789.");
    if (len == 0 || len >= sizeof number)
        return false;
    memcpy(number, text, len);
    number[len] = '\0';
    const char *tail = text[len] ? text + len : unit;
    uint64_t milli;
    if (!decimal_parse(number, 3, &milli))
        return false;
    if (strcmp(tail, "ms") == 0)
        *out_ms = milli / 1000;
    else if (strcmp(tail, "s") == 0)
        *out_ms = milli;
    else if (strcmp(tail, "m") == 0)
        *out_ms = milli * 60;
    else
        return false;
    return true;
}

// "200ms" or "100-500ms".
static bool read_range(const char *text, struct range_ms *out)
{
    char first[32];
    const char *dash = strchr(text, '-');
    struct range_ms range;
    if (!dash) {
        if (!read_duration(text, "ms", &range.least))
            return false;
        range.most = range.least;
    } else {
        size_t len = (size_t)(dash - text);
        if (len >= sizeof first)
            return false;
        memcpy(first, text, len);
        first[len] = '\0';
        const char *unit = dash + 1 + strspn(dash + 1, "0123456789.");
        if (!read_duration(first, unit, &range.least) ||
            !read_duration(dash + 1, "ms", &range.most))
            return false;
    }
    if (range.most < range.least)
        return false;
    *out = range;
    return true;
}

// --- lists

static bool set_key_field(struct api_key *key, const char *name, const char *value)
{
    static const char *const limits[LIMIT_KINDS] = {"rpm", "tpm", "itpm", "otpm"};
    for (size_t k = 0; k < LIMIT_KINDS; k++)
        if (strcmp(name, limits[k]) == 0)
            return decimal_parse(value, 0, &key->per_minute[k]);
    if (strcmp(name, "foreign") == 0)
        return decimal_parse(value, 0, &key->foreign_percent);
    if (strcmp(name, "fault") != 0)
        return false;
    key->fault = fault_find(value, strlen(value));
    return key->fault != NULL;
}

// Fields after the key: "rpm=…,tpm=…,itpm=…,otpm=…,foreign=…,fault=…".
static bool set_key_fields(struct api_key *key, char *fields, char why[WHY_BYTES])
{
    char *rest = fields;
    for (char *field; (field = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(field, '=');
        if (!value)
            return refuse(why, "a key's field is name=value", field);
        *value++ = '\0';
        if (!set_key_field(key, field, value))
            return refuse(why, "not a field of a key, or a bad value", field);
    }
    return true;
}

static bool add_key(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    const char *colon = strchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : strlen(value);
    if (len == 0)
        return refuse(why, "a key may not be empty", value);
    settings->keys =
        must_realloc(settings->keys, (settings->key_count + 1) * sizeof *settings->keys);
    struct api_key *key = &settings->keys[settings->key_count++];
    *key = (struct api_key){.text = must_copy(value, len)};
    if (!colon)
        return true;
    char *fields = must_copy(colon + 1, strlen(colon + 1));
    bool good = set_key_fields(key, fields, why);
    free(fields);
    return good;
}

static void clear_keys(struct settings *settings)
{
    for (size_t i = 0; i < settings->key_count; i++)
        free(settings->keys[i].text);
    settings->key_count = 0;
}

// "http_500:0.1": one answer in ten.
static bool add_chance(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    const char *colon = strchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : strlen(value);
    const struct fault *fault = fault_find(value, len);
    uint64_t per_million = 1000000;
    if (!fault)
        return refuse(why, "unknown fault (see --list-faults)", value);
    if (colon && (!decimal_parse(colon + 1, 6, &per_million) || per_million > 1000000))
        return refuse(why, "a probability is a decimal from 0 to 1", value);
    size_t bytes = (settings->chance_count + 1) * sizeof *settings->chances;
    settings->chances = must_realloc(settings->chances, bytes);
    settings->chances[settings->chance_count++] = (struct fault_chance){fault, per_million};
    return true;
}

static void clear_chances(struct settings *settings)
{
    settings->chance_count = 0;
}

static bool add_next(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    const struct fault *fault = fault_find(value, strlen(value));
    if (!fault && strcmp(value, "none") != 0)
        return refuse(why, "unknown fault (see --list-faults)", value);
    size_t bytes = (settings->next_count + 1) * sizeof *settings->next;
    settings->next = must_realloc(settings->next, bytes);
    settings->next[settings->next_count++] = fault;
    return true;
}

static void clear_next(struct settings *settings)
{
    settings->next_count = 0;
}

// "sk-one:30s", "*:30s"
static bool add_closure(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    const char *colon = strrchr(value, ':');
    uint64_t ms;
    if (!colon || colon == value || !read_duration(colon + 1, "s", &ms))
        return refuse(why, "a closure is KEY:TIME or *:TIME", value);
    size_t bytes = (settings->closure_count + 1) * sizeof *settings->closures;
    settings->closures = must_realloc(settings->closures, bytes);
    char *key = must_copy(value, (size_t)(colon - value));
    settings->closures[settings->closure_count++] = (struct closure){key, ms};
    return true;
}

void settings_drop_closures(struct settings *settings)
{
    for (size_t i = 0; i < settings->closure_count; i++)
        free(settings->closures[i].key);
    settings->closure_count = 0;
}

static bool set_headers(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    static const char *const names[] = {"bucket", "minute", "none"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(value, names[i]) == 0) {
            settings->limits.headers = (enum limit_headers)i;
            return true;
        }
    return refuse(why, "headers are bucket, minute or none", value);
}

static void clear_nothing(struct settings *settings)
{
    (void)settings;
}

// --- models

static bool set_model_field(struct model *model, const char *name, const char *value)
{
    if (strcmp(name, "context") == 0)
        return decimal_parse(value, 0, &model->context_tokens);
    if (strcmp(name, "max_output") == 0)
        return decimal_parse(value, 0, &model->max_output_tokens);
    if (strcmp(name, "factor") == 0)
        return decimal_parse(value, 3, &model->factor_milli);
    if (strcmp(name, "in") == 0)
        return money_parse_per_1k(value, &model->price.input_picousd);
    if (strcmp(name, "cached") == 0)
        return money_parse_per_1k(value, &model->price.cached_picousd);
    if (strcmp(name, "out") == 0)
        return money_parse_per_1k(value, &model->price.output_picousd);
    return false;
}

// Fields after the name: "context=…,max_output=…,in=…,cached=…,out=…,factor=…".
static bool set_model_fields(struct model *model, char *fields, char why[WHY_BYTES])
{
    bool cached = false;
    char *rest = fields;
    for (char *field; (field = strsep(&rest, ",")) != NULL;) {
        char *value = strchr(field, '=');
        if (!value)
            return refuse(why, "a model's field is name=value", field);
        *value++ = '\0';
        cached = cached || strcmp(field, "cached") == 0;
        if (!set_model_field(model, field, value))
            return refuse(why, "not a field of a model, or a bad value", field);
    }
    if (!cached && model->price.cached_picousd == 0)
        model->price.cached_picousd = model->price.input_picousd;
    return true;
}

static struct model *model_named(struct settings *settings, const char *name, size_t len)
{
    for (size_t i = 0; i < settings->model_count; i++)
        if (strlen(settings->models[i].name) == len &&
            memcmp(settings->models[i].name, name, len) == 0)
            return &settings->models[i];
    size_t bytes = (settings->model_count + 1) * sizeof *settings->models;
    settings->models = must_realloc(settings->models, bytes);
    struct model *model = &settings->models[settings->model_count++];
    *model = (struct model){.name = must_copy(name, len),
                            .context_tokens = 128000,
                            .max_output_tokens = 8192,
                            .factor_milli = 1000};
    return model;
}

static bool add_model(struct settings *settings, const char *value, char why[WHY_BYTES])
{
    const char *colon = strchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : strlen(value);
    if (len == 0)
        return refuse(why, "a model needs a name", value);
    struct model *model = model_named(settings, value, len);
    if (!colon)
        return true;
    char *fields = must_copy(colon + 1, strlen(colon + 1));
    bool good = set_model_fields(model, fields, why);
    free(fields);
    return good;
}

// --- the table

#define AT(field) offsetof(struct settings, field)
static const struct option options[] = {
    {"listen", "HOST:PORT", KIND_TEXT, AT(listen),
     "where to listen, 127.0.0.1:0 by default: a free port, printed on stdout", NULL, NULL},
    {"model", "NAME:FIELDS", KIND_LIST, 0,
     "adds or changes a model: context=N,max_output=N,in=USD,cached=USD,out=USD (for 1,000 "
     "tokens),factor=1.1",
     add_model, clear_nothing}, // models are changed and added, never taken away
    {"key", "KEY:FIELDS", KIND_LIST, 0,
     "an accepted API key; without any, every caller is welcome. Its own limits and the fault of "
     "each of its answers: rpm=N,tpm=N,itpm=N,otpm=N,foreign=PERCENT,fault=NAME",
     add_key, clear_keys},
    {"latency", "TIME", KIND_RANGE, AT(latency), "before an answer: 200ms or 100-500ms", NULL,
     NULL},
    {"first-token", "TIME", KIND_RANGE, AT(first_token),
     "of a stream: from the headers to the first chunk", NULL, NULL},
    {"tokens-per-second", "N", KIND_COUNT, AT(tokens_per_second), "how fast the model writes", NULL,
     NULL},
    {"chunk-tokens", "N", KIND_COUNT, AT(chunk_tokens), "tokens in a chunk of a stream (16)", NULL,
     NULL},
    {"canned", NULL, KIND_FLAG, AT(canned), "always the same answer, whatever the document says",
     NULL, NULL},
    {"rpm", "N", KIND_COUNT, AT(limits.per_minute[LIMIT_REQUESTS]),
     "requests per minute, for each key and model", NULL, NULL},
    {"tpm", "N", KIND_COUNT, AT(limits.per_minute[LIMIT_TOKENS]),
     "tokens per minute, for each key and model", NULL, NULL},
    {"itpm", "N", KIND_COUNT, AT(limits.per_minute[LIMIT_INPUT]), "input tokens alone", NULL, NULL},
    {"otpm", "N", KIND_COUNT, AT(limits.per_minute[LIMIT_OUTPUT]), "output tokens alone", NULL,
     NULL},
    {"burst-seconds", "N", KIND_SECONDS, AT(limits.burst_ms),
     "how many seconds' worth may come at once (2)", NULL, NULL},
    {"surge-percent", "N", KIND_COUNT, AT(limits.surge_percent),
     "how much more a rise gets, of the limit (0)", NULL, NULL},
    {"surge-seconds", "N", KIND_SECONDS, AT(limits.surge_ms), "for how long a rise gets more (3)",
     NULL, NULL},
    {"foreign-percent", "N", KIND_COUNT, AT(limits.foreign_percent),
     "part of the limits that somebody else asks for, by chance (0)", NULL, NULL},
    {"headers", "KIND", KIND_LIST, 0,
     "what x-ratelimit-remaining-* says: bucket (what may come at once), minute (the limit less "
     "the "
     "last 60 s), none (no such headers)",
     set_headers, clear_nothing},
    {"in-flight", "N", KIND_COUNT, AT(in_flight),
     "calls at once, of all keys; further ones get a 503 and no word of the limit", NULL, NULL},
    {"close", "KEY:TIME", KIND_LIST, 0,
     "the key, or *, answers 429 with Retry-After for so long, from now on", add_closure,
     settings_drop_closures},
    {"tpm-asked", NULL, KIND_FLAG, AT(tpm_asked),
     "count max_tokens against --tpm, not what was written", NULL, NULL},
    {"count-refused", NULL, KIND_FLAG, AT(limits.count_refused), "a 429 uses up a request, too",
     NULL, NULL},
    {"cached-percent", "N", KIND_COUNT, AT(cached_percent),
     "part of each prompt that counts as cached", NULL, NULL},
    {"prefix-cache", "TIME", KIND_SECONDS, AT(prefix_ms),
     "how long a prompt's beginning is kept: what a later one shares with it counts as cached",
     NULL, NULL},
    {"prefix-tokens", "N", KIND_COUNT, AT(prefix_tokens), "the least that is kept so (1024)", NULL,
     NULL},
    {"reasoning-tokens", "N", KIND_COUNT, AT(reasoning_tokens), "of each answer", NULL, NULL},
    {"reasoning-beside", NULL, KIND_FLAG, AT(reasoning_beside),
     "report them beside completion_tokens (xAI), not inside", NULL, NULL},
    {"fault", "NAME:CHANCE", KIND_LIST, 0, "a fault that strikes at random: http_500:0.05",
     add_chance, clear_chances},
    {"next", "NAME", KIND_LIST, 0,
     "a fault of the next answer (several: in turn; none: a good one)", add_next, clear_next},
    {"seed", "N", KIND_COUNT, AT(seed), "of the random source (1)", NULL, NULL},
    {"bill-calls", "N", KIND_COUNT, AT(bill_calls),
     "calls that the bill lists one by one (1000000)", NULL, NULL},
};

static const struct option *option_named(const char *name)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *a = options[i].name;
        const char *b = name;
        for (; *a && (*a == *b || (*a == '-' && *b == '_')); a++, b++)
            ;
        if (*a == *b)
            return &options[i];
    }
    return NULL;
}

bool settings_is_flag(const char *name)
{
    const struct option *option = option_named(name);
    return option && option->kind == KIND_FLAG;
}

static bool set_text(char **text, const char *value)
{
    free(*text);
    *text = must_copy(value, strlen(value));
    return true;
}

static bool set_flag(bool *flag, const char *value)
{
    *flag = strcmp(value, "true") == 0;
    return *flag || strcmp(value, "false") == 0;
}

bool settings_set(struct settings *settings, const char *name, const char *value,
                  char why[WHY_BYTES])
{
    const struct option *option = option_named(name);
    bool good = false;
    if (!option)
        return refuse(why, "unknown option", name);
    void *at = at_offset(settings, option->offset);
    switch (option->kind) {
    case KIND_RANGE:
        good = read_range(value, at);
        break;
    case KIND_COUNT:
        good = decimal_parse(value, 0, at);
        break;
    case KIND_SECONDS:
        good = read_duration(value, "s", at);
        break;
    case KIND_FLAG:
        good = set_flag(at, value);
        break;
    case KIND_TEXT:
        good = set_text(at, value);
        break;
    case KIND_LIST:
        return option->add(settings, value, why);
    }
    return good || refuse(why, name, value);
}

// --- scripts

// A JSON scalar as option text; numbers with up to six decimals.
static bool scalar_text(const json_t *value, char out[1024])
{
    if (json_is_string(value))
        return snprintf(out, 1024, "%s", json_string_value(value)) < 1024;
    if (json_is_integer(value))
        snprintf(out, 1024, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, 1024, "%.6f", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(out, 1024, "%s", json_is_true(value) ? "true" : "false");
    else
        return false;
    return true;
}

static bool set_scalar(struct settings *settings, const char *name, const json_t *value,
                       char why[WHY_BYTES])
{
    char text[1024];
    if (!scalar_text(value, text))
        return refuse(why, "expected a text, number or boolean", name);
    return settings_set(settings, name, text, why);
}

// {"http_500": 0.1} is "http_500:0.1".
static bool set_pairs(struct settings *settings, const char *name, json_t *pairs,
                      char why[WHY_BYTES])
{
    const char *key;
    json_t *value;
    json_object_foreach(pairs, key, value)
    {
        char text[1024];
        char pair[1400];
        if (!scalar_text(value, text))
            return refuse(why, "expected a number", key);
        snprintf(pair, sizeof pair, "%.300s:%s", key, text);
        if (!settings_set(settings, name, pair, why))
            return false;
    }
    return true;
}

static bool script_one(struct settings *settings, const char *name, json_t *value,
                       char why[WHY_BYTES])
{
    const struct option *option = option_named(name);
    if (!option || strcmp(option->name, "listen") == 0)
        return refuse(why, "unknown option", name);
    if (option->kind == KIND_LIST)
        option->clear(settings);
    if (option->kind == KIND_LIST && json_is_object(value))
        return set_pairs(settings, name, value, why);
    if (option->kind != KIND_LIST || !json_is_array(value))
        return set_scalar(settings, name, value, why);
    size_t i;
    json_t *element;
    json_array_foreach(value, i, element)
    {
        if (!set_scalar(settings, name, element, why))
            return false;
    }
    return true;
}

bool settings_script(struct settings *settings, const json_t *script, char why[WHY_BYTES])
{
    const char *name;
    json_t *value;
    if (!json_is_object(script))
        return refuse(why, "expected an object of options", "");
    json_object_foreach((json_t *)(uintptr_t)script, name, value)
    {
        if (!script_one(settings, name, value, why))
            return false;
    }
    return true;
}

// --- the whole

void settings_init(struct settings *settings)
{
    static const char *const seeds[] = {"grok-4.3:in=0.00025,cached=0.00006,out=0.001",
                                        "claude-opus-4.8:in=0.005,out=0.015",
                                        "gemini-3.5-flash:in=0.00035,out=0.0012"};
    char why[WHY_BYTES];
    *settings = (struct settings){.chunk_tokens = 16,
                                  .limits = {.burst_ms = 2000, .surge_ms = 3000},
                                  .prefix_tokens = 1024,
                                  .seed = 1,
                                  .bill_calls = 1000000};
    set_text(&settings->listen, "127.0.0.1:0");
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
        add_model(settings, seeds[i], why);
}

const struct model *settings_model(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->model_count; i++)
        if (strcmp(settings->models[i].name, name) == 0)
            return &settings->models[i];
    return NULL;
}

void settings_help(struct buf *out)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", options[i].name,
                 options[i].argument ? options[i].argument : "");
        buf_add_format(out, "  %-26s %s\n", left, options[i].help);
    }
}

void settings_free(struct settings *settings)
{
    clear_keys(settings);
    for (size_t i = 0; i < settings->model_count; i++)
        free(settings->models[i].name);
    free(settings->models);
    free(settings->keys);
    free(settings->chances);
    free(settings->next);
    settings_drop_closures(settings);
    free(settings->closures);
    free(settings->listen);
}
