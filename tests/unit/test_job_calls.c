// SPDX-License-Identifier: Apache-2.0
// What follows from each kind of answer, walked by hand: the retry policy and the three clocks.
#include "job_walk.h"

#include <inttypes.h>
#include <jansson.h>

#include "core/prompt.h"
#include "core/tokens.h"

static void one_answer_ends_the_job(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    assert_string_equal(walk.job->call.url, "https://api.example/v1/chat/completions");
    walk.now.now_ms += 1500;
    walk_content(&walk, WALK_SUMMARY, "stop");
    ASSERT_STEP(&walk, "finish");
    ASSERT_ASKED(&walk, ACTION_KEY_SUCCEEDED);
    ASSERT_ASKED(&walk, ACTION_RECORD);
    ASSERT_ATTEMPT(&walk, ATTEMPT_OK, "none");
    const struct record_draft *draft = &walk.job->draft;
    assert_int_equal(draft->attempt.cost_picousd, 100 + 20 * 10);
    assert_int_equal(draft->attempt.cost_source, COST_EXACT);
    assert_int_equal(draft->attempt.duration_ms, 1500);
    assert_int_equal(draft->attempt.attempt_no, 1);
    assert_true(draft->has_part && draft->part.call_no == 1);
    assert_int_equal(draft->outcome.state, JOB_DONE);
    assert_string_equal(draft->summary.summary, "Services for one hundred until May.");
    assert_int_equal(draft->summary.key_point_count, 3);
    assert_null(draft->outcome.dead_letter);
    assert_int_equal(draft->summary.citation_count, 3);
    const struct citation_row *price = &draft->summary.citations[1];
    assert_true(price->found && price->point == 2);
    assert_int_equal(price->from, 31);
    assert_int_equal(price->to, 55);
    assert_false(draft->summary.citations[2].found);
    assert_int_equal(draft->summary.citations[2].from, -1);
    walk_finish(&walk);
}

// Estimates are made once and used again, but only for the text that they are of.
static void each_call_is_estimated_by_its_own_text(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    struct job *job = walk.job;
    int64_t overhead = prompt_overhead_tokens(job->spec, NULL, NULL);
    int64_t text = tokens_estimate(job->text, job->text_len);
    assert_int_equal(job->call.input_tokens_estimate, overhead + tokens_upper(text));
    walk_content(&walk, "nothing", "stop");
    walk_recorded(&walk, RECORD_DONE);
    walk_to_call(&walk); // the repair sends the bad answer, too
    int64_t more = text + tokens_estimate("nothing", 7);
    assert_int_equal(job->call.input_tokens_estimate, overhead + tokens_upper(more));
    walk_deinit(&walk);
}

static void a_passing_fault_is_tried_again(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    for (int try = 1; try < 3; try++) {
        walk_to_call(&walk);
        walk_error(&walk, 503, "");
        ASSERT_STEP(&walk, "record");
        ASSERT_ASKED_ONLY(&walk, ACTION_RECORD);
        ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "http_503");
        assert_int_equal(walk.job->draft.attempt.attempt_no, try);
        assert_int_equal(walk.job->draft.attempt.cost_picousd, 0);
        walk_recorded(&walk, RECORD_DONE);
        ASSERT_STEP(&walk, "admit");
        int64_t due_ms = walk.now.now_ms + 1000 * try; // 1 s, 2 s
        assert_int_equal(walk.job->wake_ms, due_ms);
        assert_false(job_is_ready(walk.job, due_ms - 1));
        walk.now.now_ms = due_ms;
        walk_plain(&walk, JOB_WAKE);
        assert_true(job_is_ready(walk.job, due_ms));
        assert_int_equal(walk.job->wake_ms, INT64_MAX);
    }
    walk_to_call(&walk);
    walk_error(&walk, 503, "");
    ASSERT_FAILS(&walk, "http_503");
    ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "http_503");
    assert_int_equal(walk.job->draft.outcome.attempts, 3);
    assert_non_null(strstr(walk.job->draft.outcome.error, "words of the provider"));
    walk_finish(&walk);
}

