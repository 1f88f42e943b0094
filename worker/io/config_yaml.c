// SPDX-License-Identifier: Apache-2.0
// Walks the file by the rows of config.def: sections, named entries, groups of keys, routes.
#include "io/config_yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "core/config_check.h"
#include "core/config_value.h"
#include "io/config_node.h"

#define ENTRIES_MAX 1000

// ------------------------------------------------------------------------------------- groups

static void read_mapping(const struct config_reader *reader, const struct config_target *target,
                         const char *parent, struct fy_node *node);

// "Did you mean `x`?", or the keys that there are.
static void hint_keys(enum config_section section, const char *parent, const char *key,
                      struct buf *out)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    if (config_key_nearest(section, parent, key, &name)) {
        buf_printf(out, "Did you mean `%s`?", buf_str(&name));
        return;
    }
    for (size_t i = 0; config_key_nth(section, parent, i, &name); i++)
        buf_printf(out, "%s`%s`", i ? ", " : "Known: ", buf_str(&name));
    buf_add_char(out, '.');
}

static void say_unknown(const struct config_reader *reader, const struct config_target *target,
                        const char *parent, const char *key, struct config_place place)
{
    struct buf hint OWN_BUF, label OWN_BUF;
    buf_init(&hint, 0);
    buf_init(&label, 0);
    hint_keys(target->section, parent, key, &hint);
    config_label(target, parent, &label);
    if (label.len > 0)
        config_errors_add(reader->errors, place, buf_str(&hint), "unknown key `%s` in `%s`", key,
                          label.data);
    else
        config_errors_add(reader->errors, place, buf_str(&hint), "unknown key `%s`", key);
}

// A model of an own server costs nothing: `price: none`.
static bool is_free_price(const struct config_target *target, const char *path,
                          struct fy_node *node)
{
    char *text OWN_FREE = yaml_scalar(node);
    return target->section == CONFIG_MODEL && strcmp(path, "price") == 0 && text &&
           strcmp(text, "none") == 0;
}

static void read_group(const struct config_reader *reader, const struct config_target *target,
                       const char *path, struct fy_node *node, struct config_place place)
{
    node = yaml_follow(reader->doc, node);
    if (is_free_price(target, path, node)) {
        struct config_model *model = target->object;
        model->price = (struct price){.known = true, .free = true};
    } else if (node && fy_node_get_type(node) == FYNT_MAPPING) {
        read_mapping(reader, target, path, node);
    } else if (!yaml_is_null(node)) {
        struct buf hint OWN_BUF, label OWN_BUF;
        buf_init(&hint, 0);
        buf_init(&label, 0);
        hint_keys(target->section, path, "", &hint);
        config_label(target, path, &label);
        config_errors_add(reader->errors, place, buf_str(&hint), "`%s` takes a mapping of keys",
                          buf_str(&label));
    }
}

static void read_defaults(const struct config_reader *reader, const struct config_target *target,
                          struct config_place place)
{
    size_t count;
    const struct config_field *fields = config_fields(target->section, &count);
    for (size_t i = 0; i < count; i++)
        config_read_default(reader, target, &fields[i], place);
}

// A list of mappings: the keys of a provider. `place` is the list's key.
static void read_list(const struct config_reader *reader, const struct config_target *target,
                      const struct config_field *field, struct fy_node *node,
                      struct config_place place)
{
    struct config_keys *keys = config_member(target->object, field);
    node = yaml_follow(reader->doc, node);
    int count =
        node && fy_node_get_type(node) == FYNT_SEQUENCE ? fy_node_sequence_item_count(node) : 0;
    config_origin_add(reader->config, target->object, field, place, "file");
    if (count < 1 || count > field->max) {
        config_errors_add(reader->errors, place,
                          "Write `keys: [{name: one, key: \"${env:ONE}\"}]`.",
                          "`%s.%s` takes a list of 1 to %d mappings", target->label, field->path,
                          (int)field->max);
        return;
    }
    // The array is whole before the first entry is read: origins point into it.
    *keys = (struct config_keys){own_array((size_t)count, sizeof(struct config_key)), 0};
    void *state = NULL;
    struct fy_node *item;
    while ((item = fy_node_sequence_iterate(node, &state)) != NULL) {
        struct buf label OWN_BUF;
        buf_init(&label, 0);
        buf_printf(&label, "%s.%s[%zu]", target->label, field->path, keys->len);
        struct config_target entry = {CONFIG_KEY, &keys->items[keys->len++], buf_str(&label)};
        item = yaml_follow(reader->doc, item);
        if (item && fy_node_get_type(item) == FYNT_MAPPING) {
            read_mapping(reader, &entry, "", item);
            read_defaults(reader, &entry, place);
        } else {
            config_errors_add(reader->errors, yaml_place(item, place), NULL,
                              "`%s` takes a mapping: {name, key, limits}", entry.label);
        }
    }
}

