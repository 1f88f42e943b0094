// SPDX-License-Identifier: Apache-2.0
// Who a job is and what it contains (CONTRACT.md, section 1): names, and the hash that tells the
// same content from other content under one name.
#ifndef PRECIS_CORE_IDENTITY_H
#define PRECIS_CORE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"

// 1 to 200 bytes of A-Z a-z 0-9 . _ : @ -
bool identity_name_ok(const char *name, size_t len);
// Appends "tenant/batch/id", the key of result messages and dead letters.
void identity_full_name(struct buf *out, const char *tenant, const char *batch, const char *id);
// The three names of such a key, on the heap (the caller frees them); false: it is none, and
// nothing is written.
bool identity_split(const char *key, size_t len, char **out_tenant, char **out_batch,
                    char **out_id);

// Appends JSON without white space, numbers as identity_number writes them. With `sorted`, members
// stand in the byte order of their names: the canonical form; else they keep their order. The
// value's depth must be bounded (json_scan.h).
void identity_write_json(struct buf *out, const json_t *value, bool sorted);

#define IDENTITY_NUMBER_BYTES 32
// A number as the shortest text that reads back as the same double (15 to 17 digits); a whole
// number has no point, so 1 and 1.0 are the same text.
void identity_number(double value, char out[IDENTITY_NUMBER_BYTES]);

// The content of a job: SHA-256 of the canonical JSON of
//   {"document": …, "kind": …, "parameters": {…}}
// `document` is the SHA-256 in hex of the cleaned text or of the bytes, the same whether they came
// with the message, lie in PostgreSQL or are what a URL must give; a URL without one is
// {"url": …}. `parameters` is the member of the kind's name without what equals its default, tags
// (a template's name) and x-…, so that an explicit default is the same as none and a field that a
// later version adds changes no hash.
struct identity_content {
    const char *kind;
    const json_t *parameters; // NULL: none
    const char *document_sha256;
    const char *document_url; // where document_sha256 is NULL
};
void identity_hash(const struct identity_content *content, unsigned char out[32]);

// What makes two jobs ask the same: their answers are the same one, bought once. Model and
// reasoning are those of the request, whoever chose them; `media_type` is that of bytes that an
// extractor reads, "" of a text.
struct identity_question {
    const char *tenant;
    const unsigned char *content; // identity_hash
    const char *media_type, *model, *reasoning, *prompt_version;
};
void identity_answer_key(const struct identity_question *question, unsigned char out[32]);

#endif
