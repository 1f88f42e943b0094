// SPDX-License-Identifier: Apache-2.0
// Errors of all servers, as they come: which class, which words, which suggestion.
#include "provider/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static const struct config_provider xai = {
    .name = S("xai"), .api = S("openai"), .base_url = S("https://api.x.ai/v1")};
static const struct config_provider anthropic = {
    .name = S("gateway"), .api = S("openai"), .base_url = S("http://127.0.0.1:1/v1")};
static const struct config_model grok = {.name = S("grok-4.3"),
                                         .served_name = S("grok-4.3"),
                                         .provider = &xai,
                                         .max_output_tokens = 8192};
static const struct config_model claude = {.name = S("opus"),
                                           .served_name = S("claude-opus-4.8"),
                                           .provider = &anthropic,
                                           .max_output_tokens = 32000};

#define OPENAI(message, type, code)                                                                \
    "{\"error\":{\"message\":\"" message "\",\"type\":\"" type "\",\"param\":null,\"code\":" code  \
    "}}"
#define OTHER_PROVIDER                                                                             \
    "This error is from a different provider. Please check your model name. For Grok 4.3, the "    \
    "max "                                                                                         \
    "output is 8192 tokens."

struct row {
    int status;
    const char *body;
    enum err_code code;
    int http_status;
    const char *detail;     // exactly; NULL: not looked at
    const char *suggestion; // of the failure, exactly; "": the table's; NULL: not looked at
};

// ------------------------------------------------------------------ the three that began it all

#define THINKING  "thinking options type cannot be disabled when reasoning_effort"
#define WINDOW    "the model has reached its context window limit."
#define CLAUDE32K "claude's response exceeded the 32000 output token maximum."

static const struct row seed_on_grok[] = {
    {400, OPENAI(THINKING, "invalid_request_error", "null"), ERR_PARAMETER_CONFLICT, 400, THINKING,
     "Set either reasoning_mode or reasoning_effort, not both: leave reasoning_effort out where "
     "reasoning is switched off"},
    {400, OPENAI(WINDOW, "invalid_request_error", "null"), ERR_CONTEXT_LENGTH, 400, WINDOW,
     "Use on_too_long: split or truncate, shorten the document, or choose a model with a larger "
     "context"},
    {400, OPENAI(CLAUDE32K, "invalid_request_error", "null"), ERR_OUTPUT_LIMIT, 400, CLAUDE32K,
     OTHER_PROVIDER},
    {500, OPENAI(CLAUDE32K, "api_error", "null"), ERR_OUTPUT_LIMIT, 500, CLAUDE32K, OTHER_PROVIDER},
    {400, "{\"error\":\"Claude's response exceeded the 32000 output token maximum.\"}",
     ERR_OUTPUT_LIMIT, 400, NULL, OTHER_PROVIDER},
    {200, "{\"error\":{\"message\":\"" THINKING "\"}}", ERR_PARAMETER_CONFLICT, 400, THINKING,
     NULL},
    {200, "{\"error\":{\"message\":\"" WINDOW "\"}}", ERR_CONTEXT_LENGTH, 400, WINDOW, NULL},
    {200, "{\"error\":{\"message\":\"" CLAUDE32K "\"}}", ERR_OUTPUT_LIMIT, 400, CLAUDE32K,
     OTHER_PROVIDER},
};

static const struct row seed_on_claude[] = {
    {400, OPENAI(CLAUDE32K, "invalid_request_error", "null"), ERR_OUTPUT_LIMIT, 400, CLAUDE32K,
     "Raise max_output_tokens for this model, or ask for a shorter summary"},
};

// -------------------------------------------------------------------------- everything else

