// SPDX-License-Identifier: Apache-2.0
// Twins: jobs whose question another one asks, and what tells two questions apart.
#include "job_walk.h"

#include "core/identity.h"

// ------------------------------------------------------------------------------- the key

static void a_question_is_its_tenant_content_model_and_prompt(void **state)
{
    (void)state;
    unsigned char content[32] = {7}, other[32] = {8}, keys[7][32];
    const struct identity_question questions[] = {
        {"t", content, "", "m", "p"}, {"u", content, "", "m", "p"},
        {"t", other, "", "m", "p"},   {"t", content, "application/pdf", "m", "p"},
        {"t", content, "", "n", "p"}, {"t", content, "", "m", "q"},
        {"tm", content, "", "", "p"}, // the parts do not run into each other
    };
    for (size_t i = 0; i < 7; i++)
        identity_answer_key(&questions[i], keys[i]);
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys[i], keys[j], 32);
    unsigned char again[32];
    identity_answer_key(&questions[0], again);
    assert_memory_equal(keys[0], again, 32);
}

static void key_of(const char *message, unsigned char out[32], const char *known_sha256)
{
    struct walk walk;
    walk_init(&walk);
    walk_job(&walk, message);
    snprintf(walk.job->saved.document_sha256, sizeof(walk.job->saved.document_sha256), "%s",
             known_sha256);
    const unsigned char *key = twin_key(walk.job, &walk.config);
    memset(out, 0, 32);
    if (key)
        memcpy(out, key, 32);
    walk_deinit(&walk);
}

#define DOCUMENT(members) "{\"v\":1,\"id\":\"a\",\"kind\":\"summarize\"," members "}"
#define A_SHA256          "ab3df5ae4b1c0f9a6a3ff2e7d9a4a2b6c2d5f7e8a9b0c1d2e3f405162738495a"

