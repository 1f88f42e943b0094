// SPDX-License-Identifier: Apache-2.0
// Marked stretches of a text.
#include "base/spans.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"

void spans_init(struct spans *spans, size_t len)
{
    CHECK(len < SPANS_TEXT_BYTES);
    *spans = (struct spans){.len = len};
}

void spans_deinit(struct spans *spans)
{
    free(spans->reach);
    spans->reach = NULL;
}

void spans_add(struct spans *spans, size_t from, size_t to)
{
    CHECK(to <= spans->len);
    if (from >= to)
        return;
    if (!spans->reach)
        spans->reach = own_array(spans->len, sizeof(*spans->reach));
    if (spans->reach[from] < to)
        spans->reach[from] = (uint32_t)to;
}

// The end of the stretch that begins at `from`, through all that overlap or touch it.
static size_t span_end(const struct spans *spans, size_t from)
{
    size_t end = spans->reach[from];
    for (size_t i = from; i < spans->len && i <= end; i++)
        if (spans->reach[i] > end)
            end = spans->reach[i];
    return end;
}

void spans_write(const struct spans *spans, const char *text, const char *mark, struct buf *out)
{
    size_t at = 0;
    while (spans->reach && at < spans->len) {
        size_t from = at;
        while (from < spans->len && !spans->reach[from])
            from++;
        buf_add(out, text + at, from - at);
        if (from == spans->len)
            return;
        buf_add_str(out, mark);
        at = span_end(spans, from);
    }
    buf_add(out, text + at, spans->len - at);
}
