// SPDX-License-Identifier: Apache-2.0
// The reader: HTTP status, headers and body in; one answer or one failure out.
//
// What the body is, is decided at its first byte from status and content type, not from what was
// asked for: a server may answer a streamed request with plain JSON, and a proxy with a page of its
// own. Nothing of a foreign page is kept in a failure but its size and hash.
#include "provider/codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/own.h"
#include "core/retry_after.h"
#include "core/text.h"
#include "core/visible.h"

struct reader *reader_new(const struct config_model *model, bool stream)
{
    struct reader *reader = own_alloc(sizeof(*reader));
    *reader = (struct reader){.model = model, .stream = stream, .cost_reported_picousd = -1};
    reader->codec = codec_of(model->provider);
    CHECK(reader->codec);
    sse_init(&reader->sse, READER_LINE_BYTES, READER_EVENT_BYTES);
    buf_init(&reader->body, READER_ANSWER_BYTES);
    buf_init(&reader->content, READER_ANSWER_BYTES);
    buf_init(&reader->refusal, READER_ANSWER_BYTES);
    return reader;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    sse_deinit(&reader->sse);
    buf_deinit(&reader->body);
    buf_deinit(&reader->content);
    buf_deinit(&reader->refusal);
    free(reader);
}

void reader_fail(struct reader *reader, enum err_code code, bool doubtful, const char *format, ...)
{
    if (reader->failure.code != ERR_NONE)
        return;
    char detail[FAILURE_DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    failure_set(&reader->failure, code, "%s", detail);
    reader->failure.doubtful = doubtful;
    reader->failure.http_status = reader->status;
}

int64_t reader_content_events(const struct reader *reader)
{
    return reader->content_events;
}

// ------------------------------------------------------------------------- status and headers

void reader_status(struct reader *reader, int status)
{
    reader->status = status;
    reader->headers = (struct reader_headers){.count = 0};
    rate_words_init(&reader->headers.rate);
}

static void keep(char *out, size_t room, const char *value)
{
    visible_line(out, room, value, strlen(value));
}

void reader_header(struct reader *reader, const char *name, const char *value)
{
    struct reader_headers *headers = &reader->headers;
    if (++headers->count > READER_HEADERS) {
        reader_fail(reader, ERR_BAD_ANSWER, true, "the answer has more than %d headers",
                    READER_HEADERS);
        return;
    }
    if (strcasecmp(name, "content-type") == 0)
        keep(headers->content_type, sizeof(headers->content_type), value);
    else if (strcasecmp(name, "retry-after") == 0 && !headers->retry_after[0])
        keep(headers->retry_after, sizeof(headers->retry_after), value);
    else if (strcasecmp(name, "retry-after-ms") == 0 && !headers->retry_after_ms[0])
        keep(headers->retry_after_ms, sizeof(headers->retry_after_ms), value);
    else if (strcasecmp(name, "x-request-id") == 0 || strcasecmp(name, "request-id") == 0 ||
             strcasecmp(name, "x-generation-id") == 0)
        keep(headers->request_id, sizeof(headers->request_id), value);
    else if (strcasecmp(name, "x-should-retry") == 0) {
        headers->say_retry = strcasecmp(value, "true") == 0;
        headers->say_no_retry = strcasecmp(value, "false") == 0;
    } else {
        rate_words_header(&headers->rate, name, value);
    }
}

const struct rate_words *reader_rate(const struct reader *reader)
{
    return &reader->headers.rate;
}

// ---------------------------------------------------------------------------------- the body

// The media type without its parameters: whether it is, or ends in, `what`.
static bool type_is(const struct reader *reader, const char *what)
{
    const char *type = reader->headers.content_type;
    size_t len = strcspn(type, "; \t"), want = strlen(what);
    if (*what == '+')
        return len > want && strncasecmp(type + len - want, what, want) == 0;
    return len == want && strncasecmp(type, what, want) == 0;
}

// What status and content type alone decide.
static enum body_form form_by_headers(const struct reader *reader)
{
    if (reader->status != 200)
        return BODY_ERROR;
    return type_is(reader, "text/event-stream") ? BODY_EVENTS : BODY_UNKNOWN;
}

// The rest is decided with the first character that is not white space.
static enum body_form form_by_look(const struct reader *reader, char first)
{
    if (type_is(reader, "application/json") || type_is(reader, "+json"))
        return first == '<' ? BODY_FOREIGN : BODY_JSON;
    if (reader->headers.content_type[0] && !type_is(reader, "text/plain") &&
        !type_is(reader, "application/octet-stream"))
        return BODY_FOREIGN;
    if (first == '{' || first == '[')
        return BODY_JSON;
    return reader->stream && first != '<' ? BODY_EVENTS : BODY_FOREIGN;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The bytes of white space at the start: a server keeps a connection alive with empty lines before
// its JSON.
static size_t leading_white(const char *data, size_t len)
{
    size_t white = 0;
    while (white < len && is_white(data[white]))
        white++;
    return white;
}

static bool on_event(void *context, const struct sse_event *event)
{
    struct reader *reader = context;
    reader->codec->event(reader, event);
    return !reader->done && reader->failure.code == ERR_NONE;
}

static void push_events(struct reader *reader, const char *data, size_t len)
{
    if (reader->done) // what follows the end marker does not count
        return;
    switch (sse_push(&reader->sse, data, len, on_event, reader)) {
    case SSE_OK:
    case SSE_STOPPED:
        break;
    case SSE_LINE_TOO_LONG:
        reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "a line of the stream passed %d bytes",
                    READER_LINE_BYTES);
        break;
    case SSE_EVENT_TOO_LARGE:
        reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "an event of the stream passed %d bytes",
                    READER_EVENT_BYTES);
        break;
    }
    if (reader->body_bytes > READER_STREAM_BYTES)
        reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "the stream passed %d bytes",
                    READER_STREAM_BYTES);
}

