// SPDX-License-Identifier: Apache-2.0
// Partitions: who read them last and how they were left, and messages under suspicion.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

struct place_item {
    struct store_item item;
    char *topic;
    int32_t partition;
    int64_t offset;
    int64_t serial;
};

static const struct place_item *place_of(struct store_item *item)
{
    return (const struct place_item *)(void *)item;
}

static void ask(struct store *store, enum store_kind_no kind, const char *topic, int32_t partition,
                int64_t offset)
{
    struct place_item *item = store_item_new(store, sizeof(*item));
    item->topic = store_item_text(item, topic);
    item->partition = partition;
    item->offset = offset;
    item->serial = ++store->next_serial;
    store_ask(store, kind, item);
}

// Group, topic, partition: the first three parameters of all of them.
static void add_place(struct store *store, struct store_args *args, const struct place_item *item)
{
    store_args_init(args);
    store_args_text(args, store->options.group);
    store_args_text(args, item->topic);
    store_args_int(args, item->partition);
}

static void nothing_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    (void)store;
    (void)items;
    (void)count;
    (void)answer;
}

// ------------------------------------------------------------------------------- used ones

static struct store_place *find_place(struct store *store, const char *topic, int32_t partition)
{
    for (size_t i = 0; topic && i < store->place_len; i++) {
        if (store->places[i].partition == partition && strcmp(store->places[i].topic, topic) == 0)
            return &store->places[i];
    }
    return NULL;
}

static void remember_place(struct store *store, const char *topic, int32_t partition, bool used)
{
    struct store_place *place = find_place(store, topic, partition);
    if (place == NULL) {
        store->places = own_grow(store->places, store->place_len + 1, sizeof(*store->places));
        place = &store->places[store->place_len++];
        *place = (struct store_place){.topic = own_strdup(topic), .partition = partition};
    }
    place->used = used;
}

bool store_use_send(struct store *store, const struct store_use *uses, size_t count,
                    struct pg_link *link)
{
    struct store_args args;
    store_args_init(&args);
    store_args_text(&args, store->options.group);
    struct pg_array *topic = store_args_array(&args), *partition = store_args_array(&args);
    for (size_t i = 0; i < count; i++) {
        const struct store_place *place = find_place(store, uses[i].topic, uses[i].partition);
        if (place == NULL || place->used)
            continue;
        pg_array_add_text(topic, place->topic);
        pg_array_add_int(partition, place->partition);
    }
    bool any = topic->len > 0;
    if (any)
        store_args_run(&args, link, STORE_SQL_use_partitions);
    store_args_deinit(&args);
    return any;
}

void store_use_done(struct store *store, const struct store_use *uses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct store_place *place = find_place(store, uses[i].topic, uses[i].partition);
        if (place)
            place->used = true;
    }
}

// ------------------------------------------------------------------------------- begin, clean

void store_partition_begin(void *store, const char *topic, int32_t partition)
{
    ask(store, STORE_KIND_BEGIN, topic, partition, 0);
}

static void send_begin(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)count;
    struct store_args args;
    add_place(store, &args, place_of(items[0]));
    store_args_int(&args, store->worker_id);
    store_args_int(&args, place_of(items[0])->serial);
    store_args_run(&args, link, STORE_SQL_begin_partition);
    args.len = 3;
    store_args_run(&args, link, STORE_SQL_begin_read);
    store_args_deinit(&args);
}

static void begin_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    (void)count;
    const struct place_item *item = place_of(items[0]);
    const PGresult *read = answer->results[1];
    CHECK(PQntuples(read) == 1);
    struct partition_reply reply = {
        .topic = item->topic,
        .partition = item->partition,
        .known = store_bool(read, 0, 0),
        .topic_known = store_bool(read, 0, 1) || store_bool(read, 0, 0),
        .unclean = store_bool(read, 0, 2),
    };
    // A row that was known by its age need not be `used`: the first claim says it once more.
    remember_place(store, item->topic, item->partition, false);
    struct store_event event = {.kind = STORE_PARTITION};
    event.u.partition = &reply;
    store_emit(store, &event);
}

const struct store_kind store_kind_begin = {
    .name = "partition_begin", .most = 1, .send = send_begin, .done = begin_done};

void store_partition_clean(void *store, const char *topic, int32_t partition)
{
    ask(store, STORE_KIND_CLEAN, topic, partition, 0);
}

static void send_clean(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    (void)count;
    struct store_args args;
    add_place(store, &args, place_of(items[0]));
    store_args_int(&args, store->worker_id);
    store_args_run(&args, link, STORE_SQL_clean_partition);
    store_args_deinit(&args);
}

const struct store_kind store_kind_clean = {
    .name = "partition_clean", .most = 1, .send = send_clean, .done = nothing_done};

// ------------------------------------------------------------------------------- suspects

void store_suspect(void *store, const char *topic, int32_t partition, int64_t offset)
{
    ask(store, STORE_KIND_SUSPECT, topic, partition, offset);
}

static void send_suspect(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    (void)count;
    struct store_args args;
    add_place(store, &args, place_of(items[0]));
    store_args_int(&args, place_of(items[0])->offset);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, place_of(items[0])->serial);
    store_args_run(&args, link, STORE_SQL_suspect);
    store_args_deinit(&args);
}

static void suspect_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    (void)count;
    const struct place_item *item = place_of(items[0]);
    CHECK(PQntuples(answer->results[0]) == 1);
    struct store_event event = {.kind = STORE_SUSPECTED};
    event.u.suspected.topic = item->topic;
    event.u.suspected.partition = item->partition;
    event.u.suspected.offset = item->offset;
    event.u.suspected.times = (int32_t)store_int(answer->results[0], 0, 0);
    store_emit(store, &event);
}

const struct store_kind store_kind_suspect = {
    .name = "suspect", .most = 1, .send = send_suspect, .done = suspect_done};

void store_suspects_clear(void *store, const char *topic, int32_t partition, int64_t offset)
{
    ask(store, STORE_KIND_INNOCENT, topic, partition, offset);
}

static void send_innocent(struct store *store, struct store_item **items, size_t count,
                          struct pg_link *link)
{
    (void)count;
    struct store_args args;
    add_place(store, &args, place_of(items[0]));
    store_args_int(&args, place_of(items[0])->offset);
    store_args_run(&args, link, STORE_SQL_innocent);
    store_args_deinit(&args);
}

const struct store_kind store_kind_innocent = {
    .name = "suspects_clear", .most = 1, .send = send_innocent, .done = nothing_done};
