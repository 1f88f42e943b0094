// SPDX-License-Identifier: Apache-2.0
// Cuts a document into sentences (English and Chinese ends, paragraphs, list items) and says which
// of them look as if a summary should mention them. Spans point into the document.
#ifndef MODELSIM_SENTENCES_H
#define MODELSIM_SENTENCES_H

#include <stddef.h>

struct sentence {
    const char *at;
    size_t len;
    size_t chars; // Unicode code points
    int score;    // higher says more; headings and fragments are low
};

struct sentences {
    struct sentence *items;
    size_t count;
    size_t cap;
};

enum grain {
    GRAIN_SENTENCES,
    GRAIN_CLAUSES, // also cut at commas and semicolons
    GRAIN_PIECES,  // some words each, for a text that ends no sentence
};

// Appends the sentences of a text. Those that carry a fault marker ("[[sim:") are left out, so that
// no answer repeats one.
void sentences_add(struct sentences *sentences, const char *text, size_t len, enum grain grain);

void sentences_clear(struct sentences *sentences);
void sentences_free(struct sentences *sentences);

// Code points in a UTF-8 text.
size_t utf8_chars(const char *text, size_t len);

// Bytes of the first `chars` code points.
size_t utf8_prefix(const char *text, size_t len, size_t chars);

#endif
