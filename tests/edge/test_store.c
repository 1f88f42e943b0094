// SPDX-License-Identifier: Apache-2.0
// The store on a real PostgreSQL: claims, intents and records with every verdict, takeover,
// release, and what the views make of them.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"

// ------------------------------------------------------------------------------- the way of a job

static void test_one_job(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "one", 0, "some text");
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_int_equal(claimed->owner, 7);
    assert_int_equal(claimed->epoch, 1);
    assert_int_equal(claimed->stop, STOP_NONE);
    assert_true(claimed->job_no > 0);
    assert_answer("select state || ' ' || waiting_for || ' ' || kafka_topic || ' '"
                  " || (labels->>'matter') || ' ' || submitted_at from precis.jobs",
                  "waiting order jobs 4711 2023-11-14 22:13:20.123+00");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    assert_answer("select state from precis.jobs", "running");
    struct seen *done = finish(a, claimed);
    assert_int_equal(done->verdict, RECORD_DONE);
    assert_int_equal(done->count, 1);
    assert_int_equal(done->announcement, ANNOUNCE_RESULT);
    assert_string_equal(done->key, "t/b/one");
    assert_non_null(strstr(done->text, "\"cost_usd\" : \"0.00375\""));
    assert_non_null(strstr(done->text, "\"input_tokens\" : 12500"));
    assert_non_null(strstr(done->text, "\"state\" : \"done\""));
    assert_answer("select state || ' ' || cost_usd || ' ' || attempts || ' ' || worker"
                  " from precis.jobs",
                  "done 0.00375 1 a");
    assert_answer("select array_to_string(key_points, '|') || '#' || warnings[1] || cost_usd"
                  " from precis.summaries",
                  "one \"quoted\"|two \\ back||NULL|{a,b}#cut0.00375");
    assert_answer(
        "select string_agg(concat_ws(',', point, path, quote, found, char_start, page), ';'"
        " order by found) from precis.citations",
        "/a/0,no,f;1,it says 'so',t,3,2");
    assert_answer("select document_uri || ' ' || pages from precis.summaries",
                  "file:///srv/msa.pdf 7");
    assert_answer("select call_id || ' ' || outcome || ' ' || cost_source || ' ' || cost_usd"
                  " || ' ' || key_name || ' ' || coalesce(at_most_usd::text, '-')"
                  " from precis.costs",
                  "t/b/one/0/1 ok exact 0.00375 main -");
    fetch_text(a, "no such");
    assert_string_equal(next(a, STORE_FETCHED)->text, "(null)");
    char sha256[65];
    text_sha256_hex("some text", 9, sha256);
    fetch_text(a, sha256);
    assert_string_equal(next(a, STORE_FETCHED)->text, "some text");
    a->ops->announced(a->store, ANNOUNCE_RESULT, done->id);
    settle(a);
    assert_answer("select count(*) from precis_data.outbox", "0");
    worker_free(a);
}

// Bytes come back as they were, NULs and all; the text that was made of them is the job's from then
// on, and stays the first.
static void test_documents(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    struct worker *a = worker_new("a");
    struct job_spec spec = spec_of("bytes", 0, "");
    char *data = own_alloc(BYTES), sha256[65];
    for (size_t i = 0; i < BYTES; i++)
        data[i] = (char)(i * 7 % 256);
    text_sha256_hex(data, BYTES, sha256);
    spec.document = DOCUMENT_DATA;
    spec.data = data;
    spec.data_len = BYTES;
    spec.media_type = own_strdup("application/pdf");
    memcpy(spec.document_sha256, sha256, sizeof(sha256));
    claim_spec(a, &spec, 7, ++a->serial, 42);
    struct seen *claimed = next(a, STORE_CLAIMED);
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_string_equal(claimed->reply.document_sha256, sha256);
    struct fetch_request request = {
        .owner = owner_of(7), .document_sha256 = sha256, .plain = true, .extractor = "pdf-1"};
    a->ops->fetch(a->store, &request);
    struct seen *fetched = next(a, STORE_FETCHED);
    assert_string_equal(fetched->text, "(null)");
    assert_true(fetched->known);
    assert_int_equal(fetched->count, 0);
    request.bytes = true;
    a->ops->fetch(a->store, &request);
    fetched = next(a, STORE_FETCHED);
    assert_int_equal(fetched->count, BYTES);
    assert_string_equal(fetched->key, sha256);
    static const char *const texts[] = {"one\f two", "another"};
    for (size_t i = 0; i < 2; i++) {
        struct text_row row = {.owner = owner_of(7),
                               .job_no = claimed->job_no,
                               .epoch = claimed->epoch,
                               .document_sha256 = sha256,
                               .extractor = "pdf-1",
                               .text = texts[i],
                               .text_len = strlen(texts[i]),
                               .pages = 2};
        a->ops->keep_text(a->store, &row);
        assert_false(next(a, STORE_KEPT)->broken);
        a->ops->fetch(a->store, &request);
        fetched = next(a, STORE_FETCHED);
        assert_string_equal(fetched->text, "one\f two");
        assert_int_equal(fetched->count, 0);
    }
    request.extractor = "pdf-2";
    a->ops->fetch(a->store, &request);
    assert_int_equal(next(a, STORE_FETCHED)->count, BYTES);
    job_spec_deinit(&spec);
    worker_free(a);
}

