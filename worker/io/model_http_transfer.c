// SPDX-License-Identifier: Apache-2.0
// One request with libcurl.
#include "io/model_http_transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define RECEIVE_BYTES    8192L
#define SEND_BYTES       16384L
#define LINE_BYTES       110000
#define IDLE_SECONDS     55L   // below the minute after which most providers close
#define LIFETIME_SECONDS 1800L // certificates are looked at again

static void emit(struct transfer *transfer, struct http_event event)
{
    if (transfer->silent)
        return;
    event.owner = transfer->owner;
    event.serial = transfer->serial;
    transfer->options->on_event(transfer->options->context, &event);
}

// ---------------------------------------------------------------------------- libcurl's callbacks

// The connection stands. The second time is libcurl's own resend, which may be paid twice. Where
// the connection died, libcurl has left words by then; over HTTP/2 it has none for a stream that
// was refused (RST_STREAM with REFUSED_STREAM, or above the last one of a GOAWAY), and says so
// nowhere else. Such a request has reached nobody.
static int on_ready(void *context, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote, (void)local, (void)remote_port;
    struct transfer *transfer = context;
    if (transfer->sends == 1)
        transfer->refused = transfer->http2 && !transfer->words[0];
    if (transfer->silent || ++transfer->sends > 1)
        return CURL_PREREQFUNC_ABORT;
    transfer->local_port = local_port;
    transfer->on_sent(transfer);
    emit(transfer, (struct http_event){.kind = HTTP_SENT});
    return transfer->silent ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * count;
    if (len > 0)
        emit(transfer, (struct http_event){.kind = HTTP_DATA, .data = data, .data_len = len});
    return transfer->silent ? CURL_WRITEFUNC_ERROR : len;
}

// "HTTP/1.1 200 OK" or "HTTP/2 200"; 0 where no number of three digits is there.
static int status_of(const char *line)
{
    const char *at = strchr(line, ' ');
    if (!at)
        return 0;
    at++;
    int status = 0, digits = 0;
    for (; at[digits] >= '0' && at[digits] <= '9' && digits < 4; digits++)
        status = status * 10 + (at[digits] - '0');
    return digits == 3 ? status : 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void emit_line(struct transfer *transfer, char *line, size_t len)
{
    while (len > 0 && is_blank(line[len - 1]))
        line[--len] = 0;
    if (strncmp(line, "HTTP/", 5) == 0) {
        emit(transfer, (struct http_event){.kind = HTTP_STATUS, .status = status_of(line)});
        return;
    }
    char *value = strchr(line, ':');
    if (!value)
        return;
    *value++ = 0;
    while (is_blank(*value))
        value++;
    emit(transfer, (struct http_event){.kind = HTTP_HEADER, .name = line, .value = value});
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    size_t len = size * count;
    buf_clear(&transfer->line);
    if (!transfer->silent && len > 0 && buf_add(&transfer->line, data, len))
        emit_line(transfer, transfer->line.data, transfer->line.len);
    return transfer->silent ? 0 : len;
}

// ---------------------------------------------------------------------------- making one

static bool sendable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static bool add_header(struct transfer *transfer, const struct header *header)
{
    if (!sendable(header->name, strlen(header->name)) ||
        !sendable(header->value, header->value_len))
        return false;
    buf_clear(&transfer->line);
    // A header with an empty value is written with a semicolon for libcurl.
    buf_printf(&transfer->line, "%s%s%.*s", header->name, header->value_len > 0 ? ": " : ";",
               (int)header->value_len, header->value ? (const char *)header->value : "");
    transfer->headers = curl_slist_append(transfer->headers, buf_str(&transfer->line));
    CHECK(transfer->headers);
    return true;
}

struct transfer *transfer_new(const struct http_request *request,
                              const struct model_http_options *options, struct failure *out)
{
    struct transfer *transfer = own_alloc(sizeof(*transfer));
    transfer->options = options;
    transfer->owner = request->owner;
    transfer->serial = request->serial;
    transfer->url = own_strdup(request->url);
    buf_init(&transfer->line, LINE_BYTES);
    transfer->headers = curl_slist_append(NULL, "Expect:"); // else 1 s of waiting with large bodies
    for (size_t i = 0; i < request->header_count; i++)
        if (!add_header(transfer, &request->headers[i])) {
            failure_set(out, ERR_CONNECT_FAILED, "the header %s holds a control character",
                        request->headers[i].name);
            transfer_free(transfer);
            return NULL;
        }
    if (request->body) {
        transfer->body = own_alloc(request->body_len + 1);
        memcpy(transfer->body, request->body, request->body_len);
        transfer->body_len = request->body_len;
    }
    return transfer;
}

static void wipe_headers(struct curl_slist *list)
{
    for (struct curl_slist *item = list; item; item = item->next)
        explicit_bzero(item->data, strlen(item->data));
    curl_slist_free_all(list);
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    wipe_headers(transfer->headers);
    curl_slist_free_all(transfer->resolve);
    buf_deinit(&transfer->line);
    free(transfer->url);
    free(transfer->body);
    free(transfer);
}

static void set_security(CURL *easy, const struct transfer_common *common)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, common->tls ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (common->ca)
        curl_easy_setopt(easy, CURLOPT_CAINFO, common->ca);
}

