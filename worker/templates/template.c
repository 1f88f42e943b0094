// SPDX-License-Identifier: Apache-2.0
// From YAML to the parameters of a job.
#include "templates/template.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/own.h"
#include "core/identity.h"
#include "core/json_schema.h"
#include "core/prompt.h"
#include "core/text.h"
#include "io/yaml_doc.h"
#include "job/fields.h"

#define VERSION_DIGITS 8

// What may stand in the file. The others of a job's parameters belong to one submission and have
// options: model, temperature and the like.
static const char *const keys[] = {
    "name",     "version",   "description", "instructions", "output_schema",
    "evidence", "max_chars", "key_points",  "language",     "on_too_long",
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
#define OWN_KEYS  3 // the first ones: members of the template, not of `summarize`

// A file that is being read.
struct reading {
    struct job_template *out;
    struct config_errors *errors;
    struct yaml_doc *doc;
    const char *file;
};

// ------------------------------------------------------------------------------- places

static struct config_place start_of(const struct reading *reading)
{
    return (struct config_place){reading->file, 1, 1};
}

static struct fy_node *value_named(struct yaml_doc *doc, struct fy_node *mapping, const char *name,
                                   struct config_place *place)
{
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(mapping, &state)) != NULL) {
        struct fy_node *key = yaml_follow(doc, fy_node_pair_key(pair));
        char *text OWN_FREE = yaml_scalar(key);
        if (text && strcmp(text, name) == 0) {
            *place = yaml_place(key, *place);
            return yaml_follow(doc, fy_node_pair_value(pair));
        }
    }
    return NULL;
}

// Where a JSON Pointer of `len` bytes leads inside the node: the last key on its way.
static struct config_place place_behind(const struct reading *reading, struct fy_node *node,
                                        const char *pointer, size_t len, struct config_place place)
{
    const char *end = pointer + len;
    while (node && pointer < end && *pointer == '/') {
        size_t part = strcspn(++pointer, "/");
        part = part < (size_t)(end - pointer) ? part : (size_t)(end - pointer);
        char *name OWN_FREE = own_strndup(pointer, part);
        pointer += part;
        if (fy_node_get_type(node) == FYNT_MAPPING)
            node = value_named(reading->doc, node, name, &place);
        else if (fy_node_get_type(node) == FYNT_SEQUENCE)
            node = yaml_follow(reading->doc,
                               fy_node_sequence_get_by_index(node, (int)strtol(name, NULL, 10)));
        else
            node = NULL;
    }
    return place;
}

// ------------------------------------------------------------------------------- own members

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    return len <= TEMPLATE_NAME_BYTES && identity_name_ok(text, len) && !strchr(text, '@');
}

static void take_own(const struct reading *reading, size_t key, struct fy_node *node,
                     struct config_place place)
{
    char **members[OWN_KEYS] = {&reading->out->name, &reading->out->version,
                                &reading->out->description};
    char *text = yaml_is_null(node) ? NULL : yaml_scalar(node);
    free(*members[key]);
    *members[key] = text;
    bool label = members[key] != &reading->out->description;
    if (!text)
        config_errors_add(reading->errors, place, NULL, "`%s` takes a text", keys[key]);
    else if (label && !is_name(text))
        config_errors_add(reading->errors, place, NULL,
                          "`%s` takes 1 to %d of the characters A-Z a-z 0-9 . _ : -", keys[key],
                          TEMPLATE_NAME_BYTES);
}

// ------------------------------------------------------------------------------- parameters

// What compiles, and describes an object: the answer is one.
static bool schema_fits(const struct reading *reading, const json_t *value, struct fy_node *node,
                        struct config_place place)
{
    struct failure failure;
    struct json_schema *schema = json_schema_new(value, &failure);
    json_schema_free(schema);
    if (!schema) {
        size_t len = strcspn(failure.detail, ":");
        const char *pointer = failure.detail + (failure.detail[0] == '#');
        config_errors_add(reading->errors,
                          place_behind(reading, node, pointer, len > 0 ? len - 1 : 0, place), NULL,
                          "`output_schema` is no JSON Schema: %s", failure.detail);
        return false;
    }
    const char *type = json_string_value(json_object_get(value, "type"));
    if (type && strcmp(type, "object") == 0)
        return true;
    config_errors_add(reading->errors, place, "It begins with `type: object` and `properties`.",
                      "`output_schema` does not describe an object");
    return false;
}

