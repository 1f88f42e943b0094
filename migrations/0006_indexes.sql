-- oldest-program: 0.1.0
-- What was asked for, for readers; and what makes counting and finding jobs cheaper.

-- The parameters of a job's message, its members in the order in which they were written (the
-- columns of a CSV are those of its output_schema), and its document. job_no is the order in which
-- workers took the jobs up: each branch reads one table, so that PostgreSQL can list the newest by an
-- index, without sorting all.
create view precis.requests as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels, j.kind, j.model,
  nullif(j.spec, '')::json -> j.kind as parameters, j.document_name, j.document_sha256,
  nullif(j.spec, '')::json #>> '{document,url}' as document_url,
  (select d.size from precis_data.documents d
   where d.sha256 = j.document_sha256) as document_bytes,
  (select d.media_type from precis_data.documents d
   where d.sha256 = j.document_sha256) as media_type,
  (select t.pages from precis_data.texts t where t.document_sha256 = j.document_sha256
   order by t.created_at desc limit 1) as pages, j.job_no
from precis_data.jobs j
union all
select coalesce(l.tenant, 'default'), coalesce(l.batch, 'default'),
  l.topic || ':' || l.partition || ':' || l.kafka_offset, 0::bigint, '{}'::jsonb, null, null, null,
  null, null, null, null::bigint, null, null::integer, null::bigint
from precis_data.later_messages l;

-- A batch's jobs and how they ended, without their names: 500,000 are counted by reading two
-- indexes side by side. They cost 2 and 3 microseconds of CPU and 130 and 150 bytes of WAL a job.
create index jobs_of_batch on precis_data.jobs (tenant, batch, job_no) include (submitted_at);
create index outcomes_of_batch on precis_data.outcomes (tenant, batch, job_no)
  include (state, finished_at);
-- Which job came from a message (asked for a suspect only): next to nothing, and a millisecond.
create index jobs_kafka_offset on precis_data.jobs using brin (kafka_offset)
  with (pages_per_range = 32, autosummarize = on);

-- The same counts: the jobs and the outcomes of a batch are read in the order of job_no, and claims
-- are looked up only for the jobs that have no outcome.
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
      where k.tenant = b.tenant and k.batch = b.name order by k.job_no) j
    left join (
      select e.job_no, e.state, e.finished_at from precis_data.outcomes e
      where e.tenant = b.tenant and e.batch = b.name order by e.job_no) o on o.job_no = j.job_no
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
  where j.tenant = b.tenant and j.batch = b.name) m on true
left join lateral (
  select min(j.submitted_at) as submitted_at from precis_data.jobs j
  where j.tenant = b.tenant and j.batch = b.name) f on true;
