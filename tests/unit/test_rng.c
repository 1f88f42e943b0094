// SPDX-License-Identifier: Apache-2.0
// The random source: the same seed, the same numbers, for ever (a failing seed must replay).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>

#include "base/rng.h"

static void known_numbers(void **state)
{
    (void)state;
    // splitmix64 from seed 0, as its authors' generator gives them
    static const uint64_t expected[] = {UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4),
                                        UINT64_C(0x06c45d188009454f)};
    struct rng rng;
    rng_init(&rng, 0);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(rng_next(&rng), expected[i]);
}

static void seeds_differ_and_repeat(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 7);
    rng_init(&b, 7);
    rng_init(&c, 8);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t number = rng_next(&a);
        assert_int_equal(number, rng_next(&b));
        differs = differs || number != rng_next(&c);
    }
    assert_true(differs);
}

static void below_reaches_every_number(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11);
    for (uint64_t bound = 1; bound < 20; bound++) {
        unsigned seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t number = rng_below(&rng, bound);
            assert_true(number < bound);
            seen |= 1u << number;
        }
        assert_int_equal(seen, (1u << bound) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_numbers),
        cmocka_unit_test(seeds_differ_and_repeat),
        cmocka_unit_test(below_reaches_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
