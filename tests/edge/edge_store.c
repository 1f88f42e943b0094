// SPDX-License-Identifier: Apache-2.0
// The harness of the store's tests.
#include "edge_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "core/text.h"
#include "io/migrate.h"

struct edge_pg test_pg;
uv_loop_t test_loop;
int64_t test_lease_ms = LEASE_MS;

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
        if (event->u.intended.verdict == INTENT_BUDGET) {
            const struct budget_refusal *refusal = event->u.intended.refusal;
            snprintf(seen->text, sizeof(seen->text), "%s %s %s %s %lld %s",
                     budget_scope_text(refusal->scope), refusal->name,
                     budget_period_text(refusal->period), budget_at_wall_text(refusal->at_wall),
                     (long long)refusal->limit_picousd, refusal->may_free ? "frees" : "full");
        }
        break;
    case STORE_RECORDED:
        seen->verdict = (int)event->u.recorded.verdict;
        memcpy(seen->sqlstate, event->u.recorded.sqlstate, sizeof(seen->sqlstate));
        seen->count = event->u.recorded.announcement_count;
        if (seen->count > 0)
            copy_announcement(seen, &event->u.recorded.announcements[0]);
        break;
    case STORE_REUSED:
        seen->verdict = (int)event->u.reused.verdict;
        seen->stop = event->u.reused.stop;
        seen->count = event->u.reused.announcement != NULL;
        if (event->u.reused.announcement)
            copy_announcement(seen, event->u.reused.announcement);
        break;
    case STORE_FETCHED:
        snprintf(seen->text, sizeof(seen->text), "%s",
                 event->u.fetched.text ? event->u.fetched.text : "(null)");
        seen->known = event->u.fetched.found;
        seen->count = event->u.fetched.bytes ? (size_t)event->u.fetched.size : 0;
        if (event->u.fetched.bytes)
            text_sha256_hex(event->u.fetched.bytes, seen->count, seen->key);
        break;
    case STORE_KEPT:
        seen->broken = event->u.kept.rejected;
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
    case STORE_PARKED:
        seen->verdict = (int)event->u.parked.verdict;
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
    case STORE_QUOTA:
        seen->count = event->u.quota.count;
        for (size_t i = 0; i < seen->count && i < GRANTS_SEEN; i++)
            seen->grants[i] = event->u.quota.grants[i];
        break;
    case STORE_CALIBRATED:
        seen->count = event->u.calibrated.count;
        for (size_t i = 0; i < seen->count && i < LEARNED_SEEN; i++) {
            seen->key[i] = event->u.calibrated.rows[i].model[0];
            seen->subjects[i] = event->u.calibrated.rows[i].subject;
            seen->learned[i] = event->u.calibrated.rows[i].learned;
        }
        break;
    case STORE_NOTICE:
        snprintf(seen->text, sizeof(seen->text), "%s", event->u.notice.what);
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
bool run_until(const struct worker *worker, size_t seen_len, int ups, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(&test_loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_deadline, ms, 0);
    while (!over && (worker->seen_len < seen_len || worker->ups < ups) && !worker->refused[0])
        uv_run(&test_loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&test_loop, UV_RUN_NOWAIT);
    return worker->seen_len >= seen_len && worker->ups >= ups;
}

void wait_ms(uint64_t ms)
{
    struct worker *nobody = own_alloc(sizeof(*nobody));
    run_until(nobody, 1, 0, ms);
    free(nobody);
}

void settle(struct worker *worker)
{
    for (int i = 0; store_pending(worker->store) > 0; i++) {
        assert_true(i < 2000);
        wait_ms(5);
    }
}

static void set_lease(const struct worker *worker, const char *until)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "update precis_data.workers set lease_until = %s where id = %lld",
             until, (long long)store_worker_id(worker->store));
    edge_pg_run(&test_pg, sql);
}

void hold_lease(const struct worker *worker)
{
    set_lease(worker, "clock_timestamp() + interval '1 hour'");
}

void end_lease(const struct worker *worker)
{
    set_lease(worker, "clock_timestamp()");
}

struct worker *worker_new_on(const char *dsn, const char *name)
{
    struct worker *worker = own_alloc(sizeof(*worker));
    worker->loop = &test_loop;
    worker->ops = store_ops_pg();
    struct store_options options = {.database = dsn,
                                    .worker = name,
                                    .group = "g",
                                    .lease_ms = test_lease_ms,
                                    .log = NULL,
                                    .context = worker,
                                    .on_event = on_event,
                                    .on_refused = on_refused};
    worker->store = store_new(&test_loop, &options);
    return worker;
}

struct worker *worker_new(const char *name)
{
    struct worker *worker = worker_new_on(test_pg.dsn, name);
    if (!run_until(worker, 0, 1, 10000) || worker->ups == 0)
        fail_msg("the store did not come up: %s", worker->refused);
    return worker;
}

