// SPDX-License-Identifier: Apache-2.0
// From the bytes of a Kafka message to a job.
//
// The order is chosen so that each refusal is the most useful one, and names the job: size, JSON,
// then who it is (tenant, batch, id), then the version (a newer one may look quite different), then
// the kind, then the fields, then the document. The message written again without its document
// (spec_json) is decoded by this same code when the job is run later.
#include "job/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/own.h"
#include "core/identity.h"
#include "core/json_scan.h"
#include "core/text.h"
#include "job/decode_document.h"
#include "job/fields.h"

#define VERSION   1
#define MAX_DEPTH 64

// ------------------------------------------------------------------------ bytes to JSON

// A view of the value without what frames it.
struct span {
    const char *data;
    size_t len;
};

// A schema registry's frame is a zero byte and four bytes of a number; JSON never begins with one.
static struct span unwrap(const struct message *message)
{
    struct span span = {message->value, message->value_len};
    if (span.len >= 5 && span.data[0] == '\0')
        span = (struct span){span.data + 5, span.len - 5};
    if (span.len >= 3 && memcmp(span.data, "\xef\xbb\xbf", 3) == 0)
        span = (struct span){span.data + 3, span.len - 3};
    return span;
}

// Escapes that have to be mended are rare; without any the value is not copied.
static json_t *load_mended(struct span span, const struct json_limits *limits, struct failure *out)
{
    const unsigned flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
    if (!memmem(span.data, span.len, "\\u", 2))
        return json_load_checked(span.data, span.len, limits, flags, out);
    char *copy OWN_FREE = own_strndup(span.data, span.len);
    json_scan_mend_surrogates(copy, &span.len);
    return json_load_checked(copy, span.len, limits, flags, out);
}

static json_t *load_object(const struct message *message, const struct decode_limits *limits,
                           struct failure *out)
{
    if (message->value_len > limits->value_bytes) {
        char hex[65];
        text_sha256_hex(message->value, message->value_len, hex);
        failure_set(out, ERR_TOO_LARGE,
                    "the value has %zu bytes; at most %zu are read (its SHA-256 is %s)",
                    message->value_len, limits->value_bytes, hex);
        return NULL;
    }
    struct span span = unwrap(message);
    if (span.len == 0) {
        failure_set(out, ERR_BAD_MESSAGE, "the value is empty; expected a JSON object");
        return NULL;
    }
    const struct json_limits json_limits = {limits->value_bytes, MAX_DEPTH, limits->nodes};
    json_t *root = load_mended(span, &json_limits, out);
    if (root && !json_is_object(root)) {
        failure_set(out, ERR_BAD_MESSAGE, "the value is %s; expected a JSON object",
                    json_is_array(root) ? "an array" : "a single value");
        json_decref(root);
        return NULL;
    }
    return root;
}

// --------------------------------------------------------------------------- who it is

// The name of a message that has none. Topic names have up to 249 characters of the same kind.
static char *name_by_place(const struct message *message)
{
    char name[SPEC_NAME_BYTES + 1];
    snprintf(name, sizeof(name), "%.160s:%d:%lld", message->topic, (int)message->partition,
             (long long)message->offset);
    return own_strdup(name);
}

// A name that is there and good, the fallback where none is there, NULL where it is bad.
static char *read_name(const json_t *root, const char *field, const char *fallback)
{
    const json_t *value = json_object_get(root, field);
    if (!value)
        return own_strdup(fallback);
    bool good = json_is_string(value) &&
                identity_name_ok(json_string_value(value), json_string_length(value));
    return good ? own_strdup(json_string_value(value)) : NULL;
}

static void read_identity(struct job_spec *spec, const json_t *root, const struct message *message)
{
    char *place OWN_FREE = name_by_place(message);
    spec->tenant = read_name(root, "tenant", "default");
    spec->batch = read_name(root, "batch", "default");
    spec->id = read_name(root, "id", place);
    json_int_t revision = json_integer_value(json_object_get(root, "revision"));
    spec->revision = revision > 0 ? revision : 0;
}

// Keeps of a spec that was given up only who it was to be.
static void keep_identity(struct decode_out *out)
{
    struct job_spec *spec = &out->spec, kept;
    job_spec_init(&kept);
    kept.tenant = spec->tenant;
    kept.batch = spec->batch;
    kept.id = spec->id;
    kept.revision = spec->revision;
    spec->tenant = spec->batch = spec->id = NULL;
    job_spec_deinit(spec);
    *spec = kept;
}

// The first well-formed header of W3C Trace Context; anything else counts as none.
static void read_traceparent(struct job_spec *spec, const struct message *message)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    for (size_t i = 0; i < message->header_count && !spec->traceparent[0]; i++) {
        const struct header *header = &message->headers[i];
        const char *value = header->value;
        if (!header->name || strcmp(header->name, "traceparent") != 0 || !value ||
            header->value_len != sizeof(form) - 1 || memcmp(value, "ff", 2) == 0)
            continue;
        bool good = true;
        for (size_t c = 0; c < sizeof(form) - 1; c++)
            good = good && (form[c] == '-' ? value[c] == '-'
                                           : value[c] && strchr("0123456789abcdef", value[c]));
        if (good && strncmp(value + 3, "00000000000000000000000000000000", 32) != 0 &&
            strncmp(value + 36, "0000000000000000", 16) != 0)
            memcpy(spec->traceparent, value, sizeof(form) - 1);
    }
}

