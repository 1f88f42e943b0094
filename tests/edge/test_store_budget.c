// SPDX-License-Identifier: Apache-2.0
// Budgets on a real PostgreSQL: what fits of a group, what settles, periods, several at once,
// budgets of the configuration, and workers that ask for the last of one at the same time.
#include "edge_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/money.h"

// Each request is bounded by 5000000000 (edge_store.c), and costs 3750000000 (ok_attempt).
#define BOUND INT64_C(5000000000)
#define COST  INT64_C(3750000000)

static void set_budget(const char *scope, const char *name, const char *period, int64_t limit,
                       const char *wall)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "select precis_data.budget_set('%s', '%s', '%s', %" PRId64 ", '%s', false)", scope,
             name, period, limit, wall);
    edge_pg_run(&test_pg, sql);
}

// Each test begins with an empty ledger.
static void no_budgets(void)
{
    edge_pg_run(&test_pg, "delete from precis_data.attempts");
    edge_pg_run(&test_pg, "delete from precis_data.budgets");
    edge_pg_run(&test_pg, "delete from precis_data.budget_use");
    edge_pg_run(&test_pg, "delete from precis_data.budget_wants");
}

static void record_ok(struct worker *worker, const struct seen *claimed, int32_t attempt_no)
{
    struct attempt_result attempt = ok_attempt(1, attempt_no);
    struct record_request request = {
        .owner = owner_of(9), .job_no = claimed->job_no, .epoch = 1, .attempt = &attempt};
    worker->ops->record(worker->store, &request);
    assert_int_equal(next(worker, STORE_RECORDED)->verdict, RECORD_DONE);
}

static void test_some_of_a_group(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen jobs[5];
    for (int i = 0; i < 5; i++) {
        char id[20];
        snprintf(id, sizeof(id), "some-%d", i);
        jobs[i] = *claim(a, id, 0, "text");
    }
    set_budget("tenant", "t", "month", 3 * BOUND + 1, "wait");
    for (int i = 4; i >= 0; i--) // a group is by job number, whoever asked first
        ask_intent(a, &jobs[i], 1, 1);
    int gone = 0, refused = 0;
    for (int i = 0; i < 5; i++) {
        struct seen *seen = next(a, STORE_INTENDED);
        gone += seen->verdict == INTENT_GO;
        refused += seen->verdict == INTENT_BUDGET;
    }
    assert_int_equal(gone, 3);
    assert_int_equal(refused, 2);
    assert_answer("select count(*) from precis_data.attempts a join precis_data.jobs j using "
                  "(job_no) where j.id in ('some-0', 'some-1', 'some-2')",
                  "3");
    assert_answer("select reserved_usd || ' ' || left_usd || ' ' || at_wall || ' ' || set_by "
                  "from precis.budgets",
                  "0.015 0.000000000001 wait command");
    struct seen *again = intend(a, &jobs[3], 1, 1);
    assert_int_equal(again->verdict, INTENT_BUDGET);
    assert_string_equal(again->text, "tenant t month wait 15000000001 frees");
    // Two answers cost less than was reserved for them, and one job more fits.
    for (int i = 0; i < 4; i++) {
        assert_int_equal(intend(a, &jobs[3], 1, 1)->verdict, INTENT_BUDGET);
        if (i < 3)
            record_ok(a, &jobs[i], 1);
    }
    assert_answer("select spent_usd || ' ' || reserved_usd from precis.budgets", "0.01125 0");
    set_budget("tenant", "t", "month", 3 * COST + BOUND, "wait");
    assert_int_equal(intend(a, &jobs[3], 1, 1)->verdict, INTENT_GO);
    assert_string_equal(intend(a, &jobs[4], 1, 1)->text, "tenant t month wait 16250000000 frees");
    no_budgets();
    worker_free(a);
}

static void test_doubt_keeps_its_reservation(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen one = *claim(a, "doubt-1", 0, "text"), two = *claim(a, "doubt-2", 0, "text");
    set_budget("key", "xai/main", "life", BOUND + COST, "fail");
    assert_int_equal(intend(a, &one, 1, 1)->verdict, INTENT_GO);
    struct attempt_result attempt = ok_attempt(1, 1);
    attempt.outcome = ATTEMPT_IN_DOUBT;
    attempt.cost_picousd = -1;
    attempt.at_most_picousd = BOUND;
    attempt.cost_source = COST_IN_DOUBT;
    struct record_request request = {
        .owner = owner_of(9), .job_no = one.job_no, .epoch = 1, .attempt = &attempt};
    a->ops->record(a->store, &request);
    next(a, STORE_RECORDED);
    assert_string_equal(intend(a, &two, 1, 1)->text, "key xai/main life fail 8750000000 full");
    assert_answer("select in_doubt_usd || ' ' || reserved_usd from precis.budgets", "0.005 0");
    record_ok(a, &one, 1); // what it cost became known
    assert_answer("select in_doubt_usd || ' ' || spent_usd from precis.budgets", "0 0.00375");
    assert_int_equal(intend(a, &two, 1, 1)->verdict, INTENT_GO);
    no_budgets();
    worker_free(a);
}

