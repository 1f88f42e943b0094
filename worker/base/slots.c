// SPDX-License-Identifier: Apache-2.0
// Ids with generations.
#include "base/slots.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/own.h"

#define NONE UINT32_MAX

void slots_init(struct slots *slots)
{
    *slots = (struct slots){.first_free = NONE};
}

void slots_deinit(struct slots *slots)
{
    free(slots->slots);
    slots_init(slots);
}

static void add_room(struct slots *slots)
{
    uint32_t room = slots->room ? slots->room * 2 : 64;
    CHECK(room > slots->room);
    slots->slots = own_grow(slots->slots, room, sizeof(struct slot));
    for (uint32_t i = room; i-- > slots->room;) {
        slots->slots[i] = (struct slot){.generation = 1, .next_free = slots->first_free};
        slots->first_free = i;
    }
    slots->room = room;
}

struct slot_id slots_add(struct slots *slots, void *object)
{
    CHECK(object != NULL);
    if (slots->first_free == NONE)
        add_room(slots);
    uint32_t index = slots->first_free;
    struct slot *slot = &slots->slots[index];
    slots->first_free = slot->next_free;
    slot->object = object;
    slots->len++;
    return (struct slot_id){.index = index, .generation = slot->generation};
}

void *slots_get(const struct slots *slots, struct slot_id id)
{
    if (id.generation == 0 || id.index >= slots->room)
        return NULL;
    const struct slot *slot = &slots->slots[id.index];
    return slot->generation == id.generation ? slot->object : NULL;
}

void slots_remove(struct slots *slots, struct slot_id id)
{
    CHECK(slots_get(slots, id) != NULL);
    struct slot *slot = &slots->slots[id.index];
    slot->object = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = slots->first_free;
    slots->first_free = id.index;
    slots->len--;
}

bool slot_id_equal(struct slot_id a, struct slot_id b)
{
    return a.index == b.index && a.generation == b.generation;
}
