// SPDX-License-Identifier: Apache-2.0
// The store on a real PostgreSQL: every operation and verdict, application twice over, takeover,
// and the isolation of rows that PostgreSQL refuses.
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/own.h"
#include "core/spec.h"
#include "core/text.h"
#include "edge_pg.h"
#include "io/migrate.h"
#include "io/store.h"

enum { LEASE_MS = 400, EVENTS_MAX = 3000 };

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
};

static struct edge_pg pg;
static uv_loop_t loop;
static struct log *no_log;

// ------------------------------------------------------------------------------- harness

static void copy_announcement(struct seen *seen, const struct announcement *announcement)
{
    seen->id = announcement->id;
    seen->announcement = announcement->kind;
    const struct message *message = &announcement->message;
    snprintf(seen->text, sizeof(seen->text), "%.*s", (int)message->value_len,
             message->value ? (const char *)message->value : "");
    snprintf(seen->key, sizeof(seen->key), "%.*s", (int)message->key_len,
             message->key ? (const char *)message->key : "");
    for (size_t i = 0; i < message->header_count; i++) {
        size_t len = strlen(seen->headers);
        const struct header *header = &message->headers[i];
        snprintf(seen->headers + len, sizeof(seen->headers) - len, "%s=%.*s;", header->name,
                 header->value ? (int)header->value_len : 4,
                 header->value ? (const char *)header->value : "NULL");
    }
}

static void copy_claim(struct seen *seen, struct claim_reply *reply)
{
    seen->verdict = (int)reply->verdict;
    seen->job_no = reply->job_no;
    seen->epoch = reply->epoch;
    seen->crashes = reply->crashes;
    seen->stop = reply->stop;
    memcpy(seen->sqlstate, reply->sqlstate, sizeof(seen->sqlstate));
    seen->reply = *reply;
    *reply = (struct claim_reply){0};
}

static void copy_event(struct seen *seen, const struct store_event *event)
{
    switch (event->kind) {
    case STORE_CLAIMED:
        copy_claim(seen, event->u.claimed);
        break;
    case STORE_LOOKED_UP:
        seen->verdict = (int)event->u.looked_up.verdict;
        break;
    case STORE_INTENDED:
        seen->verdict = (int)event->u.intended.verdict;
        seen->stop = event->u.intended.stop;
        memcpy(seen->sqlstate, event->u.intended.sqlstate, sizeof(seen->sqlstate));
        break;
    case STORE_RECORDED:
        seen->verdict = (int)event->u.recorded.verdict;
        memcpy(seen->sqlstate, event->u.recorded.sqlstate, sizeof(seen->sqlstate));
        seen->count = event->u.recorded.announcement_count;
        if (seen->count > 0)
            copy_announcement(seen, &event->u.recorded.announcements[0]);
        break;
    case STORE_FETCHED:
        snprintf(seen->text, sizeof(seen->text), "%s",
                 event->u.fetched.text ? event->u.fetched.text : "(null)");
        break;
    case STORE_BURIED:
        seen->count = event->u.buried.announcement ? 1 : 0;
        if (seen->count > 0)
            copy_announcement(seen, event->u.buried.announcement);
        break;
    case STORE_PARTITION:
        snprintf(seen->text, sizeof(seen->text), "%s", event->u.partition->topic);
        seen->known = event->u.partition->known;
        seen->topic_known = event->u.partition->topic_known;
        seen->unclean = event->u.partition->unclean;
        break;
    case STORE_SUSPECTED:
        seen->count = (size_t)event->u.suspected.times;
        break;
    case STORE_RENEWED:
        seen->broken = event->u.renewed.broken;
        seen->id = event->u.renewed.db_now_ms;
        break;
    case STORE_SWEPT:
        seen->count = event->u.swept.announcement_count;
        if (seen->count > 0)
            copy_announcement(seen, &event->u.swept.announcements[0]);
        break;
    case STORE_REQUEUED:
        seen->count = event->u.requeued.job_count;
        if (seen->count > 0) {
            const struct requeued_job *job = &event->u.requeued.jobs[0];
            seen->job_no = job->job_no;
            seen->id = job->message.offset;
            snprintf(seen->text, sizeof(seen->text), "%.*s", (int)job->message.value_len,
                     (const char *)job->message.value);
            snprintf(seen->key, sizeof(seen->key), "%.*s", (int)job->message.key_len,
                     (const char *)job->message.key);
        }
        break;
    case STORE_SEALED:
    case STORE_RELEASED:
    case STORE_UP:
    case STORE_DOWN:
        break;
    }
}

static void on_event(void *context, const struct store_event *event)
{
    struct worker *worker = context;
    if (event->kind == STORE_UP) {
        worker->ups++;
        return;
    }
    if (event->kind == STORE_DOWN) {
        worker->downs++;
        return;
    }
    assert_true(worker->seen_len < EVENTS_MAX);
    struct seen *seen = &worker->seen[worker->seen_len++];
    *seen = (struct seen){.kind = event->kind, .owner = event->owner.index};
    copy_event(seen, event);
}

static void on_refused(void *context, const char *text)
{
    struct worker *worker = context;
    snprintf(worker->refused, sizeof(worker->refused), "%s", text);
}

static void on_deadline(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

// Runs the loop until the worker has seen that many events in all, or the time is up.
static bool run_until(const struct worker *worker, size_t seen_len, int ups, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(&loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_deadline, ms, 0);
    while (!over && (worker->seen_len < seen_len || worker->ups < ups) && !worker->refused[0])
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
    return worker->seen_len >= seen_len && worker->ups >= ups;
}

static void wait_ms(uint64_t ms)
{
    struct worker *nobody = own_alloc(sizeof(*nobody));
    run_until(nobody, 1, 0, ms);
    free(nobody);
}

static struct worker *worker_new_on(const char *dsn, const char *name)
{
    struct worker *worker = own_alloc(sizeof(*worker));
    worker->loop = &loop;
    worker->ops = store_ops_pg();
    struct store_options options = {.database = dsn,
                                    .worker = name,
                                    .group = "g",
                                    .lease_ms = LEASE_MS,
                                    .log = no_log,
                                    .context = worker,
                                    .on_event = on_event,
                                    .on_refused = on_refused};
    worker->store = store_new(&loop, &options);
    return worker;
}

static struct worker *worker_new(const char *name)
{
    struct worker *worker = worker_new_on(pg.dsn, name);
    assert_true(run_until(worker, 0, 1, 10000));
    return worker;
}

static void worker_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->seen_len; i++)
        claim_reply_deinit(&worker->seen[i].reply);
    store_free(worker->store);
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    free(worker);
}

