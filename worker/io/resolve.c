// SPDX-License-Identifier: Apache-2.0
// The cache of addresses. A worker talks to a handful of hosts, so the cache is a plain list.
#include "io/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/own.h"

#define ADDRESSES_MAX 8

struct name {
    struct list_node node;
    struct resolve *resolve;
    uv_getaddrinfo_t request;
    bool asking;
    char *host;
    char *addresses; // NULL: none known
    char *problem;   // of the last try; NULL where it succeeded
    uint64_t resolved_ms, tried_ms;
    bool doubted;
};

struct resolve {
    uv_loop_t *loop;
    struct list names;
    size_t asking;
    bool closing;
    void (*on_change)(void *context);
    void *context;
};

static void free_all(struct resolve *resolve)
{
    struct list_node *node;
    while ((node = list_first(&resolve->names))) {
        struct name *name = list_item(node, struct name, node);
        list_remove(node);
        free(name->host);
        free(name->addresses);
        free(name->problem);
        free(name);
    }
    free(resolve);
}

static bool add_address(struct buf *out, const struct addrinfo *info)
{
    char text[INET6_ADDRSTRLEN];
    if (info->ai_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)info->ai_addr;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        return buf_printf(out, "%s%s", out->len > 0 ? "," : "", text);
    }
    if (info->ai_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)info->ai_addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        return buf_printf(out, "%s[%s]", out->len > 0 ? "," : "", text);
    }
    return false;
}

static char *list_addresses(const struct addrinfo *info)
{
    struct buf out;
    buf_init(&out, 0);
    for (int count = 0; info && count < ADDRESSES_MAX; info = info->ai_next)
        count += add_address(&out, info);
    if (out.len == 0)
        return NULL;
    return buf_take(&out);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *info)
{
    struct name *name = request->data;
    struct resolve *resolve = name->resolve;
    name->asking = false;
    resolve->asking--;
    char *addresses = status == 0 ? list_addresses(info) : NULL;
    uv_freeaddrinfo(info);
    free(name->problem);
    name->problem = NULL;
    if (addresses) {
        free(name->addresses);
        name->addresses = addresses;
        name->resolved_ms = uv_now(resolve->loop);
        name->doubted = false;
    } else {
        name->problem = own_strdup(status ? uv_strerror(status) : "the name has no address");
    }
    if (!resolve->closing)
        resolve->on_change(resolve->context);
    else if (resolve->asking == 0)
        free_all(resolve);
}

static void ask(struct name *name)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    name->tried_ms = uv_now(name->resolve->loop);
    name->request.data = name;
    int status =
        uv_getaddrinfo(name->resolve->loop, &name->request, on_resolved, name->host, NULL, &hints);
    if (status) {
        free(name->problem);
        name->problem = own_strdup(uv_strerror(status));
        return;
    }
    name->asking = true;
    name->resolve->asking++;
}

static struct name *find(struct resolve *resolve, const char *host)
{
    for (struct list_node *node = list_first(&resolve->names); node;
         node = list_next(&resolve->names, node)) {
        struct name *name = list_item(node, struct name, node);
        if (strcasecmp(name->host, host) == 0)
            return name;
    }
    return NULL;
}

static struct name *find_or_add(struct resolve *resolve, const char *host)
{
    struct name *name = find(resolve, host);
    if (name)
        return name;
    name = own_alloc(sizeof(*name));
    name->resolve = resolve;
    name->host = own_strdup(host);
    list_append(&resolve->names, &name->node);
    return name;
}

enum resolve_state resolve_look(struct resolve *resolve, const char *host, const char **out)
{
    struct name *name = find_or_add(resolve, host);
    uint64_t now = uv_now(resolve->loop);
    uint64_t age = now - name->resolved_ms;
    bool usable = name->addresses && age < RESOLVE_STALE_MS;
    bool fresh = usable && age < RESOLVE_FRESH_MS && !name->doubted;
    bool tried = name->tried_ms > 0 && now - name->tried_ms < RESOLVE_AGAIN_MS;
    if (!fresh && !name->asking && !tried)
        ask(name);
    if (usable) {
        *out = name->addresses;
        return RESOLVE_KNOWN;
    }
    if (name->asking)
        return RESOLVE_UNDER_WAY;
    *out = name->problem ? name->problem : "the name cannot be resolved";
    return RESOLVE_FAILED;
}

void resolve_doubt(struct resolve *resolve, const char *host)
{
    struct name *name = find(resolve, host);
    if (name)
        name->doubted = true;
}

struct resolve *resolve_new(uv_loop_t *loop, void (*on_change)(void *context), void *context)
{
    struct resolve *resolve = own_alloc(sizeof(*resolve));
    resolve->loop = loop;
    resolve->on_change = on_change;
    resolve->context = context;
    list_init(&resolve->names);
    return resolve;
}

void resolve_free(struct resolve *resolve)
{
    if (!resolve)
        return;
    resolve->closing = true;
    for (struct list_node *node = list_first(&resolve->names); node;
         node = list_next(&resolve->names, node)) {
        struct name *name = list_item(node, struct name, node);
        if (name->asking)
            uv_cancel((uv_req_t *)&name->request);
    }
    if (resolve->asking == 0)
        free_all(resolve);
}
