// SPDX-License-Identifier: Apache-2.0
// What a model's own counts teach: how many tokens our estimate really is, and how long its answers
// are. The estimate's form fits every vocabulary; a factor differs, by model and script. Reserving
// by what was learned instead of by the worst case is what makes a token limit usable.
//
// Means are exponentially weighted: 0.2 for each of the first ten samples, 0.05 after them. Samples
// of under 200 tokens, and ratios outside 0.3 to 4, say nothing.
//
// Money is reserved by more than what is likely: no vocabulary has more tokens than a text has
// bytes, so that is the bound of the input until twenty counts are known; then it is half as much
// again as the largest ratio that was seen.
#ifndef PRECIS_CORE_CALIBRATE_H
#define PRECIS_CORE_CALIBRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum calibrate_script {
    SCRIPT_LATIN,
    SCRIPT_CJK,
    SCRIPT_OTHER,
    SCRIPT_DENSE, // digits, base64, code
    SCRIPTS
};

// Kinds of answer whose lengths are alike: three kinds of prompt and a document's part of a shared
// one (a model that summarises five at once is shorter), with and without reasoning, in our own
// form or the user's.
#define CALIBRATE_KINDS  16
#define CALIBRATE_SHARED 3

struct calibrate_mean {
    double mean, variance;
    double most; // the largest seen; it fades slowly
    int32_t samples;
};

struct calibrate { // of one model
    struct calibrate_mean input[SCRIPTS];
    struct calibrate_mean output[CALIBRATE_KINDS];
};

void calibrate_init(struct calibrate *calibrate);
// By the larger share of the first 4,096 bytes.
enum calibrate_script calibrate_script_of(const char *text, size_t len);
// 0 to CALIBRATE_KINDS - 1; prompt is 0 to 2, or CALIBRATE_SHARED.
int calibrate_kind(int prompt, bool reasoning, bool own_schema);

// The input tokens to reserve for a plain estimate: estimate · f · (1 + 2 s), rounded up; before
// anything is learned that is estimate · 1.32. NULL has learned nothing.
int64_t calibrate_input_upper(const struct calibrate *calibrate, enum calibrate_script script,
                              int64_t estimate);
// The input tokens that may be billed at most, of a prompt of so many bytes with that estimate.
int64_t calibrate_input_most(const struct calibrate *calibrate, enum calibrate_script script,
                             int64_t estimate, int64_t bytes);
void calibrate_input_told(struct calibrate *calibrate, enum calibrate_script script,
                          int64_t estimate, int64_t reported);

// The output limit to send and to reserve, where `bound` follows from the request itself (its
// lengths and schema): less, once 30 answers of the kind have shown that they are shorter, and more
// where answers were cut off by the bound itself. At least CALIBRATE_OUTPUT_LEAST, or the bound.
// NULL has learned nothing.
#define CALIBRATE_OUTPUT_LEAST 256
int64_t calibrate_output_limit(const struct calibrate *calibrate, int kind, int64_t bound);
// The output tokens to reserve of a limit a minute: mean + 2 s, once five answers of the kind are
// known, before that a quarter of the bound; at least CALIBRATE_OUTPUT_LEAST, or the bound. Not the
// limit that is sent: a call is under way for many seconds, and what is reserved too much for so
// long nobody can use. What is more is settled, as debt.
int64_t calibrate_output_expected(const struct calibrate *calibrate, int kind, int64_t bound);
// A whole answer had so many tokens under that bound.
void calibrate_output_told(struct calibrate *calibrate, int kind, int64_t bound, int64_t tokens);
// The limit `sent` cut an answer off: the kind gets twice that from now on, and learns again.
void calibrate_output_cut(struct calibrate *calibrate, int kind, int64_t bound, int64_t sent);

#endif
