// SPDX-License-Identifier: Apache-2.0
// The simulator's own rule for counting tokens. It resembles no real tokenizer and no estimate of
// the program under test: an ASCII letter, digit or space weighs a quarter of a token, other ASCII
// half a token, a character of two bytes half a token, a longer one (Chinese, Japanese, Korean,
// emoji) a whole token. The sum is multiplied by the model's factor and rounded up.
#ifndef MODELSIM_TOKENS_H
#define MODELSIM_TOKENS_H

#include <stddef.h>
#include <stdint.h>

// Quarters of a token, before the factor.
uint64_t tokens_quarters(const char *text, size_t len);

// Quarters times factor (in thousandths), rounded up to tokens.
uint64_t tokens_from_quarters(uint64_t quarters, uint64_t factor_milli);

// How many bytes of the text fit into `limit` tokens; never splits a UTF-8 character.
size_t tokens_prefix(const char *text, size_t len, uint64_t factor_milli, uint64_t limit);

#endif
