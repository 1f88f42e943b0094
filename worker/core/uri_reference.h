// SPDX-License-Identifier: Apache-2.0
// Relative references to absolute ones (RFC 3986, section 5.2). Names only: nothing is fetched.
#ifndef PRECIS_CORE_URI_REFERENCE_H
#define PRECIS_CORE_URI_REFERENCE_H

#include "base/buf.h"

// Appends what `reference` means where `base` holds, without its fragment. Both are names as they
// stand in a document: any text is taken, and neither case nor escapes are normalised.
void uri_reference_resolve(struct buf *out, const char *base, const char *reference);
// What follows the first '#'; NULL: there is none.
const char *uri_reference_fragment(const char *reference);

#endif
