// SPDX-License-Identifier: Apache-2.0
// The store on a real PostgreSQL that is killed, deaf, refuses rows, does not fit, or is not
// there.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"
#include "edge_proxy.h"
#include "io/pg_query.h"

// ------------------------------------------------------------------------------- twice

static void test_records_twice(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "twice", 0, "text");
    intend(a, claimed, 1, 1);
    struct seen *once = finish(a, claimed);
    struct seen *again = finish(a, claimed);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 1); // still to be announced
    assert_int_equal(again->id, once->id);
    edge_pg_run(&test_pg, "delete from precis_data.outbox");
    again = finish(a, claimed);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 0); // announced by somebody else
    assert_answer("select count(*) from precis.summaries where job_id = 'twice'", "1");
    assert_answer("select count(*) from precis.citations where job_id = 'twice'", "2");
    assert_answer("select sum(cost_usd) from precis.costs where job_id = 'twice'", "0.00375");
    worker_free(a);
}

// How many there were: 0 while the store connects.
static long kill_backends(const char *name)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select count(pg_terminate_backend(pid)) from pg_stat_activity"
             " where application_name = 'precis:%s' and datname = current_database()",
             name);
    char *answer = edge_pg_ask(&test_pg, sql);
    long count = strtol(answer, NULL, 10);
    free(answer);
    return count;
}

// The connection is killed under load: every request is answered, once.
static void test_killed_connections(void **state)
{
    (void)state;
    enum { JOBS = 300 };
    struct worker *a = worker_new("killed");
    bool answered[JOBS] = {0};
    size_t before = a->seen_len;
    for (uint32_t i = 0; i < JOBS; i++) {
        char id[20];
        snprintf(id, sizeof(id), "kill-%u", i);
        struct job_spec spec = spec_of(id, 0, "text");
        claim_spec(a, &spec, i, 1000 + i, i);
        job_spec_deinit(&spec);
        if (i % 50 == 49) {
            run_until(a, before + i / 2, 0, 4);
            kill_backends("killed");
        }
    }
    assert_true(run_until(a, before + JOBS, 0, 20000));
    wait_ms(100);
    assert_int_equal(a->seen_len, before + JOBS);
    assert_true(a->downs >= 1);
    for (size_t i = 0; i < JOBS; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_int_equal(seen->verdict, CLAIM_MINE);
        assert_int_equal(seen->epoch, 1);
        assert_false(answered[seen->owner]);
        answered[seen->owner] = true;
    }
    worker_free(a);
}

// More than the socket takes: libpq then reads while it writes, and answers that it has read are
// not announced by the socket any more.
static void test_large_units_are_answered_at_once(void **state)
{
    (void)state;
    enum { ROUNDS = 4, JOBS = 40, BYTES = 100000 };
    struct worker *a = worker_new("large");
    char *text = own_alloc(BYTES + 1);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < JOBS; i++) {
            for (size_t at = 0; at < BYTES; at++)
                text[at] = (char)('a' + (at * 7 + i * 13 + round) % 25);
            char id[40];
            snprintf(id, sizeof(id), "large-%u-%u", round, i);
            struct job_spec spec = spec_of(id, 0, text);
            claim_spec(a, &spec, i, ++a->serial, i);
            job_spec_deinit(&spec);
        }
        assert_true(run_until(a, a->taken + JOBS, 0, 15000)); // a lost wake-up costs 45 s
        for (uint32_t i = 0; i < JOBS; i++)
            assert_int_equal(next(a, STORE_CLAIMED)->verdict, CLAIM_MINE);
    }
    assert_int_equal(a->downs, 0);
    free(text);
    worker_free(a);
}

// ------------------------------------------------------------------------------- lost answers

struct deaf {
    struct worker *worker;
    struct edge_proxy *proxy;
};

static struct deaf deaf_new(const char *name)
{
    char dsn[300];
    struct deaf deaf;
    deaf.proxy = edge_proxy_new(&test_loop, test_pg.dsn, dsn);
    deaf.worker = worker_new_on(dsn, name);
    assert_true(run_until(deaf.worker, 0, 1, 10000));
    return deaf;
}

