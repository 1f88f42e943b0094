// SPDX-License-Identifier: Apache-2.0
// What is kept too long: a small batch goes at a time (migration `retention`). The engine and the
// simulation know nothing of it.
#include "io/store_inner.h"

// Jobs or documents looked at in one go: some milliseconds.
#define BATCH 500

struct retain_item {
    struct store_item item;
    struct store_retention keep;
};

void store_retain(struct store *store, const struct store_retention *keep)
{
    struct retain_item *item = store_item_new(store, sizeof(*item));
    item->keep = *keep;
    store_ask(store, STORE_KIND_RETAIN, item);
}

static void add_ms(struct store_args *args, int64_t ms)
{
    if (ms == INT64_MAX)
        store_args_text(args, NULL);
    else
        store_args_int(args, ms);
}

static void send_retain(struct store *store, struct store_item **items, size_t count,
                        struct pg_link *link)
{
    const struct retain_item *item = (const void *)items[count - 1]; // the newest
    struct store_args args;
    (void)store;
    store_args_init(&args);
    add_ms(&args, item->keep.documents_ms);
    add_ms(&args, item->keep.traces_ms);
    add_ms(&args, item->keep.results_ms);
    store_args_int(&args, BATCH);
    store_args_run(&args, link, STORE_SQL_retain);
    store_args_deinit(&args);
}

const struct store_kind store_kind_retain = {
    .name = "retain", .most = 100, .lazy = true, .send = send_retain, .done = store_gauges_done};
