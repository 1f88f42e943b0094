// SPDX-License-Identifier: Apache-2.0
// A pool on a loop of its own.
#include "edge_extract.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/extract.h"

bool bench_is_child(int argc, char **argv, int *out_code)
{
    if (argc != 3 || strcmp(argv[1], "extract") != 0 || strcmp(argv[2], "--child") != 0)
        return false;
    *out_code = extract_child(STDIN_FILENO, STDOUT_FILENO);
    return true;
}

static void on_event(void *context, const struct extract_event *event)
{
    struct extract_bench *bench = context;
    struct outcome *outcome = &bench->outcomes[event->owner.index];
    outcome->answers++;
    bench->answered++;
    if (event->failure) {
        outcome->code = event->failure->code;
        outcome->http_status = event->failure->http_status;
        snprintf(outcome->detail, sizeof(outcome->detail), "%s", event->failure->detail);
        snprintf(outcome->suggestion, sizeof(outcome->suggestion), "%s",
                 failure_suggestion(event->failure));
    } else {
        buf_add(&outcome->text, event->text, event->text_len);
    }
    outcome->pages = event->pages;
    snprintf(outcome->sha256, sizeof(outcome->sha256), "%s", event->sha256 ? event->sha256 : "");
    snprintf(outcome->media_type, sizeof(outcome->media_type), "%s",
             event->media_type ? event->media_type : "");
    snprintf(outcome->extractor, sizeof(outcome->extractor), "%s",
             event->extractor ? event->extractor : "");
    for (size_t i = 0; i < event->warning_count; i++)
        buf_printf(&outcome->warnings, "%s%s", i ? " | " : "", event->warnings[i]);
}

void bench_init(struct extract_bench *bench)
{
    memset(bench, 0, sizeof(*bench));
    bench->documents = (struct config_documents){
        .max_bytes = 50000000,
        .children = 2,
        .timeout_ms = 30000,
        .memory_bytes = 1000000000,
        .max_text_bytes = 20000000,
    };
}

void bench_open(struct extract_bench *bench)
{
    struct extractor_options options = {
        .on_event = on_event,
        .context = bench,
        .documents = &bench->documents,
        .program = bench->program,
        .allow_loopback = bench->allow_loopback,
        .ca = bench->ca,
    };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < OUTCOMES_MAX; i++) {
        buf_init(&bench->outcomes[i].text, 0);
        buf_init(&bench->outcomes[i].warnings, 0);
    }
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    bench->extractor = extractor_new(&bench->loop, &options);
}

static void on_closed(void *context)
{
    *(bool *)context = true;
}

void bench_close(struct extract_bench *bench)
{
    bool closed = false;
    extractor_close(bench->extractor, on_closed, &closed);
    while (!closed)
        uv_run(&bench->loop, UV_RUN_ONCE);
    extractor_free(bench->extractor);
    assert_int_equal(uv_loop_close(&bench->loop), 0); // nothing is left on it
    for (size_t i = 0; i < OUTCOMES_MAX; i++) {
        assert_true(bench->outcomes[i].answers <= 1);
        buf_deinit(&bench->outcomes[i].text);
        buf_deinit(&bench->outcomes[i].warnings);
    }
}

uint32_t bench_start(struct extract_bench *bench, const struct extract_request *request)
{
    struct extract_request own = *request;
    assert_true(bench->asked < OUTCOMES_MAX);
    own.owner = (struct slot_id){bench->asked++, 1};
    uint32_t answered = bench->answered;
    extractor_ops()->start(bench->extractor, &own);
    assert_int_equal(bench->answered, answered); // never from inside the call
    return own.owner.index;
}

static void on_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *timer)
{
    *(bool *)timer->data = true;
}

void bench_turn(struct extract_bench *bench, uint64_t at_most_ms)
{
    uv_timer_t timer;
    bool late = false;
    uv_timer_init(&bench->loop, &timer);
    timer.data = &late;
    uv_timer_start(&timer, on_late, at_most_ms, 0);
    uv_run(&bench->loop, UV_RUN_ONCE);
    late = false;
    uv_close((uv_handle_t *)&timer, on_timer_closed);
    while (!late) {
        uint64_t from = uv_hrtime();
        uv_run(&bench->loop, UV_RUN_NOWAIT);
        uint64_t took = uv_hrtime() - from;
        if (took > bench->longest_turn_ns)
            bench->longest_turn_ns = took;
    }
}

void bench_wait(struct extract_bench *bench, uint32_t answered)
{
    uint64_t until = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;
    while (bench->answered < answered && uv_hrtime() < until)
        bench_turn(bench, 1000);
    assert_int_equal(bench->answered, answered);
}

static const struct outcome *start_and_wait(struct extract_bench *bench,
                                            const struct extract_request *request)
{
    uint32_t number = bench_start(bench, request);
    bench_wait(bench, bench->answered + 1);
    assert_int_equal(bench->outcomes[number].answers, 1);
    return &bench->outcomes[number];
}

const struct outcome *bench_read(struct extract_bench *bench, const char *media_type,
                                 const char *name, const void *bytes, size_t len)
{
    struct extract_request request = {
        .media_type = media_type, .name = name, .bytes = bytes, .len = len};
    return start_and_wait(bench, &request);
}

const struct outcome *bench_url(struct extract_bench *bench, const char *url)
{
    struct extract_request request = {.url = url};
    return start_and_wait(bench, &request);
}
