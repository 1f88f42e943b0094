// SPDX-License-Identifier: Apache-2.0
// Requests for several documents: each is answered by itself, as {documents: [{id, answer}]}.
//
// The id of a document is what its fence is called by: `k3f9` of `<document-k3f9>`. It is asked for
// by the schema, or by an instruction that shows the form. A fault can mix the answers up
// (answer.h).
#ifndef MODELSIM_PACK_H
#define MODELSIM_PACK_H

#include "answer.h"

#include <stdbool.h>

bool pack_asked(const struct chat_request *request);
// Appends the whole answer.
void pack_write(struct answer_scratch *scratch, const struct chat_request *request,
                enum answer_spoil spoil, const char *inner, struct buf *out);

#endif
