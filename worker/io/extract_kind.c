// SPDX-License-Identifier: Apache-2.0
// The table of media types, and the ways into it.
#include "io/extract_kind.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNATURE_REACH 1024 // a PDF's header may stand behind this many bytes of something else

static const struct row {
    struct extract_type type;
    const char *endings; // of names, with spaces between
} rows[] = {
    {{"text/plain", EXTRACT_TEXT, "a text", NULL}, "txt text log"},
    {{"text/markdown", EXTRACT_TEXT, "a Markdown text", NULL}, "md markdown mdown"},
    {{"text/html", EXTRACT_HTML, "a web page", NULL}, "html htm"},
    {{"application/xhtml+xml", EXTRACT_HTML, "a web page", NULL}, "xhtml xht"},
    {{"application/pdf", EXTRACT_PDF, "a PDF", "pdftotext"}, "pdf"},
    {{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", EXTRACT_DOCX,
      "a Word document (DOCX)", NULL},
     "docx docm dotx"},
    {{"application/zip", EXTRACT_ZIP, "a ZIP archive", NULL}, "zip"},
    {{"text/csv", EXTRACT_TEXT, "a table (CSV)", NULL}, "csv"},
    {{"application/json", EXTRACT_TEXT, "JSON", NULL}, "json"},
    {{"application/msword", EXTRACT_FOREIGN, "an old Word document (DOC)", "antiword"}, "doc dot"},
    {{"application/rtf", EXTRACT_FOREIGN, "an RTF document", "unrtf"}, "rtf"},
    {{"application/vnd.oasis.opendocument.text", EXTRACT_FOREIGN, "an OpenDocument text",
      "odt2txt"},
     "odt"},
    {{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", EXTRACT_FOREIGN,
      "a spreadsheet (XLSX)", "xlsx2csv"},
     "xlsx"},
    {{"application/vnd.openxmlformats-officedocument.presentationml.presentation", EXTRACT_FOREIGN,
      "a presentation (PPTX)", NULL},
     "pptx"},
    {{"application/vnd.ms-excel", EXTRACT_FOREIGN, "an old spreadsheet (XLS)", "xls2csv"}, "xls"},
    {{"application/epub+zip", EXTRACT_FOREIGN, "an e-book (EPUB)", "pandoc"}, "epub"},
    {{"application/vnd.ms-outlook", EXTRACT_FOREIGN, "an Outlook message (MSG)", NULL}, "msg"},
    {{"application/postscript", EXTRACT_FOREIGN, "a PostScript document", "ps2ascii"}, "ps eps"},
    {{"application/gzip", EXTRACT_FOREIGN, "a compressed file (gzip)", "zcat"}, "gz tgz"},
    {{"image/png", EXTRACT_FOREIGN, "a picture (PNG)", "tesseract"}, "png"},
    {{"image/jpeg", EXTRACT_FOREIGN, "a picture (JPEG)", "tesseract"}, "jpg jpeg"},
    {{"image/tiff", EXTRACT_FOREIGN, "a picture (TIFF)", "tesseract"}, "tif tiff"},
    {{"image/gif", EXTRACT_FOREIGN, "a picture (GIF)", "tesseract"}, "gif"},
};

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

// Other names of the same.
static const char *const aliases[][2] = {
    {"text/x-markdown", "text/markdown"},
    {"application/x-pdf", "application/pdf"},
    {"text/rtf", "application/rtf"},
    {"application/x-rtf", "application/rtf"},
    {"application/x-zip-compressed", "application/zip"},
};

static const struct signature {
    const char *bytes;
    size_t len;
    const char *media_type;
} signatures[] = {
    {"PK\x03\x04", 4, "application/zip"},
    {"PK\x05\x06", 4, "application/zip"}, // an empty one
    {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8, "application/msword"},
    {"{\\rtf", 5, "application/rtf"},
    {"%!PS", 4, "application/postscript"},
    {"\x1f\x8b\x08", 3, "application/gzip"},
    {"\x89PNG\r\n\x1a\n", 8, "image/png"},
    {"\xff\xd8\xff", 3, "image/jpeg"},
    {"II*\0", 4, "image/tiff"},
    {"MM\0*", 4, "image/tiff"},
    {"GIF8", 4, "image/gif"},
};

static size_t bare_length(const char *media_type)
{
    size_t len = strcspn(media_type, ";");
    while (len && isspace((unsigned char)media_type[len - 1]))
        len--;
    return len;
}

static bool same(const char *name, const char *text, size_t len)
{
    return strlen(name) == len && strncasecmp(name, text, len) == 0;
}

