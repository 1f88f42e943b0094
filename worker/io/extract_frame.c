// SPDX-License-Identifier: Apache-2.0
// The frames between worker and child.
#include "io/extract_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/own.h"
#include "core/retry_after.h"
#include "core/text.h"
#include "core/visible.h"

static const char magic[4] = {'P', 'X', 'F', '1'};

// ------------------------------------------------------------------------------- prefix

static void put_number(char *out, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const char *from, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = bytes; i-- > 0;)
        number = number << 8 | (unsigned char)from[i];
    return number;
}

enum frame_state frame_read(const char *bytes, size_t len, size_t max_body_bytes, struct frame *out)
{
    size_t seen = len < sizeof(magic) ? len : sizeof(magic);
    if (memcmp(bytes, magic, seen) != 0)
        return FRAME_BAD;
    if (len < FRAME_PREFIX_BYTES)
        return FRAME_MORE;
    uint64_t head = get_number(bytes + 4, 4), body = get_number(bytes + 8, 8);
    if (head > FRAME_HEAD_BYTES || body > max_body_bytes || len - FRAME_PREFIX_BYTES > head + body)
        return FRAME_BAD;
    if (len - FRAME_PREFIX_BYTES < head + body)
        return FRAME_MORE;
    out->head = bytes + FRAME_PREFIX_BYTES;
    out->head_len = (size_t)head;
    out->body = out->head + head;
    out->body_len = (size_t)body;
    return FRAME_WHOLE;
}

// Takes the head.
static void add_frame(struct buf *out, json_t *head, size_t body_len)
{
    char prefix[FRAME_PREFIX_BYTES];
    OWN_FREE char *text = json_dumps(head, JSON_COMPACT);
    json_decref(head);
    size_t len = text ? strlen(text) : 0;
    memcpy(prefix, magic, sizeof(magic));
    put_number(prefix + 4, len, 4);
    put_number(prefix + 8, body_len, 8);
    buf_add(out, prefix, sizeof(prefix));
    buf_add(out, text ? text : "", len);
}

// ------------------------------------------------------------------------------- members

// Names and paths need not be UTF-8: what is not, is replaced.
static json_t *text_json(const char *text)
{
    if (!text)
        return json_null();
    struct buf clean OWN_BUF;
    buf_init(&clean, 0);
    text_clean(&clean, text, strlen(text), NULL);
    return json_string(buf_str(&clean));
}

static json_t *list_json(char *const *list)
{
    json_t *array = json_array();
    for (; list && *list; list++)
        json_array_append_new(array, text_json(*list));
    return array;
}

// Cleaned again: the other side may be a child that a document has taken over. NULL: no text.
static char *clean_copy(const json_t *string)
{
    const char *text = json_string_value(string);
    if (!text)
        return NULL;
    struct buf clean;
    buf_init(&clean, 0);
    text_clean(&clean, text, json_string_length(string), NULL);
    return buf_take(&clean);
}

static char *get_text(const json_t *head, const char *name)
{
    return clean_copy(json_object_get(head, name));
}

static char **get_list(const json_t *array)
{
    size_t count = json_array_size(array);
    char **list = own_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        list[i] = own_strdup(text ? text : "");
    }
    return list;
}

static void list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

// ------------------------------------------------------------------------------- questions

static json_t *commands_json(const struct config_command *commands)
{
    json_t *object = json_object();
    for (; commands && commands->name; commands++)
        json_object_set_new(object, commands->name, list_json(commands->argv));
    return object;
}

static struct config_command *get_commands(json_t *object)
{
    struct config_command *commands =
        own_array(json_object_size(object) + 1, sizeof(struct config_command));
    const char *name;
    json_t *argv;
    size_t count = 0;
    json_object_foreach(object, name, argv)
    {
        commands[count].name = own_strdup(name);
        commands[count++].argv = get_list(argv);
    }
    return commands;
}