static void deaf_free(struct deaf *deaf)
{
    worker_free(deaf->worker);
    edge_proxy_free(deaf->proxy);
    wait_ms(10);
}

static void go_deaf(struct deaf *deaf)
{
    edge_proxy_set_deaf(deaf->proxy, true);
}

// What was asked is committed (the query says "t"), and nobody has heard of it; then the
// connection breaks.
static void cut_after(struct deaf *deaf, const char *committed)
{
    size_t before = deaf->worker->seen_len;
    for (int i = 0;; i++) {
        wait_ms(10);
        char *answer = edge_pg_ask(&test_pg, committed);
        bool there = answer && strcmp(answer, "t") == 0;
        free(answer);
        if (there)
            break;
        assert_true(i < 500);
    }
    assert_int_equal(deaf->worker->seen_len, before);
    edge_proxy_cut(deaf->proxy);
}

static void test_lost_claim_intent_record(void **state)
{
    (void)state;
    struct deaf deaf = deaf_new("deaf");
    struct worker *a = deaf.worker;
    struct job_spec spec = spec_of("lost", 0, "text");
    go_deaf(&deaf);
    claim_spec(a, &spec, 7, 1, 42);
    cut_after(&deaf, "select exists (select from precis.jobs where job_id = 'lost')");
    struct seen *claimed = next(a, STORE_CLAIMED);
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_int_equal(claimed->epoch, 1);
    go_deaf(&deaf);
    ask_intent(a, claimed, 1, 1);
    cut_after(&deaf, "select exists (select from precis.costs where job_id = 'lost')");
    assert_int_equal(next(a, STORE_INTENDED)->verdict, INTENT_GO);
    go_deaf(&deaf);
    ask_done(a, claimed);
    cut_after(&deaf, "select exists (select from precis.summaries where job_id = 'lost')");
    struct seen *done = next(a, STORE_RECORDED);
    assert_int_equal(done->verdict, RECORD_DONE);
    assert_int_equal(done->count, 1);
    assert_answer("select count(*) || ' ' || sum(cost_usd) from precis.costs"
                  " where job_id = 'lost'",
                  "1 0.00375");
    job_spec_deinit(&spec);
    deaf_free(&deaf);
}

static void test_lost_begin_and_suspect(void **state)
{
    (void)state;
    struct deaf deaf = deaf_new("deaf");
    struct worker *a = deaf.worker;
    go_deaf(&deaf);
    a->ops->partition_begin(a->store, "lossy", 0);
    cut_after(&deaf, "select exists (select from precis_data.partitions where topic = 'lossy')");
    struct seen *begun = next(a, STORE_PARTITION);
    assert_false(begun->known);
    assert_false(begun->unclean);
    edge_pg_run(&test_pg, "update precis_data.partitions set used = true, worker_id = -1"
                          " where topic = 'lossy'");
    go_deaf(&deaf);
    a->ops->partition_begin(a->store, "lossy", 0);
    cut_after(&deaf, "select worker_id > 0 from precis_data.partitions where topic = 'lossy'");
    begun = next(a, STORE_PARTITION);
    assert_true(begun->known);
    assert_true(begun->unclean);
    go_deaf(&deaf);
    a->ops->suspect(a->store, "lossy", 0, 5);
    cut_after(&deaf, "select exists (select from precis_data.suspects where topic = 'lossy')");
    assert_int_equal(next(a, STORE_SUSPECTED)->count, 1);
    a->ops->suspect(a->store, "lossy", 0, 5);
    assert_int_equal(next(a, STORE_SUSPECTED)->count, 2);
    deaf_free(&deaf);
}

