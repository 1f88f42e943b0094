// SPDX-License-Identifier: Apache-2.0
// Quotes: byte 0 says how much of the input is the quote. What is found lies inside the source, and
// a piece of the source is found in it.
#include "fuzz.h"

#include <string.h>

#include "core/ground.h"
#include "core/text.h"
#include "core/visible.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    size_t quote_len = data[0] < len - 1 ? data[0] : len - 1;
    const char *quote = (const char *)data + 1, *source = quote + quote_len;
    size_t source_len = len - 1 - quote_len, from, to;
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    FUZZ_CHECK(text_clean(&clean, source, source_len, NULL));
    struct ground *ground = ground_new(buf_str(&clean), clean.len);
    size_t chars = text_code_points(buf_str(&clean), clean.len);
    if (ground_find(ground, quote, quote_len, &from, &to))
        FUZZ_CHECK(from < to && to <= chars);
    if (clean.len && ground_find(ground, buf_str(&clean), clean.len, &from, &to))
        FUZZ_CHECK(from < to && to <= chars);
    ground_free(ground);
    return 0;
}
