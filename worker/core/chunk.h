// SPDX-License-Identifier: Apache-2.0
// Cuts a long text into parts that each fit a model's context.
#ifndef PRECIS_CORE_CHUNK_H
#define PRECIS_CORE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

// A part of the text, in code points, half open.
struct chunk {
    size_t from, to;
};

struct chunk_list {
    struct chunk *items;
    size_t len;
};

// The parts follow each other without a gap and cover the whole text (an empty text has none), and
// tokens_upper(tokens_estimate(part)) of each is at most max_tokens. Only a character that is too
// much by itself makes a larger part: it alone. Each part takes what fits and is then cut back to
// the last blank line in its second half; where there is none, to the last line's end there, else
// to a sentence's (also 。！？), else to a word's, else not at all. Separators stay with the part
// before them. The text is UTF-8 (as text_clean leaves it). Two passes, whatever the text.
// The caller gives *out back with chunk_list_deinit.
void chunk_split(const char *text, size_t len, int64_t max_tokens, struct chunk_list *out);
void chunk_list_deinit(struct chunk_list *list);

#endif
