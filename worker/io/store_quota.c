// SPDX-License-Identifier: Apache-2.0
// The fleet's quota: one call of the function precis_data.quota_ask for all the asks of an
// operation.
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "io/store_inner.h"

enum { ANSWER_NUMBERS = 21, REFUSED_WAIT_MS = 1000 };

struct quota_item {
    struct store_item item;
    struct slot_id owner;
    int64_t serial;
    struct quota_ask *asks;
    size_t count;
    size_t order[]; // places of the asks, by lane: workers that lock in one order never deadlock
};

static const struct quota_item *quota_of(const struct store_item *item)
{
    return (const struct quota_item *)(const void *)item;
}

static int compare_lanes(const void *left, const void *right, void *asks_pointer)
{
    const struct quota_ask *asks = asks_pointer;
    const struct quota_ask *a = &asks[*(const size_t *)left], *b = &asks[*(const size_t *)right];
    int order = strcmp(a->provider, b->provider);
    if (order == 0)
        order = strcmp(a->key_name, b->key_name);
    return order == 0 ? strcmp(a->model, b->model) : order;
}

void store_quota(void *store_pointer, struct slot_id owner, const struct quota_ask *asks,
                 size_t count)
{
    struct store *store = store_pointer;
    struct quota_item *item = store_item_new(store, sizeof(*item) + count * sizeof(item->order[0]));
    item->owner = owner;
    item->serial = ++store->next_serial;
    item->count = count;
    item->asks = store_item_bytes(item, asks, count * sizeof(*asks));
    for (size_t i = 0; i < count; i++) {
        item->order[i] = i;
        item->asks[i].provider = store_item_text(item, asks[i].provider);
        item->asks[i].key_name = store_item_text(item, asks[i].key_name);
        item->asks[i].model = store_item_text(item, asks[i].model);
    }
    qsort_r(item->order, count, sizeof(item->order[0]), compare_lanes, item->asks);
    store_ask(store, STORE_KIND_QUOTA, item);
}

static void add_numbers(struct pg_array *array, const int64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        pg_array_add_int(array, numbers[i]);
}

// In the order that the function documents.
static void add_ask(struct pg_array *array, const struct quota_ask *ask)
{
    add_numbers(array, ask->limits, QUOTA_DIMENSIONS);
    pg_array_add_int(array, ask->in_flight_most);
    add_numbers(array, ask->wanted, QUOTA_DIMENSIONS);
    add_numbers(array, ask->least, QUOTA_DIMENSIONS);
    add_numbers(array, ask->back, QUOTA_DIMENSIONS);
    add_numbers(array, ask->settled, QUOTA_DIMENSIONS);
    pg_array_add_int(array, ask->slots_held);
    pg_array_add_int(array, ask->slots_wanted);
    add_numbers(array, ask->seen_limit, QUOTA_DIMENSIONS);
    add_numbers(array, ask->seen_left, QUOTA_DIMENSIONS);
    pg_array_add_int(array, ask->refusals);
    pg_array_add_int(array, ask->close_ms);
    pg_array_add_int(array, ask->probe);
    pg_array_add_int(array, ask->key_changed);
    pg_array_add_int(array, ask->extra_percent);
    pg_array_add_int(array, ask->extra_ms);
    add_numbers(array, ask->seen_reset_ms, QUOTA_DIMENSIONS);
}

static void send_quota(struct store *store, struct store_item **items, size_t count,
                       struct pg_link *link)
{
    const struct quota_item *item = quota_of(items[0]);
    CHECK(count == 1);
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, item->serial);
    struct pg_array *provider = store_args_array(&args), *key_name = store_args_array(&args),
                    *model = store_args_array(&args), *cause = store_args_array(&args),
                    *numbers = store_args_array(&args);
    for (size_t i = 0; i < item->count; i++) {
        const struct quota_ask *ask = &item->asks[item->order[i]];
        pg_array_add_text(provider, ask->provider);
        pg_array_add_text(key_name, ask->key_name);
        pg_array_add_text(model, ask->model);
        pg_array_add_text(cause, key_cause_name(ask->close_cause));
        add_ask(numbers, ask);
    }
    store_args_run(&args, link, STORE_SQL_quota);
    store_args_deinit(&args);
}

// {1,2,3}
static void read_numbers(const char *text, int64_t out[ANSWER_NUMBERS])
{
    for (size_t i = 0; i < ANSWER_NUMBERS; i++) {
        char *end;
        CHECK(*text == '{' || *text == ',');
        out[i] = strtoll(text + 1, &end, 10);
        text = end;
    }
    CHECK(*text == '}');
}

static enum key_cause read_cause(const char *text)
{
    static const enum key_cause causes[] = {KEY_THROTTLED, KEY_REFUSED, KEY_EXHAUSTED, KEY_BROKEN};
    for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
        if (strcmp(text, key_cause_name(causes[i])) == 0)
            return causes[i];
    return KEY_FINE;
}

static void read_grant(const PGresult *read, int row, struct quota_grant *out)
{
    int64_t numbers[ANSWER_NUMBERS];
    read_numbers(store_text(read, row, 0), numbers);
    for (int d = 0; d < QUOTA_DIMENSIONS; d++) {
        out->given[d] = numbers[d];
        out->rate[d] = numbers[15 + d];
    }
    out->start_in_ms = numbers[6];
    out->spread_ms = numbers[7];
    out->valid_ms = numbers[8];
    out->slots = numbers[9];
    out->wait_ms = numbers[10];
    out->short_of = (enum quota_dimension)numbers[11];
    out->askers = (int32_t)numbers[12];
    out->closed_ms = numbers[13];
    out->probe = numbers[14] != 0;
    out->cause = read_cause(store_text(read, row, 1));
}

static void answer_quota(struct store *store, const struct quota_item *item,
                         const struct quota_grant *grants)
{
    struct store_event event = {.kind = STORE_QUOTA, .owner = item->owner};
    event.u.quota.grants = grants;
    event.u.quota.count = item->count;
    store_emit(store, &event);
}

static void quota_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    const struct quota_item *item = quota_of(items[0]);
    const PGresult *read = answer->results[0];
    CHECK(count == 1 && (size_t)PQntuples(read) == item->count);
    struct quota_grant *grants = own_array(item->count, sizeof(*grants));
    for (size_t i = 0; i < item->count; i++)
        read_grant(read, (int)i, &grants[item->order[i]]);
    answer_quota(store, item, grants);
    free(grants);
}

// PostgreSQL refuses the ask (a number beyond its range, say): nothing is given, and it is asked
// again later.
static bool quota_rejected(struct store *store, struct store_item *store_item, const char *sqlstate)
{
    (void)sqlstate;
    const struct quota_item *item = quota_of(store_item);
    struct quota_grant *grants = own_array(item->count, sizeof(*grants));
    for (size_t i = 0; i < item->count; i++)
        grants[i].wait_ms = REFUSED_WAIT_MS;
    answer_quota(store, item, grants);
    free(grants);
    return false;
}

const struct store_kind store_kind_quota = {
    .name = "quota",
    .most = 1,
    .send = send_quota,
    .done = quota_done,
    .rejected = quota_rejected,
};