const struct extract_type *extract_type_find(const char *media_type, size_t len)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
        if (same(aliases[i][0], media_type, len))
            return extract_type_find(aliases[i][1], strlen(aliases[i][1]));
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (same(rows[i].type.media_type, media_type, len))
            return &rows[i].type;
    return NULL;
}

// Is the word one of those in the list?
static bool listed(const char *list, const char *word, size_t len)
{
    for (const char *at = list; *at;) {
        size_t word_len = strcspn(at, " ");
        if (word_len == len && strncasecmp(at, word, len) == 0)
            return true;
        at += word_len;
        at += *at == ' ';
    }
    return false;
}

static const struct extract_type *type_by_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < ROW_COUNT; i++)
        if (listed(rows[i].endings, dot + 1, strlen(dot + 1)))
            return &rows[i].type;
    return NULL;
}

static const struct extract_type *type_by_bytes(const char *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++)
        if (len >= signatures[i].len && memcmp(bytes, signatures[i].bytes, signatures[i].len) == 0)
            return extract_type_find(signatures[i].media_type, strlen(signatures[i].media_type));
    size_t reach = len < SIGNATURE_REACH ? len : SIGNATURE_REACH;
    const char *pdf = memmem(bytes, reach, "%PDF-", 5);
    // Behind other bytes it may be a text that speaks of PDF.
    if (pdf == bytes || (pdf && memmem(bytes, len, "%%EOF", 5) && memmem(bytes, len, " obj", 4)))
        return extract_type_find("application/pdf", 15);
    return NULL;
}

// A page without a name or media type.
static bool looks_like_html(const char *bytes, size_t len)
{
    size_t at = len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    while (at < len && isspace((unsigned char)bytes[at]))
        at++;
    bytes += at;
    len -= at;
    return (len >= 14 && strncasecmp(bytes, "<!doctype html", 14) == 0) ||
           (len >= 6 && strncasecmp(bytes, "<html", 5) == 0 && strchr(" >\t\r\n", bytes[5]));
}

const struct extract_type *extract_type_of(const char *media_type, const char *name,
                                           const void *bytes, size_t len)
{
    size_t bare = media_type ? bare_length(media_type) : 0;
    const struct extract_type *told = bare ? extract_type_find(media_type, bare) : NULL;
    const struct extract_type *named = name ? type_by_name(name) : NULL;
    const struct extract_type *seen = bytes && len ? type_by_bytes(bytes, len) : NULL;
    // Signatures name families: what was told is more exact when it is of that family.
    const struct extract_type *said = told ? told : named;
    bool zipped = seen && seen->kind == EXTRACT_ZIP;
    if (seen && !zipped && (!said || said->kind != EXTRACT_FOREIGN))
        return seen;
    if (zipped && (!said || said->kind != EXTRACT_FOREIGN))
        return said && said->kind == EXTRACT_DOCX ? said : seen;
    if (told)
        return told;
    if (named)
        return named;
    if (!bare && bytes && len && looks_like_html(bytes, len))
        return extract_type_find("text/html", 9);
    return &rows[0].type;
}

const struct config_command *extract_command_for(const struct config_command *commands,
                                                 const char *media_type)
{
    size_t len = media_type ? bare_length(media_type) : 0;
    for (; commands && commands->name; commands++)
        if (len && same(commands->name, media_type, len))
            return commands;
    return NULL;
}

// Behind `name=` and a quotation mark; NULL: the parameter at `at` is another.
static const char *value_of(const char *at, const char *name)
{
    size_t len = strlen(name);
    at += strspn(at, " \t");
    if (strncasecmp(at, name, len) != 0 || at[len] != '=')
        return NULL;
    at += len + 1;
    return *at == '"' ? at + 1 : at;
}

bool extract_parameter(const char *media_type, const char *name, char *out, size_t out_bytes)
{
    const char *at = media_type ? strchr(media_type, ';') : NULL, *value = NULL;
    for (; at && !value; at = strchr(at + 1, ';'))
        value = value_of(at + 1, name);
    size_t len = value ? strcspn(value, "\"; \t") : 0;
    if (len == 0 || len >= out_bytes)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)tolower((unsigned char)value[i]);
    out[len] = '\0';
    return true;
}

void extract_suffix(const char *media_type, char *out, size_t out_bytes)
{
    const struct extract_type *type = extract_type_find(media_type, bare_length(media_type));
    out[0] = '\0';
    for (size_t i = 0; type && i < ROW_COUNT; i++)
        if (&rows[i].type == type)
            snprintf(out, out_bytes, ".%.*s", (int)strcspn(rows[i].endings, " "), rows[i].endings);
}