// Without "summarize.", which a template does not have.
static const char *inside(const char *field)
{
    const char *prefix = job_field_path(FIELD_SET_SUMMARIZE);
    return field + (strncmp(field, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0);
}

// A refusal of fields_take, its guess as a hint.
static void say_field(const struct reading *reading, const char *detail, struct config_place place)
{
    static const char guess[] = "; did you mean ";
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    detail = inside(detail);
    const char *at = strstr(detail, guess);
    if (at)
        buf_printf(&hint, "Did you mean %s", inside(at + strlen(guess)));
    config_errors_add(reading->errors, place, buf_str(&hint), "%.*s",
                      at ? (int)(at - detail) : (int)strlen(detail), detail);
}

// By the rules that a worker takes messages by.
static bool value_fits(const struct reading *reading, const char *key, const json_t *value,
                       struct config_place place)
{
    struct job_spec spec;
    struct failure failure;
    job_spec_init(&spec);
    json_t *object = json_pack("{s:O}", key, value);
    bool fits = fields_take(&spec, FIELD_SET_SUMMARIZE, object, &failure);
    json_decref(object);
    job_spec_deinit(&spec);
    if (!fits)
        say_field(reading, failure.detail, place);
    return fits;
}

static void take_parameter(const struct reading *reading, size_t key, struct fy_node *node,
                           struct config_place place)
{
    json_t *value = yaml_tree(reading->doc, node);
    if (!value)
        config_errors_add(reading->errors, place, NULL,
                          "`%s` is nested more than 64 deep, or has a key that is no text",
                          keys[key]);
    else if (value_fits(reading, keys[key], value, place) &&
             (strcmp(keys[key], "output_schema") != 0 || schema_fits(reading, value, node, place)))
        json_object_set(reading->out->summarize, keys[key], value);
    json_decref(value);
}

// ------------------------------------------------------------------------------- the file

static void say_unknown(const struct reading *reading, const char *key, struct config_place place)
{
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    const char *near = text_nearest(key, keys, KEY_COUNT);
    if (near)
        buf_printf(&hint, "Did you mean `%s`?", near);
    for (size_t i = 0; !near && i < KEY_COUNT; i++)
        buf_printf(&hint, "%s`%s`%s", i ? ", " : "Known: ", keys[i], i + 1 < KEY_COUNT ? "" : ".");
    config_errors_add(reading->errors, place, buf_str(&hint), "unknown key `%s`", key);
}

static void take_pair(const struct reading *reading, struct fy_node_pair *pair)
{
    struct fy_node *key_node = yaml_follow(reading->doc, fy_node_pair_key(pair));
    struct fy_node *value = yaml_follow(reading->doc, fy_node_pair_value(pair));
    struct config_place place = yaml_place(key_node, start_of(reading));
    char *key OWN_FREE = yaml_scalar(key_node);
    size_t i = 0;
    while (key && i < KEY_COUNT && strcmp(keys[i], key) != 0)
        i++;
    if (!key)
        config_errors_add(reading->errors, place, NULL, "a key is not a text");
    else if (i == KEY_COUNT)
        say_unknown(reading, key, place);
    else if (i < OWN_KEYS)
        take_own(reading, i, value, yaml_place(value, place));
    else
        take_parameter(reading, i, value, yaml_place(value, place));
}

static void take_root(const struct reading *reading)
{
    struct fy_node *root = yaml_follow(reading->doc, yaml_doc_root(reading->doc));
    if (!root || fy_node_get_type(root) != FYNT_MAPPING) {
        config_errors_add(reading->errors, start_of(reading),
                          "`precis templates show contract` prints one to begin with.",
                          "the file is not a mapping of keys");
        return;
    }
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(root, &state)) != NULL)
        take_pair(reading, pair);
}

static void check_whole(const struct reading *reading)
{
    const struct job_template *out = reading->out;
    if (!out->name)
        config_errors_add(reading->errors, start_of(reading), NULL, "`name` is missing");
    if (!json_object_get(out->summarize, "instructions") &&
        !json_object_get(out->summarize, "output_schema"))
        config_errors_add(reading->errors, start_of(reading), NULL,
                          "there are neither `instructions` nor an `output_schema`");
}

