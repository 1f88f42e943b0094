// SPDX-License-Identifier: Apache-2.0
// One request for several jobs, in the engine: when it leaves, who is in it, who records what.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/text.h"
#include "core/tokens.h"
#include "engine_parts.h"
#include "job/decode.h"

#define JOBS    8
#define S(text) ((char *)(uintptr_t)(text))

struct record { // what was recorded of one job
    int times;
    enum attempt_outcome outcome;
    char code[40];
    int64_t cost_picousd, at_most_picousd;
    enum cost_source source;
    bool ended, part;
    enum job_state state;
    char output[400];
};

// An engine with edges that only listen; the test answers for them. Jobs have the numbers 1 and on.
struct bench {
    struct engine *engine;
    struct config config;
    struct config_provider provider;
    struct config_key key;
    struct config_model model;
    const struct config_model *models[1];
    struct config_route route;
    int64_t now_ms;
    size_t jobs;
    struct slot_id owners[JOBS + 1];
    bool intended[JOBS + 1];   // asked, and not answered yet
    int64_t at_most[JOBS + 1]; // of its last intent
    char packs[JOBS + 1][80];  // the name of the pack; "" none
    struct record records[JOBS + 1];
    bool recording[JOBS + 1];
    size_t calls, cancels;
    struct slot_id caller; // of the last call
    uint32_t serial;
    char body[20000];
    char request_id[100];
    size_t asks;
    struct quota_ask ask;
};

// ------------------------------------------------------------------------------- edges

static void on_claim(void *store, const struct claim_request *request)
{
    struct bench *bench = store;
    bench->owners[++bench->jobs] = request->owner;
}

static void on_intend(void *store, const struct intent_request *request)
{
    struct bench *bench = store;
    size_t job = (size_t)request->job_no;
    assert_false(bench->intended[job]);
    bench->intended[job] = true;
    bench->at_most[job] = request->at_most_picousd;
    snprintf(bench->packs[job], sizeof(bench->packs[job]), "%s",
             request->pack ? request->pack : "");
}

static void on_record(void *store, const struct record_request *request)
{
    struct bench *bench = store;
    struct record *record = &bench->records[request->job_no];
    bench->recording[request->job_no] = true;
    record->times++;
    record->ended = request->outcome != NULL;
    record->part = request->part != NULL;
    if (request->outcome)
        record->state = request->outcome->state;
    record->code[0] = record->output[0] = '\0';
    if (request->attempt) {
        record->outcome = request->attempt->outcome;
        record->cost_picousd = request->attempt->cost_picousd;
        record->at_most_picousd = request->attempt->at_most_picousd;
        record->source = request->attempt->cost_source;
        if (request->attempt->error_code)
            snprintf(record->code, sizeof(record->code), "%s", request->attempt->error_code);
    }
    if (request->outcome && request->outcome->summary)
        snprintf(record->output, sizeof(record->output), "%s",
                 request->outcome->summary->output_json);
}

static void on_quota(void *store, struct slot_id owner, const struct quota_ask *asks, size_t count)
{
    (void)owner;
    struct bench *bench = store;
    assert_int_equal(count, 1);
    bench->ask = asks[0];
    bench->asks++;
}

static void no_job(void *store, struct slot_id owner, int64_t job_no)
{
    (void)store;
    (void)owner;
    (void)job_no;
}

static void no_wait(void *store, int64_t job_no, const char *reason, int64_t start_ms)
{
    (void)store;
    (void)job_no;
    (void)reason;
    (void)start_ms;
}

static void no_word(void *store)
{
    (void)store;
}

static void no_sweep(void *store, size_t limit)
{
    (void)store;
    (void)limit;
}

static void no_take(void *store, const struct take_request *request)
{
    (void)store;
    (void)request;
}

static void no_budgets(void *store, const struct budget *budgets, size_t count)
{
    (void)store;
    (void)budgets;
    (void)count;
}

static void no_lesson(void *store, const struct calibrate_request *request)
{
    (void)store;
    (void)request;
}

static const struct store_ops store_ops = {
    .claim = on_claim,
    .intend = on_intend,
    .record = on_record,
    .look_up = no_job,
    .waiting = no_wait,
    .renew = no_word,
    .sweep = no_sweep,
    .take_requeued = no_take,
    .budgets = no_budgets,
    .quota = on_quota,
    .calibrate = no_lesson,
};

