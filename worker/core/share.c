// SPDX-License-Identifier: Apache-2.0
// Virtual times of tenants, by what they were given and what of them stands in the window.
#include "core/share.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"
#include "core/order.h"

struct shares {
    struct share *list; // by tenant
    size_t len, room;
    int64_t now;
    int64_t credit; // tokens
};

struct shares *shares_new(void)
{
    struct shares *shares = own_alloc(sizeof(*shares));
    shares->credit = ORDER_CREDIT_TOKENS;
    return shares;
}

void shares_set_credit(struct shares *shares, int64_t tokens)
{
    shares->credit = tokens;
}

void shares_free(struct shares *shares)
{
    if (!shares)
        return;
    for (size_t i = 0; i < shares->len; i++)
        free(shares->list[i].tenant);
    free(shares->list);
    free(shares);
}

static int64_t time_of(int64_t tokens, int64_t weight)
{
    return tokens * TAKE_TOKEN_TIME / weight;
}

// Where a tenant begins that was given little, or nothing.
static int64_t time_to_begin(const struct shares *shares, int64_t weight)
{
    return shares->now - time_of(shares->credit, weight);
}

static size_t place_of(const struct shares *shares, const char *tenant)
{
    size_t low = 0, high = shares->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(shares->list[middle].tenant, tenant) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct share *find(const struct shares *shares, const char *tenant)
{
    size_t place = place_of(shares, tenant);
    bool there = place < shares->len && strcmp(shares->list[place].tenant, tenant) == 0;
    return there ? &shares->list[place] : NULL;
}

static struct share *find_or_make(struct shares *shares, const char *tenant, int64_t weight)
{
    CHECK(weight > 0);
    struct share *share = find(shares, tenant);
    if (share) {
        share->weight = weight;
        return share;
    }
    if (shares->len == shares->room) {
        shares->room = shares->room ? shares->room * 2 : 16;
        shares->list = own_grow(shares->list, shares->room, sizeof(*shares->list));
    }
    size_t place = place_of(shares, tenant);
    share = &shares->list[place];
    memmove(share + 1, share, (shares->len++ - place) * sizeof(*share));
    *share = (struct share){.tenant = own_strdup(tenant), .weight = weight};
    share->time = share->first = time_to_begin(shares, weight);
    return share;
}

static void lift(const struct shares *shares, struct share *share)
{
    int64_t begin = time_to_begin(shares, share->weight);
    if (share->time >= begin)
        return;
    share->first += begin - share->time;
    share->time = begin;
}

void shares_serve(struct shares *shares, const char *tenant, int64_t weight, int64_t tokens)
{
    struct share *share = find_or_make(shares, tenant, weight);
    lift(shares, share);
    share->time += time_of(tokens, weight);
    share->first += time_of(tokens, weight);
}

// The least that was given of those that stand. Where none does, nobody has to wait for another,
// and what was is forgotten: all begin where the one is that was given most.
static int64_t next_begin(const struct shares *shares)
{
    int64_t least = INT64_MAX, most = shares->now;
    for (size_t i = 0; i < shares->len; i++) {
        const struct share *share = &shares->list[i];
        if (share->stands && share->time < least)
            least = share->time;
        if (share->time > most)
            most = share->time;
    }
    return least == INT64_MAX ? most : least;
}

void shares_recount(struct shares *shares)
{
    int64_t begin = next_begin(shares);
    size_t kept = 0;
    if (begin > shares->now)
        shares->now = begin;
    for (size_t i = 0; i < shares->len; i++) {
        struct share *share = &shares->list[i];
        if (!share->stands && share->time <= time_to_begin(shares, share->weight)) {
            free(share->tenant);
            continue;
        }
        share->stands = false;
        share->first = share->time;
        shares->list[kept++] = *share;
    }
    shares->len = kept;
}

int64_t shares_stand(struct shares *shares, const char *tenant, int64_t weight, int64_t tokens)
{
    struct share *share = find_or_make(shares, tenant, weight);
    lift(shares, share);
    int64_t begins = share->first;
    share->stands = true;
    share->first += time_of(tokens, weight);
    return begins;
}

int64_t shares_first(const struct shares *shares, const char *tenant, int64_t weight)
{
    int64_t begin = time_to_begin(shares, weight);
    const struct share *share = find(shares, tenant);
    return share && share->first > begin ? share->first : begin;
}

bool shares_knows(const struct shares *shares, const char *tenant)
{
    return find(shares, tenant) != NULL;
}

int64_t shares_now(const struct shares *shares)
{
    return shares->now;
}

size_t shares_list(const struct shares *shares, const struct share **out)
{
    *out = shares->list;
    return shares->len;
}
