// SPDX-License-Identifier: Apache-2.0
// What commands print: tables, cells of a terminal, numbers, HTML.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/html.h"
#include "cmd/screen.h"
#include "cmd/table.h"

// A file that is no terminal, and its width.
static FILE *file_of(const char *columns)
{
    setenv("COLUMNS", columns, 1);
    FILE *file = tmpfile();
    assert_non_null(file);
    return file;
}

static void test_table(void **state)
{
    (void)state;
    static const struct table_column columns[] = {
        {"NAME", TABLE_FOLD}, {"COST", TABLE_MONEY}, {"N", TABLE_RIGHT}, {"TEXT", TABLE_WRAP}, {0}};
    static const char *const cells[] = {
        "软件合同", "$1.25", "1", "short", "b", "$0.000125", "100", "one two three four five six"};
    FILE *file = file_of("50");
    struct table *table = table_new(columns);
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        table_add(table, cells[i]);
    table_space_rows(table);
    struct buf out;
    buf_init(&out, 0);
    table_write(table, file, &out);
    assert_string_equal(buf_str(&out), "NAME           COST    N  TEXT\n"
                                       "软件合同  $1.25        1  short\n"
                                       "\n"
                                       "b         $0.000125  100  one two three four five\n"
                                       "                          six\n");
    buf_deinit(&out);
    table_free(table);
    fclose(file);
}

static void test_clipping(void **state)
{
    (void)state;
    static const struct {
        const char *line, *clipped;
        size_t cells;
    } rows[] = {
        {"abcdef", "abc", 3},
        {"abc", "abc", 3},
        {"软件合同", "软", 3},
        {"\x1b[1mab\x1b[0mcd", "\x1b[1mab\x1b[0mc\x1b[0m", 3},
        {"\x1b[31mabcd", "\x1b[31mabc\x1b[0m", 3},
        {"", "", 3},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out;
        buf_init(&out, 0);
        screen_add_clipped(&out, rows[i].line, strlen(rows[i].line), rows[i].cells);
        assert_string_equal(buf_str(&out), rows[i].clipped);
        buf_deinit(&out);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    screen_add_count(&out, "1234567");
    screen_add_count(&out, "12");
    screen_add_count(&out, NULL);
    buf_add_char(&out, '|');
    static const int64_t times[] = {0, 999, 1400, 59999, 200000, 7260000};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        screen_add_duration_ms(&out, times[i]);
        buf_add_char(&out, '|');
    }
    screen_add_bytes(&out, 999);
    screen_add_bytes(&out, 3100000);
    assert_string_equal(
        buf_str(&out),
        "1,234,56712-|0 ms|999 ms|1.4 s|60.0 s|3 min 20 s|2 h 1 min|999 bytes3.1 MB");
    buf_deinit(&out);
    assert_null(screen_suggestion("It broke. Suggestion: Mend it.", "Mend it."));
    assert_string_equal(screen_suggestion("It broke.", "Mend it."), "Mend it.");
    assert_string_equal(screen_suggestion(NULL, "Mend it."), "Mend it.");
    assert_null(screen_suggestion("It broke.", NULL));
}

static void test_html(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    html_add(&out, "<a href='x'>&\"`=\n b\x1b\xe2\x80\xae</a>");
    html_add(&out, NULL);
    assert_string_equal(buf_str(&out), "&#60;a href&#61;&#39;x&#39;&#62;&#38;&#34;&#96;&#61; b"
                                       "&#60;/a&#62;");
    buf_clear(&out);
    html_add_lines(&out, "a\nb");
    html_add_element(&out, "p class=\"x\"", "<p>");
    assert_string_equal(buf_str(&out), "a\nb<p class=\"x\">&#60;p&#62;</p>");
    buf_clear(&out);
    static const char *const languages[] = {"de",    "zh-Hant", "German", "e",  "en\" x=\"y",
                                            "en_US", "",        NULL,     "en-"};
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
        html_add_language(&out, languages[i]);
    assert_string_equal(buf_str(&out), " lang=\"de\" lang=\"zh-Hant\" lang=\"en-\"");
    buf_clear(&out);
    html_add_hash(&out, "alert('Hello, world.');"); // the example of the CSP specification
    assert_string_equal(buf_str(&out), "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table),
                                       cmocka_unit_test(test_clipping),
                                       cmocka_unit_test(test_numbers), cmocka_unit_test(test_html)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
