// SPDX-License-Identifier: Apache-2.0
// precis retry: jobs that failed or were cancelled run again.
//
// A reopened job is the same job: same revision, same plan, the answers that were paid for. Its
// outcome goes to the history; its claim is nobody's, one epoch on, so that nothing of the worker
// that ended it is taken any more; attempts of the epochs before use up no try (reopened_epoch).
// Kafka will not bring its message again, so it is queued in `requeued`, where a worker finds it.
// A done job (--done) is asked anew: its answers go, its summary moves to the history.
#include "cmd/retry.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/change.h"
#include "cmd/command.h"
#include "cmd/pick.h"

// ------------------------------------------------------------------------------- reopening

// The outcomes are locked first: two of these at once reopen each job once. They are looked up by
// an array of their jobs, as in cancel.
static const char reopen_sql[] =
    "with named as materialized (select j.job_no from precis_data.jobs j where" PICK_WHERE
        PICK_NEWEST "),"
    " picked as materialized ("
    "  select o.* from precis_data.outcomes o"
    "  where o.job_no = any(array(select n.job_no from named n))"
    "   and (o.state = 'failed' or (o.state = 'cancelled' and not $5::boolean)"
    "    or (o.state = 'done' and $6::boolean))"
    "   and ($7::text is null or o.error_code = $7)"
    "  order by o.job_no for update of o),"
    " kept as (insert into precis_data.outcome_history (job_no, epoch, state, error_code, error,"
    "   suggestion, worker_id, finished_at, result)"
    "  select p.job_no, p.epoch, p.state, p.error_code, p.error, p.suggestion, p.worker_id,"
    "   p.finished_at, (select to_jsonb(s) || jsonb_build_object('citations', (select"
    "     coalesce(jsonb_agg(to_jsonb(t) order by t.n), '[]') from precis_data.citations t"
    "     where t.job_no = s.job_no))"
    "    from precis_data.summaries s where s.job_no = p.job_no)"
    "  from picked p on conflict do nothing),"
    " gone as (delete from precis_data.outcomes o using picked p where o.job_no = p.job_no),"
    " no_summary as (delete from precis_data.summaries s using picked p"
    "  where s.job_no = p.job_no),"
    " no_citations as (delete from precis_data.citations t using picked p"
    "  where t.job_no = p.job_no),"
    " no_parts as (delete from precis_data.parts a using picked p"
    "  where a.job_no = p.job_no and p.state = 'done'),"
    " opened as (update precis_data.claims c set epoch = c.epoch + 1,"
    "   reopened_epoch = c.epoch + 1, reopened_at = clock_timestamp(), worker_id = null,"
    "   stop = null, cut = false, crashes = 0 from picked p where c.job_no = p.job_no),"
    " queued as (insert into precis_data.requeued as q (job_no) select job_no from picked"
    "  on conflict (job_no) do update set due_at = clock_timestamp(), taken_by = null,"
    "   taken_serial = null),"
    " waits as (update precis_data.jobs j set waiting_for = null, earliest_start_at = null"
    "  from picked p where j.job_no = p.job_no),"
    " wanted as (delete from precis_data.cancels x using picked p"
    "  where x.tenant = p.tenant and x.batch = p.batch and x.id = p.id),"
    " letters as (update precis_data.dead_letters d set replayed_at = clock_timestamp()"
    "  from picked p where d.tenant = p.tenant and d.batch = p.batch and d.job_id = p.id"
    "   and d.revision = p.revision and d.failed_at = p.finished_at)"
    " select count(*) filter (where state = 'failed'),"
    "  count(*) filter (where state = 'cancelled'), count(*) filter (where state = 'done')"
    " from picked";

bool retry_reopen(struct pg_session *session, const char *const params[RETRY_PARAMS],
                  struct retry_counts *out_counts, struct pg_error *out_error)
{
    int64_t counts[3];
    if (!change_numbers(session, &(struct change_ask){reopen_sql, params, RETRY_PARAMS}, counts, 3,
                        out_error))
        return false;
    *out_counts = (struct retry_counts){counts[0], counts[1], counts[2]};
    return true;
}

// ------------------------------------------------------------------------------- the command

struct retry {
    struct pick pick;
    const char *params[RETRY_PARAMS];
    struct retry_counts counts;
    int64_t unfinished, stopping;    // jobs that have no outcome; those among them being cancelled
    int64_t done, cancelled, failed; // that were left as they are
    bool reopens_batch;              // the mark of an earlier cancel goes
};

// What is left beside the reopened ones, before they are reopened.
static const char others_sql[] =
    "with named as materialized (select j.job_no from precis_data.jobs j where" PICK_WHERE
        PICK_NEWEST ")"
    " select count(*) filter (where o.state is null),"
    "  count(*) filter (where o.state is null and c.stop = 'cancelled'),"
    "  count(*) filter (where o.state = 'done'), count(*) filter (where o.state = 'cancelled'),"
    "  count(*) filter (where o.state = 'failed')"
    " from named n cross join lateral (select k.stop from precis_data.claims k"
    "   where k.job_no = n.job_no offset 0) c"
    " left join lateral (select e.state from precis_data.outcomes e"
    "   where e.job_no = n.job_no offset 0) o on true";

