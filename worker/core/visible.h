// SPDX-License-Identifier: Apache-2.0
// Takes out of a text what a reader does not see and a model or a terminal obeys.
//
// Removed: control characters except tab, LF and CR (ESC, NUL, DEL, C1), the tags block
// U+E0000-E007F (text smuggled past a reader), bidirectional controls U+202A-202E and U+2066-2069,
// zero-width U+200B, U+200E, U+200F, U+2060-2064, U+FEFF, a second variation selector in a row, and
// the supplementary selectors U+E0100-E01EF. The joiners U+200C and U+200D stay where a script or
// an emoji needs them, that is between two characters beyond U+02FF. Invalid UTF-8 becomes U+FFFD.
#ifndef PRECIS_CORE_VISIBLE_H
#define PRECIS_CORE_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

// The code point at `text` (at least one byte) and its length in bytes; U+FFFD and 1 for a byte
// that begins no valid sequence.
uint32_t visible_decode(const char *text, size_t len, size_t *out_bytes);
// Is the code point one of those that are removed wherever they stand?
bool visible_is_hidden(uint32_t code_point);
// Appends the cleaned text; the number of characters removed or replaced. Sets out->overflow where
// the cap is passed.
size_t visible_copy(struct buf *out, const char *text, size_t len);
// Foreign words for one line of a message: as visible_copy, every run of white space one space, cut
// to `room` bytes (NUL included) at a character.
void visible_line(char *out, size_t room, const char *text, size_t len);

#endif