static void test_lost_taking_and_burial(void **state)
{
    (void)state;
    struct deaf deaf = deaf_new("deaf");
    struct worker *a = deaf.worker;
    struct message message = a_message(4000);
    struct bury_request request = {.owner = owner_of(4), .kind = BURY_DEAD, .message = &message};
    go_deaf(&deaf);
    a->ops->bury(a->store, &request);
    cut_after(&deaf, "select exists (select from precis.dead_letters where kafka_offset = 4000)");
    assert_int_equal(next(a, STORE_BURIED)->count, 0); // a sweep announces it
    struct seen *claimed = claim(a, "taken", 0, "text");
    finish(a, claimed);
    edge_pg_run(&test_pg,
                "with o as (delete from precis_data.outcomes where id = 'taken' returning job_no)"
                " insert into precis_data.requeued (job_no) select job_no from o");
    go_deaf(&deaf);
    a->ops->take_requeued(a->store, &(struct take_request){.limit = 10, .least_priority = -1});
    cut_after(&deaf, "select exists (select from precis_data.requeued where taken_by > 0)");
    struct seen *taken = next(a, STORE_REQUEUED);
    assert_int_equal(taken->count, 1);
    assert_int_equal(taken->job_no, claimed->job_no);
    deaf_free(&deaf);
}

static void test_lost_renewal_and_release(void **state)
{
    (void)state;
    struct deaf deaf = deaf_new("deaf");
    struct worker *a = deaf.worker, *b = worker_new("b");
    struct seen *claimed = claim(a, "left", 0, "text");
    end_lease(a);
    go_deaf(&deaf);
    a->ops->renew(a->store);
    cut_after(&deaf, "select state = 'live' from precis.workers where worker = 'deaf'"
                     " order by started_at desc");
    assert_true(next(a, STORE_RENEWED)->broken); // it was, though the row says so no more
    go_deaf(&deaf);
    a->ops->release(a->store);
    cut_after(&deaf, "select worker_id is null from precis_data.claims c"
                     " join precis_data.jobs j using (job_no) where j.id = 'left'");
    next(a, STORE_RELEASED);
    struct seen *taken = claim(b, "left", 0, "text");
    assert_int_equal(taken->verdict, CLAIM_MINE);
    assert_int_equal(taken->job_no, claimed->job_no);
    worker_free(b);
    deaf_free(&deaf);
}

// The beginning of an answer and a reset in one go: the end has to be seen behind the data.
static void test_reset_behind_an_answer(void **state)
{
    (void)state;
    struct deaf deaf = deaf_new("reset");
    struct worker *a = deaf.worker;
    enum { BYTES = 1000000 };
    char *text = own_alloc(BYTES + 1), sha256[65];
    memset(text, 'x', BYTES);
    text_sha256_hex(text, BYTES, sha256);
    claim(a, "reset", 0, text);
    edge_proxy_reset_next(deaf.proxy);
    fetch_text(a, sha256);
    struct seen *fetched = next(a, STORE_FETCHED);
    assert_int_equal(fetched->text[3000], 'x');
    assert_int_equal(a->downs, 1);
    free(text);
    deaf_free(&deaf);
}

// ------------------------------------------------------------------------------- two at once

enum { CROWD = 1200, WAVE = 100 };

static void claim_wave(struct worker *worker, uint32_t wave, uint32_t step)
{
    for (uint32_t i = 0; i < WAVE; i++) {
        uint32_t n = wave * WAVE + (i * step + 7) % WAVE; // each worker in an order of its own
        char id[30];
        snprintf(id, sizeof(id), "crowd-%04u", n);
        struct job_spec spec = spec_of(id, 0, "text");
        claim_spec(worker, &spec, n, 5000 + n, n);
        job_spec_deinit(&spec);
    }
}

static void finish_crowd(struct worker *worker, struct seen *const *mine)
{
    for (size_t i = 0; i < CROWD; i++) {
        if (mine[i])
            ask_done(worker, mine[i]);
    }
    for (size_t i = 0; i < CROWD; i++) {
        if (mine[i])
            assert_int_equal(next(worker, STORE_RECORDED)->verdict, RECORD_DONE);
    }
}

// Claims and verdicts of one worker; those that are its own in `mine`.
static size_t sort_out(struct worker *worker, struct seen **mine)
{
    size_t count = 0;
    for (int i = 0; i < CROWD; i++) {
        struct seen *seen = next(worker, STORE_CLAIMED);
        assert_true(seen->verdict == CLAIM_MINE || seen->verdict == CLAIM_HELD);
        if (seen->verdict == CLAIM_MINE) {
            assert_null(mine[seen->owner]);
            mine[seen->owner] = seen;
            count++;
        }
    }
    return count;
}

