// SPDX-License-Identifier: Apache-2.0
// Answers a request for several documents, one after the other.
#include "pack.h"

#include "document.h"

#include <string.h>

enum { DOCUMENTS_MAX = 64, ORDER_CHARS_MAX = 400 };

static const char prefix[] = "document-";
static const char order_mark[] = "In every summary write: ";

struct packed {
    struct fenced text, id;
};

static size_t find_all(const struct buf *user, struct packed *out)
{
    size_t count = 0;
    const char *end = user->data + user->len, *rest = user->data;
    struct fenced text;
    while (count < DOCUMENTS_MAX && document_next(rest, end, &text, &rest)) {
        const char *name = rest + 2 <= end ? rest + 2 : end; // of `</document-k3f9>`
        const char *name_end = memchr(name, '>', (size_t)(end - name));
        size_t skip = sizeof prefix - 1;
        if (!name_end || (size_t)(name_end - name) <= skip || memcmp(name, prefix, skip) != 0)
            continue;
        out[count++] = (struct packed){text, {name + skip, (size_t)(name_end - name) - skip}};
    }
    return count;
}

static const json_t *answer_schema(const struct chat_request *request)
{
    const json_t *list =
        json_object_get(json_object_get(request->schema, "properties"), "documents");
    const json_t *entry = json_object_get(json_object_get(list, "items"), "properties");
    return json_object_get(entry, "id") ? json_object_get(entry, "answer") : NULL;
}

bool pack_asked(const struct chat_request *request)
{
    if (request->user.len == 0)
        return false;
    if (request->schema)
        return answer_schema(request) != NULL;
    return request->system.len > 0 && strstr(request->system.data, "{\"documents\": [{\"id\"");
}

// What a document that gives orders wants to read in all summaries, for a model that obeys: the
// rest of the line behind the mark, as the inside of a JSON string.
static void find_order(const struct buf *user, struct buf *out)
{
    const char *at = strstr(user->data, order_mark);
    if (!at)
        return;
    at += sizeof order_mark - 1;
    size_t len = strcspn(at, "\n");
    buf_add_text(out, " ");
    buf_add_json(out, at, len < ORDER_CHARS_MAX ? len : ORDER_CHARS_MAX);
}

static void write_entry(struct answer_scratch *scratch, const struct chat_request *request,
                        const struct fenced *id, const struct fenced *text, enum answer_spoil spoil,
                        const char *inner, struct buf *out)
{
    struct buf user = {0};
    struct chat_request one = *request;
    buf_add_text(&user, "<document-one>\n");
    buf_add(&user, text->at, text->len);
    buf_add_text(&user, "</document-one>\n");
    one.user = user;
    one.schema = (json_t *)(uintptr_t)answer_schema(request);
    buf_add_text(out, "{\"id\":\"");
    buf_add_json(out, id->at, id->len);
    buf_add_text(out, "\",\"answer\":");
    answer_write_one(scratch, &one, spoil, inner, out);
    buf_add_text(out, "}");
    buf_free(&user);
}

void pack_write(struct answer_scratch *scratch, const struct chat_request *request,
                enum answer_spoil spoil, const char *inner, struct buf *out)
{
    struct packed all[DOCUMENTS_MAX];
    struct buf order = {0};
    size_t count = find_all(&request->user, all);
    if (spoil == SPOIL_PACK_OBEYS)
        find_order(&request->user, &order);
    buf_add_text(out, "{\"documents\":[");
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        size_t text = spoil == SPOIL_PACK_SWAPPED && i < 2 && count > 1 ? 1 - i : i;
        if (spoil == SPOIL_PACK_MISSING && last)
            break;
        buf_add_text(out, i > 0 ? "," : "");
        write_entry(scratch, request, &all[i].id, &all[text].text, spoil,
                    order.len > 0 ? order.data : inner, out);
        if (spoil == SPOIL_PACK_DOUBLED && last) {
            buf_add_text(out, ",");
            write_entry(scratch, request, &all[i].id, &all[0].text, spoil, inner, out);
        }
    }
    buf_add_text(out, "]}");
    buf_free(&order);
}
