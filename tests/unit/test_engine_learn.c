// SPDX-License-Identifier: Apache-2.0
// When the engine tells the fleet what answers taught, and what it does with what the fleet knows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

// An engine of two models, a clock that the test turns, and a store that only listens.
struct bench {
    struct engine engine;
    struct config config;
    struct config_provider provider;
    struct config_model models[2];
    int64_t now_ms;
    size_t asked;
    struct calibration_row told[4]; // with the last request; names of the configuration
    size_t told_count;
};

static int64_t now_of(void *world)
{
    return ((struct bench *)world)->now_ms;
}

static void on_ask(void *store, const struct calibrate_request *request)
{
    struct bench *bench = store;
    assert_int_equal(request->model_count, 2);
    assert_string_equal(request->providers[1], "sim");
    assert_string_equal(request->models[0], "one");
    assert_string_equal(request->models[1], "two");
    assert_in_range(request->told_count, 0, 4);
    bench->asked++;
    bench->told_count = request->told_count;
    for (size_t i = 0; i < request->told_count; i++) {
        bench->told[i] = request->told[i];
        bench->told[i].model = bench->models[strcmp(request->told[i].model, "two") == 0].name;
    }
}

static const struct store_ops store_ops = {.calibrate = on_ask};

static struct bench *bench_new(void)
{
    struct bench *bench = own_alloc(sizeof(*bench));
    bench->provider = (struct config_provider){.name = "sim"};
    for (size_t i = 0; i < 2; i++) {
        bench->models[i].name = i == 0 ? "one" : "two";
        bench->models[i].index = i;
        bench->models[i].provider = &bench->provider;
    }
    bench->config = (struct config){.models = bench->models, .model_count = 2};
    bench->engine.config = &bench->config;
    bench->engine.edges =
        (struct edges){.store = bench, .store_ops = &store_ops, .world = bench, .now_ms = now_of};
    bench->engine.store_up = true;
    bench->engine.gates = own_array(2, sizeof(struct gate));
    for (size_t i = 0; i < 2; i++)
        calibrate_init(&bench->engine.gates[i].calibrate);
    return bench;
}

static void bench_free(struct bench *bench)
{
    free(bench->engine.gates);
    free(bench);
}

static struct calibrate *learner(struct bench *bench, size_t model)
{
    return &bench->engine.gates[model].calibrate;
}

// How many requests there are after so much time.
static size_t pump(struct bench *bench, int64_t later_ms)
{
    size_t before = bench->asked;
    bench->now_ms += later_ms;
    learn_pump(&bench->engine);
    return bench->asked - before;
}

static void answer(struct bench *bench, const struct calibration_row *rows, size_t count)
{
    struct store_event event = {.kind = STORE_CALIBRATED};
    event.u.calibrated.rows = rows;
    event.u.calibrated.count = count;
    learn_answered(&bench->engine, &event);
}

static void it_asks_at_the_start_and_each_minute(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->told_count, 0);
    assert_int_equal(pump(bench, 600000), 0); // no second one before the answer
    answer(bench, NULL, 0);
    assert_int_equal(pump(bench, 0), 1);
    answer(bench, NULL, 0);
    assert_int_equal(pump(bench, 59999), 0);
    assert_true(learn_pump(&bench->engine) == bench->now_ms + 1);
    assert_int_equal(pump(bench, 1), 1);
    bench_free(bench);
}

static void news_go_every_ten_seconds_in_one_request(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    pump(bench, 5);
    answer(bench, NULL, 0);
    for (int i = 0; i < 100; i++) {
        calibrate_input_told(learner(bench, 0), SCRIPT_LATIN, 1000, 900);
        calibrate_output_told(learner(bench, 1), 3, 1000, 300);
    }
    assert_int_equal(pump(bench, 9999), 0);
    assert_int_equal(pump(bench, 1), 1);
    assert_int_equal(bench->told_count, 2);
    assert_string_equal(bench->told[0].model, "one");
    assert_int_equal(bench->told[0].subject, SCRIPT_LATIN);
    assert_int_equal((int)bench->told[0].learned.samples, 100);
    assert_string_equal(bench->told[1].model, "two");
    assert_int_equal(bench->told[1].subject, SCRIPTS + 3);
    answer(bench, NULL, 0);
    assert_int_equal(pump(bench, 10000), 0); // it is told once
    calibrate_input_told(learner(bench, 0), SCRIPT_LATIN, 1000, 900);
    assert_int_equal(pump(bench, 0), 1);
    answer(bench, NULL, 0);
    bench->engine.draining = true; // there may be no ten seconds any more
    calibrate_input_told(learner(bench, 0), SCRIPT_LATIN, 1000, 900);
    assert_int_equal(pump(bench, 1000), 1);
    bench_free(bench);
}

// It goes on with what it knows, and what it sees meanwhile is told later.
static void without_the_database_nothing_is_asked(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    bench->engine.store_up = false;
    calibrate_input_told(learner(bench, 0), SCRIPT_CJK, 1000, 1300);
    assert_int_equal(pump(bench, 600000), 0);
    assert_true(learn_pump(&bench->engine) == INT64_MAX);
    bench->engine.store_up = true;
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->told_count, 1);
    bench_free(bench);
}

static void what_the_fleet_knows_is_taken_over(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    const struct calibration learned = {.samples = 60, .mean = 0.9, .square = 0.81, .most = 1};
    const struct calibration_row rows[] = {
        {"sim", "two", SCRIPT_LATIN, learned},
        {"other", "one", SCRIPT_LATIN, learned},
        {"sim", "gone", SCRIPT_LATIN, learned},
        {"sim", "one", CALIBRATE_SUBJECTS, learned},
        {"sim", "one", -1, learned},
    };
    pump(bench, 0);
    answer(bench, rows, sizeof(rows) / sizeof(rows[0]));
    assert_in_range(calibrate_input_upper(learner(bench, 1), SCRIPT_LATIN, 1000), 900, 950);
    assert_in_range(calibrate_input_upper(learner(bench, 0), SCRIPT_LATIN, 1000), 1320, 1321);
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_at_the_start_and_each_minute),
        cmocka_unit_test(news_go_every_ten_seconds_in_one_request),
        cmocka_unit_test(without_the_database_nothing_is_asked),
        cmocka_unit_test(what_the_fleet_knows_is_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
