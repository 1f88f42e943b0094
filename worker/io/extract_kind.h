// SPDX-License-Identifier: Apache-2.0
// What a document is: by its media type, its name and its first bytes. Pure; used by the worker
// (which must say what would read a document before it starts a child) and by the child.
//
// A signature in the bytes wins over what was said, because a PDF that is called text is no text.
// Else the media type holds, then the end of the name. What is none of the known is text.
#ifndef PRECIS_IO_EXTRACT_KIND_H
#define PRECIS_IO_EXTRACT_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

enum extract_kind {
    EXTRACT_TEXT, // Markdown, CSV and the like among them
    EXTRACT_HTML,
    EXTRACT_DOCX,
    EXTRACT_PDF,
    EXTRACT_ZIP,     // not known before its parts are looked at: perhaps a DOCX
    EXTRACT_FOREIGN, // known, and read by a configured extractor only
};

struct extract_type {
    const char *media_type;
    enum extract_kind kind;
    const char *what; // "a spreadsheet (XLSX)", for an error
    const char *hint; // what reads it: `antiword`; NULL: nothing that we know of
};

// Never NULL. Any of media_type, name and bytes may be NULL; parameters of the media type are
// passed over, upper case is lower case. A media type that is in no table is text when it begins
// with "text/" or when its bytes have no signature.
const struct extract_type *extract_type_of(const char *media_type, const char *name,
                                           const void *bytes, size_t len);
// The table's row of exactly this media type (without parameters); NULL where it has none.
const struct extract_type *extract_type_find(const char *media_type, size_t len);
// The command that is configured for the media type (with or without parameters); NULL: none.
const struct config_command *extract_command_for(const struct config_command *commands,
                                                 const char *media_type);
// The value of a parameter of a media type ("charset"), lower case, into `out`; false: not there,
// or longer than fits.
bool extract_parameter(const char *media_type, const char *name, char *out, size_t out_bytes);
// Into `out`: ".pdf" for the media type, with which the private file of an extractor ends; "" for
// those that are in no table.
void extract_suffix(const char *media_type, char *out, size_t out_bytes);

#endif
