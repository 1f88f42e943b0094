// SPDX-License-Identifier: Apache-2.0
// YAML values into members: expansion, secrets, lists and maps.
#include "io/config_node.h"

#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/config_check.h"
#include "core/text.h"
#include "core/config_value.h"

// A value on its way into its member.
struct setting {
    const struct config_reader *reader;
    const struct config_target *target;
    const struct config_field *field;
    struct config_place place;
    const char *label; // "kafka.brokers"
};

static const char HINT_SECRET[] =
    "Write \"${env:NAME}\", \"${file:/path}\" or \"${exec:command}\", so that the file holds no "
    "secret.";
static const char HINT_ENV[] = "Set it in the environment, or in a file for --env-file.";

void config_label(const struct config_target *target, const char *path, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "%s%s%s", target->label, target->label[0] && path[0] ? "." : "", path);
}

static void say(const struct setting *setting, const char *hint, const char *what)
{
    config_errors_add(setting->reader->errors, setting->place, hint, "`%s` %s", setting->label,
                      what);
}

static void say_expected(const struct setting *setting, const struct buf *why)
{
    config_errors_add(setting->reader->errors, setting->place, NULL, "`%s` takes %s",
                      setting->label, buf_str(why));
}

// Replaces references; false after a mistake.
static bool expand(const struct setting *setting, const char *text, struct expansion *out)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (secrets_expand(setting->reader->secrets, text, out, &why))
        return true;
    bool unset = why.len > 11 && strcmp(why.data + why.len - 11, " is not set") == 0;
    config_errors_add(setting->reader->errors, setting->place, unset ? HINT_ENV : NULL,
                      "`%s` has no value: %s", setting->label, buf_str(&why));
    return false;
}

static void note_origin(const struct setting *setting, const char *from)
{
    config_origin_add(setting->reader->config, setting->target->object, setting->field,
                      setting->place, from ? from : "file");
}

// ------------------------------------------------------------------------------------- secrets

// A secret is exactly one reference, without a default, and not empty.
static bool secret_fits(const struct setting *setting, const struct expansion *value)
{
    if (!value->whole || (value->defaulted && value->text[0] != '\0')) {
        say(setting, HINT_SECRET, "is a secret and must not stand in the file");
        return false;
    }
    if (value->text[0] == '\0') {
        config_errors_add(setting->reader->errors, setting->place, HINT_ENV, "`%s` is empty (%s)",
                          setting->label, value->from);
        return false;
    }
    return true;
}

static bool is_secret(const struct config_field *field)
{
    return field->kind == CONFIG_SECRET || field->kind == CONFIG_SECRETS;
}

static bool means_none(const struct config_field *field, const char *text)
{
    return (field->flags & CONFIG_NONE) && strcmp(text, "none") == 0;
}

// ------------------------------------------------------------------------------------- database

// The parts that must be kept out of logs are known only to libpq's own parser. Its message quotes
// the text, so it is not repeated.
static void check_database(const struct setting *setting)
{
    struct config *config = setting->reader->config;
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(config->database, &message);
    if (options == NULL)
        say(setting, "Write postgresql://user@host:5432/name, or host=… dbname=… user=….",
            "is neither a conninfo string nor a postgresql:// URI");
    for (PQconninfoOption *at = options; at && at->keyword; at++)
        if (strcmp(at->keyword, "password") == 0 && at->val) {
            config_wipe(config->database_password);
            config->database_password = own_strdup(at->val);
        } else if (strcmp(at->keyword, "host") == 0 && at->val && at->val[0] &&
                   strchr(at->val + 1, '@')) {
            // What libpq takes for the host begins with the rest of the password.
            say(setting, "Write an @ in the password as %40.", "has more than one @");
        }
    PQconninfoFree(options);
    PQfreemem(message);
}

// ------------------------------------------------------------------------------------- scalars

static void set_scalar(const struct setting *setting, const char *text)
{
    const struct config_field *field = setting->field;
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    struct expansion value;
    if (means_none(field, text)) {
        config_clear(setting->target->object, field);
        note_origin(setting, "file");
        return;
    }
    bool expanded = expand(setting, text, &value);
    note_origin(setting, expanded ? value.from : NULL);
    if (!expanded)
        return;
    if (means_none(field, value.text))
        config_clear(setting->target->object, field);
    else if (!is_secret(field) || secret_fits(setting, &value)) {
        if (!config_set(setting->target->object, field, value.text, &why))
            say_expected(setting, &why);
        else if (field->section == CONFIG_ROOT && strcmp(field->path, "database") == 0)
            check_database(setting);
    }
    expansion_deinit(&value);
}

