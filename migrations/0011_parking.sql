-- oldest-program: 0.1.0
-- Parking: jobs that wait here, with no worker, no slot and no place in Kafka. A parked job is a row
-- of `requeued` whose claim is nobody's; any worker takes it up again when it is due. The row stays
-- until the job has its outcome, so that a worker which ends loses nothing.

alter table precis_data.requeued
  add column tenant text collate "C",
  add column batch text collate "C",
  add column urgency smallint not null default 4, -- 9 - priority; -1: it is only to be ended
  add column deadline timestamptz not null default 'infinity',
  add column fails_at timestamptz,                -- with "on_deadline": "fail"
  add column tokens bigint not null default 0,    -- that it will use, as far as one knows
  add column bytes bigint not null default 0,     -- that it takes here, its document included
  add column reason text,                         -- NULL: reopened by `retry`
  add column after_batch text collate "C",        -- of its tenant; waits until that has ended
  add column ready boolean not null default false,
  add column parked_at timestamptz;
alter table precis_data.requeued alter column parked_at set default clock_timestamp();

update precis_data.requeued q set tenant = j.tenant, batch = j.batch, urgency = 9 - j.priority,
  deadline = coalesce(j.deadline, 'infinity')
from precis_data.jobs j where j.job_no = q.job_no;

drop index precis_data.requeued_due;
create index requeued_due on precis_data.requeued (due_at) where not ready;
create index requeued_ready on precis_data.requeued (urgency, tenant, deadline, job_no)
  where ready and taken_by is null;
create index requeued_taken on precis_data.requeued (taken_by, taken_serial)
  where taken_by is not null;
create index requeued_fails on precis_data.requeued (fails_at)
  where fails_at is not null and urgency >= 0;
create index requeued_after on precis_data.requeued (tenant, after_batch)
  where reason = 'batch' and not ready;
create index requeued_paused on precis_data.requeued (tenant, batch)
  where reason = 'paused' and not ready;

-- Whoever inserts a row needs to know nothing but the job.
create function precis_data.requeued_fill() returns trigger language plpgsql as $$
begin
  select j.tenant, j.batch, 9 - j.priority, coalesce(j.deadline, 'infinity')
    into new.tenant, new.batch, new.urgency, new.deadline
    from precis_data.jobs j where j.job_no = new.job_no;
  return new;
end $$;
create trigger requeued_fill before insert on precis_data.requeued
  for each row when (new.tenant is null) execute function precis_data.requeued_fill();

-- A parked job that is cancelled or superseded is due at once: a worker writes its end. Once a
-- statement, since a batch that is cancelled may have 100,000 of them. They are an array, so that each
-- is looked up by its key: this table is now empty, now full, and a join of what PostgreSQL holds for
-- a few rows looked at all of them for each. For the same reason no plan is kept.
create function precis_data.requeued_stop() returns trigger language plpgsql as $$
begin
  if exists (select from changed c where c.stop is not null and c.worker_id is null) then
    execute 'update precis_data.requeued q set ready = true, urgency = -1,'
      ' due_at = least(q.due_at, clock_timestamp()) where q.job_no = any(array('
      'select c.job_no from changed c where c.stop is not null and c.worker_id is null))'
      ' and q.urgency >= 0';
  end if;
  return null;
end $$;
create trigger requeued_stop after update on precis_data.claims
  referencing new table as changed
  for each statement execute function precis_data.requeued_stop();

-- When a batch was found to have ended: whoever waits `after` it may go.
alter table precis_data.batches add column ended_at timestamptz,
  add column end_looked_at timestamptz;

-- What is paused. Names: tenant/batch/id of a job, tenant/batch of a batch, a tenant, a model and a
-- key of the configuration; none for all.
create table precis_data.pauses (
  scope text not null check (scope in ('job', 'batch', 'tenant', 'model', 'key', 'all')),
  name text not null default '',
  paused_at timestamptz not null default clock_timestamp(),
  primary key (scope, name)
);

create view precis.pauses as select p.scope, p.name, p.paused_at from precis_data.pauses p;

create function precis_data.pause_covers(scope text, name text, tenant text, batch text,
  job_no bigint) returns boolean language sql stable as $$
  select case scope when 'all' then true
    when 'tenant' then name = tenant
    when 'batch' then name = tenant || '/' || batch
    when 'job' then name like tenant || '/' || batch || '/%' and exists (
      select from precis_data.jobs j where j.job_no = pause_covers.job_no
        and name = j.tenant || '/' || j.batch || '/' || j.id)
    else false end
$$;

-- What waits here for its turn is told of a pause and of its end, so that workers do not take it up
-- in vain. Models and keys are chosen by workers: those find out, and park what they have taken.
create function precis_data.pauses_changed() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    update precis_data.requeued q set ready = false, due_at = 'infinity', reason = 'paused'
    where q.ready and q.taken_by is null and q.urgency >= 0
      and precis_data.pause_covers(new.scope, new.name, q.tenant, q.batch, q.job_no);
  else
    update precis_data.requeued q set due_at = clock_timestamp()
    where q.reason = 'paused' and not q.ready
      and (old.scope in ('model', 'key')
        or precis_data.pause_covers(old.scope, old.name, q.tenant, q.batch, q.job_no))
      and not exists (select from precis_data.pauses p
        where precis_data.pause_covers(p.scope, p.name, q.tenant, q.batch, q.job_no));
  end if;
  perform pg_notify('precis', 'pause');
  return null;
end $$;
create trigger pauses_changed after insert or delete on precis_data.pauses
  for each row execute function precis_data.pauses_changed();

