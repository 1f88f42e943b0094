// SPDX-License-Identifier: Apache-2.0
// What a fleet learns of models, on a real PostgreSQL: told by many workers at once, read by one
// that starts, faded by the database's clock. The rule itself is tested in unit/test_calibrate.c
// and held against this one in sim/differential.c.
#include "edge_store.h"

#include <math.h>
#include <stdio.h>

#define DAYS(n)                                                                                    \
    "update precis_data.calibrations set updated_at = updated_at - interval '" n " days'"

static struct calibration_row a_row(const char *model, int32_t subject, double samples, double mean)
{
    return (struct calibration_row){
        .provider = "p",
        .model = model,
        .subject = subject,
        .learned = {.samples = samples, .mean = mean, .square = mean * mean, .most = mean}};
}

static void ask(struct worker *worker, const struct calibration_row *told, size_t count)
{
    static const char *const providers[] = {"p", "p"}, *const models[] = {"m", "n"};
    worker->ops->calibrate(worker->store, &(struct calibrate_request){.told = told,
                                                                      .told_count = count,
                                                                      .providers = providers,
                                                                      .models = models,
                                                                      .model_count = 2});
}

static const struct seen *tell(struct worker *worker, const struct calibration_row *told,
                               size_t count)
{
    ask(worker, told, count);
    return next(worker, STORE_CALIBRATED);
}

static void begin(void)
{
    edge_pg_run(&test_pg, "truncate precis_data.calibrations");
}

static void assert_near(double real, double expected)
{
    assert_true(fabs(real - expected) < 1e-6 * (1 + fabs(expected)));
}

static void test_who_starts_goes_on_from_there(void **state)
{
    (void)state;
    begin();
    struct worker *a = worker_new("a");
    assert_int_equal(tell(a, NULL, 0)->count, 0);
    const struct calibration_row rows[] = {a_row("n", 7, 3, 0.5), a_row("m", 0, 30, 0.9),
                                           a_row("other", 0, 30, 2)};
    assert_int_equal(tell(a, rows, 3)->count, 2);
    worker_free(a);
    struct worker *b = worker_new("b");
    const struct seen *seen = tell(b, NULL, 0);
    assert_int_equal(seen->count, 2); // not the model that nobody asked for
    size_t m = seen->key[0] == 'm' ? 0 : 1;
    assert_int_equal(seen->subjects[m], 0);
    assert_near(seen->learned[m].samples, 30);
    assert_near(seen->learned[m].mean, 0.9);
    assert_near(seen->learned[m].square, 0.81);
    assert_near(seen->learned[m].most, 0.9);
    assert_int_equal(seen->subjects[1 - m], 7);
    worker_free(b);
}

// Six workers tell four times each, all at once, in rows of both models: none of it is lost.
static void test_many_tell_at_once(void **state)
{
    (void)state;
    enum { FLEET = 6, TIMES = 4 };
    struct worker *workers[FLEET];
    begin();
    for (int w = 0; w < FLEET; w++)
        workers[w] = worker_new("w");
    for (int i = 0; i < TIMES; i++)
        for (int w = 0; w < FLEET; w++) {
            struct calibration_row rows[] = {a_row(w % 2 ? "m" : "n", 1, 2, 1),
                                             a_row(w % 2 ? "n" : "m", 1, 2, 1)};
            ask(workers[w], rows, 2);
        }
    for (int w = 0; w < FLEET; w++)
        for (int i = 0; i < TIMES; i++)
            next(workers[w], STORE_CALIBRATED);
    const struct seen *seen = tell(workers[0], NULL, 0);
    assert_int_equal(seen->count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_near(seen->learned[i].samples, 2.0 * FLEET * TIMES);
    for (int w = 0; w < FLEET; w++)
        worker_free(workers[w]);
}

static void test_it_fades_and_goes(void **state)
{
    (void)state;
    begin();
    struct worker *a = worker_new("a");
    const struct calibration_row old = a_row("m", 0, 40, 1), fresh = a_row("m", 0, 20, 2);
    tell(a, &old, 1);
    edge_pg_run(&test_pg, DAYS("7"));
    assert_near(tell(a, NULL, 0)->learned[0].samples, 20);
    const struct seen *seen = tell(a, &fresh, 1);
    assert_near(seen->learned[0].samples, 40);
    assert_near(seen->learned[0].mean, 1.5);
    edge_pg_run(&test_pg, DAYS("31"));
    const struct calibration_row other = a_row("n", 0, 1, 1);
    seen = tell(a, &other, 1); // who tells takes old rows away
    assert_int_equal(seen->count, 1);
    assert_int_equal(seen->key[0], 'n');
    edge_pg_run(&test_pg, DAYS("200000")); // centuries: no number becomes too small
    assert_near(tell(a, NULL, 0)->learned[0].samples, 0);
    worker_free(a);
}

static void test_other_forms_are_not_looked_at(void **state)
{
    (void)state;
    begin();
    struct worker *a = worker_new("a");
    const struct calibration_row row = a_row("m", 0, 40, 1);
    tell(a, &row, 1);
    edge_pg_run(&test_pg, "update precis_data.calibrations set form = form + 1");
    assert_int_equal(tell(a, NULL, 0)->count, 0);
    worker_free(a);
}

// What PostgreSQL refuses is lost, and answered all the same.
static void test_what_makes_no_sense_is_answered(void **state)
{
    (void)state;
    begin();
    struct worker *a = worker_new("a");
    const struct calibration_row row = a_row("m", 0, 1, 1);
    edge_pg_run(&test_pg, "alter table precis_data.calibrations add constraint none check (false)");
    assert_int_equal(tell(a, &row, 1)->count, 0);
    edge_pg_run(&test_pg, "alter table precis_data.calibrations drop constraint none");
    assert_int_equal(tell(a, &row, 1)->count, 1);
    worker_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_starts_goes_on_from_there),
        cmocka_unit_test(test_many_tell_at_once),
        cmocka_unit_test(test_it_fades_and_goes),
        cmocka_unit_test(test_other_forms_are_not_looked_at),
        cmocka_unit_test(test_what_makes_no_sense_is_answered),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
