// SPDX-License-Identifier: Apache-2.0
// Aligned tables.
#include "cmd/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/visible.h"

#define GAP       2
#define WRAP_MIN  24
#define WRAP_FAIR 44 // below it, names fold
#define FOLD_MIN  20

struct cell {
    char *text;
    size_t len, width;
    enum screen_style style;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct cell *cells;
    size_t count, room;
    bool spaced;
};

struct table *table_new(const struct table_column *columns)
{
    struct table *table = own_alloc(sizeof(*table));
    table->columns = columns;
    while (columns[table->column_count].title)
        table->column_count++;
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

static void add_cell(struct table *table, struct buf *text, enum screen_style style)
{
    if (table->count == table->room) {
        table->room = table->room ? table->room * 2 : 64;
        table->cells = own_grow(table->cells, table->room, sizeof(struct cell));
    }
    struct cell *cell = &table->cells[table->count++];
    *cell = (struct cell){.len = text->len, .style = style};
    cell->width = screen_width(buf_str(text), text->len);
    cell->text = buf_take(text);
}

void table_add_styled(struct table *table, const char *text, enum screen_style style)
{
    struct buf line;
    buf_init(&line, 0);
    screen_add_line(&line, text);
    add_cell(table, &line, style);
}

void table_add(struct table *table, const char *text)
{
    table_add_styled(table, text, SCREEN_PLAIN);
}

void table_take(struct table *table, struct buf *text)
{
    add_cell(table, text, SCREEN_PLAIN);
}

size_t table_rows(const struct table *table)
{
    return table->count / table->column_count;
}

void table_space_rows(struct table *table)
{
    table->spaced = true;
}

// ------------------------------------------------------------------------------- money

// Cells from the point on: "$0.015" has 4, "$12" none.
static size_t behind_point(const struct cell *cell)
{
    const char *point = cell->text ? strchr(cell->text, '.') : NULL;
    return point ? strlen(point) : 0;
}

static void add_spaces(struct cell *cell, size_t count)
{
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%s%*s", cell->text ? cell->text : "", (int)count, "");
    free(cell->text);
    cell->len = text.len;
    cell->width += count;
    cell->text = buf_take(&text);
}

// Makes the parts behind the point equally long, with spaces.
static void align_points(struct table *table)
{
    for (size_t c = 0; c < table->column_count; c++) {
        size_t most = 0;
        if (table->columns[c].align != TABLE_MONEY)
            continue;
        for (size_t i = c; i < table->count; i += table->column_count) {
            size_t digits = behind_point(&table->cells[i]);
            most = digits > most ? digits : most;
        }
        for (size_t i = c; i < table->count; i += table->column_count)
            if (behind_point(&table->cells[i]) < most)
                add_spaces(&table->cells[i], most - behind_point(&table->cells[i]));
    }
}

// ------------------------------------------------------------------------------- printing

static size_t column_width(const struct table *table, size_t column)
{
    const char *title = table->columns[column].title;
    size_t width = screen_width(title, strlen(title));
    for (size_t i = column; i < table->count; i += table->column_count)
        if (table->cells[i].width > width)
            width = table->cells[i].width;
    return width;
}

// What is left of the width beside the columns that do not wrap.
static size_t room_left(const struct table *table, const size_t *widths, FILE *file)
{
    size_t taken = 0, room = screen_columns(file);
    for (size_t c = 0; c < table->column_count; c++) {
        taken += c > 0 ? GAP : 0;
        taken += table->columns[c].align == TABLE_WRAP ? 0 : widths[c];
    }
    return room > taken ? room - taken : 0;
}

// Names give up width until the column that wraps has a fair share.
static void fold(const struct table *table, size_t *widths, size_t column, FILE *file)
{
    size_t left = room_left(table, widths, file);
    size_t missing = left < WRAP_FAIR ? WRAP_FAIR - left : 0;
    size_t spare = widths[column] > FOLD_MIN ? widths[column] - FOLD_MIN : 0;
    widths[column] -= missing < spare ? missing : spare;
}

// The widths of all columns.
static size_t *fit(const struct table *table, FILE *file)
{
    size_t *widths = own_array(table->column_count, sizeof(size_t));
    size_t wrap = table->column_count;
    for (size_t c = 0; c < table->column_count; c++) {
        widths[c] = column_width(table, c);
        wrap = table->columns[c].align == TABLE_WRAP ? c : wrap;
    }
    for (size_t c = 0; wrap < table->column_count && c < table->column_count; c++)
        if (table->columns[c].align == TABLE_FOLD && widths[wrap] > room_left(table, widths, file))
            fold(table, widths, c, file);
    size_t left = room_left(table, widths, file);
    left = left > WRAP_MIN ? left : WRAP_MIN;
    if (wrap < table->column_count && widths[wrap] > left)
        widths[wrap] = left;
    return widths;
}

static bool wraps(const struct table *table, size_t column)
{
    enum table_align align = table->columns[column].align;
    return align == TABLE_WRAP || align == TABLE_FOLD;
}

// How many bytes of `text` go on a line of `width` cells: up to the last space that fits, else
// (long words, Chinese) up to the last character.
static size_t line_bytes(const char *text, size_t len, size_t width)
{
    size_t used = 0, at_space = 0, i = 0, bytes;
    for (; i < len; i += bytes) {
        visible_decode(text + i, len - i, &bytes);
        used += screen_width(text + i, bytes);
        if (used > width && (i > 0 || at_space > 0))
            return text[i] == ' ' ? i : at_space > 0 ? at_space : i;
        if (text[i] == ' ')
            at_space = i;
    }
    return len;
}

static void pad(struct buf *out, size_t count)
{
    buf_printf(out, "%*s", (int)count, "");
}

struct place {
    FILE *file; // whose colours it takes
    size_t width;
    enum table_align align;
    bool last; // in its row: no spaces behind it
};

static void add_part(struct buf *out, const struct place *place, const char *text, size_t len,
                     enum screen_style style)
{
    size_t width = screen_width(text, len);
    size_t rest = place->width > width ? place->width - width : 0;
    bool right = place->align == TABLE_RIGHT || place->align == TABLE_MONEY;
    if (right)
        pad(out, rest);
    while (place->last && len > 0 && text[len - 1] == ' ')
        len--;
    buf_printf(out, "%s%.*s%s", screen_on(place->file, style), (int)len, text,
               screen_off(place->file, style));
    if (!right && !place->last)
        pad(out, rest);
    if (!place->last)
        pad(out, GAP);
}

// A table being printed.
struct printing {
    const struct table *table;
    FILE *file;
    struct buf *out;
    size_t *widths;
};

// One line of a row; `done[c]` bytes of each cell are out. True where more is to come.
static bool add_line(const struct printing *printing, const struct cell *row, size_t *done)
{
    const struct table *table = printing->table;
    bool more = false;
    size_t last = table->column_count - 1;
    while (last > 0 && done[last] == row[last].len)
        last--;
    for (size_t c = 0; c <= last; c++) {
        const char *text = row[c].text ? row[c].text + done[c] : "";
        size_t left = row[c].len - done[c], width = printing->widths[c];
        size_t len = wraps(table, c) ? line_bytes(text, left, width) : left;
        struct place place = {printing->file, width, table->columns[c].align, c == last};
        add_part(printing->out, &place, text, len, row[c].style);
        while (len < left && text[len] == ' ')
            len++;
        done[c] += len;
        more = more || done[c] < row[c].len;
    }
    buf_add_char(printing->out, '\n');
    return more;
}

static void add_row(const struct printing *printing, const struct cell *row)
{
    size_t *done OWN_FREE = own_array(printing->table->column_count, sizeof(size_t));
    while (add_line(printing, row, done))
        ;
}

static void add_titles(const struct printing *printing)
{
    const struct table *table = printing->table;
    for (size_t c = 0; c < table->column_count; c++) {
        const char *title = table->columns[c].title;
        struct place place = {printing->file, printing->widths[c], table->columns[c].align,
                              c + 1 == table->column_count};
        add_part(printing->out, &place, title, strlen(title), SCREEN_BOLD);
    }
    buf_add_char(printing->out, '\n');
}

static bool any_wraps(const struct printing *printing)
{
    const struct table *table = printing->table;
    for (size_t i = 0; i < table->count; i++)
        if (table->cells[i].width > printing->widths[i % table->column_count])
            return true;
    return false;
}

static void add_rows(const struct printing *printing)
{
    const struct table *table = printing->table;
    bool spaced = table->spaced && any_wraps(printing);
    for (size_t i = 0; i + table->column_count <= table->count; i += table->column_count) {
        if (spaced && i > 0)
            buf_add_char(printing->out, '\n');
        add_row(printing, table->cells + i);
    }
}

void table_write(struct table *table, FILE *file, struct buf *out)
{
    align_points(table);
    size_t *widths OWN_FREE = fit(table, file);
    struct printing printing = {table, file, out, widths};
    add_titles(&printing);
    add_rows(&printing);
}

void table_write_rows(struct table *table, FILE *file, struct buf *out)
{
    align_points(table);
    size_t *widths OWN_FREE = fit(table, file);
    struct printing printing = {table, file, out, widths};
    add_rows(&printing);
}

void table_print(struct table *table, FILE *file)
{
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    table_write(table, file, &out);
    fwrite(buf_str(&out), 1, out.len, file);
}

void table_print_rows(struct table *table, FILE *file)
{
    struct buf out OWN_BUF;
    buf_init(&out, 0);
    table_write_rows(table, file, &out);
    fwrite(buf_str(&out), 1, out.len, file);
}
