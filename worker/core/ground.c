// SPDX-License-Identifier: Apache-2.0
// Quote search over a normalised form.
//
// Source and quote are rewritten into a normal form and compared there. No map from the normal form
// back to the source is kept, since it would be several times the source: once the place in the
// normal form is known, the source is rewritten a second time up to that place, counting.
#include "core/ground.h"

#include <stdint.h>
#include <string.h>

#include <utf8proc.h>

#include "base/buf.h"
#include "core/text.h"
#include "core/visible.h"

// A walk over a text that hands out pieces of its normal form.
struct walk {
    const char *text;
    size_t len;
    size_t at, cp;         // the next byte and its number in code points
    uint32_t before;       // the last character handed out, 0 at the start and after white space
    uint32_t last;         // likewise, but white space keeps it
    char piece[40];        // the piece handed out last
    size_t piece_len;      // in bytes
    size_t from_cp, to_cp; // where it came from
};

static struct walk walk_of(const char *text, size_t len)
{
    return (struct walk){.text = text, .len = len};
}

static bool in_range(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

static bool is_space(uint32_t c)
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

static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return in_range(c | 0x20, 'a', 'z');
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_MC;
}

static bool is_hyphen(uint32_t c)
{
    return c == '-' || c == 0x2010 || c == 0x2011;
}

static bool is_dash(uint32_t c)
{
    return in_range(c, 0x2012, 0x2015) || c == 0x2212 || c == 0xFE58 || c == 0xFE63 || c == 0xFF0D;
}

static bool is_quotation_mark(uint32_t c)
{
    if (c < 0x80)
        return c == '"' || c == '\'' || c == '`';
    return c == 0xAB || c == 0xB4 || c == 0xBB || in_range(c, 0x2018, 0x201F) || c == 0x2032 ||
           c == 0x2033 || c == 0x2039 || c == 0x203A || in_range(c, 0x300C, 0x300F) ||
           in_range(c, 0x301D, 0x301F) || c == 0xFF02 || c == 0xFF07;
}

static bool is_ignored(uint32_t c)
{
    return c == 0xAD || c == 0x200C || c == 0x200D || in_range(c, 0xFE00, 0xFE0F) ||
           visible_is_hidden(c);
}

// The character at the walk's place (0 at the end), without moving.
static uint32_t walk_peek(const struct walk *walk, size_t *out_bytes)
{
    *out_bytes = 0;
    if (walk->at >= walk->len)
        return 0;
    return visible_decode(walk->text + walk->at, walk->len - walk->at, out_bytes);
}

static void walk_skip(struct walk *walk, size_t bytes)
{
    walk->at += bytes;
    walk->cp++;
}

// Moves over white space and ignored characters; whether a line end was among them.
static bool walk_skip_space(struct walk *walk)
{
    bool line_end = false;
    size_t bytes;
    for (uint32_t c = walk_peek(walk, &bytes); bytes && (is_space(c) || is_ignored(c));
         c = walk_peek(walk, &bytes)) {
        line_end |= c == '\n' || c == '\r' || c == '\f' || c == 0x2028;
        walk_skip(walk, bytes);
    }
    return line_end;
}

// Behind a hyphen: does the word go on, possibly in the next line? Moves to its rest if so.
static bool walk_word_goes_on(struct walk *walk)
{
    struct walk ahead = *walk;
    size_t bytes;
    uint32_t next = walk_peek(&ahead, &bytes);
    bool gap = bytes && (is_space(next) || is_ignored(next));
    if (gap && !walk_skip_space(&ahead))
        return false;
    if (!is_letter(walk_peek(&ahead, &bytes)))
        return false;
    *walk = ahead;
    return true;
}

static void walk_hand_out(struct walk *walk, const char *piece, size_t len)
{
    memcpy(walk->piece, piece, len);
    walk->piece_len = len;
    walk->to_cp = walk->cp;
}

// White space: one space, or nothing at either end and beside unspaced characters.
static bool walk_space(struct walk *walk)
{
    size_t bytes;
    walk_skip_space(walk);
    uint32_t next = walk_peek(walk, &bytes);
    uint32_t last = walk->last;
    walk->before = 0;
    if (!bytes || !last || is_unspaced(last) || is_unspaced(next))
        return false;
    walk_hand_out(walk, " ", 1);
    return true;
}

// Everything else beyond ASCII: decomposed, and by compatibility too (ligatures, full-width forms)
// except for figures, where "10²" must not become "102".
static void walk_other(struct walk *walk, uint32_t c, const char *bytes, size_t len)
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
static bool walk_character(struct walk *walk, uint32_t c, size_t bytes)
{
    const char *text = walk->text + walk->at;
    walk_skip(walk, bytes);
    if (is_ignored(c))
        return false;
    if (is_hyphen(c) && is_letter(walk->before) && walk_word_goes_on(walk))
        return false;
    walk->before = c;
    walk->last = c;
    if (is_quotation_mark(c))
        walk_hand_out(walk, "'", 1);
    else if (is_hyphen(c) || is_dash(c))
        walk_hand_out(walk, "-", 1);
    else if (c < 0x80 || c == 0xFFFD)
        walk_hand_out(walk, text, bytes);
    else
        walk_other(walk, c, text, bytes);
    return true;
}

