// SPDX-License-Identifier: Apache-2.0
// Array literals for set-based statements.
#include "io/pg_array.h"

#include <string.h>

// Each element is written with its comma or opening brace before it; the closing brace is put on
// when the literal is asked for, and overwritten by the next element.
static void begin_element(struct pg_array *array)
{
    buf_add_char(&array->text, array->len == 0 ? '{' : ',');
    array->len++;
}

void pg_array_init(struct pg_array *array)
{
    buf_init(&array->text, 0);
    array->len = 0;
}

void pg_array_deinit(struct pg_array *array)
{
    buf_deinit(&array->text);
    array->len = 0;
}

void pg_array_add_null(struct pg_array *array)
{
    begin_element(array);
    buf_add_str(&array->text, "NULL");
}

void pg_array_add_text(struct pg_array *array, const char *text)
{
    if (text == NULL)
        pg_array_add_null(array);
    else
        pg_array_add_bytes_as_text(array, text, strlen(text));
}

static bool is_special(char c)
{
    return c == '"' || c == '\\' || c == '\0';
}

void pg_array_add_bytes_as_text(struct pg_array *array, const char *text, size_t len)
{
    begin_element(array);
    buf_add_char(&array->text, '"');
    size_t plain = 0; // where the run begins that needs no care
    for (size_t i = 0; i < len; i++) {
        if (!is_special(text[i]))
            continue;
        buf_add(&array->text, text + plain, i - plain);
        plain = text[i] == '\0' ? i + 1 : i;
        if (text[i] != '\0')
            buf_add_char(&array->text, '\\');
    }
    buf_add(&array->text, text + plain, len - plain);
    buf_add_char(&array->text, '"');
}

void pg_array_add_int(struct pg_array *array, int64_t number)
{
    begin_element(array);
    buf_add_int(&array->text, number);
}

void pg_array_add_bool(struct pg_array *array, bool value)
{
    begin_element(array);
    buf_add_char(&array->text, value ? 't' : 'f');
}

void pg_array_add_bytea(struct pg_array *array, const void *data, size_t len)
{
    if (data == NULL) {
        pg_array_add_null(array);
        return;
    }
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    begin_element(array);
    buf_add_str(&array->text, "\"\\\\x");
    for (size_t i = 0; i < len; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        buf_add(&array->text, pair, 2);
    }
    buf_add_char(&array->text, '"');
}

void pg_array_add_array(struct pg_array *array, struct pg_array *inner)
{
    const char *literal = pg_array_str(inner);
    pg_array_add_text(array, literal);
}

const char *pg_array_str(struct pg_array *array)
{
    if (array->len == 0)
        return "{}";
    buf_add_char(&array->text, '}');
    array->text.len--; // the next element goes on before it
    return array->text.data;
}
