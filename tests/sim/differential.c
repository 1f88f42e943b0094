// SPDX-License-Identifier: Apache-2.0
// Holds the simulated database against PostgreSQL: random sequences of the store's operations, by
// two workers, with duplicates, requests that are applied twice (a lost commit answer), ended
// leases and takeovers, go through tests/sim/db.c and through io/store.c with the program's own
// SQL; every answer and the tables at the end have to be the same.
//   differential --sequences 2000 [--first SEED]
// The server: $PRECIS_TEST_DSN, else one that tools/pg starts.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/own.h"
#include "base/rng.h"
#include "core/spec.h"
#include "core/text.h"
#include "db.h"
#include "../edge/edge_pg.h"
#include "io/migrate.h"
#include "io/pg_query.h"
#include "io/store.h"

#define WORKERS     2
#define NAMES       3
#define OPS         28
#define NOW_MS      INT64_C(10000000) // the model's clock stands still; leases are moved by hand
#define LONG_AGO_MS INT64_C(1000000)
#define LEARNED     4

// What one of the two said, flat.
struct answer {
    int kind;
    int verdict, stop;
    int64_t job_no, epoch, crashes;
    size_t plans, parts, attempts, letters;
    char detail[400];
};

struct real_worker {
    struct store *store;
    bool up, answered;
    bool moved; // its unbroken_since was moved by hand: the next renewal calls that broken
    struct answer answer;
    int64_t real_id, model_id;
    int64_t taken[50]; // job numbers of the last take
    size_t taken_count;
    struct calibration_row learned[LEARNED]; // their names are literals
    size_t learned_count;
};

struct claimed {
    int64_t real_no, model_no;
    int32_t epoch;
    int worker;
    bool has_key;
    unsigned char key[ANSWER_KEY_BYTES];
};

struct test {
    uint64_t seed;
    int step;
    struct rng rng;
    uv_loop_t loop;
    struct edge_pg pg;
    struct pg_session *sql;
    struct real_worker workers[WORKERS];
    struct db db;
    int64_t serial;
    char tenant[40];
    struct claimed held[64]; // claims that somebody had, oldest first
    size_t held_count;
    int64_t numbers[512][2]; // real and model numbers of the same job
    size_t number_count;
};

static int64_t range(struct test *test, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&test->rng, (uint64_t)(high - low + 1));
}

// ------------------------------------------------------------------------------- the real one

static void describe_claim(const struct claim_reply *reply, struct answer *out)
{
    out->verdict = (int)reply->verdict;
    out->job_no = reply->job_no;
    if (reply->verdict != CLAIM_MINE)
        return; // the rest means nothing
    out->stop = (int)reply->stop;
    out->epoch = reply->epoch;
    out->crashes = reply->crashes;
    out->plans = reply->plan_count;
    out->parts = reply->part_count;
    out->attempts = reply->attempt_count;
    size_t len = (size_t)snprintf(out->detail, sizeof(out->detail), "%s %d%d ",
                                  reply->document_sha256, reply->twin, reply->anew);
    for (size_t i = 0; i < reply->attempt_count && len < sizeof(out->detail) - 40; i++)
        len += (size_t)snprintf(out->detail + len, sizeof(out->detail) - len, "%d.%d.%d=%s ",
                                reply->attempts[i].plan_no, reply->attempts[i].call_no,
                                reply->attempts[i].attempt_no,
                                attempt_outcome_name(reply->attempts[i].outcome));
}

static void describe_fetched(const struct store_event *event, struct answer *out)
{
    const char *bytes = event->u.fetched.bytes;
    out->verdict = event->u.fetched.found;
    snprintf(out->detail, sizeof(out->detail), "%s|%.*s|%d %d %s|%s %" PRId64 " %zu",
             event->u.fetched.text ? event->u.fetched.text : "-",
             bytes ? (int)event->u.fetched.size : 1, bytes ? bytes : "-", event->u.fetched.kept,
             (int)event->u.fetched.pages,
             event->u.fetched.media_type ? event->u.fetched.media_type : "-",
             event->u.fetched.warning_count ? event->u.fetched.warnings[0] : "-",
             event->u.fetched.size, event->u.fetched.text_len);
}

// When the period ends is left out: the model's clock stands still.
static void describe_refusal(const struct budget_refusal *refusal, struct answer *out)
{
    snprintf(out->detail, sizeof(out->detail), "%s %.100s %s %s %" PRId64 " %d %d",
             budget_scope_text(refusal->scope), refusal->name, budget_period_text(refusal->period),
             budget_at_wall_text(refusal->at_wall), refusal->limit_picousd, refusal->may_free,
             refusal->ends_ms == INT64_MAX);
}

static const char *const models[] = {"m", "n"};

static void keep_learned(struct real_worker *worker, const struct store_event *event)
{
    worker->learned_count = event->u.calibrated.count;
    for (size_t i = 0; i < event->u.calibrated.count && i < LEARNED; i++) {
        worker->learned[i] = event->u.calibrated.rows[i];
        worker->learned[i].model = models[strcmp(worker->learned[i].model, "n") == 0];
    }
}

