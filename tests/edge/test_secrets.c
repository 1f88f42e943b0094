// SPDX-License-Identifier: Apache-2.0
// References in values: the environment, env files, files, and programs that answer, fail, hang or
// write too much.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "io/secret_exec.h"
#include "io/secrets.h"

#define BY_HAND "Run the command by hand, as the user of precis, to see what it says"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static char *expanded(struct secrets *secrets, const char *text)
{
    struct expansion out;
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    if (!secrets_expand(secrets, text, &out, &why)) {
        struct buf said;
        buf_init(&said, 0);
        buf_printf(&said, "! %s", buf_str(&why));
        return buf_take(&said);
    }
    char *result = own_strdup(out.text);
    expansion_deinit(&out);
    return result;
}

static void expect_expanded(struct secrets *secrets, const char *text, const char *expected)
{
    char *result = expanded(secrets, text);
    assert_string_equal(result, expected);
    free(result);
}

static void test_expand(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    char path[] = "/tmp/precis-test-XXXXXX";
    close(mkstemp(path));
    write_file(path, "from a file\r\n\n");
    char reference[100];
    snprintf(reference, sizeof(reference), "<${file:%s}>", path);
    expect_expanded(secrets, reference, "<from a file>");
    write_file(path, "changed");
    expect_expanded(secrets, reference, "<changed>"); // reread
    write_file(path, "");
    char *said = expanded(secrets, reference);
    assert_non_null(strstr(said, "is empty"));
    free(said);
    unlink(path);
    static const char *const rows[][2] = {
        {"plain", "plain"},
        {"", ""},
        {"$5 $", "$5 $"},
        {"$${env:X}", "${env:X}"},
        {"a${env:TEST_TOKEN}b${env:TEST_TOKEN}", "atok-12345btok-12345"},
        {"${env:TEST_UNSET:-x:-y}", "x:-y"},
        {"${env:TEST_EMPTY:-d}", "d"},
        {"${env:TEST_EMPTY}", ""},
        {"${env:TEST_UNSET:-}", ""},
        {"${env:TEST_UNSET}", "! TEST_UNSET is not set"},
        {"${env:}", "! write ${env:NAME} or ${env:NAME:-default}"},
        {"${env:A B}", "! write ${env:NAME} or ${env:NAME:-default}"},
        {"${env:X:-${env:Y}}", "! a ${…} cannot stand inside another"},
        {"${exec:echo a  'b  c' \"d\"e}", "a b  c de"},
        {"${exec:printf %s $HOME;}", "$HOME;"}, // no shell
        {"${exec:true}", "! `true` of ${exec:…} printed nothing. " BY_HAND},
        {"${exec:printf '\\n\\n'}", "! `printf` of ${exec:…} printed nothing. " BY_HAND},
        {"${exec:printf 'topsecret\\r\\n'}", "topsecret"},
        {"${exec:printf 'topsecret\\nsecond\\n'}",
         "! `printf` of ${exec:…} printed several lines. Let it "
         "print the value alone, in one line"},
        {"${exec:sh -c 'echo no >&2; exit 3'}",
         "! `sh` of ${exec:…} ended with status 3. " BY_HAND},
        {"${exec:sh -c 'kill -9 $$'}", "! `sh` of ${exec:…} was ended by a signal"},
        {"${exec:head -c 100000 /dev/zero}", "! `head` of ${exec:…} wrote over 65536 bytes"},
        {"${exec:head -c 5 /dev/zero}", "! the output of ${exec:…} has a NUL byte"},
        {"${exec:echo 'a}", "! ${exec:…} needs a program, at most 64 words, and closed quotes"},
        {"${exec:}", "! ${exec:…} needs a program, at most 64 words, and closed quotes"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_expanded(secrets, rows[i][0], rows[i][1]);
    secrets_free(secrets);
}

// A relative name is looked for where systemd puts a service's credentials.
static void test_credentials(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    char folder[] = "/tmp/precis-test-XXXXXX", path[100], missing[150];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/key", folder);
    write_file(path, "from systemd\n");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    expect_expanded(secrets, "${file:key}", "from systemd");
    snprintf(missing, sizeof(missing), "! %s/other cannot be read: No such file or directory",
             folder);
    expect_expanded(secrets, "${file:other}", missing);
    char absolute[120];
    snprintf(absolute, sizeof(absolute), "${file:%s}", path);
    setenv("CREDENTIALS_DIRECTORY", "/nowhere", 1);
    expect_expanded(secrets, absolute, "from systemd");
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    expect_expanded(secrets, "${file:no/such}",
                    "! no/such cannot be read: No such file or "
                    "directory");
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path);
    rmdir(folder);
    secrets_free(secrets);
}

// ${env:} keeps its first value.
static void test_env_first(void **state)
{
    (void)state;
    struct secrets *secrets = secrets_new();
    setenv("TEST_MOVING", "one", 1);
    expect_expanded(secrets, "${env:TEST_MOVING}", "one");
    setenv("TEST_MOVING", "two", 1);
    expect_expanded(secrets, "${env:TEST_MOVING}", "one");
    unsetenv("TEST_MOVING");
    secrets_free(secrets);
}

// A program that goes on past its limit, and what it started, are killed.
static void test_exec_limit(void **state)
{
    (void)state;
    struct buf output OWN_BUF, why OWN_BUF;
    buf_init(&output, 1000);
    buf_init(&why, 0);
    assert_false(secret_exec("sleep 600", 50, &output, &why));
    assert_non_null(strstr(buf_str(&why), "took over"));
    buf_clear(&why);
    assert_false(secret_exec("sh -c 'sleep 600 & sleep 600'", 50, &output, &why));
    assert_non_null(strstr(buf_str(&why), "took over"));
}

static void test_env_file(void **state)
{
    (void)state;
    char path[] = "/tmp/precis-test-XXXXXX";
    close(mkstemp(path));
    write_file(path, "\xef\xbb\xbf# comment\n\n"
                     "A=plain value # comment\r\n"
                     "export B='single # $x \\n'\n"
                     "C = \"line\\nquote \\\" \\q\"  # comment\n"
                     "D=\n"
                     "E=a#b=c\n"
                     "A2=first\nA2=second\n"
                     "TEST_TOKEN=from the file\n"
                     "TEST_EMPTY=filled\n"
                     "exported=1\n"
                     "LAST=end");
    struct secrets *secrets = secrets_new();
    struct buf why OWN_BUF;
    buf_init(&why, 0);
    assert_true(secrets_read_env_file(secrets, path, &why));
    static const char *const rows[][2] = {
        {"${env:A}", "plain value"},
        {"${env:B}", "single # $x \\n"},
        {"${env:C}", "line\nquote \" \\q"},
        {"${env:D}", ""},
        {"${env:E}", "a#b=c"},
        {"${env:A2}", "second"},
        {"${env:TEST_TOKEN}", "tok-12345"}, // the environment goes first
        {"${env:TEST_EMPTY}", "filled"},    // where it has something
        {"${env:exported}", "1"},
        {"${env:LAST}", "end"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_expanded(secrets, rows[i][0], rows[i][1]);
    static const char *const faults[][2] = {
        {"A=1\nno equals\n", ":2: expected NAME=VALUE"},
        {"1A=x\n", ":1: expected NAME=VALUE"},
        {"A='x\n", ":1: the quote is not closed on this line"},
        {"A='x' y\n", ":1: there is text after the closing quote"},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        write_file(path, faults[i][0]);
        assert_false(secrets_read_env_file(secrets, path, &why));
        assert_string_equal(buf_str(&why) + strlen(path), faults[i][1]);
    }
    secrets_free(secrets);
    unlink(path);
}

int main(void)
{
    unsetenv("TEST_UNSET");
    setenv("TEST_TOKEN", "tok-12345", 1);
    setenv("TEST_EMPTY", "", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),    cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_env_first), cmocka_unit_test(test_exec_limit),
        cmocka_unit_test(test_env_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
