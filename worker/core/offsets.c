// SPDX-License-Identifier: Apache-2.0
// The watermark of one partition, in an array of ranges.
//
//     first                                   end
//       v                                      v
//     | 17 | 18-25 done | 26 | 31 done | 32 done | 40 |      watermark 17, unfinished 3
//
// A finish only marks its range; when the array is full, one pass melts finished neighbours
// together and moves everything to the front. After it the array has at most 2 · unfinished + 1
// ranges; it grows only when more than half of it is then in use, so a pass is paid for by as many
// deliveries as it looks at ranges.
#include "core/offsets.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/own.h"

#define FIRST_ROOM 64

struct offsets_range {
    int64_t from, to; // both included; equal where unfinished
    bool finished;
};

void offsets_init(struct offsets *offsets)
{
    *offsets = (struct offsets){.last = -1, .watermark = -1};
}

void offsets_deinit(struct offsets *offsets)
{
    free(offsets->ranges);
    offsets_init(offsets);
}

// The place of the first range that ends at `offset` or later; `end`: none.
static size_t find(const struct offsets *offsets, int64_t offset)
{
    size_t low = offsets->first, high = offsets->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (offsets->ranges[middle].to < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool holds(const struct offsets *offsets, size_t place, int64_t offset)
{
    return place < offsets->end && offsets->ranges[place].from <= offset;
}

static void melt(struct offsets *offsets)
{
    struct offsets_range *ranges = offsets->ranges;
    size_t kept = 0;
    for (size_t i = offsets->first; i < offsets->end; i++) {
        if (kept > 0 && ranges[kept - 1].finished && ranges[i].finished)
            ranges[kept - 1].to = ranges[i].to;
        else
            ranges[kept++] = ranges[i];
    }
    offsets->first = 0;
    offsets->end = kept;
}

static void make_room(struct offsets *offsets)
{
    if (offsets->end < offsets->room)
        return;
    melt(offsets);
    if (offsets->end < offsets->room / 2)
        return;
    offsets->room = offsets->room ? offsets->room * 2 : FIRST_ROOM;
    offsets->ranges = own_grow(offsets->ranges, offsets->room, sizeof(struct offsets_range));
}

static void insert(struct offsets *offsets, int64_t offset)
{
    make_room(offsets);
    size_t place = find(offsets, offset);
    memmove(offsets->ranges + place + 1, offsets->ranges + place,
            (offsets->end - place) * sizeof(struct offsets_range));
    offsets->ranges[place] = (struct offsets_range){.from = offset, .to = offset};
    offsets->end++;
    offsets->unfinished++;
}

// Drops the finished ranges in front; true where the watermark moved.
static bool advance(struct offsets *offsets)
{
    while (offsets->first < offsets->end && offsets->ranges[offsets->first].finished)
        offsets->first++;
    bool empty = offsets->first == offsets->end;
    if (empty)
        offsets->first = offsets->end = 0;
    int64_t watermark = empty ? offsets->last + 1 : offsets->ranges[offsets->first].from;
    CHECK(watermark >= offsets->watermark);
    bool moved = watermark > offsets->watermark;
    offsets->watermark = watermark;
    return moved;
}

bool offsets_deliver(struct offsets *offsets, int64_t offset)
{
    CHECK(offset >= 0 && offset < INT64_MAX);
    if (offset < offsets->watermark || holds(offsets, find(offsets, offset), offset))
        return false;
    insert(offsets, offset);
    if (offset > offsets->last)
        offsets->last = offset;
    advance(offsets);
    return true;
}

bool offsets_finish(struct offsets *offsets, int64_t offset)
{
    size_t place = find(offsets, offset);
    if (!holds(offsets, place, offset) || offsets->ranges[place].finished)
        return false;
    offsets->ranges[place].finished = true;
    offsets->unfinished--;
    return advance(offsets);
}

int64_t offsets_watermark(const struct offsets *offsets)
{
    return offsets->watermark;
}

size_t offsets_unfinished(const struct offsets *offsets)
{
    return offsets->unfinished;
}

int64_t offsets_oldest(const struct offsets *offsets)
{
    return offsets->first < offsets->end ? offsets->ranges[offsets->first].from : -1;
}
