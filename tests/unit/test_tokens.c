// SPDX-License-Identifier: Apache-2.0
// The token estimate: each weight, the sums, and what fits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <ctype.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "core/tokens.h"

// One hundred times the text, so that fractions of a token show; the pieces must not melt together.
static int64_t hundred(const char *text)
{
    struct buf buf OWN_BUF;
    buf_init(&buf, 0);
    for (int i = 0; i < 100; i++)
        buf_add_str(&buf, text);
    return tokens_estimate(buf_str(&buf), buf.len);
}

static void weights(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t hundredths;
    } rows[] = {
        {"a ", 100},
        {"seventy ", 100},
        {"thousand ", 145},
        {"acknowledgement ", 100 + 8 * 45},
        {"1 ", 110},
        {"123 ", 110},
        {"1234 ", 220},
        {".", 50},
        {"$", 50},
        {"a.", 150},
        {"a\n", 225},
        {"a  ", 225},
        {"a\r\n\t ", 225},
        {"a\xc2\xa0", 225},        // no-break space
        {"a\xe2\x80\xa8", 225},    // line separator
        {"\xe4\xb8\xad", 90},      // Han
        {"\xe3\x80\x82", 90},      // ideographic full stop
        {"\xe3\x81\x82", 90},      // Hiragana
        {"\xed\x95\x9c", 90},      // Hangul
        {"\xef\xbc\x8c", 90},      // full-width comma
        {"\xf0\xa0\x80\x80", 90},  // Han, plane 2
        {"\xc3\xa4", 40},          // a umlaut
        {"\xd0\xb6", 40},          // Cyrillic
        {"e\xcc\x81 ", 140},       // combining accent
        {"\xf0\x9f\x98\x80", 200}, // emoji
        {"\xe2\x82\xac", 200},     // euro sign
        {"\xe2\x80\x9c", 200},     // quotation mark
        {"\x01", 200},
        {"\xff", 200},         // not UTF-8
        {"\xed\xa0\x80", 600}, // a surrogate: three bytes that are not UTF-8
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t hundredths = hundred(rows[i].text);
        if (hundredths != rows[i].hundredths)
            fail_msg("row %zu \"%s\": %lld", i, rows[i].text, (long long)hundredths);
    }
}

static void whole_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t tokens;
    } rows[] = {
        {"", 0},
        {" ", 0},
        {"a", 1},
        {"The term is 36 months.", 6},                         // 4 + 1.1 + 0.5
        {"The Contractor shall pay.", 6},                      // 1 + 2.35 + 1 + 1 + 0.5
        {"SGVsbG8gd29ybGQhIFRoaXMgaXMgYmFzZTY0IHRleHQu", 32},  // 44 / 1.4
        {"SGVsbG8gd29ybGQhIFRoaXMgaXMgYmFzZTY0+/=", 16},       // 39 characters: words and digits
        {"SGVsbGgdybGhIFRoaXMgaXMgYmFzZTYIHRleHQuABCDEF", 19}, // no digit: 1 + 39 · 0.45
        {"----------------------------------------", 20},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (tokens_estimate(rows[i].text, strlen(rows[i].text)) != rows[i].tokens)
            fail_msg("\"%s\": %lld", rows[i].text,
                     (long long)tokens_estimate(rows[i].text, strlen(rows[i].text)));
}

// Fifteen of each byte, which shows its kind: a word of 15 letters, 5 groups of digits, 15 symbols
// …
static void each_byte_has_its_kind(void **state)
{
    (void)state;
    for (int byte = 0; byte < 0x80; byte++) {
        char text[15];
        memset(text, byte, sizeof(text));
        int64_t tokens = isalpha(byte)   ? 5
                         : isdigit(byte) ? 6
                         : isspace(byte) ? 2
                         : isgraph(byte) ? 8
                                         : 30;
        if (tokens_estimate(text, sizeof(text)) != tokens)
            fail_msg("byte %d: %lld", byte, (long long)tokens_estimate(text, sizeof(text)));
    }
}

