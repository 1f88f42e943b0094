// SPDX-License-Identifier: Apache-2.0
// UTF-8 text: cleaning, counting and cutting, and the small codecs that go with it.
// Everything that reaches a prompt, a row or another message went through text_clean once. After
// it the text is valid UTF-8 without NUL, and positions in it (code points) mean the same to the
// worker, to PostgreSQL and to a reader. Nothing here reads a locale.
#ifndef PRECIS_CORE_TEXT_H
#define PRECIS_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

// What text_clean found and mended.
enum text_flag {
    TEXT_HAD_NUL = 1,     // NUL bytes, dropped
    TEXT_HAD_INVALID = 2, // bytes that are not UTF-8, each run replaced by one U+FFFD
    TEXT_HAD_BOM = 4,     // a byte order mark at the start, dropped
    TEXT_HAD_CONTROL = 8, // control characters, dropped
    TEXT_HAD_HIDDEN = 16, // Unicode tag characters (U+E0000..E007F), dropped: invisible orders
    TEXT_HAD_BIDI = 32, // direction overrides (U+202A..202E, U+2066..2069), kept: said, not mended
    TEXT_HAD_NEWLINES = 64 // U+0085, U+2028 or U+2029, each written as a line feed
};

// Appends the cleaned `text` to `out`. Kept: tab, line feed, carriage return, form feed, and all
// other valid characters. Dropped: byte order marks at the start, NUL, the other controls of C0 and
// C1, DEL, tag characters. A bad sequence becomes one U+FFFD for each maximal part, as browsers do.
// Cleaning a cleaned text changes nothing. *out_flags (may be NULL) gets a sum of enum text_flag.
// False: the buffer's cap was reached; `out` then holds a part and must not be used.
bool text_clean(struct buf *out, const char *text, size_t len, unsigned *out_flags);

// Would text_clean change nothing? For texts that should come clean from somewhere else.
bool text_is_clean(const char *text, size_t len);

// NULL where `text` reads as UTF-8 (a few broken bytes allowed); else the name of what it seems to
// be ("UTF-16", "Windows-1252 or another 8-bit encoding", …), for an error that a user reads:
// cleaning such a text would send nonsense to a model.
const char *text_foreign_encoding(const char *text, size_t len);

// Code points of valid UTF-8 (in other bytes: those that do not continue a sequence).
size_t text_code_points(const char *text, size_t len);
// The byte offset of the code point with that number; `len` where it lies past the end.
size_t text_offset(const char *text, size_t len, size_t code_points);
// Nothing but white space and invisible characters (or nothing at all).
bool text_is_blank(const char *text, size_t len);
// How many bytes to keep so that at most `max_code_points` remain: up to the last sentence end in
// reach (. ! ? before white space; 。！？ and the like anywhere; closing quotes included), else the
// last word end, else exactly the limit. `len` where it fits as it is.
size_t text_cut_sentence(const char *text, size_t len, size_t max_code_points);

// The SHA-256 as 64 lower-case hexadecimal digits and a NUL.
void text_sha256_hex(const void *data, size_t len, char out[65]);
// Appends what `text` (base64 of RFC 4648, standard or URL alphabet, white space skipped, padding
// optional) decodes to. False: not base64, or the cap (out->overflow tells which).
bool text_add_base64(struct buf *out, const char *text, size_t len);
// The one of `names` that a person most likely meant by `word`; NULL where none is near.
const char *text_nearest(const char *word, const char *const *names, size_t count);

#endif
