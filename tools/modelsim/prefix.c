// SPDX-License-Identifier: Apache-2.0
// A table of hashes of prompt beginnings.
#include "prefix.h"

#include <stdlib.h>
#include <string.h>

// FNV-1a.
static uint64_t hash_more(uint64_t hash, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001B3U;
    return hash;
}

static char byte_at(const struct buf *first, const struct buf *second, size_t at)
{
    return at < first->len ? first->data[at] : second->data[at - first->len];
}

// Notes the beginning; true when it was known and fresh.
static bool note(struct prefix_cache *cache, uint64_t hash, uint64_t lifetime_ms, uint64_t now_ms)
{
    struct prefix_place *place = &cache->places[(hash ^ hash >> 32) % PREFIX_PLACES];
    bool known = place->hash == hash && now_ms - place->at_ms <= lifetime_ms;
    *place = (struct prefix_place){hash, now_ms};
    return known;
}

size_t prefix_seen(struct prefix_cache *cache, size_t slot, const struct buf *first,
                   const struct buf *second, uint64_t lifetime_ms, uint64_t now_ms)
{
    if (!cache->places) {
        cache->places = must_alloc(PREFIX_PLACES * sizeof *cache->places);
        memset(cache->places, 0, PREFIX_PLACES * sizeof *cache->places);
    }
    size_t total = first->len + second->len, seen = 0;
    uint64_t hash = 0xCBF29CE484222325U + slot;
    bool all_known = true;
    for (size_t at = 0; at < total; at++) {
        char byte = byte_at(first, second, at);
        hash = hash_more(hash, &byte, 1);
        if ((at + 1) % PREFIX_STEP_BYTES != 0)
            continue;
        all_known = note(cache, hash, lifetime_ms, now_ms) && all_known;
        seen = all_known ? at + 1 : seen;
    }
    return seen;
}

void prefix_free(struct prefix_cache *cache)
{
    free(cache->places);
    *cache = (struct prefix_cache){0};
}
