// SPDX-License-Identifier: Apache-2.0
// What a job will ask and be answered, before anything is paid: the plan that a worker would make
// (plan.c), the prompts that it would send (core/prompt) and the tokens that they are counted as
// (core/tokens), call by call. Nothing here is an arithmetic of its own but one thing: how long an
// answer is likely to be, which nobody knows before; and what a model showed of that, and of how it
// counts, takes the guess's place (struct estimate_learned).
#ifndef PRECIS_JOB_ESTIMATE_H
#define PRECIS_JOB_ESTIMATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/job.h"

// Plain estimates: nothing learned is in them.
struct estimate_call {
    enum plan_call_kind kind;
    int64_t input_tokens;  // of the whole prompt
    int64_t form_tokens;   // of these, what it has beside its text: the same for each document
    int64_t output_tokens; // likely
    int64_t at_most_input_tokens, at_most_output_tokens; // what is reserved for it
    enum calibrate_script script;                        // of the document
};

struct estimate {
    struct estimate_call *calls; // owned
    size_t count;
    bool truncated;
    struct pack_room need; // of a request for several (core/pack.h); no documents: it goes alone
    uint64_t pack_hash;
};

// A document as a worker has it: its text, cleaned, in UTF-8.
struct estimate_order {
    const struct job_spec *spec;
    const char *text;
    size_t text_len;
    int64_t text_tokens; // the text's tokens_estimate, where it was made before; 0: it is made
    const struct config_model *model;
};

// False: such a job fails, and *out_failure says why (its text is blank or too long, the model has
// no price). Else the caller gives *out back with estimate_deinit.
bool estimate_job(const struct estimate_order *order, struct estimate *out,
                  struct failure *out_failure);
void estimate_deinit(struct estimate *estimate);

// Which answer it would take over, where somebody has it (job/twin.c). False: none, it is asked
// anew.
bool estimate_answer_key(const struct estimate_order *order, const struct config *config,
                         unsigned char out[ANSWER_KEY_BYTES]);

// One call of a plan that was stored, to compare it with what it turned out to be. False: the plan
// is not of this text or this program, or the call combines answers.
bool estimate_saved_call(const struct estimate_order *order, const struct plan_row *plan,
                         int32_t call_no, struct estimate_call *out);

// ------------------------------------------------------------------------------- learning

// A call that was answered: what it was estimated as, and what it was.
struct estimate_sample {
    struct estimate_call call;
    struct usage usage;
    int64_t ttft_ms, duration_ms; // ttft_ms -1: not known
    int64_t members;              // jobs that shared the request; usage is its share
};

// Sums over samples; all 0 at first.
struct estimate_learned {
    int64_t samples;
    int64_t input_estimated, input_counted, cached_counted;
    int64_t output_estimated, output_counted;
    // The same apart: an answer in Chinese says as much in fewer characters.
    int64_t script_estimated[SCRIPTS], script_counted[SCRIPTS];
    int64_t ttft_samples, ttft_ms;
    int64_t writing_ms; // from the first token to the end, of the outputs counted
};

// Samples that make no sense are left out: no usage, a ratio outside of 0.3 to 4.
void estimate_learn(struct estimate_learned *learned, const struct estimate_sample *sample);
// What the call is likely to use, and to take.
struct usage estimate_usage(const struct estimate_learned *learned,
                            const struct estimate_call *call);
int64_t estimate_input(const struct estimate_learned *learned, int64_t input_tokens);
int64_t estimate_first_token_ms(const struct estimate_learned *learned);
int64_t estimate_duration_ms(const struct estimate_learned *learned, const struct usage *usage);

#endif
