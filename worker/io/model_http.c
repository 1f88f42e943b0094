// SPDX-License-Identifier: Apache-2.0
// The model APIs' edge.
//
// A request goes: start → its pool's `waiting` list → (a later turn of the loop) → one of the
// pool's lanes → libcurl → events → HTTP_END. Starting and cancelling only mark and wake the idle
// handle `turn`; all adding to and removing from libcurl happens there, never inside one of
// libcurl's callbacks.
//
// A pool is what the provider's configuration says: a reload that changes it makes another pool,
// and the old one ends with its last transfer. Plain HTTP/1.1 is spread over several lanes (a
// libcurl handle becomes slow beyond some 64 connections to a host); TLS uses one at a
// time, so that HTTP/2 can carry many transfers in a connection.
//
// HTTP/2: libcurl 7.88 opens a connection for every transfer that does not fit into those that
// stand, however many are being opened already. So a pool gives it STREAMS transfers for each
// standing connection, and beyond that a single one, which opens the next; when that one stands,
// there is room for STREAMS more. So it begins with a single one, too: given a thousand at once,
// libcurl holds them until the first handshake says that HTTP/2 is spoken, and then opens 150
// connections at once, each with a handshake of a millisecond or more. Where the first answer says
// HTTP/1.1, there are as many transfers as connections from then on.
//
// libcurl 7.88 sends a reset for each stream that has ended, and a server may count them: nghttp2
// closes a connection after a thousand, and the calls on it are in doubt. So, once a connection of
// HTTP/2 has carried CALLS_MOST calls, the pool leaves its lane for another one. What is under way
// there ends there; then the lane closes its connections and can be used again. The pool's most
// connections are counted over all lanes, so a pool of one connection waits for the last call of
// the old one. Where all lanes drain, the youngest goes on.
//
// Idle connections: libcurl's limit counts those in use too, so it is set at each end to what is in
// use plus the provider's `connections.idle`.
#include "io/model_http.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/check.h"
#include "base/own.h"
#include "core/config.h"
#include "io/model_http_lane.h"
#include "io/model_http_transfer.h"
#include "io/model_http_url.h"
#include "io/resolve.h"

#define LANES_MAX        16
#define LANE_CONNECTIONS 64 // that one lane should have
#define LANES_TLS        8
#define CALLS_MOST       800 // on a connection of HTTP/2, then its lane is left
#define STREAMS          100
#define EASIES_KEPT      256
#define FRAMING_ERRORS   3 // in a row, then HTTP/1.1
#define NAMES_LOOK_MS    250

enum protocol { PROTOCOL_UNKNOWN, PROTOCOL_HTTP1, PROTOCOL_HTTP2 };

struct pool {
    struct list_node node;
    struct model_http *http;
    char *base_url, *ca;
    struct transfer_common common;
    int64_t connections, idle;
    bool allow_http;
    struct server_name name;
    enum protocol protocol;
    int framing_errors;
    size_t unsent;    // transfers with libcurl whose connection does not stand yet
    int64_t standing; // connections when there was last none of those
    struct lane lanes[LANES_MAX];
    size_t lane_count;
    size_t young;  // over TLS: the lane that takes transfers; others drain, or wait for their turn
    bool outgrown; // it is to be left for another
    struct list waiting, active;
    CURL *easies[EASIES_KEPT];
    size_t easy_count;
    uint64_t naming_since; // loop time; 0: no name is being waited for
};

struct model_http {
    uv_loop_t *loop;
    struct model_http_options options;
    struct lane_sockets sockets;
    struct resolve *resolve;
    struct list pools;
    uv_idle_t turn;
    uv_timer_t names;
    struct list refused;  // requests that cannot be sent; their end is still to be told
    struct list silenced; // cancelled, still with libcurl
    int64_t requests, resends_stopped;
    bool closing, lanes_closed;
    int handles;
    void (*closed)(void *context);
    void *closed_context;
};

struct refusal {
    struct list_node node;
    struct slot_id owner;
    uint32_t serial;
    struct failure failure;
};

static void on_turn(uv_idle_t *idle);

static void wake(struct model_http *http)
{
    uv_idle_start(&http->turn, on_turn);
}

// ---------------------------------------------------------------------------- pools

static bool same(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static struct pool *find_pool(struct model_http *http, const struct config_provider *provider)
{
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node)) {
        struct pool *pool = list_item(node, struct pool, node);
        if (same(pool->base_url, provider->base_url) && same(pool->ca, provider->ca) &&
            pool->connections == provider->connections_max &&
            pool->idle == provider->connections_idle &&
            pool->common.connect_ms == provider->connect_ms &&
            (pool->common.tls || pool->allow_http == provider->allow_http))
            return pool;
    }
    return NULL;
}

