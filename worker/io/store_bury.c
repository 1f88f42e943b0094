// SPDX-License-Identifier: Apache-2.0
// Messages that do not become a job here, and what Kafka has still to hear of.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/own.h"
#include "io/store_inner.h"

struct bury_item {
    struct store_item item;
    struct slot_id owner;
    enum bury_kind kind;
    struct message message;
    char *headers, *tenant, *batch, *job_id, *code, *error, *suggestion;
    int64_t revision;
    int32_t version;
    bool bare; // only the message's bytes are kept: PostgreSQL refused more
};

static struct bury_item *bury_of(struct store_item *item)
{
    return (struct bury_item *)(void *)item;
}

void store_bury(void *store, const struct bury_request *request)
{
    struct bury_item *item = store_item_new(store, sizeof(*item));
    item->owner = request->owner;
    item->kind = request->kind;
    item->message = store_item_message(item, request->message);
    item->headers = store_item_headers(item, request->message);
    item->tenant = store_item_text(item, request->tenant);
    item->batch = store_item_text(item, request->batch);
    item->job_id = store_item_text(item, request->job_id);
    item->revision = request->revision;
    item->version = request->version;
    char code[40] = "none";
    if (request->failure) {
        failure_code(request->failure, code, sizeof(code));
        item->error = store_item_text(item, request->failure->detail);
        item->suggestion = store_item_text(item, failure_suggestion(request->failure));
    }
    item->code = store_item_text(item, code);
    store_ask(store, STORE_KIND_BURY, item);
}

// The columns that both tables have, at the end of both statements' parameters.
static void add_message(struct pg_array *const columns[7], const struct bury_item *item)
{
    const struct message *message = &item->message;
    pg_array_add_text(columns[0], message->topic);
    pg_array_add_int(columns[1], message->partition);
    pg_array_add_int(columns[2], message->offset);
    pg_array_add_int(columns[3], message->timestamp_ms);
    pg_array_add_bytea(columns[4], message->key, message->key_len);
    pg_array_add_bytea(columns[5], message->value, message->value_len);
    pg_array_add_text(columns[6], item->headers);
}

static void add_name(struct pg_array *const columns[4], const struct bury_item *item)
{
    pg_array_add_text(columns[0], item->tenant);
    pg_array_add_text(columns[1], item->batch);
    pg_array_add_text(columns[2], item->job_id);
    pg_array_add_int(columns[3], item->revision);
}

static void run_dead(struct store *store, struct store_item **items, size_t count,
                     struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[14];
    store_args_init(&args);
    for (size_t i = 0; i < 14; i++)
        columns[i] = store_args_array(&args);
    store_args_text(&args, store->options.worker);
    for (size_t i = 0; i < count; i++) {
        const struct bury_item *item = bury_of(items[i]);
        if (item->kind != BURY_DEAD)
            continue;
        add_name(columns, item);
        pg_array_add_text(columns[4], item->code);
        pg_array_add_text(columns[5], item->error ? item->error : "");
        pg_array_add_text(columns[6], item->suggestion ? item->suggestion : "");
        add_message(columns + 7, item);
    }
    store_args_run(&args, link, STORE_SQL_bury_dead);
    store_args_deinit(&args);
}

static void run_later(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    struct pg_array *columns[12];
    store_args_init(&args);
    for (size_t i = 0; i < 12; i++)
        columns[i] = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct bury_item *item = bury_of(items[i]);
        if (item->kind != BURY_LATER)
            continue;
        add_name(columns, item);
        pg_array_add_int(columns[4], item->version);
        add_message(columns + 5, item);
    }
    if (columns[0]->len > 0)
        store_args_run(&args, link, STORE_SQL_bury_later);
    store_args_deinit(&args);
}

static void run_not_later(struct store_item **items, size_t count, struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    struct pg_array *topic = store_args_array(&args), *partition = store_args_array(&args),
                    *offset = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct bury_item *item = bury_of(items[i]);
        if (item->kind != BURY_DEAD)
            continue;
        pg_array_add_text(topic, item->message.topic);
        pg_array_add_int(partition, item->message.partition);
        pg_array_add_int(offset, item->message.offset);
    }
    if (topic->len > 0)
        store_args_run(&args, link, STORE_SQL_bury_not_later);
    store_args_deinit(&args);
}

static size_t collect_uses(struct store_item **items, size_t count, struct store_use *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct store_use){bury_of(items[i])->message.topic,
                                    bury_of(items[i])->message.partition};
    return count;
}

static void send_burials(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    struct store_use uses[100] = {0};
    run_dead(store, items, count, link); // also with no rows: its answer is the first
    run_later(items, count, link);
    run_not_later(items, count, link);
    store_use_send(store, uses, collect_uses(items, count, uses), link);
}

// The row of the answer that is this item's message; -1: it was there already.
static int row_of(const PGresult *dead, const struct bury_item *item)
{
    for (int row = 0; row < PQntuples(dead); row++) {
        const char *topic = store_text(dead, row, 10);
        if (topic && item->message.topic && strcmp(topic, item->message.topic) == 0 &&
            store_int(dead, row, 11) == item->message.partition &&
            store_int(dead, row, 12) == item->message.offset)
            return row;
    }
    return -1;
}

