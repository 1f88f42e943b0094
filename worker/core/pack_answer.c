// SPDX-License-Identifier: Apache-2.0
// Takes a packed answer apart, and looks whether each piece is of its own document.
//
// Two looks, both into the texts themselves. A quote has to stand in its own document, unless it
// stands in none of them (then it is an invented one, which core/ground.h reports for any job).
// And no run of words may come out of another document: compared are letters and figures only, in
// windows of RUN_BYTES of them. The windows of all answers go into one table; the texts, which are
// longer, are rolled over it once, and each window that is met learns which texts have it.
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"
#include "core/ground.h"
#include "core/pack.h"
#include "core/summary.h"

// Some seven words: a paraphrase shares fewer with a document that it is not of.
#define RUN_BYTES 40
#define MAX_DEPTH 64

// ------------------------------------------------------------------------------- words

struct window {
    uint64_t hash;  // of its bytes; 0: no window here
    uint32_t said;  // the answers that have it, a bit each
    uint32_t stood; // the texts that have it
};

struct windows {
    struct window *slots;
    size_t mask, used;
};

typedef void window_fn(struct windows *windows, uint64_t hash, uint32_t bit);

static struct window *window_at(const struct windows *windows, uint64_t hash)
{
    size_t at = (size_t)(hash >> 20) & windows->mask;
    while (windows->slots[at].hash != 0 && windows->slots[at].hash != hash)
        at = (at + 1) & windows->mask;
    return &windows->slots[at];
}

static void window_say(struct windows *windows, uint64_t hash, uint32_t bit)
{
    struct window *window = window_at(windows, hash);
    window->hash = hash;
    window->said |= bit;
}

static void window_stand(struct windows *windows, uint64_t hash, uint32_t bit)
{
    struct window *window = window_at(windows, hash);
    if (window->hash == hash)
        window->stood |= bit;
}

// General punctuation (U+2000 to U+207F) and that of Chinese and Japanese (U+3000 to U+303F, and
// the full-width forms): quotation marks and dashes come in many forms.
static bool is_mark(const unsigned char *at, const unsigned char *end)
{
    if (end - at < 3)
        return false;
    if (at[0] == 0xEF && at[1] == 0xBC)
        return at[2] < 0x90 || (at[2] >= 0x9A && at[2] <= 0xA0);
    return (at[0] == 0xE2 && (at[1] == 0x80 || at[1] == 0x81)) || (at[0] == 0xE3 && at[1] == 0x80);
}

