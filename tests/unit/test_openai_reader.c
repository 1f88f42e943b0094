// SPDX-License-Identifier: Apache-2.0
// Answers, streamed and plain: what is whole, what is cut, what is nonsense. Every vector is pushed
// whole, byte by byte, and split at every place.
#include "provider/provider.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(uintptr_t)(text))

static const struct config_provider provider = {
    .name = S("xai"), .api = S("openai"), .base_url = S("https://api.x.ai/v1")};
static const struct config_model model = {.name = S("fast"),
                                          .served_name = S("grok-4.3"),
                                          .provider = &provider,
                                          .max_output_tokens = 8192};

#define EVENT(json) "data: " json "\n\n"
#define HEAD                                                                                       \
    "\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"grok-"  \
    "4.3\""
#define DELTA(delta)                                                                               \
    EVENT("{" HEAD ",\"choices\":[{\"index\":0,\"delta\":{" delta                                  \
          "},\"finish_reason\":null}],\"usage\":null}")
#define TEXT(text) DELTA("\"content\":\"" text "\"")
#define FINISH(why)                                                                                \
    EVENT("{" HEAD ",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" why              \
          "\"}],\"usage\":null}")
#define USAGE(usage) EVENT("{" HEAD ",\"choices\":[],\"usage\":" usage "}")
#define USAGE5       USAGE("{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}")
#define DONE         EVENT("[DONE]")
#define PLAIN(message, why)                                                                        \
    "{" HEAD ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," message             \
    "},\"finish_reason\":" why                                                                     \
    "}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}"

static const char events[] = "text/event-stream; charset=utf-8";
static const char json[] = "application/json";

struct row {
    const char *name, *type, *body;
    enum reader_end_cause cause;
    enum reader_state state; // after the last push
    enum err_code code;
    bool doubtful;
    const char *content;
    int64_t input_tokens; // -1: usage unknown
};