static void on_call(void *http, const struct http_request *request)
{
    struct bench *bench = http;
    bench->calls++;
    bench->caller = request->owner;
    bench->serial = request->serial;
    snprintf(bench->body, sizeof(bench->body), "%.*s", (int)request->body_len, request->body);
    for (size_t i = 0; i < request->header_count; i++)
        if (strcmp(request->headers[i].name, "X-Client-Request-Id") == 0)
            snprintf(bench->request_id, sizeof(bench->request_id), "%s",
                     (const char *)request->headers[i].value);
}

static void on_cancel(void *http, struct slot_id owner, uint32_t serial)
{
    (void)owner;
    (void)serial;
    ((struct bench *)http)->cancels++;
}

static const struct http_ops http_ops = {.start = on_call, .cancel = on_cancel};
static const struct broker_ops broker_ops = {.begin = NULL};

static int64_t now_of(void *world)
{
    return ((struct bench *)world)->now_ms;
}

static uint64_t no_chance(void *world)
{
    (void)world;
    return UINT64_C(0x123456789abcdef);
}

static void no_point(void *world, const char *name)
{
    (void)world;
    (void)name;
}

// ------------------------------------------------------------------------------- the bench

static void run(struct bench *bench)
{
    engine_run(bench->engine);
}

static void answer(struct bench *bench, struct store_event *event, size_t job)
{
    event->owner = job ? bench->owners[job] : (struct slot_id){0};
    engine_on_store(bench->engine, event);
    run(bench);
}

static void renew(struct bench *bench)
{
    struct store_event event = {.kind = STORE_RENEWED};
    run(bench); // it asks
    event.u.renewed.db_now_ms = INT64_C(1795000000000) + bench->now_ms;
    answer(bench, &event, 0);
}

// So many requests, and as many tokens as anybody wants.
static void grant(struct bench *bench, int64_t requests)
{
    struct quota_grant given = {
        .spread_ms = 1, .valid_ms = 60000, .slots = INT64_MAX, .askers = 1, .wait_ms = 0};
    struct store_event event = {.kind = STORE_QUOTA};
    assert_true(bench->asks > 0);
    given.given[QUOTA_REQUESTS] = requests;
    given.rate[QUOTA_REQUESTS] = 60;
    given.wait_ms = requests ? 0 : 1000;
    event.u.quota.grants = &given;
    event.u.quota.count = 1;
    answer(bench, &event, 0);
    bench->now_ms += 5; // a grant's requests are earned bit by bit
    run(bench);
}

static struct bench *bench_new(void)
{
    struct bench *bench = own_alloc(sizeof(*bench));
    bench->now_ms = 1000000;
    bench->key = (struct config_key){.name = S("main")};
    bench->provider = (struct config_provider){.name = S("sim"),
                                               .api = S("openai"),
                                               .base_url = S("http://sim/v1"),
                                               .keys = {&bench->key, 1},
                                               .connect_ms = 1000,
                                               .first_byte_ms = 30000,
                                               .idle_ms = 30000};
    bench->model = (struct config_model){
        .name = S("m"),
        .served_name = S("m"),
        .provider = &bench->provider,
        .price = {.known = true, .input_picousd = 3, .cached_picousd = 1, .output_picousd = 7},
        .price_version = S("v"),
        .context_tokens = 16000,
        .max_output_tokens = 8000,
        .rpm = 60};
    bench->models[0] = &bench->model;
    bench->route =
        (struct config_route){.name = S("default"), .models = bench->models, .model_count = 1};
    bench->config = (struct config){.providers = &bench->provider,
                                    .provider_count = 1,
                                    .models = &bench->model,
                                    .model_count = 1,
                                    .routes = &bench->route,
                                    .route_count = 1};
    bench->config.worker.in_flight = 100;
    bench->config.worker.memory_bytes = 1 << 26;
    bench->config.packing =
        (struct config_packing){.size = 3, .tokens = 16000, .doubt_picousd = INT64_C(1000000000)};
    backoff_default(&bench->config.retry);
    struct edges edges = {.store = bench,
                          .store_ops = &store_ops,
                          .broker = bench,
                          .broker_ops = &broker_ops,
                          .http = bench,
                          .http_ops = &http_ops,
                          .world = bench,
                          .now_ms = now_of,
                          .random = no_chance,
                          .at_point = no_point};
    struct engine_options options = {.config = &bench->config, .program_version = "0"};
    bench->engine = engine_new(&options, &edges);
    struct store_event up = {.kind = STORE_UP};
    answer(bench, &up, 0);
    renew(bench);
    return bench;
}

