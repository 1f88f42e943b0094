// SPDX-License-Identifier: Apache-2.0
// T1: the claim of a group of jobs, and the look-up of those that others hold.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/spec.h"
#include "io/store_inner.h"

struct claim_item {
    struct store_item item;
    struct slot_id owner;
    int64_t serial;
    char *tenant, *batch, *id, *kind, *labels, *spec, *document_name, *model, *traceparent, *topic;
    char *media_type;
    char *text, *data; // NULL unless the document came with the message, as the one or the other
    size_t text_len, data_len;
    int64_t revision, deadline_ms, not_before_ms, submitted_at_ms, offset;
    int32_t partition;
    int priority;
    unsigned char hash[32];
    char *sha256; // NULL: none
    bool parks;
    struct park_place place;
    unsigned char *answer_key; // NULL: none
};

static void copy_spec(struct claim_item *item, const struct job_spec *spec)
{
    item->tenant = store_item_text(item, spec->tenant);
    item->batch = store_item_text(item, spec->batch);
    item->id = store_item_text(item, spec->id);
    item->revision = spec->revision;
    item->kind = store_item_text(item, job_kind_text(spec->kind));
    item->priority = spec->priority;
    item->deadline_ms = spec->deadline_ms;
    item->not_before_ms = spec->not_before_ms;
    item->labels = store_item_text(item, spec->labels_json ? spec->labels_json : "{}");
    item->spec = store_item_text(item, spec->spec_json ? spec->spec_json : "{}");
    item->document_name = store_item_text(item, spec->document_name);
    item->media_type = store_item_text(item, spec->media_type);
    item->model = store_item_text(item, spec->model);
    item->traceparent = store_item_text(item, spec->traceparent[0] ? spec->traceparent : NULL);
    item->sha256 = store_item_text(item, spec->document_sha256[0] ? spec->document_sha256 : NULL);
    memcpy(item->hash, spec->content_hash, sizeof(item->hash));
    if (spec->document == DOCUMENT_TEXT && spec->text && item->sha256) {
        item->text = store_item_text_len(item, spec->text, spec->text_len);
        item->text_len = strlen(item->text);
    }
    if (spec->document == DOCUMENT_DATA && spec->data) {
        item->data = store_item_bytes(item, spec->data, spec->data_len);
        item->data_len = spec->data_len;
    }
}

void store_claim(void *store, const struct claim_request *request)
{
    struct claim_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->serial = request->serial;
    item->topic = store_item_text(item, request->topic);
    item->partition = request->partition;
    item->offset = request->offset;
    item->submitted_at_ms = request->submitted_at_ms;
    if (request->answer_key)
        item->answer_key = store_item_bytes(item, request->answer_key, ANSWER_KEY_BYTES);
    copy_spec(item, request->spec);
    item->parks = request->park != NULL && item->topic != NULL;
    if (item->parks)
        item->place = store_item_place(item, request->park);
    store_ask(store, STORE_KIND_CLAIM, item);
}

static struct claim_item *claim_of(struct store_item *item)
{
    return (struct claim_item *)(void *)item;
}

static int compare(const struct store_item *a, const struct store_item *b)
{
    const struct claim_item *left = (const void *)a, *right = (const void *)b;
    int order = strcmp(left->tenant, right->tenant);
    if (order == 0)
        order = strcmp(left->batch, right->batch);
    if (order == 0)
        order = strcmp(left->id, right->id);
    return order;
}

// ------------------------------------------------------------------------------- statements

static void run_batches(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *tenant = store_args_array(&args), *batch = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct claim_item *item = claim_of(items[i]);
        if (i > 0 && strcmp(item->batch, claim_of(items[i - 1])->batch) == 0 &&
            strcmp(item->tenant, claim_of(items[i - 1])->tenant) == 0)
            continue;
        pg_array_add_text(tenant, item->tenant);
        pg_array_add_text(batch, item->batch);
    }
    store_args_run(&args, link, STORE_SQL_claim_batches);
    store_args_deinit(&args);
}

