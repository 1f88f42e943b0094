// SPDX-License-Identifier: Apache-2.0
// Bytes of a text, in whatever encoding, become clean UTF-8; or an error that names what they might
// be. A wrong guess is worse than none: mojibake would be summarised, paid for and believed.
//
// In this order: the charset that was told, a byte order mark, valid UTF-8, UTF-8 with a few broken
// bytes, UTF-16 without a mark, what the document says of itself, bytes that mean the same in every
// Windows code page, and at last a guess by libuchardet, which counts only when enough bytes
// speak, when every byte can be decoded, and when what comes out reads like a script.
#ifndef PRECIS_IO_EXTRACT_ENCODING_H
#define PRECIS_IO_EXTRACT_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct encoding_hints {
    const char *charset;  // of the media type; NULL: none
    const char *declared; // in the document itself (HTML's meta); NULL: none
};

struct encoding_result {
    char name[48];  // "UTF-8", "WINDOWS-1252"
    bool guessed;   // by libuchardet or by common sense: worth a warning
    unsigned flags; // of text_clean (core/text.h)
};

// Appends the text as text_clean leaves it. False with a failure: `unreadable`, or too_large where
// the buffer's cap is reached.
bool encoding_decode(struct buf *out, const char *bytes, size_t len,
                     const struct encoding_hints *hints, struct encoding_result *out_result,
                     struct failure *failure);

#endif
