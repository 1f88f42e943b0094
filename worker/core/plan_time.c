// SPDX-License-Identifier: Apache-2.0
// The walk: from call to call, each time the first job, in the order of the list, of those whose
// next call could begin when the limits let one pass.
#include "core/plan_time.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/own.h"

#define MINUTE_US INT64_C(60000000)
#define DAY_US    (1440 * MINUTE_US)
#define SAVED_US  INT64_C(1000000)
#define LIMIT_MAX INT64_C(1000000000000000)

struct walker { // a job, or a slot
    struct heap_node node;
    size_t next, end; // of a job: its calls
};

struct walk {
    const struct plan_time_call *calls;
    const int64_t *limits;
    struct walker *jobs, *slots;
    size_t job_count, slot_count;
    struct heap resting, ready, free;   // by when the call before ends; by place in the list; slots
    int64_t earned_us[PLAN_TIME_SLOTS]; // when all that was given is earned
    int64_t waited_us[PLAN_TIME_LIMITS + 1]; // for each limit; for NONE: for calls to end
};

// ------------------------------------------------------------------------------- limits

static int64_t period_us(enum plan_time_limit limit)
{
    return limit == PLAN_TIME_REQUESTS_DAY || limit == PLAN_TIME_TOKENS_DAY ? DAY_US : MINUTE_US;
}

static int64_t amount_of(const struct plan_time_call *call, enum plan_time_limit limit)
{
    switch (limit) {
    case PLAN_TIME_INPUT:
        return call->input_tokens;
    case PLAN_TIME_OUTPUT:
        return call->output_tokens;
    case PLAN_TIME_TOKENS:
    case PLAN_TIME_TOKENS_DAY:
        return call->input_tokens + call->output_tokens;
    case PLAN_TIME_REQUESTS:
    case PLAN_TIME_REQUESTS_DAY:
    case PLAN_TIME_SLOTS:
    case PLAN_TIME_LIMITS:
        break;
    }
    return 1;
}

// The time in which an amount is earned.
static int64_t earning_us(int64_t amount, enum plan_time_limit limit, int64_t per_period)
{
    int64_t us;
    if (amount <= 0)
        return 0;
    if (!__builtin_mul_overflow(amount, period_us(limit), &us))
        return us / per_period;
    return amount / per_period * period_us(limit);
}

// ------------------------------------------------------------------------------- a walk

static size_t count_jobs(const struct plan_time_call *calls, size_t count)
{
    size_t jobs = 0;
    for (size_t i = 0; i < count; i++)
        jobs += i == 0 || !calls[i].follows;
    return jobs;
}

static void walk_init(struct walk *walk, const struct plan_time_call *calls, size_t count,
                      const int64_t *limits)
{
    *walk = (struct walk){.calls = calls, .limits = limits};
    size_t jobs = count_jobs(calls, count);
    walk->jobs = own_array(jobs + 1, sizeof(*walk->jobs));
    heap_init(&walk->resting);
    heap_init(&walk->ready);
    heap_init(&walk->free);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !calls[i].follows)
            walk->jobs[walk->job_count++].next = i;
        walk->jobs[walk->job_count - 1].end = i + 1;
    }
    for (size_t i = 0; i < walk->job_count; i++)
        heap_set(&walk->ready, &walk->jobs[i].node, (int64_t)i);
    int64_t slots = limits[PLAN_TIME_SLOTS];
    walk->slot_count = slots <= 0 || (size_t)slots > jobs ? 0 : (size_t)slots;
    walk->slots = own_array(walk->slot_count + 1, sizeof(*walk->slots));
    for (size_t i = 0; i < walk->slot_count; i++)
        heap_set(&walk->free, &walk->slots[i].node, 0);
}

static void walk_deinit(struct walk *walk)
{
    heap_deinit(&walk->resting);
    heap_deinit(&walk->ready);
    heap_deinit(&walk->free);
    free(walk->jobs);
    free(walk->slots);
}

// When the limits let a call pass, from now on, and which of them is the last to do so.
static int64_t opens_us(const struct walk *walk, int64_t now_us, enum plan_time_limit *out_bound)
{
    int64_t opens_us = now_us;
    *out_bound = PLAN_TIME_NONE;
    for (int i = 0; i < PLAN_TIME_LIMITS; i++) {
        int64_t at_us = now_us;
        if (i == PLAN_TIME_SLOTS && walk->slot_count > 0)
            at_us = heap_first(&walk->free)->key;
        else if (i != PLAN_TIME_SLOTS && walk->limits[i] > 0)
            at_us = walk->earned_us[i] - SAVED_US;
        if (at_us <= opens_us)
            continue;
        opens_us = at_us;
        *out_bound = (enum plan_time_limit)i;
    }
    return opens_us;
}