CURL *transfer_easy_new(const struct transfer_common *common)
{
    CURL *easy = curl_easy_init();
    CHECK(easy);
    set_security(easy, common);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, common->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, LIFETIME_SECONDS);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, common->reuse ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "precis/" PRECIS_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                     common->tls && !common->http1 ? (long)CURL_HTTP_VERSION_2TLS
                                                   : (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, common->tls && !common->http1 ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    return easy;
}

static void set_body(CURL *easy, const struct transfer *transfer)
{
    if (!transfer->body) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
}

void transfer_prepare(struct transfer *transfer, CURL *easy, const char *addresses)
{
    transfer->easy = easy;
    if (addresses)
        transfer->resolve = curl_slist_append(NULL, addresses);
    set_body(easy, transfer);
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->resolve);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->words);
}

// ---------------------------------------------------------------------------- its end

static bool is_tls_error(CURLcode result)
{
    static const CURLcode codes[] = {
        CURLE_SSL_CONNECT_ERROR,        CURLE_PEER_FAILED_VERIFICATION,
        CURLE_SSL_CERTPROBLEM,          CURLE_SSL_CIPHER,
        CURLE_SSL_CACERT_BADFILE,       CURLE_SSL_ISSUER_ERROR,
        CURLE_SSL_INVALIDCERTSTATUS,    CURLE_USE_SSL_FAILED,
        CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_ENGINE_INITFAILED,
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i] == result)
            return true;
    return false;
}

static enum err_code code_of(const struct transfer *transfer, CURLcode result)
{
    if (transfer->sends == 0)
        return is_tls_error(result) ? ERR_TLS_FAILED : ERR_CONNECT_FAILED;
    if (result == CURLE_WEIRD_SERVER_REPLY || result == CURLE_UNSUPPORTED_PROTOCOL)
        return ERR_BAD_ANSWER; // not HTTP
    return ERR_CONNECTION_LOST;
}

void transfer_end(struct transfer *transfer, CURLcode result)
{
    if (result == CURLE_OK) {
        emit(transfer, (struct http_event){.kind = HTTP_END});
        return;
    }
    struct failure failure;
    const char *words = transfer->words[0] ? transfer->words : curl_easy_strerror(result);
    if (transfer->refused)
        words = "the server turned the request away before it looked at it (HTTP/2)";
    else if (transfer->sends > 1)
        words = "a kept connection was dead; the request was not sent again";
    failure_set(&failure, code_of(transfer, result), "%s", words);
    failure.doubtful = transfer->sends > 0 && !transfer->refused;
    transfer_fail(transfer, &failure);
}

void transfer_fail(struct transfer *transfer, const struct failure *failure)
{
    emit(transfer, (struct http_event){.kind = HTTP_END, .failure = failure});
}
