-- oldest-program: 0.1.0
-- Money as a wall. A budget is an amount for a scope (all, a tenant, a batch, a provider, a key) and
-- a period (a day or a month, UTC, or life). What is used of it is the sum over the ledger of what
-- attempts cost, and of what those may have cost that are under way or in doubt; triggers on the
-- ledger keep that sum, so that nobody who writes there can forget it. A call whose upper bound does
-- not fit gets no row in the ledger, and without one nothing leaves.
--
-- Whoever writes to the ledger reads the table of budgets in the same transaction, and so holds its
-- lightest lock until the end. Who changes a budget takes the heaviest: what was written before is
-- then seen and summed up, what is written after sees the budget.

create table precis_data.budgets (
  scope text not null check (scope in ('all', 'tenant', 'batch', 'provider', 'key')),
  name text not null,                  -- '', tenant, tenant/batch, provider, provider/key
  period text not null check (period in ('day', 'month', 'life')),
  limit_picousd bigint check (limit_picousd >= 0), -- NULL: none, whatever a configuration says
  at_wall text not null check (at_wall in ('wait', 'cheaper', 'fail')),
  configured boolean not null,         -- by workers' precis.yaml; else by a command, which wins
  changed_at timestamptz not null default clock_timestamp(),
  primary key (scope, name, period)
);