-- How much is parked, counted now and then by one worker for all.
create table precis_data.park_count (
  one boolean primary key default true check (one),
  rows bigint not null default 0,
  bytes bigint not null default 0,
  counted_at timestamptz not null default '-infinity'
);
insert into precis_data.park_count default values;

-- A parked job waits; one that `retry` has reopened is queued, as before.
create or replace view precis.jobs as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels, j.kind, s.state,
  case when s.state <> 'waiting' then null
       when c.worker_id is null and (q.ready or q.due_at <= clock_timestamp()) then 'order'
       when c.worker_id is null then q.reason
       when w.lease_until > clock_timestamp() then coalesce(j.waiting_for, 'order')
       else 'claimed' end as waiting_for,
  case when s.state <> 'waiting' then null
       when c.worker_id is null then case when not q.ready
         then coalesce(j.earliest_start_at, nullif(q.due_at, 'infinity')) end
       else j.earliest_start_at end as earliest_start_at,
  j.priority::integer as priority, j.deadline, a.attempts, o.error_code, o.error, o.suggestion,
  j.submitted_at, a.started_at, o.finished_at, coalesce(f.name, w.name) as worker,
  j.topic as kafka_topic, j.partition as kafka_partition, j.kafka_offset,
  trim_scale(a.cost * 0.000000000001) as cost_usd
from precis_data.jobs j
left join precis_data.outcomes o on o.job_no = j.job_no
left join precis_data.claims c on c.job_no = j.job_no
left join precis_data.workers w on w.id = c.worker_id
left join lateral ( -- `offset`: looked up for each job, never joined; see requeued_stop
  select r.ready, r.due_at, r.reason from precis_data.requeued r
  where r.job_no = j.job_no offset 0) q on true
left join precis_data.workers f on f.id = o.worker_id
left join lateral (
  select case when o.state is not null then o.state
              when c.worker_id is null then case when q.reason is null then 'queued'
                else 'waiting' end
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

-- The counts, by plans that grow with the batch whatever PostgreSQL believes about its tables: just
-- after 100,000 jobs were ended nobody has analyzed them yet, and a join of two lists that are held
-- for short was 100,000 times 100,000. So jobs and outcomes are laid together and grouped, and the
-- rest is looked up for each job (`limit`, aggregates and subqueries in an expression are no joins).
-- Of a job's revisions only the newest counts: each newer one marks the one before it, and `replaced`
-- is the greatest of the states. Who asks for names alone counts nothing: `left join` of one row.
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
  least(b.created_at, m.submitted_at) as submitted_at,
  case when n.done + n.failed + n.cancelled >= t.total and b.sealed_total is not null
    then n.finished_at end as finished_at
from precis_data.batches b
left join lateral (
  select count(*) filter (where s.state = 'queued') as queued,
    count(*) filter (where s.state = 'waiting') as waiting,
    count(*) filter (where s.state = 'running') as running,
    count(*) filter (where s.state = 'done') as done,
    count(*) filter (where s.state = 'failed') as failed,
    count(*) filter (where s.state = 'cancelled') as cancelled,
    max(s.finished_at) as finished_at
  from (
    select coalesce(max(e.state), (
        select case when c.worker_id is null then case when exists (
                      select from precis_data.requeued q where q.job_no = e.job_no
                        and q.reason is not null)
                      then 'waiting' else 'queued' end
                    when exists (
                      select from precis_data.workers w where w.id = c.worker_id
                        and w.lease_until > clock_timestamp()) and exists (
                      select from precis_data.attempts a where a.job_no = e.job_no
                        and a.outcome = 'sent' and a.worker_id = c.worker_id)
                    then 'running'
                    else 'waiting' end
        from precis_data.claims c where c.job_no = e.job_no), 'queued') as state,
      max(e.finished_at) as finished_at
    from (
      select k.job_no, null::text as state, null::timestamptz as finished_at
      from precis_data.jobs k
      where k.tenant = b.tenant and k.batch = b.name and k.job_no > 0
      union all
      select o.job_no, o.state, o.finished_at from precis_data.outcomes o
      where o.tenant = b.tenant and o.batch = b.name and o.job_no > 0
      union all
      select older.job_no, 'replaced', null from precis_data.jobs newer
      cross join lateral (
        select k.job_no from precis_data.jobs k
        where k.tenant = newer.tenant and k.batch = newer.batch and k.id = newer.id
          and k.revision < newer.revision
        order by k.revision desc limit 1) older
      where newer.tenant = b.tenant and newer.batch = b.name and newer.revision > 0) e
    group by e.job_no having max(e.state) is distinct from 'replaced') s) n on true
left join lateral (
  select count(*) as waiting from precis_data.later_messages l
  where coalesce(l.tenant, 'default') = b.tenant
    and coalesce(l.batch, 'default') = b.name) l on true
cross join lateral (
  select k.known, greatest(coalesce(b.sealed_total, 0), k.known) as total
  from (select n.queued + n.waiting + l.waiting + n.running + n.done + n.failed + n.cancelled
    as known) k) t
left join lateral (
  select min(j.submitted_at) as submitted_at, coalesce(sum(a.cost), 0) as cost,
    coalesce(sum(a.in_doubt), 0) as in_doubt
  from precis_data.jobs j
  cross join lateral (
    select sum(a.cost_picousd) as cost, sum(a.at_most_picousd) filter (where case a.outcome
        when 'in_doubt' then true
        when 'sent' then not exists (select from precis_data.workers w
          where w.id = a.worker_id and w.lease_until > clock_timestamp()) end) as in_doubt
    from precis_data.attempts a where a.job_no = j.job_no) a
  where j.tenant = b.tenant and j.batch = b.name and j.job_no > 0) m on true;
