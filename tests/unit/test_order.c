// SPDX-License-Identifier: Apache-2.0
// Who goes next: priorities, deadlines, fairness by tokens, floors, and a random walk.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/own.h"
#include "base/rng.h"
#include "core/order.h"

struct item {
    struct order_entry entry;
    char name[24];
    char tenant[24];
};

static struct item *item_of(struct order_entry *entry)
{
    return list_item(entry, struct item, entry);
}

static const struct order_ask plain = {
    .tenant = "t", .weight = 1, .priority = 5, .deadline_ms = INT64_MAX, .tokens = 100};

static void push(struct order *order, struct item *item, const struct order_ask *ask)
{
    snprintf(item->tenant, sizeof(item->tenant), "%s", ask->tenant);
    order_push(order, &item->entry, ask);
}

static struct item *take(struct order *order)
{
    struct order_entry *first = order_first(order);
    if (!first)
        return NULL;
    struct item *item = item_of(first);
    order_take(first);
    return item;
}

static void expect(struct order *order, const char *names)
{
    char got[100] = "";
    for (struct item *item; (item = take(order));)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s", item->name);
    assert_string_equal(got, names);
    order_free(order);
}

// One letter an item, in the order of coming; what goes first is said by the row.
struct row {
    int priority;
    int64_t deadline_ms;
    uint32_t prefix;
};

static void within_a_tenant(const struct row *rows, size_t count, const char *names)
{
    struct order *order = order_new();
    struct item items[8] = {0};
    for (size_t i = 0; i < count; i++) {
        struct order_ask ask = plain;
        ask.priority = rows[i].priority;
        ask.deadline_ms = rows[i].deadline_ms;
        ask.prefix = rows[i].prefix;
        ask.came = i;
        snprintf(items[i].name, sizeof(items[i].name), "%c", (char)('a' + i));
        push(order, &items[i], &ask);
    }
    assert_int_equal(order_len(order), count);
    expect(order, names);
}

static void priorities_then_deadlines_then_first_come(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {5, INT64_MAX, 0}, {0, 10, 0},   {9, INT64_MAX, 0},
        {5, 2000, 0},      {5, 1000, 0}, {5, INT64_MAX, 0},
    };
    within_a_tenant(rows, 6, "cedafb");
}

static void equal_prefixes_together(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {5, INT64_MAX, 7}, {5, INT64_MAX, 3}, {5, INT64_MAX, 7}, {5, INT64_MAX, 3}, {5, 5000, 9},
    };
    within_a_tenant(rows, 5, "ebdac");
}

static void what_came_much_later_does_not_pass(void **state)
{
    (void)state;
    struct order *order = order_new();
    struct item items[2] = {{.name = "a"}, {.name = "b"}};
    struct order_ask ask = plain;
    ask.prefix = 9;
    push(order, &items[0], &ask);
    ask.prefix = 1;
    ask.came = 64;
    push(order, &items[1], &ask);
    expect(order, "ab");
}

static void the_removed_does_not_come(void **state)
{
    (void)state;
    struct order *order = order_new();
    struct item items[2] = {{.name = "a"}, {.name = "b"}};
    push(order, &items[0], &plain);
    push(order, &items[1], &plain);
    order_remove(&items[0].entry);
    order_remove(&items[0].entry);
    assert_null(items[0].entry.in);
    assert_int_equal(order_len(order), 1);
    expect(order, "b");
}

static void freeing_leaves_entries_nowhere(void **state)
{
    (void)state;
    struct order *order = order_new();
    struct item item = {.name = "a"};
    push(order, &item, &plain);
    order_free(order);
    assert_null(item.entry.in);
    order_remove(&item.entry);
}

// ------------------------------------------------------------------------------- tenants

// Tenants that always have something to wait with; counts the tokens that each gets.
struct crowd {
    const char *name;
    int64_t weight, tokens, real_tokens;
    int priority;
    int64_t got;
};

