// SPDX-License-Identifier: Apache-2.0
// The document in a prompt: what stands between a line `<document…>` and the line `</document…>` of
// the same name (`<document-k3f9 id="a">` … `</document-k3f9>`). Several are taken together;
// without a fence the whole user text is the document.
#ifndef MODELSIM_DOCUMENT_H
#define MODELSIM_DOCUMENT_H

#include "buf.h"
#include "sentences.h"

#include <stdbool.h>

struct fenced {
    const char *at;
    size_t len;
};

// The next fenced document from `text` on; *out_rest is where to look for the one after it. False
// when there is none.
bool document_next(const char *text, const char *end, struct fenced *out_document,
                   const char **out_rest);

// The sentences of all documents in the user text. They point into it, or into `text`, which is
// overwritten: part summaries, which are JSON, are read there.
void document_sentences(const struct buf *user, enum grain grain, struct buf *text,
                        struct sentences *out);

#endif