-- A row a budget and period. Numbers are numeric, since no sum over a life may overflow.
create table precis_data.budget_use (
  scope text not null,
  name text not null,
  period text not null,
  starts_on date not null,
  spent_picousd numeric not null default 0,
  reserved_picousd numeric not null default 0, -- of attempts that are `sent`
  doubt_picousd numeric not null default 0,
  primary key (scope, name, period, starts_on)
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

create function precis_data.budget_start(period text, at timestamptz) returns date
language sql stable as $$
  select case period when 'day' then (at at time zone 'UTC')::date
    when 'month' then date_trunc('month', at at time zone 'UTC')::date
    else date '0001-01-01' end
$$;

-- NULL: never.
create function precis_data.budget_end(period text, at timestamptz) returns timestamptz
language sql stable as $$
  select case period
    when 'day' then (date_trunc('day', at at time zone 'UTC') + interval '1 day') at time zone 'UTC'
    when 'month' then (date_trunc('month', at at time zone 'UTC') + interval '1 month')
      at time zone 'UTC' end
$$;

-- What a call belongs to.
create function precis_data.budget_scopes(tenant text, batch text, provider text, key_name text)
returns table (scope text, name text) language sql immutable as $$
  values ('all', ''), ('tenant', tenant), ('batch', tenant || '/' || batch), ('provider', provider),
    ('key', provider || '/' || key_name)
$$;

-- Which of the asked calls do not fit, by their places from 1: those before them go first, and what
-- they take is not there for the next. Locks the use of the budgets until the transaction ends.
create function precis_data.budget_refuses(jobs bigint[], providers text[], key_names text[],
  most bigint[]) returns bigint[] language plpgsql as $$
declare
  refused bigint[] := '{}';
  scopes text[] := '{}';
  names text[] := '{}';
  lefts numeric[] := '{}';
  asked record;
  place integer;
  fits boolean;
begin
  if not exists (select from precis_data.budgets b where b.limit_picousd is not null) then
    return refused;
  end if;
  insert into precis_data.budget_use (scope, name, period, starts_on)
  select distinct b.scope, b.name, b.period, precis_data.budget_start(b.period, now())
  from unnest(jobs, providers, key_names) a(job_no, provider, key_name)
  join precis_data.jobs j on j.job_no = a.job_no
  cross join lateral precis_data.budget_scopes(j.tenant, j.batch, a.provider, a.key_name) s
  join precis_data.budgets b on b.scope = s.scope and b.name = s.name
  where b.limit_picousd is not null
  order by 1, 2, 3, 4 on conflict do nothing;
  for asked in
    select b.scope, b.name,
      b.limit_picousd - u.spent_picousd - u.reserved_picousd - u.doubt_picousd as room
    from precis_data.budget_use u
    join precis_data.budgets b on b.scope = u.scope and b.name = u.name and b.period = u.period
    where b.limit_picousd is not null and u.starts_on = precis_data.budget_start(u.period, now())
      and (u.scope, u.name) in (
        select s.scope, s.name from unnest(jobs, providers, key_names) a(job_no, provider, key_name)
        join precis_data.jobs j on j.job_no = a.job_no
        cross join lateral precis_data.budget_scopes(j.tenant, j.batch, a.provider, a.key_name) s)
    order by u.scope, u.name, u.period, u.starts_on for update of u
  loop
    scopes := scopes || asked.scope;
    names := names || asked.name;
    lefts := lefts || asked.room;
  end loop;
  for asked in
    select a.ord, a.most, array_agg(k.place::integer) as places
    from unnest(jobs, providers, key_names, most) with ordinality
      as a(job_no, provider, key_name, most, ord)
    join precis_data.jobs j on j.job_no = a.job_no
    cross join lateral precis_data.budget_scopes(j.tenant, j.batch, a.provider, a.key_name) s
    join unnest(scopes, names) with ordinality as k(scope, name, place)
      on k.scope = s.scope and k.name = s.name
    group by a.ord, a.most order by a.ord
  loop
    fits := true;
    foreach place in array asked.places loop
      fits := fits and lefts[place] >= asked.most;
    end loop;
    if not fits then
      refused := refused || asked.ord;
      continue;
    end if;
    foreach place in array asked.places loop
      lefts[place] := lefts[place] - asked.most;
    end loop;
  end loop;
  return refused;
end $$;

-- The budget that a call does not fit into, the strictest of several. `may_free`: calls are under
-- way that may cost less than was reserved for them.
create function precis_data.budget_wall(job bigint, provider text, key_name text, most bigint)
returns table (scope text, name text, period text, at_wall text, limit_picousd bigint,
  may_free boolean, ends_ms bigint) language plpgsql stable as $$
begin
  return query
  select b.scope, b.name, b.period, b.at_wall, b.limit_picousd, u.reserved_picousd > 0,
    (extract(epoch from precis_data.budget_end(b.period, now())) * 1000)::bigint
  from precis_data.jobs j
  cross join lateral precis_data.budget_scopes(j.tenant, j.batch, provider, key_name) s
  join precis_data.budgets b on b.scope = s.scope and b.name = s.name
  join precis_data.budget_use u on u.scope = b.scope and u.name = b.name and u.period = b.period
    and u.starts_on = precis_data.budget_start(b.period, now())
  where j.job_no = job
    and u.spent_picousd + u.reserved_picousd + u.doubt_picousd + most > b.limit_picousd
  order by case b.at_wall when 'fail' then 1 when 'cheaper' then 2 else 3 end,
    b.scope collate "C", b.name collate "C", b.period collate "C"
  limit 1;
end $$;

create function precis_data.budget_count_new() returns trigger language plpgsql as $$
begin
  if not exists (select from precis_data.budgets) then
    return null;
  end if;
  insert into precis_data.budget_use as u (scope, name, period, starts_on, spent_picousd,
    reserved_picousd, doubt_picousd)
  select b.scope, b.name, b.period, precis_data.budget_start(b.period, n.sent_at),
    sum(coalesce(n.cost_picousd, 0)),
    sum(case when n.cost_picousd is null and n.outcome = 'sent' then n.at_most_picousd else 0 end),
    sum(case when n.cost_picousd is null and n.outcome <> 'sent' then n.at_most_picousd else 0 end)
  from new_rows n
  join precis_data.jobs j on j.job_no = n.job_no
  cross join lateral precis_data.budget_scopes(j.tenant, j.batch, n.provider, n.key_name) s
  join precis_data.budgets b on b.scope = s.scope and b.name = s.name
  group by 1, 2, 3, 4 order by 1, 2, 3, 4
  on conflict (scope, name, period, starts_on) do update set
    spent_picousd = u.spent_picousd + excluded.spent_picousd,
    reserved_picousd = u.reserved_picousd + excluded.reserved_picousd,
    doubt_picousd = u.doubt_picousd + excluded.doubt_picousd;
  return null;
end $$;

-- An attempt counts in the period in which it was sent, however late it is settled.
create function precis_data.budget_count_change() returns trigger language plpgsql as $$
declare
  change record;
begin
  if not exists (select from precis_data.budgets) then
    return null;
  end if;
  for change in
    select b.scope, b.name, b.period, precis_data.budget_start(b.period, n.sent_at) as starts_on,
      sum(coalesce(n.cost_picousd, 0) - coalesce(o.cost_picousd, 0)) as spent,
      sum(case when n.cost_picousd is null and n.outcome = 'sent' then n.at_most_picousd else 0 end
        - case when o.cost_picousd is null and o.outcome = 'sent' then o.at_most_picousd else 0 end)
        as reserved,
      sum(case when n.cost_picousd is null and n.outcome <> 'sent' then n.at_most_picousd else 0 end
        - case when o.cost_picousd is null and o.outcome <> 'sent' then o.at_most_picousd else 0 end)
        as doubt
    from new_rows n
    join old_rows o on o.job_no = n.job_no and o.plan_no = n.plan_no and o.call_no = n.call_no
      and o.attempt_no = n.attempt_no
    join precis_data.jobs j on j.job_no = n.job_no
    cross join lateral precis_data.budget_scopes(j.tenant, j.batch, n.provider, n.key_name) s
    join precis_data.budgets b on b.scope = s.scope and b.name = s.name
    group by 1, 2, 3, 4 order by 1, 2, 3, 4
  loop
    update precis_data.budget_use u set spent_picousd = u.spent_picousd + change.spent,
      reserved_picousd = u.reserved_picousd + change.reserved,
      doubt_picousd = u.doubt_picousd + change.doubt
    where u.scope = change.scope and u.name = change.name and u.period = change.period
      and u.starts_on = change.starts_on
      and (change.spent <> 0 or change.reserved <> 0 or change.doubt <> 0);
  end loop;
  return null;
end $$;

create trigger attempts_budget_new after insert on precis_data.attempts
  referencing new table as new_rows for each statement
  execute function precis_data.budget_count_new();
create trigger attempts_budget_change after update on precis_data.attempts
  referencing old table as old_rows new table as new_rows for each statement
  execute function precis_data.budget_count_change();

-- The current period's use, as the ledger has it.
create function precis_data.budget_recount(a_scope text, a_name text, a_period text) returns void
language sql as $$
  insert into precis_data.budget_use (scope, name, period, starts_on, spent_picousd,
    reserved_picousd, doubt_picousd)
  select a_scope, a_name, a_period, precis_data.budget_start(a_period, clock_timestamp()),
    coalesce(sum(a.cost_picousd), 0),
    coalesce(sum(a.at_most_picousd) filter (where a.cost_picousd is null and a.outcome = 'sent'), 0),
    coalesce(sum(a.at_most_picousd) filter (where a.cost_picousd is null and a.outcome <> 'sent'), 0)
  from precis_data.attempts a join precis_data.jobs j on j.job_no = a.job_no
  where a.sent_at >= precis_data.budget_start(a_period, clock_timestamp())::timestamp
      at time zone 'UTC'
    and case a_scope when 'all' then true when 'tenant' then j.tenant = a_name
      when 'batch' then j.tenant = split_part(a_name, '/', 1)
        and j.batch = split_part(a_name, '/', 2)
      when 'provider' then a.provider = a_name
      else a.provider || '/' || a.key_name = a_name end
  on conflict do nothing
$$;

-- Jobs that are parked for want of money look again.
create function precis_data.budget_changed() returns void language plpgsql as $$
begin
  update precis_data.requeued q set due_at = clock_timestamp()
  where q.reason = 'budget' and q.due_at > clock_timestamp();
  perform pg_notify('precis', 'budget');
end $$;

-- Sets one budget; a_limit NULL: none. Calls of the whole fleet wait while it is done: the time of
-- adding up the ledger, where the budget is new.
create function precis_data.budget_set(a_scope text, a_name text, a_period text, a_limit bigint,
  a_wall text, a_configured boolean) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('precis budgets'));
  perform precis_data.budget_changed();
  lock table precis_data.budgets in access exclusive mode;
  insert into precis_data.budgets (scope, name, period, limit_picousd, at_wall, configured)
  values (a_scope, a_name, a_period, a_limit, coalesce(a_wall, 'wait'), a_configured)
  on conflict (scope, name, period) do update set limit_picousd = excluded.limit_picousd,
    at_wall = coalesce(a_wall, precis_data.budgets.at_wall), configured = excluded.configured,
    changed_at = clock_timestamp();
  perform precis_data.budget_recount(a_scope, a_name, a_period);
  if a_scope = 'batch' and a_period = 'life' then
    insert into precis_data.batches (tenant, name, budget_picousd)
    values (split_part(a_name, '/', 1), split_part(a_name, '/', 2), a_limit)
    on conflict (tenant, name) do update set budget_picousd = excluded.budget_picousd;
  end if;
