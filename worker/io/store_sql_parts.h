// SPDX-License-Identifier: Apache-2.0
// What several statements of the store have in common. Names: r the request, j the job, c its
// claim, o its outcome.
#ifndef PRECIS_IO_STORE_SQL_PARTS_H
#define PRECIS_IO_STORE_SQL_PARTS_H

// The worker's lease runs.
#define LIVE(worker)                                                                               \
    "exists (select from precis_data.workers me where me.id = " worker                             \
    " and me.lease_until > clock_timestamp())"

// $1 worker, $2 tenant, $3 batch, $4 id, $5 revision, $6 content hash, $7 serial, $8 whether it was
// read from Kafka, $9 whether it is to be parked: what the statements of a claim know of each
// request.
#define CLAIM_KEYS                                                                                 \
    "unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bigint[],"          \
    "  $8::boolean[], $9::boolean[])"                                                              \
    " with ordinality as r(tenant, batch, id, revision, hash, serial, is_read, parks, ord)"
#define SAME_ID(a, b)                                                                              \
    a ".tenant = " b ".tenant and " a ".batch = " b ".batch and " a ".id = " b ".id"
#define SAME_JOB(a, b) SAME_ID(a, b) " and " a ".revision = " b ".revision"

#define NEWER_THAN(x)                                                                              \
    "exists (select from precis_data.jobs newer where " SAME_ID(                                   \
        "newer", x) " and newer.revision > " x ".revision)"

// NULL, 'cancelled' or 'superseded', of job j and claim c.
#define CANCEL_OF                                                                                  \
    "case when c.stop is not null then c.stop"                                                     \
    " when exists (select from precis_data.batches b where b.tenant = j.tenant"                    \
    "   and b.name = j.batch and b.cancelled_at > coalesce(c.reopened_at, '-infinity'))"           \
    "  or exists (select from precis_data.cancels x where " SAME_ID(                               \
        "x", "j") ")"                                                                              \
                  "  then 'cancelled'"                                                             \
                  " when " NEWER_THAN("j") " then 'superseded' end"

// Or 'twin': another job makes the answer (as intent_twins found). For intents; a twin is not
// stopped for anybody else.
#define STOP_OF "coalesce(" CANCEL_OF ", case when c.twin then 'twin' end)"

// The job of row a of answers has gone on to ask something else: another model, by its last plan.
#define ANSWER_MOVED(a)                                                                            \
    "coalesce((select p.answer_key from precis_data.plans p where p.job_no = " a                   \
    ".job_no order by p.plan_no desc limit 1) <> " a ".key, false)"

// Nobody makes the answer of row a of answers: its job is gone, or ended without one, with
// another's, or asks something else; or it has paid for nothing and stood still for 10 s. (An
// intent of it moves begun_at in the same transaction, so who sees an old begun_at sees its
// attempts too.)
#define ANSWER_FREE(a)                                                                             \
    "(" ANSWER_MOVED(                                                                              \
        a) " or not exists (select from precis_data.claims k where k.job_no = " a ".job_no)"       \
           " or exists (select from precis_data.outcomes e where e.job_no = " a ".job_no"          \
           "  and (e.state <> 'done' or not exists (select from precis_data.summaries s"           \
           "   where s.job_no = e.job_no and s.cached_from is null)))"                             \
           " or (" a ".begun_at < clock_timestamp() - interval '10 s' and " NO_OUTCOME(            \
               a ".job_no") " and not exists (select from precis_data.attempts t where t.job_no "  \
                            "= " a ".job_no and t.outcome in ('sent', 'ok', 'in_doubt'))))"

// The lease of the worker of claim c has ended, and `me` may take over: $lease is the lease in ms.
#define MAY_TAKE_OVER(me, lease)                                                                   \
    "not " LIVE("c.worker_id") " and pg_postmaster_start_time() <= clock_timestamp() - " lease     \
                               " * interval '1 ms'"                                                \
                               " and exists (select from precis_data.workers me where me.id = " me \
                               "  and me.lease_until > clock_timestamp()"                          \
                               "  and me.unbroken_since <= clock_timestamp() - " lease             \
                               " * interval '1 ms')"

#define NO_OUTCOME(job_no)                                                                         \
    "not exists (select from precis_data.outcomes o where o.job_no = " job_no ")"

// An outcome that this very transaction has written, for the rows that go with it: a transaction
// that is applied again after its answer was lost finds none.
#define WON "o.job_no = r.job_no and o.xmin = pg_current_xact_id()::xid"

// A message that Kafka brings of a job that is parked, or queued by `retry`: PostgreSQL has it.
#define IS_KEPT(job_no)                                                                            \
    "(r.is_read and (select k.job_no from precis_data.requeued k where k.job_no = " job_no         \
    ") is not null)"

// Columns of `requeued` of a job j that is parked by request r: what is due, and how it waits.
// `stopped`: only its end is to be written.
#define PARK_COLUMNS                                                                               \
    "job_no, due_at, tenant, batch, urgency, deadline, fails_at, tokens, bytes, reason,"           \
    " after_batch, ready, parked_at"
#define PARK_VALUES                                                                                \
    "p.job_no, case when p.stopped or p.due_ms = 0 or (p.reason = 'paused' and not exists ("       \
    "   select from precis_data.pauses x where x.scope in ('model', 'key')"                        \
    "   or precis_data.pause_covers(x.scope, x.name, p.tenant, p.batch, p.job_no)))"               \
    "  then clock_timestamp() when p.due_ms = 9223372036854775807 then 'infinity'"                 \
    "  else to_timestamp(p.due_ms / 1000.0) end, p.tenant, p.batch,"                               \
    " case when p.stopped then -1 else 9 - p.priority end, coalesce(p.deadline, 'infinity'),"      \
    " case when p.fails then p.deadline end, p.tokens, p.bytes, p.reason, p.after_batch,"          \
    " p.stopped or p.due_ms = 0, clock_timestamp()"

#define UNIX_MS(x) "to_timestamp(" x " / 1000.0)"

// The columns that store_letter_init reads, of dead letter d. A value over 900 KB stays here.
#define LETTER_COLUMNS                                                                             \
    "d.id, d.key, case when length(d.value) <= 921600 then d.value end, d.headers, d.code,"        \
    " d.error, d.suggestion, d.tenant, d.batch, d.job_id, d.topic, d.partition, d.kafka_offset,"   \
    " d.kafka_timestamp, d.attempts, to_char(d.failed_at at time zone 'UTC',"                      \
    " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), d.worker, coalesce(length(d.value) > 921600, false)"

// A number of the source, in a statement.
#define TEXT_OF_(number) #number
#define TEXT_OF(number)  TEXT_OF_(number)

#endif