static void jobs_that_ask_the_same_have_one_key(void **state)
{
    (void)state;
    static const unsigned char none[32] = {0};
    static const struct {
        const char *left, *right, *known_right;
        bool same;
    } rows[] = {
        {DOCUMENT("\"document\":{\"text\":\"x\"}"), DOCUMENT("\"document\":{\"text\":\"x\"}"), "",
         true},
        {DOCUMENT("\"document\":{\"text\":\"x\"}"),
         DOCUMENT("\"priority\":9,\"labels\":{\"a\":\"b\"},\"max_cost_usd\":\"1\",\"document\":"
                  "{\"text\":\"x\",\"name\":\"other.txt\"}"),
         "", true},
        {DOCUMENT("\"document\":{\"text\":\"x\"}"), DOCUMENT("\"document\":{\"text\":\"y\"}"), "",
         false},
        {DOCUMENT("\"document\":{\"text\":\"x\"}"),
         DOCUMENT("\"tenant\":\"other\",\"document\":{\"text\":\"x\"}"), "", false},
        {DOCUMENT("\"document\":{\"text\":\"x\"}"),
         DOCUMENT("\"summarize\":{\"max_chars\":200},\"document\":{\"text\":\"x\"}"), "", false},
        {DOCUMENT("\"document\":{\"stored\":\"" A_SHA256 "\"}"),
         DOCUMENT("\"document\":{\"url\":\"file:///x\"}"), A_SHA256, true},
        {DOCUMENT("\"document\":{\"stored\":\"" A_SHA256 "\"}"),
         DOCUMENT("\"document\":{\"stored\":\"" A_SHA256 "\",\"media_type\":\"application/pdf\"}"),
         "", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned char left[32], right[32];
        key_of(rows[i].left, left, "");
        key_of(rows[i].right, right, rows[i].known_right);
        assert_memory_not_equal(left, none, 32);
        assert_memory_not_equal(right, none, 32);
        assert_int_equal(memcmp(left, right, 32) == 0, rows[i].same);
    }
    unsigned char unknown[32]; // what a URL gives is not known before it was read
    key_of(DOCUMENT("\"document\":{\"url\":\"file:///x\"}"), unknown, "");
    assert_memory_equal(unknown, none, 32);
}

// ------------------------------------------------------------------------------- the step

static void walk_reused(struct walk *walk, enum reuse_verdict verdict, enum job_stop stop)
{
    struct store_event store = {.kind = STORE_REUSED,
                                .u.reused = {.verdict = verdict, .stop = stop}};
    walk_store(walk, JOB_REUSED, &store);
}

static void walk_to_claim(struct walk *walk, const char *message)
{
    walk_init(walk);
    walk_job(walk, message);
    walk_plain(walk, JOB_START);
    ASSERT_STEP(walk, "claim");
}

static void walk_to_twin(struct walk *walk, const char *message)
{
    walk_to_claim(walk, message);
    walk_claimed(
        walk, (struct claim_reply){.verdict = CLAIM_MINE, .job_no = 5, .epoch = 1, .twin = true});
    ASSERT_STEP(walk, "twin");
    ASSERT_ASKED_ONLY(walk, ACTION_REUSE);
}

static void a_twin_waits_and_copies(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_twin(&walk, WALK_JOB(""));
    for (int i = 0; i < 3; i++) {
        walk_reused(&walk, REUSE_WAIT, STOP_NONE);
        ASSERT_STEP(&walk, "twin");
        assert_int_equal(walk.job->wake_ms, walk.now.now_ms + JOB_TWIN_MS);
        walk.now.now_ms += JOB_TWIN_MS;
        walk_plain(&walk, JOB_WAKE);
        ASSERT_ASKED_ONLY(&walk, ACTION_REUSE);
    }
    walk_reused(&walk, REUSE_COPIED, STOP_NONE);
    assert_true(walk.verdict == JOB_ENDED && walk.job->had_outcome && walk.job->copied);
    walk_deinit(&walk);
}

static void a_twin_does_not_wait_long_in_memory(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_twin(&walk, WALK_JOB(""));
    walk.now.can_park = true;
    walk.now.now_ms += 9999;
    walk_reused(&walk, REUSE_WAIT, STOP_NONE);
    ASSERT_STEP(&walk, "twin");
    walk.now.now_ms += 1;
    walk_plain(&walk, JOB_WAKE);
    walk_reused(&walk, REUSE_WAIT, STOP_NONE);
    ASSERT_STEP(&walk, "park");
    ASSERT_ASKED_ONLY(&walk, ACTION_PARK);
    assert_true(walk.job->place.due_ms > walk.now.db_now_ms);
    struct store_event parked = {.kind = STORE_PARKED, .u.parked.verdict = PARK_DONE};
    walk_store(&walk, JOB_PARKED, &parked);
    assert_true(walk.verdict == JOB_ENDED && walk.job->parked);
    walk_deinit(&walk);
}

static void a_twin_that_nobody_answers_for_goes_on(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_twin(&walk, WALK_JOB(""));
    walk_reused(&walk, REUSE_FREE, STOP_NONE);
    ASSERT_STEP(&walk, "admit");
    walk_plain(&walk, JOB_ADMITTED); // and learns with its intent that another is at it again
    ASSERT_STEP(&walk, "intent");
    walk_intended(&walk, INTENT_TWIN, STOP_NONE);
    ASSERT_STEP(&walk, "twin");
    walk_reused(&walk, REUSE_FREE, STOP_NONE); // its plan is there
    ASSERT_STEP(&walk, "admit");
    assert_int_equal(walk.job->call.last_attempt_no, 0);
    walk_deinit(&walk);
}

static void a_twin_can_be_stopped_lost_and_left(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_twin(&walk, WALK_JOB(""));
    walk_reused(&walk, REUSE_STOPPED, STOP_CANCELLED);
    ASSERT_STEP(&walk, "finish");
    assert_int_equal(walk.job->draft.outcome.state, JOB_CANCELLED);
    walk_finish(&walk);
    walk_to_twin(&walk, WALK_JOB(""));
    walk_reused(&walk, REUSE_FENCED, STOP_NONE);
    ASSERT_STEP(&walk, "held");
    walk_deinit(&walk);
    walk_to_twin(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_STOP);
    assert_true(walk.verdict == JOB_ENDED && walk.job->dropped && !walk.job->had_outcome);
    walk_deinit(&walk);
}

static void who_asks_for_a_fresh_answer_waits_for_nobody(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        bool anew;
    } rows[] = {{WALK_JOB("\"fresh\":true,"), false}, {WALK_JOB(""), true}};
    for (size_t i = 0; i < 2; i++) {
        struct walk walk;
        walk_to_claim(&walk, rows[i].message);
        walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_MINE,
                                                 .job_no = 5,
                                                 .epoch = 1,
                                                 .twin = true,
                                                 .anew = rows[i].anew});
        ASSERT_STEP(&walk, "admit");
        assert_true(twin_is_fresh(walk.job));
        walk_deinit(&walk);
    }
}

static void a_deadline_ends_a_twin_too(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_twin(&walk,
                 WALK_JOB("\"deadline\":\"2100-01-01T00:00:00Z\",\"on_deadline\":\"fail\","));
    walk_reused(&walk, REUSE_WAIT, STOP_NONE);
    walk.now.db_now_ms = walk.job->spec->deadline_ms;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_FAILS(&walk, "expired");
    walk_finish(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_its_tenant_content_model_and_prompt),
        cmocka_unit_test(jobs_that_ask_the_same_have_one_key),
        cmocka_unit_test(a_twin_waits_and_copies),
        cmocka_unit_test(a_twin_does_not_wait_long_in_memory),
        cmocka_unit_test(a_twin_that_nobody_answers_for_goes_on),
        cmocka_unit_test(a_twin_can_be_stopped_lost_and_left),
        cmocka_unit_test(who_asks_for_a_fresh_answer_waits_for_nobody),
        cmocka_unit_test(a_deadline_ends_a_twin_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
