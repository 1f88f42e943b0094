// SPDX-License-Identifier: Apache-2.0
// The low watermark of one assigned partition: which offset may be committed while messages finish
// out of order. Offsets have holes (transaction markers, compaction), so nothing assumes + 1: the
// watermark is the oldest unfinished offset, or the last delivered one + 1. It never goes back.
// On revoke the whole object is dropped; the next assignment begins with a new one.
//
// Kafka delivers a partition in order. What comes again (a rewind, a repeated fetch) is recognised:
// an offset below the watermark, one that is held, and one between two neighbours that are both
// finished count as delivered before.
//
// Finished neighbours melt into one range, so memory follows the unfinished offsets, not the length
// of the window. Deliver and finish cost O(log n), amortised; an offset delivered out of order
// O(n).
#ifndef PRECIS_CORE_OFFSETS_H
#define PRECIS_CORE_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offsets_range; // one unfinished offset, or a range of finished ones

struct offsets {
    struct offsets_range *ranges; // ascending, from `first` to `end`; the first one is unfinished
    size_t first, end, room;
    size_t unfinished;
    int64_t last;      // the highest delivered; -1: none
    int64_t watermark; // -1 before the first delivery
};

void offsets_init(struct offsets *offsets);
void offsets_deinit(struct offsets *offsets);

// A message with this offset (0 and more) was read. False: it was delivered before.
bool offsets_deliver(struct offsets *offsets, int64_t offset);
// Its job has an outcome. True: the watermark moved. An offset that is not held, or finished
// already, changes nothing.
bool offsets_finish(struct offsets *offsets, int64_t offset);

// The next offset to commit; -1 before the first delivery.
int64_t offsets_watermark(const struct offsets *offsets);
size_t offsets_unfinished(const struct offsets *offsets);
// The oldest unfinished offset, which holds the watermark; -1: none.
int64_t offsets_oldest(const struct offsets *offsets);

#endif
