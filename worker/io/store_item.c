// SPDX-License-Identifier: Apache-2.0
// Copies of requests, parameters of statements, and values of answers.
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/check.h"
#include "base/own.h"
#include "core/text.h"
#include "io/store_inner.h"

void *store_item_new(struct store *store, size_t size)
{
    struct store_item *item = own_alloc(size);
    item->order = store->next_order++;
    item->bytes = 200; // numbers and punctuation
    return item;
}

void store_item_free(struct store_item *item)
{
    for (size_t i = 0; i < item->block_count; i++)
        free(item->blocks[i]);
    free(item->blocks);
    free(item);
}

static void *keep(struct store_item *item, void *block, size_t len)
{
    // Grown to 4, 8, 16, …
    if (item->block_count == 0 ||
        (item->block_count >= 4 && (item->block_count & (item->block_count - 1)) == 0))
        item->blocks =
            own_grow(item->blocks, item->block_count ? item->block_count * 2 : 4, sizeof(void *));
    item->blocks[item->block_count++] = block;
    item->bytes += len;
    return block;
}

void *store_item_bytes(void *item, const void *data, size_t len)
{
    if (data == NULL)
        return NULL;
    char *copy = own_alloc(len + 1);
    memcpy(copy, data, len);
    return keep(item, copy, len);
}

static bool is_clean(const char *text, size_t len)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    for (size_t i = 0; i < len;) {
        if (at[i] == 0)
            return false;
        if (at[i] < 0x80) {
            i++;
            continue;
        }
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate(at + i, (utf8proc_ssize_t)(len - i), &point);
        if (step <= 0)
            return false;
        i += (size_t)step;
    }
    return true;
}

char *store_item_text_len(void *item, const char *text, size_t len)
{
    if (text == NULL || is_clean(text, len))
        return store_item_bytes(item, text, len);
    struct buf cleaned;
    buf_init(&cleaned, 0);
    text_clean(&cleaned, text, len, NULL);
    size_t cleaned_len = cleaned.len;
    return keep(item, cleaned.data ? buf_take(&cleaned) : own_strdup(""), cleaned_len);
}

char *store_item_text(void *item, const char *text)
{
    return store_item_text_len(item, text, text ? strlen(text) : 0);
}

struct message store_item_message(void *item, const struct message *message)
{
    struct message copy = *message;
    copy.topic = store_item_text(item, message->topic);
    copy.key = store_item_bytes(item, message->key, message->key_len);
    copy.value = store_item_bytes(item, message->value, message->value_len);
    copy.headers = NULL;
    copy.header_count = 0;
    return copy;
}

static void add_hex(struct buf *out, const unsigned char *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        buf_add_char(out, digits[data[i] >> 4]);
        buf_add_char(out, digits[data[i] & 15]);
    }
}

// A JSON string; control characters, which text_clean leaves few of, are escaped.
static void add_json(struct buf *out, const char *text)
{
    buf_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_printf(out, "\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            buf_printf(out, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

char *store_item_headers(void *item, const struct message *message)
{
    struct buf json;
    buf_init(&json, 0);
    buf_add_char(&json, '[');
    for (size_t i = 0; i < message->header_count; i++) {
        const struct header *header = &message->headers[i];
        buf_add_str(&json, i ? ",[" : "[");
        add_json(&json, store_item_text(item, header->name ? header->name : ""));
        buf_add_str(&json, header->value ? ",\"" : ",null");
        if (header->value) {
            add_hex(&json, header->value, header->value_len);
            buf_add_char(&json, '"');
        }
        buf_add_char(&json, ']');
    }
    buf_add_char(&json, ']');
    size_t len = json.len;
    return keep(item, buf_take(&json), len);
}

// ---------------------------------------------------------------- parameters

void store_args_init(struct store_args *args)
{
    *args = (struct store_args){0};
}

void store_args_deinit(struct store_args *args)
{
    for (size_t i = 0; i < args->len; i++) {
        if (args->is_array[i])
            pg_array_deinit(&args->arrays[i]);
    }
}

void store_args_int(struct store_args *args, int64_t number)
{
    CHECK(args->len < STORE_ARGS);
    snprintf(args->numbers[args->len], sizeof(args->numbers[0]), "%lld", (long long)number);
    args->values[args->len] = args->numbers[args->len];
    args->is_array[args->len] = false;
    args->len++;
}

void store_args_text(struct store_args *args, const char *text)
{
    CHECK(args->len < STORE_ARGS);
    args->is_array[args->len] = false;
    args->values[args->len++] = text;
}

struct pg_array *store_args_array(struct store_args *args)
{
    CHECK(args->len < STORE_ARGS);
    args->is_array[args->len] = true;
    pg_array_init(&args->arrays[args->len]);
    return &args->arrays[args->len++];
}

void store_args_run(struct store_args *args, struct pg_link *link, enum store_statement statement)
{
    for (size_t i = 0; i < args->len; i++) {
        if (args->is_array[i])
            args->values[i] = pg_array_str(&args->arrays[i]);
    }
    pg_link_run(link, statement, args->values, args->len);
}

void store_add_ms(struct pg_array *array, int64_t unix_ms)
{
    if (unix_ms <= 0 || unix_ms == INT64_MAX)
        pg_array_add_null(array);
    else
        pg_array_add_int(array, unix_ms);
}

// ---------------------------------------------------------------- answers

const char *store_text(const PGresult *result, int row, int column)
{
    return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t store_int(const PGresult *result, int row, int column)
{
    const char *text = store_text(result, row, column);
    return text ? strtoll(text, NULL, 10) : 0;
}

bool store_bool(const PGresult *result, int row, int column)
{
    const char *text = store_text(result, row, column);
    return text && *text == 't';
}

void store_copy_sqlstate(char out[6], const char *sqlstate)
{
    memcpy(out, sqlstate, 5);
    out[5] = '\0';
}
