// SPDX-License-Identifier: Apache-2.0
// The watermark: holes, repeats, going back, and random orders against a plain model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "core/offsets.h"

// A script: 'd' deliver, 'f' finish; the answer expected and the watermark after it.
struct move {
    char verb;
    int64_t offset;
    bool answer;
    int64_t watermark;
};

static void play(const struct move *moves, size_t count)
{
    struct offsets offsets;
    offsets_init(&offsets);
    assert_int_equal(offsets_watermark(&offsets), -1);
    assert_int_equal(offsets_oldest(&offsets), -1);
    for (size_t i = 0; i < count; i++) {
        bool answer = moves[i].verb == 'd' ? offsets_deliver(&offsets, moves[i].offset)
                                           : offsets_finish(&offsets, moves[i].offset);
        if (answer != moves[i].answer || offsets_watermark(&offsets) != moves[i].watermark)
            fail_msg("move %zu: %d, watermark %lld", i, answer,
                     (long long)offsets_watermark(&offsets));
    }
    offsets_deinit(&offsets);
}

#define PLAY(moves) play(moves, sizeof(moves) / sizeof((moves)[0]))

static void in_order(void **state)
{
    (void)state;
    static const struct move moves[] = {
        {'d', 5, true, 5}, {'d', 6, true, 5}, {'f', 5, true, 6},
        {'f', 6, true, 7}, {'d', 7, true, 7}, {'f', 7, true, 8},
    };
    PLAY(moves);
}

static void out_of_order_with_holes(void **state)
{
    (void)state;
    static const struct move moves[] = {
        {'d', 0, true, 0},  {'d', 1, true, 0},  {'d', 2, true, 0},   {'d', 8, true, 0},
        {'d', 12, true, 0}, {'f', 2, false, 0}, {'f', 1, false, 0},  {'f', 12, false, 0},
        {'f', 0, true, 8},  {'f', 8, true, 13}, {'d', 20, true, 20},
    };
    PLAY(moves);
}

static void repeats_and_going_back(void **state)
{
    (void)state;
    static const struct move moves[] = {
        {'d', 5, true, 5},   {'d', 9, true, 5},   {'d', 5, false, 5}, {'d', 9, false, 5},
        {'d', 3, false, 5},  {'f', 9, false, 5},  {'d', 9, false, 5}, {'f', 9, false, 5},
        {'f', 4, false, 5},  {'f', 10, false, 5}, {'f', 3, false, 5}, {'d', 7, true, 5},
        {'f', 5, true, 7},   {'d', 5, false, 7},  {'f', 5, false, 7}, {'f', 7, true, 10},
        {'d', 9, false, 10}, {'d', 10, true, 10},
    };
    PLAY(moves);
}

static void counts_and_oldest(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    for (int64_t offset = 100; offset < 110; offset++)
        assert_true(offsets_deliver(&offsets, offset));
    assert_int_equal(offsets_unfinished(&offsets), 10);
    assert_int_equal(offsets_oldest(&offsets), 100);
    assert_false(offsets_finish(&offsets, 101));
    assert_true(offsets_finish(&offsets, 100));
    assert_int_equal(offsets_unfinished(&offsets), 8);
    assert_int_equal(offsets_oldest(&offsets), 102);
    offsets_deinit(&offsets);
    assert_int_equal(offsets_watermark(&offsets), -1);
}

static void memory_follows_the_unfinished(void **state)
{
    (void)state;
    struct offsets offsets;
    offsets_init(&offsets);
    assert_true(offsets_deliver(&offsets, 0)); // stuck
    for (int64_t offset = 1; offset < 200000; offset++) {
        assert_true(offsets_deliver(&offsets, offset));
        assert_false(offsets_finish(&offsets, offset));
    }
    assert_int_equal(offsets_watermark(&offsets), 0);
    assert_true(offsets.room <= 128);
    assert_false(offsets_deliver(&offsets, 1777)); // melted, and still known
    assert_true(offsets_finish(&offsets, 0));
    assert_int_equal(offsets_watermark(&offsets), 200000);
    offsets_deinit(&offsets);
}

#define SPAN 400

// What the header promises, the slow way: a state per offset.
struct model {
    bool delivered[SPAN], finished[SPAN];
    int64_t last;
    int64_t watermark;
};

static int64_t model_oldest(const struct model *model)
{
    for (int64_t i = 0; i < SPAN; i++)
        if (model->delivered[i] && !model->finished[i])
            return i;
    return -1;
}

static void check_against(const struct model *model, const struct offsets *offsets)
{
    int64_t oldest = model_oldest(model);
    int64_t watermark = oldest >= 0 ? oldest : model->last + 1;
    assert_int_equal(offsets_oldest(offsets), oldest);
    assert_int_equal(offsets_watermark(offsets), model->last < 0 ? -1 : watermark);
    size_t unfinished = 0;
    for (int64_t i = 0; i < SPAN; i++)
        unfinished += model->delivered[i] && !model->finished[i];
    assert_int_equal(offsets_unfinished(offsets), unfinished);
}

// Delivers the next offset, with holes, and now and then an earlier one once more.
static void random_deliver(struct model *model, struct offsets *offsets, struct rng *rng)
{
    int64_t offset = model->last + 1 + (int64_t)(rng_below(rng, 4) == 0 ? rng_below(rng, 5) : 0);
    bool again = model->last >= 0 && rng_below(rng, 5) == 0;
    if (again) {
        do
            offset = (int64_t)rng_below(rng, (uint64_t)model->last + 1);
        while (!model->delivered[offset]);
    }
    if (offset >= SPAN)
        return;
    assert_int_equal(offsets_deliver(offsets, offset), !again);
    model->delivered[offset] = true;
    model->last = offset > model->last ? offset : model->last;
}

static void random_finish(struct model *model, struct offsets *offsets, struct rng *rng)
{
    int64_t offset = (int64_t)rng_below(rng, SPAN), before = offsets_watermark(offsets);
    bool moved = offsets_finish(offsets, offset);
    model->finished[offset] = model->finished[offset] || model->delivered[offset];
    assert_int_equal(moved, offsets_watermark(offsets) > before);
}

static void random_orders_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct rng rng;
        struct offsets offsets;
        struct model model = {.last = -1, .watermark = -1};
        rng_init(&rng, seed);
        offsets_init(&offsets);
        for (int i = 0; i < 1500; i++) {
            if (rng_below(&rng, 3) == 0)
                random_deliver(&model, &offsets, &rng);
            else
                random_finish(&model, &offsets, &rng);
            check_against(&model, &offsets);
            assert_true(offsets_watermark(&offsets) >= model.watermark);
            model.watermark = offsets_watermark(&offsets);
        }
        offsets_deinit(&offsets);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(out_of_order_with_holes),
        cmocka_unit_test(repeats_and_going_back),
        cmocka_unit_test(counts_and_oldest),
        cmocka_unit_test(memory_follows_the_unfinished),
        cmocka_unit_test(random_orders_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
