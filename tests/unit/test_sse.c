// SPDX-License-Identifier: Apache-2.0
// The event stream parser: every vector pushed whole, byte by byte, and split at every place.
#include "core/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct vector {
    const char *name, *input;
    size_t len;
    const char *events; // "name|data\x01" for each
    size_t events_len;
    const char *rest; // NULL: none
};

#define TEXT(text) text, sizeof(text) - 1

static const struct vector vectors[] = {
    {"one event", TEXT("data: a\n\n"), TEXT("|a\x01"), NULL},
    {"no space after the colon", TEXT("data:a\n\n"), TEXT("|a\x01"), NULL},
    {"only one space goes", TEXT("data:  a\n\n"), TEXT("| a\x01"), NULL},
    {"CRLF", TEXT("data: a\r\n\r\ndata: b\r\n\r\n"), TEXT("|a\x01|b\x01"), NULL},
    {"CR only", TEXT("data: a\r\rdata: b\r\r"), TEXT("|a\x01|b\x01"), NULL},
    {"mixed ends", TEXT("data: a\n\r\ndata: b\r\n\n"), TEXT("|a\x01|b\x01"), NULL},
    {"lines joined", TEXT("data: a\ndata: b\n\n"), TEXT("|a\nb\x01"), NULL},
    {"empty data lines", TEXT("data\ndata:\n\n"), TEXT("|\n\x01"), NULL},
    {"comment", TEXT(": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n"), TEXT("|a\x01"), NULL},
    {"event name", TEXT("event: error\ndata: {}\n\ndata: b\n\n"), TEXT("error|{}\x01|b\x01"), NULL},
    {"event without data", TEXT("event: ping\n\ndata: b\n\n"), TEXT("|b\x01"), NULL},
    {"id and retry", TEXT("id: 1\nretry: 5\nfoo: x\ndata: a\n\n"), TEXT("|a\x01"), NULL},
    {"byte order mark",
     TEXT("\xef\xbb\xbf"
          "data: a\n\n"),
     TEXT("|a\x01"), NULL},
    {"mark only at the start",
     TEXT("data: a\n\n\xef\xbb\xbf"
          "data: b\n\n"),
     TEXT("|a\x01"), NULL},
    {"UTF-8", TEXT("data: \xe6\xb3\x95\xf0\x9f\x98\x80\n\n"),
     TEXT("|\xe6\xb3\x95\xf0\x9f\x98\x80\x01"), NULL},
    {"not dispatched", TEXT("data: a\n\ndata: [DONE]\n"), TEXT("|a\x01"), "[DONE]"},
    {"line not ended", TEXT("data: a\n\ndata: [DONE]"), TEXT("|a\x01"), "[DONE]"},
    {"comment not ended", TEXT("data: a\n\n: x"), TEXT("|a\x01"), NULL},
    {"nothing", TEXT("\n\n\n"), TEXT(""), NULL},
    {"NUL in data", TEXT("data: a\0b\n\n"), TEXT("|a\0b\x01"), NULL},
};

static bool collect(void *ctx, const struct sse_event *event)
{
    struct buf *out = ctx;
    buf_printf(out, "%s|", event->name);
    buf_add(out, event->data, event->data_len);
    return buf_add_char(out, '\x01');
}

static void check(const struct vector *v, size_t first, size_t step)
{
    struct sse sse;
    struct buf out;
    buf_init(&out, 0);
    sse_init(&sse, 100, 200);
    assert_int_equal(sse_push(&sse, v->input, first, collect, &out), SSE_OK);
    for (size_t at = first; at < v->len; at += step) {
        size_t take = v->len - at < step ? v->len - at : step;
        assert_int_equal(sse_push(&sse, v->input + at, take, collect, &out), SSE_OK);
    }
    if (out.len != v->events_len || memcmp(buf_str(&out), v->events, out.len) != 0)
        fail_msg("%s, split at %zu: \"%s\"", v->name, first, buf_str(&out));
    struct sse_event rest;
    bool has_rest = sse_rest(&sse, &rest);
    assert_int_equal(has_rest, v->rest != NULL);
    if (has_rest)
        assert_string_equal(rest.data, v->rest);
    sse_deinit(&sse);
    buf_deinit(&out);
}

static void test_vectors_at_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        check(&vectors[i], 0, 1);
        for (size_t at = 0; at <= vectors[i].len; at++)
            check(&vectors[i], at, vectors[i].len);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    static const struct {
        const char *input;
        enum sse_result result;
    } cases[] = {
        {"data: 1234\n\n", SSE_OK},
        {"data: 12345\n\n", SSE_LINE_TOO_LONG},
        {"data: 1234567890", SSE_LINE_TOO_LONG},
        {":234567890\n", SSE_OK},
        {":2345678901\n", SSE_LINE_TOO_LONG},
        {"data:1234\ndata:123\n\n", SSE_OK},
        {"data:1234\ndata:1234\n\n", SSE_EVENT_TOO_LARGE},
        {"data:1234\ndata:\ndata:\ndata:\ndata:\ndata:\n\n", SSE_EVENT_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            struct sse sse;
            sse_init(&sse, 10, 8);
            enum sse_result result = SSE_OK;
            size_t len = strlen(cases[i].input), step = bytewise ? 1 : len;
            for (size_t at = 0; at < len && result == SSE_OK; at += step)
                result = sse_push(&sse, cases[i].input + at, step, collect, &out);
            assert_int_equal(result, cases[i].result);
            sse_deinit(&sse);
        }
    buf_deinit(&out);
}

static bool stop_at_second(void *ctx, const struct sse_event *event)
{
    (void)event;
    return ++*(int *)ctx < 2;
}

static void test_stop_and_counts(void **state)
{
    (void)state;
    struct sse sse;
    int seen = 0;
    sse_init(&sse, 100, 100);
    const char *input = ":a\n:b\ndata: 1\n\ndata: 2\n\ndata: 3\n\n";
    assert_int_equal(sse_push(&sse, input, strlen(input), stop_at_second, &seen), SSE_STOPPED);
    assert_int_equal(seen, 2);
    assert_int_equal(sse.comments, 2);
    assert_int_equal(sse.dispatched, 2);
    sse_deinit(&sse);
}

static void test_long_name_is_cut(void **state)
{
    (void)state;
    struct sse sse;
    struct buf input, out;
    buf_init(&input, 0);
    buf_init(&out, 0);
    buf_add_str(&input, "event: ");
    for (int i = 0; i < 500; i++)
        buf_add_char(&input, 'n');
    buf_add_str(&input, "\ndata: a\n\n");
    sse_init(&sse, 1000, 100);
    assert_int_equal(sse_push(&sse, input.data, input.len, collect, &out), SSE_OK);
    assert_int_equal(out.len, sizeof(sse.name) - 1 + 3);
    sse_deinit(&sse);
    buf_deinit(&input);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_at_every_split),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stop_and_counts),
        cmocka_unit_test(test_long_name_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