static void on_event(void *context, const struct store_event *event)
{
    struct real_worker *worker = context;
    struct answer *answer = &worker->answer;
    if (event->kind == STORE_UP) {
        worker->up = true;
        return;
    }
    if (event->kind == STORE_NOTICE)
        return;
    *answer = (struct answer){.kind = (int)event->kind};
    if (event->kind == STORE_CLAIMED) {
        describe_claim(event->u.claimed, answer);
        claim_reply_deinit(event->u.claimed);
    } else if (event->kind == STORE_INTENDED) {
        answer->verdict = (int)event->u.intended.verdict;
        answer->stop = (int)event->u.intended.stop;
        if (answer->verdict == INTENT_BUDGET)
            describe_refusal(event->u.intended.refusal, answer);
    } else if (event->kind == STORE_RECORDED) {
        answer->verdict = (int)event->u.recorded.verdict;
        answer->letters = event->u.recorded.announcement_count;
    } else if (event->kind == STORE_PARKED) {
        answer->verdict = (int)event->u.parked.verdict;
    } else if (event->kind == STORE_REQUEUED) {
        answer->verdict = event->u.requeued.more;
        answer->letters = event->u.requeued.pause_count;
        worker->taken_count = event->u.requeued.job_count;
        for (size_t i = 0; i < worker->taken_count; i++)
            worker->taken[i] = event->u.requeued.jobs[i].job_no;
    } else if (event->kind == STORE_REUSED) {
        answer->verdict = (int)event->u.reused.verdict;
        answer->stop = (int)event->u.reused.stop;
        answer->letters = event->u.reused.announcement != NULL;
    } else if (event->kind == STORE_LOOKED_UP) {
        answer->verdict = (int)event->u.looked_up.verdict;
        answer->stop = (int)event->u.looked_up.stop;
    } else if (event->kind == STORE_FETCHED) {
        describe_fetched(event, answer);
    } else if (event->kind == STORE_KEPT) {
        answer->verdict = event->u.kept.rejected;
    } else if (event->kind == STORE_BURIED) {
        answer->letters = event->u.buried.announcement != NULL;
    } else if (event->kind == STORE_SUSPECTED) {
        answer->verdict = event->u.suspected.times;
    } else if (event->kind == STORE_RENEWED) {
        answer->verdict = event->u.renewed.broken;
    } else if (event->kind == STORE_CALIBRATED) {
        keep_learned(worker, event);
    } else if (event->kind == STORE_PARTITION) {
        answer->verdict = event->u.partition->unclean;
    }
    worker->answered = true;
}

static void on_refused(void *context, const char *text)
{
    (void)context;
    fail_msg("the store refuses: %s", text);
}

static void await(struct test *test, const bool *flag)
{
    uint64_t until = uv_hrtime() + UINT64_C(20000000000);
    while (!*flag && uv_hrtime() < until)
        uv_run(&test->loop, UV_RUN_ONCE);
    if (!*flag)
        fail_msg("seed %" PRIu64 " step %d: no answer in 20 s", test->seed, test->step);
}

static void start_worker(struct test *test, int index)
{
    struct real_worker *worker = &test->workers[index];
    char name[20];
    snprintf(name, sizeof(name), "w%d", index);
    struct store_options options = {
        .database = test->pg.dsn,
        .worker = name,
        .group = "g",
        .context = worker,
        .on_event = on_event,
        .on_refused = on_refused,
    };
    worker->store = store_new(&test->loop, &options);
    await(test, &worker->up);
    worker->real_id = store_worker_id(worker->store);
}

// A statement about one worker's row.
static void change_worker(struct test *test, int index, const char *what)
{
    char sql[300];
    snprintf(sql, sizeof(sql), "update precis_data.workers set %s where id = %" PRId64, what,
             test->workers[index].real_id);
    struct pg_error error;
    if (!pg_query(test->sql, sql, NULL, 0, NULL, &error))
        fail_msg("%s", error.text);
}

static void run_sql(struct test *test, const char *sql)
{
    struct pg_error error;
    if (!pg_query(test->sql, sql, NULL, 0, NULL, &error))
        fail_msg("%s: %s", sql, error.text);
}

static int64_t ask_number(struct test *test, const char *sql)
{
    struct pg_error error;
    struct pg_rows *rows = NULL;
    if (!pg_query(test->sql, sql, NULL, 0, &rows, &error))
        fail_msg("%s: %s", sql, error.text);
    const char *text = pg_rows_count(rows) ? pg_rows_get(rows, 0, 0) : NULL;
    int64_t number = text ? strtoll(text, NULL, 10) : -1;
    pg_rows_free(rows);
    return number;
}

// ------------------------------------------------------------------------------- comparing

static void compare(struct test *test, const char *what, const struct answer *real,
                    const struct answer *model)
{
    if (real->verdict == model->verdict && real->stop == model->stop &&
        real->epoch == model->epoch && real->crashes == model->crashes &&
        real->plans == model->plans && real->parts == model->parts &&
        real->attempts == model->attempts && real->letters == model->letters &&
        strcmp(real->detail, model->detail) == 0)
        return;
    fail_msg("seed %" PRIu64 " step %d, %s: PostgreSQL says verdict %d stop %d epoch %" PRId64
             " crashes %" PRId64 " plans %zu parts %zu attempts %zu letters %zu [%s]; the model "
             "%d %d %" PRId64 " %" PRId64 " %zu %zu %zu %zu [%s]",
             test->seed, test->step, what, real->verdict, real->stop, real->epoch, real->crashes,
             real->plans, real->parts, real->attempts, real->letters, real->detail, model->verdict,
             model->stop, model->epoch, model->crashes, model->plans, model->parts, model->attempts,
             model->letters, model->detail);
}

static void pair_numbers(struct test *test, int64_t real, int64_t model)
{
    for (size_t i = 0; i < test->number_count; i++)
        if (test->numbers[i][1] == model) {
            assert_int_equal(test->numbers[i][0], real);
            return;
        }
    test->numbers[test->number_count][0] = real;
    test->numbers[test->number_count++][1] = model;
}

// ------------------------------------------------------------------------------- operations

static int64_t some_time(struct test *test)
{
    static const int64_t times[] = {INT64_MAX, INT64_MAX, 1600000000000, 4000000000000};
    return times[range(test, 0, 3)];
}

