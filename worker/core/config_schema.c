// SPDX-License-Identifier: Apache-2.0
// The JSON Schema and the reference page, from the rows of config.def. The schema describes what an
// editor can see; what holds between keys, only `precis config check` knows.
#include "core/config_schema.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/config_table.h"
#include "core/config_value.h"

#define DURATION_PATTERN "[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)"
#define SIZE_PATTERN     "[0-9]+(\\.[0-9]+)?(B|[kKMGT]B|[KMGT]iB)"

// ------------------------------------------------------------------------------------- values

static json_t *choices_schema(const struct config_field *field)
{
    json_t *choices = json_array();
    size_t len;
    bool later;
    const char *choice;
    for (size_t i = 0; (choice = config_choice(field->unit, i, &len, &later)) != NULL; i++)
        if (!later)
            json_array_append_new(choices, json_stringn(choice, len));
    return json_pack("{s:o}", "enum", choices);
}

static json_t *pattern_schema(const char *pattern, bool forever)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    buf_printf(&text, "^(0|%s%s)$", pattern, forever ? "|forever" : "");
    return json_pack("{s:s, s:s}", "type", "string", "pattern", buf_str(&text));
}

static json_t *text_schema(const struct config_field *field)
{
    json_int_t most = field->max > 0 ? field->max : 4096;
    return json_pack("{s:s, s:i, s:I}", "type", "string", "minLength", 1, "maxLength", most);
}

static json_t *section_schema(enum config_section section);

static json_t *kind_schema(const struct config_field *field)
{
    switch (field->kind) {
    case CONFIG_TEXT:
        return text_schema(field);
    case CONFIG_WORD:
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        return choices_schema(field);
    case CONFIG_INTEGER:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)field->min,
                         "maximum", (json_int_t)field->max);
    case CONFIG_DECIMAL:
        return json_pack("{s:[s, s], s:I, s:I, s:s}", "type", "number", "string", "minimum",
                         (json_int_t)field->min, "maximum", (json_int_t)field->max, "pattern",
                         "^[0-9]*\\.?[0-9]+([eE][+-]?[0-9]+)?$");
    case CONFIG_DURATION:
        return pattern_schema(DURATION_PATTERN, field->flags & CONFIG_FOREVER);
    case CONFIG_SIZE:
        return pattern_schema(SIZE_PATTERN, false);
    case CONFIG_FLAG:
        return json_pack("{s:s}", "type", "boolean");
    case CONFIG_DATE:
        return json_pack("{s:s, s:s}", "type", "string", "pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
    case CONFIG_LIST:
        return json_pack("{s:s, s:o}", "type", "array", "items", text_schema(field));
    case CONFIG_SECRETS:
        return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "$ref", "#/$defs/reference");
    case CONFIG_PAIRS:
        return json_pack("{s:s, s:{s:[s, s, s]}}", "type", "object", "additionalProperties", "type",
                         "string", "number", "boolean");
    case CONFIG_COMMANDS:
        return json_pack("{s:s, s:{s:s, s:i, s:{s:s}}}", "type", "object", "additionalProperties",
                         "type", "array", "minItems", 1, "items", "type", "string");
    case CONFIG_KEYS:
        return json_pack("{s:s, s:i, s:I, s:o}", "type", "array", "minItems", 1, "maxItems",
                         (json_int_t)field->max, "items", section_schema(CONFIG_KEY));
    case CONFIG_JSON:
        return json_pack("{s:s}", "type", "object");
    case CONFIG_SECRET:
    case CONFIG_LATER:
        break;
    }
    return NULL;
}

// Every scalar may be a reference instead.
static bool takes_reference(enum config_kind kind)
{
    return kind != CONFIG_LIST && kind != CONFIG_SECRETS && kind != CONFIG_PAIRS &&
           kind != CONFIG_COMMANDS && kind != CONFIG_KEYS && kind != CONFIG_JSON;
}

static json_t *default_of(const struct config_field *field)
{
    if (field->kind == CONFIG_INTEGER || field->kind == CONFIG_FLAG)
        return json_loads(field->preset, JSON_DECODE_ANY, NULL);
    return json_string(field->preset);
}

static json_t *topics_schema(void)
{
    return json_pack("{s:s, s:i, s:{s:[s, s], s:[s], s:b, s:{s:{s:s}, s:{s:s, s:i, s:i}}}}", "type",
                     "array", "minItems", 1, "items", "type", "string", "object", "required",
                     "name", "additionalProperties", 0, "properties", "name", "type", "string",
                     "weight", "type", "integer", "minimum", 1, "maximum", 9999);
}

