// SPDX-License-Identifier: Apache-2.0
// CSV, read and written.
#include "cmd/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && *end == '\0' && !strpbrk(text, "xXnN");
}

void csv_add_cell(struct buf *out, const char *text, bool more)
{
    bool formula = *text && strchr("=+-@\t\r", *text) && !is_number(text);
    bool quoted = strpbrk(text, ",;\"\r\n\t") != NULL;
    if (quoted)
        buf_add_char(out, '"');
    if (formula)
        buf_add_char(out, '\'');
    for (; *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    if (quoted)
        buf_add_char(out, '"');
    buf_add_str(out, more ? "," : "\r\n");
}

// ------------------------------------------------------------------------------- reading

struct reader {
    const char *at, *end;
    size_t line;
    char separator;
};

// The one that the first line has most of, outside of quotes.
static char separator_of(const char *text, const char *end)
{
    static const char separators[] = ",;\t";
    size_t counts[sizeof(separators)] = {0}, best = 0;
    bool quoted = false;
    for (; text < end && (quoted || *text != '\n'); text++) {
        const char *found = *text ? strchr(separators, *text) : NULL;
        quoted = quoted != (*text == '"');
        if (found && !quoted)
            counts[found - separators]++;
    }
    for (size_t i = 1; i < sizeof(separators) - 1; i++)
        best = counts[i] > counts[best] ? i : best;
    return separators[best];
}

// Excel's way to name the separator in a line of its own: "sep=;".
static bool take_separator_line(struct reader *reader)
{
    const char *at = reader->at;
    size_t left = (size_t)(reader->end - at);
    if (left < 6 || strncasecmp(at, "sep=", 4) != 0 || (at[5] != '\r' && at[5] != '\n'))
        return false;
    reader->separator = at[4];
    reader->at += at[5] == '\r' && left > 6 ? 7 : 6;
    reader->line++;
    return true;
}

// The text between quotes; `at` stands after the first one. False: they do not end.
static bool read_quoted(struct reader *reader, struct buf *cell)
{
    while (reader->at < reader->end) {
        char c = *reader->at++;
        reader->line += c == '\n';
        if (c != '"') {
            buf_add_char(cell, c);
        } else if (reader->at < reader->end && *reader->at == '"') {
            buf_add_char(cell, '"');
            reader->at++;
        } else {
            return true;
        }
    }
    return false;
}

// Up to a separator or a line's end, which it leaves.
static bool read_cell(struct reader *reader, struct buf *cell)
{
    if (reader->at < reader->end && *reader->at == '"') {
        reader->at++;
        if (!read_quoted(reader, cell))
            return false;
    }
    while (reader->at < reader->end && *reader->at != reader->separator && *reader->at != '\n') {
        if (*reader->at != '\r')
            buf_add_char(cell, *reader->at);
        reader->at++;
    }
    return true;
}

static void add_cell(struct csv_row *row, struct buf *cell)
{
    row->cells = own_grow(row->cells, row->count + 1, sizeof(char *));
    row->cells[row->count++] = cell->len ? buf_take(cell) : own_strdup("");
}

static bool read_row(struct reader *reader, struct csv_row *row)
{
    for (;;) {
        struct buf cell OWN_BUF;
        buf_init(&cell, 0);
        if (!read_cell(reader, &cell))
            return false;
        add_cell(row, &cell);
        if (reader->at == reader->end || *reader->at++ == '\n')
            break;
    }
    reader->line++;
    return true;
}

static void free_row(struct csv_row *row)
{
    for (size_t i = 0; i < row->count; i++)
        free(row->cells[i]);
    free(row->cells);
}

static void add_row(struct csv *csv, struct csv_row *row)
{
    bool blank = true;
    for (size_t i = 0; i < row->count; i++)
        blank = blank && !row->cells[i][0];
    if (blank) {
        free_row(row);
        return;
    }
    // Room is doubled whenever the count is a power of two.
    if ((csv->count & (csv->count - 1)) == 0)
        csv->rows = own_grow(csv->rows, csv->count ? csv->count * 2 : 1, sizeof(*csv->rows));
    csv->rows[csv->count++] = *row;
}

bool csv_read(struct csv *out, const char *text, size_t len, size_t *out_line)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    struct reader reader = {text, text + len, 1, ','};
    if (!take_separator_line(&reader))
        reader.separator = separator_of(text, text + len);
    struct csv csv = {0};
    while (reader.at < reader.end) {
        struct csv_row row = {.line = reader.line};
        if (!read_row(&reader, &row)) {
            *out_line = row.line;
            free_row(&row);
            csv_deinit(&csv);
            return false;
        }
        add_row(&csv, &row);
    }
    *out = csv;
    return true;
}

void csv_deinit(struct csv *csv)
{
    for (size_t i = 0; i < csv->count; i++)
        free_row(&csv->rows[i]);
    free(csv->rows);
    *csv = (struct csv){0};
}
