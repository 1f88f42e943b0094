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
    size_t line; // in which it begins
};

struct csv {
    struct csv_row *rows;
    size_t count;
};

// Reads a whole text: whichever of comma, semicolon and tab the first line has most of outside of
// quotes, or what Excel's own first line "sep=;" says; quotes, line feeds within quotes, CR LF, a
// byte order mark. Lines without any text are left out. False: a quote that does
// not end; *out_line says in which line it began.
bool csv_read(struct csv *out, const char *text, size_t len, size_t *out_line);
void csv_deinit(struct csv *csv);

#endif