static struct park_place some_place(struct test *test)
{
    static const struct park_place places[] = {
        {.reason = "order"},
        {.reason = "order", .fails = true},
        {.reason = "retry", .due_ms = 1600000000000, .start_ms = 1600000000000},
        {.reason = "not_before", .due_ms = 4000000000000, .fails = true},
        {.reason = "paused", .due_ms = INT64_MAX},
        {.reason = "budget", .due_ms = 4000000000000},
        {.reason = "batch", .due_ms = INT64_MAX, .after_batch = "b"},
        {.reason = "batch", .due_ms = INT64_MAX, .after_batch = "never"},
    };
    struct park_place place =
        places[range(test, 0, (int64_t)(sizeof(places) / sizeof(places[0])) - 1)];
    place.tokens = range(test, 0, 3) * 700;
    return place;
}

static void op_claim(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    struct real_worker *worker = &test->workers[index];
    char id[20], text[80];
    int content = (int)range(test, 0, 9) == 0;
    snprintf(id, sizeof(id), "job-%d", (int)range(test, 1, NAMES));
    struct job_spec spec;
    job_spec_init(&spec);
    char tenant[60];
    snprintf(tenant, sizeof(tenant), "%s%s", test->tenant, range(test, 0, 2) ? "" : "-other");
    spec.tenant = own_strdup(tenant);
    spec.batch = own_strdup("b");
    spec.priority = (int)range(test, 4, 6);
    spec.deadline_ms = some_time(test);
    bool is_read = range(test, 0, 3) > 0;
    struct park_place place = some_place(test);
    const struct park_place *park = range(test, 0, 3) == 0 ? &place : NULL;
    spec.id = own_strdup(id);
    spec.revision = range(test, 0, 7) == 0 ? range(test, 1, 2) : 0;
    spec.labels_json = own_strdup("{}");
    spec.model = own_strdup("m");
    snprintf(text, sizeof(text), "text %d of %s", content, test->tenant);
    text_sha256_hex(text, strlen(text), spec.document_sha256);
    int form = (int)range(test, 0, 3);
    if (form <= 1) {
        spec.document = DOCUMENT_TEXT;
        spec.text = own_strdup(text);
        spec.text_len = strlen(text);
    } else if (form == 2) {
        spec.document = DOCUMENT_DATA;
        spec.data = own_strdup(text);
        spec.data_len = strlen(text);
        spec.media_type = own_strdup("application/pdf");
    } else { // its hash becomes known with its text
        spec.document = DOCUMENT_URL;
        spec.document_sha256[0] = '\0';
    }
    spec.content_hash[0] = (unsigned char)content;
    bool has_key = form <= 2 && range(test, 0, 5) > 0;
    unsigned char key[ANSWER_KEY_BYTES] = {(unsigned char)content};
    memcpy(key + 1, &test->seed, sizeof(test->seed));
    spec.spec_json = own_strdup("{}");
    int64_t serial = ++test->serial;
    int64_t offset = range(test, 0, 50);
    int times = range(test, 0, 4) == 0 ? 2 : 1; // twice: the first answer was lost
    struct answer model = {0};
    for (int i = 0; i < times; i++) {
        struct claim_request request = {.owner = {1, 1},
                                        .serial = serial,
                                        .spec = &spec,
                                        .topic = is_read ? test->tenant : NULL,
                                        .offset = offset,
                                        .submitted_at_ms = 1,
                                        .park = park,
                                        .answer_key = has_key ? key : NULL};
        worker->answered = false;
        store_ops_pg()->claim(worker->store, &request);
        await(test, &worker->answered);
        struct db_claim claim = {.tenant = spec.tenant,
                                 .batch = spec.batch,
                                 .id = spec.id,
                                 .revision = spec.revision,
                                 .content_hash = spec.content_hash,
                                 .spec_json = spec.spec_json,
                                 .document_sha256 = spec.document_sha256,
                                 .document_text = spec.text,
                                 .document_bytes = spec.data,
                                 .bytes_len = spec.data_len,
                                 .media_type = spec.media_type,
                                 .serial = serial,
                                 .offset = offset,
                                 .priority = spec.priority,
                                 .deadline_ms = spec.deadline_ms,
                                 .is_read = is_read,
                                 .park = is_read ? park : NULL,
                                 .answer_key = request.answer_key};
        struct claim_reply reply;
        db_claim(&test->db, worker->model_id, NOW_MS, &claim, &reply);
        model = (struct answer){0};
        describe_claim(&reply, &model);
        claim_reply_deinit(&reply);
        compare(test, "claim", &worker->answer, &model);
    }
    job_spec_deinit(&spec);
    if (model.job_no)
        pair_numbers(test, worker->answer.job_no, model.job_no);
    if (model.verdict != CLAIM_MINE || test->held_count >= 64)
        return;
    struct claimed *held = &test->held[test->held_count++];
    *held = (struct claimed){.real_no = worker->answer.job_no,
                             .model_no = model.job_no,
                             .epoch = (int32_t)model.epoch,
                             .worker = index,
                             .has_key = has_key};
    memcpy(held->key, key, sizeof(key));
}

static const struct claimed *some_claim(struct test *test)
{
    return test->held_count ? &test->held[range(test, 0, (int64_t)test->held_count - 1)] : NULL;
}

