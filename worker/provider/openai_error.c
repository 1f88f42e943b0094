// SPDX-License-Identifier: Apache-2.0
// Errors of Chat Completions and the servers that imitate it: from status and body to one failure.
//
// By code first, since texts lie (one server words its per-minute limit "INSUFFICIENT QUOTA"), then
// by text where only the text tells, then by status. The tables are the .def files beside this one.
// All words are the server's: bounded, cleaned, and of a body that is not JSON or plain text only
// size and hash are kept, since it may be anything.
#include "provider/codec.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "base/own.h"
#include "core/json_scan.h"
#include "core/retry_after.h"
#include "core/text.h"
#include "core/visible.h"

#define MAX_CODES 8

static const struct json_limits error_limits = {
    .bytes = READER_EVENT_BYTES, .depth = 32, .nodes = 20000};

struct code_row {
    const char *word;
    enum err_code code;
    int status;
};

static const struct code_row code_rows[] = {
#define CODE(word, code, status) {word, ERR_##code, status},
#include "provider/error_codes.def"
#undef CODE
};

struct text_row {
    const char *part;
    int status;
    enum err_code code;
    const char *suggestion;
};

static const struct text_row text_rows[] = {
#define TEXT(part, status, code, suggestion) {part, status, ERR_##code, suggestion},
#include "provider/error_texts.def"
#undef TEXT
};

struct status_row {
    int first, last;
    enum err_code code;
    const char *suggestion;
};

static const struct status_row status_rows[] = {
#define STATUS(first, last, code, suggestion) {first, last, ERR_##code, suggestion},
#include "provider/error_statuses.def"
#undef STATUS
};

// What a body says. The codes belong to the parsed body.
struct words {
    char message[FAILURE_DETAIL_BYTES];
    char suggestion[FAILURE_SUGGESTION_BYTES];
    const char *codes[MAX_CODES]; // the most telling first
    size_t code_count;
    int number; // a code that is an HTTP status; 0: none
    int64_t retry_after_ms;
};

// ------------------------------------------------------------------------------- reading words

static void set_line(char *out, size_t room, const json_t *string)
{
    if (!*out && json_is_string(string))
        visible_line(out, room, json_string_value(string), json_string_length(string));
}

// A code: a word, or an HTTP status as a number or in digits.
static void add_code(struct words *words, const json_t *value)
{
    const char *text = json_string_value(value);
    int64_t number = json_is_integer(value) ? json_integer_value(value) : 0;
    if (text && strlen(text) == 3 && strspn(text, "0123456789") == 3)
        number = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
    if (number >= 400 && number <= 599 && !words->number)
        words->number = (int)number;
    else if (text && *text && words->code_count < MAX_CODES)
        words->codes[words->code_count++] = text;
}

// details[] of Google, details.error_code of Anthropic.
static void read_details(struct words *words, const json_t *details)
{
    add_code(words, json_object_get(details, "error_code"));
    for (size_t i = 0; i < json_array_size(details); i++) {
        const char *delay =
            json_string_value(json_object_get(json_array_get(details, i), "retryDelay"));
        if (delay)
            words->retry_after_ms = go_duration_ms(delay);
    }
}

static void read_message(struct words *words, const json_t *message)
{
    set_line(words->message, sizeof(words->message), message);
    set_line(words->message, sizeof(words->message), json_object_get(message, "message"));
    set_line(words->message, sizeof(words->message), json_object_get(message, "detail"));
}

// One object that describes an error: message, codes, suggestion.
static void read_description(struct words *words, const json_t *error)
{
    read_message(words, json_object_get(error, "message"));
    set_line(words->suggestion, sizeof(words->suggestion), json_object_get(error, "suggestion"));
    add_code(words, json_object_get(json_object_get(error, "metadata"), "limit_source"));
    read_details(words, json_object_get(error, "details"));
    add_code(words, json_object_get(json_object_get(error, "innererror"), "code"));
    add_code(words, json_object_get(error, "code"));
    add_code(words, json_object_get(error, "type"));
    add_code(words, json_object_get(error, "status"));
}

