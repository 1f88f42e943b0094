// SPDX-License-Identifier: Apache-2.0
// The fleet's quota on a real PostgreSQL: workers that ask at once, die, close keys and hear of it,
// and a server that crashes. The rule itself is tested in unit/test_quota.c and held against this
// one in sim/differential_quota.c.
#include "edge_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLEET = 6, ROUNDS_MAX = 3000 };

static struct quota_ask an_ask(const char *key_name, int64_t rpm, int64_t wanted)
{
    struct quota_ask ask = {.provider = "p", .key_name = key_name, .model = "m"};
    ask.limits[QUOTA_REQUESTS] = rpm;
    ask.wanted[QUOTA_REQUESTS] = wanted;
    for (int d = 0; d < QUOTA_DIMENSIONS; d++)
        ask.seen_limit[d] = ask.seen_left[d] = ask.seen_reset_ms[d] = -1;
    return ask;
}

static const struct quota_grant *ask(struct worker *worker, const struct quota_ask *asked)
{
    worker->ops->quota(worker->store, owner_of(7), asked, 1);
    struct seen *seen = next(worker, STORE_QUOTA);
    assert_int_equal(seen->owner, 7);
    assert_int_equal(seen->count, 1);
    return &seen->grants[0];
}

// ------------------------------------------------------------------------------- a fleet

struct given {
    uint64_t at_ms;
    int64_t amount;
};

struct fleet {
    struct worker *workers[FLEET];
    bool asking[FLEET];
    uint64_t next_ms[FLEET];
    int64_t given[FLEET];
    struct given list[ROUNDS_MAX];
    size_t count;
};