static const struct row rows[] = {
    // whole streams
    {"a stream", events,
     DELTA("\"role\":\"assistant\",\"content\":\"\"") TEXT("Hel") TEXT("lo") FINISH("stop")
         USAGE5 DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "Hello", 5},
    {"CRLF", events,
     "data: "
     "{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: "
     "[DONE]\r\n\r\n",
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"CR only", events,
     "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\r\rdata: "
     "[DONE]\r\r",
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"text with the finish reason", events,
     EVENT(
         "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"all\"},\"finish_reason\":\"stop\"}]}")
         DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "all", -1},
    {"index after delta", events,
     EVENT("{\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\",\"index\":0}]}")
         DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"comments", events, ": OPENROUTER PROCESSING\n\n" TEXT("a") ": ping\n\n" FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"event names", events, "event: message\n" TEXT("a") "event: message\n" FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"data after the end marker", events, TEXT("a") FINISH("stop") DONE TEXT("b") "garbage\n\n",
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"end marker and a broken end", events, TEXT("a") FINISH("stop") DONE, READER_END_BROKEN,
     READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"no end marker, clean end", events, TEXT("a") FINISH("stop") USAGE5, READER_END_EOF,
     READER_FINISHED, ERR_NONE, false, "a", 5},
    {"no end marker, two seconds", events, TEXT("a") FINISH("stop"), READER_END_GRACE,
     READER_FINISHED, ERR_NONE, false, "a", -1},
    {"end marker without its empty line", events, TEXT("a") FINISH("stop") "data: [DONE]",
     READER_END_EOF, READER_FINISHED, ERR_NONE, false, "a", -1},
    {"usage cumulative in every chunk", events,
     EVENT("{" HEAD ",\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":9,"
           "\"completion_tokens\":1,\"total_tokens\":10}}") FINISH("stop") USAGE5 DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", 5},
    {"UTF-8 and escapes", events,
     TEXT("\xe6\xb3\x95\\u6cd5\\ud83d\\ude00\\n\\\"") FINISH("stop") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_NONE, false, "\xe6\xb3\x95\xe6\xb3\x95\xf0\x9f\x98\x80\n\"", -1},
    {"NUL and half a pair", events, TEXT("a\\u0000\\ud800") FINISH("stop") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_NONE, false, "a\xef\xbf\xbd\xef\xbf\xbd", -1},
    {"invalid UTF-8", events,
     TEXT("a\xff"
          "b\xe6\xb3") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false,
     "a\xef\xbf\xbd"
     "b\xef\xbf\xbd\xef\xbf\xbd",
     -1},
    {"big integers in members nobody needs", events,
     EVENT("{\"created\":99999999999999999999999,\"choices\":[{\"delta\":{\"content\":\"a\"}}],"
           "\"x\":1e400}") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"reasoning is not content", events,
     DELTA("\"reasoning_content\":\"hm\"") DELTA("\"reasoning\":\"hm\"") TEXT("a") FINISH("stop")
         DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"two choices", events,
     EVENT("{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}},{\"index\":0,\"delta\":{"
           "\"content\":\"a\"}}]}") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"content in parts", events,
     DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"no\"}]}"
           ",{\"type\":\"text\",\"text\":\"a\"}]") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"error that says nothing", events,
     EVENT("{\"error\":null,\"choices\":[{\"delta\":{\"content\":\"a\"}}]}") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"a stream without a content type", NULL, TEXT("a") FINISH("stop") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_NONE, false, "a", -1},
    {"no choices in the first chunk", events,
     EVENT("{\"choices\":[],\"prompt_filter_results\":[{}]}") TEXT("a") FINISH("stop") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NONE, false, "a", -1},
    // whole, and of no use
    {"length", events, TEXT("a") FINISH("length") USAGE5 DONE, READER_END_EOF, READER_COMPLETE,
     ERR_OUTPUT_LIMIT, false, "a", 5},
    {"content filter", events, TEXT("a") FINISH("content_filter") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_CONTENT_FILTER, false, "a", -1},
    {"refusal", events,
     DELTA("\"refusal\":\"I can\"") DELTA("\"refusal\":\"not\"") FINISH("stop") USAGE5 DONE,
     READER_END_EOF, READER_COMPLETE, ERR_REFUSAL, false, "", 5},
    {"empty answer", events, DELTA("\"content\":\"\"") FINISH("stop") USAGE5 DONE, READER_END_EOF,
     READER_COMPLETE, ERR_NOT_JSON, false, "", 5},
    {"tool calls", events, DELTA("\"tool_calls\":[{\"index\":0}]") FINISH("tool_calls") USAGE5 DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NOT_JSON, false, "", 5},
    {"unknown finish reason", events, TEXT("a") FINISH("banana") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_ANSWER_CUT, true, "a", -1},
    {"unknown finish reason, usage known", events, TEXT("a") FINISH("banana") USAGE5 DONE,
     READER_END_EOF, READER_COMPLETE, ERR_ANSWER_CUT, false, "a", 5},
    {"out of resources", events, TEXT("a") FINISH("insufficient_system_resource") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_ANSWER_CUT, true, "a", -1},
    // cut
    {"no finish reason", events, TEXT("a") TEXT("b"), READER_END_EOF, READER_MORE, ERR_ANSWER_CUT,
     true, "ab", -1},
    {"no finish reason, end marker", events, TEXT("a") DONE, READER_END_EOF, READER_COMPLETE,
     ERR_ANSWER_CUT, true, "a", -1},
    {"finish reason null", events,
     TEXT("a") EVENT("{\"choices\":[{\"delta\":{},\"finish_reason\":null}]}") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_ANSWER_CUT, true, "a", -1},
    {"finish reason empty", events,
     TEXT("a") EVENT("{\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}") DONE, READER_END_EOF,
     READER_COMPLETE, ERR_ANSWER_CUT, true, "a", -1},
    {"finish reason not dispatched", events,
     TEXT("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n", READER_END_EOF,
     READER_MORE, ERR_ANSWER_CUT, true, "a", -1},
    {"broken", events, TEXT("a"), READER_END_BROKEN, READER_MORE, ERR_TIMEOUT_IDLE, true, "a", -1},
    {"broken after the finish reason", events, TEXT("a") FINISH("stop"), READER_END_BROKEN,
     READER_FINISHED, ERR_TIMEOUT_IDLE, true, "a", -1},
    {"only comments", events, ": ping\n\n: ping\n\n", READER_END_BROKEN, READER_MORE,
     ERR_TIMEOUT_IDLE, true, "", -1},
    {"empty stream", events, "", READER_END_EOF, READER_MORE, ERR_ANSWER_CUT, true, "", -1},
    {"only line ends", events, "\n\n", READER_END_EOF, READER_MORE, ERR_ANSWER_CUT, true, "", -1},
    {"only the end marker", events, DONE, READER_END_EOF, READER_COMPLETE, ERR_ANSWER_CUT, true, "",
     -1},
    // errors in the stream
    {"error, then the end marker", events,
     EVENT("{\"error\":{\"message\":\"m\",\"code\":503}}") DONE, READER_END_EOF, READER_BAD,
     ERR_HTTP_TRANSIENT, false, "", -1},
    {"error after content", events,
     TEXT("a") EVENT("{\"error\":{\"message\":\"m\",\"code\":503}}") DONE, READER_END_EOF,
     READER_BAD, ERR_HTTP_TRANSIENT, true, "a", -1},
    {"error after the usage", events,
     TEXT("a") USAGE5 EVENT("{\"error\":{\"message\":\"m\",\"code\":503}}"), READER_END_EOF,
     READER_BAD, ERR_HTTP_TRANSIENT, false, "a", 5},
    {"error after the finish reason", events,
     TEXT("a") FINISH("stop") EVENT("{\"error\":{\"message\":\"m\",\"code\":429}}") DONE,
     READER_END_EOF, READER_BAD, ERR_RATE_LIMITED, true, "a", -1},
    {"error event", events, "event: error\ndata: {\"message\":\"m\",\"code\":429}\n\n" DONE,
     READER_END_EOF, READER_BAD, ERR_RATE_LIMITED, false, "", -1},
    {"error in a choice", events,
     EVENT("{" HEAD ",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\",\"error\":"
           "{\"message\":\"m\",\"code\":502}}]}"),
     READER_END_EOF, READER_BAD, ERR_HTTP_TRANSIENT, false, "", -1},
    {"flat error first", events, EVENT("{\"message\":\"m\",\"code\":429}") DONE, READER_END_EOF,
     READER_BAD, ERR_RATE_LIMITED, false, "", -1},
    {"array around an error", events, EVENT("[{\"error\":{\"code\":429,\"message\":\"m\"}}]"),
     READER_END_EOF, READER_BAD, ERR_RATE_LIMITED, false, "", -1},
    {"error and broken", events, EVENT("{\"error\":\"m\"}"), READER_END_BROKEN, READER_BAD,
     ERR_HTTP_TRANSIENT, false, "", -1},
    {"garbage event", events, EVENT("{\"choices\":[{\"delta\":"), READER_END_EOF, READER_BAD,
     ERR_BAD_ANSWER, true, "", -1},
    {"text event", events, EVENT("hello"), READER_END_EOF, READER_BAD, ERR_BAD_ANSWER, true, "",
     -1},
    // plain answers
    {"plain", json, PLAIN("\"content\":\"Hello\",\"refusal\":null", "\"stop\""), READER_END_EOF,
     READER_MORE, ERR_NONE, false, "Hello", 5},
    {"plain with empty lines before", json, "\n\n \n" PLAIN("\"content\":\"a\"", "\"stop\"") "\n",
     READER_END_EOF, READER_MORE, ERR_NONE, false, "a", 5},
    {"plain without a content type", NULL, PLAIN("\"content\":\"a\"", "\"stop\""), READER_END_EOF,
     READER_MORE, ERR_NONE, false, "a", 5},
    {"plain, whole, then broken", json, PLAIN("\"content\":\"a\"", "\"stop\""), READER_END_BROKEN,
     READER_MORE, ERR_NONE, false, "a", 5},
    {"plain, length", json, PLAIN("\"content\":\"a\"", "\"length\""), READER_END_EOF, READER_MORE,
     ERR_OUTPUT_LIMIT, false, "a", 5},
    {"plain, refusal", json, PLAIN("\"content\":null,\"refusal\":\"no\"", "\"stop\""),
     READER_END_EOF, READER_MORE, ERR_REFUSAL, false, "", 5},
    {"plain, nothing said", json, PLAIN("\"content\":null", "\"stop\""), READER_END_EOF,
     READER_MORE, ERR_NOT_JSON, false, "", 5},
    {"plain, tool call with stop", json,
     PLAIN("\"content\":null,\"tool_calls\":[{\"id\":\"x\"}]", "\"stop\""), READER_END_EOF,
     READER_MORE, ERR_NOT_JSON, false, "", 5},
    {"plain, finish reason null", json, PLAIN("\"content\":\"a\"", "null"), READER_END_EOF,
     READER_MORE, ERR_BAD_ANSWER, true, "a", 5},
    {"plain, parts", json,
     PLAIN("\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]",
           "\"stop\""),
     READER_END_EOF, READER_MORE, ERR_NONE, false, "ab", 5},
    {"plain, choices empty", json, "{" HEAD ",\"choices\":[]}", READER_END_EOF, READER_MORE,
     ERR_BAD_ANSWER, true, "", -1},
    {"plain, choices missing", json, "{\"a\":1}", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true,
     "", -1},
    {"plain, no object", json, "\"hello\"", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true, "",
     -1},
    {"plain, an empty list", json, "[]", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true, "", -1},
    {"plain, cut", json,
     "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"", READER_END_EOF,
     READER_MORE, ERR_BAD_ANSWER, true, "", -1},
    {"plain, cut and broken", json, "{\"choices\":[{\"message\":{\"cont", READER_END_BROKEN,
     READER_MORE, ERR_TIMEOUT_IDLE, true, "", -1},
    {"plain, two objects", json, PLAIN("\"content\":\"a\"", "\"stop\"") "{}", READER_END_EOF,
     READER_MORE, ERR_BAD_ANSWER, true, "a", 5},
    {"plain, list cut and broken", json, "[{\"error\":", READER_END_BROKEN, READER_MORE,
     ERR_TIMEOUT_IDLE, true, "", -1},
    {"empty body", json, "", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true, "", -1},
    {"empty body, no type", NULL, "", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true, "", -1},
    // the reference pages' own
    {"reference: plain tool call", json,
     "{\"id\": \"chatcmpl-Q1\", \"object\": \"chat.completion\", \"created\": 1795000000, "
     "\"model\": \"grok-4.3\", \"service_tier\": \"default\", \"system_fingerprint\": \"fp_77\", "
     "\"choices\": [{ \"index\": 0, \"message\": {\"role\": \"assistant\", \"content\": null, "
     "\"refusal\": null, \"annotations\": [], \"tool_calls\": [{\"id\": \"call_b2\", \"type\": "
     "\"function\", \"function\": {\"name\": \"order_status\", \"arguments\": \"{\\\"order_id\\\": "
     "7731}\"}}]}, \"logprobs\": null, \"finish_reason\": \"tool_calls\"}], \"usage\": { "
     "\"prompt_tokens\": 1320, \"completion_tokens\": 214, \"total_tokens\": 1534, "
     "\"prompt_tokens_details\": {\"cached_tokens\": 1024, \"audio_tokens\": 0, "
     "\"cache_write_tokens\": 0}, \"completion_tokens_details\": {\"reasoning_tokens\": 192, "
     "\"audio_tokens\": 0, \"accepted_prediction_tokens\": 0, \"rejected_prediction_tokens\": 0}}}",
     READER_END_EOF, READER_MORE, ERR_NOT_JSON, false, "", 1320},
    {"reference: streamed tool call", events,
     EVENT("{\"id\":\"chatcmpl-Q1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,"
           "\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
           "\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}")
         EVENT(
             "{\"id\":\"chatcmpl-Q1\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,"
             "\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
             "\"index\":0,\"id\":\"call_b2\",\"type\":\"function\",\"function\":{\"name\":\"order_"
             "status\",\"arguments\":\"\"}}]},\"finish_reason\":null}],\"usage\":null}")
             EVENT("{\"id\":\"chatcmpl-Q1\",\"object\":\"chat.completion.chunk\",\"created\":"
                   "1795000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{"
                   "\"tool_"
                   "calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"order\"}}]},\"finish_"
                   "reason\":null}],\"usage\":null}")
                 EVENT(
                     "{\"id\":\"chatcmpl-Q1\",\"object\":\"chat.completion.chunk\",\"created\":"
                     "1795000000,\"model\":\"gpt-5.4-mini\",\"choices\":[{\"index\":0,\"delta\":{},"
                     "\"finish_reason\":\"tool_calls\"}],\"usage\":null}")
                     EVENT(
                         "{\"id\":\"chatcmpl-Q1\",\"object\":\"chat.completion.chunk\",\"created\":"
                         "1795000000,\"model\":\"gpt-5.4-mini\",\"choices\":[],\"usage\":{\"prompt_"
                         "tokens\":1320,\"completion_tokens\":214,\"total_tokens\":1534}}") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_NOT_JSON, false, "", 1320},
    {"reference: Azure's first chunk and filtered end", events,
     EVENT("{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}")
         EVENT("{\"choices\":[{\"index\":0,\"delta\":{},\"content_filter_results\":{},\"finish_"
               "reason\":\"content_filter\"}]}") DONE,
     READER_END_EOF, READER_COMPLETE, ERR_CONTENT_FILTER, false, "", -1},
    {"reference: Mistral's parts", json,
     "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":"
     "\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},{\"type\":\"text\",\"text\":"
     "\"a\"}]},\"finish_reason\":\"stop\"}]}",
     READER_END_EOF, READER_MORE, ERR_NONE, false, "a", -1},
    {"reference: Mistral's model_length", json, PLAIN("\"content\":\"a\"", "\"model_length\""),
     READER_END_EOF, READER_MORE, ERR_OUTPUT_LIMIT, false, "a", 5},
    {"reference: vLLM's error, then the end marker", events,
     EVENT(
         "{\"error\":{\"message\":\"m\",\"type\":\"BadRequestError\",\"param\":null,\"code\":400}}")
         DONE,
     READER_END_EOF, READER_BAD, ERR_HTTP_FATAL, false, "", -1},
    {"reference: llama-cpp-python, interrupted", events, TEXT("a") ": ping - 2026\n\n" DONE,
     READER_END_EOF, READER_COMPLETE, ERR_ANSWER_CUT, true, "a", -1},
    {"reference: OpenRouter's error in a 200", json,
     "{\"error\":{\"code\":429,\"message\":\"m\",\"metadata\":{}}}", READER_END_EOF, READER_MORE,
     ERR_RATE_LIMITED, false, "", -1},
    // somebody else answered
    {"a page", "text/html", "<html>", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true, "", -1},
    {"an XML page", "application/xml", "<?xml?>", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER, true,
     "", -1},
    {"a page that says it is JSON", json, "<html>", READER_END_EOF, READER_MORE, ERR_BAD_ANSWER,
     true, "", -1},
    {"a page, broken", "text/html", "<html>", READER_END_BROKEN, READER_MORE, ERR_TIMEOUT_IDLE,
     true, "", -1},
};

static struct model_answer run(const struct row *row, size_t first, size_t step,
                               enum reader_state *out_state)
{
    struct reader *reader = reader_new(&model, true);
    struct failure idle;
    struct model_answer answer;
    failure_set(&idle, ERR_TIMEOUT_IDLE, "nothing came for 30 s");
    reader_status(reader, 200);
    if (row->type)
        reader_header(reader, "content-type", row->type);
    size_t len = strlen(row->body);
    *out_state = reader_push(reader, row->body, first);
    for (size_t at = first; at < len; at += step)
        *out_state = reader_push(reader, row->body + at, len - at < step ? len - at : step);
    reader_end(reader, row->cause, row->cause == READER_END_BROKEN ? &idle : NULL, 0, &answer);
    reader_free(reader);
    return answer;
}

static void check(const struct row *row, size_t first, size_t step)
{
    enum reader_state state;
    struct model_answer answer = run(row, first, step, &state);
    const struct failure *f = &answer.failure;
    bool right = state == row->state && f->code == row->code && f->doubtful == row->doubtful &&
                 strcmp(answer.content, row->content) == 0 &&
                 answer.content_len == strlen(row->content) &&
                 (answer.usage.known ? answer.usage.input_tokens : -1) == row->input_tokens &&
                 answer.http_status == 200 && (f->code == ERR_NONE) == !f->detail[0];
    if (!right)
        fail_msg("%s, split at %zu: state %d, %s (%s), doubtful %d, \"%s\", %lld tokens", row->name,
                 first, state, err_code_text(f->code), f->detail, f->doubtful, answer.content,
                 (long long)(answer.usage.known ? answer.usage.input_tokens : -1));
    model_answer_deinit(&answer);
}

static void test_vectors_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i].body);
        check(&rows[i], 0, 1);
        for (size_t at = 0; at <= len; at++)
            check(&rows[i], at, len + 1);
    }
}