// ------------------------------------------------------------------------------------- topics

struct topic {
    char *name, *weight; // owned
};

static void topic_deinit(struct topic *topic)
{
    free(topic->name);
    free(topic->weight);
}

// A member of {name, weight}. False: it was said what is wrong with it.
static bool read_topic_member(const struct setting *setting, struct fy_node_pair *pair,
                              struct topic *topic)
{
    static const char *const known[] = {"name", "weight"};
    struct yaml_doc *doc = setting->reader->doc;
    struct fy_node *key = yaml_follow(doc, fy_node_pair_key(pair));
    struct fy_node *value = yaml_follow(doc, fy_node_pair_value(pair));
    char *name OWN_FREE = yaml_scalar(key);
    struct setting one = *setting;
    one.place = yaml_place(key, setting->place);
    if (!name || (strcmp(name, known[0]) != 0 && strcmp(name, known[1]) != 0)) {
        const char *near = name ? text_nearest(name, known, 2) : NULL;
        struct buf hint OWN_BUF;
        buf_init(&hint, 0);
        if (near)
            buf_printf(&hint, "Did you mean `%s`?", near);
        else
            buf_add_str(&hint, "Known: `name`, `weight`.");
        config_errors_add(setting->reader->errors, one.place, buf_str(&hint),
                          "unknown key `%s` in `%s`", name ? name : "", setting->label);
        return false;
    }
    one.place = yaml_place(value, one.place);
    char **member = strcmp(name, known[0]) == 0 ? &topic->name : &topic->weight;
    *member = value ? yaml_scalar(value) : NULL;
    if (!*member)
        say(&one, NULL, "takes one value for `name` and one for `weight`");
    size_t digits = topic->weight ? strspn(topic->weight, "0123456789") : 1;
    bool good = !topic->weight || (digits == strlen(topic->weight) && digits >= 1 && digits <= 4 &&
                                   topic->weight[0] != '0');
    if (!good)
        say(&one, NULL, "takes weights that are whole numbers from 1 to 9999");
    return *member && good;
}

static bool read_topic(const struct setting *setting, struct fy_node *item, struct topic *topic)
{
    if (fy_node_get_type(item) != FYNT_MAPPING) {
        topic->name = yaml_scalar(item);
    } else {
        void *state = NULL;
        struct fy_node_pair *pair;
        while ((pair = fy_node_mapping_iterate(item, &state)) != NULL)
            if (!read_topic_member(setting, pair, topic))
                return false;
    }
    if (topic->name && topic->name[0] && !strpbrk(topic->name, "=,"))
        return true;
    say(setting, NULL, "takes a name or a list of {name, weight}, each with the name of a topic");
    return false;
}

// [name, {name, weight}, …] as one text, "name=weight,…", which core/config_topics.c takes apart.
static void read_topics(const struct setting *setting, struct fy_node *node)
{
    struct buf text OWN_BUF;
    buf_init(&text, 0);
    void *state = NULL;
    struct fy_node *item;
    bool fine = true;
    while ((item = fy_node_sequence_iterate(node, &state)) != NULL) {
        struct topic topic = {0};
        struct setting one = *setting;
        one.place = yaml_place(item, setting->place);
        bool read = read_topic(&one, yaml_follow(setting->reader->doc, item), &topic);
        if (read)
            buf_printf(&text, "%s%s=%s", text.len > 0 ? "," : "", topic.name,
                       topic.weight ? topic.weight : "1");
        fine = fine && read;
        topic_deinit(&topic);
    }
    if (fine && text.len == 0)
        say(setting, NULL, "takes a name or a list of {name, weight}, and the list is empty");
    else if (fine)
        set_scalar(setting, buf_str(&text));
}

static void read_scalar(const struct setting *setting, struct fy_node *node)
{
    const struct config_field *field = setting->field;
    char *text OWN_FREE = yaml_scalar(node);
    bool none = yaml_is_null(node);
    if (none && (field->flags & CONFIG_NONE)) {
        config_clear(setting->target->object, field);
        note_origin(setting, "file");
    } else if (none) {
        note_origin(setting, "file");
        say(setting, field->help, "has no value");
    } else if (text == NULL && field->section == CONFIG_KAFKA &&
               strcmp(field->path, "topics.jobs") == 0) {
        if (fy_node_get_type(node) == FYNT_SEQUENCE)
            read_topics(setting, node);
        else
            say(setting, setting->field->help, "takes a name or a list of {name, weight}");
    } else if (text == NULL) {
        say(setting, field->help, "takes one value, not a list or mapping");
    } else {
        set_scalar(setting, text);
    }
}

// ------------------------------------------------------------------------------------- lists

