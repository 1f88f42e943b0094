// SPDX-License-Identifier: Apache-2.0
// Text as it flows out of a marked-up document: runs of characters with breaks between them. Breaks
// that meet become the largest of them; none stands at the start, and lines end without blanks.
#ifndef PRECIS_IO_EXTRACT_FLOW_H
#define PRECIS_IO_EXTRACT_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum flow_break { FLOW_NONE, FLOW_SPACE, FLOW_LINE, FLOW_BLANK };

struct flow {
    struct buf *out;
    enum flow_break pending;
    bool fresh; // after a tab or a mark: breaks are not wanted before text
};

// A break before the next text; a larger one that is pending stays.
void flow_break(struct flow *flow, enum flow_break size);
// Characters as they are, line feeds too.
void flow_add(struct flow *flow, const char *text, size_t len);
// Characters in which runs of white space stand for one space.
void flow_add_loose(struct flow *flow, const char *text, size_t len);
// A row begins: on a line of its own, whose first text no break keeps off.
void flow_row(struct flow *flow);
// The next cell of a row: a tab in place of what is pending.
void flow_tab(struct flow *flow);
// A mark at the start of a line ("- "), to which the next text is joined.
void flow_mark(struct flow *flow, const char *mark);
// Nothing follows: blanks at the end of the last line go.
void flow_end(struct flow *flow);

#endif
