// SPDX-License-Identifier: Apache-2.0
// https: documents, by libcurl.
//
// The host must be allowed, and the address that its name leads to must be public: looked at where
// the socket is made, so that no second look-up can give another. Redirects are an error, since
// where they lead was not allowed by anybody.
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include "base/own.h"
#include "core/retry_after.h"
#include "io/extract_url.h"

#define CONNECT_MS 10000L
#define URL_BYTES  4000

struct transfer {
    const struct extract_ask *ask;
    struct fetched *out;
    struct extract_answer *answer;
    bool refused_address;
    char retry_after[64];
};

static bool refuse(struct extract_answer *answer, const char *suggestion, const char *sentence)
{
    return extract_fail(answer, ERR_FORBIDDEN_URL, suggestion, "%s", sentence);
}

// ------------------------------------------------------------------------------- the URL

static char *part_of(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL, *copy = NULL;
    if (curl_url_get(url, part, &text, flags) == CURLUE_OK)
        copy = own_strdup(text);
    curl_free(text);
    return copy;
}

static bool check_host(const struct extract_ask *ask, CURLU *url, struct extract_answer *answer)
{
    char sentence[400];
    OWN_FREE char *host = part_of(url, CURLUPART_HOST, 0);
    OWN_FREE char *port = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    OWN_FREE char *user = part_of(url, CURLUPART_USER, 0);
    OWN_FREE char *password = part_of(url, CURLUPART_PASSWORD, 0);
    if (user || password)
        return refuse(answer, "Take the name and password out of the URL.",
                      "The document's URL holds a name or password");
    if (host && port && host_is_allowed(ask->hosts, host, (int)strtol(port, NULL, 10)))
        return true;
    snprintf(sentence, sizeof(sentence),
             "The host %.200s%s%.8s of the document's URL is not allowed", host ? host : "",
             port && strcmp(port, "443") != 0 ? ":" : "",
             port && strcmp(port, "443") != 0 ? port : "");
    return refuse(answer,
                  "Name it under documents.hosts in the workers' configuration, or send the "
                  "document with `precis submit`.",
                  sentence);
}

// NULL with a failure.
static CURLU *parse_url(const struct extract_ask *ask, struct extract_answer *answer)
{
    CURLU *url = curl_url();
    if (strlen(ask->url) > URL_BYTES || !url ||
        curl_url_set(url, CURLUPART_URL, ask->url, 0) != CURLUE_OK) {
        curl_url_cleanup(url);
        refuse(answer, "Write it as https://host/path.", "The document's URL cannot be understood");
        return NULL;
    }
    if (check_host(ask, url, answer))
        return url;
    curl_url_cleanup(url);
    return NULL;
}

static char *last_part(CURLU *url)
{
    OWN_FREE char *path = part_of(url, CURLUPART_PATH, CURLU_URLDECODE);
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash && slash[1] ? own_strdup(slash + 1) : NULL;
}

// ------------------------------------------------------------------------------- callbacks

static bool is_loopback(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    memcpy(&v6, address, sizeof(v6));
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *transfer = context;
    bool allowed = address_is_public(&address->addr) ||
                   (transfer->ask->allow_loopback && is_loopback(&address->addr));
    if (purpose != CURLSOCKTYPE_IPCXN || !allowed) {
        transfer->refused_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    return buf_add(&transfer->out->bytes, data, size * count) ? size * count : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "retry-after:";
    struct transfer *transfer = context;
    size_t len = size * count, name_len = sizeof(name) - 1;
    if (len > name_len && strncasecmp(data, name, name_len) == 0) {
        snprintf(transfer->retry_after, sizeof(transfer->retry_after), "%.*s",
                 (int)(len - name_len), data + name_len);
        transfer->retry_after[strcspn(transfer->retry_after, "\r\n")] = '\0';
    }
    return len;
}

// ------------------------------------------------------------------------------- outcomes

static bool fail_passing(struct transfer *transfer, enum err_code code, const char *what)
{
    return extract_fail(transfer->answer, code,
                        "Look at the server of the document and the network between it and the "
                        "workers; then `precis retry`.",
                        "The document could not be fetched: %s", what);
}

static bool fail_transfer(struct transfer *transfer, CURLcode code)
{
    const struct extract_ask *ask = transfer->ask;
    if (transfer->refused_address)
        return refuse(transfer->answer, "Documents come from public addresses only.",
                      "The host of the document's URL leads to a private address");
    if (transfer->out->bytes.overflow || code == CURLE_FILESIZE_EXCEEDED)
        return extract_fail(transfer->answer, ERR_TOO_LARGE, NULL,
                            "The document has more than %lld bytes (documents.max_bytes)",
                            (long long)ask->max_bytes);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return fail_passing(transfer, ERR_TIMEOUT_TOTAL, "it took too long (documents.timeout)");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR)
        return fail_passing(transfer, ERR_TLS_FAILED, "the server's certificate is not trusted");
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT)
        return fail_passing(transfer, ERR_CONNECT_FAILED, "the server cannot be reached");
    return fail_passing(transfer, ERR_CONNECTION_LOST, curl_easy_strerror(code));
}

static bool judge_status(struct transfer *transfer, long status)
{
    struct extract_answer *answer = transfer->answer;
    if (status == 200)
        return true;
    if (status >= 300 && status < 400)
        return refuse(answer, "Send the URL that it leads to.",
                      "The document's URL redirects to another, which is not followed");
    bool passing = status >= 500 || status == 429 || status == 408 || status == 425;
    extract_fail(answer, passing ? ERR_HTTP_TRANSIENT : ERR_HTTP_FATAL,
                 passing ? "The document's server had a passing fault; `precis retry` later."
                         : "Look whether the URL is right and needs no login.",
                 "The document's server answered %ld", status);
    answer->failure.http_status = (int)status;
    if (passing && transfer->retry_after[0])
        answer->failure.retry_after_ms =
            retry_after_ms(transfer->retry_after, NULL, (int64_t)time(NULL) * 1000);
    return false;
}

// ------------------------------------------------------------------------------- the transfer

static void set_options(CURL *curl, CURLU *url, struct transfer *transfer)
{
    const struct extract_ask *ask = transfer->ask;
    // Some time is left for reading what came.
    long limit_ms = (long)(ask->timeout_ms - ask->timeout_ms / 5);
    curl_easy_setopt(curl, CURLOPT_CURLU, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, limit_ms);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)ask->max_bytes);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "precis/" PRECIS_VERSION);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    if (ask->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, ask->ca);
}

static bool transfer_run(CURL *curl, struct transfer *transfer)
{
    long status = 0;
    char *media_type = NULL;
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return fail_transfer(transfer, code);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &media_type);
    transfer->out->media_type = own_strdup(media_type);
    return judge_status(transfer, status);
}

bool https_fetch(const struct extract_ask *ask, struct fetched *out, struct extract_answer *answer)
{
    struct transfer transfer = {.ask = ask, .out = out, .answer = answer};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return fail_passing(&transfer, ERR_CONNECTION_LOST, "libcurl does not start");
    bool fine = false;
    CURLU *url = parse_url(ask, answer);
    CURL *curl = url ? curl_easy_init() : NULL;
    if (curl) {
        set_options(curl, url, &transfer);
        out->name = last_part(url);
        fine = transfer_run(curl, &transfer);
    }
    curl_easy_cleanup(curl);
    curl_url_cleanup(url);
    curl_global_cleanup();
    return fine;
}
