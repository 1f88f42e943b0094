// SPDX-License-Identifier: Apache-2.0
// Answers as chat.completion and chat.completion.chunk objects.
#include "stream.h"

#include "tokens.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_LINE_BYTES = 1 << 20, FILLER_BYTES = 16000 };

void body_mark(struct body *body, uint64_t wait_ms)
{
    if (body->mark_count == body->mark_cap) {
        body->mark_cap = body->mark_cap ? body->mark_cap * 2 : 32;
        body->marks = must_realloc(body->marks, body->mark_cap * sizeof *body->marks);
    }
    body->marks[body->mark_count++] = (struct body_mark){body->bytes.len, wait_ms};
}

void body_clear(struct body *body)
{
    buf_clear(&body->bytes);
    body->mark_count = 0;
}

void body_free(struct body *body)
{
    buf_free(&body->bytes);
    free(body->marks);
    *body = (struct body){0};
}

// --- usage

static uint64_t reported_completion(const struct completion *c)
{
    return c->usage.visible_tokens + (c->reasoning_beside ? 0 : c->usage.reasoning_tokens);
}

static uint64_t total(const struct completion *c)
{
    return c->usage.prompt_tokens + c->usage.visible_tokens + c->usage.reasoning_tokens;
}

// A fault's usage: @p, @c, @t and @r are the true prompt, completion, total and reasoning tokens.
static void add_template(const struct completion *c, const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text != '@' || !strchr("pctr", text[1])) {
            buf_add(out, text, 1);
            continue;
        }
        text++;
        buf_add_number(out, *text == 'p'   ? c->usage.prompt_tokens
                            : *text == 'c' ? reported_completion(c)
                            : *text == 't' ? total(c)
                                           : c->usage.reasoning_tokens);
    }
}

