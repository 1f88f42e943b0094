// SPDX-License-Identifier: Apache-2.0
// Parked jobs: how they go to PostgreSQL, and how they are taken up again.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

struct park_item {
    struct store_item item;
    struct slot_id owner;
    int64_t job_no;
    int32_t epoch;
    struct park_place place; // its strings are the item's
};

struct park_place store_item_place(void *item, const struct park_place *place)
{
    struct park_place copy = *place;
    copy.reason = store_item_text(item, place->reason);
    copy.after_batch = store_item_text(item, place->after_batch);
    return copy;
}

void store_park(void *store, const struct park_request *request)
{
    struct park_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->job_no = request->job_no;
    item->epoch = request->epoch;
    item->place = store_item_place(item, &request->place);
    store_ask(store, STORE_KIND_PARK, item);
}

static const struct park_item *park_of(const struct store_item *item)
{
    return (const struct park_item *)(const void *)item;
}

static int compare_parks(const struct store_item *a, const struct store_item *b)
{
    int64_t left = park_of(a)->job_no, right = park_of(b)->job_no;
    return left < right ? -1 : left > right;
}

static bool any_paused(struct store_item *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(park_of(items[i])->place.reason, "paused") == 0)
            return true;
    return false;
}

static void add_places(struct store_args *args, struct store_item *const *items, size_t count)
{
    struct pg_array *reason = store_args_array(args), *due = store_args_array(args),
                    *start = store_args_array(args), *tokens = store_args_array(args),
                    *bytes = store_args_array(args), *fails = store_args_array(args),
                    *after = store_args_array(args);
    for (size_t i = 0; i < count; i++) {
        const struct park_place *place = &park_of(items[i])->place;
        pg_array_add_text(reason, place->reason);
        pg_array_add_int(due, place->due_ms);
        store_add_ms(start, place->start_ms);
        pg_array_add_int(tokens, place->tokens);
        pg_array_add_int(bytes, place->bytes);
        pg_array_add_text(fails, place->fails ? "t" : "f");
        pg_array_add_text(after, place->after_batch);
    }
}

static void send_parks(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    if (any_paused(items, count))
        store_args_run(&args, link, STORE_SQL_park_pauses);
    store_args_int(&args, store->worker_id);
    struct pg_array *job_no = store_args_array(&args), *epoch = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        pg_array_add_int(job_no, park_of(items[i])->job_no);
        pg_array_add_int(epoch, park_of(items[i])->epoch);
    }
    add_places(&args, items, count);
    store_args_run(&args, link, STORE_SQL_park);
    store_args_deinit(&args);
    store_args_init(&args);
    job_no = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(job_no, park_of(items[i])->job_no);
    store_args_run(&args, link, STORE_SQL_park_read);
    store_args_deinit(&args);
}

static void parks_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    const PGresult *read = answer->results[answer->count - 1];
    CHECK((size_t)PQntuples(read) == count);
    for (int row = 0; row < PQntuples(read); row++) {
        size_t i = (size_t)store_int(read, row, 0) - 1;
        CHECK(i < count);
        bool kept = store_bool(read, row, 1);
        if (kept)
            store_let_go(store, park_of(items[i])->job_no);
        struct store_event event = {.kind = STORE_PARKED, .owner = park_of(items[i])->owner};
        event.u.parked.verdict = kept ? PARK_DONE : PARK_FENCED;
        store_emit(store, &event);
    }
}

const struct store_kind store_kind_park = {
    .name = "park",
    .most = 500,
    .unique = true,
    .compare = compare_parks,
    .send = send_parks,
    .done = parks_done,
};

// ------------------------------------------------------------------------------- taken up

struct take_item {
    struct store_item item;
    int64_t serial;
    struct take_request request; // its strings are the item's
};

void store_take_requeued(void *context, const struct take_request *request)
{
    struct store *store = context;
    struct take_item *item = store_item_new(store, sizeof(*item));
    item->serial = ++store->next_serial;
    item->request = *request;
    item->request.after_tenant = store_item_text(item, request->after_tenant);
    struct take_share *shares =
        store_item_bytes(item, request->shares, request->share_count * sizeof(*shares));
    for (size_t i = 0; i < request->share_count; i++)
        shares[i].tenant = store_item_text(item, shares[i].tenant);
    item->request.shares = shares;
    store_ask(store, STORE_KIND_REQUEUED, item);
}

static const struct take_item *take_of(struct store_item *item)
{
    return (const struct take_item *)(const void *)item;
}

static void add_shares(struct store_args *args, const struct take_request *request)
{
    struct pg_array *tenant = store_args_array(args), *weight = store_args_array(args),
                    *time = store_args_array(args), *stands = store_args_array(args);
    for (size_t i = 0; i < request->share_count; i++) {
        pg_array_add_text(tenant, request->shares[i].tenant);
        pg_array_add_int(weight, request->shares[i].weight);
        pg_array_add_int(time, request->shares[i].time);
        pg_array_add_text(stands, request->shares[i].stands ? "t" : "f");
    }
}

