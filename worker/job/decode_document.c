// SPDX-License-Identifier: Apache-2.0
// From the document of a message to the spec.
#include "job/decode_document.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/text.h"

static bool fail(struct failure *out, const char *detail)
{
    failure_set(out, ERR_BAD_FIELD, "%s", detail);
    return false;
}

// ------------------------------------------------------------------------------- text

static bool take_text(struct job_spec *spec, const char *text, size_t len,
                      const struct decode_limits *limits, struct failure *out)
{
    struct buf clean OWN_BUF;
    buf_init(&clean, limits->text_bytes);
    if (!text_clean(&clean, text, len, NULL)) {
        failure_set(out, ERR_TOO_LARGE, "the document has %zu bytes of text; at most %zu are taken",
                    len, limits->text_bytes);
        return false;
    }
    text_sha256_hex(buf_str(&clean), clean.len, spec->document_sha256);
    spec->document = DOCUMENT_TEXT;
    spec->text_len = clean.len;
    spec->text =
        own_grow(buf_take(&clean), spec->text_len + 1, 1); // without the buffer's spare room
    return true;
}

// ------------------------------------------------------------------------------- bytes

// Is the charset of a media type one that text_clean can take? None means UTF-8.
static bool is_utf8_charset(const char *media_type)
{
    const char *charset = strcasestr(media_type, "charset=");
    if (!charset)
        return true;
    charset += strlen("charset=");
    charset += *charset == '"';
    size_t len = strcspn(charset, "\"; ");
    return (len == 5 && strncasecmp(charset, "utf-8", len) == 0) ||
           (len == 4 && strncasecmp(charset, "utf8", len) == 0) ||
           (len == 8 && strncasecmp(charset, "us-ascii", len) == 0);
}

static bool is_type(const char *media_type, const char *name)
{
    size_t len = strlen(name);
    return strcspn(media_type, "; \t") == len && strncasecmp(media_type, name, len) == 0;
}

bool decode_is_plain_text(const char *media_type, const struct config_command *extractors)
{
    for (; media_type && extractors && extractors->name; extractors++)
        if (is_type(media_type, extractors->name))
            return false;
    return media_type && strncasecmp(media_type, "text/", 5) == 0 &&
           !is_type(media_type, "text/html") && !is_type(media_type, "text/rtf") &&
           !is_type(media_type, "text/richtext") && is_utf8_charset(media_type);
}

// Whole characters only: which encoding broken ones are in is for an extractor to find out.
static bool is_utf8_text(const char *bytes, size_t len)
{
    if (text_foreign_encoding(bytes, len))
        return false;
    struct buf clean OWN_BUF;
    unsigned flags = 0;
    buf_init(&clean, 0);
    text_clean(&clean, bytes, len, &flags);
    return (flags & TEXT_HAD_INVALID) == 0;
}

static bool decode_base64(const json_t *data, const struct decode_limits *limits, struct buf *bytes,
                          struct failure *out)
{
    buf_init(bytes, limits->text_bytes);
    if (text_add_base64(bytes, json_string_value(data), json_string_length(data)))
        return true;
    if (!bytes->overflow)
        return fail(out, "document.data is not base64");
    failure_set(out, ERR_TOO_LARGE, "the document has more than the %zu bytes that are taken",
                limits->text_bytes);
    return false;
}

static bool take_data(struct job_spec *spec, const json_t *data, const struct decode_limits *limits,
                      struct failure *out)
{
    if (!spec->media_type)
        return fail(out, "document.media_type is missing; document.data needs it, for instance "
                         "\"application/pdf\"");
    struct buf bytes OWN_BUF;
    if (!decode_base64(data, limits, &bytes, out))
        return false;
    if (decode_is_plain_text(spec->media_type, limits->extractors) &&
        is_utf8_text(buf_str(&bytes), bytes.len))
        return take_text(spec, buf_str(&bytes), bytes.len, limits, out);
    text_sha256_hex(buf_str(&bytes), bytes.len, spec->document_sha256);
    spec->document = DOCUMENT_DATA;
    spec->data_len = bytes.len;
    spec->data = own_grow(buf_take(&bytes), spec->data_len + 1, 1);
    return true;
}

// ------------------------------------------------------------------------------- references

static void copy_sha256(struct job_spec *spec, const char *sha256)
{
    for (size_t i = 0; i < 64; i++)
        spec->document_sha256[i] =
            (char)(sha256[i] >= 'A' && sha256[i] <= 'F' ? sha256[i] - 'A' + 'a' : sha256[i]);
}

static bool take_stored(struct job_spec *spec, const char *sha256)
{
    copy_sha256(spec, sha256);
    spec->document = DOCUMENT_STORED;
    return true;
}

// Which paths and hosts may be read is the extractor's business; other schemes are read by nobody.
static bool take_url(struct job_spec *spec, const json_t *document, struct failure *out)
{
    const char *sha256 = json_string_value(json_object_get(document, "sha256"));
    if (strncasecmp(spec->document_url, "file:", 5) != 0 &&
        strncasecmp(spec->document_url, "https:", 6) != 0) {
        failure_set(out, ERR_FORBIDDEN_URL,
                    "document.url: only file: and https: are read in this version");
        return false;
    }
    if (sha256)
        copy_sha256(spec, sha256);
    spec->document = DOCUMENT_URL;
    return true;
}

bool decode_document(struct job_spec *spec, const json_t *document,
                     const struct decode_limits *limits, struct failure *out)
{
    const json_t *text = json_object_get(document, "text");
    const json_t *data = json_object_get(document, "data");
    const json_t *stored = json_object_get(document, "stored");
    int forms = (text != NULL) + (data != NULL) + (stored != NULL) + (spec->document_url != NULL);
    if (forms != 1) {
        failure_set(out, ERR_BAD_FIELD,
                    "document has %d of text, data, url and stored; expected one", forms);
        return false;
    }
    if (spec->media_type && text)
        return fail(out, "document.media_type goes with data, url and stored only");
    if (json_object_get(document, "sha256") && !spec->document_url)
        return fail(out, "document.sha256 goes with url only");
    if (stored)
        return take_stored(spec, json_string_value(stored));
    if (data)
        return take_data(spec, data, limits, out);
    if (spec->document_url)
        return take_url(spec, document, out);
    return take_text(spec, json_string_value(text), json_string_length(text), limits, out);
}

static void keep(json_t *kept, const char *name, const char *value)
{
    if (value && value[0])
        json_object_set_new(kept, name, json_string(value));
}

json_t *decode_document_kept(const struct job_spec *spec)
{
    json_t *kept = json_object();
    bool url = spec->document == DOCUMENT_URL;
    keep(kept, "url", spec->document_url);
    keep(kept, url ? "sha256" : "stored", spec->document_sha256);
    keep(kept, "name", spec->document_name);
    if (spec->document != DOCUMENT_TEXT)
        keep(kept, "media_type", spec->media_type);
    return kept;
}
