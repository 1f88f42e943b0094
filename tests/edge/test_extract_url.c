// SPDX-License-Identifier: Apache-2.0
// Documents by URL, read by real children: file: below the allowed folders and nowhere else, https:
// from a server of this machine, which only a test may allow.
#include "edge_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static struct place {
    char folder[100]; // allowed/ and outside/ and web/ in it
    char ca[150];
    pid_t server;
    int port;
} place;

static void path_in(char *out, size_t out_bytes, const char *name)
{
    snprintf(out, out_bytes, "%s/%s", place.folder, name);
}

static void write_file(const char *name, const char *text, size_t len)
{
    char path[300];
    path_in(path, sizeof(path), name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void link_to(const char *target, const char *name)
{
    char from[300], path[300];
    path_in(path, sizeof(path), name);
    snprintf(from, sizeof(from), "%s%s%s", target[0] == '/' ? "" : place.folder,
             target[0] == '/' ? "" : "/", target);
    assert_int_equal(symlink(from, path), 0);
}

// ------------------------------------------------------------------------------- a server

// Files of web/ are whole answers, status line and all.
static void run_server(void)
{
    char folder[300];
    path_in(folder, sizeof(folder), "web");
    int out[2];
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    place.server = fork();
    if (place.server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        dup2(open("/dev/null", O_RDWR), 2);
        if (chdir(folder) == 0)
            execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-HTTP", "-cert",
                   "../cert.pem", "-key", "../key.pem", (char *)NULL);
        _exit(127);
    }
    assert_true(place.server > 0);
    close(out[1]);
    FILE *lines = fdopen(out[0], "r");
    char line[300];
    while (place.port == 0 && fgets(line, sizeof(line), lines))
        sscanf(line, "ACCEPT 127.0.0.1:%d", &place.port);
    assert_true(place.port > 0); // the pipe stays open: the server writes to it
}

static void make_answers(void)
{
    static char large[3000000];
    memset(large, 'x', sizeof(large));
    memcpy(large, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n", 45);
    write_file("web/large.txt", large, sizeof(large));
    write_text("web/plain.txt", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nA contract.\n");
    write_text("web/page",
               "HTTP/1.0 200 OK\r\nContent-Type: text/html; charset=windows-1251\r\n\r\n"
               "<p>\xcf\xf0\xe8</p>");
    write_text("web/named.html", "HTTP/1.0 200 OK\r\n\r\n<p>No type</p>");
    write_text("web/moved", "HTTP/1.0 302 Found\r\nLocation: https://localhost/plain.txt\r\n\r\n");
    write_text("web/gone", "HTTP/1.0 404 Not Found\r\n\r\nno");
    write_text("web/busy", "HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\nlater");
    write_text("web/short", "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\ncut");
    write_text("web/empty", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
}

static int set_up(void **state)
{
    (void)state;
    static const char *const folders[] = {"allowed", "allowed/sub", "outside", "web"};
    char path[300], command[600];
    snprintf(place.folder, sizeof(place.folder), "/tmp/precis-test-url-XXXXXX");
    if (!mkdtemp(place.folder))
        return -1;
    for (size_t i = 0; i < COUNT(folders); i++) {
        path_in(path, sizeof(path), folders[i]);
        if (mkdir(path, 0700) != 0)
            return -1;
    }
    snprintf(place.ca, sizeof(place.ca), "%s/cert.pem", place.folder);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
             "subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s/key.pem -out %s 2>/dev/null",
             place.folder, place.ca);
    if (system(command) != 0)
        return -1;
    make_answers();
    run_server();
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    if (place.server > 0) {
        kill(place.server, SIGKILL);
        waitpid(place.server, NULL, 0);
    }
    return nftw(place.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct extract_bench *bench_of(char **allow, char **hosts)
{
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench->documents.allow = allow;
    bench->documents.hosts = hosts;
    bench->documents.max_bytes = 1000000;
    return bench;
}

static void bench_end(struct extract_bench *bench)
{
    bench_close(bench);
    free(bench);
}

static void expect(const struct outcome *outcome, enum err_code code, const char *part)
{
    const char *said = code == ERR_NONE ? buf_str(&outcome->text) : outcome->detail;
    if (outcome->code != code || !strstr(said, part))
        fail_msg("%s: %s%s", err_code_text(outcome->code), outcome->detail,
                 buf_str(&outcome->text));
}

// ------------------------------------------------------------------------------- file:

static void make_files(void)
{
    write_text("allowed/a.txt", "inside");
    write_text("allowed/sub/with space.html", "<p>page</p>");
    write_text("outside/secret.txt", "SECRET");
    link_to("outside/secret.txt", "allowed/link.txt");
    link_to("outside", "allowed/linked");
    link_to("allowed/a.txt", "allowed/inner.txt");
    link_to("/dev/zero", "allowed/zero");
    link_to("allowed/a.txt", "outside/in.txt");
    char path[300];
    path_in(path, sizeof(path), "allowed/fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    path_in(path, sizeof(path), "allowed-not");
    assert_int_equal(mkdir(path, 0700), 0);
    write_text("allowed-not/x.txt", "SECRET");
}

static void test_file(void **state)
{
    (void)state;
    static const char forbidden[] = "does not lead to a file below documents.allow";
    static const struct {
        const char *before, *path; // of the URL
        enum err_code code;
        const char *part;
    } rows[] = {
        {"file://", "allowed/a.txt", ERR_NONE, "inside"},
        {"file:", "allowed/a.txt", ERR_NONE, "inside"},
        {"FILE://localhost", "allowed/a.txt", ERR_NONE, "inside"},
        {"file://", "allowed/sub/with%20space.html", ERR_NONE, "page"},
        {"file://", "allowed/sub/../a.txt", ERR_NONE, "inside"},
        {"file://", "allowed/inner.txt", ERR_NONE, "inside"},
        {"file://", "allowed/a.txt#part", ERR_NONE, "inside"},
        {"file://", "outside/in.txt", ERR_NONE, "inside"}, // it leads inside
        {"file://", "outside/secret.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/../outside/secret.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/%2e%2e/outside/secret.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/link.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/linked/secret.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed-not/x.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/zero", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/fifo", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/sub", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "outside/nothing.txt", ERR_FORBIDDEN_URL, forbidden}, // says not if it is there
        {"file://other.host", "allowed/a.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/a%00.txt", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/a%zz", ERR_FORBIDDEN_URL, forbidden},
        {"file://", "allowed/nothing.txt", ERR_UNREADABLE, "No such file"},
        {"ftp://", "allowed/a.txt", ERR_FORBIDDEN_URL, "a scheme that is not read"},
        {"s3://", "allowed/a.txt", ERR_FORBIDDEN_URL, "a scheme that is not read"},
    };
    make_files();
    char folder[300], url[600];
    path_in(folder, sizeof(folder), "allowed");
    char *allow[] = {"/no/such/folder", folder, NULL};
    struct extract_bench *bench = bench_of(allow, NULL);
    bench_open(bench);
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(url, sizeof(url), "%s%s/%s", rows[i].before, place.folder, rows[i].path);
        const struct outcome *outcome = bench_url(bench, url);
        expect(outcome, rows[i].code, rows[i].part);
        assert_null(strstr(buf_str(&outcome->text), "SECRET"));
        assert_true(outcome->code != ERR_FORBIDDEN_URL || outcome->suggestion[0]);
    }
    expect(bench_url(bench, "file:relative.txt"), ERR_FORBIDDEN_URL, forbidden);
    expect(bench_url(bench, "file:///dev/zero"), ERR_FORBIDDEN_URL, forbidden);
    bench_end(bench);
}

// Nothing is allowed where nothing is named; the caps and the hash hold.
static void test_file_limits(void **state)
{
    (void)state;
    char folder[300], url[600];
    snprintf(url, sizeof(url), "file://%s/allowed/a.txt", place.folder);
    struct extract_bench *bench = bench_of(NULL, NULL);
    bench_open(bench);
    expect(bench_url(bench, url), ERR_FORBIDDEN_URL, "documents.allow");
    bench_end(bench);
    path_in(folder, sizeof(folder), "allowed");
    char *allow[] = {folder, NULL};
    bench = bench_of(allow, NULL);
    bench->documents.max_bytes = 5;
    bench_open(bench);
    expect(bench_url(bench, url), ERR_TOO_LARGE, "more than 5 bytes");
    bench_end(bench);
    bench = bench_of(allow, NULL);
    bench_open(bench);
    struct extract_request request = {
        .url = url, .sha256 = "0000000000000000000000000000000000000000000000000000000000000000"};
    uint32_t number = bench_start(bench, &request);
    bench_wait(bench, 1);
    expect(&bench->outcomes[number], ERR_UNREADABLE, "is not what the job names");
    const struct outcome *outcome = bench_url(bench, url);
    assert_string_equal(outcome->media_type, "text/plain");
    request.sha256 = outcome->sha256;
    number = bench_start(bench, &request);
    bench_wait(bench, 3);
    expect(&bench->outcomes[number], ERR_NONE, "inside");
    bench_end(bench);
}

// ------------------------------------------------------------------------------- https:

static void test_https(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum err_code code;
        const char *part;
        int http_status;
    } rows[] = {
        {"plain.txt", ERR_NONE, "A contract.", 0},
        {"page", ERR_NONE, "\xd0\x9f\xd1\x80\xd0\xb8", 0},
        {"named.html", ERR_NONE, "No type", 0},
        {"moved", ERR_FORBIDDEN_URL, "redirects", 0},
        {"gone", ERR_HTTP_FATAL, "answered 404", 404},
        {"busy", ERR_HTTP_TRANSIENT, "answered 503", 503},
        {"large.txt", ERR_TOO_LARGE, "more than 1000000 bytes", 0},
        {"short", ERR_CONNECTION_LOST, "could not be fetched", 0},
        {"empty", ERR_NO_TEXT, "empty", 0},
    };
    char host[100], url[300];
    snprintf(host, sizeof(host), "localhost:%d", place.port);
    char *hosts[] = {"example.com", host, NULL};
    struct extract_bench *bench = bench_of(NULL, hosts);
    bench->allow_loopback = true;
    bench->ca = place.ca;
    bench_open(bench);
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(url, sizeof(url), "https://localhost:%d/%s", place.port, rows[i].path);
        const struct outcome *outcome = bench_url(bench, url);
        expect(outcome, rows[i].code, rows[i].part);
        assert_int_equal(outcome->http_status, rows[i].http_status);
    }
    bench_end(bench);
}

// What is refused before a byte is asked for.
static void test_https_refused(void **state)
{
    (void)state;
    char host[100], address[100], urls[3][300];
    snprintf(host, sizeof(host), "localhost:%d", place.port);
    snprintf(address, sizeof(address), "127.0.0.1:%d", place.port);
    snprintf(urls[0], sizeof(urls[0]), "https://localhost:%d/plain.txt", place.port);
    snprintf(urls[1], sizeof(urls[1]), "https://127.0.0.1:%d/plain.txt", place.port);
    snprintf(urls[2], sizeof(urls[2]), "https://user:word@localhost:%d/plain.txt", place.port);
    char *hosts[] = {host, address, "[::ffff:127.0.0.1]", "169.254.169.254", NULL};
    struct extract_bench *bench = bench_of(NULL, hosts); // as every user has it
    bench->ca = place.ca;
    bench_open(bench);
    expect(bench_url(bench, urls[0]), ERR_FORBIDDEN_URL, "leads to a private address");
    expect(bench_url(bench, urls[1]), ERR_FORBIDDEN_URL, "leads to a private address");
    expect(bench_url(bench, "https://169.254.169.254/latest/meta-data"), ERR_FORBIDDEN_URL,
           "leads to a private address");
    expect(bench_url(bench, urls[2]), ERR_FORBIDDEN_URL, "holds a name or password");
    expect(bench_url(bench, "https://example.com/x"), ERR_FORBIDDEN_URL,
           "The host example.com of the document's URL is not allowed");
    expect(bench_url(bench, "https://localhost/x"), ERR_FORBIDDEN_URL, "is not allowed");
    expect(bench_url(bench, "https://"), ERR_FORBIDDEN_URL, "cannot be understood");
    expect(bench_url(bench, "http://localhost/x"), ERR_FORBIDDEN_URL, "a scheme that is not read");
    bench_end(bench);
    bench = bench_of(NULL, NULL);
    bench_open(bench);
    expect(bench_url(bench, urls[0]), ERR_FORBIDDEN_URL, "is not allowed");
    bench_end(bench);
}

// A certificate that nobody vouches for, a port where nobody listens, a server that says nothing.
static void test_https_failures(void **state)
{
    (void)state;
    char host[100], url[300], silent_url[300], silent_host[100];
    snprintf(host, sizeof(host), "localhost:%d", place.port);
    snprintf(url, sizeof(url), "https://localhost:%d/plain.txt", place.port);
    uv_loop_t loop;
    uv_tcp_t silent;
    struct sockaddr_in address;
    int len = sizeof(address);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &silent);
    uv_ip4_addr("127.0.0.1", 0, &address);
    assert_int_equal(uv_tcp_bind(&silent, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&silent, 8, NULL), 0);
    uv_tcp_getsockname(&silent, (struct sockaddr *)&address, &len);
    snprintf(silent_host, sizeof(silent_host), "localhost:%d", ntohs(address.sin_port));
    snprintf(silent_url, sizeof(silent_url), "https://%s/", silent_host);
    char *hosts[] = {host, silent_host, "localhost:1", NULL};
    struct extract_bench *bench = bench_of(NULL, hosts);
    bench->allow_loopback = true;
    bench->documents.timeout_ms = 3000;
    bench_open(bench);
    const struct outcome *outcome = bench_url(bench, url);
    expect(outcome, ERR_TLS_FAILED, "certificate is not trusted");
    assert_int_equal(err_class(outcome->code), ERR_CLASS_TRANSIENT);
    expect(bench_url(bench, "https://localhost:1/"), ERR_CONNECT_FAILED, "cannot be reached");
    expect(bench_url(bench, silent_url), ERR_TIMEOUT_TOTAL, "took too long");
    bench_end(bench);
    uv_close((uv_handle_t *)&silent, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

int main(int argc, char **argv)
{
    int code;
    if (bench_is_child(argc, argv, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),           cmocka_unit_test(test_file_limits),
        cmocka_unit_test(test_https),          cmocka_unit_test(test_https_refused),
        cmocka_unit_test(test_https_failures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