// The next event, which has to be of that kind.
static struct seen *next(struct worker *worker, enum store_event_kind kind)
{
    if (!run_until(worker, worker->taken + 1, 0, 10000))
        fail_msg("no event of kind %d came", (int)kind);
    struct seen *seen = &worker->seen[worker->taken++];
    assert_int_equal(seen->kind, kind);
    return seen;
}

static void assert_answer(const char *sql, const char *expected)
{
    char *answer = edge_pg_ask(&pg, sql);
    assert_string_equal(answer ? answer : "(null)", expected);
    free(answer);
}

static struct slot_id owner_of(uint32_t index)
{
    return (struct slot_id){.index = index, .generation = 1};
}

static struct seen *renew(struct worker *worker)
{
    worker->ops->renew(worker->store);
    return next(worker, STORE_RENEWED);
}

// ------------------------------------------------------------------------------- requests

static struct job_spec spec_of(const char *id, int64_t revision, const char *text)
{
    struct job_spec spec;
    job_spec_init(&spec);
    spec.tenant = own_strdup("t");
    spec.batch = own_strdup("b");
    spec.id = own_strdup(id);
    spec.revision = revision;
    spec.labels_json = own_strdup("{\"matter\": \"4711\"}");
    spec.spec_json = own_strdup("{\"v\": 1}");
    spec.model = own_strdup("default");
    spec.document = DOCUMENT_TEXT;
    spec.text = own_strdup(text);
    spec.text_len = strlen(text);
    text_sha256_hex(text, spec.text_len, spec.document_sha256);
    memcpy(spec.content_hash, spec.document_sha256, sizeof(spec.content_hash));
    return spec;
}

static void claim_spec(struct worker *worker, struct job_spec *spec, uint32_t owner, int64_t serial,
                       int64_t offset)
{
    struct claim_request request = {.owner = owner_of(owner),
                                    .serial = serial,
                                    .spec = spec,
                                    .topic = "jobs",
                                    .partition = 3,
                                    .offset = offset,
                                    .submitted_at_ms = 1700000000123};
    worker->ops->claim(worker->store, &request);
}

static struct seen *claim(struct worker *worker, const char *id, int64_t revision, const char *text)
{
    struct job_spec spec = spec_of(id, revision, text);
    claim_spec(worker, &spec, 7, ++worker->serial, 42);
    job_spec_deinit(&spec);
    return next(worker, STORE_CLAIMED);
}

static const struct plan_row a_plan = {.plan_no = 1,
                                       .model = "grok-4.3",
                                       .prompt_version = "summary-1",
                                       .text_sha256 = "abc",
                                       .calls_json = "[[0, 10]]"};

static void ask_intent(struct worker *worker, const struct seen *claimed, int32_t call_no,
                       int32_t attempt_no)
{
    struct intent_request request = {.owner = owner_of(8),
                                     .job_no = claimed->job_no,
                                     .epoch = claimed->epoch,
                                     .plan_no = 1,
                                     .call_no = call_no,
                                     .attempt_no = attempt_no,
                                     .provider = "xai",
                                     .model = "grok-4.3",
                                     .key_name = "main",
                                     .reasoning_mode = "auto",
                                     .price_version = "2026-11-01",
                                     .at_most_picousd = 5000000000,
                                     .plan = &a_plan};
    worker->ops->intend(worker->store, &request);
}

static struct seen *intend(struct worker *worker, const struct seen *claimed, int32_t call_no,
                           int32_t attempt_no)
{
    ask_intent(worker, claimed, call_no, attempt_no);
    return next(worker, STORE_INTENDED);
}

static struct attempt_result ok_attempt(int32_t call_no, int32_t attempt_no)
{
    return (struct attempt_result){
        .plan_no = 1,
        .call_no = call_no,
        .attempt_no = attempt_no,
        .outcome = ATTEMPT_OK,
        .http_status = 200,
        .usage = {.known = true, .input_tokens = 12500, .cached_tokens = 10, .output_tokens = 625},
        .cost_picousd = 3750000000,
        .cost_source = COST_EXACT,
        .cost_reported_picousd = -1,
        .response_model = "grok-4.3-x",
        .request_id = "r-1",
        .finish_reason = "stop",
        .started_at_ms = 1700000001000,
        .ttft_ms = 120,
        .duration_ms = 900,
    };
}

static const char *const points[] = {"one \"quoted\"", "two \\ back", "", "NULL", "{a,b}"};
static const char *const warnings[] = {"cut"};
static const struct citation_row citations[] = {
    {.point = 1, .quote = "it says 'so'", .found = true, .from = 3, .to = 9},
    {.point = 0, .path = "/a/0", .quote = "no", .found = false, .from = -1, .to = -1},
};

static struct summary_row a_summary(void)
{
    return (struct summary_row){
        .summary = "Short.",
        .key_points = points,
        .key_point_count = 5,
        .output_json = "{\"summary\": \"Short.\", \"key_points\": [\"one\"]}",
        .warnings = warnings,
        .warning_count = 1,
        .citations = citations,
        .citation_count = 2,
        .document_name = "msa.txt",
        .document_sha256 = "abc",
        .model = "grok-4.3",
        .response_model = "grok-4.3-x",
        .prompt_version = "summary-1",
    };
}

