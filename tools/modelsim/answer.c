// SPDX-License-Identifier: Apache-2.0
// Chooses sentences of the document and writes them in the shape that was asked for.
#include "answer.h"

#include "document.h"
#include "falsify.h"
#include "fill.h"
#include "pack.h"
#include "wish.h"

#include <stdlib.h>
#include <string.h>

enum { POINT_CHARS = 160, QUOTE_CHARS = 280, CHOSEN_MAX = 64 };

// --- choosing

struct choice {
    size_t items[CHOSEN_MAX]; // indexes of sentences, in the document's order
    size_t count;
};

static bool has(const struct choice *choice, size_t index)
{
    for (size_t i = 0; i < choice->count; i++)
        if (choice->items[i] == index)
            return true;
    return false;
}

static void insert(struct choice *choice, size_t index)
{
    size_t at = choice->count++;
    for (; at > 0 && choice->items[at - 1] > index; at--)
        choice->items[at] = choice->items[at - 1];
    choice->items[at] = index;
}

// The best sentence of at most `chars` that neither choice has; count when there is none.
static size_t best(const struct sentences *all, const struct choice *a, const struct choice *b,
                   size_t chars)
{
    size_t found = all->count;
    for (size_t i = 0; i < all->count; i++) {
        const struct sentence *s = &all->items[i];
        if (s->chars > chars || (found < all->count && s->score <= all->items[found].score))
            continue;
        if (!has(a, i) && !has(b, i))
            found = i;
    }
    return found;
}

// The first sentence that is not a heading, then the best that still fit.
static void choose_summary(const struct sentences *all, size_t max_chars, struct choice *out)
{
    size_t left = max_chars;
    for (size_t i = 0; i < all->count && i < 20; i++) {
        if (all->items[i].score < 0 || all->items[i].chars > left)
            continue;
        insert(out, i);
        left -= all->items[i].chars;
        break;
    }
    while (out->count < 3 && left > 20) {
        size_t i = best(all, out, out, left - 1);
        if (i == all->count || (out->count > 0 && all->items[i].score < 0))
            break;
        insert(out, i);
        left -= all->items[i].chars + 1;
    }
}

static void choose_points(const struct sentences *all, const struct summary_wish *wish,
                          const struct choice *summary, struct choice *out)
{
    static const struct choice none = {.count = 0};
    size_t most = wish->max_points < CHOSEN_MAX ? wish->max_points : CHOSEN_MAX;
    size_t want = wish->min_points + 1 < most ? wish->min_points + 1 : most;
    while (out->count < want) {
        size_t i = best(all, out, summary, SIZE_MAX);
        if (i == all->count || (all->items[i].score < -5 && out->count >= wish->min_points))
            break;
        insert(out, i);
    }
    while (out->count < wish->min_points && out->count < most) {
        size_t i = best(all, out, &none, SIZE_MAX);
        if (i == all->count)
            break;
        insert(out, i);
    }
}

// --- writing

// At most `chars` code points, back to a word's end where that is near.
static size_t cut(const struct sentence *s, size_t chars)
{
    size_t len = utf8_prefix(s->at, s->len, chars);
    if (len == s->len)
        return len;
    for (size_t back = len; back > 0 && len - back < 24; back--)
        if (s->at[back] == ' ' || s->at[back] == '\n')
            return back;
    return len;
}

// A sentence with every run of white space as one space, cut with an ellipsis.
static void add_collapsed(struct buf *out, struct buf *plain, const struct sentence *s,
                          size_t chars, enum answer_spoil spoil)
{
    size_t len = s->chars <= chars ? s->len : cut(s, chars > 0 ? chars - 1 : 0);
    buf_clear(plain);
    bool space = false;
    for (size_t i = 0; i < len; i++) {
        bool white = s->at[i] == ' ' || (s->at[i] >= '\t' && s->at[i] <= '\r');
        if (white && space)
            continue;
        buf_add(plain, white ? " " : &s->at[i], 1);
        space = white;
    }
    falsify(plain, spoil);
    buf_add_json(out, plain->data ? plain->data : "", plain->len);
    if (len < s->len && chars > 0)
        buf_add_text(out, "…");
}

static void add_summary(struct answer_scratch *scratch, const struct choice *choice,
                        size_t max_chars, enum answer_spoil spoil, struct buf *out)
{
    const struct sentences *all = &scratch->sentences;
    if (choice->count == 0 && all->count > 0)
        add_collapsed(out, &scratch->plain, &all->items[0], max_chars, spoil);
    for (size_t i = 0; i < choice->count; i++) {
        if (i > 0 && (unsigned char)out->data[out->len - 1] < 0x80)
            buf_add_text(out, " ");
        add_collapsed(out, &scratch->plain, &all->items[choice->items[i]], SIZE_MAX, spoil);
    }
}

static void add_point(struct answer_scratch *scratch, const struct sentence *s, bool quotes,
                      enum answer_spoil spoil, struct buf *out)
{
    buf_add_text(out, quotes ? "{\"point\":\"" : "\"");
    add_collapsed(out, &scratch->plain, s, POINT_CHARS, spoil);
    buf_add_text(out, "\"");
    if (!quotes)
        return;
    buf_add_text(out, ",\"quote\":\"");
    if (spoil == SPOIL_QUOTES)
        buf_add_text(out, "These words stand nowhere in the document.");
    else
        buf_add_json(out, s->at, cut(s, QUOTE_CHARS));
    buf_add_text(out, "\"}");
}