static void free_pool(struct pool *pool)
{
    free(pool->base_url);
    free(pool->ca);
    server_name_deinit(&pool->name);
    free(pool);
}

static size_t lanes_wanted(const struct pool *pool)
{
    if (pool->name.tls)
        return LANES_TLS;
    int64_t lanes = (pool->connections + LANE_CONNECTIONS - 1) / LANE_CONNECTIONS;
    return lanes > LANES_MAX ? LANES_MAX : (size_t)lanes;
}

static void on_done(void *context, CURL *easy, CURLcode result);

static struct pool *new_pool(struct model_http *http, const struct config_provider *provider)
{
    struct pool *pool = own_alloc(sizeof(*pool));
    pool->http = http;
    pool->base_url = own_strdup(provider->base_url);
    pool->ca = own_strdup(provider->ca);
    pool->connections = provider->connections_max;
    pool->idle = provider->connections_idle;
    pool->allow_http = provider->allow_http;
    pool->common = (struct transfer_common){
        .ca = pool->ca, .reuse = pool->idle > 0, .connect_ms = (long)provider->connect_ms};
    if (!server_name_read(&pool->name, pool->base_url, provider->allow_http)) {
        free_pool(pool);
        return NULL;
    }
    pool->common.tls = pool->name.tls;
    list_init(&pool->waiting);
    list_init(&pool->active);
    pool->lane_count = lanes_wanted(pool);
    for (size_t i = 0; i < pool->lane_count; i++)
        lane_open(&pool->lanes[i], &http->sockets, pool->common.tls, (long)pool->connections,
                  on_done, pool);
    list_append(&http->pools, &pool->node);
    return pool;
}

static int64_t open_connections(const struct pool *pool)
{
    int64_t open = 0;
    for (size_t i = 0; i < pool->lane_count; i++)
        open += pool->lanes[i].open;
    return open;
}

static bool has_room(struct pool *pool)
{
    if (!pool->name.tls || pool->protocol == PROTOCOL_HTTP1)
        return pool->active.len < (size_t)pool->connections;
    const struct lane *lane = &pool->lanes[pool->young];
    if (pool->unsent == 0 || lane->open < pool->standing)
        pool->standing = lane->open;
    return (int64_t)lane->active < pool->standing * STREAMS ||
           (pool->unsent == 0 && open_connections(pool) < pool->connections);
}

static void on_sent(struct transfer *transfer)
{
    struct pool *pool = transfer->pool;
    pool->unsent--;
    uint16_t calls = lane_count_call(&pool->lanes[transfer->lane], transfer->local_port);
    if (calls >= CALLS_MOST && transfer->lane == pool->young && transfer->http2)
        pool->outgrown = true;
    if (pool->waiting.len > 0 || pool->outgrown)
        wake(pool->http);
}

// Old lanes whose last transfer has ended close their connections; an outgrown lane is left for one
// of those.
static void change_lanes(struct pool *pool)
{
    for (size_t i = 0; i < pool->lane_count && pool->name.tls; i++) {
        if (i == pool->young || pool->lanes[i].active > 0)
            continue;
        if (pool->lanes[i].open > 0 || pool->outgrown)
            lane_renew(&pool->lanes[i], (long)pool->connections);
        if (pool->outgrown) {
            pool->young = i;
            pool->standing = 0;
            pool->outgrown = false;
        }
    }
}

static CURL *take_easy(struct pool *pool)
{
    if (pool->easy_count > 0)
        return pool->easies[--pool->easy_count];
    return transfer_easy_new(&pool->common);
}

static void give_easy(struct pool *pool, CURL *easy)
{
    if (pool->easy_count < EASIES_KEPT)
        pool->easies[pool->easy_count++] = easy;
    else
        curl_easy_cleanup(easy);
}

static void drop_easies(struct pool *pool)
{
    while (pool->easy_count > 0)
        curl_easy_cleanup(pool->easies[--pool->easy_count]);
}

// Plain HTTP: a lane with an idle connection, else the one with the least to do.
static size_t choose_lane(const struct pool *pool)
{
    size_t best = pool->name.tls ? pool->young : 0;
    if (pool->name.tls)
        return best;
    for (size_t i = 0; i < pool->lane_count; i++) {
        const struct lane *lane = &pool->lanes[i];
        if (lane->open > (int64_t)lane->active)
            return i;
        if (lane->active < pool->lanes[best].active)
            best = i;
    }
    return best;
}

