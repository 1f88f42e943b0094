// SPDX-License-Identifier: Apache-2.0
// precis cancel: jobs end as `cancelled` before their next call.
//
// A job that was read has a claim: its `stop` is what its worker learns with the next intent, and
// whoever takes the claim over learns with the claim. It is the worker, too, that writes the
// outcome, so a job that nobody holds ends when a worker reads it next. What no worker has read
// has no claim yet: the id waits in `cancels`, the batch is marked with the time.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cmd/cancel.h"
#include "cmd/change.h"
#include "cmd/command.h"
#include "cmd/pick.h"

struct cancel {
    struct pick pick;
    int64_t held, unheld;            // jobs that are being cancelled now
    int64_t done, failed, cancelled; // that have an outcome already
    int64_t batches;                 // marked
    bool cuts;                       // calls under way
};

// The jobs first, and their claims by an array, so that each is looked up by its key: a join of
// what PostgreSQL holds for one job looked at all claims for each of 100,000.
static const char stop_sql[] =
    "with named as materialized (select j.job_no from precis_data.jobs j where" PICK_WHERE
        PICK_NEWEST
    "   and (select true from precis_data.outcomes o where o.job_no = j.job_no) is null),"
    " picked as materialized ("
    "  select c.job_no, coalesce((select w.lease_until > clock_timestamp()"
    "    from precis_data.workers w where w.id = c.worker_id), false) as held"
    "  from precis_data.claims c where c.job_no = any(array(select n.job_no from named n))"
    "  order by c.job_no for update),"
    " stopped as (update precis_data.claims c set stop = coalesce(c.stop, 'cancelled'),"
    "   cut = c.cut or $5::boolean from picked p"
    "  where c.job_no = p.job_no and (c.stop is null or $5::boolean)),"
    " told as (select pg_notify('precis', 'cancel') where $5::boolean)"
    " select count(*) filter (where held), count(*) filter (where not held)"
    " from picked left join told on true";

static const char ended_sql[] =
    "with named as materialized (select j.job_no from precis_data.jobs j where" PICK_WHERE
        PICK_NEWEST ")"
    " select count(*) filter (where o.state = 'done'), count(*) filter (where o.state = 'failed'),"
    "  count(*) filter (where o.state = 'cancelled')"
    " from precis_data.outcomes o where o.job_no = any(array(select n.job_no from named n))";

// Batches of a scope that have not ended; the one that was named in any case.
static const char mark_sql[] =
    "with marked as (update precis_data.batches b set cancelled_at = clock_timestamp()"
    "  where ($1::text is null or b.tenant = $1) and ($2::text is null or b.name = $2)"
    "   and ($2::text is not null or exists (select from precis.batches v"
    "    where v.tenant = b.tenant and v.batch = b.name and v.state <> 'ended')) returning 1)"
    " select count(*) from marked";

static const char unread_sql[] =
    "insert into precis_data.cancels (tenant, batch, id) values ($1, $2, $3)"
    " on conflict do nothing";

static bool mark_batches(struct pg_session *session, struct cancel *cancel,
                         struct pg_error *out_error)
{
    const struct pick *pick = &cancel->pick;
    cancel->batches = 0;
    if (pick->by_name || pick->params[3])
        return true;
    const char *params[] = {pick->tenant, pick->batch};
    return change_numbers(session, &(struct change_ask){mark_sql, params, 2}, &cancel->batches, 1,
                          out_error);
}

static bool record_unread(struct pg_session *session, const struct pick *pick,
                          struct pg_error *out_error)
{
    for (size_t i = 0; i < pick->unread_count; i++) {
        const struct pick_unread *name = &pick->unread[i];
        const char *params[] = {name->tenant, name->batch, name->id};
        if (!pg_query(session, unread_sql, params, 3, NULL, out_error))
            return false;
    }
    return true;
}

// Marks and ids first: a job that is claimed in between is found by the statement that follows.
static bool apply(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct cancel *cancel = context;
    int64_t stopped[2], ended[3];
    const char *params[PICK_PARAMS + 1];
    memcpy(params, cancel->pick.params, sizeof(cancel->pick.params));
    params[PICK_PARAMS] = cancel->cuts ? "true" : "false";
    if (!mark_batches(session, cancel, out_error) ||
        !record_unread(session, &cancel->pick, out_error) ||
        !change_numbers(session, &(struct change_ask){stop_sql, params, PICK_PARAMS + 1}, stopped,
                        2, out_error) ||
        !change_numbers(session, &(struct change_ask){ended_sql, cancel->pick.params, PICK_PARAMS},
                        ended, 3, out_error))
        return false;
    cancel->held = stopped[0];
    cancel->unheld = stopped[1];
    cancel->done = ended[0];
    cancel->failed = ended[1];
    cancel->cancelled = ended[2];
    return true;
}