void worker_free(struct worker *worker)
{
    for (size_t i = 0; i < worker->seen_len; i++)
        claim_reply_deinit(&worker->seen[i].reply);
    store_free(worker->store);
    for (int i = 0; i < 5; i++)
        uv_run(&test_loop, UV_RUN_NOWAIT);
    free(worker);
}

// The next event, which has to be of that kind.
struct seen *next(struct worker *worker, enum store_event_kind kind)
{
    if (!run_until(worker, worker->taken + 1, 0, 10000))
        fail_msg("no event of kind %d came", (int)kind);
    struct seen *seen = &worker->seen[worker->taken++];
    if (seen->kind == STORE_NOTICE && kind != STORE_NOTICE)
        return next(worker, kind); // they come at any time
    assert_int_equal(seen->kind, kind);
    return seen;
}

void assert_answer(const char *sql, const char *expected)
{
    char *answer = edge_pg_ask(&test_pg, sql);
    assert_string_equal(answer ? answer : "(null)", expected);
    free(answer);
}

struct slot_id owner_of(uint32_t index)
{
    return (struct slot_id){.index = index, .generation = 1};
}

struct seen *renew(struct worker *worker)
{
    worker->ops->renew(worker->store);
    return next(worker, STORE_RENEWED);
}

// ------------------------------------------------------------------------------- requests

struct job_spec spec_of(const char *id, int64_t revision, const char *text)
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

void claim_spec(struct worker *worker, struct job_spec *spec, uint32_t owner, int64_t serial,
                int64_t offset)
{
    struct claim_request request = {.owner = owner_of(owner),
                                    .serial = serial,
                                    .spec = spec,
                                    .topic = worker->takes ? NULL : "jobs",
                                    .partition = 3,
                                    .offset = offset,
                                    .submitted_at_ms = 1700000000123};
    worker->ops->claim(worker->store, &request);
}

struct seen *claim(struct worker *worker, const char *id, int64_t revision, const char *text)
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

void ask_intent(struct worker *worker, const struct seen *claimed, int32_t call_no,
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

struct seen *intend(struct worker *worker, const struct seen *claimed, int32_t call_no,
                    int32_t attempt_no)
{
    ask_intent(worker, claimed, call_no, attempt_no);
    return next(worker, STORE_INTENDED);
}

struct attempt_result ok_attempt(int32_t call_no, int32_t attempt_no)
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
    {.point = 1, .quote = "it says 'so'", .found = true, .from = 3, .to = 9, .page = 2},
    {.point = 0, .path = "/a/0", .quote = "no", .found = false, .from = -1, .to = -1},
};

void fetch_text(struct worker *worker, const char *sha256)
{
    struct fetch_request request = {.owner = owner_of(5), .document_sha256 = sha256, .plain = true};
    worker->ops->fetch(worker->store, &request);
}

struct summary_row a_summary(void)
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
        .document_uri = "file:///srv/msa.pdf",
        .pages = 7,
        .document_sha256 = "abc",
        .model = "grok-4.3",
        .response_model = "grok-4.3-x",
        .prompt_version = "summary-1",
    };
}

void ask_done(struct worker *worker, const struct seen *claimed)
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

struct seen *finish(struct worker *worker, const struct seen *claimed)
{
    ask_done(worker, claimed);
    return next(worker, STORE_RECORDED);
}

static const struct header two_headers[] = {{"traceparent", "00-a", 4}, {"x", NULL, 0}};

struct message a_message(int64_t offset)
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

struct seen *fail_job(struct worker *worker, const struct seen *claimed, int64_t offset)
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

enum lookup_verdict look_up(struct worker *worker, int64_t job_no)
{
    worker->ops->look_up(worker->store, owner_of(1), job_no);
    return (enum lookup_verdict)next(worker, STORE_LOOKED_UP)->verdict;
}

// ------------------------------------------------------------------------------- set-up

static void ignore_line(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static void prepare(void)
{
    uv_loop_init(&test_loop);
    struct pg_error error;
    if (!migrate_up(test_pg.dsn, ignore_line, NULL, &error))
        fail_msg("%s", error.text);
}

int set_up(void **state)
{
    (void)state;
    edge_pg_init(&test_pg);
    prepare();
    return 0;
}

int set_up_own(void **state)
{
    (void)state;
    edge_pg_init_own(&test_pg);
    prepare();
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 200 && uv_loop_alive(&test_loop); i++) {
        uv_run(&test_loop, UV_RUN_NOWAIT);
        uv_sleep(10);
    }
    int closed = uv_loop_close(&test_loop);
    edge_pg_deinit(&test_pg);
    assert_int_equal(closed, 0); // every handle was closed
    return 0;
}
