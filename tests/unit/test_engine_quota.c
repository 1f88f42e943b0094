// SPDX-License-Identifier: Apache-2.0
// What the engine asks of the fleet's quota, when, and what it does with the answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "engine_parts.h"

#define JOBS 64
#define ASKS 8

// An engine of two models with two keys, a clock that the test turns, and a store that only
// listens.
struct bench {
    struct engine engine;
    struct config config;
    struct config_provider provider;
    struct config_key keys[2];
    struct config_model models[2];
    struct job_spec spec;
    struct job jobs[JOBS];
    struct plan_call calls[JOBS];
    size_t queued;
    int64_t now_ms;
    struct quota_ask asks[ASKS]; // of the last request
    size_t ask_count, requests;
};

static int64_t now_of(void *world)
{
    return ((struct bench *)world)->now_ms;
}

static uint64_t no_chance(void *world)
{
    (void)world;
    return 1;
}

static void on_ask(void *store, struct slot_id owner, const struct quota_ask *asks, size_t count)
{
    (void)owner;
    struct bench *bench = store;
    assert_in_range(count, 1, ASKS);
    memcpy(bench->asks, asks, count * sizeof(*asks));
    bench->ask_count = count;
    bench->requests++;
}

static const struct store_ops store_ops = {.quota = on_ask};

// `lanes` of the first model, or of two models with the same key.
static struct bench *bench_new(size_t keys, size_t models, const struct config_model *limits)
{
    struct bench *bench = own_alloc(sizeof(*bench));
    bench->now_ms = 1000000;
    bench->provider = (struct config_provider){.name = "sim", .api = "openai", .connect_ms = 100};
    bench->provider.keys = (struct config_keys){bench->keys, keys};
    bench->keys[0].name = "a";
    bench->keys[1].name = "b";
    for (size_t i = 0; i < models; i++) {
        bench->models[i] = *limits;
        bench->models[i].name = i == 0 ? "one" : "two";
        bench->models[i].index = i;
        bench->models[i].provider = &bench->provider;
        bench->models[i].max_output_tokens = 200;
        bench->models[i].served_name = "one";
    }
    bench->config = (struct config){.providers = &bench->provider,
                                    .provider_count = 1,
                                    .models = bench->models,
                                    .model_count = models};
    bench->config.worker.in_flight = 1000;
    backoff_default(&bench->config.retry);
    bench->spec = (struct job_spec){.tenant = "t", .max_output_tokens = 200};
    bench->engine.config = &bench->config;
    bench->engine.edges = (struct edges){.store = bench,
                                         .store_ops = &store_ops,
                                         .world = bench,
                                         .now_ms = now_of,
                                         .random = no_chance};
    bench->engine.store_up = true;
    gate_init(&bench->engine);
    return bench;
}

static void bench_free(struct bench *bench)
{
    gate_deinit(&bench->engine);
    free(bench);
}

static struct lane *lane_at(struct bench *bench, size_t model, size_t key)
{
    return &bench->engine.gates[model].lanes[key];
}

// A job that is ready: about 800 tokens in, 200 out.
static struct job *queue(struct bench *bench, size_t model)
{
    assert_true(bench->queued < JOBS);
    struct job *job = &bench->jobs[bench->queued];
    struct plan_call *call = &bench->calls[bench->queued];
    *call = (struct plan_call){.kind = PLAN_WHOLE, .to = 5};
    *job = (struct job){.spec = &bench->spec,
                        .text = "Rent.",
                        .text_len = 5,
                        .text_chars = 5,
                        .text_tokens = 476,
                        .overhead_tokens = 172,
                        .need_tokens = -1,
                        .plan = {.model = &bench->models[model], .calls = call, .count = 1}};
    struct order_ask ask = {.tenant = "t",
                            .weight = 1,
                            .priority = 5,
                            .deadline_ms = INT64_MAX,
                            .tokens = 1000,
                            .came = bench->queued++};
    order_push(bench->engine.gates[model].order, &job->in_order, &ask);
    return job;
}

