// SPDX-License-Identifier: Apache-2.0
// The queue of events to come.
#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/own.h"

struct happening {
    struct heap_node node;
    world_fn *fn;
    void *context, *data;
};

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.now_ms = 1000};
    rng_init(&world->rng, seed);
    heap_init(&world->queue);
}

void world_deinit(struct world *world)
{
    struct heap_node *node;
    while ((node = heap_first(&world->queue))) {
        struct happening *happening = list_item(node, struct happening, node);
        heap_remove(&world->queue, node);
        free(happening->data);
        free(happening);
    }
    heap_deinit(&world->queue);
}

void world_after(struct world *world, int64_t delay_ms, world_fn *fn, void *context, void *data)
{
    struct happening *happening = own_alloc(sizeof(*happening));
    happening->fn = fn;
    happening->context = context;
    happening->data = data;
    heap_set(&world->queue, &happening->node, world->now_ms + (delay_ms > 0 ? delay_ms : 0));
}

bool world_next(struct world *world)
{
    struct heap_node *node = heap_first(&world->queue);
    if (!node)
        return false;
    struct happening *happening = list_item(node, struct happening, node);
    heap_remove(&world->queue, node);
    world->now_ms = node->key;
    world->events++;
    happening->fn(happening->context, happening->data);
    free(happening->data);
    free(happening);
    return true;
}

int64_t world_range(struct world *world, int64_t low, int64_t high)
{
    return low + (int64_t)rng_below(&world->rng, (uint64_t)(high - low + 1));
}

bool world_chance(struct world *world, int per_thousand)
{
    return (int)rng_below(&world->rng, 1000) < per_thousand;
}

void world_trace(const struct world *world, const char *format, ...)
{
    if (!world->trace)
        return;
    printf("%9" PRId64 " ", world->now_ms);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}