static void run_documents(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *sha256 = store_args_array(&args), *text = store_args_array(&args),
                    *bytes = store_args_array(&args), *media_type = store_args_array(&args),
                    *size = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct claim_item *item = claim_of(items[i]);
        if (item->text == NULL && item->data == NULL)
            continue;
        pg_array_add_text(sha256, item->sha256);
        if (item->text)
            pg_array_add_bytes_as_text(text, item->text, item->text_len);
        else
            pg_array_add_null(text);
        pg_array_add_bytea(bytes, item->data, item->data_len);
        pg_array_add_text(media_type, item->media_type);
        pg_array_add_int(size, (int64_t)(item->text ? item->text_len : item->data_len));
    }
    if (sha256->len > 0)
        store_args_run(&args, link, STORE_SQL_claim_documents);
    store_args_deinit(&args);
}

static void add_texts(struct store_args *args, struct store_item **items, size_t count,
                      size_t member)
{
    struct pg_array *array = store_args_array(args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_text(array, *(char **)(void *)((char *)items[i] + member));
}

static void add_times(struct store_args *args, struct store_item **items, size_t count,
                      size_t member)
{
    struct pg_array *array = store_args_array(args);
    for (size_t i = 0; i < count; i++)
        store_add_ms(array, *(int64_t *)(void *)((char *)items[i] + member));
}

#define TEXTS(member) add_texts(&args, items, count, offsetof(struct claim_item, member))
#define TIMES(member) add_times(&args, items, count, offsetof(struct claim_item, member))

static void add_revisions(struct store_args *args, struct store_item **items, size_t count)
{
    struct pg_array *revision = store_args_array(args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(revision, claim_of(items[i])->revision);
}

static void add_hashes(struct store_args *args, struct store_item **items, size_t count)
{
    struct pg_array *hash = store_args_array(args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_bytea(hash, claim_of(items[i])->hash, sizeof(claim_of(items[i])->hash));
}

static void add_answer_keys(struct store_args *args, struct store_item **items, size_t count)
{
    struct pg_array *key = store_args_array(args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_bytea(key, claim_of(items[i])->answer_key, ANSWER_KEY_BYTES);
}

// Topic, partition, offset: all NULL for a job that was requeued.
static void add_places(struct store_args *args, struct store_item **items, size_t count)
{
    struct pg_array *topic = store_args_array(args), *partition = store_args_array(args),
                    *offset = store_args_array(args);
    for (size_t i = 0; i < count; i++) {
        const struct claim_item *item = claim_of(items[i]);
        pg_array_add_text(topic, item->topic);
        if (item->topic) {
            pg_array_add_int(partition, item->partition);
            pg_array_add_int(offset, item->offset);
        } else {
            pg_array_add_null(partition);
            pg_array_add_null(offset);
        }
    }
}

static void run_jobs(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    TEXTS(tenant);
    TEXTS(batch);
    TEXTS(id);
    add_revisions(&args, items, count);
    add_hashes(&args, items, count);
    TEXTS(kind);
    struct pg_array *priority = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(priority, claim_of(items[i])->priority);
    TIMES(deadline_ms);
    TIMES(not_before_ms);
    TEXTS(labels);
    TEXTS(spec);
    TEXTS(sha256);
    TEXTS(document_name);
    TEXTS(model);
    TEXTS(traceparent);
    TIMES(submitted_at_ms);
    add_places(&args, items, count);
    store_args_run(&args, link, STORE_SQL_claim_jobs);
    store_args_deinit(&args);
}

static void run_supersede(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *tenant = store_args_array(&args), *batch = store_args_array(&args),
                    *id = store_args_array(&args), *revision = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct claim_item *item = claim_of(items[i]);
        if (item->revision <= 0)
            continue;
        pg_array_add_text(tenant, item->tenant);
        pg_array_add_text(batch, item->batch);
        pg_array_add_text(id, item->id);
        pg_array_add_int(revision, item->revision);
    }
    if (tenant->len > 0)
        store_args_run(&args, link, STORE_SQL_claim_supersede);
    store_args_deinit(&args);
}

static void run_used(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_use uses[500];
    for (size_t i = 0; i < count; i++)
        uses[i] = (struct store_use){claim_of(items[i])->topic, claim_of(items[i])->partition};
    store_use_send(store, uses, count, link);
}

static void add_claimed(struct pg_array *const columns[12], const struct claim_item *item)
{
    pg_array_add_text(columns[0], item->tenant);
    pg_array_add_text(columns[1], item->batch);
    pg_array_add_text(columns[2], item->id);
    pg_array_add_int(columns[3], item->revision);
    pg_array_add_bytea(columns[4], item->hash, sizeof(item->hash));
    pg_array_add_int(columns[5], item->serial);
    pg_array_add_text(columns[6], item->place.reason);
    pg_array_add_int(columns[7], item->place.due_ms);
    pg_array_add_int(columns[8], item->place.tokens);
    pg_array_add_int(columns[9], item->place.bytes);
    pg_array_add_text(columns[10], item->place.fails ? "t" : "f");
    pg_array_add_text(columns[11], item->place.after_batch);
}

static void run_parks(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[12];
    store_args_init(&args);
    for (size_t i = 0; i < 12; i++)
        columns[i] = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        if (claim_of(items[i])->parks)
            add_claimed(columns, claim_of(items[i]));
    if (columns[0]->len > 0)
        store_args_run(&args, link, STORE_SQL_claim_park);
    store_args_deinit(&args);
}

// A crowd that a full window sends through: none of it is to be run here, so nothing is taken.
static bool all_park(struct store_item *const *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!claim_of(items[i])->parks)
            return false;
    return true;
}

// The statements that know a request by CLAIM_KEYS share their parameters.
static void run_keyed(struct store *store, struct store_item **items, size_t count,
                      struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    TEXTS(tenant);
    TEXTS(batch);
    TEXTS(id);
    add_revisions(&args, items, count);
    add_hashes(&args, items, count);
    struct pg_array *serial = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(serial, claim_of(items[i])->serial);
    struct pg_array *is_read = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_text(is_read, claim_of(items[i])->topic ? "t" : "f");
    struct pg_array *parks = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_text(parks, claim_of(items[i])->parks ? "t" : "f");
    bool takes = !all_park(items, count);
    if (takes)
        store_args_run(&args, link, STORE_SQL_claim_claims);
    run_supersede(items, count, link);
    if (takes) {
        store_args_run(&args, link, STORE_SQL_claim_lock_dead);
        store_args_int(&args, store->options.lease_ms);
        store_args_run(&args, link, STORE_SQL_claim_take);
        args.len--; // the lease
        store_args_run(&args, link, STORE_SQL_claim_doubt);
    }
    if (store->had_later) {
        add_places(&args, items, count);
        store_args_run(&args, link, STORE_SQL_claim_later);
        for (; args.len > 9; args.len--)
            pg_array_deinit(&args.arrays[args.len - 1]);
    }
    if (takes)
        store_args_run(&args, link, STORE_SQL_claim_saved);
    add_answer_keys(&args, items, count);
    store_args_run(&args, link, STORE_SQL_claim_read);
    store_args_deinit(&args);
}

static void send_claims(struct store *store, struct store_item **items, size_t count,
                        struct pg_link *link)
{
    run_batches(items, count, link);
    run_documents(items, count, link);
    run_jobs(store, items, count, link);
    run_used(store, items, count, link);
    run_parks(items, count, link);
    run_keyed(store, items, count, link);
}

// ------------------------------------------------------------------------------- answers

static char *copy_text(const PGresult *result, int row, int column)
{
    return own_strdup(store_text(result, row, column));
}

static void take_plan(struct claim_reply *reply, const PGresult *saved, int row)
{
    reply->plans = own_grow(reply->plans, reply->plan_count + 1, sizeof(*reply->plans));
    struct saved_plan *plan = &reply->plans[reply->plan_count++];
    *plan = (struct saved_plan){
        .plan_no = (int32_t)store_int(saved, row, 2),
        .model = copy_text(saved, row, 5),
        .prompt_version = copy_text(saved, row, 6),
        .calls_json = copy_text(saved, row, 8),
        .reasoning_mode = copy_text(saved, row, 10),
        .why = copy_text(saved, row, 11),
    };
    snprintf(plan->text_sha256, sizeof(plan->text_sha256), "%s", store_text(saved, row, 7));
}

static void take_part(struct claim_reply *reply, const PGresult *saved, int row)
{
    reply->parts = own_grow(reply->parts, reply->part_count + 1, sizeof(*reply->parts));
    reply->parts[reply->part_count++] = (struct saved_part){
        .plan_no = (int32_t)store_int(saved, row, 2),
        .call_no = (int32_t)store_int(saved, row, 3),
        .answer = copy_text(saved, row, 5),
    };
}

static enum attempt_outcome outcome_of(const char *name)
{
    for (int i = ATTEMPT_SENT; i <= ATTEMPT_CANCELLED; i++) {
        if (strcmp(name, attempt_outcome_name((enum attempt_outcome)i)) == 0)
            return (enum attempt_outcome)i;
    }
    return ATTEMPT_IN_DOUBT;
}

static void take_attempt(struct claim_reply *reply, const PGresult *saved, int row)
{
    reply->attempts = own_grow(reply->attempts, reply->attempt_count + 1, sizeof(*reply->attempts));
    reply->attempts[reply->attempt_count++] = (struct saved_attempt){
        .plan_no = (int32_t)store_int(saved, row, 2),
        .call_no = (int32_t)store_int(saved, row, 3),
        .attempt_no = (int32_t)store_int(saved, row, 4),
        .outcome = outcome_of(store_text(saved, row, 5)),
        .reopened = store_bool(saved, row, 9),
        .spent_picousd = store_int(saved, row, 8),
        .code = copy_text(saved, row, 6),
        .answer = copy_text(saved, row, 7),
    };
}

// The list is sorted by job: finds its first row by halves.
static int first_row_of(const PGresult *saved, int64_t job_no)
{
    int low = 0, high = PQntuples(saved);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (store_int(saved, middle, 0) < job_no)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void take_saved(struct claim_reply *reply, const PGresult *saved)
{
    int rows = PQntuples(saved);
    for (int row = first_row_of(saved, reply->job_no);
         row < rows && store_int(saved, row, 0) == reply->job_no; row++) {
        int64_t what = store_int(saved, row, 1);
        if (what == 1)
            take_plan(reply, saved, row);
        else if (what == 2)
            take_part(reply, saved, row);
        else
            take_attempt(reply, saved, row);
    }
}

enum job_stop store_stop_of(const char *name)
{
    if (name == NULL)
        return STOP_NONE;
    return strcmp(name, "cancelled") == 0 ? STOP_CANCELLED : STOP_SUPERSEDED;
}

static enum claim_verdict verdict_of(const char *name)
{
    static const struct {
        const char *name;
        enum claim_verdict verdict;
    } names[] = {{"mine", CLAIM_MINE},         {"held", CLAIM_HELD},   {"finished", CLAIM_FINISHED},
                 {"conflict", CLAIM_CONFLICT}, {"stale", CLAIM_STALE}, {"parked", CLAIM_PARKED}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i].name) == 0)
            return names[i].verdict;
    }
    CHECK(false);
    return CLAIM_HELD;
}

