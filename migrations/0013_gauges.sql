-- oldest-program: 0.1.0
-- What /metrics says of the whole fleet: how much of the limits is used, what is left of budgets,
-- how long the work that is there will take, and how many workers could be fed. Each worker asks
-- every ten seconds and says what it holds; one of them measures for all, every fifteen.

create unlogged table precis_data.gauges (
  only_row boolean primary key default true check (only_row),
  measured_at timestamptz not null default '-infinity',
  found jsonb not null default '[]'
);

-- What each worker has: messages of its partitions without an outcome (what is parked has none
-- there), calls that it can have under way.
create unlogged table precis_data.gauge_workers (
  worker_id bigint primary key,
  unread bigint not null,
  calls bigint not null,
  told_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- Of the last minute, by model: what it used, how long calls took, and how many jobs a minute its
-- limits could carry at that use (as many as there were, where it has none).
create function precis_data.measure_models()
returns table (model text, jobs_possible numeric, calls_possible numeric, used numeric[],
  limits numeric[]) language sql stable as $$
  with used as (
    select a.model, a.provider, a.key_name, count(*) as requests, count(distinct a.job_no) as jobs,
      coalesce(sum(a.input_tokens), 0) as input, coalesce(sum(a.output_tokens), 0) as output,
      avg(a.duration_ms) as ms
    from precis_data.attempts a
    where a.sent_at > clock_timestamp() - interval '1 minute' and a.outcome <> 'cancelled'
    group by 1, 2, 3),
  lanes as (
    select l.model, l.rate, l.configured[7] as slots, u.jobs, u.requests, u.ms,
      array[coalesce(u.requests, 0), coalesce(u.input, 0), coalesce(u.output, 0),
        coalesce(u.input + u.output, 0)] as used
    from precis_data.quota_lanes l
    left join used u on u.model = l.model and u.provider = l.provider and u.key_name = l.key_name
    where exists (select from precis_data.quota_workers q where q.lane_id = l.id
      and q.asked_at > extract(epoch from clock_timestamp()) * 1000000 - 600000000)),
  models as (
    select m.model, sum(m.jobs) as jobs, sum(m.requests) as requests,
      greatest(coalesce(sum(m.ms * m.requests)
        / nullif(sum(m.requests) filter (where m.ms is not null), 0), 5000), 1) as ms,
      case when min(m.slots) > 0 then sum(m.slots) end as slots,
      array[sum(m.used[1]), sum(m.used[2]), sum(m.used[3]), sum(m.used[4])]::numeric[] as used,
      array[case when min(m.rate[1]) > 0 then sum(m.rate[1]) end,
        case when min(m.rate[2]) > 0 then sum(m.rate[2]) end,
        case when min(m.rate[3]) > 0 then sum(m.rate[3]) end,
        case when min(m.rate[4]) > 0 then sum(m.rate[4]) end]::numeric[] as limits
    from lanes m group by 1)
  select m.model, least(p.jobs, m.slots * 60000 / m.ms / p.each),
    least(least(p.jobs, m.slots * 60000 / m.ms / p.each) * p.each * m.ms / 60000, m.slots),
    m.used, m.limits
  from models m
  cross join lateral (select greatest(coalesce(m.requests / nullif(m.jobs, 0), 1), 0.01) as each) e
  cross join lateral (
    select e.each, coalesce(least(m.limits[1] / e.each,
      m.limits[2] * m.jobs / nullif(m.used[2], 0), m.limits[3] * m.jobs / nullif(m.used[3], 0),
      m.limits[4] * m.jobs / nullif(m.used[4], 0)), m.jobs, 0)::numeric as jobs) p
$$;

-- Values are thousandths. No tenant, batch or job is in a label. A worker is worth starting while
-- calls that the limits allow find no place, 500 jobs a second each at most; before anything is
-- parked, not more than there are partitions.
create function precis_data.measure(a_group text) returns jsonb language sql stable as $$
  with models as (select * from precis_data.measure_models()),
  fleet as (
    select coalesce(sum(g.unread), 0) + (select c.rows from precis_data.park_count c)
        as work,
      (select c.rows from precis_data.park_count c) as parked,
      greatest(coalesce(min(g.calls), 1), 1) as calls_each
    from precis_data.gauge_workers g
    join precis_data.workers w on w.id = g.worker_id and w.lease_until > clock_timestamp()),
  able as (
    select coalesce(sum(m.jobs_possible), 0) as jobs, coalesce(sum(m.calls_possible), 0) as calls
    from models m),
  found (name, label, second, milli) as (
    select 'precis_quota_used_ratio', m.model, d.name,
      round(m.used[d.place] * 1000 / m.limits[d.place])
    from models m cross join (values ('requests', 1), ('input', 2), ('output', 3), ('tokens', 4))
      d (name, place)
    where m.limits[d.place] > 0
    union all
    select 'precis_budget_left_ratio', b.scope, null,
      floor(min(greatest(b.left_usd, 0) * 1000 / nullif(b.limit_usd, 0)))
    from precis.budgets b where b.limit_usd > 0 group by b.scope
    union all
    select 'precis_drain_seconds', null, null,
      case when f.work = 0 then 0 else least(round(f.work * 60000 / a.jobs), 1e15) end
    from fleet f, able a where f.work = 0 or a.jobs > 0
    union all
    select 'precis_workers_wanted', null, null,
      least(greatest(ceil(a.calls / f.calls_each), ceil(a.jobs / 30000), 1), greatest(f.work, 1),
        case when f.parked > 0 then null else greatest(1, (
          select count(*) from precis_data.partitions p where p.consumer_group = a_group)) end)
        * 1000
    from fleet f, able a)
  select coalesce(jsonb_agg(jsonb_build_object('name', q.name, 'label', q.label, 'second',
    q.second, 'milli', q.milli::bigint)), '[]') from found q
$$;

create function precis_data.gauges(a_worker bigint, a_group text, a_unread bigint, a_calls bigint)
returns table (name text, label text, second text, milli bigint) language plpgsql as $$
begin
  insert into precis_data.gauge_workers as g (worker_id, unread, calls)
  values (a_worker, a_unread, a_calls)
  on conflict (worker_id) do update set unread = excluded.unread, calls = excluded.calls, told_at = clock_timestamp();
  insert into precis_data.gauges default values on conflict do nothing;
  perform from precis_data.gauges g
    where g.measured_at < clock_timestamp() - interval '15 seconds' for update skip locked;
  if found then
    delete from precis_data.gauge_workers g where g.told_at < clock_timestamp() - interval '1 day';
    begin
      update precis_data.gauges g set measured_at = clock_timestamp(),
        found = precis_data.measure(a_group);
    exception when others then -- numbers to look at stop no worker
      update precis_data.gauges g set measured_at = clock_timestamp(), found = '[]';
    end;
  end if;
  return query select r.name, r.label, r.second, r.milli from precis_data.gauges g
    cross join lateral jsonb_to_recordset(g.found)
      as r(name text, label text, second text, milli bigint);
end $$;
