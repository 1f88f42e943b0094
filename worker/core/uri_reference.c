// SPDX-License-Identifier: Apache-2.0
// Resolution of references.
#include "core/uri_reference.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

// Lengths of the parts, one after the other: "http:" "//host" "/path" "?query".
struct parts {
    size_t scheme, authority, path, query;
};

static struct parts parts_of(const char *uri)
{
    struct parts parts = {0};
    size_t head = strcspn(uri, ":/?#");
    if (head > 0 && uri[head] == ':')
        parts.scheme = head + 1;
    const char *rest = uri + parts.scheme;
    if (strncmp(rest, "//", 2) == 0)
        parts.authority = 2 + strcspn(rest + 2, "/?#");
    parts.path = strcspn(rest + parts.authority, "?#");
    parts.query = strcspn(rest + parts.authority + parts.path, "#");
    return parts;
}

// Takes the last segment off what was written from `floor` on: "/a/b/" becomes "/a/".
static void drop_segment(struct buf *out, size_t floor)
{
    size_t end = out->len;
    if (end > floor)
        end--;
    while (end > floor && out->data[end - 1] != '/')
        end--;
    if (end == floor && out->len > floor && out->data[floor] == '/')
        end++;
    out->len = end;
}

// Appends the path without "." and ".." segments.
static void add_clean_path(struct buf *out, const char *path)
{
    size_t floor = out->len;
    while (*path) {
        size_t len = strcspn(path, "/");
        size_t whole = len + (path[len] == '/' ? 1 : 0);
        if (len == 2 && strncmp(path, "..", 2) == 0)
            drop_segment(out, floor);
        else if (!(len == 1 && path[0] == '.'))
            buf_add(out, path, whole);
        path += whole;
    }
    buf_add(out, "", 0); // the NUL
}

// The base's path up to its last slash, then the reference's.
static char *merged_path(const char *base, const struct parts *at, const char *path, size_t len)
{
    const char *base_path = base + at->scheme + at->authority;
    size_t keep = at->path;
    while (keep > 0 && base_path[keep - 1] != '/')
        keep--;
    struct buf merged;
    buf_init(&merged, 0);
    if (at->authority > 0 && at->path == 0)
        buf_add_char(&merged, '/');
    buf_add(&merged, base_path, keep);
    buf_add(&merged, path, len);
    return buf_take(&merged);
}

void uri_reference_resolve(struct buf *out, const char *base, const char *reference)
{
    struct parts from = parts_of(base), to = parts_of(reference);
    const char *path = reference + to.scheme + to.authority;
    const char *query = path + to.path;
    if (to.scheme > 0) {
        buf_add(out, reference, strcspn(reference, "#"));
        return;
    }
    buf_add(out, base, from.scheme);
    if (to.authority > 0) {
        buf_add(out, reference, strcspn(reference, "#"));
        return;
    }
    buf_add(out, base + from.scheme, from.authority);
    if (to.path == 0) {
        const char *base_path = base + from.scheme + from.authority;
        buf_add(out, base_path, from.path + (to.query ? 0 : from.query));
        buf_add(out, query, to.query);
        return;
    }
    char *whole OWN_FREE =
        path[0] == '/' ? own_strndup(path, to.path) : merged_path(base, &from, path, to.path);
    add_clean_path(out, whole);
    buf_add(out, query, to.query);
}

const char *uri_reference_fragment(const char *reference)
{
    const char *hash = strchr(reference, '#');
    return hash ? hash + 1 : NULL;
}
