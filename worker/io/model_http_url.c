// SPDX-License-Identifier: Apache-2.0
// Reads base_url with libcurl's own URL parser.
#include "io/model_http_url.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL, *copy = NULL;
    if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
        copy = own_strdup(text);
    curl_free(text);
    return copy;
}

static bool is_address(const char *host)
{
    struct in_addr v4;
    return host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1;
}

static bool is_loopback(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (strncmp(host, "127.", 4) == 0 && is_address(host));
}

static size_t origin_len(const char *url)
{
    const char *host = strstr(url, "://");
    return host ? (size_t)(host - url) + 3 + strcspn(host + 3, "/?#") : 0;
}

static void keep_name(struct server_name *out, const char *scheme, const char *port)
{
    struct buf prefix;
    buf_init(&prefix, 0);
    buf_printf(&prefix, "%s:%s:", out->host, port);
    out->prefix = buf_take(&prefix);
    out->tls = strcmp(scheme, "https") == 0;
    if (is_address(out->host)) {
        free(out->host);
        out->host = NULL;
    }
}

bool server_name_read(struct server_name *out, const char *text, bool allow_http)
{
    CURLU *url = curl_url();
    CHECK(url);
    bool good = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;
    char *scheme = good ? url_part(url, CURLUPART_SCHEME, 0) : NULL;
    char *port = good ? url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT) : NULL;
    *out = (struct server_name){.origin_len = origin_len(text),
                                .host = good ? url_part(url, CURLUPART_HOST, 0) : NULL};
    good = scheme && port && out->host &&
           (strcmp(scheme, "https") == 0 ||
            (strcmp(scheme, "http") == 0 && (allow_http || is_loopback(out->host))));
    if (good)
        keep_name(out, scheme, port);
    free(scheme);
    free(port);
    curl_url_cleanup(url);
    return good;
}

void server_name_deinit(struct server_name *name)
{
    free(name->host);
    free(name->prefix);
}
