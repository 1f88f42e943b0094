// SPDX-License-Identifier: Apache-2.0
// Fills a user's own JSON Schema with the document's sentences, dates and amounts, and with zeros,
// false and nulls of the right types.
#ifndef MODELSIM_FILL_H
#define MODELSIM_FILL_H

#include "buf.h"
#include "sentences.h"

#include <jansson.h>

// Appends a JSON value that suits the schema.
void fill_schema(const json_t *schema, const struct sentences *sentences, struct buf *out);

// Appends {"output": …, "quotes": [{"path", "quote"}]}: `output` filled, and for each text in it
// the sentence that it was made of. References are looked up from `root`.
void fill_cited(const json_t *output, const json_t *root, const struct sentences *sentences,
                struct buf *out);

#endif
