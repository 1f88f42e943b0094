// SPDX-License-Identifier: Apache-2.0
// A proxy that loses answers.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "edge_proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/own.h"

struct edge_proxy {
    uv_tcp_t listener;
    uv_loop_t *loop;
    struct sockaddr_in server;
    struct list pairs;
    bool deaf, reset_next;
};

struct pair {
    struct list_node node;
    struct edge_proxy *proxy;
    uv_tcp_t client, server;
    uv_connect_t connect;
    int open;
    bool closing;
};

struct chunk {
    uv_write_t write;
    char data[];
};

static void on_pair_closed(uv_handle_t *handle)
{
    struct pair *pair = handle->data;
    if (--pair->open == 0)
        free(pair);
}

static void end_pair(struct pair *pair, bool reset)
{
    if (pair->closing)
        return;
    pair->closing = true;
    list_remove(&pair->node);
    if (reset)
        uv_tcp_close_reset(&pair->client, on_pair_closed);
    else
        uv_close((uv_handle_t *)&pair->client, on_pair_closed);
    uv_close((uv_handle_t *)&pair->server, on_pair_closed);
}

static void close_pair(struct pair *pair)
{
    end_pair(pair, false);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    *out = uv_buf_init(own_alloc(suggested), (unsigned)suggested);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
}

static void pass_on(uv_tcp_t *to, const char *data, size_t len)
{
    struct chunk *chunk = own_alloc(sizeof(*chunk) + len);
    memcpy(chunk->data, data, len);
    chunk->write.data = chunk;
    uv_buf_t buf = uv_buf_init(chunk->data, (unsigned)len);
    if (uv_write(&chunk->write, (uv_stream_t *)to, &buf, 1, on_written) != 0)
        free(chunk);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct pair *pair = stream->data;
    bool from_client = stream == (uv_stream_t *)&pair->client;
    if (len < 0)
        close_pair(pair);
    else if (len > 0 && (from_client || !pair->proxy->deaf))
        pass_on(from_client ? &pair->server : &pair->client, buf->base, (size_t)len);
    if (len > 0 && !from_client && pair->proxy->reset_next) {
        pair->proxy->reset_next = false;
        end_pair(pair, true);
    }
    free(buf->base);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct pair *pair = connect->data;
    if (pair->closing)
        return;
    if (status != 0) {
        close_pair(pair);
        return;
    }
    uv_read_start((uv_stream_t *)&pair->client, on_alloc, on_read);
    uv_read_start((uv_stream_t *)&pair->server, on_alloc, on_read);
}

static void on_client(uv_stream_t *listener, int status)
{
    struct edge_proxy *proxy = listener->data;
    assert_int_equal(status, 0);
    struct pair *pair = own_alloc(sizeof(*pair));
    pair->proxy = proxy;
    pair->open = 2;
    uv_tcp_init(proxy->loop, &pair->client);
    uv_tcp_init(proxy->loop, &pair->server);
    pair->client.data = pair->server.data = pair->connect.data = pair;
    list_append(&proxy->pairs, &pair->node);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&pair->client), 0);
    uv_tcp_connect(&pair->connect, &pair->server, (struct sockaddr *)&proxy->server, on_connected);
}

// postgresql://user@HOST:PORT/name
static void find_address(const char *dsn, char host[64], int *out_port, const char **out_rest)
{
    const char *at = strchr(dsn, '@');
    assert_non_null(at);
    assert_int_equal(sscanf(at + 1, "%63[^:]:%d", host, out_port), 2);
    *out_rest = strchr(at, '/');
    assert_non_null(*out_rest);
}

struct edge_proxy *edge_proxy_new(uv_loop_t *loop, const char *target_dsn, char *out_dsn)
{
    struct edge_proxy *proxy = own_alloc(sizeof(*proxy));
    char host[64];
    int port, name_len = sizeof(struct sockaddr_in);
    const char *rest;
    struct sockaddr_in own;
    find_address(target_dsn, host, &port, &rest);
    assert_int_equal(uv_ip4_addr(host, port, &proxy->server), 0);
    proxy->loop = loop;
    list_init(&proxy->pairs);
    uv_tcp_init(loop, &proxy->listener);
    proxy->listener.data = proxy;
    uv_ip4_addr("127.0.0.1", 0, &own);
    assert_int_equal(uv_tcp_bind(&proxy->listener, (struct sockaddr *)&own, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&proxy->listener, 10, on_client), 0);
    uv_tcp_getsockname(&proxy->listener, (struct sockaddr *)&own, &name_len);
    snprintf(out_dsn, 300, "%.*s@127.0.0.1:%d%s", (int)(strchr(target_dsn, '@') - target_dsn),
             target_dsn, ntohs(own.sin_port), rest);
    return proxy;
}

void edge_proxy_set_deaf(struct edge_proxy *proxy, bool deaf)
{
    proxy->deaf = deaf;
}

void edge_proxy_reset_next(struct edge_proxy *proxy)
{
    proxy->reset_next = true;
}

void edge_proxy_cut(struct edge_proxy *proxy)
{
    struct list_node *node;
    while ((node = list_first(&proxy->pairs)) != NULL)
        close_pair(list_item(node, struct pair, node));
    proxy->deaf = false;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void edge_proxy_free(struct edge_proxy *proxy)
{
    edge_proxy_cut(proxy);
    uv_close((uv_handle_t *)&proxy->listener, on_listener_closed);
}
