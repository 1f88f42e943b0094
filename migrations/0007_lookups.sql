-- oldest-program: 0.1.0
-- The indexes by batch are for views only. On a database that nobody has analyzed yet PostgreSQL
-- holds them for as good as the primary key, and looked each claimed job up among all jobs of its
-- batch: after 4,000 jobs a group of claims took 15 s, and the worker lost its lease. So they say
-- `job_no > 0`, which is true of every job, and so do the views; no other statement can use them.

drop index precis_data.jobs_of_batch;
drop index precis_data.outcomes_of_batch;
create index jobs_of_batch on precis_data.jobs (tenant, batch, job_no) include (submitted_at)
  where job_no > 0;
create index outcomes_of_batch on precis_data.outcomes (tenant, batch, job_no)
  include (state, finished_at) where job_no > 0;

create or replace view precis.batches as
select b.tenant, b.name as batch,
  case when b.sealed_total is null then 'open'
       when n.done + n.failed + n.cancelled >= t.total then 'ended'
       else 'sealed' end as state,
  t.total, t.total - t.known + n.queued as queued, n.waiting + l.waiting as waiting, n.running,
  n.done, n.failed, n.cancelled,
  trim_scale(m.cost * 0.000000000001) as cost_usd,
  trim_scale(m.in_doubt * 0.000000000001) as in_doubt_usd,
  trim_scale(b.budget_picousd * 0.000000000001) as budget_usd,
  least(b.created_at, f.submitted_at) as submitted_at,
  case when n.done + n.failed + n.cancelled >= t.total and b.sealed_total is not null
    then n.finished_at end as finished_at
from precis_data.batches b
cross join lateral (
  select count(*) filter (where s.state = 'queued') as queued,
    count(*) filter (where s.state = 'waiting') as waiting,
    count(*) filter (where s.state = 'running') as running,
    count(*) filter (where s.state = 'done') as done,
    count(*) filter (where s.state = 'failed') as failed,
    count(*) filter (where s.state = 'cancelled') as cancelled,
    max(s.finished_at) as finished_at
  from (
    select coalesce(o.state, (
        select case when c.worker_id is null then 'queued'
                    when w.lease_until > clock_timestamp() and exists (
                      select from precis_data.attempts a where a.job_no = j.job_no
                        and a.outcome = 'sent' and a.worker_id = c.worker_id)
                    then 'running'
                    else 'waiting' end
        from precis_data.claims c
        left join precis_data.workers w on w.id = c.worker_id
        where c.job_no = j.job_no), 'queued') as state, o.finished_at
    from (
      select k.job_no from precis_data.jobs k
      where k.tenant = b.tenant and k.batch = b.name and k.job_no > 0
      order by k.job_no) j
    left join (
      select e.job_no, e.state, e.finished_at from precis_data.outcomes e
      where e.tenant = b.tenant and e.batch = b.name and e.job_no > 0
      order by e.job_no) o on o.job_no = j.job_no
    left join (
      select distinct older.job_no from precis_data.jobs newer
      join precis_data.jobs older on older.tenant = newer.tenant and older.batch = newer.batch
        and older.id = newer.id and older.revision < newer.revision
      where newer.tenant = b.tenant and newer.batch = b.name
        and newer.revision > 0) replaced on replaced.job_no = j.job_no
    where replaced.job_no is null) s) n
cross join lateral (
  select count(*) as waiting from precis_data.later_messages l
  where coalesce(l.tenant, 'default') = b.tenant and coalesce(l.batch, 'default') = b.name) l
cross join lateral (
  select k.known, greatest(coalesce(b.sealed_total, 0), k.known) as total
  from (select n.queued + n.waiting + l.waiting + n.running + n.done + n.failed + n.cancelled
    as known) k) t
left join lateral (
  select coalesce(sum(a.cost_picousd), 0) as cost,
    coalesce(sum(a.at_most_picousd) filter (where a.outcome = 'in_doubt' or (a.outcome = 'sent'
      and not exists (select from precis_data.workers w
        where w.id = a.worker_id and w.lease_until > clock_timestamp()))), 0) as in_doubt
  from precis_data.jobs j join precis_data.attempts a on a.job_no = j.job_no
  where j.tenant = b.tenant and j.batch = b.name and j.job_no > 0) m on true
left join lateral (
  select min(j.submitted_at) as submitted_at from precis_data.jobs j
  where j.tenant = b.tenant and j.batch = b.name and j.job_no > 0) f on true;
