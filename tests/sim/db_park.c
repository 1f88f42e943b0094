// SPDX-License-Identifier: Apache-2.0
// The model of parked jobs, of what is paused, and of batches that end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "db.h"
#include "world.h"

#define ADD(db, name)                                                                              \
    ((db)->name = own_grow((db)->name, (db)->name##_count + 1, sizeof(*(db)->name)),               \
     memset(&(db)->name[(db)->name##_count], 0, sizeof(*(db)->name)),                              \
     &(db)->name[(db)->name##_count++])

int64_t db_unix_ms(int64_t now_ms)
{
    return SIM_START_UNIX_MS + now_ms;
}

// ------------------------------------------------------------------------------- pauses

static bool covers(const struct db_pause *pause, const struct db_job *job)
{
    char name[700];
    const char *scope = pause->scope;
    if (strcmp(scope, "all") == 0)
        return true;
    if (strcmp(scope, "tenant") == 0)
        return strcmp(pause->name, job->tenant) == 0;
    snprintf(name, sizeof(name), "%s/%s", job->tenant, job->batch);
    if (strcmp(scope, "batch") == 0)
        return strcmp(pause->name, name) == 0;
    snprintf(name, sizeof(name), "%s/%s/%s", job->tenant, job->batch, job->id);
    return strcmp(scope, "job") == 0 && strcmp(pause->name, name) == 0;
}

static bool is_covered(const struct db *db, const struct db_job *job)
{
    for (size_t i = 0; i < db->pauses_count; i++)
        if (covers(&db->pauses[i], job))
            return true;
    return false;
}

// Of those workers find out themselves.
static bool is_of_calls(const char *scope)
{
    return strcmp(scope, "model") == 0 || strcmp(scope, "key") == 0;
}

static bool any_of_calls(const struct db *db)
{
    for (size_t i = 0; i < db->pauses_count; i++)
        if (is_of_calls(db->pauses[i].scope))
            return true;
    return false;
}

void db_pause(struct db *db, const char *scope, const char *name)
{
    for (size_t i = 0; i < db->pauses_count; i++)
        if (strcmp(db->pauses[i].scope, scope) == 0 && strcmp(db->pauses[i].name, name) == 0)
            return;
    struct db_pause *pause = ADD(db, pauses);
    *pause = (struct db_pause){own_strdup(scope), own_strdup(name)};
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (!job->requeued || !job->ready || job->requeued_by != 0 || job->urgency < 0 ||
            !covers(pause, job))
            continue;
        job->ready = false;
        job->due_ms = INT64_MAX;
        snprintf(job->reason, sizeof(job->reason), "paused");
    }
}

void db_resume(struct db *db, const char *scope, const char *name, int64_t now_ms)
{
    size_t i = 0;
    while (i < db->pauses_count &&
           (strcmp(db->pauses[i].scope, scope) != 0 || strcmp(db->pauses[i].name, name) != 0))
        i++;
    if (i == db->pauses_count)
        return;
    struct db_pause gone = db->pauses[i];
    db->pauses[i] = db->pauses[--db->pauses_count];
    for (size_t k = 0; k < db->jobs_count; k++) {
        struct db_job *job = &db->jobs[k];
        if (job->requeued && !job->ready && strcmp(job->reason, "paused") == 0 &&
            (is_of_calls(scope) || covers(&gone, job)) && !is_covered(db, job))
            job->due_ms = db_unix_ms(now_ms);
    }
    free(gone.scope);
    free(gone.name);
}

// ------------------------------------------------------------------------------- parking

void db_place(const struct db *db, struct db_job *job, const struct park_place *place,
              int64_t now_ms)
{
    bool stopped = job->stop != STOP_NONE;
    bool in_vain =
        strcmp(place->reason, "paused") == 0 && !any_of_calls(db) && !is_covered(db, job);
    job->requeued = job->was_parked = true;
    job->requeued_by = job->requeued_serial = 0;
    job->due_ms = stopped || place->due_ms == 0 || in_vain ? db_unix_ms(now_ms) : place->due_ms;
    job->ready = stopped || place->due_ms == 0;
    job->urgency = stopped ? -1 : 9 - job->priority;
    job->fails = place->fails;
    job->tokens = place->tokens;
    snprintf(job->reason, sizeof(job->reason), "%s", place->reason);
    free(job->after_batch);
    job->after_batch = own_strdup(place->after_batch);
}

enum park_verdict db_park(struct db *db, int64_t worker, int64_t now_ms,
                          const struct park_request *request)
{
    struct db_job *job = &db->jobs[request->job_no - 1];
    if (job->worker == worker && job->epoch == request->epoch && job->outcomes == 0) {
        job->worker = 0;
        db_place(db, job, &request->place, now_ms);
    }
    return job->requeued || job->outcomes > 0 ? PARK_DONE : PARK_FENCED;
}

// ------------------------------------------------------------------------------- batches

static struct db_batch *find_batch(const struct db *db, const char *tenant, const char *name)
{
    for (size_t i = 0; i < db->batches_count; i++)
        if (strcmp(db->batches[i].name, name) == 0 && strcmp(db->batches[i].tenant, tenant) == 0)
            return &db->batches[i];
    return NULL;
}

void db_seal(struct db *db, const char *tenant, const char *name, int64_t total)
{
    struct db_batch *batch = find_batch(db, tenant, name);
    if (!batch) {
        batch = ADD(db, batches);
        *batch = (struct db_batch){.tenant = own_strdup(tenant), .name = own_strdup(name)};
    }
    batch->total = total;
}

static bool is_first_of_its_id(const struct db *db, size_t place)
{
    const struct db_job *job = &db->jobs[place];
    for (size_t i = 0; i < place; i++)
        if (strcmp(db->jobs[i].id, job->id) == 0 && strcmp(db->jobs[i].batch, job->batch) == 0 &&
            strcmp(db->jobs[i].tenant, job->tenant) == 0)
            return false;
    return true;
}

static bool has_ended(const struct db *db, const struct db_batch *batch)
{
    int64_t ids = 0;
    for (size_t i = 0; i < db->jobs_count; i++) {
        const struct db_job *job = &db->jobs[i];
        if (strcmp(job->batch, batch->name) != 0 || strcmp(job->tenant, batch->tenant) != 0)
            continue;
        if (job->outcomes == 0)
            return false;
        ids += is_first_of_its_id(db, i);
    }
    return ids >= batch->total;
}

// ------------------------------------------------------------------------------- taking

static void look_what_came(struct db *db, int64_t now_ms)
{
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (!job->requeued)
            continue;
        if (job->due_ms <= db_unix_ms(now_ms))
            job->ready = true;
        if (job->fails && job->deadline_ms <= db_unix_ms(now_ms) && job->urgency >= 0) {
            job->ready = true;
            job->urgency = -1;
        }
        struct db_batch *batch =
            strcmp(job->reason, "batch") == 0 && !job->ready && job->after_batch
                ? find_batch(db, job->tenant, job->after_batch)
                : NULL;
        if (batch)
            batch->ended = batch->ended || has_ended(db, batch);
        if (batch && batch->ended)
            job->ready = true;
        if (job->requeued_by != 0 && !db_has_lease(db, job->requeued_by, now_ms)) {
            job->requeued_by = job->requeued_serial = 0;
            job->ready = true;
        }
    }
}

struct candidate {
    struct db_job *job;
    size_t place;   // among those of its tenant
    int64_t begins; // virtual time
    bool stands;    // its tenant has something in the window
    bool door;      // it goes first for that
    bool later;     // its tenant's turn comes after others'
};

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

// By priority and tenant, within them as they come.
static int by_pair(const void *left, const void *right)
{
    const struct db_job *a = ((const struct candidate *)left)->job,
                        *b = ((const struct candidate *)right)->job;
    int order = compare_numbers(a->urgency, b->urgency);
    if (order == 0)
        order = strcmp(a->tenant, b->tenant);
    if (order == 0)
        order = compare_numbers(a->deadline_ms, b->deadline_ms);
    return order ? order : compare_numbers(a->job_no, b->job_no);
}

// As compare_numbers, by what decides between candidates of one urgency.
static int by_time(const struct candidate *a, const struct candidate *b)
{
    int order = compare_numbers(a->begins, b->begins);
    if (order == 0)
        order = compare_numbers(a->later, b->later);
    return order ? order : strcmp(a->job->tenant, b->job->tenant);
}

// Those that may go through the door: of tenants of which nothing stands, the foremost.
static bool is_at_door(const struct candidate *candidate)
{
    return candidate->place == 1 && !candidate->stands;
}

static int by_door(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_numbers(is_at_door(b), is_at_door(a));
    return order ? order : by_time(a, b);
}

static int by_turn(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_numbers(b->door, a->door);
    if (order == 0)
        order = compare_numbers(a->job->urgency, b->job->urgency);
    if (order == 0)
        order = by_time(a, b);
    return order ? order : compare_numbers((int64_t)a->place, (int64_t)b->place);
}

// A tenant's jobs one after the other.
static int by_tenant(const void *left, const void *right)
{
    const struct db_job *a = ((const struct candidate *)left)->job,
                        *b = ((const struct candidate *)right)->job;
    int order = strcmp(a->tenant, b->tenant);
    return order ? order : by_pair(left, right);
}

static int by_answer(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    int order = compare_numbers(a->job->urgency, b->job->urgency);
    if (order == 0)
        order = compare_numbers(a->later, b->later);
    return order ? order : by_pair(left, right);
}

static bool is_wanted(const struct take_request *request, const struct candidate *candidate)
{
    int least = 9 - request->least_priority, urgency = candidate->job->urgency;
    return candidate->door || urgency < least ||
           (urgency == least && candidate->begins < request->before);
}

static struct take_share share_of(const struct take_request *request, const char *tenant)
{
    for (size_t i = 0; i < request->share_count; i++)
        if (strcmp(request->shares[i].tenant, tenant) == 0)
            return request->shares[i];
    return (struct take_share){tenant, 1, request->time_of_others, false};
}

// Of each tenant and priority the first ones. The list is sorted by tenant.
static size_t cut(const struct take_request *request, struct candidate *list, size_t count)
{
    size_t tenants = 1, kept = 0, place = 0;
    for (size_t i = 1; i < count; i++)
        tenants += strcmp(list[i - 1].job->tenant, list[i].job->tenant) != 0;
    const struct db_job *last = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct db_job *job = list[i].job;
        bool first =
            !last || last->urgency != job->urgency || strcmp(last->tenant, job->tenant) != 0;
        last = job;
        place = first ? 1 : place + 1;
        bool is_end = job->urgency < 0 && place <= request->ends;
        if (is_end || (place <= request->limit && place <= 4 * request->limit / tenants + 4))
            list[kept++] = list[i];
    }
    return kept;
}

// The list is sorted by tenant.
static void set_times(const struct take_request *request, struct candidate *list, size_t count)
{
    int64_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        struct candidate *one = &list[i];
        const struct db_job *job = one->job;
        bool first = i == 0 || strcmp(list[i - 1].job->tenant, job->tenant) != 0;
        struct take_share share = share_of(request, job->tenant);
        one->place = first ? 1 : list[i - 1].place + 1;
        one->stands = share.stands;
        tokens = first ? 0 : tokens;
        one->begins = share.time + tokens * TAKE_TOKEN_TIME / share.weight;
        tokens += job->tokens ? job->tokens : TAKE_TOKENS;
    }
}

static size_t gather(struct db *db, const struct take_request *request, struct candidate *list)
{
    const char *after = request->after_tenant ? request->after_tenant : "";
    size_t count = 0, kept = 0, ends = 0;
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (job->requeued && job->ready && job->requeued_by == 0)
            list[count++] =
                (struct candidate){.job = job, .later = strcmp(job->tenant, after) <= 0};
    }
    qsort(list, count, sizeof(*list), by_tenant);
    count = cut(request, list, count);
    set_times(request, list, count);
    qsort(list, count, sizeof(*list), by_door);
    for (size_t i = 0; i < count && i < request->doors; i++)
        list[i].door = is_at_door(&list[i]);
    for (size_t i = 0; i < count; i++)
        if (is_wanted(request, &list[i]))
            list[kept++] = list[i];
    for (size_t i = 0; i < kept; i++)
        ends += list[i].job->urgency < 0;
    ends = ends < request->ends ? ends : request->ends;
    size_t limit = request->limit > ends ? request->limit : ends;
    qsort(list, kept, sizeof(*list), by_turn);
    return kept < limit ? kept : limit;
}