// ------------------------------------------------------------------------------------- usage

static const struct {
    const char *json;
    struct usage usage;
    bool alarm;
    int64_t cost_picousd;
} usages[] = {
    {"{\"prompt_tokens\":1320,\"completion_tokens\":214,\"total_tokens\":1534,\"prompt_tokens_"
     "details\":{\"cached_tokens\":1024},\"completion_tokens_details\":{\"reasoning_tokens\":192}}",
     {true, 1320, 1024, 214, 192},
     false,
     -1},
    // xAI: reasoning beside completion, and its own cost
    {"{\"prompt_tokens\":37,\"completion_tokens\":50,\"total_tokens\":402,\"prompt_tokens_"
     "details\":{\"text_tokens\":37,\"cached_tokens\":8},\"completion_tokens_details\":{"
     "\"reasoning_tokens\":315},\"cost_in_usd_ticks\":1234500}",
     {true, 37, 8, 365, 315},
     false,
     123450000},
    {"{\"prompt_tokens\":10,\"completion_tokens\":48,\"total_tokens\":58,\"prompt_cache_hit_"
     "tokens\":4,\"completion_tokens_details\":{\"reasoning_tokens\":38}}",
     {true, 10, 4, 48, 38},
     false,
     -1},
    {"{\"prompt_tokens\":10,\"completion_tokens\":5}", {true, 10, 0, 5, 0}, false, -1},
    {"{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,\"prompt_tokens_details\":"
     "null,\"completion_tokens_details\":{\"reasoning_tokens\":null},\"cost\":0.00375}",
     {true, 10, 0, 5, 0},
     false,
     3750000000},
    {"{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    // contradictions
    {"{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":16}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":-1,\"completion_tokens\":5,\"total_tokens\":4}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":10.5,\"completion_tokens\":5,\"total_tokens\":15}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":\"10\",\"completion_tokens\":5,\"total_tokens\":15}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":9223372036854775808,\"completion_tokens\":5,\"total_tokens\":15}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":9223372036854775807,\"completion_tokens\":5,\"total_tokens\":15}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"completion_tokens\":5,\"total_tokens\":15}", {false, 0, 0, 0, 0}, true, -1},
    {"{\"prompt_tokens\":null,\"completion_tokens\":null,\"total_tokens\":null}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":10,\"completion_tokens\":0,\"total_tokens\":10}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    {"{\"prompt_tokens\":NaN,\"completion_tokens\":5,\"total_tokens\":NaN}",
     {false, 0, 0, 0, 0},
     true,
     -1},
    // parts that pass the whole
    {"{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,\"prompt_tokens_details\":{"
     "\"cached_tokens\":11}}",
     {true, 10, 10, 5, 0},
     true,
     -1},
    {"{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,\"prompt_tokens_details\":{"
     "\"cached_tokens\":-3}}",
     {true, 10, 0, 5, 0},
     true,
     -1},
    {"{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,\"completion_tokens_"
     "details\":{\"reasoning_tokens\":6}}",
     {true, 10, 0, 5, 5},
     true,
     -1},
    {"{}", {false, 0, 0, 0, 0}, false, -1},
    {"null", {false, 0, 0, 0, 0}, false, -1},
    {"[]", {false, 0, 0, 0, 0}, false, -1},
    {"5", {false, 0, 0, 0, 0}, false, -1},
};

static void test_usages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(usages) / sizeof(usages[0]); i++)
        for (int plain = 0; plain < 2; plain++) {
            char body[2000];
            struct row row = {.type = plain ? json : events, .body = body, .cause = READER_END_EOF};
            snprintf(body, sizeof(body),
                     plain ? "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":"
                             "\"stop\"}],\"usage\":%s}"
                           : TEXT("a")
                                 FINISH("stop") "data: {\"choices\":[],\"usage\":%s}\n\n" DONE,
                     usages[i].json);
            enum reader_state ignored;
            struct model_answer answer = run(&row, 0, strlen(body), &ignored);
            const struct usage *u = &answer.usage, *want = &usages[i].usage;
            if (answer.failure.code != ERR_NONE || u->known != want->known ||
                u->input_tokens != want->input_tokens || u->cached_tokens != want->cached_tokens ||
                u->output_tokens != want->output_tokens ||
                u->reasoning_tokens != want->reasoning_tokens ||
                answer.usage_alarm != usages[i].alarm ||
                answer.cost_reported_picousd != usages[i].cost_picousd)
                fail_msg("%s: known %d, %lld %lld %lld %lld, alarm %d", usages[i].json, u->known,
                         (long long)u->input_tokens, (long long)u->cached_tokens,
                         (long long)u->output_tokens, (long long)u->reasoning_tokens,
                         answer.usage_alarm);
            model_answer_deinit(&answer);
        }
}