static void take_answer(struct fleet *fleet, int index)
{
    struct worker *worker = fleet->workers[index];
    if (worker->taken == worker->seen_len)
        return;
    const struct quota_grant *grant = &next(worker, STORE_QUOTA)->grants[0];
    uint64_t now = uv_now(&test_loop);
    fleet->asking[index] = false;
    fleet->next_ms[index] = now + (uint64_t)(grant->wait_ms > 0 ? grant->wait_ms : 10);
    fleet->given[index] += grant->given[QUOTA_REQUESTS];
    assert_true(fleet->count < ROUNDS_MAX);
    if (grant->given[QUOTA_REQUESTS] > 0)
        fleet->list[fleet->count++] = (struct given){now, grant->given[QUOTA_REQUESTS]};
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

// Each asks for more than there is, as soon as it may, for so long.
static void run_fleet(struct fleet *fleet, const struct quota_ask *asked, uint64_t ms)
{
    uv_timer_t tick;
    uv_timer_init(&test_loop, &tick);
    uv_timer_start(&tick, on_tick, 2, 2);
    uv_update_time(&test_loop);
    uint64_t end = uv_now(&test_loop) + ms;
    while (uv_now(&test_loop) < end) {
        for (int w = 0; w < FLEET; w++) {
            if (!fleet->asking[w] && fleet->next_ms[w] <= uv_now(&test_loop)) {
                fleet->asking[w] = true;
                fleet->workers[w]->ops->quota(fleet->workers[w]->store, owner_of(1), asked, 1);
            }
        }
        uv_run(&test_loop, UV_RUN_ONCE);
        for (int w = 0; w < FLEET; w++)
            take_answer(fleet, w);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&test_loop, UV_RUN_NOWAIT);
}

static void finish_fleet(struct fleet *fleet)
{
    for (int w = 0; w < FLEET; w++)
        settle(fleet->workers[w]);
    for (int w = 0; w < FLEET; w++)
        take_answer(fleet, w);
}

static struct fleet *fleet_new(void)
{
    struct fleet *fleet = calloc(1, sizeof(*fleet));
    assert_non_null(fleet);
    for (int w = 0; w < FLEET; w++) {
        char name[20];
        snprintf(name, sizeof(name), "fleet-%d", w);
        fleet->workers[w] = worker_new(name);
    }
    return fleet;
}

static void fleet_free(struct fleet *fleet)
{
    for (int w = 0; w < FLEET; w++)
        worker_free(fleet->workers[w]);
    free(fleet);
}

// In any stretch of time its worth, a second saved, a second ahead and a call; and what the clock
// of this loop is late.
static void check_windows(const struct fleet *fleet, int64_t per_minute)
{
    for (size_t from = 0; from < fleet->count; from++) {
        int64_t sum = 0;
        for (size_t to = from; to < fleet->count; to++) {
            sum += fleet->list[to].amount;
            int64_t ms = (int64_t)(fleet->list[to].at_ms - fleet->list[from].at_ms) + 2000 + 100;
            if (sum > ms * per_minute / 60000 + 1)
                fail_msg("%" PRId64 " in %" PRId64 " ms", sum, ms - 2100);
        }
    }
}

static void test_workers_share_a_limit(void **state)
{
    (void)state;
    struct fleet *fleet = fleet_new();
    struct quota_ask asked = an_ask("shared", 6000, 200);
    run_fleet(fleet, &asked, 1000); // the first one is alone for a moment
    memset(fleet->given, 0, sizeof(fleet->given));
    run_fleet(fleet, &asked, 4000);
    int64_t sum = 0;
    for (int w = 0; w < FLEET; w++) {
        sum += fleet->given[w];
        assert_in_range(fleet->given[w], 400 / FLEET * 6 / 10, 400 / FLEET * 14 / 10);
    }
    assert_in_range(sum, 360, 440);
    finish_fleet(fleet);
    check_windows(fleet, 6000);
    fleet_free(fleet);
}

// A crash of the server forgets what was committed last; stopping it in order does not.
static void outage(const char *mode, const char *key_name)
{
    struct fleet *fleet = fleet_new();
    struct quota_ask asked = an_ask(key_name, 6000, 200);
    run_fleet(fleet, &asked, 1500);
    edge_pg_stop(&test_pg, mode);
    edge_pg_start(&test_pg);
    for (int w = 0; w < FLEET; w++)
        assert_true(run_until(fleet->workers[w], 0, 2, 10000));
    run_fleet(fleet, &asked, 3000);
    finish_fleet(fleet);
    check_windows(fleet, 6000);
    assert_true(fleet->list[fleet->count - 1].at_ms - fleet->list[0].at_ms > 3500);
    fleet_free(fleet);
}

static void test_fast_stop(void **state)
{
    (void)state;
    outage("fast", "fast");
    assert_answer("select since = 0 from precis_data.quota_since", "t");
}

static void test_immediate_stop(void **state)
{
    (void)state;
    outage("immediate", "immediate");
    assert_answer("select since > 0 from precis_data.quota_since", "t");
}

// Slots, days and debts survive the crash that follows at once.
static void test_what_a_crash_must_not_forget(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct quota_ask asked = an_ask("kept", 10, 1);
    asked.limits[QUOTA_REQUESTS_DAY] = 100;
    asked.wanted[QUOTA_REQUESTS_DAY] = 100;
    asked.in_flight_most = 5;
    asked.slots_wanted = 5;
    assert_int_equal(ask(a, &asked)->slots, 5);
    edge_pg_stop(&test_pg, "immediate");
    edge_pg_start(&test_pg);
    assert_answer("select slots_given from precis_data.quota_workers q"
                  " join precis_data.quota_lanes l on l.id = q.lane_id where l.key_name = 'kept'",
                  "5");
    assert_answer("select used from precis.quota_limits where key_name = 'kept'"
                  " and dimension = 'requests_day'",
                  "100");
    assert_answer("select free_at > clock_timestamp() from precis.quota_limits"
                  " where key_name = 'kept' and dimension = 'requests'",
                  "t");
    worker_free(a);
}

// ------------------------------------------------------------------------------- the dead

static void test_the_dead_give_back(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct quota_ask asked = an_ask("dead", 0, 1);
    asked.in_flight_most = 4;
    asked.slots_wanted = 9;
    assert_int_equal(ask(a, &asked)->slots, 4);
    assert_int_equal(ask(b, &asked)->slots, 0);
    end_lease(a);
    assert_int_equal(ask(b, &asked)->slots, 4);

    struct quota_ask close = an_ask("dead", 0, 0);
    close.close_cause = KEY_REFUSED;
    close.close_ms = 1;
    ask(b, &close);
    next(a, STORE_NOTICE);
    wait_ms(10);
    hold_lease(a);
    assert_true(ask(a, &asked)->probe);
    assert_false(ask(b, &asked)->probe);
    end_lease(a);
    assert_true(ask(b, &asked)->probe);
    worker_free(a);
    worker_free(b);
}

// A worker that has left in order is not waited for.
static void test_the_released_give_back(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct quota_ask asked = an_ask("left", 0, 1);
    asked.in_flight_most = 4;
    asked.slots_wanted = 9;
    assert_int_equal(ask(a, &asked)->slots, 4);
    a->ops->release(a->store);
    next(a, STORE_RELEASED);
    assert_int_equal(ask(b, &asked)->slots, 4);
    worker_free(a);
    worker_free(b);
}

// ------------------------------------------------------------------------------- notices

static void test_closing_is_heard(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct quota_ask close = an_ask("heard", 0, 1);
    close.close_cause = KEY_EXHAUSTED;
    close.close_ms = 60000;
    assert_int_equal(ask(a, &close)->cause, KEY_EXHAUSTED);
    assert_string_equal(next(b, STORE_NOTICE)->text, "key");
    struct quota_ask asked = an_ask("heard", 0, 1);
    const struct quota_grant *grant = ask(b, &asked);
    assert_int_equal(grant->cause, KEY_EXHAUSTED);
    assert_in_range(grant->closed_ms, 50000, 60000);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 0);
    assert_answer("select closed_by || (closed_until > clock_timestamp())::text from precis.quota"
                  " where key_name = 'heard'",
                  "exhaustedtrue");
    ask(a, &close); // the same again is no news
    asked.key_changed = true;
    assert_true(ask(b, &asked)->probe);
    assert_string_equal(next(a, STORE_NOTICE)->text, "key");
    asked.key_changed = false;
    asked.probe = QUOTA_PROBE_OK;
    assert_int_equal(ask(b, &asked)->given[QUOTA_REQUESTS], 1);
    assert_string_equal(next(a, STORE_NOTICE)->text, "key");
    wait_ms(50);
    assert_int_equal(b->seen_len, b->taken); // its own notices tell it nothing
    worker_free(a);
    worker_free(b);
}

