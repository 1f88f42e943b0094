// SPDX-License-Identifier: Apache-2.0
// The model of the database.
#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define ADD(db, name)                                                                              \
    ((db)->name = own_grow((db)->name, (db)->name##_count + 1, sizeof(*(db)->name)),               \
     memset(&(db)->name[(db)->name##_count], 0, sizeof(*(db)->name)),                              \
     &(db)->name[(db)->name##_count++])

void db_init(struct db *db, int64_t now_ms)
{
    *db = (struct db){.started_ms = now_ms - 1000000, .quota = quota_fleet_new()};
}

void db_deinit(struct db *db)
{
    for (size_t i = 0; i < db->jobs_count; i++) {
        free(db->jobs[i].tenant);
        free(db->jobs[i].batch);
        free(db->jobs[i].id);
        free(db->jobs[i].spec_json);
        free(db->jobs[i].after_batch);
    }
    for (size_t i = 0; i < db->attempts_count; i++) {
        free(db->attempts[i].code);
        free(db->attempts[i].answer);
        free(db->attempts[i].provider);
        free(db->attempts[i].key_name);
        free(db->attempts[i].pack);
    }
    for (size_t i = 0; i < db->plans_count; i++) {
        free(db->plans[i].plan.model);
        free(db->plans[i].plan.prompt_version);
        free(db->plans[i].plan.calls_json);
        free(db->plans[i].plan.reasoning_mode);
        free(db->plans[i].plan.why);
    }
    for (size_t i = 0; i < db->parts_count; i++)
        free(db->parts[i].answer);
    for (size_t i = 0; i < db->letters_count; i++) {
        free(db->letters[i].key);
        free(db->letters[i].value);
        free(db->letters[i].code);
    }
    for (size_t i = 0; i < db->partitions_count; i++)
        free(db->partitions[i].topic);
    for (size_t i = 0; i < db->suspects_count; i++)
        free(db->suspects[i].topic);
    for (size_t i = 0; i < db->documents_count; i++) {
        free(db->documents[i].text);
        free(db->documents[i].bytes);
        free(db->documents[i].media_type);
    }
    for (size_t i = 0; i < db->texts_count; i++) {
        for (size_t w = 0; w < db->texts[i].warning_count; w++)
            free(db->texts[i].warnings[w]);
        free(db->texts[i].warnings);
        free(db->texts[i].extractor);
        free(db->texts[i].text);
        free(db->texts[i].media_type);
    }
    quota_fleet_free(db->quota);
    db_calibrate_deinit(db);
    free(db->listeners);
    for (size_t i = 0; i < db->budgets_count; i++)
        free((char *)(uintptr_t)db->budgets[i].name);
    free(db->budgets);
    for (size_t i = 0; i < db->batches_count; i++) {
        free(db->batches[i].tenant);
        free(db->batches[i].name);
    }
    for (size_t i = 0; i < db->pauses_count; i++) {
        free(db->pauses[i].scope);
        free(db->pauses[i].name);
    }
    free(db->batches);
    free(db->pauses);
    free(db->texts);
    free(db->answers);
    free(db->jobs);
    free(db->attempts);
    free(db->plans);
    free(db->parts);
    free(db->letters);
    free(db->workers);
    free(db->partitions);
    free(db->suspects);
    free(db->documents);
}

int64_t db_register(struct db *db, int64_t now_ms)
{
    struct db_worker *worker = ADD(db, workers);
    worker->lease_until_ms = now_ms + DB_LEASE_MS;
    worker->unbroken_since_ms = now_ms;
    return (int64_t)db->workers_count;
}

static struct db_worker *worker_of(const struct db *db, int64_t worker)
{
    CHECK(worker > 0 && (size_t)worker <= db->workers_count);
    return &db->workers[worker - 1];
}

static bool has_lease(const struct db *db, int64_t worker, int64_t now_ms)
{
    const struct db_worker *row = worker_of(db, worker);
    return !row->ended && row->lease_until_ms > now_ms;
}

bool db_has_lease(const struct db *db, int64_t worker, int64_t now_ms)
{
    return has_lease(db, worker, now_ms);
}

// ------------------------------------------------------------------------------- documents

static struct db_document *find_document(const struct db *db, const char *sha256)
{
    for (size_t i = 0; i < db->documents_count; i++)
        if (strcmp(db->documents[i].sha256, sha256) == 0)
            return &db->documents[i];
    return NULL;
}

static struct db_text *find_text(const struct db *db, const char *sha256, const char *extractor)
{
    for (size_t i = 0; extractor && i < db->texts_count; i++)
        if (strcmp(db->texts[i].sha256, sha256) == 0 &&
            strcmp(db->texts[i].extractor, extractor) == 0)
            return &db->texts[i];
    return NULL;
}

void db_add_document(struct db *db, const char *sha256, const char *text, const void *bytes,
                     size_t len, const char *media_type)
{
    if (find_document(db, sha256))
        return;
    struct db_document *document = ADD(db, documents);
    snprintf(document->sha256, sizeof(document->sha256), "%s", sha256);
    document->len = text ? strlen(text) : len;
    document->text = own_strdup(text);
    document->bytes = text ? NULL : own_strndup(bytes, len);
    document->media_type = own_strdup(media_type);
}

void db_fetch(const struct db *db, const struct fetch_request *request, struct store_event *out)
{
    const struct db_document *document = find_document(db, request->document_sha256);
    const struct db_text *text = find_text(db, request->document_sha256, request->extractor);
    bool plain = document && document->text && request->plain;
    if (!document && !text)
        return;
    out->u.fetched.found = true;
    out->u.fetched.media_type = text && text->media_type ? text->media_type
                                : document               ? document->media_type
                                                         : NULL;
    out->u.fetched.size = document ? (int64_t)document->len : 0;
    if (plain) {
        out->u.fetched.text = document->text;
    } else if (text) {
        out->u.fetched.text = text->text;
        out->u.fetched.kept = true;
        out->u.fetched.pages = text->pages;
        out->u.fetched.warnings = (const char *const *)text->warnings;
        out->u.fetched.warning_count = text->warning_count;
    } else if (request->bytes && document) {
        out->u.fetched.bytes = document->text ? document->text : document->bytes;
    }
    if (out->u.fetched.text)
        out->u.fetched.text_len = strlen(out->u.fetched.text);
}

void db_keep_text(struct db *db, int64_t worker, const struct text_row *row)
{
    struct db_job *job = &db->jobs[row->job_no - 1];
    if ((job->worker == worker && job->epoch == row->epoch) || db->switches.no_fence)
        snprintf(job->document_sha256, sizeof(job->document_sha256), "%s", row->document_sha256);
    if (find_text(db, row->document_sha256, row->extractor))
        return;
    struct db_text *text = ADD(db, texts);
    snprintf(text->sha256, sizeof(text->sha256), "%s", row->document_sha256);
    text->extractor = own_strdup(row->extractor);
    text->text = own_strndup(row->text, row->text_len);
    text->media_type = own_strdup(row->media_type);
    text->pages = row->pages;
    text->warnings = own_array(row->warning_count + 1, sizeof(char *));
    for (size_t i = 0; i < row->warning_count; i++)
        text->warnings[text->warning_count++] = own_strdup(row->warnings[i]);
}

// ------------------------------------------------------------------------------- claim

static bool same_name(const struct db_job *job, const char *tenant, const char *batch,
                      const char *id)
{
    return strcmp(job->id, id) == 0 && strcmp(job->batch, batch) == 0 &&
           strcmp(job->tenant, tenant) == 0;
}

struct db_job *db_find_job(const struct db *db, const char *tenant, const char *batch,
                           const char *id, int64_t revision)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].revision == revision && same_name(&db->jobs[i], tenant, batch, id))
            return &db->jobs[i];
    return NULL;
}

static struct db_job *newest(const struct db *db, const struct db_claim *claim)
{
    struct db_job *best = NULL;
    for (size_t i = 0; i < db->jobs_count; i++)
        if (same_name(&db->jobs[i], claim->tenant, claim->batch, claim->id) &&
            (!best || db->jobs[i].revision > best->revision))
            best = &db->jobs[i];
    return best;
}

void db_stop_job(struct db_job *job, enum job_stop stop, int64_t now_ms)
{
    if (job->stop != STOP_NONE)
        return;
    job->stop = stop;
    job->stopped_ms = now_ms;
    if (job->worker != 0 || !job->requeued)
        return;
    job->ready = true;
    job->urgency = -1;
    if (job->due_ms > db_unix_ms(now_ms))
        job->due_ms = db_unix_ms(now_ms);
}

static void supersede_older(struct db *db, const struct db_claim *claim, int64_t now_ms)
{
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (same_name(job, claim->tenant, claim->batch, claim->id) &&
            job->revision < claim->revision && job->outcomes == 0)
            db_stop_job(job, STOP_SUPERSEDED, now_ms);
    }
}

static struct db_job *insert_job(struct db *db, const struct db_claim *claim)
{
    struct db_job *job = ADD(db, jobs);
    job->job_no = (int64_t)db->jobs_count;
    job->tenant = own_strdup(claim->tenant);
    job->batch = own_strdup(claim->batch);
    job->id = own_strdup(claim->id);
    job->revision = claim->revision;
    memcpy(job->content_hash, claim->content_hash, 32);
    job->spec_json = own_strdup(claim->spec_json);
    job->partition = claim->partition;
    job->offset = claim->offset;
    job->priority = claim->priority;
    job->deadline_ms = claim->deadline_ms;
    snprintf(job->document_sha256, sizeof(job->document_sha256), "%s",
             claim->document_sha256 ? claim->document_sha256 : "");
    return job;
}

// What makes taking over another worker's claim safe (DESIGN.md, rule 1).
static bool can_take_over(const struct db *db, int64_t from, int64_t taker, int64_t now_ms)
{
    return has_lease(db, taker, now_ms) && !has_lease(db, from, now_ms) &&
           now_ms - db->started_ms >= DB_LEASE_MS &&
           now_ms - worker_of(db, taker)->unbroken_since_ms >= DB_LEASE_MS;
}

static void doubt_sent_attempts(struct db *db, int64_t job_no)
{
    for (size_t i = 0; i < db->attempts_count; i++) {
        struct db_attempt *attempt = &db->attempts[i];
        if (attempt->job_no != job_no || attempt->outcome != ATTEMPT_SENT)
            continue;
        attempt->outcome = ATTEMPT_IN_DOUBT;
        attempt->source = COST_IN_DOUBT;
        attempt->cost_picousd = -1;
    }
}

static int by_number(const void *left, const void *right)
{
    const struct saved_attempt *a = left, *b = right;
    if (a->plan_no != b->plan_no)
        return a->plan_no < b->plan_no ? -1 : 1;
    if (a->call_no != b->call_no)
        return a->call_no < b->call_no ? -1 : 1;
    return a->attempt_no < b->attempt_no ? -1 : a->attempt_no > b->attempt_no;
}

// ------------------------------------------------------------------------------- twins

static struct db_answer *find_answer(const struct db *db, const unsigned char *key)
{
    for (size_t i = 0; key && i < db->answers_count; i++)
        if (memcmp(db->answers[i].key, key, ANSWER_KEY_BYTES) == 0)
            return &db->answers[i];
    return NULL;
}

bool db_has_paid(const struct db *db, int64_t job_no)
{
    for (size_t i = 0; i < db->attempts_count; i++) {
        enum attempt_outcome outcome = db->attempts[i].outcome;
        if (db->attempts[i].job_no == job_no &&
            (outcome == ATTEMPT_SENT || outcome == ATTEMPT_OK || outcome == ATTEMPT_IN_DOUBT))
            return true;
    }
    return false;
}

// The leader has gone on to ask something else.
static bool has_moved(const struct db *db, const struct db_answer *answer)
{
    const struct db_plan *last = NULL;
    for (size_t i = 0; i < db->plans_count; i++)
        if (db->plans[i].job_no == answer->job_no &&
            (!last || db->plans[i].plan.plan_no > last->plan.plan_no))
            last = &db->plans[i];
    return last && last->has_key && memcmp(last->answer_key, answer->key, ANSWER_KEY_BYTES) != 0;
}

static bool is_free(const struct db *db, const struct db_answer *answer, int64_t now_ms)
{
    const struct db_job *leader = &db->jobs[answer->job_no - 1];
    if (leader->outcomes > 0 && (leader->state != JOB_DONE || leader->copied_from > 0))
        return true;
    if (leader->outcomes > 0 || has_moved(db, answer))
        return has_moved(db, answer);
    return answer->begun_ms < now_ms - 10000 && !db_has_paid(db, leader->job_no);
}

static bool another_leads(const struct db *db, const unsigned char *key, int64_t job_no)
{
    const struct db_answer *answer = find_answer(db, key);
    return answer && answer->job_no != job_no;
}

// Asked of every intent: an attempt that is refused leads nothing that was not free, and is free
// itself soon.
static void lead(struct db *db, const struct intent_request *request, int64_t now_ms)
{
    struct db_answer *answer = find_answer(db, request->answer_key);
    if (!answer) {
        answer = ADD(db, answers);
        memcpy(answer->key, request->answer_key, ANSWER_KEY_BYTES);
    } else if (answer->job_no != request->job_no && !is_free(db, answer, now_ms)) {
        return;
    }
    answer->job_no = request->job_no;
    answer->begun_ms = now_ms;
}

// A higher revision with the content of a lower one. (Jobs are not reopened here.)
static bool is_anew(const struct db *db, const struct db_job *job)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].revision < job->revision &&
            same_name(&db->jobs[i], job->tenant, job->batch, job->id) &&
            memcmp(db->jobs[i].content_hash, job->content_hash, 32) == 0)
            return true;
    return false;
}