static void refill(struct order *order, struct crowd *member, uint64_t *came)
{
    struct item *item = own_alloc(sizeof(*item));
    struct order_ask ask = {.tenant = member->name,
                            .weight = member->weight,
                            .priority = member->priority,
                            .deadline_ms = INT64_MAX,
                            .tokens = member->tokens,
                            .came = (*came)++};
    push(order, item, &ask);
}

static void run_crowd(struct crowd *crowd, size_t count, int64_t tokens)
{
    struct order *order = order_new();
    uint64_t came = 0;
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < 3; k++)
            refill(order, &crowd[i], &came);
    for (int64_t passed = 0; passed < tokens;) {
        struct item *item = take(order);
        struct crowd *member = crowd;
        while (strcmp(member->name, item->tenant) != 0)
            member++;
        member->got += member->real_tokens;
        passed += member->real_tokens;
        order_charge(order, member->name, member->real_tokens - member->tokens);
        free(item);
        refill(order, member, &came);
    }
    for (struct item *item; (item = take(order));)
        free(item);
    order_free(order);
}

static void assert_share(const struct crowd *member, int64_t tokens, double share)
{
    double got = (double)member->got / (double)tokens;
    if (got < share * 0.98 || got > share * 1.02)
        fail_msg("%s got %.4f, expected %.4f", member->name, got, share);
}

static void fair_by_tokens_not_by_count(void **state)
{
    (void)state;
    struct crowd crowd[] = {{"long", 1, 20000, 20000, 5, 0}, {"short", 1, 200, 200, 5, 0}};
    run_crowd(crowd, 2, 20000000);
    assert_share(&crowd[0], 20000000, 0.5);
    assert_share(&crowd[1], 20000000, 0.5);
}

static void weights_share(void **state)
{
    (void)state;
    struct crowd crowd[] = {
        {"a", 3, 1000, 1000, 5, 0}, {"b", 1, 700, 700, 5, 0}, {"c", 6, 300, 300, 5, 0}};
    run_crowd(crowd, 3, 10000000);
    assert_share(&crowd[0], 10000000, 0.3);
    assert_share(&crowd[1], 10000000, 0.1);
    assert_share(&crowd[2], 10000000, 0.6);
}

static void real_use_counts(void **state)
{
    (void)state;
    struct crowd crowd[] = {{"guessed low", 1, 100, 1000, 5, 0}, {"right", 1, 1000, 1000, 5, 0}};
    run_crowd(crowd, 2, 10000000);
    assert_share(&crowd[0], 10000000, 0.5);
}

static void floor_under_weights_and_priorities(void **state)
{
    (void)state;
    struct crowd weights[] = {{"heavy", 1000, 1000, 1000, 5, 0}, {"light", 1, 1000, 1000, 5, 0}};
    run_crowd(weights, 2, 10000000);
    assert_true(weights[1].got >= 10000000 / 45); // one in 2 * ORDER_FLOOR, and one of its own
    assert_true(weights[1].got <= 10000000 / 30);
    struct crowd classes[] = {
        {"nine", 1, 1000, 1000, 9, 0}, {"zero", 1, 1000, 1000, 0, 0}, {"one", 1, 500, 500, 1, 0}};
    run_crowd(classes, 3, 10000000);
    assert_true(classes[0].got >= 10000000 / 100 * 94);
    assert_true(classes[1].got >= 10000000 / 65);
    assert_true(classes[2].got >= 10000000 / 65);
}

// B comes while A has a long queue: it is let off a credit, and gets no more than that beyond its
// half, however long it was away.
static int64_t taken_of_who_comes_back(int64_t credit)
{
    struct order *order = order_new();
    struct item *a = own_array(4000, sizeof(*a)), *b = own_array(400, sizeof(*b));
    struct order_ask ask = plain;
    ask.tenant = "a";
    ask.tokens = 1000;
    for (size_t i = 0; i < 4000; i++)
        push(order, &a[i], &ask);
    for (int i = 0; i < 2000; i++)
        take(order);
    ask.tenant = "b";
    if (credit >= 0)
        order_set_credit(order, credit);
    for (size_t i = 0; i < 400; i++)
        push(order, &b[i], &ask);
    int64_t of_b = 0;
    for (int i = 0; i < 200; i++)
        of_b += strcmp(take(order)->tenant, "b") == 0;
    order_free(order);
    free(a);
    free(b);
    return of_b;
}