static void answer(struct store *store, const struct claim_item *item, const PGresult *read,
                   int row, const PGresult *saved)
{
    struct claim_reply reply = {.verdict = verdict_of(store_text(read, row, 2))};
    bool known = reply.verdict == CLAIM_MINE || reply.verdict == CLAIM_HELD ||
                 reply.verdict == CLAIM_FINISHED || reply.verdict == CLAIM_PARKED;
    if (known)
        reply.job_no = store_int(read, row, 1);
    if (reply.verdict == CLAIM_MINE) {
        reply.epoch = (int32_t)store_int(read, row, 3);
        reply.crashes = (int32_t)store_int(read, row, 4);
        reply.stop = store_stop_of(store_text(read, row, 5));
        const char *sha256 = store_text(read, row, 6);
        snprintf(reply.document_sha256, sizeof(reply.document_sha256), "%s", sha256 ? sha256 : "");
        reply.twin = store_bool(read, row, 7);
        reply.anew = store_bool(read, row, 8);
        if (saved)
            take_saved(&reply, saved);
        store_hold(store, reply.job_no);
    }
    struct store_event event = {.kind = STORE_CLAIMED, .owner = item->owner};
    event.u.claimed = &reply;
    store_emit(store, &event);
    claim_reply_deinit(&reply); // what the engine did not take
}

