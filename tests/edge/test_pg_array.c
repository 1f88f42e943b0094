// SPDX-License-Identifier: Apache-2.0
// Array literals, as PostgreSQL reads them.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/pg_array.h"
#include "io/pg_query.h"

static struct pg_rows *unnest(const char *literal, const char *type)
{
    struct pg_error error;
    struct pg_session *session = pg_session_open(test_pg.dsn, "t", &error);
    assert_non_null(session);
    char sql[200];
    snprintf(sql, sizeof(sql), "select x from unnest($1::%s[]) with ordinality u(x, n) order by n",
             type);
    const char *params[] = {literal};
    struct pg_rows *rows = NULL;
    if (!pg_query(session, sql, params, 1, &rows, &error))
        fail_msg("%s: %s", error.text, literal);
    pg_session_close(session);
    return rows;
}

static void assert_rows(struct pg_rows *rows, const char *const *expected, size_t count)
{
    assert_int_equal(pg_rows_count(rows), count);
    for (size_t i = 0; i < count; i++) {
        const char *value = pg_rows_get(rows, i, 0);
        if (expected[i] == NULL)
            assert_null(value);
        else
            assert_string_equal(value ? value : "(null)", expected[i]);
    }
    pg_rows_free(rows);
}

static const char *const texts[] = {
    "plain",
    "",
    NULL,
    "NULL",
    "null",
    "\"",
    "\\",
    "\\\"",
    "a\"b\\c",
    "{}",
    "{a,b}",
    ",",
    " ",
    "\t\n\r",
    "'quoted'",
    "$1",
    "\xe4\xbd\xa0\xe5\xa5\xbd",
    "ends with \\",
    "\\x00",
    "E'\\n'",
};

static void test_texts(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array);
    size_t count = sizeof(texts) / sizeof(texts[0]);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_text(&array, texts[i]);
        pg_array_str(&array); // asking in between changes nothing
    }
    assert_rows(unnest(pg_array_str(&array), "text"), texts, count);
    // An array as an element of an array.
    struct pg_array outer;
    pg_array_init(&outer);
    pg_array_add_array(&outer, &array);
    struct pg_rows *rows = unnest(pg_array_str(&outer), "text");
    assert_rows(unnest(pg_rows_get(rows, 0, 0), "text"), texts, count);
    pg_rows_free(rows);
    pg_array_deinit(&outer);
    pg_array_deinit(&array);
}

static void test_empty(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array);
    assert_string_equal(pg_array_str(&array), "{}");
    assert_rows(unnest(pg_array_str(&array), "text"), NULL, 0);
    pg_array_add_text(&array, "");
    assert_string_equal(pg_array_str(&array), "{\"\"}");
    pg_array_deinit(&array);
}

static void test_numbers(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array);
    pg_array_add_int(&array, INT64_MIN);
    pg_array_add_null(&array);
    pg_array_add_int(&array, INT64_MAX);
    static const char *const expected[] = {"-9223372036854775808", NULL, "9223372036854775807"};
    assert_rows(unnest(pg_array_str(&array), "bigint"), expected, 3);
    pg_array_deinit(&array);
    pg_array_add_bool(&array, true);
    pg_array_add_bool(&array, false);
    static const char *const booleans[] = {"t", "f"};
    assert_rows(unnest(pg_array_str(&array), "boolean"), booleans, 2);
    pg_array_deinit(&array);
}

static void test_bytes(void **state)
{
    (void)state;
    struct pg_array array;
    unsigned char all[256];
    char hex[2 + 2 * sizeof(all) + 1] = "\\x";
    for (size_t i = 0; i < sizeof(all); i++) {
        all[i] = (unsigned char)i;
        snprintf(hex + 2 + 2 * i, 3, "%02zx", i);
    }
    pg_array_init(&array);
    pg_array_add_bytea(&array, all, sizeof(all));
    pg_array_add_bytea(&array, "", 0);
    pg_array_add_bytea(&array, NULL, 0);
    const char *const expected[] = {hex, "\\x", NULL};
    assert_rows(unnest(pg_array_str(&array), "bytea"), expected, 3);
    pg_array_deinit(&array);
}

// libpq ends a parameter at its first NUL: one that gets as far as here is dropped alone.
static void test_nul(void **state)
{
    (void)state;
    struct pg_array array;
    pg_array_init(&array);
    pg_array_add_bytes_as_text(&array, "a\0b\0", 4);
    pg_array_add_text(&array, "next");
    static const char *const expected[] = {"ab", "next"};
    assert_rows(unnest(pg_array_str(&array), "text"), expected, 2);
    pg_array_deinit(&array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_empty), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bytes), cmocka_unit_test(test_nul),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
