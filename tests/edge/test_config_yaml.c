// SPDX-License-Identifier: Apache-2.0
// The configuration from real YAML, environment, files and programs: what is taken, and for every
// mistake the line, the column and the words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "core/config_remarks.h"
#include "core/config_show.h"
#include "core/config_value.h"
#include "io/config_yaml.h"

// A file that is right but for what a test adds in front of it or in its middle.
#define DATABASE "database: postgresql://precis@127.0.0.1/precis\n"
#define PROVIDER                                                                                   \
    "providers:\n"                                                                                 \
    "  xai:\n"                                                                                     \
    "    base_url: https://api.x.ai/v1\n"                                                          \
    "    key: \"${env:TEST_KEY}\"\n"
#define MODEL                                                                                      \
    "models:\n"                                                                                    \
    "  grok-4.3:\n"                                                                                \
    "    provider: xai\n"                                                                          \
    "    context_tokens: 128000\n"
#define PRICE                                                                                      \
    "    price: {per_1k: {input: 0.00025, cached: 0.00006, output: 0.001}, since: 2026-11-01}\n"
#define KEYS  DATABASE MODEL "providers:\n  xai:\n    base_url: https://a.b\n    keys: "
#define WHOLE DATABASE PROVIDER MODEL PRICE

static struct config *load(const char *text, struct config_errors *errors)
{
    *errors = (struct config_errors){0};
    struct config_source source = {.path = "t.yaml", .text = text};
    return config_load(&source, errors);
}

static char *all_errors(const struct config_errors *errors)
{
    struct buf out;
    buf_init(&out, 0);
    config_errors_print(errors, &out);
    return buf_take(&out);
}

static struct config *load_fine(const char *text)
{
    struct config_errors errors;
    struct config *config = load(text, &errors);
    char *said = all_errors(&errors);
    assert_string_equal(said, "");
    free(said);
    assert_non_null(config);
    config_errors_deinit(&errors);
    return config;
}

// Each key that works, by its own name or its twin.
static const char EVERYTHING[] = DATABASE
    "kafka: {bootstrap.servers: 'a:1,b:2', group.id: g, topics: {jobs: j, dlq: d, results: "
    "null}, properties: {fetch.wait.max.ms: 100, client.id: x}}\n"
    "http: {listen: 127.0.0.1:0, tokens: [\"${env:TEST_TOKEN}\"]}\n"
    "log: {level: debug}\n"
    "worker: {in_flight: 7, memory: 1.5GB, drain_timeout: 90s, park: {rows: 5, bytes: 1MiB}}\n"
    "documents: {allow: [/srv], max_bytes: 1MB, extractors: {application/pdf: [pdftotext, "
    "\"{in}\", \"-\"]}}\n"
    "retention: {documents: 12h, results: forever}\n"
    "providers:\n"
    "  xai:\n"
    "    base_url: ${env:TEST_UNSET:-https://api.x.ai/v1/}\n"
    "    key: \"${env:TEST_KEY}\"\n"
    "    timeouts: {connect: 5s, first_byte: 500ms}\n"
    "  own: {base_url: 'http://localhost:8080', key: none}\n"
    "models:\n"
    "  grok-4.3:\n"
    "    provider: xai\n"
    "    context: 128000\n"
    "    max_output: 4096\n"
    "    answer: text\n"
    "    limit_field: max_completion_tokens\n"
    "    stream: false\n"
    "    limits: {qpm: 480, tpm: 4000000, concurrent: 9}\n"
    "    reasoning: {parameter: reasoning_effort, map: {reasoning: high, non-reasoning: "
    "none}}\n"
    "    price: {per_1k: {input: 0.00025, cached: 0.00006, output: 0.001}, since: 2026-11-01}\n"
    "  llama:\n"
    "    provider: own\n"
    "    model: meta/llama\n"
    "    context_tokens: 8192\n"
    "    max_output_tokens: 1024\n"
    "    price: none\n"
    "routes: {default: [grok-4.3, llama], cheap: llama}\n"
    "agents: {war-room: {goal: \"Summary for {company_name}.\", tools: [crm]}}\n"
    "tenants: {legal: {weight: 3, tier: vip, budget: {month: 500}}}\n"
    "tools:\n"
    "  crm:\n"
    "    kind: http\n"
    "    url: https://crm.example/tool/{name}\n"
    "    headers: {authorization: \"Bearer ${env:TEST_TOKEN}\"}\n"
    "    parameters: {type: object, required: [a], properties: {a: {maximum: 1.5, default: "
    "null}}}\n"
    "    effect: read\n";

static void check_sections(const struct config *config)
{
    assert_string_equal(config->kafka.brokers, "a:1,b:2");
    assert_string_equal(config->kafka.group, "g");
    assert_string_equal(config->kafka.start, "earliest");
    assert_null(config->kafka.topic_results);
    assert_int_equal(config->kafka.property_count, 2);
    assert_string_equal(config->kafka.properties[0].name, "fetch.wait.max.ms");
    assert_string_equal(config->kafka.properties[0].value, "100");
    assert_string_equal(config->http.tokens[0], "tok-12345");
    assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->worker.in_flight, 7);
    assert_int_equal(config->worker.memory_bytes, 1500000000);
    assert_int_equal(config->worker.drain_timeout_ms, 90000);
    assert_int_equal(config->worker.park_bytes, 1048576);
    assert_string_equal(config->documents.extractors[0].argv[1], "{in}");
    assert_int_equal(config->retention.documents_ms, 12 * 3600000);
    assert_int_equal(config->retention.results_ms, INT64_MAX);
    assert_int_equal(config->retry.attempts, 6);
    assert_int_equal(config->retry.factor_milli, 2000);
}

static void check_providers(const struct config *config)
{
    assert_int_equal(config->provider_count, 2);
    assert_string_equal(config->providers[0].base_url, "https://api.x.ai/v1");
    assert_string_equal(config->providers[0].key, "xai-abc.def");
    assert_string_equal(config->providers[0].key_name, "xai");
    assert_int_equal(config->providers[0].first_byte_ms, 500);
    assert_int_equal(config->providers[0].idle_ms, 30000);
    assert_null(config->providers[1].key);
    assert_int_equal(config->providers[0].keys.len, 1);
    assert_string_equal(config->providers[0].keys.items[0].name, "xai");
    assert_string_equal(config->providers[0].keys.items[0].key, "xai-abc.def");
    assert_int_equal(config->providers[1].keys.len, 1);
    assert_null(config->providers[1].keys.items[0].key);
    assert_int_equal(config->providers[1].first_key, 1);
}

