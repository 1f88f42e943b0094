-- oldest-program: 0.1.0
-- What users read: schema `precis`. Names, order and meaning of the columns are the public
-- contract. Money leaves as numeric USD, exact; NULL where the cost is not known.

-- A job's state is derived, never stored: an outcome is final; a claim that nobody holds is queued
-- again; `running` means that a request of a live worker is under way.
create view precis_data.job_states as
select j.tenant, j.batch, j.id, j.revision, j.job_no,
  case when o.state is not null then o.state
       when c.worker_id is null then 'queued'
       when w.lease_until > clock_timestamp() and exists (
         select from precis_data.attempts a
         where a.job_no = j.job_no and a.outcome = 'sent' and a.worker_id = c.worker_id)
       then 'running'
       else 'waiting' end as state,
  case when w.lease_until > clock_timestamp() then coalesce(j.waiting_for, 'order')
       else 'claimed' end as reason,
  o.finished_at
from precis_data.jobs j
left join precis_data.outcomes o on o.job_no = j.job_no
left join precis_data.claims c on c.job_no = j.job_no
left join precis_data.workers w on w.id = c.worker_id
union all
select coalesce(l.tenant, 'default'), coalesce(l.batch, 'default'),
  l.topic || ':' || l.partition || ':' || l.kafka_offset, 0, null, 'waiting', 'version', null
from precis_data.later_messages l;

create view precis.jobs as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels, j.kind, s.state,
  case when s.state = 'waiting' then s.reason end as waiting_for,
  case when s.state = 'waiting' then j.earliest_start_at end as earliest_start_at,
  j.priority::integer as priority, j.deadline, a.attempts, o.error_code, o.error, o.suggestion,
  j.submitted_at, a.started_at, o.finished_at, w.name as worker,
  j.topic as kafka_topic, j.partition as kafka_partition, j.kafka_offset,
  trim_scale(a.cost * 0.000000000001) as cost_usd
from precis_data.jobs j
join precis_data.job_states s on s.tenant = j.tenant and s.batch = j.batch and s.id = j.id
  and s.revision = j.revision and s.job_no = j.job_no
left join precis_data.outcomes o on o.job_no = j.job_no
left join precis_data.claims c on c.job_no = j.job_no
left join precis_data.workers w on w.id = coalesce(o.worker_id, c.worker_id)
cross join lateral (
  select count(*)::integer as attempts, min(coalesce(a.started_at, a.sent_at)) as started_at,
    coalesce(sum(a.cost_picousd), 0) as cost
  from precis_data.attempts a where a.job_no = j.job_no) a
union all
select coalesce(l.tenant, 'default'), coalesce(l.batch, 'default'),
  l.topic || ':' || l.partition || ':' || l.kafka_offset, 0, '{}'::jsonb, null, 'waiting', 'version',
  null, null, null, 0, null, null, null,
  to_timestamp(nullif(l.kafka_timestamp, -1) / 1000.0), null, null, null,
  l.topic, l.partition, l.kafka_offset, 0
from precis_data.later_messages l;

create view precis.summaries as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  s.summary, s.key_points, s.output, s.warnings, s.document_name, s.document_uri,
  s.document_sha256, s.language, s.pages, s.model, s.response_model, s.prompt_version,
  s.cached_from, a.input_tokens, a.output_tokens, trim_scale(a.cost * 0.000000000001) as cost_usd,
  o.finished_at