// What waits will need connections in a moment, so those are not idle. A lane that was left keeps
// none.
static void keep_idle(struct pool *pool, struct lane *lane)
{
    int64_t lanes = pool->name.tls ? 1 : (int64_t)pool->lane_count;
    if (pool->name.tls && lane != &pool->lanes[pool->young]) {
        lane_keep(lane, lane->active > 0 ? (long)lane->active : 1);
        return;
    }
    int64_t share = (pool->idle + (int64_t)pool->waiting.len + lanes - 1) / lanes;
    lane_keep(lane, (long)((int64_t)lane->active + 1 + share));
}

// ---------------------------------------------------------------------------- ends

// Events may cancel others of the list, or add to it: it is read afresh each time.
static void fail_waiting(struct pool *pool, const char *why)
{
    struct failure failure;
    failure_set(&failure, ERR_CONNECT_FAILED, "%s: %s", pool->name.host, why);
    pool->naming_since = 0;
    struct list_node *node;
    for (size_t left = pool->waiting.len; left > 0 && (node = list_first(&pool->waiting)); left--) {
        struct transfer *transfer = list_item(node, struct transfer, node);
        list_remove(node);
        transfer_fail(transfer, &failure);
        transfer_free(transfer);
    }
}

static void learn_protocol(struct pool *pool, CURL *easy, CURLcode result)
{
    long version = 0;
    curl_easy_getinfo(easy, CURLINFO_HTTP_VERSION, &version);
    if (version == CURL_HTTP_VERSION_2_0)
        pool->protocol = PROTOCOL_HTTP2;
    else if (version != 0)
        pool->protocol = PROTOCOL_HTTP1;
    bool framing = result == CURLE_HTTP2 || result == CURLE_HTTP2_STREAM;
    pool->framing_errors = framing ? pool->framing_errors + 1 : 0;
    if (pool->framing_errors < FRAMING_ERRORS || pool->common.http1)
        return;
    pool->common.http1 = true;
    pool->protocol = PROTOCOL_HTTP1;
    drop_easies(pool);
    log_event(pool->http->options.log, LOG_LEVEL_WARN, "http2_given_up",
              LOG_TEXT("base_url", pool->base_url));
}

static void on_done(void *context, CURL *easy, CURLcode result)
{
    struct pool *pool = context;
    struct model_http *http = pool->http;
    struct transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    list_remove(&transfer->node);
    if (!transfer->silent)
        learn_protocol(pool, easy, result);
    keep_idle(pool, &pool->lanes[transfer->lane]);
    if (pool->name.host && transfer->sends == 0 && !transfer->silent)
        resolve_doubt(http->resolve, pool->name.host);
    http->resends_stopped += transfer->sends > 1;
    pool->unsent -= transfer->sends == 0;
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
    if (pool->common.http1)
        curl_easy_cleanup(easy); // it may still be set up for HTTP/2
    else
        give_easy(pool, easy);
    transfer_end(transfer, result);
    transfer_free(transfer);
    wake(http);
}

// ---------------------------------------------------------------------------- turns

static void launch(struct pool *pool, struct transfer *transfer, const char *addresses)
{
    struct buf entry OWN_BUF;
    buf_init(&entry, 0);
    if (addresses)
        buf_printf(&entry, "%s%s", pool->name.prefix, addresses);
    CURL *easy = take_easy(pool);
    transfer_prepare(transfer, easy, addresses ? buf_str(&entry) : NULL);
    transfer->lane = choose_lane(pool);
    transfer->http2 = pool->protocol == PROTOCOL_HTTP2;
    list_remove(&transfer->node);
    struct lane *lane = &pool->lanes[transfer->lane];
    keep_idle(pool, lane);
    if (pool->name.tls) {
        int64_t left = pool->connections - open_connections(pool) + lane->open;
        lane_limit(lane, left > 0 ? (long)left : 1);
    }
    CHECK(lane_add(lane, easy));
    list_append(&pool->active, &transfer->node);
    pool->unsent++;
}

static bool naming_too_long(struct pool *pool)
{
    uint64_t now = uv_now(pool->http->loop);
    if (pool->naming_since == 0)
        pool->naming_since = now > 0 ? now : 1;
    return now - pool->naming_since >= (uint64_t)pool->common.connect_ms;
}