// The next piece of the normal form; false at the end.
static bool walk_next(struct walk *walk)
{
    for (;;) {
        size_t bytes;
        uint32_t c = walk_peek(walk, &bytes);
        if (!bytes)
            return false;
        walk->from_cp = walk->cp;
        if (is_space(c) ? walk_space(walk) : walk_character(walk, c, bytes))
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
static size_t plain_run(const struct walk *walk)
{
    const char *text = walk->text;
    size_t at = walk->at;
    while (at < walk->len) {
        if (is_plain(text[at]))
            at++;
        else if (text[at] == ' ' && at > walk->at && at + 1 < walk->len && is_plain(text[at + 1]))
            at += 2;
        else
            break;
    }
    return at - walk->at;
}

static void walk_run(struct walk *walk, size_t run)
{
    walk->at += run;
    walk->cp += run;
    walk->before = walk->last = (unsigned char)walk->text[walk->at - 1];
}

static void normalise(struct buf *out, const char *text, size_t len)
{
    struct walk walk = walk_of(text, len);
    for (;;) {
        size_t run = plain_run(&walk);
        if (run) {
            buf_add(out, walk.text + walk.at, run);
            walk_run(&walk, run);
        } else if (walk_next(&walk)) {
            buf_add(out, walk.piece, walk.piece_len);
        } else {
            return;
        }
    }
}

static bool is_ellipsis(const char *text, size_t len)
{
    return len >= 3 && memcmp(text, "...", 3) == 0;
}

// Leaves out the marks and ellipses that a model puts around a quote (in normal form).
static void trim(const char **text, size_t *len)
{
    const char *from = *text, *to = *text + *len;
    while (from < to) {
        size_t left = (size_t)(to - from);
        size_t drop = is_ellipsis(from, left) ? 3 : *from == '\'' || *from == ' ';
        if (!drop)
            break;
        from += drop;
    }
    while (from < to) {
        size_t left = (size_t)(to - from);
        size_t drop = left >= 3 && is_ellipsis(to - 3, 3) ? 3 : to[-1] == '\'' || to[-1] == ' ';
        if (!drop)
            break;
        to -= drop;
    }
    *text = from;
    *len = (size_t)(to - from);
}

// The code points of the source whose normal form lies at [from, to) of the whole normal form.
static void locate(const char *source, size_t len, size_t from, size_t to, size_t *out_from_cp,
                   size_t *out_to_cp)
{
    struct walk walk = walk_of(source, len);
    size_t at = 0, from_cp = 0, to_cp = 0;
    bool begun = false;
    while (at < to) {
        size_t run = plain_run(&walk);
        if (run && at + run <= from) {
            at += run;
            walk_run(&walk, run);
            continue;
        }
        if (!walk_next(&walk))
            break;
        at += walk.piece_len;
        if (!begun && at > from) {
            begun = true;
            from_cp = walk.from_cp;
        }
        to_cp = walk.to_cp;
    }
    *out_from_cp = from_cp;
    *out_to_cp = to_cp;
}

// As it stands; with the other case of its first letter, which a model sets at the beginning of a
// sentence; each also without a closing mark that the model has added. The length found is set.
static const char *search(const struct buf *hay, char *needle, size_t *len)
{
    size_t full = *len;
    bool letter = is_letter((unsigned char)*needle) && (unsigned char)*needle < 0x80;
    for (int flip = 0; flip <= letter; flip++) {
        if (flip)
            *needle = (char)(*needle ^ 0x20);
        for (*len = full; *len; --*len) {
            const char *place = memmem(buf_str(hay), hay->len, needle, *len);
            if (place)
                return place;
            if (*len < full || !strchr(".,;:", needle[*len - 1]))
                break;
        }
    }
    return NULL;
}

// Whether a quote begins or ends with a character that the trimming would leave.
static bool is_kept_at_edge(uint32_t c)
{
    return c != '.' && c != 0x2026 && c != 0xFFFD && !is_space(c) && !is_quotation_mark(c) &&
           !is_ignored(c);
}

// The common case, and the cheap one: the quote stands in the source byte for byte.
static bool find_verbatim(const char *source, size_t len, const char *quote, size_t qlen,
                          size_t *out_from_cp, size_t *out_to_cp)
{
    size_t bytes, last = qlen;
    while (last && ((unsigned char)quote[last - 1] & 0xC0) == 0x80)
        last--;
    if (!last || !is_kept_at_edge(visible_decode(quote, qlen, &bytes)) ||
        !is_kept_at_edge(visible_decode(quote + last - 1, qlen - last + 1, &bytes)))
        return false;
    const char *place = memmem(source, len, quote, qlen);
    if (!place)
        return false;
    *out_from_cp = text_code_points(source, (size_t)(place - source));
    *out_to_cp = *out_from_cp + text_code_points(quote, qlen);
    return true;
}

bool ground_find(const char *source, size_t len, const char *quote, size_t qlen,
                 size_t *out_from_cp, size_t *out_to_cp)
{
    if (find_verbatim(source, len, quote, qlen, out_from_cp, out_to_cp))
        return true;
    struct buf hay OWN_BUF, needle OWN_BUF;
    buf_init(&hay, 0);
    buf_init(&needle, 0);
    normalise(&needle, quote, qlen);
    const char *text = buf_str(&needle);
    size_t text_len = needle.len;
    trim(&text, &text_len);
    if (!text_len)
        return false;
    normalise(&hay, source, len);
    const char *place = search(&hay, needle.data + (text - needle.data), &text_len);
    if (!place)
        return false;
    size_t from = (size_t)(place - hay.data);
    locate(source, len, from, from + text_len, out_from_cp, out_to_cp);
    return true;
}