static void bench_free(struct bench *bench)
{
    engine_free(bench->engine);
    free(bench);
}

#define TEXT_OF_ONE                                                                                \
    "Letter 1. The fee is 100 dollars. Party 1 pays in May. The term of 1 ends in June."

static void add_job(struct bench *bench, size_t number)
{
    static const struct decode_limits limits = {
        .value_bytes = 1 << 20, .text_bytes = 1 << 20, .nodes = 10000};
    char value[600];
    snprintf(
        value, sizeof(value),
        "{\"id\":\"job-%zu\",\"kind\":\"summarize\",\"document\":{\"text\":\"Letter %zu. The fee "
        "is %zu00 dollars. Party %zu pays in May. The term of %zu ends in June.\"}}",
        number, number, number, number, number);
    struct message message = {
        .topic = "jobs", .offset = (int64_t)number, .value = value, .value_len = strlen(value)};
    struct decode_out out;
    assert_int_equal(job_decode(&message, &limits, &out), DECODED_JOB);
    struct job_spec *spec = own_alloc(sizeof(*spec));
    *spec = out.spec;
    job_spec_init(&out.spec);
    decode_out_deinit(&out);
    struct raw_message *raw = raw_message_copy(&message);
    raw->requeued = true; // of no partition
    engine_add(bench->engine, job_new(raw, spec, bench->now_ms), (struct slot_id){0});
    struct claim_reply reply = {.verdict = CLAIM_MINE, .job_no = (int64_t)number, .epoch = 1};
    struct store_event event = {.kind = STORE_CLAIMED, .u.claimed = &reply};
    answer(bench, &event, number);
}

// `count` jobs that have waited for a request, and one that they get.
static struct bench *with_pack(size_t count)
{
    struct bench *bench = bench_new();
    for (size_t i = 1; i <= count; i++)
        add_job(bench, i);
    grant(bench, 0);
    bench->now_ms += 1500;
    run(bench);
    grant(bench, 1);
    return bench;
}

static void intent(struct bench *bench, size_t job, enum intent_verdict verdict)
{
    struct store_event event = {.kind = STORE_INTENDED};
    event.u.intended.verdict = verdict;
    assert_true(bench->intended[job]);
    bench->intended[job] = false;
    answer(bench, &event, job);
}

static void recorded(struct bench *bench, size_t job)
{
    struct store_event event = {.kind = STORE_RECORDED};
    assert_true(bench->recording[job]);
    bench->recording[job] = false;
    answer(bench, &event, job);
}

static size_t documents_in(const struct bench *bench, char ids[JOBS][16])
{
    size_t count = 0;
    for (const char *at = bench->body; (at = strstr(at, "<document-")); at++)
        if (sscanf(at, "<document-%15[a-z0-9]>", ids[count]) == 1)
            count++;
    return count;
}

static void http(struct bench *bench, struct http_event *event)
{
    event->owner = bench->caller;
    event->serial = bench->serial;
    engine_on_http(bench->engine, event);
    run(bench);
}

static void sent(struct bench *bench)
{
    http(bench, &(struct http_event){.kind = HTTP_SENT});
}

