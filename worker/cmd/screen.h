// SPDX-License-Identifier: Apache-2.0
// What people see: text without anything that a terminal would obey, numbers with their units,
// colour and progress only on a terminal (and no colour with NO_COLOR set).
#ifndef PRECIS_CMD_SCREEN_H
#define PRECIS_CMD_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

enum screen_style {
    SCREEN_PLAIN,
    SCREEN_BOLD,
    SCREEN_DIM,
    SCREEN_GOOD,
    SCREEN_WARN,
    SCREEN_BAD,
};

bool screen_is_terminal(FILE *file);
// Of the terminal; 100 where there is none.
size_t screen_columns(FILE *file);
size_t screen_lines(FILE *file); // of the terminal; 40 where there is none
// What switches a style on and off: "" where `file` takes no colour, or is NULL.
const char *screen_on(FILE *file, enum screen_style style);
const char *screen_off(FILE *file, enum screen_style style);
// The style of a state of a job or a batch.
enum screen_style screen_style_of_state(const char *state);

// Appends foreign text as core/visible.h cleans it; a NULL text is "-". Line feeds and tabs stay.
void screen_add_text(struct buf *out, const char *text);
// The same on one line: every run of white space is one space.
void screen_add_line(struct buf *out, const char *text);
// Appends JSON with what a terminal obeys as \u escapes: nothing is lost by it.
void screen_add_json(struct buf *out, const char *json);
// Cells that a line of cleaned text takes on a terminal (2 for an ideograph).
size_t screen_width(const char *text, size_t len);

// What to do about a failure, where its sentence does not say so itself; else NULL.
const char *screen_suggestion(const char *error, const char *suggestion);

// Numbers as PostgreSQL writes them; NULL is "-".
void screen_add_count(struct buf *out, const char *digits); // 12,345
void screen_add_money(struct buf *out, const char *usd);    // $0.00375
void screen_add_duration(struct buf *out, const char *ms);  // 350 ms, 1.4 s, 3 min 20 s
void screen_add_duration_ms(struct buf *out, int64_t ms);
void screen_add_bytes(struct buf *out, int64_t bytes); // 3.1 MB

// Appends a line cut to so many cells. Styles take no cells, and are off behind it.
void screen_add_clipped(struct buf *out, const char *line, size_t len, size_t cells);

// One line on stderr that the next one replaces; nothing where stderr is no terminal.
void screen_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void screen_progress_end(void);

#endif