static const struct row rows[] = {
    // OpenAI
    {429,
     OPENAI("Rate limit reached for gpt-5.4-mini in organization org-x on tokens per min (TPM): "
            "Limit 200000, Used 199100, Requested 2300. Please try again in 420ms.",
            "tokens", "\"rate_limit_exceeded\""),
     ERR_RATE_LIMITED, 429, NULL, ""},
    {429, OPENAI("slow", "rate_limit_error", "\"slow_down\""), ERR_RATE_LIMITED, 429, "slow", ""},
    {429, OPENAI("m", "insufficient_quota", "\"insufficient_quota\""), ERR_INSUFFICIENT_QUOTA, 429,
     "m", ""},
    {429, OPENAI("m", "insufficient_quota", "\"credit_balance_exhausted\""), ERR_INSUFFICIENT_QUOTA,
     429, "m", ""},
    {429, OPENAI("m", "x", "\"organization_spend_limit_exceeded\""), ERR_INSUFFICIENT_QUOTA, 429,
     "m", ""},
    {429, OPENAI("m", "x", "\"project_spend_limit_exceeded\""), ERR_INSUFFICIENT_QUOTA, 429, "m",
     ""},
    {429, OPENAI("m", "x", "\"organization_usage_limit_exceeded\""), ERR_INSUFFICIENT_QUOTA, 429,
     "m", ""},
    {429, OPENAI("Resource Unavailable", "x", "null"), ERR_RATE_LIMITED, 429,
     "Resource Unavailable", ""},
    // the words mean nothing where the code says otherwise
    {429, OPENAI("INSUFFICIENT QUOTA: requests per minute", "rate_limit_error", "null"),
     ERR_RATE_LIMITED, 429, NULL, ""},
    {429, OPENAI("maximum context length is 5", "x", "null"), ERR_RATE_LIMITED, 429, NULL, ""},
    {400, OPENAI("m", "invalid_request_error", "null"), ERR_HTTP_FATAL, 400, "m", ""},
    {400, OPENAI("m", "invalid_request_error", "\"unsupported_value\""), ERR_HTTP_FATAL, 400, "m",
     ""},
    {400, OPENAI("string too long", "invalid_request_error", "\"string_above_max_length\""),
     ERR_HTTP_FATAL, 400, NULL, ""},
    {400,
     OPENAI("This model's maximum context length is 8192 tokens. x", "invalid_request_error",
            "\"context_length_exceeded\""),
     ERR_CONTEXT_LENGTH, 400, NULL, ""},
    {400, OPENAI("m", "invalid_request_error", "\"content_policy_violation\""), ERR_CONTENT_FILTER,
     400, "m", ""},
    {400, OPENAI("m", "invalid_request_error", "\"invalid_prompt\""), ERR_CONTENT_FILTER, 400, "m",
     ""},
    {400, OPENAI("m", "invalid_request_error", "\"bio_policy\""), ERR_CONTENT_FILTER, 400, "m", ""},
    {400, OPENAI("m", "invalid_request_error", "\"cyber_policy\""), ERR_CONTENT_FILTER, 400, "m",
     ""},
    {401, OPENAI("Incorrect API key provided", "invalid_request_error", "\"invalid_api_key\""),
     ERR_UNAUTHORIZED, 401, NULL, ""},
    {403, OPENAI("m", "x", "\"data_residency_mismatch\""), ERR_FORBIDDEN, 403, "m", ""},
    {403, OPENAI("m", "x", "null"), ERR_FORBIDDEN, 403, "m", ""},
    {404, OPENAI("The model x does not exist", "invalid_request_error", "\"model_not_found\""),
     ERR_MODEL_NOT_FOUND, 404, NULL, ""},
    {408, OPENAI("m", "x", "null"), ERR_HTTP_TRANSIENT, 408, "m", ""},
    {409, OPENAI("m", "x", "null"), ERR_HTTP_TRANSIENT, 409, "m", ""},
    {412, OPENAI("m", "x", "null"), ERR_HTTP_TRANSIENT, 412, "m", ""},
    {413, OPENAI("m", "x", "null"), ERR_PAYLOAD_TOO_LARGE, 413, "m", ""},
    {422, OPENAI("m", "x", "null"), ERR_HTTP_FATAL, 422, "m", ""},
    {425, OPENAI("m", "x", "null"), ERR_HTTP_TRANSIENT, 425, "m", ""},
    {500, OPENAI("m", "server_error", "null"), ERR_HTTP_TRANSIENT, 500, "m", ""},
    {502, "", ERR_HTTP_TRANSIENT, 502, "no message", ""},
    {503, OPENAI("m", "service_unavailable_error", "\"server_is_overloaded\""), ERR_OVERLOADED, 503,
     "m", ""},
    {503, OPENAI("m", "service_unavailable_error", "null"), ERR_HTTP_TRANSIENT, 503, "m", ""},
    {504, "", ERR_HTTP_TRANSIENT, 504, NULL, ""},
    {520, "", ERR_HTTP_TRANSIENT, 520, NULL, ""},
    {529, "", ERR_OVERLOADED, 529, NULL, ""},
    {418, "", ERR_HTTP_FATAL, 418, NULL, ""},
    {400,
     OPENAI("Function tools with reasoning_effort are not supported for gpt-5.6-terra in "
            "/v1/chat/completions. To use function tools, use /v1/responses or set "
            "reasoning_effort to 'none'.",
            "invalid_request_error", "null"),
     ERR_PARAMETER_CONFLICT, 400, NULL, NULL},
    {400,
     OPENAI("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "invalid_request_error", "\"unsupported_parameter\""),
     ERR_HTTP_FATAL, 400, NULL,
     "Set limit_field: max_completion_tokens for this model in the configuration"},
    // xAI: flat, and 400 for a wrong key
    {400,
     "{\"code\":\"Client specified an invalid argument\",\"error\":\"Incorrect API key provided: "
     "xa***ey.\"}",
     ERR_UNAUTHORIZED, 400, NULL, ""},
    {429, "{\"code\":\"Some resource has been exhausted\",\"error\":\"Too many requests\"}",
     ERR_RATE_LIMITED, 429, "Too many requests", ""},
    // DeepSeek
    {402, OPENAI("Insufficient Balance", "unknown_error", "\"invalid_request_error\""),
     ERR_PAYMENT_REQUIRED, 402, NULL, ""},
    // Mistral, flat
    {400,
     "{\"object\":\"error\",\"message\":\"m\",\"type\":\"invalid_request_error\",\"param\":null,"
     "\"code\":\"1300\"}",
     ERR_HTTP_FATAL, 400, "m", ""},
    {422,
     "{\"detail\":[{\"loc\":[\"body\",\"messages\"],\"msg\":\"Field "
     "required\",\"type\":\"missing\"}]}",
     ERR_HTTP_FATAL, 422, "Field required", ""},
    {400, "{\"object\":\"error\",\"message\":{\"detail\":\"inner\"},\"type\":\"x\"}",
     ERR_HTTP_FATAL, 400, "inner", ""},
    // Gemini: an array around it
    {429,
     "[{\"error\":{\"code\":429,\"message\":\"Resource has been exhausted (e.g. check "
     "quota).\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
     ERR_RATE_LIMITED, 429, NULL, ""},
    {503, "[{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}]",
     ERR_HTTP_TRANSIENT, 503, "m", ""},
    {403, "[{\"error\":{\"code\":403,\"message\":\"m\",\"status\":\"PERMISSION_DENIED\"}}]",
     ERR_FORBIDDEN, 403, "m", ""},
    // Azure
    {400,
     "{\"error\":{\"message\":\"filtered\",\"type\":null,\"param\":\"prompt\",\"code\":\"content_"
     "filter\",\"status\":400,\"innererror\":{\"code\":\"ResponsibleAIPolicyViolation\"}}}",
     ERR_CONTENT_FILTER, 400, "filtered", ""},
    // Ollama
    {404,
     "{\"error\":{\"message\":\"model 'x' not "
     "found\",\"type\":\"not_found_error\",\"param\":null,\"code\":null}}",
     ERR_MODEL_NOT_FOUND, 404, NULL, ""},
    // vLLM: the code is the status
    {400,
     "{\"error\":{\"message\":\"This model's maximum context length is 4096 "
     "tokens.\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}",
     ERR_CONTEXT_LENGTH, 400, NULL, ""},
    // llama.cpp
    {400,
     "{\"error\":{\"code\":400,\"message\":\"request (13392 tokens) exceeds the available context "
     "size (8192 tokens), try increasing "
     "it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":13392,\"n_ctx\":8192}}",
     ERR_CONTEXT_LENGTH, 400, NULL, ""},
    // llama-cpp-python
    {401, "{\"detail\":\"Invalid API key\"}", ERR_UNAUTHORIZED, 401, "Invalid API key", ""},
    {500, OPENAI("1 validation error for Request", "internal_server_error", "null"), ERR_HTTP_FATAL,
     500, NULL, NULL},
    {503, OPENAI("1 validation error for Request", "internal_server_error", "null"),
     ERR_HTTP_TRANSIENT, 503, NULL, ""},
    // LiteLLM
    {400, OPENAI("ExceededBudget", "budget_exceeded", "\"400\""), ERR_INSUFFICIENT_QUOTA, 400, NULL,
     ""},
    {401, OPENAI("m", "token_not_found_in_db", "\"401\""), ERR_UNAUTHORIZED, 401, NULL, ""},
    {403, OPENAI("m", "team_model_access_denied", "\"403\""), ERR_FORBIDDEN, 403, NULL, ""},
    // OpenRouter
    {402, "{\"error\":{\"code\":402,\"message\":\"m\"}}", ERR_PAYMENT_REQUIRED, 402, "m", ""},
    {402,
     "{\"error\":{\"code\":402,\"message\":\"m\",\"metadata\":{\"limit_source\":\"openrouter_in_"
     "flight_budget\"}}}",
     ERR_RATE_LIMITED, 402, "m", ""},
    // Anthropic's shapes
    {400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is "
     "too long: 9 tokens > 8 maximum\"}}",
     ERR_CONTEXT_LENGTH, 400, NULL, ""},
    {413, "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"m\"}}",
     ERR_PAYLOAD_TOO_LARGE, 413, "m", ""},
    {429,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\",\"details\":{"
     "\"error_code\":\"enforced_spend_limit_reached\"}}}",
     ERR_INSUFFICIENT_QUOTA, 429, "m", ""},
    {529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     ERR_OVERLOADED, 529, NULL, ""},
    // inside HTTP 200
    {200, "{\"error\":{\"code\":429,\"message\":\"m\"}}", ERR_RATE_LIMITED, 429, "m", ""},
    {200, "{\"error\":{\"code\":\"502\",\"message\":\"m\"}}", ERR_HTTP_TRANSIENT, 502, "m", ""},
    {200, "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}", ERR_OVERLOADED, 529, "m",
     ""},
    {200, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}", ERR_INSUFFICIENT_QUOTA,
     429, "m", ""},
    {200, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}", ERR_HTTP_FATAL, 400,
     "m", ""},
    {200, "{\"error\":{\"message\":\"m\"}}", ERR_HTTP_TRANSIENT, 500, "m", ""},
    {200, "{\"error\":\"m\"}", ERR_HTTP_TRANSIENT, 500, "m", ""},
    {200, "[{\"error\":{\"code\":503,\"message\":\"m\"}}]", ERR_HTTP_TRANSIENT, 503, "m", ""},
    {200, "{\"object\":\"error\",\"message\":\"m\",\"code\":429}", ERR_RATE_LIMITED, 429, "m", ""},
    {200, "{\"detail\":\"m\"}", ERR_HTTP_TRANSIENT, 500, "m", ""},
    {200, "{\"id\":\"x\",\"choices\":[],\"error\":{\"message\":\"m\",\"code\":500}}",
     ERR_HTTP_TRANSIENT, 500, "m", ""},
    {200, "{\"choices\":[{\"index\":0,\"error\":{\"message\":\"m\",\"code\":502}}]}",
     ERR_HTTP_TRANSIENT, 502, "m", ""},
    // the server's own suggestion wins
    {400, "{\"error\":{\"message\":\"m\",\"suggestion\":\"Do this.\"}}", ERR_HTTP_FATAL, 400, "m",
     "Do this."},
    {400, "{\"suggestion\":\"Do that.\",\"error\":{\"message\":\"" CLAUDE32K "\"}}",
     ERR_OUTPUT_LIMIT, 400, NULL, "Do that."},
    {400, "{\"error\":{\"message\":\"m\",\"suggestion\":5}}", ERR_HTTP_FATAL, 400, "m", ""},
    // words are cleaned
    {400, "{\"error\":{\"message\":\"a\\u001b[31m\\n b\\u0000\\ud800\\u202e\"}}", ERR_HTTP_FATAL,
     400, "a[31m b\xef\xbf\xbd\xef\xbf\xbd", ""},
    // bodies that are none
    {400, "{\"error\":{}}", ERR_HTTP_FATAL, 400, NULL, ""},
    {400, "{\"error\":null}", ERR_HTTP_FATAL, 400, NULL, ""},
    {400, "{\"error\":{\"code\":\"odd_code\"}}", ERR_HTTP_FATAL, 400, "odd_code", ""},
    {400, "null", ERR_HTTP_FATAL, 400, NULL, ""},
    {400, "{\"error\":", ERR_HTTP_FATAL, 400, NULL, ""},
    {500, "Internal Server Error", ERR_HTTP_TRANSIENT, 500, NULL, ""},
    // redirects and what is no status
    {301, "", ERR_HTTP_FATAL, 301, NULL, NULL},
    {307, "", ERR_HTTP_FATAL, 307, NULL, NULL},
    {204, "", ERR_BAD_ANSWER, 204, NULL, ""},
    {206, "{}", ERR_BAD_ANSWER, 206, NULL, ""},
    {99, "", ERR_BAD_ANSWER, 99, NULL, ""},
    {999, "", ERR_BAD_ANSWER, 999, NULL, ""},
};

