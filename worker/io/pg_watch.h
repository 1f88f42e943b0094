// SPDX-License-Identifier: Apache-2.0
// One socket of libpq on the loop. libpq closes and reopens its socket while it connects, possibly
// under the same number, so a watch is freed before each such step and made anew after it.
#ifndef PRECIS_IO_PG_WATCH_H
#define PRECIS_IO_PG_WATCH_H

#include <stdbool.h>
#include <uv.h>

struct pg_watch;

// Watches nothing until pg_watch_set. NULL where the loop refuses the descriptor.
struct pg_watch *pg_watch_new(uv_loop_t *loop, int fd, void (*ready)(void *context), void *context);
void pg_watch_set(struct pg_watch *watch, bool read, bool write);
// Nothing is called any more; the memory goes when the loop has closed the handle.
void pg_watch_free(struct pg_watch *watch);

#endif
