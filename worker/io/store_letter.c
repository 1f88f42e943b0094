// SPDX-License-Identifier: Apache-2.0
// Announcements: rows of the outbox and of the dead letters as Kafka messages.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

// Columns of STORE_LETTER_COLUMNS, from the first.
enum {
    COLUMN_ID,
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS,
    COLUMN_CODE,
    COLUMN_ERROR,
    COLUMN_SUGGESTION,
    COLUMN_TENANT,
    COLUMN_BATCH,
    COLUMN_JOB,
    COLUMN_TOPIC,
    COLUMN_PARTITION,
    COLUMN_OFFSET,
    COLUMN_TIMESTAMP,
    COLUMN_ATTEMPTS,
    COLUMN_FAILED_AT,
    COLUMN_WORKER,
    COLUMN_TOO_LARGE,
};

enum { OWN_HEADERS = 12 }; // the most that precis adds

struct announcement store_result_message(const PGresult *result, int row, int column)
{
    struct announcement announcement = {.kind = ANNOUNCE_RESULT};
    announcement.id = store_int(result, row, column);
    announcement.message.timestamp_ms = -1;
    announcement.message.key = store_text(result, row, column + 1);
    announcement.message.key_len = (size_t)PQgetlength(result, row, column + 1);
    announcement.message.value = store_text(result, row, column + 2);
    announcement.message.value_len = (size_t)PQgetlength(result, row, column + 2);
    return announcement;
}

static int digit_of(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

// Decodes hex digits of PostgreSQL's or our own making into `*data`, and moves it on.
static size_t take_hex(const char *hex, unsigned char **data)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++)
        (*data)[i] = (unsigned char)(digit_of(hex[2 * i]) * 16 + digit_of(hex[2 * i + 1]));
    *data += len;
    return len;
}

const void *store_take_bytea(const char *text, unsigned char **data, size_t *out_len)
{
    const unsigned char *start = *data;
    *out_len = 0;
    if (text == NULL)
        return NULL;
    *out_len = take_hex(text + 2, data);
    return start;
}

static void add_header(struct store_letter *letter, const char *name, const void *value,
                       size_t value_len)
{
    struct message *message = &letter->announcement.message;
    letter->headers[message->header_count++] =
        (struct header){.name = name, .value = value, .value_len = value_len};
}

static void add_text(struct store_letter *letter, const char *name, const char *value)
{
    if (value && *value)
        add_header(letter, name, value, strlen(value));
}

static void add_original(struct store_letter *letter, const json_t *pair, unsigned char **data)
{
    const json_t *value = json_array_get(pair, 1);
    const unsigned char *start = *data;
    size_t len = json_is_string(value) ? take_hex(json_string_value(value), data) : 0;
    add_header(letter, json_string_value(json_array_get(pair, 0)),
               json_is_string(value) ? start : NULL, len);
}

static void add_own(struct store_letter *letter, const PGresult *result, int row, int column)
{
    const char *tenant = store_text(result, row, column + COLUMN_TENANT);
    const char *batch = store_text(result, row, column + COLUMN_BATCH);
    const char *job = store_text(result, row, column + COLUMN_JOB);
    if (tenant && batch && job)
        snprintf(letter->job, sizeof(letter->job), "%s/%s/%s", tenant, batch, job);
    if (store_bool(result, row, column + COLUMN_TOO_LARGE))
        snprintf(letter->stored, sizeof(letter->stored), "dead_letters:%" PRId64,
                 letter->announcement.id);
    static const struct {
        const char *name;
        int column;
    } plain[] = {
        {"precis-error-code", COLUMN_CODE},       {"precis-error", COLUMN_ERROR},
        {"precis-suggestion", COLUMN_SUGGESTION}, {"precis-topic", COLUMN_TOPIC},
        {"precis-partition", COLUMN_PARTITION},   {"precis-offset", COLUMN_OFFSET},
        {"precis-timestamp", COLUMN_TIMESTAMP},   {"precis-attempts", COLUMN_ATTEMPTS},
        {"precis-failed-at", COLUMN_FAILED_AT},   {"precis-worker", COLUMN_WORKER},
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        add_text(letter, plain[i].name, store_text(result, row, column + plain[i].column));
    add_text(letter, "precis-job", letter->job);
    add_text(letter, "precis-stored", letter->stored);
}

bool store_letter_init(struct store_letter *letter, const PGresult *result, int row, int column)
{
    if (store_text(result, row, column + COLUMN_ID) == NULL)
        return false;
    *letter = (struct store_letter){0};
    struct announcement *announcement = &letter->announcement;
    announcement->kind = ANNOUNCE_DEAD_LETTER;
    announcement->id = store_int(result, row, column + COLUMN_ID);
    const char *headers = store_text(result, row, column + COLUMN_HEADERS);
    const char *key = store_text(result, row, column + COLUMN_KEY);
    const char *value = store_text(result, row, column + COLUMN_VALUE);
    json_t *root = json_loads(headers ? headers : "[]", 0, NULL);
    letter->root = root;
    size_t originals = json_array_size(root);
    letter->headers = own_array(originals + OWN_HEADERS, sizeof(*letter->headers));
    unsigned char *data = letter->data = own_alloc(
        (strlen(headers ? headers : "") + strlen(key ? key : "") + strlen(value ? value : "")) / 2 +
        1);
    struct message *message = &announcement->message;
    message->headers = letter->headers;
    message->timestamp_ms = -1;
    message->key = store_take_bytea(key, &data, &message->key_len);
    message->value = store_take_bytea(value, &data, &message->value_len);
    for (size_t i = 0; i < originals; i++)
        add_original(letter, json_array_get(root, i), &data);
    add_own(letter, result, row, column);
    CHECK(message->header_count <= originals + OWN_HEADERS);
    return true;
}

void store_letter_deinit(struct store_letter *letter)
{
    json_decref(letter->root);
    free(letter->headers);
    free(letter->data);
}
