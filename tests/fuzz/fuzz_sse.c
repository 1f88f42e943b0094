// SPDX-License-Identifier: Apache-2.0
// Event streams: however the bytes are split, the events and the result are the same.
#include "fuzz.h"

#include <string.h>

#include "core/sse.h"

static bool collect(void *ctx, const struct sse_event *event)
{
    struct buf *out = ctx;
    buf_printf(out, "%s|%zu|", event->name, event->data_len);
    FUZZ_CHECK(event->data[event->data_len] == '\0');
    return buf_add(out, event->data, event->data_len);
}

static enum sse_result run(const char *data, size_t len, size_t step, struct buf *out)
{
    struct sse sse;
    enum sse_result result = SSE_OK;
    sse_init(&sse, 200, 300);
    for (size_t at = 0; at < len && result == SSE_OK; at += step)
        result = sse_push(&sse, data + at, len - at < step ? len - at : step, collect, out);
    struct sse_event rest;
    if (result == SSE_OK && sse_rest(&sse, &rest))
        collect(out, &rest);
    sse_deinit(&sse);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1)
        return 0;
    const char *text = (const char *)data + 1;
    struct buf whole OWN_BUF, split OWN_BUF;
    buf_init(&whole, 0);
    buf_init(&split, 0);
    enum sse_result a = run(text, len - 1, len, &whole);
    enum sse_result b = run(text, len - 1, data[0] % 16 + 1, &split);
    FUZZ_CHECK(a == b);
    FUZZ_CHECK(whole.len == split.len && memcmp(buf_str(&whole), buf_str(&split), whole.len) == 0);
    return 0;
}
