// SPDX-License-Identifier: Apache-2.0
// For tests that lead one job through job_step by hand: a small configuration, a message, and the
// events of a store and a model API that answer as the test says. What the job asked for is in
// `walk.actions` after each step.
#ifndef PRECIS_TESTS_JOB_WALK_H
#define PRECIS_TESTS_JOB_WALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/text.h"
#include "job/decode.h"
#include "job/job.h"

#define S(text) ((char *)(uintptr_t)(text))

// Prices that make sums easy to read: 1 and 10 picousd a token.
static const struct price walk_price = {
    .known = true, .input_picousd = 1, .cached_picousd = 1, .output_picousd = 10};

struct walk {
    struct config_provider provider;
    struct config_model models[2];
    const struct config_model *route_models[2];
    struct config_route route;
    struct config config;
    struct job_now now;
    struct job_actions actions;
    struct job *job;
    enum job_verdict verdict;
};

static inline struct config_model walk_model(struct walk *walk, const char *name, size_t index)
{
    return (struct config_model){.name = S(name),
                                 .served_name = S(name),
                                 .index = index,
                                 .provider = &walk->provider,
                                 .price = walk_price,
                                 .price_version = S("2026-11-01-00000000"),
                                 .context_tokens = 8000,
                                 .max_output_tokens = 4096};
}

static inline void walk_init(struct walk *walk)
{
    *walk = (struct walk){.provider = {.name = S("xai"),
                                       .api = S("openai"),
                                       .base_url = S("https://api.example/v1"),
                                       .key_name = S("main"),
                                       .connect_ms = 10000,
                                       .first_byte_ms = 30000,
                                       .idle_ms = 20000}};
    walk->models[0] = walk_model(walk, "first", 0);
    walk->models[1] = walk_model(walk, "second", 1);
    walk->route_models[0] = &walk->models[0];
    walk->route_models[1] = &walk->models[1];
    walk->route =
        (struct config_route){.name = S("default"), .models = walk->route_models, .model_count = 2};
    walk->config = (struct config){.providers = &walk->provider,
                                   .provider_count = 1,
                                   .models = walk->models,
                                   .model_count = 2,
                                   .routes = &walk->route,
                                   .route_count = 1,
                                   .retry = {.base_ms = 1000,
                                             .max_ms = 60000,
                                             .factor_milli = 2000,
                                             .jitter = BACKOFF_NONE,
                                             .attempts = 3,
                                             .doubtful = 2}};
    walk->now = (struct job_now){.config = &walk->config,
                                 .now_ms = 1000000,
                                 .db_now_ms = 1763805600000,
                                 .random = 7,
                                 .lease_valid = true,
                                 .can_extract = true};
}

static inline struct message walk_message(const char *value)
{
    return (struct message){.topic = "precis.jobs",
                            .partition = 3,
                            .offset = 41,
                            .timestamp_ms = -1,
                            .value = value,
                            .value_len = strlen(value)};
}

// A job for the JSON of a message.
static inline void walk_job(struct walk *walk, const char *value)
{
    static const struct decode_limits limits = {
        .value_bytes = 1 << 20, .text_bytes = 1 << 20, .nodes = 10000};
    struct message message = walk_message(value);
    struct decode_out out;
    if (job_decode(&message, &limits, &out) != DECODED_JOB)
        fail_msg("no job: %s", out.failure.detail);
    struct job_spec *spec = own_alloc(sizeof(*spec));
    *spec = out.spec;
    job_spec_init(&out.spec);
    decode_out_deinit(&out);
    walk->job = job_new(raw_message_copy(&message), spec, walk->now.now_ms);
}

#define WALK_TEXT "The parties agree on services. The price is one hundred. The term ends in May."
#define WALK_JOB(more)                                                                             \
    "{\"tenant\":\"acme\",\"batch\":\"b\",\"id\":\"c-1\",\"kind\":\"summarize\"," more             \
    "\"document\":{\"text\":\"" WALK_TEXT "\"}}"

static inline void walk_deinit(struct walk *walk)
{
    job_free(walk->job);
    walk->job = NULL;
}

// ------------------------------------------------------------------------------- events

