// SPDX-License-Identifier: Apache-2.0
// Formats of files, and their content.
#include "cmd/submit_document.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/slurp.h"
#include "core/text.h"
#include "io/extract_kind.h"

#define NAME_CHARACTERS 1000 // of the field document.name
#define SNIFFED_BYTES   65536
#define DOCX_PART       "word/document.xml"

// ------------------------------------------------------------------------------- the format

static bool ends_as_text(const char *path)
{
    static const char *const endings[] = {".txt", ".text", ".md", ".markdown", ".log", ".csv"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

// Text has hardly any control characters; in UTF-16 it begins with a mark.
static bool looks_like_text(const char *bytes, size_t len)
{
    len = len < SNIFFED_BYTES ? len : SNIFFED_BYTES;
    if (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
        return true;
    size_t controls = 0;
    for (size_t i = 0; i < len; i++)
        controls +=
            (unsigned char)bytes[i] < 32 && (!bytes[i] || !strchr("\t\n\v\f\r\x1b", bytes[i]));
    return controls * 50 <= len;
}

static bool is_docx(const struct buf *bytes)
{
    return memmem(buf_str(bytes), bytes->len, DOCX_PART, strlen(DOCX_PART)) != NULL;
}

// NULL with a sentence: nothing that is configured reads it.
static const struct extract_type *judge_type(const struct extract_type *type,
                                             const struct config *config, const char *path,
                                             const struct buf *bytes, struct buf *problem)
{
    if (extract_command_for(config->documents.extractors, type->media_type))
        return type;
    if (type->kind == EXTRACT_ZIP && is_docx(bytes))
        return extract_type_of(NULL, "x.docx", NULL, 0);
    const char *dot = strrchr(path, '.');
    if (type->kind == EXTRACT_ZIP)
        buf_add_str(problem, "it is a ZIP archive: unpack it, and submit the folder");
    else if (type->kind == EXTRACT_FOREIGN)
        buf_printf(problem,
                   "it is %s: convert it, or name what reads it under "
                   "documents.extractors in the configuration%s%s%s",
                   type->what, type->hint ? " (for instance " : "", type->hint ? type->hint : "",
                   type->hint ? ")" : "");
    else if (type->kind == EXTRACT_TEXT && !ends_as_text(path) &&
             !looks_like_text(buf_str(bytes), bytes->len))
        buf_add_str(problem, "its format is not known, and it is no text");
    else if (strcmp(type->media_type, "application/json") == 0 && dot &&
             strcasecmp(dot, ".json") == 0)
        buf_add_str(problem, "JSON is no document; job messages stand in .jsonl files, one a line");
    else
        return type;
    return NULL;
}

// ------------------------------------------------------------------------------- the content

// Cleans what is text in UTF-8 throughout; anything else stays bytes, whose encoding an extractor
// finds out.
static void clean_text(struct submit_document *document)
{
    const char *bytes = buf_str(&document->content);
    size_t len = document->content.len;
    struct buf clean;
    unsigned flags = 0;
    if (text_foreign_encoding(bytes, len))
        return;
    buf_init(&clean, 0);
    text_clean(&clean, bytes, len, &flags);
    document->is_text = (flags & TEXT_HAD_INVALID) == 0;
    if (!document->is_text) {
        buf_deinit(&clean);
        return;
    }
    buf_deinit(&document->content);
    document->content = clean;
}

bool submit_document_read(struct submit_document *document, const struct config *config,
                          const char *path, char *problem, size_t problem_bytes)
{
    *document = (struct submit_document){0};
    buf_init(&document->content, (size_t)config->documents.max_bytes);
    struct buf *content = &document->content, words OWN_BUF;
    if (!slurp_file(content, path, problem, problem_bytes)) {
        size_t len = strlen(problem);
        if (content->overflow)
            snprintf(problem + len, problem_bytes - len,
                     " (documents.max_bytes in the configuration)");
        return false;
    }
    buf_init(&words, 0);
    const struct extract_type *type = extract_type_of(NULL, path, buf_str(content), content->len);
    type = judge_type(type, config, path, content, &words);
    if (!type) {
        snprintf(problem, problem_bytes, "%s", buf_str(&words));
        return false;
    }
    document->media_type = type->media_type;
    if (type->kind == EXTRACT_TEXT)
        clean_text(document);
    text_sha256_hex(buf_str(content), content->len, document->sha256);
    return true;
}

void submit_document_deinit(struct submit_document *document)
{
    buf_deinit(&document->content);
}

// ------------------------------------------------------------------------------- the message

// A path that is longer than the field is cut at its front: its end says what it is.
static json_t *name_json(const char *name)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    text_clean(&clean, name, strlen(name), NULL);
    const char *from = buf_str(&clean);
    for (size_t n = text_code_points(from, clean.len); n > NAME_CHARACTERS; n--)
        do
            from++;
        while (((unsigned char)*from & 0xc0) == 0x80);
    return json_string(from);
}

static json_t *base64_json(const struct buf *bytes)
{
    char *text OWN_FREE = own_alloc((bytes->len + 2) / 3 * 4 + 1);
    int len = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)buf_str(bytes),
                              (int)bytes->len);
    return json_stringn(text, (size_t)len);
}

json_t *submit_document_json(const struct submit_document *document, const char *name, bool stored)
{
    json_t *json = json_object();
    if (stored)
        json_object_set_new(json, "stored", json_string(document->sha256));
    else if (document->is_text)
        json_object_set_new(json, "text",
                            json_stringn(buf_str(&document->content), document->content.len));
    else
        json_object_set_new(json, "data", base64_json(&document->content));
    if (stored || !document->is_text)
        json_object_set_new(json, "media_type", json_string(document->media_type));
    json_object_set_new(json, "name", name_json(name));
    return json;
}
