// SPDX-License-Identifier: Apache-2.0
// The configurations of deploy/examples: they load, and their prices are the published ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "io/config_yaml.h"

// The samples load, with what they ask for in the environment.
static void test_samples(void **state)
{
    (void)state;
    static const char *const samples[] = {"seed.yaml", "xai.yaml"};
    setenv("DATABASE_URL", "host=127.0.0.1", 1);
    setenv("GROK_API_KEY", "xai-test", 1);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        char path[500];
        snprintf(path, sizeof(path), "%s/deploy/examples/%s", PRECIS_SOURCE_DIR, samples[i]);
        struct config_errors errors = {0};
        struct config_source source = {.path = path};
        struct config *config = config_load(&source, &errors);
        struct buf said OWN_BUF;
        buf_init(&said, 0);
        config_errors_print(&errors, &said);
        assert_string_equal(buf_str(&said), "");
        assert_non_null(config);
        assert_non_null(config_find_model(config, "default", 0));
        for (size_t j = 0; j < config->model_count; j++)
            assert_true(config->models[j].price.known);
        config_free(config);
        config_errors_deinit(&errors);
    }
    unsetenv("DATABASE_URL");
    unsetenv("GROK_API_KEY");
}

// The golden prices of the seed articles: 12,500 tokens in and 625 out.
static void test_seed_prices(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        int64_t picousd;
    } rows[] = {{"grok-4.3", 3750000000},
                {"claude-opus-4.8", 71875000000},
                {"gemini-3.5-flash", 5125000000}};
    setenv("DATABASE_URL", "host=127.0.0.1", 1);
    struct config_errors errors = {0};
    struct config_source source = {.path = PRECIS_SOURCE_DIR "/deploy/examples/seed.yaml"};
    struct config *config = config_load(&source, &errors);
    assert_non_null(config);
    struct usage usage = {.known = true, .input_tokens = 12500, .output_tokens = 625};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct config_model *model = config_find_model(config, rows[i].model, 0);
        int64_t cost;
        assert_non_null(model);
        assert_int_equal(model->rpm, 10);
        assert_int_equal(model->tpm, 100000);
        assert_true(price_of_usage(&model->price, &usage, &cost));
        assert_int_equal(cost, rows[i].picousd);
    }
    config_free(config);
    config_errors_deinit(&errors);
    unsetenv("DATABASE_URL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_seed_prices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