static inline enum job_verdict walk_event(struct walk *walk, const struct job_event *event)
{
    walk->actions = (struct job_actions){.count = 0};
    walk->verdict = job_step(walk->job, event, &walk->now, &walk->actions);
    return walk->verdict;
}

static inline void walk_plain(struct walk *walk, enum job_event_kind kind)
{
    walk_event(walk, &(struct job_event){.kind = kind});
}

static inline void walk_store(struct walk *walk, enum job_event_kind kind,
                              const struct store_event *store)
{
    walk_event(walk, &(struct job_event){.kind = kind, .store = store});
}

// Takes the reply's arrays.
static inline void walk_claimed(struct walk *walk, struct claim_reply reply)
{
    struct store_event store = {.kind = STORE_CLAIMED, .u.claimed = &reply};
    walk_store(walk, JOB_CLAIMED, &store);
}

static inline void walk_claimed_new(struct walk *walk)
{
    walk_claimed(walk, (struct claim_reply){.verdict = CLAIM_MINE, .job_no = 5, .epoch = 1});
}

static inline void walk_looked_up(struct walk *walk, enum lookup_verdict verdict)
{
    struct store_event store = {.kind = STORE_LOOKED_UP, .u.looked_up.verdict = verdict};
    walk_store(walk, JOB_LOOKED_UP, &store);
}

static inline void walk_fetched(struct walk *walk, const char *text)
{
    struct store_event store = {
        .kind = STORE_FETCHED,
        .u.fetched = {.found = text != NULL, .text = text, .text_len = text ? strlen(text) : 0}};
    walk_store(walk, JOB_FETCHED, &store);
}

static inline void walk_intended(struct walk *walk, enum intent_verdict verdict, enum job_stop stop)
{
    struct store_event store = {
        .kind = STORE_INTENDED,
        .u.intended = {.verdict = verdict, .stop = stop, .sqlstate = "22000"}};
    walk_store(walk, JOB_INTENDED, &store);
}

static inline void walk_recorded(struct walk *walk, enum record_verdict verdict)
{
    struct store_event store = {.kind = STORE_RECORDED,
                                .u.recorded = {.verdict = verdict, .sqlstate = "22P05"}};
    walk_store(walk, JOB_RECORDED, &store);
}

static inline void walk_http(struct walk *walk, struct http_event http)
{
    http.serial = walk->job->call.serial;
    walk_event(walk, &(struct job_event){.kind = JOB_HTTP, .http = &http});
}

static inline void walk_sent(struct walk *walk)
{
    walk_http(walk, (struct http_event){.kind = HTTP_SENT});
}

static inline void walk_head(struct walk *walk, int status, const char *type)
{
    walk_http(walk, (struct http_event){.kind = HTTP_STATUS, .status = status});
    walk_http(walk,
              (struct http_event){.kind = HTTP_HEADER, .name = "content-type", .value = type});
}

static inline void walk_data(struct walk *walk, const char *data)
{
    walk_http(walk, (struct http_event){.kind = HTTP_DATA, .data = data, .data_len = strlen(data)});
}

static inline void walk_end(struct walk *walk, const struct failure *failure)
{
    walk_http(walk, (struct http_event){.kind = HTTP_END, .failure = failure});
}

// ------------------------------------------------------------------------------- stretches

// From a new object to the wait for the limits.
static inline void walk_to_admit(struct walk *walk, const char *value)
{
    walk_init(walk);
    walk_job(walk, value);
    walk_plain(walk, JOB_START);
    walk_claimed_new(walk);
    assert_int_equal(walk->job->step, STEP_ADMIT);
}

// From ADMIT to a request under way.
static inline void walk_to_call(struct walk *walk)
{
    assert_int_equal(walk->job->step, STEP_ADMIT);
    walk_plain(walk, JOB_ADMITTED);
    assert_int_equal(walk->job->step, STEP_INTENT);
    walk_intended(walk, INTENT_GO, STOP_NONE);
    assert_int_equal(walk->job->step, STEP_CALL);
    walk_sent(walk);
}