// It is admitted with that key, and its call begins.
static void send(struct bench *bench, struct job *job, size_t key)
{
    job->holds_slot = true;
    job->slot_model = job->plan.model;
    job->key = key;
    order_take(&job->in_order);
    quota_reserve(&bench->engine, job, lane_at(bench, job->plan.model->index, key));
    job->call.reserve_input_tokens = 800;
    job->call.reserve_output_tokens = 200;
    quota_prepared(&bench->engine, job);
    job->calls_begun++;
    job->call.begun_ms = job->call.sent_ms = bench->now_ms;
}

static void answer(struct job *job, int status, int64_t in, int64_t out)
{
    job->call.has_answer = true;
    job->call.answer = (struct model_answer){.http_status = status};
    if (in > 0)
        job->call.answer.usage =
            (struct usage){.known = true, .input_tokens = in, .output_tokens = out};
}

// The store's answer to the last request: the same for each of its asks.
static void grant(struct bench *bench, const struct quota_grant *what)
{
    struct quota_grant grants[ASKS];
    for (size_t i = 0; i < bench->ask_count; i++) {
        grants[i] = *what;
        memcpy(grants[i].rate, bench->asks[i].limits, sizeof(grants[i].rate));
        if (!what->slots)
            grants[i].slots = INT64_MAX;
    }
    struct store_event event = {.kind = STORE_QUOTA};
    event.u.quota.grants = grants;
    event.u.quota.count = bench->ask_count;
    quota_granted(&bench->engine, &event);
}

static size_t pump(struct bench *bench, int64_t later_ms)
{
    size_t before = bench->requests;
    bench->now_ms += later_ms;
    quota_pump(&bench->engine);
    return bench->requests - before;
}

static const struct config_model limited = {.rpm = 1200, .tpm = 600000};
static const struct quota_grant second = {
    .given = {[QUOTA_REQUESTS] = 20, [QUOTA_TOKENS] = 20000}, .spread_ms = 1000, .valid_ms = 1500};

static void an_idle_lane_asks_nothing(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pump(bench, 100), 0);
    bench_free(bench);
}

static void it_asks_for_what_is_ready_and_once(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    for (int i = 0; i < 3; i++)
        queue(bench, 0);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->asks[0].wanted[QUOTA_REQUESTS], 3);
    assert_in_range(bench->asks[0].wanted[QUOTA_TOKENS], 3 * 998, 3 * 1002);
    assert_int_equal(bench->asks[0].least[QUOTA_REQUESTS], 1);
    assert_int_equal(bench->asks[0].limits[QUOTA_REQUESTS], 1200);
    assert_int_equal(pump(bench, 500), 0); // its answer is what is waited for
    grant(bench, &second);
    assert_int_equal(pump(bench, 0), 0); // all three are covered
    bench_free(bench);
}

static void more_is_asked_for_before_the_grant_is_used_up(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    for (int i = 0; i < 50; i++)
        queue(bench, 0);
    pump(bench, 0);
    grant(bench, &second);
    assert_int_equal(pump(bench, 500), 0);
    assert_int_equal(pump(bench, 150), 1);
    assert_in_range(bench->asks[0].wanted[QUOTA_REQUESTS], 30, 60);
    bench_free(bench);
}

// One grant that has not begun is enough: the timeline is for all.
static void a_grant_that_has_not_begun_is_waited_for(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    for (int i = 0; i < 50; i++)
        queue(bench, 0);
    pump(bench, 0);
    struct quota_grant future = {.given = {[QUOTA_REQUESTS] = 2, [QUOTA_TOKENS] = 2000},
                                 .start_in_ms = 800,
                                 .spread_ms = 100,
                                 .valid_ms = 600};
    grant(bench, &future);
    assert_int_equal(pump(bench, 700), 0);
    assert_int_equal(pump(bench, 60), 1);
    bench_free(bench);
}

static void who_is_told_to_wait_asks_again_then(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    queue(bench, 0);
    pump(bench, 0);
    grant(bench, &(struct quota_grant){.wait_ms = 700, .short_of = QUOTA_TOKENS});
    assert_int_equal(pump(bench, 690), 0);
    assert_int_equal(pump(bench, 10), 1);
    assert_int_equal(bench->asks[0].wanted[QUOTA_REQUESTS], 1);
    bench_free(bench);
}

