// SPDX-License-Identifier: Apache-2.0
// Web pages and other texts, in any encoding: byte 0 chooses what was told of it. Whatever comes,
// the text is clean UTF-8 within its cap, or there is a reason.
#include "fuzz.h"

#include <string.h>

#include "core/text.h"
#include "io/extract.h"

#define CAP 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static char told[][48] = {
        "text/html",
        "text/html; charset=utf-8",
        "text/html; charset=windows-1252",
        "text/html; charset=gb18030",
        "text/html; charset=utf-16",
        "text/html; charset=iso-2022-jp",
        "text/plain",
        "text/plain; charset=shift_jis",
    };
    if (len < 1)
        return 0;
    struct extract_ask ask = {.media_type = told[data[0] % 8],
                              .max_bytes = CAP,
                              .max_text_bytes = CAP,
                              .memory_bytes = 1 << 30,
                              .timeout_ms = 1000};
    struct extract_answer answer;
    // What a signature names goes to other readers, programs among them.
    static const char *const signatures[] = {"%PDF-", "PK", "\xd0\xcf", "%!PS"};
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++)
        if (memmem(data, len, signatures[i], strlen(signatures[i])))
            return 0;
    extract_answer_init(&answer, CAP);
    extract_document(&ask, data + 1, len - 1, &answer);
    if (answer.failure.code == ERR_NONE) {
        FUZZ_CHECK(answer.text.len > 0 && answer.text.len <= CAP);
        FUZZ_CHECK(text_is_clean(buf_str(&answer.text), answer.text.len));
        FUZZ_CHECK(!memchr(answer.text.data, '\r', answer.text.len));
    } else {
        FUZZ_CHECK(answer.failure.detail[0] && answer.text.len == 0);
        FUZZ_CHECK(err_class(answer.failure.code) == ERR_CLASS_INPUT);
    }
    extract_answer_deinit(&answer);
    return 0;
}
