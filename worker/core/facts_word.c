// SPDX-License-Identifier: Apache-2.0
// The table of words by which facts are known.
#include "core/facts_inner.h"

#include <string.h>

#include "base/check.h"

#define WORD(TEXT, MEANING, VALUE) {TEXT, sizeof(TEXT) - 1, MEANS_##MEANING, VALUE},
static const struct fact_word rows[] = {
#include "core/facts_words.def"
};
#undef WORD

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

// Of the length, the first and the last eight bytes: enough to tell words apart.
static uint32_t hash(const char *text, size_t len)
{
    uint64_t head = 0, tail = 0;
    size_t part = len < 8 ? len : 8;
    memcpy(&head, text, part);
    memcpy(&tail, text + len - part, part);
    uint64_t mixed = (head ^ len) * UINT64_C(0x9E3779B97F4A7C15) ^ tail;
    mixed *= UINT64_C(0xD6E8FEB86659FD93);
    return (uint32_t)(mixed >> 40);
}

static bool row_is(const struct fact_word *row, const char *text, size_t len)
{
    return row->len == len && memcmp(row->text, text, len) == 0;
}

// The slot of the word, or the free one where it would be.
static size_t slot_of(const struct fact_words *words, const char *text, size_t len)
{
    size_t at = hash(text, len) % FACT_WORD_SLOTS;
    while (words->slots[at] && !row_is(&rows[words->slots[at] - 1], text, len))
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

void fact_words_init(struct fact_words *words)
{
    _Static_assert(ROW_COUNT < FACT_WORD_SLOTS / 2, "the table of words is too full");
    memset(words, 0, sizeof(*words));
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t slot = slot_of(words, rows[i].text, rows[i].len);
        if (words->slots[slot]) { // a further meaning of the row before
            CHECK(row_is(&rows[i - 1], rows[i].text, rows[i].len));
            continue;
        }
        words->slots[slot] = (uint16_t)(i + 1);
        mark_first(words, &rows[i]);
    }
}

const struct fact_word *fact_words_find(const struct fact_words *words, const char *text,
                                        size_t len)
{
    if (len == 0)
        return NULL;
    uint16_t row = words->slots[slot_of(words, text, len)];
    return row ? &rows[row - 1] : NULL;
}

bool fact_words_may_begin(const struct fact_words *words, uint32_t han)
{
    return words->han_first[han % 2048 / 8] >> han % 8 & 1;
}

const struct fact_word *fact_word_as(const struct token *token, enum meaning meaning)
{
    for (const struct fact_word *row = token->word; row && row < rows + ROW_COUNT; row++) {
        if (row->len != token->word->len || memcmp(row->text, token->word->text, row->len) != 0)
            break;
        if (row->meaning == meaning)
            return row;
    }
    return NULL;
}