static void reply_saved(const struct db *db, const struct db_job *job, struct claim_reply *out)
{
    out->plans = own_array(db->plans_count, sizeof(*out->plans));
    out->parts = own_array(db->parts_count, sizeof(*out->parts));
    out->attempts = own_array(db->attempts_count, sizeof(*out->attempts));
    for (size_t i = 0; i < db->plans_count; i++) {
        const struct saved_plan *plan = &db->plans[i].plan;
        if (db->plans[i].job_no != job->job_no)
            continue;
        struct saved_plan *copy = &out->plans[out->plan_count++];
        *copy = *plan;
        copy->model = own_strdup(plan->model);
        copy->prompt_version = own_strdup(plan->prompt_version);
        copy->calls_json = own_strdup(plan->calls_json);
        copy->reasoning_mode = own_strdup(plan->reasoning_mode);
        copy->why = own_strdup(plan->why);
    }
    for (size_t i = 0; i < db->parts_count; i++)
        if (db->parts[i].job_no == job->job_no)
            out->parts[out->part_count++] = (struct saved_part){
                db->parts[i].plan_no, db->parts[i].call_no, own_strdup(db->parts[i].answer)};
    for (size_t i = 0; i < db->attempts_count; i++) {
        const struct db_attempt *attempt = &db->attempts[i];
        if (attempt->job_no == job->job_no)
            out->attempts[out->attempt_count++] =
                (struct saved_attempt){.plan_no = attempt->plan_no,
                                       .call_no = attempt->call_no,
                                       .attempt_no = attempt->attempt_no,
                                       .outcome = attempt->outcome,
                                       .code = own_strdup(attempt->code),
                                       .answer = own_strdup(attempt->answer)};
    }
    qsort(out->attempts, out->attempt_count, sizeof(*out->attempts), by_number);
}

