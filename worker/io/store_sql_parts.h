// SPDX-License-Identifier: Apache-2.0
// What several statements of the store have in common. Names: r the request, j the job, c its
// claim, o its outcome.
#ifndef PRECIS_IO_STORE_SQL_PARTS_H
#define PRECIS_IO_STORE_SQL_PARTS_H

// The worker's lease runs.
#define LIVE(worker)                                                                               \
    "exists (select from precis_data.workers me where me.id = " worker                             \
    " and me.lease_until > clock_timestamp())"

// $1 worker, $2 tenant, $3 batch, $4 id, $5 revision, $6 content hash, $7 serial: what the
// statements of a claim know of each request.
#define CLAIM_KEYS                                                                                 \
    "unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[], $7::bigint[])"          \
    " with ordinality as r(tenant, batch, id, revision, hash, serial, ord)"
#define SAME_ID(a, b)                                                                              \
    a ".tenant = " b ".tenant and " a ".batch = " b ".batch and " a ".id = " b ".id"
#define SAME_JOB(a, b) SAME_ID(a, b) " and " a ".revision = " b ".revision"

#define NEWER_THAN(x)                                                                              \
    "exists (select from precis_data.jobs newer where " SAME_ID(                                   \
        "newer", x) " and newer.revision > " x ".revision)"

// NULL, 'cancelled' or 'superseded', of job j and claim c.
#define STOP_OF                                                                                    \
    "case when c.stop is not null then c.stop"                                                     \
    " when exists (select from precis_data.batches b where b.tenant = j.tenant"                    \
    "   and b.name = j.batch and b.cancelled_at > coalesce(c.reopened_at, '-infinity'))"           \
    "  or exists (select from precis_data.cancels x where " SAME_ID(                               \
        "x", "j") ")"                                                                              \
                  "  then 'cancelled'"                                                             \
                  " when " NEWER_THAN("j") " then 'superseded' end"

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

#define UNIX_MS(x) "to_timestamp(" x " / 1000.0)"

// The columns that store_letter_init reads, of dead letter d. A value over 900 KB stays here.
#define LETTER_COLUMNS                                                                             \
    "d.id, d.key, case when length(d.value) <= 921600 then d.value end, d.headers, d.code,"        \
    " d.error, d.suggestion, d.tenant, d.batch, d.job_id, d.topic, d.partition, d.kafka_offset,"   \
    " d.kafka_timestamp, d.attempts, to_char(d.failed_at at time zone 'UTC',"                      \
    " 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), d.worker, coalesce(length(d.value) > 921600, false)"

#endif