static void the_server_may_ask_for_a_longer_wait(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_http(&walk, (struct http_event){.kind = HTTP_STATUS, .status = 503});
    walk_http(&walk,
              (struct http_event){.kind = HTTP_HEADER, .name = "retry-after", .value = "20"});
    walk_end(&walk, NULL);
    walk_recorded(&walk, RECORD_DONE);
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 20000);
    walk_deinit(&walk);
}

static void a_bad_answer_is_repaired_once(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_content(&walk, "Here is no JSON", "stop");
    ASSERT_STEP(&walk, "record");
    ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "not_json");
    assert_string_equal(walk.job->draft.attempt.answer, "Here is no JSON");
    assert_int_equal(walk.job->draft.attempt.cost_picousd, 300); // it was made, so it is paid
    walk_recorded(&walk, RECORD_DONE);
    assert_int_equal(walk.job->wake_ms, INT64_MAX); // at once
    walk_plain(&walk, JOB_ADMITTED);
    assert_non_null(strstr(buf_str(&walk.job->call.body), "Here is no JSON"));
    walk_intended(&walk, INTENT_GO, STOP_NONE);
    walk_sent(&walk);
    walk_content(&walk, "{\"summary\":1}", "stop");
    ASSERT_FAILS(&walk, "schema_mismatch");
    walk_finish(&walk);
}

static void a_cut_answer_gets_more_room_once(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB("\"summarize\":{\"max_output_tokens\":1000},"));
    walk_to_call(&walk);
    assert_int_equal(walk.job->call.max_output_tokens, 1000);
    walk_content(&walk, "{\"summary\":\"Serv", "length");
    ASSERT_STEP(&walk, "record");
    ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "output_limit");
    assert_int_equal(walk.job->draft.attempt.cost_picousd, 300);
    walk_recorded(&walk, RECORD_DONE);
    walk_to_call(&walk);
    assert_int_equal(walk.job->call.max_output_tokens, 2000);
    walk_content(&walk, "{\"summary\":\"Serv", "length");
    ASSERT_FAILS(&walk, "output_limit");
    walk_finish(&walk);
}

static void no_more_room_than_the_model_has(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB("\"summarize\":{\"max_output_tokens\":4096},"));
    walk_to_call(&walk);
    walk_content(&walk, "{\"summary\":\"Serv", "length");
    ASSERT_FAILS(&walk, "output_limit");
    walk_finish(&walk);
}

static const char *long_job(struct buf *out, const char *on_too_long)
{
    buf_init(out, 0);
    buf_printf(out,
               "{\"tenant\":\"acme\",\"batch\":\"b\",\"id\":\"c-1\",\"kind\":\"summarize\","
               "\"summarize\":{\"on_too_long\":\"%s\",\"max_output_tokens\":500},"
               "\"document\":{\"text\":\"",
               on_too_long);
    for (int i = 0; i < 160; i++)
        buf_printf(out, "Clause %d says that party %d pays party %d on day %d. ", i, i, i + 1, i);
    buf_add_str(out, "\"}}");
    return buf_str(out);
}

// A user's own form: what has an end gets its bound, what has none all there is after a cut.
static void a_cut_answer_of_an_own_form_gets_more_room(void **state)
{
    (void)state;
    static const struct {
        const char *limit;
        int64_t least, most, again_least, again_most;
    } rows[] = {
        {",\"maxLength\":3000", 1200, 1800, 2400, 3600},
        {"", 1024, 1024, 4096, 4096},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf job OWN_BUF;
        buf_init(&job, 0);
        buf_printf(&job,
                   WALK_JOB("\"summarize\":{\"reasoning_mode\":\"non-reasoning\","
                            "\"evidence\":\"none\",\"output_schema\":{\"type\":\"object\","
                            "\"properties\":{\"a\":{\"type\":\"string\"%s}}}},"),
                   rows[i].limit);
        struct walk walk;
        walk_to_admit(&walk, buf_str(&job));
        walk_to_call(&walk);
        assert_in_range(walk.job->call.max_output_tokens, rows[i].least, rows[i].most);
        walk_content(&walk, "{\"a\":\"and so", "length");
        walk_recorded(&walk, RECORD_DONE);
        walk_to_call(&walk);
        assert_in_range(walk.job->call.max_output_tokens, rows[i].again_least, rows[i].again_most);
        walk_deinit(&walk);
    }
}

