// SPDX-License-Identifier: Apache-2.0
// Headers of a model API's answer, one a line: whatever they say, a wait is within bounds and the
// request's name is clean. Byte 0 chooses the status. And Kafka's headers of a job.
#include "fuzz.h"

#include <string.h>

#include "base/own.h"
#include "core/retry_after.h"
#include "core/text.h"
#include "job/decode.h"
#include "provider/provider.h"

#define S(text) ((char *)(uintptr_t)(text))
#define MOST    8

static const struct config_provider provider = {
    .name = S("xai"), .api = S("openai"), .base_url = S("https://api.x.ai/v1")};
static const struct config_model model = {.name = S("grok-4.3"),
                                          .served_name = S("grok-4.3"),
                                          .provider = &provider,
                                          .max_output_tokens = 8192};

// Splits "name: value" lines in place.
static size_t split(char *text, struct header *out)
{
    size_t count = 0;
    for (char *line = text; line && count < MOST;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *colon = strchr(line, ':');
        if (colon) {
            *colon = '\0';
            out[count++] = (struct header){line, colon + 1, strlen(colon + 1)};
        }
        line = next;
    }
    return count;
}

static void check_answer(uint8_t mode, const struct header *headers, size_t count)
{
    static const int statuses[] = {200, 429, 503, 400};
    static const char body[] = "{\"error\":{\"message\":\"no\"}}";
    struct model_answer answer;
    struct reader *reader = reader_new(&model, false);
    reader_status(reader, statuses[mode & 3]);
    for (size_t i = 0; i < count; i++)
        reader_header(reader, headers[i].name, headers[i].value);
    reader_push(reader, body, strlen(body));
    reader_end(reader, READER_END_EOF, NULL, 1795374000000, &answer);
    FUZZ_CHECK(answer.failure.code != ERR_NONE);
    FUZZ_CHECK(answer.failure.retry_after_ms >= -1 &&
               answer.failure.retry_after_ms <= RETRY_AFTER_MAX_MS);
    reader_free(reader);
    model_answer_deinit(&answer);
}

static void check_job(const struct header *headers, size_t count)
{
    static const char value[] =
        "{\"v\":1,\"id\":\"a\",\"kind\":\"summarize\",\"document\":{\"text\":\"t\"}}";
    static const struct decode_limits limits = {
        .value_bytes = 1 << 16, .text_bytes = 1 << 15, .nodes = 2000};
    const struct message message = {.topic = "t",
                                    .value = value,
                                    .value_len = strlen(value),
                                    .headers = headers,
                                    .header_count = count};
    struct decode_out out;
    FUZZ_CHECK(job_decode(&message, &limits, &out) == DECODED_JOB);
    FUZZ_CHECK(strspn(out.spec.traceparent, "0123456789abcdef-") == strlen(out.spec.traceparent));
    decode_out_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    struct header headers[MOST];
    char *text OWN_FREE = own_strndup((const char *)data + 1, len - 1);
    size_t count = split(text, headers);
    check_answer(data[0], headers, count);
    check_job(headers, count);
    return 0;
}