static void ask_done(struct worker *worker, const struct seen *claimed)
{
    struct attempt_result attempt = ok_attempt(1, 1);
    struct part_row part = {.plan_no = 1,
                            .call_no = 1,
                            .model = "grok-4.3",
                            .from = 0,
                            .to = 10,
                            .answer = "{\"summary\": \"Short.\"}"};
    struct summary_row summary = a_summary();
    struct outcome_row outcome = {.state = JOB_DONE, .summary = &summary, .announce = true};
    struct record_request request = {.owner = owner_of(9),
                                     .job_no = claimed->job_no,
                                     .epoch = claimed->epoch,
                                     .attempt = &attempt,
                                     .part = &part,
                                     .outcome = &outcome};
    worker->ops->record(worker->store, &request);
}

static struct seen *finish(struct worker *worker, const struct seen *claimed)
{
    ask_done(worker, claimed);
    return next(worker, STORE_RECORDED);
}

static const struct header two_headers[] = {{"traceparent", "00-a", 4}, {"x", NULL, 0}};

static struct message a_message(int64_t offset)
{
    return (struct message){.topic = "jobs",
                            .partition = 3,
                            .offset = offset,
                            .timestamp_ms = 1700000000000,
                            .key = "the\0key",
                            .key_len = 7,
                            .value = "{\"not\": \xff}",
                            .value_len = 9,
                            .headers = two_headers,
                            .header_count = 2};
}

static struct seen *fail_job(struct worker *worker, const struct seen *claimed, int64_t offset)
{
    struct message message = a_message(offset);
    struct outcome_row outcome = {.state = JOB_FAILED,
                                  .error_code = "http_503",
                                  .error = "xAI API error 503: busy.",
                                  .suggestion = "Later.",
                                  .dead_letter = &message,
                                  .attempts = 6,
                                  .announce = false};
    struct record_request request = {.owner = owner_of(9),
                                     .job_no = claimed->job_no,
                                     .epoch = claimed->epoch,
                                     .outcome = &outcome};
    worker->ops->record(worker->store, &request);
    return next(worker, STORE_RECORDED);
}

static enum lookup_verdict look_up(struct worker *worker, int64_t job_no)
{
    worker->ops->look_up(worker->store, owner_of(1), job_no);
    return (enum lookup_verdict)next(worker, STORE_LOOKED_UP)->verdict;
}

// ------------------------------------------------------------------------------- the way of a job

static void test_one_job(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "one", 0, "some text");
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_int_equal(claimed->owner, 7);
    assert_int_equal(claimed->epoch, 1);
    assert_int_equal(claimed->stop, STOP_NONE);
    assert_true(claimed->job_no > 0);
    assert_answer("select state || ' ' || waiting_for || ' ' || kafka_topic || ' '"
                  " || (labels->>'matter') || ' ' || submitted_at from precis.jobs",
                  "waiting order jobs 4711 2023-11-14 22:13:20.123+00");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    assert_answer("select state from precis.jobs", "running");
    struct seen *done = finish(a, claimed);
    assert_int_equal(done->verdict, RECORD_DONE);
    assert_int_equal(done->count, 1);
    assert_int_equal(done->announcement, ANNOUNCE_RESULT);
    assert_string_equal(done->key, "t/b/one");
    assert_non_null(strstr(done->text, "\"cost_usd\" : \"0.00375\""));
    assert_non_null(strstr(done->text, "\"input_tokens\" : 12500"));
    assert_non_null(strstr(done->text, "\"state\" : \"done\""));
    assert_answer("select state || ' ' || cost_usd || ' ' || attempts || ' ' || worker"
                  " from precis.jobs",
                  "done 0.00375 1 a");
    assert_answer("select array_to_string(key_points, '|') || '#' || warnings[1] || cost_usd"
                  " from precis.summaries",
                  "one \"quoted\"|two \\ back||NULL|{a,b}#cut0.00375");
    assert_answer("select string_agg(concat_ws(',', point, path, quote, found, char_start), ';'"
                  " order by found) from precis.citations",
                  "/a/0,no,f;1,it says 'so',t,3");
    assert_answer("select call_id || ' ' || outcome || ' ' || cost_source || ' ' || cost_usd"
                  " || ' ' || key_name || ' ' || coalesce(at_most_usd::text, '-')"
                  " from precis.costs",
                  "t/b/one/0/1 ok exact 0.00375 main -");
    a->ops->fetch(a->store, owner_of(5), "no such");
    assert_string_equal(next(a, STORE_FETCHED)->text, "(null)");
    char sha256[65];
    text_sha256_hex("some text", 9, sha256);
    a->ops->fetch(a->store, owner_of(5), sha256);
    assert_string_equal(next(a, STORE_FETCHED)->text, "some text");
    a->ops->announced(a->store, ANNOUNCE_RESULT, done->id);
    a->ops->fetch(a->store, owner_of(5), "wait");
    next(a, STORE_FETCHED);
    wait_ms(50);
    assert_answer("select count(*) from precis_data.outbox", "0");
    worker_free(a);
}

static void test_claim_verdicts(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *first = claim(a, "v", 1, "text");
    assert_int_equal(first->verdict, CLAIM_MINE);
    // The same request again is recognised by its serial; another of this worker is held.
    struct job_spec spec = spec_of("v", 1, "text");
    claim_spec(a, &spec, 7, a->serial, 42);
    struct seen *again = next(a, STORE_CLAIMED);
    assert_int_equal(again->verdict, CLAIM_MINE);
    assert_int_equal(again->job_no, first->job_no);
    assert_int_equal(again->epoch, 1);
    job_spec_deinit(&spec);
    struct seen *other = claim(a, "v", 1, "text");
    assert_int_equal(other->verdict, CLAIM_HELD);
    assert_int_equal(other->job_no, first->job_no);
    assert_int_equal(claim(b, "v", 1, "text")->verdict, CLAIM_HELD);
    assert_int_equal(claim(b, "v", 1, "other")->verdict, CLAIM_CONFLICT);
    assert_int_equal(claim(b, "v", 0, "text")->verdict, CLAIM_STALE);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    assert_int_equal(look_up(b, 0), LOOKUP_FREE);
    // A higher revision is a new run, and stops the older one.
    struct seen *second = claim(b, "v", 2, "text");
    assert_int_equal(second->verdict, CLAIM_MINE);
    assert_int_not_equal(second->job_no, first->job_no);
    struct seen *stopped = intend(a, first, 1, 1);
    assert_int_equal(stopped->verdict, INTENT_STOPPED);
    assert_int_equal(stopped->stop, STOP_SUPERSEDED);
    assert_int_equal(claim(b, "v", 1, "other")->verdict, CLAIM_STALE);
    finish(b, second);
    assert_int_equal(claim(a, "v", 2, "text")->verdict, CLAIM_FINISHED);
    assert_int_equal(look_up(a, second->job_no), LOOKUP_FINISHED);
    assert_answer("select string_agg(revision || state, ' ' order by revision) from precis.jobs"
                  " where job_id = 'v'",
                  "1waiting 2done");
    worker_free(a);
    worker_free(b);
}