static void what_is_left_is_given_back(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = queue(bench, 0);
    pump(bench, 0);
    grant(bench, &second);
    send(bench, job, 0);
    answer(job, 200, 700, 100);
    quota_settle(&bench->engine, job);
    assert_int_equal(pump(bench, 1600), 1);
    assert_int_equal(bench->asks[0].back[QUOTA_REQUESTS], 19);
    assert_int_equal(bench->asks[0].settled[QUOTA_REQUESTS], 0);
    // What it takes out of the grant is not given back, what it did not use is settled.
    assert_int_equal(bench->asks[0].back[QUOTA_TOKENS] - bench->asks[0].settled[QUOTA_TOKENS],
                     20000 - 800);
    assert_int_equal(bench->asks[0].wanted[QUOTA_REQUESTS], 0);
    grant(bench, &(struct quota_grant){0});
    assert_int_equal(pump(bench, 10000), 0);
    bench_free(bench);
}

static void calls_are_settled_by_what_came_of_them(void **state)
{
    (void)state;
    static const struct {
        bool begun, sent, answered;
        int status;
        int64_t in, out, requests, tokens; // used
    } rows[] = {
        {true, true, true, 200, 700, 50, 1, 750},
        {true, true, true, 200, 0, 0, 1, 1000}, // cut: nobody knows
        {true, true, true, 429, 0, 0, 1, 0},
        {true, true, true, 500, 0, 0, 1, 0},
        {true, false, true, 0, 0, 0, 0, 0}, // no connection
        {false, false, false, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *bench = bench_new(1, 1, &limited);
        struct job *job = queue(bench, 0);
        pump(bench, 0);
        grant(bench, &second);
        send(bench, job, 0);
        if (!rows[i].begun)
            job->calls_begun--;
        if (!rows[i].sent)
            job->call.sent_ms = -1;
        if (rows[i].answered)
            answer(job, rows[i].status, rows[i].in, rows[i].out);
        struct spend *spend = &lane_at(bench, 0, 0)->spend;
        int64_t taken = 20000 - spend_in_hand(spend, QUOTA_TOKENS);
        quota_settle(&bench->engine, job);
        assert_int_equal(1 + spend->settled[QUOTA_REQUESTS], rows[i].requests);
        assert_int_equal(taken + spend->settled[QUOTA_TOKENS], rows[i].tokens);
        assert_int_equal(lane_at(bench, 0, 0)->in_flight, 0);
        bench_free(bench);
    }
}

static void what_a_provider_counts_as_asked_is_not_settled(void **state)
{
    (void)state;
    static const struct config_model model = {.rpm = 1200, .tpm = 600000, .counts_asked = true};
    struct bench *bench = bench_new(1, 1, &model);
    struct job *job = queue(bench, 0);
    pump(bench, 0);
    grant(bench, &second);
    send(bench, job, 0);
    answer(job, 200, 700, 50);
    struct spend *spend = &lane_at(bench, 0, 0)->spend;
    int64_t taken = 20000 - spend_in_hand(spend, QUOTA_TOKENS);
    quota_settle(&bench->engine, job);
    assert_int_equal(taken + spend->settled[QUOTA_TOKENS], 700 + 200);
    bench_free(bench);
}

static void a_refusal_is_told_at_once_and_once(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = queue(bench, 0);
    pump(bench, 0);
    grant(bench, &second);
    send(bench, job, 0);
    answer(job, 429, 0, 0);
    failure_set(&job->call.answer.failure, ERR_RATE_LIMITED, "slow");
    job->call.answer.failure.retry_after_ms = 30000;
    keys_failed(&bench->engine, job);
    quota_settle(&bench->engine, job);
    assert_int_equal(pump(bench, 1), 1);
    assert_int_equal(bench->asks[0].refusals, 1);
    assert_int_equal(bench->asks[0].close_cause, KEY_THROTTLED);
    assert_int_equal(bench->asks[0].close_ms, 29999);
    assert_int_equal(bench->asks[0].back[QUOTA_REQUESTS], 19); // nobody can use it now
    grant(bench, &(struct quota_grant){.cause = KEY_THROTTLED, .closed_ms = 29990});
    queue(bench, 0);
    assert_int_equal(pump(bench, 1000), 0);
    assert_int_equal(pump(bench, 1000), 1); // now and then, while it is in use
    assert_int_equal(bench->asks[0].refusals, 0);
    assert_int_equal(bench->asks[0].close_cause, KEY_FINE);
    bench_free(bench);
}

// Closes the key by the store's word, and takes the probe that it gives.
static struct job *begin_probe(struct bench *bench)
{
    struct job *job = queue(bench, 0);
    pump(bench, 0);
    grant(bench, &(struct quota_grant){.cause = KEY_REFUSED, .closed_ms = 500});
    assert_int_equal(bench->engine.keys[0].key.cause, KEY_REFUSED);
    assert_int_equal(pump(bench, 400), 0);
    assert_int_equal(pump(bench, 100), 1);
    assert_int_equal(bench->asks[0].wanted[QUOTA_REQUESTS], 1);
    struct quota_grant probe = second;
    probe.cause = KEY_REFUSED;
    probe.probe = true;
    grant(bench, &probe);
    assert_true(lane_at(bench, 0, 0)->may_probe);
    send(bench, job, 0);
    assert_true(job->probes && !lane_at(bench, 0, 0)->may_probe);
    queue(bench, 0);
    int64_t next_ms, need[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1};
    assert_int_equal(keys_choose(&bench->engine, &bench->models[0], need, &next_ms), KEYS_NONE);
    return job;
}

static void a_probe_that_is_answered_opens_the_key_at_once(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = begin_probe(bench);
    keys_probe_answered(&bench->engine, job);
    assert_int_equal(bench->engine.keys[0].key.cause, KEY_FINE);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->asks[0].probe, QUOTA_PROBE_OK);
    grant(bench, &second);
    answer(job, 200, 700, 100);
    keys_succeeded(&bench->engine, job);
    quota_settle(&bench->engine, job);
    assert_int_equal(lane_at(bench, 0, 0)->probe, QUOTA_PROBE_NONE);
    bench_free(bench);
}

