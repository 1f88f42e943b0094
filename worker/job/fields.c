// SPDX-License-Identifier: Apache-2.0
// From JSON members to a job_spec, by the table of fields.
#include "job/fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"
#include "core/identity.h"
#include "core/money.h"
#include "core/text.h"
#include "core/time_text.h"

// Times outside these years are mistakes of a clock or a converter, and order nothing.
#define SENSE_FROM_MS  INT64_C(946684800000)  // 2000-01-01
#define SENSE_UNTIL_MS INT64_C(4102444800000) // 2100-01-01

// ------------------------------------------------------------------------------- sentences

static void say_found(struct buf *out, const json_t *value)
{
    char number[IDENTITY_NUMBER_BYTES];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        buf_printf(out, "an object of %zu members", json_object_size(value));
        break;
    case JSON_ARRAY:
        buf_printf(out, "an array of %zu items", json_array_size(value));
        break;
    case JSON_STRING:
        buf_printf(out, "a string of %zu characters",
                   text_code_points(json_string_value(value), json_string_length(value)));
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

static void say_words(struct buf *out, const char *words)
{
    if (strchr(words, ' '))
        buf_add_str(out, "one of ");
    for (const char *c = words; *c; c++)
        buf_add_str(out, *c == ' ' ? ", " : (char[]){*c, '\0'});
}

static void say_expected(struct buf *out, const struct field *field)
{
    long long low = (long long)field->low, high = (long long)field->high;
    switch (field->type) {
    case FIELD_NAME:
    case FIELD_TAG:
        buf_printf(out, "%lld to %lld of the characters A-Z a-z 0-9 . _ : @ -", low, high);
        break;
    case FIELD_TEXT:
        buf_printf(out, "a string of %lld to %lld characters", low, high);
        break;
    case FIELD_URL:
        buf_printf(out, "a URL of %lld to %lld characters", low, high);
        break;
    case FIELD_STRING:
        buf_add_str(out, "a string");
        break;
    case FIELD_SHA256:
        buf_add_str(out, "64 hexadecimal digits");
        break;
    case FIELD_INTEGER:
    case FIELD_SMALL:
        buf_printf(out, "an integer from %lld to %lld", low, high);
        break;
    case FIELD_NUMBER:
        buf_printf(out, "a number from %lld to %lld", low, high);
        break;
    case FIELD_BOOL:
        buf_add_str(out, "true or false");
        break;
    case FIELD_CHOICE:
    case FIELD_FLAG:
        say_words(out, field->words);
        break;
    case FIELD_TIME:
        buf_add_str(out, "an RFC 3339 time such as \"2026-11-22T07:00:00Z\"");
        break;
    case FIELD_MONEY:
        buf_add_str(out, "a decimal string of US dollars such as \"0.05\"");
        break;
    case FIELD_LABELS:
        buf_printf(out,
                   "an object of at most %lld strings, names up to %d and values up to %d "
                   "characters",
                   low, LABEL_NAME_CHARS, LABEL_VALUE_CHARS);
        break;
    case FIELD_SCHEMA:
        buf_printf(out, "an object of at most %lld bytes of JSON", high);
        break;
    case FIELD_MEMBERS:
        buf_add_str(out, "an object");
        break;
    case FIELD_LATER:
        buf_add_str(out, "nothing");
        break;
    }
}

// A word for which one of the field's words was perhaps meant.
static const char *guess_word(const struct field *field, const json_t *value, char room[32])
{
    if (!field->words || !json_is_string(value))
        return NULL;
    char copy[128];
    size_t len = strlen(field->words), count = 0;
    CHECK(len < sizeof(copy));
    memcpy(copy, field->words, len + 1);
    const char *words[16];
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    CHECK(count <= sizeof(words) / sizeof(words[0]));
    const char *nearest = text_nearest(json_string_value(value), words, count);
    if (nearest)
        memcpy(room, nearest, strlen(nearest) + 1);
    return nearest ? room : NULL;
}

void fields_refuse(struct failure *out, const struct field *field, const json_t *value)
{
    struct buf found OWN_BUF, expected OWN_BUF;
    buf_init(&found, 100);
    buf_init(&expected, 300);
    say_found(&found, value);
    say_expected(&expected, field);
    char room[32];
    const char *guess = guess_word(field, value, room);
    failure_set(out, ERR_BAD_FIELD, "%s%s is %s; expected %s%s%s%s", job_field_path(field->set),
                field->name, buf_str(&found), buf_str(&expected), guess ? "; did you mean " : "",
                guess ? guess : "", guess ? "?" : "");
}

// A name from outside is only repeated where it looks like a name.
static bool is_showable(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return len >= 1 && len <= 40 && name[len] == '\0';
}

static bool refuse_unknown(struct failure *out, enum field_set set, const char *name)
{
    const struct field *guess = job_field_guess(set, name);
    struct buf shown OWN_BUF;
    buf_init(&shown, 0);
    if (is_showable(name))
        buf_printf(&shown, "%s%s", job_field_path(set), name);
    else
        buf_printf(&shown, "%s(a name of %zu bytes)", job_field_path(set), strlen(name));
    if (guess)
        failure_set(out, ERR_BAD_FIELD, "%s is not a known field; did you mean %s%s?",
                    buf_str(&shown), job_field_path(guess->set), guess->name);
    else
        failure_set(out, ERR_BAD_FIELD,
                    "%s is not a known field; names of your own begin with x- or go into labels",
                    buf_str(&shown));
    return false;
}

// ---------------------------------------------------------------------------------- values

static void *place_of(struct job_spec *spec, const struct field *field)
{
    return (char *)spec + field->place;
}

// Takes `text` into a char * of the spec.
static void store_text(struct job_spec *spec, const struct field *field, char *text)
{
    if (field->place == FIELD_NOWHERE) {
        free(text);
        return;
    }
    char **place = place_of(spec, field);
    free(*place);
    *place = text;
}

static void store_int64(struct job_spec *spec, const struct field *field, int64_t value)
{
    if (field->place != FIELD_NOWHERE)
        *(int64_t *)place_of(spec, field) = value;
}

static bool take_name(struct job_spec *spec, const struct field *field, const json_t *value)
{
    if (!json_is_string(value) ||
        !identity_name_ok(json_string_value(value), json_string_length(value)))
        return false;
    store_text(spec, field, own_strdup(json_string_value(value)));
    return true;
}

static bool take_text(struct job_spec *spec, const struct field *field, const json_t *value)
{
    if (!json_is_string(value))
        return false;
    struct buf text OWN_BUF;
    buf_init(&text, (size_t)field->high * 4);
    if (!text_clean(&text, json_string_value(value), json_string_length(value), NULL))
        return false;
    size_t chars = text_code_points(buf_str(&text), text.len);
    if (chars < (size_t)field->low || chars > (size_t)field->high)
        return false;
    store_text(spec, field, buf_take(&text));
    return true;
}

static bool take_sha256(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) == 64 &&
           strspn(json_string_value(value), "0123456789abcdefABCDEF") == 64;
}

