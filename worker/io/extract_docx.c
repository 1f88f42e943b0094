// SPDX-License-Identifier: Apache-2.0
// DOCX: the archive, and which of its parts are read.
//
// The main part is the one that _rels/.rels names; styles, numbering, footnotes and endnotes are
// the files of those names beside it, as every program writes them.
#include "io/extract_docx.h"

#include <stdio.h>
#include <string.h>

#include <zip.h>

#include "io/extract_docx_xml.h"

#define NAME_BYTES 300
#define PIECE      65536

struct docx {
    zip_t *zip;
    size_t xml_left; // bytes that may still be inflated
    size_t xml_max;
    struct buf *out;
    struct extract_answer *answer;
    struct docx_numbers *numbers;
    bool hid_text, had_deletions;
};

static bool fail_damaged(const struct docx *docx)
{
    return extract_fail(docx->answer, ERR_DAMAGED, NULL,
                        "The Word document is cut or damaged: its parts cannot be read");
}

static bool fail_memory(const struct docx *docx)
{
    return extract_fail(docx->answer, ERR_EXTRACTOR_LIMIT, NULL,
                        "The Word document needs more memory than documents.memory allows");
}

static bool fail_zip(const struct docx *docx, zip_error_t *error)
{
    return zip_error_code_zip(error) == ZIP_ER_MEMORY ? fail_memory(docx) : fail_damaged(docx);
}

static bool fail_expansion(const struct docx *docx)
{
    return extract_fail(docx->answer, ERR_TOO_LARGE,
                        "Look whether it is a document at all (a small file that expands so far "
                        "may be an attack); if it is, raise documents.max_bytes.",
                        "The Word document expands to more than %zu bytes (documents.max_bytes)",
                        docx->xml_max);
}

static bool fail_push(const struct docx *docx, const struct docx_part *part)
{
    if (docx_part_lacked_memory(part))
        return fail_memory(docx);
    if (docx->out->overflow)
        return extract_fail(docx->answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "The document has more than %zu bytes of text "
                            "(documents.max_text_bytes)",
                            docx->out->cap);
    return fail_damaged(docx);
}

// ------------------------------------------------------------------------------- parts

static bool push_file(struct docx *docx, zip_file_t *file, struct docx_part *part)
{
    char piece[PIECE];
    for (;;) {
        zip_int64_t len = zip_fread(file, piece, sizeof(piece));
        if (len < 0)
            return fail_zip(docx, zip_file_get_error(file));
        if ((size_t)len > docx->xml_left)
            return fail_expansion(docx);
        docx->xml_left -= (size_t)len;
        if (!docx_part_push(part, piece, (size_t)len, len == 0))
            return fail_push(docx, part);
        if (len == 0)
            return true;
    }
}

static bool read_entry(struct docx *docx, zip_uint64_t index, struct docx_part *part)
{
    zip_stat_t about;
    if (zip_stat_index(docx->zip, index, 0, &about) != 0)
        return fail_zip(docx, zip_get_error(docx->zip));
    if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD) && about.encryption_method != ZIP_EM_NONE)
        return extract_fail(docx->answer, ERR_PROTECTED, NULL,
                            "The document is protected: its parts are encrypted");
    if ((about.valid & ZIP_STAT_SIZE) && about.size > docx->xml_left)
        return fail_expansion(docx);
    zip_file_t *file = zip_fopen_index(docx->zip, index, 0);
    if (!file)
        return fail_zip(docx, zip_get_error(docx->zip));
    bool fine = push_file(docx, file, part);
    zip_fclose(file);
    return fine;
}

// -1: no such part.
static zip_int64_t find_part(const struct docx *docx, const char *name)
{
    while (*name == '/')
        name++;
    return zip_name_locate(docx->zip, name, ZIP_FL_NOCASE);
}

// A part that is text. One that is not there is fine.
static bool read_words(struct docx *docx, const char *name, bool notes)
{
    zip_int64_t index = find_part(docx, name);
    if (index < 0)
        return true;
    if (notes && docx->out->len)
        buf_add_char(docx->out, '\n');
    struct docx_part *part = docx_part_new(docx->out, notes, docx->numbers);
    bool fine = read_entry(docx, (zip_uint64_t)index, part);
    docx->hid_text |= docx_part_hid_text(part);
    docx->had_deletions |= docx_part_had_deletions(part);
    docx_part_free(part);
    return fine;
}

