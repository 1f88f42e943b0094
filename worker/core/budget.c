// SPDX-License-Identifier: Apache-2.0
// Budgets: which one covers a call, when its period ends, and what fits.
#include "core/budget.h"

#include <string.h>

#include "base/check.h"

#define DAY_MS        INT64_C(86400000)
#define SOON_MS       250
#define LOOK_AGAIN_MS 5000

static const char *const scope_texts[BUDGET_SCOPES] = {"all", "tenant", "batch", "provider", "key"};
static const char *const period_texts[BUDGET_PERIODS] = {"day", "month", "life"};
static const char *const wall_texts[BUDGET_AT_WALLS] = {"wait", "cheaper", "fail"};

// Whether `name` is "a/b".
static bool is_pair(const char *name, const char *a, const char *b)
{
    size_t len = strlen(a);
    return strncmp(name, a, len) == 0 && name[len] == '/' && strcmp(name + len + 1, b) == 0;
}

bool budget_covers(const struct budget *budget, const struct budget_call *call)
{
    switch (budget->scope) {
    case BUDGET_ALL:
        return true;
    case BUDGET_TENANT:
        return strcmp(budget->name, call->tenant) == 0;
    case BUDGET_BATCH:
        return is_pair(budget->name, call->tenant, call->batch);
    case BUDGET_PROVIDER:
        return strcmp(budget->name, call->provider) == 0;
    case BUDGET_KEY:
        return is_pair(budget->name, call->provider, call->key_name);
    }
    CHECK(false);
    return false;
}

// ------------------------------------------------------------------------------- periods

static int64_t day_of(int64_t unix_ms)
{
    int64_t day = unix_ms / DAY_MS;
    return unix_ms < 0 && day * DAY_MS != unix_ms ? day - 1 : day;
}

// Days since 1970-01-01 of a date of the Gregorian calendar, counted in eras of 400 years that
// begin with March, so that the leap day is the last of its year.
static int64_t days_from_civil(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void civil_from_days(int64_t days, int64_t *out_year, int64_t *out_month)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    *out_month = from_march < 10 ? from_march + 3 : from_march - 9;
    *out_year = year_of_era + era * 400 + (*out_month <= 2);
}

int64_t budget_period_end_ms(enum budget_period period, int64_t at_ms)
{
    int64_t year, month;
    switch (period) {
    case BUDGET_DAY:
        return (day_of(at_ms) + 1) * DAY_MS;
    case BUDGET_MONTH:
        civil_from_days(day_of(at_ms), &year, &month);
        return days_from_civil(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) *
               DAY_MS;
    case BUDGET_LIFE:
        return INT64_MAX;
    }
    CHECK(false);
    return 0;
}

bool budget_same_period(enum budget_period period, int64_t a_ms, int64_t b_ms)
{
    return budget_period_end_ms(period, a_ms) == budget_period_end_ms(period, b_ms);
}

// ------------------------------------------------------------------------------- the wall

bool budget_fits(int64_t limit_picousd, int64_t used_picousd, int64_t at_most_picousd)
{
    if (limit_picousd < 0)
        return true;
    return used_picousd <= limit_picousd && at_most_picousd <= limit_picousd - used_picousd;
}

bool budget_is_stricter(const struct budget *a, const struct budget *b)
{
    if (a->at_wall != b->at_wall)
        return a->at_wall > b->at_wall;
    int order = strcmp(budget_scope_text(a->scope), budget_scope_text(b->scope));
    if (order == 0)
        order = strcmp(a->name, b->name);
    if (order == 0)
        order = strcmp(budget_period_text(a->period), budget_period_text(b->period));
    return order < 0;
}

int64_t budget_look_again_ms(const struct budget_refusal *refusal, int64_t db_now_ms,
                             uint64_t random)
{
    int64_t base_ms = refusal->may_free ? SOON_MS : LOOK_AGAIN_MS;
    int64_t wait_ms = base_ms + (int64_t)(random % (uint64_t)base_ms);
    int64_t left_ms = refusal->ends_ms - db_now_ms;
    if (refusal->ends_ms != INT64_MAX && left_ms < wait_ms)
        wait_ms = left_ms > 0 ? left_ms : 1;
    return wait_ms;
}

// ------------------------------------------------------------------------------- words

static bool find_text(const char *const *texts, size_t count, const char *text, size_t *out)
{
    for (size_t i = 0; text && i < count; i++)
        if (strcmp(texts[i], text) == 0) {
            *out = i;
            return true;
        }
    return false;
}

const char *budget_scope_text(enum budget_scope scope)
{
    CHECK((size_t)scope < BUDGET_SCOPES);
    return scope_texts[scope];
}

const char *budget_period_text(enum budget_period period)
{
    CHECK((size_t)period < BUDGET_PERIODS);
    return period_texts[period];
}

const char *budget_at_wall_text(enum budget_at_wall at_wall)
{
    CHECK((size_t)at_wall < BUDGET_AT_WALLS);
    return wall_texts[at_wall];
}

bool budget_scope_from(const char *text, enum budget_scope *out)
{
    size_t place;
    if (!find_text(scope_texts, BUDGET_SCOPES, text, &place))
        return false;
    *out = (enum budget_scope)place;
    return true;
}

bool budget_period_from(const char *text, enum budget_period *out)
{
    size_t place;
    if (!find_text(period_texts, BUDGET_PERIODS, text, &place))
        return false;
    *out = (enum budget_period)place;
    return true;
}

bool budget_at_wall_from(const char *text, enum budget_at_wall *out)
{
    size_t place;
    if (!find_text(wall_texts, BUDGET_AT_WALLS, text, &place))
        return false;
    *out = (enum budget_at_wall)place;
    return true;
}
