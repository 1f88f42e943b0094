// SPDX-License-Identifier: Apache-2.0
// Start-time fair queueing over tenants, with priorities above it and deadlines below.
//
// Each tenant has a heap of entries for each priority, and stands in a heap of tenants for each
// priority at which something of it waits (key: its virtual time), and in one of all waiting
// tenants (key: the tokens that will have passed when its floor is due). A step costs O(log n).
#include "core/order.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/list.h"
#include "base/own.h"

// Virtual time of a token at weight 1. Weights go to 1000, so each token counts for each of them.
#define TOKEN_TIME 1000
// Entries that came so close together may change places for their prefix.
#define BLOCK_BITS  6
#define PREFIX_BITS 12
// Idle tenants are looked through when there are so many, and whenever they have doubled.
#define TENANTS_KEPT 64

struct order_class { // of one tenant, at one priority
    struct heap entries;
    struct heap_node node; // in order->classes, while something waits
    struct order_tenant *tenant;
};

struct order_tenant {
    char *name;
    int64_t weight;
    int64_t time;   // virtual
    size_t waiting; // entries of all priorities
    struct order_class classes[ORDER_PRIORITIES];
    struct heap_node floor; // in order->floors, while something waits
};

struct order {
    struct heap classes[ORDER_PRIORITIES], floors;
    struct order_tenant **tenants; // by name
    size_t tenant_count, tenant_room, tenants_swept;
    size_t len;
    int64_t credit; // tokens
    int64_t time;   // virtual: that of the last tenant served; never goes back
    int64_t passed; // tokens of all that was taken
};

struct order *order_new(void)
{
    struct order *order = own_alloc(sizeof(*order));
    for (int p = 0; p < ORDER_PRIORITIES; p++)
        heap_init(&order->classes[p]);
    heap_init(&order->floors);
    order->tenants_swept = TENANTS_KEPT;
    order->credit = ORDER_CREDIT_TOKENS;
    return order;
}

static struct order_entry *entry_of(struct heap_node *node)
{
    return list_item(node, struct order_entry, node);
}

static void tenant_free(struct order_tenant *tenant)
{
    for (int p = 0; p < ORDER_PRIORITIES; p++) {
        struct heap *entries = &tenant->classes[p].entries;
        for (size_t i = 0; i < entries->len; i++) {
            struct order_entry *entry = entry_of(entries->nodes[i]);
            entry->in = NULL;
            entry->node.place = 0;
        }
        heap_deinit(entries);
    }
    free(tenant->name);
    free(tenant);
}

void order_free(struct order *order)
{
    if (!order)
        return;
    for (size_t i = 0; i < order->tenant_count; i++)
        tenant_free(order->tenants[i]);
    for (int p = 0; p < ORDER_PRIORITIES; p++)
        heap_deinit(&order->classes[p]);
    heap_deinit(&order->floors);
    free(order->tenants);
    free(order);
}

void order_set_credit(struct order *order, int64_t tokens)
{
    order->credit = tokens;
}

size_t order_len(const struct order *order)
{
    return order->len;
}

// ------------------------------------------------------------------------------- tenants

static int64_t time_of(int64_t tokens, const struct order_tenant *tenant)
{
    return tokens * TOKEN_TIME / tenant->weight;
}

