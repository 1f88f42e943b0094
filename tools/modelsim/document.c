// SPDX-License-Identifier: Apache-2.0
// Finds the fenced documents in a prompt and cuts them into sentences.
//
// A call that combines part summaries has their JSON between the fences. Then the sentences are
// those of the summaries and quotes in it, as a reader would see them, each once.
#include "document.h"

#include <jansson.h>
#include <string.h>

// A line `<document…>`: its tag's name and where the text after the line begins.
static bool opens_fence(const char *at, const char *end, struct fenced *out_name,
                        const char **out_text)
{
    static const char mark[] = "<document";
    if ((size_t)(end - at) < sizeof mark || memcmp(at, mark, sizeof mark - 1) != 0)
        return false;
    const char *name_end = at + sizeof mark - 1;
    while (name_end < end && *name_end != ' ' && *name_end != '>' && *name_end != '\n')
        name_end++;
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end || line_end == at || !memchr(at, '>', (size_t)(line_end - at)))
        return false;
    *out_name = (struct fenced){at + 1, (size_t)(name_end - at - 1)};
    *out_text = line_end + 1;
    return true;
}

// Where the line `</name>` begins, or the end of the text.
static const char *find_close(const char *text, const char *end, const struct fenced *name)
{
    for (const char *at = text; at && at < end;) {
        if ((size_t)(end - at) >= name->len + 3 && at[0] == '<' && at[1] == '/' &&
            memcmp(at + 2, name->at, name->len) == 0 && at[2 + name->len] == '>')
            return at;
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return end;
}

bool document_next(const char *text, const char *end, struct fenced *out_document,
                   const char **out_rest)
{
    for (const char *at = text; at && at < end;) {
        struct fenced name;
        const char *inside;
        if (opens_fence(at, end, &name, &inside)) {
            const char *close = find_close(inside, end, &name);
            *out_document = (struct fenced){inside, (size_t)(close - inside)};
            *out_rest = close;
            return true;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return false;
}

// --- part summaries

static void collect(const json_t *value, const char *name, struct buf *out, int depth);

static void collect_members(json_t *object, struct buf *out, int depth)
{
    const char *name;
    json_t *member;
    json_object_foreach(object, name, member)
    {
        collect(member, name, out, depth);
    }
}

// The texts named summary and quote, a paragraph each.
static void collect(const json_t *value, const char *name, struct buf *out, int depth)
{
    if (depth > 8)
        return;
    for (size_t i = 0; i < json_array_size(value); i++)
        collect(json_array_get(value, i), name, out, depth + 1);
    if (json_is_object(value))
        collect_members((json_t *)(uintptr_t)value, out, depth + 1);
    bool wanted = strcmp(name, "summary") == 0 || strcmp(name, "quote") == 0;
    if (json_is_string(value) && wanted) {
        buf_add(out, json_string_value(value), json_string_length(value));
        buf_add_text(out, "\n\n");
    }
}

// The texts of all JSON objects and arrays that begin a line. Nothing for a document that is not
// made of part summaries.
static void collect_all(const struct fenced *document, struct buf *out)
{
    const char *end = document->at + document->len;
    for (const char *at = document->at; at && at < end;) {
        if (*at == '{' || *at == '[') {
            json_error_t error;
            json_t *value =
                json_loadb(at, (size_t)(end - at), JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &error);
            if (!value)
                return;
            collect(value, "", out, 0);
            json_decref(value);
            at += error.position;
        }
        at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        at = at ? at + 1 : NULL;
    }
}

static void drop_repeated(struct sentences *sentences)
{
    size_t kept = 0;
    for (size_t i = 0; i < sentences->count; i++) {
        const struct sentence *s = &sentences->items[i];
        size_t j = 0;
        while (j < kept && !(sentences->items[j].len == s->len &&
                             memcmp(sentences->items[j].at, s->at, s->len) == 0))
            j++;
        if (j == kept)
            sentences->items[kept++] = *s;
    }
    sentences->count = kept;
}

// --- all of it

static bool looks_like_parts(const struct fenced *document)
{
    return document->at && memmem(document->at, document->len, "\"summary\"", 9) &&
           memchr(document->at, '{', document->len);
}

void document_sentences(const struct buf *user, enum grain grain, struct buf *text,
                        struct sentences *out)
{
    struct fenced document;
    bool any = false;
    sentences_clear(out);
    buf_clear(text);
    if (user->len == 0)
        return;
    const char *end = user->data + user->len;
    for (const char *rest = user->data; document_next(rest, end, &document, &rest); any = true)
        if (looks_like_parts(&document))
            collect_all(&document, text);
    if (text->len > 0) {
        sentences_add(out, text->data, text->len, grain);
        drop_repeated(out);
        return;
    }
    for (const char *rest = user->data; document_next(rest, end, &document, &rest);)
        sentences_add(out, document.at, document.len, grain);
    if (!any)
        sentences_add(out, user->data, user->len, grain);
}