static void test_limits_while_running(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct quota_ask asked = an_ask("set", 6000, 1);
    assert_int_equal(ask(a, &asked)->rate[QUOTA_REQUESTS], 6000);
    edge_pg_run(&test_pg, "insert into precis_data.quota_settings (provider, key_name, model,"
                          " dimension, most) values ('p', 'set', 'm', 'requests', 60)");
    assert_string_equal(next(a, STORE_NOTICE)->text, "quota");
    assert_int_equal(ask(a, &asked)->rate[QUOTA_REQUESTS], 60);
    assert_answer("select configured || ' ' || effective || ' ' || is_set from precis.quota_limits"
                  " where key_name = 'set'",
                  "60 60 true");
    edge_pg_run(&test_pg, "delete from precis_data.quota_settings");
    assert_string_equal(next(a, STORE_NOTICE)->text, "quota");
    assert_int_equal(ask(a, &asked)->rate[QUOTA_REQUESTS], 6000);
    worker_free(a);
}

// A notice that comes while others are answered, and after the connection was lost.
static void test_notices_after_a_lost_connection(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    edge_pg_run(&test_pg, "select pg_terminate_backend(pid) from pg_stat_activity"
                          " where application_name = 'precis:a'");
    assert_true(run_until(a, 0, 2, 10000));
    edge_pg_run(&test_pg, "notify precis, 'pause'");
    assert_string_equal(next(a, STORE_NOTICE)->text, "pause");
    worker_free(a);
}

// ------------------------------------------------------------------------------- several lanes

// In whatever order they ask for their lanes, nobody waits for anybody in a circle.
static void test_no_deadlock(void **state)
{
    (void)state;
    struct worker *workers[2] = {worker_new("a"), worker_new("b")};
    struct quota_ask asks[2][3];
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 3; i++) {
            static const char *const keys[] = {"lane-1", "lane-2", "lane-3"};
            asks[w][i] = an_ask(keys[w ? i : 2 - i], 600000, 1);
        }
    for (int round = 0; round < 100; round++) {
        for (int w = 0; w < 2; w++)
            for (int i = 0; i < 4; i++)
                workers[w]->ops->quota(workers[w]->store, owner_of(1), asks[w], 3);
        for (int w = 0; w < 2; w++)
            for (int i = 0; i < 4; i++)
                assert_int_equal(next(workers[w], STORE_QUOTA)->count, 3);
    }
    assert_answer("select deadlocks from pg_stat_database where datname = current_database()", "0");
    worker_free(workers[0]);
    worker_free(workers[1]);
}

// A number that PostgreSQL cannot take gives nothing, and stops nobody.
static void test_a_refused_ask(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct quota_ask asked = an_ask("refused", 600, 1), fine = an_ask("fine", 600, 1);
    asked.extra_percent = INT64_MAX;
    asked.extra_ms = 1;
    asked.slots_held = INT64_MAX;
    asked.slots_wanted = INT64_MAX;
    asked.settled[QUOTA_REQUESTS] = INT64_MAX;
    asked.back[QUOTA_REQUESTS] = -INT64_MAX;
    const struct quota_grant *grant = ask(a, &asked);
    assert_int_equal(grant->given[QUOTA_REQUESTS], 0);
    assert_int_equal(grant->wait_ms, 1000);
    assert_int_equal(ask(a, &fine)->given[QUOTA_REQUESTS], 1);
    assert_int_equal(a->downs, 0);
    worker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_share_a_limit),
        cmocka_unit_test(test_fast_stop),
        cmocka_unit_test(test_immediate_stop),
        cmocka_unit_test(test_what_a_crash_must_not_forget),
        cmocka_unit_test(test_the_dead_give_back),
        cmocka_unit_test(test_the_released_give_back),
        cmocka_unit_test(test_closing_is_heard),
        cmocka_unit_test(test_limits_while_running),
        cmocka_unit_test(test_notices_after_a_lost_connection),
        cmocka_unit_test(test_no_deadlock),
        cmocka_unit_test(test_a_refused_ask),
    };
    return cmocka_run_group_tests(tests, set_up_own, tear_down);
}
