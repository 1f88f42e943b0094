// SPDX-License-Identifier: Apache-2.0
// Text within HTML. Nothing foreign comes out of its element or attribute: & < > " ' ` = become
// character references, and what a reader does not see (controls, bidirectional marks; see
// core/visible.h) is gone.
#ifndef PRECIS_CMD_HTML_H
#define PRECIS_CMD_HTML_H

#include "base/buf.h"

// Appends foreign text on one line; NULL is nothing. Fit for an attribute in quotes too.
void html_add(struct buf *out, const char *text);
// The same with its line feeds.
void html_add_lines(struct buf *out, const char *text);
// "<tag>", the text, "</name>": `tag` is ours, and may have attributes ("p class=\"x\"").
void html_add_element(struct buf *out, const char *tag, const char *text);
// Appends " lang=\"zh-Hant\"" where the text is a language tag; nothing for a language in words.
void html_add_language(struct buf *out, const char *language);
// Appends "'sha256-…'" of a text, for a Content-Security-Policy.
void html_add_hash(struct buf *out, const char *text);

#endif
