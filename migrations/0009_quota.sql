-- oldest-program: 0.1.0
-- The fleet's quota: what worker/core/quota.h says, as one function. A lane is a key with a model;
-- arrays are by dimension: requests, input, output and tokens a minute, requests and tokens a day.
-- Times are unix microseconds, since the rule counts in them; the view has timestamps.

create table precis_data.quota_lanes (
  id bigint generated always as identity unique,
  provider text not null,
  key_name text not null,
  model text not null,
  configured bigint[] not null default '{0,0,0,0,0,0,0}', -- by who asked last; 7: calls in flight
  rate bigint[] not null default '{0,0,0,0,0,0}',         -- effective, as of the last ask
  free_at bigint[] not null,
  seen_limit bigint[] not null default '{0,0,0,0}',
  seen_limit_at bigint[] not null default '{0,0,0,0}',
  left_seen bigint[] not null default '{0,0,0,0}',
  most_left bigint[] not null default '{0,0,0,0}',
  most_left_at bigint[] not null default '{0,0,0,0}',
  reset_at bigint[] not null default '{0,0,0,0}',
  reset_since bigint[] not null default '{0,0,0,0}',
  window_until bigint[] not null default '{0,0,0,0}',
  factor bigint[] not null default '{1000000,1000000,1000000,1000000}',
  factor_at bigint[] not null,
  cut_at bigint not null default 0,
  burst_until bigint not null default 0,
  burst_percent bigint not null default 0,
  primary key (provider, key_name, model)
) with (fillfactor = 30, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- What each worker has and wants of a lane.
create table precis_data.quota_workers (
  lane_id bigint not null,
  worker_id bigint not null,
  serial bigint not null,              -- of its last ask
  asked_at bigint not null,
  wants boolean not null,
  waiting_since bigint not null,       -- 0: it does not wait
  due_at bigint not null,
  need bigint[] not null,
  slots_held bigint not null,
  slots_wanted bigint not null,
  slots_given bigint not null,
  slots_at bigint not null,
  primary key (lane_id, worker_id)
) with (fillfactor = 30, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- What was used of the limits of a day, by the hour.
create table precis_data.quota_hours (
  lane_id bigint not null,
  dimension integer not null,
  hour bigint not null,
  used bigint not null,
  primary key (lane_id, dimension, hour)
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);

-- Closed keys; model '': for all models. A key without a row is open.
create table precis_data.quota_keys (
  provider text not null,
  key_name text not null,
  model text not null,
  cause text not null,
  closed_until bigint not null,
  prober bigint not null,              -- worker; 0: nobody
  probe_until bigint not null,
  primary key (provider, key_name, model)
);

-- `precis quota set`: counts before what workers have configured. key_name '': every key.
create table precis_data.quota_settings (
  provider text not null,
  key_name text not null default '',
  model text not null,
  dimension text not null check (dimension in ('requests', 'input', 'output', 'tokens',
    'requests_day', 'tokens_day', 'in_flight')),
  most bigint not null check (most > 0),
  set_at timestamptz not null default clock_timestamp(),
  primary key (provider, model, key_name, dimension)
);

-- A crash of the server empties this table, and takes with it up to 0.6 s of what was committed
-- asynchronously: where the row is missing, a second passes before anything is given.
-- clock_us: tests set it in place of the clock.
create unlogged table precis_data.quota_since (
  only_row boolean primary key default true check (only_row),
  since bigint not null,
  clock_us bigint
);
insert into precis_data.quota_since (since) values (0);

create function precis_data.quota_notify() returns trigger language plpgsql as $$
begin
  perform pg_catalog.pg_notify('precis', 'quota');
  return null;
end $$;
create trigger quota_settings_notify after insert or update or delete or truncate
  on precis_data.quota_settings for each statement execute function precis_data.quota_notify();

-- Time of a rate a minute that so much takes: rounded up, or down where it comes back.
create function precis_data.quota_cost(amount bigint, per_minute bigint) returns bigint
language sql immutable parallel safe as $$
  select case when amount < 0
    then -(least(-amount, 100000000000) * 60000000 / per_minute)
    else (least(amount, 100000000000) * 60000000 + per_minute - 1) / per_minute end
$$;
-- The same, and so many millionths of it that stay unused.
create function precis_data.quota_time(amount bigint, per_minute bigint, slack bigint)
returns bigint language sql immutable parallel safe as $$
  select c + c / 1000000 * slack + c % 1000000 * slack / 1000000
  from (values (precis_data.quota_cost(amount, per_minute))) v (c)
$$;
create function precis_data.quota_units(time_us bigint, per_minute bigint) returns bigint
language sql immutable parallel safe as $$
  select greatest(time_us, 0) * per_minute / 60000000
$$;

-- Answers a worker's asks, each of another lane, in their order (sorted by lane, or workers would
-- deadlock). 57 numbers an ask: limits 1-6, in flight 7, wanted 8-13, least 14-19, back 20-25,
-- settled 26-31, slots held 32 and wanted 33, seen limit 34-39 and left 40-45, refusals 46,
-- close ms 47, probe 48, key changed 49, extra percent 50 and ms 51, seen reset ms 52-57. An answer: given 1-6, start 7,
-- spread 8, valid 9, slots 10, wait 11, short of 12, askers 13, closed ms 14, probe 15, rate 16-21.
create function precis_data.quota_ask(p_worker bigint, p_serial bigint, p_providers text[],
  p_keys text[], p_models text[], p_causes text[], p_numbers bigint[])
returns table (answer bigint[], closed_by text) language plpgsql as $$
declare
  dimensions constant text[] := array['requests', 'input', 'output', 'tokens', 'requests_day',
    'tokens_day', 'in_flight'];
  causes constant text[] := array['fine', 'throttled', 'refused', 'exhausted', 'doubted', 'broken'];
  one_s constant bigint := 1000000;
  hour_us constant bigint := 3600000000;
  amount_most constant bigint := 100000000000;
  limit_most constant bigint := 1000000000000;
  l precis_data.quota_lanes;
  me precis_data.quota_workers;
  k precis_data.quota_keys;
  r record;
  n bigint[];
  now_us bigint;
  since bigint;
  this_hour bigint;
  repeated boolean;
  news boolean := false;
  safe boolean := false; -- the commit has to reach the disk
  factor bigint;
  believed boolean;
  nominal bigint[];
  slack bigint[];
  saved bigint[];
  left_milli bigint;
  want_milli bigint;
  eased boolean;
  most bigint;
  amount bigint;
  -- a grant
  given bigint[];
  rate bigint[];
  base bigint[];
  ahead bigint[];
  need bigint[];
  wanted bigint[];
  wait_us bigint;
  longest bigint;
  short_of integer;
  start_us bigint;
  end_us bigint;
  quarter bigint;
  share bigint;
  ppm bigint;
  askers bigint;
  keeps boolean;
  -- slots
  slots bigint;
  part bigint;
  others_given bigint;
  others_most bigint;
  mine bigint;
  free_slots bigint;
  -- keys
  closed_us bigint;
  until_us bigint;
  holds boolean;
  probe boolean;
  valid_ms bigint;
  wait_ms bigint;
begin
  for i in 1 .. cardinality(p_models) loop
    perform from precis_data.quota_lanes q where q.provider = p_providers[i]
      and q.key_name = p_keys[i] and q.model = p_models[i] for update;
    if not found then
      now_us := (extract(epoch from clock_timestamp()) * one_s)::bigint;
      select coalesce(s.clock_us, now_us) into now_us from precis_data.quota_since s;
      now_us := coalesce(now_us, (extract(epoch from clock_timestamp()) * one_s)::bigint);
      insert into precis_data.quota_lanes (provider, key_name, model, free_at, factor_at)
        values (p_providers[i], p_keys[i], p_models[i], array_fill(now_us, array[4]),
          array_fill(now_us, array[4])) on conflict do nothing;
      perform from precis_data.quota_lanes q where q.provider = p_providers[i]
        and q.key_name = p_keys[i] and q.model = p_models[i] for update;
    end if;
  end loop;
  now_us := (extract(epoch from clock_timestamp()) * one_s)::bigint;
  select s.since, coalesce(s.clock_us, now_us) into since, now_us from precis_data.quota_since s;
  if since is null then
    since := (extract(epoch from clock_timestamp()) * one_s)::bigint;
    now_us := since;
    insert into precis_data.quota_since (since) values (now_us) on conflict do nothing;
  end if;
  this_hour := now_us / hour_us;

  for i in 1 .. cardinality(p_models) loop
    n := p_numbers[(i - 1) * 57 + 1 : i * 57];
    select * into strict l from precis_data.quota_lanes q where q.provider = p_providers[i]
      and q.key_name = p_keys[i] and q.model = p_models[i];
    select * into me from precis_data.quota_workers q
      where q.lane_id = l.id and q.worker_id = p_worker;
    if not found then
      me := row(l.id, p_worker, 0, 0, false, 0, 0, '{0,0,0,0}', 0, 0, 0, 0);
      delete from precis_data.quota_workers q where q.lane_id = l.id
        and q.asked_at < now_us - hour_us and not exists (select from precis_data.workers w
          where w.id = q.worker_id and w.lease_until > clock_timestamp());
      delete from precis_data.quota_hours h where h.lane_id = l.id and h.hour < this_hour - 25;
    end if;
    repeated := me.serial = p_serial;
    me.serial := p_serial;
    me.asked_at := now_us;
    me.wants := n[8] > 0;
    l.configured := n[1:7];
    for r in select s.dimension, s.most from precis_data.quota_settings s
      where s.provider = p_providers[i] and s.model = p_models[i] and s.key_name in ('', p_keys[i])
      order by s.key_name
    loop
      n[array_position(dimensions, r.dimension)] := r.most;
    end loop;

    -- what the provider said, and the rates that follow
    rate := '{0,0,0,0,0,0}';
    nominal := '{0,0,0,0}';
    slack := '{0,0,0,0}';
    saved := '{0,0,0,0}';
    eased := false;
    for d in 1 .. 4 loop
      factor := least(l.factor[d] + greatest(now_us - l.factor_at[d], 0) / 50, one_s);
      if not repeated then
        -- a smaller limit counts at once, a larger one when the smaller was not seen for a while
        amount := least(n[33 + d], limit_most);
        believed := not (amount > l.seen_limit[d] and l.seen_limit[d] > 0
          and now_us - l.seen_limit_at[d] < 5 * one_s);
        if amount > 0 and believed then
          if amount <> l.seen_limit[d] then
            l.most_left[d] := 0;
            l.most_left_at[d] := 0;
          end if;
          l.seen_limit[d] := amount;
          l.seen_limit_at[d] := now_us;
        end if;
      end if;
      amount := least(n[d], limit_most);
      nominal[d] := case when amount > 0 and l.seen_limit[d] > 0
        then least(amount, l.seen_limit[d]) else greatest(amount, l.seen_limit[d]) end;
      if not repeated then
        if n[39 + d] >= 0 and (n[33 + d] <= 0 or believed and n[39 + d] <= n[33 + d]) then
          -- the same moment, told over a while, is the end of a window
          if n[51 + d] between 0 and 120000 then
            amount := now_us + n[51 + d] * 1000;
            if abs(amount - l.reset_at[d]) > 1500000 then
              l.reset_at[d] := amount;
              l.reset_since[d] := now_us;
              l.window_until[d] := 0;
            elsif now_us - l.reset_since[d] >= 5 * one_s then
              l.window_until[d] := l.reset_at[d];
            end if;
          end if;
          amount := least(n[39 + d], amount_most);
          l.left_seen[d] := amount;
          most := l.most_left[d] - l.most_left[d]
            * least(greatest((now_us - l.most_left_at[d]) / 1000, 0), 21600000) / 21600000;
          if amount >= most then
            l.most_left[d] := amount;
            l.most_left_at[d] := now_us;
            most := amount;
          end if;
          left_milli := amount * 1000;
          want_milli := greatest(least(most * 500, least(nominal[d], amount_most) * 1000
            / case when now_us - l.cut_at < hour_us then 30 else 60 end), 1);
          if want_milli < 4000 then -- a bucket of two has 0 or 1 left after each call
            left_milli := left_milli + 1000;
          end if;
          if l.window_until[d] > now_us then
            left_milli := amount + 1;
            want_milli := greatest(nominal[d] * ((l.window_until[d] - now_us) / 1000) / 60000, 1);
          end if;
          factor := factor + case when left_milli >= want_milli then one_s
            else left_milli * one_s / want_milli end;
          factor := least(greatest(factor / 2, 100000), one_s);
          l.factor[d] := factor;
          l.factor_at[d] := now_us;
        end if;
        if n[46] > 0 and now_us - l.cut_at >= one_s and n[39 + d] < 0 then
          factor := least(greatest(factor * 7 / 10, 100000), one_s);
          l.factor[d] := factor;
          l.factor_at[d] := now_us;
        end if;
      end if;
      if nominal[d] > 0 then
        rate[d] := greatest(nominal[d] * factor / one_s, 1);
        eased := eased or factor < one_s;
      end if;
    end loop;
    if not repeated and n[46] > 0 and now_us - l.cut_at >= one_s then
      l.cut_at := now_us;
    end if;
    for d in 1 .. 4 loop -- what stays unused, and what may be saved up
      if nominal[d] <= 0 then
        continue;
      end if;
      saved[d] := one_s;
      if now_us - l.cut_at < hour_us then
        saved[d] := case when precis_data.quota_units(100000, nominal[d]) > 0 then 100000 else 0 end;
      end if;
      if l.most_left_at[d] = 0 then
        slack[d] := case when now_us - l.cut_at < hour_us then 20000 else 0 end;
      elsif l.most_left[d] * 4 >= nominal[d] then
        slack[d] := 15000;
        saved[d] := least(saved[d], one_s / 2);
      else
        slack[d] := case when l.most_left[d] = 0 then 20000 else 0 end;
        saved[d] := least(saved[d], precis_data.quota_cost(l.most_left[d], nominal[d]) / 2);
      end if;
    end loop;
    rate[5] := n[5];
    rate[6] := n[6];

    -- what came back, and what was used beyond (or below) the estimate
    if not repeated then
      for d in 1 .. 6 loop
        amount := least(greatest(n[25 + d] - n[19 + d], -amount_most), amount_most);
        if rate[d] <= 0 or amount = 0 then
          continue;
        end if;
        if d > 4 then
          insert into precis_data.quota_hours as h values (l.id, d, this_hour, greatest(amount, 0))
            on conflict (lane_id, dimension, hour) do update
            set used = greatest(h.used + amount, 0);
          safe := true;
        else
          l.free_at[d] := greatest(l.free_at[d], now_us - one_s)
            + precis_data.quota_time(amount, rate[d], slack[d]);
        end if;
      end loop;
    end if;
    if n[50] > 0 and n[51] > 0 and now_us >= l.burst_until + 30 * one_s
      and not (rate[1] > 0 and l.free_at[1] > now_us or rate[2] > 0 and l.free_at[2] > now_us
        or rate[3] > 0 and l.free_at[3] > now_us or rate[4] > 0 and l.free_at[4] > now_us)
    then
      l.burst_until := now_us + least(n[51], 60000) * 1000;
      l.burst_percent := least(n[50], 100);
    end if;

    -- what the ask tells of the key
    if not repeated then
      if n[49] > 0 then
        update precis_data.quota_keys q set closed_until = now_us, prober = 0
          where q.provider = p_providers[i] and q.key_name = p_keys[i] and q.model = '';
        news := news or found;
      end if;
      if n[48] = 1 then
        delete from precis_data.quota_keys q where q.provider = p_providers[i]
          and q.key_name = p_keys[i] and q.model in ('', p_models[i]) and q.prober = p_worker;
        news := news or found;
      elsif n[48] > 1 then
        update precis_data.quota_keys q set prober = 0 where q.provider = p_providers[i]
          and q.key_name = p_keys[i] and q.model in ('', p_models[i]) and q.prober = p_worker;
      end if;
      if p_causes[i] not in ('fine', 'doubted') then
        insert into precis_data.quota_keys values (p_providers[i], p_keys[i],
          case when p_causes[i] = 'broken' then p_models[i] else '' end, 'fine', 0, 0, 0)
          on conflict do nothing;
        select * into strict k from precis_data.quota_keys q where q.provider = p_providers[i]
          and q.key_name = p_keys[i]
          and q.model = case when p_causes[i] = 'broken' then p_models[i] else '' end for update;
        until_us := now_us + greatest(least(n[47], 86400000), 1) * 1000;
        holds := k.cause <> 'fine' and k.closed_until > now_us;
        news := news or not holds or until_us > k.closed_until + one_s;
        update precis_data.quota_keys q set
          cause = case when not holds or array_position(causes, k.cause)
            < array_position(causes, p_causes[i]) then p_causes[i] else k.cause end,
          closed_until = case when holds then greatest(k.closed_until, until_us) else until_us end,
          prober = case when holds then k.prober else 0 end
          where q.provider = k.provider and q.key_name = k.key_name and q.model = k.model;
      end if;
    end if;

    -- the others: how many ask, what those want who come first, and their slots
    keeps := me.waiting_since <> 0 and me.due_at > now_us - one_s / 2;
    mine := greatest(n[32], n[33]);
    if n[32] > 0 then
      me.slots_at := now_us;
    end if;
    select count(*) filter (where q.wants and q.asked_at > now_us - 2 * one_s),
      array[coalesce(sum(q.need[1]) filter (where b.comes_first), 0),
        coalesce(sum(q.need[2]) filter (where b.comes_first), 0),
        coalesce(sum(q.need[3]) filter (where b.comes_first), 0),
        coalesce(sum(q.need[4]) filter (where b.comes_first), 0)]::bigint[],
      coalesce(sum(q.slots_given), 0), coalesce(sum(greatest(q.slots_held, q.slots_wanted)), 0)
      into askers, ahead, others_given, others_most
    from precis_data.quota_workers q
    join precis_data.workers w on w.id = q.worker_id and w.lease_until > clock_timestamp()
    cross join lateral (select q.waiting_since <> 0 and q.due_at > now_us - one_s / 2
      and (q.waiting_since, q.worker_id)
        < (case when keeps then me.waiting_since else now_us end, p_worker)) b (comes_first)
    where q.lane_id = l.id and q.worker_id <> p_worker;
    if me.wants then
      askers := askers + 1;
    end if;
    slots := 9223372036854775807;
    amount := n[32]; -- what it is given
    if n[7] > 0 then
      part := mine;
      if others_most + mine > n[7] then
        part := 0;
        free_slots := n[7];
        for r in
          select t.*, row_number() over (order by
              case when n[7] < t.all_of_them then 0 else t.most end,
              case when n[7] < t.all_of_them then t.slots_at else -t.slots_at end,
              case when n[7] < t.all_of_them then t.worker else -t.worker end) as place
          from (
            select s.*, count(*) over () as all_of_them from (
              select q.worker_id as worker, greatest(q.slots_held, q.slots_wanted) as most,
                q.slots_at
              from precis_data.quota_workers q join precis_data.workers w
                on w.id = q.worker_id and w.lease_until > clock_timestamp()
              where q.lane_id = l.id and q.worker_id <> p_worker
                and greatest(q.slots_held, q.slots_wanted) > 0
              union all select p_worker, mine, me.slots_at where mine > 0) s) t
          order by place
        loop
          share := case when n[7] >= r.all_of_them then free_slots / (r.all_of_them - r.place + 1)
            when r.place <= n[7] then 1 else 0 end;
          share := least(share, r.most);
          if r.worker = p_worker then
            part := share;
            exit;
          end if;
          free_slots := free_slots - share;
        end loop;
      end if;
      amount := greatest(amount, least(part, n[7] - others_given));
      slots := amount;
      safe := safe or amount > me.slots_given;
    end if;
    me.slots_held := n[32];
    me.slots_wanted := n[33];
    me.slots_given := amount;

    -- whether the key is open
    closed_us := 0;
    probe := false;
    closed_by := 'fine';
    for k in select * from precis_data.quota_keys q where q.provider = p_providers[i]
      and q.key_name = p_keys[i] and q.model in ('', p_models[i]) and q.cause <> 'fine'
      order by q.model desc for update
    loop
      closed_by := k.cause;
      if k.closed_until > now_us then
        closed_us := greatest(closed_us, k.closed_until - now_us);
      elsif k.prober <> 0 and k.probe_until > now_us
        and not (repeated and k.prober = p_worker)
        and exists (select from precis_data.workers w where w.id = k.prober and w.lease_until > clock_timestamp())
      then
        closed_us := greatest(closed_us, least(k.probe_until - now_us, one_s));
      end if;
    end loop;
    if closed_by <> 'fine' and closed_us = 0 and me.wants then
      probe := true;
      safe := true;
      update precis_data.quota_keys q set prober = p_worker, probe_until = now_us + 60 * one_s
        where q.provider = p_providers[i] and q.key_name = p_keys[i]
          and q.model in ('', p_models[i]) and q.cause <> 'fine';
    end if;

    -- the grant
    given := '{0,0,0,0,0,0}';
    start_us := now_us;
    end_us := now_us;
    valid_ms := 0;
    wait_ms := 0;
    short_of := 0;
    if not me.wants then
      me.waiting_since := 0;
    elsif closed_by <> 'fine' and not probe then
      me.waiting_since := 0;
      wait_ms := (closed_us + 999) / 1000;
    else
      base := array[now_us, now_us, now_us, now_us];
      need := '{0,0,0,0}';
      wanted := given;
      longest := 0;
      ppm := one_s;
      for d in 1 .. 6 loop
        -- least is n[13 + d] from here on
        n[13 + d] := least(greatest(n[13 + d], case when n[7 + d] > 0 then 1 else 0 end),
          amount_most);
        wanted[d] := least(greatest(n[7 + d], n[13 + d]), amount_most);
        given[d] := wanted[d];
        if rate[d] <= 0 or wanted[d] = 0 then
          continue;
        end if;
        if d <= 4 then
          base[d] := greatest(l.free_at[d], now_us - saved[d], since + one_s,
            case when l.window_until[d] > now_us and l.left_seen[d] < n[13 + d]
              then l.window_until[d] + 100000 end);
          quarter := greatest(n[13 + d],
            least(wanted[d], precis_data.quota_units(one_s / askers / 4, rate[d])));
          need[d] := least(precis_data.quota_cost(quarter, rate[d]), one_s);
          until_us := now_us + one_s - ahead[d];
          wait_us := base[d] + need[d] - until_us;
          given[d] := greatest(n[13 + d], least(wanted[d],
            precis_data.quota_units(one_s / askers, rate[d]),
            precis_data.quota_units(until_us - base[d], rate[d])));
        else
          select rate[d] - coalesce(sum(h.used), 0) into amount from precis_data.quota_hours h
            where h.lane_id = l.id and h.dimension = d and h.hour > this_hour - 25 and h.hour <= this_hour;
          given[d] := greatest(n[13 + d], least(wanted[d], amount / askers));
          wait_us := 0;
          if amount < n[13 + d] then
            select (min(f.hour) + 25) * hour_us - now_us into wait_us from (
              select h.hour, amount + sum(h.used) over (order by h.hour) as left_then
              from precis_data.quota_hours h where h.lane_id = l.id and h.dimension = d
                and h.hour > this_hour - 25 and h.hour <= this_hour) f
              where f.left_then >= n[13 + d];
            wait_us := coalesce(wait_us, 25 * hour_us);
          end if;
        end if;
        if wait_us > longest then
          longest := wait_us;
          short_of := d - 1;
        end if;
      end loop;
      if probe then
        longest := 0;
        short_of := 0;
        wanted := n[14:19];
        given := n[14:19];
      end if;
      if longest > 0 then
        given := '{0,0,0,0,0,0}';
        if eased then -- the rate may be another one soon
          longest := least(longest, one_s / 2);
        end if;
        wait_ms := (greatest(longest, 10000) + 999) / 1000;
        if not keeps then
          me.waiting_since := now_us;
        end if;
        me.due_at := now_us + least(wait_ms * 1000, 10 * one_s);
        me.need := need;
      else
        for d in 1 .. 6 loop
          if rate[d] > 0 and wanted[d] > 0 then
            ppm := least(ppm, given[d] * one_s / wanted[d]);
          end if;
        end loop;
        for d in 1 .. 6 loop
          given[d] := greatest(n[13 + d], (wanted[d] * ppm + 999999) / one_s);
          if rate[d] <= 0 or given[d] = 0 then
            continue;
          end if;
          if d > 4 then
            insert into precis_data.quota_hours as h values (l.id, d, this_hour, given[d])
              on conflict (lane_id, dimension, hour) do update
              set used = h.used + excluded.used;
            safe := true;
          else
            start_us := greatest(start_us, base[d]);
            l.free_at[d] := base[d] + precis_data.quota_time(given[d],
              case when now_us < l.burst_until then rate[d] * (100 + l.burst_percent) / 100
                else rate[d] end, slack[d]);
            end_us := greatest(end_us, l.free_at[d]);
          end if;
        end loop;
        me.waiting_since := 0;
        safe := safe or end_us > now_us + one_s;
        valid_ms := least(greatest(end_us - start_us, 0) / 1000, 1000) + 500;
      end if;
    end if;

    l.rate := rate;
    update precis_data.quota_lanes q set configured = l.configured, rate = l.rate,
      free_at = l.free_at, seen_limit = l.seen_limit, seen_limit_at = l.seen_limit_at,
      left_seen = l.left_seen, most_left = l.most_left,
      most_left_at = l.most_left_at, reset_at = l.reset_at, reset_since = l.reset_since,
      window_until = l.window_until, factor = l.factor, factor_at = l.factor_at,
      cut_at = l.cut_at, burst_until = l.burst_until, burst_percent = l.burst_percent
      where q.id = l.id;
    insert into precis_data.quota_workers values (me.*)
      on conflict (lane_id, worker_id) do update set serial = excluded.serial,
        asked_at = excluded.asked_at, wants = excluded.wants,
        waiting_since = excluded.waiting_since, due_at = excluded.due_at, need = excluded.need,
        slots_held = excluded.slots_held, slots_wanted = excluded.slots_wanted,
        slots_given = excluded.slots_given, slots_at = excluded.slots_at;
    answer := given || array[(start_us - now_us + 999) / 1000,
      greatest(end_us - start_us, 0) / 1000, valid_ms, slots, wait_ms, short_of, askers,
      (closed_us + 999) / 1000, case when probe then 1 else 0 end] || rate;
    return next;
  end loop;
  if news then
    perform pg_notify('precis', 'key');
  end if;
  if not safe then
    perform set_config('synchronous_commit', 'off', true);
  end if;
end $$;

-- What each key and model did in the last minute, and how they stand.
create or replace view precis.quota as
select coalesce(a.provider, l.provider) as provider, coalesce(a.model, l.model) as model,
  coalesce(a.key_name, l.key_name) as key_name, coalesce(a.requests, 0) as requests,
  coalesce(a.in_flight, 0) as in_flight, coalesce(a.throttled, 0) as throttled,
  coalesce(a.input_tokens, 0) as input_tokens, coalesce(a.output_tokens, 0) as output_tokens,
  k.closed_by, k.closed_until, coalesce(w.asking, 0) as workers_asking,
  coalesce(w.waiting, 0) as workers_waiting, nullif(coalesce(s.most, l.configured[7]), 0)
    as in_flight_limit
from (
  select t.provider, t.model, t.key_name, count(*) as requests,
    count(*) filter (where t.outcome = 'sent') as in_flight,
    count(*) filter (where t.outcome = 'throttled') as throttled,
    coalesce(sum(t.input_tokens), 0)::bigint as input_tokens,
    coalesce(sum(t.output_tokens), 0)::bigint as output_tokens
  from precis_data.attempts t
  where t.sent_at > clock_timestamp() - interval '1 minute'
  group by t.provider, t.model, t.key_name) a
full join precis_data.quota_lanes l on l.provider = a.provider and l.model = a.model
  and l.key_name = a.key_name
left join lateral (
  select x.cause as closed_by, to_timestamp(x.closed_until / 1000000.0) as closed_until
  from precis_data.quota_keys x where x.provider = coalesce(a.provider, l.provider)
    and x.key_name = coalesce(a.key_name, l.key_name)
    and x.model in ('', coalesce(a.model, l.model))
  order by x.closed_until desc limit 1) k on true
left join lateral (
  select x.most from precis_data.quota_settings x where x.provider = l.provider
    and x.model = l.model and x.key_name in ('', l.key_name) and x.dimension = 'in_flight'
  order by x.key_name desc limit 1) s on true
left join lateral (
  select count(*) filter (where q.wants
      and q.asked_at > extract(epoch from clock_timestamp()) * 1000000 - 2000000) as asking,
    count(*) filter (where q.waiting_since <> 0
      and q.due_at > extract(epoch from clock_timestamp()) * 1000000 - 500000) as waiting
  from precis_data.quota_workers q
  join precis_data.workers v on v.id = q.worker_id and v.lease_until > clock_timestamp()
  where q.lane_id = l.id) w on true;

-- Each limit of a key with a model: configured (or set), the provider's own, the one that holds now,
-- and what is used of it. `free_at` in the future: so far the minute's limit is given away.
create view precis.quota_limits as
select l.provider, l.model, l.key_name, d.dimension,
  case when d.place > 4 then 'day' else 'minute' end as per,
  nullif(coalesce(s.most, l.configured[d.place]), 0) as configured, s.most is not null as is_set,
  nullif(l.seen_limit[d.place], 0) as provider_limit,
  least(nullif(l.rate[d.place], 0), nullif(coalesce(s.most, l.configured[d.place]), 0),
    nullif(l.seen_limit[d.place], 0)) as effective,
  case when d.place > 4 then h.used else a.used[d.place] end as used,
  case when d.place <= 4 then to_timestamp(l.free_at[d.place] / 1000000.0) end as free_at
from precis_data.quota_lanes l
cross join (values ('requests', 1), ('input', 2), ('output', 3), ('tokens', 4),
  ('requests_day', 5), ('tokens_day', 6)) d (dimension, place)
left join lateral (
  select x.most from precis_data.quota_settings x where x.provider = l.provider
    and x.model = l.model and x.key_name in ('', l.key_name) and x.dimension = d.dimension
  order by x.key_name desc limit 1) s on true
left join lateral (
  select coalesce(sum(x.used), 0)::bigint as used from precis_data.quota_hours x
  where x.lane_id = l.id and x.dimension = d.place
    and x.hour > floor(extract(epoch from clock_timestamp()) / 3600) - 25) h on true
left join lateral (
  select array[count(*), coalesce(sum(t.input_tokens), 0), coalesce(sum(t.output_tokens), 0),
    coalesce(sum(t.input_tokens + t.output_tokens), 0)]::bigint[] as used
  from precis_data.attempts t where t.sent_at > clock_timestamp() - interval '1 minute'
    and t.provider = l.provider and t.model = l.model and t.key_name = l.key_name) a on true
where coalesce(s.most, l.configured[d.place]) > 0 or l.seen_limit[d.place] > 0
  or l.rate[d.place] > 0;
