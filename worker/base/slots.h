// SPDX-License-Identifier: Apache-2.0
// A table of objects that are referred to by id and generation. What is under way elsewhere (a
// request, a query) keeps a slot id, never a pointer: a late answer to a dead id finds NULL.
#ifndef PRECIS_BASE_SLOTS_H
#define PRECIS_BASE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct slot_id {
    uint32_t index;
    uint32_t generation; // 0: no object, ever
};

struct slot {
    void *object;
    uint32_t generation;
    uint32_t next_free;
};

struct slots {
    struct slot *slots;
    uint32_t room, first_free;
    size_t len; // objects in the table
};

void slots_init(struct slots *slots);
// The objects are the caller's; only the table is freed.
void slots_deinit(struct slots *slots);
struct slot_id slots_add(struct slots *slots, void *object);
// NULL where the id is dead.
void *slots_get(const struct slots *slots, struct slot_id id);
void slots_remove(struct slots *slots, struct slot_id id);
bool slot_id_equal(struct slot_id a, struct slot_id b);

#endif
