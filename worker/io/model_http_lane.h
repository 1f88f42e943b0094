// SPDX-License-Identifier: Apache-2.0
// One libcurl multi handle on the loop: its sockets and its timer. Several of them share a
// provider's transfers, because one handle becomes slow with many connections to one host.
//
// libcurl is never entered from inside its own callbacks: transfers are added and removed only
// while `lane_is_inside` is false.
#ifndef PRECIS_IO_MODEL_HTTP_LANE_H
#define PRECIS_IO_MODEL_HTTP_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>
#include <uv.h>

struct lane_socket;

#define LANE_PORTS 1024

// All sockets of one loop, by number: a number is watched by one handle only.
struct lane_sockets {
    uv_loop_t *loop;
    struct lane_socket **by_fd;
    size_t room;
    size_t closing; // handles that are not closed yet
};

// A transfer has ended, and was removed from the lane already.
typedef void lane_done_fn(void *context, CURL *easy, CURLcode result);

struct lane {
    CURLM *multi;
    uv_timer_t timer;
    struct lane_sockets *sockets;
    lane_done_fn *done;
    void *context;
    int depth;      // calls into libcurl that have not returned
    size_t active;  // transfers added
    int64_t open;   // connections
    int64_t opened; // connections ever
    bool closing;
    bool multiplex;
    uint16_t calls[LANE_PORTS]; // sent, by the connection's local port; ports may share a count
};

// `multiplex`: HTTP/2 may carry many transfers in a connection. `connections` is the most at once.
void lane_open(struct lane *lane, struct lane_sockets *sockets, bool multiplex, long connections,
               lane_done_fn *done, void *context);
bool lane_is_inside(const struct lane *lane);
// False where libcurl refuses. Sets the handle's socket callbacks.
bool lane_add(struct lane *lane, CURL *easy);
void lane_remove(struct lane *lane, CURL *easy);
// How many connections are kept at most, those in use included.
void lane_keep(struct lane *lane, long connections);
// The most connections at once from now on.
void lane_limit(struct lane *lane, long connections);
// Counts a call on the connection with this port of ours; returns its calls so far, or more.
uint16_t lane_count_call(struct lane *lane, int local_port);
// Closes its connections, and it begins anew; no transfer may be left.
void lane_renew(struct lane *lane, long connections);
// Closes connections and handles; no transfer may be left. The timer's close callback counts in
// sockets->closing.
void lane_close(struct lane *lane);

#endif
