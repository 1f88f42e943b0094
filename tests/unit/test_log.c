// SPDX-License-Identifier: Apache-2.0
// Log lines: their form, their escapes, their caps, and that no secret gets through in any field.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/redact.h"
#include "base/rng.h"

struct sink {
    struct buf lines;
    int64_t now_ms;
    size_t writes;
};

static void sink_write(void *context, const char *line, size_t len)
{
    struct sink *sink = context;
    buf_add(&sink->lines, line, len);
    sink->writes++;
}

static int64_t sink_unix_ms(void *context)
{
    const struct sink *sink = context;
    return sink->now_ms;
}

struct fixture {
    struct sink sink;
    struct redactor *redactor;
    struct log *log;
};

static void begin(struct fixture *fixture, enum log_level level, const char *worker)
{
    *fixture = (struct fixture){.sink.now_ms = 1763805600123};
    buf_init(&fixture->sink.lines, 0);
    fixture->redactor = redactor_new();
    struct log_sink sink = {&fixture->sink, sink_write, sink_unix_ms};
    fixture->log = log_new(&sink, level, fixture->redactor, worker);
}

static void end(struct fixture *fixture)
{
    log_free(fixture->log);
    redactor_free(fixture->redactor);
    buf_deinit(&fixture->sink.lines);
}

// The last line, which the next one follows.
static const char *line_of(struct fixture *fixture)
{
    const char *text = buf_str(&fixture->sink.lines);
    const char *last = memrchr(text, '\n', fixture->sink.lines.len - 1);
    return last ? last + 1 : text;
}

static void writes_one_object_a_line(void **state)
{
    (void)state;
    struct fixture at;
    begin(&at, LOG_LEVEL_INFO, "host:1:7f");
    log_event(at.log, LOG_LEVEL_INFO, "job_done", LOG_TEXT("job", "contract-1"),
              LOG_NUMBER("ms", 1234), LOG_NUMBER("low", INT64_MIN), LOG_TEXT("none", NULL));
    assert_string_equal(
        buf_str(&at.sink.lines),
        "{\"time\":\"2025-11-22T10:00:00.123Z\",\"level\":\"info\",\"event\":\"job_done\","
        "\"worker\":\"host:1:7f\",\"job\":\"contract-1\",\"ms\":1234,"
        "\"low\":-9223372036854775808,\"none\":\"\"}\n");
    log_fields(at.log, LOG_LEVEL_ERROR, "plain", NULL, 0);
    assert_string_equal(line_of(&at), "{\"time\":\"2025-11-22T10:00:00.123Z\",\"level\":\"error\","
                                      "\"event\":\"plain\",\"worker\":\"host:1:7f\"}\n");
    assert_int_equal(at.sink.writes, 2);
    end(&at);
}

static void leaves_out_lower_levels_and_no_log(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++) {
        struct fixture at;
        begin(&at, LOG_LEVEL_ERROR, NULL);
        log_set_level(at.log, (enum log_level)level);
        for (int k = LOG_LEVEL_ERROR; k <= LOG_LEVEL_DEBUG; k++)
            log_fields(at.log, (enum log_level)k, "x", NULL, 0);
        assert_int_equal(at.sink.writes, level + 1);
        assert_non_null(strstr(line_of(&at), names[level]));
        end(&at);
    }
    log_event(NULL, LOG_LEVEL_ERROR, "x", LOG_TEXT("a", "b"));
    log_free(NULL);
}

static void says_the_time(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {1709164800000, "2024-02-29T00:00:00.000Z"},
        {1735689599999, "2024-12-31T23:59:59.999Z"},
        {1735689600000, "2025-01-01T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {-2203891200000, "1900-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    struct fixture at;
    begin(&at, LOG_LEVEL_INFO, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        at.sink.now_ms = rows[i].unix_ms;
        log_fields(at.log, LOG_LEVEL_INFO, "x", NULL, 0);
        assert_memory_equal(line_of(&at) + 9, rows[i].text, strlen(rows[i].text));
    }
    end(&at);
}

static void escapes_what_terminals_and_readers_mind(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        {"a\"b\\c", "a\\\"b\\\\c"},
        {"l1\nl2\tx\r", "l1\\nl2\\tx\\u000d"},
        {"\x1b[31mred\x07", "\\u001b[31mred\\u0007"},
        {"\x7f", "\\u007f"},
        {"\xc2\x80\xc2\x9f\xc2\xa0", "\\u0080\\u009f\xc2\xa0"},
        {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa"},
        {"\xe5\x90\x88\xf0\x9f\x98\x80", "\xe5\x90\x88\xf0\x9f\x98\x80"},
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 // overlong
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // a surrogate
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"end\xe5\x90", "end\xef\xbf\xbd\xef\xbf\xbd"},
    };
    struct fixture at;
    struct buf want OWN_BUF;
    buf_init(&want, 0);
    begin(&at, LOG_LEVEL_INFO, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        log_event(at.log, LOG_LEVEL_INFO, "x", LOG_TEXT("v", rows[i].in));
        buf_clear(&want);
        buf_printf(&want, ",\"v\":\"%s\"}\n", rows[i].out);
        const char *got = strstr(line_of(&at), ",\"v\"");
        assert_string_equal(got, buf_str(&want));
    }
    end(&at);
}

static const char *value_of(const char *line, const char *field, json_t **out_root)
{
    json_error_t error;
    *out_root = json_loads(line, JSON_ALLOW_NUL, &error);
    assert_non_null(*out_root);
    return json_string_value(json_object_get(*out_root, field));
}