// A budget reserves what no vocabulary can pass: a token for each byte.
static void the_bound_of_the_cost_is_one_of_bytes(void **state)
{
    (void)state;
    struct walk walk;
    int64_t overhead_bytes;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    prompt_overhead_tokens(walk.job->spec, NULL, &overhead_bytes);
    int64_t bytes = overhead_bytes + (int64_t)walk.job->text_len;
    assert_int_equal(walk.job->call.at_most_picousd, bytes + 10 * walk.job->call.max_output_tokens);
    assert_true((int64_t)walk.job->call.body.len <= bytes + 1500); // JSON around it, and escapes
    walk_deinit(&walk);
}

// ------------------------------------------------------------------------------- the ceiling

// Bytes of what a model reads of the request: no vocabulary has more tokens.
static int64_t read_bytes(const json_t *body)
{
    size_t i;
    json_t *message, *format = json_object_get(body, "response_format");
    char *schema = json_dumps(format, JSON_ENCODE_ANY | JSON_COMPACT);
    int64_t bytes = schema ? (int64_t)strlen(schema) : 0;
    free(schema);
    json_array_foreach(json_object_get(body, "messages"), i, message) bytes +=
        (int64_t)json_string_length(json_object_get(message, "content"));
    return bytes;
}

// A token a byte, and an answer as long as it may be: what is billed at most. It is no JSON.
static void answer_at_worst(struct walk *walk, int64_t *out_input)
{
    struct buf out OWN_BUF;
    json_t *body = json_loads(buf_str(&walk->job->call.body), 0, NULL);
    assert_non_null(body);
    *out_input = read_bytes(body);
    json_decref(body);
    buf_init(&out, 0);
    buf_printf(&out,
               "{\"id\":\"r\",\"model\":\"first\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
               "\"assistant\",\"content\":\"words\"},\"finish_reason\":\"stop\"}],\"usage\":{"
               "\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64
               ",\"total_tokens\":%" PRId64 "}}",
               *out_input, walk->job->call.max_output_tokens,
               *out_input + walk->job->call.max_output_tokens);
    walk_head(walk, 200, "application/json");
    walk_data(walk, buf_str(&out));
    walk_end(walk, NULL);
}

// Every answer is bad and as dear as can be, until the job gives up. What it cost; `*out_low`: how
// much less the estimate was than the input of its first call, in percent; -1: there was none.
static int64_t cost_at_worst(const char *text, int64_t ceiling, const struct calibrate *calibrate,
                             int *out_low)
{
    struct buf message OWN_BUF;
    struct walk walk;
    int64_t cost = 0;
    buf_init(&message, 0);
    buf_printf(&message,
               "{\"tenant\":\"t\",\"batch\":\"b\",\"id\":\"i\",\"kind\":\"summarize\","
               "\"max_cost_usd\":\"0.%012" PRId64 "\",\"document\":{\"text\":\"%s\"}}",
               ceiling, text);
    walk_init(&walk);
    walk.now.calibrate = calibrate;
    walk.route.model_count = 1;
    walk_job(&walk, buf_str(&message));
    walk_plain(&walk, JOB_START);
    walk_claimed_new(&walk);
    *out_low = -1;
    for (int i = 0; i < 5 && walk.job->step == STEP_ADMIT; i++) {
        walk.now.now_ms += 100000;
        walk_plain(&walk, JOB_ADMITTED);
        if (walk.job->step != STEP_INTENT)
            break;
        int64_t input, estimate = walk.job->call.input_tokens_estimate;
        assert_false(job_can_pack(walk.job));
        walk_intended(&walk, INTENT_GO, STOP_NONE);
        walk_sent(&walk);
        answer_at_worst(&walk, &input);
        assert_true(walk.job->draft.has_attempt);
        assert_true(walk.job->draft.attempt.cost_picousd >= input);
        cost += walk.job->draft.attempt.cost_picousd;
        if (*out_low < 0)
            *out_low = (int)(input > estimate ? 100 - 100 * estimate / input : 0);
        if (walk.job->step == STEP_RECORD)
            walk_recorded(&walk, RECORD_DONE);
    }
    ASSERT_STEP(&walk, "finish");
    if (*out_low < 0)
        assert_string_equal(walk.job->draft.outcome.error_code, "over_max_cost");
    walk_deinit(&walk);
    return cost;
}