static void test_the_strictest_is_told(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen job = *claim(a, "strict", 0, "text");
    set_budget("all", "", "day", 1, "wait");
    set_budget("batch", "t/b", "life", 2, "cheaper");
    assert_string_equal(intend(a, &job, 1, 1)->text, "batch t/b life cheaper 2 full");
    set_budget("provider", "xai", "month", 3, "fail");
    assert_string_equal(intend(a, &job, 1, 1)->text, "provider xai month fail 3 full");
    assert_answer("select budget_usd from precis.batches where batch = 'b'", "0.000000000002");
    set_budget("provider", "xai", "month", BOUND, "fail");
    set_budget("batch", "t/b", "life", BOUND, "cheaper");
    set_budget("all", "", "day", BOUND, "wait");
    assert_int_equal(intend(a, &job, 1, 1)->verdict, INTENT_GO);
    no_budgets();
    worker_free(a);
}

// What was spent before the budget was set counts, in its period only.
static void test_set_late(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen one = *claim(a, "late-1", 0, "text"), two = *claim(a, "late-2", 0, "text");
    assert_int_equal(intend(a, &one, 1, 1)->verdict, INTENT_GO);
    record_ok(a, &one, 1);
    assert_int_equal(intend(a, &two, 1, 1)->verdict, INTENT_GO);
    edge_pg_run(&test_pg, "update precis_data.attempts set sent_at = sent_at - interval '400 days'"
                          " where outcome = 'ok'");
    set_budget("tenant", "t", "month", 10 * BOUND, "wait");
    set_budget("tenant", "t", "life", 10 * BOUND, "wait");
    assert_answer("select string_agg(period || ' ' || spent_usd || ' ' || reserved_usd, ', ' order"
                  " by period) from precis.budgets",
                  "life 0.00375 0.005, month 0 0.005");
    record_ok(a, &two, 1); // begun before the budget, settled after
    assert_answer("select string_agg(period || ' ' || spent_usd || ' ' || reserved_usd, ', ' order"
                  " by period) from precis.budgets",
                  "life 0.0075 0, month 0.00375 0");
    no_budgets();
    worker_free(a);
}

static void test_a_new_day(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen one = *claim(a, "day-1", 0, "text"), two = *claim(a, "day-2", 0, "text");
    set_budget("tenant", "t", "day", 0, "wait");
    edge_pg_run(&test_pg, "update precis_data.budget_use set spent_picousd = 0");
    set_budget("tenant", "t", "day", BOUND, "wait");
    edge_pg_run(&test_pg, "update precis_data.budget_use set spent_picousd = 0");
    assert_int_equal(intend(a, &one, 1, 1)->verdict, INTENT_GO);
    assert_int_equal(intend(a, &two, 1, 1)->verdict, INTENT_BUDGET);
    // As if both had been yesterday: today has a row of its own.
    edge_pg_run(&test_pg, "update precis_data.budget_use set starts_on = starts_on - 1");
    edge_pg_run(&test_pg, "alter table precis_data.attempts disable trigger user");
    edge_pg_run(&test_pg, "update precis_data.attempts set sent_at = sent_at - interval '1 day'");
    edge_pg_run(&test_pg, "alter table precis_data.attempts enable trigger user");
    assert_int_equal(intend(a, &two, 1, 1)->verdict, INTENT_GO);
    record_ok(a, &one, 1); // settles where it was sent
    assert_answer("select string_agg(spent_picousd || ' ' || reserved_picousd, ', ' order by "
                  "starts_on) from precis_data.budget_use",
                  "3750000000 0, 0 5000000000");
    no_budgets();
    worker_free(a);
}