static const char unmark_sql[] =
    "update precis_data.batches set cancelled_at = null where cancelled_at is not null"
    " and ($1::text is null or tenant = $1) and ($2::text is null or name = $2)";

static bool apply(struct pg_session *session, void *context, struct pg_error *out_error)
{
    struct retry *retry = context;
    const char *place[] = {retry->pick.tenant, retry->pick.batch};
    int64_t others[5];
    if (!change_numbers(session, &(struct change_ask){others_sql, retry->params, PICK_PARAMS},
                        others, 5, out_error) ||
        !retry_reopen(session, retry->params, &retry->counts, out_error) ||
        (retry->reopens_batch && !pg_query(session, unmark_sql, place, 2, NULL, out_error)))
        return false;
    retry->unfinished = others[0];
    retry->stopping = others[1];
    retry->done = others[2] - retry->counts.done;
    retry->cancelled = others[3] - retry->counts.cancelled;
    retry->failed = others[4] - retry->counts.failed;
    return true;
}

static int64_t reopened(const struct retry *retry)
{
    return retry->counts.failed + retry->counts.cancelled + retry->counts.done;
}

static void print_json(const struct retry *retry)
{
    json_t *answer = json_pack(
        "{s:I, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I}}", "reopened", (json_int_t)reopened(retry),
        "from", "failed", (json_int_t)retry->counts.failed, "cancelled",
        (json_int_t)retry->counts.cancelled, "done", (json_int_t)retry->counts.done, "left",
        "unfinished", (json_int_t)retry->unfinished, "done", (json_int_t)retry->done, "failed",
        (json_int_t)retry->failed, "cancelled", (json_int_t)retry->cancelled);
    char *text = json_dumps(answer, JSON_INDENT(1));
    puts(text);
    free(text);
    json_decref(answer);
}

static void print_left(const struct retry *retry)
{
    if (retry->unfinished > retry->stopping)
        printf("%lld not ended: left to run.\n", (long long)(retry->unfinished - retry->stopping));
    if (retry->stopping > 0)
        printf("%lld still being cancelled: run this again when their workers have ended them.\n",
               (long long)retry->stopping);
    if (retry->done > 0)
        printf("%lld done: left as they are; --done asks and pays again.\n",
               (long long)retry->done);
    if (retry->failed > 0)
        printf("%lld failed otherwise: left as they are.\n", (long long)retry->failed);
    if (retry->cancelled > 0)
        printf("%lld cancelled: left as they are.\n", (long long)retry->cancelled);
}

static void print_words(const struct retry *retry)
{
    int64_t count = reopened(retry);
    if (count > 0)
        printf("%lld job%s reopened (%lld failed, %lld cancelled, %lld done); the next free worker "
               "takes %s.\n",
               (long long)count, count == 1 ? "" : "s", (long long)retry->counts.failed,
               (long long)retry->counts.cancelled, (long long)retry->counts.done,
               count == 1 ? "it" : "them");
    else
        printf("No job was reopened.\n");
    print_left(retry);
}

static void set_params(struct invocation *invocation, struct retry *retry)
{
    bool failed = invocation_flag(invocation, "failed");
    const char *code = invocation_value(invocation, "code");
    memcpy(retry->params, retry->pick.params, sizeof(retry->pick.params));
    retry->params[RETRY_FAILED_ONLY] = failed ? "true" : "false";
    retry->params[RETRY_DONE] = invocation_flag(invocation, "done") ? "true" : "false";
    retry->params[RETRY_CODE] = code;
    // Whoever reopens all that was cancelled wants the jobs that are still to come as well.
    retry->reopens_batch = !retry->pick.by_name && !failed && !code && !retry->pick.params[3];
}

static int run(struct invocation *invocation)
{
    struct retry retry = {0};
    int code = EXIT_DONE;
    if (invocation_flag(invocation, "failed") && invocation_flag(invocation, "done"))
        return invocation_misuse(invocation, "--failed and --done exclude each other");
    code = pick_read(invocation, false, &retry.pick);
    set_params(invocation, &retry);
    if (code == EXIT_DONE)
        code = change_apply(invocation, apply, &retry);
    if (code == EXIT_DONE) {
        if (invocation_json(invocation))
            print_json(&retry);
        else
            print_words(&retry);
        if (retry.pick.by_name && reopened(&retry) == 0)
            code = EXIT_FAILED;
    }
    pick_deinit(&retry.pick);
    return code;
}

static const struct option_row options[] = {
    PICK_OPTIONS,
    {"failed", NULL, "only those that failed, not those that were cancelled"},
    {"code", "CODE", "only those with this error code"},
    {"done", NULL, "also those that are done: they are asked and paid for again"},
    {0},
};

const struct command command_retry = {
    .name = "retry",
    .arguments = "[JOB…]",
    .summary = "Reopen jobs that failed or were cancelled",
    .details =
        "JOB is id, batch/id or tenant/batch/id. A reopened job keeps its revision and whatever\n"
        "was paid for, and has all its tries again. With --batch, --tenant or --all (and neither\n"
        "--failed nor --code) a cancelled batch takes jobs again. Messages that never became a\n"
        "job: `precis dlq replay`.",
    .options = options,
    .prints_data = true,
    .run = run,
};