static void check_first_model(const struct config *config)
{
    const struct config_model *model = config_find_model(config, NULL, 0);
    assert_string_equal(model->name, "grok-4.3");
    assert_string_equal(model->served_name, "grok-4.3");
    assert_ptr_equal(model->provider, &config->providers[0]);
    assert_int_equal(model->context_tokens, 128000);
    assert_int_equal(model->max_output_tokens, 4096);
    assert_int_equal(model->answer, ANSWER_TEXT);
    assert_int_equal(model->limit_field, LIMIT_MAX_COMPLETION_TOKENS);
    assert_false(model->stream);
    assert_int_equal(model->rpm, 480);
    assert_int_equal(model->in_flight, 9);
    assert_int_equal(model->itpm, 0);
    assert_int_equal(model->reasoning, REASONING_EFFORT);
    assert_string_equal(model->effort_map[0].value, "high");
    assert_int_equal(model->price.input_picousd, 250000);
    assert_int_equal(model->price.cached_picousd, 60000);
    assert_int_equal(model->price.output_picousd, 1000000);
    assert_int_equal(strncmp(model->price_version, "2026-11-01-", 11), 0);
}

static void check_routes(const struct config *config)
{
    const struct config_model *model = config_find_model(config, NULL, 0);
    assert_string_equal(model->name, "grok-4.3");
    const struct config_model *second = config_find_model(config, "default", 1);
    assert_string_equal(second->served_name, "meta/llama");
    assert_true(second->price.free);
    assert_string_equal(second->price_version, "free");
    assert_null(config_find_model(config, "default", 2));
    assert_ptr_equal(config_find_model(config, "cheap", 0), second);
    assert_ptr_equal(config_find_model(config, "llama", 0), second);
    assert_null(config_find_model(config, "llama", 1));
    assert_null(config_find_model(config, "gpt", 0));
}

static void test_everything(void **state)
{
    (void)state;
    struct config *config = load_fine(EVERYTHING);
    check_sections(config);
    check_providers(config);
    check_first_model(config);
    check_routes(config);
    assert_string_equal(config->tools[0].parameters,
                        "{\"properties\":{\"a\":{\"default\":null,\"maximum\":1.5}},\"required\":["
                        "\"a\"],\"type\":\"object\"}");
    assert_string_equal(config->tools[0].headers[0].value, "Bearer tok-12345");
    assert_string_equal(config->tenants[0].budget_month, "500");
    config_free(config);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = load_fine(WHOLE);
    assert_string_equal(config->kafka.brokers, "127.0.0.1:9092");
    assert_string_equal(config->kafka.topic_results, "precis.results");
    assert_string_equal(config->http.listen, "127.0.0.1:8000");
    assert_int_equal(config->worker.in_flight, 1000);
    assert_int_equal(config->worker.memory_bytes, 512000000);
    assert_int_equal(config->retry.base_ms, 500);
    assert_int_equal(config->retry.jitter, BACKOFF_FULL);
    assert_int_equal(config->models[0].max_output_tokens, 8192);
    assert_int_equal(config->models[0].answer, ANSWER_JSON_SCHEMA);
    assert_true(config->models[0].stream);
    assert_int_equal(config->route_count, 1); // one model makes the default route
    assert_string_equal(config->routes[0].name, "default");
    config_free(config);
    setenv("DATABASE_URL", "host=127.0.0.1 dbname=precis password=pw-in-url", 1);
    config = load_fine("{}");
    assert_string_equal(config->database, "host=127.0.0.1 dbname=precis password=pw-in-url");
    assert_string_equal(config->database_password, "pw-in-url");
    config_free(config);
    config = load_fine("");
    config_free(config);
    unsetenv("DATABASE_URL");
}

static void test_retry_preset(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int attempts;
        int64_t base_ms, min_ms, max_ms;
        enum backoff_jitter jitter;
    } rows[] = {
        {"retry: {preset: seed-412}\n", 3, 500, 0, 60000, BACKOFF_NONE},
        {"retry: {attempts: 5, preset: seed-412}\n", 5, 500, 0, 60000, BACKOFF_NONE},
        {"retry: {preset: tenacity, jitter: full}\n", 3, 1000, 1000, 10000, BACKOFF_FULL},
        {"retry: {factor: 1.5}\n", 6, 500, 0, 60000, BACKOFF_FULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        buf_printf(&text, "%s%s", rows[i].text, WHOLE);
        struct config *config = load_fine(buf_str(&text));
        assert_int_equal(config->retry.attempts, rows[i].attempts);
        assert_int_equal(config->retry.base_ms, rows[i].base_ms);
        assert_int_equal(config->retry.min_ms, rows[i].min_ms);
        assert_int_equal(config->retry.max_ms, rows[i].max_ms);
        assert_int_equal(config->retry.jitter, rows[i].jitter);
        assert_int_equal(config->retry_keys.attempts, rows[i].attempts);
        assert_int_equal(config->retry.factor_milli, i == 3 ? 1500 : 2000);
        config_free(config);
    }
}

struct mistake {
    const char *name;
    const char *text;
    const char *said; // the whole report, but for a hint after "…"
};

