// SPDX-License-Identifier: Apache-2.0
// A progress line on a terminal: how many of how many, bytes, a rate and the time that is left. It
// is drawn on stderr at most ten times a second, and nowhere else than on a terminal.
#ifndef PRECIS_CMD_PROGRESS_H
#define PRECIS_CMD_PROGRESS_H

#include <stdint.h>

struct progress {
    const char *unit;           // "documents"
    int64_t total, total_bytes; // 0: not known
    int64_t first;              // what was done when it began
    int64_t began_ms, drawn_ms;
};

// `first`: what is done already and says nothing about the rate.
void progress_init(struct progress *progress, const char *unit, int64_t total, int64_t total_bytes,
                   int64_t first);
// Draws the line anew when that is due. `more` is added to it; may be "".
void progress_show(struct progress *progress, int64_t done, int64_t done_bytes, const char *more);
// What the line says, for tests and for progress_show: `elapsed_ms` since the beginning, at most
// `columns` wide.
struct buf;
void progress_write(struct buf *out, const struct progress *progress, int64_t done,
                    int64_t done_bytes, const char *more, int64_t elapsed_ms, int columns);

#endif
