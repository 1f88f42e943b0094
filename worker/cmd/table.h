// SPDX-License-Identifier: Apache-2.0
// A table of aligned columns: numbers stand at the right, money point below point, one column may
// wrap within what the others leave of the width, and names may fold where that would be too
// little. An ideograph takes two cells.
#ifndef PRECIS_CMD_TABLE_H
#define PRECIS_CMD_TABLE_H

#include <stdio.h>

#include "cmd/screen.h"

enum table_align { TABLE_LEFT, TABLE_RIGHT, TABLE_MONEY, TABLE_WRAP, TABLE_FOLD };

struct table_column {
    const char *title; // NULL ends the columns
    enum table_align align;
};

struct table;

// `columns` are borrowed for its life.
struct table *table_new(const struct table_column *columns);
void table_free(struct table *table);
// The next cell, row by row; foreign text, which is cleaned and put on one line. NULL is "-".
void table_add(struct table *table, const char *text);
void table_add_styled(struct table *table, const char *text, enum screen_style style);
// A cell of our own making; empties `text`.
void table_take(struct table *table, struct buf *text);
size_t table_rows(const struct table *table);
// An empty line between rows, where one of them has more than one line.
void table_space_rows(struct table *table);
// The titles and all rows.
void table_print(struct table *table, FILE *file);
// Without the titles.
void table_print_rows(struct table *table, FILE *file);
// Appends what these would print on `file`, with its width and colours.
void table_write(struct table *table, FILE *file, struct buf *out);
void table_write_rows(struct table *table, FILE *file, struct buf *out);

#endif