static void add_usage(const struct completion *c, struct buf *out)
{
    if (c->fault->usage) {
        add_template(c, c->fault->usage, out);
        return;
    }
    buf_add_text(out, "{\"prompt_tokens\":");
    buf_add_number(out, c->usage.prompt_tokens);
    buf_add_text(out, ",\"completion_tokens\":");
    buf_add_number(out, reported_completion(c));
    buf_add_text(out, ",\"total_tokens\":");
    buf_add_number(out, total(c));
    buf_add_text(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    buf_add_number(out, c->usage.cached_tokens);
    buf_add_text(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
    buf_add_number(out, c->usage.reasoning_tokens);
    buf_add_text(out, "}}");
}

static bool has_usage(const struct completion *c)
{
    return !c->fault->usage || *c->fault->usage;
}

// --- parts of both forms

static void add_lead(const struct completion *c, const char *object, struct buf *out)
{
    buf_add_text(out, "{\"id\":\"chatcmpl-sim-");
    buf_add_number(out, c->number);
    buf_add_text(out, "\",\"object\":\"");
    buf_add_text(out, object);
    buf_add_text(out, "\",\"created\":");
    buf_add_number(out, c->created);
    buf_add_text(out, ",\"model\":\"");
    buf_add_text(out, c->model);
    buf_add_text(out, "\",\"system_fingerprint\":\"fp_modelsim\"");
}

static const char reasoning_words[] = "Let me look at what the document says before I answer.";

static void add_text(struct buf *out, const char *name, const char *text, size_t len)
{
    buf_add_text(out, "\"");
    buf_add_text(out, name);
    buf_add_text(out, "\":\"");
    buf_add_json(out, text, len);
    buf_add_text(out, "\"");
}

// --- plain

static void add_message(const struct completion *c, unsigned index, struct buf *out)
{
    const struct fault *fault = c->fault;
    buf_add_format(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",", index);
    if (fault->reasoning_text) {
        add_text(out, "reasoning_content", reasoning_words, sizeof reasoning_words - 1);
        buf_add_text(out, ",");
    }
    if (fault->content || fault->refusal)
        buf_add_format(out, "\"content\":%s", fault->content ? fault->content : "null");
    else
        add_text(out, "content", c->content, c->content_len);
    buf_add_text(out, ",");
    if (fault->refusal)
        add_text(out, "refusal", fault->refusal, strlen(fault->refusal));
    else
        buf_add_text(out, "\"refusal\":null");
    buf_add_text(out, "},\"logprobs\":null,\"finish_reason\":");
    buf_add_text(out, c->finish);
    buf_add_text(out, "}");
}

void completion_plain(const struct completion *completion, struct body *out)
{
    const struct completion *c = completion;
    struct buf *bytes = &out->bytes;
    if (c->fault->blank_lines)
        buf_add_text(bytes, "\n\n\n");
    add_lead(c, "chat.completion", bytes);
    if (c->fault->choices != CHOICES_MISSING) {
        buf_add_text(bytes, ",\"choices\":[");
        if (c->fault->choices != CHOICES_EMPTY)
            add_message(c, 0, bytes);
        if (c->fault->choices == CHOICES_TWO) {
            buf_add_text(bytes, ",");
            add_message(c, 1, bytes);
        }
        buf_add_text(bytes, "]");
    }
    if (has_usage(c)) {
        buf_add_text(bytes, ",\"usage\":");
        add_usage(c, bytes);
    }
    buf_add_text(bytes, "}\n");
    body_mark(out, 0);
}

// --- streamed

struct stream {
    const struct completion *c;
    struct body *out;
    const char *eol;
    uint64_t written_tokens; // so far
    uint64_t written_ms;     // time that these took
};

static bool bends(const struct stream *s, unsigned bit)
{
    return (s->c->fault->stream & bit) != 0;
}

static void end_event(struct stream *s, uint64_t wait_ms)
{
    buf_add_text(&s->out->bytes, s->eol);
    buf_add_text(&s->out->bytes, s->eol);
    body_mark(s->out, wait_ms);
}

static void begin_event(struct stream *s)
{
    struct buf *bytes = &s->out->bytes;
    if (bends(s, STREAM_COMMENTS)) {
        buf_add_text(bytes, ": PROCESSING");
        end_event(s, 0);
    }
    if (bends(s, STREAM_NAMED))
        buf_add_format(bytes, "event: message%sid: %zu%sretry: 1000%s", s->eol, s->out->mark_count,
                       s->eol, s->eol);
    buf_add_text(bytes, "data: ");
}

// The time that `tokens` more take, counted from the beginning so that no rounding adds up.
static uint64_t pace(struct stream *s, uint64_t tokens)
{
    if (s->c->tokens_per_second == 0)
        return 0;
    s->written_tokens += tokens;
    uint64_t due_ms = s->written_tokens * 1000 / s->c->tokens_per_second;
    uint64_t wait_ms = due_ms - s->written_ms;
    s->written_ms = due_ms;
    return wait_ms;
}

static void add_choice(struct stream *s, unsigned index, const char *name, const char *text,
                       size_t len, const char *finish)
{
    struct buf *bytes = &s->out->bytes;
    buf_add_text(bytes, index ? ",{\"index\":1,\"delta\":{" : "{\"index\":0,\"delta\":{");
    if (name && !text)
        buf_add_text(bytes, name); // written out
    else if (name)
        add_text(bytes, name, text, len);
    buf_add_text(bytes, "},\"finish_reason\":");
    buf_add_text(bytes, finish);
    buf_add_text(bytes, "}");
}

static void add_chunk(struct stream *s, const char *name, const char *text, size_t len,
                      const char *finish, uint64_t wait_ms)
{
    struct buf *bytes = &s->out->bytes;
    begin_event(s);
    add_lead(s->c, "chat.completion.chunk", bytes);
    if (s->c->fault->choices != CHOICES_MISSING) {
        buf_add_text(bytes, ",\"choices\":[");
        if (s->c->fault->choices != CHOICES_EMPTY)
            add_choice(s, 0, name, text, len, finish);
        if (s->c->fault->choices == CHOICES_TWO)
            add_choice(s, 1, name, text, len, finish);
        buf_add_text(bytes, "]");
    }
    if (bends(s, STREAM_USAGE_EACH)) {
        buf_add_text(bytes, ",\"usage\":");
        add_usage(s->c, bytes);
    } else if (s->c->include_usage) {
        buf_add_text(bytes, ",\"usage\":null");
    }
    buf_add_text(bytes, "}");
    end_event(s, wait_ms);
}

static void add_usage_chunk(struct stream *s)
{
    struct buf *bytes = &s->out->bytes;
    begin_event(s);
    add_lead(s->c, "chat.completion.chunk", bytes);
    buf_add_text(bytes, ",\"choices\":[],\"usage\":");
    add_usage(s->c, bytes);
    buf_add_text(bytes, "}");
    end_event(s, 0);
}

static void add_raw_event(struct stream *s, const char *text)
{
    begin_event(s);
    buf_add_text(&s->out->bytes, text);
    end_event(s, 0);
}

static void add_long_line(struct stream *s)
{
    struct buf *bytes = &s->out->bytes;
    begin_event(s);
    add_lead(s->c, "chat.completion.chunk", bytes);
    buf_add_text(bytes, ",\"choices\":[],\"obfuscation\":\"");
    memset(buf_reserve(bytes, LONG_LINE_BYTES), 'x', LONG_LINE_BYTES);
    bytes->len += LONG_LINE_BYTES;
    buf_add_text(bytes, "\"}");
    end_event(s, 0);
}

// A chunk's length in bytes: as many tokens as asked, and at least one character.
static size_t chunk_len(const struct completion *c, const char *text, size_t left)
{
    size_t len = tokens_prefix(text, left, c->factor_milli, c->chunk_tokens);
    if (len == 0)
        len = 1;
    while (len < left && ((unsigned char)text[len] & 0xC0) == 0x80)
        len++;
    return len;
}

// True when the stream breaks off in the middle with an error.
static bool breaks_off(const struct stream *s, size_t at)
{
    return bends(s, STREAM_ERROR | STREAM_ERROR_NO_DONE) && at * 2 >= s->c->content_len;
}

static void add_middle(struct stream *s, size_t at, bool *told)
{
    if (*told || at * 2 < s->c->content_len)
        return;
    *told = true;
    if (bends(s, STREAM_GARBAGE))
        add_raw_event(s, "{\"choices\":[{\"delta\":");
    if (bends(s, STREAM_LONG_LINE))
        add_long_line(s);
}

// All chunks with text. False when the stream broke off.
static bool add_content(struct stream *s)
{
    const struct completion *c = s->c;
    bool told = false;
    for (size_t at = 0; at < c->content_len;) {
        size_t len = chunk_len(c, c->content + at, c->content_len - at);
        bool last = at + len == c->content_len;
        uint64_t tokens =
            tokens_from_quarters(tokens_quarters(c->content + at, len), c->factor_milli);
        if (breaks_off(s, at))
            return false;
        add_middle(s, at, &told);
        add_chunk(s, "content", c->content + at, len,
                  last && bends(s, STREAM_FINISH_WITH_TEXT) ? c->finish : "null", pace(s, tokens));
        at += len;
    }
    return true;
}

static void add_text_chunks(struct stream *s, bool *out_broke)
{
    const struct fault *fault = s->c->fault;
    *out_broke = false;
    add_chunk(s,
              fault->content ? "\"role\":\"assistant\",\"content\":null"
                             : "\"role\":\"assistant\",\"content\":\"\"",
              NULL, 0, "null", pace(s, s->c->usage.reasoning_tokens));
    if (fault->reasoning_text)
        add_chunk(s, "reasoning_content", reasoning_words, sizeof reasoning_words - 1, "null", 0);
    if (fault->refusal)
        add_chunk(s, "refusal", fault->refusal, strlen(fault->refusal), "null", 0);
    else if (!fault->content)
        *out_broke = !add_content(s);
}

static void add_end(struct stream *s)
{
    if (!bends(s, STREAM_NO_FINISH | STREAM_FINISH_WITH_TEXT))
        add_chunk(s, NULL, NULL, 0, s->c->finish, 0);
    bool cut = bends(s, STREAM_NO_FINISH);
    if (s->c->include_usage && has_usage(s->c) && !cut) {
        add_usage_chunk(s);
        if (bends(s, STREAM_USAGE_TWICE))
            add_usage_chunk(s);
    }
    if (!bends(s, STREAM_NO_DONE))
        add_raw_event(s, "[DONE]");
    if (bends(s, STREAM_AFTER_DONE))
        add_chunk(s, "content", "and more", 8, "null", 0);
}

void completion_stream(const struct completion *completion, struct body *out)
{
    struct stream s = {.c = completion, .out = out, .eol = "\n"};
    if (bends(&s, STREAM_CR))
        s.eol = "\r";
    if (bends(&s, STREAM_CRLF))
        s.eol = "\r\n";
    if (bends(&s, STREAM_EMPTY))
        return;
    if (bends(&s, STREAM_BOM))
        buf_add_text(&out->bytes, "\xEF\xBB\xBF");
    bool broke;
    add_text_chunks(&s, &broke);
    if (!broke) {
        add_end(&s);
        return;
    }
    add_raw_event(&s, "{\"error\":{\"message\":\"The server had an error while processing your "
                      "request.\",\"type\":\"server_error\",\"param\":null,\"code\":"
                      "\"server_error\"}}");
    if (bends(&s, STREAM_ERROR))
        add_raw_event(&s, "[DONE]");
}

void completion_filler(const struct completion *completion, bool stream, struct buf *out)
{
    struct buf text = {0};
    memset(buf_reserve(&text, FILLER_BYTES), 'a', FILLER_BYTES);
    text.len = FILLER_BYTES;
    if (stream) {
        struct body body = {0};
        struct stream s = {.c = completion, .out = &body, .eol = "\n"};
        add_chunk(&s, "content", text.data, text.len, "null", 0);
        buf_add(out, body.bytes.data, body.bytes.len);
        body_free(&body);
    } else {
        buf_add(out, text.data, text.len);
    }
    buf_free(&text);
}