// All of one group: the later ones of equal keys see what the first has done.
static void test_duplicates_in_one_group(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct job_spec same = spec_of("dup", 0, "x"), other = spec_of("dup", 0, "y"),
                    higher = spec_of("dup", 3, "z");
    claim_spec(a, &same, 1, 101, 1);
    claim_spec(a, &same, 2, 102, 2);
    claim_spec(a, &other, 3, 103, 3);
    claim_spec(a, &higher, 4, 104, 4);
    claim_spec(a, &other, 5, 105, 5);
    static const enum claim_verdict expected[] = {CLAIM_MINE, CLAIM_HELD, CLAIM_CONFLICT,
                                                  CLAIM_MINE, CLAIM_STALE};
    for (uint32_t i = 0; i < 5; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_int_equal(seen->owner, i + 1);
        assert_int_equal(seen->verdict, expected[i]);
    }
    job_spec_deinit(&same);
    job_spec_deinit(&other);
    job_spec_deinit(&higher);
    worker_free(a);
}

static void test_takeover(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *first = claim(a, "take", 0, "text");
    assert_int_equal(intend(a, first, 1, 1)->verdict, INTENT_GO);
    struct attempt_result attempt = ok_attempt(1, 1);
    struct part_row part = {.plan_no = 1, .call_no = 1, .model = "m", .to = 5, .answer = "kept"};
    struct record_request request = {.owner = owner_of(9),
                                     .job_no = first->job_no,
                                     .epoch = 1,
                                     .attempt = &attempt,
                                     .part = &part};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_int_equal(intend(a, first, 2, 1)->verdict, INTENT_GO); // in doubt later
    // b's own lease has to be unbroken for one lease; a's has to have ended.
    for (int i = 0; i < 6; i++) {
        wait_ms(LEASE_MS / 4);
        assert_false(renew(b)->broken);
    }
    assert_int_equal(look_up(b, first->job_no), LOOKUP_FREE);
    assert_answer("select state || waiting_for from precis.jobs where job_id = 'take'",
                  "waitingclaimed");
    // a's lease has ended: no new call begins, and no claim.
    assert_int_equal(intend(a, first, 3, 1)->verdict, INTENT_NO_LEASE);
    struct seen *refused = claim(a, "take-new", 0, "text");
    assert_int_equal(refused->verdict, CLAIM_HELD);
    assert_int_equal(refused->job_no, 0);
    struct seen *taken = claim(b, "take", 0, "text");
    assert_int_equal(taken->verdict, CLAIM_MINE);
    assert_int_equal(taken->epoch, 2);
    assert_int_equal(taken->crashes, 1);
    assert_int_equal(taken->reply.plan_count, 1);
    assert_string_equal(taken->reply.plans[0].calls_json, "[[0, 10]]");
    assert_int_equal(taken->reply.part_count, 1);
    assert_string_equal(taken->reply.parts[0].answer, "kept");
    assert_int_equal(taken->reply.attempt_count, 2);
    assert_int_equal(taken->reply.attempts[0].outcome, ATTEMPT_OK);
    assert_int_equal(taken->reply.attempts[1].outcome, ATTEMPT_IN_DOUBT);
    assert_string_equal(taken->reply.attempts[1].code, "in_doubt");
    assert_answer("select coalesce(cost_usd::text, '-') || at_most_usd || cost_source"
                  " from precis.costs where job_id = 'take' and outcome = 'in_doubt'",
                  "-0.005in_doubt");
    // The fence: a's new attempts and outcome, even after it has renewed; its answer is kept.
    assert_true(renew(a)->broken);
    assert_int_equal(intend(a, first, 3, 1)->verdict, INTENT_FENCED);
    attempt.call_no = 2;
    part.call_no = 2;
    struct summary_row summary = a_summary();
    struct outcome_row outcome = {.state = JOB_DONE, .summary = &summary, .announce = true};
    request.outcome = &outcome;
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_FENCED);
    assert_answer(
        "select count(*) filter (where outcome = 'ok') || ' ' || trim_scale(sum(cost_usd))"
        " from precis.costs where job_id = 'take'",
        "2 0.0075");
    assert_answer("select count(*) from precis_data.parts p join precis_data.jobs j using (job_no)"
                  " where j.id = 'take'",
                  "2");
    assert_int_equal(finish(b, taken)->verdict, RECORD_DONE);
    assert_int_equal(look_up(a, first->job_no), LOOKUP_FINISHED);
    worker_free(a);
    worker_free(b);
}

// A worker whose own lease was broken waits for a lease before it takes over.
static void test_takeover_needs_an_unbroken_lease(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *first = claim(a, "broken", 0, "text");
    wait_ms(LEASE_MS + 100);
    assert_true(renew(b)->broken);
    assert_int_equal(look_up(b, first->job_no), LOOKUP_HELD);
    assert_int_equal(claim(b, "broken", 0, "text")->verdict, CLAIM_HELD);
    for (int i = 0; i < 5; i++) {
        wait_ms(LEASE_MS / 4);
        assert_false(renew(b)->broken);
    }
    assert_int_equal(look_up(b, first->job_no), LOOKUP_FREE);
    assert_int_equal(claim(b, "broken", 0, "text")->verdict, CLAIM_MINE);
    worker_free(a);
    worker_free(b);
}