// The last result is claim_read, after claim_saved where something was taken; how many came before
// varies.
static void claims_done(struct store *store, struct store_item **items, size_t count,
                        const struct store_answer *answers)
{
    struct store_use uses[500];
    const PGresult *read = answers->results[answers->count - 1];
    const PGresult *saved = all_park(items, count) ? NULL : answers->results[answers->count - 2];
    CHECK((size_t)PQntuples(read) == count);
    for (size_t i = 0; i < count; i++)
        uses[i] = (struct store_use){claim_of(items[i])->topic, claim_of(items[i])->partition};
    store_use_done(store, uses, count);
    for (int row = 0; row < PQntuples(read); row++) {
        size_t i = (size_t)store_int(read, row, 0) - 1;
        CHECK(i < count);
        answer(store, claim_of(items[i]), read, row, saved);
    }
}

static bool claim_rejected(struct store *store, struct store_item *item, const char *sqlstate)
{
    struct claim_reply reply = {.verdict = CLAIM_REJECTED};
    store_copy_sqlstate(reply.sqlstate, sqlstate);
    struct store_event event = {.kind = STORE_CLAIMED, .owner = claim_of(item)->owner};
    event.u.claimed = &reply;
    store_emit(store, &event);
    return false;
}

const struct store_kind store_kind_claim = {
    .name = "claim",
    .most = 500,
    .unique = true,
    .compare = compare,
    .send = send_claims,
    .done = claims_done,
    .rejected = claim_rejected,
};

