// SPDX-License-Identifier: Apache-2.0
// Twins: a job takes over the answer that another one has, or learns that it has to wait for it.
#include <string.h>

#include "base/check.h"
#include "io/store_inner.h"

struct reuse_item {
    struct store_item item;
    struct reuse_request request; // its pointers are the item's
};

static const struct reuse_request *reuse_of(const struct store_item *item)
{
    return &((const struct reuse_item *)(const void *)item)->request;
}

void store_reuse(void *store, const struct reuse_request *request)
{
    struct reuse_item *item = store_item_new(store, sizeof(*item));
    item->request = *request;
    item->request.answer_key = store_item_bytes(item, request->answer_key, ANSWER_KEY_BYTES);
    item->request.document_uri = store_item_text(item, request->document_uri);
    store_ask(store, STORE_KIND_REUSE, item);
}

static int compare(const struct store_item *a, const struct store_item *b)
{
    int64_t left = reuse_of(a)->job_no, right = reuse_of(b)->job_no;
    return left < right ? -1 : left > right;
}

// ------------------------------------------------------------------------------- statements

enum columns { JOB, EPOCH, KEY, URI };

static void add_column(struct store_args *args, struct store_item **items, size_t count,
                       enum columns column)
{
    struct pg_array *array = store_args_array(args);
    for (size_t i = 0; i < count; i++) {
        const struct reuse_request *request = reuse_of(items[i]);
        switch (column) {
        case JOB:
            pg_array_add_int(array, request->job_no);
            break;
        case EPOCH:
            pg_array_add_int(array, request->epoch);
            break;
        case KEY:
            pg_array_add_bytea(array, request->answer_key, ANSWER_KEY_BYTES);
            break;
        case URI:
            pg_array_add_text(array, request->document_uri);
            break;
        }
    }
}

static void add_claims(struct store *store, struct store_args *args, struct store_item **items,
                       size_t count)
{
    store_args_int(args, store->worker_id);
    add_column(args, items, count, JOB);
    add_column(args, items, count, EPOCH);
    add_column(args, items, count, KEY);
}

static void run_copy(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    add_claims(store, &args, items, count);
    add_column(&args, items, count, URI);
    store_args_run(&args, link, STORE_SQL_reuse_copy);
    store_args_deinit(&args);
}

static void run_read(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    add_claims(store, &args, items, count);
    store_args_run(&args, link, STORE_SQL_reuse_read);
    store_args_deinit(&args);
}

// Statements that take the numbers of jobs, and look at those whose outcome is new.
static void run_ends(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args all, announced;
    store_args_init(&all);
    store_args_init(&announced);
    add_column(&all, items, count, JOB);
    store_args_run(&all, link, STORE_SQL_record_requeued);
    struct pg_array *job_no = store_args_array(&announced);
    for (size_t i = 0; i < count; i++) {
        if (reuse_of(items[i])->announce)
            pg_array_add_int(job_no, reuse_of(items[i])->job_no);
    }
    if (job_no->len > 0)
        store_args_run(&announced, link, STORE_SQL_record_outbox);
    store_args_deinit(&all);
    store_args_deinit(&announced);
}

static void send_reuses(struct store *store, struct store_item **items, size_t count,
                        struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_run(&args, link, STORE_SQL_worker_lock);
    store_args_deinit(&args);
    run_copy(store, items, count, link);
    run_ends(items, count, link);
    run_read(store, items, count, link);
}

// ------------------------------------------------------------------------------- answers

static enum reuse_verdict verdict_of(const char *name)
{
    static const char *const names[] = {
        [REUSE_WAIT] = "wait",       [REUSE_COPIED] = "copied", [REUSE_FREE] = "free",
        [REUSE_STOPPED] = "stopped", [REUSE_FENCED] = "fenced",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum reuse_verdict)i;
    CHECK(false);
    return REUSE_WAIT;
}

static void answer(struct store *store, const struct reuse_request *request, const PGresult *read,
                   int row)
{
    struct store_event event = {.kind = STORE_REUSED, .owner = request->owner};
    struct announcement announcement;
    event.u.reused.verdict = verdict_of(store_text(read, row, 1));
    if (event.u.reused.verdict == REUSE_STOPPED)
        event.u.reused.stop = store_stop_of(store_text(read, row, 2));
    if (event.u.reused.verdict == REUSE_COPIED && store_text(read, row, 3)) {
        announcement = store_result_message(read, row, 3);
        event.u.reused.announcement = &announcement;
    }
    if (event.u.reused.verdict == REUSE_COPIED || event.u.reused.verdict == REUSE_FENCED)
        store_let_go(store, request->job_no);
    store_emit(store, &event);
}

static void reuses_done(struct store *store, struct store_item **items, size_t count,
                        const struct store_answer *answers)
{
    const PGresult *read = answers->results[answers->count - 1];
    CHECK((size_t)PQntuples(read) == count);
    for (int row = 0; row < PQntuples(read); row++) {
        size_t i = (size_t)store_int(read, row, 0) - 1;
        CHECK(i < count);
        answer(store, reuse_of(items[i]), read, row);
    }
}

const struct store_kind store_kind_reuse = {
    .name = "reuse", .most = 500, .compare = compare, .send = send_reuses, .done = reuses_done};
