// SPDX-License-Identifier: Apache-2.0
// What a model's own counts teach: how many tokens our estimate really is, and how long its answers
// are. The estimate's form fits every vocabulary; a factor differs, by model and script. Reserving
// by what was learned instead of by the worst case is what makes a token limit usable.
//
// Means are exponentially weighted: 0.2 for each of the first ten samples, 0.05 after them. Samples
// of under 200 tokens, and ratios outside 0.3 to 4, say nothing.
//
// Nothing of this bounds money: what a call may cost at most is a token for each byte that is sent,
// since no vocabulary has more (job/call.c).
//
// A fleet learns together. What a worker sees is told now and then (calibrate_tell) and added to a
// row that all share (calibrate_merge; in PostgreSQL it is the migration `calibrations` that does
// so); who has seen little himself goes on from there (calibrate_adopt). A row is worth 200 samples
// at most, 50 of them from one telling, so that no worker's word drowns the others'; and half as
// many with each week in which nothing is told.
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

// The scripts' inputs, then the kinds' outputs.
#define CALIBRATE_SUBJECTS (SCRIPTS + CALIBRATE_KINDS)
// Of the estimates that ratios are made with. Whoever changes those (core/tokens, a bound of
// job/plan, the numbers of scripts and kinds) counts it up: other forms' rows are not looked at.
#define CALIBRATE_FORM 1

// Ratios of one subject, as they are told and shared.
struct calibration {
    double samples;      // that the means are made of
    double mean, square; // of the ratios, and of their squares
    double most;         // the largest
    bool cut;            // told only: an answer was cut off, what was known before is void
};

struct calibrate_mean {
    double mean, variance;
    double most; // the largest seen; it fades slowly
    int32_t samples;
    int32_t own;               // of them, seen here since the fleet's were last looked at
    struct calibration untold; // seen since it was last told; its means are sums
};

struct calibrate { // of one model
    struct calibrate_mean input[SCRIPTS];
    struct calibrate_mean output[CALIBRATE_KINDS];
    int32_t untold; // subjects that have something to tell
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

// Takes what is to be told of a subject (0 to CALIBRATE_SUBJECTS - 1). False: nothing.
bool calibrate_tell(struct calibrate *calibrate, int subject, struct calibration *out);
// Adds what was told to the fleet's row, which was last added to so long ago. A row of zeroes is a
// new one.
void calibrate_merge(struct calibration *row, const struct calibration *told, int64_t age_ms);
// What a row is worth after that time.
double calibrate_worth(double samples, int64_t age_ms);
// The fleet's row: taken over where fewer than 20 samples were seen here since the last time. Its
// `most` counts in any case. One that makes no sense changes nothing.
void calibrate_adopt(struct calibrate *calibrate, int subject, const struct calibration *row);

// ------------------------------------------------------------------------------- rows

// Of one model and subject.
struct calibration_row {
    const char *provider, *model;
    int32_t subject;
    struct calibration learned;
};

struct calibration_rows {
    const struct calibration_row *rows;
    size_t count;
};

// What a worker saw, to be added to the fleet's rows, and the models whose rows are wanted.
struct calibrate_request {
    const struct calibration_row *told;
    size_t told_count;
    const char *const *providers, *const *models; // pairs
    size_t model_count;
};

#endif
