// SPDX-License-Identifier: Apache-2.0
// Quote search over a normalised form.
//
// Source and quote are rewritten into a normal form and compared there. Forms of the source are
// made when a quote first needs them and kept for the next: one with the white space as single
// spaces, one where the furniture of pages is blanked too, and the tight one without white space.
// No map from a form back to the source is kept, since it would be several times the source: the
// state of the rewriting is marked every few thousand bytes, and repeated from there, counting.
#include "core/ground.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/ground_inner.h"
#include "core/text.h"
#include "core/visible.h"

#define MARK_BYTES 4096 // of a form between two marks
#define TIGHT_BYTES                                                                                \
    12 // shorter quotes are not compared in the tight form, where words run together

#define MOST_TRIES 500 // places in small letters that are looked at for capitals
#define LEVELS     3   // of what is left out: nothing, page numbers, heads and feet

struct mark {
    struct ground_walk walk;
    size_t at; // of the form
};

struct form {
    bool made;
    struct buf text;
    struct mark *marks;
    size_t mark_count;
    const char *source; // what was rewritten
    size_t len;
    bool tight;
};

struct ground {
    const char *source;
    size_t len;
    bool looked[LEVELS]; // for furniture
    struct buf blanked[LEVELS];
    struct form forms[LEVELS][2]; // with white space, and tight
    struct buf small;             // the first tight form in small letters
};

struct ground *ground_new(const char *source, size_t len)
{
    struct ground *ground = own_alloc(sizeof(*ground));
    ground->source = source;
    ground->len = len;
    return ground;
}

static void form_deinit(struct form *form)
{
    buf_deinit(&form->text);
    free(form->marks);
}

void ground_free(struct ground *ground)
{
    if (!ground)
        return;
    buf_deinit(&ground->small);
    for (int level = 0; level < LEVELS; level++) {
        buf_deinit(&ground->blanked[level]);
        form_deinit(&ground->forms[level][0]);
        form_deinit(&ground->forms[level][1]);
    }
    free(ground);
}

// ------------------------------------------------------------------------------------- forms

static void add_mark(struct form *form, const struct ground_walk *walk)
{
    if (form->mark_count % 64 == 0)
        form->marks = own_grow(form->marks, form->mark_count + 64, sizeof(struct mark));
    form->marks[form->mark_count++] = (struct mark){*walk, form->text.len};
}

// Rewrites all of it.
static void make_form(struct form *form, const char *source, size_t len, bool tight)
{
    form->made = true;
    form->source = source;
    form->len = len;
    form->tight = tight;
    struct ground_walk walk = ground_walk_of(source, len, tight);
    for (;;) {
        if (form->text.len >= form->mark_count * MARK_BYTES)
            add_mark(form, &walk);
        size_t run = ground_walk_plain(&walk);
        if (run) {
            run = run < MARK_BYTES ? run : MARK_BYTES;
            while (walk.text[walk.at + run - 1] == ' ')
                run--;
            buf_add(&form->text, walk.text + walk.at, run);
            ground_walk_run(&walk, run);
        } else if (ground_walk_next(&walk)) {
            buf_add(&form->text, walk.piece, walk.piece_len);
        } else {
            return;
        }
    }
}

