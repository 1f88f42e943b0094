// SPDX-License-Identifier: Apache-2.0
// Walks a JSON Schema and writes a value for it.
//
// What a field wants is read from its description: "ISO 8601" a date, "amount …" an amount, and
// both are the document's own, in its order. Other texts take the next sentence. A field that may
// be null is null where nothing suitable is left, as a model should leave it.
#include "fill.h"

#include "facts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 12,
    OUT_MAX_BYTES = 1 << 20,
    STRING_CHARS = 200,
    CITED_MAX = 100,
    ITEMS = 2,
    ITEMS_OF_AMOUNTS = 4
};

struct cited {
    size_t path, path_len; // in filler.paths, a JSON Pointer
    const char *quote;
    size_t quote_len;
};

struct filler {
    const json_t *root;
    const struct sentences *sentences;
    size_t next, next_date, next_amount;
    struct facts facts;
    struct buf *out;
    struct buf path;  // to the value that is being written
    struct buf paths; // those of `cited`
    struct cited cited[CITED_MAX];
    size_t cited_count;
};

static void fill(struct filler *filler, const json_t *schema, int depth);

// --- what is wanted

enum want { WANT_TEXT, WANT_DATE, WANT_AMOUNT, WANT_TIME };

static enum want want_of(const json_t *schema)
{
    const char *text = json_string_value(json_object_get(schema, "description"));
    if (text && strstr(text, "ISO 8601"))
        return WANT_DATE;
    if (text && strncmp(text, "amount", 6) == 0)
        return WANT_AMOUNT;
    return text && strncmp(text, "HH:MM", 5) == 0 ? WANT_TIME : WANT_TEXT;
}

static bool may_be_null(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    for (size_t i = 0; i < json_array_size(type); i++) {
        const char *word = json_string_value(json_array_get(type, i));
        if (word && strcmp(word, "null") == 0)
            return true;
    }
    return false;
}

static const char *type_of(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type");
    if (json_is_array(type))
        type = json_array_get(type, 0);
    if (json_is_string(type))
        return json_string_value(type);
    return json_object_get(schema, "properties") ? "object" : "string";
}

// --- where it is

static size_t enter_name(struct filler *filler, const char *name)
{
    size_t before = filler->path.len;
    buf_add_text(&filler->path, "/");
    for (; *name; name++)
        if (*name == '~' || *name == '/')
            buf_add_text(&filler->path, *name == '~' ? "~0" : "~1");
        else
            buf_add(&filler->path, name, 1);
    return before;
}

static size_t enter_item(struct filler *filler, size_t i)
{
    size_t before = filler->path.len;
    buf_add_text(&filler->path, "/");
    buf_add_number(&filler->path, i);
    return before;
}

static void leave(struct filler *filler, size_t before)
{
    filler->path.len = before;
}

static void cite(struct filler *filler, const char *quote, size_t len)
{
    if (filler->cited_count == CITED_MAX || len == 0)
        return;
    filler->cited[filler->cited_count++] =
        (struct cited){filler->paths.len, filler->path.len, quote, len};
    buf_add(&filler->paths, filler->path.data, filler->path.len);
}

// --- texts

static void add_string(struct filler *filler, const char *text, size_t len)
{
    buf_add_text(filler->out, "\"");
    buf_add_json(filler->out, text, len);
    buf_add_text(filler->out, "\"");
}

static void fill_sentence(struct filler *filler, const json_t *schema)
{
    const json_t *max = json_object_get(schema, "maxLength");
    size_t chars = json_is_integer(max) ? (size_t)json_integer_value(max) : STRING_CHARS;
    if (filler->sentences->count == 0) {
        buf_add_text(filler->out, "\"\"");
        return;
    }
    const struct sentence *s = &filler->sentences->items[filler->next++ % filler->sentences->count];
    add_string(filler, s->at, utf8_prefix(s->at, s->len, chars));
    cite(filler, s->at, utf8_prefix(s->at, s->len, STRING_CHARS));
}

// With the sentence that it stands in as its quote, or what of it begins with it.
static void fill_fact(struct filler *filler, const struct fact *fact, const char *text, size_t len)
{
    const struct sentence *s = &filler->sentences->items[fact->sentence];
    size_t quote = utf8_prefix(s->at, s->len, STRING_CHARS);
    add_string(filler, text, len);
    if (fact->at + fact->len <= s->at + quote)
        cite(filler, s->at, quote);
    else
        cite(filler, fact->at, fact->len);
}

static void fill_string(struct filler *filler, const json_t *schema)
{
    enum want want = want_of(schema);
    const struct fact_list *dates = &filler->facts.dates, *amounts = &filler->facts.amounts;
    if (want == WANT_DATE && filler->next_date < dates->count) {
        const struct fact *date = &dates->items[filler->next_date++];
        fill_fact(filler, date, date->iso, strlen(date->iso));
    } else if (want == WANT_AMOUNT && filler->next_amount < amounts->count) {
        const struct fact *amount = &amounts->items[filler->next_amount++];
        fill_fact(filler, amount, amount->at, amount->len);
    } else if (may_be_null(schema) &&
               (want != WANT_TEXT || filler->next >= filler->sentences->count)) {
        buf_add_text(filler->out, "null");
    } else {
        fill_sentence(filler, schema);
    }
}

// --- objects and lists

static void fill_object(struct filler *filler, const json_t *schema, int depth)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *property;
    const char *comma = "";
    buf_add_text(filler->out, "{");
    json_object_foreach(properties, name, property)
    {
        buf_add_text(filler->out, comma);
        buf_add_text(filler->out, "\"");
        buf_add_json(filler->out, name, strlen(name));
        buf_add_text(filler->out, "\":");
        size_t before = enter_name(filler, name);
        fill(filler, property, depth + 1);
        leave(filler, before);
        comma = ",";
    }
    buf_add_text(filler->out, "}");
}

