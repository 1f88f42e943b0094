// SPDX-License-Identifier: Apache-2.0
// What tests of the store share: a database with the schema, a loop, workers (a store each, whose
// events are kept), and requests as a worker makes them. Operations here ask and wait.
#ifndef PRECIS_TESTS_EDGE_STORE_H
#define PRECIS_TESTS_EDGE_STORE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdbool.h>
#include <uv.h>

#include "core/seams.h"
#include "core/spec.h"
#include "edge_pg.h"
#include "io/store.h"

enum { LEASE_MS = 60000, SHORT_MS = 300, EVENTS_MAX = 4000, GRANTS_SEEN = 4, LEARNED_SEEN = 4 };

// What an event said, copied flat.
struct seen {
    enum store_event_kind kind;
    uint32_t owner;
    int verdict;
    enum job_stop stop;
    char sqlstate[6];
    int64_t job_no;
    int32_t epoch, crashes;
    struct claim_reply reply; // of STORE_CLAIMED, taken
    char text[4000];          // document, announcement value, topic
    char key[200], headers[2000];
    size_t count; // announcements, jobs
    int64_t id;   // of the first announcement or job
    enum announcement_kind announcement;
    bool known, topic_known, unclean, broken;
    struct quota_grant grants[GRANTS_SEEN];
    int32_t subjects[LEARNED_SEEN]; // of calibrations, with their model's first letter in `key`
    struct calibration learned[LEARNED_SEEN];
};

struct worker {
    uv_loop_t *loop;
    struct store *store;
    const struct store_ops *ops;
    struct seen seen[EVENTS_MAX];
    size_t seen_len, taken;
    int ups, downs;
    char refused[300];
    int64_t serial;
    bool takes; // what it claims was given by take_requeued
};

extern struct edge_pg test_pg;
extern uv_loop_t test_loop;
extern int64_t test_lease_ms; // of the workers made from then on; LEASE_MS unless set

// Runs the loop until the worker has seen that many events and STORE_UPs in all (or was refused),
// or the time is up: false.
bool run_until(const struct worker *worker, size_t seen_len, int ups, uint64_t ms);
void wait_ms(uint64_t ms);
struct worker *worker_new_on(const char *dsn, const char *name);
// Runs the loop until nothing is under way: for operations without an answer.
void settle(struct worker *worker);
// The lease as the database sees it: far from its end, or ended just now.
void hold_lease(const struct worker *worker);
void end_lease(const struct worker *worker);
// Connected and registered; the lease is test_lease_ms.
struct worker *worker_new(const char *name);
void worker_free(struct worker *worker);
// The next event, which has to be of that kind; owned by the worker.
struct seen *next(struct worker *worker, enum store_event_kind kind);
// The first value of a query's answer.
void assert_answer(const char *sql, const char *expected);
struct slot_id owner_of(uint32_t index);
struct seen *renew(struct worker *worker);
// Job t/b/id with a short text as its document; the content hash follows from the text.
struct job_spec spec_of(const char *id, int64_t revision, const char *text);
void claim_spec(struct worker *worker, struct job_spec *spec, uint32_t owner, int64_t serial,
                int64_t offset);
// Asks and waits for the answer, as the others below do.
struct seen *claim(struct worker *worker, const char *id, int64_t revision, const char *text);
void ask_intent(struct worker *worker, const struct seen *claimed, int32_t call_no,
                int32_t attempt_no);
struct seen *intend(struct worker *worker, const struct seen *claimed, int32_t call_no,
                    int32_t attempt_no);
struct attempt_result ok_attempt(int32_t call_no, int32_t attempt_no);
struct summary_row a_summary(void);
// Asks for a stored text; the answer is STORE_FETCHED.
void fetch_text(struct worker *worker, const char *sha256);
void ask_done(struct worker *worker, const struct seen *claimed);
// Records attempt 1 of call 1 as ok ($0.00375), its part, and the outcome `done` with a summary.
struct seen *finish(struct worker *worker, const struct seen *claimed);
struct message a_message(int64_t offset);
// Records the outcome `failed`, with a_message(offset) as the dead letter.
struct seen *fail_job(struct worker *worker, const struct seen *claimed, int64_t offset);
enum lookup_verdict look_up(struct worker *worker, int64_t job_no);
int set_up(void **state);
// On a server of the test's own, which edge_pg_stop stops.
int set_up_own(void **state);
int tear_down(void **state);

#endif
