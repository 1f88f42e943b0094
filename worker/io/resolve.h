// SPDX-License-Identifier: Apache-2.0
// Host names to addresses, by uv_getaddrinfo, kept for a while. libcurl's own resolver makes a
// thread for each waiting transfer and blocks the loop when one is cancelled; it is never asked.
//
// An address stays usable after its time while the name cannot be resolved again, up to
// RESOLVE_STALE_MS: an outage of the name server is not an outage of the provider.
#ifndef PRECIS_IO_RESOLVE_H
#define PRECIS_IO_RESOLVE_H

#include <uv.h>

#define RESOLVE_FRESH_MS 60000
#define RESOLVE_STALE_MS 600000
#define RESOLVE_AGAIN_MS 1000 // between two tries for one name

enum resolve_state {
    RESOLVE_KNOWN,
    RESOLVE_UNDER_WAY, // `on_change` tells when to look again
    RESOLVE_FAILED,
};

struct resolve;

// `on_change` is called on the loop whenever a name was resolved or failed.
struct resolve *resolve_new(uv_loop_t *loop, void (*on_change)(void *context), void *context);
// What is known of a name; asks for it where that is needed. `out` is a list as CURLOPT_RESOLVE
// takes it ("192.0.2.1,[2001:db8::1]"), or the resolver's words on failure; it is owned by the
// cache and holds until the loop turns.
enum resolve_state resolve_look(struct resolve *resolve, const char *host, const char **out);
// A connection to the name's addresses failed: look them up again at the next question.
void resolve_doubt(struct resolve *resolve, const char *host);
// Frees at once, or when the last question under way has ended. NULL is fine.
void resolve_free(struct resolve *resolve);

#endif