int cancel_batch(struct invocation *invocation, const char *tenant, const char *batch,
                 int64_t *out_jobs)
{
    struct cancel cancel = {.pick = {.tenant = own_strdup(tenant), .batch = own_strdup(batch)}};
    cancel.pick.params[1] = cancel.pick.tenant;
    cancel.pick.params[2] = cancel.pick.batch;
    int code = change_apply(invocation, apply, &cancel);
    *out_jobs = cancel.held + cancel.unheld;
    pick_deinit(&cancel.pick);
    return code;
}

// ------------------------------------------------------------------------------- words

static int print_json(const struct cancel *cancel)
{
    json_t *answer =
        json_pack("{s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "held", (json_int_t)cancel->held,
                  "unheld", (json_int_t)cancel->unheld, "not_read_yet",
                  (json_int_t)cancel->pick.unread_count, "batches_marked",
                  (json_int_t)cancel->batches, "finished_before", "done", (json_int_t)cancel->done,
                  "failed", (json_int_t)cancel->failed, "cancelled", (json_int_t)cancel->cancelled);
    char *text = json_dumps(answer, JSON_INDENT(1));
    puts(text);
    free(text);
    json_decref(answer);
    return EXIT_DONE;
}

static void print_ended(const struct cancel *cancel)
{
    int64_t ended = cancel->done + cancel->failed + cancel->cancelled;
    if (ended == 0)
        return;
    printf("%lld had ended before and stay%s as %s: %lld done, %lld failed, %lld cancelled.\n",
           (long long)ended, ended == 1 ? "s" : "", ended == 1 ? "it is" : "they are",
           (long long)cancel->done, (long long)cancel->failed, (long long)cancel->cancelled);
}

static void print_batches(const struct cancel *cancel)
{
    if (cancel->pick.batch)
        printf("Jobs of batch %s that are still to come are cancelled too. `precis retry --batch "
               "%s/%s` opens it again.\n",
               cancel->pick.batch, cancel->pick.tenant, cancel->pick.batch);
    else if (cancel->batches > 0)
        printf("Jobs that are still to come into %lld unfinished batch%s are cancelled too. "
               "`precis retry --batch NAME` opens one again.\n",
               (long long)cancel->batches, cancel->batches == 1 ? "" : "es");
    else if (cancel->pick.params[3])
        printf("Jobs that no worker has read yet are not among them.\n");
}

static int print_words(const struct cancel *cancel)
{
    int64_t count = cancel->held + cancel->unheld;
    if (count > 0)
        printf("%lld job%s being cancelled:\n", (long long)count, count == 1 ? " is" : "s are");
    else
        printf("No job that is known is being cancelled.\n");
    if (cancel->held > 0)
        printf("  %lld held by a worker: each ends before its next call, a call under way is %s\n",
               (long long)cancel->held,
               cancel->cuts ? "cut, and may be paid for nothing" : "finished and paid");
    if (cancel->unheld > 0)
        printf("  %lld held by nobody: a worker ends each as soon as it takes it up\n",
               (long long)cancel->unheld);
    for (size_t i = 0; i < cancel->pick.unread_count; i++)
        printf("%s/%s/%s is not known yet; it is cancelled when a worker reads it.\n",
               cancel->pick.unread[i].tenant, cancel->pick.unread[i].batch,
               cancel->pick.unread[i].id);
    print_ended(cancel);
    print_batches(cancel);
    return EXIT_DONE;
}

static int run(struct invocation *invocation)
{
    struct cancel cancel = {0};
    const char *running = invocation_value(invocation, "running");
    cancel.cuts = running && strcmp(running, "stop") == 0;
    if (running && !cancel.cuts && strcmp(running, "finish") != 0)
        return invocation_misuse(invocation, "--running is finish or stop");
    int code = pick_read(invocation, true, &cancel.pick);
    if (code == EXIT_DONE)
        code = change_apply(invocation, apply, &cancel);
    if (code == EXIT_DONE)
        code = invocation_json(invocation) ? print_json(&cancel) : print_words(&cancel);
    pick_deinit(&cancel.pick);
    return code;
}

static const struct option_row options[] = {
    PICK_OPTIONS,
    {"running", "HOW", "calls under way: finish (the default; kept and paid) or stop (cut)"},
    {0},
};

const struct command command_cancel = {
    .name = "cancel",
    .arguments = "[JOB…]",
    .summary = "End jobs before their next call",
    .details =
        "JOB is id, batch/id or tenant/batch/id. With --batch, --tenant or --all, jobs that are\n"
        "sent but not read yet are cancelled too when they are read. A call that is under way is\n"
        "paid and its answer kept; with --running stop it is cut: what it cost is in doubt, since\n"
        "providers charge for what they have written. A call that several jobs share goes on for\n"
        "those that are not cancelled, and a cancelled one's part of the answer is kept. Jobs\n"
        "that have ended stay as they are; `precis retry` reopens what was cancelled, and a kept\n"
        "answer is not paid again.",
    .options = options,
    .prints_data = true,
    .run = run,
};
