// SPDX-License-Identifier: Apache-2.0
// One document: where it comes from, what it is, who reads it, and the last touches to its text.
#include "io/extract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"
#include "io/extract_docx.h"
#include "io/extract_encoding.h"
#include "io/extract_html.h"
#include "io/extract_kind.h"
#include "io/extract_name.h"
#include "io/extract_run.h"

// ------------------------------------------------------------------------------- answers

void extract_answer_init(struct extract_answer *answer, size_t max_text_bytes)
{
    *answer = (struct extract_answer){.failure = {.retry_after_ms = -1}};
    buf_init(&answer->text, max_text_bytes);
}

void extract_answer_deinit(struct extract_answer *answer)
{
    buf_deinit(&answer->text);
    free(answer->media_type);
    free(answer->extractor);
    for (size_t i = 0; i < answer->warning_count; i++)
        free(answer->warnings[i]);
    *answer = (struct extract_answer){0};
}

void extract_warn(struct extract_answer *answer, const char *sentence)
{
    for (size_t i = 0; i < answer->warning_count; i++)
        if (strcmp(answer->warnings[i], sentence) == 0)
            return;
    if (answer->warning_count < EXTRACT_WARNINGS && sentence[0])
        answer->warnings[answer->warning_count++] = own_strdup(sentence);
}

