// SPDX-License-Identifier: Apache-2.0
// Cleaning of text that people and models read.
#include "core/visible.h"

#include <string.h>

#include <utf8proc.h>

#include "base/check.h"

#define REPLACEMENT 0xFFFD

uint32_t visible_decode(const char *text, size_t len, size_t *out_bytes)
{
    unsigned char first = (unsigned char)*text;
    *out_bytes = 1;
    if (first < 0x80)
        return first;
    utf8proc_int32_t code_point;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                             (utf8proc_ssize_t)(len < 4 ? len : 4), &code_point);
    if (used <= 0)
        return REPLACEMENT;
    *out_bytes = (size_t)used;
    return (uint32_t)code_point;
}

static bool between(uint32_t c, uint32_t low, uint32_t high)
{
    return c >= low && c <= high;
}

static bool is_control(uint32_t c)
{
    return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || between(c, 0x7f, 0x84) ||
           between(c, 0x86, 0x9f);
}

static bool is_variation_selector(uint32_t c)
{
    return between(c, 0xFE00, 0xFE0F);
}

static bool is_joiner(uint32_t c)
{
    return c == 0x200C || c == 0x200D;
}

bool visible_is_hidden(uint32_t c)
{
    if (c < 0x200B)
        return is_control(c);
    return c == 0x200B || c == 0x200E || c == 0x200F || between(c, 0x202A, 0x202E) ||
           between(c, 0x2060, 0x2064) || between(c, 0x2066, 0x2069) || c == 0xFEFF ||
           between(c, 0xE0000, 0xE01EF);
}

// Whether the joiner at `at` stands between two characters of a script or an emoji that joins.
static bool joins(uint32_t before, const char *text, size_t len, size_t at)
{
    if (at >= len || before < 0x300)
        return false;
    size_t bytes;
    uint32_t after = visible_decode(text + at, len - at, &bytes);
    return after >= 0x300 && !visible_is_hidden(after) && !is_joiner(after);
}

// The plain bytes from `at` on: printable ASCII, tab, LF, CR.
static size_t plain_run(const char *text, size_t len)
{
    size_t run = 0;
    while (run < len && (unsigned char)text[run] < 0x7f && !is_control((unsigned char)text[run]))
        run++;
    return run;
}

size_t visible_copy(struct buf *out, const char *text, size_t len)
{
    size_t changed = 0, at = 0;
    uint32_t before = 0;
    while (at < len) {
        size_t run = plain_run(text + at, len - at);
        if (run) {
            buf_add(out, text + at, run);
            before = (unsigned char)text[at + run - 1];
            at += run;
            continue;
        }
        size_t bytes;
        uint32_t c = visible_decode(text + at, len - at, &bytes);
        bool drop = visible_is_hidden(c) ||
                    (is_variation_selector(c) && (before == 0 || is_variation_selector(before))) ||
                    (is_joiner(c) && !joins(before, text, len, at + bytes));
        bool replace = c == REPLACEMENT && bytes == 1;
        if (replace)
            buf_add_str(out, "\xef\xbf\xbd");
        else if (!drop)
            buf_add(out, text + at, bytes);
        changed += drop || replace;
        if (!drop)
            before = c;
        at += bytes;
    }
    return changed;
}

// The ends of lines and paragraphs of Unicode count, too.
static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

void visible_line(char *out, size_t room, const char *text, size_t len)
{
    CHECK(room > 4);
    size_t used = 0;
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    visible_copy(&clean, text, len < room * 8 ? len : room * 8);
    const char *from = buf_str(&clean);
    for (size_t i = 0; i < clean.len;) {
        size_t bytes;
        bool space = is_space(visible_decode(from + i, clean.len - i, &bytes));
        if (used + bytes + 1 > room)
            break;
        if (!space) {
            memcpy(out + used, from + i, bytes);
            used += bytes;
        } else if (used && out[used - 1] != ' ') {
            out[used++] = ' ';
        }
        i += bytes;
    }
    while (used && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
}