static void no_job_costs_more_than_its_ceiling(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        int times, low; // how much too low the estimate is, in percent
    } rows[] = {
        {"\u1200\u1208\u1210\u1218", 100, 50}, // Ethiopic: most vocabularies spell it by bytes
        {"k9Xq2LmZ0aVt7RbYc4Ndw8Ehs1JfUgPi", 60, 20},
        {"\u2603\u2620", 150, 20},
        {"The tenant pays the rent. ", 40, 50},
    };
    struct calibrate calibrate; // it has seen many texts, and each was as long as it looked
    calibrate_init(&calibrate);
    for (int i = 0; i < 200; i++)
        calibrate_input_told(&calibrate, (enum calibrate_script)(i % SCRIPTS), 1000, 900);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text OWN_BUF;
        int refused = 0, called = 0, low = 0, seen;
        buf_init(&text, 0);
        for (int n = 0; n < rows[i].times; n++)
            buf_add_str(&text, rows[i].piece);
        for (int64_t ceiling = 5000; ceiling < 80000; ceiling += ceiling / 20) {
            assert_true(cost_at_worst(buf_str(&text), ceiling, &calibrate, &seen) <= ceiling);
            refused += seen < 0;
            called += seen >= 0;
            low = seen >= 0 ? seen : low;
        }
        assert_true(refused > 0 && called > 0);
        assert_true(low >= rows[i].low);
    }
}

static void too_long_makes_a_plan_of_smaller_parts(void **state)
{
    (void)state;
    struct buf message OWN_BUF;
    struct walk walk;
    walk_to_admit(&walk, long_job(&message, "split"));
    assert_int_equal(walk.job->plan.count, 1);
    walk_to_call(&walk);
    walk_error(&walk, 400, "context_length_exceeded");
    ASSERT_STEP(&walk, "record");
    ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "context_length_exceeded");
    walk_recorded(&walk, RECORD_DONE);
    ASSERT_STEP(&walk, "admit");
    assert_int_equal(walk.job->plan.no, 2);
    assert_false(walk.job->plan.stored);
    assert_true(walk.job->plan.count >= 3);
    assert_int_equal(walk.job->plan.calls[0].kind, PLAN_PART);
    assert_int_equal(walk.job->plan.calls[walk.job->plan.count - 1].kind, PLAN_COMBINE);
    assert_int_equal(walk.job->plan.calls[0].from, 0);
    // Every part and the combination are asked, and the last answer is the outcome.
    size_t calls = walk.job->plan.count;
    for (size_t i = 0; i < calls; i++) {
        assert_int_equal(walk.job->plan.cursor, i);
        walk_to_call(&walk);
        assert_int_equal(walk.job->call.last_attempt_no, 1);
        walk_content(&walk, WALK_SUMMARY, "stop");
        assert_int_equal(walk.job->draft.part.call_no, i + 1);
        assert_true(walk.job->draft.has_part);
        if (i + 1 < calls)
            walk_recorded(&walk, RECORD_DONE);
    }
    assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
    walk_finish(&walk);
}