static struct model_answer answer_of(const struct config_model *model, int status,
                                     const char *content_type, const char *body, bool bytewise)
{
    struct reader *reader = reader_new(model, false);
    struct model_answer answer;
    reader_status(reader, status);
    if (content_type)
        reader_header(reader, "Content-Type", content_type);
    size_t len = strlen(body), step = bytewise || len == 0 ? 1 : len;
    for (size_t at = 0; at < len; at += step)
        reader_push(reader, body + at, step);
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    reader_free(reader);
    return answer;
}

static void check_row(const struct config_model *model, const struct row *row)
{
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        struct model_answer answer =
            answer_of(model, row->status, "application/json", row->body, bytewise);
        const struct failure *f = &answer.failure;
        bool right = f->code == row->code && f->http_status == row->http_status &&
                     answer.http_status == row->status && f->detail[0] &&
                     (row->status != 200 || answer.content_bytes_seen == 0) &&
                     (!row->detail || strcmp(f->detail, row->detail) == 0) &&
                     (!row->suggestion || strcmp(f->suggestion, row->suggestion) == 0) &&
                     (row->suggestion || f->suggestion[0]) && failure_suggestion(f)[0];
        if (!right)
            fail_msg("%d %s:\n%s, status %d, \"%s\", suggestion \"%s\"", row->status, row->body,
                     err_code_text(f->code), f->http_status, f->detail, f->suggestion);
        bool may_be_paid =
            row->status < 200 || row->status > 599 || (row->status > 200 && row->status < 300);
        assert_int_equal(f->doubtful, may_be_paid);
        model_answer_deinit(&answer);
    }
}