void frame_add_ask(struct buf *out, const struct extract_ask *ask, size_t body_len)
{
    json_t *head = json_object();
    json_object_set_new(head, "media_type", text_json(ask->media_type));
    json_object_set_new(head, "name", text_json(ask->name));
    json_object_set_new(head, "url", text_json(ask->url));
    json_object_set_new(head, "sha256", text_json(ask->sha256));
    json_object_set_new(head, "pdf_version", text_json(ask->pdf_version));
    json_object_set_new(head, "scratch", text_json(ask->scratch));
    json_object_set_new(head, "ca", text_json(ask->ca));
    json_object_set_new(head, "allow", list_json(ask->allow));
    json_object_set_new(head, "hosts", list_json(ask->hosts));
    json_object_set_new(head, "extractors", commands_json(ask->extractors));
    json_object_set_new(head, "max_bytes", json_integer(ask->max_bytes));
    json_object_set_new(head, "max_text_bytes", json_integer(ask->max_text_bytes));
    json_object_set_new(head, "memory_bytes", json_integer(ask->memory_bytes));
    json_object_set_new(head, "timeout_ms", json_integer(ask->timeout_ms));
    json_object_set_new(head, "allow_loopback", json_boolean(ask->allow_loopback));
    add_frame(out, head, body_len);
}

bool frame_parse_ask(const struct frame *frame, struct extract_ask *out)
{
    *out = (struct extract_ask){0};
    json_t *head = json_loadb(frame->head, frame->head_len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(head)) {
        json_decref(head);
        return false;
    }
    out->media_type = get_text(head, "media_type");
    out->name = get_text(head, "name");
    out->url = get_text(head, "url");
    out->sha256 = get_text(head, "sha256");
    out->pdf_version = get_text(head, "pdf_version");
    out->scratch = get_text(head, "scratch");
    out->ca = get_text(head, "ca");
    out->allow = get_list(json_object_get(head, "allow"));
    out->hosts = get_list(json_object_get(head, "hosts"));
    out->extractors = get_commands(json_object_get(head, "extractors"));
    out->max_bytes = json_integer_value(json_object_get(head, "max_bytes"));
    out->max_text_bytes = json_integer_value(json_object_get(head, "max_text_bytes"));
    out->memory_bytes = json_integer_value(json_object_get(head, "memory_bytes"));
    out->timeout_ms = json_integer_value(json_object_get(head, "timeout_ms"));
    out->allow_loopback = json_is_true(json_object_get(head, "allow_loopback"));
    json_decref(head);
    return out->max_bytes > 0 && out->max_text_bytes > 0 && out->memory_bytes > 0 &&
           out->timeout_ms > 0;
}

void extract_ask_deinit(struct extract_ask *ask)
{
    free(ask->media_type);
    free(ask->name);
    free(ask->url);
    free(ask->sha256);
    free(ask->pdf_version);
    free(ask->scratch);
    free(ask->ca);
    list_free(ask->allow);
    list_free(ask->hosts);
    for (size_t i = 0; ask->extractors && ask->extractors[i].name; i++) {
        free(ask->extractors[i].name);
        list_free(ask->extractors[i].argv);
    }
    free(ask->extractors);
    *ask = (struct extract_ask){0};
}

// ------------------------------------------------------------------------------- answers

static json_t *failure_json(const struct failure *failure)
{
    json_t *object = json_object();
    json_object_set_new(object, "code", json_string(err_code_text(failure->code)));
    json_object_set_new(object, "number", json_integer(failure->code));
    json_object_set_new(object, "http_status", json_integer(failure->http_status));
    json_object_set_new(object, "retry_after_ms", json_integer(failure->retry_after_ms));
    json_object_set_new(object, "detail", text_json(failure->detail));
    json_object_set_new(object, "suggestion", text_json(failure->suggestion));
    return object;
}

