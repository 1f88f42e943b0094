// SPDX-License-Identifier: Apache-2.0
// The fleet's gauges: for /metrics alone, so the engine and the simulation know nothing of them.
#include "io/store_inner.h"

struct gauges_item {
    struct store_item item;
    int64_t unread, calls;
};

void store_gauges(struct store *store, int64_t unread, int64_t calls)
{
    struct gauges_item *item = store_item_new(store, sizeof(*item));
    item->unread = unread;
    item->calls = calls;
    store_ask(store, STORE_KIND_GAUGES, item);
}

static void send_gauges(struct store *store, struct store_item **items, size_t count,
                        struct pg_link *link)
{
    const struct gauges_item *item = (const void *)items[count - 1]; // the newest
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_text(&args, store->options.group);
    store_args_int(&args, item->unread);
    store_args_int(&args, item->calls);
    store_args_run(&args, link, STORE_SQL_gauges);
    store_args_deinit(&args);
}

void store_gauges_done(struct store *store, struct store_item **items, size_t count,
                       const struct store_answer *answer)
{
    (void)items;
    (void)count;
    const PGresult *read = answer->results[0];
    for (int i = 0; store->options.on_gauge && i < PQntuples(read); i++) {
        struct store_gauge gauge = {.name = store_text(read, i, 0),
                                    .label = store_text(read, i, 1),
                                    .second = store_text(read, i, 2),
                                    .milli = store_int(read, i, 3)};
        store->options.on_gauge(store->options.context, &gauge);
    }
}

const struct store_kind store_kind_gauges = {
    .name = "gauges", .most = 100, .lazy = true, .send = send_gauges, .done = store_gauges_done};
