// SPDX-License-Identifier: Apache-2.0
// The way from a conninfo to a connection: resolve each host, then PQconnectPoll.
#include "io/pg_connect.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/own.h"
#include "io/pg_error.h"
#include "io/pg_params.h"
#include "io/pg_watch.h"

struct pg_connect {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    struct pg_params params;
    struct buf hosts, addresses, ports; // what PQconnectStartParams gets, comma lists
    char *left_hosts, *left_ports;      // what is not resolved yet; both are consumed
    char *host, *port;                  // the pair that is being resolved
    PGconn *connection;
    struct pg_watch *watch;
    void (*done)(void *context, PGconn *connection, const struct pg_error *error);
    void *context;
    int handles; // the timer, and the resolver while it is under way
    bool over;   // done was called, or it was cancelled
};

static void resolve_next(struct pg_connect *connect);

static void release(struct pg_connect *connect)
{
    if (--connect->handles > 0)
        return;
    pg_params_deinit(&connect->params);
    buf_deinit(&connect->hosts);
    buf_deinit(&connect->addresses);
    buf_deinit(&connect->ports);
    free(connect->left_hosts);
    free(connect->left_ports);
    free(connect->host);
    free(connect->port);
    free(connect);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void stop(struct pg_connect *connect)
{
    connect->over = true;
    pg_watch_free(connect->watch);
    connect->watch = NULL;
    uv_cancel((uv_req_t *)&connect->resolve); // refused where it is not under way
    uv_close((uv_handle_t *)&connect->timer, on_timer_closed);
}

static void fail(struct pg_connect *connect, const struct pg_error *error)
{
    stop(connect);
    PQfinish(connect->connection);
    connect->done(connect->context, NULL, error);
}

static void fail_with(struct pg_connect *connect, const char *what, const char *why)
{
    struct pg_error error = {.connection = true};
    char where[200];
    pg_params_where(&connect->params, where, sizeof(where));
    snprintf(error.text, sizeof(error.text), "cannot connect to PostgreSQL at %s: %s%s", where,
             what, why);
    fail(connect, &error);
}

void pg_connect_cancel(struct pg_connect *connect)
{
    stop(connect);
    PQfinish(connect->connection);
}

static void on_timeout(uv_timer_t *timer)
{
    fail_with(timer->data, "timed out", "");
}

static void succeed(struct pg_connect *connect)
{
    PGconn *connection = connect->connection;
    stop(connect);
    PQsetnonblocking(connection, 1);
    connect->done(connect->context, connection, NULL);
}

static void poll_ready(void *context);

static void watch_for(struct pg_connect *connect, PostgresPollingStatusType status)
{
    connect->watch =
        pg_watch_new(connect->loop, PQsocket(connect->connection), poll_ready, connect);
    if (connect->watch == NULL)
        fail_with(connect, "its socket cannot be watched", "");
    else
        pg_watch_set(connect->watch, status == PGRES_POLLING_READING,
                     status == PGRES_POLLING_WRITING);
}

static void poll_ready(void *context)
{
    struct pg_connect *connect = context;
    pg_watch_free(connect->watch);
    connect->watch = NULL;
    PostgresPollingStatusType status = PQconnectPoll(connect->connection);
    if (status == PGRES_POLLING_OK) {
        succeed(connect);
    } else if (status == PGRES_POLLING_FAILED) {
        struct pg_error error;
        pg_error_of_connection(&error, connect->connection, &connect->params);
        fail(connect, &error);
    } else {
        watch_for(connect, status);
    }
}

static void begin(struct pg_connect *connect)
{
    pg_params_set(&connect->params, "host", buf_str(&connect->hosts));
    pg_params_set(&connect->params, "hostaddr", buf_str(&connect->addresses));
    pg_params_set(&connect->params, "port", buf_str(&connect->ports));
    connect->connection = PQconnectStartParams(connect->params.keys, connect->params.values, 0);
    PQsetNoticeProcessor(connect->connection, pg_error_ignore_notice, NULL);
    if (connect->connection == NULL || PQstatus(connect->connection) == CONNECTION_BAD) {
        struct pg_error error;
        pg_error_of_connection(&error, connect->connection, &connect->params);
        fail(connect, &error);
    } else {
        watch_for(connect, PGRES_POLLING_WRITING);
    }
}

// Adds one address to try. "" for a Unix socket.
static void add_address(struct pg_connect *connect, const char *address)
{
    const char *comma = connect->hosts.len > 0 ? "," : "";
    buf_printf(&connect->hosts, "%s%s", comma, connect->host);
    buf_printf(&connect->addresses, "%s%s", comma, address);
    buf_printf(&connect->ports, "%s%s", comma, connect->port);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct pg_connect *connect = request->data;
    for (struct addrinfo *item = list; !connect->over && item; item = item->ai_next) {
        char text[64];
        if (getnameinfo(item->ai_addr, item->ai_addrlen, text, sizeof(text), NULL, 0,
                        NI_NUMERICHOST) == 0)
            add_address(connect, text);
    }
    uv_freeaddrinfo(list);
    bool over = connect->over;
    bool none = connect->hosts.len == 0 && connect->left_hosts == NULL;
    if (!over && status != 0 && none)
        fail_with(connect, "its name cannot be resolved: ", uv_strerror(status));
    else if (!over)
        resolve_next(connect);
    release(connect);
}

// Takes the first item off a comma list; the list is NULL after its last.
static char *take_item(char **list)
{
    char *text = *list;
    char *comma = strchr(text, ',');
    char *item = comma ? own_strndup(text, (size_t)(comma - text)) : own_strdup(text);
    *list = comma ? own_strdup(comma + 1) : NULL;
    free(text);
    return item;
}

static void resolve_next(struct pg_connect *connect)
{
    if (connect->left_hosts == NULL) {
        begin(connect);
        return;
    }
    free(connect->host);
    connect->host = take_item(&connect->left_hosts);
    if (connect->left_ports) { // a single port is for all hosts
        free(connect->port);
        connect->port = take_item(&connect->left_ports);
    }
    if (connect->host[0] == '/' || connect->host[0] == '@') {
        add_address(connect, "");
        resolve_next(connect);
        return;
    }
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    connect->handles++;
    int status =
        uv_getaddrinfo(connect->loop, &connect->resolve, on_resolved, connect->host, NULL, &hints);
    if (status != 0) {
        connect->handles--;
        fail_with(connect, "its name cannot be resolved: ", uv_strerror(status));
    }
}

static void start(uv_timer_t *timer)
{
    struct pg_connect *connect = timer->data;
    uv_timer_start(&connect->timer, on_timeout, (uint64_t)timer->repeat, 0);
    // An address that is given needs no name; `host` then only names the certificate.
    const char *address = pg_params_get(&connect->params, "hostaddr");
    const char *hosts = pg_params_get(&connect->params, "host");
    connect->left_hosts = own_strdup(address ? address : hosts);
    connect->left_ports = own_strdup(pg_params_get(&connect->params, "port"));
    if (address) {
        buf_add_str(&connect->hosts, hosts);
        buf_add_str(&connect->addresses, address);
        buf_add_str(&connect->ports, connect->left_ports);
        begin(connect);
    } else {
        resolve_next(connect);
    }
}

static void refuse(uv_timer_t *timer)
{
    struct pg_error error;
    pg_error_of_conninfo(&error);
    fail(timer->data, &error);
}

struct pg_connect *
pg_connect_start(uv_loop_t *loop, const char *conninfo, const char *name, int timeout_ms,
                 void (*done)(void *context, PGconn *connection, const struct pg_error *error),
                 void *context)
{
    struct pg_connect *connect = own_alloc(sizeof(*connect));
    connect->loop = loop;
    connect->done = done;
    connect->context = context;
    connect->handles = 1;
    connect->resolve.data = connect;
    uv_timer_init(loop, &connect->timer);
    connect->timer.data = connect;
    bool readable = pg_params_init(&connect->params, conninfo, name);
    uv_timer_start(&connect->timer, readable ? start : refuse, 0, (uint64_t)timeout_ms);
    return connect;
}