static void take(struct db *db, struct db_job *job, int64_t worker, int64_t serial)
{
    job->worker = worker;
    job->serial = serial;
    job->epoch++;
    doubt_sent_attempts(db, job->job_no);
}

static enum claim_verdict claim_existing(struct db *db, int64_t worker, int64_t now_ms,
                                         const struct db_claim *claim, struct db_job *job)
{
    if (memcmp(job->content_hash, claim->content_hash, 32) != 0)
        return newest(db, claim)->revision > claim->revision ? CLAIM_STALE : CLAIM_CONFLICT;
    if (job->outcomes > 0)
        return CLAIM_FINISHED;
    if (job->worker == worker && job->serial == claim->serial)
        return CLAIM_MINE; // applied before, and its answer was lost
    if (claim->park && job->worker == 0 && !job->requeued)
        db_place(db, job, claim->park, now_ms);
    if (claim->is_read && job->requeued)
        return CLAIM_PARKED;
    if (claim->park)
        return CLAIM_HELD; // another worker's, which this request does not take over
    if (!has_lease(db, worker, now_ms))
        return CLAIM_HELD;
    if (job->worker == 0) {
        take(db, job, worker, claim->serial);
        return CLAIM_MINE;
    }
    if (!can_take_over(db, job->worker, worker, now_ms))
        return CLAIM_HELD;
    job->crashes++;
    take(db, job, worker, claim->serial);
    return CLAIM_MINE;
}

