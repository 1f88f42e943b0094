// SPDX-License-Identifier: Apache-2.0
// The counted list.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/list.h"

struct item {
    int value;
    struct list_node node;
};

static int value_of(const struct list_node *node)
{
    return list_item(node, struct item, node)->value;
}

// The values in order as one decimal number.
static int spell(const struct list *list)
{
    int number = 0;
    for (struct list_node *node = list_first(list); node; node = list_next(list, node))
        number = number * 10 + value_of(node);
    return number;
}

static void keeps_order_and_count(void **state)
{
    (void)state;
    struct list list;
    struct item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    list_init(&list);
    assert_null(list_first(&list));
    for (size_t i = 0; i < 4; i++)
        list_append(&list, &items[i].node);
    assert_int_equal(spell(&list), 1234);
    assert_int_equal(list.len, 4);
    assert_ptr_equal(items[2].node.in, &list);
    list_remove(&items[0].node);
    list_remove(&items[2].node);
    assert_int_equal(spell(&list), 24);
    list_remove(&items[3].node);
    list_remove(&items[1].node);
    assert_int_equal(list.len, 0);
    assert_null(list_first(&list));
}

static void removing_twice_does_nothing(void **state)
{
    (void)state;
    struct list list;
    struct item one = {.value = 1}, two = {.value = 2};
    list_init(&list);
    list_append(&list, &one.node);
    list_append(&list, &two.node);
    list_remove(&one.node);
    list_remove(&one.node);
    assert_int_equal(list.len, 1);
    assert_null(one.node.in);
}

static void an_item_moves_between_lists(void **state)
{
    (void)state;
    struct list waiting, running;
    struct item items[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
    list_init(&waiting);
    list_init(&running);
    for (size_t i = 0; i < 3; i++)
        list_append(&waiting, &items[i].node);
    list_remove(&items[1].node);
    list_append(&running, &items[1].node);
    assert_int_equal(spell(&waiting), 13);
    assert_int_equal(spell(&running), 2);
}

static void the_walk_survives_removal(void **state)
{
    (void)state;
    struct list list;
    struct item items[5];
    list_init(&list);
    for (int i = 0; i < 5; i++) {
        items[i] = (struct item){.value = i + 1};
        list_append(&list, &items[i].node);
    }
    struct list_node *node = list_first(&list);
    while (node) {
        struct list_node *next = list_next(&list, node);
        if (value_of(node) % 2 == 1)
            list_remove(node);
        node = next;
    }
    assert_int_equal(spell(&list), 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_count),
        cmocka_unit_test(removing_twice_does_nothing),
        cmocka_unit_test(an_item_moves_between_lists),
        cmocka_unit_test(the_walk_survives_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