static void run_take(struct store *store, const struct take_item *item, struct pg_link *link)
{
    const struct take_request *request = &item->request;
    const char *after = request->after_tenant ? request->after_tenant : "";
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, item->serial);
    store_args_int(&args, (int64_t)request->limit);
    store_args_int(&args, 9 - request->least_priority);
    store_args_text(&args, after);
    store_args_int(&args, request->before);
    store_args_int(&args, (int64_t)request->doors);
    store_args_int(&args, request->time_of_others);
    store_args_int(&args, (int64_t)request->ends);
    add_shares(&args, request);
    store_args_run(&args, link, STORE_SQL_take_requeued);
    store_args_deinit(&args);
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, item->serial);
    store_args_text(&args, after);
    store_args_run(&args, link, STORE_SQL_take_read);
    store_args_deinit(&args);
}

static void run_alone(struct pg_link *link, enum store_statement statement)
{
    struct store_args args;
    store_args_init(&args);
    store_args_run(&args, link, statement);
    store_args_deinit(&args);
}

// The last five statements have the answer.
static void send_takes(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)count;
    const struct take_item *item = take_of(items[0]);
    static const enum store_statement first[] = {STORE_SQL_take_due,   STORE_SQL_take_late,
                                                 STORE_SQL_take_ended, STORE_SQL_take_after,
                                                 STORE_SQL_take_dead,  STORE_SQL_take_count};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        run_alone(link, first[i]);
    run_take(store, item, link);
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, item->serial);
    store_args_int(&args, (int64_t)item->request.limit);
    store_args_int(&args, store->options.message_version);
    store_args_run(&args, link, STORE_SQL_take_later);
    store_args_deinit(&args);
    run_alone(link, STORE_SQL_take_state);
    run_alone(link, STORE_SQL_take_pauses);
}

// Columns: job, topic, partition, offset, unix ms, key, value.
static struct requeued_job requeued_of(const PGresult *result, int row, unsigned char **data)
{
    struct requeued_job job = {.job_no = store_int(result, row, 0)};
    struct message *message = &job.message;
    message->topic = store_text(result, row, 1);
    message->partition = (int32_t)store_int(result, row, 2);
    message->offset = store_int(result, row, 3);
    message->timestamp_ms = store_text(result, row, 4) ? store_int(result, row, 4) : -1;
    message->key = store_take_bytea(store_text(result, row, 5), data, &message->key_len);
    message->value = store_take_bytea(store_text(result, row, 6), data, &message->value_len);
    return job;
}

static size_t bytes_of(const PGresult *result)
{
    size_t bytes = 0;
    for (int row = 0; row < PQntuples(result); row++)
        bytes += (size_t)PQgetlength(result, row, 5) + (size_t)PQgetlength(result, row, 6);
    return bytes / 2;
}

static struct pause_row *pauses_of(const PGresult *result)
{
    struct pause_row *pauses = own_array((size_t)PQntuples(result) + 1, sizeof(*pauses));
    for (int row = 0; row < PQntuples(result); row++)
        pauses[row] = (struct pause_row){store_text(result, row, 0), store_text(result, row, 1)};
    return pauses;
}

static void takes_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *given)
{
    (void)items;
    (void)count;
    PGresult *const *last = given->results + given->count - 4;
    const PGresult *lists[2] = {last[0], last[1]}, *state = last[2];
    size_t total = 0, bytes = 1;
    for (size_t i = 0; i < 2; i++) {
        total += (size_t)PQntuples(lists[i]);
        bytes += bytes_of(lists[i]);
    }
    struct requeued_job *jobs = own_array(total + 1, sizeof(*jobs));
    struct pause_row *pauses = pauses_of(last[3]);
    unsigned char *memory = own_alloc(bytes), *data = memory;
    size_t len = 0;
    for (size_t i = 0; i < 2; i++)
        for (int row = 0; row < PQntuples(lists[i]); row++)
            jobs[len++] = requeued_of(lists[i], row, &data);
    store->had_later = store->had_later || PQntuples(lists[1]) > 0;
    CHECK(PQntuples(state) == 1);
    struct store_event event = {.kind = STORE_REQUEUED};
    event.u.requeued.jobs = jobs;
    event.u.requeued.job_count = total;
    event.u.requeued.more = store_bool(state, 0, 0);
    event.u.requeued.parked_rows = store_int(state, 0, 1);
    event.u.requeued.parked_bytes = store_int(state, 0, 2);
    event.u.requeued.pauses = pauses;
    event.u.requeued.pause_count = (size_t)PQntuples(last[3]);
    store_emit(store, &event);
    free(pauses);
    free(jobs);
    free(memory);
}

const struct store_kind store_kind_requeued = {
    .name = "take_requeued", .most = 1, .send = send_takes, .done = takes_done};