void db_claim(struct db *db, int64_t worker, int64_t now_ms, const struct db_claim *claim,
              struct claim_reply *out)
{
    *out = (struct claim_reply){.verdict = CLAIM_HELD};
    if (claim->document_text || claim->document_bytes)
        db_add_document(db, claim->document_sha256, claim->document_text, claim->document_bytes,
                        claim->bytes_len, claim->media_type);
    struct db_job *job = db_find_job(db, claim->tenant, claim->batch, claim->id, claim->revision);
    const struct db_job *top = newest(db, claim);
    if (!job && top && top->revision > claim->revision) {
        out->verdict = CLAIM_STALE;
        return;
    }
    if (!job && !has_lease(db, worker, now_ms))
        return; // HELD, job_no 0: nothing is written
    if (!job) {
        supersede_older(db, claim, now_ms);
        job = insert_job(db, claim);
    }
    out->verdict = claim_existing(db, worker, now_ms, claim, job);
    if (db->cancelled && job->outcomes == 0)
        db_stop_job(job, STOP_CANCELLED, now_ms);
    if (out->verdict == CLAIM_CONFLICT || out->verdict == CLAIM_STALE)
        return;
    out->job_no = job->job_no;
    out->epoch = job->epoch;
    out->crashes = job->crashes;
    out->stop = job->stop;
    if (out->verdict != CLAIM_MINE)
        return;
    memcpy(out->document_sha256, job->document_sha256, sizeof(out->document_sha256));
    out->twin = job->twin || another_leads(db, claim->answer_key, job->job_no);
    out->anew = is_anew(db, job);
    reply_saved(db, job, out);
}

static size_t calls_under_way(const struct db *db, int64_t job_no)
{
    size_t calls = 0;
    for (size_t i = 0; i < db->attempts_count; i++)
        calls += db->attempts[i].job_no == job_no && db->attempts[i].outcome == ATTEMPT_SENT;
    return calls;
}