// ----------------------------------------------------------------------------- names and ids

static struct model_answer simple(const char *header, const char *value, const char *body)
{
    struct reader *reader = reader_new(&model, false);
    struct model_answer answer;
    reader_status(reader, 200);
    reader_header(reader, "Content-Type", "application/json");
    if (header)
        reader_header(reader, header, value);
    reader_push(reader, body, strlen(body));
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    reader_free(reader);
    return answer;
}

#define NAMED(name)                                                                                \
    "{\"id\":\"c1\",\"model\":\"" name                                                             \
    "\",\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}"

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool alarm;
    } models[] = {{"grok-4.3", false}, {"grok-4.3-0309", false}, {"Grok-4.3", false},
                  {"grok-4", true},    {"gpt-5", true},          {"", false}};
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        char body[300];
        snprintf(body, sizeof(body), NAMED("%s"), models[i].name);
        struct model_answer answer = simple(NULL, NULL, body);
        assert_string_equal(answer.response_model, models[i].name);
        assert_int_equal(answer.model_alarm, models[i].alarm);
        assert_string_equal(answer.request_id, "c1");
        assert_string_equal(answer.finish_reason, "stop");
        assert_false(answer.length_limited);
        model_answer_deinit(&answer);
    }
    struct model_answer answer = simple("X-Request-Id", "req_1\x1b", NAMED("a\\u001bb\\nc"));
    assert_string_equal(answer.request_id, "req_1");
    assert_string_equal(answer.response_model, "ab c");
    model_answer_deinit(&answer);
    answer = simple(NULL, NULL,
                    "{\"model\":5,\"id\":{},\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_"
                    "reason\":\"length\"}]}");
    assert_string_equal(answer.response_model, "");
    assert_true(answer.length_limited);
    assert_int_equal(answer.failure.code, ERR_OUTPUT_LIMIT);
    model_answer_deinit(&answer);
}

