// SPDX-License-Identifier: Apache-2.0
// Every shared document through the pool: those with text give it whole, the others exactly their
// error.
#include "edge_extract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "base/own.h"
#include "core/text.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SPAN_BYTES  120

static const char *folder; // NULL: the documents are not there

static void path_of(char *out, size_t out_bytes, const char *name)
{
    snprintf(out, out_bytes, "%s/contracts/%s", folder, name);
}

static void slurp(struct buf *out, const char *name)
{
    char path[1000], piece[65536];
    size_t len;
    path_of(path, sizeof(path), name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_add(out, piece, len);
    fclose(file);
}

static json_t *load_json(const char *name)
{
    char path[1000];
    path_of(path, sizeof(path), name);
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    return json;
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

// ------------------------------------------------------------------------------- one by one

static const struct nasty {
    const char *file;
    enum err_code code;
    const char *detail, *suggestion, *warning; // parts; NULL: none
} nasty[] = {
    {"nasty/scan-no-text-layer.pdf", ERR_NO_TEXT, "The PDF has 2 pages and no text: it is a scan",
     "ocrmypdf", NULL},
    {"nasty/empty.txt", ERR_NO_TEXT, "The document is empty", "with text in it", NULL},
    {"nasty/truncated.pdf", ERR_DAMAGED, "The PDF is cut or damaged", "whole copy", NULL},
    {"nasty/encrypted-password.pdf", ERR_PROTECTED, "needs a password", "qpdf --decrypt", NULL},
    {"nasty/cp1252-de.txt", ERR_NONE, NULL, NULL, "it was read as WINDOWS-1252"},
    {"nasty/gb18030-zh.txt", ERR_NONE, NULL, NULL, "it was read as GB18030"},
    {"nasty/invalid-utf8.txt", ERR_NONE, NULL, NULL, "Bytes that stand for no character"},
    {"nasty/nul-bytes.txt", ERR_NONE, NULL, NULL, "NUL bytes were taken out"},
};

static const struct nasty *nasty_of(const char *file)
{
    for (size_t i = 0; i < COUNT(nasty); i++)
        if (strcmp(nasty[i].file, file) == 0)
            return &nasty[i];
    return NULL;
}

static void check_failure(const struct nasty *wanted, const struct outcome *outcome)
{
    if (outcome->code != wanted->code || !strstr(outcome->detail, wanted->detail) ||
        !strstr(outcome->suggestion, wanted->suggestion))
        fail_msg("%s: %s: %s. %s", wanted->file, err_code_text(outcome->code), outcome->detail,
                 outcome->suggestion);
}

// Texts come whole: nothing but line ends, marks and NUL bytes may differ.
static void check_plain(const char *file, const struct buf *raw, const struct outcome *outcome)
{
    struct buf clean OWN_BUF;
    size_t to = 0;
    buf_init(&clean, 0);
    assert_true(text_clean(&clean, buf_str(raw), raw->len, NULL));
    for (size_t i = 0; i < clean.len; i++) {
        bool pair = clean.data[i] == '\r' && clean.data[i + 1] == '\n';
        if (!pair)
            clean.data[to++] = clean.data[i] == '\r' ? '\n' : clean.data[i];
    }
    if (to != outcome->text.len || memcmp(clean.data, outcome->text.data, to) != 0)
        fail_msg("%s: its text is not what stands in it", file);
}

static void check_text(const json_t *entry, const struct buf *raw, const struct outcome *outcome)
{
    const char *file = member(entry, "file"), *format = member(entry, "format");
    const struct nasty *wanted = nasty_of(file);
    if (outcome->code != ERR_NONE || outcome->text.len == 0)
        fail_msg("%s: %s: %s", file, err_code_text(outcome->code), outcome->detail);
    assert_true(text_is_clean(outcome->text.data, outcome->text.len));
    assert_null(strchr(outcome->text.data, '\r'));
    assert_string_equal(outcome->sha256, member(entry, "sha256"));
    assert_int_equal(outcome->pages > 0, strcmp(format, "pdf") == 0);
    bool foreign = wanted && strstr(wanted->warning, "it was read as");
    if ((strcmp(format, "txt") == 0 || strcmp(format, "md") == 0) && !foreign)
        check_plain(file, raw, outcome);
    if (wanted)
        assert_non_null(strstr(buf_str(&outcome->warnings), wanted->warning));
    else if (outcome->warnings.len)
        fail_msg("%s: an unexpected warning: %s", file, buf_str(&outcome->warnings));
}

static void test_every_document(void **state)
{
    (void)state;
    if (!folder)
        skip();
    json_t *manifest = load_json("manifest.json"), *entry;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    size_t i;
    bench_init(bench);
    bench_open(bench);
    json_array_foreach(manifest, i, entry)
    {
        const char *file = member(entry, "file");
        const struct nasty *wanted = nasty_of(file);
        struct buf raw OWN_BUF;
        buf_init(&raw, 0);
        slurp(&raw, file);
        const struct outcome *outcome = bench_read(bench, NULL, file, buf_str(&raw), raw.len);
        if (wanted && wanted->code != ERR_NONE)
            check_failure(wanted, outcome);
        else
            check_text(entry, &raw, outcome);
    }
    assert_int_equal(i, 70);
    json_decref(manifest);
    bench_close(bench);
    free(bench);
}

// ------------------------------------------------------------------------------- what they say

static const struct outcome *read_file(struct extract_bench *bench, const char *file)
{
    struct buf raw OWN_BUF;
    buf_init(&raw, 0);
    slurp(&raw, file);
    return bench_read(bench, NULL, file, buf_str(&raw), raw.len);
}

// The foreign encodings against the same contracts in UTF-8.
static void test_encodings(void **state)
{
    (void)state;
    if (!folder)
        skip();
    static const char *const pairs[][2] = {
        {"nasty/cp1252-de.txt", "lang/de-made-wartungsvertrag.txt"},
        {"nasty/gb18030-zh.txt", "lang/zh-made-lease.txt"},
        {"nasty/utf8-bom.txt", "cuad/cuad-078-transportation-service-agreement-c.txt"},
    };
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench_open(bench);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        const struct outcome *nasty_one = read_file(bench, pairs[i][0]);
        const struct outcome *plain = read_file(bench, pairs[i][1]);
        assert_int_equal(nasty_one->code, ERR_NONE);
        assert_string_equal(buf_str(&nasty_one->text), buf_str(&plain->text));
    }
    bench_close(bench);
    free(bench);
}

// The spans that lawyers marked stand in the extracted text, white space aside.
static bool has_words(const struct buf *text, const char *words)
{
    struct buf loose[2];
    const char *from[2] = {buf_str(text), words};
    for (int i = 0; i < 2; i++) {
        buf_init(&loose[i], 0);
        for (const char *at = from[i]; *at; at++)
            if (!strchr(" \t\n\f\r", *at))
                buf_add_char(&loose[i], *at);
    }
    bool found = strstr(buf_str(&loose[0]), buf_str(&loose[1])) != NULL;
    buf_deinit(&loose[0]);
    buf_deinit(&loose[1]);
    return found;
}

static size_t check_fact(const struct outcome *outcome, const char *file, const json_t *fact)
{
    json_t *spans = json_object_get(fact, "spans"), *span, *found;
    size_t i, checked = 0;
    json_array_foreach(spans, i, span)
    {
        found = json_array_get(json_object_get(fact, "spans_found_in_text"), i);
        // Long ones cross pages, whose feet stand between; quotation marks were made straight; two
        // blanks stand between columns, which are read one after the other.
        const char *words = json_string_value(span);
        if (!json_is_true(found) || strlen(words) > SPAN_BYTES || strchr(words, '"') ||
            strstr(words, "  "))
            continue;
        checked++;
        if (!has_words(&outcome->text, words))
            fail_msg("%s: `%s` is not in its text", file, words);
    }
    return checked;
}

static void test_facts(void **state)
{
    (void)state;
    if (!folder)
        skip();
    static const char *const files[] = {
        "cuad/cuad-200-services-agreement.pdf",
        "cuad/cuad-234-outsourcing-agreement.pdf",
        "cuad/cuad-140-content-license-agreement.pdf",
        "cuad/cuad-209-service-agreement.docx",
    };
    json_t *gold = load_json("gold.json"), *fact;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    const char *name;
    size_t checked = 0;
    bench_init(bench);
    bench_open(bench);
    for (size_t i = 0; i < COUNT(files); i++) {
        const struct outcome *outcome = read_file(bench, files[i]);
        json_object_foreach(json_object_get(gold, files[i]), name, fact) checked +=
            check_fact(outcome, files[i], fact);
    }
    print_message("%zu spans were looked for\n", checked);
    assert_true(checked >= 20);
    json_decref(gold);
    bench_close(bench);
    free(bench);
}

// Web pages: the licence, and nothing of the site around it.
static void test_pages(void **state)
{
    (void)state;
    if (!folder)
        skip();
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench_open(bench);
    const struct outcome *page = read_file(bench, "lang/de-cc-by-4.html");
    const char *text = buf_str(&page->text);
    assert_non_null(strstr(text, "\n\nAbschnitt 1 \xe2\x80\x93 Definitionen\n\na. Abgewandeltes "
                                 "Material bezeichnet"));
    static const char *const noise[] = {"Share your work", "jquery", "function(", "font-size",
                                        "Primary Menu",    "<p>",    "&amp;"};
    for (size_t i = 0; i < COUNT(noise); i++)
        assert_null(strstr(text, noise[i]));
    page = read_file(bench, "lang/zh-cc-by-4.html");
    assert_true(page->text.len > 10000);
    page = read_file(bench, "lang/fr-firefox-cloud-tos.html");
    assert_true(page->text.len > 8000);
    bench_close(bench);
    free(bench);
}

// Each page of a PDF ends with a form feed.
static void test_page_numbers(void **state)
{
    (void)state;
    if (!folder)
        skip();
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench_open(bench);
    const struct outcome *outcome = read_file(bench, "standards/bonterms-cloud-terms.pdf");
    int32_t feeds = 0;
    for (size_t i = 0; i < outcome->text.len; i++)
        feeds += outcome->text.data[i] == '\f';
    assert_int_equal(outcome->pages, 7);
    assert_int_equal(feeds, 7);
    assert_int_equal(strncmp(outcome->extractor, "pdftotext-", 10), 0);
    bench_close(bench);
    free(bench);
}

int main(int argc, char **argv)
{
    int code;
    struct stat about;
    if (bench_is_child(argc, argv, &code))
        return code;
    folder = getenv("PRECIS_TEST_DATA");
    if (!folder && stat(PRECIS_SOURCE_DIR "/../shared/data/contracts", &about) == 0)
        folder = PRECIS_SOURCE_DIR "/../shared/data";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_document), cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_facts),          cmocka_unit_test(test_pages),
        cmocka_unit_test(test_page_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