// The code points of the source whose normal form lies at [from, to) of the whole normal form.
static void locate(const struct form *form, size_t from, size_t to, size_t *out_from_cp,
                   size_t *out_to_cp)
{
    size_t mark = 0;
    for (size_t step = form->mark_count; step; step /= 2)
        while (mark + step < form->mark_count && form->marks[mark + step].at <= from)
            mark += step;
    struct ground_walk walk = form->marks[mark].walk;
    size_t at = form->marks[mark].at, from_cp = 0, to_cp = 0;
    bool begun = false;
    while (at < to) {
        size_t run = ground_walk_plain(&walk);
        if (run && at + run <= from) {
            at += run;
            ground_walk_run(&walk, run);
            continue;
        }
        if (!ground_walk_next(&walk))
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

// ------------------------------------------------------------------------------------- search

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

// As it stands; with the other case of its first letter, which a model sets at the beginning of a
// sentence; each also without a closing mark that the model has added. The length found is set.
static const char *search(const struct buf *hay, char *needle, size_t *len)
{
    size_t full = *len;
    bool letter = ground_is_letter((unsigned char)*needle) && (unsigned char)*needle < 0x80;
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
    return c != '.' && c != 0x2026 && c != 0xFFFD && !ground_is_space(c) &&
           !ground_is_quotation_mark(c) && !ground_is_ignored(c);
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

static bool find_in_form(const struct form *form, const char *quote, size_t qlen,
                         size_t *out_from_cp, size_t *out_to_cp)
{
    struct form needle = {.made = false};
    make_form(&needle, quote, qlen, form->tight);
    const char *text = buf_str(&needle.text);
    size_t len = needle.text.len;
    trim(&text, &len);
    const char *place = NULL;
    if (len >= (form->tight ? TIGHT_BYTES : 1) && form->text.len)
        place = search(&form->text, needle.text.data + (text - needle.text.data), &len);
    if (place) {
        size_t from = (size_t)(place - form->text.data);
        locate(form, from, from + len, out_from_cp, out_to_cp);
    }
    form_deinit(&needle);
    return place != NULL;
}

// A form of the source without its page numbers (level 1), without heads and feet too (level 2).
// NULL: it would be that of the level before.
static const struct form *form_of(struct ground *ground, int level, bool tight)
{
    struct form *form = &ground->forms[level][tight];
    struct buf *text = &ground->blanked[level];
    if (level && !ground->looked[level])
        ground_blank_furniture(text, ground->source, ground->len, level == 2);
    ground->looked[level] = true;
    if (level && text->len == 0)
        return NULL;
    if (!form->made)
        make_form(form, level ? text->data : ground->source, level ? text->len : ground->len,
                  tight);
    return form;
}

// ------------------------------------------------------------------------------------- capitals

static void add_small(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_add_char(out, (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] | 0x20 : text[i]));
}

static bool has_small(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            return true;
    return false;
}

// A passage that the source has in capitals, quoted in small letters.
static bool find_in_capitals(struct ground *ground, const struct form *form, const char *quote,
                             size_t qlen, size_t *out_from_cp, size_t *out_to_cp)
{
    struct form needle = {.made = false};
    struct buf small OWN_BUF;
    buf_init(&small, 0);
    make_form(&needle, quote, qlen, true);
    const char *text = buf_str(&needle.text);
    size_t len = needle.text.len;
    trim(&text, &len);
    add_small(&small, text, len);
    form_deinit(&needle);
    if (ground->small.len == 0)
        add_small(&ground->small, buf_str(&form->text), form->text.len);
    const char *hay = buf_str(&ground->small), *place = len >= TIGHT_BYTES ? hay : NULL;
    for (int tries = 0; tries < MOST_TRIES && place; tries++) {
        place = memmem(place, ground->small.len - (size_t)(place - hay), small.data, small.len);
        if (!place)
            break;
        size_t from = (size_t)(place - hay);
        if (!has_small(form->text.data + from, small.len)) {
            locate(form, from, from + small.len, out_from_cp, out_to_cp);
            return true;
        }
        place++;
    }
    return false;
}

bool ground_find(struct ground *ground, const char *quote, size_t qlen, size_t *out_from_cp,
                 size_t *out_to_cp)
{
    if (find_verbatim(ground->source, ground->len, quote, qlen, out_from_cp, out_to_cp))
        return true;
    for (int tight = 0; tight < 2; tight++)
        for (int level = 0; level < LEVELS; level++) {
            const struct form *form = form_of(ground, level, tight);
            if (form && find_in_form(form, quote, qlen, out_from_cp, out_to_cp))
                return true;
        }
    return find_in_capitals(ground, form_of(ground, 0, true), quote, qlen, out_from_cp, out_to_cp);
}
