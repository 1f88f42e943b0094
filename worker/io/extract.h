// SPDX-License-Identifier: Apache-2.0
// The child's side of the extractor edge: one document becomes text, in a process of its own.
//
// `precis extract --child` reads one framed question from its standard input, answers on its
// standard output, and ends. Everything that touches a foreign format is here and in the
// extract_* files: the worker itself parses nothing but the frame. What it refuses to do: read a
// file outside documents.allow, follow a link out of it, talk to an address that is not public,
// give more text than documents.max_text_bytes.
//
// A crash here is a document's failure, so small allocations abort and CHECK ends the process.
#ifndef PRECIS_IO_EXTRACT_H
#define PRECIS_IO_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/config.h"

#define EXTRACT_WARNINGS 12

// A question: what to read, and within which limits. Texts are NULL where nothing was told.
struct extract_ask {
    char *media_type, *name, *url, *sha256;
    char *pdf_version;                 // "pdftotext-22.12.0": what the built-in one calls itself
    char *scratch;                     // a directory that may be made for an extractor's files
    char **allow, **hosts;             // ended by NULL; NULL: none
    struct config_command *extractors; // ended by a NULL name; NULL: none
    int64_t max_bytes, max_text_bytes, memory_bytes, timeout_ms;
    // For tests only; no configuration sets them.
    bool allow_loopback; // https: from this machine
    char *ca;            // a file of certificate authorities in place of the system's
};

// An answer. `failure.code` ERR_NONE: there is text.
struct extract_answer {
    struct failure failure;
    struct buf text;
    int32_t pages;   // 0: the format has none
    char sha256[65]; // of the bytes; "" where none were read
    char *media_type, *extractor;
    char *warnings[EXTRACT_WARNINGS];
    size_t warning_count;
};

void extract_ask_deinit(struct extract_ask *ask);
void extract_answer_init(struct extract_answer *answer, size_t max_text_bytes);
void extract_answer_deinit(struct extract_answer *answer);
// Adds a sentence; one that is there already, or past the last place, is left out.
void extract_warn(struct extract_answer *answer, const char *sentence);
// The detail, and a suggestion of its own (NULL: the table's). Always false.
bool extract_fail(struct extract_answer *answer, enum err_code code, const char *suggestion,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

// Makes text of the bytes; ask->url is not looked at.
void extract_document(const struct extract_ask *ask, const void *bytes, size_t len,
                      struct extract_answer *answer);

// The text of a document made ready: line ends, characters that carry nothing or orders, blank
// texts refused. Used by every way above on what it has read.
bool extract_finish(struct extract_answer *answer, const struct buf *raw);

// `precis extract --child`: one question on `in`, one answer on `out`. The exit code of the
// process.
int extract_child(int in, int out);

#endif
