// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server on libuv: connections are kept, requests may be pipelined (each is answered
// before the next one is read), `Expect: 100-continue` is answered, bodies are capped. The owner's
// handler turns a request into a reply at once; the server plays the reply with its pauses.
#ifndef MODELSIM_HTTP_H
#define MODELSIM_HTTP_H

#include "reply.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

struct http_request {
    const char *method;
    const char *path;          // without the query
    const char *query;         // after '?', "" when there is none
    const char *authorization; // these three are "" when absent
    const char *idempotency_key;
    const char *client_request_id;
    const char *body;
    size_t body_len;
    bool too_large;  // the body passed the cap and was thrown away
    bool reused;     // not the first request of its connection
    bool chunked_ok; // HTTP/1.1: chunks may be sent
};

struct http_handler {
    void *context;
    void (*request)(void *context, const struct http_request *request, struct reply *reply);
    // A reply was played to its end, or the client left before; once for each reply with a call.
    void (*played)(void *context, reply_call call, bool complete);
};

struct http_server {
    uv_tcp_t listener;
    struct http_handler handler;
    struct http_conn *first; // open connections
    size_t max_body_bytes;
    char *read_buffer;
    uint64_t connections; // open now
    bool listening;
};

// Listens; the port is in out_port (useful where 0 was asked). 0 or a libuv error.
int http_server_start(struct http_server *server, uv_loop_t *loop,
                      const struct sockaddr_in *address, struct http_handler handler,
                      int *out_port);

// Closes the listener and every connection; the loop must run on until all are closed.
void http_server_stop(struct http_server *server);

// After the loop has ended.
void http_server_deinit(struct http_server *server);

#endif
