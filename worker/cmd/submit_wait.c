// SPDX-License-Identifier: Apache-2.0
// Waiting for the batches that were submitted.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cancel.h"
#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"

#define LOOK_MS        500
#define SAY_EVERY_S    30
#define SENDING_LOOK_S 2

static const char look_sql[] =
    "select state, total, done, failed, cancelled, running, cost_usd::text,"
    " (select count(*) from precis.workers where state = 'live') as live"
    " from precis.batches where tenant = $1 and batch = $2";

// New revisions that no worker has read: as long as there are any, the batch looks as it was.
static const char unread_sql[] =
    "select count(*) as unread from unnest($3::text[], $4::bigint[]) w(id, revision)"
    " where not exists (select from precis_data.jobs j where j.tenant = $1 and j.batch = $2"
    "  and j.id = w.id and j.revision >= w.revision)"
    " and not exists (select from precis_data.dead_letters d where d.tenant = $1 and d.batch = $2"
    "  and d.job_id = w.id and d.revision >= w.revision)";

struct tally {
    int64_t total, done, failed, cancelled, live; // failed: with the cancelled ones
    double cost_usd;
    bool ended;
};

bool submit_wait_read(struct submit *submit, struct submit_batch *batch, bool *out_read)
{
    if (batch->revised.len == 0)
        return true;
    struct ask ask = {unread_sql,
                      {batch->tenant, batch->name, pg_array_str(&batch->revised),
                       pg_array_str(&batch->revisions)},
                      4};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    if (!rows)
        return false;
    *out_read = *out_read && ask_number(rows, 0, "unread") == 0;
    pg_rows_free(rows);
    return true;
}

// Adds one batch. False: it could not be asked, which was said.
static bool look(struct submit *submit, struct submit_batch *batch, struct tally *tally)
{
    if (!submit_wait_read(submit, batch, &tally->ended))
        return false;
    struct ask ask = {look_sql, {batch->tenant, batch->name}, 2};
    struct pg_rows *rows = ask_rows(submit->invocation, &ask);
    if (!rows)
        return false;
    if (pg_rows_count(rows) == 0) { // nothing of it was read yet
        pg_rows_free(rows);
        tally->ended = false;
        return true;
    }
    const char *state = ask_value(rows, 0, "state");
    tally->total += ask_number(rows, 0, "total");
    tally->done += ask_number(rows, 0, "done");
    tally->failed += ask_number(rows, 0, "failed") + ask_number(rows, 0, "cancelled");
    tally->cancelled += ask_number(rows, 0, "cancelled");
    tally->ended = tally->ended && state && strcmp(state, "ended") == 0;
    tally->live = ask_number(rows, 0, "live");
    tally->cost_usd += strtod(ask_value(rows, 0, "cost_usd"), NULL);
    pg_rows_free(rows);
    return true;
}

// `progress` begins with the first look, so that the rate is that of the wait.
static void draw(struct progress *progress, const struct tally *tally)
{
    char more[120];
    int64_t ended = tally->done + tally->failed;
    if (!progress->unit)
        progress_init(progress, "jobs ended", tally->total, 0, ended);
    progress->total = tally->total;
    if (tally->live > 0)
        snprintf(more, sizeof(more), ", %" PRId64 " failed, $%.4f", tally->failed, tally->cost_usd);
    else
        snprintf(more, sizeof(more), "; no worker is live: start `precis worker`");
    progress_show(progress, ended, 0, more);
}

// On a file or a pipe, where there is no progress line.
static void say_sometimes(const struct tally *tally, time_t *last)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (screen_is_terminal(stderr) || now.tv_sec - *last < SAY_EVERY_S)
        return;
    if (*last > 0)
        fprintf(stderr, "%" PRId64 " of %" PRId64 " jobs done, %" PRId64 " failed\n", tally->done,
                tally->total, tally->failed);
    *last = now.tv_sec;
}

static void say_interrupted(const struct submit *submit)
{
    struct buf name OWN_BUF;
    buf_init(&name, 0);
    if (submit->batch_count == 1)
        ask_add_batch(&name, submit->batches[0].tenant, submit->batches[0].name);
    fprintf(stderr, "Interrupted; the jobs go on. `precis status%s%s` shows them.\n",
            name.len ? " " : "", buf_str(&name));
}

// ------------------------------------------------------------------------------- too many failed

// Again and again until the batches have ended: jobs may be read that were not known before.
static int cancel_rest(struct submit *submit, const struct tally *tally, bool *said)
{
    int64_t all = 0;
    for (size_t i = 0; i < submit->batch_count; i++) {
        int64_t jobs;
        int code = cancel_batch(submit->invocation, submit->batches[i].tenant,
                                submit->batches[i].name, &jobs);
        if (code != EXIT_DONE)
            return code;
        all += jobs;
    }
    if (*said)
        return EXIT_DONE;
    screen_progress_end();
    fprintf(stderr,
            "%" PRId64
            " jobs failed, more than --max-failed allows: what has not begun is cancelled "
            "(%" PRId64 " jobs so far), calls under way are finished. `precis retry --batch NAME` "
            "opens a batch again.\n",
            tally->failed - tally->cancelled, all);
    *said = true;
    return EXIT_DONE;
}

static bool has_too_many(const struct submit *submit, const struct tally *tally)
{
    int64_t unread = (int64_t)json_array_size(submit->problems);
    int64_t failed = tally->failed - tally->cancelled;
    return submit->order.stops_failed && failed > 0 &&
           submit_too_many_failed(&submit->order, failed + unread, tally->total + unread);
}

static bool look_at_all(struct submit *submit, struct tally *tally)
{
    for (size_t i = 0; i < submit->batch_count; i++)
        if (!look(submit, &submit->batches[i], tally))
            return false;
    return true;
}

// A percentage is of all jobs, which are not known before all are sent.
bool submit_look_at_failed(struct submit *submit)
{
    struct timespec now;
    struct tally tally = {.ended = true};
    bool said = false;
    if (!submit->order.stops_failed || submit->order.failed_percent || submit->order.dry_run)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec < submit->look_again_s)
        return true;
    submit->look_again_s = now.tv_sec + SENDING_LOOK_S;
    if (!look_at_all(submit, &tally)) {
        submit->stopped = true;
        return false;
    }
    if (!has_too_many(submit, &tally))
        return true;
    submit->canary_code = cancel_rest(submit, &tally, &said);
    if (submit->canary_code == EXIT_DONE)
        submit->canary_code = EXIT_JOBS_FAILED;
    fprintf(stderr, "The rest is not sent.\n");
    submit->held = submit->stopped = submit->too_many_failed = true;
    return false;
}

int submit_wait(struct submit *submit, int64_t *out_failed, int64_t *out_total)
{
    time_t last = 0;
    struct progress progress = {0};
    bool said = false;
    for (;;) {
        struct tally tally = {.ended = true};
        if (!look_at_all(submit, &tally))
            return EXIT_FAILED;
        if (!tally.ended && has_too_many(submit, &tally) &&
            cancel_rest(submit, &tally, &said) != EXIT_DONE)
            return EXIT_FAILED;
        draw(&progress, &tally);
        say_sometimes(&tally, &last);
        if (tally.ended) {
            screen_progress_end();
            *out_failed = tally.failed;
            *out_total = tally.total;
            return EXIT_DONE;
        }
        interrupt_sleep_ms(LOOK_MS);
        if (interrupt_came()) {
            screen_progress_end();
            say_interrupted(submit);
            return EXIT_INTERRUPTED;
        }
    }
}
