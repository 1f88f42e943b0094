// SPDX-License-Identifier: Apache-2.0
// The XML parts of a DOCX, each a stream of events: bytes are pushed in as they are inflated.
#ifndef PRECIS_IO_EXTRACT_DOCX_XML_H
#define PRECIS_IO_EXTRACT_DOCX_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "io/extract_docx_numbers.h"

// One part on its way through the parser.
struct docx_part;

// WordprocessingML (document.xml, footnotes.xml): its text goes to `out`. With `notes` each note
// begins with its number in brackets, as its reference in the text does. `numbers` (NULL: none)
// count the paragraphs; borrowed.
struct docx_part *docx_part_new(struct buf *out, bool notes, struct docx_numbers *numbers);
// styles.xml and numbering.xml: what they say of numbers goes to `numbers`.
struct docx_part *docx_part_definitions(struct docx_numbers *numbers);
// The target of the first relationship whose type ends with `type` is written to `out`.
struct docx_part *docx_part_relations(const char *type, char *out, size_t out_bytes);
// False: it is no well-formed XML, has a document type declaration, or the text's cap is reached
// (out->overflow tells).
bool docx_part_push(struct docx_part *part, const char *bytes, size_t len, bool last);
// Why a push was false: memory was short.
bool docx_part_lacked_memory(const struct docx_part *part);
// Did it leave hidden text or tracked deletions out?
bool docx_part_hid_text(const struct docx_part *part);
bool docx_part_had_deletions(const struct docx_part *part);
void docx_part_free(struct docx_part *part);

#endif