static void test_release(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *open = claim(a, "rel", 0, "text");
    struct seen *done = claim(a, "rel-done", 0, "text");
    finish(a, done);
    a->ops->release(a->store);
    next(a, STORE_RELEASED);
    assert_int_equal(look_up(b, open->job_no), LOOKUP_FREE);
    assert_answer("select state from precis.jobs where job_id = 'rel'", "queued");
    assert_answer("select state from precis.workers where worker = 'a' order by started_at desc",
                  "ended");
    renew(b);
    struct seen *taken = claim(b, "rel", 0, "text");
    assert_int_equal(taken->verdict, CLAIM_MINE);
    assert_int_equal(taken->epoch, 2);
    assert_int_equal(taken->crashes, 0);
    worker_free(a);
    worker_free(b);
}

static void test_intents(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "int", 0, "text");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO);
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO); // the answer was lost
    struct seen other = *claimed;
    other.epoch = 9;
    assert_int_equal(intend(a, &other, 1, 2)->verdict, INTENT_FENCED);
    edge_pg_run(&pg,
                "insert into precis_data.cancels (tenant, batch, id) values ('t', 'b', 'int')");
    assert_int_equal(intend(a, claimed, 1, 1)->verdict, INTENT_GO); // it was said before
    struct seen *stopped = intend(a, claimed, 1, 2);
    assert_int_equal(stopped->verdict, INTENT_STOPPED);
    assert_int_equal(stopped->stop, STOP_CANCELLED);
    assert_answer("select count(*) from precis.costs where job_id = 'int'", "1");
    struct outcome_row outcome = {.state = JOB_CANCELLED, .error_code = "cancelled"};
    struct record_request request = {
        .owner = owner_of(9), .job_no = claimed->job_no, .epoch = 1, .outcome = &outcome};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_answer("select count(*) from precis_data.cancels", "0"); // gone with its job
    assert_int_equal(intend(a, claimed, 1, 3)->verdict, INTENT_FENCED);
    // A cancelled batch stops its jobs, also those claimed later.
    edge_pg_run(&pg, "insert into precis_data.batches (tenant, name, cancelled_at)"
                     " values ('t', 'gone', now())");
    struct job_spec spec = spec_of("late", 0, "text");
    free(spec.batch);
    spec.batch = own_strdup("gone");
    claim_spec(a, &spec, 7, ++a->serial, 1);
    struct seen *late = next(a, STORE_CLAIMED);
    assert_int_equal(late->verdict, CLAIM_MINE);
    assert_int_equal(late->stop, STOP_CANCELLED);
    job_spec_deinit(&spec);
    worker_free(a);
}

// ------------------------------------------------------------------------------- twice

static void test_records_twice(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "twice", 0, "text");
    intend(a, claimed, 1, 1);
    struct seen *once = finish(a, claimed);
    struct seen *again = finish(a, claimed);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 1); // still to be announced
    assert_int_equal(again->id, once->id);
    edge_pg_run(&pg, "delete from precis_data.outbox");
    again = finish(a, claimed);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 0); // announced by somebody else
    assert_answer("select count(*) from precis.summaries where job_id = 'twice'", "1");
    assert_answer("select count(*) from precis.citations where job_id = 'twice'", "2");
    assert_answer("select sum(cost_usd) from precis.costs where job_id = 'twice'", "0.00375");
    worker_free(a);
}

// How many there were: 0 while the store connects.
static long kill_backends(const char *name)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "select count(pg_terminate_backend(pid)) from pg_stat_activity"
             " where application_name = 'precis:%s' and datname = current_database()",
             name);
    char *answer = edge_pg_ask(&pg, sql);
    long count = strtol(answer, NULL, 10);
    free(answer);
    return count;
}

// The connection is killed under load: every request is answered, once.
static void test_killed_connections(void **state)
{
    (void)state;
    enum { JOBS = 300 };
    struct worker *a = worker_new("killed");
    bool answered[JOBS] = {0};
    size_t before = a->seen_len;
    for (uint32_t i = 0; i < JOBS; i++) {
        char id[20];
        snprintf(id, sizeof(id), "kill-%u", i);
        struct job_spec spec = spec_of(id, 0, "text");
        claim_spec(a, &spec, i, 1000 + i, i);
        job_spec_deinit(&spec);
        if (i % 50 == 49) {
            run_until(a, before + i / 2, 0, 4);
            kill_backends("killed");
        }
    }
    assert_true(run_until(a, before + JOBS, 0, 20000));
    wait_ms(100);
    assert_int_equal(a->seen_len, before + JOBS);
    assert_true(a->downs >= 1);
    for (size_t i = 0; i < JOBS; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_int_equal(seen->verdict, CLAIM_MINE);
        assert_int_equal(seen->epoch, 1);
        assert_false(answered[seen->owner]);
        answered[seen->owner] = true;
    }
    worker_free(a);
}

// ------------------------------------------------------------------------------- bad rows

static void test_bad_rows_stand_alone(void **state)
{
    (void)state;
    enum { JOBS = 60, BAD = 37 };
    struct worker *a = worker_new("a");
    for (uint32_t i = 0; i < JOBS; i++) {
        char id[20];
        snprintf(id, sizeof(id), "bad-%02u", i);
        struct job_spec spec = spec_of(id, 0, "text");
        if (i == BAD) {
            free(spec.labels_json);
            spec.labels_json = own_strdup("{\"SECRET\": }");
        }
        claim_spec(a, &spec, i, 2000 + i, i);
        job_spec_deinit(&spec);
    }
    struct seen *claims[JOBS] = {0};
    for (int i = 0; i < JOBS; i++) {
        struct seen *seen = next(a, STORE_CLAIMED);
        assert_null(claims[seen->owner]);
        claims[seen->owner] = seen;
        assert_int_equal(seen->verdict, seen->owner == BAD ? CLAIM_REJECTED : CLAIM_MINE);
    }
    assert_string_equal(claims[BAD]->sqlstate, "22P02");
    struct summary_row summary = a_summary();
    struct outcome_row outcome = {.state = JOB_DONE, .summary = &summary};
    for (uint32_t i = 0; i < JOBS; i++) {
        summary.output_json = i == 5 ? "{\"a\": \"\\u0000\"}" : "{}";
        struct record_request request = {
            .owner = owner_of(i), .job_no = claims[i]->job_no, .epoch = 1, .outcome = &outcome};
        if (i != BAD)
            a->ops->record(a->store, &request);
    }
    for (int i = 0; i < JOBS - 1; i++) {
        struct seen *seen = next(a, STORE_RECORDED);
        assert_int_equal(seen->verdict, seen->owner == 5 ? RECORD_REJECTED : RECORD_DONE);
        if (seen->owner == 5)
            assert_string_equal(seen->sqlstate, "22P05");
    }
    assert_answer("select count(*) from precis.jobs where job_id like 'bad-%' and state = 'done'",
                  "58");
    worker_free(a);
}