// Pitfalls 95 and 96, and every other refusal.
static const struct mistake MISTAKES[] = {
    // 95: unknown key
    {"unknown key", WHOLE "kafka:\n  brokrs: a:1\n",
     "t.yaml:12:3: unknown key `brokrs` in `kafka`. Did you mean `brokers`?\n"},
    {"unknown root key", WHOLE "modles: {}\n",
     "t.yaml:11:1: unknown key `modles`. Did you mean `models`?\n"},
    {"unknown and far", WHOLE "log: {colour: red}\n",
     "t.yaml:11:7: unknown key `colour` in `log`. Known: `level`.\n"},
    {"unknown nested", WHOLE "worker: {park: {row: 5}}\n",
     "t.yaml:11:17: unknown key `row` in `worker.park`. Did you mean `rows`?\n"},
    {"near a twin", DATABASE PROVIDER MODEL "    limits: {qmp: 5}\n",
     "t.yaml:10:14: unknown key `qmp` in `models.grok-4.3.limits`. Did you mean `qpm`?\n"},
    {"a path is no key", WHOLE "kafka: {topics.jobs: x}\n",
     "t.yaml:11:9: unknown key `topics.jobs` in `kafka`. Known: `brokers`, `group`, `start`, "
     "`topics`, `properties`.\n"},
    // 95: negative, huge, of another kind
    {"negative", WHOLE "worker: {in_flight: -5}\n",
     "t.yaml:11:21: `worker.in_flight` takes a whole number from 1 to 100000 (jobs).\n"},
    {"huge", WHOLE "worker: {in_flight: 99999999999999999999999999}\n",
     "t.yaml:11:21: `worker.in_flight` takes a whole number from 1 to 100000 (jobs).\n"},
    {"not a number", WHOLE "worker: {in_flight: many}\n",
     "t.yaml:11:21: `worker.in_flight` takes a whole number from 1 to 100000 (jobs).\n"},
    {"no unit", WHOLE "worker: {drain_timeout: 60}\n",
     "t.yaml:11:25: `worker.drain_timeout` takes a duration such as 500ms, 10s, 1h or 30d, from 0s "
     "to 1d.\n"},
    {"duration overflow", WHOLE "worker: {drain_timeout: 9223372036854775807d}\n",
     "t.yaml:11:25: `worker.drain_timeout` takes a duration such as 500ms, 10s, 1h or 30d, from 0s "
     "to 1d.\n"},
    {"small size", WHOLE "worker: {memory: 1KB}\n",
     "t.yaml:11:18: `worker.memory` takes a size such as 512MB or 20GB, from 64MB to 1TB.\n"},
    {"flag", DATABASE PROVIDER MODEL "    stream: yes\n",
     "t.yaml:10:13: `models.grok-4.3.stream` takes `true` or `false`.\n"},
    {"choice", WHOLE "kafka: {start: newest}\n",
     "t.yaml:11:16: `kafka.start` takes one of `earliest`, `latest`.\n"},
    {"list for value", WHOLE "kafka: {group: [a]}\n",
     "t.yaml:11:9: `kafka.group` takes one value, not a list or mapping. the consumer group of the "
     "fleet\n"},
    {"value for list", WHOLE "documents: {allow: /srv}\n",
     "t.yaml:11:20: `documents.allow` takes a list: [one, two].\n"},
    {"value for group", WHOLE "worker: {park: 5}\n",
     "t.yaml:11:10: `worker.park` takes a mapping of keys. Known: `rows`, `bytes`.\n"},
    {"value for section", WHOLE "worker: 5\n", "t.yaml:11:1: `worker` takes a mapping.\n"},
    {"no value", WHOLE "kafka:\n  group:\n",
     "t.yaml:12:3: `kafka.group` has no value. the consumer group of the fleet\n"},
    {"root is a list", "- a\n", "t.yaml: the file is not a mapping of keys.…"},
    // 95: secrets
    {"secret in plain",
     DATABASE MODEL "providers:\n  xai:\n    base_url: https://a.b\n"
                    "    key: xai-plain-secret\n",
     "t.yaml:9:10: `providers.xai.key` is a secret and must not stand in the file. Write "
     "\"${env:NAME}\", \"${file:/path}\" or \"${exec:command}\", so that the file holds no "
     "secret.\n"},
    {"secret partly plain",
     DATABASE MODEL
     "providers:\n  xai:\n    base_url: https://a.b\n    key: \"x${env:TEST_KEY}\"\n",
     "t.yaml:9:10: `providers.xai.key` is a secret and must not stand in the file.…"},
    {"secret as default",
     DATABASE MODEL
     "providers:\n  xai:\n    base_url: https://a.b\n    key: \"${env:TEST_UNSET:-abc}\"\n",
     "t.yaml:9:10: `providers.xai.key` is a secret and must not stand in the file.…"},
    {"secret not set",
     DATABASE MODEL
     "providers:\n  xai:\n    base_url: https://a.b\n    key: \"${env:TEST_UNSET}\"\n",
     "t.yaml:9:10: `providers.xai.key` has no value: TEST_UNSET is not set. Set it in the "
     "environment, or in a file for --env-file.\n"},
    {"secret empty",
     DATABASE MODEL
     "providers:\n  xai:\n    base_url: https://a.b\n    key: \"${env:TEST_EMPTY}\"\n",
     "t.yaml:9:10: `providers.xai.key` is empty (env TEST_EMPTY). Set it in the environment, or in "
     "a file for --env-file.\n"},
    {"secret null",
     DATABASE MODEL "providers:\n  xai:\n    base_url: https://a.b\n    key:\n"
                    "log: {level: loud}\n",
     "t.yaml:10:14: `log.level` takes one of `error`, `warn`, `info`, `debug`.\n"},
    {"secret with control",
     DATABASE MODEL
     "providers:\n  xai:\n    base_url: https://a.b\n    key: \"${env:TEST_CONTROL}\"\n",
     "t.yaml:9:10: `providers.xai.key` takes a text of 1 to 4096 bytes without control characters, "
     "or `none`.\n"},
    {"token in plain", WHOLE "http: {tokens: [abcdef]}\n",
     "t.yaml:11:17: `http.tokens` is a secret and must not stand in the file.…"},
    {"header in plain",
     WHOLE "tools: {t: {kind: http, url: https://x, headers: {authorization: "
           "Bearer abc}}}\n",
     "t.yaml:11:66: `tools.t.headers.authorization` is a secret and must not stand in the file.…"},
    {"kafka password in plain", WHOLE "kafka: {properties: {sasl.password: abc}}\n",
     "t.yaml:11:37: `kafka.properties.sasl.password` is a secret and must not stand in the file.…"},
    // Kafka
    {"owned property", WHOLE "kafka: {properties: {enable.auto.commit: true}}\n",
     "t.yaml:11:42: `kafka.properties.enable.auto.commit` is not to be set: precis commits what "
     "has "
     "an outcome, and nothing else.\n"},
    {"owned reset", WHOLE "kafka: {properties: {auto.offset.reset: latest}}\n",
     "t.yaml:11:41: `kafka.properties.auto.offset.reset` is not to be set: a known group whose "
     "offsets are gone must stop; use `kafka.start`.\n"},
    {"owned assignor",
     WHOLE "kafka: {properties: {partition.assignment.strategy: cooperative-sticky}}\n",
     "t.yaml:11:53: `kafka.properties.partition.assignment.strategy` is not to be set: only the "
     "range assignor is safe here.\n"},
    {"unknown property", WHOLE "kafka: {properties: {fetch.wait: 5}}\n",
     "t.yaml:11:34: `kafka.properties.fetch.wait` is no property of librdkafka.\n"},
    {"near property", WHOLE "kafka: {properties: {fetch.wait.ms: 5}}\n",
     "t.yaml:11:37: `kafka.properties.fetch.wait.ms` is no property of librdkafka. Did you mean "
     "`fetch.wait.max.ms`?\n"},
    {"bad property", WHOLE "kafka: {properties: {fetch.wait.max.ms: soon}}\n",
     "t.yaml:11:41: `kafka.properties.fetch.wait.max.ms` has a value that librdkafka does not "
     "take.\n"},
    {"a topic's weight", WHOLE "kafka: {topics: {jobs: [{name: a, weight: 0}]}}\n",
     "t.yaml:11:43: `kafka.topics.jobs` takes weights that are whole numbers from 1 to 9999.\n"},
    {"a topic's weight in words",
     WHOLE "kafka:\n  topics:\n    jobs:\n      - a\n      - name: b\n"
           "        weight: much\n",
     "t.yaml:16:17: `kafka.topics.jobs` takes weights that are whole numbers from 1 to 9999.\n"},
    {"a topic's member", WHOLE "kafka: {topics: {jobs: [a, {name: b, wieght: 2}]}}\n",
     "t.yaml:11:38: unknown key `wieght` in `kafka.topics.jobs`. Did you mean `weight`?\n"},
    {"a topic's member, far", WHOLE "kafka: {topics: {jobs: [{name: a, share: 2}]}}\n",
     "t.yaml:11:35: unknown key `share` in `kafka.topics.jobs`. Known: `name`, `weight`.\n"},
    {"a topic without a name", WHOLE "kafka: {topics: {jobs: [{weight: 2}]}}\n",
     "t.yaml:11:18: `kafka.topics.jobs` takes a name or a list of {name, weight}, each with the "
     "name of a topic.\n"},
    {"no topics", WHOLE "kafka: {topics: {jobs: []}}\n",
     "t.yaml:11:18: `kafka.topics.jobs` takes a name or a list of {name, weight}, and the list is "
     "empty.\n"},
    {"one topic twice in a list", WHOLE "kafka: {topics: {jobs: [a, {name: a}]}}\n",
     "t.yaml:11:18: `kafka.topics` names one topic twice. Give each its own: a worker would read "
     "its own dead letters as jobs.\n"},
    {"one topic twice", WHOLE "kafka: {topics: {jobs: a, dlq: a}}\n",
     "t.yaml:11:24: `kafka.topics` names one topic twice. Give each its own: a worker would read "
     "its own dead letters as jobs.\n"},
    {"twin twice", WHOLE "kafka: {group: a, group.id: b}\n",
     "t.yaml:11:29: `kafka.group` is set twice. Two names of one key stand in the file; keep "
     "one.\n"},
    // later
    {"no keys", KEYS "[]\n",
     "t.yaml:9:5: `providers.xai.keys` takes a list of 1 to 100 mappings. Write `keys: [{name: "
     "one, "
     "key: \"${env:ONE}\"}]`.\n"},
    {"a key that is no mapping", KEYS "[\"${env:TEST_KEY}\"]\n",
     "t.yaml:9:12: `providers.xai.keys[0]` takes a mapping: {name, key, limits}.\n"},
    {"a key without its parts", KEYS "[{limits: {rpm: 5}}]\n",
     "t.yaml:9:5: `providers.xai.keys[0].name` is missing: what costs, logs and metrics call the "
     "key.\n…"},
    {"a plain key in the list", KEYS "\n      - {name: a, key: xai-plain}\n",
     "t.yaml:10:24: `providers.xai.keys[0].key` is a secret and must not stand in the file.…"},
    {"a misspelt limit of a key",
     KEYS "\n      - {name: a, key: \"${env:TEST_KEY}\", limits: {rpn: 4}}\n",
     "t.yaml:10:52: unknown key `rpn` in `providers.xai.keys[0].limits`. Did you mean `rpm`?\n"},
    {"two keys of one name",
     KEYS "\n      - {name: a, key: \"${env:TEST_KEY}\"}\n"
          "      - {name: a, key: \"${env:TEST_TOKEN}\"}\n",
     "t.yaml:11:16: provider `xai` has two keys of the name `a`.\n"},
    {"one key twice",
     KEYS "\n      - {name: a, key: \"${env:TEST_KEY}\"}\n"
          "      - {name: b, key: \"${env:TEST_KEY}\"}\n",
     "t.yaml:11:24: provider `xai` has one and the same key as `a` and `b`.\n"},
    {"a name at two providers",
     KEYS "\n      - {name: a, key: \"${env:TEST_KEY}\"}\n"
          "      - {name: b, key: \"${env:TEST_TOKEN}\"}\n"
          "  own:\n    base_url: https://c.d\n    keys: [{name: b, key: \"${env:TEST_KEY}\"}]\n",
     "t.yaml:14:19: providers `xai` and `own` both have a key of the name `b`.\n"},
    {"key beside keys",
     KEYS "[{name: a, key: \"${env:TEST_KEY}\"}]\n    key: \"${env:TEST_TOKEN}\"\n",
     "t.yaml:10:10: `key` of provider `xai` stands beside `keys`. Keep `keys`, where each has its "
     "`name`; or `key` alone.\n"},
    {"api", DATABASE MODEL "providers: {xai: {api: anthropic, base_url: https://a.b}}\n",
     "t.yaml:6:24: `providers.xai.api` takes one of `openai` (later versions: `responses`, "
     "`anthropic`, `grok-chat`).\n"},
    {"per_message", DATABASE PROVIDER MODEL "    price: {per_message: []}\n",
     "t.yaml:10:13: `models.grok-4.3.price.per_message` (prices for each message, with tiers) "
     "works "
     "in a later version.\n"},
    // providers
    {"plain http", DATABASE MODEL "providers: {xai: {base_url: http://api.x.ai/v1}}\n",
     "t.yaml:6:29: `base_url` of provider `xai` must be https, since the key would travel "
     "readable. `allow_http: true` takes plain http where the network is trusted.\n"},
    {"loopback by name only",
     DATABASE MODEL "providers: {xai: {base_url: http://127.0.0.1.evil.example}}\n",
     "t.yaml:6:29: `base_url` of provider `xai` must be https, since the key would travel "
     "readable.…"},
    {"another scheme", DATABASE MODEL "providers: {xai: {base_url: ftp://a.b}}\n",
     "t.yaml:6:29: `base_url` of provider `xai` must begin with https://.…"},
    {"user in the URL", DATABASE MODEL "providers: {xai: {base_url: https://u:p@a.b}}\n",
     "t.yaml:6:29: `base_url` of provider `xai` must not hold a user or password: the key belongs "
     "into `key`.…"},
    {"missing base_url", DATABASE MODEL "providers: {xai: {}}\n",
     "t.yaml:6:13: `providers.xai.base_url` is missing: https://host/v1; http only on loopback, or "
     "with allow_http.\n"},
    // models, routes
    {"missing context", DATABASE PROVIDER "models: {m: {provider: xai}}\n",
     "t.yaml:6:10: `models.m.context_tokens` is missing: prompt and answer together.\n"},
    {"no such provider",
     DATABASE PROVIDER "models: {m: {provider: xia, context: 4096, max_output: "
                       "100}}\n",
     "t.yaml:6:24: model `m` names no provider that is configured. Did you mean `xai`?\n"},
    {"output over context",
     DATABASE PROVIDER "models: {m: {provider: xai, context: 4096, "
                       "max_output: 4096}}\n",
     "t.yaml:6:56: `max_output_tokens` of model `m` leaves no room in `context_tokens`. Prompt and "
     "answer share the context.\n"},
    {"no such model", WHOLE "routes: {default: [grok-4.2]}\n",
     "t.yaml:11:20: `routes.default`: no model `grok-4.2` is configured. Did you mean "
     "`grok-4.3`?\n"},
    {"route of lists",
     DATABASE PROVIDER "models: {m: {provider: xai, context: 9000, price: none}}\n"
                       "routes: {default: [[m]]}\n",
     "t.yaml:7:10: `routes.default`: no model `` is configured. Did you mean `m`?\n"},
    {"model twice", WHOLE "routes: {default: [grok-4.3, grok-4.3]}\n",
     "t.yaml:11:30: `routes.default`: `grok-4.3` is in this route twice.\n"},
    {"empty route", WHOLE "routes: {default: []}\n",
     "t.yaml:11:10: `routes.default` takes a list of models.\n"},
    {"no default route", WHOLE "  b: {provider: xai, context: 10000, price: none}\n",
     "t.yaml: there are several models and no route `default`. Add `routes: {default: [MODEL, "
     "…]}`.\n"},
    {"model name with control", DATABASE PROVIDER "models: {\"a\\x01b\": {provider: xai}}\n",
     "t.yaml:6:10: `models` holds a name that is not 1 to 200 bytes without control characters.\n"},
    {"tenant name", WHOLE "tenants: {\"a b\": {}}\n",
     "t.yaml:11:11: `tenants` holds a name that is not 1 to 200 bytes of A-Z a-z 0-9 . _ : @ -.\n"},
    // 96: prices
    {"negative price", DATABASE PROVIDER MODEL "    price: {per_1k: {input: -1, output: 1}}\n",
     "t.yaml:10:29: `models.grok-4.3.price.per_1k.input` takes a decimal number from 0 to 1000000 "
     "(USD).\n"},
    {"half a price", DATABASE PROVIDER MODEL "    price: {per_1k: {input: 1}}\n",
     "t.yaml:10:29: `price` of model `grok-4.3` needs both `input` and `output`. Write `price: "
     "{per_1m: {input: 2, output: 6}, since: 2026-11-01}`, or `price: none` for an own server.\n"},
    {"two currencies",
     DATABASE PROVIDER MODEL "    price: {per_1k: {input: 1, output: 1}, currency: EUR}\n",
     "t.yaml:10:54: `models.grok-4.3.price.currency` takes one of `USD`.\n"},
    {"currency in the number",
     DATABASE PROVIDER MODEL "    price: {per_1k: {input: 1 EUR, output: 1}}\n",
     "t.yaml:10:29: `models.grok-4.3.price.per_1k.input` takes a decimal number from 0 to 1000000 "
     "(USD).…"},
    {"two prices",
     DATABASE PROVIDER MODEL
     "    price: {per_1k: {input: 1, output: 1}, per_1m: {input: 1, output: 1}}\n",
     "t.yaml:10:60: `price` of model `grok-4.3` is given twice, by `per_1k` and `per_1m`.…"},
    {"too fine", DATABASE PROVIDER MODEL "    price: {per_1m: {input: 0.0000005, output: 1}}\n",
     "t.yaml:10:29: `price` of model `grok-4.3` is finer than 1e-12 USD a token.…"},
    {"no such day",
     DATABASE PROVIDER MODEL "    price: {per_1m: {input: 1, output: 1}, since: 2026-02-29}\n",
     "t.yaml:10:51: `models.grok-4.3.price.since` takes a date such as 2026-11-01.\n"},
    // the rest
    {"host", WHOLE "documents: {hosts: [a.example, \"*.b.example:8443\", https://c.example]}\n",
     "t.yaml:11:13: `documents.hosts` has what is no host. Write docs.example.com, *.example.com "
     "or "
     "docs.example.com:8443: no scheme and no path.\n"},
    {"extractor", WHOLE "documents: {extractors: {application/msword: [antiword, \"-\"]}}\n",
     "t.yaml:11:13: `documents.extractors` has an entry that cannot be used: `application/msword`. "
     "Write the bare media type and a command with {in} in it, as in application/msword: "
     "[antiword, "
     "\"{in}\"].\n"},
    {"preset", WHOLE "retry: {preset: seed-411}\n",
     "t.yaml:11:17: `retry.preset` takes one of `seed-412`, `tenacity`.\n"},
    {"factor", WHOLE "retry: {factor: 1.0001}\n",
     "t.yaml:11:17: `retry.factor` takes at most three decimals.\n"},
    {"min over max", WHOLE "retry: {min: 2m}\n",
     "t.yaml:11:14: `retry.min` is more than `retry.max`.\n"},
    {"open to all", WHOLE "http: {listen: 0.0.0.0:8000}\n",
     "t.yaml:11:16: `http.listen` is not loopback, and there is no token. Set `http.tokens`, or "
     "listen on 127.0.0.1 behind a proxy.\n"},
    {"no port", WHOLE "http: {listen: localhost}\n",
     "t.yaml:11:16: `http.listen` is not an address and port. Write 127.0.0.1:8000 or "
     "[::1]:8000.\n"},
    {"no such agent", WHOLE "http: {summary: war-room}\n",
     "t.yaml:11:17: `http.summary` names no agent. Name an entry of `agents`, or leave the key "
     "out.\n"},
    {"agent without a goal", WHOLE "agents: {a: {model: gpt}}\n",
     "t.yaml:11:10: `agents.a.goal` is missing: …"},
    {"tool of no kind", WHOLE "tools: {t: {kind: command, url: https://x}}\n",
     "t.yaml:11:19: tool `t` of kind command takes `command` and no `url`.\n"},
    {"database", PROVIDER MODEL PRICE "database: not a conninfo secret\n",
     "t.yaml:10:11: `database` is neither a conninfo string nor a postgresql:// URI. Write "
     "postgresql://user@host:5432/name, or host=… dbname=… user=….\n"},
    {"an @ in the password", PROVIDER MODEL PRICE "database: postgresql://u:pa@ss@h/d\n",
     "t.yaml:10:11: `database` has more than one @. Write an @ in the password as %40.\n"},
    {"no database", PROVIDER MODEL PRICE,
     "t.yaml: `database` has no value: DATABASE_URL is not set. Set it in the environment, or in a "
     "file for --env-file.\n"},
    // YAML
    {"duplicate key", WHOLE "log: {level: info}\nlog: {level: info}\n",
     "t.yaml:12:1: duplicate key. It stands twice in this mapping.\n"},
    {"duplicate inner key", WHOLE "log: {level: info, level: info}\n",
     "t.yaml:11:20: duplicate key. It stands twice in this mapping.\n"},
    {"tab", "kafka:\n\tgroup: a\n",
     "t.yaml:2:1: tab character may not be used as indentation. Indent with spaces.\n"},
    {"unquoted reference in flow", WHOLE "kafka: {group: ${env:TEST_KEY}}\n",
     "t.yaml:11:17: missing comma in flow mapping. A ${…} inside { } or [ ] needs quotes.\n"},
    {"second document", WHOLE "---\na: 1\n",
     "t.yaml:1:1: there is a second document in the file.\n"},
    {"not UTF-8", DATABASE "log: {level: in\xff}\n",
     "t.yaml:2:16: there is a byte that is not text. The file must be UTF-8 text.\n"},
    {"control byte", "a: \x01\n",
     "t.yaml:1:4: there is a byte that is not text. The file must be UTF-8 text.\n"},
    {"unknown alias", WHOLE "kafka: *nothing\n",
     "t.yaml:11:8: there is no anchor for this alias.\n"},
    {"alias in itself", WHOLE "kafka: &a {group: *a}\n",
     "t.yaml:11:12: `kafka.group` takes one value, not a list or mapping.…"},
    {"a key that is a list", WHOLE "kafka: {[a]: b}\n", "t.yaml: a key is not a text.\n"},
    // references
    {"reference of another kind", WHOLE "kafka: {group: \"${vault:x}\"}\n",
     "t.yaml:11:16: `kafka.group` has no value: expected ${env:NAME}, ${file:/path} or "
     "${exec:command}.\n"},
    {"open reference", WHOLE "kafka: {group: \"${env:X\"}\n",
     "t.yaml:11:16: `kafka.group` has no value: a ${ is not closed.\n"},
    {"no such file", WHOLE "kafka: {group: \"${file:/nowhere/x}\"}\n",
     "t.yaml:11:16: `kafka.group` has no value: /nowhere/x cannot be read: No such file or "
     "directory.\n"},
    {"failing program", WHOLE "kafka: {group: \"${exec:false}\"}\n",
     "t.yaml:11:16: `kafka.group` has no value: `false` of ${exec:…} ended with status 1. "
     "Run the command by hand, as the user of precis, to see what it says.\n"},
    {"no such program", WHOLE "kafka: {group: \"${exec:/nowhere/x}\"}\n",
     "t.yaml:11:16: `kafka.group` has no value: `/nowhere/x` of ${exec:…} cannot be started: No "
     "such file or directory.\n"},
    // limits, budgets, packing, weights, rules
    {"burst", DATABASE MODEL "providers: {xai: {base_url: https://a.b, burst: {percents: 20}}}\n",
     "t.yaml:6:50: unknown key `percents` in `providers.xai.burst`. Did you mean `percent`?\n"},
    {"burst over all",
     DATABASE MODEL "providers: {xai: {base_url: https://a.b, burst: {percent: 101}}}\n",
     "t.yaml:6:59: `providers.xai.burst.percent` takes a whole number from 0 to 100 (percent).\n"},
    {"counts_asked", DATABASE PROVIDER MODEL "    limits: {count_asked: true}\n",
     "t.yaml:10:14: unknown key `count_asked` in `models.grok-4.3.limits`. Did you mean "
     "`counts_asked`?\n"},
    {"counts_asked in words", DATABASE PROVIDER MODEL "    limits: {counts_asked: maybe}\n",
     "t.yaml:10:28: `models.grok-4.3.limits.counts_asked` takes `true` or `false`.\n"},
    {"at_wall", WHOLE "budget: {day: 5, at_wall: stop}\n",
     "t.yaml:11:27: `budget.at_wall` takes one of `wait`, `cheaper`, `fail`.\n"},
    {"at_wall misspelt", WHOLE "tenants: {legal: {budget: {at_wal: wait}}}\n",
     "t.yaml:11:28: unknown key `at_wal` in `tenants.legal.budget`. Did you mean `at_wall`?\n"},
    {"negative budget", WHOLE "tenants: {legal: {budget: {month: -5}}}\n",
     "t.yaml:11:35: `tenants.legal.budget.month` takes a decimal number from 0 to 9000000 "
     "(USD).\n"},
    {"negative budget of a key",
     KEYS "[{name: a, key: \"${env:TEST_KEY}\", budget: {day: -0.5}}]\n",
     "t.yaml:9:60: `providers.xai.keys[0].budget.day` takes a decimal number from 0 to 9000000 "
     "(USD).\n"},
    {"packing of none", WHOLE "packing: {size: 0}\n",
     "t.yaml:11:17: `packing.size` takes a whole number from 1 to 20 (documents).\n"},
    {"packing misspelt", WHOLE "packing: {doubt_us: 1}\n",
     "t.yaml:11:11: unknown key `doubt_us` in `packing`. Did you mean `doubt_usd`?\n"},
    {"packing's tokens", WHOLE "packing: {tokens: 10}\n",
     "t.yaml:11:19: `packing.tokens` takes a whole number from 1000 to 1000000 (tokens).\n"},
    {"a tenant's weight", WHOLE "tenants: {legal: {weight: 0}}\n",
     "t.yaml:11:27: `tenants.legal.weight` takes a whole number from 1 to 1000.\n"},
    {"a tenant's weight misspelt", WHOLE "tenants: {legal: {wheight: 2}}\n",
     "t.yaml:11:19: unknown key `wheight` in `tenants.legal`. Did you mean `weight`?\n"},
    {"park", WHOLE "worker: {park: {rows: -1}}\n",
     "t.yaml:11:23: `worker.park.rows` takes a whole number from 0 to 1000000000 (rows).\n"},
    {"route_patience", WHOLE "worker: {route_patience: 5}\n",
     "t.yaml:11:26: `worker.route_patience` takes a duration such as 500ms, 10s, 1h or 30d, from "
     "0s "
     "to 1d.\n"},
    {"a rule's member", WHOLE "rules: {a: {reasoning_mod: reasoning}}\n",
     "t.yaml: rule `a` chooses nothing. Give it `reasoning_mode` or `route`.\n"
     "t.yaml:11:13: unknown key `reasoning_mod` in `rules.a`. Did you mean `reasoning_mode`?\n"},
    {"a rule's condition", WHOLE "rules: {a: {when: {tenant_teir: vip}, route: grok-4.3}}\n",
     "t.yaml:11:20: unknown key `tenant_teir` in `rules.a.when`. Did you mean `tenant_tier`?\n"},
    {"a rule's mode", WHOLE "rules: {a: {reasoning_mode: deep}}\n",
     "t.yaml:11:29: `rules.a.reasoning_mode` takes one of `auto`, `reasoning`, `non-reasoning`.\n"},
    {"a rule's route", WHOLE "rules: {a: {route: grok-4.2}}\n",
     "t.yaml:11:20: rule `a` names `grok-4.2`, which is no route or model that is configured. Did "
     "you mean `grok-4.3`?\n"},
    {"a rule that chooses nothing", WHOLE "rules: {a: {when: {load: {over: 80}}}}\n",
     "t.yaml:11:33: rule `a` chooses nothing. Give it `reasoning_mode` or `route`.\n"},
    {"a rule that never holds",
     WHOLE "rules: {a: {when: {document_tokens: {over: 500, under: 501}}, route: grok-4.3}}\n",
     "t.yaml:11:56: rule `a` never holds: nothing of `when.document_tokens` lies between `over` "
     "and "
     "`under`. `over` is the smaller of both.\n"},
    {"a load that never is",
     WHOLE "rules: {a: {when: {load: {over: 80, under: 20}}, route: grok-4.3}}\n",
     "t.yaml:11:44: rule `a` never holds: nothing of `when.load` lies between `over` and `under`. "
     "`over` is the smaller of both.\n"},
    // several at once, in order
    {"several", "kafka: {start: x, brokrs: y}\n" DATABASE "log: {level: loud}\n" PROVIDER MODEL,
     "t.yaml:1:16: `kafka.start` takes one of `earliest`, `latest`.\n"
     "t.yaml:1:19: unknown key `brokrs` in `kafka`. Did you mean `brokers`?\n"
     "t.yaml:3:14: `log.level` takes one of `error`, `warn`, `info`, `debug`.\n"},
};