static void op_intend(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held)
        return;
    struct real_worker *worker = &test->workers[held->worker];
    unsigned char key[ANSWER_KEY_BYTES];
    memcpy(key, held->key, sizeof(key));
    struct plan_row plan = {1, "m", "p", "00", "[]", NULL, "why", NULL};
    if (range(test, 0, 3) == 0) { // another plan, of this question or another one
        key[0] ^= (unsigned char)range(test, 0, 1);
        plan.plan_no = 2;
        plan.answer_key = held->has_key ? key : NULL;
    }
    int64_t call = range(test, 1, 2), attempt = range(test, 1, 3);
    struct intent_request request = {.owner = {1, 1},
                                     .job_no = held->real_no,
                                     .epoch = held->epoch,
                                     .plan_no = plan.plan_no,
                                     .call_no = (int32_t)call,
                                     .attempt_no = (int32_t)attempt,
                                     .provider = test->tenant,
                                     .model = "m",
                                     .key_name = range(test, 0, 1) ? "k" : "l",
                                     .reasoning_mode = "auto",
                                     .price_version = "v",
                                     .at_most_picousd = 100 * range(test, 1, 3),
                                     .pack = range(test, 0, 2) ? NULL : "a/b/c/0/1/1/1",
                                     .plan = &plan,
                                     .answer_key = held->has_key ? key : NULL,
                                     .fresh = range(test, 0, 9) == 0,
                                     .was_twin = range(test, 0, 1) == 1};
    int times = range(test, 0, 3) == 0 ? 2 : 1;
    for (int i = 0; i < times; i++) {
        request.job_no = held->real_no;
        worker->answered = false;
        store_ops_pg()->intend(worker->store, &request);
        await(test, &worker->answered);
        struct answer model = {0};
        enum job_stop stop;
        struct budget_refusal refusal = {0};
        request.job_no = held->model_no;
        model.verdict =
            (int)db_intend(&test->db, worker->model_id, NOW_MS, &request, &stop, &refusal);
        model.stop = (int)stop;
        if (model.verdict == INTENT_BUDGET)
            describe_refusal(&refusal, &model);
        compare(test, "intend", &worker->answer, &model);
    }
}

static void op_record(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held)
        return;
    struct real_worker *worker = &test->workers[held->worker];
    static const enum attempt_outcome outcomes[] = {ATTEMPT_OK, ATTEMPT_FAILED, ATTEMPT_IN_DOUBT,
                                                    ATTEMPT_THROTTLED};
    struct attempt_result attempt = {.plan_no = 1,
                                     .call_no = (int32_t)range(test, 1, 2),
                                     .attempt_no = (int32_t)range(test, 1, 3),
                                     .outcome = outcomes[range(test, 0, 3)],
                                     .cost_picousd = 7,
                                     .cost_source = COST_EXACT,
                                     .cost_reported_picousd = -1,
                                     .started_at_ms = 1,
                                     .ttft_ms = -1};
    if (attempt.outcome == ATTEMPT_IN_DOUBT) {
        attempt.cost_picousd = -1;
        attempt.at_most_picousd = 100;
        attempt.cost_source = COST_IN_DOUBT;
    }
    struct part_row part = {1, attempt.call_no, "m", 0, 5, "answer"};
    struct summary_row summary = {.summary = "s", .output_json = "{}"};
    struct message message = {.topic = test->tenant,
                              .offset = range(test, 100, 200),
                              .value = "v",
                              .value_len = 1,
                              .timestamp_ms = 5};
    struct outcome_row outcome = {.announce = true};
    bool failed = range(test, 0, 2) == 0;
    outcome.state = failed ? JOB_FAILED : JOB_DONE;
    if (failed) {
        outcome.error_code = "x";
        outcome.error = "y";
        outcome.suggestion = "z";
        outcome.dead_letter = &message;
    } else {
        outcome.summary = &summary;
    }
    struct record_request request = {.owner = {1, 1}, .epoch = held->epoch};
    request.attempt = range(test, 0, 3) ? &attempt : NULL;
    request.part = range(test, 0, 2) ? NULL : &part;
    request.outcome = range(test, 0, 3) ? NULL : &outcome;
    if (!request.attempt && !request.part && !request.outcome)
        return;
    int times = range(test, 0, 3) == 0 ? 2 : 1;
    for (int i = 0; i < times; i++) {
        request.job_no = held->real_no;
        worker->answered = false;
        store_ops_pg()->record(worker->store, &request);
        await(test, &worker->answered);
        struct answer model = {0};
        int64_t letters[2];
        request.job_no = held->model_no;
        model.verdict =
            (int)db_record(&test->db, worker->model_id, NOW_MS, &request, letters, &model.letters);
        compare(test, "record", &worker->answer, &model);
    }
}

static void op_park(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held)
        return;
    struct real_worker *worker = &test->workers[held->worker];
    struct park_request request = {
        .owner = {1, 1}, .epoch = held->epoch, .place = some_place(test)};
    int times = range(test, 0, 3) == 0 ? 2 : 1;
    for (int i = 0; i < times; i++) {
        request.job_no = held->real_no;
        worker->answered = false;
        store_ops_pg()->park(worker->store, &request);
        await(test, &worker->answered);
        struct answer model = {0};
        request.job_no = held->model_no;
        model.verdict = (int)db_park(&test->db, worker->model_id, NOW_MS, &request);
        compare(test, "park", &worker->answer, &model);
    }
}

static int64_t model_number(const struct test *test, int64_t real)
{
    for (size_t i = 0; i < test->number_count; i++)
        if (test->numbers[i][0] == real)
            return test->numbers[i][1];
    return -1;
}

static void op_take(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    int64_t numbers[50];
    char other[60];
    snprintf(other, sizeof(other), "%s-other", test->tenant);
    const struct take_share shares[] = {
        {test->tenant, range(test, 1, 3), range(test, -3, 3) * 1000000, range(test, 0, 1)},
        {other, range(test, 1, 3), range(test, -3, 3) * 1000000, range(test, 0, 1)},
    };
    struct take_request request = {
        .limit = (size_t)range(test, 1, 4),
        .ends = (size_t)range(test, 0, 6),
        .least_priority = (int)range(test, 0, 1) ? -1 : (int)range(test, 3, 6),
        .before = range(test, -2, 3) * 1000000,
        .doors = (size_t)range(test, 0, 2),
        .shares = shares,
        .share_count = (size_t)range(test, 0, 2),
        .time_of_others = range(test, -1, 1) * 1000000,
        .after_tenant = range(test, 0, 1) ? test->tenant : NULL,
    };
    run_sql(test, "update precis_data.batches set end_looked_at = null");
    worker->answered = false;
    store_ops_pg()->take_requeued(worker->store, &request);
    await(test, &worker->answered);
    size_t count =
        db_take_requeued(&test->db, &request, worker->model_id, ++test->serial, NOW_MS, numbers);
    struct answer model = {.letters = test->db.pauses_count};
    int64_t rows, bytes;
    model.verdict = db_more_due(&test->db, &rows, &bytes);
    compare(test, "take", &worker->answer, &model);
    if (count != worker->taken_count)
        fail_msg("seed %" PRIu64 " step %d: PostgreSQL gives %zu jobs, the model %zu", test->seed,
                 test->step, worker->taken_count, count);
    for (size_t i = 0; i < count; i++)
        if (model_number(test, worker->taken[i]) != numbers[i])
            fail_msg("seed %" PRIu64 " step %d: job %zu is %" PRId64 ", the model's %" PRId64,
                     test->seed, test->step, i, model_number(test, worker->taken[i]), numbers[i]);
}

