// SPDX-License-Identifier: Apache-2.0
// The promises of DESIGN.md as checks over the simulated database, Kafka and bill.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "job/decode.h"
#include "schedule.h"

void promise_broken(struct schedule *schedule, const char *format, ...)
{
    if (schedule->broken[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(schedule->broken, sizeof(schedule->broken), format, args);
    va_end(args);
    world_trace(&schedule->world, "BROKEN: %s", schedule->broken);
}

static bool has_letter(const struct schedule *schedule, const struct sent_job *sent)
{
    for (size_t i = 0; i < schedule->db.letters_count; i++) {
        const struct db_letter *letter = &schedule->db.letters[i];
        if (letter->partition == sent->partition && letter->offset == (int64_t)sent->place * 2)
            return true;
    }
    return false;
}

static bool newer_exists(const struct schedule *schedule, const struct sent_job *sent)
{
    for (size_t i = 0; i < schedule->db.jobs_count; i++)
        if (strcmp(schedule->db.jobs[i].id, sent->id) == 0 &&
            schedule->db.jobs[i].revision > sent->revision)
            return true;
    return false;
}

// The row of its id and revision was made by a message with other content.
static bool is_other_content(const struct schedule *schedule, const struct sent_job *sent,
                             const struct db_job *job)
{
    const char *value = schedule->broker.partitions[sent->partition].log[sent->place].value;
    const struct message message = {.topic = SIM_TOPIC, .value = value, .value_len = strlen(value)};
    const struct decode_limits limits = {
        .value_bytes = 1 << 20, .text_bytes = 1 << 20, .nodes = 100000};
    struct decode_out out;
    bool other = job_decode(&message, &limits, &out) == DECODED_JOB &&
                 memcmp(out.spec.content_hash, job->content_hash, 32) != 0;
    decode_out_deinit(&out);
    return other;
}

// The message has an outcome: its job's, a dead letter, or it is stale or no job at all.
static bool has_ended(const struct schedule *schedule, const struct sent_job *sent)
{
    if (!sent->is_job)
        return true;
    if (has_letter(schedule, sent))
        return true;
    const struct db_job *job =
        db_find_job(&schedule->db, "default", "default", sent->id, sent->revision);
    if (job && newer_exists(schedule, sent) && is_other_content(schedule, sent, job))
        return true; // stale
    if (job)
        return job->outcomes > 0;
    return newer_exists(schedule, sent);
}

bool promises_all_ended(const struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->sent_count; i++)
        if (!has_ended(schedule, &schedule->sent[i]))
            return false;
    for (size_t i = 0; i < schedule->db.jobs_count; i++)
        if (schedule->db.jobs[i].outcomes == 0)
            return false;
    for (size_t i = 0; i < schedule->db.letters_count; i++)
        if (!schedule->db.letters[i].announced)
            return false;
    return true;
}

// PostgreSQL has it, and gives it to a worker when it is due.
static bool is_parked(const struct schedule *schedule, const struct sent_job *sent)
{
    const struct db_job *job =
        db_find_job(&schedule->db, "default", "default", sent->id, sent->revision);
    return job && job->requeued;
}

// Promise 1: the committed offset never passes a job that is neither finished nor parked.
void promise_on_commit(void *context, int partition, int64_t next)
{
    struct schedule *schedule = context;
    for (size_t i = 0; i < schedule->sent_count; i++) {
        const struct sent_job *sent = &schedule->sent[i];
        if (sent->partition == partition && (int64_t)sent->place * 2 < next &&
            !has_ended(schedule, sent) && !is_parked(schedule, sent))
            promise_broken(schedule, "offset %" PRId64 " of partition %d passes unfinished %s",
                           next, partition, sent->id);
    }
}

// "default/default/ID/REVISION/CALL/PLAN/ATTEMPT"
static bool parse_request_id(const char *text, char *id, size_t id_bytes, int64_t *revision,
                             int *call, int *plan, int *attempt)
{
    char name[64];
    if (sscanf(text, "default/default/%63[^/]/%" SCNd64 "/%d/%d/%d", name, revision, call, plan,
               attempt) != 5)
        return false;
    snprintf(id, id_bytes, "%s", name);
    return true;
}

static struct db_attempt *attempt_of(const struct schedule *schedule, const char *request_id)
{
    char id[64];
    int64_t revision;
    int call, plan, attempt;
    if (!parse_request_id(request_id, id, sizeof(id), &revision, &call, &plan, &attempt))
        return NULL;
    const struct db_job *job = db_find_job(&schedule->db, "default", "default", id, revision);
    for (size_t i = 0; job && i < schedule->db.attempts_count; i++) {
        struct db_attempt *row = &schedule->db.attempts[i];
        if (row->job_no == job->job_no && row->plan_no == plan && row->call_no == call &&
            row->attempt_no == attempt)
            return row;
    }
    return NULL;
}

// What the calls of a budget were billed in the period of that moment.
static int64_t billed_of(const struct schedule *schedule, const struct budget *budget,
                         int64_t at_ms)
{
    const struct db *db = &schedule->db;
    const struct sim_provider *provider = &schedule->provider;
    int64_t billed = 0;
    for (size_t i = 0; i < provider->bill_count; i++) {
        const struct db_attempt *row = attempt_of(schedule, provider->bills[i].request_id);
        const struct budget_call call = {"default", "default", row ? row->provider : "",
                                         row ? row->key_name : ""};
        if (row && budget_covers(budget, &call) &&
            budget_same_period(budget->period, db->unix_ms + row->sent_at_ms, at_ms))
            billed += provider->bills[i].cost_picousd;
    }
    return billed;
}

// Promise 5, by what was really billed: this period and the one that a minute ago was in.
void promise_budgets(struct schedule *schedule)
{
    const struct db *db = &schedule->db;
    int64_t now_ms = db->unix_ms + schedule->world.now_ms;
    for (size_t b = 0; b < db->budgets_count; b++)
        for (int before = 0; before < 2; before++) {
            const struct budget *budget = &db->budgets[b];
            int64_t billed = billed_of(schedule, budget, now_ms - before * 60000);
            if (billed > budget->limit_picousd)
                promise_broken(schedule, "the budget %s %s of %" PRId64 " is exceeded: %" PRId64,
                               budget_scope_text(budget->scope), budget->name,
                               budget->limit_picousd, billed);
        }
}

// It pays for its answer whatever others have: it says so, or has a lower revision's content.
static bool is_fresh(const struct db *db, const struct db_job *job)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].revision < job->revision && strcmp(db->jobs[i].id, job->id) == 0 &&
            memcmp(db->jobs[i].content_hash, job->content_hash, 32) == 0)
            return true;
    return strstr(job->spec_json, "\"fresh\":true") != NULL;
}