// A whole plain answer of so many tokens.
static void reply(struct bench *bench, const char *content, int64_t in, int64_t out)
{
    struct buf body;
    buf_init(&body, 0);
    buf_printf(&body,
               "{\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
               "\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":{"
               "\"prompt_tokens\":%" PRId64 ",\"completion_tokens\":%" PRId64 ",\"total_tokens\":"
               "%" PRId64 "}}",
               content, in, out, in + out);
    sent(bench);
    http(bench, &(struct http_event){.kind = HTTP_STATUS, .status = 200});
    http(bench, &(struct http_event){
                    .kind = HTTP_HEADER, .name = "content-type", .value = "application/json"});
    http(bench, &(struct http_event){.kind = HTTP_DATA, .data = body.data, .data_len = body.len});
    http(bench, &(struct http_event){.kind = HTTP_END});
    buf_deinit(&body);
}

#define ANSWER                                                                                     \
    "{\\\"summary\\\":\\\"A letter.\\\",\\\"key_points\\\":[{\\\"point\\\":\\\"Fee\\\","           \
    "\\\"quote\\\":\\\"%zu00 dollars\\\"}]}"

// The answer for the documents of the last call, but the one at `without`.
static char *packed_answer(const struct bench *bench, size_t without)
{
    char ids[JOBS][16];
    struct buf out;
    size_t count = documents_in(bench, ids), said = 0;
    buf_init(&out, 0);
    buf_add_str(&out, "{\\\"documents\\\":[");
    for (size_t i = 0; i < count; i++) {
        size_t number = 0;
        const char *line = strstr(bench->body, ids[i]);
        assert_int_equal(sscanf(strstr(line, "Letter"), "Letter %zu", &number), 1);
        if (i == without)
            continue;
        buf_printf(&out, "%s{\\\"id\\\":\\\"%s\\\",\\\"answer\\\":" ANSWER "}", said++ ? "," : "",
                   ids[i], number);
    }
    buf_add_str(&out, "]}");
    return buf_take(&out);
}

static size_t in_flight(const struct bench *bench)
{
    return bench->engine->gates[0].lanes[0].in_flight;
}

// ------------------------------------------------------------------------------- cases

static void it_leaves_with_the_last_row(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    char ids[JOBS][16];
    assert_string_equal(bench->packs[1], "default/default/job-1/0/1/1/1");
    assert_string_equal(bench->packs[2], bench->packs[1]);
    assert_string_equal(bench->packs[3], bench->packs[1]);
    intent(bench, 3, INTENT_GO);
    intent(bench, 1, INTENT_GO);
    assert_int_equal(bench->calls, 0);
    intent(bench, 2, INTENT_GO);
    assert_int_equal(bench->calls, 1);
    assert_int_equal(documents_in(bench, ids), 3);
    assert_string_equal(bench->request_id, bench->packs[1]);
    assert_int_equal(in_flight(bench), 1); // one request, whosever it is
    char *content OWN_FREE = packed_answer(bench, SIZE_MAX);
    reply(bench, content, 1001, 301);
    int64_t cost = 0;
    for (size_t i = 1; i <= 3; i++) {
        const struct record *record = &bench->records[i];
        char own[40];
        snprintf(own, sizeof(own), "\"summary\":\"A letter.\"");
        assert_true(record->ended && record->outcome == ATTEMPT_OK && record->source == COST_EXACT);
        assert_non_null(strstr(record->output, own));
        assert_true(record->cost_picousd > 0 && record->cost_picousd <= bench->at_most[i]);
        cost += record->cost_picousd;
        recorded(bench, i);
    }
    assert_int_equal(cost, 3 * 1001 + 7 * 301);
    assert_int_equal(in_flight(bench), 0);
    assert_true(engine_is_empty(bench->engine));
    bench_free(bench);
}

static const struct calibrate *learned(const struct bench *bench)
{
    return &bench->engine->gates[0].calibrate;
}

// The whole request teaches how the model counts, each part of the answer how long parts are;
// nothing is learned of answers to documents that are asked for alone.
static void a_shared_request_teaches(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    enum calibrate_script script = calibrate_script_of(TEXT_OF_ONE, strlen(TEXT_OF_ONE));
    for (size_t i = 1; i <= 3; i++)
        intent(bench, i, INTENT_GO);
    const struct job *leader = slots_get(&bench->engine->jobs, bench->caller);
    int64_t estimate = leader->call.pack_tokens, texts = 0;
    int shared = leader->call.answer_kind;
    assert_in_range(shared, calibrate_kind(CALIBRATE_SHARED, false, false), CALIBRATE_KINDS - 1);
    for (size_t i = 1; i <= 3; i++)
        texts += tokens_estimate(TEXT_OF_ONE, strlen(TEXT_OF_ONE));
    assert_true(estimate > texts && estimate < texts + 1500); // the instructions once
    char *content OWN_FREE = packed_answer(bench, SIZE_MAX);
    struct calibrate_mean before = learned(bench)->input[script];
    reply(bench, content, 2 * estimate, 301);
    const struct calibrate_mean *after = &learned(bench)->input[script];
    assert_int_equal(after->samples, 1);
    assert_true(fabs(after->mean - (0.8 * before.mean + 0.2 * 2)) < 1e-9);
    assert_int_equal(learned(bench)->output[shared].samples, 3);
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++)
        assert_int_equal(learned(bench)->output[kind].samples, kind == shared ? 3 : 0);
    for (int other = 0; other < SCRIPTS; other++)
        assert_int_equal(learned(bench)->input[other].samples, other == (int)script);
    for (size_t i = 1; i <= 3; i++)
        recorded(bench, i);
    bench_free(bench);
}