static json_t *field_schema(const struct config_field *field)
{
    json_t *schema = kind_schema(field);
    if (takes_reference(field->kind)) {
        json_t *any = json_array();
        if (schema)
            json_array_append_new(any, schema);
        json_array_append_new(any, json_pack("{s:s}", "$ref", "#/$defs/reference"));
        if (field->section == CONFIG_KAFKA && strcmp(field->path, "topics.jobs") == 0)
            json_array_append_new(any, topics_schema());
        if (field->flags & CONFIG_NONE)
            json_array_append_new(any, json_pack("{s:[s, n]}", "enum", "none"));
        schema = json_pack("{s:o}", "anyOf", any);
    }
    json_object_set_new(schema, "description", json_string(field->help));
    if (field->preset)
        json_object_set_new(schema, "default", default_of(field));
    return schema;
}

// ------------------------------------------------------------------------------------- objects

static json_t *object_schema(const char *help)
{
    return json_pack("{s:s, s:s, s:b, s:{}}", "description", help, "type", "object",
                     "additionalProperties", 0, "properties");
}

static json_t *properties_of(json_t *schema)
{
    return json_object_get(schema, "properties");
}

// The schema of the group that holds the path's last key, made where it is not there; *path moves
// to that key.
static json_t *group_of(json_t *schema, const char **path)
{
    const char *dot;
    while ((dot = strchr(*path, '.')) != NULL) {
        char *key OWN_FREE = own_strndup(*path, (size_t)(dot - *path));
        json_t *group = json_object_get(properties_of(schema), key);
        if (group == NULL) {
            group = json_pack("{s:[s, n], s:b, s:{}}", "type", "object", "additionalProperties", 0,
                              "properties");
            json_object_set(group, "type", json_object_get(schema, "type"));
            json_object_set_new(properties_of(schema), key, group);
        }
        schema = group;
        *path = dot + 1;
    }
    return schema;
}

static void add_twins(json_t *schema, enum config_section section)
{
    const char *parent, *key, *real;
    for (size_t i = 0; config_twin_nth(section, i, &parent, &key, &real); i++) {
        json_t *group = parent[0] ? json_object_get(properties_of(schema), parent) : schema;
        json_t *twin = json_copy(json_object_get(properties_of(group), real));
        struct buf help OWN_BUF;
        buf_init(&help, 0);
        buf_printf(&help, "the same as %s", real);
        json_object_set_new(twin, "description", json_string(buf_str(&help)));
        json_object_del(twin, "default");
        json_object_set_new(properties_of(group), key, twin);
    }
}

static json_t *section_schema(enum config_section section)
{
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    json_t *schema = object_schema(config_section_info(section)->help);
    for (size_t i = 0; i < count; i++) {
        const char *key = fields[i].path;
        if (fields[i].kind == CONFIG_LATER)
            continue;
        json_t *group = group_of(schema, &key);
        json_object_set_new(properties_of(group), key, field_schema(&fields[i]));
    }
    add_twins(schema, section);
    return schema;
}

// `price: none` beside the mapping.
static void allow_free_price(json_t *model)
{
    json_t *price = json_incref(json_object_get(properties_of(model), "price"));
    json_object_set_new(properties_of(model), "price",
                        json_pack("{s:[o, {s:s}]}", "anyOf", price, "const", "none"));
}

static json_t *routes_schema(void)
{
    return json_pack("{s:s, s:s, s:{s:[s, s], s:i, s:{s:s}}}", "description",
                     "Names for models in order: the first that can, the next when it cannot.",
                     "type", "object", "additionalProperties", "type", "array", "string",
                     "minItems", 1, "items", "type", "string");
}

char *config_schema_json(void)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                  "$id", "config.v1.json", "title", "precis.yaml");
    json_t *schema = section_schema(CONFIG_ROOT);
    json_object_update(root, schema);
    json_decref(schema);
    for (enum config_section i = CONFIG_ROOT + 1; i < CONFIG_SECTION_COUNT; i++) {
        const struct config_section_info *info = config_section_info(i);
        json_t *section = section_schema(i);
        if (i == CONFIG_MODEL)
            allow_free_price(section);
        if (info->many)
            section = json_pack("{s:s, s:o}", "type", "object", "additionalProperties", section);
        json_object_set_new(properties_of(root), info->key, section);
    }
    json_object_set_new(properties_of(root), "routes", routes_schema());
    json_object_set_new(root, "$defs",
                        json_pack("{s:{s:s, s:s}}", "reference", "type", "string", "pattern",
                                  "\\$\\{(env|file|exec):[^}]+\\}"));
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    struct buf out;
    buf_init(&out, 0);
    buf_printf(&out, "%s\n", text ? text : "");
    free(text);
    return buf_take(&out);
}

// ------------------------------------------------------------------------------------- reference

