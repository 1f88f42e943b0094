// SPDX-License-Identifier: Apache-2.0
// Answers of a model API. Byte 0 chooses status, content type, end and split; the rest is the body.
// However it is split, the answer is the same; a success keeps the completion rule.
#include "fuzz.h"

#include <string.h>

#include <utf8proc.h>

#include "provider/provider.h"

#define S(text) ((char *)(uintptr_t)(text))

static const struct config_provider provider = {
    .name = S("xai"), .api = S("openai"), .base_url = S("https://api.x.ai/v1")};
static const struct config_model model = {.name = S("grok-4.3"),
                                          .served_name = S("grok-4.3"),
                                          .provider = &provider,
                                          .max_output_tokens = 8192};

static bool is_utf8(const char *text, size_t len)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    utf8proc_int32_t ignored;
    for (size_t used = 0; used < len;) {
        utf8proc_ssize_t step =
            utf8proc_iterate(at + used, (utf8proc_ssize_t)(len - used), &ignored);
        if (step <= 0)
            return false;
        used += (size_t)step;
    }
    return true;
}

static struct model_answer run(uint8_t mode, const char *body, size_t len, size_t step)
{
    static const int statuses[] = {200, 200, 429, 500};
    static const char *const types[] = {"text/event-stream", "application/json", "", "text/html"};
    struct failure idle;
    failure_set(&idle, ERR_TIMEOUT_IDLE, "idle");
    struct reader *reader = reader_new(&model, mode & 1);
    reader_status(reader, statuses[mode >> 1 & 3]);
    reader_header(reader, "content-type", types[mode >> 3 & 3]);
    enum reader_state state = READER_MORE;
    for (size_t at = 0; at < len && state != READER_BAD; at += step)
        state = reader_push(reader, body + at, len - at < step ? len - at : step);
    bool broken = mode >> 5 & 1;
    struct model_answer answer;
    reader_end(reader, broken ? READER_END_BROKEN : READER_END_EOF, broken ? &idle : NULL, 0,
               &answer);
    reader_free(reader);
    return answer;
}

static void check(const struct model_answer *answer)
{
    const struct usage *usage = &answer->usage;
    FUZZ_CHECK(answer->content && strlen(answer->content) <= answer->content_len);
    FUZZ_CHECK(is_utf8(answer->content, answer->content_len));
    FUZZ_CHECK(is_utf8(answer->failure.detail, strlen(answer->failure.detail)));
    FUZZ_CHECK(is_utf8(answer->failure.suggestion, strlen(answer->failure.suggestion)));
    FUZZ_CHECK(!usage->known || (usage->input_tokens >= 0 && usage->output_tokens >= 0 &&
                                 usage->cached_tokens >= 0 && usage->reasoning_tokens >= 0 &&
                                 usage->cached_tokens <= usage->input_tokens &&
                                 usage->reasoning_tokens <= usage->output_tokens));
    if (answer->failure.code == ERR_NONE) {
        FUZZ_CHECK(answer->http_status == 200 && answer->content_len > 0);
        FUZZ_CHECK(answer->finish_reason[0] && !answer->failure.doubtful);
    }
}

static bool same_usage(const struct usage *a, const struct usage *b)
{
    return a->known == b->known && a->input_tokens == b->input_tokens &&
           a->cached_tokens == b->cached_tokens && a->output_tokens == b->output_tokens &&
           a->reasoning_tokens == b->reasoning_tokens;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const char *body = (const char *)data + 1;
    struct model_answer whole = run(data[0], body, len - 1, len);
    struct model_answer split = run(data[0], body, len - 1, data[0] % 7 + 1);
    check(&whole);
    FUZZ_CHECK(whole.failure.code == split.failure.code);
    FUZZ_CHECK(whole.failure.doubtful == split.failure.doubtful);
    FUZZ_CHECK(whole.content_len == split.content_len &&
               memcmp(whole.content, split.content, whole.content_len) == 0);
    FUZZ_CHECK(same_usage(&whole.usage, &split.usage));
    FUZZ_CHECK(strcmp(whole.finish_reason, split.finish_reason) == 0);
    model_answer_deinit(&whole);
    model_answer_deinit(&split);
    return 0;
}
