-- oldest-program: 0.1.0
-- The same views, made so that PostgreSQL reads less for them: a page of jobs reads the attempts of
-- that page, and the counts of a batch join claims and workers only for the jobs that have not
-- ended, which it finds by comparing two keys.

-- Revisions over 0 are rare; what looks for newer ones looks here.
create index jobs_revised on precis_data.jobs (tenant, batch, id, revision) where revision > 0;

create or replace view precis.jobs as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels, j.kind, s.state,
  case when s.state <> 'waiting' then null
       when w.lease_until > clock_timestamp() then coalesce(j.waiting_for, 'order')
       else 'claimed' end as waiting_for,
  case when s.state = 'waiting' then j.earliest_start_at end as earliest_start_at,
  j.priority::integer as priority, j.deadline, a.attempts, o.error_code, o.error, o.suggestion,
  j.submitted_at, a.started_at, o.finished_at, coalesce(f.name, w.name) as worker,
  j.topic as kafka_topic, j.partition as kafka_partition, j.kafka_offset,
  trim_scale(a.cost * 0.000000000001) as cost_usd
from precis_data.jobs j
left join precis_data.outcomes o on o.job_no = j.job_no
left join precis_data.claims c on c.job_no = j.job_no
left join precis_data.workers w on w.id = c.worker_id
left join precis_data.workers f on f.id = o.worker_id
left join lateral (
  select case when o.state is not null then o.state
              when c.worker_id is null then 'queued'
              when w.lease_until > clock_timestamp() and exists (
                select from precis_data.attempts a where a.job_no = j.job_no
                  and a.outcome = 'sent' and a.worker_id = c.worker_id)
              then 'running'
              else 'waiting' end as state) s on true
left join lateral (
  select count(*)::integer as attempts, min(coalesce(a.started_at, a.sent_at)) as started_at,
    coalesce(sum(a.cost_picousd), 0) as cost
  from precis_data.attempts a where a.job_no = j.job_no) a on true
union all
select coalesce(l.tenant, 'default'), coalesce(l.batch, 'default'),
  l.topic || ':' || l.partition || ':' || l.kafka_offset, 0, '{}'::jsonb, null, 'waiting', 'version',
  null, null, null, 0, null, null, null,
  to_timestamp(nullif(l.kafka_timestamp, -1) / 1000.0), null, null, null,
  l.topic, l.partition, l.kafka_offset, 0
from precis_data.later_messages l;

-- `offset 0` keeps the comparison of the keys before the joins.
create or replace view precis.batches as
select b.tenant, b.name as batch,
  case when b.sealed_total is null then 'open'
       when e.done + e.failed + e.cancelled >= t.total then 'ended'
       else 'sealed' end as state,
  t.total, t.total - t.known + n.queued as queued, n.waiting, n.running, e.done, e.failed,
  e.cancelled,
  trim_scale(m.cost * 0.000000000001) as cost_usd,
  trim_scale(m.in_doubt * 0.000000000001) as in_doubt_usd,
  trim_scale(b.budget_picousd * 0.000000000001) as budget_usd,
  least(b.created_at, m.submitted_at) as submitted_at,
  case when e.done + e.failed + e.cancelled >= t.total and b.sealed_total is not null
    then e.finished_at end as finished_at
from precis_data.batches b
cross join lateral (
  select count(*) filter (where s.state = 'queued') as queued,
    count(*) filter (where s.state = 'waiting') as waiting,
    count(*) filter (where s.state = 'running') as running
  from (
    select case when c.worker_id is null then 'queued'
                when w.lease_until > clock_timestamp() and exists (
                  select from precis_data.attempts a
                  where a.job_no = j.job_no and a.outcome = 'sent' and a.worker_id = c.worker_id)
                then 'running'
                else 'waiting' end as state
    from (
      select k.id, k.revision from precis_data.jobs k
      where k.tenant = b.tenant and k.batch = b.name and not exists (
          select from precis_data.outcomes o where o.tenant = k.tenant and o.batch = k.batch
            and o.id = k.id and o.revision = k.revision)
        and not exists (
          select from precis_data.jobs newer where newer.tenant = k.tenant
            and newer.batch = k.batch and newer.id = k.id and newer.revision > k.revision
            and newer.revision > 0)
      offset 0) k
    join precis_data.jobs j on j.tenant = b.tenant and j.batch = b.name and j.id = k.id
      and j.revision = k.revision
    left join precis_data.claims c on c.job_no = j.job_no
    left join precis_data.workers w on w.id = c.worker_id
    union all
    select 'waiting' from precis_data.later_messages l
    where coalesce(l.tenant, 'default') = b.tenant and coalesce(l.batch, 'default') = b.name) s) n
cross join lateral (
  select count(*) filter (where o.state = 'done') as done,
    count(*) filter (where o.state = 'failed') as failed,
    count(*) filter (where o.state = 'cancelled') as cancelled,
    max(o.finished_at) as finished_at
  from precis_data.outcomes o
  where o.tenant = b.tenant and o.batch = b.name and not exists (
    select from precis_data.jobs newer where newer.tenant = o.tenant and newer.batch = o.batch
      and newer.id = o.id and newer.revision > o.revision and newer.revision > 0)) e
cross join lateral (
  select k.known, greatest(coalesce(b.sealed_total, 0), k.known) as total
  from (select n.queued + n.waiting + n.running + e.done + e.failed + e.cancelled as known) k) t
left join lateral (
  select coalesce(sum(a.cost_picousd), 0) as cost, min(j.submitted_at) as submitted_at,
    coalesce(sum(a.at_most_picousd) filter (where a.outcome = 'in_doubt' or (a.outcome = 'sent'
      and not exists (select from precis_data.workers w
        where w.id = a.worker_id and w.lease_until > clock_timestamp()))), 0) as in_doubt
  from precis_data.jobs j left join precis_data.attempts a on a.job_no = j.job_no
  where j.tenant = b.tenant and j.batch = b.name) m on true;

drop view precis_data.job_states;
