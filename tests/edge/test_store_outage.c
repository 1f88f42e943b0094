// SPDX-License-Identifier: Apache-2.0
// The store while its PostgreSQL is stopped and started, and as a user who may do no more than a
// worker has to.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/migrate.h"

enum { JOBS = 40 };

static void ask_jobs(struct worker *worker, const char *prefix)
{
    for (uint32_t i = 0; i < JOBS; i++) {
        char id[40];
        snprintf(id, sizeof(id), "%s-%u", prefix, i);
        struct job_spec spec = spec_of(id, 0, "text");
        claim_spec(worker, &spec, i, ++worker->serial, i);
        job_spec_deinit(&spec);
    }
}

static void expect_jobs(struct worker *worker)
{
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(next(worker, STORE_CLAIMED)->verdict, CLAIM_MINE);
}

// What is asked while the server is away is answered when it is back; what was paid for is kept.
static void outage(const char *mode)
{
    struct worker *a = worker_new("a");
    char prefix[40];
    snprintf(prefix, sizeof(prefix), "before-%s", mode);
    struct seen *claimed = claim(a, prefix, 0, "text");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    snprintf(prefix, sizeof(prefix), "at-%s", mode);
    ask_jobs(a, prefix);
    edge_pg_stop(&test_pg, mode);
    ask_done(a, claimed);
    run_until(a, a->seen_len + 1000, 0, 300);
    assert_true(a->downs >= 1);
    edge_pg_start(&test_pg);
    assert_true(run_until(a, 0, 2, 10000));
    expect_jobs(a);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_int_equal(store_pending(a->store), 0);
    worker_free(a);
}

static void test_fast_stop(void **state)
{
    (void)state;
    outage("fast");
}

static void test_immediate_stop(void **state)
{
    (void)state;
    outage("immediate");
}

// After an outage every lease has ended, whoever is alive: nobody is taken over until the server
// has run for a lease, in which the living renew.
static void test_no_takeover_right_after_an_outage(void **state)
{
    (void)state;
    test_lease_ms = 8000;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *claimed = claim(a, "outlived", 0, "text");
    edge_pg_stop(&test_pg, "fast");
    wait_ms(100);
    edge_pg_start(&test_pg);
    assert_true(run_until(b, 0, 2, 10000));
    // b's lease was never broken, as far as its row says; a's has ended.
    edge_pg_run(&test_pg, "update precis_data.workers set unbroken_since = '2000-01-01',"
                          " lease_until = clock_timestamp() + interval '60 s'"
                          " where name = 'b' and ended_at is null");
    edge_pg_run(&test_pg, "update precis_data.workers set lease_until = clock_timestamp()"
                          " where name = 'a'");
    assert_int_equal(look_up(b, claimed->job_no), LOOKUP_HELD);
    assert_int_equal(claim(b, "outlived", 0, "text")->verdict, CLAIM_HELD);
    assert_answer("select clock_timestamp() < pg_postmaster_start_time() + interval '8 s'", "t");
    wait_ms(8100);
    assert_int_equal(look_up(b, claimed->job_no), LOOKUP_FREE);
    assert_int_equal(claim(b, "outlived", 0, "text")->verdict, CLAIM_MINE);
    worker_free(a);
    worker_free(b);
    test_lease_ms = LEASE_MS;
}

// A user with the role precis_worker, and nothing else.
static void test_worker_role(void **state)
{
    (void)state;
    struct pg_error error;
    assert_true(migrate_roles(test_pg.dsn, &error));
    edge_pg_run(&test_pg, "create user precis_edge_worker in role precis_worker");
    char dsn[320];
    snprintf(dsn, sizeof(dsn), "postgresql://precis_edge_worker%s", strchr(test_pg.dsn, '@'));
    struct worker *a = worker_new_on(dsn, "role");
    assert_true(run_until(a, 0, 1, 10000));
    struct seen *claimed = claim(a, "role", 0, "text");
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    struct seen *done = finish(a, claimed);
    assert_int_equal(done->verdict, RECORD_DONE);
    struct seen *failing = claim(a, "role-fails", 0, "text");
    assert_int_equal(fail_job(a, failing, 3000)->verdict, RECORD_DONE);
    a->ops->waiting(a->store, claimed->job_no, "tokens", 0);
    a->ops->announced(a->store, ANNOUNCE_RESULT, done->id);
    a->ops->partition_begin(a->store, "jobs", 3);
    next(a, STORE_PARTITION);
    a->ops->partition_clean(a->store, "jobs", 3);
    a->ops->suspect(a->store, "jobs", 3, 9);
    next(a, STORE_SUSPECTED);
    a->ops->suspects_clear(a->store, "jobs", 3, 10);
    struct seal_request seal = {.tenant = "t", .batch = "b", .total = 5};
    a->ops->seal(a->store, &seal);
    next(a, STORE_SEALED);
    a->ops->sweep(a->store, 10);
    next(a, STORE_SWEPT);
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    next(a, STORE_REQUEUED);
    struct quota_ask ask = {.provider = "p", .key_name = "k", .model = "m"};
    ask.limits[QUOTA_REQUESTS] = ask.limits[QUOTA_REQUESTS_DAY] = 100;
    ask.wanted[QUOTA_REQUESTS] = ask.wanted[QUOTA_REQUESTS_DAY] = 1;
    ask.close_cause = KEY_BROKEN;
    ask.close_ms = 1;
    a->ops->quota(a->store, owner_of(1), &ask, 1);
    assert_int_equal(next(a, STORE_QUOTA)->grants[0].cause, KEY_BROKEN);
    wait_ms(5);
    ask.close_cause = KEY_FINE;
    a->ops->quota(a->store, owner_of(1), &ask, 1);
    assert_true(next(a, STORE_QUOTA)->grants[0].probe);
    ask.probe = QUOTA_PROBE_OK;
    a->ops->quota(a->store, owner_of(1), &ask, 1);
    assert_int_equal(next(a, STORE_QUOTA)->grants[0].cause, KEY_FINE);
    assert_false(renew(a)->broken);
    a->ops->release(a->store);
    next(a, STORE_RELEASED);
    assert_int_equal(a->downs, 0); // a refused statement would have cost the connection
    worker_free(a);
    edge_pg_run(&test_pg, "drop user precis_edge_worker");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast_stop),
        cmocka_unit_test(test_immediate_stop),
        cmocka_unit_test(test_no_takeover_right_after_an_outage),
        cmocka_unit_test(test_worker_role),
    };
    return cmocka_run_group_tests(tests, set_up_own, tear_down);
}
