// SPDX-License-Identifier: Apache-2.0
// Step PARK: what goes along to PostgreSQL, and what follows from its answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "job_walk.h"

static void walk_parked(struct walk *walk, enum park_verdict verdict)
{
    struct store_event parked = {.kind = STORE_PARKED, .u.parked.verdict = verdict};
    walk_store(walk, JOB_PARKED, &parked);
}

static void walk_park(struct walk *walk, const struct park_place *place)
{
    walk_event(walk, &(struct job_event){.kind = JOB_PARK, .park = place});
    ASSERT_STEP(walk, "park");
    ASSERT_ASKED_ONLY(walk, ACTION_PARK);
}

static void what_is_parked_ends_here_and_its_offset_is_finished(void **state)
{
    (void)state;
    struct walk walk;
    const struct park_place place = {
        .reason = "key_closed", .due_ms = 1900000000000, .start_ms = 1900000000001};
    walk_to_admit(&walk,
                  WALK_JOB("\"deadline\":\"2031-01-01T00:00:00Z\",\"on_deadline\":\"fail\","));
    walk_park(&walk, &place);
    const struct park_place *told = &walk.job->place;
    assert_string_equal(told->reason, "key_closed");
    assert_int_equal(told->due_ms, place.due_ms);
    assert_int_equal(told->start_ms, place.start_ms);
    assert_int_equal(told->tokens, job_need_tokens(walk.job));
    assert_true(told->tokens > 0 && told->bytes > 0 && told->fails);
    walk_parked(&walk, PARK_DONE);
    assert_true(walk.verdict == JOB_ENDED && walk.job->parked && walk.job->had_outcome);
    assert_false(walk.job->dropped);
    walk_deinit(&walk);
}

// Another worker has it: it is looked up like any other job that is held.
static void a_lost_claim_is_held(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_park(&walk, &(struct park_place){.reason = "order"});
    walk_parked(&walk, PARK_FENCED);
    ASSERT_STEP(&walk, "held");
    assert_false(walk.job->parked);
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + JOB_HELD_MS);
    walk_deinit(&walk);
}

// TERM: where PostgreSQL takes it, it is parked, and its backoff or time goes along.
static void what_a_leaving_worker_parks(void **state)
{
    (void)state;
    static const struct {
        bool later, tried, walled;
        int64_t wall_ends_ms;
        const char *reason;
    } rows[] = {
        {false, false, false, 0, "order"},        {true, false, false, 0, "not_before"},
        {true, true, false, 0, "retry"},          {true, false, true, 1900000000000, "budget"},
        {true, false, true, INT64_MAX, "budget"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_to_admit(&walk, WALK_JOB(""));
        walk.now.can_park = true;
        walk.job->not_before_ms = rows[i].later ? walk.now.now_ms + 5000 : 0;
        walk.job->call.last_attempt_no = rows[i].tried;
        walk.job->walled = rows[i].walled;
        walk.job->wall_ends_ms = rows[i].wall_ends_ms;
        walk_plain(&walk, JOB_STOP);
        ASSERT_STEP(&walk, "park");
        ASSERT_ASKED_ONLY(&walk, ACTION_PARK);
        int64_t due_ms = rows[i].later ? walk.now.db_now_ms + 5000 : 0;
        int64_t told_ms = !rows[i].walled                     ? due_ms
                          : rows[i].wall_ends_ms == INT64_MAX ? 0
                                                              : rows[i].wall_ends_ms;
        assert_string_equal(walk.job->place.reason, rows[i].reason);
        assert_int_equal(walk.job->place.due_ms, due_ms);
        assert_int_equal(walk.job->place.start_ms, told_ms);
        walk_parked(&walk, PARK_DONE);
        assert_true(walk.verdict == JOB_ENDED && walk.job->parked);
        walk_deinit(&walk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_parked_ends_here_and_its_offset_is_finished),
        cmocka_unit_test(a_lost_claim_is_held),
        cmocka_unit_test(what_a_leaving_worker_parks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