static void who_comes_back_catches_up_on_a_credit_only(void **state)
{
    (void)state;
    // Half of 200, and half of the credit's 20.
    assert_in_range(taken_of_who_comes_back(-1), 100 + 9, 100 + 12);
    assert_in_range(taken_of_who_comes_back(60000), 100 + 29, 100 + 32);
    assert_in_range(taken_of_who_comes_back(0), 100 - 1, 100 + 2);
}

static void idle_tenants_are_forgotten(void **state)
{
    (void)state;
    struct order *order = order_new();
    for (int i = 0; i < 20000; i++) {
        struct item item = {0};
        char name[20];
        struct order_ask ask = plain;
        snprintf(name, sizeof(name), "t%d", i);
        ask.tenant = name;
        ask.tokens = 3000;
        push(order, &item, &ask);
        assert_ptr_equal(take(order), &item);
    }
    assert_int_equal(order_len(order), 0);
    order_free(order);
}

// Against a plain model: within the tenant and priority that are chosen the entry is the one with
// the earliest deadline, then the oldest block; nothing is lost or comes twice.
static void random_walk(void **state)
{
    (void)state;
    enum { ITEMS = 300 };
    static struct item items[ITEMS];
    static struct order_ask asks[ITEMS];
    struct rng rng;
    rng_init(&rng, 42);
    struct order *order = order_new();
    uint64_t came = 0;
    size_t waiting = 0;
    for (int step = 0; step < 30000; step++) {
        size_t i = (size_t)rng_below(&rng, ITEMS);
        static const char *const tenants[] = {"a", "b", "c"};
        if (items[i].entry.in && rng_below(&rng, 3) == 0) {
            order_remove(&items[i].entry);
            waiting--;
        } else if (!items[i].entry.in) {
            asks[i] = (struct order_ask){.tenant = tenants[rng_below(&rng, 3)],
                                         .weight = 1 + (int64_t)rng_below(&rng, 5),
                                         .priority = (int)rng_below(&rng, 10),
                                         .deadline_ms = (int64_t)rng_below(&rng, 3) * 1000,
                                         .tokens = (int64_t)rng_below(&rng, 5000),
                                         .came = came};
            came++;
            push(order, &items[i], &asks[i]);
            waiting++;
        } else if (rng_below(&rng, 2) == 0) {
            const struct item *first = take(order);
            const struct order_ask *ask = &asks[first - items];
            waiting--;
            for (size_t k = 0; k < ITEMS; k++)
                if (items[k].entry.in && strcmp(items[k].tenant, first->tenant) == 0 &&
                    asks[k].priority >= ask->priority)
                    assert_false(asks[k].priority > ask->priority ||
                                 asks[k].deadline_ms < ask->deadline_ms ||
                                 (asks[k].deadline_ms == ask->deadline_ms &&
                                  asks[k].came >> 6 < ask->came >> 6));
        }
        assert_int_equal(order_len(order), waiting);
    }
    order_free(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_then_deadlines_then_first_come),
        cmocka_unit_test(equal_prefixes_together),
        cmocka_unit_test(what_came_much_later_does_not_pass),
        cmocka_unit_test(the_removed_does_not_come),
        cmocka_unit_test(freeing_leaves_entries_nowhere),
        cmocka_unit_test(fair_by_tokens_not_by_count),
        cmocka_unit_test(weights_share),
        cmocka_unit_test(real_use_counts),
        cmocka_unit_test(floor_under_weights_and_priorities),
        cmocka_unit_test(who_comes_back_catches_up_on_a_credit_only),
        cmocka_unit_test(idle_tenants_are_forgotten),
        cmocka_unit_test(random_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
