// SPDX-License-Identifier: Apache-2.0
// What the extractor's child answers: a frame is whole or not however much of it is there, and what
// is taken of an answer is clean.
#include "fuzz.h"

#include <string.h>

#include "base/err.h"
#include "core/text.h"
#include "io/extract_frame.h"

#define CAP 5000

static void check_answer(const struct frame *frame)
{
    struct extract_answer answer;
    extract_answer_init(&answer, CAP);
    if (frame_parse_answer(frame, &answer)) {
        FUZZ_CHECK(answer.warning_count <= EXTRACT_WARNINGS && answer.pages >= 0);
        FUZZ_CHECK(strlen(answer.sha256) == 0 || strlen(answer.sha256) == 64);
        if (answer.failure.code == ERR_NONE)
            FUZZ_CHECK(text_is_clean(frame->body, frame->body_len));
        for (size_t i = 0; i < answer.warning_count; i++)
            FUZZ_CHECK(text_is_clean(answer.warnings[i], strlen(answer.warnings[i])));
    }
    extract_answer_deinit(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *bytes = (const char *)data;
    struct frame frame, part;
    enum frame_state whole = frame_read(bytes, len, CAP, &frame);
    size_t step = len > 64 ? len / 32 : 1;
    for (size_t some = 0; some < len; some += step) {
        enum frame_state state = frame_read(bytes, some, CAP, &part);
        // A part is bad only if the whole is, and never whole: bytes behind a frame are a fault.
        FUZZ_CHECK(state == FRAME_MORE || whole == FRAME_BAD);
    }
    if (whole != FRAME_WHOLE)
        return 0;
    FUZZ_CHECK(frame.head >= bytes && frame.body + frame.body_len == bytes + len);
    check_answer(&frame);
    struct extract_ask ask = {0};
    frame_parse_ask(&frame, &ask);
    extract_ask_deinit(&ask);
    return 0;
}
