// SPDX-License-Identifier: Apache-2.0
// The token estimate.
//
// The text is a row of runs: letters, digits, white space, single characters. Each costs a number
// of milli-tokens by its kind and length alone, so counts are integers and the same everywhere.
// What looks like base64 is one run too, but it is known by its whole length, digits and cases; so
// where a piece of its characters begins, the piece is measured once, to its end, and the cursor
// remembers that end: pieces that turn out to be ordinary words are not measured again.
#include "core/tokens.h"

#include <stdbool.h>
#include <utf8proc.h>

#define MILLI          1000
#define WORD_MILLI     1000
#define WORD_LETTERS   7
#define LETTER_MILLI   450
#define DIGITS_MILLI   1100
#define SYMBOL_MILLI   500
#define BLANK_MILLI    1250
#define CJK_MILLI      900
#define FOREIGN_MILLI  400
#define OTHER_MILLI    2000
#define BASE64_LEAST   40
#define BASE64_PER_TEN 14 // characters in ten tokens
#define UPPER_PERCENT  132
#define LEAST_MILLI    142 // of a word of seven letters: no character is cheaper, but white space

struct cursor {
    const char *text;
    size_t len;
    size_t at;
    size_t plain_until; // up to here no base64 begins
};

struct run {
    size_t len; // bytes
    int64_t milli;
};

// What a byte is, looked up: the estimate reads every byte of every document.
enum { LOWER = 1, UPPER = 2, DIGIT = 4, BASE64 = 8, SPACE = 16, MARK = 32 };
#define SIX(kind) kind, kind, kind, kind, kind, kind
#define TEN(kind) SIX(kind), kind, kind, kind, kind
static const unsigned char kinds[256] = {
    ['\t'] = SPACE,
    ['\n'] = SPACE,
    ['\v'] = SPACE,
    ['\f'] = SPACE,
    ['\r'] = SPACE,
    [' '] = SPACE,
    ['+'] = MARK | BASE64,
    ['/'] = MARK | BASE64,
    ['='] = MARK | BASE64,
    ['_'] = MARK | BASE64,
    ['-'] = MARK | BASE64,
    ['0'] = TEN(DIGIT | BASE64),
    ['A'] = TEN(UPPER | BASE64),
    TEN(UPPER | BASE64),
    SIX(UPPER | BASE64),
    ['a'] = TEN(LOWER | BASE64),
    TEN(LOWER | BASE64),
    SIX(LOWER | BASE64),
};
#undef SIX
#undef TEN

static unsigned kind_of(char c)
{
    return kinds[(unsigned char)c];
}

static bool is_letter(char c)
{
    return kind_of(c) & (LOWER | UPPER);
}

static bool is_digit(char c)
{
    return kind_of(c) & DIGIT;
}

static bool is_base64(char c)
{
    return kind_of(c) & BASE64;
}

static bool is_cjk(int32_t c)
{
    return (c >= 0x2e80 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7af) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0xff00 && c <= 0xffef) ||
           (c >= 0x20000 && c <= 0x3ffff);
}

// The character at `at` and its bytes; -1 and one byte where the text is not UTF-8.
static int32_t decode(const char *text, size_t len, size_t *out_bytes)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t got =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)(len > 4 ? 4 : len), &c);
    *out_bytes = got > 0 ? (size_t)got : 1;
    return got > 0 ? c : -1;
}

// The bytes of the white space at the start of the text; 0: none.
static size_t space_bytes(const char *text, size_t len)
{
    if (kind_of(text[0]) & SPACE)
        return 1;
    if ((unsigned char)text[0] < 0xc2)
        return 0;
    size_t bytes;
    int32_t point = decode(text, len, &bytes);
    if (point < 0 || is_cjk(point))
        return 0;
    utf8proc_category_t category = utf8proc_category(point);
    bool space = point == 0x85 || category == UTF8PROC_CATEGORY_ZS ||
                 category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
    return space ? bytes : 0;
}

static struct run space_run(const char *text, size_t len)
{
    struct run run = {0};
    size_t bytes;
    while (run.len < len && (bytes = space_bytes(text + run.len, len - run.len)) > 0)
        run.len += bytes;
    run.milli = run.len == 1 && text[0] == ' ' ? 0 : BLANK_MILLI;
    return run;
}

static int64_t letters_milli(size_t letters)
{
    size_t beyond = letters > WORD_LETTERS ? letters - WORD_LETTERS : 0;
    return WORD_MILLI + (int64_t)beyond * LETTER_MILLI;
}

static struct run letter_run(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_letter(text[n]))
        n++;
    return (struct run){.len = n, .milli = letters_milli(n)};
}

static struct run digit_run(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && is_digit(text[n]))
        n++;
    return (struct run){.len = n, .milli = (int64_t)((n + 2) / 3) * DIGITS_MILLI};
}