// An item's expanded text (heap), or NULL after a mistake.
static char *item_text(const struct setting *setting, struct fy_node *node)
{
    char *text OWN_FREE = yaml_scalar(node);
    struct expansion value;
    if (text == NULL || yaml_is_null(node)) {
        say(setting, NULL, "takes texts");
        return NULL;
    }
    if (!expand(setting, text, &value))
        return NULL;
    char *result = NULL;
    if (!is_secret(setting->field) || secret_fits(setting, &value))
        result = own_strdup(value.text);
    expansion_deinit(&value);
    return result;
}

static void read_list(const struct setting *setting, struct fy_node *node)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (fy_node_get_type(node) != FYNT_SEQUENCE) {
        say(setting, NULL, "takes a list: [one, two]");
        return;
    }
    void *state = NULL;
    struct fy_node *item;
    while ((item = fy_node_sequence_iterate(node, &state)) != NULL) {
        item = yaml_follow(setting->reader->doc, item);
        struct setting one = *setting;
        one.place = yaml_place(item, setting->place);
        char *text = item_text(&one, item);
        if (text && !config_append(setting->target->object, setting->field, text, &why))
            say_expected(&one, &why);
        config_wipe(text);
    }
}

// ------------------------------------------------------------------------------------- maps

// The property of librdkafka that was meant, said as a hint; nothing where none is near.
static void add_near_property(const char *name, struct buf *hint)
{
    size_t count, names_count = 0;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char **all = rd_kafka_conf_dump(conf, &count); // names and values in turn
    const char **names = own_array(count / 2 + 1, sizeof(*names));
    for (size_t i = 0; i + 1 < count; i += 2)
        names[names_count++] = all[i];
    const char *near = text_nearest(name, names, names_count);
    if (near)
        buf_printf(hint, "Did you mean `%s`?", near);
    free(names);
    rd_kafka_conf_dump_free(all, count);
    rd_kafka_conf_destroy(conf);
}

// Whether librdkafka knows the property and takes the value.
static void check_kafka_property(const struct setting *setting, const char *name, const char *value)
{
    char message[512];
    const char *owned = config_kafka_owned(name);
    if (owned) {
        config_errors_add(setting->reader->errors, setting->place, NULL,
                          "`%s` is not to be set: %s", setting->label, owned);
        return;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, message, sizeof(message));
    rd_kafka_conf_destroy(conf);
    struct buf hint OWN_BUF;
    buf_init(&hint, 0);
    if (result == RD_KAFKA_CONF_UNKNOWN)
        add_near_property(name, &hint);
    if (result == RD_KAFKA_CONF_UNKNOWN)
        say(setting, buf_str(&hint), "is no property of librdkafka");
    else if (result != RD_KAFKA_CONF_OK)
        say(setting, NULL, "has a value that librdkafka does not take");
}

static void put_pair(const struct setting *setting, const char *name, const char *text)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    struct expansion value;
    if (!expand(setting, text, &value))
        return;
    if (config_name_is_secret(name) && (value.count == 0 || value.defaulted))
        say(setting, HINT_SECRET, "is a secret and must not stand in the file");
    else if (!config_put(setting->target->object, setting->field, name, value.text, &why))
        say_expected(setting, &why);
    else if (setting->field->section == CONFIG_KAFKA)
        check_kafka_property(setting, name, value.text);
    expansion_deinit(&value);
}

static void put_command(const struct setting *setting, const char *name, struct fy_node *node)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (node == NULL || fy_node_get_type(node) != FYNT_SEQUENCE ||
        fy_node_sequence_item_count(node) < 1 || fy_node_sequence_item_count(node) > 100) {
        say(setting, NULL, "takes a program and its arguments: [program, \"{in}\"]");
        return;
    }
    char **argv = own_array((size_t)fy_node_sequence_item_count(node) + 1, sizeof(char *));
    size_t count = 0;
    void *state = NULL;
    struct fy_node *item;
    bool fine = true;
    while (fine && (item = fy_node_sequence_iterate(node, &state)) != NULL) {
        argv[count] = item_text(setting, yaml_follow(setting->reader->doc, item));
        fine = argv[count++] != NULL;
    }
    if (fine && !config_put_command(setting->target->object, setting->field, name, argv, &why))
        say_expected(setting, &why);
    for (size_t i = 0; i < count; i++)
        free(argv[i]);
    free(argv);
}

static void read_pair(const struct setting *setting, const char *name, struct fy_node *node)
{
    char *text OWN_FREE = yaml_scalar(node);
    if (setting->field->kind == CONFIG_COMMANDS)
        put_command(setting, name, node);
    else if (text == NULL || yaml_is_null(node))
        say(setting, NULL, "takes a text");
    else
        put_pair(setting, name, text);
}

