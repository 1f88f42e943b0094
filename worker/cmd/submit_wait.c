// SPDX-License-Identifier: Apache-2.0
// Waiting for the batches that were submitted.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/interrupt.h"
#include "cmd/screen.h"
#include "cmd/submit_parts.h"

#define LOOK_MS     500
#define SAY_EVERY_S 30

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
    int64_t total, done, failed, live;
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
    const char *state = ask_value(rows, 0, "state");
    tally->total += ask_number(rows, 0, "total");
    tally->done += ask_number(rows, 0, "done");
    tally->failed += ask_number(rows, 0, "failed") + ask_number(rows, 0, "cancelled");
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

int submit_wait(struct submit *submit, int64_t *out_failed, int64_t *out_total)
{
    time_t last = 0;
    struct progress progress = {0};
    for (;;) {
        struct tally tally = {.ended = true};
        for (size_t i = 0; i < submit->batch_count; i++)
            if (!look(submit, &submit->batches[i], &tally))
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
