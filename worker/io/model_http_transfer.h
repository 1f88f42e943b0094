// SPDX-License-Identifier: Apache-2.0
// One request with libcurl: its options, what libcurl says about it as http_events, and how its end
// is called. Internal to model_http.
#ifndef PRECIS_IO_MODEL_HTTP_TRANSFER_H
#define PRECIS_IO_MODEL_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "base/buf.h"
#include "base/list.h"
#include "core/seams.h"
#include "io/model_http.h"

struct pool;

struct transfer {
    struct list_node node; // in the pool's waiting or active list
    struct pool *pool;
    const struct model_http_options *options;
    struct slot_id owner;
    uint32_t serial;
    char *url;
    char *body; // NULL: GET
    size_t body_len;
    struct curl_slist *headers, *resolve;
    void (*on_sent)(struct transfer *transfer); // before HTTP_SENT
    CURL *easy;                                 // NULL while waiting
    size_t lane;
    int sends;      // times that libcurl was about to send it
    int local_port; // of the connection that it was sent on
    bool http2;     // what the server was last seen to speak, when it was launched
    bool refused;   // by HTTP/2 itself: nobody has looked at it
    bool silent;    // cancelled: no event any more
    char words[CURL_ERROR_SIZE];
    struct buf line; // scratch for a header's name and value
};

// What all transfers of a pool have in common.
struct transfer_common {
    bool tls, http1, reuse;
    const char *ca; // NULL: the system's
    long connect_ms;
};

// NULL with a failure where a header cannot be sent as it is.
struct transfer *transfer_new(const struct http_request *request,
                              const struct model_http_options *options, struct failure *out);
void transfer_free(struct transfer *transfer);
// A handle with what never changes in a pool.
CURL *transfer_easy_new(const struct transfer_common *common);
// Points the handle at this transfer. `addresses` ("host:port:1.2.3.4,…") may be NULL.
void transfer_prepare(struct transfer *transfer, CURL *easy, const char *addresses);
// HTTP_END, with no failure where `result` is CURLE_OK.
void transfer_end(struct transfer *transfer, CURLcode result);
void transfer_fail(struct transfer *transfer, const struct failure *failure);

#endif
