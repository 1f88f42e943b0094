// SPDX-License-Identifier: Apache-2.0
// Chat Completions answers: the chunks of a stream and the one object of a plain answer.
//
// Both have the same outer shape, {id, model, choices: [{index, delta | message, finish_reason}],
// usage}, and are read by the same walk, without a tree: a stream has one chunk a token, and trees
// for them would cost more than everything else that a job does. Only what is rare (a usage,
// content in parts, errors) goes to jansson.
//
// Only choice 0 counts: one is asked for. A chunk without choices is no fault (usage, filter
// results).
#include "provider/codec.h"

#include <string.h>

#include <jansson.h>

#include "core/json_pull.h"
#include "core/json_scan.h"
#include "core/visible.h"

static const struct json_limits part_limits = {
    .bytes = READER_ANSWER_BYTES, .depth = 32, .nodes = 100000};

// What a walk over one object has found beside content.
struct found {
    bool error;   // an `error` member that says something
    bool choices; // a list of choices, possibly empty
    bool answer;  // choice 0 with a message or delta
};

static void too_large(struct reader *reader)
{
    reader_fail(reader, ERR_ANSWER_TOO_LARGE, true, "the answer is longer than %d bytes",
                READER_ANSWER_BYTES);
}

// A string into a small array, cleaned; other values are skipped.
static void pull_name(struct json_pull *pull, char *out, size_t room)
{
    struct buf text OWN_BUF;
    buf_init(&text, 4096);
    if (json_pull_string(pull, &text))
        visible_line(out, room, buf_str(&text), text.len);
    else if (!text.overflow)
        json_pull_skip(pull, NULL);
}

// Content as a list of parts: the text parts count, thinking does not.
static void add_parts(struct reader *reader, const struct json_span *raw)
{
    struct failure why;
    json_t *parts = json_load_checked(raw->data, raw->len, &part_limits, 0, &why);
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        bool counts = !type || strcmp(type, "text") == 0 || strcmp(type, "output_text") == 0;
        if (counts && json_is_string(text))
            buf_add(&reader->content, json_string_value(text), json_string_length(text));
        if (type && strcmp(type, "refusal") == 0 &&
            json_is_string(json_object_get(part, "refusal")))
            buf_add_str(&reader->refusal, json_string_value(json_object_get(part, "refusal")));
    }
    json_decref(parts);
}

static void pull_content(struct reader *reader, struct json_pull *pull, struct buf *out)
{
    size_t before = out->len;
    struct json_span raw;
    if (json_pull_peek(pull) == '"')
        json_pull_string(pull, out);
    else if (json_pull_skip(pull, &raw) && *raw.data == '[')
        add_parts(reader, &raw);
    if (out->overflow)
        too_large(reader);
    reader->content_events += out->len > before;
}

// Reasoning is counted, since it is paid for, and not kept.
static void pull_reasoning(struct reader *reader, struct json_pull *pull)
{
    struct json_span raw;
    if (!json_pull_skip(pull, &raw) || *raw.data != '"' || raw.len <= 2)
        return;
    reader->reasoning_bytes += raw.len - 2;
    reader->content_events++;
}

static void pull_tool_calls(struct reader *reader, struct json_pull *pull)
{
    struct json_span raw;
    if (!json_pull_skip(pull, &raw) || *raw.data != '[' || raw.len <= 2)
        return;
    reader->tool_calls = true;
    reader->content_events++;
}

static void pull_message(struct reader *reader, struct json_pull *pull)
{
    struct json_span name;
    while (json_pull_member(pull, &name)) {
        if (json_span_is(&name, "content"))
            pull_content(reader, pull, &reader->content);
        else if (json_span_is(&name, "refusal"))
            pull_content(reader, pull, &reader->refusal);
        else if (json_span_is(&name, "reasoning_content") || json_span_is(&name, "reasoning"))
            pull_reasoning(reader, pull);
        else if (json_span_is(&name, "tool_calls"))
            pull_tool_calls(reader, pull);
        else
            json_pull_skip(pull, NULL);
    }
}

// Whether a value says anything: not null, false, "" or an empty list or object.
static bool says_something(const struct json_span *raw)
{
    return raw->len > 2 && !json_span_is(raw, "null") && !json_span_is(raw, "false");
}