static void read_key(const struct config_reader *reader, const struct config_target *target,
                     const char *parent, const char *key, struct fy_node *value,
                     struct config_place place)
{
    struct buf path OWN_BUF;
    buf_init(&path, 0);
    const char *twin = config_twin(target->section, parent, key);
    buf_printf(&path, "%s%s%s", parent, parent[0] ? "." : "", twin ? twin : key);
    const struct config_field *field = config_field_find(target->section, buf_str(&path));
    bool dotted = twin == NULL && strchr(key, '.') != NULL;
    if (field && !dotted && field->kind == CONFIG_KEYS)
        read_list(reader, target, field, value, place);
    else if (field && !dotted)
        config_read_field(reader, target, field, value, place);
    else if (!dotted && config_is_group(target->section, buf_str(&path)))
        read_group(reader, target, buf_str(&path), value, place);
    else
        say_unknown(reader, target, parent, key, place);
}

static void read_mapping(const struct config_reader *reader, const struct config_target *target,
                         const char *parent, struct fy_node *node)
{
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(node, &state)) != NULL) {
        struct fy_node *key_node = yaml_follow(reader->doc, fy_node_pair_key(pair));
        struct config_place place = yaml_place(key_node, (struct config_place){reader->file, 0, 0});
        char *key OWN_FREE = yaml_scalar(key_node);
        if (key == NULL)
            config_errors_add(reader->errors, place, NULL, "a key is not a text");
        else
            read_key(reader, target, parent, key, fy_node_pair_value(pair), place);
    }
}

// ------------------------------------------------------------------------------------- sections

// A value of the file's root: its key, and where it is.
struct part {
    struct fy_node *node;
    struct config_place place;
    bool given;
};

static bool is_mapping(const struct config_reader *reader, const struct part *part,
                       const char *label)
{
    if (part->node && fy_node_get_type(part->node) == FYNT_MAPPING)
        return true;
    if (!yaml_is_null(part->node))
        config_errors_add(reader->errors, part->place, NULL, "`%s` takes a mapping", label);
    return false;
}

static void read_one_section(const struct config_reader *reader, enum config_section section,
                             const struct part *part)
{
    const struct config_section_info *info = config_section_info(section);
    struct config_target target = {section, (char *)reader->config + info->offset, info->key};
    if (part->given && is_mapping(reader, part, info->key))
        read_mapping(reader, &target, "", part->node);
    read_defaults(reader, &target, part->place);
}

static bool valid_entry_name(const struct config_reader *reader, enum config_section section,
                             const char *name, struct config_place place)
{
    if (name && config_name_valid(section, name))
        return true;
    config_errors_add(
        reader->errors, place, NULL, "`%s` holds a name that is not 1 to 200 bytes %s",
        config_section_info(section)->key,
        section == CONFIG_TENANT ? "of A-Z a-z 0-9 . _ : @ -" : "without control characters");
    return false;
}

static void read_entry(const struct config_reader *reader, enum config_section section, char *entry,
                       struct fy_node_pair *pair, struct config_place fallback)
{
    const char *key = config_section_info(section)->key;
    struct fy_node *name_node = yaml_follow(reader->doc, fy_node_pair_key(pair));
    struct part part = {yaml_follow(reader->doc, fy_node_pair_value(pair)),
                        yaml_place(name_node, fallback), true};
    char *name = yaml_scalar(name_node);
    bool valid = valid_entry_name(reader, section, name, part.place);
    *(char **)(void *)entry = name ? name : own_strdup("");
    if (!valid)
        return;
    struct buf label OWN_BUF;
    buf_init(&label, 0);
    buf_printf(&label, "%s.%s", key, name);
    struct config_target target = {section, entry, buf_str(&label)};
    if (is_mapping(reader, &part, target.label))
        read_mapping(reader, &target, "", part.node);
    read_defaults(reader, &target, part.place);
}

// Providers and models know their place in the array.
static void number_entries(struct config *config)
{
    for (size_t i = 0; i < config->provider_count; i++)
        config->providers[i].index = i;
    for (size_t i = 0; i < config->model_count; i++)
        config->models[i].index = i;
}

static void read_entries(const struct config_reader *reader, enum config_section section,
                         const struct part *part)
{
    const struct config_section_info *info = config_section_info(section);
    if (!part->given || !is_mapping(reader, part, info->key))
        return;
    int count = fy_node_mapping_item_count(part->node);
    if (count > ENTRIES_MAX) {
        config_errors_add(reader->errors, part->place, NULL, "`%s` has over %d entries", info->key,
                          ENTRIES_MAX);
        return;
    }
    // The array is whole before the first entry is read: origins point into it.
    char *entries = own_array((size_t)(count > 0 ? count : 0), info->size);
    *(char **)(void *)((char *)reader->config + info->offset) = entries;
    size_t *length = (size_t *)(void *)((char *)reader->config + info->count_offset);
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(part->node, &state)) != NULL)
        read_entry(reader, section, entries + (*length)++ * info->size, pair, part->place);
}

