// SPDX-License-Identifier: Apache-2.0
// The parts of `precis estimate`: what `submit` would send is taken from it job by job
// (submit_parts.h), and goes nowhere.
//
//   estimate        the command: options, models, the way through the rest
//   estimate_learn  what each model showed: its newest calls in the ledger, estimated again
//   estimate_fleet  what the fleet knows: limits that hold, keys that are closed, the queue in
//   front estimate_read   a job's text, by the same extractors as a worker's estimate_sum    a
//   job's calls by model (job/estimate), their tokens, money and time estimate_finish --finish-by:
//   what would be needed estimate_show   the report
#ifndef PRECIS_CMD_ESTIMATE_PARTS_H
#define PRECIS_CMD_ESTIMATE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/submit_parts.h"
#include "core/plan_time.h"
#include "job/estimate.h"

// The calls of some jobs with one model.
struct estimate_sum {
    struct plan_time_call *calls;
    size_t count, room;
    size_t jobs;
    int64_t at_most_picousd;
};

// What becomes of them at the limits.
struct estimate_run {
    struct plan_time time;
    int64_t cost_picousd;
};

enum estimate_source {
    ESTIMATE_CONFIGURED,
    ESTIMATE_SET,     // by `precis quota set`
    ESTIMATE_SEEN,    // what the provider's answers say
    ESTIMATE_WORKERS, // what the workers can have under way
};

// Of all keys of a model together; 0: none.
struct estimate_limits {
    plan_time_limits at;
    enum estimate_source from[PLAN_TIME_LIMITS];
    plan_time_limits told; // by the provider, of the key with most: one request goes with one key
};

struct estimate_model {
    const struct config_model *model;
    struct estimate_limits limits;
    char *closed;        // a sentence on a key that is closed; NULL: none is
    int64_t jobs_before; // that are there already and go first
    struct estimate_learned learned;
    size_t refused;          // jobs that it cannot take
    size_t over_limit;       // of these: a call is more than what a minute or day allows
    size_t split, truncated; // jobs longer than its context
    struct estimate_sum all; // every job by this model
    struct estimate_sum own; // those that name it, or a route that begins with it
};

struct estimate_reader;

struct estimating {
    struct submit submit;
    struct estimate_model *models; // of the configuration
    size_t model_count;
    int64_t workers;      // that will be there
    int64_t finish_by_ms; // unix; 0: not asked
    int64_t now_ms;       // unix, of the database where there is one
    size_t documents;     // jobs with a text
    size_t twins;         // of these: the same is asked of the same document before
    size_t answered;      // of these: the answer is there from earlier jobs
    void *keys;           // tree of answer keys, of this run
    bool no_answers;      // PostgreSQL cannot be asked for answers
    size_t blank;         // without any
    size_t longer;        // than what their own model takes at once
    size_t refused;       // jobs that their own model cannot take
    size_t never;         // of these: the provider would refuse them
    int64_t before;       // jobs that are there already and go first
    int64_t resting;      // jobs that wait for a time, a budget or a person: they do not
    struct estimate_reader *reader;
};

// Of every model: its newest calls. Silent where they cannot be read.
void estimate_learn_models(struct estimating *estimating);

struct estimate_reader *estimate_reader_new(struct estimating *estimating);
// A submit_take_fn; the context is the struct estimating.
void estimate_take(void *context, const struct job_spec *spec, const struct submit_place *place);
// Until every document that was taken has its text.
void estimate_reader_finish(struct estimate_reader *reader);
void estimate_reader_free(struct estimate_reader *reader);

// A job's text is there.
void estimate_add(struct estimating *estimating, const struct job_spec *spec, const char *text,
                  size_t len);
void estimate_sums_free(struct estimating *estimating);
// What each model may use: as configured, and with PostgreSQL what is set and what the provider
// says, and which keys are closed.
void estimate_limits(struct estimating *estimating);
// Whether a call is more than what the provider allows a key in a minute or day: it refuses such a
// one however long it waits. What is configured so, estimate_job knows.
bool estimate_never_fits(const struct estimate_limits *limits, const struct estimate *estimate);
// The jobs that go first. Silent where they cannot be counted. After the paths were read.
void estimate_queue(struct estimating *estimating);
// "configuration", "set", "provider", "workers".
const char *estimate_source_word(enum estimate_source source);
// `pack_size` 0: as configured.
struct plan_time_work estimate_work(const struct estimating *estimating,
                                    const struct estimate_model *model,
                                    const struct estimate_sum *sum, int64_t pack_size);
struct estimate_run estimate_run(const struct estimating *estimating,
                                 const struct estimate_model *model,
                                 const struct estimate_sum *sum);
// "requests", "tokens": what a limit counts; `a minute`, `a day`, `at once`.
const char *estimate_limit_word(enum plan_time_limit limit);
const char *estimate_limit_per(enum plan_time_limit limit);

// What would be needed for a model's own jobs.
struct estimate_finish {
    bool asked, met;
    int64_t within_ms;
    enum plan_time_limit limit; // of which more is needed; PLAN_TIME_NONE: no limit would do
    int64_t have, need;
    int64_t packed; // documents in a request with which the limit that is there would do; 0: none
};
void estimate_finish(const struct estimating *estimating, const struct estimate_model *model,
                     struct estimate_finish *out);

// An exit code.
int estimate_show(struct estimating *estimating);

#endif