end $$;

-- What a command has set goes; a configuration's comes back with budget_apply.
create function precis_data.budget_forget(a_scope text, a_name text, a_period text) returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtext('precis budgets'));
  perform precis_data.budget_changed();
  lock table precis_data.budgets in access exclusive mode;
  delete from precis_data.budgets b
  where b.scope = a_scope and b.name = a_name and b.period = a_period;
  delete from precis_data.budget_use u
  where u.scope = a_scope and u.name = a_name and u.period = a_period;
  if a_scope = 'batch' and a_period = 'life' then
    update precis_data.batches t set budget_picousd = null
    where t.tenant = split_part(a_name, '/', 1) and t.name = split_part(a_name, '/', 2);
  end if;
end $$;

-- What the configuration of each worker wants. Configurations may differ, while a fleet is brought to
-- another one; then the lowest holds. A worker's rows go with it.
create table precis_data.budget_wants (
  worker_id bigint not null,
  scope text not null,
  name text not null,
  period text not null,
  limit_picousd bigint not null check (limit_picousd >= 0),
  at_wall text not null check (at_wall in ('wait', 'cheaper', 'fail')),
  primary key (worker_id, scope, name, period)
);
-- It has told what it wants, be it nothing.
alter table precis_data.workers add column budgets_told boolean not null default false;