static void test_seed_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(seed_on_grok) / sizeof(seed_on_grok[0]); i++)
        check_row(&grok, &seed_on_grok[i]);
    for (size_t i = 0; i < sizeof(seed_on_claude) / sizeof(seed_on_claude[0]); i++)
        check_row(&claude, &seed_on_claude[i]);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&grok, &rows[i]);
}

// other-providers.md, section 12, in other letters and inside other words.
static void test_too_long_by_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"This model's MAXIMUM CONTEXT LENGTH IS 5 tokens",
                                        "over the model's maximum context limit",
                                        "inputs exceed context limit",
                                        "x exceeds the available context size y",
                                        "is longer than the model's context length",
                                        "Prompt is too long: 5",
                                        "would exceed context window of 5",
                                        "Input tokens exceed the configured limit of 5",
                                        "exceeds the maximum number of tokens allowed",
                                        "`inputs` tokens + `max_new_tokens` must be <= 5",
                                        "maximum input length is 5"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char body[300];
        snprintf(body, sizeof(body), "{\"error\":{\"message\":\"%s\"}}", texts[i]);
        static const int statuses[] = {400, 413, 422, 500, 200};
        for (size_t j = 0; j < sizeof(statuses) / sizeof(statuses[0]); j++) {
            struct model_answer answer = answer_of(&grok, statuses[j], NULL, body, false);
            assert_int_equal(answer.failure.code, ERR_CONTEXT_LENGTH);
            model_answer_deinit(&answer);
        }
    }
}