static void test_dirty_text(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "dirty", 0, "text");
    struct attempt_result attempt = ok_attempt(1, 1);
    attempt.outcome = ATTEMPT_FAILED;
    attempt.error = "bad \xff\xfe bytes";
    attempt.answer = "\"\\{},NULL";
    attempt.request_id = "\xed\xa0\x80";
    struct record_request request = {
        .owner = owner_of(9), .job_no = claimed->job_no, .epoch = 1, .attempt = &attempt};
    a->ops->record(a->store, &request);
    assert_int_equal(next(a, STORE_RECORDED)->verdict, RECORD_DONE);
    assert_answer("select error || '|' || answer from precis_data.attempts a"
                  " join precis_data.jobs j using (job_no) where j.id = 'dirty'",
                  "bad \xef\xbf\xbd\xef\xbf\xbd bytes|\"\\{},NULL");
    worker_free(a);
}

// ------------------------------------------------------------------------------- dead letters

static void test_dead_letters(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *claimed = claim(a, "dead", 0, "text");
    struct seen *failed = fail_job(a, claimed, 900);
    assert_int_equal(failed->verdict, RECORD_DONE);
    assert_int_equal(failed->count, 1);
    assert_int_equal(failed->announcement, ANNOUNCE_DEAD_LETTER);
    static const char *const parts[] = {"traceparent=00-a;",
                                        "x=NULL;",
                                        "precis-error-code=http_503;",
                                        "precis-job=t/b/dead;",
                                        "precis-topic=jobs;",
                                        "precis-partition=3;",
                                        "precis-offset=900;",
                                        "precis-attempts=6;",
                                        "precis-suggestion=Later.;",
                                        "precis-worker=a;",
                                        "precis-timestamp=1700000000000;",
                                        "precis-failed-at=20",
                                        "precis-error=xAI API error 503: busy.;"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(failed->headers, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], failed->headers);
    }
    assert_string_equal(failed->text, "{\"not\": \xff");
    assert_answer("select encode(key, 'hex') || labels::text from precis.dead_letters"
                  " where job_id = 'dead'",
                  "746865006b6579{\"matter\": \"4711\"}");
    a->ops->announced(a->store, ANNOUNCE_DEAD_LETTER, failed->id);
    wait_ms(50);
    struct seen *again = fail_job(a, claimed, 900);
    assert_int_equal(again->verdict, RECORD_DONE);
    assert_int_equal(again->count, 0);
    worker_free(a);
}

static void bury(struct worker *worker, const struct message *message, enum bury_kind kind)
{
    struct failure failure;
    failure_set(&failure, ERR_BAD_MESSAGE, "not JSON at byte %d", 8);
    struct bury_request request = {.owner = owner_of(4),
                                   .kind = kind,
                                   .message = message,
                                   .version = kind == BURY_LATER ? 2 : 0,
                                   .failure = &failure};
    worker->ops->bury(worker->store, &request);
}

static void test_bury(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct message message = a_message(77);
    bury(a, &message, BURY_DEAD);
    struct seen *buried = next(a, STORE_BURIED);
    assert_int_equal(buried->owner, 4);
    assert_int_equal(buried->count, 1);
    assert_non_null(strstr(buried->headers, "precis-error-code=bad_message;"));
    assert_non_null(strstr(buried->headers, "precis-error=not JSON at byte 8;"));
    bury(a, &message, BURY_DEAD); // redelivered
    assert_int_equal(next(a, STORE_BURIED)->count, 0);
    assert_answer("select count(*) from precis.dead_letters where kafka_offset = 77", "1");
    // A value that no topic takes stays in the table.
    char *large = own_alloc(1000001);
    memset(large, 'x', 1000000);
    struct message big = {
        .topic = "jobs", .offset = 78, .timestamp_ms = -1, .value = large, .value_len = 1000000};
    bury(a, &big, BURY_DEAD);
    buried = next(a, STORE_BURIED);
    assert_string_equal(buried->text, "");
    assert_non_null(strstr(buried->headers, "precis-stored=dead_letters:"));
    assert_answer("select length(value) from precis.dead_letters where kafka_offset = 78",
                  "1000000");
    free(large);
    worker_free(a);
}

static void test_later_messages(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct message message = a_message(500);
    bury(a, &message, BURY_LATER);
    assert_int_equal(next(a, STORE_BURIED)->count, 0);
    bury(a, &message, BURY_LATER);
    next(a, STORE_BURIED);
    assert_answer("select job_id || state || waiting_for from precis.jobs where kafka_offset = 500",
                  "jobs:3:500waitingversion");
    a->ops->take_requeued(a->store, 10);
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0); // still too new
    edge_pg_run(&pg, "update precis_data.later_messages set version = 1");
    a->ops->take_requeued(a->store, 10);
    struct seen *taken = next(a, STORE_REQUEUED);
    assert_int_equal(taken->count, 1);
    assert_int_equal(taken->job_no, 0);
    assert_int_equal(taken->id, 500);
    a->ops->take_requeued(a->store, 10);
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0); // this worker has it
    struct job_spec spec = spec_of("was-later", 0, "text");
    claim_spec(a, &spec, 7, ++a->serial, 500);
    struct seen *claimed = next(a, STORE_CLAIMED);
    assert_int_equal(claimed->verdict, CLAIM_MINE);
    assert_answer("select count(*) from precis_data.later_messages", "0");
    assert_answer("select count(*) from precis_data.requeued", "1");
    finish(a, claimed);
    assert_answer("select count(*) from precis_data.requeued", "0");
    job_spec_deinit(&spec);
    worker_free(a);
}