// ------------------------------------------------------------------------------------- routes

static void add_to_route(const struct config_reader *reader, struct config_route *route,
                         struct fy_node *node, struct config_place fallback)
{
    struct buf why OWN_BUF, hint OWN_BUF;
    buf_init(&why, 0);
    buf_init(&hint, 0);
    char *text OWN_FREE = yaml_scalar(node);
    const char *model = text ? text : "";
    if (config_route_add(reader->config, route, model, &why))
        return;
    const char *nearest = config_entry_nearest(reader->config, CONFIG_MODEL, model);
    if (nearest[0] != '\0' && strcmp(nearest, model) != 0)
        buf_printf(&hint, "Did you mean `%s`?", nearest);
    config_errors_add(reader->errors, yaml_place(node, fallback), buf_str(&hint), "`routes.%s`: %s",
                      route->name, buf_str(&why));
}

// A list of models, or one.
static void read_route(const struct config_reader *reader, struct config_route *route,
                       struct fy_node *node, struct config_place place)
{
    if (node && fy_node_get_type(node) == FYNT_SCALAR && !yaml_is_null(node)) {
        add_to_route(reader, route, node, place);
    } else if (node && fy_node_get_type(node) == FYNT_SEQUENCE &&
               fy_node_sequence_item_count(node) > 0) {
        void *state = NULL;
        struct fy_node *item;
        while ((item = fy_node_sequence_iterate(node, &state)) != NULL)
            add_to_route(reader, route, yaml_follow(reader->doc, item), place);
    } else {
        config_errors_add(reader->errors, place, NULL, "`routes.%s` takes a list of models",
                          route->name);
    }
}

static void read_routes(const struct config_reader *reader, const struct part *part)
{
    struct config *config = reader->config;
    if (!part->given || !is_mapping(reader, part, "routes"))
        return;
    int count = fy_node_mapping_item_count(part->node);
    config->routes = own_array((size_t)(count > 0 ? count : 0), sizeof(struct config_route));
    void *state = NULL;
    struct fy_node_pair *pair;
    while ((pair = fy_node_mapping_iterate(part->node, &state)) != NULL) {
        struct fy_node *key = yaml_follow(reader->doc, fy_node_pair_key(pair));
        struct config_place place = yaml_place(key, part->place);
        struct config_route *route = &config->routes[config->route_count++];
        char *name = yaml_scalar(key);
        route->name = name ? name : own_strdup("");
        route->line = place.line;
        if (!config_name_valid(CONFIG_ROOT, route->name))
            config_errors_add(reader->errors, place, NULL, "a route's name is not text");
        else
            read_route(reader, route, yaml_follow(reader->doc, fy_node_pair_value(pair)), place);
    }
}

// ------------------------------------------------------------------------------------- the root

#define PART_ROUTES CONFIG_SECTION_COUNT

// The part of the root's key; CONFIG_ROOT: it is no section.
static size_t part_named(const char *key)
{
    for (size_t i = CONFIG_ROOT + 1; i < CONFIG_SECTION_COUNT; i++)
        if (strcmp(config_section_info((enum config_section)i)->key, key) == 0)
            return i;
    return strcmp(key, "routes") == 0 ? PART_ROUTES : CONFIG_ROOT;
}

static void read_root_pair(const struct config_reader *reader, struct part *parts,
                           struct fy_node_pair *pair)
{
    struct config_target root = {CONFIG_ROOT, reader->config, ""};
    struct fy_node *key_node = yaml_follow(reader->doc, fy_node_pair_key(pair));
    struct config_place place = yaml_place(key_node, parts[0].place);
    char *key OWN_FREE = yaml_scalar(key_node);
    size_t at = key ? part_named(key) : CONFIG_ROOT;
    if (at != CONFIG_ROOT)
        parts[at] = (struct part){yaml_follow(reader->doc, fy_node_pair_value(pair)), place, true};
    else if (key)
        read_key(reader, &root, "", key, fy_node_pair_value(pair), place);
    else
        config_errors_add(reader->errors, place, NULL, "a key is not a text");
}

