// SPDX-License-Identifier: Apache-2.0
// The heap of wake-up times.
#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"

void heap_init(struct heap *heap)
{
    *heap = (struct heap){0};
}

void heap_deinit(struct heap *heap)
{
    free(heap->nodes);
    heap_init(heap);
}

static bool comes_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place - 1] = node;
    node->place = place;
}

static void sift_up(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    while (place > 1 && comes_before(node, heap->nodes[place / 2 - 1])) {
        put(heap, place, heap->nodes[place / 2 - 1]);
        place /= 2;
    }
    put(heap, place, node);
}

static void sift_down(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    while (place * 2 <= heap->len) {
        size_t child = place * 2;
        if (child < heap->len && comes_before(heap->nodes[child], heap->nodes[child - 1]))
            child++;
        if (!comes_before(heap->nodes[child - 1], node))
            break;
        put(heap, place, heap->nodes[child - 1]);
        place = child;
    }
    put(heap, place, node);
}

void heap_put(struct heap *heap, struct heap_node *node, int64_t key, uint64_t order)
{
    CHECK(node->place == 0);
    if (heap->len == heap->room) {
        heap->room = heap->room ? heap->room * 2 : 64;
        heap->nodes = own_grow(heap->nodes, heap->room, sizeof(struct heap_node *));
    }
    node->key = key;
    node->order = order;
    put(heap, ++heap->len, node);
    sift_up(heap, node);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t key)
{
    if (node->place == 0) {
        heap_put(heap, node, key, heap->inserted++);
        return;
    }
    node->key = key;
    sift_up(heap, node);
    sift_down(heap, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->place == 0)
        return;
    CHECK(node->place <= heap->len && heap->nodes[node->place - 1] == node);
    size_t place = node->place;
    struct heap_node *last = heap->nodes[--heap->len];
    node->place = 0;
    if (last == node)
        return;
    put(heap, place, last);
    sift_up(heap, last);
    sift_down(heap, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->len ? heap->nodes[0] : NULL;
}
