// SPDX-License-Identifier: Apache-2.0
// How many tokens a text has, without a tokenizer: one pass over the UTF-8 with a weight for each
// kind of run. Against real vocabularies the estimate is right to about -15 % and +20 %, where
// characters / 4 is wrong by a factor of up to 2.8 (Chinese, base64). Reported usage calibrates it.
#ifndef PRECIS_CORE_TOKENS_H
#define PRECIS_CORE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

// The plain estimate, rounded up; 0 for an empty text. The text should be UTF-8; a byte that is not
// counts as a symbol. Weights for a model whose vocabulary is not known:
//   run of ASCII letters                  1, and 0.45 for each letter beyond 7
//   run of digits                         1.1 for each group of 3 or less
//   ASCII punctuation or symbol           0.5
//   a single space                        0
//   any other run of white space          1.25
//   a Chinese, Japanese, Korean character 0.9
//   another letter or mark                0.4
//   emoji, other symbols and punctuation  2
//   40 and more of A-Z a-z 0-9 + / = _ - in one piece, with a digit and both cases (base64):
//                                         characters / 1.4 instead
int64_t tokens_estimate(const char *text, size_t len);

// What to count on before a model is calibrated: the estimate · 1.1 (a model's first factor) · 1.2
// (two standard deviations), rounded up.
int64_t tokens_upper(int64_t estimate);
// The largest estimate whose tokens_upper is at most `upper`.
int64_t tokens_within(int64_t upper);

// The most bytes from the start of the text, in whole characters, whose estimate is at most
// max_estimate. It ends between two runs, or inside a run that has more than half of the room.
// 0 where the first character alone is too much.
size_t tokens_fit(const char *text, size_t len, int64_t max_estimate);

#endif