static void push_json(struct reader *reader, const char *data, size_t len)
{
    if (!buf_add(&reader->body, data, len) || reader->body_bytes > READER_ANSWER_BYTES)
        reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "the answer passed %d bytes",
                    READER_ANSWER_BYTES);
    reader->content_events += leading_white(data, len) < len;
}

// An error's or a foreign body: its beginning is kept; one without end is given up.
static bool push_other(struct reader *reader, const char *data, size_t len)
{
    size_t room = READER_ERROR_BYTES - reader->body.len;
    buf_add(&reader->body, data, len < room ? len : room);
    return reader->body_bytes <= READER_ANSWER_BYTES;
}

static enum reader_state state_of(const struct reader *reader)
{
    if (reader->failure.code != ERR_NONE)
        return READER_BAD;
    if (reader->form != BODY_EVENTS)
        return READER_MORE;
    if (reader->done)
        return READER_COMPLETE;
    return reader->finish_reason[0] ? READER_FINISHED : READER_MORE;
}

enum reader_state reader_push(struct reader *reader, const char *data, size_t len)
{
    if (reader->failure.code != ERR_NONE || len == 0)
        return state_of(reader);
    reader->body_bytes += len;
    if (reader->form == BODY_UNKNOWN)
        reader->form = form_by_headers(reader);
    if (reader->form == BODY_UNKNOWN) {
        size_t white = leading_white(data, len);
        data += white;
        len -= white;
        if (len)
            reader->form = form_by_look(reader, *data);
    }
    switch (reader->form) {
    case BODY_EVENTS:
        push_events(reader, data, len);
        break;
    case BODY_JSON:
        push_json(reader, data, len);
        break;
    case BODY_UNKNOWN: // white space only, so far
        if (reader->body_bytes > READER_ANSWER_BYTES)
            reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "the answer is endless white space");
        break;
    case BODY_ERROR:
    case BODY_FOREIGN:
        if (!push_other(reader, data, len))
            return READER_BAD;
    }
    return state_of(reader);
}

// ----------------------------------------------------------------------------------- the end

struct finish {
    const char *reason;
    enum err_code code;
    const char *words;
};

