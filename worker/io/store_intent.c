// SPDX-License-Identifier: Apache-2.0
// T2: the rows that say that requests are about to leave.
#include <string.h>

#include "base/check.h"
#include "io/store_inner.h"

struct intent_item {
    struct store_item item;
    struct intent_request request; // its strings are the item's
    struct plan_row plan;
};

void store_intend(void *store, const struct intent_request *request)
{
    struct intent_item *item = store_item_new(store, sizeof(*item));
    item->request = *request;
    struct intent_request *copy = &item->request;
    copy->provider = store_item_text(item, request->provider);
    copy->model = store_item_text(item, request->model);
    copy->key_name = store_item_text(item, request->key_name);
    copy->reasoning_mode = store_item_text(item, request->reasoning_mode);
    copy->price_version = store_item_text(item, request->price_version);
    copy->pack = store_item_text(item, request->pack);
    if (request->answer_key)
        copy->answer_key = store_item_bytes(item, request->answer_key, ANSWER_KEY_BYTES);
    if (request->plan) {
        item->plan = *request->plan;
        item->plan.model = store_item_text(item, request->plan->model);
        item->plan.prompt_version = store_item_text(item, request->plan->prompt_version);
        item->plan.text_sha256 = store_item_text(item, request->plan->text_sha256);
        item->plan.calls_json = store_item_text(item, request->plan->calls_json);
        item->plan.reasoning_mode = store_item_text(item, request->plan->reasoning_mode);
        item->plan.why = store_item_text(item, request->plan->why);
        if (request->plan->answer_key)
            item->plan.answer_key =
                store_item_bytes(item, request->plan->answer_key, ANSWER_KEY_BYTES);
        copy->plan = &item->plan;
    }
    store_ask(store, STORE_KIND_INTENT, item);
}

static const struct intent_request *intent_of(const struct store_item *item)
{
    return &((const struct intent_item *)(const void *)item)->request;
}

static int compare(const struct store_item *a, const struct store_item *b)
{
    int64_t left = intent_of(a)->job_no, right = intent_of(b)->job_no;
    return left < right ? -1 : left > right;
}

static void run_plans(struct store *store, struct store_item **items, size_t count,
                      struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    struct pg_array *job_no = store_args_array(&args), *epoch = store_args_array(&args),
                    *plan_no = store_args_array(&args), *model = store_args_array(&args),
                    *prompt = store_args_array(&args), *sha256 = store_args_array(&args),
                    *calls = store_args_array(&args), *reasoning = store_args_array(&args),
                    *why = store_args_array(&args), *answer_key = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct intent_request *request = intent_of(items[i]);
        if (request->plan == NULL)
            continue;
        pg_array_add_int(job_no, request->job_no);
        pg_array_add_int(epoch, request->epoch);
        pg_array_add_int(plan_no, request->plan->plan_no);
        pg_array_add_text(model, request->plan->model);
        pg_array_add_text(prompt, request->plan->prompt_version);
        pg_array_add_text(sha256, request->plan->text_sha256);
        pg_array_add_text(calls, request->plan->calls_json);
        pg_array_add_text(reasoning, request->plan->reasoning_mode);
        pg_array_add_text(why, request->plan->why);
        pg_array_add_bytea(answer_key, request->plan->answer_key, ANSWER_KEY_BYTES);
    }
    if (job_no->len > 0)
        store_args_run(&args, link, STORE_SQL_intent_plans);
    store_args_deinit(&args);
}

// Who makes the answers. Before the attempts, which are refused to those that another job has.
static void run_twins(struct store *store, struct store_item **items, size_t count,
                      struct pg_link *link)
{
    struct store_args leads, twins;
    store_args_init(&leads);
    store_args_init(&twins);
    store_args_int(&twins, store->worker_id);
    struct pg_array *lead_job = store_args_array(&leads), *lead_key = store_args_array(&leads),
                    *lead_fresh = store_args_array(&leads);
    struct pg_array *job_no = store_args_array(&twins), *epoch = store_args_array(&twins),
                    *key = store_args_array(&twins), *fresh = store_args_array(&twins),
                    *was = store_args_array(&twins);
    for (size_t i = 0; i < count; i++) {
        const struct intent_request *request = intent_of(items[i]);
        if (!request->answer_key)
            continue;
        pg_array_add_int(lead_job, request->job_no);
        pg_array_add_bytea(lead_key, request->answer_key, ANSWER_KEY_BYTES);
        pg_array_add_bool(lead_fresh, request->fresh);
        pg_array_add_int(job_no, request->job_no);
        pg_array_add_int(epoch, request->epoch);
        pg_array_add_bytea(key, request->answer_key, ANSWER_KEY_BYTES);
        pg_array_add_bool(fresh, request->fresh);
        pg_array_add_bool(was, request->was_twin);
    }
    if (job_no->len > 0) {
        store_args_run(&leads, link, STORE_SQL_intent_leads);
        store_args_run(&twins, link, STORE_SQL_intent_twins);
    }
    store_args_deinit(&leads);
    store_args_deinit(&twins);
}