static void takes_amount(const struct config_field *field, struct buf *out)
{
    if (field->kind == CONFIG_DURATION) {
        config_duration_text(field->min, out);
        buf_add_str(out, " to ");
        config_duration_text(field->max, out);
    } else if (field->kind == CONFIG_SIZE) {
        config_size_text(field->min, out);
        buf_add_str(out, " to ");
        config_size_text(field->max, out);
    } else {
        buf_printf(out, "%" PRId64 " to %" PRId64 " %s", field->min, field->max, field->unit);
    }
}

static void takes_choices(const struct config_field *field, struct buf *out)
{
    size_t len;
    bool later;
    const char *choice;
    for (size_t i = 0; (choice = config_choice(field->unit, i, &len, &later)) != NULL; i++)
        buf_printf(out, "%s`%.*s`%s", i ? ", " : "", (int)len, choice, later ? " (later)" : "");
}

// What a key takes, in a few words.
static void takes(const struct config_field *field, struct buf *out)
{
    switch (field->kind) {
    case CONFIG_TEXT:
        buf_add_str(out, "text");
        break;
    case CONFIG_WORD:
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        takes_choices(field, out);
        break;
    case CONFIG_DECIMAL:
        buf_add_str(out, "decimal, ");
        takes_amount(field, out);
        break;
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        takes_amount(field, out);
        break;
    case CONFIG_DATE:
        buf_add_str(out, "date");
        break;
    case CONFIG_JSON:
        buf_add_str(out, "JSON Schema");
        break;
    case CONFIG_SECRET:
        buf_add_str(out, "secret");
        break;
    case CONFIG_SECRETS:
        buf_add_str(out, "list of secrets");
        break;
    case CONFIG_FLAG:
        buf_add_str(out, "`true`, `false`");
        break;
    case CONFIG_LIST:
        buf_add_str(out, "list of texts");
        break;
    case CONFIG_PAIRS:
        buf_add_str(out, "mapping of texts");
        break;
    case CONFIG_COMMANDS:
        buf_add_str(out, "mapping of commands");
        break;
    case CONFIG_KEYS:
        buf_add_str(out, "list of mappings, see below");
        break;
    case CONFIG_LATER:
        buf_add_str(out, "later");
        break;
    }
    if (field->flags & CONFIG_FOREVER)
        buf_add_str(out, ", `forever`");
    if (field->flags & CONFIG_NONE)
        buf_add_str(out, ", `none`");
}

static void reference_row(const struct config_field *field, struct buf *out)
{
    buf_printf(out, "| `%s` | ", field->path);
    takes(field, out);
    if (field->preset)
        buf_printf(out, " | `%s`", field->preset);
    else
        buf_printf(out, " | %s", field->flags & CONFIG_NEEDED ? "needed" : "");
    buf_printf(out, " | %s |\n", field->help);
}

static void reference_section(enum config_section section, struct buf *out)
{
    const struct config_section_info *info = config_section_info(section);
    size_t count;
    const struct config_field *fields = config_fields(section, &count);
    const char *parent, *key, *real;
    if (section == CONFIG_ROOT)
        buf_add_str(out, "\n## At the top\n\n");
    else
        buf_printf(out, "\n## `%s`%s\n\n%s\n\n", info->key, info->many ? ": each entry" : "",
                   info->help);
    buf_add_str(out, "| key | takes | default | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < count; i++)
        reference_row(&fields[i], out);
    for (size_t i = 0; config_twin_nth(section, i, &parent, &key, &real); i++)
        buf_printf(out, "%s`%s%s%s` is another name of `%s`.\n", i ? "" : "\n", parent,
                   parent[0] ? "." : "", key, real);
}

void config_reference(struct buf *out)
{
    buf_add_str(out,
                "# precis.yaml: every key\n\n"
                "Made from `worker/core/config.def` by `precis config schema --markdown`; not "
                "edited by hand.\n"
                "Values may hold `${env:NAME}`, `${env:NAME:-default}`, `${file:/path}` and "
                "`${exec:command args}`;\n"
                "inside `{ }` and `[ ]` such a value needs quotes, and `$${` is a plain `${`. A "
                "secret is exactly one\nsuch reference, without a default. Durations: `500ms`, "
                "`10s`, `1h`, `30d`; sizes: `512MB`, `20GB`, `1GiB`.\n"
                "`routes` maps names to lists of models: the first that can, the next when it "
                "cannot; `default` is needed\nwhere there are several models.\n");
    for (enum config_section i = CONFIG_ROOT; i < CONFIG_SECTION_COUNT; i++) {
        reference_section(i, out);
        if (i == CONFIG_PROVIDER)
            reference_section(CONFIG_KEY, out);
    }
}
