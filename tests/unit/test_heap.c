// SPDX-License-Identifier: Apache-2.0
// The heap of wake-up times, against a plain search for the smallest.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/heap.h"
#include "base/rng.h"

#define NODES 200

static void empty_and_one(void **state)
{
    (void)state;
    struct heap heap;
    struct heap_node node = {0};
    heap_init(&heap);
    assert_null(heap_first(&heap));
    heap_remove(&heap, &node); // in no heap
    heap_set(&heap, &node, 5);
    assert_ptr_equal(heap_first(&heap), &node);
    assert_int_equal(node.key, 5);
    heap_remove(&heap, &node);
    assert_null(heap_first(&heap));
    assert_int_equal(node.place, 0);
    heap_deinit(&heap);
}

static void ties_go_by_insertion(void **state)
{
    (void)state;
    struct heap heap;
    struct heap_node nodes[NODES] = {0};
    heap_init(&heap);
    for (size_t i = 0; i < NODES; i++)
        heap_set(&heap, &nodes[i], 42);
    for (size_t i = 0; i < NODES; i++) {
        assert_ptr_equal(heap_first(&heap), &nodes[i]);
        heap_remove(&heap, heap_first(&heap));
    }
    heap_deinit(&heap);
}

// The node that must be first: smallest key, then the order it was put in.
static const struct heap_node *smallest(const struct heap_node *nodes)
{
    const struct heap_node *best = NULL;
    for (size_t i = 0; i < NODES; i++) {
        const struct heap_node *node = &nodes[i];
        if (node->place == 0)
            continue;
        if (!best || node->key < best->key || (node->key == best->key && node->order < best->order))
            best = node;
    }
    return best;
}

static void random_moves(void **state)
{
    (void)state;
    struct rng rng;
    struct heap heap;
    struct heap_node nodes[NODES] = {0};
    rng_init(&rng, 3);
    heap_init(&heap);
    for (int i = 0; i < 20000; i++) {
        struct heap_node *node = &nodes[rng_below(&rng, NODES)];
        if (rng_below(&rng, 3) == 0)
            heap_remove(&heap, node);
        else
            heap_set(&heap, node, (int64_t)rng_below(&rng, 50) - 25);
        assert_ptr_equal(heap_first(&heap), smallest(nodes));
    }
    while (heap.len > 0) {
        assert_ptr_equal(heap_first(&heap), smallest(nodes));
        heap_remove(&heap, heap_first(&heap));
    }
    heap_deinit(&heap);
}

static void keeps_the_extremes(void **state)
{
    (void)state;
    struct heap heap;
    struct heap_node never = {0}, past = {0};
    heap_init(&heap);
    heap_set(&heap, &never, INT64_MAX);
    heap_set(&heap, &past, INT64_MIN);
    assert_ptr_equal(heap_first(&heap), &past);
    heap_set(&heap, &past, INT64_MAX); // moved, and it came later
    assert_ptr_equal(heap_first(&heap), &never);
    assert_int_equal(heap.len, 2);
    heap_deinit(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_and_one),
        cmocka_unit_test(ties_go_by_insertion),
        cmocka_unit_test(random_moves),
        cmocka_unit_test(keeps_the_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
