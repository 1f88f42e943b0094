// SPDX-License-Identifier: Apache-2.0
// Numbers as lists write them.
#ifndef PRECIS_IO_EXTRACT_ORDINAL_H
#define PRECIS_IO_EXTRACT_ORDINAL_H

#include "base/buf.h"

enum ordinal {
    ORDINAL_DECIMAL,
    ORDINAL_LETTER,   // a to z, aa, ab, …
    ORDINAL_ROMAN,    // i, ii, iii, iv
    ORDINAL_IDEOGRAPH // 一 to 九十九
};

// Appends the number; as decimal where the style cannot write it (0, -3, roman 4000).
void ordinal_add(struct buf *out, int number, enum ordinal style, bool capital);

#endif
