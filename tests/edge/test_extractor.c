// SPDX-License-Identifier: Apache-2.0
// The pool of children: documents become text in real processes, and whatever a child does (hang,
// write without end, die, talk nonsense), its document has one clear outcome and the loop turns on.
#include "edge_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "core/text.h"

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static char scratch[] = "/tmp/precis-test-extractor-XXXXXX"; // TMPDIR of every test here

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(scratch) && setenv("TMPDIR", scratch, 1) == 0 ? 0 : -1;
}

static void path_in(char *out, size_t out_bytes, const char *name)
{
    snprintf(out, out_bytes, "%s/%s", scratch, name);
}

static bool has_file(const char *name)
{
    char path[300];
    path_in(path, sizeof(path), name);
    return access(path, F_OK) == 0;
}

static int tear_down(void **state)
{
    (void)state;
    char path[300];
    glob_t left;
    path_in(path, sizeof(path), "*");
    if (glob(path, 0, NULL, &left) == 0)
        for (size_t i = 0; i < left.gl_pathc; i++)
            remove(left.gl_pathv[i]);
    globfree(&left);
    return rmdir(scratch);
}

// No private directory outlives its document.
static void expect_no_scratch(void)
{
    char pattern[300];
    glob_t left;
    path_in(pattern, sizeof(pattern), "precis-extract-*");
    assert_int_equal(glob(pattern, 0, NULL, &left), GLOB_NOMATCH);
    globfree(&left);
}

// A pool in which application/x-test is read by a shell's script.
static void open_with(struct extract_bench *bench, const char *script)
{
    static char *argv[4];
    static struct config_command commands[2];
    argv[0] = "sh";
    argv[1] = "-c";
    argv[2] = (char *)(uintptr_t)script;
    commands[0] = (struct config_command){"application/x-test", argv};
    bench_init(bench);
    bench->documents.extractors = commands;
    bench->documents.timeout_ms = 20000;
}

static const struct outcome *run_script(struct extract_bench *bench)
{
    bench_open(bench);
    return bench_read(bench, "application/x-test", "a.test", "document", 8);
}

// ------------------------------------------------------------------------------- plain work

