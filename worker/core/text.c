// SPDX-License-Identifier: Apache-2.0
// UTF-8 text: cleaning, counting, cutting.
//
// Cleaning copies whole runs. Most of a document is plain, so the loop only looks for what has to
// be changed and leaves the rest to one memcpy; valid multi-byte characters stay inside a run.
#include "core/text.h"

#include <stdint.h>
#include <string.h>

#include <openssl/sha.h>
#include <utf8proc.h>

#define REPLACEMENT "\xef\xbf\xbd"

// One step through bytes that may not be UTF-8.
struct step {
    uint32_t code_point;
    size_t len; // of the sequence, or of the maximal part of a bad one; at least 1
    bool valid;
};

static struct step step_at(const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    unsigned char lead = p[0], low = 0x80, high = 0xbf;
    if (lead < 0x80)
        return (struct step){lead, 1, true};
    if (lead < 0xc2 || lead > 0xf4)
        return (struct step){0, 1, false};
    size_t need = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (lead == 0xe0)
        low = 0xa0; // overlong below
    else if (lead == 0xed)
        high = 0x9f; // surrogates above
    else if (lead == 0xf0)
        low = 0x90; // overlong below
    else if (lead == 0xf4)
        high = 0x8f; // past U+10FFFF above
    uint32_t code_point = lead & (0xffu >> (need + 1));
    for (size_t i = 1; i < need; i++) {
        if (i >= left || p[i] < low || p[i] > high)
            return (struct step){0, i, false};
        code_point = code_point << 6 | (p[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }
    return (struct step){code_point, need, true};
}

static bool is_plain(unsigned char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\r' || c == '\t' || c == '\f';
}

static bool is_bidi(uint32_t c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

// What becomes of one character that is not plain.
struct verdict {
    const char *instead; // NULL: keep it
    unsigned flag;
};

static struct verdict judge(struct step step, bool at_start)
{
    uint32_t c = step.code_point;
    if (!step.valid)
        return (struct verdict){REPLACEMENT, TEXT_HAD_INVALID};
    if (c == 0)
        return (struct verdict){"", TEXT_HAD_NUL};
    if (c == 0x85 || c == 0x2028 || c == 0x2029)
        return (struct verdict){"\n", TEXT_HAD_NEWLINES};
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return (struct verdict){"", TEXT_HAD_CONTROL};
    if (c == 0xfeff && at_start)
        return (struct verdict){"", TEXT_HAD_BOM};
    if (c >= 0xe0000 && c <= 0xe007f)
        return (struct verdict){"", TEXT_HAD_HIDDEN};
    return (struct verdict){NULL, is_bidi(c) ? TEXT_HAD_BIDI : 0};
}

bool text_clean(struct buf *out, const char *text, size_t len, unsigned *out_flags)
{
    size_t start = out->len, run = 0, at = 0;
    unsigned flags = 0;
    bool ok = true;
    while (at < len && ok) {
        if (is_plain((unsigned char)text[at])) {
            at++;
            continue;
        }
        struct step step = step_at(text + at, len - at);
        struct verdict verdict = judge(step, out->len == start && run == at);
        flags |= verdict.flag;
        if (verdict.instead) {
            ok = buf_add(out, text + run, at - run) && buf_add_str(out, verdict.instead);
            run = at + step.len;
        }
        at += step.len;
    }
    ok = ok && (run == len || buf_add(out, text + run, len - run));
    if (out_flags)
        *out_flags = flags;
    return ok;
}

bool text_is_clean(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        if (is_plain((unsigned char)text[at])) {
            at++;
            continue;
        }
        struct step step = step_at(text + at, len - at);
        if (judge(step, at == 0).instead)
            return false;
        at += step.len;
    }
    return true;
}

static bool has_utf16_mark(const char *text, size_t len)
{
    return len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

const char *text_foreign_encoding(const char *text, size_t len)
{
    if (has_utf16_mark(text, len))
        return "UTF-16";
    size_t nul = 0, bad = 0, good = 0, high_pairs = 0;
    for (size_t at = 0; at < len;) {
        struct step step = step_at(text + at, len - at);
        nul += step.valid && step.code_point == 0;
        good += step.valid && step.len > 1;
        bad += !step.valid;
        high_pairs += !step.valid && at + 1 < len && (unsigned char)text[at + 1] >= 0x80;
        at += step.len;
    }
    if (nul > len / 4)
        return "UTF-16 or binary data";
    if (bad <= good || bad <= len / 1000)
        return NULL;
    return high_pairs > bad / 2 ? "GB18030 or another multi-byte encoding"
                                : "Windows-1252 or another 8-bit encoding";
}

size_t text_code_points(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

size_t text_offset(const char *text, size_t len, size_t code_points)
{
    size_t seen = 0;
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80 && seen++ == code_points)
            return i;
    return len;
}

static bool is_invisible(uint32_t c)
{
    switch ((int)utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
        return true;
    default:
        return false;
    }
}

bool text_is_blank(const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        struct step step = step_at(text + at, len - at);
        if (!step.valid || !is_invisible(step.code_point))
            return false;
        at += step.len;
    }
    return true;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xa0 || c == 0x3000 ||
           (c >= 0x2000 && c <= 0x200a);
}

// Ends a sentence where white space or the end of the text follows.
static bool is_western_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x061f || c == 0x0964;
}

// Ends a sentence wherever it stands.
static bool is_cjk_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff0e || c == 0xff61;
}