// Collects the root's parts, then reads them in config.def's order, routes after the models.
static void read_root(const struct config_reader *reader)
{
    struct part parts[CONFIG_SECTION_COUNT + 1];
    struct config_place start = {reader->file, 0, 0};
    struct fy_node *node = yaml_follow(reader->doc, yaml_doc_root(reader->doc));
    for (size_t i = 0; i <= CONFIG_SECTION_COUNT; i++)
        parts[i] = (struct part){NULL, start, false};
    if (node && fy_node_get_type(node) == FYNT_MAPPING) {
        void *state = NULL;
        struct fy_node_pair *pair;
        while ((pair = fy_node_mapping_iterate(node, &state)) != NULL)
            read_root_pair(reader, parts, pair);
    } else if (!yaml_is_null(node)) {
        config_errors_add(reader->errors, start, NULL, "the file is not a mapping of keys");
    }
    struct config_target root = {CONFIG_ROOT, reader->config, ""};
    read_defaults(reader, &root, start);
    for (enum config_section i = CONFIG_ROOT + 1; i < CONFIG_SECTION_COUNT; i++) {
        if (config_section_info(i)->many)
            read_entries(reader, i, &parts[i]);
        else
            read_one_section(reader, i, &parts[i]);
    }
    number_entries(reader->config);
    read_routes(reader, &parts[PART_ROUTES]);
}

// ------------------------------------------------------------------------------------- the file

char *config_find_file(const char *option)
{
    const char *named = option ? option : getenv("PRECIS_CONFIG");
    if (named && named[0] != '\0')
        return own_strdup(named);
    static const char *const usual[] = {"./precis.yaml", "/etc/precis/precis.yaml"};
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        if (access(usual[i], F_OK) == 0)
            return own_strdup(usual[i]);
    return NULL;
}

static bool read_text(const char *path, struct buf *out, struct config_errors *errors)
{
    char piece[16384];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : 0;
    while (fd >= 0 && !out->overflow && (len = read(fd, piece, sizeof(piece))) != 0) {
        if (len < 0 && errno != EINTR)
            break;
        if (len > 0)
            buf_add(out, piece, (size_t)len);
    }
    struct config_place place = {path, 0, 0};
    if (len < 0)
        config_errors_add(errors, place, NULL, "the file cannot be read: %s", strerror(errno));
    else if (out->overflow)
        config_errors_add(errors, place, NULL, "the file is over %d bytes", CONFIG_FILE_MAX_BYTES);
    if (fd >= 0)
        close(fd);
    return len >= 0 && !out->overflow;
}

static struct config *parse(struct config_reader *reader, const char *text, size_t len)
{
    reader->doc = yaml_doc_new(reader->file, text, len, reader->errors);
    if (reader->doc == NULL)
        return NULL;
    reader->config = own_alloc(sizeof(struct config));
    read_root(reader);
    config_finish(reader->config, reader->errors);
    if (yaml_doc_exhausted(reader->doc)) {
        config_errors_deinit(reader->errors); // they follow from it
        config_errors_add(reader->errors, (struct config_place){reader->file, 0, 0}, "",
                          "the file is over %d values, with its aliases followed",
                          YAML_DOC_MAX_NODES);
    }
    yaml_doc_free(reader->doc);
    return reader->config;
}

// The file's text: given, or read; false after a mistake.
static bool find_text(const struct config_source *source, const char *path, struct buf *out,
                      struct config_errors *errors)
{
    if (source->text == NULL && path)
        return read_text(path, out, errors);
    if (source->text && buf_add_str(out, source->text))
        return true;
    if (source->text) {
        config_errors_add(errors, (struct config_place){path, 0, 0}, "",
                          "the file is over %d bytes", CONFIG_FILE_MAX_BYTES);
        return false;
    }
    config_errors_add(errors, (struct config_place){NULL, 0, 0},
                      "Name one with --config, or begin with a copy of deploy/examples/xai.yaml.",
                      "no configuration was found: not in $PRECIS_CONFIG, ./precis.yaml or "
                      "/etc/precis/precis.yaml");
    return false;
}

static bool read_env_file(const struct config_source *source, struct secrets *secrets,
                          struct config_errors *errors)
{
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (source->env_file == NULL || secrets_read_env_file(secrets, source->env_file, &why))
        return true;
    config_errors_add(errors, (struct config_place){NULL, 0, 0}, "", "%s", buf_str(&why));
    return false;
}

struct config *config_load(const struct config_source *source, struct config_errors *out_errors)
{
    struct secrets *own = source->secrets ? NULL : secrets_new();
    struct secrets *secrets = own ? own : source->secrets;
    char *path OWN_FREE = source->text ? own_strdup(source->path) : config_find_file(source->path);
    struct buf text OWN_BUF;
    buf_init(&text, CONFIG_FILE_MAX_BYTES);
    struct config_reader reader = {NULL, out_errors, secrets, NULL, path};
    struct config *config = NULL;
    if (read_env_file(source, secrets, out_errors) && find_text(source, path, &text, out_errors))
        config = parse(&reader, buf_str(&text), text.len);
    config_errors_sort(out_errors);
    if (config && out_errors->len > 0) {
        config_free(config);
        config = NULL;
    }
    secrets_free(own);
    return config;
}
