-- oldest-program: 0.1.0
-- What models' answers taught the fleet: how many tokens an estimate really is, by script, and how
-- long answers are, by kind. A worker that starts goes on from here. Ratios only: no tenant, no text.
--
-- A row is a decayed mean. It is worth 200 samples at most, 50 of them from one telling, and half as
-- many with each week (by this database's clock) in which nothing is told; after 30 days it goes.
-- The same rule in C is core/calibrate.c, calibrate_merge; the simulation's differential test holds
-- the two together. There are at most 20 rows for each model and form.

create table precis_data.calibrations (
  provider text not null,
  model text not null,
  form integer not null,               -- of the estimates; a program reads its own
  subject integer not null,            -- 0-3 scripts of the input, 4-19 kinds of answer
  samples double precision not null,   -- that the means are made of
  mean double precision not null,      -- of the ratios
  square double precision not null,    -- of their squares
  most double precision not null,      -- the largest ratio; fades slowly
  updated_at timestamptz not null default clock_timestamp(),
  primary key (provider, model, form, subject)
) with (fillfactor = 50, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_scale_factor = 0);
create index calibrations_updated on precis_data.calibrations (updated_at);

alter table precis_data.workers add column calibrated bigint not null default 0; -- last telling

create function precis_data.calibration_worth(samples double precision, updated_at timestamptz)
returns double precision language sql volatile as $$
  select samples * power(0.5::double precision, least(1000, greatest(0,
    extract(epoch from clock_timestamp() - updated_at)::double precision / 604800)))
$$;

-- Adds what a worker tells, once for each serial however often it is told, and answers with the rows
-- of the models that are asked for. Rows are locked in one order.
create function precis_data.calibrate(a_worker bigint, a_serial bigint, a_form integer,
  a_providers text[], a_models text[], t_providers text[], t_models text[], t_subjects integer[],
  t_samples double precision[], t_means double precision[], t_squares double precision[],
  t_mosts double precision[], t_cuts boolean[])
returns table (provider text, model text, subject integer, samples double precision,
  mean double precision, square double precision, most double precision)
language plpgsql as $$
declare
  told record;
  kept double precision;
begin
  if cardinality(t_models) > 0 then
    update precis_data.workers w set calibrated = a_serial
      where w.id = a_worker and w.calibrated < a_serial;
    if found then
      for told in
        select t.*, least(t.samples, 50) as fresh
        from unnest(t_providers, t_models, t_subjects, t_samples, t_means, t_squares, t_mosts,
          t_cuts) as t(provider, model, subject, samples, mean, square, most, cut)
        order by t.provider collate "C", t.model collate "C", t.subject
      loop
        insert into precis_data.calibrations as c
          (provider, model, form, subject, samples, mean, square, most)
        values (told.provider, told.model, a_form, told.subject, 0, 0, 0, 0)
        on conflict do nothing;
        select least(case when told.cut then 0
            else precis_data.calibration_worth(c.samples, c.updated_at) end, 200 - told.fresh)
          into kept
          from precis_data.calibrations c
          where c.provider = told.provider and c.model = told.model and c.form = a_form
            and c.subject = told.subject
          for update;
        update precis_data.calibrations c set samples = kept + told.fresh,
          mean = case when kept + told.fresh > 0
            then (kept * c.mean + told.fresh * told.mean) / (kept + told.fresh) else c.mean end,
          square = case when kept + told.fresh > 0
            then (kept * c.square + told.fresh * told.square) / (kept + told.fresh)
            else c.square end,
          most = greatest(c.most * power(0.999::double precision, told.fresh), told.most),
          updated_at = clock_timestamp()
        where c.provider = told.provider and c.model = told.model and c.form = a_form
          and c.subject = told.subject;
      end loop;
      delete from precis_data.calibrations c where (c.provider, c.model, c.form, c.subject) in (
        select o.provider, o.model, o.form, o.subject from precis_data.calibrations o
        where o.updated_at < clock_timestamp() - interval '30 days'
        limit 100 for update skip locked);
    end if;
  end if;
  return query
    select c.provider, c.model, c.subject,
      precis_data.calibration_worth(c.samples, c.updated_at), c.mean, c.square, c.most
    from unnest(a_providers, a_models) as a(provider, model)
    join precis_data.calibrations c on c.provider = a.provider and c.model = a.model
      and c.form = a_form;
end $$;