// A whole plain answer: `content` becomes the message's content, 100 tokens in and 20 out.
static inline void walk_content(struct walk *walk, const char *content, const char *finish)
{
    struct buf body;
    buf_init(&body, 0);
    buf_add_str(&body, "{\"id\":\"r-1\",\"model\":\"first\",\"choices\":[{\"index\":0,"
                       "\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (const char *c = content; *c; c++) {
        if (*c == '"' || *c == '\\')
            buf_add_char(&body, '\\');
        buf_add_char(&body, *c);
    }
    buf_printf(&body,
               "\"},\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":100,"
               "\"completion_tokens\":20,\"total_tokens\":120}}",
               finish);
    walk_head(walk, 200, "application/json");
    walk_data(walk, buf_str(&body));
    walk_end(walk, NULL);
    buf_deinit(&body);
}

static inline void walk_error(struct walk *walk, int status, const char *code)
{
    struct buf body;
    buf_init(&body, 0);
    buf_printf(&body, "{\"error\":{\"message\":\"words of the provider\",\"code\":\"%s\"}}", code);
    walk_head(walk, status, "application/json");
    walk_data(walk, buf_str(&body));
    walk_end(walk, NULL);
    buf_deinit(&body);
}

// The connection breaks after the request left.
static inline void walk_broken(struct walk *walk)
{
    struct failure failure;
    failure_set(&failure, ERR_CONNECTION_LOST, "reset by peer");
    failure.doubtful = true;
    walk_end(walk, &failure);
}

// Three points, of which the last one's quote is not in WALK_TEXT.
#define WALK_SUMMARY                                                                               \
    "{\"summary\":\"Services for one hundred until May.\",\"key_points\":["                        \
    "{\"point\":\"services\",\"quote\":\"agree on services\"},"                                    \
    "{\"point\":\"price\",\"quote\":\"The price is one hundred\"},"                                \
    "{\"point\":\"term\",\"quote\":\"not in the text\"}]}"

// ------------------------------------------------------------------------------- checks

static inline bool walk_asked(const struct walk *walk, enum action_kind kind)
{
    for (size_t i = 0; i < walk->actions.count; i++)
        if (walk->actions.kinds[i] == kind)
            return true;
    return false;
}

#define ASSERT_STEP(walk, name)  assert_string_equal(step_name((walk)->job->step), (name))
#define ASSERT_ASKED(walk, kind) assert_true(walk_asked((walk), (kind)))
#define ASSERT_ASKED_ONLY(walk, kind)                                                              \
    do {                                                                                           \
        assert_int_equal((walk)->actions.count, 1);                                                \
        assert_int_equal((walk)->actions.kinds[0], (kind));                                        \
    } while (0)
// What RECORD or FINISH is about to write of the attempt.
#define ASSERT_ATTEMPT(walk, outcome_, code_)                                                      \
    do {                                                                                           \
        assert_true((walk)->job->draft.has_attempt);                                               \
        assert_int_equal((walk)->job->draft.attempt.outcome, (outcome_));                          \
        assert_string_equal((walk)->job->draft.attempt.error_code                                  \
                                ? (walk)->job->draft.attempt.error_code                            \
                                : "none",                                                          \
                            (code_));                                                              \
    } while (0)
#define ASSERT_FAILS(walk, code_)                                                                  \
    do {                                                                                           \
        ASSERT_STEP((walk), "finish");                                                             \
        ASSERT_ASKED((walk), ACTION_RECORD);                                                       \
        assert_true((walk)->job->draft.has_outcome);                                               \
        assert_int_equal((walk)->job->draft.outcome.state, JOB_FAILED);                            \
        assert_string_equal((walk)->job->draft.outcome.error_code, (code_));                       \
        assert_true(strlen((walk)->job->draft.outcome.suggestion) > 10);                           \
        assert_ptr_equal((walk)->job->draft.outcome.dead_letter, &(walk)->job->raw->message);      \
    } while (0)

static inline void walk_finish(struct walk *walk)
{
    ASSERT_STEP(walk, "finish");
    walk_recorded(walk, RECORD_DONE);
    ASSERT_STEP(walk, "end");
    assert_int_equal(walk->verdict, JOB_ENDED);
    assert_true(walk->job->had_outcome);
    walk_deinit(walk);
}

#endif
