// SPDX-License-Identifier: Apache-2.0
// Cleaning, counting and cutting of text.
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text) (text), sizeof(text) - 1

static void test_clean(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len;
        const char *out;
        unsigned flags;
    } rows[] = {
        {BYTES(""), "", 0},
        {BYTES("plain\ttext\r\n\fpage"), "plain\ttext\r\n\fpage", 0},
        {BYTES("\357\273\277bom"), "bom", TEXT_HAD_BOM},
        {BYTES("\0\357\273\277\357\273\277bom"), "bom", TEXT_HAD_BOM | TEXT_HAD_NUL},
        {BYTES("in\357\273\277side"), "in\357\273\277side", 0},
        {BYTES("a\0b\0"), "ab", TEXT_HAD_NUL},
        {BYTES("a\033[31mb\177"), "a[31mb", TEXT_HAD_CONTROL},
        {BYTES("a\302\233b"), "ab", TEXT_HAD_CONTROL},
        {BYTES("a\302\205b\342\200\250c\342\200\251d"), "a\nb\nc\nd", TEXT_HAD_NEWLINES},
        {BYTES("合同 №7 é 😀"), "合同 №7 é 😀", 0},
        {BYTES("x\377y"), "x\357\277\275y", TEXT_HAD_INVALID},
        {BYTES("x\342\202"), "x\357\277\275", TEXT_HAD_INVALID},
        {BYTES("\355\240\200"), "\357\277\275\357\277\275\357\277\275", TEXT_HAD_INVALID},
        {BYTES("\300\257"), "\357\277\275\357\277\275", TEXT_HAD_INVALID},
        {BYTES("\364\220\200z"), "\357\277\275\357\277\275\357\277\275z", TEXT_HAD_INVALID},
        {BYTES("a\363\240\201\201\363\240\201\277b"), "ab", TEXT_HAD_HIDDEN},
        {BYTES("a\342\200\256b"), "a\342\200\256b", TEXT_HAD_BIDI},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out OWN_BUF, again OWN_BUF;
        buf_init(&out, 0);
        buf_init(&again, 0);
        unsigned flags = ~0u;
        assert_true(text_clean(&out, rows[i].in, rows[i].len, &flags));
        assert_string_equal(buf_str(&out), rows[i].out);
        assert_int_equal(out.len, strlen(rows[i].out));
        assert_int_equal(flags, rows[i].flags);
        assert_int_equal(text_is_clean(rows[i].in, rows[i].len),
                         (flags | TEXT_HAD_BIDI) == TEXT_HAD_BIDI);
        assert_true(text_is_clean(buf_str(&out), out.len));
        assert_true(text_clean(&again, buf_str(&out), out.len, NULL));
        assert_string_equal(buf_str(&again), rows[i].out);
    }
}

static void test_clean_appends_and_caps(void **state)
{
    (void)state;
    struct buf out OWN_BUF;
    buf_init(&out, 8);
    assert_true(buf_add_str(&out, "ab"));
    assert_true(text_clean(&out, BYTES("\357\273\277cd"), NULL));
    assert_string_equal(buf_str(&out), "abcd");
    assert_true(text_clean(&out, "", 0, NULL));
    assert_false(text_clean(&out, BYTES("\377\377"), NULL));
    assert_true(out.overflow);
}

static void test_foreign_encoding(void **state)
{
    (void)state;
    assert_null(text_foreign_encoding(BYTES("")));
    assert_null(text_foreign_encoding(BYTES("Vertrag über 合同")));
    assert_null(text_foreign_encoding(BYTES("überall ein \377 gutes Wörtchen")));
    assert_string_equal(text_foreign_encoding(BYTES("\377\376V\0e\0")), "UTF-16");
    assert_string_equal(text_foreign_encoding(BYTES("V\0e\0r\0t\0")), "UTF-16 or binary data");
    assert_string_equal(text_foreign_encoding(BYTES("Vertrag \374ber")),
                        "Windows-1252 or another 8-bit encoding");
    assert_string_equal(text_foreign_encoding(BYTES("\272\317\315\254\267\250\302\311")),
                        "GB18030 or another multi-byte encoding");
}

static void test_positions(void **state)
{
    (void)state;
    const char *text = "aé合😀b";
    size_t len = strlen(text);
    static const size_t offsets[] = {0, 1, 3, 6, 10, 11, 11};
    assert_int_equal(text_code_points(text, len), 5);
    for (size_t i = 0; i < COUNT(offsets); i++)
        assert_int_equal(text_offset(text, len, i), offsets[i]);
}

static void test_blank(void **state)
{
    (void)state;
    assert_true(text_is_blank(BYTES("")));
    assert_true(text_is_blank(BYTES(" \t\r\n\f\302\240\343\200\200\342\200\213\357\273\277")));
    assert_false(text_is_blank(BYTES("  . ")));
    assert_false(text_is_blank(BYTES("\377")));
}

static void test_cut_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        const char *kept;
    } rows[] = {
        {"Fits. All.", 10, "Fits. All."},
        {"One here. Two here.", 18, "One here."},
        {"One here. Two here.", 9, "One here."},
        {"One here. Two here.", 8, "One"},
        {"Under U.S. law it ends.", 12, "Under U.S."},
        {"Pay 3.50 now or later", 6, "Pay"},
        {"Really?! Yes, really", 12, "Really?!"},
        {"He said \"no.\" Then left", 15, "He said \"no.\""},
        {"合同有效。双方同意！继续履行", 11, "合同有效。双方同意！"},
        {"合同有效。」双方同意", 8, "合同有效。」"},
        {"合同有效双方同意", 3, "合同有"},
        {"unbroken", 3, "unb"},
        {"word gap", 4, "word"},
        {"", 0, ""},
        {"x", 0, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t keep = text_cut_sentence(rows[i].text, strlen(rows[i].text), rows[i].max);
        char kept[64] = "";
        memcpy(kept, rows[i].text, keep);
        assert_string_equal(kept, rows[i].kept);
    }
}

static void test_sha256(void **state)
{
    (void)state;
    char hex[65];
    text_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    text_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; // NULL: refused
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zg", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9v\nYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"_-8", "\377\357"},
        {"/+8=", "\377\357"},
        {"Z", NULL},
        {"Zg=", NULL},
        {"Zg===", NULL},
        {"Zm9v=", NULL},
        {"Z=g=", NULL},
        {"Zm9*", NULL},
        {"====", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out OWN_BUF;
        buf_init(&out, 0);
        bool good = text_add_base64(&out, rows[i].in, strlen(rows[i].in));
        assert_int_equal(good, rows[i].out != NULL);
        if (rows[i].out)
            assert_string_equal(buf_str(&out), rows[i].out);
    }
    struct buf small OWN_BUF;
    buf_init(&small, 2);
    assert_false(text_add_base64(&small, BYTES("Zm9v")));
    assert_true(small.overflow);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"max_chars", "model", "language", "id", "tenant"};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"max_char", "max_chars"},
        {"maxchars", "max_chars"},
        {"modle", "model"},
        {"lang", NULL},
        {"langauge", "language"},
        {"di", "id"},
        {"tennant", "tenant"},
        {"zebra", NULL},
        {"", NULL},
        {"model", "model"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *nearest = text_nearest(rows[i].word, names, COUNT(names));
        if (rows[i].nearest)
            assert_string_equal(nearest, rows[i].nearest);
        else
            assert_null(nearest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_clean_appends_and_caps),
        cmocka_unit_test(test_foreign_encoding),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_cut_sentence),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
