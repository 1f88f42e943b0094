// SPDX-License-Identifier: Apache-2.0
// libmicrohttpd on the loop.
//
// It has an epoll descriptor of its own, which the loop watches like a socket; `run` lets it work
// and sets the timer to when it wants to be called again. Its connections are edge-triggered, so a
// wanted time of 0 must not be lost: it is 1 ms, as every timer here.
//
// libmicrohttpd's own time limit starts afresh with each byte; a client that sends one byte every
// four seconds would hold its connection for hours. So a second limit counts from the connection's
// start, and shuts the socket.
#include "io/web.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/list.h"
#include "base/own.h"

#define LOOK_MS 500

// Sent with every answer.
static const char *const fixed_headers[][2] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Content-Security-Policy", "default-src 'self'"},
    {"Cache-Control", "no-store"},
    {"Referrer-Policy", "no-referrer"},
};

struct web {
    uv_loop_t *loop;
    struct web_options options;
    struct MHD_Daemon *daemon;
    bool loopback;
    char host[256];    // as in `listen`
    char address[300]; // with the real port
    uv_poll_t poll;
    uv_timer_t timer, look;
    struct list connections;
    int handles;
};

struct connection {
    struct list_node node;
    int fd;
    uint64_t since; // loop time of its start or of its last answer
};

// One request while its body comes in.
struct exchange {
    const struct web_route *route;
    struct buf body;
};

// ---------------------------------------------------------------------------- who may ask

static bool host_is(const char *header, const char *name)
{
    size_t len = strlen(name);
    return strncasecmp(header, name, len) == 0 && (header[len] == 0 || header[len] == ':');
}

static bool host_allowed(const struct web *web, struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (!web->loopback || !host) // HTTP/1.0 has none, and browsers do not speak it
        return true;
    return host_is(host, "localhost") || host_is(host, "127.0.0.1") || host_is(host, "[::1]") ||
           host_is(host, web->host);
}

