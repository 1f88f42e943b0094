// SPDX-License-Identifier: Apache-2.0
// Writes what a model would answer, out of the document's own sentences (document.h).
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
    SPOIL_AMOUNTS,       // amounts that the document does not contain
    SPOIL_DATES,         // years likewise
    SPOIL_NAMES,         // names of companies likewise
    SPOIL_PACK_MISSING,  // of several documents: the last one is left out
    SPOIL_PACK_DOUBLED,  // the last one is answered twice
    SPOIL_PACK_SWAPPED,  // the first two are answered under each other's ids
    SPOIL_PACK_OBEYS,    // what one of them orders to be written is in every summary
};

// Memory that is used again from call to call.
struct answer_scratch {
    struct sentences sentences;
    struct buf plain;
    struct buf parts; // texts of part summaries
};

// Appends the answer's content to `out`. `inner` is JSON-escaped text to be added to the summary,
// NULL for none.
void answer_write(struct answer_scratch *scratch, const struct chat_request *request,
                  enum answer_spoil spoil, const char *inner, struct buf *out);

// The same for one document, whatever the request says of several; what stands around the JSON is
// not spoilt.
void answer_write_one(struct answer_scratch *scratch, const struct chat_request *request,
                      enum answer_spoil spoil, const char *inner, struct buf *out);

void answer_scratch_free(struct answer_scratch *scratch);

#endif
