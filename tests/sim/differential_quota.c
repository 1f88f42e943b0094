// SPDX-License-Identifier: Apache-2.0
// Holds the rule of the fleet's quota in C (core/quota.c) against the one in SQL: random asks of
// three workers, with asks that come twice, workers that die, closed keys, probes, headers that
// make no sense, and limits that are set, go through both at the same microseconds; every answer
// has to be the same.
//   differential_quota --sequences 300 [--first SEED]
// The server: $PRECIS_TEST_DSN, else one that tools/pg starts.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/own.h"
#include "base/rng.h"
#include "core/quota_inner.h"
#include "../edge/edge_pg.h"
#include "io/migrate.h"
#include "io/pg_query.h"
#include "io/store.h"

#define WORKERS  3
#define OPS      60
#define LANES    3
#define START_US INT64_C(1795000000123456)

struct real_worker {
    struct store *store;
    bool up, answered;
    struct quota_grant grants[LANES];
    int64_t id, serial;
};

struct test {
    uint64_t seed;
    int step;
    struct rng rng;
    uv_loop_t loop;
    struct edge_pg pg;
    struct pg_session *sql;
    struct real_worker workers[WORKERS];
    bool live[WORKERS];
    struct quota_fleet *fleet;
    int64_t now_us;
    char provider[40];
};

static int64_t range(struct test *test, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&test->rng, (uint64_t)(high - low + 1));
}

static bool one_in(struct test *test, int64_t count)
{
    return range(test, 1, count) == 1;
}

// ------------------------------------------------------------------------------- the real one

static void on_event(void *context, const struct store_event *event)
{
    struct real_worker *worker = context;
    if (event->kind == STORE_UP)
        worker->up = true;
    if (event->kind != STORE_QUOTA)
        return;
    for (size_t i = 0; i < event->u.quota.count && i < LANES; i++)
        worker->grants[i] = event->u.quota.grants[i];
    worker->answered = true;
}

static void on_refused(void *context, const char *text)
{
    (void)context;
    fail_msg("the store refuses: %s", text);
}

static void await(struct test *test, const bool *flag)
{
    uint64_t until = uv_hrtime() + UINT64_C(20000000000);
    while (!*flag && uv_hrtime() < until)
        uv_run(&test->loop, UV_RUN_ONCE);
    if (!*flag)
        fail_msg("seed %" PRIu64 " step %d: no answer in 20 s", test->seed, test->step);
}

static void start_worker(struct test *test, int index)
{
    struct real_worker *worker = &test->workers[index];
    char name[20];
    snprintf(name, sizeof(name), "w%d", index);
    struct store_options options = {
        .database = test->pg.dsn,
        .worker = name,
        .group = "g",
        .context = worker,
        .on_event = on_event,
        .on_refused = on_refused,
    };
    worker->store = store_new(&test->loop, &options);
    await(test, &worker->up);
    worker->id = store_worker_id(worker->store);
}

__attribute__((format(printf, 2, 3))) static void run_sql(struct test *test, const char *format,
                                                          ...)
{
    char sql[500];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    struct pg_error error;
    if (!pg_query(test->sql, sql, NULL, 0, NULL, &error))
        fail_msg("%s: %s", sql, error.text);
}

// ------------------------------------------------------------------------------- both

static bool is_live(const void *context, int64_t worker)
{
    const struct test *test = context;
    for (int w = 0; w < WORKERS; w++)
        if (test->workers[w].id == worker)
            return test->live[w];
    return false;
}

static void set_live(struct test *test, int index, bool live)
{
    test->live[index] = live;
    run_sql(test, "update precis_data.workers set lease_until = '%s' where id = %" PRId64,
            live ? "infinity" : "-infinity", test->workers[index].id);
}

static void set_clock(struct test *test, int64_t pass_us)
{
    test->now_us += pass_us;
    run_sql(test, "update precis_data.quota_since set clock_us = %" PRId64, test->now_us);
}

static int64_t some_amount(struct test *test, int d)
{
    static const int64_t most[] = {12, 4000, 900, 5000, 12, 5000};
    return one_in(test, 40) ? range(test, 0, INT64_C(200000000000)) : range(test, 0, most[d]);
}

static void make_headers(struct test *test, struct quota_ask *ask)
{
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        ask->seen_limit[d] = one_in(test, 3) ? range(test, -1, 3) * 400 : -1;
        ask->seen_left[d] = one_in(test, 3) ? range(test, -1, 1300) : -1;
        ask->seen_reset_ms[d] = one_in(test, 2) ? range(test, -1, 7) * 20000 : -1;
        if (one_in(test, 2)) // the end of a window
            ask->seen_reset_ms[d] = (INT64_C(60000000) - test->now_us % 60000000) / 1000;
        if (one_in(test, 50))
            ask->seen_left[d] = INT64_MAX;
        if (one_in(test, 50))
            ask->seen_limit[d] = INT64_MAX;
    }
    ask->refusals = one_in(test, 8) ? (int32_t)range(test, 1, 5) : 0;
}