static void upper_and_within(void **state)
{
    (void)state;
    assert_int_equal(tokens_upper(0), 0);
    assert_int_equal(tokens_upper(1), 2);
    assert_int_equal(tokens_upper(100), 132);
    assert_int_equal(tokens_upper(12500), 16500);
    assert_int_equal(tokens_upper(INT64_MAX), INT64_MAX);
    assert_int_equal(tokens_upper(INT64_C(50000000000000000)), INT64_C(66000000000000000));
    assert_int_equal(tokens_within(0), 0);
    assert_int_equal(tokens_within(-5), 0);
    for (int64_t upper = 1; upper < 5000; upper++) {
        assert_true(tokens_upper(tokens_within(upper)) <= upper);
        assert_true(tokens_upper(tokens_within(upper) + 1) > upper);
    }
    assert_true(tokens_upper(tokens_within(INT64_MAX / 2)) <= INT64_MAX / 2);
}

// A text of words, digits, blanks, Han, emoji and base64-like pieces.
static void random_text(struct rng *rng, size_t pieces, struct buf *out)
{
    static const char *const parts[] = {" ",
                                        "\n",
                                        "\n\n",
                                        "  ",
                                        "word",
                                        "Agreement",
                                        "x",
                                        "7",
                                        "123",
                                        "20267",
                                        ". ",
                                        ", ",
                                        "\xe4\xb8\xad",
                                        "\xe3\x80\x82",
                                        "\xf0\x9f\x98\x80",
                                        "\xc3\xa9",
                                        "A1b2C3",
                                        "aZ09+/",
                                        "-",
                                        "=",
                                        "\xc2\xa0",
                                        "internationalisation"};
    for (size_t i = 0; i < pieces; i++) {
        size_t times = rng_below(rng, 6) == 0 ? rng_below(rng, 30) : 1;
        const char *part = parts[rng_below(rng, sizeof(parts) / sizeof(parts[0]))];
        while (times-- > 0)
            buf_add_str(out, part);
    }
}

static void what_fits_fits(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4);
    for (int round = 0; round < 2000; round++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        random_text(&rng, 1 + rng_below(&rng, 200), &text);
        int64_t most = (int64_t)rng_below(&rng, 120);
        size_t fits = tokens_fit(buf_str(&text), text.len, most);
        assert_true(fits <= text.len);
        assert_true(tokens_estimate(buf_str(&text), fits) <= most || fits == 0);
        if (fits < text.len) // whole characters
            assert_true(((unsigned char)text.data[fits] & 0xc0) != 0x80);
        if (tokens_estimate(buf_str(&text), text.len) > most * 2 + 5 && most > 20)
            assert_true(tokens_estimate(buf_str(&text), fits) * 2 + 10 >= most);
    }
}

static void fits_are_tight(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t most;
        size_t fits;
    } rows[] = {
        {"one two three", 2, 8},
        {"one two three", 3, 13},
        {"one two three", 0, 0},
        {"one two three", -1, 0},
        {"123456789", 2, 3},
        {"aaaaaaaaaaaaaaaaaaaaaaaa", 2, 9},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 3, 4},
        {"\xf0\x9f\x98\x80", 1, 0},
        {"one two three", INT64_MAX, 13},
        {"\n", 1, 0},
        {"", 5, 0},
        // Base64 from its 40th character on, and dear at once.
        {"A1cdefg+abcdefg+abcdefg+abcdefg+abcdefg+abcdefg", 11, 39},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (tokens_fit(rows[i].text, strlen(rows[i].text), rows[i].most) != rows[i].fits)
            fail_msg("row %zu: %zu", i,
                     tokens_fit(rows[i].text, strlen(rows[i].text), rows[i].most));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_has_its_kind),
        cmocka_unit_test(weights),
        cmocka_unit_test(whole_texts),
        cmocka_unit_test(upper_and_within),
        cmocka_unit_test(what_fits_fits),
        cmocka_unit_test(fits_are_tight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
