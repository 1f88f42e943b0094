// SPDX-License-Identifier: Apache-2.0
// Takes the fields that matter out of a chat completion request.
#include "request.h"

#include "tokens.h"

#include <stdio.h>
#include <string.h>

static bool fail(struct request_fault *fault, const char *param, const char *message)
{
    fault->param = param;
    snprintf(fault->message, sizeof fault->message, "%s", message);
    return false;
}

static void add_text(struct chat_request *request, struct buf *into, const json_t *text)
{
    const char *bytes = json_string_value(text);
    size_t len = json_string_length(text);
    request->quarters += tokens_quarters(bytes, len);
    if (!into)
        return;
    if (into->len > 0)
        buf_add(into, "\n", 1);
    buf_add(into, bytes, len);
}

static bool read_content(struct chat_request *request, struct buf *into, const json_t *content)
{
    if (json_is_string(content)) {
        add_text(request, into, content);
        return true;
    }
    if (!content || json_is_null(content))
        return true;
    if (!json_is_array(content))
        return false;
    size_t i;
    json_t *part;
    json_array_foreach(content, i, part)
    {
        json_t *text = json_object_get(part, "text");
        if (json_is_string(text))
            add_text(request, into, text);
    }
    return true;
}

static bool read_message(struct chat_request *request, const json_t *message,
                         struct request_fault *fault)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    if (!role)
        return fail(fault, "messages", "Missing required parameter: 'messages[].role'.");
    struct buf *into = NULL;
    if (strcmp(role, "user") == 0)
        into = &request->user;
    else if (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0)
        into = &request->system;
    else if (strcmp(role, "assistant") != 0 && strcmp(role, "tool") != 0)
        return fail(fault, "messages", "Invalid value for 'messages[].role'.");
    request->quarters += 16; // four tokens around each message
    if (!read_content(request, into, json_object_get(message, "content")))
        return fail(fault, "messages", "Invalid type for 'messages[].content'.");
    return true;
}

static bool read_messages(struct chat_request *request, struct request_fault *fault)
{
    const json_t *messages = json_object_get(request->root, "messages");
    if (!json_is_array(messages))
        return fail(fault, "messages", "Missing required parameter: 'messages'.");
    if (json_array_size(messages) == 0)
        return fail(fault, "messages", "Invalid 'messages': empty array.");
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message)
    {
        if (!read_message(request, message, fault))
            return false;
    }
    return true;
}

static bool read_format(struct chat_request *request, struct request_fault *fault)
{
    request->format = FORMAT_TEXT;
    request->schema = NULL;
    const json_t *format = json_object_get(request->root, "response_format");
    if (!format || json_is_null(format))
        return true;
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!type)
        return fail(fault, "response_format",
                    "Missing required parameter: 'response_format.type'.");
    if (strcmp(type, "json_object") == 0) {
        request->format = FORMAT_OBJECT;
        request->schema = json_object_get(format, "schema");
    } else if (strcmp(type, "json_schema") == 0) {
        request->format = FORMAT_SCHEMA;
        request->schema = json_object_get(json_object_get(format, "json_schema"), "schema");
        if (!json_is_object(request->schema))
            return fail(fault, "response_format",
                        "Missing required parameter: 'response_format.json_schema.schema'.");
    } else if (strcmp(type, "text") != 0) {
        return fail(fault, "response_format", "Invalid value for 'response_format.type'.");
    }
    return true;
}

static bool read_limit(struct chat_request *request, const char *name, struct request_fault *fault)
{
    const json_t *limit = json_object_get(request->root, name);
    if (!limit || json_is_null(limit))
        return true;
    if (!json_is_integer(limit) || json_integer_value(limit) < 1)
        return fail(fault, name, "Invalid value: expected an integer of at least 1.");
    request->has_limit = true;
    request->limit_tokens = (uint64_t)json_integer_value(limit);
    return true;
}

static bool is_set(const json_t *value)
{
    return json_is_string(value) && strcmp(json_string_value(value), "auto") != 0;
}

// An effort beside a mode, or beside thinking that is switched off.
static bool has_reasoning_conflict(const json_t *root)
{
    if (!is_set(json_object_get(root, "reasoning_effort")))
        return false;
    const char *thinking =
        json_string_value(json_object_get(json_object_get(root, "thinking"), "type"));
    return is_set(json_object_get(root, "reasoning_mode")) ||
           (thinking && strcmp(thinking, "disabled") == 0);
}

bool request_read(struct chat_request *request, const char *body, size_t len,
                  struct request_fault *out_fault)
{
    request_release(request);
    json_error_t error;
    request->root = json_loadb(body, len, JSON_ALLOW_NUL, &error);
    if (!json_is_object(request->root)) {
        out_fault->param = NULL;
        snprintf(out_fault->message, sizeof out_fault->message,
                 "We could not parse the JSON body of your request (byte %d).", error.position);
        return false;
    }
    request->model = json_string_value(json_object_get(request->root, "model"));
    if (!request->model)
        return fail(out_fault, "model", "you must provide a model parameter");
    if (!read_messages(request, out_fault) || !read_format(request, out_fault))
        return false;
    const json_t *stream = json_object_get(request->root, "stream");
    if (stream && !json_is_boolean(stream) && !json_is_null(stream))
        return fail(out_fault, "stream", "Invalid type for 'stream': expected a boolean.");
    request->stream = json_is_true(stream);
    const json_t *options = json_object_get(request->root, "stream_options");
    if (json_is_object(options) && !request->stream)
        return fail(out_fault, "stream_options",
                    "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    request->include_usage = json_is_true(json_object_get(options, "include_usage"));
    request->has_limit = false;
    request->reasoning_conflict = has_reasoning_conflict(request->root);
    return read_limit(request, "max_tokens", out_fault) &&
           read_limit(request, "max_completion_tokens", out_fault);
}

void request_release(struct chat_request *request)
{
    json_decref(request->root);
    request->root = NULL;
    request->schema = NULL;
    request->quarters = 12; // three tokens before the answer
    buf_clear(&request->system);
    buf_clear(&request->user);
}

void request_free(struct chat_request *request)
{
    request_release(request);
    buf_free(&request->system);
    buf_free(&request->user);
}