static void test_requeued(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    struct seen *claimed = claim(a, "again", 0, "text");
    intend(a, claimed, 1, 1);
    fail_job(a, claimed, 901);
    // What `retry` does.
    edge_pg_run(&pg, "with j as (select job_no from precis_data.jobs where id = 'again'),"
                     " o as (delete from precis_data.outcomes where job_no in (select * from j)),"
                     " c as (update precis_data.claims set worker_id = null, stop = null,"
                     "  reopened_at = clock_timestamp(), reopened_epoch = epoch + 1"
                     "  where job_no in (select * from j))"
                     " insert into precis_data.requeued (job_no) select * from j");
    assert_answer("select state from precis.jobs where job_id = 'again'", "queued");
    b->ops->take_requeued(b->store, 10);
    struct seen *taken = next(b, STORE_REQUEUED);
    assert_int_equal(taken->count, 1);
    assert_int_equal(taken->job_no, claimed->job_no);
    assert_string_equal(taken->text, "{\"v\": 1}");
    assert_string_equal(taken->key, "t/b/again");
    a->ops->take_requeued(a->store, 10);
    assert_int_equal(next(a, STORE_REQUEUED)->count, 0);
    struct seen *reopened = claim(b, "again", 0, "text");
    assert_int_equal(reopened->verdict, CLAIM_MINE);
    assert_int_equal(reopened->epoch, 2);
    assert_int_equal(reopened->crashes, 0);
    assert_int_equal(reopened->reply.attempt_count, 1);
    assert_true(reopened->reply.attempts[0].reopened);
    // The failed run's late answer does not end the new one.
    assert_int_equal(finish(a, claimed)->verdict, RECORD_FENCED);
    assert_int_equal(fail_job(b, reopened, 901)->count, 1);
    assert_answer("select count(*) from precis.dead_letters where kafka_offset = 901", "1");
    assert_answer("select count(*) from precis_data.requeued", "0");
    worker_free(a);
    worker_free(b);
}

static void test_sweep(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    edge_pg_run(&pg, "delete from precis_data.outbox");
    edge_pg_run(&pg, "update precis_data.dead_letters set announced_at = now()");
    struct seen *claimed = claim(a, "swept", 0, "text");
    struct seen *done = finish(a, claimed);
    a->ops->sweep(a->store, 10);
    assert_int_equal(next(a, STORE_SWEPT)->count, 0); // too young
    edge_pg_run(&pg, "update precis_data.outbox set created_at = now() - interval '11 s'");
    a->ops->sweep(a->store, 10);
    struct seen *swept = next(a, STORE_SWEPT);
    assert_int_equal(swept->count, 1);
    assert_int_equal(swept->id, done->id);
    assert_string_equal(swept->text, done->text);
    a->ops->sweep(a->store, 10);
    assert_int_equal(next(a, STORE_SWEPT)->count, 0); // swept just now
    edge_pg_run(&pg, "update precis_data.dead_letters set announced_at = null,"
                     " failed_at = now() - interval '11 s' where kafka_offset = 77");
    a->ops->sweep(a->store, 10);
    swept = next(a, STORE_SWEPT);
    assert_int_equal(swept->count, 1);
    assert_int_equal(swept->announcement, ANNOUNCE_DEAD_LETTER);
    assert_non_null(strstr(swept->headers, "precis-offset=77;"));
    worker_free(a);
}

// ------------------------------------------------------------------------------- partitions

static struct seen *begin(struct worker *worker, const char *topic, int32_t partition)
{
    worker->ops->partition_begin(worker->store, topic, partition);
    return next(worker, STORE_PARTITION);
}

static void assert_begun(const struct seen *seen, bool known, bool topic_known, bool unclean)
{
    assert_int_equal(seen->known, known);
    assert_int_equal(seen->topic_known, topic_known);
    assert_int_equal(seen->unclean, unclean);
}

static void test_partitions(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    edge_pg_run(&pg, "delete from precis_data.partitions");
    assert_begun(begin(a, "jobs", 3), false, false, false);
    assert_begun(begin(b, "jobs", 3), false, false, true); // nothing was read there yet
    assert_int_equal(claim(b, "part", 0, "text")->verdict, CLAIM_MINE);
    b->ops->partition_clean(b->store, "jobs", 3);
    b->ops->fetch(b->store, owner_of(1), "wait");
    next(b, STORE_FETCHED);
    assert_begun(begin(a, "jobs", 3), true, true, false);
    assert_begun(begin(b, "jobs", 3), true, true, true);
    assert_begun(begin(b, "jobs", 3), true, true, false); // its own
    assert_begun(begin(b, "jobs", 4), false, false, false);
    edge_pg_run(&pg, "update precis_data.partitions set known_since = now() - interval '61 s'"
                     " where partition = 3");
    assert_begun(begin(b, "jobs", 5), false, true, false); // a new partition of a known topic
    a->ops->partition_clean(a->store, "jobs", 4);          // not its own
    wait_ms(50);
    assert_begun(begin(a, "jobs", 4), false, true, true);
    worker_free(a);
    worker_free(b);
}

static size_t suspect(struct worker *worker, int64_t offset)
{
    worker->ops->suspect(worker->store, "jobs", 3, offset);
    return next(worker, STORE_SUSPECTED)->count;
}

static void test_suspects(void **state)
{
    (void)state;
    struct worker *a = worker_new("a"), *b = worker_new("b");
    assert_int_equal(suspect(a, 10), 1);
    assert_int_equal(suspect(a, 11), 1);
    assert_int_equal(suspect(b, 10), 2);
    b->ops->suspects_clear(b->store, "jobs", 3, 11);
    b->ops->fetch(b->store, owner_of(1), "wait");
    next(b, STORE_FETCHED);
    wait_ms(20);
    assert_int_equal(suspect(b, 10), 1);
    assert_int_equal(suspect(b, 11), 2);
    worker_free(a);
    worker_free(b);
}