static void too_long_fails_where_the_job_says_so(void **state)
{
    (void)state;
    struct buf message OWN_BUF;
    struct walk walk;
    walk_to_admit(&walk, long_job(&message, "fail"));
    walk_to_call(&walk);
    walk_error(&walk, 400, "context_length_exceeded");
    ASSERT_FAILS(&walk, "context_length_exceeded");
    walk_finish(&walk);
}

static void too_long_cuts_where_the_job_says_so(void **state)
{
    (void)state;
    struct buf message OWN_BUF;
    struct walk walk;
    walk_to_admit(&walk, long_job(&message, "truncate"));
    walk_to_call(&walk);
    int64_t whole = walk.job->call.input_tokens_estimate;
    walk_error(&walk, 413, "");
    walk_recorded(&walk, RECORD_DONE);
    assert_int_equal(walk.job->plan.count, 1);
    assert_true(walk.job->plan.calls[0].to < walk.job->text_chars);
    walk_to_call(&walk);
    assert_true(walk.job->call.input_tokens_estimate < whole);
    walk_content(&walk, WALK_SUMMARY, "stop");
    assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
    assert_string_equal(walk.job->draft.summary.warnings[0],
                        "the document was cut to fit the model's context");
    walk_finish(&walk);
}

// Else it would wait for ever: no minute and no day lets it through.
static void larger_than_a_whole_limit_fails_at_once(void **state)
{
    (void)state;
    static const struct {
        struct config_model limits;
        int64_t of_key;    // tokens a minute
        const char *words; // NULL: it fits
    } rows[] = {
        {{.tpm = 900}, 0, "of the model's 900 tokens a minute"},
        {{.tpm = 900}, 90000, NULL},
        {{.tpm = 90000}, 900, "of the model's 900 tokens a minute"},
        {{.itpm = 100}, 0, "of the model's 100 input tokens a minute"},
        {{.otpm = 500}, 0, "of the model's 500 output tokens a minute"},
        {{.tpd = 1000}, 0, "of the model's 1000 tokens a day"},
        {{.rpm = 1, .tpm = 90000, .itpm = 9000, .otpm = 9000, .tpd = 90000}, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        struct config_key key = {.tpm = rows[i].of_key};
        walk_init(&walk);
        walk.provider.keys = (struct config_keys){&key, 1};
        walk.models[0].tpm = rows[i].limits.tpm;
        walk.models[0].itpm = rows[i].limits.itpm;
        walk.models[0].otpm = rows[i].limits.otpm;
        walk.models[0].tpd = rows[i].limits.tpd;
        walk_job(&walk, WALK_JOB(""));
        walk_plain(&walk, JOB_START);
        walk_claimed_new(&walk);
        if (rows[i].words) {
            ASSERT_FAILS(&walk, "over_limit");
            assert_non_null(strstr(walk.job->draft.outcome_error, rows[i].words));
            walk_finish(&walk);
        } else {
            assert_int_equal(walk.job->step, STEP_ADMIT);
            walk_deinit(&walk);
        }
    }
}

// However often it is said, the plans have an end.
static void too_long_for_ever_fails(void **state)
{
    (void)state;
    struct buf message OWN_BUF;
    struct walk walk;
    walk_to_admit(&walk, long_job(&message, "split"));
    for (int i = 0; i < 20 && walk.job->step == STEP_ADMIT; i++) {
        walk_to_call(&walk);
        walk_error(&walk, 400, "context_length_exceeded");
        if (walk.job->step == STEP_RECORD)
            walk_recorded(&walk, RECORD_DONE);
    }
    ASSERT_FAILS(&walk, "context_length_exceeded");
    assert_true(walk.job->plan.no <= JOB_PLANS_MAX);
    walk_finish(&walk);
}

static void the_key_waits_and_no_try_is_used(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code, *told;
        enum attempt_outcome outcome;
    } rows[] = {
        {429, "rate_limit_exceeded", "rate_limit_exceeded", ATTEMPT_THROTTLED},
        {429, "insufficient_quota", "insufficient_quota", ATTEMPT_FAILED},
        {402, "", "http_402", ATTEMPT_FAILED},
        {401, "invalid_api_key", "http_401", ATTEMPT_FAILED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct walk walk;
        walk_to_admit(&walk, WALK_JOB(""));
        for (int try = 0; try < 10; try++) {
            walk_to_call(&walk);
            walk_error(&walk, rows[i].status, rows[i].code);
            ASSERT_STEP(&walk, "record");
            assert_int_equal(walk.actions.kinds[0], ACTION_KEY_FAILED);
            assert_int_equal(walk.actions.kinds[1], ACTION_RECORD);
            ASSERT_ATTEMPT(&walk, rows[i].outcome, rows[i].told);
            walk_recorded(&walk, RECORD_DONE);
            ASSERT_STEP(&walk, "admit");
            assert_true(job_is_ready(walk.job, walk.now.now_ms)); // the key waits, not the job
        }
        assert_int_equal(walk.job->call.attempts_used, 0);
        walk_to_call(&walk);
        walk_content(&walk, WALK_SUMMARY, "stop");
        walk_finish(&walk);
    }
}

static void a_forbidden_job_fails_when_it_is_let_in(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_error(&walk, 403, "");
    ASSERT_ASKED(&walk, ACTION_KEY_FAILED);
    walk_recorded(&walk, RECORD_DONE);
    ASSERT_STEP(&walk, "admit");
    walk_plain(&walk, JOB_ADMITTED);
    ASSERT_FAILS(&walk, "http_403");
    // Another worker had taken it: here it begins anew.
    walk_recorded(&walk, RECORD_FENCED);
    ASSERT_STEP(&walk, "held");
    walk_looked_up(&walk, LOOKUP_FREE);
    walk_claimed(&walk, (struct claim_reply){.verdict = CLAIM_MINE, .job_no = 5, .epoch = 3});
    walk_to_call(&walk);
    walk_content(&walk, WALK_SUMMARY, "stop");
    walk_finish(&walk);
}

static void two_doubtful_attempts_end_the_job(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_broken(&walk);
    ASSERT_STEP(&walk, "record");
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "connection_lost");
    assert_int_equal(walk.job->draft.attempt.cost_picousd, -1);
    assert_int_equal(walk.job->draft.attempt.cost_source, COST_IN_DOUBT);
    assert_int_equal(walk.job->draft.attempt.at_most_picousd, walk.job->call.at_most_picousd);
    assert_true(walk.job->call.at_most_picousd > 10000);
    walk_recorded(&walk, RECORD_DONE);
    walk_to_call(&walk);
    walk_broken(&walk);
    ASSERT_FAILS(&walk, "in_doubt");
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "connection_lost");
    walk_finish(&walk);
}

