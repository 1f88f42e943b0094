// SPDX-License-Identifier: Apache-2.0
// A file as a document: its format, and its text, or its bytes where only an extractor can read it.
#ifndef PRECIS_CMD_SUBMIT_DOCUMENT_H
#define PRECIS_CMD_SUBMIT_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "core/config.h"

struct submit_document {
    struct buf content;     // cleaned text, or the file's bytes
    bool is_text;           // text in UTF-8, of a plain format
    const char *media_type; // never freed
    char sha256[65];        // of content
};

// Reads the file. The format is told by its first bytes, else by the end of its name, else text is
// what looks like text. False with a sentence in `problem`: it cannot be read, or nothing that is
// configured reads such a format.
bool submit_document_read(struct submit_document *document, const struct config *config,
                          const char *path, char *problem, size_t problem_bytes);
void submit_document_deinit(struct submit_document *document);

// The member `document` of its message, a new reference. `stored`: by its hash only, for a document
// that goes into PostgreSQL.
json_t *submit_document_json(const struct submit_document *document, const char *name, bool stored);

#endif
