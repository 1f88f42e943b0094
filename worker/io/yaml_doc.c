// SPDX-License-Identifier: Apache-2.0
// YAML documents: libfyaml with its silences closed.
#include "io/yaml_doc.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/own.h"

#define DEPTH_MAX 64

struct yaml_doc {
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_document *document;
    struct config_errors *errors;
    const char *file;
    size_t visits;
};

// ------------------------------------------------------------------------------------- bytes

// The first byte that may not be in a YAML file; len where all may.
static size_t bad_byte(const char *text, size_t len)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    size_t at = 0;
    while (at < len) {
        utf8proc_int32_t point;
        utf8proc_ssize_t used = utf8proc_iterate(bytes + at, (utf8proc_ssize_t)(len - at), &point);
        bool blank = point == '\t' || point == '\n' || point == '\r';
        if (used <= 0 || (point < 0x20 && !blank) || point == 0x7f)
            return at;
        at += (size_t)used;
    }
    return len;
}

static struct config_place place_of_byte(const char *file, const char *text, size_t at)
{
    struct config_place place = {file, 1, 1};
    for (size_t i = 0; i < at; i++) {
        place.column++;
        if (text[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

// ------------------------------------------------------------------------------------- reading

// Whether that line has a reference that may be what the parser stumbled over.
static bool line_has_reference(const char *text, size_t len, int line)
{
    const char *end = text + len;
    for (int i = 1; i < line && text; i++) {
        text = memchr(text, '\n', (size_t)(end - text));
        text = text ? text + 1 : NULL;
    }
    if (text == NULL)
        return false;
    const char *stop = memchr(text, '\n', (size_t)(end - text));
    return memmem(text, (size_t)((stop ? stop : end) - text), "${", 2) != NULL;
}

struct reading {
    const char *file, *text;
    size_t len;
    struct config_errors *errors;
};

// What to look for where the parser's words are about its own state.
static const char *hint_for(const char *message)
{
    static const struct {
        const char *part, *hint;
    } hints[] = {
        {"invalid multiline plain key", "Is there a colon missing behind a key?"},
        {"as indentation", "Indent with spaces."},
        {"duplicate key", "It stands twice in this mapping."},
        {"missing comma", "Is a bracket not closed, or a comma missing?"},
    };
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
        if (strstr(message, hints[i].part))
            return hints[i].hint;
    return NULL;
}

// Hands the parser's own mistakes over; where it has none, `otherwise` is one.
static void report(const struct reading *reading, struct fy_diag *diag, const char *otherwise)
{
    void *state = NULL;
    struct fy_diag_error *error;
    bool any = false;
    while ((error = fy_diag_errors_iterate(diag, &state)) != NULL) {
        if (error->type != FYET_ERROR)
            continue;
        bool reference = line_has_reference(reading->text, reading->len, error->line);
        struct config_place place = {reading->file, error->line, error->column};
        config_errors_add(reading->errors, place,
                          reference ? "A ${…} inside { } or [ ] needs quotes."
                                    : hint_for(error->msg),
                          "%s", error->msg);
        any = true;
    }
    if (!any)
        config_errors_add(reading->errors, (struct config_place){reading->file, 1, 1}, "", "%s",
                          otherwise);
}

static bool read_document(struct yaml_doc *doc, const struct reading *reading)
{
    struct fy_diag_cfg diag;
    fy_diag_cfg_default(&diag);
    diag.fp = NULL;
    diag.colorize = false;
    doc->diag = fy_diag_create(&diag);
    fy_diag_set_collect_errors(doc->diag, true);
    struct fy_parse_cfg parse = {
        .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
        .diag = doc->diag,
    };
    doc->parser = fy_parser_create(&parse);
    if (doc->parser == NULL ||
        fy_parser_set_string(doc->parser, reading->text, reading->len) != 0) {
        report(reading, doc->diag, "the file cannot be parsed");
        return false;
    }
    doc->document = fy_parse_load_document(doc->parser);
    if (doc->document == NULL && fy_parser_get_stream_error(doc->parser)) {
        report(reading, doc->diag, "the file is not YAML");
        return false;
    }
    struct fy_document *second = doc->document ? fy_parse_load_document(doc->parser) : NULL;
    bool fine = second == NULL && !fy_parser_get_stream_error(doc->parser);
    if (!fine)
        report(reading, doc->diag, "there is a second document in the file");
    fy_parse_document_destroy(doc->parser, second);
    return fine;
}

struct yaml_doc *yaml_doc_new(const char *file, const char *text, size_t len,
                              struct config_errors *errors)
{
    struct reading reading = {file, text, len, errors};
    size_t bad = bad_byte(text, len);
    if (bad < len) {
        config_errors_add(errors, place_of_byte(file, text, bad), "The file must be UTF-8 text.",
                          "there is a byte that is not text");
        return NULL;
    }
    struct yaml_doc *doc = own_alloc(sizeof(*doc));
    doc->errors = errors;
    doc->file = file;
    if (len == 0 || read_document(doc, &reading))
        return doc;
    yaml_doc_free(doc);
    return NULL;
}

void yaml_doc_free(struct yaml_doc *doc)
{
    if (doc == NULL)
        return;
    if (doc->document)
        fy_parse_document_destroy(doc->parser, doc->document);
    if (doc->parser)
        fy_parser_destroy(doc->parser);
    if (doc->diag)
        fy_diag_destroy(doc->diag);
    free(doc);
}

// ------------------------------------------------------------------------------------- nodes

struct fy_node *yaml_doc_root(const struct yaml_doc *doc)
{
    return doc->document ? fy_document_root(doc->document) : NULL;
}

struct fy_node *yaml_follow(struct yaml_doc *doc, struct fy_node *node)
{
    if (node == NULL || doc->visits++ >= YAML_DOC_MAX_NODES)
        return NULL;
    struct fy_node *real = node;
    for (int i = 0; i < DEPTH_MAX && real && fy_node_is_alias(real); i++)
        real = fy_node_resolve_alias(real);
    if (real && !fy_node_is_alias(real))
        return real;
    config_errors_add(doc->errors, yaml_place(node, (struct config_place){doc->file, 0, 0}), "",
                      "there is no anchor for this alias");
    return NULL;
}

bool yaml_doc_exhausted(const struct yaml_doc *doc)
{
    return doc->visits >= YAML_DOC_MAX_NODES;
}

char *yaml_scalar(struct fy_node *node)
{
    size_t len = 0;
    if (node == NULL || fy_node_get_type(node) != FYNT_SCALAR)
        return NULL;
    const char *text = fy_node_get_scalar(node, &len);
    return own_strndup(text ? text : "", len);
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    return false;
}

static bool is_plain(struct fy_node *node)
{
    enum fy_node_style style = fy_node_get_style(node);
    return style == FYNS_PLAIN || style == FYNS_ANY;
}

bool yaml_is_null(struct fy_node *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    if (node == NULL)
        return true;
    char *text OWN_FREE = yaml_scalar(node);
    return text && is_plain(node) && is_one_of(text, nulls);
}

struct config_place yaml_place(struct fy_node *node, struct config_place fallback)
{
    if (node == NULL || fy_node_get_type(node) != FYNT_SCALAR)
        return fallback;
    struct fy_token *token = fy_node_get_scalar_token(node);
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
    if (mark == NULL)
        return fallback;
    enum fy_node_style style = fy_node_get_style(node);
    bool marked = style == FYNS_SINGLE_QUOTED || style == FYNS_DOUBLE_QUOTED || style == FYNS_ALIAS;
    int column = mark->column + (marked ? 0 : 1); // libfyaml's mark is behind the quote or star
    return (struct config_place){fallback.file, mark->line + 1, column};
}

// ------------------------------------------------------------------------------------- JSON

static json_t *json_of(struct yaml_doc *doc, struct fy_node *node, int depth);

// YAML 1.2's core schema, for what a JSON Schema needs: no octal, no hexadecimal, no infinity.
static json_t *json_of_plain(const char *text)
{
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    if (strchr("-.0123456789", text[0]) && text[strspn(text, "+-.eE0123456789")] == '\0') {
        json_t *number = json_loads(text, JSON_DECODE_ANY, NULL);
        if (number)
            return number;
    }
    return json_string(text);
}

static json_t *json_of_scalar(struct fy_node *node)
{
    char *text OWN_FREE = yaml_scalar(node);
    if (yaml_is_null(node))
        return json_null();
    return is_plain(node) ? json_of_plain(text) : json_string(text);
}

static json_t *json_of_sequence(struct yaml_doc *doc, struct fy_node *node, int depth)
{
    json_t *array = json_array();
    void *state = NULL;
    struct fy_node *item;
    while (array && (item = fy_node_sequence_iterate(node, &state)) != NULL) {
        if (json_array_append_new(array, json_of(doc, item, depth + 1)) != 0) {
            json_decref(array);
            array = NULL;
        }
    }
    return array;
}

static json_t *json_of_mapping(struct yaml_doc *doc, struct fy_node *node, int depth)
{
    json_t *object = json_object();
    void *state = NULL;
    struct fy_node_pair *pair;
    while (object && (pair = fy_node_mapping_iterate(node, &state)) != NULL) {
        char *key OWN_FREE = yaml_scalar(yaml_follow(doc, fy_node_pair_key(pair)));
        json_t *value = json_of(doc, fy_node_pair_value(pair), depth + 1);
        if (key == NULL || json_object_set(object, key, value) != 0) {
            json_decref(object);
            object = NULL;
        }
        json_decref(value);
    }
    return object;
}

// NULL: too deep, too much, or a key that is no text; every caller gives up then.
static json_t *json_of(struct yaml_doc *doc, struct fy_node *node, int depth)
{
    if (node == NULL)
        return json_null();
    node = yaml_follow(doc, node);
    if (node == NULL || depth > DEPTH_MAX)
        return NULL;
    switch (fy_node_get_type(node)) {
    case FYNT_SCALAR:
        return json_of_scalar(node);
    case FYNT_SEQUENCE:
        return json_of_sequence(doc, node, depth);
    case FYNT_MAPPING:
        return json_of_mapping(doc, node, depth);
    }
    return NULL;
}

json_t *yaml_tree(struct yaml_doc *doc, struct fy_node *node)
{
    return json_of(doc, node, 0);
}

char *yaml_json(struct yaml_doc *doc, struct fy_node *node)
{
    json_t *json = yaml_tree(doc, node);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : NULL;
    json_decref(json);
    return text;
}
