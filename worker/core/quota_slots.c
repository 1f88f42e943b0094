// SPDX-License-Identifier: Apache-2.0
// Calls in flight: who may have how many of them.
#include <stdlib.h>

#include "base/own.h"
#include "core/quota_inner.h"

struct want {
    int64_t worker, most, slots_at_us;
};

static int64_t most_of(const struct quota_row *row)
{
    return row->slots_wanted > row->slots_held ? row->slots_wanted : row->slots_held;
}

// Who had none for longest comes first.
static int by_turn(const void *left, const void *right)
{
    const struct want *a = left, *b = right;
    if (a->slots_at_us != b->slots_at_us)
        return a->slots_at_us < b->slots_at_us ? -1 : 1;
    return a->worker < b->worker ? -1 : a->worker > b->worker;
}

// The smaller wants first: what they leave is shared by the larger ones. Whose turn it is comes
// last, and gets what the division leaves.
static int by_size(const void *left, const void *right)
{
    const struct want *a = left, *b = right;
    if (a->most != b->most)
        return a->most < b->most ? -1 : 1;
    return -by_turn(left, right);
}

static int64_t fair_part(struct want *wants, size_t count, int64_t limit, int64_t worker)
{
    bool scarce = limit < (int64_t)count; // not even one for each
    qsort(wants, count, sizeof(*wants), scarce ? by_turn : by_size);
    int64_t left = limit;
    for (size_t i = 0; i < count; i++) {
        int64_t part = scarce ? (i < (size_t)limit ? 1 : 0) : left / (int64_t)(count - i);
        part = part < wants[i].most ? part : wants[i].most;
        if (wants[i].worker == worker)
            return part;
        left -= part;
    }
    return 0;
}

void quota_share_slots(struct quota_case *c)
{
    const struct quota_ask *ask = c->ask;
    struct quota_row *row = c->row;
    row->slots_held = ask->slots_held;
    row->slots_wanted = ask->slots_wanted;
    if (ask->slots_held > 0)
        row->slots_at_us = c->now_us;
    int64_t limit = quota_limit(c->fleet, ask, QUOTA_DIMENSIONS);
    c->out->slots = INT64_MAX;
    row->slots_given = ask->slots_held;
    if (limit <= 0)
        return;
    struct want *wants = own_array(c->lane->row_count, sizeof(*wants));
    size_t count = 0;
    int64_t free_slots = limit;
    for (size_t i = 0; i < c->lane->row_count; i++) {
        const struct quota_row *other = &c->lane->rows[i];
        if (other != row && !c->asker->is_live(c->asker->context, other->worker))
            continue;
        if (most_of(other) > 0)
            wants[count++] = (struct want){other->worker, most_of(other), other->slots_at_us};
        if (other != row)
            free_slots -= other->slots_given;
    }
    int64_t part = fair_part(wants, count, limit, row->worker);
    free(wants);
    part = part < free_slots ? part : free_slots;
    if (part > row->slots_given)
        row->slots_given = part;
    c->out->slots = row->slots_given;
}