static void op_seal(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    struct seal_request request = {{1, 1}, test->tenant, "b", range(test, 0, 3)};
    worker->answered = false;
    store_ops_pg()->seal(worker->store, &request);
    await(test, &worker->answered);
    db_seal(&test->db, request.tenant, request.batch, request.total);
}

static void op_pause(struct test *test)
{
    static const char *const scopes[] = {"all", "tenant", "batch", "job", "model"};
    char name[100], sql[300];
    const char *scope = scopes[range(test, 0, 4)];
    snprintf(name, sizeof(name), "%s%s%s%s", strcmp(scope, "all") ? test->tenant : "",
             strcmp(scope, "batch") == 0 || strcmp(scope, "job") == 0 ? "/b" : "",
             strcmp(scope, "job") == 0 ? "/job-1" : "", strcmp(scope, "model") == 0 ? "m" : "");
    bool pauses = range(test, 0, 1) == 0;
    snprintf(sql, sizeof(sql),
             pauses ? "insert into precis_data.pauses (scope, name) values ('%s', '%s')"
                      " on conflict do nothing"
                    : "delete from precis_data.pauses where scope = '%s' and name = '%s'",
             scope, name);
    run_sql(test, sql);
    if (pauses)
        db_pause(&test->db, scope, name);
    else
        db_resume(&test->db, scope, name, NOW_MS);
}

static void op_keep(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held)
        return;
    struct real_worker *worker = &test->workers[held->worker];
    static const char *const warnings[] = {"a \"quoted\" one, {of} two", "another"};
    char document[80], sha256[65], text[80];
    snprintf(document, sizeof(document), "text %d of %s", (int)range(test, 0, 2), test->tenant);
    text_sha256_hex(document, strlen(document), sha256);
    snprintf(text, sizeof(text), "page\n\f\\ %d", test->step);
    struct text_row row = {.owner = {1, 1},
                           .epoch = held->epoch,
                           .document_sha256 = sha256,
                           .extractor = range(test, 0, 3) ? "x-1" : "x-2",
                           .text = text,
                           .text_len = strlen(text),
                           .pages = (int32_t)range(test, 0, 2),
                           .media_type = range(test, 0, 1) ? "application/pdf" : NULL,
                           .warnings = warnings,
                           .warning_count = (size_t)range(test, 0, 2)};
    int times = range(test, 0, 3) == 0 ? 2 : 1;
    for (int i = 0; i < times; i++) {
        row.job_no = held->real_no;
        worker->answered = false;
        store_ops_pg()->keep_text(worker->store, &row);
        await(test, &worker->answered);
        row.job_no = held->model_no;
        db_keep_text(&test->db, worker->model_id, &row);
        compare(test, "keep_text", &worker->answer, &(struct answer){0});
    }
}

static void op_fetch(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    char document[80], sha256[65];
    snprintf(document, sizeof(document), "text %d of %s", (int)range(test, 0, 2), test->tenant);
    text_sha256_hex(document, strlen(document), sha256);
    static const char *const extractors[] = {NULL, "x-1", "x-2"};
    struct fetch_request request = {.owner = {1, 1},
                                    .document_sha256 = sha256,
                                    .plain = range(test, 0, 1) == 1,
                                    .extractor = extractors[range(test, 0, 2)],
                                    .bytes = range(test, 0, 1) == 1};
    worker->answered = false;
    store_ops_pg()->fetch(worker->store, &request);
    await(test, &worker->answered);
    struct store_event event = {.kind = STORE_FETCHED};
    struct answer model = {0};
    db_fetch(&test->db, &request, &event);
    describe_fetched(&event, &model);
    compare(test, "fetch", &worker->answer, &model);
}

static void op_reuse(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held || !held->has_key)
        return;
    struct real_worker *worker = &test->workers[held->worker];
    struct reuse_request request = {.owner = {1, 1},
                                    .epoch = held->epoch,
                                    .answer_key = held->key,
                                    .announce = range(test, 0, 3) > 0};
    int times = range(test, 0, 3) == 0 ? 2 : 1;
    for (int i = 0; i < times; i++) {
        request.job_no = held->real_no;
        worker->answered = false;
        store_ops_pg()->reuse(worker->store, &request);
        await(test, &worker->answered);
        struct answer model = {0};
        enum job_stop stop;
        int64_t letter;
        request.job_no = held->model_no;
        model.verdict =
            (int)db_reuse(&test->db, worker->model_id, NOW_MS, &request, &stop, &letter);
        model.stop = (int)stop;
        model.letters = letter != 0;
        compare(test, "reuse", &worker->answer, &model);
    }
}

// Who leads an answer has stood still for long.
static void op_answers_age(struct test *test)
{
    struct pg_error error;
    if (!pg_query(test->sql,
                  "update precis_data.answers set begun_at = clock_timestamp() - interval '1 h'",
                  NULL, 0, NULL, &error))
        fail_msg("%s", error.text);
    for (size_t i = 0; i < test->db.answers_count; i++)
        test->db.answers[i].begun_ms = LONG_AGO_MS;
}

