// SPDX-License-Identifier: Apache-2.0
// Many strings looked for in a text at once, also where only their beginning is there (Aho and
// Corasick's automaton, 1975): one step a byte, whatever the text and however many strings.
// Strings here are secrets: memory is wiped before it is given back.
#ifndef PRECIS_BASE_NEEDLES_H
#define PRECIS_BASE_NEEDLES_H

#include <stddef.h>
#include <stdint.h>

struct needles;

struct needles *needles_new(void);
void needles_free(struct needles *needles);

// `least`: the fewest bytes of it that count as found; more than `len` means all of it.
void needles_add(struct needles *needles, const char *text, size_t len, size_t least);
// To be called after the last needles_add and before the first needles_step.
void needles_build(struct needles *needles);

// Feeds one byte. `state` begins at 0. The result is the length of the longest needle (or telling
// beginning of one) that ends at this byte; 0: none.
size_t needles_step(const struct needles *needles, uint32_t *state, unsigned char byte);

#endif