static void make_key_news(struct test *test, struct quota_ask *ask)
{
    static const enum key_cause causes[] = {KEY_THROTTLED, KEY_REFUSED, KEY_EXHAUSTED, KEY_DOUBTED,
                                            KEY_BROKEN};
    if (one_in(test, 12)) {
        ask->close_cause = causes[range(test, 0, 4)];
        ask->close_ms = range(test, -5, 3000);
    }
    if (one_in(test, 4))
        ask->probe = (enum quota_probe)range(test, 0, 3);
    ask->key_changed = one_in(test, 30);
}

static struct quota_ask make_ask(struct test *test, int lane)
{
    static const char *const keys[] = {"one", "one", "two"}, *const models[] = {"m", "n", "m"};
    static const int64_t limits[][QUOTA_DIMENSIONS] = {
        {1200, 0, 0, 400000, 0, 0},
        {10, 0, 0, 100000, 0, 0},
        {600, 300000, 60000, 0, 90, 60000},
        {0, 0, 0, 0, 0, 0},
        {60000, 0, 0, INT64_C(900000000000), 0, INT64_C(900000000000000)},
    };
    struct quota_ask ask = {
        .provider = test->provider, .key_name = keys[lane], .model = models[lane]};
    memcpy(ask.limits, limits[(test->seed + (uint64_t)lane) % 5], sizeof(ask.limits));
    ask.in_flight_most = (int64_t)((test->seed + (uint64_t)lane) % 3) * 2;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        ask.wanted[d] = one_in(test, 6) ? 0 : some_amount(test, d);
        ask.least[d] = one_in(test, 3) ? some_amount(test, d) / 3 : 0;
        ask.back[d] = one_in(test, 5) ? some_amount(test, d) / 2 : 0;
        ask.settled[d] = one_in(test, 5) ? some_amount(test, d) - 500 : 0;
    }
    if (one_in(test, 6))
        ask.wanted[QUOTA_REQUESTS] = 0;
    ask.slots_held = range(test, 0, 4);
    ask.slots_wanted = range(test, 0, 6);
    ask.extra_percent = one_in(test, 4) ? 20 : 0;
    ask.extra_ms = 3000;
    make_headers(test, &ask);
    make_key_news(test, &ask);
    return ask;
}

static void print_grant(char *out, size_t size, const struct quota_grant *grant)
{
    size_t len = 0;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        len += (size_t)snprintf(out + len, size - len, "%" PRId64 "@%" PRId64 " ", grant->given[d],
                                grant->rate[d]);
    snprintf(out + len, size - len,
             "start %" PRId64 " spread %" PRId64 " valid %" PRId64 " slots %" PRId64
             " wait %" PRId64 " short %s askers %d %s closed %" PRId64 " probe %d",
             grant->start_in_ms, grant->spread_ms, grant->valid_ms, grant->slots, grant->wait_ms,
             quota_dimension_name(grant->short_of), (int)grant->askers,
             key_cause_name(grant->cause), grant->closed_ms, grant->probe);
}

static void compare(struct test *test, const struct quota_grant *real,
                    const struct quota_grant *model)
{
    char real_text[700], model_text[700];
    print_grant(real_text, sizeof(real_text), real);
    print_grant(model_text, sizeof(model_text), model);
    if (strcmp(real_text, model_text) != 0)
        fail_msg("seed %" PRIu64 " step %d: PostgreSQL says\n  %s\nthe model\n  %s", test->seed,
                 test->step, real_text, model_text);
}

// As if this ask had been answered before, and the answer lost.
static void make_repeated(struct test *test, int64_t worker, int64_t serial)
{
    run_sql(test,
            "update precis_data.quota_workers set serial = %" PRId64 " where worker_id = %" PRId64,
            serial, worker);
    for (size_t i = 0; i < test->fleet->lane_count; i++) {
        struct quota_lane *lane = &test->fleet->lanes[i];
        for (size_t r = 0; r < lane->row_count; r++)
            if (lane->rows[r].worker == worker)
                lane->rows[r].serial = serial;
    }
}

