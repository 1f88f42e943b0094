// SPDX-License-Identifier: Apache-2.0
// Estimates against the real job: the same plan, what is reserved is what call_prepare reserves,
// and what was learned takes the guess's place.
#include "job_walk.h"

#include "core/tokens.h"
#include "job/estimate.h"
#include "job/parts.h"

static char *long_text(size_t sentences)
{
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < sentences; i++)
        buf_printf(&text,
                   "%zu. The supplier delivers %zu machines by 1 March 2027, free of charge.%s", i,
                   i * 3, i % 7 ? " " : "\n\n");
    return buf_take(&text);
}

static struct job_spec spec_of(void)
{
    struct job_spec spec;
    job_spec_init(&spec);
    spec.model = own_strdup("default");
    spec.max_chars = 300;
    spec.points_min = 3;
    spec.points_max = 5;
    spec.evidence_quotes = true;
    return spec;
}

struct setting {
    struct walk walk;
    struct job_spec spec;
    char *text;
    struct estimate_order order;
};

static void setting_init(struct setting *setting, size_t sentences)
{
    walk_init(&setting->walk);
    setting->spec = spec_of();
    setting->text = long_text(sentences);
    setting->order = (struct estimate_order){.spec = &setting->spec,
                                             .text = setting->text,
                                             .text_len = strlen(setting->text),
                                             .model = &setting->walk.models[0]};
}

static void setting_deinit(struct setting *setting)
{
    job_spec_deinit(&setting->spec);
    free(setting->text);
}

// What a worker would plan and reserve, call by call (but for what combines: its text is not
// there).
static void is_what_a_worker_does(void **state)
{
    (void)state;
    static const size_t lengths[] = {3, 60, 300, 2000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct setting setting;
        struct estimate estimate;
        struct failure failure;
        setting_init(&setting, lengths[i]);
        assert_true(estimate_job(&setting.order, &estimate, &failure));
        struct job job = {.spec = &setting.spec,
                          .text = setting.text,
                          .text_len = strlen(setting.text),
                          .text_chars = (int64_t)strlen(setting.text)};
        assert_true(plan_make(&job, &setting.walk.models[0], 1, 0));
        assert_int_equal(job.plan.count, estimate.count);
        for (; job.plan.cursor < job.plan.count; job.plan.cursor++) {
            const struct estimate_call *call = &estimate.calls[job.plan.cursor];
            assert_int_equal(call->kind, job.plan.calls[job.plan.cursor].kind);
            assert_true(call->input_tokens <= call->at_most_input_tokens);
            assert_true(call->output_tokens <= call->at_most_output_tokens);
            assert_true(call->form_tokens > 100 && call->form_tokens < call->input_tokens);
            if (call->kind == PLAN_COMBINE)
                continue;
            call_restore(&job);
            assert_true(call_prepare(&job, &setting.walk.now, &failure));
            assert_int_equal(call->at_most_input_tokens, job.call.input_tokens_most);
            assert_int_equal(call->at_most_output_tokens, job.call.max_output_tokens);
            call_deinit(&job.call);
        }
        assert_true(lengths[i] < 1000 || estimate.count > 3);
        plan_deinit(&job.plan);
        estimate_deinit(&estimate);
        setting_deinit(&setting);
    }
}

static void jobs_that_fail(void **state)
{
    (void)state;
    struct setting setting;
    struct estimate estimate;
    struct failure failure;
    setting_init(&setting, 3000);
    setting.spec.on_too_long = TOO_LONG_FAIL;
    assert_false(estimate_job(&setting.order, &estimate, &failure));
    assert_int_equal(failure.code, ERR_CONTEXT_LENGTH);
    setting.spec.on_too_long = TOO_LONG_TRUNCATE;
    assert_true(estimate_job(&setting.order, &estimate, &failure));
    assert_true(estimate.truncated && estimate.count == 1);
    estimate_deinit(&estimate);
    setting.order.text_len = 0;
    assert_false(estimate_job(&setting.order, &estimate, &failure));
    assert_int_equal(failure.code, ERR_NO_TEXT);
    setting.walk.models[0].price.known = false;
    setting.order.text_len = strlen(setting.text);
    assert_false(estimate_job(&setting.order, &estimate, &failure));
    assert_int_equal(failure.code, ERR_NO_PRICE);
    setting_deinit(&setting);
}

static void assert_same_call(const struct estimate_call *a, const struct estimate_call *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->input_tokens, b->input_tokens);
    assert_int_equal(a->form_tokens, b->form_tokens);
    assert_int_equal(a->output_tokens, b->output_tokens);
    assert_int_equal(a->at_most_input_tokens, b->at_most_input_tokens);
    assert_int_equal(a->at_most_output_tokens, b->at_most_output_tokens);
}