static void a_probe_that_fails_or_says_nothing_is_told(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = begin_probe(bench);
    answer(job, 401, 0, 0);
    failure_set(&job->call.answer.failure, ERR_UNAUTHORIZED, "no");
    keys_failed(&bench->engine, job);
    quota_settle(&bench->engine, job);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->asks[0].probe, QUOTA_PROBE_FAILED);
    assert_int_equal(bench->asks[0].close_cause, KEY_REFUSED);
    bench_free(bench);

    bench = bench_new(1, 1, &limited);
    job = begin_probe(bench);
    answer(job, 0, 0, 0);
    failure_set(&job->call.answer.failure, ERR_TIMEOUT_FIRST_BYTE, "late");
    quota_settle(&bench->engine, job);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->asks[0].probe, QUOTA_PROBE_ENDED);
    assert_int_equal(bench->asks[0].close_cause, KEY_FINE);
    bench_free(bench);
}

static void a_probe_without_a_job_goes_back(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = queue(bench, 0);
    pump(bench, 0);
    struct quota_grant probe = second;
    probe.cause = KEY_THROTTLED;
    probe.probe = true;
    grant(bench, &probe);
    order_remove(&job->in_order);
    assert_int_equal(pump(bench, 10), 1);
    assert_int_equal(bench->asks[0].probe, QUOTA_PROBE_ENDED);
    bench_free(bench);
}

static void a_row_of_failures_opens_the_breaker_for_all(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    for (int i = 0; i < BREAKER_ROW; i++) {
        struct job *job = queue(bench, 0);
        send(bench, job, 0);
        answer(job, 503, 0, 0);
        failure_set(&job->call.answer.failure, ERR_HTTP_TRANSIENT, "down");
        quota_settle(&bench->engine, job);
    }
    assert_true(lane_at(bench, 0, 0)->broken);
    assert_int_equal(bench->engine.keys[0].key.cause, KEY_FINE);
    assert_int_equal(pump(bench, 1), 1);
    assert_int_equal(bench->asks[0].close_cause, KEY_BROKEN);
    assert_int_equal(bench->asks[0].close_ms, BREAKER_FIRST_MS - 1);
    grant(bench, &(struct quota_grant){.cause = KEY_BROKEN, .closed_ms = 900});
    assert_true(lane_at(bench, 0, 0)->broken);
    quota_noticed(&bench->engine, "key");
    queue(bench, 0);
    assert_int_equal(pump(bench, 1), 1);
    grant(bench, &second);
    assert_false(lane_at(bench, 0, 0)->broken);
    bench_free(bench);
}

