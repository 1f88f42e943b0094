// SPDX-License-Identifier: Apache-2.0
// The store on a real PostgreSQL: dead letters, messages for newer workers, the outbox, jobs that
// were reopened, partitions and suspects.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"

// ------------------------------------------------------------------------------- dead letters

static void test_dead_letters(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "dead", 0, "text");
    struct seen *failed = fail_job(a, claimed, 900);
    assert_int_equal(failed->verdict, RECORD_DONE);
    assert_int_equal(failed->count, 1);
    assert_int_equal(failed->announcement, ANNOUNCE_DEAD_LETTER);
    static const char *const parts[] = {"traceparent=00-a;",
                                        "x=NULL;",
                                        "precis-error-code=http_503;",
                                        "precis-job=t/b/dead;",
                                        "precis-topic=jobs;",
                                        "precis-partition=3;",
                                        "precis-offset=900;",
                                        "precis-attempts=6;",
                                        "precis-suggestion=Later.;",
                                        "precis-worker=a;",
                                        "precis-timestamp=1700000000000;",
                                        "precis-failed-at=20",
                                        "precis-error=xAI API error 503: busy.;"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(failed->headers, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], failed->headers);
    }
    assert_string_equal(failed->text, "{\"not\": \xff");
    assert_answer("select encode(key, 'hex') || labels::text from precis.dead_letters"
                  " where job_id = 'dead'",
                  "746865006b6579{\"matter\": \"4711\"}");
    a->ops->announced(a->store, ANNOUNCE_DEAD_LETTER, failed->id);
    settle(a);
    struct seen *again = fail_job(a, claimed, 900);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 0);
    worker_free(a);
}

static void bury(struct worker *worker, const struct message *message, enum bury_kind kind)
{
    struct failure failure;
    failure_set(&failure, ERR_BAD_MESSAGE, "not JSON at byte %d", 8);
    struct bury_request request = {.owner = owner_of(4),
                                   .kind = kind,
                                   .message = message,
                                   .version = kind == BURY_LATER ? 2 : 0,
                                   .failure = &failure};
    worker->ops->bury(worker->store, &request);
}

static void test_bury(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct message message = a_message(77);
    bury(a, &message, BURY_DEAD);
    struct seen *buried = next(a, STORE_BURIED);
    assert_int_equal(buried->owner, 4);
    assert_int_equal(buried->count, 1);
    assert_non_null(strstr(buried->headers, "precis-error-code=bad_message;"));
    assert_non_null(strstr(buried->headers, "precis-error=not JSON at byte 8;"));
    bury(a, &message, BURY_DEAD); // redelivered
    assert_int_equal(next(a, STORE_BURIED)->count, 0);
    assert_answer("select count(*) from precis.dead_letters where kafka_offset = 77", "1");
    // A value that no topic takes stays in the table.
    char *large = own_alloc(1000001);
    memset(large, 'x', 1000000);
    struct message big = {
        .topic = "jobs", .offset = 78, .timestamp_ms = -1, .value = large, .value_len = 1000000};
    bury(a, &big, BURY_DEAD);
    buried = next(a, STORE_BURIED);
    assert_string_equal(buried->text, "");
    assert_non_null(strstr(buried->headers, "precis-stored=dead_letters:"));
    assert_answer("select length(value) from precis.dead_letters where kafka_offset = 78",
                  "1000000");
    free(large);
    worker_free(a);
}

// A name that no index takes: the message is kept all the same, without it.
static void test_bury_without_a_name(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    char name[9001] = "";
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof(name) - 1; i++) {
        random = random * 1664525 + 1013904223;
        name[i] = (char)('a' + (random >> 24) % 26);
    }
    struct message message = a_message(79);
    struct failure failure;
    failure_set(&failure, ERR_BAD_FIELD, "id: too long");
    struct bury_request request = {.owner = owner_of(4),
                                   .kind = BURY_DEAD,
                                   .message = &message,
                                   .tenant = "t",
                                   .batch = "b",
                                   .job_id = name,
                                   .failure = &failure};
    a->ops->bury(a->store, &request);
    struct seen *buried = next(a, STORE_BURIED);
    assert_int_equal(buried->count, 1);
    assert_non_null(strstr(buried->headers, "precis-error-code=bad_field;"));
    assert_answer("select coalesce(job_id, '-') || ' ' || encode(key, 'hex')"
                  " from precis.dead_letters where kafka_offset = 79",
                  "- 746865006b6579");
    worker_free(a);
}

