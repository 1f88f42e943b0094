// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 responses, whole and broken.
#include "respond.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *reason;
    } known[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {401, "Unauthorized"},
                 {402, "Payment Required"},
                 {403, "Forbidden"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {408, "Request Timeout"},
                 {409, "Conflict"},
                 {413, "Content Too Large"},
                 {422, "Unprocessable Content"},
                 {429, "Too Many Requests"},
                 {500, "Internal Server Error"},
                 {502, "Bad Gateway"},
                 {503, "Service Unavailable"},
                 {504, "Gateway Timeout"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].status == status)
            return known[i].reason;
    return "Other";
}

static void add_date(struct buf *out, uint64_t wall_ms, long shift_s)
{
    time_t at = (time_t)(wall_ms / 1000) + shift_s;
    struct tm utc;
    char text[64];
    gmtime_r(&at, &utc);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    buf_add_text(out, text);
}

// A fault's headers: "@date+2@" is the date two seconds ahead.
static void add_fault_headers(struct buf *out, const char *headers, uint64_t wall_ms)
{
    for (const char *mark; (mark = strstr(headers, "@date")) != NULL;) {
        buf_add(out, headers, (size_t)(mark - headers));
        char *end;
        long shift_s = strtol(mark + 5, &end, 10);
        add_date(out, wall_ms, shift_s);
        headers = end + 1;
    }
    buf_add_text(out, headers);
}

static void add_head(const struct head *head, const struct fault *fault, struct buf *out)
{
    const char *more = fault && fault->headers ? fault->headers : "";
    buf_add_text(out, "HTTP/1.1 ");
    buf_add_number(out, head->status);
    buf_add_text(out, " ");
    buf_add_text(out, reason_of(head->status));
    if (strncmp(more, "Date:", 5) != 0) {
        buf_add_text(out, "\r\nDate: ");
        add_date(out, head->wall_ms, 0);
    }
    buf_add_text(out, "\r\nServer: modelsim\r\nContent-Type: ");
    buf_add_text(out, head->content_type);
    buf_add_text(out, "\r\nx-request-id: req_sim_");
    buf_add_number(out, head->request_number);
    buf_add_text(out, "\r\nopenai-processing-ms: ");
    buf_add_number(out, head->processing_ms);
    buf_add_text(out, "\r\n");
    buf_add_text(out, head->headers ? head->headers : "");
    add_fault_headers(out, more, head->wall_ms);
}

struct framing {
    bool stream;      // server-sent events
    bool chunked;     // else by Content-Length, or
    bool until_close; // by the end of the connection
};

static void add_piece(struct reply *reply, const char *bytes, size_t len, bool chunked)
{
    if (len == 0)
        return;
    if (chunked)
        buf_add_format(&reply->bytes, "%zx\r\n", len);
    buf_add(&reply->bytes, bytes, len);
    if (chunked)
        buf_add(&reply->bytes, "\r\n", 2);
}

// Every byte in an HTTP chunk of its own, and a millisecond's rest now and then.
static void add_bytewise(struct reply *reply, const char *bytes, size_t len, bool chunked)
{
    for (size_t i = 0; i < len; i++) {
        if (i % 64 == 63)
            reply_pause(reply, 1);
        add_piece(reply, bytes + i, 1, chunked);
    }
}

// The body up to byte `limit`.
static void add_pieces(struct reply *reply, const struct body *body, size_t limit, bool chunked,
                       bool bytewise)
{
    size_t from = 0;
    for (size_t i = 0; i < body->mark_count && from < limit; i++) {
        size_t to = body->marks[i].end < limit ? body->marks[i].end : limit;
        reply_pause(reply, body->marks[i].wait_ms);
        if (bytewise)
            add_bytewise(reply, body->bytes.data + from, to - from, chunked);
        else
            add_piece(reply, body->bytes.data + from, to - from, chunked);
        from = to;
    }
}

static void cut_half(struct reply *reply, size_t from)
{
    reply->bytes.len = from + (reply->bytes.len - from) / 2;
    while (reply->pause_count > 0 && reply->pauses[reply->pause_count - 1].at > reply->bytes.len)
        reply->pause_count--;
}

static void add_repeat(struct reply *reply, const struct fault *fault, const struct buf *repeat,
                       const struct framing *framing)
{
    bool chunked = framing->chunked && fault->cut != CUT_ALL;
    reply->repeat_ms = fault->repeat_ms;
    reply->repeat_from = reply->bytes.len;
    if (repeat && strcmp(fault->repeat, "gzip") == 0) {
        add_piece(reply, repeat->data, 10, chunked);
        reply->repeat_from = reply->bytes.len;
        add_piece(reply, repeat->data + 10, repeat->len - 10, chunked);
    } else if (repeat) {
        add_piece(reply, repeat->data, repeat->len, chunked);
    } else if (fault->repeat[0] == ':' && !framing->stream) {
        add_piece(reply, "\n", 1, chunked); // a plain answer has no comments
    } else {
        add_piece(reply, fault->repeat, strlen(fault->repeat), chunked);
    }
}