static void test_interim_answers_make_headers_void(void **state)
{
    (void)state;
    struct reader *reader = reader_new(&model, true);
    struct model_answer answer;
    reader_status(reader, 103);
    reader_header(reader, "content-type", "text/html");
    reader_header(reader, "retry-after", "5");
    reader_status(reader, 200);
    const char *body = TEXT("a") FINISH("stop") DONE;
    assert_int_equal(reader_push(reader, body, strlen(body)), READER_COMPLETE);
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    assert_int_equal(answer.failure.code, ERR_NONE);
    model_answer_deinit(&answer);
    reader_free(reader);
}

static void test_no_status(void **state)
{
    (void)state;
    struct failure refused;
    struct model_answer answer;
    failure_set(&refused, ERR_CONNECT_FAILED, "refused");
    struct reader *reader = reader_new(&model, true);
    reader_end(reader, READER_END_BROKEN, &refused, 0, &answer);
    assert_int_equal(answer.failure.code, ERR_CONNECT_FAILED);
    assert_false(answer.failure.doubtful); // the edge knows that nothing left
    assert_string_equal(answer.content, "");
    model_answer_deinit(&answer);
    reader_free(reader);
    reader = reader_new(&model, true);
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    assert_int_equal(answer.failure.code, ERR_CONNECTION_LOST);
    assert_true(answer.failure.doubtful);
    model_answer_deinit(&answer);
    reader_free(reader);
}

