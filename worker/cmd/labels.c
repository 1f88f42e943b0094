// SPDX-License-Identifier: Apache-2.0
// Labels from options and from a CSV file.
#include "cmd/labels.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/csv.h"
#include "cmd/slurp.h"
#include "core/text.h"

#define TABLE_MAX_BYTES (256 << 20)

struct label_row {
    const char *key;
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
};

struct labels *labels_new(void)
{
    struct labels *labels = own_alloc(sizeof(*labels));
    labels->all = json_object();
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
    free(labels->rows);
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

// The line of the first row whose key was there before; 0 where all are different.
static size_t index_rows(struct labels *labels)
{
    labels->rows = own_array(labels->csv.count, sizeof(struct label_row));
    for (size_t i = 1; i < labels->csv.count; i++) {
        const struct csv_row *cells = &labels->csv.rows[i];
        if (cells->count <= labels->key_column || !cells->cells[labels->key_column][0])
            continue;
        struct label_row *row = &labels->rows[labels->row_count++];
        *row = (struct label_row){cells->cells[labels->key_column], cells, false};
        if (*(struct label_row **)tsearch(row, &labels->tree, by_key) != row)
            return i + 1;
    }
    return 0;
}

static bool parse(struct labels *labels, const struct buf *text, char *problem,
                  size_t problem_bytes)
{
    size_t line = 0;
    const char *foreign = text_foreign_encoding(buf_str(text), text->len);
    if (foreign)
        snprintf(problem, problem_bytes, "it is not UTF-8 but seems to be %s", foreign);
    else if (!csv_read(&labels->csv, buf_str(text), text->len, &line))
        snprintf(problem, problem_bytes, "the quote in line %zu does not end", line);
    else if (labels->csv.count == 0 || !find_key_column(labels))
        snprintf(problem, problem_bytes,
                 "its first line has to name the columns, one of them id, file, path, name or "
                 "document");
    else if ((line = index_rows(labels)) > 0)
        snprintf(problem, problem_bytes, "row %zu is about the same document as an earlier one",
                 line);
    else
        return true;
    return false;
}

bool labels_load(struct labels *labels, const char *path, char *problem, size_t problem_bytes)
{
    struct buf text OWN_BUF;
    buf_init(&text, TABLE_MAX_BYTES);
    return slurp_file(&text, path, problem, problem_bytes) &&
           parse(labels, &text, problem, problem_bytes);
}

// ------------------------------------------------------------------------------- asked

static struct label_row *find_row(struct labels *labels, const char *key)
{
    struct label_row wanted = {.key = key};
    struct label_row **found = key ? tfind(&wanted, &labels->tree, by_key) : NULL;
    return found ? *found : NULL;
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
    return found;
}

size_t labels_unused(const struct labels *labels)
{
    return labels->row_count - labels->used_count;
}
