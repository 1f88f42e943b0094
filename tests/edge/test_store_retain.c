// SPDX-License-Identifier: Apache-2.0
// Retention on a real PostgreSQL: what goes, what stays, and that what is needed is never taken.
#include "edge_store.h"

#include <stdio.h>

#define DAY_MS INT64_C(86400000)

static void retain(struct worker *worker, int64_t documents_ms, int64_t traces_ms,
                   int64_t results_ms)
{
    const struct store_retention keep = {documents_ms, traces_ms, results_ms};
    store_retain(worker->store, &keep);
    settle(worker);
}

static void run(const char *sql)
{
    edge_pg_run(&test_pg, sql);
}

// All of them, some days ago.
static void age(int days)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "update precis_data.outcomes set finished_at = finished_at - %d * interval '1 day'",
             days);
    run(sql);
    snprintf(sql, sizeof(sql),
             "update precis_data.jobs set first_claimed_at = first_claimed_at"
             " - %d * interval '1 day'",
             days);
    run(sql);
    snprintf(sql, sizeof(sql),
             "update precis_data.documents set created_at = created_at - %d * interval '1 day'",
             days);
    run(sql);
    run("update precis_data.retention set next_at = '-infinity'");
}

// The second step comes a minute after the first.
static void a_minute_later(void)
{
    run("update precis_data.documents set doomed_at = doomed_at - interval '61 seconds'");
    run("update precis_data.retention set next_at = '-infinity'");
}

static void test_documents_of_jobs_that_ended(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen ended = *claim(a, "ended", 0, "a text of a job that ended");
    claim(a, "open", 0, "a text of a job that did not");
    finish(a, &ended);
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX);
    assert_answer("select count(*) from precis_data.documents where doomed_at is not null", "0");
    age(31);
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX);
    assert_answer("select count(*) from precis_data.documents where doomed_at is not null", "1");
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX); // it is too soon
    assert_answer("select count(*) from precis_data.documents", "2");
    a_minute_later();
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX);
    assert_answer("select text from precis_data.documents", "a text of a job that did not");
    assert_answer("select removed from precis_data.retention where what = 'documents'", "1");
    // The job is a duplicate all the same, and what it cost is counted.
    assert_int_equal(claim(a, "ended", 0, "a text of a job that ended")->verdict, CLAIM_FINISHED);
    assert_answer("select count(*) from precis_data.outcomes", "1");
    worker_free(a);
}

// Between the two steps the document comes again: with a job that has it, or from `submit`.
static void test_a_marked_document_is_wanted_again(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen first = *claim(a, "first", 0, "wanted again");
    finish(a, &first);
    age(31);
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX);
    assert_answer("select count(*) from precis_data.documents where doomed_at is not null", "1");
    claim(a, "second", 0, "wanted again");
    assert_answer("select count(*) from precis_data.documents where doomed_at is not null", "0");
    // The mark that was there when a claim only named the document.
    run("update precis_data.documents set doomed_at = clock_timestamp()");
    a_minute_later();
    retain(a, 30 * DAY_MS, INT64_MAX, INT64_MAX);
    assert_answer("select count(doomed_at) from precis_data.documents", "0");
    worker_free(a);
}

static void test_traces_and_results(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen old = *claim(a, "old", 0, "an old one"), young;
    intend(a, &old, 1, 1);
    ask_done(a, &old);
    next(a, STORE_RECORDED);
    run("update precis_data.attempts set answer = 'bad'");
    age(91);
    young = *claim(a, "young", 0, "a young one");
    finish(a, &young);
    retain(a, INT64_MAX, 90 * DAY_MS, INT64_MAX);
    assert_answer("select count(*) from precis_data.attempts where answer is not null", "0");
    assert_answer("select count(*) from precis_data.summaries", "2");
    run("update precis_data.retention set next_at = '-infinity'");
    retain(a, INT64_MAX, INT64_MAX, 90 * DAY_MS);
    assert_answer("select count(*) from precis_data.summaries", "1");
    assert_answer("select count(*) from precis_data.outcomes", "2");
    assert_answer("select count(*) from precis_data.documents", "2");
    assert_int_equal(claim(a, "old", 0, "an old one")->verdict, CLAIM_FINISHED);
    worker_free(a);
}

// Batches: a walk goes on where it was, and begins again.
static void test_a_walk_ends_and_begins_again(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    for (int i = 0; i < 5; i++) {
        char id[20];
        snprintf(id, sizeof(id), "walk-%d", i);
        struct seen job = *claim(a, id, 0, id);
        if (i != 2)
            finish(a, &job);
    }
    age(10);
    const char *batch = "select precis_data.retain(null, null, 86400000, 2)";
    run(batch);
    assert_answer("select count(*) from precis_data.summaries", "2");
    run(batch);
    run(batch);
    assert_answer("select count(*) from precis_data.summaries", "0");
    assert_answer("select after_job, next_at > now() from precis_data.retention"
                  " where what = 'results'",
                  "0");
    worker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_documents_of_jobs_that_ended, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_marked_document_is_wanted_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_traces_and_results, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_walk_ends_and_begins_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