static bool said_matches(const char *said, const char *expected)
{
    size_t len = strlen(expected), dots = strlen("…");
    if (len >= dots && strcmp(expected + len - dots, "…") == 0)
        return strncmp(said, expected, len - dots) == 0;
    return strcmp(said, expected) == 0;
}

static void test_mistakes(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof(MISTAKES) / sizeof(MISTAKES[0]); i++) {
        struct config_errors errors;
        struct config *config = load(MISTAKES[i].text, &errors);
        char *said = all_errors(&errors);
        if (config != NULL || !said_matches(said, MISTAKES[i].said)) {
            print_error("%s\n  expected: %s  said:     %s", MISTAKES[i].name, MISTAKES[i].said,
                        said);
            failed++;
        }
        free(said);
        config_free(config);
        config_errors_deinit(&errors);
    }
    assert_int_equal(failed, 0);
}

// ------------------------------------------------------------------------------------- remarks

#define LIMITED "    limits: {rpm: 60, tpm: 1000}\n"
#define TWO                                                                                        \
    WHOLE "  b: {provider: xai, context: 10000, price: none}\nroutes: {default: [grok-4.3, b]}\n"

// Right, and in vain: nothing where `said` is empty.
static const struct {
    const char *name, *text, *said;
} REMARKS[] = {
    {"nothing", WHOLE, ""},
    {"all of it has an effect",
     WHOLE LIMITED "packing: {size: 5, tokens: 9000, doubt_usd: 0.01}\n"
                   "budget: {day: 1, month: 20, life: 300, at_wall: fail}\n"
                   "worker: {park: {rows: 0, bytes: 0B}}\n"
                   "tenants: {legal: {tier: vip}}\n"
                   "rules: {a: {when: {tenant_tier: vip}, reasoning_mode: reasoning}, b: {route: "
                   "grok-4.3}, c: {reasoning_mode: auto}}\n",
     ""},
    {"burst without limits",
     DATABASE MODEL PRICE "providers: {xai: {base_url: https://a.b, burst: {percent: 20}}}\n",
     "t.yaml:7:59: `burst` of provider `xai` goes over limits a minute, and there are none. Give "
     "its models or keys `limits` by the minute (rpm, tpm, itpm, otpm); `precis quota set` may "
     "too.\n"},
    {"burst with a limit",
     DATABASE MODEL PRICE LIMITED
     "providers: {xai: {base_url: https://a.b, burst: {percent: 20}}}\n",
     ""},
    {"burst with a key's limit",
     DATABASE MODEL PRICE
     "providers: {xai: {base_url: https://a.b, burst: {seconds: 2}, keys: [{name: a, key: "
     "\"${env:TEST_KEY}\", limits: {rpm: 5}}]}}\n",
     ""},
    {"burst of nothing",
     DATABASE MODEL PRICE LIMITED
     "providers: {xai: {base_url: https://a.b, burst: {percent: 0, seconds: 3}}}\n",
     "t.yaml:8:71: `burst.seconds` of provider `xai` has no effect: `burst.percent` is 0. Leave it "
     "out, or set `burst.percent`.\n"},
    {"counts_asked of requests", WHOLE "    limits: {rpm: 5, counts_asked: true}\n",
     "t.yaml:11:36: `limits.counts_asked` of model `grok-4.3` is about limits of tokens, and there "
     "is none. Set `limits.tpm`, `otpm` or `tpd`, or leave it out.\n"},
    {"more a minute than a day", WHOLE "    limits: {rpm: 500, rpd: 20}\n",
     "t.yaml:11:19: model `grok-4.3` has more requests a minute than a day (`limits.rpd`). Were "
     "the "
     "two exchanged?\n"},
    {"packing of one", WHOLE LIMITED "packing: {size: 1, tokens: 9000}\n",
     "t.yaml:12:28: `packing.tokens` has no effect: `packing.size` is 1, which packs none. Leave "
     "it "
     "out, or set `packing.size` to 2 or more.\n"},
    {"packing is off", WHOLE LIMITED "packing: {size: 1}\n", ""},
    {"packing without a limit", WHOLE "packing: {size: 8}\n",
     "t.yaml:11:17: `packing.size` has no effect: documents share requests where requests are "
     "limited, and no model or key has such a limit. Set `limits.rpm` or `rpd` of the models that "
     "have such a limit.\n"},
    {"packing for nothing", WHOLE LIMITED "packing: {doubt_usd: 0}\n",
     "t.yaml:12:22: `packing.doubt_usd` of 0 packs nothing that costs anything. Allow some cents, "
     "or set `packing.size` to 1.\n"},
    {"a wall without a budget", WHOLE "tenants: {legal: {budget: {at_wall: fail}}}\n",
     "t.yaml:11:37: `budget.at_wall` has no effect: the budget has no amount. Give it `day`, "
     "`month` or `life`.\n"},
    {"nothing is cheaper", WHOLE "budget: {life: 5, at_wall: cheaper}\n",
     "t.yaml:11:28: `budget.at_wall: cheaper` can only wait: no route has another model. Give a "
     "route a second, cheaper model.\n"},
    {"something is cheaper", TWO "budget: {life: 5, at_wall: cheaper}\n", ""},
    {"a day over a month", WHOLE "budget: {day: 50, month: 20}\n",
     "t.yaml:11:15: `budget.day` is more than the budget of a longer time. Were the two "
     "exchanged?\n"},
    {"a month over all", WHOLE "tenants: {legal: {budget: {month: 50, life: 20.5}}}\n",
     "t.yaml:11:35: `budget.month` is more than `budget.life`. Were the two exchanged?\n"},
    {"no such tier",
     WHOLE
     "tenants: {legal: {tier: vip}}\nrules: {a: {when: {tenant_tier: vpi}, route: grok-4.3}}\n",
     "t.yaml:12:33: rule `a` never holds: no tenant has the tier `vpi`. Did you mean `vip`?\n"},
    {"a rule that is never asked",
     WHOLE "rules: {a: {reasoning_mode: auto}, b: {when: {load: {over: 80}}, reasoning_mode: "
           "non-reasoning}}\n",
     "t.yaml:11:82: rule `b` is never asked: `a` before it always holds. The first rule that holds "
     "decides: put it before that one.\n"},
    {"half a park", WHOLE "worker: {park: {bytes: 0B}}\n",
     "t.yaml:11:24: `worker.park` parks nothing: one of its bounds is 0. Set both to 0 to say so, "
     "or neither.\n"},
    {"patience with nothing else", WHOLE "worker: {route_patience: 9s}\n",
     "t.yaml:11:26: `worker.route_patience` has no effect: no route has another model. Give a "
     "route a second model.\n"},
    {"patience with another", TWO "worker: {route_patience: 9s}\n", ""},
};

