// SPDX-License-Identifier: Apache-2.0
// How the simulator behaves. One table of options serves the command line ("--latency 200ms") and
// POST /sim/script ({"latency": "200ms"}).
#ifndef MODELSIM_SETTINGS_H
#define MODELSIM_SETTINGS_H

#include "faults.h"
#include "limits.h"
#include "money.h"

#include <jansson.h>
#include <stdbool.h>

struct range_ms {
    uint64_t least, most;
};

struct model {
    char *name; // never freed before the end: the bill points to it
    uint64_t context_tokens;
    uint64_t max_output_tokens;
    uint64_t factor_milli; // on the tokens of tokens.h
    struct price price;
};

struct api_key {
    char *text;
    uint64_t per_minute[LIMIT_KINDS]; // 0: those of all keys
    uint64_t foreign_percent;         // 0: that of all keys
    const struct fault *fault;        // of every answer to it; NULL: none
};

// A key that is to refuse everything for a while, from now on.
struct closure {
    char *key; // "*": all of them
    uint64_t ms;
};

struct fault_chance {
    const struct fault *fault;
    uint64_t per_million;
};

struct settings {
    struct range_ms latency;     // before the status line
    struct range_ms first_token; // of a stream: between the headers and the first chunk
    uint64_t tokens_per_second;  // 0 is at once
    uint64_t chunk_tokens;       // of a stream
    bool canned;
    struct limit_rule limits;
    bool tpm_asked;
    uint64_t cached_percent, reasoning_tokens;
    uint64_t prefix_ms, prefix_tokens; // the cache of prompt beginnings: how long, from what size
    bool reasoning_beside;
    uint64_t seed, bill_calls;
    uint64_t in_flight; // calls at once; 0 is no limit
    struct model *models;
    size_t model_count;
    struct api_key *keys; // none: every caller is welcome
    size_t key_count;
    struct fault_chance *chances;
    size_t chance_count;
    const struct fault **next; // faults of the coming answers, in turn
    size_t next_count;
    struct closure *closures; // not begun yet
    size_t closure_count;
    char *listen;
};

enum { WHY_BYTES = 200 };

// The defaults, with the three models of the seed configuration.
void settings_init(struct settings *settings);

// Sets one option from text; a list option (model, key, fault, next) gets one more element. False
// leaves the reason in `why`.
bool settings_set(struct settings *settings, const char *name, const char *value,
                  char why[WHY_BYTES]);

// True for an option that stands without a value on the command line.
bool settings_is_flag(const char *name);

// Sets options from an object; list options are replaced. All that stands before a mistake is set.
bool settings_script(struct settings *settings, const json_t *script, char why[WHY_BYTES]);

// After the closures have begun.
void settings_drop_closures(struct settings *settings);

// The model of that name, or NULL.
const struct model *settings_model(const struct settings *settings, const char *name);

// Appends a line for each option.
void settings_help(struct buf *out);

void settings_free(struct settings *settings);

#endif