static void add_points(struct answer_scratch *scratch, const struct choice *choice, bool quotes,
                       enum answer_spoil spoil, struct buf *out)
{
    size_t count = choice->count;
    if (spoil == SPOIL_FEW_POINTS && count > 1)
        count = 1;
    if (spoil == SPOIL_MANY_POINTS && count > 0)
        count = 10000;
    for (size_t i = 0; i < count; i++) {
        const struct sentence *s = &scratch->sentences.items[choice->items[i % choice->count]];
        if (i > 0)
            buf_add_text(out, ",");
        add_point(scratch, s, quotes, spoil, out);
    }
}

static void write_summary(struct answer_scratch *scratch, const struct summary_wish *wish,
                          enum answer_spoil spoil, const char *inner, struct buf *out)
{
    struct choice summary = {.count = 0};
    struct choice points = {.count = 0};
    choose_summary(&scratch->sentences, wish->max_chars, &summary);
    choose_points(&scratch->sentences, wish, &summary, &points);
    buf_add_text(out, spoil == SPOIL_SHAPE ? "{\"result\":\"" : "{\"summary\":\"");
    size_t begin = out->len;
    add_summary(scratch, &summary, wish->max_chars, spoil, out);
    while (spoil == SPOIL_LONG &&
           utf8_chars(out->data + begin, out->len - begin) <= wish->max_chars)
        buf_add_text(out, " And so on and so forth, well past what was asked for.");
    if (inner)
        buf_add_text(out, inner);
    if (spoil == SPOIL_POINTS_STRING) {
        buf_add_text(out, "\",\"key_points\":\"one, two, three\"}");
        return;
    }
    buf_add_text(out, spoil == SPOIL_SHAPE ? "\",\"bullets\":[" : "\",\"key_points\":[");
    add_points(scratch, &points, wish->quotes, spoil, out);
    buf_add_text(out, "]}");
}

static void write_prose(struct answer_scratch *scratch, size_t max_chars, struct buf *out)
{
    struct choice summary = {.count = 0};
    choose_summary(&scratch->sentences, max_chars, &summary);
    for (size_t i = 0; i < summary.count; i++) {
        const struct sentence *s = &scratch->sentences.items[summary.items[i]];
        if (i > 0)
            buf_add_text(out, " ");
        buf_add(out, s->at, s->len);
    }
    if (out->len == 0)
        buf_add_text(out, "There is nothing to say about this.");
}

static void write_json(struct answer_scratch *scratch, const struct chat_request *request,
                       const json_t *schema, enum answer_spoil spoil, const char *inner,
                       struct buf *out)
{
    struct summary_wish wish;
    wish_read(schema, request->system.len ? request->system.data : "", &wish);
    for (enum grain grain = GRAIN_CLAUSES;
         scratch->sentences.count < wish.min_points && grain <= GRAIN_PIECES; grain++)
        document_sentences(&request->user, grain, &scratch->parts, &scratch->sentences);
    bool own = schema && !wish_is_summary(schema) && spoil != SPOIL_SHAPE;
    if (own && wish_is_cited(schema))
        fill_cited(json_object_get(json_object_get(schema, "properties"), "output"), schema,
                   &scratch->sentences, out);
    else if (own && !request->schema && strstr(request->system.data, "{\"output\":"))
        fill_cited(schema, schema, &scratch->sentences, out);
    else if (own)
        fill_schema(schema, &scratch->sentences, out);
    else
        write_summary(scratch, &wish, spoil, inner, out);
}

// After the fact: what stands around the JSON, or in the place of its quotation marks.
static void spoil_whole(enum answer_spoil spoil, size_t begin, struct buf *out)
{
    size_t len = out->len - begin;
    if (spoil == SPOIL_FENCED || spoil == SPOIL_TWICE) {
        char *copy = must_copy(out->data + begin, len);
        out->len = begin;
        buf_add_text(out, spoil == SPOIL_FENCED ? "Here it is:\n```json\n" : copy);
        buf_add_text(out, spoil == SPOIL_TWICE ? "\n" : "");
        buf_add(out, copy, len);
        buf_add_text(out, spoil == SPOIL_FENCED ? "\n```\n" : "");
        free(copy);
    }
    if (spoil == SPOIL_SINGLE_QUOTES)
        for (size_t i = begin; i < out->len; i++)
            if (out->data[i] == '"')
                out->data[i] = '\'';
}

void answer_write_one(struct answer_scratch *scratch, const struct chat_request *request,
                      enum answer_spoil spoil, const char *inner, struct buf *out)
{
    document_sentences(&request->user, GRAIN_SENTENCES, &scratch->parts, &scratch->sentences);
    json_t *found = NULL;
    if (!request->schema && request->system.len > 0)
        found = wish_schema_in_text(request->system.data, request->system.len);
    const json_t *schema = request->schema ? request->schema : found;
    bool json = schema || request->format != FORMAT_TEXT ||
                (request->system.len > 0 && strstr(request->system.data, "JSON"));
    if (spoil == SPOIL_PROSE || !json)
        write_prose(scratch, 600, out);
    else
        write_json(scratch, request, schema, spoil, inner, out);
    json_decref(found);
}

void answer_write(struct answer_scratch *scratch, const struct chat_request *request,
                  enum answer_spoil spoil, const char *inner, struct buf *out)
{
    size_t begin = out->len;
    if (spoil != SPOIL_PROSE && pack_asked(request))
        pack_write(scratch, request, spoil, inner, out);
    else
        answer_write_one(scratch, request, spoil, inner, out);
    spoil_whole(spoil, begin, out);
}

void answer_scratch_free(struct answer_scratch *scratch)
{
    sentences_free(&scratch->sentences);
    buf_free(&scratch->plain);
    buf_free(&scratch->parts);
}