static struct run character_run(const char *text, size_t len)
{
    struct run run;
    int32_t c = decode(text, len, &run.len);
    if (c > ' ' && c < 0x7f) {
        run.milli = SYMBOL_MILLI;
        return run;
    }
    if (is_cjk(c)) {
        run.milli = CJK_MILLI;
        return run;
    }
    utf8proc_category_t category = c >= 0x80 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CC;
    bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME;
    run.milli = letter ? FOREIGN_MILLI : OTHER_MILLI;
    return run;
}

// Measures the piece of base64 characters at the cursor. False: an ordinary one, and the cursor
// knows how far. A piece of nothing but letters, as most words are, is a run already.
static bool base64_run(struct cursor *cursor, struct run *out)
{
    const char *text = cursor->text + cursor->at;
    size_t n = 0, most = cursor->len - cursor->at;
    unsigned seen = 0, kind;
    while (n < most && (kind = kind_of(text[n])) & BASE64) {
        seen |= kind;
        n++;
    }
    const unsigned all = LOWER | UPPER | DIGIT;
    if (!(seen & (DIGIT | MARK))) {
        *out = (struct run){.len = n, .milli = letters_milli(n)};
        return true;
    }
    if (n < BASE64_LEAST || (seen & all) != all) {
        cursor->plain_until = cursor->at + n;
        return false;
    }
    int64_t tens = (int64_t)n * 10 * MILLI;
    *out = (struct run){.len = n, .milli = (tens + BASE64_PER_TEN - 1) / BASE64_PER_TEN};
    return true;
}

// The run at the cursor, which is not at the end. It does not move.
static struct run next_run(struct cursor *cursor)
{
    const char *text = cursor->text + cursor->at;
    size_t len = cursor->len - cursor->at;
    struct run run;
    if (is_base64(text[0]) && cursor->at >= cursor->plain_until && base64_run(cursor, &run))
        return run;
    if (is_letter(text[0]))
        return letter_run(text, len);
    if (is_digit(text[0]))
        return digit_run(text, len);
    if (space_bytes(text, len) > 0)
        return space_run(text, len);
    return character_run(text, len);
}

static int64_t whole_tokens(int64_t milli)
{
    return (milli + MILLI - 1) / MILLI;
}

int64_t tokens_estimate(const char *text, size_t len)
{
    struct cursor cursor = {.text = text, .len = len};
    int64_t milli = 0;
    while (cursor.at < len) {
        struct run run = next_run(&cursor);
        milli += run.milli;
        cursor.at += run.len;
    }
    return whole_tokens(milli);
}

int64_t tokens_upper(int64_t estimate)
{
    int64_t scaled, rest = (estimate % 100 * UPPER_PERCENT + 99) / 100;
    if (__builtin_mul_overflow(estimate / 100, UPPER_PERCENT, &scaled) ||
        __builtin_add_overflow(scaled, rest, &scaled))
        return INT64_MAX;
    return scaled;
}

int64_t tokens_within(int64_t upper)
{
    if (upper <= 0)
        return 0;
    return upper / UPPER_PERCENT * 100 + upper % UPPER_PERCENT * 100 / UPPER_PERCENT;
}

// More bytes than this without white space pass `room` for certain, so that nothing behind them
// need be looked at: be they one run, or several in a piece that is no base64 so far. At least one
// whole character.
static size_t reach_of(int64_t room)
{
    return (size_t)(room / LEAST_MILLI) + WORD_LETTERS + 2;
}

// The most bytes of one long run of one-byte characters that cost at most `room` milli-tokens. A
// part of a base64 run need not look like base64 any more and can cost more by the character; so
// each try is measured, and the longest that fitted is the answer.
static size_t part_of_run(const char *text, size_t len, int64_t room)
{
    size_t fits = 0;
    size_t too_long = len;
    while (too_long - fits > 1) {
        size_t middle = fits + (too_long - fits) / 2;
        if (tokens_estimate(text, middle) * MILLI <= room)
            fits = middle;
        else
            too_long = middle;
    }
    return fits;
}

size_t tokens_fit(const char *text, size_t len, int64_t max_estimate)
{
    struct cursor cursor = {.text = text};
    int64_t room;
    if (max_estimate <= 0 || __builtin_mul_overflow(max_estimate, MILLI, &room))
        return max_estimate <= 0 ? 0 : len;
    int64_t half = room / 2;
    while (cursor.at < len) {
        size_t left = len - cursor.at, reach = reach_of(room);
        cursor.len = cursor.at + (left < reach ? left : reach);
        struct run run = next_run(&cursor);
        if (run.milli > room) {
            bool long_run = is_base64(text[cursor.at]) && room >= half;
            return cursor.at + (long_run ? part_of_run(text + cursor.at, run.len, room) : 0);
        }
        room -= run.milli;
        cursor.at += run.len;
    }
    return len;
}
