// SPDX-License-Identifier: Apache-2.0
// Which model a job goes to, when it leaves one, and what it does at a budget's wall.
#include "job_walk.h"

// What the engine would tell of the two models: ms until each opens.
struct outlooks {
    const struct walk *walk;
    int64_t closed_ms[2];
};

static void outlook_of(const void *context, const struct config_model *model,
                       struct model_outlook *out)
{
    const struct outlooks *outlooks = context;
    *out = (struct model_outlook){outlooks->closed_ms[model - outlooks->walk->models],
                                  "its key is closed"};
}

static void walk_with(struct walk *walk, const struct outlooks *outlooks)
{
    walk_init(walk);
    walk->config.worker.route_patience_ms = 5000;
    walk->now.outlook = outlook_of;
    walk->now.outlook_context = outlooks;
}

static void walk_begin(struct walk *walk, const char *job)
{
    walk_job(walk, job);
    walk_plain(walk, JOB_START);
    walk_claimed_new(walk);
}

static void walk_refused(struct walk *walk, enum budget_at_wall at_wall, enum budget_scope scope)
{
    const struct budget_refusal refusal = {.scope = scope,
                                           .period = BUDGET_MONTH,
                                           .at_wall = at_wall,
                                           .name = "acme",
                                           .limit_picousd = INT64_C(12500000000000),
                                           .ends_ms = INT64_MAX};
    struct store_event store = {.kind = STORE_INTENDED};
    store.u.intended.verdict = INTENT_BUDGET;
    store.u.intended.refusal = &refusal;
    walk_plain(walk, JOB_ADMITTED);
    ASSERT_STEP(walk, "intent");
    walk_store(walk, JOB_INTENDED, &store);
}

static void a_closed_model_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        int64_t closed_ms[2];
        const char *model, *why;
    } rows[] = {
        {{0, 0}, "first", NULL},
        {{5000, 0}, "first", NULL}, // worth the wait
        {{5001, 0}, "second", "first: its key is closed"},
        {{60000, 60000}, "first", NULL},
        {{INT64_MAX, 5000}, "second", "first: its key is closed"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        struct outlooks outlooks = {&walk, {rows[i].closed_ms[0], rows[i].closed_ms[1]}};
        walk_with(&walk, &outlooks);
        walk_begin(&walk, WALK_JOB(""));
        ASSERT_STEP(&walk, "admit");
        assert_string_equal(walk.job->plan.model->name, rows[i].model);
        assert_int_equal(walk.job->plan.why != NULL, rows[i].why != NULL);
        if (rows[i].why)
            assert_string_equal(walk.job->plan.why, rows[i].why);
        walk_deinit(&walk);
    }
}

