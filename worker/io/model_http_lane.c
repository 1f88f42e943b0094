// SPDX-License-Identifier: Apache-2.0
// libcurl's multi-socket interface on libuv.
//
// What is easy to get wrong here, and is therefore done so:
// - a timer of 0 ms that restarts itself starves libuv 1.44's loop: 1 ms is the least;
// - libuv reports POLLERR as an error and stops watching: libcurl is told, and the watch renewed;
// - libcurl may close a socket before it says that it needs no watching: our own close callback
//   ends the watch first, so that the number can be used again at once.
#include "io/model_http_lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/own.h"

#define STREAMS_MAX 100L

struct lane_socket {
    uv_poll_t poll;
    struct lane *lane;
    curl_socket_t fd;
    int events;
};

static void on_socket(uv_poll_t *poll, int status, int events);

static void collect(struct lane *lane)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(lane->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        lane_remove(lane, easy);
        lane->done(lane->context, easy, result);
    }
}

static void act(struct lane *lane, curl_socket_t fd, int flags)
{
    int running;
    lane->depth++;
    curl_multi_socket_action(lane->multi, fd, flags, &running);
    lane->depth--;
    collect(lane);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct lane *lane = context;
    if (lane->closing || timeout_ms < 0)
        uv_timer_stop(&lane->timer);
    else
        uv_timer_start(&lane->timer, on_timer, timeout_ms < 1 ? 1 : (uint64_t)timeout_ms, 0);
    return 0;
}

static struct lane_socket *find_socket(const struct lane_sockets *sockets, curl_socket_t fd)
{
    return (size_t)fd < sockets->room ? sockets->by_fd[fd] : NULL;
}

static void make_room(struct lane_sockets *sockets, size_t fd)
{
    if (fd < sockets->room)
        return;
    size_t room = fd + 64;
    sockets->by_fd = own_grow(sockets->by_fd, room, sizeof(*sockets->by_fd));
    for (size_t i = sockets->room; i < room; i++)
        sockets->by_fd[i] = NULL;
    sockets->room = room;
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct lane_socket *socket = handle->data;
    socket->lane->sockets->closing--;
    free(socket);
}

static void forget_socket(struct lane_sockets *sockets, curl_socket_t fd)
{
    struct lane_socket *socket = find_socket(sockets, fd);
    if (!socket)
        return;
    sockets->by_fd[fd] = NULL;
    uv_poll_stop(&socket->poll);
    uv_close((uv_handle_t *)&socket->poll, on_socket_closed);
}

static struct lane_socket *add_socket(struct lane *lane, curl_socket_t fd)
{
    make_room(lane->sockets, (size_t)fd);
    struct lane_socket *socket = own_alloc(sizeof(*socket));
    socket->lane = lane;
    socket->fd = fd;
    CHECK(uv_poll_init_socket(lane->sockets->loop, &socket->poll, fd) == 0);
    socket->poll.data = socket;
    lane->sockets->by_fd[fd] = socket;
    lane->sockets->closing++;
    return socket;
}

static int watch(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    (void)easy;
    (void)socket_context;
    struct lane *lane = context;
    if (what == CURL_POLL_REMOVE) {
        forget_socket(lane->sockets, fd);
        return 0;
    }
    if (lane->closing)
        return 0;
    struct lane_socket *socket = find_socket(lane->sockets, fd);
    if (!socket)
        socket = add_socket(lane, fd);
    socket->events =
        (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&socket->poll, socket->events, on_socket);
    return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct lane_socket *socket = poll->data;
    struct lane *lane = socket->lane;
    curl_socket_t fd = socket->fd;
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) | (status < 0 ? CURL_CSELECT_ERR : 0);
    act(lane, fd, flags); // may free the socket
    if (status < 0 && find_socket(lane->sockets, fd) == socket)
        uv_poll_start(&socket->poll, socket->events, on_socket);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct lane *lane = context;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    lane->open++;
    lane->opened++;
    return fd;
}

static int close_socket(void *context, curl_socket_t fd)
{
    struct lane *lane = context;
    forget_socket(lane->sockets, fd);
    lane->open--;
    return close(fd);
}

void lane_limit(struct lane *lane, long connections)
{
    curl_multi_setopt(lane->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(lane->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
}

static void open_multi(struct lane *lane, long connections)
{
    lane->multi = curl_multi_init();
    CHECK(lane->multi);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETFUNCTION, watch);
    curl_multi_setopt(lane->multi, CURLMOPT_SOCKETDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(lane->multi, CURLMOPT_TIMERDATA, lane);
    curl_multi_setopt(lane->multi, CURLMOPT_PIPELINING,
                      lane->multiplex ? CURLPIPE_MULTIPLEX : CURLPIPE_NOTHING);
    curl_multi_setopt(lane->multi, CURLMOPT_MAX_CONCURRENT_STREAMS, STREAMS_MAX);
    lane_limit(lane, connections);
}

static void close_multi(struct lane *lane)
{
    CHECK(!lane_is_inside(lane) && lane->active == 0);
    lane->closing = true;
    lane->depth++;
    curl_multi_cleanup(lane->multi);
    lane->depth--;
    lane->multi = NULL;
    uv_timer_stop(&lane->timer);
}

void lane_open(struct lane *lane, struct lane_sockets *sockets, bool multiplex, long connections,
               lane_done_fn *done, void *context)
{
    *lane =
        (struct lane){.sockets = sockets, .done = done, .context = context, .multiplex = multiplex};
    uv_timer_init(sockets->loop, &lane->timer);
    sockets->closing++;
    lane->timer.data = lane;
    open_multi(lane, connections);
}

void lane_renew(struct lane *lane, long connections)
{
    close_multi(lane);
    lane->closing = false;
    memset(lane->calls, 0, sizeof(lane->calls));
    open_multi(lane, connections);
}

uint16_t lane_count_call(struct lane *lane, int local_port)
{
    return ++lane->calls[(unsigned)local_port % LANE_PORTS];
}

bool lane_is_inside(const struct lane *lane)
{
    return lane->depth > 0;
}

bool lane_add(struct lane *lane, CURL *easy)
{
    CHECK(!lane_is_inside(lane));
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, lane);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, lane);
    if (curl_multi_add_handle(lane->multi, easy) != CURLM_OK)
        return false;
    lane->active++;
    return true;
}

void lane_remove(struct lane *lane, CURL *easy)
{
    CHECK(!lane_is_inside(lane));
    lane->depth++;
    curl_multi_remove_handle(lane->multi, easy);
    lane->depth--;
    lane->active--;
}

void lane_keep(struct lane *lane, long connections)
{
    curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, connections);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct lane *lane = handle->data;
    lane->sockets->closing--;
}

void lane_close(struct lane *lane)
{
    close_multi(lane);
    uv_close((uv_handle_t *)&lane->timer, on_timer_closed);
}