static void answer(struct store *store, const struct bury_item *item, const PGresult *dead)
{
    struct store_event event = {.kind = STORE_BURIED, .owner = item->owner};
    struct store_letter letter;
    int row = item->kind == BURY_DEAD ? row_of(dead, item) : -1;
    bool is_new = row >= 0 && store_letter_init(&letter, dead, row, 0);
    event.u.buried.announcement = is_new ? &letter.announcement : NULL;
    store_emit(store, &event);
    if (is_new)
        store_letter_deinit(&letter);
}

static void burials_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answers)
{
    struct store_use uses[100] = {0};
    store_use_done(store, uses, collect_uses(items, count, uses));
    for (size_t i = 0; i < count; i++)
        answer(store, bury_of(items[i]), answers->results[0]);
}

// A message must not be lost for what is said about it: what PostgreSQL takes of it is its bytes.
static bool bury_rejected(struct store *store, struct store_item *generic, const char *sqlstate)
{
    struct bury_item *item = bury_of(generic);
    (void)store;
    CHECK(!item->bare);
    item->bare = true;
    item->tenant = item->batch = item->job_id = NULL;
    item->revision = 0;
    item->headers = store_item_text(item, "[]");
    item->error = store_item_text(item, "PostgreSQL refused a part of this message");
    item->suggestion = store_item_text(item, err_suggestion(ERR_STORE_REJECTED));
    (void)sqlstate;
    return true;
}

const struct store_kind store_kind_bury = {
    .name = "bury",
    .most = 100,
    .send = send_burials,
    .done = burials_done,
    .rejected = bury_rejected,
};

// ------------------------------------------------------------------------------- announced

struct announced_item {
    struct store_item item;
    enum announcement_kind kind;
    int64_t id;
};

void store_announced(void *store, enum announcement_kind kind, int64_t id)
{
    struct announced_item *item = store_item_new(store, sizeof(*item));
    item->kind = kind;
    item->id = id;
    store_ask(store, STORE_KIND_ANNOUNCED, item);
}

static void send_announced(struct store *store, struct store_item **items, size_t count,
                           struct pg_link *link)
{
    (void)store;
    static const enum store_statement statements[] = {
        [ANNOUNCE_RESULT] = STORE_SQL_announced_results,
        [ANNOUNCE_DEAD_LETTER] = STORE_SQL_announced_letters};
    for (int kind = ANNOUNCE_RESULT; kind <= ANNOUNCE_DEAD_LETTER; kind++) {
        struct store_args args;
        store_args_init(&args);
        struct pg_array *ids = store_args_array(&args);
        for (size_t i = 0; i < count; i++) {
            const struct announced_item *item = (const void *)items[i];
            if ((int)item->kind == kind)
                pg_array_add_int(ids, item->id);
        }
        if (ids->len > 0)
            store_args_run(&args, link, statements[kind]);
        store_args_deinit(&args);
    }
}

static void announced_done(struct store *store, struct store_item **items, size_t count,
                           const struct store_answer *given)
{
    (void)store;
    (void)items;
    (void)count;
    (void)given;
}

const struct store_kind store_kind_announced = {
    .name = "announced", .most = 500, .lazy = true, .send = send_announced, .done = announced_done};

// ------------------------------------------------------------------------------- sweep

struct sweep_item {
    struct store_item item;
    size_t limit;
};

void store_sweep(void *store, size_t limit)
{
    struct sweep_item *item = store_item_new(store, sizeof(*item));
    item->limit = limit;
    store_ask(store, STORE_KIND_SWEEP, item);
}

static void send_sweep(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)store;
    (void)count;
    size_t limit = ((struct sweep_item *)(void *)items[0])->limit;
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, (int64_t)(limit - limit / 2));
    store_args_run(&args, link, STORE_SQL_sweep_results);
    args.len = 0;
    store_args_int(&args, (int64_t)(limit / 2));
    store_args_run(&args, link, STORE_SQL_sweep_letters);
    store_args_deinit(&args);
}

// Each kind has half of the limit; what does not fit comes with the next sweep.
static void sweep_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *given)
{
    (void)items;
    (void)count;
    const PGresult *found = given->results[0], *dead = given->results[1];
    int results = PQntuples(found), letters = PQntuples(dead);
    size_t total = (size_t)results + (size_t)letters;
    struct announcement *list = own_array(total, sizeof(*list));
    struct store_letter *dead_list = own_array((size_t)letters, sizeof(*dead_list));
    for (int row = 0; row < results; row++)
        list[row] = store_result_message(found, row, 0);
    for (int row = 0; row < letters; row++) {
        store_letter_init(&dead_list[row], dead, row, 0);
        list[results + row] = dead_list[row].announcement;
    }
    struct store_event event = {.kind = STORE_SWEPT};
    event.u.swept.announcements = list;
    event.u.swept.announcement_count = total;
    store_emit(store, &event);
    for (int row = 0; row < letters; row++)
        store_letter_deinit(&dead_list[row]);
    free(dead_list);
    free(list);
}

const struct store_kind store_kind_sweep = {
    .name = "sweep", .most = 1, .send = send_sweep, .done = sweep_done};