static void take(struct walk *walk, const struct plan_time_call *call, int64_t start_us)
{
    for (int i = 0; i < PLAN_TIME_SLOTS; i++) {
        enum plan_time_limit limit = (enum plan_time_limit)i;
        if (walk->limits[i] <= 0)
            continue;
        if (walk->earned_us[i] < start_us)
            walk->earned_us[i] = start_us;
        walk->earned_us[i] += earning_us(amount_of(call, limit), limit, walk->limits[i]);
    }
    if (walk->slot_count > 0)
        heap_set(&walk->free, heap_first(&walk->free), start_us + call->duration_ms * 1000);
}

static int64_t later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

// Jobs whose call has ended by then may go on. Where none may before, then is when the first does.
static int64_t wake(struct walk *walk, int64_t now_us)
{
    struct heap_node *first = heap_first(&walk->resting);
    if (!heap_first(&walk->ready) && first)
        now_us = later(now_us, first->key);
    while (first && first->key <= now_us) {
        heap_remove(&walk->resting, first);
        heap_set(&walk->ready, first, (struct walker *)first - walk->jobs);
        first = heap_first(&walk->resting);
    }
    return now_us;
}

// The next call, from now on; moves now to its start. When it ends.
static int64_t step(struct walk *walk, int64_t *now_us)
{
    enum plan_time_limit bound;
    int64_t open_us = opens_us(walk, *now_us, &bound);
    walk->waited_us[bound] += open_us - *now_us;
    *now_us = wake(walk, open_us);
    walk->waited_us[PLAN_TIME_NONE] += *now_us - open_us;
    struct heap_node *first = heap_first(&walk->ready);
    struct walker *job = (struct walker *)first; // its first member
    const struct plan_time_call *call = &walk->calls[job->next++];
    take(walk, call, *now_us);
    int64_t end_us = *now_us + call->duration_ms * 1000;
    heap_remove(&walk->ready, first);
    if (job->next < job->end)
        heap_set(&walk->resting, first, end_us);
    return end_us;
}

struct plan_time plan_time_of(const struct plan_time_call *calls, size_t count,
                              const plan_time_limits limits)
{
    struct walk walk;
    int64_t last_us = 0, now_us = 0;
    walk_init(&walk, calls, count, limits);
    while (heap_first(&walk.ready) || heap_first(&walk.resting))
        last_us = later(last_us, step(&walk, &now_us));
    struct plan_time out = {.total_ms = (last_us + 999) / 1000, .bound = PLAN_TIME_NONE};
    int64_t most_us = walk.waited_us[PLAN_TIME_NONE] + last_us - now_us;
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        if (walk.waited_us[i] > most_us) {
            most_us = walk.waited_us[i];
            out.bound = (enum plan_time_limit)i;
        }
    walk_deinit(&walk);
    return out;
}

// ------------------------------------------------------------------------------- what is needed

static bool suffices(const struct plan_time_call *calls, size_t count, int64_t *limits,
                     enum plan_time_limit which, int64_t value, int64_t within_ms)
{
    limits[which] = value;
    return plan_time_of(calls, count, limits).total_ms <= within_ms;
}

int64_t plan_time_needed(const struct plan_time_call *calls, size_t count,
                         const plan_time_limits limits, enum plan_time_limit which,
                         int64_t within_ms)
{
    plan_time_limits tried;
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        tried[i] = limits[i];
    int64_t low = limits[which];
    if (low <= 0)
        return 0;
    if (suffices(calls, count, tried, which, low, within_ms))
        return low;
    if (!suffices(calls, count, tried, which, 0, within_ms))
        return 0;
    int64_t high = low;
    while (high < LIMIT_MAX && !suffices(calls, count, tried, which, high, within_ms)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (suffices(calls, count, tried, which, middle, within_ms))
            high = middle;
        else
            low = middle;
    }
    return high;
}

// ------------------------------------------------------------------------------- packing

static bool stands_alone(const struct plan_time_call *calls, size_t count, size_t i)
{
    return !calls[i].follows && (i + 1 == count || !calls[i + 1].follows);
}

size_t plan_time_pack(const struct plan_time_call *calls, size_t count, size_t size,
                      const struct plan_time_shared *shared, int64_t most_input_tokens,
                      struct plan_time_call *out)
{
    size_t made = 0, members = 0; // of the last one, while it takes more
    for (size_t i = 0; i < count; i++) {
        bool alone = stands_alone(calls, count, i);
        int64_t more_tokens = calls[i].input_tokens - shared->input_tokens;
        int64_t more_ms = calls[i].duration_ms - shared->duration_ms;
        if (alone && members > 0 && members < size &&
            out[made - 1].input_tokens + more_tokens <= most_input_tokens) {
            struct plan_time_call *pack = &out[made - 1];
            pack->input_tokens += more_tokens > 0 ? more_tokens : 0;
            pack->output_tokens += calls[i].output_tokens;
            pack->duration_ms += more_ms > 0 ? more_ms : 0;
            members++;
            continue;
        }
        out[made++] = calls[i];
        members = alone ? 1 : 0;
    }
    return made;
}