size_t db_cancel(struct db *db, const char *id, bool cut, int64_t now_ms)
{
    size_t calls = 0;
    db->cancelled |= id == NULL;
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (job->outcomes > 0 || (id && strcmp(job->id, id) != 0))
            continue;
        db_stop_job(job, STOP_CANCELLED, now_ms);
        job->cut |= cut;
        calls += cut ? calls_under_way(db, job->job_no) : 0;
    }
    if (cut)
        db_notify(db, NULL, "cancel");
    return calls;
}

bool db_is_cut(const struct db *db, int64_t job_no)
{
    return db_stop(db, job_no) == STOP_CANCELLED && db->jobs[job_no - 1].cut;
}

enum job_stop db_stop(const struct db *db, int64_t job_no)
{
    return job_no > 0 && db->jobs[job_no - 1].outcomes == 0 ? db->jobs[job_no - 1].stop : STOP_NONE;
}

enum lookup_verdict db_look_up(const struct db *db, int64_t worker, int64_t now_ms, int64_t job_no)
{
    if (job_no == 0)
        return LOOKUP_FREE;
    const struct db_job *job = &db->jobs[job_no - 1];
    if (job->outcomes > 0)
        return LOOKUP_FINISHED;
    if (job->worker == 0 || can_take_over(db, job->worker, worker, now_ms))
        return LOOKUP_FREE;
    return LOOKUP_HELD;
}

// ------------------------------------------------------------------------------- intent

static struct db_attempt *find_attempt(const struct db *db, int64_t job_no, int32_t plan_no,
                                       int32_t call_no, int32_t attempt_no)
{
    for (size_t i = 0; i < db->attempts_count; i++) {
        struct db_attempt *attempt = &db->attempts[i];
        if (attempt->job_no == job_no && attempt->plan_no == plan_no &&
            attempt->call_no == call_no && attempt->attempt_no == attempt_no)
            return attempt;
    }
    return NULL;
}

static void insert_plan(struct db *db, const struct intent_request *request)
{
    const struct plan_row *row = request->plan;
    for (size_t i = 0; row && i < db->plans_count; i++)
        if (db->plans[i].job_no == request->job_no && db->plans[i].plan.plan_no == row->plan_no)
            row = NULL;
    if (!row)
        return;
    struct db_plan *plan = ADD(db, plans);
    plan->job_no = request->job_no;
    plan->plan = (struct saved_plan){
        .plan_no = row->plan_no,
        .model = own_strdup(row->model),
        .prompt_version = own_strdup(row->prompt_version),
        .calls_json = own_strdup(row->calls_json),
        .reasoning_mode = own_strdup(row->reasoning_mode),
        .why = own_strdup(row->why),
    };
    snprintf(plan->plan.text_sha256, sizeof(plan->plan.text_sha256), "%s", row->text_sha256);
    plan->has_key = row->answer_key != NULL;
    if (plan->has_key)
        memcpy(plan->answer_key, row->answer_key, ANSWER_KEY_BYTES);
}

void db_set_budget(struct db *db, const struct budget *budget, int64_t now_ms)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].requeued && strcmp(db->jobs[i].reason, "budget") == 0 &&
            db->jobs[i].due_ms > db_unix_ms(now_ms))
            db->jobs[i].due_ms = db_unix_ms(now_ms);
    for (size_t i = 0; i < db->budgets_count; i++) {
        struct budget *row = &db->budgets[i];
        if (row->scope == budget->scope && row->period == budget->period &&
            strcmp(row->name, budget->name) == 0) {
            row->limit_picousd = budget->limit_picousd;
            row->at_wall = budget->at_wall;
            return;
        }
    }
    struct budget *row = ADD(db, budgets);
    *row = *budget;
    row->name = own_strdup(budget->name);
}

int64_t db_budget_used(const struct db *db, const struct budget *budget, int64_t now_ms,
                       int64_t *out_reserved)
{
    int64_t used = 0;
    *out_reserved = 0;
    for (size_t i = 0; i < db->attempts_count; i++) {
        const struct db_attempt *attempt = &db->attempts[i];
        const struct db_job *job = &db->jobs[attempt->job_no - 1];
        const struct budget_call call = {job->tenant, job->batch,
                                         attempt->provider ? attempt->provider : "",
                                         attempt->key_name ? attempt->key_name : ""};
        if (!budget_covers(budget, &call) ||
            !budget_same_period(budget->period, db->unix_ms + attempt->sent_at_ms,
                                db->unix_ms + now_ms))
            continue;
        used += attempt->cost_picousd >= 0 ? attempt->cost_picousd : attempt->at_most_picousd;
        if (attempt->outcome == ATTEMPT_SENT)
            *out_reserved += attempt->at_most_picousd;
    }
    return used;
}