// ------------------------------------------------------------------------------ the job

// The message again, as it is kept: names written out, the document by its hash.
static void write_spec(struct job_spec *spec, const json_t *root)
{
    json_t *kept = json_object();
    json_object_set_new(kept, "v", json_integer(VERSION));
    json_object_set_new(kept, "tenant", json_string(spec->tenant));
    json_object_set_new(kept, "batch", json_string(spec->batch));
    json_object_set_new(kept, "id", json_string(spec->id));
    json_object_update_missing(kept, (json_t *)root);
    json_object_set_new(kept, "document", decode_document_kept(spec));
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    identity_write_json(&text, kept, false);
    spec->spec_json = buf_take(&text);
    json_decref(kept);
}

static void hash_content(struct job_spec *spec, const json_t *root)
{
    const char *kind = job_kind_text(spec->kind);
    const struct identity_content content = {
        .kind = kind,
        .parameters = json_object_get(root, kind),
        .document_sha256 = spec->document_sha256[0] ? spec->document_sha256 : NULL,
        .document_url = spec->document_url,
    };
    identity_hash(&content, spec->content_hash);
}

static enum decoded decode_job(const json_t *root, const struct message *message,
                               const struct decode_limits *limits, struct decode_out *out)
{
    struct job_spec *spec = &out->spec;
    const json_t *document = json_object_get(root, "document");
    if (!fields_take(spec, FIELD_SET_JOB, root, &out->failure) ||
        !decode_document(spec, document, limits, &out->failure))
        return DECODED_BAD;
    if (spec->points_min > spec->points_max) {
        failure_set(&out->failure, ERR_BAD_FIELD,
                    "summarize.key_points.min is %lld; expected at most max, which is %lld",
                    (long long)spec->points_min, (long long)spec->points_max);
        return DECODED_BAD;
    }
    fields_fill(spec);
    if (spec->after_batch && strcmp(spec->after_batch, spec->batch) == 0) {
        failure_set(&out->failure, ERR_BAD_FIELD,
                    "after.batch is the job's own batch, which would wait for itself");
        return DECODED_BAD;
    }
    if (!spec->labels_json)
        spec->labels_json = own_strdup("{}");
    read_traceparent(spec, message);
    write_spec(spec, root);
    hash_content(spec, root);
    return DECODED_JOB;
}

static enum decoded decode_seal(const json_t *root, struct decode_out *out)
{
    if (!fields_take(&out->spec, FIELD_SET_SEAL, root, &out->failure))
        return DECODED_BAD;
    out->seal_total = json_integer_value(json_object_get(root, "total"));
    return DECODED_SEAL;
}

// False: `v` is there and no version at all.
static bool read_version(const json_t *root, struct decode_out *out)
{
    const json_t *value = json_object_get(root, "v");
    json_int_t version = value ? json_integer_value(value) : VERSION;
    if ((value && !json_is_integer(value)) || version < VERSION || version > INT32_MAX) {
        fields_refuse(&out->failure, job_field_find(FIELD_SET_JOB, "v"), value);
        return false;
    }
    out->version = (int32_t)version;
    return true;
}

static enum decoded decode_later(const struct message *message, struct decode_out *out)
{
    free(out->spec.id);
    out->spec.id = name_by_place(message);
    failure_set(&out->failure, ERR_VERSION_TOO_NEW,
                "v is %d; this worker reads %d and leaves the message to a newer one",
                (int)out->version, VERSION);
    return DECODED_LATER;
}

static enum decoded decode_root(const json_t *root, const struct message *message,
                                const struct decode_limits *limits, struct decode_out *out)
{
    read_identity(&out->spec, root, message);
    if (!read_version(root, out))
        return DECODED_BAD;
    if (out->version > VERSION)
        return decode_later(message, out);
    const char *kind = json_string_value(json_object_get(root, "kind"));
    if (kind && strcmp(kind, "seal") == 0)
        return decode_seal(root, out);
    if (kind &&
        (strcmp(kind, "agent") == 0 || strcmp(kind, "chat") == 0 || strcmp(kind, "report") == 0)) {
        failure_set(&out->failure, ERR_KIND_NOT_SUPPORTED, "kind %s is not supported yet", kind);
        return DECODED_BAD;
    }
    return decode_job(root, message, limits, out);
}

enum decoded job_decode(const struct message *message, const struct decode_limits *limits,
                        struct decode_out *out)
{
    *out = (struct decode_out){.version = VERSION};
    job_spec_init(&out->spec);
    if (!message->value)
        return DECODED_SKIP;
    json_t *root = load_object(message, limits, &out->failure);
    if (!root) {
        struct job_spec *spec = &out->spec;
        identity_split(message->key, message->key_len, &spec->tenant, &spec->batch, &spec->id);
        return DECODED_BAD;
    }
    enum decoded decoded = decode_root(root, message, limits, out);
    json_decref(root);
    if (decoded == DECODED_BAD || decoded == DECODED_LATER)
        keep_identity(out);
    return decoded;
}

void decode_out_deinit(struct decode_out *out)
{
    job_spec_deinit(&out->spec);
}