static void op_ask(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    struct real_worker *worker = &test->workers[index];
    struct quota_ask asks[LANES];
    size_t count = 0;
    int first = (int)range(test, 0, LANES - 1);
    do { // in any order: the store sorts them
        asks[count] = make_ask(test, (first + (int)count) % LANES);
        count++;
    } while (count < LANES && one_in(test, 2));
    int64_t serial = ++worker->serial; // the store counts the same way
    if (one_in(test, 8))
        make_repeated(test, worker->id, serial);
    worker->answered = false;
    store_ops_pg()->quota(worker->store, (struct slot_id){1, 1}, asks, count);
    await(test, &worker->answered);
    // The store asks in the order of the lanes, which is that of their numbers here.
    for (int lane = 0; lane < LANES; lane++) {
        size_t place = (size_t)((lane - first + LANES) % LANES);
        struct quota_grant model;
        struct quota_asker asker = {.worker = worker->id,
                                    .serial = serial,
                                    .now_us = test->now_us,
                                    .context = test,
                                    .is_live = is_live};
        if (place >= count)
            continue;
        quota_fleet_ask(test->fleet, &asker, &asks[place], &model);
        compare(test, &worker->grants[place], &model);
    }
}

static void op_time(struct test *test)
{
    static const int64_t most_us[] = {1000, 60000, 300000, 2000000, 40000000, INT64_C(7200000000)};
    set_clock(test, range(test, 0, most_us[range(test, 0, one_in(test, 4) ? 5 : 3)]));
}

static void op_lease(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    set_live(test, index, !test->live[index]);
}

static void op_set(struct test *test)
{
    struct quota_ask lane = make_ask(test, (int)range(test, 0, LANES - 1));
    enum quota_dimension d = (enum quota_dimension)range(test, 0, QUOTA_DIMENSIONS);
    int64_t most = range(test, 1, 3) * 300;
    if (one_in(test, 2))
        lane.key_name = "";
    quota_fleet_set(test->fleet, &lane, d, most);
    run_sql(test,
            "insert into precis_data.quota_settings (provider, key_name, model, dimension, most)"
            " values ('%s', '%s', '%s', '%s', %" PRId64 ") on conflict (provider, model, key_name,"
            " dimension) do update set most = excluded.most",
            lane.provider, lane.key_name, lane.model, quota_dimension_name(d), most);
}

static void op_crash(struct test *test)
{
    quota_fleet_crashed(test->fleet, test->now_us);
    run_sql(test, "update precis_data.quota_since set since = clock_us");
}

// ------------------------------------------------------------------------------- a sequence

static void run_sequence(struct test *test, uint64_t seed)
{
    static void (*const ops[])(struct test *) = {op_ask,  op_ask,  op_ask,   op_ask,
                                                 op_ask,  op_time, op_time,  op_time,
                                                 op_time, op_ask,  op_lease, op_set};
    test->seed = seed;
    rng_init(&test->rng, seed * 7919 + 1);
    snprintf(test->provider, sizeof(test->provider), "p%" PRIu64, seed);
    test->fleet = quota_fleet_new();
    quota_fleet_crashed(test->fleet, 0);
    run_sql(test, "update precis_data.quota_since set since = 0");
    for (int w = 0; w < WORKERS; w++)
        set_live(test, w, true);
    for (test->step = 1; test->step <= OPS; test->step++)
        if (one_in(test, 40))
            op_crash(test);
        else
            ops[range(test, 0, (int64_t)(sizeof(ops) / sizeof(ops[0])) - 1)](test);
    quota_fleet_free(test->fleet);
}

static void tell_nobody(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static uint64_t sequences = 300, first = 1;

static void test_differential(void **state)
{
    (void)state;
    struct test *test = own_alloc(sizeof(*test));
    struct pg_error error;
    edge_pg_init(&test->pg);
    assert_true(migrate_up(test->pg.dsn, tell_nobody, NULL, &error));
    test->sql = pg_session_open(test->pg.dsn, "differential", &error);
    assert_non_null(test->sql);
    uv_loop_init(&test->loop);
    for (int w = 0; w < WORKERS; w++)
        start_worker(test, w);
    test->now_us = START_US;
    uint64_t begin = uv_hrtime();
    set_clock(test, 0);
    for (uint64_t i = 0; i < sequences; i++)
        run_sequence(test, first + i);
    printf("%" PRIu64 " sequences of %d operations agree, %.1f s\n", sequences, OPS,
           (double)(uv_hrtime() - begin) / 1e9);
    for (int w = 0; w < WORKERS; w++)
        store_free(test->workers[w].store);
    uv_run(&test->loop, UV_RUN_DEFAULT);
    uv_loop_close(&test->loop);
    pg_session_close(test->sql);
    edge_pg_deinit(&test->pg);
    free(test);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--sequences") == 0)
            sequences = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first = strtoull(argv[i + 1], NULL, 10);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_differential)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