static void op_look_up(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held)
        return;
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    worker->answered = false;
    store_ops_pg()->look_up(worker->store, (struct slot_id){1, 1}, held->real_no);
    await(test, &worker->answered);
    struct answer model = {.verdict =
                               (int)db_look_up(&test->db, worker->model_id, NOW_MS, held->model_no),
                           .stop = (int)db_stop(&test->db, held->model_no)};
    compare(test, "look_up", &worker->answer, &model);
}

static void op_renew(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    worker->answered = false;
    store_ops_pg()->renew(worker->store);
    await(test, &worker->answered);
    struct answer model = {.verdict = db_renew(&test->db, worker->model_id, NOW_MS)};
    if (!worker->moved)
        compare(test, "renew", &worker->answer, &model);
    worker->moved = false;
}

static void op_lease_ends(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    change_worker(test, index, "lease_until = clock_timestamp() - interval '1 s'");
    test->db.workers[test->workers[index].model_id - 1].lease_until_ms = NOW_MS - 1000;
}

static void op_time_passes(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    change_worker(test, index, "unbroken_since = clock_timestamp() - interval '1 h'");
    test->db.workers[test->workers[index].model_id - 1].unbroken_since_ms = LONG_AGO_MS;
    test->workers[index].moved = true;
}

static void op_cancel(struct test *test)
{
    const struct claimed *held = some_claim(test);
    if (!held || test->db.jobs[held->model_no - 1].outcomes > 0)
        return;
    char sql[200];
    snprintf(sql, sizeof(sql),
             "update precis_data.claims set stop = 'cancelled' where job_no = %" PRId64,
             held->real_no);
    struct pg_error error;
    if (!pg_query(test->sql, sql, NULL, 0, NULL, &error))
        fail_msg("%s", error.text);
    struct db_job *job = &test->db.jobs[held->model_no - 1];
    if (job->stop == STOP_NONE)
        db_stop_job(job, STOP_CANCELLED, NOW_MS);
    job->stop = STOP_CANCELLED;
}

// A budget is set, perhaps while money is spent already, raised, lowered or taken away. Names hold
// the tenant, so that a sequence sees its own only; no job of another's has this provider.
static void op_budget(struct test *test)
{
    static const char *const ends[] = {"", "/b", "/k", "/l", ""};
    static const enum budget_scope scopes[] = {BUDGET_TENANT, BUDGET_BATCH, BUDGET_KEY, BUDGET_KEY,
                                               BUDGET_PROVIDER};
    char name[80], sql[300];
    size_t which = (size_t)range(test, 0, 4);
    snprintf(name, sizeof(name), "%s%s", test->tenant, ends[which]);
    struct budget budget = {.scope = scopes[which],
                            .name = name,
                            .period = (enum budget_period)range(test, 0, 2),
                            .at_wall = (enum budget_at_wall)range(test, 0, 2),
                            .limit_picousd = range(test, 0, 5) ? range(test, 0, 12) * 50 : -1};
    snprintf(sql, sizeof(sql),
             "select precis_data.budget_set('%s', '%s', '%s', nullif(%" PRId64 "::bigint, -1), "
             "'%s', false)",
             budget_scope_text(budget.scope), name, budget_period_text(budget.period),
             budget.limit_picousd, budget_at_wall_text(budget.at_wall));
    run_sql(test, sql);
    db_set_budget(&test->db, &budget, NOW_MS);
}

// What the triggers counted is what the model adds up over its ledger.
static void compare_budgets(struct test *test)
{
    char sql[500];
    for (size_t i = 0; i < test->db.budgets_count; i++) {
        const struct budget *budget = &test->db.budgets[i];
        int64_t reserved, used = db_budget_used(&test->db, budget, NOW_MS, &reserved);
        snprintf(sql, sizeof(sql),
                 "select (spent_picousd + reserved_picousd + doubt_picousd) * 100000 + "
                 "reserved_picousd from precis_data.budget_use where scope = '%s' and name = '%s' "
                 "and period = '%s' order by starts_on desc limit 1",
                 budget_scope_text(budget->scope), budget->name,
                 budget_period_text(budget->period));
        int64_t real = ask_number(test, sql);
        if (real != used * 100000 + reserved)
            fail_msg("seed %" PRIu64 ": of %s %s, %s, PostgreSQL counts %" PRId64
                     ", the model %" PRId64,
                     test->seed, budget_scope_text(budget->scope), budget->name,
                     budget_period_text(budget->period), real, used * 100000 + reserved);
    }
}

// ------------------------------------------------------------------------------- calibrations

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * (fabs(a) + fabs(b));
}

static void compare_learned(struct test *test, const struct real_worker *worker,
                            const struct calibration_row *rows, size_t count)
{
    assert_int_equal(worker->learned_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct calibration *model = &rows[i].learned, *real = NULL;
        for (size_t j = 0; j < count; j++)
            if (strcmp(worker->learned[j].model, rows[i].model) == 0 &&
                worker->learned[j].subject == rows[i].subject)
                real = &worker->learned[j].learned;
        assert_non_null(real);
        if (!is_near(real->samples, model->samples) || !is_near(real->mean, model->mean) ||
            !is_near(real->square, model->square) || !is_near(real->most, model->most))
            fail_msg("seed %" PRIu64 " step %d: PostgreSQL has learned %.9g x %.9g %.9g %.9g, the "
                     "model %.9g x %.9g %.9g %.9g",
                     test->seed, test->step, real->samples, real->mean, real->square, real->most,
                     model->samples, model->mean, model->square, model->most);
    }
}