static void test_remarks(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof(REMARKS) / sizeof(REMARKS[0]); i++) {
        struct config *config = load_fine(REMARKS[i].text);
        struct config_errors remarks = {0};
        config_remarks(config, &remarks);
        char *said = all_errors(&remarks);
        if (strcmp(said, REMARKS[i].said) != 0) {
            print_error("%s\n  expected: %s  said:     %s", REMARKS[i].name, REMARKS[i].said, said);
            failed++;
        }
        free(said);
        config_errors_deinit(&remarks);
        config_free(config);
    }
    assert_int_equal(failed, 0);
}

// ------------------------------------------------------------------------------------- files

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

// What an --env-file says is there for the file's references.
static void test_env_file(void **state)
{
    (void)state;
    char path[] = "/tmp/precis-test-XXXXXX";
    close(mkstemp(path));
    write_file(path, "KEY_OF_FILE=xai-in-env-file\nDATABASE_URL=host=a\n");
    struct config_errors errors = {0};
    struct config_source source = {.path = "t.yaml",
                                   .env_file = path,
                                   .text = "providers: {xai: {base_url: https://a.b, key: "
                                           "\"${env:KEY_OF_FILE}\"}}\n"};
    struct config *config = config_load(&source, &errors);
    assert_non_null(config);
    assert_string_equal(config->providers[0].key, "xai-in-env-file");
    config_free(config);
    unlink(path);
    source.env_file = "/nowhere/.env";
    assert_null(config_load(&source, &errors));
    assert_string_equal(errors.items[0].message,
                        "/nowhere/.env cannot be read: No such file or directory");
    config_errors_deinit(&errors);
}