static bool take_integer(struct job_spec *spec, const struct field *field, const json_t *value)
{
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < field->low || number > field->high)
        return false;
    if (field->type == FIELD_SMALL)
        *(int *)place_of(spec, field) = (int)number;
    else
        store_int64(spec, field, number);
    return true;
}

static bool take_number(struct job_spec *spec, const struct field *field, const json_t *value)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || number < (double)field->low || number > (double)field->high)
        return false;
    char text[IDENTITY_NUMBER_BYTES];
    identity_number(number, text);
    store_text(spec, field, own_strdup(text));
    return true;
}

static bool take_word(struct job_spec *spec, const struct field *field, const json_t *value)
{
    int number =
        json_is_string(value) ? job_field_word(field->words, json_string_value(value)) : -1;
    if (number < 0)
        return false;
    if (field->place == FIELD_NOWHERE)
        return true;
    if (field->type == FIELD_FLAG)
        *(bool *)place_of(spec, field) = number == 1;
    else
        memcpy(place_of(spec, field), &number, sizeof(number));
    return true;
}

_Static_assert(sizeof(enum too_long) == sizeof(int) && sizeof(enum reasoning_mode) == sizeof(int),
               "take_word stores enums as int");

static bool take_bool(struct job_spec *spec, const struct field *field, const json_t *value)
{
    if (json_is_boolean(value))
        *(bool *)place_of(spec, field) = json_is_true(value);
    return json_is_boolean(value);
}

static bool take_time(struct job_spec *spec, const struct field *field, const json_t *value)
{
    int64_t unix_ms;
    if (!json_is_string(value) || !time_text_parse(json_string_value(value), &unix_ms))
        return false;
    if (unix_ms >= SENSE_FROM_MS && unix_ms < SENSE_UNTIL_MS)
        store_int64(spec, field, unix_ms);
    return true;
}

static bool take_money(struct job_spec *spec, const struct field *field, const json_t *value)
{
    int64_t picousd;
    if (!json_is_string(value) || !money_parse_usd(json_string_value(value), &picousd))
        return false;
    store_int64(spec, field, picousd);
    return true;
}