static void test_configured(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct budget budgets[] = {{BUDGET_TENANT, "t", BUDGET_DAY, BUDGET_FAIL, 7},
                               {BUDGET_KEY, "xai/main", BUDGET_LIFE, BUDGET_WAIT, 300}};
    a->ops->budgets(a->store, budgets, 2);
    settle(a);
    static const char all[] = "select string_agg(scope || ' ' || name || ' ' || period || ' ' || "
                              "coalesce(limit_picousd, -1) || ' ' || at_wall, ', ' order by scope) "
                              "from precis_data.budgets";
    assert_answer(all, "key xai/main life 300 wait, tenant t day 7 fail");
    set_budget("tenant", "t", "day", 9, "wait"); // a command wins, and stays
    budgets[1].limit_picousd = 400;
    a->ops->budgets(a->store, budgets, 2);
    settle(a);
    assert_answer(all, "key xai/main life 400 wait, tenant t day 9 wait");
    a->ops->budgets(a->store, NULL, 0);
    settle(a);
    assert_answer(all, "tenant t day 9 wait");
    edge_pg_run(&test_pg, "select precis_data.budget_forget('tenant', 't', 'day')");
    assert_answer("select count(*) from precis_data.budget_use", "0");
    worker_free(a);
}

// ------------------------------------------------------------------------------- wants

static const char configured[] =
    "select coalesce(string_agg(scope || ' ' || period || ' ' || limit_picousd || ' ' || at_wall, "
    "', ' order by scope, period), '') from precis_data.budgets";
static const char differences[] =
    "select string_agg(coalesce(workers_differ, 'agreed'), ', ' order by scope, period)"
    " from precis.budgets";

static void want(struct worker *worker, int64_t month, int64_t all)
{
    const struct budget budgets[] = {{BUDGET_TENANT, "t", BUDGET_MONTH, BUDGET_WAIT, month},
                                     {BUDGET_ALL, "", BUDGET_DAY, BUDGET_CHEAPER, all}};
    size_t count = (size_t)(month >= 0) + (size_t)(all >= 0);
    worker->ops->budgets(worker->store, month >= 0 ? budgets : budgets + 1, count);
    settle(worker);
}

static void end_workers(void)
{
    edge_pg_run(&test_pg, "update precis_data.workers set ended_at = clock_timestamp()");
    no_budgets();
}

// Nobody overwrites what another worker wants: the lowest holds, in whatever order they speak.
static void test_the_lowest_holds(void **state)
{
    (void)state;
    end_workers();
    struct worker *old = worker_new("old"), *new = worker_new("new"), *third = worker_new("third");
    want(old, PICOUSD_PER_USD * 3, -1);
    want(new, PICOUSD_PER_USD * 5, PICOUSD_PER_USD);
    static const char both[] = "all day 1000000000000 cheaper, tenant month 3000000000000 wait";
    assert_answer(configured, both);
    want(old, PICOUSD_PER_USD * 3, -1);
    want(new, PICOUSD_PER_USD * 5, PICOUSD_PER_USD);
    assert_answer(configured, both);
    assert_answer(differences, "1 USD, cheaper (new); none (old), 3 USD, wait (old); 5 USD, wait "
                               "(new)");
    want(third, PICOUSD_PER_USD * 5, PICOUSD_PER_USD);
    assert_answer(differences, "1 USD, cheaper (new, third); none (old), 3 USD, wait (old); 5 USD, "
                               "wait (new, third)");
    // A reload: the old one has the new configuration, and nobody differs.
    want(old, PICOUSD_PER_USD * 5, PICOUSD_PER_USD);
    assert_answer(configured, "all day 1000000000000 cheaper, tenant month 5000000000000 wait");
    assert_answer(differences, "agreed, agreed");
    want(third, PICOUSD_PER_USD * 2, PICOUSD_PER_USD * 2); // and a lower one counts at once
    assert_answer(configured, "all day 1000000000000 cheaper, tenant month 2000000000000 wait");
    third->ops->release(third->store); // its wants go with it; the others find that out
    next(third, STORE_RELEASED);
    assert_answer("select count(*) from precis_data.budget_wants", "4");
    want(old, PICOUSD_PER_USD * 5, PICOUSD_PER_USD);
    assert_answer(configured, "all day 1000000000000 cheaper, tenant month 5000000000000 wait");
    want(old, -1, -1);
    want(new, -1, -1);
    assert_answer(configured, "");
    end_workers();
    worker_free(old);
    worker_free(new);
    worker_free(third);
}

static void test_a_command_wins(void **state)
{
    (void)state;
    end_workers();
    struct worker *old = worker_new("old"), *new = worker_new("new");
    want(old, 3, -1);
    set_budget("tenant", "t", "month", 9, "fail");
    want(new, 2, -1);
    want(old, 4, -1);
    assert_answer(configured, "tenant month 9 fail");
    assert_answer(differences, "agreed");
    edge_pg_run(&test_pg, "select precis_data.budget_forget('tenant', 't', 'month')");
    edge_pg_run(&test_pg, "select precis_data.budget_apply()");
    assert_answer(configured, "tenant month 2 wait");
    end_workers();
    worker_free(old);
    worker_free(new);
}