static const struct finish finishes[] = {
#define FINISH(reason, code, words) {reason, ERR_##code, words},
#include "provider/finish_reasons.def"
#undef FINISH
};

// A whole answer: what its finish reason means, and whether it says anything.
static void judge_whole(struct reader *reader, struct failure *out)
{
    const struct finish *finish = NULL;
    for (size_t i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++)
        if (strcmp(reader->finish_reason, finishes[i].reason) == 0)
            finish = &finishes[i];
    if (!finish)
        failure_set(out, ERR_ANSWER_CUT, "the answer ended with the unknown finish reason %s",
                    reader->finish_reason);
    else if (finish->code != ERR_NONE)
        failure_set(out, finish->code, "%s", finish->words);
    else if (reader->refusal.len)
        failure_set(out, ERR_REFUSAL, "the model declined");
    else if (reader->tool_calls)
        failure_set(out, ERR_NOT_JSON, "the answer is a tool call, and no tool was offered");
    else if (!reader->content.len)
        failure_set(out, ERR_NOT_JSON, "the answer is empty");
    else
        return;
    out->http_status = reader->status;
    out->doubtful = out->code == ERR_ANSWER_CUT && !reader->usage.known;
}

// Under 200, and not whole.
static void judge_cut(const struct reader *reader, const struct failure *transport,
                      struct failure *out)
{
    if (transport) {
        *out = *transport;
    } else if (reader->form == BODY_EVENTS || type_is(reader, "text/event-stream")) {
        const char *missing = reader->done ? "a finish reason" : "a finish reason and end marker";
        failure_set(out, ERR_ANSWER_CUT, "the stream ended after %zu bytes of content without %s",
                    reader->content.len, missing);
    } else if (reader->form == BODY_JSON) {
        failure_set(out, ERR_BAD_ANSWER, "the answer of %zu bytes is not a whole chat completion",
                    reader->body_bytes);
    } else if (reader->form == BODY_FOREIGN) {
        char hash[65];
        text_sha256_hex(buf_str(&reader->body), reader->body.len, hash);
        failure_set(
            out, ERR_BAD_ANSWER, "%zu bytes of %s came in place of an answer (SHA-256 %.16s)",
            reader->body_bytes,
            reader->headers.content_type[0] ? reader->headers.content_type : "something", hash);
    } else {
        failure_set(out, ERR_BAD_ANSWER, "the answer has no body");
    }
    out->http_status = reader->status;
    out->doubtful = true;
}

// An event that only the missing empty line kept back counts if it is the end marker.
static void take_rest(struct reader *reader)
{
    struct sse_event rest;
    if (!reader->done && sse_rest(&reader->sse, &rest) && rest.data_len == 6 &&
        memcmp(rest.data, "[DONE]", 6) == 0)
        reader->done = true;
}

static bool is_whole(struct reader *reader, enum reader_end_cause cause)
{
    if (reader->form == BODY_JSON)
        return reader->codec->body(reader, buf_str(&reader->body), reader->body.len) &&
               reader->finish_reason[0];
    if (reader->form != BODY_EVENTS)
        return false;
    if (cause == READER_END_EOF)
        take_rest(reader);
    return reader->finish_reason[0] && (reader->done || cause != READER_END_BROKEN);
}

static void judge_ok_status(struct reader *reader, enum reader_end_cause cause,
                            const struct failure *transport, struct failure *out)
{
    bool whole = reader->failure.code == ERR_NONE && is_whole(reader, cause);
    if (reader->failure.code != ERR_NONE)
        *out = reader->failure;
    else if (whole)
        judge_whole(reader, out);
    else
        judge_cut(reader, cause == READER_END_BROKEN ? transport : NULL, out);
}

// Any status but 200. An error status counts even where its body was cut.
static void judge_error_status(const struct reader *reader, struct failure *out)
{
    struct error_source source = {.model = reader->model,
                                  .http_status = reader->status,
                                  .content_type = reader->headers.content_type,
                                  .body = buf_str(&reader->body),
                                  .body_len = reader->body.len,
                                  .body_bytes = reader->body_bytes};
    reader->codec->error(out, &source);
    // 1xx, 2xx and what is no status at all: nobody knows what was done there.
    out->doubtful = reader->status < 300 || reader->status > 599;
}