// The strictest budget that the call does not fit into.
static bool refuses(const struct db *db, int64_t now_ms, const struct intent_request *request,
                    struct budget_refusal *out)
{
    const struct db_job *job = &db->jobs[request->job_no - 1];
    const struct budget_call call = {job->tenant, job->batch, request->provider, request->key_name};
    const struct budget *wall = NULL;
    for (size_t i = 0; i < db->budgets_count && !db->switches.no_wall; i++) {
        const struct budget *budget = &db->budgets[i];
        int64_t reserved, used = db_budget_used(db, budget, now_ms, &reserved);
        if (!budget_covers(budget, &call) || (wall && budget_is_stricter(wall, budget)) ||
            budget_fits(budget->limit_picousd, used, request->at_most_picousd))
            continue;
        wall = budget;
        *out = (struct budget_refusal){
            .scope = budget->scope,
            .period = budget->period,
            .at_wall = budget->at_wall,
            .limit_picousd = budget->limit_picousd,
            .may_free = reserved > 0,
            .ends_ms = budget_period_end_ms(budget->period, db->unix_ms + now_ms),
        };
        snprintf(out->name, sizeof(out->name), "%s", budget->name);
    }
    return wall != NULL;
}

enum intent_verdict db_intend(struct db *db, int64_t worker, int64_t now_ms,
                              const struct intent_request *request, enum job_stop *out_stop,
                              struct budget_refusal *out_refusal)
{
    struct db_job *job = &db->jobs[request->job_no - 1];
    *out_stop = STOP_NONE;
    if (request->answer_key && !db->switches.no_single_flight) {
        lead(db, request, now_ms);
        bool other = another_leads(db, request->answer_key, request->job_no);
        if (job->worker == worker && job->epoch == request->epoch && (request->was_twin || other))
            job->twin = !request->fresh && other;
    }
    struct db_attempt *attempt =
        find_attempt(db, request->job_no, request->plan_no, request->call_no, request->attempt_no);
    bool mine = job->worker == worker && job->epoch == request->epoch && job->outcomes == 0;
    if (!mine && !db->switches.no_fence)
        return INTENT_FENCED;
    if (attempt && attempt->worker == worker && attempt->epoch == request->epoch &&
        attempt->outcome == ATTEMPT_SENT)
        return INTENT_GO; // applied before, and its answer was lost
    if (!has_lease(db, worker, now_ms) && !db->switches.no_fence)
        return INTENT_NO_LEASE;
    if (job->stop != STOP_NONE && !db->switches.no_stop) {
        *out_stop = job->stop;
        return INTENT_STOPPED;
    }
    if (job->twin)
        return INTENT_TWIN;
    insert_plan(db, request);
    if (attempt && !db->switches.no_fence)
        return INTENT_FENCED;
    if (!attempt && refuses(db, now_ms, request, out_refusal))
        return INTENT_BUDGET;
    if (db->switches.no_write_ahead || attempt)
        return INTENT_GO;
    attempt = ADD(db, attempts);
    *attempt = (struct db_attempt){
        .job_no = request->job_no,
        .plan_no = request->plan_no,
        .call_no = request->call_no,
        .attempt_no = request->attempt_no,
        .epoch = request->epoch,
        .worker = worker,
        .provider = own_strdup(request->provider),
        .key_name = own_strdup(request->key_name),
        .sent_at_ms = now_ms,
        .pack = own_strdup(request->pack),
        .outcome = ATTEMPT_SENT,
        .cost_picousd = -1,
        .at_most_picousd = request->at_most_picousd,
        .source = COST_IN_DOUBT,
    };
    return INTENT_GO;
}

// ------------------------------------------------------------------------------- record

static void record_attempt(struct db *db, int64_t worker, int64_t now_ms,
                           const struct record_request *request)
{
    const struct attempt_result *result = request->attempt;
    struct db_attempt *attempt =
        find_attempt(db, request->job_no, result->plan_no, result->call_no, result->attempt_no);
    if (!attempt) {
        attempt = ADD(db, attempts);
        *attempt = (struct db_attempt){.job_no = request->job_no,
                                       .plan_no = result->plan_no,
                                       .call_no = result->call_no,
                                       .attempt_no = result->attempt_no,
                                       .epoch = request->epoch,
                                       .worker = worker,
                                       .sent_at_ms = now_ms};
    }
    if (attempt->outcome != ATTEMPT_SENT && attempt->outcome != ATTEMPT_IN_DOUBT)
        return; // it has its end
    free(attempt->code);
    free(attempt->answer);
    attempt->outcome = result->outcome;
    attempt->code = own_strdup(result->error_code);
    attempt->answer = own_strdup(result->answer);
    attempt->cost_picousd = result->cost_picousd;
    attempt->at_most_picousd = result->at_most_picousd;
    attempt->source = result->cost_source;
}