// A worker that is gone without a word: its wants hold until its lease has ended, and until that is
// no outage's doing. One that comes back, after a pause, wants again.
static void test_wants_end_with_the_lease(void **state)
{
    (void)state;
    end_workers();
    struct worker *old = worker_new("old"), *new = worker_new("new");
    want(old, 3, -1);
    want(new, 5, -1);
    want(new, 5, -1);
    assert_answer(configured, "tenant month 3 wait");
    end_lease(old);
    want(new, 5, -1); // its own lease has not held for long enough to say so
    assert_answer(configured, "tenant month 3 wait");
    edge_pg_run(&test_pg, "update precis_data.workers set unbroken_since = unbroken_since - "
                          "interval '1 hour'");
    hold_lease(new);
    edge_pg_run(&test_pg, "select precis_data.budget_tell((select max(id) from precis_data.workers "
                          "where name = 'new'), interval '1 year', '{tenant}', '{t}', '{month}', "
                          "'{5}', '{wait}')"); // the server has not run for a lease
    assert_answer(configured, "tenant month 3 wait");
    edge_pg_run(&test_pg, "select precis_data.budget_tell((select max(id) from precis_data.workers "
                          "where name = 'new'), interval '1 ms', '{tenant}', '{t}', '{month}', "
                          "'{5}', '{wait}')");
    assert_answer(configured, "tenant month 5 wait");
    assert_answer(differences, "agreed");
    hold_lease(old);
    want(old, 3, -1);
    assert_answer(configured, "tenant month 3 wait");
    assert_answer(differences, "0.000000000003 USD, wait (old); 0.000000000005 USD, wait (new)");
    end_workers();
    worker_free(old);
    worker_free(new);
}

// Many tell at the same time, others set budgets: nobody is refused, and the lowest holds.
static void test_many_tell_at_once(void **state)
{
    (void)state;
    end_workers();
    enum { MANY = 8 };
    struct worker *workers[MANY];
    for (int w = 0; w < MANY; w++)
        workers[w] = worker_new("w");
    for (int round = 0; round < 20; round++) {
        for (int w = 0; w < MANY; w++) {
            const struct budget budget = {BUDGET_TENANT, "t", BUDGET_MONTH, BUDGET_WAIT,
                                          100 + (round * 7 + w * 3) % 11};
            workers[w]->ops->budgets(workers[w]->store, &budget, 1);
        }
        for (int w = 0; w < MANY; w++)
            settle(workers[w]);
        assert_answer("select (select limit_picousd from precis_data.budgets) = (select "
                      "min(limit_picousd) from precis_data.budget_wants)",
                      "t");
    }
    end_workers();
    for (int w = 0; w < MANY; w++)
        worker_free(workers[w]);
}

// Many calls of two workers for the last of a budget, all under way at once.
static void test_two_workers(void **state)
{
    (void)state;
    struct worker *workers[2] = {worker_new("a"), worker_new("b")};
    struct seen jobs[2][60];
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 60; i++) {
            char id[30];
            snprintf(id, sizeof(id), "two-%d-%d", w, i);
            jobs[w][i] = *claim(workers[w], id, 0, "text");
        }
    set_budget("provider", "xai", "life", 1000 * BOUND, "wait");
    edge_pg_run(&test_pg, "update precis_data.budgets set limit_picousd = (select spent_picousd +"
                          " reserved_picousd + doubt_picousd from precis_data.budget_use)"
                          " + 41 * 5000000000");
    int gone = 0;
    for (int i = 0; i < 60; i += 4)
        for (int w = 0; w < 2; w++)
            for (int k = 0; k < 4; k++)
                ask_intent(workers[w], &jobs[w][i + k], 1, 1);
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 60; i++)
            gone += next(workers[w], STORE_INTENDED)->verdict == INTENT_GO;
    assert_int_equal(gone, 41);
    assert_answer("select left_usd from precis.budgets", "0");
    no_budgets();
    worker_free(workers[0]);
    worker_free(workers[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_some_of_a_group),
        cmocka_unit_test(test_doubt_keeps_its_reservation),
        cmocka_unit_test(test_the_strictest_is_told),
        cmocka_unit_test(test_set_late),
        cmocka_unit_test(test_a_new_day),
        cmocka_unit_test(test_configured),
        cmocka_unit_test(test_the_lowest_holds),
        cmocka_unit_test(test_a_command_wins),
        cmocka_unit_test(test_wants_end_with_the_lease),
        cmocka_unit_test(test_many_tell_at_once),
        cmocka_unit_test(test_two_workers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