static const struct saved_plan *plan_of(const struct db *db, int64_t job_no, int32_t plan_no)
{
    const struct saved_plan *last = NULL;
    for (size_t i = 0; i < db->plans_count; i++) {
        const struct saved_plan *plan = &db->plans[i].plan;
        if (db->plans[i].job_no == job_no && plan->plan_no <= plan_no &&
            (!last || plan->plan_no > last->plan_no))
            last = plan;
    }
    return last;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

// Whether the other's last plan, or that of the job whose answer it has, asks what this request
// asks: the same model, in the same mode.
static bool asks_the_same(const struct db *db, const struct db_attempt *row,
                          const struct db_job *other)
{
    while (other->copied_from > 0)
        other = &db->jobs[other->copied_from - 1];
    const struct saved_plan *mine = plan_of(db, row->job_no, row->plan_no);
    const struct saved_plan *plan = plan_of(db, other->job_no, INT32_MAX);
    return mine && plan && strcmp(mine->model, plan->model) == 0 &&
           same_text(mine->reasoning_mode, plan->reasoning_mode);
}

// Promise 3: no answer is bought that another job has, or has begun to pay for.
static void check_twins(struct schedule *schedule, const struct db_job *job, const char *request_id)
{
    const struct db *db = &schedule->db;
    const struct db_attempt *row = attempt_of(schedule, request_id);
    if (is_fresh(db, job) || !row)
        return;
    for (size_t i = 0; i < db->jobs_count; i++) {
        const struct db_job *other = &db->jobs[i];
        if (other == job || memcmp(other->content_hash, job->content_hash, 32) != 0 ||
            strcmp(other->document_sha256, job->document_sha256) != 0 || // a file that has changed
            (is_fresh(db, other) && other->copied_from == 0) || !asks_the_same(db, row, other))
            continue;
        if (other->outcomes > 0 && other->state == JOB_DONE)
            promise_broken(schedule, "request %s is paid, and %s has the answer", request_id,
                           other->id);
        else if (other->outcomes == 0 && db_has_paid(db, other->job_no))
            promise_broken(schedule, "request %s is paid while %s is at it", request_id, other->id);
    }
}

static bool waits_for_gate(const struct schedule *schedule, const struct db_job *job)
{
    return !schedule->gate_opens && strstr(job->spec_json, "\"" SIM_GATE "\"") != NULL;
}

// Promise 3: a request leaves only after its row, with the key that the row names, and never for a
// job that is done.
void promise_on_request(void *context, const char *request_id, const char *key)
{
    struct schedule *schedule = context;
    char id[64];
    int64_t revision;
    int call, plan, attempt;
    if (!parse_request_id(request_id, id, sizeof(id), &revision, &call, &plan, &attempt)) {
        promise_broken(schedule, "a request without a name: %s", request_id);
        return;
    }
    const struct db_job *job = db_find_job(&schedule->db, "default", "default", id, revision);
    const struct db_attempt *row = attempt_of(schedule, request_id);
    if (!job)
        promise_broken(schedule, "request %s is paid for an unknown job", request_id);
    else if (job->outcomes > 0)
        promise_broken(schedule, "request %s is paid, and the job is done", request_id);
    else if (strncmp(id, "bad-", 4) == 0)
        promise_broken(schedule, "request %s is paid, and its document cannot be read", request_id);
    else if (!row)
        promise_broken(schedule, "request %s left without a row", request_id);
    else if (strcmp(row->key_name, key) != 0)
        promise_broken(schedule, "request %s went with key %s, its row says %s", request_id, key,
                       row->key_name);
    else if (waits_for_gate(schedule, job))
        promise_broken(schedule, "request %s is paid, and the batch before it has not ended",
                       request_id);
    else
        check_twins(schedule, job, request_id);
    promise_budgets(schedule);
}

// Promise 3, of documents: a job whose plan is stored goes on with the text that was kept, and the
// window's documents are not all read at once. (A worker that does not know yet that it has lost
// the job may read it in vain.)
void promise_on_extract(void *context, int64_t worker, const char *name, size_t under_way)
{
    struct schedule *schedule = context;
    char id[64];
    int64_t revision;
    if (sscanf(name, "%63[^/]/%" SCNd64, id, &revision) != 2) {
        promise_broken(schedule, "a document without a name is read: %s", name);
        return;
    }
    const struct db_job *job = db_find_job(&schedule->db, "default", "default", id, revision);
    for (size_t i = 0; job && i < schedule->db.plans_count; i++)
        if (schedule->db.plans[i].job_no == job->job_no && job->worker == worker)
            promise_broken(schedule, "%s is read again, and its plan is of a text that was kept",
                           name);
    if (under_way > 2 * SIM_EXTRACTORS)
        promise_broken(schedule, "%zu documents are read at once", under_way);
}

// What cannot be read fails and costs nothing; all plans of a job are of one text.
static void check_documents(struct schedule *schedule)
{
    const struct db *db = &schedule->db;
    for (size_t i = 0; i < db->jobs_count; i++)
        if (strncmp(db->jobs[i].id, "bad-", 4) == 0 && db->jobs[i].state == JOB_DONE)
            promise_broken(schedule, "%s has a summary and no text", db->jobs[i].id);
    for (size_t i = 0; i < db->plans_count; i++)
        for (size_t j = 0; j < i; j++)
            if (db->plans[i].job_no == db->plans[j].job_no &&
                strcmp(db->plans[i].plan.text_sha256, db->plans[j].plan.text_sha256) != 0)
                promise_broken(schedule, "%s was planned for two texts",
                               db->jobs[db->plans[i].job_no - 1].id);
}

// A member of a request for several documents: its row is there, under the request's name, and its
// job is not done.
void promise_on_packed(void *context, const char *request_id, const char *document)
{
    struct schedule *schedule = context;
    char id[64];
    int64_t revision;
    if (sscanf(document, "%63[^/]/%" SCNd64, id, &revision) != 2) {
        promise_broken(schedule, "%s has a document without a name: %s", request_id, document);
        return;
    }
    const struct db_job *job = db_find_job(&schedule->db, "default", "default", id, revision);
    const struct db_attempt *row = NULL;
    for (size_t i = 0; job && i < schedule->db.attempts_count; i++) {
        const struct db_attempt *attempt = &schedule->db.attempts[i];
        if (attempt->job_no == job->job_no && attempt->pack &&
            strcmp(attempt->pack, request_id) == 0)
            row = attempt;
    }
    if (!job || job->outcomes > 0)
        promise_broken(schedule, "%s is paid for %s, which is done or unknown", request_id,
                       document);
    else if (!row || row->outcome != ATTEMPT_SENT)
        promise_broken(schedule, "%s left without a row of %s", request_id, document);
}

// What the ledger says of one request: a row, or one for each job that shares it.
struct ledger {
    int64_t known, at_most; // money of rows that have an end; bound of those that have none
    size_t rows, doubtful;
    bool estimated;
};

static void add_row(struct ledger *ledger, const struct db_attempt *row)
{
    ledger->rows++;
    if (row->outcome == ATTEMPT_SENT || row->outcome == ATTEMPT_IN_DOUBT) {
        ledger->doubtful++;
        ledger->at_most += row->at_most_picousd;
        return;
    }
    ledger->known += row->cost_picousd;
    ledger->estimated |= row->source == COST_ESTIMATED; // its usage never came
}

static struct ledger ledger_of(const struct schedule *schedule, const char *request_id)
{
    struct ledger ledger = {.known = 0};
    const struct db_attempt *own = attempt_of(schedule, request_id);
    for (size_t i = 0; i < schedule->db.attempts_count; i++) {
        const struct db_attempt *row = &schedule->db.attempts[i];
        if (row == own || (row->pack && strcmp(row->pack, request_id) == 0))
            add_row(&ledger, row);
    }
    return ledger;
}

static void check_bill(struct schedule *schedule)
{
    const struct sim_provider *provider = &schedule->provider;
    int64_t exact = 0, billed = 0, doubtful = 0;
    size_t doubts = 0;
    for (size_t i = 0; i < provider->bill_count; i++) {
        const struct bill *bill = &provider->bills[i];
        struct ledger ledger = ledger_of(schedule, bill->request_id);
        int64_t unknown = bill->cost_picousd - ledger.known;
        billed += bill->cost_picousd;
        if (ledger.rows == 0) {
            promise_broken(schedule, "%s is on the bill and has no row", bill->request_id);
            return;
        }
        if (ledger.doubtful > 0) {
            doubtful += unknown;
            doubts++;
            world_trace(&schedule->world, "in doubt: %s", bill->request_id);
            if (unknown > ledger.at_most)
                promise_broken(schedule, "%s cost more than its bound", bill->request_id);
        } else if (ledger.estimated) {
            doubtful += unknown;
        } else if (unknown != 0) {
            promise_broken(schedule, "%s: ledger %" PRId64 " in %zu rows, bill %" PRId64,
                           bill->request_id, ledger.known, ledger.rows, bill->cost_picousd);
        }
    }
    for (size_t i = 0; i < schedule->db.attempts_count; i++)
        if (schedule->db.attempts[i].cost_picousd > 0)
            exact += schedule->db.attempts[i].cost_picousd;
    if (exact + doubtful != billed)
        promise_broken(schedule, "the bill is %" PRId64 ", the ledger %" PRId64 " + %" PRId64,
                       billed, exact, doubtful);
    size_t most = provider->unusual + schedule->calls_cut;
    for (int w = 0; w < SIM_WORKERS; w++)
        most += schedule->workers[w].under_way_at_crashes;
    if (doubts > most)
        promise_broken(schedule, "%zu paid calls in doubt, at most %zu can be", doubts, most);
}

static bool is_kept(const struct db *db, const struct db_attempt *row)
{
    for (size_t i = 0; i < db->parts_count; i++) {
        const struct db_part *part = &db->parts[i];
        if (part->job_no == row->job_no && part->plan_no == row->plan_no &&
            part->call_no == row->call_no)
            return true;
    }
    return false;
}

// Nothing is begun for a job that was cancelled, and what was paid for it is kept: an answer that
// was its last makes it done. Where calls were to be stopped, and it came for others that shared
// the call, it is kept for a retry.
static void check_cancelled(struct schedule *schedule)
{
    const struct db *db = &schedule->db;
    for (size_t i = 0; i < db->attempts_count; i++) {
        const struct db_attempt *row = &db->attempts[i];
        const struct db_job *job = &db->jobs[row->job_no - 1];
        const struct saved_plan *plan = plan_of(db, row->job_no, row->plan_no);
        if (job->stop != STOP_CANCELLED)
            continue;
        if (row->sent_at_ms > job->stopped_ms)
            promise_broken(schedule, "%s was called after it was cancelled", job->id);
        bool whole = plan && strstr(plan->calls_json, "\"whole\"");
        bool shared = job->cut && row->pack;
        if (whole && row->outcome == ATTEMPT_OK && job->crashes == 0 && job->state != JOB_DONE &&
            !shared)
            promise_broken(schedule, "%s is cancelled, and its answer was paid", job->id);
        if (whole && row->outcome == ATTEMPT_OK && job->state != JOB_DONE && !is_kept(db, row))
            promise_broken(schedule, "%s is cancelled, and its paid answer is lost", job->id);
    }
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].state == JOB_CANCELLED && db->jobs[i].stop == STOP_NONE)
            promise_broken(schedule, "nobody cancelled %s", db->jobs[i].id);
}

void promises_at_end(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->sent_count; i++)
        if (!has_ended(schedule, &schedule->sent[i]))
            promise_broken(schedule, "%s (partition %d) has no outcome", schedule->sent[i].id,
                           schedule->sent[i].partition);
    for (size_t i = 0; i < schedule->db.jobs_count; i++)
        if (schedule->db.jobs[i].outcomes != 1)
            promise_broken(schedule, "%s has %d results", schedule->db.jobs[i].id,
                           schedule->db.jobs[i].outcomes);
    for (size_t i = 0; i < schedule->db.letters_count; i++)
        if (!schedule->db.letters[i].announced)
            promise_broken(schedule, "letter %zu was never announced", i + 1);
    if (!sim_broker_is_done(&schedule->broker))
        promise_broken(schedule, "the offsets did not come to the end");
    check_bill(schedule);
    check_documents(schedule);
    check_cancelled(schedule);
}