// FastAPI: {"detail": "text"} or {"detail": [{"loc": [...], "msg": "text"}]}.
static void read_detail(struct words *words, const json_t *detail)
{
    set_line(words->message, sizeof(words->message), detail);
    const json_t *first = json_array_get(detail, 0);
    set_line(words->message, sizeof(words->message), json_object_get(first, "msg"));
}

static const json_t *error_object(const json_t *root)
{
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const json_t *error = json_object_get(root, "error");
    return error ? error : json_object_get(choice, "error");
}

static void read_words(struct words *words, const json_t *root)
{
    if (json_is_array(root))
        root = json_array_get(root, 0);
    const json_t *error = error_object(root);
    set_line(words->suggestion, sizeof(words->suggestion), json_object_get(root, "suggestion"));
    set_line(words->message, sizeof(words->message), error);
    if (json_is_object(error))
        read_description(words, error);
    read_detail(words, json_object_get(root, "detail"));
    // A flat one, {"code", "message"}; of an answer with choices only the error counts.
    if (!json_object_get(root, "choices"))
        read_description(words, root);
}

// "… Please try again in 6m0s." where no header says it.
static void read_wait(struct words *words)
{
    static const char phrase[] = "try again in ";
    const char *at = strcasestr(words->message, phrase);
    if (!at || words->retry_after_ms >= 0)
        return;
    char duration[32];
    at += sizeof(phrase) - 1;
    size_t len = strspn(at, "0123456789.hmnsu");
    while (len && at[len - 1] == '.')
        len--;
    if (len == 0 || len >= sizeof(duration))
        return;
    memcpy(duration, at, len);
    duration[len] = '\0';
    words->retry_after_ms = go_duration_ms(duration);
}

// ------------------------------------------------------------------------- bodies without words

static void describe_body(struct words *words, const struct error_source *source)
{
    const char *type = source->content_type;
    const char *text = source->body;
    size_t len = source->body_len;
    while (len && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    bool plain = (*type == '\0' || strncasecmp(type, "text/plain", 10) == 0) && *text != '<';
    if (words->code_count) {
        visible_line(words->message, sizeof(words->message), words->codes[0],
                     strlen(words->codes[0]));
    } else if (len == 0) {
        snprintf(words->message, sizeof(words->message), "no message");
    } else if (plain && *text != '{' && *text != '[') {
        visible_line(words->message, 300, text, len);
    } else {
        char hash[65];
        text_sha256_hex(source->body, source->body_len, hash);
        snprintf(words->message, sizeof(words->message), "%zu bytes of %s (SHA-256 %.16s)",
                 source->body_bytes, *type ? type : "an unknown type", hash);
    }
}

// ------------------------------------------------------------------------------ classification

static const struct code_row *row_of_codes(const struct words *words)
{
    const struct code_row *general = NULL;
    for (size_t i = 0; i < words->code_count; i++)
        for (size_t j = 0; j < sizeof(code_rows) / sizeof(code_rows[0]); j++) {
            const struct code_row *row = &code_rows[j];
            if (strcasecmp(words->codes[i], row->word) != 0)
                continue;
            if (row->code != ERR_HTTP_FATAL && row->code != ERR_HTTP_TRANSIENT)
                return row;
            general = general ? general : row;
        }
    return general;
}

static bool text_counts(int status)
{
    return status == 0 || status == 400 || status == 404 || status == 413 || status == 422 ||
           status == 500;
}

static const struct text_row *row_of_text(const struct words *words, int status)
{
    if (!text_counts(status))
        return NULL;
    for (size_t i = 0; i < sizeof(text_rows) / sizeof(text_rows[0]); i++) {
        const struct text_row *row = &text_rows[i];
        if ((row->status == 0 || row->status == status) && strcasestr(words->message, row->part))
            return row;
    }
    return NULL;
}

static const struct status_row *row_of_status(int status)
{
    const struct status_row *row = status_rows;
    while (status < row->first || status > row->last)
        row++;
    return row;
}

static void suggest(struct failure *out, const char *suggestion)
{
    snprintf(out->suggestion, sizeof(out->suggestion), "%s", suggestion);
}

// An error inside HTTP 200 gets the status that it would have had.
static int status_inside(const struct words *words, const struct code_row *row)
{
    if (words->number)
        return words->number;
    return row ? row->status : 0;
}

static void classify(struct failure *out, const struct error_source *source,
                     const struct words *words)
{
    const struct code_row *code = row_of_codes(words);
    bool inside = source->http_status == 200;
    bool specific = code && code->code != ERR_HTTP_FATAL && code->code != ERR_HTTP_TRANSIENT;
    int status = inside ? status_inside(words, code) : source->http_status;
    const struct text_row *text = specific ? NULL : row_of_text(words, status);
    if (status == 0)
        status = text ? 400 : 500;
    const struct status_row *by_status = row_of_status(status);
    out->code = specific ? code->code : text ? text->code : by_status->code;
    out->http_status = status;
    if (text)
        suggest(out, text->suggestion);
    else if (!specific)
        suggest(out, by_status->suggestion);
}

// ------------------------------------------------------------------- errors of somebody else

static bool names_have(const struct config_model *model, const char *word)
{
    return strcasestr(model->served_name, word) || strcasestr(model->name, word) ||
           strcasestr(model->provider->name, word) || strcasestr(model->provider->base_url, word);
}

// The text names a family of models to which the asked one does not belong.
static bool is_of_another_provider(const struct config_model *model, const char *message)
{
    static const char *const vendors[][2] = {
#define VENDOR(family, maker) {family, maker},
#include "provider/vendors.def"
#undef VENDOR
    };
    for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++)
        if (strcasestr(message, vendors[i][0]))
            return !names_have(model, vendors[i][0]) && !names_have(model, vendors[i][1]);
    return false;
}

