// SPDX-License-Identifier: Apache-2.0
// What a provider's base_url says of its server. Internal to model_http.
#ifndef PRECIS_IO_MODEL_HTTP_URL_H
#define PRECIS_IO_MODEL_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>

struct server_name {
    bool tls;
    size_t origin_len; // of the URL: scheme, host and port
    char *host;        // as in the URL; NULL where it is an address
    char *prefix;      // "host:port:"
};

// False where `url` is no URL of https, or of http where that is allowed; on loopback it always is.
// Deinit either way.
bool server_name_read(struct server_name *out, const char *url, bool allow_http);
void server_name_deinit(struct server_name *name);

#endif
