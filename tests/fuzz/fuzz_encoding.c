// SPDX-License-Identifier: Apache-2.0
// Bytes in whatever encoding: clean text with the name of what it was, or an error. Byte 0 chooses
// what was told.
#include "fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "core/text.h"
#include "io/extract_encoding.h"

static const char *const charsets[] = {NULL,        "utf-8",      "windows-1252", "utf-16",
                                       "shift_jis", "gb18030",    "iso-2022-jp",  "utf-7",
                                       "x-nothing", "iso-8859-2", "big5",         "utf-32"};
#define COUNT (sizeof(charsets) / sizeof(charsets[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    struct encoding_hints hints = {charsets[data[0] % COUNT], charsets[data[0] / COUNT % COUNT]};
    struct encoding_result result = {0};
    struct failure failure = {.code = ERR_NONE};
    struct buf out OWN_BUF;
    buf_init(&out, 20000);
    if (encoding_decode(&out, (const char *)data + 1, len - 1, &hints, &result, &failure)) {
        FUZZ_CHECK(!out.overflow && result.name[0]);
        FUZZ_CHECK(text_is_clean(buf_str(&out), out.len));
    } else {
        FUZZ_CHECK(failure.code != ERR_NONE && failure.detail[0]);
    }
    return 0;
}