static void judge(struct reader *reader, enum reader_end_cause cause,
                  const struct failure *transport, struct failure *out)
{
    failure_set(out, ERR_NONE, "%s", "");
    if (reader->status == 0) {
        failure_set(out, ERR_CONNECTION_LOST, "the connection ended without an answer");
        out->doubtful = true;
        if (transport)
            *out = *transport;
    } else if (reader->status == 200) {
        judge_ok_status(reader, cause, transport, out);
    } else {
        judge_error_status(reader, out);
    }
}

// What the headers say about another try; the body's own word stays where they say nothing.
static void add_retry_words(const struct reader *reader, int64_t unix_now_ms, struct failure *out)
{
    const struct reader_headers *headers = &reader->headers;
    if (out->code == ERR_NONE)
        return;
    int64_t after_ms = retry_after_ms(headers->retry_after, headers->retry_after_ms, unix_now_ms);
    if (after_ms >= 0)
        out->retry_after_ms = after_ms;
    out->say_retry = headers->say_retry;
    out->say_no_retry = headers->say_no_retry;
}

// The content as valid UTF-8, in one piece.
static void take_content(struct reader *reader, struct model_answer *out)
{
    struct buf clean;
    buf_init(&clean, 0);
    const char *text = buf_str(&reader->content);
    size_t len = reader->content.len, kept = 0;
    for (size_t at = 0; at < len;) {
        size_t bytes;
        bool broken = visible_decode(text + at, len - at, &bytes) == 0xFFFD && bytes == 1;
        if (broken) {
            buf_add(&clean, text + kept, at - kept);
            buf_add_str(&clean, "\xef\xbf\xbd");
            kept = at + 1;
        }
        at += bytes;
    }
    buf_add(&clean, text + kept, len - kept);
    out->content_len = clean.len;
    out->content = buf_take(&clean);
}

static bool is_other_model(const struct reader *reader)
{
    const char *asked = reader->model->served_name;
    return reader->response_model[0] &&
           strncasecmp(reader->response_model, asked, strlen(asked)) != 0;
}

// Of a plain answer that is not whole, the body: more is not known. A whole error is none.
static size_t bytes_seen(const struct reader *reader)
{
    size_t seen = reader->content.len + reader->refusal.len + reader->reasoning_bytes;
    bool refused = reader->failure.code != ERR_NONE && !reader->failure.doubtful;
    return seen == 0 && reader->form == BODY_JSON && !refused ? reader->body.len : seen;
}

// Nothing asked or nothing said cannot be, where something was said.
static void doubt_zeros(struct reader *reader)
{
    struct usage *usage = &reader->usage;
    if (!usage->known || !bytes_seen(reader) || (usage->input_tokens && usage->output_tokens))
        return;
    *usage = (struct usage){.known = false};
    reader->usage_alarm = true;
}

void reader_end(struct reader *reader, enum reader_end_cause cause, const struct failure *transport,
                int64_t unix_now_ms, struct model_answer *out)
{
    *out = (struct model_answer){.http_status = reader->status};
    judge(reader, cause, transport, &out->failure);
    doubt_zeros(reader);
    add_retry_words(reader, unix_now_ms, &out->failure);
    take_content(reader, out);
    out->length_limited = out->failure.code == ERR_OUTPUT_LIMIT && reader->finish_reason[0];
    out->usage = reader->usage;
    out->usage_alarm = reader->usage_alarm;
    out->model_alarm = is_other_model(reader);
    out->cost_reported_picousd = reader->cost_reported_picousd;
    out->content_bytes_seen = bytes_seen(reader);
    const char *id = reader->headers.request_id[0] ? reader->headers.request_id : reader->answer_id;
    snprintf(out->request_id, sizeof(out->request_id), "%s", id);
    snprintf(out->response_model, sizeof(out->response_model), "%s", reader->response_model);
    snprintf(out->finish_reason, sizeof(out->finish_reason), "%s", reader->finish_reason);
}
