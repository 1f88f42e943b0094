// SPDX-License-Identifier: Apache-2.0
// The provider's cache of prompt beginnings: a prompt that begins like an earlier one of the same
// key and model pays less for what they share. Beginnings are compared in steps of 128 bytes.
#ifndef MODELSIM_PREFIX_H
#define MODELSIM_PREFIX_H

#include "buf.h"

#include <stdbool.h>

enum { PREFIX_STEP_BYTES = 128, PREFIX_PLACES = 1 << 16 };

struct prefix_place {
    uint64_t hash; // 0: empty
    uint64_t at_ms;
};

struct prefix_cache {
    struct prefix_place *places; // NULL until it is used; a newer beginning may take a place
};

// How many bytes of the prompt (`first`, then `second`) were seen at most `lifetime_ms` ago; then
// the whole prompt counts as seen.
size_t prefix_seen(struct prefix_cache *cache, size_t slot, const struct buf *first,
                   const struct buf *second, uint64_t lifetime_ms, uint64_t now_ms);

void prefix_free(struct prefix_cache *cache);

#endif
