// SPDX-License-Identifier: Apache-2.0
// What tests of the extractor's pool share: a loop, a pool whose children are this very program,
// and outcomes copied flat.
#ifndef PRECIS_TESTS_EDGE_EXTRACT_H
#define PRECIS_TESTS_EDGE_EXTRACT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <uv.h>

#include "base/buf.h"
#include "io/extractor.h"

enum { OUTCOMES_MAX = 300, PATIENCE_MS = 60000 };

struct outcome {
    int answers; // events for it; more than one is a fault
    enum err_code code;
    int http_status;
    char detail[FAILURE_DETAIL_BYTES], suggestion[FAILURE_SUGGESTION_BYTES];
    struct buf text, warnings; // warnings with " | " between
    int32_t pages;
    char sha256[65], media_type[100], extractor[100];
};

struct extract_bench {
    uv_loop_t loop;
    struct extractor *extractor;
    struct config_documents documents; // set before bench_open
    const char *program, *ca;
    bool allow_loopback;
    struct outcome outcomes[OUTCOMES_MAX];
    uint32_t asked, answered;
    uint64_t longest_turn_ns; // of the loop, waiting aside
};

// True where the program was started as a child of a pool: return *out_code from main then.
bool bench_is_child(int argc, char **argv, int *out_code);
// The defaults of the configuration, with short limits for tests.
void bench_init(struct extract_bench *bench);
void bench_open(struct extract_bench *bench);
void bench_close(struct extract_bench *bench);

// Starts one; its number.
uint32_t bench_start(struct extract_bench *bench, const struct extract_request *request);
// Turns the loop until so many are answered in all, or the patience ends (a failed test).
void bench_wait(struct extract_bench *bench, uint32_t answered);
// Turns the loop once, waiting for at most so long.
void bench_turn(struct extract_bench *bench, uint64_t at_most_ms);
// Starts one, and waits for it.
const struct outcome *bench_read(struct extract_bench *bench, const char *media_type,
                                 const char *name, const void *bytes, size_t len);
const struct outcome *bench_url(struct extract_bench *bench, const char *url);

#endif