// True where transfers may be launched now; `out` is NULL where the host is an address.
static bool addresses_of(struct pool *pool, const char **out)
{
    *out = NULL;
    if (!pool->name.host)
        return true;
    switch (resolve_look(pool->http->resolve, pool->name.host, out)) {
    case RESOLVE_KNOWN:
        pool->naming_since = 0;
        return true;
    case RESOLVE_FAILED:
        fail_waiting(pool, *out);
        return false;
    case RESOLVE_UNDER_WAY:
        if (naming_too_long(pool))
            fail_waiting(pool, "the name was not resolved in time");
        return false;
    }
    return false;
}

static void launch_waiting(struct pool *pool)
{
    const char *addresses;
    if (pool->waiting.len == 0 || !addresses_of(pool, &addresses))
        return;
    struct list_node *node;
    while (has_room(pool) && (node = list_first(&pool->waiting)))
        launch(pool, list_item(node, struct transfer, node), addresses);
}

static void remove_silenced(struct model_http *http)
{
    struct list_node *node;
    while ((node = list_first(&http->silenced))) {
        struct transfer *transfer = list_item(node, struct transfer, node);
        struct pool *pool = transfer->pool;
        list_remove(node);
        pool->unsent -= transfer->sends == 0;
        lane_remove(&pool->lanes[transfer->lane], transfer->easy);
        curl_easy_cleanup(transfer->easy);
        transfer_free(transfer);
    }
}

static void tell_refused(struct model_http *http)
{
    for (size_t left = http->refused.len; left > 0 && http->refused.len > 0; left--) {
        struct refusal *refusal = list_item(list_first(&http->refused), struct refusal, node);
        list_remove(&refusal->node);
        http->options.on_event(http->options.context, &(struct http_event){
                                                          .kind = HTTP_END,
                                                          .owner = refusal->owner,
                                                          .serial = refusal->serial,
                                                          .failure = &refusal->failure,
                                                      });
        free(refusal);
    }
}

static void close_on(struct model_http *http);

static void on_turn(uv_idle_t *idle)
{
    struct model_http *http = idle->data;
    uv_idle_stop(&http->turn);
    remove_silenced(http);
    if (http->closing) {
        close_on(http);
        return;
    }
    tell_refused(http);
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node)) {
        struct pool *pool = list_item(node, struct pool, node);
        change_lanes(pool);
        launch_waiting(pool);
    }
}

static void on_names(uv_timer_t *timer)
{
    struct model_http *http = timer->data;
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node))
        if (list_item(node, struct pool, node)->naming_since > 0) {
            wake(http);
            return;
        }
}

static void on_name_change(void *context)
{
    wake(context);
}

// ---------------------------------------------------------------------------- the operations

static void refuse(struct model_http *http, const struct http_request *request,
                   const struct failure *failure)
{
    struct refusal *refusal = own_alloc(sizeof(*refusal));
    refusal->owner = request->owner;
    refusal->serial = request->serial;
    refusal->failure = *failure;
    list_append(&http->refused, &refusal->node);
    wake(http);
}

static void op_start(void *context, const struct http_request *request)
{
    struct model_http *http = context;
    struct failure failure;
    http->requests++;
    struct pool *pool = find_pool(http, request->provider);
    if (!pool)
        pool = new_pool(http, request->provider);
    if (!pool || strncmp(request->url, pool->base_url, pool->name.origin_len) != 0 ||
        !strchr("/?", request->url[pool->name.origin_len])) {
        failure_set(&failure, ERR_CONNECT_FAILED,
                    "base_url of %s cannot be used, or does not begin "
                    "this request's URL",
                    request->provider->name);
        refuse(http, request, &failure);
        return;
    }
    struct transfer *transfer = transfer_new(request, &http->options, &failure);
    if (!transfer) {
        refuse(http, request, &failure);
        return;
    }
    transfer->pool = pool;
    transfer->on_sent = on_sent;
    list_append(&pool->waiting, &transfer->node);
    wake(http);
}

static struct transfer *find_in(const struct list *list, struct slot_id owner, uint32_t serial)
{
    for (struct list_node *node = list_first(list); node; node = list_next(list, node)) {
        struct transfer *transfer = list_item(node, struct transfer, node);
        if (slot_id_equal(transfer->owner, owner) && transfer->serial == serial)
            return transfer;
    }
    return NULL;
}

static bool cancel_refused(struct model_http *http, struct slot_id owner, uint32_t serial)
{
    for (struct list_node *node = list_first(&http->refused); node;
         node = list_next(&http->refused, node)) {
        struct refusal *refusal = list_item(node, struct refusal, node);
        if (slot_id_equal(refusal->owner, owner) && refusal->serial == serial) {
            list_remove(node);
            free(refusal);
            return true;
        }
    }
    return false;
}

