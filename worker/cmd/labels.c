// SPDX-License-Identifier: Apache-2.0
// Labels from options and from a CSV file.
#include "cmd/labels.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/own.h"
#include "cmd/csv.h"
#include "cmd/screen.h"
#include "cmd/slurp.h"
#include "core/text.h"

#define TABLE_MAX_BYTES (256 << 20)
#define TOLD_MOST       10

struct label_row {
    char *key;
    const struct csv_row *cells;
    bool used;
};

struct labels {
    json_t *all;
    struct csv csv;
    size_t key_column;
    struct label_row *rows;
    void *tree; // of rows, by key
    size_t row_count, used_count;
    char *path;         // of the table; NULL: there is none
    struct buf without; // the first documents that have no row, as a person reads them
    size_t without_count;
};

struct labels *labels_new(void)
{
    struct labels *labels = own_alloc(sizeof(*labels));
    labels->all = json_object();
    buf_init(&labels->without, 0);
    return labels;
}

static void leave_row(void *row)
{
    (void)row; // of the array
}

void labels_free(struct labels *labels)
{
    if (!labels)
        return;
    tdestroy(labels->tree, leave_row);
    csv_deinit(&labels->csv);
    for (size_t i = 0; i < labels->row_count; i++)
        free(labels->rows[i].key);
    free(labels->rows);
    free(labels->path);
    buf_deinit(&labels->without);
    json_decref(labels->all);
    free(labels);
}

bool labels_add(struct labels *labels, const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return false;
    char *name OWN_FREE = own_strndup(pair, (size_t)(equals - pair));
    json_t *value = json_string(equals + 1);
    return value && json_object_set_new(labels->all, name, value) == 0;
}

// ------------------------------------------------------------------------------- the table

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct label_row *)a)->key, ((const struct label_row *)b)->key);
}

static bool find_key_column(struct labels *labels)
{
    static const char *const names[] = {"id", "file", "path", "name", "document"};
    const struct csv_row *titles = &labels->csv.rows[0];
    for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
        for (size_t c = 0; c < titles->count; c++)
            if (strcasecmp(titles->cells[c], names[n]) == 0) {
                labels->key_column = c;
                return true;
            }
    return false;
}

// A path as both sides write it: slashes, nothing before the first name, and one Unicode form (file
// names of a Mac are decomposed, what people type is not).
static char *key_of(const char *text)
{
    char *composed = (char *)utf8proc_NFC((const utf8proc_uint8_t *)text);
    char *key = own_strdup(composed ? composed : text);
    free(composed);
    for (char *c = key; *c; c++)
        *c = *c == '\\' ? '/' : *c;
    while (strncmp(key, "./", 2) == 0)
        memmove(key, key + 2, strlen(key) - 1);
    return key;
}

// The line of the first row that has more cells than there are columns; 0: none has.
static size_t find_long_row(const struct labels *labels)
{
    const struct csv *csv = &labels->csv;
    for (size_t i = 1; i < csv->count; i++)
        for (size_t c = csv->rows[0].count; c < csv->rows[i].count; c++)
            if (csv->rows[i].cells[c][0])
                return csv->rows[i].line;
    return 0;
}

// The line of the first row whose key was there before; 0 where all are different.
static size_t index_rows(struct labels *labels)
{
    labels->rows = own_array(labels->csv.count, sizeof(struct label_row));
    for (size_t i = 1; i < labels->csv.count; i++) {
        const struct csv_row *cells = &labels->csv.rows[i];
        if (cells->count <= labels->key_column || !cells->cells[labels->key_column][0])
            continue;
        struct label_row *row = &labels->rows[labels->row_count++];
        *row = (struct label_row){key_of(cells->cells[labels->key_column]), cells, false};
        if (*(struct label_row **)tsearch(row, &labels->tree, by_key) != row)
            return cells->line;
    }
    return 0;
}