// Neither a lost answer nor one without counts teaches anything.
static void a_lost_answer_teaches_nothing(void **state)
{
    (void)state;
    struct bench *bench = with_pack(2);
    struct failure failure;
    intent(bench, 1, INTENT_GO);
    intent(bench, 2, INTENT_GO);
    failure_set(&failure, ERR_CONNECTION_LOST, "lost");
    failure.doubtful = true;
    sent(bench);
    http(bench, &(struct http_event){.kind = HTTP_END, .failure = &failure});
    for (int script = 0; script < SCRIPTS; script++)
        assert_int_equal(learned(bench)->input[script].samples, 0);
    for (int kind = 0; kind < CALIBRATE_KINDS; kind++)
        assert_int_equal(learned(bench)->output[kind].samples, 0);
    recorded(bench, 1);
    recorded(bench, 2);
    bench_free(bench);
}

static void who_has_no_row_is_left_out(void **state)
{
    (void)state;
    static const enum intent_verdict verdicts[] = {INTENT_FENCED, INTENT_NO_LEASE};
    for (size_t i = 0; i < 2; i++) {
        struct bench *bench = with_pack(3);
        char ids[JOBS][16];
        intent(bench, 1, INTENT_GO);
        intent(bench, 2, verdicts[i]);
        intent(bench, 3, INTENT_GO);
        assert_int_equal(bench->calls, 1);
        assert_int_equal(documents_in(bench, ids), 2);
        assert_null(strstr(bench->body, "Letter 2"));
        char *content OWN_FREE = packed_answer(bench, SIZE_MAX);
        reply(bench, content, 900, 200);
        assert_int_equal(bench->records[2].times, 0);
        assert_int_equal(bench->records[1].cost_picousd + bench->records[3].cost_picousd,
                         3 * 900 + 7 * 200);
        bench_free(bench);
    }
}

static void without_its_leader_nothing_leaves(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    intent(bench, 2, INTENT_GO);
    intent(bench, 1, INTENT_FENCED);
    assert_int_equal(bench->records[2].times, 0);
    intent(bench, 3, INTENT_GO);
    assert_int_equal(bench->calls, 0);
    for (size_t i = 2; i <= 3; i++) {
        assert_int_equal(bench->records[i].outcome, ATTEMPT_CANCELLED);
        assert_int_equal(bench->records[i].cost_picousd, 0);
        assert_false(bench->records[i].ended);
        recorded(bench, i);
    }
    assert_int_equal(in_flight(bench), 0);
    bench->now_ms += 1500;
    run(bench);
    grant(bench, 1); // those two go together again, under another name
    assert_true(bench->intended[2] && bench->intended[3]);
    assert_string_equal(bench->packs[2], "default/default/job-2/0/1/1/2");
    intent(bench, 2, INTENT_GO);
    intent(bench, 3, INTENT_GO);
    assert_int_equal(bench->calls, 1);
    bench_free(bench);
}