// Takes the same time for every token of one length.
static bool same_secret(const char *a, const char *b)
{
    size_t len = strlen(a);
    if (strlen(b) != len)
        return false;
    unsigned char difference = 0;
    for (size_t i = 0; i < len; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

static bool token_allowed(const struct web *web, struct MHD_Connection *connection)
{
    if (web->loopback)
        return true;
    const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    if (!given || strncasecmp(given, "Bearer ", 7) != 0)
        return false;
    for (char *const *token = web->options.tokens; token && *token; token++)
        if (same_secret(given + 7, *token))
            return true;
    return false;
}

// ---------------------------------------------------------------------------- answers

static enum MHD_Result queue_answer(struct MHD_Connection *connection, int status,
                                    const char *content_type, const char *body, size_t len,
                                    const char *allow)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", content_type);
    if (allow)
        MHD_add_response_header(response, "Allow", allow);
    for (size_t i = 0; i < sizeof(fixed_headers) / sizeof(fixed_headers[0]); i++)
        MHD_add_response_header(response, fixed_headers[i][0], fixed_headers[i][1]);
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

struct refusal {
    int status;
    const char *body;
};

static enum MHD_Result refuse(struct MHD_Connection *connection, const struct refusal *refusal,
                              const char *allow)
{
    return queue_answer(connection, refusal->status, "application/json", refusal->body,
                        strlen(refusal->body), allow);
}

static const struct refusal bad_host = {
    403, "{\"error\":\"this Host is not served here\",\"code\":\"bad_host\",\"suggestion\":"
         "\"Ask for localhost or 127.0.0.1.\"}\n"};
static const struct refusal no_path = {
    404, "{\"error\":\"there is nothing at this path\",\"code\":\"not_found\",\"suggestion\":"
         "\"See /health and /metrics.\"}\n"};
static const struct refusal no_method = {
    405, "{\"error\":\"this path does not take this method\",\"code\":\"method_not_allowed\","
         "\"suggestion\":\"See the Allow header.\"}\n"};
static const struct refusal no_token = {
    401, "{\"error\":\"a token is required\",\"code\":\"unauthorized\",\"suggestion\":"
         "\"Send Authorization: Bearer with one of http.tokens.\"}\n"};
static const struct refusal too_large = {
    413, "{\"error\":\"the body is too large\",\"code\":\"too_large\",\"suggestion\":"
         "\"Send a smaller document, or use precis submit.\"}\n"};

static bool method_fits(const struct web_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

// NULL with `out_allow` set where the path is known by another method.
static const struct web_route *find_route(const struct web *web, const char *method,
                                          const char *path, const char **out_allow)
{
    for (size_t i = 0; i < web->options.route_count; i++) {
        const struct web_route *route = &web->options.routes[i];
        if (strcmp(route->path, path) != 0)
            continue;
        if (method_fits(route, method))
            return route;
        *out_allow = route->method;
    }
    return NULL;
}

static enum MHD_Result call_handler(const struct web *web, struct MHD_Connection *connection,
                                    const char *method, const struct exchange *exchange)
{
    struct web_request request = {.method = method,
                                  .path = exchange->route->path,
                                  .body = buf_str(&exchange->body),
                                  .body_len = exchange->body.len,
                                  .connection = connection};
    struct web_answer answer = {.status = 200, .content_type = "application/json"};
    buf_init(&answer.body, 0);
    exchange->route->handler(web->options.context, &request, &answer);
    enum MHD_Result result = queue_answer(connection, answer.status, answer.content_type,
                                          buf_str(&answer.body), answer.body.len, NULL);
    buf_deinit(&answer.body);
    return result;
}

// The head is here: refuse at once, or wait for the body.
static enum MHD_Result begin(const struct web *web, struct MHD_Connection *connection,
                             const char *method, const char *path, void **out_exchange)
{
    const char *allow = NULL;
    const struct web_route *route = find_route(web, method, path, &allow);
    if (!host_allowed(web, connection))
        return refuse(connection, &bad_host, NULL);
    if (!route)
        return refuse(connection, allow ? &no_method : &no_path, allow);
    if (!route->open && !token_allowed(web, connection))
        return refuse(connection, &no_token, NULL);
    struct exchange *exchange = own_alloc(sizeof(*exchange));
    exchange->route = route;
    buf_init(&exchange->body, web->options.max_body_bytes ? web->options.max_body_bytes : 1);
    *out_exchange = exchange;
    return MHD_YES;
}

// NOLINTNEXTLINE(readability-function-size): libmicrohttpd says which parameters there are
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *data_len, void **exchange_at)
{
    (void)version;
    const struct web *web = context;
    struct exchange *exchange = *exchange_at;
    if (!exchange)
        return begin(web, connection, method, path, exchange_at);
    if (*data_len > 0) { // what does not fit is read and dropped, then refused
        buf_add(&exchange->body, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    if (exchange->body.overflow)
        return refuse(connection, &too_large, NULL);
    return call_handler(web, connection, method, exchange);
}

const char *web_query(const struct web_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

// ---------------------------------------------------------------------------- connections

static void on_connection(void *context, struct MHD_Connection *mhd, void **connection_at,
                          enum MHD_ConnectionNotificationCode code)
{
    struct web *web = context;
    struct connection *connection = *connection_at;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        list_remove(&connection->node);
        free(connection);
        return;
    }
    connection = own_alloc(sizeof(*connection));
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection->since = uv_now(web->loop);
    list_append(&web->connections, &connection->node);
    *connection_at = connection;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **exchange_at,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct web *web = context;
    struct connection *connection =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    if (connection)
        connection->since = uv_now(web->loop);
    struct exchange *exchange = *exchange_at;
    if (exchange)
        buf_deinit(&exchange->body);
    free(exchange);
    *exchange_at = NULL;
}

static void run(struct web *web);

static void on_look(uv_timer_t *timer)
{
    struct web *web = timer->data;
    uint64_t now = uv_now(web->loop);
    for (struct list_node *node = list_first(&web->connections); node;
         node = list_next(&web->connections, node)) {
        struct connection *connection = list_item(node, struct connection, node);
        if (now - connection->since >= WEB_REQUEST_MS)
            shutdown(connection->fd, SHUT_RDWR); // libmicrohttpd sees the end and closes
    }
    run(web);
}

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void run(struct web *web)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(web->daemon);
    if (MHD_get_timeout(web->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&web->timer, on_timer, wait_ms < 1 ? 1 : (uint64_t)wait_ms, 0);
    else
        uv_timer_stop(&web->timer);
}

// ---------------------------------------------------------------------------- listening

static bool split_listen(struct web *web, char *out_port, size_t port_bytes)
{
    const char *listen_at = web->options.listen;
    const char *colon = strrchr(listen_at, ':');
    size_t len = colon ? (size_t)(colon - listen_at) : 0;
    if (len == 0 || len >= sizeof(web->host) || strlen(colon + 1) >= port_bytes || !colon[1])
        return false;
    memcpy(web->host, listen_at, len);
    web->host[len] = 0;
    snprintf(out_port, port_bytes, "%s", colon + 1);
    return strspn(out_port, "0123456789") == strlen(out_port) &&
           strtol(out_port, NULL, 10) <= 65535;
}

static struct addrinfo *look_up(const struct web *web)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char bare[256];
    size_t len = strlen(web->host);
    bool brackets = len > 2 && web->host[0] == '[' && web->host[len - 1] == ']';
    snprintf(bare, sizeof(bare), "%.*s", (int)(brackets ? len - 2 : len),
             web->host + (brackets ? 1 : 0));
    return getaddrinfo(bare, NULL, &hints, &found) == 0 ? found : NULL;
}

static void set_port(struct sockaddr *address, unsigned port)
{
    uint16_t wire = htons((uint16_t)port);
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = wire;
    else
        ((struct sockaddr_in *)(void *)address)->sin_port = wire;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    const struct sockaddr_in *in = (const void *)address;
    return (ntohl(in->sin_addr.s_addr) >> 24) == 127;
}

static int bind_one(const struct addrinfo *info)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, 128) == 0)
        return fd;
    close(fd);
    return -1;
}

