// SPDX-License-Identifier: Apache-2.0
// The table of keys, the values they take, the rules between them, and what is made of the table.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/config_check.h"
#include "core/config_schema.h"
#include "core/config_show.h"
#include "core/config_value.h"

// Large enough for each section's struct.
union object {
    struct config root;
    struct config_provider provider;
    struct config_model model;
    struct config_agent agent;
    struct config_tool tool;
};

// ------------------------------------------------------------------------------------- the table

// Every default is a value that its own row takes, and every row is whole.
static void test_rows(void **state)
{
    (void)state;
    size_t rows = 0;
    for (enum config_section section = 0; section < CONFIG_SECTION_COUNT; section++) {
        size_t count;
        const struct config_field *fields = config_fields(section, &count);
        assert_true(count > 0);
        rows += count;
        for (size_t i = 0; i < count; i++) {
            const struct config_field *field = &fields[i];
            union object object = {0};
            struct buf why OWN_BUF;
            buf_init(&why, 0);
            assert_ptr_equal(config_field_find(section, field->path), field); // the only one
            assert_false(config_is_group(section, field->path));
            assert_true(strlen(field->help) > 5);
            assert_true(field->min <= field->max);
            assert_true(field->offset < config_section_info(section)->size);
            for (size_t j = 0; j < i; j++)
                assert_true(field->kind == CONFIG_LATER || fields[j].kind == CONFIG_LATER ||
                            field->offset != fields[j].offset);
            if (field->preset == NULL || strstr(field->preset, "${"))
                continue;
            assert_true(config_set(&object, field, field->preset, &why));
            config_clear(&object, field);
        }
    }
    assert_true(rows > 90);
}

static void test_twins(void **state)
{
    (void)state;
    size_t twins = 0;
    for (enum config_section section = 0; section < CONFIG_SECTION_COUNT; section++) {
        const char *parent, *key, *real;
        for (size_t i = 0; config_twin_nth(section, i, &parent, &key, &real); i++, twins++) {
            struct buf path OWN_BUF;
            buf_init(&path, 0);
            buf_printf(&path, "%s%s%s", parent, parent[0] ? "." : "", real);
            assert_non_null(config_field_find(section, buf_str(&path)));
            assert_string_equal(config_twin(section, parent, key), real);
        }
    }
    assert_int_equal(twins, 7);
    assert_null(config_twin(CONFIG_MODEL, "", "qpm"));
}

static void test_keys(void **state)
{
    (void)state;
    struct buf key OWN_BUF;
    buf_init(&key, 0);
    static const char *const kafka[] = {"brokers", "group", "start", "topics", "properties"};
    for (size_t i = 0; i < 5; i++) {
        assert_true(config_key_nth(CONFIG_KAFKA, "", i, &key));
        assert_string_equal(key.data, kafka[i]);
    }
    assert_false(config_key_nth(CONFIG_KAFKA, "", 5, &key));
    assert_true(config_key_nth(CONFIG_ROOT, "", 0, &key));
    assert_string_equal(key.data, "database");
    assert_true(config_key_nth(CONFIG_ROOT, "", 16, &key));
    assert_string_equal(key.data, "routes");
    assert_false(config_key_nth(CONFIG_ROOT, "", 17, &key));
    assert_true(config_key_nth(CONFIG_MODEL, "price.per_1k", 2, &key));
    assert_string_equal(key.data, "output");
}

