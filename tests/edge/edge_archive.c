// SPDX-License-Identifier: Apache-2.0
// Archives by libzip.
#include "edge_archive.h"

#include <stdlib.h>
#include <string.h>

#include <zip.h>

#include "base/check.h"

#define WORD "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

void archive_make(struct buf *out, const struct archive_part *parts)
{
    zip_error_t error;
    zip_stat_t about;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    CHECK(source);
    zip_t *zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    CHECK(zip);
    zip_source_keep(source);
    for (; parts->name; parts++) {
        zip_source_t *part = zip_source_buffer(zip, parts->text, strlen(parts->text), 0);
        CHECK(part && zip_file_add(zip, parts->name, part, ZIP_FL_ENC_UTF_8) >= 0);
    }
    CHECK(zip_close(zip) == 0);
    CHECK(zip_source_open(source) == 0 && zip_source_stat(source, &about) == 0);
    char *bytes = malloc(about.size + 1);
    CHECK(bytes && zip_source_read(source, bytes, about.size) == (zip_int64_t)about.size);
    buf_add(out, bytes, about.size);
    free(bytes);
    zip_source_close(source);
    zip_source_free(source);
    zip_error_fini(&error);
}

void archive_docx(struct buf *out, const char *body, const char *footnotes)
{
    struct buf document OWN_BUF, notes OWN_BUF;
    buf_init(&document, 0);
    buf_init(&notes, 0);
    buf_printf(&document,
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"" WORD "\" "
               "xmlns:mc=\"http://schemas.openxmlformats.org/markup-compatibility/2006\">"
               "<w:body>%s</w:body></w:document>",
               body);
    buf_printf(&notes, "<w:footnotes xmlns:w=\"" WORD "\">%s</w:footnotes>",
               footnotes ? footnotes : "");
    const struct archive_part parts[] = {
        {"[Content_Types].xml", "<Types/>"},
        {"_rels/.rels",
         "<Relationships><Relationship Id=\"1\" Type=\"http://schemas.openxmlformats.org/"
         "officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/>"
         "</Relationships>"},
        {"word/document.xml", buf_str(&document)},
        {footnotes ? "word/footnotes.xml" : NULL, buf_str(&notes)},
        {NULL, NULL},
    };
    archive_make(out, parts);
}

static void wrap(struct buf *out, const char *element, const char *inside)
{
    buf_init(out, 0);
    buf_printf(out, "<w:%s xmlns:w=\"" WORD "\">%s</w:%s>", element, inside, element);
}

void archive_docx_numbered(struct buf *out, const char *body, const char *numbering,
                           const char *styles)
{
    struct buf document OWN_BUF, numbers OWN_BUF, style OWN_BUF;
    wrap(&document, "document", body);
    wrap(&numbers, "numbering", numbering);
    wrap(&style, "styles", styles);
    archive_make(out, (struct archive_part[]){{"word/document.xml", buf_str(&document)},
                                              {"word/numbering.xml", buf_str(&numbers)},
                                              {"word/styles.xml", buf_str(&style)},
                                              {NULL, NULL}});
}