static void a_stored_call_counts_as_it_did(void **state)
{
    (void)state;
    struct setting setting;
    struct estimate estimate;
    struct estimate_call again;
    struct failure failure;
    setting_init(&setting, 2000);
    assert_true(estimate_job(&setting.order, &estimate, &failure));
    struct job job = {.spec = &setting.spec,
                      .text = setting.text,
                      .text_len = strlen(setting.text),
                      .text_chars = (int64_t)strlen(setting.text)};
    char hash[65];
    text_sha256_hex(setting.text, strlen(setting.text), hash);
    assert_true(plan_make(&job, &setting.walk.models[0], 1, 0));
    struct plan_row row = {
        .plan_no = 1, .prompt_version = "summary-2", .text_sha256 = hash, .calls_json = S("")};
    row.calls_json = job.plan.calls_json;
    assert_true(estimate_saved_call(&setting.order, &row, 2, &again));
    assert_same_call(&again, &estimate.calls[1]);
    assert_false(estimate_saved_call(&setting.order, &row, 0, &again));
    assert_false(estimate_saved_call(&setting.order, &row, (int32_t)estimate.count, &again));
    assert_false(estimate_saved_call(&setting.order, &row, 1000, &again));
    row.prompt_version = "summary-0";
    assert_false(estimate_saved_call(&setting.order, &row, 1, &again));
    row.prompt_version = "summary-2";
    hash[0] = hash[0] == 'a' ? 'b' : 'a';
    assert_false(estimate_saved_call(&setting.order, &row, 1, &again));
    plan_deinit(&job.plan);
    estimate_deinit(&estimate);
    setting_deinit(&setting);
}

static void what_was_learned(void **state)
{
    (void)state;
    struct estimate_learned learned = {0};
    struct estimate_call call = {.input_tokens = 1000, .output_tokens = 100};
    assert_int_equal(estimate_usage(&learned, &call).input_tokens, 1100);
    struct estimate_sample sample = {
        .call = call,
        .usage = {.known = true, .input_tokens = 1300, .cached_tokens = 130, .output_tokens = 150},
        .ttft_ms = 400,
        .duration_ms = 1900};
    for (int i = 0; i < 5; i++)
        estimate_learn(&learned, &sample);
    struct usage usage = estimate_usage(&learned, &call);
    assert_int_equal(usage.input_tokens, 1300);
    assert_int_equal(usage.cached_tokens, 130);
    assert_int_equal(usage.output_tokens, 150);
    assert_int_equal(estimate_duration_ms(&learned, &usage), 1900);
    usage.output_tokens = 300;
    assert_int_equal(estimate_duration_ms(&learned, &usage), 3400);
    // What makes no sense changes nothing.
    struct estimate_learned before = learned;
    sample.usage.input_tokens = 299;
    estimate_learn(&learned, &sample);
    sample.usage.input_tokens = 4001;
    estimate_learn(&learned, &sample);
    sample.usage.input_tokens = 0;
    estimate_learn(&learned, &sample);
    sample.usage = (struct usage){.known = false, .input_tokens = 1000};
    estimate_learn(&learned, &sample);
    assert_memory_equal(&learned, &before, sizeof(learned));
}

// Answers in one script tell of those in another only where there are no better ones.
static void scripts_have_lengths_of_their_own(void **state)
{
    (void)state;
    struct estimate_learned learned = {0};
    struct estimate_call latin = {.input_tokens = 1000, .output_tokens = 400};
    struct estimate_call chinese = {
        .input_tokens = 1000, .output_tokens = 1200, .script = SCRIPT_CJK};
    struct estimate_sample sample = {
        .call = latin,
        .usage = {.known = true, .input_tokens = 1000, .output_tokens = 500},
        .ttft_ms = -1};
    estimate_learn(&learned, &sample);
    assert_int_equal(estimate_usage(&learned, &latin).output_tokens, 500);
    assert_int_equal(estimate_usage(&learned, &chinese).output_tokens, 1500);
    sample.call = chinese;
    sample.usage.output_tokens = 600;
    estimate_learn(&learned, &sample);
    assert_int_equal(estimate_usage(&learned, &latin).output_tokens, 500);
    assert_int_equal(estimate_usage(&learned, &chinese).output_tokens, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_what_a_worker_does),
        cmocka_unit_test(jobs_that_fail),
        cmocka_unit_test(a_stored_call_counts_as_it_did),
        cmocka_unit_test(what_was_learned),
        cmocka_unit_test(scripts_have_lengths_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