static void test_claim_verdicts(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *first = claim(a, "v", 1, "text");
    assert_int_equal(first->verdict, CLAIM_MINE);
    // The same request again is recognised by its serial; another of this worker is held.
    struct job_spec spec = spec_of("v", 1, "text");
    claim_spec(a, &spec, 7, a->serial, 42);
    struct seen *again = next(a, STORE_CLAIMED);
    assert_int_equal(again->verdict, CLAIM_MINE);
    assert_int_equal(again->job_no, first->job_no);
    assert_int_equal(again->epoch, 1);
    job_spec_deinit(&spec);
    struct seen *other = claim(a, "v", 1, "text");
    assert_int_equal(other->verdict, CLAIM_HELD);
    assert_int_equal(other->job_no, first->job_no);
    assert_int_equal(claim(b, "v", 1, "text")->verdict, CLAIM_HELD);
    assert_int_equal(claim(b, "v", 1, "other")->verdict, CLAIM_CONFLICT);
    assert_int_equal(claim(b, "v", 0, "text")->verdict, CLAIM_STALE);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    assert_int_equal(look_up(b, 0), LOOKUP_FREE);
    // A higher revision is a new run, and stops the older one.
    struct seen *second = claim(b, "v", 2, "text");
    assert_int_equal(second->verdict, CLAIM_MINE);
    assert_int_not_equal(second->job_no, first->job_no);
    struct seen *stopped = intend(a, first, 1, 1);
    assert_int_equal(stopped->verdict, INTENT_STOPPED);
    assert_int_equal(stopped->stop, STOP_SUPERSEDED);
    assert_int_equal(claim(b, "v", 1, "other")->verdict, CLAIM_STALE);
    finish(b, second);
    assert_int_equal(claim(a, "v", 2, "text")->verdict, CLAIM_FINISHED);
    assert_int_equal(look_up(a, second->job_no), LOOKUP_FINISHED);
    assert_answer("select string_agg(revision || state, ' ' order by revision) from precis.jobs"
                  " where job_id = 'v'",
                  "1waiting 2done");
    worker_free(a);
    worker_free(b);
}

// All of one group: the later ones of equal keys see what the first has done.
static void test_duplicates_in_one_group(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct job_spec same = spec_of("dup", 0, "x"), other = spec_of("dup", 0, "y"),
                    higher = spec_of("dup", 3, "z");
    claim_spec(a, &same, 1, 101, 1);
    claim_spec(a, &same, 2, 102, 2);
    claim_spec(a, &other, 3, 103, 3);
    claim_spec(a, &higher, 4, 104, 4);
    claim_spec(a, &other, 5, 105, 5);
    static const enum claim_verdict expected[] = {CLAIM_MINE, CLAIM_HELD, CLAIM_CONFLICT,
                                                  CLAIM_MINE, CLAIM_STALE};
    for (uint32_t i = 0; i < 5; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_int_equal(seen->owner, i + 1);
        assert_int_equal(seen->verdict, expected[i]);
    }
    job_spec_deinit(&same);
    job_spec_deinit(&other);
    job_spec_deinit(&higher);
    worker_free(a);
}

// Two whose leases are held by hand; SHORT_MS is what a taker's has to be unbroken for.
static void two_workers(struct worker **out_a, struct worker **out_b)
{
    test_lease_ms = SHORT_MS;
    *out_a = worker_new("a");
    *out_b = worker_new("b");
    hold_lease(*out_a);
    hold_lease(*out_b);
    test_lease_ms = LEASE_MS;
}

