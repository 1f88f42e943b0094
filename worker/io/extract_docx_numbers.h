// SPDX-License-Identifier: Apache-2.0
// The numbers of a Word document's paragraphs. "3.2" and "(a)" stand nowhere in the text: Word
// counts them, by word/numbering.xml and by what word/styles.xml gives each style. A summary that
// names section 3.2 needs them.
//
// Known: levels, starts and their overrides, numbers of styles and of what those are based on,
// lists that are linked by a style, legal numbering (isLgl). Not known: restarts at other levels
// than Word's own rule (lvlRestart), pictures as bullets.
#ifndef PRECIS_IO_EXTRACT_DOCX_NUMBERS_H
#define PRECIS_IO_EXTRACT_DOCX_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define NUMBERS_LEVELS 9

struct docx_numbers;

struct docx_numbers *docx_numbers_new(void);
void docx_numbers_free(struct docx_numbers *numbers);

// Both parts are read before the text. An element with its attributes, by local names; `value`
// gives an attribute's value, NULL where it has none.
struct docx_element {
    const char *name;
    const char *(*value)(const struct docx_element *element, const char *attribute);
};
void docx_numbers_open(struct docx_numbers *numbers, const struct docx_element *element);
void docx_numbers_close(struct docx_numbers *numbers, const char *name);

// What a paragraph's properties say. `list` -1: nothing, the style decides.
struct docx_numbered {
    int list, level;
    char style[80]; // "": the default one
};
// Counts the paragraph. Appends its number and a blank ("3.2 ", "(a) ", "- "); nothing where it has
// none.
void docx_numbers_add(struct docx_numbers *numbers, const struct docx_numbered *paragraph,
                      struct buf *out);

#endif
