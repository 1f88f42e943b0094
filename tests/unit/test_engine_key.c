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
    for (size_t i = 0; i < keys; i++) { // what the store's first answer says
        struct lane *lane = &bench->engine.gates[0].lanes[i];
        lane->known = true;
        lane->slots = lane->in_flight_most > 0 ? lane->in_flight_most : INT64_MAX;
    }
}

static void end(struct bench *bench)
{
    gate_deinit(&bench->engine);
}

static const int64_t one_call[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1, [QUOTA_TOKENS] = 1000};

static size_t choose(const struct bench *bench, int64_t *out_next_ms)
{
    int64_t next_ms;
    return keys_choose(&bench->engine, &bench->model, one_call,
                       out_next_ms ? out_next_ms : &next_ms);
}

static struct lane *lane_at(struct bench *bench, size_t key)
{
    return &bench->engine.gates[0].lanes[key];
}

// A second's worth of the key's limits, as the store would give it.
static void give_second(struct bench *bench, size_t key)
{
    struct lane *lane = lane_at(bench, key);
    struct quota_grant grant = {.spread_ms = 1000, .valid_ms = 1500};
    for (int d = 0; d < QUOTA_MINUTES; d++)
        grant.given[d] = lane->limits[d] / 60;
    spend_add(&lane->spend, &grant, bench->now_ms, bench->now_ms);
}

// A call goes: what admission does to the lane.
static size_t take(struct bench *bench)
{
    size_t key = choose(bench, NULL);
    if (key == KEYS_NONE)
        return key;
    struct lane *lane = lane_at(bench, key);
    spend_take(&lane->spend, one_call);
    lane->in_flight++;
    lane->taken++;
    return key;
}

static const char *reason(const struct bench *bench)
{
    int64_t start_ms;
    const char *text = keys_reason(&bench->engine, &bench->model, one_call, &start_ms);
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
        lane_at(&bench, key)->in_flight--;
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
    for (int ms = 0; ms < 60000; ms += 10, bench.now_ms += 10) {
        for (size_t k = 0; k < 2 && ms % 1000 == 0; k++)
            give_second(&bench, k);
        for (size_t key; (key = take(&bench)) != KEYS_NONE;)
            counts[key]++;
    }
    assert_int_equal(counts[0], 600);
    assert_int_equal(counts[1], 60);
    assert_string_equal(reason(&bench), "requests");
    end(&bench);
}

static void the_models_limits_hold_for_each_key(void **state)
{
    (void)state;
    static const struct config_key limits[] = {{.rpm = 0}, {.rpm = 120, .in_flight = 1}};
    static const struct config_model model = {.rpm = 6000,
                                              .tpm = 90000,
                                              .itpm = 70000,
                                              .otpm = 20000,
                                              .rpd = 9,
                                              .tpd = 10,
                                              .in_flight = 2};
    struct bench bench;
    begin(&bench, 2, limits, &model);
    assert_int_equal(lane_at(&bench, 0)->limits[QUOTA_REQUESTS], 6000);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_REQUESTS], 120);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_TOKENS], 90000);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_INPUT], 70000);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_OUTPUT], 20000);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_REQUESTS_DAY], 9);
    assert_int_equal(lane_at(&bench, 1)->limits[QUOTA_TOKENS_DAY], 10);
    end(&bench);
}

static void slots_are_counted(void **state)
{
    (void)state;
    static const struct config_key limits[] = {{.in_flight = 2}, {.in_flight = 1}};
    struct bench bench;
    begin(&bench, 2, limits, NULL);
    size_t counts[2] = {0};
    for (size_t key; (key = take(&bench)) != KEYS_NONE;)
        counts[key]++;
    assert_int_equal(counts[0], 2);
    assert_int_equal(counts[1], 1);
    assert_string_equal(reason(&bench), "slots");
    end(&bench);
}

static void nothing_goes_before_the_store_has_spoken(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 1, NULL, NULL);
    lane_at(&bench, 0)->known = false;
    assert_int_equal(choose(&bench, NULL), KEYS_NONE);
    lane_at(&bench, 0)->known = true;
    assert_int_equal(choose(&bench, NULL), 0);
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
    int64_t start_ms;
    assert_int_equal(choose(&bench, NULL), KEYS_NONE);
    assert_string_equal(keys_reason(&bench.engine, &bench.model, one_call, &start_ms),
                        "key_closed");
    assert_int_equal(start_ms, bench.now_ms + 700);
    bench.now_ms += 6000; // whose time is over stays closed until the fleet gives its probe
    assert_int_equal(choose(&bench, NULL), KEYS_NONE);
    end(&bench);
}

static void an_open_breaker_closes_one_model_only(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 1, NULL, NULL);
    struct lane *lane = lane_at(&bench, 0);
    lane->broken = true;
    lane->broken_until_ms = bench.now_ms + 4000;
    int64_t start_ms;
    assert_int_equal(choose(&bench, NULL), KEYS_NONE);
    assert_string_equal(keys_reason(&bench.engine, &bench.model, one_call, &start_ms), "breaker");
    assert_int_equal(start_ms, bench.now_ms + 4000);
    assert_int_equal(bench.engine.keys[0].key.cause, KEY_FINE);
    end(&bench);
}

// Else it would never be tried while others have room.
static void a_key_that_may_be_probed_is_tried_first(void **state)
{
    (void)state;
    struct bench bench;
    begin(&bench, 2, NULL, NULL);
    struct key *second = &bench.engine.keys[1].key;
    second->cause = KEY_REFUSED;
    second->closed_until_ms = bench.now_ms;
    assert_int_equal(choose(&bench, NULL), 0);
    lane_at(&bench, 1)->may_probe = true;
    assert_int_equal(choose(&bench, NULL), 1);
    second->cause = KEY_DOUBTED; // GET /models is asked: no call tries it meanwhile
    assert_int_equal(choose(&bench, NULL), 0);
    end(&bench);
}

static void tokens_count_as_room(void **state)
{
    (void)state;
    static const struct config_model model = {.rpm = 600, .tpm = 600000};
    struct bench bench;
    begin(&bench, 2, NULL, &model);
    give_second(&bench, 0);
    give_second(&bench, 1);
    static const int64_t large[QUOTA_DIMENSIONS] = {[QUOTA_TOKENS] = 4000};
    spend_take(&lane_at(&bench, 0)->spend, large);
    assert_int_equal(choose(&bench, NULL), 1);
    spend_take(&lane_at(&bench, 1)->spend, large);
    spend_take(&lane_at(&bench, 1)->spend, large);
    int64_t next_ms;
    assert_int_equal(choose(&bench, &next_ms), KEYS_NONE);
    assert_int_equal(next_ms, bench.now_ms + 400); // 4,000 of the 10,000 of this second
    assert_string_equal(reason(&bench), "tokens");
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits_they_take_turns),
        cmocka_unit_test(calls_are_shared_in_the_ratio_of_the_limits),
        cmocka_unit_test(the_models_limits_hold_for_each_key),
        cmocka_unit_test(slots_are_counted),
        cmocka_unit_test(nothing_goes_before_the_store_has_spoken),
        cmocka_unit_test(a_closed_key_is_passed_and_the_others_go_on),
        cmocka_unit_test(an_open_breaker_closes_one_model_only),
        cmocka_unit_test(a_key_that_may_be_probed_is_tried_first),
        cmocka_unit_test(tokens_count_as_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
