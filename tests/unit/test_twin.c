// SPDX-License-Identifier: Apache-2.0
// Twins: jobs whose question another one asks, and what tells two questions apart.
#include "job_walk.h"

#include "core/identity.h"

// ------------------------------------------------------------------------------- the key

static void a_question_is_its_tenant_content_model_and_prompt(void **state)
{
    (void)state;
    unsigned char content[32] = {7}, other[32] = {8}, keys[8][32];
    const struct identity_question questions[] = {
        {"t", content, "", "m", "r", "p"}, {"u", content, "", "m", "r", "p"},
        {"t", other, "", "m", "r", "p"},   {"t", content, "application/pdf", "m", "r", "p"},
        {"t", content, "", "n", "r", "p"}, {"t", content, "", "m", "r", "q"},
        {"tm", content, "", "", "r", "p"}, // the parts do not run into each other
        {"t", content, "", "m", "s", "p"},
    };
    for (size_t i = 0; i < 8; i++)
        identity_answer_key(&questions[i], keys[i]);
    for (size_t i = 0; i < 8; i++)
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

// Rules that send some jobs elsewhere, or in another mode, by what is known at different times.
struct ruled {
    struct walk walk;
    struct config_route routes[2];
    const struct config_model *wide_model;
    struct config_rule rules[1];
    struct config_tenant tenants[1];
};

static void ruled_init(struct ruled *ruled, const struct config_rule *rule)
{
    struct walk *walk = &ruled->walk;
    walk_init(walk);
    ruled->wide_model = &walk->models[1];
    ruled->routes[0] = walk->route;
    ruled->routes[1] = (struct config_route){.name = S("wide"), &ruled->wide_model, 1};
    ruled->tenants[0] = (struct config_tenant){.name = S("acme"), .tier = S("vip")};
    ruled->rules[0] = *rule;
    walk->config.tenants = ruled->tenants;
    walk->config.tenant_count = 1;
    walk->config.rules = ruled->rules;
    walk->config.rule_count = rule->name ? 1 : 0;
    walk->now.load_percent = 90;
    walk->config.routes = ruled->routes;
    walk->config.route_count = 2;
    walk_job(walk, WALK_JOB(""));
}

static void the_key_is_what_is_asked(void **state)
{
    (void)state;
    static const struct {
        struct config_rule rule;
        bool early; // known before there is a plan
        bool other; // than without a rule
    } rows[] = {
        {{0}, true, false},
        {{.name = S("vip"), .when_tier = S("vip"), .reasoning_mode = S("reasoning")}, true, true},
        {{.name = S("wide"), .route = S("wide")}, true, true},
        {{.name = S("std"), .when_tier = S("std"), .route = S("wide")}, true, false},
        {{.name = S("busy"), .when_load_over = 80, .reasoning_mode = S("non-reasoning")},
         false,
         true},
        {{.name = S("idle"), .when_load_under = 80, .route = S("wide")}, false, false},
        {{.name = S("long"), .when_tokens_under = 1000, .route = S("wide")}, false, true},
    };
    unsigned char plain[32] = {0}, early[32], planned[32];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ruled ruled;
        ruled_init(&ruled, &rows[i].rule);
        struct walk *walk = &ruled.walk;
        const unsigned char *key = twin_key(walk->job, &walk->config);
        assert_int_equal(key != NULL, rows[i].early);
        if (key)
            memcpy(early, key, 32);
        walk_plain(walk, JOB_START);
        walk_claimed_new(walk);
        ASSERT_STEP(walk, "admit");
        memcpy(planned, twin_key(walk->job, &walk->config), 32);
        if (i == 0)
            memcpy(plain, planned, 32);
        if (rows[i].early)
            assert_memory_equal(early, planned, 32);
        assert_int_equal(memcmp(plain, planned, 32) != 0, rows[i].other);
        walk_deinit(walk);
    }
}

// The first model does not know this one, and the route's second gets it: another question.
static void another_model_of_the_route_is_another_question(void **state)
{
    (void)state;
    struct walk walk;
    unsigned char first[32];
    walk_to_admit(&walk, WALK_JOB(""));
    memcpy(first, twin_key(walk.job, &walk.config), 32);
    walk_to_call(&walk);
    walk_error(&walk, 404, "model_not_found");
    walk_recorded(&walk, RECORD_DONE);
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_memory_not_equal(twin_key(walk.job, &walk.config), first, 32);
    walk_deinit(&walk);
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
        cmocka_unit_test(the_key_is_what_is_asked),
        cmocka_unit_test(another_model_of_the_route_is_another_question),
        cmocka_unit_test(a_twin_waits_and_copies),
        cmocka_unit_test(a_twin_does_not_wait_long_in_memory),
        cmocka_unit_test(a_twin_that_nobody_answers_for_goes_on),
        cmocka_unit_test(a_twin_can_be_stopped_lost_and_left),
        cmocka_unit_test(who_asks_for_a_fresh_answer_waits_for_nobody),
        cmocka_unit_test(a_deadline_ends_a_twin_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
