// SPDX-License-Identifier: Apache-2.0
// A Word document (DOCX) as text: paragraphs as lines, with the numbers that Word counts, tables as
// rows with tabs, footnotes and endnotes at the end. Left out: headers, footers, comments, tracked
// deletions, hidden text, field codes, pictures.
//
// Nothing is inflated before the archive's own sizes were looked at, and nothing beyond the cap,
// whatever they say. The XML is read as a stream: memory does not grow with it. A document type
// declaration, which Word never writes, is refused, so that no entity is ever expanded.
#ifndef PRECIS_IO_EXTRACT_DOCX_H
#define PRECIS_IO_EXTRACT_DOCX_H

#include "io/extract.h"

// At most max_xml_bytes are inflated in all. Appends; false with a failure in `answer`: protected,
// damaged, too_large, unreadable (another ZIP archive).
bool docx_to_text(const void *bytes, size_t len, size_t max_xml_bytes, struct buf *out,
                  struct extract_answer *answer);

#endif