// The port that is asked for, or the next free one of WEB_PORTS.
static int bind_some(struct addrinfo *info, unsigned port)
{
    for (unsigned i = 0; i < WEB_PORTS && port + i <= 65535; i++) {
        set_port(info->ai_addr, port + i);
        int fd = bind_one(info);
        if (fd >= 0 || port == 0)
            return fd;
    }
    return -1;
}

static unsigned bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address;
    socklen_t len = sizeof(address);
    memset(&address, 0, sizeof(address));
    if (getsockname(fd, &address.any, &len) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

static int open_listener(struct web *web, char *problem, size_t problem_bytes)
{
    char port[6];
    if (!split_listen(web, port, sizeof(port))) {
        snprintf(problem, problem_bytes, "http.listen is %s, and has to be address:port",
                 web->options.listen);
        return -1;
    }
    struct addrinfo *info = look_up(web);
    if (!info) {
        snprintf(problem, problem_bytes, "http.listen: %s is no address of this machine",
                 web->host);
        return -1;
    }
    int fd = bind_some(info, (unsigned)strtoul(port, NULL, 10));
    web->loopback = is_loopback(info->ai_addr);
    freeaddrinfo(info);
    if (fd < 0)
        snprintf(problem, problem_bytes, "none of %d ports from %s on can be used", WEB_PORTS,
                 web->options.listen);
    else
        snprintf(web->address, sizeof(web->address), "%s:%u", web->host, bound_port(fd));
    return fd;
}

// ---------------------------------------------------------------------------- life

static struct MHD_Daemon *start_daemon(struct web *web, int fd)
{
    // The pool holds the request's head and the answer's.
    size_t memory = WEB_HEADER_BYTES + 4096;
    return MHD_start_daemon(
        MHD_USE_EPOLL, 0, NULL, NULL, on_request, web, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)WEB_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)WEB_REQUEST_MS / 1000,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, web, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        web, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static void watch(struct web *web)
{
    int epoll_fd = MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_poll_init(web->loop, &web->poll, epoll_fd);
    uv_timer_init(web->loop, &web->timer);
    uv_timer_init(web->loop, &web->look);
    web->poll.data = web->timer.data = web->look.data = web;
    web->handles = 3;
    uv_poll_start(&web->poll, UV_READABLE, on_ready);
    uv_timer_start(&web->look, on_look, LOOK_MS, LOOK_MS);
}

struct web *web_new(uv_loop_t *loop, const struct web_options *options, char *problem,
                    size_t problem_bytes)
{
    struct web *web = own_alloc(sizeof(*web));
    web->loop = loop;
    web->options = *options;
    list_init(&web->connections);
    int fd = open_listener(web, problem, problem_bytes);
    if (fd < 0)
        goto fail;
    web->daemon = start_daemon(web, fd);
    if (!web->daemon) {
        snprintf(problem, problem_bytes, "the HTTP server does not start");
        close(fd);
        goto fail;
    }
    watch(web);
    return web;

fail:
    free(web);
    return NULL;
}

const char *web_address(const struct web *web)
{
    return web->address;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct web *web = handle->data;
    if (--web->handles == 0)
        free(web);
}

void web_close(struct web *web)
{
    if (!web)
        return;
    uv_poll_stop(&web->poll);
    MHD_stop_daemon(web->daemon);
    uv_close((uv_handle_t *)&web->poll, on_handle_closed);
    uv_close((uv_handle_t *)&web->timer, on_handle_closed);
    uv_close((uv_handle_t *)&web->look, on_handle_closed);
}