static void read_map(const struct setting *setting, struct fy_node *node)
{
    if (fy_node_get_type(node) != FYNT_MAPPING) {
        say(setting, NULL, "takes a mapping: {name: value}");
        return;
    }
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(node, &state)) != NULL) {
        struct fy_node *key = yaml_follow(setting->reader->doc, fy_node_pair_key(pair));
        struct fy_node *value = yaml_follow(setting->reader->doc, fy_node_pair_value(pair));
        char *name OWN_FREE = yaml_scalar(key);
        struct buf label OWN_BUF;
        buf_init(&label, 0);
        buf_printf(&label, "%s.%s", setting->label, name ? name : "");
        struct setting one = *setting;
        one.place = yaml_place(value, yaml_place(key, setting->place));
        one.label = buf_str(&label);
        if (name == NULL)
            say(setting, NULL, "has a key that is no text");
        else
            read_pair(&one, name, value);
    }
}

static void read_json(const struct setting *setting, struct fy_node *node)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    char *json OWN_FREE =
        fy_node_get_type(node) == FYNT_MAPPING ? yaml_json(setting->reader->doc, node) : NULL;
    if (json == NULL)
        say(setting, NULL, "takes a JSON Schema as a mapping, at most 64 deep");
    else if (!config_set(setting->target->object, setting->field, json, &why))
        say_expected(setting, &why);
}

// ------------------------------------------------------------------------------------- fields

static void read_value(const struct setting *setting, struct fy_node *node)
{
    switch (setting->field->kind) {
    case CONFIG_LATER:
        config_errors_add(setting->reader->errors, setting->place, NULL,
                          "`%s` (%s) works in a later version", setting->label,
                          setting->field->help);
        return;
    case CONFIG_LIST:
    case CONFIG_SECRETS:
        read_list(setting, node);
        break;
    case CONFIG_PAIRS:
    case CONFIG_COMMANDS:
        read_map(setting, node);
        break;
    case CONFIG_JSON:
        read_json(setting, node);
        break;
    case CONFIG_KEYS: // config_yaml.c reads mappings
        return;
    case CONFIG_TEXT:
    case CONFIG_WORD:
    case CONFIG_DECIMAL:
    case CONFIG_DATE:
    case CONFIG_SECRET:
    case CONFIG_INTEGER:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_FLAG:
    case CONFIG_LEVEL:
    case CONFIG_ANSWER:
    case CONFIG_LIMIT_FIELD:
    case CONFIG_REASONING:
        read_scalar(setting, node);
        return;
    }
    note_origin(setting, "file");
}

static bool is_scalar_kind(enum config_kind kind)
{
    return kind != CONFIG_LIST && kind != CONFIG_SECRETS && kind != CONFIG_PAIRS &&
           kind != CONFIG_COMMANDS && kind != CONFIG_KEYS && kind != CONFIG_JSON &&
           kind != CONFIG_LATER;
}

void config_read_field(const struct config_reader *reader, const struct config_target *target,
                       const struct config_field *field, struct fy_node *node,
                       struct config_place key)
{
    struct buf label OWN_BUF;
    buf_init(&label, 0);
    config_label(target, field->path, &label);
    node = yaml_follow(reader->doc, node);
    struct setting setting = {reader, target, field, yaml_place(node, key), buf_str(&label)};
    if (config_origin_of(reader->config, target->object, field))
        say(&setting, "Two names of one key stand in the file; keep one.", "is set twice");
    else if (node == NULL && !is_scalar_kind(field->kind) && field->kind != CONFIG_LATER)
        note_origin(&setting, "file"); // an empty list or mapping
    else
        read_value(&setting, node);
}

void config_read_default(const struct config_reader *reader, const struct config_target *target,
                         const struct config_field *field, struct config_place place)
{
    if (config_origin_of(reader->config, target->object, field))
        return;
    struct buf label OWN_BUF, why OWN_BUF;
    buf_init(&label, 0);
    buf_init(&why, 0);
    config_label(target, field->path, &label);
    struct setting setting = {reader, target, field, place, buf_str(&label)};
    if (field->preset && strstr(field->preset, "${")) {
        set_scalar(&setting, field->preset);
    } else if (field->preset) {
        setting.place.line = 0;
        config_set(target->object, field, field->preset, &why);
        note_origin(&setting, "default");
    } else if (field->flags & CONFIG_NEEDED) {
        config_errors_add(reader->errors, place, NULL, "`%s` is missing: %s", setting.label,
                          field->help);
    }
}
