// SPDX-License-Identifier: Apache-2.0
// --canary N: the first N jobs go and are waited for; what came of them is told with what the rest
// would cost at that rate, and the rest goes when they went well and somebody says yes.
//
// The batch stays open until then: it has not ended before all of it is there. Without a terminal
// nobody can be asked: it stops, unless --yes was given.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"

#define LOOK_MS     300
#define CODES_SHOWN 3

static const char look_sql[] =
    "select count(*) filter (where state = 'done') as done,"
    " count(*) filter (where state in ('failed', 'cancelled')) as failed,"
    " coalesce(sum(cost_usd), 0)::text as cost_usd,"
    " (select count(*) from precis.workers where state = 'live') as live"
    " from (select distinct on (job_id) state, cost_usd from precis.jobs"
    "  where tenant = $1 and batch = $2 and job_id = any($3::text[])"
    "  order by job_id, revision desc) j";

static const char codes_sql[] =
    "select error_code, count(*) as jobs, min(suggestion) as suggestion from precis.jobs"
    " where tenant = $1 and batch = $2 and job_id = any($3::text[]) and state = 'failed'"
    " group by 1 order by 2 desc, 1";

struct tally {
    int64_t asked, done, failed, live;
    double cost_usd;
    bool read; // every new revision
};

static bool look_at(struct submit *submit, struct submit_batch *batch, struct tally *tally)
{
    struct pg_array ids;
    pg_array_init(&ids);
    submit_batch_ids(batch, &ids);
    struct ask ask = {look_sql, {batch->tenant, batch->name, pg_array_str(&ids)}, 3};
    struct pg_rows *rows =
        submit_wait_read(submit, batch, &tally->read) ? ask_rows(submit->invocation, &ask) : NULL;
    if (rows) {
        tally->asked += (int64_t)ids.len;
        tally->done += ask_number(rows, 0, "done");
        tally->failed += ask_number(rows, 0, "failed");
        tally->live = ask_number(rows, 0, "live");
        tally->cost_usd += strtod(ask_value(rows, 0, "cost_usd"), NULL);
    }
    pg_rows_free(rows);
    pg_array_deinit(&ids);
    return rows != NULL;
}

static bool look(struct submit *submit, struct tally *tally)
{
    *tally = (struct tally){.read = true};
    for (size_t i = 0; i < submit->batch_count; i++)
        if (!look_at(submit, &submit->batches[i], tally))
            return false;
    return true;
}

// Until all of them have ended. False: interrupted, or it could not be asked.
static bool wait_for(struct submit *submit, struct tally *tally)
{
    bool told = false;
    while (look(submit, tally) && !interrupt_came()) {
        if (tally->read && tally->done + tally->failed >= tally->asked)
            return true;
        screen_progress("canary: %" PRId64 " of %" PRId64 " have ended%s",
                        tally->done + tally->failed, tally->asked,
                        tally->live ? "" : "; no worker is live: start `precis worker`");
        if (!told && tally->live == 0 && !screen_is_terminal(stderr))
            fprintf(stderr, "The canary waits: no worker is live; start `precis worker`.\n");
        told = true;
        interrupt_sleep_ms(LOOK_MS);
    }
    return false;
}

// ------------------------------------------------------------------------------- telling

static void tell_codes(struct submit *submit, const struct submit_batch *batch)
{
    struct pg_array ids;
    pg_array_init(&ids);
    submit_batch_ids(batch, &ids);
    struct ask ask = {codes_sql, {batch->tenant, batch->name, pg_array_str(&ids)}, 3};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    for (size_t i = 0; rows && i < pg_rows_count(rows) && i < CODES_SHOWN; i++) {
        struct buf line OWN_BUF;
        buf_init(&line, 0);
        screen_add_line(&line, ask_value(rows, i, "suggestion"));
        fprintf(stderr, "  %s %s: %s\n", ask_value(rows, i, "jobs"),
                ask_value(rows, i, "error_code"), buf_str(&line));
    }
    pg_rows_free(rows);
    pg_array_deinit(&ids);
}

// The money that the rest takes, where it is known how many files it has.
static void tell_rest(const struct submit *submit, const struct tally *tally)
{
    int64_t rest = submit->progress.total - submit->read;
    if (tally->done == 0 || rest <= 1)
        return;
    fprintf(stderr, "At that rate the other %" PRId64 " files cost about $%.4f.\n", rest,
            tally->cost_usd / (double)tally->done * (double)rest);
}

static void tell(struct submit *submit, const struct tally *tally)
{
    screen_progress_end();
    fprintf(stderr,
            "Canary: %" PRId64 " of %" PRId64 " jobs are done, %" PRId64 " failed, for $%.6f.\n",
            tally->done, tally->asked, tally->failed, tally->cost_usd);
    for (size_t i = 0; tally->failed > 0 && i < submit->batch_count; i++)
        tell_codes(submit, &submit->batches[i]);
    if (submit->batch_count == 1) {
        struct buf name OWN_BUF;
        buf_init(&name, 0);
        ask_add_batch(&name, submit->batches[0].tenant, submit->batches[0].name);
        fprintf(stderr, "What they say: `precis results %s`.\n", buf_str(&name));
    }
    tell_rest(submit, tally);
}

// ------------------------------------------------------------------------------- deciding

static bool went_well(const struct submit_order *order, const struct tally *tally)
{
    if (order->failed_percent)
        return tally->failed * 100 <= order->max_failed * tally->asked;
    return tally->failed <= order->max_failed;
}

static bool somebody_says_yes(void)
{
    char answer[16] = "";
    fprintf(stderr, "Submit the rest? [y/N] ");
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void hold(struct submit *submit, int code, const char *why)
{
    fprintf(stderr,
            "%s; the batch stays open. The same command without --canary submits it, and "
            "pays nothing twice.\n",
            why);
    submit->held = submit->stopped = true;
    submit->canary_code = code;
}

static void decide(struct submit *submit, const struct tally *tally)
{
    bool can_ask = screen_is_terminal(stdin) && screen_is_terminal(stderr);
    if (!went_well(&submit->order, tally))
        hold(submit, EXIT_JOBS_FAILED,
             "More failed than --max-failed allows: the rest is not sent");
    else if (submit->order.yes)
        fprintf(stderr, "The rest goes.\n");
    else if (!can_ask)
        hold(submit, EXIT_DONE, "The rest is not sent (--yes would)");
    else if (!somebody_says_yes())
        hold(submit, EXIT_DONE, "The rest is not sent");
    submit->canary_done = true;
}

bool submit_canary(struct submit *submit)
{
    struct tally tally;
    if (submit->order.canary == 0 || submit->canary_done || submit->take ||
        submit->jobs < (size_t)submit->order.canary)
        return true;
    if (!submit_stage_flush(submit->stage) || !sender_flush(submit->sender))
        return false;
    if (wait_for(submit, &tally)) {
        tell(submit, &tally);
        decide(submit, &tally);
    } else {
        submit->stopped = true;
    }
    return !submit->stopped;
}