// One choice: its message is read after its index is known, which may come later.
static void pull_choice(struct reader *reader, struct json_pull *pull, size_t place,
                        struct found *found)
{
    struct json_span name, index = {NULL, 0}, message = {NULL, 0}, finish = {NULL, 0}, error;
    if (!json_pull_enter(pull, '{')) {
        json_pull_skip(pull, NULL);
        return;
    }
    while (json_pull_member(pull, &name)) {
        if (json_span_is(&name, "index"))
            json_pull_skip(pull, &index);
        else if (json_span_is(&name, "delta") || json_span_is(&name, "message"))
            json_pull_skip(pull, &message);
        else if (json_span_is(&name, "finish_reason"))
            json_pull_skip(pull, &finish);
        else if (json_span_is(&name, "error") && json_pull_skip(pull, &error))
            found->error |= says_something(&error);
        else
            json_pull_skip(pull, NULL);
    }
    bool ours = index.len && !json_span_is(&index, "null") ? json_span_is(&index, "0") : place == 0;
    if (pull->bad || !ours)
        return;
    struct json_pull inner = json_pull_of(message.data, message.len);
    if (json_pull_enter(&inner, '{')) {
        found->answer = true;
        pull_message(reader, &inner);
        pull->bad |= !json_pull_end(&inner);
    }
    if (finish.len > 2 && *finish.data == '"') {
        struct json_pull reason = json_pull_of(finish.data, finish.len);
        pull_name(&reason, reader->finish_reason, sizeof(reader->finish_reason));
    }
}

static void pull_choices(struct reader *reader, struct json_pull *pull, struct found *found)
{
    if (!json_pull_enter(pull, '[')) {
        json_pull_skip(pull, NULL);
        return;
    }
    found->choices = true;
    for (size_t place = 0; json_pull_item(pull); place++)
        pull_choice(reader, pull, place, found);
}

static void pull_usage(struct reader *reader, struct json_pull *pull)
{
    struct json_span raw;
    if (json_pull_skip(pull, &raw) && *raw.data == '{')
        openai_usage_read(reader, raw.data, raw.len);
}

// The outer object. False: it is not one, or broken.
static bool pull_answer(struct reader *reader, const char *data, size_t len, struct found *found)
{
    struct json_pull pull = json_pull_of(data, len);
    struct json_span name, raw;
    if (!json_pull_enter(&pull, '{'))
        return false;
    while (json_pull_member(&pull, &name)) {
        if (json_span_is(&name, "choices"))
            pull_choices(reader, &pull, found);
        else if (json_span_is(&name, "usage"))
            pull_usage(reader, &pull);
        else if (json_span_is(&name, "model") && !reader->response_model[0])
            pull_name(&pull, reader->response_model, sizeof(reader->response_model));
        else if (json_span_is(&name, "id") && !reader->answer_id[0])
            pull_name(&pull, reader->answer_id, sizeof(reader->answer_id));
        else if (json_span_is(&name, "error") && json_pull_skip(&pull, &raw))
            found->error |= says_something(&raw);
        else if (json_span_is(&name, "object") && json_pull_skip(&pull, &raw))
            found->error |= json_span_is(&raw, "\"error\"");
        else
            json_pull_skip(&pull, NULL);
    }
    return json_pull_end(&pull);
}

// An error inside an answer. It may be paid for when content came before it and no usage.
static void fail_with_error(struct reader *reader, const char *data, size_t len)
{
    if (reader->failure.code != ERR_NONE)
        return;
    struct error_source source = {.model = reader->model,
                                  .http_status = 200,
                                  .content_type = "application/json",
                                  .body = data,
                                  .body_len = len,
                                  .body_bytes = len};
    openai_error_read(&reader->failure, &source);
    bool begun =
        reader->content.len || reader->refusal.len || reader->reasoning_bytes || reader->tool_calls;
    reader->failure.doubtful =
        reader->failure.code == ERR_BAD_ANSWER || (begun && !reader->usage.known);
}

void openai_event(struct reader *reader, const struct sse_event *event)
{
    if (event->data_len >= 6 && memcmp(event->data, "[DONE]", 6) == 0) {
        reader->done = true;
        return;
    }
    struct found found = {.error = strcmp(event->name, "error") == 0};
    bool whole = pull_answer(reader, event->data, event->data_len, &found);
    bool list = event->data_len && event->data[0] == '['; // an array around an error
    if (found.error || list)
        fail_with_error(reader, event->data, event->data_len);
    else if (!whole)
        reader_fail(reader, ERR_BAD_ANSWER, true, "an event of the stream is not a JSON object");
    else if (!found.choices && reader->sse.dispatched == 1 && !reader->answer_id[0] &&
             !reader->response_model[0] && !reader->usage.known)
        fail_with_error(reader, event->data, event->data_len); // a flat error, {message, code}
}

bool openai_body(struct reader *reader, const char *data, size_t len)
{
    struct found found = {.error = false};
    bool whole = pull_answer(reader, data, len, &found);
    while (len && (*data == ' ' || *data == '\n' || *data == '\r' || *data == '\t')) {
        data++;
        len--;
    }
    struct json_pull list = json_pull_of(data, len); // an array around an error
    bool is_list = len && *data == '[' && json_pull_skip(&list, NULL) && json_pull_end(&list);
    if (found.error || is_list || (whole && !found.choices))
        fail_with_error(reader, data, len);
    return whole && found.answer;
}