static struct calibration some_ratios(struct test *test)
{
    struct calibration told = {.samples = (double)range(test, 1, 80),
                               .mean = (double)range(test, 1, 40) / 10,
                               .most = (double)range(test, 1, 60) / 10};
    told.square = told.mean * told.mean + (double)range(test, 0, 5) / 10;
    if (range(test, 0, 9) == 0)
        told = (struct calibration){.most = told.most, .cut = true};
    else if (range(test, 0, 9) == 0)
        told.cut = true;
    return told;
}

// Also as if it had been applied before, and the answer lost.
static void op_calibrate(struct test *test)
{
    int index = (int)range(test, 0, WORKERS - 1);
    struct real_worker *worker = &test->workers[index];
    struct db_worker *model = &test->db.workers[worker->model_id - 1];
    const char *const providers[] = {test->tenant, test->tenant};
    struct calibration_row told[LEARNED];
    struct calibrate_request request = {.told = told,
                                        .providers = providers,
                                        .models = models,
                                        .model_count = (size_t)range(test, 0, 2)};
    for (int i = LEARNED - 1; i >= 0; i--) // in any order
        if (range(test, 0, 1))
            told[request.told_count++] = (struct calibration_row){.provider = test->tenant,
                                                                  .model = models[i / 2],
                                                                  .subject = i % 2 * 5,
                                                                  .learned = some_ratios(test)};
    bool repeated = range(test, 0, 5) == 0;
    change_worker(test, index, repeated ? "calibrated = 1000000000" : "calibrated = 0");
    model->calibrated = repeated ? 1000000000 : 0;
    worker->answered = false;
    store_ops_pg()->calibrate(worker->store, &request);
    await(test, &worker->answered);
    struct db_asker asker = {
        .worker = worker->model_id, .serial = ++test->serial, .now_ms = NOW_MS};
    size_t count;
    struct calibration_row *rows = db_calibrate(&test->db, &asker, &request, &count);
    compare_learned(test, worker, rows, count);
    free(rows);
}

// Never 30 days to the hour.
static void op_learned_ages(struct test *test)
{
    char sql[300];
    int64_t hours = range(test, 1, 3) * 100;
    snprintf(sql, sizeof(sql),
             "update precis_data.calibrations set updated_at = updated_at - %" PRId64
             " * interval '1 h'",
             hours);
    run_sql(test, sql);
    for (size_t i = 0; i < test->db.calibrations_count; i++)
        test->db.calibrations[i].at_ms -= hours * 3600000;
}

static void op_bury(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    struct message message = {.topic = test->tenant,
                              .offset = range(test, 300, 304),
                              .value = "v",
                              .value_len = 1,
                              .timestamp_ms = 5};
    struct failure failure;
    failure_set(&failure, ERR_BAD_MESSAGE, "bad");
    struct bury_request request = {
        .owner = {1, 1}, .kind = BURY_DEAD, .message = &message, .failure = &failure};
    worker->answered = false;
    store_ops_pg()->bury(worker->store, &request);
    await(test, &worker->answered);
    struct answer model = {.letters = db_bury(&test->db, NOW_MS, &request) != 0};
    compare(test, "bury", &worker->answer, &model);
}

static void op_suspect(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    int64_t offset = range(test, 0, 3);
    worker->answered = false;
    store_ops_pg()->suspect(worker->store, test->tenant, 0, offset);
    await(test, &worker->answered);
    struct answer model = {.verdict = db_suspect(&test->db, test->tenant, 0, offset)};
    compare(test, "suspect", &worker->answer, &model);
}

static void op_partition(struct test *test)
{
    struct real_worker *worker = &test->workers[range(test, 0, WORKERS - 1)];
    struct partition_reply reply;
    worker->answered = false;
    store_ops_pg()->partition_begin(worker->store, test->tenant, 0);
    await(test, &worker->answered);
    db_partition_begin(&test->db, worker->model_id, test->tenant, 0, &reply);
    struct answer model = {.verdict = reply.unclean};
    free(reply.topic);
    compare(test, "partition_begin", &worker->answer, &model);
    if (range(test, 0, 1)) {
        store_ops_pg()->partition_clean(worker->store, test->tenant, 0);
        db_partition_clean(&test->db, worker->model_id, test->tenant, 0);
        worker->answered = false; // it has no answer: renewing comes after it
        store_ops_pg()->renew(worker->store);
        await(test, &worker->answered);
        worker->moved = false;
        db_renew(&test->db, worker->model_id, NOW_MS);
    }
}

// ------------------------------------------------------------------------------- a sequence

static void compare_parked(struct test *test, const struct db_job *job, int64_t real_no)
{
    char sql[300];
    snprintf(sql, sizeof(sql),
             "select ready::integer * 100 + (taken_by is not null)::integer * 1000 + urgency"
             " from precis_data.requeued where job_no = %" PRId64,
             real_no);
    int64_t real = ask_number(test, sql);
    int64_t model =
        job->requeued ? job->ready * 100 + (job->requeued_by != 0) * 1000 + job->urgency : -1;
    if (real != model)
        fail_msg("seed %" PRIu64 ": job %" PRId64 " is parked as %" PRId64 ", the model's %" PRId64,
                 test->seed, real_no, real, model);
}

