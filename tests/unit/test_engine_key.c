// SPDX-License-Identifier: Apache-2.0
// Which key a call goes with: by room left, by slots, and past those that are closed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "engine_parts.h"

#define MOST_KEYS 3

// An engine of one model and its keys, with a clock that the test turns.
struct bench {
    struct engine engine;
    struct config config;
    struct config_provider provider;
    struct config_key keys[MOST_KEYS];
    struct config_model model;
    int64_t now_ms;
};

static int64_t now_of(void *world)
{
    return ((struct bench *)world)->now_ms;
}

static void begin(struct bench *bench, size_t keys, const struct config_key *limits,
                  const struct config_model *model)
{
    memset(bench, 0, sizeof(*bench));
    bench->now_ms = 1000000;
    for (size_t i = 0; i < keys; i++)
        bench->keys[i] = limits ? limits[i] : (struct config_key){0};
    bench->model = model ? *model : (struct config_model){0};
    bench->model.provider = &bench->provider;
    bench->provider.keys = (struct config_keys){bench->keys, keys};
    bench->config.providers = &bench->provider;
    bench->config.provider_count = 1;
    bench->config.models = &bench->model;
    bench->config.model_count = 1;
    bench->engine.config = &bench->config;
    bench->engine.edges.world = bench;
    bench->engine.edges.now_ms = now_of;
    gate_init(&bench->engine);
}

static void end(struct bench *bench)
{
    gate_deinit(&bench->engine);
}

static size_t choose(const struct bench *bench, int64_t *out_next_ms)
{
    int64_t next_ms;
    return keys_choose(&bench->engine, &bench->model, out_next_ms ? out_next_ms : &next_ms);
}

// A call goes: what admission does to the lane.
static size_t take(struct bench *bench)
{
    size_t key = choose(bench, NULL);
    if (key == KEYS_NONE)
        return key;
    struct lane *lane = &bench->engine.gates[0].lanes[key];
    pace_take(&lane->requests, 1, bench->now_ms);
    lane->in_flight++;
    lane->taken++;
    return key;
}

static const char *reason(const struct bench *bench)
{
    int64_t start_ms;
    const char *text = keys_reason(&bench->engine, &bench->model, &start_ms);
    return text ? text : "none";
}

static void without_limits_they_take_turns(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 3, NULL, NULL);
    size_t counts[3] = {0};
    for (int i = 0; i < 30; i++) {
        size_t key = take(&bench);
        counts[key]++;
        bench.engine.gates[0].lanes[key].in_flight--;
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(counts[k], 10);
    end(&bench);
}

static void calls_are_shared_in_the_ratio_of_the_limits(void **state)
{
    (void)state;
    static const struct config_key limits[] = {{.rpm = 600}, {.rpm = 60}};
    struct bench bench;
    begin(&bench, 2, limits, NULL);
    size_t counts[2] = {0};
    for (int ms = 0; ms < 60000; ms += 10, bench.now_ms += 10)
        for (size_t key; (key = take(&bench)) != KEYS_NONE;)
            counts[key]++;
    assert_in_range(counts[0], 615, 625); // a minute and the burst of two seconds
    assert_in_range(counts[1], 60, 65);
    assert_string_equal(reason(&bench), "requests");
    end(&bench);
}

static void the_models_limits_hold_for_each_key(void **state)
{
    (void)state;
    static const struct config_key limits[] = {{.rpm = 0}, {.rpm = 120, .in_flight = 1}};
    static const struct config_model model = {.rpm = 6000, .tpm = 90000, .in_flight = 2};
    struct bench bench;
    begin(&bench, 2, limits, &model);
    const struct lane *lanes = bench.engine.gates[0].lanes;
    assert_int_equal(lanes[0].requests.per_minute, 6000);
    assert_int_equal(lanes[1].requests.per_minute, 120);
    assert_int_equal(lanes[1].tokens.per_minute, 90000);
    size_t counts[2] = {0};
    for (size_t key; (key = take(&bench)) != KEYS_NONE;)
        counts[key]++;
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    assert_string_equal(reason(&bench), "slots");
    end(&bench);
}

static void a_closed_key_is_passed_and_the_others_go_on(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 2, NULL, NULL);
    struct key *first = &bench.engine.keys[0].key, *second = &bench.engine.keys[1].key;
    first->cause = KEY_REFUSED;
    first->closed_until_ms = bench.now_ms + 5000;
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&bench), 1);
    assert_string_equal(reason(&bench), "none");
    second->cause = KEY_THROTTLED;
    second->closed_until_ms = bench.now_ms + 700;
    int64_t next_ms, start_ms;
    assert_int_equal(choose(&bench, &next_ms), KEYS_NONE);
    assert_int_equal(next_ms, bench.now_ms + 700);
    assert_string_equal(keys_reason(&bench.engine, &bench.model, &start_ms), "key_closed");
    assert_int_equal(start_ms, bench.now_ms + 700);
    second->cause = KEY_DOUBTED; // an answer is waited for
    second->closed_until_ms = 0;
    assert_int_equal(choose(&bench, &next_ms), KEYS_NONE);
    assert_int_equal(next_ms, bench.now_ms + 5000);
    end(&bench);
}

// Else it would never be tried while others have room.
static void a_key_that_is_due_is_tried_by_one_call(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 2, NULL, NULL);
    struct key *second = &bench.engine.keys[1].key;
    second->cause = KEY_REFUSED;
    second->closed_until_ms = bench.now_ms;
    assert_int_equal(choose(&bench, NULL), 1);
    assert_true(key_admit(second, bench.now_ms));
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&bench), 0);
    end(&bench);
}

static void tokens_count_as_room(void **state)
{
    (void)state;
    static const struct config_model model = {.rpm = 600, .tpm = 60000};
    struct bench bench;
    begin(&bench, 2, NULL, &model);
    struct lane *lanes = bench.engine.gates[0].lanes;
    pace_take(&lanes[0].tokens, 1500, bench.now_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(take(&bench), 1);
    pace_take(&lanes[0].tokens, 10000, bench.now_ms);
    pace_take(&lanes[1].tokens, 20000, bench.now_ms);
    int64_t next_ms;
    assert_int_equal(choose(&bench, &next_ms), KEYS_NONE);
    assert_int_equal(next_ms, bench.now_ms + 9501); // 11,500 tokens less the burst of 2,000
    assert_string_equal(reason(&bench), "tokens");
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_they_take_turns),
        cmocka_unit_test(calls_are_shared_in_the_ratio_of_the_limits),
        cmocka_unit_test(the_models_limits_hold_for_each_key),
        cmocka_unit_test(a_closed_key_is_passed_and_the_others_go_on),
        cmocka_unit_test(a_key_that_is_due_is_tried_by_one_call),
        cmocka_unit_test(tokens_count_as_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
