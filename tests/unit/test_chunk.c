// SPDX-License-Identifier: Apache-2.0
// Splitting: where it cuts, and that the parts cover every text and fit.
// With PRECIS_TEST_DATA (a folder with contracts/) real contracts are split as well.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "core/chunk.h"
#include "core/tokens.h"

static size_t next_character(const char *text, size_t len, size_t at)
{
    at++;
    while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
        at++;
    return at;
}

// Walks the parts over the text and checks all that the header says of them.
static void check_parts(const char *text, size_t len, int64_t max_tokens)
{
    struct chunk_list list;
    chunk_split(text, len, max_tokens, &list);
    size_t at = 0, point = 0;
    for (size_t i = 0; i < list.len; i++) {
        size_t begin = at;
        assert_int_equal(list.items[i].from, point);
        assert_true(list.items[i].to > point);
        for (; point < list.items[i].to; point++)
            at = next_character(text, len, at);
        assert_true(at <= len);
        if (tokens_upper(tokens_estimate(text + begin, at - begin)) > max_tokens)
            assert_int_equal(list.items[i].to - list.items[i].from, 1);
    }
    assert_int_equal(at, len);
    chunk_list_deinit(&list);
}

// The byte where the first part ends, of ASCII texts.
static void cuts_at_the_best_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *first; // the first part
    } rows[] = {
        // room for ten tokens: tokens_within(14)
        {"one two three four\n\nfive six. Seven\neight nine ten eleven twelve",
         "one two three four\n\n"},
        {"one two three four\n \t\nfive six. Seven\neight nine ten eleven twelve",
         "one two three four\n \t\n"},
        {"one two three four\r\n\r\nfive six. Seven\neight nine ten eleven twelve",
         "one two three four\r\n\r\n"},
        {"one two three four\r\rfive six. Seven\reight nine ten eleven twelve",
         "one two three four\r\r"},
        {"one two three four\ffive six. Seven\neight nine ten eleven twelve",
         "one two three four\f"},
        {"one two three four five\nsix. Seven eight nine ten eleven twelve",
         "one two three four five\n"},
        {"one two three four five. Six seven eight nine ten eleven twelve",
         "one two three four five. "},
        {"one two three four \"five.\" Six seven eight nine ten eleven twelve",
         "one two three four \"five.\" "},
        {"one two three four 1.5 six seven eight nine ten eleven twelve",
         "one two three four 1.5 six seven eight "},
        {"one two three four five six seven eight nine ten eleven twelve",
         "one two three four five six seven eight nine ten "},
        // a blank line in the first half would make too small a part
        {"one\n\ntwo three four five six seven eight nine ten eleven twelve",
         "one\n\ntwo three four five six seven eight "},
        {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyza"},
        {"one two", "one two"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct chunk_list list;
        chunk_split(rows[i].text, strlen(rows[i].text), 14, &list);
        assert_true(list.len > 0);
        if (list.items[0].to != strlen(rows[i].first))
            fail_msg("row %zu: \"%.*s\"", i, (int)list.items[0].to, rows[i].text);
        chunk_list_deinit(&list);
        check_parts(rows[i].text, strlen(rows[i].text), 14);
    }
}

static void cuts_chinese_at_full_stops(void **state)
{
    (void)state;
    // eight Han characters, a full stop, six more: room for ten tokens, eleven characters
    const char *text = "\xe5\x90\x88\xe5\x90\x88\xe5\x90\x88\xe5\x90\x88\xe5\x90\x88\xe5\x90\x88"
                       "\xe5\x90\x88\xe5\x90\x88\xe3\x80\x82\xe5\x90\x8c\xe5\x90\x8c\xe5\x90\x8c"
                       "\xe5\x90\x8c\xe5\x90\x8c\xe5\x90\x8c";
    struct chunk_list list;
    chunk_split(text, strlen(text), 14, &list);
    assert_int_equal(list.len, 2);
    assert_int_equal(list.items[0].to, 9);
    assert_int_equal(list.items[1].to, 15);
    chunk_list_deinit(&list);
}

static void edges(void **state)
{
    (void)state;
    struct chunk_list list;
    chunk_split("", 0, 100, &list);
    assert_int_equal(list.len, 0);
    chunk_list_deinit(&list);
    chunk_split("abc", 3, 0, &list); // nothing fits: each character alone
    assert_int_equal(list.len, 3);
    chunk_list_deinit(&list);
    check_parts("\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 8, 1);
    check_parts("one two", 7, INT64_MAX);
}

static void random_texts(void **state)
{
    (void)state;
    static const char *const parts[] = {" ",
                                        "\n",
                                        "\n\n",
                                        "\r\n",
                                        "word ",
                                        "Agreement",
                                        "x",
                                        "7",
                                        "2026",
                                        ". ",
                                        "? ",
                                        "\xe4\xb8\xad",
                                        "\xe3\x80\x82",
                                        "\xf0\x9f\x98\x80",
                                        "\xc3\xa9",
                                        "A1b2C3",
                                        "aZ09+/",
                                        "-",
                                        "\t",
                                        "internationalisation"};
    struct rng rng;
    rng_init(&rng, 9);
    for (int round = 0; round < 1500; round++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        for (uint64_t n = rng_below(&rng, 300); n > 0; n--) {
            const char *part = parts[rng_below(&rng, sizeof(parts) / sizeof(parts[0]))];
            for (uint64_t times = rng_below(&rng, 9) == 0 ? rng_below(&rng, 40) : 1; times > 0;
                 times--)
                buf_add_str(&text, part);
        }
        check_parts(buf_str(&text), text.len, (int64_t)rng_below(&rng, 200));
    }
}

// Texts that a careless splitter looks at again and again: the test's time limit is the check.
static void giant_runs(void **state)
{
    (void)state;
    static const char *const kinds[] = {"a",    "1", " ", "\n", "-", "A1b", "\xe4\xb8\xad",
                                        "1 \n", ")"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        while (text.len < 3000000)
            buf_add_str(&text, kinds[i]);
        check_parts(buf_str(&text), text.len, 1000);
    }
}

static void read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char block[65536];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), file)) > 0)
        buf_add(out, block, got);
    fclose(file);
}

static size_t split_folder(const char *folder)
{
    size_t files = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || (strcmp(dot, ".txt") != 0 && strcmp(dot, ".md") != 0))
            continue;
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        read_file(path, &text);
        check_parts(buf_str(&text), text.len, 2000);
        check_parts(buf_str(&text), text.len, 100000);
        files++;
    }
    if (dir)
        closedir(dir);
    return files;
}

static void real_contracts(void **state)
{
    (void)state;
    static const char *const folders[] = {"cuad", "edgar", "lang", "employment"};
    const char *data = getenv("PRECIS_TEST_DATA");
    if (!data) {
        print_message("real_contracts: PRECIS_TEST_DATA is not set\n");
        skip();
    }
    size_t files = 0;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[2048];
        snprintf(path, sizeof(path), "%s/contracts/%s", data, folders[i]);
        files += split_folder(path);
    }
    assert_true(files > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_at_the_best_place),
        cmocka_unit_test(cuts_chinese_at_full_stops),
        cmocka_unit_test(edges),
        cmocka_unit_test(random_texts),
        cmocka_unit_test(giant_runs),
        cmocka_unit_test(real_contracts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
