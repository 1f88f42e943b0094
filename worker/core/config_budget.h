// SPDX-License-Identifier: Apache-2.0
// The budgets that a configuration names: `budget` at the root, of tenants, providers and keys.
#ifndef PRECIS_CORE_CONFIG_BUDGET_H
#define PRECIS_CORE_CONFIG_BUDGET_H

#include "core/budget.h"
#include "core/config.h"

struct config_budgets {
    struct budget *items; // the names are the list's
    size_t count;
};

void config_budgets_init(struct config_budgets *out, const struct config *config);
void config_budgets_deinit(struct config_budgets *budgets);

#endif
