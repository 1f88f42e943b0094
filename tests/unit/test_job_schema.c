// SPDX-License-Identifier: Apache-2.0
// schema/job.v1.json is made from the table of message fields, and says what the decoder does.
//
//   test_job_schema               checks the file, the table and the examples
//   test_job_schema --write FILE  writes the schema
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "core/job_fields.h"
#include "core/spec.h"
#include "job/decode.h"
#include "job/fields.h"

#define SCHEMA_FILE   PRECIS_SOURCE_DIR "/schema/job.v1.json"
#define EXAMPLES      PRECIS_SOURCE_DIR "/schema/examples/"
#define NAME_PATTERN  "^[A-Za-z0-9._:@-]{1,200}$"
#define URL_PATTERN   "^([Ff][Ii][Ll][Ee]|[Hh][Tt][Tt][Pp][Ss]):"
#define SHA_PATTERN   "^[0-9a-fA-F]{64}$"
#define MONEY_PATTERN "^([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][-+]?[0-9]+)?$"
#define TIME_PATTERN                                                                               \
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?"                        \
    "([Zz]|[+-][0-9]{2}:[0-9]{2})$"

// ---------------------------------------------------------------------------- the schema

static json_t *object_schema(enum field_set set);

static json_t *words_schema(const char *words)
{
    json_t *list = json_array();
    for (const char *rest = words; *rest;) {
        size_t len = strcspn(rest, " ");
        json_array_append_new(list, json_stringn(rest, len));
        rest += len + (rest[len] == ' ');
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *labels_schema(const struct field *field)
{
    return json_pack("{s:s, s:I, s:{s:i, s:i}, s:{s:s, s:i}}", "type", "object", "maxProperties",
                     (json_int_t)field->low, "propertyNames", "minLength", 1, "maxLength",
                     LABEL_NAME_CHARS, "additionalProperties", "type", "string", "maxLength",
                     LABEL_VALUE_CHARS);
}

static json_t *range_schema(const struct field *field, const char *type)
{
    return json_pack("{s:s, s:I, s:I}", "type", type, "minimum", (json_int_t)field->low, "maximum",
                     (json_int_t)field->high);
}

static json_t *string_schema(const struct field *field)
{
    return field->words ? words_schema(field->words) : json_pack("{s:s}", "type", "string");
}

static json_t *pattern_schema(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

// What a field takes; NULL: it has no place in the schema.
static json_t *value_schema(const struct field *field)
{
    switch (field->type) {
    case FIELD_NAME:
    case FIELD_TAG:
        return pattern_schema(NAME_PATTERN);
    case FIELD_TEXT:
        return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength", (json_int_t)field->low,
                         "maxLength", (json_int_t)field->high);
    case FIELD_STRING:
        return string_schema(field);
    case FIELD_SHA256:
        return pattern_schema(SHA_PATTERN);
    case FIELD_INTEGER:
    case FIELD_SMALL:
        return range_schema(field, "integer");
    case FIELD_NUMBER:
        return range_schema(field, "number");
    case FIELD_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case FIELD_CHOICE:
    case FIELD_FLAG:
        return words_schema(field->words);
    case FIELD_TIME:
        return json_pack("{s:s, s:s, s:s}", "type", "string", "format", "date-time", "pattern",
                         TIME_PATTERN);
    case FIELD_MONEY:
        return pattern_schema(MONEY_PATTERN);
    case FIELD_LABELS:
        return labels_schema(field);
    case FIELD_SCHEMA:
        return json_pack("{s:s}", "type", "object");
    case FIELD_MEMBERS:
        return object_schema((enum field_set)field->low);
    case FIELD_URL:
        return json_pack("{s:s, s:s, s:I, s:I}", "type", "string", "pattern", URL_PATTERN,
                         "minLength", (json_int_t)field->low, "maxLength", (json_int_t)field->high);
    case FIELD_LATER:
        return NULL;
    }
    return NULL;
}

static bool is_required(const struct field *field)
{
    return field->fallback && strcmp(field->fallback, FIELD_REQUIRED) == 0;
}

static json_t *field_schema(const struct field *field)
{
    json_t *schema = value_schema(field);
    if (!schema)
        return NULL;
    json_object_set_new(schema, "description", json_string(field->help));
    if (field->fallback && !is_required(field))
        json_object_set_new(schema, "default", json_loads(field->fallback, JSON_DECODE_ANY, NULL));
    return schema;
}

// What the table cannot say: the forms of a document.
static void add_document_rules(json_t *schema)
{
    json_object_set_new(schema, "oneOf",
                        json_pack("[{s:[s]}, {s:[s]}, {s:[s]}, {s:[s]}]", "required", "text",
                                  "required", "data", "required", "url", "required", "stored"));
    json_object_set_new(schema, "dependentRequired",
                        json_pack("{s:[s], s:[s]}", "data", "media_type", "sha256", "url"));
    json_object_set_new(schema, "dependentSchemas",
                        json_pack("{s:{s:{s:[s]}}}", "media_type", "not", "required", "text"));
}

static json_t *object_schema(enum field_set set)
{
    json_t *properties = json_object(), *required = json_array();
    const struct field *field;
    for (size_t i = 0; (field = job_field_at(i)); i++) {
        json_t *schema = field->set == set ? field_schema(field) : NULL;
        if (!schema)
            continue;
        json_object_set_new(properties, field->name, schema);
        if (is_required(field))
            json_array_append_new(required, json_string(field->name));
    }
    json_t *schema =
        json_pack("{s:s, s:o, s:{s:b}, s:b}", "type", "object", "properties", properties,
                  "patternProperties", "^x-", 1, "additionalProperties", 0);
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(required);
    if (set == FIELD_SET_DOCUMENT)
        add_document_rules(schema);
    return schema;
}

static json_t *whole_schema(void)
{
    json_t *schema = json_pack(
        "{s:s, s:s, s:s, s:s, s:{s:{s:{s:s}}, s:[s]}, s:{s:s}, s:{s:s}, s:{s:o, s:o}}", "$schema",
        "https://json-schema.org/draft/2020-12/schema", "$id", "urn:precis:schema:job.v1", "title",
        "precis job message, version 1", "description",
        "The value of a message on the jobs topic: a job, or the seal of a batch. Made from "
        "worker/core/job_fields.def.",
        "if", "properties", "kind", "const", "seal", "required", "kind", "then", "$ref",
        "#/$defs/seal", "else", "$ref", "#/$defs/job", "$defs", "job", object_schema(FIELD_SET_JOB),
        "seal", object_schema(FIELD_SET_SEAL));
    // A bare `if` would pass for what is no object at all.
    json_object_set_new(schema, "type", json_string("object"));
    return schema;
}

static int write_schema(const char *path)
{
    json_t *schema = whole_schema();
    int failed = json_dump_file(schema, path, JSON_INDENT(2));
    json_decref(schema);
    FILE *file = failed ? NULL : fopen(path, "a");
    if (!file)
        return 1;
    fputc('\n', file);
    return fclose(file) != 0;
}

static void test_schema_is_of_the_table(void **state)
{
    (void)state;
    json_t *made = whole_schema(), *kept = json_load_file(SCHEMA_FILE, 0, NULL);
    assert_non_null(made);
    assert_non_null(kept);
    if (!json_equal(made, kept))
        fail_msg("the table has changed: write the schema with test_job_schema --write %s",
                 SCHEMA_FILE);
    json_decref(made);
    json_decref(kept);
}

// ------------------------------------------------------------------------------ the table

// The default in the table is the state of a new spec.
static bool has_default(const struct job_spec *spec, const struct field *field, json_t *value)
{
    const char *place = (const char *)spec + field->place;
    int word = json_is_string(value) && field->words
                   ? job_field_word(field->words, json_string_value(value))
                   : -1;
    switch ((int)field->type) {
    case FIELD_NAME:
    case FIELD_TAG:
    case FIELD_TEXT:
        return strcmp(*(char *const *)(const void *)place, json_string_value(value)) == 0;
    case FIELD_INTEGER:
        return *(const int64_t *)(const void *)place == json_integer_value(value);
    case FIELD_SMALL:
        return *(const int *)(const void *)place == json_integer_value(value);
    case FIELD_BOOL:
        return *(const bool *)(const void *)place == json_is_true(value);
    case FIELD_FLAG:
        return word >= 0 && *(const bool *)(const void *)place == (word == 1);
    case FIELD_CHOICE:
        return word >= 0 && *(const int *)(const void *)place == word;
    default:
        return false;
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct job_spec spec;
    job_spec_init(&spec);
    fields_fill(&spec);
    size_t checked = 0;
    const struct field *field;
    for (size_t i = 0; (field = job_field_at(i)); i++) {
        if (!field->fallback || is_required(field) || field->place == FIELD_NOWHERE)
            continue;
        json_t *value = json_loads(field->fallback, JSON_DECODE_ANY, NULL);
        if (!has_default(&spec, field, value))
            fail_msg("%s%s does not begin as its default", job_field_path(field->set), field->name);
        json_decref(value);
        checked++;
    }
    assert_true(checked > 10);
    job_spec_deinit(&spec);
}

// The words of the table are those that the rest of the program writes.
static void test_words(void **state)
{
    (void)state;
    const struct field *mode = job_field_find(FIELD_SET_SUMMARIZE, "reasoning_mode");
    const struct field *too_long = job_field_find(FIELD_SET_SUMMARIZE, "on_too_long");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_field_word(mode->words, reasoning_mode_text((enum reasoning_mode)i)),
                         i);
        assert_int_equal(job_field_word(too_long->words, too_long_text((enum too_long)i)), i);
    }
    assert_int_equal(job_field_word("late fail", "lat"), -1);
    assert_int_equal(job_field_word("late fail", "late fail"), -1);
    assert_int_equal(job_field_word("late fail", ""), -1);
    assert_int_equal(job_field_word("late fail", "fail"), 1);
}

// --------------------------------------------------------------------------- the examples

static void read_file(const char *path, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char block[4096];
    size_t len;
    while ((len = fread(block, 1, sizeof(block), file)) > 0)
        buf_add(out, block, len);
    assert_int_equal(fclose(file), 0);
}

static enum decoded decode_file(const char *path)
{
    static const struct decode_limits limits = {
        .value_bytes = 1 << 20, .text_bytes = 1 << 20, .nodes = 10000};
    struct buf value OWN_BUF;
    buf_init(&value, 0);
    read_file(path, &value);
    const struct message message = {
        .topic = "precis.jobs", .value = value.data, .value_len = value.len};
    struct decode_out out;
    enum decoded decoded = job_decode(&message, &limits, &out);
    if (decoded == DECODED_BAD)
        assert_true(out.failure.detail[0] != '\0' && out.failure.code != ERR_NONE);
    decode_out_deinit(&out);
    return decoded;
}

static bool is_taken(enum decoded decoded)
{
    return decoded == DECODED_JOB || decoded == DECODED_SEAL;
}

// Each job-*.json and seal-*.json of the directory; results are not for the decoder.
static void check_examples(const char *directory, bool valid)
{
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        if (strncmp(entry->d_name, "job-", 4) != 0 && strncmp(entry->d_name, "seal-", 5) != 0)
            continue;
        char path[1024];
        snprintf(path, sizeof(path), "%s%s", directory, entry->d_name);
        if (is_taken(decode_file(path)) != valid)
            fail_msg("%s was %s", path, valid ? "refused" : "taken");
        count++;
    }
    closedir(entries);
    assert_true(count >= 5);
}

static void test_examples(void **state)
{
    (void)state;
    check_examples(EXAMPLES "valid/", true);
    check_examples(EXAMPLES "invalid/", false);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_schema(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_is_of_the_table),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