// A page of a proxy is never quoted.
static void test_pages_are_not_quoted(void **state)
{
    (void)state;
    static const char page[] = "<html><body>SECRET 502 Bad Gateway</body></html>";
    static const int statuses[] = {200, 400, 403, 502, 503};
    static const char *const types[] = {"text/html; charset=utf-8", "application/json", NULL,
                                        "text/plain"};
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        for (size_t j = 0; j < sizeof(types) / sizeof(types[0]); j++) {
            struct model_answer answer = answer_of(&grok, statuses[i], types[j], page, false);
            assert_null(strstr(answer.failure.detail, "SECRET"));
            assert_non_null(strstr(answer.failure.detail, "SHA-256"));
            assert_non_null(strstr(answer.failure.detail, "48 bytes"));
            assert_string_equal(answer.content, "");
            if (statuses[i] == 200) {
                assert_int_equal(answer.failure.code, ERR_BAD_ANSWER);
                assert_int_equal(err_class(answer.failure.code), ERR_CLASS_TRANSIENT);
                assert_true(answer.failure.doubtful);
            }
            model_answer_deinit(&answer);
        }
    struct model_answer plain =
        answer_of(&grok, 500, "text/plain", "Internal Server Error\n", false);
    assert_string_equal(plain.failure.detail, "Internal Server Error");
    model_answer_deinit(&plain);
}