// Worker, job, epoch, plan, call, attempt: all of intent_read, the beginning of intent_attempts.
static void add_numbers(struct store *store, struct store_args *args, struct store_item **items,
                        size_t count)
{
    store_args_int(args, store->worker_id);
    struct pg_array *job_no = store_args_array(args), *epoch = store_args_array(args),
                    *plan_no = store_args_array(args), *call_no = store_args_array(args),
                    *attempt_no = store_args_array(args);
    for (size_t i = 0; i < count; i++) {
        const struct intent_request *request = intent_of(items[i]);
        pg_array_add_int(job_no, request->job_no);
        pg_array_add_int(epoch, request->epoch);
        pg_array_add_int(plan_no, request->plan_no);
        pg_array_add_int(call_no, request->call_no);
        pg_array_add_int(attempt_no, request->attempt_no);
    }
}

static void run_attempts(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    add_numbers(store, &args, items, count);
    struct pg_array *provider = store_args_array(&args), *model = store_args_array(&args),
                    *key_name = store_args_array(&args), *mode = store_args_array(&args),
                    *price = store_args_array(&args), *at_most = store_args_array(&args),
                    *pack = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct intent_request *request = intent_of(items[i]);
        pg_array_add_text(provider, request->provider);
        pg_array_add_text(model, request->model);
        pg_array_add_text(key_name, request->key_name);
        pg_array_add_text(mode, request->reasoning_mode);
        pg_array_add_text(price, request->price_version);
        pg_array_add_int(at_most, request->at_most_picousd);
        pg_array_add_text(pack, request->pack);
    }
    store_args_run(&args, link, STORE_SQL_intent_attempts);
    store_args_deinit(&args);
}

static void run_read(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    add_numbers(store, &args, items, count);
    struct pg_array *provider = store_args_array(&args), *key_name = store_args_array(&args),
                    *at_most = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct intent_request *request = intent_of(items[i]);
        pg_array_add_text(provider, request->provider);
        pg_array_add_text(key_name, request->key_name);
        pg_array_add_int(at_most, request->at_most_picousd);
    }
    store_args_run(&args, link, STORE_SQL_intent_read);
    store_args_deinit(&args);
}

static void send_intents(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_run(&args, link, STORE_SQL_worker_lock);
    store_args_deinit(&args);
    run_twins(store, items, count, link);
    run_plans(store, items, count, link);
    run_attempts(store, items, count, link);
    run_read(store, items, count, link);
}

static enum intent_verdict verdict_of(const char *name)
{
    static const struct {
        const char *name;
        enum intent_verdict verdict;
    } names[] = {{"go", INTENT_GO},
                 {"fenced", INTENT_FENCED},
                 {"stopped", INTENT_STOPPED},
                 {"no_lease", INTENT_NO_LEASE},
                 {"budget", INTENT_BUDGET}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0)
            return names[i].verdict;
    }
    CHECK(false);
    return INTENT_FENCED;
}

static void intents_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    const PGresult *read = answer->results[answer->count - 1];
    CHECK((size_t)PQntuples(read) == count);
    for (int row = 0; row < PQntuples(read); row++) {
        size_t i = (size_t)store_int(read, row, 0) - 1;
        CHECK(i < count);
        struct store_event event = {.kind = STORE_INTENDED, .owner = intent_of(items[i])->owner};
        event.u.intended.verdict = verdict_of(store_text(read, row, 1));
        const char *stop = store_text(read, row, 2);
        if (event.u.intended.verdict == INTENT_STOPPED && strcmp(stop, "twin") == 0)
            event.u.intended.verdict = INTENT_TWIN;
        else if (event.u.intended.verdict == INTENT_STOPPED)
            event.u.intended.stop = store_stop_of(stop);
        struct budget_refusal refusal;
        if (event.u.intended.verdict == INTENT_BUDGET) {
            store_budget_refusal(read, row, 3, &refusal);
            event.u.intended.refusal = &refusal;
        }
        store_emit(store, &event);
    }
}

static bool intent_rejected(struct store *store, struct store_item *item, const char *sqlstate)
{
    struct store_event event = {.kind = STORE_INTENDED, .owner = intent_of(item)->owner};
    event.u.intended.verdict = INTENT_REJECTED;
    store_copy_sqlstate(event.u.intended.sqlstate, sqlstate);
    store_emit(store, &event);
    return false;
}

const struct store_kind store_kind_intent = {
    .name = "intend",
    .most = 500,
    .compare = compare,
    .send = send_intents,
    .done = intents_done,
    .rejected = intent_rejected,
};