// Two workers claim the same jobs at the same time, in different orders, while the connections
// break again and again: each job is one worker's, and nobody waits for ever.
static void test_two_workers_and_one_crowd(void **state)
{
    (void)state;
    struct deaf deaf[2] = {deaf_new("deaf"), deaf_new("deafer")};
    struct worker *a = deaf[0].worker, *b = deaf[1].worker;
    struct seen *mine_of_a[CROWD] = {0}, *mine_of_b[CROWD] = {0};
    for (uint32_t wave = 0; wave < CROWD / WAVE; wave++) {
        struct deaf *cut = &deaf[wave % 2];
        claim_wave(a, wave, 7);
        claim_wave(b, wave, 11);
        edge_proxy_set_deaf(cut->proxy, wave % 4 < 2);
        run_until(cut->worker, cut->worker->seen_len + 1, 0, 4 + wave % 3 * 4);
        edge_proxy_cut(cut->proxy);
        run_until(cut->worker, 0, cut->worker->ups + 1, 1000);
    }
    assert_true(a->downs >= 3 && b->downs >= 3);
    size_t of_a = sort_out(a, mine_of_a), of_b = sort_out(b, mine_of_b);
    assert_int_equal(of_a + of_b, CROWD);
    for (int i = 0; i < CROWD; i++)
        assert_true((mine_of_a[i] != NULL) != (mine_of_b[i] != NULL));
    finish_crowd(b, mine_of_b);
    finish_crowd(a, mine_of_a);
    assert_answer("select count(*) || ' ' || sum(attempts) || ' ' || trim_scale(sum(cost_usd))"
                  " from precis.jobs where job_id like 'crowd-%' and state = 'done'",
                  "1200 1200 4.5");
    print_message("%zu and %zu jobs, %d and %d breaks\n", of_a, of_b, a->downs, b->downs);
    deaf_free(&deaf[0]);
    deaf_free(&deaf[1]);
}

// ------------------------------------------------------------------------------- bad rows

static void test_bad_rows_stand_alone(void **state)
{
    (void)state;
    enum { JOBS = 60, BAD = 37 };
    struct worker *a = worker_new("a");
    for (uint32_t i = 0; i < JOBS; i++) {
        char id[20];
        snprintf(id, sizeof(id), "bad-%02u", i);
        struct job_spec spec = spec_of(id, 0, "text");
        if (i == BAD) {
            free(spec.labels_json);
            spec.labels_json = own_strdup("{\"SECRET\": }");
        }
        claim_spec(a, &spec, i, 2000 + i, i);
        job_spec_deinit(&spec);
    }
    struct seen *claims[JOBS] = {0};
    for (int i = 0; i < JOBS; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_null(claims[seen->owner]);
        claims[seen->owner] = seen;
        assert_int_equal(seen->verdict, seen->owner == BAD ? CLAIM_REJECTED : CLAIM_MINE);
    }
    assert_string_equal(claims[BAD]->sqlstate, "22P02");
    struct summary_row summary = a_summary();
    struct outcome_row outcome = {.state = JOB_DONE, .summary = &summary};
    for (uint32_t i = 0; i < JOBS; i++) {
        summary.output_json = i == 5 ? "{\"a\": \"\\u0000\"}" : "{}";
        struct record_request request = {
            .owner = owner_of(i), .job_no = claims[i]->job_no, .epoch = 1, .outcome = &outcome};
        if (i != BAD)
            a->ops->record(a->store, &request);
    }
    for (int i = 0; i < JOBS - 1; i++) {
        struct seen *seen = next(a, STORE_RECORDED);
        assert_int_equal(seen->verdict, seen->owner == 5 ? RECORD_REJECTED : RECORD_DONE);
        if (seen->owner == 5)
            assert_string_equal(seen->sqlstate, "22P05");
    }
    assert_answer("select count(*) from precis.jobs where job_id like 'bad-%' and state = 'done'",
                  "58");
    worker_free(a);
}