// An error status holds even where its body was cut.
static void test_broken_error(void **state)
{
    (void)state;
    struct failure lost;
    struct model_answer answer;
    failure_set(&lost, ERR_CONNECTION_LOST, "reset");
    struct reader *reader = reader_new(&model, true);
    reader_status(reader, 429);
    reader_push(reader, "{\"err", 5);
    reader_end(reader, READER_END_BROKEN, &lost, 0, &answer);
    assert_int_equal(answer.failure.code, ERR_RATE_LIMITED);
    assert_false(answer.failure.doubtful);
    model_answer_deinit(&answer);
    reader_free(reader);
}

// ---------------------------------------------------------------------------- clocks and caps

static void test_content_events(void **state)
{
    (void)state;
    static const struct {
        const char *event;
        int64_t events;
    } steps[] = {
        {": ping\n\n", 0},
        {DELTA("\"role\":\"assistant\",\"content\":\"\""), 0},
        {DELTA("\"reasoning_content\":\"hm\""), 1},
        {DELTA("\"reasoning\":\"\""), 1},
        {TEXT("a"), 2},
        {": ping\n\n", 2},
        {DELTA("\"refusal\":\"no\""), 3},
        {USAGE5, 3},
        {DELTA("\"tool_calls\":[{}]"), 4},
        {FINISH("stop"), 4},
    };
    struct reader *reader = reader_new(&model, true);
    reader_status(reader, 200);
    reader_header(reader, "content-type", events);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        reader_push(reader, steps[i].event, strlen(steps[i].event));
        assert_int_equal(reader_content_events(reader), steps[i].events);
    }
    struct model_answer answer;
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    assert_int_equal(answer.content_bytes_seen, 1 + 2 + 2); // a, no, hm
    model_answer_deinit(&answer);
    reader_free(reader);
    reader = reader_new(&model, false);
    reader_status(reader, 200);
    reader_push(reader, "\n\n", 2);
    assert_int_equal(reader_content_events(reader), 0);
    reader_push(reader, "{", 1);
    assert_int_equal(reader_content_events(reader), 1);
    reader_free(reader);
}