// The place of the name, or where it would be.
static size_t place_of(const struct order *order, const char *name)
{
    size_t low = 0, high = order->tenant_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(order->tenants[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct order_tenant *find(const struct order *order, const char *name)
{
    size_t place = place_of(order, name);
    bool there = place < order->tenant_count && strcmp(order->tenants[place]->name, name) == 0;
    return there ? order->tenants[place] : NULL;
}

// The virtual time at which somebody who comes now begins: that of the tenant who waits longest.
static int64_t time_now(const struct order *order)
{
    int64_t time = INT64_MAX;
    for (int p = 0; p < ORDER_PRIORITIES; p++) {
        const struct heap_node *first = heap_first(&order->classes[p]);
        if (first && first->key < time)
            time = first->key;
    }
    return time == INT64_MAX ? order->time : time;
}

static int64_t time_to_begin(const struct order *order, const struct order_tenant *tenant)
{
    return time_now(order) - time_of(order->credit, tenant);
}

// Tenants that wait for nothing and owe nothing need not be remembered.
static void forget_idle(struct order *order)
{
    size_t kept = 0;
    for (size_t i = 0; i < order->tenant_count; i++) {
        struct order_tenant *tenant = order->tenants[i];
        if (tenant->waiting == 0 && tenant->time <= time_to_begin(order, tenant))
            tenant_free(tenant);
        else
            order->tenants[kept++] = tenant;
    }
    order->tenant_count = kept;
    order->tenants_swept = kept < TENANTS_KEPT ? TENANTS_KEPT : kept;
}

static struct order_tenant *find_or_make(struct order *order, const struct order_ask *ask)
{
    struct order_tenant *tenant = find(order, ask->tenant);
    if (tenant)
        return tenant;
    if (order->tenant_count >= 2 * order->tenants_swept)
        forget_idle(order);
    if (order->tenant_count == order->tenant_room) {
        order->tenant_room = order->tenant_room ? order->tenant_room * 2 : 16;
        order->tenants = own_grow(order->tenants, order->tenant_room, sizeof(*order->tenants));
    }
    tenant = own_alloc(sizeof(*tenant));
    tenant->name = own_strdup(ask->tenant);
    tenant->weight = ask->weight;
    tenant->time = time_to_begin(order, tenant);
    for (int p = 0; p < ORDER_PRIORITIES; p++)
        tenant->classes[p].tenant = tenant;
    size_t place = place_of(order, ask->tenant);
    memmove(order->tenants + place + 1, order->tenants + place,
            (order->tenant_count - place) * sizeof(*order->tenants));
    order->tenants[place] = tenant;
    order->tenant_count++;
    return tenant;
}

static void set_time(struct order *order, struct order_tenant *tenant, int64_t time)
{
    tenant->time = time;
    for (int p = 0; p < ORDER_PRIORITIES; p++)
        if (tenant->classes[p].node.place > 0)
            heap_set(&order->classes[p], &tenant->classes[p].node, time);
}

// What it waits with is one part in ORDER_FLOOR of what will have passed, shared by all who wait.
static void set_floor(struct order *order, struct order_tenant *tenant, int64_t tokens)
{
    int64_t waiting = (int64_t)order->floors.len + (tenant->floor.place == 0);
    int64_t least = tokens > 0 ? tokens : 1;
    heap_set(&order->floors, &tenant->floor, order->passed + least * ORDER_FLOOR * waiting);
}

// ------------------------------------------------------------------------------- entries

// First come within a block of arrivals, equal prefixes together.
static uint64_t rank_of(const struct order_ask *ask)
{
    uint64_t block = ask->came >> BLOCK_BITS, within = ask->came & ((1u << BLOCK_BITS) - 1);
    uint64_t prefix = ask->prefix & ((1u << PREFIX_BITS) - 1);
    return block << (BLOCK_BITS + PREFIX_BITS) | prefix << BLOCK_BITS | within;
}

void order_push(struct order *order, struct order_entry *entry, const struct order_ask *ask)
{
    CHECK(entry->in == NULL && ask->weight > 0);
    CHECK(ask->priority >= 0 && ask->priority < ORDER_PRIORITIES);
    struct order_tenant *tenant = find_or_make(order, ask);
    struct order_class *class = &tenant->classes[ask->priority];
    tenant->weight = ask->weight;
    if (tenant->waiting++ == 0) {
        int64_t begin = time_to_begin(order, tenant);
        tenant->time = tenant->time > begin ? tenant->time : begin;
        set_floor(order, tenant, ask->tokens);
    }
    entry->in = order;
    entry->tenant = tenant;
    entry->priority = ask->priority;
    entry->tokens = ask->tokens;
    heap_put(&class->entries, &entry->node, ask->deadline_ms, rank_of(ask));
    if (class->node.place == 0)
        heap_set(&order->classes[ask->priority], &class->node, tenant->time);
    order->len++;
}

void order_remove(struct order_entry *entry)
{
    struct order *order = entry->in;
    if (!order)
        return;
    struct order_tenant *tenant = entry->tenant;
    struct order_class *class = &tenant->classes[entry->priority];
    heap_remove(&class->entries, &entry->node);
    if (class->entries.len == 0)
        heap_remove(&order->classes[entry->priority], &class->node);
    if (--tenant->waiting == 0)
        heap_remove(&order->floors, &tenant->floor);
    order->len--;
    entry->in = NULL;
    entry->tenant = NULL;
}

static struct order_entry *first_of(const struct order_tenant *tenant)
{
    for (int p = ORDER_PRIORITIES - 1; p >= 0; p--)
        if (tenant->classes[p].entries.len > 0)
            return entry_of(heap_first(&tenant->classes[p].entries));
    CHECK(false);
    return NULL;
}

struct order_entry *order_first(const struct order *order)
{
    struct heap_node *due = heap_first(&order->floors);
    if (due && due->key <= order->passed)
        return first_of(list_item(due, struct order_tenant, floor));
    for (int p = ORDER_PRIORITIES - 1; p >= 0; p--) {
        struct heap_node *first = heap_first(&order->classes[p]);
        if (first)
            return entry_of(heap_first(&list_item(first, struct order_class, node)->entries));
    }
    return NULL;
}

void order_take(struct order_entry *entry)
{
    struct order *order = entry->in;
    struct order_tenant *tenant = entry->tenant;
    CHECK(order != NULL);
    if (tenant->time > order->time)
        order->time = tenant->time;
    order->passed += entry->tokens;
    order_remove(entry);
    set_time(order, tenant, tenant->time + time_of(entry->tokens, tenant));
    if (tenant->waiting > 0)
        set_floor(order, tenant, first_of(tenant)->tokens);
}

void order_charge(struct order *order, const char *tenant_name, int64_t tokens)
{
    struct order_tenant *tenant = find(order, tenant_name);
    if (tenant)
        set_time(order, tenant, tenant->time + time_of(tokens, tenant));
}