static void a_missing_model_gives_way_to_the_next(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_error(&walk, 404, "model_not_found");
    ASSERT_STEP(&walk, "record");
    walk_recorded(&walk, RECORD_DONE);
    ASSERT_STEP(&walk, "admit");
    assert_string_equal(walk.job->plan.model->name, "second");
    assert_int_equal(walk.job->plan.no, 2);
    walk_to_call(&walk);
    walk_error(&walk, 404, "model_not_found");
    ASSERT_FAILS(&walk, "model_not_found");
    walk_finish(&walk);
}

static void what_is_hopeless_fails_at_once(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_error(&walk, 422, "");
    ASSERT_FAILS(&walk, "http_422");
    walk_finish(&walk);
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_content(&walk, "", "content_filter");
    ASSERT_FAILS(&walk, "content_filter");
    assert_int_equal(walk.job->draft.attempt.cost_picousd, 300);
    walk_finish(&walk);
}

// ------------------------------------------------------------------------------- clocks

static void walk_to_stream(struct walk *walk)
{
    walk_to_admit(walk, WALK_JOB(""));
    walk->models[0].stream = true;
    walk_to_call(walk);
}

#define STREAM_TEXT(text)                                                                          \
    "data: "                                                                                       \
    "{\"id\":\"r\",\"model\":\"first\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text   \
    "\"},\"finish_reason\":null}]}\n\n"
