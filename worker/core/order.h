// SPDX-License-Identifier: Apache-2.0
// Who goes next: the queue of what waits for leave to call one model.
//
//   1. A tenant that waits, and of the last FLOOR tokens got none, goes first: each of n waiting
//      tenants gets at least 1/(20 n) of the tokens, whatever the priorities and weights of others.
//   2. Else the highest priority that anybody waits with.
//   3. Within it, the tenant with the least virtual time. Virtual time is the tokens that a tenant
//      was given, divided by its weight: in the long run tenants of equal weight get equally many
//      tokens, whatever the number and size of their jobs. Who comes back after a pause does not
//      catch up on what it did not ask for, but is let off a small credit, so that a few short jobs
//      pass a crowd of long ones.
//   4. Within a tenant, the earliest deadline, then first come. Of those that came about at the
//      same time, ones with the same prompt prefix go together, since providers' caches like that.
//
// Tokens are estimates when something is taken; order_charge mends them by what was really used.
// Pure: no clock. An entry belongs to whoever waits and is in at most one order.
#ifndef PRECIS_CORE_ORDER_H
#define PRECIS_CORE_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"

#define ORDER_PRIORITIES    10    // 9 first
#define ORDER_CREDIT_TOKENS 20000 // what a tenant is let off at most when it comes back
#define ORDER_FLOOR         20    // the floors of all tenants together are one part in so many

struct order;
struct order_tenant;

struct order_entry {
    struct heap_node node;
    struct order *in; // NULL: it waits nowhere
    struct order_tenant *tenant;
    int priority;
    int64_t tokens;
};

// What is told of an entry. `tenant` is borrowed for the call.
struct order_ask {
    const char *tenant;
    int64_t weight;      // 1 and more
    int priority;        // 0..9
    int64_t deadline_ms; // INT64_MAX: none
    int64_t tokens;      // that it will use, as far as one knows
    uint64_t came;       // rises with each that comes: a lower one came earlier
    uint32_t prefix;     // of its prompt; equal for equal ones
};

struct order *order_new(void);
// Its entries wait nowhere afterwards.
void order_free(struct order *order);
// From now on so many tokens are let off (ORDER_CREDIT_TOKENS at first): small is what a few
// seconds bring, whatever the limit and the number of workers that share it.
void order_set_credit(struct order *order, int64_t tokens);
void order_push(struct order *order, struct order_entry *entry, const struct order_ask *ask);
// Does nothing for an entry that waits nowhere. Its tenant is charged nothing.
void order_remove(struct order_entry *entry);
// Who goes next; stays where it is. NULL: nobody waits.
struct order_entry *order_first(const struct order *order);
// It goes: removed, and its tenant is charged its tokens.
void order_take(struct order_entry *entry);
// What was taken used so many tokens more than it was charged (or fewer: negative).
void order_charge(struct order *order, const char *tenant, int64_t tokens);
// Entries that wait.
size_t order_len(const struct order *order);

#endif
