// SPDX-License-Identifier: Apache-2.0
// Connections: bytes to requests by http_parser, replies to bytes with their pauses.
//
// One request of a connection is answered at a time. When a message is complete, the parser is
// paused; bytes of pipelined requests wait in `pending` until the reply has been played. Reading
// goes on meanwhile (up to a cap), because that is how a client that leaves is noticed.
#include "http.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { READ_BYTES = 65536, PENDING_MAX_BYTES = 1 << 20, HEADER_VALUE_MAX = 1024 };

enum header {
    HEADER_OTHER,
    HEADER_AUTHORIZATION,
    HEADER_IDEMPOTENCY,
    HEADER_CLIENT_ID,
    HEADER_EXPECT,
    HEADERS
};

struct http_conn {
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_write_t write;
    struct http_server *server;
    struct http_conn *next, *prev;
    http_parser parser;
    struct buf url, body, pending, name;
    struct buf values[HEADERS];
    enum header header;
    bool in_value, too_large, keep_alive;
    bool feeding, answering, writing, closing;
    uint64_t requests;
    struct reply reply;
    size_t sent;       // bytes of the reply
    size_t next_pause; // of the reply
    int handles_open;
};

static void play(struct http_conn *conn);
static void feed(struct http_conn *conn, const char *bytes, size_t len);

// --- the end of a connection

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_conn *conn = handle->data;
    if (--conn->handles_open > 0)
        return;
    buf_free(&conn->url);
    buf_free(&conn->body);
    buf_free(&conn->pending);
    buf_free(&conn->name);
    for (int i = 0; i < HEADERS; i++)
        buf_free(&conn->values[i]);
    reply_free(&conn->reply);
    free(conn);
}

static void report_played(struct http_conn *conn, bool complete)
{
    reply_call call = conn->reply.call;
    conn->reply.call = 0;
    if (call != 0)
        conn->server->handler.played(conn->server->handler.context, call, complete);
}

static void conn_close(struct http_conn *conn, bool reset)
{
    if (conn->closing)
        return;
    conn->closing = true;
    report_played(conn, false);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->server->first = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    conn->server->connections--;
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
    if (!reset || uv_tcp_close_reset(&conn->tcp, on_handle_closed) != 0)
        uv_close((uv_handle_t *)&conn->tcp, on_handle_closed);
}

// --- playing a reply

static void reply_done(struct http_conn *conn)
{
    conn->answering = false;
    if (conn->reply.end == REPLY_CLOSE || !conn->keep_alive) {
        conn_close(conn, false);
        return;
    }
    http_parser_pause(&conn->parser, 0);
    if (conn->feeding || conn->pending.len == 0)
        return;
    struct buf pending = conn->pending;
    conn->pending = (struct buf){0};
    feed(conn, pending.data, pending.len);
    buf_free(&pending);
}

static void on_timer(uv_timer_t *timer)
{
    play(timer->data);
}

// What follows the last byte.
static void reply_ended(struct http_conn *conn)
{
    report_played(conn, true);
    switch (conn->reply.end) {
    case REPLY_KEEP:
    case REPLY_CLOSE:
        reply_done(conn);
        break;
    case REPLY_RESET:
        conn_close(conn, true);
        break;
    case REPLY_HANG:
        break;
    case REPLY_REPEAT:
        conn->sent = conn->reply.repeat_from;
        uv_timer_start(&conn->timer, on_timer, conn->reply.repeat_ms, 0);
        break;
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *conn = write->data;
    conn->writing = false;
    if (status == 0)
        play(conn);
    else
        conn_close(conn, false);
}

// Writes up to `end`; what the socket does not take at once goes on in the background.
static bool write_up_to(struct http_conn *conn, size_t end)
{
    uv_buf_t out = uv_buf_init(conn->reply.bytes.data + conn->sent, (unsigned)(end - conn->sent));
    int wrote = uv_try_write((uv_stream_t *)&conn->tcp, &out, 1);
    if (wrote < 0 && wrote != UV_EAGAIN) {
        conn_close(conn, false);
        return false;
    }
    conn->sent += wrote > 0 ? (size_t)wrote : 0;
    if (conn->sent == end)
        return true;
    out = uv_buf_init(conn->reply.bytes.data + conn->sent, (unsigned)(end - conn->sent));
    conn->sent = end;
    conn->write.data = conn;
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &out, 1, on_written) != 0)
        conn_close(conn, false);
    else
        conn->writing = true;
    return false;
}