// What counts its paragraphs. Where it is not there, nothing is counted.
static bool read_definitions(struct docx *docx, const char *name)
{
    zip_int64_t index = find_part(docx, name);
    if (index < 0)
        return true;
    struct docx_part *part = docx_part_definitions(docx->numbers);
    bool fine = read_entry(docx, (zip_uint64_t)index, part);
    docx_part_free(part);
    return fine;
}

// ------------------------------------------------------------------------------- archive

// NULL with a failure.
static zip_t *open_archive(struct docx *docx, const void *bytes, size_t len)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, len, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip)
        fail_zip(docx, &error);
    if (!zip && source)
        zip_source_free(source);
    zip_error_fini(&error);
    return zip;
}

// What other archives have, and a Word document has not.
static const struct other {
    const char *part, *what, *hint;
} others[] = {
    {"xl/workbook.xml", "a spreadsheet (XLSX)",
     "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet: [xlsx2csv, \"{in}\"]"},
    {"ppt/presentation.xml", "a presentation (PPTX)",
     "application/vnd.openxmlformats-officedocument.presentationml.presentation: [PROGRAM, "
     "\"{in}\"]"},
    {"META-INF/container.xml", "an e-book (EPUB)",
     "application/epub+zip: [pandoc, -f, epub, -t, plain, \"{in}\"]"},
    {"content.xml", "an OpenDocument file",
     "application/vnd.oasis.opendocument.text: [odt2txt, \"{in}\"]"},
};

static bool fail_other(const struct docx *docx)
{
    char suggestion[FAILURE_SUGGESTION_BYTES];
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (find_part(docx, others[i].part) < 0)
            continue;
        snprintf(suggestion, sizeof(suggestion),
                 "Name a program for it under documents.extractors, as in {%s}, or send the "
                 "document as PDF, DOCX or text.",
                 others[i].hint);
        return extract_fail(docx->answer, ERR_UNREADABLE, suggestion,
                            "The document is %s, which nothing is configured to read",
                            others[i].what);
    }
    return extract_fail(docx->answer, ERR_UNREADABLE, "Unpack it, and send the files in it.",
                        "The document is a ZIP archive and no Word document");
}

// "word/document.xml", or what the archive says in its place.
static bool find_main(struct docx *docx, char *out, size_t out_bytes)
{
    zip_int64_t relations = find_part(docx, "_rels/.rels");
    out[0] = '\0';
    if (relations >= 0) {
        struct docx_part *part = docx_part_relations("/officeDocument", out, out_bytes);
        bool fine = read_entry(docx, (zip_uint64_t)relations, part);
        docx_part_free(part);
        if (!fine)
            return false;
    }
    if (!out[0])
        snprintf(out, out_bytes, "word/document.xml");
    return true;
}

static bool is_word(const struct docx *docx, const char *main_part)
{
    return find_part(docx, main_part) >= 0 && find_part(docx, "xl/workbook.xml") < 0 &&
           find_part(docx, "ppt/presentation.xml") < 0;
}

// A file beside the main part: words (notes), or definitions.
static bool read_beside(struct docx *docx, const char *main_part, const char *file, bool words)
{
    char name[NAME_BYTES + 16];
    const char *slash = strrchr(main_part, '/');
    int directory = slash ? (int)(slash - main_part) + 1 : 0;
    snprintf(name, sizeof(name), "%.*s%s", directory, main_part, file);
    return words ? read_words(docx, name, true) : read_definitions(docx, name);
}

static bool read_all(struct docx *docx)
{
    char main_part[NAME_BYTES];
    if (!find_main(docx, main_part, sizeof(main_part)))
        return false;
    if (!is_word(docx, main_part))
        return fail_other(docx);
    return read_beside(docx, main_part, "styles.xml", false) &&
           read_beside(docx, main_part, "numbering.xml", false) &&
           read_words(docx, main_part, false) &&
           read_beside(docx, main_part, "footnotes.xml", true) &&
           read_beside(docx, main_part, "endnotes.xml", true);
}

bool docx_to_text(const void *bytes, size_t len, size_t max_xml_bytes, struct buf *out,
                  struct extract_answer *answer)
{
    struct docx docx = {
        .xml_left = max_xml_bytes, .xml_max = max_xml_bytes, .out = out, .answer = answer};
    docx.zip = open_archive(&docx, bytes, len);
    if (!docx.zip)
        return false;
    docx.numbers = docx_numbers_new();
    bool fine = read_all(&docx);
    docx_numbers_free(docx.numbers);
    zip_discard(docx.zip);
    if (docx.hid_text)
        extract_warn(answer, "Hidden text of the Word document was left out.");
    if (docx.had_deletions)
        extract_warn(answer,
                     "The Word document has tracked changes; what they delete was left out.");
    return fine;
}