static void the_last_one_asks_for_itself(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    char ids[JOBS][16], content[400];
    intent(bench, 1, INTENT_GO);
    intent(bench, 2, INTENT_FENCED);
    intent(bench, 3, INTENT_FENCED);
    assert_int_equal(bench->calls, 1);
    assert_int_equal(documents_in(bench, ids), 1);
    assert_null(strstr(bench->body, "\\\"documents\\\""));
    snprintf(content, sizeof(content), ANSWER, (size_t)1);
    reply(bench, content, 400, 90);
    assert_true(bench->records[1].ended && bench->records[1].outcome == ATTEMPT_OK);
    assert_int_equal(bench->records[1].cost_picousd, 3 * 400 + 7 * 90);
    bench_free(bench);
}

static void a_lease_that_ended_stops_it(void **state)
{
    (void)state;
    struct bench *bench = with_pack(2);
    intent(bench, 1, INTENT_GO);
    bench->now_ms += LEASE_MS;
    intent(bench, 2, INTENT_GO);
    assert_int_equal(bench->calls, 0);
    for (size_t i = 1; i <= 2; i++)
        assert_int_equal(bench->records[i].outcome, ATTEMPT_CANCELLED);
    bench_free(bench);
}

static void what_is_missing_is_asked_alone(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    for (size_t i = 1; i <= 3; i++)
        intent(bench, i, INTENT_GO);
    char *content OWN_FREE = packed_answer(bench, 1);
    reply(bench, content, 1000, 200);
    size_t missing = bench->records[2].ended ? 3 : 2;
    const struct record *record = &bench->records[missing];
    assert_true(bench->records[1].ended && bench->records[5 - missing].ended);
    assert_int_equal(record->outcome, ATTEMPT_FAILED);
    assert_string_equal(record->code, "packed_answer");
    int64_t cost = bench->records[1].cost_picousd + bench->records[2].cost_picousd +
                   bench->records[3].cost_picousd;
    assert_int_equal(cost, 3 * 1000 + 7 * 200);
    for (size_t i = 1; i <= 3; i++)
        recorded(bench, i);
    add_job(bench, 4); // somebody to go with, if it could
    bench->now_ms += 1500;
    run(bench);
    grant(bench, 2);
    bench->now_ms += 1500;
    run(bench);
    assert_true(bench->intended[missing]);
    assert_string_equal(bench->packs[missing], "");
    bench_free(bench);
}

static void a_lost_answer_leaves_each_in_doubt(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    for (size_t i = 1; i <= 3; i++)
        intent(bench, i, INTENT_GO);
    struct failure failure;
    failure_set(&failure, ERR_CONNECTION_LOST, "lost");
    failure.doubtful = true;
    sent(bench);
    http(bench, &(struct http_event){.kind = HTTP_END, .failure = &failure});
    for (size_t i = 1; i <= 3; i++) {
        const struct record *record = &bench->records[i];
        assert_true(record->outcome == ATTEMPT_IN_DOUBT && record->source == COST_IN_DOUBT);
        assert_int_equal(record->at_most_picousd, bench->at_most[i]);
        assert_false(record->ended);
        recorded(bench, i);
    }
    bench->now_ms += 5000; // longer than their delays
    renew(bench);
    grant(bench, 0);
    bench->now_ms += 1500;
    run(bench);
    grant(bench, 1); // and is asked again alone
    assert_int_equal(bench->intended[1] + bench->intended[2] + bench->intended[3], 1);
    for (size_t i = 1; i <= 3; i++)
        assert_true(!bench->intended[i] || bench->packs[i][0] == '\0');
    bench_free(bench);
}

static void refuse(struct bench *bench, int status, const char *code)
{
    char body[200];
    snprintf(body, sizeof(body), "{\"error\":{\"message\":\"no\",\"code\":\"%s\"}}", code);
    sent(bench);
    http(bench, &(struct http_event){.kind = HTTP_STATUS, .status = status});
    http(bench, &(struct http_event){
                    .kind = HTTP_HEADER, .name = "content-type", .value = "application/json"});
    http(bench, &(struct http_event){.kind = HTTP_DATA, .data = body, .data_len = strlen(body)});
    http(bench, &(struct http_event){.kind = HTTP_END});
}

