// SPDX-License-Identifier: Apache-2.0
// What is added to a conninfo: TLS that is verified wherever the server may be another machine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "io/pg_params.h"

static void test_tls(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"", "prefer"},
        {"host=localhost", "prefer"},
        {"host=127.0.0.1,::1,/run/postgresql", "prefer"},
        {"host=db.example", "verify-full"},
        {"host=localhost.example.com", "verify-full"}, // begins like this machine
        {"host=127.example.com", "verify-full"},
        {"host=localhost,db.example", "verify-full"},
        {"hostaddr=127.0.0.1 host=db.example", "prefer"}, // a tunnel: the address counts
        {"hostaddr=10.0.0.1 host=localhost", "verify-full"},
        {"hostaddr='127.0.0.1,' host=a,db.example", "verify-full"}, // the second has none
        {"hostaddr='' host=db.example", "verify-full"},
        {"host=db.example sslmode=require", "require"},
        {"postgresql://u@db.example/x", "verify-full"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_params params;
        assert_true(pg_params_init(&params, rows[i][0], "test"));
        assert_string_equal(pg_params_get(&params, "sslmode"), rows[i][1]);
        if (strcmp(rows[i][1], "verify-full") == 0)
            assert_non_null(pg_params_get(&params, "sslrootcert"));
        pg_params_deinit(&params);
    }
}

static void test_no_conninfo(void **state)
{
    (void)state;
    struct pg_params params;
    assert_false(pg_params_init(&params, "host=x secret", "test"));
    assert_false(pg_params_init(&params, "postgresql://[::1/x", "test"));
}

static void test_where(void **state)
{
    (void)state;
    struct pg_params params;
    char where[100];
    assert_true(pg_params_init(&params, "postgresql://u:topsecret@db.example:5/x", "test"));
    pg_params_where(&params, where, sizeof(where));
    assert_string_equal(where, "db.example:5/x");
    pg_params_deinit(&params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_no_conninfo),
        cmocka_unit_test(test_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