bool extract_fail(struct extract_answer *answer, enum err_code code, const char *suggestion,
                  const char *format, ...)
{
    char sentence[FAILURE_DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    failure_set(&answer->failure, code, "%s", sentence);
    snprintf(answer->failure.suggestion, sizeof(answer->failure.suggestion), "%s",
             suggestion ? suggestion : "");
    buf_clear(&answer->text);
    return false;
}

// ------------------------------------------------------------------------------- texts

static const struct flag_warning {
    unsigned flag;
    const char *sentence;
} flag_warnings[] = {
    {TEXT_HAD_NUL, "NUL bytes were taken out of the document's text."},
    {TEXT_HAD_INVALID, "Bytes that stand for no character were replaced by U+FFFD; the rest of the "
                       "text is as it was."},
    {TEXT_HAD_CONTROL, "Control characters were taken out of the document's text."},
    {TEXT_HAD_HIDDEN,
     "Invisible tag characters (U+E0000 to U+E007F), which can carry orders that no reader sees, "
     "were taken out of the document's text."},
    {TEXT_HAD_BIDI, "The text overrides the direction of writing: a reader may see it in another "
                    "order than the model read it."},
};

static void warn_of(struct extract_answer *answer, unsigned flags)
{
    for (size_t i = 0; i < sizeof(flag_warnings) / sizeof(flag_warnings[0]); i++)
        if (flags & flag_warnings[i].flag)
            extract_warn(answer, flag_warnings[i].sentence);
}

// CR LF and CR become LF, in place.
static void unify_line_ends(struct buf *text)
{
    size_t to = 0;
    for (size_t from = 0; from < text->len; from++) {
        char c = text->data[from];
        if (c == '\r' && from + 1 < text->len && text->data[from + 1] == '\n')
            continue;
        text->data[to++] = c == '\r' ? '\n' : c;
    }
    text->len = to;
    if (text->data)
        text->data[to] = '\0';
}

bool extract_finish(struct extract_answer *answer, const struct buf *raw)
{
    unsigned flags;
    buf_clear(&answer->text);
    if (!text_clean(&answer->text, buf_str(raw), raw->len, &flags))
        return extract_fail(answer, ERR_EXTRACTOR_LIMIT, NULL,
                            "The document has more than %zu bytes of text "
                            "(documents.max_text_bytes)",
                            answer->text.cap);
    unify_line_ends(&answer->text);
    warn_of(answer, flags);
    if (text_is_blank(buf_str(&answer->text), answer->text.len))
        return extract_fail(answer, ERR_NO_TEXT, "Send a document with text in it.",
                            "The document has no text: nothing but white space");
    return true;
}

// ------------------------------------------------------------------------------- kinds

// The bytes as UTF-8, whatever they were.
static bool decode(struct buf *out, const struct extract_ask *ask, const char *declared,
                   const void *bytes, size_t len, struct extract_answer *answer)
{
    char charset[48], sentence[160];
    bool told = extract_parameter(ask->media_type, "charset", charset, sizeof(charset));
    struct encoding_hints hints = {told ? charset : NULL, declared};
    struct encoding_result found;
    struct failure failure;
    if (!encoding_decode(out, bytes, len, &hints, &found, &failure)) {
        answer->failure = failure;
        return false;
    }
    warn_of(answer, found.flags);
    if (found.guessed) {
        snprintf(sentence, sizeof(sentence),
                 "The document does not say its encoding; it was read as %s.", found.name);
        extract_warn(answer, sentence);
    }
    return true;
}

static bool read_text(const struct extract_ask *ask, const void *bytes, size_t len,
                      struct extract_answer *answer)
{
    struct buf text OWN_BUF;
    buf_init(&text, (size_t)ask->max_text_bytes);
    return decode(&text, ask, NULL, bytes, len, answer) && extract_finish(answer, &text);
}

static bool read_html(const struct extract_ask *ask, const void *bytes, size_t len,
                      struct extract_answer *answer)
{
    char declared[48];
    struct buf page OWN_BUF, text OWN_BUF;
    buf_init(&page, 3 * (size_t)ask->max_bytes); // an 8-bit encoding may grow
    buf_init(&text, (size_t)ask->max_text_bytes);
    html_declared_charset(bytes, len, declared, sizeof(declared));
    if (!decode(&page, ask, declared[0] ? declared : NULL, bytes, len, answer) ||
        !html_to_text(&page, &text, answer))
        return false;
    return extract_finish(answer, &text);
}

static bool read_docx(const struct extract_ask *ask, const void *bytes, size_t len,
                      struct extract_answer *answer)
{
    struct buf text OWN_BUF;
    buf_init(&text, (size_t)ask->max_text_bytes);
    return docx_to_text(bytes, len, (size_t)ask->max_bytes, &text, answer) &&
           extract_finish(answer, &text);
}

static bool refuse_foreign(const struct extract_type *type, struct extract_answer *answer)
{
    char suggestion[FAILURE_SUGGESTION_BYTES];
    snprintf(
        suggestion, sizeof(suggestion),
        "Name a program for it under documents.extractors, as in {%s: [%s, \"{in}\"]}, or send "
        "the document as PDF, DOCX or text.",
        type->media_type, type->hint ? type->hint : "PROGRAM");
    return extract_fail(answer, ERR_UNREADABLE, suggestion,
                        "The document is %s, which nothing is configured to read", type->what);
}

// An OLE container is an old Office document, or a new one that was encrypted.
static bool is_encrypted_office(const void *bytes, size_t len)
{
    static const char name[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
    return memmem(bytes, len, name, sizeof(name)) != NULL;
}

static bool read_foreign(const struct extract_type *type, const void *bytes, size_t len,
                         struct extract_answer *answer)
{
    if (strcmp(type->media_type, "application/msword") == 0 && is_encrypted_office(bytes, len))
        return extract_fail(answer, ERR_PROTECTED,
                            "Open it in Word, take the password off (File, Info, Protect "
                            "Document), and send it again.",
                            "The document is protected: it needs a password to be opened");
    return refuse_foreign(type, answer);
}

static bool read_kind(const struct extract_ask *ask, const struct extract_type *type,
                      const void *bytes, size_t len, struct extract_answer *answer)
{
    switch (type->kind) {
    case EXTRACT_TEXT:
        return read_text(ask, bytes, len, answer);
    case EXTRACT_HTML:
        return read_html(ask, bytes, len, answer);
    case EXTRACT_ZIP:
    case EXTRACT_DOCX:
        return read_docx(ask, bytes, len, answer);
    case EXTRACT_PDF:
        return extract_by_program(ask, NULL, type->media_type, bytes, len, answer);
    case EXTRACT_FOREIGN:
        return read_foreign(type, bytes, len, answer);
    }
    return false;
}

static void read_bytes(const struct extract_ask *ask, const void *bytes, size_t len,
                       struct extract_answer *answer)
{
    if (len == 0) {
        extract_fail(answer, ERR_NO_TEXT, "Send a document with text in it.",
                     "The document is empty: it has no bytes");
        return;
    }
    const struct extract_type *type = extract_type_of(ask->media_type, ask->name, bytes, len);
    const struct config_command *command = extract_command_for(ask->extractors, ask->media_type);
    if (!command)
        command = extract_command_for(ask->extractors, type->media_type);
    const char *media_type = command ? command->name : type->media_type;
    bool zip = type->kind == EXTRACT_ZIP && !command; // a DOCX, or read_docx refuses
    answer->media_type = own_strdup(zip ? extract_docx_type : media_type);
    answer->extractor = extract_reader_name(command, type->kind, ask->pdf_version);
    if (command)
        extract_by_program(ask, command->argv, media_type, bytes, len, answer);
    else
        read_kind(ask, type, bytes, len, answer);
}

// ------------------------------------------------------------------------------- the whole

static bool check_bytes(const struct extract_ask *ask, size_t len, struct extract_answer *answer)
{
    if (len > (size_t)ask->max_bytes)
        return extract_fail(answer, ERR_TOO_LARGE, NULL,
                            "The document has %zu bytes; documents.max_bytes allows %lld", len,
                            (long long)ask->max_bytes);
    if (ask->sha256 && strcmp(ask->sha256, answer->sha256) != 0)
        return extract_fail(answer, ERR_UNREADABLE,
                            "Send the job again with the sha256 of the document that is meant.",
                            "What stands at the document's URL is not what the job names: its "
                            "SHA-256 is %s",
                            answer->sha256);
    return true;
}

void extract_document(const struct extract_ask *ask, const void *bytes, size_t len,
                      struct extract_answer *answer)
{
    text_sha256_hex(bytes, len, answer->sha256);
    if (check_bytes(ask, len, answer))
        read_bytes(ask, bytes, len, answer);
}