static bool take_labels(struct job_spec *spec, const struct field *field, const json_t *value)
{
    if (!json_is_object(value) || json_object_size(value) > (size_t)field->low)
        return false;
    const char *name;
    json_t *label;
    json_object_foreach((json_t *)value, name, label)
    {
        size_t chars = text_code_points(name, strlen(name));
        if (chars < 1 || chars > LABEL_NAME_CHARS || !json_is_string(label) ||
            text_code_points(json_string_value(label), json_string_length(label)) >
                LABEL_VALUE_CHARS)
            return false;
    }
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    identity_write_json(&text, value, true);
    store_text(spec, field, buf_take(&text));
    return true;
}

static bool take_schema(struct job_spec *spec, const struct field *field, const json_t *value)
{
    if (!json_is_object(value))
        return false;
    struct buf text OWN_BUF;
    buf_init(&text, (size_t)field->high);
    identity_write_json(&text, value, false);
    if (text.overflow)
        return false;
    store_text(spec, field, buf_take(&text));
    schema_size_of(value, &spec->schema_size);
    return true;
}

static bool take_value(struct job_spec *spec, const struct field *field, const json_t *value)
{
    switch (field->type) {
    case FIELD_NAME:
    case FIELD_TAG:
        return take_name(spec, field, value);
    case FIELD_TEXT:
    case FIELD_URL:
        return take_text(spec, field, value);
    case FIELD_STRING:
        return json_is_string(value);
    case FIELD_SHA256:
        return take_sha256(value);
    case FIELD_INTEGER:
    case FIELD_SMALL:
        return take_integer(spec, field, value);
    case FIELD_NUMBER:
        return take_number(spec, field, value);
    case FIELD_BOOL:
        return take_bool(spec, field, value);
    case FIELD_CHOICE:
    case FIELD_FLAG:
        return take_word(spec, field, value);
    case FIELD_TIME:
        return take_time(spec, field, value);
    case FIELD_MONEY:
        return take_money(spec, field, value);
    case FIELD_LABELS:
        return take_labels(spec, field, value);
    case FIELD_SCHEMA:
        return take_schema(spec, field, value);
    case FIELD_MEMBERS:
        return json_is_object(value);
    case FIELD_LATER:
        return false;
    }
    return false;
}

// One member. Sets inside sets are at most three deep (the table's, not the message's).
static bool take_field(struct job_spec *spec, const struct field *field, const json_t *value,
                       struct failure *out)
{
    if (field->type == FIELD_LATER) {
        failure_set(out, ERR_BAD_FIELD, "%s%s is not supported yet; leave it out",
                    job_field_path(field->set), field->name);
        return false;
    }
    if (!take_value(spec, field, value)) {
        fields_refuse(out, field, value);
        return false;
    }
    return field->type != FIELD_MEMBERS ||
           fields_take(spec, (enum field_set)field->low, value, out);
}

static bool check_required(enum field_set set, const json_t *object, struct failure *out)
{
    const struct field *field;
    for (size_t i = 0; (field = job_field_at(i)); i++) {
        if (field->set != set || !field->fallback || strcmp(field->fallback, FIELD_REQUIRED) != 0 ||
            json_object_get(object, field->name))
            continue;
        struct buf expected OWN_BUF;
        buf_init(&expected, 300);
        say_expected(&expected, field);
        failure_set(out, ERR_BAD_FIELD, "%s%s is missing; expected %s", job_field_path(set),
                    field->name, buf_str(&expected));
        return false;
    }
    return true;
}

bool fields_take(struct job_spec *spec, enum field_set set, const json_t *object,
                 struct failure *out)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        if (strncmp(name, "x-", 2) == 0)
            continue;
        const struct field *field = job_field_find(set, name);
        if (!field)
            return refuse_unknown(out, set, name);
        if (!take_field(spec, field, value, out))
            return false;
    }
    return check_required(set, object, out);
}

void fields_fill(struct job_spec *spec)
{
    const struct field *field;
    for (size_t i = 0; (field = job_field_at(i)); i++) {
        if (field->place == FIELD_NOWHERE || !field->fallback || field->fallback[0] != '"' ||
            (field->type != FIELD_NAME && field->type != FIELD_TEXT))
            continue;
        char **place = place_of(spec, field);
        if (!*place) // the default is JSON without escapes: what stands between its quotes
            *place = own_strndup(field->fallback + 1, strlen(field->fallback) - 2);
    }
}
