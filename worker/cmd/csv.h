// SPDX-License-Identifier: Apache-2.0
// Comma-separated values as RFC 4180 and spreadsheets have them.
#ifndef PRECIS_CMD_CSV_H
#define PRECIS_CMD_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

// Appends a cell, quoted where it has to be, and a comma, or the line's end (CR LF) where no more
// follow. A cell that a spreadsheet would take for a formula (= + - @, tab, CR; numbers are none)
// gets a ' before it.
void csv_add_cell(struct buf *out, const char *text, bool more);

// Rows of cells; every row has its own number of them.
struct csv_row {
    char **cells;
    size_t count;
};

struct csv {
    struct csv_row *rows;
    size_t count;
};

// Reads a whole text: comma, or semicolon or tab where the first line has only those; quotes, line
// feeds within quotes, CR LF, a byte order mark. Empty lines are left out. False: a quote that does
// not end; *out_line says in which line it began.
bool csv_read(struct csv *out, const char *text, size_t len, size_t *out_line);
void csv_deinit(struct csv *csv);

#endif