static void compare_tables(struct test *test)
{
    char sql[600];
    for (size_t i = 0; i < test->number_count; i++) {
        const struct db_job *job = &test->db.jobs[test->numbers[i][1] - 1];
        int64_t real_no = test->numbers[i][0];
        int64_t cost = 0, doubts = 0, sent = 0, packed = 0;
        for (size_t a = 0; a < test->db.attempts_count; a++) {
            const struct db_attempt *attempt = &test->db.attempts[a];
            if (attempt->job_no != job->job_no)
                continue;
            cost += attempt->cost_picousd > 0 ? attempt->cost_picousd : 0;
            doubts += attempt->outcome == ATTEMPT_IN_DOUBT;
            sent += attempt->outcome == ATTEMPT_SENT;
            packed += attempt->pack != NULL;
        }
        snprintf(sql, sizeof(sql),
                 "select coalesce(sum(cost_picousd), 0) * 10000 + 100 * count(*) filter (where "
                 "outcome = 'in_doubt') + count(*) filter (where outcome = 'sent') from "
                 "precis_data.attempts where job_no = %" PRId64,
                 real_no);
        int64_t real = ask_number(test, sql);
        if (real != cost * 10000 + doubts * 100 + sent)
            fail_msg("seed %" PRIu64 ": the ledger of job %" PRId64 " is %" PRId64
                     ", the model's %" PRId64,
                     test->seed, real_no, real, cost * 10000 + doubts * 100 + sent);
        snprintf(sql, sizeof(sql),
                 "select count(pack) from precis_data.attempts where job_no = %" PRId64, real_no);
        assert_int_equal(ask_number(test, sql), packed);
        snprintf(sql, sizeof(sql),
                 "select count(*) from precis_data.outcomes where job_no = %" PRId64, real_no);
        assert_int_equal(ask_number(test, sql), job->outcomes);
        compare_parked(test, job, real_no);
        snprintf(sql, sizeof(sql),
                 "select count(*) from precis_data.jobs where job_no = %" PRId64
                 " and coalesce(document_sha256, '') = '%s'",
                 real_no, job->document_sha256);
        assert_int_equal(ask_number(test, sql), 1);
        snprintf(sql, sizeof(sql),
                 "select count(*) from precis_data.summaries where job_no = %" PRId64
                 " and cached_from is not null",
                 real_no);
        assert_int_equal(ask_number(test, sql), job->copied_from != 0);
    }
}

// The counts of a batch add up after every step.
static void compare_counts(struct test *test)
{
    char sql[400];
    snprintf(sql, sizeof(sql),
             "select count(*) from precis.batches where tenant = '%s' and total <> queued + waiting"
             " + running + done + failed + cancelled",
             test->tenant);
    if (ask_number(test, sql) != 0)
        fail_msg("seed %" PRIu64 " step %d: the counts of the batch do not add up", test->seed,
                 test->step);
}

static void begin_sequence(struct test *test, uint64_t seed)
{
    test->seed = seed;
    test->step = 0;
    rng_init(&test->rng, seed * 7919 + 1);
    test->held_count = test->number_count = 0;
    snprintf(test->tenant, sizeof(test->tenant), "t%" PRIu64 "-%d", seed, (int)getpid());
    db_init(&test->db, NOW_MS);
    for (int w = 0; w < WORKERS; w++) {
        change_worker(test, w,
                      "lease_until = clock_timestamp() + interval '15 s', unbroken_since "
                      "= clock_timestamp() - interval '1 h'");
        test->workers[w].model_id = db_register(&test->db, NOW_MS);
        test->db.workers[w].unbroken_since_ms = LONG_AGO_MS;
        test->workers[w].moved = true;
    }
}

static void run_sequence(struct test *test, uint64_t seed)
{
    static void (*const ops[])(struct test *) = {
        op_claim,       op_claim,      op_claim,       op_claim,        op_intend, op_intend,
        op_intend,      op_record,     op_record,      op_record,       op_record, op_look_up,
        op_renew,       op_lease_ends, op_time_passes, op_cancel,       op_bury,   op_suspect,
        op_partition,   op_keep,       op_keep,        op_fetch,        op_fetch,  op_fetch,
        op_budget,      op_budget,     op_park,        op_park,         op_take,   op_take,
        op_take,        op_seal,       op_pause,       op_reuse,        op_reuse,  op_reuse,
        op_answers_age, op_calibrate,  op_calibrate,   op_learned_ages,
    };
    begin_sequence(test, seed);
    for (test->step = 1; test->step <= OPS; test->step++) {
        ops[range(test, 0, (int64_t)(sizeof(ops) / sizeof(ops[0])) - 1)](test);
        if (range(test, 0, 7) == 0)
            compare_counts(test);
    }
    compare_tables(test);
    compare_budgets(test);
    run_sql(test, "delete from precis_data.requeued");
    run_sql(test, "delete from precis_data.pauses");
    run_sql(test, "delete from precis_data.calibrations");
    run_sql(test, "delete from precis_data.budgets"); // of other sequences: nobody's wall
    db_deinit(&test->db);
}

static void tell_nobody(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static uint64_t sequences = 2000, first = 1;

static void test_differential(void **state)
{
    (void)state;
    struct test *test = own_alloc(sizeof(*test));
    struct pg_error error;
    edge_pg_init(&test->pg);
    assert_true(migrate_up(test->pg.dsn, tell_nobody, NULL, &error));
    test->sql = pg_session_open(test->pg.dsn, "differential", &error);
    assert_non_null(test->sql);
    uv_loop_init(&test->loop);
    for (int w = 0; w < WORKERS; w++)
        start_worker(test, w);
    // Takeovers need a server that has run for one lease.
    while (ask_number(test, "select extract(epoch from clock_timestamp() - "
                            "pg_postmaster_start_time())::integer") < 16)
        usleep(200000);
    uint64_t begin = uv_hrtime();
    for (uint64_t i = 0; i < sequences; i++)
        run_sequence(test, first + i);
    printf("%" PRIu64 " sequences of %d operations agree, %.1f s\n", sequences, OPS,
           (double)(uv_hrtime() - begin) / 1e9);
    for (int w = 0; w < WORKERS; w++)
        store_free(test->workers[w].store);
    uv_run(&test->loop, UV_RUN_DEFAULT);
    uv_loop_close(&test->loop);
    pg_session_close(test->sql);
    edge_pg_deinit(&test->pg);
    free(test);
}

int main(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--sequences") == 0)
            sequences = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first = strtoull(argv[i + 1], NULL, 10);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_differential)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
