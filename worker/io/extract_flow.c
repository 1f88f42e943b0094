// SPDX-License-Identifier: Apache-2.0
// Characters and the breaks between them.
#include "io/extract_flow.h"

#include <string.h>

static void trim_line(struct buf *out)
{
    while (out->len > 0 && (out->data[out->len - 1] == ' ' || out->data[out->len - 1] == '\t'))
        out->data[--out->len] = '\0';
}

static void settle(struct flow *flow)
{
    struct buf *out = flow->out;
    enum flow_break pending = flow->pending;
    flow->pending = FLOW_NONE;
    flow->fresh = false;
    if (pending == FLOW_NONE || out->len == 0)
        return;
    char last = out->data[out->len - 1];
    if (pending == FLOW_SPACE) {
        if (last != '\n' && last != '\t' && last != ' ')
            buf_add_char(out, ' ');
        return;
    }
    trim_line(out);
    bool at_start = out->len > 0 && out->data[out->len - 1] == '\n';
    bool after_blank = at_start && out->len > 1 && out->data[out->len - 2] == '\n';
    size_t wanted = pending == FLOW_BLANK ? 2 : 1, there = (size_t)at_start + (size_t)after_blank;
    if (out->len > 0 && there < wanted)
        buf_add(out, "\n\n", wanted - there);
}

void flow_break(struct flow *flow, enum flow_break size)
{
    if (!flow->fresh && size > flow->pending)
        flow->pending = size;
}

void flow_add(struct flow *flow, const char *text, size_t len)
{
    if (len == 0)
        return;
    settle(flow);
    buf_add(flow->out, text, len);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void flow_add_loose(struct flow *flow, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t run = at;
        while (run < len && !is_space(text[run]))
            run++;
        flow_add(flow, text + at, run - at);
        at = run;
        while (at < len && is_space(text[at]))
            at++;
        if (at > run)
            flow_break(flow, FLOW_SPACE);
    }
}

// The line is broken now: a tab, which may come before any text, drops what is pending.
void flow_row(struct flow *flow)
{
    flow_break(flow, FLOW_LINE);
    settle(flow);
    flow->fresh = true;
}

void flow_tab(struct flow *flow)
{
    flow->pending = FLOW_NONE;
    buf_add_char(flow->out, '\t');
    flow->fresh = true;
}

void flow_mark(struct flow *flow, const char *mark)
{
    flow_add(flow, mark, strlen(mark));
    flow->fresh = true;
}

void flow_end(struct flow *flow)
{
    trim_line(flow->out);
}