// Closed while the job waits; before any request the plan's number is used again.
static void a_waiting_job_changes_over(void **state)
{
    (void)state;
    struct walk walk;
    struct outlooks outlooks = {&walk, {0, 0}};
    walk_with(&walk, &outlooks);
    walk_begin(&walk, WALK_JOB(""));
    assert_false(job_wants_other_model(walk.job, &walk.now));
    outlooks.closed_ms[0] = 30000;
    assert_true(job_wants_other_model(walk.job, &walk.now));
    walk_plain(&walk, JOB_REROUTE);
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_int_equal(walk.job->plan.no, 1);
    outlooks.closed_ms[1] = 30000; // nowhere to go
    assert_false(job_wants_other_model(walk.job, &walk.now));
    outlooks.closed_ms[0] = 0;
    walk_to_call(&walk);
    walk_error(&walk, 500, "");
    walk_recorded(&walk, RECORD_DONE);
    ASSERT_STEP(&walk, "admit");
    assert_true(job_wants_other_model(walk.job, &walk.now));
    walk_plain(&walk, JOB_REROUTE); // after an attempt it is a plan of its own
    assert_string_equal(walk.job->plan.model->name, "first");
    assert_int_equal(walk.job->plan.no, 2);
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

static void too_small_and_too_dear_models_are_left(void **state)
{
    (void)state;
    struct walk walk;
    walk_init(&walk);
    walk.models[0].context_tokens = 300;
    walk_begin(&walk, WALK_JOB(""));
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_string_equal(walk.job->plan.why, "first: context_too_small");
    walk_deinit(&walk);

    walk_init(&walk);
    walk.models[0].price.output_picousd = 1000000000;
    walk_begin(&walk, WALK_JOB("\"max_cost_usd\":\"0.001\","));
    walk_plain(&walk, JOB_ADMITTED);
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.why, "first: over max_cost_usd");
    walk_to_call(&walk);
    assert_string_equal(walk.job->plan.model->name, "second");
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

static void at_the_wall(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_refused(&walk, BUDGET_FAIL, BUDGET_TENANT);
    ASSERT_FAILS(&walk, "over_budget");
    assert_string_equal(walk.job->failure.detail,
                        "the next call might pass the budget of 12.5 USD (tenant acme, month)");
    walk_finish(&walk);

    walk_to_admit(&walk, WALK_JOB(""));
    walk_refused(&walk, BUDGET_WAIT, BUDGET_TENANT);
    ASSERT_STEP(&walk, "admit");
    assert_true(walk.job->walled);
    assert_false(job_is_ready(walk.job, walk.now.now_ms));
    walk.now.now_ms += 10000;
    assert_true(job_is_ready(walk.job, walk.now.now_ms));
    walk_to_call(&walk); // it was raised
    assert_false(walk.job->walled);
    assert_int_equal(walk.job->call.last_attempt_no, 1);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

static void a_cheaper_model_where_there_is_one(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_refused(&walk, BUDGET_CHEAPER, BUDGET_TENANT); // the second costs the same
    assert_true(walk.job->walled);
    assert_string_equal(walk.job->plan.model->name, "first");
    walk_deinit(&walk);

    walk_init(&walk);
    walk.models[1].price.input_picousd = 0;
    walk_begin(&walk, WALK_JOB(""));
    walk_refused(&walk, BUDGET_CHEAPER, BUDGET_TENANT);
    ASSERT_STEP(&walk, "admit");
    assert_false(walk.job->walled);
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_int_equal(walk.job->plan.no, 2); // the first one's row may be there
    assert_string_equal(walk.job->plan.why, "first: the budget of tenant acme, month, has no room");
    walk_refused(&walk, BUDGET_CHEAPER, BUDGET_TENANT); // and now it waits
    assert_true(walk.job->walled);
    assert_string_equal(walk.job->plan.model->name, "second");
    walk_deinit(&walk);
}

static void rules_choose_where_the_job_does_not(void **state)
{
    (void)state;
    struct config_rule rules[] = {
        {.name = S("vip"), .when_tier = S("vip"), .reasoning_mode = S("reasoning")},
        {.name = S("busy"), .when_load_over = 80, .route = S("second")}};
    struct config_tenant tenant = {.name = S("acme"), .tier = S("vip")};
    static const struct {
        const char *job, *model, *why;
        enum reasoning_mode reasoning;
    } rows[] = {
        {WALK_JOB(""), "second", "rule busy: route second; rule vip: reasoning_mode reasoning",
         REASONING_ON},
        {WALK_JOB("\"summarize\":{\"model\":\"first\"},"), "first",
         "rule vip: reasoning_mode reasoning", REASONING_ON},
        {WALK_JOB("\"summarize\":{\"reasoning_mode\":\"non-reasoning\"},"), "second",
         "rule busy: route second", REASONING_OFF},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_init(&walk);
        walk.models[0].reasoning = walk.models[1].reasoning = REASONING_MODE;
        walk.config.rules = rules;
        walk.config.rule_count = 2;
        walk.config.tenants = &tenant;
        walk.config.tenant_count = 1;
        walk.now.load_percent = 90;
        walk_begin(&walk, rows[i].job);
        ASSERT_STEP(&walk, "admit");
        assert_string_equal(walk.job->plan.model->name, rows[i].model);
        assert_string_equal(walk.job->plan.why, rows[i].why);
        assert_int_equal(job_reasoning(walk.job), rows[i].reasoning);
        walk_to_call(&walk);
        assert_int_equal(walk.job->plan.stored, true);
        walk_deinit(&walk);
    }
}

// A rule is no demand: a model that takes no reasoning is asked without.
static void a_rule_asks_no_more_than_the_model_takes(void **state)
{
    (void)state;
    struct config_rule rule = {.name = S("all"), .reasoning_mode = S("reasoning")};
    struct walk walk;
    walk_init(&walk);
    walk.models[0].reasoning = REASONING_NONE;
    walk.config.rules = &rule;
    walk.config.rule_count = 1;
    walk_begin(&walk, WALK_JOB(""));
    assert_int_equal(job_reasoning(walk.job), REASONING_AUTO);
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

// Taken over: the choice of the plan that is stored holds, whatever the rules say now.
static void a_stored_choice_is_kept(void **state)
{
    (void)state;
    struct walk walk;
    walk_init(&walk);
    walk.models[1].reasoning = REASONING_MODE;
    walk_job(&walk, WALK_JOB(""));
    walk_plain(&walk, JOB_START);
    struct claim_reply reply = {.verdict = CLAIM_MINE, .job_no = 5, .epoch = 2};
    reply.plans = own_array(1, sizeof(*reply.plans));
    reply.plan_count = 1;
    reply.plans[0] = (struct saved_plan){.plan_no = 3,
                                         .model = own_strdup("second"),
                                         .prompt_version = own_strdup(PROMPT_VERSION),
                                         .calls_json = own_strdup("[{\"kind\":\"whole\","
                                                                  "\"from\":0,\"to\":78}]"),
                                         .reasoning_mode = own_strdup("reasoning"),
                                         .why = own_strdup("rule vip")};
    text_sha256_hex(WALK_TEXT, strlen(WALK_TEXT), reply.plans[0].text_sha256);
    walk_claimed(&walk, reply);
    ASSERT_STEP(&walk, "admit");
    assert_int_equal(walk.job->plan.no, 3);
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_string_equal(walk.job->plan.why, "rule vip");
    assert_int_equal(job_reasoning(walk.job), REASONING_ON);
    assert_int_equal(walk.job->route_place, 1);
    walk_to_call(&walk); // the second is not there: back to the first
    walk_error(&walk, 404, "model_not_found");
    walk_recorded(&walk, RECORD_DONE);
    assert_string_equal(walk.job->plan.model->name, "first");
    assert_int_equal(walk.job->plan.no, 4);
    walk_deinit(&walk);
}

// What is sent as the limit of an answer, and so reserved, follows from what is asked for.
static void the_limit_follows_from_the_request(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        enum reasoning_parameter takes;
        int64_t least, most;
    } rows[] = {
        {"", REASONING_NONE, 1024, 1700},
        {"\"summarize\":{\"max_chars\":100,\"evidence\":\"none\"},", REASONING_NONE, 1024, 1024},
        {"\"summarize\":{\"max_chars\":2000},", REASONING_NONE, 2500, 3600},
        {"\"summarize\":{\"language\":\"Chinese\"},", REASONING_NONE, 2500, 3600},
        {"\"summarize\":{\"max_output_tokens\":77},", REASONING_NONE, 77, 77},
        {"", REASONING_MODE, 4096, 4096},
        {"\"summarize\":{\"reasoning_mode\":\"non-reasoning\"},", REASONING_MODE, 1024, 1700},
        {"\"summarize\":{\"output_schema\":{\"type\":\"object\"}},", REASONING_NONE, 4096, 4096},
        {"\"summarize\":{\"output_schema\":{\"properties\":{\"a\":{\"type\":\"number\"}}}},",
         REASONING_NONE, 1024, 1024},
        {"\"summarize\":{\"output_schema\":{\"properties\":{\"a\":{\"type\":\"string\","
         "\"maxLength\":3000}}}},",
         REASONING_NONE, 1200, 3800},
        {"\"summarize\":{\"output_schema\":{\"properties\":{\"a\":{\"type\":\"string\","
         "\"maxLength\":30000}}}},",
         REASONING_NONE, 4096, 4096},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf job;
        buf_init(&job, 0);
        buf_printf(&job,
                   "{\"tenant\":\"acme\",\"batch\":\"b\",\"id\":\"c-1\",\"kind\":\"summarize\",%s"
                   "\"document\":{\"text\":\"%s\"}}",
                   rows[i].more, WALK_TEXT);
        struct walk walk;
        walk_init(&walk);
        walk.models[0].reasoning = rows[i].takes;
        walk_begin(&walk, buf_str(&job));
        buf_deinit(&job);
        walk_to_call(&walk);
        assert_in_range(walk.job->call.max_output_tokens, rows[i].least, rows[i].most);
        walk_deinit(&walk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_model_is_passed_over),
        cmocka_unit_test(a_waiting_job_changes_over),
        cmocka_unit_test(too_small_and_too_dear_models_are_left),
        cmocka_unit_test(at_the_wall),
        cmocka_unit_test(a_cheaper_model_where_there_is_one),
        cmocka_unit_test(rules_choose_where_the_job_does_not),
        cmocka_unit_test(a_rule_asks_no_more_than_the_model_takes),
        cmocka_unit_test(a_stored_choice_is_kept),
        cmocka_unit_test(the_limit_follows_from_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