-- The configured budgets as they should be, where they are not; without a limit: it should go. What
-- a command has set stays. Of equal limits the stricter wall holds.
create view precis_data.budgets_to_change as
select scope, name, period, w.limit_picousd, w.at_wall
from precis_data.budgets b
full join (
  select distinct on (w.scope, w.name, w.period) w.scope, w.name, w.period, w.limit_picousd,
    w.at_wall
  from precis_data.budget_wants w
  order by w.scope, w.name, w.period, w.limit_picousd,
    case w.at_wall when 'fail' then 1 when 'cheaper' then 2 else 3 end) w
  using (scope, name, period)
where coalesce(b.configured, true)
  and (b.limit_picousd is distinct from w.limit_picousd or b.at_wall is distinct from w.at_wall);

-- Where nothing has to change no table is locked.
create function precis_data.budget_apply() returns void language plpgsql as $$
declare
  change record;
begin
  perform pg_advisory_xact_lock(hashtext('precis budgets'));
  for change in select c.* from precis_data.budgets_to_change c order by 1, 2, 3 loop
    if change.limit_picousd is null then
      perform precis_data.budget_forget(change.scope, change.name, change.period);
    else
      perform precis_data.budget_set(change.scope, change.name, change.period,
        change.limit_picousd, change.at_wall, true);
    end if;
  end loop;
end $$;

-- A worker tells the budgets of its configuration, all of them: those of its earlier one that are
-- not here go. It tells them again now and then, and so finds workers that have gone: by the rule
-- of claims, a lease that has ended counts where the server and the lease of who looks have held for
-- a lease's time. Else an outage, which ends all leases, would raise budgets until all are back.
create function precis_data.budget_tell(a_worker bigint, a_lease interval, scopes text[],
  names text[], periods text[], limits bigint[], walls text[]) returns void
