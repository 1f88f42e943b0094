// SPDX-License-Identifier: Apache-2.0
// Archives made in memory, for tests of what reads Word documents.
#ifndef PRECIS_TESTS_EDGE_ARCHIVE_H
#define PRECIS_TESTS_EDGE_ARCHIVE_H

#include "base/buf.h"

struct archive_part {
    const char *name; // NULL ends the list
    const char *text;
};

// A ZIP archive of the parts, deflated.
void archive_make(struct buf *out, const struct archive_part *parts);
// A Word document whose body (and footnotes, NULL: none) are these elements.
void archive_docx(struct buf *out, const char *body, const char *footnotes);
// One with word/numbering.xml and word/styles.xml of these elements.
void archive_docx_numbered(struct buf *out, const char *body, const char *numbering,
                           const char *styles);

#endif