// The lane that told of the key has the last word on it, wherever it stands in the request.
static void of_one_keys_lanes_the_one_that_told_is_believed(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 2, &limited);
    engine_key_changed(&bench->engine, 0);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->ask_count, 2);
    assert_true(bench->asks[0].key_changed && !bench->asks[1].key_changed);
    struct quota_grant grants[2] = {{.slots = INT64_MAX}, {.slots = INT64_MAX}};
    grants[1].cause = KEY_REFUSED; // taken by the store before the first one
    grants[1].closed_ms = 29000;
    struct store_event event = {.kind = STORE_QUOTA};
    event.u.quota.grants = grants;
    event.u.quota.count = 2;
    quota_granted(&bench->engine, &event);
    assert_int_equal(bench->engine.keys[0].key.cause, KEY_FINE);
    bench_free(bench);
}

static void keys_share_the_demand_by_their_rates(void **state)
{
    (void)state;
    static const struct config_model model = {.rpm = 300};
    struct bench *bench = bench_new(2, 1, &model);
    lane_at(bench, 0, 1)->limits[QUOTA_REQUESTS] = lane_at(bench, 0, 1)->rate[QUOTA_REQUESTS] = 900;
    for (int i = 0; i < 40; i++)
        queue(bench, 0);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->ask_count, 2);
    assert_int_equal(bench->asks[0].wanted[QUOTA_REQUESTS], 10);
    assert_int_equal(bench->asks[1].wanted[QUOTA_REQUESTS], 30);
    bench_free(bench);
}

static void slots_that_are_not_needed_are_let_go(void **state)
{
    (void)state;
    static const struct config_model model = {.in_flight = 10};
    struct bench *bench = bench_new(1, 1, &model);
    struct job *jobs[5];
    for (int i = 0; i < 5; i++)
        jobs[i] = queue(bench, 0);
    assert_int_equal(pump(bench, 0), 1);
    assert_int_equal(bench->asks[0].slots_wanted, 5);
    assert_false(lane_has_slot(lane_at(bench, 0, 0)));
    grant(bench, &(struct quota_grant){.slots = 5});
    for (int i = 0; i < 5; i++) {
        assert_true(lane_has_slot(lane_at(bench, 0, 0)));
        send(bench, jobs[i], 0);
    }
    assert_false(lane_has_slot(lane_at(bench, 0, 0)));
    assert_int_equal(pump(bench, 600), 0);
    for (int i = 0; i < 4; i++)
        quota_settle(&bench->engine, jobs[i]);
    assert_int_equal(pump(bench, 10), 1);
    assert_int_equal(bench->asks[0].slots_held, 1);
    assert_int_equal(bench->asks[0].slots_wanted, 1);
    bench_free(bench);
}

static void without_limits_it_only_listens(void **state)
{
    (void)state;
    static const struct config_model model = {0};
    struct bench *bench = bench_new(1, 1, &model);
    struct job *job = queue(bench, 0);
    assert_int_equal(pump(bench, 0), 1);
    grant(bench, &(struct quota_grant){0});
    assert_true(lane_has_slot(lane_at(bench, 0, 0)));
    send(bench, job, 0);
    assert_int_equal(pump(bench, 1900), 0);
    assert_int_equal(pump(bench, 100), 1);
    grant(bench, &(struct quota_grant){0});
    assert_int_equal(adapt_most(&lane_at(bench, 0, 0)->adapt), ADAPT_FIRST);
    bench_free(bench);
}

static void refuse(struct bench *bench, int64_t retry_after_ms)
{
    struct job *job = queue(bench, 0);
    send(bench, job, 0);
    answer(job, 429, 0, 0);
    failure_set(&job->call.answer.failure, ERR_RATE_LIMITED, "slow");
    job->call.answer.failure.retry_after_ms = retry_after_ms;
    keys_failed(&bench->engine, job);
    quota_settle(&bench->engine, job);
}