language plpgsql as $$
begin
  -- Nothing here may read the budgets before this lock is held: who holds it may lock that table.
  if exists (
      select from (select * from precis_data.budget_wants where worker_id = a_worker) w
      full join unnest(scopes, names, periods, limits, walls)
        t(scope, name, period, limit_picousd, at_wall) using (scope, name, period)
      where w.limit_picousd is distinct from t.limit_picousd
        or w.at_wall is distinct from t.at_wall) then
    perform pg_advisory_xact_lock(hashtext('precis budgets'));
  elsif not pg_try_advisory_xact_lock(hashtext('precis budgets')) then
    return; -- somebody is at it, and has seen what was wanted here before
  end if;
  update precis_data.workers k set budgets_told = true where k.id = a_worker and not k.budgets_told;
  delete from precis_data.budget_wants w where w.worker_id = a_worker
    and (w.scope, w.name, w.period) not in (
      select t.scope, t.name, t.period from unnest(scopes, names, periods) t(scope, name, period));
  insert into precis_data.budget_wants as w (worker_id, scope, name, period, limit_picousd, at_wall)
  select a_worker, t.* from unnest(scopes, names, periods, limits, walls)
    t(scope, name, period, limit_picousd, at_wall)
  where exists (select from precis_data.workers k where k.id = a_worker and k.ended_at is null)
  on conflict (worker_id, scope, name, period) do update set
    limit_picousd = excluded.limit_picousd, at_wall = excluded.at_wall
  where w.limit_picousd <> excluded.limit_picousd or w.at_wall <> excluded.at_wall;
  delete from precis_data.budget_wants w where w.worker_id <> a_worker and not exists (
    select from precis_data.workers k where k.id = w.worker_id and k.ended_at is null
      and (k.lease_until > clock_timestamp()
        or pg_postmaster_start_time() > clock_timestamp() - a_lease
        or not exists (select from precis_data.workers me where me.id = a_worker
          and me.lease_until > clock_timestamp()
          and me.unbroken_since <= clock_timestamp() - a_lease)));
  perform precis_data.budget_apply();
end $$;

create view precis.budgets as
select b.scope, b.name, b.period, trim_scale(b.limit_picousd * 0.000000000001) as limit_usd,
  trim_scale(coalesce(u.spent_picousd, 0) * 0.000000000001) as spent_usd,
  trim_scale(coalesce(u.reserved_picousd, 0) * 0.000000000001) as reserved_usd,
  trim_scale(coalesce(u.doubt_picousd, 0) * 0.000000000001) as in_doubt_usd,
  trim_scale((b.limit_picousd - coalesce(u.spent_picousd + u.reserved_picousd + u.doubt_picousd, 0))
    * 0.000000000001) as left_usd,
  b.at_wall, case when b.configured then 'configuration' else 'command' end as set_by, b.changed_at,
  precis_data.budget_end(b.period, clock_timestamp()) as ends_at,
  -- NULL: the live workers agree, or a command has set it.
  case when b.configured then (
    select string_agg(t.what || ' (' || t.who || ')', '; ' order by t.limit_picousd, t.what)
    from (
      select w.limit_picousd, case when w.worker_id is null then 'none'
          else trim_scale(w.limit_picousd * 0.000000000001) || ' USD, ' || w.at_wall end as what,
        array_to_string((array_agg(k.name order by k.id))[1:3], ', ')
          || case when count(*) > 3 then ' and ' || count(*) - 3 || ' more' else '' end as who
      from precis_data.workers k
      left join precis_data.budget_wants w on w.worker_id = k.id and w.scope = b.scope
        and w.name = b.name and w.period = b.period
      where k.ended_at is null and k.lease_until > clock_timestamp() and k.budgets_told
      group by 1, 2) t
    having count(*) > 1) end as workers_differ
from precis_data.budgets b
left join precis_data.budget_use u on u.scope = b.scope and u.name = b.name and u.period = b.period
  and u.starts_on = precis_data.budget_start(b.period, clock_timestamp());

-- Which model a plan took and why, where that was a choice; the reasoning that a rule chose.
alter table precis_data.plans add column reasoning_mode text, add column why text;