static const struct {
    const char *header, *value, *body;
    int64_t after_ms;
    bool retry, no_retry;
} waits[] = {
    {"retry-after", "2", "{}", 2000, false, false},
    {"Retry-After", "1.5", "{}", 1500, false, false},
    {"retry-after-ms", "420", "{}", 420, false, false},
    {"retry-after", "Thu, 01 Jan 1970 00:00:10 GMT", "{}", 10000, false, false},
    {"retry-after", "0", "{}", -1, false, false},
    {"retry-after", "-1", "{}", -1, false, false},
    {"retry-after", "soon", "{}", -1, false, false},
    {"retry-after", "1000000000", "{}", 900000, false, false},
    {"x-should-retry", "true", "{}", -1, true, false},
    {"X-Should-Retry", "false", "{}", -1, false, true},
    {"x-should-retry", "maybe", "{}", -1, false, false},
    {"server", "x", "{\"error\":{\"message\":\"Please try again in 420ms.\"}}", 420, false, false},
    {"server", "x", "{\"error\":{\"message\":\"Please try again in 6m0s. Or later\"}}", 360000,
     false, false},
    {"server", "x", "{\"error\":{\"message\":\"try again in a while\"}}", -1, false, false},
    {"server", "x", "{\"error\":{\"message\":\"try again in 99999h\"}}", 900000, false, false},
    {"server", "x", "[{\"error\":{\"code\":429,\"details\":[{\"retryDelay\":\"34s\"}]}}]", 34000,
     false, false},
    {"retry-after", "2", "{\"error\":{\"message\":\"Please try again in 420ms.\"}}", 2000, false,
     false},
};

