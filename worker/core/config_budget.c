// SPDX-License-Identifier: Apache-2.0
// The configuration's budgets as a list.
#include "core/config_budget.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/own.h"
#include "core/money.h"

// The four keys of one `budget`.
struct entry {
    enum budget_scope scope;
    const char *outer, *inner; // the name, "outer/inner" where there is an inner one
    const char *amounts[BUDGET_PERIODS];
    const char *at_wall;
};

static void add_entry(struct config_budgets *out, const struct entry *entry)
{
    for (size_t period = 0; period < BUDGET_PERIODS; period++) {
        if (!entry->amounts[period])
            continue;
        struct buf name;
        buf_init(&name, 0);
        buf_printf(&name, "%s%s%s", entry->outer, entry->inner ? "/" : "",
                   entry->inner ? entry->inner : "");
        struct budget budget = {.scope = entry->scope,
                                .name = own_strdup(buf_str(&name)),
                                .period = (enum budget_period)period};
        buf_deinit(&name);
        CHECK(money_parse_usd(entry->amounts[period], &budget.limit_picousd));
        if (!budget_at_wall_from(entry->at_wall, &budget.at_wall))
            budget.at_wall = BUDGET_WAIT;
        out->items = own_grow(out->items, out->count + 1, sizeof(*out->items));
        out->items[out->count++] = budget;
    }
}

void config_budgets_init(struct config_budgets *out, const struct config *config)
{
    *out = (struct config_budgets){0};
#define AMOUNTS(of) {(of)->budget_day, (of)->budget_month, (of)->budget_life}, (of)->budget_at_wall
    add_entry(out, &(struct entry){BUDGET_ALL, "", NULL, AMOUNTS(config)});
    for (size_t i = 0; i < config->tenant_count; i++) {
        const struct config_tenant *tenant = &config->tenants[i];
        add_entry(out, &(struct entry){BUDGET_TENANT, tenant->name, NULL, AMOUNTS(tenant)});
    }
    for (size_t i = 0; i < config->provider_count; i++) {
        const struct config_provider *provider = &config->providers[i];
        add_entry(out, &(struct entry){BUDGET_PROVIDER, provider->name, NULL, AMOUNTS(provider)});
        for (size_t k = 0; k < provider->keys.len; k++) {
            const struct config_key *key = &provider->keys.items[k];
            add_entry(out, &(struct entry){BUDGET_KEY, provider->name, key->name, AMOUNTS(key)});
        }
    }
#undef AMOUNTS
}

void config_budgets_deinit(struct config_budgets *budgets)
{
    for (size_t i = 0; i < budgets->count; i++)
        free((char *)(uintptr_t)budgets->items[i].name);
    free(budgets->items);
    *budgets = (struct config_budgets){0};
}