// Who is blamed for a refusal: the documents, which go apart, or the key, which they wait for.
static void what_a_refusal_means(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code, *recorded;
        enum attempt_outcome outcome;
        bool apart;
    } rows[] = {
        {500, "server_error", "http_500", ATTEMPT_FAILED, true},
        {400, "bad_request", "packed_answer", ATTEMPT_FAILED, true},
        {400, "context_length_exceeded", "packed_answer", ATTEMPT_FAILED, true},
        {403, "forbidden", "packed_answer", ATTEMPT_FAILED, true},
        {429, "rate_limit_exceeded", "rate_limit_exceeded", ATTEMPT_THROTTLED, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bench *bench = with_pack(2);
        intent(bench, 1, INTENT_GO);
        intent(bench, 2, INTENT_GO);
        refuse(bench, rows[i].status, rows[i].code);
        for (size_t k = 1; k <= 2; k++) {
            assert_int_equal(bench->records[k].outcome, rows[i].outcome);
            assert_string_equal(bench->records[k].code, rows[i].recorded);
            assert_int_equal(bench->records[k].cost_picousd, 0);
            recorded(bench, k);
        }
        bench->now_ms += 9000;
        renew(bench);
        grant(bench, 0);
        bench->now_ms += 2500;
        run(bench);
        grant(bench, 1);
        if (bench->intended[1] + bench->intended[2] != (rows[i].apart ? 1 : 2))
            fail_msg("after %d %s: %d and %d are asked for", rows[i].status, rows[i].code,
                     bench->intended[1], bench->intended[2]);
        bench_free(bench);
    }
}

static void the_end_of_the_drain_cuts_it_once(void **state)
{
    (void)state;
    struct bench *bench = with_pack(3);
    for (size_t i = 1; i <= 3; i++)
        intent(bench, i, INTENT_GO);
    sent(bench);
    engine_stop_jobs(bench->engine);
    run(bench);
    assert_int_equal(bench->cancels, 1);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(bench->records[i].outcome, ATTEMPT_IN_DOUBT);
        recorded(bench, i);
    }
    assert_true(engine_is_empty(bench->engine));
    bench_free(bench);
}

// `precis cancel`, and what its worker finds out.
static void cancel_job(struct bench *bench, size_t job, bool cut)
{
    struct store_event event = {.kind = STORE_LOOKED_UP,
                                .u.looked_up = {LOOKUP_HELD, STOP_CANCELLED, cut}};
    answer(bench, &event, job);
}

// The call goes on for the others; who was cancelled bears its part, and what came of it is kept.
static void some_are_cut(void **state)
{
    (void)state;
    for (size_t whole = 0; whole < 2; whole++) {
        struct bench *bench = with_pack(3);
        for (size_t i = 1; i <= 3; i++)
            intent(bench, i, INTENT_GO);
        sent(bench);
        cancel_job(bench, 1, true); // the leader
        cancel_job(bench, 2, true);
        cancel_job(bench, 3, false); // its call is waited for
        assert_int_equal(bench->cancels, 0);
        char *content OWN_FREE = packed_answer(bench, whole ? SIZE_MAX : 1);
        reply(bench, content, 1001, 301);
        int64_t cost = 0;
        for (size_t i = 1; i <= 3; i++) {
            const struct record *record = &bench->records[i];
            bool is_whole = record->outcome == ATTEMPT_OK;
            assert_int_equal(record->times, 1);
            assert_int_equal(record->source, COST_EXACT);
            assert_true(is_whole || (!whole && record->outcome == ATTEMPT_FAILED));
            assert_int_equal(record->part, is_whole);
            if (is_whole) {
                assert_true(record->ended);
                assert_int_equal(record->state, i == 3 ? JOB_DONE : JOB_CANCELLED);
            }
            cost += record->cost_picousd;
        }
        assert_int_equal(cost, 3 * 1001 + 7 * 301);
        bench_free(bench);
    }
}