static void test_later_messages(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct message message = a_message(500);
    bury(a, &message, BURY_LATER);
    assert_int_equal(next(a, STORE_BURIED)->count, 0);
    bury(a, &message, BURY_LATER);
    next(a, STORE_BURIED);
    assert_answer("select job_id || state || waiting_for from precis.jobs where kafka_offset = 500",
                  "jobs:3:500waitingversion");
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0); // still too new
    edge_pg_run(&test_pg, "update precis_data.later_messages set version = 1");
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    struct seen *taken = next(a, STORE_REQUEUED);
    assert_int_equal(taken->count, 1);
    assert_int_equal(taken->job_no, 0);
    assert_int_equal(taken->id, 500);
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0); // this worker has it
    struct job_spec spec = spec_of("was-later", 0, "text");
    claim_spec(a, &spec, 7, ++a->serial, 500);
    struct seen *claimed = next(a, STORE_CLAIMED);
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_answer("select count(*) from precis_data.later_messages", "0");
    assert_answer("select count(*) from precis_data.requeued", "1");
    finish(a, claimed);
    assert_answer("select count(*) from precis_data.requeued", "0");
    job_spec_deinit(&spec);
    worker_free(a);
}

static void test_requeued(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *claimed = claim(a, "again", 0, "text");
    intend(a, claimed, 1, 1);
    fail_job(a, claimed, 901);
    // What `retry` does.
    edge_pg_run(&test_pg,
                "with j as (select job_no from precis_data.jobs where id = 'again'),"
                " o as (delete from precis_data.outcomes where job_no in (select * from j)),"
                " c as (update precis_data.claims set worker_id = null, stop = null,"
                "  reopened_at = clock_timestamp(), reopened_epoch = epoch + 1"
                "  where job_no in (select * from j))"
                " insert into precis_data.requeued (job_no) select * from j");
    assert_answer("select state from precis.jobs where job_id = 'again'", "queued");
    b->ops->take_requeued(b->store, &(struct take_request){.limit = 10, .least_priority = -1});
    struct seen *taken = next(b, STORE_REQUEUED);
    assert_int_equal(taken->count, 1);
    assert_int_equal(taken->job_no, claimed->job_no);
    assert_string_equal(taken->text, "{\"v\": 1}");
    assert_string_equal(taken->key, "t/b/again");
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0);
    // The message that Kafka may bring once more is not needed.
    struct seen *kept = claim(b, "again", 0, "text");
    assert_int_equal(kept->verdict, CLAIM_PARKED);
    assert_int_equal(kept->job_no, claimed->job_no);
    b->takes = true;
    struct seen *reopened = claim(b, "again", 0, "text");
    assert_int_equal(reopened->verdict, CLAIM_MINE);
    assert_int_equal(reopened->epoch, 2);
    assert_int_equal(reopened->crashes, 0);
    assert_int_equal(reopened->reply.attempt_count, 1);
    assert_true(reopened->reply.attempts[0].reopened);
    // The failed run's late answer does not end the new one.
    assert_int_equal(finish(a, claimed)->verdict, RECORD_FENCED);
    assert_int_equal(fail_job(b, reopened, 901)->count, 1);
    assert_answer("select count(*) from precis.dead_letters where kafka_offset = 901", "1");
    assert_answer("select count(*) from precis_data.requeued", "0");
    worker_free(a);
    worker_free(b);
}

