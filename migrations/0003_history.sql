-- oldest-program: 0.1.0
-- What `precis retry` replaces: the outcome that a job had, and what it had made, where it was done.
-- Nothing that was paid for goes without a trace. The epoch is the one in which the job ended.

create table precis_data.outcome_history (
  job_no bigint not null,
  epoch integer not null,
  state text not null,
  error_code text,
  error text,
  suggestion text,
  worker_id bigint not null,
  finished_at timestamptz not null,
  result jsonb,                        -- the row of the summary, with its citations
  reopened_at timestamptz not null default clock_timestamp(),
  primary key (job_no, epoch)
);

create view precis.earlier_outcomes as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels, h.epoch, h.state, h.error_code,
  h.error, h.suggestion, w.name as worker, h.finished_at, h.reopened_at, h.result
from precis_data.outcome_history h
join precis_data.jobs j on j.job_no = h.job_no
left join precis_data.workers w on w.id = h.worker_id;