// ------------------------------------------------------------------------------- the rest

static void test_batches_add_up(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *jobs[4];
    for (int i = 0; i < 4; i++) {
        char id[20];
        snprintf(id, sizeof(id), "n%d", i);
        struct job_spec spec = spec_of(id, 0, "text");
        free(spec.batch);
        spec.batch = own_strdup("counted");
        claim_spec(a, &spec, 7, ++a->serial, 42);
        jobs[i] = next(a, STORE_CLAIMED);
        job_spec_deinit(&spec);
    }
    finish(a, jobs[0]);
    fail_job(a, jobs[1], 902);
    intend(a, jobs[2], 1, 1);
    static const char counts[] =
        "select concat_ws(' ', state, total, queued, waiting, running, done, failed, cancelled)"
        " from precis.batches where batch = 'counted'";
    assert_answer(counts, "open 4 0 1 1 1 1 0");
    struct seal_request seal = {
        .owner = owner_of(2), .tenant = "t", .batch = "counted", .total = 6};
    a->ops->seal(a->store, &seal);
    assert_int_equal(next(a, STORE_SEALED)->owner, 2);
    assert_answer(counts, "sealed 6 2 1 1 1 1 0");
    a->ops->waiting(a->store, jobs[3]->job_no, "tokens", 1700000000000);
    a->ops->waiting(a->store, jobs[3]->job_no, "requests", 1700000000000);
    wait_ms(50);
    assert_answer("select waiting_for || ' ' || earliest_start_at from precis.jobs"
                  " where job_id = 'n3'",
                  "requests 2023-11-14 22:13:20+00");
    a->ops->waiting(a->store, jobs[3]->job_no, NULL, 0);
    finish(a, jobs[2]);
    finish(a, jobs[3]);
    seal.total = 4;
    a->ops->seal(a->store, &seal);
    next(a, STORE_SEALED);
    assert_answer(counts, "ended 4 0 0 0 3 1 0");
    assert_answer("select cost_usd || ' ' || in_doubt_usd || ' ' || (finished_at is not null)"
                  " from precis.batches where batch = 'counted'",
                  "0.01125 0 true");
    worker_free(a);
}

static void test_renew(void **state)
{
    (void)state;
    struct worker *a = worker_new("a");
    struct seen *renewed = renew(a);
    assert_false(renewed->broken);
    assert_true(renewed->id > 1700000000000);
    wait_ms(LEASE_MS + 100);
    assert_true(renew(a)->broken);
    assert_false(renew(a)->broken);
    // A failover that lost the row: registered again, under another number.
    int64_t before = store_worker_id(a->store);
    edge_pg_run(&pg, "delete from precis_data.workers");
    assert_true(renew(a)->broken);
    assert_int_not_equal(store_worker_id(a->store), before);
    assert_int_equal(claim(a, "after", 0, "text")->verdict, CLAIM_MINE);
    worker_free(a);
}

static void test_schema_is_checked(void **state)
{
    (void)state;
    char dsn[300], *slash;
    snprintf(dsn, sizeof(dsn), "%s", pg.dsn);
    slash = strrchr(dsn, '/');
    snprintf(slash, sizeof(dsn) - (size_t)(slash - dsn), "/postgres"); // no precis in there
    struct worker *old = worker_new_on(dsn, "old");
    run_until(old, 0, 1, 10000);
    assert_non_null(strstr(old->refused, "precis migrate"));
    assert_int_equal(old->ups, 0);
    worker_free(old);
    edge_pg_run(&pg, "insert into precis_data.migrations (version, name, sha256, oldest_program)"
                     " values (900, 'newer', '', '99.0.0')");
    struct worker *too_new = worker_new_on(pg.dsn, "new");
    run_until(too_new, 0, 1, 10000);
    assert_non_null(strstr(too_new->refused, "Upgrade"));
    worker_free(too_new);
    edge_pg_run(&pg, "delete from precis_data.migrations where version = 900");
}

// Nobody listens; requests wait, and the end comes all the same.
static void test_no_server(void **state)
{
    (void)state;
    struct worker *a = worker_new_on("postgresql://x@127.0.0.1:1/x", "none");
    a->ops->renew(a->store);
    run_until(a, 1, 0, 300);
    assert_int_equal(a->seen_len, 0);
    assert_int_equal(store_pending(a->store), 1);
    worker_free(a);
    struct worker *b = worker_new_on("postgresql://x@no-such-host.invalid:1/x", "none");
    run_until(b, 1, 0, 200);
    worker_free(b);
}

static void ignore_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static int set_up(void **state)
{
    (void)state;
    edge_pg_init(&pg);
    uv_loop_init(&loop);
    struct pg_error error;
    if (!migrate_up(pg.dsn, ignore_line, NULL, &error))
        fail_msg("%s", error.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 100 && uv_loop_alive(&loop); i++)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(uv_loop_close(&loop), 0); // every handle was closed
    edge_pg_deinit(&pg);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_job),
        cmocka_unit_test(test_claim_verdicts),
        cmocka_unit_test(test_duplicates_in_one_group),
        cmocka_unit_test(test_takeover),
        cmocka_unit_test(test_takeover_needs_an_unbroken_lease),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_intents),
        cmocka_unit_test(test_records_twice),
        cmocka_unit_test(test_killed_connections),
        cmocka_unit_test(test_bad_rows_stand_alone),
        cmocka_unit_test(test_dirty_text),
        cmocka_unit_test(test_dead_letters),
        cmocka_unit_test(test_bury),
        cmocka_unit_test(test_later_messages),
        cmocka_unit_test(test_requeued),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_suspects),
        cmocka_unit_test(test_batches_add_up),
        cmocka_unit_test(test_renew),
        cmocka_unit_test(test_schema_is_checked),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
