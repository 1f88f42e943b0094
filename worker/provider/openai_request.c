// SPDX-License-Identifier: Apache-2.0
// The body of POST /chat/completions.
//
// Only fields that compatible servers know: several refuse the rest with 400 or 422, or ignore it.
// Instructions go out in the role `system`, which all of them take. The constant part (system
// message) comes first, so that equal beginnings meet the provider's cache.
#include "provider/codec.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/json_write.h"

static bool conflict(struct failure *out, const char *suggestion, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool conflict(struct failure *out, const char *suggestion, const char *format, ...)
{
    char detail[FAILURE_DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    failure_set(out, ERR_PARAMETER_CONFLICT, "%s", detail);
    snprintf(out->suggestion, sizeof(out->suggestion), "%s", suggestion);
    return false;
}

// A plain decimal number from 0 to 2, which is sent as it stands.
static bool is_temperature(const char *text)
{
    if (*text < '0' || *text > '2' || strlen(text) > 20)
        return false;
    if (text[1] == '\0')
        return true;
    size_t fraction = strspn(text + 2, "0123456789");
    if (text[1] != '.' || fraction == 0 || text[2 + fraction] != '\0')
        return false;
    return *text < '2' || strspn(text + 2, "0") == fraction;
}

static bool check_effort(const struct model_order *order, struct failure *out)
{
    const char *name = order->model->name;
    if (order->reasoning_mode != REASONING_AUTO)
        return conflict(out, "Set either reasoning_mode or reasoning_effort, not both",
                        "reasoning_mode %s and reasoning_effort %s exclude each other",
                        reasoning_mode_text(order->reasoning_mode), order->reasoning_effort);
    if (order->model->reasoning == REASONING_EFFORT)
        return true;
    return conflict(out,
                    "Leave reasoning_effort out, or set `reasoning: {parameter: reasoning_effort}` "
                    "for this model in the configuration",
                    "%s takes no reasoning_effort", name);
}

static bool openai_check(const struct model_order *order, struct failure *out)
{
    if (order->reasoning_effort && !check_effort(order, out))
        return false;
    if (order->reasoning_mode != REASONING_AUTO && order->model->reasoning == REASONING_NONE)
        return conflict(out,
                        "Use reasoning_mode: auto, or set `reasoning` for this model in the "
                        "configuration",
                        "%s takes no reasoning_mode", order->model->name);
    if (order->temperature && !is_temperature(order->temperature))
        return conflict(out, "Set temperature to a number such as 0.2, or leave it out",
                        "temperature %.20s is not a number from 0 to 2", order->temperature);
    return true;
}

static void add_messages(struct buf *out, const struct prompt *prompt)
{
    buf_add_str(out, ",\"messages\":[");
    for (size_t i = 0; i < prompt->count; i++) {
        buf_printf(out, "%s{\"role\":\"%s\",\"content\":", i ? "," : "", prompt->messages[i].role);
        json_write_string(out, prompt->messages[i].content, prompt->messages[i].content_len);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_format(struct buf *out, const struct model_order *order)
{
    const struct prompt *prompt = order->prompt;
    switch (order->model->answer) {
    case ANSWER_TEXT:
        return;
    case ANSWER_JSON_OBJECT:
        buf_add_str(out, ",\"response_format\":{\"type\":\"json_object\"}");
        return;
    case ANSWER_JSON_SCHEMA:
        buf_printf(out,
                   ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
                   "\"%s\",\"strict\":%s,\"schema\":",
                   prompt->schema_name, prompt->schema_strict ? "true" : "false");
        buf_add_str(out, prompt->schema_json);
        buf_add_str(out, "}}");
    }
}

static void add_limit(struct buf *out, const struct model_order *order)
{
    int64_t limit = order->model->max_output_tokens;
    if (order->max_output_tokens > 0 && (limit <= 0 || order->max_output_tokens < limit))
        limit = order->max_output_tokens;
    if (limit > 0)
        buf_printf(out, ",\"%s\":%" PRId64,
                   order->model->limit_field == LIMIT_MAX_TOKENS ? "max_tokens"
                                                                 : "max_completion_tokens",
                   limit);
}

// What the model's map says for a mode, else what most servers understand.
static const char *effort_of_mode(const struct config_model *model, enum reasoning_mode mode)
{
    const char *name = reasoning_mode_text(mode);
    for (const struct config_pair *pair = model->effort_map; pair && pair->name; pair++)
        if (strcmp(pair->name, name) == 0)
            return pair->value;
    return mode == REASONING_ON ? "medium" : "none";
}

static void add_reasoning(struct buf *out, const struct model_order *order)
{
    if (order->reasoning_effort)
        json_write_member(out, "reasoning_effort", order->reasoning_effort);
    else if (order->reasoning_mode == REASONING_AUTO)
        return;
    else if (order->model->reasoning == REASONING_EFFORT)
        json_write_member(out, "reasoning_effort",
                          effort_of_mode(order->model, order->reasoning_mode));
    else
        json_write_member(out, "reasoning_mode", reasoning_mode_text(order->reasoning_mode));
}

static void openai_request(struct buf *out, const struct model_order *order)
{
    buf_add_str(out, "{\"model\":");
    json_write_string(out, order->model->served_name, strlen(order->model->served_name));
    add_messages(out, order->prompt);
    add_limit(out, order);
    add_format(out, order);
    add_reasoning(out, order);
    if (order->temperature)
        buf_printf(out, ",\"temperature\":%s", order->temperature);
    if (order->stream)
        buf_add_str(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    buf_add_char(out, '}');
}

const struct codec openai_codec = {
    .api = "openai",
    .path = "/chat/completions",
    .probe_path = "/models",
    .check = openai_check,
    .request = openai_request,
    .event = openai_event,
    .body = openai_body,
    .error = openai_error_read,
};
