// SPDX-License-Identifier: Apache-2.0
// The HTTP server of a worker and of `serve`: libmicrohttpd on the loop, without a thread. It knows
// paths, limits and who may ask; what is answered is the routes' handlers' business.
//
// Bounded: WEB_HEADER_BYTES of request head, WEB_REQUEST_MS from connecting (or from the last
// answer) to the end of the next one, WEB_CONNECTIONS. On loopback the Host header must name
// loopback (against DNS rebinding); beyond it, routes that are not `open` want one of the tokens,
// as "Authorization: Bearer TOKEN".
//
// Errors are JSON: {"error", "code", "suggestion"}. The program ignores SIGPIPE.
#ifndef PRECIS_IO_WEB_H
#define PRECIS_IO_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/buf.h"

#define WEB_HEADER_BYTES 8192
#define WEB_REQUEST_MS   5000
#define WEB_CONNECTIONS  256
#define WEB_PORTS        32 // tried, from the one that is asked for

struct web_request {
    const char *method, *path;
    const char *body; // "" where there is none
    size_t body_len;
    void *connection; // for web_query
};

struct web_answer {
    int status;               // 200 unless the handler says otherwise
    const char *content_type; // "application/json" unless the handler says otherwise
    struct buf body;
};

typedef void web_handler(void *context, const struct web_request *request, struct web_answer *out);

struct web_route {
    const char *method, *path; // GET answers HEAD, too
    bool open;                 // needs no token anywhere
    web_handler *handler;
};

struct web_options {
    const char *listen;  // "127.0.0.1:8000", "[::1]:8000", "localhost:0"
    char *const *tokens; // ended by NULL; may be NULL
    const struct web_route *routes;
    size_t route_count;
    size_t max_body_bytes;
    void *context; // of the handlers
};

struct web;

// Listens at once. All of `options` is borrowed for its life. NULL with a sentence in `problem`
// where the address is wrong or none of the ports is free.
struct web *web_new(uv_loop_t *loop, const struct web_options *options, char *problem,
                    size_t problem_bytes);
// "127.0.0.1:8001": where it really listens.
const char *web_address(const struct web *web);
// The value of a query parameter, NULL where it is not given; holds during the handler.
const char *web_query(const struct web_request *request, const char *name);
// Closes all connections, and frees in a later turn of the loop. Never from a handler. NULL is
// fine.
void web_close(struct web *web);

#endif