// ------------------------------------------------------------------------------- look-ups

struct look_up_item {
    struct store_item item;
    struct slot_id owner;
    int64_t job_no;
};

void store_look_up(void *store, struct slot_id owner, int64_t job_no)
{
    struct look_up_item *item = store_item_new(store, sizeof(*item));
    item->owner = owner;
    item->job_no = job_no;
    store_ask(store, STORE_KIND_LOOK_UP, item);
}

static void send_look_ups(struct store *store, struct store_item **items, size_t count,
                          struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *job_no = store_args_array(&args);
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(job_no, ((struct look_up_item *)(void *)items[i])->job_no);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, store->options.lease_ms);
    store_args_run(&args, link, STORE_SQL_look_up);
    store_args_deinit(&args);
}

static void look_ups_done(struct store *store, struct store_item **items, size_t count,
                          const struct store_answer *answers)
{
    const PGresult *read = answers->results[0];
    CHECK((size_t)PQntuples(read) == count);
    for (int row = 0; row < PQntuples(read); row++) {
        size_t i = (size_t)store_int(read, row, 0) - 1;
        CHECK(i < count);
        const char *verdict = store_text(read, row, 1);
        struct store_event event = {.kind = STORE_LOOKED_UP,
                                    .owner = ((struct look_up_item *)(void *)items[i])->owner};
        event.u.looked_up.verdict = verdict[0] == 'f' && verdict[1] == 'i' ? LOOKUP_FINISHED
                                    : verdict[0] == 'f'                    ? LOOKUP_FREE
                                                                           : LOOKUP_HELD;
        event.u.looked_up.stop = store_stop_of(store_text(read, row, 2));
        event.u.looked_up.cut = store_bool(read, row, 3);
        store_emit(store, &event);
    }
}

const struct store_kind store_kind_look_up = {
    .name = "look_up", .most = 500, .send = send_look_ups, .done = look_ups_done};
