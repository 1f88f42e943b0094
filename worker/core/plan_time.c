// SPDX-License-Identifier: Apache-2.0
// The walk: from call to call, each time the first job, in the order of the list, of those whose
// next call could begin when the limits let one pass.
#include "core/plan_time.h"

#include <stdlib.h>

#include "base/heap.h"
#include "base/own.h"

#define MINUTE_US INT64_C(60000000)
#define DAY_US    (1500 * MINUTE_US) // counted by the hour (core/quota.h)
#define SAVED_US  INT64_C(1000000)
#define NEVER_US  (INT64_MAX / 4) // sums of it stay in range
#define LIMIT_MAX INT64_C(1000000000000000)
// As in engine_pack.c: who was let through sooner did not wait, and others that are looked at.
#define PATIENCE_US INT64_C(100000)
#define LOOK_MOST   64

struct walker { // a job, or a slot
    struct heap_node node;
    size_t next, end; // of a job: its calls
    int64_t since_us; // of a job: when its next call could begin
};

struct walk {
    const struct plan_time_work *work;
    const int64_t *limits;
    struct plan_time out;
    struct walker *jobs, *slots;
    size_t job_count, slot_count;
    struct heap resting, ready, free; // by when the call before ends; by place in the list; slots
    int64_t used[PLAN_TIME_SLOTS], day_us[PLAN_TIME_SLOTS]; // of a day's limit, and its start
    int64_t earned_us[PLAN_TIME_SLOTS];                     // when all that was given is earned
    int64_t waited_us[PLAN_TIME_LIMITS + 1]; // for each limit; for NONE: for calls to end
};

// ------------------------------------------------------------------------------- limits

static bool is_daily(enum plan_time_limit limit)
{
    return limit == PLAN_TIME_REQUESTS_DAY || limit == PLAN_TIME_TOKENS_DAY;
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

// Never more than NEVER_US.
static int64_t times(int64_t count, int64_t us)
{
    int64_t product;
    bool over = __builtin_mul_overflow(count, us, &product);
    return over || product > NEVER_US ? NEVER_US : product;
}

// The time in which an amount is earned.
static int64_t earning_us(int64_t amount, int64_t per_minute)
{
    int64_t us;
    if (amount <= 0)
        return 0;
    if (!__builtin_mul_overflow(amount, MINUTE_US, &us))
        return us / per_minute;
    return times(amount / per_minute, MINUTE_US);
}

// ------------------------------------------------------------------------------- a walk

static size_t count_jobs(const struct plan_time_call *calls, size_t count)
{
    size_t jobs = 0;
    for (size_t i = 0; i < count; i++)
        jobs += i == 0 || !calls[i].follows;
    return jobs;
}

// What goes before uses up the days and owes to the minutes.
static void take_ahead(struct walk *walk)
{
    const struct plan_time_ahead *ahead = &walk->work->ahead;
    const int64_t amounts[PLAN_TIME_SLOTS] = {
        [PLAN_TIME_REQUESTS] = ahead->requests,
        [PLAN_TIME_TOKENS] = ahead->input_tokens + ahead->output_tokens,
        [PLAN_TIME_INPUT] = ahead->input_tokens,
        [PLAN_TIME_OUTPUT] = ahead->output_tokens,
        [PLAN_TIME_REQUESTS_DAY] = ahead->requests,
        [PLAN_TIME_TOKENS_DAY] = ahead->input_tokens + ahead->output_tokens,
    };
    for (int i = 0; i < PLAN_TIME_SLOTS; i++) {
        int64_t limit = walk->limits[i];
        if (limit <= 0 || amounts[i] <= 0)
            continue;
        if (!is_daily((enum plan_time_limit)i)) {
            walk->earned_us[i] = earning_us(amounts[i], limit);
            continue;
        }
        walk->day_us[i] = times(amounts[i] / limit, DAY_US);
        walk->used[i] = amounts[i] % limit;
    }
}

static void walk_init(struct walk *walk, const struct plan_time_work *work, const int64_t *limits)
{
    const struct plan_time_call *calls = work->calls;
    size_t count = work->count;
    *walk = (struct walk){.work = work, .limits = limits};
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
    int64_t slots = limits[PLAN_TIME_SLOTS], free_us = 0;
    if (slots > 0)
        free_us = times(work->ahead.duration_ms, 1000) / slots;
    walk->slot_count = slots <= 0 || ((size_t)slots > jobs && free_us == 0) ? 0
                       : (size_t)slots > jobs                               ? jobs
                                                                            : (size_t)slots;
    walk->slots = own_array(walk->slot_count + 1, sizeof(*walk->slots));
    for (size_t i = 0; i < walk->slot_count; i++)
        heap_set(&walk->free, &walk->slots[i].node, free_us);
    take_ahead(walk);
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
        else if (is_daily((enum plan_time_limit)i) && walk->limits[i] > 0)
            at_us = walk->used[i] >= walk->limits[i] ? walk->day_us[i] + DAY_US : walk->day_us[i];
        else if (i != PLAN_TIME_SLOTS && walk->limits[i] > 0)
            at_us = walk->earned_us[i] - SAVED_US;
        if (at_us <= opens_us)
            continue;
        opens_us = at_us;
        *out_bound = (enum plan_time_limit)i;
    }
    return opens_us;
}

