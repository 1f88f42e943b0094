// SPDX-License-Identifier: Apache-2.0
// What the readers of documents are called. The name stands beside the text that it made, and a
// text is made again when the name changes: so it holds a version, or the command's own words.
#ifndef PRECIS_IO_EXTRACT_NAME_H
#define PRECIS_IO_EXTRACT_NAME_H

#include "io/extract_kind.h"

// Raise a number when the same document would come out differently.
#define EXTRACT_TEXT_NAME "text-1"
#define EXTRACT_HTML_NAME "html-1"
#define EXTRACT_DOCX_NAME "docx-1"

extern const char extract_docx_type[]; // the media type

// On the heap: "docx-1"; `pdf_version` for a PDF; "antiword-0a1b2c3d" for a command (its program,
// and a hash of all of its words).
char *extract_reader_name(const struct config_command *command, enum extract_kind kind,
                          const char *pdf_version);

#endif