static void test_find(void **state)
{
    (void)state;
    unsetenv("PRECIS_CONFIG");
    char *found = config_find_file("/a/b.yaml");
    assert_string_equal(found, "/a/b.yaml");
    free(found);
    setenv("PRECIS_CONFIG", "/from/env.yaml", 1);
    found = config_find_file(NULL);
    assert_string_equal(found, "/from/env.yaml");
    free(found);
    struct config_errors errors = {0};
    struct config_source source = {0};
    assert_null(config_load(&source, &errors));
    assert_string_equal(errors.items[0].file, "/from/env.yaml");
    config_errors_deinit(&errors);
    unsetenv("PRECIS_CONFIG");
    char folder[] = "/tmp/precis-test-XXXXXX", before[4096];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    write_file("precis.yaml", WHOLE);
    struct config *config = config_load(&source, &errors);
    assert_non_null(config);
    assert_int_equal(config->model_count, 1);
    config_free(config);
    unlink("precis.yaml");
    assert_int_equal(chdir(before), 0);
    rmdir(folder);
    source.path = "/tmp"; // a folder
    assert_null(config_load(&source, &errors));
    assert_string_equal(errors.items[0].message, "the file cannot be read: Is a directory");
    config_errors_deinit(&errors);
}

// Aliases are followed, but not without end.
static void test_aliases(void **state)
{
    (void)state;
    struct config *config = load_fine(WHOLE "  b: {provider: xai, context: 9000, price: none, "
                                            "limits: &l {rpm: 5}}\n"
                                            "  c: {provider: xai, context: 9000, price: none, "
                                            "limits: *l}\n"
                                            "routes: {default: [b]}\n");
    assert_int_equal(config->models[2].rpm, 5);
    config_free(config);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, WHOLE "tools:\n  t0: {kind: http, url: x, parameters: &a0 {k: 1}}\n");
    for (int i = 1; i < 30; i++) {
        buf_printf(&text, "  t%d: {kind: http, url: x, parameters: &a%d {", i, i);
        for (int j = 0; j < 8; j++)
            buf_printf(&text, "%sk%d: *a%d", j ? ", " : "", j, i - 1);
        buf_add_str(&text, "}}\n");
    }
    struct config_errors errors;
    assert_null(load(buf_str(&text), &errors));
    assert_int_equal(errors.len, 1);
    assert_string_equal(errors.items[0].message,
                        "the file is over 100000 values, with its aliases followed");
    config_errors_deinit(&errors);
}

