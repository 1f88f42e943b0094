// SPDX-License-Identifier: Apache-2.0
// What the child that read a document answers, which the worker must not believe: cut off anywhere
// it is not whole, and what passes has clean text and a code that is its to tell.
#include "fuzz.h"

#include <string.h>

#include "core/retry_after.h"
#include "core/text.h"
#include "io/extract_frame.h"

#define CAP 65536

static void check_text(const char *text)
{
    FUZZ_CHECK(!text || text_is_clean(text, strlen(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *bytes = (const char *)data;
    struct frame frame;
    struct extract_answer answer;
    struct extract_ask ask;
    if (frame_read(bytes, len, CAP, &frame) != FRAME_WHOLE)
        return 0;
    FUZZ_CHECK(FRAME_PREFIX_BYTES + frame.head_len + frame.body_len == len);
    FUZZ_CHECK(frame_read(bytes, len - 1, CAP, &frame) == FRAME_MORE || len == 0);
    FUZZ_CHECK(frame_read(bytes, len, CAP, &frame) == FRAME_WHOLE);
    extract_answer_init(&answer, 0);
    if (frame_parse_answer(&frame, &answer)) {
        enum err_class class = err_class(answer.failure.code);
        FUZZ_CHECK(class == ERR_CLASS_NONE || class == ERR_CLASS_INPUT ||
                   class == ERR_CLASS_TRANSIENT || class == ERR_CLASS_FATAL);
        FUZZ_CHECK(answer.failure.code != ERR_NONE ||
                   (frame.body_len > 0 && text_is_clean(frame.body, frame.body_len)));
        FUZZ_CHECK(answer.pages >= 0 && answer.warning_count <= EXTRACT_WARNINGS);
        FUZZ_CHECK(answer.failure.retry_after_ms >= -1 &&
                   answer.failure.retry_after_ms <= RETRY_AFTER_MAX_MS);
        check_text(answer.failure.detail);
        check_text(answer.failure.suggestion);
        check_text(answer.media_type);
        check_text(answer.extractor);
        FUZZ_CHECK(strlen(answer.sha256) == 0 || strlen(answer.sha256) == 64);
        for (size_t i = 0; i < answer.warning_count; i++)
            check_text(answer.warnings[i]);
    }
    extract_answer_deinit(&answer);
    frame_parse_ask(&frame, &ask);
    extract_ask_deinit(&ask);
    return 0;
}