#define STREAM_FINISH                                                                              \
    "data: {\"id\":\"r\",\"model\":\"first\",\"choices\":[{\"index\":0,\"delta\":{},"              \
    "\"finish_reason\":\"stop\"}]}\n\n"

static void the_first_byte_has_its_time(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_stream(&walk);
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 30000);
    walk.now.now_ms += 29999;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "call");
    walk.now.now_ms += 1;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "record");
    ASSERT_ASKED(&walk, ACTION_CANCEL_CALL);
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "timeout_first_byte");
    assert_int_equal(walk.job->cancel_serial, 1);
    walk_deinit(&walk);
}

static void idle_counts_from_the_last_content(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_stream(&walk);
    walk_head(&walk, 200, "text/event-stream");
    for (int i = 0; i < 3; i++) {
        walk.now.now_ms += 19000;
        walk_data(&walk, STREAM_TEXT("a"));
        assert_int_equal(walk.job->wake_ms, walk.now.now_ms + 20000);
    }
    walk.now.now_ms += 10000;
    walk_data(&walk, ": keep-alive\n\n"); // is no content
    walk.now.now_ms += 10000;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "record");
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "timeout_idle");
    assert_int_equal(walk.job->draft.attempt.ttft_ms, 19000);
    walk_deinit(&walk);
}

static void the_whole_answer_has_its_time(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_stream(&walk);
    walk_head(&walk, 200, "text/event-stream");
    int64_t total_ms = walk.job->call.total_ms;
    assert_true(total_ms >= 30000 + walk.job->call.max_output_tokens * 20);
    int64_t end_ms = walk.now.now_ms + total_ms;
    while (walk.now.now_ms + 10000 < end_ms) {
        walk.now.now_ms += 10000;
        walk_data(&walk, STREAM_TEXT("a"));
    }
    assert_int_equal(walk.job->wake_ms, end_ms);
    walk.now.now_ms = end_ms;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "timeout_total");
    walk_deinit(&walk);
}

static void a_finished_stream_without_its_marker_counts_after_two_seconds(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_stream(&walk);
    walk_head(&walk, 200, "text/event-stream");
    walk_data(&walk, STREAM_TEXT("{\\\"summary\\\":\\\"Services.\\\",\\\"key_points\\\":["));
    for (int i = 0; i < 3; i++) {
        walk_data(&walk, i ? STREAM_TEXT(",") : STREAM_TEXT(" "));
        walk_data(&walk, STREAM_TEXT("{\\\"point\\\":\\\"a\\\",\\\"quote\\\":\\\"May\\\"}"));
    }
    walk_data(&walk, STREAM_TEXT("]}"));
    walk_data(&walk, STREAM_FINISH);
    assert_int_equal(walk.job->wake_ms, walk.now.now_ms + JOB_GRACE_MS);
    walk.now.now_ms += JOB_GRACE_MS;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "finish");
    ASSERT_ASKED(&walk, ACTION_CANCEL_CALL);
    assert_int_equal(walk.job->draft.outcome.state, JOB_DONE);
    assert_int_equal(walk.job->draft.attempt.cost_source, COST_ESTIMATED); // no usage came
    walk_finish(&walk);
}

static void a_stream_that_ends_early_is_in_doubt(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_stream(&walk);
    walk_head(&walk, 200, "text/event-stream");
    walk_data(&walk, STREAM_TEXT("{"));
    walk_end(&walk, NULL);
    ASSERT_ATTEMPT(&walk, ATTEMPT_IN_DOUBT, "answer_cut");
    walk_deinit(&walk);
}