static void count_secret(void *context, const char *secret)
{
    char *seen = context;
    strncat(seen, secret, 200);
    strncat(seen, "\n", 2);
}

static void test_several_keys(void **state)
{
    (void)state;
    struct config *config = load_fine(KEYS "\n"
                                           "      - {name: team-a, key: \"${env:TEST_KEY}\"}\n"
                                           "      - name: team-b\n"
                                           "        key: \"${env:TEST_TOKEN}\"\n"
                                           "        limits: {qpm: 60, tpm: 90000, concurrent: 4}\n"
                                           "  own: {base_url: \"http://127.0.0.1:1/v1\"}\n");
    const struct config_provider *provider = &config->providers[0];
    assert_null(provider->key);
    assert_int_equal(provider->keys.len, 2);
    const struct config_key *one = &provider->keys.items[0], *two = &provider->keys.items[1];
    assert_string_equal(one->name, "team-a");
    assert_string_equal(one->key, "xai-abc.def");
    assert_int_equal(one->rpm, 0);
    assert_string_equal(two->name, "team-b");
    assert_string_equal(two->key, "tok-12345");
    assert_int_equal(two->rpm, 60);
    assert_int_equal(two->tpm, 90000);
    assert_int_equal(two->in_flight, 4);
    assert_int_equal(config->providers[1].first_key, 2);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    config_show_text(config, &text);
    assert_non_null(strstr(buf_str(&text), "providers.xai.keys.team-b.key: set "));
    assert_non_null(strstr(buf_str(&text), "providers.xai.keys.team-b.limits.rpm: 60 "));
    assert_null(strstr(buf_str(&text), "providers.xai.key: "));
    assert_non_null(strstr(buf_str(&text), "providers.own.key: unset"));
    assert_null(strstr(buf_str(&text), "tok-12345"));
    char seen[2000] = "";
    config_secrets(config, count_secret, seen);
    assert_non_null(strstr(seen, "xai-abc.def\n"));
    assert_non_null(strstr(seen, "tok-12345\n"));
    config_free(config);
}

