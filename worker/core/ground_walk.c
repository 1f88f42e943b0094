// SPDX-License-Identifier: Apache-2.0
// The normal form of a text, piece by piece: what core/ground.h says does not count is gone from
// it.
#include "core/ground_inner.h"

#include <string.h>

#include <utf8proc.h>

#include "core/visible.h"

struct ground_walk ground_walk_of(const char *text, size_t len, bool tight)
{
    return (struct ground_walk){.text = text, .len = len, .tight = tight};
}

static bool in_range(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

bool ground_is_space(uint32_t c)
{
    if (c < 0x80)
        return c == ' ' || in_range(c, '\t', '\r');
    return c == 0x85 || c == 0xA0 || c == 0x1680 || in_range(c, 0x2000, 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

// Scripts written without spaces between words; Hangul is not one of them.
static bool is_unspaced(uint32_t c)
{
    return in_range(c, 0x2E80, 0x9FFF) || in_range(c, 0xF900, 0xFAFF) ||
           in_range(c, 0xFF00, 0xFFEF) || in_range(c, 0x20000, 0x3FFFF);
}

bool ground_is_letter(uint32_t c)
{
    if (c < 0x80)
        return in_range(c | 0x20, 'a', 'z');
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MC;
}

static bool is_figure(uint32_t c)
{
    return in_range(c, '0', '9');
}

static bool is_hyphen(uint32_t c)
{
    return c == '-' || c == 0x2010 || c == 0x2011;
}

static bool is_dash(uint32_t c)
{
    return in_range(c, 0x2012, 0x2015) || c == 0x2212 || c == 0xFE58 || c == 0xFE63 || c == 0xFF0D;
}

bool ground_is_quotation_mark(uint32_t c)
{
    if (c < 0x80)
        return c == '"' || c == '\'' || c == '`';
    return c == 0xAB || c == 0xB4 || c == 0xBB || in_range(c, 0x2018, 0x201F) || c == 0x2032 ||
           c == 0x2033 || c == 0x2039 || c == 0x203A || in_range(c, 0x300C, 0x300F) ||
           in_range(c, 0x301D, 0x301F) || c == 0xFF02 || c == 0xFF07;
}

bool ground_is_ignored(uint32_t c)
{
    return c == 0xAD || c == 0x200C || c == 0x200D || in_range(c, 0xFE00, 0xFE0F) ||
           visible_is_hidden(c);
}

// The character at the walk's place (0 at the end), without moving.
static uint32_t walk_peek(const struct ground_walk *walk, size_t *out_bytes)
{
    *out_bytes = 0;
    if (walk->at >= walk->len)
        return 0;
    return visible_decode(walk->text + walk->at, walk->len - walk->at, out_bytes);
}

static void walk_skip(struct ground_walk *walk, size_t bytes)
{
    walk->at += bytes;
    walk->cp++;
}

// Moves over white space and ignored characters; whether a line end was among them.
static bool walk_skip_space(struct ground_walk *walk)
{
    bool line_end = false;
    size_t bytes;
    for (uint32_t c = walk_peek(walk, &bytes);
         bytes && (ground_is_space(c) || ground_is_ignored(c)); c = walk_peek(walk, &bytes)) {
        line_end |= c == '\n' || c == '\r' || c == '\f' || c == 0x2028;
        walk_skip(walk, bytes);
    }
    return line_end;
}

// Behind a hyphen: does the word go on, possibly in the next line? Moves to its rest if so.
static bool walk_word_goes_on(struct ground_walk *walk)
{
    struct ground_walk ahead = *walk;
    size_t bytes;
    uint32_t next = walk_peek(&ahead, &bytes);
    bool gap = bytes && (ground_is_space(next) || ground_is_ignored(next));
    if (gap && !walk_skip_space(&ahead) && !walk->tight)
        return false;
    if (!ground_is_letter(walk_peek(&ahead, &bytes)))
        return false;
    *walk = ahead;
    return true;
}

static void walk_hand_out(struct ground_walk *walk, const char *piece, size_t len)
{
    memcpy(walk->piece, piece, len);
    walk->piece_len = len;
    walk->to_cp = walk->cp;
}

// White space: one space, or nothing at either end and beside unspaced characters.
static bool walk_space(struct ground_walk *walk)
{
    size_t bytes;
    walk_skip_space(walk);
    uint32_t next = walk_peek(walk, &bytes);
    uint32_t last = walk->last;
    walk->before = 0;
    if (!bytes || !last || is_unspaced(last) || is_unspaced(next))
        return false;
    if (walk->tight && !(is_figure(last) && is_figure(next)))
        return false;
    walk_hand_out(walk, " ", 1);
    return true;
}

// Everything else beyond ASCII: decomposed, and by compatibility too (ligatures, full-width forms)
// except for figures, where "10²" must not become "102".
static void walk_other(struct ground_walk *walk, uint32_t c, const char *bytes, size_t len)
{
    utf8proc_int32_t parts[18];
    int boundary = UTF8PROC_BOUNDCLASS_START;
    unsigned options = UTF8PROC_DECOMPOSE;
    if (utf8proc_category((utf8proc_int32_t)c) != UTF8PROC_CATEGORY_NO)
        options |= UTF8PROC_COMPAT;
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)c, parts, 18,
                                                     (utf8proc_option_t)options, &boundary);
    size_t used = 0;
    for (utf8proc_ssize_t i = 0; i < count && count <= 18 && used + 4 <= sizeof(walk->piece); i++)
        used += (size_t)utf8proc_encode_char(parts[i], (utf8proc_uint8_t *)walk->piece + used);
    walk->piece_len = used;
    walk->to_cp = walk->cp;
    if (used == 0)
        walk_hand_out(walk, bytes, len);
}

// One step: true when a piece was handed out, false when the characters count for nothing.
static bool walk_character(struct ground_walk *walk, uint32_t c, size_t bytes)
{
    const char *text = walk->text + walk->at;
    walk_skip(walk, bytes);
    if (ground_is_ignored(c))
        return false;
    if (is_hyphen(c) && ground_is_letter(walk->before) && walk_word_goes_on(walk))
        return false;
    bool doubled = ground_is_quotation_mark(c) && ground_is_quotation_mark(walk->before);
    walk->before = c;
    walk->last = c;
    if (doubled) // two single marks are one double
        return false;
    if (ground_is_quotation_mark(c))
        walk_hand_out(walk, "'", 1);
    else if (is_hyphen(c) || is_dash(c))
        walk_hand_out(walk, "-", 1);
    else if (c < 0x80 || c == 0xFFFD)
        walk_hand_out(walk, text, bytes);
    else
        walk_other(walk, c, text, bytes);
    return true;
}

bool ground_walk_next(struct ground_walk *walk)
{
    for (;;) {
        size_t bytes;
        uint32_t c = walk_peek(walk, &bytes);
        if (!bytes)
            return false;
        walk->from_cp = walk->cp;
        if (ground_is_space(c) ? walk_space(walk) : walk_character(walk, c, bytes))
            return true;
    }
}

// ASCII that stands for itself in the normal form, whatever is beside it.
static bool is_plain(char c)
{
    return c > ' ' && c < 0x7f && c != '-' && c != '\'' && c != '"' && c != '`';
}

// The bytes from the walk's place on that are their own normal form: plain characters, with single
// spaces between them. Most of a text; the walk costs fifteen times as much.
size_t ground_walk_plain(const struct ground_walk *walk)
{
    const char *text = walk->text;
    size_t at = walk->at;
    while (at < walk->len) {
        if (is_plain(text[at]))
            at++;
        else if (!walk->tight && text[at] == ' ' && at > walk->at && at + 1 < walk->len &&
                 is_plain(text[at + 1]))
            at += 2;
        else
            break;
    }
    return at - walk->at;
}

void ground_walk_run(struct ground_walk *walk, size_t run)
{
    walk->at += run;
    walk->cp += run;
    walk->before = walk->last = (unsigned char)walk->text[walk->at - 1];
}
