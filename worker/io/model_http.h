// SPDX-License-Identifier: Apache-2.0
// Requests to model APIs: libcurl on the loop, one pool of connections for each provider.
//
// It sends a request once and reports what it sees. It never retries, follows no redirect, obeys
// no proxy and no .netrc, and has no time limit but the one for connecting: first byte, idle and
// total are the engine's, which cancels. What it does on its own is to count connections: beyond
// the provider's `connections.max` requests wait in its queue, in order.
//
// HTTP_SENT is reported when the connection stands and the request is about to leave; from then on
// every failure is doubtful, but one: a request that the server turned away by HTTP/2 itself
// (REFUSED_STREAM, or above the last stream of a GOAWAY), which it has not looked at. What fails
// before HTTP_SENT (name, TCP, TLS) has reached nobody.
//
// libcurl resends a POST by itself when a reused connection turns out dead; that second send is
// stopped here and reported as connection_lost, doubtful.
//
// The program ignores SIGPIPE. SSLKEYLOGFILE is taken out of the environment.
#ifndef PRECIS_IO_MODEL_HTTP_H
#define PRECIS_IO_MODEL_HTTP_H

#include <uv.h>

#include "base/log.h"
#include "core/seams.h"

typedef void model_http_fn(void *context, const struct http_event *event);

struct model_http_options {
    model_http_fn *on_event; // on the loop, never from inside a call of http_ops
    void *context;
    struct log *log; // NULL: none
};

struct model_http;

struct model_http *model_http_new(uv_loop_t *loop, const struct model_http_options *options);
// With the struct model_http as their first argument. A request without a body is a GET.
const struct http_ops *model_http_ops(void);

struct model_http_stats {
    int64_t in_flight; // with libcurl
    int64_t waiting;   // for a connection or a name
    int64_t connections;
    int64_t connections_opened;
    int64_t requests;
    int64_t resends_stopped;
};
void model_http_stats(const struct model_http *http, struct model_http_stats *out);

// Cancels everything, without events, and closes; `closed` comes from the loop. Then free.
void model_http_close(struct model_http *http, void (*closed)(void *context), void *context);
// After `closed`. NULL is fine.
void model_http_free(struct model_http *http);

#endif
