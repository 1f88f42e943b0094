// SPDX-License-Identifier: Apache-2.0
// uv_poll for a socket that is somebody else's.
#include "io/pg_watch.h"

#include <stdlib.h>

#include "base/own.h"

struct pg_watch {
    uv_poll_t poll;
    void (*ready)(void *context);
    void *context;
    int events;
};

struct pg_watch *pg_watch_new(uv_loop_t *loop, int fd, void (*ready)(void *context), void *context)
{
    struct pg_watch *watch = own_alloc(sizeof(*watch));
    if (uv_poll_init(loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->ready = ready;
    watch->context = context;
    return watch;
}

// An error on the socket is told as readiness: libpq finds out by itself. libuv has stopped the
// handle then, so the next pg_watch_set has to start it again: there may be a last message to read
// before the end shows.
static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct pg_watch *watch = poll->data;
    if (status < 0)
        watch->events = 0;
    watch->ready(watch->context);
}

void pg_watch_set(struct pg_watch *watch, bool read, bool write)
{
    int events = (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0);
    if (events == watch->events)
        return;
    watch->events = events;
    uv_poll_start(&watch->poll, events, on_poll);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pg_watch_free(struct pg_watch *watch)
{
    if (watch == NULL)
        return;
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, on_closed);
}