static bool parse(struct labels *labels, const struct buf *text, char *problem,
                  size_t problem_bytes)
{
    size_t line = 0;
    const char *foreign = text_foreign_encoding(buf_str(text), text->len);
    if (foreign)
        snprintf(problem, problem_bytes,
                 "it is not UTF-8 but seems to be %s; in Excel, save it as \"CSV UTF-8\"", foreign);
    else if (!csv_read(&labels->csv, buf_str(text), text->len, &line))
        snprintf(problem, problem_bytes, "the quote in line %zu does not end", line);
    else if (labels->csv.count == 0 || !find_key_column(labels))
        snprintf(problem, problem_bytes,
                 "its first line has to name the columns, one of them id, file, path, name or "
                 "document");
    else if ((line = find_long_row(labels)) > 0)
        snprintf(problem, problem_bytes,
                 "line %zu has more cells than line 1 has names; is a cell with a separator not in "
                 "quotes?",
                 line);
    else if ((line = index_rows(labels)) > 0)
        snprintf(problem, problem_bytes, "line %zu is about the same document as an earlier one",
                 line);
    else
        return true;
    return false;
}

bool labels_load(struct labels *labels, const char *path, char *problem, size_t problem_bytes)
{
    struct buf text OWN_BUF;
    buf_init(&text, TABLE_MAX_BYTES);
    labels->path = own_strdup(path);
    return slurp_file(&text, path, problem, problem_bytes) &&
           parse(labels, &text, problem, problem_bytes);
}

// ------------------------------------------------------------------------------- asked

static struct label_row *find_row(struct labels *labels, const char *key)
{
    char *wanted_key OWN_FREE = key ? key_of(key) : NULL;
    struct label_row wanted = {.key = wanted_key};
    struct label_row **found = key ? tfind(&wanted, &labels->tree, by_key) : NULL;
    return found ? *found : NULL;
}

static void note_without(struct labels *labels, const char *name)
{
    if (labels->without_count++ >= TOLD_MOST)
        return;
    buf_add_str(&labels->without, labels->without.len ? ", " : "");
    screen_add_line(&labels->without, name);
}

static void add_row(json_t *to, struct labels *labels, struct label_row *row)
{
    const struct csv_row *titles = &labels->csv.rows[0];
    for (size_t c = 0; c < row->cells->count && c < titles->count; c++)
        if (c != labels->key_column && row->cells->cells[c][0] && titles->cells[c][0])
            json_object_set_new(to, titles->cells[c], json_string(row->cells->cells[c]));
    labels->used_count += !row->used;
    row->used = true;
}

json_t *labels_of(struct labels *labels, const char *id, const char *name)
{
    json_t *found = json_copy(labels->all);
    const char *slash = name ? strrchr(name, '/') : NULL;
    struct label_row *row = find_row(labels, name);
    if (!row && slash)
        row = find_row(labels, slash + 1);
    if (!row)
        row = find_row(labels, id);
    if (row)
        add_row(found, labels, row);
    else if (labels->path && (name || id[0]))
        note_without(labels, name ? name : id);
    return found;
}

void labels_tell(const struct labels *labels)
{
    size_t unused = labels->row_count - labels->used_count, told = 0;
    struct buf path OWN_BUF, key OWN_BUF;
    buf_init(&path, 0);
    buf_init(&key, 0);
    screen_add_line(&path, labels->path ? labels->path : "");
    for (size_t i = 0; i < labels->row_count && told < TOLD_MOST; i++) {
        if (labels->rows[i].used)
            continue;
        buf_clear(&key);
        screen_add_line(&key, labels->rows[i].key);
        fprintf(stderr, "warning: %s: line %zu: no document \"%s\" was given\n", buf_str(&path),
                labels->rows[i].cells->line, buf_str(&key));
        told++;
    }
    if (unused > told)
        fprintf(stderr, "warning: %s: nor for %zu more lines\n", buf_str(&path), unused - told);
    if (labels->without_count > 0)
        fprintf(stderr, "warning: %s has no line for %zu document%s: %s%s\n", buf_str(&path),
                labels->without_count, labels->without_count == 1 ? "" : "s",
                buf_str(&labels->without), labels->without_count > TOLD_MOST ? ", …" : "");
}