static bool cancel_in_pool(struct pool *pool, struct slot_id owner, uint32_t serial)
{
    struct transfer *transfer = find_in(&pool->waiting, owner, serial);
    if (transfer) {
        list_remove(&transfer->node);
        transfer_free(transfer);
        return true;
    }
    transfer = find_in(&pool->active, owner, serial);
    if (!transfer)
        return false;
    transfer->silent = true;
    list_remove(&transfer->node);
    list_append(&pool->http->silenced, &transfer->node);
    wake(pool->http);
    return true;
}

static void op_cancel(void *context, struct slot_id owner, uint32_t serial)
{
    struct model_http *http = context;
    if (cancel_refused(http, owner, serial))
        return;
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node))
        if (cancel_in_pool(list_item(node, struct pool, node), owner, serial))
            return;
}

const struct http_ops *model_http_ops(void)
{
    static const struct http_ops ops = {op_start, op_cancel};
    return &ops;
}

void model_http_stats(const struct model_http *http, struct model_http_stats *out)
{
    *out = (struct model_http_stats){.requests = http->requests,
                                     .resends_stopped = http->resends_stopped};
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node)) {
        const struct pool *pool = list_item(node, struct pool, node);
        out->in_flight += (int64_t)pool->active.len;
        out->waiting += (int64_t)pool->waiting.len;
        for (size_t i = 0; i < pool->lane_count; i++) {
            out->connections += pool->lanes[i].open;
            out->connections_opened += pool->lanes[i].opened;
        }
    }
}

// ---------------------------------------------------------------------------- life

struct model_http *model_http_new(uv_loop_t *loop, const struct model_http_options *options)
{
    unsetenv("SSLKEYLOGFILE");
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    struct model_http *http = own_alloc(sizeof(*http));
    http->loop = loop;
    http->options = *options;
    http->sockets.loop = loop;
    http->resolve = resolve_new(loop, on_name_change, http);
    list_init(&http->pools);
    list_init(&http->refused);
    list_init(&http->silenced);
    uv_idle_init(loop, &http->turn);
    uv_timer_init(loop, &http->names);
    http->turn.data = http->names.data = http;
    http->handles = 2;
    uv_timer_start(&http->names, on_names, NAMES_LOOK_MS, NAMES_LOOK_MS);
    return http;
}

static void silence_pool(struct pool *pool)
{
    struct list_node *node;
    while ((node = list_first(&pool->waiting))) {
        list_remove(node);
        transfer_free(list_item(node, struct transfer, node));
    }
    while ((node = list_first(&pool->active))) {
        list_item(node, struct transfer, node)->silent = true;
        list_remove(node);
        list_append(&pool->http->silenced, node);
    }
}

static void finish_close(struct model_http *http)
{
    struct list_node *node;
    while ((node = list_first(&http->pools))) {
        list_remove(node);
        free_pool(list_item(node, struct pool, node));
    }
    while ((node = list_first(&http->refused))) {
        list_remove(node);
        free(list_item(node, struct refusal, node));
    }
    free(http->sockets.by_fd);
    http->closed(http->closed_context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct model_http *http = handle->data;
    if (--http->handles == 0)
        finish_close(http);
}

static void close_lanes(struct model_http *http)
{
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node)) {
        struct pool *pool = list_item(node, struct pool, node);
        drop_easies(pool);
        for (size_t i = 0; i < pool->lane_count; i++)
            lane_close(&pool->lanes[i]);
    }
    http->lanes_closed = true;
}

// Turn for turn: the lanes, then their handles, then our own. libuv calls close callbacks in the
// opposite order, so ours must not be closed together with what they would free.
static void close_on(struct model_http *http)
{
    if (!http->lanes_closed)
        close_lanes(http);
    if (http->sockets.closing > 0) {
        wake(http);
        return;
    }
    resolve_free(http->resolve);
    uv_close((uv_handle_t *)&http->turn, on_handle_closed);
    uv_close((uv_handle_t *)&http->names, on_handle_closed);
}

void model_http_close(struct model_http *http, void (*closed)(void *context), void *context)
{
    CHECK(!http->closing);
    http->closing = true;
    http->closed = closed;
    http->closed_context = context;
    for (struct list_node *node = list_first(&http->pools); node;
         node = list_next(&http->pools, node))
        silence_pool(list_item(node, struct pool, node));
    wake(http);
}

void model_http_free(struct model_http *http)
{
    if (!http)
        return;
    CHECK(http->handles == 0);
    free(http);
    curl_global_cleanup();
}
