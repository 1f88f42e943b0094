// SPDX-License-Identifier: Apache-2.0
// Finds a model's quotes in the source, so that what a summary claims can be checked.
//
// Compared are letters, figures and signs, not layout. These differences don't count:
// white space (any run equals any other; beside a Han or Kana character also none, since
// extracted text breaks lines there), the form of quotation marks and dashes, a hyphen inside a
// word with or without a line break after it ("indem-\nnify", "indemnify", "long-term"), soft
// hyphens, ligatures, full-width forms, composed and decomposed letters, invisible characters.
// Upper and lower case counts, except in the quote's first letter. White space, quotation marks and
// ellipses around the quote are left out. Figures are never joined: "1-2" is not "12".
// Where a quote is not found so, it is looked for
// - without the furniture of pages: their numbers, and the heads and feet that return at form
// feeds;
// - without white space but between figures, as texts have it whose letters are spaced out, or
// whose
//   words have run together.
#ifndef PRECIS_CORE_GROUND_H
#define PRECIS_CORE_GROUND_H

#include <stdbool.h>
#include <stddef.h>

struct ground;

// A source to look into, borrowed until ground_free. Nothing is made of it before a quote needs it;
// then some times its size is held, up to ten where a quote is not found.
struct ground *ground_new(const char *source, size_t len);
void ground_free(struct ground *ground);
// Where the quote is in the source, as code points of the source, half open: the first place where
// it stands byte for byte, else the first where it stands at all. False, and nothing set: it is not
// there, or nothing is left of it. Time: linear in the source for the first quote that is not there
// byte for byte, a search for each.
bool ground_find(struct ground *ground, const char *quote, size_t qlen, size_t *out_from_cp,
                 size_t *out_to_cp);

#endif