// Quotes and brackets that still belong to the sentence before them.
static bool is_closing(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0xbb || c == 0x201d ||
           c == 0x2019 || c == 0x300d || c == 0x300f || c == 0xff09 || c == 0x3011;
}

// What the cut has seen so far.
struct cut {
    size_t sentence; // bytes up to the last sentence end
    size_t word;     // bytes up to the last word end
    size_t letters;  // length of the word under way
    enum { CUT_NONE, CUT_MAYBE, CUT_SURE } stop;
    bool in_space;
};

// Takes the character at `at`, which begins before or at the limit.
static void cut_step(struct cut *cut, uint32_t c, size_t at)
{
    bool space = is_space(c);
    bool closing = cut->stop != CUT_NONE && is_closing(c);
    if (cut->stop == CUT_SURE && !closing)
        cut->sentence = at;
    else if (cut->stop == CUT_MAYBE && space)
        cut->sentence = at;
    if (space && !cut->in_space)
        cut->word = at;
    cut->in_space = space;
    if (closing)
        return;
    cut->stop = CUT_NONE;
    if (is_cjk_stop(c))
        cut->stop = CUT_SURE;
    else if (is_western_stop(c) && (c != '.' || cut->letters > 1))
        cut->stop = CUT_MAYBE; // "U.S. law": a single letter before a full stop is an initial
    cut->letters = space || is_western_stop(c) ? 0 : cut->letters + 1;
}

size_t text_cut_sentence(const char *text, size_t len, size_t max_code_points)
{
    size_t limit = text_offset(text, len, max_code_points);
    if (limit == len)
        return len;
    struct cut cut = {.in_space = true};
    for (size_t at = 0; at <= limit;) {
        struct step step = step_at(text + at, len - at);
        cut_step(&cut, step.valid ? step.code_point : 0xfffd, at);
        at += step.len;
    }
    if (cut.sentence)
        return cut.sentence;
    return cut.word ? cut.word : limit;
}

void text_sha256_hex(const void *data, size_t len, char out[65])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(data, len, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    out[64] = '\0';
}

// The six bits of a base64 digit; -1 where it is none.
static int base64_bits(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

// Digits only up to the padding, of which there may be none or exactly what is missing.
static bool base64_ends_well(size_t digits, size_t padding)
{
    size_t rest = digits % 4;
    return rest != 1 && (padding == 0 || (rest != 0 && rest + padding == 4));
}

bool text_add_base64(struct buf *out, const char *text, size_t len)
{
    uint32_t bits = 0;
    size_t digits = 0, padding = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))
            continue;
        if (text[i] == '=') {
            padding++;
            continue;
        }
        int value = base64_bits(text[i]);
        if (value < 0 || padding > 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 != 1 && !buf_add_char(out, (char)(bits >> (6 - 2 * ((digits - 1) % 4)))))
            return false;
    }
    return base64_ends_well(digits, padding);
}

#define NEAREST_BYTES 48

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Edits from a to b: insert, delete, replace, or swap two neighbours.
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_BYTES + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = min_size(above[j], row[j - 1]) + 1;
            best = min_size(best, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = min_size(best, two_above[j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *text_nearest(const char *word, const char *const *names, size_t count)
{
    size_t len = strlen(word);
    if (len == 0 || len > NEAREST_BYTES)
        return NULL;
    const char *nearest = NULL;
    size_t best = len <= 3 ? 2 : len / 3 + 2; // one more than what counts as near
    for (size_t i = 0; i < count; i++) {
        size_t name_len = strlen(names[i]);
        if (name_len > NEAREST_BYTES)
            continue;
        size_t distance = edit_distance(word, len, names[i], name_len);
        if (distance < best) {
            best = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