static void test_nearest(void **state)
{
    (void)state;
    static const struct {
        enum config_section section;
        const char *parent, *key, *nearest;
    } rows[] = {
        {CONFIG_KAFKA, "", "brokrs", "brokers"},
        {CONFIG_KAFKA, "", "Brokers", "brokers"},
        {CONFIG_KAFKA, "", "bootstrap.server", "bootstrap.servers"},
        {CONFIG_KAFKA, "topics", "dql", "dlq"},
        {CONFIG_MODEL, "limits", "rmp", "rpm"},
        {CONFIG_MODEL, "", "max_output_token", "max_output_tokens"},
        {CONFIG_ROOT, "", "provider", "providers"},
        {CONFIG_ROOT, "", "route", "routes"},
        {CONFIG_KAFKA, "", "zookeeper", NULL},
        {CONFIG_KAFKA, "", "", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out OWN_BUF;
        buf_init(&out, 0);
        bool found = config_key_nearest(rows[i].section, rows[i].parent, rows[i].key, &out);
        assert_int_equal(found, rows[i].nearest != NULL);
        assert_string_equal(buf_str(&out), rows[i].nearest ? rows[i].nearest : "");
    }
    static const struct {
        const char *a, *b;
        int distance;
    } pairs[] = {{"abc", "abc", 0},
                 {"abc", "acb", 1},
                 {"abcdef", "abdcef", 1},
                 {"abc", "xyz", -1},
                 {"", "a", 1},
                 {"kitten", "sitting", -1},
                 {"priority", "prioritise", 3},
                 {"", "", 0}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_int_equal(config_distance(pairs[i].a, pairs[i].b), pairs[i].distance);
    char longer[70];
    memset(longer, 'a', 69);
    longer[69] = '\0';
    assert_int_equal(config_distance(longer, longer), -1);
    longer[64] = '\0';
    assert_int_equal(config_distance(longer, longer), 0);
}

// ------------------------------------------------------------------------------------- values

struct number_row {
    const char *text;
    int64_t value; // -1: refused
};

static void check_numbers(enum config_section section, const char *path,
                          const struct number_row *rows, size_t count)
{
    const struct config_field *field = config_field_find(section, path);
    assert_non_null(field);
    for (size_t i = 0; i < count; i++) {
        union object object;
        memset(&object, 0, sizeof(object));
        struct buf why OWN_BUF;
        buf_init(&why, 0);
        bool set = config_set(&object, field, rows[i].text, &why);
        int64_t value = *(int64_t *)config_member(&object, field);
        if (set != (rows[i].value >= 0) || value != (set ? rows[i].value : 0))
            print_error("%s: %s gave %d %" PRId64 "\n", path, rows[i].text, set, value);
        assert_int_equal(set, rows[i].value >= 0);
        assert_int_equal(value, set ? rows[i].value : 0);
        assert_int_equal(why.len > 0, !set);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct number_row integers[] = {
        {"1", 1},    {"100000", 100000}, {"007", 7},  {"0", -1},   {"100001", -1},
        {"-1", -1},  {"", -1},           {"1.5", -1}, {"1e3", -1}, {" 1", -1},
        {"1 ", -1},  {"0x10", -1},       {"+1", -1},  {"-", -1},   {"9223372036854775808", -1},
        {"--1", -1},
    };
    static const struct number_row durations[] = {
        {"10s", 10000},
        {"500ms", 500},
        {"1h", 3600000},
        {"1d", 86400000},
        {"1.5s", 1500},
        {"0.001s", 1},
        {"0s", 0},
        {"0", 0},
        {"2d", -1},
        {"10", -1},
        {"s", -1},
        {"10 s", -1},
        {"0.5ms", -1},
        {"-1s", -1},
        {"1h30m", -1},
        {"1.s", -1},
        {".5s", -1},
        {"1w", -1},
        {"1.0000000001h", -1},
        {"forever", -1},
        {"99999999999999999999s", -1},
        {"9223372036854775807d", -1},
    };
    static const struct number_row sizes[] = {
        {"1B", 1},          {"1KB", 1000},       {"1kB", 1000}, {"1KiB", 1024},
        {"1.5MB", 1500000}, {"1GB", 1000000000}, {"2GB", -1},   {"1", -1},
        {"1mb", -1},        {"0B", -1},          {"0.5B", -1},  {"MB", -1},
    };
    static const struct number_row kept[] = {{"forever", INT64_MAX}, {"30d", 2592000000}};
    check_numbers(CONFIG_WORKER, "in_flight", integers, sizeof(integers) / sizeof(integers[0]));
    check_numbers(CONFIG_WORKER, "drain_timeout", durations,
                  sizeof(durations) / sizeof(durations[0]));
    check_numbers(CONFIG_DOCUMENTS, "max_bytes", sizes, sizeof(sizes) / sizeof(sizes[0]));
    check_numbers(CONFIG_RETENTION, "results", kept, sizeof(kept) / sizeof(kept[0]));
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        enum config_section section;
        const char *path, *text;
        bool fine;
    } rows[] = {
        {CONFIG_KAFKA, "group", "a", true},
        {CONFIG_KAFKA, "group", "", false},
        {CONFIG_KAFKA, "group", "grüppe", true},
        {CONFIG_KAFKA, "group", "a\nb", false},
        {CONFIG_KAFKA, "group", "a\x7f", false},
        {CONFIG_KAFKA, "group", "a\xff", false},
        {CONFIG_PROVIDER, "key", "xai\r\nx", false},
        {CONFIG_AGENT, "goal", "two\nlines", true},
        {CONFIG_AGENT, "goal", "esc\x1b", false},
        {CONFIG_KAFKA, "start", "latest", true},
        {CONFIG_KAFKA, "start", "lates", false},
        {CONFIG_KAFKA, "start", "", false},
        {CONFIG_PROVIDER, "api", "openai", true},
        {CONFIG_PROVIDER, "api", "responses", false},
        {CONFIG_PROVIDER, "api", "responses*", false},
        {CONFIG_MODEL, "price.per_1k.input", "0.00025", true},
        {CONFIG_MODEL, "price.per_1k.input", "2.5e-7", true},
        {CONFIG_MODEL, "price.per_1k.input", "0", true},
        {CONFIG_MODEL, "price.per_1k.input", "-0.1", false},
        {CONFIG_MODEL, "price.per_1k.input", "1000001", false},
        {CONFIG_MODEL, "price.per_1k.input", "nan", false},
        {CONFIG_MODEL, "price.since", "2026-11-01", true},
        {CONFIG_MODEL, "price.since", "2028-02-29", true},
        {CONFIG_MODEL, "price.since", "2027-02-29", false},
        {CONFIG_MODEL, "price.since", "2026-13-01", false},
        {CONFIG_MODEL, "price.since", "2026-00-10", false},
        {CONFIG_MODEL, "price.since", "1.11.2026", false},
        {CONFIG_MODEL, "stream", "true", true},
        {CONFIG_MODEL, "stream", "no", false},
        {CONFIG_LOG, "level", "warn", true},
        {CONFIG_LOG, "level", "warning", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        union object object;
        memset(&object, 0, sizeof(object));
        const struct config_field *field = config_field_find(rows[i].section, rows[i].path);
        struct buf why OWN_BUF;
        buf_init(&why, 0);
        if (config_set(&object, field, rows[i].text, &why) != rows[i].fine)
            fail_msg("%s takes %s: %d", rows[i].path, rows[i].text, !rows[i].fine);
        config_clear(&object, field);
    }
    char name[251];
    memset(name, 'a', 250);
    name[250] = '\0';
    assert_false(config_name_valid(CONFIG_MODEL, name));
    name[200] = '\0';
    assert_true(config_name_valid(CONFIG_MODEL, name));
    assert_true(config_name_valid(CONFIG_TENANT, "legal_EU.1:a@b-c"));
    assert_false(config_name_valid(CONFIG_TENANT, "a/b"));
    assert_false(config_name_valid(CONFIG_MODEL, ""));
}

static void test_amounts(void **state)
{
    (void)state;
    static const struct {
        int64_t amount;
        const char *duration, *size;
    } rows[] = {{0, "0s", "0B"},
                {1, "1ms", "1B"},
                {1000, "1s", "1KB"},
                {86400000, "1d", "86400KB"},
                {90000, "90s", "90KB"},
                {1048576, "1048576ms", "1MiB"},
                {INT64_MAX, "forever", "9223372036854775807B"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf duration OWN_BUF, size OWN_BUF;
        buf_init(&duration, 0);
        buf_init(&size, 0);
        config_duration_text(rows[i].amount, &duration);
        config_size_text(rows[i].amount, &size);
        assert_string_equal(buf_str(&duration), rows[i].duration);
        assert_string_equal(buf_str(&size), rows[i].size);
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const owned[] = {"enable.auto.commit", "ENABLE.AUTO.OFFSET.STORE",
                                        "auto.offset.reset",  "partition.assignment.strategy",
                                        "group.protocol",     "group.id",
                                        "bootstrap.servers",  "acks"};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        assert_non_null(config_kafka_owned(owned[i]));
    assert_null(config_kafka_owned("client.id"));
    assert_null(config_kafka_owned("session.timeout.ms"));
    static const char *const secret[] = {"sasl.password", "Authorization", "X-Api-Key",
                                         "Cookie",        "ssl.key.pem",   "x-auth-token"};
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        assert_true(config_name_is_secret(secret[i]));
    static const char *const open[] = {"sasl.oauthbearer.token.endpoint.url", "ssl.key.location",
                                       "enable.sasl.oauthbearer.unsecure.jwt", "accept", ""};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        assert_false(config_name_is_secret(open[i]));
    static const char *const here[] = {"localhost", "LOCALHOST", "127.0.0.1",
                                       "127.1.2.3", "::1",       "[::1]"};
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
        assert_true(config_host_is_loopback(here[i], strlen(here[i])));
    static const char *const there[] = {
        "127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0", "128.0.0.1", "", "127."};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        assert_false(config_host_is_loopback(there[i], strlen(there[i])));
}

// ------------------------------------------------------------------------------------- a whole one

static void set(struct config *config, void *object, enum config_section section, const char *path,
                const char *text)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    const struct config_field *field = config_field_find(section, path);
    assert_true(config_set(object, field, text, &why));
    config_origin_add(config, object, field, (struct config_place){"t.yaml", 7, 3}, "file");
}

// Two models of one provider, without a route; the second always has a price.
static struct config *small_config(bool first_priced)
{
    struct config *config = own_alloc(sizeof(*config));
    config->provider_count = 1;
    config->providers = own_array(1, sizeof(*config->providers));
    config->providers[0].name = own_strdup("xai");
    set(config, &config->providers[0], CONFIG_PROVIDER, "key", "xai-very-secret");
    set(config, &config->providers[0], CONFIG_PROVIDER, "base_url", "https://a.b/");
    config->model_count = 2;
    config->models = own_array(2, sizeof(*config->models));
    for (size_t i = 0; i < 2; i++) {
        struct config_model *model = &config->models[i];
        model->name = own_strdup(i ? "b" : "a");
        set(config, model, CONFIG_MODEL, "provider", "xai");
        set(config, model, CONFIG_MODEL, "context_tokens", "4096");
        set(config, model, CONFIG_MODEL, "max_output_tokens", "500");
        if (i == 0 && !first_priced)
            continue;
        set(config, model, CONFIG_MODEL, "price.per_1m.input", i ? "2" : "1");
        set(config, model, CONFIG_MODEL, "price.per_1m.output", "3");
    }
    return config;
}

// Another number is another version, whatever the day says; without `cached` input's price holds.
static void test_price_version(void **state)
{
    (void)state;
    struct config *config = small_config(true);
    struct config_errors errors = {0};
    set(config, &config->models[1], CONFIG_MODEL, "price.per_1m.input", "1");
    config_finish(config, &errors);
    assert_string_equal(config->models[0].price_version, config->models[1].price_version);
    assert_int_equal(strncmp(config->models[0].price_version, "undated-", 8), 0);
    assert_int_equal(config->models[0].price.cached_picousd, 1000000);
    config_free(config);
    config_errors_deinit(&errors);
    config = small_config(true);
    config_finish(config, &errors);
    assert_string_not_equal(config->models[0].price_version, config->models[1].price_version);
    config_free(config);
    config_errors_deinit(&errors);
}

static void test_default_route(void **state)
{
    (void)state;
    struct config *config = small_config(true);
    struct config_errors errors = {0};
    config_finish(config, &errors);
    assert_int_equal(errors.len, 1);
    assert_string_equal(errors.items[0].message, "there are several models and no route `default`");
    assert_null(config_find_model(config, NULL, 0));
    assert_ptr_equal(config_find_model(config, "b", 0), &config->models[1]);
    config_errors_deinit(&errors);
    config_free(config);
}

// A model whose price is missing has none: no call is made for it.
static void test_no_price(void **state)
{
    (void)state;
    struct config *config = small_config(false);
    struct config_errors errors = {0};
    config_finish(config, &errors);
    assert_false(config->models[0].price.known);
    assert_string_equal(config->models[0].price_version, "unknown");
    assert_true(config->models[1].price.known);
    config_errors_deinit(&errors);
    config_free(config);
}

static void test_show(void **state)
{
    (void)state;
    struct config *config = small_config(true);
    struct config_errors errors = {0};
    set(config, config, CONFIG_ROOT, "database", "postgresql://u:hidden-pw@h/d");
    config_finish(config, &errors);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    config_show_text(config, &text);
    char *json = config_show_json(config);
    const char *const outputs[] = {buf_str(&text), json};
    for (size_t i = 0; i < 2; i++) {
        assert_null(strstr(outputs[i], "very-secret"));
        assert_null(strstr(outputs[i], "hidden-pw"));
    }
    assert_non_null(strstr(buf_str(&text), "database: set"));
    assert_non_null(strstr(buf_str(&text), "providers.xai.key: set"));
    assert_non_null(strstr(buf_str(&text), "http.tokens: unset"));
    assert_non_null(strstr(buf_str(&text), "models.a.context_tokens: 4096"));
    assert_non_null(strstr(buf_str(&text), "# file, line 7"));
    assert_non_null(strstr(json, "\"models.a.context_tokens\""));
    free(json);
    config_errors_deinit(&errors);
    config_free(config);
}

// One topic is its name; of several each has its weight.
static void test_show_topics(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"urgent=3,plain", "kafka.topics.jobs: [{\"name\":\"urgent\",\"weight\":3},"
                           "{\"name\":\"plain\",\"weight\":1}]"},
        {"plain", "kafka.topics.jobs: plain "},
    };
    for (size_t i = 0; i < 2; i++) {
        struct config *config = small_config(true);
        struct config_errors errors = {0};
        set(config, &config->kafka, CONFIG_KAFKA, "topics.jobs", rows[i][0]);
        config_finish(config, &errors);
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        config_show_text(config, &text);
        assert_non_null(strstr(buf_str(&text), rows[i][1]));
        config_errors_deinit(&errors);
        config_free(config);
    }
}

static void count(void *context, const char *secret)
{
    (void)secret;
    ++*(int *)context;
}

static void test_freeing(void **state)
{
    (void)state;
    config_free(NULL);
    config_free(own_alloc(sizeof(struct config)));
    struct config *empty = own_alloc(sizeof(struct config));
    struct config_errors errors = {0};
    int secrets = 0;
    config_finish(empty, &errors);
    config_secrets(empty, count, &secrets);
    assert_int_equal(secrets, 0);
    assert_null(config_find_model(empty, NULL, 0));
    config_free(empty);
    config_errors_deinit(&errors);
}

static void test_errors(void **state)
{
    (void)state;
    struct config_errors errors = {0};
    config_errors_add(&errors, (struct config_place){"f", 3, 1}, "", "%s", "late");
    config_errors_add(&errors, (struct config_place){"f", 2, 9}, "Do so.", "early");
    config_errors_add(&errors, (struct config_place){NULL, 0, 0}, "", "nowhere");
    config_errors_sort(&errors);
    static const char *const expected[] = {"nowhere.", "f:2:9: early. Do so.", "f:3:1: late."};
    for (size_t i = 0; i < 3; i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        config_error_text(&errors.items[i], &text);
        assert_string_equal(buf_str(&text), expected[i]);
    }
    for (int i = 0; i < 100; i++)
        config_errors_add(&errors, (struct config_place){"f", i, 1}, "", "many");
    assert_int_equal(errors.len, CONFIG_ERRORS_MAX);
    config_errors_deinit(&errors);
    assert_int_equal(errors.len, 0);
}

// ------------------------------------------------------------------------------------- made files

// Compares with the file, or writes it where PRECIS_UPDATE is set.
static void check_file(const char *name, const char *made)
{
    char path[500];
    snprintf(path, sizeof(path), "%s/schema/%s", PRECIS_SOURCE_DIR, name);
    if (getenv("PRECIS_UPDATE")) {
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        assert_true(fputs(made, out) >= 0);
        assert_int_equal(fclose(out), 0);
    }
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    char piece[4096];
    size_t len;
    while ((len = fread(piece, 1, sizeof(piece), in)) > 0)
        buf_add(&text, piece, len);
    fclose(in);
    if (strcmp(buf_str(&text), made) != 0)
        fail_msg("schema/%s is old: run this test with PRECIS_UPDATE=1", name);
}

static void test_made_files(void **state)
{
    (void)state;
    char *schema = config_schema_json();
    check_file("config.v1.json", schema);
    free(schema);
    struct buf reference OWN_BUF;
    buf_init(&reference, 0);
    config_reference(&reference);
    check_file("config.md", buf_str(&reference));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_twins),
        cmocka_unit_test(test_keys),          cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_texts),
        cmocka_unit_test(test_amounts),       cmocka_unit_test(test_names),
        cmocka_unit_test(test_price_version), cmocka_unit_test(test_default_route),
        cmocka_unit_test(test_no_price),      cmocka_unit_test(test_show),
        cmocka_unit_test(test_show_topics),   cmocka_unit_test(test_freeing),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_made_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