static void play(struct http_conn *conn)
{
    const struct reply *reply = &conn->reply;
    while (!conn->closing && !conn->writing) {
        bool pausing = conn->next_pause < reply->pause_count;
        size_t end = pausing ? reply->pauses[conn->next_pause].at : reply->bytes.len;
        if (conn->sent < end && !write_up_to(conn, end))
            return;
        if (!pausing) {
            reply_ended(conn);
            return;
        }
        uint64_t ms = reply->pauses[conn->next_pause++].ms;
        uv_timer_start(&conn->timer, on_timer, ms, 0);
        return;
    }
}

// --- reading requests

static int on_url(http_parser *parser, const char *at, size_t len)
{
    struct http_conn *conn = parser->data;
    buf_add(&conn->url, at, len);
    return 0;
}

static int on_message_begin(http_parser *parser)
{
    struct http_conn *conn = parser->data;
    buf_clear(&conn->url);
    buf_clear(&conn->body);
    buf_clear(&conn->name);
    for (int i = 0; i < HEADERS; i++)
        buf_clear(&conn->values[i]);
    conn->in_value = false;
    conn->too_large = false;
    return 0;
}

static enum header header_by_name(const struct buf *name)
{
    static const struct {
        const char *name;
        size_t len;
        enum header header;
    } known[] = {{"authorization", 13, HEADER_AUTHORIZATION},
                 {"idempotency-key", 15, HEADER_IDEMPOTENCY},
                 {"x-client-request-id", 19, HEADER_CLIENT_ID},
                 {"expect", 6, HEADER_EXPECT}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name->len == known[i].len && strcasecmp(name->data, known[i].name) == 0)
            return known[i].header;
    return HEADER_OTHER;
}

static int on_header_name(http_parser *parser, const char *at, size_t len)
{
    struct http_conn *conn = parser->data;
    if (conn->in_value)
        buf_clear(&conn->name);
    conn->in_value = false;
    if (conn->name.len + len <= HEADER_VALUE_MAX)
        buf_add(&conn->name, at, len);
    return 0;
}

