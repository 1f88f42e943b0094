// SPDX-License-Identifier: Apache-2.0
// Budgets: an amount of money for a scope and a period, that calls never pass together.
//
// What is used of a budget is the sum over the ledger's attempts of that scope which were sent in
// the current period: what each cost, or may have cost at most while it is under way or in doubt.
// A call may go where its own upper bound still fits beside that, in every budget that covers it.
// So no number of workers and no crash can pass the wall: the bound is there before the request,
// and only the call's own end takes it back.
//
// Days and months are UTC, by the database's clock. An attempt counts in the period in which it was
// sent, however late it ends. The same rule stands in SQL (migrations, budget_refuses); the
// differential test holds the two together. A job's own max_cost_usd is no row here: it is in the
// job, which alone spends it (job/call.c).
#ifndef PRECIS_CORE_BUDGET_H
#define PRECIS_CORE_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_scope { BUDGET_ALL, BUDGET_TENANT, BUDGET_BATCH, BUDGET_PROVIDER, BUDGET_KEY };
#define BUDGET_SCOPES 5
enum budget_period { BUDGET_DAY, BUDGET_MONTH, BUDGET_LIFE };
#define BUDGET_PERIODS 3
// What becomes of a job whose next call does not fit. Cheaper: the next cheaper model of its route,
// and waiting where there is none.
enum budget_at_wall { BUDGET_WAIT, BUDGET_CHEAPER, BUDGET_FAIL };
#define BUDGET_AT_WALLS 3

// "tenant/batch" or "provider/key", each of 200 bytes at most.
#define BUDGET_NAME_BYTES 402

// `name`: "" for all, the tenant, "tenant/batch", the provider, "provider/key".
struct budget {
    enum budget_scope scope;
    const char *name;
    enum budget_period period;
    enum budget_at_wall at_wall;
    int64_t limit_picousd; // -1: none
};

// What a call belongs to.
struct budget_call {
    const char *tenant, *batch, *provider, *key_name;
};

// A call that did not fit: into which budget.
struct budget_refusal {
    enum budget_scope scope;
    enum budget_period period;
    enum budget_at_wall at_wall;
    char name[BUDGET_NAME_BYTES];
    int64_t limit_picousd;
    bool may_free;   // calls under way have reserved of it, and may cost less
    int64_t ends_ms; // unix ms: when the next period begins; INT64_MAX: never
};

bool budget_covers(const struct budget *budget, const struct budget_call *call);
// Whether both lie in one period. Unix ms.
bool budget_same_period(enum budget_period period, int64_t a_ms, int64_t b_ms);
// When the period of that moment ends; INT64_MAX for BUDGET_LIFE. Unix ms.
int64_t budget_period_end_ms(enum budget_period period, int64_t at_ms);
// Whether a call of at most `at_most` may go beside what is used. No sum overflows.
bool budget_fits(int64_t limit_picousd, int64_t used_picousd, int64_t at_most_picousd);
// Which of two budgets a refused call is told: the stricter, then the one of the lower name.
bool budget_is_stricter(const struct budget *a, const struct budget *b);

// How long a job that waits at the wall leaves it alone before it asks again: soon where room may
// come back, else until the next period, but looking in every few seconds, since a budget may be
// raised. `random` spreads those that wait together.
int64_t budget_look_again_ms(const struct budget_refusal *refusal, int64_t db_now_ms,
                             uint64_t random);

// "all" "tenant" "batch" "provider" "key"; "day" "month" "life"; "wait" "cheaper" "fail".
const char *budget_scope_text(enum budget_scope scope);
const char *budget_period_text(enum budget_period period);
const char *budget_at_wall_text(enum budget_at_wall at_wall);
// False, and nothing written: no such word. NULL is none.
bool budget_scope_from(const char *text, enum budget_scope *out);
bool budget_period_from(const char *text, enum budget_period *out);
bool budget_at_wall_from(const char *text, enum budget_at_wall *out);

#endif
