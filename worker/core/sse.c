// SPDX-License-Identifier: Apache-2.0
// The event stream parser. A line that lies whole in the pushed bytes is not copied.
#include "core/sse.h"

#include <string.h>

#include "base/check.h"

void sse_init(struct sse *sse, size_t max_line, size_t max_event)
{
    CHECK(max_line && max_event);
    *sse = (struct sse){.max_line = max_line, .max_event = max_event};
    buf_init(&sse->line, max_line);
    buf_init(&sse->data, max_event);
}

void sse_deinit(struct sse *sse)
{
    buf_deinit(&sse->line);
    buf_deinit(&sse->data);
}

static void sse_forget_event(struct sse *sse)
{
    buf_clear(&sse->data);
    sse->name[0] = '\0';
    sse->has_data = false;
}

static struct sse_event sse_event_of(const struct sse *sse)
{
    return (struct sse_event){
        .name = sse->name, .data = buf_str(&sse->data), .data_len = sse->data.len};
}

static enum sse_result sse_dispatch(struct sse *sse, sse_event_fn fn, void *ctx)
{
    bool go_on = true;
    if (sse->has_data) {
        struct sse_event event = sse_event_of(sse);
        sse->dispatched++;
        go_on = fn(ctx, &event);
    }
    sse_forget_event(sse);
    return go_on ? SSE_OK : SSE_STOPPED;
}

static enum sse_result sse_add_data(struct sse *sse, const char *value, size_t len)
{
    if (sse->has_data && !buf_add_char(&sse->data, '\n'))
        return SSE_EVENT_TOO_LARGE;
    sse->has_data = true;
    return buf_add(&sse->data, value, len) ? SSE_OK : SSE_EVENT_TOO_LARGE;
}

static void sse_set_name(struct sse *sse, const char *value, size_t len)
{
    if (len > sizeof(sse->name) - 1)
        len = sizeof(sse->name) - 1;
    memcpy(sse->name, value, len);
    sse->name[len] = '\0';
}

// One field line, which is not empty and no comment.
static enum sse_result sse_field(struct sse *sse, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    size_t value_len = (size_t)(line + len - value);
    if (value_len && *value == ' ') {
        value++;
        value_len--;
    }
    if (name_len == 4 && memcmp(line, "data", 4) == 0)
        return sse_add_data(sse, value, value_len);
    if (name_len == 5 && memcmp(line, "event", 5) == 0)
        sse_set_name(sse, value, value_len);
    return SSE_OK;
}

static enum sse_result sse_line(struct sse *sse, const char *line, size_t len, sse_event_fn fn,
                                void *ctx)
{
    if (!sse->begun && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        len -= 3;
    }
    sse->begun = true;
    if (len == 0)
        return sse_dispatch(sse, fn, ctx);
    if (*line == ':') {
        sse->comments++;
        return SSE_OK;
    }
    return sse_field(sse, line, len);
}

// The first CR or LF, NULL where there is none.
static const char *sse_line_end(const char *data, size_t len)
{
    const char *lf = memchr(data, '\n', len);
    const char *cr = memchr(data, '\r', lf ? (size_t)(lf - data) : len);
    return cr ? cr : lf;
}

static enum sse_result sse_whole_line(struct sse *sse, const char *part, size_t len,
                                      sse_event_fn fn, void *ctx)
{
    if (sse->line.len + len > sse->max_line)
        return SSE_LINE_TOO_LONG;
    if (sse->line.len == 0)
        return sse_line(sse, part, len, fn, ctx);
    buf_add(&sse->line, part, len);
    enum sse_result result = sse_line(sse, sse->line.data, sse->line.len, fn, ctx);
    buf_clear(&sse->line);
    return result;
}

enum sse_result sse_push(struct sse *sse, const char *data, size_t len, sse_event_fn fn, void *ctx)
{
    const char *end = data + len;
    while (data < end) {
        if (sse->after_cr && *data == '\n') {
            sse->after_cr = false;
            data++;
            continue;
        }
        sse->after_cr = false;
        const char *stop = sse_line_end(data, (size_t)(end - data));
        if (!stop)
            break;
        sse->after_cr = *stop == '\r';
        enum sse_result result = sse_whole_line(sse, data, (size_t)(stop - data), fn, ctx);
        if (result != SSE_OK)
            return result;
        data = stop + 1;
    }
    return buf_add(&sse->line, data, (size_t)(end - data)) ? SSE_OK : SSE_LINE_TOO_LONG;
}

bool sse_rest(struct sse *sse, struct sse_event *out_event)
{
    const char *line = buf_str(&sse->line);
    if (sse->line.len && *line != ':' && sse_field(sse, line, sse->line.len) != SSE_OK)
        return false;
    buf_clear(&sse->line);
    if (sse->has_data)
        *out_event = sse_event_of(sse);
    return sse->has_data;
}