// Where no limit is known a refusal now and then is how it is felt for.
static void a_mild_refusal_closes_nothing(void **state)
{
    (void)state;
    static const struct config_model model = {0};
    struct bench *bench = bench_new(1, 1, &model);
    struct adapt *adapt = &lane_at(bench, 0, 0)->adapt;
    const struct key *key = &bench->engine.keys[0].key;
    adapt_failed(adapt, bench->now_ms, bench->now_ms); // the first one, long ago
    for (int i = 0; i < 500; i++)
        adapt_succeeded(adapt, 1000);
    int64_t before = adapt_most(adapt);
    bench->now_ms += 5000;
    refuse(bench, -1);
    assert_int_equal(key->cause, KEY_FINE);
    assert_in_range(adapt_most(adapt), before * 9 / 10 - 1, before * 9 / 10 + 1);
    bench->now_ms += 1000;
    refuse(bench, -1); // again, and nothing went well meanwhile: there is more to it
    assert_int_equal(key->cause, KEY_THROTTLED);
    bench_free(bench);
}

static void a_refusal_with_a_time_closes_the_key(void **state)
{
    (void)state;
    static const struct config_model model = {0};
    struct bench *bench = bench_new(1, 1, &model);
    struct adapt *adapt = &lane_at(bench, 0, 0)->adapt;
    adapt_failed(adapt, bench->now_ms, bench->now_ms);
    for (int i = 0; i < 500; i++)
        adapt_succeeded(adapt, 1000);
    bench->now_ms += 5000;
    refuse(bench, 700);
    assert_int_equal(bench->engine.keys[0].key.cause, KEY_THROTTLED);
    assert_int_equal(bench->engine.keys[0].key.closed_until_ms, bench->now_ms + 700);
    bench_free(bench);
}

static void while_the_store_is_away_nothing_is_asked(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    queue(bench, 0);
    bench->engine.store_up = false;
    assert_int_equal(pump(bench, 5000), 0);
    bench->engine.store_up = true;
    quota_store_up(&bench->engine);
    assert_int_equal(pump(bench, 0), 1);
    grant(bench, &second);
    bench->engine.store_up = false; // what is in hand may be used, until its end
    enum quota_dimension lacks;
    const int64_t need[QUOTA_DIMENSIONS] = {[QUOTA_REQUESTS] = 1, [QUOTA_TOKENS] = 1000};
    assert_int_equal(lane_wait_ms(lane_at(bench, 0, 0), need, bench->now_ms, &lacks), 0);
    spend_expire(&lane_at(bench, 0, 0)->spend, bench->now_ms + 1500);
    assert_true(lane_wait_ms(lane_at(bench, 0, 0), need, bench->now_ms + 1500, &lacks) ==
                INT64_MAX);
    bench_free(bench);
}