static void take_of_day(struct walk *walk, enum plan_time_limit limit, int64_t amount,
                        int64_t start_us)
{
    if (walk->used[limit] == 0 || walk->used[limit] >= walk->limits[limit]) {
        walk->day_us[limit] = start_us;
        walk->used[limit] = 0;
    }
    walk->used[limit] += amount;
}

static void take(struct walk *walk, const struct plan_time_call *call, int64_t start_us)
{
    for (int i = 0; i < PLAN_TIME_SLOTS; i++) {
        enum plan_time_limit limit = (enum plan_time_limit)i;
        if (walk->limits[i] <= 0)
            continue;
        if (is_daily(limit)) {
            take_of_day(walk, limit, amount_of(call, limit), start_us);
            continue;
        }
        if (walk->earned_us[i] < start_us)
            walk->earned_us[i] = start_us;
        walk->earned_us[i] += earning_us(amount_of(call, limit), walk->limits[i]);
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
        ((struct walker *)first)->since_us = first->key;
        heap_set(&walk->ready, first, (struct walker *)first - walk->jobs);
        first = heap_first(&walk->resting);
    }
    return now_us;
}

// The first job's call is over its start: it rests until its end, where it has another one.
static void leave(struct walk *walk, struct heap_node *node, int64_t end_us)
{
    struct walker *job = (struct walker *)node; // its first member
    heap_remove(&walk->ready, node);
    job->next++;
    if (job->next < job->end)
        heap_set(&walk->resting, node, end_us);
}

static bool may_share(const struct walk *walk, const struct walker *job)
{
    return walk->work->room.documents > 1 && walk->work->calls[job->next].need.documents > 0 &&
           job->next + 1 == job->end;
}

// Adds the calls that wait behind the first one to its request, as long as there is room.
static void share(struct walk *walk, struct plan_time_call *request)
{
    struct heap_node *passed[LOOK_MOST];
    struct pack_room room = walk->work->room, need = request->need;
    size_t count = 0;
    if (!pack_take(&room, &need))
        return;
    for (int i = 0; i < LOOK_MOST && room.documents > 0 && heap_first(&walk->ready); i++) {
        struct heap_node *node = heap_first(&walk->ready);
        const struct plan_time_call *call = &walk->work->calls[((struct walker *)node)->next];
        bool fits = may_share(walk, (struct walker *)node) &&
                    call->pack_hash == request->pack_hash && pack_take(&room, &call->need);
        if (!fits) {
            heap_remove(&walk->ready, node);
            passed[count++] = node;
            continue;
        }
        request->input_tokens += call->input_tokens - call->form_tokens;
        request->output_tokens += call->output_tokens;
        request->duration_ms += call->duration_ms - call->first_ms;
        leave(walk, node, 0);
    }
    for (size_t i = 0; i < count; i++)
        heap_set(&walk->ready, passed[i], (struct walker *)passed[i] - walk->jobs);
}

// The next request, from now on; moves now to its start. When it ends.
static int64_t step(struct walk *walk, int64_t *now_us)
{
    enum plan_time_limit bound;
    int64_t open_us = opens_us(walk, *now_us, &bound);
    walk->waited_us[bound] += open_us - *now_us;
    *now_us = wake(walk, open_us);
    walk->waited_us[PLAN_TIME_NONE] += *now_us - open_us;
    struct heap_node *first = heap_first(&walk->ready);
    const struct walker *job = (const struct walker *)first; // its first member
    struct plan_time_call request = walk->work->calls[job->next];
    bool shares = may_share(walk, job) && *now_us - job->since_us >= PATIENCE_US;
    leave(walk, first, *now_us + request.duration_ms * 1000);
    if (shares)
        share(walk, &request);
    take(walk, &request, *now_us);
    walk->out.requests++;
    walk->out.input_tokens += request.input_tokens;
    walk->out.output_tokens += request.output_tokens;
    return *now_us + request.duration_ms * 1000;
}

struct plan_time plan_time_of(const struct plan_time_work *work, const plan_time_limits limits)
{
    struct walk walk;
    int64_t last_us = 0, now_us = 0;
    walk_init(&walk, work, limits);
    while (heap_first(&walk.ready) || heap_first(&walk.resting))
        last_us = later(last_us, step(&walk, &now_us));
    struct plan_time out = walk.out;
    out.total_ms = (last_us + 999) / 1000;
    out.bound = PLAN_TIME_NONE;
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

static bool suffices(const struct plan_time_work *work, int64_t *limits, enum plan_time_limit which,
                     int64_t value, int64_t within_ms)
{
    limits[which] = value;
    return plan_time_of(work, limits).total_ms <= within_ms;
}

int64_t plan_time_needed(const struct plan_time_work *work, const plan_time_limits limits,
                         enum plan_time_limit which, int64_t within_ms)
{
    plan_time_limits tried;
    for (int i = 0; i < PLAN_TIME_LIMITS; i++)
        tried[i] = limits[i];
    int64_t low = limits[which];
    if (low <= 0)
        return 0;
    if (suffices(work, tried, which, low, within_ms))
        return low;
    if (!suffices(work, tried, which, 0, within_ms))
        return 0;
    int64_t high = low;
    while (high < LIMIT_MAX && !suffices(work, tried, which, high, within_ms)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (suffices(work, tried, which, middle, within_ms))
            high = middle;
        else
            low = middle;
    }
    return high;
}
