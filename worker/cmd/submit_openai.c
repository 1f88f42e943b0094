// SPDX-License-Identifier: Apache-2.0
// Lines of OpenAI's batch API as jobs of kind summarize.
//
// Such a line is a whole chat: what is asked for stands in its messages. The system's (or
// developer's) words become the job's instructions, the user's words its document; the answer has
// the form of every summary, or of the line's own JSON Schema. Where that would not be the same
// question (tools, pictures, earlier answers, several choices), the line is refused by name.
#include <string.h>

#include "base/own.h"
#include "cmd/submit_parts.h"
#include "core/identity.h"

#define CHAT_URL "/v1/chat/completions"

// Members of `body`: as what they go on, refused where their value would change the question, or
// left out.
enum fate { TAKEN, PARAMETER, REFUSED, LEFT_OUT };

static const struct member {
    const char *name;
    enum fate fate;
    const char *parameter; // of summarize
} members[] = {
    {"messages", TAKEN, NULL},
    {"response_format", TAKEN, NULL},
    {"metadata", TAKEN, NULL},
    {"model", PARAMETER, "model"},
    {"max_tokens", PARAMETER, "max_output_tokens"},
    {"max_completion_tokens", PARAMETER, "max_output_tokens"},
    {"temperature", PARAMETER, "temperature"},
    {"reasoning_effort", PARAMETER, "reasoning_effort"},
    {"tools", REFUSED, NULL},
    {"tool_choice", REFUSED, NULL},
    {"functions", REFUSED, NULL},
    {"function_call", REFUSED, NULL},
    {"modalities", REFUSED, NULL},
    {"audio", REFUSED, NULL},
    {"logprobs", REFUSED, NULL},
    {"top_logprobs", REFUSED, NULL},
    {"prediction", REFUSED, NULL},
    {"web_search_options", REFUSED, NULL},
    {"search_parameters", REFUSED, NULL},
};

static const struct member *find_member(const char *name)
{
    static const struct member other = {NULL, LEFT_OUT, NULL};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (strcmp(members[i].name, name) == 0)
            return &members[i];
    return &other;
}

// ------------------------------------------------------------------------------- messages

static bool refuse_part(struct buf *problem, size_t number, const char *what)
{
    buf_printf(problem, "body.messages[%zu] %s", number, what);
    return false;
}

// A content is a string, or an array of {"type": "text", "text"}.
static bool add_content(struct buf *out, const json_t *content, size_t number, struct buf *problem)
{
    if (json_is_string(content)) {
        buf_add(out, json_string_value(content), json_string_length(content));
        return true;
    }
    size_t i;
    json_t *part;
    json_array_foreach(content, i, part)
    {
        const json_t *text = json_object_get(part, "text");
        if (!json_is_string(text))
            return refuse_part(problem, number,
                               "has a part that is no text; only text can be summarised");
        buf_add_str(out, i > 0 ? "\n\n" : "");
        buf_add(out, json_string_value(text), json_string_length(text));
    }
    return json_array_size(content) > 0 || refuse_part(problem, number, "has no content");
}

