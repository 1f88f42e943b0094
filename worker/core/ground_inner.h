// SPDX-License-Identifier: Apache-2.0
// What the files of core/ground share: the normal form of a text, and the furniture of its pages.
#ifndef PRECIS_CORE_GROUND_INNER_H
#define PRECIS_CORE_GROUND_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// A walk over a text that hands out pieces of its normal form.
struct ground_walk {
    const char *text;
    size_t len;
    bool tight;            // no white space, but between figures
    size_t at, cp;         // the next byte and its number in code points
    uint32_t before;       // the last character handed out, 0 at the start and after white space
    uint32_t last;         // likewise, but white space keeps it
    char piece[40];        // the piece handed out last
    size_t piece_len;      // in bytes
    size_t from_cp, to_cp; // where it came from
};

struct ground_walk ground_walk_of(const char *text, size_t len, bool tight);
// The next piece of the normal form; false at the end.
bool ground_walk_next(struct ground_walk *walk);
// The bytes from the walk's place on that are their own normal form; 0 where there are none.
size_t ground_walk_plain(const struct ground_walk *walk);
// Moves over so many of them.
void ground_walk_run(struct ground_walk *walk, size_t run);

bool ground_is_space(uint32_t c);
bool ground_is_letter(uint32_t c);
bool ground_is_quotation_mark(uint32_t c);
bool ground_is_ignored(uint32_t c);

// The text with a space for each code point of its pages' furniture appended to `out`, so that code
// points keep their numbers: page numbers, and the heads and feet that return, if `returning`.
// False: there is none, and nothing is appended.
bool ground_blank_furniture(struct buf *out, const char *text, size_t len, bool returning);

#endif