from precis_data.summaries s
join precis_data.jobs j on j.job_no = s.job_no
join precis_data.outcomes o on o.job_no = s.job_no
cross join lateral (
  select coalesce(sum(a.input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(a.output_tokens), 0)::bigint as output_tokens,
    coalesce(sum(a.cost_picousd), 0) as cost
  from precis_data.attempts a where a.job_no = s.job_no) a;

create view precis.citations as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  c.point, c.path, c.quote, c.found, c.page, c.char_start, c.char_end
from precis_data.citations c
join precis_data.jobs j on j.job_no = c.job_no;

-- call_id is tenant/batch/id/revision/n, where n is the call's number, and "plan.call" for calls
-- of a second or later plan; step is the call's number within its plan.
create view precis.costs as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  j.tenant || '/' || j.batch || '/' || j.id || '/' || j.revision || '/'
    || case when a.plan_no > 1 then a.plan_no || '.' else '' end || a.call_no as call_id,
  a.call_no as step, a.attempt_no as attempt, a.provider, a.model, a.response_model, a.key_name,
  a.reasoning_mode, a.outcome, a.http_status, a.error_code, a.input_tokens,
  a.cached_input_tokens, a.output_tokens, a.reasoning_tokens,
  trim_scale(a.cost_picousd * 0.000000000001) as cost_usd,
  case when a.outcome in ('sent', 'in_doubt')
    then trim_scale(a.at_most_picousd * 0.000000000001) end as at_most_usd,
  a.cost_source, a.price_version,
  trim_scale(a.cost_reported_picousd * 0.000000000001) as cost_reported_usd,
  a.request_id, a.finish_reason, coalesce(a.started_at, a.sent_at) as started_at, a.ttft_ms,
  a.duration_ms
from precis_data.attempts a
join precis_data.jobs j on j.job_no = a.job_no;

-- No tool runs yet; the columns are the contract's.
create view precis.tool_traces as
select j.tenant, j.batch, j.id as job_id, j.revision, j.labels,
  null::integer as step, null::text as call_id, null::text as tool, null::text as effect,
  null::jsonb as arguments, null::jsonb as result, null::boolean as is_error,
  null::integer as attempt, null::timestamptz as started_at, null::bigint as duration_ms
from precis_data.jobs j
where false;

-- Counts are of the newest revisions and add up to total; money is of all of them. Jobs of a
-- sealed batch that no worker has read yet are queued.
create view precis.batches as
select b.tenant, b.name as batch,
  case when b.sealed_total is null then 'open'
       when n.done + n.failed + n.cancelled >= t.total then 'ended'
       else 'sealed' end as state,
  t.total, t.total - n.known + n.queued as queued, n.waiting, n.running, n.done, n.failed,
  n.cancelled, trim_scale(m.cost * 0.000000000001) as cost_usd,
  trim_scale(m.in_doubt * 0.000000000001) as in_doubt_usd,
  trim_scale(b.budget_picousd * 0.000000000001) as budget_usd,
  least(b.created_at, m.submitted_at) as submitted_at,
  case when n.done + n.failed + n.cancelled >= t.total and b.sealed_total is not null
    then n.finished_at end as finished_at
from precis_data.batches b
cross join lateral (
  select count(*) as known, count(*) filter (where s.state = 'queued') as queued,
    count(*) filter (where s.state = 'waiting') as waiting,
    count(*) filter (where s.state = 'running') as running,
    count(*) filter (where s.state = 'done') as done,
    count(*) filter (where s.state = 'failed') as failed,
    count(*) filter (where s.state = 'cancelled') as cancelled,
    max(s.finished_at) as finished_at
  from precis_data.job_states s
  where s.tenant = b.tenant and s.batch = b.name and not exists (
    select from precis_data.jobs newer
    where newer.tenant = s.tenant and newer.batch = s.batch and newer.id = s.id
      and newer.revision > s.revision)) n
cross join lateral (select greatest(coalesce(b.sealed_total, 0), n.known) as total) t
cross join lateral (
  select coalesce(sum(a.cost_picousd), 0) as cost, min(j.submitted_at) as submitted_at,
    coalesce(sum(a.at_most_picousd) filter (where a.outcome = 'in_doubt' or (a.outcome = 'sent'
      and coalesce(w.lease_until, '-infinity') <= clock_timestamp())), 0) as in_doubt
  from precis_data.jobs j
  left join precis_data.attempts a on a.job_no = j.job_no
  left join precis_data.workers w on w.id = a.worker_id
  where j.tenant = b.tenant and j.batch = b.name) m;

create view precis.dead_letters as
select d.tenant, d.batch, d.job_id, d.revision, j.labels, d.id, d.code as error_code, d.error,
  d.suggestion, d.attempts, d.topic as kafka_topic, d.partition as kafka_partition,
  d.kafka_offset, to_timestamp(nullif(d.kafka_timestamp, -1) / 1000.0) as kafka_timestamp,
  d.key, d.value, d.headers, d.worker, d.failed_at, d.announced_at, d.replayed_at, d.dropped_at
from precis_data.dead_letters d
left join precis_data.jobs j on j.tenant = d.tenant and j.batch = d.batch and j.id = d.job_id
  and j.revision = d.revision;

-- What each key and model did in the last minute.
create view precis.quota as
select a.provider, a.model, a.key_name, count(*) as requests,
  count(*) filter (where a.outcome = 'sent') as in_flight,
  count(*) filter (where a.outcome = 'throttled') as throttled,
  coalesce(sum(a.input_tokens), 0)::bigint as input_tokens,
  coalesce(sum(a.output_tokens), 0)::bigint as output_tokens
from precis_data.attempts a
where a.sent_at > clock_timestamp() - interval '1 minute'
group by a.provider, a.model, a.key_name;

create view precis.workers as
select w.name as worker, w.host, w.pid, w.version, w.consumer_group,
  case when w.ended_at is not null then 'ended'
       when w.lease_until > clock_timestamp() then 'live'
       else 'lost' end as state,
  w.http_listen, w.started_at, w.lease_until, w.unbroken_since, w.ended_at
from precis_data.workers w;

create view precis.costs_daily as
select (a.sent_at at time zone 'UTC')::date as day, j.tenant, j.batch, a.provider, a.model,
  a.key_name, count(*) as attempts, coalesce(sum(a.input_tokens), 0)::bigint as input_tokens,
  coalesce(sum(a.cached_input_tokens), 0)::bigint as cached_input_tokens,
  coalesce(sum(a.output_tokens), 0)::bigint as output_tokens,
  coalesce(sum(a.reasoning_tokens), 0)::bigint as reasoning_tokens,
  trim_scale(coalesce(sum(a.cost_picousd), 0) * 0.000000000001) as cost_usd,
  count(*) filter (where a.outcome = 'in_doubt') as in_doubt,
  trim_scale(coalesce(sum(a.at_most_picousd) filter (where a.outcome = 'in_doubt'), 0)
    * 0.000000000001) as in_doubt_usd
from precis_data.attempts a
join precis_data.jobs j on j.job_no = a.job_no
group by 1, 2, 3, 4, 5, 6;
