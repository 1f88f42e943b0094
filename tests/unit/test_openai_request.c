// SPDX-License-Identifier: Apache-2.0
// Chat Completions requests: every switch of a model, and what is refused before it is paid.
#include "provider/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#define S(text) ((char *)(uintptr_t)(text))

static struct config_provider provider = {
    .name = S("xai"), .api = S("openai"), .base_url = S("https://api.x.ai/v1")};

static struct config_model model_of(void)
{
    return (struct config_model){.name = S("grok-4.3"),
                                 .served_name = S("grok-4.3"),
                                 .provider = &provider,
                                 .max_output_tokens = 8192};
}

static struct prompt prompt_of(void)
{
    struct prompt prompt = {.count = 2,
                            .schema_json = S("{\"type\":\"object\"}"),
                            .schema_name = "summary",
                            .schema_strict = true};
    prompt.messages[0] = (struct chat_message){"system", S("Rules. JSON."), 12};
    prompt.messages[1] = (struct chat_message){"user", S("a\"\\\n\x01\xe6\xb3\x95"), 8};
    prompt.messages[1].content_len = strlen(prompt.messages[1].content);
    return prompt;
}

static const struct config_pair effort_map[] = {
    {S("reasoning"), S("high")}, {S("non-reasoning"), S("minimal")}, {NULL, NULL}};

struct row {
    enum answer_mode answer;
    enum limit_field limit_field;
    enum reasoning_parameter reasoning;
    bool map;
    enum reasoning_mode mode;
    const char *effort, *temperature;
    int64_t max_output_tokens;
    bool stream;
    const char *tail; // what follows the messages
};

static const struct row rows[] = {
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_NONE, false, REASONING_AUTO, NULL, NULL, 0, false,
     ",\"max_tokens\":8192}"},
    {ANSWER_TEXT, LIMIT_MAX_COMPLETION_TOKENS, REASONING_NONE, false, REASONING_AUTO, NULL, NULL,
     100, false, ",\"max_completion_tokens\":100}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_NONE, false, REASONING_AUTO, NULL, NULL, 9000, false,
     ",\"max_tokens\":8192}"},
    {ANSWER_JSON_OBJECT, LIMIT_MAX_TOKENS, REASONING_NONE, false, REASONING_AUTO, NULL, "0.2", 10,
     false,
     ",\"max_tokens\":10,\"response_format\":{\"type\":\"json_object\"},\"temperature\":0.2}"},
    {ANSWER_JSON_SCHEMA, LIMIT_MAX_TOKENS, REASONING_NONE, false, REASONING_AUTO, NULL, NULL, 10,
     true,
     ",\"max_tokens\":10,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
     "\"summary\",\"strict\":true,\"schema\":{\"type\":\"object\"}}},\"stream\":true,"
     "\"stream_options\":{\"include_usage\":true}}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_MODE, false, REASONING_AUTO, NULL, NULL, 10, false,
     ",\"max_tokens\":10}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_MODE, false, REASONING_ON, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_mode\":\"reasoning\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_MODE, false, REASONING_OFF, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_mode\":\"non-reasoning\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_EFFORT, false, REASONING_OFF, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_effort\":\"none\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_EFFORT, false, REASONING_ON, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_effort\":\"medium\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_EFFORT, true, REASONING_ON, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_effort\":\"high\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_EFFORT, true, REASONING_OFF, NULL, NULL, 10, false,
     ",\"max_tokens\":10,\"reasoning_effort\":\"minimal\"}"},
    {ANSWER_TEXT, LIMIT_MAX_TOKENS, REASONING_EFFORT, true, REASONING_AUTO, "lo\"w", NULL, 10,
     false, ",\"max_tokens\":10,\"reasoning_effort\":\"lo\\\"w\"}"},
};

static void test_bodies(void **state)
{
    (void)state;
    static const char head[] =
        "{\"model\":\"grok-4.3\",\"messages\":[{\"role\":\"system\",\"content\":\"Rules. JSON.\"},"
        "{\"role\":\"user\",\"content\":\"a\\\"\\\\\\n\\u0001\xe6\xb3\x95\"}]";
    struct prompt prompt = prompt_of();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_model model = model_of();
        model.answer = rows[i].answer;
        model.limit_field = rows[i].limit_field;
        model.reasoning = rows[i].reasoning;
        model.effort_map = rows[i].map ? (struct config_pair *)(uintptr_t)effort_map : NULL;
        struct model_order order = {.model = &model,
                                    .prompt = &prompt,
                                    .max_output_tokens = rows[i].max_output_tokens,
                                    .temperature = rows[i].temperature,
                                    .reasoning_mode = rows[i].mode,
                                    .reasoning_effort = rows[i].effort,
                                    .stream = rows[i].stream};
        struct buf body OWN_BUF;
        struct failure failure;
        buf_init(&body, 0);
        assert_true(provider_request(&body, &order, &failure));
        if (strncmp(body.data, head, sizeof(head) - 1) != 0 ||
            strcmp(body.data + sizeof(head) - 1, rows[i].tail) != 0)
            fail_msg("row %zu: %s", i, body.data);
        json_t *tree = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(tree);
        json_decref(tree);
    }
}