static bool has_amount(const json_t *items)
{
    json_t *properties = json_object_get(items, "properties");
    const char *name;
    json_t *property;
    json_object_foreach(properties, name, property) if (want_of(property) == WANT_AMOUNT &&
                                                        !may_be_null(property)) return true;
    return false;
}

// As many as the schema wants; else a few, but none of amounts that the document does not name, and
// none of sentences that it does not have.
static size_t item_count(const struct filler *filler, const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items");
    json_int_t least = json_integer_value(json_object_get(schema, "minItems"));
    if (least > 0)
        return least > 20 ? 20 : (size_t)least;
    if (!json_is_object(items))
        return 0;
    if (!has_amount(items))
        return filler->next < filler->sentences->count ? ITEMS : 0;
    size_t left = filler->facts.amounts.count - filler->next_amount;
    return left < ITEMS_OF_AMOUNTS ? left : ITEMS_OF_AMOUNTS;
}

static void fill_array(struct filler *filler, const json_t *schema, int depth)
{
    const json_t *items = json_object_get(schema, "items");
    size_t count = item_count(filler, schema);
    buf_add_text(filler->out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_text(filler->out, ",");
        size_t before = enter_item(filler, i);
        fill(filler, items, depth + 1);
        leave(filler, before);
    }
    buf_add_text(filler->out, "]");
}

static void fill_number(struct filler *filler, const json_t *schema)
{
    const json_t *least = json_object_get(schema, "minimum");
    if (json_is_integer(least) && json_integer_value(least) > 0)
        buf_add_number(filler->out, (uint64_t)json_integer_value(least));
    else
        buf_add_text(filler->out, "0");
}

static void fill_constant(struct filler *filler, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    buf_add_text(filler->out, text ? text : "null");
    free(text);
}

// Walks "#/$defs/name" and the like from the root.
static const json_t *follow(const json_t *root, const char *pointer)
{
    char name[128];
    while (root && *pointer == '/') {
        size_t len = strcspn(++pointer, "/");
        if (len >= sizeof name)
            return NULL;
        memcpy(name, pointer, len);
        name[len] = '\0';
        root = json_is_array(root) ? json_array_get(root, strtoul(name, NULL, 10))
                                   : json_object_get(root, name);
        pointer += len;
    }
    return root;
}

// Follows a reference, or takes the first of anyOf, oneOf, allOf.
static const json_t *resolve(const struct filler *filler, const json_t *schema)
{
    static const char *const lists[] = {"anyOf", "oneOf", "allOf"};
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    if (reference && *reference == '#')
        return follow(filler->root, reference + 1);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(schema, lists[i]);
        if (json_array_size(list) > 0)
            return json_array_get(list, 0);
    }
    return schema;
}

static void fill(struct filler *filler, const json_t *schema, int depth)
{
    schema = resolve(filler, schema);
    const json_t *constant = json_object_get(schema, "const");
    const json_t *choices = json_object_get(schema, "enum");
    const char *type = type_of(schema);
    if (depth > DEPTH_MAX || filler->out->len > OUT_MAX_BYTES)
        buf_add_text(filler->out, "null");
    else if (constant)
        fill_constant(filler, constant);
    else if (json_array_size(choices) > 0)
        fill_constant(filler, json_array_get(choices, 0));
    else if (strcmp(type, "object") == 0)
        fill_object(filler, schema, depth);
    else if (strcmp(type, "array") == 0)
        fill_array(filler, schema, depth);
    else if (strcmp(type, "string") != 0 && may_be_null(schema))
        buf_add_text(filler->out, "null"); // a number or a yes that nothing here can know
    else if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
        fill_number(filler, schema);
    else if (strcmp(type, "boolean") == 0)
        buf_add_text(filler->out, "false");
    else if (strcmp(type, "null") == 0)
        buf_add_text(filler->out, "null");
    else
        fill_string(filler, schema);
}

static void filler_init(struct filler *filler, const json_t *root,
                        const struct sentences *sentences, struct buf *out)
{
    *filler = (struct filler){.root = root, .sentences = sentences, .out = out};
    facts_find(sentences, &filler->facts);
}

static void filler_deinit(struct filler *filler)
{
    buf_free(&filler->path);
    buf_free(&filler->paths);
}

void fill_schema(const json_t *schema, const struct sentences *sentences, struct buf *out)
{
    struct filler filler;
    filler_init(&filler, schema, sentences, out);
    fill(&filler, schema, 0);
    filler_deinit(&filler);
}

static void add_quotes(const struct filler *filler)
{
    struct buf *out = filler->out;
    buf_add_text(out, "[");
    for (size_t i = 0; i < filler->cited_count; i++) {
        const struct cited *cited = &filler->cited[i];
        buf_add_text(out, i > 0 ? ",{\"path\":\"" : "{\"path\":\"");
        buf_add_json(out, filler->paths.data + cited->path, cited->path_len);
        buf_add_text(out, "\",\"quote\":\"");
        buf_add_json(out, cited->quote, cited->quote_len);
        buf_add_text(out, "\"}");
    }
    buf_add_text(out, "]");
}

void fill_cited(const json_t *output, const json_t *root, const struct sentences *sentences,
                struct buf *out)
{
    struct filler filler;
    filler_init(&filler, root, sentences, out);
    buf_add_text(out, "{\"output\":");
    fill(&filler, output, 0);
    buf_add_text(out, ",\"quotes\":");
    add_quotes(&filler);
    buf_add_text(out, "}");
    filler_deinit(&filler);
}