static void record_part(struct db *db, const struct record_request *request)
{
    for (size_t i = 0; i < db->parts_count; i++)
        if (db->parts[i].job_no == request->job_no &&
            db->parts[i].plan_no == request->part->plan_no &&
            db->parts[i].call_no == request->part->call_no)
            return;
    struct db_part *part = ADD(db, parts);
    *part = (struct db_part){request->job_no, request->part->plan_no, request->part->call_no,
                             own_strdup(request->part->answer)};
}

static struct db_letter *add_letter(struct db *db, enum announcement_kind kind, int64_t now_ms)
{
    struct db_letter *letter = ADD(db, letters);
    letter->id = (int64_t)db->letters_count;
    letter->kind = kind;
    letter->partition = -1;
    letter->at_ms = now_ms;
    return letter;
}

static void store_outcome(struct db *db, struct db_job *job, int64_t worker, int64_t now_ms,
                          const struct record_request *request, int64_t *out_letters,
                          size_t *out_count)
{
    job->outcomes++;
    job->state = request->outcome->state;
    job->outcome_epoch = request->epoch;
    job->outcome_worker = worker;
    job->requeued = false;
    job->requeued_by = 0;
    if (request->outcome->announce) {
        struct db_letter *letter = add_letter(db, ANNOUNCE_RESULT, now_ms);
        letter->key = own_strdup(job->id);
        letter->job_no = job->job_no;
        out_letters[(*out_count)++] = letter->id;
    }
    if (request->outcome->dead_letter) {
        struct db_letter *letter = add_letter(db, ANNOUNCE_DEAD_LETTER, now_ms);
        letter->key = own_strdup(job->id);
        letter->job_no = job->job_no;
        letter->code = own_strdup(request->outcome->error_code);
        out_letters[(*out_count)++] = letter->id;
    }
}

// An outcome that is recorded again (its answer was lost): what is still to be said of it.
static void list_unannounced(const struct db *db, const struct db_job *job, int64_t *out_letters,
                             size_t *out_count)
{
    for (size_t i = 0; i < db->letters_count; i++)
        if (db->letters[i].job_no == job->job_no && !db->letters[i].announced && *out_count < 2)
            out_letters[(*out_count)++] = db->letters[i].id;
}

enum record_verdict db_record(struct db *db, int64_t worker, int64_t now_ms,
                              const struct record_request *request, int64_t *out_letters,
                              size_t *out_count)
{
    struct db_job *job = &db->jobs[request->job_no - 1];
    *out_count = 0;
    if (request->attempt)
        record_attempt(db, worker, now_ms, request);
    if (request->part)
        record_part(db, request);
    if (!request->outcome)
        return RECORD_DONE;
    bool mine = job->worker == worker && job->epoch == request->epoch;
    if (job->outcomes > 0 && !db->switches.no_idempotence) {
        if (job->outcome_worker != worker || job->outcome_epoch != request->epoch)
            return RECORD_FENCED;
        list_unannounced(db, job, out_letters, out_count);
        return RECORD_DONE;
    }
    if (!mine && !db->switches.no_fence)
        return RECORD_FENCED;
    store_outcome(db, job, worker, now_ms, request, out_letters, out_count);
    return RECORD_DONE;
}

enum reuse_verdict db_reuse(struct db *db, int64_t worker, int64_t now_ms,
                            const struct reuse_request *request, enum job_stop *out_stop,
                            int64_t *out_letter)
{
    struct db_job *job = &db->jobs[request->job_no - 1];
    const struct db_answer *answer = find_answer(db, request->answer_key);
    int64_t letters[2] = {0};
    size_t count = 0;
    *out_stop = STOP_NONE;
    *out_letter = 0;
    if (job->outcomes > 0) {
        if (job->outcome_worker != worker || job->outcome_epoch != request->epoch)
            return REUSE_FENCED;
        list_unannounced(db, job, letters, &count);
        *out_letter = letters[0];
        return REUSE_COPIED;
    }
    if ((job->worker != worker || job->epoch != request->epoch) && !db->switches.no_fence)
        return REUSE_FENCED;
    if (job->stop != STOP_NONE) {
        *out_stop = job->stop;
        return REUSE_STOPPED;
    }
    if (!answer || answer->job_no == job->job_no || is_free(db, answer, now_ms))
        return REUSE_FREE;
    if (db->jobs[answer->job_no - 1].outcomes == 0)
        return REUSE_WAIT;
    const struct outcome_row outcome = {.state = JOB_DONE, .announce = request->announce};
    const struct record_request record = {
        .job_no = request->job_no, .epoch = request->epoch, .outcome = &outcome};
    store_outcome(db, job, worker, now_ms, &record, letters, &count);
    job->copied_from = answer->job_no;
    *out_letter = letters[0];
    return REUSE_COPIED;
}

