// SPDX-License-Identifier: Apache-2.0
// Budgets: those that this worker's configuration wants, and what a refused intent is told. The
// wall itself is in T2 (intent_attempts), the counting in triggers on the ledger.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "io/store_inner.h"

struct budget_item {
    struct store_item item;
    struct budget *budgets;
    size_t count;
};

void store_budgets(void *store, const struct budget *budgets, size_t count)
{
    struct budget_item *item = store_item_new(store, sizeof(*item));
    item->budgets = store_item_bytes(item, budgets, count * sizeof(*budgets));
    item->count = count;
    for (size_t i = 0; i < count; i++)
        item->budgets[i].name = store_item_text(item, budgets[i].name);
    store_ask(store, STORE_KIND_BUDGETS, item);
}

static void send_budgets(struct store *store, struct store_item **items, size_t count,
                         struct pg_link *link)
{
    const struct budget_item *item = (const void *)items[count - 1]; // the newest holds
    struct store_args args;
    store_args_init(&args);
    store_args_int(&args, store->worker_id);
    store_args_int(&args, store->options.lease_ms);
    struct pg_array *scope = store_args_array(&args), *name = store_args_array(&args),
                    *period = store_args_array(&args), *limit = store_args_array(&args),
                    *wall = store_args_array(&args);
    for (size_t i = 0; i < item->count; i++) {
        const struct budget *budget = &item->budgets[i];
        pg_array_add_text(scope, budget_scope_text(budget->scope));
        pg_array_add_text(name, budget->name);
        pg_array_add_text(period, budget_period_text(budget->period));
        pg_array_add_int(limit, budget->limit_picousd);
        pg_array_add_text(wall, budget_at_wall_text(budget->at_wall));
    }
    store_args_run(&args, link, STORE_SQL_budgets);
    store_args_deinit(&args);
}

static void budgets_done(struct store *store, struct store_item **items, size_t count,
                         const struct store_answer *answer)
{
    (void)store;
    (void)items;
    (void)count;
    (void)answer;
}

const struct store_kind store_kind_budgets = {
    .name = "budgets", .most = 100, .send = send_budgets, .done = budgets_done};

void store_budget_refusal(const PGresult *read, int row, int column, struct budget_refusal *out)
{
    *out = (struct budget_refusal){.limit_picousd = store_int(read, row, column + 4),
                                   .may_free = store_bool(read, row, column + 5),
                                   .ends_ms = INT64_MAX};
    snprintf(out->name, sizeof(out->name), "%s", store_text(read, row, column + 1));
    CHECK(budget_scope_from(store_text(read, row, column), &out->scope));
    CHECK(budget_period_from(store_text(read, row, column + 2), &out->period));
    CHECK(budget_at_wall_from(store_text(read, row, column + 3), &out->at_wall));
    if (store_text(read, row, column + 6))
        out->ends_ms = store_int(read, row, column + 6);
}