// Waiting for a connection is no answer that fails to come: nothing was sent, nothing is in doubt.
static void what_never_left_is_not_in_doubt(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk.models[0].stream = true;
    walk_plain(&walk, JOB_ADMITTED);
    walk_intended(&walk, INTENT_GO, STOP_NONE);
    walk.now.now_ms += 31000; // longer than for a first byte, which has not begun
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "call");
    walk.now.now_ms = walk.job->wake_ms;
    walk_plain(&walk, JOB_WAKE);
    ASSERT_STEP(&walk, "record");
    ASSERT_ASKED(&walk, ACTION_CANCEL_CALL);
    ASSERT_ATTEMPT(&walk, ATTEMPT_FAILED, "connect_failed");
    assert_int_equal(walk.job->draft.attempt.cost_picousd, 0);
    walk_deinit(&walk);
}

static void walk_cancelled(struct walk *walk, bool cut)
{
    struct store_event store = {.kind = STORE_LOOKED_UP,
                                .u.looked_up = {LOOKUP_HELD, STOP_CANCELLED, cut}};
    walk_store(walk, JOB_LOOKED_UP, &store);
}

// Cancelled while its call is under way: that is waited for, or cut and in doubt.
static void a_call_is_cut_where_that_is_wanted(void **state)
{
    (void)state;
    struct walk walk;
    walk_to_admit(&walk, WALK_JOB(""));
    walk_to_call(&walk);
    walk_cancelled(&walk, false);
    ASSERT_STEP(&walk, "call");
    walk_cancelled(&walk, true);
    ASSERT_STEP(&walk, "finish");
    ASSERT_ASKED(&walk, ACTION_CANCEL_CALL);
    ASSERT_ASKED(&walk, ACTION_RECORD);
    assert_int_equal(walk.job->draft.outcome.state, JOB_CANCELLED);
    assert_true(walk.job->draft.has_attempt);
    assert_int_equal(walk.job->draft.attempt.outcome, ATTEMPT_IN_DOUBT);
    assert_true(walk.job->draft.attempt.at_most_picousd > 0);
    assert_null(walk.job->draft.outcome.dead_letter);
    walk_finish(&walk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_cut_where_that_is_wanted),
        cmocka_unit_test(one_answer_ends_the_job),
        cmocka_unit_test(each_call_is_estimated_by_its_own_text),
        cmocka_unit_test(a_passing_fault_is_tried_again),
        cmocka_unit_test(the_server_may_ask_for_a_longer_wait),
        cmocka_unit_test(a_bad_answer_is_repaired_once),
        cmocka_unit_test(a_cut_answer_gets_more_room_once),
        cmocka_unit_test(no_more_room_than_the_model_has),
        cmocka_unit_test(a_cut_answer_of_an_own_form_gets_more_room),
        cmocka_unit_test(the_bound_of_the_cost_is_one_of_bytes),
        cmocka_unit_test(no_job_costs_more_than_its_ceiling),
        cmocka_unit_test(too_long_makes_a_plan_of_smaller_parts),
        cmocka_unit_test(too_long_fails_where_the_job_says_so),
        cmocka_unit_test(too_long_cuts_where_the_job_says_so),
        cmocka_unit_test(larger_than_a_whole_limit_fails_at_once),
        cmocka_unit_test(too_long_for_ever_fails),
        cmocka_unit_test(the_key_waits_and_no_try_is_used),
        cmocka_unit_test(a_forbidden_job_fails_when_it_is_let_in),
        cmocka_unit_test(two_doubtful_attempts_end_the_job),
        cmocka_unit_test(a_missing_model_gives_way_to_the_next),
        cmocka_unit_test(what_is_hopeless_fails_at_once),
        cmocka_unit_test(the_first_byte_has_its_time),
        cmocka_unit_test(idle_counts_from_the_last_content),
        cmocka_unit_test(the_whole_answer_has_its_time),
        cmocka_unit_test(a_finished_stream_without_its_marker_counts_after_two_seconds),
        cmocka_unit_test(a_stream_that_ends_early_is_in_doubt),
        cmocka_unit_test(what_never_left_is_not_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
