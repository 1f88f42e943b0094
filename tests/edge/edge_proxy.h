// SPDX-License-Identifier: Apache-2.0
// A TCP proxy on the test's own loop, between the store and PostgreSQL. It can go deaf: what the
// store sends still reaches the server, what the server answers is dropped. A transaction is then
// committed, and nobody hears of it.
#ifndef PRECIS_TESTS_EDGE_PROXY_H
#define PRECIS_TESTS_EDGE_PROXY_H

#include <stdbool.h>
#include <uv.h>

struct edge_proxy;

// `target_dsn` is a URL with host and port; `out_dsn` (300 bytes) the same through the proxy.
struct edge_proxy *edge_proxy_new(uv_loop_t *loop, const char *target_dsn, char *out_dsn);
void edge_proxy_set_deaf(struct edge_proxy *proxy, bool deaf);
// The next piece of an answer is passed on, and the connection reset right behind it.
void edge_proxy_reset_next(struct edge_proxy *proxy);
// Breaks every connection, and hears again.
void edge_proxy_cut(struct edge_proxy *proxy);
// The loop has to run once more for the memory to go.
void edge_proxy_free(struct edge_proxy *proxy);

#endif