static void cuts_values_between_characters(void **state)
{
    (void)state;
    struct fixture at;
    begin(&at, LOG_LEVEL_INFO, NULL);
    for (size_t lead = 0; lead < 4; lead++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        for (size_t i = 0; i < lead; i++)
            buf_add_char(&text, ' ');
        for (size_t i = 0; i < 10000; i++)
            buf_add_str(&text, "\xf0\x9f\x98\x80");
        log_event(at.log, LOG_LEVEL_INFO, "x", LOG_TEXT("v", text.data));
        json_t *root;
        const char *value = value_of(line_of(&at), "v", &root);
        assert_int_equal(strlen(value), lead + (LOG_VALUE_BYTES - lead) / 4 * 4);
        assert_null(strstr(value, "\xef\xbf\xbd"));
        json_decref(root);
    }
    end(&at);
}

// What is redacted makes room for what stands behind it, and a key across the border is no
// exception.
static void redacts_before_it_cuts(void **state)
{
    (void)state;
    struct fixture at;
    begin(&at, LOG_LEVEL_INFO, NULL);
    redactor_add_secret(at.redactor, "correct-horse-battery-staple");
    for (size_t lead = LOG_VALUE_BYTES - 40; lead < LOG_VALUE_BYTES + 10; lead++) {
        struct buf text OWN_BUF;
        buf_init(&text, 0);
        while (text.len < lead)
            buf_add_char(&text, '.');
        buf_add_str(&text, "correct-horse-battery-staple and more");
        log_event(at.log, LOG_LEVEL_INFO, "x", LOG_TEXT("v", text.data));
        assert_null(strstr(line_of(&at), "corr"));
    }
    end(&at);
}

static void redacts_every_field(void **state)
{
    (void)state;
    static const struct {
        const char *field;
        const char *in;
        const char *out;
    } rows[] = {
        {"error", "Authorization: Bearer abc", "Authorization: [REDACTED]"},
        {"error", "xAI API error 401: Incorrect key sk-proj-abcdEFGH1234.",
         "xAI API error 401: Incorrect key [REDACTED]"},
        {"job", "hunter2hunter", "[REDACTED]"},
        {"job", "token:contract-2026-00000001", "token:contract-2026-00000001"},
        {"text", "token:contract-2026-00000001", "token:[REDACTED]"},
        {"password", "short", "[REDACTED]"},
        {"password", "", ""},
        {"key", "grok_main", "grok_main"},
        {"text", "a\"hunter2\\\"hunter\"", "a\"hunter2\\\"hunter\""},
        {"text", "{\"a\":\"h\\u0075nter2hunter\"}", "{\"a\":\"[REDACTED]\"}"},
        {"text", "Token limit", "Token limit"},
    };
    struct fixture at;
    begin(&at, LOG_LEVEL_INFO, "hunter2hunter");
    redactor_add_secret(at.redactor, "hunter2hunter");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct log_field field = LOG_TEXT(rows[i].field, rows[i].in);
        log_fields(at.log, LOG_LEVEL_INFO, "x", &field, 1);
        json_t *root;
        assert_string_equal(value_of(line_of(&at), rows[i].field, &root), rows[i].out);
        assert_string_equal(json_string_value(json_object_get(root, "worker")), "[REDACTED]");
        json_decref(root);
    }
    log_set_redactor(at.log, NULL);
    log_event(at.log, LOG_LEVEL_INFO, "x", LOG_TEXT("v", "hunter2hunter"));
    assert_non_null(strstr(line_of(&at), "hunter2hunter"));
    end(&at);
}

// Any bytes make one line of valid JSON, without a secret and without a raw control character.
static void random_bytes_make_lines(void **state)
{
    (void)state;
    static const char secret[] = "q\"7\\w/e\xc3\xa4r\tt9Y";
    struct fixture at;
    struct rng rng;
    rng_init(&rng, 7);
    begin(&at, LOG_LEVEL_INFO, NULL);
    redactor_add_secret(at.redactor, secret);
    for (size_t i = 0; i < 3000; i++) {
        char text[301];
        size_t len = rng_below(&rng, 280);
        for (size_t k = 0; k < len; k++)
            text[k] = (char)(1 + rng_below(&rng, 255));
        if (len > sizeof(secret))
            memcpy(text + rng_below(&rng, len - sizeof(secret)), secret, sizeof(secret) - 1);
        text[len] = '\0';
        buf_clear(&at.sink.lines);
        log_event(at.log, LOG_LEVEL_INFO, "x", LOG_TEXT("v", text));
        json_t *root;
        const char *value = value_of(buf_str(&at.sink.lines), "v", &root);
        assert_null(strstr(value, secret));
        json_decref(root);
        for (size_t k = 0; k + 1 < at.sink.lines.len; k++)
            assert_true((unsigned char)at.sink.lines.data[k] >= 0x20);
    }
    end(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_one_object_a_line),
        cmocka_unit_test(leaves_out_lower_levels_and_no_log),
        cmocka_unit_test(says_the_time),
        cmocka_unit_test(escapes_what_terminals_and_readers_mind),
        cmocka_unit_test(cuts_values_between_characters),
        cmocka_unit_test(redacts_before_it_cuts),
        cmocka_unit_test(redacts_every_field),
        cmocka_unit_test(random_bytes_make_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