static void test_takeover(void **state)
{
    (void)state;
    struct worker *a, *b;
    two_workers(&a, &b);
    struct seen *first = claim(a, "take", 0, "text");
    assert_int_equal(intend(a, first, 1, 1)->verdict, INTENT_GO);
    struct attempt_result attempt = ok_attempt(1, 1);
    struct part_row part = {.plan_no = 1, .call_no = 1, .model = "m", .to = 5, .answer = "kept"};
    struct record_request request = {.owner = owner_of(9),
                                     .job_no = first->job_no,
                                     .epoch = 1,
                                     .attempt = &attempt,
                                     .part = &part};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_int_equal(intend(a, first, 2, 1)->verdict, INTENT_GO); // in doubt later
    // b's own lease has to be unbroken for one lease; a's has to have ended.
    wait_ms(SHORT_MS + 50);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    end_lease(a);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_FREE);
    assert_answer("select state || waiting_for from precis.jobs where job_id = 'take'",
                  "waitingclaimed");
    // a's lease has ended: no new call begins, and no claim.
    assert_int_equal(intend(a, first, 3, 1)->verdict, INTENT_NO_LEASE);
    struct seen *refused = claim(a, "take-new", 0, "text");
    assert_int_equal(refused->verdict, CLAIM_HELD);
    assert_int_equal(refused->job_no, 0);
    struct seen *taken = claim(b, "take", 0, "text");
    assert_int_equal(taken->verdict, CLAIM_MINE);
    assert_int_equal(taken->epoch, 2);
    assert_int_equal(taken->crashes, 1);
    assert_int_equal(taken->reply.plan_count, 1);
    assert_string_equal(taken->reply.plans[0].calls_json, "[[0, 10]]");
    assert_int_equal(taken->reply.part_count, 1);
    assert_string_equal(taken->reply.parts[0].answer, "kept");
    assert_int_equal(taken->reply.attempt_count, 2);
    assert_int_equal(taken->reply.attempts[0].outcome, ATTEMPT_OK);
    assert_int_equal(taken->reply.attempts[1].outcome, ATTEMPT_IN_DOUBT);
    assert_string_equal(taken->reply.attempts[1].code, "in_doubt");
    assert_answer("select coalesce(cost_usd::text, '-') || at_most_usd || cost_source"
                  " from precis.costs where job_id = 'take' and outcome = 'in_doubt'",
                  "-0.005in_doubt");
    // The fence: a's new attempts and outcome, even after it has renewed; its answer is kept.
    assert_true(renew(a)->broken);
    assert_int_equal(intend(a, first, 3, 1)->verdict, INTENT_FENCED);
    attempt.call_no = 2;
    part.call_no = 2;
    struct summary_row summary = a_summary();
    struct outcome_row outcome = {.state = JOB_DONE, .summary = &summary, .announce = true};
    request.outcome = &outcome;
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_FENCED);
    assert_answer(
        "select count(*) filter (where outcome = 'ok') || ' ' || trim_scale(sum(cost_usd))"
        " from precis.costs where job_id = 'take'",
        "2 0.0075");
    assert_answer("select count(*) from precis_data.parts p join precis_data.jobs j using (job_no)"
                  " where j.id = 'take'",
                  "2");
    assert_int_equal(finish(b, taken)->verdict, RECORD_DONE);
    assert_int_equal(look_up(a, first->job_no), LOOKUP_FINISHED);
    worker_free(a);
    worker_free(b);
}

// A worker whose own lease was broken waits for a lease before it takes over.
static void test_takeover_needs_an_unbroken_lease(void **state)
{
    (void)state;
    struct worker *a, *b;
    two_workers(&a, &b);
    struct seen *first = claim(a, "broken", 0, "text");
    end_lease(a);
    edge_pg_run(&test_pg, "update precis_data.workers set unbroken_since = clock_timestamp()"
                          " + interval '1 minute' where name = 'b'");
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    assert_int_equal(claim(b, "broken", 0, "text")->verdict, CLAIM_HELD);
    edge_pg_run(&test_pg, "update precis_data.workers set unbroken_since = clock_timestamp()"
                          " - interval '1 minute' where name = 'b'");
    assert_int_equal(look_up(b, first->job_no), LOOKUP_FREE);
    end_lease(b);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    hold_lease(b);
    assert_int_equal(claim(b, "broken", 0, "text")->verdict, CLAIM_MINE);
    worker_free(a);
    worker_free(b);
}

static void test_release(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *open = claim(a, "rel", 0, "text");
    struct seen *done = claim(a, "rel-done", 0, "text");
    finish(a, done);
    a->ops->release(a->store);
    next(a, STORE_RELEASED);
    assert_int_equal(look_up(b, open->job_no), LOOKUP_FREE);
    assert_answer("select state from precis.jobs where job_id = 'rel'", "queued");
    assert_answer("select state from precis.workers where worker = 'a' order by started_at desc",
                  "ended");
    struct seen *taken = claim(b, "rel", 0, "text");
    assert_int_equal(taken->verdict, CLAIM_MINE);
    assert_int_equal(taken->epoch, 2);
    assert_int_equal(taken->crashes, 0);
    worker_free(a);
    worker_free(b);
}

