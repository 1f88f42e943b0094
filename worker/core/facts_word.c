// SPDX-License-Identifier: Apache-2.0
// The table of words by which facts are known.
#include "core/facts_inner.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define WORD(TEXT, MEANING, VALUE) {TEXT, sizeof(TEXT) - 1, MEANS_##MEANING, VALUE},
static const struct fact_word rows[] = {
#include "core/facts_words.def"
};
#undef WORD

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static uint64_t load(const char *text, size_t len)
{
    uint64_t wide = 0;
    uint32_t half = 0;
    if (len == 8)
        memcpy(&wide, text, 8);
    else
        memcpy(&half, text, 4);
    return len == 8 ? wide : half;
}

// Of the length, the first and the last bytes: enough to tell words apart.
static uint32_t hash(const char *text, size_t len)
{
    uint64_t head, tail;
    if (len >= 4) {
        size_t part = len >= 8 ? 8 : 4;
        head = load(text, part);
        tail = load(text + len - part, part);
    } else {
        head = (unsigned char)text[0];
        tail = (uint64_t)(unsigned char)text[len / 2] << 8 | (unsigned char)text[len - 1];
    }
    uint64_t mixed = (head ^ (uint64_t)len << 56) * UINT64_C(0x9E3779B97F4A7C15) ^ tail;
    mixed *= UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(mixed >> 32);
}

static bool row_is(const struct fact_word *row, const char *text, size_t len)
{
    return row->len == len && memcmp(row->text, text, len) == 0;
}

// The slot of the word, or the free one where it would be.
static size_t slot_of(const struct fact_words *words, const char *text, size_t len,
                      uint16_t *out_tag)
{
    uint32_t mixed = hash(text, len);
    size_t at = mixed % FACT_WORD_SLOTS;
    *out_tag = (uint16_t)(mixed >> 16);
    while (words->slots[at].row && !(words->slots[at].tag == *out_tag &&
                                     row_is(&rows[words->slots[at].row - 1], text, len)))
        at = (at + 1) % FACT_WORD_SLOTS;
    return at;
}

static uint32_t first_character(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    return (uint32_t)(c[0] & 0x0F) << 12 | (uint32_t)(c[1] & 0x3F) << 6 | (uint32_t)(c[2] & 0x3F);
}

static void mark_first(struct fact_words *words, const struct fact_word *row)
{
    if (((unsigned char)row->text[0] & 0xF0) != 0xE0)
        return;
    uint32_t c = first_character(row->text);
    words->han_first[c % 2048 / 8] |= (uint8_t)(1U << c % 8);
}

struct fact_words *fact_words_new(void)
{
    _Static_assert(ROW_COUNT < FACT_WORD_SLOTS / 2, "the table of words is too full");
    struct fact_words *words = own_alloc(sizeof(*words));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        uint16_t tag;
        size_t slot = slot_of(words, rows[i].text, rows[i].len, &tag);
        words->slots[slot].meanings |= UINT32_C(1) << rows[i].meaning;
        if (words->slots[slot].row) { // a further meaning of the row before
            CHECK(row_is(&rows[i - 1], rows[i].text, rows[i].len));
            continue;
        }
        words->slots[slot].row = (uint16_t)(i + 1);
        words->slots[slot].tag = tag;
        mark_first(words, &rows[i]);
    }
    return words;
}

void fact_words_free(struct fact_words *words)
{
    free(words);
}

void fact_words_find(const struct fact_words *words, const char *text, size_t len,
                     struct token *out)
{
    out->word = NULL;
    out->meanings = 0;
    uint16_t tag;
    size_t slot = len ? slot_of(words, text, len, &tag) : 0;
    if (len == 0 || !words->slots[slot].row)
        return;
    out->word = &rows[words->slots[slot].row - 1];
    out->meanings = words->slots[slot].meanings;
}

bool fact_words_may_begin(const struct fact_words *words, uint32_t han)
{
    return words->han_first[han % 2048 / 8] >> han % 8 & 1;
}

const struct fact_word *fact_word_as(const struct token *token, enum meaning meaning)
{
    if (!(token->meanings >> meaning & 1))
        return NULL;
    const struct fact_word *row = token->word;
    while (row->meaning != meaning)
        row++;
    return row;
}
