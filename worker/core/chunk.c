// SPDX-License-Identifier: Apache-2.0
// Splitting a text at the best place that fits.
//
// Greedy: the longest piece that fits, cut back to a good place in its second half: each part is a
// paid call with a prompt of its own, so a part is never made small for the sake of a blank line.
// Cutting where a run ends can't make the piece dearer, so the cut needs no second measure.
#include "core/chunk.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/tokens.h"

enum place { PLACE_WORD, PLACE_SENTENCE, PLACE_LINE, PLACE_BLANK_LINE, PLACE_COUNT };

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static size_t count_code_points(const char *text, size_t len)
{
    size_t points = 0;
    for (size_t i = 0; i < len; i++)
        points += is_continuation(text[i]) ? 0 : 1;
    return points;
}

// Whether the line that the newline before `at` ends is blank.
static bool ends_blank_line(const char *text, size_t at)
{
    for (size_t i = at - 1; i > 0 && is_space(text[i - 1]); i--)
        if (text[i - 1] == '\n' || (text[i - 1] == '\r' && text[i] != '\n'))
            return true;
    return false;
}

// Whether the text before the white space before `at` ends a sentence: ". ", "?) ".
static bool ends_sentence(const char *text, size_t at)
{
    while (at > 0 && is_space(text[at - 1]))
        at--;
    while (at > 0 && memchr("\"')]", text[at - 1], 4))
        at--;
    return at > 0 && memchr(".!?", text[at - 1], 3);
}

static bool ends_wide_sentence(const char *text, size_t at)
{
    static const char ends[][4] = {"\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f"};
    for (size_t i = 0; at >= 3 && i < sizeof(ends) / sizeof(ends[0]); i++)
        if (memcmp(text + at - 3, ends[i], 3) == 0)
            return true;
    return false;
}

// What ends at `at`, which is past the first byte and before the last; -1: nothing. A run of white
// space ends where the next word begins, a line at its newline, a page at its form feed.
static int place_at(const char *text, size_t at)
{
    char before = text[at - 1];
    if (before == '\f')
        return PLACE_BLANK_LINE;
    if (before == '\n' || (before == '\r' && text[at] != '\n'))
        return ends_blank_line(text, at) ? PLACE_BLANK_LINE : PLACE_LINE;
    if (ends_wide_sentence(text, at) && !is_space(text[at]))
        return PLACE_SENTENCE;
    if (!is_space(before) || is_space(text[at]))
        return -1;
    return ends_sentence(text, at) ? PLACE_SENTENCE : PLACE_WORD;
}

// The bytes to take of `fit` bytes that fit, with text behind them.
static size_t best_cut(const char *text, size_t fit)
{
    size_t last[PLACE_COUNT] = {0};
    for (size_t at = fit / 2 + 1; at <= fit; at++) {
        int place = place_at(text, at);
        if (place >= 0)
            last[place] = at;
    }
    for (int place = PLACE_COUNT - 1; place >= 0; place--)
        if (last[place] > 0)
            return last[place];
    return fit;
}

static size_t one_character(const char *text, size_t len)
{
    size_t n = 1;
    while (n < len && is_continuation(text[n]))
        n++;
    return n;
}

static void add_chunk(struct chunk_list *list, size_t from, size_t points)
{
    if ((list->len & (list->len + 1)) == 0) // room is a power of two less one, and full
        list->items = own_grow(list->items, list->len * 2 + 1, sizeof(struct chunk));
    list->items[list->len++] = (struct chunk){.from = from, .to = from + points};
}

void chunk_split(const char *text, size_t len, int64_t max_tokens, struct chunk_list *out)
{
    *out = (struct chunk_list){0};
    int64_t most = tokens_within(max_tokens);
    size_t point = 0;
    while (len > 0) {
        size_t bytes = tokens_fit(text, len, most);
        if (bytes == 0)
            bytes = one_character(text, len);
        else if (bytes < len)
            bytes = best_cut(text, bytes);
        size_t points = count_code_points(text, bytes);
        add_chunk(out, point, points);
        point += points;
        text += bytes;
        len -= bytes;
    }
}

void chunk_list_deinit(struct chunk_list *list)
{
    free(list->items);
    *list = (struct chunk_list){0};
}
