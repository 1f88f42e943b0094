// SPDX-License-Identifier: Apache-2.0
// The HTTP server against clients of raw sockets.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "base/own.h"
#include "io/web.h"

#define WAIT_MS 10000

struct bench {
    uv_loop_t loop;
    struct web *web;
    struct web_options options;
    uint64_t longest_turn_ns;
    int handled;
};

static void answer_health(void *context, const struct web_request *request, struct web_answer *out)
{
    struct bench *bench = context;
    const char *wait = web_query(request, "wait");
    bench->handled++;
    buf_printf(&out->body, "{\"status\":\"ok\",\"wait\":\"%s\"}", wait ? wait : "");
    out->status = 503;
}

static void answer_echo(void *context, const struct web_request *request, struct web_answer *out)
{
    ((struct bench *)context)->handled++;
    out->content_type = "text/plain";
    buf_add(&out->body, request->body, request->body_len);
}

static const struct web_route routes[] = {
    {"GET", "/health", true, answer_health},
    {"POST", "/echo", false, answer_echo},
};

// ---------------------------------------------------------------------------- clients

static int client_open(const struct bench *bench)
{
    const char *address = web_address(bench->web);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port =
                                 htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

// One turn of the loop, timed.
static void turn(struct bench *bench)
{
    uint64_t from = uv_hrtime();
    uv_run(&bench->loop, UV_RUN_NOWAIT);
    uint64_t took = uv_hrtime() - from;
    if (took > bench->longest_turn_ns)
        bench->longest_turn_ns = took;
    usleep(500);
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

// Reads until the server closes or, with `whole`, until an answer with its body is there. Returns
// the length; -1 where nothing ends it in time.
static ssize_t client_read(struct bench *bench, int fd, char *out, size_t room, bool whole)
{
    size_t len = 0;
    uint64_t until = now_ms() + WAIT_MS;
    while (now_ms() < until) {
        turn(bench);
        ssize_t got = recv(fd, out + len, room - len - 1, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            return (ssize_t)len;
        len += got > 0 ? (size_t)got : 0;
        out[len] = 0;
        const char *body = strstr(out, "\r\n\r\n");
        const char *length = strcasestr(out, "content-length:");
        if (whole && len > 0 && body && length &&
            strlen(body + 4) >= strtoul(length + 15, NULL, 10))
            return (ssize_t)len;
    }
    return -1;
}

static void client_write(struct bench *bench, int fd, const char *text, size_t len)
{
    uint64_t until = now_ms() + WAIT_MS;
    while (len > 0 && now_ms() < until) {
        ssize_t sent = send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
        text += sent > 0 ? sent : 0;
        len -= sent > 0 ? (size_t)sent : 0;
        turn(bench);
    }
}

static char *ask(struct bench *bench, const char *request, char *out, size_t room)
{
    int fd = client_open(bench);
    out[0] = 0;
    client_write(bench, fd, request, strlen(request));
    assert_true(client_read(bench, fd, out, room, true) >= 0);
    close(fd);
    return out;
}

static int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.", 7) == 0 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

// ---------------------------------------------------------------------------- the bench

static void serve(struct bench *bench, const char *listen_at)
{
    char problem[256];
    bench->options.listen = listen_at;
    bench->web = web_new(&bench->loop, &bench->options, problem, sizeof(problem));
    if (!bench->web)
        fail_msg("%s", problem);
}

static int setup(void **state)
{
    struct bench *bench = own_alloc(sizeof(*bench));
    uv_loop_init(&bench->loop);
    bench->options = (struct web_options){
        .routes = routes, .route_count = 2, .max_body_bytes = 1000, .context = bench};
    serve(bench, "127.0.0.1:0");
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    web_close(bench->web);
    while (uv_loop_close(&bench->loop) == UV_EBUSY)
        uv_run(&bench->loop, UV_RUN_ONCE);
    free(bench);
    return 0;
}

// ---------------------------------------------------------------------------- tests

struct row {
    const char *request;
    int status;
    const char *in_answer;
};

#define LOCAL "Host: localhost\r\n"

static void test_answers(void **state)
{
    static const struct row rows[] = {
        {"GET /health HTTP/1.1\r\n" LOCAL "\r\n", 503, "{\"status\":\"ok\""},
        {"GET /health?wait=30 HTTP/1.1\r\n" LOCAL "\r\n", 503, "\"wait\":\"30\""},
        {"GET /health HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", 503, "nosniff"},
        {"GET /health HTTP/1.0\r\n\r\n", 503, "application/json"},
        {"POST /echo HTTP/1.1\r\n" LOCAL "Content-Length: 5\r\n\r\nhello", 200, "hello"},
        {"POST /health HTTP/1.1\r\n" LOCAL "Content-Length: 0\r\n\r\n", 405, "Allow: GET"},
        {"DELETE /echo HTTP/1.1\r\n" LOCAL "\r\n", 405, "Allow: POST"},
        {"GET /nothing HTTP/1.1\r\n" LOCAL "\r\n", 404, "not_found"},
        {"GET /../../etc/passwd HTTP/1.1\r\n" LOCAL "\r\n", 404, "not_found"},
        {"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "bad_host"},
        {"GET /health HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403, "bad_host"},
        {"GET /health HTTP/1.1\r\n\r\n", 400, ""},
    };
    struct bench *bench = *state;
    char answer[4096];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(bench, rows[i].request, answer, sizeof(answer));
        if (status_of(answer) != rows[i].status || !strstr(answer, rows[i].in_answer))
            fail_msg("%s\n-> %s", rows[i].request, answer);
    }
}

static void test_head(void **state)
{
    struct bench *bench = *state;
    char answer[4096] = "";
    int fd = client_open(bench);
    const char *request = "HEAD /health HTTP/1.1\r\n" LOCAL "Connection: close\r\n\r\n";
    client_write(bench, fd, request, strlen(request));
    assert_true(client_read(bench, fd, answer, sizeof(answer), false) > 0);
    assert_int_equal(status_of(answer), 503);
    assert_null(strstr(answer, "status\":"));
    close(fd);
}

static void test_large_body(void **state)
{
    struct bench *bench = *state;
    char request[3000], answer[4096];
    int head = snprintf(request, sizeof(request),
                        "POST /echo HTTP/1.1\r\n" LOCAL "Content-Length: 2000\r\n\r\n");
    memset(request + head, 'x', 2000);
    request[head + 2000] = 0;
    assert_int_equal(status_of(ask(bench, request, answer, sizeof(answer))), 413);
    assert_int_equal(bench->handled, 0);
}

static void test_large_head(void **state)
{
    struct bench *bench = *state;
    size_t len = 1000000;
    char *request = own_alloc(len + 1), answer[4096] = "";
    memset(request, 'x', len);
    memcpy(request, "GET /health HTTP/1.1\r\nHost: ", 28);
    int fd = client_open(bench);
    client_write(bench, fd, request, len);
    ssize_t got = client_read(bench, fd, answer, sizeof(answer), false);
    assert_true(got >= 0);
    assert_true(got == 0 || status_of(answer) == 431 || status_of(answer) == 413);
    assert_int_equal(bench->handled, 0);
    close(fd);
    free(request);
}

// A request within the limit, of many headers, is answered.
static void test_head_within_the_limit(void **state)
{
    struct bench *bench = *state;
    char request[8000], answer[4096];
    int len = snprintf(request, sizeof(request), "GET /health HTTP/1.1\r\n" LOCAL "Cookie: ");
    memset(request + len, 'a', 5000);
    snprintf(request + len + 5000, sizeof(request) - (size_t)len - 5000, "\r\n\r\n");
    assert_int_equal(status_of(ask(bench, request, answer, sizeof(answer))), 503);
}

// One byte at a time resets the library's own clock; ours closes all the same, and others are
// served meanwhile without a slow turn of the loop.
static void test_slow_client(void **state)
{
    struct bench *bench = *state;
    static const char request[] =
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: aaaaaaaaaaaaaaaaaa";
    char answer[4096];
    int slow[50];
    for (int i = 0; i < 50; i++)
        slow[i] = client_open(bench);
    uint64_t from = now_ms();
    bool open = true;
    for (size_t at = 0; open && now_ms() - from < WAIT_MS;) {
        for (int i = 0; i < 50; i++)
            send(slow[i], request + at, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += at + 2 < sizeof(request);
        for (int turns = 0; turns < 100; turns++)
            turn(bench);
        assert_int_equal(
            status_of(ask(bench, "GET /health HTTP/1.1\r\n" LOCAL "\r\n", answer, sizeof(answer))),
            503);
        open = recv(slow[49], answer, 1, MSG_DONTWAIT) != 0 && errno == EAGAIN;
    }
    assert_false(open);
    assert_in_range(now_ms() - from, WEB_REQUEST_MS - 500, WEB_REQUEST_MS + 2500);
    print_message("longest turn: %d us\n", (int)(bench->longest_turn_ns / 1000));
    for (int i = 0; i < 50; i++)
        close(slow[i]);
}

static void test_next_free_port(void **state)
{
    struct bench *bench = *state;
    char problem[256], first[64], last[64];
    snprintf(first, sizeof(first), "%s", web_address(bench->web));
    struct web_options options = bench->options;
    options.listen = first;
    struct web *second = web_new(&bench->loop, &options, problem, sizeof(problem));
    assert_non_null(second);
    snprintf(last, sizeof(last), "%s", web_address(second));
    unsigned long one = strtoul(strrchr(first, ':') + 1, NULL, 10);
    unsigned long two = strtoul(strrchr(last, ':') + 1, NULL, 10);
    assert_in_range(two, one + 1, one + WEB_PORTS - 1);
    web_close(second);
}

static void test_bad_listen(void **state)
{
    static const char *const bad[] = {"",
                                      "8000",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:70000",
                                      "127.0.0.1:x",
                                      "no-such-host.invalid:8000",
                                      "192.0.2.1:8000"};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char problem[256] = "";
        struct web_options options = bench->options;
        options.listen = bad[i];
        assert_null(web_new(&bench->loop, &options, problem, sizeof(problem)));
        assert_true(problem[0] != 0);
    }
}

// Beyond loopback: a token for what is not open, and no check of the Host header.
static void test_tokens(void **state)
{
    static const struct row rows[] = {
        {"GET /health HTTP/1.1\r\nHost: worker.example\r\n\r\n", 503, "ok"},
        {"POST /echo HTTP/1.1\r\n" LOCAL "Content-Length: 1\r\n\r\nx", 401, "unauthorized"},
        {"POST /echo HTTP/1.1\r\n" LOCAL
         "Authorization: Bearer wrong\r\nContent-Length: 1\r\n\r\nx",
         401, "unauthorized"},
        {"POST /echo HTTP/1.1\r\n" LOCAL "Authorization: Bearer two\r\nContent-Length: 1\r\n\r\nx",
         200, "x"},
    };
    static char one[] = "one", two[] = "two";
    char *const tokens[] = {one, two, NULL};
    struct bench *bench = *state;
    char answer[4096];
    web_close(bench->web);
    bench->options.tokens = tokens;
    serve(bench, "0.0.0.0:0");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(bench, rows[i].request, answer, sizeof(answer));
        if (status_of(answer) != rows[i].status || !strstr(answer, rows[i].in_answer))
            fail_msg("%s\n-> %s", rows[i].request, answer);
    }
}

static void test_kept_connection(void **state)
{
    struct bench *bench = *state;
    static const char request[] = "GET /health HTTP/1.1\r\n" LOCAL "\r\n";
    char answer[4096];
    int fd = client_open(bench);
    for (int i = 1; i <= 3; i++) {
        answer[0] = 0;
        client_write(bench, fd, request, strlen(request));
        assert_true(client_read(bench, fd, answer, sizeof(answer), true) > 0);
        assert_int_equal(bench->handled, i);
    }
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_answers),
        TEST(test_head),
        TEST(test_large_body),
        TEST(test_large_head),
        TEST(test_head_within_the_limit),
        TEST(test_slow_client),
        TEST(test_next_free_port),
        TEST(test_bad_listen),
        TEST(test_tokens),
        TEST(test_kept_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