static void test_waits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        struct reader *reader = reader_new(&grok, true);
        struct model_answer answer;
        reader_status(reader, 429);
        reader_header(reader, waits[i].header, waits[i].value);
        reader_push(reader, waits[i].body, strlen(waits[i].body));
        reader_end(reader, READER_END_EOF, NULL, 0, &answer);
        if (answer.failure.code != ERR_RATE_LIMITED ||
            answer.failure.retry_after_ms != waits[i].after_ms ||
            answer.failure.say_retry != waits[i].retry ||
            answer.failure.say_no_retry != waits[i].no_retry)
            fail_msg("%s: %s %s: %lld", waits[i].header, waits[i].value, waits[i].body,
                     (long long)answer.failure.retry_after_ms);
        model_answer_deinit(&answer);
        reader_free(reader);
    }
}

static const struct {
    enum err_code code;
    int status;
    const char *detail, *suggestion, *sentence;
} sentences[] = {
    {ERR_RATE_LIMITED, 429, "Too many requests.", "Wait.",
     "xai API error 429: Too many requests. Suggestion: Wait."},
    {ERR_HTTP_FATAL, 400, "No", "Do", "xai API error 400: No. Suggestion: Do."},
    {ERR_HTTP_FATAL, 400, "No... ", "Why?", "xai API error 400: No. Suggestion: Why?"},
    {ERR_HTTP_FATAL, 400, "\xe4\xb8\x8d\xe3\x80\x82", "Do!",
     "xai API error 400: \xe4\xb8\x8d\xe3\x80\x82 Suggestion: Do!"},
    {ERR_ANSWER_CUT, 200, "cut", "Again", "xai API error answer_cut: cut. Suggestion: Again."},
    {ERR_CONNECTION_LOST, 0, "", "Again",
     "xai API error connection_lost: connection_lost. Suggestion: Again."},
    {ERR_OUTPUT_LIMIT, 400, CLAUDE32K, OTHER_PROVIDER,
     "xai API error 400: " CLAUDE32K " Suggestion: " OTHER_PROVIDER},
};

static void test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
        struct failure failure;
        struct buf out OWN_BUF;
        buf_init(&out, 0);
        failure_set(&failure, sentences[i].code, "%s", sentences[i].detail);
        failure.http_status = sentences[i].status;
        snprintf(failure.suggestion, sizeof(failure.suggestion), "%s", sentences[i].suggestion);
        provider_sentence(&out, "xai", &failure);
        assert_string_equal(out.data, sentences[i].sentence);
    }
    struct failure bare;
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    failure_set(&bare, ERR_INSUFFICIENT_QUOTA, "m");
    bare.http_status = 429;
    provider_sentence(&out, "xai", &bare);
    assert_non_null(strstr(out.data, ". Suggestion: The account has no money"));
    assert_null(strstr(out.data, ".."));
}

static void test_long_words_are_cut(void **state)
{
    (void)state;
    struct buf body OWN_BUF;
    buf_init(&body, 0);
    buf_add_str(&body, "{\"error\":{\"message\":\"");
    for (int i = 0; i < 20000; i++)
        buf_add_str(&body, "\xe6\xb3\x95");
    buf_add_str(&body, "\",\"suggestion\":\"");
    for (int i = 0; i < 500; i++)
        buf_add_str(&body, "\xe6\xb3\x95");
    buf_add_str(&body, "\"}}");
    struct model_answer answer = answer_of(&grok, 400, NULL, body.data, false);
    assert_int_equal(answer.failure.code, ERR_HTTP_FATAL);
    assert_int_equal(strlen(answer.failure.detail), (FAILURE_DETAIL_BYTES - 1) / 3 * 3);
    assert_int_equal(strlen(answer.failure.suggestion), (FAILURE_SUGGESTION_BYTES - 1) / 3 * 3);
    model_answer_deinit(&answer);
    while (body.len < READER_ERROR_BYTES + 100) // past what is kept: no JSON any more
        buf_add_str(&body, "          ");
    answer = answer_of(&grok, 503, NULL, body.data, false);
    assert_int_equal(answer.failure.code, ERR_HTTP_TRANSIENT);
    model_answer_deinit(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed_errors),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_too_long_by_text),
        cmocka_unit_test(test_pages_are_not_quoted),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_long_words_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