// ------------------------------------------------------------------------------- the rest

struct db_letter *db_find_letter(const struct db *db, int64_t id)
{
    return id > 0 && (size_t)id <= db->letters_count ? &db->letters[id - 1] : NULL;
}

int64_t db_bury(struct db *db, int64_t now_ms, const struct bury_request *request)
{
    const struct message *message = request->message;
    for (size_t i = 0; i < db->letters_count; i++)
        if (db->letters[i].partition == message->partition &&
            db->letters[i].offset == message->offset)
            return 0;
    struct db_letter *letter = add_letter(db, ANNOUNCE_DEAD_LETTER, now_ms);
    letter->partition = message->partition;
    letter->offset = message->offset;
    letter->later = request->kind == BURY_LATER;
    letter->announced = letter->later;
    letter->key = own_strdup(request->job_id);
    letter->code = own_strdup(err_code_text(request->failure->code));
    return letter->later ? 0 : letter->id;
}

void db_announced(struct db *db, int64_t id)
{
    struct db_letter *letter = db_find_letter(db, id);
    if (letter)
        letter->announced = true;
}

// Something that was read there has reached this database.
static bool is_used(const struct db *db, int32_t partition)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].partition == partition)
            return true;
    for (size_t i = 0; i < db->letters_count; i++)
        if (db->letters[i].partition == partition)
            return true;
    return false;
}

void db_partition_begin(struct db *db, int64_t worker, const char *topic, int32_t partition,
                        struct partition_reply *out)
{
    *out = (struct partition_reply){.topic = own_strdup(topic), .partition = partition};
    struct db_partition *mine = NULL;
    for (size_t i = 0; i < db->partitions_count; i++) {
        struct db_partition *row = &db->partitions[i];
        if (strcmp(row->topic, topic) != 0)
            continue;
        out->topic_known |= is_used(db, row->partition);
        if (row->partition == partition)
            mine = row;
    }
    if (mine) {
        out->known = is_used(db, partition);
        out->unclean = !mine->clean && mine->worker != worker;
    } else {
        mine = ADD(db, partitions);
        mine->topic = own_strdup(topic);
        mine->partition = partition;
    }
    mine->worker = worker;
    mine->clean = false;
}

void db_partition_clean(struct db *db, int64_t worker, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < db->partitions_count; i++) {
        struct db_partition *row = &db->partitions[i];
        if (row->worker == worker && row->partition == partition && strcmp(row->topic, topic) == 0)
            row->clean = true;
    }
}

// A message that was claimed once was parsed then: it is innocent of what happened later.
static bool was_claimed(const struct db *db, int32_t partition, int64_t offset)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].partition == partition && db->jobs[i].offset == offset)
            return true;
    return false;
}

// Messages are parsed one after the other: those before this one have ended nobody.
static void forget_parsed(struct db *db, const char *topic, int32_t partition, int64_t below)
{
    for (size_t i = 0; i < db->suspects_count; i++) {
        struct db_suspect *row = &db->suspects[i];
        if (row->partition == partition && row->offset < below && row->times <= 2 &&
            strcmp(row->topic, topic) == 0)
            row->offset = -1;
    }
}

int32_t db_suspect(struct db *db, const char *topic, int32_t partition, int64_t offset)
{
    forget_parsed(db, topic, partition, offset);
    for (size_t i = 0; i < db->suspects_count; i++) {
        struct db_suspect *row = &db->suspects[i];
        if (row->partition != partition || row->offset != offset || strcmp(row->topic, topic) != 0)
            continue;
        row->times++;
        if (row->times > 2 && was_claimed(db, partition, offset))
            row->times = 1;
        return row->times;
    }
    struct db_suspect *row = ADD(db, suspects);
    *row = (struct db_suspect){own_strdup(topic), partition, offset, 1};
    return 1;
}

void db_suspects_clear(struct db *db, const char *topic, int32_t partition, int64_t below)
{
    for (size_t i = 0; i < db->suspects_count; i++) {
        struct db_suspect *row = &db->suspects[i];
        if (row->partition == partition && row->offset < below && strcmp(row->topic, topic) == 0)
            row->offset = -1;
    }
}

bool db_renew(struct db *db, int64_t worker, int64_t now_ms)
{
    struct db_worker *row = worker_of(db, worker);
    bool broken = row->lease_until_ms <= now_ms;
    if (broken)
        row->unbroken_since_ms = now_ms;
    row->lease_until_ms = now_ms + DB_LEASE_MS;
    return broken;
}

void db_release(struct db *db, int64_t worker)
{
    worker_of(db, worker)->ended = true;
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].worker == worker && db->jobs[i].outcomes == 0)
            db->jobs[i].worker = 0;
}
