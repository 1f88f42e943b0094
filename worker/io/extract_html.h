// SPDX-License-Identifier: Apache-2.0
// A web page as text: blocks by blank lines, lists with their marks, tables as rows with tabs.
// Scripts, styles, navigation, forms and what the page hides are left out.
#ifndef PRECIS_IO_EXTRACT_HTML_H
#define PRECIS_IO_EXTRACT_HTML_H

#include "io/extract.h"

// The charset that the page's first bytes name (<meta charset>, http-equiv, <?xml encoding), lower
// case; "" where none.
void html_declared_charset(const char *bytes, size_t len, char *out, size_t out_bytes);
// `page` is clean UTF-8. Appends; false with a failure in `answer`.
bool html_to_text(const struct buf *page, struct buf *out, struct extract_answer *answer);

#endif