static int on_header_value(http_parser *parser, const char *at, size_t len)
{
    struct http_conn *conn = parser->data;
    if (!conn->in_value)
        conn->header = header_by_name(&conn->name);
    conn->in_value = true;
    struct buf *value = &conn->values[conn->header];
    if (conn->header != HEADER_OTHER && value->len + len <= HEADER_VALUE_MAX)
        buf_add(value, at, len);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_conn *conn = parser->data;
    bool has_length = parser->content_length != UINT64_MAX;
    if (has_length && parser->content_length > conn->server->max_body_bytes)
        conn->too_large = true;
    if (conn->values[HEADER_EXPECT].len > 0) { // 100-continue is the only expectation there is
        uv_buf_t out = uv_buf_init((char *)(uintptr_t)go_on, sizeof go_on - 1);
        uv_try_write((uv_stream_t *)&conn->tcp, &out, 1);
    }
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t len)
{
    struct http_conn *conn = parser->data;
    if (conn->body.len + len > conn->server->max_body_bytes)
        conn->too_large = true;
    if (!conn->too_large)
        buf_add(&conn->body, at, len);
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct http_conn *conn = parser->data;
    conn->keep_alive = http_should_keep_alive(parser) != 0;
    conn->answering = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const char *text_of(const struct buf *buf)
{
    return buf->len > 0 ? buf->data : "";
}

static void answer(struct http_conn *conn)
{
    char *query = conn->url.len ? strchr(conn->url.data, '?') : NULL;
    if (query)
        *query++ = '\0';
    struct http_request request = {
        .method = http_method_str((enum http_method)conn->parser.method),
        .path = text_of(&conn->url),
        .query = query ? query : "",
        .authorization = text_of(&conn->values[HEADER_AUTHORIZATION]),
        .idempotency_key = text_of(&conn->values[HEADER_IDEMPOTENCY]),
        .client_request_id = text_of(&conn->values[HEADER_CLIENT_ID]),
        .body = text_of(&conn->body),
        .body_len = conn->body.len,
        .too_large = conn->too_large,
        .reused = conn->requests > 0,
        .chunked_ok = conn->parser.http_major > 1 || conn->parser.http_minor > 0,
    };
    conn->requests++;
    conn->sent = 0;
    conn->next_pause = 0;
    reply_clear(&conn->reply);
    conn->server->handler.request(conn->server->handler.context, &request, &conn->reply);
    play(conn);
}

static void refuse_garbage(struct http_conn *conn)
{
    static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                              "Connection: close\r\n\r\n";
    reply_clear(&conn->reply);
    buf_add(&conn->reply.bytes, bad, sizeof bad - 1);
    conn->reply.end = REPLY_CLOSE;
    conn->answering = true;
    conn->sent = 0;
    conn->next_pause = 0;
    play(conn);
}

// Answers the requests in these bytes, one after the other; what follows one that cannot be
// answered at once waits in `pending`.
static void feed(struct http_conn *conn, const char *bytes, size_t len)
{
    static const http_parser_settings callbacks = {
        .on_message_begin = on_message_begin,
        .on_url = on_url,
        .on_header_field = on_header_name,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    conn->feeding = true;
    while (len > 0 && !conn->answering && !conn->closing) {
        size_t parsed = http_parser_execute(&conn->parser, &callbacks, bytes, len);
        bytes += parsed;
        len -= parsed;
        if (conn->answering)
            answer(conn);
        else if (HTTP_PARSER_ERRNO(&conn->parser) != HPE_OK || conn->parser.upgrade)
            refuse_garbage(conn);
    }
    conn->feeding = false;
    if (len > 0 && !conn->closing)
        buf_add(&conn->pending, bytes, len);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct http_conn *conn = handle->data;
    *out = uv_buf_init(conn->server->read_buffer, READ_BYTES);
}

// A client that ends its side while it is being answered has left: nobody half-closes for a POST.
static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct http_conn *conn = stream->data;
    if (got == 0)
        return;
    if (got < 0) {
        conn_close(conn, false);
        return;
    }
    if (!conn->answering) {
        feed(conn, buffer->base, (size_t)got);
        return;
    }
    if (conn->pending.len + (size_t)got > PENDING_MAX_BYTES)
        conn_close(conn, false);
    else
        buf_add(&conn->pending, buffer->base, (size_t)got);
}

// --- the server

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *server = listener->data;
    if (status != 0)
        return;
    struct http_conn *conn = must_alloc(sizeof *conn);
    conn->server = server;
    conn->tcp.data = conn;
    conn->timer.data = conn;
    conn->handles_open = 2;
    conn->next = server->first;
    if (conn->next)
        conn->next->prev = conn;
    server->first = conn;
    server->connections++;
    uv_tcp_init(listener->loop, &conn->tcp);
    uv_timer_init(listener->loop, &conn->timer);
    http_parser_init(&conn->parser, HTTP_REQUEST);
    conn->parser.data = conn;
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0 || uv_tcp_nodelay(&conn->tcp, 1) != 0 ||
        uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        conn_close(conn, false);
}

int http_server_start(struct http_server *server, uv_loop_t *loop,
                      const struct sockaddr_in *address, struct http_handler handler, int *out_port)
{
    *server = (struct http_server){.handler = handler, .max_body_bytes = 64U << 20};
    server->read_buffer = must_alloc(READ_BYTES);
    int error = uv_tcp_init(loop, &server->listener);
    if (error)
        return error;
    server->listening = true;
    server->listener.data = server;
    error = uv_tcp_bind(&server->listener, (const struct sockaddr *)address, 0);
    if (!error)
        error = uv_listen((uv_stream_t *)&server->listener, 4096, on_connection);
    struct sockaddr_in bound;
    int len = sizeof bound;
    if (!error)
        error = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&bound, &len);
    if (!error)
        *out_port = ntohs(bound.sin_port);
    return error;
}

void http_server_stop(struct http_server *server)
{
    if (server->listening)
        uv_close((uv_handle_t *)&server->listener, NULL);
    server->listening = false;
    while (server->first)
        conn_close(server->first, false);
}

void http_server_deinit(struct http_server *server)
{
    free(server->read_buffer);
    server->read_buffer = NULL;
}