static void requests_can_be_scarcer_than_tokens(void **state)
{
    (void)state;
    static const struct {
        struct config_model model;
        bool scarce;
    } rows[] = {
        {{.rpm = 300}, true},
        {{.rpm = 300, .tpm = 4000000}, true},
        {{.rpm = 1200, .tpm = 600000}, false},
        {{.tpm = 600000}, false},
        {{0}, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *bench = bench_new(1, 1, &rows[i].model);
        bench->engine.gates[0].usual[QUOTA_TOKENS] = 1000;
        assert_int_equal(quota_scarce_requests(&bench->engine, &bench->models[0]), rows[i].scarce);
        bench_free(bench);
    }
}

// They are told before the body is there, with the time that is left when they are.
static void headers_are_told_while_the_body_comes(void **state)
{
    (void)state;
    struct bench *bench = bench_new(1, 1, &limited);
    struct job *job = queue(bench, 0);
    queue(bench, 0);
    pump(bench, 0);
    grant(bench, &second);
    send(bench, job, 0);
    job->call.reader = reader_new(job->plan.model, true);
    quota_headers(&bench->engine, job); // none yet
    reader_status(job->call.reader, 200);
    reader_header(job->call.reader, "x-ratelimit-limit-requests", "1200");
    reader_header(job->call.reader, "x-ratelimit-remaining-requests", "37");
    reader_header(job->call.reader, "x-ratelimit-reset-requests", "12.5s");
    quota_headers(&bench->engine, job);
    assert_int_equal(pump(bench, 2000), 1);
    assert_int_equal(bench->asks[0].seen_limit[QUOTA_REQUESTS], 1200);
    assert_int_equal(bench->asks[0].seen_left[QUOTA_REQUESTS], 37);
    assert_int_equal(bench->asks[0].seen_reset_ms[QUOTA_REQUESTS], 10500);
    assert_int_equal(bench->asks[0].seen_left[QUOTA_TOKENS], -1);
    assert_int_equal(bench->asks[0].seen_reset_ms[QUOTA_TOKENS], -1);
    grant(bench, &second);
    assert_int_equal(pump(bench, 2000), 1);
    assert_int_equal(bench->asks[0].seen_left[QUOTA_REQUESTS], -1); // once
    assert_int_equal(bench->asks[0].seen_reset_ms[QUOTA_REQUESTS], -1);
    reader_free(job->call.reader);
    bench_free(bench);
}

// Ten seconds of the limit for the fleet, and never more than the order's own credit.
static void what_newcomers_are_let_off_is_for_the_fleet(void **state)
{
    (void)state;
    static const struct {
        struct config_model limits;
        int32_t askers;
        int64_t credit;
    } cases[] = {
        {{.rpm = 1200, .tpm = 60000}, 1, 10000},
        {{.rpm = 1200, .tpm = 60000}, 8, 1250},
        {{.rpm = 12, .tpm = 600000}, 1, 2000}, // a call is 1000 tokens
        {{.rpm = 1200, .tpm = 600000}, 2, ORDER_CREDIT_TOKENS},
        {{.rpm = 1200, .tpm = 600000}, 10, 10000},
        {{0}, 4, ORDER_CREDIT_TOKENS}, // nobody knows
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bench *bench = bench_new(1, 1, &cases[i].limits);
        struct job *job = queue(bench, 0);
        pump(bench, 0);
        struct quota_grant told = second;
        told.askers = cases[i].askers;
        grant(bench, &told);
        send(bench, job, 0);
        assert_in_range(gate_credit(&bench->engine, 0), cases[i].credit * 99 / 100,
                        cases[i].credit);
        bench_free(bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_lane_asks_nothing),
        cmocka_unit_test(it_asks_for_what_is_ready_and_once),
        cmocka_unit_test(more_is_asked_for_before_the_grant_is_used_up),
        cmocka_unit_test(a_grant_that_has_not_begun_is_waited_for),
        cmocka_unit_test(who_is_told_to_wait_asks_again_then),
        cmocka_unit_test(what_is_left_is_given_back),
        cmocka_unit_test(calls_are_settled_by_what_came_of_them),
        cmocka_unit_test(what_a_provider_counts_as_asked_is_not_settled),
        cmocka_unit_test(a_refusal_is_told_at_once_and_once),
        cmocka_unit_test(a_probe_that_is_answered_opens_the_key_at_once),
        cmocka_unit_test(a_probe_that_fails_or_says_nothing_is_told),
        cmocka_unit_test(a_probe_without_a_job_goes_back),
        cmocka_unit_test(a_row_of_failures_opens_the_breaker_for_all),
        cmocka_unit_test(of_one_keys_lanes_the_one_that_told_is_believed),
        cmocka_unit_test(keys_share_the_demand_by_their_rates),
        cmocka_unit_test(slots_that_are_not_needed_are_let_go),
        cmocka_unit_test(without_limits_it_only_listens),
        cmocka_unit_test(while_the_store_is_away_nothing_is_asked),
        cmocka_unit_test(requests_can_be_scarcer_than_tokens),
        cmocka_unit_test(headers_are_told_while_the_body_comes),
        cmocka_unit_test(what_newcomers_are_let_off_is_for_the_fleet),
        cmocka_unit_test(a_mild_refusal_closes_nothing),
        cmocka_unit_test(a_refusal_with_a_time_closes_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