static void add_label(struct job_template *out, const struct buf *text)
{
    char sha256[65];
    text_sha256_hex(text->data, text->len, sha256);
    if (!out->version)
        out->version = own_strndup(sha256, VERSION_DIGITS);
    if (!out->description)
        out->description = own_strdup("");
    struct buf label;
    buf_init(&label, 0);
    buf_printf(&label, "%s@%s", out->name, out->version);
    out->label = buf_take(&label);
    json_object_set_new(out->summarize, "template", json_string(out->label));
}

bool template_read(struct job_template *out, const char *file, const struct buf *text,
                   struct config_errors *errors)
{
    size_t before = errors->len;
    *out = (struct job_template){.summarize = json_object()};
    struct reading reading = {
        .out = out,
        .errors = errors,
        .doc = yaml_doc_new(file, buf_str(text), text->len, errors),
        .file = file,
    };
    if (reading.doc) {
        take_root(&reading);
        if (errors->len == before)
            check_whole(&reading);
        if (yaml_doc_exhausted(reading.doc))
            config_errors_add(errors, start_of(&reading), NULL,
                              "the file is over %d values, with its aliases followed",
                              YAML_DOC_MAX_NODES);
    }
    yaml_doc_free(reading.doc);
    config_errors_sort(errors);
    if (errors->len == before) {
        add_label(out, text);
        return true;
    }
    template_deinit(out);
    return false;
}

void template_deinit(struct job_template *template)
{
    free(template->name);
    free(template->version);
    free(template->label);
    free(template->description);
    json_decref(template->summarize);
    *template = (struct job_template){0};
}

// ------------------------------------------------------------------------------- finding it

static bool is_path(const char *text)
{
    const char *dot = strrchr(text, '.');
    return strchr(text, '/') ||
           (dot && (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0));
}

static bool read_file(struct buf *out, const char *path, struct config_errors *errors)
{
    char piece[16384];
    size_t len = 0;
    FILE *file = fopen(path, "re");
    bool ok = file != NULL;
    while (file && !out->overflow && (len = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_add(out, piece, len);
    ok = ok && !ferror(file);
    struct config_place place = {path, 0, 0};
    if (!ok)
        config_errors_add(errors, place, NULL, "the file cannot be read: %s", strerror(errno));
    else if (out->len > TEMPLATE_FILE_MAX_BYTES)
        config_errors_add(errors, place, NULL, "the file is over %zu bytes",
                          TEMPLATE_FILE_MAX_BYTES);
    if (file)
        fclose(file);
    return ok && out->len <= TEMPLATE_FILE_MAX_BYTES;
}

static void say_no_template(const char *name, struct config_errors *errors)
{
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    const char **names OWN_FREE = own_array(template_file_count, sizeof(char *));
    for (size_t i = 0; i < template_file_count; i++)
        names[i] = template_files[i].name;
    const char *near = text_nearest(name, names, template_file_count);
    if (near)
        buf_printf(&hint, "Did you mean `%s`? ", near);
    buf_add_str(&hint, "There are ");
    for (size_t i = 0; i < template_file_count; i++)
        buf_printf(&hint, "%s%s", i ? ", " : "", names[i]);
    buf_add_str(&hint, "; a file of your own is named by its path, such as ./mine.yaml.");
    config_errors_add(errors, (struct config_place){NULL, 0, 0}, buf_str(&hint),
                      "there is no template `%s`", name);
}

bool template_text(struct buf *out, const char *name_or_path, struct config_errors *errors)
{
    if (is_path(name_or_path))
        return read_file(out, name_or_path, errors);
    for (size_t i = 0; i < template_file_count; i++)
        if (strcmp(template_files[i].name, name_or_path) == 0)
            return buf_add(out, template_files[i].text, template_files[i].len);
    say_no_template(name_or_path, errors);
    return false;
}

bool template_load(struct job_template *out, const char *name_or_path, struct config_errors *errors)
{
    struct buf text OWN_BUF;
    buf_init(&text, TEMPLATE_FILE_MAX_BYTES + 65536);
    *out = (struct job_template){0};
    return template_text(&text, name_or_path, errors) &&
           template_read(out, name_or_path, &text, errors);
}

// ------------------------------------------------------------------------------- strictness

bool template_is_strict(const struct job_template *template)
{
    struct job_spec spec;
    struct failure failure;
    bool strict;
    job_spec_init(&spec);
    bool taken = fields_take(&spec, FIELD_SET_SUMMARIZE, template->summarize, &failure);
    free(prompt_schema(&spec, PROMPT_WHOLE, &strict));
    job_spec_deinit(&spec);
    return taken && strict;
}