static void expect_cap(const char *type, int status, const char *start, const char *again,
                       size_t most)
{
    struct reader *reader = reader_new(&model, true);
    struct model_answer answer;
    reader_status(reader, status);
    reader_header(reader, "content-type", type);
    enum reader_state state = reader_push(reader, start, strlen(start));
    size_t pushed = strlen(start);
    while (state != READER_BAD && pushed < most + 200000) {
        state = reader_push(reader, again, strlen(again));
        pushed += strlen(again);
    }
    assert_int_equal(state, READER_BAD);
    assert_int_equal(reader_push(reader, "x", 1), READER_BAD);
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    if (status == 200) {
        assert_int_equal(answer.failure.code, ERR_ANSWER_TOO_LARGE);
        assert_true(answer.failure.doubtful);
    } else {
        assert_int_equal(answer.failure.code, ERR_HTTP_TRANSIENT);
    }
    model_answer_deinit(&answer);
    reader_free(reader);
}

static void test_caps(void **state)
{
    (void)state;
    char *filler = malloc(65537);
    memset(filler, 'x', 65536);
    filler[65536] = '\0';
    char *event = malloc(70000);
    snprintf(event, 70000, TEXT("%s"), filler);
    char *comment = malloc(70000);
    snprintf(comment, 70000, ": %s\n\n", filler);
    char *space = malloc(65537);
    memset(space, ' ', 65536);
    space[65536] = '\0';
    expect_cap(events, 200, "data: ", filler, READER_LINE_BYTES);
    char *line = malloc(70000);
    snprintf(line, 70000, "data: %s\n", filler);
    expect_cap(events, 200, "data: {\n", line, READER_EVENT_BYTES);
    expect_cap(events, 200, "", event, READER_ANSWER_BYTES + 200000);
    expect_cap(events, 200, "", comment, READER_STREAM_BYTES);
    expect_cap(json, 200, "{\"choices\":[{\"message\":{\"content\":\"", filler,
               READER_ANSWER_BYTES);
    expect_cap(json, 200, "", space, READER_ANSWER_BYTES);
    expect_cap(json, 500, "{\"error\":\"", filler, READER_ANSWER_BYTES);
    free(filler);
    free(event);
    free(comment);
    free(line);
    free(space);
}