// "grok-4.3" as people write it: "Grok 4.3".
static void display_name(char *out, size_t room, const char *name)
{
    size_t len = 0;
    for (bool begin = true; *name && len + 1 < room; name++) {
        char c = *name == '-' || *name == '_' ? ' ' : *name;
        out[len++] = begin && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        begin = c == ' ' || c == '/';
    }
    out[len] = '\0';
}

static void suggest_other_provider(struct failure *out, const struct config_model *model)
{
    char name[120];
    display_name(name, sizeof(name), model->served_name);
    snprintf(out->suggestion, sizeof(out->suggestion),
             "This error is from a different provider. Please check your model name. For %s, the "
             "max output is %" PRId64 " tokens.",
             name, model->max_output_tokens);
}

static bool may_be_foreign(enum err_code code)
{
    return code == ERR_OUTPUT_LIMIT || code == ERR_CONTEXT_LENGTH || code == ERR_PARAMETER_CONFLICT;
}

// ------------------------------------------------------------------------------------- public

void openai_error_read(struct failure *out, const struct error_source *source)
{
    struct failure why;
    struct words words = {.code_count = 0, .retry_after_ms = -1};
    char *copy OWN_FREE = own_strndup(source->body, source->body_len);
    size_t len = source->body_len;
    json_scan_mend_surrogates(copy, &len);
    json_t *root = json_load_checked(copy, len, &error_limits, 0, &why);
    read_words(&words, root);
    bool silent = !words.message[0] && !words.code_count && !words.number;
    if (!words.message[0])
        describe_body(&words, source);
    read_wait(&words);
    failure_set(out, ERR_BAD_ANSWER, "%s", words.message);
    out->http_status = source->http_status;
    if (!silent || source->http_status != 200)
        classify(out, source, &words);
    if (words.suggestion[0])
        suggest(out, words.suggestion);
    else if (may_be_foreign(out->code) && is_of_another_provider(source->model, words.message))
        suggest_other_provider(out, source->model);
    out->retry_after_ms =
        words.retry_after_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : words.retry_after_ms;
    json_decref(root);
}