static void test_intents(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "int", 0, "text");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO); // the answer was lost
    struct seen other = *claimed;
    other.epoch = 9;
    assert_int_equal(intend(a, &other, 1, 2)->verdict, INTENT_FENCED);
    edge_pg_run(&test_pg,
                "insert into precis_data.cancels (tenant, batch, id) values ('t', 'b', 'int')");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO); // it was said before
    struct seen *stopped = intend(a, claimed, 1, 2);
    assert_int_equal(stopped->verdict, INTENT_STOPPED);
    assert_int_equal(stopped->stop, STOP_CANCELLED);
    assert_answer("select count(*) from precis.costs where job_id = 'int'", "1");
    struct outcome_row outcome = {.state = JOB_CANCELLED, .error_code = "cancelled"};
    struct record_request request = {
        .owner = owner_of(9), .job_no = claimed->job_no, .epoch = 1, .outcome = &outcome};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_answer("select count(*) from precis_data.cancels", "0"); // gone with its job
    assert_int_equal(intend(a, claimed, 1, 3)->verdict, INTENT_FENCED);
    // A cancelled batch stops its jobs, also those claimed later.
    edge_pg_run(&test_pg, "insert into precis_data.batches (tenant, name, cancelled_at)"
                          " values ('t', 'gone', now())");
    struct job_spec spec = spec_of("late", 0, "text");
    free(spec.batch);
    spec.batch = own_strdup("gone");
    claim_spec(a, &spec, 7, ++a->serial, 1);
    struct seen *late = next(a, STORE_CLAIMED);
    assert_int_equal(late->verdict, CLAIM_MINE);
    assert_int_equal(late->stop, STOP_CANCELLED);
    job_spec_deinit(&spec);
    worker_free(a);
}

// ------------------------------------------------------------------------------- the rest

static void test_batches_add_up(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *jobs[4];
    for (int i = 0; i < 4; i++) {
        char id[20];
        snprintf(id, sizeof(id), "n%d", i);
        struct job_spec spec = spec_of(id, 0, "text");
        free(spec.batch);
        spec.batch = own_strdup("counted");
        claim_spec(a, &spec, 7, ++a->serial, 42);
        jobs[i] = next(a, STORE_CLAIMED);
        job_spec_deinit(&spec);
    }
    finish(a, jobs[0]);
    fail_job(a, jobs[1], 902);
    intend(a, jobs[2], 1, 1);
    static const char counts[] =
        "select concat_ws(' ', state, total, queued, waiting, running, done, failed, cancelled)"
        " from precis.batches where batch = 'counted'";
    assert_answer(counts, "open 4 0 1 1 1 1 0");
    struct seal_request seal = {
        .owner = owner_of(2), .tenant = "t", .batch = "counted", .total = 6};
    a->ops->seal(a->store, &seal);
    assert_int_equal(next(a, STORE_SEALED)->owner, 2);
    assert_answer(counts, "sealed 6 2 1 1 1 1 0");
    a->ops->waiting(a->store, jobs[3]->job_no, "tokens", 1700000000000);
    a->ops->waiting(a->store, jobs[3]->job_no, "requests", 1700000000000);
    settle(a);
    assert_answer("select waiting_for || ' ' || earliest_start_at from precis.jobs"
                  " where job_id = 'n3'",
                  "requests 2023-11-14 22:13:20+00");
    a->ops->waiting(a->store, jobs[3]->job_no, NULL, 0);
    finish(a, jobs[2]);
    finish(a, jobs[3]);
    seal.total = 4;
    a->ops->seal(a->store, &seal);
    next(a, STORE_SEALED);
    assert_answer(counts, "ended 4 0 0 0 3 1 0");
    assert_answer("select cost_usd || ' ' || in_doubt_usd || ' ' || (finished_at is not null)"
                  " from precis.batches where batch = 'counted'",
                  "0.01125 0 true");
    worker_free(a);
}

static void test_renew(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *renewed = renew(a);
    assert_false(renewed->broken);
    assert_true(renewed->id > 1700000000000);
    end_lease(a);
    assert_true(renew(a)->broken);
    assert_false(renew(a)->broken);
    // A failover that lost the row: registered again, under another number.
    int64_t before = store_worker_id(a->store);
    edge_pg_run(&test_pg, "delete from precis_data.workers");
    assert_true(renew(a)->broken);
    assert_int_not_equal(store_worker_id(a->store), before);
    assert_int_equal(claim(a, "after", 0, "text")->verdict, CLAIM_MINE);
    worker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_job),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_claim_verdicts),
        cmocka_unit_test(test_duplicates_in_one_group),
        cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_takeover_needs_an_unbroken_lease),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_intents),
        cmocka_unit_test(test_batches_add_up),
        cmocka_unit_test(test_renew),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