static void test_text(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench_open(bench);
    char hash[65];
    text_sha256_hex("gr\xfc\xdf", 4, hash);
    const struct outcome *outcome =
        bench_read(bench, "text/plain; charset=iso-8859-1", "a.txt", "gr\xfc\xdf", 4);
    assert_int_equal(outcome->code, ERR_NONE);
    assert_string_equal(buf_str(&outcome->text), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(outcome->media_type, "text/plain");
    assert_string_equal(outcome->extractor, "text-1");
    assert_string_equal(outcome->sha256, hash);
    assert_int_equal(outcome->pages, 0);
    outcome = bench_read(bench, NULL, NULL, "", 0);
    assert_int_equal(outcome->code, ERR_NO_TEXT);
    struct extractor_stats stats;
    extractor_stats(bench->extractor, &stats);
    assert_int_equal(stats.done, 1);
    assert_int_equal(stats.failed, 1);
    assert_int_equal(stats.running + stats.waiting + stats.waiting_bytes, 0);
    bench_close(bench);
    free(bench);
}

// What would read a document is known before it is read, and is what did read it.
static void test_versions(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    open_with(bench, "cat {in}");
    const struct outcome *outcome = run_script(bench);
    const struct extract_ops *ops = extractor_ops();
    assert_int_equal(outcome->code, ERR_NONE);
    assert_string_equal(outcome->extractor,
                        ops->version(bench->extractor, "application/x-test", NULL));
    assert_string_equal(ops->version(bench->extractor, NULL, "a.html"), "html-1");
    assert_string_equal(ops->version(bench->extractor, "text/plain; charset=x", "a.html"),
                        "text-1");
    assert_string_equal(ops->version(bench->extractor, NULL, "A.DOCX"), "docx-1");
    const char *pdf = ops->version(bench->extractor, "application/pdf", NULL);
    assert_int_equal(strncmp(pdf, "pdftotext-", 10), 0);
    assert_string_equal(ops->version(bench->extractor, NULL, NULL), "text-1");
    bench_close(bench);
    free(bench);
}

// 50 MB go in and 20 MB come out without the loop being held up.
static void test_large(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    bench_init(bench);
    bench_open(bench);
    size_t len = 20000000;
    char *bytes = own_alloc(50000001);
    for (size_t i = 0; i < len; i++)
        bytes[i] = i % 60 ? 'x' : '\n';
    const struct outcome *outcome = bench_read(bench, "text/plain", NULL, bytes, len);
    assert_int_equal(outcome->code, ERR_NONE);
    assert_int_equal(outcome->text.len, len);
    outcome = bench_read(bench, "text/plain", NULL, bytes, 50000000);
    assert_int_equal(outcome->code, ERR_UNREADABLE); // the rest are NUL bytes: binary
    outcome = bench_read(bench, "text/plain", NULL, bytes, 50000001);
    assert_int_equal(outcome->code, ERR_TOO_LARGE);
    memset(bytes, 'x', 50000000);
    outcome = bench_read(bench, "text/plain", NULL, bytes, 20000001);
    assert_int_equal(outcome->code, ERR_EXTRACTOR_LIMIT);
    assert_non_null(strstr(outcome->detail, "documents.max_text_bytes"));
    free(bytes);
    bench_close(bench);
    free(bench);
}

// ------------------------------------------------------------------------------- at once

// Each script waits until the other is there: with one child at a time nobody would answer.
static void test_at_once(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    char script[600];
    snprintf(script, sizeof(script),
             "touch %s/here-$(cat {in}); for i in 1 2; do until [ -e %s/here-$i ]; do sleep 0.01; "
             "done; done; echo met",
             scratch, scratch);
    open_with(bench, script);
    bench_open(bench);
    struct extract_request request = {.media_type = "application/x-test", .bytes = "1", .len = 1};
    bench_start(bench, &request);
    request.bytes = "2";
    bench_start(bench, &request);
    request.bytes = "3";
    bench_start(bench, &request);
    bench_turn(bench, 100);
    struct extractor_stats stats;
    extractor_stats(bench->extractor, &stats);
    assert_int_equal(stats.running, 2);
    assert_int_equal(stats.waiting, 1);
    assert_int_equal(stats.waiting_bytes, 1);
    bench_wait(bench, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(buf_str(&bench->outcomes[i].text), "met\n");
    assert_true(has_file("here-3"));
    bench_close(bench);
    expect_no_scratch();
    free(bench);
}

static void test_cancel(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    open_with(bench, "exec sleep 1000");
    bench->documents.children = 1;
    bench_open(bench);
    const struct extract_ops *ops = extractor_ops();
    struct extract_request slow = {.media_type = "application/x-test", .bytes = "x", .len = 1};
    struct extract_request quick = {.media_type = "text/plain", .bytes = "text", .len = 4};
    bench_start(bench, &slow);                    // 0
    uint32_t second = bench_start(bench, &quick); // 1, waits
    uint32_t third = bench_start(bench, &quick);  // 2
    bench_turn(bench, 200);
    ops->cancel(bench->extractor, (struct slot_id){second, 1}); // waiting
    ops->cancel(bench->extractor, (struct slot_id){0, 1});      // running
    ops->cancel(bench->extractor, (struct slot_id){77, 1});     // unknown
    bench_wait(bench, 1);
    assert_int_equal(bench->outcomes[third].answers, 1);
    assert_int_equal(bench->outcomes[0].answers, 0);
    assert_int_equal(bench->outcomes[second].answers, 0);
    bench_close(bench);
    expect_no_scratch();
    free(bench);
}

// Closing with work under way and work that waits.
static void test_close(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    open_with(bench, "exec sleep 1000");
    bench->documents.children = 1;
    bench_open(bench);
    struct extract_request slow = {.media_type = "application/x-test", .bytes = "x", .len = 1};
    bench_start(bench, &slow);
    bench_start(bench, &slow);
    bench_turn(bench, 200);
    bench_close(bench);
    assert_int_equal(bench->answered, 0);
    expect_no_scratch();
    free(bench);
}

// ------------------------------------------------------------------------------- bad children

// What the script does, and how its document ends.
static const struct misdeed {
    const char *script;
    enum err_code code;
    const char *detail; // a part of it
    int64_t timeout_ms, memory_bytes, max_text_bytes;
} misdeeds[] = {
    {"exec sleep 1000", ERR_EXTRACTOR_LIMIT, "was not read after 1 s (documents.timeout)", 1500, 0,
     0},
    // What it leaves behind would hold the pipe open.
    {"sleep 1000 & echo wrote", ERR_NONE, NULL, 1500, 0, 0},
    {"trap '' TERM INT HUP; sleep 1000", ERR_EXTRACTOR_LIMIT, "documents.timeout", 1500, 0, 0},
    {"while :; do :; done", ERR_EXTRACTOR_LIMIT, "documents.timeout", 1500, 0, 0},
    {"exec yes", ERR_EXTRACTOR_LIMIT, "more than 100000 bytes of text (documents.max_text_bytes)",
     0, 0, 100000},
    {"yes >&2", ERR_EXTRACTOR_LIMIT, "documents.timeout", 1500, 0, 0},
    {"kill -9 $$", ERR_EXTRACTOR_LOST, "`sh` was killed while it read this document", 0, 0, 0},
    {"kill -11 $$", ERR_EXTRACTOR_FAILED, "`sh` crashed on this document (signal 11)", 0, 0, 0},
    {"exit 3", ERR_EXTRACTOR_FAILED, "`sh`, which reads application/x-test, ended with status 3", 0,
     0, 0},
    {"echo part; exit 1", ERR_EXTRACTOR_FAILED, "ended with status 1", 0, 0, 0},
    {"true", ERR_NO_TEXT, "The document has no text", 0, 0, 0},
    {"head -c 200000000 /dev/zero > big; echo wrote", ERR_NONE, NULL, 0, 100000000, 0},
    {"echo 'std::bad_alloc: Out of memory' >&2; exit 1", ERR_EXTRACTOR_LIMIT, "documents.memory", 0,
     0, 0},
};

static void test_misdeeds(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    for (size_t i = 0; i < COUNT(misdeeds); i++) {
        const struct misdeed *misdeed = &misdeeds[i];
        open_with(bench, misdeed->script);
        if (misdeed->timeout_ms)
            bench->documents.timeout_ms = misdeed->timeout_ms;
        if (misdeed->memory_bytes)
            bench->documents.memory_bytes = misdeed->memory_bytes;
        if (misdeed->max_text_bytes)
            bench->documents.max_text_bytes = misdeed->max_text_bytes;
        const struct outcome *outcome = run_script(bench);
        if (misdeed->detail &&
            (outcome->code != misdeed->code || !strstr(outcome->detail, misdeed->detail)))
            fail_msg("%s: %s: %s", misdeed->script, err_code_text(outcome->code), outcome->detail);
        if (!misdeed->detail)
            assert_string_equal(buf_str(&outcome->text), "wrote\n");
        // The pool goes on.
        assert_int_equal(bench_read(bench, "text/plain", NULL, "fine", 4)->code, ERR_NONE);
        assert_true(bench->longest_turn_ns < 500u * 1000 * 1000);
        bench_close(bench);
        expect_no_scratch();
    }
    free(bench);
}

// Children that are no extractors at all.
static void test_strange_programs(void **state)
{
    (void)state;
    static const struct {
        const char *script; // NULL: there is no such program
        enum err_code code;
        const char *detail;
    } rows[] = {
        {NULL, ERR_EXTRACTOR_LOST, "No process could be started"},
        {"exit 0", ERR_EXTRACTOR_FAILED, "gave no sensible answer (status 0)"},
        {"exit 1", ERR_EXTRACTOR_FAILED, "gave no sensible answer (status 1)"},
        {"cat", ERR_EXTRACTOR_FAILED, "gave no sensible answer"}, // the question itself
        {"cat >/dev/null; echo HTTP/1.1 200 OK", ERR_EXTRACTOR_FAILED, "gave no sensible answer"},
        {"cat >/dev/null; printf 'PXF1\\377\\377\\377\\377'", ERR_EXTRACTOR_FAILED,
         "gave no sensible answer"},
        {"printf 'PXF1\\002\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0{}'", ERR_EXTRACTOR_FAILED,
         "gave no sensible answer"},
        {"yes", ERR_EXTRACTOR_FAILED, "gave no sensible answer"},
        {"kill -9 $$", ERR_EXTRACTOR_LOST, "was killed (signal 9)"},
        {"kill -6 $$", ERR_EXTRACTOR_FAILED, "crashed (signal 6)"},
        {"exec sleep 1000 <&- >&-", ERR_EXTRACTOR_LIMIT, "documents.timeout"},
        {"exec sleep 1000", ERR_EXTRACTOR_LIMIT, "documents.timeout"},
    };
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    char program[300];
    path_in(program, sizeof(program), "program");
    size_t len = 3000000; // more than fits a pipe, so that writing has to wait
    char *bytes = own_alloc(len);
    memset(bytes, 'x', len);
    for (size_t i = 0; i < COUNT(rows); i++) {
        remove(program);
        FILE *file = rows[i].script ? fopen(program, "w") : NULL;
        if (file) {
            fprintf(file, "#!/bin/sh\n%s\n", rows[i].script);
            fclose(file);
            chmod(program, 0700);
        }
        bench_init(bench);
        bench->program = program;
        bench->documents.timeout_ms = 1500;
        bench_open(bench);
        const struct outcome *outcome = bench_read(bench, "text/plain", NULL, bytes, len);
        if (outcome->code != rows[i].code || !strstr(outcome->detail, rows[i].detail))
            fail_msg("%s: %s: %s", rows[i].script ? rows[i].script : "none",
                     err_code_text(outcome->code), outcome->detail);
        bench_close(bench);
    }
    free(bytes);
    remove(program);
    free(bench);
}

static void test_missing_program(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    char *argv[] = {"no-such-program", "{in}", NULL}, *pdf[] = {"/nowhere/pdftotext", "{in}", NULL};
    struct config_command commands[] = {
        {"application/x-test", argv}, {"application/pdf", pdf}, {NULL, NULL}};
    bench_init(bench);
    bench->documents.extractors = commands;
    const struct outcome *outcome = run_script(bench);
    assert_int_equal(outcome->code, ERR_EXTRACTOR_MISSING);
    assert_string_equal(outcome->detail, "`no-such-program`, which reads application/x-test, is "
                                         "not installed on this worker");
    outcome = bench_read(bench, NULL, "a.pdf", "%PDF-1.4", 8);
    assert_int_equal(outcome->code, ERR_EXTRACTOR_MISSING);
    assert_non_null(strstr(outcome->suggestion, "apt-get install poppler-utils"));
    bench_close(bench);
    expect_no_scratch();
    free(bench);
}

// The worker is killed: the program under way ends too, and its private directory goes.
static void wait_for_path(const char *pattern, bool there)
{
    for (int i = 0; i < PATIENCE_MS / 20; i++) {
        glob_t found;
        bool now = glob(pattern, 0, NULL, &found) == 0;
        globfree(&found);
        if (now == there)
            return;
        poll(NULL, 0, 20);
    }
    fail_msg("%s is %s", pattern, there ? "not there" : "still there");
}

static void test_worker_killed(void **state)
{
    (void)state;
    char script[400], mark[300], pattern[300];
    path_in(mark, sizeof(mark), "running");
    path_in(pattern, sizeof(pattern), "precis-extract-*");
    snprintf(script, sizeof(script), "touch %s; exec sleep 1000", mark);
    pid_t worker = fork();
    if (worker == 0) {
        struct extract_bench *bench = own_alloc(sizeof(*bench));
        struct extract_request slow = {.media_type = "application/x-test", .bytes = "x", .len = 1};
        open_with(bench, script);
        bench_open(bench);
        bench_start(bench, &slow);
        for (;;)
            bench_turn(bench, 1000);
    }
    wait_for_path(mark, true);
    wait_for_path(pattern, true);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    wait_for_path(pattern, false);
    remove(mark);
}

// ------------------------------------------------------------------------------- walls

// The private file, its name and mode; the environment; the limits; no open files of ours.
static void test_surroundings(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    int kept = open("/dev/null", O_RDONLY); // without close-on-exec
    setenv("PRECIS_SECRET", "xai-secret", 1);
    open_with(bench, "stat -c %a {in}; stat -c %a .; cat {in}; echo; env | cut -d= -f1 | sort | tr "
                     "'\\n' ' '; echo; ulimit -c; ulimit -t; ls /proc/self/fd | wc -l; "
                     "grep NoNewPrivs /proc/self/status; cat /proc/self/oom_score_adj");
    const struct outcome *outcome = run_script(bench);
    assert_int_equal(outcome->code, ERR_NONE);
    const char *text = buf_str(&outcome->text);
    assert_non_null(strstr(text, "600\n700\ndocument\n"));
    assert_non_null(strstr(text, "HOME LC_ALL PATH "));
    assert_null(strstr(text, "PRECIS"));
    assert_non_null(strstr(text, "\n0\n21\n4\nNoNewPrivs:\t1\n1000\n"));
    unsetenv("PRECIS_SECRET");
    close(kept);
    bench_close(bench);
    free(bench);
}

// A program cannot reach a server on this machine, where the machine allows namespaces.
static void test_no_network(void **state)
{
    (void)state;
    struct extract_bench *bench = own_alloc(sizeof(*bench));
    open_with(bench, "readlink /proc/self/ns/net; ls /sys/class/net >/dev/null; grep -c : "
                     "/proc/self/net/dev");
    const struct outcome *outcome = run_script(bench);
    char own[100];
    ssize_t len = readlink("/proc/self/ns/net", own, sizeof(own) - 1);
    assert_true(len > 0);
    own[len] = '\0';
    assert_int_equal(outcome->code, ERR_NONE);
    bool apart = strncmp(buf_str(&outcome->text), own, (size_t)len) != 0;
    bench_close(bench);
    free(bench);
    if (!apart) {
        print_message("this machine refuses namespaces to us\n");
        skip();
    }
}

int main(int argc, char **argv)
{
    int code;
    if (bench_is_child(argc, argv, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_misdeeds),
        cmocka_unit_test(test_strange_programs),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_worker_killed),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_no_network),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
