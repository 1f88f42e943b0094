// SPDX-License-Identifier: Apache-2.0
// The lease, waiting reasons, seals, and the end.
#include <string.h>

#include "base/check.h"
#include "io/store_inner.h"

static void nothing_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    (void)store;
    (void)items;
    (void)count;
    (void)answer;
}

// ------------------------------------------------------------------------------- lease

void store_renew(void *store)
{
    store_ask(store, STORE_KIND_RENEW, store_item_new(store, sizeof(struct store_item)));
}

static void send_renew(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)items;
    (void)count;
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, store->options.lease_ms);
    store_args_run(&args, link, STORE_SQL_renew);
    store_args_deinit(&args);
}

static void renew_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    (void)items;
    (void)count;
    const PGresult *read = answer->results[0];
    struct store_event event = {.kind = STORE_RENEWED};
    if (PQntuples(read) == 1) {
        const char *since = store_text(read, 0, 0);
        event.u.renewed.broken = strcmp(since, store->unbroken_since) != 0;
        event.u.renewed.db_now_ms = store_int(read, 0, 1);
        snprintf(store->unbroken_since, sizeof(store->unbroken_since), "%s", since);
        store_emit(store, &event);
    } else {
        // The row is gone (a failover that lost it, or an operator): register again, then renew.
        pg_link_restart(store->link);
        store_renew(store);
    }
}

const struct store_kind store_kind_renew = {
    .name = "renew", .most = 1, .send = send_renew, .done = renew_done};

// ------------------------------------------------------------------------------- waiting

struct waiting_item {
    struct store_item item;
    int64_t job_no, earliest_start_ms;
    char *reason;
};

static const struct waiting_item *waiting_of(const struct store_item *item)
{
    return (const struct waiting_item *)(const void *)item;
}

void store_waiting(void *store, int64_t job_no, const char *reason, int64_t earliest_start_ms)
{
    struct waiting_item *item = store_item_new(store, sizeof(*item));
    item->job_no = job_no;
    item->reason = store_item_text(item, reason);
    item->earliest_start_ms = earliest_start_ms;
    store_ask(store, STORE_KIND_WAITING, item);
}

static int compare_waiting(const struct store_item *a, const struct store_item *b)
{
    int64_t left = waiting_of(a)->job_no, right = waiting_of(b)->job_no;
    return left < right ? -1 : left > right;
}

static void send_waiting(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    (void)store;
    struct store_args args;
    store_args_init(&args);
    struct pg_array *job_no = store_args_array(&args), *reason = store_args_array(&args),
                    *start = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct waiting_item *item = waiting_of(items[i]);
        pg_array_add_int(job_no, item->job_no);
        pg_array_add_text(reason, item->reason);
        store_add_ms(start, item->reason ? item->earliest_start_ms : 0);
    }
    store_args_run(&args, link, STORE_SQL_waiting);
    store_args_deinit(&args);
}

const struct store_kind store_kind_waiting = {
    .name = "waiting",
    .most = 500,
    .unique = true,
    .lazy = true,
    .compare = compare_waiting,
    .send = send_waiting,
    .done = nothing_done,
};

// ------------------------------------------------------------------------------- seals

struct seal_item {
    struct store_item item;
    struct slot_id owner;
    char *tenant, *batch;
    int64_t total;
};

void store_seal(void *store, const struct seal_request *request)
{
    struct seal_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->tenant = store_item_text(item, request->tenant);
    item->batch = store_item_text(item, request->batch);
    item->total = request->total;
    store_ask(store, STORE_KIND_SEAL, item);
}

static void send_seal(struct store *store, struct store_item **items, size_t count,
                      struct pg_link *link)
{
    (void)store;
    (void)count;
    const struct seal_item *item = (const void *)items[0];
    struct store_args args;
    store_args_init(&args);
    store_args_text(&args, item->tenant);
    store_args_text(&args, item->batch);
    store_args_int(&args, item->total);
    store_args_run(&args, link, STORE_SQL_seal);
    store_args_deinit(&args);
}

static void seal_done(struct store *store, struct store_item **items, size_t count,
                      const struct store_answer *answer)
{
    (void)count;
    (void)answer;
    struct store_event event = {.kind = STORE_SEALED,
                                .owner = ((struct seal_item *)(void *)items[0])->owner};
    store_emit(store, &event);
}

const struct store_kind store_kind_seal = {
    .name = "seal", .most = 1, .send = send_seal, .done = seal_done};

// ------------------------------------------------------------------------------- release

void store_release(void *store)
{
    store_ask(store, STORE_KIND_RELEASE, store_item_new(store, sizeof(struct store_item)));
}

static void send_release(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    (void)items;
    (void)count;
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_run(&args, link, STORE_SQL_release_requeued);
    store_args_run(&args, link, STORE_SQL_release_later);
    store_args_run(&args, link, STORE_SQL_release_worker);
    store_args_run(&args, link, STORE_SQL_release_budgets);
    struct pg_array *job_no = store_args_array(&args);
    for (size_t i = 0; i < store->held_len; i++)
        pg_array_add_int(job_no, store->held[i]);
    store_args_run(&args, link, STORE_SQL_release_claims);
    store_args_deinit(&args);
}

static void release_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    (void)items;
    (void)count;
    (void)answer;
    store->held_len = 0;
    store_emit(store, &(struct store_event){.kind = STORE_RELEASED});
}

const struct store_kind store_kind_release = {
    .name = "release", .most = 1, .send = send_release, .done = release_done};
