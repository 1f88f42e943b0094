// SPDX-License-Identifier: Apache-2.0
// The dates and amounts of money that a document names, so that the fields of a user's schema which
// ask for one get one that stands in the text. Six languages, the usual ways of writing; what looks
// odd is not found.
#ifndef MODELSIM_FACTS_H
#define MODELSIM_FACTS_H

#include "sentences.h"

enum { FACTS_MAX = 48 };

struct fact {
    const char *at; // as written
    size_t len;
    size_t sentence; // its number
    char iso[11];    // of a date: 2026-03-01
};

struct fact_list {
    struct fact items[FACTS_MAX];
    size_t count;
};

struct facts {
    struct fact_list dates, amounts;
};

void facts_find(const struct sentences *sentences, struct facts *out);

#endif