// What this very request took before, when its answer was lost.
static bool was_applied(const struct db *db, int64_t worker, int64_t serial)
{
    for (size_t i = 0; i < db->jobs_count; i++)
        if (db->jobs[i].requeued_by == worker && db->jobs[i].requeued_serial == serial)
            return true;
    return false;
}

size_t db_take_requeued(struct db *db, const struct take_request *request, int64_t worker,
                        int64_t serial, int64_t now_ms, int64_t *out)
{
    struct candidate *list = own_array(db->jobs_count + 1, sizeof(*list));
    const char *after = request->after_tenant ? request->after_tenant : "";
    look_what_came(db, now_ms);
    size_t count = was_applied(db, worker, serial) ? 0 : gather(db, request, list);
    for (size_t i = 0; i < count; i++) {
        list[i].job->requeued_by = worker;
        list[i].job->requeued_serial = serial;
    }
    count = 0;
    for (size_t i = 0; i < db->jobs_count; i++) {
        struct db_job *job = &db->jobs[i];
        if (job->requeued && job->requeued_by == worker && job->requeued_serial == serial)
            list[count++] =
                (struct candidate){.job = job, .later = strcmp(job->tenant, after) <= 0};
    }
    qsort(list, count, sizeof(*list), by_answer);
    CHECK(count <= request->limit + request->ends);
    for (size_t i = 0; i < count; i++)
        out[i] = list[i].job->job_no;
    free(list);
    return count;
}

bool db_more_due(const struct db *db, int64_t *out_rows, int64_t *out_bytes)
{
    bool more = false;
    *out_rows = *out_bytes = 0;
    for (size_t i = 0; i < db->jobs_count; i++) {
        const struct db_job *job = &db->jobs[i];
        *out_rows += job->requeued;
        more = more || (job->requeued && job->ready && job->requeued_by == 0);
    }
    return more;
}
