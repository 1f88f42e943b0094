// SPDX-License-Identifier: Apache-2.0
// Ids with generations: a dead id finds nothing, whatever lives in its place.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/rng.h"
#include "base/slots.h"

static void finds_the_living_only(void **state)
{
    (void)state;
    struct slots slots;
    int a, b;
    slots_init(&slots);
    struct slot_id first = slots_add(&slots, &a);
    assert_ptr_equal(slots_get(&slots, first), &a);
    slots_remove(&slots, first);
    assert_null(slots_get(&slots, first));
    struct slot_id second = slots_add(&slots, &b);
    assert_int_equal(second.index, first.index); // the place is used again
    assert_false(slot_id_equal(first, second));
    assert_null(slots_get(&slots, first));
    assert_ptr_equal(slots_get(&slots, second), &b);
    slots_deinit(&slots);
}

static void ids_from_nowhere_find_nothing(void **state)
{
    (void)state;
    static const struct slot_id ids[] = {{0, 0}, {0, 1}, {5, 1}, {63, 2}, {UINT32_MAX, 1}};
    struct slots slots;
    slots_init(&slots);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        assert_null(slots_get(&slots, ids[i]));
    int a;
    slots_add(&slots, &a);
    assert_null(slots_get(&slots, (struct slot_id){0, 0}));
    assert_null(slots_get(&slots, (struct slot_id){1, 1})); // a free place
    assert_null(slots_get(&slots, (struct slot_id){64, 1}));
    slots_deinit(&slots);
}

static void generations_wrap_past_zero(void **state)
{
    (void)state;
    struct slots slots;
    int a;
    slots_init(&slots);
    struct slot_id id = slots_add(&slots, &a);
    slots.slots[id.index].generation = UINT32_MAX;
    id.generation = UINT32_MAX;
    slots_remove(&slots, id);
    struct slot_id next = slots_add(&slots, &a);
    assert_int_equal(next.index, id.index);
    assert_int_equal(next.generation, 1);
    slots_deinit(&slots);
}

#define OBJECTS 500

static void random_lives(void **state)
{
    (void)state;
    struct rng rng;
    struct slots slots;
    int objects[OBJECTS];
    struct slot_id ids[OBJECTS] = {0}, dead[OBJECTS] = {0};
    size_t living = 0;
    rng_init(&rng, 8);
    slots_init(&slots);
    for (int i = 0; i < 30000; i++) {
        size_t n = (size_t)rng_below(&rng, OBJECTS);
        if (slots_get(&slots, ids[n])) {
            slots_remove(&slots, ids[n]);
            dead[n] = ids[n];
            living--;
        } else {
            ids[n] = slots_add(&slots, &objects[n]);
            living++;
            assert_ptr_equal(slots_get(&slots, ids[n]), &objects[n]);
        }
        assert_int_equal(slots.len, living);
        assert_null(slots_get(&slots, dead[n]));
    }
    for (size_t n = 0; n < OBJECTS; n++)
        if (!slot_id_equal(ids[n], dead[n]) && ids[n].generation)
            assert_ptr_equal(slots_get(&slots, ids[n]), &objects[n]);
    slots_deinit(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_living_only),
        cmocka_unit_test(ids_from_nowhere_find_nothing),
        cmocka_unit_test(generations_wrap_past_zero),
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
