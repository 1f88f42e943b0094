// SPDX-License-Identifier: Apache-2.0
// Names of jobs and the hash of their content.
#include "core/identity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "base/check.h"
#include "base/own.h"
#include "core/job_fields.h"
#include "core/spec.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '@' || c == '-';
}

bool identity_name_ok(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_name_char(name[i]))
            return false;
    return len >= 1 && len <= SPEC_NAME_BYTES;
}

void identity_full_name(struct buf *out, const char *tenant, const char *batch, const char *id)
{
    buf_printf(out, "%s/%s/%s", tenant, batch, id);
}

bool identity_split(const char *key, size_t len, char **out_tenant, char **out_batch, char **out_id)
{
    if (len == 0)
        return false;
    const char *first = memchr(key, '/', len), *end = key + len;
    const char *second = first ? memchr(first + 1, '/', (size_t)(end - first - 1)) : NULL;
    if (!second || !identity_name_ok(key, (size_t)(first - key)) ||
        !identity_name_ok(first + 1, (size_t)(second - first - 1)) ||
        !identity_name_ok(second + 1, (size_t)(end - second - 1)))
        return false;
    *out_tenant = own_strndup(key, (size_t)(first - key));
    *out_batch = own_strndup(first + 1, (size_t)(second - first - 1));
    *out_id = own_strndup(second + 1, (size_t)(end - second - 1));
    return true;
}

void identity_number(double value, char out[IDENTITY_NUMBER_BYTES])
{
    CHECK(isfinite(value));
    if (value >= 0 && value <= 0)
        value = 0; // minus zero
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, IDENTITY_NUMBER_BYTES, "%.*g", digits, value);
        double back = strtod(out, NULL);
        if (back >= value && back <= value)
            return;
    }
}

static void write_string(struct buf *out, const char *text, size_t len)
{
    size_t run = 0;
    buf_add_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(out, text + run, i - run);
        run = i + 1;
        if (c >= 0x20)
            buf_printf(out, "\\%c", c);
        else
            buf_printf(out, "\\u%04x", c);
    }
    buf_add(out, text + run, len - run);
    buf_add_char(out, '"');
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_object(struct buf *out, const json_t *object, bool sorted)
{
    size_t count = 0;
    const char **names OWN_FREE = own_array(json_object_size(object), sizeof(*names));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) names[count++] = name;
    if (sorted)
        qsort(names, count, sizeof(*names), compare_names);
    buf_add_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(out, ',');
        write_string(out, names[i], strlen(names[i]));
        buf_add_char(out, ':');
        identity_write_json(out, json_object_get(object, names[i]), sorted);
    }
    buf_add_char(out, '}');
}

static void write_array(struct buf *out, const json_t *array, bool sorted)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i)
            buf_add_char(out, ',');
        identity_write_json(out, json_array_get(array, i), sorted);
    }
    buf_add_char(out, ']');
}

void identity_write_json(struct buf *out, const json_t *value, bool sorted)
{
    char number[IDENTITY_NUMBER_BYTES];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_object(out, value, sorted);
        break;
    case JSON_ARRAY:
        write_array(out, value, sorted);
        break;
    case JSON_STRING:
        write_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        identity_number(json_real_value(value), number);
        buf_add_str(out, number);
        break;
    case JSON_TRUE:
        buf_add_str(out, "true");
        break;
    case JSON_FALSE:
        buf_add_str(out, "false");
        break;
    case JSON_NULL:
        buf_add_str(out, "null");
        break;
    }
}

// Appends the members of `object` that are fields of the set and differ from their defaults, as
// one canonical object; false, and nothing, where none is left.
static bool write_parameters(struct buf *out, enum field_set set, const json_t *object);

static bool is_default(const struct field *field, const json_t *value)
{
    if (!field->fallback)
        return false;
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    identity_write_json(&text, value, true);
    return strcmp(buf_str(&text), field->fallback) == 0;
}

// The value as it counts for the content; false: it counts for nothing.
static bool write_parameter(struct buf *out, const struct field *field, const json_t *value)
{
    if (!field || field->type == FIELD_LATER || field->type == FIELD_TAG ||
        is_default(field, value))
        return false;
    if (field->type == FIELD_MEMBERS)
        return write_parameters(out, (enum field_set)field->low, value);
    identity_write_json(out, value, true);
    return true;
}

static bool write_parameters(struct buf *out, enum field_set set, const json_t *object)
{
    size_t count = 0;
    const char **names OWN_FREE = own_array(json_object_size(object), sizeof(*names));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) names[count++] = name;
    qsort(names, count, sizeof(*names), compare_names);
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        buf_clear(&text);
        if (!write_parameter(&text, job_field_find(set, names[i]),
                             json_object_get(object, names[i])))
            continue;
        buf_add_char(out, any ? ',' : '{');
        any = true;
        write_string(out, names[i], strlen(names[i]));
        buf_add_char(out, ':');
        buf_add(out, buf_str(&text), text.len);
    }
    if (any)
        buf_add_char(out, '}');
    return any;
}

void identity_hash(const struct identity_content *content, unsigned char out[32])
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_add_str(&text, "{\"document\":");
    if (content->document_sha256) {
        write_string(&text, content->document_sha256, strlen(content->document_sha256));
    } else {
        buf_add_str(&text, "{\"url\":");
        write_string(&text, content->document_url, strlen(content->document_url));
        buf_add_char(&text, '}');
    }
    buf_add_str(&text, ",\"kind\":");
    write_string(&text, content->kind, strlen(content->kind));
    buf_add_str(&text, ",\"parameters\":");
    if (!content->parameters || !write_parameters(&text, FIELD_SET_SUMMARIZE, content->parameters))
        buf_add_str(&text, "{}");
    buf_add_char(&text, '}');
    SHA256((const unsigned char *)text.data, text.len, out);
}

void identity_answer_key(const struct identity_question *question, unsigned char out[32])
{
    const char *const texts[] = {question->tenant, question->media_type, question->model,
                                 question->reasoning, question->prompt_version};
    struct buf all OWN_BUF;
    buf_init(&all, 0);
    buf_add(&all, (const char *)question->content, 32);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        buf_add(&all, texts[i], strlen(texts[i]) + 1);
    SHA256((const unsigned char *)all.data, all.len, out);
}
