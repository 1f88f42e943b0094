// SPDX-License-Identifier: Apache-2.0
// Writes what a model would answer, out of the document's own sentences.
//
// The document is what stands between a line `<document…>` and the line `</document…>` with the
// same name (`<document-k3f9 id="a">` … `</document-k3f9>`), in the user messages; several are
// taken together; without a fence the whole user text is the document.
#ifndef MODELSIM_ANSWER_H
#define MODELSIM_ANSWER_H

#include "buf.h"
#include "request.h"
#include "sentences.h"

// How a fault spoils the content.
enum answer_spoil {
    SPOIL_NONE,
    SPOIL_PROSE,         // no JSON at all
    SPOIL_FENCED,        // JSON inside ```json … ```
    SPOIL_SHAPE,         // JSON, but with other members
    SPOIL_POINTS_STRING, // key_points is a string
    SPOIL_LONG,          // the summary passes max_chars
    SPOIL_FEW_POINTS,    // one key point
    SPOIL_MANY_POINTS,   // 10,000 key points
    SPOIL_QUOTES,        // quotes that the document does not contain
    SPOIL_TWICE,         // two JSON objects, one after the other
    SPOIL_SINGLE_QUOTES, // JSON written with apostrophes
};

// Memory that is used again from call to call.
struct answer_scratch {
    struct sentences sentences;
    struct buf plain;
};

// Appends the answer's content to `out`. `inner` is JSON-escaped text to be added to the summary,
// NULL for none.
void answer_write(struct answer_scratch *scratch, const struct chat_request *request,
                  enum answer_spoil spoil, const char *inner, struct buf *out);

struct fenced {
    const char *at;
    size_t len;
};

// The next fenced document from `text` on; *out_rest is where to look for the one after it. False
// when there is none.
bool answer_next_document(const char *text, const char *end, struct fenced *out_document,
                          const char **out_rest);

void answer_scratch_free(struct answer_scratch *scratch);

#endif