static void test_schema_as_a_wish(void **state)
{
    (void)state;
    struct config_model model = model_of();
    model.answer = ANSWER_JSON_SCHEMA;
    struct prompt prompt = prompt_of();
    prompt.schema_strict = false;
    struct model_order order = {.model = &model, .prompt = &prompt};
    struct buf body OWN_BUF;
    struct failure failure;
    buf_init(&body, 0);
    assert_true(provider_request(&body, &order, &failure));
    assert_non_null(strstr(body.data, "\"strict\":false"));
}

static const struct {
    enum reasoning_parameter reasoning;
    enum reasoning_mode mode;
    const char *effort, *temperature;
    const char *detail, *suggestion; // NULL: no conflict
} conflicts[] = {
    {REASONING_EFFORT, REASONING_ON, "high", NULL, "exclude each other", "Set either"},
    {REASONING_EFFORT, REASONING_OFF, "high", NULL, "exclude each other", "Set either"},
    {REASONING_MODE, REASONING_ON, "high", NULL, "exclude each other", "Set either"},
    {REASONING_NONE, REASONING_ON, "high", NULL, "exclude each other", "Set either"},
    {REASONING_MODE, REASONING_AUTO, "high", NULL, "takes no reasoning_effort", "Leave"},
    {REASONING_NONE, REASONING_AUTO, "high", NULL, "takes no reasoning_effort", "Leave"},
    {REASONING_NONE, REASONING_ON, NULL, NULL, "takes no reasoning_mode", "auto"},
    {REASONING_NONE, REASONING_OFF, NULL, NULL, "takes no reasoning_mode", "auto"},
    {REASONING_NONE, REASONING_AUTO, NULL, "2.1", "temperature 2.1 is not", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "2.01", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "3", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "-1", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "warm", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "1.", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "01", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "0.2,\"n\":5", "is not a number", "0.2"},
    {REASONING_NONE, REASONING_AUTO, NULL, "2.000", NULL, NULL},
    {REASONING_NONE, REASONING_AUTO, NULL, "0", NULL, NULL},
    {REASONING_NONE, REASONING_AUTO, NULL, "1.75", NULL, NULL},
};

static void test_conflicts_are_found_before_paying(void **state)
{
    (void)state;
    struct prompt prompt = prompt_of();
    for (size_t i = 0; i < sizeof(conflicts) / sizeof(conflicts[0]); i++) {
        struct config_model model = model_of();
        model.reasoning = conflicts[i].reasoning;
        struct model_order order = {.model = &model,
                                    .prompt = &prompt,
                                    .temperature = conflicts[i].temperature,
                                    .reasoning_mode = conflicts[i].mode,
                                    .reasoning_effort = conflicts[i].effort};
        struct buf body OWN_BUF;
        struct failure failure = {.code = ERR_NONE};
        buf_init(&body, 0);
        bool ok = provider_request(&body, &order, &failure);
        assert_int_equal(ok, conflicts[i].detail == NULL);
        if (!conflicts[i].detail || !conflicts[i].suggestion)
            continue;
        assert_int_equal(failure.code, ERR_PARAMETER_CONFLICT);
        assert_false(failure.doubtful);
        assert_int_equal(body.len, 0);
        if (!strstr(failure.detail, conflicts[i].detail) ||
            !strstr(failure.suggestion, conflicts[i].suggestion))
            fail_msg("row %zu: %s, %s", i, failure.detail, failure.suggestion);
    }
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"https://api.x.ai/v1", "https://api.x.ai/v1/chat/completions",
         "https://api.x.ai/v1/models"},
        {"https://api.x.ai/v1//", "https://api.x.ai/v1/chat/completions",
         "https://api.x.ai/v1/models"},
        {"http://127.0.0.1:9", "http://127.0.0.1:9/chat/completions", "http://127.0.0.1:9/models"},
        {"https://h/d?api-version=2026#x", "https://h/d/chat/completions?api-version=2026",
         "https://h/d/models?api-version=2026"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_provider here = provider;
        here.base_url = S(cases[i][0]);
        struct config_model model = model_of();
        model.provider = &here;
        struct buf url OWN_BUF;
        buf_init(&url, 0);
        assert_true(provider_path(&url, &model));
        assert_string_equal(url.data, cases[i][1]);
        buf_clear(&url);
        assert_true(provider_probe_path(&url, &here));
        assert_string_equal(url.data, cases[i][2]);
    }
}

static void test_an_api_that_is_not_spoken(void **state)
{
    (void)state;
    struct config_provider other = provider;
    other.api = S("anthropic");
    struct config_model model = model_of();
    model.provider = &other;
    struct prompt prompt = prompt_of();
    struct model_order order = {.model = &model, .prompt = &prompt};
    struct buf out OWN_BUF;
    struct failure failure;
    buf_init(&out, 0);
    assert_false(provider_request(&out, &order, &failure));
    assert_int_equal(failure.code, ERR_PARAMETER_CONFLICT);
    assert_false(provider_path(&out, &model));
    assert_false(provider_probe_path(&out, &other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_schema_as_a_wish),
        cmocka_unit_test(test_conflicts_are_found_before_paying),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_an_api_that_is_not_spoken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