void respond_simple(const struct head *head, const char *body, size_t len, struct reply *reply)
{
    reply_pause(reply, head->latency_ms);
    add_head(head, NULL, &reply->bytes);
    buf_add_text(&reply->bytes, "Content-Length: ");
    buf_add_number(&reply->bytes, len);
    buf_add_text(&reply->bytes, "\r\n\r\n");
    buf_add(&reply->bytes, body, len);
}

static struct framing framing_of(const struct head *head, bool chunked, const struct fault *fault)
{
    struct framing framing = {.stream = strcmp(head->content_type, "text/event-stream") == 0};
    bool endless = fault->end == REPLY_REPEAT;
    framing.chunked = (chunked || endless) && head->chunked_ok;
    framing.until_close = !framing.chunked && (framing.stream || endless);
    return framing;
}

static void add_framed_head(const struct head *head, const struct body *body,
                            const struct framing *framing, const struct fault *fault,
                            struct reply *reply)
{
    add_head(head, fault, &reply->bytes);
    if (framing->chunked)
        buf_add_text(&reply->bytes, "Transfer-Encoding: chunked\r\n\r\n");
    else if (framing->until_close)
        buf_add_text(&reply->bytes, "Connection: close\r\n\r\n");
    else
        buf_add_format(&reply->bytes, "Content-Length: %zu\r\n\r\n", body->bytes.len);
    reply_pause(reply, head->headers_ms);
}

// How much of the body goes out when the connection lives on: streams are cut between two events.
static size_t body_limit(const struct body *body, const struct framing *framing,
                         const struct fault *fault)
{
    if (fault->cut == CUT_HEADERS || fault->cut == CUT_ALL)
        return 0;
    bool stays = fault->end == REPLY_REPEAT || fault->end == REPLY_HANG;
    if (fault->cut != CUT_HALF || !stays)
        return body->bytes.len;
    return framing->stream ? body->marks[(body->mark_count - 1) / 2].end : body->bytes.len / 2;
}

void respond_body(const struct head *head, const struct body *body, bool chunked,
                  const struct fault *fault, const struct buf *repeat, struct reply *reply)
{
    static const struct fault healthy = {.name = "none"};
    fault = fault ? fault : &healthy;
    struct framing framing = framing_of(head, chunked, fault);
    bool stays_open = (fault->stream & STREAM_OPEN_AFTER_END) != 0;
    reply->end = fault->end;
    if ((framing.until_close || (stays_open && !framing.stream)) && fault->cut == CUT_NOTHING_OFF)
        reply->end = framing.until_close ? REPLY_CLOSE : REPLY_KEEP;
    reply_pause(reply, head->latency_ms + fault->late_ms);
    buf_add_text(&reply->bytes, fault->before ? fault->before : "");
    if (fault->cut != CUT_ALL)
        add_framed_head(head, body, &framing, fault, reply);
    size_t from = reply->bytes.len;
    bool bytewise = framing.stream && (fault->stream & STREAM_BYTES);
    add_pieces(reply, body, body_limit(body, &framing, fault), framing.chunked, bytewise);
    if (framing.chunked && fault->cut == CUT_NOTHING_OFF && !(stays_open && framing.stream))
        buf_add_text(&reply->bytes, "0\r\n\r\n");
    if (fault->cut == CUT_HALF && (fault->end == REPLY_CLOSE || fault->end == REPLY_RESET))
        cut_half(reply, from);
    if (fault->end == REPLY_REPEAT)
        add_repeat(reply, fault, repeat, &framing);
}

void respond_raw(const struct head *head, const struct fault *fault, struct reply *reply)
{
    reply_pause(reply, head->latency_ms + fault->late_ms);
    buf_add_text(&reply->bytes, fault->raw);
    reply->end = fault->end;
}

void gzip_bomb(struct buf *out)
{
    enum { PLAIN = 1 << 20, PACKED = 1 << 13 };
    static const unsigned char header[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
    buf_add(out, header, sizeof header);
    z_stream deflater = {0};
    unsigned char *plain = must_alloc(PLAIN);
    deflateInit2(&deflater, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
    deflater.next_in = plain;
    deflater.avail_in = PLAIN;
    deflater.next_out = (unsigned char *)buf_reserve(out, PACKED);
    deflater.avail_out = PACKED;
    deflate(&deflater, Z_FULL_FLUSH); // ends on a byte, and what follows needs nothing before it
    out->len += PACKED - deflater.avail_out;
    deflateEnd(&deflater);
    free(plain);
}