void frame_add_answer(struct buf *out, const struct extract_answer *answer)
{
    json_t *head = json_object();
    json_t *warnings = json_array();
    bool failed = answer->failure.code != ERR_NONE;
    for (size_t i = 0; i < answer->warning_count; i++)
        json_array_append_new(warnings, text_json(answer->warnings[i]));
    json_object_set_new(head, "failure", failed ? failure_json(&answer->failure) : json_null());
    json_object_set_new(head, "pages", json_integer(answer->pages));
    json_object_set_new(head, "sha256", text_json(answer->sha256));
    json_object_set_new(head, "media_type", text_json(answer->media_type));
    json_object_set_new(head, "extractor", text_json(answer->extractor));
    json_object_set_new(head, "warnings", warnings);
    size_t body_len = failed ? 0 : answer->text.len;
    add_frame(out, head, body_len);
    buf_add(out, buf_str(&answer->text), body_len);
}

// The codes that a child may answer with: nothing that closes keys or costs attempts elsewhere.
static bool may_answer(enum err_code code)
{
    enum err_class class = err_class(code);
    return class == ERR_CLASS_INPUT || class == ERR_CLASS_TRANSIENT || code == ERR_HTTP_FATAL;
}

static bool get_failure(const json_t *object, struct failure *out)
{
    json_int_t number = json_integer_value(json_object_get(object, "number"));
    json_int_t status = json_integer_value(json_object_get(object, "http_status"));
    json_int_t wait_ms = json_integer_value(json_object_get(object, "retry_after_ms"));
    OWN_FREE char *detail = get_text(object, "detail");
    OWN_FREE char *suggestion = get_text(object, "suggestion");
    if (number <= ERR_NONE || number >= ERR_COUNT || status < 0 || status > 999 || !detail ||
        !detail[0] || !may_answer((enum err_code)number))
        return false;
    failure_set(out, (enum err_code)number, "%s", "");
    visible_line(out->detail, sizeof(out->detail), detail, strlen(detail));
    visible_line(out->suggestion, sizeof(out->suggestion), suggestion ? suggestion : "",
                 suggestion ? strlen(suggestion) : 0);
    out->http_status = (int)status;
    out->retry_after_ms = wait_ms < 0                    ? -1
                          : wait_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS
                                                         : wait_ms;
    return true;
}

static bool get_sha256(const json_t *head, char out[65])
{
    const char *hex = json_string_value(json_object_get(head, "sha256"));
    size_t len = hex ? strlen(hex) : 0;
    if (!hex || (len != 0 && (len != 64 || strspn(hex, "0123456789abcdef") != 64)))
        return false;
    memcpy(out, hex, len + 1);
    return true;
}

static bool get_answer(const json_t *head, const struct frame *frame, struct extract_answer *out)
{
    const json_t *failure = json_object_get(head, "failure");
    const json_t *warnings = json_object_get(head, "warnings");
    json_int_t pages = json_integer_value(json_object_get(head, "pages"));
    if (!get_sha256(head, out->sha256) || pages < 0 || pages > INT32_MAX)
        return false;
    out->pages = (int32_t)pages;
    out->media_type = get_text(head, "media_type");
    out->extractor = get_text(head, "extractor");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        OWN_FREE char *warning = clean_copy(json_array_get(warnings, i));
        extract_warn(out, warning ? warning : "");
    }
    if (json_is_object(failure))
        return get_failure(failure, &out->failure);
    return json_is_null(failure) && out->media_type && out->extractor && out->sha256[0] &&
           frame->body_len > 0 && text_is_clean(frame->body, frame->body_len);
}

bool frame_parse_answer(const struct frame *frame, struct extract_answer *out)
{
    json_t *head = json_loadb(frame->head, frame->head_len, JSON_REJECT_DUPLICATES, NULL);
    bool fine = json_is_object(head) && get_answer(head, frame, out);
    json_decref(head);
    return fine;
}