// Letters and figures, the ASCII ones in lower case.
static void add_words(struct buf *out, const char *text, size_t len)
{
    const unsigned char *end = (const unsigned char *)text + len;
    for (const unsigned char *at = (const unsigned char *)text; at < end; at++) {
        if (is_mark(at, end))
            at += 2;
        else if (*at >= 'A' && *at <= 'Z')
            buf_add_char(out, (char)(*at - 'A' + 'a'));
        else if (*at >= 0x80 || (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9'))
            buf_add_char(out, (char)*at);
    }
}

#define HASH_BASE UINT64_C(0x9E3779B97F4A7C15)

static void roll(struct windows *windows, const struct buf *words, uint32_t bit, window_fn *meet)
{
    uint64_t hash = 0, oldest = 1;
    for (int i = 1; i < RUN_BYTES; i++)
        oldest *= HASH_BASE;
    for (size_t i = 0; i < words->len; i++) {
        if (i >= RUN_BYTES)
            hash -= oldest * (unsigned char)words->data[i - RUN_BYTES];
        hash = hash * HASH_BASE + (unsigned char)words->data[i];
        if (i + 1 >= RUN_BYTES)
            meet(windows, hash ? hash : 1, bit);
    }
}

// ------------------------------------------------------------------------------- answers

struct reading {
    const struct prompt_document *documents;
    size_t count;
    json_t *answers[PACK_MOST];      // NULL: none, or doubled; borrowed
    struct ground *texts[PACK_MOST]; // made when they are needed
    uint32_t mixed;                  // a bit each
};

typedef void string_fn(void *context, const char *name, const char *text, size_t len);

// Every string of a value, with the name of the member that it is, or is in.
static void each_string(const json_t *value, const char *name, int depth, string_fn *tell,
                        void *context)
{
    if (depth > MAX_DEPTH)
        return;
    if (json_is_string(value))
        tell(context, name, json_string_value(value), json_string_length(value));
    for (size_t i = 0; i < json_array_size(value); i++)
        each_string(json_array_get(value, i), name, depth + 1, tell, context);
    json_t *members = (json_t *)(uintptr_t)value; // jansson's iterators take no const
    for (void *i = json_object_iter(members); i; i = json_object_iter_next(members, i))
        each_string(json_object_iter_value(i), json_object_iter_key(i), depth + 1, tell, context);
}

// A line feed, which no text's words have, ends each string: no window reaches into the next one.
static void add_string(void *context, const char *name, const char *text, size_t len)
{
    (void)name;
    struct buf *words = context;
    add_words(words, text, len);
    buf_add_char(words, '\n');
}

static void look_for_words(struct reading *reading)
{
    struct buf answers[PACK_MOST], text OWN_BUF;
    size_t bytes = 0;
    buf_init(&text, 0);
    for (size_t i = 0; i < reading->count; i++) {
        buf_init(&answers[i], 0);
        each_string(reading->answers[i], "", 0, add_string, &answers[i]);
        bytes += answers[i].len;
    }
    struct windows windows = {.mask = 1023};
    while (windows.mask < 2 * bytes)
        windows.mask = windows.mask * 2 + 1;
    windows.slots = own_array(windows.mask + 1, sizeof(*windows.slots));
    for (size_t i = 0; i < reading->count; i++) {
        roll(&windows, &answers[i], UINT32_C(1) << i, window_say);
        buf_deinit(&answers[i]);
    }
    for (size_t i = 0; i < reading->count; i++) {
        buf_clear(&text);
        add_words(&text, reading->documents[i].text, reading->documents[i].text_len);
        roll(&windows, &text, UINT32_C(1) << i, window_stand);
    }
    for (size_t i = 0; i <= windows.mask; i++)
        if (windows.slots[i].stood)
            reading->mixed |= windows.slots[i].said & ~windows.slots[i].stood;
    free(windows.slots);
}

static bool stands_in(struct reading *reading, size_t document, const char *quote, size_t len)
{
    size_t from, to;
    const struct prompt_document *of = &reading->documents[document];
    if (!reading->texts[document])
        reading->texts[document] = ground_new(of->text, of->text_len);
    return ground_find(reading->texts[document], quote, len, &from, &to);
}

struct quotes {
    struct reading *reading;
    size_t document;
};

static void check_quote(void *context, const char *name, const char *text, size_t len)
{
    const struct quotes *quotes = context;
    struct reading *reading = quotes->reading;
    uint32_t bit = UINT32_C(1) << quotes->document;
    if (strcmp(name, "quote") != 0 || (reading->mixed & bit) ||
        stands_in(reading, quotes->document, text, len))
        return;
    for (size_t i = 0; i < reading->count; i++)
        if (i != quotes->document && stands_in(reading, i, text, len))
            reading->mixed |= bit;
}

static void look_for_quotes(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct quotes quotes = {reading, i};
        each_string(reading->answers[i], "", 0, check_quote, &quotes);
    }
    for (size_t i = 0; i < reading->count; i++)
        ground_free(reading->texts[i]);
}

// ------------------------------------------------------------------------------- pieces

static size_t document_of(const struct reading *reading, const char *id)
{
    size_t i = 0;
    while (i < reading->count && (!id || strcmp(reading->documents[i].id, id) != 0))
        i++;
    return i;
}

static void sort_entries(struct reading *reading, const json_t *list, struct pack_piece *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        json_t *answer = json_object_get(entry, "answer");
        size_t at = document_of(reading, json_string_value(json_object_get(entry, "id")));
        if (at == reading->count || (out[at].fault == PACK_MISSING && !json_is_object(answer)))
            continue; // no document of ours, or no answer: who is missing stays so
        bool first = out[at].fault == PACK_MISSING;
        out[at].fault = first ? PACK_WHOLE : PACK_DOUBLED;
        reading->answers[at] = first ? answer : NULL;
    }
}

bool pack_split(const struct prompt_document *documents, size_t count, const char *content,
                size_t len, struct pack_piece *out, struct failure *out_failure)
{
    struct reading reading = {.documents = documents, .count = count};
    CHECK(count > 0 && count <= PACK_MOST);
    json_t *root = summary_read_object(content, len, out_failure);
    if (!root)
        return false;
    const json_t *list = json_object_get(root, "documents");
    if (!json_is_array(list)) {
        failure_set(out_failure, ERR_SCHEMA_MISMATCH, "documents is %s",
                    list ? "not a list" : "missing");
        json_decref(root);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        out[i] = (struct pack_piece){.fault = PACK_MISSING};
    sort_entries(&reading, list, out);
    look_for_words(&reading);
    look_for_quotes(&reading);
    for (size_t i = 0; i < count; i++) {
        if (out[i].fault == PACK_WHOLE && (reading.mixed >> i & 1))
            out[i].fault = PACK_MIXED;
        if (out[i].fault != PACK_WHOLE)
            continue;
        // 15 digits write 0.1 as 0.1; jansson's default of 17 does not.
        out[i].content = json_dumps(reading.answers[i], JSON_COMPACT | JSON_REAL_PRECISION(15));
        CHECK(out[i].content);
        out[i].len = strlen(out[i].content);
    }
    json_decref(root);
    return true;
}

void pack_pieces_deinit(struct pack_piece *pieces, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(pieces[i].content);
}

const char *pack_fault_text(enum pack_fault fault)
{
    switch (fault) {
    case PACK_MISSING:
        return "the packed answer has nothing for this document";
    case PACK_DOUBLED:
        return "the packed answer has this document's id more than once";
    case PACK_MIXED:
        return "the packed answer has words of another document in the place of this one's";
    case PACK_WHOLE:
        break;
    }
    return "the packed answer cannot be used";
}
