// SPDX-License-Identifier: Apache-2.0
// A table of labels: what is read and written again reads the same, but for the ' before formulas.
#include "fuzz.h"

#include <string.h>

#include "cmd/csv.h"

static bool is_formula(const char *cell)
{
    return cell[0] && strchr("=+-@\t\r", cell[0]);
}

static void write_rows(const struct csv *csv, struct buf *out)
{
    for (size_t i = 0; i < csv->count; i++)
        for (size_t j = 0; j < csv->rows[i].count; j++)
            csv_add_cell(out, csv->rows[i].cells[j], j + 1 < csv->rows[i].count);
}

// Does every row have two cells or more, of which none begins with what is changed in writing?
static bool is_plain(const struct csv *csv)
{
    for (size_t i = 0; i < csv->count; i++) {
        if (csv->rows[i].count < 2)
            return false;
        for (size_t j = 0; j < csv->rows[i].count; j++)
            if (is_formula(csv->rows[i].cells[j]))
                return false;
    }
    // A first line "sep=…", or more of another separator in it, would be read in another way.
    return csv->count > 0 && strncmp(csv->rows[0].cells[0], "\xef\xbb\xbf", 3) != 0;
}

static bool is_comma(const struct csv *csv)
{
    for (size_t j = 0; j < csv->rows[0].count; j++)
        if (strpbrk(csv->rows[0].cells[j], ";\t") ||
            strncasecmp(csv->rows[0].cells[j], "sep", 3) == 0)
            return false;
    return true;
}

static void check_again(const struct csv *csv)
{
    struct csv again;
    size_t line;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    write_rows(csv, &text);
    FUZZ_CHECK(csv_read(&again, buf_str(&text), text.len, &line));
    FUZZ_CHECK(again.count <= csv->count);
    for (size_t i = 0; i < again.count && again.count == csv->count; i++) {
        FUZZ_CHECK(again.rows[i].count == csv->rows[i].count);
        for (size_t j = 0; j < again.rows[i].count; j++)
            FUZZ_CHECK(strcmp(again.rows[i].cells[j], csv->rows[i].cells[j]) == 0);
    }
    csv_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct csv csv = {0};
    size_t line = 0;
    if (csv_read(&csv, (const char *)data, len, &line)) {
        if (is_plain(&csv) && is_comma(&csv))
            check_again(&csv);
    } else {
        FUZZ_CHECK(line > 0);
    }
    csv_deinit(&csv);
    return 0;
}