static void test_sweep(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    edge_pg_run(&test_pg, "delete from precis_data.outbox");
    edge_pg_run(&test_pg, "update precis_data.dead_letters set announced_at = now()");
    struct seen *claimed = claim(a, "swept", 0, "text");
    struct seen *done = finish(a, claimed);
    a->ops->sweep(a->store, 10);
    assert_int_equal(next(a, STORE_SWEPT)->count, 0); // too young
    edge_pg_run(&test_pg, "update precis_data.outbox set created_at = now() - interval '11 s'");
    a->ops->sweep(a->store, 10);
    struct seen *swept = next(a, STORE_SWEPT);
    assert_int_equal(swept->count, 1);
    assert_int_equal(swept->id, done->id);
    assert_string_equal(swept->text, done->text);
    a->ops->sweep(a->store, 10);
    assert_int_equal(next(a, STORE_SWEPT)->count, 0); // swept just now
    edge_pg_run(&test_pg, "update precis_data.dead_letters set announced_at = null,"
                          " failed_at = now() - interval '11 s' where kafka_offset = 77");
    a->ops->sweep(a->store, 10);
    swept = next(a, STORE_SWEPT);
    assert_int_equal(swept->count, 1);
    assert_int_equal(swept->announcement, ANNOUNCE_DEAD_LETTER);
    assert_non_null(strstr(swept->headers, "precis-offset=77;"));
    worker_free(a);
}

// ------------------------------------------------------------------------------- partitions

static struct seen *begin(struct worker *worker, const char *topic, int32_t partition)
{
    worker->ops->partition_begin(worker->store, topic, partition);
    return next(worker, STORE_PARTITION);
}

static void assert_begun(const struct seen *seen, bool known, bool topic_known, bool unclean)
{
    assert_int_equal(seen->known, known);
    assert_int_equal(seen->topic_known, topic_known);
    assert_int_equal(seen->unclean, unclean);
}

static void test_partitions(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    edge_pg_run(&test_pg, "delete from precis_data.partitions");
    assert_begun(begin(a, "jobs", 3), false, false, false);
    assert_begun(begin(b, "jobs", 3), false, false, true); // nothing was read there yet
    assert_int_equal(claim(b, "part", 0, "text")->verdict, CLAIM_MINE);
    b->ops->partition_clean(b->store, "jobs", 3);
    settle(b);
    assert_begun(begin(a, "jobs", 3), true, true, false);
    assert_begun(begin(b, "jobs", 3), true, true, true);
    assert_begun(begin(b, "jobs", 3), true, true, false); // its own
    assert_begun(begin(b, "jobs", 4), false, false, false);
    edge_pg_run(&test_pg, "update precis_data.partitions set known_since = now() - interval '61 s'"
                          " where partition = 3");
    assert_begun(begin(b, "jobs", 5), false, true, false); // a new partition of a known topic
    a->ops->partition_clean(a->store, "jobs", 4);          // not its own
    settle(a);
    assert_begun(begin(a, "jobs", 4), false, true, true);
    worker_free(a);
    worker_free(b);
}

static size_t suspect(struct worker *worker, int64_t offset)
{
    worker->ops->suspect(worker->store, "jobs", 3, offset);
    return next(worker, STORE_SUSPECTED)->count;
}

static void test_suspects(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    assert_int_equal(suspect(a, 10), 1);
    assert_int_equal(suspect(b, 10), 2);
    assert_int_equal(suspect(b, 11), 1); // 10 was parsed: it is innocent
    assert_int_equal(suspect(a, 10), 1);
    assert_int_equal(suspect(a, 11), 2);
    assert_int_equal(suspect(b, 11), 3);
    assert_int_equal(suspect(b, 12), 1); // 11 was not parsed but buried, and may come again
    assert_int_equal(suspect(a, 11), 4);
    a->ops->suspects_clear(a->store, "jobs", 3, 12);
    settle(a);
    assert_int_equal(suspect(a, 11), 1);
    assert_int_equal(suspect(a, 12), 2);
    worker_free(a);
    worker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_bury),
        cmocka_unit_test(test_bury_without_a_name),
        cmocka_unit_test(test_later_messages),
        cmocka_unit_test(test_requeued),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_suspects),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