static bool take_messages(const json_t *messages, struct buf *system, struct buf *user,
                          struct buf *problem)
{
    size_t i;
    json_t *message;
    json_array_foreach(messages, i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        bool is_system = role && (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
        if (!is_system && (!role || strcmp(role, "user") != 0))
            return refuse_part(problem, i,
                               "is neither the system's nor the user's: a conversation cannot be "
                               "summarised as a job");
        struct buf *out = is_system ? system : user;
        buf_add_str(out, out->len > 0 ? "\n\n" : "");
        if (!add_content(out, json_object_get(message, "content"), i, problem))
            return false;
    }
    if (user->len > 0)
        return true;
    buf_add_str(problem, "body.messages has no words of the user: there is nothing to summarise");
    return false;
}

// ------------------------------------------------------------------------------- parameters

static bool is_off(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static bool take_format(json_t *summarize, const json_t *format, struct buf *problem)
{
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!format || !type || strcmp(type, "text") == 0)
        return true;
    json_t *schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    if (strcmp(type, "json_schema") == 0 && json_is_object(schema)) {
        json_object_set(summarize, "output_schema", schema);
        return true;
    }
    buf_printf(problem, "body.response_format is \"%.40s\"; only text and json_schema are taken",
               type);
    return false;
}

static bool take_members(json_t *summarize, json_t *body, struct buf *left_out, struct buf *problem)
{
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        const struct member *member = find_member(name);
        if (member->fate == REFUSED && !is_off(value)) {
            buf_printf(problem, "body.%s is not supported by kind summarize", name);
            return false;
        }
        if (member->fate == PARAMETER && !json_is_null(value))
            json_object_set(summarize, member->parameter, value);
        if (strcmp(name, "n") == 0 && json_integer_value(value) > 1) {
            buf_add_str(problem, "body.n is more than 1: a job has one answer");
            return false;
        }
        if (member->fate == LEFT_OUT && !is_off(value) && strcmp(name, "n") != 0)
            buf_printf(left_out, "%s%s", left_out->len ? " " : "", name);
    }
    return true;
}

static json_t *labels_of_metadata(const json_t *body)
{
    json_t *labels = json_object(), *value, *metadata = json_object_get(body, "metadata");
    const char *name;
    json_object_foreach(metadata, name, value)
    {
        if (json_is_string(value))
            json_object_set(labels, name, value);
    }
    return labels;
}

// ------------------------------------------------------------------------------- the job

static bool check_line(const json_t *line, struct buf *problem)
{
    const char *url = json_string_value(json_object_get(line, "url"));
    const char *method = json_string_value(json_object_get(line, "method"));
    if (url && strcmp(url, CHAT_URL) != 0)
        buf_printf(problem, "url is \"%.100s\"; only " CHAT_URL " can be a job", url);
    else if (method && strcmp(method, "POST") != 0)
        buf_printf(problem, "method is \"%.20s\"; expected POST", method);
    else if (!json_is_string(json_object_get(line, "custom_id")))
        buf_add_str(problem, "custom_id is no string");
    else if (!json_is_array(json_object_get(json_object_get(line, "body"), "messages")))
        buf_add_str(problem, "body.messages is no array");
    else
        return true;
    return false;
}

static json_t *make_job(const json_t *line, json_t *summarize, const struct buf *system,
                        const struct buf *user)
{
    const char *custom_id = json_string_value(json_object_get(line, "custom_id"));
    char id[SPEC_NAME_BYTES + 1];
    if (identity_name_ok(custom_id, strlen(custom_id)))
        snprintf(id, sizeof(id), "%s", custom_id);
    else
        submit_job_name(id, custom_id, NULL);
    if (system->len > 0)
        json_object_set_new(summarize, "instructions", json_stringn(buf_str(system), system->len));
    json_t *labels = labels_of_metadata(json_object_get(line, "body"));
    return json_pack("{s:i, s:s, s:s, s:{s:o}, s:O, s:o}", "v", 1, "id", id, "kind", "summarize",
                     "document", "text", json_stringn(buf_str(user), user->len), "summarize",
                     summarize, "labels", labels);
}

json_t *submit_openai(const json_t *line, struct buf *left_out, struct buf *problem)
{
    json_t *body = json_object_get(line, "body"), *summarize = json_object(), *job = NULL;
    struct buf system OWN_BUF, user OWN_BUF;
    buf_init(&system, 0);
    buf_init(&user, 0);
    if (check_line(line, problem) &&
        take_messages(json_object_get(body, "messages"), &system, &user, problem) &&
        take_format(summarize, json_object_get(body, "response_format"), problem) &&
        take_members(summarize, body, left_out, problem))
        job = make_job(line, summarize, &system, &user);
    json_decref(summarize);
    return job;
}