static void test_dirty_text(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "dirty", 0, "text");
    struct attempt_result attempt = ok_attempt(1, 1);
    attempt.outcome = ATTEMPT_FAILED;
    attempt.error = "bad \xff\xfe bytes";
    attempt.answer = "\"\\{},NULL";
    attempt.request_id = "\xed\xa0\x80";
    struct record_request request = {
        .owner = owner_of(9), .job_no = claimed->job_no, .epoch = 1, .attempt = &attempt};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_answer("select error || '|' || answer from precis_data.attempts a"
                  " join precis_data.jobs j using (job_no) where j.id = 'dirty'",
                  "bad \xef\xbf\xbd\xef\xbf\xbd bytes|\"\\{},NULL");
    worker_free(a);
}

static void test_schema_is_checked(void **state)
{
    (void)state;
    char dsn[300], *slash;
    snprintf(dsn, sizeof(dsn), "%s", test_pg.dsn);
    slash = strrchr(dsn, '/');
    snprintf(slash, sizeof(dsn) - (size_t)(slash - dsn), "/postgres"); // no precis in there
    struct worker *old = worker_new_on(dsn, "old");
    run_until(old, 0, 1, 10000);
    assert_non_null(strstr(old->refused, "precis migrate"));
    assert_int_equal(old->ups, 0);
    worker_free(old);
    edge_pg_run(&test_pg,
                "insert into precis_data.migrations (version, name, sha256, oldest_program)"
                " values (900, 'newer', '', '99.0.0')");
    struct worker *too_new = worker_new_on(test_pg.dsn, "new");
    run_until(too_new, 0, 1, 10000);
    assert_non_null(strstr(too_new->refused, "Upgrade"));
    worker_free(too_new);
    edge_pg_run(&test_pg, "delete from precis_data.migrations where version = 900");
}

// Names are resolved on the loop, every address of a name and every host of a list is tried. A host
// that is not this machine asks for verified TLS, unless the conninfo says otherwise.
static void test_hosts(void **state)
{
    (void)state;
    char user[100], rest[100];
    int port;
    assert_int_equal(sscanf(test_pg.dsn, "postgresql://%99[^@]@%*[^:]:%d%99s", user, &port, rest),
                     3);
    char forms[3][400], refused[400];
    snprintf(refused, sizeof(refused), "postgresql://%s@elsewhere.invalid,127.0.0.1:%d%s", user,
             port, rest);
    snprintf(forms[0], sizeof(forms[0]), "postgresql://%s@localhost:%d%s", user, port, rest);
    snprintf(forms[1], sizeof(forms[1]),
             "postgresql://%s@no-such-host.invalid:%d,127.0.0.1:%d%s?sslmode=disable", user, port,
             port, rest);
    snprintf(forms[2], sizeof(forms[2]), "hostaddr=127.0.0.1 port=%d user=%s dbname=%s", port, user,
             rest + 1);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct worker *a = worker_new_on(forms[i], "hosts");
        if (!run_until(a, 0, 1, 10000))
            fail_msg("no connection by %s", forms[i]);
        worker_free(a);
    }
    struct worker *plain = worker_new_on(refused, "hosts");
    assert_false(run_until(plain, 0, 1, 300));
    worker_free(plain);
}

// Nobody listens; requests wait, and the end comes all the same.
static void test_no_server(void **state)
{
    (void)state;
    struct worker *a = worker_new_on("postgresql://x@127.0.0.1:1/x", "none");
    a->ops->renew(a->store);
    run_until(a, 1, 0, 300);
    assert_int_equal(a->seen_len, 0);
    assert_int_equal(store_pending(a->store), 1);
    worker_free(a);
    struct worker *b = worker_new_on("postgresql://x@no-such-host.invalid:1/x", "none");
    run_until(b, 1, 0, 200);
    worker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_claim_intent_record),
        cmocka_unit_test(test_lost_begin_and_suspect),
        cmocka_unit_test(test_lost_taking_and_burial),
        cmocka_unit_test(test_lost_renewal_and_release),
        cmocka_unit_test(test_reset_behind_an_answer),
        cmocka_unit_test(test_two_workers_and_one_crowd),
        cmocka_unit_test(test_records_twice),
        cmocka_unit_test(test_killed_connections),
        cmocka_unit_test(test_large_units_are_answered_at_once),
        cmocka_unit_test(test_bad_rows_stand_alone),
        cmocka_unit_test(test_dirty_text),
        cmocka_unit_test(test_schema_is_checked),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