static void all_are_cut(void **state)
{
    (void)state;
    for (size_t on_its_way = 0; on_its_way < 2; on_its_way++) {
        struct bench *bench = with_pack(3);
        for (size_t i = 1; i <= 3; i++)
            intent(bench, i, INTENT_GO);
        if (on_its_way)
            sent(bench);
        for (size_t i = 3; i >= 1; i--) {
            assert_int_equal(bench->cancels, 0);
            cancel_job(bench, i, true);
        }
        assert_int_equal(bench->cancels, 1);
        for (size_t i = 1; i <= 3; i++) {
            const struct record *record = &bench->records[i];
            assert_int_equal(record->times, 1);
            assert_int_equal(record->outcome, on_its_way ? ATTEMPT_IN_DOUBT : ATTEMPT_CANCELLED);
            assert_int_equal(record->at_most_picousd, on_its_way ? bench->at_most[i] : 0);
            assert_string_equal(record->code, on_its_way ? "cancelled" : "");
            assert_true(record->ended && record->state == JOB_CANCELLED);
            recorded(bench, i);
        }
        assert_int_equal(in_flight(bench), 0);
        assert_true(engine_is_empty(bench->engine));
        bench_free(bench);
    }
}

// All of them while one row is still being written: nothing is left to wait for.
static void all_are_cut_before_the_call(void **state)
{
    (void)state;
    struct bench *bench = with_pack(2);
    intent(bench, 2, INTENT_GO);
    cancel_job(bench, 2, true);
    intent(bench, 1, INTENT_STOPPED);
    assert_int_equal(bench->calls, 0);
    assert_true(bench->records[1].ended && bench->records[1].state == JOB_CANCELLED);
    assert_int_equal(bench->records[2].outcome, ATTEMPT_CANCELLED);
    recorded(bench, 1);
    recorded(bench, 2);
    bench->now_ms += 1500;
    run(bench);
    grant(bench, 1);
    if (bench->intended[2]) // its next intent tells it
        intent(bench, 2, INTENT_STOPPED);
    assert_true(bench->records[2].ended && bench->records[2].state == JOB_CANCELLED);
    bench_free(bench);
}

// Refused, and to be tried again: who was cancelled is not.
static void a_refusal_ends_who_is_cut(void **state)
{
    (void)state;
    struct bench *bench = with_pack(2);
    intent(bench, 1, INTENT_GO);
    intent(bench, 2, INTENT_GO);
    cancel_job(bench, 2, true);
    refuse(bench, 500, "server_error");
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(bench->records[i].outcome, ATTEMPT_FAILED);
        recorded(bench, i);
    }
    cancel_job(bench, 2, true); // the engine asks for those that wait, too
    assert_true(bench->records[2].ended && bench->records[2].state == JOB_CANCELLED);
    assert_false(bench->records[1].ended);
    bench_free(bench);
}

static void the_end_of_the_drain_before_the_call(void **state)
{
    (void)state;
    struct bench *bench = with_pack(2);
    intent(bench, 2, INTENT_GO);
    engine_stop_jobs(bench->engine);
    intent(bench, 1, INTENT_GO);
    assert_int_equal(bench->calls, 0);
    for (size_t i = 1; i <= 2; i++) {
        assert_int_equal(bench->records[i].outcome, ATTEMPT_CANCELLED);
        recorded(bench, i);
    }
    assert_true(engine_is_empty(bench->engine));
    bench_free(bench);
}

static void who_did_not_wait_goes_alone(void **state)
{
    (void)state;
    struct bench *bench = bench_new();
    add_job(bench, 1);
    add_job(bench, 2);
    grant(bench, 2);
    assert_true(bench->intended[1]);
    assert_string_equal(bench->packs[1], "");
    bench_free(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_leaves_with_the_last_row),
        cmocka_unit_test(a_shared_request_teaches),
        cmocka_unit_test(a_lost_answer_teaches_nothing),
        cmocka_unit_test(who_has_no_row_is_left_out),
        cmocka_unit_test(without_its_leader_nothing_leaves),
        cmocka_unit_test(the_last_one_asks_for_itself),
        cmocka_unit_test(a_lease_that_ended_stops_it),
        cmocka_unit_test(what_is_missing_is_asked_alone),
        cmocka_unit_test(a_lost_answer_leaves_each_in_doubt),
        cmocka_unit_test(what_a_refusal_means),
        cmocka_unit_test(the_end_of_the_drain_cuts_it_once),
        cmocka_unit_test(the_end_of_the_drain_before_the_call),
        cmocka_unit_test(some_are_cut),
        cmocka_unit_test(all_are_cut),
        cmocka_unit_test(all_are_cut_before_the_call),
        cmocka_unit_test(a_refusal_ends_who_is_cut),
        cmocka_unit_test(who_did_not_wait_goes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
