// SPDX-License-Identifier: Apache-2.0
// A binary heap of wake-up times: the smallest key first, ties by insertion (or by a given order).
// Nodes are intrusive and know their place, so that one can be moved or removed in O(log n).
#ifndef PRECIS_BASE_HEAP_H
#define PRECIS_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t order; // set by the heap, or with heap_put
    size_t place;   // 1-based; 0 when in no heap
};

struct heap {
    struct heap_node **nodes;
    size_t len, room;
    uint64_t inserted;
};

void heap_init(struct heap *heap);
void heap_deinit(struct heap *heap);
// Puts the node in, or moves it where it is in already.
void heap_set(struct heap *heap, struct heap_node *node, int64_t key);
// Puts the node in with an order of the caller's among equal keys; it is in no heap.
void heap_put(struct heap *heap, struct heap_node *node, int64_t key, uint64_t order);
// Does nothing for a node that is in no heap.
void heap_remove(struct heap *heap, struct heap_node *node);
// NULL when empty.
struct heap_node *heap_first(const struct heap *heap);

#endif