// What a cut plain answer may have cost is guessed from its body.
static void test_bytes_of_a_cut_body(void **state)
{
    (void)state;
    struct row row = {.type = json, .body = "{\"choices\":[{\"message\":{\"content\":\"a"};
    enum reader_state ignored;
    struct model_answer answer = run(&row, 0, 1, &ignored);
    assert_int_equal(answer.content_bytes_seen, strlen(row.body));
    model_answer_deinit(&answer);
}

static void test_too_many_headers(void **state)
{
    (void)state;
    struct reader *reader = reader_new(&model, true);
    struct model_answer answer;
    reader_status(reader, 200);
    for (int i = 0; i <= READER_HEADERS; i++)
        reader_header(reader, "x", "y");
    assert_int_equal(reader_push(reader, "{", 1), READER_BAD);
    reader_end(reader, READER_END_EOF, NULL, 0, &answer);
    assert_int_equal(answer.failure.code, ERR_BAD_ANSWER);
    model_answer_deinit(&answer);
    reader_free(reader);
}

static void test_megabyte_line(void **state)
{
    (void)state;
    size_t len = READER_LINE_BYTES - 200;
    char *text = malloc(len + 1), *event = malloc(len + 400);
    memset(text, 'x', len);
    text[len] = '\0';
    snprintf(
        event, len + 400,
        "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"},\"finish_reason\":\"stop\"}]}\n\n",
        text);
    struct row row = {.type = events, .body = event, .cause = READER_END_EOF};
    enum reader_state ignored;
    struct model_answer answer = run(&row, 0, 16384, &ignored);
    assert_int_equal(answer.failure.code, ERR_NONE);
    assert_int_equal(answer.content_len, len);
    model_answer_deinit(&answer);
    free(text);
    free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_at_every_split),
        cmocka_unit_test(test_usages),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_interim_answers_make_headers_void),
        cmocka_unit_test(test_no_status),
        cmocka_unit_test(test_broken_error),
        cmocka_unit_test(test_content_events),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_bytes_of_a_cut_body),
        cmocka_unit_test(test_too_many_headers),
        cmocka_unit_test(test_megabyte_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