static void test_secrets(void **state)
{
    (void)state;
    struct config *config =
        load_fine("database: postgresql://u:pa%20ss@h/d\n" PROVIDER
                  "http: {tokens: [\"${env:TEST_TOKEN}\"]}\n"
                  "kafka: {properties: {sasl.password: \"${env:TEST_KEY}\", client.id: open}}\n"
                  "tools: {t: {kind: http, url: x, headers: {authorization: \"Bearer "
                  "${env:TEST_TOKEN}\"}}}\n");
    char seen[2000] = "";
    config_secrets(config, count_secret, seen);
    assert_string_equal(seen, "postgresql://u:pa%20ss@h/d\npa ss\ntok-12345\nxai-abc.def\n"
                              "xai-abc.def\nBearer tok-12345\ntok-12345\n");
    config_free(config);
}

int main(void)
{
    unsetenv("DATABASE_URL");
    unsetenv("PRECIS_CONFIG");
    unsetenv("TEST_UNSET");
    setenv("TEST_KEY", "xai-abc.def", 1);
    setenv("TEST_TOKEN", "tok-12345", 1);
    setenv("TEST_EMPTY", "", 1);
    setenv("TEST_CONTROL", "xai\r\nX-Evil: 1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),   cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_retry_preset), cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_remarks),

        cmocka_unit_test(test_env_file),     cmocka_unit_test(test_find),
        cmocka_unit_test(test_aliases),      cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_several_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
